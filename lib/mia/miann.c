/* miann.c - MIA-NN: per-class discriminators fitted on a model's own outputs for retained classes,
 * asked whether the forget class looks like theirs. */
#include "mia/classes.h"

/* ---- options ------------------------------------------------------------------------------------
 */

static const char *const feature_names[] = {"logits", "logprobs", "probs", "scalar"};
static const char *const kernel_names[] = {"linear", "rbf", "hinge"};

static const amun_miann_options default_options = {
    .struct_size = sizeof(amun_miann_options),
    .features = AMUN_MIANN_LOGITS,
    .kernel = AMUN_MIANN_LINEAR,
    .c = 0.0,
    .fit_share = 0.5,
    .top_m = 3,
};
static const amun__field option_fields[] = {
    AMUN__FIELD_ENUM(amun_miann_options, features, 1, 4, feature_names),
    AMUN__FIELD_ENUM(amun_miann_options, kernel, 1, 3, kernel_names),
    AMUN__FIELD(amun_miann_options, c, AMUN__FIELD_F64, 0, 1e6),
    AMUN__FIELD(amun_miann_options, fit_share, AMUN__FIELD_F64, 0.1, 0.9),
    AMUN__FIELD(amun_miann_options, top_m, AMUN__FIELD_I32, 1, 65536),
    AMUN__FIELD(amun_miann_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_miann_options, seed, AMUN__FIELD_U64, 0, 18446744073709551615.0),
};
static const amun__options_table options_table = {
    .name = "amun_miann_options",
    .size = sizeof(amun_miann_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_miann_options_init(amun_miann_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

/* ---- the split ----------------------------------------------------------------------------------
 */

/* One run of the audit. Rows in the order fit, check, forget; features in the same order. */
typedef struct run {
    amun_context *ctx;
    const amun_miann_options *opts;
    const amun__class_split *split;
    size_t n_fit, n_check, n_forget, n_rows;
    int64_t *rows; /* [n_rows] */
    uint8_t *is;   /* [n_rows]: of the class whose discriminator is fitted */
    double *x;     /* [n_rows][width] */
    double *one;   /* [n_rows][1], feature mode SCALAR */
    double *w;     /* [width + 1] */
    size_t width;  /* retained classes */
} run;

static void run_free(run *r)
{
    amun__free(r->ctx, r->w);
    amun__free(r->ctx, r->one);
    amun__free(r->ctx, r->x);
    amun__free(r->ctx, r->is);
    amun__free(r->ctx, r->rows);
}

/* Rows of retained class j in a drawn order, the first share of them to the fit half. */
static amun_status split_class(run *r, int64_t j, int64_t *room, bool count_only)
{
    const amun__class_split *s = r->split;
    size_t count = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->label[i] == j) {
            room[count++] = (int64_t)i;
        }
    }
    if (count < 2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "labels: %zu rows of retained class %lld, at least 2 are needed", count,
                          (long long)j);
    }
    size_t fit = (size_t)(r->opts->fit_share * (double)count + 0.5);
    fit = fit < 1 ? 1 : fit > count - 1 ? count - 1 : fit;
    if (count_only) {
        r->n_fit += fit;
        r->n_check += count - fit;
        return AMUN_OK;
    }
    amun__rng rng;
    amun__rng_open(&rng, r->opts->seed, AMUN__RNG_SUBSAMPLE, AMUN__DRAW_MIANN, (uint64_t)j);
    amun__rng_shuffle(&rng, room, count);
    memcpy(r->rows + r->n_fit, room, fit * sizeof *room);
    memcpy(r->rows + r->n_check, room + fit, (count - fit) * sizeof *room);
    r->n_fit += fit;
    r->n_check += count - fit;
    return AMUN_OK;
}

/* Twice over the classes: first how many, then which. */
static amun_status split_rows(run *r, int64_t *room)
{
    const amun__class_split *s = r->split;
    for (size_t k = 0; k < s->n_retained; k++) {
        AMUN__CHECK(split_class(r, s->retained[k], room, true));
    }
    const size_t fit = r->n_fit, check = r->n_check;
    r->n_fit = 0;
    r->n_check = fit; /* where the next check row goes */
    for (size_t k = 0; k < s->n_retained; k++) {
        AMUN__CHECK(split_class(r, s->retained[k], room, false));
    }
    r->n_check = check;
    r->n_forget = s->n_forget_rows;
    memcpy(r->rows + fit + check, s->forget_rows, r->n_forget * sizeof *r->rows);
    return AMUN_OK;
}

