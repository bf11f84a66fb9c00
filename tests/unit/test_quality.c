/* Forgetting quality against every threshold and interval tried one after the other, and cases by
 * hand; and a number beside those of retrained models. */
#include <stdlib.h>

#include "amun/probe.h"
#include "support.h"

enum { MOST = 40 };

/* ---- the slow way ---------------------------------------------------------------------------- */

typedef struct side {
    double v[MOST];
    int n;
} side;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(side s)
{
    qsort(s.v, (size_t)s.n, sizeof(double), ascending);
    return s.n % 2 ? s.v[s.n / 2] : 0.5 * (s.v[s.n / 2 - 1] + s.v[s.n / 2]);
}

static double range(side s)
{
    qsort(s.v, (size_t)s.n, sizeof(double), ascending);
    return s.v[s.n - 1] - s.v[0];
}

static double inside(const side *s, double low, double high)
{
    int count = 0;
    for (int i = 0; i < s->n; i++) {
        count += s->v[i] > low && s->v[i] < high;
    }
    return (double)count / s->n;
}

/* "Positive" if low < score < high; raises *best. */
static void try_rule(const side *positive, const side *negative, double low, double high,
                     double delta, double *best)
{
    const double fpr = inside(negative, low, high), fnr = 1.0 - inside(positive, low, high);
    if (fpr < 1e-9 && fnr < 1e-9) {
        *best = INFINITY;
    } else if (fpr > 1e-9 && fnr > 1e-9) {
        if (1.0 - delta - fpr > 1e-9) {
            *best = fmax(*best, log(1.0 - delta - fpr) - log(fnr));
        }
        if (1.0 - delta - fnr > 1e-9) {
            *best = fmax(*best, log(1.0 - delta - fnr) - log(fpr));
        }
    }
}

static double naive(side u, side r, double delta, double cap, bool intervals)
{
    double all[2 * MOST + 2], best = 0.0;
    int count = 0;
    const double wide = fmax(range(u), range(r)), narrow = fmin(range(u), range(r));
    if (narrow < 0.01 * wide) {
        return cap;
    }
    for (int i = 0; i < u.n; i++) {
        all[count++] = u.v[i];
    }
    for (int i = 0; i < r.n; i++) {
        all[count++] = r.v[i];
    }
    qsort(all, (size_t)count, sizeof(double), ascending);
    const bool up = middle(r) > middle(u);
    const bool peaky = up ? !(range(r) >= range(u)) : range(u) >= range(r); /* r is the peakier */
    /* thresholds between values; equal neighbours give the same rule as others do, or none */
    for (int i = 0; i <= count; i++) {
        const double low = i == 0 ? -1e9 : i == count ? 1e9 : 0.5 * (all[i - 1] + all[i]);
        if (i > 0 && i < count && all[i] == all[i - 1]) {
            continue;
        }
        try_rule(up ? &r : &u, up ? &u : &r, low, 1e9, delta, &best);
        for (int j = i; j <= count && intervals; j++) {
            const double high = j == 0 ? -1e9 : j == count ? 1e9 : 0.5 * (all[j - 1] + all[j]);
            if (j > 0 && j < count && all[j] == all[j - 1]) {
                continue;
            }
            try_rule(peaky ? &r : &u, peaky ? &u : &r, low, high, delta, &best);
        }
    }
    return fmin(best, cap);
}

START_TEST(test_naive)
{
    enum { N = 60, U = 31, R = 40 };
    static double unlearned[U][N], retrained[R][N];
    double epsilon[N], sorted[N];
    amun_quality_options o;
    ck_ok(amun_quality_options_init(&o, sizeof o));
    for (int trial = 0; trial < 4; trial++) {
        amun__rng rng;
        double points = 0.0, mean = 0.0;
        int64_t capped = 0;
        amun_quality told = {.struct_size = sizeof told};
        amun__rng_open(&rng, 31, AMUN__RNG_TEST, 0, (uint64_t)trial);
        for (int i = 0; i < N; i++) {
            const double shift = 0.05 * (i - 30), spread = 0.2 + 0.05 * i;
            for (int m = 0; m < U + R; m++) {
                double v = amun__rng_normal(&rng) * (m < U ? spread : 1.0) + (m < U ? shift : 0.0);
                v = trial % 2 ? floor(3.0 * v) : v; /* ties */
                *(m < U ? &unlearned[m][i] : &retrained[m - U][i]) = v;
            }
        }
        o.intervals = trial < 2;
        o.delta = trial == 0 ? 1e-5 : 0.1;
        o.cap = trial == 2 ? 2.0 : 50.0;
        o.bin = trial == 3 ? 0.3 : 0.5;
        ck_ok(amun_quality_compute(&told, epsilon, unlearned[0], U, retrained[0], R, N, &o));
        for (int i = 0; i < N; i++) {
            side u = {.n = U}, r = {.n = R};
            for (int m = 0; m < R; m++) {
                u.v[m < U ? m : 0] = unlearned[m < U ? m : 0][i];
                r.v[m] = retrained[m][i];
            }
            const double wanted = naive(u, r, o.delta, o.cap, o.intervals != 0);
            ck_assert_msg(fabs(epsilon[i] - wanted) < 1e-9, "trial %d, sample %d: %g, not %g",
                          trial, i, epsilon[i], wanted);
            points += pow(2.0, -floor(epsilon[i] / o.bin)) / N;
            mean += epsilon[i] / N;
            capped += epsilon[i] == o.cap;
            sorted[i] = epsilon[i];
        }
        qsort(sorted, N, sizeof(double), ascending);
        ck_close(told.score, points, 1e-12);
        ck_close(told.epsilon_mean, mean, 1e-12);
        ck_close(told.epsilon_median, 0.5 * (sorted[N / 2 - 1] + sorted[N / 2]), 1e-12);
        ck_assert_int_eq(told.capped, capped);
        ck_assert(told.unlearned == U && told.retrained == R && told.rows == N);
    }
}
END_TEST

