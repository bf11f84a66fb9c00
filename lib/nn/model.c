/* model.c - the model handle: graph, values, who may use them now, and a free list of plans. */
#include <pthread.h>

#include "io/io.h"
#include "nn/graph.h"
#include "nn/weights.h"

/* Idle plans kept for the next call; the least recently used one goes first. */
#define MAX_IDLE_PLANS 8
#define PREDICT_BATCH 128

struct amun_model {
    amun__object object;
    amun_graph *graph;
    char *arch;
    amun_model_options shape; /* of named architectures: what rebuilds the graph */
    amun__params params;
    _Atomic int32_t users; /* readers, or -1 for one writer */
    pthread_mutex_t lock;  /* of the free list */
    int32_t lock_ready;
    amun__plan *idle;
};

/* ---- life
 * ------------------------------------------------------------------------------------------ */

static void model_destroy(void *self)
{
    amun_model *model = self;
    amun_context *ctx = model->object.ctx;
    while (model->idle != NULL) {
        amun__plan *plan = model->idle;
        model->idle = plan->next;
        amun__plan_destroy(plan);
    }
    if (model->lock_ready) {
        pthread_mutex_destroy(&model->lock);
    }
    amun__free(ctx, model->params.values);
    amun__free(ctx, model->params.tracked);
    amun__free(ctx, model->arch);
    amun_graph_unref(model->graph);
}

/* Takes over no reference: the model adds its own to the graph. */
static amun_status model_make(amun_model **out, amun_context *ctx, amun_graph *graph,
                              const char *arch, const amun_model_options *shape)
{
    amun_model *model = NULL;
    amun_status status;
    AMUN__TRY(amun__graph_freeze(graph));
    AMUN__TRY(amun__object_create(&model, ctx, AMUN__TAG_MODEL, sizeof(amun_model), model_destroy));
    if (pthread_mutex_init(&model->lock, NULL) != 0) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for a lock");
    }
    model->lock_ready = 1;
    model->graph = amun_graph_ref(graph);
    model->shape = *shape;
    model->params.graph = graph;
    AMUN__TRY(amun__strdup(ctx, &model->arch, arch));
    AMUN__TRY(amun__calloc(ctx, &model->params.values, graph->total, sizeof(float)));
    AMUN__TRY(
        amun__calloc(ctx, &model->params.tracked, (size_t)graph->tracked_count, sizeof(int64_t)));
    *out = model;
    return AMUN_OK;
fail:
    amun__object_unref(model);
    return status;
}

static amun_model_options shape_of(const amun_graph *graph, uint64_t seed)
{
    const amun__node *in = &graph->nodes[0], *last = &graph->nodes[graph->node_count - 1];
    return (amun_model_options){.struct_size = sizeof(amun_model_options),
                                .classes = last->channels,
                                .channels = in->channels,
                                .height = in->height,
                                .width = in->width,
                                .seed = seed};
}

static const amun_model_options model_defaults = {
    .classes = 10, .channels = 3, .height = 32, .width = 32};
static const amun__field model_fields[] = {
    AMUN__FIELD(amun_model_options, classes, AMUN__FIELD_I64, 2, 65536),
    AMUN__FIELD(amun_model_options, channels, AMUN__FIELD_I64, 1, 1024),
    AMUN__FIELD(amun_model_options, height, AMUN__FIELD_I64, 1, 4096),
    AMUN__FIELD(amun_model_options, width, AMUN__FIELD_I64, 1, 4096),
    AMUN__FIELD(amun_model_options, seed, AMUN__FIELD_U64, 0, 18446744073709551615.0),
};
static const amun__options_table model_table = {
    .name = "amun_model_options",
    .size = sizeof(amun_model_options),
    .defaults = &model_defaults,
    .fields = model_fields,
    .field_count = sizeof model_fields / sizeof model_fields[0],
};

