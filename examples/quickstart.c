/* quickstart.c - the main job: trains a classifier on real images, makes it forget a tenth of its
 * training samples with AMUN, and compares the result with a model retrained without them, through
 * the eyes of a membership-inference attack. Averages over several forget sets.
 *
 * Everything that takes time is kept in the work folder, under names made from the options that it
 * depends on. A run that was killed goes on where it was; other options never meet its files. */
#include <inttypes.h>

#include "work.h"

/* How AMUN fine-tunes; -1: what suits the data. */
typedef struct fine_tuning {
    int64_t epochs, step_epochs; /* lr falls to a tenth every step_epochs */
    double lr;
} fine_tuning;

typedef struct job {
    /* the command line */
    const char *arch, *work, *search;
    int64_t search_steps;
    ex_training training;
    int64_t references, forget_sets, forget_count;
    fine_tuning amun, amun_df;
    int64_t unlearn_augment; /* -1: unless the data must not be */
    /* what they come to */
    amun_context *ctx;
    ex_data data;
    amun_train_options train;
    char *base; /* the options that everything depends on, as text */
    amun_model *original;
    double original_seconds, references_seconds;
    amun_mia *mia;
    amun_report *report;
} job;

/* ---- the steps ------------------------------------------------------------------------------- */

static void train_original(job *j)
{
    ex_item it;
    ex_progress progress;
    ex_item_open(&it, j->work, "original", ".safetensors", ex_format("%s", j->base));
    ex_progress_begin(&progress, "original: %d epochs", (int)j->train.epochs);
    j->original = ex_model_create(j->ctx, &j->data, j->arch, (uint64_t)ex_args.seed);
    if (it.done) {
        ex_check(amun_model_load_weights(j->original, it.path));
        ex_progress_end(&progress, "from the work folder");
    } else {
        amun_train_options opts = j->train;
        amun_train_result result = {.struct_size = sizeof result};
        ex_item_watch(&progress, &it);
        opts.checkpoint = it.checkpoint;
        ex_check(
            amun_train_run(&result, j->original, j->data.train, NULL, 0, &opts, &progress.call));
        ex_check(amun_model_save(j->original, it.path));
        ex_item_finish(&it);
        ex_progress_trained(&progress, result.loss, result.accuracy);
    }
    j->original_seconds = it.spent;
    ex_item_close(&it);
}

/* One forget set and what is made from it. */
typedef struct forgetting {
    uint64_t seed;
    int64_t *indices;
    size_t count;
    amun_advset *set;
    double set_seconds;
} forgetting;

static char *forget_key(const job *j, const forgetting *f)
{
    return ex_format("%s, forget %zu of seed %" PRIu64, j->base, f->count, f->seed);
}

static void audit(job *j, const forgetting *f, const char *name, const amun_model *model,
                  double seconds)
{
    amun_audit figures = {.struct_size = sizeof figures};
    ex_check(amun_mia_audit(&figures, j->mia, model, f->indices, f->count, NULL));
    ex_check(amun_report_add(j->report, name, f->seed, &figures, seconds));
}

/* How the adversarial sets are made. */
static char *search_key(const job *j)
{
    return j->search_steps > 0
               ? ex_format("%s search, %lld steps", j->search, (long long)j->search_steps)
               : ex_format("%s search", j->search);
}

static void build_advset(job *j, forgetting *f)
{
    amun_search_options opts;
    char *forget_text = forget_key(j, f), *search_text = search_key(j);
    ex_check(amun_search_options_init(&opts, sizeof opts));
    opts.method = ex_search_method(j->search);
    opts.steps = j->search_steps > 0 ? (int32_t)j->search_steps : opts.steps;
    f->set =
        ex_work_advset(j->ctx, &j->data, j->work, ex_format("%s, %s", forget_text, search_text),
                       &opts, j->original, f->indices, f->count, &f->set_seconds);
    free(forget_text);
    free(search_text);
}

