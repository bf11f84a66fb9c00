"""Audits of a forgotten class on saved outputs: NumPy arrays in, numbers out."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Tuple

import numpy as np

from ._base import (Result, ShapeError, View, as_array, check, ffi, indices_of, lib, pointer,
                    vector)
from ._nets import options_of
from ._options import C2stOptions, MiannOptions, SvcmiaOptions, UliraOptions
from ._results import C2st, Distance, Miann, Svcmia, Ulira, UliraSamples

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._fields import C2stFields, MiannFields, SvcmiaFields, UliraFields

_Miann = Result("amun_miann", Miann)
_C2st = Result("amun_c2st", C2st)
_Ulira = Result("amun_ulira", Ulira)
_UliraSamples = Result("amun_ulira_samples", UliraSamples)
_Distance = Result("amun_distance", Distance)
_Svcmia = Result("amun_svcmia", Svcmia)


class Klom(NamedTuple):
    """What klom() returns: mean and 95th percentile over the samples, and the value of each."""
    mean: float
    p95: float
    rows: np.ndarray


def _outputs(logits: Any, what: str) -> View:
    """Logits as a view; a list of equal arrays becomes one array."""
    if isinstance(logits, (list, tuple)):
        logits = np.stack([as_array(one, what)[0] for one in logits])
    return View(logits, what=what)


def _classes(classes: Any, what: str) -> Tuple[Optional[np.ndarray], Any, int]:
    if classes is not None and np.ndim(classes) == 0:
        classes = [classes]
    return indices_of(classes, what)


class _Saved:
    """Arguments that the audits have in common, alive as long as this object."""

    def __init__(self, retrained: Any, unlearned: Any, labels: Any, classes: Any,
                 what: str = "forget") -> None:
        self.retrained = _outputs(retrained, "retrained")
        self.unlearned = _outputs(unlearned, "unlearned")
        self.labels = View(labels, what="labels") if labels is not None else None
        self.kept, self.start, self.count = _classes(classes, what)
        if self.retrained.array.ndim != 3:
            raise ShapeError("retrained: expected [models, n, classes], got %s"
                             % list(self.retrained.array.shape))

    @property
    def args(self) -> Tuple[Any, ...]:
        labels = self.labels.struct if self.labels is not None else ffi.NULL
        return self.retrained.struct, self.unlearned.struct, labels, self.start, self.count

    @property
    def table(self) -> np.ndarray:
        """Room for [models + 1, classes]."""
        models, _, classes = self.retrained.array.shape
        return np.full((models + 1, classes), np.nan)


def miann(retrained: ArrayLike, unlearned: ArrayLike, labels: ArrayLike, forget: Indices,
          options: Optional[MiannOptions] = None, **fields: Unpack[MiannFields]) -> Miann:
    """MIA-NN of the logits `unlearned` [n, classes] against `retrained` [models, n, classes] (or a
    list of arrays): a Miann. `forget`: a class, or several. `accuracy` and `discriminators`
    [models + 1, classes] are the acceptance rates and the balanced accuracies, in percent, the
    unlearned model's in the last row. `options`: MiannOptions; or its fields as keywords."""
    saved = _Saved(retrained, unlearned, labels, forget)
    accuracy, sanity = saved.table, saved.table
    result = _Miann.new()
    check(lib.amun_miann_compute(result, pointer(accuracy), pointer(sanity), *saved.args,
                                 options_of(MiannOptions, options, fields)._struct))
    return _Miann.read(result, accuracy, sanity)


def c2st(retrained: ArrayLike, unlearned: ArrayLike, labels: ArrayLike, forget: Indices,
         options: Optional[C2stOptions] = None, **fields: Unpack[C2stFields]) -> C2st:
    """The classifier two-sample test on the rows of the forget classes: a C2st, in percent."""
    saved = _Saved(retrained, unlearned, labels, forget)
    result = _C2st.new()
    check(lib.amun_c2st_compute(result, *saved.args,
                                options_of(C2stOptions, options, fields)._struct))
    return _C2st.read(result)


