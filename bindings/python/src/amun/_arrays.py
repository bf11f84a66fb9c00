"""Arrays on their way to the library. Views are of any strides and are never copied; what the
library wants dense is copied only if it is not."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Sequence, Tuple, Union

import numpy as np

from ._dlpack import borrow
from ._enums import Dtype
from ._errors import ShapeError
from ._lib import ffi, lib

if TYPE_CHECKING:
    # what NumPy can look into, what has __dlpack__ (torch tensors, ...), nested lists of numbers
    ArrayLike = Any
    Indices = Union[Sequence[int], np.ndarray, Any, None]

DTYPES = {np.dtype(name): lib_name for name, lib_name in [
    ("=f4", Dtype.F32), ("=f8", Dtype.F64), ("=f2", Dtype.F16), ("=u1", Dtype.U8),
    ("=i4", Dtype.I32), ("=i8", Dtype.I64), ("?", Dtype.BOOL)]}


def as_array(source: Any, what: str) -> Tuple[np.ndarray, bool]:
    """(NumPy array, whether its elements are bfloat16) of anything. Without copying if `source` is
    an array of NumPy, has __dlpack__ or the buffer protocol; lists of numbers become new arrays."""
    if isinstance(source, np.ndarray):
        return source, False
    problem: Optional[Exception] = None
    if hasattr(source, "__dlpack__"):
        try:
            return borrow(source, what)
        except TypeError:
            raise
        except Exception as error:  # each library has its own for "not this one"
            problem = error
    try:
        return np.asarray(source), False
    except Exception as error:
        raise TypeError("%s: %s" % (what, problem or error)) from (problem or error)


class View:
    """An amun_tensor_view of an array (NumPy, torch on the CPU, any buffer), without copying."""

    def __init__(self, source: Any, writable: bool = False, what: str = "array") -> None:
        array, bfloat16 = as_array(source, what)
        if writable and not (self._borrowed(array, source) and array.flags.writeable):
            raise TypeError("%s: needs an array that can be written" % what)
        if array.dtype not in DTYPES and not bfloat16:
            raise TypeError("%s: elements of type %s are not supported" % (what, array.dtype))
        if array.ndim > lib.AMUN_MAX_NDIM:
            raise ShapeError("%s: %d dimensions, at most %d" % (what, array.ndim,
                                                                lib.AMUN_MAX_NDIM))
        if not array.flags.aligned:
            if writable:
                raise TypeError("%s: is not aligned to its element" % what)
            array = array.copy()
        self.array = array  # keeps the memory alive
        self.struct = ffi.new("amun_tensor_view *")
        self.struct.data = ffi.cast("void *", array.ctypes.data)
        self.struct.dtype = Dtype.BF16 if bfloat16 else DTYPES[array.dtype]
        self.struct.ndim = array.ndim
        self.struct.flags = 0 if array.flags.writeable else lib.AMUN_VIEW_READONLY
        for axis in range(array.ndim):
            self.struct.shape[axis] = array.shape[axis]
            self.struct.strides[axis] = array.strides[axis]

    @staticmethod
    def _borrowed(array: np.ndarray, source: Any) -> bool:
        """Whether `array` is the memory of `source`, and no copy."""
        if array is source or hasattr(source, "__dlpack__"):
            return True
        return np.shares_memory(array, np.asarray(source))


def vector(values: Any, dtype: Any, what: str,
           shape: Optional[Sequence[int]] = None) -> Tuple[np.ndarray, Any]:
    """A dense array of `dtype` and its C pointer. Copies only if it has to: other element types and
    strides. Fractions never become whole numbers."""
    array, bfloat16 = as_array(values, what)
    if bfloat16:
        raise TypeError("%s: elements of type bfloat16 are not supported here" % what)
    if array.dtype == object and array.ndim == 0:  # options in the wrong place, for example
        raise TypeError("%s: expected numbers, got %s" % (what, type(values).__name__))
    if np.dtype(dtype).kind in "iu" and array.size and array.dtype.kind not in "iu":
        raise TypeError("%s: expected whole numbers, got %s" % (what, array.dtype))
    try:
        array = np.ascontiguousarray(array, dtype=dtype)
    except ValueError as error:
        raise TypeError("%s: %s" % (what, error)) from None
    if shape is not None and array.shape != tuple(shape):
        raise ShapeError("%s: expected shape %s, got %s" % (what, list(shape), list(array.shape)))
    return array, pointer(array)


def output(out: Any, shape: Sequence[int], dtype: Any, what: str = "out") -> Tuple[Any, Any]:
    """(what to return, C pointer) of a dense result: `out` itself, or a new array where it is None.
    `out` must be dense and of this shape and type."""
    if out is None:
        array = np.empty(shape, dtype)
        return array, pointer(array)
    view = View(out, writable=True, what=what)
    array = view.array
    if array.dtype != np.dtype(dtype):
        raise TypeError("%s: expected elements of type %s, got %s" % (what, np.dtype(dtype),
                                                                      array.dtype))
    if array.shape != tuple(shape):
        raise ShapeError("%s: expected shape %s, got %s" % (what, list(shape), list(array.shape)))
    if not array.flags.c_contiguous:
        raise TypeError("%s: needs a dense array, this one has strides %s" % (what,
                                                                              array.strides))
    return out, pointer(array)


POINTERS = {np.dtype("f4"): "float *", np.dtype("f8"): "double *", np.dtype("i8"): "int64_t *",
            np.dtype("u1"): "uint8_t *"}


def pointer(array: np.ndarray) -> Any:
    """The array's memory as a C pointer of its type."""
    return ffi.cast(POINTERS[array.dtype], array.ctypes.data)


def indices_of(values: Any, what: str) -> Tuple[Optional[np.ndarray], Any, int]:
    """(array, pointer, count) of sample indices; None gives (None, NULL, 0)."""
    if values is None:
        return None, ffi.NULL, 0
    array, start = vector(values, np.int64, what)
    if array.ndim != 1:
        raise ShapeError("%s: expected one dimension, got %d" % (what, array.ndim))
    return array, start, array.size
