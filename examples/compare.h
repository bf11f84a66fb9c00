/* compare.h - what the files of the compare program share. */
#ifndef EXAMPLES_COMPARE_H
#define EXAMPLES_COMPARE_H

#include "work.h"

enum { COMPARE_METHODS = 32, COMPARE_CLASSES = 16 };

/* One row of the table: a method with options of its own. */
typedef struct compare_method {
    char *text; /* as it was given: the row's name */
    amun_unlearn_options opts;
    amun_train_options train;
    amun_rival_options rival;
    amun_trw_options trw;
} compare_method;

typedef struct compare_job {
    /* the command line */
    const char *arch, *work, *methods, *classes, *png;
    ex_training training;
    int64_t seeds, retrained, references, forget_count;
    /* what it comes to */
    amun_context *ctx;
    ex_data data;
    amun_train_options train;
    char *base;
    compare_method rows[COMPARE_METHODS];
    size_t row_count;
    int64_t forget_classes[COMPARE_CLASSES];
    size_t forget_class_count; /* 0: random samples are forgotten */
} compare_job;

/* A forget set, and an original model that is to forget it. */
typedef struct compare_case {
    uint64_t seed; /* of the original */
    char *key;     /* of the forget set */
    const int64_t *forget;
    size_t count;
    amun_model *original;
    double original_seconds;
    amun_advset *set; /* made when a method first needs it */
    double set_seconds;
} compare_case;

/* ---- compare_methods.c ----------------------------------------------------------------------- */

/* Reads "name[:key=value]...,name...". */
void compare_methods_read(compare_job *job);
void compare_methods_free(compare_job *job);

/* ---- compare.c ------------------------------------------------------------------------------- */

/* A model trained on everything, or on all but the forget set; from the work folder if it is there.
 */
amun_model *compare_train(const compare_job *job, const char *name, const compare_case *forget,
                          uint64_t seed, double *seconds);
/* A copy of the original after one method; *seconds with its adversarial set. */
amun_model *compare_unlearn(const compare_job *job, const compare_method *row, compare_case *c,
                            double *seconds);

/* ---- compare_inside.c ------------------------------------------------------------------------ */

/* Of a model that should have forgotten classes, percent: linear probe (accuracy on the forgotten
 * classes, AUC), prototypes of a few samples (accuracy on the forgotten classes, on the others). */
enum { COMPARE_INSIDE = 4 };
void compare_inside(const compare_job *job, const amun_model *model,
                    double figures[COMPARE_INSIDE]);

/* ---- compare_class.c, compare_samples.c ------------------------------------------------------ */

void compare_class(const compare_job *job);
void compare_samples(const compare_job *job);

/* Mean and sample deviation; NaN entries (figures that could not be had) are left out. */
void compare_spread(const double *values, size_t count, double *mean, double *sd);
/* "12.34 +- 0.56" right-aligned in 16 columns; "-" for NaN. */
void compare_print(double mean, double sd);

#endif
