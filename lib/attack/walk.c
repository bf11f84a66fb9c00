/* walk.c - samples that walk on their own in a fixed number of slots. A slot that is done takes the
 * next waiting sample at once; when none is left, the slots are packed into ever smaller plans. */
#include "attack/attack_private.h"

typedef struct walk_run {
    const amun__walk *walk;
    amun__workspace space;
    amun__slot *slots;       /* [capacity] */
    float *extra;            /* [walk->images][capacity][pixels] */
    size_t next;             /* row that waits longest */
    size_t active, finished; /* slots in use; samples */
} walk_run;

void amun__slot_finish(amun__slot *slot, amun_attack_outcome outcome)
{
    slot->result.outcome = outcome;
    slot->wants_gradient = 0;
    slot->done = 1;
}

/* Pointers into the arrays belong to the place, not to the sample. */
static void bind_slot(walk_run *r, size_t i, size_t capacity)
{
    amun__slot *slot = &r->slots[i];
    size_t n = r->walk->job->pixels, classes = r->walk->job->classes;
    slot->clean = r->space.clean + i * n;
    slot->current = r->space.current + i * n;
    slot->diff = r->space.diff != NULL ? r->space.diff + i * n : NULL;
    slot->logits = r->space.logits + i * classes;
    slot->seed = r->space.seed + i * classes;
    for (size_t k = 0; k < r->walk->images; k++) {
        slot->extra[k] = r->extra + (k * capacity + i) * n;
    }
}

/* A sample from one place to another. */
static void transfer_slot(walk_run *r, size_t to, size_t from)
{
    amun__slot *dst = &r->slots[to], *src = &r->slots[from];
    amun__slot places = *dst;
    size_t bytes = r->walk->job->pixels * sizeof(float);
    memcpy(dst->clean, src->clean, bytes);
    memcpy(dst->current, src->current, bytes);
    for (size_t k = 0; k < r->walk->images; k++) {
        memcpy(dst->extra[k], src->extra[k], bytes);
    }
    *dst = *src;
    dst->clean = places.clean;
    dst->current = places.current;
    dst->diff = places.diff;
    dst->logits = places.logits;
    dst->seed = places.seed;
    memcpy(dst->extra, places.extra, sizeof dst->extra);
    src->active = 0;
}

/* The next waiting sample into slot i, or nothing if none waits. */
static amun_status admit(walk_run *r, size_t i)
{
    amun__slot *slot = &r->slots[i];
    amun__job *job = r->walk->job;
    slot->active = slot->seen = slot->wants_gradient = slot->done = 0;
    memset(&slot->state, 0, sizeof slot->state);
    if (r->next >= job->count) {
        return AMUN_OK;
    }
    slot->row = r->next++;
    AMUN__CHECK(job->fetch(job, slot->row, slot->clean));
    memcpy(slot->current, slot->clean, job->pixels * sizeof(float));
    slot->active = 1;
    slot->label = job->labels[slot->row];
    slot->result = (amun_attack_record){.predicted = -1, .adversarial = -1, .eps = r->walk->eps};
    r->active++;
    return AMUN_OK;
}

static amun_status retire(walk_run *r, size_t i)
{
    amun__slot *slot = &r->slots[i];
    const amun__walk *walk = r->walk;
    if (walk->revive != NULL && amun__job_failed(&slot->result) && walk->revive(walk, slot)) {
        slot->done = 0;
        return AMUN_OK;
    }
    AMUN__CHECK(
        amun__job_finish(r->walk->job, slot->row, &slot->result, slot->clean, slot->current));
    r->finished++;
    r->active--;
    return admit(r, i);
}

/* With nobody waiting, the active slots move to the front and a smaller plan serves them. */
static amun_status shrink(walk_run *r)
{
    size_t batch = amun__workspace_plan_size(r->active, r->space.batch);
    if (r->next < r->walk->job->count || r->active == 0 || batch == r->space.batch) {
        return AMUN_OK;
    }
    size_t to = 0;
    for (size_t from = 0; from < r->space.batch; from++) {
        if (r->slots[from].active) {
            if (from != to) {
                transfer_slot(r, to, from);
            }
            to++;
        }
    }
    return amun__workspace_shrink(&r->space, batch);
}

