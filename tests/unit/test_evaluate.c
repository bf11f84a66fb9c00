/* test_evaluate.c - accuracy and loss against plain arithmetic on the model's own predictions. */
#include "data/data.h"
#include "train/train.h"
#include "training.h"

enum { COUNT = 300, SIDE = 5, PIXELS = 2 * SIDE * SIDE, CLASSES = 4 }; /* 256 and a tail of 44 */

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *model;
    float *logits; /* [COUNT][CLASSES], by amun_model_predict */
} fixture;

static void setup(fixture *f)
{
    *f = (fixture){.model = NULL};
    f->ctx = test_context(&f->allocator);
    blobs_make(&f->b, f->ctx, COUNT, 2, SIDE, SIDE, CLASSES, 17);
    f->model = linear_model(f->ctx, 2, SIDE, SIDE, CLASSES, 8);
    f->logits = malloc(COUNT * CLASSES * sizeof *f->logits);
    ck_assert_ptr_nonnull(f->logits);
    amun_tensor_view images = {.data = f->b.images,
                               .dtype = AMUN_DTYPE_F32,
                               .ndim = 4,
                               .shape = {COUNT, 2, SIDE, SIDE},
                               .strides = {PIXELS * 4, SIDE * SIDE * 4, SIDE * 4, 4}};
    amun_tensor_view logits = {.data = f->logits,
                               .dtype = AMUN_DTYPE_F32,
                               .ndim = 2,
                               .shape = {COUNT, CLASSES},
                               .strides = {CLASSES * 4, 4}};
    ck_ok(amun_model_predict(f->model, &images, &logits, NULL));
}

static void teardown(fixture *f)
{
    free(f->logits);
    amun_model_unref(f->model);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

static void expect(const fixture *f, const int64_t *indices, size_t count, double *accuracy,
                   double *loss)
{
    size_t right = 0;
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        size_t at = indices != NULL ? (size_t)indices[i] : i;
        const float *z = f->logits + at * CLASSES;
        int64_t label = f->b.labels[at];
        double total = 0.0;
        bool best = true;
        for (int64_t k = 0; k < CLASSES; k++) {
            total += exp((double)z[k]);
            best = best && (z[label] > z[k] || (z[label] == z[k] && label <= k));
        }
        right += best;
        sum -= log(exp((double)z[label]) / total);
    }
    *accuracy = 100.0 * (double)right / (double)count;
    *loss = sum / (double)count;
}

static void compare(const fixture *f, const int64_t *indices, size_t count)
{
    double accuracy = 0, loss = 0, a = 0, l = 0;
    expect(f, indices, indices != NULL ? count : COUNT, &a, &l);
    ck_ok(amun_model_evaluate(&accuracy, &loss, f->model, f->b.data, indices, count, NULL));
    ck_close(accuracy, a, 1e-12);
    ck_close(loss, l, 1e-5);
    ck_ok(amun_model_evaluate(&accuracy, NULL, f->model, f->b.data, indices, count, NULL));
    ck_close(accuracy, a, 1e-12);
    ck_ok(amun_model_evaluate(NULL, &loss, f->model, f->b.data, indices, count, NULL));
    ck_close(loss, l, 1e-5);
}

START_TEST(all)
{
    fixture f;
    setup(&f);
    compare(&f, NULL, 0);
    compare(&f, NULL, COUNT);
    teardown(&f);
}
END_TEST

START_TEST(some)
{
    fixture f;
    setup(&f);
    const int64_t one[] = {299}, few[] = {5, 0, 280, 17};
    int64_t most[257];
    for (int64_t i = 0; i < 257; i++) {
        most[i] = COUNT - 1 - i;
    }
    compare(&f, one, 1);
    compare(&f, few, 4);
    compare(&f, most, 256);
    compare(&f, most, 257);
    teardown(&f);
}
END_TEST

/* Rows come in the order of the indices. */
START_TEST(logits)
{
    fixture f;
    setup(&f);
    float out[4 * CLASSES], *whole = malloc(COUNT * CLASSES * sizeof *whole);
    ck_assert_ptr_nonnull(whole);
    const int64_t few[] = {299, 0, 123, 1};
    ck_ok(amun__model_begin_read(f.model));
    ck_ok(amun__eval_logits(f.model, f.b.data, few, 4, out, NULL, "test"));
    ck_ok(amun__eval_logits(f.model, f.b.data, NULL, COUNT, whole, NULL, "test"));
    ck_ok(amun__eval_logits(f.model, f.b.data, NULL, 0, NULL, NULL, "test"));
    amun__model_end_read(f.model);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < CLASSES; k++) {
            ck_close((double)out[i * CLASSES + k], (double)f.logits[few[i] * CLASSES + k], 1e-5);
        }
    }
    for (int i = 0; i < COUNT * CLASSES; i++) {
        ck_close((double)whole[i], (double)f.logits[i], 1e-5);
    }
    free(whole);
    teardown(&f);
}
END_TEST

START_TEST(untouched)
{
    fixture f;
    setup(&f);
    amun_model *model = conv_model(f.ctx, 2, SIDE, SIDE, CLASSES, 1);
    model_bytes before = bytes_of(model);
    double first[2], second[2];
    ck_ok(amun_model_evaluate(&first[0], &first[1], model, f.b.data, NULL, 0, NULL));
    ck_ok(amun_model_evaluate(&second[0], &second[1], model, f.b.data, NULL, 0, NULL));
    ck_assert(memcmp(first, second, sizeof first) == 0);
    ck_assert(same_bytes(before, bytes_of(model))); /* running statistics included */
    amun_model_unref(model);
    teardown(&f);
}
END_TEST

