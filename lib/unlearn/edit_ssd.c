/* edit_ssd.c - selective synaptic dampening (Foster et al., arXiv 2308.07707): weights that matter
 * far more for D_F than for all of D are made smaller, in closed form and without training.
 *
 * Importance: the mean over batches of the squared gradient of the batch's mean loss, as in the
 * released code (the paper speaks of single samples). */
#include "unlearn/unlearn.h"

typedef struct importance {
    double *sum; /* [trainable] */
    size_t batches;
} importance;

static void add_squares(void *self, const float *diff, size_t count)
{
    importance *found = self;
    for (size_t i = 0; i < count; i++) {
        found->sum[i] += (double)diff[i] * (double)diff[i];
    }
    found->batches++;
}

static amun_status find_importance(amun__unlearn_request *q, const int64_t *indices, size_t count,
                                   size_t trainable, amun__progress_state *progress,
                                   importance *found)
{
    AMUN__CHECK(amun__unlearn_alloc(q, &found->sum, trainable, sizeof *found->sum));
    AMUN__CHECK(
        amun__unlearn_gradients(q, indices, count, progress, "importance", add_squares, found));
    for (size_t i = 0; i < trainable; i++) {
        found->sum[i] /= (double)found->batches;
    }
    return AMUN_OK;
}

/* 0, 1, ...: all of D. */
static amun_status list_all(amun__unlearn_request *q, int64_t **all, size_t count)
{
    AMUN__CHECK(amun__unlearn_alloc(q, all, count, sizeof **all));
    for (size_t i = 0; i < count; i++) {
        (*all)[i] = (int64_t)i;
    }
    return AMUN_OK;
}

/* Biases and batch norm's scale and shift as well; running statistics stay. */
static amun_status run(amun__unlearn_request *request, amun__progress_state *progress,
                       amun__unlearn_counts *counts, amun_train_result *trained)
{
    (void)trained;
    amun__model_values v;
    int64_t *all = NULL;
    size_t count = request->remain_count + request->forget_count;
    importance whole = {0}, forget = {0};
    amun__model_values_get(request->model, &v);
    AMUN__CHECK(list_all(request, &all, count));
    AMUN__CHECK(find_importance(request, all, count, v.trainable, progress, &whole));
    AMUN__CHECK(find_importance(request, request->forget, request->forget_count, v.trainable,
                                progress, &forget));
    for (size_t i = 0; i < v.trainable; i++) {
        if (forget.sum[i] > request->rival.ssd_alpha * whole.sum[i]) {
            double factor = request->rival.ssd_lambda * whole.sum[i] / forget.sum[i];
            v.values[i] *= (float)(factor < 1.0 ? factor : 1.0);
        }
    }
    amun__model_touch(request->model);
    counts->remain = request->remain_count;
    counts->forget = request->forget_count;
    return AMUN_OK;
}

const amun__unlearn_method amun__method_ssd = {
    .name = "ssd",
    .needs_remain = 1,
    .run = run,
};
