/* Certificates: never below the explicit matrix's largest singular value, equal to it where they
 * must be, and no looser than theory allows. */
#include "linop_fixture.h"

#include "core/linalg.h"
#include "spectral/bounds.h"

static amun_context *ctx;

static void setup(void)
{
    ck_ok(amun_context_create(&ctx, NULL));
}

static void teardown(void)
{
    amun_context_unref(ctx);
}

static double top_value(double *a, size_t m, size_t n)
{
    double *s = malloc((m < n ? m : n) * sizeof *s), top;
    ck_assert_ptr_nonnull(s);
    ck_ok(amun__svd_f64(ctx, (int64_t)m, (int64_t)n, a, s, NULL, NULL));
    top = s[0];
    free(s);
    return top;
}

static double exact_norm(const amun__linop_shape *shape, const double *weights)
{
    size_t rows, columns;
    double *m = fixture_matrix(shape, weights, &rows, &columns);
    double top = top_value(m, rows, columns);
    free(m);
    return top;
}

static double norm_bound(const amun__linop_shape *shape, const pair *w, amun__bound_kind *kind)
{
    amun__bound bound;
    ck_ok(amun__bound_conv2d(&bound, ctx, shape, w->narrow, NULL, NULL));
    if (kind != NULL) {
        *kind = bound.kind;
    }
    return bound.value;
}

static int64_t extent(const amun__linop_shape *s, int axis)
{
    return axis == 0 ? s->in_height : s->in_width;
}

static int64_t reach(const amun__linop_shape *s, int axis)
{
    return s->dilation[axis] * (s->kernel[axis] - 1) + 1;
}

/* Largest number of reads of one pixel along an axis (from_tap: of all taps, else of the padding
 * alone), by counting. */
static int64_t reads(const amun__linop_shape *s, int axis, bool from_taps)
{
    int64_t n = extent(s, axis), most = 0, pad = s->pad[axis];
    for (int64_t pixel = 0; pixel < n; pixel++) {
        int64_t count = 0;
        for (int64_t start = -pad; start + reach(s, axis) <= n + pad && from_taps;
             start += s->stride[axis]) {
            for (int64_t a = 0; a < s->kernel[axis]; a++) {
                count += fixture_index(s->padding, start + a * s->dilation[axis], n) == pixel;
            }
        }
        for (int64_t i = -pad; i < n + pad && !from_taps; i++) {
            count += fixture_index(s->padding, i, n) == pixel;
        }
        most = count > most ? count : most;
    }
    return most;
}

/* sigma(R) sqrt(reads): what reshaping the kernel proves. */
static double reshaped_norm(const amun__linop_shape *s, const double *weights)
{
    size_t m = (size_t)(s->out_channels / s->groups),
           count = fixture_weights(s) / (size_t)s->groups;
    double top = 0;
    for (int64_t g = 0; g < s->groups; g++) {
        double *copy = malloc(count * sizeof *copy);
        memcpy(copy, weights + (size_t)g * count, count * sizeof *copy);
        top = fmax(top, top_value(copy, m, count / m));
        free(copy);
    }
    return top * sqrt((double)(reads(s, 0, true) * reads(s, 1, true)));
}

/* The circular map, with the same stride, that the bound should have looked at: its exact norm. */
static double embedded_norm(const amun__linop_shape *s, const double *weights, double *factor)
{
    amun__linop_shape torus = *s;
    torus.padding = AMUN__PADDING_CIRCULAR;
    *factor = 1;
    for (int axis = 0; axis < 2; axis++) {
        int64_t n = extent(s, axis), grid = n;
        if (s->padding == AMUN__PADDING_ZERO) {
            grid = n + (s->pad[axis] < reach(s, axis) - 1 ? s->pad[axis] : reach(s, axis) - 1);
        } else if (s->padding != AMUN__PADDING_CIRCULAR) {
            grid = n + 2 * s->pad[axis];
            *factor *= sqrt((double)reads(s, axis, false));
        }
        if (s->padding == AMUN__PADDING_CIRCULAR) {
            int64_t outputs = n + 2 * s->pad[axis] - reach(s, axis) + 1; /* more than n: again */
            *factor *= sqrt(ceil((double)outputs / (double)n));
            torus.stride[axis] = n % s->stride[axis] != 0 ? 1 : s->stride[axis];
        }
        grid = (grid + torus.stride[axis] - 1) / torus.stride[axis] * torus.stride[axis];
        torus.pad[axis] = (reach(s, axis) - 1) / 2;
        *(axis == 0 ? &torus.in_height : &torus.in_width) = grid;
    }
    return exact_norm(&torus, weights);
}

