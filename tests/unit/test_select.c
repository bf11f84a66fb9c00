/* test_select.c - the two-sided check against DeLong's definition by pairs, the choice of a rate
 * against runs made by hand, and relearning against training step by step. */
#include "amun/audit.h"
#include "amun/select.h"
#include "data/data.h"
#include "training.h"

/* ---- the check ------------------------------------------------------------------------------- */

static double psi(double x, double y)
{
    return x > y ? 1.0 : x == y ? 0.5 : 0.0;
}

/* AUC and its variance straight from DeLong, DeLong and Clarke-Pearson (1988), in O(n m). */
static double by_pairs(const double *x, size_t n, const double *y, size_t m, double *variance)
{
    double auc = 0.0, over_x = 0.0, over_y = 0.0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < m; k++) {
            auc += psi(x[i], y[k]) / (double)(n * m);
        }
    }
    for (size_t i = 0; i < n; i++) {
        double v = 0.0;
        for (size_t k = 0; k < m; k++) {
            v += psi(x[i], y[k]) / (double)m;
        }
        over_x += (v - auc) * (v - auc) / (double)(n - 1);
    }
    for (size_t k = 0; k < m; k++) {
        double v = 0.0;
        for (size_t i = 0; i < n; i++) {
            v += psi(x[i], y[k]) / (double)n;
        }
        over_y += (v - auc) * (v - auc) / (double)(m - 1);
    }
    *variance = over_x / (double)n + over_y / (double)m;
    return auc;
}

static void draw(double *values, size_t n, uint64_t seed, double shift, bool coarse)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++) {
        double v = amun__rng_uniform(&rng) + amun__rng_uniform(&rng) + shift;
        values[i] = coarse ? floor(4.0 * v) : v; /* many ties */
    }
}

START_TEST(check_by_pairs)
{
    enum { N = 57, M = 83 };
    double x[N], y[M], variance;
    for (uint64_t trial = 0; trial < 20; trial++) {
        amun_forget_check c = {.struct_size = sizeof c};
        double shift = 0.1 * (double)(trial % 5) - 0.2;
        draw(x, N, 2 * trial, shift, trial % 2 == 1);
        draw(y, M, 2 * trial + 1, 0.0, trial % 2 == 1);
        double auc = by_pairs(x, N, y, M, &variance), error = sqrt(variance);
        ck_ok(amun_forget_check_scores(&c, x, N, y, M, 0.95));
        ck_close(c.auc, 100.0 * auc, 1e-10);
        ck_close(c.error, 100.0 * error, 1e-10);
        ck_close(c.low, 100.0 * (auc - 1.959963984540054 * error), 1e-8);
        ck_close(c.high, 100.0 * (auc + 1.959963984540054 * error), 1e-8);
        ck_close(c.p, erfc(fabs(auc - 0.5) / error / sqrt(2.0)), 1e-10);
        ck_assert_int_eq(c.verdict, c.p >= 0.05    ? AMUN_VERDICT_CONSISTENT
                                    : c.auc > 50.0 ? AMUN_VERDICT_UNDER
                                                   : AMUN_VERDICT_OVER);
    }
}
END_TEST

START_TEST(check_ends)
{
    const double low[3] = {0.0, 1.0, 2.0}, high[2] = {3.0, 4.0}, same[2] = {1.0, 1.0};
    amun_forget_check c = {.struct_size = sizeof c};
    ck_ok(amun_forget_check_scores(&c, high, 2, low, 3, 0.95));
    ck_assert(c.auc == 100.0 && c.error == 0.0 && c.p == 0.0);
    ck_assert_int_eq(c.verdict, AMUN_VERDICT_UNDER);
    ck_ok(amun_forget_check_scores(&c, low, 3, high, 2, 0.95));
    ck_assert(c.auc == 0.0);
    ck_assert_int_eq(c.verdict, AMUN_VERDICT_OVER);
    ck_ok(amun_forget_check_scores(&c, same, 2, same, 2, 0.95));
    ck_assert(c.auc == 50.0 && c.p == 1.0);
    ck_assert_int_eq(c.verdict, AMUN_VERDICT_CONSISTENT);
    const double infinite[2] = {-INFINITY, INFINITY};
    ck_ok(amun_forget_check_scores(&c, infinite, 2, low, 3, 0.95)); /* saturated logits */
    ck_assert(c.auc == 50.0);
    ck_fails(amun_forget_check_scores(&c, low, 1, high, 2, 0.95), AMUN_ERROR_INVALID_ARGUMENT,
             "forget: 1 scores");
    ck_fails(amun_forget_check_scores(&c, low, 3, high, 0, 0.95), AMUN_ERROR_INVALID_ARGUMENT,
             "unseen: 0 scores");
    ck_fails(amun_forget_check_scores(&c, low, 3, high, 2, 1.0), AMUN_ERROR_INVALID_ARGUMENT,
             "confidence: 1");
    ck_fails(amun_forget_check_scores(&c, NULL, 3, high, 2, 0.9), AMUN_ERROR_INVALID_ARGUMENT,
             "forget is NULL");
    ck_fails(amun_forget_check_scores(&c, low, 3, (double[]){1.0, NAN}, 2, 0.9), AMUN_ERROR_NUMERIC,
             "unseen: score 1");
}
END_TEST

