/* unlearn.c - makes a trained model forget some of its training samples. */
#include <unistd.h>

#include "common.h"

/* Flags that begin with "trw-"; what is not given stays NaN, negative or NULL. */
typedef struct tilt_arguments {
    double beta, temperature, energy, kappa, forget_floor, forget_weight, noise;
    int64_t components, neighbours, stage, noise_seed;
    const char *score, *control;
    bool bias, balanced, frozen, select;
} tilt_arguments;

typedef struct arguments {
    const char *model, *method, *search, *advset, *out;
    ex_forget forget;
    ex_training training;
    tilt_arguments tilt;
    double mask_ratio;
    bool no_remain;
} arguments;

#define TRW_SCORES "softmax|cosine"
#define TRW_CONTROLS "none|permuted|reversed|uniform|ranks"

static void set_real(double *field, double value)
{
    *field = isnan(value) ? *field : value;
}

static void fill_tilt(amun_trw_options *trw, const tilt_arguments *t)
{
    ex_check(amun_trw_options_init(trw, sizeof *trw));
    set_real(&trw->beta, t->beta);
    set_real(&trw->temperature, t->temperature);
    set_real(&trw->energy, t->energy);
    set_real(&trw->kappa, t->kappa);
    set_real(&trw->forget_floor, t->forget_floor);
    set_real(&trw->forget_weight, t->forget_weight);
    set_real(&trw->noise, t->noise);
    trw->components = (int32_t)t->components;
    trw->neighbours = (int32_t)t->neighbours;
    trw->stage = (int32_t)t->stage;
    trw->noise_seed = (uint64_t)t->noise_seed;
    trw->score = t->score != NULL ? ex_choice(t->score, TRW_SCORES) : trw->score;
    trw->control = t->control != NULL ? ex_choice(t->control, TRW_CONTROLS) : trw->control;
    trw->bias = t->bias ? 1 : 0;
    trw->balanced = t->balanced ? 1 : 0;
    trw->frozen_statistics = t->frozen ? 1 : 0;
}

/* --trw-select: the largest tilt that costs the other classes little. */
static void select_tilt(amun_trw_options *trw, const amun_model *model, const ex_data *data,
                        const int64_t *forget, size_t count, const amun_unlearn_options *opts)
{
    static const double betas[] = {0, 1, 2, 5, 10, 20};
    double heldout[6], original;
    ex_progress progress;
    ex_progress_begin(&progress, "choosing the tilt");
    ex_check(amun_trw_select_beta(&trw->beta, heldout, &original, model, data->train, forget, count,
                                  betas, 6, NULL, opts, &progress.call));
    ex_progress_end(&progress, "beta %g", trw->beta);
    printf("held out: %.2f %% right before", original);
    for (size_t i = 0; i < 6; i++) {
        printf(", beta %g: %.2f %%", betas[i], heldout[i]);
    }
    printf("\n");
}

/* Of the test set, apart: the classes to be forgotten, and the others. */
static void test_classes(const amun_model *model, const ex_data *data, const ex_forget *forget,
                         double accuracy[2])
{
    size_t all = amun_dataset_count(data->test), used[2] = {0, 0};
    uint8_t *chosen = ex_forget_classes(data, forget);
    accuracy[0] = accuracy[1] = (double)NAN;
    if (chosen == NULL) {
        return;
    }
    int64_t *labels = ex_alloc(all, sizeof *labels);
    int64_t *indices[2] = {ex_alloc(all, sizeof **indices), ex_alloc(all, sizeof **indices)};
    ex_check(amun_dataset_labels(data->test, 0, all, labels));
    for (size_t i = 0; i < all; i++) {
        int side = chosen[labels[i]] != 0 ? 0 : 1;
        indices[side][used[side]++] = (int64_t)i;
    }
    for (int side = 0; side < 2; side++) {
        if (used[side] > 0) {
            ex_check(amun_model_evaluate(&accuracy[side], NULL, model, data->test, indices[side],
                                         used[side], NULL));
        }
        free(indices[side]);
    }
    printf("of the test set: %.2f %% of class %s, %.2f %% of the others\n", accuracy[0],
           forget->classes, accuracy[1]);
    free(chosen);
    free(labels);
}

