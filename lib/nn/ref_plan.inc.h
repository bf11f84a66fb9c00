/* ref_plan.inc.h - the backend's entry points over ref_kernels.inc.h; included like it. */

static void R(destroy)(amun__plan *plan)
{
    ref_impl *impl = plan->impl;
    if (impl == NULL) {
        return;
    }
    for (int32_t i = 0; i < plan->graph->node_count; i++) {
        amun__free(plan->ctx, impl->out != NULL ? impl->out[i] : NULL);
        amun__free(plan->ctx, impl->diff != NULL ? impl->diff[i] : NULL);
        amun__free(plan->ctx, impl->mean != NULL ? impl->mean[i] : NULL);
        amun__free(plan->ctx, impl->var != NULL ? impl->var[i] : NULL);
    }
    amun__free(plan->ctx, impl->out);
    amun__free(plan->ctx, impl->diff);
    amun__free(plan->ctx, impl->mean);
    amun__free(plan->ctx, impl->var);
    amun__free(plan->ctx, impl->values);
    amun__free(plan->ctx, impl->diff_values);
    amun__free(plan->ctx, impl);
    plan->impl = NULL;
}

static amun_status R(create_node)(amun__plan *plan, ref_impl *impl, int32_t index)
{
    const amun__node *node = &plan->graph->nodes[index];
    size_t count;
    AMUN__CHECK(plan_elements(plan, node, &count));
    AMUN__CHECK(ref_calloc(plan, &impl->out[index], count, sizeof(real)));
    if (plan->mode != AMUN__MODE_INFER) {
        AMUN__CHECK(ref_calloc(plan, &impl->diff[index], count, sizeof(real)));
    }
    if (node->kind == AMUN__NODE_BATCHNORM) {
        AMUN__CHECK(ref_calloc(plan, &impl->mean[index], (size_t)node->channels, sizeof(double)));
        AMUN__CHECK(ref_calloc(plan, &impl->var[index], (size_t)node->channels, sizeof(double)));
    }
    return AMUN_OK;
}

/* On failure the caller destroys what is there. */
static amun_status R(create)(amun__plan *plan)
{
    size_t nodes = (size_t)plan->graph->node_count;
    plan->impl = NULL;
    AMUN__CHECK(ref_calloc(plan, &plan->impl, 1, sizeof(ref_impl)));
    ref_impl *impl = plan->impl;
    AMUN__CHECK(ref_calloc(plan, &impl->out, nodes, sizeof *impl->out));
    AMUN__CHECK(ref_calloc(plan, &impl->diff, nodes, sizeof *impl->diff));
    AMUN__CHECK(ref_calloc(plan, &impl->mean, nodes, sizeof *impl->mean));
    AMUN__CHECK(ref_calloc(plan, &impl->var, nodes, sizeof *impl->var));
    AMUN__CHECK(ref_calloc(plan, &impl->values, plan->graph->total, sizeof(real)));
    if (amun__mode_trains(plan->mode)) {
        AMUN__CHECK(ref_calloc(plan, &impl->diff_values, plan->graph->trainable, sizeof(real)));
    }
    for (int32_t i = 0; i < plan->graph->node_count; i++) {
        AMUN__CHECK(R(create_node)(plan, impl, i));
    }
    return AMUN_OK;
}

static amun_status R(forward)(amun__plan *plan, const float *src, float *dst)
{
    ref_impl *impl = plan->impl;
    const amun_graph *graph = plan->graph;
    int32_t last = graph->node_count - 1;
    for (size_t i = 0; i < graph->total; i++) {
        impl->values[i] = (real)plan->params->values[i];
    }
    for (int64_t i = 0; i < plan->batch * node_size(&graph->nodes[0]); i++) {
        impl->out[0][i] = (real)src[i];
    }
    for (int32_t i = 1; i < graph->node_count; i++) {
        R(run_node)(plan, i, false);
    }
    for (int64_t i = 0; i < plan->batch * node_size(&graph->nodes[last]); i++) {
        dst[i] = (float)impl->out[last][i];
    }
    return AMUN_OK;
}

static amun_status R(backward)(amun__plan *plan, const float *diff_dst, float *diff_src,
                               float *diff_params)
{
    ref_impl *impl = plan->impl;
    const amun_graph *graph = plan->graph;
    int32_t last = graph->node_count - 1;
    AMUN__CHECK(backward_allowed(plan, diff_params));
    for (int32_t i = 0; i < graph->node_count; i++) {
        memset(impl->diff[i], 0,
               (size_t)(plan->batch * node_size(&graph->nodes[i])) * sizeof(real));
    }
    if (amun__mode_trains(plan->mode)) {
        memset(impl->diff_values, 0, graph->trainable * sizeof(real));
    }
    for (int64_t i = 0; i < plan->batch * node_size(&graph->nodes[last]); i++) {
        impl->diff[last][i] = (real)diff_dst[i];
    }
    for (int32_t i = last; i > 0; i--) {
        R(run_node)(plan, i, true);
    }
    for (int64_t i = 0; i < plan->batch * node_size(&graph->nodes[0]) && diff_src != NULL; i++) {
        diff_src[i] = (float)impl->diff[0][i];
    }
    for (size_t i = 0; i < graph->trainable && diff_params != NULL; i++) {
        diff_params[i] = (float)impl->diff_values[i];
    }
    return AMUN_OK;
}

static amun_status R(statistics)(amun__plan *plan, int32_t node, float *mean, float *variance)
{
    const ref_impl *impl = plan->impl;
    for (int64_t c = 0; c < plan->graph->nodes[node].channels; c++) {
        mean[c] = (float)impl->mean[node][c];
        variance[c] = (float)impl->var[node][c];
    }
    return AMUN_OK;
}
