/* winograd_strided_avx2.c - convolutions 3x3 with stride 2 by Winograd, with AVX2 and FMA. The rows
 * of the larger image fall into two images. Row 2i + 1 is used by the filter's rows 0 and 2 (of dst
 * rows i + 1 and i), row 2i by its row 1 alone: a filter of two taps over the odd rows and one of
 * one tap over the even ones; the same for columns. F(4, 2) of two taps has 4 finite points and
 * infinity, of one tap only the finite ones, and sums of both share them. So a tile of 4x4 pixels
 * takes 9 x 9 products in the place of 144. Points +-1/2 and +-3/2: least error among those tried.
 */
#include "nn/winograd_kernels.h"

#if defined(__x86_64__)
#include "nn/winograd_avx2.h"

enum { LARGE = 9, SMALL = 5 }; /* parts of a row, see WINO_LARGE */

#define A 0.5f
#define B 1.5f
#define A2 (A * A)
#define B2 (B * B)
#define NA (2 * A * (A2 - B2)) /* prod_{q != A} (A - q), minus that of -A */
#define NB (2 * B * (B2 - A2))

/* ---- one-dimensional transforms; d, y: in the order of rows --------------------------------- */

AVX2_INLINE void finite_src(v8 v[4], v8 d0, v8 d1, v8 d2, v8 d3)
{
    v8 even = _mm256_mul_ps(v8_all(A), _mm256_fnmadd_ps(v8_all(B2), d0, d2));
    v8 odd = _mm256_fnmadd_ps(v8_all(B2), d1, d3);
    v[0] = _mm256_add_ps(odd, even);
    v[1] = _mm256_sub_ps(odd, even);
    even = _mm256_mul_ps(v8_all(B), _mm256_fnmadd_ps(v8_all(A2), d0, d2));
    odd = _mm256_fnmadd_ps(v8_all(A2), d1, d3);
    v[2] = _mm256_add_ps(odd, even);
    v[3] = _mm256_sub_ps(odd, even);
}

AVX2_INLINE void two_taps_src(v8 v[SMALL], v8 d0, v8 d1, v8 d2, v8 d3, v8 d4)
{
    finite_src(v, d0, d1, d2, d3);
    v[4] = _mm256_fmadd_ps(v8_all(A2 * B2), d0, _mm256_fnmadd_ps(v8_all(A2 + B2), d2, d4));
}

/* From an odd row to an odd row. */
AVX2_INLINE void large_src(v8 v[LARGE], const v8 d[LARGE])
{
    two_taps_src(v, d[0], d[2], d[4], d[6], d[8]);
    finite_src(v + SMALL, d[1], d[3], d[5], d[7]);
}

AVX2_INLINE void small_src(v8 v[SMALL], const v8 d[SMALL])
{
    two_taps_src(v, d[0], d[1], d[2], d[3], d[4]);
}

AVX2_INLINE void finite_dst(v8 y[4], const v8 m[4])
{
    v8 a_sum = _mm256_add_ps(m[0], m[1]), a_gap = _mm256_sub_ps(m[0], m[1]);
    v8 b_sum = _mm256_add_ps(m[2], m[3]), b_gap = _mm256_sub_ps(m[2], m[3]);
    y[0] = _mm256_add_ps(a_sum, b_sum);
    y[1] = _mm256_fmadd_ps(v8_all(A), a_gap, _mm256_mul_ps(v8_all(B), b_gap));
    y[2] = _mm256_fmadd_ps(v8_all(A2), a_sum, _mm256_mul_ps(v8_all(B2), b_sum));
    y[3] = _mm256_fmadd_ps(v8_all(A2 * A), a_gap, _mm256_mul_ps(v8_all(B2 * B), b_gap));
}

AVX2_INLINE void small_dst(v8 y[4], const v8 m[SMALL])
{
    finite_dst(y, m);
    y[3] = _mm256_add_ps(y[3], m[4]);
}

/* From an even row to an odd row. */
AVX2_INLINE void large_dst(v8 y[8], const v8 m[LARGE])
{
    v8 even[4], odd[4];
    finite_dst(even, m + SMALL);
    small_dst(odd, m);
    for (int i = 0; i < 4; i++) {
        y[2 * i] = even[i];
        y[2 * i + 1] = odd[i];
    }
}

