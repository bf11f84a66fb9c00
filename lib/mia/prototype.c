/* prototype.c - a head whose rows of the forget classes are mean features of a few samples. */
#include "amun/probe.h"
#include "core/linalg.h"
#include "data/data.h"
#include "mia/classes.h"
#include "nn/graph.h"
#include "nn/prefix.h"
#include "train/train.h"
#include "unlearn/trw_views.h"

/* ---- options -------------------------------------------------------------------------------- */

static const char *const scale_names[] = {"matched", "raw"};
static const amun_prototype_options default_options = {
    .struct_size = sizeof(amun_prototype_options),
    .samples = 5,
    .draws = 10,
    .scale = AMUN_PROTOTYPE_MATCHED,
    .reserved = 0,
    .seed = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_prototype_options, samples, AMUN__FIELD_I32, 1, 1e6),
    AMUN__FIELD(amun_prototype_options, draws, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD_ENUM(amun_prototype_options, scale, AMUN_PROTOTYPE_MATCHED, AMUN_PROTOTYPE_RAW,
                     scale_names),
    AMUN__FIELD(amun_prototype_options, reserved, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_prototype_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
static const amun__options_table options_table = {
    .name = "amun_prototype_options",
    .size = sizeof(amun_prototype_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_prototype_options_init(amun_prototype_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

/* ---- one draw ------------------------------------------------------------------------------- */

typedef struct bench {
    amun_context *ctx;
    const amun_prototype_options *opts;
    size_t classes, d;
    uint8_t *gone;       /* [classes] */
    double *rows, *bias; /* [classes][d], [classes]: of the head as it is */
    amun__matrix support, test;
    double *logits;        /* [tested][classes]: columns of forget classes change */
    double *prototype;     /* [d] */
    int64_t *order;        /* [support.n] */
    double *values[2];     /* [draws]: accuracies on others and on forget classes */
    double length, offset; /* means over the retained rows */
} bench;

static void bench_free(bench *b)
{
    amun__free(b->ctx, b->values[1]);
    amun__free(b->ctx, b->values[0]);
    amun__free(b->ctx, b->order);
    amun__free(b->ctx, b->prototype);
    amun__free(b->ctx, b->logits);
    amun__matrix_free(b->ctx, &b->test);
    amun__matrix_free(b->ctx, &b->support);
    amun__free(b->ctx, b->bias);
    amun__free(b->ctx, b->rows);
    amun__free(b->ctx, b->gone);
}

/* The rows of a class in the support, into `order`. */
static size_t list_class(const bench *b, size_t class)
{
    size_t count = 0;
    for (size_t i = 0; i < b->support.n; i++) {
        if ((size_t)b->support.label[i] == class) {
            b->order[count++] = (int64_t)i;
        }
    }
    return count;
}

static amun_status bench_begin(bench *b)
{
    const size_t tested = b->test.n, draws = (size_t)b->opts->draws;
    size_t cells;
    if (b->support.width != b->d || b->test.width != b->d) {
        return amun__fail(AMUN_ERROR_SHAPE, "rows: %zu features, support %zu, test %zu", b->d,
                          b->support.width, b->test.width);
    }
    if (!amun__mul_size(&cells, tested, b->classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu rows of %zu classes are too many", tested,
                          b->classes);
    }
    AMUN__CHECK(amun__alloc(b->ctx, &b->logits, cells, sizeof *b->logits));
    AMUN__CHECK(amun__alloc(b->ctx, &b->prototype, b->d, sizeof *b->prototype));
    AMUN__CHECK(amun__alloc(b->ctx, &b->order, b->support.n, sizeof *b->order));
    AMUN__CHECK(amun__alloc(b->ctx, &b->values[0], draws, sizeof(double)));
    AMUN__CHECK(amun__alloc(b->ctx, &b->values[1], draws, sizeof(double)));
    for (size_t j = 0; j < b->classes; j++) {
        const size_t there = b->gone[j] ? list_class(b, j) : SIZE_MAX;
        if (there < (size_t)b->opts->samples) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "support: %zu rows of class %zu, but amun_prototype_options.samples "
                              "is %d",
                              there, j, (int)b->opts->samples);
        }
    }
    return amun__softmax_logits(b->logits, b->test.x, b->rows, b->bias, tested, b->d, b->classes);
}

static double length_of(const double *x, size_t d)
{
    return sqrt(amun__dot_f64(x, x, d));
}

static void measure_head(bench *b)
{
    size_t kept = 0;
    for (size_t j = 0; j < b->classes; j++) {
        if (!b->gone[j]) {
            kept++;
            b->length += length_of(b->rows + j * b->d, b->d);
            b->offset += b->bias[j];
        }
    }
    b->length /= (double)kept;
    b->offset /= (double)kept;
}

static void accuracies(const bench *b, double *forget, double *remain)
{
    size_t right[2] = {0}, seen[2] = {0};
    for (size_t i = 0; i < b->test.n; i++) {
        const double *z = b->logits + i * b->classes;
        const size_t y = (size_t)b->test.label[i], side = b->gone[y];
        seen[side]++;
        right[side] += amun__softmax_top(z, b->classes) == y;
    }
    *remain = 100.0 * (double)right[0] / (double)seen[0]; /* 0 / 0: no such rows */
    *forget = 100.0 * (double)right[1] / (double)seen[1];
}

/* The mean feature of drawn samples of a class; its column of logits. */
static amun_status replace_row(bench *b, size_t class, uint32_t draw)
{
    const size_t k = (size_t)b->opts->samples, there = list_class(b, class);
    double scale = 1.0, offset = 0.0;
    amun__rng rng;
    amun__rng_open(&rng, b->opts->seed, AMUN__RNG_SUBSAMPLE, AMUN__DRAW_PROTOTYPE,
                   (uint64_t)draw << 32 | class);
    amun__rng_shuffle(&rng, b->order, there);
    memset(b->prototype, 0, b->d * sizeof *b->prototype);
    for (size_t s = 0; s < k; s++) {
        const double *x = b->support.x + (size_t)b->order[s] * b->d;
        for (size_t c = 0; c < b->d; c++) {
            b->prototype[c] += x[c] / (double)k;
        }
    }
    if (b->opts->scale == AMUN_PROTOTYPE_MATCHED) {
        const double own = length_of(b->prototype, b->d);
        if (!(own > 0.0)) {
            return amun__fail(AMUN_ERROR_NUMERIC,
                              "support: the mean feature of class %zu is 0, so that it has no "
                              "direction",
                              class);
        }
        scale = b->length / own;
        offset = b->offset;
    }
    for (size_t i = 0; i < b->test.n; i++) {
        b->logits[i * b->classes + class] =
            scale * amun__dot_f64(b->test.x + i * b->d, b->prototype, b->d) + offset;
    }
    return AMUN_OK;
}

static amun_status run(bench *b, amun_prototype *told)
{
    const size_t draws = (size_t)b->opts->draws;
    AMUN__CHECK(bench_begin(b));
    measure_head(b);
    told->tested = (int64_t)b->test.n;
    accuracies(b, &told->forget_before, &told->remain_before);
    for (size_t draw = 0; draw < draws; draw++) {
        for (size_t j = 0; j < b->classes; j++) {
            if (b->gone[j]) {
                AMUN__CHECK(replace_row(b, j, (uint32_t)draw));
            }
        }
        accuracies(b, &b->values[1][draw], &b->values[0][draw]);
    }
    amun__mean_sd(b->values[1], draws, &told->forget_accuracy, &told->forget_sd);
    amun__mean_sd(b->values[0], draws, &told->remain_accuracy, &told->remain_sd);
    return AMUN_OK;
}

/* ---- saved features ------------------------------------------------------------------------- */

static amun_status read_bias(bench *b, const amun_tensor_view *bias)
{
    AMUN__CHECK(amun__calloc(b->ctx, &b->bias, b->classes, sizeof *b->bias));
    if (bias == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__trw_labels_check(bias, "bias", b->classes));
    if (bias->dtype != AMUN_DTYPE_F32 && bias->dtype != AMUN_DTYPE_F64) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "bias: dtype %d, expected F32 or F64",
                          (int)bias->dtype);
    }
    AMUN__CHECK(amun__view_read_f64(bias, 0, b->classes, b->bias));
    for (size_t j = 0; j < b->classes; j++) {
        if (!isfinite(b->bias[j])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "bias: that of class %zu is %g", j, b->bias[j]);
        }
    }
    return AMUN_OK;
}

