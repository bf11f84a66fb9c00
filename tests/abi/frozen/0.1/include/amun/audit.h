/* amun/audit.h - auditing a forgotten class, on saved outputs: bring any model. */
#ifndef AMUN_AUDIT_H
#define AMUN_AUDIT_H

#include "base.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Every call here is a function of its arguments: no context, no handle, any number of threads at
 * once; scratch is allocated and freed with the C library. docs/class_audits.md says what each
 * number means, its ideal value, and which of it is stated by a paper.
 *
 * Logits are F32 or F64 and finite: [models, n, classes] of several models on the same images (one
 * array), [n, classes] of one; labels [n] I64, I32 or U8 in 0..classes-1; `forget` names `n_forget`
 * >= 1 different classes. At least two classes are retained. Shares, accuracies and AUCs are in
 * percent. Result structs: the caller sets struct_size. Statuses beside those named:
 * INVALID_ARGUMENT, SHAPE, NUMERIC, OUT_OF_MEMORY. */

/* ---- MIA-NN: does a class's mass go where retraining sends it? ----------------------------------- */

/** What the discriminator of a class sees. */
typedef int32_t amun_miann_features;
enum {
    AMUN_MIANN_LOGITS = 1,   /**< of the retained classes */
    AMUN_MIANN_LOGPROBS = 2, /**< renormalised over the retained classes */
    AMUN_MIANN_PROBS = 3,    /**< the same as probabilities */
    AMUN_MIANN_SCALAR = 4    /**< logit i alone, for the discriminator of class i */
};
/** Which support-vector machine it is. */
typedef int32_t amun_miann_kernel;
enum {
    AMUN_MIANN_LINEAR = 1, /**< linear, squared hinge loss (scikit-learn's LinearSVC) */
    AMUN_MIANN_RBF = 2,    /**< Gaussian, gamma = 1 / features; needs libsvm, else UNSUPPORTED */
    AMUN_MIANN_HINGE = 3   /**< linear, hinge loss; needs libsvm */
};

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_miann_options {
    size_t struct_size; /**< set by amun_miann_options_init() */
    amun_miann_features features; /**< default AMUN_MIANN_LOGITS */
    amun_miann_kernel kernel;     /**< default AMUN_MIANN_LINEAR */
    double c;         /**< cost of the support-vector machines; default 0: 1, with RBF 3; range [0, 1e6] */
    double fit_share; /**< of each retained class that they are fitted on, default 0.5, range [0.1, 0.9] */
    int32_t top_m;    /**< classes in the top gap, default 3, range [1, 65536]; more than there are: all */
    int32_t reserved0; /**< must be 0 */
    uint64_t seed;    /**< of the split, the same for all models; default 0 */
} amun_miann_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_miann_options_init(amun_miann_options *opts, size_t size);

/** Acc_i of a model: share of the forget classes' rows that the discriminator of retained class i,
 *  fitted on the same model's outputs, accepts as class i. @since 0.1 */
typedef struct amun_miann {
    size_t struct_size; /**< set by the caller */
    int64_t neighbour;   /**< rn: largest mean Acc over the retrained models; a tie goes to the larger mean probability */
    int64_t models;      /**< retrained models */
    double score;        /**< Acc_rn of the unlearned model */
    double retrained;    /**< mean Acc_rn of the retrained models */
    double gap;          /**< |retrained - score|, percentage points; ideal: not above the null */
    double null_mean;    /**< the gap of each retrained model to the mean of the others: mean */
    double null_sd;      /**< and sample deviation; both NaN for one retrained model */
    double top_gap;      /**< sum of gaps over the top_m classes with the largest retrained Acc */
    double top_null_mean, top_null_sd; /**< null of top_gap: mean, sample deviation */
    double vote_share;   /**< of the retrained models whose own nearest class is rn; below 60 rn is ambiguous */
    double sanity;       /**< balanced accuracy of rn's discriminator on held-out retained rows, unlearned model; near 100 or the score means nothing */
    double sanity_retrained; /**< the same, mean of the retrained models */
} amun_miann;
/** MIA-NN (Ebrahimpour-Boroojeny et al., arXiv 2506.20893), a reconstruction: the paper's kernel, cost, split and
 *  number of models are not known (docs/class_audits.md).
 *  [out] result; [out] accuracy, sanity: nullable, [models + 1][classes] doubles, row `models` is the
 *  unlearned model, NaN at forget classes; [in] retrained [models >= 1, n, classes], unlearned
 *  [n, classes], of test images of all classes: a row of a forget class and two of each retained
 *  class at least; [in] opts nullable. Statuses: UNSUPPORTED. @since 0.1 */
