/* dnnl_emit.c - emission: memory descriptors, instructions, packed weights, gradients of values. */
#include "nn/dnnl_impl.h"

#include <stdio.h>

/* ---- small helpers -------------------------------------------------------------------------- */

amun_status amun__dnnl_fail(const amun__dnnl_plan *m, dnnl_status_t status, int32_t node,
                            const char *what)
{
    const amun__node *n = &m->plan->graph->nodes[node];
    const amun__node *in = &m->plan->graph->nodes[n->inputs[0]];
    return amun__fail(AMUN_ERROR_BACKEND,
                      "oneDNN: %s of node %d '%s', [%lld, %lld, %lld, %lld] to [%lld, %lld, %lld], "
                      "f32: status %d",
                      what, node, n->name != NULL ? n->name : "", (long long)m->plan->batch,
                      (long long)in->channels, (long long)in->height, (long long)in->width,
                      (long long)n->channels, (long long)n->height, (long long)n->width,
                      (int)status);
}

amun_status amun__dnnl_md_add(amun__dnnl_plan *m, int32_t *out, int ndims, const int64_t *dims,
                              dnnl_format_tag_t tag)
{
    return shim_pool_tag(&m->pool, m->plan->ctx, out, ndims, dims, tag);
}

amun_status amun__dnnl_md_query(amun__dnnl_plan *m, int32_t *out, const_dnnl_primitive_desc_t pd,
                                dnnl_query_t what)
{
    return shim_pool_query(&m->pool, m->plan->ctx, out, pd, what);
}

shim_cmd amun__dnnl_md(const amun__dnnl_plan *m, int32_t index)
{
    return shim_md(&m->pool, index);
}

bool amun__dnnl_md_equal(const amun__dnnl_plan *m, int32_t a, int32_t b)
{
    return a == b || dnnl_memory_desc_equal(amun__dnnl_md(m, a), amun__dnnl_md(m, b));
}

size_t amun__dnnl_md_bytes(const amun__dnnl_plan *m, int32_t index)
{
    return dnnl_memory_desc_get_size(amun__dnnl_md(m, index));
}

amun_status amun__dnnl_md_node(amun__dnnl_plan *m, int32_t *out, int32_t node,
                               dnnl_format_tag_t tag)
{
    const amun__node *n = &m->plan->graph->nodes[node];
    const int64_t dims[4] = {m->plan->batch, n->channels, n->height, n->width};
    return amun__dnnl_md_add(m, out, 4, dims, tag);
}

/* Whether bytes in this layout lie as in NCHW. */
amun_status amun__dnnl_is_plain(amun__dnnl_plan *m, bool *out, int32_t node, int32_t index)
{
    const amun__node *n = &m->plan->graph->nodes[node];
    int32_t other = -1;
    AMUN__CHECK(amun__dnnl_md_node(m, &other, node, dnnl_nchw));
    *out = amun__dnnl_md_equal(m, index, other);
    if (*out || n->height != 1 || n->width != 1 ||
        amun__dnnl_md_bytes(m, index) != amun__dnnl_md_bytes(m, other)) {
        return AMUN_OK;
    }
    const dnnl_format_tag_t tags[] = {dnnl_nhwc, dnnl_nChw16c, dnnl_nChw8c};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0] && !*out; i++) {
        AMUN__CHECK(amun__dnnl_md_node(m, &other, node, tags[i]));
        *out = amun__dnnl_md_equal(m, index, other);
    }
    return AMUN_OK;
}

amun_status amun__dnnl_set_value(amun__dnnl_plan *m, int32_t node, int32_t index, amun__ref ref)
{
    amun__dnnl_value *v = &m->values[node];
    v->md = index;
    v->ref = ref;
    v->floats = amun__dnnl_md_bytes(m, index) / sizeof(float);
    return AMUN_OK;
}

amun_status amun__dnnl_new_slot(amun__dnnl_plan *m, amun__ref *out, int32_t index)
{
    return amun__code_slot(&m->code, out, amun__dnnl_md_bytes(m, index));
}

