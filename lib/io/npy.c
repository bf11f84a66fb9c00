/* npy.c - NumPy's array files: read in place, written in C order. Format: NEP 1. */
#include <stdio.h>

#include "io/io.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "npy.c reads and writes little-endian data in place"
#endif

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

typedef struct npy_type {
    const char *descr; /* without the byte order character */
    int32_t dtype;
} npy_type;

static const npy_type types[] = {
    {"b1", AMUN_DTYPE_BOOL}, {"u1", AMUN_DTYPE_U8},  {"i4", AMUN_DTYPE_I32}, {"i8", AMUN_DTYPE_I64},
    {"f2", AMUN_DTYPE_F16},  {"f4", AMUN_DTYPE_F32}, {"f8", AMUN_DTYPE_F64},
};
enum { TYPE_COUNT = sizeof types / sizeof types[0], MAX_HEADER = 1 << 16, ALIGNMENT = 64 };

/* ---- header
 * --------------------------------------------------------------------------------------- */

/* The header is the text of a Python dict: three keys in any order, flat but for the shape. */
typedef struct npy_header {
    const char *text, *at, *end;
    const char *what;
    bool has_descr, has_order, has_shape;
    bool fortran;
    amun_tensor_view *view;
} npy_header;

static amun_status header_fail(const npy_header *header, const char *expected)
{
    return amun__fail(AMUN_ERROR_FORMAT, "%s: NPY header: expected %s at byte %zu", header->what,
                      expected, (size_t)(header->at - header->text));
}

static void skip_space(npy_header *header)
{
    while (header->at < header->end && (*header->at == ' ' || *header->at == '\t' ||
                                        *header->at == '\n' || *header->at == '\r')) {
        header->at++;
    }
}

static bool take(npy_header *header, const char *token)
{
    skip_space(header);
    size_t length = strlen(token);
    if ((size_t)(header->end - header->at) < length || memcmp(header->at, token, length) != 0) {
        return false;
    }
    header->at += length;
    return true;
}

/* A quoted string without escapes, which none of the keys and types needs. */
static amun_status take_string(npy_header *header, char *out, size_t size)
{
    skip_space(header);
    if (header->at == header->end || (*header->at != '\'' && *header->at != '"')) {
        return header_fail(header, "a quoted string");
    }
    char quote = *header->at++;
    size_t length = 0;
    while (header->at < header->end && *header->at != quote && length + 1 < size) {
        out[length++] = *header->at++;
    }
    if (header->at == header->end || *header->at != quote) {
        return header_fail(header, "a closing quote");
    }
    header->at++;
    out[length] = '\0';
    return AMUN_OK;
}

static amun_status take_descr(npy_header *header)
{
    char descr[24];
    skip_space(header);
    if (header->at < header->end && *header->at == '[') {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: structured NPY arrays are not read",
                          header->what);
    }
    AMUN__CHECK(take_string(header, descr, sizeof descr));
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        bool one_byte = types[i].descr[1] == '1';
        if (strcmp(descr + (descr[0] != '\0'), types[i].descr) == 0 &&
            (descr[0] == '<' || (one_byte && descr[0] == '|'))) {
            header->view->dtype = types[i].dtype;
            return AMUN_OK;
        }
    }
    return amun__fail(AMUN_ERROR_UNSUPPORTED,
                      "%s: NPY type '%s', expected |b1, |u1, <i4, <i8, <f2, <f4 or <f8",
                      header->what, descr);
}

static amun_status take_extent(npy_header *header, int64_t *out)
{
    skip_space(header);
    int64_t value = 0;
    const char *begin = header->at;
    for (; header->at < header->end && *header->at >= '0' && *header->at <= '9'; header->at++) {
        int digit = *header->at - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return amun__fail(AMUN_ERROR_FORMAT, "%s: NPY extent above %lld", header->what,
                              (long long)INT64_MAX);
        }
        value = value * 10 + digit;
    }
    if (header->at == begin) {
        return header_fail(header, "an extent");
    }
    *out = value;
    return AMUN_OK;
}

