/* dnnl_shim.h - one set of calls for the C APIs of oneDNN v2 and v3. Included by
 * dnnl_impl.h alone, after oneDNN's own header. Memory descriptors live in a pool and are named by
 * number, so that v2's structs and v3's owned pointers look the same. */
#ifndef AMUN__DNNL_SHIM_H
#define AMUN__DNNL_SHIM_H

#include "core/core.h"

/* v2 counts the shift among the inputs of batch norm's backward, v3 refuses it. */
#define SHIM_BATCHNORM_BACKWARD_SHIFT (DNNL_VERSION_MAJOR < 3)

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t shim_cmd;
#else
typedef const dnnl_memory_desc_t *shim_cmd;
#endif

typedef struct shim_pool {
    dnnl_memory_desc_t *items;
    int32_t count, capacity;
} shim_pool;

static inline shim_cmd shim_md(const shim_pool *pool, int32_t md)
{
    if (md < 0) {
        return NULL;
    }
#if DNNL_VERSION_MAJOR >= 3
    return pool->items[md];
#else
    return &pool->items[md];
#endif
}

static inline amun_status shim_pool_grow(shim_pool *pool, amun_context *ctx)
{
    if (pool->count < pool->capacity) {
        return AMUN_OK;
    }
    int32_t capacity = pool->capacity == 0 ? 64 : pool->capacity * 2;
    AMUN__CHECK(amun__realloc(ctx, &pool->items, (size_t)capacity, sizeof *pool->items));
    pool->capacity = capacity;
    return AMUN_OK;
}

static inline void shim_pool_free(shim_pool *pool, amun_context *ctx)
{
#if DNNL_VERSION_MAJOR >= 3
    for (int32_t i = 0; i < pool->count; i++) {
        dnnl_memory_desc_destroy(pool->items[i]);
    }
#endif
    amun__free(ctx, pool->items);
    memset(pool, 0, sizeof *pool);
}

static inline dnnl_status_t shim_md_tag(dnnl_memory_desc_t *md, int ndims, const int64_t *dims,
                                        dnnl_format_tag_t tag)
{
    dnnl_dims_t full = {0}; /* the API's parameter has this length */
    memcpy(full, dims, (size_t)ndims * sizeof *dims);
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(md, ndims, full, dnnl_f32, tag);
#else
    return dnnl_memory_desc_init_by_tag(md, ndims, full, dnnl_f32, tag);
#endif
}

static inline dnnl_status_t shim_md_clone(dnnl_memory_desc_t *md, shim_cmd source)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_clone(md, source);
#else
    *md = *source;
    return dnnl_success;
#endif
}

static inline shim_cmd shim_query_md(const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

/* Number of dimensions and the dimensions themselves, borrowed. */
static inline int shim_md_dims(shim_cmd md, const dnnl_dim_t **dims)
{
#if DNNL_VERSION_MAJOR >= 3
    int ndims = 0;
    return dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &ndims) == dnnl_success &&
                   dnnl_memory_desc_query(md, dnnl_query_dims, (void *)dims) == dnnl_success
               ? ndims
               : 0;
#else
    *dims = md->dims;
    return md->ndims;
#endif
}

/* A new descriptor at the end of the pool: a plain one by its tag, or one that a primitive has. */
static inline amun_status shim_pool_tag(shim_pool *pool, amun_context *ctx, int32_t *out, int ndims,
                                        const int64_t *dims, dnnl_format_tag_t tag)
{
    AMUN__CHECK(shim_pool_grow(pool, ctx));
    dnnl_status_t status = shim_md_tag(&pool->items[pool->count], ndims, dims, tag);
    if (status != dnnl_success) {
        return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: memory descriptor: status %d", (int)status);
    }
    *out = pool->count++;
    return AMUN_OK;
}

static inline amun_status shim_pool_query(shim_pool *pool, amun_context *ctx, int32_t *out,
                                          const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    AMUN__CHECK(shim_pool_grow(pool, ctx));
    shim_cmd md = shim_query_md(pd, what);
    if (md == NULL || shim_md_clone(&pool->items[pool->count], md) != dnnl_success) {
        return amun__fail(AMUN_ERROR_BACKEND, "oneDNN: a primitive has no descriptor %d",
                          (int)what);
    }
    *out = pool->count++;
    return AMUN_OK;
}

/* The CPU, and attributes that ask for the user's scratchpad. */
static inline amun_status shim_open(dnnl_engine_t *engine, dnnl_stream_t *stream,
                                    dnnl_primitive_attr_t *attr)
{
    dnnl_status_t status = dnnl_engine_create(engine, dnnl_cpu, 0);
    if (status == dnnl_success) {
        status = dnnl_stream_create(stream, *engine, dnnl_stream_default_flags);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_create(attr);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    }
    return status == dnnl_success
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_BACKEND, "oneDNN: engine: status %d", (int)status);
}

static inline dnnl_status_t shim_append_relu(dnnl_post_ops_t ops)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0f, 0.0f);
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
#endif
}

static inline dnnl_status_t shim_append_sum(dnnl_post_ops_t ops)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(ops, 1.0f);
#endif
}

/* What all three directions of a convolution, inner product or pooling share. Unused descriptors
 * are NULL; dilation counts the holes (0 = dense), as in oneDNN. */
