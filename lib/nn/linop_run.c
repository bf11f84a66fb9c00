/* linop_run.c - using linear maps: checks, then the loops, BLAS or primitives of each kind. */
#include "nn/linop_private.h"

#include "core/linalg.h"
#include "nn/linop_code.h"

static amun_status check_call(const amun__linop *op, int64_t k, bool wide)
{
    if (amun__linop_is_f64(op) != wide) {
        return amun__fail(AMUN_ERROR_STATE, "the linear map holds %ss, the vectors are %ss",
                          wide ? "float" : "double", wide ? "double" : "float");
    }
    if (k < 1 || k > op->max_block) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "a block has %lld vectors, must be in [1, %lld]", (long long)k,
                          (long long)op->max_block);
    }
    return AMUN_OK;
}

/* ---- apply and adjoint ----------------------------------------------------------------------- */

static bool uses_blas(const amun__linop *op)
{
    return op->kind == AMUN__LINOP_LINEAR && op->backend == AMUN__LINOP_DNNL;
}

#ifdef AMUN_WITH_DNNL
/* As amun__linop_rows_run(). */
static amun_status run_conv(amun__linop *op, int64_t k, const float *x, float *y, float *z)
{
    switch (amun__linop_code_for(op->ctx, &op->shape, k)) {
    case AMUN__LINOP_CODE_ROWS:
        return amun__linop_rows_run(op, k, x, y, z);
    case AMUN__LINOP_CODE_WINOGRAD:
        return amun__linop_winograd_run(op, k, x, y, z);
    case AMUN__LINOP_CODE_DNNL:
        break;
    }
    return x == NULL   ? amun__dnnl_linop_adjoint(op, k, y, z)
           : z == NULL ? amun__dnnl_linop_apply(op, k, x, y)
                       : amun__dnnl_linop_gram(op, k, x, y, z);
}
#endif

/* Anything but a chain. */
static amun_status run_part(amun__linop *op, bool adjoint, int64_t k, const void *from, void *to)
{
#ifdef AMUN_WITH_DNNL
    if (op->dnnl != NULL) {
        return adjoint ? run_conv(op, k, NULL, (float *)(uintptr_t)from, to)
                       : run_conv(op, k, from, to, NULL);
    }
#endif
    if (uses_blas(op)) {
        const int64_t in = (int64_t)op->in, out = (int64_t)op->out;
        return amun__gemm_f32(false, !adjoint, k, adjoint ? in : out, adjoint ? out : in, 1.0, from,
                              op->weights, 0.0, to);
    }
    if (amun__linop_is_f64(op)) {
        amun__linop_ref_f64(op, adjoint, k, from, to);
    } else {
        amun__linop_ref_f32(op, adjoint, k, from, to);
    }
    return AMUN_OK;
}

static amun_status run(amun__linop *op, bool adjoint, int64_t k, const void *from, void *to)
{
    if (op->kind != AMUN__LINOP_CHAIN) {
        return run_part(op, adjoint, k, from, to);
    }
    for (int32_t i = 0; i < op->part_count; i++) {
        int32_t at = adjoint ? op->part_count - 1 - i : i;
        void *target = i == op->part_count - 1 ? to : op->between[i % 2];
        AMUN__CHECK(run_part(op->parts[at], adjoint, k, from, target));
        from = target;
    }
    return AMUN_OK;
}

amun_status amun__linop_apply(amun__linop *op, int64_t k, const float *x, float *y)
{
    AMUN__CHECK(check_call(op, k, false));
    return run(op, false, k, x, y);
}

amun_status amun__linop_adjoint(amun__linop *op, int64_t k, const float *y, float *x)
{
    AMUN__CHECK(check_call(op, k, false));
    return run(op, true, k, y, x);
}

amun_status amun__linop_apply_f64(amun__linop *op, int64_t k, const double *x, double *y)
{
    AMUN__CHECK(check_call(op, k, true));
    return run(op, false, k, x, y);
}

amun_status amun__linop_adjoint_f64(amun__linop *op, int64_t k, const double *y, double *x)
{
    AMUN__CHECK(check_call(op, k, true));
    return run(op, true, k, y, x);
}

/* ---- both ------------------------------------------------------------------------------------ */

/* Where M x goes when the caller does not want it. */
static amun_status gram(amun__linop *op, int64_t k, const void *x, void *y, void *z)
{
    void *own = NULL;
    amun_status status;
    if (y == NULL) {
        AMUN__CHECK(amun__alloc(op->ctx, &own, (size_t)k * op->out, amun__linop_value_size(op)));
        y = own;
    }
    AMUN__TRY(run(op, false, k, x, y));
    AMUN__TRY(run(op, true, k, y, z));
fail:
    amun__free(op->ctx, own);
    return status;
}

amun_status amun__linop_gram(amun__linop *op, int64_t k, const float *x, float *y, float *z)
{
    AMUN__CHECK(check_call(op, k, false));
#ifdef AMUN_WITH_DNNL
    if (op->dnnl != NULL) {
        return run_conv(op, k, x, y, z);
    }
#endif
    return gram(op, k, x, y, z);
}

amun_status amun__linop_gram_f64(amun__linop *op, int64_t k, const double *x, double *y, double *z)
{
    AMUN__CHECK(check_call(op, k, true));
    return gram(op, k, x, y, z);
}

/* ---- weight gradients ------------------------------------------------------------------------ */

static amun_status check_gradient(const amun__linop *op)
{
    if (op->kind != AMUN__LINOP_CONV2D && op->kind != AMUN__LINOP_LINEAR) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "a linear map of kind %d has no gradient of its weights", (int)op->kind);
    }
    return AMUN_OK;
}

amun_status amun__linop_weight_grad(amun__linop *op, int64_t k, const float *x, const float *r,
                                    float *diff_weights)
{
    AMUN__CHECK(check_call(op, k, false));
    AMUN__CHECK(check_gradient(op));
#ifdef AMUN_WITH_DNNL
    if (op->dnnl != NULL) {
        return amun__dnnl_linop_weight_grad(op, k, x, r, diff_weights);
    }
#endif
    if (uses_blas(op)) {
        return amun__gemm_f32(true, false, (int64_t)op->out, (int64_t)op->in, k, 1.0, r, x, 0.0,
                              diff_weights);
    }
    amun__linop_ref_grad_f32(op, k, x, r, diff_weights);
    return AMUN_OK;
}

amun_status amun__linop_weight_grad_f64(amun__linop *op, int64_t k, const double *x,
                                        const double *r, double *diff_weights)
{
    AMUN__CHECK(check_call(op, k, true));
    AMUN__CHECK(check_gradient(op));
    amun__linop_ref_grad_f64(op, k, x, r, diff_weights);
    return AMUN_OK;
}
