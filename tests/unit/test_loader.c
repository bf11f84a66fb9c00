/* test_loader.c - what is in the batches, and that nothing but seed and epoch decides it. */
#include <pthread.h>
#include <time.h>

#include "data/storage.h"
#include "test_files.h"

static test_allocator allocator;
static amun_context *ctx;
static amun_dataset *ds;

enum { N = 103, H = 6, W = 6, PIXELS = 3 * H * W, CLASSES = 5 };
static uint8_t bytes[N][3][H][W];
static int32_t own[N];

static void set_up(void)
{
    ctx = test_context(&allocator);
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof bytes; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)test_random(&state);
    }
    for (size_t i = 0; i < N; i++) {
        own[i] = (int32_t)(test_random(&state) % CLASSES);
    }
    amun_tensor_view images, labels;
    ck_ok(amun_tensor_view_init(&images, bytes, AMUN_DTYPE_U8, 4, (int64_t[]){N, 3, H, W}));
    ck_ok(amun_tensor_view_init(&labels, own, AMUN_DTYPE_I32, 1, (int64_t[]){N}));
    ck_ok(amun_dataset_open_view(&ds, ctx, &images, &labels, CLASSES, NULL, NULL));
}

static void tear_down(void)
{
    amun_dataset_unref(ds);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
    ck_assert_int_eq(allocator.wrong, 0);
}

/* ---- an epoch as flat arrays
 * ------------------------------------------------------------------------- */

enum { MOST = 400 };
typedef struct epoch {
    size_t count, batches;
    float images[MOST][PIXELS], targets[MOST][CLASSES], weights[MOST];
    int32_t labels[MOST];
} epoch;

static void read_epoch(amun__loader *loader, size_t batch, uint32_t number, epoch *out)
{
    memset(out, 0, sizeof *out);
    ck_ok(amun__loader_begin(loader, number));
    for (;;) {
        const amun__batch *next = NULL;
        ck_ok(amun__loader_next(loader, &next));
        if (next == NULL) {
            break;
        }
        ck_assert(next->count >= 1 && next->count <= batch);
        if (out->batches + 1 < amun__loader_batches(loader)) {
            ck_assert_uint_eq(next->count, batch); /* only the last may be short */
        }
        ck_assert_uint_le(out->count + next->count, MOST);
        memcpy(out->images[out->count], next->images, next->count * sizeof out->images[0]);
        memcpy(out->targets[out->count], next->targets, next->count * sizeof out->targets[0]);
        memcpy(&out->weights[out->count], next->weights, next->count * sizeof(float));
        memcpy(&out->labels[out->count], next->labels, next->count * sizeof(int32_t));
        out->count += next->count;
        out->batches++;
    }
    ck_assert_uint_eq(out->batches, amun__loader_batches(loader));
    const amun__batch *after = NULL;
    ck_ok(amun__loader_next(loader, &after)); /* the end stays the end */
    ck_assert_ptr_null(after);
}

static const int64_t some[] = {40, 2, 99, 17, 3};
static const int32_t fixed[] = {4, 3, 2, 1, 0};
static const float soft[5][CLASSES] = {
    {1, 0, 0, 0, 0},       {0, 0.25f, 0.5f, 0.25f, 0}, {0.2f, 0.2f, 0.2f, 0.2f, 0.2f},
    {0, 0, 0, 0.4f, 0.6f}, {0.5f, 0.5f, 0, 0, 0},
};

/* Five parts with every kind of target. */
static amun__mix all_targets(void)
{
    amun__mix mix = {.part_count = 5, .classes = CLASSES, .augment = {2, 1, 0}, .shuffle = 1};
    mix.parts[0] = (amun__part){ds, NULL, 0, AMUN__TARGET_LABEL, 1, NULL, NULL, 1.0, 0, 0, 0};
    mix.parts[1] = (amun__part){ds, some, 5, AMUN__TARGET_FIXED, 0, fixed, NULL, 2.0, 0, 0, 0};
    mix.parts[2] = (amun__part){ds, some, 5, AMUN__TARGET_SOFT, 0, NULL, soft[0], -1.0, 0, 0, 0};
    mix.parts[3] =
        (amun__part){ds, NULL, 0, AMUN__TARGET_RANDOM_OTHER, 1, NULL, NULL, 0.5, 0, 0, 0};
    mix.parts[4] = (amun__part){ds, NULL, 0, AMUN__TARGET_RANDOM_ANY, 0, NULL, NULL, 0.25, 0, 0, 0};
    return mix;
}
enum { TOTAL = N + 5 + 5 + N + N };

