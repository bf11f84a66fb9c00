/* recipe_trw.c - tilted reweighting of whole classes (TRW, arXiv 2506.20893), and the same without
 * tilt and without D_R (DELETE, Zhou et al., CVPR 2025). The targets come from the model as it was,
 * in evaluation mode, from images as they are; so these images are also learnt as they are. */
#include "nn/graph.h"
#include "nn/prefix.h"
#include "unlearn/trw.h"
#include "unlearn/unlearn.h"

static void set_trw_defaults(amun_train_options *options)
{
    options->epochs = 10;
    options->batch = 256;
    options->lr = 0.01;
    options->schedule = AMUN_SCHEDULE_STEP;
    options->step_epochs = 5;
    options->gamma = 0.1;
}

/* The rate of the released code. */
static void set_delete_defaults(amun_train_options *options)
{
    options->epochs = 20;
    options->batch = 128;
    options->lr = 1e-4;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

/* ---- whole classes -------------------------------------------------------------------------- */

/* A class of which something remains cannot be kept out of the targets. */
static amun_status check_whole(const amun__unlearn_request *q, size_t classes, const size_t *forget,
                               const size_t *all)
{
    for (size_t j = 0; j < classes; j++) {
        if (forget[j] > 0 && forget[j] != all[j]) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "%s forgets whole classes: class %zu has %zu samples in train, and "
                              "%zu in the forget set",
                              amun__unlearn_method_find(q->options.method)->name, j, all[j],
                              forget[j]);
        }
    }
    return AMUN_OK;
}

/* Samples of each class. */
static amun_status count_labels(const amun__unlearn_request *q, size_t classes, size_t *forget,
                                size_t *all)
{
    for (size_t i = 0; i < amun_dataset_count(q->train); i++) {
        int32_t label = amun__dataset_label(q->train, i);
        if (label < 0 || (size_t)label >= classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "train: label %d of image %zu is outside the model's 0..%zu",
                              (int)label, i, classes - 1);
        }
        all[label]++;
    }
    for (size_t i = 0; i < q->forget_count; i++) {
        forget[amun__dataset_label(q->train, (size_t)q->forget[i])]++;
    }
    return AMUN_OK;
}

/* The forget classes, ascending; close `c` in any case. */
static amun_status find_classes(const amun__unlearn_request *q, amun__trw_classes *c)
{
    size_t classes = (size_t)amun_model_classes(q->model), gone = 0;
    size_t *counts = NULL;
    int64_t *list = NULL;
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__calloc(q->ctx, &counts, 2 * classes, sizeof *counts));
    AMUN__TRY(amun__alloc(q->ctx, &list, classes, sizeof *list));
    AMUN__TRY(count_labels(q, classes, counts, counts + classes));
    AMUN__TRY(check_whole(q, classes, counts, counts + classes));
    for (size_t j = 0; j < classes; j++) {
        if (counts[j] > 0) {
            list[gone++] = (int64_t)j;
        }
    }
    AMUN__TRY(amun__trw_open(c, q->ctx, list, gone, classes));
fail:
    amun__free(q->ctx, counts);
    amun__free(q->ctx, list);
    return status;
}

/* ---- scores --------------------------------------------------------------------------------- */

/* A factor behind the last dense layer changes no cosine. */
static amun_status find_last(const amun_model *model, int32_t *node)
{
    *node = amun__prefix_last(model);
    if (*node < 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "trw reads the similarity of classes from the rows of the last dense "
                          "layer, but the logits of this network (%s) do not come from one",
                          amun_model_arch(model));
    }
    return AMUN_OK;
}

static amun_status class_scores(const amun__unlearn_request *q, const amun__trw_classes *c,
                                int32_t last, double *scores)
{
    const amun_graph *graph = amun__model_graph(q->model);
    const amun__node *node = &graph->nodes[last];
    const amun__param *weight = &graph->params[node->weight];
    size_t d = (size_t)weight->shape[1];
    bool bias = q->trw.bias != 0 && node->bias >= 0;
    size_t width = d + (bias ? 1 : 0);
    amun__model_values values;
    double *rows = NULL;
    amun__model_values_get(q->model, &values);
    if (q->trw.bias != 0 && !bias) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_trw_options.bias is 1, but layer %s has none", node->name);
    }
    AMUN__CHECK(amun__alloc(q->ctx, &rows, c->classes * width, sizeof *rows));
    for (size_t j = 0; j < c->classes; j++) {
        for (size_t k = 0; k < d; k++) {
            rows[j * width + k] = (double)values.values[weight->offset + j * d + k];
        }
        if (bias) {
            rows[j * width + d] = (double)values.values[graph->params[node->bias].offset + j];
        }
    }
    amun_status status = amun__trw_row_scores(c, rows, width, &q->trw, scores);
    amun__free(q->ctx, rows);
    return status;
}

