/* quality.c - forgetting quality: how well any rule on one score tells unlearned models from
 * retrained ones, sample by sample. */
#include "amun/probe.h"
#include "core/sort.h"
#include "mia/classes.h"

static const amun_quality_options default_options = {
    .struct_size = sizeof(amun_quality_options),
    .delta = 1e-5,
    .cap = 50.0,
    .bin = 0.5,
    .intervals = 1,
    .reserved = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_quality_options, delta, AMUN__FIELD_F64, 0, 0.5),
    AMUN__FIELD(amun_quality_options, cap, AMUN__FIELD_F64, 1e-6, 1e6),
    AMUN__FIELD(amun_quality_options, bin, AMUN__FIELD_F64, 1e-6, 1e6),
    AMUN__FIELD(amun_quality_options, intervals, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_quality_options, reserved, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table options_table = {
    .name = "amun_quality_options",
    .size = sizeof(amun_quality_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_quality_options_init(amun_quality_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

/* ---- one sample ----------------------------------------------------------------------------- */

enum { UNLEARNED, RETRAINED };

/* A value that scores have, and how many of both sides lie below it. */
typedef struct place {
    double value;
    size_t below[2];
} place;

typedef struct bench {
    const amun_quality_options *opts;
    const double *scores[2]; /* [models][n] */
    size_t models[2], n;
    double *sorted[2];    /* [models], of one sample, ascending */
    place *places;        /* [models of both + 1]: different values ascending, then the end */
    size_t count;         /* of them, without the end */
    double *log_share[2]; /* [models + 1]: log(k / models) */
    double *log_rest[2];  /* log(1 - delta - k / models); -infinity where that is not positive */
} bench;

static void list_places(bench *b, size_t sample)
{
    size_t at[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        for (size_t m = 0; m < b->models[side]; m++) {
            b->sorted[side][m] = b->scores[side][m * b->n + sample];
        }
        amun__sort_f64(b->sorted[side], b->models[side]);
    }
    b->count = 0;
    while (at[0] < b->models[0] || at[1] < b->models[1]) {
        double next = INFINITY;
        for (int side = 0; side < 2; side++) {
            next = at[side] < b->models[side] ? fmin(next, b->sorted[side][at[side]]) : next;
        }
        b->places[b->count++] = (place){next, {at[0], at[1]}};
        for (int side = 0; side < 2; side++) {
            while (at[side] < b->models[side] && b->sorted[side][at[side]] <= next) {
                at[side]++;
            }
        }
    }
    b->places[b->count] = (place){INFINITY, {at[0], at[1]}};
}

/* A rule that calls `inside` models of each side `positive`. -infinity: it says nothing. One rate
 * of 0 says that there are too few models. */
static double epsilon_of(const bench *b, int positive, const size_t inside[2])
{
    const int negative = 1 - positive;
    const size_t wrong = inside[negative], missed = b->models[positive] - inside[positive];
    if (wrong == 0 && missed == 0) {
        return INFINITY;
    }
    if (wrong == 0 || missed == 0) {
        return -INFINITY;
    }
    return fmax(b->log_rest[negative][wrong] - b->log_share[positive][missed],
                b->log_rest[positive][missed] - b->log_share[negative][wrong]);
}

/* All rules "value i <= score < value j". */
static double best_interval(const bench *b, int positive)
{
    double best = -INFINITY;
    for (size_t i = 0; i < b->count && best < INFINITY; i++) {
        for (size_t j = i + 1; j <= b->count; j++) {
            const size_t inside[2] = {b->places[j].below[0] - b->places[i].below[0],
                                      b->places[j].below[1] - b->places[i].below[1]};
            best = fmax(best, epsilon_of(b, positive, inside));
        }
    }
    return best;
}

static double best_threshold(const bench *b, int positive)
{
    double best = -INFINITY;
    for (size_t i = 0; i < b->count; i++) {
        const size_t inside[2] = {b->models[0] - b->places[i].below[0],
                                  b->models[1] - b->places[i].below[1]};
        best = fmax(best, epsilon_of(b, positive, inside));
    }
    return best;
}

static double sample_epsilon(bench *b, size_t sample)
{
    double range[2];
    list_places(b, sample);
    for (int side = 0; side < 2; side++) {
        range[side] = b->sorted[side][b->models[side] - 1] - b->sorted[side][0];
    }
    const double wide = fmax(range[0], range[1]), narrow = fmin(range[0], range[1]);
    if (wide > 0.0 && narrow / wide < 0.01) {
        return b->opts->cap; /* a peak against a spread, which few models may hide */
    }
    const int higher = amun__median_f64(b->sorted[RETRAINED], b->models[RETRAINED]) >
                               amun__median_f64(b->sorted[UNLEARNED], b->models[UNLEARNED])
                           ? RETRAINED
                           : UNLEARNED;
    double best = best_threshold(b, higher);
    if (b->opts->intervals != 0) {
        const int peakier = range[higher] >= range[1 - higher] ? 1 - higher : higher;
        best = fmax(best, best_interval(b, peakier));
    }
    return fmin(fmax(best, 0.0), b->opts->cap);
}

/* ---- all samples ---------------------------------------------------------------------------- */

static amun_status bench_begin(bench *b, amun_context *ctx)
{
    AMUN__CHECK(amun__alloc(ctx, &b->places, b->models[0] + b->models[1] + 1, sizeof *b->places));
    for (int side = 0; side < 2; side++) {
        const size_t m = b->models[side];
        AMUN__CHECK(amun__alloc(ctx, &b->sorted[side], m, sizeof(double)));
        AMUN__CHECK(amun__alloc(ctx, &b->log_share[side], m + 1, sizeof(double)));
        AMUN__CHECK(amun__alloc(ctx, &b->log_rest[side], m + 1, sizeof(double)));
        for (size_t k = 0; k <= m; k++) {
            const double share = (double)k / (double)m, rest = 1.0 - b->opts->delta - share;
            b->log_share[side][k] = log(share);
            b->log_rest[side][k] = rest > 0.0 ? log(rest) : -INFINITY;
        }
    }
    return AMUN_OK;
}

static void bench_free(bench *b, amun_context *ctx)
{
    for (int side = 0; side < 2; side++) {
        amun__free(ctx, b->log_rest[side]);
        amun__free(ctx, b->log_share[side]);
        amun__free(ctx, b->sorted[side]);
    }
    amun__free(ctx, b->places);
}

static amun_status check_scores(const double *values, size_t models, size_t n, const char *what)
{
    size_t total;
    if (values == NULL || models < 2 || n == 0 || !amun__mul_size(&total, models, n)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s: %s, %zu models, %zu samples; expected 2 and 1 at least", what,
                          values == NULL ? "NULL" : "scores", models, n);
    }
    for (size_t k = 0; k < total; k++) {
        if (!isfinite(values[k])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: model %zu, sample %zu is %g", what, k / n,
                              k % n, values[k]);
        }
    }
    return AMUN_OK;
}

static amun_status run(bench *b, amun_context *ctx, amun_quality *told, double *values)
{
    double points = 0.0;
    AMUN__CHECK(bench_begin(b, ctx));
    for (size_t i = 0; i < b->n; i++) {
        values[i] = sample_epsilon(b, i);
        points += exp2(-floor(values[i] / b->opts->bin));
        told->capped += values[i] >= b->opts->cap;
    }
    told->unlearned = (int64_t)b->models[UNLEARNED];
    told->retrained = (int64_t)b->models[RETRAINED];
    told->rows = (int64_t)b->n;
    told->score = points / (double)b->n;
    amun__mean_sd(values, b->n, &told->epsilon_mean, NULL);
    return AMUN_OK;
}

amun_status amun_quality_compute(amun_quality *result, double *epsilon, const double *unlearned,
                                 size_t n_unlearned, const double *retrained, size_t n_retrained,
                                 size_t n, const amun_quality_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    double *values = NULL;
    amun_quality_options o;
    amun_quality told = {0};
    bench b = {
        .opts = &o, .scores = {unlearned, retrained}, .models = {n_unlearned, n_retrained}, .n = n};
    AMUN__TRY(amun__options_read(&options_table, &o, opts));
    AMUN__TRY(check_scores(unlearned, n_unlearned, n, "unlearned"));
    AMUN__TRY(check_scores(retrained, n_retrained, n, "retrained"));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__alloc(ctx, &values, n, sizeof *values));
    AMUN__TRY(run(&b, ctx, &told, values));
    if (epsilon != NULL) {
        memcpy(epsilon, values, n * sizeof *epsilon);
    }
    amun__sort_f64(values, n);
    told.epsilon_median = amun__median_f64(values, n);
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_quality"));
fail:
    if (ctx != NULL) {
        bench_free(&b, ctx);
        amun__free(ctx, values);
    }
    amun_context_unref(ctx);
    return status;
}