static amun_status run_begin(run *r)
{
    amun_status status = AMUN_OK;
    int64_t *room = NULL;
    size_t count;
    r->n_rows = r->split->n; /* every row is of a retained class or of a forget class */
    r->width = r->split->n_retained;
    if (!amun__mul_size(&count, r->n_rows, r->width)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%zu rows of %zu features are too many", r->n_rows,
                   r->width);
    }
    AMUN__TRY(amun__alloc(r->ctx, &room, r->n_rows, sizeof *room));
    AMUN__TRY(amun__alloc(r->ctx, &r->rows, r->n_rows, sizeof *r->rows));
    AMUN__TRY(amun__alloc(r->ctx, &r->is, r->n_rows, sizeof *r->is));
    AMUN__TRY(amun__alloc(r->ctx, &r->x, count, sizeof *r->x));
    AMUN__TRY(amun__alloc(r->ctx, &r->one, r->n_rows, sizeof *r->one));
    AMUN__TRY(amun__alloc(r->ctx, &r->w, r->width + 1, sizeof *r->w));
    AMUN__TRY(split_rows(r, room));
fail:
    amun__free(r->ctx, room);
    return status;
}

/* ---- one discriminator --------------------------------------------------------------------------
 */

/* Features of every row, standardised with the fit half of the same model. */
static amun_status read_features(run *r, const amun__outputs *o, size_t model)
{
    const amun__class_split *s = r->split;
    for (size_t i = 0; i < r->n_rows; i++) {
        const double *z = amun__outputs_row(o, model, (size_t)r->rows[i]);
        double *x = r->x + i * r->width;
        switch (r->opts->features) {
        case AMUN_MIANN_LOGPROBS:
        case AMUN_MIANN_PROBS:
            amun__log_softmax_of(x, z, s->retained, r->width);
            for (size_t k = 0; k < r->width && r->opts->features == AMUN_MIANN_PROBS; k++) {
                x[k] = exp(x[k]);
            }
            break;
        default:
            for (size_t k = 0; k < r->width; k++) {
                x[k] = z[s->retained[k]];
            }
        }
    }
    return amun__standardise(r->x, r->n_rows, r->n_fit, r->width);
}

/* How many of the rows first .. first + n - 1 with `is` as wanted (2: any) are accepted. */
static size_t count_accepted(const run *r, amun__svm *svm, const double *x, size_t width,
                             size_t first, size_t n, uint8_t wanted, size_t *among)
{
    size_t accepted = 0;
    *among = 0;
    for (size_t i = first; i < first + n; i++) {
        if (wanted != 2 && r->is[i] != wanted) {
            continue;
        }
        ++*among;
        accepted += svm != NULL ? amun__svm_count(svm, x + i * width, 1)
                                : amun__linear_value(r->w, x + i * width, width) > 0.0;
    }
    return accepted;
}

static void judge(const run *r, amun__svm *svm, const double *x, size_t width, double *accuracy,
                  double *sanity)
{
    size_t all, members, others;
    const size_t taken =
        count_accepted(r, svm, x, width, r->n_fit + r->n_check, r->n_forget, 2, &all);
    const size_t right = count_accepted(r, svm, x, width, r->n_fit, r->n_check, 1, &members);
    const size_t wrong = count_accepted(r, svm, x, width, r->n_fit, r->n_check, 0, &others);
    *accuracy = 100.0 * (double)taken / (double)all;
    *sanity = 50.0 * ((double)right / (double)members + 1.0 - (double)wrong / (double)others);
}

/* Costs inversely to frequency: n / (2 n_class), as class_weight="balanced" has it. */
static amun_status discriminate(run *r, size_t k, double *accuracy, double *sanity)
{
    const amun__class_split *s = r->split;
    const bool scalar = r->opts->features == AMUN_MIANN_SCALAR;
    const size_t width = scalar ? 1 : r->width;
    double *x = scalar ? r->one : r->x;
    size_t members = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        r->is[i] = s->label[r->rows[i]] == s->retained[k];
        members += i < r->n_fit && r->is[i];
        r->one[i] = r->x[i * r->width + k];
    }
    const double half = 0.5 * (double)r->n_fit;
    const double balance[2] = {half / (double)(r->n_fit - members), half / (double)members};
    const bool rbf = r->opts->kernel == AMUN_MIANN_RBF;
    const double c = r->opts->c > 0.0 ? r->opts->c : rbf ? 3.0 : 1.0;
    if (r->opts->kernel == AMUN_MIANN_LINEAR) {
        const double cost[2] = {c * balance[0], c * balance[1]};
        AMUN__CHECK(amun__linear_fit(r->ctx, AMUN__SQUARED_HINGE, r->w, x, r->is, r->n_fit, width,
                                     1.0, cost));
        judge(r, NULL, x, width, accuracy, sanity);
        return AMUN_OK;
    }
    const amun__svm_options options = {rbf, c, 1.0 / (double)width, {balance[0], balance[1]}};
    amun__svm *svm = NULL;
    AMUN__CHECK(amun__svm_train(r->ctx, &svm, x, r->is, r->n_fit, width, &options));
    judge(r, svm, x, width, accuracy, sanity);
    amun__svm_free(r->ctx, svm);
    return AMUN_OK;
}

