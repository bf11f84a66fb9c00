/* Signals and simple features of logits: published values, limits, and refusals. */
#include "amun/mia.h"
#include "support.h"

static amun_rmia_options options(amun_signal signal, int32_t degree)
{
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.signal = signal;
    o.taylor_degree = degree;
    return o;
}

static amun_tensor_view view(void *data, amun_dtype dtype, int64_t rows, int64_t columns)
{
    amun_tensor_view v;
    ck_ok(amun_tensor_view_init(&v, data, dtype, columns == 0 ? 1 : 2, (int64_t[]){rows, columns}));
    return v;
}

static double one(const double *z, int64_t classes, int64_t label, amun_signal signal,
                  int32_t degree, size_t *nonpositive)
{
    double copy[16], s = NAN;
    memcpy(copy, z, (size_t)classes * sizeof *z);
    amun_tensor_view logits = view(copy, AMUN_DTYPE_F64, 1, classes);
    amun_tensor_view labels = view(&label, AMUN_DTYPE_I64, 1, 0);
    amun_rmia_options o = options(signal, degree);
    ck_ok(amun_signal_compute(&s, nonpositive, &logits, &labels, &o));
    return s;
}

START_TEST(test_golden)
{
    const double z[3] = {3.0, -1.0, 0.5};
    size_t below = 99;
    ck_close(one(z, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 3, &below), 0.562403125, 1e-9);
    ck_assert_uint_eq(below, 0);
    ck_close(one(z, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 4, NULL), 0.564798424, 1e-9);
    ck_close(one(z, 3, 0, AMUN_SIGNAL_SOFTMAX, 3, NULL), 0.703313976, 1e-9);
    ck_close(one(z, 3, 0, AMUN_SIGNAL_SOFT_MARGIN, 3, NULL), 0.565405312, 1e-9);
    ck_close(one(z, 3, 0, AMUN_SIGNAL_TAYLOR, 3, NULL), 0.867872045, 1e-9);
    /* the other degrees: sums of v^i / i! written out in Python */
    ck_close(one(z, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 1, NULL), 0.5205479452054794, 1e-14);
    ck_close(one(z, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 2, NULL), 0.5473434253487681, 1e-14);
    ck_close(one(z, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 8, NULL), 0.5654051938754127, 1e-14);
    ck_close(one(z, 3, 0, AMUN_SIGNAL_LOG_LOGIT, 3, NULL), 2.2985867220172476, 1e-13);
    ck_close(one(z, 3, 1, AMUN_SIGNAL_LOG_LOGIT, 3, NULL), -4.07888973429255, 1e-13);
}
END_TEST

START_TEST(test_defaults)
{
    const double z[3] = {3.0, -1.0, 0.5};
    double copy[3], s;
    int64_t label = 0;
    memcpy(copy, z, sizeof copy);
    amun_tensor_view logits = view(copy, AMUN_DTYPE_F64, 1, 3);
    amun_tensor_view labels = view(&label, AMUN_DTYPE_I64, 1, 0);
    ck_ok(amun_signal_compute(&s, NULL, &logits, &labels, NULL));
    ck_close(s, 0.562403125, 1e-9);
}
END_TEST

/* The cubic leaves (0, 1) for very negative logits, and says how often. */
START_TEST(test_nonpositive)
{
    const double a[3] = {-4.0, 1.0, 0.5}, b[3] = {-10.0, -9.0, -11.0};
    size_t below = 0;
    ck_close(one(a, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 3, &below), -0.6455644359151386, 1e-13);
    ck_assert_uint_eq(below, 1);
    ck_close(one(b, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 3, &below), 0.41475130736870797, 1e-9);
    ck_assert_uint_eq(below, 1); /* negative over negative only looks like a probability */
    double s = one(a, 3, 0, AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 4, &below);
    ck_assert_uint_eq(below, 0);
    ck_assert(s > 0.0 && s < 1.0);
    one(a, 3, 0, AMUN_SIGNAL_SOFTMAX, 3, &below);
    ck_assert_uint_eq(below, 0);
}
END_TEST

START_TEST(test_shift)
{
    /* exp(1500) overflows: the shifted form does not notice */
    const double z[3] = {3000.0, 2999.0, 2990.0};
    double expected = exp(0.5) / (exp(0.5) + 1.0 + exp(-4.5));
    ck_close(one(z, 3, 0, AMUN_SIGNAL_SOFTMAX, 3, NULL), expected, 1e-14);
    expected = exp(0.5 - 0.6) / (exp(0.5 - 0.6) + 1.0 + exp(-4.5));
    ck_close(one(z, 3, 0, AMUN_SIGNAL_SOFT_MARGIN, 3, NULL), expected, 1e-14);
    const double w[2] = {-4000.0, 4000.0}; /* a difference beyond what exp() can hold */
    ck_assert(one(w, 2, 0, AMUN_SIGNAL_SOFTMAX, 3, NULL) >= 0.0);
    /* floors of 1e-45 on both sides */
    ck_close(one(w, 2, 0, AMUN_SIGNAL_LOG_LOGIT, 3, NULL), log(1e-45), 1e-12);
    ck_close(one(w, 2, 1, AMUN_SIGNAL_LOG_LOGIT, 3, NULL), -log(1e-45), 1e-12);
}
END_TEST

