"""Option structs. Written by gen_cdef.py from include/amun/*.h; do not edit."""
from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Sequence, Tuple

from ._enums import (ConvChoice, Precision, Padding, Norm, FailurePolicy, SearchMethod,
                     AttackLoss, MiannFeatures, MiannKernel, UliraVariance, UliraCentre,
                     UliraHoldout, UliraScore, ClipMethod, ClipBatchnorm, Schedule, Optimiser,
                     EnsembleMethod, LotosMatch, Signal, RmiaMode, RmiaPopulation, PrototypeScale,
                     TrwScore, TrwControl, UnlearnMethod, SelectRule, SpectrumMethod)
from ._struct import Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from . import _fields


__all__ = ["CallOptions", "ContextOptions", "Conv2dOptions", "PoolOptions", "ModelOptions",
           "SearchOptions", "FgsmOptions", "FfgsmOptions", "PgdLinfOptions", "PgdL2Options",
           "MimOptions", "ApgdOptions", "SquareOptions", "StandardOptions", "MiannOptions",
           "C2stOptions", "UliraOptions", "SvcmiaOptions", "ClipOptions", "TrainOptions",
           "LotosOptions", "EnsembleTrainOptions", "RmiaOptions", "MiaOptions", "ProbeOptions",
           "PrototypeOptions", "LossmiaOptions", "QualityOptions", "RivalOptions", "TrwOptions",
           "UnlearnOptions", "TrwSelectOptions", "SelectOptions", "RelearnOptions",
           "SpectrumOptions"]


class CallOptions(Options):
    """Options common to every long call; passed last, nullable.

    Fields:
      min_interval_ms: shortest time between two callbacks, default 100, range [0, 3600000]
    """
    _c_name = "amun_call_options"
    _init = "amun_call_options_init"
    min_interval_ms: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.CallFields]) -> None: ...


class ContextOptions(Options):
    """tune_cache: when a plan is compiled, each convolution whose shape is not in the file yet is
    timed once with every kind of code that can do it (some seconds for a large network), and
    the fastest is written there, for each direction; from then on the file decides, so the same
    file gives the same bytes. Entries count only for the CPU, the versions of oneDNN and of the
    library, and the number of threads that they were measured with; others stay in the file
    untouched. A missing file is made. Calls that compile plans (train, predict, attack, ...)
    fail with FORMAT if the file is damaged or of a later schema, with IO or NOT_FOUND if it
    cannot be read or written. A `conv` other than AUTO leaves nothing to choose, and the file
    alone; so does a build without oneDNN.

    Fields:
      memory_limit: bytes through this context, default 0 = no limit
      threads: default 0 = the runtime's choice, range [0, 1024]
      tune_cache: file of measured choices, copied. Default NULL: AMUN_TUNE_CACHE in the
          environment, else nothing is ever timed
      conv: default AUTO: AMUN_CONV in the environment ("auto", "direct", "winograd", "own"), else
          the file or the fixed rule. Where CPU or oneDNN lack what is asked for, compiling a plan
          gives UNSUPPORTED
      precision: default AUTO. BF16 without oneDNN: training and attacks give UNSUPPORTED
    """
    _c_name = "amun_context_options"
    _init = "amun_context_options_init"
    memory_limit: int
    threads: int
    tune_cache: Optional[str]
    conv: ConvChoice
    precision: Precision

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.ContextFields]) -> None: ...


class Conv2dOptions(Options):
    """Geometry of a convolution: cross-correlation, as in PyTorch's Conv2d.

    Fields:
      channels: output channels, range [1, 65536]; must be set
      kernel_h: default 3, range [1, 64]
      kernel_w: default 3, range [1, 64]
      stride_h: default 1, range [1, 64]
      stride_w: default 1, range [1, 64]
      pad_h: padding on both sides, default 1, range [0, 64]
      pad_w: padding on both sides, default 1, range [0, 64]
      dilation_h: default 1 (dense), range [1, 64]
      dilation_w: default 1 (dense), range [1, 64]
      groups: default 1; must divide input and output channels
      bias: default 0
      padding: default Padding.ZERO
    """
    _c_name = "amun_conv2d_options"
    _init = "amun_conv2d_options_init"
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
    padding: Padding

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.Conv2dFields]) -> None: ...


class PoolOptions(Options):
    """Window of a pooling node. Output extents round down.

    Fields:
      kernel_h: default 2, range [1, 1024]
      kernel_w: default 2, range [1, 1024]
      stride_h: default 2, range [1, 1024]
      stride_w: default 2, range [1, 1024]
      pad_h: default 0, at most kernel / 2
      pad_w: default 0, at most kernel / 2
    """
    _c_name = "amun_pool_options"
    _init = "amun_pool_options_init"
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.PoolFields]) -> None: ...


