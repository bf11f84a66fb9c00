/* amun/tensor.h - views of caller memory. */
#ifndef AMUN_TENSOR_H
#define AMUN_TENSOR_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Most dimensions of an array. */
#define AMUN_MAX_NDIM 8
/** In amun_tensor_view.flags: the memory must not be written. */
#define AMUN_VIEW_READONLY 1u

/** A borrowed look at an array, valid for one call. Layout frozen for ever. Strides count bytes,
 *  may be negative or 0, as in NumPy and PEP 3118. Data is aligned to its element at least. */
typedef struct amun_tensor_view {
    void *data;    /**< element [0, 0, ...] */
    int32_t dtype; /**< AMUN_DTYPE_* */
    int32_t ndim;  /**< 0..8 */
    uint32_t flags;    /**< 0 or AMUN_VIEW_READONLY */
    uint32_t reserved; /**< must be 0 */
    int64_t shape[AMUN_MAX_NDIM];   /**< extents, the first `ndim` count */
    int64_t strides[AMUN_MAX_NDIM]; /**< bytes from one to the next along each */
} amun_tensor_view;

/** Fills `view` for a dense row-major array. [out] view; [in] data not NULL unless an extent is 0;
 *  [in] shape: `ndim` extents. Statuses: INVALID_ARGUMENT, SHAPE (negative or overflowing). @since 0.1 */
AMUN_API amun_status amun_tensor_view_init(amun_tensor_view *view, void *data, amun_dtype dtype,
                                           int32_t ndim, const int64_t *shape);
/** Bytes of one element; 0 for an unknown type. @since 0.1 */
AMUN_API size_t amun_dtype_size(amun_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
