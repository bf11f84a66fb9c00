/* Batch norm of our own against the formulas in double, in both block sizes: statistics (also far
 * from zero), forward with and without ReLU, gradients with the batch's own statistics and with
 * constant ones; images in bf16; the same bytes for any number of threads. */
#include <stdlib.h>

#include "nets.h"

#ifdef AMUN_WITH_DNNL
#include "nn/bf16.h"
#include "nn/norm.h"
#include "nn/winograd.h"

typedef struct form {
    int64_t batch, channels, pixels, block;
    bool relu, bf16;
    double offset; /* of the images */
} form;

static const form forms[] = {
    {1, 8, 1, 8, false, false, 0},    {4, 13, 9, 8, true, false, 0},
    {9, 24, 16, 16, true, false, 0},  {17, 5, 35, 16, false, false, 1000},
    {3, 64, 64, 8, true, false, -50}, {33, 16, 7, 8, true, true, 0},
    {8, 40, 4, 16, false, true, 2},   {2, 8, 1024, 8, true, false, 300},
};
enum { FORMS = (int)(sizeof forms / sizeof forms[0]) };

/* Images in blocks, as they lie in memory, and what they stand for. */
typedef struct image {
    void *memory;
    float *plain; /* [batch][channels][pixels] */
    size_t bytes;
} image;

static size_t blocked_at(const form *f, int64_t i, int64_t c, int64_t p)
{
    int64_t blocks = (f->channels + f->block - 1) / f->block;
    return (size_t)(((i * blocks + c / f->block) * f->pixels + p) * f->block + c % f->block);
}

static float get(const form *f, const void *memory, size_t at)
{
    return f->bf16 ? amun__bf16_to_float(((const amun__bf16 *)memory)[at])
                   : ((const float *)memory)[at];
}

static void put(const form *f, void *memory, size_t at, float x)
{
    if (f->bf16) {
        ((amun__bf16 *)memory)[at] = amun__bf16_from_float(x);
    } else {
        ((float *)memory)[at] = x;
    }
}

static image image_new(const form *f, uint64_t seed, double offset)
{
    const size_t count = (size_t)(f->batch * f->channels * f->pixels);
    const int64_t blocks = (f->channels + f->block - 1) / f->block;
    image t = {.bytes = (size_t)(f->batch * blocks * f->block * f->pixels) * sizeof(float)};
    t.memory = calloc(t.bytes, 1);
    t.plain = net_random(count, seed, offset - 1, offset + 1);
    for (size_t k = 0; k < count; k++) {
        const int64_t at = (int64_t)k, plane = at / f->pixels;
        const size_t to = blocked_at(f, plane / f->channels, plane % f->channels, at % f->pixels);
        put(f, t.memory, to, t.plain[k]);
        t.plain[k] = get(f, t.memory, to);
    }
    return t;
}

static void image_free(image *t)
{
    free(t->memory);
    free(t->plain);
}

static void expect_near(double got, double want, double limit, const char *what, int i)
{
    ck_assert_msg(fabs(got - want) <= limit, "form %d, %s: %.9g, not %.9g (limit %.1g)", i, what,
                  got, want, limit);
}

/* ---- the oracle ------------------------------------------------------------------------------ */

/* Of one channel. */
typedef struct oracle {
    double mean, variance, sum, product; /* of dy, of dy (x - mean) */
} oracle;

static const float *values_at(const form *f, const image *t, int64_t i, int64_t c)
{
    return t->plain + (i * f->channels + c) * f->pixels;
}

static double oracle_y(const oracle *o, const float *scale, const float *shift, int64_t c, float x)
{
    return (double)scale[c] * ((double)x - o->mean) / sqrt(o->variance + 1e-5) + (double)shift[c];
}

static oracle oracle_of(const form *f, const image *x, int64_t c)
{
    oracle o = {0};
    const double count = (double)(f->batch * f->pixels);
    for (int64_t k = 0; k < f->batch * f->pixels; k++) {
        o.mean += (double)values_at(f, x, k / f->pixels, c)[k % f->pixels] / count;
    }
    for (int64_t k = 0; k < f->batch * f->pixels; k++) {
        const double gap = (double)values_at(f, x, k / f->pixels, c)[k % f->pixels] - o.mean;
        o.variance += gap * gap / count;
    }
    return o;
}

