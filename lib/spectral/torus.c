/* torus.c - the spectrum of a circular convolution frequency by frequency, and clipping there
 * (arXiv 1805.10408; polyphase form for strides, arXiv 2211.13771). */
#include "spectral/rivals.h"

#include "core/linalg.h"
#include "spectral/freq.h"

/* Frequencies per axis; the shape must be one that lives on a torus. */
static amun_status torus_grid(const amun__linop_shape *shape, int64_t grid[2],
                              amun__geometry *geometry)
{
    AMUN__CHECK(amun__geometry_of(geometry, shape));
    for (int axis = 0; axis < 2; axis++) {
        if (geometry->size[axis] % shape->stride[axis] != 0) {
            return amun__fail(AMUN_ERROR_UNSUPPORTED, "a stride of %lld does not divide %lld",
                              (long long)shape->stride[axis], (long long)geometry->size[axis]);
        }
        grid[axis] = geometry->size[axis] / shape->stride[axis];
    }
    return AMUN_OK;
}

typedef struct room {
    amun__freq freq;
    int64_t rank;
    size_t entries; /* of a frequency matrix */
    double *kernel; /* [out][in][kh * kw], all groups */
    size_t count;
    double *re, *im, *pairs, *s, *u, *vt, *sums;
} room;

static void close_room(amun_context *ctx, room *r)
{
    double *const blocks[] = {r->kernel, r->re, r->im, r->pairs, r->s, r->u, r->vt, r->sums};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        amun__free(ctx, blocks[i]);
    }
    amun__freq_close(&r->freq);
}

static amun_status open_room(amun_context *ctx, const amun__linop_shape *shape,
                             const int64_t grid[2], const float *weights, room *r)
{
    AMUN__CHECK(amun__freq_open(&r->freq, ctx, shape, shape->stride, grid, NULL));
    const amun__freq *f = &r->freq;
    r->rank = f->out < f->columns ? f->out : f->columns;
    r->entries = (size_t)(f->out * f->columns);
    r->count = (size_t)(f->out * f->in * shape->groups) * (size_t)f->taps;
    const size_t rank = (size_t)r->rank;
    AMUN__CHECK(amun__alloc(ctx, &r->kernel, r->count, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->re, r->entries, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->im, r->entries, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->pairs, r->entries, 2 * sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->s, rank, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->u, rank * (size_t)f->out, 2 * sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->vt, rank * (size_t)f->columns, 2 * sizeof(double)));
    AMUN__CHECK(
        amun__alloc(ctx, &r->sums, (size_t)(f->out * f->in), (size_t)f->taps * sizeof(double)));
    for (size_t i = 0; i < r->count; i++) {
        r->kernel[i] = (double)weights[i];
    }
    return AMUN_OK;
}

/* The singular values, and vectors if asked for, at the i-th frequency of the group that is loaded.
 */
static amun_status decompose(amun_context *ctx, room *r, int64_t i, bool vectors, int64_t w[2],
                             int *multiplicity)
{
    const amun__freq *f = &r->freq;
    amun__freq_at(f, i, w, multiplicity);
    amun__freq_matrix(f, w, r->re, r->im);
    for (size_t k = 0; k < r->entries; k++) {
        r->pairs[2 * k] = r->re[k];
        r->pairs[2 * k + 1] = r->im[k];
    }
    return amun__svd_c64(ctx, f->out, f->columns, r->pairs, r->s, vectors ? r->u : NULL,
                         vectors ? r->vt : NULL);
}

/* ---- the spectrum ---- */

amun_status amun__torus_count(const amun__linop_shape *shape, size_t *count)
{
    int64_t grid[2] = {0, 0};
    amun__geometry geometry;
    AMUN__CHECK(torus_grid(shape, grid, &geometry));
    const size_t outputs = (size_t)(grid[0] * grid[1]);
    const size_t inputs = (size_t)(geometry.size[0] * geometry.size[1]);
    size_t rows, columns;
    if (!amun__mul_size(&rows, (size_t)(shape->out_channels / shape->groups), outputs) ||
        !amun__mul_size(&columns, (size_t)(shape->in_channels / shape->groups), inputs) ||
        !amun__mul_size(count, rows < columns ? rows : columns, (size_t)shape->groups)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "too many singular values");
    }
    return AMUN_OK;
}

