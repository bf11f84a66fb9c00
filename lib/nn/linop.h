/* linop.h - the linear map of one layer, without its bias: apply, adjoint and weight gradient for
 * blocks of k vectors. What spectral and ensemble code knows of the engine. Private. */
#ifndef AMUN__LINOP_H
#define AMUN__LINOP_H

#include "nn/nn.h"
#include "nn/padding.h"

typedef enum amun__linop_kind {
    AMUN__LINOP_CONV2D = 1, /* also conv + batch norm: see `scale` */
    AMUN__LINOP_LINEAR,     /* also linear + batch norm */
    AMUN__LINOP_DIAGONAL,   /* batch norm in evaluation mode, normalisation, constant factors */
    AMUN__LINOP_AVG_POOL,
    AMUN__LINOP_CHAIN /* composition, first operator first */
} amun__linop_kind;

typedef enum amun__linop_backend {
    AMUN__LINOP_BEST = 0, /* oneDNN where this build has it, else REF_F32 */
    AMUN__LINOP_DNNL,
    AMUN__LINOP_REF_F32,
    AMUN__LINOP_REF_F64 /* vectors and weights in double: for oracles and certificates */
} amun__linop_backend;

/* The largest kernel of a convolution, each way. */
#define AMUN__LINOP_MAX_KERNEL 64

/* Geometry. Images are [channels][height][width]; h before w; dilation 1 is dense. LINEAR: in =
 * [in][1][1], out = [out][1][1]. Fields that a kind does not use are ignored. */
typedef struct amun__linop_shape {
    int64_t in_channels, in_height, in_width;
    int64_t out_channels, out_height,
        out_width; /* heights and widths are computed by the constructor */
    int64_t kernel[2], stride[2], pad[2], dilation[2];
    int64_t groups;
    amun__padding padding;
} amun__linop_shape;

typedef struct amun__linop amun__linop;

/* weights: CONV2D [out][in / groups][kh][kw], LINEAR [out][in], copied at once. scale (nullable,
 * out_channels values): the map is diag(scale) * W, as in conv + batch norm with gamma / sqrt(var +
 * eps). `max_block`: the largest k of later calls (memory and primitives are made for it; any k up
 * to it is allowed). */
amun_status amun__linop_create_conv2d(amun__linop **out, amun_context *ctx,
                                      const amun__linop_shape *shape, const float *weights,
                                      const float *scale, int64_t max_block,
                                      amun__linop_backend backend);
amun_status amun__linop_create_linear(amun__linop **out, amun_context *ctx, int64_t in_features,
                                      int64_t out_features, const float *weights,
                                      const float *scale, int64_t max_block,
                                      amun__linop_backend backend);
/* One factor per channel of [channels][height][width], copied at once. */
amun_status amun__linop_create_diagonal(amun__linop **out, amun_context *ctx, int64_t channels,
                                        int64_t height, int64_t width, const float *factors,
                                        int64_t max_block, amun__linop_backend backend);
/* As in the graph: zeros of the padding count. Uses in_*, kernel, stride and pad of the shape. */
amun_status amun__linop_create_avg_pool(amun__linop **out, amun_context *ctx,
                                        const amun__linop_shape *shape, int64_t max_block,
                                        amun__linop_backend backend);
/* Takes the operators over, also when it fails. They must share a backend, fit end to end and not
 * be chains themselves. max_block is the smallest of theirs. */
amun_status amun__linop_create_chain(amun__linop **out, amun_context *ctx, amun__linop **parts,
                                     int32_t count);
/* What the map of a conv2d, linear, batchnorm, avg-pool, scale or normalise node of a model is made
 * of; UNSUPPORTED for others. Batch norm: gamma / sqrt(running_var + eps). fold_batchnorm: a conv
 * or linear whose only reader is a batch norm is taken together with it. Reads the model's values,
 * which stay the model's: the caller holds begin_read or begin_write until it closes the source. */
typedef struct amun__linop_source {
    amun_context *ctx;
    amun__linop_kind kind;
    amun__linop_shape shape; /* complete */
    const float *weights;    /* CONV2D, LINEAR: borrowed; NULL for others */
    size_t weight_count;
    double *factors; /* [out channels]: of the DIAGONAL, or the batch norm's; NULL: none */
    float *narrow;   /* the same */
} amun__linop_source;
amun_status amun__linop_source_open(amun__linop_source *source, const amun_model *model,
                                    int32_t node, bool fold_batchnorm);
