/* ADP's diversity of one sample: its value by an explicit determinant, its gradient by central
 * differences, and rows where everything lies on one class. */
#include <stdlib.h>

#include "ensemble/adp.h"
#include "support.h"

enum { MEMBERS = 3, CLASSES = 5, LABEL = 2 };

static test_allocator allocator;
static amun_context *ctx;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
}

static void teardown(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* By the definition, for three members: the determinant by Sarrus' rule. */
static double naive(double logits[MEMBERS][CLASSES], double alpha, double beta)
{
    double p[MEMBERS][CLASSES], q[MEMBERS][CLASSES], g[MEMBERS][MEMBERS], entropy = 0.0;
    for (int i = 0; i < MEMBERS; i++) {
        double sum = 0.0, norm = 0.0;
        for (int k = 0; k < CLASSES; k++) {
            sum += exp(logits[i][k]);
        }
        for (int k = 0; k < CLASSES; k++) {
            p[i][k] = exp(logits[i][k]) / sum;
            q[i][k] = k == LABEL ? 0.0 : p[i][k];
            norm += q[i][k] * q[i][k];
        }
        for (int k = 0; k < CLASSES; k++) {
            q[i][k] /= sqrt(norm);
        }
    }
    for (int k = 0; k < CLASSES; k++) {
        double mean = (p[0][k] + p[1][k] + p[2][k]) / 3.0;
        entropy -= mean * log(mean);
    }
    for (int i = 0; i < MEMBERS; i++) {
        for (int j = 0; j < MEMBERS; j++) {
            g[i][j] = i == j ? 1e-6 : 0.0;
            for (int k = 0; k < CLASSES; k++) {
                g[i][j] += q[i][k] * q[j][k];
            }
        }
    }
    double det = g[0][0] * (g[1][1] * g[2][2] - g[1][2] * g[2][1]) -
                 g[0][1] * (g[1][0] * g[2][2] - g[1][2] * g[2][0]) +
                 g[0][2] * (g[1][0] * g[2][1] - g[1][1] * g[2][0]);
    return -alpha * entropy - beta * log(det);
}

static double sample(float logits[MEMBERS][CLASSES], size_t count, double alpha, double beta,
                     double *seeds)
{
    amun__adp a;
    const float *rows[MEMBERS] = {logits[0], logits[1], logits[2]};
    ck_ok(amun__adp_open(&a, ctx, count, CLASSES));
    double value = amun__adp_sample(&a, rows, LABEL, alpha, beta, seeds);
    amun__adp_close(&a);
    return value;
}

START_TEST(test_gradient)
{
    amun__rng rng;
    amun__rng_open(&rng, 5, AMUN__RNG_TEST, 0, 0);
    for (int trial = 0; trial < 20; trial++) {
        float narrow[MEMBERS][CLASSES];
        double wide[MEMBERS][CLASSES], seeds[MEMBERS * CLASSES], wrong = 0.0, whole = 0.0;
        for (int i = 0; i < MEMBERS * CLASSES; i++) {
            narrow[i / CLASSES][i % CLASSES] = (float)(2.0 * amun__rng_normal(&rng));
            wide[i / CLASSES][i % CLASSES] = (double)narrow[i / CLASSES][i % CLASSES];
        }
        double value = sample(narrow, MEMBERS, 2.0, 0.5, seeds);
        ck_close(value, naive(wide, 2.0, 0.5), 1e-9);
        for (int i = 0; i < MEMBERS * CLASSES; i++) {
            double *x = &wide[i / CLASSES][i % CLASSES], here = *x;
            const double h = 1e-5;
            *x = here + h;
            double up = naive(wide, 2.0, 0.5);
            *x = here - h;
            double slope = (up - naive(wide, 2.0, 0.5)) / (2.0 * h);
            *x = here;
            wrong += pow(seeds[i] - slope, 2.0);
            whole += slope * slope;
        }
        ck_assert_double_lt(sqrt(wrong / whole), 1e-6);
    }
}
END_TEST

/* Equal rows: G has the eigenvalues 3 and twice 1e-6 besides the ridge, and the entropy is theirs.
 */
START_TEST(test_equal_members)
{
    const float row[CLASSES] = {0.3f, -1.0f, 2.0f, 0.1f, 0.5f};
    float logits[MEMBERS][CLASSES];
    double seeds[MEMBERS * CLASSES], p[CLASSES], sum = 0.0, entropy = 0.0;
    for (int i = 0; i < MEMBERS; i++) {
        memcpy(logits[i], row, sizeof row);
    }
    for (int k = 0; k < CLASSES; k++) {
        sum += exp((double)row[k]);
    }
    for (int k = 0; k < CLASSES; k++) {
        p[k] = exp((double)row[k]) / sum;
        entropy -= p[k] * log(p[k]);
    }
    double value = sample(logits, MEMBERS, 1.0, 1.0, seeds);
    ck_close(value, -entropy - log(3.000001) - 2.0 * log(1e-6), 1e-8);
    for (int i = 0; i < CLASSES; i++) { /* by symmetry */
        ck_close(seeds[i], seeds[CLASSES + i], 1e-8);
    }
}
END_TEST

/* All of the probability on the label, in double: no row to normalise, no gradient from it. */
START_TEST(test_certain)
{
    float logits[MEMBERS][CLASSES] = {{0.0f}};
    double seeds[MEMBERS * CLASSES];
    for (int i = 0; i < MEMBERS; i++) {
        logits[i][LABEL] = 2000.0f;
    }
    double value = sample(logits, MEMBERS, 2.0, 0.5, seeds);
    ck_close(value, -0.5 * 3.0 * log(1e-6), 1e-9);
    for (int i = 0; i < MEMBERS * CLASSES; i++) {
        ck_assert(seeds[i] == 0.0);
    }
    logits[1][LABEL] = 300.0f; /* tiny, but there */
    logits[1][0] = 1.0f;
    value = sample(logits, MEMBERS, 2.0, 0.5, seeds);
    ck_assert(isfinite(value));
    for (int i = 0; i < MEMBERS * CLASSES; i++) {
        ck_assert(isfinite(seeds[i]));
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("adp");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_gradient);
    tcase_add_test(tc, test_equal_members);
    tcase_add_test(tc, test_certain);
    return amun_test_main("adp", (TCase *[]){tc, NULL});
}
