/* U-LiRA: small cases by hand, and Gaussians whose AUC is known. */
#include <math.h>

#include "amun/audit.h"
#include "support.h"

/* ---- the score ----------------------------------------------------------------------------------
 */

START_TEST(test_phi)
{
    double z[3][3] = {{2, 1, 0}, {-800, 0, 5}, {900, 0, 0}}, phi[3];
    int64_t y[3] = {0, 0, 0};
    amun_tensor_view logits, labels;
    ck_ok(amun_tensor_view_init(&logits, z, AMUN_DTYPE_F64, 2, (int64_t[]){3, 3}));
    ck_ok(amun_tensor_view_init(&labels, y, AMUN_DTYPE_I64, 1, (int64_t[]){3}));
    ck_ok(amun_ulira_phi(phi, &logits, &labels));
    ck_close(phi[0], 0.6867383, 1e-7);
    ck_close(phi[1], -800.0 - log(exp(5.0) + 1.0), 1e-12); /* beyond any floor */
    ck_close(phi[2], 900.0 - log(2.0), 1e-12);
    ck_fails(amun_ulira_phi(NULL, &logits, &labels), AMUN_ERROR_INVALID_ARGUMENT, "phi");
    y[1] = 3;
    ck_fails(amun_ulira_phi(phi, &logits, &labels), AMUN_ERROR_INVALID_ARGUMENT, "row 1 is 3");
}
END_TEST

/* ---- class level --------------------------------------------------------------------------------
 */

/* Fitted on two models each: centres (2, 6) and (0, 1), every deviation sqrt 2. Ratios of the
 * held-out pair: unlearned 1.5 and 1.25, retrained -0.5 and -1.25; the threshold is 1.25. */
START_TEST(test_by_hand)
{
    const double u[3][2] = {{1, 5}, {3, 7}, {2.5, 4}}, r[3][2] = {{-1, 0}, {1, 2}, {0.5, 3}};
    const double released[2] = {2.3, 3.9}; /* ratios 1.3 and 1.0 */
    amun_ulira_options o;
    amun_ulira t = {.struct_size = sizeof t};
    ck_ok(amun_ulira_options_init(&o, sizeof o));
    o.holdout = AMUN_ULIRA_LAST;
    for (int variance = AMUN_ULIRA_PER_SAMPLE; variance <= AMUN_ULIRA_POOLED; variance++) {
        o.variance = variance;
        ck_ok(amun_ulira_class_scores(&t, u[0], 3, r[0], 3, released, 2, &o));
        ck_assert(t.unlearned == 3 && t.retrained == 3 && t.rows == 2);
        ck_close(t.auc, 100.0, 0.0);
        ck_close(t.balanced_accuracy, 100.0, 0.0);
        ck_close(t.flagged, 50.0, 0.0);
        ck_assert(isnan(t.flagged_retrained) && isnan(t.gap) && isnan(t.null_mean));
    }
    /* held-out scores swapped: everything the other way round; best where nothing is taken or at
     * 1.25 ... -0.5, the first of which has TPR 0, FPR 1 */
    const double v[3][2] = {{1, 5}, {3, 7}, {0.5, 3}}, q[3][2] = {{-1, 0}, {1, 2}, {2.5, 4}};
    ck_ok(amun_ulira_class_scores(&t, v[0], 3, q[0], 3, NULL, 2, &o));
    ck_close(t.auc, 0.0, 0.0);
    ck_close(t.balanced_accuracy, 0.0, 0.0);
    ck_assert(isnan(t.flagged));
}
END_TEST

/* The middle one of an outlier and two others is the median; a mean would turn the order. */
START_TEST(test_centre)
{
    const double u[4][1] = {{2}, {2.2}, {90}, {2.1}}, r[4][1] = {{5}, {5.2}, {4.8}, {5.1}};
    amun_ulira_options o;
    amun_ulira t = {.struct_size = sizeof t};
    ck_ok(amun_ulira_options_init(&o, sizeof o));
    o.holdout = AMUN_ULIRA_LAST;
    o.variance = AMUN_ULIRA_GLOBAL_REF; /* one deviation for both: only the centres decide */
    o.centre = AMUN_ULIRA_CENTRE_MEDIAN;
    ck_ok(amun_ulira_class_scores(&t, u[0], 4, r[0], 4, NULL, 1, &o));
    ck_close(t.auc, 100.0, 0.0);
    o.centre = AMUN_ULIRA_CENTRE_MEAN;
    ck_ok(amun_ulira_class_scores(&t, u[0], 4, r[0], 4, NULL, 1, &o));
    ck_close(t.auc, 0.0, 0.0);
    o.centre = AMUN_ULIRA_CENTRE_AUTO; /* three models */
    ck_ok(amun_ulira_class_scores(&t, u[0], 4, r[0], 4, NULL, 1, &o));
    ck_close(t.auc, 0.0, 0.0);
}
END_TEST

