/* test_recipe.c - what recipes may ask of the training loop besides a mix: standing statistics, a
 * limit on the gradient, a falling penalty, and an end before the last epoch. */
#include "rivals_fixture.h"

/* All samples in one batch: plain gradient descent. */
static amun__recipe recipe_of(const fixture *f, int32_t epochs, double lr)
{
    amun__recipe r = {.name = "test"};
    r.options = train_options(epochs, COUNT, lr);
    r.options.momentum = 0.0;
    r.options.weight_decay = 0.0;
    r.options.schedule = AMUN_SCHEDULE_CONSTANT;
    ck_ok(amun__recipe_fill(&r, f->model, f->b.data, NULL, 0));
    return r;
}

static void run_recipe(const fixture *f, const amun__recipe *r, amun_train_result *result)
{
    ck_ok(amun__model_begin_write(f->model));
    ck_ok(amun__recipe_run(f->model, r, NULL, result));
    amun__model_end_write(f->model);
}

/* How far the weights go. */
static void moved_by(const fixture *f, const amun__recipe *r, double moved[WEIGHTS])
{
    double before[WEIGHTS];
    amun__snapshot old;
    weights_of(f->model, before);
    ck_ok(amun__snapshot_take(&old, f->model));
    run_recipe(f, r, NULL);
    weights_of(f->model, moved);
    for (int i = 0; i < WEIGHTS; i++) {
        moved[i] -= before[i];
    }
    amun__snapshot_restore(&old, f->model);
    amun__snapshot_drop(&old);
}

static double norm_of(const double x[WEIGHTS])
{
    double sum = 0.0;
    for (int i = 0; i < WEIGHTS; i++) {
        sum += x[i] * x[i];
    }
    return sqrt(sum);
}

START_TEST(max_norm)
{
    fixture f;
    setup(&f);
    double free_step[WEIGHTS], wide[WEIGHTS], held[WEIGHTS];
    amun__recipe r = recipe_of(&f, 1, 0.5);
    moved_by(&f, &r, free_step);
    double norm = norm_of(free_step) / 0.5;
    r.max_norm = 1.001 * norm;
    moved_by(&f, &r, wide);
    r.max_norm = norm / 4.0;
    moved_by(&f, &r, held);
    ck_close(norm_of(held), norm / 8.0, 1e-5);
    for (int i = 0; i < WEIGHTS; i++) {
        ck_assert(wide[i] == free_step[i]);
        ck_close(held[i], free_step[i] / 4.0, 1e-6);
    }
    teardown(&f);
}
END_TEST

/* Samples of no weight: the penalty alone moves the weights. */
START_TEST(falling_l1)
{
    fixture f;
    setup(&f);
    double before[WEIGHTS], moved[WEIGHTS];
    weights_of(f.model, before);
    amun__recipe r = recipe_of(&f, 4, 0.01);
    r.mix.parts[0].weight = 0.0;
    r.l1 = 0.02;
    for (r.l1_falls = 0; r.l1_falls < 2; r.l1_falls++) {
        double sum = r.l1_falls != 0 ? 1.0 + 0.75 + 0.5 + 0.25 : 4.0;
        moved_by(&f, &r, moved);
        for (int i = 0; i < WEIGHTS; i++) {
            ck_assert(fabs(before[i]) > 0.01 * 0.02 * 4.0); /* none crosses 0 */
            ck_close(moved[i], -copysign(0.01 * 0.02 * sum, before[i]), 1e-6);
        }
    }
    teardown(&f);
}
END_TEST

START_TEST(frozen_statistics)
{
    fixture f;
    setup(&f);
    amun_model *linear = f.model, *moving = conv_model(f.ctx, 1, 2, 3, CLASSES, 6);
    f.model = moving;
    amun__recipe r = recipe_of(&f, 2, 0.1);
    run_recipe(&f, &r, NULL); /* so that the statistics are of something */
    ck_ok(amun_model_clone(&f.model, moving));
    amun__model_values frozen, other;
    amun__model_values_get(f.model, &frozen);
    amun__model_values_get(moving, &other);
    r.frozen_statistics = 1;
    run_recipe(&f, &r, NULL);
    ck_assert_int_eq(frozen.tracked[0], other.tracked[0]);
    for (size_t i = frozen.trainable; i < frozen.total; i++) {
        ck_assert(frozen.values[i] == other.values[i]);
    }
    ck_assert(memcmp(frozen.values, other.values, frozen.trainable * sizeof(float)) != 0);
    amun_model_unref(f.model);
    amun_model_unref(moving);
    f.model = linear;
    teardown(&f);
}
END_TEST

/* ---- the end of an epoch -------------------------------------------------------------------- */