static amun_status take_shape(npy_header *header)
{
    amun_tensor_view *view = header->view;
    view->ndim = 0;
    if (!take(header, "(")) {
        return header_fail(header, "a shape in parentheses");
    }
    while (!take(header, ")")) {
        if (view->ndim == AMUN_MAX_NDIM) {
            return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: NPY array of more than %d dimensions",
                              header->what, AMUN_MAX_NDIM);
        }
        AMUN__CHECK(take_extent(header, &view->shape[view->ndim]));
        view->ndim++;
        if (!take(header, ",")) {
            /* "(3)" would be a number in Python, not a tuple */
            if (view->ndim == 1 || !take(header, ")")) {
                return header_fail(header, "a comma");
            }
            break;
        }
    }
    return AMUN_OK;
}

static amun_status take_entry(npy_header *header)
{
    char key[24];
    AMUN__CHECK(take_string(header, key, sizeof key));
    if (!take(header, ":")) {
        return header_fail(header, "a colon");
    }
    bool *seen = strcmp(key, "descr") == 0           ? &header->has_descr
                 : strcmp(key, "fortran_order") == 0 ? &header->has_order
                 : strcmp(key, "shape") == 0         ? &header->has_shape
                                                     : NULL;
    if (seen == NULL || *seen) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: NPY header key '%s' is %s", header->what, key,
                          seen == NULL ? "unknown" : "repeated");
    }
    *seen = true;
    if (seen == &header->has_descr) {
        return take_descr(header);
    }
    if (seen == &header->has_shape) {
        return take_shape(header);
    }
    header->fortran = take(header, "True");
    return header->fortran || take(header, "False") ? AMUN_OK
                                                    : header_fail(header, "True or False");
}

static amun_status read_header(npy_header *header)
{
    if (!take(header, "{")) {
        return header_fail(header, "a dict");
    }
    while (!take(header, "}")) {
        AMUN__CHECK(take_entry(header));
        if (!take(header, ",")) {
            if (!take(header, "}")) {
                return header_fail(header, "a comma");
            }
            break;
        }
    }
    skip_space(header);
    if (header->at != header->end) {
        return header_fail(header, "nothing more");
    }
    if (!header->has_descr || !header->has_order || !header->has_shape) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: NPY header lacks '%s'", header->what,
                          !header->has_descr   ? "descr"
                          : !header->has_order ? "fortran_order"
                                               : "shape");
    }
    /* the two orders differ only from two dimensions on */
    if (header->fortran && header->view->ndim > 1) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "%s: NPY array in Fortran order, expected C order", header->what);
    }
    return AMUN_OK;
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

/* Magic, version and the place of the header text. */
static amun_status find_header(const uint8_t *data, size_t size, const char *what, size_t *begin,
                               size_t *length)
{
    if (size < 10) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: %zu bytes are too few for a NPY file", what,
                          size);
    }
    if (memcmp(data, magic, sizeof magic) != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: not a NPY file (it begins %02x %02x %02x %02x)",
                          what, data[0], data[1], data[2], data[3]);
    }
    if (data[6] < 1 || data[6] > 3 || data[7] != 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: NPY version %d.%d, expected 1.0 to 3.0",
                          what, data[6], data[7]);
    }
    *begin = data[6] == 1 ? 10 : 12;
    *length = (size_t)data[8] | (size_t)data[9] << 8;
    if (data[6] > 1) {
        if (size < 12) {
            return amun__fail(AMUN_ERROR_FORMAT, "%s: %zu bytes are too few for a NPY file", what,
                              size);
        }
        *length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    }
    if (*length > MAX_HEADER) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: NPY header of %zu bytes, the limit is %d", what,
                          *length, (int)MAX_HEADER);
    }
    if (*length > size - *begin) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: truncated: NPY header of %zu bytes in a file of %zu", what, *length,
                          size);
    }
    return AMUN_OK;
}