/* Of 400 checks of equal groups, about 20 are to sound the alarm, on both sides alike. */
START_TEST(check_level)
{
    enum { N = 60, M = 60, TRIALS = 400 };
    double x[N], y[M];
    int alarms[4] = {0};
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        amun_forget_check c = {.struct_size = sizeof c};
        draw(x, N, 1000 + 2 * trial, 0.0, false);
        draw(y, M, 1001 + 2 * trial, 0.0, false);
        ck_ok(amun_forget_check_scores(&c, x, N, y, M, 0.95));
        alarms[c.verdict]++;
    }
    int sounded = alarms[AMUN_VERDICT_UNDER] + alarms[AMUN_VERDICT_OVER];
    ck_assert_msg(sounded >= 8 && sounded <= 38, "%d alarms of %d", sounded, TRIALS);
    ck_assert(alarms[AMUN_VERDICT_UNDER] > 0 && alarms[AMUN_VERDICT_OVER] > 0);
}
END_TEST

/* ---- models ---------------------------------------------------------------------------------- */

enum { COUNT = 60, SIDE = 6, CLASSES = 3, FORGET = 9, HELDOUT = 30 };

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs train, heldout;
    amun_model *model;
    int64_t forget[FORGET];
} fixture;

static void setup(fixture *f)
{
    *f = (fixture){.forget = {31, 4, 17, 0, 39, 22, 8, 13, 50}};
    f->ctx = test_context(&f->allocator);
    ck_ok(amun_context_set_threads(f->ctx, 1));
    blobs_make(&f->train, f->ctx, COUNT, 1, SIDE, SIDE, CLASSES, 31);
    blobs_make(&f->heldout, f->ctx, HELDOUT, 1, SIDE, SIDE, CLASSES, 31);
    /* other images of the same prototypes */
    for (size_t i = 0; i < HELDOUT * f->heldout.pixels; i++) {
        float other = f->train.images[(COUNT - HELDOUT) * f->train.pixels + i];
        f->heldout.images[i] = 0.5f * f->heldout.images[i] + 0.5f * other;
    }
    f->model = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 6);
    amun_train_options t = train_options(6, 8, 0.05);
    ck_ok(amun_train_run(NULL, f->model, f->train.data, NULL, 0, &t, NULL));
}

static void teardown(fixture *f)
{
    amun_model_unref(f->model);
    blobs_free(&f->train);
    blobs_free(&f->heldout);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

START_TEST(check_of_a_model)
{
    fixture f;
    setup(&f);
    amun_forget_check whole = {.struct_size = sizeof whole}, parts = whole;
    double phi[2][HELDOUT];
    float logits[HELDOUT * CLASSES];
    ck_ok(amun_forget_check_model(&whole, f.model, f.train.data, f.forget, FORGET, f.heldout.data,
                                  NULL, 0, 0.95, NULL));
    for (int side = 0; side < 2; side++) {
        const size_t n = side == 0 ? FORGET : HELDOUT, pixels = f.train.pixels;
        float images[HELDOUT * SIDE * SIDE];
        int64_t labels[HELDOUT];
        for (size_t i = 0; i < n; i++) {
            size_t at = side == 0 ? (size_t)f.forget[i] : i;
            const blobs *b = side == 0 ? &f.train : &f.heldout;
            memcpy(images + i * pixels, b->images + at * pixels, pixels * sizeof(float));
            labels[i] = b->labels[at];
        }
        amun_tensor_view in, out, label_view;
        ck_ok(amun_tensor_view_init(&in, images, AMUN_DTYPE_F32, 4,
                                    (int64_t[]){(int64_t)n, 1, SIDE, SIDE}));
        ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2,
                                    (int64_t[]){(int64_t)n, CLASSES}));
        ck_ok(
            amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_I64, 1, (int64_t[]){(int64_t)n}));
        ck_ok(amun_model_predict(f.model, &in, &out, NULL));
        ck_ok(amun_ulira_phi(phi[side], &out, &label_view));
    }
    ck_ok(amun_forget_check_scores(&parts, phi[0], FORGET, phi[1], HELDOUT, 0.95));
    ck_close(whole.auc, parts.auc, 1e-9);
    ck_close(whole.error, parts.error, 1e-9);
    ck_fails(amun_forget_check_model(&whole, f.model, f.train.data, (int64_t[]){1, 60}, 2,
                                     f.heldout.data, NULL, 0, 0.95, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "60");
    teardown(&f);
}
END_TEST

