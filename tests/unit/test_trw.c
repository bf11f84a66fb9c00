/* test_trw.c - the arithmetic of tilted reweighting: published vectors, closed forms, and naive
 * references written here. */
#include <stdlib.h>

#include "amun/trw.h"
#include "nn/nn.h"
#include "support.h"
#include "unlearn/trw.h"

static amun_tensor_view matrix(const double *values, int64_t n, int64_t width)
{
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, (void *)(uintptr_t)values, AMUN_DTYPE_F64, 2,
                                (const int64_t[]){n, width}));
    return view;
}

static amun_tensor_view list(const int64_t *values, int64_t n)
{
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, (void *)(uintptr_t)values, AMUN_DTYPE_I64, 1,
                                (const int64_t[]){n}));
    return view;
}

static amun_trw_options trw_options(double beta)
{
    amun_trw_options o;
    ck_ok(amun_trw_options_init(&o, sizeof o));
    o.beta = beta;
    return o;
}

static double draw(amun__rng *rng)
{
    return 2.0 * amun__rng_uniform(rng) - 1.0;
}

/* ---- targets -------------------------------------------------------------------------------- */

/* One sample of class 0 whose target was worked out by hand. */
static const double z0[] = {5, 1, 0, -1}, s0[] = {0, .8, .1, .1};
static const int64_t class0[] = {0};

START_TEST(vectors)
{
    static const struct {
        double beta, q[3], moment, kl;
    } cases[] = {
        {0, {.665241, .244728, .090031}, .565669, 0},
        {1, {.800071, .146160, .053769}, .660050, .044601},
        {10, {.999541, .000335, .000123}, .799679, .403937},
    };
    amun_tensor_view z = matrix(z0, 1, 4), y = list(class0, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        amun_trw_options o = trw_options(cases[i].beta);
        double q[4], moment, slope, kl = 0.0, variance = 0.0;
        ck_ok(amun_trw_targets(q, &z, &y, class0, 1, s0, &o));
        ck_assert(q[0] == 0.0);
        ck_ok(amun_trw_moment(&moment, &slope, &z, &y, class0, 1, s0, cases[i].beta));
        ck_assert(fabs(moment - cases[i].moment) < 1e-6);
        for (size_t j = 0; j < 3; j++) {
            ck_assert(fabs(q[1 + j] - cases[i].q[j]) < 1e-6);
            kl += q[1 + j] * log(q[1 + j] / (exp(z0[1 + j]) / (exp(1) + 1 + exp(-1))));
            variance += q[1 + j] * (s0[1 + j] - moment) * (s0[1 + j] - moment);
        }
        ck_assert(fabs(kl - cases[i].kl) < 1e-6);
        ck_close(slope, variance, 1e-12);
    }
    double beta;
    ck_ok(amun_trw_solve_beta(&beta, &z, &y, class0, 1, s0, .7));
    ck_assert(fabs(beta - 1.578602) < 1e-6);
}
END_TEST

/* p_f is 1 in double, so that 1 - p_f is 0; the target does not care. */
START_TEST(certain)
{
    static const double logits[] = {5000, 1, 0, -1};
    amun_tensor_view z = matrix(logits, 1, 4), y = list(class0, 1);
    amun_trw_options o = trw_options(1);
    double q[4], expected[4];
    ck_ok(amun_trw_targets(q, &z, &y, class0, 1, s0, &o));
    z = matrix(z0, 1, 4);
    ck_ok(amun_trw_targets(expected, &z, &y, class0, 1, s0, &o));
    ck_assert(memcmp(q, expected, sizeof q) == 0);
}
END_TEST

