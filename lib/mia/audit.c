/* audit.c - one model under audit: accuracies, RMIA and SVC-MIA for a forget set. */
#include "data/data.h"
#include "mia/audit.h"
#include "train/train.h"

typedef enum group { FORGET, REMAIN, TEST, GROUPS } group;

/* What one audit works with. Groups list positions in the pool. */
typedef struct work {
    amun_mia *mia;
    amun_context *ctx;
    int64_t *members[GROUPS];
    size_t counts[GROUPS];
    float *logits; /* [pool][classes] */
    amun_tensor_view view, labels;
    double *signals, *scores, *confidence; /* [pool] */
    double *drawn[GROUPS];                 /* room for the largest group each */
    int64_t *order;                        /* the same, for draws */
} work;

static void work_clear(work *w)
{
    for (int g = 0; g < GROUPS; g++) {
        amun__free(w->ctx, w->members[g]);
        amun__free(w->ctx, w->drawn[g]);
    }
    amun__free(w->ctx, w->logits);
    amun__free(w->ctx, w->signals);
    amun__free(w->ctx, w->scores);
    amun__free(w->ctx, w->confidence);
    amun__free(w->ctx, w->order);
}

static amun_status make_groups(work *w, const int64_t *forget, size_t count)
{
    const amun_mia *mia = w->mia;
    AMUN__CHECK(amun__indices_check(w->ctx, forget, count, mia->n_train, false, "forget set"));
    if (count == mia->n_train) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "forget set: all %zu training images, nothing remains to compare with",
                          count);
    }
    w->counts[FORGET] = count;
    w->counts[REMAIN] = mia->n_train - count;
    w->counts[TEST] = mia->n_test;
    AMUN__CHECK(amun__alloc(w->ctx, &w->members[FORGET], count, sizeof(int64_t)));
    memcpy(w->members[FORGET], forget, count * sizeof(int64_t));
    AMUN__CHECK(amun__indices_complement(w->ctx, &w->members[REMAIN], forget, count, mia->n_train));
    AMUN__CHECK(amun__alloc(w->ctx, &w->members[TEST], mia->n_test, sizeof(int64_t)));
    for (size_t i = 0; i < mia->n_test; i++) {
        w->members[TEST][i] = (int64_t)(mia->n_train + i);
    }
    for (int g = 0; g < GROUPS; g++) {
        AMUN__CHECK(amun__alloc(w->ctx, &w->drawn[g], w->counts[g], sizeof(double)));
    }
    return amun__alloc(w->ctx, &w->order, mia->n_pool, sizeof(int64_t));
}

static double accuracy(const work *w, group g)
{
    size_t classes = (size_t)w->view.shape[1], right = 0;
    for (size_t i = 0; i < w->counts[g]; i++) {
        size_t at = (size_t)w->members[g][i];
        right += amun__loss_argmax(w->logits + at * classes, classes) == w->mia->labels[at];
    }
    return 100.0 * (double)right / (double)w->counts[g];
}

/* `n` values of the group without replacement into w->drawn[g]: all of them in order if the group
 * has no more. Keyed by (seed, draw, group). */
