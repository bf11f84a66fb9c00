/* unlearn.c - the public entry: which method, its recipe, and a model that is changed as a whole or
 * not at all. */
#include "unlearn/unlearn.h"

/* In the order of the public numbers, from 1. */
static const amun__unlearn_method *const methods[] = {
    &amun__method_retrain,
    &amun__method_amun,
    &amun__method_amun_advonly,
};

const amun__unlearn_method *amun__unlearn_method_find(amun_unlearn_method method)
{
    size_t count = sizeof methods / sizeof methods[0];
    return method >= 1 && (size_t)method <= count ? methods[method - 1] : NULL;
}

/* ---- parts --------------------------------------------------------------------------------- */

static size_t add_part(amun__recipe *recipe, const amun__part *part)
{
    if (part->count > 0) {
        recipe->mix.parts[recipe->mix.part_count++] = *part;
    }
    return part->count;
}

size_t amun__unlearn_add_clean(amun__recipe *recipe, const amun_dataset *data,
                               const int64_t *indices, size_t count)
{
    return add_part(recipe, &(amun__part){
                                .dataset = data,
                                .indices = indices,
                                .count = count,
                                .target = AMUN__TARGET_LABEL,
                                .augment = 1,
                                .weight = 1.0,
                            });
}

size_t amun__unlearn_add_adversarial(amun__recipe *recipe, const amun_advset *set)
{
    return add_part(recipe, &(amun__part){
                                .dataset = amun__advset_dataset(set),
                                .indices = NULL, /* all that were found */
                                .count = amun_advset_found(set),
                                .target = AMUN__TARGET_LABEL,
                                .augment = 0,
                                .weight = 1.0,
                            });
}

amun_status amun__unlearn_recipe(const amun__unlearn_method *method,
                                 const amun__unlearn_request *request, amun__recipe *recipe,
                                 amun__unlearn_counts *counts)
{
    *counts = (amun__unlearn_counts){0};
    *recipe = (amun__recipe){
        .name = method->name,
        .mix = {.classes = amun_model_classes(request->model), .shuffle = 1},
        .options = request->train_options,
    };
    return method->build(request, recipe, counts);
}

/* ---- running ------------------------------------------------------------------------------- */

/* The values that a new model of the same graph would start with. */
static amun_status draw_fresh(amun__snapshot *fresh, const amun_model *model, uint64_t seed)
{
    amun_model *twin = NULL;
    AMUN__CHECK(amun_model_clone(&twin, model));
    amun_status status = amun_model_reset(twin, seed);
    if (status == AMUN_OK) {
        status = amun__snapshot_take(fresh, twin);
    }
    amun_model_unref(twin);
    return status;
}

/* Caller holds begin_write. `fresh` is empty unless the method starts anew. */
static amun_status run_whole(amun_model *model, const amun__recipe *recipe,
                             const amun__snapshot *fresh, amun__progress_state *progress,
                             amun_train_result *trained)
{
    amun__snapshot before;
    AMUN__CHECK(amun__snapshot_take(&before, model));
    if (fresh->values != NULL) {
        amun__snapshot_restore(fresh, model);
    }
    amun_status status = amun__recipe_run(model, recipe, progress, trained);
    if (status != AMUN_OK) {
        amun__snapshot_restore(&before, model);
    }
    amun__snapshot_drop(&before);
    return status;
}

static amun_status run_request(const amun__unlearn_request *request, amun__progress_state *progress,
                               amun_unlearn_result *done)
{
    const amun__unlearn_method *method = amun__unlearn_method_find(request->options.method);
    amun__recipe recipe;
    amun__unlearn_counts counts;
    AMUN__CHECK(amun__unlearn_recipe(method, request, &recipe, &counts));
    amun__snapshot fresh = {0};
    amun_train_result trained = {.struct_size = sizeof trained};
    amun_model *model = request->model;
    amun_status status = AMUN_OK;
    if (method->fresh != 0) {
        AMUN__TRY(draw_fresh(&fresh, model, request->options.seed));
    }
    AMUN__TRY(amun__model_begin_write(model));
    status = run_whole(model, &recipe, &fresh, progress, &trained);
    amun__model_end_write(model);
    *done = (amun_unlearn_result){
        .struct_size = sizeof *done,
        .remain = (int64_t)counts.remain,
        .forget = (int64_t)counts.forget,
        .adversarial = (int64_t)counts.adversarial,
        .failed =
            request->set != NULL ? (int64_t)(request->forget_count - request->partnered_count) : 0,
        .loss = trained.loss,
        .accuracy = trained.accuracy,
    };
fail:
    amun__snapshot_drop(&fresh);
    return status;
}

amun_status amun_unlearn_run(amun_unlearn_result *result, amun_model *model,
                             const amun_dataset *train, const int64_t *forget, size_t count,
                             const amun_advset *set, const amun_unlearn_options *opts,
                             const amun_call_options *call)
{
    amun__enter();
    amun_unlearn_result done = {.struct_size = sizeof done, .loss = NAN, .accuracy = NAN};
    if (result != NULL) { /* a wrong size is found now, not after hours */
        AMUN__CHECK(amun__result_write(result, &done, sizeof done, "result"));
    }
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    double began = amun__now();
    amun__unlearn_request request;
    amun_status status =
        amun__unlearn_request_open(&request, model, train, forget, count, set, opts);
    if (status == AMUN_OK) {
        status = run_request(&request, &progress, &done);
    }
    amun__unlearn_request_close(&request);
    done.seconds = amun__now() - began;
    if (status == AMUN_OK && result != NULL) {
        status = amun__result_write(result, &done, sizeof done, "result");
    }
    return status;
}
