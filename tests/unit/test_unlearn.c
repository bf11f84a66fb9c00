/* test_unlearn.c - what each method feeds to the training loop, whom it refuses, and that a model
 * changes as a whole or not at all. */
#include "data/data.h"
#include "training.h"
#include "unlearn/unlearn.h"

enum { COUNT = 40, SIDE = 6, PIXELS = SIDE * SIDE, CLASSES = 3, FORGET = 8 };

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *model;
    int64_t forget[FORGET];
    amun_advset *set;
} fixture;

static amun_search_options search_options(void)
{
    amun_search_options o;
    ck_ok(amun_search_options_init(&o, sizeof o));
    o.steps = 10;
    return o;
}

static amun_advset *build_set(const fixture *f, const amun_search_options *o, const int64_t *forget,
                              size_t count)
{
    amun_attack *attack = NULL;
    amun_advset *set = NULL;
    ck_ok(amun_attack_create_search(&attack, f->ctx, o));
    ck_ok(amun_advset_build(&set, attack, f->model, f->b.data, forget, count, NULL));
    amun_attack_unref(attack);
    return set;
}

/* A trained model, eight samples to forget in no particular order, their adversarial set. */
static void setup(fixture *f)
{
    *f = (fixture){.forget = {31, 4, 17, 0, 39, 22, 8, 13}};
    f->ctx = test_context(&f->allocator);
    ck_ok(amun_context_set_threads(f->ctx, 1));
    blobs_make(&f->b, f->ctx, COUNT, 1, SIDE, SIDE, CLASSES, 31);
    f->model = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 6);
    amun_train_options t = train_options(8, 8, 0.05);
    ck_ok(amun_train_run(NULL, f->model, f->b.data, NULL, 0, &t, NULL));
    amun_search_options o = search_options();
    f->set = build_set(f, &o, f->forget, FORGET);
    ck_assert_uint_eq(amun_advset_found(f->set), FORGET);
}

