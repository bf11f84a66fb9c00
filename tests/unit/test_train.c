/* test_train.c - the training loop: determinism, cancelling, failing without a trace, memory. */
#include "data/data.h"
#include "train/train.h"
#include "training.h"

/* ---- fixture: a model with batch norm, 30 samples of 1x6x6 ------------------------------------
 */

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *model;
} fixture;

static void setup(fixture *f)
{
    *f = (fixture){.model = NULL};
    f->ctx = test_context(&f->allocator);
    blobs_make(&f->b, f->ctx, 30, 1, 6, 6, 3, 11);
    f->model = conv_model(f->ctx, 1, 6, 6, 3, 2);
}

static void teardown(fixture *f)
{
    amun_model_unref(f->model);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

static model_bytes trained(amun_context *ctx, const blobs *b, const amun_train_options *t)
{
    amun_model *model = conv_model(ctx, 1, 6, 6, 3, 2);
    ck_ok(amun_train_run(NULL, model, b->data, NULL, 0, t, NULL));
    model_bytes bytes = bytes_of(model);
    amun_model_unref(model);
    return bytes;
}

/* Same seed, same threads: same bytes; and the seed matters. Batches 8, 8, 8, 6. */
START_TEST(determinism)
{
    for (int32_t threads = 1; threads <= 2; threads++) {
        fixture f;
        setup(&f);
        ck_ok(amun_context_set_threads(f.ctx, threads));
        amun_train_options t = train_options(3, 8, 0.1);
        t.augment_pad = 1;
        t.augment_flip = 1;
        t.seed = 4;
        ck_assert(same_bytes(trained(f.ctx, &f.b, &t), trained(f.ctx, &f.b, &t)));
        amun_train_options other = t;
        other.seed = 5;
        ck_assert(!same_bytes(trained(f.ctx, &f.b, &t), trained(f.ctx, &f.b, &other)));
        amun_train_options plain = t;
        plain.augment_flip = 0;
        ck_assert(!same_bytes(trained(f.ctx, &f.b, &t), trained(f.ctx, &f.b, &plain)));
        teardown(&f);
    }
}
END_TEST

/* A short last batch of one sample, with batch norm over it. */
START_TEST(tail_of_one)
{
    fixture f;
    setup(&f);
    amun_train_options t = train_options(2, 29, 0.1);
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL));
    amun__model_values v;
    amun__model_values_get(f.model, &v);
    ck_assert_uint_eq(v.tracked_count, 1);
    ck_assert_int_eq(v.tracked[0], 4);
    teardown(&f);
}
END_TEST

/* Training on indices is training on the subset that they name. */
START_TEST(indices)
{
    fixture f;
    setup(&f);
    const int64_t chosen[] = {3, 28, 7, 0, 14, 9, 21};
    float images[7 * 36];
    int64_t labels[7];
    for (int i = 0; i < 7; i++) {
        memcpy(images + 36 * i, f.b.images + 36 * chosen[i], 36 * sizeof(float));
        labels[i] = f.b.labels[chosen[i]];
    }
    blobs copy = {.images = images, .labels = labels, .count = 7, .pixels = 36};
    blobs_open(&copy, f.ctx, 1, 6, 6, 3);
    amun_train_options t = train_options(3, 4, 0.1);
    amun_model *twin = conv_model(f.ctx, 1, 6, 6, 3, 2);
    amun_train_result a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    ck_ok(amun_train_run(&a, f.model, f.b.data, chosen, 7, &t, NULL));
    ck_ok(amun_train_run(&b, twin, copy.data, NULL, 0, &t, NULL));
    ck_assert(same_bytes(bytes_of(f.model), bytes_of(twin)));
    ck_assert(a.loss == b.loss);
    ck_assert_int_eq(a.samples, 21);
    amun_model_unref(twin);
    amun_dataset_unref(copy.data);
    teardown(&f);
}
END_TEST

START_TEST(no_epochs)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    amun_train_options t = train_options(0, 8, 0.1);
    amun_train_result result = {.struct_size = sizeof result};
    ck_ok(amun_train_run(&result, f.model, f.b.data, NULL, 0, &t, NULL));
    ck_assert(same_bytes(before, bytes_of(f.model)));
    ck_assert(isnan(result.loss) && isnan(result.accuracy));
    ck_assert_int_eq(result.epochs, 0);
    ck_assert_int_eq(result.samples, 0);
    teardown(&f);
}
END_TEST

/* ---- progress and cancelling -------------------------------------------------------------------
 */

