/* graph.c - the public graph builder: nodes in topological order, their shapes and parameters. */
#include "nn/graph.h"

#include <stdio.h>

#define MAX_EXTENT 65536
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

/* ---- appending ----------------------------------------------------------------------------------
 */

static amun_status check_extent(int64_t value, int64_t low, int64_t high, const char *what)
{
    if (value < low || value > high) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is %lld, must be in [%lld, %lld]", what,
                          (long long)value, (long long)low, (long long)high);
    }
    return AMUN_OK;
}

/* A zeroed node at the end of the list, not counted yet: commit_node() makes it part of the graph.
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
static amun_status begin_node(amun_node *out, amun_graph *graph, const amun_node *srcs,
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

static amun_status commit_node(amun_node *out, amun_graph *graph, amun__node *node)
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
static void abandon_node(amun_graph *graph, amun__node *node, int32_t params_before)
{
    amun_context *ctx = graph->object.ctx;
    amun__free(ctx, node->name);
    amun__free(ctx, node->mean);
    amun__free(ctx, node->std);
    while (graph->param_count > params_before) {
        amun__free(ctx, graph->params[--graph->param_count].name);
    }
}

static amun_status set_name(amun_graph *graph, amun__node *node, const char *name)
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

static amun_status add_param(amun_graph *graph, int32_t *index, const amun__node *node,
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

/* ---- nodes
 * ------------------------------------------------------------------------------------------ */

amun_status amun_graph_create(amun_graph **graph, amun_context *ctx, int64_t channels,
                              int64_t height, int64_t width)
{
    amun__enter();
    if (graph == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "graph is NULL");
    }
    *graph = NULL;
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    AMUN__CHECK(check_extent(channels, 1, MAX_EXTENT, "channels"));
    AMUN__CHECK(check_extent(height, 1, MAX_EXTENT, "height"));
    AMUN__CHECK(check_extent(width, 1, MAX_EXTENT, "width"));
    amun_graph *made = NULL;
    AMUN__CHECK(
        amun__object_create(&made, ctx, AMUN__TAG_GRAPH, sizeof(amun_graph), graph_destroy));
    amun__node *node = NULL;
    amun_node index = -1;
    amun_status status = begin_node(&index, made, NULL, 0, &node);
    if (status == AMUN_OK) {
        node->kind = AMUN__NODE_INPUT;
        node->channels = channels;
        node->height = height;
        node->width = width;
        status = commit_node(&index, made, node);
    }
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    *graph = made;
    return AMUN_OK;
}

static const amun_conv2d_options conv2d_defaults = {
    .kernel_h = 3,
    .kernel_w = 3,
    .stride_h = 1,
    .stride_w = 1,
    .pad_h = 1,
    .pad_w = 1,
    .dilation_h = 1,
    .dilation_w = 1,
    .groups = 1,
};
#define CONV(member, lo, hi) AMUN__FIELD(amun_conv2d_options, member, AMUN__FIELD_I64, lo, hi)
static const amun__field conv2d_fields[] = {
    CONV(channels, 0, MAX_EXTENT),
    CONV(kernel_h, 1, 64),
    CONV(kernel_w, 1, 64),
    CONV(stride_h, 1, 64),
    CONV(stride_w, 1, 64),
    CONV(pad_h, 0, 64),
    CONV(pad_w, 0, 64),
    CONV(dilation_h, 1, 64),
    CONV(dilation_w, 1, 64),
    CONV(groups, 1, MAX_EXTENT),
    AMUN__FIELD(amun_conv2d_options, bias, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_conv2d_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table conv2d_table = {
    .name = "amun_conv2d_options",
    .size = sizeof(amun_conv2d_options),
    .defaults = &conv2d_defaults,
    .fields = conv2d_fields,
    .field_count = sizeof conv2d_fields / sizeof conv2d_fields[0],
};

amun_status amun_conv2d_options_init(amun_conv2d_options *opts, size_t size)
{
    amun__enter();
    return amun__options_init(&conv2d_table, opts, size);
}

/* Output extent of a sliding window (floor), or SHAPE when the window does not fit. */
static amun_status window_extent(int64_t *out, int64_t in, int64_t kernel, int64_t stride,
                                 int64_t pad, int64_t dilation, const char *what)
{
    int64_t reach = dilation * (kernel - 1) + 1;
    int64_t span = in + 2 * pad - reach;
    if (span < 0) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "%s: window of %lld does not fit into %lld with padding %lld", what,
                          (long long)reach, (long long)in, (long long)pad);
    }
    *out = span / stride + 1;
    return AMUN_OK;
}

