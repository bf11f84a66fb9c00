/* dnnl_conv.c - convolution steps: algorithm, layouts, forward and both backward directions. */
#include "nn/dnnl_impl.h"

/* ---- convolution and linear ----------------------------------------------------------------- */

static int64_t input_channels(const amun__dnnl_plan *m, const amun__node *node)
{
    return m->plan->graph->nodes[node->inputs[0]].channels;
}

/* What to ask oneDNN for, in this order. The fixed rule: Winograd where this version of oneDNN has
 * it (stride-1 3x3 in v2). Its own choice is right forward and by data; by weights it declines
 * Winograd for small images, where that measures 1.2-1.7 times faster. */
static int32_t choose_algorithms(int64_t channels, bool by_weights, amun_conv_choice kind,
                                 dnnl_alg_kind_t order[3])
{
    int32_t count = 0;
    if (kind == AMUN_CONV_WINOGRAD) {
        order[count++] = dnnl_convolution_winograd;
    } else if (kind == AMUN_CONV_AUTO && channels >= AMUN__DNNL_FEW_CHANNELS) {
        if (by_weights) {
            order[count++] = dnnl_convolution_winograd;
        }
        order[count++] = dnnl_convolution_auto;
    }
    order[count++] = dnnl_convolution_direct;
    return count;
}

dnnl_status_t amun__dnnl_conv_create(dnnl_primitive_desc_t *pd, shim_op *op, int64_t channels,
                                     amun__dnnl_direction direction, amun_conv_choice kind)
{
    dnnl_alg_kind_t order[3];
    int32_t count = choose_algorithms(channels, direction == AMUN__DNNL_BY_WEIGHTS, kind, order);
    dnnl_status_t status = dnnl_unimplemented;
    for (int32_t i = 0; i < count && status != dnnl_success; i++) {
        op->alg = order[i];
        status = direction == AMUN__DNNL_FORWARD   ? shim_conv_forward(pd, op)
                 : direction == AMUN__DNNL_BY_DATA ? shim_conv_backward_data(pd, op)
                                                   : shim_conv_backward_weights(pd, op);
    }
    return status;
}

static dnnl_status_t create_conv(const amun__dnnl_plan *m, dnnl_primitive_desc_t *pd,
                                 amun__dnnl_direction direction, shim_op *op,
                                 const amun__node *node)
{
    const amun_conv_choice kind = m->choices[node - m->plan->graph->nodes].kind[direction];
    return amun__dnnl_conv_create(pd, op, input_channels(m, node), direction, kind);
}

static const char *implementation_of(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) ==
                       dnnl_success &&
                   name != NULL
               ? name
               : "?";
}

static void note_used(const amun__dnnl_plan *m, int32_t node, amun__dnnl_direction direction,
                      const_dnnl_primitive_desc_t pd)
{
    m->choices[node].used[direction] =
        strstr(implementation_of(pd), "wino") != NULL ? AMUN_CONV_WINOGRAD : AMUN_CONV_DIRECT;
}

static amun_status conv_weights_md(amun__dnnl_plan *m, int32_t *out, const amun__node *node,
                                   dnnl_format_tag_t grouped, dnnl_format_tag_t dense)
{
    const int64_t *s = m->plan->graph->params[node->weight].shape;
    const int64_t g = node->groups;
    const int64_t dims[5] = {g, s[0] / g, s[1], s[2], s[3]};
    return g > 1 ? amun__dnnl_md_add(m, out, 5, dims, grouped)
                 : amun__dnnl_md_add(m, out, 4, dims + 1, dense);
}

static amun_status make_attr(amun__dnnl_plan *m, dnnl_primitive_attr_t *attr, bool sum, bool relu)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_clone(attr, m->attr);
    if (status == dnnl_success) {
        status = dnnl_post_ops_create(&ops);
    }
    if (status == dnnl_success && sum) {
        status = shim_append_sum(ops);
    }
    if (status == dnnl_success && relu) {
        status = shim_append_relu(ops);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    }
    if (ops != NULL) {
        dnnl_post_ops_destroy(ops);
    }
    return status == dnnl_success
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_BACKEND, "oneDNN: post-ops: status %d", (int)status);
}

/* What the primitives read, with the padding that they do not do themselves, in whatever layout
 * they like best. */