AVX2_INLINE void filter_1d(v8 u[LARGE], const v8 g[3])
{
    v8 low = _mm256_mul_ps(v8_all(1 / NA), g[0]), high = _mm256_mul_ps(v8_all(A / NA), g[2]);
    u[0] = _mm256_add_ps(low, high);
    u[1] = _mm256_sub_ps(high, low);
    low = _mm256_mul_ps(v8_all(1 / NB), g[0]);
    high = _mm256_mul_ps(v8_all(B / NB), g[2]);
    u[2] = _mm256_add_ps(low, high);
    u[3] = _mm256_sub_ps(high, low);
    u[4] = g[2];
    u[5] = _mm256_mul_ps(v8_all(1 / NA), g[1]);
    u[6] = _mm256_mul_ps(v8_all(-1 / NA), g[1]);
    u[7] = _mm256_mul_ps(v8_all(1 / NB), g[1]);
    u[8] = _mm256_mul_ps(v8_all(-1 / NB), g[1]);
}

/* The adjoint of small_dst. */
AVX2_INLINE void diff_1d(v8 m[SMALL], const v8 y[4])
{
    v8 even = _mm256_fmadd_ps(v8_all(A2), y[2], y[0]);
    v8 odd = _mm256_fmadd_ps(v8_all(A2 * A), y[3], _mm256_mul_ps(v8_all(A), y[1]));
    m[0] = _mm256_add_ps(even, odd);
    m[1] = _mm256_sub_ps(even, odd);
    even = _mm256_fmadd_ps(v8_all(B2), y[2], y[0]);
    odd = _mm256_fmadd_ps(v8_all(B2 * B), y[3], _mm256_mul_ps(v8_all(B), y[1]));
    m[2] = _mm256_add_ps(even, odd);
    m[3] = _mm256_sub_ps(even, odd);
    m[4] = y[3];
}

/* The adjoint of filter_1d. */
AVX2_INLINE void grad_1d(v8 g[3], const v8 u[LARGE])
{
    g[0] = _mm256_fmadd_ps(v8_all(1 / NA), _mm256_sub_ps(u[0], u[1]),
                           _mm256_mul_ps(v8_all(1 / NB), _mm256_sub_ps(u[2], u[3])));
    g[1] = _mm256_fmadd_ps(v8_all(1 / NA), _mm256_sub_ps(u[5], u[6]),
                           _mm256_mul_ps(v8_all(1 / NB), _mm256_sub_ps(u[7], u[8])));
    g[2] = _mm256_fmadd_ps(v8_all(A / NA), _mm256_add_ps(u[0], u[1]),
                           _mm256_fmadd_ps(v8_all(B / NB), _mm256_add_ps(u[2], u[3]), u[4]));
}

/* ---- areas of images ------------------------------------------------------------------------- */

/* 8 channels of a square of pixels that starts at (y, x): those in [y0, y1) x [x0, x1) of it exist,
 * the others are zeros. */
typedef struct area {
    const void *images;
    int64_t at, row, pixel; /* numbers; `at`: of the square's first pixel, which need not exist */
    int64_t y0, y1, x0, x1;
    bool whole;
} area;

static area area_at(const amun__winograd *w, const void *src, int64_t y, int64_t x, int64_t side)
{
    area a = {.images = src, .row = w->src_width * w->src_block, .pixel = w->src_block};
    a.at = y * a.row + x * a.pixel;
    a.y0 = wino_clip(-y, 0, side);
    a.y1 = wino_clip(w->src_height - y, 0, side);
    a.x0 = wino_clip(-x, 0, side);
    a.x1 = wino_clip(w->src_width - x, 0, side);
    a.whole = a.y0 + a.x0 == 0 && a.y1 + a.x1 == 2 * side;
    return a;
}

AVX2_INLINE v8 read_at(const area *a, int64_t plane, int64_t y, int64_t x, bool whole, bool bf16)
{
    bool exists = whole || (y >= a->y0 && y < a->y1 && x >= a->x0 && x < a->x1);
    return exists ? v8_load(a->images, plane + a->at + y * a->row + x * a->pixel, bf16) : v8_all(0);
}

/* ---- images to V ----------------------------------------------------------------------------- */