START_TEST(test_by_hand)
{
    /* four models a side; samples: apart; alike; one of four wrong on both sides; a peak; one value
     */
    const double u[4][5] = {{1, 1, 1, 5, 7}, {2, 2, 2, 5, 7}, {3, 3, 3, 5, 7}, {4, 4, 6, 5, 7}};
    const double r[4][5] = {{5, 1, 3.5, 0, 7}, {6, 2, 7, 4, 7}, {7, 3, 8, 8, 7}, {8, 4, 9, 9, 7}};
    double epsilon[5];
    amun_quality_options o;
    amun_quality told = {.struct_size = sizeof told};
    ck_ok(amun_quality_options_init(&o, sizeof o));
    o.intervals = 0;
    ck_ok(amun_quality_compute(&told, epsilon, u[0], 4, r[0], 4, 5, &o));
    ck_assert(epsilon[0] == 50.0 && epsilon[3] == 50.0 && epsilon[4] == 0.0);
    ck_assert(epsilon[1] == 0.0); /* ln(1 - delta - k / 4) - ln(1 - k / 4) < 0 */
    /* retrained from 5 on: FPR 1/4 (the 6), FNR 1/4 (the 3.5) */
    ck_close(epsilon[2], log(1.0 - 1e-5 - 0.25) - log(0.25), 1e-12);
    ck_assert_int_eq(told.capped, 2);
    ck_close(told.score, (2.0 * exp2(-100.0) + 1.0 + exp2(-2.0) + 1.0) / 5.0, 1e-12);
}
END_TEST

START_TEST(test_refused)
{
    const double v[4] = {0, 1, 2, INFINITY};
    amun_quality told = {.struct_size = sizeof told};
    ck_fails(amun_quality_compute(&told, NULL, v, 1, v, 2, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "unlearned: scores, 1 models");
    ck_fails(amun_quality_compute(&told, NULL, v, 2, NULL, 2, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "retrained: NULL");
    ck_fails(amun_quality_compute(&told, NULL, v, 2, v, 2, 0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "0 samples");
    ck_fails(amun_quality_compute(&told, NULL, v, 2, v, 2, 2, NULL), AMUN_ERROR_NUMERIC,
             "unlearned: model 1, sample 1 is inf");
}
END_TEST

START_TEST(test_gap)
{
    const double values[4] = {1.0, 2.0, 4.0, 9.0};
    double gaps[4], mean = 0.0, sd = 0.0;
    amun_gap told = {.struct_size = sizeof told};
    ck_ok(amun_gap_compute(&told, 6.5, values, 4));
    for (int r = 0; r < 4; r++) {
        gaps[r] = fabs(values[r] - (16.0 - values[r]) / 3.0);
        mean += gaps[r] / 4.0;
    }
    for (int r = 0; r < 4; r++) {
        sd += (gaps[r] - mean) * (gaps[r] - mean) / 3.0;
    }
    ck_assert(told.models == 4 && told.unlearned == 6.5 && told.retrained == 4.0 &&
              told.gap == 2.5);
    ck_close(told.null_mean, mean, 1e-12);
    ck_close(told.null_sd, sqrt(sd), 1e-12);
    ck_ok(amun_gap_compute(&told, 6.5, values, 1));
    ck_assert(told.gap == 5.5 && isnan(told.null_mean) && isnan(told.null_sd));
    ck_fails(amun_gap_compute(&told, NAN, values, 4), AMUN_ERROR_NUMERIC, "unlearned is nan");
    ck_fails(amun_gap_compute(&told, 1.0, values, 0), AMUN_ERROR_INVALID_ARGUMENT, "0 models");
    ck_fails(amun_gap_compute(&told, 1.0, (double[]){1.0, NAN}, 2), AMUN_ERROR_NUMERIC, "value 1");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("quality");
    tcase_add_test(tc, test_naive);
    tcase_add_test(tc, test_by_hand);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_gap);
    return amun_test_main("quality", (TCase *[]){tc, NULL});
}
