/* test_checkpoint.c - runs that are interrupted, cancelled and killed end with the bytes of a run
 * that was not; a checkpoint of anything else is refused, and so is a damaged one. */
#include <sys/stat.h>

#include "data/data.h"
#include "io/io.h"
#include "killed.h"
#include "train/train.h"
#include "training.h"

enum { COUNT = 30, SIDE = 6, CLASSES = 3, EPOCHS = 24 };

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *model;
    char path[4096];
} fixture;

static void setup(fixture *f, const char *name)
{
    *f = (fixture){.model = NULL};
    f->ctx = test_context(&f->allocator);
    ck_ok(amun_context_set_threads(f->ctx, 1)); /* as in the killed process */
    blobs_make(&f->b, f->ctx, COUNT, 1, SIDE, SIDE, CLASSES, 23);
    f->model = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 6);
    snprintf(f->path, sizeof f->path, "%s", test_path(name));
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

/* Batches 8, 8, 8, 6; every random choice in use. */
static amun_train_options options(const char *path)
{
    amun_train_options t = train_options(EPOCHS, 8, 0.05);
    t.schedule = AMUN_SCHEDULE_COSINE;
    t.augment_pad = 1;
    t.augment_flip = 1;
    t.seed = UINT64_C(0xfedcba9876543210); /* beyond 2^53: must survive JSON */
    t.checkpoint = path;
    return t;
}

static amun_status run_fresh(fixture *f, const amun_train_options *t, watcher *w,
                             amun_train_result *result)
{
    amun_model_unref(f->model);
    f->model = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 6);
    amun_call_options call;
    if (w != NULL) {
        call = watched(w);
    }
    return amun_train_run(result, f->model, f->b.data, NULL, 0, t, w != NULL ? &call : NULL);
}

static model_bytes uninterrupted(fixture *f, amun_train_result *result)
{
    amun_train_options t = options(NULL);
    ck_ok(run_fresh(f, &t, NULL, result));
    return bytes_of(f->model);
}

/* ---- in one process ----------------------------------------------------------------------------
 */

/* Writing checkpoints changes nothing; going on from one neither, wherever it was. */
START_TEST(resume)
{
    fixture f;
    setup(&f, "resume.ckpt");
    amun_train_result plain = {.struct_size = sizeof plain}, again = plain;
    model_bytes expected = uninterrupted(&f, &plain);
    const int32_t every[] = {1, 5, 100};
    for (int i = 0; i < 3; i++) {
        amun_train_options t = options(f.path);
        t.checkpoint_every = every[i];
        for (uint64_t stop = 1; stop < 96; stop += 29) {
            watcher w = {.stop_at = stop};
            ck_fails(run_fresh(&f, &t, &w, NULL), AMUN_ERROR_CANCELLED, "step");
        }
        ck_ok(run_fresh(&f, &t, NULL, &again));
        model_bytes now = bytes_of(f.model);
        ck_assert(now.size == expected.size && memcmp(now.bytes, expected.bytes, now.size) == 0);
        free(now.bytes);
        ck_assert(again.loss == plain.loss && again.accuracy == plain.accuracy);
        ck_assert_int_eq(again.epochs, EPOCHS);
        ck_assert_int_eq(again.samples % COUNT, 0);
        ck_assert((again.samples < (int64_t)EPOCHS * COUNT) == (every[i] < 20));
        remove(f.path);
    }
    free(expected.bytes);
    teardown(&f);
}
END_TEST

