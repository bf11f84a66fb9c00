/* Certificates of small images: never below the largest singular value of the explicit matrix,
 * whatever they were told to expect, and close to it when that was right. */
#include "linop_fixture.h"

#include "core/linalg.h"
#include "spectral/bounds.h"
#include "spectral/freq.h"
#include "spectral/section.h"

static amun_context *ctx;

static void setup(void)
{
    ck_ok(amun_context_create(&ctx, NULL));
}

static void teardown(void)
{
    amun_context_unref(ctx);
}

static double exact_norm(const amun__linop_shape *shape, const double *weights)
{
    size_t rows, columns;
    double *m = fixture_matrix(shape, weights, &rows, &columns), top;
    double *s = malloc((rows < columns ? rows : columns) * sizeof *s);
    ck_assert_ptr_nonnull(s);
    ck_ok(amun__svd_f64(ctx, (int64_t)rows, (int64_t)columns, m, s, NULL, NULL));
    top = s[0];
    free(s);
    free(m);
    return top;
}

static int64_t reach(const amun__linop_shape *s, int axis)
{
    return s->dilation[axis] * (s->kernel[axis] - 1) + 1;
}

/* Any padding, stride, dilation and grouping, more outputs than inputs and the other way round. */
static amun__linop_shape random_shape(uint64_t seed)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 0, 0);
    amun__linop_shape s = {.in_channels = 1 + amun__rng_below(&rng, 5),
                           .in_height = 2 + amun__rng_below(&rng, 7),
                           .in_width = 2 + amun__rng_below(&rng, 7),
                           .out_channels = 1 + amun__rng_below(&rng, 5),
                           .groups = 1,
                           .padding = (amun__padding)(seed % 4)};
    if (seed % 5 == 0) {
        s.in_channels *= s.groups = 2;
        s.out_channels *= 2;
    }
    for (int axis = 0; axis < 2; axis++) {
        const int64_t n = axis == 0 ? s.in_height : s.in_width;
        s.kernel[axis] = 1 + amun__rng_below(&rng, 4);
        s.stride[axis] = 1 + amun__rng_below(&rng, 3);
        s.dilation[axis] = s.kernel[axis] == 1 ? 1 : 1 + amun__rng_below(&rng, 2);
        s.pad[axis] = amun__rng_below(&rng, n < 3 ? 2 : 3);
        while (reach(&s, axis) > n + 2 * s.pad[axis]) {
            s.dilation[axis] = 1;
            s.kernel[axis]--;
        }
    }
    return s;
}

static amun__section_task task_of(const amun__linop_shape *s, const double *weights, double guess)
{
    double sum = 0;
    for (size_t i = 0; i < fixture_weights(s); i++) {
        sum += weights[i] * weights[i];
    }
    const double outputs =
        13 * 13; /* of the largest of these images; a pixel is read by all taps */
    return (amun__section_task){.ctx = ctx,
                                .shape = s,
                                .weights = weights,
                                .group_norm = sqrt(sum),
                                .copies = outputs * (double)(s->kernel[0] * s->kernel[1]),
                                .guess = guess,
                                .most = (double)INFINITY,
                                .budget = 1e12};
}

/* The torus across that contains the map. */
static amun__strip strip_of(const amun__linop_shape *s)
{
    const int64_t n = s->in_width, stride = s->stride[1], pad = s->pad[1];
    amun__strip strip = {.stride = stride, .copies = 1};
    if (s->padding == AMUN__PADDING_ZERO) {
        strip.grid = (n + pad + reach(s, 1) + stride - 1) / stride; /* more than enough */
        strip.twist = true;
    } else if (s->padding == AMUN__PADDING_CIRCULAR) {
        strip.stride = n % stride == 0 ? stride : 1;
        strip.grid = n / strip.stride;
        strip.copies = 1 + ceil((2.0 * (double)pad + 1) / (double)n);
    } else {
        strip.grid = (n + 2 * pad + stride - 1) / stride;
        strip.copies = 2 * (double)pad + 1; /* a pixel is shown that often at most */
    }
    return strip;
}

START_TEST(test_random_layers)
{
    int strips = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const amun__linop_shape s = random_shape(seed);
        const char *name = fixture_name(&s, AMUN__LINOP_REF_F64);
        pair w = pair_random(fixture_weights(&s), 3000 + seed);
        const double exact = exact_norm(&s, w.wide);
        amun__section_task task = task_of(&s, w.wide, exact);
        const amun__strip strip = strip_of(&s);
        double value;
        if (exact == 0) { /* no output sees a pixel; there is nothing to guess */
            pair_free(&w);
            continue;
        }
        ck_ok(amun__section_whole(&task, &value));
        ck_assert_msg(value >= exact && value <= exact * 1.00101, "%s: %.17g, exact %.17g", name,
                      value, exact);
        ck_ok(amun__section_strips(&task, &strip, &value));
        ck_assert_msg(value >= exact, "%s: strips %.17g, exact %.17g", name, value, exact);
        strips += isfinite(value);
        const double wrong[] = {0.5, 0.97, 0.9995, 1 - 1e-9, 1.2};
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
            task.guess = wrong[i] * exact;
            ck_ok(amun__section_whole(&task, &value));
            ck_assert_msg(value >= exact, "%s: %.17g below %.17g", name, value, exact);
            ck_assert(wrong[i] < 0.97 || value <= wrong[i] * exact * 1.0401);
            ck_ok(amun__section_strips(&task, &strip, &value));
            ck_assert_msg(value >= exact, "%s: strips %.17g below %.17g", name, value, exact);
        }
        pair_free(&w);
    }
    ck_assert_int_gt(strips, 20);
}
END_TEST

