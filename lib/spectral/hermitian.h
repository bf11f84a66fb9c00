/* hermitian.h - a number that certainly is no smaller than the largest eigenvalue of each of many
 * positive semidefinite matrices. Private. */
#ifndef AMUN__HERMITIAN_H
#define AMUN__HERMITIAN_H

#include "core/core.h"

/* How it works: tau >= lambda_max(G) if and only if tau * 1 - G is positive semidefinite, which a
 * Cholesky factorisation shows for a fraction of the price of the eigenvalues. Only a matrix that
 * fails the test against the tau of those before it is looked at closer, by Lanczos. */
typedef struct amun__top {
    amun_context *ctx;
    int64_t n;
    int parts;    /* 1: real, 2: (re, im) pairs */
    int32_t most; /* Lanczos vectors */
    double tau;   /* certified for the matrices so far, up to amun__top_rounding */
    double *shifted;
    double *basis; /* [most + 1][n * parts] */
    double *tridiagonal;
    double *values;
} amun__top;

amun_status amun__top_open(amun__top *top, amun_context *ctx, int64_t n, int parts);
void amun__top_close(amun__top *top); /* also after a failed open; zeroed is fine */
/* Raises tau if g[n][n] needs it (only g[i][j], j >= i, of the Cholesky test; all of it for
 * Lanczos). */
amun_status amun__top_add(amun__top *top, const double *g);
/* tau with the rounding errors of the factorisation: lambda_max(g) <= value for all g. */
double amun__top_value(const amun__top *top);

#endif