/* Two forget classes: neither has mass but for the floor, which they share. */
START_TEST(several_classes_and_floor)
{
    enum { N = 3, K = 5 };
    static const int64_t forget[] = {3, 1}, labels[] = {1, 3, 1};
    double logits[N * K], scores[2 * K], q[N * K];
    amun__rng rng;
    amun__rng_open(&rng, 1, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < N * K; i++) {
        logits[i] = 3 * draw(&rng);
    }
    for (size_t i = 0; i < (size_t)2 * K; i++) {
        scores[i] = fabs(draw(&rng));
    }
    amun_tensor_view z = matrix(logits, N, K), y = list(labels, N);
    amun_trw_options o = trw_options(2.5);
    o.forget_floor = 0.01;
    ck_ok(amun_trw_targets(q, &z, &y, forget, 2, scores, &o));
    for (size_t i = 0; i < N; i++) {
        const double *s = scores + (labels[i] == 3 ? 0 : K);
        double sum = 0.0, p[K];
        for (size_t j = 0; j < K; j++) {
            p[j] = j == 1 || j == 3 ? 0.0 : exp(logits[i * K + j]) * exp(2.5 * s[j]);
            sum += p[j];
        }
        for (size_t j = 0; j < K; j++) {
            double expected = j == 1 || j == 3 ? 0.005 : 0.99 * p[j] / sum;
            ck_close(q[i * K + j], expected, 1e-14);
        }
    }
    /* a row of scores per sample */
    double each[N * K], again[N * K];
    for (size_t i = 0; i < N; i++) {
        memcpy(each + i * K, scores + (labels[i] == 3 ? 0 : K), K * sizeof *each);
    }
    ck_ok(amun_trw_targets(again, &z, NULL, forget, 2, each, &o));
    ck_assert(memcmp(q, again, sizeof q) == 0);
}
END_TEST

/* q has the least KL(q || r) among those of its own moment: every step along which sum and moment
 * stand still leads up. */
START_TEST(least_divergence)
{
    enum { K = 6 };
    static const int64_t forget[] = {2};
    double z[K], s[K], q[K], r[K], sum = 0.0;
    amun__rng rng;
    amun__rng_open(&rng, 2, AMUN__RNG_TEST, 0, 0);
    for (size_t j = 0; j < K; j++) {
        z[j] = 2 * draw(&rng);
        s[j] = draw(&rng);
        r[j] = j == 2 ? 0.0 : exp(z[j]);
        sum += r[j];
    }
    amun_tensor_view view = matrix(z, 1, K);
    amun_trw_options o = trw_options(3);
    ck_ok(amun_trw_targets(q, &view, NULL, forget, 1, s, &o));
    for (int trial = 0; trial < 50; trial++) {
        double step[K], ones = 0.0, against = 0.0, square = 0.0, mean = 0.0, n = K - 1;
        for (size_t j = 0; j < K; j++) {
            step[j] = j == 2 ? 0.0 : draw(&rng);
            ones += step[j] / n;
            mean += j == 2 ? 0.0 : s[j] / n;
        }
        for (size_t j = 0; j < K; j++) {
            step[j] -= j == 2 ? 0.0 : ones;
            against += step[j] * (s[j] - mean);
            square += j == 2 ? 0.0 : (s[j] - mean) * (s[j] - mean);
        }
        double here = 0.0, there = 0.0;
        for (size_t j = 0; j < K; j++) {
            if (j != 2) {
                double moved = q[j] + 1e-3 * (step[j] - against / square * (s[j] - mean));
                ck_assert(moved > 0.0);
                here += q[j] * log(q[j] / (r[j] / sum));
                there += moved * log(moved / (r[j] / sum));
            }
        }
        ck_assert_msg(there > here, "trial %d: %.17g against %.17g", trial, there, here);
    }
}
END_TEST