AVX2_INLINE void large_tile(float *v, int64_t stride, const area *a, int64_t plane, bool whole,
                            bool bf16)
{
    v8 half[LARGE][LARGE], d[LARGE], out[LARGE];
    for (int64_t x = 0; x < LARGE; x++) {
        for (int64_t y = 0; y < LARGE; y++) {
            d[y] = read_at(a, plane, y, x, whole, bf16);
        }
        large_src(out, d);
        for (int64_t y = 0; y < LARGE; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < LARGE; y++) {
        large_src(out, half[y]);
        for (int64_t x = 0; x < LARGE; x++) {
            _mm256_store_ps(v + (y * LARGE + x) * stride, out[x]);
        }
    }
}

AVX2_INLINE void small_tile(float *v, int64_t stride, const area *a, int64_t plane, bool whole,
                            bool bf16)
{
    v8 half[SMALL][SMALL], d[SMALL], out[SMALL];
    for (int64_t x = 0; x < SMALL; x++) {
        for (int64_t y = 0; y < SMALL; y++) {
            d[y] = read_at(a, plane, y, x, whole, bf16);
        }
        small_src(out, d);
        for (int64_t y = 0; y < SMALL; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < SMALL; y++) {
        small_src(out, half[y]);
        for (int64_t x = 0; x < SMALL; x++) {
            _mm256_store_ps(v + (y * SMALL + x) * stride, out[x]);
        }
    }
}

AVX2_INLINE void any_tile(float *v, int64_t stride, const area *a, int64_t plane, bool large,
                          bool bf16)
{
    if (large && a->whole) {
        large_tile(v, stride, a, plane, true, bf16);
    } else if (large) {
        large_tile(v, stride, a, plane, false, bf16);
    } else if (a->whole) {
        small_tile(v, stride, a, plane, true, bf16);
    } else {
        small_tile(v, stride, a, plane, false, bf16);
    }
}

AVX2_INLINE void src_tiles(const wino_chunk *c, float *v, const void *src, bool large, bool bf16)
{
    const amun__winograd *w = c->w;
    const int64_t pixels = w->src_height * w->src_width;
    for (int64_t i = 0; i < c->count; i++) {
        const wino_tile tile = wino_tile_at(c->at, c->first + i);
        const area a = large ? area_at(w, src, 2 * tile.y - 1, 2 * tile.x - 1, LARGE)
                             : area_at(w, src, tile.y, tile.x, SMALL);
        float *to = v + i / WINO_ROWS * c->at->v_tiles + i % WINO_ROWS * 8;
        for (int64_t b = 0; b < c->at->src_blocks; b++) {
            const int64_t plane =
                wino_plane_at(tile.image, b, w->src_channels, w->src_block, pixels);
            any_tile(to + b * c->at->v_block, c->at->v, &a, plane, large, bf16);
        }
    }
}

AVX2_FUNCTION void amun__wino_down_src_avx2(const wino_chunk *c, float *v, const void *src)
{
    if (c->w->src_bf16) {
        src_tiles(c, v, src, true, true);
    } else {
        src_tiles(c, v, src, true, false);
    }
}

AVX2_FUNCTION void amun__wino_up_src_avx2(const wino_chunk *c, float *v, const void *src)
{
    if (c->w->src_bf16) {
        src_tiles(c, v, src, false, true);
    } else {
        src_tiles(c, v, src, false, false);
    }
}

/* ---- M = V U --------------------------------------------------------------------------------- */

/* Up to four pairs of V and U whose products go into the same M. */
typedef struct terms {
    const float *a[4], *b[4];
    int64_t count;
} terms;

/* 6 tiles by 16 channels. */
AVX2_INLINE void block_sum(float *m, const terms *t, int64_t blocks)
{
    wino_block sum;
    wino_clear(&sum);
    for (int64_t s = 0; s < t->count; s++) {
        wino_add_products(&sum, t->a[s], t->b[s], blocks);
    }
    wino_store_block(m, &sum);
}

/* The parts of the larger tile that belong to part `small` of the smaller one. */
static int64_t parts_of(int64_t parts[4], int64_t small)
{
    const int64_t y = small / SMALL, x = small % SMALL;
    int64_t count = 0;
    for (int64_t i = 0; i < 4; i++) {
        const bool even_y = i / 2 == 1, even_x = i % 2 == 1;
        if ((even_y && y == 4) || (even_x && x == 4)) { /* one tap has nothing at infinity */
            continue;
        }
        parts[count++] = (even_y ? y + SMALL : y) * LARGE + (even_x ? x + SMALL : x);
    }
    return count;
}

AVX2_INLINE void gemm_part(const wino_chunk *c, float *m, const float *v, const float *u,
                           const int64_t *v_parts, const int64_t *u_parts, int64_t count)
{
    const wino_layout *at = c->at;
    const int64_t rows = (c->count + WINO_ROWS - 1) / WINO_ROWS;
    for (int64_t j = 0; j < at->dst_blocks; j++) {
        terms t = {.count = count};
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t s = 0; s < count; s++) {
                t.a[s] = v + v_parts[s] * at->v + i * at->v_tiles;
                t.b[s] = u + u_parts[s] * at->u + j * at->src_blocks * 8 * WINO_COLUMNS;
            }
            block_sum(m + i * at->m_tiles + j * at->m_block, &t, at->src_blocks);
        }
    }
}

