/* prefix.c - models made of another's layers: of those that one node depends on, and of all of them
 * with more classes. */
#include "nn/prefix.h"

#include "nn/builder.h"

/* ---- nodes ---------------------------------------------------------------------------------- */

/* The parameter once more, under the same name. */
static amun_status copy_param(amun_graph *graph, amun__node *node, const amun_graph *from,
                              int32_t source, int64_t extra, int32_t *index)
{
    if (source < 0) {
        return AMUN_OK;
    }
    const amun__param *p = &from->params[source];
    int64_t shape[4];
    memcpy(shape, p->shape, sizeof shape);
    shape[0] += extra;
    return amun__graph_add_param(graph, index, node, p->name + strlen(node->name) + 1, p->trainable,
                                 p->ndim, shape);
}

/* All of a node but what it owns, which is copied. `extra`: outputs that it has more. */
static amun_status fill_copy(amun_graph *graph, amun__node *node, const amun_graph *from,
                             const amun__node *source, int64_t extra)
{
    amun_context *ctx = graph->object.ctx;
    const amun__node linked = *node;
    *node = *source;
    node->channels += extra;
    memcpy(node->inputs, linked.inputs, sizeof node->inputs);
    node->name = NULL;
    node->mean = node->std = NULL;
    node->weight = node->bias = node->running_mean = node->running_var = node->tracked = -1;
    if (source->name != NULL) {
        AMUN__CHECK(amun__graph_name(graph, node, source->name));
    }
    if (source->mean != NULL) {
        const size_t channels = (size_t)source->channels;
        AMUN__CHECK(amun__alloc(ctx, &node->mean, channels, sizeof(double)));
        AMUN__CHECK(amun__alloc(ctx, &node->std, channels, sizeof(double)));
        memcpy(node->mean, source->mean, channels * sizeof(double));
        memcpy(node->std, source->std, channels * sizeof(double));
    }
    AMUN__CHECK(copy_param(graph, node, from, source->weight, extra, &node->weight));
    AMUN__CHECK(copy_param(graph, node, from, source->bias, extra, &node->bias));
    AMUN__CHECK(copy_param(graph, node, from, source->running_mean, 0, &node->running_mean));
    AMUN__CHECK(copy_param(graph, node, from, source->running_var, 0, &node->running_var));
    if (source->tracked >= 0) {
        node->tracked = graph->tracked_count;
    }
    return AMUN_OK;
}

/* map: from nodes of `from` to those of `graph`. */
static amun_status copy_node(amun_graph *graph, const amun_graph *from, int32_t index,
                             int64_t extra, int32_t *map)
{
    const amun__node *source = &from->nodes[index];
    amun_node inputs[AMUN__NODE_MAX_INPUTS];
    amun__node *node = NULL;
    for (int32_t k = 0; k < source->input_count; k++) {
        inputs[k] = map[source->inputs[k]];
    }
    AMUN__CHECK(amun__graph_begin(&map[index], graph, inputs, source->input_count, &node));
    const int32_t before = graph->param_count;
    amun_status status = fill_copy(graph, node, from, source, extra);
    AMUN__CHECK(amun__graph_finish(&map[index], graph, node, before, status));
    graph->tracked_count += source->tracked >= 0;
    return AMUN_OK;
}

/* map[i] becomes 0 for the nodes that `node` depends on, and -1 for others. */
static void mark(const amun_graph *graph, int32_t node, int32_t *map)
{
    for (int32_t i = 0; i < graph->node_count; i++) {
        map[i] = i == node ? 0 : -1;
    }
    for (int32_t i = node; i > 0; i--) {
        for (int32_t k = 0; k < graph->nodes[i].input_count && map[i] == 0; k++) {
            map[graph->nodes[i].inputs[k]] = 0;
        }
    }
}

