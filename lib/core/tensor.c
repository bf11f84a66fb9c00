/* tensor.c - views of caller memory: checks, and copies to and from dense arrays.
 *
 * Strides count bytes and may be negative or zero, so elements are reached by offsets from `data`
 * that amun__view_check has proved to fit in 64 bits. Elements are moved with memcpy: the caller's
 * arrays need not have the effective types that we read them as. */
#include "core/core.h"

size_t amun_dtype_size(amun_dtype dtype)
{
    switch (dtype) {
    case AMUN_DTYPE_U8:
    case AMUN_DTYPE_BOOL:
        return 1;
    case AMUN_DTYPE_F16:
    case AMUN_DTYPE_BF16:
        return 2;
    case AMUN_DTYPE_F32:
    case AMUN_DTYPE_I32:
        return 4;
    case AMUN_DTYPE_F64:
    case AMUN_DTYPE_I64:
        return 8;
    default:
        return 0;
    }
}

static const char *dtype_name(amun_dtype dtype)
{
    static const char *const names[] = {"unset", "f32", "f64", "f16", "bf16",
                                        "u8",    "i32", "i64", "bool"};
    return dtype > 0 && dtype <= AMUN_DTYPE_BOOL ? names[dtype] : "unknown";
}

static amun_status check_kind(const char *what, amun_dtype dtype, int32_t ndim)
{
    if (amun_dtype_size(dtype) == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: unknown dtype %d", what, (int)dtype);
    }
    if (ndim < 0 || ndim > AMUN_MAX_NDIM) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: ndim %d is outside [0, %d]", what,
                          (int)ndim, AMUN_MAX_NDIM);
    }
    return AMUN_OK;
}

/* Number of elements. Zero extents count as one in the overflow check, as in NumPy, so that
 * whether a shape is acceptable does not depend on an axis being empty. */
static amun_status count_elements(const char *what, size_t element, int32_t ndim,
                                  const int64_t *shape, size_t *count)
{
    size_t bytes = element;
    bool empty = false;
    for (int32_t i = 0; i < ndim; i++) {
        if (shape[i] < 0) {
            return amun__fail(AMUN_ERROR_SHAPE, "%s: extent %lld of axis %d is negative", what,
                              (long long)shape[i], (int)i);
        }
        empty = empty || shape[i] == 0;
        size_t extent = shape[i] == 0 ? 1 : (size_t)shape[i];
        if (!amun__mul_size(&bytes, bytes, extent) || bytes > (size_t)PTRDIFF_MAX) {
            return amun__fail(AMUN_ERROR_SHAPE,
                              "%s: extent %lld of axis %d makes it too large to address", what,
                              (long long)shape[i], (int)i);
        }
    }
    *count = empty ? 0 : bytes / element;
    return AMUN_OK;
}

amun_status amun_tensor_view_init(amun_tensor_view *view, void *data, amun_dtype dtype,
                                  int32_t ndim, const int64_t *shape)
{
    amun__enter();
    if (view == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "view is NULL");
    }
    memset(view, 0, sizeof *view);
    AMUN__CHECK(check_kind("view", dtype, ndim));
    if (shape == NULL && ndim > 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "shape is NULL");
    }
    size_t count;
    AMUN__CHECK(count_elements("view", amun_dtype_size(dtype), ndim, shape, &count));
    if (data == NULL && count > 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "data is NULL, but the view has %zu elements", count);
    }
    view->data = data;
    view->dtype = dtype;
    view->ndim = ndim;
    int64_t stride = (int64_t)amun_dtype_size(dtype);
    for (int32_t i = ndim; i-- > 0;) {
        view->shape[i] = shape[i];
        view->strides[i] = stride;
        stride *= shape[i] > 0 ? shape[i] : 1; /* bounded by count_elements */
    }
    return AMUN_OK;
}

/* Smallest and largest byte offset of an element, for a view with elements. */
static bool byte_range(const amun_tensor_view *view, int64_t *low, int64_t *high)
{
    *low = 0;
    *high = (int64_t)amun_dtype_size(view->dtype);
    for (int32_t i = 0; i < view->ndim; i++) {
        int64_t reach;
        if (__builtin_mul_overflow(view->shape[i] - 1, view->strides[i], &reach) ||
            __builtin_add_overflow(*(reach < 0 ? low : high), reach, reach < 0 ? low : high)) {
            return false;
        }
    }
    return true;
}

/* Alignment of data and strides, and no offset that leaves the address space. */
static amun_status check_layout(const amun_tensor_view *view, const char *what)
{
    size_t element = amun_dtype_size(view->dtype);
    uintptr_t base = (uintptr_t)view->data;
    if (base % element != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: data is not aligned to %zu bytes", what,
                          element);
    }
    for (int32_t i = 0; i < view->ndim; i++) {
        if (view->shape[i] > 1 && view->strides[i] % (int64_t)element != 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "%s: stride %lld of axis %d is not a multiple of %zu bytes", what,
                              (long long)view->strides[i], (int)i, element);
        }
    }
    int64_t low, high;
    uintptr_t end;
    if (!byte_range(view, &low, &high) || 0u - (uintptr_t)low > base ||
        __builtin_add_overflow(base, (uintptr_t)high, &end)) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s: the strides reach beyond the address space", what);
    }
    return AMUN_OK;
}

