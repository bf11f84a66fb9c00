/* audit.c - what do models still know about samples that they should have forgotten? */
#include "common.h"

typedef struct arguments {
    ex_list models;
    const char *references_dir;
    int64_t references;
    ex_forget forget;
    ex_training training;
} arguments;

/* The file's name without folder and ending: the row's name in the table. */
static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return ex_format("%.*s", (int)(dot != NULL && dot > name ? (size_t)(dot - name) : strlen(name)),
                     name);
}

static amun_mia *get_references(amun_context *ctx, const arguments *a, const ex_data *data,
                                const amun_model *like)
{
    amun_mia *mia = NULL;
    amun_mia_options opts;
    amun_train_options train;
    ex_progress progress;
    ex_check(amun_mia_options_init(&opts, sizeof opts));
    opts.references = (int32_t)a->references;
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_mia_create(&mia, ctx, data->train, data->test, &opts));
    ex_recipe(&train, amun_model_arch(like));
    ex_training_apply(&train, &a->training, data);
    ex_progress_begin(&progress, "%d reference models", (int)opts.references);
    ex_check(amun_mia_train_references(mia, like, &train, a->references_dir, &progress.call));
    ex_progress_end(&progress, "in %s", a->references_dir);
    return mia;
}

static void print_report(const amun_report *report)
{
    size_t size = 0;
    ex_check(amun_report_table(report, NULL, 0, &size));
    char *table = ex_alloc(size, 1);
    ex_check(amun_report_table(report, table, size, NULL));
    fputs(table, stdout);
    free(table);
}

static void run(const arguments *a)
{
    ex_data data;
    amun_model *models[EX_LIST_MAX] = {NULL};
    amun_report *report = NULL;
    size_t count = 0;
    amun_context *ctx = ex_context();
    ex_data_open(&data, ctx);
    int64_t *forget = ex_forget_indices(&count, &data, &a->forget);
    for (size_t i = 0; i < a->models.count; i++) { /* a bad file is found now, not after hours */
        ex_check(amun_model_load(&models[i], ctx, a->models.items[i]));
    }
    amun_mia *mia = get_references(ctx, a, &data, models[0]);
    ex_check(amun_report_create(&report, ctx, data.name, amun_model_arch(models[0]), count,
                                (int32_t)a->references));
    for (size_t i = 0; i < a->models.count; i++) {
        amun_audit audit = {.struct_size = sizeof audit};
        char *name = name_of(a->models.items[i]);
        ex_check(amun_mia_audit(&audit, mia, models[i], forget, count, NULL));
        ex_check(amun_report_add(report, name, (uint64_t)a->forget.seed, &audit, audit.seconds));
        amun_model_unref(models[i]);
        free(name);
    }
    print_report(report);
    if (ex_args.json != NULL) {
        ex_check(amun_report_write(report, ex_args.json));
    }
    free(forget);
    amun_report_unref(report);
    amun_mia_unref(mia);
    ex_data_close(&data);
    amun_context_unref(ctx);
}

int main(int argc, char **argv)
{
    arguments a = {.references_dir = "references",
                   .references = 16,
                   .forget = EX_FORGET_DEFAULTS,
                   .training = EX_TRAINING_DEFAULTS};
    const ex_option options[] = {
        {"model", EX_FILES, &a.models, 0, 0, NULL, "weights; may be given several times", true},
        EX_FORGET_OPTIONS(a.forget),
        {"references", EX_INT, &a.references, 2, 4096, NULL,
         "models of the membership attack, even (default 16)", false},
        {"references-dir", EX_TEXT, &a.references_dir, 0, 0, NULL,
         "where they are kept, and trained if missing (default references)", false},
        EX_TRAINING_OPTIONS(a.training),
        {0},
    };
    ex_parse(
        argc, argv,
        "Audits models against the samples that they should have forgotten: UA, RA, TA\n"
        "(accuracy on forgotten, remaining and test samples), FT-AUC (membership attack: 50 is\n"
        "a coin toss) and MIS, in percent. The training options are those of the references:\n"
        "they should be the ones that the models were trained with.",
        options);
    if (a.references % 2 != 0) {
        ex_usage("--references: %lld is odd", (long long)a.references);
    }
    run(&a);
    return 0;
}
