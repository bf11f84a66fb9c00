/* probe.c - the linear probe: a new head on the features of a model, asked about the forgotten
 * class. */
#include "amun/probe.h"
#include "core/linalg.h"
#include "data/data.h"
#include "mia/audit.h"
#include "mia/classes.h"
#include "train/train.h"

/* ---- options -------------------------------------------------------------------------------- */

static const amun_probe_options default_options = {
    .struct_size = sizeof(amun_probe_options),
    .ridge = 1.0,
    .limit = 0,
    .stage = 0,
    .reserved = 0,
    .seed = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_probe_options, ridge, AMUN__FIELD_F64, 1e-9, 1e9),
    AMUN__FIELD(amun_probe_options, limit, AMUN__FIELD_I64, 0, 1e9),
    AMUN__FIELD(amun_probe_options, stage, AMUN__FIELD_I32, 0, 64),
    AMUN__FIELD(amun_probe_options, reserved, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_probe_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
static const amun__options_table options_table = {
    .name = "amun_probe_options",
    .size = sizeof(amun_probe_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_probe_options_init(amun_probe_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

/* ---- fitting -------------------------------------------------------------------------------- */

typedef struct bench {
    amun_context *ctx;
    const amun_probe_options *opts;
    amun__progress_state *progress; /* nullable */
    size_t classes;
    uint8_t *gone;          /* [classes] */
    amun__matrix fit, test; /* of one width */
    double *x;              /* fitted rows, then tested ones, standardised */
    int64_t *y;             /* of the fitted ones */
    double *w;              /* of the probe */
    double *logits;         /* [fitted + tested][classes] */
    int64_t *order;         /* the fitted rows come first */
    size_t fitted;
} bench;

static void bench_free(bench *b)
{
    amun__free(b->ctx, b->logits);
    amun__free(b->ctx, b->w);
    amun__free(b->ctx, b->y);
    amun__free(b->ctx, b->x);
    amun__free(b->ctx, b->order);
    amun__matrix_free(b->ctx, &b->test);
    amun__matrix_free(b->ctx, &b->fit);
    amun__free(b->ctx, b->gone);
}

/* Which of `all` rows are fitted: each, or `limit` drawn ones. */
static amun_status draw(bench *b, size_t all)
{
    const size_t limit = b->opts->limit > 0 ? (size_t)b->opts->limit : all;
    b->fitted = limit < all ? limit : all;
    AMUN__CHECK(amun__alloc(b->ctx, &b->order, all, sizeof *b->order));
    for (size_t i = 0; i < all; i++) {
        b->order[i] = (int64_t)i;
    }
    if (b->fitted < all) {
        amun__rng rng;
        amun__rng_open(&rng, b->opts->seed, AMUN__RNG_SUBSAMPLE, AMUN__DRAW_PROBE, 0);
        amun__rng_shuffle(&rng, b->order, all);
    }
    return AMUN_OK;
}

/* The fitted rows, those of `fit` that `order` names or all if there are no others, and the tested
 * ones behind them. */
static amun_status gather(bench *b)
{
    const size_t d = b->fit.width;
    amun_status status = AMUN_OK;
    size_t count;
    if (!amun__mul_size(&count, b->fitted + b->test.n, d)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%zu rows of %zu features are too many",
                   b->fitted + b->test.n, d);
    }
    AMUN__TRY(amun__alloc(b->ctx, &b->x, count, sizeof *b->x));
    AMUN__TRY(amun__alloc(b->ctx, &b->y, b->fitted, sizeof *b->y));
    for (size_t i = 0; i < b->fitted; i++) {
        const size_t row = b->fit.n > b->fitted ? (size_t)b->order[i] : i;
        memcpy(b->x + i * d, b->fit.x + row * d, d * sizeof *b->x);
        b->y[i] = b->fit.label[row];
    }
    memcpy(b->x + b->fitted * d, b->test.x, b->test.n * d * sizeof *b->x);
    AMUN__TRY(amun__standardise(b->x, b->fitted + b->test.n, b->fitted, d));
fail:
    return status;
}

/* A class that is not there would be pushed away for ever. */
static amun_status check_classes(const bench *b)
{
    for (size_t j = 0; j < b->classes; j++) {
        size_t i = 0;
        while (i < b->fitted && (size_t)b->y[i] != j) {
            i++;
        }
        if (i == b->fitted) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "fit: none of %zu rows is of class %zu; the probe needs one of each",
                              b->fitted, j);
        }
    }
    return AMUN_OK;
}

static amun_status fit(bench *b)
{
    const size_t d = b->fit.width;
    size_t count, cells;
    if (b->test.width != d) {
        return amun__fail(AMUN_ERROR_SHAPE, "test: %zu features, fit has %zu", b->test.width, d);
    }
    AMUN__CHECK(gather(b));
    AMUN__CHECK(check_classes(b));
    const size_t rows = b->fitted + b->test.n;
    if (!amun__mul_size(&count, b->classes, d + 1) || !amun__mul_size(&cells, rows, b->classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu rows of %zu classes are too many", rows,
                          b->classes);
    }
    AMUN__CHECK(amun__alloc(b->ctx, &b->w, count, sizeof *b->w));
    AMUN__CHECK(amun__alloc(b->ctx, &b->logits, cells, sizeof *b->logits));
    AMUN__CHECK(amun__softmax_fit(b->ctx, b->w, b->x, b->y, b->fitted, d, b->classes,
                                  b->opts->ridge, b->progress));
    return amun__softmax_logits(b->logits, b->x, b->w, b->w + b->classes * d, rows, d, b->classes);
}

/* ---- figures -------------------------------------------------------------------------------- */

/* log of the forget classes' probability less that of the others'. */
static double log_odds(const bench *b, const double *z)
{
    double top[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0, 0.0};
    for (size_t j = 0; j < b->classes; j++) {
        top[b->gone[j]] = fmax(top[b->gone[j]], z[j]);
    }
    for (size_t j = 0; j < b->classes; j++) {
        sum[b->gone[j]] += exp(z[j] - top[b->gone[j]]);
    }
    return top[1] + log(sum[1]) - top[0] - log(sum[0]);
}

static amun_status auc_of(const bench *b, double *auc)
{
    const double *z = b->logits + b->fitted * b->classes;
    double *room = NULL;
    size_t counts[2] = {0, 0};
    *auc = NAN;
    AMUN__CHECK(amun__alloc(b->ctx, &room, b->test.n, 2 * sizeof *room));
    for (size_t i = 0; i < b->test.n; i++) {
        const size_t side = b->gone[b->test.label[i]];
        room[side * b->test.n + counts[side]++] = log_odds(b, z + i * b->classes);
    }
    amun_status status = AMUN_OK;
    if (counts[0] > 0 && counts[1] > 0) {
        status = amun__auc_compute(b->ctx, auc, room + b->test.n, counts[1], room, counts[0]);
        *auc *= 100.0;
    }
    amun__free(b->ctx, room);
    return status;
}

static amun_status run(bench *b, amun_probe *told)
{
    size_t right[3] = {0}, seen[3] = {0}; /* tested: others, forget classes; fitted */
    AMUN__CHECK(fit(b));
    for (size_t i = 0; i < b->fitted + b->test.n; i++) {
        const bool fitted = i < b->fitted;
        const int64_t y = fitted ? b->y[i] : b->test.label[i - b->fitted];
        const size_t side = fitted ? 2 : b->gone[y];
        seen[side]++;
        right[side] += amun__softmax_top(b->logits + i * b->classes, b->classes) == (size_t)y;
    }
    told->fitted = (int64_t)b->fitted;
    told->tested = (int64_t)b->test.n;
    /* 0 / 0: no such rows */
    told->remain_accuracy = 100.0 * (double)right[0] / (double)seen[0];
    told->forget_accuracy = 100.0 * (double)right[1] / (double)seen[1];
    told->fit_accuracy = 100.0 * (double)right[2] / (double)seen[2];
    return auc_of(b, &told->auc);
}

/* ---- public --------------------------------------------------------------------------------- */

amun_status amun_probe_compute(amun_probe *result, double *logits, const amun_tensor_view *fit_view,
                               const amun_tensor_view *fit_labels, const amun_tensor_view *test,
                               const amun_tensor_view *test_labels, int64_t classes,
                               const int64_t *forget, size_t n_forget,
                               const amun_probe_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_probe_options o;
    amun_probe told = {0};
    bench b = {.opts = &o, .classes = (size_t)classes};
    AMUN__TRY(amun__options_read(&options_table, &o, opts));
    if (classes < 3 || classes > 65536) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "classes: %lld is outside [3, 65536]",
                   (long long)classes);
    }
    AMUN__TRY(amun_context_create(&b.ctx, NULL));
    AMUN__TRY(amun__forget_read(b.ctx, &b.gone, forget, n_forget, b.classes));
    AMUN__TRY(amun__matrix_read(b.ctx, &b.fit, fit_view, fit_labels, "fit", b.classes));
    AMUN__TRY(amun__matrix_read(b.ctx, &b.test, test, test_labels, "test", b.classes));
    AMUN__TRY(draw(&b, b.fit.n));
    AMUN__TRY(run(&b, &told));
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_probe"));
    if (logits != NULL) {
        memcpy(logits, b.logits + b.fitted * b.classes, b.test.n * b.classes * sizeof *logits);
    }
