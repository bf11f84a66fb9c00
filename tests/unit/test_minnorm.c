/* DDN and FMN: distances that are known in closed form for linear models, a two-layer network
 * against references in plain double, hand-made walks, failures, and independence of the batch. */
#include <stddef.h>

#include "attack_setup.h"

static amun_search_options method_options(amun_search_method method, int32_t steps)
{
    amun_search_options o = search_options();
    o.method = method;
    o.steps = steps;
    return o;
}

static void run_with(samples *s, const amun_search_options *o, const amun_model *model)
{
    amun_attack *attack = search_attack(ctx, o);
    ck_ok(samples_run(s, attack, model));
    amun_attack_unref(attack);
}

/* ---- linear models ----------------------------------------------------------------------------
 */

enum { INPUTS = 12 };

/* w . (x + d) + bias = 0 for the shortest d with x + d in the box: d = clamp(-t w), by bisection
 * over t. */
static double boxed_distance(const float *w, double bias, const float *x)
{
    double low = 0.0, high = 1e4, distance = 0.0;
    for (int32_t i = 0; i < 200; i++) {
        double t = 0.5 * (low + high), value = bias, sum = 0.0;
        for (size_t k = 0; k < INPUTS; k++) {
            double a = fmax(0.0, fmin(1.0, (double)x[k] - t * (double)w[k]));
            value += (double)w[k] * a;
            sum += (a - (double)x[k]) * (a - (double)x[k]);
        }
        distance = sqrt(sum);
        low = value > 0.0 ? t : low;
        high = value > 0.0 ? high : t;
    }
    return distance;
}

/* Images of class 0: grey ones, or black and white ones. */
static void fill_linear(samples *s, const float *w, double bias, bool walls)
{
    amun__rng rng;
    amun__rng_open(&rng, 5, AMUN__RNG_TEST, 1, 0);
    for (size_t i = 0; i < s->count;) {
        double value = bias;
        for (size_t k = 0; k < INPUTS; k++) {
            double v = amun__rng_uniform(&rng);
            bool white = amun__rng_uniform(&rng) < 0.5;
            v = !walls ? 0.4 + 0.2 * v : white ? 1.0 - 0.03 * v : 0.03 * v;
            s->images[i * INPUTS + k] = (float)v;
            value += (double)w[k] * (double)(float)v;
        }
        i += value > 0.02;
    }
}

/* Far from the walls the nearest point of the other class is |margin| / |w| away. Near them the
 * walk slides along, and the optimum is the boxed one. */
START_TEST(test_linear_distance)
{
    enum { COUNT = 40 };
    const amun_search_method method = _i % 2 == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN;
    const bool walls = _i >= 2;
    float weight[2 * INPUTS] = {0}, bias[2] = {0};
    double length = 0.0;
    amun__rng rng;
    amun__rng_open(&rng, 5, AMUN__RNG_TEST, 0, 0);
    for (size_t k = 0; k < INPUTS; k++) {
        weight[k] = (float)amun__rng_normal(&rng);
        length += (double)weight[k] * (double)weight[k];
        bias[0] -= 0.5f * weight[k];
    }
    length = sqrt(length);
    amun_model *model = linear_model(ctx, INPUTS, 2, weight, bias);
    amun_search_options o = method_options(method, 100);
    samples s;
    samples_open(&s, COUNT, INPUTS, 1, 1);
    fill_linear(&s, weight, (double)bias[0], walls);
    run_with(&s, &o, model);
    size_t stretched = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const amun_attack_record *r = &s.records[i];
        double value = (double)bias[0];
        for (size_t k = 0; k < INPUTS; k++) {
            value += (double)weight[k] * (double)s.images[i * INPUTS + k];
        }
        double optimum = boxed_distance(weight, (double)bias[0], s.images + i * INPUTS);
        if (!walls) {
            ck_close(optimum, value / length, 1e-9);
        }
        ck_assert_int_eq(r->outcome, AMUN_ATTACK_FLIPPED);
        ck_assert_int_eq(r->updates, 100);
        ck_assert(r->l2 <= r->eps * (1 + 1e-5));
        ck_assert_msg(r->l2 >= optimum * (1 - 1e-4), "%zu: %g, nearest %g", i, r->l2, optimum);
        /* DDN's radius moves by a twentieth to the end */
        double slack = method == AMUN_SEARCH_DDN ? 1.05 : walls ? 1.02 : 1.005;
        ck_assert_msg(r->l2 <= optimum * slack, "%zu: %g, nearest %g", i, r->l2, optimum);
        stretched += optimum > 1.01 * value / length;
    }
    ck_assert(walls ? stretched > COUNT / 4 : stretched == 0); /* by the walls of the box */
    amun_model_unref(model);
    samples_close(&s);
}
END_TEST

