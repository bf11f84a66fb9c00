/* test_mix.c - what a mix refuses; augmentation against a brute-force oracle. */
#include "data/storage.h"
#include "test_files.h"

static test_allocator allocator;
static amun_context *ctx;
static amun_dataset *ds, *plain, *small;

enum { N = 6, H = 5, W = 4, PIXELS = 2 * H * W };
static uint8_t bytes[N][2][H][W];
static const int64_t labels[N] = {0, 1, 2, 2, 1, 0};

static amun_dataset *open_images(int64_t channels, const int64_t *with)
{
    amun_tensor_view images, view;
    amun_dataset *out = NULL;
    ck_ok(amun_tensor_view_init(&images, bytes, AMUN_DTYPE_U8, 4, (int64_t[]){N, channels, H, W}));
    ck_ok(
        amun_tensor_view_init(&view, (void *)(uintptr_t)labels, AMUN_DTYPE_I64, 1, (int64_t[]){N}));
    ck_ok(amun_dataset_open_view(&out, ctx, &images, with == NULL ? NULL : &view, 0, NULL, NULL));
    return out;
}

static void set_up(void)
{
    ctx = test_context(&allocator);
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof bytes; i++) {
        ((uint8_t *)bytes)[i] =
            (uint8_t)(1 + test_random(&state) % 255); /* never 0, as padding is */
    }
    ds = open_images(2, labels);
    plain = open_images(2, NULL);
    small = open_images(1, labels);
}

static void tear_down(void)
{
    amun_dataset_unref(ds);
    amun_dataset_unref(plain);
    amun_dataset_unref(small);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
}

static amun__mix one_part(amun__target target)
{
    amun__mix mix = {.part_count = 1, .classes = 3};
    mix.parts[0] = (amun__part){.dataset = ds, .target = target, .weight = 1.0};
    return mix;
}

/* ---- checks
 * ---------------------------------------------------------------------------------------- */

START_TEST(test_accepts)
{
    static const int64_t some[] = {5, 0};
    static const int32_t fixed[] = {2, 0};
    static const float soft[] = {0.5f, 0.25f, 0.25f, 0, 0, 1.0009f};
    amun__mix mix = {.part_count = 5, .classes = 3, .augment = {3, 1}, .label_smoothing = 0.1};
    mix.parts[0] = (amun__part){.dataset = ds, .target = AMUN__TARGET_LABEL, .weight = 1};
    mix.parts[1] = (amun__part){ds, some, 2, AMUN__TARGET_FIXED, 1, fixed, NULL, -1.0, 0, 0, 0};
    mix.parts[2] = (amun__part){plain, some, 2, AMUN__TARGET_SOFT, 0, NULL, soft, 0.5, 0, 0, 0};
    mix.parts[3] =
        (amun__part){plain, some, 1, AMUN__TARGET_RANDOM_ANY, 0, NULL, NULL, 1.0, 0, 0, 0};
    mix.parts[4] =
        (amun__part){ds, some, 0, AMUN__TARGET_RANDOM_OTHER, 0, NULL, NULL, 1.0, 0, 0, 0};
    ck_ok(amun__mix_check(ctx, &mix));
    ck_assert_uint_eq(amun__mix_count(&mix), 6 + 2 + 2 + 1 + 0);
    mix.parts[0].count = N; /* all, said twice */
    ck_ok(amun__mix_check(ctx, &mix));
    ck_assert_uint_eq(amun__mix_count(&mix), 11);
}
END_TEST

