/* curvature_private.h - a node at work in a pass of second derivatives. */
#ifndef AMUN__CURVATURE_PRIVATE_H
#define AMUN__CURVATURE_PRIVATE_H

#include "nn/curvature.h"
#include "nn/graph.h"

/* Rows come in pairs. Of a value: first the `count` derivatives along the direction, then the
 * `count` values. Of a gradient it is the other way round: so one weight gradient over all 2 *
 * count rows is the derivative of the weight gradient, by the product rule. */
typedef struct amun__pair_step {
    const amun__node *node, *src;
    int64_t count;
    const float *x;
    float *y;
    const float *dy;
    float *dx;      /* added to; NULL: not wanted */
    double *state;  /* batch norm: [channels][4], kept from forward to backward */
    int64_t offset; /* CONCAT: where this input starts in a row of the output */
} amun__pair_step;

void amun__pair_place(const amun__pair_step *s, bool add); /* y (+)= x: FLATTEN, ADD, CONCAT */
void amun__pair_place_backward(const amun__pair_step *s);
void amun__pair_relu(const amun__pair_step *s);
void amun__pair_relu_backward(const amun__pair_step *s);
void amun__pair_max_pool(const amun__pair_step *s);
void amun__pair_max_pool_backward(const amun__pair_step *s);
/* SCALE and NORMALISE: y = (x - mean) * factor, of which a derivative sees the factor alone. */
void amun__pair_affine(const amun__pair_step *s);
void amun__pair_affine_backward(const amun__pair_step *s);
void amun__pair_batchnorm(const amun__pair_step *s, const float *scale, const float *shift);
/* Adds `by` times the derivative to the gradients of scale and shift (nullable, both). */
void amun__pair_batchnorm_backward(const amun__pair_step *s, const float *scale, double by,
                                   float *diff_scale, float *diff_shift);
/* Bias of a convolution or dense layer, on the values alone; and its gradient. */
void amun__pair_bias(const amun__pair_step *s, const float *bias);
void amun__pair_bias_backward(const amun__pair_step *s, double by, float *diff_bias);
/* dy of the logits: softmax - target of each row, and (diag(p) - p p') dz beside it. */
void amun__pair_loss(const float *logits, const float *targets, const float *weights, size_t count,
                     size_t classes, float *dy);

#endif
