/* The reference backend: forward against the definitions and values worked out by hand, backward
 * against central differences in double. */
#include "nets.h"

enum { BATCH = 3 };

/* ---- forward
 * ------------------------------------------------------------------------------------- */

/* The pixel that stands at index i of a line of n: the image repeated, mirrored or clamped. -1: 0.
 */
static int64_t padded_index(amun__padding padding, int64_t i, int64_t n)
{
    int64_t period = padding == AMUN__PADDING_CIRCULAR ? n : n > 1 ? 2 * (n - 1) : 1;
    int64_t phase = (i % period + period) % period;
    switch (padding) {
    case AMUN__PADDING_CIRCULAR:
        return phase;
    case AMUN__PADDING_REFLECT: /* a triangular wave */
        return phase < n ? phase : period - phase;
    case AMUN__PADDING_REPLICATE:
        return i < 0 ? 0 : i < n ? i : n - 1;
    default:
        return i < 0 || i >= n ? -1 : i;
    }
}

/* Convolution as the sum in its definition, one output at a time. */
static double conv_at(const amun__node *c, const amun__node *s, const float *x, const float *w,
                      int64_t b, int64_t oc, int64_t oh, int64_t ow)
{
    int64_t ics = s->channels / c->groups, group = oc / (c->channels / c->groups);
    double sum = 0.0;
    for (int64_t ic = 0; ic < ics; ic++) {
        for (int64_t kh = 0; kh < c->kernel[0]; kh++) {
            for (int64_t kw = 0; kw < c->kernel[1]; kw++) {
                int64_t h = padded_index(
                    c->padding, oh * c->stride[0] - c->pad[0] + kh * c->dilation[0], s->height);
                int64_t v = padded_index(
                    c->padding, ow * c->stride[1] - c->pad[1] + kw * c->dilation[1], s->width);
                if (h >= 0 && v >= 0) {
                    int64_t xi = ((b * s->channels + group * ics + ic) * s->height + h) * s->width;
                    int64_t wi = ((oc * ics + ic) * c->kernel[0] + kh) * c->kernel[1] + kw;
                    sum += (double)x[xi + v] * (double)w[wi];
                }
            }
        }
    }
    return sum;
}

static void check_conv(conv_form form, int64_t channels, int64_t height, int64_t width)
{
    net n;
    net_begin(&n, channels, height, width);
    amun_node at = net_conv(&n, 0, "c", form);
    net_head(&n, at);
    net_finish(&n, 3);
    float *x = net_random(BATCH * net_node_size(&n, 0), 5, -1, 1);
    net_run f64;
    net_execute(&f64, &n, &amun__backend_ref_f64, AMUN__MODE_INFER, BATCH, x, NULL);
    const amun__node *c = &n.graph->nodes[at], *s = &n.graph->nodes[0];
    const float *w = n.params.values + n.graph->params[c->weight].offset;
    const float *bias = c->bias < 0 ? NULL : n.params.values + n.graph->params[c->bias].offset;
    const double *y = amun__ref_f64_output(f64.plan, at);
    for (int64_t b = 0, i = 0; b < BATCH; b++) {
        for (int64_t oc = 0; oc < c->channels; oc++) {
            for (int64_t o = 0; o < c->height * c->width; o++, i++) {
                double want = conv_at(c, s, x, w, b, oc, o / c->width, o % c->width) +
                              (bias != NULL ? (double)bias[oc] : 0.0);
                ck_close(y[i], want, 1e-12);
            }
        }
    }
    net_run_free(&f64);
    free(x);
    net_end(&n);
}

START_TEST(test_conv_definition)
{
    check_conv((conv_form){.channels = 4, .kernel = 3, .pad = 1}, 3, 5, 7);
    check_conv((conv_form){.channels = 4, .kernel = 3, .pad = 1, .stride = 2, .bias = 1}, 3, 6, 7);
    check_conv((conv_form){.channels = 6, .kernel = 3, .pad = 2, .dilation = 2, .groups = 2}, 4, 7,
               5);
    check_conv((conv_form){.channels = 4, .kernel = 1, .stride = 2, .groups = 4, .bias = 1}, 4, 5,
               5);
    check_conv((conv_form){.channels = 2, .kernel = 5, .pad = 4, .stride = 3, .dilation = 2}, 1, 3,
               9);
}
END_TEST

