/* test_trw_recipe.c - TRW and DELETE as methods: one step against a naive one in double, what they
 * refuse, and real digits beside a retrained model. */
#include "amun/trw.h"
#include "amun/unlearn.h"
#include "io/io.h"
#include "nn/graph.h"
#include "training.h"

/* Softmax regression on 3 x 2 x 2 images, so that a step can be written down. */
enum { N = 60, K = 5, D = 12 };

typedef struct fixture {
    amun_context *ctx;
    blobs b;
    amun_model *model;
    const float *x; /* rows of D that "fc" reads */
    int64_t forget[N], remain[N];
    size_t gone, kept;
} fixture;

static fixture fixture_open(const int64_t *classes, size_t count)
{
    fixture f = {0};
    ck_ok(amun_context_create(&f.ctx, NULL));
    blobs_make(&f.b, f.ctx, N, 3, 2, 2, K, 7);
    f.model = linear_model(f.ctx, 3, 2, 2, K, 5);
    f.x = f.b.images;
    for (int64_t i = 0; i < N; i++) {
        bool forget = false;
        for (size_t k = 0; k < count; k++) {
            forget = forget || f.b.labels[i] == classes[k];
        }
        if (forget) {
            f.forget[f.gone++] = i;
        } else {
            f.remain[f.kept++] = i;
        }
    }
    return f;
}

static void fixture_close(fixture *f)
{
    amun_model_unref(f->model);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
}

typedef struct options {
    amun_unlearn_options unlearn;
    amun_train_options train;
    amun_trw_options trw;
} options;

/* One plain step over everything. */
static void options_fill(options *o, amun_unlearn_method method)
{
    ck_ok(amun_unlearn_options_init(&o->unlearn, sizeof o->unlearn));
    ck_ok(amun_unlearn_train_options_init(&o->train, sizeof o->train, method));
    ck_ok(amun_trw_options_init(&o->trw, sizeof o->trw));
    o->train.epochs = 1;
    o->train.batch = 4096;
    o->train.lr = 0.5;
    o->train.momentum = o->train.weight_decay = 0.0;
    o->train.augment_pad = o->train.augment_flip = 0;
    o->unlearn.method = method;
    o->unlearn.train = &o->train;
    o->unlearn.trw = &o->trw;
}

static amun_status run(fixture *f, const options *o, amun_unlearn_result *result)
{
    return amun_unlearn_run(result, f->model, f->b.data, f->forget, f->gone, NULL, &o->unlearn,
                            NULL);
}

/* ---- one step ------------------------------------------------------------------------------- */

typedef struct regression {
    double w[K][D], b[K];
} regression;

static void regression_read(regression *r, const amun_model *model)
{
    float w[K * D], b[K];
    ck_ok(amun_model_get_tensor(model, "fc.weight", w, (size_t)K * D));
    ck_ok(amun_model_get_tensor(model, "fc.bias", b, K));
    for (size_t j = 0; j < K; j++) {
        r->b[j] = (double)b[j];
        for (size_t k = 0; k < D; k++) {
            r->w[j][k] = (double)w[j * D + k];
        }
    }
}

static void logits_of(const regression *r, const float *x, double z[K])
{
    for (size_t j = 0; j < K; j++) {
        z[j] = r->b[j];
        for (size_t k = 0; k < D; k++) {
            z[j] += r->w[j][k] * (double)x[k];
        }
    }
}

/* Adds weight * (softmax(z) - target) x^T. */
static void add_gradient(regression *sum, const regression *at, const float *x,
                         const double target[K], double weight)
{
    double z[K], total = 0.0;
    logits_of(at, x, z);
    for (size_t j = 0; j < K; j++) {
        total += exp(z[j]);
    }
    for (size_t j = 0; j < K; j++) {
        double e = weight * (exp(z[j]) / total - target[j]);
        sum->b[j] += e;
        for (size_t k = 0; k < D; k++) {
            sum->w[j][k] += e * (double)x[k];
        }
    }
}

/* The step from `before` with these targets of the forget samples, [gone][K]. */
static void expect_step(const fixture *f, const regression *before, const double *targets,
                        double lambda, size_t repeats, bool remain)
{
    regression sum = {0}, after;
    size_t kept = remain ? f->kept : 0;
    double count = (double)(kept + repeats * f->gone);
    for (size_t i = 0; i < kept; i++) {
        double hard[K] = {0};
        hard[f->b.labels[f->remain[i]]] = 1.0;
        add_gradient(&sum, before, f->x + f->remain[i] * D, hard, 1.0);
    }
    for (size_t i = 0; i < f->gone; i++) {
        add_gradient(&sum, before, f->x + f->forget[i] * D, targets + i * K,
                     lambda * (double)repeats);
    }
    regression_read(&after, f->model);
    for (size_t j = 0; j < K; j++) {
        ck_close(after.b[j], before->b[j] - 0.5 * sum.b[j] / count, 2e-6);
        for (size_t k = 0; k < D; k++) {
            ck_close(after.w[j][k], before->w[j][k] - 0.5 * sum.w[j][k] / count, 2e-6);
        }
    }
}