static amun_status fill_conv2d(amun_graph *graph, amun__node *node, const char *name,
                               const amun_conv2d_options *opts)
{
    node->kind = AMUN__NODE_CONV2D;
    AMUN__CHECK(set_name(graph, node, name));
    AMUN__CHECK(check_extent(opts->channels, 1, MAX_EXTENT, "channels"));
    int64_t in = node->channels;
    if (in % opts->groups != 0 || opts->channels % opts->groups != 0) {
        return amun__fail(
            AMUN_ERROR_SHAPE,
            "%s: groups %lld must divide input channels %lld and output channels %lld", name,
            (long long)opts->groups, (long long)in, (long long)opts->channels);
    }
    node->kernel[0] = opts->kernel_h;
    node->kernel[1] = opts->kernel_w;
    node->stride[0] = opts->stride_h;
    node->stride[1] = opts->stride_w;
    node->pad[0] = opts->pad_h;
    node->pad[1] = opts->pad_w;
    node->dilation[0] = opts->dilation_h;
    node->dilation[1] = opts->dilation_w;
    node->groups = opts->groups;
    AMUN__CHECK(window_extent(&node->height, node->height, opts->kernel_h, opts->stride_h,
                              opts->pad_h, opts->dilation_h, name));
    AMUN__CHECK(window_extent(&node->width, node->width, opts->kernel_w, opts->stride_w,
                              opts->pad_w, opts->dilation_w, name));
    node->channels = opts->channels;
    int64_t shape[4] = {opts->channels, in / opts->groups, opts->kernel_h, opts->kernel_w};
    AMUN__CHECK(add_param(graph, &node->weight, node, "weight", 1, 4, shape));
    if (opts->bias) {
        AMUN__CHECK(add_param(graph, &node->bias, node, "bias", 1, 1, shape));
    }
    return AMUN_OK;
}

amun_status amun_graph_conv2d(amun_node *out, amun_graph *graph, amun_node src, const char *name,
                              const amun_conv2d_options *opts)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    int32_t before = graph->param_count;
    amun_conv2d_options full;
    amun_status status = amun__options_read(&conv2d_table, &full, opts);
    if (status == AMUN_OK) {
        status = fill_conv2d(graph, node, name, &full);
    }
    if (status == AMUN_OK) {
        status = commit_node(out, graph, node);
    }
    if (status != AMUN_OK) {
        abandon_node(graph, node, before);
    }
    return status;
}

static amun_status fill_linear(amun_graph *graph, amun__node *node, const char *name,
                               int64_t features, int32_t bias)
{
    node->kind = AMUN__NODE_LINEAR;
    AMUN__CHECK(set_name(graph, node, name));
    AMUN__CHECK(check_extent(features, 1, MAX_EXTENT, "features"));
    if (bias != 0 && bias != 1) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "bias is %d, must be 0 or 1", bias);
    }
    if (node->height != 1 || node->width != 1) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "%s: linear needs a flat input, got [%lld, %lld, %lld]: flatten it first",
                          name, (long long)node->channels, (long long)node->height,
                          (long long)node->width);
    }
    int64_t shape[2] = {features, node->channels};
    node->channels = features;
    AMUN__CHECK(add_param(graph, &node->weight, node, "weight", 1, 2, shape));
    if (bias) {
        AMUN__CHECK(add_param(graph, &node->bias, node, "bias", 1, 1, shape));
    }
    return AMUN_OK;
}

amun_status amun_graph_linear(amun_node *out, amun_graph *graph, amun_node src, const char *name,
                              int64_t features, int32_t bias)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    int32_t before = graph->param_count;
    amun_status status = fill_linear(graph, node, name, features, bias);
    if (status == AMUN_OK) {
        status = commit_node(out, graph, node);
    }
    if (status != AMUN_OK) {
        abandon_node(graph, node, before);
    }
    return status;
}

