/* weights.c - weights to and from safetensors: names, aliases, types, and all-or-nothing reading.
 */
#include <stdio.h>
#include <stdlib.h>

#include "nn/weights.h"

enum { NAME_SIZE = 512, LISTED_NAMES = 3 };

/* ---- names ---------------------------------------------------------------------------------- */

/* A place that a tensor of the file can fill: a parameter or a batch norm's counter. */
typedef struct target {
    const char *name;
    const amun__param *param;      /* NULL: a counter */
    int32_t tracked;               /* place of the counter */
    const amun__st_tensor *tensor; /* what the file has for it */
} target;

typedef struct target_list {
    target *items; /* sorted by name */
    size_t count;
    char *text; /* names of the counters */
} target_list;

static int compare_targets(const void *a, const void *b)
{
    return strcmp(((const target *)a)->name, ((const target *)b)->name);
}

static void targets_free(amun_context *ctx, target_list *list)
{
    amun__free(ctx, list->items);
    amun__free(ctx, list->text);
}

/* The caller frees the list whether or not this succeeds. */
static amun_status targets_make(amun_context *ctx, target_list *list, const amun_graph *graph)
{
    size_t counters = (size_t)graph->tracked_count;
    memset(list, 0, sizeof *list);
    AMUN__CHECK(amun__calloc(ctx, &list->items, (size_t)graph->param_count + counters,
                             sizeof *list->items));
    AMUN__CHECK(amun__calloc(ctx, &list->text, counters, NAME_SIZE));
    for (int32_t i = 0; i < graph->param_count; i++) {
        list->items[list->count++] =
            (target){.name = graph->params[i].name, .param = &graph->params[i]};
    }
    for (int32_t i = 0; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        if (node->kind == AMUN__NODE_BATCHNORM) {
            char *name = list->text + (size_t)node->tracked * NAME_SIZE;
            (void)snprintf(name, NAME_SIZE, "%s.num_batches_tracked", node->name);
            list->items[list->count++] = (target){.name = name, .tracked = node->tracked};
        }
    }
    qsort(list->items, list->count, sizeof *list->items, compare_targets);
    return AMUN_OK;
}

/* Copies `name` component by component. Level 1 leaves out the wrappers' "module"; level 2 also
 * renames what pytorch-cifar calls differently. False if it does not fit (then it is unknown). */
static bool rename_tensor(const char *name, int level, char out[NAME_SIZE])
{
    size_t used = 0;
    bool leading = true;
    for (const char *part = name; part != NULL;) {
        const char *dot = strchr(part, '.');
        size_t length = dot != NULL ? (size_t)(dot - part) : strlen(part);
        const char *text = part;
        bool wrapper = length == 6 && memcmp(part, "module", 6) == 0;
        if (level >= 2 && length == 8 && memcmp(part, "shortcut", 8) == 0) {
            text = "downsample";
            length = 10;
        } else if (level >= 2 && leading && length == 6 && memcmp(part, "linear", 6) == 0) {
            text = "fc";
            length = 2;
        }
        if (!wrapper) {
            if (used + length + 2 > NAME_SIZE) {
                return false;
            }
            if (!leading) {
                out[used++] = '.';
            }
            memcpy(out + used, text, length);
            used += length;
            leading = false;
        }
        part = dot != NULL ? dot + 1 : NULL;
    }
    out[used] = '\0';
    return true;
}

static target *targets_find(const target_list *list, const char *name)
{
    char text[NAME_SIZE];
    target key = {.name = name};
    for (int level = 0; level <= 2; level++) {
        if (level > 0) {
            if (!rename_tensor(name, level, text)) {
                return NULL;
            }
            key.name = text;
        }
        target *found =
            bsearch(&key, list->items, list->count, sizeof *list->items, compare_targets);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

/* The first names of a list that may be long. */
typedef struct name_sample {
    char text[256];
    size_t used, count;
} name_sample;

static void sample_add(name_sample *sample, const char *name)
{
    if (sample->count++ < LISTED_NAMES) {
        int n = snprintf(sample->text + sample->used, sizeof sample->text - sample->used,
                         "%s\"%.64s\"", sample->count > 1 ? ", " : "", name);
        sample->used += n > 0 ? (size_t)n : 0;
    } else if (sample->count == LISTED_NAMES + 1) {
        (void)snprintf(sample->text + sample->used, sizeof sample->text - sample->used, ", ...");
    }
}

/* ---- values --------------------------------------------------------------------------------- */

static float half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 31;
    float fraction = (float)(half & 1023);
    float value;
    if (exponent == 31) {
        value = fraction == 0.0f ? INFINITY : NAN;
    } else if (exponent == 0) {
        value = ldexpf(fraction, -24);
    } else {
        value = ldexpf(fraction + 1024.0f, exponent - 25);
    }
    return (half & 0x8000) != 0 ? -value : value;
}

/* Element i of the four types that weights may have; the data may be unaligned. */
static float tensor_value(const amun__st_tensor *tensor, size_t i)
{
    const uint8_t *data = tensor->data;
    if (tensor->dtype == AMUN_DTYPE_F64) {
        double value;
        memcpy(&value, data + 8 * i, sizeof value);
        return fabs(value) <= (double)3.40282347e38f ? (float)value : (float)NAN;
    }
    if (tensor->dtype == AMUN_DTYPE_F32) {
        float value;
        memcpy(&value, data + 4 * i, sizeof value);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, data + 2 * i, sizeof bits);
    if (tensor->dtype == AMUN_DTYPE_F16) {
        return half_to_float(bits);
    }
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static void shape_text(char *out, size_t size, int32_t ndim, const int64_t *shape)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int32_t i = 0; i < ndim && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i > 0 ? ", " : "",
                                 (long long)shape[i]);
    }
    if (used < size) {
        (void)snprintf(out + used, size - used, "]");
    }
}