amun_status amun_model_options_init(amun_model_options *opts, size_t size)
{
    amun__enter();
    return amun__options_init(&model_table, opts, size);
}

static amun_status check_out(amun_model **model, const void *ctx)
{
    if (model == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "model is NULL");
    }
    *model = NULL;
    return amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx");
}

static amun_status create_named(amun_model **out, amun_context *ctx, const char *arch,
                                const amun_model_options *full)
{
    amun_graph *graph = NULL;
    if (arch == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "arch is NULL");
    }
    AMUN__CHECK(amun__arch_build(&graph, ctx, arch, full));
    amun_status status = model_make(out, ctx, graph, arch, full);
    amun_graph_unref(graph);
    return status;
}

amun_status amun_model_create(amun_model **model, amun_context *ctx, const char *arch,
                              const amun_model_options *opts)
{
    amun__enter();
    AMUN__CHECK(check_out(model, ctx));
    amun_model_options full;
    AMUN__CHECK(amun__options_read(&model_table, &full, opts));
    AMUN__CHECK(create_named(model, ctx, arch, &full));
    amun__params_init(&(*model)->params, full.seed);
    return AMUN_OK;
}

amun_status amun_model_create_graph(amun_model **model, amun_context *ctx, amun_graph *graph,
                                    uint64_t seed)
{
    amun__enter();
    AMUN__CHECK(check_out(model, ctx));
    AMUN__CHECK(amun__object_check(graph, AMUN__TAG_GRAPH, "graph"));
    amun_model_options shape = shape_of(graph, seed);
    AMUN__CHECK(model_make(model, ctx, graph, "custom", &shape));
    amun__params_init(&(*model)->params, seed);
    return AMUN_OK;
}

amun_status amun_model_clone(amun_model **model, const amun_model *source)
{
    amun__enter();
    if (model == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "model is NULL");
    }
    *model = NULL;
    AMUN__CHECK(amun__object_check(source, AMUN__TAG_MODEL, "source"));
    AMUN__CHECK(amun__model_begin_read(source));
    amun_status status =
        model_make(model, source->object.ctx, source->graph, source->arch, &source->shape);
    if (status == AMUN_OK) {
        amun__params *params = &(*model)->params;
        memcpy(params->values, source->params.values, source->graph->total * sizeof(float));
        memcpy(params->tracked, source->params.tracked,
               (size_t)source->graph->tracked_count * sizeof(int64_t));
        params->version = 1;
    }
    amun__model_end_read(source);
    return status;
}

amun_model *amun_model_ref(amun_model *model)
{
    return amun__object_ref(model);
}

void amun_model_unref(amun_model *model)
{
    amun__object_unref(model);
}

/* ---- who may use it
 * ---------------------------------------------------------------------------------- */

/* The counter is bookkeeping, not state that a const caller could observe. */
static _Atomic int32_t *users_of(const amun_model *model)
{
    return &((amun_model *)(uintptr_t)model)->users;
}

amun_status amun__model_begin_read(const amun_model *model)
{
    _Atomic int32_t *users = users_of(model);
    int32_t seen = atomic_load(users);
    do {
        if (seen < 0) {
            return amun__fail(AMUN_ERROR_BUSY, "another call is changing this model");
        }
    } while (!atomic_compare_exchange_weak(users, &seen, seen + 1));
    return AMUN_OK;
}

void amun__model_end_read(const amun_model *model)
{
    atomic_fetch_sub(users_of(model), 1);
}

amun_status amun__model_begin_write(amun_model *model)
{
    int32_t none = 0;
    if (!atomic_compare_exchange_strong(&model->users, &none, -1)) {
        return amun__fail(AMUN_ERROR_BUSY,
                          none > 0 ? "%d other calls are using this model"
                                   : "another call is changing this model (%d)",
                          none);
    }
    return AMUN_OK;
}

void amun__model_end_write(amun_model *model)
{
    atomic_store(&model->users, 0);
}

