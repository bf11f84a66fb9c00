/* The audit's handle: figures against an oracle, options, draws, refusals, allocation failures. */
#include "mia_fixture.h"
#include "train/train.h"

/* Anything, but the same each time. */
static void random_logits(float *logits, uint64_t key)
{
    amun__rng rng;
    amun__rng_open(&rng, 77, AMUN__RNG_TEST, 0, key);
    for (size_t i = 0; i < (size_t)POOL * CLASSES; i++) {
        logits[i] = (float)amun__rng_normal(&rng);
    }
}

static amun_tensor_view pool_view(void *data, amun_dtype dtype, int64_t columns)
{
    amun_tensor_view v;
    ck_ok(amun_tensor_view_init(&v, data, dtype, columns == 0 ? 1 : 2, (int64_t[]){POOL, columns}));
    return v;
}

static double pair_auc(const double *p, const double *q, size_t n)
{
    double wins = 0.0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            wins += p[i] > q[k] ? 1.0 : p[i] == q[k] ? 0.5 : 0.0;
        }
    }
    return 100.0 * wins / (double)(n * n);
}

/* Forget 20 of 40, so that forget, remain and test have 20 each and no draw is left to chance:
 * every figure follows from the saved outputs. */
START_TEST(test_figures)
{
    small s;
    small_begin(&s, 3);
    float logits[POOL * CLASSES];
    double refs[MODELS * POOL], target[POOL], score[POOL], confidence[POOL];
    double part[3][20], conf[3][20];
    int64_t labels[POOL], forget[20];
    ck_ok(amun_dataset_labels(s.train.data, 0, TRAIN, labels));
    ck_ok(amun_dataset_labels(s.test.data, 0, TEST, labels + TRAIN));
    amun_tensor_view view = pool_view(logits, AMUN_DTYPE_F32, CLASSES);
    amun_tensor_view label_view = pool_view(labels, AMUN_DTYPE_I64, 0);
    for (int m = 0; m < MODELS; m++) {
        random_logits(logits, (uint64_t)m);
        ck_ok(amun_mia_set_reference(s.mia, m, &view));
        ck_ok(amun_signal_compute(refs + m * POOL, NULL, &view, &label_view, NULL));
    }
    int64_t remain[20]; /* only the odd ones are learnt, so that the groups differ */
    for (int64_t i = 0; i < 20; i++) {
        remain[i] = 2 * i + 1;
    }
    amun_train_options train = train_options(20, 10, 0.1);
    ck_ok(amun_train_run(NULL, s.model, s.train.data, remain, 20, &train, NULL));
    float images[POOL * 16];
    amun_tensor_view pixels;
    ck_ok(amun_dataset_read(s.train.data, 0, TRAIN, images));
    ck_ok(amun_dataset_read(s.test.data, 0, TEST, images + TRAIN * 16));
    ck_ok(amun_tensor_view_init(&pixels, images, AMUN_DTYPE_F32, 4, (int64_t[]){POOL, 1, 4, 4}));
    ck_ok(amun_model_predict(s.model, &pixels, &view, NULL));
    ck_ok(amun_signal_compute(target, NULL, &view, &label_view, NULL));
    ck_ok(amun_svc_features(confidence, NULL, NULL, &view, &label_view));
    ck_ok(amun_rmia_scores(score, target, refs, NULL, NULL, MODELS, POOL, NULL));
    double right[3] = {0};
    size_t counts[3] = {0};
    for (int64_t i = 0; i < POOL; i++) {
        int group = i >= TRAIN ? 2 : i % 2 == 0 ? 0 : 1;
        if (group == 0) {
            forget[19 - counts[0]] = i; /* the order must not matter */
        }
        const float *z = logits + i * CLASSES;
        int best = z[1] > z[0] ? 1 : 0;
        best = z[2] > z[best] ? 2 : best;
        right[group] += best == labels[i];
        part[group][counts[group]] = score[i];
        conf[group][counts[group]++] = confidence[i];
    }
    amun_audit a = {.struct_size = sizeof a};
    ck_ok(amun_mia_audit(&a, s.mia, s.model, forget, 20, NULL));
    ck_close(a.ua, 100.0 * right[0] / 20, 1e-13);
    ck_close(a.ra, 100.0 * right[1] / 20, 1e-13);
    ck_close(a.ta, 100.0 * right[2] / 20, 1e-13);
    ck_close(a.ft_auc, pair_auc(part[0], part[2], 20), 1e-12);
    ck_close(a.fr_auc, pair_auc(part[1], part[0], 20), 1e-12);
    ck_close(a.rt_auc, pair_auc(part[1], part[2], 20), 1e-12);
    ck_close(a.ft_auc_sd, 0.0, 1e-12);
    double tpr, mis;
    ck_ok(amun_tpr_at_fpr(&tpr, part[0], 20, part[2], 20, 0.01));
    ck_close(a.ft_tpr_1, 100.0 * tpr, 1e-12);
    if (amun_svc_mis(&mis, conf[1], conf[2], 20, conf[0], 20) == AMUN_OK) {
        ck_close(a.mis, mis, 1e-12);
        ck_assert(mis > 0.0 && mis < 100.0); /* or the comparison says nothing */
    } else {
        ck_assert(isnan(a.mis));
    }
    ck_assert_int_eq(a.references, MODELS);
    ck_assert(a.seconds >= 0.0 && a.nonpositive >= 0);
    small_end(&s);
}
END_TEST

