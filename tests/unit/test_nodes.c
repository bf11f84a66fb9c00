/* The oneDNN backend against the reference: every node kind, every pattern that gets fused, and
 * random graphs; logits, gradients and statistics in all three modes. */
#include "nets.h"

#ifdef AMUN_WITH_DNNL

/* ---- comparing ------------------------------------------------------------------------------ */

/* Smallest gap between a window's maximum and any smaller value in it that is not its equal. */
static double pool_gap(const amun__node *n, const amun__node *src, const double *x, int64_t o)
{
    int64_t h0 = o / n->width * n->stride[0] - n->pad[0];
    int64_t w0 = o % n->width * n->stride[1] - n->pad[1];
    double first = -INFINITY, second = -INFINITY;
    for (int64_t k = 0; k < n->kernel[0] * n->kernel[1]; k++) {
        int64_t h = h0 + k / n->kernel[1], w = w0 + k % n->kernel[1];
        if (h < 0 || h >= src->height || w < 0 || w >= src->width) {
            continue;
        }
        double value = x[h * src->width + w];
        if (value > first) {
            second = first;
            first = value;
        } else if (value > second && value < first) {
            second = value;
        }
    }
    return first - second;
}

/* Smallest distance of anything to a kink (a ReLU at 0, two candidates of a maximum), relative to
 * the largest value of its node. Backends may fall on different sides of a kink that is closer
 * than their rounding, and then both are right. Exact zeros and equals are the same for both. */
static double kink_distance(const amun__plan *plan)
{
    double least = INFINITY;
    for (int32_t i = 0; i < plan->graph->node_count; i++) {
        const amun__node *node = &plan->graph->nodes[i];
        if (node->kind != AMUN__NODE_RELU && node->kind != AMUN__NODE_MAX_POOL) {
            continue;
        }
        const amun__node *src = &plan->graph->nodes[node->inputs[0]];
        const double *x = amun__ref_f64_output(plan, node->inputs[0]);
        int64_t area = src->height * src->width, planes = plan->batch * src->channels;
        int64_t out = node->height * node->width;
        double top = 0.0;
        for (int64_t k = 0; k < planes * area; k++) {
            top = fmax(top, fabs(x[k]));
        }
        for (int64_t k = 0; k < planes * out; k++) {
            double gap = node->kind == AMUN__NODE_RELU
                             ? fabs(x[k])
                             : pool_gap(node, src, x + k / out * area, k % out);
            least = gap > 0.0 ? fmin(least, gap / top) : least;
        }
    }
    return least;
}

static const char *mode_name(amun__mode mode)
{
    return mode == AMUN__MODE_INFER    ? "infer"
           : mode == AMUN__MODE_ATTACK ? "attack"
           : mode == AMUN__MODE_TRAIN  ? "train"
                                       : "tune";
}

static void expect(double error, const char *what, const char *label, amun__mode mode,
                   int64_t batch)
{
    ck_assert_msg(error <= 1e-4, "%s, %s, batch %d: %s off by %.3g", label, mode_name(mode),
                  (int)batch, what, error);
}

/* Parameter by parameter; what cancels (a bias or a scale before a batch norm) on the scale of the
 * others. */
static double params_error(const net *n, const float *a, const float *b)
{
    double all = 0.0, worst = 0.0;
    for (size_t i = 0; i < n->graph->trainable; i++) {
        all = fmax(all, fabs((double)b[i]));
    }
    for (int32_t i = 0; i < n->graph->param_count; i++) {
        const amun__param *p = &n->graph->params[i];
        double top = 0.0;
        for (size_t k = 0; k < p->count && p->trainable; k++) {
            top = fmax(top, fabs((double)b[p->offset + k]));
        }
        for (size_t k = 0; k < p->count && p->trainable; k++) {
            double gap = fabs((double)a[p->offset + k] - (double)b[p->offset + k]);
            gap = isfinite(a[p->offset + k]) ? gap : INFINITY;
            worst = fmax(worst, gap / fmax(top < 1e-3 * all ? all : top, 1e-6));
        }
    }
    return worst;
}

