/* tune.c - the cache file of measured choices: {"amun.tune": 1, "hosts": {HOST: {SHAPE: {"choice":
 * NAME, "ms": {NAME: median}}}}}. HOST is all that may change a measurement besides the shape. */
#include "nn/tune.h"

#include <stdlib.h>

enum { SCHEMA = 1 };
static const char schema_key[] = "amun.tune", hosts_key[] = "hosts";

/* ---- entries -------------------------------------------------------------------------------- */

static amun_conv_choice kind_of(const char *name)
{
    for (amun_conv_choice kind = AMUN_CONV_DIRECT; name != NULL && kind < AMUN__CONV_KINDS;
         kind++) {
        if (strcmp(name, amun__conv_name(kind)) == 0) {
            return kind;
        }
    }
    return AMUN_CONV_AUTO;
}

/* false: not an entry. Times are for people and may be missing. */
static bool read_entry(amun__tune_entry *out, const json_t *value)
{
    *out = (amun__tune_entry){.kind = kind_of(json_string_value(json_object_get(value, "choice")))};
    const json_t *ms = json_object_get(value, "ms");
    if (out->kind == AMUN_CONV_AUTO || (ms != NULL && !json_is_object(ms))) {
        return false;
    }
    for (amun_conv_choice kind = AMUN_CONV_DIRECT; kind < AMUN__CONV_KINDS; kind++) {
        const json_t *time = json_object_get(ms, amun__conv_name(kind));
        if (time != NULL && !(json_is_number(time) && json_number_value(time) >= 0)) {
            return false;
        }
        out->ms[kind] = json_number_value(time);
    }
    return true;
}

amun_status amun__tune_add(json_t *fresh, const char *shape, const amun__tune_entry *entry)
{
    json_t *ms = json_object();
    int failed = ms == NULL;
    for (amun_conv_choice kind = AMUN_CONV_DIRECT; kind < AMUN__CONV_KINDS && !failed; kind++) {
        if (entry->ms[kind] > 0) { /* in microseconds, so that the text stays short */
            double rounded = round(1e3 * entry->ms[kind]) / 1e3;
            failed = json_object_set_new(ms, amun__conv_name(kind), json_real(rounded));
        }
    }
    json_t *value =
        failed ? NULL : json_pack("{s:s, s:O}", "choice", amun__conv_name(entry->kind), "ms", ms);
    json_decref(ms);
    return value != NULL && json_object_set_new(fresh, shape, value) == 0
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for measured choices");
}

/* ---- the file ------------------------------------------------------------------------------- */

static amun_status check_host(const json_t *shapes, const char *what)
{
    const char *shape;
    json_t *value;
    amun__tune_entry entry;
    json_object_foreach((json_t *)(uintptr_t)shapes, shape, value)
    {
        if (!read_entry(&entry, value)) {
            return amun__fail(AMUN_ERROR_FORMAT, "%.300s: the entry '%.200s' is not a choice", what,
                              shape);
        }
    }
    return AMUN_OK;
}

static amun_status check_root(const json_t *root, const char *what, const char *host)
{
    const json_t *schema = json_object_get(root, schema_key);
    const json_t *hosts = json_object_get(root, hosts_key);
    const char *name;
    json_t *shapes;
    if (!json_is_integer(schema)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%.300s: no cache of measured choices: no '%s'", what,
                          schema_key);
    }
    if (json_integer_value(schema) != SCHEMA) {
        return amun__fail(AMUN_ERROR_FORMAT, "%.300s: '%s' is %lld, this library knows %d", what,
                          schema_key, (long long)json_integer_value(schema), SCHEMA);
    }
    if (!json_is_object(hosts)) {
        return amun__fail(AMUN_ERROR_FORMAT, "%.300s: '%s' is not an object", what, hosts_key);
    }
    json_object_foreach((json_t *)(uintptr_t)hosts, name, shapes)
    {
        if (!json_is_object(shapes)) {
            return amun__fail(AMUN_ERROR_FORMAT, "%.300s: the host '%.200s' is not an object", what,
                              name);
        }
    }
    return check_host(json_object_get(hosts, host), what);
}

