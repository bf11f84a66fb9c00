/* The audit's handle: figures against an oracle, training that resumes, refusals, and the published
 * self-test of the pipeline on the digits. */
#include <unistd.h>

#include "amun/mia.h"
#include "io/io.h"
#include "mia/audit.h"
#include "training.h"

/* ---- a small pool -------------------------------------------------------------------------------
 */

enum { TRAIN = 40, TEST = 20, POOL = TRAIN + TEST, CLASSES = 3, MODELS = 4 };

typedef struct small {
    amun_context *ctx;
    blobs train, test;
    amun_model *model;
    amun_mia *mia;
} small;

static void small_begin(small *s, uint64_t test_seed)
{
    *s = (small){0};
    ck_ok(amun_context_create(&s->ctx, NULL));
    blobs_make(&s->train, s->ctx, TRAIN, 1, 4, 4, CLASSES, 3);
    blobs_make(&s->test, s->ctx, TEST, 1, 4, 4, CLASSES, test_seed);
    s->model = linear_model(s->ctx, 1, 4, 4, CLASSES, 5);
    amun_mia_options o;
    ck_ok(amun_mia_options_init(&o, sizeof o));
    o.references = MODELS;
    ck_ok(amun_mia_create(&s->mia, s->ctx, s->train.data, s->test.data, &o));
}

static void small_end(small *s)
{
    amun_mia_unref(s->mia);
    amun_model_unref(s->model);
    blobs_free(&s->train);
    blobs_free(&s->test);
    amun_context_unref(s->ctx);
}

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
    amun_train_options train = train_options(20, 10, 0.5);
    ck_ok(amun_train_run(NULL, s.model, s.train.data, NULL, 0, &train, NULL));
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
    } else {
        ck_assert(isnan(a.mis));
    }
    ck_assert_int_eq(a.references, MODELS);
    ck_assert(a.seconds >= 0.0 && a.nonpositive >= 0);
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

/* ---- training, files, resuming ------------------------------------------------------------------
 */

static void file_name(char *out, const char *dir, int number, const char *ending)
{
    snprintf(out, 4096, "%s/reference_%03d%s", test_path(dir), number, ending);
}

static void clean(const char *dir)
{
    static const char *const endings[] = {".safetensors", ".logits.safetensors",
                                          ".part.safetensors", ".scratch.safetensors"};
    char path[4096];
    for (int m = 0; m < 8; m++) {
        for (size_t k = 0; k < 4; k++) {
            file_name(path, dir, m, endings[k]);
            remove(path);
        }
    }
    remove(test_path(dir));
}

static bool same_files(const char *a, const char *b, int number, const char *ending)
{
    char path[4096];
    amun__mapping left, right;
    file_name(path, a, number, ending);
    ck_ok(amun__file_map(&left, path));
    file_name(path, b, number, ending);
    ck_ok(amun__file_map(&right, path));
    bool same = left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
    amun__file_unmap(&left);
    amun__file_unmap(&right);
    return same;
}

/* Counts how many references were trained and evaluated; stops after `stop` training reports. */
typedef struct counter {
    int train_reports, eval_reports, stop;
} counter;

static int32_t count_phases(const amun_progress *p, void *user_data)
{
    counter *c = user_data;
    c->train_reports += strcmp(p->phase, "reference") == 0;
    c->eval_reports += strcmp(p->phase, "reference logits") == 0;
    return c->stop > 0 && c->train_reports >= c->stop;
}

static amun_status train_all(small *s, const char *dir, const amun_train_options *o, counter *c)
{
    char path[4096];
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = count_phases;
    call.user_data = c;
    call.min_interval_ms = 0;
    snprintf(path, sizeof path, "%s", dir == NULL ? "" : test_path(dir));
    return amun_mia_train_references(s->mia, s->model, o, dir == NULL ? NULL : path, &call);
}