amun_status amun_prototype_compute(amun_prototype *result, const amun_tensor_view *rows,
                                   const amun_tensor_view *bias, const amun_tensor_view *support,
                                   const amun_tensor_view *support_labels,
                                   const amun_tensor_view *test,
                                   const amun_tensor_view *test_labels, const int64_t *forget,
                                   size_t n_forget, const amun_prototype_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_prototype_options o;
    amun_prototype told = {0};
    bench b = {.opts = &o};
    AMUN__TRY(amun__options_read(&options_table, &o, opts));
    AMUN__TRY(amun__trw_matrix_check(rows, "rows", 1, &b.classes, &b.d));
    AMUN__TRY(amun_context_create(&b.ctx, NULL));
    AMUN__TRY(amun__forget_read(b.ctx, &b.gone, forget, n_forget, b.classes));
    AMUN__TRY(amun__trw_matrix_read(b.ctx, rows, "rows", &b.rows));
    AMUN__TRY(read_bias(&b, bias));
    AMUN__TRY(amun__matrix_read(b.ctx, &b.support, support, support_labels, "support", b.classes));
    AMUN__TRY(amun__matrix_read(b.ctx, &b.test, test, test_labels, "test", b.classes));
    AMUN__TRY(run(&b, &told));
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_prototype"));
fail:
    if (b.ctx != NULL) {
        bench_free(&b);
    }
    amun_context_unref(b.ctx);
    return status;
}