static void teardown(fixture *f)
{
    amun_advset_unref(f->set);
    amun_model_unref(f->model);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

/* ---- recipes
 * ------------------------------------------------------------------------------------- */

typedef struct built {
    amun__unlearn_request request;
    amun__recipe recipe;
    amun__unlearn_counts counts;
} built;

static void build(built *b, const fixture *f, amun_unlearn_method method, int32_t remain)
{
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = method;
    o.remain = remain;
    const amun__unlearn_method *m = amun__unlearn_method_find(method);
    ck_ok(amun__unlearn_request_open(&b->request, f->model, f->b.data, f->forget, FORGET,
                                     m->takes_set ? f->set : NULL, &o));
    ck_ok(amun__unlearn_recipe(m, &b->request, NULL, &b->recipe, &b->counts));
    ck_ok(amun__mix_check(f->ctx, &b->recipe.mix));
    ck_assert_int_eq(b->recipe.mix.classes, CLASSES);
    ck_assert_int_eq(b->recipe.mix.shuffle, 1);
    ck_assert(b->recipe.l1 == 0.0 && b->recipe.mask == NULL);
}

static bool is_forgotten(const fixture *f, int64_t index)
{
    for (int i = 0; i < FORGET; i++) {
        if (f->forget[i] == index) {
            return true;
        }
    }
    return false;
}

/* True labels, augmented, weight 1. */
static void check_clean(const fixture *f, const amun__part *part, size_t count, bool forgotten)
{
    ck_assert_ptr_eq(part->dataset, f->b.data);
    ck_assert_int_eq(part->target, AMUN__TARGET_LABEL);
    ck_assert_int_eq(part->augment, 1);
    ck_assert(part->weight == 1.0);
    ck_assert_uint_eq(part->count, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert(is_forgotten(f, part->indices[i]) == forgotten);
        for (size_t j = 0; j < i; j++) {
            ck_assert(part->indices[i] != part->indices[j]);
        }
    }
}

/* Adversarial labels and images, not augmented. */
static void check_adversarial(const fixture *f, const amun__part *part)
{
    const amun_attack_record *records = amun_advset_records(f->set);
    ck_assert_int_eq(part->augment, 0);
    ck_assert_int_eq(part->target, AMUN__TARGET_LABEL);
    ck_assert(part->weight == 1.0 && part->indices == NULL);
    ck_assert_uint_eq(part->count, FORGET);
    ck_assert_uint_eq(amun_dataset_count(part->dataset), FORGET);
    for (size_t i = 0; i < FORGET; i++) {
        float expected[PIXELS], image[PIXELS];
        ck_ok(amun_advset_image(f->set, i, expected));
        amun__dataset_fetch(part->dataset, i, image);
        ck_assert(memcmp(expected, image, sizeof image) == 0);
        ck_assert_int_eq(amun__dataset_label(part->dataset, i), records[i].adversarial);
        ck_assert_int_ne(records[i].adversarial, (int32_t)f->b.labels[f->forget[i]]);
    }
}

static void check_counts(const built *b, size_t remain, size_t forget, size_t adversarial)
{
    ck_assert_uint_eq(b->counts.remain, remain);
    ck_assert_uint_eq(b->counts.forget, forget);
    ck_assert_uint_eq(b->counts.adversarial, adversarial);
    ck_assert_uint_eq(amun__mix_count(&b->recipe.mix), remain + forget + adversarial);
}

START_TEST(parts)
{
    fixture f;
    built b;
    setup(&f);
    const amun__part *p = b.recipe.mix.parts;

    build(&b, &f, AMUN_UNLEARN_AMUN, 1); /* D_R, D_F, D_A */
    ck_assert_str_eq(b.recipe.name, "amun");
    ck_assert_uint_eq(b.recipe.mix.part_count, 3);
    check_clean(&f, &p[0], COUNT - FORGET, false);
    check_clean(&f, &p[1], FORGET, true);
    ck_assert(memcmp(p[1].indices, f.forget, sizeof f.forget) == 0);
    check_adversarial(&f, &p[2]);
    check_counts(&b, COUNT - FORGET, FORGET, FORGET);
    amun__unlearn_request_close(&b.request);

    build(&b, &f, AMUN_UNLEARN_AMUN, 0); /* D_F, D_A */
    ck_assert_uint_eq(b.recipe.mix.part_count, 2);
    check_clean(&f, &p[0], FORGET, true);
    check_adversarial(&f, &p[1]);
    check_counts(&b, 0, FORGET, FORGET);
    amun__unlearn_request_close(&b.request);

    build(&b, &f, AMUN_UNLEARN_AMUN_ADVONLY, 1); /* D_R, D_A */
    ck_assert_str_eq(b.recipe.name, "amun_advonly");
    ck_assert_uint_eq(b.recipe.mix.part_count, 2);
    check_clean(&f, &p[0], COUNT - FORGET, false);
    check_adversarial(&f, &p[1]);
    check_counts(&b, COUNT - FORGET, 0, FORGET);
    amun__unlearn_request_close(&b.request);

    build(&b, &f, AMUN_UNLEARN_AMUN_ADVONLY, 0); /* D_A */
    ck_assert_uint_eq(b.recipe.mix.part_count, 1);
    check_adversarial(&f, &p[0]);
    check_counts(&b, 0, 0, FORGET);
    amun__unlearn_request_close(&b.request);

    build(&b, &f, AMUN_UNLEARN_RETRAIN, 1); /* D_R */
    ck_assert_str_eq(b.recipe.name, "retrain");
    ck_assert_uint_eq(b.recipe.mix.part_count, 1);
    check_clean(&f, &p[0], COUNT - FORGET, false);
    check_counts(&b, COUNT - FORGET, 0, 0);
    amun__unlearn_request_close(&b.request);
    teardown(&f);
}
END_TEST

/* What arrives in the batches: D_A images as they are, the others cropped and mirrored. */
START_TEST(augmentation)
{
    fixture f;
    built b;
    setup(&f);
    build(&b, &f, AMUN_UNLEARN_AMUN, 1);
    amun__mix mix = b.recipe.mix;
    mix.augment = (amun__augment){.pad = 2, .flip = 1};
    mix.shuffle = 0; /* D_R, then D_F, then D_A */
    size_t total = amun__mix_count(&mix);
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, f.ctx, &mix, total, 5));
    ck_ok(amun__loader_begin(loader, 0));
    const amun__batch *batch = NULL;
    ck_ok(amun__loader_next(loader, &batch));
    size_t clean = total - FORGET, same = 0;
    for (size_t i = 0; i < clean; i++) {
        const amun__part *part = &mix.parts[i < COUNT - FORGET ? 0 : 1];
        size_t at = i < COUNT - FORGET ? i : i - (COUNT - FORGET);
        const float *original = f.b.images + part->indices[at] * PIXELS;
        same += memcmp(original, batch->images + i * PIXELS, PIXELS * sizeof(float)) == 0;
        ck_assert_int_eq(batch->labels[i], (int32_t)f.b.labels[part->indices[at]]);
    }
    ck_assert_uint_lt(same, clean / 4); /* 1 in 50 is left as it was */
    for (size_t i = 0; i < FORGET; i++) {
        float image[PIXELS];
        ck_ok(amun_advset_image(f.set, i, image));
        ck_assert(memcmp(image, batch->images + (clean + i) * PIXELS, sizeof image) == 0);
        ck_assert_int_eq(batch->labels[clean + i], amun_advset_records(f.set)[i].adversarial);
    }
    amun__loader_close(loader);
    amun__unlearn_request_close(&b.request);
    teardown(&f);
}
END_TEST

