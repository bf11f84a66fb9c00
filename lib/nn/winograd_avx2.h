/* winograd_avx2.h - what the AVX2 kernels share: blocks of products, and one-dimensional transforms
 * of F(4, 3) over vectors of 8 channels. Points 0,
 * +-5/8, +-3/2 and infinity: half the rounding error of 0, +-1, +-2 (measured; after Barabasz and
 * others, "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
 * Networks", ACM TOMS 46(4), 2020). The matrices follow from the points by Toom and Cook's
 * construction: row p of B' has the coefficients of prod_{q != p} (x - q). */
#ifndef AMUN__WINOGRAD_AVX2_H
#define AMUN__WINOGRAD_AVX2_H

#include "nn/avx2.h"
#include "nn/winograd_kernels.h"

#define WINO_A 0.625f
#define WINO_B 1.5f
#define WINO_A2 (WINO_A * WINO_A)
#define WINO_B2 (WINO_B * WINO_B)
#define WINO_NA (2 * WINO_A2 * (WINO_A2 - WINO_B2)) /* prod_{q != A} (A - q), the same for -A */
#define WINO_NB (2 * WINO_B2 * (WINO_B2 - WINO_A2))

/* ---- blocks of 6 tiles by 16 channels -------------------------------------------------------- */

typedef struct wino_block {
    v8 sum[WINO_ROWS][2];
} wino_block;

AVX2_INLINE void wino_clear(wino_block *block)
{
    for (int r = 0; r < WINO_ROWS; r++) {
        block->sum[r][0] = block->sum[r][1] = v8_all(0);
    }
}

/* a: [blocks][6][8], b: [8 * blocks][16]. */
AVX2_INLINE void wino_add_products(wino_block *block, const float *a, const float *b,
                                   int64_t blocks)
{
    for (int64_t i = 0; i < blocks; i++, a += WINO_ROWS * 8, b += 8 * WINO_COLUMNS) {
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            v8 b0 = _mm256_load_ps(b + k * WINO_COLUMNS);
            v8 b1 = _mm256_load_ps(b + k * WINO_COLUMNS + 8);
#pragma GCC unroll 6
            for (int r = 0; r < WINO_ROWS; r++) {
                v8 x = _mm256_broadcast_ss(a + r * 8 + k);
                block->sum[r][0] = _mm256_fmadd_ps(x, b0, block->sum[r][0]);
                block->sum[r][1] = _mm256_fmadd_ps(x, b1, block->sum[r][1]);
            }
        }
    }
}

AVX2_INLINE void wino_store_block(float *m, const wino_block *block)
{
#pragma GCC unroll 6
    for (int r = 0; r < WINO_ROWS; r++) {
        _mm256_store_ps(m + r * WINO_COLUMNS, block->sum[r][0]);
        _mm256_store_ps(m + r * WINO_COLUMNS + 8, block->sum[r][1]);
    }
}

/* The bias of 8 channels, with zeros past the last. */
AVX2_INLINE v8 wino_bias_at(const amun__winograd *w, const float *bias, int64_t from)
{
    if (bias == NULL) {
        return v8_all(0);
    }
    if (from + 8 <= w->dst_channels) {
        return _mm256_loadu_ps(bias + from);
    }
    float some[8] = {0};
    for (int64_t i = from; i < w->dst_channels; i++) {
        some[i - from] = bias[i];
    }
    return _mm256_loadu_ps(some);
}

/* ---- one-dimensional transforms -------------------------------------------------------------- */

/* v = B' d */
AVX2_INLINE void wino_src_1d(v8 v[6], const v8 d[6])
{
    const v8 n0 = v8_all(WINO_A2 * WINO_B2), s = v8_all(WINO_A2 + WINO_B2);
    v8 even = _mm256_fnmadd_ps(v8_all(WINO_B2), d[2], d[4]);
    v8 odd = _mm256_mul_ps(v8_all(WINO_A), _mm256_fnmadd_ps(v8_all(WINO_B2), d[1], d[3]));
    v[0] = _mm256_fmadd_ps(n0, d[0], _mm256_fnmadd_ps(s, d[2], d[4]));
    v[1] = _mm256_add_ps(even, odd);
    v[2] = _mm256_sub_ps(even, odd);
    even = _mm256_fnmadd_ps(v8_all(WINO_A2), d[2], d[4]);
    odd = _mm256_mul_ps(v8_all(WINO_B), _mm256_fnmadd_ps(v8_all(WINO_A2), d[1], d[3]));
    v[3] = _mm256_add_ps(even, odd);
    v[4] = _mm256_sub_ps(even, odd);
    v[5] = _mm256_fmadd_ps(n0, d[1], _mm256_fnmadd_ps(s, d[3], d[5]));
}