/* Adam goes on with both of its moments and the number of its steps. */
START_TEST(resume_adam)
{
    fixture f;
    setup(&f, "adam.ckpt");
    amun_train_options plain = options(NULL), t = options(f.path);
    plain.optimiser = t.optimiser = AMUN_OPTIMISER_ADAM;
    plain.lr = t.lr = 0.003;
    ck_ok(run_fresh(&f, &plain, NULL, NULL));
    model_bytes expected = bytes_of(f.model);
    for (uint64_t stop = 1; stop < 96; stop += 29) {
        watcher w = {.stop_at = stop};
        ck_fails(run_fresh(&f, &t, &w, NULL), AMUN_ERROR_CANCELLED, "step");
    }
    ck_ok(run_fresh(&f, &t, NULL, NULL));
    ck_assert(same_bytes(expected, bytes_of(f.model)));
    t.optimiser = AMUN_OPTIMISER_SGD;
    ck_fails(run_fresh(&f, &t, NULL, NULL), AMUN_ERROR_STATE, "optimiser");
    teardown(&f);
}
END_TEST

/* Once more after the end: nothing to do, the same weights and figures. */
START_TEST(finished)
{
    fixture f;
    setup(&f, "finished.ckpt");
    amun_train_options t = options(f.path);
    amun_train_result first = {.struct_size = sizeof first}, second = first;
    watcher w = {.calls = 0};
    ck_ok(run_fresh(&f, &t, NULL, &first));
    model_bytes bytes = bytes_of(f.model);
    ck_ok(run_fresh(&f, &t, &w, &second));
    ck_assert(same_bytes(bytes, bytes_of(f.model)));
    ck_assert_uint_eq(w.calls, 0);
    ck_assert(first.loss == second.loss && first.accuracy == second.accuracy);
    ck_assert_int_eq(second.epochs, EPOCHS);
    ck_assert_int_eq(second.samples, 0);
    teardown(&f);
}
END_TEST

