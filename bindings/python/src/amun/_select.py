"""Settings and alarms that need no retrained model."""
import collections

import numpy as np

from ._audit import UnlearnOptions, unlearn_train_options
from ._base import (Call, Result, Verdict, check, ffi, indices_of, lib, options_class, vector)
from ._nets import Model, options_of

SelectOptions = options_class("SelectOptions", "amun_select_options")
RelearnOptions = options_class("RelearnOptions", "amun_relearn_options")
ForgetCheck = Result("ForgetCheck", "amun_forget_check")
SelectTrial = Result("SelectTrial", "amun_select_trial")
Relearn = Result("Relearn", "amun_relearn")
Selected = collections.namedtuple("Selected", "model rate trials", module="amun")


def _named(struct):
    told = ForgetCheck.read(struct)
    return told._replace(verdict=Verdict(told.verdict))


def forget_check(forget, unseen, confidence=0.95):
    """Whether forget samples look like unseen ones, from scores (higher: more like a member): a
    ForgetCheck, whose verdict is two-sided."""
    forget, forget_c = vector(forget, np.float64, "forget")
    unseen, unseen_c = vector(unseen, np.float64, "unseen")
    result = ForgetCheck.new()
    check(lib.amun_forget_check_scores(result, forget_c, forget.size, unseen_c, unseen.size,
                                       confidence))
    return _named(result)


def forget_check_model(model, data, forget, unseen, indices=None, confidence=0.95, progress=None):
    """The same on a model: `forget`, indices into `data`; `unseen`: a Dataset that the model never
    saw, or `indices` of it."""
    kept, start, count = indices_of(forget, "forget")
    kept_unseen, unseen_start, unseen_count = indices_of(indices, "indices")
    result = ForgetCheck.new()
    Call(progress).run(lib.amun_forget_check_model, result, model._c, data._c, start, count,
                       unseen._c, unseen_start, unseen_count, confidence)
    del kept, kept_unseen
    return _named(result)


def select_rate(model, data, forget, heldout, rates, method="amun", advset=None, rule="samples",
                tolerance=0.5, progress=None, **fields):
    """Runs a method with each learning rate on a copy of `model`: Selected(model, rate, trials) with
    the unlearned model of the best. `fields`: of UnlearnOptions; `train` may be a dict. `rule`:
    "samples" or "classes"."""
    train = fields.get("train")
    if isinstance(train, dict):
        fields["train"] = unlearn_train_options(method, **train)
    unlearn = UnlearnOptions(method=method, **fields)
    options = SelectOptions(rule=rule, tolerance=tolerance)
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
    told = [SelectTrial.read(trials[i]) for i in range(rates.size)]
    return Selected(Model._from(out, model.context), float(rates[best[0]]), told)


def relearn_time(model, data, forget, target, options=None, progress=None, **fields):
    """Steps that a copy of `model` needs until it has `target` percent of the forget samples right
    again: a Relearn (steps -1: not in time)."""
    options = options_of(RelearnOptions, options, fields)
    kept, start, count = indices_of(forget, "forget")
    result = Relearn.new()
    Call(progress).run(lib.amun_relearn_time, result, model._c, data._c, start, count, target,
                       options._struct)
    del kept
    return Relearn.read(result)