START_TEST(progress)
{
    fixture f;
    setup(&f);
    watcher w = {.calls = 0};
    amun_call_options call = watched(&w);
    double accuracy = 0;
    ck_ok(amun_model_evaluate(&accuracy, NULL, f.model, f.b.data, NULL, 0, &call));
    ck_assert_uint_eq(w.calls, 2);
    ck_assert_uint_eq(w.last, COUNT);
    ck_assert_uint_eq(w.total, COUNT);
    ck_assert_str_eq(w.phase, "evaluate");
    ck_assert(w.metric == accuracy);
    w = (watcher){.stop_at = 256};
    ck_fails(amun_model_evaluate(&accuracy, NULL, f.model, f.b.data, NULL, 0, &call),
             AMUN_ERROR_CANCELLED, "256");
    ck_assert(isnan(accuracy));
    ck_ok(amun_model_evaluate(&accuracy, NULL, f.model, f.b.data, NULL, 0, NULL));
    teardown(&f);
}
END_TEST

START_TEST(bad_input)
{
    fixture f;
    setup(&f);
    blobs bare, many, large;
    blobs_make(&bare, f.ctx, 9, 2, SIDE, SIDE, 0, 1);
    blobs_make(&many, f.ctx, 9, 2, SIDE, SIDE, 5, 1);
    blobs_make(&large, f.ctx, 9, 2, SIDE + 1, SIDE, CLASSES, 1);
    double a = 0;
    const int64_t outside[] = {0, COUNT}, twice[] = {4, 4};
    ck_fails(amun_model_evaluate(&a, NULL, NULL, f.b.data, NULL, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "model");
    ck_fails(amun_model_evaluate(&a, NULL, f.model, NULL, NULL, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "data");
    ck_assert(isnan(a));
    ck_fails(amun_model_evaluate(&a, NULL, f.model, f.b.data, outside, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "300");
    ck_fails(amun_model_evaluate(&a, NULL, f.model, f.b.data, twice, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "4");
    ck_fails(amun_model_evaluate(&a, NULL, f.model, f.b.data, outside, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "evaluation set");
    ck_fails(amun_model_evaluate(&a, NULL, f.model, f.b.data, NULL, 3, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "3");
    ck_fails(amun_model_evaluate(&a, NULL, f.model, bare.data, NULL, 0, NULL), AMUN_ERROR_STATE,
             "no labels");
    ck_fails(amun_model_evaluate(&a, NULL, f.model, many.data, NULL, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "outside the model's 0..3");
    ck_fails(amun_model_evaluate(&a, NULL, f.model, large.data, NULL, 0, NULL), AMUN_ERROR_SHAPE,
             "2x6x5");
    ck_assert(strstr(amun_last_error_message(), "2x5x5") != NULL);
    float row[CLASSES];
    ck_ok(amun__model_begin_read(f.model));
    ck_fails(amun__eval_logits(f.model, f.b.data, outside + 1, 1, row, NULL, "test"),
             AMUN_ERROR_INVALID_ARGUMENT, "300");
    amun__model_end_read(f.model);
    blobs_free(&bare);
    blobs_free(&many);
    blobs_free(&large);
    teardown(&f);
}
END_TEST

/* A number that is not one is no result. */
START_TEST(not_finite)
{
    fixture f;
    setup(&f);
    amun__model_values v;
    amun__model_values_get(f.model, &v);
    v.values[v.trainable - 1] = NAN; /* the bias of the last class */
    amun__model_touch(f.model);
    double a = 0, l = 0;
    ck_fails(amun_model_evaluate(&a, &l, f.model, f.b.data, NULL, 0, NULL), AMUN_ERROR_NUMERIC,
             "logit 3 of image 0");
    ck_assert(isnan(a) && isnan(l));
    teardown(&f);
}
END_TEST

START_TEST(out_of_memory)
{
    fixture f;
    setup(&f);
    int64_t live = f.allocator.live_blocks, failures = 0;
    double a = 0;
    amun__model_trim(f.model);
    live = f.allocator.live_blocks;
    for (int64_t at = 1; at < 500; at++) {
        atomic_store(&f.allocator.fail_at, at);
        amun_status status = amun_model_evaluate(&a, NULL, f.model, f.b.data, NULL, 0, NULL);
        atomic_store(&f.allocator.fail_at, 0);
        amun__model_trim(f.model);
        ck_assert_int_eq(f.allocator.live_blocks, live);
        if (status == AMUN_OK) {
            break;
        }
        ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
        failures++;
    }
    ck_assert_int_gt(failures, 3);
    ck_assert(!isnan(a));
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("evaluate");
    tcase_add_test(tc, all);
    tcase_add_test(tc, some);
    tcase_add_test(tc, logits);
    tcase_add_test(tc, untouched);
    tcase_add_test(tc, progress);
    tcase_add_test(tc, bad_input);
    tcase_add_test(tc, not_finite);
    tcase_add_test(tc, out_of_memory);
    return amun_test_main("evaluate", (TCase *[]){tc, NULL});
}
