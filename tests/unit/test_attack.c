/* FGSM, FFGSM and PGD against a naive re-implementation that takes one sample at a time, their
 * bounds, and every argument that attacks refuse. */
#include "attack_setup.h"

/* The four attacks, as the oracle sees them. */
typedef struct attack_case {
    const char *name;
    amun_norm norm;
    double eps, step;
    int32_t steps, random_start;
    uint64_t seed;
} attack_case;

static const attack_case cases[] = {
    {"fgsm", AMUN_NORM_LINF, 0.1, 0.1, 1, 0, 0},
    {"ffgsm", AMUN_NORM_LINF, 0.1, 0.13, 1, 1, 5},
    {"pgd_linf", AMUN_NORM_LINF, 0.1, 0.03, 7, 1, 6},
    {"pgd_linf", AMUN_NORM_LINF, 0.1, 0.03, 7, 0, 6},
    {"pgd_l2", AMUN_NORM_L2, 1.0, 0.3, 7, 1, 7},
    {"pgd_l2", AMUN_NORM_L2, 1.0, 0.3, 7, 0, 7},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static amun_attack *create_case(const attack_case *c, int32_t batch)
{
    amun_attack *attack = NULL;
    if (strcmp(c->name, "fgsm") == 0) {
        amun_fgsm_options options;
        ck_ok(amun_fgsm_options_init(&options, sizeof options));
        options.eps = c->eps;
        options.batch = batch;
        ck_ok(amun_attack_create_fgsm(&attack, ctx, &options));
    } else if (strcmp(c->name, "ffgsm") == 0) {
        amun_ffgsm_options options;
        ck_ok(amun_ffgsm_options_init(&options, sizeof options));
        options.eps = c->eps;
        options.step = c->step;
        options.seed = c->seed;
        options.batch = batch;
        ck_ok(amun_attack_create_ffgsm(&attack, ctx, &options));
    } else {
        bool l2 = c->norm == AMUN_NORM_L2;
        amun_pgd_options options;
        ck_ok(l2 ? amun_pgd_l2_options_init(&options, sizeof options)
                 : amun_pgd_linf_options_init(&options, sizeof options));
        options.eps = c->eps;
        options.step = c->step;
        options.steps = c->steps;
        options.random_start = c->random_start;
        options.seed = c->seed;
        options.batch = batch;
        ck_ok(l2 ? amun_attack_create_pgd_l2(&attack, ctx, &options)
                 : amun_attack_create_pgd_linf(&attack, ctx, &options));
    }
    return attack;
}

/* ---- oracle -----------------------------------------------------------------------------------
 */

static double clip(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

static double norm_of(const double *v, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i] * v[i];
    }
    return sqrt(sum);
}

static int32_t oracle_label(amun__plan *plan, const float *a, float *logits)
{
    ck_ok(amun__plan_forward(plan, a, logits));
    int32_t best = 0;
    for (int32_t k = 1; k < DIGIT_CLASSES; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    return best;
}

static void oracle_gradient(amun__plan *plan, const float *a, int32_t label, double *g)
{
    float logits[DIGIT_CLASSES], seed[DIGIT_CLASSES], diff[DIGIT_PIXELS];
    double sum = 0.0;
    oracle_label(plan, a, logits);
    for (size_t k = 0; k < DIGIT_CLASSES; k++) {
        sum += exp((double)logits[k]);
    }
    for (int32_t k = 0; k < DIGIT_CLASSES; k++) {
        seed[k] = (float)(exp((double)logits[k]) / sum - (k == label));
    }
    ck_ok(amun__plan_backward(plan, seed, diff, NULL));
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        g[i] = (double)diff[i];
    }
}

static void oracle_start(const attack_case *c, int64_t id, const float *x, float *a)
{
    amun__rng rng;
    double eta[DIGIT_PIXELS];
    amun__rng_open(&rng, c->seed, AMUN__RNG_ATTACK, 0, (uint64_t)id);
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        eta[i] = c->norm == AMUN_NORM_L2 ? amun__rng_normal(&rng)
                                         : c->eps * (2.0 * amun__rng_uniform(&rng) - 1.0);
    }
    double scale = 1.0;
    if (c->norm == AMUN_NORM_L2) {
        scale = amun__rng_uniform(&rng) * c->eps / norm_of(eta, DIGIT_PIXELS);
    }
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        a[i] = (float)clip((double)x[i] + (c->random_start ? scale * eta[i] : 0.0), 0.0, 1.0);
    }
}

