/* clip_rivals.c - the other published methods as clips: each once, on one layer's weights, towards
 * the layer's target. */
#include "spectral/clip.h"
#include "spectral/rivals.h"

int32_t amun__clip_rival_iterations(const amun_clip_options *options)
{
    if (options->iterations > 0) {
        return options->iterations;
    }
    switch (options->method) {
    case AMUN_CLIP_GOUK:
        return 5;
    case AMUN_CLIP_DELATTRE_2023:
        return 6;
    case AMUN_CLIP_DELATTRE_2024:
        return 4;
    default:
        return 1;
    }
}

void amun__clip_matrix_extents(const amun__clip_layer *layer, int64_t *rows, int64_t *columns)
{
    *rows = layer->shape.out_channels;
    *columns = (int64_t)(layer->count / (size_t)*rows);
}

/* u lives in float, so that a checkpoint of it is exact; arithmetic is in double. */
amun_status amun__clip_miyato_sigma(amun__clip_layer *layer, const float *weights, int32_t steps,
                                    double *v, double *sigma)
{
    int64_t rows, columns;
    double *u = NULL;
    amun_status status;
    amun__clip_matrix_extents(layer, &rows, &columns);
    AMUN__TRY(amun__alloc(layer->ctx, &u, (size_t)rows, sizeof *u));
    for (int64_t i = 0; i < rows; i++) {
        u[i] = (double)layer->u[i];
    }
    AMUN__TRY(amun__miyato_sigma(layer->ctx, rows, columns, weights, steps, u, v, sigma));
    for (int64_t i = 0; i < rows; i++) {
        layer->u[i] = (float)u[i];
    }
fail:
    amun__free(layer->ctx, u);
    return status;
}

static amun_status run_miyato(amun__clip_layer *layer, int32_t steps)
{
    double sigma = 0.0;
    AMUN__CHECK(amun__clip_miyato_sigma(layer, layer->weights, steps, NULL, &sigma));
    return amun__miyato_normalise(layer->weights, layer->count, sigma / layer->target,
                                  layer->weights);
}

static amun_status run_gouk(amun__clip_layer *layer, int32_t iterations, uint64_t seed)
{
    double sigma = 0.0;
    AMUN__CHECK(amun__clip_layer_refresh(layer));
    AMUN__CHECK(amun__gouk_sigma(layer->ctx, layer->op, iterations, seed, &sigma));
    return amun__gouk_project(layer->weights, layer->count, sigma, layer->target, layer->weights);
}

/* Their target is 1: the weights come in and go out in units of the target. */
static amun_status run_rescale(amun__clip_layer *layer, int32_t iterations)
{
    AMUN__CHECK(amun__gram_rescale(layer->ctx, &layer->shape, layer->weights, iterations, NULL,
                                   layer->weights));
    amun__clip_scale(layer, layer->target);
    return AMUN_OK;
}

amun_status amun__clip_rival(amun__clip_layer *layer, const amun__clip_run *run)
{
    const int32_t iterations = amun__clip_rival_iterations(run->options);
    switch (run->options->method) {
    case AMUN_CLIP_MIYATO:
        return run_miyato(layer, iterations);
    case AMUN_CLIP_GOUK:
        return run_gouk(layer, iterations, run->seed);
    case AMUN_CLIP_SEDGHI:
    case AMUN_CLIP_SENDEROVICH:
        return amun__torus_clip(layer->ctx, &layer->shape, layer->weights, layer->target,
                                iterations, layer->weights);
    case AMUN_CLIP_DELATTRE_2024:
        return run_rescale(layer, iterations);
    default:
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "the method delattre_2023 is a penalty, for training only");
    }
}

/* The circular methods: the image must be a grid of strides, and hold the kernel. */
static amun_status check_torus(const amun__clip_layer *layer, bool strides)
{
    const amun__linop_shape *s = &layer->shape;
    const int64_t size[2] = {s->in_height, s->in_width};
    for (int axis = 0; axis < 2; axis++) {
        const int64_t reach = (s->kernel[axis] - 1) * s->dilation[axis] + 1;
        if (s->stride[axis] != 1 && !strides) {
            return amun__fail(AMUN_ERROR_UNSUPPORTED,
                              "%s has stride %lld, the method sedghi takes 1 only", layer->name,
                              (long long)s->stride[axis]);
        }
        if (size[axis] % s->stride[axis] != 0) {
            return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: stride %lld does not divide %lld pixels",
                              layer->name, (long long)s->stride[axis], (long long)size[axis]);
        }
        if (reach > size[axis]) {
            return amun__fail(AMUN_ERROR_UNSUPPORTED,
                              "%s: a kernel over %lld does not fit %lld pixels", layer->name,
                              (long long)reach, (long long)size[axis]);
        }
    }
    return AMUN_OK;
}

amun_status amun__clip_rival_check(const amun__clip_layer *layer, const amun_clip_options *options)
{
    if (layer->kind != AMUN__CLIP_MAP || layer->dense) {
        return AMUN_OK;
    }
    switch (options->method) {
    case AMUN_CLIP_SEDGHI:
        return check_torus(layer, false);
    case AMUN_CLIP_SENDEROVICH:
        return check_torus(layer, true);
    default:
        return AMUN_OK;
    }
}
