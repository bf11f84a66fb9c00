/* test_trw_digits.c - a class of real digits is forgotten: how well, beside models that never saw it,
 * and how the tilt is chosen without them. */
#include "amun/trw.h"
#include "amun/unlearn.h"
#include "training.h"

enum { DIGITS = 1797, TRAIN = 900, TEST = DIGITS - TRAIN, K = 10, CLASS = 9, RETRAINED = 3 };

typedef struct digits {
    amun_context *ctx;
    amun_dataset *train, *test;
    int64_t gone[TRAIN], kept[TRAIN], test_gone[TEST], test_kept[TEST];
    size_t n_gone, n_kept, n_test_gone, n_test_kept;
    amun_model *original;
} digits;

static void split(amun_dataset *data, int64_t *gone, size_t *n_gone, int64_t *kept, size_t *n_kept)
{
    int64_t labels[TRAIN];
    size_t count = amun_dataset_count(data);
    ck_ok(amun_dataset_labels(data, 0, count, labels));
    for (size_t i = 0; i < count; i++) {
        if (labels[i] == CLASS) {
            gone[(*n_gone)++] = (int64_t)i;
        } else {
            kept[(*n_kept)++] = (int64_t)i;
        }
    }
}

static amun_model *trained(const digits *d, uint64_t seed, const int64_t *indices, size_t count)
{
    amun_model *model = NULL;
    amun_model_options mo;
    ck_ok(amun_model_options_init(&mo, sizeof mo));
    mo.channels = 1;
    mo.height = mo.width = 8;
    mo.seed = seed;
    ck_ok(amun_model_create(&model, d->ctx, "digits", &mo));
    amun_train_options t = train_options(8, 30, 0.05);
    t.schedule = AMUN_SCHEDULE_COSINE;
    t.seed = seed;
    ck_ok(amun_train_run(NULL, model, d->train, indices, count, &t, NULL));
    return model;
}

static void digits_begin(digits *d)
{
    int64_t order[DIGITS];
    *d = (digits){0};
    ck_ok(amun_context_create(&d->ctx, NULL));
    ck_ok(amun_context_set_threads(d->ctx, 1)); /* layers too small to share */
    amun_dataset *all = digits_open(d->ctx);
    ck_ok(amun_forget_indices(order, DIGITS, DIGITS, 0));
    ck_ok(amun_dataset_subset(&d->train, all, order, TRAIN));
    ck_ok(amun_dataset_subset(&d->test, all, order + TRAIN, TEST));
    amun_dataset_unref(all);
    split(d->train, d->gone, &d->n_gone, d->kept, &d->n_kept);
    split(d->test, d->test_gone, &d->n_test_gone, d->test_kept, &d->n_test_kept);
    d->original = trained(d, 1, NULL, 0);
}

static void digits_end(digits *d)
{
    amun_model_unref(d->original);
    amun_dataset_unref(d->train);
    amun_dataset_unref(d->test);
    amun_context_unref(d->ctx);
}

/* Probabilities of the forget class's test images, [n_test_gone][K]. */
static void probabilities(const digits *d, const amun_model *model, double *p)
{
    float image[64], z[K];
    for (size_t i = 0; i < d->n_test_gone; i++) {
        amun_tensor_view x, out;
        ck_ok(amun_dataset_read(d->test, (size_t)d->test_gone[i], 1, image));
        ck_ok(amun_tensor_view_init(&x, image, AMUN_DTYPE_F32, 4, (const int64_t[]){1, 1, 8, 8}));
        ck_ok(amun_tensor_view_init(&out, z, AMUN_DTYPE_F32, 2, (const int64_t[]){1, K}));
        ck_ok(amun_model_predict(model, &x, &out, NULL));
        amun__loss_softmax(z, K, p + i * K);
    }
}

/* Mean over the images of half the l1 distance. */
static double total_variation(const digits *d, const double *p, const double *q)
{
    double sum = 0.0;
    for (size_t i = 0; i < d->n_test_gone * K; i++) {
        sum += 0.5 * fabs(p[i] - q[i]);
    }
    return sum / (double)d->n_test_gone;
}