/* ---- two layers, in double --------------------------------------------------------------------
 */

enum { HIDDEN = 40, OUTPUTS = 4 };

typedef struct layers {
    float w1[HIDDEN * INPUTS], b1[HIDDEN], w2[OUTPUTS * HIDDEN], b2[OUTPUTS];
} layers;

static amun_model *two_layers(layers *l)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    amun__rng rng;
    amun__rng_open(&rng, 8, AMUN__RNG_TEST, 0, 0);
    float *const arrays[] = {l->w1, l->b1, l->w2, l->b2};
    const size_t counts[] = {HIDDEN * INPUTS, HIDDEN, OUTPUTS * HIDDEN, OUTPUTS};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < counts[i]; k++) {
            arrays[i][k] = (float)(0.7 * amun__rng_normal(&rng));
        }
    }
    ck_ok(amun_graph_create(&graph, ctx, INPUTS, 1, 1));
    ck_ok(amun_graph_flatten(&node, graph, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "fc1", HIDDEN, 1));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc2", OUTPUTS, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 0));
    amun_graph_unref(graph);
    ck_ok(amun_model_set_tensor(model, "fc1.weight", l->w1, HIDDEN * INPUTS));
    ck_ok(amun_model_set_tensor(model, "fc1.bias", l->b1, HIDDEN));
    ck_ok(amun_model_set_tensor(model, "fc2.weight", l->w2, OUTPUTS * HIDDEN));
    ck_ok(amun_model_set_tensor(model, "fc2.bias", l->b2, OUTPUTS));
    return model;
}

/* Logits at a, and hidden values. */
static int32_t reference_logits(const layers *l, const double *a, double *hidden, double *z)
{
    int32_t top = 0;
    for (size_t h = 0; h < HIDDEN; h++) {
        hidden[h] = (double)l->b1[h];
        for (size_t k = 0; k < INPUTS; k++) {
            hidden[h] += (double)l->w1[h * INPUTS + k] * a[k];
        }
        hidden[h] = hidden[h] > 0.0 ? hidden[h] : 0.0;
    }
    for (int32_t c = 0; c < OUTPUTS; c++) {
        z[c] = (double)l->b2[c];
        for (size_t h = 0; h < HIDDEN; h++) {
            z[c] += (double)l->w2[(size_t)c * HIDDEN + h] * hidden[h];
        }
        top = z[c] > z[top] ? c : top;
    }
    return top;
}

static void reference_gradient(const layers *l, const double *hidden, const double *seed, double *g)
{
    memset(g, 0, INPUTS * sizeof *g);
    for (size_t h = 0; h < HIDDEN; h++) {
        double back = 0.0;
        for (size_t c = 0; c < OUTPUTS; c++) {
            back += seed[c] * (double)l->w2[c * HIDDEN + h];
        }
        for (size_t k = 0; k < INPUTS && hidden[h] > 0.0; k++) {
            g[k] += back * (double)l->w1[h * INPUTS + k];
        }
    }
}

static double length_of(const double *v)
{
    double sum = 0.0;
    for (size_t k = 0; k < INPUTS; k++) {
        sum += v[k] * v[k];
    }
    return sqrt(sum);
}

typedef struct found {
    bool any;
    int32_t label;
    double distance, radius, image[INPUTS];
    double closest; /* smallest lead or lag of the label on the way */
    bool tied;      /* another iterate was as near: radii repeat in DDN */
} found;