class ModelOptions(Options):
    """Input, output and initial weights of a named architecture.

    Fields:
      classes: default 10, range [2, 65536]
      channels: default 3, range [1, 1024]
      height: default 32, range [1, 4096]
      width: default 32, range [1, 4096]
      seed: of the initial weights, default 0
      mean: (x - mean) / std comes first, as amun_graph_normalise() does, here with the same
          numbers for every channel; default 0, range [-1e12, 1e12]
      std: default 0: there is no such node, and mean must be 0; else range [1e-12, 1e12]
    """
    _c_name = "amun_model_options"
    _init = "amun_model_options_init"
    classes: int
    channels: int
    height: int
    width: int
    seed: int
    mean: float
    std: float

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.ModelFields]) -> None: ...


class SearchOptions(Options):
    """Nearest adversarial example, one search per sample. EPSILON ends at the first flip; DDN and
    FMN take `steps` steps in all, and the nearest wrong iterate is the result; `eps` of the
    record is then the radius at which it was found (0: wrong already). A sample that is wrong
    already is returned unchanged. alpha_k, and gamma_k of FMN, fall along half a cosine: v_k =
    v_final + (v - v_final) (1 + cos(pi k / steps)) / 2, k = 0 .. steps - 1. DDN and FMN know
    Norm.L2 only, and no pilot (INVALID_ARGUMENT).

    Fields:
      norm: default Norm.L2
      steps: gradient steps, EPSILON: per radius, DDN and FMN: in all; default 50, range [1,
          10000]
      eps0: EPSILON: first radius, default 0.04, range (0, 1000]; all: of the random start of
          FailurePolicy.RETRY
      growth: EPSILON: radius factor between rounds, default 2, range (1, 100]
      step_divisor: EPSILON: step = eps / step_divisor, default 10, range [1, 10000]
      eps_max: no radius beyond this; default 0 = sqrt(C*H*W) for L2, 1 for Linf (the ball that
          holds every image); range [0, 100000], not below eps0
      restart: EPSILON, default 0: the next radius goes on from where the last one ended; 1: it
          starts from the image
      margin_fallback: default 1: gradient of the margin where softmax is saturated (norm of its
          gradient below 1e-8)
      on_failure: default FailurePolicy.LEAVE_OUT
      batch: slots, default 128, range [1, 4096]
      seed: for FailurePolicy.RETRY; default 0
      method: default SearchMethod.EPSILON
      pilot: EPSILON: how many samples, the first of the input, are searched from `pilot_eps`; all
          others then start at a percentile of the radii at which those flipped (none flipped: at
          eps0). The pilot keeps its results. They depend on the samples given and their order,
          not on the batch. Default 0: everything starts at eps0; range [0, 1000000]
      pilot_eps: default 0.01, range (0, 1000], not above eps_max
      pilot_percentile: nearest rank; default 50, range [0, 100]
      init_norm: DDN: radius before the first step, default 1, range (0, 1000]
      gamma: DDN, FMN: default 0.05, range [0, 0.9]
      gamma_final: FMN: default 0.001, range [0, 0.9]
      alpha: DDN, FMN: length of a step, default 1, range (0, 1000]
      alpha_final: DDN, FMN: default 0.01, range [0, 1000]
    """
    _c_name = "amun_search_options"
    _init = "amun_search_options_init"
    norm: Norm
    steps: int
    eps0: float
    growth: float
    step_divisor: float
    eps_max: float
    restart: int
    margin_fallback: int
    on_failure: FailurePolicy
    batch: int
    seed: int
    method: SearchMethod
    pilot: int
    pilot_eps: float
    pilot_percentile: float
    init_norm: float
    gamma: float
    gamma_final: float
    alpha: float
    alpha_final: float

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.SearchFields]) -> None: ...


class FgsmOptions(Options):
    """FGSM: clamp01(x + eps * sign(g)), with sign(0) = 0 (Goodfellow et al., arXiv 1412.6572).

    Fields:
      eps: default 8/255, range [0, 1]
      batch: samples per plan, default 128, range [1, 4096]
    """
    _c_name = "amun_fgsm_options"
    _init = "amun_fgsm_options_init"
    eps: float
    batch: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.FgsmFields]) -> None: ...


class FfgsmOptions(Options):
    """FFGSM: random start in the Linf ball, one step of size `step`, projection (Wong et al.,
    arXiv 2001.03994).

    Fields:
      eps: default 8/255, range [0, 1]
      step: default 10/255, range [0, 1]
      seed: default 0; starts are keyed by (seed, sample id)
      batch: default 128, range [1, 4096]
    """
    _c_name = "amun_ffgsm_options"
    _init = "amun_ffgsm_options_init"
    eps: float
    step: float
    seed: int
    batch: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.FfgsmFields]) -> None: ...


