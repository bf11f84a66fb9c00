/* trw_scores.c - the public calls that make scores from rows and features. */
#include "unlearn/trw_views.h"

/* ---- classes -------------------------------------------------------------------------------- */

/* The rows as doubles, with the bias behind each if it is asked for. */
static amun_status read_rows(amun_context *ctx, const amun_tensor_view *rows,
                             const amun_tensor_view *bias, double **out, size_t *width)
{
    size_t classes = (size_t)rows->shape[0], d = (size_t)rows->shape[1];
    double *plain = NULL, *offsets = NULL;
    amun_status status = AMUN_OK;
    *width = d;
    if (bias == NULL) {
        return amun__trw_matrix_read(ctx, rows, "rows", out);
    }
    AMUN__CHECK(amun__trw_labels_check(bias, "bias", classes));
    if (bias->dtype != AMUN_DTYPE_F32 && bias->dtype != AMUN_DTYPE_F64) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "bias: dtype %d, expected F32 or F64",
                          (int)bias->dtype);
    }
    AMUN__TRY(amun__trw_matrix_read(ctx, rows, "rows", &plain));
    AMUN__TRY(amun__alloc(ctx, &offsets, classes, sizeof *offsets));
    AMUN__TRY(amun__view_read_f64(bias, 0, classes, offsets));
    AMUN__TRY(amun__alloc(ctx, out, classes * (d + 1), sizeof **out));
    for (size_t j = 0; j < classes; j++) {
        if (!isfinite(offsets[j])) {
            AMUN__FAIL(AMUN_ERROR_NUMERIC, "bias: that of class %zu is %g", j, offsets[j]);
        }
        memcpy(*out + j * (d + 1), plain + j * d, d * sizeof *plain);
        (*out)[j * (d + 1) + d] = offsets[j];
    }
    *width = d + 1;
fail:
    amun__free(ctx, plain);
    amun__free(ctx, offsets);
    return status;
}

static amun_status disturb_all(const amun__trw_classes *c, const amun_trw_options *o,
                               double *scores)
{
    for (size_t f = 0; f < c->classes; f++) {
        if (c->row[f] >= 0) {
            AMUN__CHECK(amun__trw_disturb(c, f, o, scores + (size_t)c->row[f] * c->classes));
        }
    }
    return AMUN_OK;
}

amun_status amun_trw_scores(double *scores, const amun_tensor_view *rows,
                            const amun_tensor_view *bias, const int64_t *forget, size_t count,
                            const amun_trw_options *opts)
{
    amun__enter();
    amun__trw_classes c = {0};
    amun_context *ctx = NULL;
    amun_trw_options o;
    double *values = NULL;
    size_t classes = 0, d = 0, width = 0;
    amun_status status = AMUN_OK;
    if (scores == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "scores is NULL");
    }
    AMUN__TRY(amun__options_read(&amun__trw_options_table, &o, opts));
    AMUN__TRY(amun__trw_matrix_check(rows, "rows", 1, &classes, &d));
    if (o.bias != 0 && bias == NULL) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "bias is NULL, but amun_trw_options.bias is 1");
    }
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__trw_open(&c, ctx, forget, count, classes));
    AMUN__TRY(read_rows(ctx, rows, o.bias != 0 ? bias : NULL, &values, &width));
    AMUN__TRY(amun__trw_row_scores(&c, values, width, &o, scores));
    AMUN__TRY(disturb_all(&c, &o, scores));
fail:
    if (ctx != NULL) {
        amun__free(ctx, values);
    }
    amun__trw_close(&c);
    amun_context_unref(ctx);
    return status;
}

/* ---- samples -------------------------------------------------------------------------------- */

typedef struct sample_job {
    amun_context *ctx;
    amun__trw_classes classes;
    amun__trw_samples samples;
    amun_trw_options options;
    const amun_tensor_view *features, *remain, *labels;
    size_t n, m, d;
    float *own, *piece;
    int64_t *piece_labels;
} sample_job;

static amun_status read_finite(const amun_tensor_view *view, const char *what, size_t first,
                               size_t n, size_t d, float *out)
{
    AMUN__CHECK(amun__view_read_f32(view, first, n, 1.0, out));
    for (size_t i = 0; i < n * d; i++) {
        if (!isfinite(out[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: row %zu, column %zu is %g", what,
                              first + i / d, i % d, (double)out[i]);
        }
    }
    return AMUN_OK;
}

static amun_status job_open(sample_job *j, const int64_t *forget, size_t count, int64_t classes)
{
    size_t other = 0;
    if (classes < 2 || classes > 65536) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "classes: %lld is outside [2, 65536]",
                          (long long)classes);
    }
    AMUN__CHECK(amun__trw_matrix_check(j->features, "features", 1, &j->n, &j->d));
    AMUN__CHECK(amun__trw_matrix_check(j->remain, "remain", 1, &j->m, &other));
    if (other != j->d) {
        return amun__fail(AMUN_ERROR_SHAPE, "remain: %zu features, but features has %zu", other,
                          j->d);
    }
    AMUN__CHECK(amun__trw_labels_check(j->labels, "remain_labels", j->m));
    AMUN__CHECK(amun_context_create(&j->ctx, NULL));
    AMUN__CHECK(amun__trw_open(&j->classes, j->ctx, forget, count, (size_t)classes));
    AMUN__CHECK(amun__alloc(j->ctx, &j->own, j->n * j->d, sizeof *j->own));
    AMUN__CHECK(amun__alloc(j->ctx, &j->piece, AMUN__TRW_PIECE * j->d, sizeof *j->piece));
    AMUN__CHECK(amun__alloc(j->ctx, &j->piece_labels, AMUN__TRW_PIECE, sizeof *j->piece_labels));
    AMUN__CHECK(read_finite(j->features, "features", 0, j->n, j->d, j->own));
    return amun__trw_samples_open(&j->samples, &j->classes, &j->options, j->own, j->n, j->d);
}

