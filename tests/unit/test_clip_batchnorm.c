/* Batch norms: the three formulas, and the composite with its convolution, on frozen statistics. */
#include "clip_fixture.h"

enum { CHANNELS = 5 };
static const float gammas[CHANNELS] = {2.0F, -3.0F, 0.25F, 0.0F, 1.0F};
static const float variances[CHANNELS] = {0.5F, 2.0F, 1.0F, 0.1F, 0.7F};
static const double eps = 1e-3;

static double q_of(int c)
{
    return sqrt((double)variances[c] + eps);
}

static double factor_of(float gamma, int c)
{
    return fabs((double)gamma) / q_of(c);
}

/* Applies `how` at `limit` to a copy, which it fills, and checks sigma. */
static void apply(amun_clip_batchnorm how, double limit, float *gamma)
{
    double sigma = 0.0, largest = 0.0;
    memcpy(gamma, gammas, sizeof gammas);
    ck_ok(amun__clip_norm(CHANNELS, gamma, variances, eps, how, limit, &sigma));
    for (int c = 0; c < CHANNELS; c++) {
        largest = fmax(largest, factor_of(gamma[c], c));
    }
    ck_close(sigma, largest, 1e-12);
}

START_TEST(test_hard_clamps_each_channel)
{
    float gamma[CHANNELS];
    apply(AMUN_CLIP_BATCHNORM_HARD, 1.0, gamma);
    for (int c = 0; c < CHANNELS; c++) {
        const double old = (double)gammas[c], most = q_of(c);
        ck_close((double)gamma[c], old > most ? most : old < -most ? -most : old, 1e-7);
        ck_assert(factor_of(gamma[c], c) <= 1.0); /* rounding goes inwards */
    }
    ck_assert(gamma[2] == gammas[2] && gamma[3] == 0.0F && gamma[1] < 0.0F);
}
END_TEST

START_TEST(test_soft_goes_a_tenth_of_the_way)
{
    float gamma[CHANNELS];
    apply(AMUN_CLIP_BATCHNORM_SOFT, 1.5, gamma);
    for (int c = 0; c < CHANNELS; c++) {
        const double old = (double)gammas[c], most = 1.5 * q_of(c);
        const double clamped = old > most ? most : old < -most ? -most : old;
        ck_close((double)gamma[c], 0.9 * old + 0.1 * clamped, 1e-7);
    }
}
END_TEST

START_TEST(test_gouk_scales_all_channels)
{
    float gamma[CHANNELS];
    double largest = 0.0;
    for (int c = 0; c < CHANNELS; c++) {
        largest = fmax(largest, factor_of(gammas[c], c));
    }
    apply(AMUN_CLIP_BATCHNORM_GOUK, 0.8, gamma);
    for (int c = 0; c < CHANNELS; c++) {
        ck_close((double)gamma[c], (double)gammas[c] / (largest / 0.8), 1e-7);
    }
}
END_TEST

START_TEST(test_small_factors_stay)
{
    const amun_clip_batchnorm hows[] = {AMUN_CLIP_BATCHNORM_HARD, AMUN_CLIP_BATCHNORM_SOFT,
                                        AMUN_CLIP_BATCHNORM_GOUK};
    for (size_t i = 0; i < 3; i++) {
        float gamma[CHANNELS];
        apply(hows[i], 1000.0, gamma);
        ck_assert(memcmp(gamma, gammas, sizeof gammas) == 0);
    }
}
END_TEST

START_TEST(test_bad_values_are_refused)
{
    float gamma[2] = {1.0F, (float)NAN}, variance[2] = {1.0F, 1.0F};
    double sigma;
    ck_fails(amun__clip_norm(2, gamma, variance, eps, AMUN_CLIP_BATCHNORM_HARD, 1.0, &sigma),
             AMUN_ERROR_NUMERIC, "factor");
    gamma[1] = 1.0F;
    variance[0] = -1.0F;
    ck_fails(amun__clip_norm(2, gamma, variance, eps, AMUN_CLIP_BATCHNORM_HARD, 1.0, &sigma),
             AMUN_ERROR_NUMERIC, "factor");
}
END_TEST

/* ---- the composite --------------------------------------------------------------------------- */