/* ---- plans
 * --------------------------------------------------------------------------------------------- */

amun_status amun__model_lease(const amun_model *model, int64_t batch, amun__mode mode,
                              amun__plan **out)
{
    amun_model *self = (amun_model *)(uintptr_t)model;
    int32_t threads = amun__threads_count(model->object.ctx);
    *out = NULL;
    pthread_mutex_lock(&self->lock);
    for (amun__plan **link = &self->idle; *link != NULL; link = &(*link)->next) {
        amun__plan *plan = *link;
        if (plan->batch == batch && plan->mode == mode && plan->threads == threads) {
            *link = plan->next;
            plan->next = NULL;
            *out = plan;
            break;
        }
    }
    pthread_mutex_unlock(&self->lock);
    if (*out != NULL) {
        return AMUN_OK;
    }
    return amun__plan_create(out, model->object.ctx, &model->params, batch, mode, NULL);
}

void amun__model_release(const amun_model *model, amun__plan *plan)
{
    amun_model *self = (amun_model *)(uintptr_t)model;
    if (plan == NULL) {
        return;
    }
    amun__plan *surplus = NULL;
    pthread_mutex_lock(&self->lock);
    plan->next = self->idle;
    self->idle = plan;
    amun__plan *last = plan;
    for (int32_t i = 1; i < MAX_IDLE_PLANS && last != NULL; i++) {
        last = last->next;
    }
    if (last != NULL) {
        surplus = last->next;
        last->next = NULL;
    }
    pthread_mutex_unlock(&self->lock);
    while (surplus != NULL) {
        amun__plan *next = surplus->next;
        amun__plan_destroy(surplus);
        surplus = next;
    }
}

void amun__model_trim(const amun_model *model)
{
    amun_model *self = (amun_model *)(uintptr_t)model;
    pthread_mutex_lock(&self->lock);
    amun__plan *plan = self->idle;
    self->idle = NULL;
    pthread_mutex_unlock(&self->lock);
    while (plan != NULL) {
        amun__plan *next = plan->next;
        amun__plan_destroy(plan);
        plan = next;
    }
}

amun_status amun_model_estimate_memory(const amun_model *model, int64_t batch, int32_t mode,
                                       uint64_t *bytes)
{
    amun__enter();
    if (bytes == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "bytes is NULL");
    }
    *bytes = 0;
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    if (batch < 1 || batch > 65536) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "batch is %lld, must be in [1, 65536]",
                          (long long)batch);
    }
    if (mode < AMUN__MODE_INFER || mode > AMUN__MODE_TRAIN) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "mode is %d, must be 1, 2 or 3", mode);
    }
    amun__threads threads;
    amun__plan *plan = NULL;
    AMUN__CHECK(amun__threads_begin(model->object.ctx, &threads));
    amun_status status =
        amun__plan_create(&plan, model->object.ctx, &model->params, batch, (amun__mode)mode, NULL);
    if (status == AMUN_OK) {
        *bytes = plan->bytes; /* planned; memory is only taken at the first run */
    }
    amun__plan_destroy(plan);
    amun__threads_end(&threads);
    return status;
}

/* ---- values
 * ---------------------------------------------------------------------------------------------- */

void amun__model_values_get(const amun_model *model, amun__model_values *out)
{
    out->values = model->params.values;
    out->tracked = model->params.tracked;
    out->trainable = model->graph->trainable;
    out->total = model->graph->total;
    out->tracked_count = (size_t)model->graph->tracked_count;
}

void amun__model_touch(amun_model *model)
{
    model->params.version++;
}

