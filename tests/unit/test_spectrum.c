/* Spectra of models: every layer against the LAPACK spectrum of a matrix that the test builds, on
 * all backends; runs that go on, stop or fail; what can be read when. */
#include "model_spectrum.h"

/* ---- against LAPACK -------------------------------------------------------------------------- */

/* The vectors of a layer: of length 1, and M v has the length that the value says. */
static void check_vectors(const amun_spectrum *s, size_t i, const double *matrix, size_t rows,
                          size_t columns)
{
    const amun_layer_spectrum layer = layer_at(s, i);
    double *image = calloc(rows, sizeof *image), *wide = calloc(columns, sizeof *wide);
    float *vector = calloc(columns, sizeof *vector);
    for (size_t j = 0; j < (size_t)layer.values; j++) {
        double sigma[64];
        ck_ok(amun_spectrum_values(s, i, sigma, NULL, (size_t)layer.values));
        ck_ok(amun_spectrum_vector(s, i, j, vector, columns));
        for (size_t p = 0; p < columns; p++) {
            wide[p] = (double)vector[p];
        }
        fixture_multiply(matrix, rows, columns, false, 1, wide, image);
        ck_close(sqrt(fixture_dot(wide, wide, columns)), 1.0, 1e-5);
        ck_assert_msg(close_to(sqrt(fixture_dot(image, image, rows)), sigma[j], 1e-4),
                      "%s: vector %zu", layer.name, j);
    }
    free(image), free(wide), free(vector);
}

static void check_layer(amun_model *model, const amun_spectrum *s, size_t i, bool exact)
{
    const amun_layer_spectrum layer = layer_at(s, i);
    size_t rows, columns;
    double *matrix = layer_matrix(model, &layer, &rows, &columns);
    double *truth = exact_spectrum(ctx, matrix, rows, columns);
    double *sigma = calloc((size_t)layer.values, sizeof *sigma);
    const size_t rank = rows < columns ? rows : columns;
    ck_assert_uint_eq((size_t)layer.values, exact || rank < 4 ? rank : 4);
    ck_ok(amun_spectrum_values(s, i, sigma, NULL, (size_t)layer.values));
    for (int32_t j = 0; j < layer.values; j++) {
        ck_assert_msg(fabs(sigma[j] - truth[j]) <= (exact ? 1e-12 : 1e-5) * truth[0],
                      "layer %zu (%s): value %d is %.9g, LAPACK says %.9g", i, layer.name, j,
                      sigma[j], truth[j]);
    }
    ck_assert(layer.sigma_lower == sigma[0] && layer.sigma_lower <= layer.sigma_upper);
    ck_assert_msg(layer.sigma_upper >= truth[0], "%s: %.17g is no bound of %.17g", layer.name,
                  layer.sigma_upper, truth[0]);
    ck_assert_msg(layer.sigma_upper <= truth[0] * 3, "%s: %g bounds %g", layer.name,
                  layer.sigma_upper, truth[0]);
    ck_assert_int_eq(layer.converged, 1);
    if (!exact) {
        check_vectors(s, i, matrix, rows, columns);
    }
    free(matrix), free(truth), free(sigma);
}

static void check_model(bool fold, bool exact, amun__linop_backend backend)
{
    amun_model *model = varied_model();
    amun_spectrum_options o = options_of(exact ? AMUN_SPECTRUM_EXACT : AMUN_SPECTRUM_POWERQR, 4);
    o.fold_batchnorm = fold;
    o.tol = 1e-5;
    amun_spectrum *s = spectrum_of(model, &o);
    s->backend = backend;
    ck_assert_uint_eq(amun_spectrum_count(s), fold ? FOLDED : LAYERS);
    ck_ok(amun_spectrum_run(s, 0, NULL));
    for (size_t i = 0; i < amun_spectrum_count(s); i++) {
        check_layer(model, s, i, exact);
    }
    amun_spectrum_unref(s);
    amun_model_unref(model);
}

