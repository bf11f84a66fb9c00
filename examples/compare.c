/* compare.c - unlearning methods side by side, beside the original and the retrained model: on a
 * class to be forgotten, or on random samples. A killed run goes on where it was. */
#include <inttypes.h>

#include "compare.h"
#include "picture.h"

/* ---- models ---------------------------------------------------------------------------------- */

amun_model *compare_train(const compare_job *job, const char *name, const compare_case *forget,
                          uint64_t seed, double *seconds)
{
    ex_item it;
    ex_progress progress;
    amun_train_options opts = job->train;
    opts.seed = seed;
    char *training = ex_train_key(&opts);
    ex_item_open(&it, job->work, name, ".safetensors",
                 ex_format("%s, weights %" PRIu64 ", %s, %s", job->base, seed, training,
                           forget != NULL ? forget->key : "all"));
    ex_progress_begin(&progress, "%s %" PRIu64 ": %d epochs", name, seed, (int)opts.epochs);
    amun_model *model = ex_model_create(job->ctx, &job->data, job->arch, seed);
    if (it.done) {
        ex_check(amun_model_load_weights(model, it.path));
        ex_progress_end(&progress, "from the work folder");
    } else {
        amun_train_result result = {.struct_size = sizeof result};
        size_t count = amun_dataset_count(job->data.train), kept = 0;
        int64_t *indices = ex_alloc(count, sizeof *indices);
        char *gone = ex_alloc(count, 1);
        memset(gone, 0, count);
        for (size_t i = 0; forget != NULL && i < forget->count; i++) {
            gone[forget->forget[i]] = 1;
        }
        for (size_t i = 0; i < count; i++) {
            indices[kept] = (int64_t)i;
            kept += gone[i] == 0 ? 1 : 0;
        }
        opts.checkpoint = it.checkpoint;
        ex_item_watch(&progress, &it);
        ex_check(
            amun_train_run(&result, model, job->data.train, indices, kept, &opts, &progress.call));
        ex_check(amun_model_save(model, it.path));
        ex_item_finish(&it);
        ex_progress_trained(&progress, result.loss, result.accuracy);
        free(indices);
        free(gone);
    }
    free(training);
    *seconds = it.spent;
    ex_item_close(&it);
    return model;
}

static void need_advset(const compare_job *job, compare_case *c)
{
    if (c->set == NULL) {
        char *key =
            ex_format("%s, weights %" PRIu64 ", %s, epsilon search", job->base, c->seed, c->key);
        c->set = ex_work_advset(job->ctx, &job->data, job->work, key, NULL, c->original, c->forget,
                                c->count, &c->set_seconds);
    }
}

amun_model *compare_unlearn(const compare_job *job, const compare_method *row, compare_case *c,
                            double *seconds)
{
    ex_item it;
    ex_progress progress;
    amun_model *model = NULL;
    amun_unlearn_options opts = row->opts;
    bool adversarial = opts.method == AMUN_UNLEARN_AMUN || opts.method == AMUN_UNLEARN_AMUN_ADVONLY;
    if (adversarial) {
        need_advset(job, c);
    }
    char *training = ex_train_key(&row->train);
    ex_item_open(&it, job->work, "unlearned", ".safetensors",
                 ex_format("%s, weights %" PRIu64 ", %s, %s, %s", job->base, c->seed, c->key,
                           row->text, training));
    ex_progress_begin(&progress, "%s", row->text);
    ex_check(amun_model_clone(&model, c->original));
    if (it.done) {
        ex_check(amun_model_load_weights(model, it.path));
        ex_progress_end(&progress, "from the work folder");
    } else {
        amun_train_options own = row->train;
        amun_unlearn_result result = {.struct_size = sizeof result};
        own.checkpoint = it.checkpoint;
        opts.train = &own;
        opts.rival = &row->rival;
        opts.trw = &row->trw;
        opts.seed = (uint64_t)ex_args.seed + c->seed;
        ex_item_watch(&progress, &it);
        ex_check(amun_unlearn_run(&result, model, job->data.train, c->forget, c->count,
                                  adversarial ? c->set : NULL, &opts, &progress.call));
        ex_check(amun_model_save(model, it.path));
        ex_item_finish(&it);
        ex_progress_trained(&progress, result.loss, result.accuracy);
    }
    *seconds = it.spent + (adversarial ? c->set_seconds : 0.0);
    free(training);
    ex_item_close(&it);
    return model;
}

/* ---- figures --------------------------------------------------------------------------------- */

