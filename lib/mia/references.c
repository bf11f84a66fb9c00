/* references.c - training the reference models, one file per model, resumable at any moment.
 *
 * A model passes through these files in the caller's folder (here number 3):
 *   reference_003.part.safetensors    checkpoint of the training loop, while it runs
 *   reference_003.safetensors         weights; its metadata "amun.reference" says what they were
 *                                     trained on and how. From here on the training is done.
 *   reference_003.logits.safetensors  logits on the pool, a cache: remade whenever it does not fit
 * Each is written whole or not at all, so that a kill leaves a state from which the next call goes
 * on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/data.h"
#include "io/io.h"
#include "mia/audit.h"
#include "train/train.h"

static const char META_KEY[] = "amun.reference";
static const char LOGITS_KEY[] = "logits";

/* One model on its way. */
typedef struct job {
    amun_mia *mia;
    amun_context *ctx;
    int32_t number;
    amun_train_options options;
    amun_model *model;
    json_t *binding;                         /* what the file must say */
    char *binding_text;                      /* the same, malloc-ed */
    char *part, *scratch, *weights, *logits; /* paths; NULL without a folder */
    amun__progress_state *progress;
} job;

static void job_clear(job *j)
{
    amun_model_unref(j->model);
    json_decref(j->binding);
    free(j->binding_text);
    amun__free(j->ctx, j->part);
    amun__free(j->ctx, j->scratch);
    amun__free(j->ctx, j->weights);
    amun__free(j->ctx, j->logits);
    *j = (job){0};
}

/* ---- what binds a file to this call ---------------------------------------------------------- */

static void hash_pool(amun_mia *mia)
{
    if (mia->hashed) {
        return;
    }
    const amun_dataset *sets[2] = {mia->train, mia->test};
    const size_t counts[2] = {mia->n_train, mia->n_test};
    for (int k = 0; k < 2; k++) {
        uint64_t hash = 0;
        for (size_t i = 0; i < counts[k]; i++) {
            uint64_t one = amun__dataset_hash(sets[k], i);
            hash = amun__hash64(&one, sizeof one, hash);
        }
        mia->hashes[k] = hash;
    }
    mia->hashed = 1;
}