START_TEST(test_resume)
{
    static const char whole[] = "mia_whole", broken[] = "mia_broken";
    amun_train_options o = train_options(3, 8, 0.1);
    const int64_t forget[5] = {3, 8, 21, 30, 39};
    amun_audit a = {.struct_size = sizeof a}, b = a, d = a;
    small s;
    char path[4096];
    clean(whole);
    clean(broken);
    small_begin(&s, 3);
    counter c = {0};
    ck_ok(train_all(&s, whole, &o, &c));
    int reports = c.train_reports;
    ck_assert(reports >= 3 * MODELS && c.eval_reports >= MODELS);
    ck_ok(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL));
    c = (counter){0}; /* again: neither trained nor evaluated */
    ck_ok(train_all(&s, whole, &o, &c));
    ck_assert(c.train_reports == 0 && c.eval_reports == 0);
    small_end(&s);

    int interruptions = 0; /* each a new handle, as after a kill, that gets a little further */
    for (bool done = false; !done; interruptions += !done) {
        small_begin(&s, 3);
        c = (counter){.stop = 7 + interruptions};
        amun_status status = train_all(&s, broken, &o, &c);
        done = status == AMUN_OK;
        ck_assert(done || status == AMUN_ERROR_CANCELLED);
        if (!done) {
            ck_fails(amun_mia_audit(&b, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_STATE,
                     "reference");
            ck_assert_int_lt(interruptions, reports);
            small_end(&s);
        }
    }
    ck_assert_int_ge(interruptions, MODELS);
    ck_ok(amun_mia_audit(&b, s.mia, s.model, forget, 5, NULL));
    a.seconds = b.seconds = 0.0;
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    for (int m = 0; m < MODELS; m++) {
        ck_assert(same_files(whole, broken, m, ".safetensors"));
        ck_assert(same_files(whole, broken, m, ".logits.safetensors"));
        file_name(path, broken, m, ".part.safetensors");
        ck_assert(!amun__file_exists(path));
    }
    small_end(&s);

    small_begin(&s, 3); /* without files: the same figures */
    c = (counter){0};
    ck_ok(train_all(&s, NULL, &o, &c));
    ck_ok(amun_mia_audit(&d, s.mia, s.model, forget, 5, NULL));
    d.seconds = 0.0;
    ck_assert(memcmp(&a, &d, sizeof a) == 0);
    c = (counter){0};
    ck_ok(train_all(&s, NULL, &o, &c)); /* kept */
    ck_assert_int_eq(c.train_reports, 0);
    o.lr = 0.2;
    ck_ok(train_all(&s, NULL, &o, &c)); /* other options: trained anew */
    ck_assert(c.train_reports > 0);
    small_end(&s);
    clean(whole);
    clean(broken);
}
END_TEST

START_TEST(test_file_mismatch)
{
    static const char dir[] = "mia_mismatch";
    amun_train_options o = train_options(1, 8, 0.1);
    small s;
    counter c = {0};
    char path[4096], other[4096];
    clean(dir);
    small_begin(&s, 3);
    ck_ok(train_all(&s, dir, &o, &c));
    o.lr = 0.2;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "lr = 0.1");
    o.lr = 0.1;
    o.seed = 1;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "seed");
    o.seed = 0;
    o.checkpoint_every = 7; /* decides nothing */
    ck_ok(train_all(&s, dir, &o, &c));
    o.checkpoint = "x";
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_INVALID_ARGUMENT, "checkpoint");
    o.checkpoint = NULL;
    amun_model *conv = conv_model(s.ctx, 1, 4, 4, CLASSES, 5);
    ck_fails(amun_mia_train_references(s.mia, conv, &o, test_path(dir), NULL), AMUN_ERROR_STATE,
             "parameters");
    amun_model_unref(conv);
    small_end(&s);
    small_begin(&s, 4); /* other test images */
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "test_hash");
    small_end(&s);

    small_begin(&s, 3); /* one model's file under another's name */
    file_name(path, dir, 0, ".safetensors");
    file_name(other, dir, 1, ".safetensors");
    ck_assert_int_eq(rename(path, other), 0);
    c = (counter){0};
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "number = 0, this call has 1");
    ck_assert(c.train_reports > 0); /* number 0 was made again */
    remove(other);
    ck_ok(train_all(&s, dir, &o, &c));
    small_end(&s);
    clean(dir);
}
END_TEST

static void damage(const char *dir, int number, const char *ending, long from_end)
{
    char path[4096];
    file_name(path, dir, number, ending);
    FILE *file = fopen(path, "r+b");
    ck_assert(file != NULL);
    ck_assert_int_eq(fseek(file, -from_end, SEEK_END), 0);
    int c = fgetc(file);
    ck_assert_int_eq(fseek(file, -from_end, SEEK_END), 0);
    fputc(c ^ 0x10, file);
    fclose(file);
}

