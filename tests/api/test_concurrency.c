/* test_concurrency.c - several threads in one process: models trained side by side equal those
 * trained one after the other, readers share a model, and whoever conflicts is told BUSY. */
#include <pthread.h>

#include "api.h"

enum { READERS = 4, ROUNDS = 25 };

/* Check's assertions belong to the main thread: others leave their status and message here. */
typedef struct outcome {
    amun_status status;
    char message[256];
} outcome;

static void note(outcome *o, amun_status status)
{
    o->status = status;
    snprintf(o->message, sizeof o->message, "%s", amun_last_error_message());
}

static void ck_outcome(const outcome *o, amun_status expected)
{
    ck_assert_msg(o->status == expected, "%s: %s", amun_status_string(o->status), o->message);
    ck_assert_msg((o->message[0] == '\0') == (expected == AMUN_OK), "message \"%s\"", o->message);
}

static void start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    ck_assert(pthread_create(thread, NULL, body, argument) == 0);
}

static void join(pthread_t thread)
{
    ck_assert(pthread_join(thread, NULL) == 0);
}

/* ---- two models at once ------------------------------------------------------------------------
 */

typedef struct trainee {
    amun_model *model;
    amun_dataset *data;
    amun_train_options options;
    outcome result;
} trainee;

static void *train_body(void *argument)
{
    trainee *t = argument;
    note(&t->result, amun_train_run(NULL, t->model, t->data, NULL, 0, &t->options, NULL));
    return NULL;
}

static void make_trainee(trainee *t, amun_context *ctx, amun_dataset *data, uint64_t seed)
{
    *t = (trainee){.data = data, .options = tiny_train(15)};
    t->options.seed = seed;
    t->options.augment_pad = 1;
    t->options.augment_flip = 1;
    ck_ok(tiny_model(&t->model, ctx, seed));
}

static void side_by_side(int32_t threads)
{
    amun_context *ctx = NULL;
    amun_dataset *data = NULL;
    trainee apart[2], together[2];
    pthread_t thread[2];
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_context_set_threads(ctx, threads));
    ck_ok(tiny_data(&data, ctx));
    for (int k = 0; k < 2; k++) {
        make_trainee(&apart[k], ctx, data, (uint64_t)k + 3);
        make_trainee(&together[k], ctx, data, (uint64_t)k + 3);
        train_body(&apart[k]);
        ck_outcome(&apart[k].result, AMUN_OK);
    }
    for (int k = 0; k < 2; k++) {
        start(&thread[k], train_body, &together[k]);
    }
    for (int k = 0; k < 2; k++) {
        tiny_values expected;
        join(thread[k]);
        ck_outcome(&together[k].result, AMUN_OK);
        tiny_read(&expected, apart[k].model);
        ck_unchanged(together[k].model, &expected);
        amun_model_unref(together[k].model);
    }
    tiny_values one, other;
    tiny_read(&one, apart[0].model);
    tiny_read(&other, apart[1].model);
    ck_assert(memcmp(&one, &other, sizeof one) != 0);
    amun_model_unref(apart[0].model);
    amun_model_unref(apart[1].model);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
}

START_TEST(two_trainings)
{
    side_by_side(1);
    side_by_side(2);
}
END_TEST

/* ---- many readers
 * --------------------------------------------------------------------------------- */

typedef struct reader {
    const amun_model *model;
    amun_dataset *data;
    int number;
    float logits[TINY_COUNT * TINY_CLASSES];
    float adversarial[TINY_COUNT * TINY_PIXELS];
    double accuracy;
    outcome result;
    int differences;
} reader;

