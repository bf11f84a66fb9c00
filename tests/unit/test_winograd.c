/* Our Winograd convolutions against sums in double, in both block sizes: with stride 1 and 2:
 * forward with bias, ReLU and a residual sum, by data, by weights; the same bytes again (by
 * weights: with as many threads); images in bf16 against the same in float; and that plans take
 * them where they should. */
#include <stdlib.h>

#include "nets.h"

#ifdef AMUN_WITH_DNNL
#include "nn/bf16.h"
#include "nn/dnnl_impl.h"

typedef struct form {
    int64_t batch, src_channels, dst_channels, height, width, pad[2], src_block, dst_block;
    int64_t stride; /* 2: with pad 1 */
} form;

static const form forms[] = {
    {1, 16, 16, 8, 8, {1, 1}, 8, 8, 1},    {5, 20, 13, 9, 7, {1, 1}, 8, 8, 1},
    {2, 20, 13, 9, 7, {1, 1}, 16, 8, 1},   {3, 16, 40, 4, 4, {1, 1}, 8, 16, 1},
    {5, 33, 24, 5, 11, {0, 1}, 16, 16, 1}, {1, 8, 8, 3, 3, {0, 0}, 8, 8, 1},
    {2, 3, 16, 6, 6, {2, 0}, 8, 8, 1},     {1, 16, 16, 1, 1, {1, 1}, 8, 8, 1},
    {2, 16, 16, 5, 1, {1, 1}, 16, 16, 1},  {128, 16, 16, 4, 4, {1, 1}, 8, 8, 1},
    {1, 64, 48, 16, 16, {1, 1}, 8, 8, 1},  {1, 256, 300, 4, 5, {2, 2}, 8, 8, 1},
    {20, 16, 32, 13, 14, {1, 1}, 8, 8, 1}, {1, 16, 16, 8, 8, {1, 1}, 8, 8, 2},
    {3, 20, 13, 9, 7, {1, 1}, 8, 8, 2},    {2, 20, 33, 16, 18, {1, 1}, 16, 8, 2},
    {5, 16, 40, 1, 2, {1, 1}, 8, 16, 2},   {128, 16, 16, 4, 4, {1, 1}, 8, 8, 2},
    {2, 64, 48, 32, 32, {1, 1}, 8, 8, 2},  {9, 256, 300, 8, 5, {1, 1}, 8, 8, 2},
    {4, 8, 16, 3, 17, {1, 1}, 16, 16, 2},
};
enum { FORMS = (int)(sizeof forms / sizeof forms[0]) };

static amun__winograd winograd_of(const form *f)
{
    return (amun__winograd){
        .batch = f->batch,
        .src_channels = f->src_channels,
        .src_height = f->height,
        .src_width = f->width,
        .src_block = f->src_block,
        .dst_channels = f->dst_channels,
        .dst_height = f->stride == 2 ? (f->height + 1) / 2 : f->height + 2 * f->pad[0] - 2,
        .dst_width = f->stride == 2 ? (f->width + 1) / 2 : f->width + 2 * f->pad[1] - 2,
        .step = f->stride == 2 ? AMUN__WINOGRAD_DOWN : AMUN__WINOGRAD_SAME,
        .dst_block = f->dst_block,
        .pad = {f->pad[0], f->pad[1]}};
}

/* ---- images in blocks -------------------------------------------------------------------------
 */

typedef struct image {
    float *plain, *blocked; /* blocked: ends at a cache line, zeros for missing channels */
    int64_t batch, channels, pixels, block;
    size_t plain_count, blocked_count;
} image;

static float *lines(size_t floats)
{
    size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    float *p = aligned_alloc(64, bytes > 0 ? bytes : 64);
    ck_assert_ptr_nonnull(p);
    memset(p, 0, bytes);
    return p;
}

static size_t blocked_at(const image *t, int64_t n, int64_t c, int64_t p)
{
    int64_t blocks = (t->channels + t->block - 1) / t->block;
    return (size_t)(((n * blocks + c / t->block) * t->pixels + p) * t->block + c % t->block);
}

