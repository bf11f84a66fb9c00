/* Distances to retrained models: cases small enough for a pocket calculator. */
#include <math.h>

#include "amun/audit.h"
#include "support.h"

enum { R = 2, N = 4, K = 2 };

/* Rows 0 and 1 (class 0) are mirror images of each other; rows 2 and 3 (class 1) are the same in
 * all models. */
static const double kept[R + 1][N] = {
    {0.6, 0.4, 0.3, 0.2}, {0.4, 0.6, 0.3, 0.2}, {0.9, 0.1, 0.3, 0.2}};

typedef struct saved {
    double retrained[R][N][K], unlearned[N][K];
    int64_t labels[N];
    amun_tensor_view r, u, l;
} saved;

static void make(saved *s)
{
    for (int m = 0; m <= R; m++) {
        for (int i = 0; i < N; i++) {
            double *z = m < R ? s->retrained[m][i] : s->unlearned[i];
            z[0] = log(kept[m][i]) + 40.0; /* the offset of a row of logits says nothing */
            z[1] = log(1.0 - kept[m][i]) + 40.0;
            s->labels[i] = i / 2;
        }
    }
    ck_ok(amun_tensor_view_init(&s->r, s->retrained, AMUN_DTYPE_F64, 3, (int64_t[]){R, N, K}));
    ck_ok(amun_tensor_view_init(&s->u, s->unlearned, AMUN_DTYPE_F64, 2, (int64_t[]){N, K}));
    ck_ok(amun_tensor_view_init(&s->l, s->labels, AMUN_DTYPE_I64, 1, (int64_t[]){N}));
}

static double xlogx(double p, double q)
{
    return p * log(p / q);
}

START_TEST(test_by_hand)
{
    saved s;
    double rows[N];
    const int64_t zero[1] = {0};
    amun_distance t = {.struct_size = sizeof t};
    make(&s);
    ck_ok(amun_distance_compute(&t, rows, &s.r, &s.u, &s.l, zero, 1));
    ck_assert(t.models == R && t.rows == 2);
    ck_close(t.tv, 0.4, 1e-13); /* (0.9, 0.1) to (0.5, 0.5), twice */
    ck_close(rows[0], 0.4, 1e-13);
    ck_close(rows[1], 0.4, 1e-13);
    ck_assert(isnan(rows[2]) && isnan(rows[3]));
    ck_close(t.tv_null, 0.2, 1e-13); /* (0.6, 0.4) to (0.4, 0.6), both ways */
    ck_close(t.tv_null_sd, 0.0, 1e-13);
    ck_close(t.js, 0.5 * (xlogx(0.9, 0.7) + xlogx(0.1, 0.3) + xlogx(0.5, 0.7) + xlogx(0.5, 0.3)),
             1e-13);
    ck_close(t.js_null, xlogx(0.6, 0.5) + xlogx(0.4, 0.5), 1e-13);
    ck_close(t.kl, xlogx(0.5, 0.9) + xlogx(0.5, 0.1), 1e-13);
    ck_close(t.kl_null, xlogx(0.6, 0.4) + xlogx(0.4, 0.6), 1e-13);
    ck_close(t.routing_tv, 0.0, 1e-13); /* mirror images: equal means */
    ck_close(t.routing_tv_null, 0.0, 1e-13);
    ck_close(t.activation, sqrt(2.0) * 0.4, 1e-13); /* to each model: 0.3 and 0.5 */
    ck_close(t.activation_null, sqrt(2.0) * 0.2, 1e-13);
    ck_ok(
        amun_distance_compute(&t, NULL, &s.r, &s.u, NULL, NULL, 0)); /* all rows: half are equal */
    ck_assert(t.rows == N);
    ck_close(t.tv, 0.2, 1e-13);
    ck_close(t.activation, sqrt(2.0) * 0.2, 1e-13);
    s.u.shape[0] = s.r.shape[1] = 1; /* one row: its prediction is the mean one */
    ck_ok(amun_distance_compute(&t, NULL, &s.r, &s.u, NULL, NULL, 0));
    ck_close(t.routing_tv, 0.4, 1e-13);
    ck_close(t.routing_tv_null, 0.2, 1e-13);
    s.r.shape[0] = 1;
    ck_ok(amun_distance_compute(&t, NULL, &s.r, &s.u, NULL, NULL, 0));
    ck_close(t.tv, 0.3, 1e-13);
    ck_assert(isnan(t.tv_null) && isnan(t.activation_null_sd));
}
END_TEST

START_TEST(test_floor)
{
    saved s;
    amun_distance t = {.struct_size = sizeof t};
    make(&s);
    s.unlearned[0][0] = 900.0;
    s.unlearned[0][1] = 0.0; /* probability 0 in a double */
    s.u.shape[0] = s.r.shape[1] = 1;
    ck_ok(amun_distance_compute(&t, NULL, &s.r, &s.u, NULL, NULL, 0));
    ck_close(t.kl, 0.5 * log(0.5) + 0.5 * log(0.5 / 1e-12), 1e-12);
    ck_close(t.js, 0.5 * (xlogx(1.0, 0.75) + xlogx(0.5, 0.75) + xlogx(0.5, 0.25)), 1e-13);
}
END_TEST

