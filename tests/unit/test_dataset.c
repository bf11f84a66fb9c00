/* test_dataset.c - caller memory, subsets, hashes, lists of indices, forget sets. */
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

enum { N = 5, C = 2, H = 3, W = 4, PIXELS = C * H * W };

static uint8_t bytes[N][C][H][W];
static float floats[N][C][H][W];
static const int64_t labels64[N] = {3, 0, 2, 2, 1};
static const int32_t labels32[N] = {3, 0, 2, 2, 1};
static const uint8_t labels8[N] = {3, 0, 2, 2, 1};

static void fill_images(void)
{
    uint64_t state = 7;
    for (size_t i = 0; i < N * PIXELS; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)test_random(&state);
        ((float *)floats)[i] = (float)((uint8_t *)bytes)[i] / 255.0f;
    }
}

static amun_tensor_view view_of(const void *data, int32_t dtype, int32_t ndim, const int64_t *shape)
{
    amun_tensor_view view;
    ck_ok(amun_tensor_view_init(&view, (void *)(uintptr_t)data, dtype, ndim, shape));
    return view;
}

static amun_tensor_view image_view(const void *data, int32_t dtype)
{
    return view_of(data, dtype, 4, (int64_t[]){N, C, H, W});
}

static amun_tensor_view label_view(const void *data, int32_t dtype)
{
    return view_of(data, dtype, 1, (int64_t[]){N});
}

static amun_dataset *open_bytes(void)
{
    fill_images();
    amun_tensor_view images = image_view(bytes, AMUN_DTYPE_U8);
    amun_tensor_view labels = label_view(labels64, AMUN_DTYPE_I64);
    amun_dataset *ds = NULL;
    ck_ok(amun_dataset_open_view(&ds, ctx, &images, &labels, 0, NULL, NULL));
    return ds;
}

/* ---- caller memory
 * --------------------------------------------------------------------------------- */

START_TEST(test_view)
{
    amun_dataset *ds = open_bytes();
    ck_assert_uint_eq(amun_dataset_count(ds), N);
    ck_assert_int_eq(amun_dataset_classes(ds), 4);
    int64_t shape[3];
    ck_ok(amun_dataset_shape(ds, shape));
    ck_assert(shape[0] == C && shape[1] == H && shape[2] == W);
    float all[N * PIXELS];
    int64_t labels[N];
    ck_ok(amun_dataset_read(ds, 0, N, all));
    ck_assert_int_eq(memcmp(all, floats, sizeof all), 0); /* v / 255 to the last bit */
    ck_ok(amun_dataset_labels(ds, 0, N, labels));
    ck_assert_int_eq(memcmp(labels, labels64, sizeof labels), 0);
    ck_ok(amun_dataset_read(ds, 3, 2, all));
    ck_assert_int_eq(memcmp(all, floats[3], 2 * PIXELS * sizeof(float)), 0);
    ck_ok(amun_dataset_labels(ds, 4, 1, labels));
    ck_assert_int_eq(labels[0], 1);
    ck_ok(amun_dataset_read(ds, N, 0, NULL));

    bytes[1][0][0][0] ^= 0xff; /* nothing was copied: a change shows */
    ck_ok(amun_dataset_read(ds, 1, 1, all));
    ck_assert(all[0] == (float)bytes[1][0][0][0] / 255.0f);
    amun_dataset_unref(ds);
}
END_TEST

START_TEST(test_kinds)
{
    fill_images();
    const amun_tensor_view images[] = {image_view(bytes, AMUN_DTYPE_U8),
                                       image_view(floats, AMUN_DTYPE_F32)};
    const amun_tensor_view labels[] = {label_view(labels64, AMUN_DTYPE_I64),
                                       label_view(labels32, AMUN_DTYPE_I32),
                                       label_view(labels8, AMUN_DTYPE_U8)};
    float all[N * PIXELS];
    int64_t got[N];
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 3; k++) {
            amun_dataset *ds = NULL;
            ck_ok(amun_dataset_open_view(&ds, ctx, &images[i], &labels[k], 7, NULL, NULL));
            ck_assert_int_eq(amun_dataset_classes(ds), 7);
            ck_ok(amun_dataset_read(ds, 0, N, all));
            ck_assert_int_eq(memcmp(all, floats, sizeof all), 0);
            ck_ok(amun_dataset_labels(ds, 0, N, got));
            ck_assert_int_eq(memcmp(got, labels64, sizeof got), 0);
            amun_dataset_unref(ds);
        }
    }
}
END_TEST

