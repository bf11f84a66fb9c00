/* graph.c - the life of a graph, appending to it, freezing it. */
#include "nn/builder.h"

#include <stdio.h>

#define MAX_ELEMENTS ((int64_t)1 << 31)

static void graph_destroy(void *self)
{
    amun_graph *graph = self;
    amun_context *ctx = graph->object.ctx;
    for (int32_t i = 0; i < graph->node_count; i++) {
        amun__free(ctx, graph->nodes[i].name);
        amun__free(ctx, graph->nodes[i].mean);
        amun__free(ctx, graph->nodes[i].std);
    }
    for (int32_t i = 0; i < graph->param_count; i++) {
        amun__free(ctx, graph->params[i].name);
    }
    amun__free(ctx, graph->nodes);
    amun__free(ctx, graph->params);
}

amun_graph *amun_graph_ref(amun_graph *graph)
{
    return amun__object_ref(graph);
}

void amun_graph_unref(amun_graph *graph)
{
    amun__object_unref(graph);
}

/* ---- appending ------------------------------------------------------------------------------ */

amun_status amun__graph_check_extent(int64_t value, int64_t low, int64_t high, const char *what)
{
    if (value < low || value > high) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is %lld, must be in [%lld, %lld]", what,
                          (long long)value, (long long)low, (long long)high);
    }
    return AMUN_OK;
}

/* A zeroed node at the end of the list, not counted yet: amun__graph_commit() makes it part of the
 * graph.
 */
static amun_status new_node(amun_graph *graph, amun__node **out)
{
    if (graph->node_count == graph->node_capacity) {
        int32_t capacity = graph->node_capacity == 0 ? 32 : graph->node_capacity * 2;
        AMUN__CHECK(
            amun__realloc(graph->object.ctx, &graph->nodes, (size_t)capacity, sizeof(amun__node)));
        graph->node_capacity = capacity;
    }
    amun__node *node = &graph->nodes[graph->node_count];
    memset(node, 0, sizeof *node);
    node->groups = 1;
    node->factor = 1;
    node->weight = node->bias = node->running_mean = node->running_var = node->tracked = -1;
    for (int i = 0; i < 2; i++) {
        node->kernel[i] = node->stride[i] = node->dilation[i] = 1;
    }
    *out = node;
    return AMUN_OK;
}

static amun_status check_graph(amun_graph *graph)
{
    AMUN__CHECK(amun__object_check(graph, AMUN__TAG_GRAPH, "graph"));
    if (graph->frozen) {
        return amun__fail(AMUN_ERROR_STATE,
                          "a model was made from this graph: no node can be added to it");
    }
    return AMUN_OK;
}

/* Common start of every builder call. */
amun_status amun__graph_begin(amun_node *out, amun_graph *graph, const amun_node *srcs,
                              int32_t count, amun__node **node)
{
    amun__enter();
    if (out == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "node is NULL");
    }
    *out = -1;
    AMUN__CHECK(check_graph(graph));
    for (int32_t i = 0; i < count; i++) {
        if (srcs[i] < 0 || srcs[i] >= graph->node_count) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "source node %d does not exist, the graph has nodes 0..%d", srcs[i],
                              graph->node_count - 1);
        }
    }
    AMUN__CHECK(new_node(graph, node));
    for (int32_t i = 0; i < count; i++) {
        (*node)->inputs[i] = srcs[i];
    }
    (*node)->input_count = count;
    if (count > 0) { /* most nodes keep the shape of their first input */
        const amun__node *src = &graph->nodes[srcs[0]];
        (*node)->channels = src->channels;
        (*node)->height = src->height;
        (*node)->width = src->width;
    }
    return AMUN_OK;
}

amun_status amun__graph_commit(amun_node *out, amun_graph *graph, amun__node *node)
{
    if (node->channels > MAX_ELEMENTS / node->height / node->width) {
        return amun__fail(AMUN_ERROR_SHAPE, "node of [%lld, %lld, %lld] is too large",
                          (long long)node->channels, (long long)node->height,
                          (long long)node->width);
    }
    *out = graph->node_count++;
    return AMUN_OK;
}

/* Frees what a node that will not be committed owns, and the parameters it added. */
static void abandon(amun_graph *graph, amun__node *node, int32_t params_before)
{
    amun_context *ctx = graph->object.ctx;
    amun__free(ctx, node->name);
    amun__free(ctx, node->mean);
    amun__free(ctx, node->std);
    while (graph->param_count > params_before) {
        amun__free(ctx, graph->params[--graph->param_count].name);
    }
}

amun_status amun__graph_finish(amun_node *out, amun_graph *graph, amun__node *node,
                               int32_t params_before, amun_status status)
{
    if (status == AMUN_OK) {
        status = amun__graph_commit(out, graph, node);
    }
    if (status != AMUN_OK) {
        abandon(graph, node, params_before);
    }
    return status;
}

