/* advfile.c - adversarial sets in files: safetensors with one tensor per column of the table, and
 * the images of the examples that were found. A set is only as good as its link to the data set (a
 * published one paired images with the wrong samples), so each record is verified on load. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "attack/attack_private.h"

static const char format_version[] = "1";
static const char kind_name[] = "advset";
/* Recomputed distances may differ in the last digits of another machine's double arithmetic. */
static const double distance_tolerance = 1e-5;

/* The table as columns. Unsigned fields travel as signed numbers of the same bits. */
typedef struct column {
    const char *name;
    int32_t dtype;
    size_t offset;
} column;

#define COLUMN(member, type)                                                                       \
    {                                                                                              \
#member, AMUN_DTYPE_##type, offsetof(amun_attack_record, member)                           \
    }
static const column columns[] = {
    COLUMN(index, I64),   COLUMN(label, I32), COLUMN(predicted, I32), COLUMN(adversarial, I32),
    COLUMN(outcome, I32), COLUMN(eps, F64),   COLUMN(l2, F64),        COLUMN(linf, F64),
    COLUMN(updates, I32), COLUMN(flags, I32), COLUMN(input_hash, I64)};
enum { COLUMNS = sizeof columns / sizeof columns[0], ROW = COLUMNS, IMAGES, TENSORS };

/* ---- saving ---------------------------------------------------------------------------------- */

static amun_status fill_column(amun_context *ctx, void **out, const column *col,
                               const amun_attack_record *records, size_t count)
{
    size_t size = amun_dtype_size(col->dtype);
    char *values = NULL;
    AMUN__CHECK(amun__alloc(ctx, &values, count, size));
    for (size_t i = 0; i < count; i++) {
        memcpy(values + i * size, (const char *)&records[i] + col->offset, size);
    }
    *out = values;
    return AMUN_OK;
}

/* Of all that the set holds: finds damage that leaves every single value plausible. */
static void write_checksum(char text[17], const amun_advset *set)
{
    uint64_t hash = amun__hash64(set->records, set->count * sizeof *set->records, 0);
    hash = amun__hash64(set->rows, set->count * sizeof *set->rows, hash);
    if (set->found > 0) {
        hash = amun__hash64(set->images, set->found * set->pixels * sizeof(float), hash);
    }
    const char *const texts[] = {set->options, set->provenance, set->origin};
    for (size_t i = 0; i < 3; i++) {
        hash = amun__hash64(texts[i], strlen(texts[i]), hash);
    }
    const int64_t numbers[] = {set->classes, set->policy};
    hash = amun__hash64(numbers, sizeof numbers, hash);
    snprintf(text, 17, "%016" PRIx64, hash);
}

static json_t *make_metadata(const amun_advset *set)
{
    char classes[32], checksum[17];
    snprintf(classes, sizeof classes, "%" PRId64, set->classes);
    write_checksum(checksum, set);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "amun.checksum", checksum, "amun.format",
        format_version, "amun.kind", kind_name, "amun.classes", classes, "amun.on_failure",
        amun__attack_policy_names[set->policy - AMUN_FAILURE_LEAVE_OUT], "amun.options",
        set->options, "amun.provenance", set->provenance, "amun.model", set->origin);
}

static void describe_images(amun__st_tensor *tensor, const amun_advset *set)
{
    *tensor = (amun__st_tensor){
        .name = "images",
        .dtype = AMUN_DTYPE_F32,
        .ndim = 4,
        .shape = {(int64_t)set->found, set->channels, set->height, set->width},
        .data = set->images,
        .bytes = set->found * set->pixels * sizeof(float),
    };
}

amun_status amun_advset_save(const amun_advset *set, const char *path)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(set, AMUN__TAG_ADVSET, "set"));
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    }
    amun_status status = AMUN_OK;
    amun_context *ctx = set->object.ctx;
    amun__st_tensor tensors[TENSORS];
    void *values[COLUMNS] = {NULL};
    json_t *metadata = make_metadata(set);
    if (metadata == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        AMUN__TRY(fill_column(ctx, &values[i], &columns[i], set->records, set->count));
        tensors[i] = (amun__st_tensor){.name = columns[i].name,
                                       .dtype = columns[i].dtype,
                                       .ndim = 1,
                                       .shape = {(int64_t)set->count},
                                       .data = values[i],
                                       .bytes = set->count * amun_dtype_size(columns[i].dtype)};
    }
    tensors[ROW] = (amun__st_tensor){.name = "row",
                                     .dtype = AMUN_DTYPE_I64,
                                     .ndim = 1,
                                     .shape = {(int64_t)set->count},
                                     .data = set->rows,
                                     .bytes = set->count * sizeof set->rows[0]};
    describe_images(&tensors[IMAGES], set);
    AMUN__TRY(amun__safetensors_write(ctx, path, tensors, TENSORS, metadata));
