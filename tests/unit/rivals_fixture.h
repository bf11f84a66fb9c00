/* rivals_fixture.h - for the tests of the unlearning methods: softmax regression on blobs of three
 * classes, one of which is to be forgotten. */
#ifndef AMUN_TEST_RIVALS_FIXTURE_H
#define AMUN_TEST_RIVALS_FIXTURE_H

#include "training.h"
#include "unlearn/unlearn.h"

#define RIVALS_UNUSED __attribute__((unused))

enum { COUNT = 300, PIXELS = 6, CLASSES = 3, GONE = 1 };
enum { WEIGHTS = CLASSES * PIXELS + CLASSES };

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *model;
    int64_t forget[COUNT];
    size_t forget_count;
} fixture;

/* Softmax regression, trained a little; the class GONE is to be forgotten. */
RIVALS_UNUSED static void setup(fixture *f)
{
    *f = (fixture){.forget_count = 0};
    f->ctx = test_context(&f->allocator);
    blobs_make(&f->b, f->ctx, COUNT, 1, 2, 3, CLASSES, 5);
    f->model = linear_model(f->ctx, 1, 2, 3, CLASSES, 3);
    amun_train_options t = train_options(3, 16, 0.1);
    ck_ok(amun_train_run(NULL, f->model, f->b.data, NULL, 0, &t, NULL));
    for (int64_t i = 0; i < COUNT; i++) {
        if (f->b.labels[i] == GONE) {
            f->forget[f->forget_count++] = i;
        }
    }
}

RIVALS_UNUSED static void teardown(fixture *f)
{
    amun_model_unref(f->model);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

RIVALS_UNUSED static void weights_of(const amun_model *model, double w[WEIGHTS])
{
    amun__model_values v;
    amun__model_values_get(model, &v);
    ck_assert_uint_eq(v.total, WEIGHTS);
    for (int i = 0; i < WEIGHTS; i++) {
        w[i] = (double)v.values[i];
    }
}

/* train, rival, result, w: nullable. */
RIVALS_UNUSED static amun_status forget_with(const fixture *f, amun_unlearn_method method,
                                             const amun_train_options *train,
                                             const amun_rival_options *rival,
                                             amun_unlearn_result *result, watcher *w)
{
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = method;
    o.train = train;
    o.rival = rival;
    o.seed = 17;
    amun_call_options call;
    if (w != NULL) {
        call = watched(w);
    }
    return amun_unlearn_run(result, f->model, f->b.data, f->forget, f->forget_count, NULL, &o,
                            w != NULL ? &call : NULL);
}

#endif
