/* test_powerqr.c - leading singular values by block power iteration, against the LAPACK spectrum of
 * explicit matrices built by the test itself. */
#include "spectrum_fixture.h"
#include "spectral/powerqr.h"

static amun__powerqr *start(amun_context *ctx, amun__linop *op, amun__powerqr_options o)
{
    amun__powerqr *state = NULL;
    ck_ok(amun__powerqr_create(&state, ctx, op, &o));
    return state;
}

/* The residual's promise: a true value within residual / sigma. */
static void check_residual(const spectrum_case *c, amun__powerqr_value v, double slack,
                           const char *name)
{
    double nearest = INFINITY;
    for (size_t i = 0; i < c->rank; i++) {
        nearest = fmin(nearest, fabs(c->exact[i] - v.sigma));
    }
    ck_assert_msg(nearest <= v.residual / v.sigma + slack * c->exact[0],
                  "no value within %g of %.17g, nearest %g: %s", v.residual / v.sigma, v.sigma,
                  nearest, name);
}

/* ---- accuracy -------------------------------------------------------------------------------- */

static void check_accuracy(const spectrum_case *c, amun__linop_backend backend)
{
    amun__linop *op = case_linop(c, backend, 8);
    bool wide = amun__linop_is_f64(op), converged = false;
    amun__powerqr *state =
        start(c->ctx, op, (amun__powerqr_options){.k = 4, .block = 8, .tol = 1e-5, .seed = 11});
    int32_t iterations = 0;
    ck_ok(amun__powerqr_run(state, 5000, &iterations, &converged));
    const char *name = fixture_name(&c->shape, backend);
    const amun__powerqr_value *v = amun__powerqr_values(state);
    ck_assert_msg(converged, "not converged: %s", name);
    double first = fabs(v[0].sigma - c->exact[0]) / c->exact[0];
    ck_assert_msg(first <= (wide ? 1e-6 : 1e-5), "sigma 1: %.17g, exact %.17g: %s", v[0].sigma,
                  c->exact[0], name);
    double rounding = wide ? 1e-12 : 1e-6;
    for (int i = 0; i < 4; i++) {
        double error = fabs(v[i].sigma - c->exact[i]) / c->exact[i];
        ck_assert_msg(error <= 1e-3, "sigma %d: %.17g, exact %.17g: %s", i + 1, v[i].sigma,
                      c->exact[i], name);
        ck_assert_msg(v[i].sigma <= c->exact[i] * (1.0 + rounding),
                      "sigma %d: %.17g above the exact %.17g: %s", i + 1, v[i].sigma, c->exact[i],
                      name);
        ck_assert_msg(i == 0 || v[i].sigma <= v[i - 1].sigma, "not sorted: %s", name);
        check_residual(c, v[i], rounding, name);
    }
    amun__powerqr_destroy(state);
    amun__linop_destroy(op);
}

START_TEST(all_geometries)
{
    int repeated = 0;
    for (int i = 0; i < FIXTURE_SHAPES; i++) {
        amun__linop_shape shape = fixture_shape(i);
        if (i >= FIXTURE_PRODUCT + 5) {
            continue; /* its explicit matrix is large: see below */
        }
        spectrum_case c = case_new(&shape, (uint64_t)i + 500);
        repeated += c.exact[1] >= c.exact[0] * (1.0 - 1e-9);
        for (int b = 0; b < FIXTURE_BACKENDS; b++) { /* the plain floats by samples */
            if (fixture_backends[b] != AMUN__LINOP_REF_F32 || FIXTURE_BACKENDS < 3 || i % 5 == 0) {
                check_accuracy(&c, fixture_backends[b]);
            }
        }
        case_free(&c);
    }
    ck_assert_int_ge(repeated, 20); /* repeated values are among what was tested */
}
END_TEST