static amun_status any_source(amun__dnnl_plan *m, int32_t *out, const amun__node *node)
{
    return amun__dnnl_pads(node) ? amun__dnnl_md_padded(m, out, node, dnnl_format_tag_any)
                                 : amun__dnnl_md_node(m, out, node->inputs[0], dnnl_format_tag_any);
}

/* The source as it lies there, padded if need be, and the layout to ask for: the same unless that
 * is plain and would be slow. */
static amun_status conv_source(amun__dnnl_plan *m, int32_t s, amun__ref *src, int32_t *md,
                               int32_t *wanted)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    const amun__dnnl_value *value = &m->values[step->inputs[0]];
    bool plain;
    if (amun__dnnl_pads(node)) {
        AMUN__CHECK(amun__dnnl_pad_forward(m, s, src));
        *md = m->saved[s].pad_md;
        plain = m->saved[s].pad_tag == dnnl_nchw;
    } else {
        *src = value->ref;
        *md = value->md;
        AMUN__CHECK(amun__dnnl_is_plain(m, &plain, step->inputs[0], value->md));
    }
    *wanted = *md;
    return plain && input_channels(m, node) >= AMUN__DNNL_FEW_CHANNELS ? any_source(m, wanted, node)
                                                                       : AMUN_OK;
}

static amun_status conv_descriptors(amun__dnnl_plan *m, const amun__step *step, shim_op *op,
                                    int32_t *dst_md, int32_t *weights_any, int32_t *bias_md)
{
    const amun__node *node = &m->plan->graph->nodes[step->node];
    if (step->sum_in_place) {
        *dst_md = m->values[step->sum].md;
    } else {
        AMUN__CHECK(amun__dnnl_md_node(m, dst_md, step->value, dnnl_format_tag_any));
    }
    AMUN__CHECK(conv_weights_md(m, weights_any, node, dnnl_format_tag_any, dnnl_format_tag_any));
    AMUN__CHECK(amun__dnnl_md_add(m, bias_md, 1, &node->channels, dnnl_x));
    amun__dnnl_set_geometry(op, node);
    return AMUN_OK;
}

/* Where dst lies: over the residual branch that it is added to, or in memory of its own. */
static amun_status conv_target(amun__dnnl_plan *m, const amun__step *step, amun__ref *dst,
                               int32_t dst_md)
{
    if (step->sum_in_place) {
        *dst = m->values[step->sum].ref;
        return AMUN_OK;
    }
    return amun__dnnl_new_slot(m, dst, dst_md);
}

/* From source and weights to the step's value, by our Winograd or by oneDNN's primitive. */
static amun_status conv_emit(amun__dnnl_plan *m, int32_t s, amun__ref bias, int32_t bias_md,
                             bool relu)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_saved *keep = &m->saved[s];
    amun__dnnl_winograd own = {.node = step->node, .direction = AMUN__DNNL_FORWARD};
    int32_t dst_md, weights_md;
    amun__ref dst, packed;
    bool wins;
    AMUN__CHECK(amun__dnnl_md_query(m, &dst_md, keep->forward, dnnl_query_dst_md));
    AMUN__CHECK(amun__dnnl_winograd_wins(m, &wins, &own.form, step->node, keep->src_md, dst_md,
                                         AMUN__DNNL_FORWARD));
    if (wins) {
        AMUN__CHECK(conv_target(m, step, &dst, dst_md));
        own.dst = dst;
        own.src = keep->src;
        own.weights = keep->weights;
        own.bias = bias;
        own.sum = step->sum_in_place != 0;
        own.relu = relu;
        AMUN__CHECK(amun__dnnl_emit_winograd(m, &own));
        return amun__dnnl_set_value(m, step->value, dst_md, dst);
    }
    AMUN__CHECK(amun__dnnl_md_query(m, &weights_md, keep->forward, dnnl_query_weights_md));
    AMUN__CHECK(
        amun__dnnl_pack(m, &packed, keep->weights, keep->weights_md, weights_md, step->node));
    AMUN__CHECK(conv_target(m, step, &dst, dst_md));
    const amun__dnnl_argument args[] = {{DNNL_ARG_SRC, keep->src_md, keep->src},
                                        {DNNL_ARG_WEIGHTS, weights_md, packed},
                                        {DNNL_ARG_BIAS, bias_md, bias},
                                        {DNNL_ARG_DST, dst_md, dst}};
    note_used(m, step->node, AMUN__DNNL_FORWARD, keep->forward);
    AMUN__CHECK(amun__dnnl_emit_primitive(m, keep->forward, step->node, "conv", args, 4));
    m->code.forward.items[m->code.forward.count - 1].sum = step->sum_in_place;
    return amun__dnnl_set_value(m, step->value, dst_md, dst);
}