fail:
    for (size_t i = 0; i < COLUMNS; i++) {
        amun__free(ctx, values[i]);
    }
    json_decref(metadata);
    return status;
}

/* ---- loading: the file on its own ------------------------------------------------------------ */

typedef struct reader {
    const char *path;
    const amun__safetensors *file;
    const amun_dataset *data;
    amun__dataset_info info;
    amun_advset *set;
} reader;

static amun_status find_tensor(const reader *r, const char *name, int32_t dtype, int32_t ndim,
                               const amun__st_tensor **out)
{
    const amun__st_tensor *tensor = amun__safetensors_find(r->file, name);
    if (tensor == NULL) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: no tensor '%s'", r->path, name);
    }
    if (tensor->dtype != dtype || tensor->ndim != ndim) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: tensor '%s': dtype %" PRId32 " of %" PRId32
                          " dimensions, expected %" PRId32 " of %" PRId32,
                          r->path, name, tensor->dtype, tensor->ndim, dtype, ndim);
    }
    *out = tensor;
    return AMUN_OK;
}

static amun_status find_column(const reader *r, const char *name, int32_t dtype,
                               const amun__st_tensor **out)
{
    AMUN__CHECK(find_tensor(r, name, dtype, 1, out));
    if ((*out)->shape[0] != (int64_t)r->set->count) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: tensor '%s': %" PRId64 " values for %zu records",
                          r->path, name, (*out)->shape[0], r->set->count);
    }
    return AMUN_OK;
}

static amun_status find_text(const reader *r, const char *key, const char **out)
{
    *out = amun__safetensors_meta(r->file, key);
    return *out != NULL ? AMUN_OK
                        : amun__fail(AMUN_ERROR_FORMAT, "%s: no metadata '%s'", r->path, key);
}

static amun_status read_header(const reader *r, int64_t *classes, int64_t *count)
{
    const char *format, *kind, *number;
    AMUN__CHECK(find_text(r, "amun.kind", &kind));
    AMUN__CHECK(find_text(r, "amun.format", &format));
    AMUN__CHECK(find_text(r, "amun.classes", &number));
    if (strcmp(kind, kind_name) != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: holds '%s', not '%s'", r->path, kind, kind_name);
    }
    if (strcmp(format, format_version) != 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: format '%s', this library reads '%s'",
                          r->path, format, format_version);
    }
    char *end = NULL;
    *classes = strtoll(number, &end, 10);
    if (end == number || *end != '\0' || *classes < 2 || *classes > 65536) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: '%s' classes, expected 2 to 65536", r->path,
                          number);
    }
    const amun__st_tensor *index = NULL;
    AMUN__CHECK(find_tensor(r, "index", AMUN_DTYPE_I64, 1, &index));
    *count = index->shape[0];
    if (*count == 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: 0 records", r->path);
    }
    return AMUN_OK;
}

static amun_status read_metadata(const reader *r)
{
    const char *policy;
    AMUN__CHECK(find_text(r, "amun.on_failure", &policy));
    r->set->policy = 0;
    for (int32_t i = 0; i < 4; i++) {
        if (strcmp(policy, amun__attack_policy_names[i]) == 0) {
            r->set->policy = AMUN_FAILURE_LEAVE_OUT + i;
        }
    }
    if (r->set->policy == 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: unknown failure policy '%s'", r->path, policy);
    }
    const char *const keys[] = {"amun.options", "amun.provenance", "amun.model"};
    char **texts[] = {&r->set->options, &r->set->provenance, &r->set->origin};
    for (size_t i = 0; i < 3; i++) {
        const char *text;
        AMUN__CHECK(find_text(r, keys[i], &text));
        AMUN__CHECK(amun__strdup(r->set->object.ctx, texts[i], text));
    }
    return AMUN_OK;
}

static amun_status read_columns(const reader *r)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        const amun__st_tensor *tensor = NULL;
        size_t size = amun_dtype_size(columns[k].dtype);
        AMUN__CHECK(find_column(r, columns[k].name, columns[k].dtype, &tensor));
        for (size_t i = 0; i < r->set->count; i++) {
            memcpy((char *)&r->set->records[i] + columns[k].offset,
                   (const char *)tensor->data + i * size, size);
        }
    }
    return AMUN_OK;
}

/* ---- loading: against the data set ------------------------------------------------------------
 */

#define RECORD "%s: record %zu (index %" PRId64 "): "
#define RECORD_ARGS(r, i) (r)->path, (i), (r)->set->records[i].index