static void oracle_step(const attack_case *c, const float *x, const double *g, float *a)
{
    double d[DIGIT_PIXELS];
    double length = norm_of(g, DIGIT_PIXELS) + 1e-10;
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        double sign = g[i] > 0 ? 1.0 : g[i] < 0 ? -1.0 : 0.0;
        double direction = c->norm == AMUN_NORM_L2 ? g[i] / length : sign;
        d[i] = (double)a[i] + c->step * direction - (double)x[i];
    }
    double distance = norm_of(d, DIGIT_PIXELS);
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        if (c->norm == AMUN_NORM_LINF) {
            d[i] = clip(d[i], -c->eps, c->eps);
        } else if (distance > c->eps) {
            d[i] *= c->eps / distance;
        }
        a[i] = (float)clip((double)x[i] + d[i], 0.0, 1.0);
    }
}

START_TEST(test_oracle)
{
    enum { COUNT = 12 };
    const attack_case *c = &cases[_i];
    int64_t order[COUNT];
    samples s;
    for (size_t i = 0; i < COUNT; i++) {
        order[i] = 100 + 7 * (int64_t)i;
    }
    samples_open_digits(&s, data, order, COUNT);
    amun_attack *attack = create_case(c, 1); /* the same plan as the oracle's */
    ck_ok(samples_run(&s, attack, network));
    amun__plan *plan = NULL;
    ck_ok(amun__model_lease(network, 1, AMUN__MODE_ATTACK, &plan));
    size_t flipped = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const float *x = s.images + i * s.pixels;
        const amun_attack_record *r = &s.records[i];
        float a[DIGIT_PIXELS], logits[DIGIT_CLASSES];
        double g[DIGIT_PIXELS];
        ck_assert_int_eq(r->predicted, oracle_label(plan, x, logits));
        oracle_start(c, order[i], x, a);
        for (int32_t t = 0; t < c->steps; t++) {
            oracle_gradient(plan, a, (int32_t)s.labels[i], g);
            oracle_step(c, x, g, a);
        }
        for (size_t k = 0; k < s.pixels; k++) {
            ck_close(s.adversarial[i * s.pixels + k], a[k], 2e-6);
        }
        ck_assert_int_eq(r->adversarial, oracle_label(plan, a, logits));
        ck_assert_int_eq(r->outcome, r->adversarial != r->label ? AMUN_ATTACK_FLIPPED
                                                                : AMUN_ATTACK_NOT_FLIPPED);
        ck_assert_int_eq(r->updates, c->steps);
        ck_assert_int_eq(r->index, order[i]);
        flipped += r->outcome == AMUN_ATTACK_FLIPPED;
    }
    ck_assert(c->steps == 1 || flipped > 0);
    amun__model_release(network, plan);
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

/* ---- properties -------------------------------------------------------------------------------
 */

START_TEST(test_bounds_and_batches)
{
    enum { COUNT = 44 };
    const attack_case *c = &cases[_i];
    const int32_t batches[] = {1, 7, 128, 16};
    int64_t order[COUNT];
    samples runs[4];
    shuffled(order, COUNT);
    for (size_t b = 0; b < 4; b++) {
        samples_open_digits(&runs[b], data, b == 3 ? order : NULL, COUNT);
        amun_attack *attack = create_case(c, batches[b]);
        ck_ok(samples_run(&runs[b], attack, network));
        amun_attack_unref(attack);
        for (size_t i = 0; i < COUNT; i++) {
            const amun_attack_record *r = &runs[b].records[i];
            const amun_attack_record *e = &runs[0].records[r->index];
            double l2 = 0.0, linf = 0.0;
            for (size_t k = 0; k < DIGIT_PIXELS; k++) {
                double a = (double)runs[b].adversarial[i * DIGIT_PIXELS + k];
                double d = fabs(a - (double)runs[b].images[i * DIGIT_PIXELS + k]);
                ck_assert(a >= 0.0 && a <= 1.0);
                l2 += d * d;
                linf = fmax(linf, d);
            }
            ck_close(r->l2, sqrt(l2), 1e-12);
            ck_assert(r->linf == linf && r->eps == c->eps);
            ck_assert((c->norm == AMUN_NORM_L2 ? r->l2 : r->linf) <= c->eps * (1 + 1e-6));
            ck_assert_int_eq(r->predicted, e->predicted);
            ck_assert_int_eq(r->adversarial, e->adversarial);
            ck_assert_int_eq(r->outcome, e->outcome);
            ck_close(r->l2, e->l2, 1e-4);
        }
    }
    for (size_t b = 0; b < 4; b++) {
        samples_close(&runs[b]);
    }
}
END_TEST

