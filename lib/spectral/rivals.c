/* rivals.c - norms and clips of other methods that work on the kernel or through the layer's map;
 * those on the torus are in torus.c. */
#include "spectral/rivals.h"

#include "core/linalg.h"
#include "spectral/freq.h"
#include "spectral/gram.h"

/* A product through `factor` in double, rounded once. */
static void scale_weights(const float *from, size_t count, double factor, float *to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = (float)((double)from[i] * factor);
    }
}

/* ---- Miyato ---- */

static void normalise(double *v, int64_t count)
{
    const double size = sqrt(amun__dot_f64(v, v, (size_t)count)) + 1e-12;
    for (int64_t i = 0; i < count; i++) {
        v[i] /= size;
    }
}

amun_status amun__miyato_sigma(amun_context *ctx, int64_t rows, int64_t columns,
                               const float *weights, int32_t steps, double *u, double *v,
                               double *sigma)
{
    amun_status status;
    double *matrix = NULL, *right = NULL, *left = NULL;
    size_t count;
    if (rows < 1 || columns < 1 || !amun__mul_size(&count, (size_t)rows, (size_t)columns)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "a kernel of %lld by %lld is impossible",
                          (long long)rows, (long long)columns);
    }
    AMUN__TRY(amun__alloc(ctx, &matrix, count, sizeof *matrix));
    AMUN__TRY(amun__alloc(ctx, &right, (size_t)columns, sizeof *right));
    AMUN__TRY(amun__alloc(ctx, &left, (size_t)rows, sizeof *left));
    for (size_t i = 0; i < count; i++) {
        matrix[i] = (double)weights[i];
    }
    memcpy(left, u, (size_t)rows * sizeof *left);
    normalise(left, rows);
    for (int32_t step = 0; step < steps || step == 0; step++) {
        AMUN__TRY(amun__gemm_f64(true, false, columns, 1, rows, 1, matrix, left, 0, right));
        normalise(right, columns);
        if (steps > 0) {
            AMUN__TRY(amun__gemm_f64(false, false, rows, 1, columns, 1, matrix, right, 0, left));
            normalise(left, rows);
        }
    }
    memcpy(u, left, (size_t)rows * sizeof *u);
    if (v != NULL) {
        memcpy(v, right, (size_t)columns * sizeof *v);
    }
    AMUN__TRY(amun__gemm_f64(false, false, rows, 1, columns, 1, matrix, right, 0, left));
    *sigma = amun__dot_f64(u, left, (size_t)rows);
    if (!isfinite(*sigma)) {
        AMUN__FAIL(AMUN_ERROR_NUMERIC, "spectral normalisation: sigma is %g", *sigma);
    }
fail:
    amun__free(ctx, matrix);
    amun__free(ctx, right);
    amun__free(ctx, left);
    return status;
}

static amun_status check_sigma(double sigma)
{
    if (!(isfinite(sigma) && sigma > 0)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "spectral normalisation by sigma = %g", sigma);
    }
    return AMUN_OK;
}

amun_status amun__miyato_normalise(const float *weights, size_t count, double sigma, float *to)
{
    AMUN__CHECK(check_sigma(sigma));
    scale_weights(weights, count, 1 / sigma, to);
    return AMUN_OK;
}

amun_status amun__miyato_gradient(int64_t rows, int64_t columns, const float *weights,
                                  const double *u, const double *v, double sigma, const float *diff,
                                  float *to)
{
    AMUN__CHECK(check_sigma(sigma));
    const double along = amun__dot_f32(diff, weights, (size_t)(rows * columns)) / sigma;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            const int64_t at = i * columns + j;
            to[at] = (float)(((double)diff[at] - along * u[i] * v[j]) / sigma);
        }
    }
    return AMUN_OK;
}

/* ---- Gouk ---- */

/* x /= |x|; false if there is nothing to divide by. */
static bool normalise_f32(float *x, size_t count, double *size)
{
    *size = sqrt(amun__dot_f32(x, x, count));
    if (!(*size > 0)) {
        return false;
    }
    scale_weights(x, count, 1 / *size, x);
    return true;
}