/* The adversarial set in the file, if there is one; otherwise made, and kept there. */
static amun_advset *get_advset(amun_context *ctx, const arguments *a, const amun_model *model,
                               const ex_data *data, const int64_t *forget, size_t count)
{
    amun_advset *set = NULL;
    if (a->advset != NULL && access(a->advset, F_OK) == 0) {
        ex_check(amun_advset_load(&set, data->train, a->advset, ctx));
        return set;
    }
    amun_attack *search = NULL;
    amun_search_options opts;
    ex_progress progress;
    ex_check(amun_search_options_init(&opts, sizeof opts));
    opts.method = ex_search_method(a->search);
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_attack_create_search(&search, ctx, &opts));
    ex_progress_begin(&progress, "adversarial set of %zu samples", count);
    ex_check(amun_advset_build(&set, search, model, data->train, forget, count, &progress.call));
    ex_progress_end(&progress, "%zu found", amun_advset_found(set));
    if (a->advset != NULL) {
        ex_check(amun_advset_save(set, a->advset));
    }
    amun_attack_unref(search);
    return set;
}

static void print_accuracy(const char *when, const amun_model *model, const ex_data *data,
                           const int64_t *forget, size_t count, double accuracy[2])
{
    ex_check(amun_model_evaluate(&accuracy[0], NULL, model, data->train, forget, count, NULL));
    ex_check(amun_model_evaluate(&accuracy[1], NULL, model, data->test, NULL, 0, NULL));
    printf("%s: %.2f %% right on the forget set, %.2f %% on the test set\n", when, accuracy[0],
           accuracy[1]);
}

static void write_json(const arguments *a, const amun_unlearn_result *result,
                       const double before[2], const double after[2], const double classes[2])
{
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "unlearn");
    ex_json_text(&json, "method", a->method);
    ex_json_text(&json, "model", a->out);
    ex_json_int(&json, "remain", result->remain);
    ex_json_int(&json, "forget", result->forget);
    ex_json_int(&json, "adversarial", result->adversarial);
    ex_json_int(&json, "failed", result->failed);
    ex_json_real(&json, "forget_accuracy_before", before[0]);
    ex_json_real(&json, "forget_accuracy", after[0]);
    ex_json_real(&json, "test_accuracy_before", before[1]);
    ex_json_real(&json, "test_accuracy", after[1]);
    if (a->forget.classes != NULL) {
        ex_json_text(&json, "class", a->forget.classes);
        ex_json_real(&json, "test_forget_accuracy", classes[0]);
        ex_json_real(&json, "test_remain_accuracy", classes[1]);
    }
    ex_json_real(&json, "seconds", result->seconds);
    ex_json_close(&json);
}

static void run(const arguments *a)
{
    ex_data data;
    amun_model *model = NULL;
    amun_advset *set = NULL;
    amun_train_options train;
    amun_unlearn_options opts;
    amun_trw_options trw;
    amun_unlearn_result result = {.struct_size = sizeof result};
    size_t count = 0;
    double before[2], after[2], classes[2];
    amun_context *ctx = ex_context();
    ex_data_open(&data, ctx);
    ex_check(amun_model_load(&model, ctx, a->model));
    int64_t *forget = ex_forget_indices(&count, &data, &a->forget);

    ex_check(amun_unlearn_options_init(&opts, sizeof opts));
    opts.method = ex_choice(a->method, EX_METHODS);
    if (opts.method == AMUN_UNLEARN_RETRAIN) {
        ex_recipe(&train, amun_model_arch(model));
    } else {
        ex_check(amun_unlearn_train_options_init(&train, sizeof train, opts.method));
    }
    ex_training_apply(&train, &a->training, &data);
    opts.train = &train;
    opts.remain = a->no_remain ? 0 : 1;
    opts.seed = (uint64_t)ex_args.seed + 1; /* retraining starts from weights of its own */
    opts.mask_ratio = a->mask_ratio;
    fill_tilt(&trw, &a->tilt);
    opts.trw = &trw;

    print_accuracy("before", model, &data, forget, count, before);
    if (a->tilt.select) {
        select_tilt(&trw, model, &data, forget, count, &opts);
    }
    if (opts.method == AMUN_UNLEARN_AMUN || opts.method == AMUN_UNLEARN_AMUN_ADVONLY) {
        set = get_advset(ctx, a, model, &data, forget, count);
    }
    ex_progress progress;
    ex_progress_begin(&progress, "%s: %d epochs", a->method, (int)train.epochs);
    ex_check(
        amun_unlearn_run(&result, model, data.train, forget, count, set, &opts, &progress.call));
    ex_progress_trained(&progress, result.loss, result.accuracy);
    print_accuracy("after", model, &data, forget, count, after);
    test_classes(model, &data, &a->forget, classes);
    ex_check(amun_model_save(model, a->out));
    printf("weights in %s\n", a->out);
    write_json(a, &result, before, after, classes);

    free(forget);
    amun_advset_unref(set);
    amun_model_unref(model);
    ex_data_close(&data);
    amun_context_unref(ctx);
}