amun_status amun__graph_name(amun_graph *graph, amun__node *node, const char *name)
{
    if (name == NULL || name[0] == '\0') {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "a node with parameters needs a name");
    }
    size_t length = strlen(name);
    if (length > 200) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "node name has %zu bytes, at most 200 are allowed", length);
    }
    for (int32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].name != NULL && strcmp(graph->nodes[i].name, name) == 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "node name '%s' is taken", name);
        }
    }
    return amun__strdup(graph->object.ctx, &node->name, name);
}

amun_status amun__graph_add_param(amun_graph *graph, int32_t *index, const amun__node *node,
                                  const char *suffix, int32_t trainable, int32_t ndim,
                                  const int64_t *shape)
{
    if (graph->param_count == graph->param_capacity) {
        int32_t capacity = graph->param_capacity == 0 ? 64 : graph->param_capacity * 2;
        AMUN__CHECK(amun__realloc(graph->object.ctx, &graph->params, (size_t)capacity,
                                  sizeof(amun__param)));
        graph->param_capacity = capacity;
    }
    amun__param *param = &graph->params[graph->param_count];
    memset(param, 0, sizeof *param);
    param->ndim = ndim;
    param->count = 1;
    for (int32_t i = 0; i < ndim; i++) {
        param->shape[i] = shape[i];
        if (!amun__mul_size(&param->count, param->count, (size_t)shape[i]) ||
            param->count > (size_t)MAX_ELEMENTS) {
            return amun__fail(AMUN_ERROR_SHAPE, "%s.%s is too large", node->name, suffix);
        }
    }
    param->trainable = trainable;
    param->node = graph->node_count;
    char text[256];
    snprintf(text, sizeof text, "%s.%s", node->name, suffix);
    AMUN__CHECK(amun__strdup(graph->object.ctx, &param->name, text));
    *index = graph->param_count++;
    return AMUN_OK;
}

/* ---- a new graph ---------------------------------------------------------------------------- */

amun_status amun_graph_create(amun_graph **graph, amun_context *ctx, int64_t channels,
                              int64_t height, int64_t width)
{
    amun__enter();
    if (graph == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "graph is NULL");
    }
    *graph = NULL;
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    AMUN__CHECK(amun__graph_check_extent(channels, 1, AMUN__GRAPH_MAX_EXTENT, "channels"));
    AMUN__CHECK(amun__graph_check_extent(height, 1, AMUN__GRAPH_MAX_EXTENT, "height"));
    AMUN__CHECK(amun__graph_check_extent(width, 1, AMUN__GRAPH_MAX_EXTENT, "width"));
    amun_graph *made = NULL;
    AMUN__CHECK(
        amun__object_create(&made, ctx, AMUN__TAG_GRAPH, sizeof(amun_graph), graph_destroy));
    amun__node *node = NULL;
    amun_node index = -1;
    amun_status status = amun__graph_begin(&index, made, NULL, 0, &node);
    if (status == AMUN_OK) {
        node->kind = AMUN__NODE_INPUT;
        node->channels = channels;
        node->height = height;
        node->width = width;
        status = amun__graph_commit(&index, made, node);
    }
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    *graph = made;
    return AMUN_OK;
}

/* ---- freezing ------------------------------------------------------------------------------- */

/* A node that leads nowhere is a mistake in the network, and would have no gradient. */
static amun_status check_used(const amun_graph *graph)
{
    for (int32_t i = 0; i < graph->node_count - 1; i++) {
        bool used = false;
        for (int32_t j = i + 1; j < graph->node_count && !used; j++) {
            for (int32_t k = 0; k < graph->nodes[j].input_count; k++) {
                used = used || graph->nodes[j].inputs[k] == i;
            }
        }
        if (!used) {
            const char *name = graph->nodes[i].name;
            return amun__fail(AMUN_ERROR_SHAPE, "node %d%s%s is not used by any later node", i,
                              name != NULL ? " " : "", name != NULL ? name : "");
        }
    }
    return AMUN_OK;
}

amun_status amun__graph_freeze(amun_graph *graph)
{
    if (graph->frozen) {
        return AMUN_OK;
    }
    const amun__node *last = &graph->nodes[graph->node_count - 1];
    if (graph->node_count < 2 || last->height != 1 || last->width != 1 || last->channels < 2) {
        return amun__fail(
            AMUN_ERROR_SHAPE,
            "the last node is [%lld, %lld, %lld], must be flat logits of at least 2 classes",
            (long long)last->channels, (long long)last->height, (long long)last->width);
    }
    AMUN__CHECK(check_used(graph));
    size_t offset = 0;
    for (int32_t trainable = 1; trainable >= 0; trainable--) {
        for (int32_t i = 0; i < graph->param_count; i++) {
            amun__param *param = &graph->params[i];
            if (param->trainable == trainable) {
                param->offset = offset;
                offset += param->count;
            }
        }
        if (trainable) {
            graph->trainable = offset;
        }
    }
    graph->total = offset;
    if (graph->trainable == 0 && graph->bare == 0) {
        return amun__fail(AMUN_ERROR_SHAPE, "the graph has no trainable parameters");
    }
    graph->frozen = 1;
    return AMUN_OK;
}
