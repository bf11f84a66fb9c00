/* bounds.c - certificates for the spectral norm of a convolution: which bounds apply, and which one
 * is taken. */
#include "spectral/bounds_private.h"

#include "spectral/section.h"

/* About a second on two cores that do 50 GF/s each. */
static const double default_budget = 1e11, kernel_budget = 1e10;
/* A bound this close to the norm is not improved on. */
static const double close_enough = 0.01;
/* Operations that need no second thought. */
static const double little = 1e10;

static void keep_smaller(amun__bound *best, const amun__bound *other)
{
    if (other->value < best->value) {
        *best = *other;
    }
}

/* Those that cost the same whatever the norm is. */
static amun_status choose_general(amun__bound_subject *s, amun__bound *out)
{
    amun__bound other;
    AMUN__CHECK(amun__bound_by_reshaped(s, out));
    if (out->kind == AMUN__BOUND_EXACT) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__bound_by_frequencies(s, default_budget, &other));
    keep_smaller(out, &other);
    if (other.kind == AMUN__BOUND_FFT && isfinite(other.value)) {
        return AMUN_OK; /* the kernel domain bounds all frequencies of all grids: never smaller */
    }
    AMUN__CHECK(amun__bound_by_kernel(s, kernel_budget, &other));
    keep_smaller(out, &other);
    return AMUN_OK;
}

/* Closer than what there is, with the image's edges as they are: strips cost less, the whole map
 * is closer. */
static amun_status bring_closer(amun__bound_subject *s, const amun__bound_hint *hint,
                                amun__bound *out)
{
    const amun__bound_torus across = amun__bound_torus_of(s, 1);
    const amun__strip strip = {.stride = across.stride,
                               .grid = across.grid,
                               .copies = across.copies,
                               .twist = s->shape->padding == AMUN__PADDING_ZERO};
    amun__section_task task = {.ctx = s->ctx,
                               .shape = s->shape,
                               .weights = s->weights,
                               .group_norm = s->group_norm,
                               .copies = (double)(s->view[0].copies * s->view[1].copies),
                               .guess = hint->lower,
                               .most = out->value,
                               .budget = hint->budget};
    double value;
    task.budget = fmin(hint->budget, little);
    AMUN__CHECK(amun__section_whole(&task, &value));
    task.budget = hint->budget;
    /* what the edges of two axes cost is about twice what those of one do */
    if (!isfinite(value) && out->value <= hint->lower * (1 + 3 * close_enough)) {
        AMUN__CHECK(amun__section_strips(&task, &strip, &value));
    }
    if (!isfinite(value)) {
        AMUN__CHECK(amun__section_whole(&task, &value));
    }
    if (value < out->value) {
        *out = (amun__bound){value, AMUN__BOUND_SECTION};
    }
    return AMUN_OK;
}

static amun_status choose(amun__bound_subject *s, const amun__bound_hint *hint, amun__bound *out)
{
    AMUN__CHECK(choose_general(s, out));
    const bool loose = hint != NULL && out->value > hint->lower * (1 + close_enough);
    return loose && out->kind != AMUN__BOUND_EXACT ? bring_closer(s, hint, out) : AMUN_OK;
}

amun_status amun__bound_conv2d(amun__bound *out, amun_context *ctx, const amun__linop_shape *shape,
                               const float *weights, const double *scale,
                               const amun__bound_hint *hint)
{
    amun_status status;
    amun__geometry geometry;
    size_t count;
    amun__bound_subject s = {0};
    double *wide = NULL;
    AMUN__CHECK(amun__geometry_of(&geometry, shape));
    AMUN__CHECK(amun__bound_weights(shape, &count));
    AMUN__TRY(amun__alloc(ctx, &wide, count, sizeof *wide));
    const size_t row = count / (size_t)shape->out_channels;
    for (size_t i = 0; i < count; i++) {
        wide[i] = (double)weights[i] * (scale != NULL ? scale[i / row] : 1);
    }
    AMUN__TRY(amun__bound_open(&s, ctx, shape, wide));
    status = choose(&s, hint, out);
    amun__bound_close(&s);
fail:
    amun__free(ctx, wide);
    return status;
}

amun_status amun__bound_linear(amun__bound *out, amun_context *ctx, int64_t in_features,
                               int64_t out_features, const float *weights, const double *scale)
{
    const amun__linop_shape shape = {.in_channels = in_features,
                                     .in_height = 1,
                                     .in_width = 1,
                                     .out_channels = out_features,
                                     .kernel = {1, 1},
                                     .stride = {1, 1},
                                     .dilation = {1, 1},
                                     .groups = 1};
    return amun__bound_conv2d(out, ctx, &shape, weights, scale, NULL);
}

amun_status amun__bound_frequencies(amun__bound *out, amun_context *ctx,
                                    const amun__linop_shape *shape, const double *weights,
                                    double budget)
{
    amun__bound_subject s;
    AMUN__CHECK(amun__bound_open(&s, ctx, shape, weights));
    amun_status status = amun__bound_by_frequencies(&s, budget, out);
    amun__bound_close(&s);
    return status;
}

amun_status amun__bound_reshaped(amun__bound *out, amun_context *ctx,
                                 const amun__linop_shape *shape, const double *weights)
{
    amun__bound_subject s;
    AMUN__CHECK(amun__bound_open(&s, ctx, shape, weights));
    amun_status status = amun__bound_by_reshaped(&s, out);
    amun__bound_close(&s);
    return status;
}

amun_status amun__bound_kernel(amun__bound *out, amun_context *ctx, const amun__linop_shape *shape,
                               const double *weights, double budget)
{
    amun__bound_subject s;
    AMUN__CHECK(amun__bound_open(&s, ctx, shape, weights));
    amun_status status = amun__bound_by_kernel(&s, budget, out);
    amun__bound_close(&s);
    return status;
}
