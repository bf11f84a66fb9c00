/* linalg.c - OpenBLAS and LAPACK behind linalg.h. LAPACK reads our row-major matrices as their
 * column-major transposes, so nothing is copied: the SVD of a' is that of a with u and v swapped.
 * Only LAPACKE's _work functions are used, for their scratch memory comes from the context.
 * The number of BLAS threads is never set: OpenBLAS follows OpenMP, which amun__threads rules. */
#include "core/linalg.h"

#include <limits.h>

#include <cblas.h>
#include <lapacke.h>

/* ---- checks --------------------------------------------------------------------------------- */

/* cblas and LAPACK take 32-bit extents in the builds that we ask for. */
static amun_status check_extent(const char *what, int64_t value, int64_t least)
{
    if (value < least || value > INT_MAX) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: extent %lld is outside [%lld, %d]",
                          what, (long long)value, (long long)least, INT_MAX);
    }
    return AMUN_OK;
}

/* LAPACK's iterations may run for ever on values that are not finite. */
static amun_status check_finite_f64(const char *what, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is %g", what, i, values[i]);
        }
    }
    return AMUN_OK;
}

static amun_status check_finite_f32(const char *what, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is %g", what, i,
                              (double)values[i]);
        }
    }
    return AMUN_OK;
}

/* m * n * factor as a size. */
static amun_status count_of(const char *what, int64_t m, int64_t n, size_t factor, size_t *count)
{
    if (!amun__mul_size(count, (size_t)m, (size_t)n) || !amun__mul_size(count, *count, factor)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: %lld by %lld values are too many", what,
                          (long long)m, (long long)n);
    }
    return AMUN_OK;
}

/* What LAPACK says: 0; negative: our mistake; positive: no convergence. */
static amun_status check_info(const char *what, lapack_int info)
{
    if (info < 0) {
        return amun__fail(AMUN_ERROR_INTERNAL, "%s: LAPACK refuses argument %d", what, (int)-info);
    }
    if (info > 0) {
        return amun__fail(AMUN_ERROR_NUMERIC, "%s: no convergence (%d)", what, (int)info);
    }
    return AMUN_OK;
}

/* The scratch length that a query returned as a floating-point number. */
static amun_status work_length(const char *what, double wanted, lapack_int *length)
{
    if (!(wanted <= INT_MAX)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: scratch of %g values is too large",
                          what, wanted);
    }
    *length = wanted < 1 ? 1 : (lapack_int)wanted;
    return AMUN_OK;
}

/* ---- products ------------------------------------------------------------------------------- */

static amun_status check_product(int64_t m, int64_t n, int64_t p)
{
    AMUN__CHECK(check_extent("matrix product", m, 0));
    AMUN__CHECK(check_extent("matrix product", n, 0));
    return check_extent("matrix product", p, 0);
}

/* A leading dimension is at least 1, also of an empty matrix. */
static blasint lead(int64_t extent)
{
    return extent < 1 ? 1 : (blasint)extent;
}

amun_status amun__gemm_f32(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t p,
                           double alpha, const float *a, const float *b, double beta, float *c)
{
    AMUN__CHECK(check_product(m, n, p));
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)p,
                (float)alpha, a, lead(transpose_a ? m : p), b, lead(transpose_b ? p : n),
                (float)beta, c, lead(n));
    return AMUN_OK;
}

amun_status amun__gemm_f64(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t p,
                           double alpha, const double *a, const double *b, double beta, double *c)
{
    AMUN__CHECK(check_product(m, n, p));
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)p, alpha,
                a, lead(transpose_a ? m : p), b, lead(transpose_b ? p : n), beta, c, lead(n));
    return AMUN_OK;
}

amun_status amun__gemm_c64(bool adjoint_a, bool adjoint_b, int64_t m, int64_t n, int64_t p,
                           const double *a, const double *b, double *c)
{
    static const double one[2] = {1, 0}, zero[2] = {0, 0};
    AMUN__CHECK(check_product(m, n, p));
    cblas_zgemm(CblasRowMajor, adjoint_a ? CblasConjTrans : CblasNoTrans,
                adjoint_b ? CblasConjTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)p, one,
                a, lead(adjoint_a ? m : p), b, lead(adjoint_b ? p : n), zero, c, lead(n));
    return AMUN_OK;
}

