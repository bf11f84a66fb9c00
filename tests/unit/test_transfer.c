/* Transfer: rates of three hand-made samples and models, the same counts by a naive loop over
 * networks, and every argument that is refused. */
#include "attack_fixture.h"
#include "ensemble/ensemble.h"

static test_allocator allocator;
static amun_context *ctx;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
}

static void teardown(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* ---- by hand ----------------------------------------------------------------------------------
 */

/* Class 0 where 10 (u x1 + v x2 - 0.45) >= 0. */
static amun_model *line(float u, float v, float b)
{
    const float weight[4] = {10.0f * u, 10.0f * v, 0.0f, 0.0f}, bias[2] = {10.0f * b, 0.0f};
    return linear_model(ctx, 2, 2, weight, bias);
}

/* All of class 0. FGSM with eps 0.1 lowers x1 on F (which sees x1 alone) and both on G:
 *            F right  G right  A_F fools F  G       A_G fools G  F
 * (.5, .45)  yes      yes      yes          yes     yes          yes
 * (.5, .75)  yes      yes      yes          no      no           -
 * (.4, .80)  no       yes      -            -       no           -           */
static float hand_images[6] = {0.5f, 0.45f, 0.5f, 0.75f, 0.4f, 0.8f};
static int64_t hand_labels[3] = {0, 0, 0};

typedef struct hand {
    amun_model *models[3]; /* F, G, H: H is always wrong */
    amun_dataset *data;
    amun_attack *attack;
} hand;

static void hand_open(hand *h)
{
    const int64_t shape[4] = {3, 2, 1, 1};
    amun_tensor_view images, labels;
    amun_fgsm_options o;
    h->models[0] = line(1.0f, 0.0f, -0.45f);
    h->models[1] = line(0.5f, 0.5f, -0.45f);
    h->models[2] = line(0.0f, 0.0f, -0.1f);
    ck_ok(amun_tensor_view_init(&images, hand_images, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&labels, hand_labels, AMUN_DTYPE_I64, 1, shape));
    ck_ok(amun_dataset_open_view(&h->data, ctx, &images, &labels, 2, NULL, NULL));
    ck_ok(amun_fgsm_options_init(&o, sizeof o));
    o.eps = 0.1;
    ck_ok(amun_attack_create_fgsm(&h->attack, ctx, &o));
}

static void hand_close(hand *h)
{
    for (size_t i = 0; i < 3; i++) {
        amun_model_unref(h->models[i]);
    }
    amun_dataset_unref(h->data);
    amun_attack_unref(h->attack);
}

START_TEST(test_hand_made)
{
    hand h;
    hand_open(&h);
    amun_transfer_result result = {.struct_size = sizeof result};
    double rates[9];
    int64_t eligible[9];
    ck_ok(
        amun_transfer_run(&result, rates, eligible, h.models, 2, h.attack, h.data, NULL, 0, NULL));
    const int64_t counts[4] = {2, 2, 1, 3};
    ck_assert_mem_eq(eligible, counts, sizeof counts);
    ck_assert(rates[0] == 1.0 && rates[1] == 0.5 && rates[2] == 1.0);
    ck_close(rates[3], 1.0 / 3.0, 1e-15);
    ck_close(result.transfer, 0.75, 1e-15);
    ck_close(result.success, 2.0 / 3.0, 1e-15);
    ck_assert(isnan(result.robust) && result.terms == 2 && result.samples == 3);
    ck_assert(result.failed == 0 && result.target_right == 0);
    ck_assert_int_eq(result.clamp, AMUN_CLAMP_PIXELS);
    /* with H nothing is eligible */
    ck_ok(
        amun_transfer_run(&result, rates, eligible, h.models, 3, h.attack, h.data, NULL, 0, NULL));
    const int64_t more[9] = {2, 2, 0, 1, 3, 0, 0, 0, 0};
    ck_assert_mem_eq(eligible, more, sizeof more);
    for (size_t i = 0; i < 9; i++) {
        ck_assert(isnan(rates[i]) == (more[i] == 0));
    }
    ck_close(result.transfer, 0.75, 1e-15);
    ck_assert_int_eq(result.terms, 2);
    /* one model, one sample that it gets wrong: nothing at all */
    const int64_t last[1] = {2};
    ck_ok(
        amun_transfer_run(&result, rates, eligible, h.models, 1, h.attack, h.data, last, 1, NULL));
    ck_assert(isnan(rates[0]) && eligible[0] == 0 && result.terms == 0 && result.samples == 1);
    ck_assert(isnan(result.transfer) && isnan(result.success));
    hand_close(&h);
}
END_TEST

/* The ensemble of F and G is right where their probabilities of class 0 sum to 1 or more: on all
 * three; on A_F of the second alone, on A_G of the second alone. */
START_TEST(test_hand_made_ensemble)
{
    hand h;
    hand_open(&h);
    amun_ensemble *target = NULL;
    amun_transfer_result result = {.struct_size = sizeof result};
    double rates[2], robust[2];
    int64_t eligible[2];
    ck_ok(amun_ensemble_create(&target, ctx, h.models, 2));
    ck_ok(amun_transfer_black_box(&result, rates, eligible, robust, h.models, 2, h.attack, target,
                                  h.data, NULL, 0, NULL));
    ck_assert(eligible[0] == 2 && rates[0] == 0.5);
    ck_assert(eligible[1] == 1 && rates[1] == 1.0);
    ck_close(robust[0], 1.0 / 3.0, 1e-15);
    ck_close(robust[1], 1.0 / 3.0, 1e-15);
    ck_close(result.transfer, 0.75, 1e-15);
    ck_close(result.success, 2.0 / 3.0, 1e-15);
    ck_close(result.robust, 1.0 / 3.0, 1e-15);
    ck_assert(result.target_right == 3 && result.terms == 2 && result.samples == 3);
    ck_ok(amun_transfer_white_box(&result, h.attack, target, h.data, NULL, 0, NULL));
    ck_close(result.robust, 1.0 / 3.0, 1e-15);
    ck_close(result.success, 2.0 / 3.0, 1e-15);
    ck_assert(isnan(result.transfer) && result.target_right == 3 && result.terms == 0);
    /* a surrogate without eligible samples does not count */
    ck_ok(amun_transfer_black_box(&result, rates, eligible, NULL, h.models + 1, 2, h.attack, target,
                                  h.data, NULL, 0, NULL));
    ck_assert(rates[0] == 1.0 && isnan(rates[1]) && eligible[1] == 0 && result.terms == 1);
    amun_ensemble_unref(target);
    hand_close(&h);
}
END_TEST

/* ---- networks ---------------------------------------------------------------------------------
 */

enum { COUNT = 150, MODELS = 3 }; /* more than one batch of the judges */

static void naive_labels(const amun_model *model, samples *s, float *images, int32_t *labels)
{
    static float logits[COUNT * DIGIT_CLASSES];
    const int64_t shape[2] = {COUNT, DIGIT_CLASSES};
    amun_tensor_view out, view = s->image_view;
    view.data = images;
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, shape));
    ck_ok(amun_model_predict(model, &view, &out, NULL));
    for (size_t i = 0; i < COUNT; i++) {
        labels[i] = amun__loss_argmax(logits + i * DIGIT_CLASSES, DIGIT_CLASSES);
    }
}

