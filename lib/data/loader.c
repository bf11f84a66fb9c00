/* loader.c - turns a mix into batches; one helper thread prepares them ahead.
 *
 * Each sample is made from (seed, epoch, its key) alone, and its place in the epoch from
 * (seed, epoch). So the helper decides when a batch is made, never what is in it. */
#include <pthread.h>
#include <signal.h>

#include "data/storage.h"

/* One batch is with the caller, one is ready, one is being made. */
enum { SLOTS = 3 };

typedef struct slot {
    amun__batch batch;
    float *images, *targets, *weights;
    int32_t *labels;
} slot;

struct amun__loader {
    amun_context *ctx;
    amun__mix mix;
    size_t starts[AMUN__MIX_MAX_PARTS + 1]; /* first entry of each part; the last is the total */
    size_t counts[AMUN__MIX_MAX_PARTS];     /* samples of each part, repetitions aside */
    size_t total, batch;
    size_t batches; /* of this epoch */
    size_t pixels, classes;
    uint64_t seed;
    uint32_t epoch;
    int64_t *order; /* entries in the order of this epoch, one phase after the other */
    size_t phase_starts[AMUN__MIX_MAX_PARTS + 1]; /* in `order`, of this epoch */
    slot slots[SLOTS];
    size_t slot_count;
    bool began; /* an epoch is under way */

    bool threaded; /* the helper exists; only then is what follows shared */
    pthread_t helper;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t made;   /* batches of this epoch that are ready or were handed out */
    size_t handed; /* batches that the caller received; the last one may still be in use */
    bool working;  /* the helper fills a slot right now */
    bool paused;   /* it may not start another one */
    bool stop;
};

/* ---- one sample
 * ------------------------------------------------------------------------------------ */

/* Where an entry of the mix is: part, position in it, image, and the key of its random choices. */
typedef struct entry {
    const amun__part *part;
    size_t position, index;
    uint64_t id;
} entry;

static entry find_entry(const amun__loader *loader, size_t number)
{
    size_t p = 0;
    while (number >= loader->starts[p + 1]) {
        p++;
    }
    entry found = {.part = &loader->mix.parts[p], .position = number - loader->starts[p]};
    size_t repetition = found.position / loader->counts[p];
    found.position -= repetition * loader->counts[p];
    found.index =
        found.part->indices == NULL ? found.position : (size_t)found.part->indices[found.position];
    found.id = (uint64_t)repetition << 52 | (uint64_t)p << 48 | found.index;
    return found;
}

static int32_t draw_label(const amun__loader *loader, const entry *at)
{
    amun__rng rng;
    amun__rng_open(&rng, loader->seed, AMUN__RNG_LABEL, loader->epoch, at->id);
    if (at->part->target == AMUN__TARGET_RANDOM_ANY) {
        return (int32_t)amun__rng_below(&rng, (uint32_t)loader->classes);
    }
    /* uniform over the others: draw among one fewer and step over the true one */
    int32_t label = amun__dataset_label(at->part->dataset, at->index);
    int32_t drawn = (int32_t)amun__rng_below(&rng, (uint32_t)loader->classes - 1);
    return drawn >= label ? drawn + 1 : drawn;
}

static int32_t largest(const float *row, size_t count)
{
    size_t best = 0;
    for (size_t k = 1; k < count; k++) {
        if (row[k] > row[best]) {
            best = k;
        }
    }
    return (int32_t)best;
}

static int32_t fill_target(const amun__loader *loader, const entry *at, float *row)
{
    size_t classes = loader->classes;
    int32_t label;
    if (at->part->target == AMUN__TARGET_SOFT) {
        memcpy(row, at->part->soft + at->position * classes, classes * sizeof *row);
        label = largest(row, classes);
    } else {
        label = at->part->target == AMUN__TARGET_FIXED ? at->part->labels[at->position]
                : at->part->target == AMUN__TARGET_LABEL
                    ? amun__dataset_label(at->part->dataset, at->index)
                    : draw_label(loader, at);
        memset(row, 0, classes * sizeof *row);
        row[label] = 1.0f;
    }
    double smoothing = loader->mix.label_smoothing;
    if (smoothing > 0.0) {
        double share = smoothing / (double)classes;
        for (size_t k = 0; k < classes; k++) {
            row[k] = (float)((1.0 - smoothing) * (double)row[k] + share);
        }
    }
    return label;
}

/* First place in `order` of a batch of this epoch. */
static size_t find_batch(const amun__loader *loader, size_t number, size_t *count, int32_t *phase)
{
    const size_t *starts = loader->phase_starts;
    for (int32_t p = 0; p < AMUN__MIX_MAX_PARTS; p++) {
        size_t size = starts[p + 1] - starts[p];
        size_t batches = size > 0 ? (size - 1) / loader->batch + 1 : 0;
        if (number < batches) {
            size_t left = size - number * loader->batch;
            *count = left < loader->batch ? left : loader->batch;
            *phase = p;
            return starts[p] + number * loader->batch;
        }
        number -= batches;
    }
    *count = 0; /* not reached: callers stay below `batches` */
    *phase = 0;
    return 0;
}

