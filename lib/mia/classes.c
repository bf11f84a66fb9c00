/* classes.c - saved outputs and labels read for the audits of a forgotten class, and small
 * statistics.
 */
#include "mia/classes.h"

/* ---- outputs ------------------------------------------------------------------------------------
 */

static amun_status check_outputs(const amun_tensor_view *view, const char *what, int32_t ndim)
{
    AMUN__CHECK(amun__view_check(view, what, NULL));
    if (view->dtype != AMUN_DTYPE_F32 && view->dtype != AMUN_DTYPE_F64) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: dtype %d, expected F32 or F64", what,
                          (int)view->dtype);
    }
    if (view->ndim != ndim) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s: %d axes, expected %s", what, (int)view->ndim,
                          ndim == 3 ? "[models, n, classes]" : "[n, classes]");
    }
    for (int32_t a = 0; a < ndim; a++) {
        if (view->shape[a] < (a == ndim - 1 ? 2 : 1)) {
            return amun__fail(AMUN_ERROR_SHAPE, "%s: extent %lld of axis %d is too small", what,
                              (long long)view->shape[a], (int)a);
        }
    }
    return AMUN_OK;
}

static double element(const char *at, int32_t dtype)
{
    if (dtype == AMUN_DTYPE_F64) {
        double value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    float value;
    memcpy(&value, at, sizeof value);
    return (double)value;
}

/* One model's [n, classes], whose axes are the last two of the view. */
static amun_status read_model(double *z, const amun_tensor_view *view, const char *what,
                              const char *start, size_t n, size_t classes)
{
    const int64_t *strides = view->strides + view->ndim - 2;
    for (size_t i = 0; i < n; i++) {
        const char *at = start + (int64_t)i * strides[0];
        for (size_t j = 0; j < classes; j++, at += strides[1], z++) {
            *z = element(at, view->dtype);
            if (!isfinite(*z)) {
                return amun__fail(AMUN_ERROR_NUMERIC, "%s: row %zu, class %zu is %g", what, i, j,
                                  *z);
            }
        }
    }
    return AMUN_OK;
}

amun_status amun__outputs_read(amun_context *ctx, amun__outputs *out, const amun_tensor_view *view,
                               const char *what, int32_t ndim)
{
    *out = (amun__outputs){0};
    AMUN__CHECK(check_outputs(view, what, ndim));
    amun_status status = AMUN_OK;
    double *z = NULL;
    const size_t models = ndim == 3 ? (size_t)view->shape[0] : 1;
    const size_t n = (size_t)view->shape[ndim - 2], classes = (size_t)view->shape[ndim - 1];
    size_t count;
    if (!amun__mul_size(&count, models, n) || !amun__mul_size(&count, count, classes)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "%s: too many values", what);
    }
    AMUN__TRY(amun__alloc(ctx, &z, count, sizeof *z));
    for (size_t m = 0; m < models; m++) {
        const int64_t step = ndim == 3 ? (int64_t)m * view->strides[0] : 0;
        status = read_model(z + m * n * classes, view, what, (const char *)view->data + step, n,
                            classes);
        if (status != AMUN_OK) {
            status = ndim == 3 ? amun__fail_within(status, "model %zu", m) : status;
            goto fail;
        }
    }
    *out = (amun__outputs){models, n, classes, z};
    return AMUN_OK;
fail:
    amun__free(ctx, z);
    return status;
}

amun_status amun__outputs_match(const amun__outputs *a, const char *what_a, const amun__outputs *b,
                                const char *what_b)
{
    if (a->n != b->n || a->classes != b->classes) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s: %zu rows of %zu classes, %s: %zu of %zu", what_b,
                          b->n, b->classes, what_a, a->n, a->classes);
    }
    return AMUN_OK;
}

/* ---- labels and classes -------------------------------------------------------------------------
 */

amun_status amun__labels_read(amun_context *ctx, int64_t **out, const amun_tensor_view *view,
                              const char *what, size_t n, size_t classes)
{
    *out = NULL;
    amun_status status = AMUN_OK;
    int64_t *label = NULL;
    AMUN__TRY(amun__view_check(view, what, NULL));
    if (view->ndim != 1 || (uint64_t)view->shape[0] != n) {
        AMUN__FAIL(AMUN_ERROR_SHAPE, "%s: %d axes of extent %lld, expected [%zu]", what,
                   (int)view->ndim, (long long)(view->ndim > 0 ? view->shape[0] : 0), n);
    }
    AMUN__TRY(amun__alloc(ctx, &label, n, sizeof *label));
    AMUN__TRY(amun__view_read_i64(view, 0, n, label));
    for (size_t i = 0; i < n; i++) {
        if (label[i] < 0 || (uint64_t)label[i] >= classes) {
            AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "%s: row %zu is %lld, outside 0..%zu", what, i,
                       (long long)label[i], classes - 1);
        }
    }
    *out = label;
    return AMUN_OK;
fail:
    amun__free(ctx, label);
    return status;
}

