/* norm_kernels.h - between norm.c (channels, parts, threads) and its AVX2 kernels: one plane, that
 * is 8 channels of one image, at a time. */
#ifndef AMUN__NORM_KERNELS_H
#define AMUN__NORM_KERNELS_H

#include "nn/norm.h"

/* Where a plane lies: `pixels` times 8 numbers, `step` numbers apart, from the `at`-th on. */
typedef struct norm_plane {
    int64_t at, step, pixels;
    bool bf16, relu;
} norm_plane;

/* Of 8 channels: y = gain (x - mean) + shift; gradient of x = gain dy + slope (x - mean) + offset.
 */
typedef struct norm_lanes {
    float mean[8], gain[8], shift[8], slope[8], offset[8];
} norm_lanes;

/* sums[0] += x - pivot, sums[1] += (x - pivot)^2. */
void amun__norm_sums_avx2(const norm_plane *p, const void *src, const float pivot[8],
                          double sums[2][8]);
void amun__norm_apply_avx2(const norm_plane *p, void *dst, const void *src, const norm_lanes *l);
/* With dy masked by the ReLU: sums[0] += dy, sums[1] += dy (x - mean). */
void amun__norm_diff_sums_avx2(const norm_plane *p, const void *src, const void *diff,
                               const norm_lanes *l, double sums[2][8]);
void amun__norm_diff_avx2(const norm_plane *p, void *diff_src, const void *src, const void *diff,
                          const norm_lanes *l);

#endif
