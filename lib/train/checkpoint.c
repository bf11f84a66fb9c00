/* checkpoint.c - writes and reads the state of a run; names what differs if a file is of another.
 *
 * A checkpoint is a safetensors file: "amun.values" F32 (trainable scalars first, then running
 * statistics), "amun.velocity" F32, "amun.second" F32 (Adam), "amun.tracked" I64, the same with
 * ".1", ".2", ... for further models, "amun.extra.*" F32 for what else a method goes on from, and
 * metadata with a hash of all of it. It is replaced atomically, so that a run killed at any moment
 * finds a whole one. */
#include <stdio.h>
#include <stdlib.h>

#include "train/checkpoint.h"

static const char format_key[] = "amun.checkpoint";
static const char format_number[] = "1";
static const char options_key[] = "amun.options";
static const char objective_key[] = "amun.objective";
static const char hash_key[] = "amun.hash";
/* Metadata that changes from epoch to epoch, in the order in which it is hashed. */
static const char *const state_keys[] = {"amun.epoch", "amun.loss", "amun.accuracy"};
enum { STATE_KEYS = 3 };

/* ---- identity ------------------------------------------------------------------------------ */

static amun_status set_text(json_t *object, const char *key, const char *text)
{
    if (json_object_set_new(object, key, json_string(text)) != 0) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for %s of a checkpoint", key);
    }
    return AMUN_OK;
}

/* Options that came after the first checkpoints. At their defaults they are not written, so that a
 * checkpoint of before is still one of the same training. */
static const char *const later_options[] = {"optimiser", "augment_cutout"};

/* Options as JSON text, without those that do not change the result. */
static amun_status set_options(json_t *object, const amun_train_options *options)
{
    json_t *json = NULL, *defaults = NULL;
    char *text = NULL;
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__train_options_json(&json, options));
    AMUN__TRY(amun__json_options(&defaults, &amun__train_options_table,
                                 amun__train_options_table.defaults));
    json_object_del(json, "checkpoint");
    json_object_del(json, "checkpoint_every");
    for (size_t i = 0; i < sizeof later_options / sizeof later_options[0]; i++) {
        const char *name = later_options[i];
        if (json_equal(json_object_get(json, name), json_object_get(defaults, name))) {
            json_object_del(json, name);
        }
    }
    AMUN__TRY(amun__json_text(&text, json, 0));
    AMUN__TRY(set_text(object, options_key, text));
fail:
    free(text);
    json_decref(defaults);
    json_decref(json);
    return status;
}

/* "amun.values", "amun.values.1", ... */
static void name_of(char *text, size_t size, const char *what, size_t member)
{
    if (member == 0) {
        snprintf(text, size, "amun.%s", what);
    } else {
        snprintf(text, size, "amun.%s.%zu", what, member);
    }
}

static amun_status set_arch(json_t *object, const amun_model *model, size_t member)
{
    char key[40], text[256];
    int64_t c, h, w, classes;
    amun__model_values values;
    AMUN__CHECK(amun__model_input(model, &c, &h, &w, &classes));
    amun__model_values_get(model, &values);
    name_of(key, sizeof key, "arch", member);
    snprintf(text, sizeof text, "%s, %lldx%lldx%lld, %lld classes, %zu trainable of %zu values",
             amun_model_arch(model), (long long)c, (long long)h, (long long)w, (long long)classes,
             values.trainable, values.total);
    return set_text(object, key, text);
}

/* What the options cannot say. */
static amun_status set_penalty(json_t *object, size_t trainable, const amun__recipe *recipe)
{
    char text[64] = "none";
    if (recipe->mask != NULL) {
        snprintf(text, sizeof text, "%016llx",
                 (unsigned long long)amun__hash64(recipe->mask, trainable, 0));
    }
    AMUN__CHECK(set_text(object, "amun.mask", text));
    snprintf(text, sizeof text, "%.17g%s", recipe->l1, recipe->l1_falls != 0 ? ", falling" : "");
    AMUN__CHECK(set_text(object, "amun.l1", text));
    snprintf(text, sizeof text, "%.17g", recipe->max_norm);
    AMUN__CHECK(set_text(object, "amun.max_norm", text));
    AMUN__CHECK(
        set_text(object, "amun.statistics", recipe->frozen_statistics != 0 ? "frozen" : "moving"));
    const char *objective = recipe->objective != NULL ? recipe->objective->identity : NULL;
    return objective != NULL ? set_text(object, objective_key, objective) : AMUN_OK;
}