/* running = (1 - momentum) * running + momentum * batch, with the unbiased variance, as PyTorch. */
amun_status amun__model_update_statistics(amun_model *model, amun__plan *plan)
{
    const amun_graph *graph = model->graph;
    for (int32_t i = 0; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        if (node->kind != AMUN__NODE_BATCHNORM) {
            continue;
        }
        float mean[1024], variance[1024]; /* most layers; wider ones go through the heap */
        float *m = mean, *v = variance, *heap = NULL;
        size_t channels = (size_t)node->channels;
        if (channels > 1024) {
            AMUN__CHECK(amun__alloc(model->object.ctx, &heap, 2 * channels, sizeof(float)));
            m = heap;
            v = heap + channels;
        }
        amun_status status = plan->backend->statistics(plan, i, m, v);
        double count = (double)(plan->batch * node->height * node->width);
        double unbias = count > 1 ? count / (count - 1) : 1;
        float *running_mean = model->params.values + graph->params[node->running_mean].offset;
        float *running_var = model->params.values + graph->params[node->running_var].offset;
        for (size_t c = 0; status == AMUN_OK && c < channels; c++) {
            running_mean[c] =
                (float)((1 - node->momentum) * running_mean[c] + node->momentum * m[c]);
            running_var[c] =
                (float)((1 - node->momentum) * running_var[c] + node->momentum * v[c] * unbias);
        }
        amun__free(model->object.ctx, heap);
        AMUN__CHECK(status);
        model->params.tracked[node->tracked]++;
    }
    amun__model_touch(model);
    return AMUN_OK;
}

amun_context *amun__model_context(const amun_model *model)
{
    return model->object.ctx;
}

amun_status amun__model_input(const amun_model *model, int64_t *channels, int64_t *height,
                              int64_t *width, int64_t *classes)
{
    *channels = model->shape.channels;
    *height = model->shape.height;
    *width = model->shape.width;
    *classes = model->shape.classes;
    return AMUN_OK;
}

amun_status amun_model_reset(amun_model *model, uint64_t seed)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__model_begin_write(model));
    amun__params_init(&model->params, seed);
    amun__model_end_write(model);
    return AMUN_OK;
}

const char *amun_model_arch(const amun_model *model)
{
    return model != NULL ? model->arch : "";
}

int64_t amun_model_classes(const amun_model *model)
{
    return model != NULL ? model->shape.classes : 0;
}

amun_status amun_model_shape(const amun_model *model, int64_t shape[3])
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    if (shape == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "shape is NULL");
    }
    shape[0] = model->shape.channels;
    shape[1] = model->shape.height;
    shape[2] = model->shape.width;
    return AMUN_OK;
}

size_t amun_model_parameters(const amun_model *model)
{
    return model != NULL ? model->graph->trainable : 0;
}

static amun_status find_tensor(const amun_model *model, const char *name, const void *values,
                               size_t count, const amun__param **out)
{
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    if (name == NULL || values == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL",
                          name == NULL ? "name" : "values");
    }
    for (int32_t i = 0; i < model->graph->param_count; i++) {
        const amun__param *param = &model->graph->params[i];
        if (strcmp(param->name, name) != 0) {
            continue;
        }
        if (param->count != count) {
            return amun__fail(AMUN_ERROR_SHAPE, "%s has %zu values, %zu were given", name,
                              param->count, count);
        }
        *out = param;
        return AMUN_OK;
    }
    return amun__fail(AMUN_ERROR_NOT_FOUND, "the model has no tensor '%s'", name);
}

amun_status amun_model_get_tensor(const amun_model *model, const char *name, float *values,
                                  size_t count)
{
    const amun__param *param = NULL;
    amun__enter();
    AMUN__CHECK(find_tensor(model, name, values, count, &param));
    AMUN__CHECK(amun__model_begin_read(model));
    memcpy(values, model->params.values + param->offset, count * sizeof(float));
    amun__model_end_read(model);
    return AMUN_OK;
}

