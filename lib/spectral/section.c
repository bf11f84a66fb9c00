/* section.c - bounds of convolutions from Cholesky tests of their Gram matrices: of the whole map,
 * whose blocks are sums of products of two taps, and of its strips, one per frequency across.
 *
 * Proof. M M' and M' M have the largest eigenvalue norm^2, and so has the one that is used, a
 * matrix of blocks for pairs of pixels: outputs that read a common pixel, or pixels that a common
 * output reads. Rows of pixels that are too far apart have nothing in common, so that it is banded.
 * If the factorisation of tau * 1 - G goes through, norm^2 <= tau plus the error bounds of the
 * factorisation (amun__band_value()) and of G: its entries are sums of at most p + taps^2 products,
 * so |error| <= gamma |M| |M|', whose norm is at most gamma copies |W|_F^2, for M is a reshaped
 * kernel after a map of norm sqrt(copies). No guess can make a bound wrong: it only says which tau
 * is worth a test. */
#include "spectral/section.h"

#include "core/linalg.h"
#include "spectral/band.h"
#include "spectral/freq.h"

static const double unit_roundoff = 0x1p-53, most_room = 0x1p27; /* doubles */

/* tau^0.5 by the guess: each is a test, so few of them. */
static const double margins[] = {1e-3, 1e-2, 4e-2};
enum { MARGINS = sizeof margins / sizeof margins[0] };
/* Images with more rows than that are bounded well enough by frequencies. */
enum { LONGEST = 64 };

/* ---- who has what in common ------------------------------------------------------------------ */

/* One axis: which pixel each tap of each output reads, and which positions share one. */
typedef struct axis {
    int64_t taps, outputs, inputs;
    int64_t *read; /* [outputs][taps]; < 0: nothing */
    int64_t half;  /* farthest pair of positions that has something in common */
    bool inner;    /* positions are pixels of the input, else outputs */
} axis;

static amun_status open_axis(axis *a, amun_context *ctx, const amun__linop_shape *s,
                             const amun__geometry *g, int at)
{
    *a = (axis){.taps = s->kernel[at], .outputs = g->outputs[at], .inputs = g->size[at]};
    AMUN__CHECK(
        amun__alloc(ctx, &a->read, (size_t)(a->taps * a->outputs), sizeof *a->read)); /* weights */
    for (int64_t o = 0; o < a->outputs; o++) {
        for (int64_t t = 0; t < a->taps; t++) {
            const int64_t from = o * s->stride[at] + t * s->dilation[at] - s->pad[at];
            a->read[o * a->taps + t] = amun__padding_index(s->padding, from, a->inputs);
        }
    }
    return AMUN_OK;
}

static int64_t positions(const axis *a)
{
    return a->inner ? a->inputs : a->outputs;
}

/* How often tap t of position i and tap u of position j meet. */
static int64_t common(const axis *a, int64_t i, int64_t j, int64_t t, int64_t u)
{
    if (!a->inner) {
        const int64_t pixel = a->read[i * a->taps + t];
        return pixel >= 0 && pixel == a->read[j * a->taps + u];
    }
    int64_t count = 0;
    for (int64_t o = 0; o < a->outputs; o++) {
        count += a->read[o * a->taps + t] == i && a->read[o * a->taps + u] == j;
    }
    return count;
}

static bool meet(const axis *a, int64_t i, int64_t j)
{
    for (int64_t t = 0; t < a->taps; t++) {
        for (int64_t u = 0; u < a->taps; u++) {
            if (common(a, i, j, t, u) > 0) {
                return true;
            }
        }
    }
    return false;
}

static void choose_side(axis *a, bool inner)
{
    a->inner = inner;
    a->half = 0;
    for (int64_t i = 0; i < positions(a); i++) {
        for (int64_t j = positions(a) - 1; j > i + a->half; j--) {
            if (meet(a, i, j)) {
                a->half = j - i;
                break;
            }
        }
    }
}

/* ---- a test at several values ---------------------------------------------------------------- */

/* What tau becomes when all of the rounding is counted: see the top. `terms` of an entry of G. */
static double widen(const amun__section_task *t, const amun__band *band, double tau, double terms)
{
    const double size = t->group_norm * sqrt(t->copies);
    const double gram = 4 * (terms + 16) * unit_roundoff * size * size;
    return (sqrt(amun__band_value(band, tau) + gram) + 2 * unit_roundoff * size) *
           (1 + 8 * unit_roundoff);
}

/* ---- the whole map --------------------------------------------------------------------------- */

typedef struct whole {
    axis rows, columns;
    int64_t out, in, block, taps; /* channels of a group; of a position; kh * kw */
    double *kernel, *products;    /* [taps][block][other], [taps][block][taps][block] */
} whole;

