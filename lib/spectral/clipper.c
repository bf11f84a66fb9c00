/* clipper.c - which layers of a model are held to a target, and the one-shot clip of all of them.
 */
#include "spectral/clipper_private.h"

#include <float.h>

#include "core/linalg.h"
#include "nn/graph.h"
#include "spectral/matrix.h"

/* Vectors per layer. In training each step pays for them: the block is smaller there. */
enum { BLOCK_ONCE = 16, BLOCK_TRAIN = 2 };
/* Composite steps move weights that were clipped before: then the whole list is looked at again. */
enum { MOST_PASSES = 8 };

/* ---- layers ---------------------------------------------------------------------------------- */

static float *values_of(const amun__clipper *c, const amun__model_values *v, int32_t param)
{
    return v->values + amun__model_graph(c->model)->params[param].offset;
}

/* The next place in the list, which is long enough. */
static amun__clip_layer *add_layer(amun__clipper *c, amun__clip_kind kind, int32_t index,
                                   double target)
{
    amun__clip_layer *layer = &c->layers[c->count++];
    const char *name = amun__model_graph(c->model)->nodes[index].name;
    *layer = (amun__clip_layer){.ctx = c->pools[c->part[index]],
                                .part = c->part[index],
                                .kind = kind,
                                .name = name,
                                .norm_name = name,
                                .target = target,
                                .backend = c->backend,
                                .sigma = NAN};
    return layer;
}

/* Of a convolution or a dense layer. */
static amun__linop_shape shape_of(const amun_graph *graph, int32_t index)
{
    const amun__node *node = &graph->nodes[index];
    return node->kind == AMUN__NODE_LINEAR
               ? amun__linop_dense_shape(graph->nodes[node->inputs[0]].channels, node->channels)
               : amun__linop_node_shape(graph, index);
}

static void set_weights(amun__clipper *c, amun__clip_layer *layer, const amun__model_values *v,
                        int32_t index)
{
    const amun_graph *graph = amun__model_graph(c->model);
    const amun__node *node = &graph->nodes[index];
    layer->dense = node->kind == AMUN__NODE_LINEAR;
    layer->weights = values_of(c, v, node->weight);
    layer->count = graph->params[node->weight].count;
    layer->channels = node->channels;
    layer->shape = shape_of(graph, index);
}

static amun_status set_norm(amun__clipper *c, amun__clip_layer *layer, const amun__model_values *v,
                            int32_t index)
{
    const amun__node *node = &amun__model_graph(c->model)->nodes[index];
    layer->norm_name = node->name;
    layer->channels = node->channels;
    layer->gamma = values_of(c, v, node->weight);
    layer->variance = values_of(c, v, node->running_var);
    layer->eps = node->eps;
    const size_t channels = (size_t)node->channels;
    AMUN__CHECK(amun__alloc(layer->ctx, &layer->factor, channels, sizeof *layer->factor));
    AMUN__CHECK(amun__alloc(layer->ctx, &layer->wide, channels, sizeof *layer->wide));
    return amun__alloc(layer->ctx, &layer->scale, channels, sizeof *layer->scale);
}

/* Dense layers have exact values at hand, so have some convolutions; methods with a rule of their
 * own for the weights get them as they are. */
static amun__clip_kind kind_of(const amun__clipper *c, const amun__node *node,
                               const amun__linop_shape *shape)
{
    const amun_clip_method method = c->options.method;
    const bool dense = node->kind == AMUN__NODE_LINEAR;
    const bool own_rule =
        method == AMUN_CLIP_SCALE || method == AMUN_CLIP_MIYATO || method == AMUN_CLIP_GOUK;
    const bool matrix = dense ? !own_rule
                              : method == AMUN_CLIP_BLOCK && c->options.exact == 0 &&
                                    amun__matrix_windows_apart(shape);
    return matrix ? AMUN__CLIP_MATRIX : AMUN__CLIP_MAP;
}

static amun_status open_miyato(amun__clip_layer *layer, uint64_t seed, uint64_t place)
{
    AMUN__CHECK(amun__alloc(layer->ctx, &layer->u, (size_t)layer->channels, sizeof *layer->u));
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_SPECTRAL, 0, place);
    for (int64_t i = 0; i < layer->channels; i++) {
        layer->u[i] = (float)amun__rng_normal(&rng);
    }
    return AMUN_OK;
}

