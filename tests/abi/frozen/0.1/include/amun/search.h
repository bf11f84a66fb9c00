/* amun/search.h - how the nearest adversarial example of a sample is looked for: the options of
 * amun_attack_create_search(). */
#ifndef AMUN_SEARCH_H
#define AMUN_SEARCH_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How distances are measured. */
typedef int32_t amun_norm;
enum { AMUN_NORM_L2 = 1, AMUN_NORM_LINF = 2 };
/** What a search does about samples without a flip. */
typedef int32_t amun_failure_policy;
enum {
    AMUN_FAILURE_LEAVE_OUT = 1,  /**< default: they leave D_A and the D_F part of fine-tuning */
    AMUN_FAILURE_KEEP_IN_DF = 2, /**< they stay in the D_F part */
    AMUN_FAILURE_ERROR = 3,      /**< the call fails with NUMERIC, naming the first index */
    AMUN_FAILURE_RETRY = 4       /**< one more search from a random start at eps0, then LEAVE_OUT */
};

/** How a search looks for the nearest adversarial example. */
typedef int32_t amun_search_method;
enum {
    /** AMUN, arXiv 2503.00917, Algorithm 1: PGD in a ball that grows until the label flips, with
     *  steps of eps / step_divisor; the label is tested before each step, so the result is the
     *  first wrong iterate; after `steps` steps without a flip eps grows. */
    AMUN_SEARCH_EPSILON = 1,
    /** DDN, arXiv 1811.09600, Algorithm 1: a = clamp01(x + eps_k d / |d|) with
     *  d = a - x + alpha_k g / |g|, g the gradient of the cross-entropy and
     *  eps_k = eps_{k-1} (1 - gamma) where a is wrong, (1 + gamma) where it is right. */
    AMUN_SEARCH_DDN = 2,
    /** FMN in L2, arXiv 2102.12827, Algorithm 1: steps of alpha_k on the margin, projected onto
     *  the ball of eps_k: |a - x| + |margin| / |its gradient| until the first flip (but at least
     *  eps_{k-1} (1 + gamma_k): the estimate alone can come to rest on the boundary), from then on
     *  min(eps_{k-1} (1 - gamma_k), best distance) where a is wrong, eps_{k-1} (1 + gamma_k) where
     *  it is right. */
    AMUN_SEARCH_FMN = 3
};

/** Nearest adversarial example, one search per sample. EPSILON ends at the first flip; DDN and FMN
 *  take `steps` steps in all, and the nearest wrong iterate is the result; `eps` of the record is
 *  then the radius at which it was found (0: wrong already). A sample that is wrong already is
 *  returned unchanged. alpha_k, and gamma_k of FMN, fall along half a cosine: v_k = v_final +
 *  (v - v_final) (1 + cos(pi k / steps)) / 2, k = 0 .. steps - 1. DDN and FMN know
 *  AMUN_NORM_L2 only, and no pilot (INVALID_ARGUMENT). @since 0.1 */
typedef struct amun_search_options {
    size_t struct_size; /**< set by amun_search_options_init() */
    amun_norm norm;      /**< default AMUN_NORM_L2 */
    int32_t steps;       /**< gradient steps, EPSILON: per radius, DDN and FMN: in all; default 50,
                              range [1, 10000] */
    double eps0;         /**< EPSILON: first radius, default 0.04, range (0, 1000]; all: of the
                              random start of AMUN_FAILURE_RETRY */
    double growth;       /**< EPSILON: radius factor between rounds, default 2, range (1, 100] */
    double step_divisor; /**< EPSILON: step = eps / step_divisor, default 10, range [1, 10000] */
    double eps_max;      /**< no radius beyond this; default 0 = sqrt(C*H*W) for L2, 1 for Linf (the
                              ball that holds every image); range [0, 100000], not below eps0 */
    int32_t restart;     /**< EPSILON, default 0: the next radius goes on from where the last one
                              ended; 1: it starts from the image */
    int32_t margin_fallback; /**< default 1: gradient of the margin where softmax is saturated (norm
                                  of its gradient below 1e-8) */
    amun_failure_policy on_failure; /**< default AMUN_FAILURE_LEAVE_OUT */
    int32_t batch;                  /**< slots, default 128, range [1, 4096] */
    uint64_t seed;                  /**< for AMUN_FAILURE_RETRY; default 0 */
    amun_search_method method;      /**< default AMUN_SEARCH_EPSILON */
    /** EPSILON: how many samples, the first of the input, are searched from `pilot_eps`; all others
     *  then start at a percentile of the radii at which those flipped (none flipped: at eps0). The
     *  pilot keeps its results. They depend on the samples given and their order, not on the batch.
     *  Default 0: everything starts at eps0; range [0, 1000000] */
    int32_t pilot;
    double pilot_eps;        /**< default 0.01, range (0, 1000], not above eps_max */
    double pilot_percentile; /**< nearest rank; default 50, range [0, 100] */
    double init_norm;        /**< DDN: radius before the first step, default 1, range (0, 1000] */
    double gamma;            /**< DDN, FMN: default 0.05, range [0, 0.9] */
    double gamma_final;      /**< FMN: default 0.001, range [0, 0.9] */
    double alpha;            /**< DDN, FMN: length of a step, default 1, range (0, 1000] */
    double alpha_final;      /**< DDN, FMN: default 0.01, range [0, 1000] */
} amun_search_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_search_options_init(amun_search_options *opts, size_t size);

#ifdef __cplusplus
}
#endif
#endif
