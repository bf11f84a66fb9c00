/* distil.h - images that a member takes for other ones, though they look as they did. Private. */
#ifndef AMUN__DISTIL_H
#define AMUN__DISTIL_H

#include "ensemble/joint.h"

/* DVERGE's distilled images: for member j, with h its features before a ReLU of layer l, in
 * evaluation mode,
 *     z_j = argmin of |h(z) - h(x_t)|^2 over |z - x_s|_inf <= eps, 0 <= z <= 1,
 * by `steps` steps of momentum on signs from x_s. */
typedef struct amun__distil {
    amun_context *ctx;
    amun_model *const *models; /* borrowed */
    size_t count, batch, pixels;
    double eps, step;
    int32_t steps;
    uint64_t seed;
    size_t layers;         /* that all members have */
    int32_t *nodes;        /* [count][layers] */
    int64_t epoch;         /* whose layer the prefixes end at; -1: there are none */
    size_t layer;          /* its depth */
    amun_model **prefixes; /* [count] */
    amun__plan **plans;    /* [count], leased from the prefixes */
    int64_t *partners;     /* [batch] */
    float *images;         /* z_j, [count][batch][pixels] */
    float *targets;        /* x_t; then the momentum; [batch][pixels] */
    float *diff;           /* [batch][pixels] */
    float *wanted, *found; /* features, [batch][features] */
} amun__distil;

/* Constants from the options of `joint`. UNSUPPORTED if a member has no convolution that a ReLU
 * reads, by itself or through a batch norm. */
amun_status amun__distil_open(amun__distil *distil, const amun__joint *joint);
void amun__distil_close(amun__distil *distil); /* also after a failed open */
/* Draws the layer of the epoch (one depth for all members), pairs each image x_s of the batch with
 * another x_t of it, and distils for every member. */
amun_status amun__distil_run(amun__distil *distil, const amun__step *step);
float *amun__distil_images(const amun__distil *distil, size_t member);

#endif