/* ---- scores of samples ---------------------------------------------------------------------- */

typedef struct sample_pass {
    amun_model *prefix;
    size_t d;
    float *own, *piece;
    int64_t labels[AMUN__TRW_PIECE];
    amun__trw_samples samples;
} sample_pass;

static amun_status pass_open(sample_pass *p, const amun__unlearn_request *q,
                             const amun__trw_classes *c, int32_t last)
{
    const amun_graph *graph = amun__model_graph(q->model);
    size_t room = 0;
    amun_status status = amun__prefix_stage(&p->prefix, q->model, q->trw.stage);
    if (status != AMUN_OK) {
        return amun__fail_within(status, "features before layer %s", graph->nodes[last].name);
    }
    p->d = (size_t)amun_model_classes(p->prefix);
    if (!amun__mul_size(&room, q->forget_count, p->d)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "features of %zu samples are too many",
                          q->forget_count);
    }
    AMUN__CHECK(amun__alloc(q->ctx, &p->own, room, sizeof *p->own));
    AMUN__CHECK(amun__alloc(q->ctx, &p->piece, AMUN__TRW_PIECE * p->d, sizeof *p->piece));
    AMUN__CHECK(amun__eval_logits(p->prefix, q->train, q->forget, q->forget_count, p->own, NULL,
                                  "features"));
    return amun__trw_samples_open(&p->samples, c, &q->trw, p->own, q->forget_count, p->d);
}

static amun_status pass_remain(sample_pass *p, const amun__unlearn_request *q,
                               amun__progress_state *progress)
{
    for (size_t first = 0; first < q->remain_count; first += AMUN__TRW_PIECE) {
        size_t left = q->remain_count - first, n = left < AMUN__TRW_PIECE ? left : AMUN__TRW_PIECE;
        AMUN__CHECK(amun__eval_logits(p->prefix, q->train, q->remain + first, n, p->piece, NULL,
                                      "features"));
        for (size_t i = 0; i < n; i++) {
            p->labels[i] = amun__dataset_label(q->train, (size_t)q->remain[first + i]);
        }
        AMUN__CHECK(amun__trw_samples_add(&p->samples, p->piece, p->labels, n));
        AMUN__CHECK(
            amun__progress_tick(progress, "features", first + n, q->remain_count, NAN, NAN));
    }
    return AMUN_OK;
}

/* A row for each forget sample: its own similarity, mixed with that of its class. */
static amun_status sample_scores(const amun__unlearn_request *q, const amun__trw_classes *c,
                                 int32_t last, const double *by_class,
                                 amun__progress_state *progress, double *scores)
{
    sample_pass p = {0};
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(q->ctx, &threads));
    amun_status status = AMUN_OK;
    AMUN__TRY(pass_open(&p, q, c, last));
    AMUN__TRY(pass_remain(&p, q, progress));
    AMUN__TRY(amun__trw_samples_finish(&p.samples, scores));
    for (size_t i = 0; i < q->forget_count; i++) {
        size_t label = (size_t)amun__dataset_label(q->train, (size_t)q->forget[i]);
        AMUN__TRY(amun__trw_mix_row(c, label, by_class + (size_t)c->row[label] * c->classes,
                                    &q->trw, scores + i * c->classes));
    }
fail:
    amun__trw_samples_close(&p.samples);
    amun__free(q->ctx, p.own);
    amun__free(q->ctx, p.piece);
    amun_model_unref(p.prefix);
    amun__threads_end(&threads);
    return status;
}

static amun_status check_sample_options(const amun__unlearn_request *q)
{
    if (q->trw.kappa > 0.0 && q->remain_count == 0) {
        return amun__fail(
            AMUN_ERROR_INVALID_ARGUMENT,
            "amun_trw_options.kappa: %g compares with retained samples, and remain is "
            "0",
            q->trw.kappa);
    }
    if (q->trw.neighbours > 0 && !(q->trw.kappa > 0.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_trw_options.neighbours: %d has no effect with kappa 0",
                          (int)q->trw.neighbours);
    }
    if (q->trw.stage > 0 && !(q->trw.kappa > 0.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_trw_options.stage: %d has no effect with kappa 0",
                          (int)q->trw.stage);
    }
    return AMUN_OK;
}

