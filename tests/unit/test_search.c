/* The epsilon search: the golden toy, its failures and policies, an oracle that searches one sample
 * at a time, and independence of the batch. */
#include "attack_fixture.h"

static test_allocator allocator;
static amun_context *ctx;
static amun_dataset *data;
static amun_model *network;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
}

static void setup_digits(void)
{
    setup();
    data = digits(ctx);
    network = digits_model(ctx, data);
}

static void teardown(void)
{
    amun_model_unref(network);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
    network = NULL;
    data = NULL;
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* One sample (0.5, 0.5) through a model of two inputs. */
typedef struct toy_result {
    amun_attack_record record;
    float image[2];
} toy_result;

static toy_result run_toy(const amun_model *model, int64_t label,
                          const amun_search_options *options)
{
    samples s;
    toy_result result;
    samples_open(&s, 1, 2, 1, 1);
    s.images[0] = s.images[1] = 0.5f;
    s.labels[0] = label;
    s.ids[0] = 77;
    amun_attack *attack = search_attack(ctx, options);
    ck_ok(samples_run(&s, attack, model));
    amun_attack_unref(attack);
    result.record = s.records[0];
    memcpy(result.image, s.adversarial, sizeof result.image);
    samples_close(&s);
    ck_assert_int_eq(result.record.index, 77);
    ck_assert_int_eq(result.record.label, label);
    ck_assert_uint_eq(result.record.input_hash, 0);
    return result;
}

static void assert_failed(const toy_result *r, amun_attack_outcome outcome)
{
    ck_assert_int_eq(r->record.outcome, outcome);
    ck_assert(r->image[0] == 0.5f && r->image[1] == 0.5f);
    ck_assert(r->record.l2 == 0.0 && r->record.linf == 0.0);
    ck_assert_int_eq(r->record.adversarial, r->record.predicted);
}

/* Round 1 reaches x1 = 0.46 after 10 updates and sits on the ball for 40; two more flip it. */
START_TEST(test_golden)
{
    amun_model *model = toy_model(ctx, 1.0f);
    for (amun_norm norm = AMUN_NORM_L2; norm <= AMUN_NORM_LINF; norm++) {
        amun_search_options options = search_options();
        options.norm = norm; /* one input matters: both norms walk the same line */
        toy_result r = run_toy(model, 0, &options);
        ck_close(r.image[0], 0.444, 1e-6);
        ck_assert(r.image[1] == 0.5f);
        ck_assert_int_eq(r.record.outcome, AMUN_ATTACK_FLIPPED);
        ck_assert_int_eq(r.record.predicted, 0);
        ck_assert_int_eq(r.record.adversarial, 1);
        ck_close(r.record.eps, 0.08, 1e-12);
        ck_close(r.record.l2, 0.056, 1e-6);
        ck_close(r.record.linf, 0.056, 1e-6);
        ck_assert_int_eq(r.record.updates, 52);
        ck_assert_uint_eq(r.record.flags, 0);
    }
    amun_model_unref(model);
}
END_TEST

START_TEST(test_golden_wrong_already)
{
    amun_model *model = toy_model(ctx, 1.0f);
    toy_result r = run_toy(model, 1, NULL);
    ck_assert(r.image[0] == 0.5f && r.image[1] == 0.5f);
    ck_assert_int_eq(r.record.outcome, AMUN_ATTACK_FLIPPED);
    ck_assert_int_eq(r.record.predicted, 0);
    ck_assert_int_eq(r.record.adversarial, 0);
    ck_close(r.record.eps, 0.04, 1e-12);
    ck_assert(r.record.l2 == 0.0);
    ck_assert_int_eq(r.record.updates, 0);
    amun_model_unref(model);
}
END_TEST

/* From the image again: 0.008 per step, the seventh of round 2 crosses 0.45. */
START_TEST(test_restart)
{
    amun_model *model = toy_model(ctx, 1.0f);
    amun_search_options options = search_options();
    options.restart = 1;
    toy_result r = run_toy(model, 0, &options);
    ck_close(r.image[0], 0.444, 1e-6);
    ck_close(r.record.eps, 0.08, 1e-12);
    ck_assert_int_eq(r.record.updates, 57);
    amun_model_unref(model);
}
END_TEST

START_TEST(test_growth_and_divisor)
{
    amun_model *model = toy_model(ctx, 1.0f);
    amun_search_options options = search_options();
    options.eps0 = 0.01;
    options.growth = 3.0;
    options.steps = 5;
    options.step_divisor = 5.0;
    /* 0.002 x 5 -> 0.49; 0.006 x 5 -> 0.47 (on the ball); 0.018 -> 0.452, 0.434 */
    toy_result r = run_toy(model, 0, &options);
    ck_close(r.image[0], 0.434, 1e-6);
    ck_close(r.record.eps, 0.09, 1e-12);
    ck_assert_int_eq(r.record.updates, 12);
    amun_model_unref(model);
}
END_TEST

START_TEST(test_failed_gradient)
{
    const float zeros[4] = {0}, bias[2] = {1.0f, 0.0f};
    amun_model *model = linear_model(ctx, 2, 2, zeros, bias);
    toy_result r = run_toy(model, 0, NULL);
    assert_failed(&r, AMUN_ATTACK_FAILED_GRADIENT);
    ck_assert_int_eq(r.record.predicted, 0);
    ck_assert_int_eq(r.record.updates, 0);
    ck_assert_uint_eq(r.record.flags, 0);
    amun_model_unref(model);
}
END_TEST

START_TEST(test_failed_cap)
{
    amun_model *model = toy_model(ctx, 1.0f);
    amun_search_options options = search_options();
    options.eps_max = 0.079;
    toy_result r = run_toy(model, 0, &options);
    assert_failed(&r, AMUN_ATTACK_FAILED_CAP);
    ck_close(r.record.eps, 0.04, 1e-12);
    ck_assert_int_eq(r.record.updates, 50);
    options.eps_max = 0.08; /* exactly reached is allowed */
    ck_assert_int_eq(run_toy(model, 0, &options).record.outcome, AMUN_ATTACK_FLIPPED);
    amun_model_unref(model);

    /* z = (2 + x1, 0): nothing in the box flips it. sqrt(2) allows radii up to 1.28: 6 rounds. */
    const float weight[4] = {1.0f, 0.0f, 0.0f, 0.0f}, bias[2] = {2.0f, 0.0f};
    model = linear_model(ctx, 2, 2, weight, bias);
    r = run_toy(model, 0, NULL);
    assert_failed(&r, AMUN_ATTACK_FAILED_CAP);
    ck_close(r.record.eps, 1.28, 1e-12);
    ck_assert_int_eq(r.record.updates, 300);
    options = search_options();
    options.norm = AMUN_NORM_LINF; /* cap 1: 5 rounds */
    r = run_toy(model, 0, &options);
    assert_failed(&r, AMUN_ATTACK_FAILED_CAP);
    ck_close(r.record.eps, 0.64, 1e-12);
    ck_assert_int_eq(r.record.updates, 250);
    amun_model_unref(model);
}
END_TEST

START_TEST(test_failed_numeric)
{
    amun_model *model = toy_model(ctx, 1.0f);
    poison_model(model);
    toy_result r = run_toy(model, 0, NULL);
    assert_failed(&r, AMUN_ATTACK_FAILED_NUMERIC);
    ck_assert_int_eq(r.record.predicted, -1);
    amun_model_unref(model);
}
END_TEST

/* p_0 = 1 - 2e-22 and 1 - 7e-218: the gradient is below 1e-8, then zero in float. */
START_TEST(test_margin_fallback)
{
    const float scales[] = {1e3f, 1e4f};
    for (size_t i = 0; i < 2; i++) {
        amun_model *model = toy_model(ctx, scales[i]);
        amun_search_options options = search_options();
        toy_result r = run_toy(model, 0, &options);
        ck_assert_int_eq(r.record.outcome, AMUN_ATTACK_FLIPPED);
        ck_close(r.image[0], 0.444, 1e-6);
        ck_assert_int_eq(r.record.updates, 52);
        ck_assert_uint_eq(r.record.flags, AMUN_ATTACK_MARGIN_FALLBACK);
        options.margin_fallback = 0;
        r = run_toy(model, 0, &options);
        assert_failed(&r, i == 0 ? AMUN_ATTACK_FAILED_CAP : AMUN_ATTACK_FAILED_GRADIENT);
        ck_assert_uint_eq(r.record.flags, 0);
        amun_model_unref(model);
    }
}
END_TEST

/* ---- policies -------------------------------------------------------------------------------- */

/* z = (height - relu(x1 - 0.5), 0): flat at x1 = 0.5, falling to the right of it. */
static amun_model *dead_model(float height)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    const float first[2] = {1.0f, 0.0f}, first_bias = -0.5f;
    const float second[2] = {-1.0f, 0.0f}, second_bias[2] = {height, 0.0f};
    ck_ok(amun_graph_create(&graph, ctx, 2, 1, 1));
    ck_ok(amun_graph_flatten(&node, graph, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "fc1", 1, 1));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc2", 2, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 0));
    amun_graph_unref(graph);
    ck_ok(amun_model_set_tensor(model, "fc1.weight", first, 2));
    ck_ok(amun_model_set_tensor(model, "fc1.bias", &first_bias, 1));
    ck_ok(amun_model_set_tensor(model, "fc2.weight", second, 2));
    ck_ok(amun_model_set_tensor(model, "fc2.bias", second_bias, 2));
    return model;
}