/* Softmax of the cosines of centred rows, bias included: no principal component left out. */
static void naive_scores(const regression *r, size_t forget, double tau, double s[K])
{
    double rows[K][D + 1], sum = 0.0;
    for (size_t k = 0; k <= D; k++) {
        double mean = 0.0;
        for (size_t j = 0; j < K; j++) {
            rows[j][k] = k < D ? r->w[j][k] : r->b[j];
            mean += rows[j][k] / K;
        }
        for (size_t j = 0; j < K; j++) {
            rows[j][k] -= mean;
        }
    }
    for (size_t j = 0; j < K; j++) {
        double dot = 0.0, a = 0.0, b = 0.0;
        for (size_t k = 0; k <= D; k++) {
            dot += rows[j][k] * rows[forget][k];
            a += rows[j][k] * rows[j][k];
            b += rows[forget][k] * rows[forget][k];
        }
        s[j] = j == forget ? 0.0 : exp(dot / sqrt(a * b) / tau);
        sum += s[j];
    }
    for (size_t j = 0; j < K; j++) {
        s[j] /= sum;
    }
}

/* Targets of one forget class, scores per sample if `by_sample`. */
static void naive_targets(const fixture *f, const regression *r, size_t forget, const double *s,
                          bool by_sample, double beta, double floor_, double *q)
{
    for (size_t i = 0; i < f->gone; i++) {
        double z[K], sum = 0.0;
        logits_of(r, f->x + f->forget[i] * D, z);
        for (size_t j = 0; j < K; j++) {
            q[i * K + j] = j == forget ? 0.0 : exp(z[j] + beta * (by_sample ? s[i * K + j] : s[j]));
            sum += q[i * K + j];
        }
        for (size_t j = 0; j < K; j++) {
            q[i * K + j] = j == forget ? floor_ : (1.0 - floor_) * q[i * K + j] / sum;
        }
    }
}

START_TEST(step)
{
    static const int64_t classes[] = {2};
    static const struct {
        double lambda, floor_;
        int32_t balanced, remain;
        size_t repeats;
    } cases[] = {{1, 0, 0, 1, 1}, {0.5, 0.01, 0, 1, 1}, {1, 0, 1, 1, 4}, {2, 0, 0, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f = fixture_open(classes, 1);
        options o;
        regression before;
        double s[K], q[N * K];
        amun_unlearn_result result = {.struct_size = sizeof result};
        options_fill(&o, AMUN_UNLEARN_TRW);
        o.trw.energy = 1.0;
        o.trw.bias = 1;
        o.trw.temperature = 0.4;
        o.trw.forget_weight = cases[i].lambda;
        o.trw.forget_floor = cases[i].floor_;
        o.trw.balanced = cases[i].balanced;
        o.unlearn.remain = cases[i].remain;
        regression_read(&before, f.model);
        naive_scores(&before, 2, 0.4, s);
        naive_targets(&f, &before, 2, s, false, 10, cases[i].floor_, q);
        ck_ok(run(&f, &o, &result));
        ck_assert_int_eq(result.remain, cases[i].remain ? (int64_t)f.kept : 0);
        ck_assert_int_eq(result.forget, (int64_t)f.gone);
        expect_step(&f, &before, q, cases[i].lambda, cases[i].repeats, cases[i].remain != 0);
        fixture_close(&f);
    }
}
END_TEST

/* No tilt, no D_R, and the options' beta counts for nothing. */
START_TEST(delete_step)
{
    static const int64_t classes[] = {4};
    fixture f = fixture_open(classes, 1);
    options o;
    regression before;
    double s[K] = {0}, q[N * K];
    options_fill(&o, AMUN_UNLEARN_DELETE);
    o.trw.beta = 100;
    regression_read(&before, f.model);
    naive_targets(&f, &before, 4, s, false, 0, 0, q);
    ck_ok(run(&f, &o, NULL));
    expect_step(&f, &before, q, 1.0, 1, false);
    fixture_close(&f);
}
END_TEST

/* Another dense layer before "fc", as wide; and one before that, with `three`. */
static amun_model *dense_layers(amun_context *ctx, bool three)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    ck_ok(amun_graph_create(&graph, ctx, 3, 2, 2));
    ck_ok(amun_graph_flatten(&node, graph, node));
    if (three) {
        ck_ok(amun_graph_linear(&node, graph, node, "first", D, 0));
    }
    ck_ok(amun_graph_linear(&node, graph, node, "hidden", D, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", K, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 5));
    amun_graph_unref(graph);
    return model;
}

/* What the layer behind `name` reads, which reads `src`. */
static void features_of(const fixture *f, const char *name, const float *src, float *x)
{
    float w[D * D];
    ck_ok(amun_model_get_tensor(f->model, name, w, (size_t)D * D));
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < D; j++) {
            double sum = 0.0;
            for (size_t k = 0; k < D; k++) {
                sum += (double)w[j * D + k] * (double)src[i * D + k];
            }
            x[i * D + j] = (float)sum;
        }
    }
}