/* ---- emission ------------------------------------------------------------------------------- */

amun_status amun__dnnl_emit(amun__dnnl_plan *m, amun__instr instr)
{
    instr.only_input = m->only_input;
    instr.only_params = m->only_params;
    instr.pass = m->pass;
    return amun__code_emit(&m->code, &instr);
}

static amun_status new_primitive(amun__dnnl_plan *m, amun__dnnl_primitive **out)
{
    if (m->primitive_count == m->primitive_capacity) {
        int32_t capacity = m->primitive_capacity == 0 ? 64 : m->primitive_capacity * 2;
        AMUN__CHECK(
            amun__realloc(m->plan->ctx, &m->primitives, (size_t)capacity, sizeof *m->primitives));
        m->primitive_capacity = capacity;
    }
    *out = &m->primitives[m->primitive_count];
    memset(*out, 0, sizeof **out);
    m->primitive_count++;
    return AMUN_OK;
}

static amun_status add_argument(amun__dnnl_plan *m, amun__dnnl_primitive *p, int id, shim_cmd desc,
                                amun__ref ref)
{
    p->args[p->count].arg = id;
    p->refs[p->count] = ref;
    dnnl_status_t status =
        dnnl_memory_create(&p->args[p->count].memory, desc, m->engine, DNNL_MEMORY_NONE);
    if (status != dnnl_success) {
        return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: memory object: status %d", (int)status);
    }
    p->count++;
    amun__code_touch(&m->code, ref);
    return AMUN_OK;
}

static void note_scratch(amun__dnnl_plan *m, size_t bytes)
{
    m->scratch_bytes = bytes > m->scratch_bytes ? bytes : m->scratch_bytes;
}

/* Makes the primitive of `pd` with its arguments and appends its instruction. */
amun_status amun__dnnl_emit_primitive(amun__dnnl_plan *m, const_dnnl_primitive_desc_t pd,
                                      int32_t node, const char *what,
                                      const amun__dnnl_argument *args, size_t count)
{
    amun__dnnl_primitive *p = NULL;
    AMUN__CHECK(new_primitive(m, &p));
    dnnl_status_t created = dnnl_primitive_create(&p->handle, pd);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, node, what);
    }
    for (size_t i = 0; i < count; i++) {
        if (args[i].ref.space != AMUN__SPACE_NONE) {
            AMUN__CHECK(add_argument(m, p, args[i].id, amun__dnnl_md(m, args[i].md), args[i].ref));
        }
    }
    shim_cmd scratch = shim_query_md(pd, dnnl_query_scratchpad_md);
    size_t bytes = scratch != NULL ? dnnl_memory_desc_get_size(scratch) : 0;
    if (bytes > 0) {
        note_scratch(m, bytes);
        AMUN__CHECK(add_argument(m, p, DNNL_ARG_SCRATCHPAD, scratch, (amun__ref){0}));
    }
    amun__instr instr = {.kind = AMUN__INSTR_PRIMITIVE, .primitive = m->primitive_count - 1};
    const char *implementation = "?";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&implementation);
    snprintf(instr.label, sizeof instr.label, "%s %s [%s]", what,
             m->plan->graph->nodes[node].name != NULL ? m->plan->graph->nodes[node].name : "",
             implementation);
    return amun__dnnl_emit(m, instr);
}

amun_status amun__dnnl_emit_reorder(amun__dnnl_plan *m, amun__ref dst, int32_t dst_md,
                                    amun__ref src, int32_t src_md, int32_t node)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t created = dnnl_reorder_primitive_desc_create(
        &pd, amun__dnnl_md(m, src_md), m->engine, amun__dnnl_md(m, dst_md), m->engine, m->attr);
    if (created != dnnl_success) {
        return amun__dnnl_fail(m, created, node, "reorder");
    }
    const amun__dnnl_argument args[] = {{DNNL_ARG_FROM, src_md, src}, {DNNL_ARG_TO, dst_md, dst}};
    amun_status status = amun__dnnl_emit_primitive(m, pd, node, "reorder", args, 2);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* `ref` in layout `from` as layout `to`: itself, or a reordered copy in a new slot. */