/* ---- forget samples without an example
 * ------------------------------------------------------------- */

/* A set whose cap lets the nearer half of the samples through. */
static void cap_search(fixture *f, amun_failure_policy policy, size_t *found)
{
    const amun_attack_record *records = amun_advset_records(f->set);
    double near = INFINITY, far = 0.0;
    for (size_t i = 0; i < FORGET; i++) {
        near = fmin(near, records[i].l2);
        far = fmax(far, records[i].l2);
    }
    ck_assert(near < far);
    amun_search_options o = search_options();
    o.eps0 = near + (far - near) / 2.0;
    o.eps_max = o.eps0; /* one round, at half of the spread */
    o.steps = 50;
    o.on_failure = policy;
    amun_advset_unref(f->set);
    f->set = build_set(f, &o, f->forget, FORGET);
    *found = amun_advset_found(f->set);
    ck_assert_uint_gt(*found, 0);
    ck_assert_uint_lt(*found, FORGET);
}

START_TEST(failed_samples)
{
    const amun_failure_policy policies[] = {AMUN_FAILURE_LEAVE_OUT, AMUN_FAILURE_KEEP_IN_DF};
    for (int i = 0; i < 2; i++) {
        fixture f;
        built b;
        size_t found = 0;
        setup(&f);
        cap_search(&f, policies[i], &found);
        size_t kept = policies[i] == AMUN_FAILURE_KEEP_IN_DF ? FORGET : found;
        build(&b, &f, AMUN_UNLEARN_AMUN, 1);
        check_counts(&b, COUNT - FORGET, kept, found);
        const amun__part *part = &b.recipe.mix.parts[1];
        size_t at = 0;
        for (size_t k = 0; k < FORGET; k++) {
            bool ok = amun_advset_records(f.set)[k].outcome == AMUN_ATTACK_FLIPPED;
            if (ok || policies[i] == AMUN_FAILURE_KEEP_IN_DF) {
                ck_assert_int_eq(part->indices[at++], f.forget[k]);
            }
        }
        ck_assert_uint_eq(at, part->count);
        amun__unlearn_request_close(&b.request);

        amun_train_options t = train_options(1, 8, 0.01);
        amun_unlearn_options o;
        ck_ok(amun_unlearn_options_init(&o, sizeof o));
        o.train = &t;
        amun_unlearn_result result = {.struct_size = sizeof result};
        ck_ok(amun_unlearn_run(&result, f.model, f.b.data, f.forget, FORGET, f.set, &o, NULL));
        ck_assert_int_eq(result.remain, COUNT - FORGET);
        ck_assert_int_eq(result.forget, (int64_t)kept);
        ck_assert_int_eq(result.adversarial, (int64_t)found);
        ck_assert_int_eq(result.failed, (int64_t)(FORGET - found));
        teardown(&f);
    }
}
END_TEST

