/* test_linop_node.c - linear maps of the nodes of a model, against what the engine itself computes
 * for them. */
#include "linop_fixture.h"
#include "nets.h"
#include "nn/model_private.h"

/* A network with every kind of linear node, and convolutions with and without a batch norm of their
 * own. */
static amun_model *node_model(amun_context *ctx)
{
    net n = {.ctx = ctx};
    const double mean[4] = {0.1, 0.2, 0.3, 0.4}, std[4] = {0.5, 1.5, 2.5, 3.5};
    amun_node at = 0, left;
    amun_model *model = NULL;
    ck_ok(amun_graph_create(&n.graph, ctx, 4, 8, 8));
    ck_ok(amun_graph_normalise(&at, n.graph, at, mean, std));
    at = net_conv(&n, at, "a", (conv_form){.channels = 8, .kernel = 3, .pad = 1, .bias = 1});
    at = net_bn(&n, at, "a_bn");
    at = net_relu(&n, at);
    left = net_conv(&n, at, "b",
                    (conv_form){.channels = 8, .kernel = 5, .pad = 3, .stride = 2, .groups = 2});
    at = net_scale(&n, net_bn(&n, left, "b_bn"), 0.75);
    at = net_add(&n, at, left); /* b is read twice */
    at = net_pool(&n, at, true, 2, 2, 1);
    at = net_flatten(&n, at);
    at = net_bn(&n, net_linear(&n, at, "fc", 6, 1), "fc_bn");
    ck_ok(amun_model_create_graph(&model, ctx, n.graph, 3));
    amun_graph_unref(n.graph);
    amun__rng rng;
    amun__rng_open(&rng, 8, AMUN__RNG_TEST, 1, 0);
    for (int32_t i = 0; i < model->graph->node_count; i++) {
        const amun__node *node = &model->graph->nodes[i];
        for (int64_t c = 0; c < node->channels && node->kind == AMUN__NODE_BATCHNORM; c++) {
            float *values = model->params.values;
            const amun__param *params = model->graph->params;
            values[params[node->weight].offset + (size_t)c] = net_uniform(&rng, -1.5, 1.5);
            values[params[node->running_mean].offset + (size_t)c] = net_uniform(&rng, -1, 1);
            values[params[node->running_var].offset + (size_t)c] = net_uniform(&rng, 0.2, 2);
        }
    }
    amun__model_touch(model);
    return model;
}

/* Differences of a node's input and output between two images: affine nodes map one to the other by
 * their linear part. */
typedef struct node_probe {
    pair in, out;
} node_probe;

static node_probe probe_node(amun__plan *plan, int32_t from, int32_t to, const float *images)
{
    const amun_graph *graph = plan->graph;
    size_t in = (size_t)(graph->nodes[from].channels * graph->nodes[from].height *
                         graph->nodes[from].width);
    size_t out =
        (size_t)(graph->nodes[to].channels * graph->nodes[to].height * graph->nodes[to].width);
    node_probe p = {pair_new(in), pair_new(out)};
    float logits[6];
    for (int i = 0; i < 2; i++) {
        ck_ok(amun__plan_forward(plan, images + i * 256, logits));
        const double *x = amun__ref_f64_output(plan, from), *y = amun__ref_f64_output(plan, to);
        for (size_t j = 0; j < in; j++) {
            p.in.wide[j] = x[j] - p.in.wide[j];
        }
        for (size_t j = 0; j < out; j++) {
            p.out.wide[j] = y[j] - p.out.wide[j];
        }
    }
    pair_sync(&p.in, true);
    return p;
}

static void check_node(const amun_model *model, amun__plan *plan, int32_t node, bool fold,
                       int32_t last, const float *images)
{
    node_probe p = probe_node(plan, model->graph->nodes[node].inputs[0], last, images);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = NULL;
        ck_ok(amun__linop_create_node(&op, model, node, fold, 2, fixture_backends[b]));
        pair y = pair_new(p.out.count);
        ck_assert_uint_eq(amun__linop_out(op), y.count);
        pair_apply(op, false, 1, &p.in, &y);
        double error = fixture_error(y.wide, p.out.wide, y.count);
        ck_assert_msg(error <= tolerance(fixture_backends[b]), "node %d to %d, backend %d: %g",
                      node, last, (int)fixture_backends[b], error);
        pair_free(&y);
        amun__linop_destroy(op);
    }
    pair_free(&p.in);
    pair_free(&p.out);
}

START_TEST(nodes)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = node_model(ctx);
    const amun_graph *graph = model->graph;
    amun__plan *plan = NULL;
    amun__linop *op = NULL;
    ck_ok(
        amun__plan_create(&plan, ctx, &model->params, 1, AMUN__MODE_INFER, &amun__backend_ref_f64));
    float *images = net_random(2 * 256, 5, 0, 1);
    int32_t seen = 0, folded = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        switch (graph->nodes[i].kind) {
        case AMUN__NODE_CONV2D:
        case AMUN__NODE_LINEAR: {
            bool single = strcmp(graph->nodes[i].name, "b") != 0;
            check_node(model, plan, i, false, i, images);
            check_node(model, plan, i, true, single ? i + 1 : i, images);
            folded += single;
            seen++;
            break;
        }
        case AMUN__NODE_BATCHNORM:
        case AMUN__NODE_SCALE:
        case AMUN__NODE_NORMALISE:
        case AMUN__NODE_AVG_POOL:
            check_node(model, plan, i, true, i, images);
            seen++;
            break;
        default:
            ck_fails(amun__linop_create_node(&op, model, i, false, 1, AMUN__LINOP_BEST),
                     AMUN_ERROR_UNSUPPORTED, "not a linear map");
            ck_assert_ptr_null(op);
        }
    }
    ck_assert_int_eq(seen, 9);
    ck_assert_int_eq(folded, 2);
    ck_fails(amun__linop_create_node(&op, model, 99, false, 1, AMUN__LINOP_BEST),
             AMUN_ERROR_INVALID_ARGUMENT, "node 99");
    amun__plan_destroy(plan);
    free(images);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("linop_node");
    tcase_add_test(tc, nodes);
    return amun_test_main("linop_node", (TCase *[]){tc, NULL});
}