enum { MODELS = 20, N = 300 };
static double side[2][MODELS][N], one[N];

static void draw(double shift)
{
    amun__rng rng;
    amun__rng_open(&rng, 3, AMUN__RNG_TEST, 0, 0);
    for (int i = 0; i < N; i++) {
        const double own = 5.0 * amun__rng_normal(&rng); /* of the sample, in all models */
        for (int m = 0; m < MODELS; m++) {
            side[0][m][i] = own + amun__rng_normal(&rng);
            side[1][m][i] = own + shift + amun__rng_normal(&rng);
        }
        one[i] = own + shift + amun__rng_normal(&rng);
    }
}

/* N(2, 1) against N(0, 1): AUC Phi(sqrt 2) = 0.92135, balanced accuracy Phi(1) = 0.84134. */
START_TEST(test_gaussians)
{
    amun_ulira_options o;
    amun_ulira t = {.struct_size = sizeof t};
    ck_ok(amun_ulira_options_init(&o, sizeof o));
    draw(2.0);
    for (int variance = AMUN_ULIRA_PER_SAMPLE; variance <= AMUN_ULIRA_POOLED; variance++) {
        o.variance = variance;
        ck_ok(amun_ulira_class_scores(&t, side[1][0], MODELS, side[0][0], MODELS, one, N, &o));
        ck_assert_msg(fabs(t.auc - 92.135) < 1.5, "AUC %g", t.auc);
        ck_assert_msg(fabs(t.balanced_accuracy - 84.134) < 1.5, "%g", t.balanced_accuracy);
        ck_assert_msg(fabs(t.flagged - 84.134) < 5.0, "%g", t.flagged);
        ck_assert_msg(fabs(t.flagged_retrained - 15.866) < 2.0, "%g", t.flagged_retrained);
        ck_close(t.gap, t.flagged - t.flagged_retrained, 1e-12);
        ck_assert(t.null_mean < 3.0 && t.null_sd < 3.0 && t.null_mean > 0.0);
    }
    o.variance = AMUN_ULIRA_GLOBAL_REF; /* one deviation: the midpoint of the centres decides */
    ck_ok(amun_ulira_class_scores(&t, side[1][0], MODELS, side[0][0], MODELS, NULL, N, &o));
    ck_assert_msg(fabs(t.balanced_accuracy - 84.134) < 1.5, "%g", t.balanced_accuracy);
}
END_TEST

START_TEST(test_equal)
{
    amun_ulira t = {.struct_size = sizeof t};
    draw(0.0);
    ck_ok(amun_ulira_class_scores(&t, side[1][0], 8, side[0][0], 9, one, N, NULL));
    ck_assert_msg(fabs(t.auc - 50.0) < 2.0, "AUC %g", t.auc);
    ck_assert_msg(fabs(t.balanced_accuracy - 50.0) < 2.0, "%g", t.balanced_accuracy);
    ck_assert_msg(fabs(t.flagged - 50.0) < 8.0, "%g", t.flagged);
    ck_assert_msg(fabs(t.flagged_retrained - 50.0) < 4.0, "%g", t.flagged_retrained);
    ck_assert_msg(t.gap < t.null_mean + 4.0 * t.null_sd, "%g", t.gap);
}
END_TEST

enum { SHADOWS = 16, ROWS = 300, K = 4 };
static double logits[3][SHADOWS][ROWS][K]; /* retrained, unlearned, released (one model) */

/* Classes 2 and 3 take nearly all the mass, so that phi of classes 0 and 1 are their logits less a
 * constant: equal but for noise of 0.2, and 0.2 apart each way in the unlearned models. Both
 * together: Mahalanobis distance sqrt 2, AUC Phi(1); one alone: Phi(0.2 / sqrt(2 * 1.04)). */
static void draw_logits(void)
{
    amun__rng rng;
    amun__rng_open(&rng, 4, AMUN__RNG_TEST, 0, 0);
    for (int k = 0; k < 3; k++) {
        for (int m = 0; m < (k < 2 ? SHADOWS : 1); m++) {
            for (int i = 0; i < ROWS; i++) {
                double *z = logits[k][m][i], common = amun__rng_normal(&rng);
                z[0] = common + 0.2 * amun__rng_normal(&rng) + (k > 0 ? 0.2 : 0.0);
                z[1] = common + 0.2 * amun__rng_normal(&rng) - (k > 0 ? 0.2 : 0.0);
                z[2] = z[3] = 12.0;
            }
        }
    }
}

