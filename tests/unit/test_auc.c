/* ROC figures against their definitions: pair counting and brute-force thresholds. */
#include "amun/mia.h"
#include "support.h"

static double pairs(const double *p, size_t np, const double *q, size_t nq)
{
    double wins = 0.0;
    for (size_t i = 0; i < np; i++) {
        for (size_t k = 0; k < nq; k++) {
            wins += p[i] > q[k] ? 1.0 : p[i] == q[k] ? 0.5 : 0.0;
        }
    }
    return wins / ((double)np * (double)nq);
}

/* Every score as a threshold ("positive if >= t"), and one above all. */
static double thresholds(const double *p, size_t np, const double *q, size_t nq, double fpr)
{
    double best = 0.0;
    for (size_t t = 0; t < np + nq; t++) {
        double threshold = t < np ? p[t] : q[t - np];
        double hits = 0.0, alarms = 0.0;
        for (size_t i = 0; i < np; i++) {
            hits += p[i] >= threshold;
        }
        for (size_t k = 0; k < nq; k++) {
            alarms += q[k] >= threshold;
        }
        if (alarms / (double)nq <= fpr && hits / (double)np > best) {
            best = hits / (double)np;
        }
    }
    return best;
}

START_TEST(test_simple)
{
    const double high[2] = {2.0, 3.0}, low[3] = {0.0, 1.0, 1.0}, same[2] = {1.0, 1.0};
    double v;
    ck_ok(amun_auc_compute(&v, high, 2, low, 3));
    ck_assert(v == 1.0);
    ck_ok(amun_auc_compute(&v, low, 3, high, 2));
    ck_assert(v == 0.0);
    ck_ok(amun_auc_compute(&v, same, 2, same, 2));
    ck_assert(v == 0.5);
    ck_ok(amun_auc_compute(&v, same, 2, low, 3)); /* 2 wins over 0.0, 4 ties at 1.0 */
    ck_close(v, 4.0 / 6.0, 1e-15);
    ck_ok(amun_tpr_at_fpr(&v, high, 2, low, 3, 0.0));
    ck_assert(v == 1.0);
    ck_ok(amun_tpr_at_fpr(&v, same, 2, same, 2, 0.99)); /* one point only: all or nothing */
    ck_assert(v == 0.0);
    ck_ok(amun_tpr_at_fpr(&v, same, 2, same, 2, 1.0));
    ck_assert(v == 1.0);
    const double ends[2] = {INFINITY, -INFINITY}; /* ordered like any other number */
    ck_ok(amun_auc_compute(&v, ends, 2, low, 3));
    ck_assert(v == 0.5);
}
END_TEST

START_TEST(test_oracle)
{
    enum { NP = 83, NQ = 61 };
    double p[NP], q[NQ];
    amun__rng rng;
    amun__rng_open(&rng, 9, AMUN__RNG_TEST, 0, 0);
    for (int round = 0; round < 40; round++) {
        uint32_t grid = (uint32_t[]){2, 5, 30, 100000}[round % 4]; /* from ties only to none */
        for (size_t i = 0; i < NP; i++) {
            p[i] = (double)amun__rng_below(&rng, grid) - 1.0;
        }
        for (size_t k = 0; k < NQ; k++) {
            q[k] = (double)amun__rng_below(&rng, grid) - (round % 3 ? 1.0 : 0.8 * grid);
        }
        double v;
        ck_ok(amun_auc_compute(&v, p, NP, q, NQ));
        ck_close(v, pairs(p, NP, q, NQ), 1e-14);
        for (int f = 0; f < 6; f++) {
            double fpr = (double[]){0.0, 0.01, 1.0 / NQ, 0.1, 0.5, 1.0}[f];
            ck_ok(amun_tpr_at_fpr(&v, p, NP, q, NQ, fpr));
            ck_assert(v == thresholds(p, NP, q, NQ, fpr));
        }
    }
}
END_TEST

START_TEST(test_refusals)
{
    double a[2] = {0.0, 1.0}, bad[2] = {0.0, NAN}, v;
    ck_fails(amun_auc_compute(NULL, a, 2, a, 2), AMUN_ERROR_INVALID_ARGUMENT, "auc");
    ck_fails(amun_auc_compute(&v, NULL, 2, a, 2), AMUN_ERROR_INVALID_ARGUMENT, "positives");
    ck_fails(amun_auc_compute(&v, a, 2, NULL, 2), AMUN_ERROR_INVALID_ARGUMENT, "negatives");
    ck_fails(amun_auc_compute(&v, a, 0, a, 2), AMUN_ERROR_INVALID_ARGUMENT, "positives: empty");
    ck_fails(amun_auc_compute(&v, a, 2, a, 0), AMUN_ERROR_INVALID_ARGUMENT, "negatives: empty");
    ck_fails(amun_auc_compute(&v, bad, 2, a, 2), AMUN_ERROR_NUMERIC, "positives: score 1");
    ck_fails(amun_auc_compute(&v, a, 2, bad, 2), AMUN_ERROR_NUMERIC, "negatives: score 1");
    ck_fails(amun_tpr_at_fpr(NULL, a, 2, a, 2, 0.1), AMUN_ERROR_INVALID_ARGUMENT, "tpr");
    ck_fails(amun_tpr_at_fpr(&v, a, 2, a, 2, NAN), AMUN_ERROR_INVALID_ARGUMENT, "fpr");
    ck_fails(amun_tpr_at_fpr(&v, a, 2, a, 2, 1.5), AMUN_ERROR_INVALID_ARGUMENT, "1.5");
    ck_fails(amun_tpr_at_fpr(&v, a, 2, a, 2, -0.1), AMUN_ERROR_INVALID_ARGUMENT, "-0.1");
    ck_fails(amun_tpr_at_fpr(&v, bad, 2, a, 2, 0.1), AMUN_ERROR_NUMERIC, "positives");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("auc");
    tcase_add_test(tc, test_simple);
    tcase_add_test(tc, test_oracle);
    tcase_add_test(tc, test_refusals);
    return amun_test_main("auc", (TCase *[]){tc, NULL});
}