/* The vectors are right singular vectors: orthonormal, || M v_i || = sigma_i. */
START_TEST(vectors)
{
    amun__linop_shape shape = fixture_shape(4 + 36);
    spectrum_case c = case_new(&shape, 3);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = case_linop(&c, fixture_backends[b], 8);
        bool wide = amun__linop_is_f64(op), converged = false;
        amun__powerqr *state =
            start(c.ctx, op, (amun__powerqr_options){.k = 3, .tol = 1e-6, .seed = 1});
        ck_assert_int_eq(amun__powerqr_count(state), 3);
        ck_assert_int_eq(amun__powerqr_block(state), 8);
        ck_ok(amun__powerqr_run(state, 2000, NULL, &converged));
        ck_assert(converged);
        pair v = pair_new(8 * c.columns);
        ck_assert(wide == (amun__powerqr_vectors(state) == NULL));
        ck_assert(wide == (amun__powerqr_vectors_f64(state) != NULL));
        for (size_t i = 0; i < v.count; i++) {
            v.wide[i] = wide ? amun__powerqr_vectors_f64(state)[i]
                             : (double)amun__powerqr_vectors(state)[i];
        }
        double *image = calloc(8 * c.rows, sizeof *image);
        fixture_multiply(c.matrix, c.rows, c.columns, false, 8, v.wide, image);
        double tolerance = wide ? 1e-12 : 2e-6;
        for (size_t i = 0; i < 8; i++) {
            for (size_t j = 0; j < 8; j++) {
                double dot = fixture_dot(v.wide + i * c.columns, v.wide + j * c.columns, c.columns);
                ck_assert_double_le(fabs(dot - (i == j ? 1.0 : 0.0)), tolerance);
            }
        }
        for (size_t i = 0; i < 3; i++) {
            const double *row = image + i * c.rows;
            ck_close(sqrt(fixture_dot(row, row, c.rows)), amun__powerqr_values(state)[i].sigma,
                     tolerance);
        }
        free(image);
        pair_free(&v);
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
    }
    case_free(&c);
}
END_TEST

/* The whole spectrum equals that of the matrix that the test built. */
START_TEST(whole_spectrum)
{
    const int some[] = {
        4, 5, 6, 4 + 12, 8 + 24, 4 + 36, 6 + 72, 9 + 108, FIXTURE_PRODUCT + 2, FIXTURE_PRODUCT + 3};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        amun__linop_shape shape = fixture_shape(some[i]);
        spectrum_case c = case_new(&shape, 70 + i);
        double *values = calloc(c.rank, sizeof *values);
        for (int b = 0; b < FIXTURE_BACKENDS; b++) {
            /* blocks that do not divide the number of columns */
            amun__linop *op = case_linop(&c, fixture_backends[b], 37);
            ck_ok(amun__spectrum_exact(c.ctx, op, values));
            double error = fixture_error(values, c.exact, c.rank);
            ck_assert_msg(error <= (amun__linop_is_f64(op) ? 1e-12 : 1e-5), "%g: %s", error,
                          fixture_name(&shape, fixture_backends[b]));
            amun__linop_destroy(op);
        }
        free(values);
        case_free(&c);
    }
}
END_TEST

/* ---- special maps ---------------------------------------------------------------------------- */

static amun__linop *matrix_linop(amun_context *ctx, size_t rows, size_t columns, const float *w,
                                 amun__linop_backend backend)
{
    amun__linop *op = NULL;
    ck_ok(
        amun__linop_create_linear(&op, ctx, (int64_t)columns, (int64_t)rows, w, NULL, 8, backend));
    return op;
}

START_TEST(zero_and_low_rank)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    pair left = pair_random(2 * 20, 1), right = pair_random(2 * 30, 2), zero = pair_new(600);
    pair rank2 = pair_new(600);
    for (size_t i = 0; i < 600; i++) {
        rank2.narrow[i] = (float)(left.wide[i / 30] * right.wide[i % 30] +
                                  left.wide[20 + i / 30] * right.wide[30 + i % 30]);
    }
    pair_sync(&rank2, false);
    double *exact = exact_spectrum(ctx, rank2.wide, 20, 30);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__powerqr_options o = {.k = 4, .tol = 1e-4, .seed = 3};
        bool converged = false;
        amun__linop *op = matrix_linop(ctx, 20, 30, zero.narrow, fixture_backends[b]);
        amun__powerqr *state = start(ctx, op, o);
        ck_ok(amun__powerqr_run(state, 50, NULL, &converged));
        ck_assert(converged);
        for (int i = 0; i < 4; i++) {
            ck_assert_double_eq(amun__powerqr_values(state)[i].sigma, 0.0);
        }
        /* the same state goes on with other weights */
        ck_ok(amun__linop_set_weights(op, rank2.narrow, NULL));
        ck_ok(amun__powerqr_run(state, 50, NULL, &converged));
        ck_assert(converged);
        const amun__powerqr_value *v = amun__powerqr_values(state);
        ck_close(v[0].sigma, exact[0], 1e-5);
        ck_close(v[1].sigma, exact[1], 1e-5);
        ck_assert_double_le(v[2].sigma, 1e-3 * exact[0]); /* squares of rounding errors */
        ck_assert_double_le(v[3].sigma, v[2].sigma);
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
    }
    free(exact);
    pair_free(&left);
    pair_free(&right);
    pair_free(&zero);
    pair_free(&rank2);
    amun_context_unref(ctx);
}
END_TEST

