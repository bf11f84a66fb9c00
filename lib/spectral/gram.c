/* gram.c - Gram iteration: see gram.h. Every step is scaled by its Frobenius norm, so that powers
 * neither overflow nor vanish. */
#include "spectral/gram.h"

#include "core/linalg.h"

static const double unit_roundoff = 0x1p-53;

static double frobenius(const double *a, size_t count)
{
    return sqrt(amun__dot_f64(a, a, count));
}

void amun__gram_scale(double *a, size_t count, double factor)
{
    for (size_t i = 0; i < count; i++) {
        a[i] *= factor;
    }
}

/* ---- one frequency ----- */

/* S = gram matrix on the smaller side, [n][n] pairs, and room for another one. */
typedef struct gram_room {
    int64_t n;
    size_t count; /* doubles of one matrix */
    double *a, *b;
} gram_room;

static void close_room(amun_context *ctx, gram_room *room)
{
    amun__free(ctx, room->a);
    amun__free(ctx, room->b);
}

static amun_status open_room(amun_context *ctx, const amun__freq *freq, const double *re,
                             const double *im, gram_room *room)
{
    amun_status status;
    *room = (gram_room){.n = amun__freq_gram_size(freq)};
    room->count = 2 * (size_t)(room->n * room->n);
    AMUN__TRY(amun__alloc(ctx, &room->a, room->count, sizeof *room->a));
    AMUN__TRY(amun__alloc(ctx, &room->b, room->count, sizeof *room->b));
    AMUN__TRY(amun__freq_gram(freq, re, im, room->b, room->a));
    return AMUN_OK;
fail:
    close_room(ctx, room);
    return status;
}

/* a <- a * a through b. */
static amun_status square(gram_room *room)
{
    AMUN__CHECK(amun__gemm_c64(false, false, room->n, room->n, room->n, room->a, room->a, room->b));
    double *swap = room->a;
    room->a = room->b;
    room->b = swap;
    return AMUN_OK;
}

amun_status amun__gram_value(amun_context *ctx, const amun__freq *freq, const double *re,
                             const double *im, int32_t iterations, double *value)
{
    amun_status status;
    gram_room room;
    *value = 0;
    if (iterations < 1) { /* the Frobenius norm itself */
        const size_t count = (size_t)(freq->out * freq->columns);
        *value = hypot(frobenius(re, count), frobenius(im, count));
        return AMUN_OK;
    }
    AMUN__CHECK(open_room(ctx, freq, re, im, &room));
    /* log of the scale that was taken out, and the power that `a` stands for */
    double log_scale = 0, power = 2;
    for (int32_t t = 1;; t++) {
        const double norm = frobenius(room.a, room.count);
        if (norm == 0) {
            status = AMUN_OK;
            goto fail;
        }
        log_scale += log(norm);
        if (t == iterations) {
            break;
        }
        amun__gram_scale(room.a, room.count, 1 / norm);
        log_scale *= 2;
        power *= 2;
        AMUN__TRY(square(&room));
    }
    *value = exp(log_scale / power);
    status = AMUN_OK;
fail:
    close_room(ctx, &room);
    return status;
}

/* (re + i im) = P K (rows) or K P, through pairs. */
static amun_status multiply_back(amun_context *ctx, const amun__freq *f, const double *power,
                                 const double *re, const double *im, double factor, double *d_re,
                                 double *d_im)
{
    amun_status status;
    const size_t count = (size_t)(f->out * f->columns);
    double *k = NULL, *product = NULL;
    AMUN__TRY(amun__alloc(ctx, &k, count, 2 * sizeof *k));
    AMUN__TRY(amun__alloc(ctx, &product, count, 2 * sizeof *product));
    for (size_t i = 0; i < count; i++) {
        k[2 * i] = re[i];
        k[2 * i + 1] = im[i];
    }
    if (f->out <= f->columns) {
        AMUN__TRY(amun__gemm_c64(false, false, f->out, f->columns, f->out, power, k, product));
    } else {
        AMUN__TRY(amun__gemm_c64(false, false, f->out, f->columns, f->columns, k, power, product));
    }
    for (size_t i = 0; i < count; i++) {
        d_re[i] = factor * product[2 * i];
        d_im[i] = factor * product[2 * i + 1];
    }
fail:
    amun__free(ctx, k);
    amun__free(ctx, product);
    return status;
}

