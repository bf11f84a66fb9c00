/* advset.c - the adversarial set in memory: building it, and reading it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "attack/attack_private.h"

/* ---- memory ---------------------------------------------------------------------------------- */

static void destroy_advset(void *self)
{
    amun_advset *set = self;
    amun_context *ctx = set->object.ctx;
    amun_dataset_unref(set->examples); /* frees the images, unless somebody else keeps it */
    amun__free(ctx, set->records);
    amun__free(ctx, set->rows);
    amun__free(ctx, set->options);
    amun__free(ctx, set->provenance);
    amun__free(ctx, set->origin);
}

amun_status amun__advset_create(amun_advset **out, amun_context *ctx, size_t count,
                                int64_t channels, int64_t height, int64_t width, int64_t classes)
{
    amun_status status = AMUN_OK;
    amun_advset *set = NULL;
    *out = NULL;
    AMUN__TRY(amun__object_create(&set, ctx, AMUN__TAG_ADVSET, sizeof *set, destroy_advset));
    set->count = count;
    set->channels = channels;
    set->height = height;
    set->width = width;
    set->classes = classes;
    set->pixels = (size_t)(channels * height * width);
    set->policy = AMUN_FAILURE_LEAVE_OUT;
    AMUN__TRY(amun__calloc(ctx, &set->records, count, sizeof *set->records));
    AMUN__TRY(amun__calloc(ctx, &set->rows, count, sizeof *set->rows));
    *out = set;
    return AMUN_OK;
fail:
    amun__object_unref(set);
    return status;
}

void amun__advset_number(amun_advset *set)
{
    set->found = 0;
    for (size_t i = 0; i < set->count; i++) {
        bool found = set->records[i].outcome == AMUN_ATTACK_FLIPPED;
        set->rows[i] = found ? (int64_t)set->found++ : -1;
    }
}

/* What the data set of examples stands on. It outlives the adversarial set if somebody keeps the
 * data set. */
typedef struct store {
    amun_context *ctx;
    float *images;
    int32_t *labels;
} store;

static void release_store(void *user_data)
{
    store *memory = user_data;
    amun_context *ctx = memory->ctx;
    amun__free(ctx, memory->images);
    amun__free(ctx, memory->labels);
    amun__free(ctx, memory);
    amun_context_unref(ctx);
}

static amun_status make_store(store **out, const amun_advset *set, float **images)
{
    amun_context *ctx = set->object.ctx;
    store *memory = NULL;
    AMUN__CHECK(amun__calloc(ctx, &memory, 1, sizeof *memory));
    amun_status status = amun__alloc(ctx, &memory->labels, set->found, sizeof *memory->labels);
    if (status != AMUN_OK) {
        amun__free(ctx, memory);
        return status;
    }
    memory->ctx = amun_context_ref(ctx);
    memory->images = *images;
    *images = NULL;
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i] >= 0) {
            memory->labels[set->rows[i]] = set->records[i].adversarial;
        }
    }
    *out = memory;
    return AMUN_OK;
}

amun_status amun__advset_adopt(amun_advset *set, float **images)
{
    if (set->found == 0) {
        amun__free(set->object.ctx, *images);
        *images = NULL;
        return AMUN_OK;
    }
    amun_tensor_view pictures, labels;
    const int64_t shape[4] = {(int64_t)set->found, set->channels, set->height, set->width};
    const float *pixels = *images;
    AMUN__CHECK(amun_tensor_view_init(&pictures, *images, AMUN_DTYPE_F32, 4, shape));
    store *memory = NULL;
    AMUN__CHECK(make_store(&memory, set, images));
    amun_status status = amun_tensor_view_init(&labels, memory->labels, AMUN_DTYPE_I32, 1, shape);
    if (status != AMUN_OK) {
        release_store(memory);
        return status;
    }
    pictures.flags = labels.flags = AMUN_VIEW_READONLY;
    AMUN__CHECK(amun_dataset_open_view(&set->examples, set->object.ctx, &pictures, &labels,
                                       set->classes, release_store, memory));
    set->images = pixels;
    return AMUN_OK;
}

