/* step.c - passes of one member of a run over one batch: what objectives are made of. */
#include "train/train.h"

amun__plan *amun__member_plan(const amun__member *member, size_t batch)
{
    for (int i = 0; i < AMUN__STEP_SIZES && member->plans[i] != NULL; i++) {
        if (amun__plan_batch(member->plans[i]) == (int64_t)batch) {
            return member->plans[i];
        }
    }
    return NULL;
}

amun__plan *amun__step_plan(const amun__step *step, size_t member)
{
    return amun__member_plan(&step->members[member], step->batch->count);
}

amun_status amun__step_forward(amun__step *step, size_t member, const float *images)
{
    return amun__plan_forward(amun__step_plan(step, member), images, step->members[member].logits);
}

/* At least `count` floats in the run's spare memory. */
static amun_status reserve(amun__step *step, size_t count)
{
    amun__spare *spare = step->spare;
    if (spare->count >= count) {
        return AMUN_OK;
    }
    amun__free(step->ctx, spare->values);
    *spare = (amun__spare){0};
    AMUN__CHECK(amun__alloc(step->ctx, &spare->values, count, sizeof *spare->values));
    spare->count = count;
    return AMUN_OK;
}

static void add(float *restrict to, const float *restrict from, size_t count)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

amun_status amun__step_backward(amun__step *step, size_t member, const float *seed, int32_t flags,
                                float *diff_src)
{
    amun__member *m = &step->members[member];
    amun__plan *plan = amun__step_plan(step, member);
    if ((flags & AMUN__PASS_ADD) != 0) {
        AMUN__CHECK(reserve(step, m->values.trainable));
        AMUN__CHECK(amun__plan_backward(plan, seed, diff_src, step->spare->values));
        add(m->diff, step->spare->values, m->values.trainable);
    } else {
        AMUN__CHECK(amun__plan_backward(plan, seed, diff_src, m->diff));
    }
    bool moves = (flags & AMUN__PASS_STATISTICS) != 0 && amun__plan_mode(plan) == AMUN__MODE_TRAIN;
    return moves ? amun__model_update_statistics(m->model, plan) : AMUN_OK;
}

amun_status amun__step_cross_entropy_at(amun__step *step, size_t member, const float *images,
                                        double factor, int32_t flags)
{
    amun__member *m = &step->members[member];
    const amun__batch *batch = step->batch;
    AMUN__CHECK(amun__step_forward(step, member, images));
    double loss = amun__loss_cross_entropy(m->logits, batch->targets, batch->weights, batch->count,
                                           step->classes, factor / (double)batch->count, m->seed);
    step->loss += factor * loss;
    return isfinite(loss) ? amun__step_backward(step, member, m->seed, flags, NULL) : AMUN_OK;
}

void amun__step_count_right(amun__step *step, const float *logits)
{
    for (size_t i = 0; i < step->batch->count; i++) {
        step->right +=
            amun__loss_argmax(logits + i * step->classes, step->classes) == step->batch->labels[i];
    }
}

amun_status amun__step_cross_entropy(amun__step *step, size_t member)
{
    AMUN__CHECK(
        amun__step_cross_entropy_at(step, member, step->batch->images, 1.0, AMUN__PASS_STATISTICS));
    if (isfinite(step->loss)) {
        amun__step_count_right(step, step->members[member].logits);
    }
    return AMUN_OK;
}
