/* amun/rivals.h - the constants of the unlearning methods that the papers compare with. */
#ifndef AMUN_RIVALS_H
#define AMUN_RIVALS_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One struct for all of them: each method reads its own fields. NULL means the defaults, which are
 *  those of the papers or of their released code (docs/unlearning.md says which). @since 0.1 */
typedef struct amun_rival_options {
    size_t struct_size; /**< set by amun_rival_options_init() */
    int32_t any_label;      /**< RANDOM_LABEL, SALUN: 1 draws over all classes, the true one too;
                                 default 0: over the others */
    int32_t forget_first;   /**< RANDOM_LABEL, SALUN: 1 a pass over the relabelled D_F, then one over
                                 D_R, every epoch; default 0: one shuffled list */
    double ascent_norm;     /**< GRADIENT_ASCENT: a longer gradient is scaled down to this norm;
                                 default 0: never; range [0, 1e6] */
    double ascent_floor;    /**< GRADIENT_ASCENT: ends after an epoch with this accuracy on D_F or
                                 less, percent; default 0, range [0, 100] */
    double retain_weight;   /**< NEGGRAD_PLUS: alpha in alpha CE(D_R) - (1 - alpha) CE(D_F),
                                 default 0.95, range [0, 1] */
    double boundary_step;   /**< BOUNDARY_SHRINK: l-infinity step to the nearest boundary, in pixel
                                 units, default 0.1, range (0, 1] */
    double l1;              /**< L1_SPARSE: the penalty in the first epoch, falling linearly to 0
                                 after the last; default 1e-3, range [0, 10] */
    double scrub_temperature; /**< SCRUB: default 4, range [0.01, 1000] */
    double scrub_gamma;     /**< SCRUB: weight of the cross-entropy on D_R, default 0.99, [0, 1000] */
    double scrub_alpha;     /**< SCRUB: weight of the distillation on D_R, default 0.001, [0, 1000] */
    int32_t scrub_ascent_epochs; /**< SCRUB: epochs that begin with a maximising pass over D_F,
                                 default 2, range [0, 100000] */
    int32_t scrub_rewind;   /**< SCRUB: 1 goes back to the epoch whose error on D_F is nearest to
                                 that on held-out samples of D_R; default 0 */
    double ssd_alpha;       /**< SSD: a weight is dampened where its importance for D_F exceeds this
                                 times that for D, default 10, range [0, 1e9] */
    double ssd_lambda;      /**< SSD: strength, default 1, range [0, 1e9] */
    double svd_retain_alpha; /**< SVD: scale of the retained space, default 100, range [0, 1e9] */
    double svd_forget_alpha; /**< SVD: scale of the forget space, default 3, range [0, 1e9] */
    int32_t svd_samples;    /**< SVD: samples of D_R and of D_F each, default 900, range [1, 1e6] */
    int32_t svd_patches;    /**< SVD: most patches per layer and side, default 10000, [1, 1e7] */
    double teacher_share;   /**< BAD_TEACHER: share of D_R, default 0.3, range (0, 1] */
    double teacher_temperature; /**< BAD_TEACHER: default 1, range [0.01, 1000] */
    int32_t unsir_noise;    /**< UNSIR: noise images per forget class, default 256, [1, 65536] */
    int32_t unsir_noise_steps; /**< UNSIR: steps that make the noise, default 40, [0, 100000] */
    double unsir_noise_lr;  /**< UNSIR: rate of these steps (Adam), default 0.1, range (0, 1000] */
    double unsir_noise_penalty; /**< UNSIR: weight of mean ||noise||^2, default 0.1, [0, 1000] */
    int32_t unsir_copies;   /**< UNSIR: copies of the noise in the impair epoch, default 20, [1, 4095] */
    int32_t unsir_per_class; /**< UNSIR: samples of each retained class, default 1000, [1, 1e6] */
    double unsir_repair_lr; /**< UNSIR: rate of the repair epoch, default 0.01, range (0, 1000] */
    int32_t last_blocks;    /**< EUK, CFK: so many of the last weighted layers before the last one
                                 are trained with it, default 1, range [0, 100000] */
    int32_t reserved;       /**< 0 */
} amun_rival_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts.
 *  Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_rival_options_init(amun_rival_options *opts, size_t size);

#ifdef __cplusplus
}
#endif
#endif
