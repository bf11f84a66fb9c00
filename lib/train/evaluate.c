/* evaluate.c - logits, accuracy and loss of a model on a data set, in evaluation mode. */
#include "train/train.h"

enum { EVAL_BATCH = 256 };

/* What is done with the logits of the entries first .. first + n - 1. */
typedef struct eval_sink eval_sink;
struct eval_sink {
    void (*take)(eval_sink *sink, size_t first, size_t n, const float *logits);
    double metric; /* for progress reports */
};

typedef struct eval {
    amun_context *ctx;
    const amun_model *model;
    const amun_dataset *data;
    const int64_t *indices; /* NULL: the first `count` */
    size_t count, batch, pixels, classes;
    amun__plan *plan;
    float *images, *logits;
} eval;

static size_t eval_index(const eval *e, size_t entry)
{
    return e->indices != NULL ? (size_t)e->indices[entry] : entry;
}

static amun_status eval_prepare(eval *e)
{
    int64_t c, h, w, classes;
    AMUN__CHECK(amun__model_input(e->model, &c, &h, &w, &classes));
    AMUN__CHECK(amun__train_check_shape(e->model, e->data, "data"));
    amun__dataset_info info;
    amun__dataset_info_get(e->data, &info);
    for (size_t i = 0; i < e->count; i++) {
        int64_t index = e->indices != NULL ? e->indices[i] : (int64_t)i;
        if (index < 0 || (uint64_t)index >= info.count) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "data: index %lld at position %zu is outside 0..%lld",
                              (long long)index, i, (long long)info.count - 1);
        }
    }
    e->ctx = amun__model_context(e->model);
    e->batch = e->count < EVAL_BATCH ? e->count : EVAL_BATCH;
    e->pixels = info.pixels;
    e->classes = (size_t)classes;
    size_t values = 0;
    if (!amun__mul_size(&values, e->batch, e->pixels)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu images of %zu values are too many",
                          e->batch, e->pixels);
    }
    AMUN__CHECK(amun__alloc(e->ctx, &e->images, values, sizeof *e->images));
    AMUN__CHECK(amun__alloc(e->ctx, &e->logits, e->batch * e->classes, sizeof *e->logits));
    return amun__model_lease(e->model, (int64_t)e->batch, AMUN__MODE_INFER, &e->plan);
}

static amun_status eval_batch(eval *e, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        amun__dataset_fetch(e->data, eval_index(e, first + i), e->images + i * e->pixels);
    }
    memset(e->images + n * e->pixels, 0, (e->batch - n) * e->pixels * sizeof *e->images);
    AMUN__CHECK(amun__plan_forward(e->plan, e->images, e->logits));
    for (size_t i = 0; i < n * e->classes; i++) {
        if (!isfinite(e->logits[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "logit %zu of image %zu is %g", i % e->classes,
                              eval_index(e, first + i / e->classes), (double)e->logits[i]);
        }
    }
    return AMUN_OK;
}

static amun_status eval_run(eval *e, eval_sink *sink, amun__progress_state *progress,
                            const char *phase)
{
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(amun__model_context(e->model), &threads));
    amun_status status = AMUN_OK;
    AMUN__TRY(eval_prepare(e));
    for (size_t first = 0; first < e->count;) {
        size_t left = e->count - first;
        size_t n = left < e->batch ? left : e->batch;
        AMUN__TRY(eval_batch(e, first, n));
        sink->take(sink, first, n, e->logits);
        first += n;
        AMUN__TRY(amun__progress_tick(progress, phase, first, e->count, NAN, sink->metric));
    }
fail:
    if (e->plan != NULL) {
        amun__model_release(e->model, e->plan);
    }
    if (e->ctx != NULL) {
        amun__free(e->ctx, e->images);
        amun__free(e->ctx, e->logits);
    }
    amun__threads_end(&threads);
    return status;
}

/* ---- logits -------------------------------------------------------------------------------- */

typedef struct logit_sink {
    eval_sink base;
    float *out;
    size_t classes;
} logit_sink;

static void take_logits(eval_sink *sink, size_t first, size_t n, const float *logits)
{
    logit_sink *self = (logit_sink *)sink;
    memcpy(self->out + first * self->classes, logits, n * self->classes * sizeof *logits);
}

