/* amun/trw.h - tilted reweighting: the target that a class to be forgotten is moved to. */
#ifndef AMUN_TRW_H
#define AMUN_TRW_H

#include "base.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the similarity of two classes becomes a score. */
typedef int32_t amun_trw_score;
enum {
    AMUN_TRW_SCORE_SOFTMAX = 1, /**< softmax of the cosines over the retained classes */
    AMUN_TRW_SCORE_COSINE = 2   /**< the cosines themselves */
};
/** What replaces the scores, to see whether they matter. */
typedef int32_t amun_trw_control;
enum {
    AMUN_TRW_CONTROL_NONE = 1,
    AMUN_TRW_CONTROL_PERMUTED = 2, /**< a random permutation over the retained classes */
    AMUN_TRW_CONTROL_REVERSED = 3, /**< the nearest class gets the lowest score */
    AMUN_TRW_CONTROL_UNIFORM = 4,  /**< all alike: no tilt */
    AMUN_TRW_CONTROL_RANKS = 5     /**< by rank alone: 1 for the nearest down to 0, sum 1 for SOFTMAX */
};

/** TRW (arXiv 2506.20893; docs/class_unlearning.md tells what the paper states and what is derived
 *  here). The target of a forget sample x of class y, with F the forget classes and p the
 *  probabilities of the original model, is q_j = p_j exp(beta s_j) / sum over k not in F of
 *  p_k exp(beta s_k) for j not in F, where s are the scores of y. beta 0 without remaining data is
 *  DELETE. NULL options mean the defaults. @since 0.1 */
typedef struct amun_trw_options {
    size_t struct_size; /**< set by amun_trw_options_init() */
    double beta;           /**< tilt, default 10, range [0, 1000] */
    double temperature;    /**< of the softmax over cosines, default 0.1, range [1e-3, 1000] */
    double energy;         /**< share of the rows' energy that the principal components keep,
                                default 0.95, range (0, 1] */
    int32_t components;    /**< default 0: by energy; else so many, at most classes - 1 */
    amun_trw_score score;  /**< default AMUN_TRW_SCORE_SOFTMAX */
    int32_t bias;          /**< 1: a row of the last layer includes its bias; default 0 */
    int32_t balanced;      /**< 1: the forget samples are repeated until they are about as many as
                                the remaining ones; default 0: each once per epoch */
    int32_t frozen_statistics; /**< 1: batch norm as in evaluation; default 0 */
    int32_t neighbours;    /**< sample-dependent scores: 0 by the cosine to the class means
                                (default), k > 0 by the classes of the k nearest retained samples */
    double kappa;          /**< share of the sample-dependent score, default 0, range [0, 1] */
    double forget_floor;   /**< probability left to the forget classes together, default 0,
                                range [0, 0.1]. A retrained model never gives exactly 0 */
    double forget_weight;  /**< lambda of the forget loss, default 1, range [0, 1000] */
    double noise;          /**< standard deviation of Gaussian noise on the scores, as a multiple
                                of theirs, default 0, range [0, 100] */
    amun_trw_control control; /**< default AMUN_TRW_CONTROL_NONE */
    int32_t stage;         /**< sample-dependent scores read the inputs of the last dense layer (0,
                                default) or the features so many stages before it, as
                                amun_features_compute() does; range [0, 64], above 0 needs kappa */
    uint64_t noise_seed;   /**< of the noise and the permutation, default 0 */
} amun_trw_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts.
 *  Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_trw_options_init(amun_trw_options *opts, size_t size);

/* ---- the method's arithmetic: bring any model ------------------------------------------------------ */

/* The calls below need no context and no handle; any number of threads at once. They allocate and
 * free scratch with the C library. All compute in double. Common arguments: [in] forget: `count`
 * different forget classes, each in 0..classes-1, at least one class retained; [in] logits
 * [n, classes], F32 or F64, n >= 1, finite; [in] labels [n], I64, I32 or U8, each a forget class;
 * [in] scores: row i is that of forget[i], and that of sample k is the row of its label; labels NULL:
 * there are n rows, one per sample. Scores of forget classes count for nothing. Common statuses:
 * INVALID_ARGUMENT (also what an option or list has out of range, naming the value), SHAPE, NUMERIC
 * (a value is not finite, naming its place), OUT_OF_MEMORY. */

/** Similarity of each retained class to each forget class, from the rows of the last layer: centred
 *  by their mean, projected on their first principal components (options `energy`, `components`),
 *  cosine, then `score`, `control` and `noise`. (PCA and softmax: arXiv 2512.06993, chapter 5. The
 *  constants are this library's.)
 *  [out] scores: [count][classes], 0 at forget classes. [in] rows [classes, d], F32 or F64,
 *  classes >= 2, d >= 1. [in] bias [classes], F32 or F64: read if opts->bias is 1, else nullable.
 *  [in] opts nullable. Statuses: common; NUMERIC also for a class whose projected row is zero, so that
 *  it has no direction. @since 0.1 */
