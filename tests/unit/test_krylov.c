/* test_krylov.c - power iteration that goes on in its Krylov space: the same values as LAPACK, also
 * where they repeat or cluster, in fewer iterations, in single precision to the last digit. */
#include "spectral/krylov.h"

#include "spectral/powerqr.h"
#include "spectrum_fixture.h"

static amun_context *ctx;
static amun__threads scope;

static void setup(void)
{
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_context_set_threads(ctx, 1));
    ck_ok(amun__threads_begin(ctx, &scope));
}

static void teardown(void)
{
    amun__threads_end(&scope);
    amun_context_unref(ctx);
}

static amun__linop *diagonal(const float *factors, int64_t n, amun__linop_backend backend)
{
    amun__linop *op = NULL;
    ck_ok(amun__linop_create_diagonal(&op, ctx, n, 1, 1, factors, 16, backend));
    return op;
}

static amun__powerqr *start(amun__linop *op, amun__powerqr_options o)
{
    amun__powerqr *state = NULL;
    ck_ok(amun__powerqr_create(&state, ctx, op, &o));
    return state;
}

static double element(const amun__powerqr *state, size_t i)
{
    return amun__powerqr_vectors_f64(state) != NULL ? amun__powerqr_vectors_f64(state)[i]
                                                    : (double)amun__powerqr_vectors(state)[i];
}

/* Orthonormal, and of the length that the values say under the matrix. */
static void check_vectors(const amun__powerqr *state, const double *matrix, size_t rows,
                          size_t columns, double tolerance)
{
    const size_t k = (size_t)amun__powerqr_count(state), b = (size_t)amun__powerqr_block(state);
    double *v = calloc(b * columns, sizeof *v), *image = calloc(b * rows, sizeof *image);
    for (size_t i = 0; i < b * columns; i++) {
        v[i] = element(state, i);
    }
    for (size_t i = 0; i < b; i++) {
        for (size_t j = 0; j < b; j++) {
            const double dot = fixture_dot(v + i * columns, v + j * columns, columns);
            ck_assert_double_le(fabs(dot - (i == j ? 1.0 : 0.0)), tolerance);
        }
    }
    fixture_multiply(matrix, rows, columns, false, (int64_t)b, v, image);
    for (size_t i = 0; i < k; i++) {
        const double *row = image + i * rows;
        ck_close(sqrt(fixture_dot(row, row, rows)), amun__powerqr_values(state)[i].sigma,
                 tolerance);
    }
    free(v), free(image);
}

/* ---- repeated and clustered values ----------------------------------------------------------- */

/* Maps whose singular values repeat: circular padding, dilation, kernel = stride, 1x1 with strides
 * and groups, depthwise. All of the first four have to be there, with all their copies. */
START_TEST(repeated)
{
    const int some[] = {FIXTURE_PRODUCT + 1, /* kernel = stride */
                        0,
                        13, /* 1x1, stride 2, groups */
                        4 + 36 * AMUN__PADDING_CIRCULAR,
                        6 + 36 * AMUN__PADDING_CIRCULAR,
                        7,
                        4};
    int copies = 0;
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        amun__linop_shape shape = fixture_shape(some[i]);
        spectrum_case c = case_new(&shape, 90 + i);
        copies += c.exact[3] >= c.exact[0] * (1.0 - 1e-9);
        for (int b = 0; b < FIXTURE_BACKENDS; b++) {
            amun__linop *op = case_linop(&c, fixture_backends[b], 8);
            const bool wide = amun__linop_is_f64(op);
            bool converged = false;
            int32_t iterations = 0;
            ck_assert_int_eq(amun__krylov_width(op, 4, 8), 7);
            amun__powerqr *state =
                start(op, (amun__powerqr_options){.k = 4, .tol = 1e-6, .seed = i});
            ck_ok(amun__powerqr_run(state, 300, &iterations, &converged));
            ck_assert_msg(converged, "%s", fixture_name(&shape, fixture_backends[b]));
            for (int j = 0; j < 4; j++) {
                const double sigma = amun__powerqr_values(state)[j].sigma;
                ck_assert_msg(fabs(sigma - c.exact[j]) <= (wide ? 1e-6 : 1e-5) * c.exact[j],
                              "value %d: %.9g, LAPACK %.9g: %s", j, sigma, c.exact[j],
                              fixture_name(&shape, fixture_backends[b]));
                ck_assert(sigma <= c.exact[j] * (1.0 + (wide ? 1e-12 : 1e-6)));
            }
            check_vectors(state, c.matrix, c.rows, c.columns, wide ? 1e-11 : 3e-6);
            amun__powerqr_destroy(state);
            amun__linop_destroy(op);
        }
        case_free(&c);
    }
    ck_assert_int_ge(copies, 2);
}
END_TEST

