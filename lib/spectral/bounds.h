/* bounds.h - upper bounds on the spectral norm of convolutions and dense maps that hold for certain
 * (certificates). Private. */
#ifndef AMUN__BOUNDS_H
#define AMUN__BOUNDS_H

#include "nn/linop.h"

typedef enum amun__bound_kind {
    AMUN__BOUND_EXACT = 1, /* singular value of a reshaped matrix: dense, 1x1, kernel <= stride */
    AMUN__BOUND_DIAGONAL,  /* largest factor */
    AMUN__BOUND_FFT,       /* largest singular value over the frequencies of a circular embedding */
    AMUN__BOUND_GRID,      /* the same over fewer frequencies, and what may lie between them */
    AMUN__BOUND_GRAM_KERNEL, /* Gram iteration in the kernel domain (arXiv 2402.00240) */
    AMUN__BOUND_RESHAPED, /* of the reshaped kernel, times the root of how often a pixel is read */
    AMUN__BOUND_PRODUCT,  /* of a chain's parts */
    AMUN__BOUND_SECTION   /* Cholesky test of the map with its padding as it is */
} amun__bound_kind;

typedef struct amun__bound {
    double value;
    amun__bound_kind kind; /* which one was the smallest */
} amun__bound;

/* What makes a closer bound possible: how large the norm is known to be (a Ritz value; if it is off
 * the bound is only looser), and the floating-point operations that a layer may take for it. */
typedef struct amun__bound_hint {
    double lower, budget;
} amun__bound_hint;
/* The budget unless told otherwise, in 1e9: enough for 256 channels on 8x8, where trained layers
 * have been seen that no torus comes within 3 % of. */
enum { AMUN__BOUND_COST = 600 };

/* sigma_max(M) <= out->value, rounding included (the value is widened by an error bound of its
 * arithmetic). Takes the smallest of the bounds that apply to the geometry (any padding mode,
 * stride, dilation, groups) and are affordable. `weights`, `scale`: as for the linop, the scale in
 * double; the output's extents in `shape` are not read. hint (nullable): a bound that is far above
 * hint->lower is improved on. NUMERIC: a weight that is not finite. */
amun_status amun__bound_conv2d(amun__bound *out, amun_context *ctx, const amun__linop_shape *shape,
                               const float *weights, const double *scale,
                               const amun__bound_hint *hint);
amun_status amun__bound_linear(amun__bound *out, amun_context *ctx, int64_t in_features,
                               int64_t out_features, const float *weights, const double *scale);

/* The parts of the choice, for tests: weights in double. `budget`: floating-point operations that
 * the frequencies may take; too few for any useful grid: *value infinite. */
amun_status amun__bound_frequencies(amun__bound *out, amun_context *ctx,
                                    const amun__linop_shape *shape, const double *weights,
                                    double budget);
amun_status amun__bound_reshaped(amun__bound *out, amun_context *ctx,
                                 const amun__linop_shape *shape, const double *weights);
amun_status amun__bound_kernel(amun__bound *out, amun_context *ctx, const amun__linop_shape *shape,
                               const double *weights, double budget);

#endif