static bool is_distance(double v)
{
    return v >= 0.0 && isfinite(v);
}

static amun_status check_values(const reader *r, size_t i)
{
    const amun_attack_record *a = &r->set->records[i];
    int32_t classes = (int32_t)r->set->classes;
    const uint32_t known = AMUN_ATTACK_MARGIN_FALLBACK | AMUN_ATTACK_RETRIED |
                           AMUN_ATTACK_BY_APGD_CE | AMUN_ATTACK_BY_APGD_T | AMUN_ATTACK_BY_SQUARE |
                           AMUN_ATTACK_LEGACY_CLAMP;
    if (a->outcome < AMUN_ATTACK_FLIPPED || a->outcome > AMUN_ATTACK_FAILED_BUDGET) {
        return amun__fail(AMUN_ERROR_FORMAT, RECORD "outcome %" PRId32 " is unknown",
                          RECORD_ARGS(r, i), a->outcome);
    }
    if (a->label < 0 || a->label >= classes || a->predicted < -1 || a->predicted >= classes ||
        a->adversarial < -1 || a->adversarial >= classes) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          RECORD "label %" PRId32 ", predicted %" PRId32 ", adversarial %" PRId32
                                 " of %" PRId32 " classes",
                          RECORD_ARGS(r, i), a->label, a->predicted, a->adversarial, classes);
    }
    if (a->outcome == AMUN_ATTACK_FLIPPED && (a->adversarial < 0 || a->adversarial == a->label)) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          RECORD "adversarial label %" PRId32 " is no other class than %" PRId32,
                          RECORD_ARGS(r, i), a->adversarial, a->label);
    }
    if (!is_distance(a->eps) || !is_distance(a->l2) || !is_distance(a->linf)) {
        return amun__fail(AMUN_ERROR_FORMAT, RECORD "eps %g, l2 %g, linf %g", RECORD_ARGS(r, i),
                          a->eps, a->l2, a->linf);
    }
    if (a->updates < 0 || (a->flags & ~known) != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, RECORD "%" PRId32 " updates, flags %" PRIu32,
                          RECORD_ARGS(r, i), a->updates, a->flags);
    }
    return AMUN_OK;
}

/* `seen`: one byte per sample of the data set. */
static amun_status check_sample(const reader *r, size_t i, uint8_t *seen)
{
    const amun_attack_record *a = &r->set->records[i];
    if (a->index < 0 || (uint64_t)a->index >= r->info.count) {
        return amun__fail(AMUN_ERROR_FORMAT, RECORD "the data set has %zu samples",
                          RECORD_ARGS(r, i), r->info.count);
    }
    size_t index = (size_t)a->index;
    if (seen[index]) {
        return amun__fail(AMUN_ERROR_FORMAT, RECORD "this index is there twice", RECORD_ARGS(r, i));
    }
    seen[index] = 1;
    int32_t label = amun__dataset_label(r->data, index);
    if (a->label != label) {
        return amun__fail(AMUN_ERROR_FORMAT, RECORD "label %" PRId32 ", the data set says %" PRId32,
                          RECORD_ARGS(r, i), a->label, label);
    }
    uint64_t hash = amun__dataset_hash(r->data, index);
    if (a->input_hash != hash) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          RECORD "input hash %016" PRIx64 ", the data set's image has %016" PRIx64,
                          RECORD_ARGS(r, i), a->input_hash, hash);
    }
    return AMUN_OK;
}

static amun_status check_records(const reader *r)
{
    amun_status status = AMUN_OK;
    amun_context *ctx = r->set->object.ctx;
    uint8_t *seen = NULL;
    AMUN__TRY(amun__calloc(ctx, &seen, r->info.count, 1));
    for (size_t i = 0; i < r->set->count; i++) {
        AMUN__TRY(check_sample(r, i, seen));
        AMUN__TRY(check_values(r, i));
    }
fail:
    amun__free(ctx, seen);
    return status;
}

static amun_status check_rows(const reader *r)
{
    const amun__st_tensor *tensor = NULL;
    AMUN__CHECK(find_column(r, "row", AMUN_DTYPE_I64, &tensor));
    amun__advset_number(r->set);
    for (size_t i = 0; i < r->set->count; i++) {
        int64_t row;
        memcpy(&row, (const char *)tensor->data + i * sizeof row, sizeof row);
        if (row != r->set->rows[i]) {
            return amun__fail(AMUN_ERROR_FORMAT, RECORD "image row %" PRId64 ", expected %" PRId64,
                              RECORD_ARGS(r, i), row, r->set->rows[i]);
        }
    }
    return AMUN_OK;
}

