/* amun/ensemble.h - several models as one, and how attacks transfer between models. */
#ifndef AMUN_ENSEMBLE_H
#define AMUN_ENSEMBLE_H

#include "attack.h"
#include "base.h"
#include "context.h"
#include "dataset.h"
#include "model.h"
#include "tensor.h"
#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- ensembles ------------------------------------------------------------------------------- */

/** Models of one task, of the same or of different architectures. Its output is the log of the mean
 *  of the members' softmax rows; with one member, that member's raw logits. Keeps a reference to
 *  each member; the list never changes, the members' weights may. One thread at a time; different
 *  ensembles of the same models in parallel are fine. */
typedef struct amun_ensemble amun_ensemble;

/** [out] ensemble: one reference, NULL on failure; [in] models: `count` of them, 1 to 64, of the
 *  same input shape and number of classes; one may stand there twice. Statuses: INVALID_ARGUMENT,
 *  SHAPE (names the first model that does not fit), OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_ensemble_create(amun_ensemble **ensemble, amun_context *ctx,
                                          amun_model *const *models, size_t count);
/** Adds a reference and returns `ensemble`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_ensemble *amun_ensemble_ref(amun_ensemble *ensemble);
/** Gives a reference back; the last one frees. NULL is fine. Any thread. @since 0.1 */
AMUN_API void amun_ensemble_unref(amun_ensemble *ensemble);
/** Number of members; 0 for NULL. @since 0.1 */
AMUN_API size_t amun_ensemble_count(const amun_ensemble *ensemble);
/** Member i, borrowed; NULL beyond the end. @since 0.1 */
AMUN_API amun_model *amun_ensemble_model(const amun_ensemble *ensemble, size_t i);

/** Output in evaluation mode, computed as logsumexp over members of their log-softmax, minus
 *  log(count): finite also where all probabilities are below the smallest float. Arguments and
 *  statuses as amun_model_predict(). @since 0.1 */
AMUN_API amun_status amun_ensemble_predict(const amun_ensemble *ensemble,
                                           const amun_tensor_view *images,
                                           const amun_tensor_view *logits,
                                           const amun_call_options *call);
/** Share of right predictions in percent and mean cross-entropy of the output. Arguments and
 *  statuses as amun_model_evaluate(). @since 0.1 */
AMUN_API amun_status amun_ensemble_evaluate(double *accuracy, double *loss,
                                            const amun_ensemble *ensemble, const amun_dataset *data,
                                            const int64_t *indices, size_t count,
                                            const amun_call_options *call);
/** amun_attack_run() on the output of the ensemble: every gradient goes through all members.
 *  @since 0.1 */
AMUN_API amun_status amun_ensemble_attack(amun_attack *attack, const amun_ensemble *ensemble,
                                          const amun_tensor_view *images,
                                          const amun_tensor_view *labels, const int64_t *ids,
                                          const amun_tensor_view *adversarial,
                                          amun_attack_record *records,
                                          const amun_call_options *call);

/** Writes into `folder` (made if it is not there) member-000.safetensors, ... and, last,
 *  ensemble.json, which names the files with a hash of each member's weights. Each file is replaced
 *  atomically. Statuses: INVALID_ARGUMENT, BUSY, IO, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_ensemble_save(const amun_ensemble *ensemble, const char *folder);
/** Reads what amun_ensemble_save() wrote, for members of named architectures. Strict: a missing
 *  file, or weights without the hash that the index has, are errors. [out] ensemble: one reference,
 *  NULL on failure. Statuses: INVALID_ARGUMENT, NOT_FOUND, IO, FORMAT, UNSUPPORTED, SHAPE,
 *  OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_ensemble_load(amun_ensemble **ensemble, amun_context *ctx,
                                        const char *folder);

/* ---- training together ----------------------------------------------------------------------- */

/** What the members minimise together, in the notation of docs/ensembles.md. */
typedef int32_t amun_ensemble_method;
enum {
    AMUN_ENSEMBLE_PLAIN = 1,  /**< each its own cross-entropy */
    AMUN_ENSEMBLE_PGD_AT = 2, /**< cross-entropy on PGD examples of each member's own (arXiv
                                   1706.06083) */
    AMUN_ENSEMBLE_TRADES = 3, /**< and a KL term between clean and attacked (arXiv 1901.08573) */
    AMUN_ENSEMBLE_ADP = 4,    /**< diversity of the wrong classes' probabilities (1901.08846) */
    AMUN_ENSEMBLE_GAL = 5,    /**< cosines of the input gradients (arXiv 1901.09981) */
    AMUN_ENSEMBLE_TRS = 6,    /**< cosines, and smoothness (arXiv 2104.00671) */
    AMUN_ENSEMBLE_DVERGE = 7  /**< distilled features of the others (arXiv 2009.14720) */
};

