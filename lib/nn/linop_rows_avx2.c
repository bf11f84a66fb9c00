/* linop_rows_avx2.c - rows of weights times a panel of 16 columns, both ways, with AVX2 and FMA. */
#include "nn/linop_rows.h"

#if defined(__x86_64__)
#include "nn/avx2.h"

#define PANEL AMUN__ROWS_PANEL

/* Four columns of x that lie `step`, a constant 1 or 2, apart; with 2, x[7] must exist. */
AVX2_INLINE __m128 read_four(const float *x, int step)
{
    const __m128 low = _mm_loadu_ps(x);
    return step == 1 ? low : _mm_shuffle_ps(low, _mm_loadu_ps(x + 4), _MM_SHUFFLE(2, 0, 2, 0));
}

AVX2_INLINE void add_four(float *z, __m128 value, int step)
{
    if (step == 1) {
        _mm_storeu_ps(z, _mm_add_ps(_mm_loadu_ps(z), value));
        return;
    }
    const __m128 none = _mm_setzero_ps();
    _mm_storeu_ps(z, _mm_add_ps(_mm_loadu_ps(z), _mm_unpacklo_ps(value, none)));
    _mm_storeu_ps(z + 4, _mm_add_ps(_mm_loadu_ps(z + 4), _mm_unpackhi_ps(value, none)));
}

AVX2_INLINE void gather(float *panel, const float *x, const amun__rows_panel *p, int step)
{
    for (int64_t c = 0; c < p->channels; c++, x += p->plane) {
        for (int64_t t = 0; t < p->taps; t++, panel += PANEL) {
#pragma GCC unroll 4
            for (int q = 0; q < PANEL / 4; q++) {
                _mm_storeu_ps(panel + 4 * q, read_four(x + p->shift[t] + p->base[4 * q], step));
            }
        }
    }
}

/* Taps outside, so that sums do not wait for their neighbours'. */
AVX2_INLINE void scatter(float *z, const float *panel, const amun__rows_panel *p, int step)
{
    for (int64_t t = 0; t < p->taps; t++) {
        const float *from = panel + t * PANEL;
        float *to = z + p->shift[t];
        for (int64_t c = 0; c < p->channels; c++, from += p->taps * PANEL, to += p->plane) {
#pragma GCC unroll 4
            for (int q = 0; q < PANEL / 4; q++) {
                add_four(to + p->base[4 * q], _mm_loadu_ps(from + 4 * q), step);
            }
        }
    }
}

AVX2_FUNCTION void amun__rows_gather_avx2(float *panel, const float *x, const amun__rows_panel *p)
{
    if (p->step == 1) {
        gather(panel, x, p, 1);
    } else if (p->step == 2) {
        gather(panel, x, p, 2);
    } else {
        for (int64_t c = 0; c < p->channels; c++, x += p->plane) {
            for (int64_t t = 0; t < p->taps; t++, panel += PANEL) {
                for (int64_t i = 0; i < PANEL; i++) {
                    panel[i] = x[p->shift[t] + p->base[i]];
                }
            }
        }
    }
}

AVX2_FUNCTION void amun__rows_scatter_avx2(float *z, const float *panel, const amun__rows_panel *p)
{
    if (p->step == 1) {
        scatter(z, panel, p, 1);
    } else if (p->step == 2) {
        scatter(z, panel, p, 2);
    } else {
        for (int64_t c = 0; c < p->channels; c++, z += p->plane) {
            for (int64_t t = 0; t < p->taps; t++, panel += PANEL) {
                for (int64_t i = 0; i < p->count; i++) {
                    z[p->shift[t] + p->base[i]] += panel[i];
                }
            }
        }
    }
}