START_TEST(all_failed)
{
    fixture f;
    setup(&f);
    amun_search_options o = search_options();
    o.steps = 1;
    o.eps0 = 1e-6;
    o.eps_max = 1e-6;
    amun_advset *none = build_set(&f, &o, f.forget, FORGET);
    if (amun_advset_found(none) == 0) { /* unless one was misclassified to begin with */
        ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, FORGET, none, NULL, NULL),
                 AMUN_ERROR_NUMERIC, "any of the 8 forget samples");
    }
    ck_assert_uint_eq(amun_advset_found(none), 0);
    amun_advset_unref(none);
    teardown(&f);
}
END_TEST

/* ---- running
 * --------------------------------------------------------------------------------------- */

static model_bytes unlearnt(const fixture *f, amun_unlearn_method method, uint64_t seed,
                            amun_unlearn_result *result)
{
    amun_model *model = NULL;
    ck_ok(amun_model_clone(&model, f->model));
    amun_train_options t = train_options(3, 8, 0.02);
    t.augment_pad = 1;
    t.augment_flip = 1;
    t.seed = seed;
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = method;
    o.train = &t;
    o.seed = seed;
    ck_ok(amun_unlearn_run(result, model, f->b.data, f->forget, FORGET,
                           method == AMUN_UNLEARN_RETRAIN ? NULL : f->set, &o, NULL));
    model_bytes bytes = bytes_of(model);
    amun_model_unref(model);
    return bytes;
}

START_TEST(determinism)
{
    fixture f;
    setup(&f);
    for (amun_unlearn_method m = AMUN_UNLEARN_RETRAIN; m <= AMUN_UNLEARN_AMUN_ADVONLY; m++) {
        amun_unlearn_result a = {.struct_size = sizeof a}, b = a;
        ck_assert(same_bytes(unlearnt(&f, m, 1, &a), unlearnt(&f, m, 1, &b)));
        ck_assert(!same_bytes(unlearnt(&f, m, 1, NULL), unlearnt(&f, m, 2, NULL)));
        ck_assert(a.loss == b.loss && a.accuracy == b.accuracy && isfinite(a.loss));
        ck_assert_int_eq(a.failed, 0);
    }
    teardown(&f);
}
END_TEST

/* Retraining knows nothing of the old weights: it is training a new model on D_R. */
START_TEST(retrain)
{
    fixture f;
    setup(&f);
    amun_train_options t = train_options(3, 8, 0.05);
    t.seed = 12;
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = AMUN_UNLEARN_RETRAIN;
    o.train = &t;
    o.seed = 77;
    int64_t rest[COUNT - FORGET];
    size_t used = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        if (!is_forgotten(&f, i)) {
            rest[used++] = i;
        }
    }
    amun_model *fresh = conv_model(f.ctx, 1, SIDE, SIDE, CLASSES, 77);
    ck_ok(amun_train_run(NULL, fresh, f.b.data, rest, used, &t, NULL));
    ck_ok(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, FORGET, NULL, &o, NULL));
    ck_assert(same_bytes(bytes_of(fresh), bytes_of(f.model)));
    amun_model_unref(fresh);
    teardown(&f);
}
END_TEST

/* AMUN is the training loop on three parts, begun at the old weights. */
START_TEST(is_the_recipe)
{
    fixture f;
    built b;
    setup(&f);
    amun_model *twin = NULL;
    ck_ok(amun_model_clone(&twin, f.model));
    build(&b, &f, AMUN_UNLEARN_AMUN, 1);
    b.recipe.options.epochs = 2;
    b.recipe.options.augment_pad = 2;
    ck_ok(amun__recipe_run(twin, &b.recipe, NULL, NULL));
    amun_train_options t = b.recipe.options;
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.train = &t;
    ck_ok(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, FORGET, f.set, &o, NULL));
    ck_assert(same_bytes(bytes_of(twin), bytes_of(f.model)));
    amun__unlearn_request_close(&b.request);
    amun_model_unref(twin);
    teardown(&f);
}
END_TEST

