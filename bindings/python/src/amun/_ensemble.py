"""Ensembles, and how attacks transfer between models."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

from ._attack import Attack, attack_by
from ._base import (Call, Context, Handle, PathLike, ProgressLike, Result, check, context_of,
                    ffi, indices_of, lib, path_bytes, pointer)
from ._nets import Evaluation, Model, evaluate_by, options_of, predict_by
from ._options import EnsembleTrainOptions
from ._results import TrainResult, TransferResult

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._data import Dataset
    from ._fields import EnsembleTrainFields

_TrainResult = Result("amun_train_result", TrainResult)
_TransferResult = Result("amun_transfer_result", TransferResult)


class Transfer(NamedTuple):
    """What transfer() returns: the summary; rates and numbers of samples that count, [row attacked,
    column judged]."""
    result: TransferResult
    rates: np.ndarray
    eligible: np.ndarray


class BlackBox(NamedTuple):
    """What transfer_black_box() returns: the summary; for each surrogate the rate, the number of
    samples that count, and the share of rightly classified samples that stay so."""
    result: TransferResult
    rates: np.ndarray
    eligible: np.ndarray
    robust: np.ndarray


def _handles(models: Iterable[Model], what: str) -> Tuple[List[Model], Any]:
    """A C array of the handles of `models`, which must outlive it."""
    models = list(models)
    for i, model in enumerate(models):
        if not isinstance(model, Model):
            raise TypeError("%s[%d]: expected Model, got %s" % (what, i, type(model).__name__))
    return models, ffi.new("amun_model *[]", [model._c for model in models])


class Ensemble(Handle):
    """Several models as one: its output is the log of the mean of their softmax rows. Keeps its
    members. One thread at a time."""
    _c_name = "amun_ensemble"

    def __init__(self, models: Iterable[Model], context: Optional[Context] = None) -> None:
        models, array = _handles(models, "models")
        context = context_of(context or (models[0].context if models else None))
        out = ffi.new("amun_ensemble **")
        check(lib.amun_ensemble_create(out, context._c, array, len(models)))
        self._adopt(out, context)

    @classmethod
    def load(cls, folder: PathLike, context: Optional[Context] = None) -> Ensemble:
        """A folder that save() wrote."""
        context = context_of(context)
        return cls._make(context, lib.amun_ensemble_load, context._c, path_bytes(folder))

    def save(self, folder: PathLike) -> None:
        """One safetensors file per member, and ensemble.json with a hash of each."""
        check(lib.amun_ensemble_save(self._c, path_bytes(folder)))

    def __len__(self) -> int:
        """Number of members."""
        return lib.amun_ensemble_count(self._c)

    @property
    def models(self) -> List[Model]:
        """The members, as a list."""
        return [Model._from(lib.amun_model_ref(lib.amun_ensemble_model(self._c, i)), self.context)
                for i in range(len(self))]

    @property
    def classes(self) -> int:
        """Number of logits."""
        return lib.amun_model_classes(lib.amun_ensemble_model(self._c, 0))

    def predict(self, images: ArrayLike, out: Optional[ArrayLike] = None,
                progress: ProgressLike = None) -> np.ndarray:
        """Log-probabilities [n, classes] of images [n, C, H, W] (of a single member: its logits);
        `out`: where to write them."""
        return predict_by(lib.amun_ensemble_predict, self, images, out, progress)

    def evaluate(self, data: Dataset, indices: Indices = None,
                 progress: ProgressLike = None) -> Evaluation:
        """Evaluation(accuracy in percent, mean loss) on all of `data` or on `indices`."""
        return evaluate_by(lib.amun_ensemble_evaluate, self, data, indices, progress)

    def train(self, data: Dataset, indices: Indices = None,
              options: Optional[EnsembleTrainOptions] = None, progress: ProgressLike = None,
              **fields: Unpack[EnsembleTrainFields]) -> TrainResult:
        """Trains all members on the same batches; returns a TrainResult, whose loss and accuracy
        are means over them. `options`: EnsembleTrainOptions; or its fields as keyword arguments,
        `train` and `lotos` as dicts or TrainOptions and LotosOptions."""
        options = options_of(EnsembleTrainOptions, options, fields)
        kept, start, count = indices_of(indices, "indices")
        result = _TrainResult.new()
        Call(progress).run(lib.amun_ensemble_train, result, self._c, data._c, start, count,
                           options._struct)
        del kept
        return _TrainResult.read(result)

    def attack(self, attack: Attack, images: ArrayLike, labels: ArrayLike,
               ids: Optional[Indices] = None, out: Optional[ArrayLike] = None,
               progress: ProgressLike = None) -> Tuple[np.ndarray, np.ndarray]:
        """Attack.run() on the output of the ensemble: (adversarial images, records)."""
        return attack_by(lib.amun_ensemble_attack, attack, self, images, labels, ids, out,
                         progress)


def transfer(models: Iterable[Model], attack: Attack, data: Dataset, indices: Indices = None,
             progress: ProgressLike = None) -> Transfer:
    """T_rate for every ordered pair of models: Transfer(result, rates [row attacked, column
    judged], eligible). The diagonal is the attack's success on the model itself."""
    models, array = _handles(models, "models")
    kept, start, count = indices_of(indices, "indices")
    rates = np.full((len(models), len(models)), np.nan)
    eligible = np.zeros(rates.shape, np.int64)
    result = _TransferResult.new()
    Call(progress).run(lib.amun_transfer_run, result, pointer(rates), pointer(eligible), array,
                       len(models), attack._c, data._c, start, count)
    del kept
    return Transfer(_TransferResult.read(result), rates, eligible)


def transfer_black_box(surrogates: Iterable[Model], attack: Attack, target: Ensemble, data: Dataset,
                       indices: Indices = None, progress: ProgressLike = None) -> BlackBox:
    """Attacks each surrogate and shows the images to the ensemble `target`: BlackBox(result,
    rates, eligible, robust), one number per surrogate."""
    models, array = _handles(surrogates, "surrogates")
    kept, start, count = indices_of(indices, "indices")
    rates, robust = np.full((2, len(models)), np.nan)
    eligible = np.zeros(len(models), np.int64)
    result = _TransferResult.new()
    Call(progress).run(lib.amun_transfer_black_box, result, pointer(rates), pointer(eligible),
                       pointer(robust), array, len(models), attack._c, target._c, data._c, start,
                       count)
    del kept
    return BlackBox(_TransferResult.read(result), rates, eligible, robust)


def transfer_white_box(attack: Attack, target: Ensemble, data: Dataset, indices: Indices = None,
                       progress: ProgressLike = None) -> TransferResult:
    """The attack on the ensemble itself: a TransferResult; `robust` is the share of the rightly
    classified samples that stay so."""
    kept, start, count = indices_of(indices, "indices")
    result = _TransferResult.new()
    Call(progress).run(lib.amun_transfer_white_box, result, attack._c, target._c, data._c, start,
                       count)
    del kept
    return _TransferResult.read(result)
