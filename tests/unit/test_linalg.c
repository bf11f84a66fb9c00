/* Dense algebra: products against loops, factorisations by what they must satisfy, known spectra,
 * complex against the real embedding, bad extents and values. */
#include <limits.h>
#include <stdlib.h>

#include "core/linalg.h"
#include "support.h"

static amun_context *ctx;

static void setup(void)
{
    ck_ok(amun_context_create(&ctx, NULL));
}

static void teardown(void)
{
    amun_context_unref(ctx);
}

static double *draw(size_t count, uint64_t seed)
{
    double *values = malloc((count + 1) * sizeof *values);
    ck_assert(values != NULL);
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 0, count);
    for (size_t i = 0; i < count; i++) {
        values[i] = amun__rng_normal(&rng);
    }
    return values;
}

static float *rounded(const double *values, size_t count)
{
    float *out = malloc((count + 1) * sizeof *out);
    ck_assert(out != NULL);
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)values[i];
    }
    return out;
}

/* max |got - want| / (1 + max |want|) */
static double distance(const double *got, const double *want, size_t count)
{
    double error = 0, size = 1;
    for (size_t i = 0; i < count; i++) {
        ck_assert(isfinite(got[i]));
        error = fmax(error, fabs(got[i] - want[i]));
        size = fmax(size, fabs(want[i]));
    }
    return error / size;
}

/* ---- products ------------------------------------------------------------------------------- */

static void multiply(bool ta, bool tb, size_t m, size_t n, size_t p, double alpha, const double *a,
                     const double *b, double beta, double *c)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t q = 0; q < p; q++) {
                sum += (ta ? a[q * m + i] : a[i * p + q]) * (tb ? b[j * p + q] : b[q * n + j]);
            }
            c[i * n + j] = alpha * sum + (beta == 0 ? 0 : beta * c[i * n + j]);
        }
    }
}

START_TEST(test_products)
{
    static const size_t shapes[][3] = {{1, 1, 1}, {3, 5, 7}, {17, 2, 33}, {40, 41, 9}, {4, 3, 0}};
    static const double factors[][2] = {{1, 0}, {-0.5, 2}, {2, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        size_t m = shapes[s][0], n = shapes[s][1], p = shapes[s][2];
        double *a = draw(m * p, 1), *b = draw(p * n, 2), *start = draw(m * n, 3);
        double *want = malloc(m * n * sizeof *want), *got = malloc(m * n * sizeof *got);
        float *fa = rounded(a, m * p), *fb = rounded(b, p * n);
        for (int flags = 0; flags < 12; flags++) {
            bool ta = flags & 1, tb = flags & 2;
            double alpha = factors[flags / 4][0], beta = factors[flags / 4][1];
            memcpy(want, start, m * n * sizeof *want);
            memcpy(got, start, m * n * sizeof *got);
            if (beta == 0) {
                got[0] = NAN; /* must not be read */
            }
            float *fc = rounded(got, m * n);
            multiply(ta, tb, m, n, p, alpha, a, b, beta, want);
            ck_ok(
                amun__gemm_f64(ta, tb, (int64_t)m, (int64_t)n, (int64_t)p, alpha, a, b, beta, got));
            ck_assert_double_lt(distance(got, want, m * n), 1e-14);
            ck_ok(amun__gemm_f32(ta, tb, (int64_t)m, (int64_t)n, (int64_t)p, alpha, fa, fb, beta,
                                 fc));
            for (size_t i = 0; i < m * n; i++) {
                got[i] = (double)fc[i];
            }
            ck_assert_double_lt(distance(got, want, m * n), 1e-6);
            free(fc);
        }
        free(a), free(b), free(start), free(want), free(got), free(fa), free(fb);
    }
}
END_TEST

/* The real matrix [[re, -im], [im, re]] of a complex one, 2m by 2n. */
static double *embed(const double *z, size_t m, size_t n)
{
    double *out = malloc(4 * m * n * sizeof *out);
    ck_assert(out != NULL);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double re = z[2 * (i * n + j)], im = z[2 * (i * n + j) + 1];
            out[i * 2 * n + j] = out[(i + m) * 2 * n + j + n] = re;
            out[(i + m) * 2 * n + j] = im;
            out[i * 2 * n + j + n] = -im;
        }
    }
    return out;
}

