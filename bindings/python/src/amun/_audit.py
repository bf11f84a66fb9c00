"""Unlearning, membership-inference audits, reports."""
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, Union

import numpy as np

from ._base import (Call, Context, Handle, Options, PathLike, ProgressLike, Result, ShapeError,
                    View, as_array, check, context_of, ffi, indices_of, lib, path_bytes, pointer,
                    text, vector)
from ._enums import UnlearnMethod
from ._nets import Model, options_of
from ._options import MiaOptions, RmiaOptions, TrainOptions, UnlearnOptions
from ._results import Audit, UnlearnResult

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._attack import AdvSet
    from ._data import Dataset
    from ._fields import MiaFields, RmiaFields, TrainFields, UnlearnFields

_UnlearnResult = Result("amun_unlearn_result", UnlearnResult)
_Audit = Result("amun_audit", Audit)


class _MethodTrainOptions(TrainOptions):
    _init = "amun_unlearn_train_options_init"

    if TYPE_CHECKING:
        def __init__(self, method: int, **fields: Any) -> None: ...


_MethodTrainOptions.__name__ = TrainOptions.__name__


def unlearn_train_options(method: Union[UnlearnMethod, str],
                          **fields: Unpack[TrainFields]) -> TrainOptions:
    """The training options that belong to an unlearning method, with `fields` laid over them."""
    return _MethodTrainOptions(UnlearnOptions(method=method).method, **fields)


def unlearn(model: Model, data: Dataset, forget: Indices, advset: Optional[AdvSet] = None,
            options: Optional[UnlearnOptions] = None, progress: ProgressLike = None,
            **fields: Unpack[UnlearnFields]) -> UnlearnResult:
    """Makes `model` forget the samples `forget` of `data`; returns an UnlearnResult. `options`:
    UnlearnOptions; or its fields as keyword arguments (method="amun", ...). `train` as a dict is
    laid over the method's own training options; `rival`, the other methods' constants, may be a
    dict or RivalOptions, `trw` a dict or TrwOptions. The model changes as a whole or not at all:
    stopped or failed, it is as before."""
    train = fields.get("train")
    if options is None and isinstance(train, dict):
        method = fields.get("method", UnlearnOptions().method)
        fields["train"] = unlearn_train_options(method, **train)
    options = options_of(UnlearnOptions, options, fields)
    _kept, start, count = indices_of(forget, "forget")
    result = _UnlearnResult.new()
    Call(progress).run(lib.amun_unlearn_run, result, model._c, data._c, start, count,
                       advset._c if advset is not None else ffi.NULL, options._struct)
    return _UnlearnResult.read(result)


# ---- figures from saved outputs ----------------------------------------------------------------


def signal(logits: ArrayLike, labels: ArrayLike,
           **rmia: Unpack[RmiaFields]) -> Tuple[np.ndarray, int]:
    """(signal of each row, rows whose Taylor sum was not positive); keyword arguments: fields of
    RmiaOptions."""
    logits, labels = View(logits, what="logits"), View(labels, what="labels")
    values = np.empty(logits.array.shape[:1], np.float64)
    nonpositive = ffi.new("size_t *")
    check(lib.amun_signal_compute(pointer(values), nonpositive, logits.struct, labels.struct,
                                  RmiaOptions(**rmia)._struct))
    return values, nonpositive[0]


def rmia_scores(target: ArrayLike, references: ArrayLike, included: Optional[ArrayLike] = None,
                population: Optional[ArrayLike] = None,
                **rmia: Any) -> np.ndarray:
    """RMIA scores of n samples from signals: target [n], references [models, n], included
    [models, n] (which model saw which sample), population [n] (which samples serve as z). Keyword
    arguments: fields of RmiaOptions, but for its own `population`, which is of Mia.audit()."""
    references, references_c = vector(references, np.float64, "references")
    if references.ndim != 2:
        raise ShapeError("references: expected [models, n], got %s" % list(references.shape))
    models, n = references.shape
    _target, target_c = vector(target, np.float64, "target", (n,))
    included_c = population_c = ffi.NULL
    if included is not None:
        _included, included_c = _flags(included, "included", (models, n))
    if population is not None:
        _population, population_c = _flags(population, "population", (n,))
    scores = np.empty(n, np.float64)
    check(lib.amun_rmia_scores(pointer(scores), target_c, references_c, included_c, population_c,
                               models, n, RmiaOptions(**rmia)._struct))
    return scores


def _flags(values: Any, what: str, shape: Any) -> Tuple[np.ndarray, Any]:
    values = as_array(values, what)[0]
    if values.dtype == np.bool_:
        values = values.view(np.uint8)
    return vector(values, np.uint8, what, shape)


def _two_sides(positives: Any, negatives: Any) -> Tuple[Any, Any]:
    positives, positives_c = vector(positives, np.float64, "positives")
    negatives, negatives_c = vector(negatives, np.float64, "negatives")
    # the arrays come along so that they live as long as the pointers
    return (positives_c, positives.size, negatives_c, negatives.size), (positives, negatives)


def auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Area under the ROC curve, in [0, 1]."""
    args, _kept = _two_sides(positives, negatives)
    value = ffi.new("double *")
    check(lib.amun_auc_compute(value, *args))
    return value[0]


def tpr_at_fpr(positives: ArrayLike, negatives: ArrayLike, fpr: float) -> float:
    """The largest true-positive rate among ROC points with a false-positive rate <= fpr."""
    args, _kept = _two_sides(positives, negatives)
    value = ffi.new("double *")
    check(lib.amun_tpr_at_fpr(value, *args, fpr))
    return value[0]


def rmia_inclusion(models: int, n: int, seed: int) -> np.ndarray:
    """The published inclusion matrix, bytes [models, n]."""
    included = np.empty((models, n), np.uint8)
    check(lib.amun_rmia_inclusion(pointer(included), models, n, seed))
    return included


def svc_features(logits: ArrayLike,
                 labels: ArrayLike) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(confidence, entropy, modified entropy) of each row."""
    logits, labels = View(logits, what="logits"), View(labels, what="labels")
    features = [np.empty(logits.array.shape[:1], np.float64) for _ in range(3)]
    check(lib.amun_svc_features(*(pointer(feature) for feature in features), logits.struct,
                                labels.struct))
    return features[0], features[1], features[2]


def svc_mis(members: ArrayLike, nonmembers: ArrayLike, forget: ArrayLike) -> float:
    """Percent of `forget` that SVC-MIA calls non-members, from confidences."""
    members, members_c = vector(members, np.float64, "members")
    _nonmembers, nonmembers_c = vector(nonmembers, np.float64, "nonmembers", members.shape)
    forget, forget_c = vector(forget, np.float64, "forget")
    value = ffi.new("double *")
    check(lib.amun_svc_mis(value, members_c, nonmembers_c, members.size, forget_c, forget.size))
    return value[0]


# ---- audits with reference models --------------------------------------------------------------


class Mia(Handle):
    """Reference models of the pool (`train`, then `test`) and their signals. Keyword arguments:
    the fields of MiaOptions; `rmia` may be a dict. One thread at a time."""
    _c_name = "amun_mia"

    def __init__(self, train: Dataset, test: Dataset, **options: Unpack[MiaFields]) -> None:
        out = ffi.new("amun_mia **")
        kept = MiaOptions(**options)
        check(lib.amun_mia_create(out, train.context._c, train._c, test._c, kept._struct))
        self._adopt(out, train.context)
        self._shape = kept.references, len(train) + len(test)

    def train_references(self, like: Model, folder: Optional[PathLike] = None,
                         options: Optional[TrainOptions] = None, progress: ProgressLike = None,
                         **fields: Unpack[TrainFields]) -> None:
        """Trains what `folder` lacks (None: keep nothing on disk) with the architecture of
        `like`. `options`: TrainOptions; or its fields as keyword arguments."""
        options = options_of(TrainOptions, options, fields)
        Call(progress).run(lib.amun_mia_train_references, self._c, like._c, options._struct,
                           path_bytes(folder))

    def set_reference(self, number: int, logits: ArrayLike) -> None:
        """Logits of model `number` on the whole pool instead of training it."""
        check(lib.amun_mia_set_reference(self._c, number, View(logits, what="logits").struct))

    @property
    def inclusion(self) -> np.ndarray:
        """A copy of the inclusion matrix, bytes [references, pool]."""
        start = lib.amun_mia_inclusion(self._c)
        if start == ffi.NULL:
            return np.zeros((0, 0), np.uint8)
        size = self._shape[0] * self._shape[1]
        return np.frombuffer(ffi.buffer(start, size), np.uint8).reshape(self._shape).copy()

    def audit(self, model: Model, forget: Indices, progress: ProgressLike = None) -> Audit:
        """An Audit of `model`; `forget`: indices into the training set."""
        _kept, start, count = indices_of(forget, "forget")
        audit = _Audit.new()
        Call(progress).run(lib.amun_mia_audit, audit, self._c, model._c, start, count)
        return _Audit.read(audit)


class Report(Handle):
    """The JSON report and its table. One thread at a time."""
    _c_name = "amun_report"

    def __init__(self, dataset: str, arch: str, forget_count: int, references: int,
                 context: Optional[Context] = None) -> None:
        context = context_of(context)
        out = ffi.new("amun_report **")
        check(lib.amun_report_create(out, context._c, path_bytes(dataset), path_bytes(arch),
                                     forget_count, references))
        self._adopt(out, context)

    def add(self, method: str, seed: int, audit: Audit, seconds: float) -> None:
        """One run of a method; `seconds`: the method's own time."""
        check(lib.amun_report_add(self._c, path_bytes(method), seed, _Audit.write(audit), seconds))

    def add_provenance(self, key: str, values: Union[Dict[str, Any], Options]) -> None:
        """How the figures came about, under `key`; `values`: a dict, or an options object."""
        if isinstance(values, Options):
            values = values.as_dict()
        check(lib.amun_report_add_provenance(self._c, path_bytes(key),
                                             path_bytes(json.dumps(values))))

    def get(self, method: str) -> Tuple[Audit, Audit, float]:
        """(mean, sample standard deviation, mean seconds) over a method's runs."""
        mean, deviation, seconds = _Audit.new(), _Audit.new(), ffi.new("double *")
        check(lib.amun_report_get(self._c, path_bytes(method), mean, deviation, seconds))
        return _Audit.read(mean), _Audit.read(deviation), seconds[0]

    def table(self) -> str:
        """The aligned text table."""
        needed = ffi.new("size_t *")
        check(lib.amun_report_table(self._c, ffi.NULL, 0, needed))
        buffer = ffi.new("char[]", needed[0])
        check(lib.amun_report_table(self._c, buffer, needed[0], needed))
        return text(buffer)

    def write(self, path: PathLike) -> None:
        """Writes the JSON file, atomically."""
        check(lib.amun_report_write(self._c, path_bytes(path)))
