/* test_formats.c - CIFAR, IDX and NPY files as data sets; the digits; damaged files. */
#include <unistd.h>

#include "data/storage.h"
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

/* ---- CIFAR
 * ----------------------------------------------------------------------------------------- */

enum { PIXELS = 3072 };

/* The pixel of a made-up file: depends on file, record and place. */
static uint8_t pixel(size_t file, size_t record, size_t at)
{
    return (uint8_t)(file * 97 + record * 31 + at * 7 + at / 1024);
}

static void put_cifar(const char *path, size_t label_bytes, size_t file, size_t records)
{
    size_t size = records * (label_bytes + PIXELS);
    uint8_t *data = malloc(size + 1);
    uint8_t *at = data;
    for (size_t r = 0; r < records; r++) {
        if (label_bytes == 2) {
            *at++ = (uint8_t)(r % 20);
        }
        *at++ = (uint8_t)((file * 3 + r) % (label_bytes == 2 ? 100 : 10));
        for (size_t k = 0; k < PIXELS; k++) {
            *at++ = pixel(file, r, k);
        }
    }
    put_file(path, data, size);
    free(data);
}

static void check_cifar(amun_dataset *ds, size_t index, size_t file, size_t record, int64_t label)
{
    float image[PIXELS];
    int64_t got = -1;
    ck_ok(amun_dataset_read(ds, index, 1, image));
    ck_ok(amun_dataset_labels(ds, index, 1, &got));
    ck_assert_int_eq(got, label);
    int wrong = 0;
    for (size_t k = 0; k < PIXELS; k++) {
        wrong += image[k] != (float)pixel(file, record, k) / 255.0f;
    }
    ck_assert_int_eq(wrong, 0);
}

