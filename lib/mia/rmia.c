/* rmia.c - the published inclusion matrix, and RMIA scores in O(n log n). */
#include <stdlib.h>

#include "core/sort.h"
#include "mia/audit.h"

/* ---- which reference model trained on what --------------------------------------------------- */

typedef struct ranked {
    double value;
    size_t index;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index; /* stable */
}

/* Uniforms [models][n] drawn row by row; in each column argsort over the models, and
 * keep[r][c] = argsort[r][c] < models / 2: half of the models train on each sample. */
amun_status amun__rmia_inclusion(amun_context *ctx, uint8_t *included, size_t models, size_t n,
                                 uint32_t seed)
{
    if (models < 2 || models % 2 != 0 || n == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "inclusion matrix of %zu models and %zu samples: the models must be an "
                          "even number, the samples at least one",
                          models, n);
    }
    amun_status status = AMUN_OK;
    double *uniforms = NULL;
    ranked *column = NULL;
    size_t total;
    if (!amun__mul_size(&total, models, n)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "inclusion matrix of %zu x %zu is too large", models,
                   n);
    }
    AMUN__TRY(amun__alloc(ctx, &uniforms, total, sizeof *uniforms));
    AMUN__TRY(amun__alloc(ctx, &column, models, sizeof *column));
    amun__mt19937 mt;
    amun__mt19937_seed(&mt, seed);
    for (size_t i = 0; i < total; i++) {
        uniforms[i] = amun__mt19937_uniform(&mt);
    }
    for (size_t c = 0; c < n; c++) {
        for (size_t r = 0; r < models; r++) {
            column[r] = (ranked){uniforms[r * n + c], r};
        }
        qsort(column, models, sizeof *column, compare_ranked);
        for (size_t r = 0; r < models; r++) {
            included[r * n + c] = column[r].index < models / 2;
        }
    }
fail:
    amun__free(ctx, column);
    amun__free(ctx, uniforms);
    return status;
}

amun_status amun_rmia_inclusion(uint8_t *included, size_t models, size_t n, uint32_t seed)
{
    amun__enter();
    if (included == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "included is NULL");
    }
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    amun_status status = amun__rmia_inclusion(ctx, included, models, n, seed);
    amun_context_unref(ctx);
    return status;
}

/* ---- P(x): the reference mean ---------------------------------------------------------------- */

/* Mean of the values left when floor(trim * count) are cut at each end. */
static double trimmed_mean(double *values, size_t count, double trim)
{
    size_t cut = (size_t)(trim * (double)count);
    if (cut > 0) {
        amun__sort_f64(values, count);
    }
    double sum = 0.0;
    for (size_t i = cut; i < count - cut; i++) {
        sum += values[i];
    }
    return sum / (double)(count - 2 * cut);
}

/* Online: the plain mean over all references, half of which saw x. Offline: only those that did
 * not, P_out, scaled to P = ((1 + a) P_out + 1 - a) / 2 (arXiv 2312.03262, appendix B.2.2). */
static amun_status reference_mean(double *mean, double *column, const double *references,
                                  const uint8_t *included, size_t models, size_t n, size_t sample,
                                  const amun_rmia_options *opts)
{
    bool offline = opts->mode == AMUN_RMIA_OFFLINE;
    size_t count = 0;
    for (size_t m = 0; m < models; m++) {
        double value = references[m * n + sample];
        if (!isfinite(value)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "references: model %zu, sample %zu is %g", m,
                              sample, value);
        }
        if (!offline || !included[m * n + sample]) {
            column[count++] = value;
        }
    }
    if (count == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "included: all %zu models trained on sample %zu, the offline score needs "
                          "one that did not",
                          models, sample);
    }
    *mean = trimmed_mean(column, count, opts->trim);
    if (offline) {
        *mean = 0.5 * ((1.0 + opts->offline_a) * *mean + 1.0 - opts->offline_a);
    }
    return AMUN_OK;
}

/* r(x) = s(x) / P(x), arXiv 2312.03262, equation 3. */
static amun_status ratios(amun_context *ctx, double *r, const double *target,
                          const double *references, const uint8_t *included, size_t models,
                          size_t n, const amun_rmia_options *opts)
{
    amun_status status = AMUN_OK;
    double *column = NULL;
    AMUN__TRY(amun__alloc(ctx, &column, models, sizeof *column));
    for (size_t i = 0; i < n; i++) {
        double mean = 0.0;
        AMUN__TRY(reference_mean(&mean, column, references, included, models, n, i, opts));
        r[i] = target[i] / mean;
        if (!isfinite(r[i])) {
            AMUN__FAIL(AMUN_ERROR_NUMERIC, "sample %zu: target %g over the reference mean %g", i,
                       target[i], mean);
        }
    }
fail:
    amun__free(ctx, column);
    return status;
}