/* ---- building -------------------------------------------------------------------------------- */

typedef struct source {
    const amun_dataset *data;
    const int64_t *indices;
    float *images; /* [count][pixels], by row until compact_images() */
} source;

static amun_status fetch_dataset(const amun__job *job, size_t row, float *image)
{
    const source *from = job->user;
    amun__dataset_fetch(from->data, (size_t)from->indices[row], image);
    return AMUN_OK;
}

static amun_status deliver_dataset(const amun__job *job, size_t row, const float *image)
{
    const source *to = job->user;
    if (job->records[row].outcome == AMUN_ATTACK_FLIPPED) {
        memcpy(to->images + row * job->pixels, image, job->pixels * sizeof(float));
    }
    return AMUN_OK;
}

static amun_status keep_text(amun_context *ctx, char **out, const json_t *value)
{
    char *text = NULL;
    AMUN__CHECK(amun__json_text(&text, value, 0));
    amun_status status = amun__strdup(ctx, out, text);
    free(text);
    return status;
}

/* Which weights the examples fool. */
static amun_status describe_model(amun_advset *set, const amun_model *model)
{
    amun__model_values values;
    char hash[17];
    amun__model_values_get(model, &values);
    snprintf(hash, sizeof hash, "%016" PRIx64,
             amun__hash64(values.values, values.total * sizeof(float), 0));
    json_t *origin = json_pack("{s:s, s:s}", "arch", amun_model_arch(model), "weights", hash);
    if (origin == NULL) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    amun_status status = keep_text(set->object.ctx, &set->origin, origin);
    json_decref(origin);
    return status;
}

static amun_status describe(amun_advset *set, const amun_attack *attack, const amun_model *model)
{
    json_t *json = NULL;
    AMUN__CHECK(describe_model(set, model));
    AMUN__CHECK(amun__attack_json(&json, attack));
    amun_status status = keep_text(set->object.ctx, &set->options, json);
    json_decref(json);
    AMUN__CHECK(status);
    AMUN__CHECK(amun__json_provenance(&json, amun__model_context(model)));
    status = keep_text(set->object.ctx, &set->provenance, json);
    json_decref(json);
    set->policy = amun__attack_policy(attack);
    return status;
}

static amun_status compact_images(amun_advset *set, float **images)
{
    for (size_t i = 0; i < set->count; i++) {
        size_t row = (size_t)set->rows[i];
        if (set->rows[i] >= 0 && row != i) {
            memcpy(*images + row * set->pixels, *images + i * set->pixels,
                   set->pixels * sizeof(float));
        }
    }
    return set->found > 0
               ? amun__realloc(set->object.ctx, images, set->found * set->pixels, sizeof(float))
               : AMUN_OK;
}

static amun_status attack_dataset(amun_advset *set, amun_attack *attack, const amun_model *model,
                                  source *from, amun__progress_state *progress)
{
    amun_status status = AMUN_OK;
    amun_context *ctx = set->object.ctx;
    int32_t *labels = NULL;
    size_t floats;
    if (!amun__mul_size(&floats, set->count, set->pixels)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu images of %zu values are too large",
                          set->count, set->pixels);
    }
    amun__job job = {.ctx = ctx,
                     .victim = {&model, 1},
                     .count = set->count,
                     .pixels = set->pixels,
                     .classes = (size_t)set->classes,
                     .ids = from->indices,
                     .records = set->records,
                     .table_wanted = 1,
                     .progress = progress,
                     .fetch = fetch_dataset,
                     .deliver = deliver_dataset,
                     .user = from};
    AMUN__TRY(amun__alloc(ctx, &labels, set->count, sizeof *labels));
    AMUN__TRY(amun__alloc(ctx, &from->images, floats, sizeof(float)));
    for (size_t i = 0; i < set->count; i++) {
        labels[i] = amun__dataset_label(from->data, (size_t)from->indices[i]);
        set->records[i].input_hash = amun__dataset_hash(from->data, (size_t)from->indices[i]);
    }
    job.labels = labels;
    AMUN__TRY(describe(set, attack, model));
    AMUN__TRY(amun__job_run(&job, attack));
    amun__advset_number(set);
    AMUN__TRY(compact_images(set, &from->images));
    AMUN__TRY(amun__advset_adopt(set, &from->images));
