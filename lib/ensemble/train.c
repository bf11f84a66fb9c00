/* train.c - trains the members of an ensemble together: checks, who holds what, the objective that
 * the training loop asks at each step, and what a checkpoint must know of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ensemble/joint.h"
#include "ensemble/lotos.h"
#include "ensemble/train.h"
#include "io/io.h"

/* The one list of the methods. */
static const amun__joint_method *const methods[] = {
    [AMUN_ENSEMBLE_PLAIN] = &amun__joint_plain,
    [AMUN_ENSEMBLE_PGD_AT] = &amun__joint_pgd_at,
    [AMUN_ENSEMBLE_TRADES] = &amun__joint_trades,
    [AMUN_ENSEMBLE_ADP] = &amun__joint_adp,
    [AMUN_ENSEMBLE_GAL] = &amun__joint_gal,
    [AMUN_ENSEMBLE_TRS] = &amun__joint_trs,
    [AMUN_ENSEMBLE_DVERGE] = &amun__joint_dverge,
};

/* One call of amun_ensemble_train(). */
typedef struct training {
    amun__joint joint;
    amun_lotos_options lotos_options; /* complete, if options.lotos is not NULL */
    amun__lotos_pairs pairs;
    amun__lotos *lotos; /* NULL: without, or with weight 0 */
    bool started;       /* the vectors have values */
    size_t steps;       /* per epoch */
    amun__recipe recipe;
    amun__objective objective;
    amun__progress_state *progress;
    float **diffs; /* [count] */
    char *identity;
} training;

/* ---- checks -----------------------------------------------------------------------------------
 */

static amun_status check_members(const amun__joint *joint)
{
    const amun__joint_method *method = joint->method;
    if (joint->count < method->least) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "method %s needs %zu members, the ensemble has %zu", method->name,
                          method->least, joint->count);
    }
    for (size_t i = 0; i < joint->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (joint->models[i] == joint->models[j]) {
                return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                                  "members %zu and %zu of the ensemble are the same model", j, i);
            }
        }
    }
    return AMUN_OK;
}

static amun_status check_lotos(training *t)
{
    if (t->joint.options.lotos == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__lotos_options_read(&t->lotos_options, t->joint.options.lotos));
    if (t->joint.count < 2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "LOTOS needs 2 members, the ensemble has %zu", t->joint.count);
    }
    return amun__lotos_pairs_make(&t->pairs, t->joint.ctx, t->joint.models, t->joint.count,
                                  &t->lotos_options);
}

static void set_sizes(training *t)
{
    amun__joint *joint = &t->joint;
    const size_t total = amun__mix_count(&t->recipe.mix);
    int64_t shape[4] = {0};
    amun__model_input(joint->models[0], &shape[0], &shape[1], &shape[2], &shape[3]);
    joint->pixels = (size_t)(shape[0] * shape[1] * shape[2]);
    joint->classes = (size_t)shape[3];
    joint->batch = (size_t)joint->train.batch < total ? (size_t)joint->train.batch : total;
    t->steps = (total - 1) / joint->batch + 1;
}

/* ---- what a checkpoint must know ---------------------------------------------------------------
 */

static amun_status put(json_t *object, const char *prefix, const char *name, json_t *value)
{
    char key[80];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    return json_object_set(object, key, value) == 0
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for %s of a checkpoint", key);
}

static amun_status put_options(json_t *object, const char *prefix, const amun__options_table *table,
                               const void *full)
{
    json_t *options = NULL, *value;
    const char *name;
    amun_status status;
    AMUN__TRY(amun__json_options(&options, table, full));
    json_object_foreach(options, name, value)
    {
        AMUN__TRY(put(object, prefix, name, value));
    }
fail:
    json_decref(options);
    return status;
}

