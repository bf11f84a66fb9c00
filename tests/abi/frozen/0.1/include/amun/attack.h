/* amun/attack.h - adversarial examples, and the adversarial set that AMUN forgets with. */
#ifndef AMUN_ATTACK_H
#define AMUN_ATTACK_H

#include "base.h"
#include "context.h"
#include "dataset.h"
#include "model.h"
#include "search.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A configured attack. One thread at a time; several may share one model. Images are pixels in
 *  [0, 1]; attacks are untargeted (any label but the true one will do), run in
 *  evaluation mode, and never touch the model. A result does not depend on the batch a sample was
 *  in (beyond float rounding), and random starts are keyed by sample, not by batch or thread. */
typedef struct amun_attack amun_attack;

/** FGSM: clamp01(x + eps * sign(g)), with sign(0) = 0 (Goodfellow et al., arXiv 1412.6572).
 *  @since 0.1 */
typedef struct amun_fgsm_options {
    size_t struct_size; /**< set by amun_fgsm_options_init() */
    double eps;    /**< default 8/255, range [0, 1] */
    int32_t batch; /**< samples per plan, default 128, range [1, 4096] */
    int32_t reserved0; /**< must be 0 */
} amun_fgsm_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_fgsm_options_init(amun_fgsm_options *opts, size_t size);

/** FFGSM: random start in the Linf ball, one step of size `step`, projection (Wong et al., arXiv
 *  2001.03994). @since 0.1 */
typedef struct amun_ffgsm_options {
    size_t struct_size; /**< set by amun_ffgsm_options_init() */
    double eps;    /**< default 8/255, range [0, 1] */
    double step;   /**< default 10/255, range [0, 1] */
    uint64_t seed; /**< default 0; starts are keyed by (seed, sample id) */
    int32_t batch; /**< default 128, range [1, 4096] */
    int32_t reserved0; /**< must be 0 */
} amun_ffgsm_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_ffgsm_options_init(amun_ffgsm_options *opts, size_t size);

/** PGD in the Linf or the L2 ball (Madry et al., arXiv 1706.06083). L2 steps follow g / (|g| +
 *  1e-10); an L2 random start has a radius uniform in [0, eps). @since 0.1 */
typedef struct amun_pgd_options {
    size_t struct_size; /**< set by amun_pgd_linf_options_init(), amun_pgd_l2_options_init() */
    double eps;                      /**< Linf default 8/255, L2 default 1.0; range [0, 1000] */
    double step;                     /**< Linf default 2/255, L2 default 0.2; range [0, 1000] */
    int32_t steps;                   /**< default 10, range [1, 10000] */
    int32_t random_start;            /**< default 1; 0: start from the image */
    uint64_t seed;                   /**< default 0; starts are keyed by (seed, sample id) */
    int32_t batch;                   /**< default 128, range [1, 4096] */
    int32_t legacy_normalised_clamp; /**< default 0; 1: see amun_clamp, Linf only */
} amun_pgd_options;
/** Defaults of the Linf ball. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_pgd_linf_options_init(amun_pgd_options *opts, size_t size);
/** Defaults of the L2 ball. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_pgd_l2_options_init(amun_pgd_options *opts, size_t size);

/** MI-FGSM, or MIM: Linf steps along an accumulated gradient, v = decay * v + g / |g|_1; a += step
 * * sign(v); no random start (Dong et al., arXiv 1710.06081). @since 0.1 */
typedef struct amun_mim_options {
    size_t struct_size; /**< set by amun_mim_options_init() */
    double eps;    /**< default 8/255, range [0, 1000] */
    double step;   /**< default 2/255, range [0, 1000] */
    double decay;  /**< default 1, range [0, 10] */
    int32_t steps; /**< default 10, range [1, 10000] */
    int32_t batch; /**< default 128, range [1, 4096] */
} amun_mim_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_mim_options_init(amun_mim_options *opts, size_t size);

/** What APGD increases. z_(i) is the i-th largest logit, y the label. */
typedef int32_t amun_attack_loss;
enum {
    AMUN_ATTACK_LOSS_CE = 1,          /**< cross-entropy of y */
    AMUN_ATTACK_LOSS_DLR = 2,         /**< (max_{k != y} z_k - z_y) / (z_(1) - z_(3)) */
    AMUN_ATTACK_LOSS_DLR_TARGETED = 3 /**< (z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2) for one rival
                                         t after another; 3 classes divide as DLR, 2 by 1 (both) */
};
/** Auto-PGD (Croce & Hein, arXiv 2003.01690, Algorithm 1): PGD with momentum whose step, 2 eps at
 *  first, is halved at the checkpoints ceil(p_j * steps), p = 0, 0.22, 0.41, 0.57, ..., if fewer
 * than rho of the updates since the last one raised the loss, or if neither step nor best loss
 * changed; it then goes on from the best point. The result is the iterate with the highest loss, a
 * flipped one before all others. @since 0.1 */
