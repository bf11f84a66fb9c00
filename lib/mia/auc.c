/* auc.c - area under the ROC curve and points on it, exact with ties. */
#include <stdlib.h>

#include "mia/audit.h"

typedef struct scored {
    double score;
    int32_t positive;
} scored;

static int descending(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static amun_status check_scores(const double *scores, size_t n, const char *what)
{
    if (scores == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    if (n == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: empty", what);
    }
    for (size_t i = 0; i < n; i++) {
        if (isnan(scores[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: score %zu is NaN", what, i);
        }
    }
    return AMUN_OK;
}

/* Both groups in one list, highest score first. */
static amun_status merge(amun_context *ctx, scored **out, size_t *count, const double *positives,
                         size_t n_positives, const double *negatives, size_t n_negatives)
{
    *out = NULL;
    AMUN__CHECK(check_scores(positives, n_positives, "positives"));
    AMUN__CHECK(check_scores(negatives, n_negatives, "negatives"));
    if (!amun__add_size(count, n_positives, n_negatives)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu and %zu scores are too many", n_positives,
                          n_negatives);
    }
    scored *list = NULL;
    AMUN__CHECK(amun__alloc(ctx, &list, *count, sizeof *list));
    for (size_t i = 0; i < n_positives; i++) {
        list[i] = (scored){positives[i], 1};
    }
    for (size_t i = 0; i < n_negatives; i++) {
        list[n_positives + i] = (scored){negatives[i], 0};
    }
    qsort(list, *count, sizeof *list, descending);
    *out = list;
    return AMUN_OK;
}

/* Mann-Whitney: the share of (positive, negative) pairs in the right order, a tie counting half.
 * That is the sum of mid-ranks of the positives less its minimum, over the number of pairs. */
amun_status amun__auc_compute(amun_context *ctx, double *auc, const double *positives,
                              size_t n_positives, const double *negatives, size_t n_negatives)
{
    scored *list = NULL;
    size_t count = 0;
    AMUN__CHECK(merge(ctx, &list, &count, positives, n_positives, negatives, n_negatives));
    double wins = 0.0, above = 0.0; /* positives that were seen with a higher score */
    for (size_t i = 0; i < count;) {
        double tied_positives = 0.0, tied_negatives = 0.0;
        double score = list[i].score;
        for (; i < count && list[i].score == score; i++) {
            tied_positives += list[i].positive;
            tied_negatives += 1 - list[i].positive;
        }
        wins += tied_negatives * (above + 0.5 * tied_positives);
        above += tied_positives;
    }
    *auc = wins / ((double)n_positives * (double)n_negatives);
    amun__free(ctx, list);
    return AMUN_OK;
}

/* ROC points are the states after each group of equal scores, and the origin. */
amun_status amun__tpr_at_fpr(amun_context *ctx, double *tpr, const double *positives,
                             size_t n_positives, const double *negatives, size_t n_negatives,
                             double fpr)
{
    scored *list = NULL;
    size_t count = 0;
    if (!(fpr >= 0.0 && fpr <= 1.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "fpr: %g is outside [0, 1]", fpr);
    }
    AMUN__CHECK(merge(ctx, &list, &count, positives, n_positives, negatives, n_negatives));
    size_t hits = 0, alarms = 0, best = 0;
    for (size_t i = 0; i < count;) {
        double score = list[i].score;
        for (; i < count && list[i].score == score; i++) {
            hits += (size_t)list[i].positive;
            alarms += (size_t)(1 - list[i].positive);
        }
        if ((double)alarms / (double)n_negatives > fpr) {
            break;
        }
        best = hits;
    }
    *tpr = (double)best / (double)n_positives;
    amun__free(ctx, list);
    return AMUN_OK;
}

/* Among "score >= threshold" of each score, and "nothing" (infinity), the highest threshold whose
 * |TPR + FPR - 1| is least; the rates there. */
amun_status amun__equal_error(amun_context *ctx, double *threshold, double *tpr, double *fpr,
                              const double *positives, size_t n_positives, const double *negatives,
                              size_t n_negatives)
{
    scored *list = NULL;
    size_t count = 0;
    AMUN__CHECK(merge(ctx, &list, &count, positives, n_positives, negatives, n_negatives));
    double least = 1.0, hits = 0.0, alarms = 0.0;
    *threshold = INFINITY;
    *tpr = *fpr = 0.0;
    for (size_t i = 0; i < count;) {
        const double score = list[i].score;
        for (; i < count && list[i].score == score; i++) {
            hits += list[i].positive;
            alarms += 1 - list[i].positive;
        }
        const double t = hits / (double)n_positives, f = alarms / (double)n_negatives;
        if (fabs(t + f - 1.0) < least) {
            least = fabs(t + f - 1.0);
            *threshold = score;
            *tpr = t;
            *fpr = f;
        }
    }
    amun__free(ctx, list);
    return AMUN_OK;
}

amun_status amun_auc_compute(double *auc, const double *positives, size_t n_positives,
                             const double *negatives, size_t n_negatives)
{
    amun__enter();
    if (auc == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "auc is NULL");
    }
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    amun_status status =
        amun__auc_compute(ctx, auc, positives, n_positives, negatives, n_negatives);
    amun_context_unref(ctx);
    return status;
}

amun_status amun_tpr_at_fpr(double *tpr, const double *positives, size_t n_positives,
                            const double *negatives, size_t n_negatives, double fpr)
{
    amun__enter();
    if (tpr == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "tpr is NULL");
    }
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    amun_status status =
        amun__tpr_at_fpr(ctx, tpr, positives, n_positives, negatives, n_negatives, fpr);
    amun_context_unref(ctx);
    return status;
}
