/* test_unlearn_rivals.c - one or two steps of the methods that train, on all samples at once,
 * against the same in double. */
#include "nn/prefix.h"
#include "rivals_fixture.h"

/* ---- softmax regression in double ----------------------------------------------------------- */

enum { WIDE = (CLASSES + 1) * (PIXELS + 1), MOST = 4096 };

/* Rows of weights, then biases, for `classes` classes; the state of SGD or Adam. */
typedef struct naive {
    int classes, count, steps;
    double w[WIDE], m[WIDE], v[WIDE], g[WIDE];
} naive;

static naive naive_of(const amun_model *model, int classes)
{
    naive o = {.classes = classes, .count = classes * (PIXELS + 1)};
    amun__model_values v;
    amun__model_values_get(model, &v);
    ck_assert_uint_eq(v.total, (size_t)o.count);
    for (int i = 0; i < o.count; i++) {
        o.w[i] = (double)v.values[i];
    }
    return o;
}

/* softmax(z / T) */
static void naive_softmax(const naive *o, const double *w, const float *x, double temperature,
                          double *p)
{
    double sum = 0.0;
    for (int k = 0; k < o->classes; k++) {
        p[k] = w[o->classes * PIXELS + k];
        for (int i = 0; i < PIXELS; i++) {
            p[k] += w[k * PIXELS + i] * (double)x[i];
        }
        p[k] = exp(p[k] / temperature);
        sum += p[k];
    }
    for (int k = 0; k < o->classes; k++) {
        p[k] /= sum;
    }
}

/* Adds factor * (softmax - target) at one sample, what the gradient of a cross-entropy is. */
static void naive_add(naive *o, const float *x, const double *target, double temperature,
                      double factor)
{
    double p[CLASSES + 1];
    naive_softmax(o, o->w, x, temperature, p);
    for (int k = 0; k < o->classes; k++) {
        double d = factor * (p[k] - target[k]);
        for (int i = 0; i < PIXELS; i++) {
            o->g[k * PIXELS + i] += d * (double)x[i];
        }
        o->g[o->classes * PIXELS + k] += d;
    }
}

static void naive_add_label(naive *o, const float *x, int64_t label, double factor)
{
    double target[CLASSES + 1] = {0};
    target[label] = 1.0;
    naive_add(o, x, target, 1.0, factor);
}

/* Uses the gradient up. */
static void naive_step(naive *o, const amun_train_options *t, double lr, bool fresh)
{
    o->steps = fresh ? 1 : o->steps + 1;
    for (int i = 0; i < o->count; i++) {
        double g = o->g[i] + t->weight_decay * o->w[i];
        o->g[i] = 0.0;
        if (t->optimiser == AMUN_OPTIMISER_ADAM) {
            o->m[i] = (o->steps > 1 ? 0.9 * o->m[i] : 0.0) + 0.1 * g;
            o->v[i] = (o->steps > 1 ? 0.999 * o->v[i] : 0.0) + 0.001 * g * g;
            o->w[i] -= lr * (o->m[i] / (1.0 - pow(0.9, o->steps))) /
                       (sqrt(o->v[i] / (1.0 - pow(0.999, o->steps))) + 1e-8);
        } else {
            o->m[i] = o->steps > 1 ? 0.9 * o->m[i] + g : g;
            o->w[i] -= lr * o->m[i];
        }
    }
}

static void check_weights(const amun_model *model, const double want[WEIGHTS], double tolerance)
{
    double now[WEIGHTS];
    weights_of(model, now);
    for (int i = 0; i < WEIGHTS; i++) {
        ck_close(now[i], want[i], tolerance);
    }
}

static const float *image_of(const fixture *f, size_t i)
{
    return f->b.images + i * PIXELS;
}

/* All samples in one batch, nothing augmented. */
static amun_train_options one_batch(amun_unlearn_method method, int32_t epochs, double lr)
{
    amun_train_options t;
    ck_ok(amun_unlearn_train_options_init(&t, sizeof t, method));
    t.epochs = epochs;
    t.lr = lr;
    t.batch = MOST;
    t.augment_pad = t.augment_flip = 0;
    return t;
}

/* ---- SCRUB ---------------------------------------------------------------------------------- */

