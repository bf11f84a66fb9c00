/* The public clipper: which layers it takes, what it leaves alone, what it reports. */
#include "amun/clip.h"

#include "clip_fixture.h"
#include "nn/graph.h"
#include "nn/linop_private.h"
#include "spectral/clipper_private.h"
#include "training.h"

/* conv 3x3, batch norm, ReLU, conv 3x3 stride 2, conv 1x1, batch norm, flatten, dense: all weights
 * times `gain`, batch norms with statistics. */
static amun_model *some_model(amun_context *ctx, double gain)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    conv.channels = 6;
    conv.bias = 1;
    ck_ok(amun_graph_create(&graph, ctx, 3, 8, 8));
    ck_ok(amun_graph_conv2d(&node, graph, node, "c1", &conv));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn1", 0, 0));
    ck_ok(amun_graph_relu(&node, graph, node));
    conv.stride_h = conv.stride_w = 2;
    ck_ok(amun_graph_conv2d(&node, graph, node, "c2", &conv));
    ck_ok(amun_graph_relu(&node, graph, node));
    conv.stride_h = conv.stride_w = conv.kernel_h = conv.kernel_w = 1;
    conv.pad_h = conv.pad_w = 0;
    ck_ok(amun_graph_conv2d(&node, graph, node, "c3", &conv));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn2", 0, 0));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", 10, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 3));
    const char *const weights[] = {"c1.weight", "c2.weight", "c3.weight", "fc.weight"};
    const size_t counts[] = {162, 324, 36, 960};
    float values[960];
    for (size_t i = 0; i < 4; i++) {
        ck_ok(amun_model_get_tensor(model, weights[i], values, counts[i]));
        for (size_t k = 0; k < counts[i]; k++) {
            values[k] *= (float)gain;
        }
        ck_ok(amun_model_set_tensor(model, weights[i], values, counts[i]));
    }
    const float var[6] = {0.1F, 0.2F, 1.0F, 2.0F, 0.5F, 0.05F};
    const float mean[6] = {1.0F, -1.0F, 0.0F, 0.5F, 2.0F, 0.1F};
    ck_ok(amun_model_set_tensor(model, "bn1.running_var", var, 6));
    ck_ok(amun_model_set_tensor(model, "bn1.running_mean", mean, 6));
    ck_ok(amun_model_set_tensor(model, "bn2.running_var", var, 6));
    amun_graph_unref(graph);
    return model;
}

/* Exact norm of a node, f64, by LAPACK. */
static double node_norm(amun_context *ctx, const amun_model *model, const char *name, bool fold)
{
    const amun_graph *graph = amun__model_graph(model);
    for (int32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].name == NULL || strcmp(graph->nodes[i].name, name) != 0) {
            continue;
        }
        amun__linop *op = NULL;
        ck_ok(amun__linop_create_node(&op, model, i, fold, 8, AMUN__LINOP_REF_F64));
        const size_t in = amun__linop_in(op), out = amun__linop_out(op);
        double *values = calloc(in < out ? in : out, sizeof *values);
        ck_assert_ptr_nonnull(values);
        ck_ok(amun__spectrum_exact(ctx, op, values));
        const double top = values[0];
        free(values);
        amun__linop_destroy(op);
        return top;
    }
    ck_abort_msg("no node %s", name);
    return 0.0;
}

static amun_clip_options clip_options(amun_clip_method method, double target)
{
    amun_clip_options o;
    ck_ok(amun_clip_options_init(&o, sizeof o));
    o.method = method;
    o.target = target;
    return o;
}

/* Everything that no clip may touch. */
static void kept(const amun_model *model, float *values)
{
    ck_ok(amun_model_get_tensor(model, "bn1.running_mean", values, 6));
    ck_ok(amun_model_get_tensor(model, "bn1.running_var", values + 6, 6));
    ck_ok(amun_model_get_tensor(model, "bn2.running_var", values + 12, 6));
    ck_ok(amun_model_get_tensor(model, "c1.bias", values + 18, 6));
    ck_ok(amun_model_get_tensor(model, "bn1.bias", values + 24, 6));
    ck_ok(amun_model_get_tensor(model, "fc.bias", values + 30, 10));
}