static amun_status set_data(json_t *object, const amun__mix *mix)
{
    char text[64];
    snprintf(text, sizeof text, "%zu samples, hash %016llx", amun__mix_count(mix),
             (unsigned long long)amun__mix_fingerprint(mix));
    return set_text(object, "amun.data", text);
}

/* ---- arrays -------------------------------------------------------------------------------- */

static amun__checkpoint_array *add_array(amun__checkpoint *c, int32_t dtype, void *values,
                                         size_t count)
{
    amun__checkpoint_array *array = &c->arrays[c->array_count++];
    *array = (amun__checkpoint_array){.dtype = dtype, .values = values, .count = count};
    return array;
}

/* What a run goes on from, in the order in which it is hashed. */
static amun_status list_arrays(amun__checkpoint *c, const amun__recipe *recipe)
{
    AMUN__CHECK(
        amun__alloc(c->ctx, &c->arrays, 4 * c->count + recipe->extra_count, sizeof *c->arrays));
    for (size_t i = 0; i < c->count; i++) {
        const amun__model_values *v = &c->members[i].values;
        amun__checkpoint_array *array = add_array(c, AMUN_DTYPE_F32, v->values, v->total);
        name_of(array->name, sizeof array->name, "values", i);
        if (c->members[i].velocity != NULL) {
            array = add_array(c, AMUN_DTYPE_F32, c->members[i].velocity, v->trainable);
            name_of(array->name, sizeof array->name, "velocity", i);
        }
        if (c->members[i].second != NULL) {
            array = add_array(c, AMUN_DTYPE_F32, c->members[i].second, v->trainable);
            name_of(array->name, sizeof array->name, "second", i);
        }
        if (v->tracked_count > 0) {
            array = add_array(c, AMUN_DTYPE_I64, v->tracked, v->tracked_count);
            name_of(array->name, sizeof array->name, "tracked", i);
        }
    }
    for (size_t i = 0; i < recipe->extra_count; i++) {
        const amun__run_extra *extra = &recipe->extras[i];
        amun__checkpoint_array *array = add_array(c, AMUN_DTYPE_F32, extra->values, extra->count);
        snprintf(array->name, sizeof array->name, "amun.extra.%s", extra->name);
    }
    return AMUN_OK;
}

static size_t array_bytes(const amun__checkpoint_array *array)
{
    return array->count * (array->dtype == AMUN_DTYPE_F32 ? sizeof(float) : sizeof(int64_t));
}

amun_status amun__checkpoint_open(amun__checkpoint *checkpoint, const amun__member *members,
                                  size_t count, const amun__recipe *recipe, const amun__mix *mix)
{
    *checkpoint = (amun__checkpoint){
        .ctx = amun__model_context(members[0].model),
        .members = members,
        .count = count,
        .path = recipe->options.checkpoint,
        .identity = json_object(),
        .epochs = recipe->options.epochs,
    };
    json_t *identity = checkpoint->identity;
    amun_status status = AMUN_OK;
    if (identity == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for a checkpoint");
    }
    AMUN__TRY(list_arrays(checkpoint, recipe));
    AMUN__TRY(set_text(identity, format_key, format_number));
    AMUN__TRY(set_text(identity, "amun.recipe", recipe->name));
    for (size_t i = 0; i < count; i++) {
        AMUN__TRY(set_arch(identity, members[i].model, i));
    }
    AMUN__TRY(set_options(identity, &recipe->options));
    AMUN__TRY(set_penalty(identity, members[0].values.trainable, recipe));
    AMUN__TRY(set_data(identity, mix));
    return AMUN_OK;

fail:
    amun__checkpoint_close(checkpoint);
    return status;
}