/* Two epochs, the first with a pass away: three steps. */
START_TEST(scrub)
{
    fixture f;
    setup(&f);
    amun_train_options t = one_batch(AMUN_UNLEARN_SCRUB, 2, 0.05);
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    r.scrub_temperature = 2.0;
    r.scrub_gamma = 0.7;
    r.scrub_alpha = 0.4;
    r.scrub_ascent_epochs = 1;
    naive o = naive_of(f.model, CLASSES);
    const naive teacher = o;
    const double gone = (double)f.forget_count, kept = COUNT - gone;
    for (int step = 0; step < 3; step++) {
        for (size_t i = 0; i < COUNT; i++) {
            double q[CLASSES];
            bool forget = f.b.labels[i] == GONE;
            naive_softmax(&teacher, teacher.w, image_of(&f, i), 2.0, q);
            if (forget && step == 0) { /* d (T^2 KL) / dz = T (p - q) */
                naive_add(&o, image_of(&f, i), q, 2.0, -2.0 / gone);
            }
            if (!forget && step > 0) {
                naive_add_label(&o, image_of(&f, i), f.b.labels[i], 0.7 / kept);
                naive_add(&o, image_of(&f, i), q, 2.0, 0.4 * 2.0 / kept);
            }
        }
        naive_step(&o, &t, t.lr, false);
    }
    amun_unlearn_result result = {.struct_size = sizeof result};
    ck_ok(forget_with(&f, AMUN_UNLEARN_SCRUB, &t, &r, &result, NULL));
    ck_assert_int_eq(result.forget, (int64_t)f.forget_count);
    ck_assert_int_eq(result.remain, (int64_t)(COUNT - f.forget_count));
    check_weights(f.model, o.w, 2e-5);
    teardown(&f);
}
END_TEST

/* The distance and its gradient by differences. */
START_TEST(scrub_distance)
{
    const float teacher[6] = {1, -2, 0.5f, 0, 3, -1}, student[6] = {0.3f, 0.1f, -1, 2, 2, -3};
    float seed[6] = {0}, unused[6] = {0};
    double scratch[6], want = 0.0;
    double got = amun__unlearn_kl(teacher, student, 2, 3, 4.0, 1.0, seed, scratch);
    for (int row = 0; row < 2; row++) {
        double t = 0.0, s = 0.0;
        for (int k = 0; k < 3; k++) {
            t += exp((double)teacher[row * 3 + k] / 4.0);
            s += exp((double)student[row * 3 + k] / 4.0);
        }
        for (int k = 0; k < 3; k++) {
            double p = exp((double)teacher[row * 3 + k] / 4.0) / t;
            want += 16.0 * p * log(p / (exp((double)student[row * 3 + k] / 4.0) / s));
        }
    }
    ck_close(got, want, 1e-12);
    for (int i = 0; i < 6; i++) {
        float up[6], down[6];
        memcpy(up, student, sizeof up);
        memcpy(down, student, sizeof down);
        up[i] += 0.0625f;
        down[i] -= 0.0625f;
        double slope = (amun__unlearn_kl(teacher, up, 2, 3, 4.0, 0.0, unused, scratch) -
                        amun__unlearn_kl(teacher, down, 2, 3, 4.0, 0.0, unused, scratch)) /
                       0.125;
        ck_close((double)seed[i], slope, 1e-3);
    }
}
END_TEST

static double error_gap(const fixture *f, const amun_model *model, const int64_t *held, size_t n)
{
    double forget = 0.0, other = 0.0;
    ck_ok(amun_model_evaluate(&forget, NULL, model, f->b.data, f->forget, f->forget_count, NULL));
    ck_ok(amun_model_evaluate(&other, NULL, model, f->b.data, held, n, NULL));
    return fabs(forget - other);
}

/* Runs of 1, 2, ... epochs show where each epoch ends: the rewound run is the nearest of them, the
 * last of equals; also if it was interrupted. */