/* re = a a' + b b', im = x - x' with x = b a'; the adjoint first: a' a + b' b, x = a' b. */
amun_status amun__gram_c64(bool adjoint, int64_t n, int64_t p, const double *a, const double *b,
                           double *re, double *im)
{
    AMUN__CHECK(check_product(n, n, p));
    const CBLAS_TRANSPOSE transpose = adjoint ? CblasTrans : CblasNoTrans;
    for (int part = 0; part < 2; part++) {
        cblas_dsyrk(CblasRowMajor, CblasUpper, transpose, (blasint)n, (blasint)p, 1,
                    part == 0 ? a : b, lead(adjoint ? n : p), part, re, lead(n));
    }
    AMUN__CHECK(adjoint ? amun__gemm_f64(true, false, n, n, p, 1, a, b, 0, im)
                        : amun__gemm_f64(false, true, n, n, p, 1, b, a, 0, im));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i; j < n; j++) {
            const double x = im[i * n + j] - im[j * n + i];
            re[j * n + i] = re[i * n + j];
            im[i * n + j] = x;
            im[j * n + i] = -x;
        }
    }
    return AMUN_OK;
}

/* ---- QR ------------------------------------------------------------------------------------- */

static amun_status check_block(int64_t k, int64_t n, size_t *count)
{
    AMUN__CHECK(check_extent("QR: vectors", k, 1));
    AMUN__CHECK(check_extent("QR: length", n, 1));
    if (k > n) {
        return amun__fail(AMUN_ERROR_SHAPE, "QR: %lld vectors of %lld values cannot be orthonormal",
                          (long long)k, (long long)n);
    }
    return count_of("QR", k, n, 1, count);
}

amun_status amun__orthonormalise_f32(amun_context *ctx, int64_t k, int64_t n, float *rows,
                                     double *diagonal)
{
    size_t count;
    AMUN__CHECK(check_block(k, n, &count));
    AMUN__CHECK(check_finite_f32("QR", rows, count));
    lapack_int kk = (lapack_int)k, nn = (lapack_int)n, length = 0;
    float wanted[2] = {0, 0};
    AMUN__CHECK(check_info(
        "QR", LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, nn, kk, rows, nn, NULL, &wanted[0], -1)));
    AMUN__CHECK(check_info(
        "QR", LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, nn, kk, kk, rows, nn, NULL, &wanted[1], -1)));
    AMUN__CHECK(work_length("QR", (double)fmaxf(fmaxf(wanted[0], wanted[1]), (float)k), &length));
    length = length < kk ? kk : length; /* a float may have rounded k down */
    float *tau = NULL, *work = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(ctx, &tau, (size_t)k, sizeof *tau));
    AMUN__TRY(amun__alloc(ctx, &work, (size_t)length, sizeof *work));
    AMUN__TRY(check_info(
        "QR", LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, nn, kk, rows, nn, tau, work, length)));
    for (int64_t i = 0; i < k; i++) {
        diagonal[i] = (double)rows[i * n + i];
    }
    AMUN__TRY(check_info(
        "QR", LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, nn, kk, kk, rows, nn, tau, work, length)));
    AMUN__TRY(check_finite_f64("QR: R", diagonal, (size_t)k));
    AMUN__TRY(check_finite_f32("QR: Q", rows, count));
fail:
    amun__free(ctx, tau);
    amun__free(ctx, work);
    return status;
}

amun_status amun__orthonormalise_f64(amun_context *ctx, int64_t k, int64_t n, double *rows,
                                     double *diagonal)
{
    size_t count;
    AMUN__CHECK(check_block(k, n, &count));
    AMUN__CHECK(check_finite_f64("QR", rows, count));
    lapack_int kk = (lapack_int)k, nn = (lapack_int)n, length = 0;
    double wanted[2] = {0, 0};
    AMUN__CHECK(check_info(
        "QR", LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, nn, kk, rows, nn, NULL, &wanted[0], -1)));
    AMUN__CHECK(check_info(
        "QR", LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, nn, kk, kk, rows, nn, NULL, &wanted[1], -1)));
    AMUN__CHECK(work_length("QR", fmax(fmax(wanted[0], wanted[1]), (double)k), &length));
    double *tau = NULL, *work = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(ctx, &tau, (size_t)k, sizeof *tau));
    AMUN__TRY(amun__alloc(ctx, &work, (size_t)length, sizeof *work));
    AMUN__TRY(check_info(
        "QR", LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, nn, kk, rows, nn, tau, work, length)));
    for (int64_t i = 0; i < k; i++) {
        diagonal[i] = rows[i * n + i];
    }
    AMUN__TRY(check_info(
        "QR", LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, nn, kk, kk, rows, nn, tau, work, length)));
    AMUN__TRY(check_finite_f64("QR: R", diagonal, (size_t)k));
    AMUN__TRY(check_finite_f64("QR: Q", rows, count));