amun_status amun__view_check(const amun_tensor_view *view, const char *what, size_t *count)
{
    if (count != NULL) {
        *count = 0;
    }
    if (view == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    AMUN__CHECK(check_kind(what, view->dtype, view->ndim));
    if ((view->flags & ~AMUN_VIEW_READONLY) != 0 || view->reserved != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s: flags %#x and reserved %u are not known", what,
                          (unsigned)view->flags, (unsigned)view->reserved);
    }
    size_t elements;
    AMUN__CHECK(
        count_elements(what, amun_dtype_size(view->dtype), view->ndim, view->shape, &elements));
    if (elements > 0) {
        if (view->data == NULL) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "%s: data is NULL, but the view has %zu elements", what, elements);
        }
        AMUN__CHECK(check_layout(view, what));
    }
    if (count != NULL) {
        *count = elements;
    }
    return AMUN_OK;
}

bool amun__view_is_dense(const amun_tensor_view *view)
{
    int64_t expected = (int64_t)amun_dtype_size(view->dtype);
    bool dense = true;
    for (int32_t i = view->ndim; i-- > 0;) {
        if (view->shape[i] == 0) {
            return true; /* nothing there */
        }
        dense = dense && (view->shape[i] == 1 || view->strides[i] == expected);
        expected *= view->shape[i];
    }
    return dense;
}

/* ---- walking ------------------------------------------------------------------------------ */

/* The chosen rows as runs of equally spaced elements: `count` per run, `step` bytes apart, with
 * the axes outside a run advanced like an odometer. */
typedef struct walk {
    char *base;
    int64_t offset; /* of the current run */
    size_t count;
    int64_t step;
    size_t runs;
    int32_t axes;
    int64_t shape[AMUN_MAX_NDIM], strides[AMUN_MAX_NDIM], index[AMUN_MAX_NDIM];
} walk;

/* Checks the rows, and merges axes that lie behind one another in memory. */
static amun_status walk_begin(walk *w, const amun_tensor_view *view, size_t first, size_t n)
{
    memset(w, 0, sizeof *w);
    size_t rows = view->ndim == 0 ? 1 : (size_t)view->shape[0];
    if (first > rows || n > rows - first) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "rows %zu to %zu of a view with %zu rows",
                          first, first + n, rows);
    }
    w->base = view->data;
    w->offset = view->ndim == 0 || n == 0 ? 0 : (int64_t)first * view->strides[0];
    w->count = n;
    w->step = (int64_t)amun_dtype_size(view->dtype);
    w->runs = n > 0 ? 1 : 0;
    if (view->ndim == 0) {
        return AMUN_OK;
    }
    for (int32_t i = 0; i < view->ndim; i++) {
        int64_t extent = i == 0 ? (int64_t)n : view->shape[i];
        if (extent == 0) {
            w->runs = 0;
            return AMUN_OK;
        }
        if (extent == 1) {
            continue;
        }
        int64_t span; /* a stride near the end of the address space overflows here: no merge */
        if (w->axes > 0 && !__builtin_mul_overflow(extent, view->strides[i], &span) &&
            w->strides[w->axes - 1] == span) {
            w->shape[w->axes - 1] *= extent;
            w->strides[w->axes - 1] = view->strides[i];
        } else {
            w->shape[w->axes] = extent;
            w->strides[w->axes++] = view->strides[i];
        }
    }
    w->count = 1;
    if (w->axes > 0) {
        w->axes--; /* the last axis is the run */
        w->count = (size_t)w->shape[w->axes];
        w->step = w->strides[w->axes];
    }
    for (int32_t i = 0; i < w->axes; i++) {
        w->runs *= (size_t)w->shape[i];
    }
    return AMUN_OK;
}

static void walk_next(walk *w)
{
    for (int32_t i = w->axes; i-- > 0;) {
        if (w->index[i] + 1 < w->shape[i]) {
            w->index[i]++;
            w->offset += w->strides[i];
            return;
        }
        w->offset -= w->index[i] * w->strides[i];
        w->index[i] = 0;
    }
}

/* Converts one run: dst[i] = convert(element i), for the element type that the view has. */
#define CONVERT_RUN(source_type, expression)                                                       \
    do {                                                                                           \
        const char *from = w.base + w.offset;                                                      \
        for (size_t i = 0; i < w.count; i++) {                                                     \
            source_type value;                                                                     \
            memcpy(&value, from + (int64_t)i * w.step, sizeof value);                              \
            dst[i] = (expression);                                                                 \
        }                                                                                          \
    } while (0)

