/* attack.c - the attack handle, and attacks on a batch of the caller's. */
#include <inttypes.h>

#include "attack/attack_private.h"

/* ---- handle ---------------------------------------------------------------------------------- */

static amun_status create(amun_attack **out, amun_context *ctx, amun__attack_kind kind,
                          const void *opts)
{
    amun__enter();
    if (out == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "attack is NULL");
    }
    *out = NULL;
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    amun_attack *attack = NULL;
    AMUN__CHECK(amun__object_create(&attack, ctx, AMUN__TAG_ATTACK, sizeof *attack, NULL));
    attack->kind = kind;
    amun_status status = amun__options_read(amun__attack_table(kind), &attack->options, opts);
    status = status == AMUN_OK ? amun__attack_check(attack) : status;
    if (status != AMUN_OK) {
        amun__object_unref(attack);
        return status;
    }
    *out = attack;
    return AMUN_OK;
}

amun_status amun_attack_create_fgsm(amun_attack **attack, amun_context *ctx,
                                    const amun_fgsm_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_FGSM, opts);
}

amun_status amun_attack_create_ffgsm(amun_attack **attack, amun_context *ctx,
                                     const amun_ffgsm_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_FFGSM, opts);
}

amun_status amun_attack_create_pgd_linf(amun_attack **attack, amun_context *ctx,
                                        const amun_pgd_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_PGD_LINF, opts);
}

amun_status amun_attack_create_pgd_l2(amun_attack **attack, amun_context *ctx,
                                      const amun_pgd_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_PGD_L2, opts);
}

amun_status amun_attack_create_search(amun_attack **attack, amun_context *ctx,
                                      const amun_search_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_SEARCH, opts);
}

amun_status amun_attack_create_mim(amun_attack **attack, amun_context *ctx,
                                   const amun_mim_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_MIM, opts);
}

amun_status amun_attack_create_apgd(amun_attack **attack, amun_context *ctx,
                                    const amun_apgd_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_APGD, opts);
}

amun_status amun_attack_create_square(amun_attack **attack, amun_context *ctx,
                                      const amun_square_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_SQUARE, opts);
}

amun_status amun_attack_create_standard(amun_attack **attack, amun_context *ctx,
                                        const amun_standard_options *opts)
{
    return create(attack, ctx, AMUN__ATTACK_STANDARD, opts);
}

amun_attack *amun_attack_ref(amun_attack *attack)
{
    return amun__object_ref(attack);
}

void amun_attack_unref(amun_attack *attack)
{
    amun__object_unref(attack);
}

amun_clamp amun_attack_clamp(const amun_attack *attack)
{
    bool legacy = attack != NULL && attack->kind == AMUN__ATTACK_PGD_LINF &&
                  attack->options.pgd.legacy_normalised_clamp;
    return attack == NULL ? 0 : legacy ? AMUN_CLAMP_NORMALISED : AMUN_CLAMP_PIXELS;
}

amun_failure_policy amun__attack_policy(const amun_attack *attack)
{
    return attack->kind == AMUN__ATTACK_SEARCH ? attack->options.search.on_failure
                                               : AMUN_FAILURE_LEAVE_OUT;
}

amun_status amun__attack_json(json_t **out, const amun_attack *attack)
{
    json_t *options = NULL;
    *out = NULL;
    AMUN__CHECK(amun__json_options(&options, amun__attack_table(attack->kind), &attack->options));
    *out = json_pack("{s:s, s:o}", "attack", amun__attack_name(attack->kind), "options", options);
    return *out != NULL ? AMUN_OK : amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
}

/* ---- attacks on the caller's memory ---------------------------------------------------------- */

typedef struct views {
    const amun_tensor_view *images, *adversarial;
} views;

static amun_status fetch_view(const amun__job *job, size_t row, float *image)
{
    const views *v = job->user;
    return amun__view_read_f32(v->images, row, 1, 1.0 / 255.0, image);
}

static amun_status deliver_view(const amun__job *job, size_t row, const float *image)
{
    const views *v = job->user;
    return amun__view_write_f32(v->adversarial, row, 1, image);
}

static amun_status check_images(const amun_tensor_view *images, const int64_t shape[3])
{
    AMUN__CHECK(amun__view_check(images, "images", NULL));
    if (images->dtype != AMUN_DTYPE_F32 && images->dtype != AMUN_DTYPE_F64 &&
        images->dtype != AMUN_DTYPE_U8) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "images: dtype %" PRId32 ", not F32, F64 or U8", images->dtype);
    }
    if (images->ndim != 4) {
        return amun__fail(AMUN_ERROR_SHAPE, "images: %" PRId32 " dimensions, not 4", images->ndim);
    }
    const int64_t *s = images->shape;
    if (s[1] != shape[0] || s[2] != shape[1] || s[3] != shape[2]) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "images: %" PRId64 " x %" PRId64 " x %" PRId64
                          ", the model takes %" PRId64 " x %" PRId64 " x %" PRId64,
                          s[1], s[2], s[3], shape[0], shape[1], shape[2]);
    }
    if (s[0] == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "images: 0 samples, nothing to attack");
    }
    return AMUN_OK;
}