AMUN_API amun_status amun_miann_compute(amun_miann *result, double *accuracy, double *sanity,
                                        const amun_tensor_view *retrained,
                                        const amun_tensor_view *unlearned,
                                        const amun_tensor_view *labels, const int64_t *forget,
                                        size_t n_forget, const amun_miann_options *opts);

/* ---- C2ST: can anything linear tell the two apart? ------------------------------------------------ */

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_c2st_options {
    size_t struct_size; /**< set by amun_c2st_options_init() */
    int32_t folds;     /**< of the cross-validation, default 5, range [2, 100] */
    int32_t reserved0; /**< must be 0 */
    double ridge;      /**< penalty ridge / 2 |w|^2 on standardised features, default 1, range [1e-9, 1e9] */
    uint64_t seed;     /**< of the folds, the same for all pairs; default 0 */
} amun_c2st_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_c2st_options_init(amun_c2st_options *opts, size_t size);

/** AUCs of a logistic regression that tells the unlearned model's log-probabilities on rows of the
 *  forget classes from a retrained model's. 50 is ideal; compare with the null. @since 0.1 */
typedef struct amun_c2st {
    size_t struct_size; /**< set by the caller */
    int64_t models, rows; /**< retrained models; rows of forget classes */
    double all;           /**< of all classes, mean over the retrained models; easily won by the forget class alone */
    double retained;      /**< renormalised over the retained classes */
    double all_null_mean; /**< a retrained model against another, over all pairs: mean */
    double all_null_sd;   /**< and sample deviation; NaN for fewer than two (three) models */
    double retained_null_mean, retained_null_sd; /**< the same of `retained` */
} amun_c2st;
/** Classifier two-sample test (Lopez-Paz and Oquab, arXiv 1610.06545) on the outputs: features
 *  standardised with the training folds, an image's two rows in the same fold, AUC per fold, averaged.
 *  [in] as amun_miann_compute(); rows of retained classes are not used. At least `folds` rows of
 *  forget classes. @since 0.1 */
AMUN_API amun_status amun_c2st_compute(amun_c2st *result, const amun_tensor_view *retrained,
                                       const amun_tensor_view *unlearned,
                                       const amun_tensor_view *labels, const int64_t *forget,
                                       size_t n_forget, const amun_c2st_options *opts);

/* ---- U-LiRA: likelihood ratios from shadow models -------------------------------------------------- */

/** phi(x, y) = log p_y - log(1 - p_y) of each row, z_y less the log-sum-exp of the rest, in double and
 *  without a floor. [out] phi: n doubles; [in] logits [n, classes]; [in] labels [n]: y, any class.
 *  Statuses: NUMERIC (a logit is not finite). @since 0.1 */
AMUN_API amun_status amun_ulira_phi(double *phi, const amun_tensor_view *logits,
                                    const amun_tensor_view *labels);

/** Variances of the fitted Gaussians. */
typedef int32_t amun_ulira_variance;
enum {
    AMUN_ULIRA_PER_SAMPLE = 1, /**< of each sample and side; for 32 models or more */
    AMUN_ULIRA_POOLED = 2,     /**< one per side: the mean of the samples' */
    AMUN_ULIRA_GLOBAL_REF = 3  /**< LiRA's fix_variance: of all scores of the unlearned side, for both */
};
/** Centres of the fitted Gaussians. */
typedef int32_t amun_ulira_centre;
enum {
    AMUN_ULIRA_CENTRE_AUTO = 1, /**< mean below 8 models in the fit, else median */
    AMUN_ULIRA_CENTRE_MEAN = 2,
    AMUN_ULIRA_CENTRE_MEDIAN = 3
};
/** Which models are judged by the fit of the others. */
typedef int32_t amun_ulira_holdout;
enum {
    AMUN_ULIRA_EACH = 1, /**< each model is held out once, figures are averaged */
    AMUN_ULIRA_LAST = 2  /**< the last model of each side, as the published program has it */
};
/** Which scores are compared. */
typedef int32_t amun_ulira_score;
enum {
    AMUN_ULIRA_OWN = 1,       /**< phi of the row's own, forgotten class */
    AMUN_ULIRA_NEIGHBOUR = 2, /**< phi of the neighbour class */
    AMUN_ULIRA_JOINT = 3      /**< both, with one 2 x 2 covariance; variance must be POOLED */
};

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_ulira_options {
    size_t struct_size; /**< set by amun_ulira_options_init() */
    amun_ulira_variance variance; /**< default AMUN_ULIRA_POOLED */
    amun_ulira_centre centre;     /**< default AMUN_ULIRA_CENTRE_AUTO */
    amun_ulira_holdout holdout;   /**< default AMUN_ULIRA_EACH; class level only */
    amun_ulira_score score;       /**< default AMUN_ULIRA_OWN; of amun_ulira_class() only */
    double floor;      /**< smallest deviation, default 1e-3, range [1e-12, 1e3] */
    int64_t neighbour; /**< a retained class (amun_miann.neighbour); default -1: none, range [-1, 1e9]; for NEIGHBOUR and JOINT */
} amun_ulira_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_ulira_options_init(amun_ulira_options *opts, size_t size);