static const amun__linop_shape zero_shape = {.in_channels = 6,
                                             .in_height = 4,
                                             .in_width = 4,
                                             .out_channels = 8,
                                             .kernel = {3, 3},
                                             .stride = {1, 1},
                                             .pad = {1, 1},
                                             .dilation = {1, 1},
                                             .groups = 1,
                                             .padding = AMUN__PADDING_ZERO};

/* What amun__bound_conv2d() makes of it: within 2 % on all sizes, with the closer certificate where
 * the image is small, and at its price only. */
START_TEST(test_hint)
{
    int sections = 0;
    for (int64_t n = 2; n <= 16; n += n < 8 ? 1 : 4) {
        for (uint64_t seed = 0; seed < 6; seed++) {
            amun__linop_shape s = zero_shape;
            s.in_height = s.in_width = n;
            s.stride[0] = s.stride[1] = 1 + (int64_t)seed % 2;
            pair w = pair_random(fixture_weights(&s), 70 + seed);
            const double exact = exact_norm(&s, w.wide);
            amun__bound plain, close;
            amun__bound_hint hint = {exact * (1 - 1e-6), 1e11};
            ck_ok(amun__bound_conv2d(&plain, ctx, &s, w.narrow, NULL, NULL));
            ck_ok(amun__bound_conv2d(&close, ctx, &s, w.narrow, NULL, &hint));
            ck_assert_msg(close.value >= exact && close.value <= exact * 1.02,
                          "%lld: %.9g, exact %.9g", (long long)n, close.value, exact);
            ck_assert(close.value <= plain.value);
            sections += close.kind == AMUN__BOUND_SECTION;
            ck_assert(close.kind == AMUN__BOUND_SECTION || close.value == plain.value);
            hint.budget = 0;
            ck_ok(amun__bound_conv2d(&close, ctx, &s, w.narrow, NULL, &hint));
            ck_assert(close.value == plain.value && close.kind == plain.kind);
            pair_free(&w);
        }
    }
    ck_assert_int_gt(sections, 20);
}
END_TEST

/* A constant kernel on one channel: 1 + 2 cos(pi / (n + 1)) per axis, which the torus with
 * frequencies between those of the grid meets exactly. */
START_TEST(test_twisted_strips)
{
    amun__linop_shape s = zero_shape;
    s.in_channels = s.out_channels = 1;
    for (int64_t n = 3; n <= 9; n++) {
        s.in_height = s.in_width = n;
        double weights[9], value;
        for (int i = 0; i < 9; i++) {
            weights[i] = 1;
        }
        const double one = 1 + 2 * cos(acos(-1.0) / (double)(n + 1)), exact = one * one;
        const amun__section_task task = task_of(&s, weights, exact);
        amun__strip strip = {.stride = 1, .grid = n + 1, .copies = 1, .twist = true};
        ck_ok(amun__section_strips(&task, &strip, &value));
        ck_assert(value >= exact && value <= exact * 1.0021);
        strip.twist = false; /* frequency 0: 3 instead of `one` */
        ck_ok(amun__section_strips(&task, &strip, &value));
        ck_assert(value >= 3 * one);
    }
}
END_TEST

START_TEST(test_what_is_not_asked)
{
    pair w = pair_random(fixture_weights(&zero_shape), 5);
    const double exact = exact_norm(&zero_shape, w.wide);
    const amun__strip strip = strip_of(&zero_shape);
    double value[2];
    amun__section_task task = task_of(&zero_shape, w.wide, exact);
    const double guesses[] = {0, -1, NAN};
    for (size_t i = 0; i < 3; i++) {
        task.guess = guesses[i];
        ck_ok(amun__section_whole(&task, &value[0]));
        ck_ok(amun__section_strips(&task, &strip, &value[1]));
        ck_assert(isinf(value[0]) && isinf(value[1]));
    }
    task.guess = exact;
    task.most = exact * 1.0001; /* known to be this good already */
    ck_ok(amun__section_whole(&task, &value[0]));
    ck_ok(amun__section_strips(&task, &strip, &value[1]));
    ck_assert(isinf(value[0]) && isinf(value[1]));
    pair_free(&w);
}
END_TEST

/* Any allocation may fail: a status, nothing leaked. */
START_TEST(test_memory)
{
    pair w = pair_random(fixture_weights(&zero_shape), 1);
    const double exact = exact_norm(&zero_shape, w.wide);
    const amun__strip strip = strip_of(&zero_shape);
    for (int64_t fail_at = 1;; fail_at++) {
        test_allocator allocator = {0};
        amun_context *own = test_context(&allocator);
        const int64_t before = atomic_load(&allocator.live_blocks);
        amun__section_task task = task_of(&zero_shape, w.wide, exact);
        double value;
        task.ctx = own;
        atomic_store(&allocator.fail_at, fail_at);
        amun_status status = amun__section_whole(&task, &value);
        status = status == AMUN_OK ? amun__section_strips(&task, &strip, &value) : status;
        const bool reached = atomic_load(&allocator.fail_at) <= 0;
        ck_assert_int_eq(status, reached ? AMUN_ERROR_OUT_OF_MEMORY : AMUN_OK);
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
        amun_context_unref(own);
        if (!reached) {
            ck_assert_int_gt(fail_at, 6);
            break;
        }
    }
    pair_free(&w);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("section");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_random_layers);
    tcase_add_test(tc, test_hint);
    tcase_add_test(tc, test_twisted_strips);
    tcase_add_test(tc, test_what_is_not_asked);
    tcase_add_test(tc, test_memory);
    return amun_test_main("section", (TCase *[]){tc, NULL});
}