amun_status amun__eval_logits(const amun_model *model, const amun_dataset *data,
                              const int64_t *indices, size_t count, float *logits,
                              amun__progress_state *progress, const char *phase)
{
    if (count == 0) {
        return AMUN_OK;
    }
    eval e = {.model = model, .data = data, .indices = indices, .count = count};
    logit_sink sink = {
        .base = {take_logits, NAN},
        .out = logits,
        .classes = (size_t)amun_model_classes(model),
    };
    return eval_run(&e, &sink.base, progress, phase);
}

/* ---- accuracy and loss --------------------------------------------------------------------- */

typedef struct score_sink {
    eval_sink base;
    const eval *eval;
    float *targets; /* one row */
    double loss;    /* sum */
    size_t right, seen;
} score_sink;

static void take_scores(eval_sink *sink, size_t first, size_t n, const float *logits)
{
    score_sink *self = (score_sink *)sink;
    size_t classes = self->eval->classes;
    for (size_t i = 0; i < n; i++) {
        const float *row = logits + i * classes;
        int32_t label = amun__dataset_label(self->eval->data, eval_index(self->eval, first + i));
        self->targets[label] = 1.0f;
        self->loss += amun__loss_cross_entropy(row, self->targets, NULL, 1, classes, 1.0, NULL);
        self->targets[label] = 0.0f;
        self->right += amun__loss_argmax(row, classes) == label;
    }
    self->seen += n;
    self->base.metric = 100.0 * (double)self->right / (double)self->seen;
}

static amun_status check_labels(const eval *e, int64_t classes)
{
    for (size_t i = 0; i < e->count; i++) {
        size_t index = eval_index(e, i);
        int32_t label = amun__dataset_label(e->data, index);
        if (label < 0 || label >= classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "label %d of image %zu is outside the model's 0..%lld", (int)label,
                              index, (long long)classes - 1);
        }
    }
    return AMUN_OK;
}

/* Which samples: checks `indices` and `count` as the public call got them. */
static amun_status choose_samples(eval *e, size_t count)
{
    amun__dataset_info info;
    amun__dataset_info_get(e->data, &info);
    if (info.classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "data: the data set has no labels to compare with");
    }
    if (e->indices != NULL) {
        AMUN__CHECK(amun__indices_check(amun__model_context(e->model), e->indices, count,
                                        info.count, false, "evaluation set"));
    } else if (count != 0 && count != info.count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "indices is NULL, but count is %zu and data has %zu images", count,
                          info.count);
    }
    e->count = e->indices != NULL ? count : info.count;
    return check_labels(e, amun_model_classes(e->model));
}

/* Caller holds begin_read. */
static amun_status eval_scores(eval *e, double *accuracy, double *loss,
                               amun__progress_state *progress)
{
    score_sink sink = {.base = {take_scores, NAN}, .eval = e};
    amun_context *ctx = amun__model_context(e->model);
    AMUN__CHECK(amun__calloc(ctx, &sink.targets, (size_t)amun_model_classes(e->model),
                             sizeof *sink.targets));
    amun_status status = eval_run(e, &sink.base, progress, "evaluate");
    if (status == AMUN_OK) {
        *accuracy = sink.base.metric;
        *loss = sink.loss / (double)sink.seen;
    }
    amun__free(ctx, sink.targets);
    return status;
}

amun_status amun__eval_accuracy(const amun_model *model, const amun_dataset *data,
                                const int64_t *indices, size_t count, double *accuracy)
{
    eval e = {.model = model, .data = data, .indices = indices, .count = count};
    double loss;
    return eval_scores(&e, accuracy, &loss, NULL);
}

amun_status amun_model_evaluate(double *accuracy, double *loss, const amun_model *model,
                                const amun_dataset *data, const int64_t *indices, size_t count,
                                const amun_call_options *call)
{
    amun__enter();
    double nowhere[2];
    accuracy = accuracy != NULL ? accuracy : &nowhere[0];
    loss = loss != NULL ? loss : &nowhere[1];
    *accuracy = NAN;
    *loss = NAN;
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, "data"));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    eval e = {.model = model, .data = data, .indices = indices};
    AMUN__CHECK(choose_samples(&e, count));
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = eval_scores(&e, accuracy, loss, &progress);
    amun__model_end_read(model);
    return status;
}
