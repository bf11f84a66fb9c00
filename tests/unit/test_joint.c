/* Training together: what it shares with training alone, checkpoints of it, who holds the models,
 * and every argument that is refused. */
#include "ensemble/ensemble.h"
#include "ensemble/lotos.h"
#include "nn/linop.h"
#include "training.h"

enum { COUNT = 30, SIDE = 6, CLASSES = 3, MEMBERS = 3, EPOCHS = 3 };

static test_allocator allocator;
static amun_context *ctx;
static blobs b;
static amun_model *models[MEMBERS];
static amun_ensemble *ensemble;
static char path[4096];

static void fresh_models(void)
{
    amun_ensemble_unref(ensemble);
    ensemble = NULL;
    for (size_t i = 0; i < MEMBERS; i++) {
        amun_model_unref(models[i]);
        models[i] = conv_model(ctx, 1, SIDE, SIDE, CLASSES, 6 + i);
    }
    ck_ok(amun_ensemble_create(&ensemble, ctx, models, MEMBERS));
}

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    blobs_make(&b, ctx, COUNT, 1, SIDE, SIDE, CLASSES, 23);
    fresh_models();
    snprintf(path, sizeof path, "%s", test_path("joint.ckpt"));
    remove(path);
}

static void teardown(void)
{
    remove(path);
    amun_ensemble_unref(ensemble);
    ensemble = NULL;
    for (size_t i = 0; i < MEMBERS; i++) {
        amun_model_unref(models[i]);
        models[i] = NULL;
    }
    blobs_free(&b);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* Batches 8, 8, 8, 6; every random choice in use. */
static amun_train_options train_of(const char *checkpoint)
{
    amun_train_options t = train_options(EPOCHS, 8, 0.05);
    t.augment_pad = 1;
    t.augment_flip = 1;
    t.seed = 9;
    t.checkpoint = checkpoint;
    return t;
}

typedef struct choice {
    amun_train_options train;
    amun_lotos_options lotos;
    amun_ensemble_train_options o;
} choice;

/* `c` has the pointers to itself. */
static void choose(choice *c, amun_ensemble_method method, bool lotos, const char *checkpoint)
{
    c->train = train_of(checkpoint);
    ck_ok(amun_lotos_options_init(&c->lotos, sizeof c->lotos));
    ck_ok(amun_ensemble_train_options_init(&c->o, sizeof c->o));
    c->lotos.mal = 0.1;
    c->lotos.k = 2;
    c->lotos.batchnorm = 1;
    c->lotos.batchnorm_mal = 0.1;
    c->o.method = method;
    c->o.train = &c->train;
    c->o.lotos = lotos ? &c->lotos : NULL;
    c->o.attack_steps = method == AMUN_ENSEMBLE_PLAIN ? 0 : 3;
}

static amun_status train_fresh(const choice *c, const amun_call_options *call,
                               amun_train_result *result)
{
    fresh_models();
    return amun_ensemble_train(result, ensemble, b.data, NULL, 0, &c->o, call);
}

typedef struct all_bytes {
    model_bytes of[MEMBERS];
} all_bytes;

static all_bytes bytes_now(void)
{
    all_bytes out;
    for (size_t i = 0; i < MEMBERS; i++) {
        out.of[i] = bytes_of(models[i]);
    }
    return out;
}

/* Frees both. */
static bool equal(all_bytes x, all_bytes y)
{
    bool same = true;
    for (size_t i = 0; i < MEMBERS; i++) {
        same = same_bytes(x.of[i], y.of[i]) && same;
    }
    return same;
}

/* ---- the same as alone ------------------------------------------------------------------------
 */

START_TEST(test_plain_is_alone)
{
    choice c;
    choose(&c, AMUN_ENSEMBLE_PLAIN, false, NULL);
    amun_train_result together = {.struct_size = sizeof together};
    double loss = 0.0, accuracy = 0.0;
    ck_ok(train_fresh(&c, NULL, &together));
    all_bytes joint = bytes_now();
    fresh_models();
    for (size_t i = 0; i < MEMBERS; i++) {
        amun_train_result alone = {.struct_size = sizeof alone};
        ck_ok(amun_train_run(&alone, models[i], b.data, NULL, 0, &c.train, NULL));
        loss += alone.loss / MEMBERS;
        accuracy += alone.accuracy / MEMBERS;
    }
    ck_assert(equal(joint, bytes_now()));
    ck_close(together.loss, loss, 1e-12);
    ck_close(together.accuracy, accuracy, 1e-12);
    ck_assert_int_eq(together.epochs, EPOCHS);
}
END_TEST

START_TEST(test_lambda_zero)
{
    choice without, with;
    choose(&without, AMUN_ENSEMBLE_PLAIN, false, NULL);
    choose(&with, AMUN_ENSEMBLE_PLAIN, true, NULL);
    ck_ok(train_fresh(&without, NULL, NULL));
    all_bytes plain = bytes_now();
    with.lotos.lambda = with.lotos.batchnorm_lambda = 0.0;
    ck_ok(train_fresh(&with, NULL, NULL));
    ck_assert(equal(plain, bytes_now()));
    with.lotos.lambda = 0.05; /* and with weight it is another run */
    ck_ok(train_fresh(&without, NULL, NULL));
    plain = bytes_now();
    ck_ok(train_fresh(&with, NULL, NULL));
    ck_assert(!equal(plain, bytes_now()));
}
END_TEST

/* A term above all that could cost moves nothing, wherever it comes. */
START_TEST(test_mal_too_large)
{
    choice without, with;
    choose(&without, AMUN_ENSEMBLE_ADP, false, NULL);
    choose(&with, AMUN_ENSEMBLE_ADP, true, NULL);
    ck_ok(train_fresh(&without, NULL, NULL));
    all_bytes plain = bytes_now();
    with.lotos.mal = with.lotos.batchnorm_mal = 1e6;
    ck_ok(train_fresh(&with, NULL, NULL));
    ck_assert(equal(plain, bytes_now()));
}
END_TEST

/* ---- determinism and checkpoints ---------------------------------------------------------------
 */

static const amun_ensemble_method present[] = {AMUN_ENSEMBLE_PLAIN, AMUN_ENSEMBLE_PGD_AT,
                                               AMUN_ENSEMBLE_TRADES, AMUN_ENSEMBLE_ADP};

START_TEST(test_resume)
{
    const amun_ensemble_method method = present[_i];
    choice whole, part;
    choose(&whole, method, true, NULL);
    whole.lotos.every = 3; /* 4 steps per epoch: the phase must survive too */
    ck_ok(train_fresh(&whole, NULL, NULL));
    all_bytes expected = bytes_now();
    choose(&part, method, true, path);
    part.lotos.every = 3;
    watcher w = {.stop_at = 10}; /* in the third epoch; LOTOS counts fewer layers */
    amun_call_options call = watched(&w);
    ck_assert_int_eq(train_fresh(&part, &call, NULL), AMUN_ERROR_CANCELLED);
    ck_assert_str_eq(w.phase, "ensemble");
    ck_ok(train_fresh(&part, NULL, NULL));
    ck_assert(equal(expected, bytes_now()));
    remove(path);
}
END_TEST

/* Random starts do not depend on the number of threads, and neither does the run's shape. */
START_TEST(test_repeats)
{
    choice c;
    choose(&c, present[_i], true, NULL);
    ck_ok(train_fresh(&c, NULL, NULL));
    all_bytes first = bytes_now();
    ck_ok(train_fresh(&c, NULL, NULL));
    ck_assert(equal(first, bytes_now()));
    c.o.seed = 1; /* of attack starts only */
    ck_ok(train_fresh(&c, NULL, NULL));
    first = bytes_now();
    c.o.seed = 0;
    ck_ok(train_fresh(&c, NULL, NULL));
    bool drawn = present[_i] == AMUN_ENSEMBLE_PGD_AT || present[_i] == AMUN_ENSEMBLE_TRADES;
    ck_assert(equal(first, bytes_now()) == !drawn);
}
END_TEST

START_TEST(test_other_checkpoint)
{
    choice c;
    choose(&c, AMUN_ENSEMBLE_TRADES, true, path);
    ck_ok(train_fresh(&c, NULL, NULL));
    struct {
        double *number;
        double value;
        const char *word;
    } changed[] = {
        {&c.o.trades_beta, 5.0, "trades_beta is 5.0 here and 6.0 there"},
        {&c.o.attack_eps, 0.25, "attack_eps is 0.25 here and 0.031"},
        {&c.lotos.mal, 0.25, "lotos.mal is 0.25 here and 0.1"},
        {&c.lotos.lambda, 0.0, "lotos.lambda is 0.0 here"},
    };
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        double before = *changed[i].number;
        *changed[i].number = changed[i].value;
        ck_assert_int_eq(train_fresh(&c, NULL, NULL), AMUN_ERROR_STATE);
        ck_assert_msg(strstr(amun_last_error_message(), changed[i].word) != NULL, "%s",
                      amun_last_error_message());
        *changed[i].number = before;
    }
    c.lotos.k = 1;
    ck_assert_int_eq(train_fresh(&c, NULL, NULL), AMUN_ERROR_STATE);
    c.lotos.k = 2;
    c.o.lotos = NULL;
    ck_assert_int_eq(train_fresh(&c, NULL, NULL), AMUN_ERROR_STATE);
    c.o.lotos = &c.lotos;
    ck_ok(train_fresh(&c, NULL, NULL)); /* nothing left to do */
}
END_TEST