/** Class level. @since 0.1 */
typedef struct amun_ulira {
    size_t struct_size; /**< set by the caller */
    int64_t unlearned, retrained, rows; /**< models of each side, samples */
    double auc;               /**< unlearned against retrained held-out models; ideal 50 */
    double balanced_accuracy; /**< at the threshold where |TPR + FPR - 1| is least; ideal 50 */
    double flagged;           /**< share of samples of the released model called "unlearned" there; ideal flagged_retrained; NaN without one */
    double flagged_retrained; /**< the same of a retrained model that is left out of fit and threshold, mean; NaN below 4 of them */
    double gap;               /**< |flagged - flagged_retrained|, percentage points */
    double null_mean;         /**< that gap of each retrained model to the mean of the others: mean */
    double null_sd;           /**< and sample deviation */
} amun_ulira;
/** Shadow models of two sides: `unlearned` [models, n, classes] were each trained with the classes (different
 *  seeds) and unlearned by the method under test, `retrained` never saw them; three at least on each
 *  side. The shorter side is gone through again where each model is held out once.
 *  [in] released [n, classes], nullable: the model under test; rows of forget classes are used.
 *  Statuses: NUMERIC (also a joint covariance that is singular). @since 0.1 */
AMUN_API amun_status amun_ulira_class(amun_ulira *result, const amun_tensor_view *unlearned,
                                      const amun_tensor_view *retrained,
                                      const amun_tensor_view *released,
                                      const amun_tensor_view *labels, const int64_t *forget,
                                      size_t n_forget, const amun_ulira_options *opts);
/** The same from scores: [in] unlearned: [n_unlearned][n], retrained: [n_retrained][n], released: n,
 *  nullable; all finite. opts->score must be AMUN_ULIRA_OWN. @since 0.1 */
AMUN_API amun_status amun_ulira_class_scores(amun_ulira *result, const double *unlearned,
                                             size_t n_unlearned, const double *retrained,
                                             size_t n_retrained, const double *released, size_t n,
                                             const amun_ulira_options *opts);

/** What a shadow model did with a sample. */
enum {
    AMUN_ULIRA_UNSEEN = 0,    /**< trained without it */
    AMUN_ULIRA_UNLEARNED = 1, /**< trained with it, then unlearned it */
    AMUN_ULIRA_MEMBER = 2     /**< still a member: not used */
};
/** Sample level. @since 0.1 */
typedef struct amun_ulira_samples {
    size_t struct_size; /**< set by the caller */
    int64_t unlearned, unseen; /**< samples by truth */
    double auc, accuracy;      /**< of p, and of p > 1/2; percent */
    double tpr_1, tpr_01;      /**< true-positive rate at 1 % and 0.1 % false positives */
} amun_ulira_samples;
/** Per-sample attack (Hayes et al., arXiv 2403.01218): p = N(phi; unlearned) / (N(phi; unlearned) + N(phi; unseen)) with Gaussians
 *  of each sample's shadow scores.
 *  [out] p: n doubles, nullable; [in] scores [models][n], finite; [in] state [models][n]: AMUN_ULIRA_UNSEEN,
 *  UNLEARNED or MEMBER; one model at least of both former ones for each sample, two with PER_SAMPLE;
 *  [in] target: n scores of the model under attack; [in] truth: n bytes, 1 where it unlearned the sample,
 *  0 where it never saw it, both present. @since 0.1 */
AMUN_API amun_status amun_ulira_sample_scores(amun_ulira_samples *result, double *p,
                                              const double *scores, const uint8_t *state,
                                              size_t models, const double *target,
                                              const uint8_t *truth, size_t n,
                                              const amun_ulira_options *opts);

/* ---- distances to retrained models ----------------------------------------------------------------- */

/** Of the unlearned model's predictions p to those of retrained models, P their mean, over the rows chosen;
 *  each beside its null: a retrained model in the place of p, the others as P, mean and sample deviation
 *  over them (NaN below two). Ideal: not above the null. @since 0.1 */
