/* amun/probe.h - what of a forgotten class is left inside a model: in its features, in its losses,
 * and in what many models of its kind say. */
#ifndef AMUN_PROBE_H
#define AMUN_PROBE_H

#include "base.h"
#include "context.h"
#include "dataset.h"
#include "model.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A model may give a class no probability and still know it: its logits are silenced, its features
 * are not. What each number means, its ideal and its source: docs/class_audits.md. A retrained
 * model's value is the aim of all of them; amun_gap_compute() puts one beside it.
 *
 * Calls without a model are functions of their arguments: no context, any number of threads at
 * once, scratch from the C library. Matrices are F32 or F64 and finite, features [n, d] with d >=
 * 1; labels [n] I64, I32 or U8 in 0..classes-1; `forget` names `n_forget` >= 1 different classes,
 * and at least two others are left. Accuracies and AUCs are in percent. Result structs: the caller
 * sets struct_size. Statuses beside those named: INVALID_ARGUMENT, SHAPE, NUMERIC, OUT_OF_MEMORY. */

/* ---- a number beside those of retrained models ----------------------------------------------- */

/** Any number of the unlearned model beside the same number of retrained ones. @since 0.1 */
typedef struct amun_gap {
    size_t struct_size; /**< set by the caller */
    int64_t models;   /**< retrained models */
    double unlearned; /**< the unlearned model's number */
    double retrained; /**< mean */
    double gap;       /**< |unlearned - retrained|; ideal: not above the null */
    double null_mean; /**< the gap of each retrained model to the mean of the others: mean */
    double null_sd;   /**< and sample deviation; both NaN for one retrained model */
} amun_gap;
/** [out] result; [in] retrained: `models` >= 1 values; all finite. @since 0.1 */
AMUN_API amun_status amun_gap_compute(amun_gap *result, double unlearned, const double *retrained,
                                      size_t models);

/* ---- linear probe: is the class still there in the features? --------------------------------- */

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_probe_options {
    size_t struct_size; /**< set by amun_probe_options_init() */
    double ridge;  /**< penalty ridge / 2 |w|^2 on standardised features, offsets free; default 1,
                        range [1e-9, 1e9] */
    int64_t limit; /**< training rows at most, drawn from more; default 0: all, range [0, 1e9] */
    int32_t stage; /**< of amun_probe_model() only: see amun_features_compute(); default 0,
                        range [0, 64] */
    int32_t reserved; /**< 0 */
    uint64_t seed; /**< of the draw; default 0 */
} amun_probe_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_probe_options_init(amun_probe_options *opts, size_t size);

/** A new head for all classes, on features that stay as they are. @since 0.1 */
typedef struct amun_probe {
    size_t struct_size; /**< set by the caller */
    int64_t fitted, tested; /**< rows */
    double forget_accuracy; /**< on test rows of the forget classes */
    double remain_accuracy; /**< on the others; NaN without any */
    double fit_accuracy;    /**< on the rows it was fitted on */
    double auc; /**< test rows of the forget classes above the others, by the log-odds that the probe
                     gives to the forget classes together; NaN without both kinds */
} amun_probe;
/** Multinomial logistic regression on the features `fit`, asked about `test`. Every class needs a row
 *  in `fit`, the forget classes included: they are what is looked for.
 *  [out] result; [out] logits: nullable, [m][classes] doubles, the probe's on `test`; [in] fit [n, d],
 *  test [m, d] with their labels; [in] classes in [3, 65536].
 *  Statuses: NUMERIC (also: no convergence). @since 0.1 */
AMUN_API amun_status amun_probe_compute(amun_probe *result, double *logits,
                                        const amun_tensor_view *fit,
                                        const amun_tensor_view *fit_labels,
                                        const amun_tensor_view *test,
                                        const amun_tensor_view *test_labels, int64_t classes,
                                        const int64_t *forget, size_t n_forget,
                                        const amun_probe_options *opts);
/** The same on the features of a model, with all of `train` (or `limit` of it) and all of `test`; the
 *  classes are those of `train`. [in] call nullable; phases "features" and "probe" (steps of the fit).
 *  Statuses: as amun_features_compute(); STATE (no labels). @since 0.1 */
AMUN_API amun_status amun_probe_model(amun_probe *result, const amun_model *model,
                                      const amun_dataset *train, const amun_dataset *test,
                                      const int64_t *forget, size_t n_forget,
                                      const amun_probe_options *opts,
                                      const amun_call_options *call);

/* ---- prototypes: do a few samples bring the class back? -------------------------------------- */

/** How long the new rows are. */
typedef int32_t amun_prototype_scale;
enum {
    AMUN_PROTOTYPE_MATCHED = 1, /**< row: the mean feature, as long as the retained rows are on
                                     average; bias: the mean of theirs */
    AMUN_PROTOTYPE_RAW = 2      /**< row: the mean feature; bias: 0 */
};
/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_prototype_options {
    size_t struct_size; /**< set by amun_prototype_options_init() */
    int32_t samples; /**< of each forget class, default 5, range [1, 1e6] */
    int32_t draws;   /**< of other samples; figures are means, default 10, range [1, 10000] */
    amun_prototype_scale scale; /**< default AMUN_PROTOTYPE_MATCHED */
    int32_t reserved;           /**< 0 */
    uint64_t seed;              /**< of the draws; default 0 */
} amun_prototype_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_prototype_options_init(amun_prototype_options *opts, size_t size);

/** A head whose rows of the forget classes are the mean features of a few samples: relearning in no
 *  steps. @since 0.1 */
