/* backend_dnnl.c - plans on oneDNN: emission of a whole program, binding of memory, running.
 * Layouts are chosen by the convolutions and kept by everything between them; a reorder appears in
 * the plan's listing (AMUN_LOG=plan). */
#include "nn/dnnl_impl.h"

/* ---- emission of the whole program ---------------------------------------------------------- */

static void mark_trainable(amun__dnnl_plan *m)
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

static amun_status emit_forward(amun__dnnl_plan *m)
{
    int32_t last = m->plan->graph->node_count - 1, plain_md;
    m->code.target = &m->code.forward;
    AMUN__CHECK(amun__dnnl_md_node(m, &plain_md, 0, dnnl_nchw));
    AMUN__CHECK(amun__dnnl_new_slot(m, &m->input, plain_md));
    AMUN__CHECK(amun__dnnl_set_value(m, 0, plain_md, m->input));
    m->code.clock++;
    for (int32_t s = 0; s < m->program.count; s++) {
        AMUN__CHECK(amun__dnnl_step_forward(m, s));
    }
    AMUN__CHECK(amun__dnnl_as_plain(m, &m->logits, &plain_md, last));
    amun__code_touch(&m->code, m->logits); /* copied out after the last instruction */
    m->code.clock++;
    return AMUN_OK;
}

static amun_status emit_backward(amun__dnnl_plan *m)
{
    int32_t last = m->plan->graph->node_count - 1, plain_md;
    bool plain;
    m->code.target = &m->code.backward;
    AMUN__CHECK(amun__dnnl_md_node(m, &plain_md, last, dnnl_nchw));
    AMUN__CHECK(amun__dnnl_new_slot(m, &m->diff_logits, plain_md));
    m->code.clock++;
    AMUN__CHECK(amun__dnnl_is_plain(m, &plain, last, m->values[last].md));
    AMUN__CHECK(amun__dnnl_contribute(m, last, m->diff_logits,
                                      plain ? m->values[last].md : plain_md, true));
    for (int32_t s = m->program.count - 1; s >= 0; s--) {
        AMUN__CHECK(amun__dnnl_step_backward(m, s));
        m->only_input = 0;
    }
    m->diff_input = m->values[0].diff;
    amun__code_touch(&m->code, m->diff_input);
    m->code.clock++;
    return AMUN_OK;
}

static void drop_hints(amun__dnnl_plan *m)
{
    for (int32_t s = 0; m->saved != NULL && s < m->program.count; s++) {
        if (m->saved[s].forward != NULL) {
            dnnl_primitive_desc_destroy(m->saved[s].forward);
            m->saved[s].forward = NULL;
        }
    }
}

/* All that this plan will hold after its first run. The lists count too: for a small network they
 * are most of it. */
static uint64_t count_bytes(const amun__dnnl_plan *m)
{
    const void *const blocks[] = {
        m,
        m->program.steps,
        m->program.producer,
        m->program.last_use,
        m->program.uses,
        m->pool.items,
        m->primitives,
        m->values,
        m->saved,
        m->choices,
        m->code.arena.slots,
        m->code.pack.items,
        m->code.forward.items,
        m->code.backward.items,
    };
    uint64_t bytes =
        amun__block_bytes_of(m->code.arena.bytes) + amun__block_bytes_of(m->code.fixed_bytes);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        bytes += amun__block_bytes(blocks[i]);
    }
    return bytes;
}

amun_status amun__dnnl_open(amun__plan *plan)
{
    amun__dnnl_plan *m = NULL;
    AMUN__CHECK(amun__calloc(plan->ctx, &m, 1, sizeof *m));
    plan->impl = m;
    m->plan = plan;
    amun__code_init(&m->code, plan->ctx);
    AMUN__CHECK(shim_open(&m->engine, &m->stream, &m->attr));
    AMUN__CHECK(amun__lower(&m->program, plan->ctx, plan->graph, plan->mode));
    size_t nodes = (size_t)plan->graph->node_count;
    AMUN__CHECK(amun__calloc(plan->ctx, &m->values, nodes, sizeof *m->values));
    AMUN__CHECK(amun__calloc(plan->ctx, &m->saved, nodes, sizeof *m->saved));
    AMUN__CHECK(amun__calloc(plan->ctx, &m->choices, nodes, sizeof *m->choices));
    return AMUN_OK;
}

amun_status amun__dnnl_compile(amun__dnnl_plan *m)
{
    amun__plan *plan = m->plan;
    mark_trainable(m);
    AMUN__CHECK(emit_forward(m));
    if (plan->mode != AMUN__MODE_INFER) {
        AMUN__CHECK(emit_backward(m));
    }
    drop_hints(m);
    if (plan->precision == AMUN_PRECISION_BF16) {
        AMUN__CHECK(amun__dnnl_store_bf16(m));
    }
    AMUN__CHECK(amun__code_fixed(&m->code, &m->scratch, m->scratch_bytes));
    AMUN__CHECK(amun__code_plan(&m->code));
    plan->bytes += count_bytes(m);
    return AMUN_OK;
}

static amun_status plan_create(amun__plan *plan)
{
    AMUN__CHECK(amun__dnnl_open(plan));
    AMUN__CHECK(amun__dnnl_choose(plan->impl));
    AMUN__CHECK(amun__dnnl_compile(plan->impl));
    if (amun__log_wants(plan->ctx, AMUN__LOG_PLAN)) {
        amun__dnnl_dump(plan->impl);
    }
    return AMUN_OK;
}

