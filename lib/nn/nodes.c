/* nodes.c - the public builder calls, one per kind of node: checks, output shape, parameters. */
#include "nn/builder.h"

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
    .padding = AMUN_PADDING_ZERO,
};
static const char *const padding_names[] = {"zeros", "zeros", "circular", "reflect", "replicate"};
#define CONV(member, lo, hi) AMUN__FIELD(amun_conv2d_options, member, AMUN__FIELD_I64, lo, hi)
static const amun__field conv2d_fields[] = {
    CONV(channels, 0, AMUN__GRAPH_MAX_EXTENT),
    CONV(kernel_h, 1, 64),
    CONV(kernel_w, 1, 64),
    CONV(stride_h, 1, 64),
    CONV(stride_w, 1, 64),
    CONV(pad_h, 0, 64),
    CONV(pad_w, 0, 64),
    CONV(dilation_h, 1, 64),
    CONV(dilation_w, 1, 64),
    CONV(groups, 1, AMUN__GRAPH_MAX_EXTENT),
    AMUN__FIELD(amun_conv2d_options, bias, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD_ENUM(amun_conv2d_options, padding, 0, AMUN_PADDING_REPLICATE, padding_names),
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

/* As in PyTorch: what is mirrored or wrapped around must be there. */
static amun_status check_padding(amun_padding padding, int64_t pad, int64_t size, const char *name)
{
    int64_t most = padding == AMUN_PADDING_REFLECT    ? size - 1
                   : padding == AMUN_PADDING_CIRCULAR ? size
                                                      : INT64_MAX;
    if (pad > most) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s: %s padding of %lld does not fit an extent of %lld",
                          name, padding_names[padding], (long long)pad, (long long)size);
    }
    return AMUN_OK;
}

static amun_status fill_conv2d(amun_graph *graph, amun__node *node, const char *name,
                               const amun_conv2d_options *opts)
{
    node->kind = AMUN__NODE_CONV2D;
    AMUN__CHECK(amun__graph_name(graph, node, name));
    AMUN__CHECK(amun__graph_check_extent(opts->channels, 1, AMUN__GRAPH_MAX_EXTENT, "channels"));
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
    node->padding = opts->padding == 0 ? AMUN__PADDING_ZERO : (amun__padding)(opts->padding - 1);
    AMUN__CHECK(check_padding(opts->padding, opts->pad_h, node->height, name));
    AMUN__CHECK(check_padding(opts->padding, opts->pad_w, node->width, name));
    AMUN__CHECK(window_extent(&node->height, node->height, opts->kernel_h, opts->stride_h,
                              opts->pad_h, opts->dilation_h, name));
    AMUN__CHECK(window_extent(&node->width, node->width, opts->kernel_w, opts->stride_w,
                              opts->pad_w, opts->dilation_w, name));
    node->channels = opts->channels;
    int64_t shape[4] = {opts->channels, in / opts->groups, opts->kernel_h, opts->kernel_w};
    AMUN__CHECK(amun__graph_add_param(graph, &node->weight, node, "weight", 1, 4, shape));
    if (opts->bias) {
        AMUN__CHECK(amun__graph_add_param(graph, &node->bias, node, "bias", 1, 1, shape));
    }
    return AMUN_OK;
}

amun_status amun_graph_conv2d(amun_node *out, amun_graph *graph, amun_node src, const char *name,
                              const amun_conv2d_options *opts)
{
    amun__node *node = NULL;
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    int32_t before = graph->param_count;
    amun_conv2d_options full;
    amun_status status = amun__options_read(&conv2d_table, &full, opts);
    if (status == AMUN_OK) {
        status = fill_conv2d(graph, node, name, &full);
    }
    return amun__graph_finish(out, graph, node, before, status);
}

static amun_status fill_linear(amun_graph *graph, amun__node *node, const char *name,
                               int64_t features, int32_t bias)
{
    node->kind = AMUN__NODE_LINEAR;
    AMUN__CHECK(amun__graph_name(graph, node, name));
    AMUN__CHECK(amun__graph_check_extent(features, 1, AMUN__GRAPH_MAX_EXTENT, "features"));
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
    AMUN__CHECK(amun__graph_add_param(graph, &node->weight, node, "weight", 1, 2, shape));
    if (bias) {
        AMUN__CHECK(amun__graph_add_param(graph, &node->bias, node, "bias", 1, 1, shape));
    }
    return AMUN_OK;
}