/* The edge of a spectrum as large convolutions have it: neighbours differ by less and less. */
enum { EDGE = 3000 };
static float *edge(void)
{
    float *factors = calloc(EDGE, sizeof *factors);
    for (int i = 0; i < EDGE; i++) {
        const double t = (double)((i * 7) % EDGE) / EDGE; /* 7 does not divide it */
        factors[i] = (float)(2.0 - 1.5 * pow(t, 2.0 / 3.0));
    }
    return factors;
}

START_TEST(fewer_iterations)
{
    float *factors = edge();
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = diagonal(factors, EDGE, fixture_backends[b]);
        int32_t iterations[2];
        for (int plain = 0; plain < 2; plain++) {
            bool converged = false;
            amun__powerqr *state =
                start(op, (amun__powerqr_options){.k = 2, .plain = plain, .tol = 1e-5, .seed = 3});
            ck_ok(amun__powerqr_run(state, 5000, &iterations[plain], &converged));
            ck_assert(converged);
            ck_close(amun__powerqr_values(state)[0].sigma, 2.0, 1e-6);
            amun__powerqr_destroy(state);
        }
        ck_assert_int_le(iterations[0], 60);
        ck_assert_msg(3 * iterations[0] < iterations[1], "%d and %d iterations", iterations[0],
                      iterations[1]);
        amun__linop_destroy(op);
    }
    free(factors);
}
END_TEST

/* More equal values than vectors: those that are there are right. */
START_TEST(large_eigenspaces)
{
    float factors[600];
    for (int i = 0; i < 600; i++) {
        factors[i] = i % 3 == 0 ? 1.5F : i % 3 == 1 ? 1.0F : 0.25F;
    }
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = diagonal(factors, 600, fixture_backends[b]);
        bool converged = false;
        int32_t iterations = 0;
        amun__powerqr *state = start(op, (amun__powerqr_options){.k = 8, .tol = 1e-6, .seed = 1});
        ck_assert_int_eq(amun__krylov_width(op, 8, 12), 11);
        ck_assert_int_eq(amun__krylov_width(op, 8, 9), 9);
        ck_ok(amun__powerqr_run(state, 100, &iterations, &converged));
        ck_assert(converged);
        ck_assert_int_le(iterations, 8); /* three different values: nothing is left after three */
        for (int i = 0; i < 8; i++) {
            ck_close(amun__powerqr_values(state)[i].sigma, 1.5, 1e-6);
        }
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
    }
}
END_TEST

/* ---- rounding -------------------------------------------------------------------------------- */

/* Where nothing is left to find, directions are rounding errors and must not count. */
START_TEST(low_rank)
{
    float factors[300] = {0};
    for (int rank = 0; rank < 4; rank++) {
        for (int b = 0; b < FIXTURE_BACKENDS; b++) {
            amun__linop *op = diagonal(factors, 300, fixture_backends[b]);
            bool converged = false;
            amun__powerqr *state =
                start(op, (amun__powerqr_options){.k = 4, .tol = 1e-9, .seed = 7});
            ck_ok(amun__powerqr_run(state, 60, NULL, &converged));
            ck_assert(converged);
            for (int i = 0; i < 4; i++) {
                const double sigma = amun__powerqr_values(state)[i].sigma;
                ck_assert_double_le(fabs(sigma - (i < rank ? 3.0 - i : 0.0)), 3e-3);
            }
            amun__powerqr_destroy(state);
            amun__linop_destroy(op);
        }
        factors[50 + rank] = 3.0F - (float)rank;
    }
}
END_TEST

/* A tolerance that single precision cannot meet: the run ends at the level of rounding. */
START_TEST(below_rounding)
{
    float *factors = edge();
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = diagonal(factors, EDGE, fixture_backends[b]);
        const double epsilon = amun__linop_is_f64(op) ? 0x1p-52 : 0x1p-23;
        bool converged = false;
        int32_t iterations = 0;
        amun__powerqr *state = start(op, (amun__powerqr_options){.k = 3, .tol = 0.0, .seed = 3});
        ck_ok(amun__powerqr_run(state, 1000, &iterations, &converged));
        ck_assert_msg(converged, "after %d iterations", iterations);
        for (int i = 0; i < 3; i++) {
            const amun__powerqr_value v = amun__powerqr_values(state)[i];
            ck_assert_double_le(v.residual, 16 * epsilon * 4.0);
            ck_assert_double_le(v.sigma, 2.0 * (1.0 + 4 * epsilon));
        }
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
    }
    free(factors);
}
END_TEST