START_TEST(test_refuses)
{
    amun__mix mix = one_part(AMUN__TARGET_LABEL);
    ck_ok(amun__mix_check(ctx, &mix));
#define REFUSED(change, status, part)                                                              \
    do {                                                                                           \
        mix = one_part(AMUN__TARGET_LABEL);                                                        \
        change;                                                                                    \
        ck_fails(amun__mix_check(ctx, &mix), status, part);                                        \
    } while (0)
    REFUSED(mix.part_count = 0, AMUN_ERROR_INVALID_ARGUMENT, "0 parts");
    REFUSED(mix.part_count = 9, AMUN_ERROR_INVALID_ARGUMENT, "9 parts");
    REFUSED(mix.classes = 0, AMUN_ERROR_INVALID_ARGUMENT, "0 classes");
    REFUSED(mix.classes = 2, AMUN_ERROR_INVALID_ARGUMENT, "part 0: label 2 of image 2");
    REFUSED(mix.label_smoothing = 1.0, AMUN_ERROR_INVALID_ARGUMENT, "smoothing is 1");
    REFUSED(mix.label_smoothing = NAN, AMUN_ERROR_INVALID_ARGUMENT, "smoothing is nan");
    REFUSED(mix.augment.pad = -1, AMUN_ERROR_INVALID_ARGUMENT, "pad is -1");
    REFUSED((mix.augment.pad = W, mix.parts[0].augment = 1), AMUN_ERROR_INVALID_ARGUMENT,
            "pad is 4");
    REFUSED(mix.parts[0].dataset = NULL, AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    REFUSED(mix.parts[0].dataset = plain, AMUN_ERROR_INVALID_ARGUMENT, "no labels");
    REFUSED(mix.parts[0].weight = NAN, AMUN_ERROR_NUMERIC, "part 0: weight is nan");
    REFUSED(mix.parts[0].weight = -INFINITY, AMUN_ERROR_NUMERIC, "-inf");
    REFUSED(mix.parts[0].target = (amun__target)77, AMUN_ERROR_INVALID_ARGUMENT, "target 77");
    REFUSED(mix.parts[0].count = 3, AMUN_ERROR_INVALID_ARGUMENT, "3 entries without indices");
    static const int64_t outside[] = {1, 6};
    static const int64_t twice[] = {1, 2, 1};
    REFUSED((mix.parts[0].indices = outside, mix.parts[0].count = 2), AMUN_ERROR_INVALID_ARGUMENT,
            "part 0: index 6 at position 1");
    REFUSED((mix.parts[0].indices = twice, mix.parts[0].count = 3), AMUN_ERROR_INVALID_ARGUMENT,
            "part 0: index 1 at position 2 is repeated");
    REFUSED((mix.parts[0].indices = twice, mix.parts[0].count = 0), AMUN_ERROR_INVALID_ARGUMENT,
            "no sample");
    REFUSED((mix.part_count = 2, mix.parts[1] = mix.parts[0], mix.parts[1].dataset = small),
            AMUN_ERROR_SHAPE, "part 1: images are 1x5x4, those of part 0 2x5x4");
    /* labels that the data set knows but the selected images do not have are fine */
    mix = one_part(AMUN__TARGET_LABEL);
    mix.classes = 2;
    static const int64_t low[] = {0, 1, 4, 5};
    mix.parts[0].indices = low;
    mix.parts[0].count = 4;
    ck_ok(amun__mix_check(ctx, &mix));
}
END_TEST

static void ck_turns(amun__part first, amun__part second, const char *part)
{
    amun__mix mix = one_part(AMUN__TARGET_LABEL);
    first.dataset = second.dataset = ds;
    first.target = second.target = AMUN__TARGET_LABEL;
    mix.parts[0] = first;
    mix.parts[1] = second;
    mix.part_count = 2;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, part);
}