/* ---- it does what it is for --------------------------------------------------------------------
 */

/* The largest |f v'| between the members, each way. */
static double overlap(void)
{
    amun_lotos_options o;
    amun__lotos_pairs pairs;
    amun__lotos *lotos = NULL;
    double value = 0.0;
    ck_ok(amun_lotos_options_init(&o, sizeof o));
    o.mal = 0.0;
    o.lambda = 1.0;
    o.mean = 1; /* the mean of a member's terms; three members */
    ck_ok(amun__lotos_pairs_make(&pairs, ctx, models, MEMBERS, &o));
    ck_ok(amun__lotos_create(&lotos, ctx, models, MEMBERS, &pairs, &o));
    ck_ok(amun__lotos_refresh(lotos, 500, NULL));
    ck_ok(amun__lotos_add(lotos, NULL, &value));
    amun__lotos_destroy(lotos);
    amun__lotos_pairs_free(&pairs);
    return value / MEMBERS;
}

START_TEST(test_lowers)
{
    choice c;
    choose(&c, AMUN_ENSEMBLE_PLAIN, false, NULL);
    c.train.epochs = 30;
    c.train.augment_pad = c.train.augment_flip = 0;
    ck_ok(train_fresh(&c, NULL, NULL));
    double before = overlap();
    c.lotos.mal = 0.3;
    c.lotos.batchnorm = 0;
    c.lotos.lambda = 1.0;
    c.o.lotos = &c.lotos;
    amun_train_result result = {.struct_size = sizeof result};
    ck_ok(train_fresh(&c, NULL, &result));
    double after = overlap();
    ck_assert_double_gt(before, 0.6); /* there was something to lower */
    ck_assert_double_lt(after, 0.4);
    ck_assert_double_gt(result.accuracy, 60.0); /* and the members still learn */
}
END_TEST

