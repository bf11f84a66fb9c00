/* matrix.h - layers whose windows share no pixel: dense ones, 1x1 convolutions, kernel <= stride.
 * Their singular values are those of the weights written as a matrix, once per output pixel, and
 * power iteration would have to part values that are equal. Private. */
#ifndef AMUN__MATRIX_H
#define AMUN__MATRIX_H

#include "nn/linop.h"

/* The leading singular values of such a layer with their right vectors. Zeroed: none. */
typedef struct amun__matrix {
    amun_context *ctx;
    amun__linop_shape shape;
    int64_t rows, columns, repeats; /* of the matrix of a group; output pixels */
    size_t pairs, capacity;
    double *sigma, *residuals; /* [pairs], descending; || M'M v - sigma^2 v || */
    int32_t *groups;           /* [pairs]: where it comes from */
    double *vectors;           /* [pairs][columns] */
} amun__matrix;

/* Whether this geometry has the singular values of its reshaped weights: no padding, and windows no
 * wider than the stride. */
bool amun__matrix_windows_apart(const amun__linop_shape *shape);
/* Whether the layer is one with at least `values` values (it may have more inputs and outputs than
 * that, if windows leave pixels out), and its matrices are small enough for LAPACK. */
bool amun__matrix_applies(const amun__linop_source *source, size_t values);
/* At least `values` singular values, counting repetitions. Can be called again for new weights of
 * the same layer. All arithmetic is in double. */
amun_status amun__matrix_decompose(amun__matrix *matrix, const amun__linop_source *source,
                                   size_t values);
void amun__matrix_close(amun__matrix *matrix);

/* i counts repetitions. */
double amun__matrix_sigma(const amun__matrix *matrix, size_t i);
double amun__matrix_residual(const amun__matrix *matrix, size_t i);
/* Right vector as an image of the layer's input: the matrix's own in the window of one output. */
void amun__matrix_vector(const amun__matrix *matrix, size_t i, float *image);

#endif