START_TEST(progress)
{
    fixture f;
    setup(&f);
    amun_train_options t = train_options(3, 8, 0.1);
    watcher w = {.calls = 0};
    amun_call_options call = watched(&w);
    amun_train_result result = {.struct_size = sizeof result};
    ck_ok(amun_train_run(&result, f.model, f.b.data, NULL, 0, &t, &call));
    ck_assert_uint_eq(w.calls, 12); /* 3 epochs of 4 steps */
    ck_assert_uint_eq(w.last, 12);
    ck_assert_uint_eq(w.total, 12);
    ck_assert_str_eq(w.phase, "train");
    ck_assert(w.loss == result.loss && w.metric == result.accuracy);
    teardown(&f);
}
END_TEST

/* Stopped after 4 of 12 steps: the weights of a run of one epoch. */
START_TEST(cancel)
{
    fixture f;
    setup(&f);
    amun_train_options one = train_options(1, 8, 0.1);
    one.schedule = AMUN_SCHEDULE_CONSTANT;
    model_bytes expected = trained(f.ctx, &f.b, &one);
    amun_train_options t = one;
    t.epochs = 3;
    watcher w = {.stop_at = 4};
    amun_call_options call = watched(&w);
    ck_fails(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, &call), AMUN_ERROR_CANCELLED,
             "step 4");
    ck_assert(same_bytes(expected, bytes_of(f.model)));
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL)); /* usable afterwards */
    teardown(&f);
}
END_TEST

typedef struct intruder {
    amun_model *model;
    const amun_dataset *data;
    int busy;
} intruder;

static int32_t intrude(const amun_progress *p, void *user_data)
{
    (void)p;
    intruder *i = user_data;
    i->busy += amun_train_run(NULL, i->model, i->data, NULL, 0, NULL, NULL) == AMUN_ERROR_BUSY;
    i->busy += amun_model_evaluate(NULL, NULL, i->model, i->data, NULL, 0, NULL) == AMUN_ERROR_BUSY;
    return 0;
}

START_TEST(busy)
{
    fixture f;
    setup(&f);
    amun_train_options t = train_options(1, 30, 0.1);
    intruder i = {f.model, f.b.data, 0};
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = intrude;
    call.user_data = &i;
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, &call));
    ck_assert_int_eq(i.busy, 2);
    ck_assert_str_eq(amun_last_error_message(), "");
    teardown(&f);
}
END_TEST

/* ---- numbers that explode ----------------------------------------------------------------------
 */

START_TEST(divergence)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    amun_train_options t = train_options(50, 8, 1000.0);
    t.weight_decay = 1.0;
    ck_fails(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL), AMUN_ERROR_NUMERIC,
             "epoch");
    ck_assert(same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

/* NaN in the weights from the start: the first step says so. */
START_TEST(nan_from_the_start)
{
    fixture f;
    setup(&f);
    const float bias[] = {0.0f, NAN, 0.0f};
    amun__model_values v; /* amun_model_set_tensor() would refuse */
    amun__model_values_get(f.model, &v);
    float *fc = NULL;
    for (size_t i = 0; i + 3 <= v.trainable; i++) {
        fc = v.values + i; /* ends at the last three: fc.bias */
    }
    memcpy(fc, bias, sizeof bias);
    amun__model_touch(f.model);
    amun_train_options t = train_options(5, 8, 0.1);
    ck_fails(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL), AMUN_ERROR_NUMERIC,
             "loss is");
    ck_assert(strstr(amun_last_error_message(), "epoch 1 of 5, step 1 of 4") != NULL);
    teardown(&f);
}
END_TEST

