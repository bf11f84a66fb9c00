/* test_bad_views.c - arrays of the caller: element types, axes, extents, strides, writability and
 * overlap, wherever the library takes a view; and the layouts that it must accept. */
#include "api.h"

static struct {
    heap memory;
    amun_context *ctx;
    amun_model *model;
    amun_dataset *data;
    amun_attack *attack;
    tiny_values before;
    amun_tensor_view images, labels, logits, adversarial;
    float logits_room[TINY_COUNT * TINY_CLASSES], adversarial_room[TINY_COUNT * TINY_PIXELS];
} f;

static void set_up(void)
{
    amun_pgd_options options;
    memset(&f, 0, sizeof f);
    ck_ok(heap_context(&f.ctx, &f.memory));
    ck_ok(tiny_model(&f.model, f.ctx, 1));
    ck_ok(tiny_data(&f.data, f.ctx));
    ck_ok(amun_pgd_linf_options_init(&options, sizeof options));
    options.steps = 3;
    options.eps = options.step = 0.1;
    ck_ok(amun_attack_create_pgd_linf(&f.attack, f.ctx, &options));
    tiny_read(&f.before, f.model);
    f.images = view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    f.labels = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    f.images.flags = f.labels.flags = AMUN_VIEW_READONLY;
    f.logits = view2(f.logits_room, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    f.adversarial = view4(f.adversarial_room, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
}

static void tear_down(void)
{
    ck_unchanged(f.model, &f.before);
    amun_attack_unref(f.attack);
    amun_dataset_unref(f.data);
    amun_model_unref(f.model);
    heap_end(f.ctx, &f.memory);
}

static amun_status predict(const amun_tensor_view *images, const amun_tensor_view *logits)
{
    return amun_model_predict(f.model, images, logits, NULL);
}

static amun_status attack(const amun_tensor_view *images, const amun_tensor_view *labels,
                          const amun_tensor_view *adversarial)
{
    return amun_attack_run(f.attack, f.model, images, labels, NULL, adversarial, NULL, NULL);
}

static amun_status open_view(const amun_tensor_view *images, const amun_tensor_view *labels)
{
    amun_dataset *data = (void *)&f;
    amun_status status = amun_dataset_open_view(&data, f.ctx, images, labels, 0, NULL, NULL);
    ck_assert((status == AMUN_OK) == (data != NULL));
    amun_dataset_unref(data);
    return status;
}

/* ---- faults that no view may have --------------------------------------------------------------
 */

/* Calls `use` with `good` spoiled in each way that a view can be nonsense in itself. */
static void refuse_nonsense(const amun_tensor_view *good, amun_status (*use)(const void *))
{
    amun_tensor_view v = *good;
    v.dtype = 99;
    ck_invalid(use(&v), "99");
    v.dtype = 0;
    ck_invalid(use(&v), "dtype 0");
    v = *good;
    v.ndim = 9;
    ck_invalid(use(&v), "9");
    v.ndim = -1;
    ck_invalid(use(&v), "-1");
    v = *good;
    v.flags |= 4;
    ck_invalid(use(&v), "flags");
    v = *good;
    v.reserved = 7;
    ck_invalid(use(&v), "7");
    v = *good;
    v.data = NULL;
    ck_invalid(use(&v), "data is NULL");
    v = *good;
    v.shape[0] = -5;
    ck_fails(use(&v), AMUN_ERROR_SHAPE, "-5");
    v = *good;
    v.shape[0] = INT64_MAX;
    ck_fails(use(&v), AMUN_ERROR_SHAPE, "9223372036854775807");
    v = *good;
    v.strides[0] = INT64_MAX / 8 * 8;
    ck_fails(use(&v), AMUN_ERROR_SHAPE, "strides");
    v.strides[0] = INT64_MIN;
    ck_fails(use(&v), AMUN_ERROR_SHAPE, "strides");
    v = *good;
    if (amun_dtype_size(v.dtype) > 1) {
        v.data = (char *)v.data + 1;
        ck_invalid(use(&v), "aligned");
        v = *good;
        v.strides[0] += 1;
        ck_invalid(use(&v), "stride");
    }
}

static amun_status use_predict_images(const void *v)
{
    return predict(v, &f.logits);
}
static amun_status use_predict_logits(const void *v)
{
    return predict(&f.images, v);
}
static amun_status use_attack_images(const void *v)
{
    return attack(v, &f.labels, &f.adversarial);
}
static amun_status use_attack_labels(const void *v)
{
    return attack(&f.images, v, &f.adversarial);
}
static amun_status use_attack_adversarial(const void *v)
{
    return attack(&f.images, &f.labels, v);
}
static amun_status use_open_images(const void *v)
{
    return open_view(v, &f.labels);
}
static amun_status use_open_labels(const void *v)
{
    return open_view(&f.images, v);
}
static amun_status use_npy(const void *v)
{
    return amun_npy_write(f.ctx, api_path("never.npy"), v);
}
static amun_status use_signal_logits(const void *v)
{
    double signal[TINY_COUNT];
    return amun_signal_compute(signal, NULL, v, &f.labels, NULL);
}
static amun_status use_signal_labels(const void *v)
{
    double signal[TINY_COUNT];
    return amun_signal_compute(signal, NULL, &f.logits, v, NULL);
}
static amun_status use_features(const void *v)
{
    double values[TINY_COUNT];
    return amun_svc_features(values, NULL, NULL, v, &f.labels);
}

START_TEST(nonsense)
{
    refuse_nonsense(&f.images, use_predict_images);
    refuse_nonsense(&f.logits, use_predict_logits);
    refuse_nonsense(&f.images, use_attack_images);
    refuse_nonsense(&f.labels, use_attack_labels);
    refuse_nonsense(&f.adversarial, use_attack_adversarial);
    refuse_nonsense(&f.images, use_open_images);
    refuse_nonsense(&f.labels, use_open_labels);
    refuse_nonsense(&f.images, use_npy);
    refuse_nonsense(&f.logits, use_signal_logits);
    refuse_nonsense(&f.labels, use_signal_labels);
    refuse_nonsense(&f.logits, use_features);
}
END_TEST

START_TEST(init)
{
    amun_tensor_view v;
    const int64_t negative[2] = {3, -2}, huge[3] = {INT64_C(1) << 31, INT64_C(1) << 31, 2};
    ck_invalid(amun_tensor_view_init(&v, &f, 42, 1, negative), "42");
    ck_invalid(amun_tensor_view_init(&v, &f, AMUN_DTYPE_F32, 9, negative), "9");
    ck_invalid(amun_tensor_view_init(&v, &f, AMUN_DTYPE_F32, 1, NULL), "shape");
    ck_fails(amun_tensor_view_init(&v, &f, AMUN_DTYPE_F32, 2, negative), AMUN_ERROR_SHAPE, "-2");
    ck_fails(amun_tensor_view_init(&v, &f, AMUN_DTYPE_F32, 3, huge), AMUN_ERROR_SHAPE,
             "2147483648");
    ck_invalid(amun_tensor_view_init(&v, NULL, AMUN_DTYPE_F32, 1, huge), "NULL");
    const int64_t none[2] = {0, 5};
    ck_ok(amun_tensor_view_init(&v, NULL, AMUN_DTYPE_F32, 2, none));
    ck_ok(amun_tensor_view_init(&v, &f, AMUN_DTYPE_F64, 0, NULL));
    static const size_t sizes[] = {0, 4, 8, 2, 2, 1, 4, 8, 1, 0};
    for (amun_dtype d = 0; d < 10; d++) {
        ck_assert_uint_eq(amun_dtype_size(d), sizes[d]);
    }
    ck_assert_uint_eq(amun_dtype_size(-1), 0);
}
END_TEST

/* ---- good views in the wrong place
 * --------------------------------------------------------------- */

START_TEST(wrong_types)
{
    static double doubles[TINY_COUNT * TINY_PIXELS];
    static const amun_dtype no_image[] = {AMUN_DTYPE_F16, AMUN_DTYPE_BF16, AMUN_DTYPE_I32,
                                          AMUN_DTYPE_I64, AMUN_DTYPE_BOOL};
    static const amun_dtype no_label[] = {AMUN_DTYPE_F32, AMUN_DTYPE_F64, AMUN_DTYPE_F16,
                                          AMUN_DTYPE_BF16, AMUN_DTYPE_BOOL};
    for (size_t i = 0; i < 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "dtype %d", (int)no_image[i]);
        amun_tensor_view v = view4(doubles, no_image[i], TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
        ck_fails(predict(&v, &f.logits), AMUN_ERROR_INVALID_ARGUMENT, text);
        ck_invalid(attack(&v, &f.labels, &f.adversarial), text);
        ck_invalid(open_view(&v, &f.labels), text);
        v = view2(doubles, no_image[i], TINY_COUNT, TINY_CLASSES);
        ck_invalid(use_signal_logits(&v), text);
        ck_invalid(use_features(&v), text);
        snprintf(text, sizeof text, "dtype %d", (int)no_label[i]);
        v = view1(doubles, no_label[i], TINY_COUNT);
        ck_invalid(attack(&f.images, &v, &f.adversarial), text);
        ck_invalid(open_view(&f.images, &v), text);
        amun_status status = use_signal_labels(&v);
        ck_assert_msg(status == AMUN_ERROR_INVALID_ARGUMENT || status == AMUN_ERROR_UNSUPPORTED,
                      "labels of %s: %s", text, amun_status_string(status));
    }
    amun_tensor_view v = view2(doubles, AMUN_DTYPE_F64, TINY_COUNT, TINY_CLASSES);
    ck_invalid(predict(&f.images, &v), "F32");
    v = view4(doubles, AMUN_DTYPE_F64, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    ck_invalid(attack(&f.images, &f.labels, &v), "F32");
    ck_invalid(open_view(&v, &f.labels), "dtype 2");
}
END_TEST

START_TEST(wrong_shapes)
{
    static float room[TINY_COUNT * TINY_PIXELS];
    amun_tensor_view flat = view1(room, AMUN_DTYPE_F32, TINY_COUNT * TINY_PIXELS);
    amun_tensor_view rgb = view4(room, AMUN_DTYPE_F32, 4, 3, TINY_EDGE, TINY_EDGE);
    amun_tensor_view tall = view4(room, AMUN_DTYPE_F32, 2, 1, 6, TINY_EDGE);
    amun_tensor_view none = view4(room, AMUN_DTYPE_F32, 0, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view few = view2(room, AMUN_DTYPE_F32, TINY_COUNT - 1, TINY_CLASSES);
    amun_tensor_view wide = view2(room, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES + 1);
    ck_fails(predict(&flat, &f.logits), AMUN_ERROR_SHAPE, "1 axes");
    ck_fails(predict(&rgb, &f.logits), AMUN_ERROR_SHAPE, "[4, 3, 5, 5]");
    ck_fails(predict(&tall, &f.logits), AMUN_ERROR_SHAPE, "[2, 1, 6, 5]");
    ck_fails(predict(&none, &f.logits), AMUN_ERROR_SHAPE, "empty");
    ck_fails(predict(&f.images, &few), AMUN_ERROR_SHAPE, "[11, 3]");
    ck_fails(predict(&f.images, &wide), AMUN_ERROR_SHAPE, "[12, 4]");
    ck_fails(predict(&f.images, &flat), AMUN_ERROR_SHAPE, "1 axes");

    ck_fails(attack(&flat, &f.labels, &f.adversarial), AMUN_ERROR_SHAPE, "1");
    ck_fails(attack(&rgb, &f.labels, &f.adversarial), AMUN_ERROR_SHAPE, "3 x 5 x 5");
    ck_invalid(attack(&none, &f.labels, &f.adversarial), "0 samples");
    amun_tensor_view three = view1(tiny_labels, AMUN_DTYPE_I64, 3);
    amun_tensor_view square = view2(tiny_labels, AMUN_DTYPE_I64, 3, 4);
    ck_fails(attack(&f.images, &three, &f.adversarial), AMUN_ERROR_SHAPE, "3");
    ck_fails(attack(&f.images, &square, &f.adversarial), AMUN_ERROR_SHAPE, "2 dimensions");
    ck_fails(attack(&f.images, &f.labels, &tall), AMUN_ERROR_SHAPE, "adversarial");

    ck_fails(open_view(&flat, &f.labels), AMUN_ERROR_SHAPE, "1 dimensions");
    ck_fails(open_view(&none, NULL), AMUN_ERROR_SHAPE, "extent 0");
    ck_fails(open_view(&f.images, &three), AMUN_ERROR_SHAPE, "3 labels");
    ck_fails(open_view(&f.images, &square), AMUN_ERROR_SHAPE, "2 dimensions");

    amun_tensor_view one_class = view2(room, AMUN_DTYPE_F32, TINY_COUNT, 1);
    ck_fails(use_signal_logits(&one_class), AMUN_ERROR_SHAPE, "2 classes");
    ck_fails(use_signal_logits(&flat), AMUN_ERROR_SHAPE, "1 axes");
    ck_fails(use_signal_labels(&three), AMUN_ERROR_SHAPE, "3");
    ck_fails(use_features(&few), AMUN_ERROR_SHAPE, "11");
}
END_TEST

START_TEST(outputs)
{
    amun_tensor_view v = f.logits;
    v.flags = AMUN_VIEW_READONLY;
    ck_invalid(predict(&f.images, &v), "writable");
    v = f.logits;
    v.strides[0] = 0;
    ck_invalid(predict(&f.images, &v), "stride of 0");
    v = f.adversarial;
    v.flags = AMUN_VIEW_READONLY;
    ck_invalid(attack(&f.images, &f.labels, &v), "writable");
    v = f.adversarial;
    v.strides[2] = 0;
    ck_invalid(attack(&f.images, &f.labels, &v), "stride 0 of axis 2");

    /* overlap: the same memory, its end, its labels */
    static float room[2 * TINY_COUNT * TINY_PIXELS];
    memcpy(room, tiny_images, sizeof tiny_images);
    amun_tensor_view in = view4(room, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view out = in;
    ck_invalid(attack(&in, &f.labels, &out), "overlaps");
    out.data = room + TINY_COUNT * TINY_PIXELS - 1;
    ck_invalid(attack(&in, &f.labels, &out), "overlaps");
    out.data = room + TINY_COUNT * TINY_PIXELS;
    ck_ok(attack(&in, &f.labels, &out));
    amun_tensor_view inside =
        view2(room + TINY_COUNT * TINY_PIXELS - 1, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    ck_invalid(predict(&in, &inside), "overlap");
    inside.data = room + TINY_COUNT * TINY_PIXELS;
    ck_ok(predict(&in, &inside));
    ck_assert_mem_eq(room, tiny_images, sizeof tiny_images);
}
END_TEST

START_TEST(values)
{
    static float pixels[TINY_COUNT * TINY_PIXELS];
    static const float bad[] = {1.25f, -0.5f, NAN, INFINITY};
    static const char *const names[] = {"1.25", "-0.5", "nan", "inf"};
    amun_tensor_view in = view4(pixels, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    memcpy(pixels, tiny_images, sizeof tiny_images);
    for (size_t i = 0; i < 4; i++) {
        float kept = pixels[5 * TINY_PIXELS + 7];
        pixels[5 * TINY_PIXELS + 7] = bad[i];
        ck_invalid(attack(&in, &f.labels, &f.adversarial), names[i]);
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "sample 5: pixel 7"));
        ck_invalid(open_view(&in, &f.labels), names[i]);
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "image 5: pixel 7"));
        if (!isfinite(bad[i])) { /* prediction takes any real pixels */
            ck_invalid(predict(&in, &f.logits), names[i]);
            ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "image 5"));
        }
        pixels[5 * TINY_PIXELS + 7] = kept;
    }
    static const int64_t wrong[] = {-1, 3, INT64_C(1) << 32, INT64_MIN};
    int64_t labels[TINY_COUNT];
    amun_tensor_view numbers = view1(labels, AMUN_DTYPE_I64, TINY_COUNT);
    memset(f.logits_room, 0, sizeof f.logits_room);
    for (size_t i = 0; i < 4; i++) {
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)wrong[i]);
        memcpy(labels, tiny_labels, sizeof labels);
        labels[4] = wrong[i];
        ck_invalid(attack(&f.images, &numbers, &f.adversarial), text);
        ck_invalid(use_signal_labels(&numbers), text);
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "row 4"));
        if (wrong[i] != 3) { /* without a number of classes, 3 is the label of a fourth */
            ck_invalid(open_view(&f.images, &numbers), text);
        }
    }
    amun_dataset *data = (void *)&f;
    memcpy(labels, tiny_labels, sizeof labels);
    labels[4] = 3;
    ck_invalid(amun_dataset_open_view(&data, f.ctx, &f.images, &numbers, 3, NULL, NULL),
               "label 3 of image 4");
    ck_assert_ptr_null(data);
    ck_invalid(amun_dataset_open_view(&data, f.ctx, &f.images, &f.labels, -1, NULL, NULL), "-1");
    ck_invalid(amun_dataset_open_view(&data, f.ctx, &f.images, NULL, 3, NULL, NULL), "3");
    f.logits_room[2 * TINY_CLASSES + 1] = NAN;
    ck_fails(use_signal_logits(&f.logits), AMUN_ERROR_NUMERIC, "row 2");
    ck_fails(use_features(&f.logits), AMUN_ERROR_NUMERIC, "row 2");
    float pixel;
    int64_t label;
    ck_invalid(amun_dataset_read(f.data, TINY_COUNT, 1, &pixel), "12");
    ck_invalid(amun_dataset_labels(f.data, 3, SIZE_MAX, &label), "18446744073709551615");
    ck_ok(amun_dataset_open_view(&data, f.ctx, &f.images, NULL, 0, NULL, NULL));
    ck_fails(amun_dataset_labels(data, 0, 1, &label), AMUN_ERROR_STATE, "no labels");
    amun_dataset_unref(data);
}
END_TEST

