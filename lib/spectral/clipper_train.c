/* clipper_train.c - the clipper through a training: its schedule, the methods that need gradients,
 * and what a checkpoint must keep. */
#include "spectral/clipper_private.h"
#include "spectral/rivals.h"

/* ---- state ----------------------------------------------------------------------------------- */

static bool has_state(const amun__clip_layer *layer)
{
    return layer->u != NULL || layer->power != NULL;
}

bool amun__clipper_state(amun__clipper *clipper, int32_t index, float **data, size_t *count)
{
    for (int32_t i = 0; i < clipper->count; i++) {
        amun__clip_layer *layer = &clipper->layers[i];
        if (!has_state(layer) || index-- > 0) {
            continue;
        }
        *data = layer->u;
        *count = (size_t)layer->channels;
        if (layer->u == NULL) {
            *data = amun__powerqr_state(layer->power, count);
        }
        return true;
    }
    return false;
}

/* ---- normalised weights ---------------------------------------------------------------------- */

/* Into the model, with the raw ones kept. In training the penalty methods treat dense layers as
 * matrices, so that everything with a `u` belongs here. */
static amun_status normalise(amun__clip_layer *layer, int32_t steps)
{
    AMUN__CHECK(amun__clip_miyato_sigma(layer, layer->weights, steps, layer->right, &layer->sigma));
    memcpy(layer->raw, layer->weights, layer->count * sizeof *layer->raw);
    return amun__miyato_normalise(layer->raw, layer->count, layer->sigma / layer->target,
                                  layer->weights);
}

/* W = c raw / sigma: the published gradient times c. */
static amun_status by_raw(amun__clip_layer *layer, float *diff)
{
    int64_t rows, columns;
    double *left = NULL;
    amun_status status;
    amun__clip_matrix_extents(layer, &rows, &columns);
    AMUN__TRY(amun__alloc(layer->ctx, &left, (size_t)rows, sizeof *left));
    for (int64_t i = 0; i < rows; i++) {
        left[i] = (double)layer->u[i];
    }
    AMUN__TRY(amun__miyato_gradient(rows, columns, layer->raw, left, layer->right, layer->sigma,
                                    diff, diff));
    for (size_t i = 0; i < layer->count; i++) {
        diff[i] = (float)(layer->target * (double)diff[i]);
    }
    memcpy(layer->weights, layer->raw, layer->count * sizeof *layer->raw);
fail:
    amun__free(layer->ctx, left);
    return status;
}

typedef struct normalisation {
    amun__clipper *clipper;
    int32_t steps;
} normalisation;

static amun_status normalise_part(void *data, size_t part)
{
    const normalisation *n = data;
    amun__clipper *c = n->clipper;
    for (int32_t i = 0; i < c->count; i++) {
        if (c->layers[i].part == (int32_t)part && c->layers[i].u != NULL) {
            AMUN__CHECK(normalise(&c->layers[i], n->steps));
        }
    }
    return AMUN_OK;
}

static amun_status normalise_all(amun__clipper *c, int32_t steps)
{
    normalisation n = {c, steps};
    return c->options.method == AMUN_CLIP_MIYATO
               ? amun__side_by_side((size_t)c->parts, normalise_part, &n)
               : AMUN_OK;
}

/* ---- the schedule ---------------------------------------------------------------------------- */

static bool is_due(const amun_clip_options *o, int64_t step)
{
    return step > o->delay && step % o->every == 0;
}

/* Follows the vectors of a part's layers while training moves the weights. */
static amun_status follow(amun__clipper *c, amun__clip_run *run, int32_t part)
{
    for (int32_t i = 0; i < c->count; i++) {
        amun__clip_layer *layer = &c->layers[i];
        bool converged;
        if (layer->part != part || layer->power == NULL || c->options.power_iterations == 0 ||
            c->options.method > AMUN_CLIP_SCALE) {
            continue;
        }
        AMUN__CHECK(amun__clip_layer_refresh(layer));
        AMUN__CHECK(amun__clip_extract(layer, run, c->options.power_iterations, &converged));
    }
    return AMUN_OK;
}

/* MIYATO works in each step, DELATTRE_2023 by its gradient. */
static bool clips_by_schedule(const amun__clipper *c, const amun__clip_layer *layer)
{
    const bool gradient =
        c->options.method == AMUN_CLIP_MIYATO || c->options.method == AMUN_CLIP_DELATTRE_2023;
    return layer->kind != AMUN__CLIP_MAP || !gradient;
}

static amun_status clip(amun__clipper *c, amun__clip_run *run, int32_t part)
{
    for (int32_t i = 0; i < c->count; i++) {
        if (c->layers[i].part == part && clips_by_schedule(c, &c->layers[i])) {
            AMUN__CHECK(amun__clip_layer_run(&c->layers[i], run));
        }
    }
    return AMUN_OK;
}

