/* Loops in their steady state allocate nothing: a counting allocator, read at every step. */
#include "amun/attack.h"
#include "amun/clip.h"
#include "amun/ensemble.h"
#include "amun/mia.h"
#include "linop_fixture.h"
#include "mia/audit.h"
#include "nn/linop.h"
#include "spectral/powerqr.h"
#include "steady_fixture.h"

enum { PAIR = 2 };

/* ---- training -------------------------------------------------------------------------------- */

/* The first `epochs` of them see what the steps need. */
static void train(const amun_train_options *t, int32_t epochs, const char *what)
{
    meter m;
    amun_call_options call = metered(&m, (uint64_t)epochs * STEPS);
    ck_ok(amun_train_run(NULL, model, b.data, NULL, 0, t, &call));
    check_meter(&m, (uint64_t)(t->epochs - epochs) * STEPS, what);
}

START_TEST(training)
{
    amun_train_options t = train_options(EPOCHS, BATCH, 0.05);
    t.augment_pad = t.augment_flip = 1;
    t.label_smoothing = 0.1;
    train(&t, 1, "SGD");
    t.optimiser = AMUN_OPTIMISER_ADAM;
    train(&t, 1, "Adam");
}
END_TEST

/* A batch norm of more channels than most have. */
START_TEST(wide_training)
{
    amun_graph *graph = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    conv.channels = 1100;
    conv.stride_h = conv.stride_w = 6;
    amun_model_unref(model);
    ck_ok(amun_graph_create(&graph, ctx, 1, SIDE, SIDE));
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv", &conv));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn", 0, 0));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", CLASSES, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 1));
    amun_graph_unref(graph);
    amun_train_options t = train_options(2, BATCH, 0.05);
    train(&t, 1, "1100 channels");
}
END_TEST

START_TEST(clipped_training)
{
    for (amun_clip_method method = AMUN_CLIP_BLOCK; method <= AMUN_CLIP_DELATTRE_2024; method++) {
        char what[64];
        amun_clip_options clip;
        ck_ok(amun_clip_options_init(&clip, sizeof clip));
        clip.method = method;
        clip.target = clip.batchnorm_target = 0.7;
        clip.batchnorm =
            method <= AMUN_CLIP_SCALE ? AMUN_CLIP_BATCHNORM_COMPOSITE : AMUN_CLIP_BATCHNORM_HARD;
        clip.every = 3;
        amun_train_options t = train_options(EPOCHS, BATCH, 0.05);
        t.clip = &clip;
        snprintf(what, sizeof what, "clip method %d", (int)method);
        train(&t, 2, what);
    }
}
END_TEST

START_TEST(joint_training)
{
    for (int lotos = 0; lotos < 2; lotos++) {
        for (amun_ensemble_method method = AMUN_ENSEMBLE_PLAIN; method <= AMUN_ENSEMBLE_DVERGE;
             method++) {
            amun_model *models[PAIR];
            amun_ensemble *ensemble = NULL;
            amun_ensemble_train_options o;
            amun_lotos_options term;
            char what[64];
            meter m;
            amun_call_options call = metered(&m, STEPS);
            amun_train_options t = train_options(EPOCHS, BATCH, 0.05);
            ck_ok(amun_ensemble_train_options_init(&o, sizeof o));
            ck_ok(amun_lotos_options_init(&term, sizeof term));
            o.method = method;
            o.train = &t;
            o.lotos = lotos != 0 ? &term : NULL;
            o.attack_steps = method == AMUN_ENSEMBLE_PLAIN ? 0 : 2;
            for (size_t i = 0; i < PAIR; i++) {
                models[i] = conv_model(ctx, 1, SIDE, SIDE, CLASSES, 6 + i);
            }
            m.first = method == AMUN_ENSEMBLE_DVERGE; /* each epoch has a layer of its own */
            ck_ok(amun_ensemble_create(&ensemble, ctx, models, PAIR));
            ck_ok(amun_ensemble_train(NULL, ensemble, b.data, NULL, 0, &o, &call));
            snprintf(what, sizeof what, "joint method %d%s", (int)method,
                     lotos != 0 ? " with LOTOS" : "");
            check_meter(&m, 2 * STEPS, what);
            amun_ensemble_unref(ensemble);
            for (size_t i = 0; i < PAIR; i++) {
                amun_model_unref(models[i]);
            }
        }
    }
}
END_TEST

/* ---- attacks, evaluation --------------------------------------------------------------------- */

static void fit(void)
{
    amun_train_options t = train_options(8, BATCH, 0.05);
    ck_ok(amun_train_run(NULL, model, b.data, NULL, 0, &t, NULL));
}

/* Twice: the first run makes the plans, the second one finds them. Walks without a fixed end go
 * over to smaller plans at the end, when fewer than a batch are left: `tail`. */
