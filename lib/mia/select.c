/* select.c - a learning rate for an unlearning method, chosen without a retrained model. */
#include <float.h>

#include "amun/select.h"
#include "data/data.h"
#include "train/train.h"
#include "unlearn/unlearn.h"

static const char *const rule_names[] = {"samples", "classes"};
static const amun_select_options default_options = {
    .struct_size = sizeof(amun_select_options),
    .rule = AMUN_SELECT_SAMPLES,
    .reserved = 0,
    .tolerance = 0.5,
};
static const amun__field option_fields[] = {
    AMUN__FIELD_ENUM(amun_select_options, rule, AMUN_SELECT_SAMPLES, AMUN_SELECT_CLASSES,
                     rule_names),
    AMUN__FIELD(amun_select_options, reserved, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_select_options, tolerance, AMUN__FIELD_F64, 0, 100),
};
static const amun__options_table option_table = {
    .name = "amun_select_options",
    .size = sizeof(amun_select_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_select_options_init(amun_select_options *opts, size_t size)
{
    return amun__options_init(&option_table, opts, size);
}

/* ---- held-out samples ------------------------------------------------------------------------ */

typedef struct selection {
    amun_context *ctx;
    const amun_model *model;
    const amun_dataset *train, *heldout;
    const int64_t *forget;
    size_t forget_count;
    amun_select_options options;
    int64_t *judged, *compared; /* held-out indices: for the accuracy, and for the check */
    size_t judged_count, compared_count;
    double before; /* held-out accuracy of the model as it is */
} selection;

/* SAMPLES: all serve for both. CLASSES: those of other classes, and those of the forget classes. */
static amun_status split_heldout(selection *s)
{
    amun__dataset_info info;
    uint8_t *gone = NULL;
    amun_status status = AMUN_OK;
    size_t classes = (size_t)amun_model_classes(s->model);
    amun__dataset_info_get(s->heldout, &info);
    AMUN__TRY(amun__calloc(s->ctx, &gone, classes, 1));
    AMUN__TRY(amun__alloc(s->ctx, &s->judged, info.count, sizeof *s->judged));
    AMUN__TRY(amun__alloc(s->ctx, &s->compared, info.count, sizeof *s->compared));
    for (size_t i = 0; i < s->forget_count; i++) {
        gone[amun__dataset_label(s->train, (size_t)s->forget[i])] = 1;
    }
    for (size_t i = 0; i < info.count; i++) {
        bool of_class = gone[amun__dataset_label(s->heldout, i)] != 0;
        if (s->options.rule == AMUN_SELECT_SAMPLES || !of_class) {
            s->judged[s->judged_count++] = (int64_t)i;
        }
        if (s->options.rule == AMUN_SELECT_SAMPLES || of_class) {
            s->compared[s->compared_count++] = (int64_t)i;
        }
    }
    if (s->judged_count == 0) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "heldout: all %zu images are of forget classes",
                   info.count);
    }
fail:
    amun__free(s->ctx, gone);
    return status;
}

static amun_status check_labels(const selection *s, const amun_dataset *data, const char *what)
{
    amun__dataset_info info;
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, what));
    amun__dataset_info_get(data, &info);
    if (info.classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "%s: the data set has no labels", what);
    }
    if (info.classes > amun_model_classes(s->model)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: %lld classes, the model has %lld", what,
                          (long long)info.classes, (long long)amun_model_classes(s->model));
    }
    return amun__train_check_shape(s->model, data, what);
}

/* ---- trials ---------------------------------------------------------------------------------- */

static amun_status measure(const selection *s, const amun_model *model, amun_select_trial *trial)
{
    amun_forget_check check = {.struct_size = sizeof check};
    AMUN__CHECK(amun_model_evaluate(&trial->forget_accuracy, NULL, model, s->train, s->forget,
                                    s->forget_count, NULL));
    AMUN__CHECK(amun_model_evaluate(&trial->heldout_accuracy, NULL, model, s->heldout, s->judged,
                                    s->judged_count, NULL));
    trial->admitted = trial->heldout_accuracy >= s->before - s->options.tolerance;
    if (s->compared_count >= 2 && s->forget_count >= 2) {
        AMUN__CHECK(amun_forget_check_model(&check, model, s->train, s->forget, s->forget_count,
                                            s->heldout, s->compared, s->compared_count, 0.95,
                                            NULL));
        trial->auc = check.auc;
        trial->error = check.error;
    }
    return AMUN_OK;
}

/* Whether `a` is a better rate than `b`. */
static bool is_better(const selection *s, const amun_select_trial *a, const amun_select_trial *b)
{
    if (a->failed != b->failed) {
        return b->failed != 0;
    }
    if (a->admitted != b->admitted) {
        return a->admitted != 0;
    }
    if (a->admitted == 0 && a->heldout_accuracy != b->heldout_accuracy) {
        return a->heldout_accuracy > b->heldout_accuracy;
    }
    if (s->options.rule == AMUN_SELECT_SAMPLES) {
        return fabs(a->auc - 50.0) < fabs(b->auc - 50.0);
    }
    return a->forget_accuracy < b->forget_accuracy ||
           (a->forget_accuracy == b->forget_accuracy && a->heldout_accuracy > b->heldout_accuracy);
}

