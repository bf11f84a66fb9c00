/* The classifier two-sample test against distributions whose answer is known: equal ones, one
 * coordinate apart by a known distance (the best AUC is then Phi(d / sqrt 2)), and outputs that
 * only the forget class tells apart. */
#include <math.h>

#include "amun/audit.h"
#include "support.h"

enum { K = 4, N = 1500, MODELS = 3, FORGET = 1 };

static double retrained[MODELS][N][K], unlearned[N][K];
static int64_t labels[N];
static const int64_t forget[1] = {FORGET};
static amun_tensor_view r, u, l;

/* Logits around 0; coordinate 2 of the unlearned model higher by `shift`, the forget one by `own`.
 * Every third row is of another class, and far away: it must not count. */
static void make(double shift, double own)
{
    for (int m = 0; m <= MODELS; m++) {
        amun__rng rng;
        amun__rng_open(&rng, 21, AMUN__RNG_TEST, 0, (uint64_t)m);
        double(*z)[K] = m < MODELS ? retrained[m] : unlearned;
        for (int i = 0; i < N; i++) {
            labels[i] = i % 3 == 0 ? 3 : FORGET;
            for (int j = 0; j < K; j++) {
                z[i][j] = i % 3 == 0 ? 100.0 * m : amun__rng_normal(&rng);
            }
            z[i][2] += m == MODELS ? shift : 0.0;
            z[i][FORGET] += m == MODELS ? own : 0.0;
        }
    }
    ck_ok(amun_tensor_view_init(&r, retrained, AMUN_DTYPE_F64, 3, (int64_t[]){MODELS, N, K}));
    ck_ok(amun_tensor_view_init(&u, unlearned, AMUN_DTYPE_F64, 2, (int64_t[]){N, K}));
    ck_ok(amun_tensor_view_init(&l, labels, AMUN_DTYPE_I64, 1, (int64_t[]){N}));
}

static amun_c2st compute(const amun_c2st_options *o)
{
    amun_c2st told = {.struct_size = sizeof told};
    ck_ok(amun_c2st_compute(&told, &r, &u, &l, forget, 1, o));
    ck_assert_int_eq(told.models, MODELS);
    ck_assert_int_eq(told.rows, 2 * N / 3);
    return told;
}

/* Standard error of an AUC of 1000 against 1000 is about 1.3 points. */
START_TEST(test_equal)
{
    make(0.0, 0.0);
    amun_c2st told = compute(NULL);
    ck_assert(fabs(told.all - 50.0) < 4.0 && fabs(told.retained - 50.0) < 4.0);
    ck_assert(fabs(told.all_null_mean - 50.0) < 4.0 && fabs(told.retained_null_mean - 50.0) < 4.0);
    ck_assert(told.all_null_sd < 4.0 && told.retained_null_sd < 4.0);
}
END_TEST

/* The log-probabilities of the retained classes keep the differences to logit 2, two of them with
 * the noise of all three: Mahalanobis distance of (d, d) with covariance 1 + I is d sqrt(2 / 3). */
START_TEST(test_shifted)
{
    const double d = 1.5;
    make(d, 0.0);
    amun_c2st told = compute(NULL);
    double best = 100.0 * 0.5 * erfc(-d * sqrt(2.0 / 3.0) / sqrt(2.0) / sqrt(2.0));
    ck_assert_msg(fabs(told.retained - best) < 3.0, "%g, expected %g", told.retained, best);
    /* all four: three differences, d sqrt(3 / 4) */
    best = 100.0 * 0.5 * erfc(-d * sqrt(3.0 / 4.0) / 2.0);
    ck_assert_msg(fabs(told.all - best) < 3.0, "%g, expected %g", told.all, best);
}
END_TEST

START_TEST(test_forget_coordinate)
{
    make(0.0, -30.0);
    amun_c2st told = compute(NULL);
    ck_close(told.all, 100.0, 1e-9);
    ck_assert(fabs(told.retained - 50.0) < 4.0);
}
END_TEST

START_TEST(test_options)
{
    amun_c2st_options o;
    make(0.7, 0.0);
    amun_c2st told = compute(NULL), again = compute(NULL);
    ck_assert(told.all == again.all && told.retained_null_sd == again.retained_null_sd);
    ck_ok(amun_c2st_options_init(&o, sizeof o));
    o.seed = 1;
    again = compute(&o);
    ck_assert(told.all != again.all && fabs(told.all - again.all) < 2.0);
    o.folds = 2;
    o.ridge = 100.0;
    again = compute(&o);
    ck_assert(fabs(told.all - again.all) < 3.0);
    r.shape[0] = 1;
    amun_c2st one = {.struct_size = sizeof one};
    ck_ok(amun_c2st_compute(&one, &r, &u, &l, forget, 1, NULL));
    ck_assert(isnan(one.all_null_mean) && isnan(one.retained_null_sd) && one.all > 55.0);
    for (int i = 0; i < N; i++) {
        labels[i] = i < 4 ? FORGET : 0;
    }
    ck_fails(amun_c2st_compute(&one, &r, &u, &l, forget, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "folds: 5, with 4 rows");
    ck_fails(amun_c2st_compute(NULL, &r, &u, &l, forget, 1, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "NULL");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("c2st");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_equal);
    tcase_add_test(tc, test_shifted);
    tcase_add_test(tc, test_forget_coordinate);
    tcase_add_test(tc, test_options);
    return amun_test_main("c2st", (TCase *[]){tc, NULL});
}
