"""What Lipschitz constants promise, and the terms of AMUN's bound."""
import collections

import numpy as np

from ._base import Call, Result, ffi, indices_of, lib, pointer

Certificate = Result("Certificate", "amun_certificate")
TransferGap = Result("TransferGap", "amun_transfer_gap")
UnlearnBound = Result("UnlearnBound", "amun_unlearn_bound")
Certified = collections.namedtuple("Certified", "result radii", module="amun")


def certify(target, lipschitz, data, eps=0.0, indices=None, progress=None):
    """Radii (l2) within which the class of an image certainly stays, 0 for wrong samples:
    Certified(result, radii). `target`: an Ensemble; `lipschitz`: one bound per member (of its
    logits), or one number for all."""
    constants = np.array(np.broadcast_to(np.asarray(lipschitz, np.float64), (len(target),)))
    kept, start, count = indices_of(indices, "indices")
    radii = np.zeros(count if start != ffi.NULL else len(data))
    result = Certificate.new()
    Call(progress).run(lib.amun_transfer_certify, result, pointer(radii), target._c,
                       pointer(constants), eps, data._c, start, count)
    del kept
    return Certified(Certificate.read(result), radii)


def transfer_bound(attacked, judge, lipschitz, eps, data, attack=None, indices=None,
                   progress=None):
    """How far apart the risks of two models can be on images that moved by at most eps (l2), and,
    with an attack, how far apart they are: a TransferGap."""
    constants = np.array(np.broadcast_to(np.asarray(lipschitz, np.float64), (2,)))
    kept, start, count = indices_of(indices, "indices")
    result = TransferGap.new()
    Call(progress).run(lib.amun_transfer_bound, result, attacked._c, judge._c, pointer(constants),
                       eps, attack._c if attack is not None else ffi.NULL, data._c, start, count)
    del kept
    told = TransferGap.read(result)
    return told._replace(clean=tuple(told.clean), attacked=tuple(told.attacked))


def unlearn_diagnose(original, unlearned, data, advset, lipschitz, beta, retrained=None,
                     progress=None):
    """The terms of Theorem 4.1 of arXiv 2503.00917 on real models: an UnlearnBound; a diagnosis, no
    certificate."""
    result = UnlearnBound.new()
    Call(progress).run(lib.amun_unlearn_diagnose, result, original._c, unlearned._c,
                       retrained._c if retrained is not None else ffi.NULL, data._c, advset._c,
                       lipschitz, beta)
    return UnlearnBound.read(result)
