/* test_linop.c - linear maps of layers: against explicit matrices, and by the identities that
 * adjoints and gradients must satisfy. */
#include "linop_fixture.h"

/* ---- convolutions ---------------------------------------------------------------------------- */

typedef struct conv_case {
    amun_context *ctx;
    amun__linop_shape shape;
    pair weights, other, x, y;
    double *matrix, *other_matrix; /* of `weights` and of `other` */
    size_t rows, columns;
    int64_t k;
} conv_case;

static conv_case case_new(const amun__linop_shape *shape, int64_t k, uint64_t seed)
{
    conv_case c = {.shape = *shape, .k = k};
    ck_ok(amun_context_create(&c.ctx, NULL));
    c.weights = pair_random(fixture_weights(shape), seed);
    c.other = pair_random(fixture_weights(shape), seed + 1);
    c.matrix = fixture_matrix(shape, c.weights.wide, &c.rows, &c.columns);
    c.other_matrix = fixture_matrix(shape, c.other.wide, &c.rows, &c.columns);
    c.x = pair_random((size_t)k * c.columns, seed + 2);
    c.y = pair_random((size_t)k * c.rows, seed + 3);
    return c;
}

static void case_free(conv_case *c)
{
    pair_free(&c->weights);
    pair_free(&c->other);
    pair_free(&c->x);
    pair_free(&c->y);
    free(c->matrix);
    free(c->other_matrix);
    amun_context_unref(c->ctx);
}

static void check_matrix(conv_case *c, amun__linop *op, amun__linop_backend backend, int64_t k)
{
    pair mx = pair_new((size_t)k * c->rows), my = pair_new((size_t)k * c->columns);
    double *want_x = calloc(mx.count, sizeof *want_x), *want_y = calloc(my.count, sizeof *want_y);
    fixture_multiply(c->matrix, c->rows, c->columns, false, k, c->x.wide, want_x);
    fixture_multiply(c->matrix, c->rows, c->columns, true, k, c->y.wide, want_y);
    pair_apply(op, false, k, &c->x, &mx);
    pair_apply(op, true, k, &c->y, &my);
    double limit = tolerance(backend);
    const char *name = fixture_name(&c->shape, backend);
    double apply = fixture_error(mx.wide, want_x, mx.count);
    double adjoint = fixture_error(my.wide, want_y, my.count);
    ck_assert_msg(apply <= limit, "apply: %g: %s", apply, name);
    ck_assert_msg(adjoint <= limit, "adjoint: %g: %s", adjoint, name);
    double a = fixture_dot(mx.wide, c->y.wide, mx.count);
    double b = fixture_dot(c->x.wide, my.wide, my.count);
    double size =
        sqrt(fixture_dot(mx.wide, mx.wide, mx.count) * fixture_dot(c->y.wide, c->y.wide, mx.count));
    ck_assert_msg(fabs(a - b) <= limit * size, "<Mx,y> = %.17g, <x,M'y> = %.17g: %s", a, b, name);
    free(want_x);
    free(want_y);
    pair_free(&mx);
    pair_free(&my);
}

/* <dW, V> = <M_V x, r> for any V, for the gradient of a form that is linear in the weights. */
static void check_gradient(conv_case *c, amun__linop *op, amun__linop_backend backend, int64_t k)
{
    pair grad = pair_new(c->weights.count);
    double *image = calloc((size_t)k * c->rows, sizeof *image);
    bool wide = amun__linop_is_f64(op);
    if (wide) {
        ck_ok(amun__linop_weight_grad_f64(op, k, c->x.wide, c->y.wide, grad.wide));
    } else {
        ck_ok(amun__linop_weight_grad(op, k, c->x.narrow, c->y.narrow, grad.narrow));
    }
    pair_sync(&grad, wide);
    fixture_multiply(c->other_matrix, c->rows, c->columns, false, k, c->x.wide, image);
    double a = fixture_dot(grad.wide, c->other.wide, grad.count);
    double b = fixture_dot(image, c->y.wide, (size_t)k * c->rows);
    double size = sqrt(fixture_dot(image, image, (size_t)k * c->rows) *
                       fixture_dot(c->y.wide, c->y.wide, (size_t)k * c->rows));
    ck_assert_msg(fabs(a - b) <= tolerance(backend) * size,
                  "<dW,V> = %.17g, <M_V x, r> = %.17g: %s", a, b, fixture_name(&c->shape, backend));
    free(image);
    pair_free(&grad);
}