amun_status amun__dnnl_conv_forward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    amun__dnnl_saved *keep = &m->saved[s];
    amun_status status;
    bool training = amun__mode_trains(m->plan->mode);
    bool fuse_relu = !training && step->relu && (step->sum < 0 || step->sum_in_place);
    int32_t raw_md, src_md, dst_md, weights_md, bias_md;
    amun__ref raw, weights, bias;
    dnnl_primitive_attr_t attr = NULL;
    shim_op op = {.engine = m->engine,
                  .prop = training ? dnnl_forward_training : dnnl_forward_inference};

    m->pass = 1 + AMUN__DNNL_FORWARD;
    AMUN__TRY(conv_source(m, s, &raw, &raw_md, &src_md));
    AMUN__TRY(conv_descriptors(m, step, &op, &dst_md, &weights_md, &bias_md));
    AMUN__TRY(amun__dnnl_plain_weights(m, step, &weights, &bias));
    AMUN__TRY(make_attr(m, &attr, step->sum_in_place, fuse_relu));
    op.attr = attr;
    op.src = amun__dnnl_md(m, src_md);
    op.weights = amun__dnnl_md(m, weights_md);
    op.bias = bias.space != AMUN__SPACE_NONE ? amun__dnnl_md(m, bias_md) : NULL;
    op.dst = amun__dnnl_md(m, dst_md);
    dnnl_status_t created = create_conv(m, &keep->forward, AMUN__DNNL_FORWARD, &op, node);
    if (created != dnnl_success) {
        status = amun__dnnl_fail(m, created, step->node, "convolution forward");
        goto fail;
    }
    AMUN__TRY(amun__dnnl_md_query(m, &keep->src_md, keep->forward, dnnl_query_src_md));
    AMUN__TRY(conv_weights_md(m, &keep->weights_md, node, dnnl_goihw, dnnl_oihw));
    AMUN__TRY(amun__dnnl_as_layout(m, &keep->src, raw, raw_md, keep->src_md, step->node));
    keep->weights = weights;
    AMUN__TRY(amun__dnnl_emit_fold(m, step, weights, bias));
    AMUN__TRY(conv_emit(m, s, bias, bias_md, fuse_relu));
    AMUN__TRY(amun__dnnl_emit_tail(m, step, fuse_relu));
    m->pass = 0;
fail:
    if (attr != NULL) {
        dnnl_primitive_attr_destroy(attr);
    }
    return status;
}

/* Gradients of weights and bias by our Winograd, if that is to be: `done` says so. */
static amun_status own_by_weights(amun__dnnl_plan *m, int32_t s, amun__ref bias, bool *done)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const amun__dnnl_value *v = &m->values[step->value];
    amun__dnnl_winograd own = {.node = step->node,
                               .direction = AMUN__DNNL_BY_WEIGHTS,
                               .dst = amun__code_param(graph, node->weight, AMUN__SPACE_GRADS),
                               .src = m->saved[s].src,
                               .diff = v->diff,
                               .bias = bias};
    AMUN__CHECK(amun__dnnl_winograd_wins(m, done, &own.form, step->node, m->saved[s].src_md, v->md,
                                         AMUN__DNNL_BY_WEIGHTS));
    return *done ? amun__dnnl_emit_winograd(m, &own) : AMUN_OK;
}

static bool is_reference(const_dnnl_primitive_desc_t pd)
{
    return strncmp(implementation_of(pd), "ref", 3) == 0;
}

/* Layouts of a pass by weights; bias -1: none. */
typedef struct grad_layouts {
    int32_t src, weights, bias, dst;
} grad_layouts;