void amun__checkpoint_close(amun__checkpoint *checkpoint)
{
    if (checkpoint->ctx != NULL) {
        amun__free(checkpoint->ctx, checkpoint->arrays);
    }
    json_decref(checkpoint->identity);
    *checkpoint = (amun__checkpoint){0};
}

/* ---- differences --------------------------------------------------------------------------- */

/* "lr is 0.1 here and 0.2 there; ..." in a buffer of one message; what does not fit is cut. */
typedef struct differences {
    char text[800];
    size_t used;
} differences;

static void add_difference(differences *list, const char *name, const char *here, const char *there)
{
    size_t room = sizeof list->text - list->used;
    int wrote = snprintf(list->text + list->used, room, "%s%s is %s here and %s there",
                         list->used > 0 ? "; " : "", name, here, there);
    if (wrote > 0) {
        list->used += (size_t)wrote < room ? (size_t)wrote : room - 1;
    }
}

/* Malloc-ed text of one value; NULL only without memory. */
static char *value_text(const json_t *value)
{
    return value == NULL ? strdup("absent") : json_dumps(value, JSON_ENCODE_ANY);
}

static void compare_value(differences *list, const char *name, const json_t *here,
                          const json_t *there)
{
    if (here != NULL && there != NULL && json_equal(here, there)) {
        return;
    }
    char *ours = value_text(here), *theirs = value_text(there);
    add_difference(list, name, ours != NULL ? ours : "?", theirs != NULL ? theirs : "?");
    free(ours);
    free(theirs);
}

static amun_status compare_options(differences *list, const char *path, const char *key,
                                   const char *here, const char *there)
{
    json_t *ours = NULL, *theirs = NULL;
    const char *name;
    json_t *value;
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__json_parse(&ours, here, strlen(here), path));
    AMUN__TRY(amun__json_parse(&theirs, there, strlen(there), path));
    if (!json_is_object(theirs)) {
        AMUN__FAIL(AMUN_ERROR_FORMAT, "%s: %s is not a JSON object", path, key);
    }
    json_object_foreach(ours, name, value)
    {
        compare_value(list, name, value, json_object_get(theirs, name));
    }
    json_object_foreach(theirs, name, value)
    {
        if (json_object_get(ours, name) == NULL) {
            compare_value(list, name, NULL, value);
        }
    }
fail:
    json_decref(ours);
    json_decref(theirs);
    return status;
}

static amun_status check_identity(const amun__checkpoint *checkpoint, const amun__safetensors *file)
{
    const char *path = checkpoint->path;
    const char *number = amun__safetensors_meta(file, format_key);
    if (number == NULL) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: not a checkpoint (no %s in its metadata)", path,
                          format_key);
    }
    if (strcmp(number, format_number) != 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: checkpoint format %s, this library reads %s",
                          path, number, format_number);
    }
    differences list = {.used = 0};
    const char *key;
    json_t *value;
    json_object_foreach(checkpoint->identity, key, value)
    {
        const char *here = json_string_value(value);
        const char *there = amun__safetensors_meta(file, key);
        if (there == NULL) {
            return amun__fail(AMUN_ERROR_FORMAT, "%s: no %s in its metadata", path, key);
        }
        if (strcmp(key, options_key) == 0 || strcmp(key, objective_key) == 0) {
            AMUN__CHECK(compare_options(&list, path, key, here, there));
        } else if (strcmp(here, there) != 0) {
            add_difference(&list, key + strlen("amun."), here, there);
        }
    }
    if (list.used > 0) {
        return amun__fail(AMUN_ERROR_STATE, "%s: the checkpoint is of another run: %s", path,
                          list.text);
    }
    return AMUN_OK;
}

/* ---- hash ---------------------------------------------------------------------------------- */

