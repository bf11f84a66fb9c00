/* distil.c - distilled images: the layer of an epoch, the pairs of a batch, and the descent. */
#include "ensemble/distil.h"

#include "nn/prefix.h"

/* The draw of an epoch's layer; pairings are counted by the step. */
#define LAYER_DRAW UINT64_MAX
/* Keeps a division by the mean size of a gradient harmless. */
#define LEAST_SIZE 1e-30

/* ---- life ------------------------------------------------------------------------------------
 */

static amun_status find_layers(amun__distil *d)
{
    d->layers = SIZE_MAX;
    for (size_t i = 0; i < d->count; i++) {
        const size_t found = amun__prefix_candidates(d->models[i], NULL, 0);
        if (found == 0) {
            return amun__fail(AMUN_ERROR_UNSUPPORTED,
                              "member %zu has no convolution whose output a ReLU reads", i);
        }
        d->layers = found < d->layers ? found : d->layers;
    }
    AMUN__CHECK(amun__alloc(d->ctx, &d->nodes, d->count * d->layers, sizeof *d->nodes));
    for (size_t i = 0; i < d->count; i++) {
        (void)amun__prefix_candidates(d->models[i], d->nodes + i * d->layers, d->layers);
    }
    return AMUN_OK;
}

amun_status amun__distil_open(amun__distil *d, const amun__joint *joint)
{
    *d = (amun__distil){
        .ctx = joint->ctx,
        .models = joint->models,
        .count = joint->count,
        .batch = joint->batch,
        .pixels = joint->pixels,
        .eps = joint->options.attack_eps,
        .step = joint->options.attack_step,
        .steps = joint->options.attack_steps,
        .seed = joint->options.seed,
        .epoch = -1,
    };
    size_t values;
    if (!amun__mul_size(&values, d->count * d->batch, d->pixels)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY,
                          "a batch of %zu images of %zu values is too large for %zu members",
                          d->batch, d->pixels, d->count);
    }
    AMUN__CHECK(find_layers(d));
    AMUN__CHECK(amun__calloc(d->ctx, &d->prefixes, d->count, sizeof(amun_model *)));
    AMUN__CHECK(amun__calloc(d->ctx, &d->plans, d->count, sizeof(amun__plan *)));
    AMUN__CHECK(amun__alloc(d->ctx, &d->partners, d->batch, sizeof *d->partners));
    AMUN__CHECK(amun__alloc(d->ctx, &d->images, values, sizeof *d->images));
    AMUN__CHECK(amun__alloc(d->ctx, &d->targets, d->batch * d->pixels, sizeof *d->targets));
    return amun__alloc(d->ctx, &d->diff, d->batch * d->pixels, sizeof *d->diff);
}

static void drop_prefixes(amun__distil *d)
{
    for (size_t i = 0; i < d->count && d->prefixes != NULL; i++) {
        if (d->plans != NULL && d->plans[i] != NULL) {
            amun__model_release(d->prefixes[i], d->plans[i]);
            d->plans[i] = NULL;
        }
        amun_model_unref(d->prefixes[i]);
        d->prefixes[i] = NULL;
    }
    amun__free(d->ctx, d->wanted);
    amun__free(d->ctx, d->found);
    d->wanted = d->found = NULL;
    d->epoch = -1;
}

void amun__distil_close(amun__distil *d)
{
    if (d->ctx == NULL) {
        return;
    }
    drop_prefixes(d);
    void *const owned[] = {d->nodes,  d->prefixes, d->plans, d->partners,
                           d->images, d->targets,  d->diff};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        amun__free(d->ctx, owned[i]);
    }
    *d = (amun__distil){0};
}

float *amun__distil_images(const amun__distil *d, size_t member)
{
    return d->images + member * d->batch * d->pixels;
}

/* ---- the layer and the pairs ------------------------------------------------------------------
 */

