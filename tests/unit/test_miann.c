/* MIA-NN on outputs whose answer is known: every retained row sits near its class's corner, and the
 * forget rows sit in chosen numbers on those corners, so that each discriminator accepts exactly
 * the rows put on its own. */
#include <math.h>

#include "amun/audit.h"
#include "mia/audit.h"
#include "mia/classes.h"
#include "support.h"

enum { K = 5, EACH = 20, FORGET = 2, MODELS = 3, N = K * EACH };

/* Forget rows on the corner of each class, per model; the last is the unlearned one. */
static const int placed[MODELS + 1][K] = {
    {12, 4, 0, 3, 1}, {10, 8, 0, 1, 1}, {6, 9, 0, 3, 2}, {5, 5, 0, 5, 5}};

typedef struct saved {
    double retrained[MODELS][N][K], unlearned[N][K];
    int64_t labels[N];
    amun_tensor_view r, u, l;
} saved;

/* Row on the corner of class c: 8 there, noise elsewhere. The forget logit tells nothing. */
static void put(double *z, int c, amun__rng *rng)
{
    for (int j = 0; j < K; j++) {
        z[j] = (j == c ? 8.0 : 0.0) + 0.5 * amun__rng_normal(rng);
    }
}

static void make(saved *s)
{
    for (int m = 0; m <= MODELS; m++) {
        amun__rng rng;
        amun__rng_open(&rng, 5, AMUN__RNG_TEST, 0, (uint64_t)m);
        double(*z)[K] = m < MODELS ? s->retrained[m] : s->unlearned;
        int corner = 0, left = placed[m][0];
        for (int i = 0; i < N; i++) {
            int y = i % K;
            s->labels[i] = y;
            if (y == FORGET) {
                while (left == 0) {
                    left = placed[m][++corner];
                }
                left--;
            }
            put(z[i], y == FORGET ? corner : y, &rng);
            z[i][FORGET] = y == FORGET ? 30.0 * m : -20.0;
        }
    }
    ck_ok(amun_tensor_view_init(&s->r, s->retrained, AMUN_DTYPE_F64, 3, (int64_t[]){MODELS, N, K}));
    ck_ok(amun_tensor_view_init(&s->u, s->unlearned, AMUN_DTYPE_F64, 2, (int64_t[]){N, K}));
    ck_ok(amun_tensor_view_init(&s->l, s->labels, AMUN_DTYPE_I64, 1, (int64_t[]){N}));
}

static double share(int m, int j)
{
    return 100.0 * placed[m][j] / EACH;
}

static void check_figures(const amun_miann *t)
{
    /* by hand: class 0 has 60, 50, 30 (mean 46.67), class 1 has 20, 40, 45 (mean 35) */
    const double mean = (60.0 + 50.0 + 30.0) / 3.0, second = 35.0,
                 third = (15.0 + 5.0 + 15.0) / 3.0;
    ck_assert_int_eq(t->neighbour, 0);
    ck_assert_int_eq(t->models, MODELS);
    ck_close(t->score, 25.0, 1e-12);
    ck_close(t->retrained, mean, 1e-12);
    ck_close(t->gap, mean - 25.0, 1e-12);
    ck_close(t->vote_share, 200.0 / 3.0, 1e-12);
    ck_close(t->sanity, 100.0, 1e-12);
    ck_close(t->sanity_retrained, 100.0, 1e-12);
    const double own[3] = {60.0 - 40.0, 50.0 - 45.0, 55.0 - 30.0}; /* to the mean of the others */
    const double null = (own[0] + own[1] + own[2]) / 3.0;
    double squares = 0.0;
    for (int m = 0; m < 3; m++) {
        squares += (own[m] - null) * (own[m] - null);
    }
    ck_close(t->null_mean, null, 1e-12);
    ck_close(t->null_sd, sqrt(squares / 2.0), 1e-12);
    ck_close(t->top_gap, mean - 25.0 + second - 25.0 + fabs(third - 25.0), 1e-12);
    const double top = (20.0 + 22.5 + 5.0 + 5.0 + 7.5 + 10.0 + 25.0 + 15.0 + 5.0) / 3.0;
    ck_close(t->top_null_mean, top, 1e-12);
}

START_TEST(test_known)
{
    static saved s;
    double accuracy[MODELS + 1][K], sanity[MODELS + 1][K];
    const int64_t forget[1] = {FORGET};
    make(&s);
    for (int f = AMUN_MIANN_LOGITS; f <= AMUN_MIANN_SCALAR; f++) {
        for (int k = AMUN_MIANN_LINEAR; k <= AMUN_MIANN_HINGE; k++) {
            if (k != AMUN_MIANN_LINEAR && !amun__svc_available()) {
                continue;
            }
            amun_miann told = {.struct_size = sizeof told};
            amun_miann_options o;
            ck_ok(amun_miann_options_init(&o, sizeof o));
            o.features = f;
            o.kernel = k;
            ck_ok(
                amun_miann_compute(&told, accuracy[0], sanity[0], &s.r, &s.u, &s.l, forget, 1, &o));
            for (int m = 0; m <= MODELS; m++) {
                for (int j = 0; j < K; j++) {
                    if (j == FORGET) {
                        ck_assert(isnan(accuracy[m][j]) && isnan(sanity[m][j]));
                    } else {
                        ck_close(accuracy[m][j], share(m, j), 1e-12);
                        ck_close(sanity[m][j], 100.0, 1e-12);
                    }
                }
            }
            check_figures(&told);
        }
    }
}
END_TEST

