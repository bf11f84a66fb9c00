/* safetensors.c - the safetensors format: eight bytes of header length, a JSON header, raw
 * little-endian data without gaps. The writer follows the reference implementation byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>

#include "io/io.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors.c reads and writes little-endian data in place"
#endif

enum { MAX_HEADER = 16 << 20, MIN_HEADER = 2 };

static const char metadata_key[] = "__metadata__";

typedef struct st_type {
    const char *name;
    int32_t dtype; /* 0: in the format, not in this library */
    int32_t rank;  /* the reference writer's order, largest first */
} st_type;

static const st_type types[] = {
    {"I64", AMUN_DTYPE_I64, 8},
    {"F64", AMUN_DTYPE_F64, 7},
    {"F32", AMUN_DTYPE_F32, 6},
    {"I32", AMUN_DTYPE_I32, 5},
    {"BF16", AMUN_DTYPE_BF16, 4},
    {"F16", AMUN_DTYPE_F16, 3},
    {"U8", AMUN_DTYPE_U8, 2},
    {"BOOL", AMUN_DTYPE_BOOL, 1},
    {"I8", 0, 0},
    {"U16", 0, 0},
    {"I16", 0, 0},
    {"U32", 0, 0},
    {"U64", 0, 0},
    {"F8_E4M3", 0, 0},
    {"F8_E5M2", 0, 0},
    {"C64", 0, 0},
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static const st_type *type_by_dtype(int32_t dtype)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (types[i].dtype != 0 && types[i].dtype == dtype) {
            return &types[i];
        }
    }
    return NULL;
}

/* Elements times their size; false on overflow or a negative extent. */
static bool tensor_bytes(const amun__st_tensor *tensor, size_t *bytes)
{
    *bytes = amun_dtype_size(tensor->dtype);
    for (int32_t i = 0; i < tensor->ndim; i++) {
        if (tensor->shape[i] < 0 || !amun__mul_size(bytes, *bytes, (size_t)tensor->shape[i])) {
            return false;
        }
    }
    return true;
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

static amun_status read_dtype(amun__st_tensor *tensor, const json_t *entry, const char *what)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (name == NULL) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: tensor '%s' has no dtype string", what,
                          tensor->name);
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(name, types[i].name) == 0) {
            tensor->dtype = types[i].dtype;
            if (tensor->dtype == 0) {
                return amun__fail(AMUN_ERROR_UNSUPPORTED,
                                  "%s: tensor '%s' has dtype %s, which is not read", what,
                                  tensor->name, name);
            }
            return AMUN_OK;
        }
    }
    return amun__fail(AMUN_ERROR_FORMAT, "%s: tensor '%s' has unknown dtype '%s'", what,
                      tensor->name, name);
}

static amun_status read_shape(amun__st_tensor *tensor, const json_t *entry, const char *what)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: tensor '%s' has no shape array", what,
                          tensor->name);
    }
    size_t ndim = json_array_size(shape);
    if (ndim > AMUN_MAX_NDIM) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "%s: tensor '%s' has %zu dimensions, the limit is %d", what, tensor->name,
                          ndim, AMUN_MAX_NDIM);
    }
    tensor->ndim = (int32_t)ndim;
    for (size_t i = 0; i < ndim; i++) {
        const json_t *extent = json_array_get(shape, i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0) {
            return amun__fail(AMUN_ERROR_FORMAT,
                              "%s: tensor '%s': extent %zu is not a non-negative integer", what,
                              tensor->name, i);
        }
        tensor->shape[i] = json_integer_value(extent);
    }
    return AMUN_OK;
}

/* `size` is what follows the header. */
static amun_status read_offsets(amun__st_tensor *tensor, const json_t *entry, const uint8_t *data,
                                size_t size, const char *what)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0);
    const json_t *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: tensor '%s': data_offsets is not two integers",
                          what, tensor->name);
    }
    json_int_t begin = json_integer_value(first);
    json_int_t end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > size) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: tensor '%s': offsets %lld..%lld are outside the %zu bytes of data",
                          what, tensor->name, (long long)begin, (long long)end, size);
    }
    tensor->data = data + begin;
    tensor->bytes = (size_t)(end - begin);
    size_t needed = 0;
    if (!tensor_bytes(tensor, &needed)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: tensor '%s': extents overflow", what,
                          tensor->name);
    }
    if (needed != tensor->bytes) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: tensor '%s': shape and dtype need %zu bytes, the offsets give %zu",
                          what, tensor->name, needed, tensor->bytes);
    }
    return AMUN_OK;
}

