/* layer.c - measuring one layer of a model: its singular values by the method that was asked for,
 * the certificate, and the norm of the weights as a matrix. */
#include "spectral/spectrum.h"

#include <float.h>
#include <stdlib.h>

#include "core/linalg.h"
#include "spectral/bounds.h"

enum {
    EXACT_BLOCK = 64, /* unit vectors that go through a map at once */
    GRAM_MOST = 1024  /* smaller extent up to which the Gram matrix gives the norm of a matrix */
};

/* ---- the weights as a matrix ----------------------------------------------------------------- */

static amun_status flat_by_gram(double *out, amun_context *ctx, int64_t rows, int64_t columns,
                                const float *weights, const double *scale)
{
    const int64_t n = rows < columns ? rows : columns;
    double *wide = NULL, *gram = NULL, *values = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(ctx, &wide, (size_t)(rows * columns), sizeof *wide));
    AMUN__TRY(amun__alloc(ctx, &gram, (size_t)(n * n), sizeof *gram));
    AMUN__TRY(amun__alloc(ctx, &values, (size_t)n, sizeof *values));
    for (int64_t i = 0; i < rows * columns; i++) {
        wide[i] = (double)weights[i] * (scale != NULL ? scale[i / columns] : 1);
    }
    AMUN__TRY(amun__gemm_f64(columns < rows, rows <= columns, n, n, rows < columns ? columns : rows,
                             1.0, wide, wide, 0.0, gram));
    AMUN__TRY(amun__eigh_f64(ctx, n, gram, values, NULL));
    *out = sqrt(fmax(values[n - 1], 0));
fail:
    amun__free(ctx, wide);
    amun__free(ctx, gram);
    amun__free(ctx, values);
    return status;
}

static amun_status flat_by_iteration(double *out, amun_context *ctx, int64_t rows, int64_t columns,
                                     const float *weights, const double *scale)
{
    amun__linop *op = NULL;
    amun__powerqr *iteration = NULL;
    float *narrow = NULL;
    amun_status status;
    const amun__powerqr_options options = {.k = 1, .max_iterations = 1000, .tol = 1e-6};
    AMUN__TRY(amun__alloc(ctx, &narrow, (size_t)rows, sizeof *narrow));
    for (int64_t i = 0; i < rows; i++) {
        narrow[i] = scale != NULL ? (float)scale[i] : 1.0F;
    }
    AMUN__TRY(
        amun__linop_create_linear(&op, ctx, columns, rows, weights, narrow, 8, AMUN__LINOP_BEST));
    AMUN__TRY(amun__powerqr_create(&iteration, ctx, op, &options));
    AMUN__TRY(amun__powerqr_run(iteration, 0, NULL, NULL));
    *out = amun__powerqr_values(iteration)[0].sigma;
fail:
    amun__powerqr_destroy(iteration);
    amun__linop_destroy(op);
    amun__free(ctx, narrow);
    return status;
}

amun_status amun__flat_norm(double *out, amun_context *ctx, int64_t rows, int64_t columns,
                            const float *weights, const double *scale)
{
    *out = NAN;
    return rows <= GRAM_MOST || columns <= GRAM_MOST
               ? flat_by_gram(out, ctx, rows, columns, weights, scale)
               : flat_by_iteration(out, ctx, rows, columns, weights, scale);
}