/* All geometries of the fixture. The bound lies above the truth; it is not above either of the two
 * exact norms that it is made from, each computed from an explicit matrix. */
START_TEST(test_all_geometries)
{
    double loosest[4] = {0};
    for (int i = 0; i < FIXTURE_SHAPES; i++) {
        amun__linop_shape s = fixture_shape(i);
        const char *name = fixture_name(&s, AMUN__LINOP_REF_F64);
        pair w = pair_random(fixture_weights(&s), (uint64_t)i);
        amun__bound_kind kind;
        double exact = exact_norm(&s, w.wide), bound = norm_bound(&s, &w, &kind), factor;
        ck_assert_msg(bound >= exact, "%s: %.17g below %.17g", name, bound, exact);
        loosest[s.padding] = fmax(loosest[s.padding], bound / exact);
        double reshaped = reshaped_norm(&s, w.wide);
        ck_assert_msg(bound <= reshaped * (1 + 1e-8), "%s: %g, reshaped %g", name, bound, reshaped);
        if (reach(&s, 0) % 2 == 1 && reach(&s, 1) % 2 == 1 && reach(&s, 0) < 9) {
            double embedded = embedded_norm(&s, w.wide, &factor);
            ck_assert_msg(bound <= embedded * factor * (1 + 1e-8), "%s: %g, embedded %g * %g", name,
                          bound, embedded, factor);
        }
        bool one = s.kernel[0] == 1 && s.kernel[1] == 1;
        bool disjoint = s.kernel[0] <= s.stride[0] && s.kernel[1] <= s.stride[1] && s.pad[0] == 0 &&
                        s.dilation[0] == 1;
        if (one || disjoint) {
            ck_assert_int_eq(kind, AMUN__BOUND_EXACT);
            ck_assert_msg(bound <= exact * (1 + 1e-12), "%s: %.17g, exact %.17g", name, bound,
                          exact);
        } else if (s.padding == AMUN__PADDING_CIRCULAR && i < FIXTURE_PRODUCT &&
                   s.in_height % s.stride[0] == 0) {
            ck_assert_msg(bound <= exact * (1 + 1e-8), "%s: %.17g, exact %.17g", name, bound,
                          exact);
        }
        pair_free(&w);
    }
    if (getenv("AMUN_TEST_SHOW") != NULL) {
        printf("# loosest: zero %.3f circular %.3f reflect %.3f replicate %.3f\n", loosest[0],
               loosest[1], loosest[2], loosest[3]);
    }
}
END_TEST