/* What to go up along: the cross-entropy, or the margin. */
static double reference_seed(bool ddn, const double *z, int32_t label, double *seed)
{
    int32_t rival = label == 0 ? 1 : 0;
    double sum = 0.0;
    for (int32_t c = 0; c < OUTPUTS; c++) {
        rival = c != label && z[c] > z[rival] ? c : rival;
        sum += exp(z[c]);
    }
    for (int32_t c = 0; c < OUTPUTS; c++) {
        seed[c] = ddn ? exp(z[c]) / sum - (c == label) : (c == rival) - (c == label);
    }
    return z[label] - z[rival];
}

/* One step of either walk from d, at iterate k of n; the new radius. */
static double reference_step(bool ddn, const float *x, double *d, const double *g, double radius,
                             int32_t k, int32_t n)
{
    const double alpha = 0.01 + 0.99 * (1 + cos(acos(-1.0) * k / n)) / 2;
    double length = length_of(g);
    for (size_t i = 0; i < INPUTS; i++) {
        d[i] += alpha * g[i] / length;
    }
    double norm = length_of(d);
    double factor = ddn || norm > radius ? radius / norm : 1.0;
    for (size_t i = 0; i < INPUTS; i++) {
        double a = (double)x[i] + factor * d[i];
        d[i] = (a < 0.0 ? 0.0 : a > 1.0 ? 1.0 : a) - (double)x[i];
    }
    return radius;
}

static found reference_walk(const layers *l, bool ddn, const float *x, int32_t label, int32_t n)
{
    found best = {.closest = HUGE_VAL};
    double d[INPUTS] = {0}, a[INPUTS], hidden[HIDDEN], z[OUTPUTS], seed[OUTPUTS], g[INPUTS];
    double radius = ddn ? 1.0 : 0.0;
    for (int32_t k = 0; k <= n; k++) {
        for (size_t i = 0; i < INPUTS; i++) {
            a[i] = (double)x[i] + d[i];
        }
        int32_t now = reference_logits(l, a, hidden, z);
        best.tied |= now != label && best.any && fabs(length_of(d) - best.distance) < 1e-6;
        if (now != label && (!best.any || length_of(d) < best.distance)) {
            best.tied &= best.any && length_of(d) > best.distance - 1e-6;
            best.any = true;
            best.label = now;
            best.distance = length_of(d);
            best.radius = k == 0 ? 0.0 : radius;
            memcpy(best.image, a, sizeof a);
        }
        double gap = reference_seed(ddn, z, label, seed);
        best.closest = fmin(best.closest, fabs(gap));
        if (k == n || (k == 0 && best.any)) {
            break;
        }
        reference_gradient(l, hidden, seed, g);
        double gamma = ddn ? 0.05 : 0.001 + 0.049 * (1 + cos(acos(-1.0) * k / n)) / 2;
        if (ddn) {
            radius *= now != label ? 1 - gamma : 1 + gamma;
        } else if (now != label) {
            radius = fmin(radius * (1 - gamma), best.distance);
        } else if (best.any) {
            radius *= 1 + gamma;
        } else {
            radius = fmax(length_of(d) + gap / length_of(g), radius * (1 + gamma));
        }
        radius = reference_step(ddn, x, d, g, fmin(radius, sqrt(INPUTS)), k, n);
    }
    return best;
}