static amun_status begin_epoch(amun__distil *d, int64_t epoch)
{
    amun__rng rng;
    size_t most = 0, values;
    amun__rng_open(&rng, d->seed, AMUN__RNG_DISTIL, (uint32_t)epoch, LAYER_DRAW);
    drop_prefixes(d);
    d->layer = amun__rng_below(&rng, (uint32_t)d->layers);
    for (size_t i = 0; i < d->count; i++) {
        AMUN__CHECK(
            amun__prefix_create(&d->prefixes[i], d->models[i], d->nodes[i * d->layers + d->layer]));
        AMUN__CHECK(
            amun__model_lease(d->prefixes[i], (int64_t)d->batch, AMUN__MODE_ATTACK, &d->plans[i]));
        const size_t features = (size_t)amun_model_classes(d->prefixes[i]);
        most = features > most ? features : most;
    }
    if (!amun__mul_size(&values, d->batch, most)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a batch of %zu with %zu features is too large",
                          d->batch, most);
    }
    AMUN__CHECK(amun__alloc(d->ctx, &d->wanted, values, sizeof *d->wanted));
    AMUN__CHECK(amun__alloc(d->ctx, &d->found, values, sizeof *d->found));
    d->epoch = epoch;
    return AMUN_OK;
}

/* One cycle through the whole batch (Sattolo's shuffle): nobody is its own partner. */
static void draw_partners(amun__distil *d, const amun__step *step)
{
    amun__rng rng;
    const size_t rows = step->batch->count;
    amun__rng_open(&rng, d->seed, AMUN__RNG_DISTIL, (uint32_t)step->epoch, (uint64_t)step->index);
    for (size_t i = 0; i < rows; i++) {
        d->partners[i] = (int64_t)i;
    }
    for (size_t i = rows - 1; i > 0; i--) {
        const size_t j = amun__rng_below(&rng, (uint32_t)i);
        const int64_t kept = d->partners[i];
        d->partners[i] = d->partners[j];
        d->partners[j] = kept;
    }
}

/* ---- the descent ------------------------------------------------------------------------------
 */

/* momentum <- momentum + diff / mean |diff|, then a step against its sign. */
static void descend_row(const amun__distil *d, const float *source, float *z, const float *diff,
                        float *momentum)
{
    double size = 0.0;
    for (size_t k = 0; k < d->pixels; k++) {
        size += fabs((double)diff[k]);
    }
    size = size / (double)d->pixels + LEAST_SIZE;
    for (size_t k = 0; k < d->pixels; k++) {
        momentum[k] = (float)((double)momentum[k] + (double)diff[k] / size);
    }
    amun__project_step_linf(z, source, momentum, -d->step, d->eps, d->pixels);
}

/* A plan takes a whole batch: rows that a short one lacks are zeros. */
static void fill_targets(amun__distil *d, const amun__step *step)
{
    const size_t rows = step->batch->count, bytes = d->pixels * sizeof *d->targets;
    for (size_t row = 0; row < d->batch; row++) {
        float *to = d->targets + row * d->pixels;
        if (row < rows) {
            memcpy(to, step->batch->images + (size_t)d->partners[row] * d->pixels, bytes);
        } else {
            memset(to, 0, bytes);
        }
    }
}

static amun_status distil_member(amun__distil *d, const amun__step *step, size_t member)
{
    const size_t rows = step->batch->count;
    const size_t features = d->batch * (size_t)amun_model_classes(d->prefixes[member]);
    amun__plan *plan = d->plans[member];
    float *z = amun__distil_images(d, member);
    amun__prefix_update(d->prefixes[member], d->models[member]);
    fill_targets(d, step);
    AMUN__CHECK(amun__plan_forward(plan, d->targets, d->wanted));
    memset(d->targets, 0, d->batch * d->pixels * sizeof *d->targets); /* the momentum from here */
    memset(z, 0, d->batch * d->pixels * sizeof *z);
    memcpy(z, step->batch->images, rows * d->pixels * sizeof *z);
    for (int32_t i = 0; i < d->steps; i++) {
        AMUN__CHECK(amun__plan_forward(plan, z, d->found));
#pragma omp parallel for simd schedule(static)
        for (size_t k = 0; k < features; k++) {
            d->found[k] = 2.0f * (d->found[k] - d->wanted[k]);
        }
        AMUN__CHECK(amun__plan_backward(plan, d->found, d->diff, NULL));
#pragma omp parallel for schedule(static)
        for (size_t row = 0; row < rows; row++) {
            const size_t at = row * d->pixels;
            descend_row(d, step->batch->images + at, z + at, d->diff + at, d->targets + at);
        }
    }
    return AMUN_OK;
}

amun_status amun__distil_run(amun__distil *d, const amun__step *step)
{
    if (d->epoch != step->epoch) {
        AMUN__CHECK(begin_epoch(d, step->epoch));
    }
    draw_partners(d, step);
    for (size_t i = 0; i < d->count; i++) {
        AMUN__CHECK(distil_member(d, step, i));
    }
    return AMUN_OK;
}
