/* Training under a clip: the schedule, the methods that change gradients against naive ones, exact
 * resumption, and what a checkpoint says about it. */
#include "amun/clip.h"

#include "amun/unlearn.h"
#include "nn/graph.h"
#include "nn/linop.h"
#include "spectral/powerqr.h"
#include "spectral/rivals.h"
#include "train/train.h"
#include "training.h"

enum { COUNT = 30, SIDE = 6, CLASSES = 3 };

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *model;
    char path[4096];
} fixture;

static void setup(fixture *f)
{
    *f = (fixture){.model = NULL};
    f->ctx = test_context(&f->allocator);
    blobs_make(&f->b, f->ctx, COUNT, 1, SIDE, SIDE, CLASSES, 23);
    snprintf(f->path, sizeof f->path, "%s", test_path("clip.checkpoint"));
    remove(f->path);
}

static void teardown(fixture *f)
{
    remove(f->path);
    amun_model_unref(f->model);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

static amun_clip_options clip_options(amun_clip_method method, double target)
{
    amun_clip_options o;
    ck_ok(amun_clip_options_init(&o, sizeof o));
    o.method = method;
    o.target = o.batchnorm_target = target;
    o.every = 3;
    return o;
}

static amun_train_options sgd_options(int32_t epochs, const amun_clip_options *clip)
{
    amun_train_options t = train_options(epochs, 8, 0.1);
    t.schedule = AMUN_SCHEDULE_COSINE;
    t.augment_pad = 1;
    t.clip = clip;
    return t;
}

static amun_status run_fresh(fixture *f, const amun_train_options *t, watcher *w)
{
    amun_call_options call;
    amun_model_unref(f->model);
    f->model = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 6);
    if (w != NULL) {
        call = watched(w);
    }
    return amun_train_run(NULL, f->model, f->b.data, NULL, 0, t, w != NULL ? &call : NULL);
}

static model_bytes trained(fixture *f, const amun_train_options *t)
{
    ck_ok(run_fresh(f, t, NULL));
    return bytes_of(f->model);
}

/* Node `index`, in double. */
static double node_norm(const fixture *f, const amun_model *model, int32_t index, bool fold)
{
    amun__linop *op = NULL;
    double values[256];
    ck_ok(amun__linop_create_node(&op, model, index, fold, 8, AMUN__LINOP_REF_F64));
    ck_ok(amun__spectrum_exact(f->ctx, op, values));
    amun__linop_destroy(op);
    return values[0];
}

enum { CONV = 1, BN = 2, FC = 5 }; /* nodes of conv_model() */

/* ---- the schedule ---------------------------------------------------------------------------- */

START_TEST(huge_target)
{
    fixture f;
    setup(&f);
    amun_train_options plain = sgd_options(4, NULL);
    for (amun_clip_method m = AMUN_CLIP_BLOCK; m <= AMUN_CLIP_GOUK; m++) {
        amun_clip_options clip = clip_options(m, 1e6);
        clip.batchnorm =
            m <= AMUN_CLIP_SCALE ? AMUN_CLIP_BATCHNORM_COMPOSITE : AMUN_CLIP_BATCHNORM_HARD;
        amun_train_options t = sgd_options(4, &clip);
        if (m != AMUN_CLIP_MIYATO) {
            ck_assert_msg(same_bytes(trained(&f, &plain), trained(&f, &t)), "method %d", (int)m);
        }
    }
    teardown(&f);
}
END_TEST

START_TEST(norms_are_held)
{
    fixture f;
    setup(&f);
    amun_train_options plain = sgd_options(30, NULL);
    ck_ok(run_fresh(&f, &plain, NULL));
    ck_assert(node_norm(&f, f.model, CONV, false) > 1.2);
    ck_assert(node_norm(&f, f.model, FC, false) > 1.2);
    for (amun_clip_method m = AMUN_CLIP_BLOCK; m <= AMUN_CLIP_SCALE; m++) {
        amun_clip_options clip = clip_options(m, 1.0);
        clip.batchnorm = AMUN_CLIP_BATCHNORM_HARD;
        clip.rounds = 100;
        amun_train_options t = sgd_options(30, &clip);
        ck_ok(run_fresh(&f, &t, NULL));
        const double conv = node_norm(&f, f.model, CONV, false);
        const double fc = node_norm(&f, f.model, FC, false);
        ck_assert_msg(conv < 1.01 && fc < 1.01, "method %d: %g, %g", (int)m, conv, fc);
        ck_assert(conv > 0.5 && fc > 0.5);
    }
    teardown(&f);
}
END_TEST

