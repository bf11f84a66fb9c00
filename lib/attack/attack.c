/* attack.c - the attack handle, its option structs, and attacks on a batch of the caller's. */
#include <inttypes.h>

#include "attack/attack_private.h"

enum { MAX_BATCH = 4096 };
#define MAX_SEED 18446744073709551615.0

/* ---- options --------------------------------------------------------------------------------- */

static const char *const norm_names[] = {"l2", "linf"};
const char *const amun__attack_policy_names[4] = {"leave_out", "keep_in_df", "error", "retry"};

#define TABLE(type, default_options, table_fields)                                                 \
    {                                                                                              \
        .name = #type, .size = sizeof(type), .defaults = &(default_options),                       \
        .fields = (table_fields), .field_count = sizeof(table_fields) / sizeof(table_fields)[0],   \
    }

static const amun_fgsm_options fgsm_defaults = {
    .struct_size = sizeof(amun_fgsm_options), .eps = 8.0 / 255.0, .batch = 128};
static const amun__field fgsm_fields[] = {
    AMUN__FIELD(amun_fgsm_options, eps, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_fgsm_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_fgsm_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table fgsm_table = TABLE(amun_fgsm_options, fgsm_defaults, fgsm_fields);

static const amun_ffgsm_options ffgsm_defaults = {.struct_size = sizeof(amun_ffgsm_options),
                                                  .eps = 8.0 / 255.0,
                                                  .step = 10.0 / 255.0,
                                                  .batch = 128};
static const amun__field ffgsm_fields[] = {
    AMUN__FIELD(amun_ffgsm_options, eps, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_ffgsm_options, step, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_ffgsm_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD(amun_ffgsm_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_ffgsm_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table ffgsm_table =
    TABLE(amun_ffgsm_options, ffgsm_defaults, ffgsm_fields);

static const amun_pgd_options pgd_linf_defaults = {.struct_size = sizeof(amun_pgd_options),
                                                   .eps = 8.0 / 255.0,
                                                   .step = 2.0 / 255.0,
                                                   .steps = 10,
                                                   .random_start = 1,
                                                   .batch = 128};
static const amun_pgd_options pgd_l2_defaults = {.struct_size = sizeof(amun_pgd_options),
                                                 .eps = 1.0,
                                                 .step = 0.2,
                                                 .steps = 10,
                                                 .random_start = 1,
                                                 .batch = 128};
static const amun__field pgd_fields[] = {
    AMUN__FIELD(amun_pgd_options, eps, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_pgd_options, step, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_pgd_options, steps, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(amun_pgd_options, random_start, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_pgd_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD(amun_pgd_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_pgd_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table pgd_linf_table =
    TABLE(amun_pgd_options, pgd_linf_defaults, pgd_fields);
static const amun__options_table pgd_l2_table =
    TABLE(amun_pgd_options, pgd_l2_defaults, pgd_fields);

static const amun_search_options search_defaults = {.struct_size = sizeof(amun_search_options),
                                                    .norm = AMUN_NORM_L2,
                                                    .steps = 50,
                                                    .eps0 = 0.04,
                                                    .growth = 2.0,
                                                    .step_divisor = 10.0,
                                                    .margin_fallback = 1,
                                                    .on_failure = AMUN_FAILURE_LEAVE_OUT,
                                                    .batch = 128};
static const amun__field search_fields[] = {
    AMUN__FIELD_ENUM(amun_search_options, norm, AMUN_NORM_L2, AMUN_NORM_LINF, norm_names),
    AMUN__FIELD(amun_search_options, steps, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(amun_search_options, eps0, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_search_options, growth, AMUN__FIELD_F64, 1, 100),
    AMUN__FIELD(amun_search_options, step_divisor, AMUN__FIELD_F64, 1, 10000),
    AMUN__FIELD(amun_search_options, eps_max, AMUN__FIELD_F64, 0, 100000),
    AMUN__FIELD(amun_search_options, restart, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_search_options, margin_fallback, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD_ENUM(amun_search_options, on_failure, AMUN_FAILURE_LEAVE_OUT, AMUN_FAILURE_RETRY,
                     amun__attack_policy_names),
    AMUN__FIELD(amun_search_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_search_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
};
static const amun__options_table search_table =
    TABLE(amun_search_options, search_defaults, search_fields);

amun_status amun_fgsm_options_init(amun_fgsm_options *opts, size_t size)
{
    return amun__options_init(&fgsm_table, opts, size);
}

amun_status amun_ffgsm_options_init(amun_ffgsm_options *opts, size_t size)
{
    return amun__options_init(&ffgsm_table, opts, size);
}

amun_status amun_pgd_linf_options_init(amun_pgd_options *opts, size_t size)
{
    return amun__options_init(&pgd_linf_table, opts, size);
}

amun_status amun_pgd_l2_options_init(amun_pgd_options *opts, size_t size)
{
    return amun__options_init(&pgd_l2_table, opts, size);
}

amun_status amun_search_options_init(amun_search_options *opts, size_t size)
{
    return amun__options_init(&search_table, opts, size);
}

static const struct {
    const char *name;
    const amun__options_table *table;
} kinds[] = {
    [AMUN__ATTACK_FGSM] = {"fgsm", &fgsm_table},
    [AMUN__ATTACK_FFGSM] = {"ffgsm", &ffgsm_table},
    [AMUN__ATTACK_PGD_LINF] = {"pgd_linf", &pgd_linf_table},
    [AMUN__ATTACK_PGD_L2] = {"pgd_l2", &pgd_l2_table},
    [AMUN__ATTACK_SEARCH] = {"search", &search_table},
};

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
    amun_status status = amun__options_read(kinds[kind].table, &attack->options, opts);
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

/* The bounds that a table of closed intervals cannot say. */
static amun_status check_search(const amun_search_options *o)
{
    if (o->eps0 <= 0.0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_search_options.eps0: %g is not greater than 0", o->eps0);
    }
    if (o->growth <= 1.0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_search_options.growth: %g is not greater than 1", o->growth);
    }
    if (o->eps_max > 0.0 && o->eps_max < o->eps0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_search_options.eps_max: %g is below eps0 = %g", o->eps_max,
                          o->eps0);
    }
    return AMUN_OK;
}

amun_status amun_attack_create_search(amun_attack **attack, amun_context *ctx,
                                      const amun_search_options *opts)
{
    AMUN__CHECK(create(attack, ctx, AMUN__ATTACK_SEARCH, opts));
    amun_status status = check_search(&(*attack)->options.search);
    if (status != AMUN_OK) {
        amun__object_unref(*attack);
        *attack = NULL;
    }
    return status;
}

amun_attack *amun_attack_ref(amun_attack *attack)
{
    return amun__object_ref(attack);
}

void amun_attack_unref(amun_attack *attack)
{
    amun__object_unref(attack);
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
    AMUN__CHECK(amun__json_options(&options, kinds[attack->kind].table, &attack->options));
    *out = json_pack("{s:s, s:o}", "attack", kinds[attack->kind].name, "options", options);
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

amun_status amun_attack_run(amun_attack *attack, const amun_model *model,
                            const amun_tensor_view *images, const amun_tensor_view *labels,
                            const int64_t *ids, const amun_tensor_view *adversarial,
                            amun_attack_record *records, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(attack, AMUN__TAG_ATTACK, "attack"));
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    int64_t shape[3];
    AMUN__CHECK(amun_model_shape(model, shape));
    AMUN__CHECK(check_images(images, shape));
    AMUN__CHECK(check_labels(labels, images->shape[0]));
    AMUN__CHECK(check_adversarial(adversarial, images, labels));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    views v = {images, adversarial};
    amun__job job = {
        .ctx = attack->object.ctx,
        .model = model,
        .count = (size_t)images->shape[0],
        .pixels = (size_t)(shape[0] * shape[1] * shape[2]),
        .classes = (size_t)amun_model_classes(model),
        .ids = ids,
        .table_wanted = records != NULL,
        .progress = &progress,
        .fetch = fetch_view,
        .deliver = deliver_view,
        .user = &v,
    };
    return run_views(attack, &job, labels, records);
}