/* M'M in one go gives what the two halves give. */
static void check_gram(conv_case *c, amun__linop *op, amun__linop_backend backend, int64_t k)
{
    pair y = pair_new((size_t)k * c->rows), z = pair_new((size_t)k * c->columns);
    pair gy = pair_new(y.count), gz = pair_new(z.count), bare = pair_new(z.count);
    bool wide = amun__linop_is_f64(op);
    pair_apply(op, false, k, &c->x, &y);
    pair_apply(op, true, k, &y, &z);
    if (wide) {
        ck_ok(amun__linop_gram_f64(op, k, c->x.wide, gy.wide, gz.wide));
        ck_ok(amun__linop_gram_f64(op, k, c->x.wide, NULL, bare.wide));
    } else {
        ck_ok(amun__linop_gram(op, k, c->x.narrow, gy.narrow, gz.narrow));
        ck_ok(amun__linop_gram(op, k, c->x.narrow, NULL, bare.narrow));
    }
    pair_sync(&gy, wide);
    pair_sync(&gz, wide);
    pair_sync(&bare, wide);
    const char *name = fixture_name(&c->shape, backend);
    double limit = tolerance(backend);
    ck_assert_msg(fixture_error(gy.wide, y.wide, y.count) <= limit, "gram, y: %s", name);
    ck_assert_msg(fixture_error(gz.wide, z.wide, z.count) <= limit, "gram, z: %s", name);
    ck_assert_msg(fixture_error(bare.wide, gz.wide, z.count) == 0, "gram without y: %s", name);
    pair_free(&y);
    pair_free(&z);
    pair_free(&gy);
    pair_free(&gz);
    pair_free(&bare);
}

static amun__linop *case_linop(const conv_case *c, amun__linop_backend backend, int64_t max_block)
{
    amun__linop *op = NULL;
    ck_ok(amun__linop_create_conv2d(&op, c->ctx, &c->shape, c->weights.narrow, NULL, max_block,
                                    backend));
    ck_assert_uint_eq(amun__linop_in(op), c->columns);
    ck_assert_uint_eq(amun__linop_out(op), c->rows);
    return op;
}

START_TEST(convolutions)
{
    for (int i = 0; i < FIXTURE_SHAPES; i++) {
        amun__linop_shape shape = fixture_shape(i);
        conv_case c = case_new(&shape, 3, (uint64_t)i * 10);
        for (int b = 0; b < FIXTURE_BACKENDS; b++) {
            amun__linop *op = case_linop(&c, fixture_backends[b], 3);
            check_matrix(&c, op, fixture_backends[b], 3);
            check_gradient(&c, op, fixture_backends[b], 3);
            check_gram(&c, op, fixture_backends[b], 3);
            if (i % 7 == 0) { /* another block size on the same operator, and back */
                check_matrix(&c, op, fixture_backends[b], 1);
                check_gradient(&c, op, fixture_backends[b], 2);
                check_matrix(&c, op, fixture_backends[b], 3);
            }
            amun__linop_destroy(op);
        }
        case_free(&c);
    }
}
END_TEST

/* Weights that stay with the caller: as they are now, as they are after the next call, and copied
 * ones again. `y` and `want` are of the other weights and nine vectors. */
static void check_lent(conv_case *c, amun__linop *op, int b, pair *y, const double *want)
{
    float *lent = calloc(c->weights.count, sizeof *lent);
    memcpy(lent, c->weights.narrow, c->weights.count * sizeof *lent);
    ck_ok(amun__linop_lend_weights(op, lent, NULL));
    check_matrix(c, op, fixture_backends[b], 9);
    memcpy(lent, c->other.narrow, c->weights.count * sizeof *lent);
    ck_ok(amun__linop_lend_weights(op, lent, NULL));
    pair_apply(op, false, 9, &c->x, y);
    ck_assert_double_le(fixture_error(y->wide, want, y->count), tolerance(fixture_backends[b]));
    ck_ok(amun__linop_set_weights(op, c->weights.narrow, NULL));
    free(lent);
    check_matrix(c, op, fixture_backends[b], 9);
}

