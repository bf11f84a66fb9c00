/* Views: validation, overflow, and copies through any strides against a naive oracle. */
#include <stdlib.h>

#include "support.h"

START_TEST(test_dtype_sizes)
{
    static const size_t sizes[] = {0, 4, 8, 2, 2, 1, 4, 8, 1, 0};
    for (int32_t i = 0; i < 10; i++) {
        ck_assert_uint_eq(amun_dtype_size(i), sizes[i]);
    }
    ck_assert_uint_eq(amun_dtype_size(-1), 0);
}
END_TEST

START_TEST(test_init)
{
    static float data[24];
    const int64_t shape[] = {2, 3, 4};
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, data, AMUN_DTYPE_F32, 3, shape));
    ck_assert(view.strides[0] == 48 && view.strides[1] == 16 && view.strides[2] == 4);
    ck_assert(view.shape[3] == 0 && view.flags == 0 && view.reserved == 0);
    size_t count;
    ck_ok(amun__view_check(&view, "x", &count));
    ck_assert_uint_eq(count, 24);
    ck_assert(amun__view_is_dense(&view));
    ck_ok(amun_tensor_view_init(&view, data, AMUN_DTYPE_F32, 0, NULL));
    ck_ok(amun__view_check(&view, "x", &count));
    ck_assert_uint_eq(count, 1);
    const int64_t empty[] = {0, 3};
    ck_ok(amun_tensor_view_init(&view, NULL, AMUN_DTYPE_F32, 2, empty));
    ck_ok(amun__view_check(&view, "x", &count));
    ck_assert_uint_eq(count, 0);
    ck_assert(amun__view_is_dense(&view));
}
END_TEST

START_TEST(test_init_failures)
{
    static float data[4];
    amun_tensor_view view;
    const int64_t good[] = {2, 2}, negative[] = {2, -3}, huge[] = {INT64_MAX, 2};
    const int64_t hidden[] = {0, INT64_MAX, INT64_MAX}, wide[] = {INT64_MAX / 4, 1};
    ck_fails(amun_tensor_view_init(NULL, data, 1, 2, good), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    ck_fails(amun_tensor_view_init(&view, NULL, 1, 2, good), AMUN_ERROR_INVALID_ARGUMENT,
             "data is NULL");
    ck_fails(amun_tensor_view_init(&view, data, 9, 2, good), AMUN_ERROR_INVALID_ARGUMENT,
             "dtype 9");
    ck_fails(amun_tensor_view_init(&view, data, 1, 9, good), AMUN_ERROR_INVALID_ARGUMENT, "ndim 9");
    ck_fails(amun_tensor_view_init(&view, data, 1, -1, good), AMUN_ERROR_INVALID_ARGUMENT,
             "ndim -1");
    ck_fails(amun_tensor_view_init(&view, data, 1, 2, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "shape is NULL");
    ck_fails(amun_tensor_view_init(&view, data, 1, 2, negative), AMUN_ERROR_SHAPE, "-3");
    ck_fails(amun_tensor_view_init(&view, data, 1, 2, huge), AMUN_ERROR_SHAPE,
             "9223372036854775807");
    ck_fails(amun_tensor_view_init(&view, NULL, 1, 3, hidden), AMUN_ERROR_SHAPE, "too large");
    ck_ok(amun_tensor_view_init(&view, data, AMUN_DTYPE_U8, 2, wide)); /* large, but a number */
}
END_TEST

static amun_tensor_view view_of(void *data, amun_dtype dtype, int32_t ndim, const int64_t *shape)
{
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, data, dtype, ndim, shape));
    return view;
}