/* The block is as large as the map allows, here as its image: everything in one step. */
START_TEST(tiny_maps)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    pair w = pair_random(3 * 5, 4);
    double *exact = exact_spectrum(ctx, w.wide, 3, 5);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        bool converged = false;
        amun__linop *op = matrix_linop(ctx, 3, 5, w.narrow, fixture_backends[b]);
        amun__powerqr *state =
            start(ctx, op, (amun__powerqr_options){.k = 3, .block = 8, .tol = 1e-6, .seed = 1});
        ck_assert_int_eq(amun__powerqr_block(state), 3);
        ck_ok(amun__powerqr_run(state, 100, NULL, &converged));
        ck_assert(converged);
        for (int i = 0; i < 3; i++) {
            ck_close(amun__powerqr_values(state)[i].sigma, exact[i], 1e-5);
        }
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
        op = matrix_linop(ctx, 1, 1, w.narrow, fixture_backends[b]);
        state = start(ctx, op, (amun__powerqr_options){.k = 1, .tol = 1e-6, .seed = 1});
        ck_ok(amun__powerqr_run(state, 5, NULL, NULL));
        ck_close(amun__powerqr_values(state)[0].sigma, fabs(w.wide[0]), 1e-6);
        amun__powerqr_destroy(state);
        amun__linop_destroy(op);
    }
    free(exact);
    pair_free(&w);
    amun_context_unref(ctx);
}
END_TEST

/* Values that differ by orders of magnitude, and by the last digits: diag(..). */
START_TEST(spread_and_clustered)
{
    const float spread[10] = {10, 1, 0.3F, 0.1F, 0.01F, 1e-3F, 1e-4F, 1e-5F, 1e-6F, 0};
    const float cluster[10] = {1, 1, 1, 1, 1, 0.999999F, 0.9999F, 0.5F, 0.2F, 0.1F};
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        bool wide = fixture_backends[b] == AMUN__LINOP_REF_F64, converged = false;
        for (int kind = 0; kind < 2; kind++) {
            const float *factors = kind == 0 ? spread : cluster;
            amun__linop *op = NULL;
            ck_ok(amun__linop_create_diagonal(&op, ctx, 10, 1, 1, factors, 8, fixture_backends[b]));
            amun__powerqr *state =
                start(ctx, op, (amun__powerqr_options){.k = 4, .tol = 1e-6, .seed = 5});
            ck_ok(amun__powerqr_run(state, 200, NULL, &converged));
            ck_assert(converged);
            /* residuals of 1e-6 do not tell 1 and 0.999999 apart */
            double tolerance = !wide ? 1e-5 : kind == 0 ? 1e-9 : 2e-6;
            for (int i = 0; i < 4; i++) {
                ck_close(amun__powerqr_values(state)[i].sigma, (double)factors[i], tolerance);
            }
            amun__powerqr_destroy(state);
            amun__linop_destroy(op);
        }
    }
    amun_context_unref(ctx);
}
END_TEST

/* ---- the published variant ------------------------------------------------------------------- */

START_TEST(legacy)
{
    for (int i = 0; i < FIXTURE_PRODUCT; i += 29) {
        amun__linop_shape shape = fixture_shape(i);
        spectrum_case c = case_new(&shape, (uint64_t)i);
        for (int b = 0; b < FIXTURE_BACKENDS; b++) {
            amun__linop *op = case_linop(&c, fixture_backends[b], 4);
            amun__powerqr *state =
                start(c.ctx, op,
                      (amun__powerqr_options){
                          .k = 4, .block = 4, .legacy = 1, .mu = 1.0, .seed = (uint64_t)i});
            const amun__powerqr_value *v = amun__powerqr_values(state);
            double rounding = amun__linop_is_f64(op) ? 1e-12 : 1e-5, before = 0.0;
            ck_assert(isnan(v[0].sigma));
            for (int run = 0; run < 15; run++) { /* goes on where it was */
                int32_t iterations = 0;
                bool converged = true;
                ck_ok(amun__powerqr_run(state, 10, &iterations, &converged));
                ck_assert_int_eq(iterations, 10);
                ck_assert(!converged);
                ck_assert(isnan(v[0].residual));
                ck_assert_msg(v[0].sigma <= c.exact[0] * (1.0 + rounding), "%.17g above %.17g: %s",
                              v[0].sigma, c.exact[0], fixture_name(&shape, fixture_backends[b]));
                for (int j = 1; j < 4; j++) {
                    ck_assert(v[j].sigma <= v[j - 1].sigma);
                }
                ck_assert(v[0].sigma >= before * (1.0 - 1e-3) || run == 0);
                before = v[0].sigma;
            }
            ck_assert_msg(v[0].sigma >= c.exact[0] * (1.0 - 1e-2), "%.17g, exact %.17g: %s",
                          v[0].sigma, c.exact[0], fixture_name(&shape, fixture_backends[b]));
            amun__powerqr_destroy(state);
            amun__linop_destroy(op);
        }
        case_free(&c);
    }
}
END_TEST

