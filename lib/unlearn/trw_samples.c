/* trw_samples.c - how similar the retained classes are to single forget samples, by features: to
 * the means of the classes, or by the classes of the nearest retained samples. */
#include "core/linalg.h"
#include "unlearn/trw.h"

/* ---- opening -------------------------------------------------------------------------------- */

/* Length 1; a row of zeroes has no direction. */
static amun_status normalise(const float *row, size_t d, float *out, const char *what, size_t index)
{
    double length = sqrt(amun__dot_f32(row, row, d));
    if (!(length > 0.0) || !isfinite(length)) {
        return amun__fail(AMUN_ERROR_NUMERIC,
                          "%s: the length of row %zu is %g, so that it has no "
                          "direction",
                          what, index, length);
    }
    for (size_t k = 0; k < d; k++) {
        out[k] = (float)((double)row[k] / length);
    }
    return AMUN_OK;
}

static amun_status open_neighbours(amun__trw_samples *s)
{
    amun_context *ctx = s->classes->ctx;
    size_t room = 0, places = 0, k = (size_t)s->options->neighbours;
    if (!amun__mul_size(&room, s->n, s->d) || !amun__mul_size(&places, s->n, k)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY,
                          "%zu forget samples of %zu features and %zu "
                          "neighbours are too many",
                          s->n, s->d, k);
    }
    AMUN__CHECK(amun__alloc(ctx, &s->unit, room, sizeof *s->unit));
    AMUN__CHECK(amun__alloc(ctx, &s->piece, AMUN__TRW_PIECE * s->d, sizeof *s->piece));
    AMUN__CHECK(amun__alloc(ctx, &s->products, AMUN__TRW_PIECE * s->n, sizeof *s->products));
    AMUN__CHECK(amun__alloc(ctx, &s->nearest, places, sizeof *s->nearest));
    AMUN__CHECK(amun__alloc(ctx, &s->nearest_label, places, sizeof *s->nearest_label));
    for (size_t i = 0; i < places; i++) {
        s->nearest[i] = -INFINITY;
        s->nearest_label[i] = -1;
    }
    for (size_t i = 0; i < s->n; i++) {
        AMUN__CHECK(normalise(s->forget + i * s->d, s->d, s->unit + i * s->d, "features", i));
    }
    return AMUN_OK;
}

amun_status amun__trw_samples_open(amun__trw_samples *s, const amun__trw_classes *classes,
                                   const amun_trw_options *options, const float *forget, size_t n,
                                   size_t d)
{
    *s = (amun__trw_samples){
        .classes = classes, .options = options, .n = n, .d = d, .forget = forget};
    AMUN__CHECK(amun__calloc(classes->ctx, &s->counts, classes->classes, sizeof *s->counts));
    if (options->neighbours > 0) {
        return open_neighbours(s);
    }
    size_t room = 0;
    if (!amun__mul_size(&room, classes->classes, d)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu classes of %zu features are too many",
                          classes->classes, d);
    }
    return amun__calloc(classes->ctx, &s->sums, room, sizeof *s->sums);
}

void amun__trw_samples_close(amun__trw_samples *s)
{
    if (s->classes != NULL) {
        amun_context *ctx = s->classes->ctx;
        amun__free(ctx, s->sums);
        amun__free(ctx, s->counts);
        amun__free(ctx, s->unit);
        amun__free(ctx, s->piece);
        amun__free(ctx, s->products);
        amun__free(ctx, s->nearest);
        amun__free(ctx, s->nearest_label);
    }
    *s = (amun__trw_samples){0};
}

/* ---- retained samples ----------------------------------------------------------------------- */

static void add_to_means(amun__trw_samples *s, const float *features, const int64_t *labels,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double *sum = s->sums + (size_t)labels[i] * s->d;
        for (size_t k = 0; k < s->d; k++) {
            sum[k] += (double)features[i * s->d + k];
        }
    }
}

/* Keeps the list of one forget sample sorted; of equals the earlier stays in front. */
static void consider(float *nearest, int32_t *labels, size_t k, float product, int32_t label)
{
    if (!(product > nearest[k - 1])) {
        return;
    }
    size_t at = k - 1;
    for (; at > 0 && product > nearest[at - 1]; at--) {
        nearest[at] = nearest[at - 1];
        labels[at] = labels[at - 1];
    }
    nearest[at] = product;
    labels[at] = label;
}

