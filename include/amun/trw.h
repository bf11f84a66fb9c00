/* amun/trw.h - tilted reweighting: the target that a class to be forgotten is moved to. */
#ifndef AMUN_TRW_H
#define AMUN_TRW_H

#include "base.h"

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
    size_t struct_size;
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
    int32_t reserved;      /**< 0 */
    uint64_t noise_seed;   /**< of the noise and the permutation, default 0 */
} amun_trw_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts.
 *  Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_trw_options_init(amun_trw_options *opts, size_t size);

#ifdef __cplusplus
}
#endif
#endif