/* One vector, one iteration: the estimate can be written down. */
START_TEST(legacy_formula)
{
    const float factors[4] = {3, 2, 1, 0.5F};
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun__linop *op = NULL;
    ck_ok(amun__linop_create_diagonal(&op, ctx, 4, 1, 1, factors, 1, AMUN__LINOP_REF_F64));
    amun__powerqr *state = start(
        ctx, op, (amun__powerqr_options){.k = 1, .block = 1, .legacy = 1, .mu = 0.25, .seed = 9});
    double before[4], sum = 0.0;
    memcpy(before, amun__powerqr_vectors_f64(state), sizeof before);
    ck_ok(amun__powerqr_run(state, 1, NULL, NULL));
    for (int i = 0; i < 4; i++) {
        double x = (0.25 + (double)factors[i] * (double)factors[i]) * before[i];
        sum += x * x;
    }
    ck_close(amun__powerqr_values(state)[0].sigma, sqrt(sqrt(sum) - 0.25), 1e-13);
    amun__powerqr_destroy(state);
    amun__linop_destroy(op);
    amun_context_unref(ctx);
}
END_TEST

/* The shift slows convergence but moves no value. */
START_TEST(shifted)
{
    amun__linop_shape shape = fixture_shape(4);
    spectrum_case c = case_new(&shape, 8);
    amun__linop *op = case_linop(&c, AMUN__LINOP_REF_F64, 8);
    int32_t plain = 0, with_shift = 0;
    for (int shift = 0; shift < 2; shift++) {
        amun__powerqr *state =
            start(c.ctx, op,
                  (amun__powerqr_options){.k = 2, .tol = 1e-6, .mu = shift * 100.0, .seed = 2});
        bool converged = false;
        ck_ok(amun__powerqr_run(state, 5000, shift ? &with_shift : &plain, &converged));
        ck_assert(converged);
        ck_close(amun__powerqr_values(state)[0].sigma, c.exact[0], 1e-9);
        amun__powerqr_destroy(state);
    }
    ck_assert_int_gt(with_shift, plain);
    amun__linop_destroy(op);
    case_free(&c);
}
END_TEST

/* ---- state ----------------------------------------------------------------------------------- */

START_TEST(warm_start)
{
    amun__linop_shape shape = fixture_shape(4);
    spectrum_case c = case_new(&shape, 12);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        amun__linop *op = case_linop(&c, fixture_backends[b], 8);
        const amun__powerqr_options o = {.k = 1, .plain = 1, .tol = 1e-3, .seed = 4};
        amun__powerqr *warm = start(c.ctx, op, o), *single = start(c.ctx, op, o);
        int32_t cold = 0, again = 0, steps = 0;
        bool converged = false;
        ck_ok(amun__powerqr_run(warm, 1000, &cold, &converged));
        ck_assert(converged);
        /* one iteration at a time gets just as far */
        for (converged = false; !converged && steps < 1000; steps++) {
            ck_ok(amun__powerqr_run(single, 1, NULL, &converged));
        }
        ck_assert_int_eq(steps, cold);
        ck_assert_double_eq(amun__powerqr_values(single)[0].sigma,
                            amun__powerqr_values(warm)[0].sigma);
        pair moved = pair_random(c.weights.count, 13);
        for (size_t i = 0; i < moved.count; i++) {
            moved.narrow[i] = c.weights.narrow[i] + 1e-3F * moved.narrow[i];
        }
        ck_ok(amun__linop_set_weights(op, moved.narrow, NULL));
        ck_ok(amun__powerqr_run(warm, 1000, &again, &converged));
        ck_assert(converged);
        ck_assert_msg(again <= cold / 3, "cold %d, warm %d", cold, again);
        pair_sync(&moved, false);
        double *m = fixture_matrix(&shape, moved.wide, &c.rows, &c.columns);
        double *exact = exact_spectrum(c.ctx, m, c.rows, c.columns);
        ck_close(amun__powerqr_values(warm)[0].sigma, exact[0], 1e-4);
        free(m);
        free(exact);
        pair_free(&moved);
        amun__powerqr_destroy(warm);
        amun__powerqr_destroy(single);
        amun__linop_destroy(op);
    }
    case_free(&c);
}
END_TEST