/** Layer `layer_a` of member `model_a` and `layer_b` of `model_b` (module paths of convolutions or
 *  dense layers), whose inputs must have the same shape. @since 0.1 */
typedef struct amun_layer_pair {
    const char *layer_a, *layer_b; /**< module paths */
    int32_t model_a, model_b;      /**< positions of the members */
} amun_layer_pair;

/** Which layers correspond. */
typedef int32_t amun_lotos_match;
enum {
    AMUN_LOTOS_MATCH_BY_INDEX = 1, /**< l-th convolution with l-th convolution; all inputs agree */
    AMUN_LOTOS_MATCH_FIRST_ONLY = 2,     /**< the first convolutions: for different architectures */
    AMUN_LOTOS_MATCH_BY_INPUT_SHAPE = 3, /**< n-th convolution with an input of that shape, for all
                                              of the member that has fewer convolutions */
    AMUN_LOTOS_MATCH_PAIRS = 4           /**< `pairs` */
};

/** LOTOS (arXiv 2410.05136): for each ordered pair of corresponding layers, f maps the leading
 * right singular vectors of g to vectors no longer than `mal`. Adds to the loss lambda * sum_i w_i
 * relu(|f v'_i| - mal), w_i falling by `decay`. @since 0.1 */
typedef struct amun_lotos_options {
    size_t struct_size; /**< set by amun_lotos_options_init() */
    int32_t k;              /**< vectors per layer, default 1, range [1, 64] */
    amun_lotos_match match; /**< default AMUN_LOTOS_MATCH_BY_INDEX */
    int32_t mean;      /**< 0 (default): sum over layers and ordered pairs, as the authors' program;
                            1: each member gets the mean over its own, lambda as in the paper's
                            equation 3.4 */
    int32_t batchnorm; /**< 1: convolution and batch norm as one map too, in evaluation mode, in
                            each pair both or neither; default 0 */
    double lambda;     /**< default 0.05 (with batch norm the authors take 0.01), range [0, 1e6] */
    double mal;        /**< largest length that costs nothing, default 0.8, range [0, 1e6] */
    double batchnorm_lambda;    /**< default 0.05 */
    double batchnorm_mal;       /**< default 0.8 */
    double decay;               /**< default 0.01, range [0, 1] */
    int32_t block;              /**< vectors that iterate, k to 1024; default 0: k + 3 */
    int32_t power_iterations;   /**< per refresh, default 1, range [1, 1000] */
    int32_t initial_iterations; /**< before the first step, default 100, range [1, 100000] */
    int32_t every;              /**< steps between two terms, default 1, range [1, 1000000] */
    const amun_layer_pair
        *pairs; /**< PAIRS: `pair_count` of them; each counts in both directions */
    size_t pair_count; /**< default 0 */
    uint64_t seed; /**< of the starting vectors, default 0 */
} amun_lotos_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_lotos_options_init(amun_lotos_options *opts, size_t size);

/** @since 0.1 */
typedef struct amun_ensemble_train_options {
    size_t struct_size; /**< set by amun_ensemble_train_options_init() */
    amun_ensemble_method method; /**< default AMUN_ENSEMBLE_PLAIN */
    int32_t attack_steps;        /**< default 0, as published: PGD_AT, TRADES, DVERGE 10, TRS 6 */
    const amun_train_options *train; /**< NULL: defaults; its `clip` holds each member */
    const amun_lotos_options *lotos; /**< NULL (default): without; goes with every method */
    double attack_eps;  /**< default 0, as published: PGD_AT 8/255, TRADES 0.031, TRS 8/255 (from
                             0.005, linear in epochs), DVERGE 0.07 */
    double attack_step; /**< default 0, as published: 2/255, 0.007, eps / 3, 0.007 */
    double trades_beta; /**< default 6 */
    double adp_alpha;   /**< of the ensemble's entropy, default 2 */
    double adp_beta;    /**< of the log determinant, default 0.5 */
    double gal_lambda;  /**< default 0.5 */
    double trs_cosine;  /**< default 40 */
    double trs_smooth;  /**< on per-sample gradients, default 2.5 / 128^2: the authors' 2.5 is on
                             gradients of the mean over their batch of 128 */
    int32_t trs_l2;     /**< 1: smoothness at the clean images; default 0: half of them attacked */
    int32_t dverge_own; /**< 1: and cross-entropy on the member's own PGD examples; default 0 */
    uint64_t seed;      /**< of attack starts and draws, default 0 */
} amun_ensemble_train_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_ensemble_train_options_init(amun_ensemble_train_options *opts,
                                                      size_t size);