/* The adjoint of a complex matrix is the transpose of its embedding. */
START_TEST(test_complex_products)
{
    enum { M = 5, N = 4, P = 7 };
    double *a = draw(2 * M * P, 4), *b = draw(2 * P * N, 5);
    for (int flags = 0; flags < 4; flags++) {
        bool ta = flags & 1, tb = flags & 2;
        double got[2 * M * N], want[4 * M * N];
        double *ra = ta ? embed(a, P, M) : embed(a, M, P);
        double *rb = tb ? embed(b, N, P) : embed(b, P, N);
        got[0] = NAN;
        ck_ok(amun__gemm_c64(ta, tb, M, N, P, a, b, got));
        multiply(ta, tb, 2 * M, 2 * N, 2 * P, 1, ra, rb, 0, want);
        double *embedded = embed(got, M, N);
        ck_assert_double_lt(distance(embedded, want, 4 * M * N), 1e-14);
        free(ra), free(rb), free(embedded);
    }
    free(a), free(b);
}
END_TEST

START_TEST(test_complex_gram)
{
    enum { N = 5, P = 3 };
    double *k = draw(2 * N * P, 6), a[N * P], b[N * P];
    for (size_t i = 0; i < N * P; i++) {
        a[i] = k[2 * i];
        b[i] = k[2 * i + 1];
    }
    for (int adjoint = 0; adjoint < 2; adjoint++) { /* k is [N][P], then [P][N] */
        double want[2 * N * N], re[N * N], im[N * N];
        ck_ok(amun__gemm_c64(adjoint, !adjoint, N, N, P, k, k, want));
        re[0] = im[0] = NAN;
        ck_ok(amun__gram_c64(adjoint, N, P, a, b, re, im));
        for (size_t i = 0; i < N * N; i++) {
            ck_close(re[i], want[2 * i], 1e-14);
            ck_close(im[i], want[2 * i + 1], 1e-14);
        }
    }
    ck_fails(amun__gram_c64(false, -1, P, a, b, a, b), AMUN_ERROR_INVALID_ARGUMENT, "extent -1");
    free(k);
}
END_TEST

/* The bits must not depend on where the operands lie or on what was computed before. */
START_TEST(test_repeatable)
{
    enum { M = 37, N = 29, P = 61, ROOM = M * P + P * N + M * N + 16 };
    double *a = draw(M * P, 6), *b = draw(P * N, 7), *room = malloc(ROOM * sizeof *room);
    double first[M * N];
    ck_ok(amun__gemm_f64(false, false, M, N, P, 1, a, b, 0, first));
    for (size_t shift = 0; shift < 8; shift++) {
        double *ca = room + shift, *cb = ca + M * P + shift % 3, *cc = cb + P * N + shift % 2;
        memcpy(ca, a, M * P * sizeof *a);
        memcpy(cb, b, P * N * sizeof *b);
        ck_ok(amun__gemm_f64(false, false, M, N, P, 1, ca, cb, 0, cc));
        ck_assert(memcmp(first, cc, sizeof first) == 0);
    }
    double diagonal[8], again[8];
    float *rows = rounded(a, 8 * 100), *twin = rounded(a, 8 * 100 + 1);
    memmove(twin + 1, rows, 8 * 100 * sizeof *twin);
    ck_ok(amun__orthonormalise_f32(ctx, 8, 100, rows, diagonal));
    ck_ok(amun__orthonormalise_f32(ctx, 8, 100, twin + 1, again));
    ck_assert(memcmp(diagonal, again, sizeof again) == 0);
    ck_assert(memcmp(rows, twin + 1, 8 * 100 * sizeof *rows) == 0);
    free(a), free(b), free(room), free(rows), free(twin);
}
END_TEST

/* ---- QR ------------------------------------------------------------------------------------- */

/* rows . rows' = 1, and each original row is the combination of the first i new ones. */
static double qr_error(const double *q, const double *original, const double *diagonal, size_t k,
                       size_t n)
{
    double error = 0;
    for (size_t i = 0; i < k; i++) {
        double *left = malloc(n * sizeof *left);
        memcpy(left, original + i * n, n * sizeof *left);
        for (size_t j = 0; j < k; j++) {
            double dot = amun__dot_f64(q + i * n, q + j * n, n);
            error = fmax(error, fabs(dot - (i == j)));
            double part = amun__dot_f64(q + j * n, original + i * n, n);
            for (size_t x = 0; x < n && j <= i; x++) {
                left[x] -= part * q[j * n + x];
            }
            if (j == i) {
                error = fmax(error, fabs(part - diagonal[i]));
            }
        }
        error = fmax(error, sqrt(amun__dot_f64(left, left, n)));
        free(left);
    }
    return error;
}