START_TEST(cancel)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    for (amun_unlearn_method m = AMUN_UNLEARN_RETRAIN; m <= AMUN_UNLEARN_AMUN_ADVONLY; m++) {
        amun_train_options t = train_options(3, 8, 0.02);
        amun_unlearn_options o;
        ck_ok(amun_unlearn_options_init(&o, sizeof o));
        o.method = m;
        o.train = &t;
        watcher w = {.stop_at = 5};
        amun_call_options call = watched(&w);
        ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, FORGET,
                                  m == AMUN_UNLEARN_RETRAIN ? NULL : f.set, &o, &call),
                 AMUN_ERROR_CANCELLED, "step 5");
        model_bytes now = bytes_of(f.model);
        ck_assert(now.size == before.size && memcmp(now.bytes, before.bytes, now.size) == 0);
        free(now.bytes);
    }
    /* so does one that explodes */
    amun_train_options wild = train_options(50, 8, 1000.0);
    wild.weight_decay = 1.0;
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.train = &wild;
    ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, FORGET, f.set, &o, NULL),
             AMUN_ERROR_NUMERIC, "amun: ");
    o.method = AMUN_UNLEARN_RETRAIN;
    ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, FORGET, NULL, &o, NULL),
             AMUN_ERROR_NUMERIC, "retrain: ");
    ck_assert(same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

/* ---- bad input
 * --------------------------------------------------------------------------------------- */

static amun_status run(const fixture *f, const int64_t *forget, size_t count,
                       const amun_advset *set, amun_unlearn_method method, int32_t remain)
{
    amun_train_options t = train_options(1, 8, 0.01);
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = method;
    o.remain = remain;
    o.train = &t;
    return amun_unlearn_run(NULL, f->model, f->b.data, forget, count, set, &o, NULL);
}

START_TEST(bad_forget_sets)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    const amun_unlearn_method amun = AMUN_UNLEARN_AMUN, again = AMUN_UNLEARN_RETRAIN;
    const int64_t high[] = {1, COUNT}, low[] = {-7}, twice[] = {2, 9, 2};
    ck_fails(run(&f, f.forget, 0, f.set, amun, 1), AMUN_ERROR_INVALID_ARGUMENT, "forget set");
    ck_fails(run(&f, NULL, 3, f.set, amun, 1), AMUN_ERROR_INVALID_ARGUMENT, "forget set");
    ck_fails(run(&f, high, 2, f.set, amun, 1), AMUN_ERROR_INVALID_ARGUMENT, "40");
    ck_fails(run(&f, low, 1, NULL, again, 1), AMUN_ERROR_INVALID_ARGUMENT, "-7");
    ck_fails(run(&f, twice, 3, NULL, again, 1), AMUN_ERROR_INVALID_ARGUMENT, "2");
    int64_t all[COUNT];
    for (int64_t i = 0; i < COUNT; i++) {
        all[i] = i;
    }
    ck_fails(run(&f, all, COUNT, f.set, amun, 1), AMUN_ERROR_INVALID_ARGUMENT, "all 40 samples");
    ck_fails(run(&f, all, COUNT, NULL, again, 1), AMUN_ERROR_INVALID_ARGUMENT, "none remains");
    ck_fails(run(&f, f.forget, FORGET, NULL, again, 0), AMUN_ERROR_INVALID_ARGUMENT, "remain is 0");
    ck_fails(run(&f, f.forget, FORGET, f.set, amun, 2), AMUN_ERROR_INVALID_ARGUMENT, "remain");
    ck_fails(run(&f, f.forget, FORGET, f.set, 99, 1), AMUN_ERROR_INVALID_ARGUMENT, "method");
    ck_assert(same_bytes(before, bytes_of(f.model)));
    /* everything, by a method that does without D_R */
    amun_search_options o = search_options();
    amun_advset *whole = build_set(&f, &o, all, COUNT);
    ck_ok(run(&f, all, COUNT, whole, amun, 0));
    amun_advset_unref(whole);
    teardown(&f);
}
END_TEST

