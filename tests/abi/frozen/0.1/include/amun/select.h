/* amun/select.h - settings and alarms that need no retrained model: what a user has who cannot
 * retrain, which is why he unlearns. */
#ifndef AMUN_SELECT_H
#define AMUN_SELECT_H

#include "base.h"
#include "context.h"
#include "dataset.h"
#include "model.h"
#include "train.h"
#include "unlearn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a two-sided check ------------------------------------------------------------------------ */

/** Whether the forget samples look like samples that were never seen. */
typedef int32_t amun_verdict;
enum {
    AMUN_VERDICT_CONSISTENT = 1, /**< 50 lies inside the interval */
    AMUN_VERDICT_UNDER = 2,      /**< forget samples still stand out as known: under-unlearned */
    AMUN_VERDICT_OVER = 3        /**< they stand out as unusually wrong: over-unlearned */
};

/** A model that never saw the forget samples treats them as it treats other unseen samples of the
 *  same distribution: AUC 50. Either side of it tells an observer something. @since 0.1 */
typedef struct amun_forget_check {
    size_t struct_size;   /**< set by the caller */
    double auc;           /**< forget above unseen, percent */
    double error;         /**< standard error of auc (DeLong et al., Biometrics 44, 1988), percent */
    double low, high;     /**< auc -+ quantile * error, with the normal quantile of `confidence` */
    double p;             /**< two-sided, of auc = 50; 1 if both groups have the same scores */
    amun_verdict verdict; /**< by [low, high] */
    int32_t reserved;     /**< 0 */
} amun_forget_check;
/** [out] result: struct_size set. [in] forget: n_forget >= 2 scores, unseen: n_unseen >= 2; higher
 *  means more like a member (amun_ulira_phi(), a confidence, or less the loss). [in] confidence in
 *  (0, 1), usually 0.95. No context; any number of threads at once.
 *  Statuses: INVALID_ARGUMENT, NUMERIC (a score is NaN), OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_forget_check_scores(amun_forget_check *result, const double *forget,
                                              size_t n_forget, const double *unseen,
                                              size_t n_unseen, double confidence);
/** The same on a model, with phi = log p_y - log(1 - p_y) as the score.
 *  [in] forget: `count` indices into `train`; [in] unseen: labelled data that the model never saw, of the
 *  distribution of the forget samples (for classes: of the same classes); [in] indices: `unseen_count` of
 *  it, NULL and 0: all. [in] call nullable; phase "check", one unit per image.
 *  Statuses: as amun_forget_check_scores(), SHAPE, STATE (no labels), BUSY, CANCELLED, BACKEND. @since 0.1 */
AMUN_API amun_status amun_forget_check_model(amun_forget_check *result, const amun_model *model,
                                             const amun_dataset *train, const int64_t *forget,
                                             size_t count, const amun_dataset *unseen,
                                             const int64_t *indices, size_t unseen_count,
                                             double confidence, const amun_call_options *call);

/* ---- a learning rate -------------------------------------------------------------------------- */

/** What a good rate does; neither rule looks at a retrained model. */
typedef int32_t amun_select_rule;
enum {
    AMUN_SELECT_SAMPLES = 1, /**< the check's AUC as near to 50 as possible */
    AMUN_SELECT_CLASSES = 2  /**< accuracy on the forget samples as low as possible; of equals, the
                                  best held-out accuracy */
};
/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_select_options {
    size_t struct_size; /**< set by amun_select_options_init() */
    amun_select_rule rule; /**< default AMUN_SELECT_SAMPLES */
    int32_t reserved;      /**< 0 */
    double tolerance;      /**< a rate is admitted if it costs at most so many points of held-out
                                accuracy, default 0.5, range [0, 100] */
} amun_select_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_select_options_init(amun_select_options *opts, size_t size);