static void compare(const net *n, amun__mode mode, int64_t batch, const char *label)
{
    size_t in = (size_t)batch * net_node_size(n, 0);
    size_t logits = (size_t)batch * net_node_size(n, n->graph->node_count - 1);
    float *diff_dst = net_random(logits, 22, -1, 1);
    float *x = NULL;
    net_run want, got;
    for (uint64_t seed = 1;; seed++) {
        x = net_random(in, seed, -1, 1);
        net_execute(&want, n, &amun__backend_ref_f64, mode, batch, x, diff_dst);
        if (kink_distance(want.plan) > 3e-6) {
            break;
        }
        ck_assert_msg(seed < 50, "%s: always on a kink", label);
        net_run_free(&want);
        free(x);
    }
    net_execute(&got, n, &amun__backend_dnnl, mode, batch, x, diff_dst);
    expect(net_error(got.logits, want.logits, logits), "logits", label, mode, batch);
    expect(net_error(got.diff_src, want.diff_src, want.src_count), "diff_src", label, mode, batch);
    if (amun__mode_trains(mode)) {
        expect(params_error(n, got.diff_params, want.diff_params), "diff_params", label, mode,
               batch);
    }
    if (mode == AMUN__MODE_TRAIN) {
        expect(net_error(got.means, want.means, want.channel_count), "means", label, mode, batch);
        expect(net_error(got.variances, want.variances, want.channel_count), "variances", label,
               mode, batch);
    }
    net_run_free(&want);
    net_run_free(&got);
    free(x);
    free(diff_dst);
}

/* Modes and batches; `last` is not flat yet. Batch norm over one value is no question to ask. */
static void compare_all(net *n, amun_node last, const char *label)
{
    net_head(n, last);
    net_finish(n, 17);
    const int64_t batches[2] = {1, 5};
    for (int i = 0; i < 2; i++) {
        for (int mode = AMUN__MODE_INFER; mode <= AMUN__MODE_TUNE; mode++) {
            compare(n, (amun__mode)mode, batches[i], label);
        }
    }
    net_end(n);
}

/* ---- single nodes ------------------------------------------------------------------------------
 */