static void judge(walk_run *r, amun__slot *slot)
{
    size_t classes = r->walk->job->classes;
    slot->wants_gradient = 0;
    if (slot->active) {
        int32_t label = amun__loss_argmax(slot->logits, classes);
        slot->result.adversarial = label;
        if (!slot->seen) {
            slot->result.predicted = label;
        }
        if (label < 0) {
            amun__slot_finish(slot, AMUN_ATTACK_FAILED_NUMERIC);
        } else {
            r->walk->judge(r->walk, slot);
        }
        slot->seen = 1;
    }
    if (!slot->wants_gradient) {
        memset(slot->seed, 0, classes * sizeof *slot->seed);
    }
}

static amun_status iterate(walk_run *r)
{
    for (size_t i = 0; i < r->space.batch; i++) {
        r->space.labels[i] = r->slots[i].active ? r->slots[i].label : -1;
    }
    AMUN__CHECK(amun__workspace_forward(&r->space, r->space.current));
    int64_t batch = (int64_t)r->space.batch;
    int64_t wanted = 0;
#pragma omp parallel for schedule(static) reduction(+ : wanted) if (batch > 1)
    for (int64_t i = 0; i < batch; i++) {
        judge(r, &r->slots[i]);
        wanted += r->slots[i].wants_gradient;
    }
    if (wanted > 0) {
        AMUN__CHECK(amun__workspace_backward(&r->space));
#pragma omp parallel for schedule(static) if (batch > 1)
        for (int64_t i = 0; i < batch; i++) {
            if (r->slots[i].wants_gradient) {
                r->walk->move(r->walk, &r->slots[i]);
            }
        }
    }
    for (size_t i = 0; i < r->space.batch; i++) {
        if (r->slots[i].active && r->slots[i].done) {
            AMUN__CHECK(retire(r, i));
        }
    }
    return AMUN_OK;
}

static amun_status begin(walk_run *r, size_t capacity)
{
    size_t n = r->walk->job->pixels;
    for (size_t i = 0; i < capacity; i++) {
        bind_slot(r, i, capacity);
        AMUN__CHECK(admit(r, i));
        if (!r->slots[i].active) { /* any valid image; nobody reads its results */
            memcpy(r->slots[i].current, r->space.current, n * sizeof(float));
        }
    }
    return AMUN_OK;
}

amun_status amun__walk_run(amun__walk *walk)
{
    amun_status status = AMUN_OK;
    amun__job *job = walk->job;
    int64_t classes;
    walk_run r = {.walk = walk};
    size_t capacity = amun__workspace_plan_size(job->count, walk->batch), slots;
    AMUN__TRY(amun__model_input(job->victim.models[0], &walk->channels, &walk->height, &walk->width,
                                &classes));
    AMUN__TRY(amun__workspace_open(&r.space, job, capacity, walk->mode));
    walk->log_probs = r.space.log_probs;
    if (!amun__mul_size(&slots, capacity * walk->images, job->pixels)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "a batch of %zu images of %zu values is too large",
                   capacity, job->pixels);
    }
    AMUN__TRY(amun__calloc(job->ctx, &r.extra, slots, sizeof *r.extra));
    AMUN__TRY(amun__calloc(job->ctx, &r.slots, capacity, sizeof *r.slots));
    AMUN__TRY(begin(&r, capacity));
    while (r.active > 0) {
        AMUN__TRY(iterate(&r));
        AMUN__TRY(amun__job_tick(job, r.finished, job->count));
        AMUN__TRY(shrink(&r));
    }
fail:
    amun__free(job->ctx, r.slots);
    amun__free(job->ctx, r.extra);
    amun__workspace_close(&r.space);
    return status;
}
