/* options.c - size-prefixed option and result structs.
 *
 * The rules, for whoever adds a struct or a field:
 *  1. The first member is size_t struct_size. init() zeroes `size` bytes, writes the defaults it
 *     knows and stores `size`. NULL options mean all defaults.
 *  2. Reading starts from the defaults and copies min(struct_size, sizeof) bytes. Bytes beyond
 *     what this library knows must be zero, else UNSUPPORTED: they are a newer field, in use.
 *  3. struct_size equals a size that some release shipped, or exceeds the newest (then a multiple
 *     of 8 and at most 4 KiB); anything else is INVALID_ARGUMENT. That catches structs which were
 *     never initialised, and most of those mirrored by hand.
 *  4. Append only. Never reorder, retype, remove or reuse: size alone cannot see a reordering.
 *  5. No implicit padding: fill with reserved int32 members, which must be 0. No nested structs
 *     except amun_tensor_view. Pointers stay valid during the call only.
 *  6. One private amun__options_table per struct: names, kinds, offsets and ranges, in the order of
 *     the struct and without holes (checked here), and one static const struct of defaults.
 *  7. Results are the same in reverse: the caller sets struct_size, the library fills at most that.
 */
#include <inttypes.h>

#include "core/core.h"

enum { LARGEST_STRUCT = 4096 };

static size_t field_size(int32_t kind)
{
    switch (kind) {
    case AMUN__FIELD_I32:
    case AMUN__FIELD_RESERVED:
        return 4;
    case AMUN__FIELD_F64:
    case AMUN__FIELD_I64:
    case AMUN__FIELD_U64:
    case AMUN__FIELD_SIZE:
    case AMUN__FIELD_POINTER:
    case AMUN__FIELD_STRING:
        return 8;
    default:
        return 0;
    }
}

/* Rules 5 and 6. A mistake here is ours, so that every test of the struct shows it. */
static amun_status check_table(const amun__options_table *table)
{
    size_t offset = sizeof(size_t);
    for (size_t i = 0; i < table->field_count; i++) {
        const amun__field *field = &table->fields[i];
        if (field->offset != offset || field_size(field->kind) == 0) {
            return amun__fail(AMUN_ERROR_INTERNAL, "%s.%s: offset %u, expected %zu", table->name,
                              field->name, field->offset, offset);
        }
        offset += field_size(field->kind);
    }
    if (offset != table->size) {
        return amun__fail(AMUN_ERROR_INTERNAL, "%s: fields end at %zu, the struct at %zu",
                          table->name, offset, table->size);
    }
    return AMUN_OK;
}

/* Rule 3. */
static amun_status check_size(const amun__options_table *table, size_t size)
{
    bool good =
        size == table->size || (size > table->size && size % 8 == 0 && size <= LARGEST_STRUCT);
    for (size_t i = 0; i < table->released_count && !good; i++) {
        good = size == table->released_sizes[i];
    }
    if (!good) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s: struct_size is %zu, expected %zu (call its init function first)",
                          table->name, size, table->size);
    }
    return AMUN_OK;
}

amun_status amun__options_init(const amun__options_table *table, void *opts, size_t size)
{
    amun__enter();
    if (opts == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: opts is NULL", table->name);
    }
    AMUN__CHECK(check_table(table));
    AMUN__CHECK(check_size(table, size));
    memset(opts, 0, size);
    memcpy(opts, table->defaults, size < table->size ? size : table->size);
    memcpy(opts, &size, sizeof size);
    return AMUN_OK;
}

static amun_status check_f64(const amun__options_table *table, const amun__field *field,
                             const void *value)
{
    double number;
    memcpy(&number, value, sizeof number);
    if (!(number >= field->min && number <= field->max)) { /* NaN fails both */
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s.%s: %g is outside [%g, %g]", table->name,
                          field->name, number, field->min, field->max);
    }
    return AMUN_OK;
}

/* long double holds each 64-bit integer exactly on the targets that we support, so that a value
 * just beyond a bound near 2^53 is not rounded onto it. */
static amun_status check_signed(const amun__options_table *table, const amun__field *field,
                                int64_t number)
{
    if ((long double)number < (long double)field->min ||
        (long double)number > (long double)field->max) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s.%s: %" PRId64 " is outside [%.17g, %.17g]", table->name, field->name,
                          number, field->min, field->max);
    }
    return AMUN_OK;
}

static amun_status check_unsigned(const amun__options_table *table, const amun__field *field,
                                  uint64_t number)
{
    if ((long double)number < (long double)field->min ||
        (long double)number > (long double)field->max) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s.%s: %" PRIu64 " is outside [%.17g, %.17g]", table->name, field->name,
                          number, field->min, field->max);
    }
    return AMUN_OK;
}

static amun_status check_field(const amun__options_table *table, const amun__field *field,
                               const char *full)
{
    const char *value = full + field->offset;
    int32_t i32;
    int64_t i64;
    uint64_t u64;
    switch (field->kind) {
    case AMUN__FIELD_F64:
        return check_f64(table, field, value);
    case AMUN__FIELD_I32:
        memcpy(&i32, value, sizeof i32);
        return check_signed(table, field, i32);
    case AMUN__FIELD_I64:
        memcpy(&i64, value, sizeof i64);
        return check_signed(table, field, i64);
    case AMUN__FIELD_U64:
    case AMUN__FIELD_SIZE:
        memcpy(&u64, value, sizeof u64);
        return check_unsigned(table, field, u64);
    case AMUN__FIELD_RESERVED:
        memcpy(&i32, value, sizeof i32);
        if (i32 != 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s.%s: %" PRId32 ", must be 0",
                              table->name, field->name, i32);
        }
        return AMUN_OK;
    default:
        return AMUN_OK; /* pointers and strings: whoever uses them knows */
    }
}

amun_status amun__options_read(const amun__options_table *table, void *full, const void *opts)
{
    AMUN__CHECK(check_table(table));
    memcpy(full, table->defaults, table->size);
    if (opts != NULL) {
        size_t size;
        memcpy(&size, opts, sizeof size);
        AMUN__CHECK(check_size(table, size));
        const unsigned char *bytes = opts;
        for (size_t i = table->size; i < size; i++) {
            if (bytes[i] != 0) {
                return amun__fail(AMUN_ERROR_UNSUPPORTED,
                                  "%s: the field at offset %zu is newer than this library",
                                  table->name, i - i % 4);
            }
        }
        memcpy(full, opts, size < table->size ? size : table->size);
    }
    memcpy(full, &table->size, sizeof table->size);
    for (size_t i = 0; i < table->field_count; i++) {
        AMUN__CHECK(check_field(table, &table->fields[i], full));
    }
    return AMUN_OK;
}

amun_status amun__result_write(void *dst, const void *src, size_t size, const char *what)
{
    if (dst == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    size_t room;
    memcpy(&room, dst, sizeof room);
    if (room <= sizeof room || room % 8 != 0 || room > LARGEST_STRUCT) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s: struct_size is %zu, set it to the size of the struct (here %zu)",
                          what, room, size);
    }
    memset(dst, 0, room); /* fields that only the caller knows read as zero */
    memcpy(dst, src, room < size ? room : size);
    memcpy(dst, &room, sizeof room);
    return AMUN_OK;
}
