/* curvature.h - second derivatives of the cross-entropy in train mode, along a direction of the
 * images. Private. */
#ifndef AMUN__CURVATURE_H
#define AMUN__CURVATURE_H

#include "nn/nn.h"

/* With L(x, theta) = sum_b weight_b CE_b of a whole batch in train mode and a direction v of x:
 * d/dr of grad_theta L(x + r v) and of grad_x L(x + r v) at r = 0, which is what PyTorch's double
 * backward gives of <grad_x L, v> with v held constant. Exact, forward over reverse (Pearlmutter
 * 1994): every value travels with its derivative along v, through the forward and the backward
 * pass. A ReLU and a max pool are what they are at x: no kink is differentiated. Running statistics
 * are neither read nor moved. One thread at a time. */
typedef struct amun__curvature amun__curvature;

/* For one model, whose values are read in each pass, and batches up to `batch`. Borrows the model.
 */
amun_status amun__curvature_open(amun__curvature **out, const amun_model *model, size_t batch);
void amun__curvature_close(amun__curvature *curvature); /* NULL is fine */
/* Bytes that a pass works in. Nothing is kept there between passes. */
size_t amun__curvature_bytes(const amun__curvature *curvature);

typedef struct amun__curvature_pass {
    size_t count;                    /* samples, at most `batch` */
    const float *images, *direction; /* [count][pixels] */
    const float *targets, *weights;  /* [count][classes], sums 1; [count], nullable */
    void *space;                     /* 64-byte aligned */
    double scale;
    float *diff;     /* [trainable]: scale * d/dr grad_theta L is added; nullable */
    float *diff_src; /* [count][pixels] <- scale * d/dr grad_x L; nullable */
} amun__curvature_pass;
amun_status amun__curvature_run(amun__curvature *curvature, const amun__curvature_pass *pass);

#endif
