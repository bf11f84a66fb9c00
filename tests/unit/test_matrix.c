/* test_matrix.c - layers whose windows share no pixel: all singular values and vectors, with their
 * repetitions, against LAPACK on the explicit matrix of the whole layer. */
#include "spectral/matrix.h"

#include "spectrum_fixture.h"

static amun_context *ctx;
static test_allocator allocator;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    ck_ok(amun_context_set_threads(ctx, 1));
}

static void teardown(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
}

static amun__linop_shape shape_of(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                                  int64_t dilation, int64_t groups)
{
    amun__linop_shape s = {.in_channels = in,
                           .in_height = 7,
                           .in_width = 6,
                           .out_channels = out,
                           .kernel = {kernel, kernel},
                           .stride = {stride, stride},
                           .dilation = {dilation, dilation},
                           .groups = groups};
    for (int i = 0; i < 2; i++) {
        int64_t *size = i == 0 ? &s.out_height : &s.out_width;
        *size = ((i == 0 ? 7 : 6) - dilation * (kernel - 1) - 1) / stride + 1;
    }
    return s;
}

static amun__linop_source source_of(const amun__linop_shape *shape, const pair *weights,
                                    double *factors)
{
    return (amun__linop_source){.ctx = ctx,
                                .kind = AMUN__LINOP_CONV2D,
                                .shape = *shape,
                                .weights = weights->narrow,
                                .weight_count = weights->count,
                                .factors = factors};
}

/* Values, residuals, and vectors: orthonormal, and as long as the value after the matrix. */
static void check(const amun__linop_source *source, const double *matrix, size_t rows,
                  size_t columns)
{
    double *truth = exact_spectrum(ctx, matrix, rows, columns);
    const amun__linop_shape *s = &source->shape;
    const size_t each = source->weight_count / (size_t)s->out_channels;
    const size_t per_group = (size_t)(s->out_channels / s->groups);
    const size_t rank =
        (size_t)(s->groups * s->out_height * s->out_width) * (per_group < each ? per_group : each);
    float *v = calloc(columns, sizeof *v);
    double *all = calloc(rank * columns, sizeof *all), *image = calloc(rows, sizeof *image);
    amun__matrix m = {0};
    ck_assert(amun__matrix_applies(source, rank));
    ck_assert(!amun__matrix_applies(source, rank + 1)); /* the others are zero, and not here */
    ck_ok(amun__matrix_decompose(&m, source, rank));
    for (size_t i = 0; i < rank; i++) {
        const double sigma = amun__matrix_sigma(&m, i);
        ck_assert_msg(fabs(sigma - truth[i]) <= 1e-12 * truth[0], "value %zu: %.17g, LAPACK %.17g",
                      i, sigma, truth[i]);
        ck_assert_double_le(amun__matrix_residual(&m, i), 1e-13 * truth[0] * truth[0]);
        amun__matrix_vector(&m, i, v);
        for (size_t j = 0; j < columns; j++) {
            all[i * columns + j] = (double)v[j];
        }
        fixture_multiply(matrix, rows, columns, false, 1, all + i * columns, image);
        ck_assert_double_le(fabs(sqrt(fixture_dot(image, image, rows)) - sigma), 1e-6 * truth[0]);
        for (size_t j = 0; j <= i; j++) {
            const double dot = fixture_dot(all + i * columns, all + j * columns, columns);
            ck_assert_double_le(fabs(dot - (i == j ? 1.0 : 0.0)), 1e-6);
        }
    }
    for (size_t i = rank; i < (rows < columns ? rows : columns); i++) {
        ck_assert_double_le(truth[i], 1e-12 * truth[0]);
    }
    const double first = amun__matrix_sigma(&m, 0);
    ck_ok(amun__matrix_decompose(&m, source, 1)); /* once more, for fewer */
    ck_assert(amun__matrix_sigma(&m, 0) == first);
    amun__matrix_close(&m);
    amun__matrix_close(&m);
    free(truth), free(v), free(all), free(image);
}