/* More kernels, and channels on either side of each other. */
START_TEST(test_random_kernels)
{
    amun__rng rng;
    amun__rng_open(&rng, 11, AMUN__RNG_TEST, 0, 0);
    for (int i = 0; i < 120; i++) {
        amun__linop_shape s = {.in_channels = 1 + amun__rng_below(&rng, 5),
                               .in_height = 3 + amun__rng_below(&rng, 6),
                               .in_width = 3 + amun__rng_below(&rng, 6),
                               .out_channels = 1 + amun__rng_below(&rng, 5),
                               .groups = 1,
                               .padding = (amun__padding)(i % 4)};
        if (i % 5 == 0) {
            s.in_channels *= s.groups = 2;
            s.out_channels *= 2;
        }
        for (int axis = 0; axis < 2; axis++) {
            s.kernel[axis] = 1 + amun__rng_below(&rng, 3);
            s.stride[axis] = 1 + amun__rng_below(&rng, 3);
            s.dilation[axis] = s.kernel[axis] == 1 ? 1 : 1 + amun__rng_below(&rng, 2);
            s.pad[axis] = amun__rng_below(&rng, 3);
            if (reach(&s, axis) > extent(&s, axis) + 2 * s.pad[axis]) {
                s.dilation[axis] = 1;
            }
        }
        pair w = pair_random(fixture_weights(&s), 1000 + (uint64_t)i);
        double exact = exact_norm(&s, w.wide), bound = norm_bound(&s, &w, NULL);
        double reshaped = reshaped_norm(&s, w.wide);
        const char *name = fixture_name(&s, AMUN__LINOP_REF_F64);
        ck_assert_msg(bound >= exact, "%s: %.17g below %.17g", name, bound, exact);
        ck_assert_msg(bound <= reshaped * (1 + 1e-8) + 1e-300, "%s: %g, reshaped %g", name, bound,
                      reshaped);
        /* each part by itself is a bound, too */
        amun__bound part;
        ck_ok(amun__bound_frequencies(&part, ctx, &s, w.wide, 1e9));
        ck_assert_msg(part.value >= exact, "%s: frequencies %g below %g", name, part.value, exact);
        ck_ok(amun__bound_kernel(&part, ctx, &s, w.wide, 1e6));
        ck_assert_msg(part.value >= exact, "%s: kernel %g below %g", name, part.value, exact);
        pair_free(&w);
    }
}
END_TEST

static const amun__linop_shape square_shape = {.in_channels = 3,
                                               .in_height = 24,
                                               .in_width = 24,
                                               .out_channels = 4,
                                               .kernel = {3, 3},
                                               .stride = {1, 1},
                                               .pad = {1, 1},
                                               .dilation = {1, 1},
                                               .groups = 1,
                                               .padding = AMUN__PADDING_CIRCULAR};

/* A coarser grid says less, but never less than the truth: above the bound of every finer grid, by
 * at most the factor that the gaps cost. */
START_TEST(test_coarse_grids)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        pair w = pair_random(fixture_weights(&square_shape), seed);
        amun__bound full, dense, part;
        ck_ok(amun__bound_frequencies(&full, ctx, &square_shape, w.wide, 1e12));
        ck_assert_int_eq(full.kind, AMUN__BOUND_FFT);
        amun__linop_shape large = square_shape;
        large.in_height = large.in_width = 96;
        ck_ok(amun__bound_frequencies(&dense, ctx, &large, w.wide, 1e12));
        int coarse = 0;
        for (double budget = 8e6; budget > 1e4; budget /= 1.5) {
            ck_ok(amun__bound_frequencies(&part, ctx, &square_shape, w.wide, budget));
            ck_assert(part.kind == AMUN__BOUND_GRID || part.kind == AMUN__BOUND_FFT);
            if (part.kind == AMUN__BOUND_FFT) {
                continue;
            }
            coarse++;
            ck_assert_double_ge(part.value, full.value);
            ck_assert_double_ge(part.value, dense.value * (1 - 1e-8));
            ck_assert(part.value <= dense.value * 16 || isinf(part.value));
        }
        ck_assert_int_gt(coarse, 5);
        /* 16 x 16 frequencies: cos(pi / 16)^2 = 0.962 */
        double least = INFINITY;
        for (double budget = 8e6; budget > 1e6; budget /= 1.1) {
            ck_ok(amun__bound_frequencies(&part, ctx, &square_shape, w.wide, budget));
            if (part.kind == AMUN__BOUND_GRID) {
                least = fmin(least, part.value);
            }
        }
        ck_assert_double_le(least, dense.value / 0.96);
        ck_ok(amun__bound_frequencies(&part, ctx, &square_shape, w.wide, 10));
        ck_assert(isinf(part.value));
        pair_free(&w);
    }
}
END_TEST

