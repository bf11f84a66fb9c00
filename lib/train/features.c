/* features.c - features of images at a stage of a network. */
#include "data/data.h"
#include "nn/prefix.h"
#include "train/train.h"

amun_status amun_features_width(int64_t *width, const amun_model *model, int32_t stage)
{
    amun__enter();
    amun_model *prefix = NULL;
    if (width == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "width is NULL");
    }
    *width = 0;
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = amun__prefix_stage(&prefix, model, stage);
    amun__model_end_read(model);
    AMUN__CHECK(status);
    *width = amun_model_classes(prefix);
    amun_model_unref(prefix);
    return AMUN_OK;
}

amun_status amun__features(float *features, const amun_model *model, const amun_dataset *data,
                           const int64_t *indices, size_t count, int32_t stage,
                           amun__progress_state *progress)
{
    amun_model *prefix = NULL;
    AMUN__CHECK(amun__prefix_stage(&prefix, model, stage));
    amun_status status =
        amun__eval_logits(prefix, data, indices, count, features, progress, "features");
    amun_model_unref(prefix);
    return status;
}

amun_status amun_features_compute(float *features, const amun_model *model,
                                  const amun_dataset *data, const int64_t *indices, size_t count,
                                  int32_t stage, const amun_call_options *call)
{
    amun__enter();
    amun__progress_state progress;
    if (features == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "features is NULL");
    }
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, "data"));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(amun__train_check_shape(model, data, "data"));
    if (indices == NULL && count == 0) {
        count = amun_dataset_count(data);
    } else if (indices == NULL || count == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "indices: %s, count %zu",
                          indices == NULL ? "NULL" : "a list", count);
    }
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = amun__features(features, model, data, indices, count, stage, &progress);
    amun__model_end_read(model);
    return status;
}