START_TEST(test_conv_padding)
{
    for (amun_padding padding = AMUN_PADDING_ZERO; padding <= AMUN_PADDING_REPLICATE; padding++) {
        check_conv((conv_form){.channels = 4, .kernel = 3, .pad = 1, .padding = padding}, 3, 5, 7);
        check_conv((conv_form){.channels = 2, .kernel = 5, .pad = 3, .padding = padding}, 1, 4, 6);
        check_conv((conv_form){.channels = 4,
                               .kernel = 3,
                               .pad = 2,
                               .stride = 2,
                               .dilation = 2,
                               .groups = 2,
                               .bias = 1,
                               .padding = padding},
                   2, 7, 6);
    }
    check_conv((conv_form){.channels = 2, .kernel = 3, .pad = 4, .padding = AMUN_PADDING_REPLICATE},
               2, 1, 3); /* far outside */
    check_conv((conv_form){.channels = 2, .kernel = 3, .pad = 3, .padding = AMUN_PADDING_CIRCULAR},
               2, 3, 3); /* as far as it goes */
}
END_TEST

START_TEST(test_padding_refused)
{
    net n;
    net_begin(&n, 1, 4, 3);
    amun_conv2d_options o;
    ck_ok(amun_conv2d_options_init(&o, sizeof o));
    ck_assert_int_eq(o.padding, AMUN_PADDING_ZERO);
    amun_node node = -1;
    o.channels = 2;
    o.pad_h = o.pad_w = 3;
    o.padding = AMUN_PADDING_REFLECT;
    ck_fails(amun_graph_conv2d(&node, n.graph, 0, "c", &o), AMUN_ERROR_SHAPE,
             "c: reflect padding of 3 does not fit an extent of 3");
    o.pad_w = 2;
    ck_ok(amun_graph_conv2d(&node, n.graph, 0, "c", &o));
    o.pad_h = 5;
    o.padding = AMUN_PADDING_CIRCULAR;
    ck_fails(amun_graph_conv2d(&node, n.graph, 0, "d", &o), AMUN_ERROR_SHAPE,
             "d: circular padding of 5 does not fit an extent of 4");
    o.padding = AMUN_PADDING_REPLICATE;
    ck_ok(amun_graph_conv2d(&node, n.graph, 0, "d", &o));
    o.padding = 5;
    ck_fails(amun_graph_conv2d(&node, n.graph, 0, "e", &o), AMUN_ERROR_INVALID_ARGUMENT,
             "padding: 5");
    o.padding = 0; /* structs from before there was a choice */
    ck_ok(amun_graph_conv2d(&node, n.graph, 0, "e", &o));
    ck_assert_int_eq(n.graph->nodes[node].padding, AMUN__PADDING_ZERO);
    net_end(&n);
}
END_TEST

/* One node over `count` given input values; the output must be `want` in both precisions. */
static void check_values(net *n, amun_node at, int64_t batch, const float *x, const double *want,
                         amun__mode mode)
{
    net_head(n, at);
    if (n->params.values == NULL) {
        net_finish(n, 1);
    }
    net_run run;
    float *diff = net_random((size_t)batch * 5, 1, 0, 1);
    net_execute(&run, n, &amun__backend_ref_f64, mode, batch, x, diff);
    const double *y = amun__ref_f64_output(run.plan, at);
    for (size_t i = 0; i < (size_t)batch * net_node_size(n, at); i++) {
        ck_close(y[i], want[i], 1e-7);
    }
    net_run_free(&run);
    free(diff);
    net_end(n);
}

