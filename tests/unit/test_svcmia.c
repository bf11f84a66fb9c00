/* SVC-MIA in its two protocols: which rows are fitted and asked, and that each feature is what its
 * name says. The machines themselves stand against scikit-learn in test_svc.c and among the interop
 * tests. */
#include <math.h>

#include "amun/audit.h"
#include "amun/mia.h"
#include "mia/audit.h"
#include "support.h"

enum { K = 3, MOST = 120 };

typedef struct rows {
    double z[MOST][K];
    int64_t y[MOST];
    amun_tensor_view logits, labels;
} rows;

/* n rows of class `y` (negative: all in turn) with a margin of `margin` and noise. */
static void make(rows *r, int n, int y, double margin, uint64_t seed)
{
    amun__rng rng;
    amun__rng_open(&rng, 8, AMUN__RNG_TEST, 0, seed);
    for (int i = 0; i < n; i++) {
        r->y[i] = y < 0 ? i % K : y;
        for (int j = 0; j < K; j++) {
            r->z[i][j] = amun__rng_normal(&rng) + (j == r->y[i] ? margin : 0.0);
        }
    }
    ck_ok(amun_tensor_view_init(&r->logits, r->z, AMUN_DTYPE_F64, 2, (int64_t[]){n, K}));
    ck_ok(amun_tensor_view_init(&r->labels, r->y, AMUN_DTYPE_I64, 1, (int64_t[]){n}));
}

#define SET(r) &(r).logits, &(r).labels

START_TEST(test_modified_entropy)
{
    double z[1][3] = {{log(0.7), log(0.2), log(0.1)}}, modified;
    int64_t y[1] = {0};
    amun_tensor_view logits, labels;
    ck_ok(amun_tensor_view_init(&logits, z, AMUN_DTYPE_F64, 2, (int64_t[]){1, 3}));
    ck_ok(amun_tensor_view_init(&labels, y, AMUN_DTYPE_I64, 1, (int64_t[]){1}));
    ck_ok(amun_svc_features(NULL, NULL, &modified, &logits, &labels));
    ck_close(modified, 0.162167, 1e-6);
}
END_TEST

/* Confidence against the audit of samples, which has its own route into libsvm. */
static double by_confidence(const rows *members, const rows *nonmembers, size_t n_each,
                            const rows *asked, size_t n)
{
    double c[3][MOST], mis;
    ck_ok(amun_svc_features(c[0], NULL, NULL, &members->logits, &members->labels));
    ck_ok(amun_svc_features(c[1], NULL, NULL, &nonmembers->logits, &nonmembers->labels));
    ck_ok(amun_svc_features(c[2], NULL, NULL, &asked->logits, &asked->labels));
    ck_ok(amun_svc_mis(&mis, c[0], c[1], n_each, c[2], n));
    return mis;
}

START_TEST(test_protocols)
{
    static rows remain, test, forget, forget_test;
    amun_svcmia t = {.struct_size = sizeof t};
    amun_svcmia_options o;
    if (!amun__svc_available()) {
        return;
    }
    make(&remain, 120, -1, 6.0, 1);
    make(&test, 70, -1, 2.5, 2);
    make(&forget, 40, 0, -6.0, 3); /* as a retrained model has it */
    make(&forget_test, 30, 0, -6.0, 4);
    ck_ok(amun_svcmia_options_init(&o, sizeof o));
    ck_assert_int_eq(o.limit, 5000);
    o.limit = 0;
    ck_ok(amun_svcmia_salun(&t, SET(remain), SET(test), SET(forget), &o));
    ck_assert(t.members == 70 && t.nonmembers == 70 && t.queries == 40 && t.limit == 0);
    ck_close(t.confidence, by_confidence(&remain, &test, 70, &forget, 40), 0.0);
    ck_close(t.confidence, 100.0, 0.0);
    ck_close(t.correctness, 100.0, 0.0);
    ck_ok(amun_svcmia_kodge(&t, SET(remain), SET(forget), SET(forget_test), &o));
    ck_assert(t.members == 120 && t.nonmembers == 40 && t.queries == 30);
    ck_assert_msg(t.confidence >= 90.0 && t.modified_entropy >= 90.0 && t.probabilities >= 90.0,
                  "%g, %g, %g", t.confidence, t.modified_entropy, t.probabilities);
    make(&forget, 40, 0, 6.0, 3); /* as the original model has it: members, right and confident */
    ck_ok(amun_svcmia_salun(&t, SET(remain), SET(test), SET(forget), &o));
    ck_assert(t.confidence < 30.0 && t.modified_entropy < 30.0);
    ck_close(t.confidence, by_confidence(&remain, &test, 70, &forget, 40), 0.0);
}
END_TEST

