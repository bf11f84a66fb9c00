/* job.c - see job.h. */
#include <dirent.h>
#include <sys/stat.h>

#include "job.h"

static const char *path_of(char out[4096], const job_form *form, const char *name)
{
    snprintf(out, 4096, "%s/%s", form->folder, name);
    return out;
}

static void empty_folder(const char *folder)
{
    DIR *open = opendir(folder);
    if (open == NULL) {
        ck_assert(mkdir(folder, 0777) == 0);
        return;
    }
    for (struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        char path[4096 + 260];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            remove(path);
        }
    }
    closedir(open);
}

typedef struct job {
    const job_form *form;
    amun_context *ctx;
    amun_dataset *train, *test;
    amun_model *original;
    amun_mia *mia;
    amun_advset *set;
    amun_report *report;
    int64_t *forget;
    amun_train_options options;
    amun_model_options shape;
    double *forget_loss; /* of the next model */
} job;

static void prepare(job *j)
{
    const job_form *form = j->form;
    char path[4096];
    amun_context_options context;
    amun_mia_options audits;
    empty_folder(path_of(path, form, "references"));
    ck_ok(amun_context_options_init(&context, sizeof context));
    context.threads = form->threads;
    ck_ok(amun_context_create(&j->ctx, &context));
    j->train = digits(j->ctx, 0, form->train);
    j->test = digits(j->ctx, form->train, form->test);
    ck_ok(amun_model_options_init(&j->shape, sizeof j->shape));
    j->shape.channels = 1;
    j->shape.height = j->shape.width = 8;
    j->shape.seed = form->seed;
    ck_ok(amun_train_options_init(&j->options, sizeof j->options));
    j->options.epochs = form->epochs;
    j->options.batch = form->batch;
    j->options.schedule = AMUN_SCHEDULE_COSINE;
    j->options.lr = 0.05;
    j->options.augment_pad = form->augment;
    j->options.augment_flip = 0;
    j->options.seed = form->seed;
    j->forget = malloc(form->forget * sizeof *j->forget);
    ck_assert(j->forget != NULL);
    ck_ok(amun_forget_indices(j->forget, form->forget, form->train, (uint32_t)form->seed));
    ck_ok(amun_mia_options_init(&audits, sizeof audits));
    audits.references = form->references;
    audits.seed = form->seed;
    ck_ok(amun_mia_create(&j->mia, j->ctx, j->train, j->test, &audits));
    ck_ok(
        amun_report_create(&j->report, j->ctx, "digits", "digits", form->forget, form->references));
}

static void audit(job *j, amun_audit *out, const amun_model *model, const char *name)
{
    char path[4096], file[64];
    *out = (amun_audit){.struct_size = sizeof *out};
    ck_ok(amun_mia_audit(out, j->mia, model, j->forget, j->form->forget, NULL));
    ck_ok(amun_report_add(j->report, name, j->form->seed, out, 1.0));
    ck_ok(amun_model_evaluate(NULL, j->forget_loss++, model, j->train, j->forget, j->form->forget,
                              NULL));
    snprintf(file, sizeof file, "%s.safetensors", name);
    ck_ok(amun_model_save(model, path_of(path, j->form, file)));
}

static void forget(job *j, amun_audit *out, const char *name, amun_unlearn_method method,
                   int32_t remain, amun_unlearn_result *done)
{
    amun_unlearn_options options;
    amun_train_options tune;
    amun_model *model = NULL;
    ck_ok(amun_unlearn_options_init(&options, sizeof options));
    ck_ok(amun_unlearn_train_options_init(&tune, sizeof tune, method));
    options.method = method;
    options.remain = remain;
    options.seed = j->form->seed + 77;
    if (method == AMUN_UNLEARN_RETRAIN) {
        tune = j->options;
    } else {
        tune.epochs = j->form->unlearn_epochs;
        tune.lr = j->form->unlearn_lr;
        tune.augment_pad = j->form->augment;
        tune.augment_flip = 0;
    }
    tune.batch = j->form->batch;
    tune.seed = j->form->seed + 5;
    options.train = &tune;
    ck_ok(amun_model_clone(&model, j->original));
    ck_ok(amun_unlearn_run(done, model, j->train, j->forget, j->form->forget,
                           method == AMUN_UNLEARN_RETRAIN ? NULL : j->set, &options, NULL));
    audit(j, out, model, name);
    amun_model_unref(model);
}

void job_run(const job_form *form, job_result *result)
{
    job j = {.form = form};
    char path[4096];
    amun_attack *search = NULL;
    memset(result, 0, sizeof *result);
    j.forget_loss = result->forget_loss;
    result->unlearned.struct_size = sizeof result->unlearned;
    mkdir(form->folder, 0777);
    prepare(&j);
    ck_ok(amun_model_create(&j.original, j.ctx, "digits", &j.shape));
    ck_ok(amun_train_run(NULL, j.original, j.train, NULL, 0, &j.options, NULL));
    ck_ok(amun_mia_train_references(j.mia, j.original, &j.options,
                                    path_of(path, form, "references"), NULL));
    audit(&j, &result->original, j.original, "original");
    forget(&j, &result->retrain, "retrain", AMUN_UNLEARN_RETRAIN, 1, NULL);
    ck_ok(amun_attack_create_search(&search, j.ctx, NULL));
    ck_ok(amun_advset_build(&j.set, search, j.original, j.train, j.forget, form->forget, NULL));
    ck_ok(amun_advset_save(j.set, path_of(path, form, "set.safetensors")));
    result->found = amun_advset_found(j.set);
    forget(&j, &result->amun, "amun", AMUN_UNLEARN_AMUN, 1, &result->unlearned);
    forget(&j, &result->amun_df, "amun_df", AMUN_UNLEARN_AMUN, 0, NULL);
    ck_ok(amun_report_write(j.report, path_of(path, form, "report.json")));
    amun_attack_unref(search);
    amun_advset_unref(j.set);
    amun_report_unref(j.report);
    amun_mia_unref(j.mia);
    amun_model_unref(j.original);
    amun_dataset_unref(j.train);
    amun_dataset_unref(j.test);
    amun_context_unref(j.ctx);
    free(j.forget);
}