static amun_status read_tensor(amun__st_tensor *tensor, const char *name, const json_t *entry,
                               const uint8_t *data, size_t size, const char *what)
{
    tensor->name = name;
    if (!json_is_object(entry)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: tensor '%s' is not a JSON object", what, name);
    }
    AMUN__CHECK(read_dtype(tensor, entry, what));
    AMUN__CHECK(read_shape(tensor, entry, what));
    return read_offsets(tensor, entry, data, size, what);
}

static amun_status read_metadata(amun__safetensors *file, const char *what)
{
    file->metadata = json_object_get(file->root, metadata_key);
    if (file->metadata == NULL) {
        return AMUN_OK;
    }
    if (!json_is_object(file->metadata)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: %s is not a JSON object", what, metadata_key);
    }
    const char *key;
    json_t *value;
    json_object_foreach(file->metadata, key, value)
    {
        if (!json_is_string(value)) {
            return amun__fail(AMUN_ERROR_FORMAT, "%s: %s '%s' is not a string", what, metadata_key,
                              key);
        }
    }
    return AMUN_OK;
}

static int by_place(const void *left, const void *right)
{
    const amun__st_tensor *a = left;
    const amun__st_tensor *b = right;
    uintptr_t a_begin = (uintptr_t)a->data;
    uintptr_t b_begin = (uintptr_t)b->data;
    if (a_begin != b_begin) {
        return a_begin < b_begin ? -1 : 1;
    }
    if (a->bytes != b->bytes) {
        return a->bytes < b->bytes ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* Sorted by place, each tensor begins where the one before ended, and the last ends the file. */
static amun_status check_cover(const amun__safetensors *file, const uint8_t *data, size_t size,
                               const char *what)
{
    size_t end = 0;
    for (size_t i = 0; i < file->count; i++) {
        const amun__st_tensor *tensor = &file->tensors[i];
        size_t begin = (size_t)((const uint8_t *)tensor->data - data);
        if (begin != end) {
            return amun__fail(AMUN_ERROR_FORMAT,
                              "%s: tensor '%s' begins at byte %zu of the data, expected %zu (%s)",
                              what, tensor->name, begin, end, begin < end ? "overlap" : "hole");
        }
        end = begin + tensor->bytes;
    }
    if (end != size) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: tensors end at byte %zu of the data, which has %zu", what, end,
                          size);
    }
    return AMUN_OK;
}

/* Length of the header, after the limits that protect against nonsense. */
static amun_status header_length(const uint8_t *data, size_t size, const char *what, size_t *length)
{
    if (size < 8) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: %zu bytes are too few for a safetensors file",
                          what, size);
    }
    uint64_t claimed = 0;
    memcpy(&claimed, data, sizeof claimed);
    if (claimed < MIN_HEADER || claimed > MAX_HEADER) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: safetensors header of %llu bytes, expected %d to %d", what,
                          (unsigned long long)claimed, (int)MIN_HEADER, (int)MAX_HEADER);
    }
    if (claimed > size - 8) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: truncated: safetensors header of %llu bytes in a file of %zu", what,
                          (unsigned long long)claimed, size);
    }
    if (data[8] != '{') {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: safetensors header begins with byte 0x%02x, expected '{'", what,
                          data[8]);
    }
    *length = (size_t)claimed;
    return AMUN_OK;
}

static amun_status read_file(amun__safetensors *file, const uint8_t *data, size_t size,
                             const char *what)
{
    size_t length = 0;
    AMUN__CHECK(header_length(data, size, what, &length));
    AMUN__CHECK(amun__json_parse(&file->root, (const char *)data + 8, length, what));
    AMUN__CHECK(read_metadata(file, what));

    const uint8_t *elements = data + 8 + length;
    size_t left = size - 8 - length;
    AMUN__CHECK(amun__calloc(file->ctx, &file->tensors, json_object_size(file->root),
                             sizeof *file->tensors));
    const char *name;
    json_t *entry;
    json_object_foreach(file->root, name, entry)
    {
        if (entry != file->metadata) {
            AMUN__CHECK(
                read_tensor(&file->tensors[file->count], name, entry, elements, left, what));
            file->count++;
        }
    }
    if (file->count > 0) {
        qsort(file->tensors, file->count, sizeof *file->tensors, by_place);
    }
    return check_cover(file, elements, left, what);
}

