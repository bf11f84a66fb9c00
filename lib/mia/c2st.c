/* c2st.c - classifier two-sample test: cross-validated logistic regression between two models'
 * outputs on the same images. */
#include "mia/audit.h"
#include "mia/classes.h"

/* ---- options ------------------------------------------------------------------------------------
 */

static const amun_c2st_options default_options = {
    .struct_size = sizeof(amun_c2st_options),
    .folds = 5,
    .ridge = 1.0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_c2st_options, folds, AMUN__FIELD_I32, 2, 100),
    AMUN__FIELD(amun_c2st_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_c2st_options, ridge, AMUN__FIELD_F64, 1e-9, 1e9),
    AMUN__FIELD(amun_c2st_options, seed, AMUN__FIELD_U64, 0, 18446744073709551615.0),
};
static const amun__options_table options_table = {
    .name = "amun_c2st_options",
    .size = sizeof(amun_c2st_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_c2st_options_init(amun_c2st_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

/* ---- one pair of models -------------------------------------------------------------------------
 */

typedef struct bench {
    amun_context *ctx;
    const amun_c2st_options *opts;
    const amun__class_split *split;
    const int64_t *kept; /* the classes whose log-probabilities are looked at */
    size_t width;        /* how many */
    int64_t *order;      /* rows in a drawn order; fold f has places f, f + folds, ... */
    double *x;           /* [2 rows][width] */
    uint8_t *y;          /* [2 rows]: 1 the first model */
    double *w, *scores;  /* [width + 1], [2 rows] */
} bench;

static void bench_free(bench *b)
{
    amun__free(b->ctx, b->scores);
    amun__free(b->ctx, b->w);
    amun__free(b->ctx, b->y);
    amun__free(b->ctx, b->x);
    amun__free(b->ctx, b->order);
}

static amun_status bench_begin(bench *b)
{
    const size_t n = b->split->n_forget_rows, classes = b->split->classes;
    size_t count;
    if ((size_t)b->opts->folds > n) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_c2st_options.folds: %d, with %zu rows of forget classes",
                          (int)b->opts->folds, n);
    }
    if (!amun__mul_size(&count, 2 * n, classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu rows of %zu classes are too many", n,
                          classes);
    }
    AMUN__CHECK(amun__alloc(b->ctx, &b->order, n, sizeof *b->order));
    AMUN__CHECK(amun__alloc(b->ctx, &b->x, count, sizeof *b->x));
    AMUN__CHECK(amun__alloc(b->ctx, &b->y, 2 * n, sizeof *b->y));
    AMUN__CHECK(amun__alloc(b->ctx, &b->w, classes + 1, sizeof *b->w));
    AMUN__CHECK(amun__alloc(b->ctx, &b->scores, 2 * n, sizeof *b->scores));
    memcpy(b->order, b->split->forget_rows, n * sizeof *b->order);
    amun__rng rng;
    amun__rng_open(&rng, b->opts->seed, AMUN__RNG_SUBSAMPLE, AMUN__DRAW_C2ST, 0);
    amun__rng_shuffle(&rng, b->order, n);
    return AMUN_OK;
}

/* One fold: training rows first, then both models' rows of the fold; the AUC on the latter. */
static amun_status run_fold(bench *b, const double *first, const double *second, size_t fold,
                            double *auc)
{
    const size_t n = b->split->n_forget_rows, folds = (size_t)b->opts->folds;
    const size_t tested = (n - fold + folds - 1) / folds;
    const size_t trained = 2 * (n - tested);
    size_t train = 0, test = trained;
    for (size_t i = 0; i < n; i++) {
        const size_t row = (size_t)b->order[i] * b->split->classes;
        size_t *at = i % folds == fold ? &test : &train;
        for (uint8_t y = 0; y < 2; y++, ++*at) {
            b->y[*at] = y;
            amun__log_softmax_of(b->x + *at * b->width, (y ? first : second) + row, b->kept,
                                 b->width);
        }
    }
    AMUN__CHECK(amun__standardise(b->x, 2 * n, trained, b->width));
    AMUN__CHECK(amun__linear_fit(b->ctx, AMUN__LOGISTIC, b->w, b->x, b->y, trained, b->width,
                                 b->opts->ridge, (const double[2]){1.0, 1.0}));
    double *positives = b->scores, *negatives = b->scores + n;
    for (size_t i = 0; i < 2 * tested; i++) {
        const size_t at = trained + i;
        const double value = amun__linear_value(b->w, b->x + at * b->width, b->width);
        *(b->y[at] ? &positives[i / 2] : &negatives[i / 2]) = value;
    }
    return amun__auc_compute(b->ctx, auc, positives, tested, negatives, tested);
}

static amun_status run_pair(bench *b, const amun__outputs *a, size_t model_a,
                            const amun__outputs *c, size_t model_c, double *auc)
{
    const size_t folds = (size_t)b->opts->folds;
    const double *first = amun__outputs_row(a, model_a, 0);
    const double *second = amun__outputs_row(c, model_c, 0);
    *auc = 0.0;
    for (size_t fold = 0; fold < folds; fold++) {
        double one = 0.0;
        AMUN__CHECK(run_fold(b, first, second, fold, &one));
        *auc += 100.0 * one / (double)folds;
    }
    return AMUN_OK;
}

/* ---- against all retrained models, and those against each other ---------------------------------
 */

static amun_status run_version(bench *b, const amun__outputs *retrained,
                               const amun__outputs *unlearned, double *room, double *mean,
                               double *null_mean, double *null_sd)
{
    size_t pairs = 0;
    for (size_t r = 0; r < retrained->models; r++) {
        AMUN__CHECK(run_pair(b, unlearned, 0, retrained, r, &room[r]));
    }
    amun__mean_sd(room, retrained->models, mean, NULL);
    for (size_t r = 0; r < retrained->models; r++) {
        for (size_t s = r + 1; s < retrained->models; s++) {
            AMUN__CHECK(run_pair(b, retrained, r, retrained, s, &room[pairs++]));
        }
    }
    amun__mean_sd(room, pairs, null_mean, null_sd);
    return AMUN_OK;
}

static amun_status test_both(bench *b, amun_c2st *told, const amun__outputs *retrained,
                             const amun__outputs *unlearned)
{
    amun_status status = AMUN_OK;
    double *room = NULL;
    size_t pairs;
    const amun__class_split *s = b->split;
    if (!amun__mul_size(&pairs, retrained->models, retrained->models)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%zu models are too many", retrained->models);
    }
    AMUN__TRY(bench_begin(b));
    AMUN__TRY(amun__alloc(b->ctx, &room, pairs, sizeof *room));
    told->models = (int64_t)retrained->models;
    told->rows = (int64_t)s->n_forget_rows;
    b->kept = s->all;
    b->width = s->classes;
    AMUN__TRY(run_version(b, retrained, unlearned, room, &told->all, &told->all_null_mean,
                          &told->all_null_sd));
    b->kept = s->retained;
    b->width = s->n_retained;
    AMUN__TRY(run_version(b, retrained, unlearned, room, &told->retained, &told->retained_null_mean,
                          &told->retained_null_sd));
fail:
    amun__free(b->ctx, room);
    bench_free(b);
    return status;
}

amun_status amun_c2st_compute(amun_c2st *result, const amun_tensor_view *retrained,
                              const amun_tensor_view *unlearned, const amun_tensor_view *labels,
                              const int64_t *forget, size_t n_forget, const amun_c2st_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    amun__outputs first = {0}, second = {0};
    amun__class_split split = {0};
    amun_c2st_options o;
    amun_c2st told = {0};
    AMUN__TRY(amun__options_read(&options_table, &o, opts));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__outputs_read(ctx, &first, retrained, "retrained", 3));
    AMUN__TRY(amun__outputs_read(ctx, &second, unlearned, "unlearned", 2));
    AMUN__TRY(amun__outputs_match(&first, "retrained", &second, "unlearned"));
    AMUN__TRY(
        amun__class_split_read(ctx, &split, labels, forget, n_forget, first.n, first.classes));
    bench b = {.ctx = ctx, .opts = &o, .split = &split};
    AMUN__TRY(test_both(&b, &told, &first, &second));
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_c2st"));
fail:
    amun__class_split_free(ctx, &split);
    amun__free(ctx, second.z);
    amun__free(ctx, first.z);
    amun_context_unref(ctx);
    return status;
}