AVX2_FUNCTION void amun__wino_down_gemm_avx2(const wino_chunk *c, float *m, const float *v,
                                             const float *u)
{
    for (int64_t small = 0; small < WINO_SMALL; small++) {
        int64_t parts[4], count = parts_of(parts, small);
        gemm_part(c, m + small * c->at->m, v, u, parts, parts, count);
    }
}

AVX2_FUNCTION void amun__wino_up_gemm_avx2(const wino_chunk *c, float *m, const float *v,
                                           const float *u)
{
    for (int64_t part = 0; part < WINO_LARGE; part++) {
        const int64_t small = wino_small_of(part);
        gemm_part(c, m + part * c->at->m, v, u, &small, &part, 1);
    }
}

/* ---- M to images ----------------------------------------------------------------------------- */

/* Where 8 channels of a tile go: `rows` x `columns` pixels of it exist. */
typedef struct target {
    void *images;
    int64_t at, row, pixel, rows, columns;
    v8 bias;
    const amun__winograd_tail *tail;
} target;

AVX2_INLINE void write_row(const target *t, int64_t y, const v8 *out, bool bf16)
{
    int64_t to = t->at + y * t->row;
    for (int64_t x = 0; x < t->columns; x++, to += t->pixel) {
        v8 value = _mm256_add_ps(out[x], t->bias);
        if (t->tail->sum) {
            value = _mm256_add_ps(value, v8_load(t->images, to, bf16));
        }
        value = t->tail->relu ? _mm256_max_ps(v8_all(0), value) : value; /* NaN stays NaN */
        v8_store(t->images, to, value, bf16);
    }
}

