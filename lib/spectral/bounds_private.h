/* bounds_private.h - the parts of the certificates, for the files that implement them. Each widens
 * its value by what rounding may have moved it. */
#ifndef AMUN__BOUNDS_PRIVATE_H
#define AMUN__BOUNDS_PRIVATE_H

#include "spectral/bounds.h"
#include "spectral/freq.h"

#define AMUN__UNIT_ROUNDOFF 0x1p-53 /* of double; u in the comments */

/* ---- what is bounded (bounds_subject.c) ------------------------------------------------------ */

/* How one axis looks into its padded image. */
typedef struct amun__bound_view {
    int64_t copies;  /* how often the most read value is read by all (output, tap) pairs */
    int64_t repeats; /* how often the padding shows the value that it shows most often */
    uint8_t *used;   /* [kernel]: 0: the tap sees nothing but zeros */
} amun__bound_view;

/* A convolution that is going to be bounded. */
typedef struct amun__bound_subject {
    amun_context *ctx;
    const amun__linop_shape *shape; /* borrowed */
    amun__geometry geometry;
    amun__bound_view view[2];
    uint8_t *used;   /* [kh * kw] */
    double *weights; /* [out][in / groups][kh * kw], zero where not used */
    int64_t positions;
    size_t count;      /* of weights */
    double group_norm; /* largest Frobenius norm of a group */
} amun__bound_subject;

/* NUMERIC: a weight that is not finite. */
amun_status amun__bound_open(amun__bound_subject *s, amun_context *ctx,
                             const amun__linop_shape *shape, const double *weights);
void amun__bound_close(amun__bound_subject *s);
/* The number of weights; INVALID_ARGUMENT if no size_t holds it. */
amun_status amun__bound_weights(const amun__linop_shape *shape, size_t *count);

/* ---- bounds (bounds_kernel.c, bounds_freq.c) ------------------------------------------------- */

/* One axis on a torus. `copies`: |.|^2 of the map that the torus does not contain. */
typedef struct amun__bound_torus {
    int64_t stride, grid, used; /* used: frequencies that are looked at, <= grid */
    double copies;
} amun__bound_torus;

amun__bound_torus amun__bound_torus_of(const amun__bound_subject *s, int axis);

/* As their namesakes in bounds.h. */
amun_status amun__bound_by_frequencies(amun__bound_subject *s, double budget, amun__bound *out);
amun_status amun__bound_by_reshaped(amun__bound_subject *s, amun__bound *out);
amun_status amun__bound_by_kernel(amun__bound_subject *s, double budget, amun__bound *out);

#endif
