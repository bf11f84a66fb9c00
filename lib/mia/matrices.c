/* matrices.c - features with labels, saved ones or those of a model, for the audits that look
 * inside. */
#include "data/data.h"
#include "mia/classes.h"
#include "train/train.h"
#include "unlearn/trw_views.h"

void amun__matrix_free(amun_context *ctx, amun__matrix *m)
{
    amun__free(ctx, m->label);
    amun__free(ctx, m->x);
    *m = (amun__matrix){0};
}

amun_status amun__matrix_read(amun_context *ctx, amun__matrix *m, const amun_tensor_view *features,
                              const amun_tensor_view *labels, const char *what, size_t classes)
{
    AMUN__CHECK(amun__trw_matrix_check(features, what, 1, &m->n, &m->width));
    AMUN__CHECK(amun__trw_matrix_read(ctx, features, what, &m->x));
    amun_status status = amun__labels_read(ctx, &m->label, labels, "labels", m->n, classes);
    return status == AMUN_OK ? status : amun__fail_within(status, "%s", what);
}

/* Labels first: they are cheap, and may be wrong. */
static amun_status take_labels(amun__matrix *m, amun_context *ctx, const amun_dataset *data,
                               const int64_t *indices, const char *what, size_t classes)
{
    AMUN__CHECK(amun__alloc(ctx, &m->label, m->n, sizeof *m->label));
    for (size_t i = 0; i < m->n; i++) {
        const size_t image = indices != NULL ? (size_t)indices[i] : i;
        m->label[i] = amun__dataset_label(data, image);
        if (m->label[i] < 0 || (uint64_t)m->label[i] >= classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "%s: label %lld of image %zu is outside 0..%zu", what,
                              (long long)m->label[i], image, classes - 1);
        }
    }
    return AMUN_OK;
}

amun_status amun__matrix_take(amun__matrix *m, const amun_model *model, const amun_dataset *data,
                              const int64_t *indices, size_t count, const char *what, int32_t stage,
                              size_t classes, amun__progress_state *progress)
{
    amun_context *ctx = amun__model_context(model);
    amun_status status = AMUN_OK;
    float *features = NULL;
    int64_t width = 0;
    size_t values = 0;
    m->n = indices != NULL ? count : amun_dataset_count(data);
    AMUN__TRY(amun__train_check_shape(model, data, what));
    AMUN__TRY(take_labels(m, ctx, data, indices, what, classes));
    AMUN__TRY(amun_features_width(&width, model, stage));
    m->width = (size_t)width;
    if (!amun__mul_size(&values, m->n, m->width)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "features of %zu images are too many", m->n);
    }
    AMUN__TRY(amun__alloc(ctx, &features, values, sizeof *features));
    AMUN__TRY(amun__alloc(ctx, &m->x, values, sizeof *m->x));
    AMUN__TRY(amun__features(features, model, data, indices, m->n, stage, progress));
    for (size_t k = 0; k < values; k++) {
        m->x[k] = (double)features[k];
    }
fail:
    amun__free(ctx, features);
    return status;
}

amun_status amun__classes_of(const amun_dataset *train, const amun_dataset *test, size_t *classes)
{
    const amun_dataset *const sets[2] = {train, test};
    const char *const names[2] = {"train", "test"};
    amun__dataset_info info[2];
    for (int k = 0; k < 2; k++) {
        AMUN__CHECK(amun__object_check(sets[k], AMUN__TAG_DATASET, names[k]));
        amun__dataset_info_get(sets[k], &info[k]);
        if (info[k].classes == 0) {
            return amun__fail(AMUN_ERROR_STATE, "%s: the data set has no labels", names[k]);
        }
    }
    *classes = (size_t)info[0].classes;
    return AMUN_OK;
}
