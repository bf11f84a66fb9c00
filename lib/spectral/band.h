/* band.h - is tau larger than every eigenvalue of a block-banded Hermitian matrix? By elimination
 * with a front that holds only the rows that a row reaches. Private. */
#ifndef AMUN__BAND_H
#define AMUN__BAND_H

#include "core/core.h"

/* G[rows][rows] of blocks [size][size]; G[i][j] = 0 where j - i > half. */
typedef struct amun__band {
    int64_t rows, size, half;
    int parts; /* 1: real, 2: (re, im) pairs */
} amun__band;

/* Adds -G[i][j], j >= i, to block[size][ld] (ld in elements); of G[i][i] only what is on and right
 * of its diagonal counts. */
typedef amun_status (*amun__band_subtract)(void *user, int64_t i, int64_t j, int64_t ld,
                                           double *block);

/* Whether the Cholesky factorisation of tau * 1 - G goes through: amun__band_value(). */
amun_status amun__band_below(const amun__band *band, amun_context *ctx, double tau,
                             amun__band_subtract subtract, void *user, bool *answer);
/* What is certain if it did: lambda_max(G) <= value. */
double amun__band_value(const amun__band *band, double tau);
/* Floating-point operations of a factorisation that goes through, and values of its front. */
double amun__band_price(const amun__band *band);
double amun__band_room(const amun__band *band);

#endif