typedef struct amun_distance {
    size_t struct_size; /**< set by the caller */
    int64_t models, rows; /**< retrained models; rows chosen */
    double tv, tv_null, tv_null_sd; /**< mean of 1/2 sum |p - P|, in [0, 1] */
    double js, js_null, js_null_sd; /**< mean Jensen-Shannon divergence, natural logarithm, in [0, ln 2] */
    double kl, kl_null, kl_null_sd; /**< mean KL(P || p), probabilities floored at 1e-12 in the logarithm */
    double routing_tv, routing_tv_null, routing_tv_null_sd; /**< TV between the mean predictions */
    double activation, activation_null, activation_null_sd; /**< mean |p - p_r| (l2) over retrained models r */
} amun_distance;
/** [out] result; [out] tv_rows: nullable, n doubles, the TV of each row, NaN where it was not chosen;
 *  [in] retrained [models >= 1, n, classes], unlearned [n, classes]; [in] chosen: n_chosen classes whose
 *  rows count (forget classes, or the retained ones); NULL with labels NULL: all rows. @since 0.1 */
AMUN_API amun_status amun_distance_compute(amun_distance *result, double *tv_rows,
                                           const amun_tensor_view *retrained,
                                           const amun_tensor_view *unlearned,
                                           const amun_tensor_view *labels, const int64_t *chosen,
                                           size_t n_chosen);
/** Where the rows go: percent of them whose largest logit is that of each class.
 *  [out] shares: [models + 1][classes], the last row is the unlearned model's; [in] as above. @since 0.1 */
AMUN_API amun_status amun_distance_routing(double *shares, const amun_tensor_view *retrained,
                                           const amun_tensor_view *unlearned,
                                           const amun_tensor_view *labels, const int64_t *chosen,
                                           size_t n_chosen);
/** ZRF (Chundawat et al., arXiv 2205.08096): 1 - mean JS of the unlearned model's predictions to a freshly initialised
 *  network's, natural logarithm, so in [1 - ln 2, 1]. [in] both [n, classes]. @since 0.1 */
AMUN_API amun_status amun_distance_zrf(double *zrf, const amun_tensor_view *unlearned,
                                       const amun_tensor_view *random);
/** KLOM: per sample, KL(unlearned || retrained) between histograms of phi over models: 20 bins over the joint
 *  range, scores clipped to +-100, empty retrained bins floored at 1e-5. [out] mean, p95 (95th percentile,
 *  linear interpolation) over samples, rows (n): nullable; [in] unlearned [n_unlearned][n], retrained
 *  [n_retrained][n], no NaN. @since 0.1 */
AMUN_API amun_status amun_distance_klom(double *mean, double *p95, double *rows,
                                        const double *unlearned, size_t n_unlearned,
                                        const double *retrained, size_t n_retrained, size_t n);

/* ---- SVC-MIA in the two protocols of class unlearning ----------------------------------------------- */

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_svcmia_options {
    size_t struct_size; /**< set by amun_svcmia_options_init() */
    int64_t limit; /**< rows per side of the fit, drawn from larger sets; default 5000, range [0, 1e8]; 0: as
                        published, all of them (SalUn: the first rows, as many as the smaller side has) */
    uint64_t seed; /**< of the draws; default 0 */
} amun_svcmia_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_svcmia_options_init(amun_svcmia_options *opts, size_t size);

/** Percent of the queried rows called non-members by SVC(C = 3, RBF, gamma = 1 / features) on each feature. A
 *  model retrained without a class scores 100; the number to meet is a retrained model's. @since 0.1 */
typedef struct amun_svcmia {
    size_t struct_size; /**< set by the caller */
    int64_t members, nonmembers, queries; /**< rows that were used */
    int64_t limit;                        /**< the options', for the record */
    uint64_t seed;                        /**< the same */
    double confidence, correctness, entropy, modified_entropy, probabilities; /**< by feature */
} amun_svcmia;
/** Protocol of SalUn and l1-sparse: fitted on retained training rows (members, as many as there are test rows) against test
 *  rows; asks about forgotten training rows. Leave rows of forget classes out of `test` and say so.
 *  [in] each logits [n, classes] with labels [n]. Statuses: UNSUPPORTED (without libsvm), BACKEND. @since 0.1 */
AMUN_API amun_status
amun_svcmia_salun(amun_svcmia *result, const amun_tensor_view *remain,
                  const amun_tensor_view *remain_labels, const amun_tensor_view *test,
                  const amun_tensor_view *test_labels, const amun_tensor_view *forget,
                  const amun_tensor_view *forget_labels, const amun_svcmia_options *opts);
/** Protocol of Kodge et al.: fitted on retained training rows (members) against forgotten training rows; asks about
 *  test rows of the forget classes. Arguments and statuses as above. @since 0.1 */
AMUN_API amun_status
amun_svcmia_kodge(amun_svcmia *result, const amun_tensor_view *remain,
                  const amun_tensor_view *remain_labels, const amun_tensor_view *forget,
                  const amun_tensor_view *forget_labels, const amun_tensor_view *forget_test,
                  const amun_tensor_view *forget_test_labels, const amun_svcmia_options *opts);

#ifdef __cplusplus
}
#endif
#endif
