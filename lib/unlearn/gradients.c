/* gradients.c - gradients of the loss on a group of samples at standing weights, and the mask of
 * the weights that matter most for the forget samples (SalUn, arXiv 2310.12508, equation 3). */
#include <stdlib.h>

#include "unlearn/unlearn.h"

enum { GRADIENT_BATCH = 128 };

typedef struct pass {
    amun_model *model;
    amun__plan *plans[2]; /* full batches; the short last one, or NULL */
    amun__loader *loader;
    size_t batch, classes, trainable;
    float *logits, *seed, *diff;
} pass;

static amun_status open_pass(pass *p, amun_context *ctx, const amun__unlearn_request *q,
                             const int64_t *indices, size_t count)
{
    amun__model_values values;
    amun__model_values_get(q->model, &values);
    p->model = q->model;
    p->batch = count < GRADIENT_BATCH ? count : GRADIENT_BATCH;
    p->classes = (size_t)amun_model_classes(q->model);
    p->trainable = values.trainable;
    const amun__mix mix = {
        .parts[0] = {.dataset = q->train,
                     .indices = indices,
                     .count = count,
                     .target = AMUN__TARGET_LABEL,
                     .weight = 1.0},
        .part_count = 1,
        .classes = (int64_t)p->classes,
    };
    AMUN__CHECK(amun__alloc(ctx, &p->logits, p->batch * p->classes, sizeof *p->logits));
    AMUN__CHECK(amun__alloc(ctx, &p->seed, p->batch * p->classes, sizeof *p->seed));
    AMUN__CHECK(amun__alloc(ctx, &p->diff, p->trainable, sizeof *p->diff));
    AMUN__CHECK(amun__model_lease(q->model, (int64_t)p->batch, AMUN__MODE_TUNE, &p->plans[0]));
    size_t rest = count % p->batch;
    if (rest > 0) {
        AMUN__CHECK(amun__model_lease(q->model, (int64_t)rest, AMUN__MODE_TUNE, &p->plans[1]));
    }
    AMUN__CHECK(amun__loader_open(&p->loader, ctx, &mix, p->batch, 0));
    return amun__loader_begin(p->loader, 0);
}

static void close_pass(pass *p, amun_context *ctx)
{
    amun__loader_close(p->loader);
    for (int i = 0; i < 2; i++) {
        if (p->plans[i] != NULL) {
            amun__model_release(p->model, p->plans[i]);
        }
    }
    amun__free(ctx, p->logits);
    amun__free(ctx, p->seed);
    amun__free(ctx, p->diff);
}

static amun_status one_batch(pass *p, const amun__batch *batch)
{
    amun__plan *plan = p->plans[batch->count == p->batch ? 0 : 1];
    AMUN__CHECK(amun__plan_forward(plan, batch->images, p->logits));
    double loss = amun__loss_cross_entropy(p->logits, batch->targets, NULL, batch->count,
                                           p->classes, 1.0 / (double)batch->count, p->seed);
    if (!isfinite(loss)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "the loss of the model is %g", loss);
    }
    return amun__plan_backward(plan, p->seed, NULL, p->diff);
}

amun_status amun__unlearn_gradients(const amun__unlearn_request *request, const int64_t *indices,
                                    size_t count, amun__progress_state *progress, const char *phase,
                                    amun__gradient_sink *sink, void *self)
{
    pass p = {0};
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(request->ctx, &threads));
    amun_status status = open_pass(&p, request->ctx, request, indices, count);
    for (size_t done = 0; status == AMUN_OK && done < count;) {
        const amun__batch *batch = NULL;
        AMUN__TRY(amun__loader_next(p.loader, &batch));
        AMUN__TRY(one_batch(&p, batch));
        sink(self, p.diff, p.trainable);
        done += batch->count;
        AMUN__TRY(amun__progress_tick(progress, phase, done, count, NAN, NAN));
    }
fail:
    close_pass(&p, request->ctx);
    amun__threads_end(&threads);
    return status;
}

/* ---- mask ---------------------------------------------------------------------------------- */

static void add_up(void *self, const float *diff, size_t count)
{
    double *sum = self;
    for (size_t i = 0; i < count; i++) {
        sum[i] += (double)diff[i];
    }
}

typedef struct saliency {
    double value;
    size_t at;
} saliency;

/* Largest first; of equals the first. */
static int by_saliency(const void *a, const void *b)
{
    const saliency *x = a, *y = b;
    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->at < y->at ? -1 : x->at > y->at;
}

static void keep_largest(uint8_t *mask, saliency *order, const double *sum, size_t count,
                         size_t kept)
{
    for (size_t i = 0; i < count; i++) {
        order[i] = (saliency){fabs(sum[i]), i};
    }
    qsort(order, count, sizeof *order, by_saliency);
    for (size_t i = 0; i < kept; i++) {
        mask[order[i].at] = 1;
    }
}

amun_status amun__unlearn_mask(amun__unlearn_request *request, amun__progress_state *progress,
                               const uint8_t **mask)
{
    amun_context *ctx = request->ctx;
    amun__model_values values;
    amun__model_values_get(request->model, &values);
    uint8_t *kept = NULL;
    double *sum = NULL;
    saliency *order = NULL;
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__unlearn_alloc(request, &kept, values.trainable, sizeof *kept));
    AMUN__TRY(amun__calloc(ctx, &sum, values.trainable, sizeof *sum));
    AMUN__TRY(amun__unlearn_gradients(request, request->forget, request->forget_count, progress,
                                      "mask", add_up, sum));
    AMUN__TRY(amun__alloc(ctx, &order, values.trainable, sizeof *order));
    keep_largest(kept, order, sum, values.trainable,
                 (size_t)floor(request->mask_ratio * (double)values.trainable));
    *mask = kept;
fail:
    amun__free(ctx, order);
    amun__free(ctx, sum);
    return status;
}