START_TEST(test_deterministic)
{
    enum { COUNT = 20 };
    const attack_case *c = &cases[_i];
    samples runs[2];
    for (size_t b = 0; b < 2; b++) {
        samples_open_digits(&runs[b], data, NULL, COUNT);
        amun_attack *attack = create_case(c, 8);
        ck_ok(samples_run(&runs[b], attack, network));
        amun_attack_unref(attack);
    }
    ck_assert_mem_eq(runs[0].records, runs[1].records, COUNT * sizeof runs[0].records[0]);
    ck_assert_mem_eq(runs[0].adversarial, runs[1].adversarial,
                     COUNT * DIGIT_PIXELS * sizeof(float));
    samples_close(&runs[0]);
    samples_close(&runs[1]);
}
END_TEST

/* A start depends on (seed, id) and nothing else. */
START_TEST(test_random_starts)
{
    enum { COUNT = 4 };
    amun_pgd_options options;
    samples s;
    float first[COUNT * DIGIT_PIXELS];
    ck_ok(amun_pgd_l2_options_init(&options, sizeof options));
    options.steps = 1;
    options.step = 0.0; /* only the start is left */
    options.batch = 3;
    samples_open(&s, COUNT, 1, 8, 8);
    for (size_t i = 0; i < COUNT * DIGIT_PIXELS; i++) {
        s.images[i] = 0.5f;
    }
    const int64_t ids[COUNT] = {5, -1, 5, INT64_C(1) << 40};
    memcpy(s.ids, ids, sizeof ids);
    for (uint64_t seed = 0; seed < 2; seed++) {
        amun_attack *attack = NULL;
        options.seed = seed;
        ck_ok(amun_attack_create_pgd_l2(&attack, ctx, &options));
        ck_ok(samples_run(&s, attack, network));
        const float *a = s.adversarial;
        size_t bytes = DIGIT_PIXELS * sizeof *a;
        ck_assert_mem_eq(a, a + 2 * DIGIT_PIXELS, bytes);
        ck_assert_mem_ne(a, a + DIGIT_PIXELS, bytes);
        ck_assert_mem_ne(a, a + 3 * DIGIT_PIXELS, bytes);
        for (size_t i = 0; i < COUNT; i++) {
            ck_assert(s.records[i].l2 > 0.0 && s.records[i].l2 < 1.0);
        }
        if (seed == 0) {
            memcpy(first, a, sizeof first);
        } else {
            ck_assert_mem_ne(a, first, bytes);
        }
        amun_attack_unref(attack);
    }
    samples_close(&s);
}
END_TEST

/* Bytes, doubles, and channels-last strides read as the same picture. */
START_TEST(test_layouts)
{
    enum { COUNT = 5 };
    samples s;
    samples_open_digits(&s, data, NULL, COUNT);
    amun_attack *attack = create_case(&cases[4], 4);
    ck_ok(samples_run(&s, attack, network));
    uint8_t bytes[COUNT * DIGIT_PIXELS], labels[COUNT];
    double doubles[COUNT * DIGIT_PIXELS], across[COUNT * DIGIT_PIXELS];
    float out[COUNT * DIGIT_PIXELS];
    for (size_t i = 0; i < COUNT * DIGIT_PIXELS; i++) {
        size_t image = i / DIGIT_PIXELS, y = i / 8 % 8, x = i % 8;
        bytes[i] = (uint8_t)lrintf(s.images[i] * 255.0f);
        doubles[i] = (double)s.images[i];
        across[image * DIGIT_PIXELS + x * 8 + y] = (double)s.images[i];
    }
    for (size_t i = 0; i < COUNT; i++) {
        labels[i] = (uint8_t)s.labels[i];
    }
    const int64_t shape[4] = {COUNT, 1, 8, 8};
    amun_tensor_view views[3], label_view, out_view;
    ck_ok(amun_tensor_view_init(&views[0], bytes, AMUN_DTYPE_U8, 4, shape));
    ck_ok(amun_tensor_view_init(&views[1], doubles, AMUN_DTYPE_F64, 4, shape));
    ck_ok(amun_tensor_view_init(&views[2], across, AMUN_DTYPE_F64, 4, shape));
    views[2].strides[2] = 8;
    views[2].strides[3] = 64;
    ck_ok(amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_U8, 1, shape));
    ck_ok(amun_tensor_view_init(&out_view, out, AMUN_DTYPE_F32, 4, shape));
    for (size_t k = 0; k < 3; k++) {
        memset(out, 0, sizeof out);
        ck_ok(
            amun_attack_run(attack, network, &views[k], &label_view, NULL, &out_view, NULL, NULL));
        ck_assert_mem_eq(out, s.adversarial, sizeof out);
    }
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