amun_status amun__dnnl_as_layout(amun__dnnl_plan *m, amun__ref *out, amun__ref ref, int32_t from,
                                 int32_t to, int32_t node)
{
    *out = ref;
    if (amun__dnnl_md_equal(m, from, to)) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__dnnl_new_slot(m, out, to));
    return amun__dnnl_emit_reorder(m, *out, to, ref, from, node);
}

/* A node's value in plain NCHW order; `index` gets that descriptor. */
amun_status amun__dnnl_as_plain(amun__dnnl_plan *m, amun__ref *out, int32_t *index, int32_t node)
{
    const amun__dnnl_value *v = &m->values[node];
    bool plain;
    AMUN__CHECK(amun__dnnl_md_node(m, index, node, dnnl_nchw));
    AMUN__CHECK(amun__dnnl_is_plain(m, &plain, node, v->md));
    *out = v->ref;
    return plain ? AMUN_OK : amun__dnnl_as_layout(m, out, v->ref, v->md, *index, node);
}

/* Weights `plain` packed as `want`, refreshed whenever the model's values change. */
amun_status amun__dnnl_pack(amun__dnnl_plan *m, amun__ref *out, amun__ref plain, int32_t plain_md,
                            int32_t want, int32_t node)
{
    *out = plain;
    if (amun__dnnl_md_equal(m, plain_md, want)) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__code_fixed(&m->code, out, amun__dnnl_md_bytes(m, want)));
    amun__list *target = m->code.target;
    uint8_t only_input = m->only_input, only_params = m->only_params;
    m->code.target = &m->code.pack;
    m->only_input = m->only_params = 0;
    amun_status status = amun__dnnl_emit_reorder(m, *out, want, plain, plain_md, node);
    m->code.target = target;
    m->only_input = only_input;
    m->only_params = only_params;
    return status;
}

/* ---- gradients of values -------------------------------------------------------------------- */

/* Adds `diff` (in layout `index`) to the gradient of `node`. may_alias: nobody else will change or
 * read that memory, so it can become the gradient itself. */
amun_status amun__dnnl_contribute(amun__dnnl_plan *m, int32_t node, amun__ref diff, int32_t index,
                                  bool may_alias)
{
    amun__dnnl_value *v = &m->values[node];
    uint8_t before = m->only_input;
    if (amun__mode_trains(m->plan->mode) && !v->trainable) {
        m->only_input = 1;
    }
    amun_status status = AMUN_OK;
    amun__ref same = diff;
    AMUN__TRY(amun__dnnl_as_layout(m, &same, diff, index, v->md, node));
    bool moved = same.slot != diff.slot;
    if (!v->has_diff && (may_alias || moved)) {
        v->diff = same;
    } else {
        if (!v->has_diff) {
            AMUN__TRY(amun__dnnl_new_slot(m, &v->diff, v->md));
        }
        AMUN__TRY(amun__dnnl_emit(
            m, (amun__instr){.kind = v->has_diff ? AMUN__INSTR_ADD : AMUN__INSTR_COPY,
                             .dst = v->diff,
                             .a = same,
                             .n = v->floats}));
    }
    v->has_diff = 1;
fail:
    m->only_input = before;
    return status;
}

/* Whether the gradient of `node` is of no use but for the caller's diff_src. */
uint8_t amun__dnnl_only_for_input(const amun__dnnl_plan *m, int32_t node)
{
    return amun__mode_trains(m->plan->mode) && !m->values[node].trainable;
}
void amun__dnnl_set_geometry(shim_op *op, const amun__node *node)
{
    bool padded = amun__dnnl_pads(node); /* already */
    for (int i = 0; i < 2; i++) {
        op->kernel[i] = node->kernel[i];
        op->strides[i] = node->stride[i];
        op->dilates[i] = node->dilation[i] - 1;
        op->pad_l[i] = op->pad_r[i] =
            padded ? 0 : node->pad[i]; /* extents round down, as in oneDNN */
    }
}