class PgdLinfOptions(Options):
    """PGD in the Linf or the L2 ball (Madry et al., arXiv 1706.06083). L2 steps follow g / (|g| +
    1e-10); an L2 random start has a radius uniform in [0, eps).

    Fields:
      eps: Linf default 8/255, L2 default 1.0; range [0, 1000]
      step: Linf default 2/255, L2 default 0.2; range [0, 1000]
      steps: default 10, range [1, 10000]
      random_start: default 1; 0: start from the image
      seed: default 0; starts are keyed by (seed, sample id)
      batch: default 128, range [1, 4096]
      legacy_normalised_clamp: default 0; 1: see Clamp, Linf only
    """
    _c_name = "amun_pgd_options"
    _init = "amun_pgd_linf_options_init"
    eps: float
    step: float
    steps: int
    random_start: int
    seed: int
    batch: int
    legacy_normalised_clamp: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.PgdLinfFields]) -> None: ...


class PgdL2Options(Options):
    """PGD in the Linf or the L2 ball (Madry et al., arXiv 1706.06083). L2 steps follow g / (|g| +
    1e-10); an L2 random start has a radius uniform in [0, eps).

    Fields:
      eps: Linf default 8/255, L2 default 1.0; range [0, 1000]
      step: Linf default 2/255, L2 default 0.2; range [0, 1000]
      steps: default 10, range [1, 10000]
      random_start: default 1; 0: start from the image
      seed: default 0; starts are keyed by (seed, sample id)
      batch: default 128, range [1, 4096]
      legacy_normalised_clamp: default 0; 1: see Clamp, Linf only
    """
    _c_name = "amun_pgd_options"
    _init = "amun_pgd_l2_options_init"
    eps: float
    step: float
    steps: int
    random_start: int
    seed: int
    batch: int
    legacy_normalised_clamp: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.PgdL2Fields]) -> None: ...


class MimOptions(Options):
    """MI-FGSM, or MIM: Linf steps along an accumulated gradient, v = decay * v + g / |g|_1; a +=
    step * sign(v); no random start (Dong et al., arXiv 1710.06081).

    Fields:
      eps: default 8/255, range [0, 1000]
      step: default 2/255, range [0, 1000]
      decay: default 1, range [0, 10]
      steps: default 10, range [1, 10000]
      batch: default 128, range [1, 4096]
    """
    _c_name = "amun_mim_options"
    _init = "amun_mim_options_init"
    eps: float
    step: float
    decay: float
    steps: int
    batch: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.MimFields]) -> None: ...


class ApgdOptions(Options):
    """Auto-PGD (Croce & Hein, arXiv 2003.01690, Algorithm 1): PGD with momentum whose step, 2 eps
    at first, is halved at the checkpoints ceil(p_j * steps), p = 0, 0.22, 0.41, 0.57, ..., if
    fewer than rho of the updates since the last one raised the loss, or if neither step nor
    best loss changed; it then goes on from the best point. The result is the iterate with the
    highest loss, a flipped one before all others.

    Fields:
      norm: default Norm.LINF
      loss: default AttackLoss.CE
      eps: default 8/255 (usual for L2: 0.5), range [0, 1000]
      rho: default 0.75, range [0, 1]
      momentum: weight of the new step, alpha in the paper; default 0.75, [0, 1]
      steps: gradient steps per start, default 100, range [1, 10000]
      restarts: starts (per target) until a flip, default 1, range [1, 100]
      targets: DLR_TARGETED: the rivals with the largest logits on the clean image; default 9,
          range [1, 100], at most classes - 1 are used
      random_start: default 1; 0: from the image
      seed: default 0; starts are keyed by (seed, sample id, number of start)
      stop_at_flip: default 0; 1: the first flipped iterate is the result, a sample that is wrong
          already is returned unchanged
      batch: slots, default 128, range [1, 4096]
    """
    _c_name = "amun_apgd_options"
    _init = "amun_apgd_options_init"
    norm: Norm
    loss: AttackLoss
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

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.ApgdFields]) -> None: ...


class SquareOptions(Options):
    """Square attack (Andriushchenko et al., arXiv 1912.00049): random search on the margin of the
    label, by changing square windows; no gradients. Ends at the first flip; else the result is
    the image with the smallest margin. A sample that is wrong already is returned unchanged.
    `updates` in the record counts queries, without that of the clean image.

    Fields:
      norm: default Norm.LINF
      queries: default 5000, range [1, 1000000]
      eps: default 8/255 (usual for L2: 0.5), range [0, 1000]
      p_init: share of the image that the first windows cover, default 0.8, range (0, 1]; halved
          after 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 of 10000 queries, in proportion
      seed: default 0; draws are keyed by (seed, sample id, query)
      batch: slots, default 128, range [1, 4096]
    """
    _c_name = "amun_square_options"
    _init = "amun_square_options_init"
    norm: Norm
    queries: int
    eps: float
    p_init: float
    seed: int
    batch: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.SquareFields]) -> None: ...


