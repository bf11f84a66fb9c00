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

typedef int32_t amun_signal;
enum {
    AMUN_SIGNAL_SOFTMAX = 1,
    AMUN_SIGNAL_TAYLOR = 2,
    AMUN_SIGNAL_SOFT_MARGIN = 3,
    AMUN_SIGNAL_TAYLOR_SOFT_MARGIN = 4, /**< the default of the AMUN paper */
    AMUN_SIGNAL_LOG_LOGIT = 5           /**< LiRA's; not for ratios */
};
typedef int32_t amun_rmia_mode;
enum { AMUN_RMIA_ONLINE = 1, AMUN_RMIA_OFFLINE = 2 };
typedef int32_t amun_rmia_population;
enum { AMUN_RMIA_POOL = 1, AMUN_RMIA_TEST_ONLY = 2 };

/** RMIA (Zarifzadeh et al., arXiv 2312.03262) as AMUN used it. @since 0.1 */
typedef struct amun_rmia_options {
    size_t struct_size;
    amun_signal signal;   /**< default AMUN_SIGNAL_TAYLOR_SOFT_MARGIN */
    int32_t taylor_degree; /**< highest power, default 3 (published), range [1, 8]; 4 is positive everywhere */
    double temperature;   /**< default 2, range (0, 1000] */
    double margin;        /**< default 0.6, range [0, 1000] */
    double gamma;         /**< default 2, range [1, 1000] */
    amun_rmia_mode mode;  /**< default AMUN_RMIA_ONLINE */
    amun_rmia_population population; /**< default AMUN_RMIA_POOL */
    double offline_a;     /**< default 0.33, range [0, 1] */
    double trim;          /**< share cut at each end of the reference mean, default 0, range [0, 0.49] */
} amun_rmia_options;
AMUN_API amun_status amun_rmia_options_init(amun_rmia_options *opts, size_t size);

/** Signal of each row. [in] logits [n, classes] F32 or F64, labels [n]; [out] signal: n doubles;
 *  [out] nonpositive: rows whose Taylor sum was not positive, nullable. @since 0.1 */
AMUN_API amun_status amun_signal_compute(double *signal, size_t *nonpositive,
                                         const amun_tensor_view *logits,
                                         const amun_tensor_view *labels,
                                         const amun_rmia_options *opts);
/** RMIA score of `n` samples from signals. [in] target: n; [in] references: [models][n];
 *  [in] included: [models][n] bytes, 1 where the model was trained on the sample (nullable online);
 *  [in] population: n bytes, 1 where the sample serves as z (NULL: all); [out] scores: n, each in [0, 1].
 *  O(n log n). @since 0.1 */
AMUN_API amun_status amun_rmia_scores(double *scores, const double *target,
                                      const double *references, const uint8_t *included,
                                      const uint8_t *population, size_t models, size_t n,
                                      const amun_rmia_options *opts);
/** Area under the ROC curve in [0, 1], mid-ranks for ties. @since 0.1 */
AMUN_API amun_status amun_auc_compute(double *auc, const double *positives, size_t n_positives,
                                      const double *negatives, size_t n_negatives);
/** The largest true-positive rate among ROC points with false-positive rate <= fpr. @since 0.1 */
AMUN_API amun_status amun_tpr_at_fpr(double *tpr, const double *positives, size_t n_positives,
                                     const double *negatives, size_t n_negatives, double fpr);
/** Published inclusion matrix [models][n]: each column has models/2 ones (models even). @since 0.1 */
AMUN_API amun_status amun_rmia_inclusion(uint8_t *included, size_t models, size_t n, uint32_t seed);

/** Features of the simple attack (SVC-MIA): confidence, entropy, modified entropy per row. @since 0.1 */
AMUN_API amun_status amun_svc_features(double *confidence, double *entropy,
                                       double *modified_entropy, const amun_tensor_view *logits,
                                       const amun_tensor_view *labels);
/** MIS: percent of `forget` that an RBF support-vector machine on confidences (C = 3, gamma = 1), trained on members
 *  against non-members of equal number, calls non-member. UNSUPPORTED without libsvm. @since 0.1 */
AMUN_API amun_status amun_svc_mis(double *mis, const double *members, const double *nonmembers,
                                  size_t n_each, const double *forget, size_t n_forget);

/* ---- audit with reference models trained by the library --------------------------------------------- */

/** Reference models of one pool (training set, then test set) and their signals. One thread at a time. */
typedef struct amun_mia amun_mia;