static amun_status fill_batchnorm(amun_graph *graph, amun__node *node, const char *name, double eps,
                                  double momentum)
{
    node->kind = AMUN__NODE_BATCHNORM;
    AMUN__CHECK(set_name(graph, node, name));
    if (!(eps >= 0 && eps <= 1)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "eps is %g, must be in [0, 1]", eps);
    }
    if (!(momentum >= 0 && momentum <= 1)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "momentum is %g, must be in [0, 1]",
                          momentum);
    }
    node->eps = eps == 0 ? 1e-5 : eps;
    node->momentum = momentum == 0 ? 0.1 : momentum;
    int64_t shape[1] = {node->channels};
    AMUN__CHECK(add_param(graph, &node->weight, node, "weight", 1, 1, shape));
    AMUN__CHECK(add_param(graph, &node->bias, node, "bias", 1, 1, shape));
    AMUN__CHECK(add_param(graph, &node->running_mean, node, "running_mean", 0, 1, shape));
    AMUN__CHECK(add_param(graph, &node->running_var, node, "running_var", 0, 1, shape));
    node->tracked = graph->tracked_count;
    return AMUN_OK;
}

amun_status amun_graph_batchnorm(amun_node *out, amun_graph *graph, amun_node src, const char *name,
                                 double eps, double momentum)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    int32_t before = graph->param_count;
    amun_status status = fill_batchnorm(graph, node, name, eps, momentum);
    if (status == AMUN_OK) {
        status = commit_node(out, graph, node);
    }
    if (status != AMUN_OK) {
        abandon_node(graph, node, before);
        return status;
    }
    graph->tracked_count++;
    return AMUN_OK;
}

amun_status amun_graph_relu(amun_node *out, amun_graph *graph, amun_node src)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    node->kind = AMUN__NODE_RELU;
    return commit_node(out, graph, node);
}

amun_status amun_graph_add(amun_node *out, amun_graph *graph, amun_node a, amun_node b)
{
    amun__node *node = NULL;
    const amun_node srcs[2] = {a, b};
    AMUN__CHECK(begin_node(out, graph, srcs, 2, &node));
    const amun__node *na = &graph->nodes[a], *nb = &graph->nodes[b];
    if (na->channels != nb->channels || na->height != nb->height || na->width != nb->width) {
        return amun__fail(AMUN_ERROR_SHAPE, "add: [%lld, %lld, %lld] and [%lld, %lld, %lld] differ",
                          (long long)na->channels, (long long)na->height, (long long)na->width,
                          (long long)nb->channels, (long long)nb->height, (long long)nb->width);
    }
    node->kind = AMUN__NODE_ADD;
    return commit_node(out, graph, node);
}

amun_status amun_graph_scale(amun_node *out, amun_graph *graph, amun_node src, double factor)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    if (!isfinite(factor) || fabs(factor) > 1e30) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "factor is %g, must be finite", factor);
    }
    node->kind = AMUN__NODE_SCALE;
    node->factor = factor;
    return commit_node(out, graph, node);
}

static const amun_pool_options pool_defaults = {
    .kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2};
#define POOL(member, lo, hi) AMUN__FIELD(amun_pool_options, member, AMUN__FIELD_I64, lo, hi)
static const amun__field pool_fields[] = {
    POOL(kernel_h, 1, 1024), POOL(kernel_w, 1, 1024), POOL(stride_h, 1, 1024),
    POOL(stride_w, 1, 1024), POOL(pad_h, 0, 512),     POOL(pad_w, 0, 512),
};
static const amun__options_table pool_table = {
    .name = "amun_pool_options",
    .size = sizeof(amun_pool_options),
    .defaults = &pool_defaults,
    .fields = pool_fields,
    .field_count = sizeof pool_fields / sizeof pool_fields[0],
};

amun_status amun_pool_options_init(amun_pool_options *opts, size_t size)
{
    amun__enter();
    return amun__options_init(&pool_table, opts, size);
}

static amun_status add_pool(amun_node *out, amun_graph *graph, amun_node src,
                            const amun_pool_options *opts, amun__node_kind kind)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    amun_pool_options full;
    AMUN__CHECK(amun__options_read(&pool_table, &full, opts));
    if (full.pad_h > full.kernel_h / 2 || full.pad_w > full.kernel_w / 2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "padding (%lld, %lld) is more than half of the kernel (%lld, %lld)",
                          (long long)full.pad_h, (long long)full.pad_w, (long long)full.kernel_h,
                          (long long)full.kernel_w);
    }
    node->kind = kind;
    node->kernel[0] = full.kernel_h;
    node->kernel[1] = full.kernel_w;
    node->stride[0] = full.stride_h;
    node->stride[1] = full.stride_w;
    node->pad[0] = full.pad_h;
    node->pad[1] = full.pad_w;
    AMUN__CHECK(window_extent(&node->height, node->height, full.kernel_h, full.stride_h, full.pad_h,
                              1, "pool"));
    AMUN__CHECK(window_extent(&node->width, node->width, full.kernel_w, full.stride_w, full.pad_w,
                              1, "pool"));
    return commit_node(out, graph, node);
}

