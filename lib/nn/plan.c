/* plan.c - a graph compiled for one batch size and mode: checks, then the backend's own code. */
#include "nn/graph.h"

static const amun__backend *default_backend(void)
{
#ifdef AMUN_WITH_DNNL
    return &amun__backend_dnnl;
#else
    return &amun__backend_ref;
#endif
}

/* The plain C backend is direct and f32. */
static amun_status check_choices(const amun_context *ctx, int32_t precision)
{
#ifndef AMUN_WITH_DNNL
    if (precision == AMUN_PRECISION_BF16) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "precision bf16 is asked for: this build has no oneDNN");
    }
    if (amun__context_conv(ctx) > AMUN_CONV_DIRECT) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "Winograd convolutions are asked for: this build has no oneDNN");
    }
#endif
    (void)ctx, (void)precision;
    return AMUN_OK;
}

/* Predictions stay f32: nothing waits there for a way back, so that bf16 would save nothing. */
static int32_t precision_of(const amun_context *ctx, amun__mode mode)
{
    return mode == AMUN__MODE_INFER ? AMUN_PRECISION_F32 : amun__context_precision(ctx);
}

amun_status amun__plan_create(amun__plan **out, amun_context *ctx, const amun__params *params,
                              int64_t batch, amun__mode mode, const amun__backend *backend)
{
    amun__plan *plan = NULL;
    *out = NULL;
    if (backend == NULL) {
        AMUN__CHECK(check_choices(ctx, precision_of(ctx, mode)));
    }
    AMUN__CHECK(amun__calloc(ctx, &plan, 1, sizeof *plan));
    plan->ctx = ctx;
    plan->bytes = amun__block_bytes(plan);
    plan->backend = backend != NULL ? backend : default_backend();
    plan->graph = params->graph;
    plan->params = params;
    plan->batch = batch;
    plan->mode = mode;
    plan->threads = amun__threads_count(ctx);
    plan->precision = precision_of(ctx, mode);
    amun_status status = plan->backend->create(plan);
    if (status != AMUN_OK) {
        amun__plan_destroy(plan);
        return status;
    }
    *out = plan;
    return AMUN_OK;
}

void amun__plan_destroy(amun__plan *plan)
{
    if (plan != NULL) {
        plan->backend->destroy(plan);
        amun__free(plan->ctx, plan);
    }
}

amun_status amun__plan_forward(amun__plan *plan, const float *src, float *dst)
{
    plan->has_forward = 0;
    AMUN__CHECK(plan->backend->forward(plan, src, dst));
    plan->has_forward = 1;
    return AMUN_OK;
}

amun_status amun__plan_backward(amun__plan *plan, const float *diff_dst, float *diff_src,
                                float *diff_params)
{
    if (plan->mode == AMUN__MODE_INFER || !plan->has_forward ||
        (diff_params != NULL && !amun__mode_trains(plan->mode))) {
        return amun__fail(AMUN_ERROR_INTERNAL,
                          "backward asked of a plan that cannot do it (mode %d)", (int)plan->mode);
    }
    plan->has_forward = 0; /* buffers are shared: one backward per forward */
    return plan->backend->backward(plan, diff_dst, diff_src, diff_params);
}

amun__mode amun__plan_mode(const amun__plan *plan)
{
    return plan->mode;
}

int64_t amun__plan_batch(const amun__plan *plan)
{
    return plan->batch;
}
