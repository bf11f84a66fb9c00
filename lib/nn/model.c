/* model.c - the model handle: its life, who may use it now, and a free list of plans. */
#include "nn/model_private.h"

/* Idle plans kept for the next call; the least recently used one goes first. */
#define MAX_IDLE_PLANS 8

/* ---- life ----------------------------------------------------------------------------------- */

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
    amun__free(ctx, model->wide);
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
    AMUN__FIELD(amun_model_options, mean, AMUN__FIELD_F64, -1e12, 1e12),
    AMUN__FIELD(amun_model_options, std, AMUN__FIELD_F64, 0, 1e12),
};
static const size_t released_sizes[] = {48}; /* before mean and std */
const amun__options_table amun__model_options_table = {
    .name = "amun_model_options",
    .size = sizeof(amun_model_options),
    .defaults = &model_defaults,
    .fields = model_fields,
    .field_count = sizeof model_fields / sizeof model_fields[0],
    .released_sizes = released_sizes,
    .released_count = sizeof released_sizes / sizeof released_sizes[0],
};

amun_status amun_model_options_init(amun_model_options *opts, size_t size)
{
    amun__enter();
    return amun__options_init(&amun__model_options_table, opts, size);
}

amun_status amun__model_check_out(amun_model **model, const void *ctx)
{
    if (model == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "model is NULL");
    }
    *model = NULL;
    return amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx");
}

amun_status amun__model_create_named(amun_model **out, amun_context *ctx, const char *arch,
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
    AMUN__CHECK(amun__model_check_out(model, ctx));
    amun_model_options full;
    AMUN__CHECK(amun__options_read(&amun__model_options_table, &full, opts));
    AMUN__CHECK(amun__model_create_named(model, ctx, arch, &full));
    amun__params_init(&(*model)->params, full.seed);
    return AMUN_OK;
}

amun_status amun_model_create_graph(amun_model **model, amun_context *ctx, amun_graph *graph,
                                    uint64_t seed)
{
    amun__enter();
    AMUN__CHECK(amun__model_check_out(model, ctx));
    AMUN__CHECK(amun__object_check(graph, AMUN__TAG_GRAPH, "graph"));
    amun_model_options shape = shape_of(graph, seed);
    AMUN__CHECK(model_make(model, ctx, graph, AMUN__MODEL_CUSTOM, &shape));
    amun__params_init(&(*model)->params, seed);
    return AMUN_OK;
}

amun_status amun__model_copy(amun_model **out, const amun_model *source)
{
    AMUN__CHECK(model_make(out, source->object.ctx, source->graph, source->arch, &source->shape));
    amun__params *params = &(*out)->params;
    memcpy(params->values, source->params.values, source->graph->total * sizeof(float));
    memcpy(params->tracked, source->params.tracked,
           (size_t)source->graph->tracked_count * sizeof(int64_t));
    params->version = 1;
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
    amun_status status = amun__model_copy(model, source);
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

/* ---- who may use it ------------------------------------------------------------------------- */

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

/* ---- plans ---------------------------------------------------------------------------------- */

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

amun_status amun_model_estimate_memory(const amun_model *model, int64_t batch, amun_mode mode,
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
    if (mode < AMUN__MODE_INFER || mode > AMUN__MODE_TUNE) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "mode is %d, must be in [1, 4]", mode);
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