/* Over the arrays, in the file (there[i], perhaps unaligned) or in memory (there NULL), and the
 * state. */
static void hash_content(const amun__checkpoint *checkpoint, const void *const *there,
                         const char *const state[STATE_KEYS], char text[17])
{
    uint64_t hash = 0;
    for (size_t i = 0; i < checkpoint->array_count; i++) {
        const amun__checkpoint_array *array = &checkpoint->arrays[i];
        hash = amun__hash64(there != NULL ? there[i] : array->values, array_bytes(array), hash);
    }
    for (size_t i = 0; i < STATE_KEYS; i++) {
        hash = amun__hash64(state[i], strlen(state[i]) + 1, hash);
    }
    snprintf(text, 17, "%016llx", (unsigned long long)hash);
}

/* ---- reading ------------------------------------------------------------------------------- */

static amun_status read_number(const amun__checkpoint *checkpoint, const amun__safetensors *file,
                               const char *key, double *out)
{
    const char *text = amun__safetensors_meta(file, key);
    char *end = NULL;
    double number = text != NULL ? strtod(text, &end) : 0.0;
    if (text == NULL || end == text || *end != '\0') {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: %s is \"%s\", expected a number",
                          checkpoint->path, key, text != NULL ? text : "");
    }
    *out = number;
    return AMUN_OK;
}

static amun_status read_state(const amun__checkpoint *checkpoint, const amun__safetensors *file,
                              amun__run_state *state)
{
    double epoch = 0.0;
    AMUN__CHECK(read_number(checkpoint, file, state_keys[0], &epoch));
    AMUN__CHECK(read_number(checkpoint, file, state_keys[1], &state->loss));
    AMUN__CHECK(read_number(checkpoint, file, state_keys[2], &state->accuracy));
    if (!(epoch >= 0.0 && epoch <= (double)checkpoint->epochs) || epoch != floor(epoch)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: epoch is %g, expected 0..%lld", checkpoint->path,
                          epoch, (long long)checkpoint->epochs);
    }
    state->epoch = (int64_t)epoch;
    return AMUN_OK;
}

/* The tensor `name`, if it has exactly this type and length and holds finite values. */
static amun_status find_tensor(const amun__checkpoint *checkpoint, const amun__safetensors *file,
                               const char *name, int32_t dtype, size_t count, const void **out)
{
    const amun__st_tensor *tensor = amun__safetensors_find(file, name);
    if (tensor == NULL || tensor->dtype != dtype || tensor->ndim != 1 ||
        tensor->shape[0] != (int64_t)count) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: expected a tensor %s of %zu values",
                          checkpoint->path, name, count);
    }
    *out = tensor->data;
    const unsigned char *bytes = tensor->data;
    for (size_t i = 0; dtype == AMUN_DTYPE_F32 && i < count; i++) {
        float value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        if (!isfinite(value)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: %s[%zu] is %g", checkpoint->path, name, i,
                              (double)value);
        }
    }
    return AMUN_OK;
}

static amun_status check_hash(const amun__checkpoint *checkpoint, const amun__safetensors *file,
                              const void *const *there)
{
    const char *state[STATE_KEYS];
    for (size_t i = 0; i < STATE_KEYS; i++) { /* read_state() saw that they are there */
        state[i] = amun__safetensors_meta(file, state_keys[i]);
    }
    char text[17];
    hash_content(checkpoint, there, state, text);
    const char *expected = amun__safetensors_meta(file, hash_key);
    if (expected == NULL || strcmp(expected, text) != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: damaged: its content hashes to %s, %s is %s",
                          checkpoint->path, text, hash_key, expected != NULL ? expected : "absent");
    }
    return AMUN_OK;
}

