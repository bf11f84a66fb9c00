/* dnnl_norm.c - batch-norm and pooling steps. */
#include "nn/dnnl_impl.h"

#include <stdio.h>

/* ---- batch norm by our own kernels ---------------------------------------------------------- */

/* Whether they take this layout; `norm` gets its form. With AVX-512 they have not been
 * measured and serve bf16 plans alone. */
static amun_status own_norm(amun__dnnl_plan *m, bool *out, amun__norm *norm, const amun__step *step,
                            int32_t md)
{
    const amun__node *node = &m->plan->graph->nodes[step->node];
    const int64_t dims[4] = {m->plan->batch, node->channels, node->height, node->width};
    int64_t block;
    *out = false;
    if (!amun__winograd_available() ||
        (m->plan->precision != AMUN_PRECISION_BF16 && !amun__dnnl_stops_at_avx2())) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__dnnl_block_of(m, &block, md, dims));
    *norm = (amun__norm){.batch = dims[0],
                         .channels = dims[1],
                         .pixels = dims[2] * dims[3],
                         .block = block,
                         .eps = (float)node->eps,
                         .relu = step->relu != 0};
    *out = block > 0;
    return AMUN_OK;
}

static amun_status emit_norm(amun__dnnl_plan *m, const amun__step *step, amun__instr instr)
{
    const amun__node *node = &m->plan->graph->nodes[step->node];
    bool diff = instr.kind == AMUN__INSTR_NORM_DIFF;
    instr.node = step->node;
    instr.threads = m->plan->threads;
    instr.of_batch = m->plan->mode == AMUN__MODE_TRAIN;
    AMUN__CHECK(amun__code_slot(&m->code, &instr.scratch,
                                amun__norm_scratch_doubles(&instr.norm) * sizeof(double)));
    (void)snprintf(instr.label, sizeof instr.label, "%s %s [amun_norm:avx2]",
                   diff ? "batchnorm diff" : "batchnorm", node->name != NULL ? node->name : "");
    return amun__dnnl_emit(m, instr);
}

/* ---- batch norm ----------------------------------------------------------------------------- */

static unsigned batchnorm_flags(const amun__dnnl_plan *m, const amun__step *step)
{
    unsigned flags = (unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift;
    if (m->plan->mode != AMUN__MODE_TRAIN) {
        flags |= (unsigned)dnnl_use_global_stats;
    }
    return step->relu ? flags | (unsigned)dnnl_fuse_norm_relu : flags;
}

/* Where mean and variance lie: the batch's own, or the model's. */
static amun_status place_statistics(amun__dnnl_plan *m, const amun__node *node,
                                    amun__dnnl_saved *keep)
{
    size_t bytes = (size_t)node->channels * sizeof(float);
    if (m->plan->mode != AMUN__MODE_TRAIN) {
        keep->mean = amun__code_param(m->plan->graph, node->running_mean, AMUN__SPACE_PARAMS);
        keep->variance = amun__code_param(m->plan->graph, node->running_var, AMUN__SPACE_PARAMS);
        return AMUN_OK;
    }
    AMUN__CHECK(amun__code_fixed(&m->code, &keep->mean, bytes));
    return amun__code_fixed(&m->code, &keep->variance, bytes);
}

/* By oneDNN's primitive; with a ReLU it leaves a mask for the way back. */
static amun_status primitive_forward(amun__dnnl_plan *m, int32_t s, amun__ref dst)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const amun__dnnl_value *src = &m->values[step->inputs[0]];
    amun__dnnl_saved *keep = &m->saved[s];
    int32_t stats_md, workspace_md = -1;
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = m->plan->mode == AMUN__MODE_INFER ? dnnl_forward_inference
                                                            : dnnl_forward_training,
                  .src = amun__dnnl_md(m, src->md),
                  .dst = amun__dnnl_md(m, src->md),
                  .eps = (float)node->eps,
                  .flags = batchnorm_flags(m, step)};
    dnnl_status_t created = shim_batchnorm_forward(&keep->forward, &op);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "batch normalisation forward");
    }
    AMUN__CHECK(amun__dnnl_md_add(m, &stats_md, 1, &node->channels, dnnl_x));
    if (step->relu && m->plan->mode != AMUN__MODE_INFER) {
        AMUN__CHECK(amun__dnnl_md_query(m, &workspace_md, keep->forward, dnnl_query_workspace_md));
        AMUN__CHECK(amun__dnnl_new_slot(m, &keep->workspace, workspace_md));
    }
    keep->workspace_md = workspace_md;
    const amun__dnnl_argument args[] = {
        {DNNL_ARG_SRC, src->md, src->ref},
        {DNNL_ARG_MEAN, stats_md, keep->mean},
        {DNNL_ARG_VARIANCE, stats_md, keep->variance},
        {DNNL_ARG_SCALE, stats_md, amun__code_param(graph, node->weight, AMUN__SPACE_PARAMS)},
        {DNNL_ARG_SHIFT, stats_md, amun__code_param(graph, node->bias, AMUN__SPACE_PARAMS)},
        {DNNL_ARG_WORKSPACE, workspace_md, keep->workspace},
        {DNNL_ARG_DST, src->md, dst}};
    return amun__dnnl_emit_primitive(m, keep->forward, step->node, "batchnorm", args, 7);
}

