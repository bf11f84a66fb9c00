/* test_safetensors.c - the writer byte for byte, the reader against good and broken files. */
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
    ck_assert_int_eq(allocator.wrong, 0);
}

/* ---- writer
 * ---------------------------------------------------------------------------------------- */

static amun__st_tensor tensor(const char *name, int32_t dtype, const void *data, int32_t ndim,
                              int64_t a, int64_t b)
{
    amun__st_tensor out = {.name = name,
                           .dtype = dtype,
                           .ndim = ndim,
                           .shape = {a, b},
                           .data = data,
                           .bytes = amun_dtype_size(dtype)};
    for (int32_t i = 0; i < ndim; i++) {
        out.bytes *= (size_t)out.shape[i];
    }
    return out;
}

/* The expected text was worked out by hand from the reference's rules: metadata first, then I64,
 * F64, F32, I32, BF16, F16, U8, BOOL, names ascending; serde's compact JSON; spaces up to 8. */
START_TEST(test_writer_bytes)
{
    TEST_FILE(path, "st_writer.safetensors");
    static const float f32[4] = {1.0f, -2.5f, 0.0f, 3.0e8f};
    static const double f64[1] = {0.1};
    static const int64_t i64[1] = {-7};
    static const int32_t i32[2] = {5, -6};
    static const uint16_t half[3] = {1, 2, 3};
    static const uint8_t u8[3] = {9, 8, 7};
    const amun__st_tensor tensors[] = {
        tensor("z", AMUN_DTYPE_F32, f32, 2, 2, 2),
        tensor("flag", AMUN_DTYPE_BOOL, u8, 0, 0, 0),
        tensor("a.half", AMUN_DTYPE_F16, half, 1, 3, 0),
        tensor("byte", AMUN_DTYPE_U8, u8, 1, 3, 0),
        tensor("b\"\\\n\xc3\xa9", AMUN_DTYPE_F32, f32, 1, 0, 0),
        tensor("d", AMUN_DTYPE_F64, f64, 1, 1, 0),
        tensor("n", AMUN_DTYPE_I64, i64, 0, 0, 0),
        tensor("i", AMUN_DTYPE_I32, i32, 1, 2, 0),
        tensor("brain", AMUN_DTYPE_BF16, half, 1, 2, 0),
    };
    json_t *metadata = json_pack("{s:s, s:s}", "z", "last", "amun.format", "1");
    ck_ok(amun__safetensors_write(ctx, path, tensors, 9, metadata));
    json_decref(metadata);

    static const char header[] =
        "{\"__metadata__\":{\"amun.format\":\"1\",\"z\":\"last\"},"
        "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]},"
        "\"b\\\"\\\\\\n\xc3\xa9\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[16,16]},"
        "\"z\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[16,32]},"
        "\"i\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[32,40]},"
        "\"brain\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[40,44]},"
        "\"a.half\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[44,50]},"
        "\"byte\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[50,53]},"
        "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[53,54]}}";
    unsigned char expected[2048];
    size_t length = (sizeof header - 1 + 7) / 8 * 8;
    memset(expected, ' ', sizeof expected);
    const unsigned char field[8] = {(unsigned char)(length & 0xff), (unsigned char)(length >> 8)};
    memcpy(expected, field, 8);
    memcpy(expected + 8, header, sizeof header - 1);
    unsigned char *at = expected + 8 + length;
    memcpy(at, i64, 8);
    memcpy(at + 8, f64, 8);
    memcpy(at + 16, f32, 16);
    memcpy(at + 32, i32, 8);
    memcpy(at + 40, half, 4);
    memcpy(at + 44, half, 6);
    memcpy(at + 50, u8, 3);
    memcpy(at + 53, u8, 1);
    check_file(path, expected, 8 + length + 54);

    /* and back */
    amun__safetensors *file = NULL;
    ck_ok(amun__safetensors_open(&file, ctx, path));
    ck_assert_uint_eq(file->count, 9);
    ck_assert_str_eq(file->tensors[0].name, "n");
    ck_assert_str_eq(amun__safetensors_meta(file, "amun.format"), "1");
    ck_assert_ptr_null(amun__safetensors_meta(file, "amun.forma"));
    ck_assert_ptr_null(amun__safetensors_find(file, "__metadata__"));
    for (size_t i = 0; i < 9; i++) {
        const amun__st_tensor *found = amun__safetensors_find(file, tensors[i].name);
        ck_assert_ptr_nonnull(found);
        ck_assert_int_eq(found->dtype, tensors[i].dtype);
        ck_assert_int_eq(found->ndim, tensors[i].ndim);
        ck_assert_uint_eq(found->bytes, tensors[i].bytes);
        ck_assert_int_eq(memcmp(found->shape, tensors[i].shape, sizeof found->shape), 0);
        ck_assert_int_eq(memcmp(found->data, tensors[i].data, found->bytes), 0);
    }
    amun__safetensors_close(file);
}
END_TEST

