/* clip_step.c - one step of the clip on vectors that were extracted: the block form with exact line
 * search, the authors' form with small fixed steps, and plain scaling (arXiv 2402.16017, algorithm
 * 2, and its code). */
#include "core/linalg.h"
#include "spectral/clip.h"

/* What a step needs besides the layer. */
typedef struct work {
    float *residual, *change, *bend; /* [k][out]; bend: second order, with a batch norm only */
    float *diff, *along;             /* [count] */
    float *diff_gamma;
} work;

static amun_status open_work(work *w, const amun__clip_layer *l, int64_t k)
{
    const size_t values = (size_t)k * amun__linop_out(l->op); /* the power iteration has as many */
    AMUN__CHECK(amun__alloc(l->ctx, &w->residual, values, sizeof *w->residual));
    AMUN__CHECK(amun__alloc(l->ctx, &w->change, values, sizeof *w->change));
    AMUN__CHECK(amun__alloc(l->ctx, &w->diff, l->count, sizeof *w->diff));
    if (l->gamma == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__alloc(l->ctx, &w->bend, values, sizeof *w->bend));
    AMUN__CHECK(amun__alloc(l->ctx, &w->along, l->count, sizeof *w->along));
    return amun__alloc(l->ctx, &w->diff_gamma, (size_t)l->channels, sizeof *w->diff_gamma);
}

static void close_work(work *w, amun_context *ctx)
{
    float *const owned[] = {w->residual, w->change, w->bend, w->diff, w->along, w->diff_gamma};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        amun__free(ctx, owned[i]);
    }
}

/* values -= rate * diff. */
static void descend(float *values, const float *diff, size_t count, double rate)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((double)values[i] - rate * (double)diff[i]);
    }
}

static void descend_both(amun__clip_layer *l, const work *w, double rate)
{
    descend(l->weights, w->diff, l->count, rate);
    if (l->gamma != NULL) {
        descend(l->gamma, w->diff_gamma, (size_t)l->channels, rate);
    }
}

void amun__clip_scale(amun__clip_layer *layer, double factor)
{
    float *values = layer->gamma != NULL ? layer->gamma : layer->weights;
    const size_t count = layer->gamma != NULL ? (size_t)layer->channels : layer->count;
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((double)values[i] * factor);
    }
}

/* ---- the block form -------------------------------------------------------------------------- */

double amun__clip_line(double rd, double re, double dd, double de, double ee)
{
    /* half the derivative: -rd + t (dd + 2 re) - 3 t^2 de + 2 t^3 ee */
    const double c0 = -rd, c1 = dd + 2.0 * re, c2 = -3.0 * de, c3 = 2.0 * ee;
    if (!(c0 < 0.0)) {
        return 0.0;
    }
    if (c3 == 0.0) {
        return dd > 0.0 ? rd / dd : 0.0;
    }
    double low = 0.0, high = dd > 0.0 ? rd / dd : 1.0;
    int32_t doublings = 0;
    while (((c3 * high + c2) * high + c1) * high + c0 < 0.0 && doublings++ < 1000) {
        low = high;
        high *= 2.0;
    }
    for (int32_t i = 0; i < 200 && high > low * (1.0 + 1e-12); i++) {
        const double middle = low + (high - low) / 2.0;
        const bool falls = ((c3 * middle + c2) * middle + c1) * middle + c0 < 0.0;
        low = falls ? middle : low;
        high = falls ? high : middle;
    }
    return isfinite(high) ? high : 0.0;
}

/* With diag((gamma - t g) factor) (W - t G): the map's change per t, and per t^2. */
static amun_status changes_of_both(amun__clip_layer *l, work *w, int64_t k, const float *v)
{
    const size_t row = l->count / (size_t)l->channels;
    for (size_t i = 0; i < l->count; i++) {
        const size_t c = i / row;
        const double g = (double)w->diff_gamma[c] * l->factor[c];
        w->along[i] = (float)((double)l->scale[c] * (double)w->diff[i] + g * (double)l->weights[i]);
    }
    AMUN__CHECK(amun__linop_set_weights(l->op, w->along, NULL));
    AMUN__CHECK(amun__linop_apply(l->op, k, v, w->change));
    for (size_t i = 0; i < l->count; i++) {
        const size_t c = i / row;
        w->along[i] = (float)((double)w->diff_gamma[c] * l->factor[c] * (double)w->diff[i]);
    }
    AMUN__CHECK(amun__linop_set_weights(l->op, w->along, NULL));
    return amun__linop_apply(l->op, k, v, w->bend);
}