static image image_new(int64_t batch, int64_t channels, int64_t pixels, int64_t block,
                       uint64_t seed)
{
    image t = {.batch = batch, .channels = channels, .pixels = pixels, .block = block};
    t.plain_count = (size_t)(batch * channels * pixels);
    t.blocked_count = (size_t)(batch * ((channels + block - 1) / block) * block * pixels);
    t.plain = net_random(t.plain_count, seed, -1, 1);
    t.blocked = lines(t.blocked_count);
    for (int64_t n = 0; n < batch; n++) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t p = 0; p < pixels; p++) {
                t.blocked[blocked_at(&t, n, c, p)] = t.plain[(n * channels + c) * pixels + p];
            }
        }
    }
    return t;
}

static void image_free(image *t)
{
    free(t->plain);
    free(t->blocked);
}

/* ---- the oracle -------------------------------------------------------------------------------
 */

typedef struct oracle {
    const amun__winograd *w;
    const float *src, *weights, *diff; /* plain */
    double *dst, *diff_src, *diff_weights;
} oracle;

/* All products of one plane of src with one plane of dst. */
static void oracle_planes(const oracle *o, int64_t n, int64_t d, int64_t s)
{
    const amun__winograd *w = o->w;
    size_t src = (size_t)((n * w->src_channels + s) * w->src_height * w->src_width);
    size_t dst = (size_t)((n * w->dst_channels + d) * w->dst_height * w->dst_width);
    size_t filter = (size_t)(9 * (d * w->src_channels + s));
    for (int64_t y = 0; y < w->dst_height; y++) {
        for (int64_t x = 0; x < w->dst_width; x++, dst++) {
            for (int64_t k = 0; k < 9; k++) {
                const int64_t stride = w->step == AMUN__WINOGRAD_DOWN ? 2 : 1;
                int64_t h = stride * y + k / 3 - w->pad[0], v = stride * x + k % 3 - w->pad[1];
                if (h < 0 || h >= w->src_height || v < 0 || v >= w->src_width) {
                    continue;
                }
                size_t from = src + (size_t)(h * w->src_width + v), tap = filter + (size_t)k;
                o->dst[dst] += (double)o->src[from] * (double)o->weights[tap];
                o->diff_src[from] += (double)o->diff[dst] * (double)o->weights[tap];
                o->diff_weights[tap] += (double)o->diff[dst] * (double)o->src[from];
            }
        }
    }
}

static void oracle_run(const oracle *o)
{
    for (int64_t n = 0; n < o->w->batch; n++) {
        for (int64_t d = 0; d < o->w->dst_channels; d++) {
            for (int64_t s = 0; s < o->w->src_channels; s++) {
                oracle_planes(o, n, d, s);
            }
        }
    }
}

static double largest(const double *x, size_t n)
{
    double top = 0;
    for (size_t i = 0; i < n; i++) {
        top = fmax(top, fabs(x[i]));
    }
    return top;
}

/* Rounding grows with the sum's length; 1e-5 of the largest is ten times what is measured. */
static void expect_near(double got, double want, double top, const char *what, int i)
{
    ck_assert_msg(fabs(got - want) <= 1e-5 * top, "form %d, %s: %.9g, not %.9g (largest %.3g)", i,
                  what, got, want, top);
}

/* ---- passes -----------------------------------------------------------------------------------
 */

static float *run(const amun__winograd *w, const float *old, const float *src, const float *weights,
                  bool by_data, const amun__winograd_tail *tail, size_t count, int32_t threads)
{
    float *filters = lines(amun__winograd_filter_floats(w));
    float *scratch = lines(amun__winograd_scratch_floats(w, threads));
    float *dst = lines(count);
    memcpy(dst, old, count * sizeof *dst);
    amun__winograd_filters(w, filters, weights, by_data, threads);
    amun__winograd_run(w, dst, src, filters, tail, scratch, threads);
    free(filters);
    free(scratch);
    return dst;
}