static amun_status mark_forget(uint8_t *gone, size_t classes, const int64_t *forget,
                               size_t n_forget)
{
    if (forget == NULL || n_forget == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "forget: no class named");
    }
    for (size_t k = 0; k < n_forget; k++) {
        if (forget[k] < 0 || (uint64_t)forget[k] >= classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "forget: class %lld is outside 0..%zu",
                              (long long)forget[k], classes - 1);
        }
        if (gone[forget[k]]) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "forget: class %lld is named twice",
                              (long long)forget[k]);
        }
        gone[forget[k]] = 1;
    }
    if (classes - n_forget < 2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "forget: %zu of %zu classes; two at least must stay", n_forget, classes);
    }
    return AMUN_OK;
}

amun_status amun__forget_read(amun_context *ctx, uint8_t **gone, const int64_t *forget,
                              size_t n_forget, size_t classes)
{
    AMUN__CHECK(amun__calloc(ctx, gone, classes, sizeof **gone));
    return mark_forget(*gone, classes, forget, n_forget);
}

amun_status amun__class_split_read(amun_context *ctx, amun__class_split *split,
                                   const amun_tensor_view *labels, const int64_t *forget,
                                   size_t n_forget, size_t n, size_t classes)
{
    *split = (amun__class_split){.n = n, .classes = classes};
    AMUN__CHECK(amun__labels_read(ctx, &split->label, labels, "labels", n, classes));
    AMUN__CHECK(amun__alloc(ctx, &split->retained, classes, sizeof *split->retained));
    AMUN__CHECK(amun__alloc(ctx, &split->all, classes, sizeof *split->all));
    AMUN__CHECK(amun__alloc(ctx, &split->forget_rows, n, sizeof *split->forget_rows));
    AMUN__CHECK(amun__forget_read(ctx, &split->forget, forget, n_forget, classes));
    for (size_t j = 0; j < classes; j++) {
        split->all[j] = (int64_t)j;
        if (!split->forget[j]) {
            split->retained[split->n_retained++] = (int64_t)j;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (split->forget[split->label[i]]) {
            split->forget_rows[split->n_forget_rows++] = (int64_t)i;
        }
    }
    if (split->n_forget_rows == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "labels: no row of a forget class (the first is %lld)",
                          (long long)forget[0]);
    }
    return AMUN_OK;
}

void amun__class_split_free(amun_context *ctx, amun__class_split *split)
{
    amun__free(ctx, split->forget_rows);
    amun__free(ctx, split->all);
    amun__free(ctx, split->retained);
    amun__free(ctx, split->forget);
    amun__free(ctx, split->label);
    *split = (amun__class_split){0};
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

void amun__log_softmax_of(double *out, const double *z, const int64_t *kept, size_t n_kept)
{
    size_t top = 0;
    double others = 0.0; /* beside the largest: log1p keeps a share of 1e-20 */
    for (size_t k = 1; k < n_kept; k++) {
        top = z[kept[k]] > z[kept[top]] ? k : top;
    }
    for (size_t k = 0; k < n_kept; k++) {
        others += k != top ? exp(z[kept[k]] - z[kept[top]]) : 0.0;
    }
    const double log_sum = log1p(others);
    for (size_t k = 0; k < n_kept; k++) {
        out[k] = z[kept[k]] - z[kept[top]] - log_sum;
    }
}

double amun__log_odds(const double *z, size_t classes, size_t y)
{
    double top = -INFINITY, sum = 0.0;
    for (size_t j = 0; j < classes; j++) {
        top = j != y ? fmax(top, z[j]) : top;
    }
    for (size_t j = 0; j < classes; j++) {
        sum += j != y ? exp(z[j] - top) : 0.0;
    }
    return z[y] - top - log(sum);
}

void amun__mean_sd(const double *values, size_t n, double *mean, double *sd)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    *mean = n > 0 ? sum / (double)n : NAN;
    for (size_t i = 0; i < n; i++) {
        squares += (values[i] - *mean) * (values[i] - *mean);
    }
    if (sd != NULL) {
        *sd = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
    }
}

/* |v_r - (S - v_r) / (n - 1)| = n / (n - 1) |v_r - mean|. */
void amun__leave_one_out(const double *values, size_t n, double *mean, double *sd)
{
    double centre, sum = 0.0, squares = 0.0;
    amun__mean_sd(values, n, &centre, NULL);
    const double scale = n > 1 ? (double)n / (double)(n - 1) : NAN;
    for (size_t r = 0; r < n; r++) {
        sum += scale * fabs(values[r] - centre);
    }
    *mean = sum / (double)n;
    for (size_t r = 0; r < n; r++) {
        const double d = scale * fabs(values[r] - centre) - *mean;
        squares += d * d;
    }
    *sd = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
}

amun_status amun__standardise(double *x, size_t n, size_t n_fit, size_t width)
{
    for (size_t k = 0; k < width; k++) {
        double mean = 0.0, squares = 0.0;
        for (size_t i = 0; i < n_fit; i++) {
            mean += x[i * width + k];
        }
        mean /= (double)n_fit;
        for (size_t i = 0; i < n_fit; i++) {
            squares += (x[i * width + k] - mean) * (x[i * width + k] - mean);
        }
        const double sd = sqrt(squares / (double)n_fit);
        if (!isfinite(sd)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "feature %zu: its deviation is %g", k, sd);
        }
        for (size_t i = 0; i < n; i++) {
            x[i * width + k] = (x[i * width + k] - mean) / (sd > 0.0 ? sd : 1.0);
        }
    }
    return AMUN_OK;
}
