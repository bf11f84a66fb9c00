/* GAL, TRS and DVERGE through the public call: short last batches, several epochs, the same bytes
 * again, a run in two halves, too few members. */
#include "amun/ensemble.h"
#include "training.h"

enum { COUNT = 21, SIDE = 6, CLASSES = 3, MEMBERS = 2 };

static test_allocator allocator;
static amun_context *ctx;
static blobs b;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    blobs_make(&b, ctx, COUNT, 1, SIDE, SIDE, CLASSES, 3);
}

static void teardown(void)
{
    blobs_free(&b);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

static const amun_ensemble_method methods[] = {AMUN_ENSEMBLE_GAL, AMUN_ENSEMBLE_TRS,
                                               AMUN_ENSEMBLE_DVERGE};

static amun_ensemble *fresh_ensemble(size_t count)
{
    amun_model *models[MEMBERS] = {NULL};
    amun_ensemble *ensemble = NULL;
    for (size_t i = 0; i < count; i++) {
        models[i] = conv_model(ctx, 1, SIDE, SIDE, CLASSES, 4 + i);
    }
    ck_ok(amun_ensemble_create(&ensemble, ctx, models, count));
    for (size_t i = 0; i < count; i++) {
        amun_model_unref(models[i]);
    }
    return ensemble;
}

static void train(amun_ensemble *ensemble, amun_ensemble_method method, int32_t epochs,
                  const char *checkpoint, watcher *stop, amun_train_result *result)
{
    amun_train_options t = train_options(epochs, 8, 0.05);
    amun_ensemble_train_options o;
    amun_call_options call = watched(stop);
    ck_ok(amun_ensemble_train_options_init(&o, sizeof o));
    t.checkpoint = checkpoint;
    o.method = method;
    o.train = &t;
    o.trs_cosine = 2.0;
    amun_status status = amun_ensemble_train(result, ensemble, b.data, NULL, 0, &o, &call);
    ck_assert_msg(status == (stop->stop_at != 0 ? AMUN_ERROR_CANCELLED : AMUN_OK), "%s",
                  amun_last_error_message());
}

START_TEST(test_learns)
{
    for (size_t m = 0; m < 3; m++) {
        amun_ensemble *one = fresh_ensemble(MEMBERS), *two = fresh_ensemble(MEMBERS);
        amun_train_result result = {.struct_size = sizeof result};
        double accuracy = 0.0;
        train(one, methods[m], 8, NULL, &(watcher){0}, &result);
        train(two, methods[m], 8, NULL, &(watcher){0}, NULL);
        ck_assert(isfinite(result.loss) && result.epochs == 8);
        for (size_t i = 0; i < MEMBERS; i++) {
            ck_assert(same_bytes(bytes_of(amun_ensemble_model(one, i)),
                                 bytes_of(amun_ensemble_model(two, i))));
        }
        ck_ok(amun_ensemble_evaluate(&accuracy, NULL, one, b.data, NULL, 0, NULL));
        ck_assert_msg(accuracy >= 80.0, "method %d: %g %%", (int)methods[m], accuracy);
        amun_ensemble_unref(one);
        amun_ensemble_unref(two);
    }
}
END_TEST

/* Stopped after the first of three epochs, and gone on with by new handles: the same weights. */
START_TEST(test_goes_on)
{
    for (size_t m = 0; m < 3; m++) {
        const char *path = test_path("rivals_train.checkpoint");
        (void)remove(path);
        amun_ensemble *whole = fresh_ensemble(MEMBERS), *halves = fresh_ensemble(MEMBERS);
        train(whole, methods[m], 3, NULL, &(watcher){0}, NULL);
        train(halves, methods[m], 3, path, &(watcher){.stop_at = 4}, NULL);
        amun_ensemble_unref(halves);
        halves = fresh_ensemble(MEMBERS);
        train(halves, methods[m], 3, path, &(watcher){0}, NULL);
        for (size_t i = 0; i < MEMBERS; i++) {
            ck_assert(same_bytes(bytes_of(amun_ensemble_model(whole, i)),
                                 bytes_of(amun_ensemble_model(halves, i))));
        }
        amun_ensemble_unref(whole);
        amun_ensemble_unref(halves);
        (void)remove(path);
    }
}
END_TEST

START_TEST(test_alone)
{
    amun_ensemble *ensemble = fresh_ensemble(1);
    for (size_t m = 0; m < 3; m++) {
        amun_ensemble_train_options o;
        ck_ok(amun_ensemble_train_options_init(&o, sizeof o));
        o.method = methods[m];
        ck_fails(amun_ensemble_train(NULL, ensemble, b.data, NULL, 0, &o, NULL),
                 AMUN_ERROR_INVALID_ARGUMENT, "needs 2 members");
    }
    amun_ensemble_unref(ensemble);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("rivals_train");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_learns);
    tcase_add_test(tc, test_goes_on);
    tcase_add_test(tc, test_alone);
    return amun_test_main("rivals_train", (TCase *[]){tc, NULL});
}