typedef struct amun_prototype {
    size_t struct_size; /**< set by the caller */
    int64_t tested; /**< rows */
    double forget_before, remain_before; /**< accuracies on test rows with the head as it is; NaN
                                              without such rows */
    double forget_accuracy, forget_sd; /**< with prototypes: mean over the draws, sample deviation
                                            (NaN for one draw) */
    double remain_accuracy, remain_sd; /**< what the new rows take from the others */
} amun_prototype;
/** [out] result; [in] rows [classes, d], bias [classes] (nullable: 0) of the last dense layer;
 *  [in] support [n, d] with labels: features that the prototypes are made from, `samples` at least of
 *  each forget class; rows of other classes are not used; [in] test [m, d] with labels.
 *  Statuses: NUMERIC (also: a mean feature of 0 with MATCHED). @since 0.1 */
AMUN_API amun_status amun_prototype_compute(
    amun_prototype *result, const amun_tensor_view *rows, const amun_tensor_view *bias,
    const amun_tensor_view *support, const amun_tensor_view *support_labels,
    const amun_tensor_view *test, const amun_tensor_view *test_labels, const int64_t *forget,
    size_t n_forget, const amun_prototype_options *opts);
/** The same on a model: support from `train`. [in] call nullable; phase "features".
 *  Statuses: as amun_features_compute(); STATE (no labels). @since 0.1 */
AMUN_API amun_status amun_prototype_model(amun_prototype *result, const amun_model *model,
                                          const amun_dataset *train, const amun_dataset *test,
                                          const int64_t *forget, size_t n_forget,
                                          const amun_prototype_options *opts,
                                          const amun_call_options *call);

/* ---- loss attack: do forget samples have another loss than unseen ones? ----------------------- */

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_lossmia_options {
    size_t struct_size; /**< set by amun_lossmia_options_init() */
    int32_t splits;   /**< random splits, default 10, range [1, 10000] */
    int32_t reserved; /**< 0 */
    double test_share; /**< of each side, tested on, default 0.1, range [0.01, 0.9] */
    double ridge;  /**< penalty ridge / 2 w^2 on the loss as it is, default 1, range [1e-9, 1e9] */
    uint64_t seed; /**< of the splits, default 0 */
} amun_lossmia_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_lossmia_options_init(amun_lossmia_options *opts, size_t size);

/** Logistic regression on one number per sample, its loss. @since 0.1 */
typedef struct amun_lossmia {
    size_t struct_size; /**< set by the caller */
    int64_t rows;    /**< of each side: what the smaller one has */
    double accuracy; /**< on the tested parts, mean over the splits; 50: nothing is told */
    double sd;       /**< sample deviation over the splits; NaN for one */
    double auc;      /**< forget samples below unseen ones, all of both; 50: nothing is told */
} amun_lossmia;
/** Attack of the starting kit of the NeurIPS 2023 unlearning challenge: forget samples against unseen
 *  samples of the same classes. Each split draws the larger side down to the smaller one's size.
 *  [out] result; [in] forget: n_forget >= 2 losses, unseen: n_unseen >= 2, finite. @since 0.1 */
AMUN_API amun_status amun_lossmia_compute(amun_lossmia *result, const double *forget,
                                          size_t n_forget, const double *unseen, size_t n_unseen,
                                          const amun_lossmia_options *opts);
/** The same with the cross-entropy of logits [n, classes] and labels [n]. @since 0.1 */
AMUN_API amun_status amun_lossmia_logits(amun_lossmia *result, const amun_tensor_view *forget,
                                         const amun_tensor_view *forget_labels,
                                         const amun_tensor_view *unseen,
                                         const amun_tensor_view *unseen_labels,
                                         const amun_lossmia_options *opts);

/* ---- forgetting quality: many unlearned models against many retrained ones ------------------- */

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_quality_options {
    size_t struct_size; /**< set by amun_quality_options_init() */
    double delta; /**< default 1e-5, range [0, 0.5] */
    double cap;   /**< epsilon of samples that tell the groups apart, default 50, range [1e-6, 1e6] */
    double bin;   /**< of epsilon; each halves a sample's points, default 0.5, range [1e-6, 1e6] */
    int32_t intervals; /**< 1: also rules "between two thresholds" (default), 0: one threshold */
    int32_t reserved;  /**< 0 */
} amun_quality_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_quality_options_init(amun_quality_options *opts, size_t size);

/** How well two groups of models can be told apart, sample by sample. @since 0.1 */
typedef struct amun_quality {
    size_t struct_size; /**< set by the caller */
    int64_t unlearned, retrained, rows; /**< models of each side, samples */
    double score; /**< mean points, in (0, 1]; 1: no sample tells the groups apart */
    double epsilon_mean, epsilon_median; /**< over the samples */
    int64_t capped; /**< samples with epsilon `cap` */
} amun_quality;
/** Forgetting quality of the NeurIPS 2023 unlearning challenge (arXiv 2406.09073): for each sample the
 *  largest epsilon = max(ln(1 - delta - FPR) - ln FNR, ln(1 - delta - FNR) - ln FPR) of any rule that
 *  tells the two groups of models apart by their score, and 2^-floor(epsilon / bin) points. With few
 *  models the rules fit chance: hundreds on each side are meant.
 *  [out] result; [out] epsilon: n doubles, nullable; [in] unlearned [n_unlearned >= 2][n], retrained
 *  [n_retrained >= 2][n]: scores such as amun_ulira_phi(), finite. @since 0.1 */
AMUN_API amun_status amun_quality_compute(amun_quality *result, double *epsilon,
                                          const double *unlearned, size_t n_unlearned,
                                          const double *retrained, size_t n_retrained, size_t n,
                                          const amun_quality_options *opts);

#ifdef __cplusplus
}
#endif
#endif