/* Scores of the forget samples by the public calls, which have tests of their own. */
static void public_scores(const fixture *f, const regression *before, const amun_trw_options *trw,
                          double *s)
{
    static const int64_t classes[] = {1};
    double by_class[K];
    float own[N * D], others[N * D];
    int64_t labels[N], own_labels[N];
    amun_tensor_view own_view, other_view, label_view, own_label_view;
    naive_scores(before, 1, trw->temperature, by_class);
    for (size_t i = 0; i < f->gone; i++) {
        own_labels[i] = 1;
        memcpy(own + i * D, f->x + f->forget[i] * D, D * sizeof *own);
    }
    for (size_t i = 0; i < f->kept; i++) {
        labels[i] = f->b.labels[f->remain[i]];
        memcpy(others + i * D, f->x + f->remain[i] * D, D * sizeof *own);
    }
    ck_ok(amun_tensor_view_init(&own_view, own, AMUN_DTYPE_F32, 2,
                                (const int64_t[]){(int64_t)f->gone, D}));
    ck_ok(amun_tensor_view_init(&other_view, others, AMUN_DTYPE_F32, 2,
                                (const int64_t[]){(int64_t)f->kept, D}));
    ck_ok(amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_I64, 1,
                                (const int64_t[]){(int64_t)f->kept}));
    ck_ok(amun_tensor_view_init(&own_label_view, own_labels, AMUN_DTYPE_I64, 1,
                                (const int64_t[]){(int64_t)f->gone}));
    ck_ok(amun_trw_sample_scores(s, &own_view, &other_view, &label_view, classes, 1, K, trw));
    ck_ok(amun_trw_mix(s, by_class, &own_label_view, classes, 1, K, trw));
}

/* The score's features of an earlier stage are not those that "fc" reads. */
static void expect_sample_step(int32_t neighbours, int32_t stage)
{
    static const int64_t classes[] = {1};
    fixture f = fixture_open(classes, 1);
    options o;
    regression before;
    double s[N * K], q[N * K];
    float earlier[N * D], x[N * D];
    amun_model_unref(f.model);
    f.model = dense_layers(f.ctx, stage == 1);
    memcpy(earlier, f.b.images, sizeof earlier);
    if (stage == 1) {
        features_of(&f, "first.weight", f.b.images, earlier);
    }
    features_of(&f, "hidden.weight", earlier, x);
    options_fill(&o, AMUN_UNLEARN_TRW);
    o.trw.energy = 1.0;
    o.trw.bias = 1;
    o.trw.neighbours = neighbours;
    o.trw.kappa = 0.75;
    o.trw.stage = stage;
    regression_read(&before, f.model);
    f.x = stage == 1 ? earlier : x;
    public_scores(&f, &before, &o.trw, s);
    f.x = x;
    naive_targets(&f, &before, 1, s, true, 10, 0, q);
    ck_ok(run(&f, &o, NULL));
    expect_step(&f, &before, q, 1.0, 1, true);
    fixture_close(&f);
}

START_TEST(sample_step)
{
    for (int32_t stage = 0; stage <= 1; stage++) {
        expect_sample_step(0, stage);
        expect_sample_step(10, stage);
    }
}
END_TEST

/* ---- a real network -------------------------------------------------------------------------- */

