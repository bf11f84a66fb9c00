/* The context: creation, memory accounting and limit, allocators that fail, log, handles. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "support.h"

static amun_memory_stats stats_of(const amun_context *ctx)
{
    amun_memory_stats stats = {.struct_size = sizeof stats};
    ck_ok(amun_context_get_memory(ctx, &stats));
    ck_assert_uint_eq(stats.struct_size, sizeof stats);
    return stats;
}

START_TEST(test_create_arguments)
{
    ck_fails(amun_context_create(NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "ctx is NULL");
    amun_context *ctx = (amun_context *)&ctx;
    amun_context_options options;
    ck_ok(amun_context_options_init(&options, sizeof options));
    options.alloc = test_alloc;
    ck_fails(amun_context_create(&ctx, &options), AMUN_ERROR_INVALID_ARGUMENT, "both");
    ck_assert_ptr_null(ctx);
    options.alloc = NULL;
    options.threads = 1025;
    ck_fails(amun_context_create(&ctx, &options), AMUN_ERROR_INVALID_ARGUMENT, "1025");
    options.threads = -1;
    ck_fails(amun_context_create(&ctx, &options), AMUN_ERROR_INVALID_ARGUMENT, "-1");
    options.threads = 0;
    options.reserved0 = 7;
    ck_fails(amun_context_create(&ctx, &options), AMUN_ERROR_INVALID_ARGUMENT, "7");
    ck_ok(amun_context_create(&ctx, NULL));
    ck_assert_str_eq(amun_last_error_message(), "");
    ck_assert_ptr_eq(amun_context_ref(ctx), ctx);
    amun_context_unref(ctx);
    ck_ok(amun_context_set_threads(ctx, 1)); /* still alive */
    amun_context_unref(ctx);
    ck_assert_ptr_null(amun_context_ref(NULL));
    amun_context_unref(NULL);
}
END_TEST

START_TEST(test_wrong_handles)
{
    amun_memory_stats stats = {.struct_size = sizeof stats};
    ck_fails(amun_context_set_threads(NULL, 1), AMUN_ERROR_INVALID_ARGUMENT, "ctx is NULL");
    ck_fails(amun_context_set_log(NULL, NULL, NULL, 0), AMUN_ERROR_INVALID_ARGUMENT, "ctx");
    ck_fails(amun_context_set_memory_limit(NULL, 1), AMUN_ERROR_INVALID_ARGUMENT, "ctx");
    ck_fails(amun_context_get_memory(NULL, &stats), AMUN_ERROR_INVALID_ARGUMENT, "ctx");
    ck_assert_int_eq(amun_context_get_threads(NULL), 1);
    _Alignas(64) char junk[512];
    memset(junk, 0x5a, sizeof junk);
    ck_fails(amun_context_set_threads((amun_context *)(void *)junk, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "not a live context handle");
    amun_context *ctx;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_fails(amun_context_set_threads(ctx, -1), AMUN_ERROR_INVALID_ARGUMENT, "-1");
    ck_fails(amun_context_set_threads(ctx, 1025), AMUN_ERROR_INVALID_ARGUMENT, "1025");
    ck_fails(amun_context_set_log(ctx, NULL, NULL, 4), AMUN_ERROR_INVALID_ARGUMENT, "4");
    ck_fails(amun_context_set_log(ctx, NULL, NULL, -1), AMUN_ERROR_INVALID_ARGUMENT, "-1");
    ck_fails(amun_context_get_memory(ctx, NULL), AMUN_ERROR_INVALID_ARGUMENT, "stats is NULL");
    stats.struct_size = 0;
    ck_fails(amun_context_get_memory(ctx, &stats), AMUN_ERROR_INVALID_ARGUMENT, "struct_size is 0");
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_accounting_matches_the_allocator)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    int64_t own = allocator.live_bytes;
    char *a, *b, *z;
    ck_ok(amun__alloc(ctx, &a, 10, 100));
    ck_assert_uint_eq((uintptr_t)a % 64, 0);
    memset(a, 1, 1000);
    ck_ok(amun__calloc(ctx, &b, 3, 1));
    ck_assert(b[0] == 0 && b[1] == 0 && b[2] == 0); /* the allocator gave 0xa5 */
    ck_ok(amun__alloc(ctx, &z, 0, 8));
    ck_assert_ptr_nonnull(z);
    amun_memory_stats stats = stats_of(ctx);
    ck_assert_uint_eq(stats.blocks, 3);
    ck_assert_uint_eq(stats.current, (uint64_t)(allocator.live_bytes - own));
    ck_assert_uint_ge(stats.current, 1003);
    ck_assert_uint_eq(stats.peak, stats.current);
    amun__free(ctx, a);
    amun__free(ctx, z);
    amun__free(ctx, NULL);
    ck_assert_uint_eq(stats_of(ctx).blocks, 1);
    ck_assert_uint_eq(stats_of(ctx).peak, stats.peak);
    amun__free(ctx, b);
    ck_assert_uint_eq(stats_of(ctx).current, 0);
    char *text;
    ck_ok(amun__strdup(ctx, &text, "g\xc3\xa9"));
    ck_assert_str_eq(text, "g\xc3\xa9");
    amun__free(ctx, text);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
    ck_assert_int_eq(allocator.live_bytes, 0);
    ck_assert_int_eq(allocator.wrong, 0);
}
END_TEST