/* The options of RMIA reach the audit: offline, test images as the population. */
START_TEST(test_options)
{
    small s;
    small_begin(&s, 3);
    float logits[POOL * CLASSES];
    double refs[MODELS * POOL], target[POOL], score[POOL];
    double part[3][20];
    uint8_t population[POOL] = {0};
    int64_t labels[POOL], forget[20];
    ck_ok(amun_dataset_labels(s.train.data, 0, TRAIN, labels));
    ck_ok(amun_dataset_labels(s.test.data, 0, TEST, labels + TRAIN));
    amun_tensor_view view = pool_view(logits, AMUN_DTYPE_F32, CLASSES);
    amun_tensor_view label_view = pool_view(labels, AMUN_DTYPE_I64, 0);
    amun_mia_options o;
    amun_rmia_options rmia;
    ck_ok(amun_mia_options_init(&o, sizeof o));
    ck_ok(amun_rmia_options_init(&rmia, sizeof rmia));
    o.references = MODELS;
    o.rmia = &rmia;
    rmia.signal = AMUN_SIGNAL_SOFT_MARGIN;
    rmia.mode = AMUN_RMIA_OFFLINE;
    rmia.population = AMUN_RMIA_TEST_ONLY;
    rmia.gamma = 1.1;
    amun_mia *mia = NULL;
    ck_ok(amun_mia_create(&mia, s.ctx, s.train.data, s.test.data, &o));
    for (int m = 0; m < MODELS; m++) {
        random_logits(logits, (uint64_t)m);
        ck_ok(amun_mia_set_reference(mia, m, &view));
        ck_ok(amun_signal_compute(refs + m * POOL, NULL, &view, &label_view, &rmia));
    }
    ck_ok(amun__model_begin_read(s.model));
    ck_ok(amun__eval_logits(s.model, s.train.data, NULL, TRAIN, logits, NULL, "test"));
    ck_ok(amun__eval_logits(s.model, s.test.data, NULL, TEST, logits + TRAIN * CLASSES, NULL,
                            "test"));
    amun__model_end_read(s.model);
    ck_ok(amun_signal_compute(target, NULL, &view, &label_view, &rmia));
    memset(population + TRAIN, 1, TEST);
    ck_ok(amun_rmia_scores(score, target, refs, amun_mia_inclusion(mia), population, MODELS, POOL,
                           &rmia));
    for (int64_t i = 0; i < 20; i++) {
        forget[i] = 2 * i;
        part[0][i] = score[2 * i];
        part[1][i] = score[2 * i + 1];
        part[2][i] = score[TRAIN + i];
    }
    amun_audit a = {.struct_size = sizeof a};
    ck_ok(amun_mia_audit(&a, mia, s.model, forget, 20, NULL));
    ck_close(a.ft_auc, pair_auc(part[0], part[2], 20), 1e-12);
    ck_close(a.rt_auc, pair_auc(part[1], part[2], 20), 1e-12);
    amun_mia_unref(mia);
    small_end(&s);
}
END_TEST

