/* fuzz_npy.c - the NPY reader, and data sets over what it accepts. */
#include "fuzz.h"
#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amun_context *ctx = fuzz_context(data, size);
    /* a mapped file begins on a page; here 64 bytes do */
    uint8_t *copy = aligned_alloc(64, (size + 64) / 64 * 64);
    if (ctx == NULL || copy == NULL) {
        free(copy);
        amun_context_unref(ctx);
        return 0;
    }
    uint8_t *end = copy + (size + 64) / 64 * 64;
    memset(copy, 0xa5, (size_t)(end - copy));
    memcpy(copy, data, size);
    amun_tensor_view view;
    amun__enter();
    amun_status status = amun__npy_parse(&view, copy, size, "input");
    fuzz_check(status);
    if (status == AMUN_OK) {
        size_t count = 0;
        fuzz_check(amun__view_check(&view, "view", &count));
        const uint8_t *elements = view.data;
        size_t bytes = count * amun_dtype_size(view.dtype);
        if (bytes > 0 && (elements < copy || elements + bytes != copy + size)) {
            abort();
        }
        fuzz_dataset(ctx, &view);
    }
    free(copy);
    amun_context_unref(ctx);
    return 0;
}
