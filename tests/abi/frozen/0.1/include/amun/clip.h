/* amun/clip.h - holding the spectral norms of a model's layers to a target: once, in a training
 * loop of your own, or in amun_train_run() (amun_train_options.clip). */
#ifndef AMUN_CLIP_H
#define AMUN_CLIP_H

#include "base.h"
#include "context.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How a convolution that is too large is made smaller. c is the target, sigma the measured norm.
 */
typedef int32_t amun_clip_method;
enum {
    AMUN_CLIP_BLOCK = 1,  /**< all singular directions above c at once, with exact line search, on
                               freshly extracted vectors, until none is left (after arXiv 2402.16017,
                               algorithm 2) */
    AMUN_CLIP_LEGACY = 2, /**< the authors' form: one vector, `inner_steps` of fixed size `eta` */
    AMUN_CLIP_SCALE = 3,  /**< W <- W * c / sigma: shrinks the whole spectrum */
    AMUN_CLIP_MIYATO = 4, /**< spectral normalisation of the flattened kernel (arXiv 1802.05957): W
                             * c / sigma, upwards too. In training the true reparametrisation: the
                               optimiser works on the raw weights, and the normalised ones are what
                               the run leaves */
    AMUN_CLIP_GOUK = 5,   /**< W <- W / max(1, sigma / c), sigma by a few power iterations from a
                               fresh start (arXiv 1804.04368) */
    AMUN_CLIP_SEDGHI =
        6, /**< clamps the spectrum of the circular map (arXiv 1805.10408); stride 1 */
    AMUN_CLIP_SENDEROVICH = 7, /**< the same with strides (arXiv 2211.13771) */
    AMUN_CLIP_DELATTRE_2023 =
        8, /**< a penalty on the Gram norm; in training only (arXiv 2305.16173) */
    AMUN_CLIP_DELATTRE_2024 = 9 /**< divides each output channel (arXiv 2402.00240) */
};

/** What happens to batch norms. All use the running statistics and never change them. */
typedef int32_t amun_clip_batchnorm;
enum {
    AMUN_CLIP_BATCHNORM_LEAVE = 1,
    AMUN_CLIP_BATCHNORM_HARD = 2,     /**< clamps each channel's scale to c * sqrt(var + eps) */
    AMUN_CLIP_BATCHNORM_SOFT = 3,     /**< 0.9 of the old scale + 0.1 of the clamped one, once per
                                           call or clip */
    AMUN_CLIP_BATCHNORM_GOUK = 4,     /**< all scales divided by max(1, largest factor / c) */
    AMUN_CLIP_BATCHNORM_COMPOSITE = 5 /**< the convolution, and then convolution and batch norm as
                                           one map, by both weights and scales; batch norms that
                                           follow no convolution alone stay as they are. BLOCK,
                                           LEGACY (one step), SCALE (the scales alone) */
};

/** @since 0.1 */
typedef struct amun_clip_options {
    size_t struct_size; /**< set by amun_clip_options_init() */
    amun_clip_method method;       /**< default AMUN_CLIP_BLOCK */
    amun_clip_batchnorm batchnorm; /**< default AMUN_CLIP_BATCHNORM_LEAVE */
    double target;                 /**< c of convolutions and dense layers, default 1, range
                                        (0, 1e6] */
    double batchnorm_target;       /**< of batch norms, or of the composite, default 1 */
    double tol;                    /**< of the singular values, default 1e-3, range (0, 1] */
    int32_t linear;      /**< 1 (default): dense layers too. SCALE, MIYATO and GOUK by their own
                              rule, all others exactly: U min(S, c) V'. BLOCK also treats 1x1
                              convolutions and those with kernel <= stride so, without padding */
    int32_t exact;       /**< BLOCK, LEGACY, SCALE. 1: a convolution's norm that is more than 0.05
                              below c is raised, too; default 0 */
    int32_t final_scale; /**< amun_clipper_run(): 1 (default): last, multiply by min(1, c /
                              sigma_upper), so that the norm certainly is at most c. Composite: the
                              scales of the batch norm */
    int32_t max_rounds;  /**< amun_clipper_run(): extractions at most, default 400, range [1,
                              100000] */
    int32_t block;       /**< vectors, default 0: 16, in amun_train_run() 2 (each step pays for
                              them); LEGACY 1; range [0, 128] */
    int32_t every;       /**< in training: steps between clips, default 100, range [1, 1000000] */
    int32_t delay;       /**< in training: clips at steps above this only, default 0 (the first step
                              is 0, so it never clips), range [0, 1e9] */
    int32_t power_iterations; /**< in training: per step, default 1, range [0, 1000] */
    int32_t rounds;           /**< in training: extractions per clip, default 1, range [1, 1000] */
    int32_t inner_steps;      /**< LEGACY, default 5 (the authors': 1 without batch norm), range [1,
                                   1000] */
    int32_t iterations; /**< of the rivals' own estimates; default 0: as published (MIYATO 1, GOUK
                             5, DELATTRE_2023 6, DELATTRE_2024 4; SEDGHI, SENDEROVICH: passes, 1) */
    int32_t reserved0;  /**< must be 0 */
    double eta;         /**< LEGACY: step size, default 0: 0.35, composite 0.01; range [0, 1000] */
    double penalty;     /**< DELATTRE_2023: factor, default 0.1, range [0, 1e6] */
    uint64_t seed;      /**< of the starting vectors, default 0 */
} amun_clip_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_clip_options_init(amun_clip_options *opts, size_t size);