/** @since 0.1 */
typedef struct amun_mia_options {
    size_t struct_size;
    int32_t references;   /**< models, even, default 16, range [2, 4096] */
    int32_t subsamples;   /**< equal-sized draws averaged per AUC, default 3, range [1, 1000] */
    uint64_t seed;        /**< of the inclusion matrix (32 bits used), subsamples; default 0 */
    const amun_rmia_options *rmia; /**< default NULL */
} amun_mia_options;
AMUN_API amun_status amun_mia_options_init(amun_mia_options *opts, size_t size);

/** The pool is `train` followed by `test`; both are kept alive. @since 0.1 */
AMUN_API amun_status amun_mia_create(amun_mia **mia, amun_context *ctx, amun_dataset *train,
                                     amun_dataset *test, const amun_mia_options *opts);
AMUN_API amun_mia *amun_mia_ref(amun_mia *mia);
AMUN_API void amun_mia_unref(amun_mia *mia);
/** Trains the reference models that `dir` lacks, each on its half of the pool from fresh weights
 *  (seed = opts->seed + number) with the architecture of `like`, one file per model
 *  (reference_000.safetensors), then computes their signals. Interrupted at any moment, the next call goes on. Files of
 *  other options, data or architecture give STATE. [in] dir NULL: keep nothing on disk. @since 0.1 */
AMUN_API amun_status amun_mia_train_references(amun_mia *mia, const amun_model *like,
                                               const amun_train_options *opts, const char *dir,
                                               const amun_call_options *call);
/** Logits of model number `number` on the whole pool [train + test, classes] instead of training it. @since 0.1 */
AMUN_API amun_status amun_mia_set_reference(amun_mia *mia, int32_t number,
                                            const amun_tensor_view *logits);
/** Bytes [references][pool] of the inclusion matrix. Borrowed. @since 0.1 */
AMUN_API const uint8_t *amun_mia_inclusion(const amun_mia *mia);

/** Everything in percent. @since 0.1 */
typedef struct amun_audit {
    size_t struct_size;    /**< set by the caller */
    double ua, ra, ta;     /**< accuracy on the forget, remaining and test samples */
    double ft_auc, fr_auc, rt_auc; /**< RMIA: forget/test, remain/forget, remain/test */
    double ft_auc_sd;      /**< over the subsamples */
    double ft_tpr_1, ft_tpr_01; /**< true-positive rate at 1 % and 0.1 % false positives, forget/test */
    double mis;            /**< NaN without libsvm */
    double seconds;
    int64_t nonpositive;   /**< Taylor sums that were not positive */
    int64_t references;    /**< models used */
} amun_audit;

/** Audits `model`: forget = indices into the training set, remain = the rest of it. @since 0.1 */
AMUN_API amun_status amun_mia_audit(amun_audit *audit, amun_mia *mia, const amun_model *model,
                                    const int64_t *forget, size_t count,
                                    const amun_call_options *call);

/* ---- report ------------------------------------------------------------------------------------------ */

/** The JSON report "amun.report/1" (docs/report.md). One thread at a time. */
typedef struct amun_report amun_report;
/** [in] dataset, arch: names for the reader. @since 0.1 */
AMUN_API amun_status amun_report_create(amun_report **report, amun_context *ctx,
                                        const char *dataset, const char *arch,
                                        size_t forget_count, int32_t references);
AMUN_API amun_report *amun_report_ref(amun_report *report);
AMUN_API void amun_report_unref(amun_report *report);
/** Adds one run of a method ("original", "retrain", "amun", "amun_df", or a name of yours) for forget set `seed`; runs of one
 *  method are averaged, with their spread. [in] seconds: the method's own time. @since 0.1 */
AMUN_API amun_status amun_report_add(amun_report *report, const char *method, uint64_t seed,
                                     const amun_audit *audit, double seconds);
/** Adds option values to the provenance: `json` is the text of a JSON object. @since 0.1 */
AMUN_API amun_status amun_report_add_provenance(amun_report *report, const char *key,
                                                const char *json);
/** Mean and sample standard deviation over a method's runs. Statuses: NOT_FOUND. @since 0.1 */
AMUN_API amun_status amun_report_get(const amun_report *report, const char *method,
                                     amun_audit *mean, amun_audit *sd, double *seconds);
/** Aligned text table into buf (always terminated); *needed gets the bytes including the terminator. @since 0.1 */
AMUN_API amun_status amun_report_table(const amun_report *report, char *buf, size_t cap,
                                       size_t *needed);
/** Writes the report, atomically. @since 0.1 */
AMUN_API amun_status amun_report_write(const amun_report *report, const char *path);

#ifdef __cplusplus
}
#endif
#endif
