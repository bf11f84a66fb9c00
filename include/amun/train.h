/* amun/train.h - training and evaluation on a data set. */
#ifndef AMUN_TRAIN_H
#define AMUN_TRAIN_H

#include "base.h"
#include "clip.h"
#include "dataset.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the learning rate moves. With s the 0-based step of T in all and W = warmup * T, rounded:
 *  during the warm-up (s < W) COSINE and ONECYCLE use lr * (s + 1) / (W + 1), so that the peak is
 *  met at s = W; afterwards they fall and would meet lr * final_factor at s = T. */
typedef int32_t amun_schedule;
enum {
    AMUN_SCHEDULE_CONSTANT = 1,
    AMUN_SCHEDULE_STEP = 2,    /**< lr * gamma^floor(epoch / step_epochs), as PyTorch's StepLR */
    AMUN_SCHEDULE_COSINE = 3,  /**< per step, half a cosine from lr to lr * final_factor */
    AMUN_SCHEDULE_ONECYCLE = 4 /**< per step, a straight line from lr to lr * final_factor */
};

/** How a step moves the weights. @since 0.1 */
typedef int32_t amun_optimiser;
enum {
    AMUN_OPTIMISER_SGD = 1, /**< with momentum */
    AMUN_OPTIMISER_ADAM = 2 /**< Kingma & Ba, arXiv 1412.6980 */
};

/** SGD training, with PyTorch's arithmetic: g += weight_decay * w; v = momentum * v + g (first step:
 *  v = g); w -= lr * v, or lr * (g + momentum * v) with Nesterov. The loss is the mean
 *  cross-entropy of a batch. Defaults: the base models of arXiv 2503.00917, appendix C. @since 0.1 */
typedef struct amun_train_options {
    size_t struct_size; /**< set by amun_train_options_init() */
    int32_t epochs;         /**< default 200, range [0, 100000] */
    int32_t batch;          /**< default 128, range [1, 65536]; an epoch's last one may be short */
    double lr;              /**< default 0.1, range [0, 1000] */
    double momentum;        /**< default 0.9, range [0, 1) */
    double weight_decay;    /**< on every parameter, default 5e-4, range [0, 1] */
    int32_t nesterov;       /**< default 0 */
    amun_schedule schedule; /**< default AMUN_SCHEDULE_STEP */
    int32_t step_epochs;    /**< default 40, range [1, 100000] */
    int32_t augment_pad;    /**< zero padding before the random crop, default 4, range [0, 64];
                                 0: no crop */
    double gamma;           /**< default 0.1, range (0, 1] */
    double warmup;          /**< share of all steps (COSINE, ONECYCLE), default 0.25, range [0, 1] */
    double final_factor;    /**< default 0, range [0, 1] */
    double label_smoothing; /**< default 0, range [0, 1) */
    int32_t augment_flip;   /**< horizontal flip with probability 1/2, default 1 */
    int32_t checkpoint_every; /**< epochs between checkpoints, default 1, range [1, 100000] */
    uint64_t seed;          /**< order, crops, flips, cutouts; default 0 */
    const char *checkpoint; /**< file to write and, if it exists, to go on from; default NULL.
                                 Written before the first step (so that a path which cannot be
                                 written is found at once), every checkpoint_every epochs and after
                                 the last. A finished run leaves it; a resumed run ends with the
                                 same bytes as one that was never interrupted (same thread count).
                                 A checkpoint of other options, data or architecture gives STATE,
                                 naming the differences; a damaged one gives FORMAT. */
    const amun_clip_options *clip; /**< layers held to a spectral norm, default NULL: none.
                                 Read during the call. The method delattre_2023 penalises without
                                 appearing in the loss that is reported. See amun/clip.h */
    amun_optimiser optimiser; /**< default AMUN_OPTIMISER_SGD. ADAM is PyTorch's: g += weight_decay * w;
                                 m = beta1 m + (1 - beta1) g; v = 0.999 v + 0.001 g^2; in step t
                                 w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8), with
                                 `momentum` as beta1 and without nesterov, which must be 0 */
    int32_t augment_cutout; /**< side of a square around a random pixel that gets the channel's mean in
                                 the image, in pixels, after crop and flip, default 0: none, range
                                 [0, 1024]. DeVries & Taylor, arXiv 1708.04552 */
} amun_train_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts.
 *  Statuses: INVALID_ARGUMENT. @since 0.1 */