amun_status amun__view_read_f32(const amun_tensor_view *view, size_t first, size_t n,
                                double u8_scale, float *dst)
{
    if (view->dtype != AMUN_DTYPE_F32 && view->dtype != AMUN_DTYPE_F64 &&
        view->dtype != AMUN_DTYPE_U8) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "dtype %s where f32, f64 or u8 is needed",
                          dtype_name(view->dtype));
    }
    walk w;
    AMUN__CHECK(walk_begin(&w, view, first, n));
    for (size_t run = 0; run < w.runs; run++, dst += w.count) {
        if (view->dtype == AMUN_DTYPE_F32 && w.step == (int64_t)sizeof(float)) {
            memcpy(dst, w.base + w.offset, w.count * sizeof(float));
        } else if (view->dtype == AMUN_DTYPE_F32) {
            CONVERT_RUN(float, value);
        } else if (view->dtype == AMUN_DTYPE_F64) {
            CONVERT_RUN(double, (float)value);
        } else {
            CONVERT_RUN(uint8_t, (float)(value * u8_scale));
        }
        walk_next(&w);
    }
    return AMUN_OK;
}

amun_status amun__view_read_f64(const amun_tensor_view *view, size_t first, size_t n, double *dst)
{
    if (view->dtype != AMUN_DTYPE_F32 && view->dtype != AMUN_DTYPE_F64) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "dtype %s where f32 or f64 is needed",
                          dtype_name(view->dtype));
    }
    walk w;
    AMUN__CHECK(walk_begin(&w, view, first, n));
    for (size_t run = 0; run < w.runs; run++, dst += w.count) {
        if (view->dtype == AMUN_DTYPE_F32) {
            CONVERT_RUN(float, (double)value);
        } else {
            CONVERT_RUN(double, value);
        }
        walk_next(&w);
    }
    return AMUN_OK;
}

amun_status amun__view_read_i64(const amun_tensor_view *view, size_t first, size_t n, int64_t *dst)
{
    if (view->dtype != AMUN_DTYPE_I32 && view->dtype != AMUN_DTYPE_I64 &&
        view->dtype != AMUN_DTYPE_U8) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "dtype %s where i32, i64 or u8 is needed",
                          dtype_name(view->dtype));
    }
    walk w;
    AMUN__CHECK(walk_begin(&w, view, first, n));
    for (size_t run = 0; run < w.runs; run++, dst += w.count) {
        if (view->dtype == AMUN_DTYPE_I64) {
            CONVERT_RUN(int64_t, value);
        } else if (view->dtype == AMUN_DTYPE_I32) {
            CONVERT_RUN(int32_t, value);
        } else {
            CONVERT_RUN(uint8_t, value);
        }
        walk_next(&w);
    }
    return AMUN_OK;
}

/* An output whose elements share memory would keep whichever value was written last. */
static bool writes_collide(const walk *w)
{
    for (int32_t i = 0; i <= w->axes; i++) {
        int64_t stride = i < w->axes ? w->strides[i] : w->step;
        int64_t extent = i < w->axes ? w->shape[i] : (int64_t)w->count;
        if (stride == 0 && extent > 1) {
            return true;
        }
    }
    return false;
}

amun_status amun__view_write_f32(const amun_tensor_view *view, size_t first, size_t n,
                                 const float *src)
{
    if (view->dtype != AMUN_DTYPE_F32 && view->dtype != AMUN_DTYPE_F64) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "dtype %s where f32 or f64 is needed",
                          dtype_name(view->dtype));
    }
    if ((view->flags & AMUN_VIEW_READONLY) != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "an output view is read-only");
    }
    walk w;
    AMUN__CHECK(walk_begin(&w, view, first, n));
    if (w.runs > 0 && writes_collide(&w)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "an output view has a stride of 0: its elements share memory");
    }
    for (size_t run = 0; run < w.runs; run++, src += w.count) {
        char *to = w.base + w.offset;
        if (view->dtype == AMUN_DTYPE_F32 && w.step == (int64_t)sizeof(float)) {
            memcpy(to, src, w.count * sizeof(float));
        } else if (view->dtype == AMUN_DTYPE_F32) {
            for (size_t i = 0; i < w.count; i++) {
                memcpy(to + (int64_t)i * w.step, &src[i], sizeof src[i]);
            }
        } else {
            for (size_t i = 0; i < w.count; i++) {
                double value = src[i];
                memcpy(to + (int64_t)i * w.step, &value, sizeof value);
            }
        }
        walk_next(&w);
    }
    return AMUN_OK;
}

bool amun__view_overlap(const amun_tensor_view *a, const amun_tensor_view *b)
{
    const amun_tensor_view *views[2] = {a, b};
    uintptr_t low[2], high[2];
    for (int32_t i = 0; i < 2; i++) {
        int64_t from, to;
        for (int32_t axis = 0; axis < views[i]->ndim; axis++) {
            if (views[i]->shape[axis] == 0) {
                return false;
            }
        }
        if (!byte_range(views[i], &from, &to)) {
            return true; /* not a checked view: assume the worst */
        }
        low[i] = (uintptr_t)views[i]->data + (uintptr_t)from;
        high[i] = (uintptr_t)views[i]->data + (uintptr_t)to;
    }
    return low[0] < high[1] && low[1] < high[0];
}
