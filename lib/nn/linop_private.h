/* linop_private.h - the linear map handle, for the files that implement it. */
#ifndef AMUN__LINOP_PRIVATE_H
#define AMUN__LINOP_PRIVATE_H

#include "nn/linop.h"

struct amun__linop {
    amun_context *ctx;
    amun__linop_kind kind;
    amun__linop_backend backend; /* never BEST */
    amun__linop_shape shape;
    size_t in, out;
    int64_t max_block;
    /* float, or double with REF_F64, with the scale multiplied in. CONV2D, LINEAR: the layout of
     * the caller's; DIAGONAL: factors; AVG_POOL: one window of 1 / area. In `own`, or lent. */
    const void *weights;
    void *own;
    size_t weight_count;
    size_t scale_stride; /* weights that share one entry of `scale` */
    uint64_t version;    /* of the weights */
    /* CONV2D, AVG_POOL: the row (column) of the image that tap t of output o reads, at
     * [o * kernel + t]; -1: zero padding. */
    int64_t *taps[2];
    struct amun__dnnl_linop *dnnl; /* CONV2D on oneDNN */
    struct amun__linop_rows *rows; /* CONV2D by rows of the weights */
    struct amun__linop_winograd *winograd;
    amun__linop **parts;           /* CHAIN */
    int32_t part_count;
    void *between[2]; /* CHAIN: max_block intermediate vectors each */
};

size_t amun__linop_value_size(const amun__linop *op); /* bytes of one value */

/* Plain loops (linop_ref.c). */
void amun__linop_ref_f32(const amun__linop *op, bool adjoint, int64_t k, const float *from,
                         float *to);
void amun__linop_ref_f64(const amun__linop *op, bool adjoint, int64_t k, const double *from,
                         double *to);
void amun__linop_ref_grad_f32(const amun__linop *op, int64_t k, const float *x, const float *r,
                              float *diff_weights);
void amun__linop_ref_grad_f64(const amun__linop *op, int64_t k, const double *x, const double *r,
                              double *diff_weights);

/* Convolutions on oneDNN (dnnl_linop.c): fills and empties op->dnnl. */
amun_status amun__dnnl_linop_create(amun__linop *op);
void amun__dnnl_linop_destroy(amun__linop *op);
amun_status amun__dnnl_linop_apply(amun__linop *op, int64_t k, const float *x, float *y);
amun_status amun__dnnl_linop_adjoint(amun__linop *op, int64_t k, const float *y, float *x);
amun_status amun__dnnl_linop_gram(amun__linop *op, int64_t k, const float *x, float *y, float *z);
amun_status amun__dnnl_linop_weight_grad(amun__linop *op, int64_t k, const float *x, const float *r,
                                         float *diff_weights);

#endif