START_TEST(test_retry)
{
    enum { COUNT = 32 };
    amun_model *model = dead_model(0.01f);
    amun_search_options options = search_options();
    options.on_failure = AMUN_FAILURE_RETRY;
    options.seed = 3;
    samples s;
    samples_open(&s, COUNT, 2, 1, 1);
    for (size_t i = 0; i < COUNT; i++) {
        s.images[2 * i] = s.images[2 * i + 1] = 0.5f;
        s.ids[i] = 1000 + (int64_t)i;
    }
    amun_attack *attack = search_attack(ctx, &options);
    ck_ok(samples_run(&s, attack, model));
    size_t flipped = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const amun_attack_record *r = &s.records[i];
        ck_assert_uint_eq(r->flags & AMUN_ATTACK_RETRIED, AMUN_ATTACK_RETRIED);
        ck_assert_int_eq(r->predicted, 0);
        /* which half of the ball the start is in decides: replay it */
        amun__rng rng;
        amun__rng_open(&rng, 3, AMUN__RNG_ATTACK, 0, (uint64_t)(1000 + i));
        bool right = amun__rng_normal(&rng) > 0.0;
        ck_assert_int_eq(r->outcome, right ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_FAILED_GRADIENT);
        flipped += right;
        if (right) {
            ck_assert_int_eq(r->adversarial, 1);
            ck_assert(s.adversarial[2 * i] > 0.51f);
            ck_assert(r->l2 <= r->eps * (1 + 1e-6) && r->l2 > 0.01);
        }
    }
    ck_assert(flipped > 8 && flipped < 24);
    amun_attack_unref(attack);
    samples_close(&s);
    amun_model_unref(model);
}
END_TEST