AMUN_API amun_status amun_train_options_init(amun_train_options *opts, size_t size);

/** What a run did. @since 0.1 */
typedef struct amun_train_result {
    size_t struct_size; /**< set by the caller */
    double loss;        /**< mean over the last epoch, on augmented batches; NaN if epochs is 0 */
    double accuracy;    /**< the same, in percent */
    double seconds;     /**< of this call */
    int64_t epochs;     /**< done in all, including those before a resume */
    int64_t samples;    /**< presented in this call */
} amun_train_result;

/** Trains `model` in place on `indices` of `data`. Same options, data, initial weights and thread
 *  count give the same bytes.
 *  [out] result nullable, struct_size set. [in,out] model: one writer alone. [in] data: labelled,
 *  images of the model's shape. [in] indices: `count` of them inside the data, none twice; NULL
 *  (and count 0): all. [in] opts nullable. [in] call nullable; phase "train", one unit per step, running
 *  mean loss and accuracy of the epoch.
 *  Statuses: INVALID_ARGUMENT (indices, labels outside the model's classes, options), SHAPE, STATE
 *  (no labels; foreign checkpoint), BUSY, NUMERIC (a NaN or infinite loss or weight, naming epoch
 *  and step), CANCELLED, IO, NOT_FOUND, FORMAT, UNSUPPORTED, OUT_OF_MEMORY, BACKEND. After
 *  CANCELLED the model keeps the weights of the last finished step, and the checkpoint, if any,
 *  lets the run go on from its last epoch; after any other failure it is as before the call.
 *  @since 0.1 */
AMUN_API amun_status amun_train_run(amun_train_result *result, amun_model *model,
                                    const amun_dataset *data, const int64_t *indices, size_t count,
                                    const amun_train_options *opts, const amun_call_options *call);

/** Share of right predictions and mean cross-entropy, evaluation mode, no augmentation.
 *  [out] accuracy in percent, loss in nats; each nullable, NaN on failure. [in] data: labelled.
 *  [in] indices as in amun_train_run(). [in] call nullable; phase "evaluate", one unit per image,
 *  metric: accuracy so far. Several threads may evaluate one model at once.
 *  Statuses: INVALID_ARGUMENT, SHAPE, STATE (no labels), BUSY, NUMERIC (logits that are not finite,
 *  naming the image), CANCELLED, OUT_OF_MEMORY, BACKEND. @since 0.1 */
AMUN_API amun_status amun_model_evaluate(double *accuracy, double *loss, const amun_model *model,
                                         const amun_dataset *data, const int64_t *indices,
                                         size_t count, const amun_call_options *call);

/* ---- features ---------------------------------------------------------------------------------- */

/** Values per image of amun_features_compute(). [out] width, 0 on failure; [in] model, stage: as there.
 *  Statuses: UNSUPPORTED (no last dense layer), INVALID_ARGUMENT (no such stage: says how many there
 *  are), BUSY, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_features_width(int64_t *width, const amun_model *model, int32_t stage);
/** Features of images, unaugmented, in evaluation mode. Stage 0: the inputs of the last dense layer.
 *  Stage s: those s stages before, where a stage is a run of convolutions whose maps are of one size, or
 *  a dense layer, and its features are what the next stage reads; of maps the mean of each channel.
 *  (ResNets: stage 1 is the third of four groups of blocks.)
 *  [out] features: [count][width]. [in] indices: `count` of `data`; NULL and 0: all. [in] call nullable;
 *  phase "features", one unit per image.
 *  Statuses: as amun_features_width(), SHAPE, NUMERIC, CANCELLED, BACKEND. @since 0.1 */
AMUN_API amun_status amun_features_compute(float *features, const amun_model *model,
                                           const amun_dataset *data, const int64_t *indices,
                                           size_t count, int32_t stage,
                                           const amun_call_options *call);

#ifdef __cplusplus
}
#endif
#endif