amun_status amun__gouk_sigma(amun_context *ctx, amun__linop *op, int32_t iterations, uint64_t seed,
                             double *sigma)
{
    amun_status status;
    float *x = NULL, *y = NULL;
    const size_t in = amun__linop_in(op), out = amun__linop_out(op);
    double size;
    *sigma = 0;
    AMUN__TRY(amun__alloc(ctx, &x, in, sizeof *x));
    AMUN__TRY(amun__alloc(ctx, &y, out, sizeof *y));
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_INIT, 0, 0);
    for (size_t i = 0; i < in; i++) {
        x[i] = (float)amun__rng_normal(&rng);
    }
    /* normalised at each step, which the ratio does not see */
    for (int32_t step = 0; step < iterations && normalise_f32(x, in, &size); step++) {
        AMUN__TRY(amun__linop_apply(op, 1, x, y));
        AMUN__TRY(amun__linop_adjoint(op, 1, y, x));
    }
    if (normalise_f32(x, in, &size)) {
        AMUN__TRY(amun__linop_apply(op, 1, x, y));
        *sigma = sqrt(amun__dot_f32(y, y, out));
    }
    if (!isfinite(*sigma)) {
        AMUN__FAIL(AMUN_ERROR_NUMERIC, "power iteration: sigma is %g", *sigma);
    }
fail:
    amun__free(ctx, x);
    amun__free(ctx, y);
    return status;
}

amun_status amun__gouk_project(const float *weights, size_t count, double sigma, double limit,
                               float *to)
{
    if (!(limit > 0) || !isfinite(sigma)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "limit %g, sigma %g", limit, sigma);
    }
    scale_weights(weights, count, 1 / fmax(1, sigma / limit), to);
    return AMUN_OK;
}

/* ---- Delattre 2023 ---- */

static amun_status widen_weights(amun_context *ctx, const amun__linop_shape *shape,
                                 const float *weights, double **wide, size_t *count)
{
    if (!amun__mul_size(count, (size_t)shape->out_channels,
                        (size_t)(shape->in_channels / shape->groups)) ||
        !amun__mul_size(count, *count, (size_t)shape->kernel[0]) ||
        !amun__mul_size(count, *count, (size_t)shape->kernel[1])) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "the kernel is too large");
    }
    AMUN__CHECK(amun__alloc(ctx, wide, *count, sizeof **wide));
    for (size_t i = 0; i < *count; i++) {
        if (!isfinite(weights[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "weight %zu is %g", i, (double)weights[i]);
        }
        (*wide)[i] = (double)weights[i];
    }
    return AMUN_OK;
}

/* Where the largest Gram norm was seen. */
typedef struct gram_top {
    double value;
    int64_t group, frequency[2];
} gram_top;

typedef struct gram_room {
    amun__freq freq;
    double *wide, *re, *im, *d_re, *d_im, *sums;
    size_t count;
} gram_room;

static void close_gram(amun_context *ctx, gram_room *room)
{
    double *const blocks[] = {room->wide, room->re, room->im, room->d_re, room->d_im, room->sums};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        amun__free(ctx, blocks[i]);
    }
    amun__freq_close(&room->freq);
}

static amun_status open_gram(amun_context *ctx, const amun__linop_shape *shape,
                             const float *weights, gram_room *room)
{
    const int64_t one[2] = {1, 1};
    amun__geometry geometry;
    AMUN__CHECK(amun__geometry_of(&geometry, shape));
    AMUN__CHECK(widen_weights(ctx, shape, weights, &room->wide, &room->count));
    AMUN__CHECK(amun__freq_open(&room->freq, ctx, shape, one, geometry.size, NULL));
    const amun__freq *f = &room->freq;
    const size_t matrix = (size_t)(f->out * f->columns);
    AMUN__CHECK(amun__alloc(ctx, &room->re, matrix, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &room->im, matrix, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &room->d_re, matrix, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &room->d_im, matrix, sizeof(double)));
    return amun__calloc(ctx, &room->sums, matrix * (size_t)f->taps, sizeof(double));
}

static amun_status find_top(amun_context *ctx, const amun__linop_shape *shape, gram_room *room,
                            int32_t iterations, gram_top *top)
{
    *top = (gram_top){0};
    for (int64_t group = 0; group < shape->groups; group++) {
        amun__freq_load(&room->freq, shape, room->wide, group);
        for (int64_t i = 0; i < amun__freq_count(&room->freq); i++) {
            int64_t w[2];
            int multiplicity;
            double value;
            amun__freq_at(&room->freq, i, w, &multiplicity);
            amun__freq_matrix(&room->freq, w, room->re, room->im);
            AMUN__CHECK(amun__gram_value(ctx, &room->freq, room->re, room->im, iterations, &value));
            if (value > top->value) {
                *top = (gram_top){value, group, {w[0], w[1]}};
            }
        }
    }
    return AMUN_OK;
}