START_TEST(test_reference)
{
    enum { COUNT = 48, STEPS = 30 };
    const bool ddn = _i == 0;
    layers l;
    amun_model *model = two_layers(&l);
    amun_search_options o = method_options(ddn ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN, STEPS);
    samples s;
    samples_open(&s, COUNT, INPUTS, 1, 1);
    amun__rng rng;
    amun__rng_open(&rng, 9, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < COUNT; i++) {
        double a[INPUTS], hidden[HIDDEN], z[OUTPUTS];
        for (size_t k = 0; k < INPUTS; k++) {
            s.images[i * INPUTS + k] = (float)amun__rng_uniform(&rng);
            a[k] = (double)s.images[i * INPUTS + k];
        }
        s.labels[i] = (reference_logits(&l, a, hidden, z) + (i % 8 == 7)) % OUTPUTS;
    }
    run_with(&s, &o, model);
    size_t flipped = 0, unchanged = 0, compared = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const amun_attack_record *r = &s.records[i];
        const float *x = s.images + i * INPUTS;
        found best = reference_walk(&l, ddn, x, (int32_t)s.labels[i], STEPS);
        if (best.closest < 1e-5) {
            continue; /* on the boundary, as FMN is wherever the logits are linear: float decides */
        }
        ck_assert_int_eq(r->outcome, best.any ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_FAILED_BUDGET);
        if (!best.any) {
            continue;
        }
        flipped += r->l2 > 0.0;
        unchanged += r->l2 == 0.0;
        ck_assert_int_eq(r->adversarial, best.label);
        ck_close(r->l2, best.distance, 2e-5);
        ck_close(r->eps, best.radius, 2e-5);
        ck_assert_int_eq(r->updates, best.radius > 0.0 ? STEPS : 0);
        compared += !best.tied;
        for (size_t k = 0; k < INPUTS && !best.tied; k++) {
            ck_close(s.adversarial[i * INPUTS + k], best.image[k], 2e-5);
        }
    }
    ck_assert_uint_gt(flipped, COUNT / 4);
    ck_assert_uint_gt(unchanged, 0);
    ck_assert_uint_gt(compared, COUNT / 6);
    amun_model_unref(model);
    samples_close(&s);
}
END_TEST

/* ---- toys -------------------------------------------------------------------------------------
 */

/* One sample (0.5, 0.5) of label 0. */
static amun_attack_record run_toy(const amun_model *model, const amun_search_options *o,
                                  float image[2])
{
    samples s;
    samples_open(&s, 1, 2, 1, 1);
    s.images[0] = s.images[1] = 0.5f;
    run_with(&s, o, model);
    amun_attack_record record = s.records[0];
    memcpy(image, s.adversarial, 2 * sizeof *image);
    samples_close(&s);
    return record;
}

/* z = (x1 - 0.45, 0): radii 0.075 (wrong), 0.05625 (wrong), 0.0421875 (right), 0.052734375. */
START_TEST(test_golden_ddn)
{
    const float scales[] = {1.0f, 1e4f}; /* the second is saturated: the margin's gradient */
    for (size_t i = 0; i < 2; i++) {
        amun_model *model = toy_model(ctx, scales[i]);
        amun_search_options o = method_options(AMUN_SEARCH_DDN, 4);
        float a[2];
        o.init_norm = 0.06;
        o.gamma = 0.25;
        amun_attack_record r = run_toy(model, &o, a);
        ck_assert_int_eq(r.outcome, AMUN_ATTACK_FLIPPED);
        ck_close(r.eps, 0.052734375, 1e-12);
        ck_close(r.l2, 0.052734375, 1e-6);
        ck_close(a[0], 0.447265625, 1e-6);
        ck_assert(a[1] == 0.5f);
        ck_assert_int_eq(r.updates, 4);
        ck_assert_uint_eq(r.flags, i == 0 ? 0 : AMUN_ATTACK_MARGIN_FALLBACK);
        o.margin_fallback = 0;
        r = run_toy(model, &o, a);
        ck_assert_int_eq(r.outcome, i == 0 ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_FAILED_GRADIENT);
        o = method_options(AMUN_SEARCH_DDN, 4);
        o.eps_max = 0.049; /* stays right */
        o.eps0 = 0.01;
        r = run_toy(model, &o, a);
        ck_assert_int_eq(r.outcome, AMUN_ATTACK_FAILED_BUDGET);
        ck_assert(r.eps == 0.049 && r.l2 == 0.0 && a[0] == 0.5f);
        ck_assert_int_eq(r.updates, 4);
        amun_model_unref(model);
    }
}
END_TEST

/* A label that is wrong already, logits that no step moves, that no step turns, that are no
 * numbers. */
