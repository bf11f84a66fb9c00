/* bench_start.c - for compare_start.py: a program of its own that loads a model from a file,
 * predicts for one image and says so. Public interface only, as a user's program would be.
 *
 *   bench_start WEIGHTS IMAGES THREADS    prints the class of the first image of an .npy file */
#include <stdio.h>
#include <stdlib.h>

#include "amun/amun.h"

enum { MOST_CLASSES = 1000, MOST_VALUES = 3 * 224 * 224 };

static void must(amun_status status)
{
    if (status != AMUN_OK) {
        (void)fprintf(stderr, "bench_start: %s\n", amun_last_error_message());
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static float image[MOST_VALUES], logits[MOST_CLASSES];
    amun_context_options how;
    amun_context *ctx = NULL;
    amun_model *model = NULL;
    amun_tensor_view in, out;
    int64_t shape[3];
    if (argc != 4) {
        (void)fprintf(stderr, "bench_start: WEIGHTS IMAGES THREADS\n");
        return 2;
    }
    must(amun_context_options_init(&how, sizeof how));
    how.threads = (int32_t)strtol(argv[3], NULL, 10);
    must(amun_context_create(&ctx, &how));
    must(amun_model_load(&model, ctx, argv[1]));
    must(amun_model_shape(model, shape));
    int64_t classes = amun_model_classes(model);
    if (shape[0] * shape[1] * shape[2] > MOST_VALUES || classes > MOST_CLASSES) {
        (void)fprintf(stderr, "bench_start: the model is too large\n");
        return 2;
    }
    amun_dataset *images = NULL;
    must(amun_dataset_open_npy(&images, ctx, argv[2], NULL));
    must(amun_dataset_read(images, 0, 1, image));
    must(amun_tensor_view_init(&in, image, AMUN_DTYPE_F32, 4,
                               (const int64_t[]){1, shape[0], shape[1], shape[2]}));
    must(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, (const int64_t[]){1, classes}));
    must(amun_model_predict(model, &in, &out, NULL));
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    (void)printf("%lld\n", (long long)best);
    (void)fflush(stdout);
    amun_dataset_unref(images);
    amun_model_unref(model);
    amun_context_unref(ctx);
    return 0;
}