/* A row of the T-th kernel has out * P entries and a Euclidean norm of at most sigma^(2^T). */
START_TEST(test_kernel_domain)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        pair w = pair_random(fixture_weights(&square_shape), 50 + seed);
        amun__linop_shape large = square_shape;
        large.in_height = large.in_width = 96;
        amun__bound lattice, gram;
        ck_ok(amun__bound_frequencies(&lattice, ctx, &large, w.wide, 1e12));
        ck_ok(amun__bound_kernel(&gram, ctx, &square_shape, w.wide, 1e9));
        ck_assert_int_eq(gram.kind, AMUN__BOUND_GRAM_KERNEL);
        ck_assert_double_ge(gram.value, lattice.value * (1 - 1e-8));
        double entries = 3 * 33 * 33; /* 3 channels on the smaller side, T = 4 */
        /* the torus of 96 misses the top by at most cos(pi / 96)^2 */
        ck_assert_double_le(gram.value, lattice.value * pow(entries, 1.0 / 32) / 0.9989);
        pair_free(&w);
    }
}
END_TEST

START_TEST(test_scale_and_linear)
{
    enum { IN = 7, OUT = 5 };
    pair w = pair_random(IN * OUT, 3), factors = pair_random(OUT, 4);
    amun__bound bound;
    ck_ok(amun__bound_linear(&bound, ctx, IN, OUT, w.narrow, factors.wide));
    for (size_t i = 0; i < IN * OUT; i++) {
        w.wide[i] *= factors.wide[i / IN];
    }
    double exact = top_value(w.wide, OUT, IN);
    ck_assert_int_eq(bound.kind, AMUN__BOUND_EXACT);
    ck_assert(bound.value >= exact && bound.value <= exact * (1 + 1e-12));
    pair_free(&w), pair_free(&factors);

    amun__linop_shape s = square_shape;
    s.in_height = s.in_width = 6;
    w = pair_random(fixture_weights(&s), 5);
    factors = pair_random((size_t)s.out_channels, 6);
    ck_ok(amun__bound_conv2d(&bound, ctx, &s, w.narrow, factors.wide, NULL));
    for (size_t i = 0; i < w.count; i++) {
        w.wide[i] *= factors.wide[i / 27];
    }
    exact = exact_norm(&s, w.wide);
    ck_assert(bound.value >= exact && bound.value <= exact * (1 + 1e-8));
    pair_free(&w), pair_free(&factors);
}
END_TEST

/* More rows than the SVD is used for: Cholesky tests, with a known answer. */
START_TEST(test_large_dense)
{
    enum { N = 520 };
    pair w = pair_new((size_t)N * N);
    for (size_t i = 0; i < N; i++) {
        w.narrow[i * N + (i * 7 + 3) % N] = i == 77 ? -3.0f : 1.0f + (float)i / 1000;
    }
    amun__bound bound;
    ck_ok(amun__bound_linear(&bound, ctx, N, N, w.narrow, NULL));
    ck_assert_double_ge(bound.value, 3);
    ck_assert_double_le(bound.value, 3 * (1 + 1e-8));
    pair_free(&w);
}
END_TEST

