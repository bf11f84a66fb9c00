/* gram_rows.c - what each output channel is divided by in Delattre et al. 2024: absolute sums over
 * the kernel that was convolved with itself, 2^iterations times. Convolved frequency by frequency,
 * on a torus that just holds the result: one step from 17 to 33 taps a side is 17^4 products of
 * channel matrices in the kernel domain, 33^2 / 2 here. Estimates, not certificates: rounding is
 * not bounded. */
#include "spectral/gram.h"

#include "core/linalg.h"

/* The half of the result's taps with x >= 0, for the tap at -d is the transpose of that at d. Sides
 * are odd, so that x = 0 alone is its own mirror. */
typedef struct rows_job {
    const amun__freq *freq;
    int32_t iterations;
    int64_t side, half;  /* taps along y; along x, 0 ... half - 1 */
    size_t area;         /* out * out */
    double *k, *product; /* a matrix: re, then im */
    double *column;      /* [side][2][area]: one column of frequencies, re and im */
    double *spread;      /* [side][2][area]: that, with taps along y */
    double *turn;        /* [side][2][side][2]: the transform along y */
    double *shares;      /* [half][2]: along x, of the column */
    double *sums;        /* [side][half][area], divided by exp(log_scale) */
    double *log_scales;  /* [side]: of the column's matrices */
    double log_scale;
} rows_job;

static void close_job(rows_job *job)
{
    amun_context *ctx = job->freq->ctx;
    amun__free(ctx, job->k);
    amun__free(ctx, job->product);
    amun__free(ctx, job->column);
    amun__free(ctx, job->spread);
    amun__free(ctx, job->turn);
    amun__free(ctx, job->shares);
    amun__free(ctx, job->sums);
    amun__free(ctx, job->log_scales);
}

/* exp(-i angle), as a matrix that takes (re, im) to (re, im), for gemm. */
static void fill_turn(rows_job *job)
{
    const int64_t n = job->side, width = 2 * n;
    for (int64_t d = 0; d < n; d++) {
        for (int64_t w = 0; w < n; w++) {
            const double *wave = job->freq->wave[0] + 2 * (d * w % n);
            double *re = job->turn + 2 * d * width + 2 * w, *im = re + width;
            re[0] = wave[0];
            re[1] = wave[1];
            im[0] = -wave[1];
            im[1] = wave[0];
        }
    }
}

static amun_status open_job(rows_job *job, const amun__freq *freq, int32_t iterations)
{
    amun_status status;
    size_t column, all;
    amun_context *ctx = freq->ctx;
    *job = (rows_job){.freq = freq,
                      .iterations = iterations,
                      .side = freq->grid[0],
                      .half = freq->grid[1] / 2 + 1,
                      .log_scale = -INFINITY};
    const size_t side = (size_t)job->side, matrix = (size_t)(freq->out * freq->columns);
    if (!amun__mul_size(&job->area, (size_t)freq->out, (size_t)freq->out) ||
        !amun__mul_size(&column, job->area, 2 * side) ||
        !amun__mul_size(&all, job->area, side * (size_t)job->half)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%d iterations of a kernel with %lld output channels are too large",
                          (int)iterations, (long long)freq->out);
    }
    AMUN__TRY(amun__alloc(ctx, &job->k, matrix, 2 * sizeof(double)));
    AMUN__TRY(amun__alloc(ctx, &job->product, job->area, 2 * sizeof(double)));
    AMUN__TRY(amun__alloc(ctx, &job->column, column, sizeof(double)));
    AMUN__TRY(amun__alloc(ctx, &job->spread, column, sizeof(double)));
    AMUN__TRY(amun__alloc(ctx, &job->turn, 4 * side * side, sizeof(double)));
    AMUN__TRY(amun__alloc(ctx, &job->shares, (size_t)job->half, 2 * sizeof(double)));
    AMUN__TRY(amun__calloc(ctx, &job->sums, all, sizeof(double)));
    AMUN__TRY(amun__alloc(ctx, &job->log_scales, side, sizeof(double)));
    fill_turn(job);
    return AMUN_OK;
fail:
    close_job(job);
    return status;
}

/* Divides the matrix by its Frobenius norm; its logarithm, -infinity for a zero matrix. */
static double normalise(double *matrix, size_t count)
{
    const double norm = sqrt(amun__dot_f64(matrix, matrix, count));
    amun__gram_scale(matrix, count, norm > 0 ? 1 / norm : 0);
    return log(norm);
}