static void attack(amun_attack *a, uint64_t tail, uint64_t least, const char *what)
{
    static float adversarial[COUNT * SIDE * SIDE];
    const int64_t shape[4] = {COUNT, 1, SIDE, SIDE};
    amun_tensor_view out;
    meter m;
    ck_ok(amun_tensor_view_init(&out, adversarial, AMUN_DTYPE_F32, 4, shape));
    amun_call_options call = metered(&m, 0);
    m.tail = tail;
    ck_ok(amun_attack_run(a, model, &images, &labels, NULL, &out, NULL, NULL));
    ck_ok(amun_attack_run(a, model, &images, &labels, NULL, &out, NULL, &call));
    check_meter(&m, least, what);
    amun_attack_unref(a);
}

START_TEST(fixed_attacks)
{
    amun_attack *a = NULL;
    amun_pgd_options pgd;
    amun_mim_options mim;
    fit();
    ck_ok(amun_pgd_linf_options_init(&pgd, sizeof pgd));
    pgd.batch = BATCH;
    ck_ok(amun_attack_create_pgd_linf(&a, ctx, &pgd));
    attack(a, 0, STEPS * 10, "PGD Linf");
    ck_ok(amun_pgd_l2_options_init(&pgd, sizeof pgd));
    pgd.batch = BATCH;
    ck_ok(amun_attack_create_pgd_l2(&a, ctx, &pgd));
    attack(a, 0, STEPS * 10, "PGD L2");
    ck_ok(amun_mim_options_init(&mim, sizeof mim));
    mim.batch = BATCH;
    ck_ok(amun_attack_create_mim(&a, ctx, &mim));
    attack(a, 0, STEPS, "MIM");
}
END_TEST

START_TEST(searches)
{
    static const char *const names[] = {"", "epsilon search", "DDN", "FMN"};
    fit();
    for (amun_search_method method = AMUN_SEARCH_EPSILON; method <= AMUN_SEARCH_FMN; method++) {
        amun_attack *a = NULL;
        amun_search_options o;
        ck_ok(amun_search_options_init(&o, sizeof o));
        o.method = method;
        o.batch = BATCH;
        o.on_failure = AMUN_FAILURE_RETRY;
        ck_ok(amun_attack_create_search(&a, ctx, &o));
        attack(a, BATCH, STEPS, names[method]);
    }
}
END_TEST

START_TEST(strong_attacks)
{
    amun_attack *a = NULL;
    amun_apgd_options apgd;
    amun_square_options square;
    fit();
    ck_ok(amun_apgd_options_init(&apgd, sizeof apgd));
    apgd.batch = BATCH;
    apgd.steps = 20;
    ck_ok(amun_attack_create_apgd(&a, ctx, &apgd));
    attack(a, BATCH, STEPS, "APGD");
    ck_ok(amun_square_options_init(&square, sizeof square));
    square.batch = BATCH;
    square.queries = 100;
    ck_ok(amun_attack_create_square(&a, ctx, &square));
    attack(a, BATCH, STEPS, "Square");
}
END_TEST

/* Evaluation and prediction: what a call allocates does not depend on the number of batches, and
 * the plans stay for the next call. */
START_TEST(evaluation)
{
    static float logits[COUNT * CLASSES];
    const int64_t shape[2] = {COUNT, CLASSES};
    int64_t cost[2][2];
    double accuracy;
    amun_tensor_view out;
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, shape));
    for (int i = 0; i < 2; i++) {
        ck_ok(amun_model_evaluate(&accuracy, NULL, model, b.data, NULL, 0, NULL));
        ck_ok(amun_model_predict(model, &images, &out, NULL));
    }
    for (int i = 0; i < 2; i++) {
        int64_t before = allocations();
        ck_ok(amun_model_evaluate(&accuracy, NULL, model, b.data, NULL, 0, NULL));
        cost[i][0] = allocations() - before;
        ck_ok(amun_model_predict(model, &images, &out, NULL));
        cost[i][1] = allocations() - before - cost[i][0];
    }
    ck_assert_int_eq(cost[0][0], cost[1][0]);
    ck_assert_int_eq(cost[0][1], cost[1][1]);
    ck_assert_int_le(cost[1][0], 4); /* buffers of one batch, and no plan */
    ck_assert_int_le(cost[1][1], 4);
}
END_TEST

/* More images than one batch of the evaluation holds. */
START_TEST(long_evaluation)
{
    enum { MANY = 2000 };
    static float logits[MANY * CLASSES];
    const int64_t shape[4] = {MANY, 1, SIDE, SIDE}, rows[2] = {MANY, CLASSES};
    blobs many;
    meter m;
    double accuracy;
    amun_tensor_view in, out;
    blobs_make(&many, ctx, MANY, 1, SIDE, SIDE, CLASSES, 4);
    ck_ok(amun_tensor_view_init(&in, many.images, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, rows));
    amun_call_options call = metered(&m, 0);
    ck_ok(amun_model_evaluate(&accuracy, NULL, model, many.data, NULL, 0, &call));
    check_meter(&m, 3, "evaluate");
    call = metered(&m, 0);
    ck_ok(amun_model_predict(model, &in, &out, &call));
    check_meter(&m, 3, "predict");
    blobs_free(&many);
}
END_TEST

