/* clip.c - one layer of a model as the clipping methods see it: its operator and vectors, rounds of
 * extraction and step, and the certified end. */
#include "spectral/clip.h"

#include <float.h>

#include "spectral/bounds.h"

/* Power iterations of an extraction, as in the authors' clip. */
enum { EXTRACT_ITERATIONS = 10, MEASURE_ITERATIONS = 1000 };
/* So many are enough where the value is above the target already: half the time for the same end.
 */
enum { EAGER_ITERATIONS = 4 };
/* A norm within this much below the target is near enough for `exact` (the authors' constant). */
static const double dead_band = 0.05;

/* ---- life ------------------------------------------------------------------------------------ */

amun_status amun__clip_layer_open(amun__clip_layer *layer, int64_t block, bool power, uint64_t seed)
{
    amun__linop_shape *s = &layer->shape;
    if (layer->dense) {
        AMUN__CHECK(amun__linop_create_linear(&layer->op, layer->ctx, s->in_channels,
                                              s->out_channels, layer->weights, NULL, block,
                                              layer->backend));
    } else {
        AMUN__CHECK(amun__linop_create_conv2d(&layer->op, layer->ctx, s, layer->weights, NULL,
                                              block, layer->backend));
    }
    *s = *amun__linop_shape_of(layer->op);
    if (!power) {
        return AMUN_OK;
    }
    const size_t in = amun__linop_in(layer->op), out = amun__linop_out(layer->op);
    const size_t rank = in < out ? in : out;
    const int32_t vectors = (size_t)block < rank ? (int32_t)block : (int32_t)rank;
    const amun__powerqr_options options = {.k = vectors, .block = vectors, .seed = seed};
    return amun__powerqr_create(&layer->power, layer->ctx, layer->op, &options);
}

void amun__clip_layer_close(amun__clip_layer *layer)
{
    if (layer->ctx == NULL) {
        return;
    }
    amun__powerqr_destroy(layer->power);
    amun__linop_destroy(layer->op);
    amun__free(layer->ctx, layer->factor);
    amun__free(layer->ctx, layer->scale);
    amun__free(layer->ctx, layer->wide);
    amun__free(layer->ctx, layer->u);
    amun__free(layer->ctx, layer->raw);
    amun__free(layer->ctx, layer->right);
    *layer = (amun__clip_layer){0};
}

amun_status amun__clip_layer_refresh(amun__clip_layer *layer)
{
    if (layer->kind == AMUN__CLIP_COMPOSITE) {
        for (int64_t c = 0; c < layer->channels; c++) {
            layer->factor[c] = 1.0 / sqrt((double)layer->variance[c] + layer->eps);
            layer->wide[c] = (double)layer->gamma[c] * layer->factor[c];
            layer->scale[c] = (float)layer->wide[c];
            if (!isfinite(layer->scale[c])) {
                return amun__fail(AMUN_ERROR_NUMERIC, "the factor of channel %lld of %s is %g",
                                  (long long)c, layer->norm_name, (double)layer->scale[c]);
            }
        }
    }
    return layer->op != NULL ? amun__linop_lend_weights(layer->op, layer->weights, layer->scale)
                             : AMUN_OK;
}

/* ---- extraction ------------------------------------------------------------------------------ */

/* Only the largest value must stand: the others say where the excess is, the next round will know
 * better. */
static bool largest_stands(const amun__clip_layer *layer, double tol)
{
    const amun__powerqr_value *top = amun__powerqr_values(layer->power);
    const double least = 16.0 * (double)FLT_EPSILON;
    return top->residual <= fmax(tol, least) * top->sigma * top->sigma;
}

/* Up to EAGER_ITERATIONS of power iteration; if the value is above `enough` then, that will do.
 * Otherwise the rest of `iterations` in one run, which has a Krylov space: a clip leaves many
 * values at the target, between which power iteration alone hardly ever comes to an end. */
