/* unlearn.c - the public entry: which method, its recipe, and a model that is changed as a whole or
 * not at all. */
#include "unlearn/unlearn.h"

/* In the order of the public numbers, from 1. */
static const amun__unlearn_method *const methods[] = {
    &amun__method_retrain,
    &amun__method_amun,
    &amun__method_amun_advonly,
    &amun__method_finetune,
    &amun__method_random_label,
    &amun__method_gradient_ascent,
    &amun__method_neggrad_plus,
    &amun__method_boundary_shrink,
    &amun__method_boundary_expand,
    &amun__method_l1_sparse,
    &amun__method_salun,
    &amun__method_scrub,
    &amun__method_ssd,
    &amun__method_svd,
    &amun__method_bad_teacher,
    &amun__method_unsir,
    &amun__method_euk,
    &amun__method_cfk,
    &amun__method_delete,
    &amun__method_trw,
};

const amun__unlearn_method *amun__unlearn_method_find(amun_unlearn_method method)
{
    size_t count = sizeof methods / sizeof methods[0];
    return method >= 1 && (size_t)method <= count ? methods[method - 1] : NULL;
}

/* ---- parts --------------------------------------------------------------------------------- */

size_t amun__unlearn_add(amun__recipe *recipe, const amun__part *part)
{
    if (part->count > 0) {
        recipe->mix.parts[recipe->mix.part_count++] = *part;
    }
    return part->count;
}

size_t amun__unlearn_add_clean(amun__recipe *recipe, const amun_dataset *data,
                               const int64_t *indices, size_t count)
{
    return amun__unlearn_add(recipe, &(amun__part){
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
    return amun__unlearn_add(recipe, &(amun__part){
                                         .dataset = amun__advset_dataset(set),
                                         .indices = NULL, /* all that were found */
                                         .count = amun_advset_found(set),
                                         .target = AMUN__TARGET_LABEL,
                                         .augment = 0,
                                         .weight = 1.0,
                                     });
}

amun_status amun__unlearn_recipe(const amun__unlearn_method *method, amun__unlearn_request *request,
                                 amun__progress_state *progress, amun__recipe *recipe,
                                 amun__unlearn_counts *counts)
{
    *counts = (amun__unlearn_counts){
        .failed = request->set != NULL ? request->forget_count - request->partnered_count : 0};
    *recipe = (amun__recipe){
        .name = method->name,
        .mix = {.classes = amun_model_classes(request->model), .shuffle = 1},
        .options = request->train_options,
    };
    if (request->mask_ratio < 1.0) {
        AMUN__CHECK(amun__unlearn_mask(request, progress, &recipe->mask));
    }
    return method->build(request, progress, recipe, counts);
}

/* ---- running ------------------------------------------------------------------------------- */

/* Caller holds begin_write. `fresh` is empty unless the method starts anew. */
static amun_status run_method(const amun__unlearn_method *method, amun__unlearn_request *request,
                              const amun__snapshot *fresh, amun__progress_state *progress,
                              amun__unlearn_counts *counts, amun_train_result *trained)
{
    amun__recipe recipe;
    if (method->run != NULL) {
        return method->run(request, progress, counts, trained);
    }
    AMUN__CHECK(amun__unlearn_recipe(method, request, progress, &recipe, counts));
    if (fresh->values != NULL) {
        amun__snapshot_restore(fresh, request->model);
    }
    return amun__recipe_run(request->model, &recipe, progress, trained);
}

/* Puts the model back if the method fails. */
static amun_status run_whole(const amun__unlearn_method *method, amun__unlearn_request *request,
                             const amun__snapshot *fresh, amun__progress_state *progress,
                             amun__unlearn_counts *counts, amun_train_result *trained)
{
    amun__snapshot before;
    AMUN__CHECK(amun__snapshot_take(&before, request->model));
    amun_status status = run_method(method, request, fresh, progress, counts, trained);
    if (status != AMUN_OK) {
        amun__snapshot_restore(&before, request->model);
    }
    amun__snapshot_drop(&before);
    return status;
}

static amun_status run_request(amun__unlearn_request *request, amun__progress_state *progress,
                               amun_unlearn_result *done)
{
    const amun__unlearn_method *method = amun__unlearn_method_find(request->options.method);
    amun__unlearn_counts counts = {0};
    amun__snapshot fresh = {0};
    amun_train_result trained = {.struct_size = sizeof trained, .loss = NAN, .accuracy = NAN};
    amun_model *model = request->model;
    AMUN__CHECK(amun__model_begin_write(model));
    amun_status status = AMUN_OK;
    if (method->fresh != 0) {
        status = amun__unlearn_draw_fresh(&fresh, model, request->options.seed);
    }
    if (status == AMUN_OK) {
        status = run_whole(method, request, &fresh, progress, &counts, &trained);
    }
    amun__model_end_write(model);
    amun__snapshot_drop(&fresh);
    *done = (amun_unlearn_result){
        .struct_size = sizeof *done,
        .remain = (int64_t)counts.remain,
        .forget = (int64_t)counts.forget,
        .adversarial = (int64_t)counts.adversarial,
        .failed = (int64_t)counts.failed,
        .loss = trained.loss,
        .accuracy = trained.accuracy,
    };
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
