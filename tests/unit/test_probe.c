/* What is left of a class in a network: features against a network cut by hand, the linear probe
 * against its own logits counted one by one and against classes that are there or not, prototypes
 * against a naive head. */
#include "amun/probe.h"
#include "mia/classes.h"
#include "training.h"

/* ---- features -------------------------------------------------------------------------------- */

enum { SIDE = 8, IMAGES = 5 };

/* conv-relu-pool, conv-relu, flatten, dense-relu, dense: two sizes of maps, two dense layers.
 * `cut`: 0 all of it, 1 up to the hidden layer, 2 up to the second map, averaged, 3 up to the
 * first, averaged. */
static amun_model *network(amun_context *ctx, int cut)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    amun_pool_options pool;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    ck_ok(amun_pool_options_init(&pool, sizeof pool));
    conv.bias = 1;
    ck_ok(amun_graph_create(&graph, ctx, 1, SIDE, SIDE));
    conv.channels = 3;
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv1", &conv));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_max_pool(&node, graph, node, &pool));
    if (cut != 3) {
        conv.channels = 4;
        ck_ok(amun_graph_conv2d(&node, graph, node, "conv2", &conv));
        ck_ok(amun_graph_relu(&node, graph, node));
    }
    if (cut >= 2) {
        ck_ok(amun_graph_global_pool(&node, graph, node));
    }
    ck_ok(amun_graph_flatten(&node, graph, node));
    if (cut < 2) {
        ck_ok(amun_graph_linear(&node, graph, node, "hidden", 6, 1));
        ck_ok(amun_graph_relu(&node, graph, node));
    }
    if (cut == 0) {
        ck_ok(amun_graph_linear(&node, graph, node, "fc", 3, 1));
    }
    ck_ok(amun_model_create_graph(&model, ctx, graph, 9));
    amun_graph_unref(graph);
    return model;
}

static void copy_values(amun_model *to, const amun_model *from)
{
    static const char *const names[] = {"conv1.weight", "conv1.bias",    "conv2.weight",
                                        "conv2.bias",   "hidden.weight", "hidden.bias"};
    float values[1024];
    static const size_t counts[] = {27, 3, 108, 4, 384, 6};
    for (size_t k = 0; k < 6; k++) {
        if (amun_model_set_tensor(to, names[k], values, 0) != AMUN_ERROR_NOT_FOUND) {
            ck_ok(amun_model_get_tensor(from, names[k], values, counts[k]));
            ck_ok(amun_model_set_tensor(to, names[k], values, counts[k]));
        }
    }
}

