/* ulira_samples.c - sample-level U-LiRA, and the score phi itself. */
#include "mia/audit.h"
#include "mia/ulira.h"

amun_status amun_ulira_phi(double *phi, const amun_tensor_view *logits,
                           const amun_tensor_view *labels)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    amun__outputs o = {0};
    int64_t *label = NULL;
    if (phi == NULL) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "phi is NULL");
    }
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__outputs_read(ctx, &o, logits, "logits", 2));
    AMUN__TRY(amun__labels_read(ctx, &label, labels, "labels", o.n, o.classes));
    for (size_t i = 0; i < o.n; i++) {
        phi[i] = amun__log_odds(amun__outputs_row(&o, 0, i), o.classes, (size_t)label[i]);
    }
fail:
    amun__free(ctx, label);
    amun__free(ctx, o.z);
    amun_context_unref(ctx);
    return status;
}

/* ---- Gaussians of each sample -------------------------------------------------------------------
 */

typedef struct bench {
    amun_context *ctx;
    const amun_ulira_options *opts;
    const double *scores;
    const uint8_t *state;
    size_t models, n;
    double *column;    /* [models] */
    double *centre[2]; /* [n]: unseen, unlearned */
    double *sd[2];     /* [n] */
    double *ratio;     /* [n] */
    double *groups[2]; /* [n]: ratios by truth */
} bench;

static void bench_free(bench *b)
{
    for (int side = 0; side < 2; side++) {
        amun__free(b->ctx, b->groups[side]);
        amun__free(b->ctx, b->sd[side]);
        amun__free(b->ctx, b->centre[side]);
    }
    amun__free(b->ctx, b->ratio);
    amun__free(b->ctx, b->column);
}

static amun_status bench_begin(bench *b)
{
    AMUN__CHECK(amun__alloc(b->ctx, &b->column, b->models, sizeof *b->column));
    AMUN__CHECK(amun__alloc(b->ctx, &b->ratio, b->n, sizeof *b->ratio));
    for (int side = 0; side < 2; side++) {
        AMUN__CHECK(amun__alloc(b->ctx, &b->groups[side], b->n, sizeof(double)));
        AMUN__CHECK(amun__alloc(b->ctx, &b->sd[side], b->n, sizeof(double)));
        AMUN__CHECK(amun__alloc(b->ctx, &b->centre[side], b->n, sizeof(double)));
    }
    return AMUN_OK;
}

/* What the deviations of a side are made of. */
typedef struct sums {
    double squares, freedom; /* about each sample's mean */
    double total, total_squares, count;
} sums;

static amun_status fit_sample(bench *b, int side, size_t i, sums *s)
{
    size_t count = 0;
    const size_t least = b->opts->variance == AMUN_ULIRA_PER_SAMPLE ? 2 : 1;
    for (size_t m = 0; m < b->models; m++) {
        if (b->state[m * b->n + i] == side) {
            b->column[count++] = b->scores[m * b->n + i];
        }
    }
    if (count < least) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "state: sample %zu is %s in %zu models, at least %zu are needed", i,
                          side == AMUN_ULIRA_UNLEARNED ? "unlearned" : "unseen", count, least);
    }
    for (size_t t = 0; t < count; t++) {
        s->total += b->column[t];
    }
    s->count += (double)count;
    const double squares = amun__ulira_squares(b->column, count);
    s->squares += squares;
    s->freedom += (double)(count - 1);
    b->sd[side][i] = count > 1 ? sqrt(squares / (double)(count - 1)) : 0.0;
    b->centre[side][i] = amun__ulira_centre(b->column, count, b->opts);
    return AMUN_OK;
}

static amun_status common_deviation(const bench *b, int side, sums *s, double *sd)
{
    if (b->opts->variance == AMUN_ULIRA_POOLED) {
        if (!(s->freedom > 0.0)) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "state: every sample has one model only, which has no spread");
        }
        *sd = sqrt(s->squares / s->freedom);
        return AMUN_OK;
    }
    const double mean = s->total / s->count;
    for (size_t k = 0; k < b->models * b->n; k++) {
        const double d = b->scores[k] - mean;
        s->total_squares += b->state[k] == side ? d * d : 0.0;
    }
    *sd = sqrt(s->total_squares / s->count);
    return AMUN_OK;
}