START_TEST(scrub_rewind)
{
    enum { EPOCHS = 5 };
    fixture f;
    setup(&f);
    amun_train_options t = one_batch(AMUN_UNLEARN_SCRUB, EPOCHS, 0.4);
    t.batch = 32;
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    r.scrub_rewind = 1;
    r.scrub_ascent_epochs = 3;
    r.scrub_temperature = 1.0;
    amun_unlearn_options uo;
    amun__unlearn_request q;
    ck_ok(amun_unlearn_options_init(&uo, sizeof uo));
    uo.method = AMUN_UNLEARN_SCRUB;
    uo.seed = 17;
    ck_ok(amun__unlearn_request_open(&q, f.model, f.b.data, f.forget, f.forget_count, NULL, &uo));
    int64_t *order = NULL;
    ck_ok(amun__unlearn_shuffled(&q, q.remain, q.remain_count, 0, &order));
    const size_t held = q.remain_count / 10;
    amun_model *original = f.model;
    model_bytes best = {0};
    double nearest = INFINITY, last = 0.0;
    int rewound = 0;
    for (int32_t epochs = 1; epochs <= EPOCHS; epochs++) {
        /* the same run, cut short: its epochs are those of the long one */
        amun_train_options cut = t;
        cut.epochs = epochs;
        amun_rival_options only = r;
        ck_ok(amun_model_clone(&f.model, original));
        watcher w = {.calls = 0};
        ck_ok(forget_with(&f, AMUN_UNLEARN_SCRUB, &cut, &only, NULL, &w));
        last = error_gap(&f, f.model, order + q.remain_count - held, held);
        ck_assert(last <= nearest); /* the nearest so far */
        model_bytes now = bytes_of(f.model);
        rewound += best.bytes != NULL && memcmp(now.bytes, best.bytes, now.size) == 0;
        free(best.bytes);
        best = now;
        nearest = last;
        amun_model_unref(f.model);
    }
    ck_assert_int_gt(rewound, 0); /* some epoch was further off than one before it */
    ck_ok(amun_model_clone(&f.model, original));
    t.checkpoint = test_path("rewind.ckpt");
    remove(t.checkpoint);
    for (uint64_t stop = 9; stop < 40; stop += 11) {
        watcher w = {.stop_at = stop};
        ck_fails(forget_with(&f, AMUN_UNLEARN_SCRUB, &t, &r, NULL, &w), AMUN_ERROR_CANCELLED,
                 "step");
        ck_assert(same_bytes(bytes_of(f.model), bytes_of(original)));
    }
    amun_unlearn_result result = {.struct_size = sizeof result};
    ck_ok(forget_with(&f, AMUN_UNLEARN_SCRUB, &t, &r, &result, NULL));
    ck_assert_int_eq(result.remain, (int64_t)(q.remain_count - held));
    ck_close(error_gap(&f, f.model, order + q.remain_count - held, held), nearest, 1e-4);
    amun_model *again = f.model; /* and in one piece */
    ck_ok(amun_model_clone(&f.model, original));
    t.checkpoint = NULL;
    ck_ok(forget_with(&f, AMUN_UNLEARN_SCRUB, &t, &r, NULL, NULL));
    ck_assert(same_bytes(bytes_of(f.model), bytes_of(again)));
    remove(test_path("rewind.ckpt"));
    free(best.bytes);
    amun_model_unref(again);
    amun_model_unref(original);
    amun__unlearn_request_close(&q);
    teardown(&f);
}
END_TEST

/* ---- bad teacher ---------------------------------------------------------------------------- */

/* One step of Adam; the random teacher is a new model of the same seed. */
START_TEST(bad_teacher)
{
    fixture f;
    setup(&f);
    amun_train_options t = one_batch(AMUN_UNLEARN_BAD_TEACHER, 1, 0.01);
    ck_assert_int_eq(t.optimiser, AMUN_OPTIMISER_ADAM);
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    r.teacher_share = 1.0;
    r.teacher_temperature = 3.0;
    amun_model *random = linear_model(f.ctx, 1, 2, 3, CLASSES, 17);
    naive o = naive_of(f.model, CLASSES);
    const naive bad = naive_of(random, CLASSES), good = o;
    for (size_t i = 0; i < COUNT; i++) {
        const naive *teacher = f.b.labels[i] == GONE ? &bad : &good;
        double q[CLASSES];
        naive_softmax(teacher, teacher->w, image_of(&f, i), 3.0, q);
        naive_add(&o, image_of(&f, i), q, 3.0, 1.0 / 3.0 / COUNT);
    }
    naive_step(&o, &t, t.lr, false);
    amun_unlearn_result result = {.struct_size = sizeof result};
    ck_ok(forget_with(&f, AMUN_UNLEARN_BAD_TEACHER, &t, &r, &result, NULL));
    check_weights(f.model, o.w, 1e-4);
    ck_assert_int_eq(result.remain, (int64_t)(COUNT - f.forget_count));
    r.teacher_share = 0.3;
    ck_ok(forget_with(&f, AMUN_UNLEARN_BAD_TEACHER, &t, &r, &result, NULL));
    ck_assert_int_eq(result.remain, (int64_t)(0.3 * (double)(COUNT - f.forget_count)));
    amun_model_unref(random);
    teardown(&f);
}
END_TEST

