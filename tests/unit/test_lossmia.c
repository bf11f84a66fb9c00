/* The loss attack against the same splits done by hand, with a logistic regression of two numbers
 * found by bisection, and against losses whose answer is known. */
#include <stdlib.h>

#include "amun/probe.h"
#include "mia/classes.h"
#include "support.h"

enum { FORGET = 37, UNSEEN = 60 };

static void make(double *forget, double *unseen, double shift)
{
    amun__rng rng;
    amun__rng_open(&rng, 4, AMUN__RNG_TEST, 0, 0);
    for (int i = 0; i < UNSEEN; i++) {
        unseen[i] = fabs(amun__rng_normal(&rng)) + shift;
    }
    for (int i = 0; i < FORGET; i++) {
        forget[i] = fabs(amun__rng_normal(&rng));
    }
}

/* ---- a logistic regression of one feature, the slow way ------------------------------------- */

typedef struct points {
    double x[2 * UNSEEN];
    int y[2 * UNSEEN];
    int n;
} points;

static double excess(const points *p, double a, double b, bool by_x)
{
    double sum = 0.0;
    for (int i = 0; i < p->n; i++) {
        const double e = 1.0 / (1.0 + exp(-a * p->x[i] - b)) - p->y[i];
        sum += by_x ? e * p->x[i] : e;
    }
    return sum;
}

/* The offset at which the slope `a` fits best: its derivative grows with b. */
static double best_offset(const points *p, double a)
{
    double low = -200.0, high = 200.0;
    for (int k = 0; k < 100; k++) {
        const double b = 0.5 * (low + high);
        *(excess(p, a, b, false) < 0.0 ? &low : &high) = b;
    }
    return 0.5 * (low + high);
}

static void fit(const points *p, double ridge, double *a, double *b)
{
    double low = -100.0, high = 100.0;
    for (int k = 0; k < 100; k++) {
        *a = 0.5 * (low + high);
        *(ridge * *a + excess(p, *a, best_offset(p, *a), true) < 0.0 ? &low : &high) = *a;
    }
    *b = best_offset(p, *a);
}

/* ---- the splits ------------------------------------------------------------------------------ */

static double split_accuracy(const double *forget, const double *unseen, uint64_t seed,
                             uint32_t split, double share, double ridge)
{
    const double *loss[2] = {unseen, forget};
    const size_t counts[2] = {UNSEEN, FORGET};
    const int rows = FORGET, tested = (int)round(share * rows);
    int64_t order[2][UNSEEN];
    points p = {.n = 0};
    double a, b;
    int right = 0;
    for (size_t side = 0; side < 2; side++) {
        amun__rng rng;
        for (size_t i = 0; i < counts[side]; i++) {
            order[side][i] = (int64_t)i;
        }
        amun__rng_open(&rng, seed, AMUN__RNG_SUBSAMPLE, AMUN__DRAW_LOSSMIA, 2 * split + side);
        amun__rng_shuffle(&rng, order[side], counts[side]);
        for (int i = 0; i < rows - tested; i++) {
            p.x[p.n] = loss[side][order[side][i]];
            p.y[p.n++] = (int)side;
        }
    }
    fit(&p, ridge, &a, &b);
    for (size_t side = 0; side < 2; side++) {
        for (int i = rows - tested; i < rows; i++) {
            right += (a * loss[side][order[side][i]] + b > 0.0) == (side == 1);
        }
    }
    return 100.0 * right / (2 * tested);
}

START_TEST(test_by_hand)
{
    double forget[FORGET], unseen[UNSEEN], values[6], mean, sd, auc = 0.0;
    amun_lossmia_options o;
    amun_lossmia told = {.struct_size = sizeof told};
    make(forget, unseen, 0.4);
    ck_ok(amun_lossmia_options_init(&o, sizeof o));
    o.splits = 6;
    o.test_share = 0.3;
    o.ridge = 0.2;
    o.seed = 12;
    ck_ok(amun_lossmia_compute(&told, forget, FORGET, unseen, UNSEEN, &o));
    for (uint32_t s = 0; s < 6; s++) {
        values[s] = split_accuracy(forget, unseen, 12, s, 0.3, 0.2);
    }
    amun__mean_sd(values, 6, &mean, &sd);
    for (int i = 0; i < FORGET; i++) {
        for (int k = 0; k < UNSEEN; k++) {
            auc += 100.0 * (forget[i] < unseen[k]) / (FORGET * UNSEEN);
        }
    }
    ck_assert_int_eq(told.rows, FORGET);
    ck_close(told.accuracy, mean, 1e-9);
    ck_close(told.sd, sd, 1e-9);
    ck_close(told.auc, auc, 1e-9);
}
END_TEST

