/* dnnl_steps.c - elementwise and layout steps, and the dispatch over all step kinds. */
#include "nn/dnnl_impl.h"

/* ---- elementwise and layout steps ----------------------------------------------------------- */

static amun_status add_forward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *a = &m->values[step->inputs[0]], *b = &m->values[step->inputs[1]];
    amun__ref other, dst;
    AMUN__CHECK(amun__dnnl_as_layout(m, &other, b->ref, b->md, a->md, step->inputs[1]));
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, a->md));
    AMUN__CHECK(amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_ADD_TO,
                                                 .dst = dst,
                                                 .a = a->ref,
                                                 .b = other,
                                                 .factor = step->factor,
                                                 .relu = step->relu,
                                                 .n = a->floats}));
    return amun__dnnl_set_value(m, step->value, a->md, dst);
}

/* Whether the way back through a step only reads the gradient that it is given. */
static bool reads_only(const amun__step *step)
{
    switch (step->kind) {
    case AMUN__NODE_CONV2D:
    case AMUN__NODE_LINEAR:
        return !step->relu && step->sum < 0;
    case AMUN__NODE_BATCHNORM:
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_AVG_POOL:
        return true;
    default:
        return false;
    }
}

/* Whether the two inputs of add step `s` may share one gradient: `a` is read (by its producer p, at
 * its only use) before anybody writes to that of `b`. */
static bool may_share(const amun__dnnl_plan *m, int32_t s, int32_t a, int32_t b)
{
    const amun__program *program = &m->program;
    int32_t p = program->producer[a], q = program->producer[b];
    if (a == b || p < 0 || program->uses[a] != 1 || !reads_only(&program->steps[p]) ||
        m->values[b].has_diff || !amun__dnnl_md_equal(m, m->values[a].md, m->values[b].md)) {
        return false;
    }
    if (q > p && !reads_only(&program->steps[q])) {
        return false;
    }
    for (int32_t t = p + 1; t < s; t++) { /* consumers of b that come back before p */
        const amun__step *step = &program->steps[t];
        for (int32_t i = 0; i < step->input_count; i++) {
            if (step->inputs[i] == b) {
                return false;
            }
        }
        if (step->sum == b) {
            return false;
        }
    }
    return true;
}

static amun_status add_backward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_value *v = &m->values[step->value];
    int32_t a = step->inputs[0], b = step->inputs[1];
    amun__ref diff = v->diff;
    int32_t index = v->md;
    if (step->relu) {
        AMUN__CHECK(amun__dnnl_emit(
            m, (amun__instr){.kind = AMUN__INSTR_MASK, .dst = diff, .a = v->ref, .n = v->floats}));
    }
    if (step->factor != 1) {
        AMUN__CHECK(amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_SCALE,
                                                     .dst = diff,
                                                     .a = diff,
                                                     .factor = step->factor,
                                                     .n = v->floats}));
    }
    bool share = may_share(m, s, a, b) || may_share(m, s, b, a);
    /* copies first: what is aliased last is not changed before they were taken */
    AMUN__CHECK(amun__dnnl_contribute(m, b, diff, index, share));
    return amun__dnnl_contribute(m, a, diff, index, true);
}

static amun_status relu_forward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *src = &m->values[step->inputs[0]];
    amun__ref dst;
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, src->md));
    AMUN__CHECK(amun__dnnl_emit(
        m,
        (amun__instr){.kind = AMUN__INSTR_RELU_TO, .dst = dst, .a = src->ref, .n = src->floats}));
    return amun__dnnl_set_value(m, step->value, src->md, dst);
}

static amun_status relu_backward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *v = &m->values[step->value];
    AMUN__CHECK(amun__dnnl_emit(
        m, (amun__instr){.kind = AMUN__INSTR_MASK, .dst = v->diff, .a = v->ref, .n = v->floats}));
    return amun__dnnl_contribute(m, step->inputs[0], v->diff, v->md, true);
}

