/* check.c - the two-sided check: do forget samples look like samples that were never seen? */
#include "amun/audit.h"
#include "amun/select.h"
#include "core/sort.h"
#include "data/data.h"
#include "mia/audit.h"
#include "train/train.h"

/* How many of the sorted values are below `value`, plus half of those equal to it. */
static double rank_among(const double *sorted, size_t count, double value)
{
    size_t below = 0, up = count;
    while (below < up) { /* first that is not below */
        size_t middle = below + (up - below) / 2;
        if (sorted[middle] < value) {
            below = middle + 1;
        } else {
            up = middle;
        }
    }
    size_t end = below;
    up = count;
    while (end < up) { /* first that is above */
        size_t middle = end + (up - end) / 2;
        if (sorted[middle] <= value) {
            end = middle + 1;
        } else {
            up = middle;
        }
    }
    return (double)below + 0.5 * (double)(end - below);
}

/* Mean and sample variance of each positive's share of negatives below it: the structural
 * components of DeLong, DeLong and Clarke-Pearson. `low` swaps the roles. */
static void components(const double *values, size_t n, const double *sorted, size_t m, bool low,
                       double *mean, double *variance)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        double share = rank_among(sorted, m, values[i]) / (double)m;
        sum += low ? 1.0 - share : share;
    }
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double share = rank_among(sorted, m, values[i]) / (double)m;
        double off = (low ? 1.0 - share : share) - *mean;
        squares += off * off;
    }
    *variance = squares / (double)(n - 1);
}

/* Normal quantile of a two-sided confidence: erf(z / sqrt 2) = confidence, by bisection. */
static double quantile(double confidence)
{
    double low = 0.0, high = 40.0;
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        if (erf(middle * M_SQRT1_2) < confidence) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

static amun_status check_group(const double *scores, size_t n, const char *what)
{
    if (scores == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    if (n < 2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: %zu scores, expected at least 2", what,
                          n);
    }
    for (size_t i = 0; i < n; i++) {
        if (isnan(scores[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: score %zu is NaN", what, i);
        }
    }
    return AMUN_OK;
}

static void judge(amun_forget_check *check, double auc, double variance, double confidence)
{
    const double z = quantile(confidence), error = sqrt(variance);
    check->auc = 100.0 * auc;
    check->error = 100.0 * error;
    check->low = 100.0 * (auc - z * error);
    check->high = 100.0 * (auc + z * error);
    double off = fabs(auc - 0.5);
    check->p = off == 0.0 ? 1.0 : error > 0.0 ? erfc(off / error * M_SQRT1_2) : 0.0;
    check->verdict = check->low > 50.0    ? AMUN_VERDICT_UNDER
                     : check->high < 50.0 ? AMUN_VERDICT_OVER
                                          : AMUN_VERDICT_CONSISTENT;
}

static amun_status check_groups(amun_context *ctx, amun_forget_check *check, const double *forget,
                                size_t n_forget, const double *unseen, size_t n_unseen,
                                double confidence)
{
    double *sorted[2] = {NULL, NULL}, auc = 0.0, mirror = 0.0, variances[2] = {0.0, 0.0};
    amun_status status = AMUN_OK;
    if (!(confidence > 0.0 && confidence < 1.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "confidence: %g is outside (0, 1)",
                          confidence);
    }
    AMUN__CHECK(check_group(forget, n_forget, "forget"));
    AMUN__CHECK(check_group(unseen, n_unseen, "unseen"));
    AMUN__TRY(amun__alloc(ctx, &sorted[0], n_forget, sizeof *forget));
    AMUN__TRY(amun__alloc(ctx, &sorted[1], n_unseen, sizeof *unseen));
    memcpy(sorted[0], forget, n_forget * sizeof *forget);
    memcpy(sorted[1], unseen, n_unseen * sizeof *unseen);
    amun__sort_f64(sorted[0], n_forget);
    amun__sort_f64(sorted[1], n_unseen);
    components(forget, n_forget, sorted[1], n_unseen, false, &auc, &variances[0]);
    components(unseen, n_unseen, sorted[0], n_forget, true, &mirror, &variances[1]);
    judge(check, auc, variances[0] / (double)n_forget + variances[1] / (double)n_unseen,
          confidence);
fail:
    amun__free(ctx, sorted[0]);
    amun__free(ctx, sorted[1]);
    return status;
}

amun_status amun_forget_check_scores(amun_forget_check *result, const double *forget,
                                     size_t n_forget, const double *unseen, size_t n_unseen,
                                     double confidence)
{
    amun__enter();
    amun_forget_check check = {.struct_size = sizeof check};
    AMUN__CHECK(amun__result_write(result, &check, sizeof check, "result"));
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    amun_status status = check_groups(ctx, &check, forget, n_forget, unseen, n_unseen, confidence);
    amun_context_unref(ctx);
    AMUN__CHECK(status);
    return amun__result_write(result, &check, sizeof check, "result");
}

/* ---- on a model ------------------------------------------------------------------------------ */

/* phi of the named images (indices NULL: the first `count`). Caller holds begin_read. */
static amun_status phi_of(const amun_model *model, const amun_dataset *data, const int64_t *indices,
                          size_t count, amun__progress_state *progress, double *phi)
{
    amun_context *ctx = amun__model_context(model);
    size_t classes = (size_t)amun_model_classes(model), cells = 0;
    int64_t *labels = NULL;
    float *logits = NULL;
    amun_tensor_view view, label_view;
    amun_status status = AMUN_OK;
    if (!amun__mul_size(&cells, count, classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "logits of %zu images are too many", count);
    }
    AMUN__TRY(amun__alloc(ctx, &logits, cells, sizeof *logits));
    AMUN__TRY(amun__alloc(ctx, &labels, count, sizeof *labels));
    for (size_t i = 0; i < count; i++) {
        labels[i] = amun__dataset_label(data, indices != NULL ? (size_t)indices[i] : i);
    }
    AMUN__TRY(amun__eval_logits(model, data, indices, count, logits, progress, "check"));
    AMUN__TRY(amun_tensor_view_init(&view, logits, AMUN_DTYPE_F32, 2,
                                    (int64_t[]){(int64_t)count, (int64_t)classes}));
    AMUN__TRY(
        amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_I64, 1, (int64_t[]){(int64_t)count}));
    AMUN__TRY(amun_ulira_phi(phi, &view, &label_view));
fail:
    amun__free(ctx, logits);
    amun__free(ctx, labels);
    return status;
}

/* Labelled images of the model's shape, good indices; *count as it is meant. */
static amun_status check_data(const amun_model *model, const amun_dataset *data,
                              const int64_t *indices, size_t *count, const char *what)
{
    amun__dataset_info info;
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, what));
    amun__dataset_info_get(data, &info);
    if (info.classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "%s: the data set has no labels", what);
    }
    AMUN__CHECK(amun__train_check_shape(model, data, what));
    if (indices == NULL && *count == 0) {
        *count = info.count;
        return AMUN_OK;
    }
    return amun__indices_check(amun__model_context(model), indices, *count, info.count, false,
                               what);
}

