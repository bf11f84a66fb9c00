/* rivals.h - what other published methods take for the norm of a layer, and how they lower it:
 * for comparison. None of these is a certificate. Private. */
#ifndef AMUN__RIVALS_H
#define AMUN__RIVALS_H

#include "nn/linop.h"

/* Weights are float [out][in / groups][kh][kw], written in place or into another array of the same
 * layout (which may be the same array). Arithmetic is in double. Shapes: the output's extents are
 * not read. */

/* ---- spectral normalisation, Miyato et al. (arXiv 1802.05957, algorithm 1) ------------------ */

/* R = weights as [rows][columns]; for a convolution rows = out. u[rows] stays between calls (start:
 * any vector, it is normalised here). steps times: v <- R'u / (|R'u| + 1e-12), u <- R v / (|R v| +
 * 1e-12); *sigma = u'R v. v (nullable) gets columns values. Zero `steps`: sigma of the u at hand.
 */
amun_status amun__miyato_sigma(amun_context *ctx, int64_t rows, int64_t columns,
                               const float *weights, int32_t steps, double *u, double *v,
                               double *sigma);
/* to = weights / sigma: also upwards. NUMERIC if sigma is 0. */
amun_status amun__miyato_normalise(const float *weights, size_t count, double sigma, float *to);
/* d loss / d weights from diff = d loss / d (weights / sigma), with u and v constant as in the
 * paper: (diff - <diff, weights / sigma> u v') / sigma. */
amun_status amun__miyato_gradient(int64_t rows, int64_t columns, const float *weights,
                                  const double *u, const double *v, double sigma, const float *diff,
                                  float *to);

/* ---- projection, Gouk et al. (arXiv 1804.04368) --------------------------------------------- */

/* Power iteration through the layer's own map, from a fresh normal vector: x <- M'M x, `iterations`
 * times; *sigma = |M x| / |x|. Needs an f32 operator. */
amun_status amun__gouk_sigma(amun_context *ctx, amun__linop *op, int32_t iterations, uint64_t seed,
                             double *sigma);
/* to = weights / max(1, sigma / limit). */
amun_status amun__gouk_project(const float *weights, size_t count, double sigma, double limit,
                               float *to);

/* ---- the circular map's spectrum: Sedghi et al. (arXiv 1805.10408); strides: Senderovich et al.
 * (arXiv 2211.13771) ----------------------------------------------------- */

/* How many singular values the circular map of this shape has; padding is not looked at. A stride
 * must divide the image (UNSUPPORTED otherwise). */
amun_status amun__torus_count(const amun__linop_shape *shape, size_t *count);
/* All of them, not sorted. */
amun_status amun__torus_spectrum(amun_context *ctx, const amun__linop_shape *shape,
                                 const float *weights, double *values);
/* `passes` times: clamps the spectrum to `limit`, goes back to a kernel as large as the image and
 * keeps the part of it that the kernel has; which raises the norm again. The kernel must fit the
 * image (UNSUPPORTED). */
amun_status amun__torus_clip(amun_context *ctx, const amun__linop_shape *shape,
                             const float *weights, double limit, int32_t passes, float *to);

/* ---- Gram norm as a penalty, Delattre et al. 2023 (arXiv 2305.16173) ------------------------ */

/* The largest Gram norm over the frequencies of the circular map of the image's size, groups one by
 * one, ignoring stride. diff_weights (nullable): its gradient, at the frequency that is largest. */
amun_status amun__gram_norm(amun_context *ctx, const amun__linop_shape *shape, const float *weights,
                            int32_t iterations, double *value, float *diff_weights);
/* What one layer adds to the loss: factor * b * [b > 1]; the gradient is zero below. The paper's
 * comparison (arXiv 2402.16017) takes factor 0.1 and 6 iterations. */
amun_status amun__gram_penalty(amun_context *ctx, const amun__linop_shape *shape,
                               const float *weights, int32_t iterations, double factor,
                               double *value, float *diff_weights);

/* ---- row rescaling, Delattre et al. 2024 (arXiv 2402.00240) --------------------------------- */

/* to_i = W_i / t_i for each output channel: a norm of at most 1 for zero and circular padding.
 * t (nullable) gets the out_channels factors. A channel without weights stays as it is. */
amun_status amun__gram_rescale(amun_context *ctx, const amun__linop_shape *shape,
                               const float *weights, int32_t iterations, double *t, float *to);

#endif