class StandardOptions(Options):
    """Worst case of three attacks, as in AutoAttack (arXiv 2003.01690; its FAB attack is left
    out): APGD on the cross-entropy, APGD on the targeted DLR loss, Square, with their defaults
    and stop_at_flip. Each works on the samples that those before it did not flip; NOT_FLIPPED
    is who survives all of them, and flags say who flipped the others. A failure in one attack
    stays the outcome unless another flips the sample. Progress: one phase "attack" per attack.

    Fields:
      norm: default Norm.LINF
      steps: of APGD, default 100, range [1, 10000]
      eps: default 8/255 (usual for L2: 0.5), range [0, 1000]
      targets: of APGD, default 9, range [1, 100]
      queries: of Square, default 5000, range [1, 1000000]
      seed: default 0
      batch: default 128, range [1, 4096]
    """
    _c_name = "amun_standard_options"
    _init = "amun_standard_options_init"
    norm: Norm
    steps: int
    eps: float
    targets: int
    queries: int
    seed: int
    batch: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.StandardFields]) -> None: ...


class MiannOptions(Options):
    """Fields of amun_miann_options.

    Fields:
      features: default MiannFeatures.LOGITS
      kernel: default MiannKernel.LINEAR
      c: cost of the support-vector machines; default 0: 1, with RBF 3; range [0, 1e6]
      fit_share: of each retained class that they are fitted on, default 0.5, range [0.1, 0.9]
      top_m: classes in the top gap, default 3, range [1, 65536]; more than there are: all
      seed: of the split, the same for all models; default 0
    """
    _c_name = "amun_miann_options"
    _init = "amun_miann_options_init"
    features: MiannFeatures
    kernel: MiannKernel
    c: float
    fit_share: float
    top_m: int
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.MiannFields]) -> None: ...


class C2stOptions(Options):
    """Fields of amun_c2st_options.

    Fields:
      folds: of the cross-validation, default 5, range [2, 100]
      ridge: penalty ridge / 2 |w|^2 on standardised features, default 1, range [1e-9, 1e9]
      seed: of the folds, the same for all pairs; default 0
    """
    _c_name = "amun_c2st_options"
    _init = "amun_c2st_options_init"
    folds: int
    ridge: float
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.C2stFields]) -> None: ...


class UliraOptions(Options):
    """Fields of amun_ulira_options.

    Fields:
      variance: default UliraVariance.POOLED
      centre: default UliraCentre.AUTO
      holdout: default UliraHoldout.EACH; class level only
      score: default UliraScore.OWN; of amun_ulira_class() only
      floor: smallest deviation, default 1e-3, range [1e-12, 1e3]
      neighbour: a retained class (Miann.neighbour); default -1: none, range [-1, 1e9]; for
          NEIGHBOUR and JOINT
    """
    _c_name = "amun_ulira_options"
    _init = "amun_ulira_options_init"
    variance: UliraVariance
    centre: UliraCentre
    holdout: UliraHoldout
    score: UliraScore
    floor: float
    neighbour: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.UliraFields]) -> None: ...


class SvcmiaOptions(Options):
    """Fields of amun_svcmia_options.

    Fields:
      limit: rows per side of the fit, drawn from larger sets; default 5000, range [0, 1e8]; 0: as
          published, all of them (SalUn: the first rows, as many as the smaller side has)
      seed: of the draws; default 0
    """
    _c_name = "amun_svcmia_options"
    _init = "amun_svcmia_options_init"
    limit: int
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.SvcmiaFields]) -> None: ...


class ClipOptions(Options):
    """Fields of amun_clip_options.

    Fields:
      method: default ClipMethod.BLOCK
      batchnorm: default ClipBatchnorm.LEAVE
      target: c of convolutions and dense layers, default 1, range (0, 1e6]
      batchnorm_target: of batch norms, or of the composite, default 1
      tol: of the singular values, default 1e-3, range (0, 1]
      linear: 1 (default): dense layers too. SCALE, MIYATO and GOUK by their own rule, all others
          exactly: U min(S, c) V'. BLOCK also treats 1x1 convolutions and those with kernel <=
          stride so, without padding
      exact: BLOCK, LEGACY, SCALE. 1: a convolution's norm that is more than 0.05 below c is
          raised, too; default 0
      final_scale: amun_clipper_run(): 1 (default): last, multiply by min(1, c / sigma_upper), so
          that the norm certainly is at most c. Composite: the scales of the batch norm
      max_rounds: amun_clipper_run(): extractions at most, default 400, range [1, 100000]
      block: vectors, default 0: 16, in amun_train_run() 2 (each step pays for them); LEGACY 1;
          range [0, 128]
      every: in training: steps between clips, default 100, range [1, 1000000]
      delay: in training: clips at steps above this only, default 0 (the first step is 0, so it
          never clips), range [0, 1e9]
      power_iterations: in training: per step, default 1, range [0, 1000]
      rounds: in training: extractions per clip, default 1, range [1, 1000]
      inner_steps: LEGACY, default 5 (the authors': 1 without batch norm), range [1, 1000]
      iterations: of the rivals' own estimates; default 0: as published (MIYATO 1, GOUK 5,
          DELATTRE_2023 6, DELATTRE_2024 4; SEDGHI, SENDEROVICH: passes, 1)
      eta: LEGACY: step size, default 0: 0.35, composite 0.01; range [0, 1000]
      penalty: DELATTRE_2023: factor, default 0.1, range [0, 1e6]
      seed: of the starting vectors, default 0
    """
    _c_name = "amun_clip_options"
    _init = "amun_clip_options_init"
    method: ClipMethod
    batchnorm: ClipBatchnorm
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

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.ClipFields]) -> None: ...