/* ---- UNSIR ---------------------------------------------------------------------------------- */

enum { NOISES = 5, NOISE_STEPS = 3 };

/* The noise of one class, as the method draws and learns it. */
static void naive_noise(const naive *o, int32_t label, const amun_rival_options *r,
                        float images[NOISES][PIXELS])
{
    double x[NOISES][PIXELS], m[NOISES][PIXELS] = {{0}}, v[NOISES][PIXELS] = {{0}};
    for (size_t i = 0; i < NOISES; i++) {
        amun__rng rng;
        amun__rng_open(&rng, 17, AMUN__RNG_UNLEARN, (uint32_t)label + 1, i);
        for (int k = 0; k < PIXELS; k++) {
            x[i][k] = amun__rng_normal(&rng);
        }
    }
    for (int step = 1; step <= NOISE_STEPS; step++) {
        for (int i = 0; i < NOISES; i++) {
            double p[CLASSES];
            for (int k = 0; k < PIXELS; k++) {
                images[i][k] = (float)x[i][k];
            }
            naive_softmax(o, o->w, images[i], 1.0, p);
            for (int k = 0; k < PIXELS; k++) {
                double g = 2.0 * r->unsir_noise_penalty * x[i][k] / NOISES;
                for (int c = 0; c < CLASSES; c++) { /* up the cross-entropy */
                    g -= (p[c] - (c == label)) * o->w[c * PIXELS + k] / NOISES;
                }
                m[i][k] = 0.9 * m[i][k] + 0.1 * g;
                v[i][k] = 0.999 * v[i][k] + 0.001 * g * g;
                x[i][k] -= r->unsir_noise_lr * (m[i][k] / (1.0 - pow(0.9, step))) /
                           (sqrt(v[i][k] / (1.0 - pow(0.999, step))) + 1e-8);
            }
        }
    }
    for (int i = 0; i < NOISES; i++) {
        for (int k = 0; k < PIXELS; k++) {
            images[i][k] = (float)x[i][k];
        }
    }
}

/* Two classes are to go: each has noise of its own, with its own label. */
START_TEST(unsir)
{
    fixture f;
    setup(&f);
    amun_train_options t = one_batch(AMUN_UNLEARN_UNSIR, 1, 0.02);
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    r.unsir_noise = NOISES;
    r.unsir_noise_steps = NOISE_STEPS;
    r.unsir_copies = 3;
    f.forget_count = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        if (f.b.labels[i] != 0) {
            f.forget[f.forget_count++] = i;
        }
    }
    naive o = naive_of(f.model, CLASSES);
    const naive before = o;
    const double kept = (double)(COUNT - f.forget_count), all = kept + 2 * 3 * NOISES;
    for (int32_t label = 1; label < CLASSES; label++) {
        float images[NOISES][PIXELS];
        naive_noise(&before, label, &r, images);
        for (int i = 0; i < NOISES; i++) {
            naive_add_label(&o, images[i], label, 3.0 / all);
        }
    }
    for (int epoch = 0; epoch < 2; epoch++) { /* impair, repair */
        for (size_t i = 0; i < COUNT; i++) {
            if (f.b.labels[i] == 0) {
                naive_add_label(&o, image_of(&f, i), 0, 1.0 / (epoch == 0 ? all : kept));
            }
        }
        naive_step(&o, &t, epoch == 0 ? 0.02 : 0.01, true);
    }
    amun_unlearn_result result = {.struct_size = sizeof result};
    ck_ok(forget_with(&f, AMUN_UNLEARN_UNSIR, &t, &r, &result, NULL));
    check_weights(f.model, o.w, 1e-4);
    ck_assert_int_eq(result.adversarial, 2 * NOISES);
    ck_assert_int_eq(result.remain, (int64_t)kept);
    for (int64_t i = 0; i < COUNT; i++) { /* nothing of any class would stay */
        f.forget[i] = i;
    }
    f.forget_count = COUNT - 1;
    ck_fails(forget_with(&f, AMUN_UNLEARN_UNSIR, &t, &r, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "all that there are");
    teardown(&f);
}
END_TEST

/* ---- boundary expand ------------------------------------------------------------------------ */