START_TEST(test_turns)
{
    const amun__part plain_part = {.weight = 1.0};
    ck_turns((amun__part){.phase = -1}, plain_part, "part 0: phase is -1");
    ck_turns(plain_part, (amun__part){.phase = AMUN__MIX_MAX_PARTS}, "part 1: phase is 8");
    ck_turns((amun__part){.repeat = -1}, plain_part, "part 0: repeat is -1");
    ck_turns((amun__part){.repeat = AMUN__PART_MAX_REPEAT + 1}, plain_part, "repeat is 4096");
    ck_turns(plain_part, (amun__part){.phase = 1, .epochs = -2}, "part 1: -2 epochs");
    ck_turns(plain_part, (amun__part){.epochs = 3}, "part 1: 3 epochs, but part 0");

    amun__mix mix = one_part(AMUN__TARGET_LABEL);
    mix.part_count = 3;
    mix.parts[1] = mix.parts[2] = mix.parts[0];
    mix.parts[0].repeat = 4; /* 24 samples */
    mix.parts[1].phase = 2;  /* 6, twice 6 in the first three epochs */
    mix.parts[2].phase = 5;
    mix.parts[2].repeat = 2;
    mix.parts[2].epochs = 3;
    ck_ok(amun__mix_check(ctx, &mix));
    ck_assert_uint_eq(amun__mix_count(&mix), 24 + 6 + 12);
    ck_assert_uint_eq(amun__mix_phase_count(&mix, 0, 99), 24);
    ck_assert_uint_eq(amun__mix_phase_count(&mix, 1, 0), 0);
    ck_assert_uint_eq(amun__mix_phase_count(&mix, 5, 2), 12);
    ck_assert_uint_eq(amun__mix_phase_count(&mix, 5, 3), 0);
    ck_assert_uint_eq(amun__mix_batches(&mix, 5, 0), 5 + 2 + 3);
    ck_assert_uint_eq(amun__mix_batches(&mix, 5, 3), 5 + 2);
    ck_assert_uint_eq(amun__mix_batches(&mix, 6, 0), 4 + 1 + 2);
}
END_TEST

START_TEST(test_refuses_targets)
{
    amun__mix mix = one_part(AMUN__TARGET_FIXED);
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "labels is NULL");
    int32_t fixed[N] = {0, 1, 2, 3, 0, 0};
    mix.parts[0].labels = fixed;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "label 3 at position 3");
    fixed[3] = -1;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "label -1 at position 3");
    fixed[3] = 0;
    ck_ok(amun__mix_check(ctx, &mix));

    mix = one_part(AMUN__TARGET_RANDOM_OTHER);
    mix.classes = 1;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "2 classes, there is 1");
    mix = one_part(AMUN__TARGET_RANDOM_OTHER);
    mix.parts[0].dataset = plain; /* other than what? */
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "no labels");

    mix = one_part(AMUN__TARGET_SOFT);
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "soft is NULL");
    float soft[N * 3];
    for (size_t i = 0; i < N * 3; i++) {
        soft[i] = 1.0f / 3.0f;
    }
    mix.parts[0].soft = soft;
    ck_ok(amun__mix_check(ctx, &mix));
    soft[7] = 0.336f;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "soft row 2 sums to 1.002");
    soft[7] = NAN;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_NUMERIC, "soft row 2, class 1 is nan");
    soft[7] = INFINITY;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_NUMERIC, "inf");
    soft[6] = 1.0f;
    soft[7] = -1.0f / 3.0f;
    ck_fails(amun__mix_check(ctx, &mix), AMUN_ERROR_INVALID_ARGUMENT, "class 1 is -0.333");
}
END_TEST

/* ---- augmentation
 * ---------------------------------------------------------------------------------- */

/* The slow way: a padded copy, then one pixel at a time. */
static void crop_and_flip(const float *src, int pad, int top, int left, bool flip, float *dst)
{
    static float padded[2][H + 2 * H][W + 2 * W];
    memset(padded, 0, sizeof padded);
    for (int c = 0; c < 2; c++) {
        for (int y = 0; y < H; y++) {
            for (int x = 0; x < W; x++) {
                padded[c][y + pad][x + pad] = src[(c * H + y) * W + x];
            }
        }
        for (int y = 0; y < H; y++) {
            for (int x = 0; x < W; x++) {
                dst[(c * H + y) * W + x] = padded[c][y + top][(flip ? W - 1 - x : x) + left];
            }
        }
    }
}

/* Which of the possible crops and flips `got` is; -1 if none. The images have no repetitions, so
 * there is at most one answer. */