START_TEST(test_writer_empty)
{
    TEST_FILE(path, "st_empty.safetensors");
    ck_ok(amun__safetensors_write(ctx, path, NULL, 0, NULL));
    check_file(path, "\x08\0\0\0\0\0\0\0{}      ", 16);
    amun__safetensors *file = NULL;
    ck_ok(amun__safetensors_open(&file, ctx, path));
    ck_assert_uint_eq(file->count, 0);
    ck_assert_ptr_null(amun__safetensors_meta(file, "x"));
    ck_assert_ptr_null(amun__safetensors_find(file, "x"));
    amun__safetensors_close(file);
    amun__safetensors_close(NULL);
}
END_TEST

START_TEST(test_writer_refuses)
{
    TEST_FILE(path, "st_refused.safetensors");
    static const float values[2] = {0};
    amun__st_tensor two[2] = {tensor("a", AMUN_DTYPE_F32, values, 1, 2, 0),
                              tensor("a", AMUN_DTYPE_F64, values, 1, 1, 0)};
    ck_fails(amun__safetensors_write(ctx, path, two, 2, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "'a' is there twice");
    two[0].name = "__metadata__";
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "__metadata__");
    two[0].name = NULL;
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    two[0].name = "\xff";
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "UTF-8");
    two[0].name = "a";
    two[0].bytes = 7;
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_SHAPE, "7 bytes");
    two[0].bytes = 8;
    two[0].dtype = 77;
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT, "77");
    two[0].dtype = AMUN_DTYPE_F32;
    two[0].ndim = 9;
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_SHAPE, "9 dimensions");
    two[0].ndim = 1;
    two[0].shape[0] = -2;
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_SHAPE, "'a'");
    two[0].shape[0] = 2;
    two[0].data = NULL;
    ck_fails(amun__safetensors_write(ctx, path, two, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    two[0].data = values;
    json_t *metadata = json_pack("{s:i}", "number", 1);
    ck_fails(amun__safetensors_write(ctx, path, two, 1, metadata), AMUN_ERROR_INVALID_ARGUMENT,
             "'number'");
    json_decref(metadata);
    ck_assert(!amun__file_exists(path));
}
END_TEST

/* ---- reader
 * ---------------------------------------------------------------------------------------- */

/* A file made of its parts: header text (whose length is written as `claimed` if that is not 0)
 * and `data` bytes 0, 1, 2 ... In memory of its exact size, so that ASan sees any step outside. */
static amun_status parse(const char *header, size_t claimed, size_t data)
{
    size_t length = strlen(header);
    uint64_t field = claimed != 0 ? claimed : length;
    unsigned char *bytes = malloc(8 + length + data);
    memcpy(bytes, &field, 8);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data; i++) {
        bytes[8 + length + i] = (unsigned char)i;
    }
    amun__safetensors *file = NULL;
    amun_status status = amun__safetensors_parse(&file, ctx, bytes, 8 + length + data, "bad.st");
    ck_assert((status == AMUN_OK) == (file != NULL));
    amun__safetensors_close(file);
    free(bytes);
    return status;
}

#define ENTRY(dtype, shape, begin, end)                                                            \
    "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

