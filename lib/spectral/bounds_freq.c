/* bounds_freq.c - the bound over the frequencies of a circular map that contains the convolution:
 * which torus that is, how fine a grid the budget allows, and what lies between its points. */
#include "spectral/bounds_private.h"

#include "spectral/freq.h"
#include "spectral/hermitian.h"

/* Zero padding: the map is a part of the circular one as soon as no output sees a wrapped pixel and
 * two outputs do not share a row; outputs that see nothing but zeros do not count, so a padding
 * beyond reach - 1 counts as reach - 1, and N = n + min(pad, reach - 1) is enough for both. A
 * stride keeps rows of it: with N rounded up to a multiple, those of the strided circular map.
 * Circular padding: the torus is the image itself, if the stride divides it (otherwise rows of the
 * map without stride); outputs beyond n repeat. Reflect and replicate: a valid convolution (zero
 * padding 0) of the padded image; the padding P has one 1 in each row, so P'P is diagonal and |P|^2
 * is how often the most repeated pixel is shown. */
amun__bound_torus amun__bound_torus_of(const amun__bound_subject *s, int axis)
{
    const amun__linop_shape *shape = s->shape;
    const amun__geometry *g = &s->geometry;
    const int64_t n = g->size[axis], stride = shape->stride[axis], pad = shape->pad[axis];
    amun__bound_torus t = {.stride = stride, .copies = 1};
    if (shape->padding == AMUN__PADDING_ZERO) {
        const int64_t visible = pad < g->reach[axis] - 1 ? pad : g->reach[axis] - 1;
        t.grid = (n + visible + stride - 1) / stride;
    } else if (shape->padding == AMUN__PADDING_CIRCULAR) {
        t.stride = n % stride == 0 ? stride : 1;
        t.grid = n / t.stride;
        t.copies = (double)((g->dense[axis] + n - 1) / n);
    } else {
        t.grid = (n + 2 * pad + stride - 1) / stride;
        t.copies = (double)s->view[axis].repeats;
    }
    t.used = t.grid;
    return t;
}

/* Operations for one axis length `most` on a smaller grid. */
static double price(const amun__freq *f, int64_t groups, const int64_t grid[2])
{
    const double r = (double)amun__freq_gram_size(f), overhead = 1e4;
    const double p = f->out <= f->columns ? (double)f->columns : (double)f->out;
    const double one =
        4 * (double)(f->taps * f->out) * (double)f->in + 6 * r * r * p + 3 * r * r * r + overhead;
    return one * (double)groups * ((double)grid[0] * (double)grid[1] / 2 + 1);
}

/* What lies between the points of a grid of N: at a maximum over all frequencies Re u'K v is a real
 * trigonometric function of exponential type m = (span - 1) / 2 (centred). Near its maximum such a
 * function f falls no faster than cos(m t), by f'^2 + m^2 f^2 <= m^2 max f^2 (Bernstein and Szego;
 * Duffin and Schaeffer 1938), and a grid point is no farther than pi / N. One axis at a time. */
static double between(int64_t span, const amun__bound_torus *t)
{
    const double m = 0.5 * (double)(span - 1);
    return t->used == t->grid ? 1 : cos(m * acos(-1.0) / (double)t->used);
}