def ulira_phi(logits: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """log p_y - log(1 - p_y) of each row; `labels`: any class per row."""
    logits, labels = View(logits, what="logits"), View(labels, what="labels")
    phi = np.empty(logits.array.shape[:1])
    check(lib.amun_ulira_phi(pointer(phi), logits.struct, labels.struct))
    return phi


def ulira_class(unlearned: ArrayLike, retrained: ArrayLike, labels: ArrayLike, forget: Indices,
                released: Optional[ArrayLike] = None, options: Optional[UliraOptions] = None,
                **fields: Unpack[UliraFields]) -> Ulira:
    """Class-level U-LiRA from logits [models, n, classes] of both sides and [n, classes] of the
    released model: a Ulira, in percent."""
    saved = _Saved(retrained, unlearned, labels, forget)
    view = _outputs(released, "released") if released is not None else None
    _, _, labels_c, start, count = saved.args
    result = _Ulira.new()
    check(lib.amun_ulira_class(result, saved.unlearned.struct, saved.retrained.struct,
                               view.struct if view is not None else ffi.NULL, labels_c, start,
                               count,
                               options_of(UliraOptions, options, fields)._struct))
    return _Ulira.read(result)


def _scores(values: Any, what: str) -> Tuple[np.ndarray, Any]:
    values, start = vector(values, np.float64, what)
    if values.ndim != 2:
        raise ShapeError("%s: expected [models, n], got %s" % (what, list(values.shape)))
    return values, start


def ulira_class_scores(unlearned: ArrayLike, retrained: ArrayLike,
                       released: Optional[ArrayLike] = None,
                       options: Optional[UliraOptions] = None,
                       **fields: Unpack[UliraFields]) -> Ulira:
    """The same from scores [models, n] of both sides and [n] of the released model."""
    unlearned, unlearned_c = _scores(unlearned, "unlearned")
    retrained, retrained_c = vector(retrained, np.float64, "retrained",
                                    (len(retrained), unlearned.shape[1]))
    released_c = ffi.NULL
    if released is not None:
        released, released_c = vector(released, np.float64, "released", unlearned.shape[1:])
    result = _Ulira.new()
    check(lib.amun_ulira_class_scores(result, unlearned_c, len(unlearned), retrained_c,
                                      len(retrained), released_c, unlearned.shape[1],
                                      options_of(UliraOptions, options, fields)._struct))
    return _Ulira.read(result)


def ulira_samples(scores: ArrayLike, state: ArrayLike, target: ArrayLike, truth: ArrayLike,
                  options: Optional[UliraOptions] = None,
                  **fields: Unpack[UliraFields]) -> UliraSamples:
    """Sample-level U-LiRA: `scores` and `state` (ULIRA_UNSEEN, ULIRA_UNLEARNED, ULIRA_MEMBER)
    [models, n], `target` and `truth` [n]: a UliraSamples with the probabilities `p`."""
    scores, scores_c = _scores(scores, "scores")
    _state, state_c = vector(state, np.uint8, "state", scores.shape)
    _target, target_c = vector(target, np.float64, "target", scores.shape[1:])
    truth = as_array(truth, "truth")[0]
    truth = truth.view(np.uint8) if truth.dtype == np.bool_ else truth
    _truth, truth_c = vector(truth, np.uint8, "truth", scores.shape[1:])
    p = np.empty(scores.shape[1])
    result = _UliraSamples.new()
    check(lib.amun_ulira_sample_scores(result, pointer(p), scores_c, state_c, len(scores),
                                       target_c, truth_c, scores.shape[1],
                                       options_of(UliraOptions, options, fields)._struct))
    return _UliraSamples.read(result, p)


def distance(retrained: ArrayLike, unlearned: ArrayLike, labels: Optional[ArrayLike] = None,
             classes: Indices = None) -> Distance:
    """Distances to the retrained models, each with its null, on the rows of `classes` (None, with
    labels None: all): a Distance; `tv_rows` is NaN where a row does not count."""
    saved = _Saved(retrained, unlearned, labels, classes, "classes")
    rows = np.full(saved.retrained.array.shape[1], np.nan)
    result = _Distance.new()
    check(lib.amun_distance_compute(result, pointer(rows), *saved.args))
    return _Distance.read(result, rows)


def routing(retrained: ArrayLike, unlearned: ArrayLike, labels: Optional[ArrayLike] = None,
            classes: Indices = None) -> np.ndarray:
    """Percent of the rows that go to each class, [models + 1, classes]; the last row is the
    unlearned model's."""
    saved = _Saved(retrained, unlearned, labels, classes, "classes")
    shares = saved.table
    check(lib.amun_distance_routing(pointer(shares), *saved.args))
    return shares


def zrf(unlearned: ArrayLike, random: ArrayLike) -> float:
    """1 - mean Jensen-Shannon divergence of two models' predictions; logits [n, classes]."""
    unlearned, random = View(unlearned, what="unlearned"), View(random, what="random")
    value = ffi.new("double *")
    check(lib.amun_distance_zrf(value, unlearned.struct, random.struct))
    return value[0]


def klom(unlearned: ArrayLike, retrained: ArrayLike) -> Klom:
    """KLOM of scores [models, n]: Klom(mean, p95, rows)."""
    unlearned, unlearned_c = _scores(unlearned, "unlearned")
    retrained, retrained_c = vector(retrained, np.float64, "retrained",
                                    (len(retrained), unlearned.shape[1]))
    rows = np.empty(unlearned.shape[1])
    mean, p95 = ffi.new("double *"), ffi.new("double *")
    check(lib.amun_distance_klom(mean, p95, pointer(rows), unlearned_c, len(unlearned),
                                 retrained_c, len(retrained), len(rows)))
    return Klom(mean[0], p95[0], rows)


def _svcmia(call: Any, pairs: Any, options: Any, fields: Any) -> Svcmia:
    views = [View(array, what=name) for name, array in pairs]
    result = _Svcmia.new()
    check(call(result, *(view.struct for view in views),
               options_of(SvcmiaOptions, options, fields)._struct))
    return _Svcmia.read(result)


def svcmia_salun(remain: ArrayLike, remain_labels: ArrayLike, test: ArrayLike,
                 test_labels: ArrayLike, forget: ArrayLike, forget_labels: ArrayLike,
                 options: Optional[SvcmiaOptions] = None,
                 **fields: Unpack[SvcmiaFields]) -> Svcmia:
    """SVC-MIA in the protocol of SalUn: fitted on remain against test, asked about forget."""
    return _svcmia(lib.amun_svcmia_salun, [
        ("remain", remain), ("labels", remain_labels), ("test", test), ("labels", test_labels),
        ("forget", forget), ("labels", forget_labels)], options, fields)


def svcmia_kodge(remain: ArrayLike, remain_labels: ArrayLike, forget: ArrayLike,
                 forget_labels: ArrayLike, forget_test: ArrayLike, forget_test_labels: ArrayLike,
                 options: Optional[SvcmiaOptions] = None,
                 **fields: Unpack[SvcmiaFields]) -> Svcmia:
    """SVC-MIA in the protocol of Kodge et al.: fitted on remain against forget, asked about
    forget_test."""
    return _svcmia(lib.amun_svcmia_kodge, [
        ("remain", remain), ("labels", remain_labels), ("forget", forget),
        ("labels", forget_labels), ("forget_test", forget_test), ("labels", forget_test_labels)],
        options, fields)
