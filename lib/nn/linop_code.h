/* linop_code.h - the kinds of code that compute a convolution's linear map in f32, and which is
 * taken. Private to the linear maps. */
#ifndef AMUN__LINOP_CODE_H
#define AMUN__LINOP_CODE_H

#include "nn/linop_private.h"
#include "nn/lower.h"

typedef enum amun__linop_code {
    AMUN__LINOP_CODE_DNNL = 0,
    AMUN__LINOP_CODE_ROWS,    /* linop_rows.c */
    AMUN__LINOP_CODE_WINOGRAD /* linop_winograd.c */
} amun__linop_code;

/* By shape, number of vectors, CPU and the context's `conv` alone: the same at every run. */
amun__linop_code amun__linop_code_for(const amun_context *ctx, const amun__linop_shape *shape,
                                      int64_t k);

/* ---- what the kinds have in common ----------------------------------------------------------- */

/* Memory that grows when it is asked for more; what was in it is lost then. */
typedef struct amun__linop_buffer {
    void *data;
    size_t bytes;
} amun__linop_buffer;
amun_status amun__linop_reserve(amun_context *ctx, amun__linop_buffer *buffer, size_t bytes);

/* The planes of k vectors with their padding around them; and whether there is padding that the
 * code for zeros does not do by itself. */
amun__frame amun__linop_frame(const amun__linop_shape *shape, int64_t k);
bool amun__linop_framed(const amun__linop_shape *shape);

/* ---- kinds ----------------------------------------------------------------------------------- */

/* Both: y = M x (x given), then z = M' y (z given). Without x, y is read; with both, y need not be
 * wanted (NULL). The same bytes for the same number of threads. */
bool amun__linop_rows_can(const amun__linop_shape *shape);
amun_status amun__linop_rows_run(amun__linop *op, int64_t k, const float *x, float *y, float *z);
void amun__linop_rows_destroy(amun__linop *op);

bool amun__linop_winograd_can(const amun__linop_shape *shape);
amun_status amun__linop_winograd_run(amun__linop *op, int64_t k, const float *x, float *y,
                                     float *z);
void amun__linop_winograd_destroy(amun__linop *op);

#endif
