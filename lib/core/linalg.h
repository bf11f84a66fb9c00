/* linalg.h - small dense linear algebra: products, QR, eigenvalues, singular values. The only door
 * to BLAS and LAPACK; results do not depend on alignment or earlier calls. Private. Never call
 * these inside a parallel region. */
#ifndef AMUN__LINALG_H
#define AMUN__LINALG_H

#include "core/core.h"

/* Matrices are row-major and dense unless a leading dimension says otherwise. A block of k vectors
 * of n values is k rows of n: read as column-major it is the n-by-k matrix that has them as
 * columns. Statuses: SHAPE (extents that contradict each other), INVALID_ARGUMENT (an extent below
 * 1 or beyond LAPACK's 32-bit integers), NUMERIC (input or result not finite, or no convergence),
 * OUT_OF_MEMORY. Threads are OpenMP's current number: see amun__threads_begin. */

/* c[m][n] = alpha * op(a) * op(b) + beta * c; op(a) is m by p, op(b) is p by n. transpose_a: a is
 * stored [p][m]; transpose_b: b is stored [n][p]. Extents may be 0; values are not looked at; with
 * beta 0, c is written without being read. */
amun_status amun__gemm_f32(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t p,
                           double alpha, const float *a, const float *b, double beta, float *c);
amun_status amun__gemm_f64(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t p,
                           double alpha, const double *a, const double *b, double beta, double *c);
/* The same for complex matrices stored as (re, im) pairs; alpha 1, beta 0. The flags ask for the
 * conjugate transpose. */
amun_status amun__gemm_c64(bool adjoint_a, bool adjoint_b, int64_t m, int64_t n, int64_t p,
                           const double *a, const double *b, double *c);

/* The Hermitian matrix k k^* of k = a + i b, as re[n][n] and im[n][n]; a and b are [n][p], with
 * `adjoint` [p][n] for k^* k. Half the multiplications of a general product. */
amun_status amun__gram_c64(bool adjoint, int64_t n, int64_t p, const double *a, const double *b,
                           double *re, double *im);

/* Householder QR of a block: rows[k][n], k <= n, become orthonormal and span the same space;
 * diagonal[k] gets R_ii (their sign is arbitrary). Rows stay orthonormal where R_ii is 0. */
amun_status amun__orthonormalise_f32(amun_context *ctx, int64_t k, int64_t n, float *rows,
                                     double *diagonal);
amun_status amun__orthonormalise_f64(amun_context *ctx, int64_t k, int64_t n, double *rows,
                                     double *diagonal);

/* Symmetric a[n][n] (destroyed; of an unsymmetric one only a[i][j], j >= i, counts): values
 * ascending, vectors[i] (row i, nullable) belongs to values[i]. */
amun_status amun__eigh_f64(amun_context *ctx, int64_t n, double *a, double *values,
                           double *vectors);

/* Whether a Cholesky factorisation of a[n][n] (destroyed) goes through: *positive false means that
 * `a` is not positive definite, up to rounding. Symmetric, and Hermitian as (re, im) pairs; only
 * a[i][j], j >= i, counts. */
amun_status amun__cholesky_f64(int64_t n, double *a, bool *positive);
amun_status amun__cholesky_c64(int64_t n, double *a, bool *positive);
/* The solution of a x = b over b[n], for symmetric positive definite a[n][n] (destroyed; only
 * a[i][j], j >= i, counts); *positive false: b is not the solution. */
amun_status amun__cholesky_solve_f64(int64_t n, double *a, double *b, bool *positive);

/* The first `first` steps of that factorisation on the leading n rows and columns of a[n][ld],
 * first in [1, n]: a[i][j], i, j >= first, becomes the Schur complement. Values are not looked at.
 */
amun_status amun__cholesky_part_f64(int64_t n, int64_t first, int64_t ld, double *a,
                                    bool *positive);
amun_status amun__cholesky_part_c64(int64_t n, int64_t first, int64_t ld, double *a,
                                    bool *positive);

/* a[m][n] = u[m][r] * diag(s[r]) * vt[r][n], r = min(m, n), s descending. `a` is destroyed; u and
 * vt both NULL: singular values only; only one of them: INVALID_ARGUMENT. */
amun_status amun__svd_f64(amun_context *ctx, int64_t m, int64_t n, double *a, double *s, double *u,
                          double *vt);
/* The same for complex matrices stored as (re, im) pairs; vt is the conjugate transpose of V. */
amun_status amun__svd_c64(amun_context *ctx, int64_t m, int64_t n, double *a, double *s, double *u,
                          double *vt);

/* Deterministic reductions: blocks in a fixed order, accumulated in double, on one thread. */
double amun__dot_f32(const float *a, const float *b, size_t n);
double amun__dot_f64(const double *a, const double *b, size_t n);

/* NULL, or one line of advice: this process runs a BLAS whose thread pool fights with ours. */
const char *amun__linalg_advice(void);

#endif
