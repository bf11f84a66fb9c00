/* winograd.c - Winograd's convolutions (Lavin and Gray, arXiv 1509.09308): which tiles are worked
 * on together, where their numbers lie, which thread does them. */
#include "nn/winograd_kernels.h"

#include "nn/bf16.h"

bool amun__winograd_available(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

#if defined(__x86_64__)

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Floats, as an odd number of cache lines. */
static int64_t odd_lines(int64_t floats)
{
    return (ceil_div(floats, 16) | 1) * 16;
}

/* A chunk's V and M should stay near the core, but the filters are read once per chunk. */
/* Medians over ResNet-18's shapes on one core with 512 KiB of L2: from 32 to 96 tiles all is within
 * 10 %; filters that no cache holds are worth more tiles at once. */
enum {
    CHUNK_BYTES = 768 * 1024,
    CHUNK_LEAST = 48,
    CHUNK_LEAST_LARGE = 96,
    GRAD_TILES = 96,
    GRAD_TILES_LARGE = 192,
    LARGE_FILTERS = 8 * 1024 * 1024,
    PARALLEL_FROM = 512 /* blocks of 16 filters: some 0.2 ms */
};

static bool large_filters(const wino_layout *at)
{
    return at->u_points * 4 * at->src_blocks * 8 * at->dst_blocks * 16 > LARGE_FILTERS;
}

static int64_t chunk_tiles(const wino_layout *at, int32_t threads)
{
    int64_t per_tile = 4 * (at->v_points * at->src_blocks * 8 + at->m_points * at->dst_blocks * 16);
    int64_t chunk = CHUNK_BYTES / per_tile,
            least = large_filters(at) ? CHUNK_LEAST_LARGE : CHUNK_LEAST;
    int64_t chunks = ceil_div(at->tiles, chunk < least ? least : chunk);
    chunks = ceil_div(chunks, threads) * threads; /* as much work for each */
    return ceil_div(ceil_div(at->tiles, chunks), WINO_ROWS) * WINO_ROWS;
}

static wino_layout lay_out(const amun__winograd *w, int32_t threads)
{
    const bool up = w->step == AMUN__WINOGRAD_UP, down = w->step == AMUN__WINOGRAD_DOWN;
    wino_layout at = {.tiles_h = ceil_div(up ? w->src_height : w->dst_height, 4),
                      .tiles_w = ceil_div(up ? w->src_width : w->dst_width, 4),
                      .v_points = up     ? WINO_SMALL
                                  : down ? WINO_LARGE
                                         : WINO_SAME,
                      .m_points = up     ? WINO_LARGE
                                  : down ? WINO_SMALL
                                         : WINO_SAME,
                      .u_points = up || down ? WINO_LARGE : WINO_SAME,
                      .src_blocks = ceil_div(w->src_channels, w->src_block) * w->src_block / 8,
                      .dst_blocks = ceil_div(w->dst_channels, 16)};
    at.tiles = w->batch * at.tiles_h * at.tiles_w;
    at.chunk = chunk_tiles(&at, threads);
    at.v_block = WINO_ROWS * 8;
    at.v_tiles = at.src_blocks * at.v_block;
    at.m_block = WINO_ROWS * WINO_COLUMNS;
    at.m_tiles = at.dst_blocks * at.m_block;
    at.v = odd_lines(at.chunk * at.src_blocks * 8);
    at.m = odd_lines(at.chunk * at.dst_blocks * 16);
    at.u = odd_lines(at.src_blocks * 8 * at.dst_blocks * 16);
    return at;
}

size_t amun__winograd_filter_floats(const amun__winograd *w)
{
    const wino_layout at = lay_out(w, 1);
    return (size_t)(at.u_points * at.u);
}

static int64_t worker_floats(const wino_layout *at)
{
    return at->v_points * at->v + at->m_points * at->m;
}

size_t amun__winograd_scratch_floats(const amun__winograd *w, int32_t threads)
{
    wino_layout at = lay_out(w, threads);
    return (size_t)(threads * worker_floats(&at));
}

/* g[tap][k]: filter from src channel `s` to the dst channel block `j`; zeros past the ends. */
static void gather(float g[9 * WINO_COLUMNS], const amun__winograd *w, const float *weights,
                   int64_t s, int64_t j, bool by_data)
{
    if (s < w->src_channels && (j + 1) * WINO_COLUMNS <= w->dst_channels) {
        const int64_t d = j * WINO_COLUMNS;
        amun__wino_gather_avx2(
            g, weights + 9 * (by_data ? s * w->dst_channels + d : d * w->src_channels + s),
            by_data ? 9 : 9 * w->src_channels, by_data);
        return;
    }
    for (int64_t k = 0; k < WINO_COLUMNS; k++) {
        int64_t d = j * WINO_COLUMNS + k;
        bool exists = s < w->src_channels && d < w->dst_channels;
        const float *from =
            weights + 9 * (by_data ? s * w->dst_channels + d : d * w->src_channels + s);
        for (int64_t tap = 0; tap < 9; tap++) {
            g[tap * WINO_COLUMNS + k] = exists ? from[by_data ? 8 - tap : tap] : 0;
        }
    }
}

void amun__winograd_filters(const amun__winograd *w, float *dst, const float *weights, bool by_data,
                            int32_t threads)
{
    (void)threads; /* without OpenMP */
    const wino_layout at = lay_out(w, 1);
    const int64_t sources = at.src_blocks * 8, blocks = at.dst_blocks * sources;
    const bool same = w->step == AMUN__WINOGRAD_SAME;
#pragma omp parallel for schedule(static) num_threads(threads) if (blocks >= PARALLEL_FROM)
    for (int64_t i = 0; i < blocks; i++) {
        _Alignas(32) float g[9 * WINO_COLUMNS];
        gather(g, w, weights, i % sources, i / sources, by_data);
        (same ? amun__wino_filter_avx2 : amun__wino_down_filter_avx2)(dst + i * WINO_COLUMNS, at.u,
                                                                      g);
    }
}

/* The three stages of a pass. */
static const struct {
    void (*src)(const wino_chunk *c, float *v, const void *src);
    void (*gemm)(const wino_chunk *c, float *m, const float *v, const float *u);
    void (*dst)(const wino_chunk *c, void *dst, const float *m, const amun__winograd_tail *tail);
} stages[] = {
    [AMUN__WINOGRAD_SAME] = {amun__wino_src_avx2, amun__wino_gemm_avx2, amun__wino_dst_avx2},
    [AMUN__WINOGRAD_DOWN] = {amun__wino_down_src_avx2, amun__wino_down_gemm_avx2,
                             amun__wino_down_dst_avx2},
    [AMUN__WINOGRAD_UP] = {amun__wino_up_src_avx2, amun__wino_up_gemm_avx2, amun__wino_up_dst_avx2},
};

void amun__winograd_run(const amun__winograd *w, void *dst, const void *src, const float *filters,
                        const amun__winograd_tail *tail, float *scratch, int32_t threads)
{
    const wino_layout at = lay_out(w, threads);
    const int64_t chunks = ceil_div(at.tiles, at.chunk);
    int64_t next = 0;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int32_t worker = 0; worker < threads; worker++) {
        float *v = scratch + worker * worker_floats(&at), *m = v + at.v_points * at.v;
        for (;;) { /* whoever is free takes the next one: tiles do not depend on each other */
            int64_t i;
#pragma omp atomic capture
            i = next++;
            if (i >= chunks) {
                break;
            }
            wino_chunk c = {.w = w, .at = &at, .first = i * at.chunk};
            c.count = at.tiles - c.first < at.chunk ? at.tiles - c.first : at.chunk;
            stages[w->step].src(&c, v, src);
            stages[w->step].gemm(&c, m, v, filters);
            stages[w->step].dst(&c, dst, m, tail);
        }
    }
}

