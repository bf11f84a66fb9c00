/* trw_views.c - reads what callers of amun/trw.h bring. */
#include "unlearn/trw_views.h"

amun_status amun__trw_matrix_check(const amun_tensor_view *view, const char *what, int64_t least,
                                   size_t *n, size_t *width)
{
    AMUN__CHECK(amun__view_check(view, what, NULL));
    if (view->dtype != AMUN_DTYPE_F32 && view->dtype != AMUN_DTYPE_F64) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: dtype %d, expected F32 or F64", what,
                          (int)view->dtype);
    }
    if (view->ndim != 2 || view->shape[0] < 1 || view->shape[1] < least) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "%s: %d axes, first extents %lld and %lld; expected 2 axes of at least 1 "
                          "and %lld",
                          what, (int)view->ndim, (long long)(view->ndim > 0 ? view->shape[0] : 0),
                          (long long)(view->ndim > 1 ? view->shape[1] : 0), (long long)least);
    }
    *n = (size_t)view->shape[0];
    *width = (size_t)view->shape[1];
    return AMUN_OK;
}

amun_status amun__trw_matrix_read(amun_context *ctx, const amun_tensor_view *view, const char *what,
                                  double **out)
{
    size_t n = (size_t)view->shape[0], width = (size_t)view->shape[1];
    AMUN__CHECK(amun__alloc(ctx, out, n * width, sizeof **out)); /* no overflow: it was checked */
    AMUN__CHECK(amun__view_read_f64(view, 0, n, *out));
    for (size_t i = 0; i < n * width; i++) {
        if (!isfinite((*out)[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: row %zu, column %zu is %g", what, i / width,
                              i % width, (*out)[i]);
        }
    }
    return AMUN_OK;
}

amun_status amun__trw_labels_check(const amun_tensor_view *view, const char *what, size_t n)
{
    AMUN__CHECK(amun__view_check(view, what, NULL));
    if (view->ndim != 1 || (size_t)view->shape[0] != n) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s: %d axes of extent %lld, expected [%zu]", what,
                          (int)view->ndim, (long long)(view->ndim > 0 ? view->shape[0] : 0), n);
    }
    return AMUN_OK;
}

amun_status amun__trw_label(const amun__trw_classes *c, const amun_tensor_view *view, size_t at,
                            bool gone, const char *what, size_t *label)
{
    int64_t y = -1;
    AMUN__CHECK(amun__view_read_i64(view, at, 1, &y));
    if (y < 0 || (uint64_t)y >= c->classes) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s: sample %zu has label %lld, outside "
                          "0..%zu",
                          what, at, (long long)y, c->classes - 1);
    }
    if ((c->row[y] >= 0) != gone) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: sample %zu has label %lld, a %s class",
                          what, at, (long long)y, gone ? "retained" : "forget");
    }
    *label = (size_t)y;
    return AMUN_OK;
}