/* ---- audits ---------------------------------------------------------------------------------- */

static int64_t score(size_t n, const amun_rmia_options *o)
{
    enum { MODELS = 8 };
    double *target = malloc(n * sizeof *target), *scores = malloc(n * sizeof *scores);
    double *references = malloc(MODELS * n * sizeof *references);
    uint8_t *included = malloc(MODELS * n);
    ck_assert(target != NULL && scores != NULL && references != NULL && included != NULL);
    amun__rng rng;
    amun__rng_open(&rng, 1, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++) {
        target[i] = amun__rng_uniform(&rng);
    }
    for (size_t i = 0; i < MODELS * n; i++) {
        references[i] = 0.1 + amun__rng_uniform(&rng);
    }
    int64_t before = allocations();
    ck_ok(amun__rmia_inclusion(ctx, included, MODELS, n, 3));
    ck_ok(amun__rmia_scores(ctx, scores, target, references, included, NULL, MODELS, n, o));
    int64_t calls = allocations() - before;
    free(target);
    free(scores);
    free(references);
    free(included);
    return calls;
}

START_TEST(rmia)
{
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    for (int i = 0; i < 4; i++) {
        o.mode = i % 2 == 0 ? AMUN_RMIA_ONLINE : AMUN_RMIA_OFFLINE;
        o.trim = i < 2 ? 0.0 : 0.2;
        ck_assert_int_eq(score(10, &o), score(10000, &o));
    }
}
END_TEST

/* ---- singular values, clipping --------------------------------------------------------------- */

/* Allocations of a run of so many iterations; with no tolerance, it takes them all. */
static int64_t one_run(amun__powerqr *state, int32_t iterations)
{
    ck_ok(amun__powerqr_restart(state, 1));
    int64_t before = allocations();
    ck_ok(amun__powerqr_run(state, iterations, NULL, NULL));
    return allocations() - before;
}

START_TEST(power_iterations)
{
    for (int backend = 0; backend < FIXTURE_BACKENDS; backend++) {
        for (int legacy = 0; legacy < 2; legacy++) {
            amun__linop_shape shape = fixture_shape(4);
            pair weights = pair_random(fixture_weights(&shape), 12);
            amun__linop *op = NULL;
            amun__powerqr *state = NULL;
            const amun__powerqr_options o = {.k = 2, .block = 4, .legacy = legacy, .seed = 4};
            ck_ok(amun__linop_create_conv2d(&op, ctx, &shape, weights.narrow, NULL, 8,
                                            fixture_backends[backend]));
            ck_ok(amun__powerqr_create(&state, ctx, op, &o));
            ck_ok(amun__powerqr_run(state, 1, NULL, NULL));
            int64_t before = allocations();
            for (int i = 0; i < 20; i++) {
                ck_ok(amun__powerqr_run(state, 1, NULL, NULL));
                ck_assert_msg(allocations() == before, "backend %d, legacy %d, iteration %d: %lld",
                              backend, legacy, i + 1, (long long)(allocations() - before));
                ck_ok(amun__linop_set_weights(op, weights.narrow, NULL));
            }
            /* the Krylov space is full after 60 */
            ck_assert_int_eq(one_run(state, 60), one_run(state, 240));
            amun__powerqr_destroy(state);
            amun__linop_destroy(op);
            pair_free(&weights);
        }
    }
}
END_TEST

START_TEST(clipper_steps)
{
    for (amun_clip_method method = AMUN_CLIP_BLOCK; method <= AMUN_CLIP_DELATTRE_2024; method++) {
        amun_clip_options o;
        amun_clipper *clipper = NULL;
        if (method == AMUN_CLIP_MIYATO || method == AMUN_CLIP_DELATTRE_2023) {
            continue; /* in training only */
        }
        ck_ok(amun_clip_options_init(&o, sizeof o));
        o.method = method;
        o.target = 0.7;
        ck_ok(amun_clipper_create(&clipper, model, &o));
        for (int i = 0; i < 4; i++) {
            ck_ok(amun_clipper_step(NULL, clipper));
        }
        int64_t before = allocations();
        for (int i = 0; i < 10; i++) {
            ck_ok(amun_clipper_step(NULL, clipper));
            ck_assert_msg(allocations() == before, "method %d, step %d: %lld", (int)method, i + 1,
                          (long long)(allocations() - before));
        }
        amun_clipper_unref(clipper);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("steady");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, training);
    tcase_add_test(tc, wide_training);
    tcase_add_test(tc, clipped_training);
    tcase_add_test(tc, joint_training);
    tcase_add_test(tc, fixed_attacks);
    tcase_add_test(tc, searches);
    tcase_add_test(tc, strong_attacks);
    tcase_add_test(tc, evaluation);
    tcase_add_test(tc, long_evaluation);
    tcase_add_test(tc, rmia);
    tcase_add_test(tc, power_iterations);
    tcase_add_test(tc, clipper_steps);
    return amun_test_main("steady", (TCase *[]){tc, NULL});
}
