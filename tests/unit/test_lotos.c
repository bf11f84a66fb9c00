/* LOTOS: which layers correspond, and the term against a naive convolution in double: its value in
 * closed form, its gradient by central differences, and what it leaves alone. */
#include "ensemble/lotos.h"
#include "nn/graph.h"
#include "nn/linop.h"
#include "spectral/powerqr.h"
#include "training.h"

enum { CHANNELS = 2, HEIGHT = 6, WIDTH = 5, CLASSES = 3, MODELS = 3 };

static test_allocator allocator;
static amun_context *ctx;
static amun_model *models[MODELS];

/* conv1 (bn1 if asked), ReLU, conv2 of stride 2, bn2, ReLU, fc. */
static amun_model *network(uint64_t seed, bool first_bn, int64_t channels)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    ck_ok(amun_graph_create(&graph, ctx, CHANNELS, HEIGHT, WIDTH));
    conv.channels = channels;
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv1", &conv));
    if (first_bn) {
        ck_ok(amun_graph_batchnorm(&node, graph, node, "bn1", 0, 0));
    }
    ck_ok(amun_graph_relu(&node, graph, node));
    conv.channels = 5;
    conv.stride_h = conv.stride_w = 2;
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv2", &conv));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn2", 0, 0));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", CLASSES, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, seed));
    amun_graph_unref(graph);
    amun__model_values v;
    amun__model_values_get(model, &v);
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 7, 0);
    const amun_graph *g = amun__model_graph(model);
    for (int32_t i = 0; i < g->param_count; i++) { /* batch norms that do something */
        const amun__node *at = &g->nodes[g->params[i].node];
        for (size_t c = 0; c < g->params[i].count && at->kind == AMUN__NODE_BATCHNORM; c++) {
            v.values[g->params[i].offset + c] = (float)(0.5 + amun__rng_uniform(&rng));
        }
    }
    amun__model_touch(model);
    return model;
}

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    for (size_t i = 0; i < MODELS; i++) {
        models[i] = network(20 + i, true, 4);
    }
}

static void teardown(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        amun_model_unref(models[i]);
    }
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

static amun_lotos_options lotos_options(void)
{
    amun_lotos_options o;
    ck_ok(amun_lotos_options_init(&o, sizeof o));
    return o;
}

/* ---- the oracle -------------------------------------------------------------------------------
 */

static size_t place_of(const amun_model *model, const char *name, size_t *count)
{
    const amun_graph *g = amun__model_graph(model);
    for (int32_t i = 0; i < g->param_count; i++) {
        if (strcmp(g->params[i].name, name) == 0) {
            *count = g->params[i].count;
            return g->params[i].offset;
        }
    }
    ck_abort_msg("no %s", name);
    return 0;
}

/* |D W v| for one vector, from double weights and factors (NULL: none). 3x3, pad 1. */
static double naive_length(const amun__node *conv, const amun__node *src, const double *weights,
                           const double *factors, const float *v)
{
    double total = 0.0;
    for (int64_t o = 0; o < conv->channels; o++) {
        double d = factors != NULL ? factors[o] : 1.0;
        for (int64_t y = 0; y < conv->height; y++) {
            for (int64_t x = 0; x < conv->width; x++) {
                double sum = 0.0;
                for (int64_t at = 0; at < src->channels * 9; at++) {
                    int64_t c = at / 9, h = y * conv->stride[0] - 1 + at % 9 / 3;
                    int64_t w = x * conv->stride[1] - 1 + at % 3;
                    bool inside = h >= 0 && w >= 0 && h < src->height && w < src->width;
                    sum += inside ? weights[o * src->channels * 9 + at] *
                                        (double)v[(c * src->height + h) * src->width + w]
                                  : 0.0;
                }
                total += d * d * sum * sum;
            }
        }
    }
    return sqrt(total);
}