static amun_status top_gradient(amun_context *ctx, const amun__linop_shape *shape, gram_room *room,
                                int32_t iterations, const gram_top *top, float *diff)
{
    const amun__freq *f = &room->freq;
    const int64_t area = f->out * f->in, positions = shape->kernel[0] * shape->kernel[1];
    amun__freq_load(&room->freq, shape, room->wide, top->group);
    amun__freq_matrix(f, top->frequency, room->re, room->im);
    AMUN__CHECK(amun__gram_gradient(ctx, f, room->re, room->im, iterations, top->value, room->d_re,
                                    room->d_im));
    amun__freq_adjoint(f, top->frequency, 1, room->d_re, room->d_im, room->sums);
    memset(diff, 0, room->count * sizeof *diff);
    float *to = diff + top->group * area * positions;
    for (int64_t t = 0; t < f->taps; t++) {
        for (int64_t i = 0; i < area; i++) {
            to[i * positions + f->tap[t].source] = (float)room->sums[t * area + i];
        }
    }
    return AMUN_OK;
}

amun_status amun__gram_norm(amun_context *ctx, const amun__linop_shape *shape, const float *weights,
                            int32_t iterations, double *value, float *diff_weights)
{
    amun_status status;
    gram_room room = {0};
    gram_top top;
    AMUN__TRY(open_gram(ctx, shape, weights, &room));
    AMUN__TRY(find_top(ctx, shape, &room, iterations, &top));
    *value = top.value;
    if (diff_weights != NULL) {
        AMUN__TRY(top_gradient(ctx, shape, &room, iterations, &top, diff_weights));
    }
fail:
    close_gram(ctx, &room);
    return status;
}

amun_status amun__gram_penalty(amun_context *ctx, const amun__linop_shape *shape,
                               const float *weights, int32_t iterations, double factor,
                               double *value, float *diff_weights)
{
    double norm;
    AMUN__CHECK(amun__gram_norm(ctx, shape, weights, iterations, &norm, diff_weights));
    const double rate = norm > 1 ? factor : 0;
    *value = rate * norm;
    const size_t count = (size_t)(shape->out_channels * (shape->in_channels / shape->groups) *
                                  shape->kernel[0] * shape->kernel[1]);
    if (diff_weights != NULL) {
        scale_weights(diff_weights, count, rate, diff_weights);
    }
    return AMUN_OK;
}

/* ---- Delattre 2024 ---- */

amun_status amun__gram_rescale(amun_context *ctx, const amun__linop_shape *shape,
                               const float *weights, int32_t iterations, double *t, float *to)
{
    amun_status status;
    amun__geometry geometry;
    amun__freq freq = {0};
    double *wide = NULL, *rows = NULL;
    size_t count;
    const int64_t one[2] = {1, 1};
    AMUN__CHECK(amun__geometry_of(&geometry, shape));
    AMUN__CHECK(amun__gram_check(iterations));
    amun__linop_shape dense = *shape; /* on the infinite grid a dilated map is copies of this */
    dense.dilation[0] = dense.dilation[1] = 1;
    const int64_t grid[2] = {amun__gram_rows_grid(shape->kernel[0], iterations),
                             amun__gram_rows_grid(shape->kernel[1], iterations)};
    AMUN__TRY(widen_weights(ctx, shape, weights, &wide, &count));
    AMUN__TRY(amun__freq_open(&freq, ctx, &dense, one, grid, NULL));
    AMUN__TRY(amun__alloc(ctx, &rows, (size_t)freq.out, sizeof *rows));
    const size_t row = count / (size_t)shape->out_channels;
    for (int64_t group = 0; group < shape->groups; group++) {
        amun__freq_load(&freq, shape, wide, group);
        AMUN__TRY(amun__gram_rows(&freq, iterations, rows));
        for (int64_t i = 0; i < freq.out; i++) {
            const size_t channel = (size_t)(group * freq.out + i);
            scale_weights(weights + channel * row, row, rows[i] > 0 ? 1 / rows[i] : 1,
                          to + channel * row);
            if (t != NULL) {
                t[channel] = rows[i];
            }
        }
    }
fail:
    amun__free(ctx, wide);
    amun__free(ctx, rows);
    amun__freq_close(&freq);
    return status;
}