/* ---- pilot -----------------------------------------------------------------------------------
 */

/* z = (x1 - 0.45, 0) at gaps 0.005, 0.015, 0.03, 0.07 and one that is wrong already: from 0.01 they
 * flip at radii 0.01, 0.02, 0.04, 0.08. */
START_TEST(test_pilot)
{
    enum { PILOT = 5, COUNT = 11 };
    const float gaps[PILOT] = {0.03f, -0.2f, 0.07f, 0.005f, 0.015f};
    const double radii[PILOT] = {0.04, 0.01, 0.08, 0.01, 0.02};
    const double percentiles[] = {0, 25, 26, 50, 75, 95, 100};
    const double starts[] = {0.01, 0.01, 0.02, 0.02, 0.04, 0.08, 0.08};
    amun_model *model = toy_model(ctx, 1.0f);
    for (size_t p = 0; p < 7; p++) {
        amun_search_options options = search_options();
        options.pilot = PILOT;
        options.pilot_percentile = percentiles[p];
        options.batch = 1 + (int32_t)p * 3;
        samples s;
        samples_open(&s, COUNT, 2, 1, 1);
        for (size_t i = 0; i < COUNT; i++) {
            s.images[2 * i] = 0.45f + (i < PILOT ? gaps[i] : 0.0005f);
            s.images[2 * i + 1] = 0.5f;
        }
        amun_attack *attack = search_attack(ctx, &options);
        ck_ok(samples_run(&s, attack, model));
        for (size_t i = 0; i < COUNT; i++) {
            ck_assert_int_eq(s.records[i].outcome, AMUN_ATTACK_FLIPPED);
            ck_close(s.records[i].eps, i < PILOT ? radii[i] : starts[p], 1e-12);
            if (i >= PILOT) { /* one step across */
                ck_assert_int_eq(s.records[i].updates, 1);
                ck_close(s.records[i].l2, starts[p] / 10, 1e-6);
            }
        }
        amun_attack_unref(attack);
        samples_close(&s);
    }
    amun_model_unref(model);
}
END_TEST