static void check_composite(amun_clip_method method, int32_t block, double within,
                            amun__linop_backend backend)
{
    clip_case t;
    amun__linop_shape shape = small_conv(AMUN__PADDING_ZERO, 1);
    clip_begin(&t, &shape, 2.0, true, 51);
    float frozen[8], start[8];
    memcpy(frozen, t.variance, sizeof frozen);
    memcpy(start, t.gamma.narrow, sizeof start);
    ck_close(exact_norm(&t), 2.0, 1e-6);
    t.options.method = method;
    t.run.most = 4000;
    clip_open(&t, block, backend);
    ck_ok(amun__clip_layer_run(&t.layer, &t.run));
    const double norm = exact_norm(&t);
    ck_assert_msg(norm <= within && norm > 0.98, "method %d: %g", (int)method, norm);
    ck_assert(memcmp(frozen, t.variance, sizeof frozen) == 0);
    ck_assert(memcmp(start, t.gamma.narrow, sizeof start) != 0);
    /* SCALE shrinks the scales alone, the others move both */
    ck_assert((clip_moved(&t) > 1e-3) == (method != AMUN_CLIP_SCALE));
    double upper = 0.0;
    const float weight = t.layer.weights[3];
    ck_ok(amun__clip_final(&t.layer, &upper));
    ck_assert(upper <= 1.0 && exact_norm(&t) <= 1.0);
    ck_assert(t.layer.weights[3] == weight);
    clip_end(&t);
}

START_TEST(test_composite_comes_down)
{
    check_composite(AMUN_CLIP_BLOCK, 16, 1.001, clip_backends[_i]);
    check_composite(AMUN_CLIP_SCALE, 16, 1.001, clip_backends[_i]);
    check_composite(AMUN_CLIP_LEGACY, 1, 1.002, clip_backends[_i]);
}
END_TEST

/* One step on one vector: what the line search leaves is a minimum along the gradient. */
START_TEST(test_composite_step_descends)
{
    clip_case t;
    amun__linop_shape shape = small_conv(AMUN__PADDING_CIRCULAR, 1);
    clip_begin(&t, &shape, 3.0, true, 52);
    clip_open(&t, 4, clip_backends[_i]);
    ck_ok(amun__powerqr_run(t.layer.power, 40, NULL, NULL));
    const double before = exact_norm(&t);
    ck_ok(amun__clip_step_block(&t.layer, 4));
    ck_assert(exact_norm(&t) < before - 0.1);
    clip_end(&t);
}
END_TEST

START_TEST(test_legacy_composite_is_one_small_step)
{
    /* W and gamma against the same gradient in double, by their own factors */
    clip_case t;
    amun__linop_shape shape = small_conv(AMUN__PADDING_ZERO, 1);
    clip_begin(&t, &shape, 2.0, true, 53);
    t.options.method = AMUN_CLIP_LEGACY;
    clip_open(&t, 1, clip_backends[_i]);
    ck_ok(amun__powerqr_run(t.layer.power, 60, NULL, NULL));
    const double sigma = amun__powerqr_values(t.layer.power)->sigma;
    const size_t in = amun__linop_in(t.layer.op), out = amun__linop_out(t.layer.op);
    amun__linop *wide = case_linop(&t.c, AMUN__LINOP_REF_F64, 1);
    pair v = pair_new(in), r = pair_new(out), diff = pair_new(t.layer.count), dg = pair_new(8);
    double gamma[8];
    for (size_t i = 0; i < in; i++) {
        v.wide[i] = (double)amun__powerqr_vectors(t.layer.power)[i];
    }
    ck_ok(amun__linop_apply_f64(wide, 1, v.wide, r.wide));
    for (size_t i = 0; i < out; i++) {
        const size_t c = i / 64;
        gamma[c] = (double)t.gamma.narrow[c];
        r.wide[i] *= gamma[c] / sqrt((double)t.variance[c] + 1e-5) * (1.0 - 1.0 / sigma);
    }
    ck_ok(amun__clip_gradient_f64(wide, 1, v.wide, r.wide, t.c.weights.wide, gamma, t.layer.factor,
                                  diff.wide, dg.wide));
    ck_ok(amun__clip_step_legacy(&t.layer, 1, &t.options));
    for (size_t i = 0; i < t.layer.count; i++) {
        ck_close((double)t.layer.weights[i], (double)t.before[i] - 0.02 / 8 * diff.wide[i], 1e-6);
    }
    for (size_t c = 0; c < 8; c++) {
        ck_close((double)t.gamma.narrow[c], gamma[c] - 0.02 / 8 * dg.wide[c], 1e-6);
    }
    amun__linop_destroy(wide);
    pair_free(&v), pair_free(&r), pair_free(&diff), pair_free(&dg);
    clip_end(&t);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("batch norms");
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, test_hard_clamps_each_channel);
    tcase_add_test(tc, test_soft_goes_a_tenth_of_the_way);
    tcase_add_test(tc, test_gouk_scales_all_channels);
    tcase_add_test(tc, test_small_factors_stay);
    tcase_add_test(tc, test_bad_values_are_refused);
    tcase_add_loop_test(tc, test_composite_comes_down, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_composite_step_descends, 0, CLIP_BACKENDS);
    tcase_add_loop_test(tc, test_legacy_composite_is_one_small_step, 0, CLIP_BACKENDS);
    return amun_test_main("clip_batchnorm", (TCase *[]){tc, NULL});
}