START_TEST(test_features)
{
    static const int cuts[] = {1, -1, 3};
    static const int64_t widths[] = {6, 4 * 4 * 4, 3}, indices[] = {4, 0, 2};
    amun_context *ctx = NULL;
    blobs b;
    ck_ok(amun_context_create(&ctx, NULL));
    blobs_make(&b, ctx, IMAGES, 1, SIDE, SIDE, 3, 2);
    amun_model *model = network(ctx, 0);
    for (int32_t stage = 0; stage < 3; stage++) {
        float told[IMAGES * 64], wanted[IMAGES * 64];
        int64_t width = 0;
        ck_ok(amun_features_width(&width, model, stage));
        ck_assert_int_eq(width, widths[stage]);
        ck_ok(amun_features_compute(told, model, b.data, NULL, 0, stage, NULL));
        if (cuts[stage] < 0) { /* what the hidden layer reads is flat: stage 1 is the whole map */
            continue;
        }
        amun_model *part = network(ctx, cuts[stage]);
        amun_tensor_view images, logits;
        copy_values(part, model);
        ck_ok(amun_tensor_view_init(&images, b.images, AMUN_DTYPE_F32, 4,
                                    (int64_t[]){IMAGES, 1, SIDE, SIDE}));
        ck_ok(
            amun_tensor_view_init(&logits, wanted, AMUN_DTYPE_F32, 2, (int64_t[]){IMAGES, width}));
        ck_ok(amun_model_predict(part, &images, &logits, NULL));
        for (int64_t k = 0; k < IMAGES * width; k++) {
            ck_close((double)told[k], (double)wanted[k], 1e-5);
        }
        ck_ok(amun_features_compute(wanted, model, b.data, indices, 3, stage, NULL));
        for (int64_t k = 0; k < 3 * width; k++) {
            ck_close((double)wanted[k], (double)told[indices[k / width] * width + k % width], 1e-5);
        }
        amun_model_unref(part);
    }
    int64_t width = 7;
    ck_fails(amun_features_width(&width, model, 3), AMUN_ERROR_INVALID_ARGUMENT, "features at 3");
    ck_assert_int_eq(width, 0);
    amun_model_unref(model);
    blobs_free(&b);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_architectures)
{
    static const struct {
        const char *arch;
        int count;
        int64_t widths[4];
    } known[] = {{"resnet18", 4, {512, 256, 128, 64}}, {"digits", 2, {64, 64}}, {"mlp", 1, {0}}};
    amun_context *ctx = NULL;
    amun_model_options shape;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_model_options_init(&shape, sizeof shape));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        amun_model *model = NULL;
        int64_t width = 0;
        if (amun_model_create(&model, ctx, known[i].arch, &shape) == AMUN_ERROR_NOT_FOUND) {
            ck_assert_str_eq(known[i].arch, "mlp");
            continue;
        }
        for (int32_t s = 0; s < known[i].count; s++) {
            ck_ok(amun_features_width(&width, model, s));
            ck_assert(known[i].widths[s] == 0 || width == known[i].widths[s]);
        }
        ck_fails(amun_features_width(&width, model, known[i].count), AMUN_ERROR_INVALID_ARGUMENT,
                 "but this network");
        amun_model_unref(model);
    }
    amun_context_unref(ctx);
}
END_TEST

/* ---- the probe ------------------------------------------------------------------------------- */

enum { K = 4, D = 5, FIT = 160, TEST = 80, FORGET = 2 };

typedef struct world {
    double fit[FIT][D], test[TEST][D];
    int64_t fit_label[FIT], test_label[TEST];
    amun_tensor_view fit_view, test_view, fit_labels, test_labels;
} world;
static const int64_t forget[1] = {FORGET};

/* Classes around corners; the forgotten one `apart` from where class 0 is. */
static void world_make(world *w, double apart)
{
    amun__rng rng;
    amun__rng_open(&rng, 77, AMUN__RNG_TEST, 0, 0);
    for (int i = 0; i < FIT + TEST; i++) {
        const int y = i % K;
        double *row = i < FIT ? w->fit[i] : w->test[i - FIT];
        *(i < FIT ? &w->fit_label[i] : &w->test_label[i - FIT]) = y;
        for (int k = 0; k < D; k++) {
            row[k] = amun__rng_normal(&rng) + 10.0 * k; /* scales differ: standardised */
        }
        row[y == FORGET ? 0 : y] += 4.0;
        row[4] += y == FORGET ? apart : 0.0;
        for (int k = 0; k < D; k++) {
            row[k] *= pow(10.0, k);
        }
    }
    ck_ok(amun_tensor_view_init(&w->fit_view, w->fit, AMUN_DTYPE_F64, 2, (int64_t[]){FIT, D}));
    ck_ok(amun_tensor_view_init(&w->test_view, w->test, AMUN_DTYPE_F64, 2, (int64_t[]){TEST, D}));
    ck_ok(amun_tensor_view_init(&w->fit_labels, w->fit_label, AMUN_DTYPE_I64, 1, (int64_t[]){FIT}));
    ck_ok(amun_tensor_view_init(&w->test_labels, w->test_label, AMUN_DTYPE_I64, 1,
                                (int64_t[]){TEST}));
}

static amun_status probe(const world *w, amun_probe *told, double *logits,
                         const amun_probe_options *o)
{
    return amun_probe_compute(told, logits, &w->fit_view, &w->fit_labels, &w->test_view,
                              &w->test_labels, K, forget, 1, o);
}

