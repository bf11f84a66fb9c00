/* predict.c - logits of images in evaluation mode. */
#include "nn/model_private.h"

#define PREDICT_BATCH 128

static amun_status check_images(const amun_model *model, const amun_tensor_view *images, size_t *n)
{
    const amun_model_options *s = &model->shape;
    AMUN__CHECK(amun__view_check(images, "images", NULL));
    if (images->ndim != 4 || images->shape[1] != s->channels || images->shape[2] != s->height ||
        images->shape[3] != s->width) {
        return amun__fail(
            AMUN_ERROR_SHAPE,
            "images: expected [n, %lld, %lld, %lld], got %d axes of [%lld, %lld, %lld, %lld]",
            (long long)s->channels, (long long)s->height, (long long)s->width, images->ndim,
            (long long)images->shape[0], (long long)images->shape[1], (long long)images->shape[2],
            (long long)images->shape[3]);
    }
    if (images->dtype != AMUN_DTYPE_F32 && images->dtype != AMUN_DTYPE_U8) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "images: dtype %d, must be F32 or U8",
                          images->dtype);
    }
    if (images->shape[0] < 1) {
        return amun__fail(AMUN_ERROR_SHAPE, "images: the batch is empty");
    }
    *n = (size_t)images->shape[0];
    return AMUN_OK;
}

static amun_status check_logits(const amun_model *model, const amun_tensor_view *images,
                                const amun_tensor_view *logits)
{
    AMUN__CHECK(amun__view_check(logits, "logits", NULL));
    if (logits->ndim != 2 || logits->shape[0] != images->shape[0] ||
        logits->shape[1] != model->shape.classes) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "logits: expected [%lld, %lld], got %d axes of [%lld, %lld]",
                          (long long)images->shape[0], (long long)model->shape.classes,
                          logits->ndim, (long long)logits->shape[0], (long long)logits->shape[1]);
    }
    if (logits->dtype != AMUN_DTYPE_F32 || (logits->flags & AMUN_VIEW_READONLY) != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "logits: must be a writable F32 view");
    }
    if (amun__view_overlap(images, logits)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "logits overlap images");
    }
    return AMUN_OK;
}

/* The smallest power of two that holds n, at most PREDICT_BATCH: few plans serve all sizes. */
static int64_t predict_batch(size_t n)
{
    int64_t batch = 1;
    while (batch < PREDICT_BATCH && (size_t)batch < n) {
        batch *= 2;
    }
    return batch;
}

/* Logits of a NaN would be finite nonsense behind the first ReLU. */
static amun_status check_finite(const float *images, size_t pixels, size_t first, size_t count)
{
    for (size_t i = 0; i < count * pixels; i++) {
        if (!isfinite(images[i])) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "images: image %zu has the value %g",
                              first + i / pixels, (double)images[i]);
        }
    }
    return AMUN_OK;
}

static amun_status predict_chunks(const amun_model *model, amun__plan *plan,
                                  const amun_tensor_view *images, const amun_tensor_view *logits,
                                  size_t n, amun__progress_state *progress)
{
    const amun_model_options *shape = &model->shape;
    size_t batch = (size_t)amun__plan_batch(plan), classes = (size_t)shape->classes;
    size_t pixels = (size_t)(shape->channels * shape->height * shape->width);
    float *src = NULL, *dst = NULL;
    amun_status status;
    AMUN__TRY(amun__calloc(model->object.ctx, &src, batch * pixels, sizeof(float)));
    AMUN__TRY(amun__alloc(model->object.ctx, &dst, batch * classes, sizeof(float)));
    for (size_t first = 0; first < n; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        AMUN__TRY(amun__view_read_f32(images, first, count, 1.0 / 255, src));
        AMUN__TRY(check_finite(src, pixels, first, count));
        memset(src + count * pixels, 0, (batch - count) * pixels * sizeof(float));
        AMUN__TRY(amun__plan_forward(plan, src, dst));
        AMUN__TRY(amun__view_write_f32(logits, first, count, dst));
        AMUN__TRY(
            amun__progress_tick(progress, "predict", first + count, n, (double)NAN, (double)NAN));
    }
fail:
    amun__free(model->object.ctx, src);
    amun__free(model->object.ctx, dst);
    return status;
}

amun_status amun_model_predict(const amun_model *model, const amun_tensor_view *images,
                               const amun_tensor_view *logits, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    size_t n = 0;
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(check_images(model, images, &n));
    AMUN__CHECK(check_logits(model, images, logits));
    AMUN__CHECK(amun__model_begin_read(model));
    amun__threads threads;
    amun__plan *plan = NULL;
    amun_status status = amun__threads_begin(model->object.ctx, &threads);
    if (status == AMUN_OK) {
        status = amun__model_lease(model, predict_batch(n), AMUN__MODE_INFER, &plan);
        if (status == AMUN_OK) {
            status = predict_chunks(model, plan, images, logits, n, &progress);
        }
        amun__model_release(model, plan);
        amun__threads_end(&threads);
    }
    amun__model_end_read(model);
    return status;
}
