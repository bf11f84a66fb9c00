/* support.c - see support.h. */
#include <stdio.h>
#include <stdlib.h>

#include "amun/model.h"
#include "support.h"

/* A prediction, to see whether there is the code that AMUN_CONV asks for. Not with Check's asserts:
 * no test is running. */
static amun_status try_forced_code(amun_context *ctx)
{
    static const float image[64];
    float logits[10];
    amun_tensor_view src, dst;
    amun_model *model = NULL;
    amun_model_options shape;
    const int64_t src_shape[4] = {1, 1, 8, 8}, dst_shape[2] = {1, 10};
    amun_status status;
    AMUN__TRY(amun_tensor_view_init(&src, (void *)(uintptr_t)image, AMUN_DTYPE_F32, 4, src_shape));
    AMUN__TRY(amun_tensor_view_init(&dst, logits, AMUN_DTYPE_F32, 2, dst_shape));
    AMUN__TRY(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1;
    shape.height = shape.width = 8;
    AMUN__TRY(amun_model_create(&model, ctx, "digits", &shape));
    status = amun_model_predict(model, &src, &dst, NULL);
fail:
    amun_model_unref(model);
    return status;
}

/* Skips all tests, as TAP does it, where CPU or oneDNN lack the code that AMUN_CONV asks for. */
static bool forced_code_is_missing(void)
{
    amun_context *ctx = NULL;
    if (getenv("AMUN_CONV") == NULL || amun_context_create(&ctx, NULL) != AMUN_OK) {
        return false; /* what else is wrong, the tests will say */
    }
    amun_status status = try_forced_code(ctx);
    if (status == AMUN_ERROR_UNSUPPORTED) {
        (void)printf("1..0 # SKIP %s\n", amun_last_error_message());
    }
    amun_context_unref(ctx);
    return status == AMUN_ERROR_UNSUPPORTED;
}

int amun_test_main(const char *name, TCase *const *cases)
{
    Suite *suite = suite_create(name);
    for (; *cases != NULL; cases++) {
        tcase_set_timeout(*cases, 0);
        suite_add_tcase(suite, *cases);
    }
    SRunner *runner = srunner_create(suite);
    int failed = 0;
    if (!forced_code_is_missing()) {
        srunner_set_fork_status(runner, CK_NOFORK);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
    }
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* In front of each block: what was asked for, to compare when it is given back. */
typedef struct test_header {
    size_t size, align;
} test_header;

void *test_alloc(void *user_data, size_t size, size_t align)
{
    test_allocator *allocator = user_data;
    atomic_fetch_add(&allocator->calls, 1);
    if (atomic_load(&allocator->fail_at) > 0 && atomic_fetch_sub(&allocator->fail_at, 1) == 1) {
        return NULL;
    }
    size_t lead = align > sizeof(test_header) ? align : sizeof(test_header);
    size_t rounded = (lead + size + align - 1) / align * align;
    char *base = aligned_alloc(align, rounded);
    if (base == NULL) {
        return NULL;
    }
    test_header header = {size, align};
    memcpy(base, &header, sizeof header);
    memset(base + lead, 0xa5, size); /* nobody may rely on zeroed memory */
    atomic_fetch_add(&allocator->live_blocks, 1);
    atomic_fetch_add(&allocator->live_bytes, (int64_t)size);
    return base + lead;
}

void test_free(void *user_data, void *ptr, size_t size, size_t align)
{
    test_allocator *allocator = user_data;
    if (ptr == NULL) {
        return;
    }
    size_t lead = align > sizeof(test_header) ? align : sizeof(test_header);
    char *base = (char *)ptr - lead;
    test_header header;
    memcpy(&header, base, sizeof header);
    if (header.size != size || header.align != align) {
        atomic_fetch_add(&allocator->wrong, 1);
    }
    atomic_fetch_sub(&allocator->live_blocks, 1);
    atomic_fetch_sub(&allocator->live_bytes, (int64_t)header.size);
    free(base);
}

amun_context *test_context(test_allocator *allocator)
{
    amun_context_options options;
    ck_ok(amun_context_options_init(&options, sizeof options));
    options.alloc = test_alloc;
    options.free = test_free;
    options.allocator_data = allocator;
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, &options));
    return ctx;
}

static const char *join(char *out, size_t size, const char *variable, const char *fallback,
                        const char *name)
{
    const char *folder = getenv(variable);
    snprintf(out, size, "%s/%s", folder != NULL ? folder : fallback, name);
    return out;
}

const char *test_path(const char *name)
{
    static _Thread_local char path[4096];
    return join(path, sizeof path, "AMUN_TEST_TMP", ".", name);
}

const char *test_source_path(const char *name)
{
    static _Thread_local char path[4096];
    return join(path, sizeof path, "AMUN_TEST_SOURCE_ROOT", ".", name);
}