/* What the method keeps for this layer. */
static amun_status open_layer(amun__clipper *c, amun__clip_layer *layer)
{
    const amun_clip_method method = c->options.method;
    const bool once = c->use == AMUN__CLIPPER_ONCE, rounds = method <= AMUN_CLIP_SCALE;
    const uint64_t place = (uint64_t)(layer - c->layers);
    size_t columns = 0;
    if (layer->kind != AMUN__CLIP_MAP && layer->kind != AMUN__CLIP_COMPOSITE) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__clip_rival_check(layer, &c->options));
    if (once || rounds || method == AMUN_CLIP_GOUK) {
        AMUN__CHECK(amun__clip_layer_open(layer, rounds || once ? c->options.block : 1,
                                          once || rounds, c->options.seed + place));
    }
    if (!once && layer->power != NULL) {
        /* from here on a run is the same whether its state is kept in between or not */
        amun__powerqr_state(layer->power, &columns);
    }
    if (method == AMUN_CLIP_MIYATO) {
        AMUN__CHECK(open_miyato(layer, c->options.seed, place));
    }
    if (method == AMUN_CLIP_MIYATO && !once) {
        columns = layer->count / (size_t)layer->channels;
        AMUN__CHECK(amun__alloc(layer->ctx, &layer->raw, layer->count, sizeof *layer->raw));
        AMUN__CHECK(amun__alloc(layer->ctx, &layer->right, columns, sizeof *layer->right));
    }
    return AMUN_OK;
}

static amun_status add_weighted(amun__clipper *c, const amun__model_values *v, int32_t index)
{
    const amun_graph *graph = amun__model_graph(c->model);
    const amun__node *node = &graph->nodes[index];
    amun__clip_layer *layer = add_layer(c, AMUN__CLIP_MAP, index, c->options.target);
    set_weights(c, layer, v, index);
    layer->kind = kind_of(c, node, &layer->shape);
    AMUN__CHECK(open_layer(c, layer));
    const int32_t norm = amun__linop_batchnorm_of(graph, index);
    if (c->options.batchnorm != AMUN_CLIP_BATCHNORM_COMPOSITE || norm < 0 || layer->dense) {
        return AMUN_OK;
    }
    layer = add_layer(c, AMUN__CLIP_COMPOSITE, index, c->options.batchnorm_target);
    set_weights(c, layer, v, index);
    AMUN__CHECK(set_norm(c, layer, v, norm));
    layer->name = layer->norm_name;
    return open_layer(c, layer);
}

