/* amun/unlearn.h - making a model forget chosen training samples. */
#ifndef AMUN_UNLEARN_H
#define AMUN_UNLEARN_H

#include "attack.h"
#include "base.h"
#include "dataset.h"
#include "model.h"
#include "rivals.h"
#include "train.h"
#include "trw.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How to forget. D_F: the forget samples, D_R: the others, D_A: an adversarial example with its
 *  wrong label for each forget sample. */
typedef int32_t amun_unlearn_method;
enum {
    AMUN_UNLEARN_RETRAIN = 1,     /**< fresh weights, training recipe, D_R only: the gold standard */
    AMUN_UNLEARN_AMUN = 2,        /**< fine-tune on D_R + D_F + D_A (arXiv 2503.00917, section 4) */
    AMUN_UNLEARN_AMUN_ADVONLY = 3, /**< fine-tune on D_R + D_A, if D_F is about half of the data */
    AMUN_UNLEARN_FINETUNE = 4,        /**< FT: cross-entropy on D_R */
    AMUN_UNLEARN_RANDOM_LABEL = 5,    /**< RL: D_F with random labels, drawn anew every epoch */
    AMUN_UNLEARN_GRADIENT_ASCENT = 6, /**< GA, NegGrad: up the loss of D_F, after a pass over D_R */
    AMUN_UNLEARN_NEGGRAD_PLUS = 7,    /**< down the loss of D_R and up that of D_F at once */
    AMUN_UNLEARN_BOUNDARY_SHRINK = 8, /**< BS: D_F with the class beyond the nearest boundary */
    AMUN_UNLEARN_BOUNDARY_EXPAND = 9, /**< BE: D_F into a class of its own, which is then dropped */
    AMUN_UNLEARN_L1_SPARSE = 10,      /**< FT with a falling l1 penalty */
    AMUN_UNLEARN_SALUN = 11,          /**< RL on the weights that matter most for D_F */
    AMUN_UNLEARN_SCRUB = 12,          /**< away from the original on D_F, towards it on D_R */
    AMUN_UNLEARN_SSD = 13,            /**< selective synaptic dampening, no training */
    AMUN_UNLEARN_SVD = 14,            /**< projection of the weights (Kodge et al.), no training */
    AMUN_UNLEARN_BAD_TEACHER = 15,    /**< random teacher on D_F, the original on D_R */
    AMUN_UNLEARN_UNSIR = 16,          /**< impair with error-maximising noise, repair on D_R */
    AMUN_UNLEARN_EUK = 17,            /**< the last layers anew, the others frozen */
    AMUN_UNLEARN_CFK = 18,            /**< FT of the last layers, the others frozen */
    AMUN_UNLEARN_DELETE = 19,         /**< TRW without tilt and without D_R */
    AMUN_UNLEARN_TRW = 20             /**< tilted reweighting, whole classes (amun/trw.h) */
};

/** @since 0.1 */
typedef struct amun_unlearn_options {
    size_t struct_size; /**< set by amun_unlearn_options_init() */
    amun_unlearn_method method; /**< default AMUN_UNLEARN_AMUN */
    int32_t remain;             /**< default 1: D_R is available; 0: do without it, which not all
                                     methods can (docs/unlearning.md) */
    const amun_train_options *train; /**< default NULL: amun_unlearn_train_options_init()'s */
    uint64_t seed;              /**< of fresh weights and of a method's own choices; default 0 */
    double mask_ratio;          /**< share of the weights that move: those with the largest gradient of
                                     the loss on D_F, as in SalUn (arXiv 2310.12508). Default 0: 0.5
                                     for SALUN, all of them for the others. Range [0, 1] */
    const amun_rival_options *rival; /**< default NULL: the defaults */
    const amun_trw_options *trw;     /**< TRW, DELETE (not its beta); default NULL: the defaults */
} amun_unlearn_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts.
 *  Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_unlearn_options_init(amun_unlearn_options *opts, size_t size);
/** The method's own training options: RETRAIN amun_train_options_init(); AMUN: SGD lr 0.01,
 *  momentum 0.9, weight decay 5e-4, batch 128, 10 epochs, lr x 0.1 after every epoch, crop 4 and
 *  flip (of the clean parts); the others: docs/unlearning.md. SSD and SVD train nothing and read
 *  none of them. [out] opts not NULL; [in] size: pass sizeof *opts.
 *  Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_unlearn_train_options_init(amun_train_options *opts, size_t size,
                                                     amun_unlearn_method method);

/** What a run did. @since 0.1 */
typedef struct amun_unlearn_result {
    size_t struct_size; /**< set by the caller */
    int64_t remain, forget, adversarial; /**< samples per epoch from D_R, D_F, D_A; SSD, SVD: in
                             all; UNSIR: adversarial counts its noise images */
    int64_t failed;     /**< forget samples without adversarial example; BOUNDARY_SHRINK: that the
                             step leaves in their class */
    double loss, accuracy; /**< of the last epoch's mix, percent; NaN if nothing was trained */
    double seconds;     /**< of this call */
} amun_unlearn_result;