void compare_spread(const double *values, size_t count, double *mean, double *sd)
{
    double sum = 0.0, squares = 0.0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        sum += isnan(values[i]) ? 0.0 : values[i];
        used += isnan(values[i]) ? 0 : 1;
    }
    *mean = used > 0 ? sum / (double)used : (double)NAN;
    for (size_t i = 0; i < count; i++) {
        squares += isnan(values[i]) ? 0.0 : (values[i] - *mean) * (values[i] - *mean);
    }
    *sd = used > 1 ? sqrt(squares / (double)(used - 1)) : (double)NAN;
}

void compare_print(double mean, double sd)
{
    char text[40];
    if (isnan(mean)) {
        snprintf(text, sizeof text, "-");
    } else if (isnan(sd)) {
        snprintf(text, sizeof text, "%.2f", mean);
    } else {
        snprintf(text, sizeof text, "%.2f +- %.2f", mean, sd);
    }
    printf(" %15s", text);
}

/* ---- main ------------------------------------------------------------------------------------ */

static void read_classes(compare_job *job)
{
    char *copy = ex_format("%s", job->classes), *rest = copy;
    while (rest != NULL) {
        char *text = strsep(&rest, ","), *end;
        long long value = strtoll(text, &end, 10);
        if (end == text || *end != '\0' || value < 0 || value >= job->data.classes) {
            ex_usage("--class: \"%s\" is no class, expected 0..%lld", text,
                     (long long)job->data.classes - 1);
        }
        if (job->forget_class_count == COMPARE_CLASSES) {
            ex_usage("--class: more than %d", COMPARE_CLASSES);
        }
        job->forget_classes[job->forget_class_count++] = value;
    }
    free(copy);
}

static void prepare(compare_job *job)
{
    job->ctx = ex_context();
    ex_data_open(&job->data, job->ctx);
    job->arch = job->arch != NULL ? job->arch : job->data.arch;
    if (job->references % 2 != 0) {
        ex_usage("--references: %lld is odd", (long long)job->references);
    }
    ex_recipe(&job->train, job->arch);
    ex_training_apply(&job->train, &job->training, &job->data);
    compare_methods_read(job);
    if (job->classes != NULL) {
        read_classes(job);
    }
    if (job->png != NULL) {
        ex_png_check("png");
    }
    ex_work_lock(job->work);
    job->base = ex_base_key(job->ctx, &job->data, job->arch, &job->train);
    printf("%s: %zu images to train on, %zu to test with; %s\n", job->data.name,
           amun_dataset_count(job->data.train), amun_dataset_count(job->data.test), job->arch);
}

int main(int argc, char **argv)
{
    compare_job job = {.work = ".compare",
                       .methods = "finetune,random_label,salun,amun",
                       .training = EX_TRAINING_DEFAULTS,
                       .seeds = 3,
                       .retrained = 3,
                       .references = 16};
    const ex_option options[] = {
        {"arch", EX_CHOICE, &job.arch, 0, 0, EX_ARCHS,
         "network (default: digits; for CIFAR-10 convnet)", false},
        {"methods", EX_LIST, &job.methods, 0, 0, NULL,
         "names, with options of their own: finetune:lr=0.02,trw:beta=5:epochs=3 (default "
         "finetune,random_label,salun,amun)",
         false},
        {"class", EX_LIST, &job.classes, 0, 0, NULL,
         "class to forget, or several: 1,9 (default: none, a random tenth)", false},
        {"forget-count", EX_INT, &job.forget_count, 1, 1e9, NULL,
         "without --class: samples to forget (default: a tenth)", false},
        {"seeds", EX_INT, &job.seeds, 1, 9, NULL, "original models (default 3)", false},
        {"retrained", EX_INT, &job.retrained, 1, 99, NULL,
         "with --class: retrained models (default 3)", false},
        {"references", EX_INT, &job.references, 2, 4096, NULL,
         "without --class: models of the membership attack, even (default 16)", false},
        EX_TRAINING_OPTIONS(job.training),
        {"png", EX_OUT, &job.png, 0, 0, NULL,
         "with --class: picture of which class gets the forgotten images", false},
        {"work", EX_TEXT, &job.work, 0, 0, NULL,
         "folder for models and checkpoints (default .compare)", false},
        {0},
    };
    ex_parse(argc, argv,
             "Compares unlearning methods with the original and with retraining, on whole classes\n"
             "or on random samples. Figures are in percent, with the spread over runs.",
             options);
    prepare(&job);
    (job.forget_class_count > 0 ? compare_class : compare_samples)(&job);
    compare_methods_free(&job);
    ex_data_close(&job.data);
    amun_context_unref(job.ctx);
    free(job.base);
    return 0;
}
