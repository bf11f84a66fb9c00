/* confirm.c - flips seen by a bf16 plan, looked at once more by one that predicts, in f32: what an
 * attack returns as flipped is flipped for the model as it is, not as bf16 rounds it. */
#include "attack/attack_private.h"

bool amun__confirm_needed(const amun__job *job)
{
    return amun__context_precision(job->ctx) == AMUN_PRECISION_BF16;
}

amun_status amun__confirm_open(amun__workspace *space, size_t capacity)
{
    const amun__job *job = space->job;
    amun__confirm *c = &space->confirm;
    AMUN__CHECK(amun__calloc(job->ctx, &c->rows, capacity, sizeof *c->rows));
    AMUN__CHECK(amun__calloc(job->ctx, &c->images, capacity * job->pixels, sizeof(float)));
    AMUN__CHECK(amun__calloc(job->ctx, &c->logits, capacity * job->classes, sizeof(float)));
    return amun__probe_open(&c->probe, job->ctx, &job->victim, capacity, AMUN__MODE_INFER);
}

void amun__confirm_drop(amun__workspace *space)
{
    if (space->confirm.rows != NULL) {
        amun__probe_drop(&space->confirm.probe);
    }
}

void amun__confirm_close(amun__workspace *space)
{
    amun_context *ctx = space->job->ctx;
    amun__confirm *c = &space->confirm;
    if (c->checked > 0) {
        amun__log(ctx, AMUN_LOG_DEBUG, "bf16: of %llu flips %llu stand in f32",
                  (unsigned long long)c->checked, (unsigned long long)c->confirmed);
    }
    amun__probe_close(&c->probe);
    amun__free(ctx, c->rows);
    amun__free(ctx, c->images);
    amun__free(ctx, c->logits);
}

/* Rows whose label is wrong, or that have none. */
static size_t find_rows(amun__workspace *space)
{
    const size_t classes = space->job->classes;
    size_t count = 0;
    for (size_t i = 0; i < space->batch; i++) {
        int32_t label = space->labels[i];
        if (label >= 0 && amun__loss_argmax(space->logits + i * classes, classes) != label) {
            space->confirm.rows[count++] = i;
        }
    }
    return count;
}

amun_status amun__confirm_flips(amun__workspace *space, const float *images)
{
    const size_t pixels = space->job->pixels, classes = space->job->classes;
    amun__confirm *c = &space->confirm;
    if (c->rows == NULL) {
        return AMUN_OK;
    }
    const size_t count = find_rows(space);
    if (count == 0) {
        return AMUN_OK;
    }
    for (size_t k = 0; k < count; k++) {
        memcpy(c->images + k * pixels, images + c->rows[k] * pixels, pixels * sizeof(float));
    }
    size_t batch = amun__workspace_plan_size(count, c->probe.capacity);
    for (size_t k = count; k < batch; k++) { /* any valid image */
        memcpy(c->images + k * pixels, c->images, pixels * sizeof(float));
    }
    AMUN__CHECK(amun__probe_resize(&c->probe, batch));
    AMUN__CHECK(amun__probe_forward(&c->probe, c->images, c->logits));
    for (size_t k = 0; k < count; k++) {
        const float *logits = c->logits + k * classes;
        memcpy(space->logits + c->rows[k] * classes, logits, classes * sizeof(float));
        c->confirmed += amun__loss_argmax(logits, classes) != space->labels[c->rows[k]];
    }
    c->checked += count;
    return AMUN_OK;
}