START_TEST(test_failures)
{
    const amun_search_method method = _i == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN;
    const float zeros[4] = {0}, one[4] = {1.0f, 0.0f, 0.0f, 0.0f};
    const float biases[][2] = {{1.0f, 0.0f}, {2.0f, 0.0f}, {-1.0f, 0.0f}};
    const amun_attack_outcome outcomes[] = {AMUN_ATTACK_FAILED_GRADIENT, AMUN_ATTACK_FAILED_BUDGET,
                                            AMUN_ATTACK_FLIPPED};
    amun_search_options o = method_options(method, 20);
    float a[2];
    for (size_t i = 0; i < 3; i++) {
        amun_model *model = linear_model(ctx, 2, 2, i == 0 ? zeros : one, biases[i]);
        amun_attack_record r = run_toy(model, &o, a);
        ck_assert_int_eq(r.outcome, outcomes[i]);
        ck_assert(a[0] == 0.5f && a[1] == 0.5f && r.l2 == 0.0);
        ck_assert_int_eq(r.updates, i == 1 ? 20 : 0);
        ck_assert_int_eq(r.adversarial, i == 2 ? 1 : 0);
        ck_assert(i == 1 ? r.eps > 0.0 && r.eps <= sqrt(2.0) : r.eps == 0.0);
        o.on_failure = AMUN_FAILURE_ERROR;
        amun_attack *attack = search_attack(ctx, &o);
        samples s;
        samples_open(&s, 1, 2, 1, 1);
        s.images[0] = s.images[1] = 0.5f;
        s.ids[0] = 41;
        if (i < 2) {
            ck_fails(samples_run(&s, attack, model), AMUN_ERROR_NUMERIC,
                     i == 0 ? "sample 41: zero or non-finite gradient"
                            : "sample 41: no flip within the steps");
        } else {
            ck_ok(samples_run(&s, attack, model));
        }
        o.on_failure = AMUN_FAILURE_LEAVE_OUT;
        amun_attack_unref(attack);
        samples_close(&s);
        amun_model_unref(model);
    }
    amun_model *model = toy_model(ctx, 1.0f);
    poison_model(model);
    amun_attack_record r = run_toy(model, &o, a);
    ck_assert_int_eq(r.outcome, AMUN_ATTACK_FAILED_NUMERIC);
    ck_assert(r.predicted == -1 && a[0] == 0.5f);
    amun_model_unref(model);
}
END_TEST

/* z = (0.01 - relu(x1 - 0.5), 0): no gradient at the image, one to the right of it. Which side the
 * random start is on decides. */
START_TEST(test_retry)
{
    enum { COUNT = 32 };
    const float first[2] = {1.0f, 0.0f}, first_bias = -0.5f;
    const float second[2] = {-1.0f, 0.0f}, second_bias[2] = {0.01f, 0.0f};
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
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
    amun_search_options o = method_options(_i == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN, 100);
    o.on_failure = AMUN_FAILURE_RETRY;
    o.seed = 3;
    samples s;
    samples_open(&s, COUNT, 2, 1, 1);
    for (size_t i = 0; i < COUNT; i++) {
        s.images[2 * i] = s.images[2 * i + 1] = 0.5f;
        s.ids[i] = 1000 + (int64_t)i;
    }
    run_with(&s, &o, model);
    size_t flipped = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const amun_attack_record *r = &s.records[i];
        amun__rng rng;
        amun__rng_open(&rng, 3, AMUN__RNG_ATTACK, 0, (uint64_t)(1000 + i));
        bool right = amun__rng_normal(&rng) > 0.0;
        ck_assert_uint_eq(r->flags & AMUN_ATTACK_RETRIED, AMUN_ATTACK_RETRIED);
        ck_assert_int_eq(r->outcome, right ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_FAILED_GRADIENT);
        ck_assert(!right || (r->l2 > 0.01 - 1e-6 && r->l2 < 0.05 && r->l2 <= r->eps * (1 + 1e-5)));
        flipped += right;
    }
    ck_assert(flipped > 8 && flipped < 24);
    amun_model_unref(model);
    samples_close(&s);
}
END_TEST

/* ---- digits -----------------------------------------------------------------------------------
 */

