/* winograd_avx2.c - the three stages of a chunk of tiles with AVX2 and FMA: images to V, 36 matrix
 * products M = V U, M to images. Filters to U. */
#include "nn/winograd_kernels.h"

#if defined(__x86_64__)
#include "nn/winograd_avx2.h"

/* ---- planes and blocks of 8 channels --------------------------------------------------------- */

AVX2_INLINE void transpose_8(v8 to[8], const v8 from[8])
{
    v8 pair[8], quad[8];
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_ps(from[i], from[i + 1]);
        pair[i + 1] = _mm256_unpackhi_ps(from[i], from[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; j++) {
            quad[i + 2 * j] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], 0x44);
            quad[i + 2 * j + 1] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], 0xee);
        }
    }
    for (int i = 0; i < 4; i++) {
        to[i] = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x20);
        to[i + 4] = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x31);
    }
}

AVX2_FUNCTION void amun__wino_to_block_avx2(float *to, const float *from, int64_t planes,
                                            int64_t pixels)
{
    int64_t p = 0;
    for (; planes == 8 && p + 8 <= pixels; p += 8) {
        v8 columns[8], rows[8];
        for (int64_t i = 0; i < 8; i++) {
            columns[i] = _mm256_loadu_ps(from + i * pixels + p);
        }
        transpose_8(rows, columns);
        for (int64_t i = 0; i < 8; i++) {
            _mm256_storeu_ps(to + (p + i) * 8, rows[i]);
        }
    }
    for (; p < pixels; p++) {
        for (int64_t i = 0; i < 8; i++) {
            to[p * 8 + i] = i < planes ? from[i * pixels + p] : 0.0f;
        }
    }
}

AVX2_FUNCTION void amun__wino_to_planes_avx2(float *to, const float *from, int64_t planes,
                                             int64_t pixels)
{
    int64_t p = 0;
    for (; planes == 8 && p + 8 <= pixels; p += 8) {
        v8 columns[8], rows[8];
        for (int64_t i = 0; i < 8; i++) {
            rows[i] = _mm256_loadu_ps(from + (p + i) * 8);
        }
        transpose_8(columns, rows);
        for (int64_t i = 0; i < 8; i++) {
            _mm256_storeu_ps(to + i * pixels + p, columns[i]);
        }
    }
    for (; p < pixels; p++) {
        for (int64_t i = 0; i < planes; i++) {
            to[i * pixels + p] = from[p * 8 + i];
        }
    }
}

/* ---- images to V ---------------------------------------------------------------------------- */

/* 8 channels of one image, from which a tile reads 6x6 pixels: those in [y0, y1) x [x0, x1) exist,
 * the others are zeros. `at` points to the tile's first pixel, which need not exist. */
typedef struct patch {
    const void *images;
    int64_t plane;      /* where these 8 channels start */
    int64_t row, pixel; /* numbers from one to the next */
    int64_t y, x;       /* of the tile's first pixel */
    int64_t y0, y1, x0, x1;
} patch;

AVX2_INLINE void read_column(v8 d[6], const patch *p, int64_t x, bool inside, bool bf16)
{
    const int64_t at = p->plane + p->y * p->row + (p->x + x) * p->pixel;
    for (int64_t y = 0; y < 6; y++) {
        bool exists = inside || (y >= p->y0 && y < p->y1 && x >= p->x0 && x < p->x1);
        d[y] = exists ? v8_load(p->images, at + y * p->row, bf16) : _mm256_setzero_ps();
    }
}