static amun_status add_neighbours(amun__trw_samples *s, const float *features,
                                  const int64_t *labels, size_t count)
{
    size_t k = (size_t)s->options->neighbours;
    for (size_t i = 0; i < count; i++) {
        AMUN__CHECK(
            normalise(features + i * s->d, s->d, s->piece + i * s->d, "remain", s->seen + i));
    }
    AMUN__CHECK(amun__gemm_f32(false, true, (int64_t)s->n, (int64_t)count, (int64_t)s->d, 1.0,
                               s->unit, s->piece, 0.0, s->products));
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = 0; j < count; j++) {
            consider(s->nearest + i * k, s->nearest_label + i * k, k, s->products[i * count + j],
                     (int32_t)labels[j]);
        }
    }
    return AMUN_OK;
}

amun_status amun__trw_samples_add(amun__trw_samples *s, const float *features,
                                  const int64_t *labels, size_t count)
{
    if (s->options->neighbours > 0) {
        AMUN__CHECK(add_neighbours(s, features, labels, count));
    } else {
        add_to_means(s, features, labels, count);
    }
    for (size_t i = 0; i < count; i++) {
        s->counts[labels[i]]++;
    }
    s->seen += count;
    return AMUN_OK;
}

/* ---- scores --------------------------------------------------------------------------------- */

static amun_status count_neighbours(const amun__trw_samples *s, double *scores)
{
    const amun__trw_classes *c = s->classes;
    size_t k = (size_t)s->options->neighbours;
    if (s->seen < k) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_trw_options.neighbours: %zu, but there are %zu retained samples", k,
                          s->seen);
    }
    double share = 1.0 / (double)(k + c->classes - c->gone);
    for (size_t i = 0; i < s->n; i++) {
        double *row = scores + i * c->classes;
        for (size_t j = 0; j < c->classes; j++) {
            row[j] = c->row[j] < 0 ? share : 0.0;
        }
        for (size_t m = 0; m < k; m++) {
            row[s->nearest_label[i * k + m]] += share;
        }
    }
    return AMUN_OK;
}

/* Sums become class means less the mean of all, which goes into `all`, and their lengths into
 * c->scratch. */
static amun_status centre_means(amun__trw_samples *s, double *all)
{
    const amun__trw_classes *c = s->classes;
    for (size_t j = 0; j < c->classes; j++) {
        if (c->row[j] < 0 && s->counts[j] == 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "remain: no sample of class %zu, so that it has no mean", j);
        }
        for (size_t k = 0; k < s->d; k++) {
            all[k] += s->sums[j * s->d + k] / (double)s->seen;
        }
    }
    for (size_t j = 0; j < c->classes; j++) {
        double *mean = s->sums + j * s->d;
        for (size_t k = 0; k < s->d && c->row[j] < 0; k++) {
            mean[k] = mean[k] / (double)s->counts[j] - all[k];
        }
        c->scratch[j] = sqrt(amun__dot_f64(mean, mean, s->d));
        if (c->row[j] < 0 && !(c->scratch[j] > 0.0)) {
            return amun__fail(AMUN_ERROR_NUMERIC,
                              "remain: the mean of class %zu is that of all, so that it has no "
                              "direction",
                              j);
        }
    }
    return AMUN_OK;
}

static amun_status compare_row(const amun__trw_samples *s, size_t i, const double *all, double *own,
                               double *row)
{
    const amun__trw_classes *c = s->classes;
    for (size_t k = 0; k < s->d; k++) {
        own[k] = (double)s->forget[i * s->d + k] - all[k];
    }
    double length = sqrt(amun__dot_f64(own, own, s->d));
    if (!(length > 0.0)) {
        return amun__fail(
            AMUN_ERROR_NUMERIC,
            "features: row %zu is the mean of all retained samples, so that it has no "
            "direction",
            i);
    }
    for (size_t j = 0; j < c->classes; j++) {
        row[j] = c->row[j] >= 0
                     ? 0.0
                     : amun__dot_f64(own, s->sums + j * s->d, s->d) / (length * c->scratch[j]);
    }
    amun__trw_finish_row(c, s->options, row);
    return AMUN_OK;
}

amun_status amun__trw_samples_finish(amun__trw_samples *s, double *scores)
{
    const amun__trw_classes *c = s->classes;
    if (s->options->neighbours > 0) {
        return count_neighbours(s, scores);
    }
    double *all = NULL, *own = NULL;
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__calloc(c->ctx, &all, s->d, sizeof *all));
    AMUN__TRY(amun__alloc(c->ctx, &own, s->d, sizeof *own));
    AMUN__TRY(centre_means(s, all));
    for (size_t i = 0; i < s->n; i++) {
        AMUN__TRY(compare_row(s, i, all, own, scores + i * c->classes));
    }
fail:
    amun__free(c->ctx, all);
    amun__free(c->ctx, own);
    return status;
}
