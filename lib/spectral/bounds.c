/* bounds.c - certificates for the spectral norm of a convolution: which bounds apply, what each
 * costs, and how far rounding may have moved them. u is the unit roundoff of double. */
#include "spectral/bounds.h"

#include "core/linalg.h"
#include "spectral/freq.h"
#include "spectral/gram.h"
#include "spectral/hermitian.h"
#include "spectral/section.h"

enum {
    SVD_MOST = 512, /* smaller extent up to which LAPACK's SVD is used; above, Cholesky tests */
    GRAM_MOST = 4   /* kernel-domain steps: the kernel's extent doubles with each */
};

static const double unit_roundoff = 0x1p-53;
/* About a second on two cores that do 50 GF/s each. */
static const double default_budget = 1e11, kernel_budget = 1e10;
/* A bound this close to the norm is not improved on. */
static const double close_enough = 0.01;
/* Operations that need no second thought. */
static const double little = 1e10;

/* ---- who reads what ---- */

/* How one axis looks into its padded image. */
typedef struct axis_view {
    int64_t copies;  /* how often the most read value is read by all (output, tap) pairs */
    int64_t repeats; /* how often the padding shows the value that it shows most often */
    uint8_t *used;   /* [kernel]: 0: the tap sees nothing but zeros */
} axis_view;

static int64_t largest(const int64_t *counts, int64_t n)
{
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        most = counts[i] > most ? counts[i] : most;
    }
    return most;
}

static amun_status look(amun_context *ctx, const amun__linop_shape *s, const amun__geometry *g,
                        int axis, axis_view *view)
{
    amun_status status;
    const int64_t n = g->size[axis], pad = s->pad[axis];
    int64_t *counts = NULL;
    *view = (axis_view){0};
    AMUN__TRY(amun__calloc(ctx, &view->used, (size_t)s->kernel[axis], 1));
    AMUN__TRY(amun__calloc(ctx, &counts, (size_t)n, sizeof *counts));
    for (int64_t a = 0; a < s->kernel[axis]; a++) {
        for (int64_t i = 0; i < g->outputs[axis]; i++) {
            int64_t from = i * s->stride[axis] + a * s->dilation[axis] - pad;
            from = amun__padding_index(s->padding, from, n);
            if (from >= 0) {
                counts[from]++;
                view->used[a] = 1;
            }
        }
    }
    view->copies = largest(counts, n);
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int64_t i = -pad; i < n + pad; i++) {
        const int64_t from = amun__padding_index(s->padding, i, n);
        if (from >= 0) {
            counts[from]++;
        }
    }
    view->repeats = largest(counts, n);
fail:
    amun__free(ctx, counts);
    return status;
}

/* A convolution that is going to be bounded. */
typedef struct subject {
    amun_context *ctx;
    const amun__linop_shape *shape;
    amun__geometry geometry;
    axis_view view[2];
    uint8_t *used;   /* [kh * kw] */
    double *weights; /* [out][in / groups][kh * kw], zero where not used */
    int64_t positions;
    size_t count;      /* of weights */
    double group_norm; /* largest Frobenius norm of a group */
} subject;

static void close_subject(subject *s)
{
    for (int axis = 0; axis < 2; axis++) {
        amun__free(s->ctx, s->view[axis].used);
    }
    amun__free(s->ctx, s->used);
    amun__free(s->ctx, s->weights);
}

static amun_status count_weights(const amun__linop_shape *shape, size_t *count)
{
    if (!amun__mul_size(count, (size_t)shape->out_channels,
                        (size_t)(shape->in_channels / shape->groups)) ||
        !amun__mul_size(count, *count, (size_t)shape->kernel[0]) ||
        !amun__mul_size(count, *count, (size_t)shape->kernel[1])) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "the kernel is too large");
    }
    return AMUN_OK;
}

static amun_status open_subject(subject *s, amun_context *ctx, const amun__linop_shape *shape,
                                const double *weights)
{
    amun_status status;
    *s = (subject){.ctx = ctx, .shape = shape};
    AMUN__CHECK(amun__geometry_of(&s->geometry, shape));
    AMUN__CHECK(count_weights(shape, &s->count));
    s->positions = shape->kernel[0] * shape->kernel[1];
    AMUN__TRY(look(ctx, shape, &s->geometry, 0, &s->view[0]));
    AMUN__TRY(look(ctx, shape, &s->geometry, 1, &s->view[1]));
    AMUN__TRY(amun__alloc(ctx, &s->used, (size_t)s->positions, 1));
    for (int64_t i = 0; i < s->positions; i++) {
        s->used[i] = s->view[0].used[i / shape->kernel[1]] & s->view[1].used[i % shape->kernel[1]];
    }
    AMUN__TRY(amun__alloc(ctx, &s->weights, s->count, sizeof *s->weights));
    for (size_t i = 0; i < s->count; i++) {
        if (!isfinite(weights[i])) {
            AMUN__FAIL(AMUN_ERROR_NUMERIC, "weight %zu is %g", i, weights[i]);
        }
        s->weights[i] = s->used[i % (size_t)s->positions] != 0 ? weights[i] : 0;
    }
    const size_t group = s->count / (size_t)shape->groups;
    for (size_t i = 0; i < s->count; i += group) {
        const double *w = s->weights + i;
        s->group_norm = fmax(s->group_norm, sqrt(amun__dot_f64(w, w, group)));
    }
    return AMUN_OK;
fail:
    close_subject(s);
    return status;
}