/* Rows by forget class, or one for each forget sample if *by_sample; request's memory. */
static amun_status find_scores(amun__unlearn_request *q, const amun__trw_classes *c,
                               amun__progress_state *progress, double **scores, bool *by_sample)
{
    int32_t last = 0;
    double *own = NULL;
    *by_sample = q->trw.kappa > 0.0;
    AMUN__CHECK(check_sample_options(q));
    AMUN__CHECK(find_last(q->model, &last));
    AMUN__CHECK(amun__unlearn_alloc(q, scores, c->gone * c->classes, sizeof **scores));
    AMUN__CHECK(class_scores(q, c, last, *scores));
    if (*by_sample) {
        size_t room = 0;
        if (!amun__mul_size(&room, q->forget_count, c->classes)) {
            return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "scores of %zu samples are too many",
                              q->forget_count);
        }
        AMUN__CHECK(amun__unlearn_alloc(q, &own, room, sizeof *own));
        AMUN__CHECK(sample_scores(q, c, last, *scores, progress, own));
        *scores = own;
        return AMUN_OK;
    }
    for (size_t f = 0; f < c->classes; f++) {
        if (c->row[f] >= 0) {
            AMUN__CHECK(amun__trw_disturb(c, f, &q->trw, *scores + (size_t)c->row[f] * c->classes));
        }
    }
    return AMUN_OK;
}

/* ---- targets -------------------------------------------------------------------------------- */

/* Overwrites the logits of the forget samples with their targets. scores NULL: no tilt. */
static amun_status tilt(const amun__unlearn_request *q, const amun__trw_classes *c,
                        const double *scores, bool by_sample, float *rows)
{
    double *z = NULL;
    AMUN__CHECK(amun__alloc(q->ctx, &z, 2 * c->classes, sizeof *z));
    double *target = z + c->classes;
    for (size_t i = 0; i < q->forget_count; i++) {
        float *row = rows + i * c->classes;
        int32_t label = amun__dataset_label(q->train, (size_t)q->forget[i]);
        size_t at = by_sample ? i : (size_t)c->row[label];
        for (size_t j = 0; j < c->classes; j++) {
            z[j] = (double)row[j];
        }
        amun__trw_target(c, z, scores != NULL ? scores + at * c->classes : NULL, q->trw.beta,
                         q->trw.forget_floor, target);
        for (size_t j = 0; j < c->classes; j++) {
            row[j] = (float)target[j];
        }
    }
    amun__free(q->ctx, z);
    return AMUN_OK;
}

/* Both parts of the mix. */
static amun_status build_mix(amun__unlearn_request *q, const amun__trw_classes *c,
                             const double *scores, bool by_sample, amun__progress_state *progress,
                             amun__recipe *recipe, amun__unlearn_counts *counts)
{
    float *soft = NULL;
    size_t room = 0;
    if (!amun__mul_size(&room, q->forget_count, c->classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "targets of %zu samples are too many",
                          q->forget_count);
    }
    AMUN__CHECK(amun__unlearn_alloc(q, &soft, room, sizeof *soft));
    AMUN__CHECK(amun__eval_logits(q->model, q->train, q->forget, q->forget_count, soft, progress,
                                  "targets"));
    AMUN__CHECK(tilt(q, c, scores, by_sample, soft));
    counts->remain = amun__unlearn_add_clean(recipe, q->train, q->remain, q->remain_count);
    counts->forget = amun__unlearn_add(
        recipe, &(amun__part){.dataset = q->train,
                              .indices = q->forget,
                              .count = q->forget_count,
                              .target = AMUN__TARGET_SOFT,
                              .soft = soft,
                              .augment = 0,
                              .weight = q->trw.forget_weight,
                              .repeat = q->trw.balanced != 0 ? amun__unlearn_repeats(q) : 1});
    recipe->frozen_statistics = q->trw.frozen_statistics;
    return AMUN_OK;
}

static amun_status build_trw(amun__unlearn_request *request, amun__progress_state *progress,
                             amun__recipe *recipe, amun__unlearn_counts *counts)
{
    amun__trw_classes c = {0};
    double *scores = NULL;
    bool by_sample = false;
    amun_status status = AMUN_OK;
    AMUN__TRY(find_classes(request, &c));
    AMUN__TRY(find_scores(request, &c, progress, &scores, &by_sample));
    AMUN__TRY(build_mix(request, &c, scores, by_sample, progress, recipe, counts));
fail:
    amun__trw_close(&c);
    return status;
}

static amun_status build_delete(amun__unlearn_request *request, amun__progress_state *progress,
                                amun__recipe *recipe, amun__unlearn_counts *counts)
{
    amun__trw_classes c = {0};
    amun_status status = AMUN_OK;
    AMUN__TRY(find_classes(request, &c));
    AMUN__TRY(build_mix(request, &c, NULL, false, progress, recipe, counts));
fail:
    amun__trw_close(&c);
    return status;
}

const amun__unlearn_method amun__method_trw = {
    .name = "trw",
    .set_defaults = set_trw_defaults,
    .build = build_trw,
};

const amun__unlearn_method amun__method_delete = {
    .name = "delete",
    .set_defaults = set_delete_defaults,
    .ignores_remain = 1,
    .build = build_delete,
};