static amun_status scale_forward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *src = &m->values[step->inputs[0]];
    amun__ref dst;
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, src->md));
    AMUN__CHECK(amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_SCALE,
                                                 .dst = dst,
                                                 .a = src->ref,
                                                 .factor = step->factor,
                                                 .n = src->floats}));
    return amun__dnnl_set_value(m, step->value, src->md, dst);
}

static amun_status scale_backward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *v = &m->values[step->value];
    AMUN__CHECK(amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_SCALE,
                                                 .dst = v->diff,
                                                 .a = v->diff,
                                                 .factor = step->factor,
                                                 .n = v->floats}));
    return amun__dnnl_contribute(m, step->inputs[0], v->diff, v->md, true);
}

static amun_status normalise_forward(amun__dnnl_plan *m, const amun__step *step)
{
    amun__ref src, dst;
    int32_t plain_md;
    AMUN__CHECK(amun__dnnl_as_plain(m, &src, &plain_md, step->inputs[0]));
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, plain_md));
    AMUN__CHECK(
        amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_NORMALISE,
                                         .dst = dst,
                                         .a = src,
                                         .node = step->node,
                                         .n = amun__dnnl_md_bytes(m, plain_md) / sizeof(float)}));
    return amun__dnnl_set_value(m, step->value, plain_md, dst);
}

static amun_status normalise_backward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *v = &m->values[step->value];
    amun__ref target;
    AMUN__CHECK(amun__dnnl_new_slot(m, &target, v->md));
    AMUN__CHECK(amun__dnnl_emit(m, (amun__instr){.kind = AMUN__INSTR_UNNORMALISE,
                                                 .dst = target,
                                                 .a = v->diff,
                                                 .node = step->node,
                                                 .n = v->floats}));
    return amun__dnnl_contribute(m, step->inputs[0], target, v->md, true);
}

static amun_status flatten_forward(amun__dnnl_plan *m, const amun__step *step)
{
    amun__ref src;
    int32_t plain_md;
    AMUN__CHECK(amun__dnnl_as_plain(m, &src, &plain_md, step->inputs[0]));
    AMUN__CHECK(amun__dnnl_md_node(m, &plain_md, step->value, dnnl_nchw));
    return amun__dnnl_set_value(m, step->value, plain_md, src);
}

static amun_status flatten_backward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *v = &m->values[step->value];
    const amun__dnnl_value *src = &m->values[step->inputs[0]];
    int32_t plain_md;
    bool plain;
    AMUN__CHECK(amun__dnnl_md_node(m, &plain_md, step->inputs[0], dnnl_nchw));
    AMUN__CHECK(amun__dnnl_is_plain(m, &plain, step->inputs[0], src->md));
    return amun__dnnl_contribute(m, step->inputs[0], v->diff, plain ? src->md : plain_md, true);
}

static amun__instr strided(const amun__dnnl_plan *m, const amun__step *step, int32_t input)
{
    const amun__node *in = &m->plan->graph->nodes[step->inputs[input]];
    const amun__node *out = &m->plan->graph->nodes[step->value];
    return (amun__instr){.kind = AMUN__INSTR_STRIDED,
                         .rows = (size_t)m->plan->batch,
                         .n = (size_t)(in->channels * in->height * in->width),
                         .dst_stride = (size_t)(out->channels * out->height * out->width)};
}

/* Plain layout on both sides; each row is one image. */
static amun_status concat_forward(amun__dnnl_plan *m, const amun__step *step)
{
    int32_t plain_md, dst_md;
    amun__ref dst, src;
    size_t offset = 0;
    AMUN__CHECK(amun__dnnl_md_node(m, &dst_md, step->value, dnnl_nchw));
    AMUN__CHECK(amun__dnnl_new_slot(m, &dst, dst_md));
    for (int32_t i = 0; i < step->input_count; i++) {
        AMUN__CHECK(amun__dnnl_as_plain(m, &src, &plain_md, step->inputs[i]));
        amun__instr instr = strided(m, step, i);
        instr.dst = dst;
        instr.dst.offset = offset * sizeof(float);
        instr.a = src;
        instr.a_stride = instr.n;
        AMUN__CHECK(amun__dnnl_emit(m, instr));
        offset += instr.n;
    }
    return amun__dnnl_set_value(m, step->value, dst_md, dst);
}