typedef struct amun_apgd_options {
    size_t struct_size; /**< set by amun_apgd_options_init() */
    amun_norm norm;        /**< default AMUN_NORM_LINF */
    amun_attack_loss loss; /**< default AMUN_ATTACK_LOSS_CE */
    double eps;            /**< default 8/255 (usual for L2: 0.5), range [0, 1000] */
    double rho;            /**< default 0.75, range [0, 1] */
    double momentum;       /**< weight of the new step, alpha in the paper; default 0.75, [0, 1] */
    int32_t steps;         /**< gradient steps per start, default 100, range [1, 10000] */
    int32_t restarts;      /**< starts (per target) until a flip, default 1, range [1, 100] */
    int32_t targets;       /**< DLR_TARGETED: the rivals with the largest logits on the clean image;
                                default 9, range [1, 100], at most classes - 1 are used */
    int32_t random_start;  /**< default 1; 0: from the image */
    uint64_t seed;         /**< default 0; starts are keyed by (seed, sample id, number of start) */
    int32_t stop_at_flip;  /**< default 0; 1: the first flipped iterate is the result, a sample that
                                is wrong already is returned unchanged */
    int32_t batch;         /**< slots, default 128, range [1, 4096] */
} amun_apgd_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_apgd_options_init(amun_apgd_options *opts, size_t size);

/** Square attack (Andriushchenko et al., arXiv 1912.00049): random search on the margin of the
 *  label, by changing square windows; no gradients. Ends at the first flip; else the result is the
 *  image with the smallest margin. A sample that is wrong already is returned unchanged.
 *  `updates` in the record counts queries, without that of the clean image. @since 0.1 */
typedef struct amun_square_options {
    size_t struct_size; /**< set by amun_square_options_init() */
    amun_norm norm;  /**< default AMUN_NORM_LINF */
    int32_t queries; /**< default 5000, range [1, 1000000] */
    double eps;      /**< default 8/255 (usual for L2: 0.5), range [0, 1000] */
    double p_init; /**< share of the image that the first windows cover, default 0.8, range (0, 1];
                        halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 of 10000
                        queries, in proportion */
    uint64_t seed; /**< default 0; draws are keyed by (seed, sample id, query) */
    int32_t batch; /**< slots, default 128, range [1, 4096] */
    int32_t reserved0; /**< must be 0 */
} amun_square_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_square_options_init(amun_square_options *opts, size_t size);

/** Worst case of three attacks, as in AutoAttack (arXiv 2003.01690; its FAB attack is left out):
 *  APGD on the cross-entropy, APGD on the targeted DLR loss, Square, with their defaults and
 *  stop_at_flip. Each works on the samples that those before it did not flip; NOT_FLIPPED is who
 *  survives all of them, and flags say who flipped the others. A failure in one attack stays the
 *  outcome unless another flips the sample. Progress: one phase "attack" per attack. @since 0.1 */
typedef struct amun_standard_options {
    size_t struct_size; /**< set by amun_standard_options_init() */
    amun_norm norm;  /**< default AMUN_NORM_LINF */
    int32_t steps;   /**< of APGD, default 100, range [1, 10000] */
    double eps;      /**< default 8/255 (usual for L2: 0.5), range [0, 1000] */
    int32_t targets; /**< of APGD, default 9, range [1, 100] */
    int32_t queries; /**< of Square, default 5000, range [1, 1000000] */
    uint64_t seed;   /**< default 0 */
    int32_t batch;   /**< default 128, range [1, 4096] */
    int32_t reserved0; /**< must be 0 */
} amun_standard_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_standard_options_init(amun_standard_options *opts, size_t size);