/* A choice that goes nowhere would make everything below a test of the best backend alone. */
START_TEST(test_backend_is_taken)
{
    amun_context *ctx = NULL;
    amun__clipper *clipper = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = some_model(ctx, 5.0);
    const amun_clip_options o = clip_options(AMUN_CLIP_GOUK, 1.0);
    ck_ok(amun__clipper_create(&clipper, ctx, model, &o, AMUN__CLIPPER_ONCE, clip_backends[_i]));
    ck_assert_int_eq(clipper->count, 4);
    for (int32_t i = 0; i < clipper->count; i++) {
        ck_assert_int_eq(clipper->layers[i].op->backend, clip_backends[_i]);
    }
    amun__clipper_destroy(clipper);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_every_method_once)
{
    for (amun_clip_method m = AMUN_CLIP_BLOCK; m <= AMUN_CLIP_DELATTRE_2024; m++) {
        if (m == AMUN_CLIP_SEDGHI || m == AMUN_CLIP_DELATTRE_2023) {
            continue; /* strides; no clip */
        }
        amun_context *ctx = NULL;
        amun_clipper *clipper = NULL;
        ck_ok(amun_context_create(&ctx, NULL));
        amun_model *model = some_model(ctx, 5.0);
        float before[40], after[40];
        kept(model, before);
        const amun_clip_options o = clip_options(m, 0.8);
        amun_clip_result result = {.struct_size = sizeof result};
        ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
        ck_ok(amun_clipper_run(&result, clipper, NULL));
        kept(model, after);
        ck_assert(memcmp(before, after, sizeof before) == 0);
        ck_assert_int_eq(result.layers, 4);
        ck_assert_int_eq(result.changed, 4);
        ck_assert_msg(result.upper <= 1.0 && result.largest <= 1.001, "method %d: %g, %g", (int)m,
                      result.largest, result.upper);
        ck_assert(result.moved > 0.1 && result.moved < 1.0 && result.seconds >= 0.0);
        const char *const names[] = {"c1", "c2", "c3", "fc"};
        for (size_t i = 0; i < 4; i++) {
            const double norm = node_norm(ctx, model, names[i], false);
            ck_assert_msg(norm <= 0.8, "method %d: %s is at %.9g", (int)m, names[i], norm);
        }
        amun_clipper_unref(clipper);
        amun_model_unref(model);
        amun_context_unref(ctx);
    }
}
END_TEST

/* Without the last scaling nothing is lost in bounds: the exact norms meet the target. */
START_TEST(test_block_meets_the_target)
{
    amun_context *ctx = NULL;
    amun_clipper *clipper = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = some_model(ctx, 5.0);
    amun_clip_options o = clip_options(AMUN_CLIP_BLOCK, 0.8);
    o.final_scale = 0;
    amun_clip_result result = {.struct_size = sizeof result};
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    ck_ok(amun_clipper_run(&result, clipper, NULL));
    const char *const names[] = {"c1", "c2", "c3", "fc"};
    for (size_t i = 0; i < 4; i++) {
        const double norm = node_norm(ctx, model, names[i], false);
        ck_assert_msg(norm <= 0.8008 && norm > 0.79, "%s is at %.9g", names[i], norm);
    }
    ck_assert(isinf(result.upper) && result.rounds >= 2);
    /* again: nothing left to do */
    model_bytes once = bytes_of(model);
    ck_ok(amun_clipper_run(&result, clipper, NULL));
    ck_assert_int_eq(result.changed, 0);
    ck_assert(same_bytes(once, bytes_of(model)));
    amun_clipper_unref(clipper);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_batch_norms)
{
    for (amun_clip_batchnorm how = AMUN_CLIP_BATCHNORM_HARD; how <= AMUN_CLIP_BATCHNORM_COMPOSITE;
         how++) {
        amun_context *ctx = NULL;
        amun_clipper *clipper = NULL;
        ck_ok(amun_context_create(&ctx, NULL));
        amun_model *model = some_model(ctx, 5.0);
        float before[40], after[40];
        kept(model, before);
        amun_clip_options o = clip_options(AMUN_CLIP_BLOCK, 1.0);
        o.batchnorm = how;
        o.batchnorm_target = 0.7;
        o.final_scale = 0;
        amun_clip_result result = {.struct_size = sizeof result};
        ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
        ck_ok(amun_clipper_run(&result, clipper, NULL));
        kept(model, after);
        ck_assert(memcmp(before, after, sizeof before) == 0);
        const double bn1 = node_norm(ctx, model, "bn1", false);
        const double bn2 = node_norm(ctx, model, "bn2", false);
        if (how == AMUN_CLIP_BATCHNORM_COMPOSITE) {
            ck_assert_int_eq(result.layers, 5); /* bn2 follows a ReLU */
            ck_assert(node_norm(ctx, model, "c1", true) <= 0.7007);
            ck_assert(node_norm(ctx, model, "c1", false) <= 1.001);
            ck_close(bn2, 1.0 / sqrt(0.05 + 1e-5), 1e-5);
        } else {
            ck_assert_int_eq(result.layers, 6);
            ck_assert((bn1 <= 0.7 + 1e-6) == (how != AMUN_CLIP_BATCHNORM_SOFT));
            ck_assert((bn2 <= 0.7 + 1e-6) == (how != AMUN_CLIP_BATCHNORM_SOFT));
        }
        amun_clipper_unref(clipper);
        amun_model_unref(model);
        amun_context_unref(ctx);
    }
}
END_TEST