/* (K K')^(q / 2), q = 2^iterations, at one frequency into to[2][area]; the logarithm of what it was
 * divided by. */
static amun_status power_at(rows_job *job, const int64_t w[2], double *to, double *log_scale)
{
    const amun__freq *f = job->freq;
    const size_t area = job->area, count = (size_t)(f->out * f->columns);
    amun__freq_matrix(f, w, job->k, job->k + count);
    *log_scale = normalise(job->k, 2 * count);
    AMUN__CHECK(amun__gram_c64(false, f->out, f->columns, job->k, job->k + count, to, to + area));
    for (int32_t t = 1; t < job->iterations; t++) {
        *log_scale = 2 * *log_scale + normalise(to, 2 * area);
        memcpy(job->product, to, 2 * area * sizeof *to);
        AMUN__CHECK(amun__gram_c64(false, f->out, f->out, job->product, job->product + area, to,
                                   to + area));
    }
    *log_scale = 2 * *log_scale + normalise(to, 2 * area);
    return AMUN_OK;
}

/* Brings sums and column to one scale, that of the larger. */
static void agree_on_scale(rows_job *job)
{
    double top = job->log_scale;
    for (int64_t y = 0; y < job->side; y++) {
        top = fmax(top, job->log_scales[y]);
    }
    if (top > job->log_scale) {
        amun__gram_scale(job->sums, (size_t)(job->side * job->half) * job->area,
                         exp(job->log_scale - top));
        job->log_scale = top;
    }
    for (int64_t y = 0; y < job->side && isfinite(top); y++) { /* else all are 0 */
        amun__gram_scale(job->column + (size_t)(2 * y) * job->area, 2 * job->area,
                         exp(job->log_scales[y] - top));
    }
}

/* sums += what the frequencies with this x have in the taps. Those with -x have the conjugate. */
static amun_status add_column(rows_job *job, int64_t x)
{
    const amun__freq *f = job->freq;
    const int64_t side = job->side, area = (int64_t)job->area;
    for (int64_t y = 0; y < side; y++) {
        AMUN__CHECK(power_at(job, (const int64_t[]){y, x}, job->column + 2 * y * area,
                             &job->log_scales[y]));
    }
    agree_on_scale(job);
    AMUN__CHECK(amun__gemm_f64(false, false, 2 * side, area, 2 * side, 1, job->turn, job->column, 0,
                               job->spread));
    const double weight = (x == 0 ? 1.0 : 2.0) / (double)(f->grid[0] * f->grid[1]);
    for (int64_t d = 0; d < job->half; d++) {
        const double *wave = f->wave[1] + 2 * (d * x % f->grid[1]);
        job->shares[2 * d] = weight * wave[0];
        job->shares[2 * d + 1] = weight * wave[1];
    }
    for (int64_t y = 0; y < side; y++) {
        AMUN__CHECK(amun__gemm_f64(false, false, job->half, area, 2, 1, job->shares,
                                   job->spread + 2 * y * area, 1,
                                   job->sums + y * job->half * area));
    }
    return AMUN_OK;
}

/* Absolute sums of each output channel's row over all taps, those with x < 0 as columns of their
 * mirrors. */
static void sum_rows(const rows_job *job, double *rows)
{
    const int64_t out = job->freq->out;
    memset(rows, 0, (size_t)out * sizeof *rows);
    for (int64_t d = 0; d < job->side * job->half; d++) {
        const double *tap = job->sums + (size_t)d * job->area;
        const bool mirrored = d % job->half != 0;
        for (int64_t i = 0; i < out; i++) {
            for (int64_t j = 0; j < out; j++) {
                const double size = fabs(tap[i * out + j]);
                rows[i] += size;
                rows[j] += mirrored ? size : 0;
            }
        }
    }
}

int64_t amun__gram_rows_grid(int64_t kernel, int32_t iterations)
{
    return (kernel - 1) * (INT64_C(1) << iterations) + 1;
}

amun_status amun__gram_rows(const amun__freq *freq, int32_t iterations, double *rows)
{
    amun_status status;
    rows_job job;
    AMUN__CHECK(open_job(&job, freq, iterations));
    for (int64_t x = 0; x < job.half; x++) {
        AMUN__TRY(add_column(&job, x));
    }
    sum_rows(&job, rows);
    for (int64_t i = 0; i < freq->out; i++) {
        rows[i] = rows[i] > 0 ? exp(ldexp(job.log_scale + log(rows[i]), -iterations)) : 0;
    }
    status = AMUN_OK;
fail:
    close_job(&job);
    return status;
}
