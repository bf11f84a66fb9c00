/* amun/train.h - training and evaluation on a data set. */
#ifndef AMUN_TRAIN_H
#define AMUN_TRAIN_H

#include "base.h"
#include "dataset.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t amun_schedule;
enum {
    AMUN_SCHEDULE_CONSTANT = 1,
    AMUN_SCHEDULE_STEP = 2,    /**< lr * gamma^floor(epoch / step_epochs) */
    AMUN_SCHEDULE_COSINE = 3,  /**< per step, from lr to lr * final_factor after a linear warm-up */
    AMUN_SCHEDULE_ONECYCLE = 4 /**< per step, linear up to lr over warmup, linear down to lr * final_factor */
};

/** SGD training. @since 0.1 */
typedef struct amun_train_options {
    size_t struct_size;
    int32_t epochs;         /**< default 200, range [0, 100000] */
    int32_t batch;          /**< default 128, range [1, 65536]; the last batch of an epoch may be short */
    double lr;              /**< default 0.1, range [0, 1000] */
    double momentum;        /**< default 0.9, range [0, 1) */
    double weight_decay;    /**< on every parameter, default 5e-4, range [0, 1] */
    int32_t nesterov;       /**< default 0 */
    amun_schedule schedule; /**< default AMUN_SCHEDULE_STEP */
    int32_t step_epochs;    /**< default 40, range [1, 100000] */
    int32_t augment_pad;    /**< zero padding before the random crop, default 4, range [0, 64]; 0 = no crop */
    double gamma;           /**< default 0.1, range (0, 1] */
    double warmup;          /**< share of all steps, default 0.25 (one-cycle), range [0, 1] */
    double final_factor;    /**< default 0, range [0, 1] */
    double label_smoothing; /**< default 0, range [0, 1) */
    int32_t augment_flip;   /**< horizontal flip with probability 1/2, default 1 */
    int32_t checkpoint_every; /**< epochs between checkpoints, default 1, range [1, 100000] */
    uint64_t seed;          /**< order, crops, flips; default 0 */
    const char *checkpoint; /**< file to write and, if it exists, to resume from; default NULL = none.
                                 A finished run leaves it; a resumed run ends with the same bytes as
                                 one that was never interrupted. A checkpoint of other options, data
                                 or architecture gives STATE, naming the difference. */
} amun_train_options;
AMUN_API amun_status amun_train_options_init(amun_train_options *opts, size_t size);

/** @since 0.1 */
typedef struct amun_train_result {
    size_t struct_size; /**< set by the caller */
    double loss;        /**< mean over the last epoch, on augmented batches */
    double accuracy;    /**< the same, in percent */
    double seconds;     /**< of this call */
    int64_t epochs;     /**< done in all, including those before a resume */
    int64_t samples;    /**< presented in this call */
} amun_train_result;

/** Trains `model` in place on `indices` of `data` (NULL, 0: all).
 *  [out] result nullable. Cancelled: the model keeps the weights of the last finished step, and the checkpoint, if any, lets the run go on.
 *  A NaN or infinite loss gives NUMERIC and restores the weights from before the call. @since 0.1 */
AMUN_API amun_status amun_train_run(amun_train_result *result, amun_model *model,
                                    const amun_dataset *data, const int64_t *indices, size_t count,
                                    const amun_train_options *opts, const amun_call_options *call);

/** Share of right predictions in percent and mean cross-entropy, evaluation mode, no augmentation.
 *  [out] accuracy, loss nullable. [in] indices NULL: all. @since 0.1 */
AMUN_API amun_status amun_model_evaluate(double *accuracy, double *loss, const amun_model *model,
                                         const amun_dataset *data, const int64_t *indices,
                                         size_t count, const amun_call_options *call);

#ifdef __cplusplus
}
#endif
#endif
