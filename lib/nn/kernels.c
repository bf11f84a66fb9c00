/* kernels.c - elementwise passes over whole buffers, and padding. One pass over memory each; the
 * arrays share a layout, so blocked padding (zeros) is carried along. */
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

/* One row of a padded plane: for each of its pixels the pixel of `row` that it repeats. The middle
 * is the row itself. */
static void pad_row(float *dst, const float *row, const amun__frame *f)
{
    const int64_t pad = f->pad[1];
    memcpy(dst + (size_t)pad * f->inner, row, (size_t)f->width * f->inner * sizeof *dst);
    for (int64_t side = 0; side < 2 * pad; side++) {
        const int64_t w = side < pad ? side : f->width + side;
        const int64_t from = amun__padding_index(f->padding, w - pad, f->width);
        for (size_t i = 0; i < f->inner; i++) {
            dst[(size_t)w * f->inner + i] = from < 0 ? 0 : row[(size_t)from * f->inner + i];
        }
    }
}

static void unpad_row(float *restrict row, const float *restrict src, const amun__frame *f)
{
    const int64_t pad = f->pad[1];
    const float *middle = src + (size_t)pad * f->inner;
    for (size_t i = 0; i < (size_t)f->width * f->inner; i++) {
        row[i] += middle[i];
    }
    for (int64_t side = 0; side < 2 * pad; side++) {
        const int64_t w = side < pad ? side : f->width + side;
        const int64_t to = amun__padding_index(f->padding, w - pad, f->width);
        for (size_t i = 0; i < f->inner && to >= 0; i++) {
            row[(size_t)to * f->inner + i] += src[(size_t)w * f->inner + i];
        }
    }
}

void amun__kernel_pad(float *dst, const float *src, const amun__frame *f)
{
    const int64_t height = f->height + 2 * f->pad[0];
    const size_t in = (size_t)f->width * f->inner, out = in + 2 * (size_t)f->pad[1] * f->inner;
#pragma omp parallel for schedule(static) if (f->planes * (size_t)height * out >= PARALLEL_FROM)
    for (span plane = 0; plane < (span)f->planes; plane++) {
        const float *image = src + (size_t)plane * (size_t)f->height * in;
        float *target = dst + (size_t)plane * (size_t)height * out;
        for (int64_t h = 0; h < height; h++) {
            int64_t from = amun__padding_index(f->padding, h - f->pad[0], f->height);
            if (from < 0) {
                memset(target + (size_t)h * out, 0, out * sizeof(float));
            } else {
                pad_row(target + (size_t)h * out, image + (size_t)from * in, f);
            }
        }
    }
}

void amun__kernel_unpad(float *dst, const float *src, const amun__frame *f)
{
    const int64_t height = f->height + 2 * f->pad[0];
    const size_t in = (size_t)f->width * f->inner, out = in + 2 * (size_t)f->pad[1] * f->inner;
#pragma omp parallel for schedule(static) if (f->planes * (size_t)height * out >= PARALLEL_FROM)
    for (span plane = 0; plane < (span)f->planes; plane++) {
        float *image = dst + (size_t)plane * (size_t)f->height * in;
        const float *source = src + (size_t)plane * (size_t)height * out;
        memset(image, 0, (size_t)f->height * in * sizeof(float));
        for (int64_t h = 0; h < height; h++) {
            int64_t to = amun__padding_index(f->padding, h - f->pad[0], f->height);
            if (to >= 0) {
                unpad_row(image + (size_t)to * in, source + (size_t)h * out, f);
            }
        }
    }
}