/* Channels of the block that starts with plane `c` of all images. */
static int64_t next_block(int64_t c, int64_t channels)
{
    const int64_t left = channels - c % channels;
    return left < 8 ? left : 8;
}

void amun__winograd_to_blocks(float *to, const float *from, int64_t batch, int64_t channels,
                              int64_t pixels)
{
    for (int64_t c = 0, n; c < batch * channels; c += n, from += n * pixels, to += 8 * pixels) {
        n = next_block(c, channels);
        amun__wino_to_block_avx2(to, from, n, pixels);
    }
}

void amun__winograd_to_planes(float *to, const float *from, int64_t batch, int64_t channels,
                              int64_t pixels)
{
    for (int64_t c = 0, n; c < batch * channels; c += n, from += 8 * pixels, to += n * pixels) {
        n = next_block(c, channels);
        amun__wino_to_planes_avx2(to, from, n, pixels);
    }
}

/* ---- by weights ------------------------------------------------------------------------------ */

/* Threads take chunks of their own and add into a U of their own, so that they need not wait for
 * each other; where U is large or there are few chunks, all work on one chunk and one U. */
typedef struct grad_plan {
    wino_layout at;
    int64_t parts; /* U's */
    int64_t part;  /* floats of one U, V and M */
} grad_plan;

