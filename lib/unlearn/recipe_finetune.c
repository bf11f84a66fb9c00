/* recipe_finetune.c - methods that train on the remaining samples alone: FT, l1-sparse
 * (arXiv 2304.04934), CF-k and EU-k (Goel et al., arXiv 2201.06640). */
#include "nn/graph.h"
#include "unlearn/unlearn.h"

/* Ten epochs at a constant rate: the middle of what the papers search. */
static void set_defaults(amun_train_options *options)
{
    options->epochs = 10;
    options->lr = 0.01;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

static amun_status build_finetune(amun__unlearn_request *request, amun__progress_state *progress,
                                  amun__recipe *recipe, amun__unlearn_counts *counts)
{
    (void)progress;
    counts->remain =
        amun__unlearn_add_clean(recipe, request->train, request->remain, request->remain_count);
    return AMUN_OK;
}

static amun_status build_l1(amun__unlearn_request *request, amun__progress_state *progress,
                            amun__recipe *recipe, amun__unlearn_counts *counts)
{
    recipe->l1 = request->rival.l1;
    recipe->l1_falls = 1;
    return build_finetune(request, progress, recipe, counts);
}

/* ---- the last layers ------------------------------------------------------------------------ */

/* First node of the last `layers` weighted layers; 0 if there are not more of them. */
static int32_t first_of_last(const amun_graph *graph, int32_t layers)
{
    int32_t left = layers;
    for (int32_t i = graph->node_count - 1; i > 0; i--) {
        amun__node_kind kind = graph->nodes[i].kind;
        left -= kind == AMUN__NODE_CONV2D || kind == AMUN__NODE_LINEAR;
        if (left == 0) {
            return i;
        }
    }
    return 0;
}

/* Trains what comes with the last layers; batch norm's running statistics move everywhere, as they
 * do in the published code. */
static amun_status mask_last(amun__unlearn_request *request, amun__recipe *recipe)
{
    const amun_graph *graph = amun__model_graph(request->model);
    int32_t first = first_of_last(graph, 1 + request->rival.last_blocks);
    uint8_t *mask = NULL;
    AMUN__CHECK(amun__unlearn_alloc(request, &mask, graph->trainable, sizeof *mask));
    for (int32_t p = 0; p < graph->param_count; p++) {
        const amun__param *param = &graph->params[p];
        if (param->trainable == 0 || param->node < first) {
            continue;
        }
        for (size_t i = param->offset; i < param->offset + param->count; i++) {
            mask[i] = recipe->mask == NULL ? 1 : recipe->mask[i];
        }
    }
    recipe->mask = mask;
    return AMUN_OK;
}

/* The last layers as a new model would have them, running statistics too. */
static amun_status renew_last(const amun__unlearn_request *request)
{
    const amun_graph *graph = amun__model_graph(request->model);
    int32_t first = first_of_last(graph, 1 + request->rival.last_blocks);
    amun__snapshot fresh = {0};
    amun__model_values values;
    AMUN__CHECK(amun__unlearn_draw_fresh(&fresh, request->model, request->options.seed));
    amun__model_values_get(request->model, &values);
    for (int32_t p = 0; p < graph->param_count; p++) {
        const amun__param *param = &graph->params[p];
        if (param->node >= first) {
            memcpy(values.values + param->offset, fresh.values + param->offset,
                   param->count * sizeof *values.values);
        }
    }
    amun__model_touch(request->model);
    amun__snapshot_drop(&fresh);
    return AMUN_OK;
}

static amun_status build_cfk(amun__unlearn_request *request, amun__progress_state *progress,
                             amun__recipe *recipe, amun__unlearn_counts *counts)
{
    AMUN__CHECK(mask_last(request, recipe));
    return build_finetune(request, progress, recipe, counts);
}

static amun_status build_euk(amun__unlearn_request *request, amun__progress_state *progress,
                             amun__recipe *recipe, amun__unlearn_counts *counts)
{
    AMUN__CHECK(build_cfk(request, progress, recipe, counts));
    return renew_last(request);
}

const amun__unlearn_method amun__method_finetune = {
    .name = "finetune",
    .set_defaults = set_defaults,
    .needs_remain = 1,
    .build = build_finetune,
};

const amun__unlearn_method amun__method_l1_sparse = {
    .name = "l1_sparse",
    .set_defaults = set_defaults,
    .needs_remain = 1,
    .build = build_l1,
};

const amun__unlearn_method amun__method_euk = {
    .name = "euk",
    .set_defaults = set_defaults,
    .needs_remain = 1,
    .build = build_euk,
};

const amun__unlearn_method amun__method_cfk = {
    .name = "cfk",
    .set_defaults = set_defaults,
    .needs_remain = 1,
    .build = build_cfk,
};