/* Losses apart: all right. The same losses: nothing is told, in the mean. */
START_TEST(test_ends)
{
    double forget[FORGET], unseen[UNSEEN];
    amun_lossmia told = {.struct_size = sizeof told};
    make(forget, unseen, 20.0);
    ck_ok(amun_lossmia_compute(&told, forget, FORGET, unseen, UNSEEN, NULL));
    ck_close(told.accuracy, 100.0, 1e-12);
    ck_assert(told.auc == 100.0 && told.sd == 0.0);
    ck_ok(amun_lossmia_compute(&told, forget, FORGET, forget, FORGET, NULL));
    ck_assert(told.auc == 50.0);
    ck_assert_msg(told.accuracy > 20.0 && told.accuracy < 80.0, "%g", told.accuracy);
    ck_ok(amun_lossmia_compute(&told, forget, 2, unseen, 2, NULL)); /* one fitted, one tested */
    ck_assert_int_eq(told.rows, 2);
}
END_TEST

START_TEST(test_logits)
{
    enum { K = 3 };
    double z[FORGET][K], other[UNSEEN][K], loss[2][UNSEEN];
    int64_t y[UNSEEN];
    amun_lossmia a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    amun_tensor_view forget, unseen, forget_labels, unseen_labels;
    amun__rng rng;
    amun__rng_open(&rng, 5, AMUN__RNG_TEST, 0, 0);
    for (int i = 0; i < UNSEEN; i++) {
        y[i] = i % K;
        for (int side = 0; side < 2; side++) {
            double *row = side == 0 ? other[i] : z[i % FORGET], sum = 0.0;
            for (int j = 0; j < K && (side == 0 || i < FORGET); j++) {
                row[j] = 2.0 * amun__rng_normal(&rng) + (j == y[i] ? 1.0 + side : 0.0);
                sum += exp(row[j]);
            }
            if (side == 0 || i < FORGET) {
                loss[side][i] = log(sum) - row[y[i]];
            }
        }
    }
    z[3][0] = loss[1][3] = 0.0;
    z[3][0] = 800.0; /* certain and right: nothing overflows */
    z[3][1] = z[3][2] = -800.0;
    ck_ok(amun_tensor_view_init(&forget, z, AMUN_DTYPE_F64, 2, (int64_t[]){FORGET, K}));
    ck_ok(amun_tensor_view_init(&unseen, other, AMUN_DTYPE_F64, 2, (int64_t[]){UNSEEN, K}));
    ck_ok(amun_tensor_view_init(&forget_labels, y, AMUN_DTYPE_I64, 1, (int64_t[]){FORGET}));
    ck_ok(amun_tensor_view_init(&unseen_labels, y, AMUN_DTYPE_I64, 1, (int64_t[]){UNSEEN}));
    ck_ok(amun_lossmia_logits(&a, &forget, &forget_labels, &unseen, &unseen_labels, NULL));
    ck_ok(amun_lossmia_compute(&b, loss[1], FORGET, loss[0], UNSEEN, NULL));
    ck_close(a.accuracy, b.accuracy, 1e-12);
    ck_close(a.auc, b.auc, 1e-12);
    y[2] = K;
    ck_fails(amun_lossmia_logits(&a, &forget, &forget_labels, &unseen, &unseen_labels, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "forget: labels: row 2 is 3");
}
END_TEST

START_TEST(test_refused)
{
    double forget[3] = {0, 1, NAN}, unseen[3] = {1, 2, 3};
    amun_lossmia told = {.struct_size = sizeof told};
    ck_fails(amun_lossmia_compute(&told, forget, 3, unseen, 3, NULL), AMUN_ERROR_NUMERIC,
             "forget: loss 2 is nan");
    ck_fails(amun_lossmia_compute(&told, forget, 2, unseen, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "unseen: losses, 1");
    ck_fails(amun_lossmia_compute(&told, NULL, 2, unseen, 3, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "forget: NULL");
    ck_fails(amun_lossmia_compute(NULL, forget, 2, unseen, 3, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "amun_lossmia");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("lossmia");
    tcase_add_test(tc, test_by_hand);
    tcase_add_test(tc, test_ends);
    tcase_add_test(tc, test_logits);
    tcase_add_test(tc, test_refused);
    return amun_test_main("lossmia", (TCase *[]){tc, NULL});
}