fail:
    amun__free(ctx, tau);
    amun__free(ctx, work);
    return status;
}

/* ---- eigenvalues ---------------------------------------------------------------------------- */

/* The part of a symmetric matrix that counts; callers may leave the rest as it was allocated. */
static amun_status check_finite_upper(const char *what, const double *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i; j < n; j++) {
            if (!isfinite(a[i * n + j])) {
                return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is %g", what, i * n + j,
                                  a[i * n + j]);
            }
        }
    }
    return AMUN_OK;
}

amun_status amun__eigh_f64(amun_context *ctx, int64_t n, double *a, double *values, double *vectors)
{
    static const char what[] = "eigenvalues";
    size_t count;
    AMUN__CHECK(check_extent(what, n, 1));
    AMUN__CHECK(count_of(what, n, n, 1, &count));
    AMUN__CHECK(check_finite_upper(what, a, (size_t)n));
    const char job = vectors != NULL ? 'V' : 'N';
    lapack_int nn = (lapack_int)n, length = 0, integers = 0;
    double wanted = 0;
    AMUN__CHECK(check_info(what, LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'L', nn, a, nn, values,
                                                     &wanted, -1, &integers, -1)));
    AMUN__CHECK(work_length(what, wanted, &length));
    double *work = NULL;
    lapack_int *iwork = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(ctx, &work, (size_t)length, sizeof *work));
    AMUN__TRY(amun__alloc(ctx, &iwork, (size_t)integers, sizeof *iwork));
    /* 'L': the lower triangle of what LAPACK sees is the upper one of the rows */
    AMUN__TRY(check_info(what, LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'L', nn, a, nn, values,
                                                   work, length, iwork, integers)));
    AMUN__TRY(check_finite_f64(what, values, (size_t)n));
    if (vectors != NULL) {
        memcpy(vectors, a, count * sizeof *a);
        AMUN__TRY(check_finite_f64("eigenvectors", vectors, count));
    }
fail:
    amun__free(ctx, work);
    amun__free(ctx, iwork);
    return status;
}

/* ---- Cholesky ------------------------------------------------------------------------------- */

static amun_status check_cholesky(int64_t n, size_t parts, const double *a)
{
    static const char what[] = "Cholesky factor";
    size_t count;
    AMUN__CHECK(check_extent(what, n, 1));
    AMUN__CHECK(count_of(what, n, n, parts, &count));
    return check_finite_f64(what, a, count);
}

/* info > 0: the leading minor that is not positive. 'L': as for the eigenvalues; what LAPACK sees
 * is the conjugate of `a`, which has the same eigenvalues. */
static amun_status cholesky_answer(lapack_int info, bool *positive)
{
    *positive = info == 0;
    return info > 0 ? AMUN_OK : check_info("Cholesky factor", info);
}

amun_status amun__cholesky_f64(int64_t n, double *a, bool *positive)
{
    AMUN__CHECK(check_cholesky(n, 1, a));
    return cholesky_answer(
        LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)n, a, (lapack_int)n), positive);
}

amun_status amun__cholesky_solve_f64(int64_t n, double *a, double *b, bool *positive)
{
    AMUN__CHECK(check_cholesky(n, 1, a));
    AMUN__CHECK(check_finite_f64("right-hand side", b, (size_t)n));
    const lapack_int order = (lapack_int)n;
    return cholesky_answer(
        LAPACKE_dposv_work(LAPACK_COL_MAJOR, 'L', order, 1, a, order, b, order), positive);
}

amun_status amun__cholesky_c64(int64_t n, double *a, bool *positive)
{
    AMUN__CHECK(check_cholesky(n, 2, a));
    lapack_complex_double *z = (lapack_complex_double *)(void *)a;
    return cholesky_answer(
        LAPACKE_zpotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)n, z, (lapack_int)n), positive);
}

static amun_status check_part(int64_t n, int64_t first, int64_t ld)
{
    static const char what[] = "Cholesky factor";
    AMUN__CHECK(check_extent(what, ld, 1));
    if (first < 1 || first > n || n > ld) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s: %lld of %lld rows, leading dimension %lld", what,
                          (long long)first, (long long)n, (long long)ld);
    }
    return AMUN_OK;
}