START_TEST(test_orthonormalise)
{
    static const size_t shapes[][2] = {{1, 1}, {1, 9}, {5, 5}, {8, 200}, {70, 130}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        size_t k = shapes[s][0], n = shapes[s][1];
        double *a = draw(k * n, 8 + s), *diagonal = malloc(k * sizeof *diagonal);
        if (k > 3) { /* row 3 depends on the others: Q must be orthonormal all the same */
            for (size_t x = 0; x < n; x++) {
                a[3 * n + x] = a[x] - 2 * a[n + x];
            }
        }
        double *q = malloc(k * n * sizeof *q);
        memcpy(q, a, k * n * sizeof *q);
        ck_ok(amun__orthonormalise_f64(ctx, (int64_t)k, (int64_t)n, q, diagonal));
        ck_assert_double_lt(qr_error(q, a, diagonal, k, n), 1e-12);
        if (k > 3) {
            ck_assert_double_lt(fabs(diagonal[3]), 1e-12);
        }
        float *single = rounded(a, k * n);
        ck_ok(amun__orthonormalise_f32(ctx, (int64_t)k, (int64_t)n, single, diagonal));
        for (size_t i = 0; i < k * n; i++) {
            q[i] = (double)single[i];
        }
        ck_assert_double_lt(qr_error(q, a, diagonal, k, n), 2e-5);
        free(a), free(diagonal), free(q), free(single);
    }
}
END_TEST

/* ---- eigenvalues ---------------------------------------------------------------------------- */

/* The second-difference matrix: values 2 - 2 cos(pi i / (n + 1)). */
START_TEST(test_eigenvalues)
{
    enum { N = 30 };
    const double pi = acos(-1.0);
    double a[N * N] = {0}, saved[N * N], values[N], only[N], vectors[N * N];
    for (size_t i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i + 1 < N) {
            a[i * N + i + 1] = a[(i + 1) * N + i] = -1;
        }
    }
    memcpy(saved, a, sizeof a);
    for (int with = 1; with >= 0; with--) {
        memcpy(a, saved, sizeof a);
        for (size_t i = 1; i < N; i++) {
            a[i * N] = NAN; /* below the diagonal: not read, perhaps never written */
        }
        ck_ok(amun__eigh_f64(ctx, N, a, with ? values : only, with ? vectors : NULL));
    }
    for (size_t i = 0; i < N; i++) {
        ck_close(values[i], 2 - 2 * cos(pi * (double)(i + 1) / (N + 1)), 1e-13);
        ck_close(only[i], values[i], 1e-13);
        for (size_t j = 0; j < N; j++) {
            ck_close(amun__dot_f64(vectors + i * N, vectors + j * N, N), i == j, 1e-13);
            ck_close(amun__dot_f64(saved + j * N, vectors + i * N, N),
                     values[i] * vectors[i * N + j], 1e-13);
        }
    }
}
END_TEST

/* Definite exactly up to the smallest eigenvalue of B B'. */
START_TEST(test_cholesky)
{
    enum { N = 12, P = 15 };
    for (size_t parts = 1; parts <= 2; parts++) {
        double *b = draw(parts * N * P, 90), gram[2 * N * N], s[N], shifted[2 * N * N];
        if (parts == 1) {
            ck_ok(amun__gemm_f64(false, true, N, N, P, 1, b, b, 0, gram));
            ck_ok(amun__svd_f64(ctx, N, P, b, s, NULL, NULL));
        } else {
            ck_ok(amun__gemm_c64(false, true, N, N, P, b, b, gram));
            ck_ok(amun__svd_c64(ctx, N, P, b, s, NULL, NULL));
        }
        const double least = s[N - 1] * s[N - 1];
        for (int step = -1; step <= 1; step += 2) {
            bool positive = step > 0;
            for (size_t i = 0; i < parts * N * N; i++) {
                size_t row = i / parts / N, column = i / parts % N;
                shifted[i] = gram[i];
                if (row == column && i % parts == 0) {
                    shifted[i] -= least * (1 + 1e-6 * step);
                } else if (row > column) {
                    shifted[i] = 1e6; /* not read */
                }
            }
            ck_ok(parts == 1 ? amun__cholesky_f64(N, shifted, &positive)
                             : amun__cholesky_c64(N, shifted, &positive));
            ck_assert_msg(positive == (step < 0), "%zu parts, step %d", parts, step);
        }
        free(b);
    }
}
END_TEST