START_TEST(test_draws)
{
    static rows remain, test, forget;
    amun_svcmia t = {.struct_size = sizeof t}, again = {.struct_size = sizeof again};
    amun_svcmia_options o;
    if (!amun__svc_available()) {
        return;
    }
    make(&remain, 120, -1, 1.5, 1);
    make(&test, 70, -1, 1.0, 2);
    make(&forget, 100, 0, 1.2, 3);
    ck_ok(amun_svcmia_options_init(&o, sizeof o));
    o.limit = 50;
    o.seed = 6;
    ck_ok(amun_svcmia_salun(&t, SET(remain), SET(test), SET(forget), &o));
    ck_assert(t.members == 50 && t.nonmembers == 50 && t.queries == 100 && t.seed == 6);
    ck_ok(amun_svcmia_salun(&again, SET(remain), SET(test), SET(forget), &o));
    ck_assert(memcmp(&t, &again, sizeof t) == 0);
    o.seed = 7;
    ck_ok(amun_svcmia_salun(&again, SET(remain), SET(test), SET(forget), &o));
    ck_assert(t.confidence != again.confidence || t.probabilities != again.probabilities);
    ck_ok(amun_svcmia_salun(&t, SET(remain), SET(test), SET(forget), NULL));
    ck_assert(t.members == 70 && t.limit == 5000);
}
END_TEST

START_TEST(test_refusals)
{
    static rows remain, test, forget;
    amun_svcmia t = {.struct_size = sizeof t};
    make(&remain, 20, -1, 1.5, 1);
    make(&test, 20, -1, 1.0, 2);
    make(&forget, 20, 0, 1.2, 3);
    ck_fails(amun_svcmia_salun(&t, NULL, &remain.labels, SET(test), SET(forget), NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "remain");
    ck_fails(amun_svcmia_kodge(&t, SET(remain), SET(test), &forget.logits, &forget.logits, NULL),
             AMUN_ERROR_SHAPE, "forget_test");
    test.z[3][1] = INFINITY;
    ck_fails(amun_svcmia_salun(&t, SET(remain), SET(test), SET(forget), NULL), AMUN_ERROR_NUMERIC,
             "test: row 3, class 1");
    test.logits.shape[1] = 2;
    make(&test, 20, -1, 1.0, 2);
    test.logits.shape[1] = 2;
    for (int i = 0; i < 20; i++) {
        test.y[i] %= 2;
    }
    ck_fails(amun_svcmia_salun(&t, SET(remain), SET(test), SET(forget), NULL), AMUN_ERROR_SHAPE,
             "test: 2 classes");
    make(&test, 20, -1, 1.0, 2);
    if (amun__svc_available()) {
        ck_fails(amun_svcmia_salun(NULL, SET(remain), SET(test), SET(forget), NULL),
                 AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    } else {
        ck_fails(amun_svcmia_salun(&t, SET(remain), SET(test), SET(forget), NULL),
                 AMUN_ERROR_UNSUPPORTED, "libsvm");
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("svcmia");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_modified_entropy);
    tcase_add_test(tc, test_protocols);
    tcase_add_test(tc, test_draws);
    tcase_add_test(tc, test_refusals);
    return amun_test_main("svcmia", (TCase *[]){tc, NULL});
}
