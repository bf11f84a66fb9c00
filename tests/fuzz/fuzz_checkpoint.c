/* fuzz_checkpoint.c - the reader of checkpoints, of a run with momentum and with clippers, whose
 * vectors are in the file too. What is refused changes nothing. */
#include "fuzz.h"

static amun_train_options options_of_run(const amun_clip_options *clip)
{
    amun_train_options options;
    fuzz_check(amun_train_options_init(&options, sizeof options));
    options.epochs = 2;
    options.batch = 6;
    options.augment_pad = options.augment_flip = 0;
    options.clip = clip;
    options.checkpoint = fuzz_path("checkpoint");
    return options;
}

enum { FC = FUZZ_CLASSES * 2 * FUZZ_PIXELS };

static void run(amun_context *ctx)
{
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_clip_options clip;
    float before[FC], after[FC];
    fuzz_check(amun_clip_options_init(&clip, sizeof clip));
    amun_train_options options = options_of_run(&clip);
    amun_status status = fuzz_model(&model, ctx);
    status = status == AMUN_OK ? fuzz_data(&data, ctx) : status;
    status = status == AMUN_OK ? amun_model_get_tensor(model, "fc.weight", before, FC) : status;
    fuzz_check(status);
    if (status == AMUN_OK) {
        status = amun_train_run(NULL, model, data, NULL, 0, &options, fuzz_stop());
        fuzz_check(status);
        bool taken = status == AMUN_OK || status == AMUN_ERROR_CANCELLED;
        if (!taken && (amun_model_get_tensor(model, "fc.weight", after, FC) != AMUN_OK ||
                       memcmp(before, after, sizeof before) != 0)) {
            abort();
        }
    }
    amun_dataset_unref(data);
    amun_model_unref(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amun_context *ctx = fuzz_context(data, size);
    fuzz_put("checkpoint", data, size);
    if (ctx != NULL) {
        run(ctx);
    }
    amun_context_unref(ctx);
    return 0;
}
