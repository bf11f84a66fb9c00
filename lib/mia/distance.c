/* distance.c - how far an unlearned model's predictions are from those of retrained models. */
#include "mia/ulira.h"

/* ---- two predictions ----------------------------------------------------------------------------
 */

static double total_variation(const double *p, const double *q, size_t k)
{
    double sum = 0.0;
    for (size_t j = 0; j < k; j++) {
        sum += fabs(p[j] - q[j]);
    }
    return 0.5 * sum;
}

static double jensen_shannon(const double *p, const double *q, size_t k)
{
    double sum = 0.0;
    for (size_t j = 0; j < k; j++) {
        const double m = 0.5 * (p[j] + q[j]);
        sum += p[j] > 0.0 ? 0.5 * p[j] * log(p[j] / m) : 0.0;
        sum += q[j] > 0.0 ? 0.5 * q[j] * log(q[j] / m) : 0.0;
    }
    return sum;
}

/* KL(reference || p). */
static double kullback_leibler(const double *p, const double *reference, size_t k)
{
    double sum = 0.0;
    for (size_t j = 0; j < k; j++) {
        sum += reference[j] * log(fmax(reference[j], 1e-12) / fmax(p[j], 1e-12));
    }
    return sum;
}

static double euclidean(const double *p, const double *q, size_t k)
{
    double sum = 0.0;
    for (size_t j = 0; j < k; j++) {
        sum += (p[j] - q[j]) * (p[j] - q[j]);
    }
    return sqrt(sum);
}

/* ---- predictions of the rows chosen -------------------------------------------------------------
 */

typedef struct bench {
    amun_context *ctx;
    size_t models, n, rows, classes;
    double *p;       /* [models + 1][n][classes]: probabilities, the unlearned model's last */
    int64_t *chosen; /* [rows] of n, ascending */
    double *mean;    /* [classes], of some models on one row */
    double *routes;  /* [models + 1][classes]: mean predictions over the rows */
    double *kinds;   /* [KINDS][models + 1] */
} bench;

enum { TV, JS, KL, ROUTING, ACTIVATION, KINDS };

static void bench_free(bench *b)
{
    amun__free(b->ctx, b->kinds);
    amun__free(b->ctx, b->routes);
    amun__free(b->ctx, b->mean);
    amun__free(b->ctx, b->chosen);
    amun__free(b->ctx, b->p);
}

/* Logits become probabilities, where they stand. */
static void to_probabilities(double *z, size_t rows, size_t classes)
{
    for (size_t i = 0; i < rows; i++, z += classes) {
        double top = z[0], sum = 0.0;
        for (size_t j = 1; j < classes; j++) {
            top = fmax(top, z[j]);
        }
        for (size_t j = 0; j < classes; j++) {
            z[j] = exp(z[j] - top);
            sum += z[j];
        }
        for (size_t j = 0; j < classes; j++) {
            z[j] /= sum;
        }
    }
}

static amun_status choose_rows(bench *b, const amun_tensor_view *labels, const int64_t *classes,
                               size_t n_classes)
{
    amun_status status = AMUN_OK;
    int64_t *label = NULL;
    AMUN__TRY(amun__alloc(b->ctx, &b->chosen, b->n, sizeof *b->chosen));
    if ((labels == NULL) != (classes == NULL)) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "labels and chosen go together, %s is NULL",
                   labels == NULL ? "labels" : "chosen");
    }
    if (labels != NULL) {
        AMUN__TRY(amun__labels_read(b->ctx, &label, labels, "labels", b->n, b->classes));
    }
    for (size_t k = 0; k < n_classes && classes != NULL; k++) {
        if (classes[k] < 0 || (uint64_t)classes[k] >= b->classes) {
            AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "chosen: class %lld is outside 0..%zu",
                       (long long)classes[k], b->classes - 1);
        }
    }
    for (size_t i = 0; i < b->n; i++) {
        bool in = label == NULL;
        for (size_t k = 0; k < n_classes && label != NULL; k++) {
            in = in || label[i] == classes[k];
        }
        if (in) {
            b->chosen[b->rows++] = (int64_t)i;
        }
    }
    if (b->rows == 0) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "chosen: no row of these %zu classes", n_classes);
    }