/* The very last update overflows: no forward would ever see it. */
START_TEST(last_update)
{
    fixture f;
    setup(&f);
    amun__model_values v;
    amun__model_values_get(f.model, &v);
    v.values[v.trainable - 1] = 1e37f; /* a bias; the loss stays finite */
    amun__model_touch(f.model);
    model_bytes before = bytes_of(f.model);
    amun_train_options t = train_options(1, 30, 1000.0);
    t.weight_decay = 1.0;
    ck_fails(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL), AMUN_ERROR_NUMERIC,
             "after epoch 1 of 1");
    ck_assert(same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

/* ---- bad input
 * ----------------------------------------------------------------------------------- */

START_TEST(bad_arguments)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    amun_train_options t = train_options(1, 8, 0.1);
    ck_fails(amun_train_run(NULL, NULL, f.b.data, NULL, 0, &t, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "model");
    ck_fails(amun_train_run(NULL, f.model, NULL, NULL, 0, &t, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "data");
    ck_fails(amun_train_run(NULL, (amun_model *)f.b.data, f.b.data, NULL, 0, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "model");
    const int64_t outside[] = {0, 30}, negative[] = {-1}, twice[] = {4, 2, 4};
    ck_fails(amun_train_run(NULL, f.model, f.b.data, outside, 2, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "30");
    ck_fails(amun_train_run(NULL, f.model, f.b.data, negative, 1, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "-1");
    ck_fails(amun_train_run(NULL, f.model, f.b.data, twice, 3, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "4");
    ck_fails(amun_train_run(NULL, f.model, f.b.data, outside, 0, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "training set");
    ck_fails(amun_train_run(NULL, f.model, f.b.data, NULL, 7, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "7");
    amun_train_result result = {.struct_size = 3};
    ck_fails(amun_train_run(&result, f.model, f.b.data, NULL, 0, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "struct_size");
    ck_assert(same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

START_TEST(bad_options)
{
    fixture f;
    setup(&f);
#define REFUSES(member, value)                                                                     \
    do {                                                                                           \
        amun_train_options o = train_options(1, 8, 0.1);                                           \
        o.member = (value);                                                                        \
        ck_fails(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &o, NULL),                       \
                 AMUN_ERROR_INVALID_ARGUMENT, #member);                                            \
    } while (0)
    REFUSES(epochs, -1);
    REFUSES(epochs, 100001);
    REFUSES(batch, 0);
    REFUSES(lr, (double)NAN);
    REFUSES(lr, -0.1);
    REFUSES(momentum, 1.0);
    REFUSES(weight_decay, 2.0);
    REFUSES(nesterov, 2);
    REFUSES(schedule, 0);
    REFUSES(schedule, 5);
    REFUSES(step_epochs, 0);
    REFUSES(gamma, 0.0);
    REFUSES(gamma, 1.5);
    REFUSES(warmup, -0.1);
    REFUSES(final_factor, 1.1);
    REFUSES(label_smoothing, 1.0);
    REFUSES(augment_flip, 3);
    REFUSES(augment_pad, -1);
    REFUSES(checkpoint_every, 0);
    REFUSES(checkpoint, "");
    amun_train_options wide = train_options(1, 8, 0.1);
    wide.augment_pad = 6; /* as large as the image */
    ck_fails(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &wide, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "pad is 6");
    teardown(&f);
}
END_TEST

START_TEST(bad_data)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    amun_train_options t = train_options(1, 8, 0.1);
    blobs bare, many, large;
    blobs_make(&bare, f.ctx, 9, 1, 6, 6, 0, 1);
    blobs_make(&many, f.ctx, 9, 1, 6, 6, 5, 1);
    blobs_make(&large, f.ctx, 9, 2, 6, 7, 3, 1);
    ck_fails(amun_train_run(NULL, f.model, bare.data, NULL, 0, &t, NULL), AMUN_ERROR_STATE,
             "no labels");
    ck_fails(amun_train_run(NULL, f.model, many.data, NULL, 0, &t, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "label 3 ");
    ck_fails(amun_train_run(NULL, f.model, large.data, NULL, 0, &t, NULL), AMUN_ERROR_SHAPE,
             "2x6x7");
    ck_assert(strstr(amun_last_error_message(), "1x6x6") != NULL);
    ck_assert(same_bytes(before, bytes_of(f.model)));
    /* a data set of more classes is fine as long as the chosen labels are below */
    int64_t low[9];
    size_t count = 0;
    for (int64_t i = 0; i < 9; i++) {
        if (many.labels[i] < 3) {
            low[count++] = i;
        }
    }
    ck_assert(count > 2 && count < 9);
    ck_ok(amun_train_run(NULL, f.model, many.data, low, count, &t, NULL));
    blobs_free(&bare);
    blobs_free(&many);
    blobs_free(&large);
    teardown(&f);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------
 */

typedef struct meter {
    test_allocator *allocator;
    int64_t early, late;
} meter;

static int32_t measure(const amun_progress *p, void *user_data)
{
    meter *m = user_data;
    if (p->step == 4) {
        m->early = atomic_load(&m->allocator->calls); /* both plans have run once */
    }
    m->late = atomic_load(&m->allocator->calls);
    return 0;
}

/* After the first epoch, with its short batch, nothing is allocated any more. */
START_TEST(steady_state)
{
    fixture f;
    setup(&f);
    amun_train_options t = train_options(4, 8, 0.1);
    t.augment_flip = 1;
    t.augment_pad = 1;
    meter m = {&f.allocator, 0, 0};
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = measure;
    call.user_data = &m;
    call.min_interval_ms = 0;
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, &call));
    ck_assert_int_gt(m.early, 0);
    ck_assert_int_eq(m.late, m.early);
    teardown(&f);
}
END_TEST

/* Each allocation fails once: a status, no leak, the model as it was. */
START_TEST(out_of_memory)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    amun_train_options t = train_options(2, 8, 0.1);
    int64_t live = f.allocator.live_blocks, failures = 0;
    for (int64_t at = 1; at < 1000; at++) {
        amun__model_trim(f.model); /* so that plans are made again */
        ck_assert_int_eq(atomic_load(&f.allocator.live_blocks), live);
        atomic_store(&f.allocator.fail_at, at);
        amun_status status = amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL);
        atomic_store(&f.allocator.fail_at, 0);
        if (status == AMUN_OK) {
            break;
        }
        failures++;
        ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
        model_bytes now = bytes_of(f.model);
        ck_assert(now.size == before.size && memcmp(now.bytes, before.bytes, now.size) == 0);
        free(now.bytes);
    }
    ck_assert_int_gt(failures, 10);
    ck_assert(!same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

/* ---- what recipes add
 * ---------------------------------------------------------------------------- */

/* A mask freezes weights exactly; a weight of -1 climbs where 1 descends. */
START_TEST(mask_and_sign)
{
    fixture f;
    setup(&f);
    amun__model_values v;
    amun__model_values_get(f.model, &v);
    uint8_t *mask = calloc(v.trainable, 1);
    ck_assert_ptr_nonnull(mask);
    for (size_t i = 0; i < v.trainable; i += 2) {
        mask[i] = 1;
    }
    float *before = malloc(v.trainable * sizeof *before);
    ck_assert_ptr_nonnull(before);
    memcpy(before, v.values, v.trainable * sizeof *before);
    double loss[2] = {0, 0}, first = 0;
    for (int sign = 0; sign < 2; sign++) {
        amun_model *model = conv_model(f.ctx, 1, 6, 6, 3, 2);
        amun__recipe recipe = {
            .name = "test",
            .mix = {.parts[0] = {.dataset = f.b.data,
                                 .target = AMUN__TARGET_LABEL,
                                 .weight = sign ? -1.0 : 1.0},
                    .part_count = 1,
                    .classes = 3,
                    .shuffle = 1},
            .options = train_options(3, 8, 0.02),
            .mask = mask,
        };
        ck_ok(amun_model_evaluate(NULL, &first, model, f.b.data, NULL, 0, NULL));
        ck_ok(amun__model_begin_write(model));
        ck_ok(amun__recipe_run(model, &recipe, NULL, NULL));
        amun__model_end_write(model);
        ck_ok(amun_model_evaluate(NULL, &loss[sign], model, f.b.data, NULL, 0, NULL));
        amun__model_values now;
        amun__model_values_get(model, &now);
        size_t moved = 0;
        for (size_t i = 0; i < v.trainable; i++) {
            bool same = memcmp(now.values + i, before + i, sizeof *before) == 0;
            ck_assert(mask[i] != 0 || same);
            moved += !same;
        }
        ck_assert_uint_gt(moved, v.trainable / 4);
        amun_model_unref(model);
    }
    ck_assert(loss[0] < first && loss[1] > loss[0]);
    free(mask);
    free(before);
    teardown(&f);
}
END_TEST

/* It learns: separable blobs are told apart. */
START_TEST(learns)
{
    fixture f;
    setup(&f);
    amun_train_options t = train_options(20, 8, 0.1);
    t.schedule = AMUN_SCHEDULE_ONECYCLE;
    double before = 0, after = 0, accuracy = 0;
    ck_ok(amun_model_evaluate(NULL, &before, f.model, f.b.data, NULL, 0, NULL));
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL));
    ck_ok(amun_model_evaluate(&accuracy, &after, f.model, f.b.data, NULL, 0, NULL));
    ck_assert(after < 0.3 * before);
    ck_assert(accuracy > 95.0);
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("train");
    tcase_add_test(tc, determinism);
    tcase_add_test(tc, tail_of_one);
    tcase_add_test(tc, indices);
    tcase_add_test(tc, no_epochs);
    tcase_add_test(tc, progress);
    tcase_add_test(tc, cancel);
    tcase_add_test(tc, busy);
    tcase_add_test(tc, divergence);
    tcase_add_test(tc, nan_from_the_start);
    tcase_add_test(tc, last_update);
    tcase_add_test(tc, bad_arguments);
    tcase_add_test(tc, bad_options);
    tcase_add_test(tc, bad_data);
    tcase_add_test(tc, steady_state);
    tcase_add_test(tc, out_of_memory);
    tcase_add_test(tc, mask_and_sign);
    tcase_add_test(tc, learns);
    return amun_test_main("train", (TCase *[]){tc, NULL});
}