AVX2_INLINE void small_out(const target *t, const float *m, int64_t stride, bool bf16)
{
    v8 half[4][SMALL], in[SMALL], out[4];
    for (int64_t x = 0; x < SMALL; x++) {
        for (int64_t y = 0; y < SMALL; y++) {
            in[y] = _mm256_load_ps(m + (y * SMALL + x) * stride);
        }
        small_dst(out, in);
        for (int64_t y = 0; y < 4; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < t->rows; y++) {
        small_dst(out, half[y]);
        write_row(t, y, out, bf16);
    }
}

AVX2_INLINE void large_out(const target *t, const float *m, int64_t stride, bool bf16)
{
    v8 half[8][LARGE], in[LARGE], out[8];
    for (int64_t x = 0; x < LARGE; x++) {
        for (int64_t y = 0; y < LARGE; y++) {
            in[y] = _mm256_load_ps(m + (y * LARGE + x) * stride);
        }
        large_dst(out, in);
        for (int64_t y = 0; y < 8; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < t->rows; y++) {
        large_dst(out, half[y]);
        write_row(t, y, out, bf16);
    }
}

AVX2_INLINE void dst_tiles(const wino_chunk *c, void *dst, const float *m,
                           const amun__winograd_tail *tail, bool large, bool bf16)
{
    const amun__winograd *w = c->w;
    const int64_t pixels = w->dst_height * w->dst_width, scale = large ? 2 : 1;
    const int64_t eights = (w->dst_channels + w->dst_block - 1) / w->dst_block * w->dst_block / 8;
    for (int64_t i = 0; i < c->count; i++) {
        const wino_tile tile = wino_tile_at(c->at, c->first + i);
        const int64_t y = scale * tile.y, x = scale * tile.x;
        target t = {.images = dst,
                    .row = w->dst_width * w->dst_block,
                    .pixel = w->dst_block,
                    .rows = wino_clip(w->dst_height - y, 0, 4 * scale),
                    .columns = wino_clip(w->dst_width - x, 0, 4 * scale),
                    .tail = tail};
        const float *from = m + i / WINO_ROWS * c->at->m_tiles + i % WINO_ROWS * WINO_COLUMNS;
        for (int64_t b = 0; b < eights; b++) {
            const float *at = from + b / 2 * c->at->m_block + b % 2 * 8;
            t.at = wino_plane_at(tile.image, b, w->dst_channels, w->dst_block, pixels) + y * t.row +
                   x * t.pixel;
            t.bias = wino_bias_at(w, tail->bias, b * 8);
            if (large) {
                large_out(&t, at, c->at->m, bf16);
            } else {
                small_out(&t, at, c->at->m, bf16);
            }
        }
    }
}

AVX2_FUNCTION void amun__wino_down_dst_avx2(const wino_chunk *c, void *dst, const float *m,
                                            const amun__winograd_tail *tail)
{
    if (c->w->dst_bf16) {
        dst_tiles(c, dst, m, tail, false, true);
    } else {
        dst_tiles(c, dst, m, tail, false, false);
    }
}

AVX2_FUNCTION void amun__wino_up_dst_avx2(const wino_chunk *c, void *dst, const float *m,
                                          const amun__winograd_tail *tail)
{
    if (c->w->dst_bf16) {
        dst_tiles(c, dst, m, tail, true, true);
    } else {
        dst_tiles(c, dst, m, tail, true, false);
    }
}

/* ---- by weights: gradients of dst to M, U to filters ----------------------------------------- */

AVX2_INLINE void diff_tile(float *m, int64_t stride, const area *a, int64_t plane, bool bf16)
{
    v8 half[SMALL][4], in[4], out[SMALL];
    for (int64_t x = 0; x < 4; x++) {
        for (int64_t y = 0; y < 4; y++) {
            in[y] = read_at(a, plane, y, x, a->whole, bf16);
        }
        diff_1d(out, in);
        for (int64_t y = 0; y < SMALL; y++) {
            half[y][x] = out[y];
        }
    }
    for (int64_t y = 0; y < SMALL; y++) {
        diff_1d(out, half[y]);
        for (int64_t x = 0; x < SMALL; x++) {
            _mm256_store_ps(m + (y * SMALL + x) * stride, out[x]);
        }
    }
}

AVX2_INLINE void diff_tiles(const wino_chunk *c, float *m, const void *diff_dst, bool bf16)
{
    const amun__winograd *w = c->w;
    const amun__winograd as_src = {
        .src_height = w->dst_height, .src_width = w->dst_width, .src_block = w->dst_block};
    const int64_t pixels = w->dst_height * w->dst_width;
    const int64_t eights = (w->dst_channels + w->dst_block - 1) / w->dst_block * w->dst_block / 8;
    for (int64_t i = 0; i < c->count; i++) {
        const wino_tile tile = wino_tile_at(c->at, c->first + i);
        const area a = area_at(&as_src, diff_dst, tile.y, tile.x, 4);
        float *to = m + i / WINO_ROWS * c->at->m_tiles + i % WINO_ROWS * WINO_COLUMNS;
        for (int64_t b = 0; b < eights; b++) {
            const int64_t plane =
                wino_plane_at(tile.image, b, w->dst_channels, w->dst_block, pixels);
            diff_tile(to + b / 2 * c->at->m_block + b % 2 * 8, c->at->m, &a, plane, bf16);
        }
    }
}

AVX2_FUNCTION void amun__wino_down_diff_avx2(const wino_chunk *c, float *m, const void *diff_dst)
{
    if (c->w->dst_bf16) {
        diff_tiles(c, m, diff_dst, true);
    } else {
        diff_tiles(c, m, diff_dst, false);
    }
}

AVX2_FUNCTION void amun__wino_down_filter_avx2(float *u, int64_t stride, const float *g)
{
    for (int64_t b = 0; b < WINO_COLUMNS; b += 8) {
        v8 half[3][LARGE], in[3], out[LARGE];
        for (int64_t y = 0; y < 3; y++) {
            for (int64_t x = 0; x < 3; x++) {
                in[x] = _mm256_load_ps(g + (y * 3 + x) * WINO_COLUMNS + b);
            }
            filter_1d(half[y], in);
        }
        for (int64_t x = 0; x < LARGE; x++) {
            for (int64_t y = 0; y < 3; y++) {
                in[y] = half[y][x];
            }
            filter_1d(out, in);
            for (int64_t y = 0; y < LARGE; y++) {
                _mm256_store_ps(u + (y * LARGE + x) * stride + b, out[y]);
            }
        }
    }
}

AVX2_FUNCTION void amun__wino_down_grad_avx2(float *g, const float *u, int64_t stride)
{
    for (int64_t b = 0; b < WINO_COLUMNS; b += 8) {
        v8 half[3][LARGE], in[LARGE], out[3];
        for (int64_t x = 0; x < LARGE; x++) {
            for (int64_t y = 0; y < LARGE; y++) {
                in[y] = _mm256_load_ps(u + (y * LARGE + x) * stride + b);
            }
            grad_1d(out, in);
            for (int64_t y = 0; y < 3; y++) {
                half[y][x] = out[y];
            }
        }
        for (int64_t y = 0; y < 3; y++) {
            grad_1d(out, half[y]);
            for (int64_t x = 0; x < 3; x++) {
                _mm256_store_ps(g + (y * 3 + x) * WINO_COLUMNS + b, out[x]);
            }
        }
    }
}

#endif