typedef struct clip_step {
    amun__clipper *clipper;
    const amun__clip_run *run;
    bool due;
    int64_t *rounds; /* [parts] */
} clip_step;

static amun_status run_part(void *data, size_t part)
{
    const clip_step *s = data;
    amun__clip_run own = *s->run;
    AMUN__CHECK(follow(s->clipper, &own, (int32_t)part));
    own.rounds = 0;
    const amun_status status = s->due ? clip(s->clipper, &own, (int32_t)part) : AMUN_OK;
    s->rounds[part] = own.rounds;
    return status;
}

static amun_status run_step(amun__clipper *c, amun__clip_run *run, int64_t step)
{
    clip_step s = {.clipper = c, .run = run, .due = is_due(&c->options, step)};
    AMUN__CHECK(amun__calloc(c->ctx, &s.rounds, (size_t)c->parts, sizeof *s.rounds));
    const amun_status status = amun__side_by_side((size_t)c->parts, run_part, &s);
    for (int32_t i = 0; i < c->parts; i++) {
        run->rounds += s.rounds[i];
    }
    amun__free(c->ctx, s.rounds);
    AMUN__CHECK(status);
    const int32_t iterations = c->options.iterations > 0 ? c->options.iterations : 1;
    return normalise_all(c, iterations);
}

amun_status amun__clipper_before_forward(amun__clipper *clipper, int64_t step,
                                         amun_clip_result *result)
{
    const double began = amun__now();
    amun__model_values v;
    amun__model_values_get(clipper->model, &v);
    amun__clip_run run = {.options = &clipper->options,
                          .most = clipper->options.rounds,
                          .training = true,
                          .seed = clipper->options.seed + (uint64_t)step};
    float *before = NULL;
    amun_status status = AMUN_OK;
    if (result != NULL) {
        *result = (amun_clip_result){.struct_size = sizeof *result, .layers = clipper->count};
        AMUN__TRY(amun__alloc(clipper->ctx, &before, v.trainable, sizeof *before));
        memcpy(before, v.values, v.trainable * sizeof *before);
    }
    status = run_step(clipper, &run, step);
    if (is_due(&clipper->options, step) || clipper->options.method == AMUN_CLIP_MIYATO) {
        amun__model_touch(clipper->model);
    }
    if (result != NULL) {
        amun__clipper_compare(clipper, before, result);
        amun__clipper_largest(clipper, result);
        result->upper = (double)INFINITY;
        result->rounds = run.rounds;
        result->seconds = amun__now() - began;
    }
fail:
    amun__free(clipper->ctx, before);
    return status;
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* penalty * b where the Gram norm b of the circular map is above the target. */
static amun_status add_penalty(amun__clipper *c, amun__clip_layer *layer, float *diff)
{
    const int32_t iterations = amun__clip_rival_iterations(&c->options);
    float *own = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(c->ctx, &own, layer->count, sizeof *own));
    AMUN__TRY(
        amun__gram_norm(c->ctx, &layer->shape, layer->weights, iterations, &layer->sigma, own));
    const double rate = layer->sigma > layer->target ? c->options.penalty : 0.0;
    for (size_t i = 0; i < layer->count; i++) {
        diff[i] = (float)((double)diff[i] + rate * (double)own[i]);
    }
fail:
    amun__free(c->ctx, own);
    return status;
}

amun_status amun__clipper_after_backward(amun__clipper *clipper, float *diff_params)
{
    amun__model_values v;
    amun__model_values_get(clipper->model, &v);
    for (int32_t i = 0; i < clipper->count; i++) {
        amun__clip_layer *layer = &clipper->layers[i];
        if (layer->kind != AMUN__CLIP_MAP) {
            continue;
        }
        float *diff = diff_params + (layer->weights - v.values);
        if (clipper->options.method == AMUN_CLIP_MIYATO) {
            AMUN__CHECK(by_raw(layer, diff));
        } else if (clipper->options.method == AMUN_CLIP_DELATTRE_2023) {
            AMUN__CHECK(add_penalty(clipper, layer, diff));
        }
    }
    return AMUN_OK;
}

amun_status amun__clipper_after_update(amun__clipper *clipper)
{
    (void)clipper; /* the optimiser worked on the raw weights, in the model */
    return AMUN_OK;
}

amun_status amun__clipper_finish(amun__clipper *clipper)
{
    AMUN__CHECK(normalise_all(clipper, 0));
    if (clipper->options.method == AMUN_CLIP_MIYATO) {
        amun__model_touch(clipper->model);
    }
    return AMUN_OK;
}