START_TEST(composite_is_held)
{
    fixture f;
    setup(&f);
    amun_clip_options clip = clip_options(AMUN_CLIP_BLOCK, 1.0);
    clip.batchnorm = AMUN_CLIP_BATCHNORM_COMPOSITE;
    clip.rounds = 100;
    clip.every = 1;
    amun_train_options t = sgd_options(30, &clip);
    ck_ok(run_fresh(&f, &t, NULL));
    ck_assert(node_norm(&f, f.model, CONV, false) < 1.01);
    /* running variances move in the forward pass after the last clip */
    ck_assert(node_norm(&f, f.model, CONV, true) < 1.05);
    teardown(&f);
}
END_TEST

/* ---- gradients ------------------------------------------------------------------------------- */

enum { PIXELS = SIDE * SIDE };

typedef struct naive {
    double raw[CLASSES][PIXELS], bias[CLASSES], u[CLASSES], v[PIXELS], sigma;
} naive;

static double norm_of(const double *x, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sqrt(sum);
}

/* torch.nn.utils.spectral_norm: one power step, then sigma = u' W v. */
static void naive_power(naive *n, bool step)
{
    for (int j = 0; j < PIXELS; j++) {
        n->v[j] = 0.0;
        for (int i = 0; i < CLASSES; i++) {
            n->v[j] += n->raw[i][j] * n->u[i];
        }
    }
    const double v = norm_of(n->v, PIXELS);
    double left[CLASSES];
    for (int j = 0; j < PIXELS; j++) {
        n->v[j] /= v;
    }
    n->sigma = 0.0;
    for (int i = 0; i < CLASSES; i++) {
        left[i] = 0.0;
        for (int j = 0; j < PIXELS; j++) {
            left[i] += n->raw[i][j] * n->v[j];
        }
    }
    for (int i = 0; i < CLASSES; i++) {
        n->u[i] = step ? left[i] / norm_of(left, CLASSES) : n->u[i];
        n->sigma += n->u[i] * left[i];
    }
}

/* Gradient of the mean cross-entropy of all samples by the weights that are used. */
static void naive_gradient(const naive *n, const blobs *b, double target,
                           double diff[CLASSES][PIXELS], double *diff_bias)
{
    memset(diff, 0, sizeof(double[CLASSES][PIXELS]));
    memset(diff_bias, 0, CLASSES * sizeof *diff_bias);
    for (size_t s = 0; s < b->count; s++) {
        double logits[CLASSES], sum = 0.0;
        for (int i = 0; i < CLASSES; i++) {
            logits[i] = n->bias[i];
            for (int j = 0; j < PIXELS; j++) {
                logits[i] +=
                    target / n->sigma * n->raw[i][j] * (double)b->images[s * PIXELS + (size_t)j];
            }
            sum += exp(logits[i]);
        }
        for (int i = 0; i < CLASSES; i++) {
            const double seed =
                (exp(logits[i]) / sum - (b->labels[s] == i ? 1.0 : 0.0)) / (double)b->count;
            diff_bias[i] += seed;
            for (int j = 0; j < PIXELS; j++) {
                diff[i][j] += seed * (double)b->images[s * PIXELS + (size_t)j];
            }
        }
    }
}

/* d/d raw of f(c raw / (u' raw v)): c / sigma (g - <g, raw> / sigma u v'). */
static void naive_step(naive *n, const blobs *b, double target, double lr)
{
    double diff[CLASSES][PIXELS], bias[CLASSES], along = 0.0;
    naive_power(n, true);
    naive_gradient(n, b, target, diff, bias);
    for (int i = 0; i < CLASSES; i++) {
        for (int j = 0; j < PIXELS; j++) {
            along += diff[i][j] * n->raw[i][j] / n->sigma;
        }
    }
    for (int i = 0; i < CLASSES; i++) {
        n->bias[i] -= lr * bias[i];
        for (int j = 0; j < PIXELS; j++) {
            n->raw[i][j] -= lr * target / n->sigma * (diff[i][j] - along * n->u[i] * n->v[j]);
        }
    }
}