/* ---- tests ----------------------------------------------------------------------------------- */

typedef struct fixture {
    const form *f;
    amun__norm n;
    image x, dy;
    float *scale, *shift, *mean, *variance;
    double *scratch;
} fixture;

static void open_fixture(fixture *t, const form *f)
{
    const size_t channels = (size_t)f->channels;
    t->f = f;
    t->n = (amun__norm){.batch = f->batch,
                        .channels = f->channels,
                        .pixels = f->pixels,
                        .block = f->block,
                        .eps = 1e-5f,
                        .bf16 = f->bf16,
                        .relu = f->relu};
    t->x = image_new(f, 1, f->offset);
    t->dy = image_new(f, 2, 0);
    t->scale = net_random(channels, 3, 0.5, 1.5);
    t->shift = net_random(channels, 4, -0.5, 0.5);
    t->mean = calloc(channels, sizeof(float));
    t->variance = calloc(channels, sizeof(float));
    t->scratch = calloc(amun__norm_scratch_doubles(&t->n), sizeof(double));
    amun__norm_statistics(&t->n, t->mean, t->variance, t->x.memory, t->scratch, 1);
}

static void close_fixture(fixture *t)
{
    image_free(&t->x);
    image_free(&t->dy);
    free(t->scale);
    free(t->shift);
    free(t->mean);
    free(t->variance);
    free(t->scratch);
}

static amun__norm_values values_of(const fixture *t)
{
    return (amun__norm_values){t->mean, t->variance, t->scale, t->shift};
}

START_TEST(test_forward)
{
    fixture t;
    if (!amun__winograd_available()) {
        return;
    }
    open_fixture(&t, &forms[_i]);
    const form *f = t.f;
    const amun__norm_values values = values_of(&t);
    void *y = calloc(t.x.bytes, 1), *again = calloc(t.x.bytes, 1);
    float *other = calloc((size_t)(2 * f->channels), sizeof(float));
    amun__norm_forward(&t.n, y, t.x.memory, &values, 1);
    amun__norm_forward(&t.n, again, t.x.memory, &values, 3);
    ck_assert_mem_eq(y, again, t.x.bytes); /* zeros beside the channels, too */
    amun__norm_statistics(&t.n, other, other + f->channels, t.x.memory, t.scratch, 3);
    ck_assert_mem_eq(other, t.mean, (size_t)f->channels * sizeof(float));
    ck_assert_mem_eq(other + f->channels, t.variance, (size_t)f->channels * sizeof(float));
    for (int64_t c = 0; c < f->channels; c++) {
        oracle o = oracle_of(f, &t.x, c);
        expect_near((double)t.mean[c], o.mean, 1e-6 * (1 + fabs(f->offset)), "mean", _i);
        expect_near((double)t.variance[c], o.variance, 2e-5 * o.variance + 1e-12, "variance", _i);
        o.mean = (double)t.mean[c]; /* rounded to float it moves y, far from zero */
        for (int64_t k = 0; k < f->batch * f->pixels; k++) {
            const int64_t i = k / f->pixels, p = k % f->pixels;
            double want = oracle_y(&o, t.scale, t.shift, c, values_at(f, &t.x, i, c)[p]);
            want = f->relu && want < 0 ? 0 : want;
            expect_near((double)get(f, y, blocked_at(f, i, c, p)), want,
                        f->bf16 ? 0.004 * fabs(want) + 1e-6 : 1e-4, "y", _i);
        }
    }
    free(y);
    free(again);
    free(other);
    close_fixture(&t);
}
END_TEST

/* dy where y is positive. */
static double oracle_dy(const fixture *t, const oracle *o, int64_t i, int64_t c, int64_t p)
{
    const double y = oracle_y(o, t->scale, t->shift, c, values_at(t->f, &t->x, i, c)[p]);
    return t->f->relu && y <= 0 ? 0 : (double)values_at(t->f, &t->dy, i, c)[p];
}