/* In the box, the smallest of what was seen, whatever the batch, the order and the neighbours. */
START_TEST(test_batches)
{
    enum { COUNT = 44 };
    const int32_t batches[] = {1, 7, 128, 16};
    int64_t order[COUNT];
    samples runs[4];
    shuffled(order, COUNT);
    amun_search_options o = method_options(_i == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN, 25);
    for (size_t b = 0; b < 4; b++) {
        samples_open_digits(&runs[b], data, b == 3 ? order : NULL, COUNT);
        runs[b].labels[b == 3 ? 0 : (size_t)order[0]] = 9 - runs[b].labels[b == 3 ? 0 : order[0]];
        o.batch = batches[b];
        run_with(&runs[b], &o, network);
        for (size_t i = 0; i < COUNT; i++) {
            const amun_attack_record *r = &runs[b].records[i], *e = &runs[0].records[r->index];
            for (size_t k = 0; k < DIGIT_PIXELS; k++) {
                float a = runs[b].adversarial[i * DIGIT_PIXELS + k];
                ck_assert(a >= 0.0f && a <= 1.0f);
                ck_close(a, runs[0].adversarial[(size_t)r->index * DIGIT_PIXELS + k], 2e-3);
            }
            ck_assert_int_eq(r->outcome, AMUN_ATTACK_FLIPPED);
            ck_assert_int_ne(r->adversarial, r->label);
            ck_assert_int_eq(r->predicted, e->predicted);
            ck_assert_int_eq(r->adversarial, e->adversarial);
            ck_assert_int_eq(r->updates, e->updates);
            ck_close(r->eps, e->eps, 1e-3);
            ck_close(r->l2, e->l2, 1e-3);
        }
        ck_assert_int_eq(runs[b].records[b == 3 ? 0 : (size_t)order[0]].updates, 0);
    }
    for (size_t b = 0; b < 4; b++) {
        samples_close(&runs[b]);
    }
}
END_TEST

START_TEST(test_deterministic)
{
    enum { COUNT = 70 };
    samples runs[2];
    amun_search_options o = method_options(_i == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN, 15);
    o.batch = 32;
    for (size_t b = 0; b < 2; b++) {
        samples_open_digits(&runs[b], data, NULL, COUNT);
        run_with(&runs[b], &o, network);
    }
    ck_assert_mem_eq(runs[0].records, runs[1].records, COUNT * sizeof runs[0].records[0]);
    ck_assert_mem_eq(runs[0].adversarial, runs[1].adversarial,
                     COUNT * DIGIT_PIXELS * sizeof(float));
    samples_close(&runs[0]);
    samples_close(&runs[1]);
}
END_TEST

/* A fixed number of steps finds what the growing radius finds, no farther on the whole. */
START_TEST(test_against_epsilon)
{
    enum { COUNT = 120 };
    samples s, t;
    samples_open_digits(&s, data, NULL, COUNT);
    samples_open_digits(&t, data, NULL, COUNT);
    amun_search_options o = method_options(AMUN_SEARCH_EPSILON, 50);
    run_with(&s, &o, network);
    o = method_options(_i == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN, 50);
    run_with(&t, &o, network);
    double epsilon = 0.0, fixed = 0.0, updates = 0.0, fewer = 0.0;
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(t.records[i].outcome, AMUN_ATTACK_FLIPPED);
        epsilon += s.records[i].l2;
        fixed += t.records[i].l2;
        updates += s.records[i].updates;
        fewer += t.records[i].updates;
    }
    ck_assert_msg(fixed < epsilon, "mean distance %g, growing radius %g", fixed / COUNT,
                  epsilon / COUNT);
    ck_assert_msg(fewer < updates / 3, "%g updates, growing radius %g", fewer, updates);
    samples_close(&s);
    samples_close(&t);
}
END_TEST