START_TEST(test_realloc)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    int32_t *values = NULL;
    ck_ok(amun__realloc(ctx, &values, 4, sizeof *values));
    for (int32_t i = 0; i < 4; i++) {
        values[i] = i * i;
    }
    size_t sizes[] = {5, 100, 1000, 999, 300, 7, 4};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ck_ok(amun__realloc(ctx, &values, sizes[i], sizeof *values));
        ck_assert_int_eq(values[3], 9);
        memset(values + 4, 0x77, (sizes[i] - 4) * sizeof *values); /* all of it is ours */
        ck_assert_uint_eq((uintptr_t)values % 64, 0);
        ck_assert_uint_eq(stats_of(ctx).blocks, 1);
    }
    int32_t *before = values;
    allocator.fail_at = 1;
    ck_fails(amun__realloc(ctx, &values, 100000, sizeof *values), AMUN_ERROR_OUT_OF_MEMORY,
             "refused");
    ck_assert_ptr_eq(values, before); /* untouched on failure */
    ck_assert_int_eq(values[2], 4);
    ck_fails(amun__realloc(ctx, &values, SIZE_MAX / 2, sizeof *values), AMUN_ERROR_OUT_OF_MEMORY,
             "addressed");
    ck_assert_ptr_eq(values, before);
    amun__free(ctx, values);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_bytes, 0);
    ck_assert_int_eq(allocator.wrong, 0);
}
END_TEST

START_TEST(test_memory_limit)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    ck_ok(amun_context_set_memory_limit(ctx, 10000));
    char *a, *b = (char *)1;
    ck_ok(amun__alloc(ctx, &a, 5000, 1));
    int64_t calls = allocator.calls;
    ck_fails(amun__alloc(ctx, &b, 5000, 1), AMUN_ERROR_OUT_OF_MEMORY, "10000");
    ck_assert_ptr_null(b);
    ck_assert_int_eq(allocator.calls, calls); /* not even asked */
    ck_assert_uint_eq(stats_of(ctx).blocks, 1);
    uint64_t current = stats_of(ctx).current;
    ck_assert_uint_eq(stats_of(ctx).peak, current); /* what was refused was never in use */
    amun__free(ctx, a);
    /* exactly at the limit is inside it */
    ck_ok(amun_context_set_memory_limit(ctx, current));
    ck_ok(amun__alloc(ctx, &a, 5000, 1));
    amun__free(ctx, a);
    ck_ok(amun_context_set_memory_limit(ctx, current - 1));
    ck_fails(amun__alloc(ctx, &a, 5000, 1), AMUN_ERROR_OUT_OF_MEMORY, "limit");
    ck_ok(amun_context_set_memory_limit(ctx, 0));
    ck_ok(amun__alloc(ctx, &a, 50000, 1));
    amun__free(ctx, a);
    ck_fails(amun__alloc(ctx, &a, SIZE_MAX, 1), AMUN_ERROR_OUT_OF_MEMORY, "addressed");
    ck_fails(amun__alloc(ctx, &a, SIZE_MAX / 2, 3), AMUN_ERROR_OUT_OF_MEMORY, "addressed");
    ck_fails(amun__calloc(ctx, &a, SIZE_MAX / 2, 3), AMUN_ERROR_OUT_OF_MEMORY, "addressed");
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_bytes, 0);
}
END_TEST

