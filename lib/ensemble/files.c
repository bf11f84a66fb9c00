/* files.c - ensembles in a folder: one safetensors file per member, and ensemble.json. The index is
 * written last and has a hash of each member's weights, so that a folder with files of two
 * ensembles is found out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ensemble/ensemble.h"
#include "io/io.h"

static const char kind_name[] = "ensemble";
static const char format_version[] = "1";
static const char index_name[] = "ensemble.json";
enum { PATH_SIZE = 4096, HASH_SIZE = 17 };

static amun_status join(char path[PATH_SIZE], const char *folder, const char *name)
{
    int length = snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    if (length < 0 || length >= PATH_SIZE) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "folder: a path of more than %d bytes",
                          (int)PATH_SIZE);
    }
    return AMUN_OK;
}

static void hash_weights(char text[HASH_SIZE], const amun_model *model)
{
    amun__model_values values;
    amun__model_values_get(model, &values);
    uint64_t hash = amun__hash64(values.values, values.total * sizeof(float), 0);
    snprintf(text, HASH_SIZE, "%016" PRIx64, hash);
}

static amun_status check_folder(const char *folder)
{
    if (folder == NULL || folder[0] == '\0') {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "folder is %s",
                          folder == NULL ? "NULL" : "empty");
    }
    return AMUN_OK;
}

/* ---- saving ---------------------------------------------------------------------------------- */

static amun_status save_member(const amun_ensemble *ensemble, const char *folder, size_t i,
                               json_t *members)
{
    char name[32], path[PATH_SIZE], hash[HASH_SIZE];
    const amun_model *model = ensemble->models[i];
    snprintf(name, sizeof name, "member-%03zu.safetensors", i);
    AMUN__CHECK(join(path, folder, name));
    AMUN__CHECK(amun_model_save(model, path));
    hash_weights(hash, model);
    json_t *entry =
        json_pack("{s:s, s:s, s:s}", "file", name, "arch", amun_model_arch(model), "weights", hash);
    if (entry == NULL || json_array_append_new(members, entry) != 0) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    return AMUN_OK;
}

static amun_status save_index(const amun_ensemble *ensemble, const char *folder, json_t *members)
{
    amun_status status = AMUN_OK;
    json_t *provenance = NULL, *root = NULL;
    char *text = NULL, path[PATH_SIZE];
    AMUN__TRY(join(path, folder, index_name));
    AMUN__TRY(amun__json_provenance(&provenance, ensemble->object.ctx));
    root = json_pack("{s:s, s:s, s:O, s:O}", "kind", kind_name, "format", format_version, "members",
                     members, "provenance", provenance);
    if (root == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    AMUN__TRY(amun__json_text(&text, root, JSON_INDENT(1)));
    const amun__chunk chunks[2] = {{text, strlen(text)}, {"\n", 1}};
    AMUN__TRY(amun__file_write(ensemble->object.ctx, path, chunks, 2));
fail:
    free(text);
    json_decref(root);
    json_decref(provenance);
    return status;
}

amun_status amun_ensemble_save(const amun_ensemble *ensemble, const char *folder)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ensemble, AMUN__TAG_ENSEMBLE, "ensemble"));
    AMUN__CHECK(check_folder(folder));
    AMUN__CHECK(amun__file_make_dir(folder));
    const amun__victim victim = amun__ensemble_victim(ensemble);
    AMUN__CHECK(amun__victim_begin_read(&victim)); /* nobody trains between a file and its hash */
    amun_status status = AMUN_OK;
    json_t *members = json_array();
    if (members == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    for (size_t i = 0; i < ensemble->count; i++) {
        AMUN__TRY(save_member(ensemble, folder, i, members));
    }
    AMUN__TRY(save_index(ensemble, folder, members));
fail:
    amun__victim_end_read(&victim);
    json_decref(members);
    return status;
}

/* ---- loading --------------------------------------------------------------------------------- */

static amun_status parse_index(json_t **root, const char *path)
{
    amun__mapping file;
    AMUN__CHECK(amun__file_map(&file, path));
    amun_status status = amun__json_parse(root, (const char *)file.data, file.size, path);
    amun__file_unmap(&file);
    return status;
}

static amun_status check_index(const json_t *root, const char *path, size_t *count)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *format = json_string_value(json_object_get(root, "format"));
    const json_t *members = json_object_get(root, "members");
    if (kind == NULL || strcmp(kind, kind_name) != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: kind is '%s', not '%s'", path,
                          kind != NULL ? kind : "", kind_name);
    }
    if (format == NULL || strcmp(format, format_version) != 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: format '%s', this library reads '%s'", path,
                          format != NULL ? format : "", format_version);
    }
    *count = json_array_size(members);
    if (*count < 1 || *count > AMUN__VICTIM_MAX) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: %zu members, expected 1 to %d", path, *count,
                          (int)AMUN__VICTIM_MAX);
    }
    return AMUN_OK;
}

static amun_status load_member(amun_model **out, amun_context *ctx, const char *folder,
                               const json_t *entry, const char *index, size_t i)
{
    const char *name = json_string_value(json_object_get(entry, "file"));
    const char *weights = json_string_value(json_object_get(entry, "weights"));
    char path[PATH_SIZE], hash[HASH_SIZE];
    if (name == NULL || weights == NULL) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: member %zu has no 'file' or no 'weights'", index,
                          i);
    }
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: member %zu: '%s' is no file of this folder",
                          index, i, name);
    }
    AMUN__CHECK(join(path, folder, name));
    AMUN__CHECK(amun_model_load(out, ctx, path));
    hash_weights(hash, *out);
    if (strcmp(hash, weights) != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: weights %s, but %s says %s", path, hash, index,
                          weights);
    }
    return AMUN_OK;
}

amun_status amun_ensemble_load(amun_ensemble **ensemble, amun_context *ctx, const char *folder)
{
    amun__enter();
    if (ensemble == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "ensemble is NULL");
    }
    *ensemble = NULL;
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    AMUN__CHECK(check_folder(folder));
    amun_status status = AMUN_OK;
    json_t *root = NULL;
    char path[PATH_SIZE];
    size_t count = 0;
    amun_model *models[AMUN__VICTIM_MAX] = {NULL};
    AMUN__TRY(join(path, folder, index_name));
    AMUN__TRY(parse_index(&root, path));
    AMUN__TRY(check_index(root, path, &count));
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(json_object_get(root, "members"), i);
        AMUN__TRY(load_member(&models[i], ctx, folder, entry, path, i));
    }
    AMUN__TRY(amun_ensemble_create(ensemble, ctx, models, count));
fail:
    for (size_t i = 0; i < count && i < AMUN__VICTIM_MAX; i++) {
        amun_model_unref(models[i]);
    }
    json_decref(root);
    return status;
}
