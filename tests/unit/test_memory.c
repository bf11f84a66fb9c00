/* What amun_model_estimate_memory() promises, against what plans take of a counting allocator. */
#include <stdio.h>
#include <stdlib.h>

#include "nn/graph.h"
#include "support.h"

typedef struct network {
    const char *arch;
    int64_t channels, side;
    int32_t large; /* minutes in the plain C backend: only planned there, which takes all memory */
} network;

static const network networks[] = {
    {"digits", 1, 8, 0}, {"resnet8", 3, 32, 0}, {"convnet", 3, 32, 1}, {"resnet18", 3, 32, 1}};
static const int64_t batches[] = {1, 16};

enum { LIMIT_PERCENT = 5 }; /* no constant beside it: small plans count as exactly as large ones */

static amun_model *make(amun_context *ctx, const network *n)
{
    amun_model_options o;
    amun_model *model = NULL;
    ck_ok(amun_model_options_init(&o, sizeof o));
    o.channels = n->channels;
    o.height = o.width = n->side;
    ck_ok(amun_model_create(&model, ctx, n->arch, &o));
    return model;
}

/* One pass of everything that the mode has. */
static void run(const amun_model *model, const network *n, amun__plan *plan)
{
    const int64_t classes = amun_model_classes(model);
    const size_t batch = (size_t)amun__plan_batch(plan);
    const size_t pixels = batch * (size_t)(n->channels * n->side * n->side);
    amun__model_values v;
    amun__model_values_get(model, &v);
    float *images = calloc(pixels, sizeof *images), *diff_src = calloc(pixels, sizeof *diff_src);
    float *logits = calloc(batch * (size_t)classes, sizeof *logits);
    float *diff = calloc(v.trainable, sizeof *diff);
    ck_assert(images != NULL && diff_src != NULL && logits != NULL && diff != NULL);
    ck_ok(amun__plan_forward(plan, images, logits));
    if (amun__plan_mode(plan) != AMUN__MODE_INFER) {
        bool trains = amun__mode_trains(amun__plan_mode(plan));
        ck_ok(amun__plan_backward(plan, logits, diff_src, trains ? diff : NULL));
    }
    free(images);
    free(diff_src);
    free(logits);
    free(diff);
}

static void compare(const network *n, int64_t batch, amun__mode mode)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    amun_model *model = make(ctx, n);
    amun__plan *plan = NULL;
    uint64_t estimate = 0;
    int64_t before = atomic_load(&allocator.live_bytes);
    ck_ok(amun_model_estimate_memory(model, batch, (amun_mode)mode, &estimate));
    ck_assert_int_eq(atomic_load(&allocator.live_bytes), before);
    ck_ok(amun__model_lease(model, batch, mode, &plan));
    if (!n->large || strcmp(plan->backend->name, "reference") != 0) {
        run(model, n, plan);
    }
    double taken = (double)(atomic_load(&allocator.live_bytes) - before);
    double percent = 100.0 * ((double)estimate - taken) / taken;
    fprintf(stderr, "# %s, mode %d, batch %lld: %llu bytes, took %.0f (%+.3f %%)\n", n->arch,
            (int)mode, (long long)batch, (unsigned long long)estimate, taken, percent);
    ck_assert_msg(fabs(percent) <= LIMIT_PERCENT, "%s, mode %d, batch %lld: off by %g %%", n->arch,
                  (int)mode, (long long)batch, percent);
    amun__model_release(model, plan);
    amun_model_unref(model);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
}

START_TEST(estimates)
{
    for (size_t n = 0; n < sizeof networks / sizeof networks[0]; n++) {
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
            for (amun__mode mode = AMUN__MODE_INFER; mode <= AMUN__MODE_TUNE; mode++) {
                compare(&networks[n], batches[b], mode);
            }
        }
    }
}
END_TEST

/* The estimate itself takes the plan's lists, not its tensors. */
#ifdef AMUN_WITH_DNNL
START_TEST(estimate_is_small)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    amun_model *model = make(ctx, &networks[3]);
    amun_memory_stats stats = {.struct_size = sizeof stats};
    uint64_t estimate = 0;
    ck_ok(amun_context_get_memory(ctx, &stats));
    uint64_t before = stats.peak;
    ck_ok(amun_model_estimate_memory(model, 4096, AMUN_MODE_TRAIN, &estimate));
    ck_ok(amun_context_get_memory(ctx, &stats));
    ck_assert_uint_gt(estimate, UINT64_C(1) << 30);
    ck_assert_uint_lt(stats.peak - before, UINT64_C(4) << 20);
    amun_model_unref(model);
    amun_context_unref(ctx);
}
END_TEST
#endif

int main(void)
{
    TCase *tc = tcase_create("memory");
    tcase_add_test(tc, estimates);
#ifdef AMUN_WITH_DNNL
    tcase_add_test(tc, estimate_is_small);
#endif
    return amun_test_main("memory", (TCase *[]){tc, NULL});
}