START_TEST(test_cifar10)
{
    TEST_FILE(folder, "cifar10");
    ck_ok(amun__file_make_dir(folder));
    char name[64];
    for (size_t f = 1; f <= 5; f++) {
        snprintf(name, sizeof name, "cifar10/data_batch_%zu.bin", f);
        put_cifar(test_path(name), 1, f, f + 1);
    }
    TEST_FILE(test_file, "cifar10/test_batch.bin");
    put_cifar(test_file, 1, 9, 12);

    amun_dataset *ds = NULL;
    ck_ok(amun_dataset_open_cifar10(&ds, ctx, folder, "train"));
    ck_assert_uint_eq(amun_dataset_count(ds), 2 + 3 + 4 + 5 + 6);
    ck_assert_int_eq(amun_dataset_classes(ds), 10);
    int64_t shape[3];
    ck_ok(amun_dataset_shape(ds, shape));
    ck_assert(shape[0] == 3 && shape[1] == 32 && shape[2] == 32);
    size_t index = 0;
    for (size_t f = 1; f <= 5; f++) {
        for (size_t r = 0; r <= f; r++) {
            check_cifar(ds, index++, f, r, (int64_t)((f * 3 + r) % 10));
        }
    }
    amun_dataset_unref(ds);
    ck_ok(amun_dataset_open_cifar10(&ds, ctx, folder, "test"));
    ck_assert_uint_eq(amun_dataset_count(ds), 12);
    amun_dataset_unref(ds);
    ck_ok(amun_dataset_open_cifar10(&ds, ctx, test_file, NULL)); /* one file, any split */
    ck_assert_uint_eq(amun_dataset_count(ds), 12);
    check_cifar(ds, 11, 9, 11, 8);
    amun_dataset_unref(ds);

    ck_fails(amun_dataset_open_cifar10(&ds, ctx, folder, "tset"), AMUN_ERROR_INVALID_ARGUMENT,
             "'tset'");
    ck_fails(amun_dataset_open_cifar10(&ds, ctx, folder, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "NULL");
    TEST_FILE(third, "cifar10/data_batch_3.bin");
    unlink(third);
    ck_fails(amun_dataset_open_cifar10(&ds, ctx, folder, "train"), AMUN_ERROR_NOT_FOUND,
             "data_batch_3.bin");
    ck_assert_ptr_null(ds);
}
END_TEST

START_TEST(test_cifar100)
{
    TEST_FILE(folder, "cifar100");
    ck_ok(amun__file_make_dir(folder));
    TEST_FILE(train, "cifar100/train.bin");
    TEST_FILE(test, "cifar100/test.bin");
    put_cifar(train, 2, 1, 99);
    put_cifar(test, 2, 2, 3);
    amun_dataset *ds = NULL;
    ck_ok(amun_dataset_open_cifar100(&ds, ctx, folder, "train"));
    ck_assert_uint_eq(amun_dataset_count(ds), 99);
    ck_assert_int_eq(amun_dataset_classes(ds), 100);
    check_cifar(ds, 98, 1, 98, 1);
    check_cifar(ds, 50, 1, 50, 53);
    amun_dataset_unref(ds);
    ck_ok(amun_dataset_open_cifar100(&ds, ctx, folder, "test"));
    check_cifar(ds, 2, 2, 2, 8);
    amun_dataset_unref(ds);
}
END_TEST

START_TEST(test_cifar_refuses)
{
    TEST_FILE(path, "cifar_bad.bin");
    amun_dataset *ds = NULL;
    static uint8_t data[3 * 3073];
    data[2 * 3073] = 10;
    put_file(path, data, sizeof data);
    ck_fails(amun_dataset_open_cifar10(&ds, ctx, path, NULL), AMUN_ERROR_FORMAT,
             "label 10 of record 2 is outside 0..9");
    data[2 * 3073] = 9;
    put_file(path, data, sizeof data - 1);
    ck_fails(amun_dataset_open_cifar10(&ds, ctx, path, NULL), AMUN_ERROR_FORMAT,
             "9218 bytes are not a whole number of records of 3073 bytes");
    ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "cifar_bad.bin"));
    put_file(path, data, 0);
    ck_fails(amun_dataset_open_cifar10(&ds, ctx, path, NULL), AMUN_ERROR_FORMAT, "0 bytes");
    static uint8_t fine[3074];
    fine[1] = 100;
    put_file(path, fine, sizeof fine);
    ck_fails(amun_dataset_open_cifar100(&ds, ctx, path, NULL), AMUN_ERROR_FORMAT,
             "label 100 of record 0 is outside 0..99");
    ck_fails(amun_dataset_open_cifar100(&ds, ctx, test_path("none.bin"), NULL),
             AMUN_ERROR_NOT_FOUND, "none.bin");
    ck_fails(amun_dataset_open_cifar10(&ds, ctx, NULL, "train"), AMUN_ERROR_INVALID_ARGUMENT,
             "path is NULL");
    ck_fails(amun_dataset_open_cifar10(&ds, NULL, path, "train"), AMUN_ERROR_INVALID_ARGUMENT,
             "ctx is NULL");
    ck_fails(amun_dataset_open_cifar10(NULL, ctx, path, "train"), AMUN_ERROR_INVALID_ARGUMENT,
             "ds is NULL");
    ck_assert_ptr_null(ds);
}
END_TEST

/* ---- IDX
 * ------------------------------------------------------------------------------------------- */

