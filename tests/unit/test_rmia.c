/* RMIA: the published inclusion matrix, golden scores, and an O(n^2) oracle on ties and signs. */
#include <stdio.h>
#include <stdlib.h>

#include "amun/mia.h"
#include "support.h"

/* ---- inclusion matrix ---------------------------------------------------------------------------
 */

/* import numpy as np
 * U = np.random.RandomState(seed).uniform(size=(M, N))
 * print((np.argsort(U, axis=0) < M // 2).astype(int)) */
START_TEST(test_inclusion_golden)
{
    static const char *const small[4] = {"0101011001", "1100100110", "1010001100", "0011110011"};
    static const char *const wide[8] = {"110100100010", "011010010000", "010011010111",
                                        "101001101110", "100101111000", "001110011101",
                                        "101001101011", "010110000101"};
    uint8_t keep[8 * 12];
    ck_ok(amun_rmia_inclusion(keep, 4, 10, 0));
    for (size_t i = 0; i < 40; i++) {
        ck_assert_int_eq(keep[i], small[i / 10][i % 10] - '0');
    }
    ck_ok(amun_rmia_inclusion(keep, 8, 12, 7));
    for (size_t i = 0; i < 96; i++) {
        ck_assert_int_eq(keep[i], wide[i / 12][i % 12] - '0');
    }
}
END_TEST

/* The same snippet with M = 16, N = 1797: row sums, and sums of the kept positions. */
START_TEST(test_inclusion_digits)
{
    enum { M = 16, N = 1797 };
    static const int rows[M] = {880, 917, 898, 861, 915, 899, 919, 957,
                                880, 899, 908, 910, 889, 895, 883, 866};
    static const int positions[M] = {781680, 832378, 805328, 793816, 844237, 825419,
                                     807414, 854436, 785871, 812724, 803344, 803332,
                                     809703, 804851, 780646, 764469};
    static uint8_t keep[M * N];
    ck_ok(amun_rmia_inclusion(keep, M, N, 0));
    for (int m = 0; m < M; m++) {
        int count = 0, sum = 0;
        for (int i = 0; i < N; i++) {
            count += keep[m * N + i];
            sum += keep[m * N + i] * i;
        }
        ck_assert_int_eq(count, rows[m]);
        ck_assert_int_eq(sum, positions[m]);
    }
    for (int i = 0; i < N; i++) {
        int count = 0;
        for (int m = 0; m < M; m++) {
            count += keep[m * N + i];
        }
        ck_assert_int_eq(count, M / 2);
    }
}
END_TEST

START_TEST(test_inclusion_refusals)
{
    uint8_t keep[9];
    ck_fails(amun_rmia_inclusion(NULL, 2, 2, 0), AMUN_ERROR_INVALID_ARGUMENT, "included");
    ck_fails(amun_rmia_inclusion(keep, 3, 3, 0), AMUN_ERROR_INVALID_ARGUMENT, "3 models");
    ck_fails(amun_rmia_inclusion(keep, 0, 3, 0), AMUN_ERROR_INVALID_ARGUMENT, "0 models");
    ck_fails(amun_rmia_inclusion(keep, 2, 0, 0), AMUN_ERROR_INVALID_ARGUMENT, "0 samples");
    ck_fails(amun_rmia_inclusion(keep, 2, SIZE_MAX, 0), AMUN_ERROR_OUT_OF_MEMORY, "too large");
}
END_TEST

/* ---- scores ---------------------------------------------------------------------------------- */

START_TEST(test_golden)
{
    const double s[4] = {0.9, 0.5, 0.2, 0.6}, p[4] = {0.5, 0.5, 0.4, 0.15};
    double score[4];
    ck_ok(amun_rmia_scores(score, s, p, NULL, NULL, 1, 4, NULL));
    ck_close(score[0], 1.0 / 3.0, 1e-15);
    ck_assert(score[1] == 0.0); /* 1 / 0.5 is not more than 2 */
    ck_assert(score[2] == 0.0);
    ck_assert(score[3] == 1.0);
}
END_TEST

