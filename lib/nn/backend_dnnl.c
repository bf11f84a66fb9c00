/* backend_dnnl.c - plans on oneDNN: layouts, primitives, packed weights. The only file that knows
 * oneDNN. Layouts are chosen by the convolutions and kept by everything between them; a reorder
 * appears in the plan's listing (AMUN_LOG=plan). */
#include "nn/code.h"

#ifdef AMUN_WITH_DNNL

#include <oneapi/dnnl/dnnl.h>

#include <stdio.h>
#include <stdlib.h>

#include "nn/dnnl_shim.h"

#define MAX_ARGS 12

typedef struct primitive {
    dnnl_primitive_t handle;
    dnnl_exec_arg_t args[MAX_ARGS];
    amun__ref refs[MAX_ARGS];
    int32_t count;
} primitive;

/* The output of one node: where it lies, in which layout; the same layout serves its gradient. */
typedef struct value {
    amun__ref ref, diff;
    int32_t md;
    int32_t has_diff;  /* some consumer has written `diff` already */
    int32_t trainable; /* parameters lie at or before it: its gradient is needed for theirs */
    size_t floats;     /* with the layout's padding */
} value;

/* What the backward half of a step needs from its forward half. */
typedef struct saved {
    dnnl_primitive_desc_t forward; /* hint */
    amun__ref src, weights, workspace, mean, variance;
    int32_t src_md, weights_md; /* as the primitive reads them; weights: plain */
    int32_t workspace_md;
} saved;

typedef struct impl {
    amun__plan *plan;
    amun__program program;
    amun__code code;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* user scratchpad */
    shim_pool pool;
    primitive *primitives;
    int32_t primitive_count, primitive_capacity;
    value *values; /* per node */
    saved *saved;  /* per step */
    size_t scratch_bytes;
    amun__ref scratch, logits, input, diff_logits, diff_input;
    uint8_t only_input, only_params; /* for the instructions being emitted */
    int32_t bound;
    float *own_grads; /* for callers that want no parameter gradients of a train plan */
    float *bound_grads;
} impl;

/* ---- small helpers
 * ----------------------------------------------------------------------------------- */

static amun_status fail_dnnl(const impl *m, dnnl_status_t status, int32_t node, const char *what)
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

static amun_status md_add(impl *m, int32_t *out, int ndims, const int64_t *dims,
                          dnnl_format_tag_t tag)
{
    AMUN__CHECK(shim_pool_grow(&m->pool, m->plan->ctx));
    dnnl_status_t status = shim_md_tag(&m->pool.items[m->pool.count], ndims, dims, tag);
    if (status != dnnl_success) {
        return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: memory descriptor: status %d", (int)status);
    }
    *out = m->pool.count++;
    return AMUN_OK;
}

static amun_status md_query(impl *m, int32_t *out, const_dnnl_primitive_desc_t pd,
                            dnnl_query_t what)
{
    AMUN__CHECK(shim_pool_grow(&m->pool, m->plan->ctx));
    shim_cmd md = shim_query_md(pd, what);
    if (md == NULL || shim_md_clone(&m->pool.items[m->pool.count], md) != dnnl_success) {
        return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: a primitive has no descriptor %d",
                          (int)what);
    }
    *out = m->pool.count++;
    return AMUN_OK;
}

static shim_cmd md(const impl *m, int32_t index)
{
    return shim_md(&m->pool, index);
}

static bool md_equal(const impl *m, int32_t a, int32_t b)
{
    return a == b || dnnl_memory_desc_equal(md(m, a), md(m, b));
}

static size_t md_bytes(const impl *m, int32_t index)
{
    return dnnl_memory_desc_get_size(md(m, index));
}

static amun_status md_node(impl *m, int32_t *out, int32_t node, dnnl_format_tag_t tag)
{
    const amun__node *n = &m->plan->graph->nodes[node];
    const int64_t dims[4] = {m->plan->batch, n->channels, n->height, n->width};
    return md_add(m, out, 4, dims, tag);
}

/* Whether bytes in this layout lie as in NCHW. */
static amun_status is_plain(impl *m, bool *out, int32_t node, int32_t index)
{
    const amun__node *n = &m->plan->graph->nodes[node];
    int32_t other = -1;
    AMUN__CHECK(md_node(m, &other, node, dnnl_nchw));
    *out = md_equal(m, index, other);
    if (*out || n->height != 1 || n->width != 1 || md_bytes(m, index) != md_bytes(m, other)) {
        return AMUN_OK;
    }
    const dnnl_format_tag_t tags[] = {dnnl_nhwc, dnnl_nChw16c, dnnl_nChw8c};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0] && !*out; i++) {
        AMUN__CHECK(md_node(m, &other, node, tags[i]));
        *out = md_equal(m, index, other);
    }
    return AMUN_OK;
}

static amun_status set_value(impl *m, int32_t node, int32_t index, amun__ref ref)
{
    value *v = &m->values[node];
    v->md = index;
    v->ref = ref;
    v->floats = md_bytes(m, index) / sizeof(float);
    return AMUN_OK;
}

static amun_status new_slot(impl *m, amun__ref *out, int32_t index)
{
    return amun__code_slot(&m->code, out, md_bytes(m, index));
}

/* ---- emission
 * ---------------------------------------------------------------------------------------- */

static amun_status emit(impl *m, amun__instr instr)
{
    instr.only_input = m->only_input;
    instr.only_params = m->only_params;
    return amun__code_emit(&m->code, &instr);
}

typedef struct argument {
    int id;
    int32_t md;
    amun__ref ref;
} argument;

static amun_status new_primitive(impl *m, primitive **out)
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

static amun_status add_argument(impl *m, primitive *p, int id, shim_cmd desc, amun__ref ref)
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

static void note_scratch(impl *m, size_t bytes)
{
    m->scratch_bytes = bytes > m->scratch_bytes ? bytes : m->scratch_bytes;
}

/* Makes the primitive of `pd` with its arguments and appends its instruction. */
static amun_status emit_primitive(impl *m, const_dnnl_primitive_desc_t pd, int32_t node,
                                  const char *what, const argument *args, size_t count)
{
    primitive *p = NULL;
    AMUN__CHECK(new_primitive(m, &p));
    dnnl_status_t created = dnnl_primitive_create(&p->handle, pd);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, node, what);
    }
    for (size_t i = 0; i < count; i++) {
        if (args[i].ref.space != AMUN__SPACE_NONE) {
            AMUN__CHECK(add_argument(m, p, args[i].id, md(m, args[i].md), args[i].ref));
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
    return emit(m, instr);
}

static amun_status emit_reorder(impl *m, amun__ref dst, int32_t dst_md, amun__ref src,
                                int32_t src_md, int32_t node)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t created = dnnl_reorder_primitive_desc_create(&pd, md(m, src_md), m->engine,
                                                               md(m, dst_md), m->engine, m->attr);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, node, "reorder");
    }
    const argument args[] = {{DNNL_ARG_FROM, src_md, src}, {DNNL_ARG_TO, dst_md, dst}};
    amun_status status = emit_primitive(m, pd, node, "reorder", args, 2);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* `ref` in layout `from` as layout `to`: itself, or a reordered copy in a new slot. */
static amun_status as_layout(impl *m, amun__ref *out, amun__ref ref, int32_t from, int32_t to,
                             int32_t node)
{
    *out = ref;
    if (md_equal(m, from, to)) {
        return AMUN_OK;
    }
    AMUN__CHECK(new_slot(m, out, to));
    return emit_reorder(m, *out, to, ref, from, node);
}