fail:
    amun__free(ctx, labels);
    amun__free(ctx, from->images);
    return status;
}

static amun_status check_source(const amun_model *model, const amun_dataset *data,
                                const amun__dataset_info *info)
{
    int64_t shape[3];
    AMUN__CHECK(amun_model_shape(model, shape));
    if (info->channels != shape[0] || info->height != shape[1] || info->width != shape[2]) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "data: images of %" PRId64 " x %" PRId64 " x %" PRId64
                          ", the model takes %" PRId64 " x %" PRId64 " x %" PRId64,
                          info->channels, info->height, info->width, shape[0], shape[1], shape[2]);
    }
    if (amun_dataset_classes(data) == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "data: no labels");
    }
    return AMUN_OK;
}

amun_status amun_advset_build(amun_advset **set, amun_attack *attack, const amun_model *model,
                              const amun_dataset *data, const int64_t *indices, size_t count,
                              const amun_call_options *call)
{
    amun__enter();
    if (set == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "set is NULL");
    }
    *set = NULL;
    AMUN__CHECK(amun__object_check(attack, AMUN__TAG_ATTACK, "attack"));
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, "data"));
    amun__dataset_info info;
    amun__dataset_info_get(data, &info);
    AMUN__CHECK(check_source(model, data, &info));
    amun_context *ctx = attack->object.ctx;
    AMUN__CHECK(amun__indices_check(ctx, indices, count, info.count, false, "indices"));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    amun_advset *made = NULL;
    AMUN__CHECK(amun__advset_create(&made, ctx, count, info.channels, info.height, info.width,
                                    amun_model_classes(model)));
    source from = {.data = data, .indices = indices};
    amun_status status = amun__model_begin_read(model); /* also while the weights are hashed */
    if (status == AMUN_OK) {
        status = attack_dataset(made, attack, model, &from, &progress);
        amun__model_end_read(model);
    }
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    *set = made;
    return AMUN_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

amun_advset *amun_advset_ref(amun_advset *set)
{
    return amun__object_ref(set);
}

void amun_advset_unref(amun_advset *set)
{
    amun__object_unref(set);
}

size_t amun_advset_count(const amun_advset *set)
{
    return set != NULL ? set->count : 0;
}

size_t amun_advset_found(const amun_advset *set)
{
    return set != NULL ? set->found : 0;
}

const amun_attack_record *amun_advset_records(const amun_advset *set)
{
    return set != NULL ? set->records : NULL;
}

amun_status amun_advset_image(const amun_advset *set, size_t i, float *image)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(set, AMUN__TAG_ADVSET, "set"));
    if (image == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "image is NULL");
    }
    if (i >= set->count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "record %zu: the set has %zu", i,
                          set->count);
    }
    if (set->rows[i] < 0) {
        return amun__fail(AMUN_ERROR_NOT_FOUND, "record %zu (index %" PRId64 "): no example found",
                          i, set->records[i].index);
    }
    memcpy(image, set->images + (size_t)set->rows[i] * set->pixels, set->pixels * sizeof *image);
    return AMUN_OK;
}

const amun_dataset *amun__advset_dataset(const amun_advset *set)
{
    return set->examples;
}

amun_failure_policy amun__advset_policy(const amun_advset *set)
{
    return set->policy;
}