/* ---- state ----------------------------------------------------------------------------------- */

/* However few iterations there may be: no more than that, and the values are lower bounds whose
 * residuals are those of the vectors. */
START_TEST(budgets)
{
    amun__linop_shape shape = fixture_shape(4);
    spectrum_case c = case_new(&shape, 5);
    double before = 0.0;
    for (int32_t most = 1; most < 30; most++) {
        amun__linop *op = case_linop(&c, AMUN__LINOP_REF_F64, 8);
        amun__powerqr *state = start(op, (amun__powerqr_options){.k = 2, .tol = 1e-12, .seed = 1});
        int32_t iterations = 0;
        bool converged = false;
        ck_ok(amun__powerqr_run(state, most, &iterations, &converged));
        ck_assert(converged ? iterations <= most : iterations == most);
        const amun__powerqr_value v = amun__powerqr_values(state)[0];
        ck_assert(v.sigma <= c.exact[0] * (1.0 + 1e-12));
        ck_assert_msg(v.sigma >= before * (1.0 - 1e-9), "%d: %.17g after %.17g", most, v.sigma,
                      before);
        before = v.sigma;
        double *image = calloc(c.rows, sizeof *image), *back = calloc(c.columns, sizeof *back);
        const double *x = amun__powerqr_vectors_f64(state);
        fixture_multiply(c.matrix, c.rows, c.columns, false, 1, x, image);
        fixture_multiply(c.matrix, c.rows, c.columns, true, 1, image, back);
        for (size_t i = 0; i < c.columns; i++) {
            back[i] -= v.sigma * v.sigma * x[i];
        }
        ck_assert_double_le(fabs(sqrt(fixture_dot(back, back, c.columns)) - v.residual), 1e-12);
        free(image), free(back);
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
    }
    ck_close(before, c.exact[0], 1e-9);
    case_free(&c);
}
END_TEST

/* One iteration at a time is the power iteration of training, to the last bit; so are blocks that
 * are too small to share anything. */
START_TEST(single_steps_are_plain)
{
    float *factors = edge();
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        for (int32_t block = 0; block <= 1; block++) {
            amun__linop *op = diagonal(factors, EDGE, fixture_backends[b]);
            amun__powerqr_options o = {.k = 1, .block = block, .tol = 1e-6, .seed = 9};
            amun__powerqr *one = start(op, o);
            o.plain = 1;
            amun__powerqr *plain = start(op, o);
            for (int i = 0; i < 20 && block == 0; i++) {
                ck_ok(amun__powerqr_run(one, 1, NULL, NULL));
            }
            ck_ok(amun__powerqr_run(one, block == 0 ? 1 : 21, NULL, NULL));
            ck_ok(amun__powerqr_run(plain, 21, NULL, NULL));
            ck_assert(amun__powerqr_values(one)->sigma == amun__powerqr_values(plain)->sigma);
            for (size_t i = 0; i < EDGE; i++) {
                ck_assert(element(one, i) == element(plain, i));
            }
            amun__powerqr_destroy(one);
            amun__powerqr_destroy(plain);
            amun__linop_destroy(op);
        }
    }
    free(factors);
}
END_TEST

START_TEST(warm_start)
{
    float *factors = edge();
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = diagonal(factors, EDGE, fixture_backends[b]);
        amun__powerqr *state = start(op, (amun__powerqr_options){.k = 1, .tol = 1e-4, .seed = 2});
        int32_t cold = 0, warm = 0, again = 0;
        ck_ok(amun__powerqr_run(state, 0, &cold, NULL));
        ck_ok(amun__powerqr_run(state, 0, &again, NULL));
        ck_assert_int_eq(again, 1);
        float *moved = calloc(EDGE, sizeof *moved);
        for (int i = 0; i < EDGE; i++) {
            moved[i] = factors[i] * (i % 2 == 0 ? 1.0003F : 0.9998F);
        }
        ck_ok(amun__linop_set_weights(op, moved, NULL));
        ck_ok(amun__powerqr_run(state, 0, &warm, NULL));
        ck_close(amun__powerqr_values(state)->sigma, 2.0 * 1.0003, 1e-5);
        ck_assert_msg(2 * warm < cold, "cold %d, warm %d", cold, warm);
        free(moved);
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
    }
    free(factors);
}
END_TEST