class TrainOptions(Options):
    """SGD training, with PyTorch's arithmetic: g += weight_decay * w; v = momentum * v + g (first
    step: v = g); w -= lr * v, or lr * (g + momentum * v) with Nesterov. The loss is the mean
    cross-entropy of a batch. Defaults: the base models of arXiv 2503.00917, appendix C.

    Fields:
      epochs: default 200, range [0, 100000]
      batch: default 128, range [1, 65536]; an epoch's last one may be short
      lr: default 0.1, range [0, 1000]
      momentum: default 0.9, range [0, 1)
      weight_decay: on every parameter, default 5e-4, range [0, 1]
      nesterov: default 0
      schedule: default Schedule.STEP
      step_epochs: default 40, range [1, 100000]
      augment_pad: zero padding before the random crop, default 4, range [0, 64]; 0: no crop
      gamma: default 0.1, range (0, 1]
      warmup: share of all steps (COSINE, ONECYCLE), default 0.25, range [0, 1]
      final_factor: default 0, range [0, 1]
      label_smoothing: default 0, range [0, 1)
      augment_flip: horizontal flip with probability 1/2, default 1
      checkpoint_every: epochs between checkpoints, default 1, range [1, 100000]
      seed: order, crops, flips, cutouts; default 0
      checkpoint: file to write and, if it exists, to go on from; default NULL. Written before the
          first step (so that a path which cannot be written is found at once), every
          checkpoint_every epochs and after the last. A finished run leaves it; a resumed run ends
          with the same bytes as one that was never interrupted (same thread count). A checkpoint
          of other options, data or architecture gives STATE, naming the differences; a damaged
          one gives FORMAT.
      clip: layers held to a spectral norm, default NULL: none. Read during the call. The method
          delattre_2023 penalises without appearing in the loss that is reported. See amun/clip.h
      optimiser: default Optimiser.SGD. ADAM is PyTorch's: g += weight_decay * w; m = beta1 m + (1
          - beta1) g; v = 0.999 v + 0.001 g^2; in step t w -= lr (m / (1 - beta1^t)) / (sqrt(v /
          (1 - 0.999^t)) + 1e-8), with `momentum` as beta1 and without nesterov, which must be 0
      augment_cutout: side of a square around a random pixel that gets the channel's mean in the
          image, in pixels, after crop and flip, default 0: none, range [0, 1024]. DeVries &
          Taylor, arXiv 1708.04552
    """
    _c_name = "amun_train_options"
    _init = "amun_train_options_init"
    epochs: int
    batch: int
    lr: float
    momentum: float
    weight_decay: float
    nesterov: int
    schedule: Schedule
    step_epochs: int
    augment_pad: int
    gamma: float
    warmup: float
    final_factor: float
    label_smoothing: float
    augment_flip: int
    checkpoint_every: int
    seed: int
    checkpoint: Optional[str]
    clip: Optional[ClipOptions]
    optimiser: Optimiser
    augment_cutout: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.TrainFields]) -> None: ...


class LotosOptions(Options):
    """LOTOS (arXiv 2410.05136): for each ordered pair of corresponding layers, f maps the leading
    right singular vectors of g to vectors no longer than `mal`. Adds to the loss lambda * sum_i
    w_i relu(|f v'_i| - mal), w_i falling by `decay`.

    Fields:
      k: vectors per layer, default 1, range [1, 64]
      match: default LotosMatch.BY_INDEX
      mean: 0 (default): sum over layers and ordered pairs, as the authors' program; 1: each
          member gets the mean over its own, lambda as in the paper's equation 3.4
      batchnorm: 1: convolution and batch norm as one map too, in evaluation mode, in each pair
          both or neither; default 0
      lambda_: default 0.05 (with batch norm the authors take 0.01), range [0, 1e6]
      mal: largest length that costs nothing, default 0.8, range [0, 1e6]
      batchnorm_lambda: default 0.05
      batchnorm_mal: default 0.8
      decay: default 0.01, range [0, 1]
      block: vectors that iterate, k to 1024; default 0: k + 3
      power_iterations: per refresh, default 1, range [1, 1000]
      initial_iterations: before the first step, default 100, range [1, 100000]
      every: steps between two terms, default 1, range [1, 1000000]
      pairs: PAIRS: `pair_count` of them; each counts in both directions
      pair_count: default 0
      seed: of the starting vectors, default 0
    """
    _c_name = "amun_lotos_options"
    _init = "amun_lotos_options_init"
    k: int
    match: LotosMatch
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

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.LotosFields]) -> None: ...


