/* section.h - certificates for convolutions of small images, with their padding as it is: the Gram
 * matrix of the map is banded in the rows of the image, and a Cholesky factorisation of tau * 1 -
 * it proves norm^2 <= tau. Private. */
#ifndef AMUN__SECTION_H
#define AMUN__SECTION_H

#include "nn/linop.h"

/* What is asked about a convolution. */
typedef struct amun__section_task {
    amun_context *ctx;
    const amun__linop_shape *shape;
    const double *weights; /* [out][in / groups][kh * kw]; 0 where a tap sees nothing */
    double group_norm;     /* largest Frobenius norm of a group */
    double copies;         /* how often all (output, tap) pairs read one pixel, at most */
    double guess;          /* of the norm, from below */
    double most;           /* a bound that is known already: no less is of no use */
    double budget;         /* floating-point operations */
} amun__section_task;

/* *value: a bound below `most`, a few thousandths above the guess if the guess is good; infinity:
 * there is none that the budget, or 1 GB, allows. Any geometry. */
amun_status amun__section_whole(const amun__section_task *task, double *value);

/* The rows as they are, on a torus across: grid frequencies of the map with stride `stride` there.
 * copies: |.|^2 of what that torus does not contain. twist: frequencies between those of the grid
 * do as well (zero padding: the map is a part of any of these). */
typedef struct amun__strip {
    int64_t stride, grid;
    double copies;
    bool twist;
} amun__strip;
amun_status amun__section_strips(const amun__section_task *task, const amun__strip *strip,
                                 double *value);

#endif