static int recognise(const float *src, const amun__augment *augment, const float *got)
{
    float expected[PIXELS];
    for (int top = 0; top <= 2 * augment->pad; top++) {
        for (int left = 0; left <= 2 * augment->pad; left++) {
            for (int flip = 0; flip <= augment->flip; flip++) {
                crop_and_flip(src, augment->pad, top, left, flip != 0, expected);
                if (memcmp(expected, got, sizeof expected) == 0) {
                    return (top * (2 * augment->pad + 1) + left) * 2 + flip;
                }
            }
        }
    }
    return -1;
}

START_TEST(test_augment)
{
    static const amun__augment kinds[] = {{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {3, 1, 0}, {2, 1, 0}};
    float src[PIXELS], got[PIXELS], fused[PIXELS];
    amun__dataset_fetch(ds, 3, src);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        int side = 2 * kinds[k].pad + 1;
        int possible = side * side * (kinds[k].flip + 1);
        int seen[98] = {0};
        enum { DRAWS = 9800 };
        for (uint64_t id = 0; id < DRAWS; id++) {
            amun__augment_apply(&kinds[k], 42, 7, id, 2, H, W, src, got);
            int which = recognise(src, &kinds[k], got);
            ck_assert_int_ge(which, 0);
            seen[which]++;
            amun__augment_fetch(&kinds[k], 42, 7, id, ds, 3, fused);
            ck_assert_int_eq(memcmp(fused, got, sizeof got), 0);
        }
        /* uniform over all of them: chi-square below its mean + 5 standard deviations */
        double expected = (double)DRAWS / possible;
        double chi = 0;
        int met = 0;
        for (int i = 0; i < side * side * 2; i++) {
            met += seen[i] > 0;
            chi += seen[i] > 0 ? (seen[i] - expected) * (seen[i] - expected) / expected : 0;
        }
        ck_assert_int_eq(met, possible);
        ck_assert(chi <= (possible - 1) + 5 * sqrt(2.0 * possible));
    }
}
END_TEST

/* Which pixels of channel 0 are not what they were; all channels have to agree. Rows and columns of
 * the first and the last of them in box[4]; they must fill that box, with the channel's mean. */
static void find_hole(const float *src, const float *got, int box[4])
{
    int changed = 0;
    box[0] = H, box[1] = W, box[2] = box[3] = -1;
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            int at = y * W + x;
            bool gone = src[at] != got[at];
            ck_assert_int_eq(src[at + H * W] != got[at + H * W], gone);
            if (gone) {
                changed++;
                box[0] = y < box[0] ? y : box[0];
                box[1] = x < box[1] ? x : box[1];
                box[2] = y > box[2] ? y : box[2];
                box[3] = x > box[3] ? x : box[3];
            }
        }
    }
    ck_assert_int_eq(changed, (box[2] - box[0] + 1) * (box[3] - box[1] + 1));
    for (int c = 0; c < 2; c++) {
        long double sum = 0;
        for (int i = 0; i < H * W; i++) {
            sum += (long double)src[c * H * W + i];
        }
        ck_assert_float_eq_tol(got[c * H * W + box[0] * W + box[1]], (float)(sum / (H * W)), 1e-6f);
    }
}

