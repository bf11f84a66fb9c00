/* amun/mia.h - auditing: accuracies, membership inference, reports. */
#ifndef AMUN_MIA_H
#define AMUN_MIA_H

#include "base.h"
#include "context.h"
#include "dataset.h"
#include "model.h"
#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- scores on saved outputs: bring any model ------------------------------------------------------- */

/** What is read from the logits of a sample: formulas in docs/audits.md. */
typedef int32_t amun_signal;
enum {
    AMUN_SIGNAL_SOFTMAX = 1,
    AMUN_SIGNAL_TAYLOR = 2,
    AMUN_SIGNAL_SOFT_MARGIN = 3,
    AMUN_SIGNAL_TAYLOR_SOFT_MARGIN = 4, /**< the default of the AMUN paper */
    AMUN_SIGNAL_LOG_LOGIT = 5           /**< LiRA's; not for ratios */
};
/** Mean over all reference models, or over those that did not see the sample. */
typedef int32_t amun_rmia_mode;
enum { AMUN_RMIA_ONLINE = 1, AMUN_RMIA_OFFLINE = 2 };
/** Whom a sample is compared with: training and test set, or the test set alone. */
typedef int32_t amun_rmia_population;
enum { AMUN_RMIA_POOL = 1, AMUN_RMIA_TEST_ONLY = 2 };

/** RMIA (Zarifzadeh et al., arXiv 2312.03262) as AMUN (arXiv 2503.00917) used it. NULL options mean
 *  the defaults. docs/audits.md explains each choice. @since 0.1 */
typedef struct amun_rmia_options {
    size_t struct_size; /**< set by amun_rmia_options_init() */
    amun_signal signal;   /**< default AMUN_SIGNAL_TAYLOR_SOFT_MARGIN */
    int32_t taylor_degree; /**< highest power, default 3 (published), range [1, 8]; 4 is positive everywhere */
    double temperature;   /**< default 2, range (0, 1000] */
    double margin;        /**< default 0.6, range [0, 1000] */
    double gamma;         /**< default 2, range [1, 1000] */
    amun_rmia_mode mode;  /**< default AMUN_RMIA_ONLINE */
    amun_rmia_population population; /**< of amun_mia_audit(), default AMUN_RMIA_POOL; the scoring
                                          call below takes a mask instead */
    double offline_a;     /**< default 0.33, range [0, 1] */
    double trim;          /**< share cut at each end of the reference mean, default 0, range [0, 0.49] */
} amun_rmia_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_rmia_options_init(amun_rmia_options *opts, size_t size);

/* The calls below need no context and no handle; any number of threads at once. They allocate and
 * free scratch with the C library. Statuses beside those named: OUT_OF_MEMORY. */

/** Signal of each row, its "probability" of the true class: computed in double, exponents shifted by
 *  the largest (arXiv 2503.00917, appendix C).
 *  [in] logits [n, classes] F32 or F64, n >= 1, classes >= 2, all finite; [in] labels [n] I64, I32 or
 *  U8 in 0..classes-1; [out] signal: n doubles; [out] nonpositive, nullable: rows where the Taylor sum
 *  of the true class or of all classes was not positive, so that the signal is not a probability;
 *  [in] opts nullable. Statuses: INVALID_ARGUMENT, SHAPE, NUMERIC (names the row). @since 0.1 */
AMUN_API amun_status amun_signal_compute(double *signal, size_t *nonpositive,
                                         const amun_tensor_view *logits,
                                         const amun_tensor_view *labels,
                                         const amun_rmia_options *opts);
/** RMIA score of `n` samples from signals: the share of population samples z, other than x itself, with
 *  r(x) / r(z) > gamma, where r = signal / reference mean (arXiv 2312.03262, equations 3 and 4).
 *  Higher means member. O(n log n + models * n).
 *  [in] target: n; [in] references: [models][n], row by row; [in] included: [models][n] bytes, 1 where
 *  the model was trained on the sample (used in offline mode only, nullable online); [in] population:
 *  n bytes, 1 where the sample serves as z (NULL: all); [out] scores: n, each in [0, 1].
 *  Statuses: INVALID_ARGUMENT (also: nobody in the population; offline, a sample that all models
 *  saw; signal LOG_LOGIT), NUMERIC (a signal is not finite, or a reference mean is 0). @since 0.1 */
AMUN_API amun_status amun_rmia_scores(double *scores, const double *target,
                                      const double *references, const uint8_t *included,
                                      const uint8_t *population, size_t models, size_t n,
                                      const amun_rmia_options *opts);
