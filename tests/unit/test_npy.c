/* test_npy.c - NumPy files: what NumPy writes, what we write, and what is refused. */
#include "amun/dataset.h"
#include "io/io.h"
#include "test_files.h"

static test_allocator allocator;
static amun_context *ctx;

static void set_up(void)
{
    ctx = test_context(&allocator);
}

static void tear_down(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
}

/* ---- reader
 * ---------------------------------------------------------------------------------------- */

static _Alignas(64) unsigned char file[1024];

/* Builds a file in `file`: header text padded like NumPy's, then `data` bytes. Returns its size. */
static size_t build(int major, const char *header, size_t data)
{
    size_t begin = major == 1 ? 10 : 12;
    size_t length = strlen(header);
    size_t padded = (begin + length + 1 + 63) / 64 * 64 - begin;
    memset(file, ' ', sizeof file);
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (unsigned char)major;
    file[7] = 0;
    file[8] = (unsigned char)(padded & 0xff);
    file[9] = (unsigned char)(padded >> 8);
    file[10] = file[11] = 0;
    memcpy(file + begin, header, length);
    file[begin + padded - 1] = '\n';
    for (size_t i = 0; i < data; i++) {
        file[begin + padded + i] = (unsigned char)i;
    }
    return begin + padded + data;
}

static amun_status parse(int major, const char *header, size_t data)
{
    amun_tensor_view view;
    size_t size = build(major, header, data);
    return amun__npy_parse(&view, file, size, "case.npy");
}

#define HEADER(descr, order, shape)                                                                \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }"

START_TEST(test_accepts)
{
    amun_tensor_view view;
    size_t size = build(1, HEADER("<f4", "False", "(2, 3)"), 24);
    ck_ok(amun__npy_parse(&view, file, size, "case"));
    ck_assert_int_eq(view.dtype, AMUN_DTYPE_F32);
    ck_assert_int_eq(view.ndim, 2);
    ck_assert_int_eq(view.shape[0], 2);
    ck_assert_int_eq(view.shape[1], 3);
    ck_assert_int_eq(view.strides[0], 12);
    ck_assert_uint_eq(view.flags, AMUN_VIEW_READONLY);
    ck_assert_ptr_eq(view.data, file + size - 24);

    static const struct {
        const char *header;
        size_t data;
        int32_t dtype, ndim;
    } cases[] = {
        {HEADER("|b1", "False", "(3,)"), 3, AMUN_DTYPE_BOOL, 1},
        {HEADER("|u1", "False", "(3,)"), 3, AMUN_DTYPE_U8, 1},
        {HEADER("<u1", "False", "(3,)"), 3, AMUN_DTYPE_U8, 1},
        {HEADER("<i4", "False", "(3,)"), 12, AMUN_DTYPE_I32, 1},
        {HEADER("<i8", "False", "(3,)"), 24, AMUN_DTYPE_I64, 1},
        {HEADER("<f2", "False", "(3,)"), 6, AMUN_DTYPE_F16, 1},
        {HEADER("<f8", "False", "(3,)"), 24, AMUN_DTYPE_F64, 1},
        {HEADER("<f8", "False", "()"), 8, AMUN_DTYPE_F64, 0},
        {HEADER("<f8", "False", "(0, 5)"), 0, AMUN_DTYPE_F64, 2},
        {HEADER("|u1", "True", "(3,)"), 3, AMUN_DTYPE_U8, 1}, /* order says nothing here */
        {HEADER("|u1", "False", "(1, 1, 1, 1, 1, 1, 1, 2)"), 2, AMUN_DTYPE_U8, 8},
        {"{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"|u1\"}", 2, AMUN_DTYPE_U8, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int major = 1; major <= 3; major++) {
            size = build(major, cases[i].header, cases[i].data);
            ck_ok(amun__npy_parse(&view, file, size, cases[i].header));
            ck_assert_int_eq(view.dtype, cases[i].dtype);
            ck_assert_int_eq(view.ndim, cases[i].ndim);
        }
    }
}
END_TEST