/* Two references per sample whose mean is P, in both orders. */
START_TEST(test_mean)
{
    const double s[3] = {1.0, 1.0, 1.0};
    const double refs[6] = {1.0, 0.1, 0.5, 3.0, 0.3, 1.5}; /* P = 2, 0.2, 1: r = 0.5, 5, 1 */
    double score[3];
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.gamma = 1.0; /* then any larger ratio counts, and a sample still not against itself */
    ck_ok(amun_rmia_scores(score, s, refs, NULL, NULL, 2, 3, &o));
    ck_assert(score[0] == 0.0 && score[1] == 1.0 && score[2] == 0.5);
}
END_TEST

/* Definition, literally: share of z != x with r(x) / r(z) > gamma, where 1 / 0 is infinite. */
static void oracle(double *score, const double *r, const uint8_t *population, size_t n,
                   double gamma)
{
    for (size_t i = 0; i < n; i++) {
        double count = 0.0, others = 0.0;
        for (size_t k = 0; k < n; k++) {
            if (k == i || (population != NULL && !population[k])) {
                continue;
            }
            others += 1.0;
            count += r[k] == 0.0 ? r[i] > 0.0 : r[i] / r[k] > gamma;
        }
        score[i] = count / others;
    }
}

/* Ratios on a coarse binary grid around zero, so that ties, zeros, negative values and exact
 * boundaries abound and the oracle's quotients are exact where it matters. */
START_TEST(test_oracle)
{
    enum { N = 257 };
    double s[N], ones[N], fast[N], slow[N];
    uint8_t population[N];
    amun__rng rng;
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    amun__rng_open(&rng, 5, AMUN__RNG_TEST, 0, 0);
    for (int round = 0; round < 24; round++) {
        for (size_t i = 0; i < N; i++) {
            double v = ((double)amun__rng_below(&rng, 17) - (round % 3 == 0 ? 0.0 : 8.0)) / 8.0;
            s[i] = round % 2 ? v : v * v * v;
            ones[i] = 1.0;
            population[i] = amun__rng_below(&rng, 3) != 0;
        }
        o.gamma = (double[]){1.0, 2.0, 4.0, 1.5}[round % 4];
        const uint8_t *who = round % 5 == 0 ? NULL : population;
        ck_ok(amun_rmia_scores(fast, s, ones, NULL, who, 1, N, &o));
        oracle(slow, s, who, N, o.gamma);
        for (size_t i = 0; i < N; i++) {
            ck_assert_msg(fast[i] == slow[i], "round %d, sample %zu: r = %g, %g, oracle %g", round,
                          i, s[i], fast[i], slow[i]);
        }
    }
}
END_TEST

START_TEST(test_offline)
{
    /* sample 0: the models that did not see it say 0.2 and 0.4; sample 1: 0.6 and 0.8 */
    const double s[2] = {0.9, 0.5};
    const double refs[8] = {0.2, 9.0, 0.4, 9.0, 9.0, 0.6, 9.0, 0.8};
    const uint8_t included[8] = {0, 1, 0, 1, 1, 0, 1, 0};
    double score[2];
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.mode = AMUN_RMIA_OFFLINE;
    /* P = ((1 + a) P_out + 1 - a) / 2 with a = 0.33: 0.5345 and 0.8005; r = 1.683817 and 0.624610
     */
    double quotient = (0.9 / 0.5345) / (0.5 / 0.8005);
    o.gamma = quotient * (1.0 - 1e-12);
    ck_ok(amun_rmia_scores(score, s, refs, included, NULL, 4, 2, &o));
    ck_assert(score[0] == 1.0 && score[1] == 0.0);
    o.gamma = quotient * (1.0 + 1e-12);
    ck_ok(amun_rmia_scores(score, s, refs, included, NULL, 4, 2, &o));
    ck_assert(score[0] == 0.0 && score[1] == 0.0);
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 4, 2, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "included");
    const uint8_t everybody[8] = {0, 1, 0, 1, 1, 1, 1, 1};
    ck_fails(amun_rmia_scores(score, s, refs, everybody, NULL, 4, 2, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "sample 1");
}
END_TEST

