/* Norms and clips of other methods: spectra against explicit matrices, gradients against central
 * differences, and the defects that the comparisons are about. */
#include "linop_fixture.h"

#include "core/linalg.h"
#include "spectral/rivals.h"

static amun_context *ctx;

static void setup(void)
{
    ck_ok(amun_context_create(&ctx, NULL));
}

static void teardown(void)
{
    amun_context_unref(ctx);
}

/* Singular values, descending. */
static double *spectrum(double *a, size_t m, size_t n)
{
    double *s = malloc((m < n ? m : n) * sizeof *s);
    ck_assert_ptr_nonnull(s);
    ck_ok(amun__svd_f64(ctx, (int64_t)m, (int64_t)n, a, s, NULL, NULL));
    return s;
}

static double *map_spectrum(const amun__linop_shape *shape, const float *weights, size_t *count)
{
    size_t rows, columns, n = fixture_weights(shape);
    pair w = pair_new(n);
    memcpy(w.narrow, weights, n * sizeof *weights);
    pair_sync(&w, false);
    double *m = fixture_matrix(shape, w.wide, &rows, &columns);
    double *s = spectrum(m, rows, columns);
    *count = rows < columns ? rows : columns;
    free(m);
    pair_free(&w);
    return s;
}

static double map_norm(const amun__linop_shape *shape, const float *weights)
{
    size_t count;
    double *s = map_spectrum(shape, weights, &count), top = s[0];
    free(s);
    return top;
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static amun__linop_shape circular(int64_t in, int64_t out, int64_t size, int64_t kernel,
                                  int64_t stride)
{
    return fixture_square(in, size, out, kernel, stride, AMUN__PADDING_CIRCULAR);
}

/* Weights whose map has the given norm. */
static pair weights_of_norm(const amun__linop_shape *shape, double norm, uint64_t seed)
{
    pair w = pair_random(fixture_weights(shape), seed);
    double factor = norm / map_norm(shape, w.narrow);
    for (size_t i = 0; i < w.count; i++) {
        w.narrow[i] = (float)((double)w.narrow[i] * factor);
    }
    pair_sync(&w, false);
    return w;
}

/* ---- Miyato ---- */

/* Many steps find sigma(R); sigma(R) <= sigma(M) <= sqrt(kh kw) sigma(R). */
START_TEST(test_miyato_norm)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        amun__linop_shape s = circular(3, 4, 6, 3, 1);
        s.padding = (amun__padding)(seed % 2); /* zero, circular */
        pair w = pair_random(fixture_weights(&s), seed), start = pair_random(4, 100 + seed);
        double v[27], u[4], sigma, one;
        memcpy(u, start.wide, sizeof u);
        ck_ok(amun__miyato_sigma(ctx, 4, 27, w.narrow, 1, u, v, &one));
        ck_close(amun__dot_f64(u, u, 4), 1, 1e-9);
        ck_close(amun__dot_f64(v, v, 27), 1, 1e-9);
        ck_ok(amun__miyato_sigma(ctx, 4, 27, w.narrow, 3000, u, v, &sigma));
        double *copy = malloc(108 * sizeof *copy);
        memcpy(copy, w.wide, 108 * sizeof *copy);
        double *exact = spectrum(copy, 4, 27);
        ck_close(sigma, exact[0], 1e-9);
        ck_assert_double_le(one, exact[0] * (1 + 1e-12));
        double norm = map_norm(&s, w.narrow);
        ck_assert_double_ge(norm, exact[0] * (1 - 1e-9));
        ck_assert_double_le(norm, 3 * exact[0] * (1 + 1e-9));
        free(copy), free(exact);
        pair_free(&w), pair_free(&start);
    }
}
END_TEST

/* One step by hand: R = diag(3, 4), u = (1, 0) stays; from (1, 1) it turns. */
START_TEST(test_miyato_step)
{
    const float r[4] = {3, 0, 0, 4};
    double u[2] = {1, 0}, v[2], sigma;
    ck_ok(amun__miyato_sigma(ctx, 2, 2, r, 1, u, v, &sigma));
    ck_close(sigma, 3, 1e-11);
    u[0] = u[1] = 1;
    ck_ok(amun__miyato_sigma(ctx, 2, 2, r, 1, u, v, &sigma));
    ck_close(v[0], 0.6, 1e-11);
    ck_close(v[1], 0.8, 1e-11);
    ck_close(u[0], 9 / hypot(9, 16), 1e-11);
    ck_close(sigma, hypot(9, 16) / 5, 1e-11);
    float w[4];
    ck_ok(amun__miyato_normalise(r, 4, 0.5, w)); /* upwards, too */
    ck_assert(w[0] == 6 && w[3] == 8);
    ck_fails(amun__miyato_normalise(r, 4, 0, w), AMUN_ERROR_NUMERIC, "sigma = 0");
    const float none[4] = {0};
    ck_ok(amun__miyato_sigma(ctx, 2, 2, none, 2, u, v, &sigma));
    ck_assert(sigma == 0);
    ck_fails(amun__miyato_sigma(ctx, 0, 2, r, 1, u, v, &sigma), AMUN_ERROR_INVALID_ARGUMENT,
             "0 by 2");
}
END_TEST