/* ---- of a model ----------------------------------------------------------------------------- */

/* Rows and biases of the last dense layer. */
static amun_status take_head(bench *b, const amun_model *model)
{
    const amun_graph *graph = amun__model_graph(model);
    const int32_t last = amun__prefix_last(model);
    amun__model_values values;
    if (last < 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "the logits of this network (%s) do not come from a dense layer",
                          amun_model_arch(model));
    }
    const amun__node *node = &graph->nodes[last];
    const amun__param *weight = &graph->params[node->weight];
    b->classes = (size_t)weight->shape[0];
    b->d = (size_t)weight->shape[1];
    amun__model_values_get(model, &values);
    AMUN__CHECK(amun__alloc(b->ctx, &b->rows, weight->count, sizeof *b->rows));
    AMUN__CHECK(amun__calloc(b->ctx, &b->bias, b->classes, sizeof *b->bias));
    for (size_t k = 0; k < weight->count; k++) {
        b->rows[k] = (double)values.values[weight->offset + k];
    }
    for (size_t j = 0; j < b->classes && node->bias >= 0; j++) {
        b->bias[j] = (double)values.values[graph->params[node->bias].offset + j];
    }
    return AMUN_OK;
}

/* Only the forgotten classes get new rows: features of the others would be for nothing. */
static amun_status take_support(bench *b, const amun_model *model, const amun_dataset *train,
                                amun__progress_state *progress)
{
    const size_t all = amun_dataset_count(train);
    size_t count = 0;
    int64_t *indices = NULL;
    AMUN__CHECK(amun__alloc(b->ctx, &indices, all, sizeof *indices));
    for (size_t i = 0; i < all; i++) {
        const int32_t label = amun__dataset_label(train, i);
        if (label >= 0 && (size_t)label < b->classes && b->gone[label]) {
            indices[count++] = (int64_t)i;
        }
    }
    amun_status status = amun__matrix_take(&b->support, model, train, indices, count, "train", 0,
                                           b->classes, progress);
    amun__free(b->ctx, indices);
    return status;
}

/* Caller holds begin_read. */
static amun_status run_on(bench *b, amun_prototype *told, const amun_model *model,
                          const amun_dataset *train, const amun_dataset *test,
                          const int64_t *forget, size_t n_forget, amun__progress_state *progress)
{
    amun__threads threads;
    AMUN__CHECK(take_head(b, model));
    AMUN__CHECK(amun__forget_read(b->ctx, &b->gone, forget, n_forget, b->classes));
    AMUN__CHECK(take_support(b, model, train, progress));
    AMUN__CHECK(amun__matrix_take(&b->test, model, test, NULL, 0, "test", 0, b->classes, progress));
    AMUN__CHECK(amun__threads_begin(b->ctx, &threads));
    amun_status status = run(b, told);
    amun__threads_end(&threads);
    return status;
}

amun_status amun_prototype_model(amun_prototype *result, const amun_model *model,
                                 const amun_dataset *train, const amun_dataset *test,
                                 const int64_t *forget, size_t n_forget,
                                 const amun_prototype_options *opts, const amun_call_options *call)
{
    amun__enter();
    amun__progress_state progress;
    amun_prototype_options o;
    amun_prototype told = {0};
    size_t classes;
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__options_read(&options_table, &o, opts));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(amun__classes_of(train, test, &classes));
    bench b = {.ctx = amun__model_context(model), .opts = &o};
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = run_on(&b, &told, model, train, test, forget, n_forget, &progress);
    amun__model_end_read(model);
    bench_free(&b);
    AMUN__CHECK(status);
    return amun__result_write(result, &told, sizeof told, "amun_prototype");
}