static amun_status run_trial(const selection *s, const amun_unlearn_options *unlearn,
                             const amun_train_options *train, const amun_advset *set,
                             const amun_call_options *call, amun_model **model,
                             amun_select_trial *trial)
{
    amun_train_options own = *train;
    amun_unlearn_options opts = *unlearn;
    amun_unlearn_result result = {.struct_size = sizeof result};
    own.lr = trial->lr;
    own.checkpoint = NULL;
    opts.train = &own;
    AMUN__CHECK(amun_model_clone(model, s->model));
    amun_status status =
        amun_unlearn_run(&result, *model, s->train, s->forget, s->forget_count, set, &opts, call);
    trial->seconds = result.seconds;
    if (status == AMUN_ERROR_NUMERIC) { /* too large a rate; the others may do */
        trial->failed = 1;
        return AMUN_OK;
    }
    AMUN__CHECK(status);
    return measure(s, *model, trial);
}

static amun_status check_arguments(const amun_select_trial *trials, const size_t *best,
                                   const double *rates, size_t count)
{
    if (trials == NULL || best == NULL || rates == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL",
                          trials == NULL ? "trials"
                          : best == NULL ? "best"
                                         : "rates");
    }
    if (count == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "no rates");
    }
    for (size_t i = 0; i < count; i++) {
        if (!(rates[i] > 0.0 && rates[i] <= 1000.0)) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "rate %zu: %g is outside (0, 1000]", i,
                              rates[i]);
        }
    }
    return AMUN_OK;
}

/* Complete options of the method, so that only the rate has to change. */
static amun_status read_unlearn(amun_unlearn_options *unlearn, amun_train_options *train,
                                const amun_unlearn_options *given)
{
    AMUN__CHECK(amun__unlearn_options_read(unlearn, given));
    return amun__unlearn_train_options_read(train, unlearn->method, unlearn->train);
}

static amun_status run_all(selection *s, amun_select_trial *trials, size_t *best, amun_model **kept,
                           const amun_advset *set, const double *rates, size_t count,
                           const amun_unlearn_options *given, const amun_call_options *call)
{
    amun_unlearn_options unlearn;
    amun_train_options train;
    amun_select_trial leader = {0};
    AMUN__CHECK(read_unlearn(&unlearn, &train, given));
    for (size_t i = 0; i < count; i++) {
        amun_select_trial trial = {.struct_size = sizeof trial,
                                   .lr = rates[i],
                                   .forget_accuracy = NAN,
                                   .heldout_accuracy = NAN,
                                   .auc = NAN,
                                   .error = NAN};
        amun_model *model = NULL;
        amun_status status = run_trial(s, &unlearn, &train, set, call, &model, &trial);
        if (status == AMUN_OK) {
            status = amun__result_write(&trials[i], &trial, sizeof trial, "trials");
        }
        if (status == AMUN_OK && (i == 0 || is_better(s, &trial, &leader))) {
            amun_model_unref(*kept);
            *kept = amun_model_ref(model);
            leader = trial;
            *best = i;
        }
        amun_model_unref(model);
        AMUN__CHECK(status);
    }
    return leader.failed == 0
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_NUMERIC, "the method diverged at all %zu rates", count);
}

amun_status amun_select_rate(amun_select_trial *trials, size_t *best, amun_model **unlearned,
                             const amun_model *model, const amun_dataset *train,
                             const int64_t *forget, size_t forget_count, const amun_advset *set,
                             const amun_dataset *heldout, const double *rates, size_t count,
                             const amun_unlearn_options *unlearn, const amun_select_options *opts,
                             const amun_call_options *call)
{
    amun__enter();
    if (unlearned != NULL) {
        *unlearned = NULL;
    }
    AMUN__CHECK(check_arguments(trials, best, rates, count));
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    selection s = {.ctx = amun__model_context(model),
                   .model = model,
                   .train = train,
                   .heldout = heldout,
                   .forget = forget,
                   .forget_count = forget_count};
    amun_model *kept = NULL;
    AMUN__CHECK(amun__options_read(&option_table, &s.options, opts));
    AMUN__CHECK(check_labels(&s, train, "train"));
    AMUN__CHECK(check_labels(&s, heldout, "heldout"));
    AMUN__CHECK(amun__indices_check(s.ctx, forget, forget_count, amun_dataset_count(train), false,
                                    "forget set"));
    amun_status status = split_heldout(&s);
    if (status == AMUN_OK) {
        status =
            amun_model_evaluate(&s.before, NULL, model, heldout, s.judged, s.judged_count, NULL);
    }
    if (status == AMUN_OK) {
        status = run_all(&s, trials, best, &kept, set, rates, count, unlearn, call);
    }
    if (status == AMUN_OK && unlearned != NULL) {
        *unlearned = kept;
        kept = NULL;
    }
    amun_model_unref(kept);
    amun__free(s.ctx, s.judged);
    amun__free(s.ctx, s.compared);
    return status;
}