/* `rows` is a constant. */
AVX2_INLINE void forward_rows(float *y, const float *w, const float *panel, int rows, int64_t depth)
{
    __m256 sum[6][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    }
    for (int64_t k = 0; k < depth; k++) {
        if (k % 16 == 0) {
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                _mm_prefetch((const char *)(w + (r + AMUN__ROWS_BLOCK) * depth + k), _MM_HINT_T1);
            }
        }
        const __m256 a = _mm256_loadu_ps(panel + k * PANEL);
        const __m256 b = _mm256_loadu_ps(panel + k * PANEL + 8);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const __m256 weight = _mm256_broadcast_ss(w + r * depth + k);
            sum[r][0] = _mm256_fmadd_ps(weight, a, sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(weight, b, sum[r][1]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        _mm256_storeu_ps(y + r * PANEL, sum[r][0]);
        _mm256_storeu_ps(y + r * PANEL + 8, sum[r][1]);
    }
}

AVX2_FUNCTION void amun__rows_forward_avx2(float *y, const float *w, const float *panel,
                                           int64_t rows, int64_t depth)
{
    for (; rows >= 6; rows -= 6, y += 6 * PANEL, w += 6 * depth) {
        forward_rows(y, w, panel, 6, depth);
    }
    for (; rows >= 2; rows -= 2, y += 2 * PANEL, w += 2 * depth) {
        forward_rows(y, w, panel, 2, depth);
    }
    if (rows == 1) {
        forward_rows(y, w, panel, 1, depth);
    }
}

/* `depths` rows of the panel, a constant; the weights' rows lie `stride` apart. */
AVX2_INLINE void adjoint_depths(float *panel, const float *w, const float *y, int64_t rows,
                                int64_t stride, int depths, bool add)
{
    __m256 sum[6][2];
#pragma GCC unroll 6
    for (int d = 0; d < depths; d++) {
        sum[d][0] = add ? _mm256_loadu_ps(panel + d * PANEL) : _mm256_setzero_ps();
        sum[d][1] = add ? _mm256_loadu_ps(panel + d * PANEL + 8) : _mm256_setzero_ps();
    }
    for (int64_t r = 0; r < rows; r++) {
        const __m256 a = _mm256_loadu_ps(y + r * PANEL);
        const __m256 b = _mm256_loadu_ps(y + r * PANEL + 8);
#pragma GCC unroll 6
        for (int d = 0; d < depths; d++) {
            const __m256 weight = _mm256_broadcast_ss(w + r * stride + d);
            sum[d][0] = _mm256_fmadd_ps(weight, a, sum[d][0]);
            sum[d][1] = _mm256_fmadd_ps(weight, b, sum[d][1]);
        }
    }
#pragma GCC unroll 6
    for (int d = 0; d < depths; d++) {
        _mm256_storeu_ps(panel + d * PANEL, sum[d][0]);
        _mm256_storeu_ps(panel + d * PANEL + 8, sum[d][1]);
    }
}

AVX2_FUNCTION void amun__rows_adjoint_avx2(float *panel, const float *w, const float *y,
                                           int64_t rows, int64_t depth, bool add)
{
    int64_t k = 0;
    for (; k + 6 <= depth; k += 6) {
        adjoint_depths(panel + k * PANEL, w + k, y, rows, depth, 6, add);
    }
    for (; k < depth; k++) {
        adjoint_depths(panel + k * PANEL, w + k, y, rows, depth, 1, add);
    }
}

#else

/* Never called: amun__linop_rows_can() says no. */
void amun__rows_gather_avx2(float *panel, const float *x, const amun__rows_panel *p)
{
    (void)panel, (void)x, (void)p;
}

void amun__rows_scatter_avx2(float *z, const float *panel, const amun__rows_panel *p)
{
    (void)z, (void)panel, (void)p;
}

void amun__rows_forward_avx2(float *y, const float *w, const float *panel, int64_t rows,
                             int64_t depth)
{
    (void)y, (void)w, (void)panel, (void)rows, (void)depth;
}

void amun__rows_adjoint_avx2(float *panel, const float *w, const float *y, int64_t rows,
                             int64_t depth, bool add)
{
    (void)panel, (void)w, (void)y, (void)rows, (void)depth, (void)add;
}

#endif
