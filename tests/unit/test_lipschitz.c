/* The product bound: small graphs worked out by hand, published networks with layers of norm 1, and
 * that no pair of inputs exceeds it. */
#include <float.h>

#include "nets.h"
#include "spectral/lipschitz.h"

/* Norm 1 wherever one is needed, NaN (which must not be read) elsewhere. The caller frees. */
static double *unit_norms(const amun_graph *graph)
{
    double *norms = calloc((size_t)graph->node_count, sizeof *norms);
    ck_assert_ptr_nonnull(norms);
    for (int32_t i = 0; i < graph->node_count; i++) {
        norms[i] = amun__lipschitz_needs_norm(graph, i) ? 1.0 : (double)NAN;
    }
    return norms;
}

static double unit_bound(const amun_graph *graph)
{
    double bound = 0, again = 0;
    double *norms = unit_norms(graph);
    double *nodes = calloc((size_t)graph->node_count, sizeof *nodes);
    ck_ok(amun__lipschitz_bound(&bound, NULL, graph, norms));
    ck_ok(amun__lipschitz_bound(&again, nodes, graph, norms));
    ck_assert(bound == again && bound == nodes[graph->node_count - 1]);
    free(norms);
    free(nodes);
    return bound;
}

/* ---- named networks ----------------------------------------------------------------------------
 */

static double arch_bound(const char *arch)
{
    amun_context *ctx = NULL;
    amun_graph *graph = NULL;
    amun_model_options opts;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_model_options_init(&opts, sizeof opts));
    ck_ok(amun__arch_build(&graph, ctx, arch, &opts));
    double bound = unit_bound(graph);
    amun_graph_unref(graph);
    amun_context_unref(ctx);
    return bound;
}

/* Layers of norm 1, inputs that are normalised already. */
START_TEST(test_named)
{
    /* five identity blocks of 2, three halved blocks of 1, a 4x4 mean; all exact in binary */
    ck_assert(arch_bound("resnet18") == 8.0);
    ck_assert(arch_bound("resnet18-nobn") == 8.0);
    ck_assert(arch_bound("resnet18-lotos") == 8.0);
    /* without the halving every block doubles */
    ck_assert(arch_bound("resnet18-standard") == 256.0 / 4.0);
    ck_assert(arch_bound("resnet8") == 8.0 / 8.0);
    ck_assert(arch_bound("resnet20") == 512.0 / 8.0);
    /* trees: sqrt(2^2 + 4^2), and sqrt(2^2 + 20 + 4 * 20 + 16 * 20) */
    ck_close(arch_bound("dla"), 20.0 * 424.0 / 4.0, 1e-12);
    ck_close(arch_bound("dla-nobn"), 2120.0, 1e-12);
    ck_assert(arch_bound("dla") >= 2120.0);
    ck_assert(arch_bound("vgg16") == 1.0);
    ck_assert(arch_bound("simple_conv_reflect") == 1.0);
    /* each bottleneck puts a map of norm 1 beside its input: sqrt(2) each, 58 of them; three 2x2
     * means and a 4x4 one */
    ck_close(arch_bound("densenet121"), ldexp(1.0, 29) / 8.0 / 4.0, 1e-12);
}
END_TEST

/* The same residual network by hand, behind a normalisation. */
START_TEST(test_raw_pixels)
{
    net n;
    amun_node at = -1;
    char name[32];
    const conv_form one = {.channels = 4, .kernel = 1};
    net_begin(&n, 3, 8, 8);
    ck_ok(amun_graph_normalise(&at, n.graph, 0, (double[]){0.4914, 0.4822, 0.4465},
                               (double[]){0.2023, 0.1994, 0.2010}));
    at = net_relu(&n, net_bn(&n, net_conv(&n, at, "stem", one), "bn"));
    for (int block = 0; block < 8; block++) {
        bool project = block == 2 || block == 4 || block == 6;
        (void)snprintf(name, sizeof name, "a%d", block);
        amun_node branch = net_relu(&n, net_conv(&n, at, name, one)), skip = at;
        (void)snprintf(name, sizeof name, "b%d", block);
        branch = net_conv(&n, branch, name, one);
        (void)snprintf(name, sizeof name, "s%d", block);
        skip = project ? net_conv(&n, at, name, one) : at;
        at = net_add(&n, branch, skip);
        at = net_relu(&n, project ? net_scale(&n, at, 0.5) : at);
    }
    at = net_pool(&n, at, true, 4, 4, 0);
    net_head(&n, at);
    double bound = unit_bound(n.graph);
    ck_close(bound, 40.1203610832497, 1e-12); /* 8 / 0.1994 */
    net_end(&n);
}
END_TEST