START_TEST(miyato_is_a_reparametrisation)
{
    const double target = 1.5, lr = 0.5;
    fixture f;
    naive n = {.sigma = 0.0};
    float weights[CLASSES * PIXELS];
    setup(&f);
    f.model = linear_model(f.ctx, 1, SIDE, SIDE, CLASSES, 6);
    ck_ok(amun_model_get_tensor(f.model, "fc.weight", weights, CLASSES * PIXELS));
    for (int i = 0; i < CLASSES * PIXELS; i++) {
        n.raw[i / PIXELS][i % PIXELS] = (double)weights[i];
    }
    float bias[CLASSES];
    ck_ok(amun_model_get_tensor(f.model, "fc.bias", bias, CLASSES));
    amun_clip_options clip = clip_options(AMUN_CLIP_MIYATO, target);
    clip.seed = 4;
    amun__rng rng;
    amun__rng_open(&rng, clip.seed, AMUN__RNG_SPECTRAL, 0, 0);
    for (int i = 0; i < CLASSES; i++) {
        n.bias[i] = (double)bias[i];
        n.u[i] = amun__rng_normal(&rng);
    }
    amun_train_options t = train_options(7, COUNT, lr);
    t.momentum = t.weight_decay = 0.0;
    t.schedule = AMUN_SCHEDULE_CONSTANT;
    t.clip = &clip;
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL));
    for (int step = 0; step < 7; step++) {
        naive_step(&n, &f.b, target, lr);
    }
    naive_power(&n, false);
    ck_ok(amun_model_get_tensor(f.model, "fc.weight", weights, CLASSES * PIXELS));
    ck_ok(amun_model_get_tensor(f.model, "fc.bias", bias, CLASSES));
    for (int i = 0; i < CLASSES * PIXELS; i++) {
        ck_close((double)weights[i], target / n.sigma * n.raw[i / PIXELS][i % PIXELS], 1e-5);
    }
    for (int i = 0; i < CLASSES; i++) {
        ck_close((double)bias[i], n.bias[i], 1e-5);
    }
    ck_close(node_norm(&f, f.model, 2, false), target, 0.02);
    teardown(&f);
}
END_TEST

/* One step with and without the penalty differ by lr * penalty * its gradient. */
START_TEST(penalty_adds_its_gradient)
{
    fixture f;
    float start[36], plain[36], with[36], diff[36];
    double norm = 0.0;
    setup(&f);
    amun_clip_options clip = clip_options(AMUN_CLIP_DELATTRE_2023, 0.5);
    clip.penalty = 0.3;
    amun_train_options t = train_options(1, COUNT, 0.1);
    t.momentum = t.weight_decay = 0.0;
    t.schedule = AMUN_SCHEDULE_CONSTANT;
    amun_model *fresh = conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 6);
    ck_ok(amun_model_get_tensor(fresh, "conv.weight", start, 36));
    ck_ok(run_fresh(&f, &t, NULL));
    ck_ok(amun_model_get_tensor(f.model, "conv.weight", plain, 36));
    t.clip = &clip;
    ck_ok(run_fresh(&f, &t, NULL));
    ck_ok(amun_model_get_tensor(f.model, "conv.weight", with, 36));
    const amun__linop_shape shape = amun__linop_node_shape(amun__model_graph(fresh), CONV);
    ck_ok(amun__gram_norm(f.ctx, &shape, start, 6, &norm, diff));
    ck_assert(norm > 0.5);
    for (int i = 0; i < 36; i++) {
        ck_close((double)(plain[i] - with[i]), 0.1 * 0.3 * (double)diff[i], 1e-6);
    }
    clip.target = 1e6; /* nothing is above: nothing is added */
    ck_ok(run_fresh(&f, &t, NULL));
    ck_ok(amun_model_get_tensor(f.model, "conv.weight", with, 36));
    ck_assert(memcmp(plain, with, sizeof plain) == 0);
    amun_model_unref(fresh);
    teardown(&f);
}
END_TEST

/* ---- interruptions --------------------------------------------------------------------------- */

