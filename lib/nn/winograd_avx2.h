/* winograd_avx2.h - one-dimensional transforms of F(4, 3) over vectors of 8 channels. Points 0,
 * +-5/8, +-3/2 and infinity: half the rounding error of 0, +-1, +-2 (measured; after Barabasz and
 * others, "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
 * Networks", ACM TOMS 46(4), 2020). The matrices follow from the points by Toom and Cook's
 * construction: row p of B' has the coefficients of prod_{q != p} (x - q). */
#ifndef AMUN__WINOGRAD_AVX2_H
#define AMUN__WINOGRAD_AVX2_H

#include <immintrin.h>

/* For functions of this file's users too: the library's other code must run on any CPU. */
#define WINO_AVX2 __attribute__((target("avx2,fma")))
#define WINO_INLINE WINO_AVX2 __attribute__((always_inline)) static inline

#define WINO_A 0.625f
#define WINO_B 1.5f
#define WINO_A2 (WINO_A * WINO_A)
#define WINO_B2 (WINO_B * WINO_B)
#define WINO_NA (2 * WINO_A2 * (WINO_A2 - WINO_B2)) /* prod_{q != A} (A - q), the same for -A */
#define WINO_NB (2 * WINO_B2 * (WINO_B2 - WINO_A2))

typedef __m256 wino_v;

WINO_INLINE wino_v wino_all(float x)
{
    return _mm256_set1_ps(x);
}