START_TEST(convolutions)
{
    const amun__linop_shape shapes[] = {
        shape_of(4, 6, 1, 1, 1, 1), shape_of(6, 4, 1, 2, 1, 1), shape_of(4, 6, 1, 3, 1, 2),
        shape_of(6, 6, 1, 1, 1, 6), shape_of(3, 8, 2, 2, 1, 1), shape_of(4, 4, 3, 3, 1, 2),
        shape_of(2, 9, 2, 3, 2, 1), shape_of(1, 5, 1, 2, 1, 1), shape_of(2, 2, 2, 3, 1, 2)};
    double factors[9] = {1.5, -0.5, 2.0, 1.0, 0.0, 3.0, 0.25, -1.0, 1.0};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        pair w = pair_random(fixture_weights(&shapes[i]), 20 + i);
        const size_t each = w.count / (size_t)shapes[i].out_channels;
        for (int scaled = 0; scaled < 2; scaled++) {
            size_t rows, columns;
            for (size_t j = 0; j < w.count && scaled == 1; j++) {
                w.wide[j] = (double)w.narrow[j] * factors[j / each];
            }
            double *matrix = fixture_matrix(&shapes[i], w.wide, &rows, &columns);
            const amun__linop_source source =
                source_of(&shapes[i], &w, scaled == 1 ? factors : NULL);
            check(&source, matrix, rows, columns);
            free(matrix);
        }
        pair_free(&w);
    }
}
END_TEST

START_TEST(dense)
{
    pair w = pair_random(5 * 12, 3);
    amun__linop_shape shape = {.in_channels = 12, .out_channels = 5}; /* the rest is not read */
    amun__matrix m = {0};
    double *truth = exact_spectrum(ctx, w.wide, 5, 12);
    amun__linop_source source = source_of(&shape, &w, NULL);
    source.kind = AMUN__LINOP_LINEAR;
    ck_assert(amun__matrix_applies(&source, 5));
    ck_ok(amun__matrix_decompose(&m, &source, 5));
    for (size_t i = 0; i < 5; i++) {
        ck_close(amun__matrix_sigma(&m, i), truth[i], 1e-13);
    }
    amun__matrix_close(&m);
    pair_free(&w);
    w = pair_new(60); /* all of its values are 0 */
    source.weights = w.narrow;
    ck_ok(amun__matrix_decompose(&m, &source, 5));
    ck_assert(amun__matrix_sigma(&m, 4) == 0.0 && amun__matrix_residual(&m, 4) == 0.0);
    amun__matrix_close(&m);
    pair_free(&w);
    free(truth);
}
END_TEST

START_TEST(others)
{
    amun__linop_shape overlap = shape_of(4, 4, 3, 2, 1, 1), padded = shape_of(4, 4, 1, 1, 1, 1);
    amun__linop_shape spread = shape_of(4, 4, 2, 2, 2, 1);
    padded.pad[1] = 1;
    pair w = pair_random(4 * 4 * 9, 1);
    amun__linop_source source = source_of(&overlap, &w, NULL);
    ck_assert(!amun__matrix_applies(&source, 1));
    source.shape = padded;
    source.weight_count = 16;
    ck_assert(!amun__matrix_applies(&source, 1));
    source.shape = spread; /* every second pixel, from every second */
    source.weight_count = 64;
    ck_assert(!amun__matrix_applies(&source, 1));
    source.kind = AMUN__LINOP_AVG_POOL;
    ck_assert(!amun__matrix_applies(&source, 1));
    source.kind = AMUN__LINOP_LINEAR;
    source.shape.in_channels = source.shape.out_channels = 1025;
    source.weight_count = (size_t)1025 * 1025;
    ck_assert(!amun__matrix_applies(&source, 1));
    source.shape.in_channels = 1024;
    source.weight_count = (size_t)1025 * 1024;
    ck_assert(amun__matrix_applies(&source, 1));
    pair_free(&w);
}
END_TEST

START_TEST(failing_allocations)
{
    const amun__linop_shape shape = shape_of(4, 6, 1, 2, 1, 2);
    pair w = pair_random(fixture_weights(&shape), 1);
    const amun__linop_source source = source_of(&shape, &w, NULL);
    const int64_t before = allocator.live_blocks;
    int64_t failures = 0;
    for (amun_status status = AMUN_ERROR_OUT_OF_MEMORY; status != AMUN_OK; failures++) {
        amun__matrix m = {0};
        allocator.fail_at = failures + 1;
        status = amun__matrix_decompose(&m, &source, 3);
        ck_assert(status == AMUN_OK || (status == AMUN_ERROR_OUT_OF_MEMORY && m.pairs == 0));
        amun__matrix_close(&m);
        ck_assert_int_eq(allocator.live_blocks, before);
    }
    allocator.fail_at = 0;
    ck_assert_int_gt(failures, 10);
    pair_free(&w);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("matrix");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, convolutions);
    tcase_add_test(tc, dense);
    tcase_add_test(tc, others);
    tcase_add_test(tc, failing_allocations);
    return amun_test_main("matrix", (TCase *[]){tc, NULL});
}