START_TEST(test_reader_accepts)
{
    ck_ok(parse("{}", 0, 0));
    ck_ok(parse("{\"__metadata__\":{}}", 0, 0));
    ck_ok(parse("{\"a\":" ENTRY("F32", "2", 0, 8) "}      ", 0, 8)); /* padding */
    /* any order in the header, empty tensors anywhere, unaligned data */
    ck_ok(parse("{\"b\":" ENTRY("F32", "1", 3, 7) ",\"a\":" ENTRY("U8", "3", 0, 3) "}", 0, 7));
    ck_ok(parse("{\"a\":" ENTRY("U8", "3", 0, 3) ",\"z\":" ENTRY("F32", "0,5", 3, 3) "}", 0, 3));
    ck_ok(parse("{\"a\":" ENTRY("U8", "3", 0, 3) ",\"A\":" ENTRY("F32", "0", 0, 0) "}", 0, 3));
    ck_ok(parse("{\"s\":" ENTRY("I64", "", 0, 8) "}", 0, 8)); /* a scalar */
    ck_ok(parse("{\"s\":" ENTRY("BOOL", "1,1,1,1,1,1,1,1", 0, 1) "}", 0, 1));
}
END_TEST

START_TEST(test_reader_order_and_views)
{
    static const char header[] =
        "{\"b\":" ENTRY("F32", "1", 4, 8) ",\"a\":" ENTRY("U8", "2,2", 0, 4) "}";
    unsigned char bytes[8 + sizeof header - 1 + 8] = {sizeof header - 1};
    memcpy(bytes + 8, header, sizeof header - 1);
    amun__safetensors *file = NULL;
    ck_ok(amun__safetensors_parse(&file, ctx, bytes, sizeof bytes, "x"));
    ck_assert_str_eq(file->tensors[0].name, "a");
    ck_assert_str_eq(file->tensors[1].name, "b");
    ck_assert_ptr_eq(file->tensors[1].data, bytes + sizeof bytes - 4);
    ck_assert_int_eq(file->tensors[0].ndim, 2);
    ck_assert_int_eq(file->tensors[0].shape[1], 2);
    amun__safetensors_close(file);
}
END_TEST

START_TEST(test_reader_refuses_frame)
{
    amun__safetensors *file = NULL;
    ck_fails(amun__safetensors_parse(&file, ctx, "", 0, "bad.st"), AMUN_ERROR_FORMAT, "0 bytes");
    ck_fails(amun__safetensors_parse(&file, ctx, "\2\0\0\0\0\0\0", 7, "bad.st"), AMUN_ERROR_FORMAT,
             "7 bytes");
    ck_fails(amun__safetensors_parse(&file, ctx, "\2\0\0\0\0\0\0\0", 8, "bad.st"),
             AMUN_ERROR_FORMAT, "truncated");
    ck_fails(parse("{}", 1, 0), AMUN_ERROR_FORMAT, "header of 1 bytes");
    ck_fails(parse("{}", 3, 0), AMUN_ERROR_FORMAT, "truncated");
    ck_fails(parse("{}", (16u << 20) + 1, 0), AMUN_ERROR_FORMAT, "16777217");
    ck_fails(parse("{}", SIZE_MAX, 0), AMUN_ERROR_FORMAT, "18446744073709551615");
    ck_fails(parse(" {}", 0, 0), AMUN_ERROR_FORMAT, "0x20");
    ck_fails(parse("[]", 0, 0), AMUN_ERROR_FORMAT, "0x5b");
    ck_fails(parse("{} x", 0, 0), AMUN_ERROR_FORMAT, "JSON");
    ck_fails(parse("{\"a\":", 0, 0), AMUN_ERROR_FORMAT, "JSON");
    ck_fails(parse("{\"a\":[[[[[[[[[]]]]]]]]]}", 0, 0), AMUN_ERROR_FORMAT, "deeper");
    TEST_FILE(missing, "st_missing.safetensors");
    ck_fails(amun__safetensors_open(&file, ctx, missing), AMUN_ERROR_NOT_FOUND, "st_missing");
    ck_assert_ptr_null(file);
}
END_TEST