/** Area under the ROC curve in [0, 1], mid-ranks for ties; 0.5 = no information. [in] at least one
 *  score on each side. Statuses: INVALID_ARGUMENT, NUMERIC (a score is NaN). @since 0.1 */
AMUN_API amun_status amun_auc_compute(double *auc, const double *positives, size_t n_positives,
                                      const double *negatives, size_t n_negatives);
/** The largest true-positive rate in [0, 1] among ROC points with false-positive rate <= fpr, without
 *  interpolation. [in] fpr in [0, 1]. Statuses: as amun_auc_compute(). @since 0.1 */
AMUN_API amun_status amun_tpr_at_fpr(double *tpr, const double *positives, size_t n_positives,
                                     const double *negatives, size_t n_negatives, double fpr);
/** Published inclusion matrix [models][n]: each column has models/2 ones (models even). Equals NumPy's
 *  argsort(RandomState(seed).uniform(size=(models, n)), axis=0) < models / 2.
 *  [out] included: models * n bytes. Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_rmia_inclusion(uint8_t *included, size_t models, size_t n, uint32_t seed);

/** Features of the simple attack (SVC-MIA) per row of logits: confidence p_y, entropy, modified entropy
 *  (arXiv 2003.10595, equation 8). [in] as amun_signal_compute(); [out] n doubles each, nullable.
 *  Statuses: INVALID_ARGUMENT, SHAPE, NUMERIC. @since 0.1 */
AMUN_API amun_status amun_svc_features(double *confidence, double *entropy,
                                       double *modified_entropy, const amun_tensor_view *logits,
                                       const amun_tensor_view *labels);
/** MIS: percent of `forget` that an RBF support-vector machine on confidences (C = 3, gamma = 1), trained on members
 *  against non-members of equal number, calls non-member. The number to meet is a retrained model's.
 *  [in] members, nonmembers: n_each >= 1 finite values each; [in] forget: n_forget >= 1.
 *  The first call switches off libsvm's printing for the whole process. Statuses: INVALID_ARGUMENT,
 *  NUMERIC, UNSUPPORTED (without libsvm), BACKEND. @since 0.1 */
AMUN_API amun_status amun_svc_mis(double *mis, const double *members, const double *nonmembers,
                                  size_t n_each, const double *forget, size_t n_forget);

/* ---- audit with reference models trained by the library --------------------------------------------- */

/** Reference models of one pool (training set, then test set) and their signals. One thread at a time. */
typedef struct amun_mia amun_mia;

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_mia_options {
    size_t struct_size; /**< set by amun_mia_options_init() */
    int32_t references;   /**< models, even, default 16, range [2, 4096] */
    int32_t subsamples;   /**< equal-sized draws averaged per AUC, default 3, range [1, 1000] */
    uint64_t seed;        /**< of the inclusion matrix (low 32 bits) and the draws; default 0 */
    const amun_rmia_options *rmia; /**< default NULL; copied by amun_mia_create() */
} amun_mia_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_mia_options_init(amun_mia_options *opts, size_t size);

/** The pool is `train` followed by `test`, both labelled and of one image shape; both are kept alive.
 *  Keeps 9 bytes per reference and image. [out] mia: one reference, NULL on failure; [in] opts nullable.
 *  Statuses: INVALID_ARGUMENT, SHAPE, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_mia_create(amun_mia **mia, amun_context *ctx, amun_dataset *train,
                                     amun_dataset *test, const amun_mia_options *opts);
/** Adds a reference and returns `mia`. NULL is fine. @since 0.1 */
AMUN_API amun_mia *amun_mia_ref(amun_mia *mia);
/** Gives a reference back. NULL is fine. @since 0.1 */
AMUN_API void amun_mia_unref(amun_mia *mia);
/** Trains the reference models that `dir` lacks, each on its half of the pool (augmented as `opts`
 *  says, test images too) from fresh weights (seed = opts->seed + number) with the architecture of
 *  `like`, one file per model (reference_000.safetensors, readable by amun_model_load()), then computes
 *  their signals. Interrupted at any moment, the next call goes on and ends with the same bytes.
 *  Files of other options, data, inclusion or architecture give STATE and name the difference. Rows
 *  given by amun_mia_set_reference() are left alone.
 *  [in] like: only its architecture is used; [in] opts nullable, its `checkpoint` must be NULL;
 *  [in] dir: created if missing; NULL: keep nothing on disk; [in] call nullable, phases "references",
 *  "reference" (training), "reference logits". Statuses: INVALID_ARGUMENT, SHAPE, STATE, FORMAT,
 *  IO, NUMERIC, CANCELLED, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_mia_train_references(amun_mia *mia, const amun_model *like,
                                               const amun_train_options *opts, const char *dir,
                                               const amun_call_options *call);
/** Takes the logits of a model of your own as reference `number` (0..references-1) instead of training
 *  it; it must have been trained on its row of amun_mia_inclusion(). [in] logits [train + test,
 *  classes] F32 or F64, read during the call only. On failure the row counts as absent.
 *  Statuses: INVALID_ARGUMENT, SHAPE, NUMERIC. @since 0.1 */
