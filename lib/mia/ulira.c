/* ulira.c - class-level U-LiRA: shadows unlearned by the method under test against retrained
 * models. */
#include "mia/audit.h"
#include "mia/ulira.h"

/* ---- one evaluation -----------------------------------------------------------------------------
 */

typedef struct figures {
    double auc, balanced, flagged;
} figures;

typedef struct bench {
    amun_context *ctx;
    const amun_ulira_options *opts;
    amun__ulira_fit fit;
    double *ratio[3]; /* of the held-out retrained, the held-out unlearned, the released model */
    size_t *models[2];
    size_t n, dims;
} bench;

static const double *scores_of(const bench *b, const amun__side *side, size_t place)
{
    return side->scores + side->models[place] * b->n * b->dims;
}

/* Fit without the held-out pair, threshold on the pair, share of `released` (nullable) above it. */
static amun_status run_fold(bench *b, const amun__side sides[2], const size_t held[2],
                            const double *released, figures *out)
{
    double threshold, tpr, fpr;
    const size_t n = b->n;
    AMUN__CHECK(amun__ulira_fit_run(&b->fit, sides, held, b->opts));
    for (int side = 0; side < 2; side++) {
        amun__ulira_ratios(&b->fit, scores_of(b, &sides[side], held[side]), b->ratio[side]);
    }
    AMUN__CHECK(amun__auc_compute(b->ctx, &out->auc, b->ratio[1], n, b->ratio[0], n));
    AMUN__CHECK(amun__equal_error(b->ctx, &threshold, &tpr, &fpr, b->ratio[1], n, b->ratio[0], n));
    out->balanced = 0.5 * (tpr + 1.0 - fpr);
    out->flagged = NAN;
    if (released != NULL) {
        size_t above = 0;
        amun__ulira_ratios(&b->fit, released, b->ratio[2]);
        for (size_t i = 0; i < n; i++) {
            above += b->ratio[2][i] >= threshold;
        }
        out->flagged = (double)above / (double)n;
    }
    return AMUN_OK;
}

/* Averages over the folds, in percent. */
static amun_status evaluate(bench *b, const amun__side sides[2], const double *released,
                            figures *out)
{
    const bool last = b->opts->holdout == AMUN_ULIRA_LAST;
    const size_t most = sides[0].count > sides[1].count ? sides[0].count : sides[1].count;
    const size_t folds = last ? 1 : most;
    *out = (figures){0.0, 0.0, 0.0};
    for (size_t t = 0; t < folds; t++) {
        figures one;
        size_t held[2];
        for (int side = 0; side < 2; side++) {
            held[side] = last ? sides[side].count - 1 : t % sides[side].count;
        }
        AMUN__CHECK(run_fold(b, sides, held, released, &one));
        out->auc += 100.0 * one.auc / (double)folds;
        out->balanced += 100.0 * one.balanced / (double)folds;
        out->flagged += 100.0 * one.flagged / (double)folds;
    }
    return AMUN_OK;
}

/* ---- the whole
 * -----------------------------------------------------------------------------------
 */

/* Each retrained model in the place of the released one, the others as its side. */
static amun_status null_shares(bench *b, amun__side sides[2], double *shares)
{
    const size_t count = sides[0].count;
    for (size_t s = 0; s < count; s++) {
        figures told;
        sides[0].count = 0;
        for (size_t m = 0; m < count; m++) {
            if (m != s) {
                sides[0].models[sides[0].count++] = m;
            }
        }
        AMUN__CHECK(evaluate(b, sides, sides[0].scores + s * b->n * b->dims, &told));
        shares[s] = told.flagged;
    }
    return AMUN_OK;
}

static amun_status fill(bench *b, amun_ulira *told, amun__side sides[2], const double *released,
                        double *shares)
{
    figures main;
    const size_t n_retrained = sides[0].count;
    AMUN__CHECK(evaluate(b, sides, released, &main));
    told->auc = main.auc;
    told->balanced_accuracy = main.balanced;
    told->flagged = main.flagged;
    told->flagged_retrained = told->null_mean = told->null_sd = NAN;
    if (n_retrained >= 4) {
        AMUN__CHECK(null_shares(b, sides, shares));
        amun__mean_sd(shares, n_retrained, &told->flagged_retrained, NULL);
        amun__leave_one_out(shares, n_retrained, &told->null_mean, &told->null_sd);
    }
    told->gap = fabs(told->flagged - told->flagged_retrained);
    return AMUN_OK;
}

