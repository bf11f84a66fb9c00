/* test_linop_code.c - the library's own code for linear maps of convolutions, each kind forced upon
 * every geometry that it can do: against explicit matrices in double, on one thread and on two. And
 * which kind is taken. */
#include "linop_fixture.h"

#ifdef AMUN_WITH_DNNL
#include "nn/linop_code.h"
#include "nn/winograd.h"

typedef struct code {
    const char *name;
    bool (*can)(const amun__linop_shape *shape);
    amun_status (*run)(amun__linop *op, int64_t k, const float *x, float *y, float *z);
} code;

static const code codes[] = {
    {"rows", amun__linop_rows_can, amun__linop_rows_run},
    {"winograd", amun__linop_winograd_can, amun__linop_winograd_run},
};

/* Geometries that the fixture's small product does not reach. */
enum { MORE_SHAPES = 7 };

static amun__linop_shape shape_at(int i)
{
    const amun__linop_shape more[MORE_SHAPES] = {
        fixture_square(13, 4, 25, 3, 1, AMUN__PADDING_ZERO),      /* a row and a tap left over */
        fixture_square(16, 16, 24, 3, 1, AMUN__PADDING_ZERO),     /* a panel is a row of pixels */
        fixture_square(6, 16, 13, 3, 2, AMUN__PADDING_ZERO),      /* every second pixel */
        fixture_square(5, 16, 7, 1, 2, AMUN__PADDING_ZERO),       /* pixels that nobody reads */
        fixture_square(17, 12, 19, 3, 1, AMUN__PADDING_CIRCULAR), /* panels across rows, a frame */
        fixture_square(9, 5, 26, 5, 1, AMUN__PADDING_REFLECT),    /* panels across vectors */
        fixture_square(8, 9, 12, 3, 3, AMUN__PADDING_ZERO),
    };
    return i < FIXTURE_SHAPES ? fixture_shape(i) : more[i - FIXTURE_SHAPES];
}

typedef struct conv {
    pair weights, x, y;
    double *matrix, *want_y, *want_z;
    size_t rows, columns;
    int64_t k;
} conv;

static conv conv_new(const amun__linop_shape *shape, int64_t k, uint64_t seed)
{
    conv c = {.k = k, .weights = pair_random(fixture_weights(shape), seed)};
    c.matrix = fixture_matrix(shape, c.weights.wide, &c.rows, &c.columns);
    c.x = pair_random((size_t)k * c.columns, seed + 1);
    c.y = pair_random((size_t)k * c.rows, seed + 2);
    c.want_y = calloc((size_t)k * c.rows, sizeof(double));
    c.want_z = calloc((size_t)k * c.columns, sizeof(double));
    fixture_multiply(c.matrix, c.rows, c.columns, false, k, c.x.wide, c.want_y);
    fixture_multiply(c.matrix, c.rows, c.columns, true, k, c.y.wide, c.want_z);
    return c;
}

static void conv_free(conv *c)
{
    pair_free(&c->weights);
    pair_free(&c->x);
    pair_free(&c->y);
    free(c->matrix);
    free(c->want_y);
    free(c->want_z);
}

