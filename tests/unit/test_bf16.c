/* bf16: conversion against the definition, for all values; the passes over arrays element by
 * element; plans near those of float, in less memory, the same bytes again; flips that stand in
 * float. */
#include "attack_fixture.h"
#include "nets.h"

#ifdef AMUN_WITH_DNNL
#include "nn/bf16.h"

static amun_context *context_of(amun_precision precision)
{
    amun_context_options o;
    amun_context *ctx = NULL;
    ck_ok(amun_context_options_init(&o, sizeof o));
    o.precision = precision;
    ck_ok(amun_context_create(&ctx, &o));
    return ctx;
}

/* ---- conversion ------------------------------------------------------------------------------ */

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* By the definition: of the two neighbours the nearer one, of two equally near the even one. */
static amun__bf16 nearest(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t down = bits >> 16, rest = bits & 0xffff;
    const bool up = rest > 0x8000 || (rest == 0x8000 && (down & 1) == 1);
    return (amun__bf16)(down + (up ? 1 : 0));
}

START_TEST(test_conversion)
{
    for (uint32_t h = 0; h <= 0xffff; h++) { /* every bf16, and what lies around it */
        const float x = amun__bf16_to_float((amun__bf16)h);
        if (isnan(x)) {
            ck_assert(isnan(amun__bf16_to_float(amun__bf16_from_float(x))));
            continue;
        }
        ck_assert_uint_eq(amun__bf16_from_float(x), h);
        const uint32_t rests[] = {1, 0x7fff, 0x8000, 0x8001, 0xffff};
        for (size_t i = 0; i < 5 && isfinite(x); i++) {
            const float y = float_of(h << 16 | rests[i]);
            ck_assert_uint_eq(amun__bf16_from_float(y), nearest(y));
        }
    }
    ck_assert(isnan(amun__bf16_to_float(amun__bf16_from_float(float_of(0x7f800001)))));
    ck_assert(isinf(amun__bf16_to_float(amun__bf16_from_float(3.4e38f))));
}
END_TEST

/* ---- passes ---------------------------------------------------------------------------------- */

enum { COUNT = 3 * 16384 + 13 }; /* several spans, and an odd end */

/* All kinds of numbers: ordinary ones, zeros of both signs, infinities, NaN, tiny ones. */
static void fill(amun__bf16 *x, uint64_t seed)
{
    static const amun__bf16 special[] = {0x0000, 0x8000, 0x7f80, 0xff80, 0x7fc0,
                                         0xffc1, 0x0001, 0x8001, 0x7f7f};
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 2, 0);
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t kind = amun__rng_below(&rng, 40);
        x[i] = kind < 9 ? special[kind]
                        : amun__bf16_from_float((float)(4 * amun__rng_uniform(&rng) - 2));
    }
}

static void expect(const amun__bf16 *got, size_t i, float want)
{
    if (isnan(want)) {
        ck_assert(isnan(amun__bf16_to_float(got[i])));
    } else {
        ck_assert_msg(got[i] == amun__bf16_from_float(want), "%zu: 0x%04x, not %g", i, got[i],
                      (double)want);
    }
}

START_TEST(test_passes)
{
    static amun__bf16 a[COUNT], b[COUNT], dst[COUNT];
    static float wide[COUNT];
    fill(a, 1);
    fill(b, 2);
    amun__bf16_widen(wide, a, COUNT);
    amun__bf16_narrow(dst, wide, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        expect(dst, i, wide[i]);
        ck_assert(isnan(wide[i]) || wide[i] == amun__bf16_to_float(a[i]));
    }
    amun__bf16_relu_to(dst, a, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        expect(dst, i, wide[i] < 0 ? 0 : wide[i]);
    }
    memcpy(dst, b, sizeof dst);
    amun__bf16_mask(dst, a, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        expect(dst, i, wide[i] > 0 ? amun__bf16_to_float(b[i]) : 0);
    }
    for (int32_t relu = 0; relu < 2; relu++) {
        amun__bf16_add_to(dst, a, b, 0.7, relu, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            float sum = 0.7f * (wide[i] + amun__bf16_to_float(b[i]));
            expect(dst, i, relu && sum < 0 ? 0 : sum);
        }
    }
    amun__bf16_scale(dst, a, -0.3, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        expect(dst, i, -0.3f * wide[i]);
    }
}
END_TEST

/* ---- plans ----------------------------------------------------------------------------------- */

static double distance(const float *a, const float *b, size_t n)
{
    double gap = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        gap += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(gap / (norm > 0 ? norm : 1));
}