/** FGSM. As all that create an attack: [out] attack, one reference, NULL on failure; [in] opts
 *  nullable (defaults), copied. Statuses: INVALID_ARGUMENT, UNSUPPORTED (option of a newer
 *  library), OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_attack_create_fgsm(amun_attack **attack, amun_context *ctx,
                                             const amun_fgsm_options *opts);
/** FFGSM; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_ffgsm(amun_attack **attack, amun_context *ctx,
                                              const amun_ffgsm_options *opts);
/** PGD in the Linf ball; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_pgd_linf(amun_attack **attack, amun_context *ctx,
                                                 const amun_pgd_options *opts);
/** PGD in the L2 ball; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_pgd_l2(amun_attack **attack, amun_context *ctx,
                                               const amun_pgd_options *opts);
/** The search for the nearest adversarial example; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_search(amun_attack **attack, amun_context *ctx,
                                               const amun_search_options *opts);
/** MI-FGSM; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_mim(amun_attack **attack, amun_context *ctx,
                                            const amun_mim_options *opts);
/** Auto-PGD; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_apgd(amun_attack **attack, amun_context *ctx,
                                             const amun_apgd_options *opts);
/** Square; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_square(amun_attack **attack, amun_context *ctx,
                                               const amun_square_options *opts);
/** The worst of three attacks; as amun_attack_create_fgsm(). @since 0.1 */
AMUN_API amun_status amun_attack_create_standard(amun_attack **attack, amun_context *ctx,
                                                 const amun_standard_options *opts);
/** Adds a reference and returns `attack`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_attack *amun_attack_ref(amun_attack *attack);
/** Gives a reference back; the last one frees. NULL is fine. Any thread. @since 0.1 */
AMUN_API void amun_attack_unref(amun_attack *attack);

/** Where an attack keeps its images. Numbers of different modes belong in no table together.
 *  NORMALISED: eps, step and clamp are meant in z = (x - mean) / std of the model's first node, a
 *  normalise node (INVALID_ARGUMENT when the attack runs, if there is none); iterates are clamped
 *  to 0 <= z <= 1, which replaces each pixel outside [mean, mean + std] before any step counts.
 *  That is what the released CIFAR scripts of arXiv 2402.16017 and 2410.05136 do; it serves
 *  comparison with their numbers only. */
typedef int32_t amun_clamp;
enum {
    AMUN_CLAMP_PIXELS = 1,    /**< pixels in [0, 1] */
    AMUN_CLAMP_NORMALISED = 2 /**< amun_pgd_options.legacy_normalised_clamp */
};
/** The mode of an attack; 0 for NULL. @since 0.1 */
AMUN_API amun_clamp amun_attack_clamp(const amun_attack *attack);

/** What became of a sample. */
typedef int32_t amun_attack_outcome;
enum {
    AMUN_ATTACK_FLIPPED = 1,         /**< the result has a wrong label */
    AMUN_ATTACK_NOT_FLIPPED = 2,     /**< fixed-radius attacks: the budget was not enough */
    AMUN_ATTACK_FAILED_CAP = 3,      /**< search: eps_max reached */
    AMUN_ATTACK_FAILED_GRADIENT = 4, /**< non-finite gradient; search: also a zero one */
    AMUN_ATTACK_FAILED_NUMERIC = 5,  /**< non-finite logits */
    AMUN_ATTACK_FAILED_BUDGET = 6    /**< search by DDN or FMN: no flip within its steps */
};
/* In amun_attack_record.flags. */
#define AMUN_ATTACK_MARGIN_FALLBACK 1u /**< the margin gradient was used at least once */
#define AMUN_ATTACK_RETRIED 2u         /**< found or lost in the search from a random start */
#define AMUN_ATTACK_BY_APGD_CE 4u      /**< standard: flipped by its first attack, */
#define AMUN_ATTACK_BY_APGD_T 8u       /**< by the second, */
#define AMUN_ATTACK_BY_SQUARE 16u      /**< by the third */
#define AMUN_ATTACK_LEGACY_CLAMP 32u   /**< AMUN_CLAMP_NORMALISED */

/** One row of the per-sample table. Layout frozen for ever. */
typedef struct amun_attack_record {
    int64_t index;       /**< sample id: data-set index, or row of the input */
    int32_t label;       /**< the true label */
    int32_t predicted;   /**< on the clean image, -1 if not finite; ties: the lowest class */
    int32_t adversarial; /**< on the returned image, -1 if not finite */
    amun_attack_outcome outcome; /**< what became of the sample */
    double eps;      /**< radius in force at the end; for a search the last one tried, with DDN and
                          FMN the one at which the returned image was found */
    double l2, linf; /**< distance of the returned image from the clean one */
    int32_t updates; /**< gradient steps taken, over all radii and the retry */
    uint32_t flags;  /**< AMUN_ATTACK_MARGIN_FALLBACK and those after it, added */
    uint64_t input_hash; /**< of the clean image and label (adversarial sets); 0 otherwise */
} amun_attack_record;

