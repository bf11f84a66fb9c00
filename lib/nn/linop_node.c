/* linop_node.c - the linear map of a node of a model, batch norms by their running statistics. */
#include "nn/linop_private.h"
#include "nn/model_private.h"

static const float *param_values(const amun_model *model, int32_t index)
{
    return model->params.values + model->graph->params[index].offset;
}

/* The linear part of a batch norm, normalisation or scale: one factor per channel. */
static amun_status fill_factors(amun__linop_source *source, const amun_model *model, int32_t index)
{
    const amun__node *node = &model->graph->nodes[index];
    const size_t channels = (size_t)node->channels;
    AMUN__CHECK(amun__alloc(source->ctx, &source->factors, channels, sizeof *source->factors));
    AMUN__CHECK(amun__alloc(source->ctx, &source->narrow, channels, sizeof *source->narrow));
    for (int64_t c = 0; c < node->channels; c++) {
        double *factor = &source->factors[c];
        if (node->kind == AMUN__NODE_BATCHNORM) {
            double var = (double)param_values(model, node->running_var)[c];
            *factor = (double)param_values(model, node->weight)[c] / sqrt(var + node->eps);
        } else {
            *factor = node->kind == AMUN__NODE_SCALE ? node->factor : 1.0 / node->std[c];
        }
        source->narrow[c] = (float)*factor;
        if (!isfinite(*factor)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "node %d: factor %g of channel %lld", index,
                              *factor, (long long)c);
        }
    }
    return AMUN_OK;
}

int32_t amun__linop_batchnorm_of(const amun_graph *graph, int32_t index)
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
                           .out_height = node->height,
                           .out_width = node->width,
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

amun__linop_shape amun__linop_dense_shape(int64_t in, int64_t out)
{
    return (amun__linop_shape){.in_channels = in,
                               .in_height = 1,
                               .in_width = 1,
                               .out_channels = out,
                               .out_height = 1,
                               .out_width = 1,
                               .kernel = {1, 1},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .groups = 1};
}

static amun_status find_kind(amun__linop_kind *kind, const amun_graph *graph, int32_t node)
{
    if (node < 0 || node >= graph->node_count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "node %d does not exist, the graph has nodes 0..%d", node,
                          graph->node_count - 1);
    }
    switch (graph->nodes[node].kind) {
    case AMUN__NODE_CONV2D:
        *kind = AMUN__LINOP_CONV2D;
        return AMUN_OK;
    case AMUN__NODE_LINEAR:
        *kind = AMUN__LINOP_LINEAR;
        return AMUN_OK;
    case AMUN__NODE_BATCHNORM:
    case AMUN__NODE_SCALE:
    case AMUN__NODE_NORMALISE:
        *kind = AMUN__LINOP_DIAGONAL;
        return AMUN_OK;
    case AMUN__NODE_AVG_POOL:
        *kind = AMUN__LINOP_AVG_POOL;
        return AMUN_OK;
    case AMUN__NODE_INPUT:
    case AMUN__NODE_RELU:
    case AMUN__NODE_ADD:
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_FLATTEN:
    case AMUN__NODE_CONCAT:
        break;
    }
    return amun__fail(AMUN_ERROR_UNSUPPORTED, "node %d (kind %d) is not a linear map of a layer",
                      node, (int)graph->nodes[node].kind);
}

amun_status amun__linop_source_open(amun__linop_source *source, const amun_model *model,
                                    int32_t node, bool fold_batchnorm)
{
    const amun_graph *graph = model->graph;
    *source = (amun__linop_source){.ctx = model->object.ctx};
    AMUN__CHECK(find_kind(&source->kind, graph, node));
    const amun__node *n = &graph->nodes[node];
    int32_t factors = source->kind == AMUN__LINOP_DIAGONAL ? node : -1;
    source->shape = amun__linop_node_shape(graph, node);
    if (source->kind == AMUN__LINOP_CONV2D || source->kind == AMUN__LINOP_LINEAR) {
        source->weights = param_values(model, n->weight);
        source->weight_count = graph->params[n->weight].count;
        factors = fold_batchnorm ? amun__linop_batchnorm_of(graph, node) : -1;
    }
    amun_status status = factors >= 0 ? fill_factors(source, model, factors) : AMUN_OK;
    if (status != AMUN_OK) {
        amun__linop_source_close(source);
    }
    return status;
}

void amun__linop_source_close(amun__linop_source *source)
{
    amun__free(source->ctx, source->factors);
    amun__free(source->ctx, source->narrow);
    *source = (amun__linop_source){.ctx = source->ctx};
}

/* Weights and factors once more, not rounded to float between them. */
static amun_status refine(amun__linop *op, const amun__linop_source *source)
{
    double *wide = NULL;
    amun_status status;
    AMUN__TRY(amun__alloc(op->ctx, &wide, source->weight_count, sizeof *wide));
    for (size_t i = 0; i < source->weight_count; i++) {
        wide[i] = (double)source->weights[i];
    }
    AMUN__TRY(amun__linop_set_weights_f64(op, wide, source->factors));
fail:
    amun__free(op->ctx, wide);
    return status;
}

amun_status amun__linop_set_source(amun__linop *op, const amun__linop_source *source)
{
    bool wide = amun__linop_is_f64(op);
    switch (source->kind) {
    case AMUN__LINOP_CONV2D:
    case AMUN__LINOP_LINEAR:
        return wide ? refine(op, source)
                    : amun__linop_set_weights(op, source->weights, source->narrow);
    case AMUN__LINOP_DIAGONAL:
        return wide ? amun__linop_set_weights_f64(op, source->factors, NULL)
                    : amun__linop_set_weights(op, source->narrow, NULL);
    case AMUN__LINOP_AVG_POOL:
    case AMUN__LINOP_CHAIN:
        break;
    }
    return AMUN_OK;
}

amun_status amun__linop_create_source(amun__linop **out, const amun__linop_source *source,
                                      int64_t max_block, amun__linop_backend backend)
{
    const amun__linop_shape *s = &source->shape;
    amun__linop *op = NULL;
    amun_status status = AMUN_OK;
    *out = NULL;
    switch (source->kind) {
    case AMUN__LINOP_CONV2D:
        AMUN__TRY(amun__linop_create_conv2d(&op, source->ctx, s, source->weights, source->narrow,
                                            max_block, backend));
        break;
    case AMUN__LINOP_LINEAR:
        AMUN__TRY(amun__linop_create_linear(&op, source->ctx, s->in_channels, s->out_channels,
                                            source->weights, source->narrow, max_block, backend));
        break;
    case AMUN__LINOP_DIAGONAL:
        AMUN__TRY(amun__linop_create_diagonal(&op, source->ctx, s->out_channels, s->out_height,
                                              s->out_width, source->narrow, max_block, backend));
        break;
    default:
        AMUN__TRY(amun__linop_create_avg_pool(&op, source->ctx, s, max_block, backend));
        break;
    }
    if (amun__linop_is_f64(op)) {
        AMUN__TRY(amun__linop_set_source(op, source));
    }
    *out = op;
    op = NULL;
fail:
    amun__linop_destroy(op);
    return status;
}

amun_status amun__linop_create_node(amun__linop **out, const amun_model *model, int32_t node,
                                    bool fold_batchnorm, int64_t max_block,
                                    amun__linop_backend backend)
{
    amun__linop_source source;
    *out = NULL;
    AMUN__CHECK(amun__linop_source_open(&source, model, node, fold_batchnorm));
    amun_status status = amun__linop_create_source(out, &source, max_block, backend);
    amun__linop_source_close(&source);
    return status;
}
