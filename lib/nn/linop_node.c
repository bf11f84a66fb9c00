/* linop_node.c - the linear map of a node of a model, batch norms by their running statistics. */
#include "nn/linop_private.h"
#include "nn/model_private.h"

/* One factor per channel, in both precisions. */
typedef struct factors {
    double *wide;
    float *narrow;
} factors;

static amun_status new_factors(factors *f, amun_context *ctx, int64_t channels)
{
    AMUN__CHECK(amun__alloc(ctx, &f->wide, (size_t)channels, sizeof *f->wide));
    return amun__alloc(ctx, &f->narrow, (size_t)channels, sizeof *f->narrow);
}

static void free_factors(factors *f, amun_context *ctx)
{
    amun__free(ctx, f->wide);
    amun__free(ctx, f->narrow);
}

static const float *param_values(const amun_model *model, int32_t index)
{
    return model->params.values + model->graph->params[index].offset;
}

/* The linear part of a batch norm, normalisation or scale. */
static amun_status fill_factors(factors *f, const amun_model *model, int32_t index)
{
    const amun__node *node = &model->graph->nodes[index];
    AMUN__CHECK(new_factors(f, model->object.ctx, node->channels));
    for (int64_t c = 0; c < node->channels; c++) {
        if (node->kind == AMUN__NODE_BATCHNORM) {
            double var = (double)param_values(model, node->running_var)[c];
            f->wide[c] = (double)param_values(model, node->weight)[c] / sqrt(var + node->eps);
        } else {
            f->wide[c] = node->kind == AMUN__NODE_SCALE ? node->factor : 1.0 / node->std[c];
        }
        f->narrow[c] = (float)f->wide[c];
        if (!isfinite(f->wide[c])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "node %d: factor %g of channel %lld", index,
                              f->wide[c], (long long)c);
        }
    }
    return AMUN_OK;
}

int32_t amun__linop_node_batchnorm(const amun_graph *graph, int32_t index)
{
    int32_t found = -1;
    for (int32_t i = index + 1; i < graph->node_count; i++) {
        for (int32_t j = 0; j < graph->nodes[i].input_count; j++) {
            if (graph->nodes[i].inputs[j] == index) {
                if (found >= 0 || graph->nodes[i].kind != AMUN__NODE_BATCHNORM) {
                    return -1;
                }
                found = i;
            }
        }
    }
    return found;
}

amun__linop_shape amun__linop_node_shape(const amun_graph *graph, int32_t index)
{
    const amun__node *node = &graph->nodes[index], *src = &graph->nodes[node->inputs[0]];
    amun__linop_shape s = {.in_channels = src->channels,
                           .in_height = src->height,
                           .in_width = src->width,
                           .out_channels = node->channels,
                           .groups = node->groups,
                           .padding = node->padding};
    for (int i = 0; i < 2; i++) {
        s.kernel[i] = node->kernel[i];
        s.stride[i] = node->stride[i];
        s.pad[i] = node->pad[i];
        s.dilation[i] = node->dilation[i];
    }
    return s;
}

/* Weights and factors once more, not rounded to float between them. */
static amun_status refine(amun__linop *op, const float *weights, const double *scale)
{
    double *wide = NULL;
    size_t count = amun__linop_weight_count(op);
    amun_status status;
    AMUN__TRY(amun__alloc(op->ctx, &wide, count, sizeof *wide));
    for (size_t i = 0; i < count; i++) {
        wide[i] = (double)weights[i];
    }
    AMUN__TRY(amun__linop_set_weights_f64(op, wide, scale));
fail:
    amun__free(op->ctx, wide);
    return status;
}

static amun_status create_weighted(amun__linop **out, const amun_model *model, int32_t index,
                                   bool fold, int64_t max_block, amun__linop_backend backend)
{
    const amun_graph *graph = model->graph;
    const amun__node *node = &graph->nodes[index], *src = &graph->nodes[node->inputs[0]];
    amun_context *ctx = model->object.ctx;
    const float *weights = param_values(model, node->weight);
    int32_t bn = fold ? amun__linop_node_batchnorm(graph, index) : -1;
    amun__linop *op = NULL;
    factors f = {0};
    amun_status status = AMUN_OK;
    if (bn >= 0) {
        AMUN__TRY(fill_factors(&f, model, bn));
    }
    if (node->kind == AMUN__NODE_CONV2D) {
        amun__linop_shape s = amun__linop_node_shape(graph, index);
        AMUN__TRY(amun__linop_create_conv2d(&op, ctx, &s, weights, f.narrow, max_block, backend));
    } else {
        AMUN__TRY(amun__linop_create_linear(&op, ctx, src->channels, node->channels, weights,
                                            f.narrow, max_block, backend));
    }
    if (amun__linop_is_f64(op)) {
        AMUN__TRY(refine(op, weights, f.wide));
    }
    *out = op;
    op = NULL;
fail:
    amun__linop_destroy(op);
    free_factors(&f, ctx);
    return status;
}

static amun_status create_factors(amun__linop **out, const amun_model *model, int32_t index,
                                  int64_t max_block, amun__linop_backend backend)
{
    const amun__node *node = &model->graph->nodes[index];
    amun_context *ctx = model->object.ctx;
    amun__linop *op = NULL;
    factors f = {0};
    amun_status status;
    AMUN__TRY(fill_factors(&f, model, index));
    AMUN__TRY(amun__linop_create_diagonal(&op, ctx, node->channels, node->height, node->width,
                                          f.narrow, max_block, backend));
    if (amun__linop_is_f64(op)) {
        AMUN__TRY(amun__linop_set_weights_f64(op, f.wide, NULL));
    }
    *out = op;
    op = NULL;
fail:
    amun__linop_destroy(op);
    free_factors(&f, ctx);
    return status;
}

amun_status amun__linop_create_node(amun__linop **out, const amun_model *model, int32_t node,
                                    bool fold_batchnorm, int64_t max_block,
                                    amun__linop_backend backend)
{
    const amun_graph *graph = model->graph;
    *out = NULL;
    if (node < 0 || node >= graph->node_count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "node %d does not exist, the graph has nodes 0..%d", node,
                          graph->node_count - 1);
    }
    const amun__node *n = &graph->nodes[node];
    switch (n->kind) {
    case AMUN__NODE_CONV2D:
    case AMUN__NODE_LINEAR:
        return create_weighted(out, model, node, fold_batchnorm, max_block, backend);
    case AMUN__NODE_BATCHNORM:
    case AMUN__NODE_SCALE:
    case AMUN__NODE_NORMALISE:
        return create_factors(out, model, node, max_block, backend);
    case AMUN__NODE_AVG_POOL: {
        amun__linop_shape s = amun__linop_node_shape(graph, node);
        return amun__linop_create_avg_pool(out, model->object.ctx, &s, max_block, backend);
    }
    case AMUN__NODE_INPUT:
    case AMUN__NODE_RELU:
    case AMUN__NODE_ADD:
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_FLATTEN:
    case AMUN__NODE_CONCAT:
        break;
    }
    return amun__fail(AMUN_ERROR_UNSUPPORTED, "node %d (kind %d) is not a linear map of a layer",
                      node, (int)n->kind);
}