amun_status amun_model_set_tensor(amun_model *model, const char *name, const float *values,
                                  size_t count)
{
    const amun__param *param = NULL;
    amun__enter();
    AMUN__CHECK(find_tensor(model, name, values, count, &param));
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is %g", name, i,
                              (double)values[i]);
        }
    }
    AMUN__CHECK(amun__model_begin_write(model));
    memcpy(model->params.values + param->offset, values, count * sizeof(float));
    amun__model_touch(model);
    amun__model_end_write(model);
    return AMUN_OK;
}

/* ---- files
 * -------------------------------------------------------------------------------------------------
 */

amun_status amun_model_load(amun_model **model, amun_context *ctx, const char *path)
{
    amun__enter();
    AMUN__CHECK(check_out(model, ctx));
    amun__safetensors *file = NULL;
    const char *arch = NULL;
    amun_model_options shape, full;
    amun_model *made = NULL;
    amun_status status;
    AMUN__TRY(amun__safetensors_open(&file, ctx, path));
    AMUN__TRY(amun__weights_describe(file, &arch, &shape));
    AMUN__TRY(amun__options_read(&model_table, &full, &shape));
    AMUN__TRY(create_named(&made, ctx, arch, &full));
    AMUN__TRY(amun__weights_read(&made->params, file, true));
    *model = made;
    made = NULL;
fail:
    amun__object_unref(made);
    amun__safetensors_close(file);
    return status;
}

amun_status amun_model_load_weights(amun_model *model, const char *path)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    amun__safetensors *file = NULL;
    AMUN__CHECK(amun__safetensors_open(&file, model->object.ctx, path));
    amun_status status = amun__model_begin_write(model);
    if (status == AMUN_OK) {
        status = amun__weights_read(&model->params, file, true);
        amun__model_end_write(model);
    }
    amun__safetensors_close(file);
    return status;
}

amun_status amun_model_save(const amun_model *model, const char *path)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    }
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = amun__weights_save(model->object.ctx, &model->params, model->arch,
                                            &model->shape, path, NULL, 0, NULL);
    amun__model_end_read(model);
    return status;
}

/* ---- prediction
 * ---------------------------------------------------------------------------------------------- */

amun_status amun__model_logits(const amun_model *model, amun__plan *plan, const float *images,
                               size_t n, float *logits)
{
    const amun_model_options *shape = &model->shape;
    size_t batch = (size_t)amun__plan_batch(plan), classes = (size_t)shape->classes;
    size_t pixels = (size_t)(shape->channels * shape->height * shape->width);
    float *padded = NULL, *out = NULL;
    amun_status status = AMUN_OK;
    size_t whole = n / batch * batch;
    for (size_t first = 0; first < whole; first += batch) {
        AMUN__TRY(amun__plan_forward(plan, images + first * pixels, logits + first * classes));
    }
    if (whole < n) { /* the tail is padded with zero images */
        AMUN__TRY(amun__calloc(model->object.ctx, &padded, batch * pixels, sizeof(float)));
        AMUN__TRY(amun__alloc(model->object.ctx, &out, batch * classes, sizeof(float)));
        memcpy(padded, images + whole * pixels, (n - whole) * pixels * sizeof(float));
        AMUN__TRY(amun__plan_forward(plan, padded, out));
        memcpy(logits + whole * classes, out, (n - whole) * classes * sizeof(float));
    }
fail:
    amun__free(model->object.ctx, padded);
    amun__free(model->object.ctx, out);
    return status;
}

static amun_status check_images(const amun_model *model, const amun_tensor_view *images, size_t *n)
{
    const amun_model_options *s = &model->shape;
    AMUN__CHECK(amun__view_check(images, "images", NULL));
    if (images->ndim != 4 || images->shape[1] != s->channels || images->shape[2] != s->height ||
        images->shape[3] != s->width) {
        return amun__fail(
            AMUN_ERROR_SHAPE,
            "images: expected [n, %lld, %lld, %lld], got %d axes of [%lld, %lld, %lld, %lld]",
            (long long)s->channels, (long long)s->height, (long long)s->width, images->ndim,
            (long long)images->shape[0], (long long)images->shape[1], (long long)images->shape[2],
            (long long)images->shape[3]);
    }
    if (images->dtype != AMUN_DTYPE_F32 && images->dtype != AMUN_DTYPE_U8) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "images: dtype %d, must be F32 or U8",
                          images->dtype);
    }
    if (images->shape[0] < 1) {
        return amun__fail(AMUN_ERROR_SHAPE, "images: the batch is empty");
    }
    *n = (size_t)images->shape[0];
    return AMUN_OK;
}