START_TEST(test_pool_values)
{
    const float x[9] = {-5, -2, -3, -4, -1, -6, -9, -8, -7};
    net n;
    net_begin(&n, 1, 3, 3);
    /* windows at -1 and 1: padding would be 0 and would win, if it could */
    check_values(&n, net_pool(&n, 0, false, 2, 2, 1), 1, x, (double[]){-5, -2, -4, -1},
                 AMUN__MODE_INFER);
    net_begin(&n, 1, 3, 3);
    check_values(&n, net_pool(&n, 0, true, 2, 2, 1), 1, x, (double[]){-1.25, -1.25, -3.25, -5.5},
                 AMUN__MODE_INFER);
    net_begin(&n, 1, 3, 3);
    check_values(&n, net_pool(&n, 0, true, 2, 1, 0), 1, x, (double[]){-3, -3, -5.5, -5.5},
                 AMUN__MODE_INFER);
    net_begin(&n, 1, 3, 3);
    check_values(&n, net_global_pool(&n, 0), 1, x, (double[]){-5}, AMUN__MODE_INFER);
}
END_TEST

START_TEST(test_elementwise_values)
{
    const float x[4] = {-1, 0, 0.5f, 2};
    net n;
    amun_node at = -1;
    net_begin(&n, 2, 1, 2);
    check_values(&n, net_relu(&n, 0), 1, x, (double[]){0, 0, 0.5, 2}, AMUN__MODE_INFER);
    net_begin(&n, 2, 1, 2);
    check_values(&n, net_scale(&n, 0, -3), 1, x, (double[]){3, 0, -1.5, -6}, AMUN__MODE_INFER);
    net_begin(&n, 2, 1, 2);
    check_values(&n, net_add(&n, net_scale(&n, 0, 2), 0), 1, x, (double[]){-3, 0, 1.5, 6},
                 AMUN__MODE_INFER);
    net_begin(&n, 2, 1, 2);
    ck_ok(amun_graph_normalise(&at, n.graph, 0, (double[]){0.5, 1}, (double[]){0.5, 2}));
    check_values(&n, at, 1, x, (double[]){-3, -1, -0.25, 0.5}, AMUN__MODE_INFER);
    net_begin(&n, 2, 1, 2);
    amun_node parts[3] = {0, net_scale(&n, 0, 2), 0};
    ck_ok(amun_graph_concat(&at, n.graph, parts, 3));
    check_values(&n, at, 1, x, (double[]){-1, 0, 0.5, 2, -2, 0, 1, 4, -1, 0, 0.5, 2},
                 AMUN__MODE_INFER);
}
END_TEST

START_TEST(test_batchnorm_values)
{
    /* two images, one channel of 1 x 2: mean 1, biased variance 5 */
    const float x[4] = {-2, 0, 2, 4};
    double inverse = 1 / sqrt(5 + 1e-5);
    net n;
    net_begin(&n, 1, 1, 2);
    amun_node at = net_bn(&n, 0, "bn");
    net_linear(&n, net_flatten(&n, at), "f", 2, 0);
    net_finish(&n, 1);
    const float bn[4] = {2, 0.25f, 3, 4}; /* scale, shift; running mean, variance */
    memcpy(n.params.values, bn, 2 * sizeof(float));
    memcpy(n.params.values + n.graph->trainable, bn + 2, 2 * sizeof(float));
    net_run run;
    const float diff[4] = {1, 1, 1, 1};
    net_execute(&run, &n, &amun__backend_ref_f64, AMUN__MODE_TRAIN, 2, x, diff);
    for (int i = 0; i < 4; i++) {
        ck_close(amun__ref_f64_output(run.plan, at)[i], 2 * inverse * ((double)x[i] - 1) + 0.25,
                 1e-12);
    }
    ck_assert_uint_eq(run.channel_count, 1);
    ck_close((double)run.means[0], 1, 0);
    ck_close((double)run.variances[0], 5, 0); /* biased */
    net_run_free(&run);
    net_execute(&run, &n, &amun__backend_ref_f64, AMUN__MODE_ATTACK, 2, x, diff);
    for (int i = 0; i < 4; i++) {
        ck_close(amun__ref_f64_output(run.plan, at)[i],
                 2 / sqrt(4 + 1e-5) * ((double)x[i] - 3) + 0.25, 1e-12);
    }
    net_run_free(&run);
    net_end(&n);
}
END_TEST