START_TEST(test_check_failures)
{
    static double data[8];
    const int64_t shape[] = {2, 2};
    const amun_tensor_view good = view_of(data, AMUN_DTYPE_F64, 2, shape);
    size_t count = 9;
    ck_fails(amun__view_check(NULL, "images", &count), AMUN_ERROR_INVALID_ARGUMENT,
             "images is NULL");
    ck_assert_uint_eq(count, 0);
    amun_tensor_view bad = good;
    bad.data = NULL;
    ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_INVALID_ARGUMENT, "images: data");
    bad = good;
    bad.flags = 2;
    ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_INVALID_ARGUMENT, "flags");
    bad = good;
    bad.reserved = 1;
    ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_INVALID_ARGUMENT, "reserved");
    bad = good;
    bad.data = (char *)data + 4;
    ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_INVALID_ARGUMENT, "aligned to 8");
    bad = good;
    bad.strides[1] = 12;
    ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_INVALID_ARGUMENT, "stride 12");
    bad.shape[1] = 1; /* nobody takes that step */
    ck_ok(amun__view_check(&bad, "images", NULL));
    bad = good;
    bad.shape[0] = -1;
    ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_SHAPE, "-1");
    bad = good;
    bad.strides[0] = INT64_MAX - 7;
    bad.shape[0] = 3;
    ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_SHAPE, "address space");
    static const int64_t far[] = {INT64_MIN, INT64_MAX - 7, -((int64_t)1 << 62)};
    for (size_t i = 0; i < 3; i++) {
        bad = good;
        bad.strides[0] = far[i];
        bad.strides[1] = far[i];
        ck_fails(amun__view_check(&bad, "images", NULL), AMUN_ERROR_SHAPE, "address space");
    }
    bad = good;
    bad.flags = AMUN_VIEW_READONLY;
    ck_ok(amun__view_check(&bad, "images", NULL));
}
END_TEST

START_TEST(test_dense)
{
    static float data[64];
    const int64_t shape[] = {3, 1, 4};
    amun_tensor_view view = view_of(data, AMUN_DTYPE_F32, 3, shape);
    view.strides[1] = -77; /* an axis of one element has no say */
    ck_assert(amun__view_is_dense(&view));
    view.strides[0] = 20;
    ck_assert(!amun__view_is_dense(&view));
    view.strides[0] = 16;
    view.strides[2] = -4;
    ck_assert(!amun__view_is_dense(&view));
    view.strides[2] = 4;
    view.shape[0] = 0;
    view.strides[2] = 400;
    ck_assert(amun__view_is_dense(&view));
}
END_TEST

/* ---- copies: any view inside one buffer, against index arithmetic one element at a time -------
 */

enum { BUFFER = 4096 };

/* A random view with elements inside `buffer`: transposed, reversed, strided, broadcast. */
static amun_tensor_view random_view(amun__rng *rng, void *buffer, amun_dtype dtype, bool writable)
{
    int64_t element = (int64_t)amun_dtype_size(dtype);
    amun_tensor_view view = {.dtype = dtype, .ndim = (int32_t)amun__rng_below(rng, 5)};
    int64_t order[AMUN_MAX_NDIM] = {0, 1, 2, 3, 4, 5, 6, 7};
    amun__rng_shuffle(rng, order, (size_t)view.ndim);
    int64_t step = element, start = 0;
    for (int32_t i = 0; i < view.ndim; i++) {
        int64_t axis = order[i], extent = 1 + (int64_t)amun__rng_below(rng, 4);
        int64_t stride = step * (1 + (int64_t)amun__rng_below(rng, 2));
        step = stride * extent;
        uint32_t kind = amun__rng_below(rng, 5);
        if (kind == 0 && !writable) {
            stride = 0;
        } else if (kind == 1) {
            start += stride * (extent - 1);
            stride = -stride;
        }
        view.shape[axis] = extent;
        view.strides[axis] = stride;
    }
    ck_assert_int_le(step, BUFFER * element);
    view.data = (char *)buffer + start;
    return view;
}

/* Byte offset of element number `flat` (row-major) counted from row `first`. */
static int64_t offset_of(const amun_tensor_view *view, size_t first, int64_t flat)
{
    int64_t offset = view->ndim > 0 ? (int64_t)first * view->strides[0] : 0;
    for (int32_t i = view->ndim; i-- > 0;) {
        int64_t extent = i == 0 ? INT64_MAX : view->shape[i];
        offset += flat % extent * view->strides[i];
        flat /= extent;
    }
    return offset;
}

static int64_t row_size(const amun_tensor_view *view)
{
    int64_t size = 1;
    for (int32_t i = 1; i < view->ndim; i++) {
        size *= view->shape[i];
    }
    return size;
}