/* Whether floats of the file are all finite: 0 times anything else is NaN, and stays in the sum. */
static bool all_finite_f32(const void *data, size_t count)
{
    enum { LANES = 16 };
    const unsigned char *at = data; /* need not be aligned */
    float sums[LANES] = {0}, sum = 0.0f;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        float values[LANES];
        memcpy(values, at + i * sizeof(float), sizeof values);
        for (size_t lane = 0; lane < LANES; lane++) {
            sums[lane] += 0.0f * values[lane];
        }
    }
    for (; i < count; i++) {
        float value;
        memcpy(&value, at + i * sizeof value, sizeof value);
        sum += 0.0f * value;
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        sum += sums[lane];
    }
    return isfinite(sum);
}

static amun_status check_values(const amun_graph *graph, const amun__param *param,
                                const amun__st_tensor *tensor)
{
    bool variance = graph->nodes[param->node].running_var == (int32_t)(param - graph->params);
    if (!variance && tensor->dtype == AMUN_DTYPE_F32 &&
        all_finite_f32(tensor->data, param->count)) {
        return AMUN_OK;
    }
    for (size_t i = 0; i < param->count; i++) { /* which one, or data types that need converting */
        float value = tensor_value(tensor, i);
        if (!isfinite(value)) {
            return amun__fail(AMUN_ERROR_NUMERIC,
                              "\"%.200s\" has a value that is not finite at %zu: %g", tensor->name,
                              i, (double)value);
        }
        if (variance && value < 0.0f) {
            return amun__fail(AMUN_ERROR_NUMERIC, "\"%.200s\" has the variance %g at %zu",
                              tensor->name, (double)value, i);
        }
    }
    return AMUN_OK;
}

static amun_status check_param(const amun_graph *graph, const amun__param *param,
                               const amun__st_tensor *tensor)
{
    bool same = tensor->ndim == param->ndim;
    for (int32_t i = 0; same && i < param->ndim; i++) {
        same = tensor->shape[i] == param->shape[i];
    }
    if (!same) {
        char has[192], needs[96];
        shape_text(has, sizeof has, tensor->ndim, tensor->shape);
        shape_text(needs, sizeof needs, param->ndim, param->shape);
        return amun__fail(AMUN_ERROR_SHAPE, "\"%.200s\" is %s in the file and %s in the model",
                          tensor->name, has, needs);
    }
    if (tensor->dtype != AMUN_DTYPE_F32 && tensor->dtype != AMUN_DTYPE_F64 &&
        tensor->dtype != AMUN_DTYPE_F16 && tensor->dtype != AMUN_DTYPE_BF16) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "\"%.200s\" has data type %d; weights are F32, F64, F16 or BF16",
                          tensor->name, (int)tensor->dtype);
    }
    return check_values(graph, param, tensor);
}

/* PyTorch writes a scalar; a list of one is accepted too. */
static amun_status read_counter(const amun__st_tensor *tensor, int64_t *out)
{
    int64_t value = -1;
    if (tensor->dtype == AMUN_DTYPE_I64 && tensor->bytes == sizeof value) {
        memcpy(&value, tensor->data, sizeof value);
    }
    if (value < 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "\"%.200s\" is not one I64 number of at least 0",
                          tensor->name);
    }
    *out = value;
    return AMUN_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Format number of the file, 0 if it does not say (a file of PyTorch). */