static void fill_batch(const amun__loader *loader, size_t number, slot *out)
{
    int32_t phase;
    size_t count;
    size_t first = find_batch(loader, number, &count, &phase);
    const amun__augment *augment = &loader->mix.augment;
    for (size_t i = 0; i < count; i++) {
        entry at = find_entry(loader, (size_t)loader->order[first + i]);
        float *image = out->images + i * loader->pixels;
        if (at.part->augment != 0 && (augment->pad > 0 || augment->flip != 0 || augment->cutout > 0)) {
            amun__augment_fetch(augment, loader->seed, loader->epoch, at.id, at.part->dataset,
                                at.index, image);
        } else {
            amun__dataset_fetch(at.part->dataset, at.index, image);
        }
        out->labels[i] = fill_target(loader, &at, out->targets + i * loader->classes);
        out->weights[i] = (float)at.part->weight;
    }
    out->batch.count = count;
    out->batch.phase = phase;
}

/* ---- the helper
 * ------------------------------------------------------------------------------------ */

/* A slot is free unless it waits for the caller or is the one the caller looks at. */
static bool may_work(const amun__loader *loader)
{
    size_t in_use = loader->handed > 0 ? loader->handed - 1 : 0;
    return !loader->paused && loader->made < loader->batches &&
           loader->made - in_use < loader->slot_count;
}

