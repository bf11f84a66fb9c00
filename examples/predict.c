/* predict.c - logits of images in a .npy file, as a .npy file. */
#include "common.h"

/* Share of rows whose largest logit stands at the label, in percent. */
static double accuracy_of(const float *logits, const int64_t *labels, size_t count, size_t classes)
{
    size_t right = 0;
    for (size_t i = 0; i < count; i++) {
        size_t best = 0;
        for (size_t c = 1; c < classes; c++) {
            best = logits[i * classes + c] > logits[i * classes + best] ? c : best;
        }
        right += (int64_t)best == labels[i];
    }
    return 100.0 * (double)right / (double)count;
}

int main(int argc, char **argv)
{
    const char *weights = NULL, *images_path = NULL, *labels_path = NULL, *out = "logits.npy";
    const ex_option options[] = {
        {"model", EX_FILE, &weights, 0, 0, NULL, "weights (.safetensors)", true},
        {"images", EX_FILE, &images_path, 0, 0, NULL, "[n, C, H, W], u1 or f4 in [0, 1] (.npy)",
         true},
        {"labels", EX_FILE, &labels_path, 0, 0, NULL, "[n], to print the accuracy (.npy)", false},
        {"out", EX_OUT, &out, 0, 0, NULL, "logits [n, classes] f4 (default logits.npy)", false},
        {0},
    };
    ex_parse(argc, argv, "Computes logits of images.", options);

    amun_model *model = NULL;
    amun_context *ctx = ex_context();
    ex_images images;
    ex_check(amun_model_load(&model, ctx, weights));
    ex_images_open(&images, ctx, images_path, labels_path);

    size_t classes = (size_t)amun_model_classes(model);
    int64_t shape[2] = {(int64_t)images.count, (int64_t)classes};
    float *logits = ex_alloc(images.count * classes, sizeof *logits);
    amun_tensor_view view;
    ex_progress progress;
    ex_check(amun_tensor_view_init(&view, logits, AMUN_DTYPE_F32, 2, shape));
    ex_progress_begin(&progress, "%zu images", images.count);
    ex_check(amun_model_predict(model, &images.view, &view, &progress.call));
    ex_progress_end(&progress, "logits in %s", out);
    ex_check(amun_npy_write(ctx, out, &view));

    double accuracy = (double)NAN;
    if (images.labels != NULL) {
        accuracy = accuracy_of(logits, images.labels, images.count, classes);
        printf("accuracy %.2f %%\n", accuracy);
    }
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "predict");
    ex_json_text(&json, "arch", amun_model_arch(model));
    ex_json_text(&json, "logits", out);
    ex_json_int(&json, "count", (int64_t)images.count);
    ex_json_real(&json, "accuracy", accuracy);
    ex_json_real(&json, "seconds", progress.seconds);
    ex_json_close(&json);

    free(logits);
    ex_images_close(&images);
    amun_model_unref(model);
    amun_context_unref(ctx);
    return 0;
}
