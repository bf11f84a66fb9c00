/* svcmia.c - SVC-MIA in the protocols of class unlearning: which sets are fitted, which is asked
 * about. */
#include <stdlib.h>

#include "amun/mia.h"
#include "mia/audit.h"
#include "mia/classes.h"

/* ---- options ------------------------------------------------------------------------------------
 */

static const amun_svcmia_options default_options = {
    .struct_size = sizeof(amun_svcmia_options),
    .limit = 5000,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_svcmia_options, limit, AMUN__FIELD_I64, 0, 1e8),
    AMUN__FIELD(amun_svcmia_options, seed, AMUN__FIELD_U64, 0, 18446744073709551615.0),
};
static const amun__options_table options_table = {
    .name = "amun_svcmia_options",
    .size = sizeof(amun_svcmia_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_svcmia_options_init(amun_svcmia_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

/* ---- the three sets -----------------------------------------------------------------------------
 */

enum { CONFIDENCE, CORRECTNESS, ENTROPY, MODIFIED, SCALARS };

typedef struct set {
    amun__outputs o;
    int64_t *label;
    double *scalar[SCALARS]; /* [n] each */
    double *p;               /* [n][classes]; o.z becomes it */
    int64_t *rows;           /* the ones used, ascending */
    size_t count;
} set;

static void set_free(amun_context *ctx, set *s)
{
    for (int k = 0; k < SCALARS; k++) {
        amun__free(ctx, s->scalar[k]);
    }
    amun__free(ctx, s->rows);
    amun__free(ctx, s->label);
    amun__free(ctx, s->o.z);
    amun__free(ctx, s->p);
}

static void set_probabilities(set *s, const int64_t *all)
{
    const size_t k = s->o.classes;
    for (size_t i = 0; i < s->o.n; i++) {
        const double *z = amun__outputs_row(&s->o, 0, i);
        const size_t y = (size_t)s->label[i];
        size_t top = 0;
        for (size_t j = 1; j < k; j++) {
            top = z[j] > z[top] ? j : top;
        }
        s->scalar[CORRECTNESS][i] = top == y ? 1.0 : 0.0;
        amun__log_softmax_of(s->p + i * k, z, all, k);
        for (size_t j = 0; j < k; j++) {
            s->p[i * k + j] = exp(s->p[i * k + j]);
        }
    }
}

static amun_status set_read(amun_context *ctx, set *s, const amun_tensor_view *logits,
                            const amun_tensor_view *labels, const char *what)
{
    amun_status status = AMUN_OK;
    int64_t *all = NULL;
    AMUN__TRY(amun__outputs_read(ctx, &s->o, logits, what, 2));
    const size_t n = s->o.n, k = s->o.classes;
    status = amun__labels_read(ctx, &s->label, labels, "labels", n, k);
    if (status == AMUN_OK) {
        for (int f = 0; f < SCALARS && status == AMUN_OK; f++) {
            status = amun__alloc(ctx, &s->scalar[f], n, sizeof(double));
        }
        AMUN__TRY(status);
        status = amun_svc_features(s->scalar[CONFIDENCE], s->scalar[ENTROPY], s->scalar[MODIFIED],
                                   logits, labels);
    }
    if (status != AMUN_OK) {
        status = amun__fail_within(status, "%s", what);
        goto fail;
    }
    AMUN__TRY(amun__alloc(ctx, &s->rows, n, sizeof *s->rows));
    AMUN__TRY(amun__alloc(ctx, &s->p, n * k, sizeof *s->p));
    AMUN__TRY(amun__alloc(ctx, &all, k, sizeof *all));
    for (size_t j = 0; j < k; j++) {
        all[j] = (int64_t)j;
    }
    for (size_t i = 0; i < n; i++) {
        s->rows[i] = (int64_t)i;
    }
    s->count = n;
    set_probabilities(s, all);
fail:
    amun__free(ctx, all);
    return status;
}

static int compare_rows(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* `count` drawn rows in their order; all of them if there are no more. */
static void draw(set *s, size_t count, uint64_t seed, uint64_t number)
{
    if (s->count > count) {
        amun__rng rng;
        amun__rng_open(&rng, seed, AMUN__RNG_SUBSAMPLE, AMUN__DRAW_SVCMIA, number);
        amun__rng_shuffle(&rng, s->rows, s->count);
        qsort(s->rows, count, sizeof *s->rows, compare_rows);
        s->count = count;
    }
}

/* ---- one feature --------------------------------------------------------------------------------
 */

static size_t gather(double *x, const set *s, int feature, size_t width)
{
    for (size_t i = 0; i < s->count; i++) {
        const size_t row = (size_t)s->rows[i];
        if (feature == SCALARS) {
            memcpy(x + i * width, s->p + row * width, width * sizeof *x);
        } else {
            x[i] = s->scalar[feature][row];
        }
    }
    return s->count;
}

/* Percent of sets[2] called non-members, fitted on sets[0] (members) and sets[1]. Room: x and y. */
static amun_status ask(amun_context *ctx, const set *sets, int feature, double *x, uint8_t *y,
                       double *percent)
{
    const size_t width = feature == SCALARS ? sets[0].o.classes : 1;
    const size_t members = sets[0].count, fitted = members + sets[1].count;
    const amun__svm_options opts = {true, 3.0, 1.0 / (double)width, {1.0, 1.0}};
    amun__svm *svm = NULL;
    (void)gather(x, &sets[0], feature, width);
    (void)gather(x + members * width, &sets[1], feature, width);
    for (size_t i = 0; i < fitted; i++) {
        y[i] = i < members;
    }
    AMUN__CHECK(amun__svm_train(ctx, &svm, x, y, fitted, width, &opts));
    const size_t asked = gather(x, &sets[2], feature, width);
    const size_t inside = amun__svm_count(svm, x, asked);
    *percent = 100.0 * (double)(asked - inside) / (double)asked;
    amun__svm_free(ctx, svm);
    return AMUN_OK;
}

static amun_status ask_all(amun_context *ctx, amun_svcmia *told, const set *sets)
{
    amun_status status = AMUN_OK;
    double *x = NULL;
    uint8_t *y = NULL;
    double *percents[SCALARS + 1] = {&told->confidence, &told->correctness, &told->entropy,
                                     &told->modified_entropy, &told->probabilities};
    const size_t fitted = sets[0].count + sets[1].count;
    const size_t most = fitted > sets[2].count ? fitted : sets[2].count;
    size_t count;
    if (!amun__mul_size(&count, most, sets[0].o.classes)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%zu rows are too many", most);
    }
    AMUN__TRY(amun__alloc(ctx, &x, count, sizeof *x));
    AMUN__TRY(amun__alloc(ctx, &y, fitted, sizeof *y));
    for (int feature = 0; feature <= SCALARS; feature++) {
        AMUN__TRY(ask(ctx, sets, feature, x, y, percents[feature]));
    }
    told->members = (int64_t)sets[0].count;
    told->nonmembers = (int64_t)sets[1].count;
    told->queries = (int64_t)sets[2].count;
fail:
    amun__free(ctx, y);
    amun__free(ctx, x);
    return status;
}

/* ---- the protocols ------------------------------------------------------------------------------
 */

/* Members, non-members, queries: logits and labels. `equal`: as many of the one as of the other. */
static amun_status run(amun_svcmia *result, const amun_tensor_view *const views[6],
                       const char *const names[3], bool equal, const amun_svcmia_options *opts)
{
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    set sets[3];
    amun_svcmia_options o;
    amun_svcmia told = {0};
    memset(sets, 0, sizeof sets);
    AMUN__TRY(amun__options_read(&options_table, &o, opts));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    for (int k = 0; k < 3; k++) {
        AMUN__TRY(set_read(ctx, &sets[k], views[2 * k], views[2 * k + 1], names[k]));
        if (sets[k].o.classes != sets[0].o.classes) {
            AMUN__FAIL(AMUN_ERROR_SHAPE, "%s: %zu classes, %s: %zu", names[k], sets[k].o.classes,
                       names[0], sets[0].o.classes);
        }
    }
    size_t most = o.limit > 0 ? (size_t)o.limit : SIZE_MAX;
    for (int k = 0; k < 2 && equal; k++) {
        most = sets[k].count < most ? sets[k].count : most;
    }
    for (int k = 0; k < 2; k++) {
        if (o.limit > 0) {
            draw(&sets[k], most, o.seed, (uint64_t)k);
        } else if (sets[k].count > most) {
            sets[k].count = most; /* the first ones */
        }
    }
    told.limit = o.limit;
    told.seed = o.seed;
    AMUN__TRY(ask_all(ctx, &told, sets));
    AMUN__TRY(amun__result_write(result, &told, sizeof told, "amun_svcmia"));
fail:
    for (int k = 0; k < 3; k++) {
        set_free(ctx, &sets[k]);
    }
    amun_context_unref(ctx);
    return status;
}

amun_status amun_svcmia_salun(amun_svcmia *result, const amun_tensor_view *remain,
                              const amun_tensor_view *remain_labels, const amun_tensor_view *test,
                              const amun_tensor_view *test_labels, const amun_tensor_view *forget,
                              const amun_tensor_view *forget_labels,
                              const amun_svcmia_options *opts)
{
    static const char *const names[3] = {"remain", "test", "forget"};
    const amun_tensor_view *const views[6] = {remain,      remain_labels, test,
                                              test_labels, forget,        forget_labels};
    amun__enter();
    return run(result, views, names, true, opts);
}

amun_status amun_svcmia_kodge(amun_svcmia *result, const amun_tensor_view *remain,
                              const amun_tensor_view *remain_labels, const amun_tensor_view *forget,
                              const amun_tensor_view *forget_labels,
                              const amun_tensor_view *forget_test,
                              const amun_tensor_view *forget_test_labels,
                              const amun_svcmia_options *opts)
{
    static const char *const names[3] = {"remain", "forget", "forget_test"};
    const amun_tensor_view *const views[6] = {remain,        remain_labels, forget,
                                              forget_labels, forget_test,   forget_test_labels};
    amun__enter();
    return run(result, views, names, false, opts);
}