/* ---- all of them, and what they say together ----------------------------------------------------
 */

/* Row of [classes] for one model. */
static amun_status run_model(run *r, const amun__outputs *o, size_t model, double *accuracy,
                             double *sanity)
{
    const amun__class_split *s = r->split;
    for (size_t j = 0; j < s->classes; j++) {
        accuracy[j] = sanity[j] = NAN;
    }
    AMUN__CHECK(read_features(r, o, model));
    for (size_t k = 0; k < s->n_retained; k++) {
        const size_t j = (size_t)s->retained[k];
        amun_status status = discriminate(r, k, &accuracy[j], &sanity[j]);
        if (status != AMUN_OK) {
            return amun__fail_within(status, "discriminator of class %zu", j);
        }
    }
    return AMUN_OK;
}

/* Mean probability of each class over forget rows and models: breaks ties. */
static void mean_probabilities(const run *r, const amun__outputs *o, double *p, double *room)
{
    const amun__class_split *s = r->split;
    memset(p, 0, s->classes * sizeof *p);
    for (size_t m = 0; m < o->models; m++) {
        for (size_t i = 0; i < s->n_forget_rows; i++) {
            amun__log_softmax_of(room, amun__outputs_row(o, m, (size_t)s->forget_rows[i]), s->all,
                                 s->classes);
            for (size_t j = 0; j < s->classes; j++) {
                p[j] += exp(room[j]);
            }
        }
    }
}

/* Class with the largest value among the retained ones that are not `taken` (nullable). */
static size_t best_class(const amun__class_split *s, const double *value, const double *tie,
                         const uint8_t *taken)
{
    size_t best = s->classes;
    for (size_t k = 0; k < s->n_retained; k++) {
        const size_t j = (size_t)s->retained[k];
        if (taken != NULL && taken[j]) {
            continue;
        }
        if (best == s->classes || value[j] > value[best] ||
            (value[j] >= value[best] && tie[j] > tie[best])) {
            best = j;
        }
    }
    return best;
}

typedef struct tally {
    double *mean, *tie, *room, *column; /* [classes], the last [models] */
    uint8_t *taken;                     /* [classes] */
} tally;

/* Gap of column j, and each retrained model's own, added to `sums`. */
static double gap_of(const double *accuracy, size_t models, size_t classes, size_t j,
                     const tally *t, double *sums)
{
    double rest = 0.0;
    for (size_t m = 0; m < models; m++) {
        rest += accuracy[m * classes + j];
    }
    for (size_t m = 0; m < models && models > 1; m++) {
        const double own = accuracy[m * classes + j];
        sums[m] += fabs((rest - own) / (double)(models - 1) - own);
    }
    return fabs(t->mean[j] - accuracy[models * classes + j]);
}

static void summarise(amun_miann *result, const run *r, size_t models, const double *accuracy,
                      const double *sanity, tally *t)
{
    const size_t classes = r->split->classes;
    size_t votes = 0;
    for (size_t j = 0; j < classes; j++) {
        t->mean[j] = 0.0;
        for (size_t m = 0; m < models; m++) {
            t->mean[j] += accuracy[m * classes + j] / (double)models;
        }
    }
    const size_t rn = best_class(r->split, t->mean, t->tie, NULL);
    result->sanity_retrained = 0.0;
    for (size_t m = 0; m < models; m++) {
        votes += best_class(r->split, accuracy + m * classes, t->tie, NULL) == rn;
        result->sanity_retrained += sanity[m * classes + rn] / (double)models;
        t->column[m] = 0.0;
    }
    result->neighbour = (int64_t)rn;
    result->models = (int64_t)models;
    result->score = accuracy[models * classes + rn];
    result->sanity = sanity[models * classes + rn];
    result->retrained = t->mean[rn];
    result->vote_share = 100.0 * (double)votes / (double)models;
    result->gap = gap_of(accuracy, models, classes, rn, t, t->column);
    amun__mean_sd(t->column, models > 1 ? models : 0, &result->null_mean, &result->null_sd);
    memset(t->column, 0, models * sizeof *t->column);
    result->top_gap = 0.0;
    for (size_t k = 0; k < (size_t)r->opts->top_m && k < r->split->n_retained; k++) {
        const size_t j = best_class(r->split, t->mean, t->tie, t->taken);
        t->taken[j] = 1;
        result->top_gap += gap_of(accuracy, models, classes, j, t, t->column);
    }
    amun__mean_sd(t->column, models > 1 ? models : 0, &result->top_null_mean, &result->top_null_sd);
}