START_TEST(test_unlabelled)
{
    fill_images();
    /* [N, H, W] means one channel */
    amun_tensor_view images = view_of(bytes, AMUN_DTYPE_U8, 3, (int64_t[]){N * C, H, W});
    amun_dataset *ds = NULL;
    ck_ok(amun_dataset_open_view(&ds, ctx, &images, NULL, 0, NULL, NULL));
    ck_assert_int_eq(amun_dataset_classes(ds), 0);
    ck_assert_uint_eq(amun_dataset_count(ds), N * C);
    ck_assert_int_eq(amun__dataset_label(ds, 0), -1);
    int64_t shape[3], label;
    ck_ok(amun_dataset_shape(ds, shape));
    ck_assert(shape[0] == 1 && shape[1] == H && shape[2] == W);
    ck_fails(amun_dataset_labels(ds, 0, 1, &label), AMUN_ERROR_STATE, "no labels");
    amun_dataset_unref(ds);
    ck_fails(amun_dataset_open_view(&ds, ctx, &images, NULL, 10, NULL, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "classes is 10");
}
END_TEST

/* Channels last, rows bottom up, columns mirrored, every other image, one grey plane thrice. */
START_TEST(test_strides)
{
    fill_images();
    static const struct {
        int64_t shape[4], strides[4], offset;
    } cases[] = {
        {{N, W, C, H}, {PIXELS, 1, H * W, W}, 0},
        {{N, C, H, W}, {PIXELS, H * W, -W, 1}, (H - 1) * W},
        {{N, C, H, W}, {PIXELS, H * W, W, -1}, W - 1},
        {{(N + 1) / 2, C, H, W}, {2 * PIXELS, H * W, W, 1}, 0},
        {{N, C, H, W}, {-PIXELS, H * W, W, 1}, (N - 1) * PIXELS},
        {{N, 3, H, W}, {PIXELS, 0, W, 1}, H * W},
        {{4, C, H, W}, {0, H * W, W, 1}, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        for (int kind = 0; kind < 2; kind++) {
            int64_t size = kind == 0 ? 1 : 4;
            amun_tensor_view view = image_view(bytes, kind == 0 ? AMUN_DTYPE_U8 : AMUN_DTYPE_F32);
            view.data =
                (char *)(kind == 0 ? (void *)bytes : (void *)floats) + cases[k].offset * size;
            for (int axis = 0; axis < 4; axis++) {
                view.shape[axis] = cases[k].shape[axis];
                view.strides[axis] = cases[k].strides[axis] * size;
            }
            amun_dataset *ds = NULL;
            ck_ok(amun_dataset_open_view(&ds, ctx, &view, NULL, 0, NULL, NULL));
            float image[3 * PIXELS];
            for (int64_t n = 0; n < view.shape[0]; n++) {
                ck_ok(amun_dataset_read(ds, (size_t)n, 1, image));
                const float *at = image;
                for (int64_t c = 0; c < view.shape[1]; c++) {
                    for (int64_t y = 0; y < view.shape[2]; y++) {
                        for (int64_t x = 0; x < view.shape[3]; x++) {
                            int64_t place = cases[k].offset + n * cases[k].strides[0] +
                                            c * cases[k].strides[1] + y * cases[k].strides[2] +
                                            x * cases[k].strides[3];
                            ck_assert(*at++ == ((float *)floats)[place]);
                        }
                    }
                }
            }
            amun_dataset_unref(ds);
        }
    }
}
END_TEST

static int released;

static void on_release(void *user_data)
{
    ck_assert_ptr_eq(user_data, &released);
    released++;
}

START_TEST(test_release)
{
    fill_images();
    amun_tensor_view images = image_view(bytes, AMUN_DTYPE_U8);
    amun_tensor_view labels = label_view(labels64, AMUN_DTYPE_I64);
    amun_dataset *ds = NULL;
    amun_dataset *part = NULL;
    released = 0;
    ck_ok(amun_dataset_open_view(&ds, ctx, &images, &labels, 0, on_release, &released));
    ck_ok(amun_dataset_subset(&part, ds, (int64_t[]){1, 2}, 2));
    ck_assert_ptr_eq(amun_dataset_ref(ds), ds);
    amun_dataset_unref(ds);
    amun_dataset_unref(ds);
    ck_assert_int_eq(released, 0); /* the subset still reads the memory */
    float image[PIXELS];
    ck_ok(amun_dataset_read(part, 1, 1, image));
    ck_assert_int_eq(memcmp(image, floats[2], sizeof image), 0);
    amun_dataset_unref(part);
    ck_assert_int_eq(released, 1);

    /* a failing call gives the memory back too, whatever was wrong */
    amun_tensor_view bad = labels;
    bad.shape[0] = N - 1;
    released = 0;
    ck_fails(amun_dataset_open_view(NULL, ctx, &images, &labels, 0, on_release, &released),
             AMUN_ERROR_INVALID_ARGUMENT, "ds");
    ck_fails(amun_dataset_open_view(&ds, NULL, &images, &labels, 0, on_release, &released),
             AMUN_ERROR_INVALID_ARGUMENT, "ctx");
    ck_fails(amun_dataset_open_view(&ds, ctx, NULL, &labels, 0, on_release, &released),
             AMUN_ERROR_INVALID_ARGUMENT, "images");
    ck_fails(amun_dataset_open_view(&ds, ctx, &images, &bad, 0, on_release, &released),
             AMUN_ERROR_SHAPE, "4 labels");
    ck_fails(amun_dataset_open_view(&ds, ctx, &images, &labels, 3, on_release, &released),
             AMUN_ERROR_INVALID_ARGUMENT, "label 3 of image 0");
    ck_assert_int_eq(released, 5);
    ck_assert_ptr_null(ds);
    for (int n = 1;; n++) {
        released = 0;
        allocator.fail_at = n;
        amun_status status =
            amun_dataset_open_view(&ds, ctx, &images, &labels, 0, on_release, &released);
        if (status == AMUN_OK) {
            ck_assert_int_eq(released, 0);
            amun_dataset_unref(ds);
            ck_assert_int_eq(released, 1);
            ck_assert_int_gt(n, 2);
            break;
        }
        ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
        ck_assert_int_eq(released, 1);
    }
    allocator.fail_at = 0;
}
END_TEST

START_TEST(test_view_refuses)
{
    fill_images();
    amun_dataset *ds = NULL;
    amun_tensor_view images = image_view(bytes, AMUN_DTYPE_U8);
    amun_tensor_view labels = label_view(labels64, AMUN_DTYPE_I64);
#define OPEN(images, labels, classes)                                                              \
    amun_dataset_open_view(&ds, ctx, images, labels, classes, NULL, NULL)
    amun_tensor_view bad = images;
    bad.dtype = AMUN_DTYPE_BOOL;
    ck_fails(OPEN(&bad, &labels, 0), AMUN_ERROR_INVALID_ARGUMENT, "dtype 8");
    bad = images;
    bad.shape[0] = 0;
    ck_fails(OPEN(&bad, NULL, 0), AMUN_ERROR_SHAPE, "extent 0 at axis 0");
    bad = images;
    bad.shape[3] = 0;
    ck_fails(OPEN(&bad, NULL, 0), AMUN_ERROR_SHAPE, "axis 3");
    bad = images;
    bad.shape[1] = -1;
    ck_fails(OPEN(&bad, NULL, 0), AMUN_ERROR_SHAPE, "-1");
    bad = view_of(bytes, AMUN_DTYPE_U8, 2, (int64_t[]){N, PIXELS});
    ck_fails(OPEN(&bad, NULL, 0), AMUN_ERROR_SHAPE, "2 dimensions");
    bad = images;
    bad.shape[0] = INT64_MAX;
    ck_fails(OPEN(&bad, NULL, 0), AMUN_ERROR_SHAPE, "images");
    bad = images;
    bad.data = NULL;
    ck_fails(OPEN(&bad, NULL, 0), AMUN_ERROR_INVALID_ARGUMENT, "images");

    bad = label_view(floats, AMUN_DTYPE_F32);
    ck_fails(OPEN(&images, &bad, 0), AMUN_ERROR_INVALID_ARGUMENT, "dtype 1");
    bad = view_of(labels64, AMUN_DTYPE_I64, 2, (int64_t[]){N, 1});
    ck_fails(OPEN(&images, &bad, 0), AMUN_ERROR_SHAPE, "2 dimensions");
    int64_t wrong[N] = {0, 1, 2, -1, 0};
    bad = label_view(wrong, AMUN_DTYPE_I64);
    ck_fails(OPEN(&images, &bad, 0), AMUN_ERROR_INVALID_ARGUMENT, "label -1 of image 3");
    wrong[3] = 10;
    ck_fails(OPEN(&images, &bad, 10), AMUN_ERROR_INVALID_ARGUMENT,
             "label 10 of image 3 is outside 0..9");
    wrong[3] = INT64_MAX;
    ck_fails(OPEN(&images, &bad, 0), AMUN_ERROR_INVALID_ARGUMENT, "9223372036854775807");
    wrong[3] = (INT64_C(1) << 32) + 1; /* would be 1 in 32 bits */
    ck_fails(OPEN(&images, &bad, 0), AMUN_ERROR_INVALID_ARGUMENT, "4294967297");
    ck_fails(OPEN(&images, &labels, -1), AMUN_ERROR_INVALID_ARGUMENT, "classes is -1");
    ck_fails(OPEN(&images, &labels, INT64_C(1) << 31), AMUN_ERROR_INVALID_ARGUMENT, "2147483648");

    static const float pixels[] = {NAN, INFINITY, -0.001f, 1.0001f};
    amun_tensor_view real = image_view(floats, AMUN_DTYPE_F32);
    for (size_t i = 0; i < 4; i++) {
        floats[4][1][2][3] = pixels[i];
        ck_fails(OPEN(&real, &labels, 0), AMUN_ERROR_INVALID_ARGUMENT, "image 4: pixel 23 is");
    }
    ck_assert_ptr_null(ds);
}
END_TEST

START_TEST(test_accessors_refuse)
{
    amun_dataset *ds = open_bytes();
    float image[PIXELS];
    int64_t label;
    ck_assert_uint_eq(amun_dataset_count(NULL), 0);
    ck_assert_int_eq(amun_dataset_classes(NULL), 0);
    ck_assert_ptr_null(amun_dataset_ref(NULL));
    amun_dataset_unref(NULL);
    ck_fails(amun_dataset_shape(NULL, (int64_t[3]){0}), AMUN_ERROR_INVALID_ARGUMENT, "ds is NULL");
    ck_fails(amun_dataset_shape(ds, NULL), AMUN_ERROR_INVALID_ARGUMENT, "shape is NULL");
    ck_fails(amun_dataset_read(ds, 5, 1, image), AMUN_ERROR_INVALID_ARGUMENT, "1 images from 5");
    ck_fails(amun_dataset_read(ds, 1, SIZE_MAX, image), AMUN_ERROR_INVALID_ARGUMENT, "from 1");
    ck_fails(amun_dataset_read(ds, 0, 1, NULL), AMUN_ERROR_INVALID_ARGUMENT, "images is NULL");
    ck_fails(amun_dataset_labels(ds, 4, 2, &label), AMUN_ERROR_INVALID_ARGUMENT, "2 images from 4");
    ck_fails(amun_dataset_labels((amun_dataset *)(void *)ctx, 0, 1, &label),
             AMUN_ERROR_INVALID_ARGUMENT, "not a live data");
    amun_dataset_unref(ds);
}
END_TEST

/* ---- subsets and hashes
 * ------------------------------------------------------------------------------ */

START_TEST(test_subset)
{
    amun_dataset *ds = open_bytes();
    amun_dataset *part = NULL;
    amun_dataset *inner = NULL;
    ck_ok(amun_dataset_subset(&part, ds, (int64_t[]){4, 0, 3}, 3));
    ck_ok(amun_dataset_subset(&inner, part, (int64_t[]){2, 0}, 2)); /* 3, 4 */
    amun_dataset_unref(ds);
    amun_dataset_unref(part);
    ck_assert_uint_eq(amun_dataset_count(inner), 2);
    ck_assert_int_eq(amun_dataset_classes(inner), 4);
    float images[2 * PIXELS];
    int64_t labels[2];
    ck_ok(amun_dataset_read(inner, 0, 2, images));
    ck_assert_int_eq(memcmp(images, floats[3], 2 * PIXELS * sizeof(float)), 0);
    ck_ok(amun_dataset_labels(inner, 0, 2, labels));
    ck_assert(labels[0] == 2 && labels[1] == 1);

    ck_fails(amun_dataset_subset(&part, inner, (int64_t[]){0, 2}, 2), AMUN_ERROR_INVALID_ARGUMENT,
             "subset: index 2 at position 1 is outside the 2 images");
    ck_fails(amun_dataset_subset(&part, inner, (int64_t[]){0, 1, 0}, 3),
             AMUN_ERROR_INVALID_ARGUMENT, "subset: index 0 at position 2 is repeated");
    ck_fails(amun_dataset_subset(&part, inner, (int64_t[]){-1}, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "index -1");
    ck_fails(amun_dataset_subset(&part, inner, (int64_t[]){0}, 0), AMUN_ERROR_INVALID_ARGUMENT,
             "no index");
    ck_fails(amun_dataset_subset(&part, inner, NULL, 1), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    ck_fails(amun_dataset_subset(&part, NULL, (int64_t[]){0}, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "parent is NULL");
    ck_assert_ptr_null(part);
    amun_dataset_unref(inner);
}
END_TEST

START_TEST(test_hash)
{
    amun_dataset *ds = open_bytes();
    amun_tensor_view real = image_view(floats, AMUN_DTYPE_F32);
    amun_tensor_view labels = label_view(labels64, AMUN_DTYPE_I64);
    amun_dataset *same = NULL;
    amun_dataset *part = NULL;
    ck_ok(amun_dataset_open_view(&same, ctx, &real, &labels, 9, NULL, NULL));
    ck_ok(amun_dataset_subset(&part, ds, (int64_t[]){2}, 1));
    uint64_t hashes[N];
    for (size_t i = 0; i < N; i++) {
        hashes[i] = amun__dataset_hash(ds, i);
        ck_assert(hashes[i] == amun__dataset_hash(same, i)); /* bytes and floats of equal value */
        for (size_t k = 0; k < i; k++) {
            ck_assert(hashes[i] != hashes[k]);
        }
    }
    ck_assert(amun__dataset_hash(part, 0) == hashes[2]);
    for (size_t k = 0; k < PIXELS; k++) { /* every pixel counts */
        ((uint8_t *)bytes[2])[k] ^= 1;
        ck_assert(amun__dataset_hash(ds, 2) != hashes[2]);
        ((uint8_t *)bytes[2])[k] ^= 1;
    }
    ck_assert(amun__dataset_hash(ds, 2) == hashes[2]);
    amun_dataset_unref(same);
    int64_t other[N] = {3, 0, 1, 2, 1}; /* so does the label */
    labels.data = other;
    ck_ok(amun_dataset_open_view(&same, ctx, &real, &labels, 9, NULL, NULL));
    ck_assert(amun__dataset_hash(same, 2) != hashes[2]);
    ck_assert(amun__dataset_hash(same, 3) == hashes[3]);
    amun_dataset_unref(same);
    amun_dataset_unref(part);
    amun_dataset_unref(ds);
}
END_TEST

/* Images of more than one portion: the last pixel counts too, and order within matters. */
START_TEST(test_hash_large)
{
    static uint8_t large[1][1][50][61];
    amun_tensor_view images = view_of(large, AMUN_DTYPE_U8, 4, (int64_t[]){1, 1, 50, 61});
    amun_dataset *ds = NULL;
    ck_ok(amun_dataset_open_view(&ds, ctx, &images, NULL, 0, NULL, NULL));
    uint64_t zero = amun__dataset_hash(ds, 0);
    large[0][0][49][60] = 1;
    uint64_t last = amun__dataset_hash(ds, 0);
    large[0][0][49][60] = 0;
    large[0][0][0][0] = 1;
    uint64_t first = amun__dataset_hash(ds, 0);
    ck_assert(zero != last && zero != first && first != last);
    amun_dataset_unref(ds);
}
END_TEST

/* ---- indices
 * ----------------------------------------------------------------------------------------- */

START_TEST(test_indices)
{
    ck_ok(amun__indices_check(ctx, (int64_t[]){0, 199, 64, 63}, 4, 200, false, "forget set"));
    ck_ok(amun__indices_check(ctx, NULL, 0, 200, true, "forget set"));
    ck_fails(amun__indices_check(ctx, (int64_t[]){0}, 0, 200, false, "forget set"),
             AMUN_ERROR_INVALID_ARGUMENT, "forget set: no index");
    ck_fails(amun__indices_check(ctx, (int64_t[]){5, 200}, 2, 200, false, "forget set"),
             AMUN_ERROR_INVALID_ARGUMENT, "forget set: index 200 at position 1");
    ck_fails(amun__indices_check(ctx, (int64_t[]){INT64_MIN}, 1, 200, false, "forget set"),
             AMUN_ERROR_INVALID_ARGUMENT, "-9223372036854775808");
    ck_fails(amun__indices_check(ctx, (int64_t[]){64, 1, 64}, 3, 200, true, "forget set"),
             AMUN_ERROR_INVALID_ARGUMENT, "index 64 at position 2 is repeated");

    int64_t *rest = NULL;
    ck_ok(amun__indices_complement(ctx, &rest, (int64_t[]){3, 0}, 2, 5));
    ck_assert(rest[0] == 1 && rest[1] == 2 && rest[2] == 4);
    amun__free(ctx, rest);
    ck_ok(amun__indices_complement(ctx, &rest, (int64_t[]){1, 0}, 2, 2));
    ck_assert_ptr_nonnull(rest);
    amun__free(ctx, rest);
    ck_ok(amun__indices_complement(ctx, &rest, NULL, 0, 130));
    for (int64_t i = 0; i < 130; i++) {
        ck_assert_int_eq(rest[i], i);
    }
    amun__free(ctx, rest);
    ck_fails(amun__indices_complement(ctx, &rest, (int64_t[]){1, 1}, 2, 5),
             AMUN_ERROR_INVALID_ARGUMENT, "repeated");
    ck_assert_ptr_null(rest);
}
END_TEST

/* Published index files of the AMUN repository: first entries and sums. */
START_TEST(test_forget_indices)
{
    static const struct {
        uint32_t seed;
        int64_t first[6], sum5000, sum25000;
    } published[] = {
        {1, {26247, 35067, 34590, 16668, 12196, 2600}, 122592196, 622934218},
        {10, {27632, 36119, 4796, 3648, 24501, 37885}, 124275317, 624704966},
        {100, {4253, 30076, 48047, 1666, 30740, 13830}, 124360762, 625778469},
    };
    static int64_t indices[25000];
    for (size_t k = 0; k < 3; k++) {
        ck_ok(amun_forget_indices(indices, 25000, 50000, published[k].seed));
        int64_t sum = 0;
        for (size_t i = 0; i < 25000; i++) {
            sum += indices[i];
            if (i == 4999) {
                ck_assert_int_eq(sum, published[k].sum5000);
            }
        }
        ck_assert_int_eq(sum, published[k].sum25000);
        ck_assert_int_eq(memcmp(indices, published[k].first, sizeof published[k].first), 0);
    }
    ck_ok(amun_forget_indices(indices, 1, 1, 5));
    ck_assert_int_eq(indices[0], 0);
    ck_fails(amun_forget_indices(indices, 0, 10, 1), AMUN_ERROR_INVALID_ARGUMENT, "count is 0");
    ck_fails(amun_forget_indices(indices, 11, 10, 1), AMUN_ERROR_INVALID_ARGUMENT, "count is 11");
    ck_fails(amun_forget_indices(NULL, 1, 10, 1), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    ck_fails(amun_forget_indices(indices, 1, SIZE_MAX, 1), AMUN_ERROR_OUT_OF_MEMORY, "addressed");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("dataset");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_view);
    tcase_add_test(tc, test_kinds);
    tcase_add_test(tc, test_unlabelled);
    tcase_add_test(tc, test_strides);
    tcase_add_test(tc, test_release);
    tcase_add_test(tc, test_view_refuses);
    tcase_add_test(tc, test_accessors_refuse);
    tcase_add_test(tc, test_subset);
    tcase_add_test(tc, test_hash);
    tcase_add_test(tc, test_hash_large);
    tcase_add_test(tc, test_indices);
    tcase_add_test(tc, test_forget_indices);
    return amun_test_main("dataset", (TCase *[]){tc, NULL});
}