START_TEST(test_damage)
{
    static const char dir[] = "mia_damage";
    amun_train_options o = train_options(1, 8, 0.1);
    const int64_t forget[2] = {0, 1};
    amun_audit a = {.struct_size = sizeof a}, b = a;
    small s;
    counter c = {0};
    char path[4096];
    clean(dir);
    small_begin(&s, 3);
    ck_ok(train_all(&s, dir, &o, &c));
    ck_ok(amun_mia_audit(&a, s.mia, s.model, forget, 2, NULL));
    damage(dir, 1, ".logits.safetensors", 3); /* the cache does not fit: computed again */
    c = (counter){0};
    ck_ok(train_all(&s, dir, &o, &c));
    ck_assert(c.train_reports == 0 && c.eval_reports > 0);
    ck_ok(amun_mia_audit(&b, s.mia, s.model, forget, 2, NULL));
    a.seconds = b.seconds = 0.0;
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    file_name(path, dir, 2, ".logits.safetensors");
    ck_assert_int_eq(truncate(path, 20), 0);
    ck_ok(train_all(&s, dir, &o, &c));
    file_name(path, dir, 2, ".safetensors");
    ck_assert_int_eq(truncate(path, 20), 0);
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_FORMAT, "reference_002.safetensors");
    remove(path);
    file_name(path, dir, 3, ".safetensors"); /* a model that is no reference */
    ck_ok(amun_model_save(s.model, path));
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "not a reference");
    small_end(&s);
    clean(dir);
}
END_TEST

/* ---- the pipeline on real digits ----------------------------------------------------------------
 */

/* 300 digits as train and 300 as test, and a network with one hidden layer, small enough to train
 * nine times in a test and large enough to know its images by heart. */
typedef struct digits {
    amun_context *ctx;
    amun_dataset *all, *train, *test;
    amun_model *model;
} digits;

static void digits_begin(digits *d)
{
    enum { ALL = 1797, PART = 300 };
    static int64_t indices[ALL];
    amun_graph *graph = NULL;
    amun_node node = 0;
    *d = (digits){0};
    ck_ok(amun_context_create(&d->ctx, NULL));
    ck_ok(amun_context_set_threads(d->ctx, 1)); /* layers this small only wait for each other */
    d->all = digits_open(d->ctx);
    ck_ok(amun_forget_indices(indices, ALL, ALL, 5)); /* a permutation */
    ck_ok(amun_dataset_subset(&d->train, d->all, indices, PART));
    ck_ok(amun_dataset_subset(&d->test, d->all, indices + PART, PART));
    ck_ok(amun_graph_create(&graph, d->ctx, 1, 8, 8));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "hidden", 128, 1));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", 10, 1));
    ck_ok(amun_model_create_graph(&d->model, d->ctx, graph, 0));
    amun_graph_unref(graph);
}

static void digits_end(digits *d)
{
    amun_model_unref(d->model);
    amun_dataset_unref(d->train);
    amun_dataset_unref(d->test);
    amun_dataset_unref(d->all);
    amun_context_unref(d->ctx);
}

/* AUC in percent of included against not included, for `target` judged by `models` rows. */
static double inclusion_auc(const double *target, const double *rows, const uint8_t *row_included,
                            const uint8_t *truth, size_t models, size_t n, amun_rmia_mode mode)
{
    double *score = malloc(n * sizeof *score), *in = malloc(n * sizeof *in),
           *out = malloc(n * sizeof *out), auc;
    size_t n_in = 0, n_out = 0;
    ck_assert(score != NULL && in != NULL && out != NULL);
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.mode = mode;
    ck_ok(amun_rmia_scores(score, target, rows, row_included, NULL, models, n, &o));
    for (size_t i = 0; i < n; i++) {
        if (truth[i]) {
            in[n_in++] = score[i];
        } else {
            out[n_out++] = score[i];
        }
    }
    ck_ok(amun_auc_compute(&auc, in, n_in, out, n_out));
    free(score);
    free(in);
    free(out);
    return 100.0 * auc;
}

/* Signals of a model on the pool, by the public way. */
static double *signals_of(const digits *d, const amun_model *model)
{
    size_t counts[2] = {amun_dataset_count(d->train), amun_dataset_count(d->test)};
    size_t n = counts[0] + counts[1];
    float *images = malloc(n * 64 * sizeof *images), *logits = malloc(n * 10 * sizeof *logits);
    int64_t *labels = malloc(n * sizeof *labels);
    double *signals = malloc(n * sizeof *signals);
    amun_tensor_view pixels, outputs, truth;
    ck_assert(images != NULL && logits != NULL && labels != NULL && signals != NULL);
    ck_ok(amun_dataset_read(d->train, 0, counts[0], images));
    ck_ok(amun_dataset_read(d->test, 0, counts[1], images + counts[0] * 64));
    ck_ok(amun_dataset_labels(d->train, 0, counts[0], labels));
    ck_ok(amun_dataset_labels(d->test, 0, counts[1], labels + counts[0]));
    ck_ok(amun_tensor_view_init(&pixels, images, AMUN_DTYPE_F32, 4,
                                (int64_t[]){(int64_t)n, 1, 8, 8}));
    ck_ok(amun_tensor_view_init(&outputs, logits, AMUN_DTYPE_F32, 2, (int64_t[]){(int64_t)n, 10}));
    ck_ok(amun_tensor_view_init(&truth, labels, AMUN_DTYPE_I64, 1, (int64_t[]){(int64_t)n}));
    ck_ok(amun_model_predict(model, &pixels, &outputs, NULL));
    ck_ok(amun_signal_compute(signals, NULL, &outputs, &truth, NULL));
    free(images);
    free(logits);
    free(labels);
    return signals;
}