typedef struct ender {
    int64_t last, stop_at;
    int calls;
} ender;

static amun_status note_end(void *self, int64_t done, bool *stop)
{
    ender *e = self;
    e->calls++;
    e->last = done;
    *stop = done >= e->stop_at;
    return AMUN_OK;
}

START_TEST(stops)
{
    fixture f;
    setup(&f);
    ender e = {.stop_at = 3};
    const amun__objective objective = {.self = &e, .epoch_end = note_end};
    amun__recipe r = recipe_of(&f, 3, 0.1), plain = recipe_of(&f, 3, 0.1);
    amun_model *original = f.model, *short_run = NULL;
    ck_ok(amun_model_clone(&short_run, original));
    f.model = short_run;
    run_recipe(&f, &plain, NULL);
    r.options.epochs = 8;
    r.options.checkpoint = test_path("stops.ckpt");
    r.options.checkpoint_every = 100; /* the end is saved in any case */
    r.objective = &objective;
    remove(r.options.checkpoint);
    for (int again = 0; again < 2; again++) { /* the second goes on from the end: nothing to do */
        amun_train_result result = {.struct_size = sizeof result};
        ck_ok(amun_model_clone(&f.model, original));
        e.calls = 0;
        run_recipe(&f, &r, &result);
        ck_assert_int_eq(result.epochs, 3);
        ck_assert_int_eq(result.samples, again == 0 ? 3 * COUNT : 0);
        ck_assert_int_eq(e.calls, again == 0 ? 3 : 1);
        ck_assert_int_eq(e.last, 3);
        ck_assert(same_bytes(bytes_of(f.model), bytes_of(short_run)));
        amun_model_unref(f.model);
    }
    e.stop_at = 100; /* it changed its mind: on to the last epoch */
    amun_train_result result = {.struct_size = sizeof result};
    ck_ok(amun_model_clone(&f.model, original));
    run_recipe(&f, &r, &result);
    ck_assert_int_eq(result.epochs, 8);
    ck_assert_int_eq(result.samples, 5 * COUNT);
    remove(r.options.checkpoint);
    amun_model_unref(f.model);
    amun_model_unref(short_run);
    f.model = original;
    teardown(&f);
}
END_TEST

/* Steps count over phases that are not in every epoch: a run cut anywhere ends with the same bytes.
 */
START_TEST(phases_resume)
{
    fixture f;
    setup(&f);
    amun__recipe r = recipe_of(&f, 5, 0.05);
    r.options.batch = 32;
    r.options.momentum = 0.9;
    r.options.schedule = AMUN_SCHEDULE_COSINE;
    r.mix.parts[1] = r.mix.parts[0];
    r.mix.part_count = 2;
    r.mix.parts[0].indices = f.forget;
    r.mix.parts[0].count = f.forget_count;
    r.mix.parts[0].weight = -0.1;
    r.mix.parts[0].epochs = 2;
    r.mix.parts[0].repeat = 2;
    r.mix.parts[1].phase = 1;
    amun_model *original = f.model;
    ck_ok(amun_model_clone(&f.model, original));
    run_recipe(&f, &r, NULL);
    model_bytes want = bytes_of(f.model);
    amun_model_unref(f.model);
    r.options.checkpoint = test_path("phases.ckpt");
    remove(r.options.checkpoint);
    uint64_t total = 0;
    for (uint64_t stop = 3; stop < 80; stop += 15) {
        ck_ok(amun_model_clone(&f.model, original));
        watcher w = {.stop_at = stop};
        amun_call_options call = watched(&w);
        amun__progress_state progress;
        ck_ok(amun__progress_begin(&progress, &call));
        ck_ok(amun__model_begin_write(f.model));
        amun_status status = amun__recipe_run(f.model, &r, &progress, NULL);
        ck_assert(status == AMUN_ERROR_CANCELLED || status == AMUN_OK);
        amun__model_end_write(f.model);
        total = w.total;
        amun_model_unref(f.model);
    }
    ck_assert_uint_eq(total, 2 * ((2 * f.forget_count + 31) / 32) + 5 * ((COUNT + 31) / 32));
    ck_ok(amun_model_clone(&f.model, original));
    run_recipe(&f, &r, NULL);
    ck_assert(same_bytes(want, bytes_of(f.model)));
    remove(r.options.checkpoint);
    amun_model_unref(f.model);
    f.model = original;
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("recipe");
    tcase_add_test(tc, max_norm);
    tcase_add_test(tc, falling_l1);
    tcase_add_test(tc, frozen_statistics);
    tcase_add_test(tc, stops);
    tcase_add_test(tc, phases_resume);
    return amun_test_main("recipe", (TCase *[]){tc, NULL});
}