/* The finest grid that the budget allows; false: none that is worth it. */
static bool afford(const amun__freq *f, int64_t groups, amun__bound_torus t[2], double budget)
{
    int64_t most = t[0].grid > t[1].grid ? t[0].grid : t[1].grid;
    for (;;) {
        const int64_t grid[2] = {t[0].grid < most ? t[0].grid : most,
                                 t[1].grid < most ? t[1].grid : most};
        t[0].used = grid[0];
        t[1].used = grid[1];
        if (price(f, groups, grid) <= budget) {
            break;
        }
        most = most * 9 / 10;
        if (most < 1) {
            return false;
        }
    }
    return between(f->span[0], &t[0]) > 0.25 && between(f->span[1], &t[1]) > 0.25;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Neighbouring frequencies have similar norms; in golden-ratio steps a new maximum is rare. */
static int64_t stride_of_order(int64_t count)
{
    int64_t step = (int64_t)(0.6180339887498949 * (double)count);
    step = step < 1 ? 1 : step;
    while (common_divisor(step, count) != 1) {
        step++;
    }
    return step;
}

typedef struct sweep {
    amun__freq freq;
    amun__top top;
    double *re, *im, *scratch, *gram;
    double trace; /* largest Frobenius norm of a frequency matrix, squared */
} sweep;

static void close_sweep(amun_context *ctx, sweep *w)
{
    amun__free(ctx, w->re);
    amun__free(ctx, w->im);
    amun__free(ctx, w->scratch);
    amun__free(ctx, w->gram);
    amun__top_close(&w->top);
    amun__freq_close(&w->freq);
}

static amun_status run_sweep(amun__bound_subject *s, sweep *w)
{
    const int64_t count = amun__freq_count(&w->freq), step = stride_of_order(count);
    const int64_t n = amun__freq_gram_size(&w->freq);
    for (int64_t group = 0; group < s->shape->groups; group++) {
        amun__freq_load(&w->freq, s->shape, s->weights, group);
        for (int64_t i = 0, at = 0; i < count; i++, at = (at + step) % count) {
            int64_t frequency[2];
            int multiplicity;
            amun__freq_at(&w->freq, at, frequency, &multiplicity);
            amun__freq_matrix(&w->freq, frequency, w->re, w->im);
            AMUN__CHECK(amun__freq_gram(&w->freq, w->re, w->im, w->scratch, w->gram));
            AMUN__CHECK(amun__top_add(&w->top, w->gram));
            double trace = 0;
            for (int64_t d = 0; d < n; d++) {
                trace += w->gram[2 * (d * n + d)];
            }
            w->trace = fmax(w->trace, trace);
        }
    }
    return AMUN_OK;
}

/* From the eigenvalue of the computed Gram matrices to the singular value of the exact ones. The
 * Gram matrix: two real products of length 2p and p, |error|_F <= 2 gamma(2p + 2) |K|_F^2. K
 * itself: each entry sums `taps` products with sines good to a few ulps of 2 pi, so |error|_F <=
 * (taps + 60) u sqrt(taps) |W|_F; the 60 also covers the rounding of weights times scale. */
static double widen(const amun__bound_subject *s, const sweep *w)
{
    const amun__freq *f = &w->freq;
    const double p = (double)(f->out <= f->columns ? f->columns : f->out), taps = (double)f->taps;
    const double gram = 4.2 * (p + 4) * AMUN__UNIT_ROUNDOFF * w->trace;
    const double kernel = (taps + 60) * AMUN__UNIT_ROUNDOFF * sqrt(taps) * s->group_norm;
    return (sqrt(amun__top_value(&w->top) + gram) + kernel) * (1 + 8 * AMUN__UNIT_ROUNDOFF);
}

amun_status amun__bound_by_frequencies(amun__bound_subject *s, double budget, amun__bound *out)
{
    amun_status status;
    sweep w = {0};
    amun__bound_torus t[2] = {amun__bound_torus_of(s, 0), amun__bound_torus_of(s, 1)};
    const int64_t stride[2] = {t[0].stride, t[1].stride}, one[2] = {1, 1};
    *out = (amun__bound){s->group_norm > 0 ? (double)INFINITY : 0, AMUN__BOUND_FFT};
    /* a first look for the size of the matrices, before the grid is known */
    AMUN__TRY(amun__freq_open(&w.freq, s->ctx, s->shape, stride, one, s->used));
    if (s->group_norm == 0 || !afford(&w.freq, s->shape->groups, t, budget)) {
        goto fail;
    }
    const int64_t grid[2] = {t[0].used, t[1].used};
    const double gap = between(w.freq.span[0], &t[0]) * between(w.freq.span[1], &t[1]);
    amun__freq_close(&w.freq);
    AMUN__TRY(amun__freq_open(&w.freq, s->ctx, s->shape, stride, grid, s->used));
    const size_t count = (size_t)(w.freq.out * w.freq.columns);
    const size_t n = (size_t)amun__freq_gram_size(&w.freq);
    AMUN__TRY(amun__alloc(s->ctx, &w.re, count, sizeof *w.re));
    AMUN__TRY(amun__alloc(s->ctx, &w.im, count, sizeof *w.im));
    AMUN__TRY(amun__alloc(s->ctx, &w.scratch, 2 * n * n, sizeof *w.scratch));
    AMUN__TRY(amun__alloc(s->ctx, &w.gram, 2 * n * n, sizeof *w.gram));
    AMUN__TRY(amun__top_open(&w.top, s->ctx, (int64_t)n, 2));
    AMUN__TRY(run_sweep(s, &w));
    out->value =
        widen(s, &w) * sqrt(t[0].copies * t[1].copies) / gap * (1 + 16 * AMUN__UNIT_ROUNDOFF);
    out->kind = grid[0] == t[0].grid && grid[1] == t[1].grid ? AMUN__BOUND_FFT : AMUN__BOUND_GRID;
fail:
    close_sweep(s->ctx, &w);
    return status;
}