START_TEST(same_bytes_twice)
{
    amun__linop_shape shape = fixture_shape(4);
    spectrum_case c = case_new(&shape, 12);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *ops[2];
        amun__powerqr *states[2];
        for (int i = 0; i < 2; i++) {
            ops[i] = case_linop(&c, fixture_backends[b], 8);
            states[i] = start(ops[i], (amun__powerqr_options){.k = 3, .tol = 1e-6, .seed = 5});
            ck_ok(amun__powerqr_run(states[i], 0, NULL, NULL));
        }
        for (size_t i = 0; i < 8 * c.columns; i++) {
            ck_assert(element(states[0], i) == element(states[1], i));
        }
        ck_assert(memcmp(amun__powerqr_values(states[0]), amun__powerqr_values(states[1]),
                         3 * sizeof(amun__powerqr_value)) == 0);
        for (int i = 0; i < 2; i++) {
            amun__powerqr_destroy(states[i]);
            amun__linop_destroy(ops[i]);
        }
    }
    case_free(&c);
}
END_TEST

/* ---- what fails ------------------------------------------------------------------------------ */

START_TEST(not_finite)
{
    float *factors = edge();
    amun__linop *op = diagonal(factors, EDGE, AMUN__LINOP_REF_F32);
    amun__krylov *space = NULL;
    const double theta[4] = {4, 4, 4, 4};
    const amun__krylov_task task = {
        .rows = 4, .wanted = 1, .theta = theta, .tol = 1e-6, .max_iterations = 30};
    pair v = pair_new(4 * EDGE), z = pair_random(4 * EDGE, 3);
    for (size_t i = 0; i < 4; i++) {
        v.narrow[i * EDGE + i] = 1.0F;
    }
    pair kept = pair_new(4 * EDGE);
    memcpy(kept.narrow, v.narrow, 4 * EDGE * sizeof(float));
    factors[5] = NAN;
    ck_ok(amun__linop_set_weights(op, factors, NULL));
    ck_ok(amun__krylov_create(&space, ctx, op, 4, 1));
    int32_t iterations = 0;
    ck_fails(amun__krylov_improve(space, &task, v.narrow, z.narrow, &iterations),
             AMUN_ERROR_NUMERIC, "finite");
    ck_assert_mem_eq(v.narrow, kept.narrow, 4 * EDGE * sizeof(float));
    amun__krylov_destroy(space);
    amun__krylov_destroy(NULL);
    amun__linop_destroy(op);
    op = diagonal(factors, 55, AMUN__LINOP_REF_F32);
    ck_assert_int_eq(amun__krylov_width(op, 1, 8), 0); /* its vectors would fill the space */
    ck_assert_int_eq(amun__krylov_width(op, 1, 3), 0);
    amun__linop_destroy(op);
    pair_free(&v), pair_free(&z), pair_free(&kept);
    free(factors);
}
END_TEST

START_TEST(failing_allocations)
{
    float *factors = edge();
    test_allocator allocator = {0};
    amun_context *counting = test_context(&allocator);
    amun__linop *op = NULL;
    ck_ok(amun__linop_create_diagonal(&op, counting, EDGE, 1, 1, factors, 8, AMUN__LINOP_REF_F32));
    const amun__powerqr_options o = {.k = 1, .tol = 1e-3};
    const int64_t before = allocator.live_blocks;
    int64_t failures = 0;
    for (amun_status status = AMUN_ERROR_OUT_OF_MEMORY; status != AMUN_OK; failures++) {
        amun__powerqr *state = NULL; /* anew: it keeps scratch from run to run */
        ck_ok(amun__powerqr_create(&state, counting, op, &o));
        allocator.fail_at = failures + 1;
        status = amun__powerqr_run(state, 0, NULL, NULL);
        ck_assert(status == AMUN_OK || status == AMUN_ERROR_OUT_OF_MEMORY);
        ck_assert(isnan(amun__powerqr_values(state)->sigma) == (status != AMUN_OK));
        allocator.fail_at = 0;
        if (status == AMUN_OK) {
            ck_close(amun__powerqr_values(state)->sigma, 2.0, 1e-4);
        }
        amun__powerqr_destroy(state);
        ck_assert_int_eq(allocator.live_blocks, before);
    }
    ck_assert_int_gt(failures, 20);
    amun__linop_destroy(op);
    amun_context_unref(counting);
    ck_assert_int_eq(allocator.live_blocks, 0);
    free(factors);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("krylov");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, repeated);
    tcase_add_test(tc, fewer_iterations);
    tcase_add_test(tc, large_eigenspaces);
    tcase_add_test(tc, low_rank);
    tcase_add_test(tc, below_rounding);
    tcase_add_test(tc, budgets);
    tcase_add_test(tc, single_steps_are_plain);
    tcase_add_test(tc, warm_start);
    tcase_add_test(tc, same_bytes_twice);
    tcase_add_test(tc, not_finite);
    tcase_add_test(tc, failing_allocations);
    return amun_test_main("krylov", (TCase *[]){tc, NULL});
}