START_TEST(test_layers)
{
    for (int b = 1; b < FIXTURE_BACKENDS; b++) { /* those in float */
        check_model(false, false, fixture_backends[b]);
        check_model(true, false, fixture_backends[b]);
    }
}
END_TEST

START_TEST(test_exact)
{
    check_model(false, true, AMUN__LINOP_BEST);
    check_model(true, true, AMUN__LINOP_BEST);
}
END_TEST

START_TEST(test_description)
{
    static const struct {
        const char *name, *batchnorm;
        amun_layer_kind kind;
        int64_t in, out;
    } expected[FOLDED] = {
        {"plain", "plain_bn", AMUN_LAYER_CONV2D_BATCHNORM, 3, 4},
        {"grouped", NULL, AMUN_LAYER_CONV2D, 4, 6},
        {"grouped_bn", NULL, AMUN_LAYER_BATCHNORM, 6, 6},
        {"circular", NULL, AMUN_LAYER_CONV2D, 6, 4},
        {"reflect", "reflect_bn", AMUN_LAYER_CONV2D_BATCHNORM, 4, 5},
        {"replicate", NULL, AMUN_LAYER_CONV2D, 5, 6},
        {"", NULL, AMUN_LAYER_AVG_POOL, 6, 6},
        {"pointwise", NULL, AMUN_LAYER_CONV2D, 6, 8},
        {"fc", "fc_bn", AMUN_LAYER_LINEAR_BATCHNORM, 32, 5},
    };
    amun_model *model = varied_model();
    amun_spectrum_options o = options_of(AMUN_SPECTRUM_POWERQR, 64);
    o.fold_batchnorm = 1;
    amun_spectrum *s = spectrum_of(model, &o);
    for (size_t i = 0; i < FOLDED; i++) {
        const amun_layer_spectrum l = layer_at(s, i);
        ck_assert_str_eq(l.name, expected[i].name);
        ck_assert_int_eq(l.kind, expected[i].kind);
        ck_assert((l.batchnorm == NULL) == (expected[i].batchnorm == NULL));
        ck_assert(l.batchnorm == NULL || strcmp(l.batchnorm, expected[i].batchnorm) == 0);
        ck_assert(l.in_shape[0] == expected[i].in && l.out_shape[0] == expected[i].out);
        ck_assert(isnan(l.sigma_lower) && isnan(l.sigma_upper) && isnan(l.sigma_flat) &&
                  isnan(l.residual));
        ck_assert(l.bound == AMUN_BOUND_NONE && l.iterations == 0 && l.converged == 0);
        const int64_t in = l.in_shape[0] * l.in_shape[1] * l.in_shape[2];
        const int64_t out = l.out_shape[0] * l.out_shape[1] * l.out_shape[2];
        ck_assert_int_eq(l.values, in < 64 || out < 64 ? (in < out ? in : out) : 64);
    }
    ck_assert(layer_at(s, 4).in_shape[1] == 8 && layer_at(s, 4).out_shape[1] == 4);
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

/* What torch's spectral_norm divides by: the weights as a matrix, by LAPACK; for matrices of more
 * than a thousand rows and columns by iteration. */
START_TEST(test_flat)
{
    amun_model *model = varied_model();
    amun_spectrum *s = spectrum_of(model, NULL);
    ck_ok(amun_spectrum_run(s, 0, NULL));
    for (size_t i = 0; i < LAYERS; i++) {
        const amun_layer_spectrum l = layer_at(s, i);
        if (l.kind != AMUN_LAYER_CONV2D && l.kind != AMUN_LAYER_LINEAR) {
            ck_assert(isnan(l.sigma_flat));
            continue;
        }
        const amun__param *p = &model->graph->params[model->graph->nodes[l.node].weight];
        const size_t rows = (size_t)p->shape[0], columns = p->count / rows;
        double *matrix = calloc(p->count, sizeof *matrix);
        for (size_t j = 0; j < p->count; j++) {
            matrix[j] = (double)param(model, model->graph->nodes[l.node].weight)[j];
        }
        double *truth = exact_spectrum(ctx, matrix, rows, columns);
        ck_close(l.sigma_flat, truth[0], 1e-12);
        free(matrix), free(truth);
    }
    amun_spectrum_unref(s);
    amun_model_unref(model);

    enum { N = 1030 };
    float *large = calloc((size_t)N * N, sizeof *large);
    double scale[N], norm;
    for (size_t i = 0; i < N; i++) {
        large[i * N + (i * 7) % N] = 1.0F; /* a permutation, times a diagonal */
        scale[i] = i == 500 ? -3.0 : 1.0 + 1e-3 * (double)i;
    }
    ck_ok(amun__flat_norm(&norm, ctx, N, N, large, scale));
    ck_close(norm, 3.0, 1e-6);
    free(large);
}
END_TEST

/* ---- methods and runs ------------------------------------------------------------------------ */

START_TEST(test_legacy)
{
    amun_model *model = varied_model();
    amun_spectrum_options o = options_of(AMUN_SPECTRUM_LEGACY, 1);
    amun_spectrum_options sharp = options_of(AMUN_SPECTRUM_EXACT, 1);
    o.max_iterations = 40;
    o.certify = 0;
    amun_spectrum *s = spectrum_of(model, &o), *exact = spectrum_of(model, &sharp);
    ck_ok(amun_spectrum_run(s, 0, NULL)); /* never fails for want of convergence */
    ck_ok(amun_spectrum_run(exact, 0, NULL));
    for (size_t i = 0; i < LAYERS; i++) {
        const amun_layer_spectrum l = layer_at(s, i), truth = layer_at(exact, i);
        ck_assert(isinf(l.sigma_upper) && l.bound == AMUN_BOUND_NONE);
        ck_assert(l.sigma_lower <= truth.sigma_lower * (1 + 1e-5));
        ck_assert_msg(close_to(l.sigma_lower, truth.sigma_lower, 0.05), "%s: %g, exactly %g",
                      l.name, l.sigma_lower, truth.sigma_lower);
        const bool diagonal = l.kind == AMUN_LAYER_BATCHNORM;
        ck_assert_int_eq(l.iterations, diagonal ? 0 : 40);
        ck_assert(l.converged == diagonal && isnan(l.residual) == !diagonal);
        ck_assert(isnan(truth.residual) || diagonal);
    }
    amun_spectrum_unref(s);
    amun_spectrum_unref(exact);
    amun_model_unref(model);
}
END_TEST

static int32_t total_iterations(const amun_spectrum *s)
{
    int32_t total = 0;
    for (size_t i = 0; i < amun_spectrum_count(s); i++) {
        total += layer_at(s, i).iterations;
    }
    return total;
}

START_TEST(test_warm_start)
{
    amun_model *model = varied_model();
    amun_spectrum_options o = options_of(AMUN_SPECTRUM_POWERQR, 1);
    o.tol = 1e-5;
    amun_spectrum *warm = spectrum_of(model, &o), *cold = spectrum_of(model, &o);
    amun__rng rng;
    ck_ok(amun_spectrum_run(warm, 0, NULL));
    amun__rng_open(&rng, 5, AMUN__RNG_TEST, 4, 0);
    for (size_t i = 0; i < model->graph->trainable; i++) {
        model->params.values[i] *= net_uniform(&rng, 0.9999, 1.0001);
    }
    amun__model_touch(model);
    ck_ok(amun_spectrum_run(warm, 0, NULL));
    ck_ok(amun_spectrum_run(cold, 0, NULL));
    ck_assert_int_lt(2 * total_iterations(warm), total_iterations(cold));
    for (size_t i = 0; i < LAYERS; i++) {
        ck_close(layer_at(warm, i).sigma_lower, layer_at(cold, i).sigma_lower, 1e-5);
    }
    amun_spectrum_unref(warm);
    amun_spectrum_unref(cold);
    amun_model_unref(model);
}
END_TEST

static void run_to_bytes(amun_model *model, uint64_t seed, double *values, float *vector)
{
    amun_spectrum_options o = options_of(AMUN_SPECTRUM_POWERQR, 2);
    o.seed = seed;
    amun_spectrum *s = spectrum_of(model, &o);
    (void)amun_spectrum_run(s, 12, NULL);
    for (size_t i = 0; i < LAYERS; i++) {
        ck_ok(amun_spectrum_values(s, i, values + 2 * i, NULL, 2));
    }
    ck_ok(amun_spectrum_vector(s, 0, 1, vector, 192));
    amun_spectrum_unref(s);
}

START_TEST(test_same_seed)
{
    amun_model *model = varied_model();
    static double values[3][2 * LAYERS];
    static float vectors[3][192];
    run_to_bytes(model, 5, values[0], vectors[0]);
    run_to_bytes(model, 5, values[1], vectors[1]);
    run_to_bytes(model, 6, values[2], vectors[2]);
    ck_assert(memcmp(values[0], values[1], sizeof values[0]) == 0);
    ck_assert(memcmp(vectors[0], vectors[1], sizeof vectors[0]) == 0);
    ck_assert(memcmp(vectors[0], vectors[2], sizeof vectors[0]) != 0);
    amun_model_unref(model);
}
END_TEST

START_TEST(test_no_convergence)
{
    amun_model *model = varied_model();
    amun_spectrum_options o = options_of(AMUN_SPECTRUM_POWERQR, 3);
    amun_spectrum *s = spectrum_of(model, &o);
    double sigma[3], residuals[3];
    ck_fails(amun_spectrum_run(s, 1, NULL), AMUN_ERROR_NUMERIC, "the first is plain (node 1)");
    ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "after 1 iterations"));
    for (size_t i = 0; i < LAYERS; i++) {
        const amun_layer_spectrum l = layer_at(s, i);
        ck_assert(l.sigma_lower > 0 && l.sigma_lower <= l.sigma_upper && isfinite(l.sigma_upper));
        const bool direct = l.kind == AMUN_LAYER_BATCHNORM || l.bound == AMUN_BOUND_EXACT;
        ck_assert_int_eq(l.iterations, direct ? 0 : 1);
        ck_assert(!direct || l.converged == 1);
    }
    ck_ok(amun_spectrum_values(s, 0, sigma, residuals, 3));
    ck_assert(sigma[0] >= sigma[1] && sigma[1] >= sigma[2] && residuals[0] > 0);
    ck_ok(amun_spectrum_run(s, 0, NULL)); /* goes on from there */
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