static amun_status check_format(const amun__safetensors *file)
{
    const char *text = amun__safetensors_meta(file, "amun.format");
    if (text == NULL) {
        return AMUN_OK;
    }
    char *end = NULL;
    long number = strtol(text, &end, 10);
    if (text[0] < '1' || text[0] > '9' || *end != '\0') {
        return amun__fail(AMUN_ERROR_FORMAT, "amun.format is \"%.32s\", not a number", text);
    }
    if (number > AMUN__WEIGHTS_FORMAT) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "the file has format %.32s, this library reads formats up to %d", text,
                          AMUN__WEIGHTS_FORMAT);
    }
    return AMUN_OK;
}

/* Gives every target its tensor; FORMAT unless all of the file and all of the model match. */
static amun_status match_names(const target_list *list, const amun__safetensors *file,
                               bool allow_extra)
{
    name_sample unknown = {.text = ""}, missing = {.text = ""};
    for (size_t i = 0; i < file->count; i++) {
        const amun__st_tensor *tensor = &file->tensors[i];
        if (allow_extra && strncmp(tensor->name, "amun.", 5) == 0) {
            continue;
        }
        target *place = targets_find(list, tensor->name);
        if (place == NULL) {
            sample_add(&unknown, tensor->name);
        } else if (place->tensor != NULL) {
            return amun__fail(AMUN_ERROR_FORMAT, "\"%.200s\" and \"%.200s\" are both \"%.200s\"",
                              place->tensor->name, tensor->name, place->name);
        } else {
            place->tensor = tensor;
        }
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].tensor == NULL && list->items[i].param != NULL) {
            sample_add(&missing, list->items[i].name);
        }
    }
    if (unknown.count > 0 && missing.count > 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%zu unknown tensors (%s), %zu missing (%s)",
                          unknown.count, unknown.text, missing.count, missing.text);
    }
    if (unknown.count + missing.count > 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%zu %s tensors (%s)", unknown.count + missing.count,
                          unknown.count > 0 ? "unknown" : "missing",
                          unknown.count > 0 ? unknown.text : missing.text);
    }
    return AMUN_OK;
}

static amun_status check_targets(const target_list *list, const amun_graph *graph)
{
    for (size_t i = 0; i < list->count; i++) {
        const target *place = &list->items[i];
        int64_t counter;
        if (place->param != NULL) {
            AMUN__CHECK(check_param(graph, place->param, place->tensor));
        } else if (place->tensor != NULL) {
            AMUN__CHECK(read_counter(place->tensor, &counter));
        }
    }
    return AMUN_OK;
}

static void copy_targets(const target_list *list, amun__params *params)
{
    for (size_t i = 0; i < list->count; i++) {
        const target *place = &list->items[i];
        if (place->param == NULL) {
            /* old PyTorch files have no counters: as there, they then start at 0 */
            params->tracked[place->tracked] = 0;
            if (place->tensor != NULL) {
                (void)read_counter(place->tensor, &params->tracked[place->tracked]);
            }
            continue;
        }
        float *values = params->values + place->param->offset;
        if (place->tensor->dtype == AMUN_DTYPE_F32) {
            memcpy(values, place->tensor->data, place->param->count * sizeof *values);
            continue;
        }
        for (size_t k = 0; k < place->param->count; k++) {
            values[k] = tensor_value(place->tensor, k);
        }
    }
    params->version++;
}

amun_status amun__weights_read(amun__params *params, const amun__safetensors *file,
                               bool allow_extra)
{
    target_list list;
    AMUN__CHECK(check_format(file));
    amun_status status = targets_make(file->ctx, &list, params->graph);
    if (status == AMUN_OK) {
        status = match_names(&list, file, allow_extra);
    }
    if (status == AMUN_OK) {
        status = check_targets(&list, params->graph);
    }
    if (status == AMUN_OK) {
        copy_targets(&list, params);
    }
    targets_free(file->ctx, &list);
    return status;
}

/* ---- describing ----------------------------------------------------------------------------- */

static amun_status read_extent(const json_t *object, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 1) {
        return amun__fail(AMUN_ERROR_FORMAT, "amun.model has no valid \"%s\"", key);
    }
    *out = json_integer_value(value);
    return AMUN_OK;
}

/* Where the key is missing, `out` stays. */
static amun_status read_number(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_number(value)) {
        return amun__fail(AMUN_ERROR_FORMAT, "amun.model has no valid \"%s\"", key);
    }
    *out = value != NULL ? json_number_value(value) : *out;
    return AMUN_OK;
}