/* A node's value in plain NCHW order; `index` gets that descriptor. */
static amun_status as_plain(impl *m, amun__ref *out, int32_t *index, int32_t node)
{
    const value *v = &m->values[node];
    bool plain;
    AMUN__CHECK(md_node(m, index, node, dnnl_nchw));
    AMUN__CHECK(is_plain(m, &plain, node, v->md));
    *out = v->ref;
    return plain ? AMUN_OK : as_layout(m, out, v->ref, v->md, *index, node);
}

/* Weights `plain` packed as `want`, refreshed whenever the model's values change. */
static amun_status pack(impl *m, amun__ref *out, amun__ref plain, int32_t plain_md, int32_t want,
                        int32_t node)
{
    *out = plain;
    if (md_equal(m, plain_md, want)) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__code_fixed(&m->code, out, md_bytes(m, want)));
    amun__list *target = m->code.target;
    uint8_t only_input = m->only_input, only_params = m->only_params;
    m->code.target = &m->code.pack;
    m->only_input = m->only_params = 0;
    amun_status status = emit_reorder(m, *out, want, plain, plain_md, node);
    m->code.target = target;
    m->only_input = only_input;
    m->only_params = only_params;
    return status;
}

/* ---- gradients of values
 * -------------------------------------------------------------------------------- */

/* Adds `diff` (in layout `index`) to the gradient of `node`. may_alias: nobody else will change or
 * read that memory, so it can become the gradient itself. */
