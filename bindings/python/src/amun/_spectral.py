"""Singular values of a model's layers, and how far the whole can stretch its input."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Tuple

import numpy as np

from ._base import (Call, Handle, InvalidArgumentError, ProgressLike, Result, ShapeError, check,
                    ffi, indices_of, lib, pointer)
from ._options import SpectrumOptions
from ._results import LayerSpectrum, Lipschitz

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import Indices
    from ._data import Dataset
    from ._fields import SpectrumFields
    from ._nets import Model

_Layer = Result("amun_layer_spectrum", LayerSpectrum)
_Lipschitz = Result("amun_lipschitz", Lipschitz)


class Spectrum(Handle):
    """The layers of a model with their leading singular values and vectors. Keyword arguments: the
    fields of SpectrumOptions. run() measures with the weights that the model has then; a later run
    starts from the vectors of the last. Keeps its model. One thread at a time."""
    _c_name = "amun_spectrum"

    def __init__(self, model: Model, **options: Unpack[SpectrumFields]) -> None:
        out = ffi.new("amun_spectrum **")
        kept = SpectrumOptions(**options)
        check(lib.amun_spectrum_create(out, model._c, kept._struct))
        self._adopt(out, model.context)

    def run(self, max_iterations: int = 0, progress: ProgressLike = None) -> Spectrum:
        """Measures all layers; returns self. NumericError: a layer did not converge (all values
        can be read nevertheless), or weights are not finite."""
        Call(progress).run(lib.amun_spectrum_run, self._c, max_iterations)
        return self

    def __len__(self) -> int:
        """Number of layers."""
        return lib.amun_spectrum_count(self._c)

    def __getitem__(self, i: int) -> LayerSpectrum:
        """Layer `i` as a LayerSpectrum."""
        i = range(len(self))[i]
        struct = _Layer.new()
        check(lib.amun_spectrum_layer(self._c, i, struct))
        return _Layer.read(struct)

    def values(self, i: int) -> Tuple[np.ndarray, np.ndarray]:
        """(singular values of layer `i`, descending; their residuals)"""
        sigma, residuals = np.full((2, self[i].values), np.nan)
        i = range(len(self))[i]
        check(lib.amun_spectrum_values(self._c, i, pointer(sigma), pointer(residuals), sigma.size))
        return sigma, residuals

    def vector(self, i: int, j: int = 0) -> np.ndarray:
        """Right singular vector `j` of layer `i`, in the shape of the layer's input."""
        if j < 0:
            raise InvalidArgumentError("vector %d does not exist" % j)
        vector = np.empty(self[i].in_shape, np.float32)
        i = range(len(self))[i]
        check(lib.amun_spectrum_vector(self._c, i, j, pointer(vector), vector.size))
        return vector

    def lipschitz(self) -> Lipschitz:
        """Lipschitz(upper, estimate) of the whole network, from pixels to logits."""
        return self._lipschitz(ffi.NULL, 0)

    def lipschitz_nodes(self, count: int) -> np.ndarray:
        """Upper bounds from the input to each of the graph's `count` nodes."""
        if count < 0:
            raise ShapeError("%d nodes" % count)
        bounds = np.full(count, np.nan)
        self._lipschitz(pointer(bounds), count)
        return bounds

    def _lipschitz(self, per_node: Any, count: int) -> Lipschitz:
        result = _Lipschitz.new()
        check(lib.amun_lipschitz_bound(result, per_node, count, self._c))
        return _Lipschitz.read(result)


class Local(NamedTuple):
    """What lipschitz_local() returns: the largest singular value, and that at each image."""
    largest: float
    per_image: np.ndarray


def lipschitz_local(model: Model, data: Dataset, indices: Indices = None,
                    progress: ProgressLike = None) -> Local:
    """Local(largest, per_image): the largest singular value of the Jacobian, logits by pixels, at
    all images of `data` or at `indices`: a lower bound on the Lipschitz constant."""
    kept, start, count = indices_of(indices, "indices")
    per_image = np.full(len(data) if indices is None else count, np.nan)
    largest = ffi.new("double *")
    Call(progress).run(lib.amun_lipschitz_local, largest, pointer(per_image), model._c, data._c,
                       start, count)
    del kept
    return Local(largest[0], per_image)