/* Both ways, each alone and in one go, which must give the same bytes. */
static void check_code(const code *by, amun__linop *op, const conv *c, const char *shape)
{
    pair y = pair_new((size_t)c->k * c->rows), z = pair_new((size_t)c->k * c->columns);
    pair both_y = pair_new(y.count), both_z = pair_new(z.count), bare = pair_new(z.count);
    ck_ok(by->run(op, c->k, NULL, c->y.narrow, z.narrow));
    pair_sync(&z, false);
    double error = fixture_error(z.wide, c->want_z, z.count);
    ck_assert_msg(error <= 1e-5, "%s, adjoint: %g: %s", by->name, error, shape);
    ck_ok(by->run(op, c->k, c->x.narrow, y.narrow, NULL));
    pair_sync(&y, false);
    error = fixture_error(y.wide, c->want_y, y.count);
    ck_assert_msg(error <= 1e-5, "%s, apply: %g: %s", by->name, error, shape);
    ck_ok(by->run(op, c->k, NULL, y.narrow, z.narrow));
    ck_ok(by->run(op, c->k, c->x.narrow, both_y.narrow, both_z.narrow));
    ck_ok(by->run(op, c->k, c->x.narrow, NULL, bare.narrow));
    ck_assert_mem_eq(y.narrow, both_y.narrow, y.count * sizeof(float));
    ck_assert_mem_eq(z.narrow, both_z.narrow, z.count * sizeof(float));
    ck_assert_mem_eq(z.narrow, bare.narrow, z.count * sizeof(float));
    pair_free(&y);
    pair_free(&z);
    pair_free(&both_y);
    pair_free(&both_z);
    pair_free(&bare);
}

static amun_context *context_of(int32_t threads, int32_t choice)
{
    amun_context_options options = {
        .struct_size = sizeof options, .threads = threads, .conv = choice};
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, &options));
    return ctx;
}

static int check_shapes(amun_context *ctx, int64_t k)
{
    int checked = 0;
    for (int i = 0; i < FIXTURE_SHAPES + MORE_SHAPES; i++) {
        const amun__linop_shape shape = shape_at(i);
        conv c = conv_new(&shape, k, (uint64_t)i * 10);
        amun__linop *op = NULL;
        ck_ok(amun__linop_create_conv2d(&op, ctx, &shape, c.weights.narrow, NULL, k,
                                        AMUN__LINOP_DNNL));
        for (size_t j = 0; j < sizeof codes / sizeof codes[0]; j++) {
            if (codes[j].can(amun__linop_shape_of(op))) {
                check_code(&codes[j], op, &c, fixture_name(&shape, AMUN__LINOP_DNNL));
                checked++;
            }
        }
        amun__linop_destroy(op);
        conv_free(&c);
    }
    return checked;
}

/* Half of the product has no groups: rows can do it all, Winograd some. */
START_TEST(geometries)
{
    const int32_t threads = _i == 0 ? 1 : 2;
    amun_context *ctx = context_of(threads, AMUN_CONV_AUTO);
    amun__threads scope;
    ck_ok(amun__threads_begin(ctx, &scope));
    for (int64_t k = 1; k <= 3; k += 2) {
        const int checked = check_shapes(ctx, k);
        ck_assert_int_ge(checked, amun__winograd_available() ? 90 : 0);
    }
    amun__threads_end(&scope);
    amun_context_unref(ctx);
}
END_TEST

/* Blocks of several sizes on one map, and weights that change in between. */
START_TEST(new_weights)
{
    amun_context *ctx = context_of(1, AMUN_CONV_AUTO);
    const amun__linop_shape shape = shape_at(FIXTURE_SHAPES);
    amun__linop *op = NULL;
    const float zeros[25 * 13 * 9] = {0};
    ck_ok(amun__linop_create_conv2d(&op, ctx, &shape, zeros, NULL, 9, AMUN__LINOP_DNNL));
    for (int64_t k = 9; k >= 1; k -= 2) {
        conv c = conv_new(&shape, k, (uint64_t)k);
        ck_ok(amun__linop_set_weights(op, c.weights.narrow, NULL));
        for (size_t j = 0; j < sizeof codes / sizeof codes[0] && amun__winograd_available(); j++) {
            check_code(&codes[j], op, &c, "new weights");
        }
        conv_free(&c);
    }
    amun__linop_destroy(op);
    amun_context_unref(ctx);
}
END_TEST