/* Without momentum there is no velocity to keep. */
START_TEST(no_momentum)
{
    fixture f;
    setup(&f, "plain.ckpt");
    amun_train_options t = options(NULL);
    t.momentum = 0.0;
    ck_ok(run_fresh(&f, &t, NULL, NULL));
    model_bytes expected = bytes_of(f.model);
    t.checkpoint = f.path;
    watcher w = {.stop_at = 50};
    ck_fails(run_fresh(&f, &t, &w, NULL), AMUN_ERROR_CANCELLED, "50");
    ck_ok(run_fresh(&f, &t, NULL, NULL));
    ck_assert(same_bytes(expected, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

/* ---- killed ------------------------------------------------------------------------------------
 */

START_TEST(child)
{
    fixture f;
    setup(&f, "child.unused");
    amun_train_options t = options(child_checkpoint);
    amun_call_options call = dawdling();
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, &call));
    model_bytes bytes = bytes_of(f.model);
    const amun__chunk chunk = {bytes.bytes, bytes.size};
    ck_ok(amun__file_write(f.ctx, child_out, &chunk, 1));
    free(bytes.bytes);
    teardown(&f);
}
END_TEST

START_TEST(killed)
{
    fixture f;
    setup(&f, "killed.ckpt");
    char out[4096];
    snprintf(out, sizeof out, "%s", test_path("killed.out"));
    remove(out);
    model_bytes expected = uninterrupted(&f, NULL);
    kill_until_done(f.ctx, f.path, out);
    amun__mapping mapping;
    ck_ok(amun__file_map(&mapping, out));
    ck_assert_uint_eq(mapping.size, expected.size);
    ck_assert(memcmp(mapping.data, expected.bytes, expected.size) == 0);
    amun__file_unmap(&mapping);
    free(expected.bytes);
    remove(out);
    remove_leftovers(f.path);
    teardown(&f);
}
END_TEST

/* ---- of another run
 * ------------------------------------------------------------------------------ */

static void half_done(fixture *f)
{
    amun_train_options t = options(f->path);
    watcher w = {.stop_at = 50};
    ck_fails(run_fresh(f, &t, &w, NULL), AMUN_ERROR_CANCELLED, "50");
}

START_TEST(other_options)
{
    fixture f;
    setup(&f, "options.ckpt");
    half_done(&f);
#define DIFFERS(member, value, part)                                                               \
    do {                                                                                           \
        amun_train_options o = options(f.path);                                                    \
        o.member = (value);                                                                        \
        ck_fails(run_fresh(&f, &o, NULL, NULL), AMUN_ERROR_STATE, part);                           \
    } while (0)
    DIFFERS(epochs, EPOCHS + 1, "epochs is 25 here and 24 there");
    DIFFERS(batch, 10, "batch is 10 here and 8 there");
    DIFFERS(lr, 0.25, "lr is 0.25 here and 0.05");
    DIFFERS(momentum, 0.5, "momentum is 0.5 here and 0.9");
    DIFFERS(weight_decay, 0.0, "weight_decay is 0.0 here and 0.0005");
    DIFFERS(nesterov, 1, "nesterov is 1 here and 0 there");
    DIFFERS(schedule, AMUN_SCHEDULE_STEP, "schedule is \"step\" here and \"cosine\" there");
    DIFFERS(step_epochs, 3, "step_epochs is 3 here and 40 there");
    DIFFERS(gamma, 0.5, "gamma");
    DIFFERS(warmup, 0.5, "warmup");
    DIFFERS(final_factor, 0.5, "final_factor");
    DIFFERS(label_smoothing, 0.5, "label_smoothing");
    DIFFERS(augment_pad, 2, "augment_pad is 2 here and 1 there");
    DIFFERS(augment_flip, 0, "augment_flip is 0 here and 1 there");
    DIFFERS(augment_cutout, 5, "augment_cutout is 5 here");
    DIFFERS(seed, 7, "seed is 7 here and \"18364758544493064720\" there");
    DIFFERS(seed, UINT64_C(0xfedcba9876543211), "seed");
    amun_train_options both = options(f.path);
    both.lr = 0.5;
    both.seed = 3;
    ck_fails(run_fresh(&f, &both, NULL, NULL), AMUN_ERROR_STATE, "lr is 0.5");
    ck_assert(strstr(amun_last_error_message(), "seed is 3") != NULL);
    /* these do not touch the result */
    amun_train_options t = options(f.path);
    t.checkpoint_every = 3;
    ck_ok(amun_context_set_threads(f.ctx, 2));
    ck_ok(run_fresh(&f, &t, NULL, NULL));
    teardown(&f);
}
END_TEST

START_TEST(other_data)
{
    fixture f;
    setup(&f, "data.ckpt");
    half_done(&f);
    amun_train_options t = options(f.path);
    int64_t order[COUNT];
    for (int64_t i = 0; i < COUNT; i++) {
        order[i] = i;
    }
    model_bytes before = bytes_of(f.model);
    ck_fails(amun_train_run(NULL, f.model, f.b.data, order, 20, &t, NULL), AMUN_ERROR_STATE,
             "data is 20 samples");
    order[0] = 1;
    order[1] = 0;
    ck_fails(amun_train_run(NULL, f.model, f.b.data, order, COUNT, &t, NULL), AMUN_ERROR_STATE,
             "data is 30 samples");
    order[0] = 0;
    order[1] = 1;
    blobs other;
    blobs_make(&other, f.ctx, COUNT, 1, SIDE, SIDE, CLASSES, 24); /* same labels, other pixels */
    ck_fails(amun_train_run(NULL, f.model, other.data, NULL, 0, &t, NULL), AMUN_ERROR_STATE,
             "data is 30 samples");
    blobs_free(&other);
    ck_assert(same_bytes(before, bytes_of(f.model)));
    /* a list of all is all */
    ck_ok(amun_train_run(NULL, f.model, f.b.data, order, COUNT, &t, NULL));
    teardown(&f);
}
END_TEST

/* One label of many differs, or the order: seen, though only some of the images are looked at. */
START_TEST(other_label)
{
    fixture f;
    setup(&f, "label.ckpt");
    blobs_free(&f.b);
    blobs_make(&f.b, f.ctx, 200, 1, SIDE, SIDE, CLASSES, 23);
    half_done(&f);
    for (size_t i = 1; i < 200; i += 33) {
        int64_t label = f.b.labels[i];
        f.b.labels[i] = (label + 1) % CLASSES;
        amun_dataset_unref(f.b.data);
        blobs_open(&f.b, f.ctx, 1, SIDE, SIDE, CLASSES);
        amun_train_options t = options(f.path);
        ck_fails(run_fresh(&f, &t, NULL, NULL), AMUN_ERROR_STATE, "data is 200 samples");
        f.b.labels[i] = label;
    }
    /* two images of one class change places */
    int64_t order[200];
    for (int64_t i = 0; i < 200; i++) {
        order[i] = i;
    }
    order[13] = 16;
    order[16] = 13;
    ck_assert_int_eq(f.b.labels[13], f.b.labels[16]);
    amun_dataset_unref(f.b.data);
    blobs_open(&f.b, f.ctx, 1, SIDE, SIDE, CLASSES);
    amun_train_options t = options(f.path);
    ck_fails(amun_train_run(NULL, f.model, f.b.data, order, 200, &t, NULL), AMUN_ERROR_STATE,
             "data is 200 samples");
    ck_ok(amun_train_run(NULL, f.model, f.b.data, NULL, 0, &t, NULL));
    teardown(&f);
}
END_TEST

START_TEST(other_model)
{
    fixture f;
    setup(&f, "model.ckpt");
    half_done(&f);
    amun_train_options t = options(f.path);
    amun_model *other = linear_model(f.ctx, 1, SIDE, SIDE, CLASSES, 1);
    model_bytes before = bytes_of(other);
    ck_fails(amun_train_run(NULL, other, f.b.data, NULL, 0, &t, NULL), AMUN_ERROR_STATE,
             "arch is custom, 1x6x6, 3 classes, 111 trainable");
    ck_assert(same_bytes(before, bytes_of(other)));
    amun_model_unref(other);
    /* another method under the same name */
    amun__recipe recipe = {
        .name = "other",
        .mix = {.parts[0] = {.dataset = f.b.data,
                             .target = AMUN__TARGET_LABEL,
                             .augment = 1,
                             .weight = 1.0},
                .part_count = 1,
                .classes = CLASSES,
                .shuffle = 1},
        .options = t,
    };
    ck_fails(amun__recipe_run(f.model, &recipe, NULL, NULL), AMUN_ERROR_STATE,
             "recipe is other here and train there");
    recipe.name = "train";
    recipe.l1 = 0.5;
    ck_fails(amun__recipe_run(f.model, &recipe, NULL, NULL), AMUN_ERROR_STATE, "l1 is 0.5");
    recipe.l1 = 0.0;
    recipe.mix.parts[0].weight = -1.0;
    ck_fails(amun__recipe_run(f.model, &recipe, NULL, NULL), AMUN_ERROR_STATE, "data is");
    recipe.mix.parts[0].weight = 1.0;
    ck_ok(amun__recipe_run(f.model, &recipe, NULL, NULL));
    teardown(&f);
}
END_TEST

/* ---- damaged, and not writable
 * --------------------------------------------------------------------- */

/* Any one byte changed: refused, or (in what the file says about its origin) without effect. */
START_TEST(damaged)
{
    fixture f;
    setup(&f, "damaged.ckpt");
    half_done(&f);
    amun__mapping mapping;
    ck_ok(amun__file_map(&mapping, f.path));
    size_t size = mapping.size;
    unsigned char *whole = malloc(size), *bytes = malloc(size);
    ck_assert(whole != NULL && bytes != NULL);
    memcpy(whole, mapping.data, size);
    amun__file_unmap(&mapping);
    model_bytes expected = uninterrupted(&f, NULL);
    amun_train_options t = options(f.path);
    size_t refused = 0, tried = 0;
    for (size_t at = 0; at < size; at += size / 200 + 1) {
        memcpy(bytes, whole, size);
        bytes[at] ^= (unsigned char)(1u << at % 8);
        const amun__chunk chunk = {bytes, size};
        ck_ok(amun__file_write(f.ctx, f.path, &chunk, 1));
        amun_status status = run_fresh(&f, &t, NULL, NULL);
        tried++;
        refused += status != AMUN_OK;
        model_bytes now = bytes_of(f.model);
        ck_assert(status != AMUN_OK || memcmp(now.bytes, expected.bytes, now.size) == 0);
        free(now.bytes);
    }
    ck_assert_uint_gt(refused, tried / 2);
    for (size_t length = 0; length < size; length += size / 20 + 1) {
        const amun__chunk chunk = {whole, length};
        ck_ok(amun__file_write(f.ctx, f.path, &chunk, 1));
        ck_fails(run_fresh(&f, &t, NULL, NULL), AMUN_ERROR_FORMAT, "damaged.ckpt");
    }
    free(whole);
    free(bytes);
    free(expected.bytes);
    teardown(&f);
}
END_TEST

/* A safetensors file that is no checkpoint. */
START_TEST(other_file)
{
    fixture f;
    setup(&f, "weights.ckpt");
    ck_ok(amun_model_save(f.model, f.path));
    amun_train_options t = options(f.path);
    ck_fails(run_fresh(&f, &t, NULL, NULL), AMUN_ERROR_FORMAT, "not a checkpoint");
    amun_model_unref(f.model); /* and it was not written over */
    f.model = conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 7);
    ck_ok(amun_model_load_weights(f.model, f.path));
    teardown(&f);
}
END_TEST