/* ---- by hand ------------------------------------------------------------------------------------
 */

START_TEST(test_joins)
{
    net n;
    net_begin(&n, 2, 4, 4);
    amun_node conv = net_conv(&n, 0, "c", (conv_form){.channels = 2, .kernel = 3, .pad = 1});
    amun_node scaled = net_scale(&n, net_relu(&n, conv), -0.5);
    amun_node sum = net_add(&n, scaled, 0);
    amun_node twice = net_add(&n, sum, sum), both = -1;
    ck_ok(amun_graph_concat(&both, n.graph, (amun_node[]){sum, scaled, 0, sum}, 4));
    amun_node bn = net_bn(&n, both, "bn");
    amun_node last = net_linear(&n, net_flatten(&n, bn), "f", 3, 1);
    double *norms = unit_norms(n.graph);
    double at[16], bound = 0;
    ck_assert_int_lt(n.graph->node_count, 16);
    norms[conv] = 3;
    norms[bn] = 0.25;
    norms[last] = 4;
    ck_ok(amun__lipschitz_bound(&bound, at, n.graph, norms));
    ck_assert(at[0] == 1 && at[conv] == 3 && at[scaled] == 1.5 && at[sum] == 2.5);
    ck_assert(at[twice] == 5);
    double concat = sqrt(2.5 * 2.5 + 1.5 * 1.5 + 1 + 2.5 * 2.5);
    ck_close(at[both], concat, 1e-15);
    ck_close(at[bn], concat / 4, 1e-15);
    ck_close(bound, concat, 1e-15);
    norms[conv] = 0; /* a dead branch */
    ck_ok(amun__lipschitz_bound(&bound, at, n.graph, norms));
    ck_assert(at[scaled] == 0 && at[sum] == 1 && at[twice] == 2);
    free(norms);
    net_end(&n);
}
END_TEST