amun_status amun__dnnl_batchnorm_forward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_value *src = &m->values[step->inputs[0]];
    amun__dnnl_saved *keep = &m->saved[s];
    amun__instr instr = {.kind = AMUN__INSTR_NORM};
    amun__ref dst;
    bool own;
    AMUN__CHECK(place_statistics(m, &m->plan->graph->nodes[step->node], keep));
    keep->src = src->ref;
    keep->src_md = src->md;
    AMUN__CHECK(own_norm(m, &own, &instr.norm, step, src->md));
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, src->md));
    if (own) {
        instr.dst = dst;
        instr.a = src->ref;
        instr.mean = keep->mean;
        instr.variance = keep->variance;
        AMUN__CHECK(emit_norm(m, step, instr));
    } else {
        AMUN__CHECK(primitive_forward(m, s, dst));
    }
    return amun__dnnl_set_value(m, step->value, src->md, dst);
}

static amun_status own_backward(amun__dnnl_plan *m, int32_t s, amun__instr instr, amun__ref target)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const amun__dnnl_saved *keep = &m->saved[s];
    instr.dst = target;
    instr.a = keep->src;
    instr.b = m->values[step->value].diff;
    instr.mean = keep->mean;
    instr.variance = keep->variance;
    if (amun__mode_trains(m->plan->mode)) {
        instr.diff_scale = amun__code_param(graph, node->weight, AMUN__SPACE_GRADS);
        instr.diff_shift = amun__code_param(graph, node->bias, AMUN__SPACE_GRADS);
    }
    return emit_norm(m, step, instr);
}

static amun_status primitive_backward(amun__dnnl_plan *m, int32_t s, amun__ref target)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const amun__dnnl_value *v = &m->values[step->value];
    const amun__dnnl_saved *keep = &m->saved[s];
    dnnl_primitive_desc_t pd = NULL;
    int32_t stats_md;
    amun_status status;
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = dnnl_backward, /* backward_data is missing for some layouts */
                  .src = amun__dnnl_md(m, keep->src_md),
                  .dst = amun__dnnl_md(m, v->md),
                  .eps = (float)node->eps,
                  .flags = batchnorm_flags(m, step),
                  .hint = keep->forward};
    dnnl_status_t created = shim_batchnorm_backward(&pd, &op);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "batch normalisation backward");
    }
    AMUN__TRY(amun__dnnl_md_add(m, &stats_md, 1, &node->channels, dnnl_x));
    amun__ref shift = {0};
    if (SHIM_BATCHNORM_BACKWARD_SHIFT) {
        shift = amun__code_param(graph, node->bias, AMUN__SPACE_PARAMS);
    }
    amun__ref diff_scale = amun__code_param(graph, node->weight, AMUN__SPACE_GRADS);
    amun__ref diff_shift = amun__code_param(graph, node->bias, AMUN__SPACE_GRADS);
    if (!amun__mode_trains(m->plan->mode)) { /* nobody reads them */
        AMUN__TRY(amun__dnnl_new_slot(m, &diff_scale, stats_md));
        AMUN__TRY(amun__dnnl_new_slot(m, &diff_shift, stats_md));
    }
    const amun__dnnl_argument args[] = {
        {DNNL_ARG_SRC, keep->src_md, keep->src},
        {DNNL_ARG_MEAN, stats_md, keep->mean},
        {DNNL_ARG_VARIANCE, stats_md, keep->variance},
        {DNNL_ARG_SCALE, stats_md, amun__code_param(graph, node->weight, AMUN__SPACE_PARAMS)},
        {DNNL_ARG_SHIFT, stats_md, shift},
        {DNNL_ARG_WORKSPACE, keep->workspace_md, keep->workspace},
        {DNNL_ARG_DIFF_DST, v->md, v->diff},
        {DNNL_ARG_DIFF_SRC, keep->src_md, target},
        {DNNL_ARG_DIFF_SCALE, stats_md, diff_scale},
        {DNNL_ARG_DIFF_SHIFT, stats_md, diff_shift}};
    AMUN__TRY(amun__dnnl_emit_primitive(m, pd, step->node, "batchnorm diff", args, 10));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