/* Unequal groups are drawn down to the smallest: same call, same figures; another seed, others. */
START_TEST(test_draws)
{
    small s;
    small_begin(&s, 3);
    float logits[POOL * CLASSES];
    amun_tensor_view view = pool_view(logits, AMUN_DTYPE_F32, CLASSES);
    amun_mia_options o;
    ck_ok(amun_mia_options_init(&o, sizeof o));
    o.references = MODELS;
    o.seed = UINT64_C(1) << 32; /* the same inclusion matrix, other draws */
    o.subsamples = 1;
    amun_mia *other = NULL;
    ck_ok(amun_mia_create(&other, s.ctx, s.train.data, s.test.data, &o));
    ck_assert(memcmp(amun_mia_inclusion(other), amun_mia_inclusion(s.mia), MODELS * POOL) == 0);
    for (int m = 0; m < MODELS; m++) {
        random_logits(logits, (uint64_t)m);
        ck_ok(amun_mia_set_reference(s.mia, m, &view));
        ck_ok(amun_mia_set_reference(other, m, &view));
    }
    const int64_t forget[5] = {3, 8, 21, 30, 39};
    amun_audit a = {.struct_size = sizeof a}, b = a, c = a;
    ck_ok(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL));
    ck_ok(amun_mia_audit(&b, s.mia, s.model, forget, 5, NULL));
    ck_ok(amun_mia_audit(&c, other, s.model, forget, 5, NULL));
    a.seconds = b.seconds = c.seconds = 0.0;
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    ck_assert(a.ft_auc_sd > 0.0 && isnan(c.ft_auc_sd));
    ck_assert(a.ft_auc != c.ft_auc && a.ua == c.ua);
    amun_mia_unref(other);
    small_end(&s);
}
END_TEST