/** Makes `model` forget `forget`.
 *  AMUN: the clean parts (D_R, D_F) have true labels and the training options' augmentation, D_A has
 *  its wrong labels and none; all are one shuffled list. The others: docs/unlearning.md.
 *  [out] result nullable, struct_size set. [in,out] model: one writer alone; changed as a whole or
 *  not at all: cancelled or failed, it is as before the call. [in] train: the labelled data that
 *  the model was trained on. [in] forget: `count` indices into `train`, not empty, none twice, not
 *  all of it unless opts->remain is 0. [in] set: for AMUN the adversarial set of exactly these
 *  indices, made from these images and labels; NULL for all other methods. Forget samples without
 *  example stay out of D_F, too, unless the set was built with AMUN_FAILURE_KEEP_IN_DF: nothing
 *  would oppose them. [in] opts, call nullable; phase: the method's name, one unit per step; before it what the method prepares: "mask", "neighbours", "teachers", "unsir.noise";
 *  SSD "importance", SVD "layers", UNSIR "unsir.impair" and "unsir.repair" (with a checkpoint, each
 *  has a file of its own: that path with its phase appended).
 *  Statuses: as amun_train_run(); INVALID_ARGUMENT also for a set that does not fit (naming the
 *  index), NUMERIC also for a set without a single example, for boundary_shrink without a single
 *  neighbour; UNSUPPORTED for boundary_expand on a network that does not end in a linear layer.
 *  @since 0.1 */
AMUN_API amun_status amun_unlearn_run(amun_unlearn_result *result, amun_model *model,
                                      const amun_dataset *train, const int64_t *forget,
                                      size_t count, const amun_advset *set,
                                      const amun_unlearn_options *opts,
                                      const amun_call_options *call);

/* ---- choosing a tilt ------------------------------------------------------------------------- */

/** NULL options mean the defaults. @since 0.1 */
typedef struct amun_trw_select_options {
    size_t struct_size; /**< set by amun_trw_select_options_init() */
    double share;     /**< of D_R that is held out, default 0.1, range (0, 0.9] */
    double tolerance; /**< percentage points that may be lost on it, default 0.5, range [0, 100] */
    uint64_t seed;    /**< of the held-out part, default 0 */
} amun_trw_select_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts.
 *  Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_trw_select_options_init(amun_trw_select_options *opts, size_t size);
/** The largest beta for TRW that costs the retained classes no more than opts->tolerance, without a
 *  retrained model: each candidate is run on a clone, on `train` less a held-out part of D_R, and
 *  evaluated on that part. The original model has seen that part, which makes the choice a careful one.
 *  [out] beta: NaN on failure; may be that of unlearn->trw. [out] heldout, nullable: percent right
 *  for each candidate, NaN where none was run. [out] original, nullable: percent right of `model`. [in] model: not changed, free of
 *  writers. [in] train, forget, count: as amun_unlearn_run(). [in] betas: `beta_count` values in
 *  [0, 1000]; NULL (and beta_count 0): the six 0, 1, 2, 5, 10, 20. [in] opts nullable. [in] unlearn,
 *  nullable: how TRW is run; its method must be TRW, its beta counts for nothing, its training must
 *  have no checkpoint. [in] call nullable; phase "candidates", one unit per candidate, metric: its
 *  percentage; between them the phases of amun_unlearn_run().
 *  Statuses: as amun_unlearn_run(); NUMERIC also if no candidate is good enough, with `heldout` and
 *  `original` filled. @since 0.1 */
AMUN_API amun_status amun_trw_select_beta(double *beta, double *heldout, double *original,
                                          const amun_model *model, amun_dataset *train,
                                          const int64_t *forget, size_t count, const double *betas,
                                          size_t beta_count, const amun_trw_select_options *opts,
                                          const amun_unlearn_options *unlearn,
                                          const amun_call_options *call);

/* ---- diagnosis ------------------------------------------------------------------------------- */

/** The terms of Theorem 4.1 of arXiv 2503.00917: after one gradient step of size 1 / beta from
 *  weights o, trained on all, to weights a on D and (x_a, y_a), the distance to weights u, trained
 *  without (x, y), obeys
 *      |a - u|^2 <= |o - u|^2 + (2 / beta) (L delta - C),  delta = |x - x_a|,
 *      C = l(o; x_a, y) + l(a; x_a, y_a) - l(u; x, y) - l(u; x_a, y_a),
 *  if the loss is convex and beta-smooth in the weights and L-Lipschitz in x. Networks are not
 *  convex: a diagnosis, no certificate. Means over the forget samples with an example; losses are
 *  cross-entropies. @since 0.1 */
typedef struct amun_unlearn_bound {
    size_t struct_size; /**< set by the caller */
    int64_t samples;    /**< with an example */
    double delta;       /**< mean of delta, l2 */
    double l_delta;     /**< mean of sqrt(2) L delta, with L of the logits */
    double original_adversarial;  /**< l(o; x_a, y) */
    double unlearned_adversarial; /**< l(a; x_a, y_a) */
    double retrained_clean;       /**< l(u; x, y); NaN without a retrained model, as all below */
    double retrained_adversarial; /**< l(u; x_a, y_a) */
    double c;           /**< C above */
    double before;      /**< |o - u|^2 over the trainable weights */
    double after;       /**< |a - u|^2 */
    double bound;       /**< before + (2 / beta) (l_delta - c) */
} amun_unlearn_bound;

/** [out] result: struct_size set. [in] original, unlearned: of one graph; retrained: the same, or NULL.
 *  [in] set: adversarial set of the forget samples on `original`; [in] train: what it was built on,
 *  verified by its hashes. [in] lipschitz: of the logits of `original` (amun_lipschitz_bound()),
 *  positive; beta: positive. [in] call nullable; phase "bound", one unit per sample. Statuses:
 *  INVALID_ARGUMENT, SHAPE (models of different graphs), STATE, BUSY, NUMERIC (a logit that is not
 *  finite; a set without example), CANCELLED, OUT_OF_MEMORY, BACKEND. @since 0.1 */
AMUN_API amun_status amun_unlearn_diagnose(amun_unlearn_bound *result, const amun_model *original,
                                           const amun_model *unlearned,
                                           const amun_model *retrained, const amun_dataset *train,
                                           const amun_advset *set, double lipschitz, double beta,
                                           const amun_call_options *call);

#ifdef __cplusplus
}
#endif
#endif