static double phi_of(const double *z, int y)
{
    double rest = 0.0;
    for (int j = 0; j < K; j++) {
        rest += j != y ? exp(z[j]) : 0.0;
    }
    return z[y] - log(rest);
}

START_TEST(test_neighbour)
{
    static double phi[3][SHADOWS][ROWS];
    static int64_t labels[ROWS];
    const int64_t forget[1] = {0};
    amun_tensor_view view[3], label_view;
    amun_ulira t = {.struct_size = sizeof t}, s = {.struct_size = sizeof s};
    amun_ulira_options o;
    draw_logits();
    for (int k = 0; k < 2; k++) {
        ck_ok(amun_tensor_view_init(&view[k], logits[k], AMUN_DTYPE_F64, 3,
                                    (int64_t[]){SHADOWS, ROWS, K}));
    }
    ck_ok(amun_tensor_view_init(&view[2], logits[2], AMUN_DTYPE_F64, 2, (int64_t[]){ROWS, K}));
    ck_ok(amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_I64, 1, (int64_t[]){ROWS}));
    ck_ok(amun_ulira_options_init(&o, sizeof o));
    for (int score = AMUN_ULIRA_OWN; score <= AMUN_ULIRA_NEIGHBOUR; score++) {
        for (int k = 0; k < 3 * SHADOWS * ROWS; k++) {
            int model = k / ROWS % SHADOWS, row = k % ROWS;
            phi[k / ROWS / SHADOWS][model][row] =
                phi_of(logits[k / ROWS / SHADOWS][model][row], score - 1);
        }
        o.score = score;
        o.neighbour = score == AMUN_ULIRA_NEIGHBOUR ? 1 : -1;
        ck_ok(amun_ulira_class(&t, &view[1], &view[0], &view[2], &label_view, forget, 1, &o));
        ck_ok(amun_ulira_class_scores(&s, phi[1][0], SHADOWS, phi[0][0], SHADOWS, phi[2][0], ROWS,
                                      NULL));
        ck_close(t.auc, s.auc, 1e-9);
        ck_close(t.flagged, s.flagged, 1e-9);
        ck_close(t.gap, s.gap, 1e-9);
        ck_assert_msg(t.auc > 49.0 && t.auc < 56.0, "AUC %g", t.auc); /* centres are as uncertain */
    }
    o.score = AMUN_ULIRA_JOINT;
    o.neighbour = 1;
    o.centre = AMUN_ULIRA_CENTRE_MEAN; /* medians of each score apart would cost five points */
    ck_ok(amun_ulira_class(&t, &view[1], &view[0], &view[2], &label_view, forget, 1, &o));
    ck_assert_msg(fabs(t.auc - 81.9) < 2.0, "AUC %g", t.auc); /* centres of 15 models uncertain */
    ck_assert_msg(t.flagged > 65.0 && t.flagged_retrained < 35.0, "%g", t.flagged);
    o.neighbour = 0;
    ck_fails(amun_ulira_class(&t, &view[1], &view[0], NULL, &label_view, forget, 1, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "neighbour: 0 is not a retained class");
    o.neighbour = 1;
    o.variance = AMUN_ULIRA_PER_SAMPLE;
    ck_fails(amun_ulira_class(&t, &view[1], &view[0], NULL, &label_view, forget, 1, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "variance: per_sample");
    o.variance = AMUN_ULIRA_POOLED;
    ck_fails(amun_ulira_class_scores(&s, phi[1][0], 3, phi[0][0], 3, NULL, ROWS, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "score");
    view[1].shape[0] = 2;
    ck_fails(amun_ulira_class(&t, &view[1], &view[0], NULL, &label_view, forget, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "unlearned: 2 models");
}
END_TEST

/* ---- sample level -------------------------------------------------------------------------------
 */

START_TEST(test_sample_by_hand)
{
    const double scores[5][2] = {{1, 99}, {3, 0}, {-2, 4}, {0, 6}, {50, 2}};
    const uint8_t state[5][2] = {{1, 2}, {1, 0}, {0, 1}, {0, 1}, {2, 0}};
    const double target[2] = {1.0, 2.0}; /* centres 2 | -1 and 5 | 1, all variances 2 */
    const uint8_t truth[2] = {1, 0};
    double p[2];
    amun_ulira_options o;
    amun_ulira_samples t = {.struct_size = sizeof t};
    ck_ok(amun_ulira_options_init(&o, sizeof o));
    for (int variance = AMUN_ULIRA_PER_SAMPLE; variance <= AMUN_ULIRA_POOLED; variance++) {
        o.variance = variance;
        ck_ok(amun_ulira_sample_scores(&t, p, scores[0], state[0], 5, target, truth, 2, &o));
        ck_close(p[0], 1.0 / (1.0 + exp(-(4.0 - 1.0) / 4.0)), 1e-14);
        ck_close(p[1], 1.0 / (1.0 + exp(-(1.0 - 9.0) / 4.0)), 1e-14);
        ck_assert(t.auc == 100.0 && t.accuracy == 100.0 && t.tpr_1 == 100.0 && t.tpr_01 == 100.0);
        ck_assert(t.unlearned == 1 && t.unseen == 1);
    }
    o.variance = AMUN_ULIRA_GLOBAL_REF; /* unlearned scores 1, 3, 4, 6: variance 13 / 4 */
    ck_ok(amun_ulira_sample_scores(&t, p, scores[0], state[0], 5, target, truth, 2, &o));
    ck_close(p[0], 1.0 / (1.0 + exp(-(4.0 - 1.0) / 6.5)), 1e-14);
}
END_TEST

START_TEST(test_sample_gaussians)
{
    static double scores[2 * MODELS][N], target[N];
    static uint8_t state[2 * MODELS][N], truth[N];
    amun_ulira_samples t = {.struct_size = sizeof t};
    draw(2.0);
    for (int i = 0; i < N; i++) {
        truth[i] = (uint8_t)(i % 2);
        target[i] = one[i] - (i % 2 ? 0.0 : 2.0);
        for (int m = 0; m < 2 * MODELS; m++) {
            state[m][i] = (uint8_t)((m + i) % 2);
            scores[m][i] = side[(m + i) % 2][m / 2][i];
        }
    }
    ck_ok(amun_ulira_sample_scores(&t, NULL, scores[0], state[0], 2 * MODELS, target, truth, N,
                                   NULL));
    ck_assert_msg(fabs(t.auc - 92.135) < 4.0, "AUC %g", t.auc);
    ck_assert_msg(fabs(t.accuracy - 84.134) < 5.0, "%g", t.accuracy);
    ck_assert(t.tpr_01 <= t.tpr_1 && t.tpr_1 < 70.0 && t.tpr_1 > 10.0);
}
END_TEST

START_TEST(test_refusals)
{
    double s[6] = {1, 2, 3, 4, 5, 6}, bad[6] = {1, 2, NAN, 4, 5, 6};
    const uint8_t state[6] = {0, 1, 1, 0, 0, 0}, truth[2] = {1, 0};
    amun_ulira t = {.struct_size = sizeof t};
    amun_ulira_samples q = {.struct_size = sizeof q};
    ck_fails(amun_ulira_class_scores(&t, s, 2, s, 3, NULL, 2, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "unlearned: 2 models");
    ck_fails(amun_ulira_class_scores(&t, s, 3, s, 1, NULL, 2, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "retrained: 1 models");
    ck_fails(amun_ulira_class_scores(&t, s, 3, s, 3, NULL, 0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "0 samples");
    ck_fails(amun_ulira_class_scores(&t, bad, 3, s, 3, NULL, 2, NULL), AMUN_ERROR_NUMERIC,
             "unlearned: value 2");
    ck_fails(amun_ulira_class_scores(&t, s, 3, NULL, 3, NULL, 2, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "retrained is NULL");
    ck_fails(amun_ulira_class_scores(NULL, s, 3, s, 3, NULL, 2, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "NULL");
    ck_fails(amun_ulira_sample_scores(&q, NULL, s, state, 3, s, (const uint8_t[2]){1, 1}, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "truth: 2 of 2");
    ck_fails(amun_ulira_sample_scores(&q, NULL, s, state, 3, s, truth, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "spread");
    ck_fails(amun_ulira_sample_scores(&q, NULL, s, (const uint8_t[6]){0, 1, 1, 1, 0, 1}, 3, s,
                                      truth, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "sample 1 is unseen in 0 models");
    ck_fails(amun_ulira_sample_scores(&q, NULL, s, (const uint8_t[6]){0, 1, 1, 3, 0, 1}, 3, s,
                                      truth, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "state: value 3 is 3");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ulira");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_phi);
    tcase_add_test(tc, test_by_hand);
    tcase_add_test(tc, test_centre);
    tcase_add_test(tc, test_gaussians);
    tcase_add_test(tc, test_equal);
    tcase_add_test(tc, test_neighbour);
    tcase_add_test(tc, test_sample_by_hand);
    tcase_add_test(tc, test_sample_gaussians);
    tcase_add_test(tc, test_refusals);
    return amun_test_main("ulira", (TCase *[]){tc, NULL});
}