static amun_status check_on(amun_forget_check *check, const amun_model *model,
                            const amun_dataset *train, const int64_t *forget, size_t count,
                            const amun_dataset *unseen, const int64_t *indices, size_t unseen_count,
                            double confidence, amun__progress_state *progress)
{
    amun_context *ctx = amun__model_context(model);
    double *phi[2] = {NULL, NULL};
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__alloc(ctx, &phi[0], count, sizeof(double)));
    AMUN__TRY(amun__alloc(ctx, &phi[1], unseen_count, sizeof(double)));
    AMUN__TRY(phi_of(model, train, forget, count, progress, phi[0]));
    AMUN__TRY(phi_of(model, unseen, indices, unseen_count, progress, phi[1]));
    AMUN__TRY(check_groups(ctx, check, phi[0], count, phi[1], unseen_count, confidence));
fail:
    amun__free(ctx, phi[0]);
    amun__free(ctx, phi[1]);
    return status;
}

amun_status amun_forget_check_model(amun_forget_check *result, const amun_model *model,
                                    const amun_dataset *train, const int64_t *forget, size_t count,
                                    const amun_dataset *unseen, const int64_t *indices,
                                    size_t unseen_count, double confidence,
                                    const amun_call_options *call)
{
    amun__enter();
    amun__progress_state progress;
    amun_forget_check check = {.struct_size = sizeof check};
    AMUN__CHECK(amun__result_write(result, &check, sizeof check, "result"));
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    if (forget == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "forget is NULL");
    }
    AMUN__CHECK(check_data(model, train, forget, &count, "forget set"));
    AMUN__CHECK(check_data(model, unseen, indices, &unseen_count, "unseen"));
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = check_on(&check, model, train, forget, count, unseen, indices,
                                  unseen_count, confidence, &progress);
    amun__model_end_read(model);
    AMUN__CHECK(status);
    return amun__result_write(result, &check, sizeof check, "result");
}