static double element_at(const amun_tensor_view *view, int64_t offset)
{
    const char *from = (const char *)view->data + offset;
    switch (view->dtype) {
    case AMUN_DTYPE_F32:
        return *(const float *)(const void *)from;
    case AMUN_DTYPE_F64:
        return *(const double *)(const void *)from;
    case AMUN_DTYPE_U8:
        return *(const uint8_t *)from;
    case AMUN_DTYPE_I32:
        return *(const int32_t *)(const void *)from;
    default:
        return (double)*(const int64_t *)(const void *)from;
    }
}

static void fill(void *buffer, amun_dtype dtype)
{
    for (int32_t i = 0; i < BUFFER; i++) {
        switch (dtype) {
        case AMUN_DTYPE_F32:
            ((float *)buffer)[i] = (float)i + 0.5f;
            break;
        case AMUN_DTYPE_F64:
            ((double *)buffer)[i] = i + 0.25;
            break;
        case AMUN_DTYPE_U8:
            ((uint8_t *)buffer)[i] = (uint8_t)(i * 7);
            break;
        case AMUN_DTYPE_I32:
            ((int32_t *)buffer)[i] = -i;
            break;
        default:
            ((int64_t *)buffer)[i] = -i * INT64_C(3);
        }
    }
}

START_TEST(test_read_any_strides)
{
    static const amun_dtype types[] = {AMUN_DTYPE_F32, AMUN_DTYPE_F64, AMUN_DTYPE_U8,
                                       AMUN_DTYPE_I32, AMUN_DTYPE_I64};
    static double buffer[BUFFER];
    static float floats[BUFFER];
    static int64_t integers[BUFFER];
    amun__rng rng;
    amun__rng_open(&rng, 11, AMUN__RNG_TEST, 0, 0);
    for (int32_t trial = 0; trial < 2000; trial++) {
        amun_dtype dtype = types[trial % 5];
        fill(buffer, dtype);
        amun_tensor_view view = random_view(&rng, buffer, dtype, false);
        size_t count;
        ck_ok(amun__view_check(&view, "view", &count));
        size_t rows = view.ndim == 0 ? 1 : (size_t)view.shape[0];
        size_t first = amun__rng_below(&rng, (uint32_t)rows + 1);
        size_t n = amun__rng_below(&rng, (uint32_t)(rows - first) + 1);
        int64_t elements = (int64_t)n * row_size(&view);
        bool floating = dtype <= AMUN_DTYPE_F64 || dtype == AMUN_DTYPE_U8;
        bool integral = dtype >= AMUN_DTYPE_U8;
        const double scale = 1.0 / 255;
        floats[elements] = -77;
        integers[elements] = -77;
        if (floating) {
            ck_ok(amun__view_read_f32(&view, first, n, scale, floats));
        } else {
            ck_fails(amun__view_read_f32(&view, first, n, scale, floats), AMUN_ERROR_UNSUPPORTED,
                     dtype == AMUN_DTYPE_I32 ? "i32" : "i64");
        }
        if (integral) {
            ck_ok(amun__view_read_i64(&view, first, n, integers));
        } else {
            ck_fails(amun__view_read_i64(&view, first, n, integers), AMUN_ERROR_UNSUPPORTED, "f");
        }
        for (int64_t i = 0; i < elements; i++) {
            double expected = element_at(&view, offset_of(&view, first, i));
            if (floating) {
                ck_assert(floats[i] ==
                          (float)(dtype == AMUN_DTYPE_U8 ? expected * scale : expected));
            }
            if (integral) {
                ck_assert_int_eq(integers[i], (int64_t)expected);
            }
        }
        ck_assert(floats[elements] == -77 && integers[elements] == -77);
    }
}
END_TEST

