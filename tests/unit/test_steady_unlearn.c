/* Unlearning in its steady state allocates nothing, by whichever method. */
#include "steady_fixture.h"

#include "amun/unlearn.h"
#include "unlearn/unlearn.h"

enum { FORGET = 16 };

static void forget(amun_unlearn_method method, int64_t *indices, size_t count)
{
    char what[64];
    meter m;
    amun_model *copy = NULL;
    amun_unlearn_options o;
    amun_train_options t;
    amun_rival_options rival;
    /* an epoch, whose last batch is short; UNSIR's has 20 copies of its noise, too */
    amun_call_options call = metered(&m, method == AMUN_UNLEARN_UNSIR ? 100 : STEPS);
    m.first = method == AMUN_UNLEARN_GRADIENT_ASCENT; /* looks at its accuracy between epochs */
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    ck_ok(amun_unlearn_train_options_init(&t, sizeof t, method));
    t.epochs = 2 * EPOCHS;
    t.batch = BATCH;
    t.lr = 0.001;
    t.augment_pad = 1;
    o.method = method;
    o.train = &t;
    o.rival = &rival;
    ck_ok(amun_rival_options_init(&rival, sizeof rival));
    rival.unsir_noise = 32;
    ck_ok(amun_model_clone(&copy, model));
    ck_ok(amun_unlearn_run(NULL, copy, b.data, indices, count, NULL, &o, &call));
    snprintf(what, sizeof what, "unlearning method %d", (int)method);
    check_meter(&m, STEPS - 1, what);
    amun_model_unref(copy);
}

START_TEST(methods)
{
    int64_t some[FORGET], one_class[COUNT];
    size_t in_class = 0;
    for (int64_t i = 0; i < FORGET; i++) {
        some[i] = 3 * i;
    }
    for (int64_t i = 0; i < COUNT; i++) {
        if (b.labels[i] == 1) {
            one_class[in_class++] = i;
        }
    }
    amun_train_options t = train_options(8, BATCH, 0.05);
    ck_ok(amun_train_run(NULL, model, b.data, NULL, 0, &t, NULL));
    int32_t tried = 0;
    for (amun_unlearn_method m = AMUN_UNLEARN_RETRAIN; m <= AMUN_UNLEARN_TRW; m++) {
        const amun__unlearn_method *method = amun__unlearn_method_find(m);
        if (method == NULL || method->takes_set != 0 || m == AMUN_UNLEARN_SSD ||
            m == AMUN_UNLEARN_SVD) {
            continue; /* SSD, SVD: no steps */
        }
        bool whole = m == AMUN_UNLEARN_DELETE || m == AMUN_UNLEARN_TRW || m == AMUN_UNLEARN_UNSIR;
        forget(m, whole ? one_class : some, whole ? in_class : FORGET);
        tried++;
    }
    ck_assert_int_ge(tried, 14);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("steady_unlearn");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, methods);
    return amun_test_main("steady_unlearn", (TCase *[]){tc, NULL});
}
