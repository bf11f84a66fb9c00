/* norm.h - batch norm over images in blocks of channels, both ways, for CPUs with AVX2 and FMA:
 * each pass reads what it needs once, images may be bf16, and the way back needs no mask of the
 * ReLU. */
#ifndef AMUN__NORM_H
#define AMUN__NORM_H

#include "core/core.h"

/* Images are [batch][channels / block][pixels][block], block 8 or 16; channels that fill the last
 * block are zeros and stay zeros. */
typedef struct amun__norm {
    int64_t batch, channels, pixels, block;
    float eps;
    bool bf16; /* images and their gradients in memory */
    bool relu; /* y = max(0, ...) */
} amun__norm;

/* [channels] each: y = scale (x - mean) / sqrt(variance + eps) + shift. */
typedef struct amun__norm_values {
    const float *mean, *variance, *scale, *shift;
} amun__norm_values;

/* Memory for partial sums, in doubles. */
size_t amun__norm_scratch_doubles(const amun__norm *n);

/* Mean and biased variance over images and pixels. Everything here gives the same bytes for any
 * number of threads. */
void amun__norm_statistics(const amun__norm *n, float *mean, float *variance, const void *src,
                           double *scratch, int32_t threads);
void amun__norm_forward(const amun__norm *n, void *dst, const void *src,
                        const amun__norm_values *values, int32_t threads);

typedef struct amun__norm_diff {
    void *src;            /* the gradient of x */
    const void *dst;      /* of y */
    float *scale, *shift; /* of these, [channels]; both NULL: not wanted */
} amun__norm_diff;

/* `of_batch`: mean and variance are the batch's own and depend on x; else constants. */
void amun__norm_backward(const amun__norm *n, const amun__norm_diff *diff, const void *src,
                         const amun__norm_values *values, bool of_batch, double *scratch,
                         int32_t threads);

#endif