/* [norm, first, second, third] of what a step moved, from tests/interop/torch_trw.py. */
static void expect_moved(const json_t *rows, const amun__param *param, const float *before,
                         const float *after)
{
    const json_t *row = json_object_get(rows, param->name);
    ck_assert_msg(json_array_size(row) == 4, "no values for %s", param->name);
    double norm = 0.0, wanted = json_number_value(json_array_get(row, 0));
    for (size_t i = 0; i < param->count; i++) {
        double moved = (double)after[i] - (double)before[i];
        norm += moved * moved;
        if (i < 3) {
            double value = json_number_value(json_array_get(row, 1 + i));
            ck_assert_msg(fabs(moved - value) <= 1e-3 * wanted, "%s, value %zu: %.8g, not %.8g",
                          param->name, i, moved, value);
        }
    }
    ck_assert_msg(fabs(sqrt(norm) - wanted) <= 1e-3 * wanted, "%s: norm %.8g, not %.8g",
                  param->name, sqrt(norm), wanted);
}

static void golden_data(blobs *b, amun_context *ctx)
{
    *b = (blobs){.count = 40, .pixels = 64};
    b->images = malloc(b->count * b->pixels * sizeof *b->images);
    b->labels = malloc(b->count * sizeof *b->labels);
    ck_assert(b->images != NULL && b->labels != NULL);
    for (size_t i = 0; i < b->count * b->pixels; i++) {
        b->images[i] = (float)fmod((double)(i + 1) * 0.6180339887498949, 1.0);
        b->labels[i / b->pixels] = (int64_t)(i / b->pixels % 10);
    }
    blobs_open(b, ctx, 1, 8, 8, 10);
}

START_TEST(golden)
{
    static const int64_t forget[] = {3, 13, 23, 33};
    amun_context *ctx = NULL;
    amun_model *model = NULL, *before = NULL;
    amun_model_options shape;
    blobs b;
    options o;
    json_t *root = NULL;
    amun__mapping mapping;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1;
    shape.height = shape.width = 8;
    ck_ok(amun_model_create(&model, ctx, "digits", &shape));
    ck_ok(amun_model_clone(&before, model));
    golden_data(&b, ctx);
    options_fill(&o, AMUN_UNLEARN_TRW);
    o.train.lr = 0.05;
    o.train.weight_decay = 5e-4;
    o.trw.temperature = 0.2;
    ck_ok(amun_unlearn_run(NULL, model, b.data, forget, 4, NULL, &o.unlearn, NULL));
    ck_ok(amun__file_map(&mapping, test_source_path("tests/data/golden_trw.json")));
    ck_ok(amun__json_parse(&root, (const char *)mapping.data, mapping.size, "golden"));
    amun__file_unmap(&mapping);
    const json_t *rows = json_object_get(root, "moved");
    const amun_graph *graph = amun__model_graph(model);
    amun__model_values was, is;
    amun__model_values_get(before, &was);
    amun__model_values_get(model, &is);
    ck_assert_uint_eq(json_object_size(rows), (size_t)graph->param_count);
    for (int32_t i = 0; i < graph->param_count; i++) {
        const amun__param *param = &graph->params[i];
        expect_moved(rows, param, was.values + param->offset, is.values + param->offset);
    }
    json_decref(root);
    amun_model_unref(model);
    amun_model_unref(before);
    blobs_free(&b);
    amun_context_unref(ctx);
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------ */

static amun_model *without_dense(amun_context *ctx)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    conv.channels = K;
    ck_ok(amun_graph_create(&graph, ctx, 3, 2, 2));
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv", &conv));
    ck_ok(amun_graph_global_pool(&node, graph, node));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 1));
    amun_graph_unref(graph);
    return model;
}