START_TEST(test_pools)
{
    const struct {
        bool average;
        int64_t kernel[2], stride[2], pad;
        double factor; /* 0: needs a norm */
    } cases[] = {
        {false, {2, 2}, {2, 2}, 0, 1},
        {false, {2, 2}, {3, 3}, 0, 1},
        {false, {3, 3}, {2, 2}, 1, 2},
        {false, {3, 3}, {1, 1}, 1, 3},
        {false, {5, 5}, {2, 2}, 0, 3},
        {false, {3, 1}, {2, 1}, 0, 1.4142135623730951},
        {true, {2, 2}, {2, 2}, 0, 0.5},
        {true, {4, 4}, {4, 4}, 0, 0.25},
        {true, {1, 2}, {1, 2}, 0, 0.7071067811865476},
        {true, {2, 2}, {2, 2}, 1, 0.5},
        {true, {3, 3}, {1, 1}, 1, 0},
        {true, {3, 3}, {2, 2}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        net n;
        amun_pool_options o;
        amun_node at = -1;
        net_begin(&n, 1, 8, 8);
        ck_ok(amun_pool_options_init(&o, sizeof o));
        o.kernel_h = cases[i].kernel[0];
        o.kernel_w = cases[i].kernel[1];
        o.stride_h = cases[i].stride[0];
        o.stride_w = cases[i].stride[1];
        o.pad_h = o.pad_w = cases[i].pad;
        ck_ok(cases[i].average ? amun_graph_avg_pool(&at, n.graph, 0, &o)
                               : amun_graph_max_pool(&at, n.graph, 0, &o));
        ck_assert_int_eq(amun__lipschitz_needs_norm(n.graph, at), cases[i].factor == 0);
        double want = cases[i].factor == 0 ? 0.921 : cases[i].factor;
        ck_close(amun__lipschitz_factor(n.graph, at, 0.921), want, 1e-15);
        net_end(&n);
    }
    net n;
    net_begin(&n, 1, 3, 5);
    double mean = amun__lipschitz_factor(n.graph, net_global_pool(&n, 0), (double)NAN);
    ck_close(mean, 1 / sqrt(15), 1e-15);
    net_end(&n);
}
END_TEST

/* Never below the exact value, and at most a few units above it. */
START_TEST(test_rounds_up)
{
    amun__rng rng;
    amun__rng_open(&rng, 1, AMUN__RNG_TEST, 0, 0);
    for (int round = 0; round < 200; round++) {
        net n;
        amun_node both = -1;
        net_begin(&n, 1, 1, 2);
        double f = amun__rng_uniform(&rng) + 0.1, g = amun__rng_uniform(&rng) + 0.1;
        amun_node a = net_scale(&n, 0, f), b = net_scale(&n, net_scale(&n, 0, g), f);
        ck_ok(amun_graph_concat(&both, n.graph, (amun_node[]){a, b, net_add(&n, a, b)}, 3));
        double *norms = unit_norms(n.graph), bound = 0, at[8];
        ck_ok(amun__lipschitz_bound(&bound, at, n.graph, norms));
        long double x = f, y = (long double)f * g; /* close enough to exact */
        long double exact = sqrtl(x * x + y * y + (x + y) * (x + y));
        ck_assert_msg((long double)bound >= exact * (1 - 2 * LDBL_EPSILON), "%.17g below %.20Lg",
                      bound, exact);
        ck_assert((long double)bound <= exact * (1 + 8 * (long double)DBL_EPSILON));
        free(norms);
        net_end(&n);
    }
}
END_TEST

START_TEST(test_refused)
{
    const double bad[] = {-1e-300, (double)NAN, (double)INFINITY};
    net n;
    net_begin(&n, 1, 2, 2);
    amun_node at = net_conv(&n, 0, "c", (conv_form){.channels = 2, .kernel = 1});
    net_head(&n, net_scale(&n, at, 1e30));
    double *norms = unit_norms(n.graph), bound = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        norms[at] = bad[i];
        ck_fails(amun__lipschitz_bound(&bound, NULL, n.graph, norms), AMUN_ERROR_INVALID_ARGUMENT,
                 "the norm of node 1 c is");
    }
    norms[at] = 1e300; /* too large to say: no number that would be too small */
    ck_ok(amun__lipschitz_bound(&bound, NULL, n.graph, norms));
    ck_assert(isinf(bound));
    norms[n.graph->node_count - 1] = 0;
    ck_ok(amun__lipschitz_bound(&bound, NULL, n.graph, norms));
    ck_assert(bound == 0);
    free(norms);
    net_end(&n);
}
END_TEST

/* ---- against the network itself
 * ------------------------------------------------------------------ */

static double distance(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sqrt(sum);
}

/* Largest ||f(x) - f(y)|| / ||x - y|| of node `at` over random pairs: far ones, near ones, and ones
 * that differ in a single value or by a constant. */
static double largest_slope(const net *n, amun_node at, int pairs)
{
    size_t in = net_node_size(n, 0), out = net_node_size(n, at);
    double worst = 0;
    float *logits = calloc(2 * net_node_size(n, n->graph->node_count - 1), sizeof *logits);
    amun__plan *plan = NULL;
    ck_ok(
        amun__plan_create(&plan, n->ctx, &n->params, 2, AMUN__MODE_INFER, &amun__backend_ref_f64));
    for (int pair = 0; pair < pairs; pair++) {
        float *x = net_random(2 * in, (uint64_t)pair + 1, -1, 1);
        for (size_t i = 0; i < in && pair % 4 != 0; i++) {
            float step = pair % 4 == 1 ? x[in + i] / 64 : pair % 4 == 2 ? 0.125f : 0.0f;
            x[in + i] = x[i] + step + (pair % 4 == 3 && i == (size_t)pair % in ? 0.25f : 0.0f);
        }
        ck_ok(amun__plan_forward(plan, x, logits));
        const double *y = amun__ref_f64_output(plan, at), *source = amun__ref_f64_output(plan, 0);
        worst = fmax(worst, distance(y, y + out, out) / distance(source, source + in, in));
        free(x);
    }
    amun__plan_destroy(plan);
    free(logits);
    return worst;
}

