/* winograd_kernels.h - between winograd.c (tiles, memory, threads) and the AVX2 kernels. */
#ifndef AMUN__WINOGRAD_KERNELS_H
#define AMUN__WINOGRAD_KERNELS_H

#include "nn/winograd.h"

enum {
    WINO_POINTS = 36, /* products per tile: 6 x 6 */
    WINO_ROWS = 6,    /* tiles per block of the matrix product */
    WINO_COLUMNS = 16 /* output channels per block */
};

/* Where a chunk's numbers lie. V: [36][tile blocks][src blocks][6][8], M: [36][tile blocks][dst
 * blocks][6][16], U: [36][dst blocks][8 * src blocks][16]; the 36 parts lie `v`, `m`, `u` floats
 * apart, odd numbers of cache lines, so that they do not fall into the same cache set. */
typedef struct wino_layout {
    int64_t tiles_h, tiles_w, tiles; /* tiles: of the whole batch */
    int64_t src_blocks, dst_blocks;  /* of 8, of 16 channels */
    int64_t chunk;                   /* tiles worked on at once, a multiple of 6 */
    int64_t v, m, u;
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

void amun__wino_src_avx2(const wino_chunk *c, float *v, const float *src);
void amun__wino_gemm_avx2(const wino_chunk *c, float *m, const float *v, const float *u);
void amun__wino_dst_avx2(const wino_chunk *c, float *dst, const float *m,
                         const amun__winograd_tail *tail);
/* One block of 16 dst channels with one src channel: g [9][16] to 36 x 16, `stride` floats apart.
 */
void amun__wino_filter_avx2(float *u, int64_t stride, const float *g);

#endif