AMUN_API amun_status amun_mia_set_reference(amun_mia *mia, int32_t number,
                                            const amun_tensor_view *logits);
/** Bytes [references][pool] of the inclusion matrix. Borrowed from `mia`; NULL for a wrong handle. @since 0.1 */
AMUN_API const uint8_t *amun_mia_inclusion(const amun_mia *mia);

/** Everything in percent, AUCs too: 50 = the attack learns nothing. What matters is the distance to a
 *  retrained model's figures, on either side: an FT AUC well below the retrained one means that the
 *  forget samples stand out as unusually wrong (over-unlearned), not that they are better hidden. @since 0.1 */
typedef struct amun_audit {
    size_t struct_size;    /**< set by the caller */
    double ua, ra, ta;     /**< accuracy on the forget, remaining and test samples */
    double ft_auc, fr_auc, rt_auc; /**< RMIA: forget/test, remain/forget, remain/test */
    double ft_auc_sd;      /**< sample deviation over the subsamples; NaN for one */
    double ft_tpr_1, ft_tpr_01; /**< true-positive rate at 1 % and 0.1 % false positives, forget/test */
    double mis;            /**< NaN without libsvm */
    double seconds;        /**< of this call */
    int64_t nonpositive;   /**< Taylor sums that were not positive, references included */
    int64_t references;    /**< models used */
} amun_audit;

/** Audits `model`: forget = indices into the training set, remain = the rest of it. AUCs and rates
 *  are means over equal-sized draws from the larger groups. Does not change the model.
 *  [out] audit; [in] forget: `count` >= 1 indices, none twice, not all of them; [in] call nullable,
 *  phase "audit". Statuses: INVALID_ARGUMENT, SHAPE, STATE (a reference is missing), NUMERIC,
 *  BUSY, CANCELLED, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_mia_audit(amun_audit *audit, amun_mia *mia, const amun_model *model,
                                    const int64_t *forget, size_t count,
                                    const amun_call_options *call);

/* ---- report ------------------------------------------------------------------------------------------ */

/** The JSON report "amun.report/1" (docs/report.md). One thread at a time. */
typedef struct amun_report amun_report;
/** [out] report: one reference, NULL on failure; [in] dataset, arch: names for the reader, copied.
 *  Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_report_create(amun_report **report, amun_context *ctx,
                                        const char *dataset, const char *arch,
                                        size_t forget_count, int32_t references);
/** Adds a reference and returns `report`. NULL is fine. @since 0.1 */
AMUN_API amun_report *amun_report_ref(amun_report *report);
/** Gives a reference back. NULL is fine. @since 0.1 */
AMUN_API void amun_report_unref(amun_report *report);
/** Adds one run of a method ("original", "retrain", "amun", "amun_df", or a name of yours) for forget set `seed`; runs of one
 *  method are averaged, with their spread. [in] seconds: the method's own time, >= 0; [in] audit: copied.
 *  Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_report_add(amun_report *report, const char *method, uint64_t seed,
                                     const amun_audit *audit, double seconds);
/** Adds option values to the provenance: `json` is the text of a JSON object. The same key again
 *  replaces; "timings" joins the report's own. Clock readings belong there and nowhere else.
 *  Statuses: INVALID_ARGUMENT (also for the report's own keys), FORMAT, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_report_add_provenance(amun_report *report, const char *key,
                                                const char *json);
/** Mean and sample standard deviation (NaN for one run) over a method's runs; `nonpositive` is the sum
 *  and `seconds` the method's own time. [out] mean, sd, seconds: nullable. Statuses:
 *  INVALID_ARGUMENT, NOT_FOUND (no run of that name). @since 0.1 */
AMUN_API amun_status amun_report_get(const amun_report *report, const char *method,
                                     amun_audit *mean, amun_audit *sd, double *seconds);
/** Aligned text table into buf (always terminated); *needed (nullable) gets the bytes
 *  including the terminator. A short buffer is no error. [in] buf NULL with cap 0. Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_report_table(const amun_report *report, char *buf, size_t cap,
                                       size_t *needed);
/** Writes the report as JSON with sorted keys, atomically. Statuses: INVALID_ARGUMENT, IO,
 *  OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_report_write(const amun_report *report, const char *path);

#ifdef __cplusplus
}
#endif
#endif
