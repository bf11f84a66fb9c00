"""Tilted reweighting: similarity scores, targets, and the tilt."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Tuple

import numpy as np

from ._audit import unlearn_train_options
from ._base import (Call, ProgressLike, ShapeError, View, as_array, check, ffi, indices_of, lib,
                    pointer, vector)
from ._options import TrwOptions, TrwSelectOptions, UnlearnOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._data import Dataset
    from ._fields import TrwFields
    from ._nets import Model


class TrwMoment(NamedTuple):
    """What trw_moment() returns."""
    moment: float
    slope: float


class TrwReference(NamedTuple):
    """What trw_beta_from_reference() returns: the tilt, and the moment that it gives."""
    beta: float
    moment: float


class TrwSelection(NamedTuple):
    """What trw_select_beta() returns: the tilt; percent right on the held-out part with each
    candidate (NaN where none was run), and with the original model."""
    beta: float
    heldout: np.ndarray
    original: float


def _classes(forget: Any) -> Tuple[Optional[np.ndarray], Any, int]:
    """(array that must stay alive, pointer, count) of a class or a list of them."""
    return indices_of(np.atleast_1d(as_array(forget, "forget")[0]), "forget")


def _struct(options: Optional[TrwOptions], fields: Any) -> TrwOptions:
    if options is None:
        return TrwOptions(**fields)
    if fields:
        raise TypeError("options and single fields at once")
    return options


def trw_scores(rows: ArrayLike, forget: Indices, bias: Optional[ArrayLike] = None,
               options: Optional[TrwOptions] = None, **fields: Any) -> np.ndarray:
    """Similarity of each retained class to each forget class, [forget classes, classes], from the
    rows [classes, d] of the last layer and, if given, its bias [classes]. Keyword arguments: fields
    of TrwOptions, but for its own `bias`, which `options` can set."""
    view, held = View(rows, what="rows"), None if bias is None else View(bias, what="bias")
    kept, start, count = _classes(forget)
    scores = np.zeros((count, view.array.shape[0] if view.array.ndim else 0))
    check(lib.amun_trw_scores(pointer(scores), view.struct, held.struct if held else ffi.NULL,
                              start, count, _struct(options, fields)._struct))
    del kept
    return scores


def trw_sample_scores(features: ArrayLike, remain: ArrayLike, remain_labels: ArrayLike,
                      forget: Indices, classes: int, options: Optional[TrwOptions] = None,
                      **fields: Unpack[TrwFields]) -> np.ndarray:
    """Similarity of each retained class to each forget sample, [n, classes], from features [n, d]
    and those of retained samples [m, d] with their labels [m]."""
    features, remain = View(features, what="features"), View(remain, what="remain")
    labels = View(remain_labels, what="remain_labels")
    kept, start, count = _classes(forget)
    scores = np.zeros((features.array.shape[0] if features.array.ndim else 0, max(classes, 0)))
    check(lib.amun_trw_sample_scores(pointer(scores), features.struct, remain.struct,
                                     labels.struct, start, count, classes,
                                     _struct(options, fields)._struct))
    del kept
    return scores


def trw_mix(scores: ArrayLike, class_scores: ArrayLike, labels: ArrayLike, forget: Indices,
            options: Optional[TrwOptions] = None, **fields: Unpack[TrwFields]) -> np.ndarray:
    """kappa scores + (1 - kappa) class_scores, with the options' control and noise: a new array
    [n, classes]."""
    labels = View(labels, what="labels")
    kept, start, count = _classes(forget)
    mixed = np.array(scores, np.float64, order="C")
    if mixed.ndim != 2 or labels.array.shape != mixed.shape[:1]:
        raise ShapeError("scores: %s, with labels %s" % (list(mixed.shape),
                                                         list(labels.array.shape)))
    rows, rows_c = vector(class_scores, np.float64, "class_scores", (count, mixed.shape[1]))
    check(lib.amun_trw_mix(pointer(mixed), rows_c, labels.struct, start, count, mixed.shape[1],
                           _struct(options, fields)._struct))
    del kept, rows
    return mixed


class _Group:
    """Logits, labels (None: one row of scores per sample), forget classes and scores as the
    library takes them."""

    def __init__(self, logits: Any, labels: Any, forget: Any, scores: Any) -> None:
        self.logits = View(logits, what="logits")
        self._labels = None if labels is None else View(labels, what="labels")
        self.labels = ffi.NULL if self._labels is None else self._labels.struct
        self._kept, self.forget, self.count = _classes(forget)
        shape = self.logits.array.shape
        if len(shape) != 2:
            raise ShapeError("logits: expected [n, classes], got %s" % list(shape))
        rows = shape[0] if labels is None else self.count
        self._scores, self.scores = vector(scores, np.float64, "scores", (rows, shape[1]))


def trw_targets(logits: ArrayLike, labels: Optional[ArrayLike], forget: Indices, scores: ArrayLike,
                options: Optional[TrwOptions] = None, **fields: Unpack[TrwFields]) -> np.ndarray:
    """Targets [n, classes] of forget samples; labels None: one row of scores per sample."""
    group = _Group(logits, labels, forget, scores)
    targets = np.empty(group.logits.array.shape)
    check(lib.amun_trw_targets(pointer(targets), group.logits.struct, group.labels, group.forget,
                               group.count, group.scores, _struct(options, fields)._struct))
    return targets


def trw_moment(logits: ArrayLike, labels: Optional[ArrayLike], forget: Indices, scores: ArrayLike,
               beta: float) -> TrwMoment:
    """TrwMoment(moment, slope): the mean of E_q[s] over the samples, and its derivative by
    beta."""
    group = _Group(logits, labels, forget, scores)
    moment, slope = ffi.new("double *"), ffi.new("double *")
    check(lib.amun_trw_moment(moment, slope, group.logits.struct, group.labels, group.forget,
                              group.count, group.scores, beta))
    return TrwMoment(moment[0], slope[0])


def trw_solve_beta(logits: ArrayLike, labels: Optional[ArrayLike], forget: Indices,
                   scores: ArrayLike, moment: float) -> float:
    """The beta at which trw_moment() is `moment`."""
    group = _Group(logits, labels, forget, scores)
    beta = ffi.new("double *")
    check(lib.amun_trw_solve_beta(beta, group.logits.struct, group.labels, group.forget,
                                  group.count, group.scores, moment))
    return beta[0]


def trw_beta_from_reference(logits: ArrayLike, reference: ArrayLike, labels: Optional[ArrayLike],
                            forget: Indices, scores: ArrayLike) -> TrwReference:
    """TrwReference(beta, moment): the tilt that gives the moment of a retrained model, whose
    logits of the same samples are `reference`."""
    group = _Group(logits, labels, forget, scores)
    retrained = View(reference, what="reference")
    beta, moment = ffi.new("double *"), ffi.new("double *")
    check(lib.amun_trw_beta_from_reference(beta, moment, group.logits.struct, retrained.struct,
                                           group.labels, group.forget, group.count, group.scores))
    return TrwReference(beta[0], moment[0])


def trw_select_beta(model: Model, data: Dataset, forget: Indices, betas: Optional[ArrayLike] = None,
                    share: Optional[float] = None, tolerance: Optional[float] = None,
                    seed: Optional[int] = None, progress: ProgressLike = None,
                    **unlearn: Any) -> TrwSelection:
    """TrwSelection(beta, heldout, original): the largest beta that costs the retained classes no
    more than `tolerance` points on a held-out `share` of the remaining samples. Keyword arguments:
    fields of amun_unlearn_options (trw, train, ... as for unlearn())."""
    how = TrwSelectOptions()
    for name, value in (("share", share), ("tolerance", tolerance), ("seed", seed)):
        if value is not None:
            setattr(how, name, value)
    unlearn.setdefault("method", "trw")
    if isinstance(unlearn.get("train"), dict):
        unlearn["train"] = unlearn_train_options(unlearn["method"], **unlearn["train"])
    options = UnlearnOptions(**unlearn)
    kept, start, count = indices_of(forget, "forget")
    held, betas_c, candidates = None, ffi.NULL, 6
    if betas is not None:
        held, betas_c = vector(betas, np.float64, "betas")
        candidates = held.size
    heldout = np.full(candidates, np.nan)
    beta, original = ffi.new("double *"), ffi.new("double *")
    Call(progress).run(lib.amun_trw_select_beta, beta, pointer(heldout), original, model._c,
                       data._c, start, count, betas_c, candidates if betas is not None else 0,
                       how._struct, options._struct)
    del kept, held
    return TrwSelection(beta[0], heldout, original[0])
