"""Reading DLPack: arrays of other libraries (torch, JAX, CuPy on the host, ...) without copying.

Only what libamun takes: main memory, plain elements. Nothing here needs to write DLPack: all that
the binding returns are NumPy arrays, which export it."""
from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from ._ffi import ffi

_HOST = (1, 3)  # kDLCPU, kDLCUDAHost
_READ_ONLY = 1  # DLPACK_FLAG_BITMASK_READ_ONLY
# (code, bits): NumPy's name; bfloat16, which NumPy does not know, travels as 16-bit numbers
_TYPES = {(0, 32): "i4", (0, 64): "i8", (1, 8): "u1", (2, 16): "f2", (2, 32): "f4", (2, 64): "f8",
          (4, 16): "u2", (6, 8): "b1"}
BFLOAT16 = (4, 16)


class _Borrowed:
    """Memory behind a capsule. The capsule is not consumed: letting it go calls its deleter."""

    def __init__(self, capsule: Any, tensor: Any, kind: Tuple[int, int], read_only: bool) -> None:
        self._capsule = capsule
        size = kind[1] // 8
        shape = tuple(tensor.shape[axis] for axis in range(tensor.ndim))
        strides: Optional[Tuple[int, ...]] = None
        if tensor.strides != ffi.NULL:
            strides = tuple(tensor.strides[axis] * size for axis in range(tensor.ndim))
        address = int(ffi.cast("uintptr_t", tensor.data)) + tensor.byte_offset
        self.__array_interface__ = {
            "version": 3, "shape": shape, "strides": strides, "data": (address, read_only),
            "typestr": ("|" if size == 1 else np.dtype("=u2").str[0]) + _TYPES[kind]}


def _capsule_of(source: Any) -> Any:
    try:
        return source.__dlpack__(max_version=(1, 0))
    except TypeError:  # from before versions were
        return source.__dlpack__()


def _open(capsule: Any, what: str) -> Tuple[Any, bool]:
    """(DLTensor, read only) of a capsule."""
    import ctypes
    api = ctypes.pythonapi
    api.PyCapsule_IsValid.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    for name, kind in ((b"dltensor_versioned", "DLManagedTensorVersioned *"),
                       (b"dltensor", "DLManagedTensor *")):
        if api.PyCapsule_IsValid(capsule, name):
            managed = ffi.cast(kind, api.PyCapsule_GetPointer(capsule, name))
            if name == b"dltensor":
                return managed.dl_tensor, False
            if managed.major == 1:
                return managed.dl_tensor, bool(managed.flags & _READ_ONLY)
            raise TypeError("%s: DLPack %d.%d is not supported" % (what, managed.major,
                                                                  managed.minor))
    raise TypeError("%s: __dlpack__() returned no DLPack capsule that is unused" % what)


def borrow(source: Any, what: str) -> Tuple[np.ndarray, bool]:
    """(array over the memory of an object with __dlpack__, whether it holds bfloat16). The array
    keeps the memory alive. BufferError: the object cannot be exported. TypeError: the library cannot use
    it."""
    device = source.__dlpack_device__() if hasattr(source, "__dlpack_device__") else (1, 0)
    if device[0] not in _HOST:
        raise TypeError("%s: lies on device %s, not in main memory: copy it there first" % (
            what, getattr(source, "device", tuple(device))))
    capsule = _capsule_of(source)
    tensor, read_only = _open(capsule, what)
    kind = tensor.dtype.code, tensor.dtype.bits
    if kind not in _TYPES or tensor.dtype.lanes != 1:
        raise TypeError("%s: DLPack elements of code %d with %d bits are not supported" % (
            (what,) + kind))
    array = np.asarray(_Borrowed(capsule, tensor, kind, read_only))
    return array, kind == BFLOAT16