typedef struct outcome {
    double forget, retain, distance;
} outcome;

static outcome judge(const digits *d, const amun_model *model, const double *reference)
{
    outcome out;
    double p[TEST * K];
    ck_ok(amun_model_evaluate(&out.forget, NULL, model, d->test, d->test_gone, d->n_test_gone,
                              NULL));
    ck_ok(amun_model_evaluate(&out.retain, NULL, model, d->test, d->test_kept, d->n_test_kept,
                              NULL));
    probabilities(d, model, p);
    out.distance = total_variation(d, p, reference);
    return out;
}

static outcome forget_by(const digits *d, amun_unlearn_method method, const amun_trw_options *trw,
                         double lr, const double *reference)
{
    amun_model *model = NULL;
    amun_unlearn_options o;
    amun_train_options t;
    ck_ok(amun_model_clone(&model, d->original));
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    ck_ok(amun_unlearn_train_options_init(&t, sizeof t, method));
    t.batch = 30;
    t.lr = lr;
    t.augment_pad = t.augment_flip = 0;
    o.method = method;
    o.train = &t;
    o.trw = trw;
    ck_ok(amun_unlearn_run(NULL, model, d->train, d->gone, d->n_gone, NULL, &o, NULL));
    outcome out = judge(d, model, reference);
    amun_model_unref(model);
    return out;
}

START_TEST(explore)
{
    digits d;
    digits_begin(&d);
    double reference[TEST * K] = {0}, p[RETRAINED][TEST * K];
    for (int r = 0; r < RETRAINED; r++) {
        amun_model *m = trained(&d, 10 + (uint64_t)r, d.kept, d.n_kept);
        probabilities(&d, m, p[r]);
        for (size_t i = 0; i < d.n_test_gone * K; i++) {
            reference[i] += p[r][i] / RETRAINED;
        }
        double acc;
        ck_ok(amun_model_evaluate(&acc, NULL, m, d.test, d.test_kept, d.n_test_kept, NULL));
        fprintf(stderr, "retrained %d: retain %.2f\n", r, acc);
        amun_model_unref(m);
    }
    double null = 0;
    for (int r = 0; r < RETRAINED; r++) {
        null += total_variation(&d, p[r], reference) / RETRAINED;
    }
    outcome o = judge(&d, d.original, reference);
    fprintf(stderr, "null %.4f; original: f %.2f r %.2f tv %.4f\n", null, o.forget, o.retain,
            o.distance);
    const double lrs[] = {0.001, 0.01, 0.03};
    for (int l = 0; l < 3; l++) {
        o = forget_by(&d, AMUN_UNLEARN_RANDOM_LABEL, NULL, lrs[l], reference);
        fprintf(stderr, "lr %g RL  f %.2f r %.2f tv %.4f\n", lrs[l], o.forget, o.retain, o.distance);
        o = forget_by(&d, AMUN_UNLEARN_DELETE, NULL, lrs[l] / 10, reference);
        fprintf(stderr, "lr %g DEL  f %.2f r %.2f tv %.4f\n", lrs[l] / 10, o.forget, o.retain, o.distance);
        o = forget_by(&d, AMUN_UNLEARN_FINETUNE, NULL, lrs[l], reference);
        fprintf(stderr, "lr %g FT  f %.2f r %.2f tv %.4f\n", lrs[l], o.forget, o.retain, o.distance);
        const double betas[] = {0, 1, 2, 5, 10, 20};
        for (int b = 0; b < 6; b++) {
            amun_trw_options t;
            ck_ok(amun_trw_options_init(&t, sizeof t));
            t.beta = betas[b];
            o = forget_by(&d, AMUN_UNLEARN_TRW, &t, lrs[l], reference);
            fprintf(stderr, "lr %g TRW %g f %.2f r %.2f tv %.4f\n", lrs[l], betas[b], o.forget, o.retain, o.distance);
        }
    }
    digits_end(&d);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("trw_digits");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, explore);
    return amun_test_main("trw_digits", (TCase *[]){tc, NULL});
}
