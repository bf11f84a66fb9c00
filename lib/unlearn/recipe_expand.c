/* recipe_expand.c - boundary expand (Chen et al., arXiv 2303.11570): the network gets one more
 * class, D_F is moved into it, and the class is dropped again. */
#include "nn/prefix.h"
#include "unlearn/unlearn.h"

/* The rate of the released code. */
static void set_defaults(amun_train_options *options)
{
    options->epochs = 10;
    options->batch = 64;
    options->lr = 1e-5;
    options->weight_decay = 0.0;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

/* The wide model sees D_F alone, all of it with the new class. */
static amun_status train_wide(amun__unlearn_request *request, amun_model *wide,
                              amun__progress_state *progress, amun__unlearn_counts *counts,
                              amun_train_result *trained)
{
    const int32_t extra = (int32_t)amun_model_classes(request->model);
    amun__recipe recipe = {
        .name = "boundary_expand",
        .mix = {.classes = extra + 1, .shuffle = 1},
        .options = request->train_options,
    };
    int32_t *labels = NULL;
    AMUN__CHECK(amun__unlearn_alloc(request, &labels, request->forget_count, sizeof *labels));
    for (size_t i = 0; i < request->forget_count; i++) {
        labels[i] = extra;
    }
    counts->forget = amun__unlearn_add(&recipe, &(amun__part){.dataset = request->train,
                                                              .indices = request->forget,
                                                              .count = request->forget_count,
                                                              .target = AMUN__TARGET_FIXED,
                                                              .labels = labels,
                                                              .augment = 1,
                                                              .weight = 1.0});
    AMUN__CHECK(amun__model_begin_write(wide));
    amun_status status = amun__recipe_run(wide, &recipe, progress, trained);
    amun__model_end_write(wide);
    return status;
}

static amun_status run(amun__unlearn_request *request, amun__progress_state *progress,
                       amun__unlearn_counts *counts, amun_train_result *trained)
{
    amun_model *wide = NULL;
    amun_status status = amun__widen_create(&wide, request->model, 1, request->options.seed);
    if (status != AMUN_OK) {
        return amun__fail_within(status, "boundary_expand");
    }
    status = train_wide(request, wide, progress, counts, trained);
    if (status == AMUN_OK) {
        amun__widen_return(request->model, wide);
    }
    amun_model_unref(wide);
    return status;
}

const amun__unlearn_method amun__method_boundary_expand = {
    .name = "boundary_expand",
    .set_defaults = set_defaults,
    .ignores_remain = 1,
    .run = run,
};