static amun_status check_logits(const amun_model *model, const amun_tensor_view *images,
                                const amun_tensor_view *logits)
{
    AMUN__CHECK(amun__view_check(logits, "logits", NULL));
    if (logits->ndim != 2 || logits->shape[0] != images->shape[0] ||
        logits->shape[1] != model->shape.classes) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "logits: expected [%lld, %lld], got %d axes of [%lld, %lld]",
                          (long long)images->shape[0], (long long)model->shape.classes,
                          logits->ndim, (long long)logits->shape[0], (long long)logits->shape[1]);
    }
    if (logits->dtype != AMUN_DTYPE_F32 || (logits->flags & AMUN_VIEW_READONLY) != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "logits: must be a writable F32 view");
    }
    if (amun__view_overlap(images, logits)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "logits overlap images");
    }
    return AMUN_OK;
}

/* The smallest power of two that holds n, at most PREDICT_BATCH: few plans serve all sizes. */
static int64_t predict_batch(size_t n)
{
    int64_t batch = 1;
    while (batch < PREDICT_BATCH && (size_t)batch < n) {
        batch *= 2;
    }
    return batch;
}

static amun_status predict_chunks(const amun_model *model, amun__plan *plan,
                                  const amun_tensor_view *images, const amun_tensor_view *logits,
                                  size_t n, amun__progress_state *progress)
{
    const amun_model_options *shape = &model->shape;
    size_t batch = (size_t)amun__plan_batch(plan), classes = (size_t)shape->classes;
    size_t pixels = (size_t)(shape->channels * shape->height * shape->width);
    float *src = NULL, *dst = NULL;
    amun_status status;
    AMUN__TRY(amun__calloc(model->object.ctx, &src, batch * pixels, sizeof(float)));
    AMUN__TRY(amun__alloc(model->object.ctx, &dst, batch * classes, sizeof(float)));
    for (size_t first = 0; first < n; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        AMUN__TRY(amun__view_read_f32(images, first, count, 1.0 / 255, src));
        memset(src + count * pixels, 0, (batch - count) * pixels * sizeof(float));
        AMUN__TRY(amun__plan_forward(plan, src, dst));
        AMUN__TRY(amun__view_write_f32(logits, first, count, dst));
        AMUN__TRY(
            amun__progress_tick(progress, "predict", first + count, n, (double)NAN, (double)NAN));
    }
fail:
    amun__free(model->object.ctx, src);
    amun__free(model->object.ctx, dst);
    return status;
}

amun_status amun_model_predict(const amun_model *model, const amun_tensor_view *images,
                               const amun_tensor_view *logits, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    size_t n = 0;
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(check_images(model, images, &n));
    AMUN__CHECK(check_logits(model, images, logits));
    AMUN__CHECK(amun__model_begin_read(model));
    amun__threads threads;
    amun__plan *plan = NULL;
    amun_status status = amun__threads_begin(model->object.ctx, &threads);
    if (status == AMUN_OK) {
        status = amun__model_lease(model, predict_batch(n), AMUN__MODE_INFER, &plan);
        if (status == AMUN_OK) {
            status = predict_chunks(model, plan, images, logits, n, &progress);
        }
        amun__model_release(model, plan);
        amun__threads_end(&threads);
    }
    amun__model_end_read(model);
    return status;
}