START_TEST(test_convolutions)
{
    const struct {
        int64_t channels, height, width;
        conv_form form;
        const char *label;
    } cases[] = {
        {3, 8, 8, {.channels = 16, .kernel = 3, .pad = 1}, "3 channels in"},
        {3, 9, 7, {.channels = 16, .kernel = 3, .pad = 1, .bias = 1}, "3 in, odd size, bias"},
        {16, 8, 8, {.channels = 16, .kernel = 3, .pad = 1}, "16 to 16"},
        {16, 12, 12, {.channels = 32, .kernel = 3, .pad = 1, .bias = 1}, "16 to 32, bias"},
        {16, 9, 11, {.channels = 32, .kernel = 3, .pad = 1, .stride = 2}, "stride 2, odd"},
        {16, 8, 8, {.channels = 32, .kernel = 1, .stride = 2}, "1x1 stride 2"},
        {20, 6, 5, {.channels = 13, .kernel = 3, .pad = 1, .bias = 1}, "no multiples of 16"},
        {16, 9, 9, {.channels = 16, .kernel = 3, .pad = 2, .dilation = 2}, "dilation 2"},
        {16,
         9,
         9,
         {.channels = 16, .kernel = 3, .pad = 3, .dilation = 3, .stride = 2},
         "dilation 3"},
        {32, 7, 7, {.channels = 32, .kernel = 3, .pad = 1, .groups = 2}, "2 groups"},
        {6, 7, 7, {.channels = 9, .kernel = 3, .pad = 1, .groups = 3, .bias = 1}, "3 groups of 2"},
        {16, 7, 7, {.channels = 16, .kernel = 3, .pad = 1, .groups = 16}, "depthwise"},
        {16, 8, 8, {.channels = 16, .kernel = 5, .pad = 2}, "5x5"},
        {16, 8, 8, {.channels = 16, .kernel = 7, .pad = 0, .stride = 3}, "7x7, no padding"},
        {1, 8, 8, {.channels = 1, .kernel = 3, .pad = 1}, "1 to 1"},
        {4, 3, 3, {.channels = 8, .kernel = 3, .pad = 3}, "padding as large as the image"},
        {16, 1, 1, {.channels = 16, .kernel = 3, .pad = 1}, "one pixel"},
        {16, 5, 1, {.channels = 16, .kernel = 3, .pad = 1}, "one column"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        net n;
        net_begin(&n, cases[i].channels, cases[i].height, cases[i].width);
        compare_all(&n, net_conv(&n, 0, "c", cases[i].form), cases[i].label);
    }
}
END_TEST

static const conv_form conv16 = {.channels = 16, .kernel = 3, .pad = 1};
static const conv_form bias16 = {.channels = 16, .kernel = 3, .pad = 1, .bias = 1};

/* The source is padded by an instruction of its own, in the layout that it has. */
START_TEST(test_padding_modes)
{
    const struct {
        int64_t channels, height, width;
        conv_form form;
    } cases[] = {
        {3, 8, 8, {.channels = 16, .kernel = 3, .pad = 1}},
        {16, 9, 7, {.channels = 16, .kernel = 3, .pad = 1, .bias = 1}},
        {16, 9, 7, {.channels = 32, .kernel = 5, .pad = 2, .stride = 2}},
        {20, 6, 5, {.channels = 13, .kernel = 3, .pad = 2, .dilation = 2}},
        {6, 7, 7, {.channels = 9, .kernel = 3, .pad = 1, .groups = 3, .bias = 1}},
        {5, 4, 4, {.channels = 5, .kernel = 7, .pad = 3}},
    };
    const char *const labels[] = {"", "zero", "circular", "reflect", "replicate"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (amun_padding padding = AMUN_PADDING_CIRCULAR; padding <= AMUN_PADDING_REPLICATE;
             padding++) {
            net n;
            conv_form form = cases[i].form;
            form.padding = padding;
            char label[64];
            (void)snprintf(label, sizeof label, "%s padding %d", labels[padding], (int)i);
            net_begin(&n, cases[i].channels, cases[i].height, cases[i].width);
            compare_all(&n, net_conv(&n, 0, "c", form), label);
        }
    }
    net n;
    net_begin(&n, 3, 6, 6); /* one axis alone */
    amun_conv2d_options o;
    ck_ok(amun_conv2d_options_init(&o, sizeof o));
    o.channels = 4;
    o.kernel_w = 1;
    o.pad_w = 0;
    o.padding = AMUN_PADDING_REFLECT;
    amun_node at = -1;
    ck_ok(amun_graph_conv2d(&at, n.graph, 0, "c", &o));
    compare_all(&n, at, "reflected rows alone");
}
END_TEST

START_TEST(test_pools)
{
    const struct {
        int64_t channels, size, kernel, stride, pad;
    } cases[] = {{16, 8, 2, 2, 0}, {16, 9, 3, 2, 1}, {5, 7, 3, 1, 1},
                 {3, 7, 2, 3, 0},  {16, 4, 4, 4, 0}, {1, 6, 2, 2, 1}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        net n;
        char label[64];
        bool average = i % 2 == 0;
        (void)snprintf(label, sizeof label, "%s pool %d", average ? "average" : "max", (int)i / 2);
        net_begin(&n, cases[i / 2].channels, cases[i / 2].size, cases[i / 2].size);
        amun_node at =
            net_conv(&n, 0, "c", (conv_form){.channels = cases[i / 2].channels, .kernel = 1});
        at = net_pool(&n, at, average, cases[i / 2].kernel, cases[i / 2].stride, cases[i / 2].pad);
        compare_all(&n, at, label);
    }
    net n;
    net_begin(&n, 3, 6, 6); /* straight on the input, whose layout is the caller's */
    compare_all(&n, net_pool(&n, 0, false, 2, 2, 0), "max pool of the input");
    net_begin(&n, 3, 6, 6);
    compare_all(&n, net_pool(&n, 0, true, 3, 3, 0), "average pool of the input");
    net_begin(&n, 16, 5, 7);
    compare_all(&n, net_global_pool(&n, net_conv(&n, 0, "c", conv16)), "global pool");
    net_begin(&n, 3, 5, 7);
    compare_all(&n, net_global_pool(&n, 0), "global pool of the input");
}
END_TEST

START_TEST(test_simple_nodes)
{
    net n;
    amun_node at = -1;
    net_begin(&n, 3, 5, 5);
    compare_all(&n, 0, "dense layer alone");
    net_begin(&n, 3, 5, 5);
    compare_all(&n, net_relu(&n, 0), "relu of the input");
    net_begin(&n, 3, 5, 5);
    compare_all(&n, net_scale(&n, 0, -0.75), "scale of the input");
    net_begin(&n, 3, 5, 5);
    compare_all(&n, net_bn(&n, 0, "bn"), "batch norm of the input");
    net_begin(&n, 3, 5, 5);
    compare_all(&n, net_add(&n, 0, 0), "input plus itself");
    net_begin(&n, 3, 5, 5);
    at = net_linear(&n, net_relu(&n, net_linear(&n, net_flatten(&n, 0), "a", 33, 1)), "b", 17, 0);
    compare_all(&n, net_relu(&n, at), "dense layers");
    net_begin(&n, 3, 5, 5);
    ck_ok(amun_graph_normalise(&at, n.graph, 0, (double[]){0.5, 0.4, 0.3},
                               (double[]){0.2, 0.25, 0.3}));
    compare_all(&n, net_relu(&n, net_conv(&n, at, "c", conv16)), "normalise, padded convolution");
    net_begin(&n, 3, 5, 5);
    at = net_scale(&n, net_relu(&n, net_scale(&n, net_conv(&n, 0, "c", conv16), 2)), 0.5);
    compare_all(&n, at, "scale, relu, scale");
    net_begin(&n, 3, 5, 5); /* scale after the logits: the last node is no dense layer */
    net_scale(&n, net_linear(&n, net_flatten(&n, 0), "f", 4, 1), 0.125);
    net_finish(&n, 3);
    compare(&n, AMUN__MODE_INFER, 2, "scaled logits");
    compare(&n, AMUN__MODE_ATTACK, 2, "scaled logits");
    compare(&n, AMUN__MODE_TRAIN, 2, "scaled logits");
    compare(&n, AMUN__MODE_TUNE, 2, "scaled logits");
    net_end(&n);
}
END_TEST

START_TEST(test_concat)
{
    net n;
    amun_node at = -1;
    for (int i = 0; i < 2; i++) {
        net_begin(&n, 3, 6, 6);
        conv_form odd = {.channels = i == 0 ? 16 : 7, .kernel = 3, .pad = 1};
        amun_node a = net_conv(&n, 0, "a", conv16), b = net_conv(&n, 0, "b", odd);
        amun_node parts[3] = {a, net_relu(&n, b), a}; /* the same twice */
        ck_ok(amun_graph_concat(&at, n.graph, parts, 3));
        compare_all(&n, net_conv(&n, net_relu(&n, net_bn(&n, at, "bn")), "d", conv16),
                    i == 0 ? "concat of 16s" : "concat of 16 and 7");
    }
    net_begin(&n, 3, 6, 6);
    amun_node parts[2] = {0, net_conv(&n, 0, "a", conv16)};
    ck_ok(amun_graph_concat(&at, n.graph, parts, 2));
    compare_all(&n, at, "concat with the input");
}
END_TEST

/* ---- patterns that get fused
 * --------------------------------------------------------------------- */

static amun_node conv_bn(net *n, amun_node src, const char *name, conv_form form)
{
    char bn[64];
    (void)snprintf(bn, sizeof bn, "%s.bn", name);
    return net_bn(n, net_conv(n, src, name, form), bn);
}

START_TEST(test_fused_chains)
{
    net n;
    net_begin(&n, 3, 7, 7);
    compare_all(&n, conv_bn(&n, 0, "c", conv16), "conv bn");
    net_begin(&n, 3, 7, 7);
    compare_all(&n, conv_bn(&n, 0, "c", bias16), "conv with bias, bn");
    net_begin(&n, 3, 7, 7);
    compare_all(&n, net_relu(&n, conv_bn(&n, 0, "c", conv16)), "conv bn relu");
    net_begin(&n, 3, 7, 7);
    compare_all(&n, net_relu(&n, net_conv(&n, 0, "c", bias16)), "conv bias relu");
    net_begin(&n, 3, 7, 7);
    amun_node at = net_relu(&n, net_bn(&n, net_conv(&n, 0, "c", conv16), "bn"));
    compare_all(&n, net_conv(&n, at, "d", conv16), "conv bn relu conv");
    net_begin(&n, 16, 7, 7); /* does not fold into a padded convolution */
    compare_all(&n, net_conv(&n, net_bn(&n, 0, "bn"), "c", conv16), "bn before conv");
    net_begin(&n, 16, 7, 7);
    compare_all(&n, net_conv(&n, net_relu(&n, net_bn(&n, 0, "bn")), "c", bias16), "bn relu conv");
    net_begin(&n, 3, 7, 7);
    compare_all(&n, net_bn(&n, conv_bn(&n, 0, "c", conv16), "bn2"), "conv bn bn");
    net_begin(&n, 3, 7, 7);
    at = net_relu(&n, net_pool(&n, net_conv(&n, 0, "c", conv16), false, 2, 2, 0));
    compare_all(&n, net_relu(&n, net_bn(&n, at, "bn")), "conv pool relu bn relu");
    net_begin(&n, 3, 7, 7);
    at = net_linear(&n, net_flatten(&n, net_relu(&n, conv_bn(&n, 0, "c", conv16))), "f", 20, 1);
    compare_all(&n, net_relu(&n, net_bn(&n, at, "bn")), "dense bn relu");
    net_begin(&n, 3, 7, 7);
    at = net_relu(&n, net_scale(&n, conv_bn(&n, 0, "c", conv16), -0.5));
    compare_all(&n, at, "conv bn scale relu");
}
END_TEST

START_TEST(test_residual_blocks)
{
    const conv_form down = {.channels = 32, .kernel = 3, .pad = 1, .stride = 2};
    const conv_form same = {.channels = 32, .kernel = 3, .pad = 1};
    const conv_form one = {.channels = 32, .kernel = 1, .stride = 2};
    for (int form = 0; form < 8; form++) {
        bool project = form & 1, halve = form & 2, swap = form & 4;
        net n;
        char label[64];
        (void)snprintf(label, sizeof label, "block: projection %d, halved %d, swapped %d", project,
                       halve, swap);
        net_begin(&n, 3, 9, 9);
        amun_node in = net_relu(&n, conv_bn(&n, 0, "stem", project ? conv16 : same));
        amun_node at = net_relu(&n, conv_bn(&n, in, "a", project ? down : same));
        at = conv_bn(&n, at, "b", same);
        amun_node skip = project ? conv_bn(&n, in, "s", one) : in;
        at = swap ? net_add(&n, skip, at) : net_add(&n, at, skip);
        at = halve ? net_scale(&n, at, 0.5) : at;
        compare_all(&n, net_relu(&n, at), label);
    }
    for (amun_padding padding = AMUN_PADDING_CIRCULAR; padding <= AMUN_PADDING_REPLICATE;
         padding++) { /* blocked layouts in, folded batch norm, sum in place */
        net n;
        conv_form form = {.channels = 32, .kernel = 3, .pad = 1, .padding = padding};
        net_begin(&n, 3, 9, 9);
        amun_node in = net_relu(&n, conv_bn(&n, 0, "stem", same));
        amun_node at = net_relu(&n, conv_bn(&n, in, "a", form));
        at = net_relu(&n, net_add(&n, conv_bn(&n, at, "b", form), in));
        compare_all(&n, net_relu(&n, conv_bn(&n, at, "c", form)), "block with padding");
    }
    net n;
    net_begin(&n, 16, 6, 6); /* sum with the network's input, without a ReLU after it */
    compare_all(&n, net_add(&n, conv_bn(&n, 0, "c", conv16), 0), "conv bn plus input");
    net_begin(&n, 16, 6, 6);
    amun_node a = net_relu(&n, net_conv(&n, 0, "a", bias16));
    compare_all(&n, net_add(&n, net_relu(&n, net_conv(&n, a, "b", bias16)), a), "relu before add");
    net_begin(&n, 16, 6, 6);
    a = conv_bn(&n, 0, "a", conv16);
    compare_all(&n, net_relu(&n, net_add(&n, a, a)), "conv bn plus itself");
}
END_TEST

/* With 5 images large enough for our own Winograd on some CPUs, with 1 image not: what follows a
 * convolution goes into it, its source may be padded by an instruction. */
START_TEST(test_larger_images)
{
    const conv_form wide = {.channels = 32, .kernel = 3, .pad = 1, .bias = 1};
    const conv_form ring = {
        .channels = 32, .kernel = 3, .pad = 1, .padding = AMUN_PADDING_CIRCULAR};
    net n;
    net_begin(&n, 3, 12, 12);
    amun_node in = net_relu(&n, conv_bn(&n, 0, "stem", conv16));
    amun_node at = net_relu(&n, conv_bn(&n, in, "a", conv16));
    compare_all(&n, net_relu(&n, net_add(&n, conv_bn(&n, at, "b", bias16), in)), "larger block");
    net_begin(&n, 16, 11, 12);
    in = net_relu(&n, net_conv(&n, 0, "a", wide));
    at = net_add(&n, net_conv(&n, in, "b", ring), in);
    compare_all(&n, net_relu(&n, net_conv(&n, at, "c", wide)), "larger chain, odd size");
    net_begin(&n, 17, 12, 12);
    at = net_conv(&n, 0, "a", (conv_form){.channels = 30, .kernel = 3, .pad = 2, .bias = 1});
    at = net_conv(&n, at, "b", (conv_form){.channels = 29, .kernel = 3, .bias = 1});
    compare_all(&n, net_relu(&n, at), "larger, no multiples of 8");
}
END_TEST

/* A value with more than one reader must be kept, and its gradients summed. */
START_TEST(test_several_readers)
{
    net n;
    net_begin(&n, 3, 6, 6); /* the convolution, read before and after its batch norm */
    amun_node c = net_conv(&n, 0, "c", conv16);
    amun_node bn = net_bn(&n, c, "bn");
    compare_all(&n, net_add(&n, net_relu(&n, bn), c), "conv read twice");
    net_begin(&n, 3, 6, 6); /* the batch norm, read before and after its ReLU */
    bn = conv_bn(&n, 0, "c", conv16);
    compare_all(&n, net_add(&n, net_relu(&n, bn), bn), "bn read twice");
    net_begin(&n, 3, 6, 6); /* the sum, read before and after its ReLU */
    amun_node a = conv_bn(&n, 0, "a", conv16), b = conv_bn(&n, 0, "b", conv16);
    amun_node sum = net_add(&n, a, b);
    compare_all(&n, net_add(&n, net_relu(&n, sum), sum), "sum read twice");
    net_begin(&n, 3, 6, 6); /* an operand of the sum is needed afterwards */
    a = conv_bn(&n, 0, "a", conv16);
    b = conv_bn(&n, 0, "b", conv16);
    sum = net_relu(&n, net_add(&n, a, b));
    compare_all(&n, net_add(&n, net_add(&n, sum, a), b), "operands read later");
    net_begin(&n, 3, 6, 6); /* one ReLU feeding three */
    a = net_relu(&n, conv_bn(&n, 0, "a", conv16));
    b = net_add(&n, net_conv(&n, a, "b", conv16), net_conv(&n, a, "c", bias16));
    compare_all(&n, net_add(&n, b, net_relu(&n, net_scale(&n, a, 3))), "three readers");
    net_begin(&n, 3, 6, 6); /* flat values with two readers */
    amun_node f = net_linear(&n, net_flatten(&n, 0), "f", 16, 1);
    compare_all(&n, net_add(&n, net_relu(&n, f), net_linear(&n, f, "g", 16, 0)), "flat sum");
}
END_TEST

/* ---- weights that change, repeated passes
 * ----------------------------------------------------------- */

START_TEST(test_repack)
{
    net n;
    net_begin(&n, 3, 6, 6);
    net_head(&n, net_relu(&n, conv_bn(&n, 0, "c", conv16)));
    net_finish(&n, 4);
    float *x = net_random(2 * net_node_size(&n, 0), 3, 0, 1), *diff = net_random(10, 4, -1, 1);
    for (int mode = AMUN__MODE_INFER; mode <= AMUN__MODE_TUNE; mode++) {
        amun__plan *plan = NULL;
        ck_ok(amun__plan_create(&plan, n.ctx, &n.params, 2, (amun__mode)mode, &amun__backend_dnnl));
        float first[10], again[10], d1[216], d2[216];
        ck_ok(amun__plan_forward(plan, x, first));
        if (mode != AMUN__MODE_INFER) {
            ck_ok(amun__plan_backward(plan, diff, d1, NULL));
        }
        ck_ok(amun__plan_forward(plan, x, again)); /* the same bits again */
        ck_assert(memcmp(first, again, sizeof first) == 0);
        if (mode != AMUN__MODE_INFER) {
            ck_ok(amun__plan_backward(plan, diff, d2, NULL));
            ck_assert(memcmp(d1, d2, sizeof d1) == 0);
        }
        for (size_t i = 0; i < n.graph->total; i++) {
            n.params.values[i] *= 1.25f; /* every parameter, running statistics too */
        }
        n.params.version++;
        net_run want;
        net_execute(&want, &n, &amun__backend_ref_f64, (amun__mode)mode, 2, x, diff);
        ck_ok(amun__plan_forward(plan, x, again));
        ck_assert_double_le(net_error(again, want.logits, 10), 1e-4);
        if (mode != AMUN__MODE_INFER) {
            ck_ok(amun__plan_backward(plan, diff, d2, NULL));
            ck_assert_double_le(net_error(d2, want.diff_src, 216), 1e-4);
        }
        net_run_free(&want);
        amun__plan_destroy(plan);
    }
    free(x);
    free(diff);
    net_end(&n);
}
END_TEST

/* The first maximum takes the gradient. */
START_TEST(test_max_pool_tie)
{
    net n;
    net_begin(&n, 1, 2, 2);
    net_linear(&n, net_flatten(&n, net_pool(&n, 0, false, 2, 2, 0)), "f", 2, 0);
    net_finish(&n, 1);
    net_run run;
    net_execute(&run, &n, &amun__backend_dnnl, AMUN__MODE_ATTACK, 1, (float[]){7, 7, 7, 7},
                (float[]){3, 5});
    ck_assert(run.diff_src[0] != 0.0f && run.diff_src[1] == 0.0f && run.diff_src[2] == 0.0f &&
              run.diff_src[3] == 0.0f);
    net_run_free(&run);
    net_end(&n);
}
END_TEST

/* ---- random graphs
 * -------------------------------------------------------------------------------------- */

enum { RANDOM_GRAPHS = 60 };

static amun_node random_partner(const net *n, amun__rng *rng, amun_node of, bool same_channels)
{
    const amun__node *a = &n->graph->nodes[of];
    amun_node found = -1;
    for (int32_t i = 0, seen = 0; i < n->graph->node_count; i++) {
        const amun__node *b = &n->graph->nodes[i];
        bool fits = a->height == b->height && a->width == b->width &&
                    (same_channels ? a->channels == b->channels : a->channels + b->channels < 60);
        if (fits && amun__rng_below(rng, (uint32_t)++seen) == 0) {
            found = i;
        }
    }
    return found;
}

static amun_node random_node(net *n, amun__rng *rng, amun_node at, int step)
{
    static const int64_t channels[6] = {1, 5, 8, 16, 32, 24};
    const amun__node *src = &n->graph->nodes[at];
    char name[32];
    (void)snprintf(name, sizeof name, "n%d", step);
    amun_node other, out = -1;
    switch (amun__rng_below(rng, 12)) {
    case 0:
    case 1:
    case 2: {
        conv_form form = {.channels = channels[amun__rng_below(rng, 6)],
                          .kernel = amun__rng_below(rng, 4) == 0 ? 1 : 3,
                          .stride = src->height > 5 ? 1 + amun__rng_below(rng, 2) : 1,
                          .bias = (int32_t)amun__rng_below(rng, 2)};
        form.pad = form.kernel / 2;
        form.padding = (amun_padding)amun__rng_below(rng, 5);
        form.padding = src->height > 1 && src->width > 1 ? form.padding : AMUN_PADDING_ZERO;
        return net_conv(n, at, name, form);
    }
    case 3:
    case 4:
        return net_bn(n, at, name);
    case 5:
    case 6:
        return net_relu(n, at);
    case 7:
        return net_scale(n, at, amun__rng_uniform(rng) + 0.5);
    case 8:
        other = random_partner(n, rng, at, true);
        return amun__rng_below(rng, 2) == 0 ? net_add(n, at, other) : net_add(n, other, at);
    case 9: {
        other = random_partner(n, rng, at, false);
        amun_node parts[2] = {at, other};
        if (other < 0) {
            return at;
        }
        ck_ok(amun_graph_concat(&out, n->graph, parts, 2));
        return out;
    }
    default:
        return src->height < 4 || src->width < 4
                   ? at
                   : net_pool(n, at, amun__rng_below(rng, 2) == 0, 2, 1 + amun__rng_below(rng, 2),
                              amun__rng_below(rng, 2));
    }
}

START_TEST(test_random_graphs)
{
    for (int g = 0; g < RANDOM_GRAPHS; g++) {
        amun__rng rng;
        amun__rng_open(&rng, 1000, AMUN__RNG_TEST, 0, (uint64_t)g);
        net n;
        net_begin(&n, (int64_t[]){1, 3, 16}[amun__rng_below(&rng, 3)], 6 + amun__rng_below(&rng, 6),
                  6 + amun__rng_below(&rng, 6));
        amun_node at = net_conv(&n, 0, "stem", conv16);
        int steps = 3 + (int)amun__rng_below(&rng, 9);
        for (int step = 0; step < steps; step++) {
            at = random_node(&n, &rng, at, step);
        }
        net_head(&n, at);
        net_finish(&n, (uint64_t)g);
        char label[32];
        (void)snprintf(label, sizeof label, "random graph %d", g);
        int64_t batch = 2 + amun__rng_below(&rng, 4);
        for (int mode = AMUN__MODE_INFER; mode <= AMUN__MODE_TUNE; mode++) {
            compare(&n, (amun__mode)mode, batch, label);
        }
        net_end(&n);
    }
}
END_TEST

int main(void)
{
    TCase *single = tcase_create("nodes");
    tcase_add_test(single, test_convolutions);
    tcase_add_test(single, test_padding_modes);
    tcase_add_test(single, test_pools);
    tcase_add_test(single, test_simple_nodes);
    tcase_add_test(single, test_concat);
    TCase *fused = tcase_create("patterns");
    tcase_add_test(fused, test_fused_chains);
    tcase_add_test(fused, test_residual_blocks);
    tcase_add_test(fused, test_larger_images);
    tcase_add_test(fused, test_several_readers);
    TCase *more = tcase_create("more");
    tcase_add_test(more, test_repack);
    tcase_add_test(more, test_max_pool_tie);
    tcase_add_test(more, test_random_graphs);
    return amun_test_main("nodes", (TCase *[]){single, fused, more, NULL});
}

#else

START_TEST(test_nothing)
{
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("nodes: this build has no oneDNN");
    tcase_add_test(tc, test_nothing);
    return amun_test_main("nodes", (TCase *[]){tc, NULL});
}

#endif