static json_t *hash_text(uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

/* Everything that decides the weights: inclusion matrix, architecture, data, and options less where
 * and how often checkpoints are written. Flat, so that a difference has one name; the coarse ones
 * first, so that it is the telling one. */
static amun_status make_binding(job *j)
{
    const amun_mia *mia = j->mia;
    json_t *options = NULL;
    AMUN__CHECK(amun__train_options_json(&options, &j->options));
    json_object_del(options, "checkpoint");
    json_object_del(options, "checkpoint_every");
    j->binding =
        json_pack("{s:i, s:i, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "number", (int)j->number,
                  "references", (int)mia->options.references, "inclusion_seed",
                  (json_int_t)(uint32_t)mia->options.seed, "arch", amun_model_arch(j->model),
                  "parameters", (json_int_t)amun_model_parameters(j->model), "classes",
                  (json_int_t)amun_model_classes(j->model), "train_count", (json_int_t)mia->n_train,
                  "test_count", (json_int_t)mia->n_test, "train_hash", hash_text(mia->hashes[0]),
                  "test_hash", hash_text(mia->hashes[1]));
    int failed = j->binding == NULL ? -1 : json_object_update(j->binding, options);
    json_decref(options);
    if (failed) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    return amun__json_text(&j->binding_text, j->binding, 0);
}

static void describe(char *out, size_t size, const json_t *value)
{
    char *text = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(out, size, "%s", text == NULL ? "nothing" : text);
    free(text);
}

/* STATE if the file has another value than this call has, or one that this call does not have. */
static amun_status compare_value(const char *path, const char *key, const json_t *value,
                                 const json_t *expected)
{
    if (value == expected || json_equal(value, expected)) { /* the same, or absent in both */
        return AMUN_OK;
    }
    char was[128], now[128];
    describe(was, sizeof was, value);
    describe(now, sizeof now, expected);
    return amun__fail(AMUN_ERROR_STATE, "%s: made with %s = %s, this call has %s", path, key, was,
                      now);
}

/* STATE that names the first difference; last what only the file has, a clip for instance. */
static amun_status compare_binding(const job *j, const char *path, const char *text)
{
    json_t *found = NULL;
    const char *key;
    json_t *one;
    if (text == NULL) {
        return amun__fail(AMUN_ERROR_STATE, "%s: not a reference model (no %s)", path, META_KEY);
    }
    AMUN__CHECK(amun__json_parse(&found, text, strlen(text), path));
    amun_status status = AMUN_OK;
    json_object_foreach(j->binding, key, one)
    {
        AMUN__TRY(compare_value(path, key, json_object_get(found, key), one));
    }
    json_object_foreach(found, key, one)
    {
        AMUN__TRY(compare_value(path, key, one, json_object_get(j->binding, key)));
    }
fail:
    json_decref(found);
    return status;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static amun_status make_path(job *j, char **out, const char *dir, const char *ending)
{
    size_t size = strlen(dir) + strlen(ending) + 32;
    AMUN__CHECK(amun__alloc(j->ctx, out, size, 1));
    snprintf(*out, size, "%s/reference_%03d%s", dir, (int)j->number, ending);
    return AMUN_OK;
}

static amun_status make_paths(job *j, const char *dir)
{
    AMUN__CHECK(make_path(j, &j->part, dir, ".part.safetensors"));
    AMUN__CHECK(make_path(j, &j->scratch, dir, ".scratch.safetensors"));
    AMUN__CHECK(make_path(j, &j->weights, dir, ".safetensors"));
    return make_path(j, &j->logits, dir, ".logits.safetensors");
}

/* ---- training -------------------------------------------------------------------------------- */

/* Indices of one half of the pool that the inclusion matrix gives to the model. */
static amun_status included_indices(const job *j, size_t first, size_t count, int64_t **out,
                                    size_t *included)
{
    const uint8_t *row = j->mia->included + (size_t)j->number * j->mia->n_pool + first;
    AMUN__CHECK(amun__alloc(j->ctx, out, count, sizeof **out));
    *included = 0;
    for (size_t i = 0; i < count; i++) {
        if (row[i]) {
            (*out)[(*included)++] = (int64_t)i;
        }
    }
    return AMUN_OK;
}

/* From fresh weights, on the included images of both data sets, all of them augmented. */
static amun_status train(job *j)
{
    amun_mia *mia = j->mia;
    amun_status status = AMUN_OK;
    int64_t *indices[2] = {NULL, NULL};
    size_t counts[2];
    amun_dataset *const sets[2] = {mia->train, mia->test};
    amun__recipe recipe = {.name = "reference", .options = j->options};
    recipe.options.checkpoint = j->part;
    recipe.mix.classes = amun_model_classes(j->model);
    recipe.mix.shuffle = 1;
    AMUN__TRY(included_indices(j, 0, mia->n_train, &indices[0], &counts[0]));
    AMUN__TRY(included_indices(j, mia->n_train, mia->n_test, &indices[1], &counts[1]));
    for (int k = 0; k < 2; k++) {
        if (counts[k] > 0) {
            recipe.mix.parts[recipe.mix.part_count++] = (amun__part){.dataset = sets[k],
                                                                     .indices = indices[k],
                                                                     .count = counts[k],
                                                                     .target = AMUN__TARGET_LABEL,
                                                                     .augment = 1,
                                                                     .weight = 1.0};
        }
    }
    if (recipe.mix.part_count == 0) {
        AMUN__FAIL(AMUN_ERROR_STATE, "the inclusion matrix gives no image at all to this model");
    }
    AMUN__TRY(amun_model_reset(j->model, j->options.seed));
    AMUN__TRY(amun__model_begin_write(j->model));
    status = amun__recipe_run(j->model, &recipe, j->progress, NULL);
    amun__model_end_write(j->model);
fail:
    amun__free(j->ctx, indices[0]);
    amun__free(j->ctx, indices[1]);
    return status;
}

/* The model's own file with one more line of metadata; the checkpoint is not needed after it. */
static amun_status save_weights(job *j)
{
    amun_status status = AMUN_OK;
    amun__safetensors *file = NULL;
    json_t *metadata = NULL;
    AMUN__TRY(amun_model_save(j->model, j->scratch));
    AMUN__TRY(amun__safetensors_open(&file, j->ctx, j->scratch));
    metadata = file->metadata != NULL ? json_deep_copy(file->metadata) : json_object();
    if (metadata == NULL ||
        json_object_set_new(metadata, META_KEY, json_string(j->binding_text)) != 0) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    AMUN__TRY(amun__safetensors_write(j->ctx, j->weights, file->tensors, file->count, metadata));
    remove(j->part);
fail:
    json_decref(metadata);
    amun__safetensors_close(file);
    remove(j->scratch);
    return status;
}

static amun_status load_weights(job *j)
{
    amun__safetensors *file = NULL;
    AMUN__CHECK(amun__safetensors_open(&file, j->ctx, j->weights));
    amun_status status = compare_binding(j, j->weights, amun__safetensors_meta(file, META_KEY));
    amun__safetensors_close(file);
    AMUN__CHECK(status);
    remove(j->scratch);
    remove(j->part); /* left over if the process died between the two steps of save_weights() */
    return amun_model_load_weights(j->model, j->weights);
}

/* ---- logits on the pool ---------------------------------------------------------------------- */

static amun_status hash_file(const char *path, uint64_t *hash)
{
    amun__mapping mapping;
    AMUN__CHECK(amun__file_map(&mapping, path));
    *hash = amun__hash64(mapping.data, mapping.size, 0);
    amun__file_unmap(&mapping);
    return AMUN_OK;
}

/* "binding, hash of the weights file, hash of the logits": the cache holds for exactly these. */
static amun_status cache_key(const job *j, const void *logits, size_t bytes, char **out)
{
    uint64_t weights = 0;
    AMUN__CHECK(hash_file(j->weights, &weights));
    size_t size = strlen(j->binding_text) + 64;
    AMUN__CHECK(amun__alloc(j->ctx, out, size, 1));
    snprintf(*out, size, "%s %016" PRIx64 " %016" PRIx64, j->binding_text, weights,
             amun__hash64(logits, bytes, 0));
    return AMUN_OK;
}

static amun_status try_cache(job *j, bool *used)
{
    amun__safetensors *file = NULL;
    amun_status status = AMUN_OK;
    char *key = NULL;
    *used = false;
    if (!amun__file_exists(j->logits)) {
        return AMUN_OK;
    }
    if (amun__safetensors_open(&file, j->ctx, j->logits) != AMUN_OK) {
        amun__enter(); /* a damaged cache is no failure: it is made again */
        return AMUN_OK;
    }
    const amun__st_tensor *found = amun__safetensors_find(file, LOGITS_KEY);
    const char *text = amun__safetensors_meta(file, META_KEY);
    if (found != NULL && text != NULL && found->dtype == AMUN_DTYPE_F32 && found->ndim == 2 &&
        found->shape[0] == (int64_t)j->mia->n_pool &&
        found->shape[1] == amun_model_classes(j->model)) {
        AMUN__TRY(cache_key(j, found->data, found->bytes, &key));
        if (strcmp(key, text) == 0) {
            amun_tensor_view view;
            /* read only, and element by element, so that alignment does not matter */
            AMUN__TRY(amun_tensor_view_init(&view, (void *)(uintptr_t)found->data, AMUN_DTYPE_F32,
                                            2, found->shape));
            AMUN__TRY(amun__mia_store(j->mia, j->number, &view, AMUN__REFERENCE_TRAINED));
            *used = true;
        }
    }
fail:
    amun__free(j->ctx, key);
    amun__safetensors_close(file);
    return status;
}

static amun_status write_cache(job *j, const amun_tensor_view *view)
{
    amun_status status = AMUN_OK;
    char *key = NULL;
    json_t *metadata = NULL;
    amun__st_tensor tensor = {.name = LOGITS_KEY,
                              .dtype = AMUN_DTYPE_F32,
                              .ndim = 2,
                              .shape = {view->shape[0], view->shape[1]},
                              .data = view->data,
                              .bytes =
                                  (size_t)view->shape[0] * (size_t)view->shape[1] * sizeof(float)};
    AMUN__TRY(cache_key(j, tensor.data, tensor.bytes, &key));
    metadata = json_pack("{s:s, s:s}", "amun.format", "1", META_KEY, key);
    if (metadata == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    AMUN__TRY(amun__safetensors_write(j->ctx, j->logits, &tensor, 1, metadata));
fail:
    json_decref(metadata);
    amun__free(j->ctx, key);
    return status;
}

static amun_status fill_signals(job *j)
{
    float *logits = NULL;
    amun_tensor_view view;
    if (j->logits != NULL) {
        bool used = false;
        AMUN__CHECK(try_cache(j, &used));
        if (used) {
            return AMUN_OK;
        }
    }
    AMUN__CHECK(amun__model_begin_read(j->model));
    amun_status status =
        amun__mia_pool_logits(j->mia, j->model, &logits, &view, j->progress, "reference logits");
    amun__model_end_read(j->model);
    if (status == AMUN_OK) {
        status = amun__mia_store(j->mia, j->number, &view, AMUN__REFERENCE_TRAINED);
    }
    if (status == AMUN_OK && j->logits != NULL) {
        status = write_cache(j, &view);
    }
    amun__free(j->ctx, logits);
    return status;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* The rows that an earlier call trained stay only if this call would train the same. */
static void keep_or_forget(job *j)
{
    amun_mia *mia = j->mia;
    uint64_t recipe = amun__hash64(j->binding_text, strlen(j->binding_text), 0);
    if (recipe != mia->recipe) {
        for (int32_t m = 0; m < mia->options.references; m++) {
            if (mia->ready[m] == AMUN__REFERENCE_TRAINED) {
                mia->ready[m] = AMUN__REFERENCE_ABSENT;
            }
        }
    }
    mia->recipe = recipe;
}

static amun_status run_job(amun_mia *mia, int32_t number, const amun_model *like,
                           const amun_train_options *options, const char *dir,
                           amun__progress_state *progress)
{
    amun_status status = AMUN_OK;
    job j = {.mia = mia,
             .ctx = mia->object.ctx,
             .number = number,
             .options = *options,
             .progress = progress};
    j.options.seed = options->seed + (uint64_t)number;
    AMUN__TRY(amun_model_clone(&j.model, like));
    AMUN__TRY(make_binding(&j));
    if (number == 0) {
        keep_or_forget(&j);
    }
    bool done = mia->ready[number] == AMUN__REFERENCE_GIVEN ||
                (mia->ready[number] == AMUN__REFERENCE_TRAINED && dir == NULL);
    if (!done) {
        if (dir != NULL) {
            AMUN__TRY(make_paths(&j, dir));
        }
        if (dir != NULL && amun__file_exists(j.weights)) {
            AMUN__TRY(load_weights(&j));
        } else {
            AMUN__TRY(train(&j));
            if (dir != NULL) {
                AMUN__TRY(save_weights(&j));
            }
        }
        AMUN__TRY(fill_signals(&j));
    }
fail:
    job_clear(&j);
    return status == AMUN_OK ? status : amun__fail_within(status, "reference %d", (int)number);
}

static amun_status run_all(amun_mia *mia, const amun_model *like, const amun_train_options *options,
                           const char *dir, amun__progress_state *progress)
{
    uint64_t total = (uint64_t)mia->options.references;
    hash_pool(mia);
    for (int32_t m = 0; m < mia->options.references; m++) {
        AMUN__CHECK(amun__progress_tick(progress, "references", (uint64_t)m, total, NAN, NAN));
        AMUN__CHECK(run_job(mia, m, like, options, dir, progress));
    }
    return amun__progress_tick(progress, "references", total, total, NAN, NAN);
}

amun_status amun_mia_train_references(amun_mia *mia, const amun_model *like,
                                      const amun_train_options *opts, const char *dir,
                                      const amun_call_options *call)
{
    amun__enter();
    amun_train_options options;
    amun__progress_state progress;
    AMUN__CHECK(amun__object_check(mia, AMUN__TAG_MIA, "mia"));
    AMUN__CHECK(amun__object_check(like, AMUN__TAG_MODEL, "like"));
    AMUN__CHECK(amun__options_read(&amun__train_options_table, &options, opts));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(amun__mia_check_model(mia, like));
    if (options.checkpoint != NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "opts->checkpoint is \"%s\", must be NULL: the references keep theirs in "
                          "dir",
                          options.checkpoint);
    }
    if (dir != NULL) {
        AMUN__CHECK(amun__file_make_dir(dir));
    }
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(mia->object.ctx, &threads));
    amun_status status = run_all(mia, like, &options, dir, &progress);
    amun__threads_end(&threads);
    return status;
}