/* sum_i diff_i W_i / (u'Wv), by central differences. */
START_TEST(test_miyato_gradient)
{
    enum { M = 3, N = 5 };
    pair w = pair_random(M * N, 1), diff = pair_random(M * N, 2), u = pair_random(M, 3);
    double v[N], sigma;
    float got[M * N];
    ck_ok(amun__miyato_sigma(ctx, M, N, w.narrow, 2, u.wide, v, &sigma));
    ck_ok(amun__miyato_gradient(M, N, w.narrow, u.wide, v, sigma, diff.narrow, got));
    for (size_t at = 0; at < M * N; at++) {
        double value[2];
        for (int side = 0; side < 2; side++) {
            double sum = 0, product = 0, h = side == 0 ? -1e-5 : 1e-5;
            for (size_t i = 0; i < M * N; i++) {
                double x = w.wide[i] + (i == at ? h : 0);
                product += u.wide[i / N] * x * v[i % N];
                sum += diff.wide[i] * x;
            }
            value[side] = sum / product;
        }
        ck_close((double)got[at], (value[1] - value[0]) / 2e-5, 1e-5);
    }
    pair_free(&w), pair_free(&diff), pair_free(&u);
}
END_TEST

/* ---- Gouk ---- */

START_TEST(test_gouk)
{
    amun__linop_shape s = circular(3, 4, 8, 3, 1);
    s.padding = AMUN__PADDING_ZERO;
    pair w = pair_random(fixture_weights(&s), 7);
    amun__linop *op;
    ck_ok(amun__linop_create_conv2d(&op, ctx, &s, w.narrow, NULL, 1, AMUN__LINOP_REF_F32));
    double exact = map_norm(&s, w.narrow), before = 0, sigma = 0;
    const int32_t iterations[] = {1, 2, 5, 20, 300};
    for (size_t i = 0; i < 5; i++) {
        ck_ok(amun__gouk_sigma(ctx, op, iterations[i], 42, &sigma));
        ck_assert(sigma <= exact * (1 + 1e-5)); /* from below */
        ck_assert(sigma >= before * (1 - 1e-6));
        before = sigma;
    }
    ck_assert_double_ge(sigma, exact * 0.995);
    double other;
    ck_ok(amun__gouk_sigma(ctx, op, 2, 43, &other)); /* a fresh start each time */
    ck_ok(amun__gouk_sigma(ctx, op, 2, 42, &sigma));
    ck_assert(other != sigma);
    float *to = malloc(w.count * sizeof *to);
    ck_ok(amun__gouk_project(w.narrow, w.count, exact, exact / 2, to));
    ck_close(map_norm(&s, to), exact / 2, 1e-6);
    ck_ok(amun__gouk_project(w.narrow, w.count, exact, exact * 2, to));
    ck_assert(memcmp(to, w.narrow, w.count * sizeof *to) == 0); /* never upwards */
    ck_fails(amun__gouk_project(w.narrow, w.count, 1, 0, to), AMUN_ERROR_INVALID_ARGUMENT,
             "limit 0");
    free(to);
    amun__linop_destroy(op);
    pair_free(&w);
}
END_TEST

/* ---- the torus ---- */

/* All singular values, with strides, dilation, groups and any ratio of channels. */
START_TEST(test_torus_spectrum)
{
    for (int i = 0; i < 24; i++) {
        amun__linop_shape s = circular(1 + i % 3, 1 + i / 3 % 4, 6, 1 + 2 * (i % 2), 1 + i / 8);
        if (i % 5 == 0) {
            s.in_channels *= s.groups = 2;
            s.out_channels *= 2;
        }
        if (i % 7 == 0) {
            s.in_width = 12;
        }
        if (i == 3 || i == 13) {
            s.dilation[0] = s.pad[0] = 2;
        }
        pair w = pair_random(fixture_weights(&s), 200 + (uint64_t)i);
        size_t want_count, count;
        double *want = map_spectrum(&s, w.narrow, &want_count);
        ck_ok(amun__torus_count(&s, &count));
        ck_assert_uint_eq(count, want_count);
        double *got = malloc(count * sizeof *got);
        ck_ok(amun__torus_spectrum(ctx, &s, w.narrow, got));
        qsort(got, count, sizeof *got, descending);
        for (size_t k = 0; k < count; k++) {
            ck_assert_msg(fabs(got[k] - want[k]) <= 1e-12 * want[0], "%s: value %zu is %g, not %g",
                          fixture_name(&s, 0), k, got[k], want[k]);
        }
        free(want), free(got);
        pair_free(&w);
    }
}
END_TEST

