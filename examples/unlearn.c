/* unlearn.c - makes a trained model forget some of its training samples. */
#include <unistd.h>

#include "common.h"

typedef struct arguments {
    const char *model, *method, *search, *advset, *out;
    ex_forget forget;
    ex_training training;
    bool no_remain;
} arguments;

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
                       const double before[2], const double after[2])
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
    amun_unlearn_result result = {.struct_size = sizeof result};
    size_t count = 0;
    double before[2], after[2];
    amun_context *ctx = ex_context();
    ex_data_open(&data, ctx);
    ex_check(amun_model_load(&model, ctx, a->model));
    int64_t *forget = ex_forget_indices(&count, &data, &a->forget);

    ex_check(amun_unlearn_options_init(&opts, sizeof opts));
    if (strcmp(a->method, "retrain") == 0) {
        opts.method = AMUN_UNLEARN_RETRAIN;
        ex_recipe(&train, amun_model_arch(model));
    } else {
        opts.method =
            strcmp(a->method, "amun") == 0 ? AMUN_UNLEARN_AMUN : AMUN_UNLEARN_AMUN_ADVONLY;
        ex_check(amun_unlearn_train_options_init(&train, sizeof train, opts.method));
    }
    ex_training_apply(&train, &a->training, &data);
    opts.train = &train;
    opts.remain = a->no_remain ? 0 : 1;
    opts.seed = (uint64_t)ex_args.seed + 1; /* retraining starts from weights of its own */

    print_accuracy("before", model, &data, forget, count, before);
    if (opts.method != AMUN_UNLEARN_RETRAIN) {
        set = get_advset(ctx, a, model, &data, forget, count);
    }
    ex_progress progress;
    ex_progress_begin(&progress, "%s: %d epochs", a->method, (int)train.epochs);
    ex_check(
        amun_unlearn_run(&result, model, data.train, forget, count, set, &opts, &progress.call));
    ex_progress_end(&progress, "loss %.4f, %.2f %% right", result.loss, result.accuracy);
    print_accuracy("after", model, &data, forget, count, after);
    ex_check(amun_model_save(model, a->out));
    printf("weights in %s\n", a->out);
    write_json(a, &result, before, after);

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
                   .training = EX_TRAINING_DEFAULTS};
    const ex_option options[] = {
        {"model", EX_FILE, &a.model, 0, 0, NULL, "weights of the trained model (.safetensors)",
         true},
        {"method", EX_CHOICE, &a.method, 0, 0, "retrain|amun|amun-advonly", "default amun", false},
        EX_FORGET_OPTIONS(a.forget),
        {"no-remain", EX_FLAG, &a.no_remain, 0, 0, NULL,
         "do without the remaining training samples", false},
        {"search", EX_CHOICE, &a.search, 0, 0, EX_SEARCH_CHOICES,
         "how an adversarial set is made (default epsilon)", false},
        {"advset", EX_OUT, &a.advset, 0, 0, NULL,
         "adversarial set: read if it exists, otherwise written", false},
        EX_TRAINING_OPTIONS(a.training),
        {"out", EX_OUT, &a.out, 0, 0, NULL, "weights (default unlearned.safetensors)", false},
        {0},
    };
    ex_parse(argc, argv, "Makes a model forget training samples of the digits or CIFAR-10.",
             options);
    run(&a);
    return 0;
}
