/* train.c - trains a network and saves its weights under PyTorch's names. */
#include "views.h"

typedef struct arguments {
    const char *arch, *out, *checkpoint;
    ex_training training;
    double momentum, label_smoothing;
    int64_t cutout;
} arguments;

int main(int argc, char **argv)
{
    arguments a = {.out = "model.safetensors",
                   .training = EX_TRAINING_DEFAULTS,
                   .momentum = -1.0,
                   .label_smoothing = -1.0,
                   .cutout = -1};
    const ex_option options[] = {
        {"arch", EX_CHOICE, &a.arch, 0, 0, EX_ARCHS,
         "network (default: digits; for CIFAR-10 convnet)", false},
        EX_TRAINING_OPTIONS(a.training),
        {"momentum", EX_REAL, &a.momentum, 0, 0.9999, NULL, "of SGD", false},
        {"label-smoothing", EX_REAL, &a.label_smoothing, 0, 0.9999, NULL, "share", false},
        {"cutout", EX_INT, &a.cutout, 0, 1024, NULL,
         "side of a square wiped out of each training image, in pixels", false},
        {"checkpoint", EX_OUT, &a.checkpoint, 0, 0, NULL,
         "written after each epoch; a killed run goes on from it", false},
        {"out", EX_OUT, &a.out, 0, 0, NULL, "weights (default model.safetensors)", false},
        {0},
    };
    ex_parse(argc, argv, "Trains a network on the digits or CIFAR-10.", options);

    ex_data data;
    amun_train_options opts;
    amun_context *ctx = ex_context();
    ex_data_open(&data, ctx);
    const char *arch = a.arch != NULL ? a.arch : data.arch;
    ex_recipe(&opts, arch);
    ex_training_apply(&opts, &a.training, &data);
    opts.momentum = a.momentum >= 0.0 ? a.momentum : opts.momentum;
    opts.label_smoothing = a.label_smoothing >= 0.0 ? a.label_smoothing : opts.label_smoothing;
    opts.augment_cutout = a.cutout >= 0 ? (int32_t)a.cutout : opts.augment_cutout;
    opts.checkpoint = a.checkpoint;

    ex_progress progress;
    amun_train_result result = {.struct_size = sizeof result};
    amun_model *model = ex_model_create(ctx, &data, arch, (uint64_t)ex_args.seed);
    ex_progress_begin(&progress, "%s on %s: %d epochs", arch, data.name, (int)opts.epochs);
    ex_check(amun_train_run(&result, model, data.train, NULL, 0, &opts, &progress.call));
    ex_progress_trained(&progress, result.loss, result.accuracy);
    ex_check(amun_model_save(model, a.out));

    double accuracy = 0.0, loss = 0.0;
    ex_check(amun_model_evaluate(&accuracy, &loss, model, data.test, NULL, 0, NULL));
    printf("test accuracy %.2f %%, loss %.4f; weights in %s\n", accuracy, loss, a.out);
    double mirrored = (double)NAN, six = (double)NAN;
    if (opts.augment_flip != 0) {
        ex_views_accuracy(&mirrored, &six, model, &data);
        printf("logits summed over mirror images %.2f %%, over six views %.2f %%\n", mirrored, six);
    }
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "train");
    ex_json_text(&json, "dataset", data.name);
    ex_json_text(&json, "arch", arch);
    ex_json_text(&json, "model", a.out);
    ex_json_int(&json, "parameters", (int64_t)amun_model_parameters(model));
    ex_json_int(&json, "epochs", result.epochs);
    ex_json_real(&json, "train_loss", result.loss);
    ex_json_real(&json, "train_accuracy", result.accuracy);
    ex_json_real(&json, "test_loss", loss);
    ex_json_real(&json, "test_accuracy", accuracy);
    ex_json_real(&json, "test_accuracy_mirrored", mirrored);
    ex_json_real(&json, "test_accuracy_six_views", six);
    ex_json_real(&json, "seconds", result.seconds);
    ex_json_close(&json);

    amun_model_unref(model);
    ex_data_close(&data);
    amun_context_unref(ctx);
    return 0;
}