static amun_status job_run(sample_job *j, double *scores)
{
    for (size_t first = 0; first < j->m; first += AMUN__TRW_PIECE) {
        size_t left = j->m - first, n = left < AMUN__TRW_PIECE ? left : AMUN__TRW_PIECE;
        AMUN__CHECK(read_finite(j->remain, "remain", first, n, j->d, j->piece));
        for (size_t i = 0; i < n; i++) {
            size_t label = 0;
            AMUN__CHECK(
                amun__trw_label(&j->classes, j->labels, first + i, false, "remain_labels", &label));
            j->piece_labels[i] = (int64_t)label;
        }
        AMUN__CHECK(amun__trw_samples_add(&j->samples, j->piece, j->piece_labels, n));
    }
    return amun__trw_samples_finish(&j->samples, scores);
}

static void job_close(sample_job *j)
{
    amun__trw_samples_close(&j->samples);
    amun__trw_close(&j->classes);
    if (j->ctx != NULL) {
        amun__free(j->ctx, j->own);
        amun__free(j->ctx, j->piece);
        amun__free(j->ctx, j->piece_labels);
    }
    amun_context_unref(j->ctx);
}

amun_status amun_trw_sample_scores(double *scores, const amun_tensor_view *features,
                                   const amun_tensor_view *remain,
                                   const amun_tensor_view *remain_labels, const int64_t *forget,
                                   size_t count, int64_t classes, const amun_trw_options *opts)
{
    amun__enter();
    sample_job j = {.features = features, .remain = remain, .labels = remain_labels};
    amun_status status = AMUN_OK;
    if (scores == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "scores is NULL");
    }
    AMUN__TRY(amun__options_read(&amun__trw_options_table, &j.options, opts));
    AMUN__TRY(job_open(&j, forget, count, classes));
    AMUN__TRY(job_run(&j, scores));
fail:
    job_close(&j);
    return status;
}

/* ---- both ----------------------------------------------------------------------------------- */

static amun_status mix_all(const amun__trw_classes *c, double *scores, const double *class_scores,
                           const amun_tensor_view *labels, const amun_trw_options *o)
{
    for (size_t i = 0; i < (size_t)labels->shape[0]; i++) {
        size_t label = 0;
        AMUN__CHECK(amun__trw_label(c, labels, i, true, "labels", &label));
        const double *other = class_scores + (size_t)c->row[label] * c->classes;
        double *row = scores + i * c->classes;
        for (size_t j = 0; j < c->classes; j++) {
            if (c->row[j] < 0 && (!isfinite(row[j]) || !isfinite(other[j]))) {
                return amun__fail(AMUN_ERROR_NUMERIC,
                                  "scores: sample %zu, class %zu is %g, with class score %g", i, j,
                                  row[j], other[j]);
            }
        }
        AMUN__CHECK(amun__trw_mix_row(c, label, other, o, row));
    }
    return AMUN_OK;
}

amun_status amun_trw_mix(double *scores, const double *class_scores, const amun_tensor_view *labels,
                         const int64_t *forget, size_t count, int64_t classes,
                         const amun_trw_options *opts)
{
    amun__enter();
    amun__trw_classes c = {0};
    amun_context *ctx = NULL;
    amun_trw_options o;
    amun_status status = AMUN_OK;
    if (scores == NULL || class_scores == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL",
                          scores == NULL ? "scores" : "class_scores");
    }
    if (classes < 2 || classes > 65536) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "classes: %lld is outside [2, 65536]",
                          (long long)classes);
    }
    AMUN__TRY(amun__options_read(&amun__trw_options_table, &o, opts));
    AMUN__TRY(amun__view_check(labels, "labels", NULL));
    AMUN__TRY(amun__trw_labels_check(
        labels, "labels", labels->ndim > 0 && labels->shape[0] > 0 ? (size_t)labels->shape[0] : 1));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__trw_open(&c, ctx, forget, count, (size_t)classes));
    AMUN__TRY(mix_all(&c, scores, class_scores, labels, &o));
fail:
    amun__trw_close(&c);
    amun_context_unref(ctx);
    return status;
}