/* Kernels without weight, with one, of extreme sizes, and of rank one: a bound all the same. */
START_TEST(test_extremes)
{
    amun__linop_shape s = square_shape;
    s.in_height = s.in_width = 5;
    s.padding = AMUN__PADDING_ZERO;
    pair w = pair_new(fixture_weights(&s));
    amun__bound bound;
    ck_ok(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL));
    ck_assert(bound.value == 0);
    w.narrow[4] = -2.5f; /* a centre tap: 2.5 times a part of the identity */
    ck_ok(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL));
    ck_assert(bound.value >= 2.5 && bound.value <= 2.5 * (1 + 1e-8));
    const float sizes[] = {1e-40f, 1e-20f, 1e20f, 3e37f};
    for (size_t k = 0; k < 4; k++) {
        pair v = pair_random(w.count, 9);
        for (size_t i = 0; i < v.count; i++) {
            v.narrow[i] *= sizes[k];
        }
        pair_sync(&v, false);
        double exact = exact_norm(&s, v.wide);
        ck_ok(amun__bound_conv2d(&bound, ctx, &s, v.narrow, NULL, NULL));
        ck_assert(bound.value >= exact && bound.value <= 1.5 * exact);
        pair_free(&v);
    }
    for (size_t i = 0; i < w.count; i++) { /* all ones: a low-pass filter */
        w.wide[i] = (double)(w.narrow[i] = 1.0f);
    }
    double exact = exact_norm(&s, w.wide);
    ck_ok(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL));
    ck_assert(bound.value >= exact && bound.value <= sqrt(12) * 9 * (1 + 1e-8));
    /* a 3 x 3 kernel on a single pixel is its centre */
    s.in_height = s.in_width = 1;
    exact = exact_norm(&s, w.wide);
    ck_ok(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL));
    ck_assert_int_eq(bound.kind, AMUN__BOUND_EXACT);
    ck_assert(bound.value >= exact && bound.value <= exact * (1 + 1e-12));
    pair_free(&w);
}
END_TEST

START_TEST(test_refusals)
{
    amun__linop_shape s = square_shape;
    pair w = pair_random(fixture_weights(&s), 1);
    amun__bound bound;
    w.narrow[5] = NAN;
    ck_fails(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL), AMUN_ERROR_NUMERIC,
             "weight 5");
    w.narrow[5] = 0;
    ck_fails(amun__bound_conv2d(&bound, ctx, &s, w.narrow, (double[]){1, 1, INFINITY, 1}, NULL),
             AMUN_ERROR_NUMERIC, "weight 54");
    s.groups = 2;
    ck_fails(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "2 groups");
    s = square_shape;
    s.stride[1] = 0;
    ck_fails(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "stride extent 0");
    s = square_shape;
    s.pad[0] = 25;
    ck_fails(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "pad 25");
    s = square_shape;
    s.dilation[0] = 40;
    ck_fails(amun__bound_conv2d(&bound, ctx, &s, w.narrow, NULL, NULL), AMUN_ERROR_SHAPE, "81");
    ck_fails(amun__bound_linear(&bound, ctx, 0, 3, w.narrow, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "0 -> 3");
    pair_free(&w);
}
END_TEST

/* Any allocation may fail: a status, nothing leaked. */
START_TEST(test_memory)
{
    amun__linop_shape s = square_shape;
    s.in_height = s.in_width = 4;
    pair w = pair_random(fixture_weights(&s), 1);
    for (int64_t fail_at = 1;; fail_at++) {
        test_allocator allocator = {0};
        amun_context *own = test_context(&allocator);
        int64_t before = atomic_load(&allocator.live_blocks);
        amun__bound bound;
        atomic_store(&allocator.fail_at, fail_at);
        amun_status status = amun__bound_conv2d(&bound, own, &s, w.narrow, NULL, NULL);
        bool reached = atomic_load(&allocator.fail_at) <= 0;
        ck_assert_int_eq(status, reached ? AMUN_ERROR_OUT_OF_MEMORY : AMUN_OK);
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
        amun_context_unref(own);
        if (!reached) {
            ck_assert_int_gt(fail_at, 10);
            break;
        }
    }
    pair_free(&w);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("bounds");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_all_geometries);
    tcase_add_test(tc, test_random_kernels);
    tcase_add_test(tc, test_coarse_grids);
    tcase_add_test(tc, test_kernel_domain);
    tcase_add_test(tc, test_scale_and_linear);
    tcase_add_test(tc, test_large_dense);
    tcase_add_test(tc, test_extremes);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_memory);
    return amun_test_main("bounds", (TCase *[]){tc, NULL});
}