/** Attacks a batch of any size. The model is held for reading: several calls may run at once.
 *  [in] images [n, C, H, W], n > 0: F32 or F64 in [0, 1], or U8 (read as value / 255); any strides;
 *  [in] labels [n]: I64, I32 or U8, the true classes;
 *  [in] ids: n sample ids that key random starts and name samples in messages, NULL = 0..n-1;
 *  [out] adversarial [n, C, H, W] F32, not overlapping the input: the last iterate, for a failed
 *  sample its clean image;
 *  [out] records: n rows in input order, nullable; without them a failed sample (FAILED_...) makes
 *  the call return NUMERIC, since the caller could not know;
 *  [in] call nullable; progress phase "attack" counts sample-steps, for a search samples; its
 *  metric is the flipped share.
 *  Statuses: INVALID_ARGUMENT (also labels out of range, pixels outside [0, 1] or NaN: the message
 *  names sample, position and value), SHAPE, BUSY, CANCELLED, NUMERIC, OUT_OF_MEMORY, BACKEND.
 *  After an error the content of the outputs is unspecified. @since 0.1 */
AMUN_API amun_status amun_attack_run(amun_attack *attack, const amun_model *model,
                                     const amun_tensor_view *images, const amun_tensor_view *labels,
                                     const int64_t *ids, const amun_tensor_view *adversarial,
                                     amun_attack_record *records, const amun_call_options *call);

/* ---- adversarial set ------------------------------------------------------------------------ */

/** D_A: for each forget sample its nearest adversarial example, wrong label, radius and distance,
 *  keyed by data-set index and bound to the sample by a hash. Immutable; several threads at once.
 */
typedef struct amun_advset amun_advset;

/** Runs `attack` (a search, normally) on `indices` of `data`. Records stand in the order of
 *  `indices`; samples without a flip stay in the table as such, without image. [out] set: one
 *  reference, NULL on failure; [in] indices: `count` > 0 different positions in `data`, which is
 *  labelled and has the model's image shape; [in] call nullable, phase "attack". Statuses: as
 *  amun_attack_run(). NUMERIC only with AMUN_FAILURE_ERROR. @since 0.1 */
AMUN_API amun_status amun_advset_build(amun_advset **set, amun_attack *attack,
                                       const amun_model *model, const amun_dataset *data,
                                       const int64_t *indices, size_t count,
                                       const amun_call_options *call);
/** Writes the set (safetensors; layout in docs/attacks.md), atomically. Images stay float32:
 *  rounding to bytes can undo a flip. Statuses: INVALID_ARGUMENT, IO, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_advset_save(const amun_advset *set, const char *path);
/** Reads a set and verifies every record against `data`: index, label, input hash, distance of the
 *  image; FORMAT names the first record that does not fit. [out] set: one reference, NULL on
 *  failure. Statuses: INVALID_ARGUMENT, NOT_FOUND, IO, FORMAT, UNSUPPORTED, OUT_OF_MEMORY. @since
 *  0.1 */
AMUN_API amun_status amun_advset_load(amun_advset **set, const amun_dataset *data, const char *path,
                                      amun_context *ctx);
/** Adds a reference and returns `set`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_advset *amun_advset_ref(amun_advset *set);
/** Gives a reference back; the last one frees. NULL is fine. Any thread. @since 0.1 */
AMUN_API void amun_advset_unref(amun_advset *set);
/** Number of records, failed ones included; 0 for NULL. @since 0.1 */
AMUN_API size_t amun_advset_count(const amun_advset *set);
/** Number of samples for which an example was found; 0 for NULL. @since 0.1 */
AMUN_API size_t amun_advset_found(const amun_advset *set);
/** Borrowed table of amun_advset_count() rows, in the order of `indices` at build time; lives as
 *  long as the set. @since 0.1 */
AMUN_API const amun_attack_record *amun_advset_records(const amun_advset *set);
/** The image of record `i` (dense C*H*W floats) into `image`; NOT_FOUND for a record without one.
 *  @since 0.1 */
AMUN_API amun_status amun_advset_image(const amun_advset *set, size_t i, float *image);

#ifdef __cplusplus
}
#endif
#endif
