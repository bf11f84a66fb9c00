"""Data sets, forget sets, .npy files."""
from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

import numpy as np

from ._base import (Context, Handle, PathLike, View, check, context_of, ffi, indices_of, lib,
                    output, path_bytes, pointer)

if TYPE_CHECKING:
    from ._arrays import ArrayLike, Indices

_borrowed: Dict[int, Any] = {}  # key: the arrays that a data set of the library still uses
_keys = itertools.count(1)


@ffi.callback("amun_release_fn")
def _on_release(user_data: Any) -> None:
    _borrowed.pop(int(ffi.cast("intptr_t", user_data)), None)


class Dataset(Handle):
    """Immutable images with labels. Any number of threads may use it."""
    _c_name = "amun_dataset"

    def __init__(self) -> None:
        raise TypeError("use Dataset.from_arrays, cifar10, cifar100, idx or npy")

    @classmethod
    def from_arrays(cls, images: ArrayLike, labels: Optional[ArrayLike] = None, classes: int = 0,
                    context: Optional[Context] = None) -> Dataset:
        """Images [n, C, H, W] or [n, H, W] (uint8, or float32 in [0, 1]) and labels [n]. The images
        are not copied, whatever their strides: the data set keeps the array or tensor alive, and it
        must not be changed while it lives. Dense ones are the fastest. Labels are copied.
        classes 0: the largest label + 1."""
        context = context_of(context)
        view = View(images, what="images")
        label_view = None if labels is None else View(labels, what="labels")
        key = next(_keys)
        _borrowed[key] = view, label_view
        try:
            return cls._make(context, lib.amun_dataset_open_view, context._c, view.struct,
                             label_view.struct if label_view else ffi.NULL, classes, _on_release,
                             ffi.cast("void *", key))
        except (TypeError, OverflowError):  # the call did not get as far as the library
            _borrowed.pop(key, None)
            raise

    @classmethod
    def _open(cls, function: Any, context: Optional[Context], *paths: Any) -> Dataset:
        context = context_of(context)
        return cls._make(context, function, context._c, *(path_bytes(path) for path in paths))

    @classmethod
    def cifar10(cls, path: PathLike, split: str, context: Optional[Context] = None) -> Dataset:
        """CIFAR-10 in its binary format: a .bin file, or a folder and "train" or "test"."""
        return cls._open(lib.amun_dataset_open_cifar10, context, path, split)

    @classmethod
    def cifar100(cls, path: PathLike, split: str, context: Optional[Context] = None) -> Dataset:
        """CIFAR-100 in its binary format, with the fine labels: a .bin file, or a folder and
        "train" or "test"."""
        return cls._open(lib.amun_dataset_open_cifar100, context, path, split)

    @classmethod
    def idx(cls, images: PathLike, labels: Optional[PathLike] = None,
            context: Optional[Context] = None) -> Dataset:
        """Files in the layout of MNIST, unpacked."""
        return cls._open(lib.amun_dataset_open_idx, context, images, labels)

    @classmethod
    def npy(cls, images: PathLike, labels: Optional[PathLike] = None,
            context: Optional[Context] = None) -> Dataset:
        """NumPy files: images u1, or f4 in [0, 1]; labels i8, i4 or u1."""
        return cls._open(lib.amun_dataset_open_npy, context, images, labels)

    def subset(self, indices: Indices) -> Dataset:
        """A part, in the order of `indices`, without copying images."""
        _kept, start, count = indices_of(indices, "indices")
        return self._make(self.context, lib.amun_dataset_subset, self._c, start, count)

    def __len__(self) -> int:
        """Number of images."""
        return lib.amun_dataset_count(self._c)

    @property
    def classes(self) -> int:
        """Number of classes; 0 without labels."""
        return lib.amun_dataset_classes(self._c)

    @property
    def shape(self) -> Tuple[int, int, int]:
        """(channels, height, width)."""
        shape = ffi.new("int64_t[3]")
        check(lib.amun_dataset_shape(self._c, shape))
        return tuple(shape)

    def _range(self, first: int, count: Optional[int]) -> Tuple[int, int, int]:
        count = max(len(self) - first, 0) if count is None else count
        # a range that does not exist must reach the library, not the memory
        return first, count, min(count, len(self))

    def labels(self, first: int = 0, count: Optional[int] = None,
               out: Optional[ArrayLike] = None) -> np.ndarray:
        """The labels of `count` images from `first` (default: all), written into a new array or
        into `out`, int64 [count]."""
        first, count, room = self._range(first, count)
        labels, start = output(out, (room,), np.int64)
        check(lib.amun_dataset_labels(self._c, first, count, start))
        return labels

    def read(self, first: int = 0, count: Optional[int] = None,
             out: Optional[ArrayLike] = None) -> np.ndarray:
        """The pixels in [0, 1], written into a new array or into `out`, float32
        [count, C, H, W]."""
        first, count, room = self._range(first, count)
        images, start = output(out, (room, *self.shape), np.float32)
        check(lib.amun_dataset_read(self._c, first, count, start))
        return images


def forget_indices(count: int, population: int, seed: int) -> np.ndarray:
    """The published forget sets: the first `count` of a permutation of 0..population-1."""
    indices = np.empty(count, np.int64)
    check(lib.amun_forget_indices(pointer(indices), count, population, seed))
    return indices


def npy_write(path: PathLike, array: ArrayLike, context: Optional[Context] = None) -> None:
    """Writes an .npy file, atomically. Any strides."""
    context = context_of(context)
    check(lib.amun_npy_write(context._c, path_bytes(path), View(array).struct))
