/* Linear classifiers against scikit-learn: values from
 *
 *     import numpy as np
 *     from sklearn.svm import LinearSVC
 *     from sklearn.linear_model import LogisticRegression
 *     i = np.arange(60)
 *     x = np.c_[np.sin(3.1 * i), np.cos(1.7 * i), ((i * 37) % 60) / 30 - 1]
 *     y = ((x @ [1, -.5, 2] + .8 * np.sin(11.3 * i)) > .6).astype(int)
 *     c = LinearSVC(C=.7, class_weight={0: .75, 1: 1.5}, tol=1e-12, max_iter=10**7).fit(x, y)
 *     c = LogisticRegression(C=1 / .3, class_weight={0: .75, 1: 1.5}, tol=1e-12,
 *                            max_iter=10**5).fit(x, y)
 *     print(c.coef_, c.intercept_)
 *
 * and the minimum itself, which a difference quotient of the objective must confirm. */
#include "mia/classes.h"
#include "support.h"

enum { N = 60, D = 3 };

static size_t make(double *x, uint8_t *y)
{
    size_t ones = 0;
    for (int i = 0; i < N; i++) {
        double *row = x + i * D;
        row[0] = sin(3.1 * i);
        row[1] = cos(1.7 * i);
        row[2] = ((i * 37) % N) / 30.0 - 1.0;
        y[i] = row[0] - 0.5 * row[1] + 2.0 * row[2] + 0.8 * sin(11.3 * i) > 0.6;
        ones += y[i];
    }
    return ones;
}

START_TEST(test_golden)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    static const double svc[D + 1] = {0.6858848850712685, -0.4861869597328791, 1.760358464478025,
                                      -0.45108008390968374};
    static const double logistic[D + 1] = {1.8052173815431405, -1.1666637813459193,
                                           4.348529757659932, -1.2315144181506872};
    double x[N * D], w[D + 1];
    uint8_t y[N];
    ck_assert_uint_eq(make(x, y), 19);
    ck_ok(amun__linear_fit(ctx, AMUN__SQUARED_HINGE, w, x, y, N, D, 1.0,
                           (double[2]){0.7 * 0.75, 0.7 * 1.5}));
    for (int k = 0; k <= D; k++) {
        ck_close(w[k], svc[k], 1e-8);
    }
    ck_ok(amun__linear_fit(ctx, AMUN__LOGISTIC, w, x, y, N, D, 0.3, (double[2]){0.75, 1.5}));
    for (int k = 0; k <= D; k++) {
        ck_close(w[k], logistic[k], 1e-5); /* what lbfgs leaves */
    }
    amun_context_unref(ctx);
}
END_TEST

static double objective(bool hinge, const double *w, const double *x, const uint8_t *y,
                        double ridge, const double *cost)
{
    double sum =
        0.5 * ridge * (w[0] * w[0] + w[1] * w[1] + w[2] * w[2] + (hinge ? w[3] * w[3] : 0));
    for (int i = 0; i < N; i++) {
        double f = w[3];
        for (int k = 0; k < D; k++) {
            f += w[k] * x[i * D + k];
        }
        double m = y[i] ? f : -f;
        sum += cost[y[i]] * (hinge ? (m < 1 ? (1 - m) * (1 - m) : 0.0) : log(1.0 + exp(-m)));
    }
    return sum;
}

START_TEST(test_minimum)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    double x[N * D], w[D + 1], near[D + 1];
    const double cost[2] = {3.0, 5.0};
    uint8_t y[N];
    make(x, y);
    for (int hinge = 0; hinge < 2; hinge++) {
        for (double ridge = 1e-3; ridge < 1e3; ridge *= 100.0) {
            ck_ok(amun__linear_fit(ctx, hinge ? AMUN__SQUARED_HINGE : AMUN__LOGISTIC, w, x, y, N, D,
                                   ridge, cost));
            double best = objective(hinge, w, x, y, ridge, cost);
            for (int k = 0; k < 2 * (D + 1); k++) {
                memcpy(near, w, sizeof near);
                near[k / 2] += k % 2 ? 1e-4 : -1e-4;
                ck_assert(objective(hinge, near, x, y, ridge, cost) > best);
            }
        }
    }
    amun_context_unref(ctx);
}
END_TEST

/* Separated samples, constant and equal columns: an answer all the same. */
START_TEST(test_separated)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    double x[8] = {-3, 5, -1, 5, 2, 5, 4, 5}, w[3];
    const uint8_t y[4] = {0, 0, 1, 1};
    for (int hinge = 0; hinge < 2; hinge++) {
        ck_ok(amun__linear_fit(ctx, hinge ? AMUN__SQUARED_HINGE : AMUN__LOGISTIC, w, x, y, 4, 2,
                               1e-6, (double[2]){1.0, 1.0}));
        for (int i = 0; i < 4; i++) {
            ck_assert((amun__linear_value(w, x + 2 * i, 2) > 0.0) == y[i]);
        }
    }
    amun_context_unref(ctx);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("linear");
    tcase_add_test(tc, test_golden);
    tcase_add_test(tc, test_minimum);
    tcase_add_test(tc, test_separated);
    return amun_test_main("linear", (TCase *[]){tc, NULL});
}