START_TEST(test_composite_is_certified)
{
    amun_context *ctx = NULL;
    amun_clipper *clipper = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = some_model(ctx, 5.0);
    amun_clip_options o = clip_options(AMUN_CLIP_BLOCK, 1.0);
    o.batchnorm = AMUN_CLIP_BATCHNORM_COMPOSITE;
    amun_clip_result result = {.struct_size = sizeof result};
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    ck_ok(amun_clipper_run(&result, clipper, NULL));
    ck_assert(result.upper <= 1.0);
    ck_assert(node_norm(ctx, model, "c1", true) <= 1.0);
    ck_assert(node_norm(ctx, model, "c1", false) <= 1.0);
    amun_clipper_unref(clipper);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

/* The handle's own schedule clips at multiples of `every` above `delay`, and only then. */
START_TEST(test_steps_follow_the_schedule)
{
    amun_context *ctx = NULL;
    amun_clipper *clipper = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = some_model(ctx, 5.0);
    amun_clip_options o = clip_options(AMUN_CLIP_BLOCK, 0.8);
    o.every = 3;
    o.delay = 4;
    o.rounds = 400;
    amun_clip_result result = {.struct_size = sizeof result};
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    for (int step = 0; step < 10; step++) {
        ck_ok(amun_clipper_step(&result, clipper));
        ck_assert_msg((result.changed > 0) == (step == 6), "step %d: %d changed", step,
                      (int)result.changed);
    }
    ck_assert(node_norm(ctx, model, "c2", false) <= 0.8008);
    amun_clipper_unref(clipper);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_cancelled_and_unfinished_runs)
{
    amun_context *ctx = NULL;
    amun_clipper *clipper = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = some_model(ctx, 5.0);
    amun_clip_options o = clip_options(AMUN_CLIP_BLOCK, 0.8);
    amun_clip_result result = {.struct_size = sizeof result};
    watcher w = {.stop_at = 1};
    amun_call_options call = watched(&w);
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    ck_fails(amun_clipper_run(&result, clipper, &call), AMUN_ERROR_CANCELLED, "stopped");
    ck_assert_str_eq(w.phase, "clip");
    ck_assert_uint_eq(w.total, 4);
    ck_assert_int_eq(result.changed, 1); /* the first layer is done */
    ck_assert(node_norm(ctx, model, "c1", false) <= 0.8008);
    ck_assert(node_norm(ctx, model, "c2", false) > 1.0);
    amun_clipper_unref(clipper);
    o.max_rounds = 1;
    o.final_scale = 0;
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    ck_fails(amun_clipper_run(&result, clipper, NULL), AMUN_ERROR_NUMERIC, "c2 is still at");
    ck_assert(result.changed >= 2 && result.largest > 1.001);
    amun_clipper_unref(clipper);
    o.final_scale = 1;
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    ck_ok(amun_clipper_run(&result, clipper, NULL));
    ck_assert(node_norm(ctx, model, "c2", false) <= 0.8);
    amun_clipper_unref(clipper);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_refusals)
{
    amun_context *ctx = NULL;
    amun_clipper *clipper = NULL;
    amun_clip_result result = {.struct_size = sizeof result};
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = some_model(ctx, 1.0);
    amun_clip_options o = clip_options(AMUN_CLIP_SEDGHI, 1.0);
    ck_fails(amun_clipper_create(&clipper, model, &o), AMUN_ERROR_UNSUPPORTED, "c2 has stride 2");
    ck_assert(clipper == NULL);
    o = clip_options(AMUN_CLIP_GOUK, 1.0);
    o.batchnorm = AMUN_CLIP_BATCHNORM_COMPOSITE;
    ck_fails(amun_clipper_create(&clipper, model, &o), AMUN_ERROR_UNSUPPORTED, "composite");
    o = clip_options(AMUN_CLIP_GOUK, 1.0);
    o.exact = 1;
    ck_fails(amun_clipper_create(&clipper, model, &o), AMUN_ERROR_UNSUPPORTED, "exact");
    o = clip_options(AMUN_CLIP_DELATTRE_2023, 1.0);
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    ck_fails(amun_clipper_run(&result, clipper, NULL), AMUN_ERROR_UNSUPPORTED, "delattre_2023");
    ck_fails(amun_clipper_step(&result, clipper), AMUN_ERROR_UNSUPPORTED, "delattre_2023");
    amun_clipper_unref(clipper);
    o = clip_options(AMUN_CLIP_MIYATO, 1.0);
    ck_ok(amun__clipper_open(&clipper, model, &o, clip_backends[_i]));
    ck_fails(amun_clipper_step(NULL, clipper), AMUN_ERROR_UNSUPPORTED, "miyato");
    ck_ok(amun__model_begin_read(model));
    ck_fails(amun_clipper_run(&result, clipper, NULL), AMUN_ERROR_BUSY, "using this model");
    amun__model_end_read(model);
    result.struct_size = 3;
    ck_fails(amun_clipper_run(&result, clipper, NULL), AMUN_ERROR_INVALID_ARGUMENT, "struct_size");
    amun_clipper_unref(clipper);
    ck_fails(amun_clipper_create(NULL, model, NULL), AMUN_ERROR_INVALID_ARGUMENT, "clipper");
    ck_fails(amun_clipper_create(&clipper, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "model");
    ck_fails(amun_clipper_run(NULL, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "clipper");
    ck_fails(amun_clipper_step(NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "clipper");
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_weights_that_are_not_finite)
{
    amun_context *ctx = NULL;
    amun_clipper *clipper = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_model *model = some_model(ctx, 1.0);
    amun__model_values v;
    ck_ok(amun__clipper_open(&clipper, model, NULL, clip_backends[_i]));
    amun__model_values_get(model, &v);
    v.values[5] = (float)NAN;
    amun__model_touch(model);
    ck_fails(amun_clipper_run(NULL, clipper, NULL), AMUN_ERROR_NUMERIC, "c1");
    amun_clipper_unref(clipper);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

/* The same run twice gives the same bytes; other starting vectors may not. */
START_TEST(test_runs_are_deterministic)
{
    model_bytes bytes[2];
    for (int i = 0; i < 2; i++) {
        amun_context *ctx = NULL;
        amun_clipper *clipper = NULL;
        ck_ok(amun_context_create(&ctx, NULL));
        amun_model *model = some_model(ctx, 4.0);
        ck_ok(amun__clipper_open(&clipper, model, NULL, clip_backends[_i]));
        ck_ok(amun_clipper_run(NULL, clipper, NULL));
        bytes[i] = bytes_of(model);
        amun_clipper_unref(clipper);
        amun_model_unref(model);
        amun_context_unref(ctx);
    }
    ck_assert(same_bytes(bytes[0], bytes[1]));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("clipper");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, test_backend_is_taken, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_every_method_once, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_block_meets_the_target, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_batch_norms, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_composite_is_certified, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_steps_follow_the_schedule, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_cancelled_and_unfinished_runs, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_refusals, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_weights_that_are_not_finite, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_runs_are_deterministic, 0, CLIP_BACKENDS);
    return amun_test_main("clipper", (TCase *[]){tc, NULL});
}