/* The library's loss on soft rows has the gradient p - q: central differences of a naive loss. */
START_TEST(gradient)
{
    enum { K = 4 };
    amun_tensor_view view = matrix(z0, 1, K);
    amun_trw_options o = trw_options(1);
    double q[K];
    float z[K] = {0.3f, -1.2f, 0.7f, 2.0f}, row[K], seed[K];
    ck_ok(amun_trw_targets(q, &view, NULL, class0, 1, s0, &o));
    for (size_t j = 0; j < K; j++) {
        row[j] = (float)q[j];
    }
    (void)amun__loss_cross_entropy(z, row, NULL, 1, K, 1.0, seed);
    for (size_t k = 0; k < K; k++) {
        double loss[2];
        for (int side = 0; side < 2; side++) {
            double sum = 0.0;
            loss[side] = 0.0;
            for (size_t j = 0; j < K; j++) {
                sum += exp((double)z[j] + (j == k ? (side ? 1e-5 : -1e-5) : 0.0));
            }
            for (size_t j = 0; j < K; j++) {
                double at = (double)z[j] + (j == k ? (side ? 1e-5 : -1e-5) : 0.0);
                loss[side] -= q[j] * (at - log(sum));
            }
        }
        ck_close((double)seed[k], (loss[1] - loss[0]) / 2e-5, 1e-6);
    }
}
END_TEST

START_TEST(reference)
{
    enum { N = 20, K = 5 };
    static const int64_t forget[] = {4};
    double own[N * K], other[N * K], s[K] = {.1, .6, .2, .1, 0}, beta, moment, back, slope;
    amun__rng rng;
    amun__rng_open(&rng, 3, AMUN__RNG_TEST, 0, 0);
    int64_t labels[N];
    for (size_t i = 0; i < N * K; i++) {
        own[i] = 2 * draw(&rng);
        other[i] = 2 * draw(&rng) + (i % K == 1 ? 1.5 : 0.0);
        labels[i / K] = 4;
    }
    amun_tensor_view z = matrix(own, N, K), r = matrix(other, N, K), y = list(labels, N);
    ck_ok(amun_trw_beta_from_reference(&beta, &moment, &z, &r, &y, forget, 1, s));
    double naive = 0.0;
    for (size_t i = 0; i < N; i++) {
        double top = 0.0, bottom = 0.0;
        for (size_t j = 0; j < 4; j++) {
            top += exp(other[i * K + j]) * s[j] / N;
            bottom += exp(other[i * K + j]);
        }
        naive += top / bottom;
    }
    ck_close(moment, naive, 1e-13);
    ck_ok(amun_trw_moment(&back, &slope, &z, &y, forget, 1, s, beta));
    ck_close(back, moment, 1e-12);
    ck_assert(beta > 0.0);
    double up, down;
    ck_ok(amun_trw_moment(&up, NULL, &z, &y, forget, 1, s, beta + 1e-5));
    ck_ok(amun_trw_moment(&down, NULL, &z, &y, forget, 1, s, beta - 1e-5));
    ck_close(slope, (up - down) / 2e-5, 1e-8);
    /* less tilt than none, and more than all */
    ck_fails(amun_trw_beta_from_reference(&beta, &moment, &r, &z, &y, forget, 1, s),
             AMUN_ERROR_NUMERIC, "at beta 0");
    ck_assert(isnan(beta) && isnan(moment));
    ck_fails(amun_trw_solve_beta(&beta, &z, &y, forget, 1, s, 0.61), AMUN_ERROR_NUMERIC, "0.61");
    const double flat[K] = {.2, .2, .2, .2, 0}; /* any tilt: the first is taken */
    ck_ok(amun_trw_solve_beta(&beta, &z, &y, forget, 1, flat, .2));
    ck_assert(beta == 0.0);
}
END_TEST

/* ---- scores --------------------------------------------------------------------------------- */

/* Four classes on three orthogonal patterns of singular values 20, 6 and 2, turned by a rotation
 * and shifted: two components hold 0.9909 of the energy. */
static void known_rows(double rows[4 * 3])
{
    static const double pattern[4][3] = {{1, 1, 1}, {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}};
    static const double size[3] = {10, 3, 1}, shift[3] = {7, -5, 2};
    static const double turn[3][3] = {
        {2 / 3., -1 / 3., 2 / 3.}, {2 / 3., 2 / 3., -1 / 3.}, {-1 / 3., 2 / 3., 2 / 3.}};
    for (size_t j = 0; j < 4; j++) {
        for (size_t k = 0; k < 3; k++) {
            rows[j * 3 + k] = shift[k];
            for (size_t i = 0; i < 3; i++) {
                rows[j * 3 + k] += pattern[j][i] * size[i] * turn[i][k];
            }
        }
    }
}