/* From 3 to 1: one pass leaves a norm above 1, more passes come closer. With a kernel as large as
 * the image nothing is cut off: exactly the clamped map. */
START_TEST(test_torus_clip)
{
    for (int64_t stride = 1; stride <= 2; stride++) {
        amun__linop_shape s = circular(4, 4, 8, 3, stride);
        pair w = weights_of_norm(&s, 3, 31), to = pair_new(w.count);
        const int32_t passes[] = {1, 2, 7, 40};
        double before = 3;
        for (size_t i = 0; i < 4; i++) {
            ck_ok(amun__torus_clip(ctx, &s, w.narrow, 1, passes[i], to.narrow));
            double norm = map_norm(&s, to.narrow);
            ck_assert_msg(norm < before, "%d passes: %g after %g", passes[i], norm, before);
            ck_assert(i > 0 || (norm > 1.05 && norm < 2));
            before = norm;
        }
        ck_assert_double_le(before, 1.05);
        pair_free(&w), pair_free(&to);
    }
    amun__linop_shape s = circular(2, 3, 5, 5, 1);
    pair w = weights_of_norm(&s, 3, 32), to = pair_new(w.count);
    ck_ok(amun__torus_clip(ctx, &s, w.narrow, 1, 1, to.narrow));
    size_t count;
    double *old = map_spectrum(&s, w.narrow, &count), *new = map_spectrum(&s, to.narrow, &count);
    for (size_t k = 0; k < count; k++) {
        ck_close(new[k], fmin(old[k], 1), 1e-6);
    }
    free(old), free(new);
    /* a limit above the norm changes nothing, in place or not */
    ck_ok(amun__torus_clip(ctx, &s, w.narrow, 4, 3, w.narrow));
    pair_sync(&to, false);
    for (size_t k = 0; k < w.count; k++) {
        ck_close((double)w.narrow[k], w.wide[k], 1e-6);
    }
    pair_free(&w), pair_free(&to);
}
END_TEST

START_TEST(test_torus_refusals)
{
    amun__linop_shape s = circular(1, 1, 5, 3, 2);
    float w[9] = {1}, to[9];
    double values[64];
    size_t count;
    ck_fails(amun__torus_spectrum(ctx, &s, w, values), AMUN_ERROR_UNSUPPORTED, "2 does not");
    ck_fails(amun__torus_count(&s, &count), AMUN_ERROR_UNSUPPORTED, "2 does not divide 5");
    s = circular(1, 1, 2, 3, 1);
    ck_fails(amun__torus_clip(ctx, &s, w, 1, 1, to), AMUN_ERROR_UNSUPPORTED, "over 3");
    s = circular(1, 1, 4, 3, 1);
    ck_fails(amun__torus_clip(ctx, &s, w, (double)NAN, 1, to), AMUN_ERROR_INVALID_ARGUMENT,
             "limit nan");
    w[2] = NAN;
    ck_fails(amun__torus_clip(ctx, &s, w, 1, 1, to), AMUN_ERROR_NUMERIC, "nan");
}
END_TEST

/* ---- Gram norms ---- */

/* sigma_1 <= value <= r^(2^-(T+1)) sigma_1, r the smaller number of channels. */
START_TEST(test_gram_norm)
{
    for (int i = 0; i < 12; i++) {
        amun__linop_shape s = circular(2 + i % 3, 2 + i / 3, 5, 3, 1);
        pair w = pair_random(fixture_weights(&s), 300 + (uint64_t)i);
        double exact = map_norm(&s, w.narrow), value;
        double rank = (double)(s.in_channels < s.out_channels ? s.in_channels : s.out_channels);
        for (int32_t t = 0; t <= 6; t++) {
            ck_ok(amun__gram_norm(ctx, &s, w.narrow, t, &value, NULL));
            ck_assert_double_ge(value, exact * (1 - 1e-12));
            ck_assert_double_le(value, exact * pow(rank, ldexp(1, -t - 1)) * (1 + 1e-12));
        }
        pair_free(&w);
    }
}
END_TEST

