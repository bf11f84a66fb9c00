/* winograd_kernels.h - between winograd.c (tiles, memory, threads) and the AVX2 kernels. */
#ifndef AMUN__WINOGRAD_KERNELS_H
#define AMUN__WINOGRAD_KERNELS_H

#include "nn/winograd.h"

/* Products per tile: SAME 6 x 6. With stride 2 a row of the larger image's tile has 9 parts: 5
 * points for its odd rows, which meet two rows of the filter, and 4 for its even ones, which meet
 * one; the same for columns. A row of the smaller image's tile has 5: those 4 are its first 4. */
enum {
    WINO_SAME = 36,
    WINO_LARGE = 81,
    WINO_SMALL = 25,
    WINO_ROWS = 6,    /* tiles per block of the matrix product */
    WINO_COLUMNS = 16 /* output channels per block */
};

/* Where a chunk's numbers lie. V: [v_points][tile blocks][src blocks][6][8], M: [m_points][tile
 * blocks][dst blocks][6][16], by weights with the blocks of channels outermost, V: [v_points][src
 * blocks][tiles][8] and M: [m_points][dst blocks][tiles][16]; U: [u_points][dst blocks][8 * src
 * blocks][16]. The parts lie `v`, `m`, `u` floats apart, odd numbers of cache lines, so that they
 * do not fall into the same cache set. */
typedef struct wino_layout {
    int64_t tiles_h, tiles_w, tiles; /* tiles: of the whole batch */
    int64_t src_blocks, dst_blocks;  /* of 8, of 16 channels */
    int64_t chunk;                   /* tiles worked on at once, a multiple of 6 */
    int64_t v_points, m_points, u_points;
    int64_t v, m, u;
    int64_t v_tiles, v_block, m_tiles, m_block; /* from 6 tiles, from a block, to the next */
} wino_layout;

typedef struct wino_chunk {
    const amun__winograd *w;
    const wino_layout *at;
    int64_t first, count; /* tiles */
} wino_chunk;

/* Where an image's tile starts. */
typedef struct wino_tile {
    int64_t image, y, x; /* y, x: in dst, multiples of 4 */
} wino_tile;

static inline wino_tile wino_tile_at(const wino_layout *at, int64_t tile)
{
    int64_t per_image = at->tiles_h * at->tiles_w, rest = tile % per_image;
    return (wino_tile){tile / per_image, rest / at->tiles_w * 4, rest % at->tiles_w * 4};
}

/* Where the b-th 8 channels of an image start. */
static inline int64_t wino_plane_at(int64_t image, int64_t b, int64_t channels, int64_t block,
                                    int64_t pixels)
{
    int64_t blocks = (channels + block - 1) / block, from = b * 8;
    return (image * blocks + from / block) * pixels * block + from % block;
}

/* Of a part of the larger image's tile: the smaller one's that belongs to it. */
static inline int64_t wino_small_of(int64_t part)
{
    const int64_t y = part / 9, x = part % 9;
    return (y < 5 ? y : y - 5) * 5 + (x < 5 ? x : x - 5);
}

static inline int64_t wino_clip(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* [planes][pixels] to [pixels][8], zeros for planes that do not exist, and back; at most 8. */
void amun__wino_to_block_avx2(float *to, const float *from, int64_t planes, int64_t pixels);
void amun__wino_to_planes_avx2(float *to, const float *from, int64_t planes, int64_t pixels);
void amun__wino_src_avx2(const wino_chunk *c, float *v, const void *src);
void amun__wino_gemm_avx2(const wino_chunk *c, float *m, const float *v, const float *u);
void amun__wino_dst_avx2(const wino_chunk *c, void *dst, const float *m,
                         const amun__winograd_tail *tail);
/* By weights: gradients of dst to M; then 16 dst channels `j` of point `point`, all src channels:
 * U = V' M, or U += V' M. Back to filters: the adjoint of the filter's transform. */
void amun__wino_diff_avx2(const wino_chunk *c, float *m, const void *diff_dst);
void amun__wino_outer_avx2(const wino_chunk *c, float *u, const float *v, const float *m,
                           int64_t point, int64_t j, bool add);
void amun__wino_grad_avx2(float *g, const float *u, int64_t stride);
/* 16 filters of 9, `stride` floats apart, to g [9][16]; turned: the last tap first. */
void amun__wino_gather_avx2(float *g, const float *from, int64_t stride, bool turned);
/* One block of 16 dst channels with one src channel: g [9][16] to 36 x 16, `stride` floats apart.
 */
void amun__wino_filter_avx2(float *u, int64_t stride, const float *g);

/* The same stages with stride 2: DOWN, UP, and by weights of DOWN. */
void amun__wino_down_src_avx2(const wino_chunk *c, float *v, const void *src);
void amun__wino_down_gemm_avx2(const wino_chunk *c, float *m, const float *v, const float *u);
void amun__wino_down_dst_avx2(const wino_chunk *c, void *dst, const float *m,
                              const amun__winograd_tail *tail);
void amun__wino_up_src_avx2(const wino_chunk *c, float *v, const void *src);
void amun__wino_up_gemm_avx2(const wino_chunk *c, float *m, const float *v, const float *u);
void amun__wino_up_dst_avx2(const wino_chunk *c, void *dst, const float *m,
                            const amun__winograd_tail *tail);
void amun__wino_down_diff_avx2(const wino_chunk *c, float *m, const void *diff_dst);
void amun__wino_down_filter_avx2(float *u, int64_t stride, const float *g);
void amun__wino_down_grad_avx2(float *g, const float *u, int64_t stride);

#endif
