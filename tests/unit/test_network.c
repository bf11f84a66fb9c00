/* How far a network stretches its input: the product bound from a model's spectrum, and Jacobians
 * at images from below. */
#include "amun/dataset.h"
#include "model_spectrum.h"
#include "spectral/lipschitz.h"

/* ---- networks -------------------------------------------------------------------------------- */

START_TEST(test_bound)
{
    for (int fold = 0; fold < 2; fold++) {
        amun_model *model = varied_model();
        amun_spectrum_options o = options_of(AMUN_SPECTRUM_POWERQR, 1);
        o.fold_batchnorm = fold;
        amun_spectrum *s = spectrum_of(model, &o);
        const size_t nodes = (size_t)model->graph->node_count;
        double per_node[64], again[64], norms[64], bound;
        amun_lipschitz whole = {.struct_size = sizeof whole};
        ck_fails(amun_lipschitz_bound(&whole, NULL, 0, s), AMUN_ERROR_STATE, "no run");
        ck_ok(amun_spectrum_run(s, 0, NULL));
        ck_fails(amun_lipschitz_bound(&whole, per_node, nodes + 1, s), AMUN_ERROR_SHAPE, "nodes");
        ck_fails(amun_lipschitz_bound(NULL, NULL, 0, s), AMUN_ERROR_INVALID_ARGUMENT, "result");
        ck_ok(amun_lipschitz_bound(&whole, per_node, nodes, s));
        for (size_t i = 0; i < nodes; i++) {
            norms[i] = 1; /* batch norms that are in a convolution */
        }
        for (size_t i = 0; i < amun_spectrum_count(s); i++) {
            norms[layer_at(s, i).node] = layer_at(s, i).sigma_upper;
        }
        ck_ok(amun__lipschitz_bound(&bound, again, model->graph, norms));
        ck_assert(bound == whole.upper && memcmp(per_node, again, nodes * sizeof *again) == 0);
        ck_assert(whole.estimate > 0 && whole.estimate <= whole.upper);
        amun_spectrum_unref(s);
        o.certify = 0;
        s = spectrum_of(model, &o);
        double estimate = whole.estimate;
        ck_ok(amun_spectrum_run(s, 0, NULL));
        ck_ok(amun_lipschitz_bound(&whole, per_node, nodes, s));
        ck_assert(isinf(whole.upper) && per_node[0] == 1 && isinf(per_node[nodes - 1]));
        ck_close(whole.estimate, estimate, 1e-6);
        amun_spectrum_unref(s);
        amun_model_unref(model);
    }
}
END_TEST

static amun_dataset *random_images(size_t count, int64_t channels, int64_t edge, float *values)
{
    amun_dataset *data = NULL;
    amun_tensor_view view;
    const int64_t shape[4] = {(int64_t)count, channels, edge, edge};
    amun__rng rng;
    amun__rng_open(&rng, 3, AMUN__RNG_TEST, 9, 0);
    for (size_t i = 0; i < count * (size_t)(channels * edge * edge); i++) {
        values[i] = net_uniform(&rng, 0, 1);
    }
    ck_ok(amun_tensor_view_init(&view, values, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_dataset_open_view(&data, ctx, &view, NULL, 0, NULL, NULL));
    return data;
}

/* The largest over images, which the product bound is never below; any subset in any order. */
START_TEST(test_local)
{
    enum { COUNT = 9, PIXELS = 192 };
    static float values[COUNT * PIXELS];
    amun_model *model = varied_model();
    amun_dataset *data = random_images(COUNT, 3, 8, values);
    amun_spectrum *s = spectrum_of(model, NULL);
    amun_lipschitz whole = {.struct_size = sizeof whole};
    double largest, per_image[COUNT], some[2], top = 0;
    const int64_t two[2] = {7, 2}, twice[2] = {1, 1};
    ck_ok(amun_spectrum_run(s, 0, NULL));
    ck_ok(amun_lipschitz_bound(&whole, NULL, 0, s));
    ck_ok(amun_lipschitz_local(&largest, per_image, model, data, NULL, 0, NULL));
    for (int i = 0; i < COUNT; i++) {
        ck_assert(per_image[i] > 0);
        top = fmax(top, per_image[i]);
    }
    ck_assert(largest == top && largest <= whole.upper);
    ck_ok(amun_lipschitz_local(&largest, some, model, data, two, 2, NULL));
    ck_close(some[0], per_image[7], 1e-5);
    ck_close(some[1], per_image[2], 1e-5);
    ck_assert(largest == fmax(some[0], some[1]));
    ck_fails(amun_lipschitz_local(&largest, some, model, data, twice, 2, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "1");
    ck_assert(isnan(largest));
    ck_fails(amun_lipschitz_local(NULL, NULL, model, data, NULL, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "largest");
    ck_fails(amun_lipschitz_local(&largest, NULL, model, data, NULL, 5, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "n is 5");
    amun_dataset_unref(data);
    data = random_images(2, 1, 8, values);
    ck_fails(amun_lipschitz_local(&largest, NULL, model, data, NULL, 0, NULL), AMUN_ERROR_SHAPE,
             "1 x 8 x 8");
    amun_dataset_unref(data);
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

/* Without a bend anywhere: every image has the same Jacobian, the product of the matrices. */
START_TEST(test_local_linear)
{
    enum { COUNT = 3, PIXELS = 128, OUT = 6 };
    static float values[COUNT * PIXELS];
    net n = {.ctx = ctx};
    ck_ok(amun_graph_create(&n.graph, ctx, 2, 8, 8));
    amun_node at = net_conv(&n, 0, "c", (conv_form){.channels = 4, .kernel = 3, .pad = 1});
    net_linear(&n, net_flatten(&n, net_bn(&n, at, "bn")), "fc", OUT, 1);
    amun_model *model = finish(&n, 4);
    amun_spectrum_options o = options_of(AMUN_SPECTRUM_POWERQR, 1);
    o.fold_batchnorm = 1;
    amun_spectrum *s = spectrum_of(model, &o);
    amun_dataset *data = random_images(COUNT, 2, 8, values);
    size_t rows, columns, outs, between;
    const amun_layer_spectrum first = layer_at(s, 0), second = layer_at(s, 1);
    double *conv = layer_matrix(model, &first, &rows, &columns);
    double *dense = layer_matrix(model, &second, &outs, &between);
    ck_assert(between == rows && outs == OUT && columns == PIXELS);
    double *product = calloc(outs * columns, sizeof *product);
    fixture_multiply(conv, rows, columns, true, (int64_t)outs, dense, product);
    double *truth = exact_spectrum(ctx, product, outs, columns), largest, per_image[COUNT];
    ck_ok(amun_lipschitz_local(&largest, per_image, model, data, NULL, 0, NULL));
    for (int i = 0; i < COUNT; i++) {
        ck_close(per_image[i] / truth[0], 1.0, 1e-5);
    }
    free(conv), free(dense), free(product), free(truth);
    amun_dataset_unref(data);
    amun_spectrum_unref(s);
    amun_model_unref(model);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("network");
    tcase_set_timeout(tc, 600);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_bound);
    tcase_add_test(tc, test_local);
    tcase_add_test(tc, test_local_linear);
    return amun_test_main("network", (TCase *[]){tc, NULL});
}
