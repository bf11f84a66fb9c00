/* ensemble.c - several models as one: the handle, prediction, evaluation, attacks. The arithmetic
 * of the output and of its gradient is the victim's (lib/attack/victim.c). */
#include <inttypes.h>

#include "ensemble/ensemble.h"

enum { ENSEMBLE_BATCH = 128 };

/* ---- handle ---------------------------------------------------------------------------------- */

static void destroy_ensemble(void *self)
{
    amun_ensemble *ensemble = self;
    for (size_t i = 0; i < ensemble->count; i++) {
        amun_model_unref(ensemble->models[i]);
    }
    amun__free(ensemble->object.ctx, ensemble->models);
}

amun_status amun_ensemble_create(amun_ensemble **ensemble, amun_context *ctx,
                                 amun_model *const *models, size_t count)
{
    amun__enter();
    if (ensemble == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "ensemble is NULL");
    }
    *ensemble = NULL;
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    const amun__victim victim = {(const amun_model *const *)models, count};
    AMUN__CHECK(amun__victim_check(&victim, "models"));
    amun_ensemble *made = NULL;
    AMUN__CHECK(
        amun__object_create(&made, ctx, AMUN__TAG_ENSEMBLE, sizeof *made, destroy_ensemble));
    amun_status status = amun__alloc(ctx, &made->models, count, sizeof(amun_model *));
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        made->models[i] = amun_model_ref(models[i]);
    }
    made->count = count;
    *ensemble = made;
    return AMUN_OK;
}

amun_ensemble *amun_ensemble_ref(amun_ensemble *ensemble)
{
    return amun__object_ref(ensemble);
}

void amun_ensemble_unref(amun_ensemble *ensemble)
{
    amun__object_unref(ensemble);
}

size_t amun_ensemble_count(const amun_ensemble *ensemble)
{
    return ensemble != NULL ? ensemble->count : 0;
}

amun_model *amun_ensemble_model(const amun_ensemble *ensemble, size_t i)
{
    return ensemble != NULL && i < ensemble->count ? ensemble->models[i] : NULL;
}

amun__victim amun__ensemble_victim(const amun_ensemble *ensemble)
{
    return (amun__victim){(const amun_model *const *)ensemble->models, ensemble->count};
}

/* ---- prediction ------------------------------------------------------------------------------ */

static amun_status check_images(const amun_model *model, const amun_tensor_view *images)
{
    int64_t shape[3];
    AMUN__CHECK(amun_model_shape(model, shape));
    AMUN__CHECK(amun__view_check(images, "images", NULL));
    const int64_t *s = images->shape;
    if (images->ndim != 4 || memcmp(s + 1, shape, sizeof shape) != 0) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "images: %" PRId32 " axes of %" PRId64 ", %" PRId64 ", %" PRId64
                          ", %" PRId64 ", expected n, %" PRId64 ", %" PRId64 ", %" PRId64,
                          images->ndim, s[0], s[1], s[2], s[3], shape[0], shape[1], shape[2]);
    }
    if (images->dtype != AMUN_DTYPE_F32 && images->dtype != AMUN_DTYPE_U8) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "images: dtype %" PRId32 ", not F32 or U8",
                          images->dtype);
    }
    if (s[0] < 1) {
        return amun__fail(AMUN_ERROR_SHAPE, "images: the batch is empty");
    }
    return AMUN_OK;
}

static amun_status check_logits(const amun_model *model, const amun_tensor_view *images,
                                const amun_tensor_view *logits)
{
    int64_t classes = amun_model_classes(model);
    AMUN__CHECK(amun__view_check(logits, "logits", NULL));
    if (logits->ndim != 2 || logits->shape[0] != images->shape[0] || logits->shape[1] != classes) {
        return amun__fail(
            AMUN_ERROR_SHAPE,
            "logits: %" PRId32 " axes of %" PRId64 ", %" PRId64 ", expected %" PRId64 ", %" PRId64,
            logits->ndim, logits->shape[0], logits->shape[1], images->shape[0], classes);
    }
    if (logits->dtype != AMUN_DTYPE_F32 || (logits->flags & AMUN_VIEW_READONLY) != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "logits: must be a writable F32 view");
    }
    if (amun__view_overlap(images, logits)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "logits overlap images");
    }
    return AMUN_OK;
}