static amun__band band_of(const whole *w)
{
    return (amun__band){.rows = positions(&w->rows),
                        .size = positions(&w->columns) * w->block,
                        .half = w->rows.half,
                        .parts = 1};
}

static double price_of(const whole *w, int64_t groups)
{
    const amun__band band = band_of(w);
    const double side = (double)w->taps * (double)w->block;
    const double other = (double)(w->rows.inner ? w->out : w->in);
    return ((double)MARGINS / 2 * amun__band_price(&band) + 2 * side * side * other) *
           (double)groups;
}

static double room_of(const whole *w)
{
    const amun__band band = band_of(w);
    const double side = (double)w->taps * (double)w->block;
    return amun__band_room(&band) + side * side;
}

/* dst[block][ld] -= count * the product of taps t and u. */
static void subtract_product(const whole *w, int64_t t, int64_t u, int64_t count, int64_t ld,
                             double *dst)
{
    const int64_t side = w->taps * w->block;
    const double *from = w->products + t * w->block * side + u * w->block;
    for (int64_t i = 0; i < w->block; i++) {
        for (int64_t j = 0; j < w->block; j++) {
            dst[i * ld + j] -= (double)count * from[i * side + j];
        }
    }
}

/* One pair of rows for one pair of their taps. */
static void subtract_taps(const whole *w, int64_t a, int64_t b, int64_t count, bool diagonal,
                          int64_t ld, double *block)
{
    const axis *x = &w->columns;
    const int64_t n = positions(x), k = x->taps;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = diagonal ? i : 0; j < n; j++) {
            for (int64_t tu = 0; tu < k * k; tu++) {
                const int64_t here = common(x, i, j, tu / k, tu % k);
                if (here > 0) {
                    subtract_product(w, a * k + tu / k, b * k + tu % k, here * count, ld,
                                     block + i * w->block * ld + j * w->block);
                }
            }
        }
    }
}

static amun_status subtract_rows(void *user, int64_t i, int64_t j, int64_t ld, double *block)
{
    const whole *w = user;
    const axis *y = &w->rows;
    for (int64_t a = 0; a < y->taps; a++) {
        for (int64_t b = 0; b < y->taps; b++) {
            const int64_t count = common(y, i, j, a, b);
            if (count > 0) {
                subtract_taps(w, a, b, count, i == j, ld, block);
            }
        }
    }
    return AMUN_OK;
}

/* The products of all pairs of taps of a group: W_t W_u', or W_t' W_u between inputs. */
static amun_status load_products(whole *w, const amun__section_task *task, int64_t group)
{
    const bool inner = w->rows.inner;
    const int64_t other = inner ? w->out : w->in, side = w->taps * w->block;
    const double *from = task->weights + group * w->out * w->in * w->taps;
    for (int64_t o = 0; o < w->out; o++) {
        for (int64_t c = 0; c < w->in; c++) {
            for (int64_t t = 0; t < w->taps; t++) {
                const int64_t row = t * w->block + (inner ? c : o);
                w->kernel[row * other + (inner ? o : c)] = from[(o * w->in + c) * w->taps + t];
            }
        }
    }
    return amun__gemm_f64(false, true, side, side, other, 1, w->kernel, w->kernel, 0, w->products);
}

/* Below tau in all groups? */
static amun_status below_whole(whole *w, const amun__section_task *task, double tau, bool *answer)
{
    const amun__band band = band_of(w);
    const int64_t groups = task->shape->groups;
    *answer = true;
    for (int64_t group = 0; group < groups && *answer; group++) {
        if (groups > 1) {
            AMUN__CHECK(load_products(w, task, group));
        }
        AMUN__CHECK(amun__band_below(&band, task->ctx, tau, subtract_rows, w, answer));
    }
    return AMUN_OK;
}

static amun_status search_whole(whole *w, const amun__section_task *task, double *value)
{
    const amun__band band = band_of(w);
    const double other = (double)(w->rows.inner ? w->out : w->in);
    const double terms = other + (double)w->taps * (double)w->taps;
    bool fine = false;
    for (int i = 0; i < MARGINS && !fine; i++) {
        const double sigma = task->guess * (1 + margins[i]);
        const double bound = widen(task, &band, sigma * sigma, terms);
        if (!(bound < task->most)) {
            break;
        }
        AMUN__CHECK(below_whole(w, task, sigma * sigma, &fine));
        *value = fine ? bound : *value;
    }
    return AMUN_OK;
}

static amun_status open_whole(whole *w, const amun__section_task *task)
{
    const amun__linop_shape *s = task->shape;
    amun__geometry g;
    AMUN__CHECK(amun__geometry_of(&g, s));
    w->out = s->out_channels / s->groups;
    w->in = s->in_channels / s->groups;
    w->taps = s->kernel[0] * s->kernel[1];
    AMUN__CHECK(open_axis(&w->rows, task->ctx, s, &g, 0));
    return open_axis(&w->columns, task->ctx, s, &g, 1);
}

