/* krylov.h - what makes a block of singular vectors converge in the square root of the steps of a
 * power iteration: Rayleigh-Ritz in the space that the steps have gone through (block Lanczos with
 * thick restarts). Private. */
#ifndef AMUN__KRYLOV_H
#define AMUN__KRYLOV_H

#include "nn/linop.h"

/* Scratch for one map M; A is M'M. Nothing stays in it from one improvement to the next. */
typedef struct amun__krylov amun__krylov;

/* What to do. Ritz pairs are numbered from the largest one. */
typedef struct amun__krylov_task {
    int64_t rows;           /* of v and z: at least the vectors of a step */
    int32_t wanted;         /* pairs that have to converge, at most the vectors of a step */
    const double *theta;    /* [rows]: v A v' = diag(theta), descending */
    double tol, rounding;   /* enough: residual <= max(tol * theta_i, rounding * theta_1) */
    int32_t max_iterations; /* at least 1 */
} amun__krylov_task;

/* Vectors that go through the map in a step, at most `block`. Fewer take less time in all, but a
 * Krylov space of one vector shows one copy of a value that repeats, and where values lie close it
 * may settle on the second before it sees the first: three more than are wanted. 0: the map or the
 * block is too small for any of this. */
int32_t amun__krylov_width(const amun__linop *op, int32_t wanted, int32_t block);
amun_status amun__krylov_create(amun__krylov **out, amun_context *ctx, amun__linop *op,
                                int32_t width, uint64_t seed);
void amun__krylov_destroy(amun__krylov *space); /* NULL is fine */

/* v[rows][in]: orthonormal Ritz vectors, z = A v. Replaces v by the Ritz vectors of a larger space,
 * orthonormal up to rounding; the first of them no worse than before, the last may be old ones.
 * *iterations: applications of A to a few vectors. Convergence is an estimate from the projection:
 * the caller checks. NUMERIC: the map gives values that are not finite; v stays as it was. */
amun_status amun__krylov_improve(amun__krylov *space, const amun__krylov_task *task, void *v,
                                 const void *z, int32_t *iterations);

#endif
