/* train.h - the one training loop, run by recipes; evaluation; checkpoints. Private. */
#ifndef AMUN__TRAIN_H
#define AMUN__TRAIN_H

#include "amun/train.h"
#include "core/core.h"
#include "data/data.h"
#include "nn/nn.h"

/* An unlearning or training method as a table. All pointers are borrowed for the call. */
typedef struct amun__recipe {
    const char *name; /* phase in progress reports, name in checkpoints */
    amun__mix mix;    /* augmentation and label smoothing come from options, the rest is kept */
    amun_train_options options; /* complete (read by amun__train_options_read) */
    double l1;                  /* l1 * sign(w) added to every gradient */
    const uint8_t *mask;        /* one byte per trainable scalar, 0 = frozen; NULL: none */
} amun__recipe;

extern const amun__options_table amun__train_options_table;

/* Caller holds begin_write on the model. */
amun_status amun__recipe_run(amun_model *model, const amun__recipe *recipe,
                             amun__progress_state *progress, amun_train_result *result);
/* lr of a step (PyTorch's StepLR etc.; epoch 0-based). */
double amun__schedule_lr(const amun_train_options *options, int64_t epoch, int64_t step_in_epoch,
                         int64_t steps_per_epoch);
/* Logits of the named samples [count][classes], evaluation mode. Caller holds begin_read.
 * indices NULL: first `count` samples. */
amun_status amun__eval_logits(const amun_model *model, const amun_dataset *data,
                              const int64_t *indices, size_t count, float *logits,
                              amun__progress_state *progress, const char *phase);

#endif
