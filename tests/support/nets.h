/* nets.h - small networks for the tests of the nn room: builder shorthands that assert, parameters
 * without a model around them, and runs of one plan with all that it gives back. */
#ifndef AMUN_TEST_NETS_H
#define AMUN_TEST_NETS_H

#include <stdio.h>
#include <stdlib.h>

#include "nn/graph.h"
#include "support.h"

#define NET_UNUSED __attribute__((unused))

typedef struct net {
    amun_context *ctx;
    amun_graph *graph;
    amun__params params;
} net;

NET_UNUSED static void net_begin(net *n, int64_t channels, int64_t height, int64_t width)
{
    memset(n, 0, sizeof *n);
    ck_ok(amun_context_create(&n->ctx, NULL));
    ck_ok(amun_graph_create(&n->graph, n->ctx, channels, height, width));
}

NET_UNUSED static float net_uniform(amun__rng *rng, double lo, double hi)
{
    return (float)(lo + (hi - lo) * amun__rng_uniform(rng));
}

/* Fresh weights, and batch norms that do something. */
NET_UNUSED static void net_finish(net *n, uint64_t seed)
{
    ck_ok(amun__graph_freeze(n->graph));
    n->params.graph = n->graph;
    ck_ok(amun__calloc(n->ctx, &n->params.values, n->graph->total, sizeof(float)));
    ck_ok(
        amun__calloc(n->ctx, &n->params.tracked, (size_t)n->graph->tracked_count, sizeof(int64_t)));
    amun__params_init(&n->params, seed);
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 1, 0);
    for (int32_t i = 0; i < n->graph->param_count; i++) {
        const amun__param *p = &n->graph->params[i];
        const amun__node *node = &n->graph->nodes[p->node];
        for (size_t k = 0; k < p->count && node->kind == AMUN__NODE_BATCHNORM; k++) {
            bool positive = i == node->weight || i == node->running_var;
            n->params.values[p->offset + k] =
                positive ? net_uniform(&rng, 0.5, 1.5) : net_uniform(&rng, -0.5, 0.5);
        }
    }
    n->params.version++;
}

NET_UNUSED static void net_end(net *n)
{
    amun__free(n->ctx, n->params.values);
    amun__free(n->ctx, n->params.tracked);
    amun_graph_unref(n->graph);
    amun_context_unref(n->ctx);
}

NET_UNUSED static size_t net_node_size(const net *n, int32_t node)
{
    const amun__node *at = &n->graph->nodes[node];
    return (size_t)(at->channels * at->height * at->width);
}

/* ---- builder shorthands ---------------------------------------------------------------------- */

typedef struct conv_form {
    int64_t channels, kernel, stride, pad, dilation, groups;
    int32_t bias;
    amun_padding padding; /* 0: zeros */
} conv_form;

NET_UNUSED static amun_node net_conv(net *n, amun_node src, const char *name, conv_form f)
{
    amun_conv2d_options o;
    ck_ok(amun_conv2d_options_init(&o, sizeof o));
    o.channels = f.channels;
    o.kernel_h = o.kernel_w = f.kernel;
    o.stride_h = o.stride_w = f.stride > 0 ? f.stride : 1;
    o.pad_h = o.pad_w = f.pad;
    o.dilation_h = o.dilation_w = f.dilation > 0 ? f.dilation : 1;
    o.groups = f.groups > 0 ? f.groups : 1;
    o.bias = f.bias;
    o.padding = f.padding;
    amun_node node = -1;
    ck_ok(amun_graph_conv2d(&node, n->graph, src, name, &o));
    return node;
}

NET_UNUSED static amun_node net_bn(net *n, amun_node src, const char *name)
{
    amun_node node = -1;
    ck_ok(amun_graph_batchnorm(&node, n->graph, src, name, 0.0, 0.0));
    return node;
}

NET_UNUSED static amun_node net_relu(net *n, amun_node src)
{
    amun_node node = -1;
    ck_ok(amun_graph_relu(&node, n->graph, src));
    return node;
}

NET_UNUSED static amun_node net_add(net *n, amun_node a, amun_node b)
{
    amun_node node = -1;
    ck_ok(amun_graph_add(&node, n->graph, a, b));
    return node;
}

NET_UNUSED static amun_node net_scale(net *n, amun_node src, double factor)
{
    amun_node node = -1;
    ck_ok(amun_graph_scale(&node, n->graph, src, factor));
    return node;
}