class EnsembleTrainOptions(Options):
    """Fields of amun_ensemble_train_options.

    Fields:
      method: default EnsembleMethod.PLAIN
      attack_steps: default 0, as published: PGD_AT, TRADES, DVERGE 10, TRS 6
      train: NULL: defaults; its `clip` holds each member
      lotos: NULL (default): without; goes with every method
      attack_eps: default 0, as published: PGD_AT 8/255, TRADES 0.031, TRS 8/255 (from 0.005,
          linear in epochs), DVERGE 0.07
      attack_step: default 0, as published: 2/255, 0.007, eps / 3, 0.007
      trades_beta: default 6
      adp_alpha: of the ensemble's entropy, default 2
      adp_beta: of the log determinant, default 0.5
      gal_lambda: default 0.5
      trs_cosine: default 40
      trs_smooth: on per-sample gradients, default 2.5 / 128^2: the authors' 2.5 is on gradients
          of the mean over their batch of 128
      trs_l2: 1: smoothness at the clean images; default 0: half of them attacked
      dverge_own: 1: and cross-entropy on the member's own PGD examples; default 0
      seed: of attack starts and draws, default 0
    """
    _c_name = "amun_ensemble_train_options"
    _init = "amun_ensemble_train_options_init"
    method: EnsembleMethod
    attack_steps: int
    train: Optional[TrainOptions]
    lotos: Optional[LotosOptions]
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

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.EnsembleTrainFields]) -> None: ...


class RmiaOptions(Options):
    """RMIA (Zarifzadeh et al., arXiv 2312.03262) as AMUN (arXiv 2503.00917) used it.
    docs/audits.md explains each choice.

    Fields:
      signal: default Signal.TAYLOR_SOFT_MARGIN
      taylor_degree: highest power, default 3 (published), range [1, 8]; 4 is positive everywhere
      temperature: default 2, range (0, 1000]
      margin: default 0.6, range [0, 1000]
      gamma: default 2, range [1, 1000]
      mode: default RmiaMode.ONLINE
      population: of amun_mia_audit(), default RmiaPopulation.POOL; the scoring call below takes a
          mask instead
      offline_a: default 0.33, range [0, 1]
      trim: share cut at each end of the reference mean, default 0, range [0, 0.49]
    """
    _c_name = "amun_rmia_options"
    _init = "amun_rmia_options_init"
    signal: Signal
    taylor_degree: int
    temperature: float
    margin: float
    gamma: float
    mode: RmiaMode
    population: RmiaPopulation
    offline_a: float
    trim: float

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.RmiaFields]) -> None: ...


class MiaOptions(Options):
    """Fields of amun_mia_options.

    Fields:
      references: models, even, default 16, range [2, 4096]
      subsamples: equal-sized draws averaged per AUC, default 3, range [1, 1000]
      seed: of the inclusion matrix (low 32 bits) and the draws; default 0
      rmia: default NULL; copied by amun_mia_create()
    """
    _c_name = "amun_mia_options"
    _init = "amun_mia_options_init"
    references: int
    subsamples: int
    seed: int
    rmia: Optional[RmiaOptions]

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.MiaFields]) -> None: ...


class ProbeOptions(Options):
    """Fields of amun_probe_options.

    Fields:
      ridge: penalty ridge / 2 |w|^2 on standardised features, offsets free; default 1, range
          [1e-9, 1e9]
      limit: training rows at most, drawn from more; default 0: all, range [0, 1e9]
      stage: of amun_probe_model() only: see amun_features_compute(); default 0, range [0, 64]
      seed: of the draw; default 0
    """
    _c_name = "amun_probe_options"
    _init = "amun_probe_options_init"
    ridge: float
    limit: int
    stage: int
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.ProbeFields]) -> None: ...


class PrototypeOptions(Options):
    """Fields of amun_prototype_options.

    Fields:
      samples: of each forget class, default 5, range [1, 1e6]
      draws: of other samples; figures are means, default 10, range [1, 10000]
      scale: default PrototypeScale.MATCHED
      seed: of the draws; default 0
    """
    _c_name = "amun_prototype_options"
    _init = "amun_prototype_options_init"
    samples: int
    draws: int
    scale: PrototypeScale
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.PrototypeFields]) -> None: ...


class LossmiaOptions(Options):
    """Fields of amun_lossmia_options.

    Fields:
      splits: random splits, default 10, range [1, 10000]
      test_share: of each side, tested on, default 0.1, range [0.01, 0.9]
      ridge: penalty ridge / 2 w^2 on the loss as it is, default 1, range [1e-9, 1e9]
      seed: of the splits, default 0
    """
    _c_name = "amun_lossmia_options"
    _init = "amun_lossmia_options_init"
    splits: int
    test_share: float
    ridge: float
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.LossmiaFields]) -> None: ...


class QualityOptions(Options):
    """Fields of amun_quality_options.

    Fields:
      delta: default 1e-5, range [0, 0.5]
      cap: epsilon of samples that tell the groups apart, default 50, range [1e-6, 1e6]
      bin: of epsilon; each halves a sample's points, default 0.5, range [1e-6, 1e6]
      intervals: 1: also rules "between two thresholds" (default), 0: one threshold
    """
    _c_name = "amun_quality_options"
    _init = "amun_quality_options_init"
    delta: float
    cap: float
    bin: float
    intervals: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.QualityFields]) -> None: ...