typedef struct self_test {
    double online, offline, least, fresh;
} self_test;

/* Each reference as the target, its row deleted: the attack must know its members. Online, the
 * deleted row leaves a trace in the balance of the others (of a member's models, one fewer is IN),
 * so the offline score, which has no such trace, must know them too. A fresh model has no members:
 * scored against all rows, it has nothing in common with any of the eight splits. */
static void run_self_test(const amun_mia *mia, const double *fresh, self_test *out)
{
    size_t n = mia->n_pool, models = (size_t)mia->options.references;
    double *rows = malloc((models - 1) * n * sizeof *rows);
    uint8_t *included = malloc((models - 1) * n);
    ck_assert(rows != NULL && included != NULL);
    *out = (self_test){.least = 100.0};
    for (size_t m = 0; m < models; m++) {
        for (size_t k = 0, to = 0; k < models; k++) {
            if (k != m) {
                memcpy(rows + to * n, mia->signals + k * n, n * sizeof *rows);
                memcpy(included + to++ * n, mia->included + k * n, n);
            }
        }
        const uint8_t *truth = mia->included + m * n;
        const double *target = mia->signals + m * n;
        double auc = inclusion_auc(target, rows, included, truth, models - 1, n, AMUN_RMIA_ONLINE);
        out->online += auc / (double)models;
        out->least = auc < out->least ? auc : out->least;
        out->offline +=
            inclusion_auc(target, rows, included, truth, models - 1, n, AMUN_RMIA_OFFLINE) /
            (double)models;
        out->fresh +=
            inclusion_auc(fresh, mia->signals, mia->included, truth, models, n, AMUN_RMIA_ONLINE) /
            (double)models;
    }
    free(rows);
    free(included);
}

START_TEST(test_pipeline)
{
    digits d;
    amun_mia *mia = NULL;
    amun_mia_options o;
    amun_train_options train = train_options(60, 32, 0.1);
    train.weight_decay = 0.0;
    train.schedule = AMUN_SCHEDULE_COSINE;
    digits_begin(&d);
    ck_ok(amun_mia_options_init(&o, sizeof o));
    o.references = 8;
    ck_ok(amun_mia_create(&mia, d.ctx, d.train, d.test, &o));
    double began = amun__now();
    ck_ok(amun_mia_train_references(mia, d.model, &train, NULL, NULL));
    double trained = amun__now();
    self_test t;
    double *fresh = signals_of(&d, d.model);
    run_self_test(mia, fresh, &t);
    free(fresh);
    fprintf(stderr,
            "# 8 references in %.1f s; AUC online %.2f (least %.2f), offline %.2f, fresh %.2f\n",
            trained - began, t.online, t.least, t.offline, t.fresh);
    ck_assert(t.online > 56.0 && t.least > 52.0 && t.offline > 55.0);
    ck_assert(fabs(t.fresh - 50.0) < 2.5); /* three deviations of eight splits of 600 */

    int64_t forget[150];
    for (int64_t i = 0; i < 150; i++) {
        forget[i] = 2 * i;
    }
    amun_audit a = {.struct_size = sizeof a};
    ck_ok(amun_train_run(NULL, d.model, d.train, NULL, 0, &train, NULL));
    ck_ok(amun_mia_audit(&a, mia, d.model, forget, 150, NULL));
    fprintf(stderr,
            "# audit in %.3f s: UA %.1f RA %.1f TA %.1f FT %.2f +- %.2f FR %.2f RT %.2f MIS %.1f\n",
            a.seconds, a.ua, a.ra, a.ta, a.ft_auc, a.ft_auc_sd, a.fr_auc, a.rt_auc, a.mis);
    ck_assert(a.ua > 99.0 && a.ra > 99.0 && a.ta > 85.0 && a.ta < 99.0);
    /* trained on both alike: told from the test images, not from each other (sd 3.3 points) */
    ck_assert(a.rt_auc > 55.0 && a.ft_auc > 55.0);
    ck_assert(fabs(a.fr_auc - 50.0) < 10.0);
    amun_mia_unref(mia);
    digits_end(&d);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("mia");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, test_figures);
    tcase_add_test(tc, test_draws);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_create_refusals);
    tcase_add_test(tc, test_resume);
    tcase_add_test(tc, test_file_mismatch);
    tcase_add_test(tc, test_damage);
    tcase_add_test(tc, test_pipeline);
    return amun_test_main("mia", (TCase *[]){tc, NULL});
}