/* With S scaled by value^2 its powers stay below 1 and the gradient is K S^(q - 1) / value; q - 1 =
 * 1 + 2 + 4 + ... collects the squares on the way. */
amun_status amun__gram_gradient(amun_context *ctx, const amun__freq *freq, const double *re,
                                const double *im, int32_t iterations, double value, double *d_re,
                                double *d_im)
{
    amun_status status;
    gram_room room;
    double *product = NULL, *next = NULL;
    AMUN__CHECK(open_room(ctx, freq, re, im, &room));
    const size_t n = (size_t)room.n;
    AMUN__TRY(amun__calloc(ctx, &product, room.count, sizeof *product));
    AMUN__TRY(amun__alloc(ctx, &next, room.count, sizeof *next));
    for (size_t i = 0; i < n; i++) {
        product[2 * (i * n + i)] = 1;
    }
    amun__gram_scale(room.a, room.count, value > 0 ? 1 / (value * value) : 0);
    for (int32_t t = 0; t < iterations; t++) {
        if (t > 0) {
            AMUN__TRY(square(&room));
        }
        AMUN__TRY(amun__gemm_c64(false, false, room.n, room.n, room.n, product, room.a, next));
        double *swap = product;
        product = next;
        next = swap;
    }
    AMUN__TRY(multiply_back(ctx, freq, product, re, im, value > 0 ? 1 / value : 0, d_re, d_im));
fail:
    amun__free(ctx, product);
    amun__free(ctx, next);
    close_room(ctx, &room);
    return status;
}

/* ---- kernel domain ----- */

typedef struct lattice {
    int64_t size[2];
    double *values; /* [size0][size1][out][in] */
} lattice;

static amun_status lattice_count(int64_t out, int64_t in, const int64_t size[2], size_t *count)
{
    if (!amun__mul_size(count, (size_t)out, (size_t)in) ||
        !amun__mul_size(count, *count, (size_t)size[0]) ||
        !amun__mul_size(count, *count, (size_t)size[1])) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "a kernel of %lld by %lld is too large",
                          (long long)size[0], (long long)size[1]);
    }
    return AMUN_OK;
}

/* to[d] = sum_a from[a + d] from[a]': the correlation of the kernel with itself, [2 size - 1]. Half
 * of it is the transpose of the other half. */
static amun_status correlate(int64_t out, int64_t in, const lattice *from, lattice *to)
{
    const int64_t h = from->size[0], w = from->size[1], area = out * in, square_area = out * out;
    const int64_t total = to->size[0] * to->size[1];
    for (int64_t d = total / 2; d < total; d++) {
        const int64_t dy = d / to->size[1] - (h - 1), dx = d % to->size[1] - (w - 1);
        double *sum = to->values + d * square_area, beta = 0;
        for (int64_t y = dy < 0 ? -dy : 0; y < h && y + dy < h; y++) {
            for (int64_t x = dx < 0 ? -dx : 0; x < w && x + dx < w; x++) {
                const double *a = from->values + ((y + dy) * w + x + dx) * area;
                const double *b = from->values + (y * w + x) * area;
                AMUN__CHECK(amun__gemm_f64(false, true, out, out, in, 1, a, b, beta, sum));
                beta = 1;
            }
        }
        double *mirror = to->values + (total - 1 - d) * square_area;
        for (int64_t i = 0; i < out && mirror != sum; i++) {
            for (int64_t j = 0; j < out; j++) {
                mirror[j * out + i] = sum[i * out + j];
            }
        }
    }
    return AMUN_OK;
}

/* The largest sum of absolute values over an output channel's columns, and over an input channel's
 * rows. */
static amun_status absolute_sums(amun_context *ctx, int64_t out, int64_t in, const lattice *k,
                                 double *most, double *most_across)
{
    amun_status status;
    double *sums = NULL;
    AMUN__TRY(amun__calloc(ctx, &sums, (size_t)(out + in), sizeof *sums));
    for (int64_t i = 0; i < k->size[0] * k->size[1] * out * in; i++) {
        const double size = fabs(k->values[i]);
        sums[i / in % out] += size;
        sums[out + i % in] += size;
    }
    *most = *most_across = 0;
    for (int64_t i = 0; i < out + in; i++) {
        double *top = i < out ? most : most_across;
        *top = fmax(*top, sums[i]);
    }
fail:
    amun__free(ctx, sums);
    return status;
}