amun_status amun__torus_spectrum(amun_context *ctx, const amun__linop_shape *shape,
                                 const float *weights, double *values)
{
    amun_status status;
    int64_t grid[2], w[2];
    amun__geometry geometry;
    room r = {0};
    size_t count, at = 0;
    int multiplicity;
    AMUN__CHECK(torus_grid(shape, grid, &geometry));
    AMUN__CHECK(amun__torus_count(shape, &count));
    AMUN__TRY(open_room(ctx, shape, grid, weights, &r));
    for (int64_t group = 0; group < shape->groups; group++) {
        amun__freq_load(&r.freq, shape, r.kernel, group);
        for (int64_t i = 0; i < amun__freq_count(&r.freq); i++) {
            AMUN__TRY(decompose(ctx, &r, i, false, w, &multiplicity));
            for (int copy = 0; copy < multiplicity; copy++) {
                memcpy(values + at, r.s, (size_t)r.rank * sizeof *values);
                at += (size_t)r.rank;
            }
        }
    }
    /* phases without a tap have columns of zeros, hence zeros as values */
    memset(values + at, 0, (count - at) * sizeof *values);
fail:
    close_room(ctx, &r);
    return status;
}

/* ---- the clip ---- */

/* K with its singular values clamped, as re and im. */
static amun_status clamp_values(room *r, double limit)
{
    const amun__freq *f = &r->freq;
    for (int64_t k = 0; k < r->rank; k++) {
        const double value = fmin(r->s[k], limit);
        for (int64_t i = 0; i < 2 * f->columns; i++) {
            r->vt[k * 2 * f->columns + i] *= value;
        }
    }
    AMUN__CHECK(amun__gemm_c64(false, false, f->out, f->columns, r->rank, r->u, r->vt, r->pairs));
    for (size_t i = 0; i < r->entries; i++) {
        r->re[i] = r->pairs[2 * i];
        r->im[i] = r->pairs[2 * i + 1];
    }
    return AMUN_OK;
}

/* One pass over a group: transform, clamp, and the taps of the inverse transform. */
static amun_status clip_group(amun_context *ctx, const amun__linop_shape *shape, room *r,
                              int64_t group, double limit)
{
    const amun__freq *f = &r->freq;
    const int64_t area = f->out * f->in;
    const double share = 1 / ((double)f->grid[0] * (double)f->grid[1]);
    amun__freq_load(&r->freq, shape, r->kernel, group);
    memset(r->sums, 0, (size_t)(area * f->taps) * sizeof *r->sums);
    for (int64_t i = 0; i < amun__freq_count(f); i++) {
        int64_t w[2];
        int multiplicity;
        AMUN__CHECK(decompose(ctx, r, i, true, w, &multiplicity));
        AMUN__CHECK(clamp_values(r, limit));
        amun__freq_adjoint(f, w, share * multiplicity, r->re, r->im, r->sums);
    }
    for (int64_t t = 0; t < f->taps; t++) {
        for (int64_t k = 0; k < area; k++) {
            r->kernel[(group * area + k) * f->taps + f->tap[t].source] = r->sums[t * area + k];
        }
    }
    return AMUN_OK;
}

amun_status amun__torus_clip(amun_context *ctx, const amun__linop_shape *shape,
                             const float *weights, double limit, int32_t passes, float *to)
{
    amun_status status;
    int64_t grid[2];
    amun__geometry geometry;
    room r = {0};
    AMUN__CHECK(torus_grid(shape, grid, &geometry));
    if (!(limit >= 0) || passes < 1) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "limit %g, passes %d", limit, (int)passes);
    }
    for (int axis = 0; axis < 2; axis++) {
        if (geometry.reach[axis] > geometry.size[axis]) {
            return amun__fail(AMUN_ERROR_UNSUPPORTED, "a kernel over %lld does not fit %lld values",
                              (long long)geometry.reach[axis], (long long)geometry.size[axis]);
        }
    }
    AMUN__TRY(open_room(ctx, shape, grid, weights, &r));
    for (int32_t pass = 0; pass < passes; pass++) {
        for (int64_t group = 0; group < shape->groups; group++) {
            AMUN__TRY(clip_group(ctx, shape, &r, group, limit));
        }
    }
    for (size_t i = 0; i < r.count; i++) {
        to[i] = (float)r.kernel[i];
    }
fail:
    close_room(ctx, &r);
    return status;
}