amun_status amun__tune_parse(json_t **root, const char *text, size_t size, const char *what,
                             const char *host)
{
    *root = NULL;
    AMUN__CHECK(amun__json_parse(root, text, size, what));
    amun_status status = check_root(*root, what, host);
    if (status != AMUN_OK) {
        json_decref(*root);
        *root = NULL;
    }
    return status;
}

/* A file that is not there: one without entries. */
static amun_status read_file(json_t **root, const char *path, const char *host)
{
    amun__mapping mapping;
    *root = NULL;
    if (amun__file_exists(path)) {
        AMUN__CHECK(amun__file_map(&mapping, path));
        amun_status status =
            amun__tune_parse(root, (const char *)mapping.data, mapping.size, path, host);
        amun__file_unmap(&mapping);
        return status;
    }
    *root = json_pack("{s:i, s:{}}", schema_key, SCHEMA, hosts_key);
    return *root != NULL ? AMUN_OK
                         : amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for measured choices");
}

static amun_status write_file(amun_context *ctx, const char *path, const json_t *root)
{
    char *text = NULL;
    AMUN__CHECK(amun__json_text(&text, root, JSON_INDENT(1) | JSON_REAL_PRECISION(9)));
    const amun__chunk chunks[] = {{text, strlen(text)}, {"\n", 1}};
    amun_status status = amun__file_write(ctx, path, chunks, 2);
    free(text);
    return status;
}

/* ---- what a context knows: {HOST: {SHAPE: entry}} -------------------------------------------- */

static void release_table(void *table)
{
    json_decref(table);
}

/* The object at `key` of `of`, made if missing; NULL without memory. */
static json_t *object_at(json_t *of, const char *key)
{
    json_t *value = json_object_get(of, key);
    if (value == NULL && json_object_set_new(of, key, json_object()) == 0) {
        value = json_object_get(of, key);
    }
    return value;
}

static int64_t count_strangers(const json_t *root, const char *host)
{
    const char *name;
    json_t *shapes;
    int64_t count = 0;
    json_object_foreach(json_object_get(root, hosts_key), name, shapes)
    {
        count += strcmp(name, host) != 0 ? (int64_t)json_object_size(shapes) : 0;
    }
    return count;
}

amun_status amun__tune_open(amun__tuning *tuning, const char *host, int64_t *strangers)
{
    json_t *root = NULL;
    *strangers = -1;
    if (json_object_get(tuning->table, host) != NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(read_file(&root, tuning->path, host));
    if (tuning->table == NULL) {
        tuning->table = json_object();
        tuning->release = release_table;
    }
    const json_t *there = json_object_get(json_object_get(root, hosts_key), host);
    json_t *known = there != NULL ? json_deep_copy(there) : json_object();
    int failed = json_object_set_new(tuning->table, host, known);
    *strangers = count_strangers(root, host);
    json_decref(root);
    return failed == 0 ? AMUN_OK
                       : amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for measured choices");
}

bool amun__tune_find(const amun__tuning *tuning, const char *host, const char *shape,
                     amun__tune_entry *out)
{
    const json_t *known = json_object_get(tuning->table, host);
    return read_entry(out, json_object_get(known, shape));
}

amun_status amun__tune_store(amun_context *ctx, amun__tuning *tuning, const char *host,
                             json_t *fresh)
{
    json_t *root = NULL;
    amun_status status;
    AMUN__TRY(read_file(&root, tuning->path, host));
    json_t *there = object_at(json_object_get(root, hosts_key), host);
    json_t *known = json_object_get(tuning->table, host);
    /* the file's own entries win: another process may have measured meanwhile */
    if (there == NULL || json_object_update_missing(there, fresh) != 0) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for measured choices");
    }
    AMUN__TRY(write_file(ctx, tuning->path, root));
    if (json_object_update_missing(known, there) != 0) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for measured choices");
    }
fail:
    json_decref(root);
    return status;
}
