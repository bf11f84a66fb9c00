/* APGD: its schedule and losses against hand-made values, one full run against an independent
 * re-implementation, the optimum of a linear model, PGD of the same budget, and independence of the
 * batch. MI-FGSM and the legacy clamp of PGD against naive loops. */
#include "attack_setup.h"
#include "attack/attack_private.h"

static amun_apgd_options apgd_options(amun_norm norm, double eps, int32_t steps)
{
    amun_apgd_options o;
    ck_ok(amun_apgd_options_init(&o, sizeof o));
    o.norm = norm;
    o.eps = eps;
    o.steps = steps;
    return o;
}

static amun_attack *apgd_attack(const amun_apgd_options *o)
{
    amun_attack *attack = NULL;
    ck_ok(amun_attack_create_apgd(&attack, ctx, o));
    return attack;
}

/* ---- schedule ---------------------------------------------------------------------------------
 */

START_TEST(test_checkpoints)
{
    /* p = 0, .22, .41, .57, .70, .80, .87, .93, .99, 1 (cut) */
    const int32_t hundred[] = {0, 22, 41, 57, 70, 80, 87, 93, 99, 100, 100};
    const int32_t ten[] = {0, 3, 5, 6, 7, 8, 9, 10, 10, 10};
    const int32_t fifty[] = {0, 11, 21, 29, 35, 40, 44, 47, 50, 50};
    for (int32_t j = 0; j < 11; j++) {
        ck_assert_int_eq(amun__apgd_checkpoint(j, 100), hundred[j]);
    }
    for (int32_t j = 0; j < 10; j++) {
        ck_assert_int_eq(amun__apgd_checkpoint(j, 10), ten[j]);
        ck_assert_int_eq(amun__apgd_checkpoint(j, 50), fifty[j]);
    }
    ck_assert_int_eq(amun__apgd_checkpoint(1, 1), 1);
    ck_assert_int_eq(amun__apgd_checkpoint(1, 10000), 2200);
}
END_TEST

/* ---- losses -----------------------------------------------------------------------------------
 */

START_TEST(test_losses)
{
    const float z[5] = {1.0f, 4.0f, -2.0f, 3.0f, 0.5f};
    amun__objective o = {.kind = AMUN__OBJECTIVE_MARGIN};
    ck_close(amun__objective_value(&o, z, 5, 1, NULL), -1.0, 1e-15);
    ck_close(amun__objective_value(&o, z, 5, 3, NULL), 1.0, 1e-15);
    o.kind = AMUN__OBJECTIVE_DLR; /* sorted: 4, 3, 1, .5, -2 */
    ck_close(amun__objective_value(&o, z, 5, 1, NULL), -1.0 / 3.0, 1e-10);
    ck_close(amun__objective_value(&o, z, 5, 2, NULL), 6.0 / 3.0, 1e-10);
    o.kind = AMUN__OBJECTIVE_DLR_TARGETED;
    o.target = 0;
    ck_close(amun__objective_value(&o, z, 5, 1, NULL), -3.0 / 3.25, 1e-10);
    ck_close(amun__objective_value(&o, z, 3, 1, NULL), -3.0 / 6.0, 1e-10); /* 4, 1, -2 */
    ck_close(amun__objective_value(&o, z, 2, 1, NULL), -3.0, 1e-10);
    o.kind = AMUN__OBJECTIVE_CE;
    ck_close(amun__objective_value(&o, z, 2, 1, NULL), log1p(exp(-3.0)), 1e-15);
    const float sure[3] = {0.0f, 60.0f, 1.0f};
    ck_close(amun__objective_value(&o, sure, 3, 1, NULL) / (exp(-60.0) + exp(-59.0)), 1.0, 1e-12);
    ck_close(amun__objective_value(&o, sure, 3, 0, NULL), 60.0, 1e-15);
    int32_t order[6];
    const float tied[5] = {2.0f, 2.0f, 5.0f, 3.0f, 3.0f};
    const int32_t expected[6] = {3, 4, 0, 1, -1, -1};
    amun__objective_rivals(tied, 5, 2, order, 6);
    ck_assert_mem_eq(order, expected, sizeof order);
    const float equal[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    double seed[4];
    o.kind = AMUN__OBJECTIVE_DLR;
    ck_assert(isfinite(amun__objective_value(&o, equal, 4, 0, seed)) && isfinite(seed[0]));
}
END_TEST

/* Every gradient against central differences in double: the logits are powers of two apart. */
START_TEST(test_loss_gradients)
{
    const float z[6] = {1.25f, 3.5f, -2.0f, 3.0f, 0.5f, 2.25f};
    for (int32_t kind = AMUN__OBJECTIVE_CE; kind <= AMUN__OBJECTIVE_DLR_TARGETED; kind++) {
        for (size_t classes = 2; classes <= 6; classes++) {
            for (int32_t label = 0; label < (int32_t)classes; label++) {
                const amun__objective o = {.kind = (amun__objective_kind)kind,
                                           .target = label == 0 ? 1 : 0};
                double seed[6];
                amun__objective_value(&o, z, classes, label, seed);
                for (size_t k = 0; k < classes; k++) {
                    float up[6], down[6];
                    memcpy(up, z, sizeof z);
                    memcpy(down, z, sizeof z);
                    up[k] += 0x1p-9f;
                    down[k] -= 0x1p-9f;
                    double slope = (amun__objective_value(&o, up, classes, label, NULL) -
                                    amun__objective_value(&o, down, classes, label, NULL)) /
                                   0x1p-8;
                    ck_close(seed[k], slope, 1e-5);
                }
            }
        }
    }
}
END_TEST

/* ---- one run against an oracle ----------------------------------------------------------------
 */

typedef struct oracle {
    amun__plan *plan;
    const amun_apgd_options *o;
    const float *x;
    int32_t label;
    double a[DIGIT_PIXELS], before[DIGIT_PIXELS], g[DIGIT_PIXELS];
    double best[DIGIT_PIXELS], best_g[DIGIT_PIXELS];
} oracle;

static double oracle_norm(const double *v)
{
    double sum = 0.0;
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        sum += v[i] * v[i];
    }
    return sqrt(sum);
}

