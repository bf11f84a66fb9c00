/* bounds_subject.c - a convolution that is going to be bounded: which of its taps see anything, how
 * often a pixel is read, and its weights without those that see nothing. */
#include "spectral/bounds_private.h"

#include "core/linalg.h"

static int64_t largest(const int64_t *counts, int64_t n)
{
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        most = counts[i] > most ? counts[i] : most;
    }
    return most;
}

static amun_status look(amun_context *ctx, const amun__linop_shape *s, const amun__geometry *g,
                        int axis, amun__bound_view *view)
{
    amun_status status;
    const int64_t n = g->size[axis], pad = s->pad[axis];
    int64_t *counts = NULL;
    *view = (amun__bound_view){0};
    AMUN__TRY(amun__calloc(ctx, &view->used, (size_t)s->kernel[axis], 1));
    AMUN__TRY(amun__calloc(ctx, &counts, (size_t)n, sizeof *counts));
    for (int64_t a = 0; a < s->kernel[axis]; a++) {
        for (int64_t i = 0; i < g->outputs[axis]; i++) {
            int64_t from = i * s->stride[axis] + a * s->dilation[axis] - pad;
            from = amun__padding_index(s->padding, from, n);
            if (from >= 0) {
                counts[from]++;
                view->used[a] = 1;
            }
        }
    }
    view->copies = largest(counts, n);
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int64_t i = -pad; i < n + pad; i++) {
        const int64_t from = amun__padding_index(s->padding, i, n);
        if (from >= 0) {
            counts[from]++;
        }
    }
    view->repeats = largest(counts, n);
fail:
    amun__free(ctx, counts);
    return status;
}

void amun__bound_close(amun__bound_subject *s)
{
    for (int axis = 0; axis < 2; axis++) {
        amun__free(s->ctx, s->view[axis].used);
    }
    amun__free(s->ctx, s->used);
    amun__free(s->ctx, s->weights);
}

amun_status amun__bound_weights(const amun__linop_shape *shape, size_t *count)
{
    if (!amun__mul_size(count, (size_t)shape->out_channels,
                        (size_t)(shape->in_channels / shape->groups)) ||
        !amun__mul_size(count, *count, (size_t)shape->kernel[0]) ||
        !amun__mul_size(count, *count, (size_t)shape->kernel[1])) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "the kernel is too large");
    }
    return AMUN_OK;
}

amun_status amun__bound_open(amun__bound_subject *s, amun_context *ctx,
                             const amun__linop_shape *shape, const double *weights)
{
    amun_status status;
    *s = (amun__bound_subject){.ctx = ctx, .shape = shape};
    AMUN__CHECK(amun__geometry_of(&s->geometry, shape));
    AMUN__CHECK(amun__bound_weights(shape, &s->count));
    s->positions = shape->kernel[0] * shape->kernel[1];
    AMUN__TRY(look(ctx, shape, &s->geometry, 0, &s->view[0]));
    AMUN__TRY(look(ctx, shape, &s->geometry, 1, &s->view[1]));
    AMUN__TRY(amun__alloc(ctx, &s->used, (size_t)s->positions, 1));
    for (int64_t i = 0; i < s->positions; i++) {
        s->used[i] = s->view[0].used[i / shape->kernel[1]] & s->view[1].used[i % shape->kernel[1]];
    }
    AMUN__TRY(amun__alloc(ctx, &s->weights, s->count, sizeof *s->weights));
    for (size_t i = 0; i < s->count; i++) {
        if (!isfinite(weights[i])) {
            AMUN__FAIL(AMUN_ERROR_NUMERIC, "weight %zu is %g", i, weights[i]);
        }
        s->weights[i] = s->used[i % (size_t)s->positions] != 0 ? weights[i] : 0;
    }
    const size_t group = s->count / (size_t)shape->groups;
    for (size_t i = 0; i < s->count; i += group) {
        const double *w = s->weights + i;
        s->group_norm = fmax(s->group_norm, sqrt(amun__dot_f64(w, w, group)));
    }
    return AMUN_OK;
fail:
    amun__bound_close(s);
    return status;
}