amun_status amun__safetensors_parse(amun__safetensors **out, amun_context *ctx, const void *data,
                                    size_t size, const char *what)
{
    *out = NULL;
    amun__safetensors *file = NULL;
    AMUN__CHECK(amun__calloc(ctx, &file, 1, sizeof *file));
    file->ctx = amun_context_ref(ctx);
    amun_status status = read_file(file, data, size, what);
    if (status != AMUN_OK) {
        amun__safetensors_close(file);
        return status;
    }
    *out = file;
    return AMUN_OK;
}

amun_status amun__safetensors_open(amun__safetensors **out, amun_context *ctx, const char *path)
{
    *out = NULL;
    amun__mapping mapping;
    AMUN__CHECK(amun__file_map(&mapping, path));
    amun_status status = amun__safetensors_parse(out, ctx, mapping.data, mapping.size, path);
    if (status != AMUN_OK) {
        amun__file_unmap(&mapping);
        return status;
    }
    (*out)->mapping = mapping;
    return AMUN_OK;
}

void amun__safetensors_close(amun__safetensors *file)
{
    if (file == NULL) {
        return;
    }
    amun_context *ctx = file->ctx;
    json_decref(file->root);
    amun__file_unmap(&file->mapping);
    amun__free(ctx, file->tensors);
    amun__free(ctx, file);
    amun_context_unref(ctx);
}

const amun__st_tensor *amun__safetensors_find(const amun__safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

const char *amun__safetensors_meta(const amun__safetensors *file, const char *key)
{
    return json_string_value(json_object_get(file->metadata, key));
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static int by_writer_order(const void *left, const void *right)
{
    const amun__st_tensor *a = *(const amun__st_tensor *const *)left;
    const amun__st_tensor *b = *(const amun__st_tensor *const *)right;
    int32_t a_rank = type_by_dtype(a->dtype)->rank;
    int32_t b_rank = type_by_dtype(b->dtype)->rank;
    if (a_rank != b_rank) {
        return a_rank > b_rank ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static amun_status check_tensor(const amun__st_tensor *tensor, size_t position)
{
    if (tensor->name == NULL || strcmp(tensor->name, metadata_key) == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "tensor %zu cannot be named '%s'", position,
                          tensor->name == NULL ? "NULL" : tensor->name);
    }
    if (type_by_dtype(tensor->dtype) == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "tensor '%s': unknown dtype %d",
                          tensor->name, (int)tensor->dtype);
    }
    if (tensor->ndim < 0 || tensor->ndim > AMUN_MAX_NDIM) {
        return amun__fail(AMUN_ERROR_SHAPE, "tensor '%s': %d dimensions, the limit is %d",
                          tensor->name, (int)tensor->ndim, AMUN_MAX_NDIM);
    }
    size_t bytes = 0;
    if (!tensor_bytes(tensor, &bytes) || bytes != tensor->bytes) {
        return amun__fail(AMUN_ERROR_SHAPE, "tensor '%s': %zu bytes do not fit its shape",
                          tensor->name, tensor->bytes);
    }
    if (tensor->data == NULL && bytes > 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "tensor '%s': data is NULL", tensor->name);
    }
    return AMUN_OK;
}

/* A copy of the metadata whose keys were inserted in sorted order. */
static amun_status add_metadata(json_t *root, amun_context *ctx, const json_t *metadata)
{
    if (metadata == NULL) {
        return AMUN_OK;
    }
    /* Jansson iterates over constant objects through a non-constant pointer. */
    json_t *source = (json_t *)(uintptr_t)metadata;
    const char **keys = NULL;
    size_t count = 0;
    amun_status status = AMUN_OK;
    json_t *copy = json_object();
    if (copy == NULL || json_object_set_new(root, metadata_key, copy) != 0) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the metadata");
    }
    AMUN__CHECK(amun__alloc(ctx, &keys, json_object_size(source), sizeof *keys));
    const char *key;
    json_t *value;
    json_object_foreach(source, key, value)
    {
        if (!json_is_string(value)) {
            AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "metadata '%s' is not a string", key);
        }
        keys[count++] = key;
    }
    if (count > 0) {
        qsort(keys, count, sizeof *keys, by_text);
    }
    for (size_t i = 0; i < count; i++) {
        if (json_object_set(copy, keys[i], json_object_get(source, keys[i])) != 0) {
            AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the metadata");
        }
    }
