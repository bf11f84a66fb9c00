/* support.c - see support.h. */
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

int amun_test_main(const char *name, TCase *const *cases)
{
    Suite *suite = suite_create(name);
    for (; *cases != NULL; cases++) {
        tcase_set_timeout(*cases, 0);
        suite_add_tcase(suite, *cases);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
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
