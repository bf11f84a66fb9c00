/* classes.h - what the audits of a forgotten class share: saved outputs read into doubles, the rows
 * of forget and retained classes, small statistics, linear classifiers, support-vector machines.
 * Private. */
#ifndef AMUN__MIA_CLASSES_H
#define AMUN__MIA_CLASSES_H

#include "amun/audit.h"
#include "amun/probe.h"
#include "core/core.h"

/* Streams of AMUN__RNG_SUBSAMPLE, so that audits with one seed draw independently. */
enum {
    AMUN__DRAW_MIANN = 0x10001,
    AMUN__DRAW_C2ST,
    AMUN__DRAW_SVCMIA,
    AMUN__DRAW_PROBE,
    AMUN__DRAW_PROTOTYPE,
    AMUN__DRAW_LOSSMIA
};

/* ---- saved outputs (classes.c) ------------------------------------------------------------------
 */

typedef struct amun__outputs {
    size_t models, n, classes;
    double *z; /* [models][n][classes], finite */
} amun__outputs;

/* Copies [models, n, classes] (ndim 3) or [n, classes] (ndim 2, models 1). `what` names the view in
 * messages. On failure there is nothing to free. */
amun_status amun__outputs_read(amun_context *ctx, amun__outputs *out, const amun_tensor_view *view,
                               const char *what, int32_t ndim);
/* Both are of the same images and classes. */
amun_status amun__outputs_match(const amun__outputs *a, const char *what_a, const amun__outputs *b,
                                const char *what_b);
/* labels[n] of a view, each in 0..classes-1; *out is freed by the caller. */
amun_status amun__labels_read(amun_context *ctx, int64_t **out, const amun_tensor_view *view,
                              const char *what, size_t n, size_t classes);

static inline const double *amun__outputs_row(const amun__outputs *o, size_t model, size_t row)
{
    return o->z + (model * o->n + row) * o->classes;
}

/* Which classes and rows are to be forgotten. */
typedef struct amun__class_split {
    size_t n, classes;
    int64_t *label;       /* [n] */
    uint8_t *forget;      /* [classes] */
    int64_t *retained;    /* the classes that stay, ascending */
    int64_t *all;         /* 0..classes-1 */
    int64_t *forget_rows; /* rows of forget classes, ascending */
    size_t n_retained, n_forget_rows;
} amun__class_split;

/* Freed by the caller, on failure too; start from zeroes. */
amun_status amun__class_split_read(amun_context *ctx, amun__class_split *split,
                                   const amun_tensor_view *labels, const int64_t *forget,
                                   size_t n_forget, size_t n, size_t classes);
void amun__class_split_free(amun_context *ctx, amun__class_split *split);

/* out[k] = z[kept[k]] - log(sum over kept of exp z). */
void amun__log_softmax_of(double *out, const double *z, const int64_t *kept, size_t n_kept);
/* log p_y - log(1 - p_y) = z_y - logsumexp over j != y, without a floor. */
double amun__log_odds(const double *z, size_t classes, size_t y);
/* Mean (NaN for n = 0) and sample deviation (NaN for n < 2) in the order given; `sd` nullable. */
void amun__mean_sd(const double *values, size_t n, double *mean, double *sd);
/* The distance of each of n values to the mean of the others: mean and sample deviation of the
 * distances, NaN where there are no others. */
void amun__leave_one_out(const double *values, size_t n, double *mean, double *sd);

/* Columns of x[n][width] to mean 0 and deviation 1 of the first n_fit rows; a column that does not
 * vary there is only centred. NUMERIC: values so far apart that the deviation overflows. */
amun_status amun__standardise(double *x, size_t n, size_t n_fit, size_t width);

/* ---- linear classifiers (linear.c) --------------------------------------------------------------
 */

typedef enum amun__loss_kind {
    AMUN__SQUARED_HINGE, /* max(0, 1 - m)^2, the offset penalised like a weight (LinearSVC) */
    AMUN__LOGISTIC       /* log(1 + exp(-m)), the offset free (LogisticRegression) */
} amun__loss_kind;

/* Minimises ridge / 2 |w|^2 + sum over i of cost[y_i] loss(s_i f(x_i)) with f(x) = w x + w[width],
 * s_i = 2 y_i - 1, by Newton's method. w: width + 1 values. NUMERIC: no convergence. */
amun_status amun__linear_fit(amun_context *ctx, amun__loss_kind loss, double *w, const double *x,
                             const uint8_t *y, size_t n, size_t width, double ridge,
                             const double cost[2]);
double amun__linear_value(const double *w, const double *x, size_t width);

/* Minimises ridge / 2 |w|^2 - sum over i of log softmax(w x_i + offsets)[y_i] (softmax.c;
 * scikit-learn's LogisticRegression with C = 1 / ridge). w: [classes][width], then the offsets
 * [classes], which are free. Each class has a row. progress nullable. NUMERIC: no convergence. */
amun_status amun__softmax_fit(amun_context *ctx, double *w, const double *x, const int64_t *y,
                              size_t n, size_t width, size_t classes, double ridge,
                              amun__progress_state *progress);
/* out [n][classes] = x w^T + offsets. */
amun_status amun__softmax_logits(double *out, const double *x, const double *w,
                                 const double *offsets, size_t n, size_t width, size_t classes);
/* The class of the largest logit; of equal ones the first. */
size_t amun__softmax_top(const double *logits, size_t classes);

/* ---- features (matrices.c) ----------------------------------------------------------------------
 */

/* Features [n][width] with a label each, in doubles; freed with amun__matrix_free(). */
typedef struct amun__matrix {
    size_t n, width;
    double *x;
    int64_t *label;
} amun__matrix;
amun_status amun__matrix_read(amun_context *ctx, amun__matrix *m, const amun_tensor_view *features,
                              const amun_tensor_view *labels, const char *what, size_t classes);
/* Of the images of a labelled data set at `count` indices, or of all (NULL, 0). Caller holds
 * begin_read. */
amun_status amun__matrix_take(amun__matrix *m, const amun_model *model, const amun_dataset *data,
                              const int64_t *indices, size_t count,
                              const char *what, int32_t stage, size_t classes,
                              amun__progress_state *progress);
void amun__matrix_free(amun_context *ctx, amun__matrix *m);
/* Both have labels; *classes are those of `train`. */
amun_status amun__classes_of(const amun_dataset *train, const amun_dataset *test, size_t *classes);
/* gone[classes]: 1 for forget classes; freed by the caller. Two others at least are left. */
amun_status amun__forget_read(amun_context *ctx, uint8_t **gone, const int64_t *forget,
                              size_t n_forget, size_t classes);

/* ---- support-vector machines (svc.c) ------------------------------------------------------------
 */

typedef struct amun__svm amun__svm;
typedef struct amun__svm_options {
    bool rbf; /* else linear */
    double c, gamma;
    double cost[2]; /* factors on c for y = 0 and 1 */
} amun__svm_options;

/* C-SVC on x[n][width], y 0 or 1, both present. UNSUPPORTED without libsvm. */
amun_status amun__svm_train(amun_context *ctx, amun__svm **out, const double *x, const uint8_t *y,
                            size_t n, size_t width, const amun__svm_options *opts);
/* How many of x[n][width] the machine calls 1. */
size_t amun__svm_count(amun__svm *svm, const double *x, size_t n);
void amun__svm_free(amun_context *ctx, amun__svm *svm); /* NULL is fine */

#endif
