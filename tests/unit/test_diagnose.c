/* test_diagnose.c - the terms of AMUN's bound against a naive computation, and who is refused. */
#include "data/data.h"
#include "training.h"
#include "unlearn/unlearn.h"

enum { COUNT = 40, SIDE = 6, PIXELS = SIDE * SIDE, CLASSES = 3, FORGET = 8 };

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *original, *unlearned, *retrained;
    int64_t forget[FORGET];
    amun_advset *set;
} fixture;

static void setup(fixture *f)
{
    *f = (fixture){.forget = {31, 4, 17, 0, 39, 22, 8, 13}};
    f->ctx = test_context(&f->allocator);
    ck_ok(amun_context_set_threads(f->ctx, 1));
    blobs_make(&f->b, f->ctx, COUNT, 1, SIDE, SIDE, CLASSES, 31);
    f->original = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 6);
    amun_train_options t = train_options(8, 8, 0.05);
    ck_ok(amun_train_run(NULL, f->original, f->b.data, NULL, 0, &t, NULL));
    amun_search_options o;
    amun_attack *attack = NULL;
    ck_ok(amun_search_options_init(&o, sizeof o));
    o.steps = 10;
    ck_ok(amun_attack_create_search(&attack, f->ctx, &o));
    ck_ok(amun_advset_build(&f->set, attack, f->original, f->b.data, f->forget, FORGET, NULL));
    amun_attack_unref(attack);
    t = train_options(1, 8, 0.02);
    ck_ok(amun_model_clone(&f->unlearned, f->original));
    ck_ok(amun_train_run(NULL, f->unlearned, f->b.data, NULL, 0, &t, NULL));
    f->retrained = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 9);
    ck_ok(amun_train_run(NULL, f->retrained, f->b.data, NULL, 0, &t, NULL));
}