/* ---- the score ------------------------------------------------------------------------------- */

/* How many of the ascending z satisfy r / z > gamma. Multiplied out, so that one monotone predicate
 * decides: for z > 0 it is gamma * z < r, for z < 0 the inequality turns, and z = 0 counts as the
 * smallest positive number. Ratios are negative only for truncated Taylor signals. */
static size_t count_dominated(const double *z, size_t n, size_t first_zero, size_t first_positive,
                              double r, double gamma)
{
    size_t count = 0;
    if (r < 0.0) { /* z < 0 with gamma * z > r: the end of the negative ones */
        size_t lo = 0, hi = first_zero;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (gamma * z[mid] > r) {
                hi = mid;
            } else {
                lo = mid + 1;
            }
        }
        count = first_zero - lo;
    } else if (r >
               0.0) { /* all zeros, and z > 0 with gamma * z < r: the start of the positive ones */
        size_t lo = first_positive, hi = n;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (gamma * z[mid] < r) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        count = lo - first_zero;
    }
    return count;
}

/* score(x) = share of z, other than x, with r(x) / r(z) > gamma (equation 4). As gamma >= 1 and the
 * inequality is strict, x never counts against itself; it only has to leave the denominator. */
static amun_status dominated_shares(double *scores, const double *r, const double *sorted,
                                    size_t n_sorted, const uint8_t *population, size_t n,
                                    double gamma)
{
    size_t first_zero = 0;
    while (first_zero < n_sorted && sorted[first_zero] < 0.0) {
        first_zero++;
    }
    size_t first_positive = first_zero;
    while (first_positive < n_sorted && sorted[first_positive] <= 0.0) {
        first_positive++;
    }
    for (size_t i = 0; i < n; i++) {
        bool self = population == NULL || population[i];
        size_t others = n_sorted - (self ? 1 : 0);
        if (others == 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "population: nobody left to compare sample %zu with", i);
        }
        scores[i] =
            (double)count_dominated(sorted, n_sorted, first_zero, first_positive, r[i], gamma) /
            (double)others;
    }
    return AMUN_OK;
}

amun_status amun__rmia_scores(amun_context *ctx, double *scores, const double *target,
                              const double *references, const uint8_t *included,
                              const uint8_t *population, size_t models, size_t n,
                              const amun_rmia_options *opts)
{
    amun_status status = AMUN_OK;
    double *r = NULL, *sorted = NULL;
    size_t n_sorted = 0;
    AMUN__TRY(amun__alloc(ctx, &r, n, sizeof *r));
    AMUN__TRY(amun__alloc(ctx, &sorted, n, sizeof *sorted));
    AMUN__TRY(ratios(ctx, r, target, references, included, models, n, opts));
    for (size_t i = 0; i < n; i++) {
        if (population == NULL || population[i]) {
            sorted[n_sorted++] = r[i];
        }
    }
    if (n_sorted == 0) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "population: none of the %zu samples is in it", n);
    }
    amun__sort_f64(sorted, n_sorted);
    AMUN__TRY(dominated_shares(scores, r, sorted, n_sorted, population, n, opts->gamma));
fail:
    amun__free(ctx, sorted);
    amun__free(ctx, r);
    return status;
}

amun_status amun_rmia_scores(double *scores, const double *target, const double *references,
                             const uint8_t *included, const uint8_t *population, size_t models,
                             size_t n, const amun_rmia_options *opts)
{
    amun__enter();
    if (scores == NULL || target == NULL || references == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL",
                          scores == NULL   ? "scores"
                          : target == NULL ? "target"
                                           : "references");
    }
    amun_rmia_options o;
    AMUN__CHECK(amun__rmia_options_read(&o, opts));
    size_t total;
    if (models == 0 || n == 0 || !amun__mul_size(&total, models, n)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "RMIA with %zu models and %zu samples: both must be positive", models, n);
    }
    if (o.mode == AMUN_RMIA_OFFLINE && included == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "included is NULL in offline mode");
    }
    if (o.signal == AMUN_SIGNAL_LOG_LOGIT) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "signal: log_logit is a logarithm, RMIA needs ratios of probabilities");
    }
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    amun_status status =
        amun__rmia_scores(ctx, scores, target, references, included, population, models, n, &o);
    amun_context_unref(ctx);
    return status;
}
