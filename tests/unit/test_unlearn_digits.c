/* test_unlearn_digits.c - AMUN as it is used: its default options, and real images. */
#include "amun/attack.h"
#include "amun/unlearn.h"
#include "training.h"

START_TEST(train_defaults)
{
    amun_train_options o, base;
    ck_ok(amun_train_options_init(&base, sizeof base));
    ck_ok(amun_unlearn_train_options_init(&o, sizeof o, AMUN_UNLEARN_RETRAIN));
    ck_assert(memcmp(&o, &base, sizeof o) == 0);
    for (amun_unlearn_method m = AMUN_UNLEARN_AMUN; m <= AMUN_UNLEARN_AMUN_ADVONLY; m++) {
        ck_ok(amun_unlearn_train_options_init(&o, sizeof o, m));
        ck_assert_int_eq(o.epochs, 10);
        ck_assert_int_eq(o.batch, 128);
        ck_assert_int_eq(o.schedule, AMUN_SCHEDULE_STEP);
        ck_assert_int_eq(o.step_epochs, 1);
        ck_assert_int_eq(o.nesterov, 0);
        ck_assert_int_eq(o.augment_pad, 4);
        ck_assert_int_eq(o.augment_flip, 1);
        ck_assert(o.lr == 0.01 && o.momentum == 0.9 && o.weight_decay == 5e-4 && o.gamma == 0.1);
        ck_assert(o.label_smoothing == 0.0 && o.seed == 0 && o.checkpoint == NULL);
    }
    ck_fails(amun_unlearn_train_options_init(&o, sizeof o, 0), AMUN_ERROR_INVALID_ARGUMENT, "0");
    ck_fails(amun_unlearn_train_options_init(&o, sizeof o, 21), AMUN_ERROR_INVALID_ARGUMENT, "21");
    ck_fails(amun_unlearn_train_options_init(NULL, sizeof o, 2), AMUN_ERROR_INVALID_ARGUMENT,
             "NULL");
}
END_TEST

/* ---- end to end
 * -------------------------------------------------------------------------------------- */

static double loss_on(const amun_model *model, const amun_dataset *data, const int64_t *indices,
                      size_t count, double *accuracy)
{
    double loss = 0;
    ck_ok(amun_model_evaluate(accuracy, &loss, model, data, indices, count, NULL));
    return loss;
}

/* Real digits: after AMUN the model is less sure of what it forgot, and still good at the rest.
 * Fine-tuning without the adversarial part, on the same parts and rate, does not do that. */
START_TEST(digits)
{
    enum { TRAIN = 500, GONE = 50 };
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_context_set_threads(ctx, 1)); /* layers too small to share */
    amun_dataset *all = digits_open(ctx), *train = NULL;
    int64_t first[TRAIN], forget[GONE];
    for (int64_t i = 0; i < TRAIN; i++) {
        first[i] = i;
    }
    ck_ok(amun_dataset_subset(&train, all, first, TRAIN));
    ck_ok(amun_forget_indices(forget, GONE, TRAIN, 1));
    amun_model *model = NULL, *tuned = NULL;
    amun_model_options mo;
    ck_ok(amun_model_options_init(&mo, sizeof mo));
    mo.channels = 1;
    mo.height = mo.width = 8;
    mo.seed = 3;
    ck_ok(amun_model_create(&model, ctx, "digits", &mo));
    amun_train_options t = train_options(12, 64, 0.1);
    t.schedule = AMUN_SCHEDULE_ONECYCLE;
    t.augment_pad = 1;
    ck_ok(amun_train_run(NULL, model, train, NULL, 0, &t, NULL));
    ck_ok(amun_model_clone(&tuned, model));
    double accuracy = 0, before = loss_on(model, train, forget, GONE, &accuracy);
    ck_assert(accuracy >= 95.0);

    amun_attack *attack = NULL;
    amun_advset *set = NULL;
    amun_search_options so;
    ck_ok(amun_search_options_init(&so, sizeof so));
    so.steps = 20;
    ck_ok(amun_attack_create_search(&attack, ctx, &so));
    ck_ok(amun_advset_build(&set, attack, model, train, forget, GONE, NULL));
    ck_assert_uint_ge(amun_advset_found(set), GONE - 2);

    amun_unlearn_options uo;
    amun_train_options ut;
    ck_ok(amun_unlearn_options_init(&uo, sizeof uo));
    ck_ok(amun_unlearn_train_options_init(&ut, sizeof ut, AMUN_UNLEARN_AMUN));
    ut.batch = 64;
    ut.step_epochs = 5; /* of the paper's grid: epochs are short here, nine steps */
    ut.augment_pad = 1;
    ut.augment_flip = 0;
    uo.train = &ut;
    amun_unlearn_result result = {.struct_size = sizeof result};
    ck_ok(amun_unlearn_run(&result, model, train, forget, GONE, set, &uo, NULL));
    ck_assert_int_eq(result.remain, TRAIN - GONE);
    double after = loss_on(model, train, forget, GONE, NULL);
    (void)loss_on(model, train, NULL, 0, &accuracy);
    ck_ok(amun_train_run(NULL, tuned, train, NULL, 0, &ut, NULL));
    double plain = loss_on(tuned, train, forget, GONE, NULL);
    ck_assert_msg(after > 2.0 * before && after > 2.0 * plain,
                  "loss on the forget set: %g before, %g after, %g without D_A", before, after,
                  plain);
    ck_assert_msg(accuracy >= 92.0, "accuracy on all: %g", accuracy);
    amun_advset_unref(set);
    amun_attack_unref(attack);
    amun_model_unref(model);
    amun_model_unref(tuned);
    amun_dataset_unref(train);
    amun_dataset_unref(all);
    amun_context_unref(ctx);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("unlearn_digits");
    tcase_add_test(tc, train_defaults);
    tcase_add_test(tc, digits);
    return amun_test_main("unlearn_digits", (TCase *[]){tc, NULL});
}