static void check_channel(const fixture *t, const void *dx, const float *diff, int64_t c,
                          bool of_batch, int form_index)
{
    const form *f = t->f;
    oracle o = {.mean = (double)t->mean[c], .variance = (double)t->variance[c]};
    const double count = (double)(f->batch * f->pixels), spread = o.variance + 1e-5;
    for (int64_t k = 0; k < f->batch * f->pixels; k++) {
        const int64_t i = k / f->pixels, p = k % f->pixels;
        const double dy = oracle_dy(t, &o, i, c, p);
        o.sum += dy;
        o.product += dy * ((double)values_at(f, &t->x, i, c)[p] - o.mean);
    }
    const double limit = 1e-5 * count + 1e-5;
    expect_near((double)diff[c], o.product / sqrt(spread), limit, "diff_scale", form_index);
    expect_near((double)diff[f->channels + c], o.sum, limit, "diff_shift", form_index);
    for (int64_t k = 0; k < f->batch * f->pixels; k++) {
        const int64_t i = k / f->pixels, p = k % f->pixels;
        double want = oracle_dy(t, &o, i, c, p);
        if (of_batch) {
            const double x = (double)values_at(f, &t->x, i, c)[p] - o.mean;
            want -= o.sum / count + x / spread * o.product / count;
        }
        want *= (double)t->scale[c] / sqrt(spread);
        const double scale = (double)t->scale[c] / sqrt(spread);
        expect_near((double)get(f, dx, blocked_at(f, i, c, p)), want,
                    (f->bf16 ? 0.004 * fabs(want) : 0) + 2e-5 * scale, "dx", form_index);
    }
}

START_TEST(test_backward)
{
    fixture t;
    if (!amun__winograd_available()) {
        return;
    }
    open_fixture(&t, &forms[_i]);
    const form *f = t.f;
    const amun__norm_values values = values_of(&t);
    void *dx = calloc(t.x.bytes, 1), *again = calloc(t.x.bytes, 1);
    float *diff = calloc((size_t)(2 * f->channels), sizeof(float));
    for (int of_batch = 0; of_batch < 2; of_batch++) {
        const amun__norm_diff out = {dx, t.dy.memory, diff, diff + f->channels};
        const amun__norm_diff images_alone = {again, t.dy.memory, NULL, NULL};
        amun__norm_backward(&t.n, &out, t.x.memory, &values, of_batch != 0, t.scratch, 1);
        amun__norm_backward(&t.n, &images_alone, t.x.memory, &values, of_batch != 0, t.scratch, 3);
        ck_assert_mem_eq(dx, again, t.x.bytes);
        for (int64_t c = 0; c < f->channels; c++) {
            check_channel(&t, dx, diff, c, of_batch != 0, _i);
        }
    }
    free(dx);
    free(again);
    free(diff);
    close_fixture(&t);
}
END_TEST

START_TEST(test_nan)
{
    fixture t;
    if (!amun__winograd_available()) {
        return;
    }
    open_fixture(&t, &forms[4]);
    const amun__norm_values values = values_of(&t);
    float *y = calloc(t.x.bytes, 1);
    ((float *)t.x.memory)[0] = NAN;
    amun__norm_forward(&t.n, y, t.x.memory, &values, 1);
    ck_assert(isnan(y[0]));
    amun__norm_statistics(&t.n, t.mean, t.variance, t.x.memory, t.scratch, 1);
    ck_assert(isnan(t.mean[0]) && isnan(t.variance[0]) && !isnan(t.mean[1]));
    free(y);
    close_fixture(&t);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("norm");
    tcase_add_loop_test(tc, test_forward, 0, FORMS);
    tcase_add_loop_test(tc, test_backward, 0, FORMS);
    tcase_add_test(tc, test_nan);
    return amun_test_main("norm", (TCase *[]){tc, NULL});
}

#else

START_TEST(test_nothing)
{
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("norm: this build has no oneDNN");
    tcase_add_test(tc, test_nothing);
    return amun_test_main("norm", (TCase *[]){tc, NULL});
}

#endif
