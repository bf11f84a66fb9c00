/* audit.h - what the files of the mia room share. Private. */
#ifndef AMUN__MIA_AUDIT_H
#define AMUN__MIA_AUDIT_H

#include "amun/mia.h"
#include "core/core.h"

/* ---- signals (scores.c) ------------------------------------------------------------------------
 */

/* Copies opts (NULL: defaults) and checks what a table cannot say. */
amun_status amun__rmia_options_read(amun_rmia_options *full, const amun_rmia_options *opts);
extern const amun__options_table amun__rmia_options_table;
/* amun_signal_compute() after its arguments were read; `scratch` holds one row of doubles. */
amun_status amun__signal_rows(double *signal, size_t *nonpositive, const amun_tensor_view *logits,
                              const amun_tensor_view *labels, const amun_rmia_options *opts,
                              double *scratch);
/* Logits are [n >= 1, classes >= 2] floating point and labels [n] integers. */
amun_status amun__score_views_check(const amun_tensor_view *logits, const amun_tensor_view *labels,
                                    size_t *n, size_t *classes);

/* ---- RMIA (rmia.c) ------------------------------------------------------------------------------
 */

/* amun_rmia_scores() with the allocator of a context and complete options. */
amun_status amun__rmia_scores(amun_context *ctx, double *scores, const double *target,
                              const double *references, const uint8_t *included,
                              const uint8_t *population, size_t models, size_t n,
                              const amun_rmia_options *opts);
amun_status amun__rmia_inclusion(amun_context *ctx, uint8_t *included, size_t models, size_t n,
                                 uint32_t seed);

/* ---- ROC (auc.c) --------------------------------------------------------------------------------
 */

amun_status amun__auc_compute(amun_context *ctx, double *auc, const double *positives,
                              size_t n_positives, const double *negatives, size_t n_negatives);
amun_status amun__tpr_at_fpr(amun_context *ctx, double *tpr, const double *positives,
                             size_t n_positives, const double *negatives, size_t n_negatives,
                             double fpr);
/* The highest threshold of "score >= threshold" where |TPR + FPR - 1| is least, and the rates. */
amun_status amun__equal_error(amun_context *ctx, double *threshold, double *tpr, double *fpr,
                              const double *positives, size_t n_positives, const double *negatives,
                              size_t n_negatives);

/* ---- SVC-MIA (svc.c) ----------------------------------------------------------------------------
 */

bool amun__svc_available(void);
amun_status amun__svc_mis(amun_context *ctx, double *mis, const double *members,
                          const double *nonmembers, size_t n_each, const double *forget,
                          size_t n_forget);

/* ---- the audit's handle (mia.c, references.c, audit.c) --------------------------------------- */

/* Where a row of signals came from. */
typedef enum amun__ready {
    AMUN__REFERENCE_ABSENT = 0,
    AMUN__REFERENCE_GIVEN = 1,  /* amun_mia_set_reference() */
    AMUN__REFERENCE_TRAINED = 2 /* amun_mia_train_references() */
} amun__ready;

struct amun_mia {
    amun__object object;
    amun_dataset *train, *test; /* the pool, in this order */
    size_t n_train, n_test, n_pool;
    amun_mia_options options; /* `rmia` points to the member below */
    amun_rmia_options rmia;
    int64_t classes;      /* largest label + 1; logits have at least as many columns */
    uint8_t *included;    /* [references][pool] */
    double *signals;      /* [references][pool] */
    uint8_t *ready;       /* [references], amun__ready */
    int64_t *nonpositive; /* [references]: Taylor sums that were not positive */
    int64_t *labels;      /* [pool] */
    uint64_t hashes[2];   /* of train and test, once `hashed` */
    uint64_t recipe;      /* hash of what the trained rows were trained with */
    int32_t hashed;
};

/* Signals of row `number` from logits [pool, classes]. */
amun_status amun__mia_store(amun_mia *mia, int32_t number, const amun_tensor_view *logits,
                            amun__ready ready);
/* Logits of `model` on train, then test: *out is freed by the caller, who holds begin_read or
 * begin_write on the model; *view describes it. */
amun_status amun__mia_pool_logits(amun_mia *mia, const amun_model *model, float **out,
                                  amun_tensor_view *view, amun__progress_state *progress,
                                  const char *phase);
/* The model's input and classes fit the pool. */
amun_status amun__mia_check_model(const amun_mia *mia, const amun_model *model);

#endif