static amun_status contribute(impl *m, int32_t node, amun__ref diff, int32_t index, bool may_alias)
{
    value *v = &m->values[node];
    uint8_t before = m->only_input;
    if (m->plan->mode == AMUN__MODE_TRAIN && !v->trainable) {
        m->only_input = 1;
    }
    amun_status status = AMUN_OK;
    amun__ref same = diff;
    AMUN__TRY(as_layout(m, &same, diff, index, v->md, node));
    bool moved = same.slot != diff.slot;
    if (!v->has_diff && (may_alias || moved)) {
        v->diff = same;
    } else {
        if (!v->has_diff) {
            AMUN__TRY(new_slot(m, &v->diff, v->md));
        }
        AMUN__TRY(emit(m, (amun__instr){.kind = v->has_diff ? AMUN__INSTR_ADD : AMUN__INSTR_COPY,
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
static uint8_t only_for_input(const impl *m, int32_t node)
{
    return m->plan->mode == AMUN__MODE_TRAIN && !m->values[node].trainable;
}

/* ---- convolution and linear
 * ------------------------------------------------------------------------------- */

/* Below this many input channels a source stays plain, and Winograd would mostly transform padding. */
#define FEW_CHANNELS 8

static int64_t input_channels(const impl *m, const amun__node *node)
{
    return m->plan->graph->nodes[node->inputs[0]].channels;
}

/* The one place that chooses an algorithm. oneDNN's own choice: Winograd for stride-1 3x3 where
 * this version has it. */
static dnnl_alg_kind_t choose_algorithm(const impl *m, const amun__node *node)
{
    return input_channels(m, node) < FEW_CHANNELS ? dnnl_convolution_direct
                                                  : dnnl_convolution_auto;
}

static void set_geometry(shim_op *op, const amun__node *node)
{
    for (int i = 0; i < 2; i++) {
        op->kernel[i] = node->kernel[i];
        op->strides[i] = node->stride[i];
        op->dilates[i] = node->dilation[i] - 1;
        op->pad_l[i] = op->pad_r[i] = node->pad[i]; /* extents round down, as in oneDNN */
    }
}

typedef dnnl_status_t (*conv_create)(dnnl_primitive_desc_t *pd, const shim_op *op);

/* The chosen algorithm, or the direct one where that does not exist for these layouts. */
static dnnl_status_t create_conv(const impl *m, dnnl_primitive_desc_t *pd, conv_create create,
                                 shim_op *op, const amun__node *node)
{
    op->alg = choose_algorithm(m, node);
    dnnl_status_t status = create(pd, op);
    if (status != dnnl_success) {
        op->alg = dnnl_convolution_direct;
        status = create(pd, op);
    }
    return status;
}

static amun_status conv_weights_md(impl *m, int32_t *out, const amun__node *node,
                                   dnnl_format_tag_t grouped, dnnl_format_tag_t dense)
{
    const int64_t *s = m->plan->graph->params[node->weight].shape;
    const int64_t g = node->groups;
    const int64_t dims[5] = {g, s[0] / g, s[1], s[2], s[3]};
    return g > 1 ? md_add(m, out, 5, dims, grouped) : md_add(m, out, 4, dims + 1, dense);
}

/* Weights and bias as plain arrays: the model's own, or folded copies. */
static amun_status plain_weights(impl *m, const amun__step *step, amun__ref *weights,
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

static amun_status emit_fold(impl *m, const amun__step *step, amun__ref weights, amun__ref bias)
{
    if (step->bn < 0 && step->factor == 1) {
        return AMUN_OK;
    }
    amun__list *target = m->code.target;
    m->code.target = &m->code.pack;
    amun_status status = emit(m, (amun__instr){.kind = AMUN__INSTR_FOLD,
                                               .dst = weights,
                                               .b = bias,
                                               .node = step->node,
                                               .bn = step->bn,
                                               .factor = step->factor});
    m->code.target = target;
    return status;
}

static amun_status make_attr(impl *m, dnnl_primitive_attr_t *attr, bool sum, bool relu)
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

/* What follows a convolution that its post-ops did not do. */
static amun_status emit_tail(impl *m, const amun__step *step, bool fused)
{
    const value *v = &m->values[step->value];
    if (step->sum >= 0 && !step->sum_in_place) {
        amun__ref sum;
        AMUN__CHECK(as_layout(m, &sum, m->values[step->sum].ref, m->values[step->sum].md, v->md,
                              step->value));
        return emit(m, (amun__instr){.kind = AMUN__INSTR_ADD_TO,
                                     .dst = v->ref,
                                     .a = v->ref,
                                     .b = sum,
                                     .factor = 1,
                                     .relu = step->relu,
                                     .n = v->floats});
    }
    if (step->relu && !fused) {
        return emit(m, (amun__instr){.kind = AMUN__INSTR_RELU, .dst = v->ref, .n = v->floats});
    }
    return AMUN_OK;
}

/* Descriptors of a convolution: its source stays as it is unless a plain one would be slow. */
static amun_status conv_descriptors(impl *m, const amun__step *step, shim_op *op, int32_t *src_md,
                                    int32_t *dst_md, int32_t *weights_any, int32_t *bias_md)
{
    const amun__node *node = &m->plan->graph->nodes[step->node];
    const value *src = &m->values[step->inputs[0]];
    bool plain;
    AMUN__CHECK(is_plain(m, &plain, step->inputs[0], src->md));
    *src_md = src->md;
    if (plain && input_channels(m, node) >= FEW_CHANNELS) {
        AMUN__CHECK(md_node(m, src_md, step->inputs[0], dnnl_format_tag_any));
    }
    if (step->sum_in_place) {
        *dst_md = m->values[step->sum].md;
    } else {
        AMUN__CHECK(md_node(m, dst_md, step->value, dnnl_format_tag_any));
    }
    AMUN__CHECK(conv_weights_md(m, weights_any, node, dnnl_format_tag_any, dnnl_format_tag_any));
    AMUN__CHECK(md_add(m, bias_md, 1, &node->channels, dnnl_x));
    set_geometry(op, node);
    return AMUN_OK;
}

static amun_status conv_forward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    saved *keep = &m->saved[s];
    amun_status status;
    bool training = m->plan->mode == AMUN__MODE_TRAIN;
    bool fuse_relu = !training && step->relu && (step->sum < 0 || step->sum_in_place);
    int32_t src_md, dst_md, weights_md, bias_md;
    amun__ref weights, bias, packed, dst;
    dnnl_primitive_attr_t attr = NULL;
    shim_op op = {.engine = m->engine,
                  .prop = training ? dnnl_forward_training : dnnl_forward_inference};

    AMUN__TRY(conv_descriptors(m, step, &op, &src_md, &dst_md, &weights_md, &bias_md));
    AMUN__TRY(plain_weights(m, step, &weights, &bias));
    AMUN__TRY(make_attr(m, &attr, step->sum_in_place, fuse_relu));
    op.attr = attr;
    op.src = md(m, src_md);
    op.weights = md(m, weights_md);
    op.bias = bias.space != AMUN__SPACE_NONE ? md(m, bias_md) : NULL;
    op.dst = md(m, dst_md);
    dnnl_status_t created = create_conv(m, &keep->forward, shim_conv_forward, &op, node);
    if (created != dnnl_success) {
        status = fail_dnnl(m, created, step->node, "convolution forward");
        goto fail;
    }
    AMUN__TRY(md_query(m, &keep->src_md, keep->forward, dnnl_query_src_md));
    AMUN__TRY(md_query(m, &dst_md, keep->forward, dnnl_query_dst_md));
    AMUN__TRY(md_query(m, &weights_md, keep->forward, dnnl_query_weights_md));
    AMUN__TRY(conv_weights_md(m, &keep->weights_md, node, dnnl_goihw, dnnl_oihw));
    AMUN__TRY(as_layout(m, &keep->src, m->values[step->inputs[0]].ref,
                        m->values[step->inputs[0]].md, keep->src_md, step->inputs[0]));
    keep->weights = weights;
    AMUN__TRY(emit_fold(m, step, weights, bias));
    AMUN__TRY(pack(m, &packed, weights, keep->weights_md, weights_md, step->node));
    if (step->sum_in_place) {
        dst = m->values[step->sum].ref;
    } else {
        AMUN__TRY(new_slot(m, &dst, dst_md));
    }
    const argument args[] = {{DNNL_ARG_SRC, keep->src_md, keep->src},
                             {DNNL_ARG_WEIGHTS, weights_md, packed},
                             {DNNL_ARG_BIAS, bias_md, bias},
                             {DNNL_ARG_DST, dst_md, dst}};
    AMUN__TRY(emit_primitive(m, keep->forward, step->node, "conv", args, 4));
    AMUN__TRY(set_value(m, step->value, dst_md, dst));
    AMUN__TRY(emit_tail(m, step, fuse_relu));
fail:
    if (attr != NULL) {
        dnnl_primitive_attr_destroy(attr);
    }
    return status;
}

/* Writes diff_weights where the caller wants it, through a reorder unless the layout is plain. */
static amun_status grad_target(impl *m, amun__ref *out, int32_t param, int32_t plain_md,
                               int32_t index)
{
    *out = amun__code_param(m->plan->graph, param, AMUN__SPACE_GRADS);
    return md_equal(m, plain_md, index) ? AMUN_OK : new_slot(m, out, index);
}

static amun_status finish_grad(impl *m, amun__ref from, int32_t param, int32_t plain_md,
                               int32_t index, int32_t node)
{
    if (from.space == AMUN__SPACE_GRADS) {
        return AMUN_OK;
    }
    return emit_reorder(m, amun__code_param(m->plan->graph, param, AMUN__SPACE_GRADS), plain_md,
                        from, index, node);
}

static amun_status conv_backward_weights(impl *m, int32_t s, shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const value *v = &m->values[step->value];
    const saved *keep = &m->saved[s];
    dnnl_primitive_desc_t pd = NULL;
    int32_t any, index, bias_md;
    amun__ref target, bias = {0};
    amun_status status;
    AMUN__TRY(conv_weights_md(m, &any, node, dnnl_format_tag_any, dnnl_format_tag_any));
    AMUN__TRY(md_add(m, &bias_md, 1, &node->channels, dnnl_x));
    op.src = md(m, keep->src_md);
    op.weights = md(m, any);
    op.bias = node->bias >= 0 ? md(m, bias_md) : NULL;
    op.dst = md(m, v->md);
    dnnl_status_t created = create_conv(m, &pd, shim_conv_backward_weights, &op, node);
    if (created != dnnl_success) {
        status = fail_dnnl(m, created, step->node, "convolution backward by weights");
        goto fail;
    }
    AMUN__TRY(md_query(m, &index, pd, dnnl_query_diff_weights_md));
    AMUN__TRY(grad_target(m, &target, node->weight, keep->weights_md, index));
    if (node->bias >= 0) {
        bias = amun__code_param(graph, node->bias, AMUN__SPACE_GRADS);
    }
    const argument args[] = {{DNNL_ARG_SRC, keep->src_md, keep->src},
                             {DNNL_ARG_DIFF_DST, v->md, v->diff},
                             {DNNL_ARG_DIFF_WEIGHTS, index, target},
                             {DNNL_ARG_DIFF_BIAS, bias_md, bias}};
    AMUN__TRY(emit_primitive(m, pd, step->node, "conv diff_weights", args, 4));
    AMUN__TRY(finish_grad(m, target, node->weight, keep->weights_md, index, step->node));
fail:
    if (pd != NULL) {
        dnnl_primitive_desc_destroy(pd);
    }
    return status;
}

static amun_status conv_backward_data(impl *m, int32_t s, shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    const value *v = &m->values[step->value];
    const saved *keep = &m->saved[s];
    dnnl_primitive_desc_t pd = NULL;
    int32_t any, weights_md, diff_md = keep->src_md;
    amun__ref packed, target;
    amun_status status;
    AMUN__TRY(conv_weights_md(m, &any, node, dnnl_format_tag_any, dnnl_format_tag_any));
    if (input_channels(m, node) < FEW_CHANNELS) { /* plain has no fast code on the way back */
        AMUN__TRY(md_node(m, &diff_md, step->inputs[0], dnnl_format_tag_any));
    }
    op.src = md(m, diff_md);
    op.weights = md(m, any);
    op.bias = NULL;
    op.dst = md(m, v->md);
    dnnl_status_t created = create_conv(m, &pd, shim_conv_backward_data, &op, node);
    if (created != dnnl_success) {
        status = fail_dnnl(m, created, step->node, "convolution backward by data");
        goto fail;
    }
    AMUN__TRY(md_query(m, &diff_md, pd, dnnl_query_diff_src_md));
    AMUN__TRY(md_query(m, &weights_md, pd, dnnl_query_weights_md));
    AMUN__TRY(pack(m, &packed, keep->weights, keep->weights_md, weights_md, step->node));
    AMUN__TRY(new_slot(m, &target, diff_md));
    const argument args[] = {{DNNL_ARG_DIFF_DST, v->md, v->diff},
                             {DNNL_ARG_WEIGHTS, weights_md, packed},
                             {DNNL_ARG_DIFF_SRC, diff_md, target}};
    AMUN__TRY(emit_primitive(m, pd, step->node, "conv diff_src", args, 3));
    AMUN__TRY(contribute(m, step->inputs[0], target, diff_md, true));
fail:
    if (pd != NULL) {
        dnnl_primitive_desc_destroy(pd);
    }
    return status;
}

/* ReLU mask on the way back, and the residual branch's share. */
static amun_status weighted_backward_head(impl *m, const amun__step *step)
{
    const value *v = &m->values[step->value];
    if (step->relu) {
        AMUN__CHECK(emit(
            m,
            (amun__instr){.kind = AMUN__INSTR_MASK, .dst = v->diff, .a = v->ref, .n = v->floats}));
    }
    return step->sum >= 0 ? contribute(m, step->sum, v->diff, v->md, true) : AMUN_OK;
}

static amun_status conv_backward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    shim_op op = {.engine = m->engine, .attr = m->attr, .hint = m->saved[s].forward};
    set_geometry(&op, &m->plan->graph->nodes[step->node]);
    AMUN__CHECK(weighted_backward_head(m, step));
    if (m->plan->mode == AMUN__MODE_TRAIN) {
        m->only_params = 1;
        AMUN__CHECK(conv_backward_weights(m, s, op));
        m->only_params = 0;
    }
    m->only_input = only_for_input(m, step->inputs[0]);
    AMUN__CHECK(conv_backward_data(m, s, op));
    m->only_input = 0;
    return AMUN_OK;
}

/* ---- linear
 * -----------------------------------------------------------------------------------------------
 */

typedef struct linear_mds {
    int32_t src, dst, weights, any, bias;
} linear_mds;

static amun_status linear_descriptors(impl *m, linear_mds *out, const amun__node *node)
{
    const int64_t *shape = m->plan->graph->params[node->weight].shape;
    const int64_t src[2] = {m->plan->batch, shape[1]}, dst[2] = {m->plan->batch, shape[0]};
    AMUN__CHECK(md_add(m, &out->src, 2, src, dnnl_nc));
    AMUN__CHECK(md_add(m, &out->dst, 2, dst, dnnl_nc));
    AMUN__CHECK(md_add(m, &out->weights, 2, shape, dnnl_oi));
    AMUN__CHECK(md_add(m, &out->any, 2, shape, dnnl_format_tag_any));
    return md_add(m, &out->bias, 1, shape, dnnl_x);
}

static amun_status linear_forward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun__node *node = &m->plan->graph->nodes[step->node];
    saved *keep = &m->saved[s];
    linear_mds mds;
    int32_t weights_md, plain_md;
    amun__ref bias, packed, dst;
    AMUN__CHECK(linear_descriptors(m, &mds, node));
    AMUN__CHECK(as_plain(m, &keep->src, &plain_md, step->inputs[0]));
    AMUN__CHECK(plain_weights(m, step, &keep->weights, &bias));
    bool training = m->plan->mode == AMUN__MODE_TRAIN;
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = training ? dnnl_forward_training : dnnl_forward_inference,
                  .src = md(m, mds.src),
                  .weights = md(m, mds.any),
                  .bias = bias.space != AMUN__SPACE_NONE ? md(m, mds.bias) : NULL,
                  .dst = md(m, mds.dst)};
    dnnl_status_t created = shim_linear_forward(&keep->forward, &op);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, step->node, "inner product forward");
    }
    AMUN__CHECK(md_query(m, &weights_md, keep->forward, dnnl_query_weights_md));
    AMUN__CHECK(emit_fold(m, step, keep->weights, bias));
    AMUN__CHECK(pack(m, &packed, keep->weights, mds.weights, weights_md, step->node));
    AMUN__CHECK(new_slot(m, &dst, mds.dst));
    const argument args[] = {{DNNL_ARG_SRC, mds.src, keep->src},
                             {DNNL_ARG_WEIGHTS, weights_md, packed},
                             {DNNL_ARG_BIAS, mds.bias, bias},
                             {DNNL_ARG_DST, mds.dst, dst}};
    AMUN__CHECK(emit_primitive(m, keep->forward, step->node, "linear", args, 4));
    AMUN__CHECK(md_node(m, &plain_md, step->value, dnnl_nchw));
    AMUN__CHECK(set_value(m, step->value, plain_md, dst));
    amun__step tail = *step;
    tail.sum_in_place = 0; /* no post-ops here */
    return emit_tail(m, &tail, false);
}

