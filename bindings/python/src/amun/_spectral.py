"""Singular values of a model's layers, and how far the whole can stretch its input."""
import collections

import numpy as np

from ._base import (BoundKind, Call, Handle, InvalidArgumentError, LayerKind, Result, ShapeError,
                    check, ffi, indices_of, lib, options_class, pointer, text)

SpectrumOptions = options_class("SpectrumOptions", "amun_spectrum_options")
Lipschitz = Result("Lipschitz", "amun_lipschitz")
_Layer = Result("LayerSpectrum", "amun_layer_spectrum")
LayerSpectrum = _Layer.type


def _read(struct):
    """The C struct with names as text, shapes as tuples and kinds as enumerations."""
    layer = _Layer.read(struct)
    return layer._replace(
        name=text(layer.name), kind=LayerKind(layer.kind), bound=BoundKind(layer.bound),
        batchnorm=None if layer.batchnorm == ffi.NULL else text(layer.batchnorm),
        in_shape=tuple(layer.in_shape), out_shape=tuple(layer.out_shape),
        converged=bool(layer.converged))


class Spectrum(Handle):
    """The layers of a model with their leading singular values and vectors. Keyword arguments: the
    fields of SpectrumOptions. run() measures with the weights that the model has then; a later run
    starts from the vectors of the last. Keeps its model. One thread at a time."""
    _c_name = "amun_spectrum"

    def __init__(self, model, **options):
        out = ffi.new("amun_spectrum **")
        kept = SpectrumOptions(**options)
        check(lib.amun_spectrum_create(out, model._c, kept._struct))
        self._adopt(out, model.context)

    def run(self, max_iterations=0, progress=None):
        """Measures all layers; returns self. NumericError: a layer did not converge (all values can
        be read nevertheless), or weights are not finite."""
        Call(progress).run(lib.amun_spectrum_run, self._c, max_iterations)
        return self

    def __len__(self):
        return lib.amun_spectrum_count(self._c)

    def __getitem__(self, i):
        """Layer `i` as a LayerSpectrum."""
        i = range(len(self))[i]
        struct = _Layer.new()
        check(lib.amun_spectrum_layer(self._c, i, struct))
        return _read(struct)

    def values(self, i):
        """(singular values of layer `i`, descending; their residuals)"""
        sigma, residuals = np.full((2, self[i].values), np.nan)
        i = range(len(self))[i]
        check(lib.amun_spectrum_values(self._c, i, pointer(sigma), pointer(residuals), sigma.size))
        return sigma, residuals

    def vector(self, i, j=0):
        """Right singular vector `j` of layer `i`, in the shape of the layer's input."""
        if j < 0:
            raise InvalidArgumentError("vector %d does not exist" % j)
        vector = np.empty(self[i].in_shape, np.float32)
        i = range(len(self))[i]
        check(lib.amun_spectrum_vector(self._c, i, j, pointer(vector), vector.size))
        return vector

    def lipschitz(self):
        """Lipschitz(upper, estimate) of the whole network, from pixels to logits."""
        return self._lipschitz(ffi.NULL, 0)

    def lipschitz_nodes(self, count):
        """Upper bounds from the input to each of the graph's `count` nodes."""
        if count < 0:
            raise ShapeError("%d nodes" % count)
        bounds = np.full(count, np.nan)
        self._lipschitz(pointer(bounds), count)
        return bounds

    def _lipschitz(self, per_node, count):
        result = Lipschitz.new()
        check(lib.amun_lipschitz_bound(result, per_node, count, self._c))
        return Lipschitz.read(result)


Local = collections.namedtuple("Local", "largest per_image", module="amun")


def lipschitz_local(model, data, indices=None, progress=None):
    """Local(largest, per_image): the largest singular value of the Jacobian, logits by pixels, at
    all images of `data` or at `indices`: a lower bound on the Lipschitz constant."""
    kept, start, count = indices_of(indices, "indices")
    per_image = np.full(len(data) if indices is None else count, np.nan)
    largest = ffi.new("double *")
    Call(progress).run(lib.amun_lipschitz_local, largest, pointer(per_image), model._c, data._c,
                       start, count)
    del kept
    return Local(largest[0], per_image)
