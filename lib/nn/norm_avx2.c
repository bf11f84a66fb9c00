/* norm_avx2.c - batch norm of one plane of 8 channels with AVX2 and FMA. */
#include "nn/norm_kernels.h"

#if defined(__x86_64__)
#include "nn/avx2.h"

AVX2_INLINE void add_up(double sums[8], v8 x)
{
    float lanes[8];
    _mm256_storeu_ps(lanes, x);
    for (int k = 0; k < 8; k++) {
        sums[k] += (double)lanes[k];
    }
}

AVX2_INLINE void plane_sums(const norm_plane *p, const void *src, const float pivot[8],
                            double sums[2][8], bool bf16)
{
    const v8 from = _mm256_loadu_ps(pivot);
    v8 sum[2] = {v8_all(0), v8_all(0)}, square[2] = {v8_all(0), v8_all(0)};
    int64_t i = 0;
    for (; i + 2 <= p->pixels; i += 2) {
        for (int k = 0; k < 2; k++) { /* two chains of additions */
            v8 x = _mm256_sub_ps(v8_load(src, p->at + (i + k) * p->step, bf16), from);
            sum[k] = _mm256_add_ps(sum[k], x);
            square[k] = _mm256_fmadd_ps(x, x, square[k]);
        }
    }
    for (; i < p->pixels; i++) {
        v8 x = _mm256_sub_ps(v8_load(src, p->at + i * p->step, bf16), from);
        sum[0] = _mm256_add_ps(sum[0], x);
        square[0] = _mm256_fmadd_ps(x, x, square[0]);
    }
    add_up(sums[0], _mm256_add_ps(sum[0], sum[1]));
    add_up(sums[1], _mm256_add_ps(square[0], square[1]));
}

AVX2_FUNCTION void amun__norm_sums_avx2(const norm_plane *p, const void *src, const float pivot[8],
                                        double sums[2][8])
{
    if (p->bf16) {
        plane_sums(p, src, pivot, sums, true);
    } else {
        plane_sums(p, src, pivot, sums, false);
    }
}

AVX2_INLINE void plane_apply(const norm_plane *p, void *dst, const void *src, const norm_lanes *l,
                             bool bf16)
{
    const v8 mean = _mm256_loadu_ps(l->mean), gain = _mm256_loadu_ps(l->gain),
             shift = _mm256_loadu_ps(l->shift);
    for (int64_t i = 0, at = p->at; i < p->pixels; i++, at += p->step) {
        v8 x = _mm256_sub_ps(v8_load(src, at, bf16), mean);
        v8 y = _mm256_fmadd_ps(gain, x, shift);
        v8_store(dst, at, p->relu ? _mm256_max_ps(v8_all(0), y) : y, bf16); /* NaN stays NaN */
    }
}

AVX2_FUNCTION void amun__norm_apply_avx2(const norm_plane *p, void *dst, const void *src,
                                         const norm_lanes *l)
{
    if (p->bf16) {
        plane_apply(p, dst, src, l, true);
    } else {
        plane_apply(p, dst, src, l, false);
    }
}

/* dy where y is positive: y computed again, by the very same operations. */
AVX2_INLINE v8 masked(const norm_plane *p, v8 dy, v8 x, v8 gain, v8 shift)
{
    if (!p->relu) {
        return dy;
    }
    const v8 y = _mm256_fmadd_ps(gain, x, shift);
    return _mm256_and_ps(dy, _mm256_cmp_ps(y, v8_all(0), _CMP_GT_OQ));
}

AVX2_INLINE void plane_diff_sums(const norm_plane *p, const void *src, const void *diff,
                                 const norm_lanes *l, double sums[2][8], bool bf16)
{
    const v8 mean = _mm256_loadu_ps(l->mean), gain = _mm256_loadu_ps(l->gain),
             shift = _mm256_loadu_ps(l->shift);
    v8 sum = v8_all(0), product = v8_all(0);
    for (int64_t i = 0, at = p->at; i < p->pixels; i++, at += p->step) {
        v8 x = _mm256_sub_ps(v8_load(src, at, bf16), mean);
        v8 dy = masked(p, v8_load(diff, at, bf16), x, gain, shift);
        sum = _mm256_add_ps(sum, dy);
        product = _mm256_fmadd_ps(dy, x, product);
    }
    add_up(sums[0], sum);
    add_up(sums[1], product);
}

AVX2_FUNCTION void amun__norm_diff_sums_avx2(const norm_plane *p, const void *src, const void *diff,
                                             const norm_lanes *l, double sums[2][8])
{
    if (p->bf16) {
        plane_diff_sums(p, src, diff, l, sums, true);
    } else {
        plane_diff_sums(p, src, diff, l, sums, false);
    }
}

AVX2_INLINE void plane_diff(const norm_plane *p, void *diff_src, const void *src, const void *diff,
                            const norm_lanes *l, bool bf16)
{
    const v8 mean = _mm256_loadu_ps(l->mean), gain = _mm256_loadu_ps(l->gain),
             shift = _mm256_loadu_ps(l->shift), slope = _mm256_loadu_ps(l->slope),
             offset = _mm256_loadu_ps(l->offset);
    for (int64_t i = 0, at = p->at; i < p->pixels; i++, at += p->step) {
        v8 x = _mm256_sub_ps(v8_load(src, at, bf16), mean);
        v8 dy = masked(p, v8_load(diff, at, bf16), x, gain, shift);
        v8 dx = _mm256_fmadd_ps(gain, dy, _mm256_fmadd_ps(slope, x, offset));
        v8_store(diff_src, at, dx, bf16);
    }
}

AVX2_FUNCTION void amun__norm_diff_avx2(const norm_plane *p, void *diff_src, const void *src,
                                        const void *diff, const norm_lanes *l)
{
    if (p->bf16) {
        plane_diff(p, diff_src, src, diff, l, true);
    } else {
        plane_diff(p, diff_src, src, diff, l, false);
    }
}

#endif