static void *misaligned_alloc(void *user_data, size_t size, size_t align)
{
    return (char *)test_alloc(user_data, size + align, align) + 8;
}

static void misaligned_free(void *user_data, void *ptr, size_t size, size_t align)
{
    test_free(user_data, (char *)ptr - 8, size + align, align);
}

/* Behaves until it is told not to: the context's own block comes first. */
static int32_t be_misaligned;
static void *sometimes_misaligned_alloc(void *user_data, size_t size, size_t align)
{
    return be_misaligned ? misaligned_alloc(user_data, size, align)
                         : test_alloc(user_data, size, align);
}

static void sometimes_misaligned_free(void *user_data, void *ptr, size_t size, size_t align)
{
    if ((uintptr_t)ptr % align != 0) {
        misaligned_free(user_data, ptr, size, align);
    } else {
        test_free(user_data, ptr, size, align);
    }
}

START_TEST(test_bad_allocators)
{
    test_allocator allocator = {0};
    amun_context_options options;
    ck_ok(amun_context_options_init(&options, sizeof options));
    options.alloc = test_alloc;
    options.free = test_free;
    options.allocator_data = &allocator;
    amun_context *ctx;
    allocator.fail_at = 1;
    ck_fails(amun_context_create(&ctx, &options), AMUN_ERROR_OUT_OF_MEMORY, "refused");
    ck_assert_ptr_null(ctx);
    options.alloc = sometimes_misaligned_alloc;
    options.free = sometimes_misaligned_free;
    be_misaligned = 0;
    ck_ok(amun_context_create(&ctx, &options));
    be_misaligned = 1;
    void *ptr;
    ck_fails(amun__alloc(ctx, &ptr, 1, 1), AMUN_ERROR_INVALID_ARGUMENT, "not aligned");
    ck_assert_ptr_null(ptr);
    ck_assert_uint_eq(stats_of(ctx).current, 0);
    be_misaligned = 0;
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
    ck_assert_int_eq(allocator.wrong, 0);
}
END_TEST

static void *churn(void *arg)
{
    amun_context *ctx = arg;
    for (int32_t i = 0; i < 500; i++) {
        char *p;
        if (amun__alloc(ctx, &p, (size_t)(i % 50), 16) == AMUN_OK) {
            amun__free(ctx, p);
        }
    }
    return NULL;
}

START_TEST(test_many_threads)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    pthread_t threads[4];
    for (int32_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, ctx), 0);
    }
    for (int32_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(stats_of(ctx).current, 0);
    ck_assert_uint_eq(stats_of(ctx).blocks, 0);
    ck_assert_uint_ge(stats_of(ctx).peak, 49 * 16);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_bytes, 0);
}
END_TEST

/* ---- log ------------------------------------------------------------------------------------ */

typedef struct log_seen {
    int32_t count;
    amun_log_level level;
    char text[4096];
} log_seen;

static void on_log(amun_log_level level, const char *message, void *user_data)
{
    log_seen *seen = user_data;
    seen->count++;
    seen->level = level;
    strncpy(seen->text, message, sizeof seen->text - 1);
}

