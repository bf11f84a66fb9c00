/* fuzz_ensemble.c - an ensemble's folder. The input is its index, or, if it does not begin with
 * '{', one of the files of weights that the index names; all else is as the library wrote it. */
#include "fuzz.h"

static uint8_t *index_text;
static size_t index_size;

static void write_folder(void)
{
    amun_context *ctx = fuzz_steady();
    amun_model_options shape;
    amun_model *models[2] = {NULL, NULL};
    amun_ensemble *ensemble = NULL;
    fuzz_check(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1;
    shape.height = shape.width = 8;
    shape.classes = 2;
    for (uint64_t i = 0; i < 2; i++) {
        shape.seed = i;
        fuzz_check(amun_model_create(&models[i], ctx, "digits", &shape));
    }
    fuzz_check(amun_ensemble_create(&ensemble, ctx, models, 2));
    fuzz_check(amun_ensemble_save(ensemble, fuzz_path(".")));
    index_text = fuzz_get("ensemble.json", &index_size);
    amun_ensemble_unref(ensemble);
    amun_model_unref(models[0]);
    amun_model_unref(models[1]);
    if (index_text == NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (index_text == NULL) {
        write_folder();
    }
    bool index = size > 0 && data[0] == '{';
    amun_context *ctx = fuzz_context(data, size);
    amun_ensemble *ensemble = NULL;
    fuzz_put("ensemble.json", index ? data : index_text, index ? size : index_size);
    if (!index) {
        fuzz_put("member-001.safetensors", data, size);
    }
    if (ctx != NULL) {
        amun_status status = amun_ensemble_load(&ensemble, ctx, fuzz_path("."));
        fuzz_check(status);
        if ((status == AMUN_OK) != (amun_ensemble_count(ensemble) > 0)) {
            abort();
        }
    }
    amun_ensemble_unref(ensemble);
    amun_context_unref(ctx);
    return 0;
}