amun_status amun_graph_max_pool(amun_node *out, amun_graph *graph, amun_node src,
                                const amun_pool_options *opts)
{
    return add_pool(out, graph, src, opts, AMUN__NODE_MAX_POOL);
}

amun_status amun_graph_avg_pool(amun_node *out, amun_graph *graph, amun_node src,
                                const amun_pool_options *opts)
{
    return add_pool(out, graph, src, opts, AMUN__NODE_AVG_POOL);
}

amun_status amun_graph_global_pool(amun_node *out, amun_graph *graph, amun_node src)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    node->kind = AMUN__NODE_AVG_POOL;
    node->kernel[0] = node->stride[0] = node->height;
    node->kernel[1] = node->stride[1] = node->width;
    node->height = node->width = 1;
    return commit_node(out, graph, node);
}

amun_status amun_graph_flatten(amun_node *out, amun_graph *graph, amun_node src)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    node->kind = AMUN__NODE_FLATTEN;
    node->channels = node->channels * node->height * node->width;
    node->height = node->width = 1;
    return commit_node(out, graph, node);
}

amun_status amun_graph_concat(amun_node *out, amun_graph *graph, const amun_node *srcs,
                              int32_t count)
{
    amun__enter();
    if (out != NULL) {
        *out = -1;
    }
    if (srcs == NULL || count < 2 || count > AMUN__NODE_MAX_INPUTS) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "concat of %d nodes, must be 2 to %d",
                          srcs == NULL ? 0 : count, AMUN__NODE_MAX_INPUTS);
    }
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, srcs, count, &node));
    node->kind = AMUN__NODE_CONCAT;
    for (int32_t i = 1; i < count; i++) {
        const amun__node *src = &graph->nodes[srcs[i]];
        if (src->height != node->height || src->width != node->width) {
            return amun__fail(AMUN_ERROR_SHAPE, "concat: %lldx%lld and %lldx%lld differ",
                              (long long)node->height, (long long)node->width,
                              (long long)src->height, (long long)src->width);
        }
        node->channels += src->channels;
    }
    return commit_node(out, graph, node);
}

static amun_status fill_normalise(amun_graph *graph, amun__node *node, const double *mean,
                                  const double *std)
{
    node->kind = AMUN__NODE_NORMALISE;
    size_t channels = (size_t)node->channels;
    AMUN__CHECK(amun__alloc(graph->object.ctx, &node->mean, channels, sizeof(double)));
    AMUN__CHECK(amun__alloc(graph->object.ctx, &node->std, channels, sizeof(double)));
    for (size_t c = 0; c < channels; c++) {
        if (!isfinite(mean[c]) || !(std[c] >= 1e-12 && std[c] <= 1e12)) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "channel %zu: mean %g must be finite and std %g positive", c, mean[c],
                              std[c]);
        }
        node->mean[c] = mean[c];
        node->std[c] = std[c];
    }
    return AMUN_OK;
}

amun_status amun_graph_normalise(amun_node *out, amun_graph *graph, amun_node src,
                                 const double *mean, const double *std)
{
    amun__node *node = NULL;
    AMUN__CHECK(begin_node(out, graph, &src, 1, &node));
    if (mean == NULL || std == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", mean == NULL ? "mean" : "std");
    }
    amun_status status = fill_normalise(graph, node, mean, std);
    if (status == AMUN_OK) {
        status = commit_node(out, graph, node);
    }
    if (status != AMUN_OK) {
        abandon_node(graph, node, graph->param_count);
    }
    return status;
}

/* ---- freezing
 * ------------------------------------------------------------------------------------------ */

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
    if (graph->trainable == 0) {
        return amun__fail(AMUN_ERROR_SHAPE, "the graph has no trainable parameters");
    }
    graph->frozen = 1;
    return AMUN_OK;
}
