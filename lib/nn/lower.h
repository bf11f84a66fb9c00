/* lower.h - a graph as a list of fused steps, and memory whose lifetimes are known in advance. */
#ifndef AMUN__LOWER_H
#define AMUN__LOWER_H

#include "nn/graph.h"

/* One fused operation. A value is named by the node whose output it is. */
typedef struct amun__step {
    amun__node_kind kind;
    int32_t node; /* the node that gives geometry and parameters */
    int32_t inputs[AMUN__NODE_MAX_INPUTS];
    int32_t input_count;
    int32_t value;        /* what this step produces: dst = relu(op(inputs) * factor + sum) */
    int32_t bn;           /* conv/linear: batch norm folded into the weights, or -1 */
    double factor;        /* conv/linear: into the weights; add: of the sum */
    int32_t sum;          /* conv/linear: value added before the ReLU, or -1 */
    int32_t sum_in_place; /* nobody needs `sum` afterwards: dst may take its memory */
    int32_t relu;
} amun__step;

typedef struct amun__program {
    amun__step *steps;
    int32_t count;
    int32_t *producer; /* per node: the step that makes its value; -1: input or fused away */
    int32_t *last_use; /* per node: the last step that reads its value; -1: none */
    int32_t *uses;     /* per node: number of steps that read its value */
} amun__program;

/* infer, attack: batch norm, constant factors, residual sums and ReLU go into the convolution;
 * train: ReLU goes into batch norm, add, convolution. */
amun_status amun__lower(amun__program *out, amun_context *ctx, const amun_graph *graph,
                        amun__mode mode);
void amun__lower_free(amun__program *program, amun_context *ctx);

/* ---- arena ---------------------------------------------------------------------------------- */

typedef struct amun__slot {
    size_t bytes, offset;
    int32_t first, last; /* first and last moment of use, inclusive */
    int32_t bf16;        /* whether bf16 lies there: dnnl_bf16.c decides */
} amun__slot;

typedef struct amun__arena {
    amun__slot *slots;
    int32_t count, capacity;
    size_t bytes; /* of the whole arena, once planned */
} amun__arena;

amun_status amun__arena_add(amun__arena *arena, amun_context *ctx, int32_t *index, size_t bytes,
                            int32_t first, int32_t last);
void amun__arena_extend(amun__arena *arena, int32_t index, int32_t first, int32_t last);
/* Offsets such that slots alive at the same moment do not overlap (largest first, lowest gap). */
amun_status amun__arena_plan(amun__arena *arena, amun_context *ctx);
void amun__arena_free(amun__arena *arena, amun_context *ctx);

/* ---- elementwise kernels (kernels.c); arrays of n floats, any common layout ----------------- */

void amun__kernel_relu(float *x, size_t n); /* x = max(x, 0) */
void amun__kernel_relu_to(float *dst, const float *src, size_t n);
void amun__kernel_mask(float *diff, const float *dst, size_t n); /* diff *= dst > 0 */
void amun__kernel_add(float *dst, const float *src, size_t n);   /* dst += src */
/* dst = factor * (a + b), then ReLU if asked. dst may be a or b. */
void amun__kernel_add_to(float *dst, const float *a, const float *b, double factor, int32_t relu,
                         size_t n);
void amun__kernel_scale(float *dst, const float *src, double factor, size_t n);
void amun__kernel_copy(float *dst, const float *src, size_t n);

/* `planes` images of [height][width][inner] floats: inner is 1 in NCHW, the block in blocked
 * layouts, all channels in NHWC. */
typedef struct amun__frame {
    size_t planes, inner;
    int64_t height, width, pad[2];
    amun__padding padding;
} amun__frame;
/* dst: [height + 2 pad][width + 2 pad], `src` in the middle, the rest from the padding map. */
void amun__kernel_pad(float *dst, const float *src, const amun__frame *frame);
/* Its adjoint: dst [height][width] gets the sum of all places that pad() copied it to. */
void amun__kernel_unpad(float *dst, const float *src, const amun__frame *frame);

#endif