/* The forget logit must not count, nor the scale of a model (its own statistics standardise it). */
START_TEST(test_blind)
{
    static saved s;
    double plain[MODELS + 1][K], changed[MODELS + 1][K];
    const int64_t forget[1] = {FORGET};
    amun_miann told = {.struct_size = sizeof told};
    make(&s);
    for (int i = 0; i < N; i++) { /* harder: accuracies that are not those of corners */
        for (int j = 0; j < K; j++) {
            s.unlearned[i][j] += 3.0 * sin(7.0 * i + 3.0 * j);
        }
    }
    ck_ok(amun_miann_compute(&told, plain[0], NULL, &s.r, &s.u, &s.l, forget, 1, NULL));
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < K; j++) {
            s.unlearned[i][j] = j == FORGET ? 100.0 * i : 0.25 * s.unlearned[i][j] + 3.0;
        }
    }
    ck_ok(amun_miann_compute(&told, changed[0], NULL, &s.r, &s.u, &s.l, forget, 1, NULL));
    for (int j = 0; j < K; j++) {
        ck_assert(j == FORGET || plain[MODELS][j] == changed[MODELS][j]);
    }
    amun_miann_options o; /* probabilities see the scale */
    ck_ok(amun_miann_options_init(&o, sizeof o));
    o.seed = 9; /* another split: other bytes, the same models */
    ck_ok(amun_miann_compute(&told, changed[0], NULL, &s.r, &s.u, &s.l, forget, 1, &o));
    ck_close(told.retrained, 140.0 / 3.0, 1e-12);
}
END_TEST

START_TEST(test_one_model)
{
    static saved s;
    amun_miann told = {.struct_size = sizeof told};
    const int64_t forget[1] = {FORGET};
    make(&s);
    s.r.shape[0] = 1;
    ck_ok(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget, 1, NULL));
    ck_close(told.gap, 60.0 - 25.0, 1e-12);
    ck_assert(isnan(told.null_mean) && isnan(told.null_sd) && isnan(told.top_null_mean));
    ck_close(told.vote_share, 100.0, 0.0);
}
END_TEST

START_TEST(test_refusals)
{
    static saved s;
    amun_miann told = {.struct_size = sizeof told};
    int64_t forget[3] = {FORGET, FORGET, 7};
    make(&s);
    ck_fails(amun_miann_compute(NULL, NULL, NULL, &s.r, &s.u, &s.l, forget, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.u, &s.u, &s.l, forget, 1, NULL),
             AMUN_ERROR_SHAPE, "retrained");
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.r, &s.l, forget, 1, NULL),
             AMUN_ERROR_SHAPE, "unlearned");
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, NULL, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "forget");
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "class 2 is named twice");
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget + 2, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "class 7 is outside 0..4");
    ck_fails(
        amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, (int64_t[]){0, 1, 2, 3}, 4, NULL),
        AMUN_ERROR_INVALID_ARGUMENT, "two at least must stay");
    s.retrained[1][4][3] = NAN;
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget, 1, NULL),
             AMUN_ERROR_NUMERIC, "model 1: retrained: row 4, class 3");
    for (int k = AMUN_MIANN_LINEAR; k <= AMUN_MIANN_HINGE; k++) { /* finite, but not their spread */
        amun_miann_options o;
        ck_ok(amun_miann_options_init(&o, sizeof o));
        o.kernel = k;
        make(&s);
        for (int i = 0; i < N; i++) {
            s.unlearned[i][3] = i % 2 ? 1e308 : -1e308;
        }
        if (k == AMUN_MIANN_LINEAR || amun__svc_available()) {
            ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget, 1, &o),
                     AMUN_ERROR_NUMERIC, "unlearned model: feature 2: its deviation is inf");
        }
    }
    make(&s);
    s.labels[3] = K;
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "row 3 is 5");
    make(&s);
    for (int i = 5; i < N; i++) {
        s.labels[i] = s.labels[i] == 1 ? 0 : s.labels[i];
    }
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "1 rows of retained class 1");
    for (int i = 0; i < N; i++) {
        s.labels[i] = s.labels[i] == FORGET ? 0 : s.labels[i];
    }
    ck_fails(amun_miann_compute(&told, NULL, NULL, &s.r, &s.u, &s.l, forget, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "no row of a forget class");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("miann");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_known);
    tcase_add_test(tc, test_blind);
    tcase_add_test(tc, test_one_model);
    tcase_add_test(tc, test_refusals);
    return amun_test_main("miann", (TCase *[]){tc, NULL});
}
