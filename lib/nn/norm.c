/* norm.c - batch norm over images in blocks of channels: which planes are worked on together, sums
 * over the batch, gradients of scale and shift. */
#include "nn/norm_kernels.h"

#if defined(__x86_64__)

/* Images whose sums are added up together; fixed, so that sums do not depend on threads. */
enum { PART = 8 };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t eights(const amun__norm *n)
{
    return ceil_div(n->channels, n->block) * n->block / 8;
}

static int64_t parts(const amun__norm *n)
{
    return ceil_div(n->batch, PART);
}

size_t amun__norm_scratch_doubles(const amun__norm *n)
{
    return (size_t)(eights(n) * (parts(n) * 16 + 4)); /* 4: 8 floats, the pivots */
}

/* The `c`-th 8 channels of an image. */
static norm_plane plane_of(const amun__norm *n, int64_t image, int64_t c)
{
    const int64_t blocks = ceil_div(n->channels, n->block), from = c * 8;
    return (norm_plane){.at = (image * blocks + from / n->block) * n->pixels * n->block +
                              from % n->block,
                        .step = n->block,
                        .pixels = n->pixels,
                        .bf16 = n->bf16,
                        .relu = n->relu};
}

/* Of channels that do not exist: zeros. */
static void read_lanes(float to[8], const float *from, const amun__norm *n, int64_t c)
{
    for (int64_t k = 0; k < 8; k++) {
        to[k] = c * 8 + k < n->channels ? from[c * 8 + k] : 0;
    }
}

static void write_lanes(float *to, const double from[8], const amun__norm *n, int64_t c)
{
    for (int64_t k = 0; k < 8 && c * 8 + k < n->channels; k++) {
        to[c * 8 + k] = (float)from[k];
    }
}

static norm_lanes lanes_of(const amun__norm *n, const amun__norm_values *values, int64_t c)
{
    norm_lanes l = {{0}, {0}, {0}, {0}, {0}};
    float variance[8], scale[8];
    read_lanes(l.mean, values->mean, n, c);
    read_lanes(l.shift, values->shift, n, c);
    read_lanes(variance, values->variance, n, c);
    read_lanes(scale, values->scale, n, c);
    for (int64_t k = 0; k < 8; k++) {
        l.gain[k] = (float)((double)scale[k] / sqrt((double)variance[k] + (double)n->eps));
    }
    return l;
}

/* The sums of all parts of 8 channels, in their order. */
static void add_parts(double total[2][8], const double *scratch, const amun__norm *n, int64_t c)
{
    memset(total, 0, 16 * sizeof(double));
    for (int64_t part = 0; part < parts(n); part++) {
        const double *from = scratch + (c * parts(n) + part) * 16;
        for (int64_t k = 0; k < 16; k++) {
            total[k / 8][k % 8] += from[k];
        }
    }
}

/* ---- forward --------------------------------------------------------------------------------- */

static float *pivots_of(const amun__norm *n, double *scratch)
{
    return (float *)(scratch + eights(n) * parts(n) * 16);
}

/* Sums of squares are taken around the first image's mean: near enough to the batch's that nothing
 * cancels. */
static void find_pivots(const amun__norm *n, const void *src, float *pivots)
{
    static const float none[8] = {0};
    for (int64_t c = 0; c < eights(n); c++) {
        double sums[2][8] = {{0}};
        const norm_plane p = plane_of(n, 0, c);
        amun__norm_sums_avx2(&p, src, none, sums);
        for (int64_t k = 0; k < 8; k++) {
            pivots[c * 8 + k] = (float)(sums[0][k] / (double)n->pixels);
        }
    }
}

static void part_statistics(const amun__norm *n, const void *src, const float *pivot, double *to,
                            int64_t c, int64_t part)
{
    const int64_t first = part * PART, end = first + PART < n->batch ? first + PART : n->batch;
    double sums[2][8] = {{0}};
    for (int64_t image = first; image < end; image++) {
        const norm_plane p = plane_of(n, image, c);
        amun__norm_sums_avx2(&p, src, pivot, sums);
    }
    memcpy(to, sums, sizeof sums);
}

void amun__norm_statistics(const amun__norm *n, float *mean, float *variance, const void *src,
                           double *scratch, int32_t threads)
{
    (void)threads; /* without OpenMP */
    const double count = (double)(n->batch * n->pixels);
    float *pivots = pivots_of(n, scratch);
    find_pivots(n, src, pivots);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < eights(n) * parts(n); i++) {
        const int64_t c = i / parts(n);
        part_statistics(n, src, pivots + c * 8, scratch + i * 16, c, i % parts(n));
    }
    for (int64_t c = 0; c < eights(n); c++) {
        double total[2][8], means[8], variances[8];
        add_parts(total, scratch, n, c);
        for (int64_t k = 0; k < 8; k++) {
            const double gap = total[0][k] / count, spread = total[1][k] / count - gap * gap;
            means[k] = (double)pivots[c * 8 + k] + gap;
            variances[k] = spread < 0 ? 0 : spread; /* NaN stays NaN */
        }
        write_lanes(mean, means, n, c);
        write_lanes(variance, variances, n, c);
    }
}