/** Trains all members on the same batches. Arguments, statuses, checkpoints and determinism as
 *  amun_train_run(), phase "ensemble" (and "lotos" before the first step); the result's loss, of
 * the whole objective, and accuracy are means over the members. Each member may stand in the
 * ensemble once (INVALID_ARGUMENT). A pair of layers with different inputs gives SHAPE;
 * INVALID_ARGUMENT also for a method or LOTOS that needs two members and has one. BUSY: nothing was
 * changed.
 *  @since 0.1 */
AMUN_API amun_status amun_ensemble_train(amun_train_result *result, amun_ensemble *ensemble,
                                         const amun_dataset *data, const int64_t *indices,
                                         size_t count, const amun_ensemble_train_options *opts,
                                         const amun_call_options *call);

/* ---- transfer -------------------------------------------------------------------------------- */

/** What an attack on one model does to another. Rates are shares in [0, 1]. @since 0.1 */
typedef struct amun_transfer_result {
    size_t struct_size;   /**< set by the caller */
    double transfer;      /**< mean rate over the ordered pairs of different models (black-box:
                               over the surrogates) with an eligible sample; NaN if there is none */
    double success;       /**< mean over the attacked models of the share of their correctly
                               classified samples that the attack flips; NaN as above */
    double robust;        /**< black-box: mean over surrogates of P[target right on the attacked
                               image | target right on the clean one]; white-box: that share;
                               NaN between models */
    int64_t samples;      /**< attacked, per model */
    int64_t terms;        /**< how many rates `transfer` is the mean of */
    int64_t failed;       /**< attacks that failed (AMUN_ATTACK_FAILED_...), all models together:
                               these samples count as not flipped */
    int64_t target_right; /**< clean samples that the target classifies rightly; between models 0 */
    amun_clamp clamp;     /**< of the attack; numbers of different modes do not compare */
    int32_t reserved0; /**< must be 0 */
} amun_transfer_result;

/** T_rate of arXiv 2410.05136, Definition 3.1.2, for every ordered pair (F, G) of models:
 *  P[G(A_F(x)) != y | F(x) = y, G(x) = y, F(A_F(x)) != y], with A_F the attack on F.
 *  [out] result nullable, struct_size set.
 *  [out] rates [count * count], nullable: row F, column G; on the diagonal the attack's success,
 *  P[F(A_F(x)) != y | F(x) = y]. NaN where no sample is eligible.
 *  [out] eligible [count * count], nullable: the number of samples that a rate is over.
 *  [in] models: 1 to 64 of the same input and classes; [in] data: labelled; [in] indices: `n`
 *  different positions in it, NULL (and n 0): all. Random starts are keyed by position in `data`.
 *  [in] call nullable; phase "attack", once per model. Statuses: INVALID_ARGUMENT, SHAPE, STATE (no
 *  labels), BUSY, CANCELLED, OUT_OF_MEMORY, BACKEND, NUMERIC. @since 0.1 */
AMUN_API amun_status amun_transfer_run(amun_transfer_result *result, double *rates,
                                       int64_t *eligible, amun_model *const *models, size_t count,
                                       amun_attack *attack, const amun_dataset *data,
                                       const int64_t *indices, size_t n,
                                       const amun_call_options *call);
/** Black-box: each surrogate is attacked on its own, and the images are shown to `target`.
 *  [out] rates [count], nullable: P[target wrong on A_S(x) | S(x) = y, S(A_S(x)) != y, target right
 *  on x] per surrogate S; [out] eligible [count], nullable: samples that the rate is over;
 *  [out] robust [count], nullable: P[target right on A_S(x) | target right on x]. The rest as
 *  amun_transfer_run(). @since 0.1 */