static amun_status linear_backward_weights(impl *m, int32_t s, const linear_mds *mds, shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const value *v = &m->values[step->value];
    dnnl_primitive_desc_t pd = NULL;
    int32_t index;
    amun__ref target, bias = {0};
    amun_status status;
    op.src = md(m, mds->src);
    op.weights = md(m, mds->any);
    op.bias = node->bias >= 0 ? md(m, mds->bias) : NULL;
    op.dst = md(m, mds->dst);
    dnnl_status_t created = shim_linear_backward_weights(&pd, &op);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, step->node, "inner product backward by weights");
    }
    AMUN__TRY(md_query(m, &index, pd, dnnl_query_diff_weights_md));
    AMUN__TRY(grad_target(m, &target, node->weight, mds->weights, index));
    if (node->bias >= 0) {
        bias = amun__code_param(graph, node->bias, AMUN__SPACE_GRADS);
    }
    const argument args[] = {{DNNL_ARG_SRC, mds->src, m->saved[s].src},
                             {DNNL_ARG_DIFF_DST, mds->dst, v->diff},
                             {DNNL_ARG_DIFF_WEIGHTS, index, target},
                             {DNNL_ARG_DIFF_BIAS, mds->bias, bias}};
    AMUN__TRY(emit_primitive(m, pd, step->node, "linear diff_weights", args, 4));
    AMUN__TRY(finish_grad(m, target, node->weight, mds->weights, index, step->node));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static amun_status linear_backward_data(impl *m, int32_t s, const linear_mds *mds, shim_op op)
{
    const amun__step *step = &m->program.steps[s];
    const value *v = &m->values[step->value];
    dnnl_primitive_desc_t pd = NULL;
    int32_t weights_md, plain_md;
    amun__ref packed, target;
    amun_status status;
    op.src = md(m, mds->src);
    op.weights = md(m, mds->any);
    op.bias = NULL;
    op.dst = md(m, mds->dst);
    dnnl_status_t created = shim_linear_backward_data(&pd, &op);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, step->node, "inner product backward by data");
    }
    AMUN__TRY(md_query(m, &weights_md, pd, dnnl_query_weights_md));
    AMUN__TRY(pack(m, &packed, m->saved[s].weights, mds->weights, weights_md, step->node));
    AMUN__TRY(new_slot(m, &target, mds->src));
    const argument args[] = {{DNNL_ARG_DIFF_DST, mds->dst, v->diff},
                             {DNNL_ARG_WEIGHTS, weights_md, packed},
                             {DNNL_ARG_DIFF_SRC, mds->src, target}};
    AMUN__TRY(emit_primitive(m, pd, step->node, "linear diff_src", args, 3));
    AMUN__TRY(md_node(m, &plain_md, step->inputs[0], dnnl_nchw));
    bool plain;
    AMUN__TRY(is_plain(m, &plain, step->inputs[0], m->values[step->inputs[0]].md));
    AMUN__TRY(contribute(m, step->inputs[0], target,
                         plain ? m->values[step->inputs[0]].md : plain_md, true));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static amun_status linear_backward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    linear_mds mds;
    shim_op op = {.engine = m->engine, .attr = m->attr, .hint = m->saved[s].forward};
    AMUN__CHECK(linear_descriptors(m, &mds, &m->plan->graph->nodes[step->node]));
    AMUN__CHECK(weighted_backward_head(m, step));
    if (m->plan->mode == AMUN__MODE_TRAIN) {
        m->only_params = 1;
        AMUN__CHECK(linear_backward_weights(m, s, &mds, op));
        m->only_params = 0;
    }
    m->only_input = only_for_input(m, step->inputs[0]);
    AMUN__CHECK(linear_backward_data(m, s, &mds, op));
    m->only_input = 0;
    return AMUN_OK;
}