/* Descriptors move when their pool grows, so they are looked up here and not before. */
static dnnl_status_t create_by_weights(const amun__dnnl_plan *m, dnnl_primitive_desc_t *pd,
                                       shim_op *op, const grad_layouts *layouts,
                                       const amun__node *node)
{
    op->src = amun__dnnl_md(m, layouts->src);
    op->weights = amun__dnnl_md(m, layouts->weights);
    op->bias = amun__dnnl_md(m, layouts->bias);
    op->dst = amun__dnnl_md(m, layouts->dst);
    return create_conv(m, pd, AMUN__DNNL_BY_WEIGHTS, op, node);
}

/* oneDNN has no fast kernel for every pair of layouts (with AVX2 none for a plain image of one
 * channel and blocked gradients) and then takes its reference, up to 50 times slower. In plain
 * layouts there is always a matrix product: *diff and layouts->dst become a plain copy if that
 * helps. */
static amun_status avoid_reference(amun__dnnl_plan *m, int32_t s, shim_op *op,
                                   dnnl_primitive_desc_t *pd, amun__ref *diff,
                                   grad_layouts *layouts)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    dnnl_primitive_desc_t other = NULL;
    grad_layouts plain = *layouts;
    amun_status status = AMUN_OK;
    if (!is_reference(*pd)) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__dnnl_md_node(m, &plain.dst, step->value, dnnl_nchw));
    if (create_by_weights(m, &other, op, &plain, node) == dnnl_success && !is_reference(other)) {
        dnnl_primitive_desc_t slow = *pd;
        *pd = other;
        other = slow;
        status = amun__dnnl_as_layout(m, diff, *diff, layouts->dst, plain.dst, step->value);
        *layouts = plain;
    }
    if (other != NULL) {
        dnnl_primitive_desc_destroy(other);
    }
    return status;
}

/* By oneDNN's primitive. */
static amun_status emit_by_weights(amun__dnnl_plan *m, int32_t s, shim_op op, amun__ref bias,
                                   grad_layouts layouts)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    const amun__dnnl_saved *keep = &m->saved[s];
    dnnl_primitive_desc_t pd = NULL;
    int32_t index;
    amun__ref target, diff = m->values[step->value].diff;
    amun_status status;
    dnnl_status_t created = create_by_weights(m, &pd, &op, &layouts, node);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, step->node, "convolution backward by weights");
    }
    AMUN__TRY(avoid_reference(m, s, &op, &pd, &diff, &layouts));
    AMUN__TRY(amun__dnnl_md_query(m, &index, pd, dnnl_query_diff_weights_md));
    AMUN__TRY(amun__dnnl_grad_target(m, &target, node->weight, keep->weights_md, index));
    const amun__dnnl_argument args[] = {{DNNL_ARG_SRC, layouts.src, keep->src},
                                        {DNNL_ARG_DIFF_DST, layouts.dst, diff},
                                        {DNNL_ARG_DIFF_WEIGHTS, index, target},
                                        {DNNL_ARG_DIFF_BIAS, layouts.bias, bias}};
    note_used(m, step->node, AMUN__DNNL_BY_WEIGHTS, pd);
    AMUN__TRY(amun__dnnl_emit_primitive(m, pd, step->node, "conv diff_weights", args, 4));
    AMUN__TRY(amun__dnnl_finish_grad(m, target, node->weight, keep->weights_md, index, step->node));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static amun_status conv_backward_weights(amun__dnnl_plan *m, int32_t s, shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    grad_layouts layouts = {
        .src = m->saved[s].src_md, .bias = -1, .dst = m->values[step->value].md};
    amun__ref bias = {0};
    bool own;
    if (node->bias >= 0) {
        bias = amun__code_param(graph, node->bias, AMUN__SPACE_GRADS);
        AMUN__CHECK(amun__dnnl_md_add(m, &layouts.bias, 1, &node->channels, dnnl_x));
    }
    AMUN__CHECK(own_by_weights(m, s, bias, &own));
    if (own) {
        return AMUN_OK;
    }
    AMUN__CHECK(
        conv_weights_md(m, &layouts.weights, node, dnnl_format_tag_any, dnnl_format_tag_any));
    return emit_by_weights(m, s, op, bias, layouts);
}