START_TEST(test_log)
{
    unsetenv("AMUN_LOG");
    amun_context *ctx;
    ck_ok(amun_context_create(&ctx, NULL));
    log_seen seen = {0};
    amun__log(ctx, AMUN_LOG_WARNING, "nobody listens");
    ck_ok(amun_context_set_log(ctx, on_log, &seen, AMUN_LOG_INFO));
    ck_assert(amun__log_wants(ctx, AMUN_LOG_INFO));
    ck_assert(!amun__log_wants(ctx, AMUN_LOG_DEBUG));
    amun__log(ctx, AMUN_LOG_DEBUG, "too much");
    ck_assert_int_eq(seen.count, 0);
    amun__log(ctx, AMUN_LOG_WARNING, "a %d\nb", 5);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_int_eq(seen.level, AMUN_LOG_WARNING);
    ck_assert_str_eq(seen.text, "a 5 b");
    amun__log(ctx, AMUN__LOG_PLAN, "no plans without AMUN_LOG");
    ck_assert_int_eq(seen.count, 1);
    ck_ok(amun_context_set_log(ctx, on_log, &seen, AMUN_LOG_SILENT));
    amun__log(ctx, AMUN_LOG_WARNING, "silence");
    ck_assert_int_eq(seen.count, 1);
    ck_ok(amun_context_set_log(ctx, NULL, NULL, AMUN_LOG_DEBUG));
    amun__log(ctx, AMUN_LOG_WARNING, "nobody again");
    amun_context_unref(ctx);

    setenv("AMUN_LOG", "plan", 1);
    ck_ok(amun_context_create(&ctx, NULL));
    unsetenv("AMUN_LOG");
    ck_ok(amun_context_set_log(ctx, on_log, &seen, AMUN_LOG_SILENT));
    ck_assert(amun__log_wants(ctx, AMUN__LOG_PLAN));
    amun__log(ctx, AMUN__LOG_PLAN, "conv1");
    ck_assert_int_eq(seen.count, 2);
    ck_assert_int_eq(seen.level, AMUN_LOG_INFO);
    amun_context_unref(ctx);
}
END_TEST

/* ---- handles ----------------------------------------------------------------------------------
 */

typedef struct thing {
    amun__object object;
    int32_t *destroyed;
    int64_t payload[10];
} thing;

static void destroy_thing(void *self)
{
    (*((thing *)self)->destroyed)++;
}

START_TEST(test_objects)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    int32_t destroyed = 0;
    thing *t;
    ck_ok(amun__object_create(&t, ctx, AMUN__TAG_MODEL, sizeof *t, destroy_thing));
    t->destroyed = &destroyed;
    for (size_t i = 0; i < 10; i++) {
        ck_assert_int_eq(t->payload[i], 0);
    }
    ck_assert_ptr_eq(t->object.ctx, ctx);
    amun_context_unref(ctx); /* any order: the handle keeps its context alive */
    ck_ok(amun__object_check(t, AMUN__TAG_MODEL, "model"));
    ck_fails(amun__object_check(t, AMUN__TAG_GRAPH, "net"), AMUN_ERROR_INVALID_ARGUMENT,
             "net is not a live graph handle");
    ck_fails(amun__object_check(NULL, AMUN__TAG_MODEL, "model"), AMUN_ERROR_INVALID_ARGUMENT,
             "model is NULL");
    ck_fails(amun__object_check((char *)t + 1, AMUN__TAG_MODEL, "model"),
             AMUN_ERROR_INVALID_ARGUMENT, "not a live model");
    ck_assert_ptr_eq(amun__object_ref(t), t);
    amun__object_unref(t);
    ck_assert_int_eq(destroyed, 0);
    amun__object_unref(t);
    ck_assert_int_eq(destroyed, 1);
    ck_assert_int_eq(allocator.live_blocks, 0); /* the context went with it */
    amun__object_unref(NULL);
    ck_assert_ptr_null(amun__object_ref(NULL));
}
END_TEST

START_TEST(test_object_without_memory)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    thing *t = (thing *)1;
    allocator.fail_at = 1;
    ck_fails(amun__object_create(&t, ctx, AMUN__TAG_MODEL, sizeof *t, destroy_thing),
             AMUN_ERROR_OUT_OF_MEMORY, "refused");
    ck_assert_ptr_null(t);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0); /* no reference was left behind */
}
END_TEST

