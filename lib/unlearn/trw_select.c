/* trw_select.c - the tilt of TRW chosen by what it costs the retained classes, so that nobody needs
 * a retrained model to choose it. */
#include <float.h>

#include "unlearn/unlearn.h"

static const amun_trw_select_options default_options = {
    .struct_size = sizeof(amun_trw_select_options),
    .share = 0.1,
    .tolerance = 0.5,
    .seed = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_trw_select_options, share, AMUN__FIELD_F64, DBL_MIN, 0.9),
    AMUN__FIELD(amun_trw_select_options, tolerance, AMUN__FIELD_F64, 0, 100),
    AMUN__FIELD(amun_trw_select_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
static const amun__options_table option_table = {
    .name = "amun_trw_select_options",
    .size = sizeof(amun_trw_select_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_trw_select_options_init(amun_trw_select_options *opts, size_t size)
{
    return amun__options_init(&option_table, opts, size);
}

static const double default_betas[] = {0, 1, 2, 5, 10, 20};

typedef struct selection {
    amun_context *ctx;
    const amun_model *model;
    amun_dataset *train, *part; /* part: train less what is held out */
    const int64_t *forget;
    size_t count, held, beta_count;
    const double *betas;
    int64_t *remain; /* shuffled: the first `held` of it are held out */
    int64_t *mapped; /* the forget samples in `part` */
    amun_trw_select_options options;
    amun_unlearn_options unlearn;
    amun_trw_options trw;
} selection;

/* ---- checks --------------------------------------------------------------------------------- */

static amun_status read_unlearn(selection *s, const amun_unlearn_options *unlearn)
{
    amun_train_options train;
    AMUN__CHECK(amun__unlearn_options_read(&s->unlearn, unlearn));
    s->unlearn.method = unlearn != NULL ? s->unlearn.method : AMUN_UNLEARN_TRW;
    if (s->unlearn.method != AMUN_UNLEARN_TRW) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_unlearn_options.method: %d, but it is TRW (%d) that has a beta",
                          (int)s->unlearn.method, (int)AMUN_UNLEARN_TRW);
    }
    if (s->unlearn.train != NULL) {
        AMUN__CHECK(amun__options_read(&amun__train_options_table, &train, s->unlearn.train));
        if (train.checkpoint != NULL) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "amun_train_options.checkpoint: %s, but the candidates are several "
                              "runs",
                              train.checkpoint);
        }
    }
    AMUN__CHECK(amun__options_read(&amun__trw_options_table, &s->trw, s->unlearn.trw));
    s->unlearn.trw = &s->trw;
    return AMUN_OK;
}

static amun_status check_betas(selection *s)
{
    if (s->betas == NULL && s->beta_count == 0) {
        s->betas = default_betas;
        s->beta_count = sizeof default_betas / sizeof default_betas[0];
    }
    if (s->betas == NULL || s->beta_count == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "betas is %s, and beta_count is %zu",
                          s->betas == NULL ? "NULL" : "there", s->beta_count);
    }
    for (size_t i = 0; i < s->beta_count; i++) {
        if (!(s->betas[i] >= 0.0) || !(s->betas[i] <= 1000.0)) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "betas: %g at position %zu is outside "
                              "[0, 1000]",
                              s->betas[i], i);
        }
    }
    return AMUN_OK;
}

/* ---- the held-out part ---------------------------------------------------------------------- */

/* `part` and, in it, the forget samples. `place`: [samples of train], scratch. */
static amun_status make_part(selection *s, int64_t *place)
{
    size_t all = amun_dataset_count(s->train), used = 0;
    int64_t *kept = NULL;
    AMUN__CHECK(amun__alloc(s->ctx, &kept, all, sizeof *kept));
    for (size_t i = 0; i < all; i++) {
        place[i] = 0;
    }
    for (size_t i = 0; i < s->held; i++) {
        place[s->remain[i]] = -1;
    }
    for (size_t i = 0; i < all; i++) {
        if (place[i] == 0) {
            place[i] = (int64_t)used;
            kept[used++] = (int64_t)i;
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        s->mapped[i] = place[s->forget[i]];
    }
    amun_status status = amun_dataset_subset(&s->part, s->train, kept, used);
    amun__free(s->ctx, kept);
    return status;
}

/* What is held out must not hide that a class is forgotten in part. */
static amun_status check_whole(const selection *s, size_t remain)
{
    int64_t classes = amun_dataset_classes(s->train);
    uint8_t *gone = NULL;
    amun_status status = AMUN_OK;
    if (classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "train: the data set has no labels");
    }
    AMUN__CHECK(amun__calloc(s->ctx, &gone, (size_t)classes, sizeof *gone));
    for (size_t i = 0; i < s->count; i++) {
        gone[amun__dataset_label(s->train, (size_t)s->forget[i])] = 1;
    }
    for (size_t i = 0; i < remain; i++) {
        int32_t label = amun__dataset_label(s->train, (size_t)s->remain[i]);
        if (gone[label] != 0) {
            AMUN__FAIL(
                AMUN_ERROR_INVALID_ARGUMENT,
                "trw forgets whole classes: sample %lld of class %d is not in the forget set",
                (long long)s->remain[i], (int)label);
        }
    }
fail:
    amun__free(s->ctx, gone);
    return status;
}