/* The first run's bytes, which those of other numbers of threads must be. */
static float *run_all(const amun__winograd *w, const float *old, const float *src,
                      const float *weights, bool by_data, const amun__winograd_tail *tail,
                      size_t count)
{
    float *first = run(w, old, src, weights, by_data, tail, count, 1);
    for (int32_t threads = 2; threads <= 3; threads++) {
        float *other = run(w, old, src, weights, by_data, tail, count, threads);
        ck_assert_mem_eq(first, other, count * sizeof *first);
        free(other);
    }
    return first;
}

static void check_forward(const amun__winograd *w, const image *src, const image *old,
                          const float *weights, const double *want, int i)
{
    float *bias = net_random((size_t)w->dst_channels, 5, -1, 1);
    double top = largest(want, old->plain_count);
    for (int tails = 0; tails < 8; tails++) {
        const amun__winograd_tail tail = {(tails & 1) != 0 ? bias : NULL, (tails & 2) != 0,
                                          (tails & 4) != 0};
        float *dst =
            run_all(w, old->blocked, src->blocked, weights, false, &tail, old->blocked_count);
        double sum = 0;
        for (size_t k = 0; k < old->plain_count; k++) {
            int64_t at = (int64_t)k, plane = at / old->pixels, c = plane % old->channels;
            double value = want[k] + (tail.bias != NULL ? (double)bias[c] : 0) +
                           (tail.sum ? (double)old->plain[k] : 0);
            double got = (double)dst[blocked_at(old, plane / old->channels, c, at % old->pixels)];
            expect_near(got, tail.relu ? fmax(value, 0) : value, top + 2, "dst", i);
            sum += fabs(got);
        }
        for (size_t k = 0; k < old->blocked_count; k++) { /* nothing but zeros beside them */
            sum -= fabs((double)dst[k]);
        }
        ck_assert(fabs(sum) < 1e-6 * (top + 2) * (double)old->plain_count);
        free(dst);
    }
    free(bias);
}

static void check_by_data(const amun__winograd *w, const image *src, const image *diff,
                          const float *weights, const double *want, int i)
{
    const amun__winograd back = amun__winograd_turned(w);
    const amun__winograd_tail tail = {0};
    double top = largest(want, src->plain_count);
    float *got =
        run_all(&back, src->blocked, diff->blocked, weights, true, &tail, src->blocked_count);
    for (size_t k = 0; k < src->plain_count; k++) {
        int64_t at = (int64_t)k, plane = at / src->pixels;
        size_t place =
            blocked_at(src, plane / src->channels, plane % src->channels, at % src->pixels);
        expect_near((double)got[place], want[k], top, "diff_src", i);
    }
    free(got);
}

/* diff_weights, then diff_bias. */
static float *run_grad(const amun__winograd *w, const image *src, const image *diff, size_t count,
                       int32_t threads)
{
    float *scratch = lines(amun__winograd_grad_scratch_floats(w, threads));
    float *got = lines(count + (size_t)w->dst_channels);
    memset(got, 0xff, (count + (size_t)w->dst_channels) * sizeof *got);
    amun__winograd_grad(w, got, got + count, src->blocked, diff->blocked, scratch, threads);
    free(scratch);
    return got;
}

static double bias_sum(const amun__winograd *w, const image *diff, int64_t c)
{
    double sum = 0;
    for (int64_t k = 0; k < w->batch * diff->pixels; k++) {
        int64_t plane = k / diff->pixels * w->dst_channels + c;
        sum += (double)diff->plain[plane * diff->pixels + k % diff->pixels];
    }
    return sum;
}