START_TEST(errors)
{
    static const int64_t classes[] = {2, 3};
    fixture f = fixture_open(classes, 2);
    options o;
    model_bytes before = bytes_of(f.model);
    options_fill(&o, AMUN_UNLEARN_TRW);
    size_t gone = f.gone--;
    /* the last one is of class 2 or 3 and stays: 12 of each class in 60 */
    for (amun_unlearn_method m = AMUN_UNLEARN_DELETE; m <= AMUN_UNLEARN_TRW; m++) {
        o.unlearn.method = m;
        ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT,
                 "has 12 samples in train, and 11 in the forget set");
    }
    f.gone = gone;
    o.trw.neighbours = 5;
    ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT, "neighbours: 5");
    o.trw.neighbours = 0;
    o.trw.stage = 1;
    ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT, "stage: 1 has no effect");
    o.trw.kappa = 0.5;
    ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT, "features at 1, 0..0");
    o.trw.stage = 0;
    o.trw.kappa = 0.5;
    o.trw.neighbours = 1000;
    ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT, "1000");
    o.unlearn.remain = 0;
    ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT, "kappa: 0.5");
    options_fill(&o, AMUN_UNLEARN_TRW);
    o.trw.components = K;
    ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT, "components: 5, at most 4");
    o.trw.components = 0;
    o.trw.beta = -1;
    ck_fails(run(&f, &o, NULL), AMUN_ERROR_INVALID_ARGUMENT, "beta");
    o.trw.beta = 10;
    int64_t all[N];
    for (int64_t i = 0; i < N; i++) {
        all[i] = i;
    }
    o.unlearn.remain = 0;
    ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, all, N, NULL, &o.unlearn, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "5 of 5 classes");
    o.unlearn.remain = 1;
    ck_assert(same_bytes(before, bytes_of(f.model)));
    amun_model *other = without_dense(f.ctx);
    ck_fails(amun_unlearn_run(NULL, other, f.b.data, f.forget, f.gone, NULL, &o.unlearn, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "last dense layer");
    o.unlearn.method = AMUN_UNLEARN_DELETE; /* has no use for one */
    ck_ok(amun_unlearn_run(NULL, other, f.b.data, f.forget, f.gone, NULL, &o.unlearn, NULL));
    amun_model_unref(other);
    fixture_close(&f);
}
END_TEST

/* Each phase can be stopped, and leaves the model as it was. */
START_TEST(cancelled)
{
    static const int64_t classes[] = {0};
    fixture f = fixture_open(classes, 1);
    options o;
    amun_model_unref(f.model);
    f.model = dense_layers(f.ctx, false);
    options_fill(&o, AMUN_UNLEARN_TRW);
    o.trw.kappa = 1.0;
    model_bytes before = bytes_of(f.model);
    watcher w = {.stop_at = 1};
    amun_call_options call = watched(&w);
    ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, f.gone, NULL, &o.unlearn, &call),
             AMUN_ERROR_CANCELLED, "stop");
    ck_assert_str_eq(w.phase, "features");
    o.trw.kappa = 0.0;
    ck_fails(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, f.gone, NULL, &o.unlearn, &call),
             AMUN_ERROR_CANCELLED, "stop");
    ck_assert_str_eq(w.phase, "targets");
    ck_assert(same_bytes(before, bytes_of(f.model)));
    w.stop_at = 0;
    ck_ok(amun_unlearn_run(NULL, f.model, f.b.data, f.forget, f.gone, NULL, &o.unlearn, &call));
    ck_assert_str_eq(w.phase, "trw");
    fixture_close(&f);
}
END_TEST

START_TEST(defaults)
{
    amun_train_options o;
    ck_ok(amun_unlearn_train_options_init(&o, sizeof o, AMUN_UNLEARN_TRW));
    ck_assert(o.epochs == 10 && o.batch == 256 && o.lr == 0.01 && o.momentum == 0.9);
    ck_assert(o.schedule == AMUN_SCHEDULE_STEP && o.step_epochs == 5 && o.gamma == 0.1);
    ck_ok(amun_unlearn_train_options_init(&o, sizeof o, AMUN_UNLEARN_DELETE));
    ck_assert(o.epochs == 20 && o.batch == 128 && o.lr == 1e-4);
    ck_assert(o.schedule == AMUN_SCHEDULE_CONSTANT && o.weight_decay == 5e-4);
}
END_TEST

/* Batch norm as in evaluation: its running statistics stand still. */
START_TEST(frozen)
{
    static const int64_t classes[] = {3};
    for (int32_t on = 0; on <= 1; on++) {
        fixture f = fixture_open(classes, 1);
        options o;
        float before[4], after[4];
        amun_model *model = conv_model(f.ctx, 3, 2, 2, K, 9);
        options_fill(&o, AMUN_UNLEARN_TRW);
        o.trw.frozen_statistics = on;
        ck_ok(amun_model_get_tensor(model, "bn.running_mean", before, 4));
        ck_ok(amun_unlearn_run(NULL, model, f.b.data, f.forget, f.gone, NULL, &o.unlearn, NULL));
        ck_ok(amun_model_get_tensor(model, "bn.running_mean", after, 4));
        ck_assert((memcmp(before, after, sizeof after) == 0) == (on != 0));
        amun_model_unref(model);
        fixture_close(&f);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("trw_recipe");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, step);
    tcase_add_test(tc, delete_step);
    tcase_add_test(tc, sample_step);
    tcase_add_test(tc, golden);
    tcase_add_test(tc, errors);
    tcase_add_test(tc, cancelled);
    tcase_add_test(tc, defaults);
    tcase_add_test(tc, frozen);
    return amun_test_main("trw_recipe", (TCase *[]){tc, NULL});
}