int main(int argc, char **argv)
{
    arguments a = {.method = "amun",
                   .search = "epsilon",
                   .out = "unlearned.safetensors",
                   .forget = EX_FORGET_DEFAULTS,
                   .training = EX_TRAINING_DEFAULTS,
                   .tilt = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0, 0, 0, 0, NULL, NULL, false, false,
                            false, false}};
    tilt_arguments *t = &a.tilt;
    const ex_option options[] = {
        {"model", EX_FILE, &a.model, 0, 0, NULL, "weights of the trained model (.safetensors)",
         true},
        {"method", EX_CHOICE, &a.method, 0, 0, EX_METHODS, "default amun", false},
        EX_FORGET_OPTIONS(a.forget),
        {"no-remain", EX_FLAG, &a.no_remain, 0, 0, NULL,
         "do without the remaining training samples", false},
        {"search", EX_CHOICE, &a.search, 0, 0, EX_SEARCH_CHOICES,
         "how an adversarial set is made (default epsilon)", false},
        {"advset", EX_OUT, &a.advset, 0, 0, NULL,
         "adversarial set: read if it exists, otherwise written", false},
        EX_TRAINING_OPTIONS(a.training),
        {"mask-ratio", EX_REAL, &a.mask_ratio, 0, 1, NULL,
         "share of the weights that move (0: the method's own)", false},
        {"trw-beta", EX_REAL, &t->beta, 0, 1000, NULL, "tilt (default 10)", false},
        {"trw-select", EX_FLAG, &t->select, 0, 0, NULL,
         "choose the tilt by held-out samples of the other classes", false},
        {"trw-temperature", EX_REAL, &t->temperature, 1e-3, 1000, NULL,
         "of the softmax over cosines (default 0.1)", false},
        {"trw-score", EX_CHOICE, &t->score, 0, 0, TRW_SCORES, "default softmax", false},
        {"trw-energy", EX_REAL, &t->energy, 0, 1, NULL,
         "share that the principal components keep (default 0.95)", false},
        {"trw-components", EX_INT, &t->components, 0, 65536, NULL, "or: so many of them", false},
        {"trw-bias", EX_FLAG, &t->bias, 0, 0, NULL, "rows with their bias", false},
        {"trw-balanced", EX_FLAG, &t->balanced, 0, 0, NULL,
         "repeat the forget samples until they are as many as the others", false},
        {"trw-frozen", EX_FLAG, &t->frozen, 0, 0, NULL, "batch norm as in evaluation", false},
        {"trw-kappa", EX_REAL, &t->kappa, 0, 1, NULL, "share of each sample's own scores", false},
        {"trw-neighbours", EX_INT, &t->neighbours, 0, 100000, NULL,
         "these by so many neighbours (default 0: by class means)", false},
        {"trw-stage", EX_INT, &t->stage, 0, 64, NULL,
         "of features so many stages before the last layer's (default 0)", false},
        {"trw-forget-floor", EX_REAL, &t->forget_floor, 0, 0.1, NULL,
         "probability left to the forget classes", false},
        {"trw-forget-weight", EX_REAL, &t->forget_weight, 0, 1000, NULL,
         "weight of the forget samples (default 1)", false},
        {"trw-noise", EX_REAL, &t->noise, 0, 100, NULL, "noise on the scores", false},
        {"trw-noise-seed", EX_INT, &t->noise_seed, 0, 1e15, NULL, "its seed", false},
        {"trw-control", EX_CHOICE, &t->control, 0, 0, TRW_CONTROLS, "replaces the scores", false},
        {"out", EX_OUT, &a.out, 0, 0, NULL, "weights (default unlearned.safetensors)", false},
        {0},
    };
    ex_parse(argc, argv, "Makes a model forget training samples of the digits or CIFAR-10.",
             options);
    run(&a);
    return 0;
}