/* Into a set, a file, and back. */
START_TEST(test_set)
{
    enum { COUNT = 12 };
    int64_t indices[COUNT];
    amun_advset *set = NULL, *again = NULL;
    amun_search_options o = method_options(_i == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN, 2);
    const char *path = test_path("minnorm.safetensors");
    o.eps_max = 0.5; /* some fail */
    shuffled(indices, COUNT);
    amun_attack *attack = search_attack(ctx, &o);
    ck_ok(amun_advset_build(&set, attack, network, data, indices, COUNT, NULL));
    ck_ok(amun_advset_save(set, path));
    ck_ok(amun_advset_load(&again, data, path, ctx));
    ck_assert_mem_eq(amun_advset_records(set), amun_advset_records(again),
                     COUNT * sizeof(amun_attack_record));
    size_t failed = 0;
    for (size_t i = 0; i < COUNT; i++) {
        failed += amun_advset_records(again)[i].outcome == AMUN_ATTACK_FAILED_BUDGET;
    }
    ck_assert_uint_gt(failed, 0);
    ck_assert_uint_eq(amun_advset_found(again), COUNT - failed);
    amun_advset_unref(set);
    amun_advset_unref(again);
    amun_attack_unref(attack);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------------------
 */

START_TEST(test_bad_options)
{
    amun_attack *attack = NULL;
    amun_search_options o;
#define REFUSED(member, value, part)                                                               \
    do {                                                                                           \
        o = method_options(AMUN_SEARCH_FMN, 20);                                                   \
        o.member = (value);                                                                        \
        ck_fails(amun_attack_create_search(&attack, ctx, &o), AMUN_ERROR_INVALID_ARGUMENT, part);  \
        ck_assert_ptr_null(attack);                                                                \
    } while (0)
    REFUSED(method, 4, "method");
    REFUSED(method, 0, "method");
    REFUSED(norm, AMUN_NORM_LINF, "fmn knows l2 only");
    REFUSED(pilot, 100, "pilot: 100");
    REFUSED(pilot, -1, "pilot");
    REFUSED(pilot_eps, 0.0, "pilot_eps: 0 is");
    REFUSED(pilot_percentile, 101.0, "pilot_percentile");
    REFUSED(init_norm, 0.0, "init_norm");
    REFUSED(gamma, 0.91, "gamma");
    REFUSED(gamma_final, NAN, "gamma_final");
    REFUSED(alpha, 0.0, "alpha");
    REFUSED(alpha_final, -1.0, "alpha_final");
    REFUSED(eps_max, 0.03, "0.03");
#undef REFUSED
    o = method_options(AMUN_SEARCH_EPSILON, 20);
    o.pilot = 10;
    o.eps0 = 0.05;
    o.eps_max = 0.05;
    o.pilot_eps = 0.06;
    ck_fails(amun_attack_create_search(&attack, ctx, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "below pilot_eps = 0.06");
}
END_TEST

/* A program that was built before `method` was there passes 72 bytes, and gets what it had. */
START_TEST(test_older_programs)
{
    enum { OLDER = offsetof(amun_search_options, method) };
    ck_assert_int_eq(OLDER, 72);
    union {
        amun_search_options options;
        unsigned char bytes[sizeof(amun_search_options)];
    } u;
    memset(u.bytes, 0xee, sizeof u.bytes);
    ck_ok(amun_search_options_init(&u.options, OLDER));
    ck_assert_uint_eq(u.options.struct_size, OLDER);
    for (size_t i = OLDER; i < sizeof u.bytes; i++) {
        ck_assert_uint_eq(u.bytes[i], 0xee);
    }
    amun_model *model = toy_model(ctx, 1.0f);
    float a[2];
    amun_attack_record r = run_toy(model, &u.options, a);
    ck_assert_int_eq(r.updates, 52); /* the growing radius */
    ck_close(r.eps, 0.08, 1e-12);
    amun_model_unref(model);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("minnorm");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_linear_distance, 0, 4);
    tcase_add_loop_test(tc, test_reference, 0, 2);
    tcase_add_test(tc, test_golden_ddn);
    tcase_add_loop_test(tc, test_failures, 0, 2);
    tcase_add_loop_test(tc, test_retry, 0, 2);
    tcase_add_loop_test(tc, test_batches, 0, 2);
    tcase_add_loop_test(tc, test_deterministic, 0, 2);
    tcase_add_loop_test(tc, test_against_epsilon, 0, 2);
    tcase_add_loop_test(tc, test_set, 0, 2);
    tcase_add_test(tc, test_bad_options);
    tcase_add_test(tc, test_older_programs);
    return amun_test_main("minnorm", (TCase *[]){tc, NULL});
}
