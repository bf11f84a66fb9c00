/* train.h - the one training loop, run by recipes; evaluation; checkpoints. Private. */
#ifndef AMUN__TRAIN_H
#define AMUN__TRAIN_H

#include "amun/train.h"
#include "core/core.h"
#include "data/data.h"
#include "io/io.h"
#include "nn/nn.h"

/* ---- steps ---------------------------------------------------------------------------------- */

/* Sizes of batches in one run: the full one, and a short one at the end of each phase. */
enum { AMUN__STEP_SIZES = 1 + AMUN__MIX_MAX_PARTS };

/* One model of a run, and what the run keeps for it. */
typedef struct amun__member {
    amun_model *model;
    amun__model_values values;
    amun__plan *plans[AMUN__STEP_SIZES]; /* one for each size of batch; the rest NULL */
    float *velocity;                     /* NULL without momentum; Adam: first moment */
    float *second;                       /* Adam: second moment; else NULL */
    float *diff;                         /* [trainable] */
    float *logits, *seed;                /* [batch][classes] */
} amun__member;

/* Memory that grows when a pass first needs it; the run frees it. */
typedef struct amun__spare {
    float *values;
    size_t count;
} amun__spare;

/* A batch on its way through all members. */
typedef struct amun__step {
    amun_context *ctx;
    amun__member *members;
    size_t count;
    const amun__batch *batch;
    size_t classes;
    amun__spare *spare;
    int64_t index, epoch; /* index: of the step, from 0 over the whole run */
    double loss;          /* sum over the samples and the members so far */
    int64_t right;        /* the same */
} amun__step;

/* The member's plan for batches of this size, or for this batch; NULL: the run foresaw none. */
amun__plan *amun__member_plan(const amun__member *member, size_t batch);
amun__plan *amun__step_plan(const amun__step *step, size_t member);
/* diff of one member: of the mean cross-entropy of the batch, in train mode; its running statistics
 * move; adds to loss and right. */
amun_status amun__step_cross_entropy(amun__step *step, size_t member);

/* What becomes of a pass. */
enum {
    AMUN__PASS_ADD = 1,       /* its gradient is added to diff; else it takes diff's place */
    AMUN__PASS_STATISTICS = 2 /* running statistics move */
};
/* Parts of a step for objectives with images of their own, as many as the batch has: forward in
 * train mode into the member's logits; later, with no other forward of this member in between,
 * backward from `seed` into its diff. diff_src: d / d images, nullable. */
amun_status amun__step_forward(amun__step *step, size_t member, const float *images);
amun_status amun__step_backward(amun__step *step, size_t member, const float *seed, int32_t flags,
                                float *diff_src);
/* Both for the mean cross-entropy with the batch's targets; adds `factor` times its sum to loss and
 * factor times its gradient to diff, and leaves `right` alone. A loss that is not finite ends the
 * pass before the backward: the run says where. */
amun_status amun__step_cross_entropy_at(amun__step *step, size_t member, const float *images,
                                        double factor, int32_t flags);
/* Adds the rows of logits that are right to `right`. */
void amun__step_count_right(amun__step *step, const float *logits);

/* What a run minimises, where it is not each member's cross-entropy. */
typedef struct amun__objective {
    const char *identity; /* for checkpoints: options, a JSON object. NULL: nothing to tell */
    void *self;
    /* Fills the diff of every member; weight decay and l1 come later. NULL: cross-entropy. */
    amun_status (*gradients)(void *self, amun__step *step);
    /* After `done` epochs, and again with the same number when a run goes on from a checkpoint (so
     * it must not matter twice). *stop: the run ends here. Nullable. */
    amun_status (*epoch_end)(void *self, int64_t done, bool *stop);
} amun__objective;

/* An array that a run goes on from, besides weights and velocities. */
typedef struct amun__run_extra {
    const char *name; /* lower case, digits, dots */
    float *values;
    size_t count;
} amun__run_extra;

/* ---- recipes -------------------------------------------------------------------------------- */

/* An unlearning or training method as a table. All pointers are borrowed for the call. */
typedef struct amun__recipe {
    const char *name; /* phase in progress reports, name in checkpoints */
    amun__mix mix;    /* augmentation and label smoothing come from options, the rest is kept */
    amun_train_options options; /* complete (read by amun__train_options_read) */
    double l1;                  /* l1 * sign(w) added to every gradient; it falls by
                                 * l1 / epochs from epoch to epoch if l1_falls is set */
    int32_t l1_falls;
    int32_t frozen_statistics; /* batch norm as in evaluation; running statistics stand still */
    double max_norm; /* > 0: a longer gradient (l2, before decay and l1) is scaled down to this */
    const uint8_t *mask;              /* one byte per trainable scalar, 0 = frozen; NULL: none */
    const amun__objective *objective; /* NULL: cross-entropy */
    const amun__run_extra *extras;    /* state of the objective */
    size_t extra_count;
} amun__recipe;

extern const amun__options_table amun__train_options_table;
/* For provenance: the table's fields, and those of the clip, if there is one, as "clip.method" and
 * so on. New reference. */
amun_status amun__train_options_json(json_t **out, const amun_train_options *options);

/* Caller holds begin_write on the model. progress may be NULL. Any failure but CANCELLED leaves the
 * values as they were before the call. */
amun_status amun__recipe_run(amun_model *model, const amun__recipe *recipe,
                             amun__progress_state *progress, amun_train_result *result);
/* The same for several models on the same batches, each with a gradient and a velocity of its own.
 * The result's loss and accuracy are means over them. One model must not stand there twice. */
amun_status amun__recipe_run_joint(amun_model *const *models, size_t count,
                                   const amun__recipe *recipe, amun__progress_state *progress,
                                   amun_train_result *result);
/* The mix of plain training on `data`, or on indices of it: augmented, with its own labels. */
amun_status amun__recipe_fill(amun__recipe *recipe, const amun_model *model,
                              const amun_dataset *data, const int64_t *indices, size_t count);
/* lr of a step (PyTorch's StepLR etc.; epoch 0-based). COSINE and ONECYCLE, with s the 0-based step
 * of T in all and W = warmup * T rounded to a whole number: for s < W lr * (s + 1) / (W + 1); then,
 * with q = (s - W) / (T - W), lr * (f + (1 - f) * (1 + cos(pi q)) / 2) or lr * (1 - (1 - f) * q),
 * where f is final_factor. The peak is met exactly once, at s = W; f would be met at s = T. */
double amun__schedule_lr(const amun_train_options *options, int64_t epoch, int64_t step_in_epoch,
                         int64_t steps_per_epoch);
/* Logits of the named samples [count][classes], evaluation mode. Caller holds begin_read.
 * indices NULL: first `count` samples. Logits that are not finite give NUMERIC. */
amun_status amun__eval_logits(const amun_model *model, const amun_dataset *data,
                              const int64_t *indices, size_t count, float *logits,
                              amun__progress_state *progress, const char *phase);

/* Percent of `count` >= 1 named samples that are right; their labels are within the model's
 * classes. Caller holds begin_read. */
amun_status amun__eval_accuracy(const amun_model *model, const amun_dataset *data,
                                const int64_t *indices, size_t count, double *accuracy);

/* amun_features_compute() (features.c). Caller holds begin_read. indices NULL: the first `count`. */
amun_status amun__features(float *features, const amun_model *model, const amun_dataset *data,
                           const int64_t *indices, size_t count, int32_t stage,
                           amun__progress_state *progress);

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