/* ---- batch norm
 * -------------------------------------------------------------------------------------------- */

static unsigned batchnorm_flags(const impl *m, const amun__step *step)
{
    unsigned flags = (unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift;
    if (m->plan->mode != AMUN__MODE_TRAIN) {
        flags |= (unsigned)dnnl_use_global_stats;
    }
    return step->relu ? flags | (unsigned)dnnl_fuse_norm_relu : flags;
}

static amun_status batchnorm_forward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const value *src = &m->values[step->inputs[0]];
    saved *keep = &m->saved[s];
    int32_t stats_md, workspace_md = -1;
    amun__ref dst;
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = m->plan->mode == AMUN__MODE_INFER ? dnnl_forward_inference
                                                            : dnnl_forward_training,
                  .src = md(m, src->md),
                  .dst = md(m, src->md),
                  .eps = (float)node->eps,
                  .flags = batchnorm_flags(m, step)};
    dnnl_status_t created = shim_batchnorm_forward(&keep->forward, &op);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, step->node, "batch normalisation forward");
    }
    AMUN__CHECK(md_add(m, &stats_md, 1, &node->channels, dnnl_x));
    if (m->plan->mode == AMUN__MODE_TRAIN) {
        size_t bytes = (size_t)node->channels * sizeof(float);
        AMUN__CHECK(amun__code_fixed(&m->code, &keep->mean, bytes));
        AMUN__CHECK(amun__code_fixed(&m->code, &keep->variance, bytes));
    } else {
        keep->mean = amun__code_param(graph, node->running_mean, AMUN__SPACE_PARAMS);
        keep->variance = amun__code_param(graph, node->running_var, AMUN__SPACE_PARAMS);
    }
    if (step->relu && m->plan->mode != AMUN__MODE_INFER) {
        AMUN__CHECK(md_query(m, &workspace_md, keep->forward, dnnl_query_workspace_md));
        AMUN__CHECK(new_slot(m, &keep->workspace, workspace_md));
    }
    keep->src = src->ref;
    keep->src_md = src->md;
    keep->workspace_md = workspace_md;
    AMUN__CHECK(new_slot(m, &dst, src->md));
    const argument args[] = {
        {DNNL_ARG_SRC, src->md, src->ref},
        {DNNL_ARG_MEAN, stats_md, keep->mean},
        {DNNL_ARG_VARIANCE, stats_md, keep->variance},
        {DNNL_ARG_SCALE, stats_md, amun__code_param(graph, node->weight, AMUN__SPACE_PARAMS)},
        {DNNL_ARG_SHIFT, stats_md, amun__code_param(graph, node->bias, AMUN__SPACE_PARAMS)},
        {DNNL_ARG_WORKSPACE, workspace_md, keep->workspace},
        {DNNL_ARG_DST, src->md, dst}};
    AMUN__CHECK(emit_primitive(m, keep->forward, step->node, "batchnorm", args, 7));
    return set_value(m, step->value, src->md, dst);
}

static amun_status batchnorm_backward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const amun_graph *graph = m->plan->graph;
    const amun__node *node = &graph->nodes[step->node];
    const value *v = &m->values[step->value];
    const saved *keep = &m->saved[s];
    dnnl_primitive_desc_t pd = NULL;
    int32_t stats_md;
    amun__ref target;
    amun_status status;
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = dnnl_backward, /* backward_data is missing for some layouts */
                  .src = md(m, keep->src_md),
                  .dst = md(m, v->md),
                  .eps = (float)node->eps,
                  .flags = batchnorm_flags(m, step),
                  .hint = keep->forward};
    dnnl_status_t created = shim_batchnorm_backward(&pd, &op);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, step->node, "batch normalisation backward");
    }
    AMUN__TRY(md_add(m, &stats_md, 1, &node->channels, dnnl_x));
    amun__ref diff_scale = amun__code_param(graph, node->weight, AMUN__SPACE_GRADS);
    amun__ref diff_shift = amun__code_param(graph, node->bias, AMUN__SPACE_GRADS);
    if (m->plan->mode != AMUN__MODE_TRAIN) { /* nobody reads them */
        AMUN__TRY(new_slot(m, &diff_scale, stats_md));
        AMUN__TRY(new_slot(m, &diff_shift, stats_md));
    }
    AMUN__TRY(new_slot(m, &target, keep->src_md));
    const argument args[] = {
        {DNNL_ARG_SRC, keep->src_md, keep->src},
        {DNNL_ARG_MEAN, stats_md, keep->mean},
        {DNNL_ARG_VARIANCE, stats_md, keep->variance},
        {DNNL_ARG_SCALE, stats_md, amun__code_param(graph, node->weight, AMUN__SPACE_PARAMS)},
        {DNNL_ARG_SHIFT, stats_md, amun__code_param(graph, node->bias, AMUN__SPACE_PARAMS)},
        {DNNL_ARG_WORKSPACE, keep->workspace_md, keep->workspace},
        {DNNL_ARG_DIFF_DST, v->md, v->diff},
        {DNNL_ARG_DIFF_SRC, keep->src_md, target},
        {DNNL_ARG_DIFF_SCALE, stats_md, diff_scale},
        {DNNL_ARG_DIFF_SHIFT, stats_md, diff_shift}};
    AMUN__TRY(emit_primitive(m, pd, step->node, "batchnorm diff", args, 10));
    AMUN__TRY(contribute(m, step->inputs[0], target, keep->src_md, true));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* ---- pooling
 * --------------------------------------------------------------------------------------------------
 */

static shim_op pool_op(const impl *m, const amun__step *step)
{
    const amun__node *node = &m->plan->graph->nodes[step->node];
    shim_op op = {.engine = m->engine,
                  .attr = m->attr,
                  .prop = m->plan->mode == AMUN__MODE_INFER ? dnnl_forward_inference
                                                            : dnnl_forward_training,
                  .alg = node->kind == AMUN__NODE_MAX_POOL ? dnnl_pooling_max
                                                           : dnnl_pooling_avg_include_padding};
    set_geometry(&op, node);
    return op;
}

static amun_status pool_forward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const value *src = &m->values[step->inputs[0]];
    saved *keep = &m->saved[s];
    int32_t dst_md, workspace_md = -1;
    amun__ref dst;
    shim_op op = pool_op(m, step);
    AMUN__CHECK(md_node(m, &dst_md, step->value, dnnl_format_tag_any));
    op.src = md(m, src->md);
    op.dst = md(m, dst_md);
    dnnl_status_t created = shim_pool_forward(&keep->forward, &op);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, step->node, "pooling forward");
    }
    AMUN__CHECK(md_query(m, &dst_md, keep->forward, dnnl_query_dst_md));
    if (step->kind == AMUN__NODE_MAX_POOL && m->plan->mode != AMUN__MODE_INFER) {
        AMUN__CHECK(md_query(m, &workspace_md, keep->forward, dnnl_query_workspace_md));
        AMUN__CHECK(new_slot(m, &keep->workspace, workspace_md));
    }
    keep->workspace_md = workspace_md;
    AMUN__CHECK(new_slot(m, &dst, dst_md));
    const argument args[] = {{DNNL_ARG_SRC, src->md, src->ref},
                             {DNNL_ARG_WORKSPACE, workspace_md, keep->workspace},
                             {DNNL_ARG_DST, dst_md, dst}};
    AMUN__CHECK(emit_primitive(m, keep->forward, step->node, "pool", args, 3));
    return set_value(m, step->value, dst_md, dst);
}