typedef struct oracle {
    const amun__node *conv, *src;
    double weights[4 * 5 * 9], gamma[8], q[8];
    const float *vectors[4]; /* [k][in] of each partner */
    size_t partners, weight_count;
    const double *decay;
    int32_t k;
    double coefficient, mal;
    bool folded;
} oracle;

static double oracle_value(const oracle *o)
{
    const size_t in = (size_t)(o->src->channels * o->src->height * o->src->width);
    double total = 0.0, factors[8];
    for (int64_t c = 0; c < o->conv->channels && o->folded; c++) {
        factors[c] = o->gamma[c] / o->q[c];
    }
    for (size_t p = 0; p < o->partners; p++) {
        for (int32_t i = 0; i < o->k; i++) {
            double norm = naive_length(o->conv, o->src, o->weights, o->folded ? factors : NULL,
                                       o->vectors[p] + (size_t)i * in);
            total += o->coefficient * o->decay[i] * fmax(norm - o->mal, 0.0);
        }
    }
    return total;
}

static double slope(const oracle *o, double *x)
{
    const double h = 1e-5, here = *x;
    *x = here + h;
    double up = oracle_value(o);
    *x = here - h;
    double down = oracle_value(o);
    *x = here;
    return (up - down) / (2.0 * h);
}

/* One layer of one member against all others. */
static void oracle_open(oracle *o, const amun__lotos *lotos, const amun__lotos_pairs *pairs,
                        const amun_lotos_options *options, size_t at, bool folded)
{
    const amun__lotos_layer *l = &pairs->layers[at];
    const amun_graph *g = amun__model_graph(models[l->member]);
    amun__model_values v;
    amun__model_values_get(models[l->member], &v);
    *o = (oracle){.conv = &g->nodes[l->node], .folded = folded, .k = options->k};
    o->src = &g->nodes[o->conv->inputs[0]];
    o->decay = amun__lotos_weights(lotos);
    o->coefficient = folded ? options->batchnorm_lambda : options->lambda;
    o->mal = folded ? options->batchnorm_mal : options->mal;
    o->weight_count = g->params[o->conv->weight].count;
    ck_assert_uint_le(o->weight_count, sizeof o->weights / sizeof o->weights[0]);
    for (size_t i = 0; i < o->weight_count; i++) {
        o->weights[i] = (double)v.values[g->params[o->conv->weight].offset + i];
    }
    const amun__node *bn = &g->nodes[l->bn];
    for (int64_t c = 0; c < o->conv->channels; c++) {
        o->gamma[c] = (double)v.values[g->params[bn->weight].offset + (size_t)c];
        o->q[c] = sqrt((double)v.values[g->params[bn->running_var].offset + (size_t)c] + bn->eps);
    }
    for (size_t i = 0; i < pairs->layer_count; i++) {
        if (i != at && strcmp(pairs->layers[i].name, l->name) == 0) {
            o->vectors[o->partners++] = amun__lotos_vectors(lotos, i, folded);
        }
    }
}

/* ---- the term ---------------------------------------------------------------------------------
 */

typedef struct run {
    amun__lotos_pairs pairs;
    amun__lotos *lotos;
    float *diffs[MODELS];
    double value;
} run;

static void run_open(run *r, const amun_lotos_options *options, size_t count, int32_t iterations)
{
    *r = (run){.value = 0.0};
    ck_ok(amun__lotos_pairs_make(&r->pairs, ctx, models, count, options));
    ck_ok(amun__lotos_create(&r->lotos, ctx, models, count, &r->pairs, options));
    for (size_t i = 0; i < count; i++) {
        amun__model_values v;
        amun__model_values_get(models[i], &v);
        r->diffs[i] = calloc(v.trainable, sizeof(float));
    }
    ck_ok(amun__lotos_refresh(r->lotos, iterations, NULL));
    ck_ok(amun__lotos_add(r->lotos, r->diffs, &r->value));
}