/* As many tiles that sums over them are long beside the reading of U. */
static grad_plan plan_grad(const amun__winograd *w, int32_t threads)
{
    grad_plan plan = {.at = lay_out(w, 1), .parts = 1};
    wino_layout *at = &plan.at;
    int64_t chunks = ceil_div(at->tiles, large_filters(at) ? GRAD_TILES_LARGE : GRAD_TILES);
    if (!large_filters(at) && chunks >= 2 * threads) {
        plan.parts = threads;
        chunks = ceil_div(chunks, threads) * threads; /* as much work for each */
    }
    at->chunk = ceil_div(ceil_div(at->tiles, chunks), WINO_ROWS) * WINO_ROWS;
    at->v_tiles = WINO_ROWS * 8;
    at->v_block = at->chunk * 8;
    at->m_tiles = WINO_ROWS * WINO_COLUMNS;
    at->m_block = at->chunk * WINO_COLUMNS;
    at->v = odd_lines(at->src_blocks * at->v_block);
    at->m = odd_lines(at->dst_blocks * at->m_block);
    plan.part = at->u_points * at->u + at->v_points * at->v + at->m_points * at->m;
    return plan;
}

size_t amun__winograd_grad_scratch_floats(const amun__winograd *w, int32_t threads)
{
    grad_plan plan = plan_grad(w, threads);
    return (size_t)(plan.parts * plan.part);
}

static wino_chunk chunk_from(const amun__winograd *w, const wino_layout *at, int64_t first,
                             int64_t size, int64_t end)
{
    return (wino_chunk){w, at, first, end - first < size ? end - first : size};
}

/* Images and gradients of a chunk to V and to M. */
static void transform(const wino_chunk *c, float *v, float *m, const void *src,
                      const void *diff_dst)
{
    const bool same = c->w->step == AMUN__WINOGRAD_SAME;
    if (v != NULL) {
        stages[c->w->step].src(c, v, src);
    }
    if (m != NULL) {
        (same ? amun__wino_diff_avx2 : amun__wino_down_diff_avx2)(c, m, diff_dst);
    }
}

/* One thread: every parts-th chunk. */
static void grad_alone(const amun__winograd *w, const grad_plan *plan, int64_t part, float *u,
                       const void *src, const void *diff_dst)
{
    const wino_layout *at = &plan->at;
    float *v = u + at->u_points * at->u, *m = v + at->v_points * at->v;
    for (int64_t first = part * at->chunk; first < at->tiles; first += plan->parts * at->chunk) {
        const wino_chunk c = chunk_from(w, at, first, at->chunk, at->tiles);
        transform(&c, v, m, src, diff_dst);
        for (int64_t i = 0; i < at->u_points * at->dst_blocks; i++) {
            amun__wino_outer_avx2(&c, u, v, m, i / at->dst_blocks, i % at->dst_blocks,
                                  first != part * at->chunk);
        }
    }
}

/* All threads: the transforms of a chunk (6 tiles each time), then its 36 products. */
static void grad_together(const amun__winograd *w, const wino_layout *at, int64_t first, float *u,
                          const void *src, const void *diff_dst)
{
    float *v = u + at->u_points * at->u, *m = v + at->v_points * at->v;
    const wino_chunk all = chunk_from(w, at, first, at->chunk, at->tiles);
    const int64_t sixes = ceil_div(all.count, WINO_ROWS);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < 2 * sixes; i++) {
        wino_chunk six = chunk_from(w, at, first + i / 2 * WINO_ROWS, WINO_ROWS, first + all.count);
        transform(&six, i % 2 == 0 ? v + i / 2 * at->v_tiles : NULL,
                  i % 2 == 0 ? NULL : m + i / 2 * at->m_tiles, src, diff_dst);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < at->u_points * at->dst_blocks; i++) {
        amun__wino_outer_avx2(&all, u, v, m, i / at->dst_blocks, i % at->dst_blocks, first > 0);
    }
}

static void grad_sums(const amun__winograd *w, const grad_plan *plan, float *scratch,
                      const void *src, const void *diff_dst, int32_t threads)
{
    (void)threads; /* without OpenMP */
    if (plan->parts > 1) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t part = 0; part < plan->parts; part++) {
            grad_alone(w, plan, part, scratch + part * plan->part, src, diff_dst);
        }
        return;
    }
#pragma omp parallel num_threads(threads)
    for (int64_t first = 0; first < plan->at.tiles; first += plan->at.chunk) {
        grad_together(w, &plan->at, first, scratch, src, diff_dst);
    }
}

