/* predict.c - logits of images in a .npy file, as a .npy file. */
#include "views.h"

int main(int argc, char **argv)
{
    const char *weights = NULL, *images_path = NULL, *labels_path = NULL, *out = "logits.npy";
    const char *views = "1";
    const ex_option options[] = {
        {"model", EX_FILE, &weights, 0, 0, NULL, "weights (.safetensors)", true},
        {"images", EX_FILE, &images_path, 0, 0, NULL, "[n, C, H, W], u1 or f4 in [0, 1] (.npy)",
         true},
        {"labels", EX_FILE, &labels_path, 0, 0, NULL, "[n], to print the accuracy (.npy)", false},
        {"views", EX_CHOICE, &views, 0, 0, EX_VIEWS_CHOICES,
         "mean logits of an image alone (default), with its mirror image, with both moved by a\n"
         "                            pixel each way",
         false},
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
    ex_views_predict(model, images.values, images.count, images.view.shape + 1, atoi(views), logits,
                     &progress);
    ex_progress_end(&progress, "logits in %s", out);
    ex_check(amun_npy_write(ctx, out, &view));

    double accuracy = (double)NAN;
    if (images.labels != NULL) {
        accuracy = ex_accuracy(logits, images.labels, images.count, classes);
        printf("accuracy %.2f %%\n", accuracy);
    }
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "predict");
    ex_json_text(&json, "arch", amun_model_arch(model));
    ex_json_text(&json, "logits", out);
    ex_json_int(&json, "views", atoi(views));
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