/* ---- the reshaped kernel ---- */

/* M = (1 x R) G, where R is [out][in * kh * kw] and G copies pixels; G'G is diagonal, so that |G|^2
 * is how often the most read pixel is read. LAPACK's error is a modest multiple of (m + n) u. */
static amun_status reshaped_by_svd(subject *s, int64_t m, int64_t n, double *value)
{
    amun_status status;
    double *copy = NULL, *values = NULL;
    AMUN__TRY(amun__alloc(s->ctx, &copy, (size_t)(m * n), sizeof *copy));
    AMUN__TRY(amun__alloc(s->ctx, &values, (size_t)(m < n ? m : n), sizeof *values));
    *value = 0;
    for (int64_t g = 0; g < s->shape->groups; g++) {
        memcpy(copy, s->weights + g * m * n, (size_t)(m * n) * sizeof *copy);
        AMUN__TRY(amun__svd_f64(s->ctx, m, n, copy, values, NULL, NULL));
        *value = fmax(*value, values[0]);
    }
    *value *= 1 + 8 * (double)(m + n) * unit_roundoff;
fail:
    amun__free(s->ctx, copy);
    amun__free(s->ctx, values);
    return status;
}

/* The same from the Gram matrix, whose rounding error is at most gamma(p) |R|_F^2. */
static amun_status reshaped_by_gram(subject *s, int64_t m, int64_t n, double *value)
{
    amun_status status;
    amun__top top = {0};
    double *gram = NULL;
    const bool rows = m <= n;
    const int64_t r = rows ? m : n, p = rows ? n : m;
    AMUN__TRY(amun__top_open(&top, s->ctx, r, 1));
    AMUN__TRY(amun__alloc(s->ctx, &gram, (size_t)(r * r), sizeof *gram));
    for (int64_t g = 0; g < s->shape->groups; g++) {
        const double *w = s->weights + g * m * n;
        AMUN__TRY(amun__gemm_f64(!rows, rows, r, r, p, 1, w, w, 0, gram));
        AMUN__TRY(amun__top_add(&top, gram));
    }
    const double error = 2 * ((double)p + 4) * unit_roundoff * s->group_norm * s->group_norm;
    *value = sqrt(amun__top_value(&top) + error) * (1 + 4 * unit_roundoff);
fail:
    amun__free(s->ctx, gram);
    amun__top_close(&top);
    return status;
}

static amun_status bound_reshaped(subject *s, amun__bound *out)
{
    const int64_t m = s->shape->out_channels / s->shape->groups;
    const int64_t n = s->shape->in_channels / s->shape->groups * s->positions;
    const double copies = (double)s->view[0].copies * (double)s->view[1].copies;
    const bool exact = copies <= 1 && (m < n ? m : n) <= SVD_MOST;
    *out = (amun__bound){0, copies <= 1 ? AMUN__BOUND_EXACT : AMUN__BOUND_RESHAPED};
    if (s->group_norm > 0) {
        AMUN__CHECK(exact ? reshaped_by_svd(s, m, n, &out->value)
                          : reshaped_by_gram(s, m, n, &out->value));
    }
    out->value =
        (out->value + 2 * unit_roundoff * s->group_norm) * sqrt(copies) * (1 + 4 * unit_roundoff);
    return AMUN_OK;
}

/* ---- frequencies ---- */

/* One axis on a torus. `copies`: |.|^2 of the map that the torus does not contain. */
typedef struct torus {
    int64_t stride, grid, used; /* used: frequencies that are looked at, <= grid */
    double copies;
} torus;

/* Zero padding: the map is a part of the circular one as soon as no output sees a wrapped pixel and
 * two outputs do not share a row; outputs that see nothing but zeros do not count, so a padding
 * beyond reach - 1 counts as reach - 1, and N = n + min(pad, reach - 1) is enough for both. A
 * stride keeps rows of it: with N rounded up to a multiple, those of the strided circular map.
 * Circular padding: the torus is the image itself, if the stride divides it (otherwise rows of the
 * map without stride); outputs beyond n repeat. Reflect and replicate: a valid convolution (zero
 * padding 0) of the padded image; the padding P has one 1 in each row, so P'P is diagonal and |P|^2
 * is how often the most repeated pixel is shown. */