void amun__linop_source_close(amun__linop_source *source); /* zeroed or closed is fine */
/* The batch norm that is the only reader of a node; -1: there is none. */
int32_t amun__linop_batchnorm_of(const amun_graph *graph, int32_t node);
amun_status amun__linop_create_source(amun__linop **out, const amun__linop_source *source,
                                      int64_t max_block, amun__linop_backend backend);
/* New weights for a map that was made from the same node. */
amun_status amun__linop_set_source(amun__linop *op, const amun__linop_source *source);
/* Source and map in one go. */
amun_status amun__linop_create_node(amun__linop **out, const amun_model *model, int32_t node,
                                    bool fold_batchnorm, int64_t max_block,
                                    amun__linop_backend backend);
/* The geometry of a conv2d or pooling node. */
amun__linop_shape amun__linop_node_shape(const amun_graph *graph, int32_t node);
/* A dense layer as a 1x1 convolution of one pixel. */
amun__linop_shape amun__linop_dense_shape(int64_t in, int64_t out);
void amun__linop_destroy(amun__linop *op); /* NULL is fine */
/* What M' M of k vectors takes with weights that have just changed, relative to other maps: to share
 * them out among threads. */
double amun__linop_cost(const amun_context *ctx, const amun__linop_shape *shape, int64_t k);

/* New weights and scale for the same geometry (CONV2D, LINEAR; DIAGONAL: factors as weights, and
 * `scale` multiplies them). UNSUPPORTED for other kinds. */
amun_status amun__linop_set_weights(amun__linop *op, const float *weights, const float *scale);
/* The same, without a copy where there is no scale: `weights` stay the caller's, must stay where they
 * are, and may change only if they are lent or set again before the map is used. */
amun_status amun__linop_lend_weights(amun__linop *op, const float *weights, const float *scale);
/* From double, for REF_F64 only: nothing is rounded. */
amun_status amun__linop_set_weights_f64(amun__linop *op, const double *weights,
                                        const double *scale);

amun__linop_kind amun__linop_kind_of(const amun__linop *op);
const amun__linop_shape *amun__linop_shape_of(const amun__linop *op);
size_t amun__linop_in(const amun__linop *op);           /* values of one input vector */
size_t amun__linop_out(const amun__linop *op);          /* values of one output vector */
size_t amun__linop_weight_count(const amun__linop *op); /* 0: nothing to set */
int64_t amun__linop_max_block(const amun__linop *op);
bool amun__linop_is_f64(const amun__linop *op);

/* y[k][out] = M x[k][in]; x[k][in] = M' y[k][out]. Dense, not overlapping. The f32 forms need an
 * f32 operator, the f64 forms a REF_F64 one (STATE otherwise). One thread at a time. */
amun_status amun__linop_apply(amun__linop *op, int64_t k, const float *x, float *y);
amun_status amun__linop_adjoint(amun__linop *op, int64_t k, const float *y, float *x);
amun_status amun__linop_apply_f64(amun__linop *op, int64_t k, const double *x, double *y);
amun_status amun__linop_adjoint_f64(amun__linop *op, int64_t k, const double *y, double *x);
/* z = M' M x in one go, and y = M x on the way (nullable): the same values as apply and adjoint,
 * without the detour through the plain order in between. */
amun_status amun__linop_gram(amun__linop *op, int64_t k, const float *x, float *y, float *z);
amun_status amun__linop_gram_f64(amun__linop *op, int64_t k, const double *x, double *y, double *z);
/* diff_weights = d/dW sum_i <W x_i, r_i>, in the layout of the weights, without `scale` (for
 * diag(scale) W pass scale * r). CONV2D and LINEAR only. */
amun_status amun__linop_weight_grad(amun__linop *op, int64_t k, const float *x, const float *r,
                                    float *diff_weights);
amun_status amun__linop_weight_grad_f64(amun__linop *op, int64_t k, const double *x,
                                        const double *r, double *diff_weights);

#endif
