/* recipe_unsir.c - UNSIR (Tarun et al., arXiv 2111.08947): noise that maximises the loss of the
 * forgotten classes takes their place for one epoch (impair), and one on retained samples mends the
 * rest (repair). It looks at D_F only for its classes.
 *
 * Every forgotten class has noise of its own with its own label; the released code gives the noise
 * of all of them one label. */
#include <stdio.h>

#include "unlearn/unlearn.h"

enum { NOISE_BATCH = 128 };

typedef struct noise {
    size_t per_class, kinds, pixels, classes;
    int32_t *gone;                  /* [kinds] ascending */
    uint8_t *is_gone;               /* [classes] of the data set */
    float *images;                  /* [kinds][per_class][pixels] */
    int32_t *labels;                /* [kinds][per_class] */
    float *diff, *m, *v;            /* of one class: [per_class][pixels] */
    float *logits, *seed, *targets; /* [batch][classes] */
    size_t batch;
    amun__plan *plans[2]; /* full batches; the short last one, or NULL */
    amun_dataset *data;
} noise;

/* Adam at the rate of the released code, for impairing; `unsir_repair_lr` is for repairing. */
static void set_defaults(amun_train_options *options)
{
    options->epochs = 1;
    options->batch = 256;
    options->lr = 0.02;
    options->weight_decay = 0.0;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
    options->optimiser = AMUN_OPTIMISER_ADAM;
}

/* ---- noise ---------------------------------------------------------------------------------- */

static amun_status find_classes(noise *n, amun__unlearn_request *q)
{
    amun__dataset_info info;
    amun__dataset_info_get(q->train, &info);
    AMUN__CHECK(amun__unlearn_alloc(q, &n->is_gone, (size_t)info.classes, 1));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->gone, (size_t)info.classes, sizeof *n->gone));
    for (size_t i = 0; i < q->forget_count; i++) {
        n->is_gone[amun__dataset_label(q->train, (size_t)q->forget[i])] = 1;
    }
    for (int32_t k = 0; k < info.classes; k++) {
        if (n->is_gone[k] != 0) {
            n->gone[n->kinds++] = k;
        }
    }
    for (size_t i = 0; i < n->kinds; i++) {
        if (n->gone[i] >= amun_model_classes(q->model)) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "unsir: the model has no class %d, which is to be forgotten",
                              (int)n->gone[i]);
        }
    }
    return AMUN_OK;
}

static amun_status open_noise(noise *n, amun__unlearn_request *q)
{
    amun__dataset_info info;
    amun__dataset_info_get(q->train, &info);
    AMUN__CHECK(find_classes(n, q));
    n->per_class = (size_t)q->rival.unsir_noise;
    n->pixels = info.pixels;
    n->classes = (size_t)amun_model_classes(q->model);
    n->batch = n->per_class < NOISE_BATCH ? n->per_class : NOISE_BATCH;
    size_t rest = n->per_class % n->batch, one = 0, all = 0, rows = n->batch * n->classes;
    if (!amun__mul_size(&one, n->per_class, n->pixels) || !amun__mul_size(&all, one, n->kinds)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "unsir: %zu images of %zu values are too many",
                          n->per_class, n->pixels);
    }
    AMUN__CHECK(amun__unlearn_alloc(q, &n->images, all, sizeof *n->images));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->labels, n->kinds * n->per_class, sizeof *n->labels));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->diff, one, sizeof *n->diff));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->m, one, sizeof *n->m));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->v, one, sizeof *n->v));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->logits, rows, sizeof *n->logits));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->seed, rows, sizeof *n->seed));
    AMUN__CHECK(amun__unlearn_alloc(q, &n->targets, rows, sizeof *n->targets));
    AMUN__CHECK(amun__model_lease(q->model, (int64_t)n->batch, AMUN__MODE_ATTACK, &n->plans[0]));
    return rest == 0 ? AMUN_OK
                     : amun__model_lease(q->model, (int64_t)rest, AMUN__MODE_ATTACK, &n->plans[1]);
}

static void close_noise(noise *n, const amun__unlearn_request *q)
{
    for (int i = 0; i < 2; i++) {
        if (n->plans[i] != NULL) {
            amun__model_release(q->model, n->plans[i]);
        }
    }
    amun_dataset_unref(n->data);
}

/* diff: d / d images of -CE(images, label) + penalty * mean ||image||^2. */
static amun_status noise_gradient(noise *n, const amun__unlearn_request *q, float *images,
                                  int32_t label)
{
    const double each = 1.0 / (double)n->per_class;
    const float pull = (float)(2.0 * q->rival.unsir_noise_penalty * each);
    memset(n->targets, 0, n->batch * n->classes * sizeof *n->targets);
    for (size_t i = 0; i < n->batch; i++) {
        n->targets[i * n->classes + (size_t)label] = 1.0f;
    }
    for (size_t first = 0; first < n->per_class; first += n->batch) {
        size_t left = n->per_class - first, count = left < n->batch ? left : n->batch;
        amun__plan *plan = n->plans[count == n->batch ? 0 : 1];
        AMUN__CHECK(amun__plan_forward(plan, images + first * n->pixels, n->logits));
        double loss = amun__loss_cross_entropy(n->logits, n->targets, NULL, count, n->classes,
                                               -each, n->seed);
        if (!isfinite(loss)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "unsir: the loss of the noise is %g", loss);
        }
        AMUN__CHECK(amun__plan_backward(plan, n->seed, n->diff + first * n->pixels, NULL));
    }
    for (size_t i = 0; i < n->per_class * n->pixels; i++) {
        n->diff[i] += pull * images[i];
    }
    return AMUN_OK;
}

