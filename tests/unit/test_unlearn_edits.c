/* test_unlearn_edits.c - methods that change weights in closed form, against the same in double. */
#include "training.h"
#include "unlearn/unlearn.h"

enum { COUNT = 300, PIXELS = 6, CLASSES = 3, GONE = 1, BATCH = 128 };
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
static void setup(fixture *f)
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

static void teardown(fixture *f)
{
    amun_model_unref(f->model);
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

static void weights_of(const amun_model *model, double w[WEIGHTS])
{
    amun__model_values v;
    amun__model_values_get(model, &v);
    ck_assert_uint_eq(v.total, WEIGHTS);
    for (int i = 0; i < WEIGHTS; i++) {
        w[i] = (double)v.values[i];
    }
}

static amun_status forget_by(const fixture *f, amun_unlearn_method method,
                             const amun_rival_options *rival, amun_unlearn_result *result,
                             watcher *w)
{
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = method;
    o.rival = rival;
    amun_call_options call = watched(w);
    return amun_unlearn_run(result, f->model, f->b.data, f->forget, f->forget_count, NULL, &o,
                            &call);
}

/* ---- selective synaptic dampening ----------------------------------------------------------- */

/* Adds the gradient of the cross-entropy of one sample. */
static void add_gradient(const double w[WEIGHTS], const float *x, int64_t label, double g[WEIGHTS])
{
    double z[CLASSES], sum = 0.0;
    for (int k = 0; k < CLASSES; k++) {
        z[k] = w[CLASSES * PIXELS + k];
        for (int i = 0; i < PIXELS; i++) {
            z[k] += w[k * PIXELS + i] * (double)x[i];
        }
        sum += exp(z[k]);
    }
    for (int k = 0; k < CLASSES; k++) {
        double d = exp(z[k]) / sum - (k == label);
        for (int i = 0; i < PIXELS; i++) {
            g[k * PIXELS + i] += d * (double)x[i];
        }
        g[CLASSES * PIXELS + k] += d;
    }
}

/* Mean over batches of the squared gradient of the batch's mean; indices NULL: all. */
static void importance(const fixture *f, const double w[WEIGHTS], const int64_t *indices,
                       size_t count, double out[WEIGHTS])
{
    size_t batches = 0;
    memset(out, 0, WEIGHTS * sizeof *out);
    for (size_t first = 0; first < count; first += BATCH, batches++) {
        double g[WEIGHTS] = {0};
        size_t n = count - first < BATCH ? count - first : BATCH;
        for (size_t i = first; i < first + n; i++) {
            size_t at = indices != NULL ? (size_t)indices[i] : i;
            add_gradient(w, f->b.images + at * PIXELS, f->b.labels[at], g);
        }
        for (int k = 0; k < WEIGHTS; k++) {
            out[k] += g[k] / (double)n * (g[k] / (double)n);
        }
    }
    for (int k = 0; k < WEIGHTS; k++) {
        out[k] /= (double)batches;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* alpha between two ratios of importance, the `untouched` smallest lie below it; lambda above
 * alpha, so that some factors are cut to 1. */
static void choose_ssd(const double all[WEIGHTS], const double gone[WEIGHTS], int untouched,
                       amun_rival_options *rival)
{
    double ratios[WEIGHTS];
    for (int i = 0; i < WEIGHTS; i++) {
        ratios[i] = gone[i] / all[i];
    }
    qsort(ratios, WEIGHTS, sizeof *ratios, by_value);
    rival->ssd_alpha = (ratios[untouched - 1] + ratios[untouched]) / 2.0;
    rival->ssd_lambda = (ratios[untouched] + ratios[untouched + 1]) / 2.0;
}

static void check_ssd(int untouched)
{
    fixture f;
    setup(&f);
    double before[WEIGHTS], now[WEIGHTS], all[WEIGHTS], gone[WEIGHTS];
    amun_rival_options rival;
    ck_ok(amun_rival_options_init(&rival, sizeof rival));
    weights_of(f.model, before);
    importance(&f, before, NULL, COUNT, all);
    importance(&f, before, f.forget, f.forget_count, gone);
    choose_ssd(all, gone, untouched, &rival);
    amun_unlearn_result result = {.struct_size = sizeof result};
    watcher w = {.calls = 0};
    ck_ok(forget_by(&f, AMUN_UNLEARN_SSD, &rival, &result, &w));
    ck_assert_str_eq(w.phase, "importance");
    ck_assert_int_eq(result.forget, (int64_t)f.forget_count);
    ck_assert_int_eq(result.remain, (int64_t)(COUNT - f.forget_count));
    ck_assert(isnan(result.loss));
    weights_of(f.model, now);
    int same = 0;
    for (int i = 0; i < WEIGHTS; i++) {
        double factor = fmin(1.0, rival.ssd_lambda * all[i] / gone[i]);
        bool hit = gone[i] > rival.ssd_alpha * all[i];
        same += now[i] == before[i];
        ck_close(now[i], before[i] * (hit ? factor : 1.0), 1e-4);
    }
    ck_assert_int_eq(same, untouched + 1);
    teardown(&f);
}

START_TEST(ssd)
{
    check_ssd(1);
    check_ssd(WEIGHTS / 2);
    check_ssd(WEIGHTS - 2);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("unlearn_edits");
    tcase_add_test(tc, ssd);
    return amun_test_main("unlearn_edits", (TCase *[]){tc, NULL});
}