static amun_status hold_out(selection *s)
{
    size_t all = amun_dataset_count(s->train);
    int64_t *place = NULL;
    AMUN__CHECK(amun__indices_check(s->ctx, s->forget, s->count, all, false, "forget set"));
    size_t remain = all - s->count;
    s->held = (size_t)(s->options.share * (double)remain);
    if (s->held == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_trw_select_options.share: %g of %zu remaining samples is less than "
                          "one",
                          s->options.share, remain);
    }
    AMUN__CHECK(amun__indices_complement(s->ctx, &s->remain, s->forget, s->count, all));
    AMUN__CHECK(check_whole(s, remain));
    amun__rng rng;
    amun__rng_open(&rng, s->options.seed, AMUN__RNG_SUBSAMPLE, 0, 0);
    amun__rng_shuffle(&rng, s->remain, remain);
    AMUN__CHECK(amun__alloc(s->ctx, &s->mapped, s->count, sizeof *s->mapped));
    AMUN__CHECK(amun__alloc(s->ctx, &place, all, sizeof *place));
    amun_status status = make_part(s, place);
    amun__free(s->ctx, place);
    return status;
}

/* ---- candidates ----------------------------------------------------------------------------- */

static amun_status try_one(selection *s, double beta, const amun_call_options *call,
                           double *accuracy)
{
    amun_model *clone = NULL;
    amun_status status = AMUN_OK;
    s->trw.beta = beta;
    AMUN__TRY(amun_model_clone(&clone, s->model));
    AMUN__TRY(amun_unlearn_run(NULL, clone, s->part, s->mapped, s->count, NULL, &s->unlearn, call));
    AMUN__TRY(amun_model_evaluate(accuracy, NULL, clone, s->train, s->remain, s->held, call));
fail:
    amun_model_unref(clone);
    return status;
}

static amun_status try_all(selection *s, double *beta, double *heldout, double *original,
                           const amun_call_options *call)
{
    amun__progress_state progress;
    double best = -1.0, chosen = -1.0;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(amun_model_evaluate(original, NULL, s->model, s->train, s->remain, s->held, call));
    for (size_t i = 0; i < s->beta_count; i++) {
        double accuracy = NAN;
        AMUN__CHECK(try_one(s, s->betas[i], call, &accuracy));
        if (heldout != NULL) {
            heldout[i] = accuracy;
        }
        best = fmax(best, accuracy);
        /* shares of few samples are no round numbers: what is meant to be equal must pass */
        if (accuracy >= *original - s->options.tolerance - 1e-9) {
            chosen = fmax(chosen, s->betas[i]);
        }
        AMUN__CHECK(
            amun__progress_tick(&progress, "candidates", i + 1, s->beta_count, NAN, accuracy));
    }
    if (chosen < 0.0) {
        return amun__fail(
            AMUN_ERROR_NUMERIC,
            "no candidate is within %g points of %.2f %% on the %zu samples held out: "
            "the best has %.2f %%",
            s->options.tolerance, *original, s->held, best);
    }
    *beta = chosen;
    return AMUN_OK;
}

amun_status amun_trw_select_beta(double *beta, double *heldout, double *original,
                                 const amun_model *model, amun_dataset *train,
                                 const int64_t *forget, size_t count, const double *betas,
                                 size_t beta_count, const amun_trw_select_options *opts,
                                 const amun_unlearn_options *unlearn, const amun_call_options *call)
{
    amun__enter();
    selection s = {.model = model,
                   .train = train,
                   .forget = forget,
                   .count = count,
                   .betas = betas,
                   .beta_count = beta_count};
    double nowhere;
    amun_status status = AMUN_OK;
    if (beta == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "beta is NULL");
    }
    original = original != NULL ? original : &nowhere;
    status = read_unlearn(&s, unlearn); /* first: *beta may be the beta of these options */
    *beta = *original = NAN;
    AMUN__CHECK(status);
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__object_check(train, AMUN__TAG_DATASET, "train"));
    AMUN__CHECK(check_betas(&s));
    for (size_t i = 0; i < s.beta_count && heldout != NULL; i++) {
        heldout[i] = NAN;
    }
    s.ctx = amun__model_context(model);
    AMUN__TRY(amun__options_read(&option_table, &s.options, opts));
    AMUN__TRY(hold_out(&s));
    AMUN__TRY(try_all(&s, beta, heldout, original, call));
fail:
    amun__free(s.ctx, s.remain);
    amun__free(s.ctx, s.mapped);
    amun_dataset_unref(s.part);
    return status;
}
