/* clip_fixture.h - for the tests of clipping: a layer around weights of the test's own, on either
 * backend, and its exact norm. */
#ifndef AMUN_TEST_CLIP_FIXTURE_H
#define AMUN_TEST_CLIP_FIXTURE_H

#include "spectral/clip.h"
#include "spectrum_fixture.h"

/* Those that clips are made with: the plain loops, and the best one where that is another. */
FIXTURE_UNUSED static const amun__linop_backend clip_backends[] = {AMUN__LINOP_REF_F32,
#ifdef AMUN_WITH_DNNL
                                                                   AMUN__LINOP_DNNL
#endif
};
enum { CLIP_BACKENDS = sizeof clip_backends / sizeof clip_backends[0] };

typedef struct clip_case {
    spectrum_case c;
    amun_clip_options options;
    amun__clip_layer layer; /* works on c.weights.narrow */
    float *before;
    pair gamma;      /* COMPOSITE */
    float *variance; /* the same */
    amun__clip_run run;
} clip_case;

FIXTURE_UNUSED static amun__linop_shape small_conv(amun__padding padding, int64_t stride)
{
    return (amun__linop_shape){.in_channels = 8,
                               .in_height = 8,
                               .in_width = 8,
                               .out_channels = 8,
                               .kernel = {3, 3},
                               .stride = {stride, stride},
                               .pad = {1, 1},
                               .dilation = {1, 1},
                               .groups = 1,
                               .padding = padding};
}

/* Of the weights as they are now, times the scale. */
FIXTURE_UNUSED static double exact_norm(clip_case *t)
{
    const size_t row = t->c.weights.count / (size_t)t->c.shape.out_channels;
    double *wide = malloc(t->c.weights.count * sizeof *wide);
    ck_assert_ptr_nonnull(wide);
    for (size_t i = 0; i < t->c.weights.count; i++) {
        wide[i] = (double)t->c.weights.narrow[i];
        if (t->layer.gamma != NULL) {
            const size_t c = i / row;
            wide[i] *= (double)t->layer.gamma[c] / sqrt((double)t->variance[c] + t->layer.eps);
        }
    }
    size_t rows, columns;
    double *matrix = fixture_matrix(&t->c.shape, wide, &rows, &columns);
    double *values = exact_spectrum(t->c.ctx, matrix, rows, columns);
    const double top = values[0];
    free(values);
    free(matrix);
    free(wide);
    return top;
}

/* Random weights scaled to the norm `from`; composite: with a batch norm of random factors. */
FIXTURE_UNUSED static void clip_begin(clip_case *t, const amun__linop_shape *shape, double from,
                                      bool composite, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->c = case_new(shape, seed);
    ck_ok(amun_clip_options_init(&t->options, sizeof t->options));
    const size_t channels = (size_t)shape->out_channels;
    t->gamma = pair_random(channels, seed + 1);
    t->variance = malloc(channels * sizeof *t->variance);
    t->before = malloc(t->c.weights.count * sizeof *t->before);
    ck_assert(t->variance != NULL && t->before != NULL);
    for (size_t i = 0; i < channels; i++) {
        t->gamma.narrow[i] = 0.5F + 0.5F * fabsf(t->gamma.narrow[i]);
        t->variance[i] = 0.3F + 0.1F * (float)i;
    }
    t->layer = (amun__clip_layer){.ctx = t->c.ctx,
                                  .kind = composite ? AMUN__CLIP_COMPOSITE : AMUN__CLIP_MAP,
                                  .name = "conv",
                                  .norm_name = "bn",
                                  .target = 1.0,
                                  .shape = *shape,
                                  .weights = t->c.weights.narrow,
                                  .count = t->c.weights.count,
                                  .channels = shape->out_channels,
                                  .eps = 1e-5};
    if (composite) {
        t->layer.gamma = t->gamma.narrow;
        t->layer.variance = t->variance;
        ck_ok(amun__calloc(t->c.ctx, &t->layer.factor, channels, sizeof *t->layer.factor));
        ck_ok(amun__calloc(t->c.ctx, &t->layer.wide, channels, sizeof *t->layer.wide));
        ck_ok(amun__calloc(t->c.ctx, &t->layer.scale, channels, sizeof *t->layer.scale));
    }
    const double factor = from / exact_norm(t);
    for (size_t i = 0; i < t->c.weights.count; i++) {
        t->c.weights.narrow[i] = (float)((double)t->c.weights.narrow[i] * factor);
        t->c.weights.wide[i] = (double)t->c.weights.narrow[i];
    }
    memcpy(t->before, t->c.weights.narrow, t->c.weights.count * sizeof *t->before);
    t->run = (amun__clip_run){.options = &t->options, .total = 1, .most = 400};
}

/* Operator and power iteration on a backend of the test's choice. */
FIXTURE_UNUSED static void clip_open(clip_case *t, int32_t block, amun__linop_backend backend)
{
    t->layer.op = case_linop(&t->c, backend, block);
    t->layer.shape = *amun__linop_shape_of(t->layer.op);
    const amun__powerqr_options options = {.k = block, .block = block, .seed = 5};
    ck_ok(amun__powerqr_create(&t->layer.power, t->c.ctx, t->layer.op, &options));
    ck_ok(amun__clip_layer_refresh(&t->layer));
}

FIXTURE_UNUSED static void clip_end(clip_case *t)
{
    amun__clip_layer_close(&t->layer);
    free(t->before);
    free(t->variance);
    pair_free(&t->gamma);
    case_free(&t->c);
}

/* | now - before | / | before |. */
FIXTURE_UNUSED static double clip_moved(const clip_case *t)
{
    double moved = 0.0, size = 0.0;
    for (size_t i = 0; i < t->c.weights.count; i++) {
        const double b = (double)t->before[i], d = (double)t->c.weights.narrow[i] - b;
        moved += d * d;
        size += b * b;
    }
    return sqrt(moved / size);
}

#endif