/* A pilot of everything; one in which nothing flips; one whose failure is an error. */
START_TEST(test_pilot_edges)
{
    enum { COUNT = 6 };
    amun_model *model = toy_model(ctx, 1.0f);
    amun_search_options options = search_options();
    samples s;
    samples_open(&s, COUNT, 2, 1, 1);
    for (size_t i = 0; i < COUNT; i++) {
        s.images[2 * i] = i < 2 ? 0.95f : 0.451f; /* 0.5 away, and 0.001 */
        s.ids[i] = 50 + (int64_t)i;
    }
    options.pilot = 100;
    amun_attack *attack = search_attack(ctx, &options);
    ck_ok(samples_run(&s, attack, model));
    for (size_t i = 0; i < COUNT; i++) {
        ck_close(s.records[i].eps, i < 2 ? 0.64 : 0.01, 1e-12);
    }
    amun_attack_unref(attack);

    options.pilot = 2;
    options.eps_max = 0.2;
    attack = search_attack(ctx, &options);
    ck_ok(samples_run(&s, attack, model));
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(s.records[i].outcome,
                         i < 2 ? AMUN_ATTACK_FAILED_CAP : AMUN_ATTACK_FLIPPED);
        ck_close(s.records[i].eps, i < 2 ? 0.16 : 0.04, 1e-12);
    }
    amun_attack_unref(attack);

    options.on_failure = AMUN_FAILURE_ERROR;
    attack = search_attack(ctx, &options);
    ck_fails(samples_run(&s, attack, model), AMUN_ERROR_NUMERIC, "sample 50");
    amun_attack_unref(attack);
    samples_close(&s);
    amun_model_unref(model);
}
END_TEST

/* The message names the lowest failing sample whatever the batch is. */
START_TEST(test_policy_error)
{
    enum { COUNT = 20 };
    /* z = (0.2 - relu(x1 - 0.5), 0) with cap 0.04: 0.5 has no gradient and fails at once, 0.51
     * fails at the cap after 50 steps, 0.69 flips after 3 */
    amun_model *model = dead_model(0.2f);
    const int32_t batches[] = {1, 7, 128};
    for (size_t b = 0; b < 3; b++) {
        amun_search_options options = search_options();
        options.eps_max = 0.04;
        options.on_failure = AMUN_FAILURE_ERROR;
        options.batch = batches[b];
        samples s;
        samples_open(&s, COUNT, 2, 1, 1);
        for (size_t i = 0; i < COUNT; i++) {
            s.images[2 * i] = i == 5 ? 0.51f : i == 6 || i == 13 ? 0.5f : 0.69f;
            s.ids[i] = 300 + (int64_t)i;
        }
        amun_attack *attack = search_attack(ctx, &options);
        ck_fails(samples_run(&s, attack, model), AMUN_ERROR_NUMERIC, "sample 305");
        amun_attack_unref(attack);
        samples_close(&s);
    }
    amun_model_unref(model);
}
END_TEST

/* ---- an oracle: the same search, written for one sample at a time
 * -------------------------------- */

static double norm_of(const double *v, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i] * v[i];
    }
    return sqrt(sum);
}

/* Gradient of CE at `a` by a plan for one image; the logits' argmax. */
static int32_t oracle_gradient(amun__plan *plan, const float *a, int32_t label, double *g)
{
    float logits[DIGIT_CLASSES], seed[DIGIT_CLASSES], diff[DIGIT_PIXELS];
    double p[DIGIT_CLASSES];
    ck_ok(amun__plan_forward(plan, a, logits));
    amun__loss_softmax(logits, DIGIT_CLASSES, p);
    for (int32_t k = 0; k < DIGIT_CLASSES; k++) {
        seed[k] = (float)(p[k] - (k == label));
    }
    ck_ok(amun__plan_backward(plan, seed, diff, NULL));
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        g[i] = (double)diff[i];
    }
    return amun__loss_argmax(logits, DIGIT_CLASSES);
}