/* ---- layouts that must work
 * ------------------------------------------------------------------------ */

/* Element (n, c, y, x) of the mirrored, channels-last or strided copy is that of tiny_images. */
static void ck_same_prediction(const amun_tensor_view *images, const float *expected)
{
    float logits[TINY_COUNT * TINY_CLASSES] = {0};
    amun_tensor_view out = view2(logits, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    ck_ok(predict(images, &out));
    ck_assert_mem_eq(logits, expected, sizeof logits);
    amun_dataset *data = NULL;
    static float back[TINY_COUNT * TINY_PIXELS];
    ck_ok(amun_dataset_open_view(&data, f.ctx, images, &f.labels, 0, NULL, NULL));
    ck_ok(amun_dataset_read(data, 0, TINY_COUNT, back));
    ck_assert_mem_eq(back, tiny_images, sizeof back);
    amun_dataset_unref(data);
    static float adversarial[TINY_COUNT * TINY_PIXELS];
    amun_tensor_view room = view4(adversarial, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    ck_ok(attack(images, &f.labels, &room));
    ck_assert_mem_eq(adversarial, f.adversarial_room, sizeof adversarial);
}

START_TEST(strides)
{
    float expected[TINY_COUNT * TINY_CLASSES];
    static float copy[TINY_COUNT * TINY_PIXELS * 4];
    ck_ok(predict(&f.images, &f.logits));
    ck_ok(attack(&f.images, &f.labels, &f.adversarial));
    memcpy(expected, f.logits_room, sizeof expected);

    /* all axes reversed in memory, read backwards */
    for (size_t i = 0; i < TINY_COUNT * TINY_PIXELS; i++) {
        copy[TINY_COUNT * TINY_PIXELS - 1 - i] = tiny_images[i];
    }
    amun_tensor_view v = f.images;
    v.data = copy + TINY_COUNT * TINY_PIXELS - 1;
    for (int i = 0; i < 4; i++) {
        v.strides[i] = -v.strides[i];
    }
    ck_same_prediction(&v, expected);

    /* transposed, with a gap behind every pixel */
    memset(copy, 0xff, sizeof copy);
    for (size_t n = 0; n < TINY_COUNT; n++) {
        for (size_t y = 0; y < TINY_EDGE; y++) {
            for (size_t x = 0; x < TINY_EDGE; x++) {
                copy[2 * ((x * TINY_EDGE + y) * TINY_COUNT + n)] =
                    tiny_images[(n * TINY_EDGE + y) * TINY_EDGE + x];
            }
        }
    }
    v = f.images;
    v.data = copy;
    v.strides[0] = 8;
    v.strides[1] = -4096; /* of an axis of one, never taken */
    v.strides[2] = 8 * TINY_COUNT;
    v.strides[3] = 8 * TINY_COUNT * TINY_EDGE;
    ck_same_prediction(&v, expected);

    /* labels backwards and as other types; logits into every other column */
    int32_t labels[2 * TINY_COUNT];
    for (size_t i = 0; i < TINY_COUNT; i++) {
        labels[2 * (TINY_COUNT - 1 - i)] = (int32_t)tiny_labels[i];
        labels[2 * i + 1] = -77;
    }
    amun_tensor_view numbers = view1(labels, AMUN_DTYPE_I32, TINY_COUNT);
    numbers.data = labels + 2 * (TINY_COUNT - 1);
    numbers.strides[0] = -8;
    amun_dataset *data = NULL;
    int64_t back[TINY_COUNT];
    ck_ok(amun_dataset_open_view(&data, f.ctx, &f.images, &numbers, 0, NULL, NULL));
    ck_ok(amun_dataset_labels(data, 0, TINY_COUNT, back));
    ck_assert_mem_eq(back, tiny_labels, sizeof back);
    amun_dataset_unref(data);
    static float adversarial[TINY_COUNT * TINY_PIXELS];
    amun_tensor_view room = view4(adversarial, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    ck_ok(attack(&f.images, &numbers, &room));
    ck_assert_mem_eq(adversarial, f.adversarial_room, sizeof adversarial);

    float wide[TINY_COUNT][2 * TINY_CLASSES];
    memset(wide, 0, sizeof wide);
    v = f.logits;
    v.data = &wide[TINY_COUNT - 1][0];
    v.strides[0] = -(int64_t)sizeof wide[0];
    v.strides[1] = 8;
    ck_ok(predict(&f.images, &v));
    for (size_t n = 0; n < TINY_COUNT; n++) {
        for (size_t c = 0; c < TINY_CLASSES; c++) {
            ck_assert(wide[TINY_COUNT - 1 - n][2 * c] == expected[n * TINY_CLASSES + c]);
            ck_assert(wide[n][2 * c + 1] == 0.0f);
        }
    }
}
END_TEST

/* Bytes are read as value / 255, in predictions, attacks and data sets alike. */
START_TEST(bytes)
{
    uint8_t pixels[2 * TINY_PIXELS];
    float same[2 * TINY_PIXELS], a[2 * TINY_CLASSES], b[2 * TINY_CLASSES];
    for (size_t i = 0; i < 2 * TINY_PIXELS; i++) {
        pixels[i] = (uint8_t)(i * 5);
        same[i] = (float)pixels[i] / 255.0f;
    }
    amun_tensor_view raw = view4(pixels, AMUN_DTYPE_U8, 2, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view real = view4(same, AMUN_DTYPE_F32, 2, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view a_view = view2(a, AMUN_DTYPE_F32, 2, TINY_CLASSES);
    amun_tensor_view b_view = view2(b, AMUN_DTYPE_F32, 2, TINY_CLASSES);
    ck_ok(predict(&raw, &a_view));
    ck_ok(predict(&real, &b_view));
    ck_assert_mem_eq(a, b, sizeof a);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("views");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, nonsense);
    tcase_add_test(tc, init);
    tcase_add_test(tc, wrong_types);
    tcase_add_test(tc, wrong_shapes);
    tcase_add_test(tc, outputs);
    tcase_add_test(tc, values);
    tcase_add_test(tc, strides);
    tcase_add_test(tc, bytes);
    return api_main("bad_views", (TCase *[]){tc, NULL});
}
