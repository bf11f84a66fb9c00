/* fuzz.c - see fuzz.h. */
#include "data/storage.h"
#include "fuzz.h"

/* Stands in for the C library's: none of these files has to survive a power failure. */
int fsync(int fd);
int fsync(int fd)
{
    (void)fd;
    return 0;
}

#ifdef AMUN_FUZZ_FAIL_ALLOC
static int fail_at; /* allocations until the one that fails; negative: none */

static void *failing_alloc(void *user_data, size_t size, size_t align)
{
    (void)user_data;
    if (fail_at-- == 0) {
        return NULL;
    }
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void plain_free(void *user_data, void *ptr, size_t size, size_t align)
{
    (void)user_data;
    (void)size;
    (void)align;
    free(ptr);
}
#endif

amun_context *fuzz_context(const uint8_t *data, size_t size)
{
    amun_context_options options;
    amun_context *ctx = NULL;
    if (amun_context_options_init(&options, sizeof options) != AMUN_OK) {
        abort();
    }
    options.threads = 1;
    options.memory_limit = 64 << 20;
#ifdef AMUN_FUZZ_FAIL_ALLOC
    fail_at = (int)(amun__hash64(data, size, 0) % 6);
    options.alloc = failing_alloc;
    options.free = plain_free;
#else
    (void)data;
    (void)size;
#endif
    amun_status status = amun_context_create(&ctx, &options);
    fuzz_check(status);
    return ctx;
}

void fuzz_check(amun_status status)
{
    const char *message = amun_last_error_message();
    if (status != AMUN_OK && (message[0] == '\0' || strchr(message, '\n') != NULL)) {
        abort();
    }
    if (status == AMUN_ERROR_INTERNAL) {
        abort();
    }
}

void fuzz_touch(const void *data, size_t size)
{
    const volatile uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        (void)bytes[i];
    }
}

void fuzz_dataset(amun_context *ctx, const amun_tensor_view *view)
{
    amun_dataset *ds = NULL;
    amun_status status = amun_dataset_open_view(&ds, ctx, view, NULL, 0, NULL, NULL);
    fuzz_check(status);
    if (status != AMUN_OK) {
        return;
    }
    amun__dataset_info info;
    amun__dataset_info_get(ds, &info);
    float *image = malloc(info.pixels * sizeof *image);
    for (size_t i = 0; i < info.count && image != NULL; i++) {
        amun__dataset_fetch(ds, i, image);
        for (size_t k = 0; k < info.pixels; k++) {
            if (!(image[k] >= 0.0f && image[k] <= 1.0f)) {
                abort();
            }
        }
    }
    free(image);
    amun_dataset_unref(ds);
}