/* Values and vectors of a run from a fresh operator. */
static void run_bytes(const spectrum_case *c, amun__linop_backend backend, uint64_t seed,
                      bool restarted, unsigned char *bytes, size_t size)
{
    memset(bytes, 0, size); /* floats do not fill it */
    amun__linop *op = case_linop(c, backend, 8);
    amun__powerqr *state = start(
        c->ctx, op, (amun__powerqr_options){.k = 4, .tol = 1e-5, .seed = restarted ? 1 : seed});
    if (restarted) {
        ck_ok(amun__powerqr_run(state, 3, NULL, NULL));
        ck_ok(amun__powerqr_restart(state, seed));
    }
    ck_ok(amun__powerqr_run(state, 25, NULL, NULL));
    size_t values = 4 * sizeof(amun__powerqr_value), floats = 8 * c->columns;
    memcpy(bytes, amun__powerqr_values(state), values);
    if (amun__linop_is_f64(op)) {
        memcpy(bytes + values, amun__powerqr_vectors_f64(state), floats * sizeof(double));
    } else {
        memcpy(bytes + values, amun__powerqr_vectors(state), floats * sizeof(float));
    }
    amun__powerqr_destroy(state);
    amun__linop_destroy(op);
}

START_TEST(same_bytes_twice)
{
    amun__linop_shape shape = fixture_shape(4);
    spectrum_case c = case_new(&shape, 12);
    size_t size = 4 * sizeof(amun__powerqr_value) + 8 * c.columns * sizeof(double);
    unsigned char *a = calloc(size, 1), *b = calloc(size, 1);
    amun__threads two;
    ck_ok(amun_context_set_threads(c.ctx, 2));
    ck_ok(amun__threads_begin(c.ctx, &two));
    for (int i = 0; i < FIXTURE_BACKENDS; i++) {
        run_bytes(&c, fixture_backends[i], 5, false, a, size);
        run_bytes(&c, fixture_backends[i], 5, false, b, size);
        ck_assert_int_eq(memcmp(a, b, size), 0);
        run_bytes(&c, fixture_backends[i], 5, true, b, size);
        ck_assert_int_eq(memcmp(a, b, size), 0);
        run_bytes(&c, fixture_backends[i], 6, false, b, size);
        ck_assert_int_ne(memcmp(a, b, size), 0);
    }
    amun__threads_end(&two);
    free(a);
    free(b);
    case_free(&c);
}
END_TEST

/* ---- what is refused, what fails ------------------------------------------------------------- */

START_TEST(not_finite)
{
    const float bad[3] = {NAN, INFINITY, 3e38F};
    amun__linop_shape shape = fixture_shape(4);
    spectrum_case c = case_new(&shape, 1);
    double *values = calloc(c.rank, sizeof *values);
    for (int b = 0; b < FIXTURE_BACKENDS; b++) {
        for (int kind = 0; kind < 3; kind++) {
            for (int old = 0; old < 2; old++) {
                amun__linop *op = case_linop(&c, fixture_backends[b], 8);
                amun__powerqr *state =
                    start(c.ctx, op,
                          (amun__powerqr_options){.k = 1, .mu = old, .legacy = old, .tol = 1e-3});
                pair broken = pair_random(c.weights.count, 2);
                broken.narrow[7] = bad[kind];
                if (kind < 2 || !amun__linop_is_f64(op)) { /* in double, 3e38 is a number */
                    ck_ok(amun__linop_set_weights(op, broken.narrow, NULL));
                    ck_fails(amun__powerqr_run(state, 5, NULL, NULL), AMUN_ERROR_NUMERIC, "finite");
                    ck_assert(isnan(amun__powerqr_values(state)[0].sigma));
                }
                if (kind < 2) {
                    ck_fails(amun__spectrum_exact(c.ctx, op, values), AMUN_ERROR_NUMERIC,
                             "singular values");
                }
                /* and back again */
                ck_ok(amun__linop_set_weights(op, c.weights.narrow, NULL));
                ck_ok(amun__powerqr_run(state, 400, NULL, NULL));
                ck_close(amun__powerqr_values(state)[0].sigma, c.exact[0], 1e-2);
                pair_free(&broken);
                amun__powerqr_destroy(state);
                amun__linop_destroy(op);
            }
        }
    }
    free(values);
    case_free(&c);
}
END_TEST