AMUN_API amun_status amun_transfer_black_box(amun_transfer_result *result, double *rates,
                                             int64_t *eligible, double *robust,
                                             amun_model *const *surrogates, size_t count,
                                             amun_attack *attack, const amun_ensemble *target,
                                             const amun_dataset *data, const int64_t *indices,
                                             size_t n, const amun_call_options *call);
/** White-box: the attack on the output of `target` itself. result->robust is the share of the
 *  rightly classified samples that stay so (NaN if there is none), result->success the rest,
 *  result->transfer NaN. The arguments as above. @since 0.1 */
AMUN_API amun_status amun_transfer_white_box(amun_transfer_result *result, amun_attack *attack,
                                             const amun_ensemble *target, const amun_dataset *data,
                                             const int64_t *indices, size_t n,
                                             const amun_call_options *call);

/* ---- what Lipschitz constants promise -------------------------------------------------------- */

/** Rightly classified samples whose class no small change of the image can turn. @since 0.1 */
typedef struct amun_certificate {
    size_t struct_size; /**< set by the caller */
    int64_t samples;   /**< all that were looked at */
    int64_t right;     /**< rightly classified */
    int64_t certified; /**< of these: the class stays wherever the image moves by at most eps */
    double accuracy;   /**< certified / samples, in percent: certified accuracy at eps */
    double radius;     /**< median certified radius of the right ones; NaN if there is none */
} amun_certificate;

/** With L a bound on the Lipschitz constant of the logits (amun_lipschitz_bound(), l2): a logit
 *  margin m cannot vanish within m / (sqrt(2) L). With several members, m is the margin of the mean
 *  probabilities, and L half the mean of theirs. In exact arithmetic: the rounding of the forward
 *  pass is not covered. It bounds T_rate(F -> target) under attacks that move by at most eps: at
 *  most the share of eligible samples whose radius is below eps.
 *  [out] result nullable, struct_size set. [out] radii [n], nullable: l2, in pixels' units; 0 for a
 *  wrong sample. [in] lipschitz: one per member, positive, infinity allowed. [in] eps: l2, at least
 *  0 (for an linf ball: sqrt(pixels) times its radius). [in] data, indices, n as
 *  amun_transfer_run(). [in] call nullable; phase "certify". Statuses: as
 *  amun_ensemble_evaluate(). @since 0.1 */
AMUN_API amun_status amun_transfer_certify(amun_certificate *result, double *radii,
                                           const amun_ensemble *target, const double *lipschitz,
                                           double eps, const amun_dataset *data,
                                           const int64_t *indices, size_t n,
                                           const amun_call_options *call);

/** How far apart two models can be on attacked images. Risks are mean cross-entropies. @since 0.1 */
typedef struct amun_transfer_gap {
    size_t struct_size;    /**< set by the caller */
    double clean[2];       /**< risk of the attacked model and of the judge on clean images */
    double attacked[2];    /**< on attacked ones; NaN without an attack */
    double moved;          /**< longest way of an attacked image, l2; NaN without an attack */
    double bound;          /**< |clean[0] - clean[1]| + 2 sqrt(2) max(L) eps, which
                                |attacked[0] - attacked[1]| cannot exceed */
    int64_t samples;       /**< all that were looked at */
} amun_transfer_gap;

/** The transfer proposition of arXiv 2410.05136 with L sqrt(2) as the constant of the loss: permissive,
 *  not a prediction. [out] result: struct_size set. [in] attacked, judge: of the same input and
 *  classes; lipschitz: of their logits, positive. [in] eps: l2, at least 0. [in] attack nullable:
 *  then nothing is attacked; one that moves an image further than eps gives INVALID_ARGUMENT,
 *  naming it. The rest as amun_transfer_run(); phases "risk", "attack". @since 0.1 */
AMUN_API amun_status amun_transfer_bound(amun_transfer_gap *result, const amun_model *attacked,
                                         const amun_model *judge, const double lipschitz[2],
                                         double eps, amun_attack *attack, const amun_dataset *data,
                                         const int64_t *indices, size_t n,
                                         const amun_call_options *call);

#ifdef __cplusplus
}
#endif
#endif
