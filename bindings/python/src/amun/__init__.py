"""amun: machine unlearning on the CPU. A thin layer over the C library libamun.

    import amun
    data = amun.Dataset.idx("digits-images.idx", "digits-labels.idx")
    model = amun.Model.create("digits", channels=1, height=8, width=8)
    amun.train(model, data, epochs=20)

Option structs of the library are classes (TrainOptions, ...), and functions take their fields as
keyword arguments. What is not passed keeps the library's default.
"""
from __future__ import annotations

from typing import Any, Dict

from . import _enums, _options, _results
from ._attack import RECORD, AdvSet, Attack
from ._audit import (Mia, Report, auc, rmia_inclusion, rmia_scores, signal, svc_features, svc_mis,
                     tpr_at_fpr, unlearn, unlearn_train_options)
from ._audit_class import (Klom, c2st, distance, klom, miann, routing, svcmia_kodge, svcmia_salun,
                           ulira_class, ulira_class_scores, ulira_phi, ulira_samples, zrf)
from ._certify import Certified, certify, transfer_bound, unlearn_diagnose
from ._clip import Clipper
from ._data import Dataset, forget_indices, npy_write
from ._ensemble import (BlackBox, Ensemble, Transfer, transfer, transfer_black_box,
                        transfer_white_box)
from ._enums import *  # noqa: F403
from ._errors import (AmunError, BackendError, BusyError, CancelledError, FormatError,
                      InternalError, InvalidArgumentError, IoError, NotFoundError, NumericError,
                      OutOfMemoryError, ShapeError, StateError, UnsupportedError)
from ._errors import text as _text
from ._handle import Context, default_context
from ._lib import lib as _library
from ._nets import Evaluation, Graph, Model, architectures, train
from ._options import *  # noqa: F403
from ._probe import (features, forget_quality, gap, loss_attack, loss_attack_logits, probe,
                     probe_model, prototype, prototype_model)
from ._results import *  # noqa: F403
from ._select import Selected, forget_check, forget_check_model, relearn_time, select_rate
from ._spectral import Local, Spectrum, lipschitz_local
from ._trw import (TrwMoment, TrwReference, TrwSelection, trw_beta_from_reference, trw_mix,
                   trw_moment, trw_sample_scores, trw_scores, trw_select_beta, trw_solve_beta,
                   trw_targets)

# in the column "flags" of the rows that attacks return
MARGIN_FALLBACK: int = _library.AMUN_ATTACK_MARGIN_FALLBACK
RETRIED: int = _library.AMUN_ATTACK_RETRIED
BY_APGD_CE: int = _library.AMUN_ATTACK_BY_APGD_CE
BY_APGD_T: int = _library.AMUN_ATTACK_BY_APGD_T
BY_SQUARE: int = _library.AMUN_ATTACK_BY_SQUARE
LEGACY_CLAMP: int = _library.AMUN_ATTACK_LEGACY_CLAMP
# what a model did with a sample, for ulira_samples()
ULIRA_UNSEEN: int = _library.AMUN_ULIRA_UNSEEN
ULIRA_UNLEARNED: int = _library.AMUN_ULIRA_UNLEARNED
ULIRA_MEMBER: int = _library.AMUN_ULIRA_MEMBER

__version__: str = _text(_library.amun_version_string())


def build_info() -> Dict[str, Any]:
    """Version, compiler, backends and features of the running library, as a dict."""
    import json
    return json.loads(_text(_library.amun_build_info_json()))


__all__ = [
    "AdvSet", "AmunError", "Attack", "BY_APGD_CE", "BY_APGD_T", "BY_SQUARE", "BackendError",
    "BlackBox", "BusyError", "CancelledError", "Certified", "Clipper", "Context", "Dataset",
    "Ensemble", "Evaluation", "FormatError", "Graph", "InternalError", "InvalidArgumentError",
    "IoError", "Klom", "LEGACY_CLAMP", "Local", "MARGIN_FALLBACK", "Mia", "Model", "NotFoundError",
    "NumericError", "OutOfMemoryError", "RECORD", "RETRIED", "Report", "Selected", "ShapeError",
    "Spectrum", "StateError", "Transfer", "TrwMoment", "TrwReference", "TrwSelection",
    "ULIRA_MEMBER", "ULIRA_UNLEARNED", "ULIRA_UNSEEN", "UnsupportedError", "architectures", "auc",
    "build_info", "c2st", "certify", "default_context", "distance", "features", "forget_check",
    "forget_check_model", "forget_indices", "forget_quality", "gap", "klom", "lipschitz_local",
    "loss_attack", "loss_attack_logits", "miann", "npy_write", "probe", "probe_model", "prototype",
    "prototype_model", "relearn_time", "rmia_inclusion", "rmia_scores", "routing", "select_rate",
    "signal", "svc_features", "svc_mis", "svcmia_kodge", "svcmia_salun", "tpr_at_fpr", "train",
    "transfer", "transfer_black_box", "transfer_bound", "transfer_white_box",
    "trw_beta_from_reference", "trw_mix", "trw_moment", "trw_sample_scores", "trw_scores",
    "trw_select_beta", "trw_solve_beta", "trw_targets", "ulira_class", "ulira_class_scores",
    "ulira_phi", "ulira_samples", "unlearn", "unlearn_diagnose", "unlearn_train_options", "zrf",
]
__all__ += _enums.__all__ + _options.__all__ + _results.__all__
