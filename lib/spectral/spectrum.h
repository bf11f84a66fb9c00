/* spectrum.h - the spectrum handle, and what its files share. Private. */
#ifndef AMUN__SPECTRUM_H
#define AMUN__SPECTRUM_H

#include "amun/spectral.h"
#include "nn/graph.h"
#include "spectral/matrix.h"
#include "spectral/powerqr.h"

/* One layer. Its numbers are those of the last run; NaN before. */
typedef struct amun__layer {
    int32_t node, batchnorm; /* batchnorm: the node that is in the layer; -1: none */
    amun_layer_kind kind;
    int64_t in_shape[3], out_shape[3];
    size_t rank;   /* min(in, out) */
    int32_t count; /* singular values */

    /* Iteration: made by the first run, warm from then on. */
    amun__linop *op;
    amun__powerqr *iteration;
    /* Instead of it where the windows share no pixel; pairs 0: not such a layer. */
    amun__matrix matrix;
    /* EXACT: [count] values. Batch norm: the magnitudes of the factors, descending, with their
     * channels in `order`; each stands for height * width equal values. */
    double *values;
    int32_t *order;

    double upper, flat;
    amun_bound_kind bound;
    int32_t iterations;
    bool converged;
} amun__layer;

struct amun_spectrum {
    amun__object object;
    amun_model *model;
    amun_spectrum_options options;
    amun__linop_backend backend; /* of the iteration; tests set it before the first run */
    amun__layer *layers;
    size_t count;
    bool ran; /* the last run went through all layers */
};

/* The model is held for reading, threads are begun. Leaves the layer's old numbers in ruins if it
 * fails; not converging is no failure. */
amun_status amun__layer_measure(amun_spectrum *spectrum, amun__layer *layer,
                                int32_t max_iterations);
void amun__layer_free(amun_context *ctx, amun__layer *layer);
double amun__layer_sigma(const amun__layer *layer, size_t i);    /* i < count; at most `upper` */
double amun__layer_residual(const amun__layer *layer, size_t i); /* the same; NaN where unknown */

/* Largest singular value of diag(scale) * weights[rows][columns] (scale nullable), in double. */
amun_status amun__flat_norm(double *out, amun_context *ctx, int64_t rows, int64_t columns,
                            const float *weights, const double *scale);

#endif
