/* test_clip.c - the clipper through the public interface: references in any order, foreign handles,
 * option and result structs, running out of memory alone and in a training. */
#include <stddef.h>

#include "api.h"

static struct {
    heap memory;
    amun_context *ctx;
    amun_model *model;
    amun_dataset *data;
    tiny_values before;
} f;

static void set_up(void)
{
    memset(&f, 0, sizeof f);
    ck_ok(heap_context(&f.ctx, &f.memory));
    ck_ok(tiny_model(&f.model, f.ctx, 1));
    ck_ok(tiny_data(&f.data, f.ctx));
    tiny_read(&f.before, f.model);
}

static void tear_down(void)
{
    amun_dataset_unref(f.data);
    amun_model_unref(f.model);
    heap_end(f.ctx, &f.memory);
}

static amun_clip_options fresh(void)
{
    amun_clip_options o;
    ck_ok(amun_clip_options_init(&o, sizeof o));
    return o;
}

static amun_status use(const amun_clip_options *o)
{
    amun_clipper *clipper = NULL;
    amun_status status = amun_clipper_create(&clipper, f.model, o);
    ck_assert((status == AMUN_OK) == (clipper != NULL));
    amun_clipper_unref(clipper);
    return status;
}

/* ---- handles --------------------------------------------------------------------------------- */

START_TEST(references)
{
    for (int order = 0; order < 6; order++) {
        static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        heap h = {0};
        amun_context *ctx = NULL;
        amun_model *model = NULL;
        amun_clipper *clipper = NULL;
        ck_ok(heap_context(&ctx, &h));
        ck_ok(tiny_model(&model, ctx, 2));
        ck_ok(amun_clipper_create(&clipper, model, NULL));
        const int64_t live = h.live;
        ck_assert_ptr_eq(amun_clipper_ref(clipper), clipper);
        amun_clipper_unref(clipper);
        ck_assert_int_eq(h.live, live);
        ck_assert_ptr_null(amun_clipper_ref(NULL));
        amun_clipper_unref(NULL);
        for (int i = 0; i < 3; i++) {
            switch (orders[order][i]) {
            case 0:
                amun_context_unref(ctx);
                break;
            case 1:
                amun_model_unref(model);
                break;
            default: /* works as long as it lives */
                ck_ok(amun_clipper_run(NULL, clipper, NULL));
                ck_ok(amun_clipper_step(NULL, clipper));
                amun_clipper_unref(clipper);
            }
        }
        heap_end(NULL, &h);
    }
}
END_TEST

static void foreign(void *bad)
{
    amun_clipper *clipper = (void *)&f;
    ck_invalid(amun_clipper_create(&clipper, bad, NULL), "model");
    ck_assert_ptr_null(clipper);
    ck_invalid(amun_clipper_run(NULL, bad, NULL), "clipper");
    ck_invalid(amun_clipper_step(NULL, bad), "clipper");
}

START_TEST(foreign_handles)
{
    foreign(NULL);
    foreign(f.ctx);
    ck_invalid(amun_clipper_create(NULL, f.model, NULL), "clipper");
}
END_TEST

/* ---- structs --------------------------------------------------------------------------------- */

START_TEST(sizes)
{
    static const size_t wrong[] = {0, 4, 8, 52, 100, 4104, (size_t)-1};
    amun_clip_options o = fresh();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        o.struct_size = wrong[i];
        ck_invalid(use(&o), "struct_size");
    }
    ck_invalid(amun_clip_options_init(NULL, sizeof o), "NULL");
    struct {
        amun_clip_options options;
        uint64_t more;
    } newer = {.options = fresh()};
    newer.options.struct_size = sizeof newer;
    ck_ok(use(&newer.options));
    newer.more = 1;
    ck_fails(use(&newer.options), AMUN_ERROR_UNSUPPORTED, "newer");
    ck_ok(use(NULL));
    o = fresh();
    o.reserved0 = 1;
    ck_invalid(use(&o), "reserved0");
}
END_TEST

/* The ranges once more, from the header. */
START_TEST(ranges)
{
    static const struct {
        const char *name;
        size_t offset;
        int32_t low, high;
    } whole[] = {{"method", offsetof(amun_clip_options, method), 1, 9},
                 {"batchnorm", offsetof(amun_clip_options, batchnorm), 1, 5},
                 {"linear", offsetof(amun_clip_options, linear), 0, 1},
                 {"exact", offsetof(amun_clip_options, exact), 0, 1},
                 {"final_scale", offsetof(amun_clip_options, final_scale), 0, 1},
                 {"max_rounds", offsetof(amun_clip_options, max_rounds), 1, 100000},
                 {"block", offsetof(amun_clip_options, block), 0, 128},
                 {"every", offsetof(amun_clip_options, every), 1, 1000000},
                 {"delay", offsetof(amun_clip_options, delay), 0, 1000000000},
                 {"power_iterations", offsetof(amun_clip_options, power_iterations), 0, 1000},
                 {"rounds", offsetof(amun_clip_options, rounds), 1, 1000},
                 {"inner_steps", offsetof(amun_clip_options, inner_steps), 1, 1000},
                 {"iterations", offsetof(amun_clip_options, iterations), 0, 1000}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        const int32_t tried[4] = {whole[i].low - 1, whole[i].high + 1, whole[i].low, whole[i].high};
        for (int j = 0; j < 4; j++) {
            amun_clip_options o = fresh();
            memcpy((char *)&o + whole[i].offset, &tried[j], sizeof tried[j]);
            if (j < 2) {
                ck_invalid(use(&o), whole[i].name);
            } else {
                ck_ok(use(&o));
            }
        }
    }
    static const struct {
        const char *name;
        size_t offset;
        double bad[2], good;
    } real[] = {
        {"target", offsetof(amun_clip_options, target), {0.0, 1.1e6}, 1e6},
        {"batchnorm_target", offsetof(amun_clip_options, batchnorm_target), {0.0, 1.1e6}, 1e6},
        {"tol", offsetof(amun_clip_options, tol), {0.0, 1.1}, 1.0},
        {"eta", offsetof(amun_clip_options, eta), {-1.0, 1001.0}, 0.0},
        {"penalty", offsetof(amun_clip_options, penalty), {-1.0, 1.1e6}, 0.0}};
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++) {
        const double tried[4] = {real[i].bad[0], real[i].bad[1], (double)NAN, real[i].good};
        for (int j = 0; j < 4; j++) {
            amun_clip_options o = fresh();
            memcpy((char *)&o + real[i].offset, &tried[j], sizeof tried[j]);
            if (j < 3) {
                ck_invalid(use(&o), real[i].name);
            } else {
                ck_ok(use(&o));
            }
        }
    }
}
END_TEST