START_TEST(test_max_pool_tie)
{
    /* all equal: the whole gradient goes to the first in row-major order */
    const float x[4] = {7, 7, 7, 7};
    net n;
    net_begin(&n, 1, 2, 2);
    net_linear(&n, net_flatten(&n, net_pool(&n, 0, false, 2, 2, 0)), "f", 2, 0);
    net_finish(&n, 1);
    n.params.values[0] = 1;
    n.params.values[1] = 2;
    const amun__backend *backends[2] = {&amun__backend_ref, &amun__backend_ref_f64};
    for (int i = 0; i < 2; i++) {
        net_run run;
        net_execute(&run, &n, backends[i], AMUN__MODE_ATTACK, 1, x, (float[]){3, 5});
        ck_assert(run.diff_src[0] == 13.0f && run.diff_src[1] == 0.0f && run.diff_src[2] == 0.0f &&
                  run.diff_src[3] == 0.0f);
        net_run_free(&run);
    }
    net_end(&n);
}
END_TEST

/* ---- backward against central differences
 * ---------------------------------------------------------- */

/* sum(diff_dst * logits) in double. */
static double objective(amun__plan *plan, const float *x, const float *diff_dst, size_t logits)
{
    float *unused = calloc(logits, sizeof(float));
    ck_ok(amun__plan_forward(plan, x, unused));
    free(unused);
    const double *y = amun__ref_f64_output(plan, plan->graph->node_count - 1);
    double sum = 0.0;
    for (size_t i = 0; i < logits; i++) {
        sum += (double)diff_dst[i] * y[i];
    }
    return sum;
}

/* Every `stride`-th gradient of `values` against the difference quotient. The step is what the
 * floats really moved, so rounding them costs nothing. Small, so that hardly any kink is crossed.
 */
static void check_gradient(amun__plan *plan, const float *x, const float *diff_dst, size_t logits,
                           float *values, const float *gradient, size_t count, size_t stride,
                           double floor, const char *what)
{
    double top = floor;
    for (size_t i = 0; i < count; i++) {
        top = fmax(top, fabs((double)gradient[i]));
    }
    for (size_t i = 0; i < count; i += stride) {
        float old = values[i];
        float above = old + 0x1p-20f, below = old - 0x1p-20f;
        values[i] = above;
        double up = objective(plan, x, diff_dst, logits);
        values[i] = below;
        double down = objective(plan, x, diff_dst, logits);
        values[i] = old;
        double quotient = (up - down) / ((double)above - (double)below);
        ck_assert_msg(fabs(quotient - (double)gradient[i]) <= 1e-6 * top,
                      "%s[%zu]: gradient %.9g, difference quotient %.9g (largest %.3g)", what, i,
                      (double)gradient[i], quotient, top);
    }
}

static void check_mode(net *n, amun__mode mode)
{
    float *x = net_random(BATCH * net_node_size(n, 0), 11, -1, 1);
    size_t logits = BATCH * net_node_size(n, n->graph->node_count - 1);
    float *diff_dst = net_random(logits, 12, -1, 1);
    net_run run;
    net_execute(&run, n, &amun__backend_ref_f64, mode, BATCH, x, diff_dst);
    double top = 0.0;
    for (size_t i = 0; i < run.src_count; i++) {
        top = fmax(top, fabs((double)run.diff_src[i]));
    }
    ck_assert_msg(top > 1e-4, "no gradient arrives at the input");
    check_gradient(run.plan, x, diff_dst, logits, x, run.diff_src, run.src_count,
                   1 + run.src_count / 60, 0, "input");
    for (int32_t i = 0; i < n->graph->param_count && mode == AMUN__MODE_TRAIN; i++) {
        const amun__param *p = &n->graph->params[i];
        if (p->trainable) {
            /* gradients that cancel (a bias before a batch norm) are measured on the input's scale
             */
            check_gradient(run.plan, x, diff_dst, logits, n->params.values + p->offset,
                           run.diff_params + p->offset, p->count, 1 + p->count / 40, top, p->name);
        }
    }
    /* the float backend runs the same text: close to the double one */
    net_run f32;
    net_execute(&f32, n, &amun__backend_ref, mode, BATCH, x, diff_dst);
    ck_assert_double_le(net_error(f32.logits, run.logits, logits), 1e-5);
    ck_assert_double_le(net_error(f32.diff_src, run.diff_src, run.src_count), 1e-5);
    ck_assert_double_le(net_error(f32.diff_params, run.diff_params, run.param_count), 1e-5);
    ck_assert_double_le(net_error(f32.means, run.means, run.channel_count), 1e-5);
    ck_assert_double_le(net_error(f32.variances, run.variances, run.channel_count), 1e-5);
    net_run_free(&f32);
    net_run_free(&run);
    free(x);
    free(diff_dst);
}

