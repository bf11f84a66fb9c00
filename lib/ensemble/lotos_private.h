/* lotos_private.h - the LOTOS term's layers and working memory, for the files that implement it. */
#ifndef AMUN__LOTOS_PRIVATE_H
#define AMUN__LOTOS_PRIVATE_H

#include "ensemble/lotos.h"
#include "nn/linop.h"
#include "spectral/powerqr.h"

/* A linear map whose vectors are kept: a layer, or a layer and its batch norm. */
typedef struct lotos_map {
    amun__linop *op;
    amun__powerqr *power;
    float *saved;
    char name[48];
} lotos_map;

typedef struct lotos_layer {
    const amun__lotos_layer *at;
    amun_model *model;
    const float *weight, *gamma, *var; /* in the model's values; the last two of a batch norm */
    size_t offset, gamma_offset;       /* the same in its gradient */
    size_t channels, plane;            /* of the output */
    double eps;                        /* of the batch norm */
    size_t *partners, partner_count;
    lotos_map plain, folded; /* plain.op is always there */
    int32_t part;
    double value; /* of the terms into it, at the last amun__lotos_add() */
} lotos_layer;

/* What one thread needs: largest of its layers. */
typedef struct lotos_part {
    float *stack, *image, *pull; /* vectors of all partners, what becomes of them, the seed */
    float *gradient;             /* of one layer's weights */
    double *q;                   /* sqrt(var + eps) per channel */
    float *scale;                /* gamma / q */
} lotos_part;

/* One of the two terms. */
typedef struct lotos_term {
    bool on;
    double coefficient, mal;
} lotos_term;

struct amun__lotos {
    amun_context *ctx;
    amun_lotos_options options;
    lotos_layer *layers;
    size_t count;
    double *decay; /* w_i, k of them, sum 1 */
    lotos_term plain, folded;
    lotos_part *parts;
    size_t part_count;
    amun__run_extra *extras;
    size_t extra_count;
};

#endif