static void oracle_step(const amun_search_options *o, double eps, const float *x, const double *g,
                        float *a)
{
    double d[DIGIT_PIXELS];
    double length = norm_of(g, DIGIT_PIXELS) + 1e-10;
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        double sign = g[i] > 0 ? 1.0 : g[i] < 0 ? -1.0 : 0.0;
        double direction = o->norm == AMUN_NORM_L2 ? g[i] / length : sign;
        d[i] = (double)a[i] + eps / o->step_divisor * direction - (double)x[i];
    }
    double distance = norm_of(d, DIGIT_PIXELS);
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        if (o->norm == AMUN_NORM_LINF) {
            d[i] = fmin(fmax(d[i], -eps), eps);
        } else if (distance > eps) {
            d[i] *= eps / distance;
        }
        a[i] = (float)fmin(fmax((double)x[i] + d[i], 0.0), 1.0);
    }
}

static int32_t oracle_search(amun__plan *plan, const amun_search_options *o, const float *x,
                             int32_t label, float *a, double *eps, int32_t *updates)
{
    double g[DIGIT_PIXELS];
    memcpy(a, x, DIGIT_PIXELS * sizeof *a);
    *eps = o->eps0;
    *updates = 0;
    for (int32_t step = 0;; step++) {
        int32_t predicted = oracle_gradient(plan, a, label, g);
        if (predicted != label) {
            return predicted;
        }
        if (step == o->steps) {
            *eps *= o->growth;
            step = 0;
        }
        oracle_step(o, *eps, x, g, a);
        (*updates)++;
        ck_assert_int_lt(*updates, 1000);
    }
}

START_TEST(test_oracle)
{
    enum { COUNT = 12 };
    for (amun_norm norm = AMUN_NORM_L2; norm <= AMUN_NORM_LINF; norm++) {
        amun_search_options options = search_options();
        options.norm = norm;
        options.batch = 1; /* the same plan as the oracle's: the same float arithmetic */
        options.eps0 = norm == AMUN_NORM_L2 ? 0.1 : 0.02;
        options.steps = 10;
        amun_attack *attack = search_attack(ctx, &options);
        samples s;
        samples_open_digits(&s, data, NULL, COUNT);
        ck_ok(samples_run(&s, attack, network));
        amun__plan *plan = NULL;
        ck_ok(amun__model_lease(network, 1, AMUN__MODE_ATTACK, &plan));
        for (size_t i = 0; i < COUNT; i++) {
            float a[DIGIT_PIXELS];
            double eps;
            int32_t updates;
            int32_t label = oracle_search(plan, &options, s.images + i * s.pixels,
                                          (int32_t)s.labels[i], a, &eps, &updates);
            ck_assert_int_eq(s.records[i].outcome, AMUN_ATTACK_FLIPPED);
            ck_assert_int_eq(s.records[i].adversarial, label);
            ck_assert_int_eq(s.records[i].updates, updates);
            ck_close(s.records[i].eps, eps, 1e-12);
            for (size_t k = 0; k < s.pixels; k++) {
                ck_close(s.adversarial[i * s.pixels + k], a[k], 2e-6);
            }
        }
        amun__model_release(network, plan);
        amun_attack_unref(attack);
        samples_close(&s);
    }
}
END_TEST

/* ---- properties -------------------------------------------------------------------------------
 */