/* Five references, one wild at each end: trim 0.2 cuts exactly these. */
START_TEST(test_trim)
{
    const double s[2] = {1.0, 1.0};
    const double refs[10] = {100.0, 1.0, 2.0, 1.0, 3.0, 1.0, 4.0, 1.0, -50.0, 1.0};
    double score[2];
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.trim = 0.2; /* P = 3 and 1: the ratio of ratios is exactly 3 */
    o.gamma = 2.999;
    ck_ok(amun_rmia_scores(score, s, refs, NULL, NULL, 5, 2, &o));
    ck_assert(score[0] == 0.0 && score[1] == 1.0);
    o.gamma = 3.0;
    ck_ok(amun_rmia_scores(score, s, refs, NULL, NULL, 5, 2, &o));
    ck_assert(score[0] == 0.0);
}
END_TEST

START_TEST(test_refusals)
{
    double s[3] = {0.5, 0.5, 0.5}, refs[3] = {0.5, 0.5, 0.5}, score[3];
    uint8_t nobody[3] = {0, 0, 0}, alone[3] = {0, 1, 0};
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    ck_fails(amun_rmia_scores(NULL, s, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "scores");
    ck_fails(amun_rmia_scores(score, NULL, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "target");
    ck_fails(amun_rmia_scores(score, s, NULL, NULL, NULL, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "references");
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 0, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "0 models");
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 0, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "0 samples");
    ck_fails(amun_rmia_scores(score, s, refs, NULL, nobody, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "population");
    ck_fails(amun_rmia_scores(score, s, refs, NULL, alone, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "sample 1");
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 1, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "sample 0");
    refs[2] = NAN;
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_NUMERIC,
             "model 0, sample 2");
    refs[2] = 0.0;
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_NUMERIC,
             "sample 2");
    refs[2] = 0.5;
    s[1] = NAN;
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_NUMERIC,
             "sample 1");
    s[1] = 0.5;
    o.signal = AMUN_SIGNAL_LOG_LOGIT;
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "log_logit");
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.gamma = 0.5;
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "gamma");
    o.gamma = 2.0;
    o.trim = 0.5;
    ck_fails(amun_rmia_scores(score, s, refs, NULL, NULL, 1, 3, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "trim");
}
END_TEST

/* The published size takes seconds, not the hours of a quadratic table. */
START_TEST(test_size)
{
    enum { M = 128, N = 60000 };
    double *refs = malloc(sizeof *refs * M * N), *s = malloc(sizeof *s * N),
           *score = malloc(sizeof *score * N);
    uint8_t *keep = malloc((size_t)M * N);
    ck_assert(refs != NULL && s != NULL && score != NULL && keep != NULL);
    amun__rng rng;
    amun__rng_open(&rng, 6, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)M * N; i++) {
        refs[i] = 0.05 + amun__rng_uniform(&rng);
    }
    for (size_t i = 0; i < N; i++) {
        s[i] = amun__rng_uniform(&rng);
    }
    double began = amun__now();
    ck_ok(amun_rmia_inclusion(keep, M, N, 0));
    double drawn = amun__now();
    ck_ok(amun_rmia_scores(score, s, refs, keep, NULL, M, N, NULL));
    double online = amun__now();
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.mode = AMUN_RMIA_OFFLINE;
    o.trim = 0.2;
    ck_ok(amun_rmia_scores(score, s, refs, keep, NULL, M, N, &o));
    double offline = amun__now();
    fprintf(stderr, "# %d x %d: inclusion %.2f s, online %.2f s, offline trimmed %.2f s\n", M, N,
            drawn - began, online - drawn, offline - online);
    ck_assert(offline - began < 60.0); /* loose: sanitisers, busy machines */
    free(refs);
    free(s);
    free(score);
    free(keep);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("rmia");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_inclusion_golden);
    tcase_add_test(tc, test_inclusion_digits);
    tcase_add_test(tc, test_inclusion_refusals);
    tcase_add_test(tc, test_golden);
    tcase_add_test(tc, test_mean);
    tcase_add_test(tc, test_oracle);
    tcase_add_test(tc, test_offline);
    tcase_add_test(tc, test_trim);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_size);
    return amun_test_main("rmia", (TCase *[]){tc, NULL});
}