/* What the usual search need not say. */
static char *set_key(const job *j)
{
    char *search = search_key(j);
    bool usual = strcmp(search, "epsilon search") == 0;
    char *key = usual ? ex_format("%s", "") : ex_format(", %s", search);
    free(search);
    return key;
}

/* Runs one way of forgetting and audits its model. */
static void forget(job *j, const forgetting *f, const char *name, amun_unlearn_method method,
                   int32_t remain, const amun_train_options *train)
{
    ex_item it;
    ex_progress progress;
    amun_model *model = NULL;
    amun_unlearn_options opts;
    char *forget_text = forget_key(j, f), *train_text = ex_train_key(train);
    char *set_text = method == AMUN_UNLEARN_RETRAIN ? ex_format("%s", "") : set_key(j);
    ex_check(amun_unlearn_options_init(&opts, sizeof opts));
    opts.method = method;
    opts.remain = remain;
    opts.seed = (uint64_t)ex_args.seed + 1 + f->seed; /* retraining begins elsewhere */
    ex_item_open(&it, j->work, name, ".safetensors",
                 ex_format("%s, %s%s", forget_text, train_text, set_text));
    ex_progress_begin(&progress, "%s: %d epochs", name, (int)train->epochs);
    ex_check(amun_model_clone(&model, j->original));
    if (it.done) {
        ex_check(amun_model_load_weights(model, it.path));
        ex_progress_end(&progress, "from the work folder");
    } else {
        amun_train_options own = *train;
        amun_unlearn_result result = {.struct_size = sizeof result};
        ex_item_watch(&progress, &it);
        own.checkpoint = it.checkpoint;
        opts.train = &own;
        ex_check(amun_unlearn_run(&result, model, j->data.train, f->indices, f->count,
                                  method == AMUN_UNLEARN_RETRAIN ? NULL : f->set, &opts,
                                  &progress.call));
        ex_check(amun_model_save(model, it.path));
        ex_item_finish(&it);
        ex_progress_trained(&progress, result.loss, result.accuracy);
    }
    audit(j, f, name, model, it.spent + (method == AMUN_UNLEARN_RETRAIN ? 0.0 : f->set_seconds));
    amun_model_unref(model);
    ex_item_close(&it);
    free(forget_text);
    free(train_text);
    free(set_text);
}

static void fine_tune_options(const job *j, amun_train_options *opts, const fine_tuning *tuning)
{
    ex_check(amun_unlearn_train_options_init(opts, sizeof *opts, AMUN_UNLEARN_AMUN));
    opts->lr = tuning->lr;
    opts->epochs = (int32_t)tuning->epochs;
    opts->step_epochs = (int32_t)tuning->step_epochs;
    opts->batch = j->train.batch;
    opts->clip = j->train.clip;
    opts->seed = (uint64_t)ex_args.seed;
    if (!j->unlearn_augment) {
        ex_train_plain(opts);
    }
}

static void run_forget_set(job *j, int64_t number, uint64_t seed)
{
    forgetting f = {.seed = seed};
    amun_train_options retrain = j->train, amun, amun_df;
    printf("-- forget set %lld of %lld (seed %" PRIu64 ")\n", (long long)number + 1,
           (long long)j->forget_sets, seed);
    f.indices = ex_forget_indices(&f.count, &j->data,
                                  &(ex_forget){.count = j->forget_count, .seed = (int64_t)seed});
    retrain.seed = (uint64_t)ex_args.seed + 1 + seed;
    fine_tune_options(j, &amun, &j->amun);
    fine_tune_options(j, &amun_df, &j->amun_df);
    audit(j, &f, "original", j->original, j->original_seconds);
    forget(j, &f, "retrain", AMUN_UNLEARN_RETRAIN, 1, &retrain);
    build_advset(j, &f);
    forget(j, &f, "amun", AMUN_UNLEARN_AMUN, 1, &amun);
    forget(j, &f, "amun_df", AMUN_UNLEARN_AMUN, 0, &amun_df);
    amun_advset_unref(f.set);
    free(f.indices);
}