/* a x = b put back into a, and an indefinite a told. */
START_TEST(test_solve)
{
    enum { N = 12, P = 15 };
    double *b = draw(N * P, 91), *x = draw(N, 92), gram[N * N], right[N];
    bool positive = false;
    ck_ok(amun__gemm_f64(false, true, N, N, P, 1, b, b, 0, gram));
    for (size_t i = 0; i < N; i++) {
        right[i] = amun__dot_f64(gram + i * N, x, N);
    }
    ck_ok(amun__cholesky_solve_f64(N, gram, right, &positive));
    ck_assert(positive);
    for (size_t i = 0; i < N; i++) {
        ck_close(right[i], x[i], 1e-8);
    }
    double indefinite[4] = {1, 2, 0, 1};
    ck_ok(amun__cholesky_solve_f64(2, indefinite, right, &positive));
    ck_assert(!positive);
    free(x);
    free(b);
}
END_TEST

/* ---- singular values ------------------------------------------------------------------------ */

START_TEST(test_svd)
{
    static const size_t shapes[][2] = {{1, 1}, {1, 6}, {7, 1}, {9, 9}, {5, 40}, {64, 11}, {60, 70}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        size_t m = shapes[i][0], n = shapes[i][1], r = m < n ? m : n;
        double *a = draw(m * n, 20 + i), *copy = malloc(m * n * sizeof *copy);
        double *u = malloc(m * r * sizeof *u), *vt = malloc(r * n * sizeof *vt);
        double *s = malloc(r * sizeof *s), *only = malloc(r * sizeof *only);
        memcpy(copy, a, m * n * sizeof *copy);
        ck_ok(amun__svd_f64(ctx, (int64_t)m, (int64_t)n, copy, s, u, vt));
        memcpy(copy, a, m * n * sizeof *copy);
        ck_ok(amun__svd_f64(ctx, (int64_t)m, (int64_t)n, copy, only, NULL, NULL));
        ck_assert_double_lt(distance(only, s, r), 1e-13);
        double energy = 0;
        for (size_t k = 0; k < r; k++) {
            ck_assert(s[k] >= 0 && (k == 0 || s[k] <= s[k - 1]));
            energy += s[k] * s[k];
            for (size_t j = 0; j < r; j++) {
                double uu = 0;
                for (size_t x = 0; x < m; x++) {
                    uu += u[x * r + k] * u[x * r + j];
                }
                ck_close(uu, j == k, 1e-13);
                ck_close(amun__dot_f64(vt + k * n, vt + j * n, n), j == k, 1e-13);
            }
        }
        ck_close(energy / amun__dot_f64(a, a, m * n), 1, 1e-13);
        for (size_t x = 0; x < m; x++) {
            for (size_t k = 0; k < r; k++) {
                u[x * r + k] *= s[k];
            }
        }
        multiply(false, false, m, n, r, 1, u, vt, 0, copy);
        ck_assert_double_lt(distance(copy, a, m * n), 1e-13);
        free(a), free(copy), free(u), free(vt), free(s), free(only);
    }
}
END_TEST

/* diag(3, 2, 1) between two rotations keeps its values. */
START_TEST(test_svd_known)
{
    double *left = draw(5 * 3, 41), *right = draw(3 * 4, 42), a[5 * 4], s[4], skip[3];
    const double want[4] = {3, 2, 1, 0};
    double columns[3 * 5];
    for (size_t i = 0; i < 15; i++) {
        columns[i] = left[i];
    }
    ck_ok(amun__orthonormalise_f64(ctx, 3, 5, columns, skip));
    ck_ok(amun__orthonormalise_f64(ctx, 3, 4, right, skip));
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 4; j++) {
            a[i * 4 + j] = 0;
            for (size_t k = 0; k < 3; k++) {
                a[i * 4 + j] += columns[k * 5 + i] * want[k] * right[k * 4 + j];
            }
        }
    }
    ck_ok(amun__svd_f64(ctx, 5, 4, a, s, NULL, NULL));
    ck_assert_double_lt(distance(s, want, 4), 1e-14);
    free(left), free(right);
}
END_TEST

