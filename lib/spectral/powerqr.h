/* powerqr.h - leading singular values and vectors of a linear map by block power iteration with QR
 * and Rayleigh-Ritz (PowerQR, arXiv 2402.16017, algorithm 1). Private. */
#ifndef AMUN__POWERQR_H
#define AMUN__POWERQR_H

#include "nn/linop.h"

typedef struct amun__powerqr_options {
    int32_t k;     /* values that are reported, 1 to min(in, out) and the operator's max_block */
    int32_t block; /* vectors that iterate, at least k; 0: max(8, k + 4). Never more than min(in,
                      out); the default never more than the operator's max_block */
    int32_t max_iterations; /* of a run that does not say; 0: 100 */
    int32_t legacy; /* 1: the authors' estimate sqrt(|R_ii| - mu), no Ritz rotation, no stop test */
    int32_t plain;  /* 1: power iteration only. 0: a run of several iterations of a block of at
                       least four vectors, without shift and not legacy, goes on in the Krylov space
                       of the block (krylov.h) */
    double tol;     /* stop when residual_i <= tol * sigma_i^2 for all k reported ones */
    double mu;      /* shift of M'M; the authors' is 1, the default 0 */
    uint64_t seed;  /* of the starting block */
} amun__powerqr_options;

typedef struct amun__powerqr_value {
    double sigma; /* never above the true value but for rounding (Ritz) */
    /* || M'M v - sigma^2 v ||: some true value lies within residual / sigma. NaN with legacy. */
    double residual;
} amun__powerqr_value;

/* State that stays between calls (warm start): the right block, rows orthonormal and Ritz-rotated.
 */
typedef struct amun__powerqr amun__powerqr;

amun_status amun__powerqr_create(amun__powerqr **out, amun_context *ctx, amun__linop *op,
                                 const amun__powerqr_options *options);
void amun__powerqr_destroy(amun__powerqr *state); /* NULL is fine; `op` is borrowed and stays */
/* At most max_iterations further iterations (legacy: exactly; 0: the options' number), from the
 * block as it is; the operator may have got new weights since. An iteration is one apply and one
 * adjoint of the block, or of fewer vectors in the Krylov space; the first and the last are always
 * plain ones, and the values and residuals are those of the last. *iterations and *converged
 * (nullable; legacy: false) tell what happened; not converging is no failure here: the caller
 * decides. A residual at the level of rounding, relative to the largest sigma^2, counts as
 * converged: smaller values are not better determined than that. NUMERIC: the map gives values that
 * are not finite; the values are NaN then, and the block is as good a start as before. */
amun_status amun__powerqr_run(amun__powerqr *state, int32_t max_iterations, int32_t *iterations,
                              bool *converged);
/* k entries, descending; NaN before the first run. */
const amun__powerqr_value *amun__powerqr_values(const amun__powerqr *state);
int32_t amun__powerqr_count(const amun__powerqr *state); /* k */
int32_t amun__powerqr_block(const amun__powerqr *state); /* vectors in the block */
/* Right singular vectors [block][in] in the order of the values, guard vectors last, of an f32 or
 * f64 operator (NULL for the other one). Borrowed. */
const float *amun__powerqr_vectors(const amun__powerqr *state);
const double *amun__powerqr_vectors_f64(const amun__powerqr *state);
/* What an f32 state without shift and legacy goes on from, [block][in] values (*count): an array
 * that was kept and is written back here makes later runs give the same bytes. NULL for others.
 * Valid until the next run. */
float *amun__powerqr_state(amun__powerqr *state, size_t *count);
/* Draws a new random block. */
amun_status amun__powerqr_restart(amun__powerqr *state, uint64_t seed);

/* All min(in, out) singular values, descending, of the explicit matrix in double (LAPACK): for
 * small maps. An f32 operator gives its matrix in float. UNSUPPORTED above 4096 rows or columns. */
amun_status amun__spectrum_exact(amun_context *ctx, amun__linop *op, double *values);

#endif
