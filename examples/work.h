/* work.h - a work folder: everything that takes time is kept there, under names made from what it
 * depends on, so that a killed program goes on where it was. */
#ifndef EXAMPLES_WORK_H
#define EXAMPLES_WORK_H

#include "common.h"

/* One thing: a file, what it was made from, and how long that took. The note beside it holds the
 * latter two, so that time spent before an interruption counts. */
typedef struct ex_item {
    char *key;  /* what it was made from */
    char *path; /* of the file (or folder) itself */
    char *note, *checkpoint;
    double spent; /* seconds, by earlier runs; at the end all */
    double began;
    bool done;
} ex_item;

/* `key` is kept. `suffix` "" makes a folder's name. */
void ex_item_open(ex_item *it, const char *work, const char *name, const char *suffix, char *key);
/* It is there: from now on it is used as it is. */
void ex_item_finish(ex_item *it);
void ex_item_close(ex_item *it);
/* The time that `it` takes is noted as it passes. */
void ex_item_watch(ex_progress *progress, ex_item *it);

/* Creates the folder, and sees to it that no other program is at work there until this one ends. */
void ex_work_lock(const char *work);
/* Text that tells two trainings apart, and all that follows from the data, the network and the
 * training. Fresh memory. */
char *ex_train_key(const amun_train_options *train);
char *ex_base_key(amun_context *ctx, const ex_data *data, const char *arch,
                  const amun_train_options *train);

/* The attacker's models, each trained on a random half of all data; *seconds: over all runs. */
amun_mia *ex_work_references(amun_context *ctx, const ex_data *data, const char *work,
                             const char *base, const amun_model *like,
                             const amun_train_options *train, int64_t count, double *seconds);
/* The adversarial set of forget samples. `key` as in ex_item_open(). */
amun_advset *ex_work_advset(amun_context *ctx, const ex_data *data, const char *work, char *key,
                            const amun_search_options *opts, const amun_model *model,
                            const int64_t *forget, size_t count, double *seconds);

#endif