/* Nothing but shape, number of vectors, CPU and `conv` decides. */
START_TEST(choice)
{
    const amun__linop_shape large = fixture_square(64, 32, 64, 3, 1, AMUN__PADDING_ZERO);
    const amun__linop_shape small = fixture_square(512, 4, 512, 3, 1, AMUN__PADDING_ZERO);
    const amun__linop_shape halved = fixture_square(256, 8, 512, 3, 2, AMUN__PADDING_ZERO);
    amun__linop_shape shapes[] = {large, small, halved};
    const amun__linop_code want[] = {AMUN__LINOP_CODE_WINOGRAD, AMUN__LINOP_CODE_ROWS,
                                     AMUN__LINOP_CODE_ROWS};
    amun_context *automatic = context_of(1, AMUN_CONV_AUTO),
                 *direct = context_of(1, AMUN_CONV_DIRECT);
    for (int i = 0; i < 3; i++) {
        shapes[i].out_height = shapes[i].in_height / shapes[i].stride[0];
        shapes[i].out_width = shapes[i].in_width / shapes[i].stride[1];
        ck_assert_int_eq(amun__linop_code_for(automatic, &shapes[i], 1),
                         amun__dnnl_stops_at_avx2() ? want[i] : AMUN__LINOP_CODE_DNNL);
        ck_assert_int_eq(amun__linop_code_for(direct, &shapes[i], 1), AMUN__LINOP_CODE_DNNL);
        ck_assert_double_gt(amun__linop_cost(automatic, &shapes[i], 2),
                            amun__linop_cost(automatic, &shapes[i], 1));
        shapes[i].groups = 2;
        ck_assert_int_eq(amun__linop_code_for(automatic, &shapes[i], 1), AMUN__LINOP_CODE_DNNL);
    }
    amun_context_unref(automatic);
    amun_context_unref(direct);
}
END_TEST
static amun_status make_and_run(amun_context *ctx, const code *by, const conv *c,
                                const amun__linop_shape *shape, pair *y, pair *z)
{
    amun__linop *op = NULL;
    amun_status status =
        amun__linop_create_conv2d(&op, ctx, shape, c->weights.narrow, NULL, c->k, AMUN__LINOP_DNNL);
    if (status == AMUN_OK) {
        status = by->run(op, c->k, c->x.narrow, y->narrow, z->narrow);
    }
    amun__linop_destroy(op);
    return status;
}

/* Out of memory at each allocation in turn. */
START_TEST(failing_allocations)
{
    const amun__linop_shape shape = shape_at(FIXTURE_SHAPES + 4); /* with a frame */
    conv c = conv_new(&shape, 2, 1);
    pair y = pair_new((size_t)c.k * c.rows), z = pair_new((size_t)c.k * c.columns);
    for (size_t j = 0; j < sizeof codes / sizeof codes[0] && amun__winograd_available(); j++) {
        test_allocator allocator = {0};
        amun_context *ctx = test_context(&allocator);
        const int64_t before = allocator.live_blocks;
        int failures = 0;
        for (amun_status status = AMUN_ERROR_OUT_OF_MEMORY; status != AMUN_OK; failures++) {
            allocator.fail_at = failures + 1;
            status = make_and_run(ctx, &codes[j], &c, &shape, &y, &z);
            ck_assert(status == AMUN_OK || status == AMUN_ERROR_OUT_OF_MEMORY);
            ck_assert_int_eq(allocator.live_blocks, before);
        }
        ck_assert_int_gt(failures, 6);
        allocator.fail_at = 0;
        amun_context_unref(ctx);
        ck_assert_int_eq(allocator.live_blocks, 0);
    }
    pair_free(&y);
    pair_free(&z);
    conv_free(&c);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("linop_code");
    tcase_add_loop_test(tc, geometries, 0, 2);
    tcase_add_test(tc, new_weights);
    tcase_add_test(tc, choice);
    tcase_add_test(tc, failing_allocations);
    return amun_test_main("linop_code", (TCase *[]){tc, NULL});
}

#else

START_TEST(nothing)
{
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("linop_code: this build has no oneDNN");
    tcase_add_test(tc, nothing);
    return amun_test_main("linop_code", (TCase *[]){tc, NULL});
}

#endif