/* Every kind of node, with values that are read by several, summed in place, joined, padded. */
static void branches(net *n)
{
    net_begin(n, 3, 12, 12);
    amun_node at = net_conv(n, 0, "a", (conv_form){.channels = 16, .kernel = 3, .pad = 1});
    at = net_relu(n, net_bn(n, at, "a.bn"));
    amun_node side = net_conv(n, at, "b", (conv_form){.channels = 16, .kernel = 3, .pad = 1});
    at = net_relu(n, net_scale(n, net_add(n, net_bn(n, side, "b.bn"), at), 0.8));
    side = net_conv(
        n, at, "c",
        (conv_form){
            .channels = 16, .kernel = 3, .pad = 1, .bias = 1, .padding = AMUN_PADDING_REFLECT});
    amun_node both[2] = {at, side};
    ck_ok(amun_graph_concat(&at, n->graph, both, 2));
    at = net_conv(n, at, "d", (conv_form){.channels = 24, .kernel = 3, .pad = 1, .stride = 2});
    at = net_relu(n, net_bn(n, at, "d.bn"));
    side = net_pool(n, at, false, 2, 2, 0);
    at = net_pool(n, at, true, 2, 2, 0);
    at = net_relu(n, net_add(n, at, side));
    net_head(n, at);
    net_finish(n, 3);
}

static void run_in(net_run *run, net *n, amun_context *ctx, amun__mode mode, int64_t batch)
{
    float *src = net_random((size_t)batch * net_node_size(n, 0), 5, 0, 1);
    float *diff = net_random((size_t)batch * 5, 6, -1, 1);
    amun_context *own = n->ctx;
    n->ctx = ctx;
    net_execute(run, n, NULL, mode, batch, src, diff);
    n->ctx = own;
    free(src);
    free(diff);
}

/* Rounding to 8 bits: 2^-9 relative at most, at each of a dozen places on the way; gradients also
 * pass ReLUs and maxima that rounding has decided otherwise. torch_bf16.py knows what exactly comes
 * out. */
static void expect_rounded(const float *got, const float *want, size_t count, double most,
                           const char *what)
{
    if (count > 0) {
        double gap = distance(got, want, count);
        ck_assert_msg(gap > 1e-5 && gap < most, "%s: %g", what, gap);
    }
}

static void expect_same(const float *a, const float *b, size_t count)
{
    if (count > 0) {
        ck_assert_mem_eq(a, b, count * sizeof *a);
    }
}

static void check_plans(amun_context *exact, amun_context *half, amun__mode mode, int64_t batch)
{
    net n;
    net_run f32, bf16, again;
    branches(&n);
    run_in(&f32, &n, exact, mode, batch);
    run_in(&bf16, &n, half, mode, batch);
    run_in(&again, &n, half, mode, batch);
    if (mode == AMUN__MODE_INFER) {
        expect_same(bf16.logits, f32.logits, f32.logit_count);
    } else {
        expect_rounded(bf16.logits, f32.logits, f32.logit_count, 0.02, "logits");
    }
    expect_rounded(bf16.diff_src, f32.diff_src, f32.src_count, 0.15, "diff_src");
    expect_rounded(bf16.diff_params, f32.diff_params, f32.param_count, 0.15, "diff_params");
    expect_same(bf16.logits, again.logits, f32.logit_count);
    expect_same(bf16.diff_src, again.diff_src, f32.src_count);
    expect_same(bf16.diff_params, again.diff_params, f32.param_count);
    net_run_free(&f32);
    net_run_free(&bf16);
    net_run_free(&again);
    net_end(&n);
}

START_TEST(test_plans)
{
    amun_context *exact = context_of(AMUN_PRECISION_F32), *half = context_of(AMUN_PRECISION_BF16);
    for (int mode = AMUN__MODE_INFER; mode <= AMUN__MODE_TUNE; mode++) {
        check_plans(exact, half, (amun__mode)mode, 1);
        check_plans(exact, half, (amun__mode)mode, 9);
    }
    amun_context_unref(exact);
    amun_context_unref(half);
}
END_TEST

START_TEST(test_memory)
{
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        amun_context *ctx = context_of(i == 0 ? AMUN_PRECISION_F32 : AMUN_PRECISION_BF16);
        amun_model *model = NULL;
        ck_ok(amun_model_create(&model, ctx, "resnet8", NULL));
        ck_ok(amun_model_estimate_memory(model, 128, AMUN_MODE_TRAIN, &bytes[i]));
        amun_model_unref(model);
        amun_context_unref(ctx);
    }
    ck_assert_msg((double)bytes[1] < 0.7 * (double)bytes[0], "%llu of %llu bytes",
                  (unsigned long long)bytes[1], (unsigned long long)bytes[0]);
}
END_TEST