static void check_by_weights(const amun__winograd *w, const image *src, const image *diff,
                             const double *want, int i)
{
    size_t count = (size_t)(9 * w->src_channels * w->dst_channels);
    double top = largest(want, count);
    for (int32_t threads = 1; threads <= 3; threads++) {
        float *got = run_grad(w, src, diff, count, threads);
        float *again = run_grad(w, src, diff, count, threads);
        ck_assert_mem_eq(again, got, (count + (size_t)w->dst_channels) * sizeof *got);
        for (size_t k = 0; k < count; k++) {
            expect_near((double)got[k], want[k], top, "diff_weights", i);
        }
        for (int64_t c = 0; c < w->dst_channels; c++) {
            expect_near((double)got[count + (size_t)c], bias_sum(w, diff, c), top, "diff_bias", i);
        }
        free(got);
        free(again);
    }
}

/* ---- images in bf16 ---------------------------------------------------------------------------
 */

static amun__bf16 *rounded(const float *from, size_t count)
{
    amun__bf16 *to = (amun__bf16 *)lines(count);
    for (size_t i = 0; i < count; i++) {
        to[i] = amun__bf16_from_float(from[i]);
    }
    return to;
}

/* Rounds in place: the floats that bf16 images stand for. */
static void round_image(image *t)
{
    for (size_t i = 0; i < t->blocked_count; i++) {
        t->blocked[i] = amun__bf16_to_float(amun__bf16_from_float(t->blocked[i]));
    }
}

/* Nothing differs from floats of the same values but that the results are rounded. */
static void check_bf16(amun__winograd w, const image *src, const image *old, const float *weights)
{
    const amun__winograd_tail tail = {.sum = true, .relu = true};
    const size_t count = (size_t)(9 * w.src_channels * w.dst_channels);
    float *want = run(&w, old->blocked, src->blocked, weights, false, &tail, old->blocked_count, 1);
    float *want_grad = run_grad(&w, src, old, count, 2);
    image half_src = *src, half_old = *old;
    half_src.blocked = (float *)rounded(src->blocked, src->blocked_count);
    half_old.blocked = (float *)rounded(old->blocked, old->blocked_count);
    amun__bf16 *expected = rounded(want, old->blocked_count);
    w.src_bf16 = w.dst_bf16 = true;
    float *got_grad = run_grad(&w, &half_src, &half_old, count, 2);
    float *got =
        run(&w, half_old.blocked, half_src.blocked, weights, false, &tail, old->blocked_count, 1);
    ck_assert_mem_eq(got, expected, old->blocked_count * sizeof *expected);
    ck_assert_mem_eq(got_grad, want_grad, (count + (size_t)w.dst_channels) * sizeof *got_grad);
    free(want);
    free(want_grad);
    free(got);
    free(got_grad);
    free(half_src.blocked);
    free(half_old.blocked);
    free(expected);
}

START_TEST(test_bf16)
{
    if (!amun__winograd_available()) {
        return;
    }
    const amun__winograd w = winograd_of(&forms[_i]);
    float *weights = net_random((size_t)(9 * w.src_channels * w.dst_channels), 3, -1, 1);
    image src = image_new(w.batch, w.src_channels, w.src_height * w.src_width, w.src_block, 1);
    image old = image_new(w.batch, w.dst_channels, w.dst_height * w.dst_width, w.dst_block, 2);
    round_image(&src);
    round_image(&old);
    check_bf16(w, &src, &old, weights);
    free(weights);
    image_free(&src);
    image_free(&old);
}
END_TEST

START_TEST(test_passes)
{
    if (!amun__winograd_available()) {
        return;
    }
    const amun__winograd w = winograd_of(&forms[_i]);
    size_t count = (size_t)(9 * w.src_channels * w.dst_channels);
    float *weights = net_random(count, 3, -1, 1);
    image src = image_new(w.batch, w.src_channels, w.src_height * w.src_width, w.src_block, 1);
    image diff = image_new(w.batch, w.dst_channels, w.dst_height * w.dst_width, w.dst_block, 2);
    oracle o = {.w = &w, .src = src.plain, .weights = weights, .diff = diff.plain};
    o.dst = calloc(diff.plain_count, sizeof *o.dst);
    o.diff_src = calloc(src.plain_count, sizeof *o.diff_src);
    o.diff_weights = calloc(count, sizeof *o.diff_weights);
    ck_assert(o.dst != NULL && o.diff_src != NULL && o.diff_weights != NULL);
    oracle_run(&o);
    check_forward(&w, &src, &diff, weights, o.dst, _i);
    check_by_data(&w, &src, &diff, weights, o.diff_src, _i);
    check_by_weights(&w, &src, &diff, o.diff_weights, _i);
    free(o.dst);
    free(o.diff_src);
    free(o.diff_weights);
    free(weights);
    image_free(&src);
    image_free(&diff);
}
END_TEST

