/* test_unlearn_edits.c - methods that change weights in closed form, against the same in double. */
#include "rivals_fixture.h"

enum { BATCH = 128 };

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
    ck_ok(forget_with(&f, AMUN_UNLEARN_SSD, NULL, &rival, &result, &w));
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

/* ---- singular values ------------------------------------------------------------------------ */

/* rho = 0.01, 0.1, 0.5 with alpha 3 and 100, worked out by hand. */
START_TEST(svd_lambda)
{
    ck_close(amun__svd_lambda(0.01, 3.0), 0.03 / 1.02, 1e-12);
    ck_close(amun__svd_lambda(0.1, 3.0), 0.25, 1e-12);
    ck_close(amun__svd_lambda(0.5, 3.0), 0.75, 1e-12);
    ck_close(amun__svd_lambda(0.01, 100.0), 0.5025, 1e-4);
    ck_close(amun__svd_lambda(0.1, 100.0), 0.9174, 1e-4);
    ck_close(amun__svd_lambda(0.5, 100.0), 0.9901, 1e-4);
    ck_assert(amun__svd_lambda(0.3, 1.0) == 0.3);
    ck_assert(amun__svd_lambda(1.0, 0.0) == 0.0 && amun__svd_lambda(0.0, 3.0) == 0.0);
}
END_TEST

enum { MOST_D = 24, CHANNELS = 4, ROWS = 2, COLUMNS = 3 };

/* Jacobi's rotations: a becomes diagonal, the columns of v its eigenvectors. */
static void jacobi(int d, double a[MOST_D][MOST_D], double v[MOST_D][MOST_D])
{
    for (int i = 0; i < d; i++) {
        for (int j = 0; j < d; j++) {
            v[i][j] = i == j;
        }
    }
    for (int turn = 0; turn < 60 * d * d; turn++) {
        int p = turn / d % d, q = turn % d;
        if (p >= q || a[p][q] == 0.0) {
            continue;
        }
        double angle = 0.5 * atan2(2.0 * a[p][q], a[q][q] - a[p][p]);
        double c = cos(angle), s = sin(angle);
        for (int k = 0; k < d; k++) {
            double x = a[k][p], y = a[k][q];
            a[k][p] = c * x - s * y;
            a[k][q] = s * x + c * y;
        }
        for (int k = 0; k < d; k++) {
            double x = a[p][k], y = a[q][k], z = v[k][p], u = v[k][q];
            a[p][k] = c * x - s * y;
            a[q][k] = s * x + c * y;
            v[k][p] = c * z - s * u;
            v[k][q] = s * z + c * u;
        }
    }
}

/* P of a Gram matrix. */
static void naive_projection(int d, double gram[MOST_D][MOST_D], double alpha,
                             double p[MOST_D][MOST_D])
{
    double v[MOST_D][MOST_D], sum = 0.0;
    jacobi(d, gram, v);
    for (int i = 0; i < d; i++) {
        sum += gram[i][i];
    }
    for (int i = 0; i < d; i++) {
        for (int j = 0; j < d; j++) {
            p[i][j] = 0.0;
            for (int k = 0; k < d; k++) {
                double rho = gram[k][k] / sum;
                p[i][j] += v[i][k] * v[j][k] * alpha * rho / ((alpha - 1.0) * rho + 1.0);
            }
        }
    }
}

/* W <- W (I - P_f (I - P_r))^T, as the paper has it. */
static void naive_update(int rows, int d, const float *w, double retain[MOST_D][MOST_D],
                         double forget[MOST_D][MOST_D], const amun_rival_options *o, double *out)
{
    double r[MOST_D][MOST_D], f[MOST_D][MOST_D];
    naive_projection(d, retain, o->svd_retain_alpha, r);
    naive_projection(d, forget, o->svd_forget_alpha, f);
    for (int row = 0; row < rows; row++) {
        for (int i = 0; i < d; i++) {
            double sum = 0.0;
            for (int j = 0; j < d; j++) {
                double m = i == j; /* (I - P_f (I - P_r))[i][j] */
                for (int k = 0; k < d; k++) {
                    m -= f[i][k] * ((k == j) - r[k][j]);
                }
                sum += (double)w[row * d + j] * m;
            }
            out[row * d + i] = sum;
        }
    }
}