/* Every block size up to one that fills Winograd's tiles, on one operator, with new weights in
 * between: what is packed must follow. */
START_TEST(blocks_and_new_weights)
{
    amun__linop_shape shape = fixture_odd_shape(5);
    conv_case c = case_new(&shape, 9, 77);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = case_linop(&c, fixture_backends[b], 9);
        for (int64_t k = 1; k <= 9; k += 2) {
            check_matrix(&c, op, fixture_backends[b], k);
        }
        pair y = pair_new(9 * c.rows);
        double *want = calloc(y.count, sizeof *want);
        ck_ok(amun__linop_set_weights(op, c.other.narrow, NULL));
        fixture_multiply(c.other_matrix, c.rows, c.columns, false, 9, c.x.wide, want);
        pair_apply(op, false, 9, &c.x, &y);
        ck_assert_double_le(fixture_error(y.wide, want, y.count), tolerance(fixture_backends[b]));
        check_lent(&c, op, b, &y, want);
        free(want);
        pair_free(&y);
        amun__linop_destroy(op);
    }
    case_free(&c);
}
END_TEST

/* diag(scale) M: rows of the matrix times their channel's factor; the gradient ignores it. */
START_TEST(scaled_convolutions)
{
    amun__linop_shape shape = fixture_shape(4);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        conv_case c = case_new(&shape, 2, 5);
        pair scale = pair_random((size_t)shape.out_channels, 6);
        amun__linop *op = NULL;
        ck_ok(amun__linop_create_conv2d(&op, c.ctx, &shape, c.weights.narrow, scale.narrow, 2,
                                        fixture_backends[b]));
        size_t area = c.rows / (size_t)shape.out_channels;
        for (size_t i = 0; i < c.rows * c.columns; i++) {
            c.matrix[i] *= scale.wide[i / c.columns / area];
        }
        check_matrix(&c, op, fixture_backends[b], 2);
        check_gradient(&c, op, fixture_backends[b], 2);
        ck_ok(amun__linop_set_weights(op, c.other.narrow, scale.narrow));
        for (size_t i = 0; i < c.rows * c.columns; i++) {
            c.matrix[i] = c.other_matrix[i] * scale.wide[i / c.columns / area];
        }
        check_matrix(&c, op, fixture_backends[b], 2);
        amun__linop_destroy(op);
        pair_free(&scale);
        case_free(&c);
    }
}
END_TEST

START_TEST(doubles_are_kept)
{
    amun__linop_shape shape = fixture_shape(4);
    conv_case c = case_new(&shape, 1, 9);
    amun__linop *op = case_linop(&c, AMUN__LINOP_REF_F64, 1);
    double scale[6];
    for (size_t i = 0; i < c.weights.count; i++) {
        c.weights.wide[i] = 1.0 / (3.0 + (double)i);
    }
    for (size_t i = 0; i < 6; i++) {
        scale[i] = 1.0 / (7.0 + (double)i);
    }
    ck_ok(amun__linop_set_weights_f64(op, c.weights.wide, scale));
    free(c.matrix);
    c.matrix = fixture_matrix(&shape, c.weights.wide, &c.rows, &c.columns);
    for (size_t i = 0; i < c.rows * c.columns; i++) {
        c.matrix[i] *= scale[i / c.columns / (c.rows / 6)];
    }
    check_matrix(&c, op, AMUN__LINOP_REF_F64, 1);
    amun__linop_destroy(op);
    case_free(&c);
}
END_TEST

/* ---- other kinds ----------------------------------------------------------------------------- */