START_TEST(components)
{
    double rows[12], s[4];
    known_rows(rows);
    amun_tensor_view view = matrix(rows, 4, 3);
    amun_trw_options o = trw_options(10);
    o.score = AMUN_TRW_SCORE_COSINE;
    const double one[3] = {1, -1, -1}, two[3] = {91 / 109., -91 / 109., -1};
    const double all[3] = {90 / 110., -92 / 110., -108 / 110.};
    static const struct {
        double energy;
        int32_t count;
        int which;
    } cases[] = {{.9, 0, 1}, {.95, 0, 2}, {.99, 0, 2}, {.995, 0, 3},
                 {1, 0, 3},  {1, 1, 1},   {.9, 2, 2},  {.9, 3, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double *expected = cases[i].which == 1 ? one : cases[i].which == 2 ? two : all;
        o.energy = cases[i].energy;
        o.components = cases[i].count;
        ck_ok(amun_trw_scores(s, &view, NULL, class0, 1, &o));
        ck_assert(s[0] == 0.0);
        for (size_t j = 0; j < 3; j++) {
            ck_close(s[1 + j], expected[j], 1e-13);
        }
    }
    o.components = 4;
    ck_fails(amun_trw_scores(s, &view, NULL, class0, 1, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "components: 4, at most 3");
}
END_TEST

/* All components: the cosines of centred rows, by two loops. Several classes, a bias, more rows
 * than columns. */
START_TEST(all_components)
{
    enum { K = 7, D = 3 };
    static const int64_t forget[] = {6, 2};
    double rows[K * D], bias[K], s[2 * K], wide[K][D + 1];
    amun__rng rng;
    amun__rng_open(&rng, 4, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < K * D; i++) {
        rows[i] = draw(&rng);
    }
    for (size_t j = 0; j < K; j++) {
        bias[j] = draw(&rng);
    }
    for (size_t width = D; width <= D + 1; width++) {
        for (size_t k = 0; k < width; k++) {
            double mean = 0.0;
            for (size_t j = 0; j < K; j++) {
                wide[j][k] = k < D ? rows[j * D + k] : bias[j];
                mean += wide[j][k] / K;
            }
            for (size_t j = 0; j < K; j++) {
                wide[j][k] -= mean;
            }
        }
        amun_tensor_view view = matrix(rows, K, D), offsets;
        ck_ok(amun_tensor_view_init(&offsets, bias, AMUN_DTYPE_F64, 1, (const int64_t[]){K}));
        amun_trw_options o = trw_options(10);
        o.energy = 1.0;
        o.temperature = 0.3;
        o.bias = width > D;
        ck_ok(amun_trw_scores(s, &view, &offsets, forget, 2, &o));
        for (size_t f = 0; f < 2; f++) {
            double e[K], sum = 0.0;
            for (size_t j = 0; j < K; j++) {
                double dot = 0.0, a = 0.0, b = 0.0;
                for (size_t k = 0; k < width; k++) {
                    dot += wide[forget[f]][k] * wide[j][k];
                    a += wide[forget[f]][k] * wide[forget[f]][k];
                    b += wide[j][k] * wide[j][k];
                }
                e[j] = j == 6 || j == 2 ? 0.0 : exp(dot / sqrt(a * b) / 0.3);
                sum += e[j];
            }
            for (size_t j = 0; j < K; j++) {
                ck_close(s[f * K + j], e[j] / sum, 1e-13);
            }
        }
    }
}
END_TEST

static amun_context *classes_open(amun__trw_classes *c, size_t classes)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun__trw_open(c, ctx, class0, 1, classes));
    return ctx;
}