class RivalOptions(Options):
    """One struct for all of them: each method reads its own fields. NULL means the defaults, which
    are those of the papers or of their released code (docs/unlearning.md says which).

    Fields:
      any_label: RANDOM_LABEL, SALUN: 1 draws over all classes, the true one too; default 0: over
          the others
      forget_first: RANDOM_LABEL, SALUN: 1 a pass over the relabelled D_F, then one over D_R,
          every epoch; default 0: one shuffled list
      ascent_norm: GRADIENT_ASCENT: a longer gradient is scaled down to this norm; default 0:
          never; range [0, 1e6]
      ascent_floor: GRADIENT_ASCENT: ends after an epoch with this accuracy on D_F or less,
          percent; default 0, range [0, 100]
      retain_weight: NEGGRAD_PLUS: alpha in alpha CE(D_R) - (1 - alpha) CE(D_F), default 0.95,
          range [0, 1]
      boundary_step: BOUNDARY_SHRINK: l-infinity step to the nearest boundary, in pixel units,
          default 0.1, range (0, 1]
      l1: L1_SPARSE: the penalty in the first epoch, falling linearly to 0 after the last; default
          1e-3, range [0, 10]
      scrub_temperature: SCRUB: default 4, range [0.01, 1000]
      scrub_gamma: SCRUB: weight of the cross-entropy on D_R, default 0.99, [0, 1000]
      scrub_alpha: SCRUB: weight of the distillation on D_R, default 0.001, [0, 1000]
      scrub_ascent_epochs: SCRUB: epochs that begin with a maximising pass over D_F, default 2,
          range [0, 100000]
      scrub_rewind: SCRUB: 1 goes back to the epoch whose error on D_F is nearest to that on
          held-out samples of D_R; default 0
      ssd_alpha: SSD: a weight is dampened where its importance for D_F exceeds this times that
          for D, default 10, range [0, 1e9]
      ssd_lambda: SSD: strength, default 1, range [0, 1e9]
      svd_retain_alpha: SVD: scale of the retained space, default 100, range [0, 1e9]
      svd_forget_alpha: SVD: scale of the forget space, default 3, range [0, 1e9]
      svd_samples: SVD: samples of D_R and of D_F each, default 900, range [1, 1e6]
      svd_patches: SVD: most patches per layer and side, default 10000, [1, 1e7]
      teacher_share: BAD_TEACHER: share of D_R, default 0.3, range (0, 1]
      teacher_temperature: BAD_TEACHER: default 1, range [0.01, 1000]
      unsir_noise: UNSIR: noise images per forget class, default 256, [1, 65536]
      unsir_noise_steps: UNSIR: steps that make the noise, default 40, [0, 100000]
      unsir_noise_lr: UNSIR: rate of these steps (Adam), default 0.1, range (0, 1000]
      unsir_noise_penalty: UNSIR: weight of mean ||noise||^2, default 0.1, [0, 1000]
      unsir_copies: UNSIR: copies of the noise in the impair epoch, default 20, [1, 4095]
      unsir_per_class: UNSIR: samples of each retained class, default 1000, [1, 1e6]
      unsir_repair_lr: UNSIR: rate of the repair epoch, default 0.01, range (0, 1000]
      last_blocks: EUK, CFK: so many of the last weighted layers before the last one are trained
          with it, default 1, range [0, 100000]
    """
    _c_name = "amun_rival_options"
    _init = "amun_rival_options_init"
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

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.RivalFields]) -> None: ...


class TrwOptions(Options):
    """TRW (arXiv 2506.20893; docs/class_unlearning.md tells what the paper states and what is
    derived here). The target of a forget sample x of class y, with F the forget classes and p
    the probabilities of the original model, is q_j = p_j exp(beta s_j) / sum over k not in F of
    p_k exp(beta s_k) for j not in F, where s are the scores of y. beta 0 without remaining data
    is DELETE.

    Fields:
      beta: tilt, default 10, range [0, 1000]
      temperature: of the softmax over cosines, default 0.1, range [1e-3, 1000]
      energy: share of the rows' energy that the principal components keep, default 0.95, range
          (0, 1]
      components: default 0: by energy; else so many, at most classes - 1
      score: default TrwScore.SOFTMAX
      bias: 1: a row of the last layer includes its bias; default 0
      balanced: 1: the forget samples are repeated until they are about as many as the remaining
          ones; default 0: each once per epoch
      frozen_statistics: 1: batch norm as in evaluation; default 0
      neighbours: sample-dependent scores: 0 by the cosine to the class means (default), k > 0 by
          the classes of the k nearest retained samples
      kappa: share of the sample-dependent score, default 0, range [0, 1]
      forget_floor: probability left to the forget classes together, default 0, range [0, 0.1]. A
          retrained model never gives exactly 0
      forget_weight: lambda of the forget loss, default 1, range [0, 1000]
      noise: standard deviation of Gaussian noise on the scores, as a multiple of theirs, default
          0, range [0, 100]
      control: default TrwControl.NONE
      stage: sample-dependent scores read the inputs of the last dense layer (0, default) or the
          features so many stages before it, as amun_features_compute() does; range [0, 64], above
          0 needs kappa
      noise_seed: of the noise and the permutation, default 0
    """
    _c_name = "amun_trw_options"
    _init = "amun_trw_options_init"
    beta: float
    temperature: float
    energy: float
    components: int
    score: TrwScore
    bias: int
    balanced: int
    frozen_statistics: int
    neighbours: int
    kappa: float
    forget_floor: float
    forget_weight: float
    noise: float
    control: TrwControl
    stage: int
    noise_seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.TrwFields]) -> None: ...