/* From normal noise, by Adam. */
static amun_status learn_noise(noise *n, const amun__unlearn_request *q, size_t kind,
                               amun__progress_state *progress)
{
    const int64_t steps = q->rival.unsir_noise_steps;
    const size_t values = n->per_class * n->pixels;
    float *images = n->images + kind * values;
    amun__adam adam = {.lr = q->rival.unsir_noise_lr, .beta1 = 0.9};
    for (size_t i = 0; i < n->per_class; i++) {
        amun__rng rng;
        amun__rng_open(&rng, q->options.seed, AMUN__RNG_UNLEARN, (uint32_t)n->gone[kind] + 1, i);
        n->labels[kind * n->per_class + i] = n->gone[kind];
        for (size_t k = 0; k < n->pixels; k++) {
            images[i * n->pixels + k] = (float)amun__rng_normal(&rng);
        }
    }
    memset(n->m, 0, values * sizeof *n->m);
    memset(n->v, 0, values * sizeof *n->v);
    for (adam.step = 1; adam.step <= steps; adam.step++) {
        AMUN__CHECK(noise_gradient(n, q, images, n->gone[kind]));
        amun__adam_step(&adam, images, n->m, n->v, n->diff, values);
        AMUN__CHECK(amun__progress_tick(progress, "unsir.noise",
                                        kind * (uint64_t)steps + (uint64_t)adam.step,
                                        n->kinds * (uint64_t)steps, NAN, NAN));
    }
    return AMUN_OK;
}

static amun_status make_noise(noise *n, amun__unlearn_request *q, amun__progress_state *progress)
{
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(q->ctx, &threads));
    amun_status status = open_noise(n, q);
    for (size_t kind = 0; kind < n->kinds && status == AMUN_OK; kind++) {
        status = learn_noise(n, q, kind, progress);
    }
    amun__threads_end(&threads);
    AMUN__CHECK(status);
    amun__dataset_info info;
    amun__dataset_info_get(q->train, &info);
    info.count = n->kinds * n->per_class;
    return amun__dataset_open_noise(&n->data, q->ctx, n->images, &info, n->labels);
}

/* ---- impair, repair ------------------------------------------------------------------------- */

/* Samples of the classes that stay. */
static amun_status choose_retained(const noise *n, amun__unlearn_request *q, int64_t **retained,
                                   size_t *count)
{
    int64_t *others = NULL;
    size_t used = 0;
    AMUN__CHECK(amun__unlearn_alloc(q, &others, q->remain_count, sizeof *others));
    for (size_t i = 0; i < q->remain_count; i++) {
        int32_t label = amun__dataset_label(q->train, (size_t)q->remain[i]);
        if (n->is_gone[label] == 0) {
            others[used++] = q->remain[i];
        }
    }
    if (used == 0) {
        return amun__fail(
            AMUN_ERROR_INVALID_ARGUMENT,
            "unsir forgets classes: the forget set has samples of all that there are");
    }
    return amun__unlearn_balanced(q, others, used, 0, (size_t)q->rival.unsir_per_class, used,
                                  retained, count);
}

/* Each of the two has a checkpoint of its own. */
static amun_status open_recipe(amun__unlearn_request *q, const char *name, amun__recipe *recipe)
{
    *recipe = (amun__recipe){.name = name,
                             .mix = {.classes = amun_model_classes(q->model), .shuffle = 1},
                             .options = q->train_options};
    const char *path = q->train_options.checkpoint;
    if (path != NULL && path[0] != '\0') {
        char *own = NULL;
        size_t size = strlen(path) + strlen(name) + 2;
        AMUN__CHECK(amun__unlearn_alloc(q, &own, size, 1));
        snprintf(own, size, "%s.%s", path, name);
        recipe->options.checkpoint = own;
    }
    return AMUN_OK;
}

static amun_status impair_and_repair(const noise *n, amun__unlearn_request *q,
                                     amun__progress_state *progress, amun__unlearn_counts *counts,
                                     amun_train_result *trained)
{
    int64_t *retained = NULL;
    size_t count = 0;
    amun__recipe impair, repair;
    AMUN__CHECK(choose_retained(n, q, &retained, &count));
    AMUN__CHECK(open_recipe(q, "unsir.impair", &impair));
    AMUN__CHECK(open_recipe(q, "unsir.repair", &repair));
    counts->adversarial =
        amun__unlearn_add(&impair, &(amun__part){.dataset = n->data,
                                                 .count = n->kinds * n->per_class,
                                                 .target = AMUN__TARGET_LABEL,
                                                 .weight = 1.0,
                                                 .repeat = q->rival.unsir_copies});
    counts->remain = amun__unlearn_add_clean(&impair, q->train, retained, count);
    amun__unlearn_add_clean(&repair, q->train, retained, count);
    repair.options.lr = q->rival.unsir_repair_lr;
    AMUN__CHECK(amun__recipe_run(q->model, &impair, progress, NULL));
    return amun__recipe_run(q->model, &repair, progress, trained);
}

static amun_status run(amun__unlearn_request *request, amun__progress_state *progress,
                       amun__unlearn_counts *counts, amun_train_result *trained)
{
    noise n = {0};
    amun_status status = make_noise(&n, request, progress);
    if (status == AMUN_OK) {
        status = impair_and_repair(&n, request, progress, counts, trained);
    }
    close_noise(&n, request);
    return status;
}

const amun__unlearn_method amun__method_unsir = {
    .name = "unsir",
    .set_defaults = set_defaults,
    .needs_remain = 1,
    .run = run,
};
