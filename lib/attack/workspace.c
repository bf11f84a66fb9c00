/* workspace.c - what every method works with while it runs: names and records of its samples,
 * progress, and one plan with its arrays. */
#include "attack/attack_private.h"

/* ---- samples --------------------------------------------------------------------------------- */

int64_t amun__job_id(const amun__job *job, size_t row)
{
    return job->ids != NULL ? job->ids[row] : (int64_t)row;
}

bool amun__job_failed(const amun_attack_record *record)
{
    return record->outcome >= AMUN_ATTACK_FAILED_CAP;
}

amun_status amun__job_finish(amun__job *job, size_t row, const amun_attack_record *result,
                             const float *clean, const float *image)
{
    amun_attack_record *record = &job->records[row];
    uint64_t hash = record->input_hash;
    *record = *result;
    record->index = amun__job_id(job, row);
    record->label = job->labels[row];
    record->input_hash = hash;
    if (amun__job_failed(record)) {
        image = clean;
        record->adversarial = record->predicted;
    }
    record->l2 = amun__project_distance(image, clean, job->pixels);
    record->linf = amun__project_distance_linf(image, clean, job->pixels);
    job->flipped += record->outcome == AMUN_ATTACK_FLIPPED;
    return job->deliver(job, row, image);
}

amun_status amun__job_tick(const amun__job *job, uint64_t step, uint64_t total)
{
    amun__progress_state *progress = job->progress;
    if (progress == NULL || progress->call.progress == NULL) {
        return AMUN_OK;
    }
    /* The tick reports every first step; a slow attack stays there for many iterations. */
    if (step <= 1 && step != total && progress->last > progress->began &&
        (amun__now() - progress->last) * 1000.0 < (double)progress->call.min_interval_ms) {
        return AMUN_OK;
    }
    return amun__progress_tick(progress, "attack", step, total, NAN,
                               (double)job->flipped / (double)job->count);
}

/* ---- workspace ------------------------------------------------------------------------------- */

size_t amun__workspace_plan_size(size_t need, size_t limit)
{
    size_t size = 1;
    while (size < need && size < limit) {
        size *= 2;
    }
    if (size >= 4 && size / 4 * 3 >= need) {
        size = size / 4 * 3;
    }
    return size < limit ? size : limit;
}

amun_status amun__workspace_open(amun__workspace *space, const amun__job *job, size_t capacity,
                                 amun__mode mode)
{
    amun_status status = AMUN_OK;
    size_t pixels, classes;
    memset(space, 0, sizeof *space);
    space->job = job;
    space->log_probs = job->victim.count > 1;
    if (!amun__mul_size(&pixels, capacity, job->pixels) ||
        !amun__mul_size(&classes, capacity, job->classes)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "a batch of %zu images of %zu values is too large",
                   capacity, job->pixels);
    }
    AMUN__TRY(amun__calloc(job->ctx, &space->clean, pixels, sizeof(float)));
    AMUN__TRY(amun__calloc(job->ctx, &space->current, pixels, sizeof(float)));
    if (mode == AMUN__MODE_ATTACK) {
        AMUN__TRY(amun__calloc(job->ctx, &space->diff, pixels, sizeof(float)));
    }
    AMUN__TRY(amun__calloc(job->ctx, &space->logits, classes, sizeof(float)));
    AMUN__TRY(amun__calloc(job->ctx, &space->seed, classes, sizeof(double)));
    AMUN__TRY(amun__calloc(job->ctx, &space->labels, capacity, sizeof *space->labels));
    memset(space->labels, -1, capacity * sizeof *space->labels);
    if (mode == AMUN__MODE_ATTACK && amun__confirm_needed(job)) {
        AMUN__TRY(amun__confirm_open(space, capacity));
    }
    AMUN__TRY(amun__probe_open(&space->probe, job->ctx, &job->victim, capacity, mode));
    space->batch = capacity;
fail:
    return status; /* close() cleans up */
}

amun_status amun__workspace_resize(amun__workspace *space, size_t batch)
{
    AMUN__CHECK(amun__probe_resize(&space->probe, batch));
    space->batch = batch;
    return AMUN_OK;
}

amun_status amun__workspace_shrink(amun__workspace *space, size_t batch)
{
    amun__probe_drop(&space->probe);
    amun__confirm_drop(space);
    return amun__workspace_resize(space, batch);
}

amun_status amun__workspace_forward(amun__workspace *space, const float *images)
{
    AMUN__CHECK(amun__probe_forward(&space->probe, images, space->logits));
    return amun__confirm_flips(space, images);
}

amun_status amun__workspace_backward(amun__workspace *space)
{
    return amun__probe_backward(&space->probe, space->seed, space->diff);
}

void amun__workspace_close(amun__workspace *space)
{
    if (space->job == NULL) {
        return;
    }
    amun_context *ctx = space->job->ctx;
    amun__confirm_close(space);
    amun__probe_close(&space->probe);
    amun__free(ctx, space->labels);
    amun__free(ctx, space->clean);
    amun__free(ctx, space->current);
    amun__free(ctx, space->diff);
    amun__free(ctx, space->logits);
    amun__free(ctx, space->seed);
}