typedef struct shim_op {
    dnnl_engine_t engine;
    dnnl_primitive_attr_t attr;
    dnnl_prop_kind_t prop;
    dnnl_alg_kind_t alg;
    shim_cmd src, weights, bias, dst; /* diff_* in backward */
    dnnl_dims_t kernel, strides, dilates, pad_l, pad_r;
    const_dnnl_primitive_desc_t hint;
    float eps;
    unsigned flags;
} shim_op;

#if DNNL_VERSION_MAJOR < 3
static inline dnnl_status_t shim_finish(dnnl_primitive_desc_t *pd, const shim_op *op,
                                        const void *desc)
{
    return dnnl_primitive_desc_create(pd, desc, op->attr, op->engine, op->hint);
}
#endif

static inline dnnl_status_t shim_conv_forward(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_forward_primitive_desc_create(
        pd, op->engine, op->prop, op->alg, op->src, op->weights, op->bias, op->dst, op->strides,
        op->dilates, op->pad_l, op->pad_r, op->attr);
#else
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &desc, op->prop, op->alg, op->src, op->weights, op->bias, op->dst, op->strides, op->dilates,
        op->pad_l, op->pad_r);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_conv_backward_data(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_data_primitive_desc_create(
        pd, op->engine, op->alg, op->src, op->weights, op->dst, op->strides, op->dilates, op->pad_l,
        op->pad_r, op->hint, op->attr);
#else
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &desc, op->alg, op->src, op->weights, op->dst, op->strides, op->dilates, op->pad_l,
        op->pad_r);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_conv_backward_weights(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, op->engine, op->alg, op->src, op->weights, op->bias, op->dst, op->strides, op->dilates,
        op->pad_l, op->pad_r, op->hint, op->attr);
#else
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
        &desc, op->alg, op->src, op->weights, op->bias, op->dst, op->strides, op->dilates,
        op->pad_l, op->pad_r);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_linear_forward(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_inner_product_forward_primitive_desc_create(
        pd, op->engine, op->prop, op->src, op->weights, op->bias, op->dst, op->attr);
#else
    dnnl_inner_product_desc_t desc;
    dnnl_status_t status = dnnl_inner_product_forward_desc_init(&desc, op->prop, op->src,
                                                                op->weights, op->bias, op->dst);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_linear_backward_data(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_inner_product_backward_data_primitive_desc_create(
        pd, op->engine, op->src, op->weights, op->dst, op->hint, op->attr);
#else
    dnnl_inner_product_desc_t desc;
    dnnl_status_t status =
        dnnl_inner_product_backward_data_desc_init(&desc, op->src, op->weights, op->dst);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_linear_backward_weights(dnnl_primitive_desc_t *pd,
                                                         const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_inner_product_backward_weights_primitive_desc_create(
        pd, op->engine, op->src, op->weights, op->bias, op->dst, op->hint, op->attr);
#else
    dnnl_inner_product_desc_t desc;
    dnnl_status_t status = dnnl_inner_product_backward_weights_desc_init(
        &desc, op->src, op->weights, op->bias, op->dst);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_batchnorm_forward(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_batch_normalization_forward_primitive_desc_create(
        pd, op->engine, op->prop, op->src, op->dst, op->eps, op->flags, op->attr);
#else
    dnnl_batch_normalization_desc_t desc;
    dnnl_status_t status =
        dnnl_batch_normalization_forward_desc_init(&desc, op->prop, op->src, op->eps, op->flags);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

/* dst: descriptor of both gradients. */
static inline dnnl_status_t shim_batchnorm_backward(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_batch_normalization_backward_primitive_desc_create(
        pd, op->engine, op->prop, op->dst, op->dst, op->src, op->eps, op->flags, op->hint,
        op->attr);
#else
    dnnl_batch_normalization_desc_t desc;
    dnnl_status_t status = dnnl_batch_normalization_backward_desc_init(&desc, op->prop, op->dst,
                                                                       op->src, op->eps, op->flags);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_pool_forward(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_pooling_forward_primitive_desc_create(pd, op->engine, op->prop, op->alg, op->src,
                                                      op->dst, op->strides, op->kernel, op->dilates,
                                                      op->pad_l, op->pad_r, op->attr);
#else
    dnnl_pooling_desc_t desc;
    dnnl_status_t status = dnnl_pooling_forward_desc_init(
        &desc, op->prop, op->alg, op->src, op->dst, op->strides, op->kernel, op->pad_l, op->pad_r);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

static inline dnnl_status_t shim_pool_backward(dnnl_primitive_desc_t *pd, const shim_op *op)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_pooling_backward_primitive_desc_create(pd, op->engine, op->alg, op->src, op->dst,
                                                       op->strides, op->kernel, op->dilates,
                                                       op->pad_l, op->pad_r, op->hint, op->attr);
#else
    dnnl_pooling_desc_t desc;
    dnnl_status_t status = dnnl_pooling_backward_desc_init(
        &desc, op->alg, op->src, op->dst, op->strides, op->kernel, op->pad_l, op->pad_r);
    return status != dnnl_success ? status : shim_finish(pd, op, &desc);
#endif
}

#endif