/* Each pixel is the middle equally often, what lies outside is cut off. */
START_TEST(test_cutout)
{
    enum { SIDE = 3, DRAWS = 100 * H * W };
    const amun__augment augment = {0, 0, SIDE};
    float src[PIXELS], got[PIXELS], fused[PIXELS];
    int seen[H][W] = {0};
    for (int i = 0; i < PIXELS; i++) {
        src[i] = (float)(i * i % 97) + 0.25f; /* no pixel is the mean */
    }
    for (uint64_t id = 0; id < DRAWS; id++) {
        int box[4];
        amun__augment_apply(&augment, 4, 1, id, 2, H, W, src, got);
        find_hole(src, got, box);
        int y = box[0] == 0 ? box[2] - 1 : box[0] + 1;
        int x = box[1] == 0 ? box[3] - 1 : box[1] + 1;
        ck_assert_int_eq(box[2], y + 1 < H ? y + 1 : H - 1);
        ck_assert_int_eq(box[3], x + 1 < W ? x + 1 : W - 1);
        seen[y][x]++;
    }
    double chi = 0;
    for (int i = 0; i < H * W; i++) {
        double off = seen[i / W][i % W] - 100.0;
        chi += off * off / 100.0;
    }
    ck_assert(chi <= H * W - 1 + 5 * sqrt(2.0 * H * W));
    /* after crop and flip, which stay as they are without it; both ways to an image agree */
    const amun__augment without = {2, 1, 0}, with = {2, 1, SIDE};
    amun__dataset_fetch(ds, 3, src);
    for (uint64_t id = 0; id < 50; id++) {
        int same = 0;
        amun__augment_apply(&with, 4, 1, id, 2, H, W, src, got);
        amun__augment_fetch(&with, 4, 1, id, ds, 3, fused);
        ck_assert_int_eq(memcmp(fused, got, sizeof got), 0);
        amun__augment_apply(&without, 4, 1, id, 2, H, W, src, fused);
        for (int i = 0; i < PIXELS; i++) {
            same += got[i] == fused[i];
        }
        ck_assert(same >= PIXELS - 2 * SIDE * SIDE && same < PIXELS);
    }
}
END_TEST

START_TEST(test_augment_keys)
{
    const amun__augment augment = {3, 1, 0};
    float src[PIXELS], first[PIXELS], other[PIXELS];
    amun__dataset_fetch(ds, 1, src);
    int same_seed = 0, same_epoch = 0, same_id = 0;
    for (uint64_t i = 0; i < 100; i++) {
        amun__augment_apply(&augment, 1, 1, i, 2, H, W, src, first);
        amun__augment_apply(&augment, 1, 1, i, 2, H, W, src, other);
        ck_assert_int_eq(memcmp(first, other, sizeof first), 0);
        amun__augment_apply(&augment, 2, 1, i, 2, H, W, src, other);
        same_seed += memcmp(first, other, sizeof first) == 0;
        amun__augment_apply(&augment, 1, 2, i, 2, H, W, src, other);
        same_epoch += memcmp(first, other, sizeof first) == 0;
        amun__augment_apply(&augment, 1, 1, i | (uint64_t)1 << 48, 2, H, W, src, other);
        same_id += memcmp(first, other, sizeof first) == 0;
    }
    /* 98 outcomes: about one of 100 pairs meets by chance */
    ck_assert(same_seed < 10 && same_epoch < 10 && same_id < 10);
}
END_TEST

/* Images that are not dense take the slow way to the same result. */
START_TEST(test_augment_strided)
{
    amun_tensor_view view;
    amun_dataset *mirrored = NULL;
    ck_ok(amun_tensor_view_init(&view, bytes, AMUN_DTYPE_U8, 4, (int64_t[]){N, 2, H, W}));
    view.data = &bytes[0][0][0][W - 1];
    view.strides[3] = -1;
    ck_ok(amun_dataset_open_view(&mirrored, ctx, &view, NULL, 0, NULL, NULL));
    const amun__augment augment = {3, 1, 0};
    float src[PIXELS], expected[PIXELS], got[PIXELS];
    for (uint64_t id = 0; id < 200; id++) {
        amun__dataset_fetch(mirrored, 2, src);
        amun__augment_apply(&augment, 5, 0, id, 2, H, W, src, expected);
        amun__augment_fetch(&augment, 5, 0, id, mirrored, 2, got);
        ck_assert_int_eq(memcmp(got, expected, sizeof got), 0);
    }
    amun_dataset_unref(mirrored);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("mix");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_accepts);
    tcase_add_test(tc, test_refuses);
    tcase_add_test(tc, test_refuses_targets);
    tcase_add_test(tc, test_turns);
    tcase_add_test(tc, test_augment);
    tcase_add_test(tc, test_cutout);
    tcase_add_test(tc, test_augment_keys);
    tcase_add_test(tc, test_augment_strided);
    return amun_test_main("mix", (TCase *[]){tc, NULL});
}