/* ---- content
 * ------------------------------------------------------------------------------------------- */

START_TEST(test_unshuffled)
{
    static epoch got;
    amun__mix mix = all_targets();
    mix.shuffle = 0;
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 32, 9));
    ck_assert_uint_eq(amun__loader_batches(loader), (TOTAL + 31) / 32);
    read_epoch(loader, 32, 4, &got);
    amun__loader_close(loader);
    ck_assert_uint_eq(got.count, TOTAL);
    static const size_t starts[] = {0, N, N + 5, N + 10, 2 * N + 10, TOTAL};
    static const float weights[] = {1.0f, 2.0f, -1.0f, 0.5f, 0.25f};
    for (size_t p = 0; p < 5; p++) {
        for (size_t e = starts[p]; e < starts[p + 1]; e++) {
            size_t position = e - starts[p];
            size_t index = p == 1 || p == 2 ? (size_t)some[position] : position;
            float source[PIXELS], expected[PIXELS];
            for (size_t k = 0; k < PIXELS; k++) {
                source[k] = (float)((uint8_t *)bytes[index])[k] / 255.0f;
            }
            memcpy(expected, source, sizeof expected);
            if (p == 0 || p == 3) { /* the key is (part << 48) | index */
                amun__augment_apply(&mix.augment, 9, 4, (uint64_t)p << 48 | index, 3, H, W, source,
                                    expected);
            }
            ck_assert_int_eq(memcmp(got.images[e], expected, sizeof expected), 0);
            ck_assert(got.weights[e] == weights[p]);
            int32_t label = got.labels[e];
            ck_assert(label >= 0 && label < CLASSES);
            if (p == 0) {
                ck_assert_int_eq(label, own[index]);
            } else if (p == 1) {
                ck_assert_int_eq(label, fixed[position]);
            } else if (p == 2) {
                static const int32_t largest[] = {0, 2, 0, 4, 0};
                ck_assert_int_eq(label, largest[position]);
            } else if (p == 3) {
                ck_assert_int_ne(label, own[index]);
            }
            for (int32_t k = 0; k < CLASSES; k++) {
                float row = p == 2 ? soft[position][k] : k == label ? 1.0f : 0.0f;
                ck_assert(got.targets[e][k] == row);
            }
        }
    }
}
END_TEST

START_TEST(test_smoothing)
{
    static epoch hard, smooth;
    amun__mix mix = all_targets();
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 64, 1));
    read_epoch(loader, 64, 0, &hard);
    amun__loader_close(loader);
    mix.label_smoothing = 0.2;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 64, 1));
    read_epoch(loader, 64, 0, &smooth);
    amun__loader_close(loader);
    ck_assert_int_eq(memcmp(hard.labels, smooth.labels, sizeof hard.labels), 0);
    for (size_t e = 0; e < TOTAL; e++) {
        for (size_t k = 0; k < CLASSES; k++) {
            ck_close((double)smooth.targets[e][k], 0.8 * (double)hard.targets[e][k] + 0.04, 1e-6);
        }
    }
}
END_TEST

/* Each entry exactly once, in an order that changes with epoch and seed and looks random. */
START_TEST(test_shuffle)
{
    static epoch first, second;
    amun__mix mix = {.part_count = 1, .classes = CLASSES, .shuffle = 1};
    mix.parts[0] = (amun__part){ds, NULL, 0, AMUN__TARGET_LABEL, 0, NULL, NULL, 1.0, 0, 0, 0};
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 10, 1));
    for (uint32_t e = 0; e < 20; e++) {
        read_epoch(loader, 10, e, &second);
        ck_assert_uint_eq(second.count, N);
        int seen[N] = {0};
        size_t fixed_points = 0;
        for (size_t i = 0; i < N; i++) {
            size_t k = 0; /* the first pixels tell the images apart */
            while (second.images[i][0] != (float)bytes[k][0][0][0] / 255.0f ||
                   second.images[i][1] != (float)bytes[k][0][0][1] / 255.0f ||
                   second.images[i][2] != (float)bytes[k][0][0][2] / 255.0f) {
                k++;
                ck_assert_uint_lt(k, N);
            }
            seen[k]++;
            fixed_points += k == i;
            ck_assert_int_eq(second.labels[i], own[k]);
        }
        for (size_t k = 0; k < N; k++) {
            ck_assert_int_eq(seen[k], 1);
        }
        ck_assert_uint_le(fixed_points, 8); /* one is expected */
        if (e > 0) {
            ck_assert_int_ne(memcmp(first.images, second.images, sizeof first.images), 0);
        }
        first = second;
    }
    amun__loader_close(loader);
    ck_ok(amun__loader_open(&loader, ctx, &mix, 10, 2));
    read_epoch(loader, 10, 19, &second);
    ck_assert_int_ne(memcmp(first.images, second.images, sizeof first.images), 0);
    amun__loader_close(loader);
}
END_TEST