START_TEST(test_write_any_strides)
{
    static double buffer[BUFFER], before[BUFFER];
    static float floats[BUFFER], back[BUFFER];
    amun__rng rng;
    amun__rng_open(&rng, 12, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < BUFFER; i++) {
        floats[i] = (float)i * 0.125f - 9.0f;
    }
    for (int32_t trial = 0; trial < 1000; trial++) {
        amun_dtype dtype = trial % 2 != 0 ? AMUN_DTYPE_F32 : AMUN_DTYPE_F64;
        fill(buffer, dtype);
        memcpy(before, buffer, sizeof buffer);
        amun_tensor_view view = random_view(&rng, buffer, dtype, true);
        size_t rows = view.ndim == 0 ? 1 : (size_t)view.shape[0];
        size_t first = amun__rng_below(&rng, (uint32_t)rows + 1);
        size_t n = amun__rng_below(&rng, (uint32_t)(rows - first) + 1);
        size_t elements = n * (size_t)row_size(&view);
        ck_ok(amun__view_write_f32(&view, first, n, floats));
        ck_ok(amun__view_read_f32(&view, first, n, 1.0, back));
        ck_assert(memcmp(back, floats, elements * sizeof(float)) == 0);
        /* and nothing else changed: put the old values back and compare everything */
        for (size_t i = 0; i < elements; i++) {
            int64_t offset = offset_of(&view, first, (int64_t)i);
            char *to = (char *)view.data + offset;
            memcpy(to, (char *)before + (to - (char *)buffer), amun_dtype_size(dtype));
        }
        ck_assert(memcmp(before, buffer, sizeof buffer) == 0);
    }
}
END_TEST

START_TEST(test_rows_out_of_range)
{
    static float data[6], out[6];
    const int64_t shape[] = {3, 2};
    amun_tensor_view view = view_of(data, AMUN_DTYPE_F32, 2, shape);
    ck_fails(amun__view_read_f32(&view, 2, 2, 1.0, out), AMUN_ERROR_INVALID_ARGUMENT, "3 rows");
    ck_fails(amun__view_read_f32(&view, 4, 0, 1.0, out), AMUN_ERROR_INVALID_ARGUMENT, "3 rows");
    ck_fails(amun__view_read_f32(&view, 1, SIZE_MAX, 1.0, out), AMUN_ERROR_INVALID_ARGUMENT,
             "3 rows");
    ck_fails(amun__view_write_f32(&view, 2, 2, out), AMUN_ERROR_INVALID_ARGUMENT, "3 rows");
    ck_ok(amun__view_read_f32(&view, 3, 0, 1.0, out));
    view.flags = AMUN_VIEW_READONLY;
    ck_fails(amun__view_write_f32(&view, 0, 1, out), AMUN_ERROR_INVALID_ARGUMENT, "read-only");
    view.flags = 0;
    view.strides[0] = 0;
    ck_fails(amun__view_write_f32(&view, 0, 3, out), AMUN_ERROR_INVALID_ARGUMENT, "stride of 0");
    ck_ok(amun__view_write_f32(&view, 0, 1, out)); /* one row alone is fine */
    view.dtype = AMUN_DTYPE_U8;
    ck_fails(amun__view_write_f32(&view, 0, 1, out), AMUN_ERROR_UNSUPPORTED, "u8");
}
END_TEST

START_TEST(test_overlap)
{
    static float data[100];
    const int64_t ten[] = {10}, none[] = {0};
    amun_tensor_view a = view_of(data, AMUN_DTYPE_F32, 1, ten);
    amun_tensor_view b = view_of(data + 10, AMUN_DTYPE_F32, 1, ten);
    ck_assert(!amun__view_overlap(&a, &b));
    ck_assert(!amun__view_overlap(&b, &a));
    b.data = data + 9;
    ck_assert(amun__view_overlap(&a, &b));
    ck_assert(amun__view_overlap(&b, &a));
    b.data = data + 19; /* backwards from 19 to 10 */
    b.strides[0] = -4;
    ck_assert(!amun__view_overlap(&a, &b));
    b.data = data + 18;
    ck_assert(amun__view_overlap(&a, &b));
    b = view_of(data, AMUN_DTYPE_F32, 1, none);
    ck_assert(!amun__view_overlap(&a, &b));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("tensor");
    tcase_add_test(tc, test_dtype_sizes);
    tcase_add_test(tc, test_init);
    tcase_add_test(tc, test_init_failures);
    tcase_add_test(tc, test_check_failures);
    tcase_add_test(tc, test_dense);
    tcase_add_test(tc, test_read_any_strides);
    tcase_add_test(tc, test_write_any_strides);
    tcase_add_test(tc, test_rows_out_of_range);
    tcase_add_test(tc, test_overlap);
    return amun_test_main("core_tensor", (TCase *[]){tc, NULL});
}