static void check_net(net *n, amun_node last)
{
    net_head(n, last);
    net_finish(n, 9);
    check_mode(n, AMUN__MODE_TRAIN);
    check_mode(n, AMUN__MODE_ATTACK);
    net_end(n);
}

START_TEST(test_gradient_conv)
{
    const conv_form forms[] = {
        {.channels = 4, .kernel = 3, .pad = 1, .bias = 1},
        {.channels = 4, .kernel = 3, .pad = 1, .stride = 2},
        {.channels = 6, .kernel = 3, .pad = 2, .dilation = 2, .groups = 3, .bias = 1},
        {.channels = 3, .kernel = 1, .stride = 2, .groups = 3},
        {.channels = 4, .kernel = 3, .pad = 1, .padding = AMUN_PADDING_CIRCULAR},
        {.channels = 4, .kernel = 3, .pad = 2, .bias = 1, .padding = AMUN_PADDING_REFLECT},
        {.channels = 3, .kernel = 3, .pad = 2, .stride = 2, .padding = AMUN_PADDING_REPLICATE},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        net n;
        net_begin(&n, 3, 6, 5);
        check_net(&n, net_conv(&n, 0, "c", forms[i]));
    }
}
END_TEST

START_TEST(test_gradient_dense)
{
    net n;
    net_begin(&n, 2, 3, 2);
    amun_node at = net_relu(&n, net_linear(&n, net_flatten(&n, 0), "a", 7, 1));
    check_net(&n, net_scale(&n, net_linear(&n, at, "b", 6, 0), 1.5));
}
END_TEST

START_TEST(test_gradient_batchnorm)
{
    net n;
    net_begin(&n, 3, 4, 3);
    check_net(&n, net_bn(&n, 0, "bn"));
    net_begin(&n, 3, 4, 3);
    amun_node at = net_conv(&n, 0, "c", (conv_form){.channels = 4, .kernel = 3, .bias = 1});
    check_net(&n, net_relu(&n, net_bn(&n, at, "bn")));
    net_begin(&n, 3, 4, 3); /* of a flat value: one statistic per feature over the batch */
    check_net(&n, net_bn(&n, net_flatten(&n, 0), "bn"));
}
END_TEST

