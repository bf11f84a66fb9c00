/* compare_class.h - what the parts of the comparison on forgotten classes share. */
#ifndef EXAMPLES_COMPARE_CLASS_H
#define EXAMPLES_COMPARE_CLASS_H

#include "compare.h"

/* What a model says; then, from INSIDE on, what is left inside it. */
enum {
    ACC_R,
    ACC_F,
    ACC_DF,
    MIA,
    NN_GAP,
    TOP_GAP,
    C2ST,
    TV,
    INSIDE,
    PROBE = INSIDE,
    PROBE_AUC,
    PROTOTYPE,
    PROTOTYPE_R,
    LOSS,
    FIGURES
};

/* Logits of several models on the same images, [models][rows][classes]. */
typedef struct outputs {
    float *test, *forget, *remain;
} outputs;

typedef struct row {
    const char *name;
    size_t runs;
    double *figures[FIGURES], *seconds; /* [runs] */
    double *routing;                    /* [classes], percent of T_F, mean over the runs */
    double ulira;                       /* AUC of all runs against the retrained models */
    outputs out;
} row;

typedef struct table {
    const compare_job *job;
    size_t classes, test, forget, remain; /* rows of logits */
    int64_t *labels;                      /* [test] */
    int64_t *forget_labels;
    int64_t *kept, *kept_labels; /* [remain]: D_R, or some of it */
    row *rows;                   /* original, retrain, then the methods */
    size_t count;
    compare_case base; /* the forget set */
    int64_t *indices;
} table;

/* ---- compare_figures.c ----------------------------------------------------------------------- */

/* Is this one of the classes to be forgotten? */
bool compare_class_gone(const compare_job *job, int64_t label);
/* All figures of a row from its logits; the row of retrained models must have its logits by then.
 */
void compare_class_evaluate(table *t, row *r);

/* ---- compare_tables.c ------------------------------------------------------------------------ */

/* Tables to standard output, JSON and a picture where they are wanted. */
void compare_class_report(const table *t);

#endif