/* `pool`: the mean of each channel of a map. */
static amun_status create(amun_model **out, const amun_model *model, int32_t node, bool pool)
{
    const amun_graph *from = amun__model_graph(model);
    const amun__node *input = &from->nodes[0];
    amun_context *ctx = amun__model_context(model);
    amun_graph *graph = NULL;
    int32_t *map = NULL;
    amun_node last;
    amun_status status;
    *out = NULL;
    AMUN__TRY(amun_graph_create(&graph, ctx, input->channels, input->height, input->width));
    graph->bare = 1; /* what stands before the first layer has none */
    AMUN__TRY(amun__alloc(ctx, &map, (size_t)from->node_count, sizeof *map));
    mark(from, node, map);
    for (int32_t i = 1; i <= node; i++) {
        if (map[i] == 0) {
            AMUN__TRY(copy_node(graph, from, i, 0, map));
        }
    }
    if (pool && from->nodes[node].height * from->nodes[node].width > 1) {
        AMUN__TRY(amun_graph_global_pool(&map[node], graph, map[node]));
    }
    AMUN__TRY(amun_graph_flatten(&last, graph, map[node]));
    AMUN__TRY(amun_model_create_graph(out, ctx, graph, 0));
    amun__prefix_update(*out, model);
fail:
    amun__free(ctx, map);
    amun_graph_unref(graph);
    return status;
}

amun_status amun__prefix_create(amun_model **out, const amun_model *model, int32_t node)
{
    return create(out, model, node, false);
}

/* ---- stages --------------------------------------------------------------------------------- */

int32_t amun__prefix_last(const amun_model *model)
{
    const amun_graph *graph = amun__model_graph(model);
    int32_t at = graph->node_count - 1;
    while (graph->nodes[at].kind == AMUN__NODE_FLATTEN ||
           graph->nodes[at].kind == AMUN__NODE_SCALE) {
        at = graph->nodes[at].inputs[0];
    }
    return graph->nodes[at].kind == AMUN__NODE_LINEAR ? at : -1;
}

size_t amun__prefix_stages(const amun_model *model, int32_t *nodes, size_t capacity)
{
    const amun_graph *graph = amun__model_graph(model);
    const amun__node *next = NULL; /* the layer behind, as the walk goes to the front */
    int32_t last = amun__prefix_last(model), read = -1;
    size_t count = 0;
    for (int32_t i = last; i >= 0; i--) {
        const amun__node *node = &graph->nodes[i];
        const bool layer =
            i > 0 && (node->kind == AMUN__NODE_CONV2D || node->kind == AMUN__NODE_LINEAR);
        if (!layer && i > 0) {
            continue;
        }
        /* what stands at `next` begins a stage if this layer is of another one */
        if (next != NULL &&
            (next == &graph->nodes[last] ||
             (layer && (next->kind == AMUN__NODE_LINEAR || next->height != node->height ||
                        next->width != node->width)))) {
            if (count < capacity) {
                nodes[count] = read;
            }
            count++;
        }
        next = node;
        read = node->inputs[0];
    }
    return count;
}

amun_status amun__prefix_stage(amun_model **out, const amun_model *model, int32_t stage)
{
    amun_context *ctx = amun__model_context(model);
    const size_t count = amun__prefix_stages(model, NULL, 0);
    int32_t *nodes = NULL;
    *out = NULL;
    if (count == 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "the logits of this network (%s) do not come from a dense layer, whose "
                          "inputs would be the features",
                          amun_model_arch(model));
    }
    if (stage < 0 || (size_t)stage >= count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "stage: %d, but this network (%s) has features at %zu, 0..%zu",
                          (int)stage, amun_model_arch(model), count, count - 1);
    }
    AMUN__CHECK(amun__alloc(ctx, &nodes, count, sizeof *nodes));
    (void)amun__prefix_stages(model, nodes, count);
    amun_status status = create(out, model, nodes[stage], stage > 0);
    amun__free(ctx, nodes);
    return status;
}

/* ---- values --------------------------------------------------------------------------------- */