/* ---- the report ------------------------------------------------------------------------------ */

static void add_options(job *j)
{
    char *search = search_key(j);
    char *options = ex_format(
        "{\"seed\": %lld, \"epochs\": %d, \"batch\": %d, \"lr\": %.17g, \"weight_decay\": %.17g, "
        "\"label_smoothing\": %.17g, \"augment\": %s, \"forget_sets\": %lld, "
        "\"unlearn_epochs\": %lld, \"unlearn_lr\": %.17g, \"unlearn_epochs_df\": %lld, "
        "\"unlearn_lr_df\": %.17g, \"unlearn_augment\": %s, \"search\": \"%s\", "
        "\"train_count\": %zu, \"test_count\": %zu}",
        (long long)ex_args.seed, (int)j->train.epochs, (int)j->train.batch, j->train.lr,
        j->train.weight_decay, j->train.label_smoothing,
        j->train.augment_pad > 0 || j->train.augment_flip ? "true" : "false",
        (long long)j->forget_sets, (long long)j->amun.epochs, j->amun.lr,
        (long long)j->amun_df.epochs, j->amun_df.lr, j->unlearn_augment ? "true" : "false", search,
        amun_dataset_count(j->data.train), amun_dataset_count(j->data.test));
    ex_check(amun_report_add_provenance(j->report, "options", options));
    free(options);
    free(search);
}

static void finish_report(job *j)
{
    char *timings = ex_format("{\"references\": %.3f}", j->references_seconds);
    ex_check(amun_report_add_provenance(j->report, "timings", timings));
    free(timings);
    size_t size = 0;
    ex_check(amun_report_table(j->report, NULL, 0, &size));
    char *table = ex_alloc(size, 1);
    ex_check(amun_report_table(j->report, table, size, NULL));
    printf("\n%s", table);
    ex_check(amun_report_write(j->report, ex_args.json));
    free(table);
}

/* ---- main ------------------------------------------------------------------------------------ */

/* Found by trial on one forget set, as the paper finds its own. The forget set alone takes a
 * lighter hand for a longer time. */
static void fine_tune_defaults(job *j)
{
    bool digits = strcmp(j->data.name, "digits") == 0;
    const fine_tuning with_remain = digits ? (fine_tuning){10, 1, 0.01} : (fine_tuning){3, 1, 0.1};
    const fine_tuning alone = digits ? (fine_tuning){10, 1, 0.007} : (fine_tuning){6, 3, 0.02};
    fine_tuning *const given[2] = {&j->amun, &j->amun_df};
    const fine_tuning *const usual[2] = {&with_remain, &alone};
    for (int i = 0; i < 2; i++) {
        given[i]->epochs = given[i]->epochs < 0 ? usual[i]->epochs : given[i]->epochs;
        given[i]->lr = given[i]->lr < 0.0 ? usual[i]->lr : given[i]->lr;
        given[i]->step_epochs = usual[i]->step_epochs;
    }
    if (j->unlearn_augment < 0) {
        j->unlearn_augment = j->data.augment;
    }
}

static void prepare(job *j)
{
    j->ctx = ex_context();
    ex_data_open(&j->data, j->ctx);
    j->arch = j->arch != NULL ? j->arch : j->data.arch;
    if (j->references % 2 != 0) {
        ex_usage("--references: %lld is odd", (long long)j->references);
    }
    fine_tune_defaults(j);
    ex_recipe(&j->train, j->arch);
    ex_training_apply(&j->train, &j->training, &j->data);
    size_t count = 0;
    free(ex_forget_indices(&count, &j->data, &(ex_forget){.count = j->forget_count}));
    ex_work_lock(j->work);
    j->base = ex_base_key(j->ctx, &j->data, j->arch, &j->train);
    ex_check(amun_report_create(&j->report, j->ctx, j->data.name, j->arch, count,
                                (int32_t)j->references));
    add_options(j);
    printf("%s: %zu images to train on, %zu to test with; %s; %zu to forget\n", j->data.name,
           amun_dataset_count(j->data.train), amun_dataset_count(j->data.test), j->arch, count);
}