static void run_close(run *r)
{
    for (size_t i = 0; i < MODELS; i++) {
        free(r->diffs[i]);
    }
    amun__lotos_destroy(r->lotos);
    amun__lotos_pairs_free(&r->pairs);
}

/* Relative distance between a piece of a gradient and central differences of the oracles. */
static double gradient_error(const float *diff, size_t count, oracle *o, size_t terms,
                             double *const *variables)
{
    double wrong = 0.0, whole = 0.0;
    for (size_t i = 0; i < count; i++) {
        double expected = 0.0;
        for (size_t t = 0; t < terms; t++) {
            expected += variables[t] != NULL ? slope(&o[t], &variables[t][i]) : 0.0;
        }
        wrong += pow((double)diff[i] - expected, 2.0);
        whole += expected * expected;
    }
    ck_assert_double_gt(whole, 0.0);
    return sqrt(wrong / whole);
}

static void check_gradients(const amun_lotos_options *options)
{
    run r;
    run_open(&r, options, MODELS, 5);
    double value = 0.0;
    for (size_t at = 0; at < r.pairs.layer_count; at++) {
        const amun__lotos_layer *l = &r.pairs.layers[at];
        const amun_graph *g = amun__model_graph(models[l->member]);
        oracle o[2];
        const size_t terms = options->batchnorm ? 2 : 1;
        double *weights[2] = {NULL, NULL}, *gammas[2] = {NULL, NULL};
        for (size_t t = 0; t < terms; t++) {
            oracle_open(&o[t], r.lotos, &r.pairs, options, at, t == 1);
            ck_assert_uint_eq(o[t].partners, MODELS - 1);
            value += oracle_value(&o[t]);
            weights[t] = o[t].weights;
        }
        const float *diff = r.diffs[l->member];
        const amun__param *w = &g->params[g->nodes[l->node].weight];
        ck_assert_double_lt(gradient_error(diff + w->offset, w->count, o, terms, weights), 2e-6);
        if (options->batchnorm) {
            const amun__param *gamma = &g->params[g->nodes[l->bn].weight];
            gammas[1] = o[1].gamma;
            ck_assert_double_lt(gradient_error(diff + gamma->offset, gamma->count, o, 2, gammas),
                                2e-6);
        }
    }
    ck_close(r.value, value, 1e-6 * value);
    run_close(&r);
}

START_TEST(test_gradient)
{
    amun_lotos_options o = lotos_options();
    o.k = 3;
    o.lambda = 0.7;
    o.decay = 0.25;
    o.mal = 0.05;
    check_gradients(&o);
    o.mal = 0.3; /* some directions cost, some do not */
    check_gradients(&o);
}
END_TEST

START_TEST(test_gradient_batchnorm)
{
    amun_lotos_options o = lotos_options();
    o.k = 2;
    o.batchnorm = 1;
    o.lambda = 0.3;
    o.batchnorm_lambda = 0.6;
    o.mal = 0.1;
    o.batchnorm_mal = 0.15;
    check_gradients(&o);
}
END_TEST

/* Nothing else has a gradient, and no value of a model moves. */
START_TEST(test_leaves_alone)
{
    amun_lotos_options o = lotos_options();
    o.batchnorm = 1;
    o.mal = o.batchnorm_mal = 0.0;
    model_bytes before = bytes_of(models[0]);
    run r;
    run_open(&r, &o, 2, 10);
    ck_assert(same_bytes(before, bytes_of(models[0])));
    const char *const untouched[] = {"bn1.bias", "bn2.bias", "fc.weight", "fc.bias"};
    for (size_t i = 0; i < 4; i++) {
        size_t count = 0, at = place_of(models[0], untouched[i], &count);
        for (size_t k = 0; k < count; k++) {
            ck_assert(r.diffs[0][at + k] == 0.0f);
        }
    }
    run_close(&r);
}
END_TEST