static void add_outer(int d, const double *x, double gram[MOST_D][MOST_D])
{
    for (int i = 0; i < d; i++) {
        for (int j = 0; j < d; j++) {
            gram[i][j] += x[i] * x[j];
        }
    }
}

static void patch_at(const float *image, int row, int column, double patch[9])
{
    for (int i = 0; i < 9; i++) {
        int y = row + i / 3 - 1, x = column + i % 3 - 1;
        bool inside = y >= 0 && y < ROWS && x >= 0 && x < COLUMNS;
        patch[i] = inside ? (double)image[y * COLUMNS + x] : 0.0;
    }
}

/* Gram matrices of one sample's inputs to the convolution and to the linear layer of conv_model()
 * with the values w: weight, scale, shift, fc, running mean, running variance. */
static void add_sample(const float *w, const float *image, double conv[MOST_D][MOST_D],
                       double fc[MOST_D][MOST_D])
{
    const float *scale = w + CHANNELS * 9, *shift = scale + CHANNELS;
    const float *mean = shift + CHANNELS + CLASSES * MOST_D + CLASSES, *var = mean + CHANNELS;
    double hidden[MOST_D], patch[9];
    for (int at = 0; at < PIXELS; at++) {
        patch_at(image, at / COLUMNS, at % COLUMNS, patch);
        add_outer(9, patch, conv);
        for (int c = 0; c < CHANNELS; c++) {
            double z = 0.0;
            for (int i = 0; i < 9; i++) {
                z += (double)w[c * 9 + i] * patch[i];
            }
            z = (z - (double)mean[c]) / sqrt((double)var[c] + 1e-5) * (double)scale[c] +
                (double)shift[c];
            hidden[c * PIXELS + at] = fmax(z, 0.0);
        }
    }
    add_outer(MOST_D, hidden, fc);
}

static void use_conv_model(fixture *f)
{
    amun_model_unref(f->model);
    f->model = conv_model(f->ctx, 1, ROWS, COLUMNS, CLASSES, 6);
    amun_train_options t = train_options(3, 16, 0.1);
    ck_ok(amun_train_run(NULL, f->model, f->b.data, NULL, 0, &t, NULL));
}

START_TEST(svd)
{
    fixture f;
    setup(&f);
    use_conv_model(&f);
    amun_rival_options rival;
    ck_ok(amun_rival_options_init(&rival, sizeof rival)); /* 900 samples, all their patches */
    amun__model_values v;
    amun__model_values_get(f.model, &v);
    const size_t fc = CHANNELS * 9 + 2 * CHANNELS;
    ck_assert_uint_eq(v.trainable, fc + CLASSES * MOST_D + CLASSES);
    static double grams[2][2][MOST_D][MOST_D]; /* layer, side */
    memset(grams, 0, sizeof grams);
    for (size_t i = 0; i < COUNT; i++) {
        int side = f.b.labels[i] == GONE;
        add_sample(v.values, f.b.images + i * PIXELS, grams[0][side], grams[1][side]);
    }
    double conv[CHANNELS * 9], head[CLASSES * MOST_D];
    naive_update(CHANNELS, 9, v.values, grams[0][0], grams[0][1], &rival, conv);
    naive_update(CLASSES, MOST_D, v.values + fc, grams[1][0], grams[1][1], &rival, head);
    model_bytes before = bytes_of(f.model);
    const float *old = (const float *)(const void *)before.bytes;
    amun_unlearn_result result = {.struct_size = sizeof result};
    watcher w = {.calls = 0};
    ck_ok(forget_with(&f, AMUN_UNLEARN_SVD, NULL, &rival, &result, &w));
    ck_assert_str_eq(w.phase, "layers");
    ck_assert_uint_eq(w.total, 2);
    ck_assert_int_eq(result.remain + result.forget, COUNT);
    double moved = 0.0;
    for (size_t i = 0; i < v.total; i++) {
        bool edited = i < CHANNELS * 9 || (i >= fc && i < fc + CLASSES * MOST_D);
        double want = i < CHANNELS * 9 ? conv[i] : edited ? head[i - fc] : (double)old[i];
        ck_close((double)v.values[i], want, edited ? 1e-5 : 0.0);
        moved = fmax(moved, fabs(want - (double)old[i]));
    }
    ck_assert(moved > 0.01);
    free(before.bytes);
    teardown(&f);
}
END_TEST

