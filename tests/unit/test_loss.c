/* Softmax, cross-entropy, argmax: worked-out values, extremes, and finite differences. */
#include <stdlib.h>

#include "nn/nn.h"
#include "support.h"

START_TEST(test_softmax)
{
    double p[3];
    amun__loss_softmax((float[]){0, logf(2), logf(5)}, 3, p);
    ck_close(p[0], 0.125, 1e-7);
    ck_close(p[1], 0.25, 1e-7);
    ck_close(p[2], 0.625, 1e-7);
    amun__loss_softmax((float[]){3e38f, -3e38f, 3e38f}, 3, p); /* no overflow */
    ck_close(p[0], 0.5, 1e-15);
    ck_close(p[1], 0, 0);
    amun__loss_softmax((float[]){-INFINITY, 0, 0}, 3, p);
    ck_close(p[0], 0, 0);
    ck_close(p[2], 0.5, 1e-15);
    amun__loss_softmax((float[]){NAN, 0, 0}, 3, p);
    ck_assert(isnan(p[0]) && isnan(p[1]) && isnan(p[2]));
}
END_TEST

START_TEST(test_cross_entropy_values)
{
    const float z[6] = {0, logf(2), logf(5), 1, 1, 1};
    const float t[6] = {0, 1, 0, 0.25f, 0.25f, 0.5f};
    float seed[6];
    double sum = amun__loss_cross_entropy(z, t, NULL, 2, 3, 0.5, seed);
    ck_close(sum, log(4) + log(3), 1e-7);
    const double want[6] = {0.0625, -0.375, 0.3125, 1. / 24, 1. / 24, -1. / 12};
    for (int i = 0; i < 6; i++) {
        ck_close((double)seed[i], want[i], 1e-7);
    }
    sum = amun__loss_cross_entropy(z, t, (float[]){3, 0}, 2, 3, 1, seed);
    ck_close(sum, 3 * log(4), 1e-7);
    ck_close((double)seed[1], -2.25, 1e-7);
    ck_assert(seed[3] == 0.0f && seed[4] == 0.0f && seed[5] == 0.0f);
    /* no seed wanted */
    ck_close(amun__loss_cross_entropy(z, t, NULL, 2, 3, 1, NULL), log(4) + log(3), 1e-7);
    ck_close(amun__loss_cross_entropy(z, t, NULL, 0, 3, 1, NULL), 0, 0);
}
END_TEST

START_TEST(test_cross_entropy_extremes)
{
    float seed[2];
    /* far beyond where exp() overflows: the loss is the gap, exactly */
    double sum =
        amun__loss_cross_entropy((float[]){1e30f, 0}, (float[]){0, 1}, NULL, 1, 2, 1, seed);
    ck_close(sum / (double)1e30f, 1, 1e-15);
    ck_assert(seed[0] == 1.0f && seed[1] == -1.0f);
    /* certain and right: no loss, no NaN out of 0 * -inf */
    sum = amun__loss_cross_entropy((float[]){0, -INFINITY}, (float[]){1, 0}, NULL, 1, 2, 1, seed);
    ck_assert(sum == 0.0 && seed[0] == 0.0f && seed[1] == 0.0f);
    /* a tiny loss keeps its digits: -log(1 - p) with p = 1e-13 */
    sum = amun__loss_cross_entropy((float[]){30, 0}, (float[]){1, 0}, NULL, 1, 2, 1, seed);
    ck_assert(fabs(sum - exp(-30.0)) < 1e-3 * exp(-30.0) + 1e-15);
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 2; i++) {
        sum = amun__loss_cross_entropy((float[]){bad[i], 0}, (float[]){0, 1}, NULL, 1, 2, 1, NULL);
        ck_assert_msg(isnan(sum), "logit %g gives %g", (double)bad[i], sum);
        sum = amun__loss_cross_entropy((float[]){bad[i], 0}, (float[]){0, 1}, (float[]){0}, 1, 2, 1,
                                       NULL);
        ck_assert_msg(isnan(sum), "weight 0 hides logit %g", (double)bad[i]);
    }
    sum = amun__loss_cross_entropy((float[]){bad[2], 0}, (float[]){1, 0}, NULL, 1, 2, 1, NULL);
    ck_assert(isinf(sum) && sum > 0);
}
END_TEST

/* Any target row, also one that does not sum to 1: the seed is the derivative of the sum. */
START_TEST(test_cross_entropy_gradient)
{
    enum { N = 3, K = 7 };
    float z[N * K], t[N * K], weights[N] = {1, 0.25f, 2}, seed[N * K];
    amun__rng rng;
    amun__rng_open(&rng, 4, AMUN__RNG_TEST, 0, 0);
    for (int i = 0; i < N * K; i++) {
        z[i] = (float)(6 * amun__rng_uniform(&rng) - 3);
        t[i] = (float)amun__rng_uniform(&rng);
    }
    (void)amun__loss_cross_entropy(z, t, weights, N, K, 1.5, seed);
    for (int i = 0; i < N * K; i++) {
        float old = z[i], above = old + 0x1p-14f, below = old - 0x1p-14f;
        z[i] = above;
        double up = amun__loss_cross_entropy(z, t, weights, N, K, 1, NULL);
        z[i] = below;
        double down = amun__loss_cross_entropy(z, t, weights, N, K, 1, NULL);
        z[i] = old;
        ck_close((double)seed[i], 1.5 * (up - down) / ((double)above - (double)below), 1e-6);
    }
}
END_TEST

START_TEST(test_argmax)
{
    ck_assert_int_eq(amun__loss_argmax((float[]){1, 3, 2}, 3), 1);
    ck_assert_int_eq(amun__loss_argmax((float[]){2, 3, 3}, 3), 1); /* ties: the lowest index */
    ck_assert_int_eq(amun__loss_argmax((float[]){-1, -1}, 2), 0);
    ck_assert_int_eq(amun__loss_argmax((float[]){0, -0.0f}, 2), 0);
    ck_assert_int_eq(amun__loss_argmax((float[]){5, 1, NAN}, 3), -1);
    ck_assert_int_eq(amun__loss_argmax((float[]){INFINITY, 1}, 2), -1);
    ck_assert_int_eq(amun__loss_argmax((float[]){5, -INFINITY}, 2), -1);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("loss");
    tcase_add_test(tc, test_softmax);
    tcase_add_test(tc, test_cross_entropy_values);
    tcase_add_test(tc, test_cross_entropy_extremes);
    tcase_add_test(tc, test_cross_entropy_gradient);
    tcase_add_test(tc, test_argmax);
    return amun_test_main("loss", (TCase *[]){tc, NULL});
}
