/* nn.h - what other rooms may use of the engine: models, plans, loss, optimiser. Private. */
#ifndef AMUN__NN_H
#define AMUN__NN_H

#include "amun/model.h"
#include "core/core.h"

/* ---- plans (plan.c) ------------------------------------------------------------------------- */

typedef enum amun__mode {
    AMUN__MODE_INFER = AMUN_MODE_INFER, /* batch norm folded; forward only */
    AMUN__MODE_ATTACK =
        AMUN_MODE_ATTACK,               /* infer plus backward to the input; no weight gradients */
    AMUN__MODE_TRAIN = AMUN_MODE_TRAIN, /* batch statistics, all gradients */
    AMUN__MODE_TUNE = AMUN_MODE_TUNE    /* running statistics, all gradients */
} amun__mode;
/* Whether plans of this mode have gradients of the parameters (and so fold nothing). */
static inline bool amun__mode_trains(amun__mode mode)
{
    return mode == AMUN__MODE_TRAIN || mode == AMUN__MODE_TUNE;
}

/* A graph compiled for one batch size and one mode. Holds scratch and packed weights, never truth.
 * One thread at a time. */
typedef struct amun__plan amun__plan;

/* src: dense [batch][C][H][W]; dst: dense [batch][classes] logits. Picks up weights that changed.
 */
amun_status amun__plan_forward(amun__plan *plan, const float *src, float *dst);
/* After forward: from d loss / d logits [batch][classes] to d loss / d input (nullable, dense) and
 * d loss / d trainable parameters (nullable; train and tune modes only; dense, overwritten, layout
 * of the model's values). */
amun_status amun__plan_backward(amun__plan *plan, const float *diff_dst, float *diff_src,
                                float *diff_params);
int64_t amun__plan_batch(const amun__plan *plan);
amun__mode amun__plan_mode(const amun__plan *plan);

/* ---- model internals (model.c) -------------------------------------------------------------- */

/* Shared use (predict, attack, audit) or exclusive use (train, load): BUSY on conflict. */
amun_status amun__model_begin_read(const amun_model *model);
void amun__model_end_read(const amun_model *model);
amun_status amun__model_begin_write(amun_model *model);
void amun__model_end_write(amun_model *model);

/* amun_model_clone() for a caller that holds begin_read or begin_write. */
amun_status amun__model_copy(amun_model **out, const amun_model *source);

/* A plan from the model's free list, compiled if there is none. Give it back with release. */
amun_status amun__model_lease(const amun_model *model, int64_t batch, amun__mode mode,
                              amun__plan **out);
void amun__model_release(const amun_model *model, amun__plan *plan);
/* Frees a leased plan, instead of giving it back; NULL is fine. */
void amun__plan_destroy(amun__plan *plan);
/* Frees the idle plans (memory between phases). */
void amun__model_trim(const amun_model *model);

/* All values: trainable ones first, then running statistics. */
typedef struct amun__model_values {
    float *values;
    size_t trainable, total;
    int64_t *tracked; /* num_batches_tracked of each batch norm */
    size_t tracked_count;
} amun__model_values;
void amun__model_values_get(const amun_model *model, amun__model_values *out);
/* Must be called after values were written, so that plans repack. */
void amun__model_touch(amun_model *model);
/* After a forward in train mode (in tune mode they stand still): running statistics and
 * num_batches_tracked. */
amun_status amun__model_update_statistics(amun_model *model, amun__plan *plan);
amun_context *amun__model_context(const amun_model *model);
amun_status amun__model_input(const amun_model *model, int64_t *channels, int64_t *height,
                              int64_t *width, int64_t *classes);
/* Mean and standard deviation per channel of the normalise node that alone reads the input; false
 * if there is none. Borrowed from the model. */
bool amun__model_normalise(const amun_model *model, const double **mean, const double **std);

/* ---- loss (loss.c) -------------------------------------------------------------------------- */

/* Cross-entropy of softmax(logits) against rows of target probabilities, in double inside.
 * Returns the sum over samples of weight_i * CE_i; seed (nullable) gets
 * scale * weight_i * (softmax - target). weights NULL: all 1. NaN logits give a NaN sum. */
double amun__loss_cross_entropy(const float *logits, const float *targets, const float *weights,
                                size_t n, size_t classes, double scale, float *seed);
/* First index of the maximum (ties: lowest index); -1 if any logit is not finite. */
int32_t amun__loss_argmax(const float *logits, size_t classes);
/* softmax in double. */
void amun__loss_softmax(const float *logits, size_t classes, double *p);

/* ---- optimiser (optim.c) -------------------------------------------------------------------- */

/* PyTorch's SGD: g += wd * w; v = first ? g : momentum * v + g; step = nesterov ? g + momentum * v
 * : v; w -= lr * step. `mask` (nullable, one byte per scalar): 0 freezes a weight and its velocity
 * exactly. l1: adds l1 * sign(w). */
typedef struct amun__sgd {
    double lr, momentum, weight_decay, l1;
    int32_t nesterov, first;
    const uint8_t *mask;
} amun__sgd;
void amun__sgd_step(const amun__sgd *sgd, float *values, float *velocity, const float *diff,
                    size_t count);

/* PyTorch's Adam (arXiv 1412.6980), with weight decay and l1 added to the gradient; beta2 0.999 and
 * eps 1e-8. `first` (m) and `second` (v) begin at 0, `step` at 1. `mask` as above. */
typedef struct amun__adam {
    double lr, beta1, weight_decay, l1;
    int64_t step;
    const uint8_t *mask;
} amun__adam;
void amun__adam_step(const amun__adam *adam, float *values, float *first, float *second,
                     const float *diff, size_t count);

#endif
