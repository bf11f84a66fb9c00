/* job.h - the main job on some digits: train, references, adversarial set, unlearn, audit, report.
 * Everything that it writes goes into one folder. */
#ifndef AMUN_TEST_JOB_H
#define AMUN_TEST_JOB_H

#include "api.h"

typedef struct job_form {
    const char *folder;
    int32_t threads, epochs, unlearn_epochs, references, batch, augment;
    size_t train, test, forget;
    uint64_t seed;
    double unlearn_lr;
} job_form;

typedef struct job_result {
    amun_audit original, retrain, amun, amun_df;
    double forget_loss[4]; /* mean cross-entropy of the forget samples, in this order */
    size_t found;
    amun_unlearn_result unlearned;
} job_result;

/* Creates or empties the folder first. Files: original, retrain, amun, amun_df (.safetensors),
 * set.safetensors, references/..., report.json. */
void job_run(const job_form *form, job_result *result);

#endif
