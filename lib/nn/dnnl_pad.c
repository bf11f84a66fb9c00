/* dnnl_pad.c - padding that oneDNN's convolutions do not have (circular, reflected, replicated):
 * the source gets its frame by an instruction of ours before an unpadded convolution, and the
 * gradient goes back through the adjoint. Layouts are kept where one kernel can walk them. */
#include "nn/dnnl_impl.h"

bool amun__dnnl_pads(const amun__node *node)
{
    return node->padding != AMUN__PADDING_ZERO && (node->pad[0] > 0 || node->pad[1] > 0);
}

/* The padded source in the given layout. */
amun_status amun__dnnl_md_padded(amun__dnnl_plan *m, int32_t *out, const amun__node *node,
                                 dnnl_format_tag_t tag)
{
    const amun__node *src = &m->plan->graph->nodes[node->inputs[0]];
    const int64_t dims[4] = {m->plan->batch, src->channels, src->height + 2 * node->pad[0],
                             src->width + 2 * node->pad[1]};
    return amun__dnnl_md_add(m, out, 4, dims, tag);
}

/* Layouts of the form [planes][height][width][inner]. */
static amun_status find_layout(amun__dnnl_plan *m, int32_t node, int32_t md, amun__dnnl_saved *keep)
{
    const struct {
        dnnl_format_tag_t tag;
        size_t inner;
    } forms[] = {{dnnl_nchw, 1},
                 {dnnl_nChw16c, 16},
                 {dnnl_nChw8c, 8},
                 {dnnl_nhwc, (size_t)m->plan->graph->nodes[node].channels}};
    keep->pad_inner = 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0] && keep->pad_inner == 0; i++) {
        int32_t candidate;
        AMUN__CHECK(amun__dnnl_md_node(m, &candidate, node, forms[i].tag));
        if (amun__dnnl_md_equal(m, md, candidate)) {
            keep->pad_tag = forms[i].tag;
            keep->pad_inner = forms[i].inner;
            keep->pad_src_md = candidate;
        }
    }
    return AMUN_OK;
}

static amun__instr pad_instr(const amun__dnnl_plan *m, int32_t s, amun__instr_kind kind)
{
    const amun__dnnl_saved *keep = &m->saved[s];
    int32_t node = m->program.steps[s].node;
    const amun__node *src = &m->plan->graph->nodes[m->plan->graph->nodes[node].inputs[0]];
    size_t image = (size_t)(src->height * src->width) * keep->pad_inner;
    size_t floats = amun__dnnl_md_bytes(m, keep->pad_src_md) / sizeof(float);
    return (amun__instr){.kind = kind,
                         .node = node,
                         .planes = floats / image,
                         .inner = keep->pad_inner,
                         .n = amun__dnnl_md_bytes(m, keep->pad_md) / sizeof(float)};
}

amun_status amun__dnnl_pad_forward(amun__dnnl_plan *m, int32_t s, amun__ref *out)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    const amun__dnnl_value *v = &m->values[step->inputs[0]];
    amun__dnnl_saved *keep = &m->saved[s];
    amun__ref src = v->ref;
    AMUN__CHECK(find_layout(m, step->inputs[0], v->md, keep));
    if (keep->pad_inner == 0) {
        AMUN__CHECK(amun__dnnl_as_plain(m, &src, &keep->pad_src_md, step->inputs[0]));
        keep->pad_tag = dnnl_nchw;
        keep->pad_inner = 1;
    }
    AMUN__CHECK(amun__dnnl_md_padded(m, &keep->pad_md, node, keep->pad_tag));
    AMUN__CHECK(amun__dnnl_new_slot(m, out, keep->pad_md));
    amun__instr instr = pad_instr(m, s, AMUN__INSTR_PAD);
    instr.dst = *out;
    instr.a = src;
    return amun__dnnl_emit(m, instr);
}

amun_status amun__dnnl_pad_backward(amun__dnnl_plan *m, int32_t s, amun__ref diff, int32_t index)
{
    const amun__step *step = &m->program.steps[s];
    const amun__dnnl_saved *keep = &m->saved[s];
    amun__ref padded, target;
    AMUN__CHECK(amun__dnnl_as_layout(m, &padded, diff, index, keep->pad_md, step->node));
    AMUN__CHECK(amun__dnnl_new_slot(m, &target, keep->pad_src_md));
    amun__instr instr = pad_instr(m, s, AMUN__INSTR_UNPAD);
    instr.dst = target;
    instr.a = padded;
    AMUN__CHECK(amun__dnnl_emit(m, instr));
    return amun__dnnl_contribute(m, step->inputs[0], target, keep->pad_src_md, true);
}