static amun_status concat_backward(amun__dnnl_plan *m, const amun__step *step)
{
    const amun__dnnl_value *v = &m->values[step->value];
    size_t offset = 0;
    for (int32_t i = 0; i < step->input_count; i++) {
        int32_t plain_md;
        bool plain;
        amun__ref target;
        AMUN__CHECK(amun__dnnl_md_node(m, &plain_md, step->inputs[i], dnnl_nchw));
        AMUN__CHECK(amun__dnnl_new_slot(m, &target, plain_md));
        amun__instr instr = strided(m, step, i);
        instr.a_stride = instr.dst_stride;
        instr.dst_stride = instr.n;
        instr.a = v->diff;
        instr.a.offset = offset * sizeof(float);
        instr.dst = target;
        AMUN__CHECK(amun__dnnl_emit(m, instr));
        offset += instr.n;
        AMUN__CHECK(amun__dnnl_is_plain(m, &plain, step->inputs[i], m->values[step->inputs[i]].md));
        AMUN__CHECK(amun__dnnl_contribute(m, step->inputs[i], target,
                                          plain ? m->values[step->inputs[i]].md : plain_md, true));
    }
    return AMUN_OK;
}
amun_status amun__dnnl_step_forward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    switch (step->kind) {
    case AMUN__NODE_CONV2D:
        return amun__dnnl_conv_forward(m, s);
    case AMUN__NODE_LINEAR:
        return amun__dnnl_linear_forward(m, s);
    case AMUN__NODE_BATCHNORM:
        return amun__dnnl_batchnorm_forward(m, s);
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_AVG_POOL:
        return amun__dnnl_pool_forward(m, s);
    case AMUN__NODE_ADD:
        return add_forward(m, step);
    case AMUN__NODE_RELU:
        return relu_forward(m, step);
    case AMUN__NODE_SCALE:
        return scale_forward(m, step);
    case AMUN__NODE_NORMALISE:
        return normalise_forward(m, step);
    case AMUN__NODE_FLATTEN:
        return flatten_forward(m, step);
    case AMUN__NODE_CONCAT:
        return concat_forward(m, step);
    case AMUN__NODE_INPUT:
        break;
    }
    return amun__fail(AMUN_ERROR_INTERNAL, "no code for node kind %d", (int)step->kind);
}

amun_status amun__dnnl_step_backward(amun__dnnl_plan *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    /* steps before all parameters serve the caller's diff_src alone */
    m->only_input = amun__dnnl_only_for_input(m, step->value);
    switch (step->kind) {
    case AMUN__NODE_CONV2D:
        return amun__dnnl_conv_backward(m, s);
    case AMUN__NODE_LINEAR:
        return amun__dnnl_linear_backward(m, s);
    case AMUN__NODE_BATCHNORM:
        return amun__dnnl_batchnorm_backward(m, s);
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_AVG_POOL:
        return amun__dnnl_pool_backward(m, s);
    case AMUN__NODE_ADD:
        return add_backward(m, s);
    case AMUN__NODE_RELU:
        return relu_backward(m, step);
    case AMUN__NODE_SCALE:
        return scale_backward(m, step);
    case AMUN__NODE_NORMALISE:
        return normalise_backward(m, step);
    case AMUN__NODE_FLATTEN:
        return flatten_backward(m, step);
    case AMUN__NODE_CONCAT:
        return concat_backward(m, step);
    case AMUN__NODE_INPUT:
        break;
    }
    return amun__fail(AMUN_ERROR_INTERNAL, "no code for node kind %d", (int)step->kind);
}
