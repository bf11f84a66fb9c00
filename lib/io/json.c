/* json.c - strict reading of JSON with limits, and the JSON forms of options and provenance. */
#include <stdio.h>
#include <stdlib.h>

#include "io/io.h"

enum { MAX_TEXT = 16 << 20, MAX_DEPTH = 8 };
/* Integers beyond this lose digits in readers that keep numbers as doubles. */
#define EXACT_INTEGER (UINT64_C(1) << 53)

/* ---- reading
 * ------------------------------------------------------------------------------------- */

/* Jansson recurses, so nesting is measured first, by a scan that knows strings and nothing else. */
static amun_status check_depth(const char *text, size_t size, const char *what)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MAX_DEPTH) {
                return amun__fail(AMUN_ERROR_FORMAT,
                                  "%s: JSON nested deeper than %d levels at byte %zu", what,
                                  MAX_DEPTH, i);
            }
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return AMUN_OK;
}

amun_status amun__json_parse(json_t **out, const char *text, size_t size, const char *what)
{
    *out = NULL;
    if (size > MAX_TEXT) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: JSON of %zu bytes, the limit is %d", what, size,
                          (int)MAX_TEXT);
    }
    AMUN__CHECK(check_depth(text, size, what));
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (*out != NULL) {
        return AMUN_OK;
    }
    if (json_error_code(&error) == json_error_out_of_memory) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%s: no memory for %zu bytes of JSON", what,
                          size);
    }
    return amun__fail(AMUN_ERROR_FORMAT, "%s: JSON line %d, column %d: %s", what, error.line,
                      error.column, error.text);
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static json_t *integer_value(uint64_t magnitude, bool negative)
{
    if (magnitude <= EXACT_INTEGER) {
        json_int_t value = (json_int_t)magnitude;
        return json_integer(negative ? -value : value);
    }
    char text[32];
    snprintf(text, sizeof text, "%s%llu", negative ? "-" : "", (unsigned long long)magnitude);
    return json_string(text);
}

static json_t *signed_value(int64_t value)
{
    return integer_value(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

static json_t *enum_value(const amun__field *field, int32_t value)
{
    if (field->symbols == NULL || (double)value < field->min || (double)value > field->max) {
        return signed_value(value);
    }
    return json_string(field->symbols[value - (int32_t)field->min]);
}

/* JSON has no word for these; "Infinity" is what JavaScript and Python would print. */
static json_t *real_value(double value)
{
    if (isnan(value)) {
        return json_string("NaN");
    }
    if (isinf(value)) {
        return json_string(value < 0 ? "-Infinity" : "Infinity");
    }
    return json_real(value);
}

#define FIELD_AS(type, name, at)                                                                   \
    type name;                                                                                     \
    memcpy(&name, (at), sizeof name)

static json_t *field_value(const amun__field *field, const unsigned char *at)
{
    switch (field->kind) {
    case AMUN__FIELD_F64: {
        FIELD_AS(double, value, at);
        return real_value(value);
    }
    case AMUN__FIELD_I32: {
        FIELD_AS(int32_t, value, at);
        return enum_value(field, value);
    }
    case AMUN__FIELD_I64: {
        FIELD_AS(int64_t, value, at);
        return signed_value(value);
    }
    case AMUN__FIELD_U64: {
        FIELD_AS(uint64_t, value, at);
        return integer_value(value, false);
    }
    case AMUN__FIELD_SIZE: {
        FIELD_AS(size_t, value, at);
        return integer_value(value, false);
    }
    case AMUN__FIELD_STRING: {
        FIELD_AS(const char *, value, at);
        return value == NULL ? json_null() : json_string(value);
    }
    default:
        return NULL;
    }
}

amun_status amun__json_options(json_t **out, const amun__options_table *table, const void *full)
{
    *out = NULL;
    amun_status status = AMUN_OK;
    json_t *object = json_object();
    if (object == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%s: no memory for JSON", table->name);
    }
    for (size_t i = 0; i < table->field_count; i++) {
        const amun__field *field = &table->fields[i];
        if (field->kind == AMUN__FIELD_POINTER || field->kind == AMUN__FIELD_RESERVED) {
            continue;
        }
        json_t *value = field_value(field, (const unsigned char *)full + field->offset);
        if (value == NULL && field->kind == AMUN__FIELD_STRING) {
            /* the other reason, no memory, will be met again soon enough */
            AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "%s: %s is not UTF-8 text", table->name,
                       field->name);
        }
        if (value == NULL || json_object_set_new(object, field->name, value) != 0) {
            AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%s: no memory for JSON", table->name);
        }
    }
    *out = object;
    return AMUN_OK;

fail:
    json_decref(object);
    return status;
}

amun_status amun__json_text(char **out, const json_t *value, size_t flags)
{
    size_t form = JSON_MAX_INDENT & flags ? 0 : JSON_COMPACT;
    *out = json_dumps(value, flags | form | JSON_SORT_KEYS);
    if (*out == NULL) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON text");
    }
    return AMUN_OK;
}

/* ---- provenance
 * ---------------------------------------------------------------------------------- */

amun_status amun__json_provenance(json_t **out, const amun_context *ctx)
{
    *out = NULL;
    const char *facts = amun_build_info_json();
    json_t *build = NULL;
    AMUN__CHECK(amun__json_parse(&build, facts, strlen(facts), "build info"));
    const char *onednn =
        json_string_value(json_object_get(json_object_get(build, "backends"), "onednn"));
    bool with_onednn = onednn != NULL && onednn[0] != '\0';
    uint32_t abi = amun_abi_version();
    char abi_text[32], backend[64];
    snprintf(abi_text, sizeof abi_text, "%u.%u", abi >> 16, abi & 0xffffu);
    snprintf(backend, sizeof backend, "%s%s", with_onednn ? "onednn " : "reference",
             with_onednn ? onednn : "");
    *out = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:O}", "library", "libamun", "version",
                     amun_version_string(), "abi", abi_text, "rng", "philox4x32-10", "threads",
                     (int)amun__threads_count(ctx), "backend", backend, "convolutions",
                     amun__context_conv_name(ctx), "precision", amun__context_precision_name(ctx),
                     "build", build);
    json_decref(build);
    if (*out == NULL) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for provenance");
    }
    return AMUN_OK;
}
