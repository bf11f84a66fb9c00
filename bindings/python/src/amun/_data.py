"""Data sets, forget sets, .npy files."""
import itertools

import numpy as np

from ._base import (Handle, View, check, default_context, ffi, indices_of, lib, path_bytes,
                    pointer)

_borrowed = {}  # key: the arrays that a data set of the library still uses
_keys = itertools.count(1)


@ffi.callback("amun_release_fn")
def _on_release(user_data):
    _borrowed.pop(int(ffi.cast("intptr_t", user_data)), None)


class Dataset(Handle):
    """Immutable images with labels. Any number of threads may use it."""
    _c_name = "amun_dataset"

    def __init__(self):
        raise TypeError("use Dataset.from_arrays, cifar10, cifar100, idx or npy")

    @classmethod
    def from_arrays(cls, images, labels=None, classes=0, context=None):
        """Images [n, C, H, W] (uint8, or float32 in [0, 1]) and labels [n]. Dense arrays are not
        copied: the data set keeps them alive, and they must not be changed while it lives.
        classes 0: the largest label + 1."""
        context = context or default_context()
        images = View(images, what="images")
        labels = None if labels is None else View(labels, what="labels")
        key = next(_keys)
        _borrowed[key] = images, labels
        try:
            return cls._make(context, lib.amun_dataset_open_view, context._c, images.struct,
                             labels.struct if labels else ffi.NULL, classes, _on_release,
                             ffi.cast("void *", key))
        except (TypeError, OverflowError):  # the call did not get as far as the library
            _borrowed.pop(key, None)
            raise

    @classmethod
    def _open(cls, function, context, *paths):
        context = context or default_context()
        return cls._make(context, function, context._c, *(path_bytes(path) for path in paths))

    @classmethod
    def cifar10(cls, path, split, context=None):
        """A .bin file, or a folder and "train" or "test"."""
        return cls._open(lib.amun_dataset_open_cifar10, context, path, split)

    @classmethod
    def cifar100(cls, path, split, context=None):
        return cls._open(lib.amun_dataset_open_cifar100, context, path, split)

    @classmethod
    def idx(cls, images, labels=None, context=None):
        """Files in the layout of MNIST."""
        return cls._open(lib.amun_dataset_open_idx, context, images, labels)

    @classmethod
    def npy(cls, images, labels=None, context=None):
        """NumPy files."""
        return cls._open(lib.amun_dataset_open_npy, context, images, labels)

    def subset(self, indices):
        """A part, in the order of `indices`, without copying images."""
        _kept, start, count = indices_of(indices, "indices")
        return self._make(self.context, lib.amun_dataset_subset, self._c, start, count)

    def __len__(self):
        return lib.amun_dataset_count(self._c)

    @property
    def classes(self):
        """Number of classes; 0 without labels."""
        return lib.amun_dataset_classes(self._c)

    @property
    def shape(self):
        """(channels, height, width)."""
        shape = ffi.new("int64_t[3]")
        check(lib.amun_dataset_shape(self._c, shape))
        return tuple(shape)

    def _range(self, first, count):
        count = max(len(self) - first, 0) if count is None else count
        # a range that does not exist must reach the library, not the memory
        return first, count, min(count, len(self))

    def labels(self, first=0, count=None):
        """A copy of the labels of `count` images from `first` (default: all)."""
        first, count, room = self._range(first, count)
        labels = np.empty(room, np.int64)
        check(lib.amun_dataset_labels(self._c, first, count, pointer(labels)))
        return labels

    def read(self, first=0, count=None):
        """A copy of the pixels in [0, 1], float32 [count, C, H, W]."""
        first, count, room = self._range(first, count)
        images = np.empty((room, *self.shape), np.float32)
        check(lib.amun_dataset_read(self._c, first, count, pointer(images)))
        return images


def forget_indices(count, population, seed):
    """The published forget sets: the first `count` of a permutation of 0..population-1."""
    indices = np.empty(count, np.int64)
    check(lib.amun_forget_indices(pointer(indices), count, population, seed))
    return indices


def npy_write(path, array, context=None):
    """Writes a dense .npy file, atomically."""
    context = context or default_context()
    check(lib.amun_npy_write(context._c, path_bytes(path), View(array).struct))