/* 16 dst channels' filters of one src channel, the parts added up. */
static void grad_filters(float g[9 * WINO_COLUMNS], const grad_plan *plan, const float *u)
{
    void (*const back)(float *, const float *, int64_t) =
        plan->at.u_points == WINO_SAME ? amun__wino_grad_avx2 : amun__wino_down_grad_avx2;
    back(g, u, plan->at.u);
    for (int64_t part = 1; part < plan->parts; part++) {
        _Alignas(32) float more[9 * WINO_COLUMNS];
        back(more, u + part * plan->part, plan->at.u);
        for (int64_t i = 0; i < 9 * WINO_COLUMNS; i++) {
            g[i] += more[i];
        }
    }
}

static void scatter(const amun__winograd *w, float *diff_weights, const float *g, int64_t s,
                    int64_t j)
{
    for (int64_t k = 0; k < WINO_COLUMNS && j * WINO_COLUMNS + k < w->dst_channels; k++) {
        float *to = diff_weights + 9 * ((j * WINO_COLUMNS + k) * w->src_channels + s);
        for (int64_t tap = 0; tap < 9; tap++) {
            to[tap] = g[tap * WINO_COLUMNS + k];
        }
    }
}

static void add_pixel(double sum[8], const amun__winograd *w, const void *diff_dst, int64_t at)
{
    for (int64_t k = 0; k < 8; k++) {
        sum[k] += w->dst_bf16 ? amun__bf16_to_float(((const amun__bf16 *)diff_dst)[at + k])
                              : ((const float *)diff_dst)[at + k];
    }
}

/* Sums over images and pixels, in double and in their order. */
static void sum_bias(const amun__winograd *w, float *diff_bias, const void *diff_dst,
                     int32_t threads)
{
    (void)threads; /* without OpenMP */
    const int64_t pixels = w->dst_height * w->dst_width;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t b = 0; b < ceil_div(w->dst_channels, 8); b++) {
        double sum[8] = {0};
        for (int64_t image = 0; image < w->batch; image++) {
            const int64_t from = wino_plane_at(image, b, w->dst_channels, w->dst_block, pixels);
            for (int64_t p = 0; p < pixels; p++) {
                add_pixel(sum, w, diff_dst, from + p * w->dst_block);
            }
        }
        for (int64_t k = 0; k < 8 && b * 8 + k < w->dst_channels; k++) {
            diff_bias[b * 8 + k] = (float)sum[k];
        }
    }
}

void amun__winograd_grad(const amun__winograd *w, float *diff_weights, float *diff_bias,
                         const void *src, const void *diff_dst, float *scratch, int32_t threads)
{
    const grad_plan plan = plan_grad(w, threads);
    grad_sums(w, &plan, scratch, src, diff_dst, threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < plan.at.dst_blocks * w->src_channels; i++) {
        _Alignas(32) float g[9 * WINO_COLUMNS];
        int64_t j = i / w->src_channels, s = i % w->src_channels;
        grad_filters(g, &plan, scratch + (j * plan.at.src_blocks * 8 + s) * WINO_COLUMNS);
        scatter(w, diff_weights, g, s, j);
    }
    if (diff_bias != NULL) {
        sum_bias(w, diff_bias, diff_dst, threads);
    }
}

#else

/* Never called: amun__winograd_available() says no. */
size_t amun__winograd_filter_floats(const amun__winograd *w)
{
    (void)w;
    return 0;
}

size_t amun__winograd_scratch_floats(const amun__winograd *w, int32_t threads)
{
    (void)w, (void)threads;
    return 0;
}

size_t amun__winograd_grad_scratch_floats(const amun__winograd *w, int32_t threads)
{
    (void)w, (void)threads;
    return 0;
}

void amun__winograd_to_blocks(float *to, const float *from, int64_t batch, int64_t channels,
                              int64_t pixels)
{
    (void)to, (void)from, (void)batch, (void)channels, (void)pixels;
}

void amun__winograd_to_planes(float *to, const float *from, int64_t batch, int64_t channels,
                              int64_t pixels)
{
    (void)to, (void)from, (void)batch, (void)channels, (void)pixels;
}

void amun__winograd_filters(const amun__winograd *w, float *dst, const float *weights, bool by_data,
                            int32_t threads)
{
    (void)w, (void)dst, (void)weights, (void)by_data, (void)threads;
}

void amun__winograd_run(const amun__winograd *w, void *dst, const void *src, const float *filters,
                        const amun__winograd_tail *tail, float *scratch, int32_t threads)
{
    (void)w, (void)dst, (void)src, (void)filters, (void)tail, (void)scratch, (void)threads;
}

void amun__winograd_grad(const amun__winograd *w, float *diff_weights, float *diff_bias,
                         const void *src, const void *diff_dst, float *scratch, int32_t threads)
{
    (void)w, (void)diff_weights, (void)diff_bias, (void)src, (void)diff_dst, (void)scratch;
    (void)threads;
}

#endif