START_TEST(test_gradient_pools)
{
    const struct {
        int64_t kernel, stride, pad;
    } forms[] = {{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {2, 3, 0}};
    for (size_t i = 0; i < 2 * sizeof forms / sizeof forms[0]; i++) {
        net n;
        net_begin(&n, 2, 7, 6);
        amun_node at = net_conv(&n, 0, "c", (conv_form){.channels = 3, .kernel = 3, .pad = 1});
        check_net(&n, net_pool(&n, at, i % 2 == 0, forms[i / 2].kernel, forms[i / 2].stride,
                               forms[i / 2].pad));
    }
    net n;
    net_begin(&n, 2, 7, 6);
    check_net(&n, net_global_pool(&n, 0));
}
END_TEST

START_TEST(test_gradient_joins)
{
    net n;
    amun_node at = -1;
    net_begin(&n, 3, 5, 5);
    ck_ok(amun_graph_normalise(&at, n.graph, 0, (double[]){0.5, 0.4, 0.3},
                               (double[]){0.2, 0.25, 0.3}));
    amun_node a = net_conv(&n, at, "a", (conv_form){.channels = 4, .kernel = 3, .pad = 1});
    amun_node b = net_conv(&n, at, "b", (conv_form){.channels = 4, .kernel = 1});
    amun_node sum = net_scale(&n, net_add(&n, net_bn(&n, a, "bn"), b), 0.5);
    amun_node parts[4] = {sum, a, net_relu(&n, sum), sum}; /* several readers, one twice */
    ck_ok(amun_graph_concat(&at, n.graph, parts, 4));
    check_net(&n, at);
    net_begin(&n, 2, 3, 3);
    check_net(&n, net_add(&n, 0, 0)); /* both sides the same node */
}
END_TEST

START_TEST(test_backward_refused)
{
    net n;
    net_begin(&n, 1, 2, 2);
    net_head(&n, 0);
    net_finish(&n, 1);
    float x[4] = {0}, y[5], diff[64];
    amun__plan *plan;
    ck_ok(amun__plan_create(&plan, n.ctx, &n.params, 1, AMUN__MODE_INFER, &amun__backend_ref));
    ck_ok(amun__plan_forward(plan, x, y));
    ck_assert_int_ne(amun__plan_backward(plan, y, x, NULL), AMUN_OK);
    ck_fails(amun__backend_ref.backward(plan, y, x, NULL), AMUN_ERROR_STATE, "inference");
    amun__plan_destroy(plan);
    ck_ok(amun__plan_create(&plan, n.ctx, &n.params, 1, AMUN__MODE_ATTACK, &amun__backend_ref));
    ck_ok(amun__plan_forward(plan, x, y));
    ck_fails(amun__backend_ref.backward(plan, y, x, diff), AMUN_ERROR_STATE, "weight gradients");
    ck_assert_ptr_null(amun__ref_f64_output(plan, 0));
    amun__plan_destroy(plan);
    net_end(&n);
}
END_TEST

/* Each allocation that can fail does so once; nothing may leak. */
START_TEST(test_out_of_memory)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    net n;
    net_begin(&n, 1, 4, 4);
    net_head(&n, net_bn(&n, 0, "bn"));
    net_finish(&n, 1);
    int64_t before = atomic_load(&allocator.live_blocks);
    amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
    int64_t failures = 0;
    for (int64_t at = 1; status != AMUN_OK; at++) {
        amun__plan *plan = NULL;
        atomic_store(&allocator.fail_at, at);
        status = amun__plan_create(&plan, ctx, &n.params, 2, AMUN__MODE_TRAIN, &amun__backend_ref);
        ck_assert(status == AMUN_OK || status == AMUN_ERROR_OUT_OF_MEMORY);
        failures += status != AMUN_OK;
        ck_assert((plan == NULL) == (status != AMUN_OK));
        amun__plan_destroy(plan);
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
    }
    ck_assert_int_gt(failures, 10);
    atomic_store(&allocator.fail_at, 0);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
    net_end(&n);
}
END_TEST

int main(void)
{
    TCase *forward = tcase_create("forward");
    tcase_add_test(forward, test_conv_definition);
    tcase_add_test(forward, test_conv_padding);
    tcase_add_test(forward, test_padding_refused);
    tcase_add_test(forward, test_pool_values);
    tcase_add_test(forward, test_elementwise_values);
    tcase_add_test(forward, test_batchnorm_values);
    TCase *backward = tcase_create("backward");
    tcase_add_test(backward, test_max_pool_tie);
    tcase_add_test(backward, test_gradient_conv);
    tcase_add_test(backward, test_gradient_dense);
    tcase_add_test(backward, test_gradient_batchnorm);
    tcase_add_test(backward, test_gradient_pools);
    tcase_add_test(backward, test_gradient_joins);
    TCase *limits = tcase_create("limits");
    tcase_add_test(limits, test_backward_refused);
    tcase_add_test(limits, test_out_of_memory);
    return amun_test_main("ref", (TCase *[]){forward, backward, limits, NULL});
}