/* a <- P(a), rounded as the library's images are. */
static void oracle_project(const oracle *s, double *a)
{
    double d[DIGIT_PIXELS], scale = 1.0;
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        d[i] = a[i] - (double)s->x[i];
    }
    if (s->o->norm == AMUN_NORM_L2) {
        scale = fmin(1.0, s->o->eps / fmax(oracle_norm(d), 1e-300));
    }
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        double e =
            s->o->norm == AMUN_NORM_L2 ? scale * d[i] : fmax(-s->o->eps, fmin(s->o->eps, d[i]));
        a[i] = (double)(float)fmax(0.0, fmin(1.0, (double)s->x[i] + e));
    }
}

/* Cross-entropy at a, its gradient into g. */
static double oracle_value(oracle *s)
{
    float image[DIGIT_PIXELS], logits[DIGIT_CLASSES], seed[DIGIT_CLASSES], diff[DIGIT_PIXELS];
    double sum = 0.0;
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        image[i] = (float)s->a[i];
    }
    ck_ok(amun__plan_forward(s->plan, image, logits));
    for (size_t k = 0; k < DIGIT_CLASSES; k++) {
        sum += exp((double)logits[k]);
    }
    for (int32_t k = 0; k < DIGIT_CLASSES; k++) {
        seed[k] = (float)(exp((double)logits[k]) / sum - (k == s->label));
    }
    ck_ok(amun__plan_backward(s->plan, seed, diff, NULL));
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        s->g[i] = (double)diff[i];
    }
    return log(sum) - (double)logits[s->label];
}

static void oracle_step(oracle *s, double eta, double alpha)
{
    double z[DIGIT_PIXELS], length = oracle_norm(s->g);
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        double sign = s->g[i] > 0 ? 1.0 : s->g[i] < 0 ? -1.0 : 0.0;
        z[i] = s->a[i] + eta * (s->o->norm == AMUN_NORM_L2 ? s->g[i] / length : sign);
    }
    oracle_project(s, z);
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        double next = s->a[i] + alpha * (z[i] - s->a[i]) + (1 - alpha) * (s->a[i] - s->before[i]);
        s->before[i] = s->a[i];
        s->a[i] = next;
    }
    oracle_project(s, s->a);
}