/* sigma_1..sigma_k of a layer's map, exactly. */
static void exact(const amun_model *model, int32_t node, double *values)
{
    amun__linop *op = NULL;
    double all[512];
    ck_ok(amun__linop_create_node(&op, model, node, false, 1, AMUN__LINOP_REF_F64));
    ck_ok(amun__spectrum_exact(ctx, op, all));
    memcpy(values, all, 3 * sizeof *values);
    amun__linop_destroy(op);
}

/* f = g: per direction sum_i w_i (sigma_i - mal); nothing from sigma_1 upwards. */
START_TEST(test_equal_layers)
{
    amun_lotos_options o = lotos_options();
    o.k = 3;
    o.lambda = 1.0;
    o.decay = 0.2;
    o.mal = 0.1;
    o.block = 12;
    amun_model *other = models[1];
    ck_ok(amun_model_clone(&models[1], models[0]));
    amun_model_unref(other);
    run r;
    run_open(&r, &o, 2, 2000);
    double expected = 0.0, most = 0.0;
    const double weights[3] = {1.0 / 2.4, 0.8 / 2.4, 0.6 / 2.4};
    for (size_t l = 0; l < r.pairs.layer_count; l++) {
        double sigma[3];
        exact(models[r.pairs.layers[l].member], r.pairs.layers[l].node, sigma);
        most = fmax(most, sigma[0]);
        for (size_t i = 0; i < 3; i++) {
            ck_close(amun__lotos_weights(r.lotos)[i], weights[i], 1e-15);
            expected += weights[i] * (sigma[i] - o.mal);
        }
    }
    ck_close(r.value, expected, 1e-4 * expected);
    run_close(&r);
    o.mal = most * (1.0 + 1e-5);
    run_open(&r, &o, 2, 500);
    ck_assert(r.value == 0.0);
    amun__model_values v;
    amun__model_values_get(models[0], &v);
    for (size_t i = 0; i < v.trainable; i++) {
        ck_assert(r.diffs[0][i] == 0.0f && r.diffs[1][i] == 0.0f);
    }
    run_close(&r);
}
END_TEST

/* |f v'| = 0 and mal = 0: no term, no gradient, no NaN. */
START_TEST(test_zero_layer)
{
    amun_lotos_options o = lotos_options();
    o.mal = 0.0;
    o.match = AMUN_LOTOS_MATCH_FIRST_ONLY;
    size_t count = 0, at = place_of(models[0], "conv1.weight", &count);
    float *zeros = calloc(count, sizeof *zeros);
    ck_ok(amun_model_set_tensor(models[0], "conv1.weight", zeros, count));
    run r;
    run_open(&r, &o, 2, 20);
    for (size_t i = 0; i < count; i++) {
        ck_assert(r.diffs[0][at + i] == 0.0f);
        ck_assert(isfinite(r.diffs[1][at + i]));
    }
    ck_assert(isfinite(r.value));
    free(zeros);
    run_close(&r);
}
END_TEST

/* mean: lambda * (N / ordered pairs) * the sum: lambda_mean = lambda_sum * M (N - 1). */
START_TEST(test_mean)
{
    amun_lotos_options o = lotos_options();
    o.mal = 0.2;
    run sum, mean;
    run_open(&sum, &o, MODELS, 10);
    o.mean = 1;
    o.lambda *= 2 * (MODELS - 1); /* M = 2 layers */
    run_open(&mean, &o, MODELS, 10);
    ck_assert_double_gt(sum.value, 0.0);
    ck_close(mean.value, sum.value, 1e-12 * sum.value);
    run_close(&sum);
    run_close(&mean);
}
END_TEST

/* ---- pairs ------------------------------------------------------------------------------------
 */