static amun_status measure_flat(amun__layer *layer, const amun__linop_source *source)
{
    layer->flat = NAN;
    if (source->weights == NULL) {
        return AMUN_OK;
    }
    if (layer->matrix.pairs > 0 && layer->matrix.shape.groups == 1) {
        layer->flat = layer->matrix.sigma[0];
        return AMUN_OK;
    }
    const int64_t rows = source->shape.out_channels, columns = (int64_t)source->weight_count / rows;
    return amun__flat_norm(&layer->flat, source->ctx, rows, columns, source->weights,
                           source->factors);
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* Every channel by itself: one of them has the norm of all. */
static amun_status bound_pool(amun__bound *out, const amun__linop_source *source)
{
    amun_status status;
    amun__linop_shape one = source->shape;
    const size_t area = (size_t)(one.kernel[0] * one.kernel[1]);
    float *window = NULL;
    one.in_channels = one.out_channels = one.groups = 1;
    one.dilation[0] = one.dilation[1] = 1;
    AMUN__TRY(amun__alloc(source->ctx, &window, area, sizeof *window));
    for (size_t i = 0; i < area; i++) {
        window[i] = 1;
    }
    AMUN__TRY(amun__bound_conv2d(out, source->ctx, &one, window, NULL, NULL));
    out->value *= (1 + 4 * DBL_EPSILON) / (double)area;
fail:
    amun__free(source->ctx, window);
    return status;
}

static amun_status certify(const amun_spectrum *spectrum, amun__layer *layer,
                           const amun__linop_source *source)
{
    amun__bound found = {0};
    const amun__linop_shape *s = &source->shape;
    const amun__bound_hint hint = {amun__layer_sigma(layer, 0),
                                   spectrum->options.certify_cost * 1e9};
    switch (source->kind) {
    case AMUN__LINOP_CONV2D:
        AMUN__CHECK(
            amun__bound_conv2d(&found, source->ctx, s, source->weights, source->factors, &hint));
        break;
    case AMUN__LINOP_LINEAR:
        AMUN__CHECK(amun__bound_linear(&found, source->ctx, s->in_channels, s->out_channels,
                                       source->weights, source->factors));
        break;
    case AMUN__LINOP_AVG_POOL:
        AMUN__CHECK(bound_pool(&found, source));
        break;
    default:
        found = (amun__bound){layer->values[0], AMUN__BOUND_DIAGONAL};
        break;
    }
    /* the factors of a batch norm: a sum, a root and a quotient, each rounded */
    layer->upper = source->factors != NULL ? found.value * (1 + 4 * DBL_EPSILON) : found.value;
    layer->bound = (amun_bound_kind)found.kind;
    return AMUN_OK;
}

/* ---- singular values ------------------------------------------------------------------------- */

static amun_status check_finite(const amun__linop_source *source)
{
    for (size_t i = 0; i < source->weight_count; i++) {
        if (!isfinite(source->weights[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "weight %zu is %g", i,
                              (double)source->weights[i]);
        }
    }
    return AMUN_OK;
}

static amun_status start(amun_spectrum *s, amun__layer *layer, const amun__linop_source *source)
{
    const amun_spectrum_options *o = &s->options;
    amun_context *ctx = s->object.ctx;
    const bool legacy = o->method == AMUN_SPECTRUM_LEGACY;
    const int32_t guarded = o->k + 4 > 8 ? o->k + 4 : 8;
    const int32_t block = o->block > 0 ? o->block : legacy ? o->k : guarded;
    const amun__powerqr_options options = {
        .k = layer->count,
        .block = (int32_t)((size_t)block < layer->rank ? (size_t)block : layer->rank),
        .max_iterations = o->max_iterations,
        .legacy = legacy,
        .tol = o->tol,
        .mu = legacy && o->mu == 0.0 ? 1.0 : o->mu,
        /* layers of equal shape should not start alike */
        .seed = amun__hash64(&layer->node, sizeof layer->node, o->seed)};
    AMUN__CHECK(amun__linop_create_source(&layer->op, source, options.block, s->backend));
    amun_status status = amun__powerqr_create(&layer->iteration, ctx, layer->op, &options);
    if (status != AMUN_OK) { /* both or none */
        amun__linop_destroy(layer->op);
        layer->op = NULL;
    }
    return status;
}

static amun_status iterate(amun_spectrum *s, amun__layer *layer, const amun__linop_source *source,
                           int32_t max_iterations)
{
    if (layer->iteration == NULL) {
        AMUN__CHECK(start(s, layer, source));
    } else {
        AMUN__CHECK(amun__linop_set_source(layer->op, source));
    }
    return amun__powerqr_run(layer->iteration, max_iterations, &layer->iterations,
                             &layer->converged);
}

/* In double; the map lives for this call only. */
static amun_status decompose(amun_spectrum *s, amun__layer *layer, const amun__linop_source *source)
{
    amun__linop *op = NULL;
    amun_status status;
    if (layer->values == NULL) {
        AMUN__CHECK(amun__alloc(s->object.ctx, &layer->values, layer->rank, sizeof(double)));
    }
    AMUN__TRY(amun__linop_create_source(&op, source, EXACT_BLOCK, AMUN__LINOP_REF_F64));
    AMUN__TRY(amun__spectrum_exact(s->object.ctx, op, layer->values));
    layer->converged = true;
fail:
    amun__linop_destroy(op);
    return status;
}

typedef struct factor {
    double size;
    int32_t channel;
} factor;

static int larger_first(const void *a, const void *b)
{
    const factor *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size) - (x->size > y->size)
                              : (x->channel > y->channel) - (x->channel < y->channel);
}

/* A diagonal map shows its singular values. */
static amun_status sort_factors(amun_spectrum *s, amun__layer *layer,
                                const amun__linop_source *source)
{
    amun_context *ctx = s->object.ctx;
    const size_t channels = (size_t)layer->in_shape[0];
    factor *factors = NULL;
    amun_status status;
    if (layer->values == NULL) {
        AMUN__CHECK(amun__alloc(ctx, &layer->values, channels, sizeof *layer->values));
    }
    if (layer->order == NULL) {
        AMUN__CHECK(amun__alloc(ctx, &layer->order, channels, sizeof *layer->order));
    }
    AMUN__TRY(amun__alloc(ctx, &factors, channels, sizeof *factors));
    for (size_t c = 0; c < channels; c++) {
        factors[c] = (factor){fabs(source->factors[c]), (int32_t)c};
    }
    qsort(factors, channels, sizeof *factors, larger_first);
    for (size_t c = 0; c < channels; c++) {
        layer->values[c] = factors[c].size;
        layer->order[c] = factors[c].channel;
    }
    layer->converged = true;
fail:
    amun__free(ctx, factors);
    return status;
}

static amun_status measure(amun_spectrum *s, amun__layer *layer, const amun__linop_source *source,
                           int32_t max_iterations)
{
    AMUN__CHECK(check_finite(source));
    layer->iterations = 0;
    layer->upper = INFINITY;
    layer->bound = AMUN_BOUND_NONE;
    if (layer->kind == AMUN_LAYER_BATCHNORM) {
        AMUN__CHECK(sort_factors(s, layer, source));
    } else if (s->options.method == AMUN_SPECTRUM_EXACT) {
        AMUN__CHECK(decompose(s, layer, source));
    } else if (s->options.method == AMUN_SPECTRUM_POWERQR &&
               amun__matrix_applies(source, (size_t)layer->count)) {
        AMUN__CHECK(amun__matrix_decompose(&layer->matrix, source, (size_t)layer->count));
        layer->converged = true;
    } else {
        AMUN__CHECK(iterate(s, layer, source, max_iterations));
    }
    if (s->options.certify != 0) {
        AMUN__CHECK(certify(s, layer, source));
    }
    return measure_flat(layer, source);
}

amun_status amun__layer_measure(amun_spectrum *spectrum, amun__layer *layer, int32_t max_iterations)
{
    amun__linop_source source;
    amun_status status =
        amun__linop_source_open(&source, spectrum->model, layer->node, layer->batchnorm >= 0);
    if (status == AMUN_OK) {
        status = measure(spectrum, layer, &source, max_iterations);
        amun__linop_source_close(&source);
    }
    if (status != AMUN_OK) {
        const char *name = amun__model_graph(spectrum->model)->nodes[layer->node].name;
        return amun__fail_within(status, "layer %s (node %d)", name != NULL ? name : "avg pool",
                                 layer->node);
    }
    return AMUN_OK;
}

void amun__layer_free(amun_context *ctx, amun__layer *layer)
{
    amun__powerqr_destroy(layer->iteration);
    amun__linop_destroy(layer->op);
    amun__matrix_close(&layer->matrix);
    amun__free(ctx, layer->values);
    amun__free(ctx, layer->order);
}

double amun__layer_sigma(const amun__layer *layer, size_t i)
{
    double sigma;
    if (layer->iteration != NULL) {
        sigma = amun__powerqr_values(layer->iteration)[i].sigma;
    } else if (layer->matrix.pairs > 0) {
        sigma = amun__matrix_sigma(&layer->matrix, i);
    } else if (layer->order != NULL) {
        sigma = layer->values[i / (size_t)(layer->in_shape[1] * layer->in_shape[2])];
    } else {
        sigma = layer->values[i];
    }
    return fmin(sigma, layer->upper); /* a Ritz value may lie a rounding error above what is sure */
}

double amun__layer_residual(const amun__layer *layer, size_t i)
{
    if (layer->iteration != NULL) {
        return amun__powerqr_values(layer->iteration)[i].residual;
    }
    if (layer->matrix.pairs > 0) {
        return amun__matrix_residual(&layer->matrix, i);
    }
    return layer->order != NULL ? 0.0 : (double)NAN;
}