/* ---- rates ----------------------------------------------------------------------------------- */

enum { RATES = 3 };
static const double rates[RATES] = {1e-6, 0.02, 0.3};

static amun_unlearn_options unlearn_options(amun_train_options *train)
{
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = AMUN_UNLEARN_RANDOM_LABEL;
    ck_ok(amun_unlearn_train_options_init(train, sizeof *train, o.method));
    train->epochs = 4;
    train->batch = 16;
    train->augment_pad = 0;
    train->augment_flip = 0;
    o.train = train;
    return o;
}

static double heldout_accuracy(const fixture *f, const amun_model *model, int64_t without)
{
    int64_t kept[HELDOUT];
    size_t count = 0;
    double accuracy;
    for (int64_t i = 0; i < HELDOUT; i++) {
        kept[count] = i;
        count += f->heldout.labels[i] != without;
    }
    ck_ok(amun_model_evaluate(&accuracy, NULL, model, f->heldout.data, kept, count, NULL));
    return accuracy;
}

static void select_by(fixture *f, amun_select_rule rule, double tolerance, const int64_t *forget,
                      size_t count)
{
    amun_train_options train;
    amun_unlearn_options unlearn = unlearn_options(&train);
    amun_select_options o;
    amun_select_trial trials[RATES];
    amun_model *kept = NULL;
    size_t best = 99, expected = 99;
    int64_t without = rule == AMUN_SELECT_CLASSES ? f->train.labels[forget[0]] : -1;
    double before = heldout_accuracy(f, f->model, without), least = INFINITY;
    ck_ok(amun_select_options_init(&o, sizeof o));
    o.rule = rule;
    o.tolerance = tolerance;
    for (int i = 0; i < RATES; i++) {
        trials[i].struct_size = sizeof trials[i];
    }
    ck_ok(amun_select_rate(trials, &best, &kept, f->model, f->train.data, forget, count, NULL,
                           f->heldout.data, rates, RATES, &unlearn, &o, NULL));
    for (size_t i = 0; i < RATES; i++) {
        amun_model *model = NULL;
        double accuracy;
        train.lr = rates[i];
        ck_ok(amun_model_clone(&model, f->model));
        ck_ok(amun_unlearn_run(NULL, model, f->train.data, forget, count, NULL, &unlearn, NULL));
        ck_ok(amun_model_evaluate(&accuracy, NULL, model, f->train.data, forget, count, NULL));
        ck_assert(trials[i].lr == rates[i] && trials[i].failed == 0);
        ck_close(trials[i].forget_accuracy, accuracy, 1e-12);
        ck_close(trials[i].heldout_accuracy, heldout_accuracy(f, model, without), 1e-12);
        ck_assert_int_eq(trials[i].admitted, trials[i].heldout_accuracy >= before - tolerance);
        double figure = rule == AMUN_SELECT_SAMPLES ? fabs(trials[i].auc - 50.0) : accuracy;
        if (trials[i].admitted && figure < least) {
            least = figure;
            expected = i;
        }
        if (i == best) {
            amun__model_values a, b;
            amun__model_values_get(model, &a);
            amun__model_values_get(kept, &b);
            ck_assert(memcmp(a.values, b.values, a.total * sizeof *a.values) == 0);
        }
        amun_model_unref(model);
    }
    ck_assert_uint_eq(best, expected);
    amun_model_unref(kept);
}