/* Central differences in float weights: steps that float represents. */
START_TEST(test_gram_gradient)
{
    for (int i = 0; i < 6; i++) {
        amun__linop_shape s = circular(2 + i % 2, 2 + i / 2, 4 + i % 2, 3, 1);
        s.groups = i == 4 ? 2 : 1;
        s.in_channels = i == 4 ? 4 : s.in_channels;
        s.out_channels = i == 4 ? 4 : s.out_channels;
        const int32_t iterations = 1 + i % 6;
        pair w = pair_random(fixture_weights(&s), 400 + (uint64_t)i), diff = pair_new(w.count);
        double value, largest = 0, error = 0;
        ck_ok(amun__gram_norm(ctx, &s, w.narrow, iterations, &value, diff.narrow));
        for (size_t at = 0; at < w.count; at++) {
            const float keep = w.narrow[at];
            double up, down, high = (double)(w.narrow[at] = keep + 0x1p-11f);
            ck_ok(amun__gram_norm(ctx, &s, w.narrow, iterations, &up, NULL));
            double low = (double)(w.narrow[at] = keep - 0x1p-11f);
            ck_ok(amun__gram_norm(ctx, &s, w.narrow, iterations, &down, NULL));
            w.narrow[at] = keep;
            double want = (up - down) / (high - low);
            error = fmax(error, fabs((double)diff.narrow[at] - want));
            largest = fmax(largest, fabs(want));
        }
        ck_assert_msg(error <= 1e-5 * largest, "%s: gradient error %g of %g", fixture_name(&s, 0),
                      error, largest);
        /* the penalty is active above 1 only */
        double penalty;
        pair scaled = pair_new(w.count);
        ck_ok(amun__gram_penalty(ctx, &s, w.narrow, iterations, 0.1, &penalty, scaled.narrow));
        ck_assert(value > 1);
        ck_close(penalty, 0.1 * value, 1e-12);
        ck_close((double)scaled.narrow[0], 0.1 * (double)diff.narrow[0], 1e-6);
        for (size_t k = 0; k < w.count; k++) {
            w.narrow[k] = (float)((double)w.narrow[k] * 0.99 / value);
        }
        ck_ok(amun__gram_penalty(ctx, &s, w.narrow, iterations, 0.1, &penalty, scaled.narrow));
        ck_assert(penalty == 0);
        for (size_t k = 0; k < w.count; k++) {
            ck_assert(scaled.narrow[k] == 0);
        }
        pair_free(&w), pair_free(&diff), pair_free(&scaled);
    }
}
END_TEST

/* Delattre 2024 as published, by loops: the kernel [out][in][h][w] of a group correlated with
 * itself, then the same with the [out][out] result; t_i from sums of absolute values. */
static void correlate_naively(const double *k, size_t out, size_t in, const size_t *size,
                              double *to)
{
    const size_t h = size[0], w = size[1], tall = 2 * h - 1, wide = 2 * w - 1;
    memset(to, 0, out * out * tall * wide * sizeof *to);
    for (size_t i = 0; i < out * out * in; i++) {
        const size_t r = i / in / out, q = i / in % out, c = i % in;
        for (size_t at = 0; at < h * w * h * w; at++) {
            const size_t p = at / (h * w), s = at % (h * w);
            const size_t y = p / w + h - 1 - s / w, x = p % w + w - 1 - s % w;
            to[((r * out + q) * tall + y) * wide + x] +=
                k[(r * in + c) * h * w + p] * k[(q * in + c) * h * w + s];
        }
    }
}

static double *rows_naively(const amun__linop_shape *s, const double *weights, int32_t steps)
{
    const size_t out = (size_t)(s->out_channels / s->groups), groups = (size_t)s->groups;
    double *t = calloc(out * groups, sizeof *t);
    for (size_t g = 0; g < groups; g++) {
        size_t in = (size_t)(s->in_channels / s->groups);
        size_t size[2] = {(size_t)s->kernel[0], (size_t)s->kernel[1]};
        size_t count = out * in * size[0] * size[1];
        double *k = malloc(count * sizeof *k);
        memcpy(k, weights + g * count, count * sizeof *k);
        for (int32_t step = 0; step < steps; step++) {
            double *next = malloc(out * out * 4 * size[0] * size[1] * sizeof *next);
            correlate_naively(k, out, in, size, next);
            free(k);
            k = next;
            in = out;
            size[0] = 2 * size[0] - 1, size[1] = 2 * size[1] - 1;
        }
        for (size_t i = 0; i < out * in * size[0] * size[1]; i++) {
            t[g * out + i / (in * size[0] * size[1])] += fabs(k[i]);
        }
        free(k);
    }
    for (size_t i = 0; i < out * groups; i++) {
        t[i] = pow(t[i], ldexp(1, -steps));
    }
    return t;
}

