/* trw_views.h - reads what callers of amun/trw.h bring. Private. */
#ifndef AMUN__TRW_VIEWS_H
#define AMUN__TRW_VIEWS_H

#include "unlearn/trw.h"
#include "unlearn/unlearn.h"

/* [n, width], F32 or F64, n >= 1, width >= least. */
amun_status amun__trw_matrix_check(const amun_tensor_view *view, const char *what, int64_t least,
                                   size_t *n, size_t *width);
/* A checked matrix as doubles, all finite; the caller frees *out, which is set even on failure. */
amun_status amun__trw_matrix_read(amun_context *ctx, const amun_tensor_view *view, const char *what,
                                  double **out);
/* [n]. */
amun_status amun__trw_labels_check(const amun_tensor_view *view, const char *what, size_t n);
/* The label at `at`, which must be a forget class or, with `gone` false, a retained one. */
amun_status amun__trw_label(const amun__trw_classes *c, const amun_tensor_view *view, size_t at,
                            bool gone, const char *what, size_t *label);

#endif