fail:
    if (b.ctx != NULL) {
        bench_free(&b);
    }
    amun_context_unref(b.ctx);
    return status;
}

/* Caller holds begin_read. */
static amun_status run_on(bench *b, amun_probe *told, const amun_model *model,
                          const amun_dataset *train, const amun_dataset *test)
{
    amun__threads threads;
    const int32_t stage = b->opts->stage;
    const size_t all = amun_dataset_count(train);
    AMUN__CHECK(draw(b, all)); /* first: features of the others would be for nothing */
    AMUN__CHECK(amun__matrix_take(&b->fit, model, train, b->fitted < all ? b->order : NULL,
                                  b->fitted, "train", stage, b->classes, b->progress));
    AMUN__CHECK(
        amun__matrix_take(&b->test, model, test, NULL, 0, "test", stage, b->classes, b->progress));
    AMUN__CHECK(amun__threads_begin(b->ctx, &threads));
    amun_status status = run(b, told);
    amun__threads_end(&threads);
    return status;
}

amun_status amun_probe_model(amun_probe *result, const amun_model *model, const amun_dataset *train,
                             const amun_dataset *test, const int64_t *forget, size_t n_forget,
                             const amun_probe_options *opts, const amun_call_options *call)
{
    amun__enter();
    amun__progress_state progress;
    amun_probe_options o;
    amun_probe told = {0};
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__options_read(&options_table, &o, opts));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    bench b = {.ctx = amun__model_context(model), .opts = &o, .progress = &progress};
    AMUN__CHECK(amun__classes_of(train, test, &b.classes));
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = amun__forget_read(b.ctx, &b.gone, forget, n_forget, b.classes);
    if (status == AMUN_OK) {
        status = run_on(&b, &told, model, train, test);
    }
    amun__model_end_read(model);
    bench_free(&b);
    AMUN__CHECK(status);
    return amun__result_write(result, &told, sizeof told, "amun_probe");
}