/* A dense layer is a 1 x 1 convolution of a 1 x 1 image: the same oracle serves. */
START_TEST(linear)
{
    amun__linop_shape shape = {.in_channels = 11,
                               .in_height = 1,
                               .in_width = 1,
                               .out_channels = 7,
                               .kernel = {1, 1},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .groups = 1};
    conv_case c = case_new(&shape, 4, 21);
    pair scale = pair_random(7, 22);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = NULL;
        ck_ok(amun__linop_create_linear(&op, c.ctx, 11, 7, c.weights.narrow, NULL, 4,
                                        fixture_backends[b]));
        check_matrix(&c, op, fixture_backends[b], 4);
        check_gradient(&c, op, fixture_backends[b], 4);
        check_gram(&c, op, fixture_backends[b], 1);
        amun__linop_destroy(op);
    }
    for (size_t i = 0; i < 7 * 11; i++) {
        c.matrix[i] *= scale.wide[i / 11];
    }
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = NULL;
        ck_ok(amun__linop_create_linear(&op, c.ctx, 11, 7, c.weights.narrow, scale.narrow, 4,
                                        fixture_backends[b]));
        check_matrix(&c, op, fixture_backends[b], 3);
        amun__linop_destroy(op);
    }
    pair_free(&scale);
    case_free(&c);
}
END_TEST

/* Average pooling is a depthwise convolution with equal weights, a diagonal map one with a 1 x 1
 * kernel. */
START_TEST(pooling_and_factors)
{
    amun__linop_shape pool = {.in_channels = 3,
                              .in_height = 7,
                              .in_width = 6,
                              .out_channels = 3,
                              .kernel = {3, 2},
                              .stride = {2, 2},
                              .pad = {1, 1},
                              .dilation = {1, 1},
                              .groups = 3};
    amun__linop_shape factors = {.in_channels = 3,
                                 .in_height = 4,
                                 .in_width = 5,
                                 .out_channels = 3,
                                 .kernel = {1, 1},
                                 .stride = {1, 1},
                                 .dilation = {1, 1},
                                 .groups = 3};
    conv_case p = case_new(&pool, 2, 31), d = case_new(&factors, 2, 32);
    for (size_t i = 0; i < p.weights.count; i++) {
        p.weights.wide[i] = 1.0 / 6.0;
    }
    free(p.matrix);
    p.matrix = fixture_matrix(&pool, p.weights.wide, &p.rows, &p.columns);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = NULL;
        amun__linop_shape given = pool;
        given.out_channels = given.groups = 99; /* not looked at */
        given.padding = AMUN__PADDING_CIRCULAR;
        ck_ok(amun__linop_create_avg_pool(&op, p.ctx, &given, 2, fixture_backends[b]));
        check_matrix(&p, op, fixture_backends[b], 2);
        check_gram(&p, op, fixture_backends[b], 2);
        ck_fails(amun__linop_set_weights(op, p.weights.narrow, NULL), AMUN_ERROR_UNSUPPORTED,
                 "no weights");
        amun__linop_destroy(op);
        ck_ok(amun__linop_create_diagonal(&op, d.ctx, 3, 4, 5, d.weights.narrow, 2,
                                          fixture_backends[b]));
        check_matrix(&d, op, fixture_backends[b], 2);
        amun__linop_destroy(op);
    }
    case_free(&p);
    case_free(&d);
}
END_TEST

/* conv (strided), factors, conv: the matrices' product. */
START_TEST(chains)
{
    amun__linop_shape first = fixture_shape(4 + 12), second = fixture_shape(4 + 36);
    conv_case a = case_new(&first, 2, 41);
    second.in_channels = 6;
    second.out_channels = 4;
    second.in_height = second.in_width = 4;
    conv_case b = case_new(&second, 2, 42);
    ck_assert_uint_eq(a.rows, b.columns);
    const float factors[6] = {1, -2, 0.5F, 3, 0, 1.5F};
    for (int i = 0; i < FIXTURE_BACKENDS; i++) {
        amun__linop *parts[3] = {case_linop(&a, fixture_backends[i], 5), NULL,
                                 case_linop(&b, fixture_backends[i], 2)},
                    *chain = NULL;
        ck_ok(amun__linop_create_diagonal(&parts[1], a.ctx, 6, 4, 4, factors, 3,
                                          fixture_backends[i]));
        ck_ok(amun__linop_create_chain(&chain, a.ctx, parts, 3));
        ck_assert_int_eq(amun__linop_max_block(chain), 2);
        conv_case c = {.shape = first, .k = 2, .rows = b.rows, .columns = a.columns};
        c.matrix = calloc(c.rows * c.columns, sizeof(double));
        for (size_t row = 0; row < c.rows; row++) {
            for (size_t mid = 0; mid < a.rows; mid++) {
                double f = b.matrix[row * b.columns + mid] * (double)factors[mid / 16];
                for (size_t col = 0; col < c.columns; col++) {
                    c.matrix[row * c.columns + col] += f * a.matrix[mid * a.columns + col];
                }
            }
        }
        c.x = a.x;
        c.y = b.y;
        check_matrix(&c, chain, fixture_backends[i], 2);
        check_gram(&c, chain, fixture_backends[i], 1);
        ck_fails(amun__linop_set_weights(chain, factors, NULL), AMUN_ERROR_UNSUPPORTED,
                 "no weights");
        free(c.matrix);
        amun__linop_destroy(chain);
    }
    case_free(&a);
    case_free(&b);
}
END_TEST

