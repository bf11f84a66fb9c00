"""Whole models from and to PyTorch. torch is imported when it is needed, and never otherwise.

Weights travel in a temporary safetensors file: what names and shapes mean, and that a failure
changes nothing, is then decided by the library alone."""
from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from . import _safetensors
from ._arrays import as_array
from ._errors import AmunError, InvalidArgumentError, NotFoundError


def to_state_dict(model: Any, numpy: bool) -> Dict[str, Any]:
    """Model.to_state_dict()."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights")
        model.save(path)
        arrays = _safetensors.read(path)
    if numpy:
        return dict(arrays)
    import torch
    return {name: torch.from_numpy(array.reshape(-1)).reshape(array.shape)
            for name, array in arrays.items()}


def _as_numpy(name: str, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a torch tensor, perhaps on another device or of another type
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.float()
    array, bfloat16 = as_array(value, name)
    if bfloat16 or array.dtype.kind not in "fiu":
        raise TypeError("%s: elements of type %s are not supported" % (
            name, "bfloat16" if bfloat16 else array.dtype))
    return array


def load_state_dict(model: Any, state: Mapping[str, Any]) -> None:
    """Model.load_state_dict()."""
    arrays = {name: _as_numpy(name, value) for name, value in state.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights")
        _safetensors.write(path, arrays)
        try:
            model.load_weights(path)
        except AmunError as error:  # the file is nothing that users know of
            error.args = (str(error).replace(path, "state"),)
            raise


def _sizes(state: Mapping[str, Any], shape: Optional[Sequence[int]]) -> Tuple[Dict[str, int], int]:
    """(fields of ModelOptions, trainable scalars) that the weights and `shape` speak of."""
    kernels = [value for value in state.values() if value.dim() == 4]
    dense = [value for value in state.values() if value.dim() == 2]
    if not kernels or not dense:
        raise InvalidArgumentError("module: has no convolution, or no linear layer")
    fields = {"channels": int(kernels[0].shape[1]), "classes": int(dense[-1].shape[0])}
    if shape is not None:
        channels, height, width = shape
        fields.update(channels=int(channels), height=int(height), width=int(width))
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return fields, sum(value.numel() for name, value in state.items()
                       if not name.endswith(statistics))


def _logits_differ(model: Any, module: Any) -> Optional[str]:
    """How the two differ on random images; None if they do not."""
    import torch
    rng = np.random.default_rng(0)
    images = rng.random((4,) + model.shape, np.float32)
    like = next(module.parameters())
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            theirs = module(torch.from_numpy(images).to(like.device, like.dtype))
    finally:
        module.train(training)
    theirs = theirs.detach().cpu().double().numpy()
    ours = model.predict(images)
    if theirs.shape != ours.shape:
        return "the module's output is %s, not %s" % (list(theirs.shape), list(ours.shape))
    largest, apart = np.abs(theirs).max(), np.abs(theirs - ours).max()
    # rounding of float32 stays far below; half precision on the module's side needs the rest
    limit = (1e-3 if like.dtype in (torch.float32, torch.float64) else 5e-2) * largest
    if not apart <= limit:
        return "the same names, but logits that differ by %.3g where they reach %.3g" % (apart,
                                                                                         largest)
    return None


def model_from_torch(cls: Any, module: Any, shape: Optional[Sequence[int]], arch: Optional[str],
                     compare: bool, context: Any) -> Any:
    """Model.from_torch()."""
    from ._nets import architectures
    state = module.state_dict()
    fields, trainable = _sizes(state, shape)
    refusals: List[str] = []
    for name in [arch] if arch is not None else architectures():
        try:
            model = cls.create(name, context=context, **fields)
            if arch is None and model.parameters != trainable:
                raise InvalidArgumentError("%d parameters, the module has %d" % (
                    model.parameters, trainable))
            load_state_dict(model, state)
        except AmunError as error:
            if arch is not None:
                raise
            refusals.append("%s: %s" % (name, error))
            continue
        problem = _logits_differ(model, module) if compare else None
        if problem is None:
            return model
        refusals.append("%s: %s" % (name, problem))
    raise NotFoundError("module: no architecture fits it.\n  " + "\n  ".join(refusals))
