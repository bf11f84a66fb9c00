/* linop_fixture.h - for the tests of linear maps: the product of all geometries, and the explicit
 * matrix of a convolution from index arithmetic of its own. */
#ifndef AMUN_TEST_LINOP_FIXTURE_H
#define AMUN_TEST_LINOP_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "nn/linop.h"
#include "support.h"

#define FIXTURE_UNUSED __attribute__((unused))

#ifdef AMUN_WITH_DNNL
#define FIXTURE_BACKENDS 3
#else
#define FIXTURE_BACKENDS 2
#endif
FIXTURE_UNUSED static const amun__linop_backend fixture_backends[3] = {
    AMUN__LINOP_REF_F64, AMUN__LINOP_REF_F32, AMUN__LINOP_DNNL};

FIXTURE_UNUSED static double tolerance(amun__linop_backend backend)
{
    return backend == AMUN__LINOP_REF_F64 ? 1e-12 : 1e-5;
}

/* Padding x stride x kernel x dilation x groups, 4 -> 6 channels on 8 x 8, padded so that stride 1
 * keeps the size; then some odd ones. */
enum { FIXTURE_PRODUCT = 4 * 3 * 3 * 2 * 2, FIXTURE_SHAPES = FIXTURE_PRODUCT + 6 };

FIXTURE_UNUSED static amun__linop_shape fixture_odd_shape(int i)
{
    static const amun__linop_shape shapes[] = {
        /* no padding at all, windows that leave rows out */
        {.in_channels = 4,
         .in_height = 8,
         .in_width = 7,
         .out_channels = 6,
         .kernel = {3, 3},
         .stride = {2, 3},
         .dilation = {1, 1},
         .groups = 1},
        /* kernel = stride */
        {.in_channels = 4,
         .in_height = 8,
         .in_width = 8,
         .out_channels = 6,
         .kernel = {2, 2},
         .stride = {2, 2},
         .dilation = {1, 1},
         .groups = 1},
        /* height and width differ in everything */
        {.in_channels = 4,
         .in_height = 9,
         .in_width = 6,
         .out_channels = 6,
         .kernel = {3, 2},
         .stride = {1, 2},
         .pad = {2, 0},
         .dilation = {2, 1},
         .groups = 2,
         .padding = AMUN__PADDING_REFLECT},
        /* the most that circular padding may be */
        {.in_channels = 2,
         .in_height = 3,
         .in_width = 4,
         .out_channels = 2,
         .kernel = {5, 3},
         .stride = {1, 1},
         .pad = {3, 4},
         .dilation = {1, 1},
         .groups = 1,
         .padding = AMUN__PADDING_CIRCULAR},
        /* depthwise */
        {.in_channels = 4,
         .in_height = 5,
         .in_width = 5,
         .out_channels = 4,
         .kernel = {3, 3},
         .stride = {1, 1},
         .pad = {1, 1},
         .dilation = {1, 1},
         .groups = 4,
         .padding = AMUN__PADDING_REPLICATE},
        /* as many channels as fast code wants */
        {.in_channels = 16,
         .in_height = 6,
         .in_width = 6,
         .out_channels = 32,
         .kernel = {3, 3},
         .stride = {1, 1},
         .pad = {1, 1},
         .dilation = {1, 1},
         .groups = 1},
    };
    return shapes[i];
}

FIXTURE_UNUSED static amun__linop_shape fixture_shape(int i)
{
    if (i >= FIXTURE_PRODUCT) {
        return fixture_odd_shape(i - FIXTURE_PRODUCT);
    }
    int64_t groups = 1 + i % 2, dilation = 1 + i / 2 % 2, kernel = 1 + 2 * (i / 4 % 3);
    int64_t stride = 1 + i / 12 % 3, pad = dilation * (kernel - 1) / 2;
    return (amun__linop_shape){.in_channels = 4,
                               .in_height = 8,
                               .in_width = 8,
                               .out_channels = 6,
                               .kernel = {kernel, kernel},
                               .stride = {stride, stride},
                               .pad = {pad, pad},
                               .dilation = {dilation, dilation},
                               .groups = groups,
                               .padding = (amun__padding)(i / 36)};
}

/* Square images and kernels, padded so that stride 1 keeps the size. */
FIXTURE_UNUSED static amun__linop_shape fixture_square(int64_t in, int64_t size, int64_t out,
                                                       int64_t kernel, int64_t stride,
                                                       amun__padding padding)
{
    return (amun__linop_shape){.in_channels = in,
                               .in_height = size,
                               .in_width = size,
                               .out_channels = out,
                               .kernel = {kernel, kernel},
                               .stride = {stride, stride},
                               .pad = {kernel / 2, kernel / 2},
                               .dilation = {1, 1},
                               .groups = 1,
                               .padding = padding};
}

FIXTURE_UNUSED static const char *fixture_name(const amun__linop_shape *s,
                                               amun__linop_backend backend)
{
    static char text[200];
    snprintf(text, sizeof text,
             "%lld -> %lld channels, %lld x %lld, kernel %lld x %lld, stride %lld, pad %lld, "
             "dilation %lld, groups %lld, padding %d, backend %d",
             (long long)s->in_channels, (long long)s->out_channels, (long long)s->in_height,
             (long long)s->in_width, (long long)s->kernel[0], (long long)s->kernel[1],
             (long long)s->stride[0], (long long)s->pad[0], (long long)s->dilation[0],
             (long long)s->groups, (int)s->padding, (int)backend);
    return text;
}

FIXTURE_UNUSED static size_t fixture_weights(const amun__linop_shape *s)
{
    return (size_t)(s->out_channels * s->in_channels / s->groups * s->kernel[0] * s->kernel[1]);
}