START_TEST(test_reader_refuses_entries)
{
    static const struct {
        const char *header;
        size_t data;
        amun_status status;
        const char *part;
    } cases[] = {
        {"{\"a\":" ENTRY("U8", "1", 0, 1) ",\"a\":" ENTRY("U8", "1", 1, 2) "}", 2,
         AMUN_ERROR_FORMAT, "duplicate"},
        {"{\"a\":1}", 0, AMUN_ERROR_FORMAT, "'a' is not a JSON object"},
        {"{\"__metadata__\":[]}", 0, AMUN_ERROR_FORMAT, "__metadata__"},
        {"{\"__metadata__\":{\"k\":1}}", 0, AMUN_ERROR_FORMAT, "'k' is not a string"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, AMUN_ERROR_FORMAT, "no dtype"},
        {"{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, AMUN_ERROR_FORMAT,
         "dtype"},
        {"{\"a\":" ENTRY("F31", "1", 0, 4) "}", 4, AMUN_ERROR_FORMAT, "'F31'"},
        {"{\"a\":" ENTRY("f32", "1", 0, 4) "}", 4, AMUN_ERROR_FORMAT, "'f32'"},
        {"{\"a\":" ENTRY("U64", "1", 0, 8) "}", 8, AMUN_ERROR_UNSUPPORTED, "U64"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, AMUN_ERROR_FORMAT, "no shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, AMUN_ERROR_FORMAT,
         "shape"},
        {"{\"a\":" ENTRY("U8", "1.0", 0, 1) "}", 1, AMUN_ERROR_FORMAT, "extent 0"},
        {"{\"a\":" ENTRY("U8", "1,-1", 0, 1) "}", 1, AMUN_ERROR_FORMAT, "extent 1"},
        {"{\"a\":" ENTRY("U8", "1,1,1,1,1,1,1,1,1", 0, 1) "}", 1, AMUN_ERROR_UNSUPPORTED, "9 dim"},
        {"{\"a\":" ENTRY("F32", "4611686018427387904,2", 0, 0) "}", 0, AMUN_ERROR_FORMAT,
         "overflow"},
        {"{\"a\":" ENTRY("U8", "9223372036854775807,2", 0, 1) "}", 1, AMUN_ERROR_FORMAT, "need"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, AMUN_ERROR_FORMAT, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, AMUN_ERROR_FORMAT,
         "two"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, AMUN_ERROR_FORMAT,
         "two"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1.0]}}", 1, AMUN_ERROR_FORMAT,
         "two"},
        {"{\"a\":" ENTRY("U8", "1", -1, 0) "}", 1, AMUN_ERROR_FORMAT, "-1..0"},
        {"{\"a\":" ENTRY("U8", "1", 1, 0) "}", 1, AMUN_ERROR_FORMAT, "1..0"},
        {"{\"a\":" ENTRY("U8", "2", 0, 2) "}", 1, AMUN_ERROR_FORMAT, "outside the 1 bytes"},
        {"{\"a\":" ENTRY("U8", "1", 0, 9223372036854775807) "}", 1, AMUN_ERROR_FORMAT, "outside"},
        {"{\"a\":" ENTRY("F32", "2", 0, 4) "}", 4, AMUN_ERROR_FORMAT,
         "need 8 bytes, the offsets give 4"},
        {"{\"a\":" ENTRY("F64", "1", 0, 4) "}", 4, AMUN_ERROR_FORMAT, "need 8"},
        /* a hole in front, between and behind; overlaps */
        {"{\"a\":" ENTRY("U8", "1", 1, 2) "}", 2, AMUN_ERROR_FORMAT, "expected 0 (hole)"},
        {"{\"a\":" ENTRY("U8", "1", 0, 1) ",\"b\":" ENTRY("U8", "1", 2, 3) "}", 3,
         AMUN_ERROR_FORMAT, "'b' begins at byte 2 of the data, expected 1 (hole)"},
        {"{\"a\":" ENTRY("U8", "1", 0, 1) "}", 2, AMUN_ERROR_FORMAT, "end at byte 1"},
        {"{}", 1, AMUN_ERROR_FORMAT, "end at byte 0"},
        {"{\"a\":" ENTRY("U8", "2", 0, 2) ",\"b\":" ENTRY("U8", "2", 1, 3) "}", 3,
         AMUN_ERROR_FORMAT, "(overlap)"},
        {"{\"a\":" ENTRY("U8", "2", 0, 2) ",\"b\":" ENTRY("U8", "2", 0, 2) "}", 2,
         AMUN_ERROR_FORMAT, "(overlap)"},
        {"{\"a\":" ENTRY("U8", "3", 0, 3) ",\"b\":" ENTRY("U8", "0", 1, 1) "}", 3,
         AMUN_ERROR_FORMAT, "(overlap)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_fails(parse(cases[i].header, 0, cases[i].data), cases[i].status, cases[i].part);
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "bad.st: "));
    }
}
END_TEST

