/* recipe_teacher.c - bad teaching (Chundawat et al., arXiv 2205.08096): D_F as a network of random
 * weights sees it, a part of D_R as the original does. */
#include <stdio.h>

#include "unlearn/unlearn.h"

static void set_defaults(amun_train_options *options)
{
    options->epochs = 1;
    options->batch = 256;
    options->lr = 1e-4;
    options->weight_decay = 0.0;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
    options->optimiser = AMUN_OPTIMISER_ADAM;
}

/* softmax(z / T) of a teacher, one row per sample. The request's memory. */
static amun_status teach(amun__unlearn_request *q, const amun_model *teacher,
                         const int64_t *indices, size_t count, amun__progress_state *progress,
                         float **rows)
{
    size_t classes = (size_t)amun_model_classes(teacher), values = 0;
    double *p = NULL;
    if (!amun__mul_size(&values, count, classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "targets of %zu samples are too many", count);
    }
    AMUN__CHECK(amun__unlearn_alloc(q, rows, values, sizeof **rows));
    AMUN__CHECK(amun__unlearn_alloc(q, &p, classes, sizeof *p));
    AMUN__CHECK(amun__eval_logits(teacher, q->train, indices, count, *rows, progress, "teachers"));
    const float cooled = (float)(1.0 / q->rival.teacher_temperature);
    for (size_t i = 0; i < values; i++) {
        (*rows)[i] *= cooled;
    }
    for (float *row = *rows; row < *rows + values; row += classes) {
        amun__loss_softmax(row, classes, p);
        for (size_t k = 0; k < classes; k++) {
            row[k] = (float)p[k];
        }
    }
    return AMUN_OK;
}

/* Cross-entropy of softmax(z / T) with the teacher's row: but for a constant, KL(teacher ||
 * student). */
static amun_status gradients(void *self, amun__step *step)
{
    const amun__unlearn_request *q = self;
    const amun__batch *batch = step->batch;
    amun__member *m = &step->members[0];
    const float cooled = (float)(1.0 / q->rival.teacher_temperature);
    AMUN__CHECK(amun__step_forward(step, 0, batch->images));
    for (size_t i = 0; i < batch->count * step->classes; i++) {
        m->logits[i] *= cooled;
    }
    step->loss +=
        amun__loss_cross_entropy(m->logits, batch->targets, batch->weights, batch->count,
                                 step->classes, (double)cooled / (double)batch->count, m->seed);
    if (!isfinite(step->loss)) {
        return AMUN_OK;
    }
    amun__step_count_right(step, m->logits);
    return amun__step_backward(step, 0, m->seed, AMUN__PASS_STATISTICS, NULL);
}

static amun_status set_objective(amun__unlearn_request *request, amun__recipe *recipe)
{
    amun__objective *objective = NULL;
    char *identity = NULL;
    AMUN__CHECK(amun__unlearn_alloc(request, &objective, 1, sizeof *objective));
    AMUN__CHECK(amun__unlearn_alloc(request, &identity, 64, 1));
    snprintf(identity, 64, "{\"temperature\": %.17g}", request->rival.teacher_temperature);
    *objective = (amun__objective){.identity = identity, .self = request, .gradients = gradients};
    recipe->objective = objective;
    return AMUN_OK;
}

/* The rows belong to the images as they are: none is augmented. */
static size_t add_taught(amun__unlearn_request *q, amun__recipe *recipe, const int64_t *indices,
                         size_t count, const float *rows)
{
    return amun__unlearn_add(recipe, &(amun__part){.dataset = q->train,
                                                   .indices = indices,
                                                   .count = count,
                                                   .target = AMUN__TARGET_SOFT,
                                                   .soft = rows,
                                                   .weight = 1.0});
}

static amun_status build(amun__unlearn_request *request, amun__progress_state *progress,
                         amun__recipe *recipe, amun__unlearn_counts *counts)
{
    int64_t *kept = NULL;
    float *good = NULL, *bad = NULL;
    amun_model *random = NULL;
    size_t share = (size_t)(request->rival.teacher_share * (double)request->remain_count);
    share = share < 1 ? 1 : share;
    amun_status status = AMUN_OK;
    AMUN__TRY(set_objective(request, recipe));
    AMUN__TRY(amun__unlearn_shuffled(request, request->remain, request->remain_count, 0, &kept));
    AMUN__TRY(amun__model_copy(&random, request->model));
    AMUN__TRY(amun_model_reset(random, request->options.seed));
    AMUN__TRY(teach(request, random, request->forget, request->forget_count, progress, &bad));
    AMUN__TRY(teach(request, request->model, kept, share, progress, &good));
    counts->remain = add_taught(request, recipe, kept, share, good);
    counts->forget = add_taught(request, recipe, request->forget, request->forget_count, bad);
fail:
    amun_model_unref(random);
    return status;
}

const amun__unlearn_method amun__method_bad_teacher = {
    .name = "bad_teacher",
    .set_defaults = set_defaults,
    .needs_remain = 1,
    .build = build,
};
