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

/* Caller holds begin_write on the model. progress may be NULL. Any failure but CANCELLED leaves the
 * values as they were before the call. */
amun_status amun__recipe_run(amun_model *model, const amun__recipe *recipe,
                             amun__progress_state *progress, amun_train_result *result);
/* lr of a step (PyTorch's StepLR etc.; epoch 0-based). COSINE and ONECYCLE, with s the 0-based step
 * of T in all and W = warmup * T rounded to a whole number: for s < W lr * (s + 1) / (W + 1); then,
 * with q = (s - W) / (T - W), lr * (f + (1 - f) * (1 + cos(pi q)) / 2) or lr * (1 - (1 - f) * q), where
 * f is final_factor. The peak is met exactly once, at s = W; f would be met at s = T. */
double amun__schedule_lr(const amun_train_options *options, int64_t epoch, int64_t step_in_epoch,
                         int64_t steps_per_epoch);
/* Logits of the named samples [count][classes], evaluation mode. Caller holds begin_read.
 * indices NULL: first `count` samples. Logits that are not finite give NUMERIC. */
amun_status amun__eval_logits(const amun_model *model, const amun_dataset *data,
                              const int64_t *indices, size_t count, float *logits,
                              amun__progress_state *progress, const char *phase);

/* SHAPE with both extents unless the images of `data` (`what` in the message) fit the model. */
amun_status amun__train_check_shape(const amun_model *model, const amun_dataset *data,
                                    const char *what);

/* A copy of all values of a model, to go back to (snapshot.c). A zeroed one is empty. */
typedef struct amun__snapshot {
    amun_context *ctx;
    float *values;
    int64_t *tracked;
} amun__snapshot;
amun_status amun__snapshot_take(amun__snapshot *snapshot, const amun_model *model);
void amun__snapshot_restore(const amun__snapshot *snapshot, amun_model *model);
void amun__snapshot_drop(amun__snapshot *snapshot); /* an empty one is fine */

#endif