fail:
    amun__free(ctx, keys);
    return status;
}

static amun_status add_entry(json_t *root, const amun__st_tensor *tensor, size_t *offset)
{
    if (json_object_get(root, tensor->name) != NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "tensor '%s' is there twice", tensor->name);
    }
    size_t end = 0;
    if (!amun__add_size(&end, *offset, tensor->bytes) || end > INT64_MAX) {
        return amun__fail(AMUN_ERROR_SHAPE, "tensor '%s': file size overflows", tensor->name);
    }
    json_t *shape = json_array();
    for (int32_t i = 0; i < tensor->ndim; i++) {
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    }
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", type_by_dtype(tensor->dtype)->name,
                              "shape", shape, "data_offsets", (json_int_t)*offset, (json_int_t)end);
    if (entry == NULL || json_array_size(shape) != (size_t)tensor->ndim) {
        json_decref(entry);
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "tensor '%s': no memory for the header",
                          tensor->name);
    }
    if (json_object_set_new(root, tensor->name, entry) != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "tensor name is not UTF-8 text");
    }
    *offset = end;
    return AMUN_OK;
}

/* The length field, the header text and its padding, as malloc-ed bytes. */
static amun_status format_header(char **out, size_t *size, const json_t *root)
{
    char *text = json_dumps(root, JSON_COMPACT);
    if (text == NULL) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the safetensors header");
    }
    size_t length = strlen(text);
    size_t padded = (length + 7) / 8 * 8;
    if (padded > MAX_HEADER) {
        free(text);
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "safetensors header of %zu bytes, the limit is %d", padded,
                          (int)MAX_HEADER);
    }
    char *bytes = realloc(text, padded + 8);
    if (bytes == NULL) {
        free(text);
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the safetensors header");
    }
    memmove(bytes + 8, bytes, length);
    memset(bytes + 8 + length, ' ', padded - length);
    uint64_t field = padded;
    memcpy(bytes, &field, sizeof field);
    *out = bytes;
    *size = padded + 8;
    return AMUN_OK;
}

amun_status amun__safetensors_write(amun_context *ctx, const char *path,
                                    const amun__st_tensor *tensors, size_t count,
                                    const json_t *metadata)
{
    amun_status status = AMUN_OK;
    const amun__st_tensor **order = NULL;
    amun__chunk *chunks = NULL;
    char *header = NULL;
    size_t offset = 0;
    json_t *root = json_object();
    if (root == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for the safetensors header");
    }
    AMUN__TRY(add_metadata(root, ctx, metadata));
    AMUN__TRY(amun__alloc(ctx, &order, count, sizeof(const amun__st_tensor *)));
    AMUN__TRY(amun__alloc(ctx, &chunks, count + 1, sizeof *chunks));
    for (size_t i = 0; i < count; i++) {
        AMUN__TRY(check_tensor(&tensors[i], i));
        order[i] = &tensors[i];
    }
    if (count > 0) {
        qsort(order, count, sizeof(const amun__st_tensor *), by_writer_order);
    }
    for (size_t i = 0; i < count; i++) {
        AMUN__TRY(add_entry(root, order[i], &offset));
        chunks[i + 1] = (amun__chunk){order[i]->data, order[i]->bytes};
    }
    AMUN__TRY(format_header(&header, &chunks[0].size, root));
    chunks[0].data = header;
    AMUN__TRY(amun__file_write(ctx, path, chunks, count + 1));

fail:
    free(header);
    amun__free(ctx, chunks);
    amun__free(ctx, order);
    json_decref(root);
    return status;
}