/* Where the rows of a pass come from, and where they go. */
typedef struct pass {
    const amun_tensor_view *images, *logits; /* predict */
    const amun__selection *selection;        /* evaluate */
    float *targets;                          /* one row, zeroed */
    double loss;
    size_t right;
    const char *phase;
} pass;

static amun_status read_rows(const pass *p, size_t pixels, size_t first, size_t n, float *src)
{
    if (p->images == NULL) {
        for (size_t i = 0; i < n; i++) {
            amun__dataset_fetch(p->selection->data, amun__selection_index(p->selection, first + i),
                                src + i * pixels);
        }
        return AMUN_OK;
    }
    AMUN__CHECK(amun__view_read_f32(p->images, first, n, 1.0 / 255, src));
    for (size_t i = 0; i < n * pixels; i++) {
        if (!isfinite(src[i])) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "images: image %zu has the value %g",
                              first + i / pixels, (double)src[i]);
        }
    }
    return AMUN_OK;
}

static amun_status use_rows(pass *p, size_t classes, size_t first, size_t n, const float *dst)
{
    if (p->logits != NULL) {
        return amun__view_write_f32(p->logits, first, n, dst);
    }
    for (size_t i = 0; i < n; i++) {
        const float *row = dst + i * classes;
        size_t index = amun__selection_index(p->selection, first + i);
        int32_t label = amun__dataset_label(p->selection->data, index);
        int32_t found = amun__loss_argmax(row, classes);
        if (found < 0) {
            return amun__fail(AMUN_ERROR_NUMERIC, "the output for image %zu is not finite", index);
        }
        p->targets[label] = 1.0f;
        p->loss += amun__loss_cross_entropy(row, p->targets, NULL, 1, classes, 1.0, NULL);
        p->targets[label] = 0.0f;
        p->right += found == label;
    }
    return AMUN_OK;
}

static amun_status run_batches(const amun_ensemble *ensemble, pass *p, size_t count,
                               amun__progress_state *progress)
{
    amun_status status = AMUN_OK;
    amun_context *ctx = ensemble->object.ctx;
    const amun__victim victim = amun__ensemble_victim(ensemble);
    amun__probe probe = {0};
    float *src = NULL, *dst = NULL;
    size_t batch = 1;
    while (batch < count && batch < ENSEMBLE_BATCH) {
        batch *= 2;
    }
    AMUN__TRY(amun__probe_open(&probe, ctx, &victim, batch, AMUN__MODE_INFER));
    AMUN__TRY(amun__calloc(ctx, &src, batch * probe.pixels, sizeof *src));
    AMUN__TRY(amun__calloc(ctx, &dst, batch * probe.classes, sizeof *dst));
    for (size_t first = 0; first < count; first += batch) {
        size_t n = count - first < batch ? count - first : batch;
        AMUN__TRY(read_rows(p, probe.pixels, first, n, src));
        AMUN__TRY(amun__probe_forward(&probe, src, dst));
        AMUN__TRY(use_rows(p, probe.classes, first, n, dst));
        double metric =
            p->logits != NULL ? (double)NAN : 100.0 * (double)p->right / (double)(first + n);
        AMUN__TRY(amun__progress_tick(progress, p->phase, first + n, count, (double)NAN, metric));
    }
fail:
    amun__free(ctx, src);
    amun__free(ctx, dst);
    amun__probe_close(&probe);
    return status;
}

static amun_status run_pass(const amun_ensemble *ensemble, pass *p, size_t count,
                            amun__progress_state *progress)
{
    const amun__victim victim = amun__ensemble_victim(ensemble);
    AMUN__CHECK(amun__victim_begin_read(&victim));
    amun__threads threads;
    amun_status status = amun__threads_begin(ensemble->object.ctx, &threads);
    if (status == AMUN_OK) {
        status = run_batches(ensemble, p, count, progress);
        amun__threads_end(&threads);
    }
    amun__victim_end_read(&victim);
    return status;
}

