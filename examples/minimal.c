#include <amun/amun.h>
#include <stdio.h>

#define TRY(call)                                                                                  \
    if ((call) != AMUN_OK)                                                                         \
    return fprintf(stderr, "%s\n", amun_last_error_message()), 1

int main(int argc, char **argv) /* minimal IMAGES.idx LABELS.idx: train, then forget 90 samples */
{
    amun_context *ctx;
    amun_dataset *data;
    amun_model *model;
    amun_attack *search;
    amun_advset *nearest;
    int64_t forget[90];
    double before, after;
    amun_model_options shape = {.struct_size = 0};
    amun_train_options recipe = {.struct_size = 0};

    TRY(amun_context_create(&ctx, NULL));
    TRY(amun_dataset_open_idx(&data, ctx, argc > 2 ? argv[1] : "", argc > 2 ? argv[2] : ""));
    TRY(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1, shape.height = shape.width = 8;
    TRY(amun_model_create(&model, ctx, "digits", &shape));
    TRY(amun_train_options_init(&recipe, sizeof recipe));
    recipe.epochs = 10, recipe.augment_pad = recipe.augment_flip = 0;
    TRY(amun_train_run(NULL, model, data, NULL, 0, &recipe, NULL));

    TRY(amun_forget_indices(forget, 90, amun_dataset_count(data), 1)); /* which ones */
    TRY(amun_model_evaluate(NULL, &before, model, data, forget, 90, NULL));
    TRY(amun_attack_create_search(&search, ctx, NULL));
    TRY(amun_advset_build(&nearest, search, model, data, forget, 90, NULL));
    TRY(amun_unlearn_run(NULL, model, data, forget, 90, nearest, NULL, NULL)); /* AMUN */
    TRY(amun_model_evaluate(NULL, &after, model, data, forget, 90, NULL));
    printf("loss on the forgotten samples: %.4f before, %.4f after\n", before, after);
    TRY(amun_model_save(model, "forgetful.safetensors"));
    amun_advset_unref(nearest), amun_attack_unref(search), amun_model_unref(model);
    amun_dataset_unref(data), amun_context_unref(ctx);
    return 0;
}