/* A factor that is not a number would be taken for one by what follows. */
static void check_pivots(int64_t first, size_t stride, const double *a, bool *positive)
{
    for (int64_t i = 0; i < first && *positive; i++) {
        const double pivot = a[(size_t)i * stride];
        *positive = isfinite(pivot) && pivot > 0;
    }
}

/* Column-major: the lower triangle of [L11; L21], then A22 - L21 L21'. */
amun_status amun__cholesky_part_f64(int64_t n, int64_t first, int64_t ld, double *a, bool *positive)
{
    AMUN__CHECK(check_part(n, first, ld));
    const blasint rest = (blasint)(n - first), head = (blasint)first, lead_of_a = (blasint)ld;
    AMUN__CHECK(cholesky_answer(
        LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)first, a, (lapack_int)ld),
        positive));
    check_pivots(first, (size_t)ld + 1, a, positive);
    if (*positive && rest > 0) {
        cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, rest, head, 1,
                    a, lead_of_a, a + first, lead_of_a);
        cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, rest, head, -1, a + first, lead_of_a,
                    1, a + first * ld + first, lead_of_a);
    }
    return AMUN_OK;
}

amun_status amun__cholesky_part_c64(int64_t n, int64_t first, int64_t ld, double *a, bool *positive)
{
    static const double one[2] = {1, 0};
    AMUN__CHECK(check_part(n, first, ld));
    const blasint rest = (blasint)(n - first), head = (blasint)first, lead_of_a = (blasint)ld;
    lapack_complex_double *z = (lapack_complex_double *)(void *)a;
    AMUN__CHECK(cholesky_answer(
        LAPACKE_zpotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)first, z, (lapack_int)ld),
        positive));
    check_pivots(first, 2 * ((size_t)ld + 1), a, positive);
    if (*positive && rest > 0) {
        cblas_ztrsm(CblasColMajor, CblasRight, CblasLower, CblasConjTrans, CblasNonUnit, rest, head,
                    one, a, lead_of_a, a + 2 * first, lead_of_a);
        cblas_zherk(CblasColMajor, CblasLower, CblasNoTrans, rest, head, -1, a + 2 * first,
                    lead_of_a, 1, a + 2 * (first * ld + first), lead_of_a);
    }
    return AMUN_OK;
}

/* ---- singular values ------------------------------------------------------------------------ */

/* The extents of an SVD and what LAPACK is asked for. */
typedef struct svd_shape {
    lapack_int m, n, r;
    size_t count; /* doubles in `a` */
    char job;
} svd_shape;

static const char svd_name[] = "singular values";

static amun_status check_svd(svd_shape *shape, int64_t m, int64_t n, size_t parts, const double *a,
                             const double *u, const double *vt)
{
    AMUN__CHECK(check_extent(svd_name, m, 1));
    AMUN__CHECK(check_extent(svd_name, n, 1));
    AMUN__CHECK(count_of(svd_name, m, n, parts, &shape->count));
    if ((u == NULL) != (vt == NULL)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: u and vt go together", svd_name);
    }
    shape->m = (lapack_int)m;
    shape->n = (lapack_int)n;
    shape->r = shape->m < shape->n ? shape->m : shape->n;
    shape->job = u != NULL ? 'S' : 'N';
    return check_finite_f64(svd_name, a, shape->count);
}

amun_status amun__svd_f64(amun_context *ctx, int64_t m, int64_t n, double *a, double *s, double *u,
                          double *vt)
{
    svd_shape f;
    AMUN__CHECK(check_svd(&f, m, n, 1, a, u, vt));
    lapack_int length = 0, ldvt = f.job == 'S' ? f.r : 1;
    double wanted = 0, *work = NULL;
    lapack_int *iwork = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(ctx, &iwork, 8 * (size_t)f.r, sizeof *iwork));
    AMUN__TRY(check_info(svd_name, LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, f.job, f.n, f.m, a, f.n, s,
                                                       vt, f.n, u, ldvt, &wanted, -1, iwork)));
    AMUN__TRY(work_length(svd_name, wanted, &length));
    AMUN__TRY(amun__alloc(ctx, &work, (size_t)length, sizeof *work));
    AMUN__TRY(check_info(svd_name, LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, f.job, f.n, f.m, a, f.n, s,
                                                       vt, f.n, u, ldvt, work, length, iwork)));
    AMUN__TRY(check_finite_f64(svd_name, s, (size_t)f.r));
fail:
    amun__free(ctx, iwork);
    amun__free(ctx, work);
    return status;
}