START_TEST(test_refuses)
{
    static const struct {
        const char *header;
        size_t data;
        amun_status status;
        const char *part;
    } cases[] = {
        {HEADER("<f4", "True", "(2, 3)"), 24, AMUN_ERROR_UNSUPPORTED, "Fortran order"},
        {HEADER("|O", "False", "(2,)"), 16, AMUN_ERROR_UNSUPPORTED, "'|O'"},
        {HEADER(">f4", "False", "(2,)"), 8, AMUN_ERROR_UNSUPPORTED, "'>f4'"},
        {HEADER("<u4", "False", "(2,)"), 8, AMUN_ERROR_UNSUPPORTED, "'<u4'"},
        {HEADER("|f4", "False", "(2,)"), 8, AMUN_ERROR_UNSUPPORTED, "'|f4'"},
        {HEADER("", "False", "(2,)"), 8, AMUN_ERROR_UNSUPPORTED, "''"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8,
         AMUN_ERROR_UNSUPPORTED, "structured"},
        {HEADER("<f4", "False", "(1,1,1,1,1,1,1,1,1)"), 4, AMUN_ERROR_UNSUPPORTED, "8 dim"},
        {HEADER("<f4", "Maybe", "(2,)"), 8, AMUN_ERROR_FORMAT, "True or False"},
        {HEADER("<f4", "False", "(2)"), 8, AMUN_ERROR_FORMAT, "comma"},
        {HEADER("<f4", "False", "(2,,)"), 8, AMUN_ERROR_FORMAT, "extent"},
        {HEADER("<f4", "False", "(-2,)"), 8, AMUN_ERROR_FORMAT, "extent"},
        {HEADER("<f4", "False", "2"), 8, AMUN_ERROR_FORMAT, "parentheses"},
        {HEADER("<f4", "False", "(2, 3"), 24, AMUN_ERROR_FORMAT, "expected"},
        {HEADER("<f4", "False", "(99999999999999999999,)"), 8, AMUN_ERROR_FORMAT, "above"},
        {HEADER("<f4", "False", "(4611686018427387904, 8)"), 8, AMUN_ERROR_FORMAT, "overflow"},
        {HEADER("|u1", "False", "(0, 9223372036854775807, 9)"), 0, AMUN_ERROR_FORMAT, "case.npy"},
        {HEADER("<f4", "False", "(2, 3)"), 23, AMUN_ERROR_FORMAT,
         "need 24 bytes of data, the file has 23"},
        {HEADER("<f4", "False", "(2, 3)"), 25, AMUN_ERROR_FORMAT, "has 25"},
        {"{'descr': '<f4', 'shape': (2,), }", 8, AMUN_ERROR_FORMAT, "lacks 'fortran_order'"},
        {"{'fortran_order': False, 'shape': (2,), }", 8, AMUN_ERROR_FORMAT, "lacks 'descr'"},
        {"{'descr': '<f4', 'fortran_order': False}", 8, AMUN_ERROR_FORMAT, "lacks 'shape'"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8,
         AMUN_ERROR_FORMAT, "'descr' is repeated"},
        {"{'colour': 1}", 8, AMUN_ERROR_FORMAT, "'colour' is unknown"},
        {"{'descr' '<f4'}", 8, AMUN_ERROR_FORMAT, "colon"},
        {"{'descr", 8, AMUN_ERROR_FORMAT, "quote"},
        {"{descr: 1}", 8, AMUN_ERROR_FORMAT, "quoted"},
        {HEADER("<f4", "False", "(2,)") " x", 8, AMUN_ERROR_FORMAT, "nothing more"},
        {"[]", 8, AMUN_ERROR_FORMAT, "dict"},
        {"", 8, AMUN_ERROR_FORMAT, "dict"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_fails(parse(1, cases[i].header, cases[i].data), cases[i].status, cases[i].part);
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "case.npy"));
    }
    ck_fails(parse(4, HEADER("<f4", "False", "(2,)"), 8), AMUN_ERROR_UNSUPPORTED, "4.0");
    amun_tensor_view view;
    size_t size = build(1, HEADER("<f4", "False", "(2,)"), 8);
    file[7] = 1;
    ck_fails(amun__npy_parse(&view, file, size, "case"), AMUN_ERROR_UNSUPPORTED, "1.1");
    size = build(1, HEADER("<f4", "False", "(2,)"), 8);
    ck_fails(amun__npy_parse(&view, file + 1, size - 1, "case"), AMUN_ERROR_FORMAT, "4e 55 4d");
    size = build(2, HEADER("<f4", "False", "(2,)"), 8);
    file[11] = 0x7f; /* a header of 2 GB */
    ck_fails(amun__npy_parse(&view, file, size, "case"), AMUN_ERROR_FORMAT, "limit");
    size = build(1, HEADER("<f4", "False", "(2,)"), 8);
    file[9] = 4;
    ck_fails(amun__npy_parse(&view, file, size, "case"), AMUN_ERROR_FORMAT, "truncated");
    ck_assert_int_eq(view.ndim, 0);
    ck_assert_ptr_null(view.data);
}
END_TEST