/* From the gradient of the step's value to that of its source, in a new slot. */
static amun_status conv_emit_by_data(amun__dnnl_plan *m, int32_t s, const_dnnl_primitive_desc_t pd,
                                     int32_t diff_md, amun__ref *target)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_value *v = &m->values[step->value];
    const amun__dnnl_saved *keep = &m->saved[s];
    amun__dnnl_winograd own = {.node = step->node, .direction = AMUN__DNNL_BY_DATA};
    int32_t weights_md;
    amun__ref packed;
    bool wins;
    AMUN__CHECK(amun__dnnl_winograd_wins(m, &wins, &own.form, step->node, diff_md, v->md,
                                         AMUN__DNNL_BY_DATA));
    if (wins) {
        AMUN__CHECK(amun__dnnl_new_slot(m, target, diff_md));
        own.dst = *target;
        own.src = v->diff;
        own.weights = keep->weights;
        return amun__dnnl_emit_winograd(m, &own);
    }
    AMUN__CHECK(amun__dnnl_md_query(m, &weights_md, pd, dnnl_query_weights_md));
    AMUN__CHECK(
        amun__dnnl_pack(m, &packed, keep->weights, keep->weights_md, weights_md, step->node));
    AMUN__CHECK(amun__dnnl_new_slot(m, target, diff_md));
    const amun__dnnl_argument args[] = {{DNNL_ARG_DIFF_DST, v->md, v->diff},
                                        {DNNL_ARG_WEIGHTS, weights_md, packed},
                                        {DNNL_ARG_DIFF_SRC, diff_md, *target}};
    note_used(m, step->node, AMUN__DNNL_BY_DATA, pd);
    return amun__dnnl_emit_primitive(m, pd, step->node, "conv diff_src", args, 3);
}

static amun_status conv_backward_data(amun__dnnl_plan *m, int32_t s, shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    const amun__dnnl_value *v = &m->values[step->value];
    const amun__dnnl_saved *keep = &m->saved[s];
    dnnl_primitive_desc_t pd = NULL;
    int32_t any, diff_md = keep->src_md;
    amun__ref target;
    amun_status status;
    AMUN__TRY(conv_weights_md(m, &any, node, dnnl_format_tag_any, dnnl_format_tag_any));
    if (input_channels(m, node) <
        AMUN__DNNL_FEW_CHANNELS) { /* plain has no fast code on the way back */
        AMUN__TRY(any_source(m, &diff_md, node));
    }
    op.src = amun__dnnl_md(m, diff_md);
    op.weights = amun__dnnl_md(m, any);
    op.bias = NULL;
    op.dst = amun__dnnl_md(m, v->md);
    dnnl_status_t created = create_conv(m, &pd, AMUN__DNNL_BY_DATA, &op, node);
    if (created != dnnl_success) {
        status = amun__dnnl_fail(m, created, step->node, "convolution backward by data");
        goto fail;
    }
    AMUN__TRY(amun__dnnl_md_query(m, &diff_md, pd, dnnl_query_diff_src_md));
    AMUN__TRY(conv_emit_by_data(m, s, pd, diff_md, &target));
    status = amun__dnnl_pads(node)
                 ? amun__dnnl_pad_backward(m, s, target, diff_md)
                 : amun__dnnl_contribute(m, step->inputs[0], target, diff_md, true);
fail:
    if (pd != NULL) {
        dnnl_primitive_desc_destroy(pd);
    }
    return status;
}

amun_status amun__dnnl_conv_backward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    shim_op op = {.engine = m->engine, .attr = m->attr, .hint = m->saved[s].forward};
    amun__dnnl_set_geometry(&op, &m->plan->graph->nodes[step->node]);
    AMUN__CHECK(amun__dnnl_weighted_backward_head(m, step));
    if (amun__mode_trains(m->plan->mode)) {
        m->only_params = 1;
        m->pass = 1 + AMUN__DNNL_BY_WEIGHTS;
        AMUN__CHECK(conv_backward_weights(m, s, op));
        m->only_params = 0;
    }
    m->only_input = amun__dnnl_only_for_input(m, step->inputs[0]);
    m->pass = 1 + AMUN__DNNL_BY_DATA;
    AMUN__CHECK(conv_backward_data(m, s, op));
    m->only_input = m->pass = 0;
    return AMUN_OK;
}