/* ---- refused -----------------------------------------------------------------------------------
 */

static void check_refused(const choice *c, amun_status expected, const char *word)
{
    all_bytes before = bytes_now();
    ck_assert_int_eq(amun_ensemble_train(NULL, ensemble, b.data, NULL, 0, &c->o, NULL), expected);
    ck_assert_msg(strstr(amun_last_error_message(), word) != NULL, "no \"%s\" in: %s", word,
                  amun_last_error_message());
    ck_assert(equal(before, bytes_now()));
}

START_TEST(test_bad_options)
{
    choice c;
    choose(&c, 8, false, NULL);
    check_refused(&c, AMUN_ERROR_INVALID_ARGUMENT, "method: 8");
    choose(&c, AMUN_ENSEMBLE_PLAIN, true, NULL);
    struct {
        int32_t *number;
        int32_t value;
        const char *word;
    } bad[] = {
        {&c.lotos.k, 0, "k: 0"},         {&c.lotos.k, 65, "k: 65"},
        {&c.lotos.match, 5, "match: 5"}, {&c.lotos.block, 1, "block: 1"},
        {&c.lotos.every, 0, "every: 0"}, {&c.train.epochs, -1, "epochs: -1"},
        {&c.o.trs_l2, 2, "trs_l2: 2"},   {&c.lotos.match, 4, "pairs is NULL"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int32_t before = *bad[i].number;
        *bad[i].number = bad[i].value;
        check_refused(&c, AMUN_ERROR_INVALID_ARGUMENT, bad[i].word);
        *bad[i].number = before;
    }
    c.lotos.lambda = NAN;
    check_refused(&c, AMUN_ERROR_INVALID_ARGUMENT, "lambda: nan");
    c.lotos.lambda = 0.05;
    c.lotos.k = 40; /* a map of 36 values has 36 singular ones */
    c.lotos.batchnorm = 0;
    check_refused(&c, AMUN_ERROR_INVALID_ARGUMENT, "layer conv of member 0");
}
END_TEST

START_TEST(test_bad_arguments)
{
    choice c;
    choose(&c, AMUN_ENSEMBLE_PLAIN, false, NULL);
    amun_train_result wrong = {.struct_size = 3};
    ck_assert_int_eq(amun_ensemble_train(NULL, NULL, b.data, NULL, 0, NULL, NULL),
                     AMUN_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(amun_ensemble_train(NULL, ensemble, NULL, NULL, 0, NULL, NULL),
                     AMUN_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(amun_ensemble_train(&wrong, ensemble, b.data, NULL, 0, &c.o, NULL),
                     AMUN_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(amun_ensemble_train(NULL, ensemble, b.data, NULL, 7, &c.o, NULL),
                     AMUN_ERROR_INVALID_ARGUMENT);
    blobs other;
    blobs_make(&other, ctx, 9, 1, 5, 5, CLASSES, 1);
    ck_assert_int_eq(amun_ensemble_train(NULL, ensemble, other.data, NULL, 0, &c.o, NULL),
                     AMUN_ERROR_SHAPE);
    blobs_free(&other);
    blobs_make(&other, ctx, 9, 1, SIDE, SIDE, 0, 1);
    ck_assert_int_eq(amun_ensemble_train(NULL, ensemble, other.data, NULL, 0, &c.o, NULL),
                     AMUN_ERROR_STATE);
    blobs_free(&other);
}
END_TEST

static amun_ensemble *ensemble_of(amun_model *const *members, size_t count)
{
    amun_ensemble *out = NULL;
    ck_ok(amun_ensemble_create(&out, ctx, members, count));
    return out;
}

START_TEST(test_wrong_members)
{
    choice c;
    amun_model *const twice[3] = {models[0], models[1], models[0]};
    amun_ensemble *same = ensemble_of(twice, 3), *one = ensemble_of(models, 1);
    choose(&c, AMUN_ENSEMBLE_PLAIN, false, NULL);
    ck_assert_int_eq(amun_ensemble_train(NULL, same, b.data, NULL, 0, &c.o, NULL),
                     AMUN_ERROR_INVALID_ARGUMENT);
    ck_assert(strstr(amun_last_error_message(), "members 0 and 2") != NULL);
    ck_ok(amun_ensemble_train(NULL, one, b.data, NULL, 0, &c.o, NULL));
    choose(&c, AMUN_ENSEMBLE_ADP, false, NULL);
    ck_assert_int_eq(amun_ensemble_train(NULL, one, b.data, NULL, 0, &c.o, NULL),
                     AMUN_ERROR_INVALID_ARGUMENT);
    ck_assert(strstr(amun_last_error_message(), "adp needs 2 members") != NULL);
    choose(&c, AMUN_ENSEMBLE_PLAIN, true, NULL);
    ck_assert_int_eq(amun_ensemble_train(NULL, one, b.data, NULL, 0, &c.o, NULL),
                     AMUN_ERROR_INVALID_ARGUMENT);
    amun_model *mixed[2] = {models[0], linear_model(ctx, 1, SIDE, SIDE, CLASSES, 1)};
    amun_ensemble *dense = ensemble_of(mixed, 2);
    c.lotos.batchnorm = 0;
    ck_assert_int_eq(amun_ensemble_train(NULL, dense, b.data, NULL, 0, &c.o, NULL),
                     AMUN_ERROR_SHAPE);
    ck_assert(strstr(amun_last_error_message(), "member 1 has no convolution") != NULL);
    amun_model_unref(mixed[1]);
    amun_ensemble_unref(dense);
    amun_ensemble_unref(same);
    amun_ensemble_unref(one);
}
END_TEST

/* All or none: a member in use leaves the others free. */
START_TEST(test_busy)
{
    choice c;
    choose(&c, AMUN_ENSEMBLE_PLAIN, false, NULL);
    c.train.epochs = 1;
    ck_ok(amun__model_begin_read(models[2]));
    check_refused(&c, AMUN_ERROR_BUSY, "member 2");
    amun__model_end_read(models[2]);
    for (size_t i = 0; i < MEMBERS; i++) {
        ck_ok(amun__model_begin_write(models[i]));
        amun__model_end_write(models[i]);
    }
    ck_ok(amun_ensemble_train(NULL, ensemble, b.data, NULL, 0, &c.o, NULL));
}
END_TEST

/* A loss that is not finite names the step; every member is as before. */
START_TEST(test_diverges)
{
    for (size_t i = 0; i < sizeof present / sizeof present[0]; i++) {
        choice c;
        choose(&c, present[i], true, NULL);
        fresh_models();
        amun__model_values v;
        amun__model_values_get(models[1], &v);
        v.values[v.trainable - 1] = NAN; /* a bias of the head */
        amun__model_touch(models[1]);
        check_refused(&c, AMUN_ERROR_NUMERIC, "step 1 of 4");
    }
}
END_TEST

int main(void)
{
    const int methods = sizeof present / sizeof present[0];
    TCase *tc = tcase_create("joint");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_plain_is_alone);
    tcase_add_test(tc, test_lambda_zero);
    tcase_add_test(tc, test_mal_too_large);
    tcase_add_loop_test(tc, test_resume, 0, methods);
    tcase_add_loop_test(tc, test_repeats, 0, methods);
    tcase_add_test(tc, test_other_checkpoint);
    tcase_add_test(tc, test_lowers);
    tcase_add_test(tc, test_bad_options);
    tcase_add_test(tc, test_bad_arguments);
    tcase_add_test(tc, test_wrong_members);
    tcase_add_test(tc, test_busy);
    tcase_add_test(tc, test_diverges);
    return amun_test_main("joint", (TCase *[]){tc, NULL});
}
