"""Settings and alarms that need no retrained model."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Union

import numpy as np

from ._audit import unlearn_train_options
from ._base import Call, ProgressLike, Result, check, ffi, indices_of, lib, vector
from ._enums import SelectRule, UnlearnMethod
from ._nets import Model, options_of
from ._options import RelearnOptions, SelectOptions, UnlearnOptions
from ._results import ForgetCheck, Relearn, SelectTrial

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._attack import AdvSet
    from ._data import Dataset
    from ._fields import RelearnFields

_ForgetCheck = Result("amun_forget_check", ForgetCheck)
_SelectTrial = Result("amun_select_trial", SelectTrial)
_Relearn = Result("amun_relearn", Relearn)


class Selected(NamedTuple):
    """What select_rate() returns: the unlearned model of the best learning rate, that rate, and
    what each rate did."""
    model: Model
    rate: float
    trials: List[SelectTrial]


def forget_check(forget: ArrayLike, unseen: ArrayLike, confidence: float = 0.95) -> ForgetCheck:
    """Whether forget samples look like unseen ones, from scores (higher: more like a member): a
    ForgetCheck, whose verdict is two-sided."""
    forget, forget_c = vector(forget, np.float64, "forget")
    unseen, unseen_c = vector(unseen, np.float64, "unseen")
    result = _ForgetCheck.new()
    check(lib.amun_forget_check_scores(result, forget_c, forget.size, unseen_c, unseen.size,
                                       confidence))
    return _ForgetCheck.read(result)


def forget_check_model(model: Model, data: Dataset, forget: Indices, unseen: Dataset,
                       indices: Indices = None, confidence: float = 0.95,
                       progress: ProgressLike = None) -> ForgetCheck:
    """The same on a model: `forget`, indices into `data`; `unseen`: a Dataset that the model never
    saw, or `indices` of it."""
    kept, start, count = indices_of(forget, "forget")
    kept_unseen, unseen_start, unseen_count = indices_of(indices, "indices")
    result = _ForgetCheck.new()
    Call(progress).run(lib.amun_forget_check_model, result, model._c, data._c, start, count,
                       unseen._c, unseen_start, unseen_count, confidence)
    del kept, kept_unseen
    return _ForgetCheck.read(result)


def select_rate(model: Model, data: Dataset, forget: Indices, heldout: Dataset, rates: ArrayLike,
                method: Union[UnlearnMethod, str] = "amun", advset: Optional[AdvSet] = None,
                rule: Union[SelectRule, str, None] = None, tolerance: Optional[float] = None,
                progress: ProgressLike = None, **fields: Any) -> Selected:
    """Runs a method with each learning rate on a copy of `model`: Selected(model, rate, trials)
    with the unlearned model of the best. `fields`: of UnlearnOptions; `train` may be a dict.
    rule, tolerance: fields of SelectOptions; None: the library's defaults."""
    train = fields.get("train")
    if isinstance(train, dict):
        fields["train"] = unlearn_train_options(method, **train)
    unlearn = UnlearnOptions(method=method, **fields)
    options = SelectOptions()
    for name, value in (("rule", rule), ("tolerance", tolerance)):
        if value is not None:
            setattr(options, name, value)
    rates, rates_c = vector(rates, np.float64, "rates")
    kept, start, count = indices_of(forget, "forget")
    trials = ffi.new("amun_select_trial[]", max(rates.size, 1))
    for i in range(rates.size):
        trials[i].struct_size = ffi.sizeof("amun_select_trial")
    best, out = ffi.new("size_t *"), ffi.new("amun_model **")
    Call(progress).run(lib.amun_select_rate, trials, best, out, model._c, data._c, start, count,
                       advset._c if advset is not None else ffi.NULL, heldout._c, rates_c,
                       rates.size, unlearn._struct, options._struct)
    del kept
    told = [_SelectTrial.read(trials[i]) for i in range(rates.size)]
    return Selected(Model._from(out, model.context), float(rates[best[0]]), told)


def relearn_time(model: Model, data: Dataset, forget: Indices, target: float,
                 options: Optional[RelearnOptions] = None, progress: ProgressLike = None,
                 **fields: Unpack[RelearnFields]) -> Relearn:
    """Steps that a copy of `model` needs until it has `target` percent of the forget samples right
    again: a Relearn (steps -1: not in time)."""
    options = options_of(RelearnOptions, options, fields)
    kept, start, count = indices_of(forget, "forget")
    result = _Relearn.new()
    Call(progress).run(lib.amun_relearn_time, result, model._c, data._c, start, count, target,
                       options._struct)
    del kept
    return _Relearn.read(result)
