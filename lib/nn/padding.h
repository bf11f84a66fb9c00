/* padding.h - what lies around an image: PyTorch's padding modes as one map of indices, shared by
 * everything that pads. Private. */
#ifndef AMUN__PADDING_H
#define AMUN__PADDING_H

#include <stdint.h>

/* PyTorch's padding_mode. REFLECT needs pad <= size - 1; CIRCULAR pad <= size. */
typedef enum amun__padding {
    AMUN__PADDING_ZERO = 0,
    AMUN__PADDING_CIRCULAR,
    AMUN__PADDING_REFLECT,
    AMUN__PADDING_REPLICATE
} amun__padding;

/* Which of the `size` rows (or columns) is read at index i, which may lie outside 0..size-1 by as
 * much as the mode allows; -1: none, a zero. The adjoint adds onto the same index. */
static inline int64_t amun__padding_index(amun__padding mode, int64_t i, int64_t size)
{
    if (i >= 0 && i < size) {
        return i;
    }
    switch (mode) {
    case AMUN__PADDING_CIRCULAR:
        return i < 0 ? i + size : i - size;
    case AMUN__PADDING_REFLECT:
        return i < 0 ? -i : 2 * (size - 1) - i;
    case AMUN__PADDING_REPLICATE:
        return i < 0 ? 0 : size - 1;
    case AMUN__PADDING_ZERO:
        break;
    }
    return -1;
}

#endif