/* The pairs themselves, whichever rule made them: "0 conv1 - 1 conv1". */
static amun_status put_pairs(json_t *object, const amun__lotos_pairs *pairs)
{
    json_t *list = json_array();
    amun_status status = AMUN_OK;
    for (size_t i = 0; i < pairs->pair_count && list != NULL; i++) {
        const amun__lotos_layer *a = &pairs->layers[pairs->pairs[i][0]];
        const amun__lotos_layer *b = &pairs->layers[pairs->pairs[i][1]];
        json_t *text = json_sprintf("%zu %s - %zu %s", a->member, a->name, b->member, b->name);
        if (json_array_append_new(list, text) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    if (list == NULL) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the pairs of a checkpoint");
    }
    status = put(object, "lotos.", "pairs", list);
    json_decref(list);
    return status;
}

static amun_status make_identity(training *t)
{
    json_t *object = json_object();
    amun_status status = AMUN_OK;
    if (object == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for a checkpoint");
    }
    AMUN__TRY(put_options(object, "", &amun__ensemble_train_options_table, &t->joint.options));
    if (t->joint.options.lotos != NULL) {
        AMUN__TRY(put_options(object, "lotos.", &amun__lotos_options_table, &t->lotos_options));
        AMUN__TRY(put_pairs(object, &t->pairs));
    }
    AMUN__TRY(amun__json_text(&t->identity, object, 0));
fail:
    json_decref(object);
    return status;
}

/* ---- the objective -----------------------------------------------------------------------------
 */

/* Vectors of all layers first, then all terms. A run that goes on from a checkpoint has its vectors
 * from there; before the first step they are found from nothing. */
static amun_status add_lotos(training *t, amun__step *step)
{
    const amun_lotos_options *o = &t->lotos_options;
    if (!t->started && step->index > 0) {
        AMUN__CHECK(amun__lotos_restore(t->lotos));
        t->started = true;
    }
    if (step->index % o->every == 0) {
        double value = 0.0;
        AMUN__CHECK(amun__lotos_refresh(t->lotos,
                                        t->started ? o->power_iterations : o->initial_iterations,
                                        t->started ? NULL : t->progress));
        t->started = true;
        AMUN__CHECK(amun__lotos_add(t->lotos, t->diffs, &value));
        step->loss += (double)step->batch->count * value;
    }
    bool last = (size_t)step->index % t->steps == t->steps - 1;
    return last ? amun__lotos_save(t->lotos) : AMUN_OK; /* a checkpoint may follow */
}

static amun_status gradients(void *self, amun__step *step)
{
    training *t = self;
    AMUN__CHECK(t->joint.method->gradients(&t->joint, step));
    if (t->lotos == NULL || !isfinite(step->loss)) {
        return AMUN_OK;
    }
    for (size_t i = 0; i < step->count; i++) {
        t->diffs[i] = step->members[i].diff;
    }
    return add_lotos(t, step);
}

/* ---- running ------------------------------------------------------------------------------------
 */

static amun_status prepare(training *t)
{
    amun__joint *joint = &t->joint;
    const amun_lotos_options *o = &t->lotos_options;
    AMUN__CHECK(make_identity(t));
    AMUN__CHECK(amun__calloc(joint->ctx, &t->diffs, joint->count, sizeof(float *)));
    bool weight = o->lambda > 0.0 || (o->batchnorm != 0 && o->batchnorm_lambda > 0.0);
    if (joint->options.lotos != NULL && weight) {
        AMUN__CHECK(
            amun__lotos_create(&t->lotos, joint->ctx, joint->models, joint->count, &t->pairs, o));
        t->recipe.extras = amun__lotos_extras(t->lotos, &t->recipe.extra_count);
    }
    t->objective = (amun__objective){.identity = t->identity, .self = t, .gradients = gradients};
    t->recipe.objective = &t->objective;
    return joint->method->open != NULL ? joint->method->open(joint) : AMUN_OK;
}

/* The models are held. */
static amun_status run_held(training *t, amun_train_result *result)
{
    amun__threads threads;
    amun_status status;
    AMUN__CHECK(amun__threads_begin(t->joint.ctx, &threads));
    AMUN__TRY(prepare(t));
    AMUN__TRY(
        amun__recipe_run_joint(t->joint.models, t->joint.count, &t->recipe, t->progress, result));
fail:
    if (t->joint.method->close != NULL) {
        t->joint.method->close(&t->joint);
    }
    amun__lotos_destroy(t->lotos);
    amun__free(t->joint.ctx, t->diffs);
    free(t->identity);
    amun__threads_end(&threads);
    return status;
}

/* All models or none. */
static amun_status hold_and_run(training *t, amun_train_result *result)
{
    size_t held = 0;
    amun_status status = AMUN_OK;
    for (; held < t->joint.count; held++) {
        status = amun__model_begin_write(t->joint.models[held]);
        if (status != AMUN_OK) {
            status = amun__fail_within(status, "member %zu", held);
            goto fail;
        }
    }
    AMUN__TRY(run_held(t, result));
fail:
    while (held > 0) {
        amun__model_end_write(t->joint.models[--held]);
    }
    return status;
}

static amun_status read_options(training *t, const amun_ensemble_train_options *opts)
{
    amun__joint *joint = &t->joint;
    AMUN__CHECK(amun__ensemble_train_options_read(&joint->options, opts));
    AMUN__CHECK(
        amun__options_read(&amun__train_options_table, &joint->train, joint->options.train));
    joint->method = methods[joint->options.method];
    AMUN__CHECK(check_members(joint));
    t->recipe.name = "ensemble";
    t->recipe.options = joint->train;
    return AMUN_OK;
}

amun_status amun_ensemble_train(amun_train_result *result, amun_ensemble *ensemble,
                                const amun_dataset *data, const int64_t *indices, size_t count,
                                const amun_ensemble_train_options *opts,
                                const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ensemble, AMUN__TAG_ENSEMBLE, "ensemble"));
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, "data"));
    if (result != NULL) { /* a wrong size is found now, not after hours */
        const amun_train_result none = {.struct_size = sizeof none, .loss = NAN, .accuracy = NAN};
        AMUN__CHECK(amun__result_write(result, &none, sizeof none, "result"));
    }
    amun__progress_state progress;
    training t = {
        .joint = {.ctx = ensemble->object.ctx,
                  .models = ensemble->models,
                  .count = ensemble->count},
        .progress = &progress,
    };
    AMUN__CHECK(read_options(&t, opts));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(amun__recipe_fill(&t.recipe, ensemble->models[0], data, indices, count));
    AMUN__CHECK(amun__train_check_shape(ensemble->models[0], data, "data"));
    set_sizes(&t);
    AMUN__CHECK(check_lotos(&t));
    amun_status status = hold_and_run(&t, result);
    amun__lotos_pairs_free(&t.pairs);
    return status;
}