static void teardown(fixture *f)
{
    amun_advset_unref(f->set);
    amun_model_unref(f->original);
    amun_model_unref(f->unlearned);
    amun_model_unref(f->retrained);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

/* -log softmax of one image, by the public prediction. */
static double loss_of(const amun_model *model, float *image, int32_t label)
{
    const int64_t shape[4] = {1, 1, SIDE, SIDE}, out_shape[2] = {1, CLASSES};
    float logits[CLASSES];
    double sum = 0.0;
    amun_tensor_view in, out;
    ck_ok(amun_tensor_view_init(&in, image, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, out_shape));
    ck_ok(amun_model_predict(model, &in, &out, NULL));
    for (int k = 0; k < CLASSES; k++) {
        sum += exp((double)logits[k] - (double)logits[label]);
    }
    return log(sum);
}

static double distance(const amun_model *a, const amun_model *b)
{
    amun__model_values x, y;
    double sum = 0.0;
    amun__model_values_get(a, &x);
    amun__model_values_get(b, &y);
    for (size_t i = 0; i < x.trainable; i++) {
        sum += pow((double)(x.values[i] - y.values[i]), 2.0);
    }
    return sum;
}

START_TEST(test_terms)
{
    fixture f;
    setup(&f);
    const amun_attack_record *records = amun_advset_records(f.set);
    const double lipschitz = 3.5, beta = 40.0;
    double delta = 0.0, first = 0.0, second = 0.0, third = 0.0, fourth = 0.0;
    for (size_t i = 0; i < FORGET; i++) {
        float clean[PIXELS], moved[PIXELS];
        amun__dataset_fetch(f.b.data, (size_t)records[i].index, clean);
        ck_ok(amun_advset_image(f.set, i, moved));
        double sum = 0.0;
        for (int p = 0; p < PIXELS; p++) {
            sum += pow((double)(moved[p] - clean[p]), 2.0);
        }
        delta += sqrt(sum) / FORGET;
        first += loss_of(f.original, moved, records[i].label) / FORGET;
        second += loss_of(f.unlearned, moved, records[i].adversarial) / FORGET;
        third += loss_of(f.retrained, clean, records[i].label) / FORGET;
        fourth += loss_of(f.retrained, moved, records[i].adversarial) / FORGET;
    }
    amun_unlearn_bound b = {.struct_size = sizeof b};
    ck_ok(amun_unlearn_diagnose(&b, f.original, f.unlearned, f.retrained, f.b.data, f.set,
                                lipschitz, beta, NULL));
    ck_assert_int_eq(b.samples, FORGET);
    ck_close(b.delta, delta, 1e-6);
    ck_close(b.l_delta, sqrt(2.0) * lipschitz * delta, 1e-6);
    ck_close(b.original_adversarial, first, 1e-5);
    ck_close(b.unlearned_adversarial, second, 1e-5);
    ck_close(b.retrained_clean, third, 1e-5);
    ck_close(b.retrained_adversarial, fourth, 1e-5);
    ck_close(b.c, first + second - third - fourth, 1e-5);
    ck_close(b.before, distance(f.original, f.retrained), 1e-6);
    ck_close(b.after, distance(f.unlearned, f.retrained), 1e-6);
    ck_close(b.bound, b.before + 2.0 / beta * (b.l_delta - b.c), 1e-12);
    /* without a retrained model only what is known */
    ck_ok(amun_unlearn_diagnose(&b, f.original, f.unlearned, NULL, f.b.data, f.set, lipschitz, beta,
                                NULL));
    ck_close(b.original_adversarial, first, 1e-5);
    ck_assert(isnan(b.c) && isnan(b.before) && isnan(b.after) && isnan(b.bound));
    ck_assert(isnan(b.retrained_clean) && isnan(b.retrained_adversarial));
    teardown(&f);
}
END_TEST

static int32_t stop(const amun_progress *progress, void *user_data)
{
    (void)user_data;
    ck_assert_str_eq(progress->phase, "bound");
    return 1;
}

START_TEST(test_bad_input)
{
    fixture f;
    setup(&f);
    amun_unlearn_bound b = {.struct_size = sizeof b};
    blobs other;
    blobs_make(&other, f.ctx, COUNT, 1, SIDE, SIDE, CLASSES, 32);
    amun_model *wide = conv_model(f.ctx, 1, SIDE, SIDE, CLASSES + 1, 6);
#define DIAGNOSE(result, o, a, u, data, set, l, beta)                                              \
    amun_unlearn_diagnose(result, o, a, u, data, set, l, beta, NULL)
    ck_fails(DIAGNOSE(NULL, f.original, f.unlearned, NULL, f.b.data, f.set, 1, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "result");
    ck_fails(DIAGNOSE(&b, NULL, f.unlearned, NULL, f.b.data, f.set, 1, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "original");
    ck_fails(DIAGNOSE(&b, f.original, NULL, NULL, f.b.data, f.set, 1, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "unlearned");
    ck_fails(DIAGNOSE(&b, f.original, f.unlearned, NULL, NULL, f.set, 1, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "train");
    ck_fails(DIAGNOSE(&b, f.original, f.unlearned, NULL, f.b.data, NULL, 1, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "set");
    ck_fails(DIAGNOSE(&b, f.original, f.unlearned, NULL, f.b.data, f.set, 0, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "lipschitz is 0");
    ck_fails(DIAGNOSE(&b, f.original, f.unlearned, NULL, f.b.data, f.set, 1, (double)NAN),
             AMUN_ERROR_INVALID_ARGUMENT, "beta is nan");
    ck_fails(DIAGNOSE(&b, f.original, wide, NULL, f.b.data, f.set, 1, 1), AMUN_ERROR_SHAPE,
             "unlearned");
    ck_fails(DIAGNOSE(&b, f.original, f.unlearned, wide, f.b.data, f.set, 1, 1), AMUN_ERROR_SHAPE,
             "retrained");
    ck_fails(DIAGNOSE(&b, f.original, f.unlearned, NULL, other.data, f.set, 1, 1),
             AMUN_ERROR_INVALID_ARGUMENT, "image 31");
#undef DIAGNOSE
    ck_ok(amun__model_begin_write(f.unlearned));
    ck_fails(amun_unlearn_diagnose(&b, f.original, f.unlearned, f.retrained, f.b.data, f.set, 1, 1,
                                   NULL),
             AMUN_ERROR_BUSY, "model");
    amun__model_end_write(f.unlearned);
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = stop;
    ck_fails(amun_unlearn_diagnose(&b, f.original, f.unlearned, f.retrained, f.b.data, f.set, 1, 1,
                                   &call),
             AMUN_ERROR_CANCELLED, "bound");
    ck_assert(b.samples == 0);
    ck_ok(amun__model_begin_write(f.original)); /* everything was given back */
    amun__model_end_write(f.original);
    amun_model_unref(wide);
    blobs_free(&other);
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("diagnose");
    tcase_add_test(tc, test_terms);
    tcase_add_test(tc, test_bad_input);
    return amun_test_main("diagnose", (TCase *[]){tc, NULL});
}