fail:
    amun__free(b->ctx, label);
    return status;
}

/* Logits of all models in b->p; rows chosen. */
static amun_status bench_read(bench *b, const amun_tensor_view *retrained,
                              const amun_tensor_view *unlearned, const amun_tensor_view *labels,
                              const int64_t *classes, size_t n_classes)
{
    amun_status status = AMUN_OK;
    amun__outputs r = {0}, u = {0};
    size_t count;
    AMUN__TRY(amun__outputs_read(b->ctx, &r, retrained, "retrained", 3));
    AMUN__TRY(amun__outputs_read(b->ctx, &u, unlearned, "unlearned", 2));
    AMUN__TRY(amun__outputs_match(&r, "retrained", &u, "unlearned"));
    b->models = r.models;
    b->n = r.n;
    b->classes = r.classes;
    if (!amun__mul_size(&count, r.models + 1, r.n * r.classes)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%zu models are too many", r.models);
    }
    AMUN__TRY(amun__alloc(b->ctx, &b->p, count, sizeof *b->p));
    memcpy(b->p, r.z, r.models * r.n * r.classes * sizeof *b->p);
    memcpy(b->p + r.models * r.n * r.classes, u.z, r.n * r.classes * sizeof *b->p);
    AMUN__TRY(choose_rows(b, labels, classes, n_classes));
    AMUN__TRY(amun__alloc(b->ctx, &b->mean, r.classes, sizeof *b->mean));
    AMUN__TRY(amun__calloc(b->ctx, &b->routes, (r.models + 1) * r.classes, sizeof *b->routes));
    AMUN__TRY(amun__calloc(b->ctx, &b->kinds, KINDS * (r.models + 1), sizeof *b->kinds));
fail:
    amun__free(b->ctx, u.z);
    amun__free(b->ctx, r.z);
    return status;
}

static const double *prediction(const bench *b, size_t model, size_t row)
{
    return b->p + (model * b->n + row) * b->classes;
}

/* ---- each model against the retrained ones but itself -------------------------------------------
 */

/* Mean over retrained models but `left_out` of their vectors, `stride` apart. */
static void mean_of_rest(const bench *b, const double *first, size_t stride, size_t left_out)
{
    const size_t count = b->models - (left_out < b->models);
    memset(b->mean, 0, b->classes * sizeof *b->mean);
    for (size_t m = 0; m < b->models; m++) {
        for (size_t j = 0; j < b->classes && m != left_out; j++) {
            b->mean[j] += first[m * stride + j] / (double)count;
        }
    }
}

/* Distances of model m, which may be one of the retrained, to those that remain. */
static void measure(bench *b, size_t m, double *tv_rows)
{
    const size_t k = b->classes, others = b->models - (m < b->models);
    double *kinds = b->kinds;
    const size_t step = b->models + 1;
    for (size_t c = 0; c < b->rows; c++) {
        const size_t row = (size_t)b->chosen[c];
        const double *p = prediction(b, m, row), share = 1.0 / (double)b->rows;
        mean_of_rest(b, prediction(b, 0, row), b->n * k, m);
        const double tv = total_variation(p, b->mean, k);
        kinds[TV * step + m] += share * tv;
        kinds[JS * step + m] += share * jensen_shannon(p, b->mean, k);
        kinds[KL * step + m] += share * kullback_leibler(p, b->mean, k);
        for (size_t r = 0; r < b->models; r++) {
            if (r != m) {
                kinds[ACTIVATION * step + m] +=
                    share * euclidean(p, prediction(b, r, row), k) / (double)others;
            }
        }
        if (tv_rows != NULL) {
            tv_rows[row] = tv;
        }
    }
    mean_of_rest(b, b->routes, k, m);
    kinds[ROUTING * step + m] = total_variation(b->routes + m * k, b->mean, k);
}

static void mean_predictions(bench *b)
{
    for (size_t m = 0; m <= b->models; m++) {
        for (size_t c = 0; c < b->rows; c++) {
            const double *p = prediction(b, m, (size_t)b->chosen[c]);
            for (size_t j = 0; j < b->classes; j++) {
                b->routes[m * b->classes + j] += p[j] / (double)b->rows;
            }
        }
    }
}

