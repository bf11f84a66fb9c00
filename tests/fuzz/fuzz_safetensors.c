/* fuzz_safetensors.c - the safetensors reader. */
#include "fuzz.h"
#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amun_context *ctx = fuzz_context(data, size);
    if (ctx == NULL) {
        return 0;
    }
    amun__safetensors *file = NULL;
    amun__enter();
    amun_status status = amun__safetensors_parse(&file, ctx, data, size, "input");
    fuzz_check(status);
    if ((status == AMUN_OK) != (file != NULL)) {
        abort();
    }
    if (file != NULL) {
        for (size_t i = 0; i < file->count; i++) {
            const amun__st_tensor *tensor = &file->tensors[i];
            fuzz_touch(tensor->data, tensor->bytes);
            if (amun__safetensors_find(file, tensor->name) != tensor) {
                abort();
            }
        }
        (void)amun__safetensors_meta(file, "amun.format");
    }
    amun__safetensors_close(file);
    amun_context_unref(ctx);
    return 0;
}
