"""What Lipschitz constants promise, and the terms of AMUN's bound."""
from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from ._base import Call, ProgressLike, Result, ffi, indices_of, lib, pointer
from ._results import Certificate, TransferGap, UnlearnBound

if TYPE_CHECKING:
    from ._arrays import ArrayLike, Indices
    from ._attack import AdvSet, Attack
    from ._data import Dataset
    from ._ensemble import Ensemble
    from ._nets import Model

_Certificate = Result("amun_certificate", Certificate)
_TransferGap = Result("amun_transfer_gap", TransferGap)
_UnlearnBound = Result("amun_unlearn_bound", UnlearnBound)


class Certified(NamedTuple):
    """What certify() returns: the summary, and the radius of each image."""
    result: Certificate
    radii: np.ndarray


def certify(target: Ensemble, lipschitz: ArrayLike, data: Dataset, eps: float = 0.0,
            indices: Indices = None, progress: ProgressLike = None) -> Certified:
    """Radii (l2) within which the class of an image certainly stays, 0 for wrong samples:
    Certified(result, radii). `target`: an Ensemble; `lipschitz`: one bound per member (of its
    logits), or one number for all."""
    constants = np.array(np.broadcast_to(np.asarray(lipschitz, np.float64), (len(target),)))
    kept, start, count = indices_of(indices, "indices")
    radii = np.zeros(count if start != ffi.NULL else len(data))
    result = _Certificate.new()
    Call(progress).run(lib.amun_transfer_certify, result, pointer(radii), target._c,
                       pointer(constants), eps, data._c, start, count)
    del kept
    return Certified(_Certificate.read(result), radii)


def transfer_bound(attacked: Model, judge: Model, lipschitz: ArrayLike, eps: float, data: Dataset,
                   attack: Optional[Attack] = None, indices: Indices = None,
                   progress: ProgressLike = None) -> TransferGap:
    """How far apart the risks of two models can be on images that moved by at most eps (l2), and,
    with an attack, how far apart they are: a TransferGap."""
    constants = np.array(np.broadcast_to(np.asarray(lipschitz, np.float64), (2,)))
    kept, start, count = indices_of(indices, "indices")
    result = _TransferGap.new()
    Call(progress).run(lib.amun_transfer_bound, result, attacked._c, judge._c, pointer(constants),
                       eps, attack._c if attack is not None else ffi.NULL, data._c, start, count)
    del kept
    return _TransferGap.read(result)


def unlearn_diagnose(original: Model, unlearned: Model, data: Dataset, advset: AdvSet,
                     lipschitz: float, beta: float, retrained: Optional[Model] = None,
                     progress: ProgressLike = None) -> UnlearnBound:
    """The terms of Theorem 4.1 of arXiv 2503.00917 on real models: an UnlearnBound; a diagnosis,
    no certificate."""
    result = _UnlearnBound.new()
    Call(progress).run(lib.amun_unlearn_diagnose, result, original._c, unlearned._c,
                       retrained._c if retrained is not None else ffi.NULL, data._c, advset._c,
                       lipschitz, beta)
    return _UnlearnBound.read(result)
