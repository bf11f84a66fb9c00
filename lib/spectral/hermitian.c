/* hermitian.c - certified largest eigenvalues by Cholesky tests at values that Lanczos proposes. */
#include "spectral/hermitian.h"

#include "core/linalg.h"

enum { LANCZOS_MOST = 60 };

static const double unit_roundoff = 0x1p-53;

amun_status amun__top_open(amun__top *top, amun_context *ctx, int64_t n, int parts)
{
    amun_status status;
    *top = (amun__top){.ctx = ctx, .n = n, .parts = parts};
    size_t length = (size_t)n * (size_t)parts, area;
    if (!amun__mul_size(&area, length, (size_t)n)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "a matrix of %lld rows is too large",
                          (long long)n);
    }
    top->most = length < LANCZOS_MOST ? (int32_t)length : LANCZOS_MOST;
    const size_t most = (size_t)top->most;
    AMUN__TRY(amun__alloc(ctx, &top->shifted, area, sizeof *top->shifted));
    AMUN__TRY(amun__alloc(ctx, &top->basis, length * (most + 1), sizeof *top->basis));
    AMUN__TRY(amun__alloc(ctx, &top->tridiagonal, most * most, sizeof *top->tridiagonal));
    AMUN__TRY(amun__alloc(ctx, &top->values, most, sizeof *top->values));
    return AMUN_OK;
fail:
    amun__top_close(top);
    return status;
}

void amun__top_close(amun__top *top)
{
    if (top->ctx != NULL) {
        amun__free(top->ctx, top->shifted);
        amun__free(top->ctx, top->basis);
        amun__free(top->ctx, top->tridiagonal);
        amun__free(top->ctx, top->values);
    }
    *top = (amun__top){0};
}

/* Is tau * 1 - g positive definite, as far as rounding lets one see? */
static amun_status below(amun__top *top, const double *g, double tau, bool *answer)
{
    const size_t length = (size_t)top->n * (size_t)top->parts;
    for (size_t row = 0; row < (size_t)top->n; row++) {
        for (size_t i = 0; i < length; i++) {
            top->shifted[row * length + i] = -g[row * length + i];
        }
        top->shifted[row * length + row * (size_t)top->parts] += tau;
    }
    return top->parts == 1 ? amun__cholesky_f64(top->n, top->shifted, answer)
                           : amun__cholesky_c64(top->n, top->shifted, answer);
}

static void scale_vector(double *v, size_t count, double factor)
{
    for (size_t i = 0; i < count; i++) {
        v[i] *= factor;
    }
}

/* Twice is enough to be orthogonal to working precision (Parlett, Kahan). A Hermitian matrix on
 * complex vectors is a symmetric one on their parts, so the real inner product will do. */
static void orthogonalise(double *w, const double *basis, size_t vectors, size_t count)
{
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t j = 0; j < vectors; j++) {
            const double *v = basis + j * count, part = amun__dot_f64(v, w, count);
            for (size_t i = 0; i < count; i++) {
                w[i] -= part * v[i];
            }
        }
    }
}

/* The largest Ritz value: from below, and close. */
static amun_status lanczos(amun__top *top, const double *g, double size, double *estimate)
{
    const size_t count = (size_t)top->n * (size_t)top->parts, most = (size_t)top->most;
    double *t = top->tridiagonal;
    memset(t, 0, most * most * sizeof *t);
    amun__rng rng;
    amun__rng_open(&rng, 0, AMUN__RNG_INIT, 0, (uint64_t)count);
    for (size_t i = 0; i < count; i++) {
        top->basis[i] = amun__rng_normal(&rng);
    }
    scale_vector(top->basis, count, 1 / sqrt(amun__dot_f64(top->basis, top->basis, count)));
    size_t steps = 0;
    while (steps < most) {
        const double *v = top->basis + steps * count;
        double *w = top->basis + (steps + 1) * count;
        AMUN__CHECK(top->parts == 1 ? amun__gemm_f64(false, false, top->n, 1, top->n, 1, g, v, 0, w)
                                    : amun__gemm_c64(false, false, top->n, 1, top->n, g, v, w));
        t[steps * most + steps] = amun__dot_f64(v, w, count);
        orthogonalise(w, top->basis, steps + 1, count);
        double beta = sqrt(amun__dot_f64(w, w, count));
        steps++;
        if (steps == most || !(beta > 1e-14 * size)) {
            break;
        }
        t[(steps - 1) * most + steps] = t[steps * most + steps - 1] = beta;
        scale_vector(w, count, 1 / beta);
    }
    for (size_t i = 1; i < steps; i++) { /* rows of `steps` values */
        memmove(t + i * steps, t + i * most, steps * sizeof *t);
    }
    AMUN__CHECK(amun__eigh_f64(top->ctx, (int64_t)steps, t, top->values, NULL));
    *estimate = top->values[steps - 1];
    return AMUN_OK;
}

amun_status amun__top_add(amun__top *top, const double *g)
{
    static const double margins[] = {1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 1e-1};
    const size_t area = (size_t)top->n * (size_t)top->n * (size_t)top->parts;
    double size = sqrt(amun__dot_f64(g, g, area)), estimate;
    bool fine = size == 0;
    if (top->tau > 0 && !fine) {
        AMUN__CHECK(below(top, g, top->tau, &fine));
    }
    if (fine) {
        return AMUN_OK;
    }
    AMUN__CHECK(lanczos(top, g, size, &estimate));
    estimate = fmax(estimate, top->tau);
    for (size_t i = 0; i < sizeof margins / sizeof margins[0] && estimate > 0; i++) {
        double tau = estimate * (1 + margins[i]);
        AMUN__CHECK(below(top, g, tau, &fine));
        if (fine) {
            top->tau = tau;
            return AMUN_OK;
        }
    }
    /* the Frobenius norm is never smaller; the sum above is good to a few n^2 roundings */
    top->tau = fmax(top->tau, size * (1 + 4 * (double)area * unit_roundoff));
    return AMUN_OK;
}

/* A factorisation that goes through is one of tau * 1 - g + E with |E| <= gamma(n + 1) |L| |L'|
 * (Higham, Accuracy and Stability, theorem 10.3; Demmel for the converse), of which the Frobenius
 * norm is at most gamma(n + 1) trace(L L') <= gamma(n + 1) n tau. 8 covers complex arithmetic and
 * second-order terms; the last term is the subtraction on the diagonal. */
double amun__top_value(const amun__top *top)
{
    const double n = (double)top->n;
    return top->tau * (1 + (8 * (n + 2) * n + 4) * unit_roundoff);
}