static amun_status add_node(amun__clipper *c, const amun__model_values *v, int32_t index)
{
    const amun__node *node = &amun__model_graph(c->model)->nodes[index];
    const amun_clip_batchnorm how = c->options.batchnorm;
    if (node->kind == AMUN__NODE_CONV2D ||
        (node->kind == AMUN__NODE_LINEAR && c->options.linear != 0)) {
        return add_weighted(c, v, index);
    }
    if (node->kind == AMUN__NODE_BATCHNORM && how != AMUN_CLIP_BATCHNORM_LEAVE &&
        how != AMUN_CLIP_BATCHNORM_COMPOSITE) {
        return set_norm(c, add_layer(c, AMUN__CLIP_NORM, index, c->options.batchnorm_target), v,
                        index);
    }
    return AMUN_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void resolve(amun__clipper *c)
{
    const bool once = c->use == AMUN__CLIPPER_ONCE;
    if (c->options.block == 0) {
        c->options.block = c->options.method == AMUN_CLIP_LEGACY ? 1
                           : once                                ? BLOCK_ONCE
                                                                 : BLOCK_TRAIN;
    }
}

/* What following a node's map costs; 0 of other nodes. */
static double cost_of(const amun__clipper *c, int32_t index)
{
    const amun_graph *graph = amun__model_graph(c->model);
    const amun__node *node = &graph->nodes[index];
    if (node->kind != AMUN__NODE_CONV2D && node->kind != AMUN__NODE_LINEAR) {
        return 0.0;
    }
    const amun__linop_shape shape = shape_of(graph, index);
    return amun__linop_cost(c->ctx, &shape, c->options.block);
}

/* One part in one-shot use: there a layer is worth all threads. */
static amun_status deal(amun__clipper *c, amun_context *ctx)
{
    const int32_t nodes = amun__model_graph(c->model)->node_count;
    double *costs = NULL;
    amun_status status;
    int32_t maps = 0;
    AMUN__CHECK(amun__calloc(c->ctx, &c->part, (size_t)nodes, sizeof *c->part));
    AMUN__TRY(amun__alloc(c->ctx, &costs, (size_t)nodes, sizeof *costs));
    for (int32_t i = 0; i < nodes; i++) {
        costs[i] = cost_of(c, i);
        maps += costs[i] > 0.0;
    }
    const int32_t threads = c->use == AMUN__CLIPPER_ONCE ? 1 : amun__threads_count(ctx);
    const int32_t parts = threads < maps ? threads : maps > 0 ? maps : 1;
    amun__deal(costs, (size_t)nodes, (size_t)parts, c->part);
    AMUN__TRY(amun__calloc(c->ctx, &c->pools, (size_t)parts, sizeof(amun_context *)));
    c->pools[0] = c->ctx;
    for (c->parts = 1; c->parts < parts; c->parts++) {
        AMUN__TRY(amun__context_pooled(&c->pools[c->parts], ctx));
    }
fail:
    amun__free(c->ctx, costs);
    return status;
}

static amun_status fill(amun__clipper *c, amun_context *ctx)
{
    amun__model_values v;
    amun__model_values_get(c->model, &v);
    const amun_graph *graph = amun__model_graph(c->model);
    AMUN__CHECK(deal(c, ctx));
    /* a node gives two layers at most */
    AMUN__CHECK(amun__calloc(c->ctx, &c->layers, 2 * (size_t)graph->node_count, sizeof *c->layers));
    for (int32_t i = 0; i < graph->node_count; i++) {
        AMUN__CHECK(add_node(c, &v, i));
    }
    return AMUN_OK;
}

amun_status amun__clipper_create(amun__clipper **out, amun_context *ctx, amun_model *model,
                                 const amun_clip_options *options, amun__clipper_use use,
                                 amun__linop_backend backend)
{
    amun__clipper *c = NULL;
    amun_context *pooled = NULL;
    amun_status status;
    *out = NULL;
    AMUN__CHECK(amun__context_pooled(&pooled, ctx));
    AMUN__TRY(amun__calloc(pooled, &c, 1, sizeof *c));
    *c = (amun__clipper){
        .ctx = pooled, .model = model, .options = *options, .use = use, .backend = backend};
    resolve(c);
    AMUN__TRY(fill(c, ctx));
    *out = c;
    return AMUN_OK;
fail:
    if (c == NULL) {
        amun_context_unref(pooled);
    }
    amun__clipper_destroy(c);
    return status;
}

void amun__clipper_destroy(amun__clipper *clipper)
{
    if (clipper == NULL) {
        return;
    }
    for (int32_t i = 0; i < clipper->count; i++) {
        amun__clip_layer_close(&clipper->layers[i]);
    }
    amun_context *pooled = clipper->ctx;
    for (int32_t i = 1; i < clipper->parts; i++) {
        amun_context_unref(clipper->pools[i]);
    }
    amun__free(pooled, clipper->pools);
    amun__free(pooled, clipper->part);
    amun__free(pooled, clipper->layers);
    amun__free(pooled, clipper);
    amun_context_unref(pooled);
}

int32_t amun__clipper_layers(const amun__clipper *clipper)
{
    return clipper->count;
}

const char *amun__clipper_layer(const amun__clipper *clipper, int32_t index, double *sigma)
{
    *sigma = clipper->layers[index].sigma;
    return clipper->layers[index].name;
}

/* ---- what changed ---------------------------------------------------------------------------- */

/* | now - before | / | before |. */
static double relative_change(const float *now, const float *before, size_t count)
{
    double moved = 0.0, size = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)now[i] - (double)before[i];
        moved += d * d;
        size += (double)before[i] * (double)before[i];
    }
    return moved > 0.0 ? sqrt(moved / fmax(size, DBL_MIN)) : 0.0;
}

void amun__clipper_compare(const amun__clipper *clipper, const float *before,
                           amun_clip_result *result)
{
    amun__model_values v;
    amun__model_values_get(clipper->model, &v);
    for (int32_t i = 0; i < clipper->count; i++) {
        const amun__clip_layer *l = &clipper->layers[i];
        double moved = 0.0;
        if (l->weights != NULL) {
            moved = relative_change(l->weights, before + (l->weights - v.values), l->count);
        }
        if (l->gamma != NULL) {
            moved = fmax(moved, relative_change(l->gamma, before + (l->gamma - v.values),
                                                (size_t)l->channels));
        }
        result->changed += moved > 0.0;
        result->moved = fmax(result->moved, moved);
    }
}