/* Fewer patches and samples: a choice of the seed, and of no class more than of others. */
START_TEST(svd_choice)
{
    fixture f;
    setup(&f);
    use_conv_model(&f);
    amun_rival_options rival;
    ck_ok(amun_rival_options_init(&rival, sizeof rival));
    rival.svd_samples = 21;
    rival.svd_patches = 42; /* 2 of 6 per image */
    amun_model *first = f.model, *again = NULL;
    ck_ok(amun_model_clone(&again, first));
    amun_unlearn_result result = {.struct_size = sizeof result};
    watcher w = {.calls = 0};
    ck_ok(forget_with(&f, AMUN_UNLEARN_SVD, NULL, &rival, &result, &w));
    ck_assert_int_eq(result.remain, 21);
    ck_assert_int_eq(result.forget, 21);
    f.model = again;
    ck_ok(forget_with(&f, AMUN_UNLEARN_SVD, NULL, &rival, &result, &w));
    ck_assert(same_bytes(bytes_of(first), bytes_of(again)));
    amun_model_unref(first);

    amun_unlearn_options o;
    amun__unlearn_request q;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = AMUN_UNLEARN_SVD;
    ck_ok(amun__unlearn_request_open(&q, f.model, f.b.data, f.forget, f.forget_count, NULL, &o));
    int64_t *picked = NULL;
    size_t count = 0, of[CLASSES] = {0};
    ck_ok(amun__unlearn_balanced(&q, q.remain, q.remain_count, 0, 1000, 21, &picked, &count));
    for (size_t i = 0; i < count; i++) {
        of[f.b.labels[picked[i]]]++;
    }
    ck_assert(count == 21 && of[GONE] == 0 && of[0] + of[2] == 21 && abs((int)of[0] - 10) <= 1);
    ck_ok(amun__unlearn_balanced(&q, q.remain, q.remain_count, 0, 5, 1000, &picked, &count));
    ck_assert_uint_eq(count, 10);
    amun__unlearn_request_close(&q);
    teardown(&f);
}
END_TEST

/* ---- cancelled ------------------------------------------------------------------------------ */

START_TEST(cancelled)
{
    fixture f;
    setup(&f);
    model_bytes before = bytes_of(f.model);
    const amun_unlearn_method methods[] = {AMUN_UNLEARN_SSD, AMUN_UNLEARN_SVD};
    for (int i = 0; i < 2; i++) {
        watcher w = {.stop_at = 1};
        ck_fails(forget_with(&f, methods[i], NULL, NULL, NULL, &w), AMUN_ERROR_CANCELLED, "step");
    }
    ck_assert(same_bytes(before, bytes_of(f.model)));
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("unlearn_edits");
    tcase_add_test(tc, ssd);
    tcase_add_test(tc, svd_lambda);
    tcase_add_test(tc, svd);
    tcase_add_test(tc, svd_choice);
    tcase_add_test(tc, cancelled);
    return amun_test_main("unlearn_edits", (TCase *[]){tc, NULL});
}
