/* mia_fixture.h - the small pool, model and audit handle that the tests of the audit share. */
#ifndef AMUN_TEST_MIA_FIXTURE_H
#define AMUN_TEST_MIA_FIXTURE_H

#include "amun/mia.h"
#include "mia/audit.h"
#include "training.h"

#define MIA_UNUSED __attribute__((unused))

enum { TRAIN = 40, TEST = 20, POOL = TRAIN + TEST, CLASSES = 3, MODELS = 4 };

typedef struct small {
    amun_context *ctx;
    blobs train, test;
    amun_model *model;
    amun_mia *mia;
} small;

MIA_UNUSED static void small_begin(small *s, uint64_t test_seed)
{
    *s = (small){0};
    ck_ok(amun_context_create(&s->ctx, NULL));
    ck_ok(amun_context_set_threads(s->ctx, 1)); /* layers this small only wait for each other */
    blobs_make(&s->train, s->ctx, TRAIN, 1, 4, 4, CLASSES, 3);
    blobs_make(&s->test, s->ctx, TEST, 1, 4, 4, CLASSES, test_seed);
    s->model = linear_model(s->ctx, 1, 4, 4, CLASSES, 5);
    amun_mia_options o;
    ck_ok(amun_mia_options_init(&o, sizeof o));
    o.references = MODELS;
    ck_ok(amun_mia_create(&s->mia, s->ctx, s->train.data, s->test.data, &o));
}

MIA_UNUSED static void small_end(small *s)
{
    amun_mia_unref(s->mia);
    amun_model_unref(s->model);
    blobs_free(&s->train);
    blobs_free(&s->test);
    amun_context_unref(s->ctx);
}

#endif