/* Finds and checks all arrays before one of them is copied. */
static amun_status read_arrays(const amun__checkpoint *checkpoint, const amun__safetensors *file)
{
    const void **there = NULL;
    amun_status status;
    AMUN__TRY(amun__calloc(checkpoint->ctx, &there, checkpoint->array_count, sizeof *there));
    for (size_t i = 0; i < checkpoint->array_count; i++) {
        const amun__checkpoint_array *array = &checkpoint->arrays[i];
        AMUN__TRY(
            find_tensor(checkpoint, file, array->name, array->dtype, array->count, &there[i]));
    }
    AMUN__TRY(check_hash(checkpoint, file, there));
    for (size_t i = 0; i < checkpoint->array_count; i++) {
        memcpy(checkpoint->arrays[i].values, there[i], array_bytes(&checkpoint->arrays[i]));
    }
    for (size_t i = 0; i < checkpoint->count; i++) {
        amun__model_touch(checkpoint->members[i].model);
    }
fail:
    amun__free(checkpoint->ctx, there);
    return status;
}

amun_status amun__checkpoint_load(amun__checkpoint *checkpoint, amun__run_state *state, bool *found)
{
    *found = amun__file_exists(checkpoint->path);
    if (!*found) {
        return AMUN_OK;
    }
    amun__safetensors *file = NULL;
    amun__run_state read = {0};
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__safetensors_open(&file, checkpoint->ctx, checkpoint->path));
    AMUN__TRY(check_identity(checkpoint, file));
    AMUN__TRY(read_state(checkpoint, file, &read));
    AMUN__TRY(read_arrays(checkpoint, file));
    *state = read;
fail:
    amun__safetensors_close(file);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------- */

static amun_status set_state(json_t *object, const amun__checkpoint *checkpoint,
                             const amun__run_state *state)
{
    const double numbers[STATE_KEYS] = {(double)state->epoch, state->loss, state->accuracy};
    char texts[STATE_KEYS][40];
    const char *state_texts[STATE_KEYS];
    for (size_t i = 0; i < STATE_KEYS; i++) {
        snprintf(texts[i], sizeof texts[i], "%.17g", numbers[i]);
        state_texts[i] = texts[i];
        AMUN__CHECK(set_text(object, state_keys[i], texts[i]));
    }
    char hash[17];
    hash_content(checkpoint, NULL, state_texts, hash);
    return set_text(object, hash_key, hash);
}

static amun_status make_metadata(const amun__checkpoint *checkpoint, const amun__run_state *state,
                                 json_t **out)
{
    json_t *provenance = NULL, *metadata = json_copy(checkpoint->identity);
    char *text = NULL;
    amun_status status = AMUN_OK;
    if (metadata == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for a checkpoint");
    }
    AMUN__TRY(set_state(metadata, checkpoint, state));
    AMUN__TRY(amun__json_provenance(&provenance, checkpoint->ctx));
    AMUN__TRY(amun__json_text(&text, provenance, 0));
    AMUN__TRY(set_text(metadata, "amun.provenance", text));
    *out = metadata;
    metadata = NULL;
fail:
    free(text);
    json_decref(provenance);
    json_decref(metadata);
    return status;
}

amun_status amun__checkpoint_save(const amun__checkpoint *checkpoint, const amun__run_state *state)
{
    amun__st_tensor *tensors = NULL;
    json_t *metadata = NULL;
    amun_status status;
    AMUN__TRY(amun__calloc(checkpoint->ctx, &tensors, checkpoint->array_count, sizeof *tensors));
    for (size_t i = 0; i < checkpoint->array_count; i++) {
        const amun__checkpoint_array *array = &checkpoint->arrays[i];
        tensors[i] = (amun__st_tensor){
            .name = array->name,
            .dtype = array->dtype,
            .ndim = 1,
            .shape = {(int64_t)array->count},
            .data = array->values,
            .bytes = array_bytes(array),
        };
    }
    AMUN__TRY(make_metadata(checkpoint, state, &metadata));
    status = amun__safetensors_write(checkpoint->ctx, checkpoint->path, tensors,
                                     checkpoint->array_count, metadata);
    if (status != AMUN_OK) {
        status = amun__fail_within(status, "checkpoint");
    }
fail:
    json_decref(metadata);
    amun__free(checkpoint->ctx, tensors);
    return status;
}