/** What a clipping call did. @since 0.1 */
typedef struct amun_clip_result {
    size_t struct_size; /**< set by the caller */
    int64_t layers;     /**< that are held to a target */
    int64_t changed;    /**< whose weights changed */
    int64_t rounds;     /**< extractions, all layers together */
    double largest;     /**< largest sigma_lower / target afterwards; amun_clipper_step(): as its
                             power iterations saw it, before the clip (0: nothing seen yet) */
    double upper;       /**< largest sigma_upper / target; infinity without final_scale */
    double moved;       /**< largest relative change of a layer's weights or scales (l2) */
    double seconds;     /**< of this call */
} amun_clip_result;

/** Holds the vectors of one model's layers, and their weights where a method needs them. Keeps a
 *  reference to the model. One thread at a time. */
typedef struct amun_clipper amun_clipper;

/** [out] clipper: one reference, NULL on failure. [in] model: its convolutions, dense layers and
 * batch norms are listed now; weights are read at each call. [in] opts nullable. Statuses:
 *  INVALID_ARGUMENT, UNSUPPORTED (a method that cannot take one of the layers, naming it; composite
 *  or exact with another method than BLOCK, LEGACY, SCALE), BUSY, OUT_OF_MEMORY, BACKEND.
 *  @since 0.1 */
AMUN_API amun_status amun_clipper_create(amun_clipper **clipper, amun_model *model,
                                         const amun_clip_options *opts);
/** Adds a reference and returns `clipper`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_clipper *amun_clipper_ref(amun_clipper *clipper);
/** Gives a reference back; the last one frees. NULL is fine. Any thread. @since 0.1 */
AMUN_API void amun_clipper_unref(amun_clipper *clipper);
/** Clips all layers to their targets, now. Biases and running statistics stay, to the bit. The
 *  methods of others (MIYATO and up) are applied once; how far above c they end is in `largest`
 *  (without final_scale, which brings them down too).
 *  [out] result nullable, struct_size set; written also after a failure that changed something.
 *  [in] call nullable; phase "clip", one unit per layer, metric: its norm.
 *  Statuses: NUMERIC (without final_scale: a layer is still above its target by more than tol after
 *  max_rounds, naming it: what was done stays, and the caller may go on; weights that are not
 *  finite), UNSUPPORTED (DELATTRE_2023), BUSY, CANCELLED (what was done so far stays, without
 *  final_scale), OUT_OF_MEMORY, BACKEND. @since 0.1 */
AMUN_API amun_status amun_clipper_run(amun_clip_result *result, amun_clipper *clipper,
                                      const amun_call_options *call);
/** One step of the training schedule, for training loops of the caller's own: power iterations on
 *  every layer, and every `every` steps a clip. Call it before the forward pass. MIYATO and
 *  DELATTRE_2023 need the gradients and give UNSUPPORTED: train with amun_train_run().
 *  [out] result as above, of this step. Statuses as amun_clipper_run(). @since 0.1 */
AMUN_API amun_status amun_clipper_step(amun_clip_result *result, amun_clipper *clipper);

#ifdef __cplusplus
}
#endif
#endif
