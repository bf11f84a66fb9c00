/* fuzz_advset.c - the reader of adversarial sets, over three images of 2x2. The sets in the corpus
 * were built for them by the library itself, with a linear model. */
#include "attack/attack_private.h"
#include "fuzz.h"

static amun_dataset *three_images(amun_context *ctx)
{
    static const uint8_t pixels[3][4] = {{10, 200, 30, 90}, {250, 0, 128, 7}, {60, 61, 62, 63}};
    static const int64_t labels[3] = {0, 1, 1}, image_shape[4] = {3, 1, 2, 2}, label_shape[1] = {3};
    amun_dataset *data = NULL;
    amun_tensor_view images, classes;
    fuzz_check(
        amun_tensor_view_init(&images, (void *)(uintptr_t)pixels, AMUN_DTYPE_U8, 4, image_shape));
    fuzz_check(
        amun_tensor_view_init(&classes, (void *)(uintptr_t)labels, AMUN_DTYPE_I64, 1, label_shape));
    fuzz_check(amun_dataset_open_view(&data, ctx, &images, &classes, 2, NULL, NULL));
    return data;
}

static void use(const amun_advset *set)
{
    const amun_attack_record *records = amun_advset_records(set);
    size_t found = 0;
    for (size_t i = 0; i < amun_advset_count(set); i++) {
        float image[4];
        bool there = amun_advset_image(set, i, image) == AMUN_OK;
        found += there;
        if (there != (records[i].outcome == AMUN_ATTACK_FLIPPED)) {
            abort();
        }
    }
    if (found != amun_advset_found(set)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amun_context *ctx = fuzz_context(data, size);
    amun_dataset *images = ctx != NULL ? three_images(ctx) : NULL;
    amun__safetensors *file = NULL;
    amun_advset *set = NULL;
    if (images != NULL) {
        amun__enter();
        amun_status status = amun__safetensors_parse(&file, ctx, data, size, "input");
        if (status == AMUN_OK) {
            status = amun__advset_read(&set, ctx, images, file, "input");
        }
        fuzz_check(status);
        if ((status == AMUN_OK) != (set != NULL)) {
            abort();
        }
    }
    if (set != NULL) {
        use(set);
    }
    amun_advset_unref(set);
    amun__safetensors_close(file);
    amun_dataset_unref(images);
    amun_context_unref(ctx);
    return 0;
}