START_TEST(test_random_labels)
{
    static epoch got;
    amun__mix mix = {.part_count = 1, .classes = CLASSES};
    mix.parts[0] =
        (amun__part){ds, NULL, 0, AMUN__TARGET_RANDOM_OTHER, 0, NULL, NULL, 1.0, 0, 0, 0};
    enum { EPOCHS = 400 };
    for (int any = 0; any < 2; any++) {
        mix.parts[0].target = any ? AMUN__TARGET_RANDOM_ANY : AMUN__TARGET_RANDOM_OTHER;
        amun__loader *loader = NULL;
        ck_ok(amun__loader_open(&loader, ctx, &mix, N, 5));
        int counts[CLASSES][CLASSES] = {{0}};
        int same_twice = 0;
        int32_t before = -1;
        for (uint32_t e = 0; e < EPOCHS; e++) {
            read_epoch(loader, N, e, &got);
            for (size_t i = 0; i < N; i++) {
                counts[own[i]][got.labels[i]]++;
            }
            same_twice += got.labels[0] == before;
            before = got.labels[0];
        }
        amun__loader_close(loader);
        for (int32_t truth = 0; truth < CLASSES; truth++) {
            int total = 0;
            for (int32_t k = 0; k < CLASSES; k++) {
                total += counts[truth][k];
            }
            double share = 1.0 / (any ? CLASSES : CLASSES - 1);
            double deviation = sqrt(total * share * (1 - share));
            for (int32_t k = 0; k < CLASSES; k++) {
                if (!any && k == truth) {
                    ck_assert_int_eq(counts[truth][k], 0);
                } else {
                    ck_assert(fabs(counts[truth][k] - total * share) < 5 * deviation);
                }
            }
        }
        /* redrawn each epoch: the same label twice in a row as often as chance has it */
        ck_assert(same_twice > EPOCHS / 10 && same_twice < EPOCHS * 2 / 5);
    }
}
END_TEST

/* Random choices belong to the image, not to its place in the list: a part of some images draws for
 * each of them what the part of all images draws. */
START_TEST(test_keyed_by_image)
{
    static epoch all, part;
    amun__mix mix = {.part_count = 1, .classes = CLASSES, .augment = {2, 1, 0}};
    mix.parts[0] =
        (amun__part){ds, NULL, 0, AMUN__TARGET_RANDOM_OTHER, 1, NULL, NULL, 1.0, 0, 0, 0};
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 32, 6));
    read_epoch(loader, 32, 1, &all);
    amun__loader_close(loader);
    mix.parts[0].indices = some;
    mix.parts[0].count = 5;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 32, 6));
    read_epoch(loader, 5, 1, &part);
    amun__loader_close(loader);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(part.labels[i], all.labels[some[i]]);
        ck_assert_int_eq(memcmp(part.images[i], all.images[some[i]], sizeof part.images[i]), 0);
    }
}
END_TEST

/* ---- independence
 * -------------------------------------------------------------------------------------- */

START_TEST(test_independent_of_threads_and_batch)
{
    static epoch reference, got;
    const amun__mix mix = all_targets();
    static const int32_t threads[] = {1, 2, 4};
    static const size_t batches[] = {64, 1, 7, 128, TOTAL, 100000};
    bool first = true;
    for (size_t t = 0; t < 3; t++) {
        ck_ok(amun_context_set_threads(ctx, threads[t]));
        for (size_t b = 0; b < 6; b++) {
            amun__loader *loader = NULL;
            ck_ok(amun__loader_open(&loader, ctx, &mix, batches[b], 77));
            size_t size = batches[b] < TOTAL ? batches[b] : TOTAL;
            for (int again = 0; again < 2; again++) {
                read_epoch(loader, size, 3, &got);
                got.batches = 0;
                if (first) {
                    reference = got;
                    first = false;
                }
                ck_assert_int_eq(memcmp(&reference, &got, sizeof got), 0);
            }
            amun__loader_close(loader);
        }
    }
    ck_ok(amun_context_set_threads(ctx, 0));
}
END_TEST