START_TEST(test_checked_sizes)
{
    size_t out;
    ck_assert(amun__mul_size(&out, 1u << 20, 1u << 20));
    ck_assert_uint_eq(out, (size_t)1 << 40);
    ck_assert(!amun__mul_size(&out, SIZE_MAX / 2 + 1, 2));
    ck_assert(amun__mul_size(&out, SIZE_MAX, 1));
    ck_assert(amun__add_size(&out, SIZE_MAX - 1, 1));
    ck_assert(!amun__add_size(&out, SIZE_MAX, 1));
}
END_TEST

/* ---- pooled contexts -------------------------------------------------------------------------
 */

START_TEST(test_pooled)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator), *pooled = NULL;
    ck_ok(amun_context_set_threads(ctx, 3));
    ck_ok(amun__context_pooled(&pooled, ctx));
    ck_assert_int_eq(amun__threads_count(pooled), amun__threads_count(ctx));
    int64_t calls = 0;
    for (int round = 0; round < 50; round++) { /* sizes and their order change, but not for ever */
        void *blocks[6] = {NULL};
        for (size_t i = 0; i < 6; i++) {
            size_t at = (i + (size_t)round) % 6, bytes = (size_t)100 << (2 * at);
            ck_ok(amun__alloc(pooled, &blocks[at], bytes, 1));
            ck_assert_uint_eq((uintptr_t)blocks[at] % 64, 0);
            memset(blocks[at], round, bytes);
            if (at % 2 == 0) { /* sometimes free at once */
                amun__free(pooled, blocks[at]);
                blocks[at] = NULL;
            }
        }
        for (size_t i = 0; i < 6; i++) {
            amun__free(pooled, blocks[i]);
        }
        if (round == 25) {
            calls = atomic_load(&allocator.calls);
        }
    }
    ck_assert_int_eq(atomic_load(&allocator.calls), calls);
    ck_assert_uint_le(stats_of(ctx).blocks, 1 + 2 * 6);
    uint64_t before = stats_of(ctx).current;
    amun__context_trim(pooled);
    ck_assert_uint_lt(stats_of(ctx).current, before);
    ck_assert_uint_eq(stats_of(ctx).blocks, 1); /* the pooled context itself */
    amun_context_unref(pooled);
    ck_assert_uint_eq(stats_of(ctx).blocks, 0);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}
END_TEST

/* What a pool only keeps never stands in the way of what is needed; the limit holds. */
START_TEST(test_pooled_limit)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator), *pooled = NULL;
    void *small[8] = {NULL}, *large = NULL;
    ck_ok(amun__context_pooled(&pooled, ctx));
    ck_ok(amun_context_set_memory_limit(ctx, 100000));
    for (size_t i = 0; i < 8; i++) {
        ck_ok(amun__alloc(pooled, &small[i], 10000, 1));
    }
    ck_fails(amun__alloc(pooled, &large, 50000, 1), AMUN_ERROR_OUT_OF_MEMORY, "limit of 100000");
    ck_assert_ptr_null(large);
    for (size_t i = 0; i < 8; i++) {
        amun__free(pooled, small[i]);
    }
    ck_ok(amun__alloc(pooled, &large, 90000, 1));
    amun__free(pooled, large);
    atomic_store(&allocator.fail_at, 1);
    ck_ok(amun__alloc(pooled, &large, 90000, 1)); /* asks nobody */
    amun__free(pooled, large);
    amun_context_unref(pooled);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("context");
    tcase_add_test(tc, test_create_arguments);
    tcase_add_test(tc, test_wrong_handles);
    tcase_add_test(tc, test_accounting_matches_the_allocator);
    tcase_add_test(tc, test_realloc);
    tcase_add_test(tc, test_memory_limit);
    tcase_add_test(tc, test_bad_allocators);
    tcase_add_test(tc, test_many_threads);
    tcase_add_test(tc, test_log);
    tcase_add_test(tc, test_objects);
    tcase_add_test(tc, test_object_without_memory);
    tcase_add_test(tc, test_pooled);
    tcase_add_test(tc, test_pooled_limit);
    tcase_add_test(tc, test_checked_sizes);
    return amun_test_main("core_context", (TCase *[]){tc, NULL});
}