START_TEST(test_digits)
{
    char images[4096], labels[4096];
    snprintf(images, sizeof images, "%s", test_source_path("examples/data/digits-images.idx"));
    snprintf(labels, sizeof labels, "%s", test_source_path("examples/data/digits-labels.idx"));
    amun_dataset *ds = NULL;
    ck_ok(amun_dataset_open_idx(&ds, ctx, images, labels));
    ck_assert_uint_eq(amun_dataset_count(ds), 1797);
    ck_assert_int_eq(amun_dataset_classes(ds), 10);
    int64_t shape[3];
    ck_ok(amun_dataset_shape(ds, shape));
    ck_assert(shape[0] == 1 && shape[1] == 8 && shape[2] == 8);
    /* counts per digit of the original's documentation, and its first image (a zero) */
    static const int expected[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
    int counts[10] = {0};
    for (size_t i = 0; i < 1797; i++) {
        counts[amun__dataset_label(ds, i)]++;
    }
    ck_assert_int_eq(memcmp(counts, expected, sizeof counts), 0);
    static const int zero[64] = {0, 0, 5,  13, 9,  1,  0, 0, 0, 0, 13, 15, 10, 15, 5, 0,
                                 0, 3, 15, 2,  0,  11, 8, 0, 0, 4, 12, 0,  0,  8,  8, 0,
                                 0, 5, 8,  0,  0,  9,  8, 0, 0, 4, 11, 0,  1,  12, 7, 0,
                                 0, 2, 14, 5,  10, 12, 0, 0, 0, 0, 6,  13, 10, 0,  0, 0};
    float image[64];
    ck_ok(amun_dataset_read(ds, 0, 1, image));
    for (size_t k = 0; k < 64; k++) {
        ck_assert(fabs((double)image[k] - zero[k] / 16.0) <= 0.5 / 255.0 + 1e-7);
        ck_assert((zero[k] == 16) == (image[k] == 1.0f));
    }
    amun_dataset_unref(ds);
    ck_ok(amun_dataset_open_idx(&ds, ctx, images, NULL));
    ck_assert_int_eq(amun_dataset_classes(ds), 0);
    amun_dataset_unref(ds);
    /* swapped by mistake */
    ck_fails(amun_dataset_open_idx(&ds, ctx, labels, images), AMUN_ERROR_SHAPE, "1 dimensions");
    ck_fails(amun_dataset_open_idx(&ds, ctx, images, images), AMUN_ERROR_SHAPE, "digits-images");
    ck_fails(amun_dataset_open_idx(&ds, ctx, NULL, labels), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    ck_assert_ptr_null(ds);
}
END_TEST

START_TEST(test_idx_core)
{
    static const uint8_t good[] = {0, 0, 8, 4, 0, 0, 0, 2, 0, 0, 0, 3, 0,
                                   0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6};
    amun_tensor_view view;
    ck_ok(amun__idx_parse(&view, good, sizeof good, "x"));
    ck_assert(view.ndim == 4 && view.shape[0] == 2 && view.shape[1] == 3 && view.shape[3] == 1);
    ck_assert_ptr_eq(view.data, good + 20);
    ck_assert_uint_eq(view.flags, AMUN_VIEW_READONLY);
    static const struct {
        uint8_t data[20];
        size_t size;
        amun_status status;
        const char *part;
    } cases[] = {
        {{0}, 0, AMUN_ERROR_FORMAT, "0 bytes"},
        {{0, 0, 8}, 3, AMUN_ERROR_FORMAT, "3 bytes"},
        {{0, 1, 8, 1, 0, 0, 0, 1, 7}, 9, AMUN_ERROR_FORMAT, "0x00010801"},
        {{0, 0, 13, 1, 0, 0, 0, 0}, 8, AMUN_ERROR_UNSUPPORTED, "0x0d"},
        {{0, 0, 8, 0}, 4, AMUN_ERROR_UNSUPPORTED, "0 dimensions"},
        {{0, 0, 8, 5}, 20, AMUN_ERROR_UNSUPPORTED, "5 dimensions"},
        {{0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0}, 11, AMUN_ERROR_FORMAT, "truncated: 11 bytes"},
        {{0, 0, 8, 1, 0, 0, 0, 2, 7}, 9, AMUN_ERROR_FORMAT, "need 2 bytes, the file has 1"},
        {{0, 0, 8, 1, 0, 0, 0, 2, 7, 7, 7}, 11, AMUN_ERROR_FORMAT, "has 3"},
        {{0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
         16,
         AMUN_ERROR_FORMAT,
         "overflow"},
        {{0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255}, 12, AMUN_ERROR_FORMAT, "need"},
        {{0x1f, 0x8b, 8, 0}, 20, AMUN_ERROR_UNSUPPORTED, "gzip"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_fails(amun__idx_parse(&view, cases[i].data, cases[i].size, "bad.idx"), cases[i].status,
                 cases[i].part);
        ck_assert_int_eq(view.ndim, 0);
    }
    for (size_t keep = 0; keep < sizeof good; keep++) {
        uint8_t *part = malloc(keep + (keep == 0));
        memcpy(part, good, keep);
        ck_fails(amun__idx_parse(&view, part, keep, "cut"), AMUN_ERROR_FORMAT, "cut");
        free(part);
    }
}
END_TEST

/* ---- NPY
 * --------------------------------------------------------------------------------------------- */

static void put_npy(const char *path, void *data, int32_t dtype, int32_t ndim, const int64_t *shape)
{
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, data, dtype, ndim, shape));
    ck_ok(amun_npy_write(ctx, path, &view));
}

START_TEST(test_npy)
{
    TEST_FILE(images, "npy_images.npy");
    TEST_FILE(labels, "npy_labels.npy");
    uint8_t bytes[2][1][2][2] = {{{{0, 51}, {102, 153}}}, {{{204, 255}, {1, 2}}}};
    float floats[2][1][2][2] = {{{{0, 0.25f}, {0.5f, 0.75f}}},
                                {{{
                                      1,
                                      0,
                                  },
                                  {1, 0}}}};
    int64_t values[2] = {4, 0};
    int32_t small[2] = {4, 0};
    uint8_t tiny[2] = {4, 0};
    float read[8];
    int64_t got[2];
    amun_dataset *ds = NULL;
    static const int32_t dtypes[] = {AMUN_DTYPE_I64, AMUN_DTYPE_I32, AMUN_DTYPE_U8};
    void *const all[] = {values, small, tiny};
    for (size_t k = 0; k < 3; k++) {
        put_npy(images, bytes, AMUN_DTYPE_U8, 4, (int64_t[]){2, 1, 2, 2});
        put_npy(labels, all[k], dtypes[k], 1, (int64_t[]){2});
        ck_ok(amun_dataset_open_npy(&ds, ctx, images, labels));
        ck_ok(amun_dataset_read(ds, 0, 2, read));
        for (size_t i = 0; i < 8; i++) {
            ck_assert(read[i] == (float)((uint8_t *)bytes)[i] / 255.0f);
        }
        ck_ok(amun_dataset_labels(ds, 0, 2, got));
        ck_assert(got[0] == 4 && got[1] == 0);
        ck_assert_int_eq(amun_dataset_classes(ds), 5);
        amun_dataset_unref(ds);
    }
    put_npy(images, floats, AMUN_DTYPE_F32, 4, (int64_t[]){2, 1, 2, 2});
    ck_ok(amun_dataset_open_npy(&ds, ctx, images, NULL));
    ck_ok(amun_dataset_read(ds, 0, 2, read));
    ck_assert_int_eq(memcmp(read, floats, sizeof read), 0);
    amun_dataset_unref(ds);

    floats[1][0][1][0] = NAN;
    put_npy(images, floats, AMUN_DTYPE_F32, 4, (int64_t[]){2, 1, 2, 2});
    ck_fails(amun_dataset_open_npy(&ds, ctx, images, NULL), AMUN_ERROR_FORMAT,
             "image 1: pixel 2 is nan");
    put_npy(images, bytes, AMUN_DTYPE_U8, 4, (int64_t[]){2, 1, 2, 2});
    small[1] = -3;
    put_npy(labels, small, AMUN_DTYPE_I32, 1, (int64_t[]){2});
    ck_fails(amun_dataset_open_npy(&ds, ctx, images, labels), AMUN_ERROR_FORMAT,
             "label -3 of image 1");
    put_npy(labels, small, AMUN_DTYPE_I32, 1, (int64_t[]){1});
    ck_fails(amun_dataset_open_npy(&ds, ctx, images, labels), AMUN_ERROR_SHAPE, "1 labels");
    put_npy(images, values, AMUN_DTYPE_I64, 4, (int64_t[]){2, 1, 1, 1});
    ck_fails(amun_dataset_open_npy(&ds, ctx, images, NULL), AMUN_ERROR_FORMAT, "dtype 7");
    ck_assert_ptr_null(ds);
}
END_TEST

START_TEST(test_out_of_memory)
{
    TEST_FILE(path, "cifar_memory.bin");
    put_cifar(path, 1, 1, 2);
    for (int n = 1;; n++) {
        amun_dataset *ds = NULL;
        allocator.fail_at = n;
        amun_status status = amun_dataset_open_cifar10(&ds, ctx, path, NULL);
        amun_dataset_unref(ds);
        if (status == AMUN_OK) {
            ck_assert_int_gt(n, 2);
            break;
        }
        ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
    }
    allocator.fail_at = 0;
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("formats");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_cifar10);
    tcase_add_test(tc, test_cifar100);
    tcase_add_test(tc, test_cifar_refuses);
    tcase_add_test(tc, test_digits);
    tcase_add_test(tc, test_idx_core);
    tcase_add_test(tc, test_npy);
    tcase_add_test(tc, test_out_of_memory);
    return amun_test_main("formats", (TCase *[]){tc, NULL});
}