START_TEST(rates_for_samples)
{
    fixture f;
    setup(&f);
    select_by(&f, AMUN_SELECT_SAMPLES, 100.0, f.forget, FORGET);
    teardown(&f);
}
END_TEST

START_TEST(rates_for_classes)
{
    fixture f;
    setup(&f);
    int64_t whole[COUNT];
    size_t count = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        whole[count] = i;
        count += f.train.labels[i] == 1;
    }
    select_by(&f, AMUN_SELECT_CLASSES, 100.0, whole, count);
    teardown(&f);
}
END_TEST

START_TEST(rates_refused)
{
    fixture f;
    setup(&f);
    amun_select_trial trials[2] = {{.struct_size = sizeof trials[0]},
                                   {.struct_size = sizeof trials[0]}};
    size_t best;
    const double bad[2] = {0.1, -1.0};
    amun_train_options train;
    amun_unlearn_options unlearn = unlearn_options(&train);
    ck_fails(amun_select_rate(trials, &best, NULL, f.model, f.train.data, f.forget, FORGET, NULL,
                              f.heldout.data, bad, 2, &unlearn, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "rate 1: -1");
    ck_fails(amun_select_rate(trials, &best, NULL, f.model, f.train.data, f.forget, FORGET, NULL,
                              f.heldout.data, rates, 0, &unlearn, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "no rates");
    const double huge[2] = {1000.0, 999.0};
    train.momentum = 0.9;
    train.epochs = 60;
    ck_fails(amun_select_rate(trials, &best, NULL, f.model, f.train.data, f.forget, FORGET, NULL,
                              f.heldout.data, huge, 1, &unlearn, NULL, NULL),
             AMUN_ERROR_NUMERIC, "1 rates");
    ck_assert_int_eq(trials[0].failed, 1);
    teardown(&f);
}
END_TEST

/* ---- relearning ------------------------------------------------------------------------------ */

START_TEST(relearning)
{
    fixture f;
    setup(&f);
    amun_relearn_options o;
    amun_relearn known = {.struct_size = sizeof known}, fresh = known, slow = known, coarse = known;
    double original;
    amun_model *blank = conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 77);
    ck_ok(amun_model_evaluate(&original, NULL, f.model, f.train.data, f.forget, FORGET, NULL));
    ck_ok(amun_relearn_options_init(&o, sizeof o));
    o.lr = 0.05;
    o.batch = 6;
    ck_ok(amun_relearn_time(&known, f.model, f.train.data, f.forget, FORGET, 0.95 * original, &o,
                            NULL));
    ck_assert_int_eq(known.steps, 0); /* what it knows needs no step */
    ck_close(known.before, original, 1e-12);
    ck_ok(amun_relearn_time(&fresh, blank, f.train.data, f.forget, FORGET, 0.95 * original, &o,
                            NULL));
    ck_assert_int_gt(fresh.steps, 0);
    ck_assert(fresh.before < fresh.after && fresh.after >= 0.95 * original);
    o.every = 4;
    ck_ok(amun_relearn_time(&coarse, blank, f.train.data, f.forget, FORGET, 0.95 * original, &o,
                            NULL));
    ck_assert_int_eq(coarse.steps % 4, 0);
    ck_assert_int_ge(coarse.steps, fresh.steps); /* the same steps, looked at less often */
    o.lr = 1e-9;
    o.most_epochs = 2;
    ck_ok(amun_relearn_time(&slow, blank, f.train.data, f.forget, FORGET, 100.0, &o, NULL));
    ck_assert_int_eq(slow.steps, -1);
    ck_close(slow.before, fresh.before, 1e-12);
    ck_assert(slow.after < 100.0); /* running statistics move, the weights hardly do */
    ck_fails(amun_relearn_time(&slow, blank, f.train.data, f.forget, FORGET, 101.0, &o, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "target: 101");
    amun_model_unref(blank);
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("select");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, check_by_pairs);
    tcase_add_test(tests, check_ends);
    tcase_add_test(tests, check_level);
    tcase_add_test(tests, check_of_a_model);
    tcase_add_test(tests, rates_for_samples);
    tcase_add_test(tests, rates_for_classes);
    tcase_add_test(tests, rates_refused);
    tcase_add_test(tests, relearning);
    return amun_test_main("select", (TCase *[]){tests, NULL});
}
