"""Ensembles, and how attacks transfer between models."""
import collections

import numpy as np

from ._attack import attack_by
from ._base import (NESTED, Call, Handle, Options, Result, check, default_context, ffi, indices_of,
                    lib, options_class, path_bytes, pointer)
from ._nets import Model, TrainResult, evaluate_by, options_of, predict_by


class LotosOptions(Options):
    """Fields of amun_lotos_options; see the C header. `lambda` is a word of the language: the
    field is `lambda_` here. `pairs`: (member, layer, member, layer) each."""
    __module__ = "amun"
    _c_name = "amun_lotos_options"

    def __setattr__(self, name, value):
        super().__setattr__("lambda" if name == "lambda_" else name, value)

    def __getattr__(self, name):
        return super().__getattr__("lambda" if name == "lambda_" else name)

    def _pointer(self, name, kind, value):
        if value is None:
            return super()._pointer(name, kind, value)
        value = [(int(a), str(b), int(c), str(d)) for a, b, c, d in value]
        rows = ffi.new("amun_layer_pair[]", len(value))
        texts = [ffi.new("char[]", text.encode()) for row in value for text in row[1::2]]
        for i, (row, (model_a, _, model_b, _)) in enumerate(zip(rows, value)):
            row.model_a, row.model_b = model_a, model_b
            row.layer_a, row.layer_b = texts[2 * i:2 * i + 2]
        self._kept.update({name: (rows, texts), name + ".": value})
        self._struct.pair_count = len(value)
        return rows


NESTED[LotosOptions._c_name] = LotosOptions
EnsembleTrainOptions = options_class("EnsembleTrainOptions", "amun_ensemble_train_options")
TransferResult = Result("TransferResult", "amun_transfer_result")
Transfer = collections.namedtuple("Transfer", "result rates eligible", module="amun")
BlackBox = collections.namedtuple("BlackBox", "result rates eligible robust", module="amun")


def _handles(models, what):
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

    def __init__(self, models, context=None):
        models, array = _handles(models, "models")
        context = context or (models[0].context if models else default_context())
        out = ffi.new("amun_ensemble **")
        check(lib.amun_ensemble_create(out, context._c, array, len(models)))
        self._adopt(out, context)

    @classmethod
    def load(cls, folder, context=None):
        """A folder that save() wrote."""
        context = context or default_context()
        return cls._make(context, lib.amun_ensemble_load, context._c, path_bytes(folder))

    def save(self, folder):
        """One safetensors file per member, and ensemble.json with a hash of each."""
        check(lib.amun_ensemble_save(self._c, path_bytes(folder)))

    def __len__(self):
        return lib.amun_ensemble_count(self._c)

    @property
    def models(self):
        """The members, as a list."""
        return [Model._from(lib.amun_model_ref(lib.amun_ensemble_model(self._c, i)), self.context)
                for i in range(len(self))]

    @property
    def classes(self):
        return lib.amun_model_classes(lib.amun_ensemble_model(self._c, 0))

    def predict(self, images, out=None, progress=None):
        """Log-probabilities [n, classes] of images [n, C, H, W] (of a single member: its logits);
        `out`: where to write them."""
        return predict_by(lib.amun_ensemble_predict, self, images, out, progress)

    def evaluate(self, data, indices=None, progress=None):
        """Evaluation(accuracy in percent, mean loss) on all of `data` or on `indices`."""
        return evaluate_by(lib.amun_ensemble_evaluate, self, data, indices, progress)

    def train(self, data, indices=None, options=None, progress=None, **fields):
        """Trains all members on the same batches; returns a TrainResult, whose loss and accuracy
        are means over them. `options`: EnsembleTrainOptions; or its fields as keyword arguments,
        `train` and `lotos` as dicts or TrainOptions and LotosOptions."""
        options = options_of(EnsembleTrainOptions, options, fields)
        kept, start, count = indices_of(indices, "indices")
        result = TrainResult.new()
        Call(progress).run(lib.amun_ensemble_train, result, self._c, data._c, start, count,
                           options._struct)
        del kept
        return TrainResult.read(result)

    def attack(self, attack, images, labels, ids=None, out=None, progress=None):
        """Attack.run() on the output of the ensemble: (adversarial images, records)."""
        return attack_by(lib.amun_ensemble_attack, attack, self, images, labels, ids, out,
                         progress)


def transfer(models, attack, data, indices=None, progress=None):
    """T_rate for every ordered pair of models: Transfer(result, rates [row attacked, column
    judged], eligible). The diagonal is the attack's success on the model itself."""
    models, array = _handles(models, "models")
    kept, start, count = indices_of(indices, "indices")
    rates = np.full((len(models), len(models)), np.nan)
    eligible = np.zeros(rates.shape, np.int64)
    result = TransferResult.new()
    Call(progress).run(lib.amun_transfer_run, result, pointer(rates), pointer(eligible), array,
                       len(models), attack._c, data._c, start, count)
    del kept
    return Transfer(TransferResult.read(result), rates, eligible)


def transfer_black_box(surrogates, attack, target, data, indices=None, progress=None):
    """Attacks each surrogate and shows the images to the ensemble `target`: BlackBox(result, rates,
    eligible, robust), one number per surrogate."""
    models, array = _handles(surrogates, "surrogates")
    kept, start, count = indices_of(indices, "indices")
    rates, robust = np.full((2, len(models)), np.nan)
    eligible = np.zeros(len(models), np.int64)
    result = TransferResult.new()
    Call(progress).run(lib.amun_transfer_black_box, result, pointer(rates), pointer(eligible),
                       pointer(robust), array, len(models), attack._c, target._c, data._c, start,
                       count)
    del kept
    return BlackBox(TransferResult.read(result), rates, eligible, robust)


def transfer_white_box(attack, target, data, indices=None, progress=None):
    """The attack on the ensemble itself: a TransferResult; `robust` is the share of the rightly
    classified samples that stay so."""
    kept, start, count = indices_of(indices, "indices")
    result = TransferResult.new()
    Call(progress).run(lib.amun_transfer_white_box, result, attack._c, target._c, data._c, start,
                       count)
    del kept
    return TransferResult.read(result)