START_TEST(resume)
{
    fixture f;
    setup(&f);
    for (amun_clip_method m = AMUN_CLIP_BLOCK; m <= AMUN_CLIP_DELATTRE_2024; m++) {
        amun_clip_options clip = clip_options(m, 0.7);
        clip.batchnorm =
            m <= AMUN_CLIP_SCALE ? AMUN_CLIP_BATCHNORM_COMPOSITE : AMUN_CLIP_BATCHNORM_SOFT;
        amun_train_options t = sgd_options(6, &clip);
        model_bytes whole = trained(&f, &t);
        t.checkpoint = f.path;
        watcher w = {.stop_at = 14}; /* in the fourth epoch */
        ck_fails(run_fresh(&f, &t, &w), AMUN_ERROR_CANCELLED, "stopped");
        model_bytes resumed = trained(&f, &t);
        ck_assert_msg(same_bytes(whole, resumed), "method %d", (int)m);
        model_bytes again = trained(&f, &t); /* from the finished run's checkpoint */
        ck_ok(run_fresh(&f, &t, NULL));
        ck_assert_msg(same_bytes(again, bytes_of(f.model)), "method %d", (int)m);
        remove(f.path);
    }
    teardown(&f);
}
END_TEST

START_TEST(cancelled_run_is_normalised)
{
    fixture f;
    setup(&f);
    amun_clip_options clip = clip_options(AMUN_CLIP_MIYATO, 1.0);
    clip.iterations = 50;
    amun_train_options t = sgd_options(6, &clip);
    watcher w = {.stop_at = 9};
    ck_fails(run_fresh(&f, &t, &w), AMUN_ERROR_CANCELLED, "stopped");
    ck_close(node_norm(&f, f.model, FC, false), 1.0, 0.01);
    teardown(&f);
}
END_TEST

START_TEST(other_clip_options)
{
    fixture f;
    setup(&f);
    amun_clip_options clip = clip_options(AMUN_CLIP_BLOCK, 0.7);
    amun_train_options t = sgd_options(2, &clip);
    t.checkpoint = f.path;
    ck_ok(run_fresh(&f, &t, NULL));
    clip.target = 0.8;
    ck_fails(run_fresh(&f, &t, NULL), AMUN_ERROR_STATE, "clip.target is 0.8");
    clip.target = 0.7;
    clip.method = AMUN_CLIP_SCALE;
    ck_fails(run_fresh(&f, &t, NULL), AMUN_ERROR_STATE, "clip.method is \"scale\"");
    t.clip = NULL;
    ck_fails(run_fresh(&f, &t, NULL), AMUN_ERROR_STATE, "clip.method is absent");
    remove(f.path);
    ck_ok(run_fresh(&f, &t, NULL));
    t.clip = &clip;
    ck_fails(run_fresh(&f, &t, NULL), AMUN_ERROR_STATE, "absent there");
    teardown(&f);
}
END_TEST

START_TEST(bad_options)
{
    fixture f;
    setup(&f);
    amun_clip_options clip = clip_options(AMUN_CLIP_BLOCK, -1.0);
    amun_train_options t = sgd_options(2, &clip);
    model_bytes fresh;
    f.model = conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 6);
    fresh = bytes_of(f.model);
    ck_fails(run_fresh(&f, &t, NULL), AMUN_ERROR_INVALID_ARGUMENT, "amun_clip_options.target: -1");
    ck_assert(same_bytes(fresh, bytes_of(f.model)));
    clip = clip_options(AMUN_CLIP_GOUK, 1.0);
    clip.batchnorm = AMUN_CLIP_BATCHNORM_COMPOSITE;
    ck_fails(run_fresh(&f, &t, NULL), AMUN_ERROR_UNSUPPORTED, "composite");
    clip = clip_options(AMUN_CLIP_BLOCK, 1.0);
    clip.struct_size = 24;
    ck_fails(run_fresh(&f, &t, NULL), AMUN_ERROR_INVALID_ARGUMENT, "amun_clip_options");
    teardown(&f);
}
END_TEST

/* A program that was compiled before there was a clip. */
START_TEST(old_struct_size)
{
    fixture f;
    setup(&f);
    amun_train_options t = sgd_options(2, NULL);
    model_bytes now = trained(&f, &t);
    t.struct_size = 112;
    t.clip = (const void *)(uintptr_t)8; /* not theirs: must not be read */
    ck_assert(same_bytes(now, trained(&f, &t)));
    ck_ok(amun_train_options_init(&t, 112));
    ck_assert_uint_eq(t.struct_size, 112);
    teardown(&f);
}
END_TEST