/* What the steps leave behind for the bound: before step t the kernel was divided by scale[t]; the
 * step made an error of operator norm at most error[t]. */
typedef struct trail {
    double scale[AMUN__GRAM_MOST], error[AMUN__GRAM_MOST];
} trail;

/* sigma(K)^2 <= sigma(correlation) + error, backwards from the sum of absolute values, which is the
 * norm between maximum norms and, for a symmetric map, bounds its largest eigenvalue. Factors of
 * (1 + few u) per step are covered by `slack`. */
static double unwind(const trail *seen, int32_t iterations, double last, double terms)
{
    const double slack = 1 + (terms + 8) * unit_roundoff;
    double bound = last * slack;
    for (int32_t t = iterations - 1; t >= 0; t--) {
        bound = seen->scale[t] * sqrt((bound + seen->error[t]) * slack) * slack;
    }
    return bound;
}

/* One step: scales `now`, correlates it into a new lattice that takes its place. */
static amun_status kernel_step(amun_context *ctx, int64_t out, int64_t in, lattice *now,
                               double *scale, double *error)
{
    amun_status status;
    size_t count, next_count;
    double across, along;
    lattice next = {.size = {2 * now->size[0] - 1, 2 * now->size[1] - 1}};
    AMUN__CHECK(lattice_count(out, in, now->size, &count));
    AMUN__CHECK(lattice_count(out, out, next.size, &next_count));
    *scale = frobenius(now->values, count);
    amun__gram_scale(now->values, count, *scale > 0 ? 1 / *scale : 0);
    /* |computed - exact| <= gamma(p) |K| |K|', whose operator norm is at most the product of the
     * sums of absolute values along rows and across them: Schur's test */
    AMUN__CHECK(absolute_sums(ctx, out, in, now, &along, &across));
    const double terms = (double)(in * now->size[0] * now->size[1]) + 12; /* 8: the scaling */
    *error = 2 * terms * unit_roundoff * along * across;
    AMUN__TRY(amun__alloc(ctx, &next.values, next_count, sizeof *next.values));
    AMUN__TRY(correlate(out, in, now, &next));
    double *old = now->values;
    *now = next;
    next.values = old;
fail:
    amun__free(ctx, next.values);
    return status;
}

amun_status amun__gram_check(int32_t iterations)
{
    if (iterations < 1 || iterations > AMUN__GRAM_MOST) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "iterations: %d is outside [1, %d]",
                          (int)iterations, (int)AMUN__GRAM_MOST);
    }
    return AMUN_OK;
}

amun_status amun__gram_kernel(amun_context *ctx, int64_t out, int64_t in, const int64_t size[2],
                              const double *kernel, int32_t iterations, double *certified)
{
    amun_status status;
    size_t count;
    trail seen;
    lattice now = {.size = {size[0], size[1]}};
    AMUN__CHECK(amun__gram_check(iterations));
    AMUN__CHECK(lattice_count(out, in, size, &count));
    AMUN__TRY(amun__alloc(ctx, &now.values, count, sizeof *now.values));
    memcpy(now.values, kernel, count * sizeof *now.values);
    double most, across;
    for (int32_t t = 0; t < iterations; t++) {
        AMUN__TRY(kernel_step(ctx, out, t == 0 ? in : out, &now, &seen.scale[t], &seen.error[t]));
    }
    AMUN__TRY(absolute_sums(ctx, out, out, &now, &most, &across));
    *certified = seen.scale[0] > 0 ? unwind(&seen, iterations, fmax(most, across),
                                            (double)(out * now.size[0] * now.size[1]))
                                   : 0;
fail:
    amun__free(ctx, now.values);
    return status;
}

double amun__gram_kernel_cost(int64_t out, int64_t in, const int64_t size[2], int32_t iterations)
{
    double cost = 0, h = (double)size[0], w = (double)size[1], inner = (double)in;
    for (int32_t t = 0; t < iterations; t++) {
        cost += h * h * w * w * (double)out * (double)out * inner;
        h = 2 * h - 1;
        w = 2 * w - 1;
        inner = (double)out;
    }
    return cost;
}