static amun_status fit(bench *b)
{
    double common = 0.0;
    for (int side = 1; side >= 0; side--) { /* the unlearned side gives the global deviation */
        sums s = {0.0, 0.0, 0.0, 0.0, 0.0};
        for (size_t i = 0; i < b->n; i++) {
            AMUN__CHECK(fit_sample(b, side, i, &s));
        }
        if (b->opts->variance == AMUN_ULIRA_POOLED || side == AMUN_ULIRA_UNLEARNED) {
            AMUN__CHECK(common_deviation(b, side, &s, &common));
        }
        for (size_t i = 0; i < b->n; i++) {
            const bool own = b->opts->variance == AMUN_ULIRA_PER_SAMPLE;
            b->sd[side][i] = fmax(own ? b->sd[side][i] : common, b->opts->floor);
        }
    }
    return AMUN_OK;
}

/* ---- the attack ---------------------------------------------------------------------------------
 */

static amun_status attack(bench *b, amun_ulira_samples *told, double *p, const double *target,
                          const uint8_t *truth)
{
    size_t count[2] = {0, 0}, right = 0;
    AMUN__CHECK(bench_begin(b));
    AMUN__CHECK(fit(b));
    for (size_t i = 0; i < b->n; i++) {
        const double r = amun__ulira_density(target[i], b->centre[1][i], b->sd[1][i]) -
                         amun__ulira_density(target[i], b->centre[0][i], b->sd[0][i]);
        b->ratio[i] = r;
        b->groups[truth[i]][count[truth[i]]++] = r; /* ratios: p is 0 or 1 long before they tie */
        right += (r > 0.0) == (truth[i] != 0);
    }
    told->unlearned = (int64_t)count[1];
    told->unseen = (int64_t)count[0];
    told->accuracy = 100.0 * (double)right / (double)b->n;
    const double *u = b->groups[1], *o = b->groups[0];
    AMUN__CHECK(amun__auc_compute(b->ctx, &told->auc, u, count[1], o, count[0]));
    AMUN__CHECK(amun__tpr_at_fpr(b->ctx, &told->tpr_1, u, count[1], o, count[0], 0.01));
    AMUN__CHECK(amun__tpr_at_fpr(b->ctx, &told->tpr_01, u, count[1], o, count[0], 0.001));
    told->auc *= 100.0;
    told->tpr_1 *= 100.0;
    told->tpr_01 *= 100.0;
    for (size_t i = 0; i < b->n && p != NULL; i++) {
        p[i] = 1.0 / (1.0 + exp(-b->ratio[i]));
    }
    return AMUN_OK;
}

static amun_status check_bytes(const uint8_t *values, size_t n, uint8_t most, const char *what)
{
    if (values == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    for (size_t i = 0; i < n; i++) {
        if (values[i] > most) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: value %zu is %d, outside 0..%d",
                              what, i, (int)values[i], (int)most);
        }
    }
    return AMUN_OK;
}

static amun_status check_truth(const uint8_t *truth, size_t n)
{
    size_t ones = 0;
    AMUN__CHECK(check_bytes(truth, n, 1, "truth"));
    for (size_t i = 0; i < n; i++) {
        ones += truth[i];
    }
    if (ones == 0 || ones == n) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "truth: %zu of %zu are 1, both are needed",
                          ones, n);
    }
    return AMUN_OK;
}

amun_status amun_ulira_sample_scores(amun_ulira_samples *result, double *p, const double *scores,
                                     const uint8_t *state, size_t models, const double *target,
                                     const uint8_t *truth, size_t n, const amun_ulira_options *opts)
{
    amun__enter();
    amun_ulira_options o;
    size_t total;
    AMUN__CHECK(amun__ulira_options_read(&o, opts));
    if (o.score != AMUN_ULIRA_OWN) {
        return amun__fail(
            AMUN_ERROR_INVALID_ARGUMENT,
            "amun_ulira_options.score: %d, scores that are given are taken as they are",
            (int)o.score);
    }
    if (models == 0 || n == 0 || !amun__mul_size(&total, models, n)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%zu models and %zu samples: both must be positive", models, n);
    }
    AMUN__CHECK(amun__ulira_check(scores, total, "scores"));
    AMUN__CHECK(check_bytes(state, total, AMUN_ULIRA_MEMBER, "state"));
    AMUN__CHECK(amun__ulira_check(target, n, "target"));
    AMUN__CHECK(check_truth(truth, n));
    amun_ulira_samples told = {0};
    bench b = {.opts = &o, .scores = scores, .state = state, .models = models, .n = n};
    AMUN__CHECK(amun_context_create(&b.ctx, NULL));
    amun_status status = attack(&b, &told, p, target, truth);
    bench_free(&b);
    amun_context_unref(b.ctx);
    AMUN__CHECK(status);
    return amun__result_write(result, &told, sizeof told, "amun_ulira_samples");
}