START_TEST(boundary_expand)
{
    fixture f;
    setup(&f);
    amun_train_options t = one_batch(AMUN_UNLEARN_BOUNDARY_EXPAND, 2, 0.3);
    double before[WEIGHTS], want[WEIGHTS];
    amun_model *wide = NULL;
    weights_of(f.model, before);
    ck_ok(amun__widen_create(&wide, f.model, 1, 17));
    ck_assert_int_eq(amun_model_classes(wide), CLASSES + 1);
    naive o = naive_of(wide, CLASSES + 1);
    for (int i = 0; i < WEIGHTS; i++) { /* old rows, then the new one; so with the biases */
        int at = i < CLASSES * PIXELS ? i : i + PIXELS;
        ck_assert(o.w[at] == before[i]);
    }
    double bound = 1.0 / sqrt(PIXELS);
    ck_assert(fabs(o.w[CLASSES * PIXELS]) <= bound && o.w[CLASSES * PIXELS] != 0.0);
    for (int step = 0; step < 2; step++) {
        for (size_t i = 0; i < f.forget_count; i++) {
            naive_add_label(&o, image_of(&f, (size_t)f.forget[i]), CLASSES,
                            1.0 / (double)f.forget_count);
        }
        naive_step(&o, &t, t.lr, false);
    }
    for (int i = 0; i < WEIGHTS; i++) {
        want[i] = o.w[i < CLASSES * PIXELS ? i : i + PIXELS];
    }
    amun_unlearn_result result = {.struct_size = sizeof result};
    ck_ok(forget_with(&f, AMUN_UNLEARN_BOUNDARY_EXPAND, &t, NULL, &result, NULL));
    ck_assert_int_eq(amun_model_classes(f.model), CLASSES);
    ck_assert_int_eq(result.forget, (int64_t)f.forget_count);
    ck_assert_int_eq(result.remain, 0);
    check_weights(f.model, want, 2e-5);
    amun_model_unref(wide);
    teardown(&f);
}
END_TEST

/* Batch norms and their statistics come back, too; a network without a linear layer at its end has
 * no room. */
START_TEST(boundary_expand_networks)
{
    fixture f;
    setup(&f);
    amun_model *linear = f.model, *wide = NULL, *deep = conv_model(f.ctx, 1, 2, 3, CLASSES, 6);
    amun_train_options t = one_batch(AMUN_UNLEARN_BOUNDARY_EXPAND, 2, 0.1);
    f.model = deep;
    amun__model_values v;
    amun__model_values_get(deep, &v);
    float old_mean = v.values[v.trainable];
    ck_ok(forget_with(&f, AMUN_UNLEARN_BOUNDARY_EXPAND, &t, NULL, NULL, NULL));
    ck_assert(v.values[v.trainable] != old_mean && v.tracked[0] == 2);
    amun_graph *graph = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    conv.channels = CLASSES;
    ck_ok(amun_graph_create(&graph, f.ctx, 1, 2, 3));
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv", &conv));
    ck_ok(amun_graph_global_pool(&node, graph, node));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_model_create_graph(&f.model, f.ctx, graph, 1));
    ck_fails(forget_with(&f, AMUN_UNLEARN_BOUNDARY_EXPAND, &t, NULL, NULL, NULL),
             AMUN_ERROR_UNSUPPORTED, "boundary_expand: the network does not end");
    amun_graph_unref(graph);
    amun_model_unref(f.model);
    /* a factor behind the layer is fine */
    ck_ok(amun_graph_create(&graph, f.ctx, 1, 2, 3));
    node = 0;
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", CLASSES, 0));
    ck_ok(amun_graph_scale(&node, graph, node, 0.5));
    ck_ok(amun_model_create_graph(&f.model, f.ctx, graph, 1));
    ck_ok(amun__widen_create(&wide, f.model, 2, 1));
    ck_assert_int_eq(amun_model_classes(wide), CLASSES + 2);
    amun_model_unref(wide);
    amun_graph_unref(graph);
    amun_model_unref(f.model);
    f.model = linear;
    amun_model_unref(deep);
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("unlearn_rivals");
    tcase_add_test(tc, scrub);
    tcase_add_test(tc, scrub_distance);
    tcase_add_test(tc, scrub_rewind);
    tcase_add_test(tc, bad_teacher);
    tcase_add_test(tc, unsir);
    tcase_add_test(tc, boundary_expand);
    tcase_add_test(tc, boundary_expand_networks);
    return amun_test_main("unlearn_rivals", (TCase *[]){tc, NULL});
}
