/* fuzz_references.c - the files of reference models. The first byte says which one the rest of the
 * input is: weights, the cache of their outputs, or the checkpoint of a training that was killed.
 * The others are as the library wrote them. A damaged cache or one of other weights is made again,
 * so that the signals are always the same. */
#include "fuzz.h"

static const char *const names[3] = {"reference_000.safetensors",
                                     "reference_000.logits.safetensors",
                                     "reference_000.part.safetensors"};
static uint8_t *good[3];
static size_t good_size[3];
static amun_audit expected;

static amun_status references(amun_context *ctx, amun_audit *audit, const amun_call_options *call)
{
    static const int64_t forget[2] = {3, 7};
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_mia *mia = NULL;
    amun_mia_options options;
    amun_train_options train;
    amun_status status = AMUN_OK;
    fuzz_check(amun_mia_options_init(&options, sizeof options));
    fuzz_check(amun_train_options_init(&train, sizeof train));
    options.references = 2;
    train.epochs = 1;
    train.augment_pad = train.augment_flip = 0;
    AMUN__TRY(fuzz_model(&model, ctx));
    AMUN__TRY(fuzz_data(&data, ctx));
    AMUN__TRY(amun_mia_create(&mia, ctx, data, data, &options));
    AMUN__TRY(amun_mia_train_references(mia, model, &train, fuzz_path("."), call));
    *audit = (amun_audit){.struct_size = sizeof *audit};
    AMUN__TRY(amun_mia_audit(audit, mia, model, forget, 2, NULL));
fail:
    fuzz_check(status);
    amun_mia_unref(mia);
    amun_dataset_unref(data);
    amun_model_unref(model);
    return status;
}

static int32_t keep_part(const amun_progress *progress, void *user_data)
{
    (void)user_data;
    return strcmp(progress->phase, "reference") == 0;
}

static void write_folder(void)
{
    amun_call_options call;
    for (int k = 0; k < 3; k++) {
        remove(fuzz_path(names[k]));
    }
    /* of the other reference, and perhaps of a library with other options */
    remove(fuzz_path("reference_001.safetensors"));
    remove(fuzz_path("reference_001.logits.safetensors"));
    remove(fuzz_path("reference_001.part.safetensors"));
    fuzz_check(amun_call_options_init(&call, sizeof call));
    call.progress = keep_part;
    call.min_interval_ms = 0;
    (void)references(fuzz_steady(), &expected, &call);
    good[2] = fuzz_get(names[2], &good_size[2]);
    if (references(fuzz_steady(), &expected, NULL) != AMUN_OK) {
        abort();
    }
    for (int k = 0; k < 2; k++) {
        good[k] = fuzz_get(names[k], &good_size[k]);
    }
    if (good[0] == NULL || good[1] == NULL || good[2] == NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amun_audit audit;
    if (good[0] == NULL) {
        write_folder();
    }
    if (size == 0) {
        return 0;
    }
    int which = data[0] % 3;
    for (int k = 0; k < 2; k++) {
        fuzz_put(names[k], good[k], good_size[k]);
    }
    fuzz_put(names[which], data + 1, size - 1);
    if (which == 2) {
        remove(fuzz_path(names[0])); /* the training was not done */
    }
    amun_context *ctx = fuzz_context(data, size);
    if (ctx != NULL) {
        amun_status status = references(ctx, &audit, NULL);
        if (which == 1 && status != AMUN_OK && status != AMUN_ERROR_OUT_OF_MEMORY) {
            abort();
        }
        if (which == 1 && status == AMUN_OK && audit.ft_auc != expected.ft_auc) {
            abort();
        }
    }
    amun_context_unref(ctx);
    return 0;
}