/* Value, mean of the null, its deviation. */
static void tell(const bench *b, int kind, double *value, double *null_mean, double *null_sd)
{
    const double *at = b->kinds + (size_t)kind * (b->models + 1);
    *value = at[b->models];
    amun__mean_sd(at, b->models > 1 ? b->models : 0, null_mean, null_sd);
}

amun_status amun_distance_compute(amun_distance *result, double *tv_rows,
                                  const amun_tensor_view *retrained,
                                  const amun_tensor_view *unlearned, const amun_tensor_view *labels,
                                  const int64_t *chosen, size_t n_chosen)
{
    amun__enter();
    amun_status status = AMUN_OK;
    bench b = {0};
    amun_distance t = {0};
    AMUN__TRY(amun_context_create(&b.ctx, NULL));
    AMUN__TRY(bench_read(&b, retrained, unlearned, labels, chosen, n_chosen));
    to_probabilities(b.p, (b.models + 1) * b.n, b.classes);
    mean_predictions(&b);
    for (size_t i = 0; i < b.n && tv_rows != NULL; i++) {
        tv_rows[i] = NAN;
    }
    for (size_t m = b.models > 1 ? 0 : 1; m <= b.models; m++) {
        measure(&b, m, m == b.models ? tv_rows : NULL);
    }
    t.models = (int64_t)b.models;
    t.rows = (int64_t)b.rows;
    tell(&b, TV, &t.tv, &t.tv_null, &t.tv_null_sd);
    tell(&b, JS, &t.js, &t.js_null, &t.js_null_sd);
    tell(&b, KL, &t.kl, &t.kl_null, &t.kl_null_sd);
    tell(&b, ROUTING, &t.routing_tv, &t.routing_tv_null, &t.routing_tv_null_sd);
    tell(&b, ACTIVATION, &t.activation, &t.activation_null, &t.activation_null_sd);
    AMUN__TRY(amun__result_write(result, &t, sizeof t, "amun_distance"));
fail:
    bench_free(&b);
    amun_context_unref(b.ctx);
    return status;
}

amun_status amun_distance_routing(double *shares, const amun_tensor_view *retrained,
                                  const amun_tensor_view *unlearned, const amun_tensor_view *labels,
                                  const int64_t *chosen, size_t n_chosen)
{
    amun__enter();
    amun_status status = AMUN_OK;
    bench b = {0};
    if (shares == NULL) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "shares is NULL");
    }
    AMUN__TRY(amun_context_create(&b.ctx, NULL));
    AMUN__TRY(bench_read(&b, retrained, unlearned, labels, chosen, n_chosen));
    for (size_t m = 0; m <= b.models; m++) {
        for (size_t c = 0; c < b.rows; c++) {
            const double *z = prediction(&b, m, (size_t)b.chosen[c]);
            size_t top = 0;
            for (size_t j = 1; j < b.classes; j++) {
                top = z[j] > z[top] ? j : top;
            }
            b.routes[m * b.classes + top] += 1.0;
        }
        for (size_t j = 0; j < b.classes; j++) {
            shares[m * b.classes + j] = 100.0 * b.routes[m * b.classes + j] / (double)b.rows;
        }
    }
fail:
    bench_free(&b);
    amun_context_unref(b.ctx);
    return status;
}

amun_status amun_distance_zrf(double *zrf, const amun_tensor_view *unlearned,
                              const amun_tensor_view *random)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    amun__outputs u = {0}, r = {0};
    double sum = 0.0;
    if (zrf == NULL) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "zrf is NULL");
    }
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__outputs_read(ctx, &u, unlearned, "unlearned", 2));
    AMUN__TRY(amun__outputs_read(ctx, &r, random, "random", 2));
    AMUN__TRY(amun__outputs_match(&u, "unlearned", &r, "random"));
    to_probabilities(u.z, u.n, u.classes);
    to_probabilities(r.z, r.n, r.classes);
    for (size_t i = 0; i < u.n; i++) {
        sum += jensen_shannon(u.z + i * u.classes, r.z + i * u.classes, u.classes);
    }
    *zrf = 1.0 - sum / (double)u.n;
fail:
    amun__free(ctx, r.z);
    amun__free(ctx, u.z);
    amun_context_unref(ctx);
    return status;
}