/* 8 channels of an image from its `index`-th number on, which may be bf16. */
WINO_INLINE wino_v wino_load(const void *image, int64_t index, bool bf16)
{
    if (!bf16) {
        return _mm256_loadu_ps((const float *)image + index);
    }
    const __m128i half = _mm_loadu_si128((const __m128i_u *)((const uint16_t *)image + index));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* Rounds as amun__bf16_from_float() does. */
WINO_INLINE void wino_store(void *image, int64_t index, wino_v x, bool bf16)
{
    if (!bf16) {
        _mm256_storeu_ps((float *)image + index, x);
        return;
    }
    const __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(rounded, quiet, nan);
    const __m128i low = _mm256_castsi256_si128(words), rest = _mm256_extracti128_si256(words, 1);
    _mm_storeu_si128((__m128i_u *)((uint16_t *)image + index), _mm_packus_epi32(low, rest));
}

/* v = B' d */
WINO_INLINE void wino_src_1d(wino_v v[6], const wino_v d[6])
{
    const wino_v n0 = wino_all(WINO_A2 * WINO_B2), s = wino_all(WINO_A2 + WINO_B2);
    wino_v even = _mm256_fnmadd_ps(wino_all(WINO_B2), d[2], d[4]);
    wino_v odd = _mm256_mul_ps(wino_all(WINO_A), _mm256_fnmadd_ps(wino_all(WINO_B2), d[1], d[3]));
    v[0] = _mm256_fmadd_ps(n0, d[0], _mm256_fnmadd_ps(s, d[2], d[4]));
    v[1] = _mm256_add_ps(even, odd);
    v[2] = _mm256_sub_ps(even, odd);
    even = _mm256_fnmadd_ps(wino_all(WINO_A2), d[2], d[4]);
    odd = _mm256_mul_ps(wino_all(WINO_B), _mm256_fnmadd_ps(wino_all(WINO_A2), d[1], d[3]));
    v[3] = _mm256_add_ps(even, odd);
    v[4] = _mm256_sub_ps(even, odd);
    v[5] = _mm256_fmadd_ps(n0, d[1], _mm256_fnmadd_ps(s, d[3], d[5]));
}

/* y = A' m */
WINO_INLINE void wino_dst_1d(wino_v y[4], const wino_v m[6])
{
    wino_v a_sum = _mm256_add_ps(m[1], m[2]), a_gap = _mm256_sub_ps(m[1], m[2]);
    wino_v b_sum = _mm256_add_ps(m[3], m[4]), b_gap = _mm256_sub_ps(m[3], m[4]);
    y[0] = _mm256_add_ps(m[0], _mm256_add_ps(a_sum, b_sum));
    y[1] = _mm256_fmadd_ps(wino_all(WINO_A), a_gap, _mm256_mul_ps(wino_all(WINO_B), b_gap));
    y[2] = _mm256_fmadd_ps(wino_all(WINO_A2), a_sum, _mm256_mul_ps(wino_all(WINO_B2), b_sum));
    y[3] = _mm256_fmadd_ps(wino_all(WINO_A2 * WINO_A), a_gap,
                           _mm256_fmadd_ps(wino_all(WINO_B2 * WINO_B), b_gap, m[5]));
}

/* u = G g */
WINO_INLINE void wino_filter_1d(wino_v u[6], const wino_v g[3])
{
    u[0] = _mm256_mul_ps(wino_all(1 / (WINO_A2 * WINO_B2)), g[0]);
    wino_v even = _mm256_fmadd_ps(wino_all(WINO_A2 / WINO_NA), g[2],
                                  _mm256_mul_ps(wino_all(1 / WINO_NA), g[0]));
    wino_v odd = _mm256_mul_ps(wino_all(WINO_A / WINO_NA), g[1]);
    u[1] = _mm256_add_ps(even, odd);
    u[2] = _mm256_sub_ps(even, odd);
    even = _mm256_fmadd_ps(wino_all(WINO_B2 / WINO_NB), g[2],
                           _mm256_mul_ps(wino_all(1 / WINO_NB), g[0]));
    odd = _mm256_mul_ps(wino_all(WINO_B / WINO_NB), g[1]);
    u[3] = _mm256_add_ps(even, odd);
    u[4] = _mm256_sub_ps(even, odd);
    u[5] = g[2];
}

/* m = A y, the adjoint of wino_dst_1d */
WINO_INLINE void wino_diff_1d(wino_v m[6], const wino_v y[4])
{
    wino_v even = _mm256_fmadd_ps(wino_all(WINO_A2), y[2], y[0]);
    wino_v odd =
        _mm256_fmadd_ps(wino_all(WINO_A2 * WINO_A), y[3], _mm256_mul_ps(wino_all(WINO_A), y[1]));
    m[0] = y[0];
    m[1] = _mm256_add_ps(even, odd);
    m[2] = _mm256_sub_ps(even, odd);
    even = _mm256_fmadd_ps(wino_all(WINO_B2), y[2], y[0]);
    odd = _mm256_fmadd_ps(wino_all(WINO_B2 * WINO_B), y[3], _mm256_mul_ps(wino_all(WINO_B), y[1]));
    m[3] = _mm256_add_ps(even, odd);
    m[4] = _mm256_sub_ps(even, odd);
    m[5] = y[3];
}

/* g = G' u, the adjoint of wino_filter_1d */
WINO_INLINE void wino_grad_1d(wino_v g[3], const wino_v u[6])
{
    wino_v a_sum = _mm256_add_ps(u[1], u[2]), a_gap = _mm256_sub_ps(u[1], u[2]);
    wino_v b_sum = _mm256_add_ps(u[3], u[4]), b_gap = _mm256_sub_ps(u[3], u[4]);
    g[0] = _mm256_fmadd_ps(wino_all(1 / WINO_NA), a_sum,
                           _mm256_fmadd_ps(wino_all(1 / WINO_NB), b_sum,
                                           _mm256_mul_ps(wino_all(1 / (WINO_A2 * WINO_B2)), u[0])));
    g[1] = _mm256_fmadd_ps(wino_all(WINO_A / WINO_NA), a_gap,
                           _mm256_mul_ps(wino_all(WINO_B / WINO_NB), b_gap));
    g[2] = _mm256_fmadd_ps(wino_all(WINO_A2 / WINO_NA), a_sum,
                           _mm256_fmadd_ps(wino_all(WINO_B2 / WINO_NB), b_sum, u[5]));
}

#endif