/* Every truncation is refused; a flipped bit is refused or changes what is read, never crashes. */
START_TEST(test_reader_damage)
{
    TEST_FILE(path, "st_damage.safetensors");
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    const amun__st_tensor tensors[] = {tensor("layer.weight", AMUN_DTYPE_F32, values, 2, 2, 3),
                                       tensor("layer.bias", AMUN_DTYPE_F32, values, 1, 2, 0),
                                       tensor("steps", AMUN_DTYPE_I64, values, 0, 0, 0)};
    json_t *metadata = json_pack("{s:s}", "amun.format", "1");
    ck_ok(amun__safetensors_write(ctx, path, tensors, 3, metadata));
    json_decref(metadata);
    size_t size = 0;
    unsigned char *good = get_file(path, &size);
    amun__safetensors *file = NULL;
    for (size_t keep = 0; keep < size; keep++) {
        unsigned char *part = malloc(keep + (keep == 0));
        memcpy(part, good, keep);
        amun_status status = amun__safetensors_parse(&file, ctx, part, keep, "cut");
        ck_assert_msg(status == AMUN_ERROR_FORMAT, "cut to %zu of %zu bytes: %d", keep, size,
                      (int)status);
        ck_assert_str_ne(amun_last_error_message(), "");
        free(part);
    }
    uint64_t length = 0;
    memcpy(&length, good, 8);
    for (size_t bit = 0; bit < (8 + length) * 8; bit++) {
        unsigned char *bad = malloc(size);
        memcpy(bad, good, size);
        bad[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        amun_status status = amun__safetensors_parse(&file, ctx, bad, size, "flip");
        ck_assert(status == AMUN_OK || status == AMUN_ERROR_FORMAT ||
                  status == AMUN_ERROR_UNSUPPORTED);
        if (bit < 64) {
            ck_assert_int_eq(status, AMUN_ERROR_FORMAT); /* the length field has no slack */
        }
        if (status == AMUN_OK) { /* what is read is inside the file */
            for (size_t i = 0; i < file->count; i++) {
                const unsigned char *data = file->tensors[i].data;
                ck_assert(data >= bad && data + file->tensors[i].bytes <= bad + size);
            }
        }
        amun__safetensors_close(file);
        free(bad);
    }
    free(good);
}
END_TEST

START_TEST(test_out_of_memory)
{
    TEST_FILE(path, "st_memory.safetensors");
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    const amun__st_tensor tensors[] = {tensor("w", AMUN_DTYPE_F32, values, 2, 2, 3)};
    json_t *metadata = json_pack("{s:s}", "a", "b");
    int failures = 0;
    for (int n = 1;; n++) {
        amun__safetensors *file = NULL;
        allocator.fail_at = n;
        amun_status status = amun__safetensors_write(ctx, path, tensors, 1, metadata);
        if (status == AMUN_OK) {
            status = amun__safetensors_open(&file, ctx, path);
        }
        amun__safetensors_close(file);
        if (status == AMUN_OK) {
            break;
        }
        ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
        failures++;
    }
    allocator.fail_at = 0;
    ck_assert_int_ge(failures, 5);
    json_decref(metadata);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("safetensors");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_writer_bytes);
    tcase_add_test(tc, test_writer_empty);
    tcase_add_test(tc, test_writer_refuses);
    tcase_add_test(tc, test_reader_accepts);
    tcase_add_test(tc, test_reader_order_and_views);
    tcase_add_test(tc, test_reader_refuses_frame);
    tcase_add_test(tc, test_reader_refuses_entries);
    tcase_add_test(tc, test_reader_damage);
    tcase_add_test(tc, test_out_of_memory);
    return amun_test_main("safetensors", (TCase *[]){tc, NULL});
}