/* y = A' m */
AVX2_INLINE void wino_dst_1d(v8 y[4], const v8 m[6])
{
    v8 a_sum = _mm256_add_ps(m[1], m[2]), a_gap = _mm256_sub_ps(m[1], m[2]);
    v8 b_sum = _mm256_add_ps(m[3], m[4]), b_gap = _mm256_sub_ps(m[3], m[4]);
    y[0] = _mm256_add_ps(m[0], _mm256_add_ps(a_sum, b_sum));
    y[1] = _mm256_fmadd_ps(v8_all(WINO_A), a_gap, _mm256_mul_ps(v8_all(WINO_B), b_gap));
    y[2] = _mm256_fmadd_ps(v8_all(WINO_A2), a_sum, _mm256_mul_ps(v8_all(WINO_B2), b_sum));
    y[3] = _mm256_fmadd_ps(v8_all(WINO_A2 * WINO_A), a_gap,
                           _mm256_fmadd_ps(v8_all(WINO_B2 * WINO_B), b_gap, m[5]));
}

/* u = G g */
AVX2_INLINE void wino_filter_1d(v8 u[6], const v8 g[3])
{
    u[0] = _mm256_mul_ps(v8_all(1 / (WINO_A2 * WINO_B2)), g[0]);
    v8 even =
        _mm256_fmadd_ps(v8_all(WINO_A2 / WINO_NA), g[2], _mm256_mul_ps(v8_all(1 / WINO_NA), g[0]));
    v8 odd = _mm256_mul_ps(v8_all(WINO_A / WINO_NA), g[1]);
    u[1] = _mm256_add_ps(even, odd);
    u[2] = _mm256_sub_ps(even, odd);
    even =
        _mm256_fmadd_ps(v8_all(WINO_B2 / WINO_NB), g[2], _mm256_mul_ps(v8_all(1 / WINO_NB), g[0]));
    odd = _mm256_mul_ps(v8_all(WINO_B / WINO_NB), g[1]);
    u[3] = _mm256_add_ps(even, odd);
    u[4] = _mm256_sub_ps(even, odd);
    u[5] = g[2];
}

/* m = A y, the adjoint of wino_dst_1d */
AVX2_INLINE void wino_diff_1d(v8 m[6], const v8 y[4])
{
    v8 even = _mm256_fmadd_ps(v8_all(WINO_A2), y[2], y[0]);
    v8 odd = _mm256_fmadd_ps(v8_all(WINO_A2 * WINO_A), y[3], _mm256_mul_ps(v8_all(WINO_A), y[1]));
    m[0] = y[0];
    m[1] = _mm256_add_ps(even, odd);
    m[2] = _mm256_sub_ps(even, odd);
    even = _mm256_fmadd_ps(v8_all(WINO_B2), y[2], y[0]);
    odd = _mm256_fmadd_ps(v8_all(WINO_B2 * WINO_B), y[3], _mm256_mul_ps(v8_all(WINO_B), y[1]));
    m[3] = _mm256_add_ps(even, odd);
    m[4] = _mm256_sub_ps(even, odd);
    m[5] = y[3];
}

/* g = G' u, the adjoint of wino_filter_1d */
AVX2_INLINE void wino_grad_1d(v8 g[3], const v8 u[6])
{
    v8 a_sum = _mm256_add_ps(u[1], u[2]), a_gap = _mm256_sub_ps(u[1], u[2]);
    v8 b_sum = _mm256_add_ps(u[3], u[4]), b_gap = _mm256_sub_ps(u[3], u[4]);
    g[0] = _mm256_fmadd_ps(v8_all(1 / WINO_NA), a_sum,
                           _mm256_fmadd_ps(v8_all(1 / WINO_NB), b_sum,
                                           _mm256_mul_ps(v8_all(1 / (WINO_A2 * WINO_B2)), u[0])));
    g[1] = _mm256_fmadd_ps(v8_all(WINO_A / WINO_NA), a_gap,
                           _mm256_mul_ps(v8_all(WINO_B / WINO_NB), b_gap));
    g[2] = _mm256_fmadd_ps(v8_all(WINO_A2 / WINO_NA), a_sum,
                           _mm256_fmadd_ps(v8_all(WINO_B2 / WINO_NB), b_sum, u[5]));
}

#endif