void amun__dnnl_close(amun__plan *plan)
{
    amun__dnnl_plan *m = plan->impl;
    if (m == NULL) {
        return;
    }
    drop_hints(m);
    for (int32_t i = 0; i < m->primitive_count; i++) {
        amun__dnnl_primitive *p = &m->primitives[i];
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
    amun__free(plan->ctx, m->choices);
    amun__free(plan->ctx, m->own_grads);
    amun__lower_free(&m->program, plan->ctx);
    amun__code_free(&m->code);
    amun__free(plan->ctx, m);
    plan->impl = NULL;
}

/* ---- running -------------------------------------------------------------------------------- */

static amun_status bind_primitive(amun__dnnl_plan *m, amun__dnnl_primitive *p, bool grads)
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

static amun_status bind_all(amun__dnnl_plan *m, bool grads)
{
    for (int32_t i = 0; i < m->primitive_count; i++) {
        AMUN__CHECK(bind_primitive(m, &m->primitives[i], grads));
    }
    return AMUN_OK;
}

static amun_status run_instr(const amun__dnnl_plan *m, const amun__instr *instr)
{
    if (instr->kind != AMUN__INSTR_PRIMITIVE) {
        amun__code_run(&m->code, m->plan->graph, m->plan->batch, instr);
        return AMUN_OK;
    }
    const amun__dnnl_primitive *p = &m->primitives[instr->primitive];
    dnnl_status_t status = dnnl_primitive_execute(p->handle, m->stream, p->count, p->args);
    if (status != dnnl_success) {
        return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: %s, batch %lld: status %d", instr->label,
                          (long long)m->plan->batch, (int)status);
    }
    return AMUN_OK;
}

static amun_status run_list(amun__dnnl_plan *m, const amun__list *list, bool input, bool params)
{
    for (int32_t i = 0; i < list->count; i++) {
        const amun__instr *instr = &list->items[i];
        if ((instr->only_input && !input) || (instr->only_params && !params)) {
            continue;
        }
        AMUN__CHECK(run_instr(m, instr));
    }
    dnnl_stream_wait(m->stream);
    return AMUN_OK;
}

/* Memory at the first run, packed weights whenever the model's values changed. */
static amun_status prepare(amun__dnnl_plan *m)
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

static size_t node_floats(const amun__dnnl_plan *m, int32_t node)
{
    const amun__node *n = &m->plan->graph->nodes[node];
    return (size_t)(m->plan->batch * n->channels * n->height * n->width);
}

static amun_status plan_forward(amun__plan *plan, const float *src, float *dst)
{
    amun__dnnl_plan *m = plan->impl;
    AMUN__CHECK(prepare(m));
    amun__kernel_copy(amun__code_pointer(&m->code, m->input), src, node_floats(m, 0));
    AMUN__CHECK(run_list(m, &m->code.forward, true, true));
    memcpy(dst, amun__code_pointer(&m->code, m->logits),
           node_floats(m, plan->graph->node_count - 1) * sizeof(float));
    return AMUN_OK;
}

static amun_status bind_grads(amun__dnnl_plan *m, float *diff_params)
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
    amun__dnnl_plan *m = plan->impl;
    if (amun__mode_trains(plan->mode)) {
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
    const amun__dnnl_plan *m = plan->impl;
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

/* ---- measuring ------------------------------------------------------------------------------ */

static void made_up(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(i % 13) / 8 - 0.75f;
    }
}

static amun_status time_list(amun__dnnl_plan *m, const amun__list *list, double *seconds)
{
    for (int32_t i = 0; i < list->count; i++) {
        const amun__instr *instr = &list->items[i];
        double began = amun__dnnl_seconds(m);
        AMUN__CHECK(run_instr(m, instr));
        dnnl_stream_wait(m->stream);
        if (instr->pass > 0) {
            seconds[instr->pass - 1] += amun__dnnl_seconds(m) - began;
        }
    }
    return AMUN_OK;
}

amun_status amun__dnnl_time(amun__dnnl_plan *m, double seconds[AMUN__DNNL_DIRECTIONS])
{
    memset(seconds, 0, AMUN__DNNL_DIRECTIONS * sizeof *seconds);
    AMUN__CHECK(prepare(m));
    if (amun__mode_trains(m->plan->mode)) {
        AMUN__CHECK(bind_grads(m, NULL));
        AMUN__CHECK(time_list(m, &m->code.pack, seconds));
    }
    made_up(amun__code_pointer(&m->code, m->input), node_floats(m, 0));
    AMUN__CHECK(time_list(m, &m->code.forward, seconds));
    if (m->plan->mode != AMUN__MODE_INFER) {
        made_up(amun__code_pointer(&m->code, m->diff_logits),
                node_floats(m, m->plan->graph->node_count - 1));
        AMUN__CHECK(time_list(m, &m->code.backward, seconds));
    }
    return AMUN_OK;
}

const amun__backend amun__backend_dnnl = {
    .name = "onednn",
    .create = plan_create,
    .forward = plan_forward,
    .backward = plan_backward,
    .statistics = plan_statistics,
    .destroy = amun__dnnl_close,
};