void amun__clipper_largest(const amun__clipper *clipper, amun_clip_result *result)
{
    for (int32_t i = 0; i < clipper->count; i++) {
        const double share = clipper->layers[i].sigma / clipper->layers[i].target;
        result->largest = fmax(result->largest, share);
    }
}

/* ---- once ------------------------------------------------------------------------------------ */

/* One pass over the list. *moved: some weight changed. */
static amun_status run_pass(amun__clipper *c, amun__clip_run *run, float *scratch, bool *moved)
{
    amun__model_values v;
    amun__model_values_get(c->model, &v);
    memcpy(scratch, v.values, v.trainable * sizeof *scratch);
    for (int32_t i = 0; i < c->count; i++) {
        run->done = (uint64_t)i;
        AMUN__CHECK(amun__clip_layer_run(&c->layers[i], run));
        if (c->options.method > AMUN_CLIP_SCALE) { /* these do not look at what they did */
            AMUN__CHECK(amun__clip_measure(&c->layers[i], run));
        }
        AMUN__CHECK(amun__progress_tick(run->progress, "clip", (uint64_t)i + 1, run->total,
                                        (double)NAN, c->layers[i].sigma));
    }
    *moved = memcmp(scratch, v.values, v.trainable * sizeof *scratch) != 0;
    return AMUN_OK;
}

static amun_status run_layers(amun__clipper *c, amun__clip_run *run, amun_clip_result *result)
{
    amun__model_values v;
    amun__model_values_get(c->model, &v);
    float *scratch = NULL;
    bool moved = true;
    const bool twice = c->options.batchnorm == AMUN_CLIP_BATCHNORM_COMPOSITE;
    amun_status status;
    AMUN__TRY(amun__alloc(c->ctx, &scratch, v.trainable, sizeof *scratch));
    for (int32_t pass = 0; pass < (twice ? MOST_PASSES : 1) && moved; pass++) {
        AMUN__TRY(run_pass(c, run, scratch, &moved));
    }
    result->upper = c->options.final_scale != 0 ? 0.0 : (double)INFINITY;
    for (int32_t i = 0; i < c->count && c->options.final_scale != 0; i++) {
        double upper = 0.0;
        AMUN__TRY(amun__clip_final(&c->layers[i], &upper));
        result->upper = fmax(result->upper, upper / c->layers[i].target);
    }
fail:
    amun__free(c->ctx, scratch);
    return status;
}

/* Layers that a method promised to bring down, and did not. Scaled ones are below. */
static amun_status check_layers(const amun__clipper *c)
{
    for (int32_t i = 0; i < c->count && c->options.final_scale == 0; i++) {
        const amun__clip_layer *l = &c->layers[i];
        const bool promised = l->kind == AMUN__CLIP_COMPOSITE ||
                              (l->kind == AMUN__CLIP_MAP && c->options.method <= AMUN_CLIP_SCALE);
        if (promised && l->sigma > l->target * (1.0 + c->options.tol)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s is still at %g after %d rounds, target %g",
                              l->name, l->sigma, (int)c->options.max_rounds, l->target);
        }
    }
    return AMUN_OK;
}

amun_status amun__clipper_run(amun__clipper *clipper, amun__progress_state *progress,
                              amun_clip_result *result)
{
    const double began = amun__now();
    amun__model_values v;
    amun__model_values_get(clipper->model, &v);
    amun__clip_run run = {.options = &clipper->options,
                          .progress = progress,
                          .total = (uint64_t)clipper->count,
                          .most = clipper->options.max_rounds,
                          .seed = clipper->options.seed};
    float *before = NULL;
    amun_status status;
    *result = (amun_clip_result){.struct_size = sizeof *result, .layers = clipper->count};
    if (clipper->options.method == AMUN_CLIP_DELATTRE_2023) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "the method delattre_2023 is a penalty, for amun_train_run() only");
    }
    AMUN__TRY(amun__alloc(clipper->ctx, &before, v.trainable, sizeof *before));
    memcpy(before, v.values, v.trainable * sizeof *before);
    status = run_layers(clipper, &run, result);
    amun__model_touch(clipper->model);
    amun__clipper_compare(clipper, before, result);
    amun__clipper_largest(clipper, result);
    result->rounds = run.rounds;
    result->seconds = amun__now() - began;
    status = status == AMUN_OK ? check_layers(clipper) : status;
fail:
    amun__free(clipper->ctx, before);
    amun__context_trim(clipper->ctx); /* the certificates take much more than a step */
    return status;
}