/* The real embedding has each value twice. */
START_TEST(test_svd_complex)
{
    static const size_t shapes[][2] = {{1, 1}, {1, 5}, {6, 1}, {8, 8}, {5, 30}, {33, 7}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        size_t m = shapes[i][0], n = shapes[i][1], r = m < n ? m : n;
        double *a = draw(2 * m * n, 50 + i), *copy = malloc(2 * m * n * sizeof *copy);
        double *u = malloc(2 * m * r * sizeof *u), *vt = malloc(2 * r * n * sizeof *vt);
        double *s = malloc(r * sizeof *s), *twice = malloc(2 * r * sizeof *twice);
        double *only = malloc(r * sizeof *only), *real = embed(a, m, n);
        memcpy(copy, a, 2 * m * n * sizeof *copy);
        ck_ok(amun__svd_c64(ctx, (int64_t)m, (int64_t)n, copy, s, u, vt));
        memcpy(copy, a, 2 * m * n * sizeof *copy);
        ck_ok(amun__svd_c64(ctx, (int64_t)m, (int64_t)n, copy, only, NULL, NULL));
        ck_ok(amun__svd_f64(ctx, 2 * (int64_t)m, 2 * (int64_t)n, real, twice, NULL, NULL));
        for (size_t k = 0; k < r; k++) {
            ck_close(s[k], twice[2 * k], 1e-13);
            ck_close(s[k], twice[2 * k + 1], 1e-13);
            ck_close(s[k], only[k], 1e-13);
        }
        /* U'U = VV' = 1 */
        double *gram = malloc(2 * r * r * sizeof *gram);
        for (int side = 0; side < 2; side++) {
            const double *q = side == 0 ? u : vt;
            int64_t length = (int64_t)(side == 0 ? m : n);
            ck_ok(amun__gemm_c64(side == 0, side == 1, (int64_t)r, (int64_t)r, length, q, q, gram));
            for (size_t k = 0; k < r * r; k++) {
                ck_close(gram[2 * k], k % (r + 1) == 0, 1e-13);
                ck_close(gram[2 * k + 1], 0, 1e-13);
            }
        }
        for (size_t k = 0; k < 2 * m * r; k++) {
            u[k] *= s[k / 2 % r];
        }
        ck_ok(amun__gemm_c64(false, false, (int64_t)m, (int64_t)n, (int64_t)r, u, vt, copy));
        ck_assert_double_lt(distance(copy, a, 2 * m * n), 1e-13);
        free(a), free(copy), free(u), free(vt), free(s), free(twice), free(only), free(real);
        free(gram);
    }
}
END_TEST

/* ---- reductions ----------------------------------------------------------------------------- */

START_TEST(test_dot)
{
    static const size_t lengths[] = {0, 1, 7, 8, 9, 511, 512, 513, 1537, 10001};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = lengths[i];
        double *a = draw(n, 70), *b = draw(n, 71);
        float *fa = rounded(a, n), *fb = rounded(b, n);
        long double sum = 0, single = 0;
        for (size_t k = 0; k < n; k++) {
            sum += (long double)a[k] * (long double)b[k];
            single += (long double)fa[k] * (long double)fb[k];
        }
        ck_close(amun__dot_f64(a, b, n), (double)sum, 1e-13);
        ck_close(amun__dot_f32(fa, fb, n), (double)single, 1e-13); /* sums in double */
        free(a), free(b), free(fa), free(fb);
    }
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------ */