/* Algorithm 1 with the checkpoints of 10 steps written out. Returns the highest loss. */
static double oracle_run(oracle *s)
{
    const int32_t w[] = {0, 3, 5, 6, 7, 8, 9, 10};
    double eta = 2.0 * s->o->eps, eta_then = eta, last = oracle_value(s), best = last, then = last;
    int32_t rises = 0, j = 0;
    memcpy(s->best, s->a, sizeof s->a);
    memcpy(s->best_g, s->g, sizeof s->g);
    memcpy(s->before, s->a, sizeof s->a);
    for (int32_t k = 0; k < 10; k++) {
        oracle_step(s, eta, k == 0 ? 1.0 : s->o->momentum);
        double value = oracle_value(s);
        rises += value > last;
        last = value;
        if (value > best) {
            best = value;
            memcpy(s->best, s->a, sizeof s->a);
            memcpy(s->best_g, s->g, sizeof s->g);
        }
        if (k + 1 == w[j + 1] && k + 1 < 10) {
            bool halve = rises < s->o->rho * (w[j + 1] - w[j]) || (eta == eta_then && best == then);
            eta_then = eta;
            then = best;
            rises = 0;
            j++;
            if (halve) {
                eta /= 2;
                last = best;
                memcpy(s->a, s->best, sizeof s->a);
                memcpy(s->g, s->best_g, sizeof s->g);
            }
        }
    }
    return best;
}

static double entropy_of(amun__plan *plan, const float *image, int32_t label)
{
    oracle s = {.plan = plan, .label = label};
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        s.a[i] = (double)image[i];
    }
    return oracle_value(&s);
}

