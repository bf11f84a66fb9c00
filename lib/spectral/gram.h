/* gram.h - Gram iteration: norms from repeated squaring, per frequency and in the kernel domain.
 * Private. */
#ifndef AMUN__GRAM_H
#define AMUN__GRAM_H

#include "spectral/freq.h"

/* a[count] *= factor */
void amun__gram_scale(double *a, size_t count, double factor);

/* Delattre et al. 2023 (arXiv 2305.16173) for one frequency matrix of `freq`: with q =
 * 2^iterations the Schatten 2q-norm of K, between sigma_1 and rank^(1 / 2q) sigma_1. *value also
 * carries rounding errors: this is an estimate, not a certificate. */
amun_status amun__gram_value(amun_context *ctx, const amun__freq *freq, const double *re,
                             const double *im, int32_t iterations, double *value);
/* d value / d K as (re, im): K (K'K)^(q - 1) / value^(2q - 1). */
amun_status amun__gram_gradient(amun_context *ctx, const amun__freq *freq, const double *re,
                                const double *im, int32_t iterations, double value, double *d_re,
                                double *d_im);

/* Delattre et al. 2024 (arXiv 2402.00240): the kernel convolved with itself, `iterations` times,
 * kernel[kh][kw][out][in] of one group. *certified: a bound on the norm for zero and circular
 * padding and images of any size, rounding included. Dilation changes nothing: on the infinite grid
 * the dilated map is copies of the dense one; stride only leaves rows out. */
amun_status amun__gram_kernel(amun_context *ctx, int64_t out, int64_t in, const int64_t size[2],
                              const double *kernel, int32_t iterations, double *certified);
/* Multiplications that it takes, as a price. */
double amun__gram_kernel_cost(int64_t out, int64_t in, const int64_t size[2], int32_t iterations);

/* rows[out]: t_i of each output channel for the loaded group of `freq` (strides and dilation 1,
 * grids from amun__gram_rows_grid, all taps used); max t_i >= norm but for rounding. */
int64_t amun__gram_rows_grid(int64_t kernel, int32_t iterations);
amun_status amun__gram_rows(const amun__freq *freq, int32_t iterations, double *rows);

/* Both forms of 2024 take 1 to AMUN__GRAM_MOST iterations; else INVALID_ARGUMENT. amun__gram_rows
 * leaves the check to its caller, who needs the grid first. */
enum { AMUN__GRAM_MOST = 8 };
amun_status amun__gram_check(int32_t iterations);

#endif