amun_status amun__dnnl_batchnorm_backward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_saved *keep = &m->saved[s];
    amun__instr instr = {.kind = AMUN__INSTR_NORM_DIFF};
    amun__ref target;
    bool own;
    AMUN__CHECK(own_norm(m, &own, &instr.norm, step, keep->src_md));
    AMUN__CHECK(amun__dnnl_new_slot(m, &target, keep->src_md));
    AMUN__CHECK(own ? own_backward(m, s, instr, target) : primitive_backward(m, s, target));
    return amun__dnnl_contribute(m, step->inputs[0], target, keep->src_md, true);
}

/* ---- pooling -------------------------------------------------------------------------------- */

static shim_op pool_op(const amun__dnnl_plan *m, const amun__step *step)
{
    const amun__node *node = &m->plan->graph->nodes[step->node];
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = m->plan->mode == AMUN__MODE_INFER ? dnnl_forward_inference
                                                            : dnnl_forward_training,
                  .alg = node->kind == AMUN__NODE_MAX_POOL ? dnnl_pooling_max
                                                           : dnnl_pooling_avg_include_padding};
    amun__dnnl_set_geometry(&op, node);
    return op;
}

amun_status amun__dnnl_pool_forward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_value *src = &m->values[step->inputs[0]];
    amun__dnnl_saved *keep = &m->saved[s];
    int32_t dst_md, workspace_md = -1;
    amun__ref dst;
    shim_op op = pool_op(m, step);
    AMUN__CHECK(amun__dnnl_md_node(m, &dst_md, step->value, dnnl_format_tag_any));
    op.src = amun__dnnl_md(m, src->md);
    op.dst = amun__dnnl_md(m, dst_md);
    dnnl_status_t created = shim_pool_forward(&keep->forward, &op);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "pooling forward");
    }
    AMUN__CHECK(amun__dnnl_md_query(m, &dst_md, keep->forward, dnnl_query_dst_md));
    if (step->kind == AMUN__NODE_MAX_POOL && m->plan->mode != AMUN__MODE_INFER) {
        AMUN__CHECK(amun__dnnl_md_query(m, &workspace_md, keep->forward, dnnl_query_workspace_md));
        AMUN__CHECK(amun__dnnl_new_slot(m, &keep->workspace, workspace_md));
    }
    keep->workspace_md = workspace_md;
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, dst_md));
    const amun__dnnl_argument args[] = {{DNNL_ARG_SRC, src->md, src->ref},
                                        {DNNL_ARG_WORKSPACE, workspace_md, keep->workspace},
                                        {DNNL_ARG_DST, dst_md, dst}};
    AMUN__CHECK(amun__dnnl_emit_primitive(m, keep->forward, step->node, "pool", args, 3));
    return amun__dnnl_set_value(m, step->value, dst_md, dst);
}

amun_status amun__dnnl_pool_backward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_value *v = &m->values[step->value];
    const amun__dnnl_saved *keep = &m->saved[s];
    int32_t src_md = m->values[step->inputs[0]].md;
    dnnl_primitive_desc_t pd = NULL;
    amun__ref target;
    amun_status status;
    shim_op op = pool_op(m, step);
    op.src = amun__dnnl_md(m, src_md);
    op.dst = amun__dnnl_md(m, v->md);
    op.hint = keep->forward;
    dnnl_status_t created = shim_pool_backward(&pd, &op);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "pooling backward");
    }
    AMUN__TRY(amun__dnnl_new_slot(m, &target, src_md));
    const amun__dnnl_argument args[] = {{DNNL_ARG_DIFF_DST, v->md, v->diff},
                                        {DNNL_ARG_WORKSPACE, keep->workspace_md, keep->workspace},
                                        {DNNL_ARG_DIFF_SRC, src_md, target}};
    AMUN__TRY(amun__dnnl_emit_primitive(m, pd, step->node, "pool diff", args, 3));
    AMUN__TRY(amun__dnnl_contribute(m, step->inputs[0], target, src_md, true));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}
