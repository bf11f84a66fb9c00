/* lossmia.c - the loss attack: a logistic regression on one number per sample, over random splits.
 */
#include "amun/probe.h"
#include "mia/audit.h"
#include "mia/classes.h"

static const amun_lossmia_options default_options = {
    .struct_size = sizeof(amun_lossmia_options),
    .splits = 10,
    .reserved = 0,
    .test_share = 0.1,
    .ridge = 1.0,
    .seed = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_lossmia_options, splits, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(amun_lossmia_options, reserved, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_lossmia_options, test_share, AMUN__FIELD_F64, 0.01, 0.9),
    AMUN__FIELD(amun_lossmia_options, ridge, AMUN__FIELD_F64, 1e-9, 1e9),
    AMUN__FIELD(amun_lossmia_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
static const amun__options_table options_table = {
    .name = "amun_lossmia_options",
    .size = sizeof(amun_lossmia_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_lossmia_options_init(amun_lossmia_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

/* ---- one split ------------------------------------------------------------------------------ */

typedef struct bench {
    amun_context *ctx;
    const amun_lossmia_options *opts;
    const double *loss[2]; /* unseen, forget */
    size_t count[2];
    size_t rows, tested; /* of each side */
    int64_t *order[2];   /* [count] */
    double *x;           /* [2 rows]: the fitted ones, then the tested ones */
    uint8_t *y;
} bench;

static void bench_free(bench *b)
{
    amun__free(b->ctx, b->y);
    amun__free(b->ctx, b->x);
    amun__free(b->ctx, b->order[1]);
    amun__free(b->ctx, b->order[0]);
}

static amun_status bench_begin(bench *b)
{
    for (int side = 0; side < 2; side++) {
        AMUN__CHECK(amun__alloc(b->ctx, &b->order[side], b->count[side], sizeof(int64_t)));
    }
    b->rows = b->count[0] < b->count[1] ? b->count[0] : b->count[1];
    const double share = round(b->opts->test_share * (double)b->rows);
    b->tested = (size_t)fmin(fmax(share, 1.0), (double)(b->rows - 1));
    AMUN__CHECK(amun__alloc(b->ctx, &b->x, b->rows, 2 * sizeof *b->x));
    return amun__alloc(b->ctx, &b->y, b->rows, 2 * sizeof *b->y);
}

/* Each split draws anew which rows of the larger side take part. */
static amun_status run_split(bench *b, uint32_t split, double *accuracy)
{
    const size_t fitted = b->rows - b->tested;
    double w[2];
    size_t right = 0;
    for (size_t side = 0; side < 2; side++) {
        amun__rng rng;
        for (size_t i = 0; i < b->count[side]; i++) {
            b->order[side][i] = (int64_t)i;
        }
        amun__rng_open(&rng, b->opts->seed, AMUN__RNG_SUBSAMPLE, AMUN__DRAW_LOSSMIA,
                       2 * (uint64_t)split + side);
        amun__rng_shuffle(&rng, b->order[side], b->count[side]);
        for (size_t i = 0; i < b->rows; i++) {
            const size_t at =
                i < fitted ? side * fitted + i : 2 * fitted + side * b->tested + (i - fitted);
            b->x[at] = b->loss[side][b->order[side][i]];
            b->y[at] = (uint8_t)side;
        }
    }
    AMUN__CHECK(amun__linear_fit(b->ctx, AMUN__LOGISTIC, w, b->x, b->y, 2 * fitted, 1,
                                 b->opts->ridge, (const double[2]){1.0, 1.0}));
    for (size_t i = 2 * fitted; i < 2 * b->rows; i++) {
        right += (amun__linear_value(w, b->x + i, 1) > 0.0) == (b->y[i] == 1);
    }
    *accuracy = 100.0 * (double)right / (double)(2 * b->tested);
    return AMUN_OK;
}

/* ---- all splits ----------------------------------------------------------------------------- */

static amun_status auc_of(const bench *b, double *auc)
{
    double *low = NULL;
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__alloc(b->ctx, &low, b->count[0] + b->count[1], sizeof *low));
    for (size_t i = 0; i < b->count[1]; i++) {
        low[i] = -b->loss[1][i];
    }
    for (size_t i = 0; i < b->count[0]; i++) {
        low[b->count[1] + i] = -b->loss[0][i];
    }
    AMUN__TRY(amun__auc_compute(b->ctx, auc, low, b->count[1], low + b->count[1], b->count[0]));
    *auc *= 100.0;
fail:
    amun__free(b->ctx, low);
    return status;
}

static amun_status run_all(bench *b, amun_lossmia *told)
{
    const size_t splits = (size_t)b->opts->splits;
    double *values = NULL;
    amun_status status = AMUN_OK;
    AMUN__TRY(bench_begin(b));
    AMUN__TRY(amun__alloc(b->ctx, &values, splits, sizeof *values));
    for (size_t s = 0; s < splits; s++) {
        AMUN__TRY(run_split(b, (uint32_t)s, &values[s]));
    }
    told->rows = (int64_t)b->rows;
    amun__mean_sd(values, splits, &told->accuracy, &told->sd);
    AMUN__TRY(auc_of(b, &told->auc));
fail:
    amun__free(b->ctx, values);
    bench_free(b);
    return status;
}

static amun_status check_losses(const double *loss, size_t n, const char *what)
{
    if (loss == NULL || n < 2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: %s, %zu of them, expected 2 at least",
                          what, loss == NULL ? "NULL" : "losses", n);
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(loss[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: loss %zu is %g", what, i, loss[i]);
        }
    }
    return AMUN_OK;
}

amun_status amun_lossmia_compute(amun_lossmia *result, const double *forget, size_t n_forget,
                                 const double *unseen, size_t n_unseen,
                                 const amun_lossmia_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    amun_lossmia_options o;
    amun_lossmia told = {0};
    AMUN__TRY(amun__options_read(&options_table, &o, opts));
    AMUN__TRY(check_losses(forget, n_forget, "forget"));
    AMUN__TRY(check_losses(unseen, n_unseen, "unseen"));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    bench b = {.ctx = ctx, .opts = &o, .loss = {unseen, forget}, .count = {n_unseen, n_forget}};
    AMUN__TRY(run_all(&b, &told));
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_lossmia"));
fail:
    amun_context_unref(ctx);
    return status;
}

/* ---- from logits ---------------------------------------------------------------------------- */

/* Cross-entropies; *loss is freed by the caller. */
static amun_status read_losses(amun_context *ctx, double **loss, size_t *n,
                               const amun_tensor_view *logits, const amun_tensor_view *labels,
                               const char *what)
{
    amun_status status = AMUN_OK;
    amun__outputs o = {0};
    int64_t *label = NULL;
    AMUN__TRY(amun__outputs_read(ctx, &o, logits, what, 2));
    status = amun__labels_read(ctx, &label, labels, "labels", o.n, o.classes);
    if (status != AMUN_OK) {
        status = amun__fail_within(status, "%s", what);
        goto fail;
    }
    *n = o.n;
    AMUN__TRY(amun__alloc(ctx, loss, o.n, sizeof **loss));
    for (size_t i = 0; i < o.n; i++) {
        const double odds =
            amun__log_odds(amun__outputs_row(&o, 0, i), o.classes, (size_t)label[i]);
        /* -log p = log(1 + exp(-odds)), with nothing lost where p is near 1 */
        (*loss)[i] = log1p(exp(-fabs(odds))) + fmax(0.0, -odds);
    }
fail:
    amun__free(ctx, label);
    amun__free(ctx, o.z);
    return status;
}

amun_status amun_lossmia_logits(amun_lossmia *result, const amun_tensor_view *forget,
                                const amun_tensor_view *forget_labels,
                                const amun_tensor_view *unseen,
                                const amun_tensor_view *unseen_labels,
                                const amun_lossmia_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    double *loss[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(read_losses(ctx, &loss[0], &n[0], forget, forget_labels, "forget"));
    AMUN__TRY(read_losses(ctx, &loss[1], &n[1], unseen, unseen_labels, "unseen"));
    AMUN__TRY(amun_lossmia_compute(result, loss[0], n[0], loss[1], n[1], opts));
fail:
    if (ctx != NULL) {
        amun__free(ctx, loss[1]);
        amun__free(ctx, loss[0]);
    }
    amun_context_unref(ctx);
    return status;
}