START_TEST(test_bad_extents)
{
    const int64_t huge = (int64_t)INT_MAX + 1;
    double x[4] = {1, 2, 3, 4}, y[4], z[4], w[4];
    float f[4] = {1, 2, 3, 4};
    ck_fails(amun__gemm_f64(false, false, huge, 1, 1, 1, x, x, 0, y), AMUN_ERROR_INVALID_ARGUMENT,
             "2147483648");
    ck_fails(amun__gemm_f32(false, false, 1, -1, 1, 1, f, f, 0, f), AMUN_ERROR_INVALID_ARGUMENT,
             "-1");
    ck_fails(amun__gemm_c64(false, false, 1, 1, huge, x, x, y), AMUN_ERROR_INVALID_ARGUMENT,
             "2147483648");
    ck_fails(amun__orthonormalise_f64(ctx, 2, 1, x, y), AMUN_ERROR_SHAPE, "2 vectors of 1");
    ck_fails(amun__orthonormalise_f32(ctx, 0, 1, f, y), AMUN_ERROR_INVALID_ARGUMENT, "extent 0");
    ck_fails(amun__orthonormalise_f32(ctx, 1, huge, f, y), AMUN_ERROR_INVALID_ARGUMENT,
             "2147483648");
    ck_fails(amun__eigh_f64(ctx, 0, x, y, z), AMUN_ERROR_INVALID_ARGUMENT, "extent 0");
    ck_fails(amun__eigh_f64(ctx, huge, x, y, z), AMUN_ERROR_INVALID_ARGUMENT, "2147483648");
    ck_fails(amun__svd_f64(ctx, 0, 2, x, y, z, w), AMUN_ERROR_INVALID_ARGUMENT, "extent 0");
    ck_fails(amun__svd_f64(ctx, 2, 2, x, y, z, NULL), AMUN_ERROR_INVALID_ARGUMENT, "together");
    ck_fails(amun__svd_c64(ctx, 1, huge, x, y, z, w), AMUN_ERROR_INVALID_ARGUMENT, "2147483648");
}
END_TEST

START_TEST(test_bad_values)
{
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        double x[8] = {1, 2, 3, bad[i], 4, 5, 6, 7}, y[8], z[8], w[8];
        float f[4] = {1, 2, 3, (float)bad[i]};
        ck_fails(amun__orthonormalise_f64(ctx, 2, 2, x, y), AMUN_ERROR_NUMERIC, "value 3");
        ck_fails(amun__orthonormalise_f32(ctx, 2, 2, f, y), AMUN_ERROR_NUMERIC, "value 3");
        ck_fails(amun__eigh_f64(ctx, 2, x, y, z), AMUN_ERROR_NUMERIC, "value 3");
        bool positive;
        ck_fails(amun__cholesky_f64(2, x, &positive), AMUN_ERROR_NUMERIC, "value 3");
        ck_fails(amun__cholesky_c64(2, x, &positive), AMUN_ERROR_NUMERIC, "value 3");
        ck_fails(amun__svd_f64(ctx, 2, 4, x, y, z, w), AMUN_ERROR_NUMERIC, "value 3");
        ck_fails(amun__svd_c64(ctx, 2, 2, x, y, z, w), AMUN_ERROR_NUMERIC, "value 3");
    }
    /* finite, but the answer is not */
    float large[2] = {3e38f, 3e38f};
    double r[2];
    ck_fails(amun__orthonormalise_f32(ctx, 1, 2, large, r), AMUN_ERROR_NUMERIC, "QR");
}
END_TEST

START_TEST(test_memory)
{
    for (int64_t fail_at = 1; fail_at <= 3; fail_at++) {
        test_allocator allocator = {0};
        amun_context *own = test_context(&allocator);
        int64_t before = atomic_load(&allocator.live_blocks);
        double x[16] = {1, 2, 3, 5}, s[4], u[8], vt[8];
        atomic_store(&allocator.fail_at, fail_at);
        ck_fails(amun__svd_c64(own, 2, 2, x, s, u, vt), AMUN_ERROR_OUT_OF_MEMORY, "refused");
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
        atomic_store(&allocator.fail_at, fail_at < 3 ? fail_at : 0);
        amun_status status = amun__orthonormalise_f64(own, 2, 2, x, s);
        ck_assert_int_eq(status, fail_at < 3 ? AMUN_ERROR_OUT_OF_MEMORY : AMUN_OK);
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
        amun_context_unref(own);
        ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("linalg");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_products);
    tcase_add_test(tc, test_complex_products);
    tcase_add_test(tc, test_complex_gram);
    tcase_add_test(tc, test_repeatable);
    tcase_add_test(tc, test_orthonormalise);
    tcase_add_test(tc, test_eigenvalues);
    tcase_add_test(tc, test_cholesky);
    tcase_add_test(tc, test_solve);
    tcase_add_test(tc, test_svd);
    tcase_add_test(tc, test_svd_known);
    tcase_add_test(tc, test_svd_complex);
    tcase_add_test(tc, test_dot);
    tcase_add_test(tc, test_bad_extents);
    tcase_add_test(tc, test_bad_values);
    tcase_add_test(tc, test_memory);
    return amun_test_main("linalg", (TCase *[]){tc, NULL});
}