/* The figures, from the logits; the logits, from a fit on features standardised here. */
START_TEST(test_figures)
{
    static world w;
    double logits[TEST][K], z[TEST], x[(FIT + TEST) * D], fitted[K * (D + 1)];
    size_t right[2] = {0}, seen[2] = {0};
    double auc = 0.0;
    amun_probe told = {.struct_size = sizeof told};
    amun_context *ctx = NULL;
    world_make(&w, 1.5);
    ck_ok(probe(&w, &told, logits[0], NULL));
    for (int k = 0; k < D; k++) {
        double mean = 0.0, square = 0.0;
        for (int i = 0; i < FIT; i++) {
            mean += w.fit[i][k] / FIT;
        }
        for (int i = 0; i < FIT; i++) {
            square += (w.fit[i][k] - mean) * (w.fit[i][k] - mean) / FIT;
        }
        for (int i = 0; i < FIT + TEST; i++) {
            x[i * D + k] = ((i < FIT ? w.fit[i][k] : w.test[i - FIT][k]) - mean) / sqrt(square);
        }
    }
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun__softmax_fit(ctx, fitted, x, w.fit_label, FIT, D, K, 1.0, NULL));
    amun_context_unref(ctx);
    for (int i = 0; i < TEST; i++) {
        const int64_t y = w.test_label[i];
        int64_t top = 0;
        double others = 0.0;
        for (int j = 0; j < K; j++) {
            double value = fitted[K * D + j];
            for (int k = 0; k < D; k++) {
                value += fitted[j * D + k] * x[(FIT + i) * D + k];
            }
            ck_close(logits[i][j], value, 1e-7);
            top = logits[i][j] > logits[i][top] ? j : top;
            others += j != FORGET ? exp(logits[i][j]) : 0.0;
        }
        z[i] = logits[i][FORGET] - log(others);
        seen[y == FORGET]++;
        right[y == FORGET] += top == y;
    }
    for (int i = 0; i < TEST; i++) {
        for (int k = 0; k < TEST; k++) {
            if (w.test_label[i] == FORGET && w.test_label[k] != FORGET) {
                auc += 100.0 * ((z[i] > z[k]) + 0.5 * (z[i] == z[k])) / (double)(seen[0] * seen[1]);
            }
        }
    }
    ck_close(told.forget_accuracy, 100.0 * (double)right[1] / (double)seen[1], 1e-12);
    ck_close(told.remain_accuracy, 100.0 * (double)right[0] / (double)seen[0], 1e-12);
    ck_close(told.auc, auc, 1e-10);
    ck_assert(told.fitted == FIT && told.tested == TEST);
}
END_TEST

/* A class that stands where another one is can only be guessed; one apart is found. */
START_TEST(test_there_or_not)
{
    static world w;
    amun_probe hidden = {.struct_size = sizeof hidden}, found = {.struct_size = sizeof found};
    amun_probe_options o;
    world_make(&w, 0.0);
    ck_ok(probe(&w, &hidden, NULL, NULL));
    world_make(&w, 6.0);
    ck_ok(probe(&w, &found, NULL, NULL));
    ck_assert_msg(hidden.forget_accuracy < 75.0 && found.forget_accuracy > 95.0, "%g, %g",
                  hidden.forget_accuracy, found.forget_accuracy);
    ck_assert(found.auc > 99.0 && hidden.auc < 92.0 && found.remain_accuracy > 90.0);
    ck_ok(amun_probe_options_init(&o, sizeof o));
    o.limit = 60;
    ck_ok(probe(&w, &found, NULL, &o));
    ck_assert(found.fitted == 60 && found.forget_accuracy > 90.0);
    o.limit = FIT; /* no fewer than there are: nothing is drawn */
    o.seed = 3;
    ck_ok(probe(&w, &found, NULL, &o));
    ck_ok(probe(&w, &hidden, NULL, NULL));
    ck_assert(memcmp(&found, &hidden, sizeof found) == 0);
}
END_TEST