/* zgesdd's real scratch; LAPACK's documentation, with the larger of its two formulas. */
static amun_status real_scratch(const svd_shape *f, size_t *count)
{
    size_t small = (size_t)f->r, large = (size_t)(f->m > f->n ? f->m : f->n), factor;
    if (f->job == 'N') {
        return count_of(svd_name, f->r, 7, 1, count);
    }
    if (!amun__mul_size(&factor, small, 7) || !amun__add_size(&factor, factor, 2 * large + 1) ||
        !amun__mul_size(count, factor, small)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: too large", svd_name);
    }
    return AMUN_OK;
}

amun_status amun__svd_c64(amun_context *ctx, int64_t m, int64_t n, double *a, double *s, double *u,
                          double *vt)
{
    svd_shape f;
    size_t reals;
    AMUN__CHECK(check_svd(&f, m, n, 2, a, u, vt));
    AMUN__CHECK(real_scratch(&f, &reals));
    /* a' without conjugation is conj(V) diag(s) u': rows of conj(V)' are rows of V's adjoint */
    lapack_int length = 0, ldvt = f.job == 'S' ? f.r : 1;
    lapack_complex_double wanted = 0, *work = NULL, *za = (lapack_complex_double *)(void *)a;
    lapack_complex_double *zu = (lapack_complex_double *)(void *)u,
                          *zvt = (lapack_complex_double *)(void *)vt;
    double *rwork = NULL;
    lapack_int *iwork = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(ctx, &iwork, 8 * (size_t)f.r, sizeof *iwork));
    AMUN__TRY(amun__alloc(ctx, &rwork, reals, sizeof *rwork));
    AMUN__TRY(
        check_info(svd_name, LAPACKE_zgesdd_work(LAPACK_COL_MAJOR, f.job, f.n, f.m, za, f.n, s, zvt,
                                                 f.n, zu, ldvt, &wanted, -1, rwork, iwork)));
    AMUN__TRY(work_length(svd_name, lapack_complex_double_real(wanted), &length));
    AMUN__TRY(amun__alloc(ctx, &work, (size_t)length, sizeof *work));
    AMUN__TRY(
        check_info(svd_name, LAPACKE_zgesdd_work(LAPACK_COL_MAJOR, f.job, f.n, f.m, za, f.n, s, zvt,
                                                 f.n, zu, ldvt, work, length, rwork, iwork)));
    AMUN__TRY(check_finite_f64(svd_name, s, (size_t)f.r));
fail:
    amun__free(ctx, iwork);
    amun__free(ctx, rwork);
    amun__free(ctx, work);
    return status;
}

/* ---- reductions ----------------------------------------------------------------------------- */

enum {
    DOT_LANES = 8,     /* independent sums that the compiler may put into one register */
    DOT_BLOCK = 1 << 9 /* values per block: the error grows with block + blocks, not with n */
};

#define DEFINE_DOT(name, type)                                                                     \
    double name(const type *a, const type *b, size_t n)                                            \
    {                                                                                              \
        double total = 0;                                                                          \
        for (size_t begin = 0; begin < n; begin += DOT_BLOCK) {                                    \
            size_t end = n - begin < DOT_BLOCK ? n : begin + DOT_BLOCK, i = begin;                 \
            double lane[DOT_LANES] = {0}, rest = 0;                                                \
            for (; end - i >= DOT_LANES; i += DOT_LANES) {                                         \
                for (size_t j = 0; j < DOT_LANES; j++) {                                           \
                    lane[j] += (double)a[i + j] * (double)b[i + j];                                \
                }                                                                                  \
            }                                                                                      \
            for (; i < end; i++) {                                                                 \
                rest += (double)a[i] * (double)b[i];                                               \
            }                                                                                      \
            for (size_t j = 0; j < DOT_LANES; j++) {                                               \
                rest += lane[j];                                                                   \
            }                                                                                      \
            total += rest;                                                                         \
        }                                                                                          \
        return total;                                                                              \
    }
DEFINE_DOT(amun__dot_f32, float)
DEFINE_DOT(amun__dot_f64, double)

/* ---- threads -------------------------------------------------------------------------------- */

const char *amun__linalg_advice(void)
{
#ifdef _OPENMP
    if (openblas_get_parallel() == OPENBLAS_THREAD) {
        return "this OpenBLAS has a thread pool of its own beside OpenMP's: the two slow each "
               "other down; its OpenMP variant (libopenblas0-openmp) does not";
    }
#endif
    return NULL;
}
