/* Second derivatives along a direction: softmax regression in closed form, central differences of
 * the reference backend in double where no kink is near, symmetry of the Hessian where kinks are
 * everywhere. (Whole networks against PyTorch: tests/interop/torch_ensemble.py and
 * test_rivals_joint.c.) */
#include "nets.h"
#include "nn/curvature.h"
#include "nn/model_private.h"
#include "training.h"

enum { BATCH = 5, CLASSES = 5 };

static test_allocator allocator;
static amun_context *ctx;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
}

static void teardown(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* ---- the problem ------------------------------------------------------------------------------
 */

/* A batch on a model, and what a pass gave. */
typedef struct problem {
    amun_model *model;
    size_t pixels, count, trainable;
    float *images, *direction, *targets, *weights;
    float *diff, *diff_src;
} problem;

static problem problem_new(amun_model *model, size_t count)
{
    amun__model_values values;
    int64_t shape[3];
    amun__model_values_get(model, &values);
    ck_ok(amun_model_shape(model, shape));
    problem p = {.model = model,
                 .pixels = (size_t)(shape[0] * shape[1] * shape[2]),
                 .count = count,
                 .trainable = values.trainable};
    p.images = net_random(count * p.pixels, 3, 0, 1);
    p.direction = net_random(count * p.pixels, 4, -1, 1);
    p.targets = net_random(count * CLASSES, 5, 0, 1);
    p.weights = net_random(count, 6, 0.5, 1.5);
    p.diff = calloc(p.trainable, sizeof(float));
    p.diff_src = calloc(count * p.pixels, sizeof(float));
    for (size_t b = 0; b < count; b++) {
        float sum = 0.0f;
        for (size_t k = 0; k < CLASSES; k++) {
            sum += p.targets[b * CLASSES + k];
        }
        for (size_t k = 0; k < CLASSES; k++) {
            p.targets[b * CLASSES + k] /= sum;
        }
    }
    return p;
}

static void problem_free(problem *p)
{
    free(p->images);
    free(p->direction);
    free(p->targets);
    free(p->weights);
    free(p->diff);
    free(p->diff_src);
    amun_model_unref(p->model);
}

static amun__curvature_pass pass_of(const problem *p, void *space)
{
    return (amun__curvature_pass){.count = p->count,
                                  .images = p->images,
                                  .direction = p->direction,
                                  .targets = p->targets,
                                  .weights = p->weights,
                                  .space = space,
                                  .scale = 1.0,
                                  .diff = p->diff,
                                  .diff_src = p->diff_src};
}

static void run(const problem *p, size_t batch, double scale, bool params, bool images)
{
    amun__curvature *c = NULL;
    void *space = NULL;
    ck_ok(amun__curvature_open(&c, p->model, batch));
    ck_ok(amun__alloc(ctx, &space, amun__curvature_bytes(c), 1));
    amun__curvature_pass pass = pass_of(p, space);
    pass.scale = scale;
    pass.diff = params ? p->diff : NULL;
    pass.diff_src = images ? p->diff_src : NULL;
    ck_ok(amun__curvature_run(c, &pass));
    amun__free(ctx, space);
    amun__curvature_close(c);
}

static double distance(const float *got, const double *want, size_t count)
{
    double wrong = 0.0, whole = 0.0;
    for (size_t i = 0; i < count; i++) {
        wrong += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        whole += want[i] * want[i];
    }
    ck_assert(whole > 0.0);
    return sqrt(wrong / whole);
}

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* ---- softmax regression -----------------------------------------------------------------------
 */

/* J = diag(p) - p p': d/dr of (p - y) x' is J W v x' + (p - y) v', of the image's gradient W' J W
 * v.
 */
static void regression_row(const problem *p, const float *w, const float *bias, size_t b,
                           double *diff, double *diff_src)
{
    const float *x = p->images + b * p->pixels, *v = p->direction + b * p->pixels;
    double z[CLASSES], along[CLASSES], sum = 0.0, mean = 0.0, weight = (double)p->weights[b];
    for (size_t k = 0; k < CLASSES; k++) {
        z[k] = exp((double)bias[k] + dot(w + k * p->pixels, x, p->pixels));
        along[k] = dot(w + k * p->pixels, v, p->pixels);
        sum += z[k];
    }
    for (size_t k = 0; k < CLASSES; k++) {
        z[k] /= sum;
        mean += z[k] * along[k];
    }
    for (size_t k = 0; k < CLASSES; k++) {
        const double turn = weight * z[k] * (along[k] - mean);
        const double seed = weight * (z[k] - (double)p->targets[b * CLASSES + k]);
        for (size_t i = 0; i < p->pixels; i++) {
            diff[k * p->pixels + i] += turn * (double)x[i] + seed * (double)v[i];
            diff_src[b * p->pixels + i] += turn * (double)w[k * p->pixels + i];
        }
        diff[CLASSES * p->pixels + k] += turn;
    }
}

START_TEST(test_regression)
{
    problem p = problem_new(linear_model(ctx, 2, 3, 3, CLASSES, 1), BATCH);
    amun__model_values values;
    amun__model_values_get(p.model, &values);
    double *diff = calloc(p.trainable, sizeof(double));
    double *diff_src = calloc(BATCH * p.pixels, sizeof(double));
    for (size_t b = 0; b < BATCH; b++) {
        regression_row(&p, values.values, values.values + CLASSES * p.pixels, b, diff, diff_src);
    }
    run(&p, BATCH, 1.0, true, true);
    ck_assert_double_le(distance(p.diff, diff, p.trainable), 1e-6);
    ck_assert_double_le(distance(p.diff_src, diff_src, BATCH * p.pixels), 1e-6);
    free(diff);
    free(diff_src);
    problem_free(&p);
}
END_TEST

/* ---- all nodes ----------------------------------------------------------------------------------
 */

/* Every kind of node, values read twice, a bias before and after batch norms. `smooth`: each ReLU's
 * input stays on one side, and no max pool. */
static amun_model *every_node(bool smooth)
{
    net n = {.ctx = ctx};
    const double mean[3] = {0.4, 0.5, 0.6}, std[3] = {0.2, 0.25, 0.3};
    amun_node at = 0, left, right, both[2];
    amun_model *model = NULL;
    ck_ok(amun_graph_create(&n.graph, ctx, 3, 9, 9));
    ck_ok(amun_graph_normalise(&at, n.graph, at, mean, std));
    at = net_conv(&n, at, "a", (conv_form){.channels = 6, .kernel = 3, .pad = 1, .bias = 1});
    left = net_relu(&n, net_bn(&n, at, "a_bn"));
    right = net_conv(&n, left, "b",
                     (conv_form){.channels = 6,
                                 .kernel = 3,
                                 .pad = 2,
                                 .dilation = 2,
                                 .groups = 2,
                                 .padding = AMUN_PADDING_REFLECT});
    right = net_scale(&n, net_bn(&n, right, "b_bn"), 0.75);
    at = net_relu(&n, net_add(&n, left, right));
    at = net_pool(&n, at, smooth, 3, 2, 1);
    both[0] = net_relu(
        &n, net_bn(&n, net_conv(&n, at, "c", (conv_form){.channels = 4, .kernel = 1}), "c_bn"));
    both[1] = at;
    ck_ok(amun_graph_concat(&at, n.graph, both, 2));
    at = net_pool(&n, at, true, 2, 2, 0);
    at = net_bn(&n, net_linear(&n, net_flatten(&n, at), "fc", 8, 1), "fc_bn");
    at = net_linear(&n, net_relu(&n, at), "head", CLASSES, 1);
    ck_ok(amun_model_create_graph(&model, ctx, n.graph, 3));
    amun_graph_unref(n.graph);
    amun__rng rng;
    amun__rng_open(&rng, 8, AMUN__RNG_TEST, 1, 0);
    for (int32_t i = 0; i < model->graph->node_count; i++) {
        const amun__node *node = &model->graph->nodes[i];
        float *values = model->params.values;
        const amun__param *params = model->graph->params;
        for (int64_t c = 0; c < node->channels && node->kind == AMUN__NODE_BATCHNORM; c++) {
            float *scale = &values[params[node->weight].offset + (size_t)c];
            float *shift = &values[params[node->bias].offset + (size_t)c];
            *scale = smooth ? net_uniform(&rng, 0.1, 0.2) : net_uniform(&rng, 0.5, 1.5);
            *shift = smooth ? 1.0f : net_uniform(&rng, -0.5, 0.5);
            if (smooth && c % 3 == 2 && strcmp(node->name, "b_bn") != 0) {
                *shift = -1.0f;
            }
        }
    }
    amun__model_touch(model);
    return model;
}

/* Gradients in parameters and images at images + r * direction, by the plain reference in double.
 */
static void gradients_at(const problem *p, double r, float *diff, float *diff_src)
{
    amun__plan *plan = NULL;
    const size_t values = p->count * p->pixels;
    float logits[BATCH * CLASSES], seed[BATCH * CLASSES];
    float *x = calloc(values, sizeof(float));
    for (size_t i = 0; i < values; i++) {
        x[i] = (float)((double)p->images[i] + r * (double)p->direction[i]);
    }
    ck_ok(amun__plan_create(&plan, ctx, &p->model->params, (int64_t)p->count, AMUN__MODE_TRAIN,
                            &amun__backend_ref_f64));
    ck_ok(amun__plan_forward(plan, x, logits));
    (void)amun__loss_cross_entropy(logits, p->targets, p->weights, p->count, CLASSES, 1.0, seed);
    ck_ok(amun__plan_backward(plan, seed, diff_src, diff));
    amun__plan_destroy(plan);
    free(x);
}

/* Central differences at r and r / 2, extrapolated. */
static void differences(const problem *p, double r, double *diff, double *diff_src)
{
    const size_t pixels = p->count * p->pixels;
    float *d[2] = {calloc(p->trainable, sizeof(float)), calloc(p->trainable, sizeof(float))};
    float *s[2] = {calloc(pixels, sizeof(float)), calloc(pixels, sizeof(float))};
    for (int round = 0; round < 2; round++) {
        const double by = round == 0 ? -1.0 / 3.0 : 4.0 / 3.0, radius = round == 0 ? r : r / 2;
        gradients_at(p, radius, d[0], s[0]);
        gradients_at(p, -radius, d[1], s[1]);
        for (size_t i = 0; i < p->trainable; i++) {
            diff[i] += by * ((double)d[0][i] - (double)d[1][i]) / (2.0 * radius);
        }
        for (size_t i = 0; i < pixels; i++) {
            diff_src[i] += by * ((double)s[0][i] - (double)s[1][i]) / (2.0 * radius);
        }
    }
    for (int i = 0; i < 2; i++) {
        free(d[i]);
        free(s[i]);
    }
}

START_TEST(test_differences)
{
    problem p = problem_new(every_node(true), BATCH);
    double *diff = calloc(p.trainable, sizeof(double));
    double *diff_src = calloc(BATCH * p.pixels, sizeof(double));
    differences(&p, 1.0 / 128.0, diff, diff_src);
    run(&p, BATCH, 1.0, true, true);
    ck_assert_double_le(distance(p.diff, diff, p.trainable), 2e-4);
    ck_assert_double_le(distance(p.diff_src, diff_src, BATCH * p.pixels), 2e-4);
    free(diff);
    free(diff_src);
    problem_free(&p);
}
END_TEST

/* <u, H v> = <v, H u>, through kinks, over the samples that batch norm ties together. */
START_TEST(test_symmetry)
{
    problem p = problem_new(every_node(false), BATCH);
    const size_t pixels = BATCH * p.pixels;
    float *u = net_random(pixels, 9, -1, 1), *v = p.direction;
    run(&p, BATCH, 1.0, false, true);
    const double one = dot(u, p.diff_src, pixels);
    const double size = sqrt(dot(u, u, pixels) * dot(p.diff_src, p.diff_src, pixels));
    p.direction = u;
    run(&p, BATCH, 1.0, false, true);
    const double other = dot(v, p.diff_src, pixels);
    ck_assert_double_gt(fabs(one), 1e-3 * size); /* not two zeros */
    ck_assert_double_le(fabs(one - other), 1e-5 * size);
    p.direction = v;
    free(u);
    problem_free(&p);
}
END_TEST

/* ---- what a pass does besides
 * --------------------------------------------------------------------- */

/* The gradient is added to diff, `scale` times; a larger plan and no images give the same. */
START_TEST(test_adds)
{
    problem p = problem_new(every_node(false), BATCH);
    float *first = calloc(p.trainable, sizeof(float));
    double *want = calloc(p.trainable, sizeof(double));
    run(&p, BATCH, 1.0, true, true);
    memcpy(first, p.diff, p.trainable * sizeof(float));
    memset(p.diff, 0, p.trainable * sizeof(float));
    run(&p, BATCH, 1.0, true, true); /* the same bytes each time */
    ck_assert_mem_eq(first, p.diff, p.trainable * sizeof(float));
    for (size_t i = 0; i < p.trainable; i++) {
        p.diff[i] = 0.25f;
        want[i] = 0.25 + 0.5 * (double)first[i];
    }
    run(&p, BATCH + 4, 0.5, true, false);
    ck_assert_double_le(distance(p.diff, want, p.trainable), 1e-5);
    free(first);
    free(want);
    problem_free(&p);
}
END_TEST

START_TEST(test_leaves_model)
{
    problem p = problem_new(every_node(false), BATCH);
    model_bytes before = bytes_of(p.model);
    run(&p, BATCH, 1.0, true, true);
    ck_assert(same_bytes(before, bytes_of(p.model)));
    problem_free(&p);
}
END_TEST

/* New weights are seen by the next pass. */
START_TEST(test_follows_weights)
{
    problem p = problem_new(every_node(false), BATCH);
    amun__curvature *c = NULL;
    void *space = NULL;
    amun__model_values values;
    ck_ok(amun__curvature_open(&c, p.model, BATCH));
    ck_ok(amun__alloc(ctx, &space, amun__curvature_bytes(c), 1));
    amun__curvature_pass pass = pass_of(&p, space);
    ck_ok(amun__curvature_run(c, &pass));
    amun__model_values_get(p.model, &values);
    for (size_t i = 0; i < values.trainable; i++) {
        values.values[i] *= 1.25f;
    }
    amun__model_touch(p.model);
    memset(p.diff, 0, p.trainable * sizeof(float));
    ck_ok(amun__curvature_run(c, &pass));
    float *again = calloc(p.trainable, sizeof(float));
    memcpy(again, p.diff, p.trainable * sizeof(float));
    memset(p.diff, 0, p.trainable * sizeof(float));
    run(&p, BATCH, 1.0, true, true);
    ck_assert_mem_eq(again, p.diff, p.trainable * sizeof(float));
    free(again);
    amun__free(ctx, space);
    amun__curvature_close(c);
    problem_free(&p);
}
END_TEST

START_TEST(test_memory)
{
    amun_model *model = every_node(false);
    amun__curvature *c = NULL;
    amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
    int64_t fail_at = 1;
    for (; status == AMUN_ERROR_OUT_OF_MEMORY; fail_at++) {
        atomic_store(&allocator.fail_at, fail_at);
        status = amun__curvature_open(&c, model, 2);
        atomic_store(&allocator.fail_at, 0);
        ck_assert((status == AMUN_OK) == (c != NULL));
    }
    ck_ok(status);
    ck_assert_int_gt(fail_at, 10);
    amun__curvature_close(c);
    amun_model_unref(model);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("curvature");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_regression);
    tcase_add_test(tc, test_differences);
    tcase_add_test(tc, test_symmetry);
    tcase_add_test(tc, test_adds);
    tcase_add_test(tc, test_leaves_model);
    tcase_add_test(tc, test_follows_weights);
    tcase_add_test(tc, test_memory);
    return amun_test_main("curvature", (TCase *[]){tc, NULL});
}
