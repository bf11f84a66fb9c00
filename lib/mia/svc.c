/* svc.c - the simple membership attack: a support-vector machine on confidences. The only file that
 * knows libsvm. */
#include "mia/audit.h"
#include "mia/classes.h"

static amun_status check_values(const double *values, size_t n, const char *what)
{
    if (values == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    if (n == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: empty", what);
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is %g", what, i, values[i]);
        }
    }
    return AMUN_OK;
}

#ifdef AMUN_WITH_LIBSVM

#include <limits.h>
#include <pthread.h>
#ifdef AMUN_LIBSVM_IN_FOLDER
#include <libsvm/svm.h>
#else
#include <svm.h>
#endif

bool amun__svc_available(void)
{
    return true;
}

static void print_nothing(const char *text)
{
    (void)text;
}

static void silence(void)
{
    svm_set_print_string_function(print_nothing);
}

/* libsvm reports its progress on stdout unless told otherwise, and the switch is one for the whole
 * process. A library must not print, so it is thrown once; a program that uses libsvm itself can
 * set its own function afterwards. */
static void silence_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, silence);
}

/* Inputs of libsvm: non-members first, so that the class order, and with it the course of the
 * optimisation, is that of scikit-learn (which sorts the labels), whoever the caller is. */
static void fill_problem(struct svm_problem *problem, struct svm_node *nodes, const double *members,
                         const double *nonmembers, size_t n_each)
{
    for (size_t i = 0; i < 2 * n_each; i++) {
        bool member = i >= n_each;
        nodes[2 * i] = (struct svm_node){1, member ? members[i - n_each] : nonmembers[i]};
        nodes[2 * i + 1] = (struct svm_node){-1, 0.0};
        problem->x[i] = &nodes[2 * i];
        problem->y[i] = member ? 1.0 : 0.0;
    }
    problem->l = (int)(2 * n_each);
}

amun_status amun__svc_mis(amun_context *ctx, double *mis, const double *members,
                          const double *nonmembers, size_t n_each, const double *forget,
                          size_t n_forget)
{
    AMUN__CHECK(check_values(members, n_each, "members"));
    AMUN__CHECK(check_values(nonmembers, n_each, "nonmembers"));
    AMUN__CHECK(check_values(forget, n_forget, "forget"));
    if (n_each > INT_MAX / 4) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "n_each: %zu, libsvm takes at most %d",
                          n_each, INT_MAX / 4);
    }
    silence_once();
    amun_status status = AMUN_OK;
    struct svm_problem problem = {0};
    struct svm_node *nodes = NULL;
    struct svm_model *model = NULL;
    AMUN__TRY(amun__alloc(ctx, &problem.x, 2 * n_each, sizeof *problem.x));
    AMUN__TRY(amun__alloc(ctx, &problem.y, 2 * n_each, sizeof *problem.y));
    AMUN__TRY(amun__alloc(ctx, &nodes, 4 * n_each, sizeof *nodes));
    fill_problem(&problem, nodes, members, nonmembers, n_each);
    /* scikit-learn's SVC(C=3, gamma="auto", kernel="rbf"): gamma = 1 / 1 feature. No randomness:
     * libsvm draws numbers only for probabilities and cross-validation. */
    const struct svm_parameter parameter = {
        .svm_type = C_SVC,
        .kernel_type = RBF,
        .gamma = 1.0,
        .cache_size = 200.0,
        .eps = 1e-3,
        .C = 3.0,
        .shrinking = 1,
        .probability = 0,
    };
    const char *wrong = svm_check_parameter(&problem, &parameter);
    if (wrong != NULL) {
        AMUN__FAIL(AMUN_ERROR_BACKEND, "libsvm refuses its parameters: %s", wrong);
    }
    model = svm_train(&problem, &parameter);
    if (model == NULL) {
        AMUN__FAIL(AMUN_ERROR_BACKEND, "libsvm did not train on 2 x %zu confidences", n_each);
    }
    size_t outside = 0;
    for (size_t i = 0; i < n_forget; i++) {
        const struct svm_node node[2] = {{1, forget[i]}, {-1, 0.0}};
        outside += svm_predict(model, node) < 0.5;
    }
    *mis = 100.0 * (double)outside / (double)n_forget;
fail:
    svm_free_and_destroy_model(&model);
    amun__free(ctx, nodes);
    amun__free(ctx, problem.y);
    amun__free(ctx, problem.x);
    return status;
}

/* ---- weighted machines on any number of features
 * -------------------------------------------------
 */

struct amun__svm {
    struct svm_problem problem;
    struct svm_node *nodes; /* the model's support vectors point into them */
    struct svm_node *query; /* one row */
    struct svm_model *model;
    size_t width;
};

static void fill_row(struct svm_node *nodes, const double *x, size_t width)
{
    for (size_t k = 0; k < width; k++) {
        nodes[k] = (struct svm_node){(int)k + 1, x[k]};
    }
    nodes[width] = (struct svm_node){-1, 0.0};
}