static int32_t stop_at_three(const amun_progress *p, void *user_data)
{
    ck_assert_str_eq(p->phase, "spectrum");
    ck_assert_uint_eq(p->total, LAYERS);
    ck_assert(p->metric > 0);
    *(int *)user_data += 1;
    return p->step == 3;
}

START_TEST(test_cancelled)
{
    amun_model *model = varied_model();
    amun_spectrum *s = spectrum_of(model, NULL);
    amun_call_options call;
    int calls = 0;
    double sigma;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = stop_at_three;
    call.user_data = &calls;
    call.min_interval_ms = 0;
    ck_fails(amun_spectrum_run(s, 0, &call), AMUN_ERROR_CANCELLED, "at step 3");
    ck_assert_int_eq(calls, 3);
    ck_fails(amun_spectrum_values(s, 0, &sigma, NULL, 1), AMUN_ERROR_STATE, "no run");
    ck_assert(isnan(layer_at(s, 0).sigma_lower));
    ck_ok(amun_spectrum_run(s, 0, NULL));
    ck_ok(amun_spectrum_values(s, 0, &sigma, NULL, 1));
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

/* The model lives as long as the spectrum; others may write to it between runs, not during. */
START_TEST(test_ownership)
{
    amun_model *model = varied_model();
    amun_spectrum *s = spectrum_of(model, NULL);
    ck_ok(amun__model_begin_write(model));
    ck_fails(amun_spectrum_run(s, 0, NULL), AMUN_ERROR_BUSY, "another call");
    amun__model_end_write(model);
    amun_model_unref(model);
    ck_assert_ptr_eq(amun_spectrum_ref(s), s);
    amun_spectrum_unref(s);
    ck_ok(amun_spectrum_run(s, 0, NULL));
    ck_assert_str_eq(layer_at(s, 0).name, "plain");
    amun_spectrum_unref(s);
}
END_TEST

/* ---- special weights ------------------------------------------------------------------------- */

START_TEST(test_zero_weights)
{
    static const amun_spectrum_method methods[] = {AMUN_SPECTRUM_POWERQR, AMUN_SPECTRUM_LEGACY,
                                                   AMUN_SPECTRUM_EXACT};
    for (int m = 0; m < 3; m++) {
        amun_model *model = varied_model();
        memset(model->params.values, 0, model->graph->trainable * sizeof(float));
        amun__model_touch(model);
        amun_spectrum_options o = options_of(methods[m], 2);
        amun_spectrum *s = spectrum_of(model, &o);
        amun_lipschitz whole = {.struct_size = sizeof whole};
        ck_ok(amun_spectrum_run(s, 0, NULL));
        for (size_t i = 0; i < LAYERS; i++) {
            const amun_layer_spectrum l = layer_at(s, i);
            if (l.kind != AMUN_LAYER_AVG_POOL) {
                ck_assert_msg(l.sigma_lower == 0 && l.sigma_upper == 0, "%s: %g to %g", l.name,
                              l.sigma_lower, l.sigma_upper);
                ck_assert(methods[m] == AMUN_SPECTRUM_LEGACY || l.converged == 1);
            }
        }
        ck_ok(amun_lipschitz_bound(&whole, NULL, 0, s));
        ck_assert(whole.upper == 0 && whole.estimate == 0);
        amun_spectrum_unref(s);
        amun_model_unref(model);
    }
}
END_TEST

START_TEST(test_not_finite)
{
    amun_model *model = varied_model();
    amun_spectrum *s = spectrum_of(model, NULL);
    double sigma;
    ck_ok(amun_spectrum_run(s, 0, NULL));
    const int32_t weight = model->graph->nodes[layer_at(s, 2).node].weight;
    const float kept = param(model, weight)[7];
    param(model, weight)[7] = NAN;
    amun__model_touch(model);
    ck_fails(amun_spectrum_run(s, 0, NULL), AMUN_ERROR_NUMERIC, "layer grouped");
    ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "weight 7 is"));
    ck_fails(amun_spectrum_values(s, 0, &sigma, NULL, 1), AMUN_ERROR_STATE, "no run");
    param(model, weight)[7] = kept;
    amun__model_touch(model);
    ck_ok(amun_spectrum_run(s, 0, NULL));
    const int32_t var = model->graph->nodes[layer_at(s, 1).node].running_var;
    param(model, var)[2] = -1; /* never from outside */
    amun__model_touch(model);
    ck_fails(amun_spectrum_run(s, 0, NULL), AMUN_ERROR_NUMERIC, "layer plain_bn");
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

