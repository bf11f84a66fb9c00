/* Networks against values that PyTorch computed in double precision (tests/interop/torch_oracle.py
 * golden): fresh weights of the library's generator, one batch, gradients, Nesterov steps. */
#include "golden.h"
#include "nets.h"

/* frac((i + 1) * golden ratio) */
static float fraction(size_t i)
{
    double x = (double)(i + 1) * 0.6180339887498949;
    return (float)(x - floor(x));
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "no number \"%s\"", key);
    return json_number_value(value);
}

/* Batch norms that do something, and keep each ReLU on one side: see torch_nets.stir(). */
static void set_norms(net *n)
{
    for (int32_t i = 0; i < n->graph->node_count; i++) {
        const amun__node *node = &n->graph->nodes[i];
        if (node->kind != AMUN__NODE_BATCHNORM) {
            continue;
        }
        float *scale = n->params.values + n->graph->params[node->weight].offset;
        float *shift = n->params.values + n->graph->params[node->bias].offset;
        bool summed =
            strstr(node->name, "bn2") != NULL || strstr(node->name, "downsample.1") != NULL;
        for (size_t c = 0; c < (size_t)node->channels; c++) {
            scale[c] = 0.12f + 0.06f * fraction(c);
            shift[c] = c % 3 == 2 && !summed ? -1.0f : 1.0f;
        }
    }
}

static void expect_run(net *n, const json_t *values, amun__mode mode, const char *name,
                       const float *x, const float *targets, size_t batch, const char *arch)
{
    char key[160];
    net_run run;
    float *seed = calloc(batch * 10, sizeof(float)), *logits = calloc(batch * 10, sizeof(float));
    amun__plan *plan = NULL;
    ck_ok(amun__plan_create(&plan, n->ctx, &n->params, (int64_t)batch, mode, NULL));
    ck_ok(amun__plan_forward(plan, x, logits));
    amun__plan_destroy(plan);
    (void)amun__loss_cross_entropy(logits, targets, NULL, batch, 10, 1.0 / (double)batch, seed);
    net_execute(&run, n, NULL, mode, (int64_t)batch, x, seed);
    (void)snprintf(key, sizeof key, "logits.%s", name);
    golden_expect(values, key, run.logits, run.logit_count, 1e-5, 1e-4, arch);
    if (mode != AMUN__MODE_INFER) {
        (void)snprintf(key, sizeof key, "diff_src.%s", name);
        golden_expect(values, key, run.diff_src, run.src_count, 1e-4, 1e-4, arch);
    }
    for (int32_t i = 0; i < n->graph->param_count && mode == AMUN__MODE_TRAIN; i++) {
        const amun__param *p = &n->graph->params[i];
        if (p->trainable) {
            (void)snprintf(key, sizeof key, "diff.%s", p->name);
            golden_expect(values, key, run.diff_params + p->offset, p->count, 1e-3, 1e-4, arch);
        }
    }
    net_run_free(&run);
    free(seed);
    free(logits);
}

static void take_steps(net *n, const json_t *options, const float *x, const float *targets,
                       size_t batch)
{
    float *velocity = calloc(n->graph->trainable, sizeof(float));
    float *diff = calloc(n->graph->trainable, sizeof(float));
    float *logits = calloc(batch * 10, sizeof(float)), *seed = calloc(batch * 10, sizeof(float));
    amun__plan *plan = NULL;
    ck_ok(amun__plan_create(&plan, n->ctx, &n->params, (int64_t)batch, AMUN__MODE_TRAIN, NULL));
    for (int step = 0; step < (int)number(options, "steps"); step++) {
        ck_ok(amun__plan_forward(plan, x, logits));
        (void)amun__loss_cross_entropy(logits, targets, NULL, batch, 10, 1.0 / (double)batch, seed);
        ck_ok(amun__plan_backward(plan, seed, NULL, diff));
        amun__sgd sgd = {.lr = number(options, "lr"),
                         .momentum = number(options, "momentum"),
                         .weight_decay = number(options, "weight_decay"),
                         .nesterov = (int32_t)number(options, "nesterov"),
                         .first = step == 0};
        amun__sgd_step(&sgd, n->params.values, velocity, diff, n->graph->trainable);
        n->params.version++;
    }
    amun__plan_destroy(plan);
    free(velocity);
    free(diff);
    free(logits);
    free(seed);
}

static void check_case(const json_t *options)
{
    const char *arch = json_string_value(json_object_get(options, "arch"));
    const json_t *values = json_object_get(options, "values");
    size_t batch = (size_t)number(options, "batch"), pixels = 3 * 32 * 32;
    amun_model_options shape;
    net n = {0};
    ck_ok(amun_context_create(&n.ctx, NULL));
    ck_ok(amun_model_options_init(&shape, sizeof shape));
    ck_ok(amun__arch_build(&n.graph, n.ctx, arch, &shape));
    net_finish(&n, 0);
    amun__params_init(&n.params, (uint64_t)number(options, "seed"));
    set_norms(&n);
    n.params.version++;
    float *x = calloc(batch * pixels, sizeof(float)), *targets = calloc(batch * 10, sizeof(float));
    for (size_t i = 0; i < batch * pixels; i++) {
        x[i] = fraction(i);
    }
    for (size_t i = 0; i < batch; i++) {
        targets[i * 10 + i % 10] = 1.0f;
    }
    expect_run(&n, values, AMUN__MODE_INFER, "infer", x, targets, batch, arch);
    expect_run(&n, values, AMUN__MODE_ATTACK, "attack", x, targets, batch, arch);
    expect_run(&n, values, AMUN__MODE_TRAIN, "train", x, targets, batch, arch);
    take_steps(&n, options, x, targets, batch);
    for (int32_t i = 0; i < n.graph->param_count; i++) {
        const amun__param *p = &n.graph->params[i];
        if (p->trainable) {
            golden_expect(json_object_get(options, "after"), p->name, n.params.values + p->offset,
                          p->count, 1e-4, 1e-4, arch);
        }
    }
    free(x);
    free(targets);
    net_end(&n);
}

START_TEST(test_torch)
{
    json_t *root = golden_open("tests/data/golden_torch.json");
    const json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_ge(json_array_size(cases), 2);
    for (size_t i = 0; i < json_array_size(cases); i++) {
#ifndef AMUN_WITH_DNNL
        if (i > 0) { /* ResNet-18 takes minutes without oneDNN and with sanitizers */
            break;
        }
#endif
        check_case(json_array_get(cases, i));
    }
    json_decref(root);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("golden");
    tcase_add_test(tc, test_torch);
    return amun_test_main("golden", (TCase *[]){tc, NULL});
}