static amun_status tell(amun_miann *result, const run *r, const amun__outputs *retrained,
                        const double *accuracy, const double *sanity)
{
    amun_status status = AMUN_OK;
    tally t = {0};
    const size_t classes = r->split->classes;
    AMUN__TRY(amun__alloc(r->ctx, &t.mean, classes, sizeof *t.mean));
    AMUN__TRY(amun__alloc(r->ctx, &t.tie, classes, sizeof *t.tie));
    AMUN__TRY(amun__alloc(r->ctx, &t.room, classes, sizeof *t.room));
    AMUN__TRY(amun__alloc(r->ctx, &t.column, retrained->models, sizeof *t.column));
    AMUN__TRY(amun__calloc(r->ctx, &t.taken, classes, sizeof *t.taken));
    mean_probabilities(r, retrained, t.tie, t.room);
    summarise(result, r, retrained->models, accuracy, sanity, &t);
fail:
    amun__free(r->ctx, t.taken);
    amun__free(r->ctx, t.column);
    amun__free(r->ctx, t.room);
    amun__free(r->ctx, t.tie);
    amun__free(r->ctx, t.mean);
    return status;
}

/* `acc` and `check`: [models + 1][classes], allocated here where the caller has none. */
static amun_status audit(run *r, amun_miann *result, double *accuracy, double *sanity,
                         const amun__outputs *retrained, const amun__outputs *unlearned)
{
    amun_status status = AMUN_OK;
    const size_t classes = retrained->classes, models = retrained->models;
    double *values = NULL;
    size_t count;
    if (!amun__mul_size(&count, models + 1, 2 * classes)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%zu models of %zu classes are too many", models,
                   classes);
    }
    AMUN__TRY(amun__alloc(r->ctx, &values, count, sizeof *values));
    double *check = values + (models + 1) * classes;
    AMUN__TRY(run_begin(r));
    for (size_t m = 0; m <= models; m++) {
        const amun__outputs *from = m < models ? retrained : unlearned;
        status = run_model(r, from, m < models ? m : 0, values + m * classes, check + m * classes);
        if (status != AMUN_OK) {
            status = m < models ? amun__fail_within(status, "retrained model %zu", m)
                                : amun__fail_within(status, "unlearned model");
            goto fail;
        }
    }
    AMUN__TRY(tell(result, r, retrained, values, check));
    if (accuracy != NULL) {
        memcpy(accuracy, values, (models + 1) * classes * sizeof *values);
    }
    if (sanity != NULL) {
        memcpy(sanity, check, (models + 1) * classes * sizeof *values);
    }
fail:
    amun__free(r->ctx, values);
    run_free(r);
    return status;
}

amun_status amun_miann_compute(amun_miann *result, double *accuracy, double *sanity,
                               const amun_tensor_view *retrained, const amun_tensor_view *unlearned,
                               const amun_tensor_view *labels, const int64_t *forget,
                               size_t n_forget, const amun_miann_options *opts)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    amun__outputs first = {0}, second = {0};
    amun__class_split split = {0};
    amun_miann_options o;
    amun_miann told = {0};
    AMUN__TRY(amun__options_read(&options_table, &o, opts));
    AMUN__TRY(amun_context_create(&ctx, NULL)); /* saved outputs come without a context */
    AMUN__TRY(amun__outputs_read(ctx, &first, retrained, "retrained", 3));
    AMUN__TRY(amun__outputs_read(ctx, &second, unlearned, "unlearned", 2));
    AMUN__TRY(amun__outputs_match(&first, "retrained", &second, "unlearned"));
    AMUN__TRY(
        amun__class_split_read(ctx, &split, labels, forget, n_forget, first.n, first.classes));
    run r = {.ctx = ctx, .opts = &o, .split = &split};
    AMUN__TRY(audit(&r, &told, accuracy, sanity, &first, &second));
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_miann"));
fail:
    amun__class_split_free(ctx, &split);
    amun__free(ctx, second.z);
    amun__free(ctx, first.z);
    amun_context_unref(ctx);
    return status;
}
