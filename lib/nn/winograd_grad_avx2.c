/* winograd_grad_avx2.c - the stages of the gradient of the weights with AVX2 and FMA: gradients of
 * dst to M, sums over tiles U = V' M, U to filters. */
#include "nn/winograd_kernels.h"

#if defined(__x86_64__)
#include "nn/winograd_avx2.h"

/* 8 channels of a tile; what lies past the image's end counts as zeros. */
AVX2_INLINE void diff_tile(float *m, int64_t stride, const void *diff, int64_t from, int64_t row,
                           int64_t pixel, int64_t rows, int64_t columns, bool bf16)
{
    v8 half[6][4], in[4], out[6];
    for (int64_t x = 0; x < 4; x++) {
        for (int64_t y = 0; y < 4; y++) {
            in[y] = y < rows && x < columns ? v8_load(diff, from + y * row + x * pixel, bf16)
                                            : _mm256_setzero_ps();
        }
        wino_diff_1d(out, in);
        for (int64_t y = 0; y < 6; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < 6; y++) {
        wino_diff_1d(out, half[y]);
        for (int64_t x = 0; x < 6; x++) {
            _mm256_store_ps(m + (y * 6 + x) * stride, out[x]);
        }
    }
}

AVX2_INLINE void diff_tiles(const wino_chunk *c, float *m, const void *diff_dst, bool bf16)
{
    const amun__winograd *w = c->w;
    const int64_t pixel = w->dst_block, row = w->dst_width * pixel;
    const int64_t eights = (w->dst_channels + pixel - 1) / pixel * pixel / 8;
    for (int64_t i = 0; i < c->count; i++) {
        wino_tile tile = wino_tile_at(c->at, c->first + i);
        int64_t rows = wino_clip(w->dst_height - tile.y, 0, 4);
        int64_t columns = wino_clip(w->dst_width - tile.x, 0, 4);
        float *to = m + i / WINO_ROWS * c->at->m_tiles + i % WINO_ROWS * WINO_COLUMNS;
        for (int64_t b = 0; b < eights; b++) {
            const int64_t from =
                tile.y * row + tile.x * pixel +
                wino_plane_at(tile.image, b, w->dst_channels, pixel, w->dst_height * w->dst_width);
            float *at = to + b / 2 * c->at->m_block + b % 2 * 8;
            if (rows == 4 && columns == 4) {
                diff_tile(at, c->at->m, diff_dst, from, row, pixel, 4, 4, bf16);
            } else {
                diff_tile(at, c->at->m, diff_dst, from, row, pixel, rows, columns, bf16);
            }
        }
    }
}

AVX2_FUNCTION void amun__wino_diff_avx2(const wino_chunk *c, float *m, const void *diff_dst)
{
    if (c->w->dst_bf16) {
        diff_tiles(c, m, diff_dst, true);
    } else {
        diff_tiles(c, m, diff_dst, false);
    }
}

/* 4 src channels by 16 dst channels; a: [tiles][8], b: [tiles][16], u: [4][16]. */
AVX2_INLINE void block_outer(float *u, const float *a, const float *b, int64_t tiles, bool add)
{
    v8 sum[4][2];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        sum[k][0] = add ? _mm256_load_ps(u + k * WINO_COLUMNS) : _mm256_setzero_ps();
        sum[k][1] = add ? _mm256_load_ps(u + k * WINO_COLUMNS + 8) : _mm256_setzero_ps();
    }
#pragma GCC unroll 4
    for (int64_t t = 0; t < tiles; t++) {
        v8 b0 = _mm256_load_ps(b + t * WINO_COLUMNS);
        v8 b1 = _mm256_load_ps(b + t * WINO_COLUMNS + 8);
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            v8 x = _mm256_broadcast_ss(a + t * 8 + k);
            sum[k][0] = _mm256_fmadd_ps(x, b0, sum[k][0]);
            sum[k][1] = _mm256_fmadd_ps(x, b1, sum[k][1]);
        }
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        _mm256_store_ps(u + k * WINO_COLUMNS, sum[k][0]);
        _mm256_store_ps(u + k * WINO_COLUMNS + 8, sum[k][1]);
    }
}

AVX2_FUNCTION void amun__wino_outer_avx2(const wino_chunk *c, float *u, const float *v,
                                         const float *m, int64_t point, int64_t j, bool add)
{
    const wino_layout *at = c->at;
    const int64_t of_m = at->u_points == WINO_SAME ? point : wino_small_of(point);
    const float *b = m + of_m * at->m + j * at->m_block;
    float *to = u + point * at->u + j * at->src_blocks * 8 * WINO_COLUMNS;
    for (int64_t i = 0; i < at->src_blocks * 2; i++, to += 4 * WINO_COLUMNS) {
        const float *a = v + point * at->v + i / 2 * at->v_block + i % 2 * 4;
        if (add) {
            block_outer(to, a, b, c->count, true);
        } else {
            block_outer(to, a, b, c->count, false);
        }
    }
}

/* u: 36 x 16, `stride` floats apart; g: [9][16]. */
AVX2_FUNCTION void amun__wino_grad_avx2(float *g, const float *u, int64_t stride)
{
    for (int64_t b = 0; b < WINO_COLUMNS; b += 8) {
        v8 half[3][6], in[6], out[3];
        for (int64_t x = 0; x < 6; x++) {
            for (int64_t y = 0; y < 6; y++) {
                in[y] = _mm256_load_ps(u + (y * 6 + x) * stride + b);
            }
            wino_grad_1d(out, in);
            for (int64_t y = 0; y < 3; y++) {
                half[y][x] = out[y];
            }
        }
        for (int64_t y = 0; y < 3; y++) {
            wino_grad_1d(out, half[y]);
            for (int64_t x = 0; x < 3; x++) {
                _mm256_store_ps(g + (y * 3 + x) * WINO_COLUMNS + b, out[x]);
            }
        }
    }
}

#endif