/* How far to go; the operator has other weights afterwards. */
static amun_status line_search(amun__clip_layer *l, work *w, int64_t k, const float *v,
                               double *rate)
{
    const size_t n = (size_t)k * amun__linop_out(l->op);
    double re = 0.0, de = 0.0, ee = 0.0;
    if (l->gamma != NULL) {
        AMUN__CHECK(changes_of_both(l, w, k, v));
        re = amun__dot_f32(w->residual, w->bend, n);
        de = amun__dot_f32(w->change, w->bend, n);
        ee = amun__dot_f32(w->bend, w->bend, n);
    } else {
        AMUN__CHECK(amun__linop_lend_weights(l->op, w->diff, NULL));
        const amun_status status = amun__linop_apply(l->op, k, v, w->change);
        AMUN__CHECK(amun__linop_lend_weights(l->op, l->weights, NULL)); /* w is going to be freed */
        AMUN__CHECK(status);
    }
    const double rd = amun__dot_f32(w->residual, w->change, n);
    const double dd = amun__dot_f32(w->change, w->change, n);
    *rate = amun__clip_line(rd, re, dd, de, ee);
    return AMUN_OK;
}

amun_status amun__clip_step_block(amun__clip_layer *layer, int64_t k)
{
    const float *v = amun__powerqr_vectors(layer->power);
    const amun__powerqr_value *values = amun__powerqr_values(layer->power);
    const size_t out = amun__linop_out(layer->op);
    work w = {0};
    double rate = 0.0;
    amun_status status;
    AMUN__TRY(open_work(&w, layer, k));
    AMUN__TRY(amun__linop_apply(layer->op, k, v, w.residual));
    for (size_t i = 0; i < (size_t)k * out; i++) { /* r = (1 - c / sigma) M v at W = W0 */
        const double sigma = values[i / out].sigma;
        w.residual[i] = (float)((1.0 - layer->target / sigma) * (double)w.residual[i]);
    }
    AMUN__TRY(amun__clip_gradient_f32(layer->op, k, v, w.residual, layer->weights, layer->gamma,
                                      layer->factor, w.diff, w.diff_gamma));
    AMUN__TRY(line_search(layer, &w, k, v, &rate));
    descend_both(layer, &w, rate);
    AMUN__TRY(amun__clip_layer_refresh(layer));
fail:
    close_work(&w, layer->ctx);
    return status;
}

/* ---- the authors' form ----------------------------------------------------------------------- */

/* Their constants: 0.35 for convolutions, 0.01 and one step for the composite. */
static double legacy_eta(const amun__clip_layer *l, const amun_clip_options *o)
{
    return o->eta > 0.0 ? o->eta : l->gamma != NULL ? 0.01 : 0.35;
}

amun_status amun__clip_step_legacy(amun__clip_layer *layer, int64_t k,
                                   const amun_clip_options *options)
{
    const float *v = amun__powerqr_vectors(layer->power);
    const amun__powerqr_value *values = amun__powerqr_values(layer->power);
    const size_t out = amun__linop_out(layer->op);
    /* the loss is a mean over vectors and over the output's width: d/dW = 2 wgrad / (k width) */
    const double width = (double)k * (double)layer->shape.out_width;
    const double rate = 2.0 * legacy_eta(layer, options) / width;
    const int32_t steps = layer->gamma != NULL ? 1 : options->inner_steps;
    work w = {0};
    amun_status status;
    AMUN__TRY(open_work(&w, layer, k));
    float *aim = w.change; /* (c / sigma_i) M_W0 v_i */
    AMUN__TRY(amun__linop_apply(layer->op, k, v, aim));
    for (size_t i = 0; i < (size_t)k * out; i++) {
        aim[i] = (float)(layer->target / values[i / out].sigma * (double)aim[i]);
    }
    for (int32_t step = 0; step < steps; step++) {
        AMUN__TRY(amun__linop_apply(layer->op, k, v, w.residual));
        for (size_t i = 0; i < (size_t)k * out; i++) {
            w.residual[i] -= aim[i];
        }
        AMUN__TRY(amun__clip_gradient_f32(layer->op, k, v, w.residual, layer->weights, layer->gamma,
                                          layer->factor, w.diff, w.diff_gamma));
        descend_both(layer, &w, rate);
        AMUN__TRY(amun__clip_layer_refresh(layer));
    }
fail:
    close_work(&w, layer->ctx);
    return status;
}