class UnlearnOptions(Options):
    """Fields of amun_unlearn_options.

    Fields:
      method: default UnlearnMethod.AMUN
      remain: default 1: D_R is available; 0: do without it, which not all methods can
          (docs/unlearning.md)
      train: default NULL: amun_unlearn_train_options_init()'s
      seed: of fresh weights and of a method's own choices; default 0
      mask_ratio: share of the weights that move: those with the largest gradient of the loss on
          D_F, as in SalUn (arXiv 2310.12508). Default 0: 0.5 for SALUN, all of them for the
          others. Range [0, 1]
      rival: default NULL: the defaults
      trw: TRW, DELETE (not its beta); default NULL: the defaults
    """
    _c_name = "amun_unlearn_options"
    _init = "amun_unlearn_options_init"
    method: UnlearnMethod
    remain: int
    train: Optional[TrainOptions]
    seed: int
    mask_ratio: float
    rival: Optional[RivalOptions]
    trw: Optional[TrwOptions]

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.UnlearnFields]) -> None: ...


class TrwSelectOptions(Options):
    """Fields of amun_trw_select_options.

    Fields:
      share: of D_R that is held out, default 0.1, range (0, 0.9]
      tolerance: percentage points that may be lost on it, default 0.5, range [0, 100]
      seed: of the held-out part, default 0
    """
    _c_name = "amun_trw_select_options"
    _init = "amun_trw_select_options_init"
    share: float
    tolerance: float
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.TrwSelectFields]) -> None: ...


class SelectOptions(Options):
    """Fields of amun_select_options.

    Fields:
      rule: default SelectRule.SAMPLES
      tolerance: a rate is admitted if it costs at most so many points of held-out accuracy,
          default 0.5, range [0, 100]
    """
    _c_name = "amun_select_options"
    _init = "amun_select_options_init"
    rule: SelectRule
    tolerance: float

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.SelectFields]) -> None: ...


class RelearnOptions(Options):
    """Fields of amun_relearn_options.

    Fields:
      lr: of SGD with momentum 0.9, default 1e-3, range (0, 1000]
      batch: default 128, range [1, 65536]
      every: steps between two looks at the accuracy, default 1, range [1, 1e6]
      most_epochs: default 100, range [1, 100000]
      seed: of the remaining samples drawn and the order, default 0
    """
    _c_name = "amun_relearn_options"
    _init = "amun_relearn_options_init"
    lr: float
    batch: int
    every: int
    most_epochs: int
    seed: int

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.RelearnFields]) -> None: ...


class SpectrumOptions(Options):
    """Fields of amun_spectrum_options.

    Fields:
      method: default SpectrumMethod.POWERQR
      k: values per layer, default 1, range [1, 64]; a layer of lower rank has fewer, EXACT all
      block: vectors that iterate, at least k; default 0: max(8, k + 4), LEGACY k; range [0, 128];
          below 4: power iteration only
      max_iterations: per run, default 1000, range [1, 1000000]; LEGACY: exactly
      tol: a value converged when its residual is at most tol * sigma^2, or as small as rounding
          allows; default 1e-6, range [0, 1]
      mu: shift of M'M, default 0, range [0, 1e6]; LEGACY with 0: 1
      fold_batchnorm: 1: a convolution or dense layer that only a batch norm reads is one layer
          with it (running statistics); default 0: two layers
      certify: default 1; 0: no sigma_upper (infinity), and no time for it
      seed: of the starting vectors, default 0
      certify_cost: 1e9 floating-point operations that a closer certificate of a layer may take
          where the others are more than 1 % above sigma_lower (BoundKind.SECTION); default 600,
          range [0, 1e9]; 0: none. It never takes more than 1 GB of memory
    """
    _c_name = "amun_spectrum_options"
    _init = "amun_spectrum_options_init"
    method: SpectrumMethod
    k: int
    block: int
    max_iterations: int
    tol: float
    mu: float
    fold_batchnorm: int
    certify: int
    seed: int
    certify_cost: float

    if TYPE_CHECKING:
        def __init__(self, **fields: Unpack[_fields.SpectrumFields]) -> None: ...
