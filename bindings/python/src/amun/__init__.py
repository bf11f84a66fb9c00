"""amun: machine unlearning on the CPU. A thin layer over the C library libamun.

    import amun
    data = amun.Dataset.idx("digits-images.idx", "digits-labels.idx")
    model = amun.Model.create("digits", channels=1, height=8, width=8)
    amun.train(model, data, epochs=20)

Option structs of the library are classes (TrainOptions, ...), and functions take their fields as
keyword arguments. What is not passed keeps the library's default.
"""
from . import (_attack, _audit, _audit_class, _base, _certify, _clip, _data, _ensemble, _nets,
               _select, _spectral, _trw)
from ._attack import (ApgdOptions, Attack, AdvSet, FfgsmOptions, FgsmOptions, MimOptions,
                      PgdL2Options, PgdLinfOptions, SearchOptions, SquareOptions, StandardOptions)
from ._audit import (Mia, MiaOptions, Report, RivalOptions, RmiaOptions, TrwOptions,
                     UnlearnOptions, auc, rmia_inclusion, rmia_scores, signal,
                     svc_features, svc_mis, tpr_at_fpr, unlearn, unlearn_train_options)
from ._audit_class import (C2stOptions, Distance, Klom, Miann, MiannFeatures, MiannKernel,
                           MiannOptions, SvcmiaOptions, UliraCentre, UliraHoldout, UliraOptions,
                           UliraSamples, UliraScore, UliraVariance, c2st, distance, klom, miann, routing,
                           svcmia_kodge, svcmia_salun, ulira_class, ulira_class_scores, ulira_phi,
                           ulira_samples, zrf)
from ._base import (AmunError, AttackLoss, AttackOutcome, BackendError, BoundKind, BusyError,
                    CancelledError, Clamp, ClipBatchnorm, ClipMethod, Context, ContextOptions,
                    ConvChoice, Dtype, EnsembleMethod, FailurePolicy, FormatError, InternalError,
                    InvalidArgumentError, IoError, LayerKind, LogLevel, LotosMatch, Mode, Norm,
                    NotFoundError, NumericError, Optimiser, OutOfMemoryError, Padding, Progress,
                    RmiaMode, RmiaPopulation, Schedule, SearchMethod, SelectRule, ShapeError,
                    Signal, SpectrumMethod, StateError, TrwControl, TrwScore, UnlearnMethod,
                    UnsupportedError, Verdict, default_context)
from ._certify import Certified, certify, transfer_bound, unlearn_diagnose
from ._clip import Clipper, ClipOptions
from ._data import Dataset, forget_indices, npy_write
from ._ensemble import (BlackBox, Ensemble, EnsembleTrainOptions, LotosOptions, Transfer, transfer,
                        transfer_black_box, transfer_white_box)
from ._nets import (Conv2dOptions, Evaluation, Graph, Model, ModelOptions, PoolOptions,
                    TrainOptions, train)
from ._select import (RelearnOptions, Selected, SelectOptions, forget_check, forget_check_model,
                      relearn_time, select_rate)
from ._spectral import Local, Spectrum, SpectrumOptions, lipschitz_local
from ._trw import (TrwMoment, TrwReference, TrwSelection, TrwSelectOptions, trw_beta_from_reference,
                   trw_mix, trw_moment, trw_sample_scores, trw_scores, trw_select_beta,
                   trw_solve_beta, trw_targets)

MemoryStats = _base.MemoryStats.type
ClipResult = _clip.ClipResult.type
TrainResult = _nets.TrainResult.type
Certificate = _certify.Certificate.type
TransferGap = _certify.TransferGap.type
UnlearnBound = _certify.UnlearnBound.type
TransferResult = _ensemble.TransferResult.type
LayerSpectrum = _spectral.LayerSpectrum
Lipschitz = _spectral.Lipschitz.type
UnlearnResult = _audit.UnlearnResult.type
Audit = _audit.Audit.type
ForgetCheck = _select.ForgetCheck.type
SelectTrial = _select.SelectTrial.type
Relearn = _select.Relearn.type
C2st = _audit_class.C2st.type
Ulira = _audit_class.Ulira.type
Svcmia = _audit_class.Svcmia.type
RECORD = _attack.RECORD  # NumPy type of the rows that attacks return

MARGIN_FALLBACK = _base.lib.AMUN_ATTACK_MARGIN_FALLBACK
RETRIED = _base.lib.AMUN_ATTACK_RETRIED
BY_APGD_CE = _base.lib.AMUN_ATTACK_BY_APGD_CE
BY_APGD_T = _base.lib.AMUN_ATTACK_BY_APGD_T
BY_SQUARE = _base.lib.AMUN_ATTACK_BY_SQUARE
ULIRA_UNSEEN = _base.lib.AMUN_ULIRA_UNSEEN
ULIRA_UNLEARNED = _base.lib.AMUN_ULIRA_UNLEARNED
ULIRA_MEMBER = _base.lib.AMUN_ULIRA_MEMBER
LEGACY_CLAMP = _base.lib.AMUN_ATTACK_LEGACY_CLAMP

__version__ = _base.text(_base.lib.amun_version_string())


def build_info():
    """Version, compiler, backends and features of the running library, as a dict."""
    import json
    return json.loads(_base.text(_base.lib.amun_build_info_json()))


__all__ = [_name for _name in dir() if not _name.startswith("_")]