static void take_side(whole *w, bool inner)
{
    choose_side(&w->rows, inner);
    w->columns.inner = inner;
    w->block = inner ? w->in : w->out;
}

static amun_status run_whole(whole *w, const amun__section_task *task, double *value)
{
    const size_t side = (size_t)(w->taps * w->block);
    const size_t other = (size_t)(w->rows.inner ? w->out : w->in);
    AMUN__CHECK(amun__alloc(task->ctx, &w->kernel, side * other, sizeof *w->kernel));
    AMUN__CHECK(amun__alloc(task->ctx, &w->products, side * side, sizeof *w->products));
    AMUN__CHECK(load_products(w, task, 0));
    return search_whole(w, task, value);
}

amun_status amun__section_whole(const amun__section_task *task, double *value)
{
    amun_status status;
    whole w = {0};
    const int64_t groups = task->shape->groups;
    *value = (double)INFINITY;
    if (!(task->guess > 0) || task->shape->in_height > LONGEST || task->shape->in_width > LONGEST) {
        return AMUN_OK;
    }
    AMUN__TRY(open_whole(&w, task));
    take_side(&w, true);
    const double inner = price_of(&w, groups);
    take_side(&w, false);
    if (inner < price_of(&w, groups)) {
        take_side(&w, true);
    }
    if (price_of(&w, groups) <= task->budget && room_of(&w) <= most_room) {
        AMUN__TRY(run_whole(&w, task, value));
    }
fail:
    amun__free(task->ctx, w.rows.read);
    amun__free(task->ctx, w.columns.read);
    amun__free(task->ctx, w.kernel);
    amun__free(task->ctx, w.products);
    return status;
}

/* ---- strips ---------------------------------------------------------------------------------- */

typedef struct strips {
    axis rows;
    const amun__strip *strip;
    int64_t out, in, taps, across; /* channels of a group; kh, kw */
    double *kernel, *products;     /* pairs: [taps][out][phases][in], [taps][out][taps][out] */
} strips;

static const double strip_margins[] = {2e-3, 5e-3, 1e-2, 1.5e-2};
enum { STRIP_MARGINS = sizeof strip_margins / sizeof strip_margins[0] };

/* Frequency (2 i + twisted) / (2 grid): half of them, the others are their conjugates. */
static int64_t frequencies(const strips *w, int64_t twisted)
{
    return (w->strip->grid - twisted) / 2 + 1;
}

static amun__band strip_band(const strips *w)
{
    return (amun__band){
        .rows = positions(&w->rows), .size = w->out, .half = w->rows.half, .parts = 2};
}

/* K_a(w) = sum_b W_ab exp(2 pi i w index_b), one column per phase of the stride. */
static void load_strip(strips *w, const amun__section_task *task, int64_t group, int64_t i,
                       int64_t twisted)
{
    const int64_t stride = w->strip->stride, width = stride * w->in;
    const int64_t period = 2 * w->strip->grid;
    memset(w->kernel, 0, (size_t)(2 * w->taps * w->out * width) * sizeof *w->kernel);
    for (int64_t b = 0; b < w->across; b++) {
        const int64_t place = b * task->shape->dilation[1];
        const int64_t turns = place / stride * (2 * i + twisted) % period;
        const double angle = 2 * acos(-1.0) * (double)turns / (double)period;
        const double re = cos(angle), im = sin(angle);
        for (int64_t at = 0; at < w->out * w->in * w->taps; at++) {
            const int64_t o = at / w->taps / w->in, c = at / w->taps % w->in, a = at % w->taps;
            const double value =
                task->weights[(group * w->out * w->in * w->taps + at) * w->across + b];
            double *to = w->kernel + 2 * ((a * w->out + o) * width + place % stride * w->in + c);
            to[0] += re * value;
            to[1] += im * value;
        }
    }
}

static amun_status subtract_strip(void *user, int64_t i, int64_t j, int64_t ld, double *block)
{
    const strips *w = user;
    const axis *y = &w->rows;
    const int64_t side = w->taps * w->out;
    for (int64_t ab = 0; ab < y->taps * y->taps; ab++) {
        const int64_t a = ab / y->taps, b = ab % y->taps;
        if (common(y, i, j, a, b) == 0) { /* else 1: these are outputs */
            continue;
        }
        const double *from = w->products + 2 * (a * w->out * side + b * w->out);
        for (int64_t o = 0; o < w->out; o++) {
            for (int64_t k = 0; k < 2 * w->out; k++) {
                block[2 * o * ld + k] -= from[2 * o * side + k];
            }
        }
    }
    return AMUN_OK;
}

