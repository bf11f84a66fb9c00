/* model_spectrum.h - for the tests of a model's spectrum: a context that counts, a small model with
 * all kinds of layers, the explicit matrix of each, and shorthands. */
#ifndef AMUN_TEST_MODEL_SPECTRUM_H
#define AMUN_TEST_MODEL_SPECTRUM_H

#include "nets.h"
#include "nn/model_private.h"
#include "spectral/spectrum.h"
#include "spectrum_fixture.h"

static test_allocator allocator;
static amun_context *ctx;

FIXTURE_UNUSED static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    ck_ok(amun_context_set_threads(ctx, 1)); /* the layers are too small for more */
}

FIXTURE_UNUSED static void teardown(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* ---- models ---------------------------------------------------------------------------------- */

FIXTURE_UNUSED static float *param(amun_model *model, int32_t index)
{
    return model->params.values + model->graph->params[index].offset;
}

/* Batch norms that do something. */
FIXTURE_UNUSED static void stir(amun_model *model, uint64_t seed)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 1, 0);
    for (int32_t i = 0; i < model->graph->node_count; i++) {
        const amun__node *node = &model->graph->nodes[i];
        for (int64_t c = 0; c < node->channels && node->kind == AMUN__NODE_BATCHNORM; c++) {
            param(model, node->weight)[c] = net_uniform(&rng, -1.5, 1.5);
            param(model, node->running_mean)[c] = net_uniform(&rng, -1, 1);
            param(model, node->running_var)[c] = net_uniform(&rng, 0.2, 2);
        }
    }
    amun__model_touch(model);
}

FIXTURE_UNUSED static amun_model *finish(net *n, uint64_t seed)
{
    amun_model *model = NULL;
    ck_ok(amun_model_create_graph(&model, n->ctx, n->graph, seed));
    amun_graph_unref(n->graph);
    stir(model, seed);
    return model;
}

/* Stride, groups, dilation, all paddings, batch norms of their own and shared, a pool whose windows
 * overlap and one whose do not: 12 layers, 9 with the batch norms folded. */
enum { LAYERS = 12, FOLDED = 9 };
FIXTURE_UNUSED static amun_model *varied_model(void)
{
    net n = {.ctx = ctx};
    amun_node at, left;
    ck_ok(amun_graph_create(&n.graph, ctx, 3, 8, 8));
    at = net_conv(&n, 0, "plain", (conv_form){.channels = 4, .kernel = 3, .pad = 1, .bias = 1});
    at = net_relu(&n, net_bn(&n, at, "plain_bn"));
    at = net_conv(&n, at, "grouped",
                  (conv_form){.channels = 6, .kernel = 3, .pad = 2, .dilation = 2, .groups = 2});
    left = net_relu(&n, net_bn(&n, at, "grouped_bn"));
    at = net_add(&n, left, at); /* read twice: its batch norm stays alone */
    at = net_conv(
        &n, at, "circular",
        (conv_form){.channels = 4, .kernel = 3, .pad = 1, .padding = AMUN_PADDING_CIRCULAR});
    at = net_conv(
        &n, net_relu(&n, at), "reflect",
        (conv_form){
            .channels = 5, .kernel = 5, .pad = 2, .stride = 2, .padding = AMUN_PADDING_REFLECT});
    at = net_bn(&n, at, "reflect_bn");
    at = net_conv(
        &n, net_relu(&n, at), "replicate",
        (conv_form){.channels = 6, .kernel = 3, .pad = 1, .padding = AMUN_PADDING_REPLICATE});
    at = net_pool(&n, at, true, 3, 1, 1);
    at = net_conv(&n, at, "pointwise", (conv_form){.channels = 8, .kernel = 1});
    at = net_flatten(&n, net_pool(&n, at, true, 2, 2, 0));
    net_bn(&n, net_linear(&n, at, "fc", 5, 1), "fc_bn");
    return finish(&n, 7);
}

/* The matrix of a layer by the index arithmetic of the fixture, in double. */
FIXTURE_UNUSED static double *layer_matrix(amun_model *model, const amun_layer_spectrum *layer,
                                           size_t *rows, size_t *columns)
{
    const amun_graph *graph = model->graph;
    const amun__node *node = &graph->nodes[layer->node];
    amun__linop_shape s = {.in_channels = layer->in_shape[0],
                           .in_height = layer->in_shape[1],
                           .in_width = layer->in_shape[2],
                           .out_channels = layer->out_shape[0],
                           .kernel = {1, 1},
                           .stride = {1, 1},
                           .dilation = {1, 1},
                           .groups = 1};
    const bool windows = node->kind == AMUN__NODE_CONV2D || node->kind == AMUN__NODE_AVG_POOL;
    for (int i = 0; i < 2 && windows; i++) {
        s.kernel[i] = node->kernel[i];
        s.stride[i] = node->stride[i];
        s.pad[i] = node->pad[i];
    }
    if (node->kind == AMUN__NODE_CONV2D) {
        s.dilation[0] = node->dilation[0], s.dilation[1] = node->dilation[1];
        s.groups = node->groups;
        s.padding = node->padding;
    } else if (node->kind != AMUN__NODE_LINEAR) { /* channel by channel */
        s.groups = s.in_channels;
    }
    const size_t count = fixture_weights(&s), each = count / (size_t)s.out_channels;
    double *weights = calloc(count, sizeof *weights);
    int32_t bn = node->kind == AMUN__NODE_BATCHNORM ? layer->node : -1;
    for (int32_t i = 0; i < graph->node_count && layer->batchnorm != NULL; i++) {
        const char *name = graph->nodes[i].name;
        bn = name != NULL && strcmp(name, layer->batchnorm) == 0 ? i : bn;
    }
    for (size_t i = 0; i < count; i++) {
        const size_t c = i / each;
        weights[i] = node->kind == AMUN__NODE_AVG_POOL    ? 1.0 / (double)each
                     : node->kind == AMUN__NODE_BATCHNORM ? 1.0
                                                          : (double)param(model, node->weight)[i];
        if (bn >= 0) {
            const amun__node *b = &graph->nodes[bn];
            weights[i] *= (double)param(model, b->weight)[c] /
                          sqrt((double)param(model, b->running_var)[c] + b->eps);
        }
    }
    double *matrix = fixture_matrix(&s, weights, rows, columns);
    free(weights);
    return matrix;
}

FIXTURE_UNUSED static amun_spectrum_options options_of(amun_spectrum_method method, int32_t k)
{
    amun_spectrum_options o;
    ck_ok(amun_spectrum_options_init(&o, sizeof o));
    o.method = method;
    o.k = k;
    return o;
}

FIXTURE_UNUSED static amun_spectrum *spectrum_of(amun_model *model, const amun_spectrum_options *o)
{
    amun_spectrum *s = NULL;
    ck_ok(amun_spectrum_create(&s, model, o));
    return s;
}

FIXTURE_UNUSED static amun_layer_spectrum layer_at(const amun_spectrum *s, size_t i)
{
    amun_layer_spectrum layer = {.struct_size = sizeof layer};
    ck_ok(amun_spectrum_layer(s, i, &layer));
    return layer;
}

FIXTURE_UNUSED static bool close_to(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * b;
}

#endif