START_TEST(temperature)
{
    static const struct {
        double tau, s[3];
    } cases[] = {{.1, {.954, .029, .018}}, {1, {.421, .297, .282}}};
    amun__trw_classes c;
    amun_context *ctx = classes_open(&c, 4);
    for (size_t i = 0; i < 2; i++) {
        double row[4] = {1, .25, -.10, -.15};
        amun_trw_options o = trw_options(10);
        o.temperature = cases[i].tau;
        amun__trw_finish_row(&c, &o, row);
        ck_assert(row[0] == 0.0);
        for (size_t j = 0; j < 3; j++) {
            ck_assert(fabs(row[1 + j] - cases[i].s[j]) < 6e-4);
        }
    }
    amun__trw_close(&c);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(controls)
{
    static const double row[6] = {0, .1, .4, .05, .15, .3};
    static const double reversed[6] = {0, .3, .05, .4, .15, .1};
    static const double ranks[6] = {0, .25, 1, 0, .5, .75};
    amun__trw_classes c;
    amun_context *ctx = classes_open(&c, 6);
    amun_trw_options o = trw_options(10);
    double s[6], other[6];
    memcpy(s, row, sizeof s);
    ck_ok(amun__trw_disturb(&c, 0, &o, s));
    ck_assert(memcmp(s, row, sizeof s) == 0);
    o.control = AMUN_TRW_CONTROL_REVERSED;
    ck_ok(amun__trw_disturb(&c, 0, &o, s));
    ck_assert(memcmp(s, reversed, sizeof s) == 0);
    memcpy(s, row, sizeof s);
    o.control = AMUN_TRW_CONTROL_UNIFORM;
    ck_ok(amun__trw_disturb(&c, 0, &o, s));
    for (size_t j = 0; j < 6; j++) {
        ck_close(s[j], j > 0 ? .2 : 0, 1e-15);
    }
    o.control = AMUN_TRW_CONTROL_RANKS;
    for (int32_t kind = AMUN_TRW_SCORE_SOFTMAX; kind <= AMUN_TRW_SCORE_COSINE; kind++) {
        memcpy(s, row, sizeof s);
        o.score = kind;
        ck_ok(amun__trw_disturb(&c, 0, &o, s));
        for (size_t j = 0; j < 6; j++) {
            ck_close(s[j], ranks[j] / (kind == AMUN_TRW_SCORE_SOFTMAX ? 2.5 : 1.0), 1e-15);
        }
    }
    /* the same five values in an order of the seed's */
    o.control = AMUN_TRW_CONTROL_PERMUTED;
    size_t moved = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        o.noise_seed = seed;
        memcpy(s, row, sizeof s);
        memcpy(other, row, sizeof s);
        ck_ok(amun__trw_disturb(&c, 0, &o, s));
        ck_ok(amun__trw_disturb(&c, 0, &o, other));
        ck_assert(memcmp(s, other, sizeof s) == 0);
        for (size_t j = 1; j < 6; j++) {
            size_t found = 0;
            for (size_t k = 1; k < 6; k++) {
                found += s[k] == row[j];
            }
            ck_assert_uint_eq(found, 1);
            moved += s[j] != row[j];
        }
    }
    ck_assert(moved > 60 && moved < 96); /* 80 of 100 on average, sd 4.4 */
    amun__trw_close(&c);
    amun_context_unref(ctx);
}
END_TEST

/* Noise has the spread that was asked for; softmax scores stay shares. */
START_TEST(noise)
{
    enum { SEEDS = 4000 };
    static const double row[6] = {0, .1, .4, .05, .15, .3};
    const double sd = sqrt((.01 + .04 + .0225 + .0025 + .01) / 5); /* about the mean .2 */
    amun__trw_classes c;
    amun_context *ctx = classes_open(&c, 6);
    amun_trw_options o = trw_options(10);
    o.noise = 0.5;
    double square = 0.0, sum = 0.0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        double s[6], share = 0.0;
        o.noise_seed = seed;
        o.score = AMUN_TRW_SCORE_COSINE;
        memcpy(s, row, sizeof s);
        ck_ok(amun__trw_disturb(&c, 0, &o, s));
        ck_assert(s[0] == 0.0);
        for (size_t j = 1; j < 6; j++) {
            sum += s[j] - row[j];
            square += (s[j] - row[j]) * (s[j] - row[j]);
        }
        o.score = AMUN_TRW_SCORE_SOFTMAX;
        memcpy(s, row, sizeof s);
        ck_ok(amun__trw_disturb(&c, 0, &o, s));
        for (size_t j = 0; j < 6; j++) {
            ck_assert(s[j] >= 0.0);
            share += s[j];
        }
        ck_close(share, 1.0, 1e-14);
    }
    /* 20000 draws: their deviation is known to 0.5 %, their mean to 0.007 deviations */
    ck_close(sqrt(square / (5 * SEEDS)), 0.5 * sd, 0.02 * 0.5 * sd);
    ck_assert(fabs(sum / (5 * SEEDS)) < 0.03 * 0.5 * sd);
    amun__trw_close(&c);
    amun_context_unref(ctx);
}
END_TEST