/* What must hold for every result: bounds, box, labels as the model sees them. */
static void check_results(const samples *s, const amun_model *model)
{
    float logits[DIGIT_CLASSES];
    for (size_t i = 0; i < s->count; i++) {
        const amun_attack_record *r = &s->records[i];
        const float *a = s->adversarial + i * s->pixels;
        const float *x = s->images + i * s->pixels;
        double l2 = 0.0;
        ck_assert_int_eq(r->index, s->ids[i]);
        ck_assert_int_eq(r->outcome, AMUN_ATTACK_FLIPPED);
        ck_assert_int_ne(r->adversarial, r->label);
        for (size_t k = 0; k < s->pixels; k++) {
            ck_assert(a[k] >= 0.0f && a[k] <= 1.0f);
            l2 += ((double)a[k] - (double)x[k]) * ((double)a[k] - (double)x[k]);
        }
        ck_close(r->l2, sqrt(l2), 1e-9);
        ck_assert(r->l2 <= r->eps * (1 + 1e-6));
        amun_tensor_view image, out;
        const int64_t shape[4] = {1, 1, 8, 8}, logit_shape[2] = {1, DIGIT_CLASSES};
        float copy[DIGIT_PIXELS];
        memcpy(copy, a, sizeof copy);
        ck_ok(amun_tensor_view_init(&image, copy, AMUN_DTYPE_F32, 4, shape));
        ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, logit_shape));
        ck_ok(amun_model_predict(model, &image, &out, NULL));
        /* the decision may hang on the last bit; the winner is never further behind than that */
        float top = logits[0];
        for (size_t k = 1; k < DIGIT_CLASSES; k++) {
            top = fmaxf(top, logits[k]);
        }
        ck_assert(logits[r->adversarial] >= top - 1e-4f);
    }
}

START_TEST(test_batch_independence)
{
    enum { COUNT = 44 };
    int64_t order[COUNT];
    const int32_t batches[] = {1, 7, 128, 16};
    samples runs[4];
    for (size_t b = 0; b < 4; b++) {
        amun_search_options options = search_options();
        options.batch = batches[b];
        options.steps = 10;
        options.eps0 = 0.1;
        shuffled(order, COUNT);
        samples_open_digits(&runs[b], data, b == 3 ? order : NULL, COUNT);
        amun_attack *attack = search_attack(ctx, &options);
        ck_ok(samples_run(&runs[b], attack, network));
        check_results(&runs[b], network);
        amun_attack_unref(attack);
    }
    size_t radii = 0;
    for (size_t b = 1; b < 4; b++) {
        for (size_t i = 0; i < COUNT; i++) {
            const amun_attack_record *r = &runs[b].records[i];
            const amun_attack_record *e = &runs[0].records[r->index];
            ck_assert_int_eq(r->label, e->label);
            ck_assert_int_eq(r->predicted, e->predicted);
            ck_assert_int_eq(r->adversarial, e->adversarial);
            ck_assert_int_eq(r->updates, e->updates);
            ck_assert_uint_eq(r->flags, e->flags);
            ck_assert(r->eps == e->eps);
            ck_close(r->l2, e->l2, 1e-4);
            ck_close(r->linf, e->linf, 1e-4);
            radii += r->eps > 0.1;
        }
    }
    ck_assert(radii > COUNT / 2); /* the search had to grow for a fair part of them */
    for (size_t b = 0; b < 4; b++) {
        samples_close(&runs[b]);
    }
}
END_TEST