START_TEST(test_nan_weights)
{
    amun_model *model = NULL;
    samples s;
    ck_ok(amun_model_clone(&model, network));
    poison_model(model);
    for (size_t k = 0; k < CASES; k++) {
        amun_attack *attack = create_case(&cases[k], 4);
        samples_open_digits(&s, data, NULL, 6);
        ck_ok(samples_run(&s, attack, model));
        for (size_t i = 0; i < 6; i++) {
            ck_assert_int_eq(s.records[i].outcome, AMUN_ATTACK_FAILED_NUMERIC);
            ck_assert_int_eq(s.records[i].predicted, -1);
            ck_assert_int_eq(s.records[i].adversarial, -1);
            ck_assert(s.records[i].l2 == 0.0);
        }
        ck_assert_mem_eq(s.adversarial, s.images, 6 * DIGIT_PIXELS * sizeof(float));
        /* without a table the caller could not know */
        ck_fails(amun_attack_run(attack, model, &s.image_view, &s.label_view, NULL,
                                 &s.adversarial_view, NULL, NULL),
                 AMUN_ERROR_NUMERIC, "sample 0");
        samples_close(&s);
        amun_attack_unref(attack);
    }
    amun_model_unref(model);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------------------
 */

START_TEST(test_bad_samples)
{
    samples s;
    samples_open_digits(&s, data, NULL, 9);
    for (size_t i = 0; i < 9; i++) {
        s.ids[i] = 40 + (int64_t)i;
    }
    const struct {
        float pixel;
        const char *part;
    } pixels[] = {{NAN, "nan"}, {1.5f, "1.5"}, {-0.25f, "-0.25"}, {INFINITY, "inf"}};
    const struct {
        int64_t label;
        const char *part;
    } labels[] = {{-1, "-1"}, {10, "10"}, {INT64_MAX, "9223372036854775807"}};
    amun_attack *attacks[2] = {search_attack(ctx, NULL), create_case(&cases[0], 4)};
    for (size_t a = 0; a < 2; a++) {
        float *pixel = &s.images[7 * DIGIT_PIXELS + 13], kept = *pixel;
        for (size_t k = 0; k < 4; k++) {
            *pixel = pixels[k].pixel;
            ck_fails(samples_run(&s, attacks[a], network), AMUN_ERROR_INVALID_ARGUMENT,
                     pixels[k].part);
            ck_assert(strstr(amun_last_error_message(), "sample 47: pixel 13") != NULL);
        }
        *pixel = kept;
        for (size_t k = 0; k < 3; k++) {
            int64_t label = s.labels[3];
            s.labels[3] = labels[k].label;
            ck_fails(samples_run(&s, attacks[a], network), AMUN_ERROR_INVALID_ARGUMENT,
                     labels[k].part);
            s.labels[3] = label;
        }
        ck_ok(samples_run(&s, attacks[a], network));
        amun_attack_unref(attacks[a]);
    }
    samples_close(&s);
}
END_TEST

START_TEST(test_bad_views)
{
    samples s;
    samples_open_digits(&s, data, NULL, 3);
    amun_attack *attack = create_case(&cases[0], 4);
    amun_tensor_view image = s.image_view, label = s.label_view, out = s.adversarial_view;
#define REFUSED(status, part)                                                                      \
    do {                                                                                           \
        ck_fails(amun_attack_run(attack, network, &image, &label, NULL, &out, s.records, NULL),    \
                 status, part);                                                                    \
        image = s.image_view;                                                                      \
        label = s.label_view;                                                                      \
        out = s.adversarial_view;                                                                  \
    } while (0)
    image.shape[0] = label.shape[0] = out.shape[0] = 0;
    REFUSED(AMUN_ERROR_INVALID_ARGUMENT, "0 samples");
    image.shape[0] = -3;
    REFUSED(AMUN_ERROR_SHAPE, "-3");
    image.shape[3] = 7;
    REFUSED(AMUN_ERROR_SHAPE, "8 x 7");
    image.ndim = 3;
    REFUSED(AMUN_ERROR_SHAPE, "3");
    image.dtype = AMUN_DTYPE_I64;
    REFUSED(AMUN_ERROR_INVALID_ARGUMENT, "images");
    label.shape[0] = 2;
    REFUSED(AMUN_ERROR_SHAPE, "labels");
    label.dtype = AMUN_DTYPE_F32;
    REFUSED(AMUN_ERROR_INVALID_ARGUMENT, "labels");
    label.ndim = 0;
    REFUSED(AMUN_ERROR_SHAPE, "labels");
    out.shape[0] = 2;
    REFUSED(AMUN_ERROR_SHAPE, "adversarial");
    out.dtype = AMUN_DTYPE_F64;
    REFUSED(AMUN_ERROR_INVALID_ARGUMENT, "adversarial");
    out.flags = AMUN_VIEW_READONLY;
    REFUSED(AMUN_ERROR_INVALID_ARGUMENT, "adversarial");
    out = image;
    REFUSED(AMUN_ERROR_INVALID_ARGUMENT, "overlaps");
    out.strides[0] = 0;
    REFUSED(AMUN_ERROR_INVALID_ARGUMENT, "stride");
#undef REFUSED
    ck_fails(amun_attack_run(NULL, network, &image, &label, NULL, &out, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "attack is NULL");
    ck_fails(amun_attack_run(attack, NULL, &image, &label, NULL, &out, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "model is NULL");
    ck_fails(amun_attack_run((amun_attack *)(void *)network, network, &image, &label, NULL, &out,
                             NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "attack");
    ck_fails(amun_attack_run(attack, network, NULL, &label, NULL, &out, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "images is NULL");
    ck_fails(amun_attack_run(attack, network, &image, NULL, NULL, &out, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "labels is NULL");
    ck_fails(amun_attack_run(attack, network, &image, &label, NULL, NULL, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "adversarial is NULL");
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

START_TEST(test_busy)
{
    samples s;
    samples_open_digits(&s, data, NULL, 3);
    amun_attack *attack = create_case(&cases[0], 4);
    ck_ok(amun__model_begin_write(network));
    ck_fails(samples_run(&s, attack, network), AMUN_ERROR_BUSY, "model");
    amun__model_end_write(network);
    ck_ok(samples_run(&s, attack, network));
    ck_ok(amun__model_begin_write(network)); /* the run gave the model back */
    amun__model_end_write(network);
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

static int32_t count_down(const amun_progress *progress, void *user_data)
{
    int32_t *left = user_data;
    ck_assert(progress->step <= progress->total && progress->total == 70);
    return --*left == 0;
}

START_TEST(test_cancel_and_progress)
{
    samples s;
    amun_call_options call;
    samples_open_digits(&s, data, NULL, 10);
    ck_ok(amun_call_options_init(&call, sizeof call));
    amun_attack *attack = create_case(&cases[2], 4);
    for (int32_t stop = 1; stop <= 3; stop++) {
        int32_t calls = stop;
        call.user_data = &calls;
        call.min_interval_ms = 0;
        call.progress = count_down;
        ck_fails(amun_attack_run(attack, network, &s.image_view, &s.label_view, NULL,
                                 &s.adversarial_view, s.records, &call),
                 AMUN_ERROR_CANCELLED, "attack");
        ck_assert_int_eq(calls, 0);
    }
    int32_t calls = 1000;
    call.user_data = &calls;
    ck_ok(amun_attack_run(attack, network, &s.image_view, &s.label_view, NULL, &s.adversarial_view,
                          s.records, &call));
    ck_assert_int_eq(calls, 1000 - 3 * 7); /* three batches of seven steps */
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

/* ---- options ----------------------------------------------------------------------------------
 */

START_TEST(test_defaults)
{
    amun_fgsm_options fgsm;
    amun_ffgsm_options ffgsm;
    amun_pgd_options pgd;
    amun_search_options search;
    ck_ok(amun_fgsm_options_init(&fgsm, sizeof fgsm));
    ck_assert(fgsm.eps == 8.0 / 255.0 && fgsm.batch == 128);
    ck_ok(amun_ffgsm_options_init(&ffgsm, sizeof ffgsm));
    ck_assert(ffgsm.eps == 8.0 / 255.0 && ffgsm.step == 10.0 / 255.0 && ffgsm.seed == 0);
    ck_ok(amun_pgd_linf_options_init(&pgd, sizeof pgd));
    ck_assert(pgd.eps == 8.0 / 255.0 && pgd.step == 2.0 / 255.0 && pgd.steps == 10);
    ck_assert(pgd.random_start == 1 && pgd.batch == 128 && pgd.seed == 0);
    ck_ok(amun_pgd_l2_options_init(&pgd, sizeof pgd));
    ck_assert(pgd.eps == 1.0 && pgd.step == 0.2 && pgd.steps == 10 && pgd.random_start == 1);
    ck_ok(amun_search_options_init(&search, sizeof search));
    ck_assert(search.norm == AMUN_NORM_L2 && search.steps == 50 && search.eps0 == 0.04);
    ck_assert(search.growth == 2.0 && search.step_divisor == 10.0 && search.eps_max == 0.0);
    ck_assert(search.restart == 0 && search.margin_fallback == 1 && search.batch == 128);
    ck_assert(search.on_failure == AMUN_FAILURE_LEAVE_OUT && search.seed == 0);
}
END_TEST

START_TEST(test_bad_options)
{
    amun_attack *attack = (amun_attack *)(void *)ctx;
    amun_search_options o;
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        o = search_options();                                                                      \
        o.member = (value);                                                                        \
        attack = (amun_attack *)(void *)ctx;                                                       \
        ck_fails(amun_attack_create_search(&attack, ctx, &o), AMUN_ERROR_INVALID_ARGUMENT,         \
                 #member);                                                                         \
        ck_assert_ptr_null(attack);                                                                \
    } while (0)
    REFUSED(eps0, 0.0);
    REFUSED(eps0, NAN);
    REFUSED(eps0, 1001.0);
    REFUSED(growth, 1.0);
    REFUSED(growth, 101.0);
    REFUSED(steps, 0);
    REFUSED(steps, 10001);
    REFUSED(step_divisor, 0.5);
    REFUSED(eps_max, 0.03); /* below eps0 */
    REFUSED(eps_max, -1.0);
    REFUSED(norm, 0);
    REFUSED(norm, 3);
    REFUSED(restart, 2);
    REFUSED(margin_fallback, -1);
    REFUSED(on_failure, 5);
    REFUSED(batch, 0);
    REFUSED(batch, 4097);
    REFUSED(struct_size, 3);
#undef REFUSED
    amun_pgd_options pgd;
    ck_ok(amun_pgd_l2_options_init(&pgd, sizeof pgd));
    pgd.eps = NAN;
    ck_fails(amun_attack_create_pgd_l2(&attack, ctx, &pgd), AMUN_ERROR_INVALID_ARGUMENT, "eps");
    ck_ok(amun_pgd_l2_options_init(&pgd, sizeof pgd));
    pgd.legacy_normalised_clamp = 2;
    ck_fails(amun_attack_create_pgd_linf(&attack, ctx, &pgd), AMUN_ERROR_INVALID_ARGUMENT,
             "legacy_normalised_clamp");
    ck_fails(amun_attack_create_fgsm(NULL, ctx, NULL), AMUN_ERROR_INVALID_ARGUMENT, "attack");
    ck_fails(amun_attack_create_fgsm(&attack, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "ctx");
    ck_ok(amun_attack_create_ffgsm(&attack, ctx, NULL));
    ck_assert_ptr_eq(amun_attack_ref(attack), attack);
    amun_attack_unref(attack);
    amun_attack_unref(attack);
    amun_attack_unref(NULL);
    ck_assert_ptr_null(amun_attack_ref(NULL));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("attack");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_oracle, 0, CASES);
    tcase_add_loop_test(tc, test_bounds_and_batches, 0, CASES);
    tcase_add_loop_test(tc, test_deterministic, 0, CASES);
    tcase_add_test(tc, test_random_starts);
    tcase_add_test(tc, test_layouts);
    tcase_add_test(tc, test_nan_weights);
    tcase_add_test(tc, test_bad_samples);
    tcase_add_test(tc, test_bad_views);
    tcase_add_test(tc, test_busy);
    tcase_add_test(tc, test_cancel_and_progress);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_bad_options);
    return amun_test_main("attack", (TCase *[]){tc, NULL});
}