/* Samples of y = 0 first, for the reason given at fill_problem(). */
static void fill_rows(amun__svm *svm, const double *x, const uint8_t *y, size_t n)
{
    const size_t stride = svm->width + 1;
    size_t at = 0;
    for (uint8_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++) {
            if (y[i] == side) {
                fill_row(svm->nodes + at * stride, x + i * svm->width, svm->width);
                svm->problem.x[at] = svm->nodes + at * stride;
                svm->problem.y[at++] = side;
            }
        }
    }
    svm->problem.l = (int)n;
}

static amun_status svm_room(amun_context *ctx, amun__svm *svm, size_t n, size_t width)
{
    size_t count;
    if (n > INT_MAX / 4 || width > INT_MAX / 4 || !amun__mul_size(&count, n, width + 1)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%zu samples of %zu features: libsvm takes at most %d of each", n, width,
                          INT_MAX / 4);
    }
    svm->width = width;
    AMUN__CHECK(amun__alloc(ctx, &svm->problem.x, n, sizeof *svm->problem.x));
    AMUN__CHECK(amun__alloc(ctx, &svm->problem.y, n, sizeof *svm->problem.y));
    AMUN__CHECK(amun__alloc(ctx, &svm->nodes, count, sizeof *svm->nodes));
    return amun__alloc(ctx, &svm->query, width + 1, sizeof *svm->query);
}

amun_status amun__svm_train(amun_context *ctx, amun__svm **out, const double *x, const uint8_t *y,
                            size_t n, size_t width, const amun__svm_options *opts)
{
    int labels[2] = {0, 1};
    double weights[2] = {opts->cost[0], opts->cost[1]};
    const struct svm_parameter parameter = {
        .svm_type = C_SVC,
        .kernel_type = opts->rbf ? RBF : LINEAR,
        .gamma = opts->gamma,
        .cache_size = 200.0,
        .eps = 1e-3,
        .C = opts->c,
        .nr_weight = 2,
        .weight_label = labels,
        .weight = weights,
        .shrinking = 1,
    };
    *out = NULL;
    for (size_t i = 0; i < n * width; i++) {
        if (!isfinite(x[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC,
                              "support-vector machine: feature %zu of row %zu is %g", i % width,
                              i / width, x[i]);
        }
    }
    silence_once();
    amun_status status = AMUN_OK;
    amun__svm *svm = NULL;
    AMUN__TRY(amun__calloc(ctx, &svm, 1, sizeof *svm));
    AMUN__TRY(svm_room(ctx, svm, n, width));
    fill_rows(svm, x, y, n);
    const char *wrong = svm_check_parameter(&svm->problem, &parameter);
    if (wrong != NULL) {
        AMUN__FAIL(AMUN_ERROR_BACKEND, "libsvm refuses its parameters: %s", wrong);
    }
    svm->model = svm_train(&svm->problem, &parameter);
    if (svm->model == NULL) {
        AMUN__FAIL(AMUN_ERROR_BACKEND, "libsvm did not train on %zu samples", n);
    }
    *out = svm;
    return AMUN_OK;
fail:
    amun__svm_free(ctx, svm);
    return status;
}

size_t amun__svm_count(amun__svm *svm, const double *x, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        fill_row(svm->query, x + i * svm->width, svm->width);
        count += svm_predict(svm->model, svm->query) > 0.5;
    }
    return count;
}

void amun__svm_free(amun_context *ctx, amun__svm *svm)
{
    if (svm != NULL) {
        svm_free_and_destroy_model(&svm->model);
        amun__free(ctx, svm->query);
        amun__free(ctx, svm->nodes);
        amun__free(ctx, svm->problem.y);
        amun__free(ctx, svm->problem.x);
        amun__free(ctx, svm);
    }
}

#else

bool amun__svc_available(void)
{
    return false;
}

amun_status amun__svm_train(amun_context *ctx, amun__svm **out, const double *x, const uint8_t *y,
                            size_t n, size_t width, const amun__svm_options *opts)
{
    (void)ctx;
    (void)x;
    (void)y;
    (void)n;
    (void)width;
    (void)opts;
    *out = NULL;
    return amun__fail(AMUN_ERROR_UNSUPPORTED, "support-vector machine: this build has no libsvm");
}

size_t amun__svm_count(amun__svm *svm, const double *x, size_t n)
{
    (void)svm;
    (void)x;
    (void)n;
    return 0;
}

void amun__svm_free(amun_context *ctx, amun__svm *svm)
{
    (void)ctx;
    (void)svm;
}

amun_status amun__svc_mis(amun_context *ctx, double *mis, const double *members,
                          const double *nonmembers, size_t n_each, const double *forget,
                          size_t n_forget)
{
    (void)ctx;
    (void)mis;
    AMUN__CHECK(check_values(members, n_each, "members"));
    AMUN__CHECK(check_values(nonmembers, n_each, "nonmembers"));
    AMUN__CHECK(check_values(forget, n_forget, "forget"));
    return amun__fail(AMUN_ERROR_UNSUPPORTED, "MIS: this build has no libsvm");
}

#endif

amun_status amun_svc_mis(double *mis, const double *members, const double *nonmembers,
                         size_t n_each, const double *forget, size_t n_forget)
{
    amun__enter();
    if (mis == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "mis is NULL");
    }
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    amun_status status = amun__svc_mis(ctx, mis, members, nonmembers, n_each, forget, n_forget);
    amun_context_unref(ctx);
    return status;
}