START_TEST(test_environment)
{
    amun_context *ctx = NULL;
    ck_assert_int_eq(setenv("AMUN_PRECISION", "f16", 1), 0);
    ck_fails(amun_context_create(&ctx, NULL), AMUN_ERROR_INVALID_ARGUMENT, "f16");
    ck_assert_int_eq(setenv("AMUN_PRECISION", "bf16", 1), 0);
    ck_ok(amun_context_create(&ctx, NULL));
    ck_assert_int_eq(amun__context_precision(ctx), AMUN_PRECISION_BF16);
    amun_context_unref(ctx);
    ctx = context_of(AMUN_PRECISION_F32); /* the caller's word counts more */
    ck_assert_int_eq(amun__context_precision(ctx), AMUN_PRECISION_F32);
    amun_context_unref(ctx);
    ck_assert_int_eq(unsetenv("AMUN_PRECISION"), 0);
}
END_TEST

/* ---- attacks --------------------------------------------------------------------------------- */

enum { SAMPLES = 48 };

static amun_attack *attack_of(amun_context *ctx, int kind)
{
    amun_attack *attack = NULL;
    amun_search_options search;
    amun_pgd_options pgd;
    amun_apgd_options apgd;
    switch (kind) {
    case 0:
        ck_ok(amun_search_options_init(&search, sizeof search));
        search.batch = 16;
        ck_ok(amun_attack_create_search(&attack, ctx, &search));
        break;
    case 1:
        ck_ok(amun_pgd_l2_options_init(&pgd, sizeof pgd));
        ck_ok(amun_attack_create_pgd_l2(&attack, ctx, &pgd));
        break;
    default:
        ck_ok(amun_apgd_options_init(&apgd, sizeof apgd));
        apgd.eps = 0.2;
        ck_ok(amun_attack_create_apgd(&attack, ctx, &apgd));
        break;
    }
    return attack;
}

/* What is called flipped is flipped for the same weights in float, and the record names that class.
 */
START_TEST(test_flips)
{
    amun_context *ctx = context_of(AMUN_PRECISION_BF16), *f32 = context_of(AMUN_PRECISION_F32);
    amun_dataset *data = digits(ctx);
    amun_model *model = digits_model(ctx, data), *twin = digits_network(f32);
    amun__model_values from, to;
    samples s;
    static float logits[SAMPLES * DIGIT_CLASSES];
    const int64_t shape[2] = {SAMPLES, DIGIT_CLASSES};
    amun_tensor_view view;
    int flips = 0;
    amun__model_values_get(model, &from);
    amun__model_values_get(twin, &to);
    memcpy(to.values, from.values, from.total * sizeof(float));
    amun__model_touch(twin);
    samples_open_digits(&s, data, NULL, SAMPLES);
    amun_attack *attack = attack_of(ctx, _i);
    ck_ok(amun_attack_run(attack, model, &s.image_view, &s.label_view, NULL, &s.adversarial_view,
                          s.records, NULL));
    ck_ok(amun_tensor_view_init(&view, logits, AMUN_DTYPE_F32, 2, shape));
    ck_ok(amun_model_predict(twin, &s.adversarial_view, &view, NULL));
    for (size_t i = 0; i < SAMPLES; i++) {
        if (s.records[i].outcome == AMUN_ATTACK_FLIPPED) {
            int32_t label = amun__loss_argmax(logits + i * DIGIT_CLASSES, DIGIT_CLASSES);
            ck_assert_int_ne(label, s.labels[i]);
            ck_assert_int_eq(label, s.records[i].adversarial);
            flips++;
        }
    }
    ck_assert_int_gt(flips, SAMPLES / 4);
    samples_close(&s);
    amun_attack_unref(attack);
    amun_model_unref(model);
    amun_model_unref(twin);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
    amun_context_unref(f32);
}
END_TEST

int main(void)
{
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, test_conversion);
    tcase_add_test(numbers, test_passes);
    TCase *plans = tcase_create("plans");
    tcase_add_test(plans, test_plans);
    tcase_add_test(plans, test_memory);
    tcase_add_test(plans, test_environment);
    TCase *attacks = tcase_create("attacks");
    tcase_add_loop_test(attacks, test_flips, 0, 3);
    return amun_test_main("bf16", (TCase *[]){numbers, plans, attacks, NULL});
}

#else

START_TEST(test_unsupported)
{
    amun_context_options o;
    amun_context *ctx = NULL;
    amun_model *model = NULL;
    uint64_t bytes = 0;
    ck_ok(amun_context_options_init(&o, sizeof o));
    o.precision = AMUN_PRECISION_BF16;
    ck_ok(amun_context_create(&ctx, &o));
    ck_ok(amun_model_create(&model, ctx, "resnet8", NULL));
    ck_fails(amun_model_estimate_memory(model, 4, AMUN_MODE_TRAIN, &bytes), AMUN_ERROR_UNSUPPORTED,
             "bf16");
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("bf16: this build has no oneDNN");
    tcase_add_test(tc, test_unsupported);
    return amun_test_main("bf16", (TCase *[]){tc, NULL});
}

#endif