START_TEST(test_routing)
{
    saved s;
    double shares[R + 1][K];
    const int64_t both[2] = {1, 0};
    make(&s);
    ck_ok(amun_distance_routing(shares[0], &s.r, &s.u, &s.l, both, 2));
    for (int m = 0; m <= R; m++) { /* one of four goes to class 0 in every model */
        ck_assert(shares[m][0] == 25.0 && shares[m][1] == 75.0);
    }
    ck_ok(amun_distance_routing(shares[0], &s.r, &s.u, &s.l, both, 1));
    ck_assert(shares[0][0] == 0.0 && shares[R][1] == 100.0);
    ck_fails(amun_distance_routing(NULL, &s.r, &s.u, &s.l, both, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "shares");
}
END_TEST

START_TEST(test_zrf)
{
    saved s;
    double zrf, far[1][K] = {{0.0, 1000.0}}, near[1][K] = {{1000.0, 0.0}};
    amun_tensor_view a, b;
    make(&s);
    ck_ok(amun_distance_zrf(&zrf, &s.u, &s.u));
    ck_close(zrf, 1.0, 1e-15);
    ck_ok(amun_tensor_view_init(&a, far, AMUN_DTYPE_F64, 2, (int64_t[]){1, K}));
    ck_ok(amun_tensor_view_init(&b, near, AMUN_DTYPE_F64, 2, (int64_t[]){1, K}));
    ck_ok(amun_distance_zrf(&zrf, &a, &b));
    ck_close(zrf, 1.0 - log(2.0), 1e-14);
    ck_fails(amun_distance_zrf(&zrf, &s.u, &b), AMUN_ERROR_SHAPE, "random");
    ck_fails(amun_distance_zrf(NULL, &a, &b), AMUN_ERROR_INVALID_ARGUMENT, "zrf");
}
END_TEST

START_TEST(test_klom)
{
    /* samples: shares 3/4, 1/4 against 1/4, 3/4; no overlap; one value; far beyond the clip */
    const double u[4][4] = {
        {0, 0, 7, 1e300}, {0, 0, 7, 100}, {0, 0, 7, -INFINITY}, {1, 0, 7, -150}};
    const double r[4][4] = {{0, 1, 7, 100}, {1, 1, 7, 100}, {1, 1, 7, -100}, {1, 1, 7, -100}};
    double mean, p95, rows[4];
    ck_ok(amun_distance_klom(&mean, &p95, rows, u[0], 4, r[0], 4, 4));
    ck_close(rows[0], 0.5 * log(3.0), 1e-13);
    ck_close(rows[1], log(1e5), 1e-13);
    ck_close(rows[2], 0.0, 0.0);
    ck_close(rows[3], 0.0, 1e-13);
    ck_close(mean, (0.5 * log(3.0) + log(1e5)) / 4.0, 1e-13);
    ck_close(p95, 0.85 * log(1e5) + 0.15 * 0.5 * log(3.0), 1e-13); /* place 2.85 of 0..3 */
    ck_ok(amun_distance_klom(NULL, &p95, NULL, u[0], 2, r[0], 1, 1));
    ck_close(p95, 0.0, 0.0);
    ck_fails(amun_distance_klom(&mean, NULL, NULL, u[0], 0, r[0], 4, 4),
             AMUN_ERROR_INVALID_ARGUMENT, "unlearned");
    ck_fails(amun_distance_klom(&mean, NULL, NULL, u[0], 4, (double[1]){NAN}, 1, 1),
             AMUN_ERROR_NUMERIC, "retrained: value 0");
}
END_TEST

START_TEST(test_refusals)
{
    saved s;
    const int64_t five[1] = {5}, zero[1] = {0};
    amun_distance t = {.struct_size = sizeof t};
    make(&s);
    ck_fails(amun_distance_compute(&t, NULL, &s.r, &s.u, &s.l, NULL, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "chosen is NULL");
    ck_fails(amun_distance_compute(&t, NULL, &s.r, &s.u, NULL, zero, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "labels is NULL");
    ck_fails(amun_distance_compute(&t, NULL, &s.r, &s.u, &s.l, five, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "class 5");
    ck_fails(amun_distance_compute(&t, NULL, &s.r, &s.u, &s.l, zero, 0),
             AMUN_ERROR_INVALID_ARGUMENT, "no row");
    ck_fails(amun_distance_compute(NULL, NULL, &s.r, &s.u, &s.l, zero, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    s.u.shape[0] = 3;
    ck_fails(amun_distance_compute(&t, NULL, &s.r, &s.u, &s.l, zero, 1), AMUN_ERROR_SHAPE,
             "unlearned: 3 rows");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("distance");
    tcase_add_test(tc, test_by_hand);
    tcase_add_test(tc, test_floor);
    tcase_add_test(tc, test_routing);
    tcase_add_test(tc, test_zrf);
    tcase_add_test(tc, test_klom);
    tcase_add_test(tc, test_refusals);
    return amun_test_main("distance", (TCase *[]){tc, NULL});
}