/* A NaN must not hide behind a ReLU. */
START_TEST(test_nan)
{
    if (!amun__winograd_available()) {
        return;
    }
    const amun__winograd w = winograd_of(&forms[0]);
    const amun__winograd_tail tail = {.relu = true};
    float *weights = net_random((size_t)(9 * w.src_channels * w.dst_channels), 3, -1, 1);
    image src = image_new(w.batch, w.src_channels, w.src_height * w.src_width, w.src_block, 1);
    src.blocked[0] = NAN;
    float *dst = run(&w, src.blocked, src.blocked, weights, false, &tail, src.blocked_count, 1);
    ck_assert(isnan(dst[0]));
    free(dst);
    free(weights);
    image_free(&src);
}
END_TEST

/* ---- plans ------------------------------------------------------------------------------------
 */

static int ours(const amun__list *list)
{
    int count = 0;
    for (int32_t i = 0; i < list->count; i++) {
        count += list->items[i].kind == AMUN__INSTR_WINOGRAD ||
                 list->items[i].kind == AMUN__INSTR_WINOGRAD_GRAD;
    }
    return count;
}

static bool right_cpu(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    return amun__winograd_available() &&
           (isa & dnnl_cpu_isa_avx512_core) != dnnl_cpu_isa_avx512_core &&
           (isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2;
}

/* The second convolution alone, unless the batch is too small. */
START_TEST(test_chosen_by_shape)
{
    const int64_t batches[3] = {1, 7, 8}; /* of four tiles each */
    for (int i = 0; i < 3; i++) {
        for (int mode = AMUN__MODE_INFER; mode <= AMUN__MODE_TUNE; mode++) {
            net n;
            net_begin(&n, 3, 8, 8);
            amun_node at = net_conv(&n, 0, "a", (conv_form){.channels = 16, .kernel = 3, .pad = 1});
            at = net_conv(&n, at, "b", (conv_form){.channels = 32, .kernel = 3, .pad = 1});
            net_head(&n, at);
            net_finish(&n, 1);
            amun__plan *plan = NULL;
            ck_ok(amun__plan_create(&plan, n.ctx, &n.params, batches[i], (amun__mode)mode,
                                    &amun__backend_dnnl));
            const amun__dnnl_plan *m = plan->impl;
            const bool trains = mode > AMUN__MODE_ATTACK;
            int wins = right_cpu() && batches[i] * 4 >= (trains ? 32 : 4);
            ck_assert_int_eq(ours(&m->code.forward), wins);
            ck_assert_int_eq(ours(&m->code.backward), mode == AMUN__MODE_INFER    ? 0
                                                      : mode == AMUN__MODE_ATTACK ? wins
                                                                                  : 2 * wins);
            amun__plan_destroy(plan);
            net_end(&n);
        }
    }
}
END_TEST

int main(void)
{
    TCase *passes = tcase_create("passes");
    tcase_add_loop_test(passes, test_passes, 0, FORMS);
    tcase_add_loop_test(passes, test_bf16, 0, FORMS);
    tcase_add_test(passes, test_nan);
    TCase *plans = tcase_create("plans");
    tcase_add_test(plans, test_chosen_by_shape);
    return amun_test_main("winograd", (TCase *[]){passes, plans, NULL});
}

#else

START_TEST(test_nothing)
{
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("winograd: this build has no oneDNN");
    tcase_add_test(tc, test_nothing);
    return amun_test_main("winograd", (TCase *[]){tc, NULL});
}

#endif