static torus torus_of(const subject *s, int axis)
{
    const amun__linop_shape *shape = s->shape;
    const amun__geometry *g = &s->geometry;
    const int64_t n = g->size[axis], stride = shape->stride[axis], pad = shape->pad[axis];
    torus t = {.stride = stride, .copies = 1};
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
static double between(int64_t span, const torus *t)
{
    const double m = 0.5 * (double)(span - 1);
    return t->used == t->grid ? 1 : cos(m * acos(-1.0) / (double)t->used);
}

/* The finest grid that the budget allows; false: none that is worth it. */
static bool afford(const amun__freq *f, int64_t groups, torus t[2], double budget)
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

static amun_status run_sweep(subject *s, sweep *w)
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
static double widen(const subject *s, const sweep *w)
{
    const amun__freq *f = &w->freq;
    const double p = (double)(f->out <= f->columns ? f->columns : f->out), taps = (double)f->taps;
    const double gram = 4.2 * (p + 4) * unit_roundoff * w->trace;
    const double kernel = (taps + 60) * unit_roundoff * sqrt(taps) * s->group_norm;
    return (sqrt(amun__top_value(&w->top) + gram) + kernel) * (1 + 8 * unit_roundoff);
}

static amun_status bound_frequencies(subject *s, double budget, amun__bound *out)
{
    amun_status status;
    sweep w = {0};
    torus t[2] = {torus_of(s, 0), torus_of(s, 1)};
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
    out->value = widen(s, &w) * sqrt(t[0].copies * t[1].copies) / gap * (1 + 16 * unit_roundoff);
    out->kind = grid[0] == t[0].grid && grid[1] == t[1].grid ? AMUN__BOUND_FFT : AMUN__BOUND_GRID;
fail:
    close_sweep(s->ctx, &w);
    return status;
}

/* ---- the kernel domain ---- */

/* [positions][out][in] of a group, or its transpose if that makes the squares smaller: the norm is
 * that of the adjoint, whose kernel is also mirrored, which no norm sees. */
static void kernel_of(const subject *s, int64_t group, int64_t out, int64_t in, double *kernel)
{
    const double *from = s->weights + group * out * in * s->positions;
    for (int64_t o = 0; o < out; o++) {
        for (int64_t c = 0; c < in; c++) {
            for (int64_t at = 0; at < s->positions; at++) {
                const int64_t place = out <= in ? o * in + c : c * out + o;
                kernel[at * out * in + place] = from[(o * in + c) * s->positions + at];
            }
        }
    }
}

/* Valid for zero and circular padding; for the others, and for circular outputs beyond the image,
 * times the root of how often the padding repeats a pixel. */
static amun_status bound_kernel(subject *s, double budget, amun__bound *out)
{
    amun_status status;
    const int64_t m = s->shape->out_channels / s->shape->groups;
    const int64_t n = s->shape->in_channels / s->shape->groups;
    const int64_t small = m <= n ? m : n, large = m <= n ? n : m;
    double *kernel = NULL;
    int32_t steps = GRAM_MOST;
    while (steps > 0 && amun__gram_kernel_cost(small, large, s->shape->kernel, steps) *
                                (double)s->shape->groups >
                            budget) {
        steps--;
    }
    *out = (amun__bound){s->group_norm > 0 ? (double)INFINITY : 0, AMUN__BOUND_GRAM_KERNEL};
    if (steps == 0 || s->group_norm == 0) {
        return AMUN_OK;
    }
    AMUN__TRY(amun__alloc(s->ctx, &kernel, (size_t)(m * n * s->positions), sizeof *kernel));
    double top = 0, one;
    for (int64_t group = 0; group < s->shape->groups; group++) {
        kernel_of(s, group, m, n, kernel);
        AMUN__TRY(
            amun__gram_kernel(s->ctx, small, large, s->shape->kernel, kernel, steps, NULL, &one));
        top = fmax(top, one);
    }
    const double copies = torus_of(s, 0).copies * torus_of(s, 1).copies;
    out->value = (top + (double)s->positions * 2 * unit_roundoff * s->group_norm) * sqrt(copies) *
                 (1 + 8 * unit_roundoff);
fail:
    amun__free(s->ctx, kernel);
    return status;
}

/* ---- the choice ---- */

static void keep_smaller(amun__bound *best, const amun__bound *other)
{
    if (other->value < best->value) {
        *best = *other;
    }
}

/* Those that cost the same whatever the norm is. */
static amun_status choose_general(subject *s, amun__bound *out)
{
    amun__bound other;
    AMUN__CHECK(bound_reshaped(s, out));
    if (out->kind == AMUN__BOUND_EXACT) {
        return AMUN_OK;
    }
    AMUN__CHECK(bound_frequencies(s, default_budget, &other));
    keep_smaller(out, &other);
    if (other.kind == AMUN__BOUND_FFT && isfinite(other.value)) {
        return AMUN_OK; /* the kernel domain bounds all frequencies of all grids: never smaller */
    }
    AMUN__CHECK(bound_kernel(s, kernel_budget, &other));
    keep_smaller(out, &other);
    return AMUN_OK;
}

/* Closer than what there is, with the image's edges as they are: strips cost less, the whole map
 * is closer. */
static amun_status bring_closer(subject *s, const amun__bound_hint *hint, amun__bound *out)
{
    const torus across = torus_of(s, 1);
    const amun__strip strip = {.stride = across.stride,
                               .grid = across.grid,
                               .copies = across.copies,
                               .twist = s->shape->padding == AMUN__PADDING_ZERO};
    amun__section_task task = {.ctx = s->ctx,
                               .shape = s->shape,
                               .weights = s->weights,
                               .group_norm = s->group_norm,
                               .copies = (double)(s->view[0].copies * s->view[1].copies),
                               .guess = hint->lower,
                               .most = out->value,
                               .budget = hint->budget};
    double value;
    task.budget = fmin(hint->budget, little);
    AMUN__CHECK(amun__section_whole(&task, &value));
    task.budget = hint->budget;
    /* what the edges of two axes cost is about twice what those of one do */
    if (!isfinite(value) && out->value <= hint->lower * (1 + 3 * close_enough)) {
        AMUN__CHECK(amun__section_strips(&task, &strip, &value));
    }
    if (!isfinite(value)) {
        AMUN__CHECK(amun__section_whole(&task, &value));
    }
    if (value < out->value) {
        *out = (amun__bound){value, AMUN__BOUND_SECTION};
    }
    return AMUN_OK;
}

static amun_status choose(subject *s, const amun__bound_hint *hint, amun__bound *out)
{
    AMUN__CHECK(choose_general(s, out));
    const bool loose = hint != NULL && out->value > hint->lower * (1 + close_enough);
    return loose && out->kind != AMUN__BOUND_EXACT ? bring_closer(s, hint, out) : AMUN_OK;
}

amun_status amun__bound_conv2d(amun__bound *out, amun_context *ctx, const amun__linop_shape *shape,
                               const float *weights, const double *scale,
                               const amun__bound_hint *hint)
{
    amun_status status;
    amun__geometry geometry;
    size_t count;
    subject s = {0};
    double *wide = NULL;
    AMUN__CHECK(amun__geometry_of(&geometry, shape));
    AMUN__CHECK(count_weights(shape, &count));
    AMUN__TRY(amun__alloc(ctx, &wide, count, sizeof *wide));
    const size_t row = count / (size_t)shape->out_channels;
    for (size_t i = 0; i < count; i++) {
        wide[i] = (double)weights[i] * (scale != NULL ? scale[i / row] : 1);
    }
    AMUN__TRY(open_subject(&s, ctx, shape, wide));
    status = choose(&s, hint, out);
    close_subject(&s);
fail:
    amun__free(ctx, wide);
    return status;
}

amun_status amun__bound_linear(amun__bound *out, amun_context *ctx, int64_t in_features,
                               int64_t out_features, const float *weights, const double *scale)
{
    const amun__linop_shape shape = {.in_channels = in_features,
                                     .in_height = 1,
                                     .in_width = 1,
                                     .out_channels = out_features,
                                     .kernel = {1, 1},
                                     .stride = {1, 1},
                                     .dilation = {1, 1},
                                     .groups = 1};
    return amun__bound_conv2d(out, ctx, &shape, weights, scale, NULL);
}

amun_status amun__bound_frequencies(amun__bound *out, amun_context *ctx,
                                    const amun__linop_shape *shape, const double *weights,
                                    double budget)
{
    subject s;
    AMUN__CHECK(open_subject(&s, ctx, shape, weights));
    amun_status status = bound_frequencies(&s, budget, out);
    close_subject(&s);
    return status;
}

amun_status amun__bound_reshaped(amun__bound *out, amun_context *ctx,
                                 const amun__linop_shape *shape, const double *weights)
{
    subject s;
    AMUN__CHECK(open_subject(&s, ctx, shape, weights));
    amun_status status = bound_reshaped(&s, out);
    close_subject(&s);
    return status;
}

amun_status amun__bound_kernel(amun__bound *out, amun_context *ctx, const amun__linop_shape *shape,
                               const double *weights, double budget)
{
    subject s;
    AMUN__CHECK(open_subject(&s, ctx, shape, weights));
    amun_status status = bound_kernel(&s, budget, out);
    close_subject(&s);
    return status;
}