/* Scores [models][n][dims] of both sides, released [n][dims] or NULL. */
static amun_status class_level(amun_context *ctx, amun_ulira *told, const double *scores[2],
                               const size_t count[2], const double *released, size_t n, size_t dims,
                               const amun_ulira_options *opts)
{
    amun_status status = AMUN_OK;
    bench b = {.ctx = ctx, .opts = opts, .n = n, .dims = dims};
    amun__side sides[2];
    double *shares = NULL;
    const size_t most = count[0] > count[1] ? count[0] : count[1];
    AMUN__TRY(amun__ulira_fit_room(ctx, &b.fit, n, dims, most));
    AMUN__TRY(amun__alloc(ctx, &shares, count[0], sizeof *shares));
    for (int k = 0; k < 3; k++) {
        AMUN__TRY(amun__alloc(ctx, &b.ratio[k], n, sizeof *b.ratio[k]));
    }
    for (int side = 0; side < 2; side++) {
        AMUN__TRY(amun__alloc(ctx, &b.models[side], count[side], sizeof *b.models[side]));
        for (size_t m = 0; m < count[side]; m++) {
            b.models[side][m] = m;
        }
        sides[side] = (amun__side){scores[side], b.models[side], count[side]};
    }
    AMUN__TRY(fill(&b, told, sides, released, shares));
    told->retrained = (int64_t)count[0];
    told->unlearned = (int64_t)count[1];
    told->rows = (int64_t)n;
fail:
    for (int side = 0; side < 2; side++) {
        amun__free(ctx, b.models[side]);
    }
    for (int k = 0; k < 3; k++) {
        amun__free(ctx, b.ratio[k]);
    }
    amun__free(ctx, shares);
    amun__ulira_fit_free(ctx, &b.fit);
    return status;
}

static amun_status check_counts(size_t n_unlearned, size_t n_retrained)
{
    if (n_unlearned < 3 || n_retrained < 3) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s: %zu models, at least 3 are needed (one is held out)",
                          n_unlearned < 3 ? "unlearned" : "retrained",
                          n_unlearned < 3 ? n_unlearned : n_retrained);
    }
    return AMUN_OK;
}

amun_status amun_ulira_class_scores(amun_ulira *result, const double *unlearned, size_t n_unlearned,
                                    const double *retrained, size_t n_retrained,
                                    const double *released, size_t n,
                                    const amun_ulira_options *opts)
{
    amun__enter();
    amun_ulira_options o;
    size_t total[2];
    AMUN__CHECK(amun__ulira_options_read(&o, opts));
    if (o.score != AMUN_ULIRA_OWN) {
        return amun__fail(
            AMUN_ERROR_INVALID_ARGUMENT,
            "amun_ulira_options.score: %d, scores that are given are taken as they are",
            (int)o.score);
    }
    AMUN__CHECK(check_counts(n_unlearned, n_retrained));
    if (n == 0 || !amun__mul_size(&total[0], n_retrained, n) ||
        !amun__mul_size(&total[1], n_unlearned, n)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "n: %zu samples", n);
    }
    AMUN__CHECK(amun__ulira_check(unlearned, total[1], "unlearned"));
    AMUN__CHECK(amun__ulira_check(retrained, total[0], "retrained"));
    if (released != NULL) {
        AMUN__CHECK(amun__ulira_check(released, n, "released"));
    }
    amun_ulira told = {0};
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    amun_status status =
        class_level(ctx, &told, (const double *[2]){retrained, unlearned},
                    (const size_t[2]){n_retrained, n_unlearned}, released, n, 1, &o);
    amun_context_unref(ctx);
    AMUN__CHECK(status);
    return amun__result_write(result, &told, sizeof told, "amun_ulira");
}

/* ---- from logits --------------------------------------------------------------------------------
 */