START_TEST(test_large_exact)
{
    net n = {.ctx = ctx};
    ck_ok(amun_graph_create(&n.graph, ctx, 1, 65, 64));
    amun_node at = net_conv(&n, 0, "wide", (conv_form){.channels = 1, .kernel = 3, .pad = 1});
    net_head(&n, net_global_pool(&n, at));
    amun_model *model = finish(&n, 1);
    const amun_spectrum_options o = options_of(AMUN_SPECTRUM_EXACT, 1);
    amun_spectrum *s = spectrum_of(model, &o);
    ck_fails(amun_spectrum_run(s, 0, NULL), AMUN_ERROR_UNSUPPORTED, "layer wide");
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

/* ---- arguments ------------------------------------------------------------------------------- */

START_TEST(test_refused)
{
    amun_model *model = varied_model();
    amun_spectrum_options o = options_of(AMUN_SPECTRUM_POWERQR, 4), e = o;
    amun_spectrum *s = (void *)&o;
    amun_layer_spectrum layer = {.struct_size = sizeof layer};
    double sigma[200];
    float vector[192];
    o.block = 3;
    ck_fails(amun_spectrum_create(&s, model, &o), AMUN_ERROR_INVALID_ARGUMENT, "block: 3");
    ck_assert_ptr_null(s);
    ck_fails(amun_spectrum_create(NULL, model, NULL), AMUN_ERROR_INVALID_ARGUMENT, "spectrum");
    ck_fails(amun_spectrum_create(&s, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "model");
    ck_fails(amun_spectrum_create(&s, (void *)ctx, NULL), AMUN_ERROR_INVALID_ARGUMENT, "model");
    o.block = 0;
    s = spectrum_of(model, &o);
    ck_fails(amun_spectrum_run(s, -1, NULL), AMUN_ERROR_INVALID_ARGUMENT, "max_iterations is -1");
    ck_fails(amun_spectrum_values(s, 0, sigma, NULL, 4), AMUN_ERROR_STATE, "no run");
    ck_fails(amun_spectrum_vector(s, 0, 0, vector, 192), AMUN_ERROR_STATE, "no run");
    ck_ok(amun_spectrum_run(s, 0, NULL));
    ck_fails(amun_spectrum_layer(s, LAYERS, &layer), AMUN_ERROR_INVALID_ARGUMENT, "layer 12");
    ck_fails(amun_spectrum_layer(s, 0, NULL), AMUN_ERROR_INVALID_ARGUMENT, "layer");
    ck_fails(amun_spectrum_layer(NULL, 0, &layer), AMUN_ERROR_INVALID_ARGUMENT, "spectrum");
    ck_fails(amun_spectrum_values(s, 0, sigma, NULL, 5), AMUN_ERROR_INVALID_ARGUMENT, "not 5");
    ck_fails(amun_spectrum_values(s, 0, NULL, NULL, 1), AMUN_ERROR_INVALID_ARGUMENT, "sigma");
    ck_fails(amun_spectrum_vector(s, 0, 4, vector, 192), AMUN_ERROR_INVALID_ARGUMENT, "number 4");
    ck_fails(amun_spectrum_vector(s, 0, 0, NULL, 192), AMUN_ERROR_INVALID_ARGUMENT, "vector");
    ck_fails(amun_spectrum_vector(s, 0, 0, vector, 191), AMUN_ERROR_SHAPE, "191");
    ck_assert_uint_eq(amun_spectrum_count(NULL), 0);
    amun_spectrum_unref(s);
    amun_spectrum_unref(NULL);
    e.method = AMUN_SPECTRUM_EXACT;
    s = spectrum_of(model, &e);
    ck_ok(amun_spectrum_run(s, 0, NULL));
    ck_fails(amun_spectrum_vector(s, 0, 0, vector, 192), AMUN_ERROR_UNSUPPORTED, "exact");
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("spectrum");
    tcase_set_timeout(tc, 600);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_layers);
    tcase_add_test(tc, test_exact);
    tcase_add_test(tc, test_description);
    tcase_add_test(tc, test_flat);
    tcase_add_test(tc, test_legacy);
    tcase_add_test(tc, test_warm_start);
    tcase_add_test(tc, test_same_seed);
    tcase_add_test(tc, test_no_convergence);
    tcase_add_test(tc, test_cancelled);
    tcase_add_test(tc, test_ownership);
    tcase_add_test(tc, test_zero_weights);
    tcase_add_test(tc, test_not_finite);
    tcase_add_test(tc, test_large_exact);
    tcase_add_test(tc, test_refused);
    return amun_test_main("spectrum", (TCase *[]){tc, NULL});
}