START_TEST(provenance)
{
    amun_clip_options clip = clip_options(AMUN_CLIP_GOUK, 0.7);
    amun_train_options t = sgd_options(2, &clip), full;
    json_t *json = NULL;
    ck_ok(amun__options_read(&amun__train_options_table, &full, &t));
    ck_ok(amun__train_options_json(&json, &full));
    ck_assert_str_eq(json_string_value(json_object_get(json, "clip.method")), "gouk");
    ck_assert(json_real_value(json_object_get(json, "clip.target")) == 0.7);
    ck_assert(json_integer_value(json_object_get(json, "epochs")) == 2);
    json_decref(json);
    full.clip = NULL;
    ck_ok(amun__train_options_json(&json, &full));
    ck_assert(json_object_get(json, "clip.method") == NULL);
    ck_assert(json_object_get(json, "epochs") != NULL);
    json_decref(json);
}
END_TEST

/* ---- other users of the loop ----------------------------------------------------------------- */

START_TEST(several_models)
{
    fixture f;
    setup(&f);
    amun_clip_options clip = clip_options(AMUN_CLIP_BLOCK, 0.6);
    clip.rounds = 100;
    amun_train_options t = sgd_options(10, &clip);
    amun_model *models[2] = {conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 6),
                             conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 7)};
    amun__recipe recipe = {.name = "train"};
    recipe.mix = (amun__mix){.parts[0] = {.dataset = f.b.data,
                                          .count = COUNT,
                                          .target = AMUN__TARGET_LABEL,
                                          .augment = 1,
                                          .weight = 1.0},
                             .part_count = 1,
                             .classes = CLASSES,
                             .shuffle = 1};
    ck_ok(amun__options_read(&amun__train_options_table, &recipe.options, &t));
    ck_ok(amun__model_begin_write(models[0]));
    ck_ok(amun__model_begin_write(models[1]));
    ck_ok(amun__recipe_run_joint(models, 2, &recipe, NULL, NULL));
    for (int i = 0; i < 2; i++) {
        amun__model_end_write(models[i]);
        ck_assert(node_norm(&f, models[i], CONV, false) < 0.62);
        ck_assert(node_norm(&f, models[i], FC, false) < 0.62);
        amun_model_unref(models[i]);
    }
    teardown(&f);
}
END_TEST

START_TEST(unlearning)
{
    fixture f;
    setup(&f);
    const int64_t forget[] = {1, 4, 9};
    amun_clip_options clip = clip_options(AMUN_CLIP_BLOCK, 0.6);
    clip.rounds = 100;
    amun_train_options t;
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    ck_ok(amun_unlearn_train_options_init(&t, sizeof t, AMUN_UNLEARN_RETRAIN));
    t.epochs = 10;
    t.batch = 8;
    t.augment_pad = t.augment_flip = 0;
    t.schedule = AMUN_SCHEDULE_COSINE;
    t.clip = &clip;
    o.method = AMUN_UNLEARN_RETRAIN;
    o.train = &t;
    f.model = conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 6);
    ck_ok(amun_unlearn_run(NULL, f.model, f.b.data, forget, 3, NULL, &o, NULL));
    ck_assert(node_norm(&f, f.model, CONV, false) < 0.62);
    ck_assert(node_norm(&f, f.model, FC, false) < 0.62);
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("clip in training");
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, huge_target);
    tcase_add_test(tc, norms_are_held);
    tcase_add_test(tc, composite_is_held);
    tcase_add_test(tc, miyato_is_a_reparametrisation);
    tcase_add_test(tc, penalty_adds_its_gradient);
    tcase_add_test(tc, resume);
    tcase_add_test(tc, cancelled_run_is_normalised);
    tcase_add_test(tc, other_clip_options);
    tcase_add_test(tc, bad_options);
    tcase_add_test(tc, old_struct_size);
    tcase_add_test(tc, provenance);
    tcase_add_test(tc, several_models);
    tcase_add_test(tc, unlearning);
    return amun_test_main("clip_train", (TCase *[]){tc, NULL});
}
