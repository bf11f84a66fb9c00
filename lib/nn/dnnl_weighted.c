/* dnnl_weighted.c - what convolution and linear steps share: folded weights, what follows them,
 * their gradients. */
#include "nn/dnnl_impl.h"

/* Weights and bias as plain arrays: the model's own, or folded copies. */
amun_status amun__dnnl_plain_weights(amun__dnnl_plan *m, const amun__step *step, amun__ref *weights,
                                     amun__ref *bias)
{
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    *bias = (amun__ref){0};
    if (step->bn < 0 && step->factor == 1) {
        *weights = amun__code_param(graph, node->weight, AMUN__SPACE_PARAMS);
        if (node->bias >= 0) {
            *bias = amun__code_param(graph, node->bias, AMUN__SPACE_PARAMS);
        }
        return AMUN_OK;
    }
    const amun__param *weight = &graph->params[node->weight];
    AMUN__CHECK(amun__code_fixed(&m->code, weights, weight->count * sizeof(float)));
    AMUN__CHECK(amun__code_fixed(&m->code, bias, (size_t)weight->shape[0] * sizeof(float)));
    return AMUN_OK; /* the fold is emitted once all factors are known */
}

amun_status amun__dnnl_emit_fold(amun__dnnl_plan *m, const amun__step *step, amun__ref weights,
                                 amun__ref bias)
{
    if (step->bn < 0 && step->factor == 1) {
        return AMUN_OK;
    }
    amun__list *target = m->code.target;
    m->code.target = &m->code.pack;
    amun_status status = amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_FOLD,
                                                          .dst = weights,
                                                          .b = bias,
                                                          .node = step->node,
                                                          .bn = step->bn,
                                                          .factor = step->factor});
    m->code.target = target;
    return status;
}

/* What follows a convolution that its post-ops did not do. */
amun_status amun__dnnl_emit_tail(amun__dnnl_plan *m, const amun__step *step, bool fused)
{
    const amun__dnnl_value *v = &m->values[step->value];
    if (step->sum >= 0 && !step->sum_in_place) {
        amun__ref sum;
        AMUN__CHECK(amun__dnnl_as_layout(m, &sum, m->values[step->sum].ref, m->values[step->sum].md,
                                         v->md, step->value));
        return amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_ADD_TO,
                                                .dst = v->ref,
                                                .a = v->ref,
                                                .b = sum,
                                                .factor = 1,
                                                .relu = step->relu,
                                                .n = v->floats});
    }
    if (step->relu && !fused) {
        return amun__dnnl_emit(
            m, (amun__instr){.kind = AMUN__INSTR_RELU, .dst = v->ref, .n = v->floats});
    }
    return AMUN_OK;
}

/* Writes diff_weights where the caller wants it, through a reorder unless the layout is plain. */
amun_status amun__dnnl_grad_target(amun__dnnl_plan *m, amun__ref *out, int32_t param,
                                   int32_t plain_md, int32_t index)
{
    *out = amun__code_param(m->plan->graph, param, AMUN__SPACE_GRADS);
    return amun__dnnl_md_equal(m, plain_md, index) ? AMUN_OK : amun__dnnl_new_slot(m, out, index);
}

amun_status amun__dnnl_finish_grad(amun__dnnl_plan *m, amun__ref from, int32_t param,
                                   int32_t plain_md, int32_t index, int32_t node)
{
    if (from.space == AMUN__SPACE_GRADS) {
        return AMUN_OK;
    }
    return amun__dnnl_emit_reorder(m, amun__code_param(m->plan->graph, param, AMUN__SPACE_GRADS),
                                   plain_md, from, index, node);
}

/* ReLU mask on the way back, and the residual branch's share. */
amun_status amun__dnnl_weighted_backward_head(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *v = &m->values[step->value];
    if (step->relu) {
        AMUN__CHECK(amun__dnnl_emit(
            m,
            (amun__instr){.kind = AMUN__INSTR_MASK, .dst = v->diff, .a = v->ref, .n = v->floats}));
    }
    return step->sum >= 0 ? amun__dnnl_contribute(m, step->sum, v->diff, v->md, true) : AMUN_OK;
}