static amun_status pool_backward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const value *v = &m->values[step->value];
    const saved *keep = &m->saved[s];
    int32_t src_md = m->values[step->inputs[0]].md;
    dnnl_primitive_desc_t pd = NULL;
    amun__ref target;
    amun_status status;
    shim_op op = pool_op(m, step);
    op.src = md(m, src_md);
    op.dst = md(m, v->md);
    op.hint = keep->forward;
    dnnl_status_t created = shim_pool_backward(&pd, &op);
    if (created != dnnl_success) {
        return fail_dnnl(m, created, step->node, "pooling backward");
    }
    AMUN__TRY(new_slot(m, &target, src_md));
    const argument args[] = {{DNNL_ARG_DIFF_DST, v->md, v->diff},
                             {DNNL_ARG_WORKSPACE, keep->workspace_md, keep->workspace},
                             {DNNL_ARG_DIFF_SRC, src_md, target}};
    AMUN__TRY(emit_primitive(m, pd, step->node, "pool diff", args, 3));
    AMUN__TRY(contribute(m, step->inputs[0], target, src_md, true));
fail:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* ---- elementwise and layout steps
 * ----------------------------------------------------------------------------- */

static amun_status add_forward(impl *m, const amun__step *step)
{
    const value *a = &m->values[step->inputs[0]], *b = &m->values[step->inputs[1]];
    amun__ref other, dst;
    AMUN__CHECK(as_layout(m, &other, b->ref, b->md, a->md, step->inputs[1]));
    AMUN__CHECK(new_slot(m, &dst, a->md));
    AMUN__CHECK(emit(m, (amun__instr){.kind = AMUN__INSTR_ADD_TO,
                                      .dst = dst,
                                      .a = a->ref,
                                      .b = other,
                                      .factor = step->factor,
                                      .relu = step->relu,
                                      .n = a->floats}));
    return set_value(m, step->value, a->md, dst);
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
static bool may_share(const impl *m, int32_t s, int32_t a, int32_t b)
{
    const amun__program *program = &m->program;
    int32_t p = program->producer[a], q = program->producer[b];
    if (a == b || p < 0 || program->uses[a] != 1 || !reads_only(&program->steps[p]) ||
        m->values[b].has_diff || !md_equal(m, m->values[a].md, m->values[b].md)) {
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

static amun_status add_backward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    const value *v = &m->values[step->value];
    int32_t a = step->inputs[0], b = step->inputs[1];
    amun__ref diff = v->diff;
    int32_t index = v->md;
    if (step->relu) {
        AMUN__CHECK(emit(
            m, (amun__instr){.kind = AMUN__INSTR_MASK, .dst = diff, .a = v->ref, .n = v->floats}));
    }
    if (step->factor != 1) {
        AMUN__CHECK(emit(m, (amun__instr){.kind = AMUN__INSTR_SCALE,
                                          .dst = diff,
                                          .a = diff,
                                          .factor = step->factor,
                                          .n = v->floats}));
    }
    bool share = may_share(m, s, a, b) || may_share(m, s, b, a);
    /* copies first: what is aliased last is not changed before they were taken */
    AMUN__CHECK(contribute(m, b, diff, index, share));
    return contribute(m, a, diff, index, true);
}

static amun_status relu_forward(impl *m, const amun__step *step)
{
    const value *src = &m->values[step->inputs[0]];
    amun__ref dst;
    AMUN__CHECK(new_slot(m, &dst, src->md));
    AMUN__CHECK(emit(
        m,
        (amun__instr){.kind = AMUN__INSTR_RELU_TO, .dst = dst, .a = src->ref, .n = src->floats}));
    return set_value(m, step->value, src->md, dst);
}

static amun_status relu_backward(impl *m, const amun__step *step)
{
    const value *v = &m->values[step->value];
    AMUN__CHECK(emit(
        m, (amun__instr){.kind = AMUN__INSTR_MASK, .dst = v->diff, .a = v->ref, .n = v->floats}));
    return contribute(m, step->inputs[0], v->diff, v->md, true);
}

static amun_status scale_forward(impl *m, const amun__step *step)
{
    const value *src = &m->values[step->inputs[0]];
    amun__ref dst;
    AMUN__CHECK(new_slot(m, &dst, src->md));
    AMUN__CHECK(emit(m, (amun__instr){.kind = AMUN__INSTR_SCALE,
                                      .dst = dst,
                                      .a = src->ref,
                                      .factor = step->factor,
                                      .n = src->floats}));
    return set_value(m, step->value, src->md, dst);
}

static amun_status scale_backward(impl *m, const amun__step *step)
{
    const value *v = &m->values[step->value];
    AMUN__CHECK(emit(m, (amun__instr){.kind = AMUN__INSTR_SCALE,
                                      .dst = v->diff,
                                      .a = v->diff,
                                      .factor = step->factor,
                                      .n = v->floats}));
    return contribute(m, step->inputs[0], v->diff, v->md, true);
}

static amun_status normalise_forward(impl *m, const amun__step *step)
{
    amun__ref src, dst;
    int32_t plain_md;
    AMUN__CHECK(as_plain(m, &src, &plain_md, step->inputs[0]));
    AMUN__CHECK(new_slot(m, &dst, plain_md));
    AMUN__CHECK(emit(m, (amun__instr){.kind = AMUN__INSTR_NORMALISE,
                                      .dst = dst,
                                      .a = src,
                                      .node = step->node,
                                      .n = md_bytes(m, plain_md) / sizeof(float)}));
    return set_value(m, step->value, plain_md, dst);
}

static amun_status normalise_backward(impl *m, const amun__step *step)
{
    const value *v = &m->values[step->value];
    amun__ref target;
    AMUN__CHECK(new_slot(m, &target, v->md));
    AMUN__CHECK(emit(m, (amun__instr){.kind = AMUN__INSTR_UNNORMALISE,
                                      .dst = target,
                                      .a = v->diff,
                                      .node = step->node,
                                      .n = v->floats}));
    return contribute(m, step->inputs[0], target, v->md, true);
}

static amun_status flatten_forward(impl *m, const amun__step *step)
{
    amun__ref src;
    int32_t plain_md;
    AMUN__CHECK(as_plain(m, &src, &plain_md, step->inputs[0]));
    AMUN__CHECK(md_node(m, &plain_md, step->value, dnnl_nchw));
    return set_value(m, step->value, plain_md, src);
}

static amun_status flatten_backward(impl *m, const amun__step *step)
{
    const value *v = &m->values[step->value];
    const value *src = &m->values[step->inputs[0]];
    int32_t plain_md;
    bool plain;
    AMUN__CHECK(md_node(m, &plain_md, step->inputs[0], dnnl_nchw));
    AMUN__CHECK(is_plain(m, &plain, step->inputs[0], src->md));
    return contribute(m, step->inputs[0], v->diff, plain ? src->md : plain_md, true);
}

static amun__instr strided(const impl *m, const amun__step *step, int32_t input)
{
    const amun__node *in = &m->plan->graph->nodes[step->inputs[input]];
    const amun__node *out = &m->plan->graph->nodes[step->value];
    return (amun__instr){.kind = AMUN__INSTR_STRIDED,
                         .rows = (size_t)m->plan->batch,
                         .n = (size_t)(in->channels * in->height * in->width),
                         .dst_stride = (size_t)(out->channels * out->height * out->width)};
}

/* Plain layout on both sides; each row is one image. */
static amun_status concat_forward(impl *m, const amun__step *step)
{
    int32_t plain_md, dst_md;
    amun__ref dst, src;
    size_t offset = 0;
    AMUN__CHECK(md_node(m, &dst_md, step->value, dnnl_nchw));
    AMUN__CHECK(new_slot(m, &dst, dst_md));
    for (int32_t i = 0; i < step->input_count; i++) {
        AMUN__CHECK(as_plain(m, &src, &plain_md, step->inputs[i]));
        amun__instr instr = strided(m, step, i);
        instr.dst = dst;
        instr.dst.offset = offset * sizeof(float);
        instr.a = src;
        instr.a_stride = instr.n;
        AMUN__CHECK(emit(m, instr));
        offset += instr.n;
    }
    return set_value(m, step->value, dst_md, dst);
}

static amun_status concat_backward(impl *m, const amun__step *step)
{
    const value *v = &m->values[step->value];
    size_t offset = 0;
    for (int32_t i = 0; i < step->input_count; i++) {
        int32_t plain_md;
        bool plain;
        amun__ref target;
        AMUN__CHECK(md_node(m, &plain_md, step->inputs[i], dnnl_nchw));
        AMUN__CHECK(new_slot(m, &target, plain_md));
        amun__instr instr = strided(m, step, i);
        instr.a_stride = instr.dst_stride;
        instr.dst_stride = instr.n;
        instr.a = v->diff;
        instr.a.offset = offset * sizeof(float);
        instr.dst = target;
        AMUN__CHECK(emit(m, instr));
        offset += instr.n;
        AMUN__CHECK(is_plain(m, &plain, step->inputs[i], m->values[step->inputs[i]].md));
        AMUN__CHECK(contribute(m, step->inputs[i], target,
                               plain ? m->values[step->inputs[i]].md : plain_md, true));
    }
    return AMUN_OK;
}

/* ---- the whole program
 * ------------------------------------------------------------------------------------------ */

static amun_status step_forward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    switch (step->kind) {
    case AMUN__NODE_CONV2D:
        return conv_forward(m, s);
    case AMUN__NODE_LINEAR:
        return linear_forward(m, s);
    case AMUN__NODE_BATCHNORM:
        return batchnorm_forward(m, s);
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_AVG_POOL:
        return pool_forward(m, s);
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

static amun_status step_backward(impl *m, int32_t s)
{
    const amun__step *step = &m->program.steps[s];
    /* steps before all parameters serve the caller's diff_src alone */
    m->only_input = only_for_input(m, step->value);
    switch (step->kind) {
    case AMUN__NODE_CONV2D:
        return conv_backward(m, s);
    case AMUN__NODE_LINEAR:
        return linear_backward(m, s);
    case AMUN__NODE_BATCHNORM:
        return batchnorm_backward(m, s);
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_AVG_POOL:
        return pool_backward(m, s);
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

static void mark_trainable(impl *m)
{
    const amun_graph *graph = m->plan->graph;
    for (int32_t i = 1; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        m->values[i].trainable = node->weight >= 0;
        for (int32_t j = 0; j < node->input_count; j++) {
            m->values[i].trainable |= m->values[node->inputs[j]].trainable;
        }
    }
}

static amun_status emit_forward(impl *m)
{
    int32_t last = m->plan->graph->node_count - 1, plain_md;
    m->code.target = &m->code.forward;
    AMUN__CHECK(md_node(m, &plain_md, 0, dnnl_nchw));
    AMUN__CHECK(new_slot(m, &m->input, plain_md));
    AMUN__CHECK(set_value(m, 0, plain_md, m->input));
    m->code.clock++;
    for (int32_t s = 0; s < m->program.count; s++) {
        AMUN__CHECK(step_forward(m, s));
    }
    AMUN__CHECK(as_plain(m, &m->logits, &plain_md, last));
    amun__code_touch(&m->code, m->logits); /* copied out after the last instruction */
    m->code.clock++;
    return AMUN_OK;
}

static amun_status emit_backward(impl *m)
{
    int32_t last = m->plan->graph->node_count - 1, plain_md;
    bool plain;
    m->code.target = &m->code.backward;
    AMUN__CHECK(md_node(m, &plain_md, last, dnnl_nchw));
    AMUN__CHECK(new_slot(m, &m->diff_logits, plain_md));
    m->code.clock++;
    AMUN__CHECK(is_plain(m, &plain, last, m->values[last].md));
    AMUN__CHECK(contribute(m, last, m->diff_logits, plain ? m->values[last].md : plain_md, true));
    for (int32_t s = m->program.count - 1; s >= 0; s--) {
        AMUN__CHECK(step_backward(m, s));
        m->only_input = 0;
    }
    m->diff_input = m->values[0].diff;
    amun__code_touch(&m->code, m->diff_input);
    m->code.clock++;
    return AMUN_OK;
}

static void dump_list(const impl *m, const amun__list *list, const char *title)
{
    const amun_context *ctx = m->plan->ctx;
    for (int32_t i = 0; i < list->count; i++) {
        const amun__instr *instr = &list->items[i];
        if (instr->kind == AMUN__INSTR_PRIMITIVE) {
            amun__log(ctx, AMUN__LOG_PLAN, "plan %s %d: %s", title, i, instr->label);
        } else {
            amun__log(ctx, AMUN__LOG_PLAN, "plan %s %d: %s %zu", title, i,
                      amun__instr_name(instr->kind), instr->n);
        }
    }
}

static void dump(const impl *m)
{
    static const char *const modes[] = {"?", "infer", "attack", "train"};
    const amun__plan *plan = m->plan;
    amun__log(plan->ctx, AMUN__LOG_PLAN,
              "plan: mode %s, batch %lld, arena %zu bytes, packed %zu bytes, scratch %zu bytes",
              modes[plan->mode], (long long)plan->batch, m->code.arena.bytes, m->code.fixed_bytes,
              m->scratch_bytes);
    dump_list(m, &m->code.pack, "pack");
    dump_list(m, &m->code.forward, "forward");
    dump_list(m, &m->code.backward, "backward");
}

static amun_status open_engine(impl *m)
{
    dnnl_status_t status = dnnl_engine_create(&m->engine, dnnl_cpu, 0);
    if (status == dnnl_success) {
        status = dnnl_stream_create(&m->stream, m->engine, dnnl_stream_default_flags);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_create(&m->attr);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_set_scratchpad_mode(m->attr, dnnl_scratchpad_mode_user);
    }
    return status == dnnl_success
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_BACKEND, "oneDNN: engine: status %d", (int)status);
}

static void drop_hints(impl *m)
{
    for (int32_t s = 0; m->saved != NULL && s < m->program.count; s++) {
        if (m->saved[s].forward != NULL) {
            dnnl_primitive_desc_destroy(m->saved[s].forward);
            m->saved[s].forward = NULL;
        }
    }
}

static amun_status plan_create(amun__plan *plan)
{
    impl *m = NULL;
    AMUN__CHECK(amun__calloc(plan->ctx, &m, 1, sizeof *m));
    plan->impl = m;
    m->plan = plan;
    amun__code_init(&m->code, plan->ctx);
    AMUN__CHECK(open_engine(m));
    AMUN__CHECK(amun__lower(&m->program, plan->ctx, plan->graph, plan->mode));
    size_t nodes = (size_t)plan->graph->node_count;
    AMUN__CHECK(amun__calloc(plan->ctx, &m->values, nodes, sizeof *m->values));
    AMUN__CHECK(amun__calloc(plan->ctx, &m->saved, nodes, sizeof *m->saved));
    mark_trainable(m);
    AMUN__CHECK(emit_forward(m));
    if (plan->mode != AMUN__MODE_INFER) {
        AMUN__CHECK(emit_backward(m));
    }
    drop_hints(m);
    AMUN__CHECK(amun__code_fixed(&m->code, &m->scratch, m->scratch_bytes));
    AMUN__CHECK(amun__code_plan(&m->code));
    plan->bytes = m->code.arena.bytes + m->code.fixed_bytes;
    if (amun__log_wants(plan->ctx, AMUN__LOG_PLAN)) {
        dump(m);
    }
    return AMUN_OK;
}

static void plan_destroy(amun__plan *plan)
{
    impl *m = plan->impl;
    if (m == NULL) {
        return;
    }
    drop_hints(m);
    for (int32_t i = 0; i < m->primitive_count; i++) {
        primitive *p = &m->primitives[i];
        for (int32_t j = 0; j < p->count; j++) {
            dnnl_memory_destroy(p->args[j].memory);
        }
        if (p->handle != NULL) {
            dnnl_primitive_destroy(p->handle);
        }
    }
    shim_pool_free(&m->pool, plan->ctx);
    if (m->attr != NULL) {
        dnnl_primitive_attr_destroy(m->attr);
    }
    if (m->stream != NULL) {
        dnnl_stream_destroy(m->stream);
    }
    if (m->engine != NULL) {
        dnnl_engine_destroy(m->engine);
    }
    amun__free(plan->ctx, m->primitives);
    amun__free(plan->ctx, m->values);
    amun__free(plan->ctx, m->saved);
    amun__free(plan->ctx, m->own_grads);
    amun__lower_free(&m->program, plan->ctx);
    amun__code_free(&m->code);
    amun__free(plan->ctx, m);
    plan->impl = NULL;
}

/* ---- running
 * ------------------------------------------------------------------------------------------------------
 */

static amun_status bind_primitive(impl *m, primitive *p, bool grads)
{
    for (int32_t j = 0; j < p->count; j++) {
        amun__ref ref = p->refs[j];
        if ((ref.space == AMUN__SPACE_GRADS) != grads) {
            continue;
        }
        if (ref.space == AMUN__SPACE_NONE) {
            ref = m->scratch;
        }
        dnnl_status_t status =
            dnnl_memory_set_data_handle(p->args[j].memory, amun__code_pointer(&m->code, ref));
        if (status != dnnl_success) {
            return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: data handle: status %d", (int)status);
        }
    }
    return AMUN_OK;
}

static amun_status bind_all(impl *m, bool grads)
{
    for (int32_t i = 0; i < m->primitive_count; i++) {
        AMUN__CHECK(bind_primitive(m, &m->primitives[i], grads));
    }
    return AMUN_OK;
}

static amun_status run_list(impl *m, const amun__list *list, bool input, bool params)
{
    for (int32_t i = 0; i < list->count; i++) {
        const amun__instr *instr = &list->items[i];
        if ((instr->only_input && !input) || (instr->only_params && !params)) {
            continue;
        }
        if (instr->kind != AMUN__INSTR_PRIMITIVE) {
            amun__code_run(&m->code, m->plan->graph, m->plan->batch, instr);
            continue;
        }
        const primitive *p = &m->primitives[instr->primitive];
        dnnl_status_t status = dnnl_primitive_execute(p->handle, m->stream, p->count, p->args);
        if (status != dnnl_success) {
            return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: %s, batch %lld: status %d", instr->label,
                              (long long)m->plan->batch, (int)status);
        }
    }
    dnnl_stream_wait(m->stream);
    return AMUN_OK;
}

/* Memory at the first run, packed weights whenever the model's values changed. */
static amun_status prepare(impl *m)
{
    amun__plan *plan = m->plan;
    if (!m->bound) {
        m->code.params = plan->params->values;
        AMUN__CHECK(amun__code_allocate(&m->code));
        AMUN__CHECK(bind_all(m, false));
        m->bound = 1;
    }
    if (plan->version != plan->params->version) {
        AMUN__CHECK(run_list(m, &m->code.pack, true, true));
        plan->version = plan->params->version;
    }
    return AMUN_OK;
}

static size_t node_floats(const impl *m, int32_t node)
{
    const amun__node *n = &m->plan->graph->nodes[node];
    return (size_t)(m->plan->batch * n->channels * n->height * n->width);
}

static amun_status plan_forward(amun__plan *plan, const float *src, float *dst)
{
    impl *m = plan->impl;
    AMUN__CHECK(prepare(m));
    amun__kernel_copy(amun__code_pointer(&m->code, m->input), src, node_floats(m, 0));
    AMUN__CHECK(run_list(m, &m->code.forward, true, true));
    memcpy(dst, amun__code_pointer(&m->code, m->logits),
           node_floats(m, plan->graph->node_count - 1) * sizeof(float));
    return AMUN_OK;
}

static amun_status bind_grads(impl *m, float *diff_params)
{
    if (diff_params == NULL) { /* batch norm writes its gradients anyway */
        if (m->own_grads == NULL) {
            AMUN__CHECK(
                amun__alloc(m->plan->ctx, &m->own_grads, m->plan->graph->trainable, sizeof(float)));
        }
        diff_params = m->own_grads;
    }
    if (diff_params != m->bound_grads) {
        m->code.grads = m->bound_grads = diff_params;
        return bind_all(m, true);
    }
    return AMUN_OK;
}

static amun_status plan_backward(amun__plan *plan, const float *diff_dst, float *diff_src,
                                 float *diff_params)
{
    impl *m = plan->impl;
    if (plan->mode == AMUN__MODE_TRAIN) {
        AMUN__CHECK(bind_grads(m, diff_params));
    }
    memcpy(amun__code_pointer(&m->code, m->diff_logits), diff_dst,
           node_floats(m, plan->graph->node_count - 1) * sizeof(float));
    AMUN__CHECK(run_list(m, &m->code.backward, diff_src != NULL, diff_params != NULL));
    if (diff_src != NULL) {
        amun__kernel_copy(diff_src, amun__code_pointer(&m->code, m->diff_input), node_floats(m, 0));
    }
    return AMUN_OK;
}

static amun_status plan_statistics(amun__plan *plan, int32_t node, float *mean, float *variance)
{
    const impl *m = plan->impl;
    size_t bytes = (size_t)plan->graph->nodes[node].channels * sizeof(float);
    for (int32_t s = 0; s < m->program.count; s++) {
        if (m->program.steps[s].node == node && plan->mode == AMUN__MODE_TRAIN) {
            memcpy(mean, amun__code_pointer(&m->code, m->saved[s].mean), bytes);
            memcpy(variance, amun__code_pointer(&m->code, m->saved[s].variance), bytes);
            return AMUN_OK;
        }
    }
    return amun__fail(AMUN_ERROR_INTERNAL, "node %d has no batch statistics", node);
}

const amun__backend amun__backend_dnnl = {
    .name = "onednn",
    .create = plan_create,
    .forward = plan_forward,
    .backward = plan_backward,
    .statistics = plan_statistics,
    .destroy = plan_destroy,
};

#endif
