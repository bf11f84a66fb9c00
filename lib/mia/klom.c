/* klom.c - KLOM: divergence between the score's distributions over many models. */
#include "core/sort.h"
#include "mia/ulira.h"

enum { BINS = 20 };

static double clipped(double v)
{
    return fmin(fmax(v, -100.0), 100.0);
}

/* Equal bins from low to high, the last closed on both sides. */
static void histogram(double share[BINS], const double *scores, size_t models, size_t n, size_t i,
                      double low, double high)
{
    for (int b = 0; b < BINS; b++) {
        share[b] = 0.0;
    }
    for (size_t m = 0; m < models; m++) {
        const double place = (clipped(scores[m * n + i]) - low) / (high - low) * BINS;
        const int bin = (int)fmin(place, BINS - 1);
        share[bin] += 1.0 / (double)models;
    }
}

static void widen(double *low, double *high, const double *scores, size_t models, size_t n,
                  size_t i)
{
    for (size_t m = 0; m < models; m++) {
        *low = fmin(*low, clipped(scores[m * n + i]));
        *high = fmax(*high, clipped(scores[m * n + i]));
    }
}

static double klom_of(const double *unlearned, size_t n_unlearned, const double *retrained,
                      size_t n_retrained, size_t n, size_t i)
{
    double low = INFINITY, high = -INFINITY, p[BINS], q[BINS], sum = 0.0;
    widen(&low, &high, unlearned, n_unlearned, n, i);
    widen(&low, &high, retrained, n_retrained, n, i);
    if (!(high > low)) {
        return 0.0; /* one value everywhere */
    }
    histogram(p, unlearned, n_unlearned, n, i, low, high);
    histogram(q, retrained, n_retrained, n, i, low, high);
    for (int b = 0; b < BINS; b++) {
        sum += p[b] > 0.0 ? p[b] * log(p[b] / (q[b] > 0.0 ? q[b] : 1e-5)) : 0.0;
    }
    return sum;
}

static amun_status check_scores(const double *values, size_t models, size_t n, const char *what)
{
    size_t total;
    if (values == NULL || models == 0 || n == 0 || !amun__mul_size(&total, models, n)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: %s, %zu models, %zu samples", what,
                          values == NULL ? "NULL" : "scores", models, n);
    }
    for (size_t k = 0; k < total; k++) {
        if (isnan(values[k])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is NaN", what, k);
        }
    }
    return AMUN_OK;
}

amun_status amun_distance_klom(double *mean, double *p95, double *rows, const double *unlearned,
                               size_t n_unlearned, const double *retrained, size_t n_retrained,
                               size_t n)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    double *values = NULL;
    AMUN__TRY(check_scores(unlearned, n_unlearned, n, "unlearned"));
    AMUN__TRY(check_scores(retrained, n_retrained, n, "retrained"));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__alloc(ctx, &values, n, sizeof *values));
    for (size_t i = 0; i < n; i++) {
        values[i] = klom_of(unlearned, n_unlearned, retrained, n_retrained, n, i);
    }
    if (rows != NULL) {
        memcpy(rows, values, n * sizeof *rows);
    }
    if (mean != NULL) {
        amun__mean_sd(values, n, mean, NULL);
    }
    if (p95 != NULL) {
        amun__sort_f64(values, n);
        const double place = 0.95 * (double)(n - 1);
        const size_t below = (size_t)place, above = below + 1 < n ? below + 1 : below;
        *p95 = values[below] + (place - (double)below) * (values[above] - values[below]);
    }
fail:
    amun__free(ctx, values);
    amun_context_unref(ctx);
    return status;
}