START_TEST(test_oracle)
{
    enum { COUNT = 16 };
    bool l2 = _i == 1;
    amun_apgd_options o = apgd_options(l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF, l2 ? 0.6 : 0.06, 10);
    o.random_start = 0;
    o.batch = 1; /* the same plan as the oracle's */
    samples s;
    samples_open_digits(&s, data, NULL, COUNT);
    amun_attack *attack = apgd_attack(&o);
    ck_ok(samples_run(&s, attack, network));
    amun__plan *plan = NULL;
    ck_ok(amun__model_lease(network, 1, AMUN__MODE_ATTACK, &plan));
    size_t compared = 0;
    for (size_t i = 0; i < COUNT; i++) {
        oracle r = {.plan = plan, .o = &o, .x = s.images + i * s.pixels};
        r.label = (int32_t)s.labels[i];
        for (size_t k = 0; k < DIGIT_PIXELS; k++) {
            r.a[k] = (double)r.x[k];
        }
        double best = oracle_run(&r);
        ck_assert_int_eq(s.records[i].updates, 10);
        double found = entropy_of(plan, s.adversarial + i * s.pixels, r.label);
        ck_close(found, best, l2 ? 1e-3 : 1e-5);
        for (size_t k = 0; k < s.pixels && !l2; k++) {
            ck_close(s.adversarial[i * s.pixels + k], r.best[k], 1e-6);
        }
        compared += best > 0.01;
    }
    ck_assert(compared > 0);
    amun__model_release(network, plan);
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

/* ---- properties -------------------------------------------------------------------------------
 */

/* z_0 = w . x + b, z_1 = 0: the loss of class 0 is largest where w . x is smallest, which is x -
 * eps sign(w) in the Linf ball and x - eps w / |w| in the L2 ball. */
START_TEST(test_linear_optimum)
{
    enum { PIXELS = 12, COUNT = 5 };
    float weight[2 * PIXELS] = {0};
    const float bias[2] = {50.0f, 0.0f}; /* never flips; saturated in float */
    amun__rng rng;
    amun__rng_open(&rng, 3, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < PIXELS; i++) {
        weight[i] = (float)amun__rng_normal(&rng);
    }
    amun_model *model = linear_model(ctx, PIXELS, 2, weight, bias);
    bool l2 = _i % 2 == 1;
    double eps = l2 ? 0.3 : 0.1, length = amun__project_norm(weight, PIXELS);
    amun_apgd_options o = apgd_options(l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF, eps, 100);
    o.loss = 1 + _i / 2;
    samples s;
    samples_open(&s, COUNT, PIXELS, 1, 1);
    for (size_t i = 0; i < COUNT * PIXELS; i++) { /* far from the walls of the box */
        s.images[i] = (float)(0.35 + 0.3 * amun__rng_uniform(&rng));
    }
    amun_attack *attack = apgd_attack(&o);
    ck_ok(samples_run(&s, attack, model));
    for (size_t i = 0; i < COUNT; i++) {
        double reached = 0.0, optimum = 0.0;
        for (size_t k = 0; k < PIXELS; k++) {
            double x = (double)s.images[i * PIXELS + k], w = (double)weight[k];
            reached += w * ((double)s.adversarial[i * PIXELS + k] - x);
            optimum -= l2 ? eps * w * w / length : eps * fabs(w);
        }
        ck_close(reached, optimum, 1e-5);
        ck_assert_int_eq(s.records[i].outcome, AMUN_ATTACK_NOT_FLIPPED);
    }
    amun_attack_unref(attack);
    amun_model_unref(model);
    samples_close(&s);
}
END_TEST

/* Mean loss over the first COUNT digits. */
static double mean_loss(const samples *s, amun__plan *plan)
{
    double sum = 0.0;
    for (size_t i = 0; i < s->count; i++) {
        sum += entropy_of(plan, s->adversarial + i * s->pixels, (int32_t)s->labels[i]);
    }
    return sum / (double)s->count;
}

/* From the image: no result lies below its start, and PGD with as many steps does not do better. */
START_TEST(test_against_pgd)
{
    enum { COUNT = 60, STEPS = 20 };
    bool l2 = _i == 1;
    amun_apgd_options o = apgd_options(l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF, l2 ? 0.8 : 0.1, STEPS);
    o.random_start = 0;
    amun_pgd_options p;
    ck_ok(l2 ? amun_pgd_l2_options_init(&p, sizeof p) : amun_pgd_linf_options_init(&p, sizeof p));
    p.eps = o.eps;
    p.step = o.eps / 4.0;
    p.steps = STEPS;
    p.random_start = 0;
    amun_attack *pgd = NULL, *apgd = apgd_attack(&o);
    ck_ok(l2 ? amun_attack_create_pgd_l2(&pgd, ctx, &p)
             : amun_attack_create_pgd_linf(&pgd, ctx, &p));
    samples s, t;
    samples_open_digits(&s, data, NULL, COUNT);
    samples_open_digits(&t, data, NULL, COUNT);
    ck_ok(samples_run(&s, apgd, network));
    ck_ok(samples_run(&t, pgd, network));
    amun__plan *plan = NULL;
    ck_ok(amun__model_lease(network, 1, AMUN__MODE_ATTACK, &plan));
    for (size_t i = 0; i < COUNT; i++) {
        int32_t label = (int32_t)s.labels[i];
        double before = entropy_of(plan, s.images + i * s.pixels, label);
        double after = entropy_of(plan, s.adversarial + i * s.pixels, label);
        ck_assert_msg(after >= before * (1 - 1e-4), "sample %zu: %g, from %g", i, after, before);
    }
    ck_assert_msg(mean_loss(&s, plan) >= mean_loss(&t, plan), "mean loss %g, PGD %g",
                  mean_loss(&s, plan), mean_loss(&t, plan));
    amun__model_release(network, plan);
    amun_attack_unref(pgd);
    amun_attack_unref(apgd);
    samples_close(&s);
    samples_close(&t);
}
END_TEST

/* In the ball and the box, whatever the batch, the order and the neighbours. */
START_TEST(test_bounds_and_batches)
{
    enum { COUNT = 40 };
    const int32_t batches[] = {1, 7, 128, 16};
    bool l2 = _i % 2 == 1;
    int64_t order[COUNT];
    samples runs[4];
    shuffled(order, COUNT);
    amun_apgd_options o = apgd_options(l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF, l2 ? 0.7 : 0.08, 12);
    o.loss = 1 + _i / 2;
    o.targets = 3;
    o.restarts = o.loss == AMUN_ATTACK_LOSS_CE ? 2 : 1;
    o.seed = 11;
    for (size_t b = 0; b < 4; b++) {
        samples_open_digits(&runs[b], data, b == 3 ? order : NULL, COUNT);
        o.batch = batches[b];
        amun_attack *attack = apgd_attack(&o);
        ck_ok(samples_run(&runs[b], attack, network));
        amun_attack_unref(attack);
        for (size_t i = 0; i < COUNT; i++) {
            const amun_attack_record *r = &runs[b].records[i], *e = &runs[0].records[r->index];
            for (size_t k = 0; k < DIGIT_PIXELS; k++) {
                float a = runs[b].adversarial[i * DIGIT_PIXELS + k];
                ck_assert(a >= 0.0f && a <= 1.0f);
                ck_close(a, runs[0].adversarial[(size_t)r->index * DIGIT_PIXELS + k], 1e-3);
            }
            ck_assert((l2 ? r->l2 : r->linf) <= o.eps * (1 + 1e-6));
            ck_assert(r->eps == o.eps);
            ck_assert_int_eq(r->predicted, e->predicted);
            ck_assert_int_eq(r->adversarial, e->adversarial);
            ck_assert_int_eq(r->outcome, e->outcome);
            ck_assert_int_eq(r->updates, e->updates);
        }
    }
    for (size_t b = 0; b < 4; b++) {
        samples_close(&runs[b]);
    }
}
END_TEST

START_TEST(test_stop_at_flip)
{
    enum { COUNT = 30 };
    amun_apgd_options o = apgd_options(AMUN_NORM_LINF, 0.15, 25);
    samples s, t;
    samples_open_digits(&s, data, NULL, COUNT);
    samples_open_digits(&t, data, NULL, COUNT);
    s.labels[4] = t.labels[4] = (s.labels[4] + 1) % 10; /* wrong from the start */
    amun_attack *attack = apgd_attack(&o);
    ck_ok(samples_run(&s, attack, network));
    amun_attack_unref(attack);
    o.stop_at_flip = 1;
    attack = apgd_attack(&o);
    ck_ok(samples_run(&t, attack, network));
    size_t flipped = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const amun_attack_record *r = &t.records[i];
        ck_assert_int_eq(r->outcome, s.records[i].outcome);
        ck_assert_int_eq(s.records[i].updates, 25);
        ck_assert(r->outcome == AMUN_ATTACK_FLIPPED ? r->updates <= 25 : r->updates == 25);
        flipped += r->outcome == AMUN_ATTACK_FLIPPED && r->updates < 25;
    }
    ck_assert(flipped > 1);
    ck_assert_int_eq(t.records[4].updates, 0);
    ck_assert(t.records[4].l2 == 0.0 && s.records[4].l2 > 0.0);
    amun_attack_unref(attack);
    samples_close(&s);
    samples_close(&t);
}
END_TEST

