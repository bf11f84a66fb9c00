"""Keyword arguments, as types. Written by gen_cdef.py from include/amun/*.h; do not edit."""
from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Tuple, TypedDict, Union

from ._enums import (ConvChoice, Precision, Padding, Norm, FailurePolicy, SearchMethod,
                     AttackLoss, MiannFeatures, MiannKernel, UliraVariance, UliraCentre,
                     UliraHoldout, UliraScore, ClipMethod, ClipBatchnorm, Schedule, Optimiser,
                     EnsembleMethod, LotosMatch, Signal, RmiaMode, RmiaPopulation, PrototypeScale,
                     TrwScore, TrwControl, UnlearnMethod, SelectRule, SpectrumMethod)
from ._options import (ClipOptions, TrainOptions, LotosOptions, RmiaOptions, RivalOptions,
                     TrwOptions)
from ._struct import PathLike


class CallFields(TypedDict, total=False):
    """Keyword arguments of CallOptions."""
    min_interval_ms: int


class ContextFields(TypedDict, total=False):
    """Keyword arguments of ContextOptions."""
    memory_limit: int
    threads: int
    tune_cache: Optional[PathLike]
    conv: Union[ConvChoice, str]
    precision: Union[Precision, str]


class Conv2dFields(TypedDict, total=False):
    """Keyword arguments of Conv2dOptions."""
    channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    bias: int
    padding: Union[Padding, str]


class PoolFields(TypedDict, total=False):
    """Keyword arguments of PoolOptions."""
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int


class ModelFields(TypedDict, total=False):
    """Keyword arguments of ModelOptions."""
    classes: int
    channels: int
    height: int
    width: int
    seed: int
    mean: float
    std: float


class SearchFields(TypedDict, total=False):
    """Keyword arguments of SearchOptions."""
    norm: Union[Norm, str]
    steps: int
    eps0: float
    growth: float
    step_divisor: float
    eps_max: float
    restart: int
    margin_fallback: int
    on_failure: Union[FailurePolicy, str]
    batch: int
    seed: int
    method: Union[SearchMethod, str]
    pilot: int
    pilot_eps: float
    pilot_percentile: float
    init_norm: float
    gamma: float
    gamma_final: float
    alpha: float
    alpha_final: float


class FgsmFields(TypedDict, total=False):
    """Keyword arguments of FgsmOptions."""
    eps: float
    batch: int


class FfgsmFields(TypedDict, total=False):
    """Keyword arguments of FfgsmOptions."""
    eps: float
    step: float
    seed: int
    batch: int


class PgdLinfFields(TypedDict, total=False):
    """Keyword arguments of PgdLinfOptions."""
    eps: float
    step: float
    steps: int
    random_start: int
    seed: int
    batch: int
    legacy_normalised_clamp: int


class PgdL2Fields(TypedDict, total=False):
    """Keyword arguments of PgdL2Options."""
    eps: float
    step: float
    steps: int
    random_start: int
    seed: int
    batch: int
    legacy_normalised_clamp: int


class MimFields(TypedDict, total=False):
    """Keyword arguments of MimOptions."""
    eps: float
    step: float
    decay: float
    steps: int
    batch: int


class ApgdFields(TypedDict, total=False):
    """Keyword arguments of ApgdOptions."""
    norm: Union[Norm, str]
    loss: Union[AttackLoss, str]
    eps: float
    rho: float
    momentum: float
    steps: int
    restarts: int
    targets: int
    random_start: int
    seed: int
    stop_at_flip: int
    batch: int


class SquareFields(TypedDict, total=False):
    """Keyword arguments of SquareOptions."""
    norm: Union[Norm, str]
    queries: int
    eps: float
    p_init: float
    seed: int
    batch: int


class StandardFields(TypedDict, total=False):
    """Keyword arguments of StandardOptions."""
    norm: Union[Norm, str]
    steps: int
    eps: float
    targets: int
    queries: int
    seed: int
    batch: int


class MiannFields(TypedDict, total=False):
    """Keyword arguments of MiannOptions."""
    features: Union[MiannFeatures, str]
    kernel: Union[MiannKernel, str]
    c: float
    fit_share: float
    top_m: int
    seed: int


class C2stFields(TypedDict, total=False):
    """Keyword arguments of C2stOptions."""
    folds: int
    ridge: float
    seed: int


class UliraFields(TypedDict, total=False):
    """Keyword arguments of UliraOptions."""
    variance: Union[UliraVariance, str]
    centre: Union[UliraCentre, str]
    holdout: Union[UliraHoldout, str]
    score: Union[UliraScore, str]
    floor: float
    neighbour: int


class SvcmiaFields(TypedDict, total=False):
    """Keyword arguments of SvcmiaOptions."""
    limit: int
    seed: int


class ClipFields(TypedDict, total=False):
    """Keyword arguments of ClipOptions."""
    method: Union[ClipMethod, str]
    batchnorm: Union[ClipBatchnorm, str]
    target: float
    batchnorm_target: float
    tol: float
    linear: int
    exact: int
    final_scale: int
    max_rounds: int
    block: int
    every: int
    delay: int
    power_iterations: int
    rounds: int
    inner_steps: int
    iterations: int
    eta: float
    penalty: float
    seed: int