START_TEST(bad_sets)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    const amun_unlearn_method amun = AMUN_UNLEARN_AMUN;
    ck_fails(run(&f, f.forget, FORGET, NULL, amun, 1), AMUN_ERROR_INVALID_ARGUMENT, "set is NULL");
    ck_fails(run(&f, f.forget, FORGET, f.set, AMUN_UNLEARN_RETRAIN, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "retrain takes no adversarial set");
    ck_fails(run(&f, f.forget, FORGET, (amun_advset *)f.model, amun, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "set");
    /* a record for 13, which is not to be forgotten now */
    ck_fails(run(&f, f.forget, FORGET - 1, f.set, amun, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "index 13 is not in the forget set");
    int64_t more[FORGET + 1];
    memcpy(more, f.forget, sizeof f.forget);
    more[FORGET] = 25;
    ck_fails(run(&f, more, FORGET + 1, f.set, amun, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "no record of forget index 25");
    /* the same indices into other data */
    blobs own = f.b;
    blobs_make(&f.b, f.ctx, COUNT, 1, SIDE, SIDE, CLASSES, 32);
    ck_fails(run(&f, f.forget, FORGET, f.set, amun, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "image 31 was another one");
    blobs_free(&f.b);
    f.b = own;
    ck_assert(same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

START_TEST(bad_arguments)
{
    fixture f;
    setup(&f);
    blobs bare, wide;
    blobs_make(&bare, f.ctx, COUNT, 1, SIDE, SIDE, 0, 1);
    blobs_make(&wide, f.ctx, COUNT, 1, SIDE, SIDE + 1, CLASSES, 1);
    ck_fails(amun_unlearn_run(NULL, NULL, f.b.data, f.forget, FORGET, f.set, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "model");
    ck_fails(amun_unlearn_run(NULL, f.model, NULL, f.forget, FORGET, f.set, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "train");
    ck_fails(amun_unlearn_run(NULL, f.model, bare.data, f.forget, FORGET, f.set, NULL, NULL),
             AMUN_ERROR_STATE, "no labels");
    ck_fails(amun_unlearn_run(NULL, f.model, wide.data, f.forget, FORGET, f.set, NULL, NULL),
             AMUN_ERROR_SHAPE, "1x6x7");
    amun_unlearn_result result = {.struct_size = 1};
    ck_fails(amun_unlearn_run(&result, f.model, f.b.data, f.forget, FORGET, f.set, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "struct_size");
    amun_train_options t = train_options(1, 8, 0.01);
    t.lr = -1.0;
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.train = &t;
    ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, FORGET, f.set, &o, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "lr");
    blobs_free(&bare);
    blobs_free(&wide);
    teardown(&f);
}
END_TEST

START_TEST(out_of_memory)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    amun__model_trim(f.model);
    int64_t live = f.allocator.live_blocks, failures = 0;
    for (int64_t at = 1; at < 1000; at++) {
        atomic_store(&f.allocator.fail_at, at);
        amun_status status = run(&f, f.forget, FORGET, f.set, AMUN_UNLEARN_AMUN, 1);
        atomic_store(&f.allocator.fail_at, 0);
        amun__model_trim(f.model);
        ck_assert_int_eq(f.allocator.live_blocks, live);
        if (status == AMUN_OK) {
            break;
        }
        ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
        model_bytes now = bytes_of(f.model);
        ck_assert(memcmp(now.bytes, before.bytes, before.size) == 0);
        free(now.bytes);
        failures++;
    }
    ck_assert_int_gt(failures, 10);
    ck_assert(!same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("unlearn");
    tcase_add_test(tc, parts);
    tcase_add_test(tc, augmentation);
    tcase_add_test(tc, failed_samples);
    tcase_add_test(tc, all_failed);
    tcase_add_test(tc, determinism);
    tcase_add_test(tc, retrain);
    tcase_add_test(tc, is_the_recipe);
    tcase_add_test(tc, cancel);
    tcase_add_test(tc, bad_forget_sets);
    tcase_add_test(tc, bad_sets);
    tcase_add_test(tc, bad_arguments);
    tcase_add_test(tc, out_of_memory);
    return amun_test_main("unlearn", (TCase *[]){tc, NULL});
}