/* A batch stays as it is until the next one is asked for, however long that takes. */
START_TEST(test_batch_is_stable)
{
    ck_ok(amun_context_set_threads(ctx, 2));
    const amun__mix mix = all_targets();
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 8, 1));
    ck_ok(amun__loader_begin(loader, 0));
    for (;;) {
        const amun__batch *batch = NULL;
        ck_ok(amun__loader_next(loader, &batch));
        if (batch == NULL) {
            break;
        }
        float copy[8 * PIXELS];
        memcpy(copy, batch->images, batch->count * PIXELS * sizeof(float));
        struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
        ck_assert_int_eq(memcmp(copy, batch->images, batch->count * PIXELS * sizeof(float)), 0);
    }
    amun__loader_close(loader);
}
END_TEST

START_TEST(test_leaving_early)
{
    static epoch whole, got;
    const amun__mix mix = all_targets();
    for (int32_t threads = 1; threads <= 2; threads++) {
        ck_ok(amun_context_set_threads(ctx, threads));
        amun__loader *loader = NULL;
        const amun__batch *batch = NULL;
        ck_ok(amun__loader_open(&loader, ctx, &mix, 16, 1));
        ck_fails(amun__loader_next(loader, &batch), AMUN_ERROR_STATE, "no epoch");
        amun__loader_close(loader); /* never begun */
        for (int taken = 0; taken < 6; taken++) {
            ck_ok(amun__loader_open(&loader, ctx, &mix, 16, 1));
            ck_ok(amun__loader_begin(loader, 0));
            for (int i = 0; i < taken; i++) {
                ck_ok(amun__loader_next(loader, &batch));
            }
            amun__loader_close(loader); /* in mid-epoch */
        }
        /* another epoch in mid-epoch: nothing of the old one is left */
        ck_ok(amun__loader_open(&loader, ctx, &mix, 16, 1));
        read_epoch(loader, 16, 8, &whole);
        for (int taken = 0; taken < 6; taken++) {
            ck_ok(amun__loader_begin(loader, 5));
            for (int i = 0; i < taken; i++) {
                ck_ok(amun__loader_next(loader, &batch));
            }
            read_epoch(loader, 16, 8, &got);
            ck_assert_int_eq(memcmp(&whole, &got, sizeof got), 0);
        }
        amun__loader_close(loader);
    }
    amun__loader_close(NULL);
}
END_TEST

static void *read_in_thread(void *data)
{
    epoch *out = data;
    const amun__mix mix = all_targets();
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 16, 1));
    for (uint32_t e = 0; e < 10; e++) {
        read_epoch(loader, 16, e, out);
    }
    amun__loader_close(loader);
    return NULL;
}