void amun__norm_forward(const amun__norm *n, void *dst, const void *src,
                        const amun__norm_values *values, int32_t threads)
{
    (void)threads; /* without OpenMP */
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < eights(n) * parts(n); i++) {
        const int64_t c = i / parts(n), first = i % parts(n) * PART;
        const norm_lanes l = lanes_of(n, values, c); /* once for the part's images */
        for (int64_t image = first; image < n->batch && image < first + PART; image++) {
            const norm_plane p = plane_of(n, image, c);
            amun__norm_apply_avx2(&p, dst, src, &l);
        }
    }
}

/* ---- backward -------------------------------------------------------------------------------- */

typedef struct backward {
    const amun__norm *n;
    const amun__norm_diff *diff;
    const amun__norm_values *values;
    const void *src;
    bool of_batch;
    double *scratch;
} backward;

static void part_sums(const backward *b, int64_t c, int64_t part)
{
    const amun__norm *n = b->n;
    const int64_t first = part * PART, end = first + PART < n->batch ? first + PART : n->batch;
    const norm_lanes l = lanes_of(n, b->values, c);
    double sums[2][8] = {{0}};
    for (int64_t image = first; image < end; image++) {
        const norm_plane p = plane_of(n, image, c);
        amun__norm_diff_sums_avx2(&p, b->src, b->diff->dst, &l, sums);
    }
    memcpy(b->scratch + (c * parts(n) + part) * 16, sums, sizeof sums);
}

/* d scale = sum dy (x - mean) / std, d shift = sum dy. */
static void write_gradients(const backward *b, int64_t c)
{
    double total[2][8];
    float variance[8];
    add_parts(total, b->scratch, b->n, c);
    read_lanes(variance, b->values->variance, b->n, c);
    for (int64_t k = 0; k < 8; k++) {
        total[1][k] /= sqrt((double)variance[k] + (double)b->n->eps);
    }
    write_lanes(b->diff->scale, total[1], b->n, c);
    write_lanes(b->diff->shift, total[0], b->n, c);
}

/* What mean and variance add to the gradient of x:
 * dx = gain (dy - sum dy / N - (x - mean) / (variance + eps) sum dy (x - mean) / N). */
static norm_lanes diff_lanes(const backward *b, int64_t c)
{
    norm_lanes l = lanes_of(b->n, b->values, c);
    if (b->of_batch) {
        double total[2][8];
        float variance[8];
        const double count = (double)(b->n->batch * b->n->pixels);
        add_parts(total, b->scratch, b->n, c);
        read_lanes(variance, b->values->variance, b->n, c);
        for (int64_t k = 0; k < 8; k++) {
            const double gain = (double)l.gain[k], spread = (double)variance[k] + (double)b->n->eps;
            l.offset[k] = (float)(-gain * total[0][k] / count);
            l.slope[k] = (float)(-gain * total[1][k] / count / spread);
        }
    }
    return l;
}

void amun__norm_backward(const amun__norm *n, const amun__norm_diff *diff, const void *src,
                         const amun__norm_values *values, bool of_batch, double *scratch,
                         int32_t threads)
{
    (void)threads; /* without OpenMP */
    const backward b = {n, diff, values, src, of_batch, scratch};
    if (of_batch || diff->scale != NULL) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t i = 0; i < eights(n) * parts(n); i++) {
            part_sums(&b, i / parts(n), i % parts(n));
        }
    }
    for (int64_t c = 0; c < eights(n) && diff->scale != NULL; c++) {
        write_gradients(&b, c);
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < eights(n) * parts(n); i++) {
        const int64_t c = i / parts(n), first = i % parts(n) * PART;
        const norm_lanes l = diff_lanes(&b, c);
        for (int64_t image = first; image < n->batch && image < first + PART; image++) {
            const norm_plane p = plane_of(n, image, c);
            amun__norm_diff_avx2(&p, diff->src, src, diff->dst, &l);
        }
    }
}

#else

/* Never called: plans ask for AVX2 first. */
size_t amun__norm_scratch_doubles(const amun__norm *n)
{
    (void)n;
    return 0;
}

void amun__norm_statistics(const amun__norm *n, float *mean, float *variance, const void *src,
                           double *scratch, int32_t threads)
{
    (void)n, (void)mean, (void)variance, (void)src, (void)scratch, (void)threads;
}

void amun__norm_forward(const amun__norm *n, void *dst, const void *src,
                        const amun__norm_values *values, int32_t threads)
{
    (void)n, (void)dst, (void)src, (void)values, (void)threads;
}

void amun__norm_backward(const amun__norm *n, const amun__norm_diff *diff, const void *src,
                         const amun__norm_values *values, bool of_batch, double *scratch,
                         int32_t threads)
{
    (void)n, (void)diff, (void)src, (void)values, (void)of_batch, (void)scratch, (void)threads;
}

#endif
