/* Multinomial logistic regression against scikit-learn: values from
 *
 *     import numpy as np
 *     from sklearn.linear_model import LogisticRegression
 *     i = np.arange(80)
 *     x = np.c_[np.sin(3.1 * i), np.cos(1.7 * i), ((i * 37) % 80) / 40 - 1]
 *     y = np.argmax(np.c_[x @ [1, -.5, 2], x @ [-1, 1, 0], .5 * np.sin(11.3 * i) + .3], 1)
 *     c = LogisticRegression(C=1 / .3, tol=1e-10, max_iter=500, multi_class="multinomial",
 *                            solver="newton-cg").fit(x, y)
 *     print(c.coef_, c.intercept_ - c.intercept_.mean())
 *
 * and the minimum itself, whose gradient a naive loop must find to be zero. */
#include "mia/classes.h"
#include "support.h"

enum { N = 80, D = 3, K = 3 };

static void make(double *x, int64_t *y)
{
    for (int i = 0; i < N; i++) {
        double *r = x + i * D;
        r[0] = sin(3.1 * i);
        r[1] = cos(1.7 * i);
        r[2] = ((i * 37) % N) / 40.0 - 1.0;
        const double z[K] = {r[0] - 0.5 * r[1] + 2.0 * r[2], -r[0] + r[1],
                             0.5 * sin(11.3 * i) + 0.3};
        y[i] = z[0] >= z[1] && z[0] >= z[2] ? 0 : z[1] >= z[2] ? 1 : 2;
    }
}

START_TEST(test_golden)
{
    static const double coef[K * D] = {
        2.7784313731029937, -1.9083608782280381, 2.977490673292541,
        -3.221142529115005, 2.4667649807332515,  -0.9477540121169702,
        0.4427111560120105, -0.5584041025052142, -2.0297366611755723};
    static const double intercept[K] = {0.07683720056441931, -0.38181764513666694,
                                        0.3049804445722476};
    amun_context *ctx = NULL;
    double x[N * D], w[K * (D + 1)], mean = 0.0;
    int64_t y[N];
    ck_ok(amun_context_create(&ctx, NULL));
    make(x, y);
    ck_ok(amun__softmax_fit(ctx, w, x, y, N, D, K, 0.3, NULL));
    for (int k = 0; k < K * D; k++) {
        ck_close(w[k], coef[k], 1e-6);
    }
    for (int j = 0; j < K; j++) {
        mean += w[K * D + j] / K;
    }
    for (int j = 0; j < K; j++) {
        ck_close(w[K * D + j] - mean, intercept[j], 1e-6);
    }
    amun_context_unref(ctx);
}
END_TEST

/* Gradient of the objective, one row and class after the other. */
static double steepest(const double *w, const double *x, const int64_t *y, double ridge)
{
    double top = 0.0, g[K * (D + 1)];
    for (int k = 0; k < K * (D + 1); k++) {
        g[k] = k < K * D ? ridge * w[k] : 0.0;
    }
    for (int i = 0; i < N; i++) {
        double p[K], sum = 0.0;
        for (int j = 0; j < K; j++) {
            double z = w[K * D + j];
            for (int k = 0; k < D; k++) {
                z += w[j * D + k] * x[i * D + k];
            }
            p[j] = exp(z);
            sum += p[j];
        }
        for (int j = 0; j < K; j++) {
            const double e = p[j] / sum - (y[i] == j ? 1.0 : 0.0);
            g[K * D + j] += e;
            for (int k = 0; k < D; k++) {
                g[j * D + k] += e * x[i * D + k];
            }
        }
    }
    for (int k = 0; k < K * (D + 1); k++) {
        top = fmax(top, fabs(g[k]));
    }
    return top;
}

START_TEST(test_minimum)
{
    amun_context *ctx = NULL;
    double x[N * D], w[K * (D + 1)];
    int64_t y[N];
    ck_ok(amun_context_create(&ctx, NULL));
    make(x, y);
    for (double ridge = 1e-6; ridge < 1e4; ridge *= 100.0) {
        ck_ok(amun__softmax_fit(ctx, w, x, y, N, D, K, ridge, NULL));
        const double left = steepest(w, x, y, ridge);
        ck_assert_msg(left < 1e-5, "ridge %g: gradient %g", ridge, left);
    }
    amun_context_unref(ctx);
}
END_TEST

/* Classes far apart, columns that say nothing or the same: an answer all the same. */
START_TEST(test_separated)
{
    amun_context *ctx = NULL;
    const double x[] = {-3, 5, 0, -2, 5, 0, 0, 5, 0, 1, 5, 0, 6, 5, 0, 7, 5, 0};
    const int64_t y[] = {0, 0, 1, 1, 2, 2};
    double w[K * (D + 1)];
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun__softmax_fit(ctx, w, x, y, 6, D, K, 1e-6, NULL));
    for (int i = 0; i < 6; i++) {
        double z[K];
        for (int j = 0; j < K; j++) {
            z[j] = w[j * D] * x[i * D] + w[j * D + 1] * x[i * D + 1] + w[K * D + j];
        }
        ck_assert_int_eq(z[0] > z[1] && z[0] > z[2] ? 0 : z[1] > z[2] ? 1 : 2, y[i]);
    }
    double broken[K * (D + 1)] = {NAN};
    memcpy(broken, x, sizeof broken);
    broken[4] = INFINITY;
    ck_fails(amun__softmax_fit(ctx, w, broken, y, 4, D, K, 1.0, NULL), AMUN_ERROR_NUMERIC, "probe");
    amun_context_unref(ctx);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("softmax");
    tcase_add_test(tc, test_golden);
    tcase_add_test(tc, test_minimum);
    tcase_add_test(tc, test_separated);
    return amun_test_main("softmax", (TCase *[]){tc, NULL});
}