START_TEST(test_several_loaders)
{
    static epoch results[3];
    pthread_t threads[3];
    ck_ok(amun_context_set_threads(ctx, 2));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_in_thread, &results[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(memcmp(&results[0], &results[1], sizeof results[0]), 0);
    ck_assert_int_eq(memcmp(&results[0], &results[2], sizeof results[0]), 0);
}
END_TEST

START_TEST(test_open_refuses)
{
    amun__mix mix = all_targets();
    amun__loader *loader = NULL;
    ck_fails(amun__loader_open(&loader, ctx, &mix, 0, 1), AMUN_ERROR_INVALID_ARGUMENT,
             "batch is 0");
    mix.parts[3].weight = NAN;
    ck_fails(amun__loader_open(&loader, ctx, &mix, 8, 1), AMUN_ERROR_NUMERIC, "part 3");
    mix = all_targets();
    int failures = 0;
    for (int n = 1;; n++) {
        allocator.fail_at = n;
        amun_status status = amun__loader_open(&loader, ctx, &mix, 8, 1);
        if (status == AMUN_OK) {
            break;
        }
        ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
        ck_assert_ptr_null(loader);
        failures++;
    }
    allocator.fail_at = 0;
    ck_assert_int_ge(failures, 7);
    amun__loader_close(loader);
}
END_TEST

/* ---- phases -------------------------------------------------------------------------------- */

/* Phase 0: five samples three times, in the first two epochs; phase 1: all, once. */
static amun__mix two_phases(int32_t shuffle)
{
    amun__mix mix = {.part_count = 2, .classes = CLASSES, .augment = {2, 1, 0}, .shuffle = shuffle};
    mix.parts[0] = (amun__part){
        .dataset = ds, .target = AMUN__TARGET_LABEL, .augment = 1, .weight = 1.0, .phase = 1};
    mix.parts[1] = (amun__part){.dataset = ds,
                                .indices = some,
                                .count = 5,
                                .target = AMUN__TARGET_RANDOM_OTHER,
                                .augment = 1,
                                .weight = -1.0,
                                .epochs = 2,
                                .repeat = 3};
    return mix;
}

/* Sizes and phases of the batches of one epoch, then its samples. */
static void read_phases(amun__loader *loader, uint32_t number, bool first, epoch *out)
{
    const size_t sizes[] = {4, 4, 4, 3}; /* of the 15; then 26 batches of 4 and 3 */
    memset(out, 0, sizeof *out);
    ck_ok(amun__loader_begin(loader, number));
    ck_assert_uint_eq(amun__loader_batches(loader), (first ? 4 : 0) + 26);
    for (;; out->batches++) {
        const amun__batch *next = NULL;
        ck_ok(amun__loader_next(loader, &next));
        if (next == NULL) {
            break;
        }
        bool early = first && out->batches < 4;
        size_t at = out->batches - (first ? 4 : 0);
        ck_assert_uint_eq(next->count, early ? sizes[out->batches] : at < 25 ? 4 : 3);
        ck_assert_int_eq(next->phase, early ? 0 : 1);
        for (size_t i = 0; i < next->count; i++) {
            ck_assert(next->weights[i] == (early ? -1.0f : 1.0f));
        }
        memcpy(out->images[out->count], next->images, next->count * sizeof out->images[0]);
        memcpy(&out->labels[out->count], next->labels, next->count * sizeof(int32_t));
        out->count += next->count;
    }
}

START_TEST(test_phases)
{
    static epoch got;
    for (int32_t shuffle = 0; shuffle < 2; shuffle++) {
        amun__mix mix = two_phases(shuffle);
        amun__loader *loader = NULL;
        ck_ok(amun__loader_open(&loader, ctx, &mix, 4, 9));
        read_phases(loader, 1, true, &got);
        ck_assert_uint_eq(got.count, 15 + N);
        read_phases(loader, 2, false, &got);
        ck_assert_uint_eq(got.count, N);
        amun__loader_close(loader);
    }
}
END_TEST

/* Each repetition is cropped, mirrored and labelled for itself: its key has its number. */
START_TEST(test_repetitions)
{
    static epoch got;
    amun__mix mix = two_phases(0);
    amun__loader *loader = NULL;
    ck_ok(amun__loader_open(&loader, ctx, &mix, 4, 9));
    read_phases(loader, 1, true, &got);
    bool drawn_anew = false;
    for (size_t e = 0; e < 15; e++) {
        size_t index = (size_t)some[e % 5];
        uint64_t key = (uint64_t)(e / 5) << 52 | UINT64_C(1) << 48 | index;
        float source[PIXELS], expected[PIXELS];
        for (size_t k = 0; k < PIXELS; k++) {
            source[k] = (float)((uint8_t *)bytes[index])[k] / 255.0f;
        }
        amun__augment_apply(&mix.augment, 9, 1, key, 3, H, W, source, expected);
        ck_assert_int_eq(memcmp(got.images[e], expected, sizeof expected), 0);
        ck_assert_int_ne(got.labels[e], own[index]);
        drawn_anew = drawn_anew || got.labels[e] != got.labels[e % 5];
    }
    ck_assert(drawn_anew);
    amun__loader_close(loader);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("loader");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_phases);
    tcase_add_test(tc, test_repetitions);
    tcase_add_test(tc, test_unshuffled);
    tcase_add_test(tc, test_smoothing);
    tcase_add_test(tc, test_shuffle);
    tcase_add_test(tc, test_random_labels);
    tcase_add_test(tc, test_keyed_by_image);
    tcase_add_test(tc, test_independent_of_threads_and_batch);
    tcase_add_test(tc, test_batch_is_stable);
    tcase_add_test(tc, test_leaving_early);
    tcase_add_test(tc, test_several_loaders);
    tcase_add_test(tc, test_open_refuses);
    return amun_test_main("loader", (TCase *[]){tc, NULL});
}