/* Each damaged copy lies in memory of its exact size. */
START_TEST(test_damage)
{
    amun_tensor_view view;
    size_t size = build(1, HEADER("<f4", "False", "(2, 3)"), 24);
    for (size_t keep = 0; keep < size; keep++) {
        unsigned char *part = malloc(keep + (keep == 0));
        memcpy(part, file, keep);
        ck_fails(amun__npy_parse(&view, part, keep, "cut"), AMUN_ERROR_FORMAT, "cut");
        free(part);
    }
    for (size_t bit = 0; bit < (size - 24) * 8; bit++) {
        unsigned char *bad = malloc(size);
        memcpy(bad, file, size);
        bad[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        amun_status status = amun__npy_parse(&view, bad, size, "flip");
        ck_assert(status == AMUN_OK || status == AMUN_ERROR_FORMAT ||
                  status == AMUN_ERROR_UNSUPPORTED);
        free(bad);
    }
}
END_TEST

/* Data that starts at an odd byte is legal NumPy, but not a legal view. */
START_TEST(test_unaligned)
{
    amun_tensor_view view;
    static const char header[] = HEADER("<f4", "False", "(2,)");
    size_t length = sizeof header - 1;
    length += (length + 10) % 2 == 0; /* make the offset odd */
    memset(file, ' ', sizeof file);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (unsigned char)length;
    file[9] = 0;
    memcpy(file + 10, header, sizeof header - 1);
    ck_fails(amun__npy_parse(&view, file, 10 + length + 8, "case"), AMUN_ERROR_UNSUPPORTED,
             "not aligned");
}
END_TEST

/* ---- writer
 * ---------------------------------------------------------------------------------------- */

START_TEST(test_writer_bytes)
{
    TEST_FILE(path, "npy_bytes.npy");
    float values[6] = {0, 1, 2, 3, 4, 5};
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, values, AMUN_DTYPE_F32, 2, (int64_t[]){2, 3}));
    ck_ok(amun_npy_write(ctx, path, &view));
    unsigned char expected[128 + 24];
    memset(expected, ' ', sizeof expected);
    memcpy(expected, "\x93NUMPY\1\0\x76\0", 10); /* 118 + 10 = 128 */
    static const char header[] = HEADER("<f4", "False", "(2, 3)");
    memcpy(expected + 10, header, sizeof header - 1);
    expected[127] = '\n';
    memcpy(expected + 128, values, sizeof values);
    check_file(path, expected, sizeof expected);
}
END_TEST

static void check_round_trip(const amun_tensor_view *view, const void *dense, size_t bytes)
{
    TEST_FILE(path, "npy_round.npy");
    amun__mapping mapping;
    amun_tensor_view back;
    ck_ok(amun_npy_write(ctx, path, view));
    ck_ok(amun__file_map(&mapping, path));
    ck_ok(amun__npy_parse(&back, mapping.data, mapping.size, path));
    ck_assert_int_eq(back.dtype, view->dtype);
    ck_assert_int_eq(back.ndim, view->ndim);
    for (int32_t i = 0; i < view->ndim; i++) {
        ck_assert_int_eq(back.shape[i], view->shape[i]);
    }
    ck_assert_int_eq(memcmp(back.data, dense, bytes), 0);
    ck_assert_uint_eq((uintptr_t)back.data % 64, 0);
    amun__file_unmap(&mapping);
}