amun_status amun_graph_linear(amun_node *out, amun_graph *graph, amun_node src, const char *name,
                              int64_t features, int32_t bias)
{
    amun__node *node = NULL;
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    int32_t before = graph->param_count;
    amun_status status = fill_linear(graph, node, name, features, bias);
    return amun__graph_finish(out, graph, node, before, status);
}

static amun_status fill_batchnorm(amun_graph *graph, amun__node *node, const char *name, double eps,
                                  double momentum)
{
    node->kind = AMUN__NODE_BATCHNORM;
    AMUN__CHECK(amun__graph_name(graph, node, name));
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
    AMUN__CHECK(amun__graph_add_param(graph, &node->weight, node, "weight", 1, 1, shape));
    AMUN__CHECK(amun__graph_add_param(graph, &node->bias, node, "bias", 1, 1, shape));
    AMUN__CHECK(
        amun__graph_add_param(graph, &node->running_mean, node, "running_mean", 0, 1, shape));
    AMUN__CHECK(amun__graph_add_param(graph, &node->running_var, node, "running_var", 0, 1, shape));
    node->tracked = graph->tracked_count;
    return AMUN_OK;
}

amun_status amun_graph_batchnorm(amun_node *out, amun_graph *graph, amun_node src, const char *name,
                                 double eps, double momentum)
{
    amun__node *node = NULL;
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    int32_t before = graph->param_count;
    amun_status status = fill_batchnorm(graph, node, name, eps, momentum);
    status = amun__graph_finish(out, graph, node, before, status);
    graph->tracked_count += status == AMUN_OK;
    return status;
}

amun_status amun_graph_relu(amun_node *out, amun_graph *graph, amun_node src)
{
    amun__node *node = NULL;
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    node->kind = AMUN__NODE_RELU;
    return amun__graph_commit(out, graph, node);
}

amun_status amun_graph_add(amun_node *out, amun_graph *graph, amun_node a, amun_node b)
{
    amun__node *node = NULL;
    const amun_node srcs[2] = {a, b};
    AMUN__CHECK(amun__graph_begin(out, graph, srcs, 2, &node));
    const amun__node *na = &graph->nodes[a], *nb = &graph->nodes[b];
    if (na->channels != nb->channels || na->height != nb->height || na->width != nb->width) {
        return amun__fail(AMUN_ERROR_SHAPE, "add: [%lld, %lld, %lld] and [%lld, %lld, %lld] differ",
                          (long long)na->channels, (long long)na->height, (long long)na->width,
                          (long long)nb->channels, (long long)nb->height, (long long)nb->width);
    }
    node->kind = AMUN__NODE_ADD;
    return amun__graph_commit(out, graph, node);
}

amun_status amun_graph_scale(amun_node *out, amun_graph *graph, amun_node src, double factor)
{
    amun__node *node = NULL;
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    if (!isfinite(factor) || fabs(factor) > 1e30) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "factor is %g, must be finite", factor);
    }
    node->kind = AMUN__NODE_SCALE;
    node->factor = factor;
    return amun__graph_commit(out, graph, node);
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
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
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
    return amun__graph_commit(out, graph, node);
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
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    node->kind = AMUN__NODE_AVG_POOL;
    node->kernel[0] = node->stride[0] = node->height;
    node->kernel[1] = node->stride[1] = node->width;
    node->height = node->width = 1;
    return amun__graph_commit(out, graph, node);
}

amun_status amun_graph_flatten(amun_node *out, amun_graph *graph, amun_node src)
{
    amun__node *node = NULL;
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    node->kind = AMUN__NODE_FLATTEN;
    node->channels = node->channels * node->height * node->width;
    node->height = node->width = 1;
    return amun__graph_commit(out, graph, node);
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
    AMUN__CHECK(amun__graph_begin(out, graph, srcs, count, &node));
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
    return amun__graph_commit(out, graph, node);
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
    AMUN__CHECK(amun__graph_begin(out, graph, &src, 1, &node));
    if (mean == NULL || std == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", mean == NULL ? "mean" : "std");
    }
    amun_status status = fill_normalise(graph, node, mean, std);
    return amun__graph_finish(out, graph, node, graph->param_count, status);
}
