/* winograd.c - Winograd's F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308): which tiles are worked on
 * together, where their numbers lie, which thread does them. */
#include "nn/winograd_kernels.h"

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
#ifndef WINO_CHUNK_BYTES
#define WINO_CHUNK_BYTES (768 * 1024)
#endif
#ifndef WINO_CHUNK_LEAST
#define WINO_CHUNK_LEAST 48
#endif

static wino_layout lay_out(const amun__winograd *w)
{
    wino_layout at = {.tiles_h = ceil_div(w->dst_height, 4),
                      .tiles_w = ceil_div(w->dst_width, 4),
                      .src_blocks = ceil_div(w->src_channels, w->src_block) * w->src_block / 8,
                      .dst_blocks = ceil_div(w->dst_channels, 16)};
    at.tiles = w->batch * at.tiles_h * at.tiles_w;
    int64_t per_tile = WINO_POINTS * 4 * (at.src_blocks * 8 + at.dst_blocks * 16);
    at.chunk = WINO_CHUNK_BYTES / per_tile / WINO_ROWS * WINO_ROWS;
    at.chunk = at.chunk < WINO_CHUNK_LEAST ? WINO_CHUNK_LEAST : at.chunk;
    int64_t all = ceil_div(at.tiles, WINO_ROWS) * WINO_ROWS;
    at.chunk = at.chunk > all ? all : at.chunk;
    at.v = odd_lines(at.chunk * at.src_blocks * 8);
    at.m = odd_lines(at.chunk * at.dst_blocks * 16);
    at.u = odd_lines(at.src_blocks * 8 * at.dst_blocks * 16);
    return at;
}

size_t amun__winograd_filter_floats(const amun__winograd *w)
{
    return (size_t)(WINO_POINTS * lay_out(w).u);
}

static int64_t worker_floats(const wino_layout *at)
{
    return WINO_POINTS * (at->v + at->m) + 512;
}

size_t amun__winograd_scratch_floats(const amun__winograd *w, int32_t threads)
{
    wino_layout at = lay_out(w);
    return (size_t)(threads * worker_floats(&at));
}

/* g[tap][k]: filter from src channel `s` to the dst channel block `j`; zeros past the ends. */
static void gather(float g[9 * WINO_COLUMNS], const amun__winograd *w, const float *weights,
                   int64_t s, int64_t j, bool by_data)
{
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

void amun__winograd_filters(const amun__winograd *w, float *dst, const float *weights, bool by_data)
{
    const wino_layout at = lay_out(w);
    const int64_t sources = at.src_blocks * 8;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < at.dst_blocks * sources; i++) {
        _Alignas(32) float g[9 * WINO_COLUMNS];
        gather(g, w, weights, i % sources, i / sources, by_data);
        amun__wino_filter_avx2(dst + i * WINO_COLUMNS, at.u, g);
    }
}

void amun__winograd_run(const amun__winograd *w, float *dst, const float *src, const float *filters,
                        const amun__winograd_tail *tail, float *scratch, int32_t threads)
{
    const wino_layout at = lay_out(w);
    const int64_t chunks = ceil_div(at.tiles, at.chunk);
    int64_t next = 0;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int32_t worker = 0; worker < threads; worker++) {
        float *v = scratch + worker * worker_floats(&at), *m = v + WINO_POINTS * at.v;
        for (;;) { /* whoever is free takes the next one: tiles do not depend on each other */
            int64_t i;
#pragma omp atomic capture
            i = next++;
            if (i >= chunks) {
                break;
            }
            wino_chunk c = {.w = w, .at = &at, .first = i * at.chunk};
            c.count = at.tiles - c.first < at.chunk ? at.tiles - c.first : at.chunk;
            amun__wino_src_avx2(&c, v, src);
            amun__wino_gemm_avx2(&c, m, v, filters);
            amun__wino_dst_avx2(&c, dst, m, tail);
        }
    }
}

#endif