/* Found before the first step, not after the first epoch. */
START_TEST(not_writable)
{
    fixture f;
    setup(&f, "unused.ckpt");
    model_bytes before = bytes_of(f.model);
    amun_train_options t = options("/no-such-folder/x.ckpt");
    watcher w = {.calls = 0};
    amun_status status = run_fresh(&f, &t, &w, NULL);
    ck_assert(status == AMUN_ERROR_NOT_FOUND || status == AMUN_ERROR_IO);
    ck_assert(strstr(amun_last_error_message(), "/no-such-folder/x.ckpt") != NULL);
    ck_assert_uint_eq(w.calls, 0);
    t.checkpoint = "/proc/self/x.ckpt";
    status = run_fresh(&f, &t, &w, NULL);
    ck_assert(status == AMUN_ERROR_NOT_FOUND || status == AMUN_ERROR_IO);
    ck_assert_uint_eq(w.calls, 0);
    ck_assert(same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

/* A folder in place of the file. */
START_TEST(is_a_folder)
{
    fixture f;
    setup(&f, "folder.ckpt");
    ck_assert_int_eq(mkdir(f.path, 0700), 0);
    amun_train_options t = options(f.path);
    watcher w = {.calls = 0};
    ck_fails(run_fresh(&f, &t, &w, NULL), AMUN_ERROR_IO, "folder.ckpt");
    ck_assert_uint_eq(w.calls, 0);
    ck_assert_int_eq(rmdir(f.path), 0);
    teardown(&f);
}
END_TEST

int main(int argc, char **argv)
{
    if (is_child(argc, argv)) {
        TCase *only = tcase_create("child");
        tcase_add_test(only, child);
        return amun_test_main("child", (TCase *[]){only, NULL});
    }
    TCase *tc = tcase_create("checkpoint");
    tcase_add_test(tc, resume);
    tcase_add_test(tc, resume_adam);
    tcase_add_test(tc, finished);
    tcase_add_test(tc, no_momentum);
    tcase_add_test(tc, killed);
    tcase_add_test(tc, other_options);
    tcase_add_test(tc, other_data);
    tcase_add_test(tc, other_label);
    tcase_add_test(tc, other_model);
    tcase_add_test(tc, damaged);
    tcase_add_test(tc, other_file);
    tcase_add_test(tc, not_writable);
    tcase_add_test(tc, is_a_folder);
    return amun_test_main("checkpoint", (TCase *[]){tc, NULL});
}