amun_status amun__weights_describe(const amun__safetensors *file, const char **arch,
                                   amun_model_options *opts)
{
    *arch = NULL;
    AMUN__CHECK(check_format(file));
    const char *name = amun__safetensors_meta(file, "amun.arch");
    const char *text = amun__safetensors_meta(file, "amun.model");
    if (amun__safetensors_meta(file, "amun.format") == NULL || name == NULL || text == NULL) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "the file does not say which architecture it is for (no amun.%s): create "
                          "the model, then load the weights into it",
                          name == NULL   ? "arch"
                          : text == NULL ? "model"
                                         : "format");
    }
    json_t *object = NULL;
    AMUN__CHECK(amun_model_options_init(opts, sizeof *opts));
    AMUN__CHECK(amun__json_parse(&object, text, strlen(text), "amun.model"));
    amun_status status = AMUN_OK;
    if (!json_is_object(object)) {
        AMUN__FAIL(AMUN_ERROR_FORMAT, "amun.model is not a JSON object");
    }
    AMUN__TRY(read_extent(object, "classes", &opts->classes));
    AMUN__TRY(read_extent(object, "channels", &opts->channels));
    AMUN__TRY(read_extent(object, "height", &opts->height));
    AMUN__TRY(read_extent(object, "width", &opts->width));
    AMUN__TRY(read_number(object, "mean", &opts->mean));
    AMUN__TRY(read_number(object, "std", &opts->std));
    *arch = name;
fail:
    json_decref(object);
    return status;
}

/* ---- saving --------------------------------------------------------------------------------- */

static amun_status make_metadata(json_t **out, const char *arch, const amun_model_options *shape,
                                 const json_t *extra)
{
    amun_status status = AMUN_OK;
    char *text = NULL;
    char created_by[64];
    *out = NULL;
    json_t *sizes = json_pack("{s:I, s:I, s:I, s:I}", "classes", (json_int_t)shape->classes,
                              "channels", (json_int_t)shape->channels, "height",
                              (json_int_t)shape->height, "width", (json_int_t)shape->width);
    bool normalised = shape->std != 0;
    if (sizes == NULL ||
        (normalised && (json_object_set_new(sizes, "mean", json_real(shape->mean)) != 0 ||
                        json_object_set_new(sizes, "std", json_real(shape->std)) != 0))) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the metadata of the weights");
    }
    AMUN__TRY(amun__json_text(&text, sizes, 0));
    (void)snprintf(created_by, sizeof created_by, "libamun %s", amun_version_string());
    *out =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "amun.format", "1", "amun.arch", arch, "amun.model",
                  text, "amun.created_by", created_by, "amun.rng", "philox4x32-10");
    if (*out == NULL ||
        (extra != NULL && json_object_update_missing(*out, (json_t *)(uintptr_t)extra) != 0)) {
        json_decref(*out);
        *out = NULL;
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the metadata of the weights");
    }
fail:
    free(text);
    json_decref(sizes);
    return status;
}

static amun_status fill_tensors(const target_list *list, const amun__params *params,
                                amun__st_tensor *tensors)
{
    for (size_t i = 0; i < list->count; i++) {
        const target *place = &list->items[i];
        amun__st_tensor *tensor = &tensors[i];
        tensor->name = place->name;
        if (place->param == NULL) {
            tensor->dtype = AMUN_DTYPE_I64;
            tensor->data = &params->tracked[place->tracked];
            tensor->bytes = sizeof(int64_t);
            continue;
        }
        tensor->dtype = AMUN_DTYPE_F32;
        tensor->ndim = place->param->ndim;
        memcpy(tensor->shape, place->param->shape, sizeof place->param->shape);
        tensor->data = params->values + place->param->offset;
        tensor->bytes = place->param->count * sizeof(float);
        AMUN__CHECK(check_values(params->graph, place->param, tensor));
    }
    return AMUN_OK;
}

amun_status amun__weights_save(amun_context *ctx, const amun__params *params, const char *arch,
                               const amun_model_options *shape, const char *path,
                               const amun__st_tensor *extra, size_t extra_count,
                               const json_t *extra_meta)
{
    amun_status status = AMUN_OK;
    target_list list = {NULL, 0, NULL};
    amun__st_tensor *tensors = NULL;
    json_t *metadata = NULL;
    AMUN__TRY(targets_make(ctx, &list, params->graph));
    AMUN__TRY(amun__calloc(ctx, &tensors, list.count + extra_count, sizeof *tensors));
    AMUN__TRY(fill_tensors(&list, params, tensors));
    for (size_t i = 0; i < extra_count; i++) {
        tensors[list.count + i] = extra[i];
    }
    AMUN__TRY(make_metadata(&metadata, arch, shape, extra_meta));
    AMUN__TRY(amun__safetensors_write(ctx, path, tensors, list.count + extra_count, metadata));
fail:
    json_decref(metadata);
    amun__free(ctx, tensors);
    targets_free(ctx, &list);
    return status;
}
