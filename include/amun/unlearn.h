/* amun/unlearn.h - making a model forget chosen training samples. */
#ifndef AMUN_UNLEARN_H
#define AMUN_UNLEARN_H

#include "attack.h"
#include "base.h"
#include "dataset.h"
#include "model.h"
#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t amun_unlearn_method;
enum {
    AMUN_UNLEARN_RETRAIN = 1,     /**< fresh weights, training recipe, D_R only: the gold standard */
    AMUN_UNLEARN_AMUN = 2,        /**< fine-tune on D_R + D_F + D_A (arXiv 2503.00917) */
    AMUN_UNLEARN_AMUN_ADVONLY = 3 /**< fine-tune on D_R + D_A, for large forget sets */
};

/** @since 0.1 */
typedef struct amun_unlearn_options {
    size_t struct_size;
    amun_unlearn_method method; /**< default AMUN_UNLEARN_AMUN */
    int32_t remain;             /**< default 1: remaining data is available; 0: forget set only */
    const amun_train_options *train; /**< default NULL: amun_unlearn_train_options_init() of the method */
    uint64_t seed;              /**< RETRAIN: of the fresh weights; default 0 */
} amun_unlearn_options;
AMUN_API amun_status amun_unlearn_options_init(amun_unlearn_options *opts, size_t size);
/** The method's own training options: RETRAIN amun_train_options_init(); AMUN: SGD lr 0.01,
 *  momentum 0.9, weight decay 5e-4, batch 128, 10 epochs, lr x 0.1 after every epoch. @since 0.1 */
AMUN_API amun_status amun_unlearn_train_options_init(amun_train_options *opts, size_t size,
                                                     amun_unlearn_method method);

/** @since 0.1 */
typedef struct amun_unlearn_result {
    size_t struct_size; /**< set by the caller */
    int64_t remain, forget, adversarial; /**< samples per epoch from D_R, D_F, D_A */
    int64_t failed;     /**< forget samples without adversarial example */
    double loss, accuracy; /**< of the last epoch's mix, percent */
    double seconds;
} amun_unlearn_result;

/** Makes `model` forget `forget` (indices into `train`, no repeats, not empty, not all unless the
 *  method can do without D_R). [in] set: adversarial set of these indices, required by AMUN, NULL otherwise; records
 *  for other indices give INVALID_ARGUMENT. Failed samples are handled by the set's policy.
 *  [out] result nullable. Cancelled or failed: the model is as before the call. @since 0.1 */
AMUN_API amun_status amun_unlearn_run(amun_unlearn_result *result, amun_model *model,
                                      const amun_dataset *train, const int64_t *forget,
                                      size_t count, const amun_advset *set,
                                      const amun_unlearn_options *opts,
                                      const amun_call_options *call);

#ifdef __cplusplus
}
#endif
#endif