/* ---- scores of samples ---------------------------------------------------------------------- */

enum { SN = 9, SM = 700, SD = 5, SK = 6 }; /* more retained samples than one piece holds */
static const int64_t gone[] = {1, 4};

typedef struct cloud {
    double own[SN * SD], remain[SM * SD];
    int64_t labels[SM], own_labels[SN];
} cloud;

static void cloud_make(cloud *c)
{
    static const int64_t kept[] = {0, 2, 3, 5};
    amun__rng rng;
    amun__rng_open(&rng, 5, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < SN * SD; i++) {
        c->own[i] = (double)(float)(1.0 + draw(&rng));
        c->own_labels[i / SD] = gone[i / SD % 2];
    }
    for (size_t i = 0; i < SM; i++) {
        c->labels[i] = kept[i % 4];
        for (size_t k = 0; k < SD; k++) {
            double centre = k == i % 4 ? 1.0 : 0.0;
            c->remain[i * SD + k] = (double)(float)(1.0 + centre + draw(&rng));
        }
    }
}

static double naive_cosine(const double *a, const double *b, const double *zero)
{
    double dot = 0.0, aa = 0.0, bb = 0.0;
    for (size_t k = 0; k < SD; k++) {
        double x = a[k] - zero[k], y = b[k] - zero[k];
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    return dot / sqrt(aa * bb);
}

START_TEST(class_means)
{
    cloud c;
    double means[SK][SD] = {{0}}, all[SD] = {0}, s[SN * SK], e[SK];
    cloud_make(&c);
    for (size_t i = 0; i < SM; i++) {
        for (size_t k = 0; k < SD; k++) {
            means[c.labels[i]][k] += c.remain[i * SD + k] / (SM / 4.0);
            all[k] += c.remain[i * SD + k] / SM;
        }
    }
    amun_tensor_view own = matrix(c.own, SN, SD), remain = matrix(c.remain, SM, SD);
    amun_tensor_view labels = list(c.labels, SM);
    amun_trw_options o = trw_options(10);
    o.temperature = 0.5;
    ck_ok(amun_trw_sample_scores(s, &own, &remain, &labels, gone, 2, SK, &o));
    for (size_t i = 0; i < SN; i++) {
        double sum = 0.0;
        for (size_t j = 0; j < SK; j++) {
            e[j] = j == 1 || j == 4 ? 0.0 : exp(naive_cosine(c.own + i * SD, means[j], all) / 0.5);
            sum += e[j];
        }
        for (size_t j = 0; j < SK; j++) {
            ck_close(s[i * SK + j], e[j] / sum, 1e-12);
        }
    }
}
END_TEST

START_TEST(neighbours)
{
    enum { NEAREST = 50 };
    cloud c;
    const double zero[SD] = {0};
    double s[SN * SK];
    cloud_make(&c);
    amun_tensor_view own = matrix(c.own, SN, SD), remain = matrix(c.remain, SM, SD);
    amun_tensor_view labels = list(c.labels, SM);
    amun_trw_options o = trw_options(10);
    o.neighbours = NEAREST;
    ck_ok(amun_trw_sample_scores(s, &own, &remain, &labels, gone, 2, SK, &o));
    for (size_t i = 0; i < SN; i++) {
        size_t count[SK] = {0};
        for (size_t a = 0; a < SM; a++) {
            double mine = naive_cosine(c.own + i * SD, c.remain + a * SD, zero);
            size_t nearer = 0;
            for (size_t b = 0; b < SM; b++) {
                nearer += naive_cosine(c.own + i * SD, c.remain + b * SD, zero) > mine;
            }
            count[c.labels[a]] += nearer < NEAREST;
        }
        for (size_t j = 0; j < SK; j++) {
            double expected = j == 1 || j == 4 ? 0.0 : ((double)count[j] + 1) / (NEAREST + 4);
            ck_close(s[i * SK + j], expected, 1e-14);
        }
    }
    o.neighbours = SM + 1;
    ck_fails(amun_trw_sample_scores(s, &own, &remain, &labels, gone, 2, SK, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "701");
}
END_TEST

START_TEST(mix)
{
    cloud c;
    double by_class[2 * SK], s[SN * SK], mixed[SN * SK];
    cloud_make(&c);
    amun__rng rng;
    amun__rng_open(&rng, 6, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < SN * SK; i++) {
        s[i] = mixed[i] = amun__rng_uniform(&rng);
        by_class[i % (size_t)(2 * SK)] = amun__rng_uniform(&rng);
    }
    amun_tensor_view labels = list(c.own_labels, SN);
    amun_trw_options o = trw_options(10);
    o.kappa = 0.25;
    ck_ok(amun_trw_mix(mixed, by_class, &labels, gone, 2, SK, &o));
    for (size_t i = 0; i < SN; i++) {
        for (size_t j = 0; j < SK; j++) {
            double other = by_class[(c.own_labels[i] == 1 ? 0 : SK) + j];
            double expected = j == 1 || j == 4 ? 0.0 : .25 * s[i * SK + j] + .75 * other;
            ck_close(mixed[i * SK + j], expected, 1e-15);
        }
    }
    /* kappa 0: the scores of the class, with the same permutation for each of its samples */
    o.kappa = 0.0;
    o.control = AMUN_TRW_CONTROL_PERMUTED;
    o.noise_seed = 3;
    ck_ok(amun_trw_mix(mixed, by_class, &labels, gone, 2, SK, &o));
    for (size_t i = 2; i < SN; i++) {
        ck_assert(memcmp(mixed + i * SK, mixed + (i - 2) * SK, SK * sizeof *mixed) == 0);
    }
}
END_TEST

/* ---- errors --------------------------------------------------------------------------------- */

START_TEST(wrong_lists)
{
    double q[4], rows[12];
    amun_tensor_view z = matrix(z0, 1, 4), y = list(class0, 1);
    known_rows(rows);
    amun_tensor_view w = matrix(rows, 4, 3);
    static const struct {
        int64_t forget[4];
        size_t count;
        const char *part;
    } cases[] = {
        {{4}, 1, "4"},
        {{-1}, 1, "-1"},
        {{2, 2}, 2, "class 2 is there twice"},
        {{0}, 0, "no class"},
        {{0, 1, 2, 3}, 4, "4 of 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_fails(amun_trw_targets(q, &z, NULL, cases[i].forget, cases[i].count, s0, NULL),
                 AMUN_ERROR_INVALID_ARGUMENT, cases[i].part);
        ck_fails(amun_trw_scores(q, &w, NULL, cases[i].forget, cases[i].count, NULL),
                 AMUN_ERROR_INVALID_ARGUMENT, cases[i].part);
    }
    ck_fails(amun_trw_targets(q, &z, NULL, NULL, 1, s0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "forget");
    const int64_t other[] = {1};
    ck_fails(amun_trw_targets(q, &z, &y, other, 1, s0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "label 0, a retained class");
    ck_fails(amun_trw_targets(NULL, &z, &y, class0, 1, s0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "targets");
    ck_fails(amun_trw_targets(q, &z, &y, class0, 1, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "scores");
    ck_fails(amun_trw_targets(q, NULL, &y, class0, 1, s0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "logits");
    amun_tensor_view two = list(cases[4].forget, 2);
    ck_fails(amun_trw_targets(q, &z, &two, class0, 1, s0, NULL), AMUN_ERROR_SHAPE, "labels");
    ck_fails(amun_trw_targets(q, &y, NULL, class0, 1, s0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "dtype");
    double moment;
    ck_fails(amun_trw_moment(&moment, NULL, &z, &y, class0, 1, s0, NAN),
             AMUN_ERROR_INVALID_ARGUMENT, "beta");
    ck_fails(amun_trw_solve_beta(&moment, &z, &y, class0, 1, s0, INFINITY),
             AMUN_ERROR_INVALID_ARGUMENT, "inf");
}
END_TEST

START_TEST(wrong_values)
{
    cloud c;
    double q[SN * SK], rows[12], bad[4] = {0, 1, NAN, 2};
    known_rows(rows);
    amun_tensor_view z = matrix(bad, 1, 4), w = matrix(rows, 4, 3);
    ck_fails(amun_trw_targets(q, &z, NULL, class0, 1, s0, NULL), AMUN_ERROR_NUMERIC, "column 2");
    z = matrix(z0, 1, 4);
    ck_fails(amun_trw_targets(q, &z, NULL, class0, 1, bad, NULL), AMUN_ERROR_NUMERIC, "class 2");
    amun_trw_options o = trw_options(10);
    o.energy = 1.0; /* below: class 3 lies on the mean of all */
    rows[9] = rows[10] = rows[11] = 0.0;
    for (size_t k = 0; k < 3; k++) {
        rows[6 + k] = -rows[k] - rows[3 + k];
    }
    ck_fails(amun_trw_scores(q, &w, NULL, class0, 1, &o), AMUN_ERROR_NUMERIC, "class 3");
    o.bias = 1;
    ck_fails(amun_trw_scores(q, &w, NULL, class0, 1, &o), AMUN_ERROR_INVALID_ARGUMENT, "bias");
    cloud_make(&c);
    amun_tensor_view own = matrix(c.own, SN, SD), remain = matrix(c.remain, SM, SD);
    amun_tensor_view labels = list(c.labels, SM);
    c.labels[600] = 4;
    ck_fails(amun_trw_sample_scores(q, &own, &remain, &labels, gone, 2, SK, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "sample 600 has label 4, a forget class");
    c.labels[600] = 5;
    ck_fails(amun_trw_sample_scores(q, &own, &remain, &labels, gone, 2, SK + 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "no sample of class 6");
    c.remain[SD * 300 + 2] = INFINITY;
    ck_fails(amun_trw_sample_scores(q, &own, &remain, &labels, gone, 2, SK, NULL),
             AMUN_ERROR_NUMERIC, "row 300, column 2");
    remain = matrix(c.remain, SM, SD - 1);
    ck_fails(amun_trw_sample_scores(q, &own, &remain, &labels, gone, 2, SK, NULL), AMUN_ERROR_SHAPE,
             "4 features");
}
END_TEST

int main(void)
{
    TCase *targets = tcase_create("targets"), *scores = tcase_create("scores");
    TCase *errors = tcase_create("errors");
    tcase_add_test(targets, vectors);
    tcase_add_test(targets, certain);
    tcase_add_test(targets, several_classes_and_floor);
    tcase_add_test(targets, least_divergence);
    tcase_add_test(targets, gradient);
    tcase_add_test(targets, reference);
    tcase_add_test(scores, components);
    tcase_add_test(scores, all_components);
    tcase_add_test(scores, temperature);
    tcase_add_test(scores, controls);
    tcase_add_test(scores, noise);
    tcase_add_test(scores, class_means);
    tcase_add_test(scores, neighbours);
    tcase_add_test(scores, mix);
    tcase_add_test(errors, wrong_lists);
    tcase_add_test(errors, wrong_values);
    return amun_test_main("trw", (TCase *[]){targets, scores, errors, NULL});
}