static void *helper_main(void *data)
{
    amun__loader *loader = data;
    pthread_mutex_lock(&loader->mutex);
    for (;;) {
        while (!loader->stop && !may_work(loader)) {
            pthread_cond_wait(&loader->changed, &loader->mutex);
        }
        if (loader->stop) {
            break;
        }
        size_t number = loader->made;
        loader->working = true;
        pthread_mutex_unlock(&loader->mutex);
        fill_batch(loader, number, &loader->slots[number % loader->slot_count]);
        pthread_mutex_lock(&loader->mutex);
        loader->working = false;
        loader->made++;
        pthread_cond_broadcast(&loader->changed);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* Without a helper the caller's thread makes each batch itself: slower, the same content. */
static void helper_start(amun__loader *loader)
{
    sigset_t all, kept;
    if (pthread_mutex_init(&loader->mutex, NULL) != 0) {
        return;
    }
    if (pthread_cond_init(&loader->changed, NULL) != 0) {
        pthread_mutex_destroy(&loader->mutex);
        return;
    }
    loader->paused = true;
    /* signals belong to the program's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    loader->threaded = pthread_create(&loader->helper, NULL, helper_main, loader) == 0;
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    if (!loader->threaded) {
        pthread_cond_destroy(&loader->changed);
        pthread_mutex_destroy(&loader->mutex);
    }
}

static void helper_stop(amun__loader *loader)
{
    if (!loader->threaded) {
        return;
    }
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
    pthread_join(loader->helper, NULL);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->mutex);
}

/* Returns when no slot is being filled and none will be. */
static void helper_pause(amun__loader *loader)
{
    if (!loader->threaded) {
        return;
    }
    pthread_mutex_lock(&loader->mutex);
    loader->paused = true;
    while (loader->working) {
        pthread_cond_wait(&loader->changed, &loader->mutex);
    }
    pthread_mutex_unlock(&loader->mutex);
}

static void helper_resume(amun__loader *loader)
{
    if (!loader->threaded) {
        return;
    }
    pthread_mutex_lock(&loader->mutex);
    loader->paused = false;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
}

/* ---- life
 * ------------------------------------------------------------------------------------------ */

static amun_status slot_create(amun__loader *loader, slot *out)
{
    amun_context *ctx = loader->ctx;
    size_t values = 0;
    if (!amun__mul_size(&values, loader->batch, loader->pixels)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a batch of %zu images of %zu values",
                          loader->batch, loader->pixels);
    }
    AMUN__CHECK(amun__alloc(ctx, &out->images, values, sizeof *out->images));
    if (!amun__mul_size(&values, loader->batch, loader->classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a batch of %zu targets of %zu classes",
                          loader->batch, loader->classes);
    }
    AMUN__CHECK(amun__alloc(ctx, &out->targets, values, sizeof *out->targets));
    AMUN__CHECK(amun__alloc(ctx, &out->weights, loader->batch, sizeof *out->weights));
    AMUN__CHECK(amun__alloc(ctx, &out->labels, loader->batch, sizeof *out->labels));
    out->batch = (amun__batch){.images = out->images,
                               .targets = out->targets,
                               .weights = out->weights,
                               .labels = out->labels};
    return AMUN_OK;
}

static amun_status loader_fill(amun__loader *loader, const amun__mix *mix, size_t batch)
{
    amun__dataset_info info;
    amun__dataset_info_get(mix->parts[0].dataset, &info);
    loader->mix = *mix;
    loader->pixels = info.pixels;
    loader->classes = (size_t)mix->classes;
    for (size_t p = 0; p < mix->part_count; p++) {
        amun__mix one = {.parts = {mix->parts[p]}, .part_count = 1};
        loader->starts[p + 1] = loader->starts[p] + amun__mix_count(&one);
        one.parts[0].repeat = 0;
        loader->counts[p] = amun__mix_count(&one);
    }
    loader->total = loader->starts[mix->part_count];
    loader->batch = batch < loader->total ? batch : loader->total;
    loader->batches = amun__mix_batches(mix, loader->batch, 0);
    AMUN__CHECK(amun__alloc(loader->ctx, &loader->order, loader->total, sizeof *loader->order));
    bool alone = amun__threads_count(loader->ctx) == 1;
    loader->slot_count = alone ? 1 : SLOTS;
    for (size_t i = 0; i < loader->slot_count; i++) {
        AMUN__CHECK(slot_create(loader, &loader->slots[i]));
    }
    if (!alone) {
        helper_start(loader);
    }
    return AMUN_OK;
}

amun_status amun__loader_open(amun__loader **out, amun_context *ctx, const amun__mix *mix,
                              size_t batch, uint64_t seed)
{
    *out = NULL;
    if (batch == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "batch is 0, expected at least 1");
    }
    AMUN__CHECK(amun__mix_check(ctx, mix));
    amun__loader *loader = NULL;
    AMUN__CHECK(amun__calloc(ctx, &loader, 1, sizeof *loader));
    loader->ctx = amun_context_ref(ctx);
    loader->seed = seed;
    amun_status status = loader_fill(loader, mix, batch);
    if (status != AMUN_OK) {
        amun__loader_close(loader);
        return status;
    }
    *out = loader;
    return AMUN_OK;
}

void amun__loader_close(amun__loader *loader)
{
    if (loader == NULL) {
        return;
    }
    helper_stop(loader);
    amun_context *ctx = loader->ctx;
    for (size_t i = 0; i < SLOTS; i++) {
        amun__free(ctx, loader->slots[i].images);
        amun__free(ctx, loader->slots[i].targets);
        amun__free(ctx, loader->slots[i].weights);
        amun__free(ctx, loader->slots[i].labels);
    }
    amun__free(ctx, loader->order);
    amun__free(ctx, loader);
    amun_context_unref(ctx);
}

size_t amun__loader_batches(const amun__loader *loader)
{
    return loader->batches;
}

/* ---- an epoch
 * -------------------------------------------------------------------------------------- */

static void order_phase(amun__loader *loader, int32_t phase)
{
    size_t first = loader->phase_starts[phase], end = first;
    if (amun__mix_phase_count(&loader->mix, phase, loader->epoch) > 0) {
        for (size_t p = 0; p < loader->mix.part_count; p++) {
            size_t stop = loader->mix.parts[p].phase == phase ? loader->starts[p + 1] : 0;
            for (size_t i = loader->starts[p]; i < stop; i++) {
                loader->order[end++] = (int64_t)i;
            }
        }
    }
    loader->phase_starts[phase + 1] = end;
    if (loader->mix.shuffle != 0 && end > first) {
        amun__rng rng;
        amun__rng_open(&rng, loader->seed, AMUN__RNG_SHUFFLE, loader->epoch, (uint64_t)phase);
        amun__rng_shuffle(&rng, loader->order + first, end - first);
    }
}

amun_status amun__loader_begin(amun__loader *loader, uint32_t epoch)
{
    helper_pause(loader);
    loader->epoch = epoch;
    loader->batches = amun__mix_batches(&loader->mix, loader->batch, epoch);
    for (int32_t phase = 0; phase < AMUN__MIX_MAX_PARTS; phase++) {
        order_phase(loader, phase);
    }
    loader->made = 0;
    loader->handed = 0;
    loader->began = true;
    helper_resume(loader);
    return AMUN_OK;
}

/* Waits until batch `number` is made; the caller is done with the one before it. */
static void take_from_helper(amun__loader *loader, size_t number)
{
    pthread_mutex_lock(&loader->mutex);
    loader->handed = number + 1;
    pthread_cond_broadcast(&loader->changed);
    while (loader->made <= number) {
        pthread_cond_wait(&loader->changed, &loader->mutex);
    }
    pthread_mutex_unlock(&loader->mutex);
}

amun_status amun__loader_next(amun__loader *loader, const amun__batch **out)
{
    *out = NULL;
    if (!loader->began) {
        return amun__fail(AMUN_ERROR_STATE, "no epoch was begun");
    }
    if (loader->handed == loader->batches) {
        return AMUN_OK;
    }
    size_t number = loader->handed;
    slot *ready = &loader->slots[number % loader->slot_count];
    if (loader->threaded) {
        take_from_helper(loader, number);
    } else {
        fill_batch(loader, number, ready);
        loader->handed = number + 1;
    }
    *out = &ready->batch;
    return AMUN_OK;
}