/* The image is a picture, and lies as far from the clean one as the record says. */
static amun_status check_image(const reader *r, size_t i, const float *image, float *clean)
{
    const amun_attack_record *a = &r->set->records[i];
    size_t n = r->set->pixels;
    for (size_t k = 0; k < n; k++) {
        if (!(image[k] >= 0.0f && image[k] <= 1.0f)) {
            return amun__fail(AMUN_ERROR_FORMAT, RECORD "pixel %zu is %g, outside [0, 1]",
                              RECORD_ARGS(r, i), k, (double)image[k]);
        }
    }
    amun__dataset_fetch(r->data, (size_t)a->index, clean);
    double l2 = amun__project_distance(image, clean, n);
    double linf = amun__project_distance_linf(image, clean, n);
    if (fabs(l2 - a->l2) > distance_tolerance * l2 ||
        fabs(linf - a->linf) > distance_tolerance * linf) {
        return amun__fail(AMUN_ERROR_FORMAT, RECORD "l2 %g, linf %g, but the image is at %g, %g",
                          RECORD_ARGS(r, i), a->l2, a->linf, l2, linf);
    }
    return AMUN_OK;
}

static amun_status read_images(const reader *r)
{
    const amun_advset *set = r->set;
    amun_context *ctx = set->object.ctx;
    amun_status status = AMUN_OK;
    const amun__st_tensor *tensor = NULL;
    float *images = NULL;
    float *clean = NULL;
    AMUN__TRY(find_tensor(r, "images", AMUN_DTYPE_F32, 4, &tensor));
    const int64_t *s = tensor->shape;
    if (s[0] != (int64_t)set->found || s[1] != set->channels || s[2] != set->height ||
        s[3] != set->width) {
        AMUN__FAIL(AMUN_ERROR_FORMAT,
                   "%s: tensor 'images': %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                   ", expected %zu x %" PRId64 " x %" PRId64 " x %" PRId64,
                   r->path, s[0], s[1], s[2], s[3], set->found, set->channels, set->height,
                   set->width);
    }
    AMUN__TRY(amun__alloc(ctx, &clean, set->pixels, sizeof *clean));
    AMUN__TRY(amun__alloc(ctx, &images, set->found * set->pixels, sizeof *images));
    if (tensor->bytes > 0) {
        memcpy(images, tensor->data, tensor->bytes);
    }
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i] >= 0) {
            AMUN__TRY(check_image(r, i, images + (size_t)set->rows[i] * set->pixels, clean));
        }
    }
    AMUN__TRY(amun__advset_adopt(r->set, &images));
fail:
    amun__free(ctx, images);
    amun__free(ctx, clean);
    return status;
}

/* Last, since the checks above know which record is wrong. */
static amun_status check_checksum(const reader *r)
{
    char computed[17];
    const char *stored;
    AMUN__CHECK(find_text(r, "amun.checksum", &stored));
    write_checksum(computed, r->set);
    if (strcmp(stored, computed) != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: checksum %s, but the content gives %s", r->path,
                          stored, computed);
    }
    return AMUN_OK;
}

static amun_status read_set(reader *r, amun_context *ctx)
{
    int64_t classes = 0, count = 0;
    AMUN__CHECK(read_header(r, &classes, &count));
    AMUN__CHECK(amun__advset_create(&r->set, ctx, (size_t)count, r->info.channels, r->info.height,
                                    r->info.width, classes));
    AMUN__CHECK(read_metadata(r));
    AMUN__CHECK(read_columns(r));
    AMUN__CHECK(check_records(r));
    AMUN__CHECK(check_rows(r));
    AMUN__CHECK(read_images(r));
    return check_checksum(r);
}

amun_status amun__advset_read(amun_advset **set, amun_context *ctx, const amun_dataset *data,
                              const amun__safetensors *file, const char *path)
{
    reader r = {.path = path, .data = data, .file = file};
    amun__dataset_info_get(data, &r.info);
    amun_status status = read_set(&r, ctx);
    if (status != AMUN_OK) {
        amun__object_unref(r.set);
        return status;
    }
    *set = r.set;
    return AMUN_OK;
}

amun_status amun_advset_load(amun_advset **set, const amun_dataset *data, const char *path,
                             amun_context *ctx)
{
    amun__enter();
    if (set == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "set is NULL");
    }
    *set = NULL;
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, "data"));
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    }
    amun__safetensors *file = NULL;
    AMUN__CHECK(amun__safetensors_open(&file, ctx, path));
    amun_status status = amun__advset_read(set, ctx, data, file, path);
    amun__safetensors_close(file);
    return status;
}