/** One rate. @since 0.1 */
typedef struct amun_select_trial {
    size_t struct_size; /**< set by the caller */
    double lr;               /**< the rate */
    double forget_accuracy;  /**< percent */
    double heldout_accuracy; /**< percent; SAMPLES: of all held-out samples, CLASSES: without the
                                  forget classes */
    double auc, error;       /**< of amun_forget_check; NaN if held-out data has fewer than two
                                  samples to compare with */
    double seconds;   /**< of this trial */
    int32_t admitted; /**< 1: held-out accuracy within the tolerance */
    int32_t failed;   /**< 1: training diverged; the figures are NaN */
} amun_select_trial;
/** Runs a method with each rate on a copy of `model` and says which one to take.
 *  With CLASSES the check compares the forget samples with held-out samples of the same classes.
 *  If no rate is admitted the one with the best held-out accuracy is best. Equal rates or figures:
 *  the first.
 *  [out] trials: `count` structs, each struct_size set; [out] best: index; [out] unlearned, nullable: the model of the
 *  best rate, one reference, NULL on failure. [in] model, train, forget, forget_count, set, unlearn: as for
 *  amun_unlearn_run(); the rate and the checkpoint of unlearn->train are not used. [in] heldout: labelled
 *  data that was never trained on. [in] rates: `count` >= 1 in (0, 1000]. [in] call nullable; phases of amun_unlearn_run().
 *  Statuses: as amun_unlearn_run(); INVALID_ARGUMENT (a rate, naming it; CLASSES and held-out data of
 *  forget classes only), NUMERIC if every rate diverged. @since 0.1 */
AMUN_API amun_status amun_select_rate(amun_select_trial *trials, size_t *best,
                                      amun_model **unlearned, const amun_model *model,
                                      const amun_dataset *train, const int64_t *forget,
                                      size_t forget_count, const amun_advset *set,
                                      const amun_dataset *heldout, const double *rates,
                                      size_t count, const amun_unlearn_options *unlearn,
                                      const amun_select_options *opts,
                                      const amun_call_options *call);

/* ---- relearning ------------------------------------------------------------------------------- */

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_relearn_options {
    size_t struct_size; /**< set by amun_relearn_options_init() */
    double lr;           /**< of SGD with momentum 0.9, default 1e-3, range (0, 1000] */
    int32_t batch;       /**< default 128, range [1, 65536] */
    int32_t every;       /**< steps between two looks at the accuracy, default 1, range [1, 1e6] */
    int32_t most_epochs; /**< default 100, range [1, 100000] */
    int32_t reserved;    /**< 0 */
    uint64_t seed;       /**< of the remaining samples drawn and the order, default 0 */
} amun_relearn_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_relearn_options_init(amun_relearn_options *opts, size_t size);

/** How fast a model learns the forget samples again (after Golatkar et al., arXiv 1911.04933): what
 *  was only hidden comes back at once. Compare with a retrained model's. @since 0.1 */
typedef struct amun_relearn {
    size_t struct_size; /**< set by the caller */
    int64_t steps;      /**< until the target was met; -1: not within most_epochs */
    double before;      /**< accuracy on the forget samples before the first step, percent */
    double after;       /**< at the last look */
    double seconds;     /**< of this call */
} amun_relearn;
/** Trains a copy of `model` on the forget samples and as many others (drawn by the seed; fewer if
 *  there are not so many), unaugmented.
 *  [out] result. [in] forget: `count` indices into `train`. [in] target: accuracy on the forget samples, percent, in (0, 100];
 *  usually 95 % of the original's. [in] opts, call nullable; phase "relearn", one unit per step.
 *  Statuses: as amun_train_run(). @since 0.1 */
AMUN_API amun_status amun_relearn_time(amun_relearn *result, const amun_model *model,
                                       const amun_dataset *train, const int64_t *forget,
                                       size_t count, double target,
                                       const amun_relearn_options *opts,
                                       const amun_call_options *call);

#ifdef __cplusplus
}
#endif
#endif