/* One frequency of one group. */
static amun_status below_strip(strips *w, const amun__section_task *task, int64_t at,
                               int64_t twisted, double tau, bool *answer)
{
    const amun__band band = strip_band(w);
    const int64_t count = frequencies(w, twisted), side = w->taps * w->out;
    load_strip(w, task, at / count, at % count, twisted);
    AMUN__CHECK(amun__gemm_c64(false, true, side, side, w->strip->stride * w->in, w->kernel,
                               w->kernel, w->products));
    return amun__band_below(&band, task->ctx, tau, subtract_strip, w, answer);
}

/* All of them, from *first on, which a test that fails leaves at the one that made it fail. */
static amun_status below_strips(strips *w, const amun__section_task *task, int64_t twisted,
                                double tau, int64_t *first, bool *answer)
{
    const int64_t all = frequencies(w, twisted) * task->shape->groups;
    *answer = true;
    for (int64_t i = 0; i < all && *answer; i++) {
        const int64_t at = (*first + i) % all;
        AMUN__CHECK(below_strip(w, task, at, twisted, tau, answer));
        *first = *answer ? *first : at;
    }
    return AMUN_OK;
}

/* Entries of K are sums of kw products with sines good to a few ulps of 2 pi: |error|_F <= (kw +
 * 60) u sqrt(kw) |W|_F; their products: see the top, twice as long for complex numbers. */
static double widen_strips(const strips *w, const amun__section_task *t, double tau)
{
    const amun__band band = strip_band(w);
    const double across = (double)w->across;
    const double size = t->group_norm * sqrt(t->copies * across);
    const double terms = (double)(w->strip->stride * w->in + w->taps * w->taps);
    const double gram = 10 * (terms + 16) * unit_roundoff * size * size;
    const double kernel = (across + 60) * unit_roundoff * size;
    return (sqrt(amun__band_value(&band, tau) + gram) + kernel) * sqrt(w->strip->copies) *
           (1 + 8 * unit_roundoff);
}

static amun_status search_strips(strips *w, const amun__section_task *task, double *value)
{
    int64_t first[2] = {0, 0};
    bool fine = false;
    for (int i = 0; i < STRIP_MARGINS * 2 && !fine; i++) {
        const int64_t twisted = i % 2;
        const double sigma = task->guess * (1 + strip_margins[i / 2]);
        const double bound = widen_strips(w, task, sigma * sigma);
        if (!(bound < task->most)) {
            break;
        }
        if (twisted == 0 || w->strip->twist) {
            AMUN__CHECK(below_strips(w, task, twisted, sigma * sigma, &first[twisted], &fine));
            *value = fine ? bound : *value;
        }
    }
    return AMUN_OK;
}

static double strips_price(const strips *w, int64_t groups)
{
    const amun__band band = strip_band(w);
    const double side = (double)(w->taps * w->out), across = (double)(w->strip->stride * w->in);
    /* tests that fail end early */
    return 2 * (double)(frequencies(w, 0) * groups) *
           (amun__band_price(&band) + 8 * side * side * across);
}

static amun_status run_strips(strips *w, const amun__section_task *task, double *value)
{
    const size_t side = (size_t)(w->taps * w->out);
    const size_t across = (size_t)(w->strip->stride * w->in);
    AMUN__CHECK(amun__alloc(task->ctx, &w->kernel, side * across, 2 * sizeof *w->kernel));
    AMUN__CHECK(amun__alloc(task->ctx, &w->products, side * side, 2 * sizeof *w->products));
    return search_strips(w, task, value);
}

amun_status amun__section_strips(const amun__section_task *task, const amun__strip *strip,
                                 double *value)
{
    const amun__linop_shape *s = task->shape;
    amun_status status;
    amun__geometry g;
    strips w = {.strip = strip,
                .out = s->out_channels / s->groups,
                .in = s->in_channels / s->groups,
                .taps = s->kernel[0],
                .across = s->kernel[1]};
    *value = (double)INFINITY;
    AMUN__TRY(amun__geometry_of(&g, s));
    if (!(task->guess > 0) || g.size[0] > LONGEST) {
        return AMUN_OK;
    }
    AMUN__TRY(open_axis(&w.rows, task->ctx, s, &g, 0));
    choose_side(&w.rows, false);
    const amun__band band = strip_band(&w);
    const double side = (double)(w.taps * w.out);
    const double room = amun__band_room(&band) + 2 * side * side;
    if (strips_price(&w, s->groups) <= task->budget && room <= most_room) {
        AMUN__TRY(run_strips(&w, task, value));
    }
fail:
    amun__free(task->ctx, w.rows.read);
    amun__free(task->ctx, w.kernel);
    amun__free(task->ctx, w.products);
    return status;
}
