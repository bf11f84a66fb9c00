/* dnnl_linear.c - linear steps on plain matrices. */
#include "nn/dnnl_impl.h"

/* ---- linear --------------------------------------------------------------------------------- */

typedef struct linear_mds {
    int32_t src, dst, weights, any, bias;
} linear_mds;

static amun_status linear_descriptors(amun__dnnl_plan *m, linear_mds *out, const amun__node *node)
{
    const int64_t *shape = m->plan->graph->params[node->weight].shape;
    const int64_t src[2] = {m->plan->batch, shape[1]}, dst[2] = {m->plan->batch, shape[0]};
    AMUN__CHECK(amun__dnnl_md_add(m, &out->src, 2, src, dnnl_nc));
    AMUN__CHECK(amun__dnnl_md_add(m, &out->dst, 2, dst, dnnl_nc));
    AMUN__CHECK(amun__dnnl_md_add(m, &out->weights, 2, shape, dnnl_oi));
    AMUN__CHECK(amun__dnnl_md_add(m, &out->any, 2, shape, dnnl_format_tag_any));
    return amun__dnnl_md_add(m, &out->bias, 1, shape, dnnl_x);
}

amun_status amun__dnnl_linear_forward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    amun__dnnl_saved *keep = &m->saved[s];
    linear_mds mds;
    int32_t weights_md, plain_md;
    amun__ref bias, packed, dst;
    AMUN__CHECK(linear_descriptors(m, &mds, node));
    AMUN__CHECK(amun__dnnl_as_plain(m, &keep->src, &plain_md, step->inputs[0]));
    AMUN__CHECK(amun__dnnl_plain_weights(m, step, &keep->weights, &bias));
    bool training = amun__mode_trains(m->plan->mode);
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = training ? dnnl_forward_training : dnnl_forward_inference,
                  .src = amun__dnnl_md(m, mds.src),
                  .weights = amun__dnnl_md(m, mds.any),
                  .bias = bias.space != AMUN__SPACE_NONE ? amun__dnnl_md(m, mds.bias) : NULL,
                  .dst = amun__dnnl_md(m, mds.dst)};
    dnnl_status_t created = shim_linear_forward(&keep->forward, &op);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "inner product forward");
    }
    AMUN__CHECK(amun__dnnl_md_query(m, &weights_md, keep->forward, dnnl_query_weights_md));
    AMUN__CHECK(amun__dnnl_emit_fold(m, step, keep->weights, bias));
    AMUN__CHECK(amun__dnnl_pack(m, &packed, keep->weights, mds.weights, weights_md, step->node));
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, mds.dst));
    const amun__dnnl_argument args[] = {{DNNL_ARG_SRC, mds.src, keep->src},
                                        {DNNL_ARG_WEIGHTS, weights_md, packed},
                                        {DNNL_ARG_BIAS, mds.bias, bias},
                                        {DNNL_ARG_DST, mds.dst, dst}};
    AMUN__CHECK(amun__dnnl_emit_primitive(m, keep->forward, step->node, "linear", args, 4));
    AMUN__CHECK(amun__dnnl_md_node(m, &plain_md, step->value, dnnl_nchw));
    AMUN__CHECK(amun__dnnl_set_value(m, step->value, plain_md, dst));
    amun__step tail = *step;
    tail.sum_in_place = 0; /* no post-ops here */
    return amun__dnnl_emit_tail(m, &tail, false);
}

static amun_status linear_backward_weights(amun__dnnl_plan *m, int32_t s, const linear_mds *mds,
                                           shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const amun__dnnl_value *v = &m->values[step->value];
    dnnl_primitive_desc_t pd = NULL;
    int32_t index;
    amun__ref target, bias = {0};
    amun_status status;
    op.src = amun__dnnl_md(m, mds->src);
    op.weights = amun__dnnl_md(m, mds->any);
    op.bias = node->bias >= 0 ? amun__dnnl_md(m, mds->bias) : NULL;
    op.dst = amun__dnnl_md(m, mds->dst);
    dnnl_status_t created = shim_linear_backward_weights(&pd, &op);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "inner product backward by weights");
    }
    AMUN__TRY(amun__dnnl_md_query(m, &index, pd, dnnl_query_diff_weights_md));
    AMUN__TRY(amun__dnnl_grad_target(m, &target, node->weight, mds->weights, index));
    if (node->bias >= 0) {
        bias = amun__code_param(graph, node->bias, AMUN__SPACE_GRADS);
    }
    const amun__dnnl_argument args[] = {{DNNL_ARG_SRC, mds->src, m->saved[s].src},
                                        {DNNL_ARG_DIFF_DST, mds->dst, v->diff},
                                        {DNNL_ARG_DIFF_WEIGHTS, index, target},
                                        {DNNL_ARG_DIFF_BIAS, mds->bias, bias}};
    AMUN__TRY(amun__dnnl_emit_primitive(m, pd, step->node, "linear diff_weights", args, 4));
    AMUN__TRY(amun__dnnl_finish_grad(m, target, node->weight, mds->weights, index, step->node));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static amun_status linear_backward_data(amun__dnnl_plan *m, int32_t s, const linear_mds *mds,
                                        shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_value *v = &m->values[step->value];
    dnnl_primitive_desc_t pd = NULL;
    int32_t weights_md, plain_md;
    amun__ref packed, target;
    amun_status status;
    op.src = amun__dnnl_md(m, mds->src);
    op.weights = amun__dnnl_md(m, mds->any);
    op.bias = NULL;
    op.dst = amun__dnnl_md(m, mds->dst);
    dnnl_status_t created = shim_linear_backward_data(&pd, &op);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "inner product backward by data");
    }
    AMUN__TRY(amun__dnnl_md_query(m, &weights_md, pd, dnnl_query_weights_md));
    AMUN__TRY(
        amun__dnnl_pack(m, &packed, m->saved[s].weights, mds->weights, weights_md, step->node));
    AMUN__TRY(amun__dnnl_new_slot(m, &target, mds->src));
    const amun__dnnl_argument args[] = {{DNNL_ARG_DIFF_DST, mds->dst, v->diff},
                                        {DNNL_ARG_WEIGHTS, weights_md, packed},
                                        {DNNL_ARG_DIFF_SRC, mds->src, target}};
    AMUN__TRY(amun__dnnl_emit_primitive(m, pd, step->node, "linear diff_src", args, 3));
    AMUN__TRY(amun__dnnl_md_node(m, &plain_md, step->inputs[0], dnnl_nchw));
    bool plain;
    AMUN__TRY(amun__dnnl_is_plain(m, &plain, step->inputs[0], m->values[step->inputs[0]].md));
    AMUN__TRY(amun__dnnl_contribute(m, step->inputs[0], target,
                                    plain ? m->values[step->inputs[0]].md : plain_md, true));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

amun_status amun__dnnl_linear_backward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    linear_mds mds;
    shim_op op = {.engine = m->engine, .attr = m->attr, .hint = m->saved[s].forward};
    AMUN__CHECK(linear_descriptors(m, &mds, &m->plan->graph->nodes[step->node]));
    AMUN__CHECK(amun__dnnl_weighted_backward_head(m, step));
    if (amun__mode_trains(m->plan->mode)) {
        m->only_params = 1;
        AMUN__CHECK(linear_backward_weights(m, s, &mds, op));
        m->only_params = 0;
    }
    m->only_input = amun__dnnl_only_for_input(m, step->inputs[0]);
    AMUN__CHECK(linear_backward_data(m, s, &mds, op));
    m->only_input = 0;
    return AMUN_OK;
}
