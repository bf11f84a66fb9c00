"""What of a class is left inside a model: features, probe, prototypes, loss attack, forgetting
quality."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Tuple

import numpy as np

from ._audit_class import _classes, _scores
from ._base import (Call, ProgressLike, Result, View, check, ffi, indices_of, lib, pointer, vector)
from ._nets import Model, options_of
from ._options import LossmiaOptions, ProbeOptions, PrototypeOptions, QualityOptions
from ._results import Gap, Lossmia, Probe, Prototype, Quality

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._data import Dataset
    from ._fields import LossmiaFields, ProbeFields, PrototypeFields, QualityFields

_Gap = Result("amun_gap", Gap)
_Probe = Result("amun_probe", Probe)
_Prototype = Result("amun_prototype", Prototype)
_Lossmia = Result("amun_lossmia", Lossmia)
_Quality = Result("amun_quality", Quality)


def _views(*pairs: Tuple[str, Any]) -> List[View]:
    return [View(array, what=name) for name, array in pairs]


def features(model: Model, data: Dataset, indices: Indices = None, stage: int = 0,
             progress: ProgressLike = None) -> np.ndarray:
    """Features [n, width] of images of a Dataset: the inputs of the last dense layer, or those so
    many stages before it."""
    width = ffi.new("int64_t *")
    check(lib.amun_features_width(width, model._c, stage))
    kept, start, count = indices_of(indices, "indices")
    out = np.empty((len(data) if indices is None else count, width[0]), np.float32)
    Call(progress).run(lib.amun_features_compute, pointer(out), model._c, data._c, start, count,
                       stage)
    del kept
    return out


def gap(unlearned: float, retrained: ArrayLike) -> Gap:
    """A number beside the same number of retrained models: a Gap with its null."""
    retrained, retrained_c = vector(retrained, np.float64, "retrained")
    result = _Gap.new()
    check(lib.amun_gap_compute(result, unlearned, retrained_c, retrained.size))
    return _Gap.read(result)


def probe(fit: ArrayLike, fit_labels: ArrayLike, test: ArrayLike, test_labels: ArrayLike,
          classes: int, forget: Indices, options: Optional[ProbeOptions] = None,
          **fields: Unpack[ProbeFields]) -> Probe:
    """Linear probe on features [n, d], asked about `test` [m, d]: a Probe; `logits` [m, classes]
    are the probe's."""
    views = _views(("fit", fit), ("labels", fit_labels), ("test", test), ("labels", test_labels))
    kept, start, count = _classes(forget, "forget")
    logits = np.full((len(views[2].array), classes), np.nan)
    result = _Probe.new()
    check(lib.amun_probe_compute(result, pointer(logits), *(view.struct for view in views), classes,
                                 start, count, options_of(ProbeOptions, options, fields)._struct))
    del kept
    return _Probe.read(result, logits)


def probe_model(model: Model, train: Dataset, test: Dataset, forget: Indices,
                options: Optional[ProbeOptions] = None, progress: ProgressLike = None,
                **fields: Unpack[ProbeFields]) -> Probe:
    """The same on the features of a model: a Probe without logits (None)."""
    kept, start, count = _classes(forget, "forget")
    result = _Probe.new()
    options = options_of(ProbeOptions, options, fields)
    Call(progress).run(lib.amun_probe_model, result, model._c, train._c, test._c, start, count,
                       options._struct)
    del kept
    return _Probe.read(result, None)


def prototype(rows: ArrayLike, support: ArrayLike, support_labels: ArrayLike, test: ArrayLike,
              test_labels: ArrayLike, forget: Indices, bias: Optional[ArrayLike] = None,
              options: Optional[PrototypeOptions] = None,
              **fields: Unpack[PrototypeFields]) -> Prototype:
    """A head [classes, d] whose rows of the forget classes become mean features of a few rows of
    `support`: a Prototype with the accuracies on `test`."""
    head = View(rows, what="rows")
    offsets = View(bias, what="bias") if bias is not None else None
    views = _views(("support", support), ("labels", support_labels), ("test", test),
                   ("labels", test_labels))
    kept, start, count = _classes(forget, "forget")
    result = _Prototype.new()
    check(lib.amun_prototype_compute(result, head.struct,
                                     offsets.struct if offsets is not None else ffi.NULL,
                                     *(view.struct for view in views), start, count,
                                     options_of(PrototypeOptions, options, fields)._struct))
    del kept
    return _Prototype.read(result)


def prototype_model(model: Model, train: Dataset, test: Dataset, forget: Indices,
                    options: Optional[PrototypeOptions] = None, progress: ProgressLike = None,
                    **fields: Unpack[PrototypeFields]) -> Prototype:
    """The same on a model, with samples of `train`."""
    kept, start, count = _classes(forget, "forget")
    result = _Prototype.new()
    options = options_of(PrototypeOptions, options, fields)
    Call(progress).run(lib.amun_prototype_model, result, model._c, train._c, test._c, start, count,
                       options._struct)
    del kept
    return _Prototype.read(result)


def loss_attack(forget: ArrayLike, unseen: ArrayLike, options: Optional[LossmiaOptions] = None,
                **fields: Unpack[LossmiaFields]) -> Lossmia:
    """Logistic regression on losses of forget and unseen samples: a Lossmia."""
    forget, forget_c = vector(forget, np.float64, "forget")
    unseen, unseen_c = vector(unseen, np.float64, "unseen")
    result = _Lossmia.new()
    check(lib.amun_lossmia_compute(result, forget_c, forget.size, unseen_c, unseen.size,
                                   options_of(LossmiaOptions, options, fields)._struct))
    return _Lossmia.read(result)


def loss_attack_logits(forget: ArrayLike, forget_labels: ArrayLike, unseen: ArrayLike,
                       unseen_labels: ArrayLike, options: Optional[LossmiaOptions] = None,
                       **fields: Unpack[LossmiaFields]) -> Lossmia:
    """The same with the cross-entropy of logits [n, classes]."""
    views = _views(("forget", forget), ("labels", forget_labels), ("unseen", unseen),
                   ("labels", unseen_labels))
    result = _Lossmia.new()
    check(lib.amun_lossmia_logits(result, *(view.struct for view in views),
                                  options_of(LossmiaOptions, options, fields)._struct))
    return _Lossmia.read(result)


def forget_quality(unlearned: ArrayLike, retrained: ArrayLike,
                   options: Optional[QualityOptions] = None,
                   **fields: Unpack[QualityFields]) -> Quality:
    """Forgetting quality of scores [models, n]: a Quality with each sample's `epsilon`."""
    unlearned, unlearned_c = _scores(unlearned, "unlearned")
    retrained, retrained_c = vector(retrained, np.float64, "retrained",
                                    (len(retrained), unlearned.shape[1]))
    epsilon = np.empty(unlearned.shape[1])
    result = _Quality.new()
    check(lib.amun_quality_compute(result, pointer(epsilon), unlearned_c, len(unlearned),
                                   retrained_c, len(retrained), len(epsilon),
                                   options_of(QualityOptions, options, fields)._struct))
    return _Quality.read(result, epsilon)