/* ---- what is refused, what fails
 * ------------------------------------------------------------------ */

START_TEST(refusals)
{
    amun__linop_shape good = fixture_shape(4), bad = good;
    conv_case c = case_new(&good, 1, 1);
    amun__linop *op = NULL;
    const float *w = c.weights.narrow;
#define REFUSES(status, part)                                                                      \
    ck_fails(amun__linop_create_conv2d(&op, c.ctx, &bad, w, NULL, 1, AMUN__LINOP_REF_F32), status, \
             part);                                                                                \
    ck_assert_ptr_null(op);                                                                        \
    bad = good
    bad.padding = AMUN__PADDING_REFLECT;
    bad.pad[1] = 8;
    REFUSES(AMUN_ERROR_SHAPE, "reflect padding of 8");
    bad.padding = AMUN__PADDING_CIRCULAR;
    bad.pad[0] = 9;
    REFUSES(AMUN_ERROR_SHAPE, "circular padding of 9");
    bad.groups = 3;
    REFUSES(AMUN_ERROR_SHAPE, "groups 3");
    bad.kernel[0] = 11;
    REFUSES(AMUN_ERROR_SHAPE, "window of 11");
    bad.kernel[1] = 65;
    bad.pad[1] = 40;
    REFUSES(AMUN_ERROR_INVALID_ARGUMENT, "kernel width is 65");
    bad.stride[0] = 0;
    REFUSES(AMUN_ERROR_INVALID_ARGUMENT, "stride is 0");
    bad.dilation[1] = 0;
    REFUSES(AMUN_ERROR_INVALID_ARGUMENT, "dilation is 0");
    bad.padding = (amun__padding)7;
    REFUSES(AMUN_ERROR_INVALID_ARGUMENT, "padding mode 7");
    bad.in_height = (int64_t)1 << 31;
    REFUSES(AMUN_ERROR_INVALID_ARGUMENT, "height is 2147483648");
    bad.in_height = bad.in_width = 1 << 20;
    REFUSES(AMUN_ERROR_SHAPE, "too many values");
    ck_fails(amun__linop_create_conv2d(&op, c.ctx, &good, w, NULL, 0, AMUN__LINOP_BEST),
             AMUN_ERROR_INVALID_ARGUMENT, "max_block is 0");
    ck_fails(amun__linop_create_linear(&op, c.ctx, 0, 3, w, NULL, 1, AMUN__LINOP_BEST),
             AMUN_ERROR_INVALID_ARGUMENT, "input features is 0");
    op = case_linop(&c, AMUN__LINOP_REF_F32, 2);
    ck_fails(amun__linop_apply(op, 3, c.x.narrow, c.y.narrow), AMUN_ERROR_INVALID_ARGUMENT,
             "3 vectors");
    ck_fails(amun__linop_adjoint(op, 0, c.x.narrow, c.y.narrow), AMUN_ERROR_INVALID_ARGUMENT,
             "0 vectors");
    ck_fails(amun__linop_apply_f64(op, 1, c.x.wide, c.y.wide), AMUN_ERROR_STATE, "holds floats");
    ck_fails(amun__linop_set_weights_f64(op, c.x.wide, NULL), AMUN_ERROR_STATE, "holds floats");
    amun__linop_destroy(op);
    op = case_linop(&c, AMUN__LINOP_REF_F64, 2);
    ck_fails(amun__linop_apply(op, 1, c.x.narrow, c.y.narrow), AMUN_ERROR_STATE, "holds doubles");
    amun__linop_destroy(op);
    amun__linop_destroy(NULL);
    case_free(&c);
}
END_TEST