class TrainFields(TypedDict, total=False):
    """Keyword arguments of TrainOptions."""
    epochs: int
    batch: int
    lr: float
    momentum: float
    weight_decay: float
    nesterov: int
    schedule: Union[Schedule, str]
    step_epochs: int
    augment_pad: int
    gamma: float
    warmup: float
    final_factor: float
    label_smoothing: float
    augment_flip: int
    checkpoint_every: int
    seed: int
    checkpoint: Optional[PathLike]
    clip: Union[ClipOptions, Mapping[str, Any], None]
    optimiser: Union[Optimiser, str]
    augment_cutout: int


class LotosFields(TypedDict, total=False):
    """Keyword arguments of LotosOptions."""
    k: int
    match: Union[LotosMatch, str]
    mean: int
    batchnorm: int
    lambda_: float
    mal: float
    batchnorm_lambda: float
    batchnorm_mal: float
    decay: float
    block: int
    power_iterations: int
    initial_iterations: int
    every: int
    pairs: Optional[Sequence[Tuple[int, str, int, str]]]
    pair_count: int
    seed: int


class EnsembleTrainFields(TypedDict, total=False):
    """Keyword arguments of EnsembleTrainOptions."""
    method: Union[EnsembleMethod, str]
    attack_steps: int
    train: Union[TrainOptions, Mapping[str, Any], None]
    lotos: Union[LotosOptions, Mapping[str, Any], None]
    attack_eps: float
    attack_step: float
    trades_beta: float
    adp_alpha: float
    adp_beta: float
    gal_lambda: float
    trs_cosine: float
    trs_smooth: float
    trs_l2: int
    dverge_own: int
    seed: int


class RmiaFields(TypedDict, total=False):
    """Keyword arguments of RmiaOptions."""
    signal: Union[Signal, str]
    taylor_degree: int
    temperature: float
    margin: float
    gamma: float
    mode: Union[RmiaMode, str]
    population: Union[RmiaPopulation, str]
    offline_a: float
    trim: float


class MiaFields(TypedDict, total=False):
    """Keyword arguments of MiaOptions."""
    references: int
    subsamples: int
    seed: int
    rmia: Union[RmiaOptions, Mapping[str, Any], None]


class ProbeFields(TypedDict, total=False):
    """Keyword arguments of ProbeOptions."""
    ridge: float
    limit: int
    stage: int
    seed: int


class PrototypeFields(TypedDict, total=False):
    """Keyword arguments of PrototypeOptions."""
    samples: int
    draws: int
    scale: Union[PrototypeScale, str]
    seed: int


class LossmiaFields(TypedDict, total=False):
    """Keyword arguments of LossmiaOptions."""
    splits: int
    test_share: float
    ridge: float
    seed: int


class QualityFields(TypedDict, total=False):
    """Keyword arguments of QualityOptions."""
    delta: float
    cap: float
    bin: float
    intervals: int


class RivalFields(TypedDict, total=False):
    """Keyword arguments of RivalOptions."""
    any_label: int
    forget_first: int
    ascent_norm: float
    ascent_floor: float
    retain_weight: float
    boundary_step: float
    l1: float
    scrub_temperature: float
    scrub_gamma: float
    scrub_alpha: float
    scrub_ascent_epochs: int
    scrub_rewind: int
    ssd_alpha: float
    ssd_lambda: float
    svd_retain_alpha: float
    svd_forget_alpha: float
    svd_samples: int
    svd_patches: int
    teacher_share: float
    teacher_temperature: float
    unsir_noise: int
    unsir_noise_steps: int
    unsir_noise_lr: float
    unsir_noise_penalty: float
    unsir_copies: int
    unsir_per_class: int
    unsir_repair_lr: float
    last_blocks: int


class TrwFields(TypedDict, total=False):
    """Keyword arguments of TrwOptions."""
    beta: float
    temperature: float
    energy: float
    components: int
    score: Union[TrwScore, str]
    bias: int
    balanced: int
    frozen_statistics: int
    neighbours: int
    kappa: float
    forget_floor: float
    forget_weight: float
    noise: float
    control: Union[TrwControl, str]
    stage: int
    noise_seed: int


class UnlearnFields(TypedDict, total=False):
    """Keyword arguments of UnlearnOptions."""
    method: Union[UnlearnMethod, str]
    remain: int
    train: Union[TrainOptions, Mapping[str, Any], None]
    seed: int
    mask_ratio: float
    rival: Union[RivalOptions, Mapping[str, Any], None]
    trw: Union[TrwOptions, Mapping[str, Any], None]


class TrwSelectFields(TypedDict, total=False):
    """Keyword arguments of TrwSelectOptions."""
    share: float
    tolerance: float
    seed: int


class SelectFields(TypedDict, total=False):
    """Keyword arguments of SelectOptions."""
    rule: Union[SelectRule, str]
    tolerance: float


class RelearnFields(TypedDict, total=False):
    """Keyword arguments of RelearnOptions."""
    lr: float
    batch: int
    every: int
    most_epochs: int
    seed: int


class SpectrumFields(TypedDict, total=False):
    """Keyword arguments of SpectrumOptions."""
    method: Union[SpectrumMethod, str]
    k: int
    block: int
    max_iterations: int
    tol: float
    mu: float
    fold_batchnorm: int
    certify: int
    seed: int
    certify_cost: float
