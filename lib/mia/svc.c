/* svc.c - the simple membership attack: a support-vector machine on confidences. The only file that
 * knows libsvm. */
#include "mia/audit.h"

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
    /* libsvm reports its progress on stdout unless told otherwise, and the switch is one for the
     * whole process. A library must not print, so it is thrown once; a program that uses libsvm
     * itself can set its own function afterwards. */
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    AMUN__CHECK(check_values(members, n_each, "members"));
    AMUN__CHECK(check_values(nonmembers, n_each, "nonmembers"));
    AMUN__CHECK(check_values(forget, n_forget, "forget"));
    if (n_each > INT_MAX / 4) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "n_each: %zu, libsvm takes at most %d",
                          n_each, INT_MAX / 4);
    }
    pthread_once(&once, silence);
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

#else

bool amun__svc_available(void)
{
    return false;
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