START_TEST(test_refused)
{
    static world w;
    amun_probe told = {.struct_size = sizeof told};
    world_make(&w, 1.0);
    for (int i = 0; i < FIT; i++) {
        w.fit_label[i] = w.fit_label[i] == FORGET ? 0 : w.fit_label[i];
    }
    ck_fails(probe(&w, &told, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "is of class 2");
    world_make(&w, 1.0);
    w.fit[3][2] = NAN;
    ck_fails(probe(&w, &told, NULL, NULL), AMUN_ERROR_NUMERIC, "fit: row 3, column 2 is nan");
    world_make(&w, 1.0);
    w.test_label[1] = K;
    ck_fails(probe(&w, &told, NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT, "test: labels: row 1 is 4");
    world_make(&w, 1.0);
    w.test_view.shape[1] = D - 1;
    ck_fails(probe(&w, &told, NULL, NULL), AMUN_ERROR_SHAPE, "test: 4 features, fit has 5");
    world_make(&w, 1.0);
    ck_fails(amun_probe_compute(&told, NULL, &w.fit_view, &w.fit_labels, &w.test_view,
                                &w.test_labels, 2, forget, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "classes: 2");
    ck_fails(amun_probe_compute(&told, NULL, &w.fit_view, &w.fit_labels, &w.test_view,
                                &w.test_labels, K, (int64_t[]){0, 1, 2}, 3, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "two at least must stay");
}
END_TEST

/* ---- prototypes ------------------------------------------------------------------------------ */

/* With all samples of the class in each draw there is nothing random: a naive head. */
START_TEST(test_prototype)
{
    static world w;
    double rows[K][D], bias[K], mean[D] = {0}, length = 0.0, offset = 0.0, own = 0.0;
    amun_tensor_view row_view, bias_view;
    amun_prototype_options o;
    amun__rng rng;
    world_make(&w, 2.0);
    amun__rng_open(&rng, 78, AMUN__RNG_TEST, 0, 0);
    for (int j = 0; j < K; j++) {
        double square = 0.0;
        bias[j] = j == FORGET ? -1e9 : amun__rng_normal(&rng);
        for (int k = 0; k < D; k++) {
            rows[j][k] = (amun__rng_normal(&rng) + 3.0 * (j == k)) * pow(10.0, -k);
            square += rows[j][k] * rows[j][k];
        }
        length += j != FORGET ? sqrt(square) / (K - 1) : 0.0;
        offset += j != FORGET ? bias[j] / (K - 1) : 0.0;
    }
    for (int i = 0; i < FIT; i++) {
        for (int k = 0; k < D && w.fit_label[i] == FORGET; k++) {
            mean[k] += w.fit[i][k] / (FIT / K);
        }
    }
    for (int k = 0; k < D; k++) {
        own += mean[k] * mean[k];
    }
    ck_ok(amun_tensor_view_init(&row_view, rows, AMUN_DTYPE_F64, 2, (int64_t[]){K, D}));
    ck_ok(amun_tensor_view_init(&bias_view, bias, AMUN_DTYPE_F64, 1, (int64_t[]){K}));
    ck_ok(amun_prototype_options_init(&o, sizeof o));
    o.samples = FIT / K;
    o.draws = 3;
    for (o.scale = AMUN_PROTOTYPE_MATCHED; o.scale <= AMUN_PROTOTYPE_RAW; o.scale++) {
        amun_prototype told = {.struct_size = sizeof told};
        const double scale = o.scale == AMUN_PROTOTYPE_RAW ? 1.0 : length / sqrt(own);
        const double more = o.scale == AMUN_PROTOTYPE_RAW ? 0.0 : offset;
        size_t right[2] = {0}, before = 0;
        ck_ok(amun_prototype_compute(&told, &row_view, &bias_view, &w.fit_view, &w.fit_labels,
                                     &w.test_view, &w.test_labels, forget, 1, &o));
        for (int i = 0; i < TEST; i++) {
            double z[2][K];
            for (int j = 0; j < K; j++) {
                z[0][j] = bias[j];
                z[1][j] = j == FORGET ? more : bias[j];
                for (int k = 0; k < D; k++) {
                    z[0][j] += rows[j][k] * w.test[i][k];
                    z[1][j] += (j == FORGET ? scale * mean[k] : rows[j][k]) * w.test[i][k];
                }
            }
            for (int v = 0; v < 2; v++) {
                int top = 0;
                for (int j = 1; j < K; j++) {
                    top = z[v][j] > z[v][top] ? j : top;
                }
                if (top == w.test_label[i]) {
                    *(v == 1 ? &right[top == FORGET] : &before) += 1;
                }
            }
        }
        ck_close(told.forget_accuracy, 100.0 * (double)right[1] / (TEST / K), 1e-9);
        ck_close(told.remain_accuracy, 100.0 * (double)right[0] / (TEST - TEST / K), 1e-9);
        ck_close(told.remain_before, 100.0 * (double)before / (TEST - TEST / K), 1e-9);
        ck_assert(told.forget_before == 0.0 && told.forget_sd < 1e-9 && told.remain_sd < 1e-9);
        ck_assert_int_eq(told.tested, TEST);
    }
    amun_prototype one = {.struct_size = sizeof one}, other = {.struct_size = sizeof other};
    o.scale = AMUN_PROTOTYPE_MATCHED;
    o.samples = 1;
    o.draws = 20;
    ck_ok(amun_prototype_compute(&one, &row_view, NULL, &w.fit_view, &w.fit_labels, &w.test_view,
                                 &w.test_labels, forget, 1, &o));
    ck_ok(amun_prototype_compute(&other, &row_view, NULL, &w.fit_view, &w.fit_labels, &w.test_view,
                                 &w.test_labels, forget, 1, &o));
    ck_assert(memcmp(&one, &other, sizeof one) == 0); /* one seed, one answer */
    o.samples = FIT / K + 1;
    ck_fails(amun_prototype_compute(&one, &row_view, NULL, &w.fit_view, &w.fit_labels, &w.test_view,
                                    &w.test_labels, forget, 1, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "support: 40 rows of class 2");
}
END_TEST

/* ---- on a model ------------------------------------------------------------------------------ */

/* The same figures as from features and a head that are fetched first. */
START_TEST(test_on_a_model)
{
    enum { N = 90, M = 60, WIDTH = 6 };
    static float features[2][N * WIDTH];
    float rows[3 * WIDTH], bias[3];
    const int64_t gone[1] = {1};
    amun_context *ctx = NULL;
    blobs train, test;
    amun_tensor_view x[2], y[2], row_view, bias_view;
    amun_probe a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    amun_prototype c = {.struct_size = sizeof c}, d = {.struct_size = sizeof d};
    watcher w = {0};
    amun_call_options call = watched(&w);
    ck_ok(amun_context_create(&ctx, NULL));
    blobs_make(&train, ctx, N, 1, SIDE, SIDE, 3, 2);
    blobs_make(&test, ctx, M, 1, SIDE, SIDE, 3, 3);
    amun_model *model = network(ctx, 0);
    ck_ok(amun_features_compute(features[0], model, train.data, NULL, 0, 0, NULL));
    ck_ok(amun_features_compute(features[1], model, test.data, NULL, 0, 0, NULL));
    ck_ok(amun_tensor_view_init(&x[0], features[0], AMUN_DTYPE_F32, 2, (int64_t[]){N, WIDTH}));
    ck_ok(amun_tensor_view_init(&x[1], features[1], AMUN_DTYPE_F32, 2, (int64_t[]){M, WIDTH}));
    ck_ok(amun_tensor_view_init(&y[0], train.labels, AMUN_DTYPE_I64, 1, (int64_t[]){N}));
    ck_ok(amun_tensor_view_init(&y[1], test.labels, AMUN_DTYPE_I64, 1, (int64_t[]){M}));
    ck_ok(amun_probe_compute(&a, NULL, &x[0], &y[0], &x[1], &y[1], 3, gone, 1, NULL));
    ck_ok(amun_probe_model(&b, model, train.data, test.data, gone, 1, NULL, &call));
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    ck_assert(w.calls > 2 && strcmp(w.phase, "probe") == 0);
    amun_probe_options some; /* the same draw, whoever has the features */
    ck_ok(amun_probe_options_init(&some, sizeof some));
    some.limit = 40;
    some.seed = 5;
    ck_ok(amun_probe_compute(&a, NULL, &x[0], &y[0], &x[1], &y[1], 3, gone, 1, &some));
    ck_ok(amun_probe_model(&b, model, train.data, test.data, gone, 1, &some, NULL));
    ck_assert(memcmp(&a, &b, sizeof a) == 0 && a.fitted == 40);
    ck_ok(amun_model_get_tensor(model, "fc.weight", rows, 3 * WIDTH));
    ck_ok(amun_model_get_tensor(model, "fc.bias", bias, 3));
    ck_ok(amun_tensor_view_init(&row_view, rows, AMUN_DTYPE_F32, 2, (int64_t[]){3, WIDTH}));
    ck_ok(amun_tensor_view_init(&bias_view, bias, AMUN_DTYPE_F32, 1, (int64_t[]){3}));
    ck_ok(amun_prototype_compute(&c, &row_view, &bias_view, &x[0], &y[0], &x[1], &y[1], gone, 1,
                                 NULL));
    ck_ok(amun_prototype_model(&d, model, train.data, test.data, gone, 1, NULL, NULL));
    ck_assert(memcmp(&c, &d, sizeof c) == 0);
    amun_dataset *without = NULL;
    int64_t others[N], kept = 0;
    for (int64_t i = 0; i < N; i++) {
        others[kept] = i;
        kept += train.labels[i] != gone[0];
    }
    ck_ok(amun_dataset_subset(&without, train.data, others, (size_t)kept));
    ck_fails(amun_prototype_model(&d, model, without, test.data, gone, 1, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "support: 0 rows of class 1");
    amun_dataset_unref(without);
    w = (watcher){.stop_at = 1};
    ck_fails(amun_probe_model(&b, model, train.data, test.data, gone, 1, NULL, &call),
             AMUN_ERROR_CANCELLED, "stopped");
    ck_fails(amun_probe_model(&b, NULL, train.data, test.data, gone, 1, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "model is NULL");
    ck_fails(amun_prototype_model(&d, model, train.data, NULL, gone, 1, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "test is NULL");
    amun_model_unref(model);
    blobs_free(&train);
    blobs_free(&test);
    amun_context_unref(ctx);
}
END_TEST

/* The n-th allocation fails: a status, nothing left behind, and the model is free for others. */
START_TEST(test_out_of_memory)
{
    test_allocator memory;
    memset(&memory, 0, sizeof memory);
    amun_context *ctx = test_context(&memory);
    blobs train;
    const int64_t gone[1] = {1};
    blobs_make(&train, ctx, 30, 1, SIDE, SIDE, 3, 2);
    amun_model *model = network(ctx, 0);
    for (int kind = 0; kind < 2; kind++) {
        amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
        for (int64_t n = 1; status != AMUN_OK; n++) {
            amun_probe a = {.struct_size = sizeof a};
            amun_prototype b = {.struct_size = sizeof b};
            const int64_t blocks = memory.live_blocks;
            ck_assert(n < 1000);
            memory.fail_at = n;
            status =
                kind == 0
                    ? amun_probe_model(&a, model, train.data, train.data, gone, 1, NULL, NULL)
                    : amun_prototype_model(&b, model, train.data, train.data, gone, 1, NULL, NULL);
            const bool failed = memory.fail_at == 0;
            memory.fail_at = 0;
            ck_assert_msg(status == (failed ? AMUN_ERROR_OUT_OF_MEMORY : AMUN_OK), "%d, %lld: %s",
                          kind, (long long)n, amun_last_error_message());
            ck_assert_int_eq(memory.live_blocks, blocks);
        }
    }
    amun_model_unref(model);
    blobs_free(&train);
    amun_context_unref(ctx);
    ck_assert_int_eq(memory.live_blocks, 0);
    ck_assert_int_eq(memory.wrong, 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("probe");
    tcase_add_test(tc, test_features);
    tcase_add_test(tc, test_architectures);
    tcase_add_test(tc, test_figures);
    tcase_add_test(tc, test_there_or_not);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_prototype);
    tcase_add_test(tc, test_on_a_model);
    tcase_add_test(tc, test_out_of_memory);
    return amun_test_main("probe", (TCase *[]){tc, NULL});
}