/* Where padding takes its values from: torch.nn.functional.pad's definitions as sequences. */
FIXTURE_UNUSED static int64_t fixture_index(amun__padding padding, int64_t i, int64_t n)
{
    if (padding == AMUN__PADDING_CIRCULAR) {
        return (i % n + n) % n;
    }
    if (padding == AMUN__PADDING_REFLECT && n > 1) { /* 0 1 .. n-1 n-2 .. 1, again and again */
        int64_t period = 2 * (n - 1), at = (i % period + period) % period;
        return at < n ? at : period - at;
    }
    if (padding == AMUN__PADDING_REPLICATE) {
        return i < 0 ? 0 : i > n - 1 ? n - 1 : i;
    }
    return i < 0 || i >= n ? -1 : i;
}

/* matrix[out][in], malloc-ed. */
FIXTURE_UNUSED static double *fixture_matrix(const amun__linop_shape *s, const double *w,
                                             size_t *rows, size_t *columns)
{
    int64_t oh =
        (s->in_height + 2 * s->pad[0] - s->dilation[0] * (s->kernel[0] - 1) - 1) / s->stride[0] + 1;
    int64_t ow =
        (s->in_width + 2 * s->pad[1] - s->dilation[1] * (s->kernel[1] - 1) - 1) / s->stride[1] + 1;
    int64_t per_in = s->in_channels / s->groups, per_out = s->out_channels / s->groups;
    *rows = (size_t)(s->out_channels * oh * ow);
    *columns = (size_t)(s->in_channels * s->in_height * s->in_width);
    double *m = calloc(*rows * *columns, sizeof *m);
    ck_assert_ptr_nonnull(m);
    for (int64_t row = 0; row < (int64_t)*rows; row++) {
        int64_t o = row / (oh * ow), y = row / ow % oh, x = row % ow;
        for (int64_t t = 0; t < per_in * s->kernel[0] * s->kernel[1]; t++) {
            int64_t c = t / (s->kernel[0] * s->kernel[1]), kh = t / s->kernel[1] % s->kernel[0];
            int64_t kw = t % s->kernel[1];
            int64_t h = fixture_index(
                s->padding, y * s->stride[0] + kh * s->dilation[0] - s->pad[0], s->in_height);
            int64_t v = fixture_index(
                s->padding, x * s->stride[1] + kw * s->dilation[1] - s->pad[1], s->in_width);
            if (h >= 0 && v >= 0) {
                int64_t i = o / per_out * per_in + c;
                m[row * (int64_t)*columns + (i * s->in_height + h) * s->in_width + v] +=
                    w[o * per_in * s->kernel[0] * s->kernel[1] + t];
            }
        }
    }
    return m;
}

/* to[k][n] from from[k][other] by the matrix or its transpose. */
FIXTURE_UNUSED static void fixture_multiply(const double *m, size_t rows, size_t columns,
                                            bool adjoint, int64_t k, const double *from, double *to)
{
    size_t n = adjoint ? columns : rows, other = adjoint ? rows : columns;
    memset(to, 0, (size_t)k * n * sizeof *to);
    for (size_t v = 0; v < (size_t)k; v++) {
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < columns; j++) {
                to[v * n + (adjoint ? j : i)] +=
                    m[i * columns + j] * from[v * other + (adjoint ? i : j)];
            }
        }
    }
}

/* ---- arrays that live in both precisions ----------------------------------------------------- */

typedef struct pair {
    double *wide;
    float *narrow; /* the same values */
    size_t count;
} pair;

FIXTURE_UNUSED static pair pair_new(size_t count)
{
    pair p = {calloc(count + 1, sizeof(double)), calloc(count + 1, sizeof(float)), count};
    ck_assert(p.wide != NULL && p.narrow != NULL);
    return p;
}

FIXTURE_UNUSED static pair pair_random(size_t count, uint64_t seed)
{
    pair p = pair_new(count);
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 3, 0);
    for (size_t i = 0; i < count; i++) {
        p.narrow[i] = (float)amun__rng_normal(&rng);
        p.wide[i] = (double)p.narrow[i];
    }
    return p;
}

FIXTURE_UNUSED static void pair_free(pair *p)
{
    free(p->wide);
    free(p->narrow);
}

/* After a call that wrote one of the two. */
FIXTURE_UNUSED static void pair_sync(pair *p, bool from_wide)
{
    for (size_t i = 0; i < p->count; i++) {
        if (from_wide) {
            p->narrow[i] = (float)p->wide[i];
        } else {
            p->wide[i] = (double)p->narrow[i];
        }
    }
}

FIXTURE_UNUSED static void pair_apply(amun__linop *op, bool adjoint, int64_t k, const pair *from,
                                      pair *to)
{
    bool wide = amun__linop_is_f64(op);
    if (wide) {
        ck_ok((adjoint ? amun__linop_adjoint_f64 : amun__linop_apply_f64)(op, k, from->wide,
                                                                          to->wide));
    } else {
        ck_ok((adjoint ? amun__linop_adjoint : amun__linop_apply)(op, k, from->narrow, to->narrow));
    }
    pair_sync(to, wide);
}

/* Largest difference over largest magnitude of `b`; infinite if anything is not finite. */
FIXTURE_UNUSED static double fixture_error(const double *a, const double *b, size_t count)
{
    double worst = 0.0, top = 0.0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            return INFINITY;
        }
        worst = fmax(worst, fabs(a[i] - b[i]));
        top = fmax(top, fabs(b[i]));
    }
    return worst / fmax(top, 1e-30);
}

FIXTURE_UNUSED static double fixture_dot(const double *a, const double *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

#endif
