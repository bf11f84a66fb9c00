/* recipe_labels.c - methods that teach the forget samples a wrong label: RL, SalUn
 * (arXiv 2310.12508) and boundary shrink (Chen et al., arXiv 2303.11570). */
#include "unlearn/unlearn.h"

static void set_random_defaults(amun_train_options *options)
{
    options->epochs = 10;
    options->lr = 0.01;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

/* The rate of the released code: the boundary is near, and a large step overshoots. */
static void set_boundary_defaults(amun_train_options *options)
{
    options->epochs = 10;
    options->batch = 64;
    options->lr = 1e-5;
    options->weight_decay = 0.0;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

/* ---- random labels -------------------------------------------------------------------------- */

static amun_status build_random(amun__unlearn_request *request, amun__progress_state *progress,
                                amun__recipe *recipe, amun__unlearn_counts *counts)
{
    (void)progress;
    counts->remain =
        amun__unlearn_add(recipe, &(amun__part){.dataset = request->train,
                                                .indices = request->remain,
                                                .count = request->remain_count,
                                                .target = AMUN__TARGET_LABEL,
                                                .augment = 1,
                                                .weight = 1.0,
                                                .phase = request->rival.forget_first != 0 ? 1 : 0});
    counts->forget = amun__unlearn_add(
        recipe, &(amun__part){.dataset = request->train,
                              .indices = request->forget,
                              .count = request->forget_count,
                              .target = request->rival.any_label != 0 ? AMUN__TARGET_RANDOM_ANY
                                                                      : AMUN__TARGET_RANDOM_OTHER,
                              .augment = 1,
                              .weight = 1.0});
    return AMUN_OK;
}

/* ---- boundary shrink ------------------------------------------------------------------------ */

enum { SHRINK_BATCH = 128 };

typedef struct shrink {
    amun__plan *plan;
    size_t batch, pixels, classes;
    float *images, *diff, *logits, *targets, *seed;
} shrink;

static amun_status open_shrink(shrink *s, const amun__unlearn_request *q)
{
    amun__dataset_info info;
    amun__dataset_info_get(q->train, &info);
    s->batch = q->forget_count < SHRINK_BATCH ? q->forget_count : SHRINK_BATCH;
    s->pixels = info.pixels;
    s->classes = (size_t)amun_model_classes(q->model);
    AMUN__CHECK(amun__calloc(q->ctx, &s->images, s->batch * s->pixels, sizeof *s->images));
    AMUN__CHECK(amun__alloc(q->ctx, &s->diff, s->batch * s->pixels, sizeof *s->diff));
    AMUN__CHECK(amun__alloc(q->ctx, &s->logits, s->batch * s->classes, sizeof *s->logits));
    AMUN__CHECK(amun__alloc(q->ctx, &s->targets, s->batch * s->classes, sizeof *s->targets));
    AMUN__CHECK(amun__calloc(q->ctx, &s->seed, s->batch * s->classes, sizeof *s->seed));
    return amun__model_lease(q->model, (int64_t)s->batch, AMUN__MODE_ATTACK, &s->plan);
}

static void close_shrink(shrink *s, const amun__unlearn_request *q)
{
    if (s->plan != NULL) {
        amun__model_release(q->model, s->plan);
    }
    amun__free(q->ctx, s->images);
    amun__free(q->ctx, s->diff);
    amun__free(q->ctx, s->logits);
    amun__free(q->ctx, s->targets);
    amun__free(q->ctx, s->seed);
}

/* x + step * sign(gradient), inside [0, 1], on the grid of 8-bit pixels. */
static void step_row(shrink *s, size_t row, double step)
{
    float *x = s->images + row * s->pixels;
    const float *g = s->diff + row * s->pixels;
    for (size_t i = 0; i < s->pixels; i++) {
        double v = (double)x[i] + step * (double)((g[i] > 0.0f) - (g[i] < 0.0f));
        v = v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v;
        x[i] = (float)(floor(v * 255.0 + 0.5) / 255.0);
    }
}

/* The classes that the model gives to the shifted images of one batch. */
static amun_status shrink_batch(shrink *s, const amun__unlearn_request *q, size_t first, size_t n,
                                int32_t *found)
{
    for (size_t i = 0; i < n; i++) {
        amun__dataset_fetch(q->train, (size_t)q->forget[first + i], s->images + i * s->pixels);
    }
    AMUN__CHECK(amun__plan_forward(s->plan, s->images, s->logits));
    memset(s->targets, 0, n * s->classes * sizeof *s->targets);
    for (size_t i = 0; i < n; i++) {
        int32_t label = amun__dataset_label(q->train, (size_t)q->forget[first + i]);
        s->targets[i * s->classes + (size_t)label] = 1.0f;
    }
    (void)amun__loss_cross_entropy(s->logits, s->targets, NULL, n, s->classes, 1.0, s->seed);
    AMUN__CHECK(amun__plan_backward(s->plan, s->seed, s->diff, NULL));
    for (size_t i = 0; i < n; i++) {
        step_row(s, i, q->rival.boundary_step);
    }
    AMUN__CHECK(amun__plan_forward(s->plan, s->images, s->logits));
    for (size_t i = 0; i < n; i++) {
        found[first + i] = amun__loss_argmax(s->logits + i * s->classes, s->classes);
        if (found[first + i] < 0) {
            return amun__fail(AMUN_ERROR_NUMERIC, "the logits of forget sample %lld are not finite",
                              (long long)q->forget[first + i]);
        }
    }
    return AMUN_OK;
}

static amun_status find_neighbours(const amun__unlearn_request *q, amun__progress_state *progress,
                                   int32_t *found)
{
    shrink s = {0};
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(q->ctx, &threads));
    amun_status status = open_shrink(&s, q);
    for (size_t first = 0; status == AMUN_OK && first < q->forget_count; first += s.batch) {
        size_t left = q->forget_count - first, n = left < s.batch ? left : s.batch;
        AMUN__TRY(shrink_batch(&s, q, first, n, found));
        AMUN__TRY(
            amun__progress_tick(progress, "neighbours", first + n, q->forget_count, NAN, NAN));
    }
fail:
    close_shrink(&s, q);
    amun__threads_end(&threads);
    return status;
}

/* A sample that the step does not carry out of its class stays out: its target would be the class
 * that is to be forgotten. */
static amun_status build_shrink(amun__unlearn_request *request, amun__progress_state *progress,
                                amun__recipe *recipe, amun__unlearn_counts *counts)
{
    int32_t *labels = NULL;
    int64_t *moved = NULL;
    size_t used = 0;
    AMUN__CHECK(amun__unlearn_alloc(request, &labels, request->forget_count, sizeof *labels));
    AMUN__CHECK(amun__unlearn_alloc(request, &moved, request->forget_count, sizeof *moved));
    AMUN__CHECK(find_neighbours(request, progress, labels));
    for (size_t i = 0; i < request->forget_count; i++) {
        if (labels[i] != amun__dataset_label(request->train, (size_t)request->forget[i])) {
            labels[used] = labels[i];
            moved[used++] = request->forget[i];
        }
    }
    if (used == 0) {
        return amun__fail(
            AMUN_ERROR_NUMERIC,
            "boundary_shrink: a step of %g carries none of the %zu forget samples out "
            "of its class",
            request->rival.boundary_step, request->forget_count);
    }
    counts->failed = request->forget_count - used;
    counts->remain =
        amun__unlearn_add_clean(recipe, request->train, request->remain, request->remain_count);
    counts->forget = amun__unlearn_add(recipe, &(amun__part){.dataset = request->train,
                                                             .indices = moved,
                                                             .count = used,
                                                             .target = AMUN__TARGET_FIXED,
                                                             .labels = labels,
                                                             .augment = 1,
                                                             .weight = 1.0,
                                                             .phase = 1});
    return AMUN_OK;
}

const amun__unlearn_method amun__method_random_label = {
    .name = "random_label",
    .set_defaults = set_random_defaults,
    .build = build_random,
};

const amun__unlearn_method amun__method_salun = {
    .name = "salun",
    .set_defaults = set_random_defaults,
    .mask_ratio = 0.5,
    .build = build_random,
};

const amun__unlearn_method amun__method_boundary_shrink = {
    .name = "boundary_shrink",
    .set_defaults = set_boundary_defaults,
    .build = build_shrink,
};