static void check_refused(const amun_lotos_options *o, size_t count, amun_status expected,
                          const char *const *words)
{
    amun__lotos_pairs pairs;
    ck_assert_int_eq(amun__lotos_pairs_make(&pairs, ctx, models, count, o), expected);
    for (; *words != NULL; words++) {
        ck_assert_msg(strstr(amun_last_error_message(), *words) != NULL, "no \"%s\" in: %s", *words,
                      amun_last_error_message());
    }
    ck_assert_uint_eq(pairs.layer_count, 0);
}

START_TEST(test_pairs_of_equals)
{
    amun_lotos_options o = lotos_options();
    for (int32_t match = 1; match <= 3; match++) {
        amun__lotos_pairs pairs;
        o.match = match;
        ck_ok(amun__lotos_pairs_make(&pairs, ctx, models, MODELS, &o));
        const size_t layers = match == AMUN_LOTOS_MATCH_FIRST_ONLY ? 1 : 2;
        ck_assert_uint_eq(pairs.layer_count, layers * MODELS);
        ck_assert_uint_eq(pairs.pair_count, layers * 3);
        for (size_t i = 0; i < pairs.pair_count; i++) {
            const amun__lotos_layer *a = &pairs.layers[pairs.pairs[i][0]];
            const amun__lotos_layer *b = &pairs.layers[pairs.pairs[i][1]];
            ck_assert(strcmp(a->name, b->name) == 0 && a->member < b->member && a->bn >= 0);
        }
        amun__lotos_pairs_free(&pairs);
    }
}
END_TEST

/* Named networks of different depth: resnet20 has every input of resnet8, and more of them. */
START_TEST(test_pairs_of_different)
{
    amun_model *swap[2] = {models[0], models[1]};
    amun_lotos_options o = lotos_options();
    amun__lotos_pairs pairs;
    ck_ok(amun_model_create(&models[0], ctx, "resnet20", NULL));
    ck_ok(amun_model_create(&models[1], ctx, "resnet8", NULL));
    check_refused(&o, 2, AMUN_ERROR_SHAPE,
                  (const char *const[]){"member 0 has ", "member 1 has ", "convolutions", NULL});
    o.match = AMUN_LOTOS_MATCH_FIRST_ONLY;
    ck_ok(amun__lotos_pairs_make(&pairs, ctx, models, 2, &o));
    ck_assert_uint_eq(pairs.pair_count, 1);
    ck_assert_str_eq(pairs.layers[0].name, "conv1");
    amun__lotos_pairs_free(&pairs);
    o.match = AMUN_LOTOS_MATCH_BY_INPUT_SHAPE;
    ck_ok(amun__lotos_pairs_make(&pairs, ctx, models, 2, &o));
    size_t convolutions = 0;
    const amun_graph *g = amun__model_graph(models[1]);
    for (int32_t i = 0; i < g->node_count; i++) {
        convolutions += g->nodes[i].kind == AMUN__NODE_CONV2D;
    }
    ck_assert_uint_eq(pairs.pair_count, convolutions);
    amun__lotos_pairs_free(&pairs);
    amun_model_unref(models[1]);
    ck_ok(amun_model_create(&models[1], ctx, "vgg11", NULL));
    check_refused(&o, 2, AMUN_ERROR_SHAPE,
                  (const char *const[]){"of member", "64x16x16", "only 0 convolutions", NULL});
    amun_model_unref(models[0]);
    amun_model_unref(models[1]);
    models[0] = swap[0];
    models[1] = swap[1];
}
END_TEST

/* Equal counts, other channels between: both layers, members and shapes are named. */
START_TEST(test_pairs_of_other_width)
{
    amun_model_unref(models[1]);
    models[1] = network(3, true, 3);
    amun_lotos_options o = lotos_options();
    check_refused(&o, 2, AMUN_ERROR_SHAPE,
                  (const char *const[]){"layer conv2 of member 0 takes 4x6x5",
                                        "layer conv2 of member 1 3x6x5", NULL});
}
END_TEST