static amun_status extract(amun__clip_layer *layer, amun__clip_run *run, int32_t iterations,
                           double enough, bool *converged)
{
    const double tol = run->options->tol;
    *converged = false;
    int32_t done = 0;
    while (done < iterations && !*converged) {
        const int32_t now = done < EAGER_ITERATIONS ? 1 : iterations - done;
        AMUN__CHECK(amun__powerqr_run(layer->power, now, NULL, NULL));
        *converged = largest_stands(layer, tol);
        done += now;
        if (done >= EAGER_ITERATIONS && amun__powerqr_values(layer->power)->sigma > enough) {
            break;
        }
    }
    layer->sigma = amun__powerqr_values(layer->power)->sigma;
    run->rounds++;
    return amun__progress_tick(run->progress, "clip", run->done, run->total, (double)NAN,
                               layer->sigma);
}

amun_status amun__clip_extract(amun__clip_layer *layer, amun__clip_run *run, int32_t iterations,
                               bool *converged)
{
    return extract(layer, run, iterations, (double)INFINITY, converged);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* How many of the vectors a step is for; 0: none. An estimate never exceeds the value, so that one
 * above the target can be acted on at once; one below must stand first. */
static int64_t vectors_to_move(const amun__clip_layer *layer, const amun__clip_run *run,
                               bool converged)
{
    const amun__powerqr_value *values = amun__powerqr_values(layer->power);
    const double c = layer->target, tol = run->options->tol;
    const int32_t count = amun__powerqr_count(layer->power);
    int64_t above = 0;
    while (above < count && values[above].sigma > c) {
        above++;
    }
    /* half of the tolerance is for what the estimate may miss */
    if (converged && values[0].sigma <= c * (1.0 + tol / 2.0)) {
        above = 0;
    }
    const bool low = run->options->exact != 0 && layer->gamma == NULL && converged &&
                     values[0].sigma > 0.0 && c - values[0].sigma > dead_band;
    return low ? 1 : above;
}

static amun_status take_step(amun__clip_layer *layer, const amun__clip_run *run, int64_t k)
{
    switch (run->options->method) {
    case AMUN_CLIP_LEGACY:
        return amun__clip_step_legacy(layer, k, run->options);
    case AMUN_CLIP_SCALE:
        amun__clip_scale(layer, layer->target / layer->sigma);
        return amun__clip_layer_refresh(layer);
    default:
        return amun__clip_step_block(layer, k);
    }
}

static amun_status run_rounds(amun__clip_layer *layer, amun__clip_run *run)
{
    /* SCALE needs the value itself, once */
    const double enough = run->options->method == AMUN_CLIP_SCALE
                              ? (double)INFINITY
                              : layer->target * (1.0 + run->options->tol / 2.0);
    bool converged = false;
    AMUN__CHECK(amun__clip_layer_refresh(layer));
    for (int32_t round = 0; round < run->most; round++) {
        AMUN__CHECK(extract(layer, run, EXTRACT_ITERATIONS, enough, &converged));
        const int64_t k = vectors_to_move(layer, run, converged);
        if (k > 0) {
            AMUN__CHECK(take_step(layer, run, k));
        } else if (converged) {
            return AMUN_OK;
        }
    }
    /* the last step was seen by no extraction */
    return run->training ? AMUN_OK : amun__clip_extract(layer, run, EXTRACT_ITERATIONS, &converged);
}

/* ---- one layer ------------------------------------------------------------------------------- */

static amun_status run_matrix(amun__clip_layer *layer, double limit)
{
    const int64_t groups = layer->dense ? 1 : layer->shape.groups;
    int64_t rows, columns;
    amun__clip_matrix_extents(layer, &rows, &columns);
    return amun__clip_matrix(layer->ctx, groups, rows / groups, columns, layer->weights, limit,
                             &layer->sigma);
}

static amun_status run_kind(amun__clip_layer *layer, amun__clip_run *run)
{
    switch (layer->kind) {
    case AMUN__CLIP_MATRIX:
        return run_matrix(layer, layer->target);
    case AMUN__CLIP_NORM:
        return amun__clip_norm(layer->channels, layer->gamma, layer->variance, layer->eps,
                               run->options->batchnorm, layer->target, &layer->sigma);
    case AMUN__CLIP_MAP:
    case AMUN__CLIP_COMPOSITE:
        break;
    }
    if (run->options->method <= AMUN_CLIP_SCALE) {
        return run_rounds(layer, run);
    }
    return amun__clip_rival(layer, run);
}

/* Messages from below do not know which layer they are about. */
static amun_status within(const amun__clip_layer *layer, amun_status status)
{
    return status == AMUN_OK || status == AMUN_ERROR_CANCELLED
               ? status
               : amun__fail_within(status, "%s", layer->name);
}

amun_status amun__clip_layer_run(amun__clip_layer *layer, amun__clip_run *run)
{
    return within(layer, run_kind(layer, run));
}

static amun_status measure_kind(amun__clip_layer *layer, amun__clip_run *run)
{
    bool converged = false;
    if (layer->kind == AMUN__CLIP_MATRIX) {
        return run_matrix(layer, (double)INFINITY);
    }
    if (layer->kind == AMUN__CLIP_NORM) {
        return amun__clip_norm(layer->channels, layer->gamma, layer->variance, layer->eps,
                               AMUN_CLIP_BATCHNORM_HARD, (double)INFINITY, &layer->sigma);
    }
    AMUN__CHECK(amun__clip_layer_refresh(layer));
    for (int32_t i = 0; i < MEASURE_ITERATIONS && !converged; i += EXTRACT_ITERATIONS) {
        AMUN__CHECK(amun__clip_extract(layer, run, EXTRACT_ITERATIONS, &converged));
    }
    return AMUN_OK;
}

amun_status amun__clip_measure(amun__clip_layer *layer, amun__clip_run *run)
{
    return within(layer, measure_kind(layer, run));
}

/* ---- the certified end ----------------------------------------------------------------------- */

static amun_status bound_of(amun__clip_layer *layer, double *upper)
{
    amun__bound bound = {0};
    const amun__bound_hint hint = {layer->sigma, 1e9 * AMUN__BOUND_COST};
    if (layer->kind == AMUN__CLIP_NORM) {
        double sigma = 0.0;
        AMUN__CHECK(amun__clip_norm(layer->channels, layer->gamma, layer->variance, layer->eps,
                                    AMUN_CLIP_BATCHNORM_HARD, (double)INFINITY, &sigma));
        *upper = sigma * (1.0 + 8.0 * DBL_EPSILON);
        return AMUN_OK;
    }
    AMUN__CHECK(amun__clip_layer_refresh(layer)); /* the scale */
    if (layer->dense) {
        AMUN__CHECK(amun__bound_linear(&bound, layer->ctx, layer->shape.in_channels,
                                       layer->shape.out_channels, layer->weights, layer->wide));
    } else {
        AMUN__CHECK(amun__bound_conv2d(&bound, layer->ctx, &layer->shape, layer->weights,
                                       layer->wide, &hint));
    }
    *upper = bound.value;
    return AMUN_OK;
}

/* Relative; the certificates of two runs differ by less. */
#define MARGIN 1e-4

static amun_status bring_below(amun__clip_layer *layer, double *upper)
{
    AMUN__CHECK(bound_of(layer, upper));
    /* Rounding the products can lift the norm again by some float units: hence the second look,
     * and a little more each time. And a closer certificate starts from a Ritz value: whoever looks
     * again starts from another one, and is to find the target kept as well. */
    for (int32_t i = 1; *upper > layer->target; i++) {
        const double factor =
            layer->target / *upper * (1.0 - MARGIN - (double)i * (double)i * (double)FLT_EPSILON);
        if (i > 16 || !isfinite(*upper)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "the bound %g does not come below %g", *upper,
                              layer->target);
        }
        amun__clip_scale(layer, factor);
        layer->sigma *= factor;
        AMUN__CHECK(bound_of(layer, upper));
    }
    return AMUN_OK;
}

amun_status amun__clip_final(amun__clip_layer *layer, double *upper)
{
    return within(layer, bring_below(layer, upper));
}