START_TEST(results)
{
    static const size_t wrong[] = {0, 8, 20, 4104};
    amun_clipper *c = NULL;
    ck_ok(amun_clipper_create(&c, f.model, NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        amun_clip_result result = {.struct_size = wrong[i]};
        ck_invalid(amun_clipper_run(&result, c, NULL), "struct_size");
        ck_invalid(amun_clipper_step(&result, c), "struct_size");
    }
    ck_unchanged(f.model, &f.before);
    amun_clip_result result, older;
    memset(&older, 0x55, sizeof older);
    result.struct_size = sizeof result;
    older.struct_size = offsetof(amun_clip_result, rounds);
    ck_ok(amun_clipper_run(&older, c, NULL));
    ck_assert_int_eq(older.layers, 2);
    ck_assert_int_eq(older.rounds, INT64_C(0x5555555555555555));
    ck_ok(amun_clipper_run(&result, c, NULL));
    ck_assert(result.upper <= 1.0 && result.largest <= result.upper + 1e-6);
    amun_clipper_unref(c);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

/* A clip, and a training under one. */
static amun_status scenario(amun_context *ctx, amun_clip_method method)
{
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_clipper *c = NULL;
    amun_clip_options o = fresh();
    amun_train_options train = tiny_train(2);
    o.method = method;
    o.target = 0.3;
    o.every = 1;
    o.batchnorm =
        method <= AMUN_CLIP_SCALE ? AMUN_CLIP_BATCHNORM_COMPOSITE : AMUN_CLIP_BATCHNORM_GOUK;
    train.clip = &o;
    amun_status status = tiny_model(&model, ctx, 1);
    status = status == AMUN_OK ? tiny_data(&data, ctx) : status;
    if (method != AMUN_CLIP_DELATTRE_2023) {
        status = status == AMUN_OK ? amun_clipper_create(&c, model, &o) : status;
        status = status == AMUN_OK ? amun_clipper_run(NULL, c, NULL) : status;
    }
    status = status == AMUN_OK ? amun_train_run(NULL, model, data, NULL, 0, &train, NULL) : status;
    char message[1024];
    snprintf(message, sizeof message, "%s", amun_last_error_message());
    ck_assert((status == AMUN_OK) == (message[0] == '\0'));
    amun_clipper_unref(c);
    amun_dataset_unref(data);
    amun_model_unref(model);
    return status;
}

START_TEST(out_of_memory)
{
    int64_t tried = 0;
    for (int64_t n = 1;; n += n < 100 ? 1 : n / 12) {
        heap h = {.fail_at = n, .fail_count = INT64_MAX / 2};
        amun_context *ctx = NULL;
        amun_status status = heap_context(&ctx, &h);
        status = status == AMUN_OK ? scenario(ctx, _i) : status;
        const bool failed = h.calls >= n;
        ck_assert_msg(status == (failed ? AMUN_ERROR_OUT_OF_MEMORY : AMUN_OK),
                      "allocation %lld: %s: %s", (long long)n, amun_status_string(status),
                      amun_last_error_message());
        h.fail_at = 0;
        heap_end(ctx, &h);
        if (!failed) {
            break;
        }
        tried++;
    }
    ck_assert_int_gt(tried, 40);
}
END_TEST

/* A run that fails leaves a clipper that works. */
START_TEST(goes_on)
{
    for (int64_t n = 1;; n += 5) {
        amun_clipper *c = NULL;
        amun_model *model = NULL;
        amun_clip_result result = {.struct_size = sizeof result};
        amun_clip_options o = fresh();
        o.target = 0.3;
        ck_ok(tiny_model(&model, f.ctx, 1));
        ck_ok(amun_clipper_create(&c, model, &o));
        f.memory.fail_count = 1;
        f.memory.fail_at = f.memory.calls + n;
        const amun_status status = amun_clipper_run(NULL, c, NULL);
        const bool failed = f.memory.calls >= f.memory.fail_at;
        f.memory.fail_at = 0;
        ck_assert(status == (failed ? AMUN_ERROR_OUT_OF_MEMORY : AMUN_OK));
        ck_ok(amun_clipper_run(&result, c, NULL));
        ck_assert(result.upper <= 1.0);
        amun_clipper_unref(c);
        amun_model_unref(model);
        if (!failed) {
            break;
        }
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("clip");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, references);
    tcase_add_test(tc, foreign_handles);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, ranges);
    tcase_add_test(tc, results);
    tcase_add_loop_test(tc, out_of_memory, AMUN_CLIP_BLOCK, AMUN_CLIP_DELATTRE_2024 + 1);
    tcase_add_test(tc, goes_on);
    return api_main("clip", (TCase *[]){tc, NULL});
}