START_TEST(test_pairs_by_name)
{
    amun_lotos_options o = lotos_options();
    amun__lotos_pairs pairs;
    amun_layer_pair list[3] = {{"conv1", "conv1", 0, 2}, {"fc", "fc", 1, 2}, {NULL, NULL, 0, 0}};
    o.pairs = list;
    o.pair_count = 2;
    check_refused(&o, MODELS, AMUN_ERROR_INVALID_ARGUMENT, (const char *const[]){"match", NULL});
    o.match = AMUN_LOTOS_MATCH_PAIRS;
    ck_ok(amun__lotos_pairs_make(&pairs, ctx, models, MODELS, &o));
    ck_assert_uint_eq(pairs.pair_count, 2);
    ck_assert_uint_eq(pairs.layer_count, 4);
    amun__lotos_pairs_free(&pairs);
    run r; /* dense layers have a term too */
    o.mal = 0.1;
    run_open(&r, &o, MODELS, 20);
    ck_assert_double_gt(r.value, 0.0);
    run_close(&r);
    const struct {
        amun_layer_pair pair;
        const char *word;
    } bad[] = {
        {{"conv1", "conv1", 0, 3}, "member 3"},
        {{"conv1", "conv1", -1, 1}, "member -1"},
        {{"conv1", "conv9", 0, 1}, "\"conv9\""},
        {{"bn1", "bn1", 0, 1}, "\"bn1\""},
        {{"conv1", NULL, 0, 1}, "NULL"},
        {{"conv1", "conv2", 1, 1}, "both layers are of member 1"},
        {{"conv1", "conv1", 2, 0}, "twice"},
    };
    o.pair_count = 3;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        list[2] = bad[i].pair;
        check_refused(&o, MODELS, AMUN_ERROR_INVALID_ARGUMENT,
                      (const char *const[]){bad[i].word, NULL});
    }
    list[2] = (amun_layer_pair){"conv1", "conv2", 0, 1};
    check_refused(&o, MODELS, AMUN_ERROR_SHAPE,
                  (const char *const[]){"conv1", "2x6x5", "conv2", "4x6x5", NULL});
    o.pair_count = 0;
    check_refused(&o, MODELS, AMUN_ERROR_INVALID_ARGUMENT,
                  (const char *const[]){"pair_count is 0", NULL});
}
END_TEST

/* A first layer without batch norm in one member only. */
START_TEST(test_pairs_batchnorm)
{
    amun_lotos_options o = lotos_options();
    o.batchnorm = 1;
    amun_model_unref(models[1]);
    models[1] = network(3, false, 4);
    check_refused(&o, 2, AMUN_ERROR_INVALID_ARGUMENT,
                  (const char *const[]){"layer conv1 of member 0 has a batch norm",
                                        "conv1 of member 1 has none", NULL});
    amun_model_unref(models[0]);
    models[0] = network(4, false, 4);
    amun__lotos_pairs pairs;
    ck_ok(amun__lotos_pairs_make(&pairs, ctx, models, 2, &o)); /* conv2 has one in both */
    amun__lotos_pairs_free(&pairs);
    o.match = AMUN_LOTOS_MATCH_FIRST_ONLY;
    check_refused(&o, 2, AMUN_ERROR_INVALID_ARGUMENT,
                  (const char *const[]){"none of 2 layers", NULL});
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("lotos");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_gradient);
    tcase_add_test(tc, test_gradient_batchnorm);
    tcase_add_test(tc, test_leaves_alone);
    tcase_add_test(tc, test_equal_layers);
    tcase_add_test(tc, test_zero_layer);
    tcase_add_test(tc, test_mean);
    tcase_add_test(tc, test_pairs_of_equals);
    tcase_add_test(tc, test_pairs_of_different);
    tcase_add_test(tc, test_pairs_of_other_width);
    tcase_add_test(tc, test_pairs_by_name);
    tcase_add_test(tc, test_pairs_batchnorm);
    return amun_test_main("lotos", (TCase *[]){tc, NULL});
}
