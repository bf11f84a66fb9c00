/* fuzz_weights.c - weights for a model that is there, under PyTorch's names and others', and files
 * that say themselves which network they are for. What is refused changes nothing. */
#include "fuzz.h"

enum { FC = FUZZ_CLASSES * 2 * FUZZ_PIXELS };

static void fill(amun_context *ctx)
{
    amun_model *model = NULL;
    float before[FC], after[FC];
    amun_status status = fuzz_model(&model, ctx);
    status = status == AMUN_OK ? amun_model_get_tensor(model, "fc.weight", before, FC) : status;
    fuzz_check(status);
    if (status == AMUN_OK) {
        status = amun_model_load_weights(model, fuzz_path("weights"));
        fuzz_check(status);
        if (amun_model_get_tensor(model, "fc.weight", after, FC) != AMUN_OK ||
            (status != AMUN_OK && memcmp(before, after, sizeof before) != 0)) {
            abort();
        }
        for (size_t i = 0; i < FC; i++) {
            if (!isfinite(after[i])) {
                abort();
            }
        }
    }
    amun_model_unref(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amun_context *ctx = fuzz_context(data, size);
    fuzz_put("weights", data, size);
    if (ctx != NULL) {
        amun_model *model = NULL;
        fuzz_check(amun_context_set_memory_limit(ctx, 4 << 20)); /* not the largest networks */
        fill(ctx);
        amun_status status = amun_model_load(&model, ctx, fuzz_path("weights"));
        fuzz_check(status);
        if ((status == AMUN_OK) != (model != NULL)) {
            abort();
        }
        amun_model_unref(model);
    }
    amun_context_unref(ctx);
    return 0;
}