static void *read_body(void *argument)
{
    reader *r = argument;
    float logits[TINY_COUNT * TINY_CLASSES];
    amun_tensor_view images, out;
    const int64_t in_shape[4] = {TINY_COUNT, 1, TINY_EDGE, TINY_EDGE};
    const int64_t out_shape[2] = {TINY_COUNT, TINY_CLASSES};
    (void)amun_tensor_view_init(&images, tiny_images, AMUN_DTYPE_F32, 4, in_shape);
    (void)amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, out_shape);
    r->result.status = AMUN_OK;
    for (int round = 0; round < ROUNDS && r->result.status == AMUN_OK; round++) {
        note(&r->result, amun_model_predict(r->model, &images, &out, NULL));
        r->differences += memcmp(logits, r->logits, sizeof logits) != 0;
        /* batches of other sizes lease other plans meanwhile */
        images.shape[0] = out.shape[0] = 1 + (round + r->number) % TINY_COUNT;
        if (r->result.status == AMUN_OK) {
            note(&r->result, amun_model_predict(r->model, &images, &out, NULL));
        }
        images.shape[0] = out.shape[0] = TINY_COUNT;
        double accuracy = 0;
        if (r->result.status == AMUN_OK) {
            note(&r->result,
                 amun_model_evaluate(&accuracy, NULL, r->model, r->data, NULL, 0, NULL));
        }
        r->differences += accuracy != r->accuracy;
    }
    return NULL;
}

START_TEST(readers_share_a_model)
{
    amun_context *ctx = NULL;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    static reader readers[READERS];
    pthread_t thread[READERS];
    float expected[TINY_COUNT * TINY_CLASSES] = {0};
    double accuracy;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_context_set_threads(ctx, 1));
    ck_ok(tiny_model(&model, ctx, 5));
    ck_ok(tiny_data(&data, ctx));
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view logits = view2(expected, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    ck_ok(amun_model_predict(model, &images, &logits, NULL));
    ck_ok(amun_model_evaluate(&accuracy, NULL, model, data, NULL, 0, NULL));
    for (int k = 0; k < READERS; k++) {
        readers[k] = (reader){.model = model, .data = data, .number = k, .accuracy = accuracy};
        memcpy(readers[k].logits, expected, sizeof expected);
        start(&thread[k], read_body, &readers[k]);
    }
    for (int k = 0; k < READERS; k++) {
        join(thread[k]);
        ck_outcome(&readers[k].result, AMUN_OK);
        ck_assert_msg(readers[k].differences == 0, "thread %d: %d results differ", k,
                      readers[k].differences);
    }
    amun_dataset_unref(data);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST

/* ---- conflicts
 * ------------------------------------------------------------------------------------- */

/* Everything that another thread may try while a call holds the model. */
typedef struct intruder {
    amun_model *model;
    amun_dataset *data;
    int tried;
    outcome reset, set, load, train, predict, evaluate, get, clone;
} intruder;

static void *intrude(void *argument)
{
    intruder *i = argument;
    amun_train_options options;
    float logits[TINY_CLASSES], bias[TINY_CLASSES] = {0};
    amun_tensor_view images, out;
    const int64_t in_shape[4] = {1, 1, TINY_EDGE, TINY_EDGE}, out_shape[2] = {1, TINY_CLASSES};
    amun_model *twin = NULL;
    double accuracy;
    (void)amun_tensor_view_init(&images, tiny_images, AMUN_DTYPE_F32, 4, in_shape);
    (void)amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, out_shape);
    (void)amun_train_options_init(&options, sizeof options);
    options.epochs = 1;
    note(&i->reset, amun_model_reset(i->model, 99));
    note(&i->set, amun_model_set_tensor(i->model, "fc.bias", bias, TINY_CLASSES));
    note(&i->load, amun_model_load_weights(i->model, api_path("busy")));
    note(&i->train, amun_train_run(NULL, i->model, i->data, NULL, 0, &options, NULL));
    note(&i->predict, amun_model_predict(i->model, &images, &out, NULL));
    note(&i->evaluate, amun_model_evaluate(&accuracy, NULL, i->model, i->data, NULL, 0, NULL));
    note(&i->get, amun_model_get_tensor(i->model, "fc.bias", bias, TINY_CLASSES));
    note(&i->clone, amun_model_clone(&twin, i->model));
    amun_model_unref(twin);
    return NULL;
}

/* The callback runs while the call holds the model: a conflict is certain, not a matter of luck. */
static int32_t callback(const amun_progress *progress, void *user_data)
{
    intruder *i = user_data;
    (void)progress;
    if (i->tried++ == 0) {
        pthread_t thread;
        start(&thread, intrude, i);
        join(thread);
    }
    return 0;
}