/* ---- MI-FGSM and the legacy clamp -------------------------------------------------------------
 */

START_TEST(test_mim)
{
    enum { COUNT = 6, STEPS = 5 };
    amun_mim_options o;
    ck_ok(amun_mim_options_init(&o, sizeof o));
    ck_assert(o.decay == 1.0 && o.eps == 8.0 / 255.0 && o.step == 2.0 / 255.0 && o.steps == 10);
    o.eps = 0.1;
    o.step = 0.03;
    o.decay = 0.8;
    o.steps = STEPS;
    o.batch = 1;
    amun_attack *attack = NULL;
    ck_ok(amun_attack_create_mim(&attack, ctx, &o));
    samples s;
    samples_open_digits(&s, data, NULL, COUNT);
    ck_ok(samples_run(&s, attack, network));
    amun__plan *plan = NULL;
    ck_ok(amun__model_lease(network, 1, AMUN__MODE_ATTACK, &plan));
    for (size_t i = 0; i < COUNT; i++) {
        const float *x = s.images + i * s.pixels;
        oracle r = {.plan = plan, .x = x, .label = (int32_t)s.labels[i]};
        double v[DIGIT_PIXELS] = {0};
        for (size_t k = 0; k < DIGIT_PIXELS; k++) {
            r.a[k] = (double)x[k];
        }
        for (int32_t t = 0; t < STEPS; t++) {
            double sum = 0.0;
            oracle_value(&r);
            for (size_t k = 0; k < DIGIT_PIXELS; k++) {
                sum += fabs(r.g[k]);
            }
            for (size_t k = 0; k < DIGIT_PIXELS; k++) {
                v[k] = 0.8 * v[k] + r.g[k] / sum;
                double next = r.a[k] + 0.03 * (v[k] > 0 ? 1.0 : v[k] < 0 ? -1.0 : 0.0);
                next = fmax((double)x[k] - 0.1, fmin((double)x[k] + 0.1, next));
                r.a[k] = (double)(float)fmax(0.0, fmin(1.0, next));
            }
        }
        for (size_t k = 0; k < DIGIT_PIXELS; k++) {
            ck_close(s.adversarial[i * s.pixels + k], r.a[k], 1e-6);
        }
    }
    amun__model_release(network, plan);
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

/* z = (x - 0.4) / 0.25, then w . z + b. */
static amun_model *normalised_model(const double mean, const double std, bool first)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    const double means[2] = {mean, mean}, stds[2] = {std, std};
    ck_ok(amun_graph_create(&graph, ctx, 2, 2, 2));
    if (!first) {
        ck_ok(amun_graph_relu(&node, graph, node));
    }
    ck_ok(amun_graph_normalise(&node, graph, node, means, stds));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", 3, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 2));
    amun_graph_unref(graph);
    return model;
}