START_TEST(test_gram_rows)
{
    for (int i = 0; i < 16; i++) {
        amun__linop_shape s = circular(1 + i % 4, 1 + i / 4, 9, 1 + i % 3, 1 + i % 2);
        s.kernel[1] = 1 + i / 3 % 4;
        s.dilation[i % 2] = 2;
        if (i % 5 == 4) {
            s.in_channels *= s.groups = 2;
            s.out_channels *= 2;
        }
        pair w = pair_random(fixture_weights(&s), 600 + (uint64_t)i), to = pair_new(w.count);
        const float scale = ldexpf(1, 40 * (i % 3 - 1)); /* powers must not overflow */
        for (size_t at = 0; at < w.count; at++) {
            w.narrow[at] *= scale;
            w.wide[at] = (double)w.narrow[at] / (double)scale;
        }
        double *t = malloc((size_t)s.out_channels * sizeof *t);
        for (int32_t steps = 1; steps <= 3; steps++) {
            double *want = rows_naively(&s, w.wide, steps);
            ck_ok(amun__gram_rescale(ctx, &s, w.narrow, steps, t, to.narrow));
            for (int64_t c = 0; c < s.out_channels; c++) {
                ck_assert(want[c] > 0);
                ck_close(t[c] / (want[c] * (double)scale), 1, 1e-13);
            }
            free(want);
        }
        free(t);
        pair_free(&w), pair_free(&to);
    }
}
END_TEST

/* Rows divided by t_i: never above 1, for zero and circular padding; tighter with iterations. */
START_TEST(test_gram_rescale)
{
    for (int i = 0; i < 20; i++) {
        amun__linop_shape s = circular(2 + i % 3, 2 + i % 4, 7, 3, 1 + i % 2);
        s.padding = (amun__padding)(i / 2 % 2);
        if (i % 6 == 5) {
            s.in_channels *= s.groups = 2;
            s.out_channels *= 2;
        }
        pair w = pair_random(fixture_weights(&s), 500 + (uint64_t)i), to = pair_new(w.count);
        double *t = malloc((size_t)s.out_channels * sizeof *t), before = 0;
        const size_t row = w.count / (size_t)s.out_channels;
        for (int32_t steps = 1; steps <= 4; steps++) {
            ck_ok(amun__gram_rescale(ctx, &s, w.narrow, steps, t, to.narrow));
            double norm = map_norm(&s, to.narrow), top = 0;
            ck_assert_msg(norm <= 1 + 1e-6, "%s: %g", fixture_name(&s, 0), norm);
            for (int64_t c = 0; c < s.out_channels; c++) {
                top = fmax(top, t[c]);
                ck_close((double)to.narrow[(size_t)c * row],
                         (double)w.narrow[(size_t)c * row] / t[c], 1e-6);
            }
            ck_assert_double_ge(top, map_norm(&s, w.narrow) * (1 - 1e-12));
            ck_assert(steps < 4 || norm > before);
            before = steps == 1 ? norm : before;
        }
        free(t);
        pair_free(&w), pair_free(&to);
    }
    /* a channel without weights stays */
    amun__linop_shape s = circular(1, 2, 4, 3, 1);
    float w[18] = {2}, to[18];
    ck_ok(amun__gram_rescale(ctx, &s, w, 2, NULL, to));
    ck_assert(to[0] == 1 && to[9] == 0);
    ck_fails(amun__gram_rescale(ctx, &s, w, 0, NULL, to), AMUN_ERROR_INVALID_ARGUMENT,
             "iterations: 0");
    w[3] = INFINITY;
    ck_fails(amun__gram_rescale(ctx, &s, w, 1, NULL, to), AMUN_ERROR_NUMERIC, "weight 3");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("rivals");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_miyato_norm);
    tcase_add_test(tc, test_miyato_step);
    tcase_add_test(tc, test_miyato_gradient);
    tcase_add_test(tc, test_gouk);
    tcase_add_test(tc, test_torus_spectrum);
    tcase_add_test(tc, test_torus_clip);
    tcase_add_test(tc, test_torus_refusals);
    tcase_add_test(tc, test_gram_norm);
    tcase_add_test(tc, test_gram_gradient);
    tcase_add_test(tc, test_gram_rows);
    tcase_add_test(tc, test_gram_rescale);
    return amun_test_main("rivals", (TCase *[]){tc, NULL});
}