START_TEST(refused_chains)
{
    amun__linop_shape shape = fixture_shape(4);
    conv_case c = case_new(&shape, 1, 1);
    amun__linop *op = NULL, *two[2];
    two[0] = case_linop(&c, AMUN__LINOP_REF_F32, 1);
    two[1] = case_linop(&c, AMUN__LINOP_REF_F32, 1); /* 4 -> 6 channels twice */
    ck_fails(amun__linop_create_chain(&op, c.ctx, two, 2), AMUN_ERROR_SHAPE, "part 1");
    ck_assert_ptr_null(op);
    two[0] = case_linop(&c, AMUN__LINOP_REF_F32, 1);
    two[1] = case_linop(&c, AMUN__LINOP_REF_F64, 1);
    ck_fails(amun__linop_create_chain(&op, c.ctx, two, 2), AMUN_ERROR_INVALID_ARGUMENT, "backend");
    two[0] = case_linop(&c, AMUN__LINOP_REF_F32, 1);
    ck_ok(amun__linop_create_chain(&op, c.ctx, two, 1));
    two[0] = op;
    ck_fails(amun__linop_create_chain(&op, c.ctx, two, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "is a chain");
    ck_fails(amun__linop_create_chain(&op, c.ctx, two, 0), AMUN_ERROR_INVALID_ARGUMENT,
             "parts is 0");
    case_free(&c);
}
END_TEST

/* All that one operator does, until the allocator says no. */
static amun_status use_operator(amun_context *ctx, const conv_case *c, amun__linop_backend backend,
                                float *y, float *z, float *grad)
{
    amun__linop *parts[1] = {NULL}, *op = NULL;
    amun_status status;
    AMUN__TRY(
        amun__linop_create_conv2d(&parts[0], ctx, &c->shape, c->weights.narrow, NULL, 2, backend));
    status = amun__linop_weight_grad(parts[0], 1, c->x.narrow, c->y.narrow, grad);
    if (status != AMUN_OK) {
        amun__linop_destroy(parts[0]);
        return status;
    }
    AMUN__TRY(amun__linop_create_chain(&op, ctx, parts, 1));
    AMUN__TRY(amun__linop_apply(op, 2, c->x.narrow, y));
    AMUN__TRY(amun__linop_gram(op, 2, c->x.narrow, NULL, z));
fail:
    amun__linop_destroy(op);
    return status;
}

START_TEST(failing_allocations)
{
    amun__linop_shape shape = fixture_odd_shape(5);
    shape.padding = AMUN__PADDING_CIRCULAR;
    conv_case c = case_new(&shape, 2, 1);
    pair y = pair_new(c.y.count), z = pair_new(c.x.count), grad = pair_new(c.weights.count);
    for (int b = 1; b < FIXTURE_BACKENDS; b++) {
        test_allocator allocator = {0};
        amun_context *ctx = test_context(&allocator);
        int64_t before = allocator.live_blocks, failures = 0;
        for (amun_status status = AMUN_ERROR_OUT_OF_MEMORY; status != AMUN_OK; failures++) {
            allocator.fail_at = failures + 1;
            status = use_operator(ctx, &c, fixture_backends[b], y.narrow, z.narrow, grad.narrow);
            ck_assert(status == AMUN_OK || status == AMUN_ERROR_OUT_OF_MEMORY);
            ck_assert_int_eq(allocator.live_blocks, before);
        }
        ck_assert_int_gt(failures, 6);
        allocator.fail_at = 0;
        amun_context_unref(ctx);
        ck_assert_int_eq(allocator.live_blocks, 0);
        ck_assert_int_eq(allocator.wrong, 0);
    }
    pair_free(&y);
    pair_free(&z);
    pair_free(&grad);
    case_free(&c);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("linop");
    tcase_add_test(tc, convolutions);
    tcase_add_test(tc, blocks_and_new_weights);
    tcase_add_test(tc, scaled_convolutions);
    tcase_add_test(tc, doubles_are_kept);
    tcase_add_test(tc, linear);
    tcase_add_test(tc, pooling_and_factors);
    tcase_add_test(tc, chains);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, refused_chains);
    tcase_add_test(tc, failing_allocations);
    return amun_test_main("linop", (TCase *[]){tc, NULL});
}