AVX2_INLINE void src_tile(float *v, int64_t stride, const patch *p, bool inside, bool bf16)
{
    v8 half[6][6], d[6], out[6];
    for (int64_t x = 0; x < 6; x++) {
        read_column(d, p, x, inside, bf16);
        wino_src_1d(out, d);
        for (int64_t y = 0; y < 6; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < 6; y++) {
        wino_src_1d(out, half[y]);
        for (int64_t x = 0; x < 6; x++) {
            _mm256_store_ps(v + (y * 6 + x) * stride, out[x]);
        }
    }
}

static patch patch_at(const amun__winograd *w, const void *src, wino_tile tile)
{
    patch p = {.images = src,
               .row = w->src_width * w->src_block,
               .pixel = w->src_block,
               .y = tile.y - w->pad[0],
               .x = tile.x - w->pad[1]};
    p.y0 = wino_clip(-p.y, 0, 6);
    p.y1 = wino_clip(w->src_height - p.y, 0, 6);
    p.x0 = wino_clip(-p.x, 0, 6);
    p.x1 = wino_clip(w->src_width - p.x, 0, 6);
    return p;
}

AVX2_INLINE void src_tiles(const wino_chunk *c, float *v, const void *src, bool bf16)
{
    const amun__winograd *w = c->w;
    const int64_t blocks = c->at->src_blocks, pixels = w->src_height * w->src_width;
    for (int64_t first = 0; first < c->count; first += WINO_ROWS) {
        float *to = v + first / WINO_ROWS * c->at->v_tiles;
        int64_t rows = c->count - first < WINO_ROWS ? c->count - first : WINO_ROWS;
        patch p[WINO_ROWS];
        int64_t image[WINO_ROWS];
        for (int64_t r = 0; r < rows; r++) {
            wino_tile tile = wino_tile_at(c->at, c->first + first + r);
            p[r] = patch_at(w, src, tile);
            image[r] = tile.image;
        }
        for (int64_t b = 0; b < blocks; b++) {
            for (int64_t r = 0; r < rows; r++) {
                p[r].plane = wino_plane_at(image[r], b, w->src_channels, w->src_block, pixels);
                if (p[r].y0 + p[r].x0 == 0 && p[r].y1 + p[r].x1 == 12) {
                    src_tile(to + b * c->at->v_block + r * 8, c->at->v, &p[r], true, bf16);
                } else {
                    src_tile(to + b * c->at->v_block + r * 8, c->at->v, &p[r], false, bf16);
                }
            }
        }
    }
}

AVX2_FUNCTION void amun__wino_src_avx2(const wino_chunk *c, float *v, const void *src)
{
    if (c->w->src_bf16) {
        src_tiles(c, v, src, true);
    } else {
        src_tiles(c, v, src, false);
    }
}

/* ---- M = V U -------------------------------------------------------------------------------- */

/* 6 tiles by 16 channels. */
AVX2_INLINE void block_product(float *m, const float *a, const float *b, int64_t blocks)
{
    wino_block sum;
    wino_clear(&sum);
    wino_add_products(&sum, a, b, blocks);
    wino_store_block(m, &sum);
}

AVX2_FUNCTION void amun__wino_gemm_avx2(const wino_chunk *c, float *m, const float *v,
                                        const float *u)
{
    const wino_layout *at = c->at;
    const int64_t rows = (c->count + WINO_ROWS - 1) / WINO_ROWS;
    for (int64_t point = 0; point < WINO_SAME; point++) {
        for (int64_t j = 0; j < at->dst_blocks; j++) {
            const float *b = u + point * at->u + j * at->src_blocks * 8 * WINO_COLUMNS;
            for (int64_t i = 0; i < rows; i++) {
                block_product(m + point * at->m + i * at->m_tiles + j * at->m_block,
                              v + point * at->v + i * at->v_tiles, b, at->src_blocks);
            }
        }
    }
}

/* ---- M to images ---------------------------------------------------------------------------- */

typedef struct target {
    void *images;
    int64_t at;         /* 8 channels of the tile's first pixel */
    int64_t row, pixel; /* numbers from one to the next */
    int64_t rows, columns;
} target;

AVX2_INLINE void finish(const target *t, int64_t to, v8 y, v8 bias, const amun__winograd_tail *tail,
                        bool bf16)
{
    y = _mm256_add_ps(y, bias);
    if (tail->sum) {
        y = _mm256_add_ps(y, v8_load(t->images, to, bf16));
    }
    y = tail->relu ? _mm256_max_ps(_mm256_setzero_ps(), y) : y; /* NaN stays NaN */
    v8_store(t->images, to, y, bf16);
}

AVX2_INLINE void dst_tile(const target *t, const float *m, int64_t stride, v8 bias,
                          const amun__winograd_tail *tail, bool bf16)
{
    v8 half[4][6], in[6], out[4];
    for (int64_t x = 0; x < 6; x++) {
        for (int64_t y = 0; y < 6; y++) {
            in[y] = _mm256_load_ps(m + (y * 6 + x) * stride);
        }
        wino_dst_1d(out, in);
        for (int64_t y = 0; y < 4; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < t->rows; y++) {
        wino_dst_1d(out, half[y]);
        int64_t to = t->at + y * t->row;
        if (t->columns == 4) {
#pragma GCC unroll 4
            for (int64_t x = 0; x < 4; x++, to += t->pixel) {
                finish(t, to, out[x], bias, tail, bf16);
            }
        } else {
            for (int64_t x = 0; x < t->columns; x++, to += t->pixel) {
                finish(t, to, out[x], bias, tail, bf16);
            }
        }
    }
}

AVX2_INLINE void dst_tiles(const wino_chunk *c, void *dst, const float *m,
                           const amun__winograd_tail *tail, bool bf16)
{
    const amun__winograd *w = c->w;
    const int64_t pixels = w->dst_height * w->dst_width;
    const int64_t eights = (w->dst_channels + w->dst_block - 1) / w->dst_block * w->dst_block / 8;
    for (int64_t i = 0; i < c->count; i++) {
        wino_tile tile = wino_tile_at(c->at, c->first + i);
        target t = {.images = dst,
                    .row = w->dst_width * w->dst_block,
                    .pixel = w->dst_block,
                    .rows = wino_clip(w->dst_height - tile.y, 0, 4),
                    .columns = wino_clip(w->dst_width - tile.x, 0, 4)};
        const float *from = m + i / WINO_ROWS * c->at->m_tiles + i % WINO_ROWS * WINO_COLUMNS;
        for (int64_t b = 0; b < eights; b++) {
            t.at = wino_plane_at(tile.image, b, w->dst_channels, w->dst_block, pixels) +
                   tile.y * t.row + tile.x * t.pixel;
            dst_tile(&t, from + b / 2 * c->at->m_block + b % 2 * 8, c->at->m,
                     wino_bias_at(w, tail->bias, b * 8), tail, bf16);
        }
    }
}

AVX2_FUNCTION void amun__wino_dst_avx2(const wino_chunk *c, void *dst, const float *m,
                                       const amun__winograd_tail *tail)
{
    if (c->w->dst_bf16) {
        dst_tiles(c, dst, m, tail, true);
    } else {
        dst_tiles(c, dst, m, tail, false);
    }
}

/* ---- filters to U --------------------------------------------------------------------------- */

AVX2_FUNCTION void amun__wino_gather_avx2(float *g, const float *from, int64_t stride, bool turned)
{
    for (int64_t b = 0; b < WINO_COLUMNS; b += 8) {
        v8 filters[8], taps[8];
        for (int64_t i = 0; i < 8; i++) {
            filters[i] = _mm256_loadu_ps(from + (b + i) * stride);
            g[(turned ? 0 : 8) * WINO_COLUMNS + b + i] = from[(b + i) * stride + 8];
        }
        transpose_8(taps, filters);
        for (int64_t t = 0; t < 8; t++) {
            _mm256_store_ps(g + (turned ? 8 - t : t) * WINO_COLUMNS + b, taps[t]);
        }
    }
}

AVX2_FUNCTION void amun__wino_filter_avx2(float *u, int64_t stride, const float *g)
{
    for (int64_t b = 0; b < WINO_COLUMNS; b += 8) {
        v8 half[3][6], in[3], out[6];
        for (int64_t y = 0; y < 3; y++) {
            for (int64_t x = 0; x < 3; x++) {
                in[x] = _mm256_load_ps(g + (y * 3 + x) * WINO_COLUMNS + b);
            }
            wino_filter_1d(half[y], in);
        }
        for (int64_t x = 0; x < 6; x++) {
            for (int64_t y = 0; y < 3; y++) {
                in[y] = half[y][x];
            }
            wino_filter_1d(out, in);
            for (int64_t y = 0; y < 6; y++) {
                _mm256_store_ps(u + (y * 6 + x) * stride + b, out[y]);
            }
        }
    }
}

#endif
