/* freq.h - a convolution on a torus, frequency by frequency: the small matrices whose singular
 * values together are the convolution's, and the way back. Private. */
#ifndef AMUN__FREQ_H
#define AMUN__FREQ_H

#include "nn/linop.h"

/* One nonzero position of the kernel. With stride s, position t = s * index + phase reads phase
 * `phase` of the input (polyphase form, arXiv 2211.13771; without stride arXiv 1805.10408). */
typedef struct amun__tap {
    int64_t source;   /* y * kw + x in the stored kernel */
    int64_t phase;    /* among the phases that have a tap at all */
    int64_t index[2]; /* within the phase */
} amun__tap;

/* One group of a convolution. Its matrix at a frequency is K[out][phases * in], the columns ordered
 * by phase: K(w) = sum_t W_t exp(2 pi i (w . index_t) / grid). */
typedef struct amun__freq {
    amun_context *ctx;
    int64_t out, in; /* channels of a group */
    int64_t phases, columns, taps;
    int64_t span[2]; /* largest index + 1 */
    int64_t grid[2]; /* frequencies per axis */
    amun__tap *tap;
    double *wave[2]; /* [grid] (cos, sin) */
    double *kernel;  /* [taps][out][in], of the group that was loaded */
} amun__freq;

/* Of `shape` with strides `stride` (those of the shape, or 1), on grid[0] by grid[1] frequencies.
 * used (nullable): one byte per kernel position; 0 leaves it out. */
amun_status amun__freq_open(amun__freq *freq, amun_context *ctx, const amun__linop_shape *shape,
                            const int64_t stride[2], const int64_t grid[2], const uint8_t *used);
void amun__freq_close(amun__freq *freq); /* zeroed is fine */
/* Picks the kernel of a group out of weights[out_all][in][kh * kw]. */
void amun__freq_load(amun__freq *freq, const amun__linop_shape *shape, const double *weights,
                     int64_t group);

/* Half of the frequencies: the matrix at -w is the conjugate of that at w. multiplicity 1: w = -w
 * (the matrix is real), else 2. */
int64_t amun__freq_count(const amun__freq *freq);
void amun__freq_at(const amun__freq *freq, int64_t i, int64_t w[2], int *multiplicity);
/* K(w) as re[out][columns] and im[out][columns]. */
void amun__freq_matrix(const amun__freq *freq, const int64_t w[2], double *re, double *im);
/* sums[taps][out][in] += factor * Re of what the adjoint of W -> K(w) makes of (re, im). */
void amun__freq_adjoint(const amun__freq *freq, const int64_t w[2], double factor, const double *re,
                        const double *im, double *sums);
/* The Gram matrix on the smaller side, K K' (n = out) or K' K (n = columns), as (re, im) pairs
 * [n][n]. scratch: 2 n^2 values. */
int64_t amun__freq_gram_size(const amun__freq *freq);
amun_status amun__freq_gram(const amun__freq *freq, const double *re, const double *im,
                            double *scratch, double *gram);

/* ceil((k - 1) * dilation + 1) and the output's extent; SHAPE or INVALID_ARGUMENT if the shape
 * makes no sense. size[axis]: input extents. */
typedef struct amun__geometry {
    int64_t size[2], reach[2], outputs[2]; /* outputs: with the stride; dense: without */
    int64_t dense[2];
} amun__geometry;
amun_status amun__geometry_of(amun__geometry *g, const amun__linop_shape *shape);

#endif