static amun_status check_adversarial(const amun_tensor_view *out, const amun_tensor_view *images,
                                     const amun_tensor_view *labels)
{
    AMUN__CHECK(amun__view_check(out, "adversarial", NULL));
    if (out->dtype != AMUN_DTYPE_F32 || (out->flags & AMUN_VIEW_READONLY) != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "adversarial: dtype %" PRId32 ", flags %" PRIu32 ", not writable F32",
                          out->dtype, out->flags);
    }
    if (out->ndim != 4 || memcmp(out->shape, images->shape, 4 * sizeof out->shape[0]) != 0) {
        return amun__fail(AMUN_ERROR_SHAPE, "adversarial: not the shape of images");
    }
    for (int32_t i = 0; i < 4; i++) {
        if (out->shape[i] > 1 && out->strides[i] == 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "adversarial: stride 0 of axis %" PRId32 ", elements share memory",
                              i);
        }
    }
    if (amun__view_overlap(out, images) || amun__view_overlap(out, labels)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "adversarial: overlaps the input");
    }
    return AMUN_OK;
}

static amun_status check_labels(const amun_tensor_view *labels, int64_t count)
{
    AMUN__CHECK(amun__view_check(labels, "labels", NULL));
    if (labels->dtype != AMUN_DTYPE_I32 && labels->dtype != AMUN_DTYPE_I64 &&
        labels->dtype != AMUN_DTYPE_U8) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "labels: dtype %" PRId32 ", not I32, I64 or U8", labels->dtype);
    }
    if (labels->ndim != 1 || labels->shape[0] != count) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "labels: %" PRId32 " dimensions of %" PRId64 ", expected 1 of %" PRId64,
                          labels->ndim, labels->ndim > 0 ? labels->shape[0] : 0, count);
    }
    return AMUN_OK;
}

/* Values beyond 32 bits become INT32_MIN, which the range check of the job refuses. */
static amun_status read_labels(const amun_tensor_view *view, size_t count, int32_t *labels)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value;
        AMUN__CHECK(amun__view_read_i64(view, i, 1, &value));
        if (value < INT32_MIN || value > INT32_MAX) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "labels: row %zu is %" PRId64, i, value);
        }
        labels[i] = (int32_t)value;
    }
    return AMUN_OK;
}

static amun_status run_views(amun_attack *attack, amun__job *job, const amun_tensor_view *labels,
                             amun_attack_record *records)
{
    amun_status status = AMUN_OK;
    int32_t *numbers = NULL;
    amun_attack_record *table = NULL;
    AMUN__TRY(amun__alloc(job->ctx, &numbers, job->count, sizeof *numbers));
    AMUN__TRY(read_labels(labels, job->count, numbers));
    if (records == NULL) {
        AMUN__TRY(amun__alloc(job->ctx, &table, job->count, sizeof *table));
    }
    job->labels = numbers;
    job->records = records != NULL ? records : table;
    memset(job->records, 0, job->count * sizeof *job->records);
    AMUN__TRY(amun__job_run(job, attack));
fail:
    amun__free(job->ctx, numbers);
    amun__free(job->ctx, table);
    return status;
}

amun_status amun__attack_run(amun_attack *attack, const amun__victim *victim,
                             const amun_tensor_view *images, const amun_tensor_view *labels,
                             const int64_t *ids, const amun_tensor_view *adversarial,
                             amun_attack_record *records, const amun_call_options *call)
{
    int64_t shape[3];
    AMUN__CHECK(amun_model_shape(victim->models[0], shape));
    AMUN__CHECK(check_images(images, shape));
    AMUN__CHECK(check_labels(labels, images->shape[0]));
    AMUN__CHECK(check_adversarial(adversarial, images, labels));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    views v = {images, adversarial};
    amun__job job = {
        .ctx = attack->object.ctx,
        .victim = *victim,
        .count = (size_t)images->shape[0],
        .pixels = (size_t)(shape[0] * shape[1] * shape[2]),
        .classes = (size_t)amun_model_classes(victim->models[0]),
        .ids = ids,
        .table_wanted = records != NULL,
        .progress = &progress,
        .fetch = fetch_view,
        .deliver = deliver_view,
        .user = &v,
    };
    return run_views(attack, &job, labels, records);
}

amun_status amun_attack_run(amun_attack *attack, const amun_model *model,
                            const amun_tensor_view *images, const amun_tensor_view *labels,
                            const int64_t *ids, const amun_tensor_view *adversarial,
                            amun_attack_record *records, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(attack, AMUN__TAG_ATTACK, "attack"));
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    const amun__victim victim = {&model, 1};
    return amun__attack_run(attack, &victim, images, labels, ids, adversarial, records, call);
}