/* A branching network of nodes that need no norm; the head takes its Frobenius norm. */
START_TEST(test_no_pair_exceeds_it)
{
    for (int form = 0; form < 8; form++) {
        net n;
        amun_node at = -1;
        net_begin(&n, 2, 6, 6);
        ck_ok(amun_graph_normalise(&at, n.graph, 0, (double[]){0.1, -0.2}, (double[]){0.5, 0.25}));
        amun_node pooled = net_pool(&n, at, form & 1, 3 - (form & 1), 1 + (form & 1), 0);
        amun_node other =
            net_pool(&n, net_scale(&n, at, -1.5), false, 3 - (form & 1), 1 + (form & 1), 0);
        if (form & 2) {
            ck_ok(amun_graph_concat(&at, n.graph, (amun_node[]){pooled, other, pooled}, 3));
        } else {
            at = net_add(&n, pooled, other);
        }
        at = form & 4 ? net_relu(&n, at) : at;
        amun_node last = net_linear(&n, net_flatten(&n, at), "f", 3, 1);
        net_finish(&n, 5);
        double *norms = unit_norms(n.graph), bounds[16], bound = 0, square = 0;
        const amun__param *weight = &n.graph->params[n.graph->nodes[last].weight];
        for (size_t i = 0; i < weight->count; i++) {
            double w = (double)n.params.values[weight->offset + i];
            square += w * w;
        }
        norms[last] = sqrt(square);
        ck_ok(amun__lipschitz_bound(&bound, bounds, n.graph, norms));
        double slope = largest_slope(&n, at, 40);
        ck_assert_msg(slope <= bounds[at], "form %d: slope %g, bound %g", form, slope, bounds[at]);
        ck_assert_double_gt(slope, bounds[at] / 50); /* the pairs say something */
        ck_assert_double_le(largest_slope(&n, last, 40), bound);
        free(norms);
        net_end(&n);
    }
}
END_TEST

/* Where all worst cases meet in one pair, the bound is what that pair shows. */
START_TEST(test_attained)
{
    net n;
    amun_node both = -1;
    net_begin(&n, 1, 4, 4);
    amun_node mean = net_pool(&n, net_scale(&n, 0, 3), true, 2, 2, 0);
    amun_node top = net_pool(&n, net_scale(&n, net_scale(&n, mean, -2), -1), false, 1, 1, 0);
    ck_ok(amun_graph_concat(&both, n.graph, (amun_node[]){mean, net_add(&n, top, mean)}, 2));
    net_head(&n, both);
    net_finish(&n, 1);
    double *norms = unit_norms(n.graph), bounds[16], bound = 0;
    ck_ok(amun__lipschitz_bound(&bound, bounds, n.graph, norms));
    ck_close(bounds[both], 1.5 * sqrt(10), 1e-15);
    ck_close(largest_slope(&n, both, 4), 1.5 * sqrt(10), 1e-6); /* pair 2: a constant */
    free(norms);
    net_end(&n);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("lipschitz");
    tcase_add_test(tc, test_named);
    tcase_add_test(tc, test_raw_pixels);
    tcase_add_test(tc, test_joins);
    tcase_add_test(tc, test_pools);
    tcase_add_test(tc, test_rounds_up);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_no_pair_exceeds_it);
    tcase_add_test(tc, test_attained);
    return amun_test_main("lipschitz", (TCase *[]){tc, NULL});
}
