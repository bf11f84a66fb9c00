/* bounds_kernel.c - bounds that look at the kernel alone: of its reshaped matrix, and by Gram
 * iteration. */
#include "spectral/bounds_private.h"

#include "core/linalg.h"
#include "spectral/gram.h"
#include "spectral/hermitian.h"

enum {
    SVD_MOST = 512, /* smaller extent up to which LAPACK's SVD is used; above, Cholesky tests */
    GRAM_MOST = 4   /* steps of the Gram iteration: the kernel's extent doubles with each */
};

/* ---- the reshaped kernel ---- */

/* M = (1 x R) G, where R is [out][in * kh * kw] and G copies pixels; G'G is diagonal, so that |G|^2
 * is how often the most read pixel is read. LAPACK's error is a modest multiple of (m + n) u. */
static amun_status reshaped_by_svd(amun__bound_subject *s, int64_t m, int64_t n, double *value)
{
    amun_status status;
    double *copy = NULL, *values = NULL;
    AMUN__TRY(amun__alloc(s->ctx, &copy, (size_t)(m * n), sizeof *copy));
    AMUN__TRY(amun__alloc(s->ctx, &values, (size_t)(m < n ? m : n), sizeof *values));
    *value = 0;
    for (int64_t g = 0; g < s->shape->groups; g++) {
        memcpy(copy, s->weights + g * m * n, (size_t)(m * n) * sizeof *copy);
        AMUN__TRY(amun__svd_f64(s->ctx, m, n, copy, values, NULL, NULL));
        *value = fmax(*value, values[0]);
    }
    *value *= 1 + 8 * (double)(m + n) * AMUN__UNIT_ROUNDOFF;
fail:
    amun__free(s->ctx, copy);
    amun__free(s->ctx, values);
    return status;
}

/* The same from the Gram matrix, whose rounding error is at most gamma(p) |R|_F^2. */
static amun_status reshaped_by_gram(amun__bound_subject *s, int64_t m, int64_t n, double *value)
{
    amun_status status;
    amun__top top = {0};
    double *gram = NULL;
    const bool rows = m <= n;
    const int64_t r = rows ? m : n, p = rows ? n : m;
    AMUN__TRY(amun__top_open(&top, s->ctx, r, 1));
    AMUN__TRY(amun__alloc(s->ctx, &gram, (size_t)(r * r), sizeof *gram));
    for (int64_t g = 0; g < s->shape->groups; g++) {
        const double *w = s->weights + g * m * n;
        AMUN__TRY(amun__gemm_f64(!rows, rows, r, r, p, 1, w, w, 0, gram));
        AMUN__TRY(amun__top_add(&top, gram));
    }
    const double error = 2 * ((double)p + 4) * AMUN__UNIT_ROUNDOFF * s->group_norm * s->group_norm;
    *value = sqrt(amun__top_value(&top) + error) * (1 + 4 * AMUN__UNIT_ROUNDOFF);
fail:
    amun__free(s->ctx, gram);
    amun__top_close(&top);
    return status;
}

amun_status amun__bound_by_reshaped(amun__bound_subject *s, amun__bound *out)
{
    const int64_t m = s->shape->out_channels / s->shape->groups;
    const int64_t n = s->shape->in_channels / s->shape->groups * s->positions;
    const double copies = (double)s->view[0].copies * (double)s->view[1].copies;
    const bool exact = copies <= 1 && (m < n ? m : n) <= SVD_MOST;
    *out = (amun__bound){0, copies <= 1 ? AMUN__BOUND_EXACT : AMUN__BOUND_RESHAPED};
    if (s->group_norm > 0) {
        AMUN__CHECK(exact ? reshaped_by_svd(s, m, n, &out->value)
                          : reshaped_by_gram(s, m, n, &out->value));
    }
    out->value = (out->value + 2 * AMUN__UNIT_ROUNDOFF * s->group_norm) * sqrt(copies) *
                 (1 + 4 * AMUN__UNIT_ROUNDOFF);
    return AMUN_OK;
}

/* ---- the kernel domain ---- */

/* [positions][out][in] of a group, or its transpose if that makes the squares smaller: the norm is
 * that of the adjoint, whose kernel is also mirrored, which no norm sees. */
static void kernel_of(const amun__bound_subject *s, int64_t group, int64_t out, int64_t in,
                      double *kernel)
{
    const double *from = s->weights + group * out * in * s->positions;
    for (int64_t o = 0; o < out; o++) {
        for (int64_t c = 0; c < in; c++) {
            for (int64_t at = 0; at < s->positions; at++) {
                const int64_t place = out <= in ? o * in + c : c * out + o;
                kernel[at * out * in + place] = from[(o * in + c) * s->positions + at];
            }
        }
    }
}

/* Valid for zero and circular padding; for the others, and for circular outputs beyond the image,
 * times the root of how often the padding repeats a pixel. */
amun_status amun__bound_by_kernel(amun__bound_subject *s, double budget, amun__bound *out)
{
    amun_status status;
    const int64_t m = s->shape->out_channels / s->shape->groups;
    const int64_t n = s->shape->in_channels / s->shape->groups;
    const int64_t small = m <= n ? m : n, large = m <= n ? n : m;
    double *kernel = NULL;
    int32_t steps = GRAM_MOST;
    while (steps > 0 && amun__gram_kernel_cost(small, large, s->shape->kernel, steps) *
                                (double)s->shape->groups >
                            budget) {
        steps--;
    }
    *out = (amun__bound){s->group_norm > 0 ? (double)INFINITY : 0, AMUN__BOUND_GRAM_KERNEL};
    if (steps == 0 || s->group_norm == 0) {
        return AMUN_OK;
    }
    AMUN__TRY(amun__alloc(s->ctx, &kernel, (size_t)(m * n * s->positions), sizeof *kernel));
    double top = 0, one;
    for (int64_t group = 0; group < s->shape->groups; group++) {
        kernel_of(s, group, m, n, kernel);
        AMUN__TRY(
            amun__gram_kernel(s->ctx, small, large, s->shape->kernel, kernel, steps, &one));
        top = fmax(top, one);
    }
    const double copies = amun__bound_torus_of(s, 0).copies * amun__bound_torus_of(s, 1).copies;
    out->value = (top + (double)s->positions * 2 * AMUN__UNIT_ROUNDOFF * s->group_norm) *
                 sqrt(copies) * (1 + 8 * AMUN__UNIT_ROUNDOFF);
fail:
    amun__free(s->ctx, kernel);
    return status;
}