static void finish(job *j)
{
    amun_report_unref(j->report);
    amun_mia_unref(j->mia);
    amun_model_unref(j->original);
    ex_data_close(&j->data);
    amun_context_unref(j->ctx);
    free(j->base);
}

int main(int argc, char **argv)
{
    job j = {.work = ".quickstart",
             .training = EX_TRAINING_DEFAULTS,
             .references = 16,
             .forget_sets = 3,
             .amun = {.epochs = -1, .lr = -1.0},
             .amun_df = {.epochs = -1, .lr = -1.0},
             .unlearn_augment = -1,
             .search = "epsilon"};
    const ex_option options[] = {
        {"arch", EX_CHOICE, &j.arch, 0, 0, "digits|resnet8|resnet20|resnet18|convnet",
         "network (default: digits; for CIFAR-10 convnet)", false},
        EX_TRAINING_OPTIONS(j.training),
        {"references", EX_INT, &j.references, 2, 4096, NULL,
         "models of the membership attack, even (default 16)", false},
        {"forget-sets", EX_INT, &j.forget_sets, 1, 9, NULL, "to average over (default 3)", false},
        {"forget-count", EX_INT, &j.forget_count, 1, 1e9, NULL,
         "samples to forget (default: a tenth)", false},
        {"unlearn-lr", EX_REAL, &j.amun.lr, 0, 1000, NULL,
         "of AMUN with the remaining data (default 0.1; digits 0.01)", false},
        {"unlearn-lr-df", EX_REAL, &j.amun_df.lr, 0, 1000, NULL,
         "of AMUN on the forget set only (default 0.02; digits 0.007)", false},
        {"unlearn-epochs", EX_INT, &j.amun.epochs, 1, 100000, NULL,
         "of AMUN with the remaining data (default 3; digits 10)", false},
        {"unlearn-epochs-df", EX_INT, &j.amun_df.epochs, 1, 100000, NULL,
         "of AMUN on the forget set only (default 6; digits 10)", false},
        {"unlearn-augment", EX_INT, &j.unlearn_augment, 0, 1, NULL,
         "1: AMUN crops and flips clean images (default: not for digits)", false},
        {"search", EX_CHOICE, &j.search, 0, 0, EX_SEARCH_CHOICES,
         "how adversarial sets are made (default epsilon)", false},
        {"search-steps", EX_INT, &j.search_steps, 1, 10000, NULL,
         "epsilon: per radius; ddn, fmn: in all (default 50)", false},
        {"work", EX_TEXT, &j.work, 0, 0, NULL,
         "folder for models and checkpoints (default .quickstart)", false},
        {0},
    };
    ex_args.json = "report.json";
    ex_parse(
        argc, argv,
        "Trains, forgets with AMUN, and compares with retraining: UA, RA, TA (accuracy on\n"
        "forgotten, remaining and test samples), FT-AUC (membership attack: 50 is a coin toss)\n"
        "and MIS, all in percent. Writes report.json (--json FILE). A killed run goes on.",
        options);
    double began = ex_now();
    prepare(&j);
    train_original(&j);
    j.mia = ex_work_references(j.ctx, &j.data, j.work, j.base, j.original, &j.train, j.references,
                               &j.references_seconds);
    uint64_t seed = 1; /* 1, 10, 100: the published forget sets */
    for (int64_t k = 0; k < j.forget_sets; k++, seed *= 10) {
        run_forget_set(&j, k, seed);
    }
    finish_report(&j);
    printf("%s written after %.1f s\n", ex_args.json, ex_now() - began);
    finish(&j);
    return 0;
}
