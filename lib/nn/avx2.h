/* avx2.h - vectors of 8 floats for functions that run on CPUs with AVX2 and FMA only, and images in
 * memory as float or bf16. */
#ifndef AMUN__AVX2_H
#define AMUN__AVX2_H

#include <immintrin.h>

#include "core/core.h"

/* For functions of this file's users too: the library's other code must run on any CPU. */
#define AVX2_FUNCTION __attribute__((target("avx2,fma")))
#define AVX2_INLINE AVX2_FUNCTION __attribute__((always_inline)) static inline

typedef __m256 v8;

AVX2_INLINE v8 v8_all(float x)
{
    return _mm256_set1_ps(x);
}

/* 8 numbers of an image from its `index`-th on, which may be bf16. */
AVX2_INLINE v8 v8_load(const void *image, int64_t index, bool bf16)
{
    if (!bf16) {
        return _mm256_loadu_ps((const float *)image + index);
    }
    const __m128i half = _mm_loadu_si128((const __m128i_u *)((const uint16_t *)image + index));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* Rounds as amun__bf16_from_float() does. */
AVX2_INLINE void v8_store(void *image, int64_t index, v8 x, bool bf16)
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

#endif