void amun__prefix_update(amun_model *prefix, const amun_model *model)
{
    const amun_graph *to = amun__model_graph(prefix), *from = amun__model_graph(model);
    amun__model_values target, source;
    amun__model_values_get(prefix, &target);
    amun__model_values_get(model, &source);
    /* the parameters of the one are in the order of the other */
    for (int32_t i = 0, j = 0; i < to->param_count; i++, j++) {
        while (strcmp(to->params[i].name, from->params[j].name) != 0) {
            j++;
        }
        memcpy(target.values + to->params[i].offset, source.values + from->params[j].offset,
               to->params[i].count * sizeof(float));
    }
    amun__model_touch(prefix);
}

/* ---- more classes --------------------------------------------------------------------------- */

/* The last node, but for constant factors. */
static amun_status find_head(const amun_graph *graph, int32_t *head)
{
    *head = graph->node_count - 1;
    while (graph->nodes[*head].kind == AMUN__NODE_SCALE) {
        *head = graph->nodes[*head].inputs[0];
    }
    return graph->nodes[*head].kind == AMUN__NODE_LINEAR
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_UNSUPPORTED,
                            "the network does not end in a linear layer: it has no room for "
                            "another class");
}

/* The first values of each parameter: rows come last. Both lists have one order. */
static void copy_common(amun_model *to, const amun_model *from)
{
    const amun_graph *there = amun__model_graph(to), *here = amun__model_graph(from);
    amun__model_values target, source;
    amun__model_values_get(to, &target);
    amun__model_values_get(from, &source);
    for (int32_t i = 0; i < there->param_count; i++) {
        const amun__param *p = &there->params[i], *q = &here->params[i];
        size_t count = p->count < q->count ? p->count : q->count;
        memcpy(target.values + p->offset, source.values + q->offset, count * sizeof(float));
    }
    memcpy(target.tracked, source.tracked, source.tracked_count * sizeof *source.tracked);
    amun__model_touch(to);
}

amun_status amun__widen_create(amun_model **out, const amun_model *model, int64_t extra,
                               uint64_t seed)
{
    const amun_graph *from = amun__model_graph(model);
    const amun__node *input = &from->nodes[0];
    amun_context *ctx = amun__model_context(model);
    amun_graph *graph = NULL;
    int32_t *map = NULL, head = 0;
    amun_status status;
    *out = NULL;
    AMUN__TRY(find_head(from, &head));
    AMUN__TRY(amun_graph_create(&graph, ctx, input->channels, input->height, input->width));
    AMUN__TRY(amun__calloc(ctx, &map, (size_t)from->node_count, sizeof *map));
    for (int32_t i = 1; i < from->node_count; i++) {
        AMUN__TRY(copy_node(graph, from, i, i >= head ? extra : 0, map));
    }
    AMUN__TRY(amun_model_create_graph(out, ctx, graph, seed));
    copy_common(*out, model);
fail:
    amun__free(ctx, map);
    amun_graph_unref(graph);
    return status;
}

void amun__widen_return(amun_model *model, const amun_model *wide)
{
    copy_common(model, wide);
}

size_t amun__prefix_candidates(const amun_model *model, int32_t *nodes, size_t capacity)
{
    const amun_graph *graph = amun__model_graph(model);
    size_t count = 0;
    int32_t before = -1;
    for (int32_t i = 1; i < graph->node_count; i++) {
        const amun__node *relu = &graph->nodes[i], *read = &graph->nodes[relu->inputs[0]];
        if (relu->kind != AMUN__NODE_RELU || relu->inputs[0] == before) {
            continue;
        }
        const amun__node *map = read;
        if (read->kind == AMUN__NODE_BATCHNORM) {
            do {
                map = &graph->nodes[map->inputs[0]];
            } while (map->kind == AMUN__NODE_MAX_POOL || map->kind == AMUN__NODE_AVG_POOL);
        }
        if (map->kind == AMUN__NODE_CONV2D) {
            before = relu->inputs[0];
            if (count < capacity) {
                nodes[count] = before;
            }
            count++;
        }
    }
    return count;
}
