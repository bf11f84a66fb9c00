/* recipe_retrain.c - the gold standard: fresh weights, the training recipe, D_R only. */
#include "unlearn/unlearn.h"

static amun_status build(amun__unlearn_request *request, amun__progress_state *progress,
                         amun__recipe *recipe, amun__unlearn_counts *counts)
{
    (void)progress;
    counts->remain =
        amun__unlearn_add_clean(recipe, request->train, request->remain, request->remain_count);
    return AMUN_OK;
}

const amun__unlearn_method amun__method_retrain = {
    .name = "retrain",
    .needs_remain = 1,
    .fresh = 1,
    .build = build,
};