NET_UNUSED static amun_node net_pool(net *n, amun_node src, bool average, int64_t kernel,
                                     int64_t stride, int64_t pad)
{
    amun_pool_options o;
    ck_ok(amun_pool_options_init(&o, sizeof o));
    o.kernel_h = o.kernel_w = kernel;
    o.stride_h = o.stride_w = stride;
    o.pad_h = o.pad_w = pad;
    amun_node node = -1;
    ck_ok(average ? amun_graph_avg_pool(&node, n->graph, src, &o)
                  : amun_graph_max_pool(&node, n->graph, src, &o));
    return node;
}

NET_UNUSED static amun_node net_global_pool(net *n, amun_node src)
{
    amun_node node = -1;
    ck_ok(amun_graph_global_pool(&node, n->graph, src));
    return node;
}

NET_UNUSED static amun_node net_flatten(net *n, amun_node src)
{
    amun_node node = -1;
    ck_ok(amun_graph_flatten(&node, n->graph, src));
    return node;
}

NET_UNUSED static amun_node net_linear(net *n, amun_node src, const char *name, int64_t features,
                                       int32_t bias)
{
    amun_node node = -1;
    ck_ok(amun_graph_linear(&node, n->graph, src, name, features, bias));
    return node;
}

/* Flatten and a dense layer to 5 classes: ends networks whose point lies elsewhere. */
NET_UNUSED static void net_head(net *n, amun_node src)
{
    net_linear(n, net_flatten(n, src), "head", 5, 1);
}

/* ---- runs
 * ---------------------------------------------------------------------------------------- */

/* What one forward and backward of a plan gave. */
typedef struct net_run {
    amun__plan *plan;
    float *logits, *diff_src, *diff_params, *means, *variances; /* unused ones are NULL */
    size_t logit_count, src_count, param_count, channel_count;
} net_run;

NET_UNUSED static void net_execute(net_run *run, const net *n, const amun__backend *backend,
                                   amun__mode mode, int64_t batch, const float *src,
                                   const float *diff_dst)
{
    memset(run, 0, sizeof *run);
    ck_ok(amun__plan_create(&run->plan, n->ctx, &n->params, batch, mode, backend));
    run->logit_count = (size_t)batch * net_node_size(n, n->graph->node_count - 1);
    run->logits = calloc(run->logit_count, sizeof(float));
    ck_ok(amun__plan_forward(run->plan, src, run->logits));
    if (mode == AMUN__MODE_INFER) {
        return;
    }
    if (amun__mode_trains(mode)) {
        run->param_count = n->graph->trainable;
        run->diff_params = calloc(run->param_count + 1, sizeof(float));
    }
    if (mode == AMUN__MODE_TRAIN) {
        run->means = calloc(n->graph->total + 1, sizeof(float)); /* more than all channels */
        run->variances = calloc(n->graph->total + 1, sizeof(float));
        for (int32_t i = 0; i < n->graph->node_count; i++) {
            if (n->graph->nodes[i].kind == AMUN__NODE_BATCHNORM) {
                ck_ok(run->plan->backend->statistics(run->plan, i, run->means + run->channel_count,
                                                     run->variances + run->channel_count));
                run->channel_count += (size_t)n->graph->nodes[i].channels;
            }
        }
    }
    run->src_count = (size_t)batch * net_node_size(n, 0);
    run->diff_src = calloc(run->src_count, sizeof(float));
    ck_ok(amun__plan_backward(run->plan, diff_dst, run->diff_src, run->diff_params));
}

NET_UNUSED static void net_run_free(net_run *run)
{
    amun__plan_destroy(run->plan);
    free(run->logits);
    free(run->diff_src);
    free(run->diff_params);
    free(run->means);
    free(run->variances);
}

NET_UNUSED static float *net_random(size_t count, uint64_t seed, double lo, double hi)
{
    float *values = calloc(count > 0 ? count : 1, sizeof(float));
    ck_assert_ptr_nonnull(values);
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 2, 0);
    for (size_t i = 0; i < count; i++) {
        values[i] = net_uniform(&rng, lo, hi);
    }
    return values;
}

/* Largest difference over largest magnitude; infinite if anything is not finite. */
NET_UNUSED static double net_error(const float *a, const float *b, size_t count)
{
    double worst = 0.0, top = 0.0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            return INFINITY;
        }
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        top = fmax(top, fabs((double)b[i]));
    }
    return worst / fmax(top, 1e-6);
}

#endif