amun_status amun_ensemble_predict(const amun_ensemble *ensemble, const amun_tensor_view *images,
                                  const amun_tensor_view *logits, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ensemble, AMUN__TAG_ENSEMBLE, "ensemble"));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(check_images(ensemble->models[0], images));
    AMUN__CHECK(check_logits(ensemble->models[0], images, logits));
    pass p = {.images = images, .logits = logits, .phase = "predict"};
    return run_pass(ensemble, &p, (size_t)images->shape[0], &progress);
}

amun_status amun_ensemble_evaluate(double *accuracy, double *loss, const amun_ensemble *ensemble,
                                   const amun_dataset *data, const int64_t *indices, size_t count,
                                   const amun_call_options *call)
{
    amun__enter();
    double nowhere[2];
    accuracy = accuracy != NULL ? accuracy : &nowhere[0];
    loss = loss != NULL ? loss : &nowhere[1];
    *accuracy = *loss = NAN;
    AMUN__CHECK(amun__object_check(ensemble, AMUN__TAG_ENSEMBLE, "ensemble"));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    amun_context *ctx = ensemble->object.ctx;
    const amun__victim victim = amun__ensemble_victim(ensemble);
    amun__selection selection = {data, indices, count};
    AMUN__CHECK(amun__selection_check(&selection, &victim, ctx));
    pass p = {.selection = &selection, .phase = "evaluate"};
    AMUN__CHECK(amun__calloc(ctx, &p.targets, (size_t)amun_model_classes(ensemble->models[0]),
                             sizeof *p.targets));
    amun_status status = run_pass(ensemble, &p, selection.count, &progress);
    amun__free(ctx, p.targets);
    if (status == AMUN_OK) {
        *accuracy = 100.0 * (double)p.right / (double)selection.count;
        *loss = p.loss / (double)selection.count;
    }
    return status;
}

amun_status amun_ensemble_attack(amun_attack *attack, const amun_ensemble *ensemble,
                                 const amun_tensor_view *images, const amun_tensor_view *labels,
                                 const int64_t *ids, const amun_tensor_view *adversarial,
                                 amun_attack_record *records, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(attack, AMUN__TAG_ATTACK, "attack"));
    AMUN__CHECK(amun__object_check(ensemble, AMUN__TAG_ENSEMBLE, "ensemble"));
    const amun__victim victim = amun__ensemble_victim(ensemble);
    return amun__attack_run(attack, &victim, images, labels, ids, adversarial, records, call);
}

/* ---- selections ------------------------------------------------------------------------------ */

size_t amun__selection_index(const amun__selection *selection, size_t i)
{
    return selection->indices != NULL ? (size_t)selection->indices[i] : i;
}

amun_status amun__selection_check(amun__selection *selection, const amun__victim *victim,
                                  amun_context *ctx)
{
    int64_t shape[4];
    amun__dataset_info info;
    AMUN__CHECK(amun__object_check(selection->data, AMUN__TAG_DATASET, "data"));
    amun__dataset_info_get(selection->data, &info);
    AMUN__CHECK(amun__model_input(victim->models[0], &shape[0], &shape[1], &shape[2], &shape[3]));
    if (info.channels != shape[0] || info.height != shape[1] || info.width != shape[2]) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "data: images of %" PRId64 " x %" PRId64 " x %" PRId64
                          ", the models take %" PRId64 " x %" PRId64 " x %" PRId64,
                          info.channels, info.height, info.width, shape[0], shape[1], shape[2]);
    }
    if (info.classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "data: the data set has no labels to compare with");
    }
    if (selection->indices != NULL) {
        AMUN__CHECK(amun__indices_check(ctx, selection->indices, selection->count, info.count,
                                        false, "indices"));
    } else if (selection->count != 0 && selection->count != info.count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "indices is NULL, but the count is %zu and data has %zu images",
                          selection->count, info.count);
    } else {
        selection->count = info.count;
    }
    for (size_t i = 0; i < selection->count; i++) {
        size_t index = amun__selection_index(selection, i);
        int32_t label = amun__dataset_label(selection->data, index);
        if (label < 0 || label >= shape[3]) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "label %" PRId32 " of image %zu is outside the models' 0..%" PRId64,
                              label, index, shape[3] - 1);
        }
    }
    return AMUN_OK;
}
