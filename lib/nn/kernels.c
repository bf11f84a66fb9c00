/* kernels.c - elementwise passes over whole buffers. One pass over memory each; the arrays share a
 * layout, so blocked padding (zeros) is carried along. */
#include "nn/lower.h"

/* Below this many floats a parallel region costs more than it saves. */
#define PARALLEL_FROM 16384
/* Signed index: OpenMP loops over it need no unsigned wrap-around. */
typedef int64_t span;

void amun__kernel_relu_to(float *dst, const float *src, size_t n)
{
#pragma omp parallel for simd schedule(static) if (n >= PARALLEL_FROM)
    for (span i = 0; i < (span)n; i++) {
        dst[i] = src[i] < 0 ? 0 : src[i]; /* NaN stays NaN */
    }
}

void amun__kernel_relu(float *x, size_t n)
{
    amun__kernel_relu_to(x, x, n);
}

void amun__kernel_mask(float *diff, const float *dst, size_t n)
{
#pragma omp parallel for simd schedule(static) if (n >= PARALLEL_FROM)
    for (span i = 0; i < (span)n; i++) {
        diff[i] = dst[i] > 0 ? diff[i] : 0;
    }
}

void amun__kernel_add(float *dst, const float *src, size_t n)
{
#pragma omp parallel for simd schedule(static) if (n >= PARALLEL_FROM)
    for (span i = 0; i < (span)n; i++) {
        dst[i] += src[i];
    }
}

void amun__kernel_add_to(float *dst, const float *a, const float *b, double factor, int32_t relu,
                         size_t n)
{
    const float f = (float)factor, low = relu ? 0 : -INFINITY;
#pragma omp parallel for simd schedule(static) if (n >= PARALLEL_FROM)
    for (span i = 0; i < (span)n; i++) {
        float v = f * (a[i] + b[i]);
        dst[i] = v < low ? low : v; /* NaN stays NaN */
    }
}

void amun__kernel_scale(float *dst, const float *src, double factor, size_t n)
{
    const float f = (float)factor;
#pragma omp parallel for simd schedule(static) if (n >= PARALLEL_FROM)
    for (span i = 0; i < (span)n; i++) {
        dst[i] = f * src[i];
    }
}

void amun__kernel_copy(float *dst, const float *src, size_t n)
{
#pragma omp parallel for simd schedule(static) if (n >= PARALLEL_FROM)
    for (span i = 0; i < (span)n; i++) {
        dst[i] = src[i];
    }
}