START_TEST(test_legacy_clamp)
{
    enum { COUNT = 4, PIXELS = 8, STEPS = 6 };
    amun_pgd_options p;
    amun_attack *attack = NULL;
    ck_ok(amun_pgd_linf_options_init(&p, sizeof p));
    ck_assert_int_eq(p.legacy_normalised_clamp, 0);
    p.eps = 0.04;
    p.step = 0.004;
    p.steps = STEPS;
    p.seed = 9;
    p.legacy_normalised_clamp = 1;
    ck_ok(amun_attack_create_pgd_linf(&attack, ctx, &p));
    ck_assert_int_eq(amun_attack_clamp(attack), AMUN_CLAMP_NORMALISED);
    ck_assert_int_eq(amun_attack_clamp(NULL), 0);
    amun_model *model = normalised_model(0.4, 0.25, true);
    samples s;
    samples_open(&s, COUNT, 2, 2, 2);
    amun__rng rng;
    amun__rng_open(&rng, 4, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < COUNT * PIXELS; i++) {
        s.images[i] = (float)amun__rng_uniform(&rng);
    }
    ck_ok(samples_run(&s, attack, model));
    float weight[3 * PIXELS], bias[3];
    ck_ok(amun_model_get_tensor(model, "fc.weight", weight, 3 * PIXELS));
    ck_ok(amun_model_get_tensor(model, "fc.bias", bias, 3));
    size_t moved = 0;
    for (size_t i = 0; i < COUNT; i++) {
        double z[PIXELS], a[PIXELS];
        amun__rng_open(&rng, 9, AMUN__RNG_ATTACK, 0, i);
        for (size_t k = 0; k < PIXELS; k++) {
            z[k] = ((double)s.images[i * PIXELS + k] - 0.4) / 0.25;
            a[k] = fmax(0.0, fmin(1.0, z[k] + (2 * amun__rng_uniform(&rng) - 1) * 0.04));
        }
        for (int32_t t = 0; t < STEPS; t++) { /* sign of d CE of class 0 / d z_k */
            double e[3], sum = 0.0;
            for (size_t c = 0; c < 3; c++) {
                e[c] = (double)bias[c];
                for (size_t k = 0; k < PIXELS; k++) {
                    e[c] += (double)weight[c * PIXELS + k] * a[k];
                }
                e[c] = exp(e[c]);
                sum += e[c];
            }
            for (size_t k = 0; k < PIXELS; k++) {
                double g = 0.0;
                for (size_t c = 0; c < 3; c++) {
                    g += (e[c] / sum - (c == 0)) * (double)weight[c * PIXELS + k];
                }
                double d = a[k] + 0.004 * (g > 0 ? 1 : -1) - z[k];
                d = fmax(-0.04, fmin(0.04, d));
                z[k] += 0.0;
                a[k] = fmax(0.0, fmin(1.0, z[k] + d));
            }
        }
        for (size_t k = 0; k < PIXELS; k++) {
            float found = s.adversarial[i * PIXELS + k];
            ck_close(found, 0.4 + 0.25 * a[k], 1e-6);
            ck_assert(found >= 0.4f - 1e-6f && found <= 0.65f + 1e-6f);
            moved += fabs((double)found - (double)s.images[i * PIXELS + k]) > 0.05;
        }
        ck_assert_uint_eq(s.records[i].flags, AMUN_ATTACK_LEGACY_CLAMP);
    }
    ck_assert(moved > 0); /* far beyond eps: what this mode is notorious for */
    amun_model_unref(model);
    model = normalised_model(0.4, 0.25, false);
    ck_fails(samples_run(&s, attack, model), AMUN_ERROR_INVALID_ARGUMENT, "normalise node");
    amun_model_unref(model);
    model = normalised_model(0.9, 0.25, true);
    ck_fails(samples_run(&s, attack, model), AMUN_ERROR_INVALID_ARGUMENT, "0.9");
    amun_model_unref(model);
    amun_attack_unref(attack);
    ck_fails(amun_attack_create_pgd_l2(&attack, ctx, &p), AMUN_ERROR_INVALID_ARGUMENT,
             "legacy_normalised_clamp");
    samples_close(&s);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------------------
 */

START_TEST(test_bad_input)
{
    amun_attack *attack = NULL;
    amun_apgd_options o;
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        ck_ok(amun_apgd_options_init(&o, sizeof o));                                               \
        o.member = (value);                                                                        \
        ck_fails(amun_attack_create_apgd(&attack, ctx, &o), AMUN_ERROR_INVALID_ARGUMENT, #member); \
        ck_assert_ptr_null(attack);                                                                \
    } while (0)
    REFUSED(norm, 3);
    REFUSED(loss, 0);
    REFUSED(eps, NAN);
    REFUSED(rho, 1.5);
    REFUSED(momentum, -0.1);
    REFUSED(steps, 0);
    REFUSED(restarts, 0);
    REFUSED(targets, 101);
    REFUSED(stop_at_flip, 2);
    REFUSED(batch, 0);
#undef REFUSED
    ck_fails(amun_attack_create_apgd(NULL, ctx, NULL), AMUN_ERROR_INVALID_ARGUMENT, "attack");
    ck_ok(amun_attack_create_apgd(&attack, ctx, NULL));
    ck_assert_int_eq(amun_attack_clamp(attack), AMUN_CLAMP_PIXELS);
    amun_model *model = NULL;
    samples s;
    ck_ok(amun_model_clone(&model, network));
    poison_model(model);
    samples_open_digits(&s, data, NULL, 3);
    ck_ok(samples_run(&s, attack, model));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(s.records[i].outcome, AMUN_ATTACK_FAILED_NUMERIC);
        ck_assert_int_eq(s.records[i].adversarial, -1);
    }
    ck_assert_mem_eq(s.adversarial, s.images, 3 * DIGIT_PIXELS * sizeof(float));
    samples_close(&s);
    amun_model_unref(model);
    amun_attack_unref(attack);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("apgd");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_checkpoints);
    tcase_add_test(tc, test_losses);
    tcase_add_test(tc, test_loss_gradients);
    tcase_add_loop_test(tc, test_oracle, 0, 2);
    tcase_add_loop_test(tc, test_linear_optimum, 0, 6);
    tcase_add_loop_test(tc, test_against_pgd, 0, 2);
    tcase_add_loop_test(tc, test_bounds_and_batches, 0, 6);
    tcase_add_test(tc, test_stop_at_flip);
    tcase_add_test(tc, test_mim);
    tcase_add_test(tc, test_legacy_clamp);
    tcase_add_test(tc, test_bad_input);
    return amun_test_main("apgd", (TCase *[]){tc, NULL});
}