START_TEST(refusals)
{
    const float ones[6] = {1, 1, 1, 1, 1, 1};
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun__linop *op = matrix_linop(ctx, 2, 3, ones, AMUN__LINOP_BEST);
    amun__powerqr *state = NULL;
#define REFUSES(part, ...)                                                                         \
    ck_fails(amun__powerqr_create(&state, ctx, op, &(amun__powerqr_options){__VA_ARGS__}),         \
             AMUN_ERROR_INVALID_ARGUMENT, part);                                                   \
    ck_assert_ptr_null(state)
    REFUSES("k is 0", .k = 0);
    REFUSES("k is 3", .k = 3); /* the map has two */
    REFUSES("block is 1", .k = 2, .block = 1);
    REFUSES("block is 9", .k = 2, .block = 9); /* beyond max_block */
    REFUSES("max_iterations is -1", .k = 1, .max_iterations = -1);
    REFUSES("tol is nan", .k = 1, .tol = NAN);
    REFUSES("mu is -1", .k = 1, .mu = -1);
    ck_ok(amun__powerqr_create(&state, ctx, op,
                               &(amun__powerqr_options){.k = 1, .max_iterations = 3}));
    ck_fails(amun__powerqr_run(state, -1, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "max_iterations is -1");
    int32_t iterations = 0;
    ck_ok(amun__powerqr_run(state, 0, &iterations, NULL));
    ck_assert(iterations >= 1 && iterations <= 3);
    amun__powerqr_destroy(state);
    amun__powerqr_destroy(NULL);
    amun__linop_destroy(op);
    double *values = calloc(8, sizeof *values);
    pair w = pair_random(4097, 1);
    op = matrix_linop(ctx, 1, 4097, w.narrow, AMUN__LINOP_BEST);
    ck_fails(amun__spectrum_exact(ctx, op, values), AMUN_ERROR_UNSUPPORTED, "1 by 4097");
    amun__linop_destroy(op);
    pair_free(&w);
    free(values);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(failing_allocations)
{
    const float factors[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    amun__linop *op = NULL;
    double values[9];
    ck_ok(amun__linop_create_diagonal(&op, ctx, 9, 1, 1, factors, 8, AMUN__LINOP_REF_F32));
    int64_t before = allocator.live_blocks, failures = 0;
    for (amun_status status = AMUN_ERROR_OUT_OF_MEMORY; status != AMUN_OK; failures++) {
        amun__powerqr *state = NULL;
        const amun__powerqr_options o = {.k = 2, .tol = 1e-3};
        allocator.fail_at = failures + 1;
        status = amun__powerqr_create(&state, ctx, op, &o);
        status = status == AMUN_OK ? amun__powerqr_run(state, 2, NULL, NULL) : status;
        status = status == AMUN_OK ? amun__spectrum_exact(ctx, op, values) : status;
        amun__powerqr_destroy(state);
        ck_assert(status == AMUN_OK || status == AMUN_ERROR_OUT_OF_MEMORY);
        ck_assert_int_eq(allocator.live_blocks, before);
    }
    ck_assert_int_gt(failures, 12);
    ck_assert_double_eq(values[0], 9.0);
    allocator.fail_at = 0;
    amun__linop_destroy(op);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
}
END_TEST

int main(void)
{
    TCase *geometries = tcase_create("geometries"), *tc = tcase_create("powerqr");
    tcase_add_test(geometries, all_geometries);
    tcase_add_test(tc, vectors);
    tcase_add_test(tc, whole_spectrum);
    tcase_add_test(tc, zero_and_low_rank);
    tcase_add_test(tc, tiny_maps);
    tcase_add_test(tc, spread_and_clustered);
    tcase_add_test(tc, legacy);
    tcase_add_test(tc, legacy_formula);
    tcase_add_test(tc, shifted);
    tcase_add_test(tc, warm_start);
    tcase_add_test(tc, same_bytes_twice);
    tcase_add_test(tc, not_finite);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, failing_allocations);
    return amun_test_main("powerqr", (TCase *[]){geometries, tc, NULL});
}