AMUN_API amun_status amun_trw_scores(double *scores, const amun_tensor_view *rows,
                                     const amun_tensor_view *bias, const int64_t *forget,
                                     size_t count, const amun_trw_options *opts);
/** Similarity of each retained class to each forget sample, from features (inputs of the last
 *  layer). opts->neighbours 0: cosine between the sample and the class mean, both less the mean of
 *  all retained samples, then `score`; k > 0: (n_j + 1) / (k + retained classes), where n_j of the k
 *  retained samples with the largest cosine to the sample are of class j. Computed in float blocks;
 *  scratch is about 4 n (256 + d + 3k) bytes beside a float copy of 256 retained samples.
 *  [out] scores: [n][classes], 0 at forget classes. [in] features [n, d]; [in] remain [m, d], both F32
 *  or F64; [in] remain_labels [m], each a retained class; every retained class has a sample unless
 *  opts->neighbours is above 0, and then m >= neighbours. [in] opts nullable; kappa, control and
 *  noise are left to amun_trw_mix(). Statuses: common; NUMERIC also where a cosine has no direction.
 *  @since 0.1 */
AMUN_API amun_status amun_trw_sample_scores(double *scores, const amun_tensor_view *features,
                                            const amun_tensor_view *remain,
                                            const amun_tensor_view *remain_labels,
                                            const int64_t *forget, size_t count, int64_t classes,
                                            const amun_trw_options *opts);
/** scores = kappa scores + (1 - kappa) class_scores, then `control` and `noise`. Noise and permutation
 *  are the same for all samples of a class.
 *  [in,out] scores: [n][classes] of amun_trw_sample_scores(). [in] class_scores: [count][classes] of
 *  amun_trw_scores() with neither control nor noise. [in] labels [n]. [in] opts nullable.
 *  Statuses: common. @since 0.1 */
AMUN_API amun_status amun_trw_mix(double *scores, const double *class_scores,
                                  const amun_tensor_view *labels, const int64_t *forget,
                                  size_t count, int64_t classes, const amun_trw_options *opts);
/** Targets q of forget samples (see amun_trw_options) with opts->beta; opts->forget_floor is shared
 *  evenly by the forget classes. Never divides by 1 - p_f: exact where the model is certain.
 *  [out] targets: [n][classes], each row of sum 1. [in] opts nullable. Statuses: common. @since 0.1 */
AMUN_API amun_status amun_trw_targets(double *targets, const amun_tensor_view *logits,
                                      const amun_tensor_view *labels, const int64_t *forget,
                                      size_t count, const double *scores,
                                      const amun_trw_options *opts);
/** The moment that a tilt fixes, sum over j of q_j s_j, as the mean over the samples; forget_floor 0.
 *  It grows with beta. [out] moment; [out] slope, nullable: its derivative by beta, the mean
 *  variance of s under q; both NaN on failure. [in] beta in [-1000, 1000]. Statuses: common. @since 0.1 */
AMUN_API amun_status amun_trw_moment(double *moment, double *slope, const amun_tensor_view *logits,
                                     const amun_tensor_view *labels, const int64_t *forget,
                                     size_t count, const double *scores, double beta);
/** The beta in [0, 1000] at which amun_trw_moment() is `moment`, by Newton steps inside a bisection.
 *  [out] beta, NaN on failure. Statuses: common; NUMERIC also if no such beta exists, naming the
 *  moments at both ends. @since 0.1 */
AMUN_API amun_status amun_trw_solve_beta(double *beta, const amun_tensor_view *logits,
                                         const amun_tensor_view *labels, const int64_t *forget,
                                         size_t count, const double *scores, double moment);
/** The beta that gives the moment of a retrained model on the same samples: amun_trw_solve_beta() for
 *  the moment of `reference` at beta 0. For studies: who can retrain need not unlearn.
 *  [out] beta, [out] moment (nullable): NaN on failure. [in] reference: logits of the retrained
 *  model, [n, classes]. Statuses: as amun_trw_solve_beta(). @since 0.1 */
AMUN_API amun_status amun_trw_beta_from_reference(double *beta, double *moment,
                                                  const amun_tensor_view *logits,
                                                  const amun_tensor_view *reference,
                                                  const amun_tensor_view *labels,
                                                  const int64_t *forget, size_t count,
                                                  const double *scores);

#ifdef __cplusplus
}
#endif
#endif