START_TEST(test_networks)
{
    amun_dataset *data = digits(ctx);
    amun_model *models[MODELS];
    int64_t order[COUNT];
    static int32_t clean[MODELS][COUNT], after[COUNT];
    shuffled(order, COUNT);
    for (size_t i = 0; i < MODELS; i++) {
        models[i] = digits_network(ctx);
        ck_ok(amun_model_reset(models[i], 20 + i));
        train_digits(ctx, models[i], data, 40);
    }
    amun_pgd_options o;
    amun_attack *attack = NULL;
    ck_ok(amun_pgd_linf_options_init(&o, sizeof o));
    o.eps = 0.12;
    o.step = 0.02;
    o.batch = 64;
    ck_ok(amun_attack_create_pgd_linf(&attack, ctx, &o));
    double rates[MODELS * MODELS], sum = 0.0;
    int64_t eligible[MODELS * MODELS];
    amun_transfer_result result = {.struct_size = sizeof result};
    ck_ok(amun_transfer_run(&result, rates, eligible, models, MODELS, attack, data, order, COUNT,
                            NULL));
    samples s;
    samples_open_digits(&s, data, order, COUNT);
    for (size_t f = 0; f < MODELS; f++) {
        naive_labels(models[f], &s, s.images, clean[f]);
    }
    for (size_t f = 0; f < MODELS; f++) {
        ck_ok(samples_run(&s, attack, models[f]));
        for (size_t g = 0; g < MODELS; g++) {
            int64_t whole = 0, part = 0;
            naive_labels(models[g], &s, s.adversarial, after);
            for (size_t i = 0; i < COUNT; i++) {
                int32_t y = (int32_t)s.labels[i];
                bool in = clean[f][i] == y && clean[g][i] == y &&
                          (f == g || s.records[i].outcome == AMUN_ATTACK_FLIPPED);
                whole += in;
                part += in && after[i] != y;
            }
            ck_assert_int_eq(eligible[f * MODELS + g], whole);
            ck_close(rates[f * MODELS + g], (double)part / (double)whole, 1e-12);
            sum += f != g ? rates[f * MODELS + g] : 0.0;
        }
    }
    ck_close(result.transfer, sum / (MODELS * (MODELS - 1)), 1e-12);
    ck_assert_int_eq(result.terms, MODELS * (MODELS - 1));
    ck_assert(result.success > 0.2 && result.transfer > 0.0);
    samples_close(&s);
    amun_attack_unref(attack);
    for (size_t i = 0; i < MODELS; i++) {
        amun_model_unref(models[i]);
    }
    amun_dataset_unref(data);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------------------
 */

static int32_t stop_at_once(const amun_progress *progress, void *user_data)
{
    ck_assert_str_eq(progress->phase, "attack");
    ++*(int32_t *)user_data;
    return 1;
}

START_TEST(test_bad_input)
{
    hand h;
    hand_open(&h);
    amun_ensemble *target = NULL;
    amun_dataset *bare = NULL;
    amun_tensor_view images;
    const int64_t shape[4] = {3, 2, 1, 1}, twice[2] = {1, 1};
    amun_transfer_result result = {.struct_size = 0};
    ck_ok(amun_ensemble_create(&target, ctx, h.models, 2));
    ck_ok(amun_tensor_view_init(&images, hand_images, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_dataset_open_view(&bare, ctx, &images, NULL, 0, NULL, NULL));
#define RUN(res, models, count, attack, data, indices, n)                                          \
    amun_transfer_run(res, NULL, NULL, models, count, attack, data, indices, n, NULL)
    ck_fails(RUN(&result, h.models, 2, h.attack, h.data, NULL, 0), AMUN_ERROR_INVALID_ARGUMENT,
             "struct_size");
    ck_fails(RUN(NULL, NULL, 2, h.attack, h.data, NULL, 0), AMUN_ERROR_INVALID_ARGUMENT, "models");
    ck_fails(RUN(NULL, h.models, 0, h.attack, h.data, NULL, 0), AMUN_ERROR_INVALID_ARGUMENT, "0");
    ck_fails(RUN(NULL, h.models, 2, NULL, h.data, NULL, 0), AMUN_ERROR_INVALID_ARGUMENT, "attack");
    ck_fails(RUN(NULL, h.models, 2, h.attack, NULL, NULL, 0), AMUN_ERROR_INVALID_ARGUMENT, "data");
    ck_fails(RUN(NULL, h.models, 2, h.attack, bare, NULL, 0), AMUN_ERROR_STATE, "labels");
    ck_fails(RUN(NULL, h.models, 2, h.attack, h.data, twice, 2), AMUN_ERROR_INVALID_ARGUMENT,
             "indices");
    ck_fails(RUN(NULL, h.models, 2, h.attack, h.data, NULL, 2), AMUN_ERROR_INVALID_ARGUMENT, "2");
    ck_ok(RUN(NULL, h.models, 2, h.attack, h.data, NULL, 3));
#undef RUN
    const float weight[6] = {0}, bias[3] = {0};
    amun_model *other = linear_model(ctx, 2, 3, weight, bias);
    ck_fails(amun_transfer_black_box(NULL, NULL, NULL, NULL, &other, 1, h.attack, target, h.data,
                                     NULL, 0, NULL),
             AMUN_ERROR_SHAPE, "3");
    ck_fails(amun_transfer_black_box(NULL, NULL, NULL, NULL, h.models, 1, h.attack, NULL, h.data,
                                     NULL, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "target");
    ck_fails(amun_transfer_white_box(NULL, h.attack, NULL, h.data, NULL, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "target");
    ck_ok(amun__model_begin_write(h.models[1]));
    ck_fails(amun_transfer_white_box(NULL, h.attack, target, h.data, NULL, 0, NULL),
             AMUN_ERROR_BUSY, "model");
    amun__model_end_write(h.models[1]);
    amun_call_options call;
    int32_t calls = 0;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = stop_at_once;
    call.user_data = &calls;
    result.struct_size = sizeof result;
    ck_fails(amun_transfer_run(&result, NULL, NULL, h.models, 2, h.attack, h.data, NULL, 0, &call),
             AMUN_ERROR_CANCELLED, "attack");
    ck_assert(calls == 1 && isnan(result.transfer) && result.samples == 0);
    ck_ok(amun__model_begin_write(h.models[0])); /* everything was given back */
    amun__model_end_write(h.models[0]);
    amun_model_unref(other);
    amun_dataset_unref(bare);
    amun_ensemble_unref(target);
    hand_close(&h);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("transfer");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_hand_made);
    tcase_add_test(tc, test_hand_made_ensemble);
    tcase_add_test(tc, test_networks);
    tcase_add_test(tc, test_bad_input);
    return amun_test_main("transfer", (TCase *[]){tc, NULL});
}