START_TEST(conflicts_are_busy)
{
    amun_context *ctx = NULL;
    amun_call_options call;
    intruder i = {0};
    tiny_values before;
    double accuracy;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_context_set_threads(ctx, 1));
    ck_ok(tiny_model(&i.model, ctx, 5));
    ck_ok(tiny_data(&i.data, ctx));
    ck_ok(amun_model_save(i.model, api_path("busy")));
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = callback;
    call.user_data = &i;
    call.min_interval_ms = 0;
    tiny_read(&before, i.model);

    /* while somebody reads: writers are turned away, readers are welcome */
    ck_ok(amun_model_evaluate(&accuracy, NULL, i.model, i.data, NULL, 0, &call));
    ck_assert_int_gt(i.tried, 0);
    const outcome *writers[] = {&i.reset, &i.set, &i.load, &i.train};
    const outcome *readers[] = {&i.predict, &i.evaluate, &i.get, &i.clone};
    for (size_t k = 0; k < 4; k++) {
        ck_outcome(writers[k], AMUN_ERROR_BUSY);
        ck_outcome(readers[k], AMUN_OK);
    }
    ck_unchanged(i.model, &before);

    /* while somebody writes: nobody gets in */
    amun_train_options options = tiny_train(2);
    amun_model *undisturbed = NULL;
    ck_ok(amun_model_clone(&undisturbed, i.model));
    ck_ok(amun_train_run(NULL, undisturbed, i.data, NULL, 0, &options, NULL));
    tiny_read(&before, undisturbed);
    i.tried = 0;
    ck_ok(amun_train_run(NULL, i.model, i.data, NULL, 0, &options, &call));
    ck_assert_int_gt(i.tried, 0);
    for (size_t k = 0; k < 4; k++) {
        ck_outcome(writers[k], AMUN_ERROR_BUSY);
        ck_outcome(readers[k], AMUN_ERROR_BUSY);
    }
    ck_unchanged(i.model, &before); /* and whoever tried left no trace */

    /* afterwards everybody may again */
    intrude(&i);
    for (size_t k = 0; k < 4; k++) {
        ck_outcome(writers[k], AMUN_OK);
        ck_outcome(readers[k], AMUN_OK);
    }
    amun_model_unref(undisturbed);
    amun_dataset_unref(i.data);
    amun_model_unref(i.model);
    amun_context_unref(ctx);
}
END_TEST

/* ---- messages and references
 * -------------------------------------------------------------------------- */

static void *fail_body(void *argument)
{
    amun_context *ctx = argument;
    uintptr_t wrong = 0;
    for (int n = 0; n < 200; n++) {
        amun_model *model = NULL;
        wrong += amun_model_create(&model, ctx, "nowhere", NULL) != AMUN_ERROR_NOT_FOUND;
        wrong += strstr(amun_last_error_message(), "nowhere") == NULL;
        amun_context_unref(amun_context_ref(ctx));
    }
    return (void *)wrong;
}

START_TEST(messages_belong_to_threads)
{
    amun_context *ctx = NULL;
    pthread_t thread[READERS];
    amun_model *model = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_fails(amun_model_create(&model, ctx, "here", NULL), AMUN_ERROR_NOT_FOUND, "here");
    for (int k = 0; k < READERS; k++) {
        start(&thread[k], fail_body, ctx);
    }
    for (int k = 0; k < READERS; k++) {
        void *wrong = NULL;
        ck_assert(pthread_join(thread[k], &wrong) == 0);
        ck_assert_msg(wrong == NULL, "%zu messages of other threads", (size_t)(uintptr_t)wrong);
    }
    ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "\"here\""));
    amun_context_unref(ctx);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("concurrency");
    tcase_add_test(tc, two_trainings);
    tcase_add_test(tc, readers_share_a_model);
    tcase_add_test(tc, conflicts_are_busy);
    tcase_add_test(tc, messages_belong_to_threads);
    return api_main("concurrency", (TCase *[]){tc, NULL});
}