static amun_status npy_parse(amun_tensor_view *view, const void *data, size_t size,
                             const char *what)
{
    size_t begin = 0;
    size_t length = 0;
    AMUN__CHECK(find_header(data, size, what, &begin, &length));
    const char *text = (const char *)data + begin;
    npy_header header = {
        .text = text, .at = text, .end = text + length, .what = what, .view = view};
    AMUN__CHECK(read_header(&header));

    size_t bytes = amun_dtype_size(view->dtype);
    int64_t shape[AMUN_MAX_NDIM];
    memcpy(shape, view->shape, sizeof shape);
    for (int32_t i = 0; i < view->ndim; i++) {
        if (!amun__mul_size(&bytes, bytes, (size_t)shape[i])) {
            return amun__fail(AMUN_ERROR_FORMAT, "%s: NPY extents overflow at axis %d (%lld)", what,
                              (int)i, (long long)shape[i]);
        }
    }
    size_t offset = begin + length;
    if (bytes != size - offset) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: NPY shape and type need %zu bytes of data, the file has %zu", what,
                          bytes, size - offset);
    }
    const uint8_t *elements = (const uint8_t *)data + offset;
    if (bytes > 0 && (uintptr_t)elements % amun_dtype_size(view->dtype) != 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "%s: NPY data at byte %zu is not aligned to its elements", what, offset);
    }
    if (amun_tensor_view_init(view, (void *)(uintptr_t)elements, view->dtype, view->ndim, shape) !=
        AMUN_OK) {
        return amun__fail_within(AMUN_ERROR_FORMAT, "%s", what);
    }
    view->flags = AMUN_VIEW_READONLY;
    return AMUN_OK;
}

amun_status amun__npy_parse(amun_tensor_view *view, const void *data, size_t size, const char *what)
{
    memset(view, 0, sizeof *view);
    amun_status status = npy_parse(view, data, size, what);
    if (status != AMUN_OK) {
        memset(view, 0, sizeof *view);
    }
    return status;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

/* Any strides into row-major order. An odometer instead of one loop per possible dimension. */
static void pack_view(const amun_tensor_view *view, size_t count, char *dst)
{
    size_t element = amun_dtype_size(view->dtype);
    int64_t index[AMUN_MAX_NDIM] = {0};
    const char *src = view->data;
    for (size_t i = 0; i < count; i++) {
        memcpy(dst + i * element, src, element);
        for (int32_t axis = view->ndim - 1; axis >= 0; axis--) {
            src += view->strides[axis];
            if (++index[axis] < view->shape[axis]) {
                break;
            }
            src -= view->strides[axis] * view->shape[axis];
            index[axis] = 0;
        }
    }
}

/* The whole start of the file, padded so that the data is aligned to 64 bytes as NumPy does. */
static amun_status format_header(const amun_tensor_view *view, char *out, size_t capacity,
                                 size_t *size)
{
    const npy_type *type = NULL;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (types[i].dtype == view->dtype) {
            type = &types[i];
        }
    }
    if (type == NULL) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "NPY has no type for dtype %d", (int)view->dtype);
    }
    size_t used = 10;
    int wrote = snprintf(out + used, capacity - used,
                         "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                         type->descr[1] == '1' ? '|' : '<', type->descr);
    used += (size_t)wrote;
    for (int32_t i = 0; i < view->ndim; i++) {
        const char *after = i + 1 < view->ndim ? ", " : view->ndim == 1 ? "," : "";
        wrote = snprintf(out + used, capacity - used, "%lld%s", (long long)view->shape[i], after);
        used += (size_t)wrote;
    }
    wrote = snprintf(out + used, capacity - used, "), }");
    used += (size_t)wrote;
    while ((used + 1) % ALIGNMENT != 0) {
        out[used++] = ' ';
    }
    out[used++] = '\n';
    memcpy(out, magic, sizeof magic);
    size_t length = used - 10;
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)(length & 0xff);
    out[9] = (char)(length >> 8);
    *size = used;
    return AMUN_OK;
}

amun_status amun__npy_write(amun_context *ctx, const char *path, const amun_tensor_view *view)
{
    size_t count = 0;
    AMUN__CHECK(amun__view_check(view, "array", &count));
    char header[512]; /* 8 extents of at most 19 digits and some 60 characters of frame */
    size_t header_size = 0;
    AMUN__CHECK(format_header(view, header, sizeof header, &header_size));
    size_t bytes = count * amun_dtype_size(view->dtype); /* view_check knows it does not overflow */

    char *packed = NULL;
    const void *data = view->data;
    if (count > 0 && !amun__view_is_dense(view)) {
        AMUN__CHECK(amun__alloc(ctx, &packed, bytes, 1));
        pack_view(view, count, packed);
        data = packed;
    }
    const amun__chunk chunks[2] = {{header, header_size}, {data, bytes}};
    amun_status status = amun__file_write(ctx, path, chunks, 2);
    amun__free(ctx, packed);
    return status;
}