static void draw(work *w, group g, const double *values, size_t n, uint32_t number)
{
    size_t count = w->counts[g];
    for (size_t i = 0; i < count; i++) {
        w->order[i] = w->members[g][i];
    }
    if (n < count) {
        amun__rng rng;
        amun__rng_open(&rng, w->mia->options.seed, AMUN__RNG_SUBSAMPLE, number, (uint64_t)g);
        amun__rng_shuffle(&rng, w->order, count);
    }
    for (size_t i = 0; i < n; i++) {
        w->drawn[g][i] = values[w->order[i]];
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* AUCs and true-positive rates in percent, averaged over equal-sized draws, as published. */
static amun_status rate_scores(work *w, amun_audit *audit)
{
    size_t n = smaller(smaller(w->counts[FORGET], w->counts[REMAIN]), w->counts[TEST]);
    double **d = w->drawn;
    int32_t draws = w->mia->options.subsamples;
    double sums[5] = {0}, ft_squares = 0.0, ft_first = 0.0;
    for (int32_t s = 0; s < draws; s++) {
        double v[5];
        for (int g = 0; g < GROUPS; g++) {
            draw(w, (group)g, w->scores, n, (uint32_t)s);
        }
        AMUN__CHECK(amun__auc_compute(w->ctx, &v[0], d[FORGET], n, d[TEST], n));
        AMUN__CHECK(amun__auc_compute(w->ctx, &v[1], d[REMAIN], n, d[FORGET], n));
        AMUN__CHECK(amun__auc_compute(w->ctx, &v[2], d[REMAIN], n, d[TEST], n));
        AMUN__CHECK(amun__tpr_at_fpr(w->ctx, &v[3], d[FORGET], n, d[TEST], n, 0.01));
        AMUN__CHECK(amun__tpr_at_fpr(w->ctx, &v[4], d[FORGET], n, d[TEST], n, 0.001));
        for (int k = 0; k < 5; k++) {
            sums[k] += 100.0 * v[k];
        }
        ft_first = s == 0 ? 100.0 * v[0] : ft_first; /* shifted, so that squares do not cancel */
        ft_squares += (100.0 * v[0] - ft_first) * (100.0 * v[0] - ft_first);
    }
    double shift = sums[0] / draws - ft_first;
    double variance = (ft_squares - draws * shift * shift) / (draws - 1);
    audit->ft_auc = sums[0] / draws;
    audit->fr_auc = sums[1] / draws;
    audit->rt_auc = sums[2] / draws;
    audit->ft_tpr_1 = sums[3] / draws;
    audit->ft_tpr_01 = sums[4] / draws;
    audit->ft_auc_sd = draws < 2 ? NAN : sqrt(fmax(variance, 0.0));
    return AMUN_OK;
}

/* Members: as many of the remaining images as there are test images, all of which are the
 * non-members; where fewer remain, both sides are cut to that number. */
static amun_status rate_confidence(work *w, amun_audit *audit)
{
    audit->mis = NAN;
    if (!amun__svc_available()) {
        return AMUN_OK;
    }
    const uint32_t number = UINT32_MAX; /* a draw of its own */
    size_t n = smaller(w->counts[REMAIN], w->counts[TEST]);
    AMUN__CHECK(amun_svc_features(w->confidence, NULL, NULL, &w->view, &w->labels));
    draw(w, REMAIN, w->confidence, n, number);
    draw(w, TEST, w->confidence, n, number);
    draw(w, FORGET, w->confidence, w->counts[FORGET], number);
    return amun__svc_mis(w->ctx, &audit->mis, w->drawn[REMAIN], w->drawn[TEST], n, w->drawn[FORGET],
                         w->counts[FORGET]);
}

static amun_status check_references(const amun_mia *mia)
{
    for (int32_t m = 0; m < mia->options.references; m++) {
        if (mia->ready[m] == AMUN__REFERENCE_ABSENT) {
            return amun__fail(AMUN_ERROR_STATE, "reference %d of %d is neither trained nor set",
                              (int)m, (int)mia->options.references);
        }
    }
    return AMUN_OK;
}

static amun_status score_pool(work *w, amun_audit *audit)
{
    amun_mia *mia = w->mia;
    amun_status status = AMUN_OK;
    double *scratch = NULL;
    uint8_t *population = NULL;
    size_t nonpositive = 0;
    AMUN__TRY(amun__alloc(w->ctx, &scratch, (size_t)w->view.shape[1], sizeof *scratch));
    AMUN__TRY(
        amun__signal_rows(w->signals, &nonpositive, &w->view, &w->labels, &mia->rmia, scratch));
    if (mia->rmia.population == AMUN_RMIA_TEST_ONLY) {
        AMUN__TRY(amun__calloc(w->ctx, &population, mia->n_pool, 1));
        memset(population + mia->n_train, 1, mia->n_test);
    }
    AMUN__TRY(amun__rmia_scores(w->ctx, w->scores, w->signals, mia->signals, mia->included,
                                population, (size_t)mia->options.references, mia->n_pool,
                                &mia->rmia));
    audit->nonpositive = (int64_t)nonpositive;
    for (int32_t m = 0; m < mia->options.references; m++) {
        audit->nonpositive += mia->nonpositive[m];
    }
fail:
    amun__free(w->ctx, population);
    amun__free(w->ctx, scratch);
    return status;
}

static amun_status run_audit(work *w, const amun_model *model, amun__progress_state *progress,
                             amun_audit *audit)
{
    amun_mia *mia = w->mia;
    AMUN__CHECK(amun__alloc(w->ctx, &w->signals, mia->n_pool, sizeof(double)));
    AMUN__CHECK(amun__alloc(w->ctx, &w->scores, mia->n_pool, sizeof(double)));
    AMUN__CHECK(amun__alloc(w->ctx, &w->confidence, mia->n_pool, sizeof(double)));
    AMUN__CHECK(amun_tensor_view_init(&w->labels, mia->labels, AMUN_DTYPE_I64, 1,
                                      (int64_t[]){(int64_t)mia->n_pool}));
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = amun__mia_pool_logits(mia, model, &w->logits, &w->view, progress, "audit");
    amun__model_end_read(model);
    AMUN__CHECK(status);
    AMUN__CHECK(score_pool(w, audit)); /* refuses logits that are not finite */
    audit->ua = accuracy(w, FORGET);
    audit->ra = accuracy(w, REMAIN);
    audit->ta = accuracy(w, TEST);
    AMUN__CHECK(rate_scores(w, audit));
    AMUN__CHECK(rate_confidence(w, audit));
    audit->references = mia->options.references;
    return AMUN_OK;
}

amun_status amun_mia_audit(amun_audit *audit, amun_mia *mia, const amun_model *model,
                           const int64_t *forget, size_t count, const amun_call_options *call)
{
    amun__enter();
    if (audit == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "audit is NULL");
    }
    amun__progress_state progress;
    AMUN__CHECK(amun__object_check(mia, AMUN__TAG_MIA, "mia"));
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(amun__mia_check_model(mia, model));
    AMUN__CHECK(check_references(mia));
    double began = amun__now();
    amun_audit full = {.struct_size = sizeof full};
    /* a wrong size is found now, not after the work */
    AMUN__CHECK(amun__result_write(audit, &full, sizeof full, "audit"));
    work w = {.mia = mia, .ctx = mia->object.ctx};
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(w.ctx, &threads));
    amun_status status = make_groups(&w, forget, count);
    if (status == AMUN_OK) {
        status = run_audit(&w, model, &progress, &full);
    }
    amun__threads_end(&threads);
    work_clear(&w);
    AMUN__CHECK(status);
    full.seconds = amun__now() - began;
    return amun__result_write(audit, &full, sizeof full, "audit");
}