/* Strides, F32 against F64, and each label type read the same rows. */
START_TEST(test_views)
{
    double z64[2][3] = {{3.0, -1.0, 0.5}, {0.25, 1.5, -2.0}}, a[2], b[2];
    float columns[3][2]; /* transposed */
    int64_t y64[2] = {0, 2};
    int32_t y32[2] = {0, 2};
    uint8_t y8[2] = {0, 2};
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 3; j++) {
            columns[j][i] = (float)z64[i][j];
        }
    }
    amun_tensor_view dense = view(z64, AMUN_DTYPE_F64, 2, 3);
    amun_tensor_view labels = view(y64, AMUN_DTYPE_I64, 2, 0);
    ck_ok(amun_signal_compute(a, NULL, &dense, &labels, NULL));
    amun_tensor_view turned = view(columns, AMUN_DTYPE_F32, 2, 3);
    turned.strides[0] = sizeof(float);
    turned.strides[1] = 2 * sizeof(float);
    labels = view(y32, AMUN_DTYPE_I32, 2, 0);
    ck_ok(amun_signal_compute(b, NULL, &turned, &labels, NULL));
    ck_assert(a[0] == b[0] && a[1] == b[1]); /* the values are exact in both types */
    labels = view(y8, AMUN_DTYPE_U8, 2, 0);
    ck_ok(amun_signal_compute(b, NULL, &turned, &labels, NULL));
    ck_assert(a[0] == b[0] && a[1] == b[1]);
}
END_TEST

START_TEST(test_features)
{
    double z[2][3] = {{log(0.7), log(0.2), log(0.1)}, {900.0, 0.0, 0.0}};
    double c[2], h[2], me[2];
    int64_t y[2] = {0, 1};
    amun_tensor_view logits = view(z, AMUN_DTYPE_F64, 2, 3);
    amun_tensor_view labels = view(y, AMUN_DTYPE_I64, 2, 0);
    ck_ok(amun_svc_features(c, h, me, &logits, &labels));
    ck_close(c[0], 0.7, 1e-15);
    ck_close(h[0], 0.801819, 1e-6);
    ck_close(me[0], 0.162167, 1e-6); /* the widely copied wrong form gives 3.466879 */
    /* certain and wrong: 0 log 0 = 0, and the floor 1e-30 stands in for p_y and 1 - p_0 */
    ck_assert(c[1] == 0.0 && h[1] == 0.0);
    ck_close(me[1], -2.0 * log(1e-30), 1e-12);
    ck_ok(amun_svc_features(NULL, NULL, NULL, &logits, &labels));
}
END_TEST

START_TEST(test_refusals)
{
    double z[6] = {0}, s[2];
    int64_t y[2] = {0, 1};
    amun_tensor_view logits = view(z, AMUN_DTYPE_F64, 2, 3), bad;
    amun_tensor_view labels = view(y, AMUN_DTYPE_I64, 2, 0);
    ck_fails(amun_signal_compute(NULL, NULL, &logits, &labels, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "signal");
    ck_fails(amun_signal_compute(s, NULL, NULL, &labels, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "logits");
    ck_fails(amun_signal_compute(s, NULL, &logits, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "labels");
    z[4] = NAN;
    ck_fails(amun_signal_compute(s, NULL, &logits, &labels, NULL), AMUN_ERROR_NUMERIC,
             "row 1, class 1");
    ck_fails(amun_svc_features(s, NULL, NULL, &logits, &labels), AMUN_ERROR_NUMERIC, "row 1");
    z[4] = -INFINITY;
    ck_fails(amun_signal_compute(s, NULL, &logits, &labels, NULL), AMUN_ERROR_NUMERIC, "-inf");
    z[4] = 0.0;
    y[1] = 3;
    ck_fails(amun_signal_compute(s, NULL, &logits, &labels, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "row 1 is 3");
    y[1] = -1;
    ck_fails(amun_svc_features(s, NULL, NULL, &logits, &labels), AMUN_ERROR_INVALID_ARGUMENT,
             "row 1 is -1");
    y[1] = 1;
    bad = view(y, AMUN_DTYPE_I64, 1, 0);
    ck_fails(amun_signal_compute(s, NULL, &logits, &bad, NULL), AMUN_ERROR_SHAPE, "labels");
    bad = view(z, AMUN_DTYPE_F64, 2, 1);
    ck_fails(amun_signal_compute(s, NULL, &bad, &labels, NULL), AMUN_ERROR_SHAPE, "logits");
    bad = view(z, AMUN_DTYPE_F64, 0, 3);
    labels = view(y, AMUN_DTYPE_I64, 0, 0);
    ck_fails(amun_signal_compute(s, NULL, &bad, &labels, NULL), AMUN_ERROR_SHAPE, "at least 1 row");
    labels = view(y, AMUN_DTYPE_I64, 2, 0);
    bad = view(z, AMUN_DTYPE_I64, 2, 3);
    ck_fails(amun_signal_compute(s, NULL, &bad, &labels, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "dtype");
    amun_rmia_options o = options(9, 3);
    ck_fails(amun_signal_compute(s, NULL, &logits, &labels, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "signal: 9");
    o = options(AMUN_SIGNAL_SOFTMAX, 9);
    ck_fails(amun_signal_compute(s, NULL, &logits, &labels, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "taylor_degree: 9");
    o = options(AMUN_SIGNAL_SOFTMAX, 3);
    o.temperature = 0.0;
    ck_fails(amun_signal_compute(s, NULL, &logits, &labels, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "temperature");
    z[0] = 1e300; /* the cube overflows: refused, not NaN */
    ck_fails(amun_signal_compute(s, NULL, &logits, &labels, NULL), AMUN_ERROR_NUMERIC, "row 0");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("signal");
    tcase_add_test(tc, test_golden);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_nonpositive);
    tcase_add_test(tc, test_shift);
    tcase_add_test(tc, test_views);
    tcase_add_test(tc, test_features);
    tcase_add_test(tc, test_refusals);
    return amun_test_main("signal", (TCase *[]){tc, NULL});
}