START_TEST(test_deterministic)
{
    enum { COUNT = 70 };
    samples runs[2];
    for (size_t b = 0; b < 2; b++) {
        amun_search_options options = search_options();
        options.batch = 32;
        options.eps0 = 0.1;
        options.steps = 10;
        samples_open_digits(&runs[b], data, NULL, COUNT);
        amun_attack *attack = search_attack(ctx, &options);
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

/* Slots are refilled and packed while some samples flip at once and some fail late. */
START_TEST(test_mixed_lengths)
{
    enum { COUNT = 37 };
    amun_model *model = toy_model(ctx, 1.0f);
    const int32_t batches[] = {1, 5, 64};
    for (size_t b = 0; b < 3; b++) {
        amun_search_options options = search_options();
        options.batch = batches[b];
        options.eps_max = 0.3;
        samples s;
        samples_open(&s, COUNT, 2, 1, 1);
        for (size_t i = 0; i < COUNT; i++) {
            s.images[2 * i] = 0.44f + 0.015f * (float)((i * 11) % COUNT);
            s.images[2 * i + 1] = 0.25f;
        }
        amun_attack *attack = search_attack(ctx, &options);
        ck_ok(samples_run(&s, attack, model));
        for (size_t i = 0; i < COUNT; i++) {
            /* radii 0.04, 0.08, 0.16; each round ends on its ball, the last allowed at 0.16 */
            double gap = (double)s.images[2 * i] - 0.45;
            const amun_attack_record *r = &s.records[i];
            ck_assert_int_eq(r->outcome, gap < 0.16 ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_FAILED_CAP);
            double eps = gap < 0.04 ? 0.04 : gap < 0.08 ? 0.08 : 0.16;
            ck_close(r->eps, eps, 1e-12);
            ck_assert(s.adversarial[2 * i + 1] == 0.25f);
            if (gap < 0) {
                ck_assert(r->l2 == 0.0);
            } else if (gap < 0.16) {
                ck_assert(r->l2 > gap - 1e-6 && r->l2 < gap + eps / 10 + 1e-6);
            } else {
                ck_assert_int_eq(r->updates, 150);
            }
        }
        amun_attack_unref(attack);
        samples_close(&s);
    }
    amun_model_unref(model);
}
END_TEST

static int32_t cancel_later(const amun_progress *progress, void *user_data)
{
    int32_t *calls = user_data;
    ck_assert_str_eq(progress->phase, "attack");
    ck_assert(progress->step <= progress->total && progress->metric >= 0.0);
    return ++*calls == 3;
}

START_TEST(test_cancel)
{
    samples s;
    int32_t calls = 0;
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = cancel_later;
    call.user_data = &calls;
    call.min_interval_ms = 0;
    samples_open_digits(&s, data, NULL, 40);
    amun_attack *attack = search_attack(ctx, NULL);
    ck_fails(amun_attack_run(attack, network, &s.image_view, &s.label_view, s.ids,
                             &s.adversarial_view, s.records, &call),
             AMUN_ERROR_CANCELLED, "attack");
    ck_assert_int_eq(calls, 3);
    ck_ok(samples_run(&s, attack, network)); /* nothing is left held */
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

/* Every allocation may fail: OUT_OF_MEMORY each time, and teardown finds no leak. */
START_TEST(test_out_of_memory)
{
    amun_model *model = toy_model(ctx, 1.0f);
    amun_search_options options = search_options();
    options.method = 1 + _i % 3;
    options.pilot = _i == 3 ? 2 : 0;
    amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
    int64_t n = 1;
    for (; status == AMUN_ERROR_OUT_OF_MEMORY; n++) {
        samples s;
        samples_open(&s, 3, 2, 1, 1);
        s.images[0] = s.images[2] = s.images[4] = 0.5f;
        amun_attack *attack = NULL;
        atomic_store(&allocator.fail_at, n);
        status = amun_attack_create_search(&attack, ctx, &options);
        if (status == AMUN_OK) {
            status = samples_run(&s, attack, model);
        }
        atomic_store(&allocator.fail_at, 0);
        amun_attack_unref(attack);
        samples_close(&s);
        amun__model_trim(model);
        ck_assert_int_lt(n, 1000);
    }
    ck_assert_int_eq(status, AMUN_OK);
    ck_assert_int_gt(n, 8);
    amun_model_unref(model);
}
END_TEST

int main(void)
{
    TCase *toy = tcase_create("toy");
    tcase_add_checked_fixture(toy, setup, teardown);
    tcase_add_test(toy, test_golden);
    tcase_add_test(toy, test_golden_wrong_already);
    tcase_add_test(toy, test_restart);
    tcase_add_test(toy, test_growth_and_divisor);
    tcase_add_test(toy, test_failed_gradient);
    tcase_add_test(toy, test_failed_cap);
    tcase_add_test(toy, test_failed_numeric);
    tcase_add_test(toy, test_margin_fallback);
    tcase_add_test(toy, test_retry);
    tcase_add_test(toy, test_policy_error);
    tcase_add_test(toy, test_pilot);
    tcase_add_test(toy, test_pilot_edges);
    tcase_add_test(toy, test_mixed_lengths);
    tcase_add_loop_test(toy, test_out_of_memory, 0, 4);
    TCase *real = tcase_create("digits");
    tcase_add_unchecked_fixture(real, setup_digits, teardown);
    tcase_add_test(real, test_oracle);
    tcase_add_test(real, test_batch_independence);
    tcase_add_test(real, test_deterministic);
    tcase_add_test(real, test_cancel);
    return amun_test_main("search", (TCase *[]){toy, real, NULL});
}