/* phi of the forget rows, [models][rows][dims]; *out is freed by the caller. */
static amun_status scores_from(amun_context *ctx, double **out, const amun__outputs *o,
                               const amun__class_split *s, const amun_ulira_options *opts)
{
    const size_t dims = opts->score == AMUN_ULIRA_JOINT ? 2 : 1;
    size_t count;
    if (!amun__mul_size(&count, o->models, s->n_forget_rows) ||
        !amun__mul_size(&count, count, dims)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu models are too many", o->models);
    }
    AMUN__CHECK(amun__alloc(ctx, out, count, sizeof **out));
    double *at = *out;
    for (size_t m = 0; m < o->models; m++) {
        for (size_t i = 0; i < s->n_forget_rows; i++) {
            const size_t row = (size_t)s->forget_rows[i];
            const double *z = amun__outputs_row(o, m, row);
            if (opts->score != AMUN_ULIRA_OWN) {
                *at++ = amun__log_odds(z, s->classes, (size_t)opts->neighbour);
            }
            if (opts->score != AMUN_ULIRA_NEIGHBOUR) {
                *at++ = amun__log_odds(z, s->classes, (size_t)s->label[row]);
            }
        }
    }
    return amun__ulira_check(*out, count, "phi");
}

static amun_status check_neighbour(const amun_ulira_options *o, const amun__class_split *s)
{
    if (o->score == AMUN_ULIRA_OWN) {
        return AMUN_OK;
    }
    if (o->neighbour < 0 || (uint64_t)o->neighbour >= s->classes || s->forget[o->neighbour]) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_ulira_options.neighbour: %lld is not a retained class",
                          (long long)o->neighbour);
    }
    return AMUN_OK;
}

/* Outputs 0: retrained, 1: unlearned, 2: released, without rows if there is none. */
static amun_status from_outputs(amun_context *ctx, amun_ulira *told, const amun__outputs o[3],
                                const amun__class_split *split, const amun_ulira_options *opts)
{
    amun_status status = AMUN_OK;
    double *scores[3] = {NULL, NULL, NULL};
    AMUN__TRY(check_neighbour(opts, split));
    for (int k = 0; k < 3; k++) {
        if (o[k].z != NULL) {
            AMUN__TRY(scores_from(ctx, &scores[k], &o[k], split, opts));
        }
    }
    AMUN__TRY(class_level(ctx, told, (const double *[2]){scores[0], scores[1]},
                          (const size_t[2]){o[0].models, o[1].models}, scores[2],
                          split->n_forget_rows, opts->score == AMUN_ULIRA_JOINT ? 2 : 1, opts));
fail:
    for (int k = 0; k < 3; k++) {
        amun__free(ctx, scores[k]);
    }
    return status;
}

amun_status amun_ulira_class(amun_ulira *result, const amun_tensor_view *unlearned,
                             const amun_tensor_view *retrained, const amun_tensor_view *released,
                             const amun_tensor_view *labels, const int64_t *forget, size_t n_forget,
                             const amun_ulira_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    amun__outputs o[3] = {{0}};
    amun__class_split split = {0};
    amun_ulira_options full;
    amun_ulira told = {0};
    AMUN__TRY(amun__ulira_options_read(&full, opts));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__outputs_read(ctx, &o[0], retrained, "retrained", 3));
    AMUN__TRY(amun__outputs_read(ctx, &o[1], unlearned, "unlearned", 3));
    AMUN__TRY(amun__outputs_match(&o[0], "retrained", &o[1], "unlearned"));
    if (released != NULL) {
        AMUN__TRY(amun__outputs_read(ctx, &o[2], released, "released", 2));
        AMUN__TRY(amun__outputs_match(&o[0], "retrained", &o[2], "released"));
    }
    AMUN__TRY(check_counts(o[1].models, o[0].models));
    AMUN__TRY(amun__class_split_read(ctx, &split, labels, forget, n_forget, o[0].n, o[0].classes));
    AMUN__TRY(from_outputs(ctx, &told, o, &split, &full));
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_ulira"));
fail:
    amun__class_split_free(ctx, &split);
    for (int k = 0; k < 3; k++) {
        amun__free(ctx, o[k].z);
    }
    amun_context_unref(ctx);
    return status;
}