START_TEST(test_writer_round_trip)
{
    static _Alignas(8) unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 37);
    }
    static const int32_t dtypes[] = {AMUN_DTYPE_BOOL, AMUN_DTYPE_U8,  AMUN_DTYPE_I32,
                                     AMUN_DTYPE_I64,  AMUN_DTYPE_F16, AMUN_DTYPE_F32,
                                     AMUN_DTYPE_F64};
    amun_tensor_view view;
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        ck_ok(amun_tensor_view_init(&view, bytes, dtypes[i], 3, (int64_t[]){2, 1, 3}));
        check_round_trip(&view, bytes, 6 * amun_dtype_size(dtypes[i]));
        ck_ok(amun_tensor_view_init(&view, bytes, dtypes[i], 0, NULL));
        check_round_trip(&view, bytes, amun_dtype_size(dtypes[i]));
        ck_ok(amun_tensor_view_init(&view, bytes, dtypes[i], 1, (int64_t[]){5}));
        check_round_trip(&view, bytes, 5 * amun_dtype_size(dtypes[i]));
        ck_ok(amun_tensor_view_init(&view, NULL, dtypes[i], 2, (int64_t[]){0, 3}));
        check_round_trip(&view, bytes, 0);
    }
    /* transposed and reversed views are written in C order */
    static int32_t grid[2][3] = {{1, 2, 3}, {4, 5, 6}};
    ck_ok(amun_tensor_view_init(&view, grid, AMUN_DTYPE_I32, 2, (int64_t[]){3, 2}));
    view.strides[0] = 4;
    view.strides[1] = 12;
    check_round_trip(&view, (int32_t[]){1, 4, 2, 5, 3, 6}, 24);
    view.data = &grid[1][2];
    view.strides[0] = -4;
    view.strides[1] = -12;
    check_round_trip(&view, (int32_t[]){6, 3, 5, 2, 4, 1}, 24);
    view.data = &grid[0][1];
    view.strides[0] = 0;
    view.strides[1] = 12;
    check_round_trip(&view, (int32_t[]){2, 5, 2, 5, 2, 5}, 24);
}
END_TEST

START_TEST(test_writer_refuses)
{
    TEST_FILE(path, "npy_refused.npy");
    float values[6] = {0};
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, values, AMUN_DTYPE_BF16, 1, (int64_t[]){2}));
    ck_fails(amun_npy_write(ctx, path, &view), AMUN_ERROR_UNSUPPORTED, "dtype 4");
    view.dtype = 99;
    ck_fails(amun_npy_write(ctx, path, &view), AMUN_ERROR_INVALID_ARGUMENT, "99");
    view.dtype = AMUN_DTYPE_F32;
    view.shape[0] = -1;
    ck_fails(amun_npy_write(ctx, path, &view), AMUN_ERROR_SHAPE, "-1");
    ck_fails(amun_npy_write(ctx, path, NULL), AMUN_ERROR_INVALID_ARGUMENT, "view is NULL");
    ck_fails(amun_npy_write(ctx, NULL, &view), AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    ck_fails(amun_npy_write(NULL, path, &view), AMUN_ERROR_INVALID_ARGUMENT, "ctx is NULL");
    ck_assert(!amun__file_exists(path));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("npy");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_accepts);
    tcase_add_test(tc, test_refuses);
    tcase_add_test(tc, test_damage);
    tcase_add_test(tc, test_unaligned);
    tcase_add_test(tc, test_writer_bytes);
    tcase_add_test(tc, test_writer_round_trip);
    tcase_add_test(tc, test_writer_refuses);
    return amun_test_main("npy", (TCase *[]){tc, NULL});
}