START_TEST(test_refusals)
{
    small s;
    small_begin(&s, 3);
    float logits[POOL * CLASSES];
    random_logits(logits, 0);
    amun_tensor_view view = pool_view(logits, AMUN_DTYPE_F32, CLASSES);
    amun_audit a = {.struct_size = sizeof a};
    int64_t forget[TRAIN];
    for (int64_t i = 0; i < TRAIN; i++) {
        forget[i] = i;
    }
    ck_fails(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_STATE,
             "reference 0 of 4");
    ck_fails(amun_mia_set_reference(s.mia, MODELS, &view), AMUN_ERROR_INVALID_ARGUMENT,
             "number: 4");
    ck_fails(amun_mia_set_reference(s.mia, -1, &view), AMUN_ERROR_INVALID_ARGUMENT, "number: -1");
    ck_fails(amun_mia_set_reference(s.mia, 0, NULL), AMUN_ERROR_INVALID_ARGUMENT, "logits");
    amun_tensor_view narrow = pool_view(logits, AMUN_DTYPE_F32, 2); /* labels reach 2 */
    ck_fails(amun_mia_set_reference(s.mia, 0, &narrow), AMUN_ERROR_INVALID_ARGUMENT, "is 2");
    narrow = view;
    narrow.shape[0] = POOL - 1;
    ck_fails(amun_mia_set_reference(s.mia, 0, &narrow), AMUN_ERROR_SHAPE, "reference 0");
    logits[7 * CLASSES] = NAN;
    ck_fails(amun_mia_set_reference(s.mia, 0, &view), AMUN_ERROR_NUMERIC, "row 7");
    random_logits(logits, 0);
    for (int m = 0; m < MODELS; m++) {
        ck_ok(amun_mia_set_reference(s.mia, m, &view));
    }
    ck_ok(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL));
    logits[0] = NAN; /* a failed replacement empties the row */
    ck_fails(amun_mia_set_reference(s.mia, 2, &view), AMUN_ERROR_NUMERIC, "row 0");
    ck_fails(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_STATE, "reference 2");
    logits[0] = 0.0f;
    ck_ok(amun_mia_set_reference(s.mia, 2, &view));
    ck_fails(amun_mia_audit(NULL, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "audit");
    ck_fails(amun_mia_audit(&a, NULL, s.model, forget, 5, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "mia");
    ck_fails(amun_mia_audit(&a, s.mia, NULL, forget, 5, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "model");
    ck_fails(amun_mia_audit(&a, s.mia, s.model, forget, 0, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "forget set");
    ck_fails(amun_mia_audit(&a, s.mia, s.model, forget, TRAIN, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "all 40");
    forget[1] = TRAIN;
    ck_fails(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "40");
    forget[1] = forget[0];
    ck_fails(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "forget set");
    forget[1] = 1;
    amun_model *wrong = linear_model(s.ctx, 1, 4, 5, CLASSES, 0);
    ck_fails(amun_mia_audit(&a, s.mia, wrong, forget, 5, NULL), AMUN_ERROR_SHAPE, "1x4x5");
    amun_model_unref(wrong);
    wrong = linear_model(s.ctx, 1, 4, 4, 2, 0);
    ck_fails(amun_mia_audit(&a, s.mia, wrong, forget, 5, NULL), AMUN_ERROR_SHAPE, "2 classes");
    amun_model_unref(wrong);
    a.struct_size = 5;
    ck_fails(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "struct_size is 5");
    ck_assert(amun_mia_inclusion(NULL) == NULL);
    small_end(&s);
}
END_TEST

START_TEST(test_create_refusals)
{
    small s;
    small_begin(&s, 3);
    amun_mia *mia = (amun_mia *)1;
    amun_mia_options o;
    amun_rmia_options rmia;
    ck_ok(amun_mia_options_init(&o, sizeof o));
    ck_ok(amun_rmia_options_init(&rmia, sizeof rmia));
    ck_fails(amun_mia_create(NULL, s.ctx, s.train.data, s.test.data, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "mia");
    ck_fails(amun_mia_create(&mia, s.ctx, NULL, s.test.data, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "train");
    ck_assert(mia == NULL);
    o.references = 3;
    ck_fails(amun_mia_create(&mia, s.ctx, s.train.data, s.test.data, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "3, must be even");
    o.references = 4;
    o.subsamples = 0;
    ck_fails(amun_mia_create(&mia, s.ctx, s.train.data, s.test.data, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "subsamples: 0");
    o.subsamples = 1;
    rmia.signal = AMUN_SIGNAL_LOG_LOGIT;
    o.rmia = &rmia;
    ck_fails(amun_mia_create(&mia, s.ctx, s.train.data, s.test.data, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "log_logit");
    rmia.gamma = NAN;
    ck_fails(amun_mia_create(&mia, s.ctx, s.train.data, s.test.data, &o),
             AMUN_ERROR_INVALID_ARGUMENT, "gamma");
    o.rmia = NULL;
    blobs bare, wide;
    blobs_make(&bare, s.ctx, 4, 1, 4, 4, 0, 1);
    blobs_make(&wide, s.ctx, 4, 1, 4, 5, CLASSES, 1);
    ck_fails(amun_mia_create(&mia, s.ctx, s.train.data, bare.data, &o), AMUN_ERROR_INVALID_ARGUMENT,
             "test: no labels");
    ck_fails(amun_mia_create(&mia, s.ctx, wide.data, s.test.data, &o), AMUN_ERROR_SHAPE, "1x4x5");
    ck_ok(amun_mia_create(&mia, s.ctx, s.train.data, s.test.data, &o));
    amun_mia_unref(amun_mia_ref(mia));
    amun_mia_unref(mia);
    amun_mia_unref(NULL);
    blobs_free(&bare);
    blobs_free(&wide);
    small_end(&s);
}
END_TEST

/* Each allocation of creating, training in memory and auditing fails once: a status, and no leak.
 */
START_TEST(test_out_of_memory)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    ck_ok(amun_context_set_threads(ctx, 1));
    blobs train, test;
    blobs_make(&train, ctx, 12, 1, 2, 2, CLASSES, 3);
    blobs_make(&test, ctx, 6, 1, 2, 2, CLASSES, 3);
    amun_model *model = linear_model(ctx, 1, 2, 2, CLASSES, 5);
    amun_train_options train_opts = train_options(1, 8, 0.1);
    amun_mia_options o;
    ck_ok(amun_mia_options_init(&o, sizeof o));
    o.references = 2;
    const int64_t forget[2] = {1, 4};
    bool done = false;
    for (int64_t n = 1; !done; n++) {
        amun_mia *mia = NULL;
        amun_audit a = {.struct_size = sizeof a};
        ck_assert_int_lt(n, 2000);
        allocator.fail_at = n;
        amun_status status = amun_mia_create(&mia, ctx, train.data, test.data, &o);
        status = status != AMUN_OK ? status
                                   : amun_mia_train_references(mia, model, &train_opts, NULL, NULL);
        status = status != AMUN_OK ? status : amun_mia_audit(&a, mia, model, forget, 2, NULL);
        done = status == AMUN_OK;
        ck_assert_msg(done || status == AMUN_ERROR_OUT_OF_MEMORY, "allocation %lld: %s: %s",
                      (long long)n, amun_status_string(status), amun_last_error_message());
        allocator.fail_at = 0;
        amun_mia_unref(mia);
    }
    amun_model_unref(model);
    blobs_free(&train);
    blobs_free(&test);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
    ck_assert_int_eq(allocator.wrong, 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("mia");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, test_figures);
    tcase_add_test(tc, test_options);
    tcase_add_test(tc, test_draws);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_create_refusals);
    tcase_add_test(tc, test_out_of_memory);
    return amun_test_main("mia", (TCase *[]){tc, NULL});
}
