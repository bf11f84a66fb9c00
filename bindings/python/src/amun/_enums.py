"""Enumerations. Written by gen_cdef.py from include/amun/*.h; do not edit."""
import enum
from typing import Dict, Type


__all__ = ["Dtype", "ConvChoice", "Precision", "LogLevel", "Padding", "Mode", "Norm",
           "FailurePolicy", "SearchMethod", "AttackLoss", "Clamp", "AttackOutcome",
           "MiannFeatures", "MiannKernel", "UliraVariance", "UliraCentre", "UliraHoldout",
           "UliraScore", "ClipMethod", "ClipBatchnorm", "Schedule", "Optimiser", "EnsembleMethod",
           "LotosMatch", "Signal", "RmiaMode", "RmiaPopulation", "PrototypeScale", "TrwScore",
           "TrwControl", "UnlearnMethod", "Verdict", "SelectRule", "SpectrumMethod", "LayerKind",
           "BoundKind"]


class Dtype(enum.IntEnum):
    """Element types. The numbers are fixed for ever.

    Members:
      F32
      F64
      F16
      BF16
      U8
      I32
      I64
      BOOL
    """
    F32 = 1
    F64 = 2
    F16 = 3
    BF16 = 4
    U8 = 5
    I32 = 6
    I64 = 7
    BOOL = 8


class ConvChoice(enum.IntEnum):
    """Which code computes 3x3 convolutions with stride 1, or 2 and one row and column of zeros
    around; of all others there is but one, except that AUTO may compute linear maps of layers,
    as spectra, clipping and LOTOS need them, by rows of their weights (docs/performance.md).

    Members:
      AUTO: by a fixed rule on the shape (docs/performance.md), or as tuned
      DIRECT: oneDNN's direct kernels everywhere
      WINOGRAD: oneDNN's Winograd F(4x4, 3x3) where it takes the shape (stride 1), else direct
      OWN: the library's own Winograd where it can run, else direct
    """
    AUTO = 0
    DIRECT = 1
    WINOGRAD = 2
    OWN = 3


class Precision(enum.IntEnum):
    """How numbers between two layers, and their gradients, lie in memory while a network is
    trained or attacked. BF16 halves that memory, and rounds there (8 bits, to nearest, ties to
    even). Weights, their gradients, statistics of batch norm, losses, logits, vectors per image
    and images themselves are float in any case, and so is all arithmetic. Predictions, and with
    them accuracies, audits and certificates, are float throughout; a flip found by an attack is
    looked at once more that way. Power iterations and clipping know float alone.
    docs/performance.md says what BF16 costs and gains.

    Members:
      AUTO: AMUN_PRECISION in the environment ("f32", "bf16"), else F32
      F32
      BF16
    """
    AUTO = 0
    F32 = 1
    BF16 = 2


class LogLevel(enum.IntEnum):
    """Log levels, most severe first.

    Members:
      SILENT
      WARNING
      INFO
      DEBUG
    """
    SILENT = 0
    WARNING = 1
    INFO = 2
    DEBUG = 3


class Padding(enum.IntEnum):
    """What a convolution sees outside the image: PyTorch's padding_mode. 0 (unset) means zeros.

    Members:
      ZERO
      CIRCULAR: the other side; pad at most the image's extent
      REFLECT: mirrored at the outermost pixel; pad less than the extent
      REPLICATE: the outermost pixel
    """
    ZERO = 1
    CIRCULAR = 2
    REFLECT = 3
    REPLICATE = 4


class Mode(enum.IntEnum):
    """What a plan can do.

    Members:
      INFER: forward, batch norm folded into the convolutions
      ATTACK: and backward to the input
      TRAIN: batch statistics, all gradients
      TUNE: running statistics, all gradients
    """
    INFER = 1
    ATTACK = 2
    TRAIN = 3
    TUNE = 4


class Norm(enum.IntEnum):
    """How distances are measured.

    Members:
      L2
      LINF
    """
    L2 = 1
    LINF = 2


class FailurePolicy(enum.IntEnum):
    """What a search does about samples without a flip.

    Members:
      LEAVE_OUT: default: they leave D_A and the D_F part of fine-tuning
      KEEP_IN_DF: they stay in the D_F part
      ERROR: the call fails with NUMERIC, naming the first index
      RETRY: one more search from a random start at eps0, then LEAVE_OUT
    """
    LEAVE_OUT = 1
    KEEP_IN_DF = 2
    ERROR = 3
    RETRY = 4


class SearchMethod(enum.IntEnum):
    """How a search looks for the nearest adversarial example.

    Members:
      EPSILON: AMUN, arXiv 2503.00917, Algorithm 1: PGD in a ball that grows until the label
          flips, with steps of eps / step_divisor; the label is tested before each step, so the
          result is the first wrong iterate; after `steps` steps without a flip eps grows.
      DDN: DDN, arXiv 1811.09600, Algorithm 1: a = clamp01(x + eps_k d / |d|) with d = a - x +
          alpha_k g / |g|, g the gradient of the cross-entropy and eps_k = eps_{k-1} (1 - gamma)
          where a is wrong, (1 + gamma) where it is right.
      FMN: FMN in L2, arXiv 2102.12827, Algorithm 1: steps of alpha_k on the margin, projected
          onto the ball of eps_k: |a - x| + |margin| / |its gradient| until the first flip (but at
          least eps_{k-1} (1 + gamma_k): the estimate alone can come to rest on the boundary),
          from then on min(eps_{k-1} (1 - gamma_k), best distance) where a is wrong, eps_{k-1} (1
          + gamma_k) where it is right.
    """
    EPSILON = 1
    DDN = 2
    FMN = 3


class AttackLoss(enum.IntEnum):
    """What APGD increases. z_(i) is the i-th largest logit, y the label.

    Members:
      CE: cross-entropy of y
      DLR: (max_{k != y} z_k - z_y) / (z_(1) - z_(3))
      DLR_TARGETED: (z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2) for one rival t after another; 3
          classes divide as DLR, 2 by 1 (both)
    """
    CE = 1
    DLR = 2
    DLR_TARGETED = 3


class Clamp(enum.IntEnum):
    """Where an attack keeps its images. Numbers of different modes belong in no table together.
    NORMALISED: eps, step and clamp are meant in z = (x - mean) / std of the model's first node,
    a normalise node (INVALID_ARGUMENT when the attack runs, if there is none); iterates are
    clamped to 0 <= z <= 1, which replaces each pixel outside [mean, mean + std] before any step
    counts. That is what the released CIFAR scripts of arXiv 2402.16017 and 2410.05136 do; it
    serves comparison with their numbers only.

    Members:
      PIXELS: pixels in [0, 1]
      NORMALISED: PgdLinfOptions.legacy_normalised_clamp
    """
    PIXELS = 1
    NORMALISED = 2


class AttackOutcome(enum.IntEnum):
    """What became of a sample.

    Members:
      FLIPPED: the result has a wrong label
      NOT_FLIPPED: fixed-radius attacks: the budget was not enough
      FAILED_CAP: search: eps_max reached
      FAILED_GRADIENT: non-finite gradient; search: also a zero one
      FAILED_NUMERIC: non-finite logits
      FAILED_BUDGET: search by DDN or FMN: no flip within its steps
    """
    FLIPPED = 1
    NOT_FLIPPED = 2
    FAILED_CAP = 3
    FAILED_GRADIENT = 4
    FAILED_NUMERIC = 5
    FAILED_BUDGET = 6


class MiannFeatures(enum.IntEnum):
    """What the discriminator of a class sees.

    Members:
      LOGITS: of the retained classes
      LOGPROBS: renormalised over the retained classes
      PROBS: the same as probabilities
      SCALAR: logit i alone, for the discriminator of class i
    """
    LOGITS = 1
    LOGPROBS = 2
    PROBS = 3
    SCALAR = 4


class MiannKernel(enum.IntEnum):
    """Which support-vector machine it is.

    Members:
      LINEAR: linear, squared hinge loss (scikit-learn's LinearSVC)
      RBF: Gaussian, gamma = 1 / features; needs libsvm, else UNSUPPORTED
      HINGE: linear, hinge loss; needs libsvm
    """
    LINEAR = 1
    RBF = 2
    HINGE = 3


class UliraVariance(enum.IntEnum):
    """Variances of the fitted Gaussians.

    Members:
      PER_SAMPLE: of each sample and side; for 32 models or more
      POOLED: one per side: the mean of the samples'
      GLOBAL_REF: LiRA's fix_variance: of all scores of the unlearned side, for both
    """
    PER_SAMPLE = 1
    POOLED = 2
    GLOBAL_REF = 3


class UliraCentre(enum.IntEnum):
    """Centres of the fitted Gaussians.

    Members:
      AUTO: mean below 8 models in the fit, else median
      MEAN
      MEDIAN
    """
    AUTO = 1
    MEAN = 2
    MEDIAN = 3


class UliraHoldout(enum.IntEnum):
    """Which models are judged by the fit of the others.

    Members:
      EACH: each model is held out once, figures are averaged
      LAST: the last model of each side, as the published program has it
    """
    EACH = 1
    LAST = 2


class UliraScore(enum.IntEnum):
    """Which scores are compared.

    Members:
      OWN: phi of the row's own, forgotten class
      NEIGHBOUR: phi of the neighbour class
      JOINT: both, with one 2 x 2 covariance; variance must be POOLED
    """
    OWN = 1
    NEIGHBOUR = 2
    JOINT = 3


class ClipMethod(enum.IntEnum):
    """How a convolution that is too large is made smaller. c is the target, sigma the measured
    norm.

    Members:
      BLOCK: all singular directions above c at once, with exact line search, on freshly extracted
          vectors, until none is left (after arXiv 2402.16017, algorithm 2)
      LEGACY: the authors' form: one vector, `inner_steps` of fixed size `eta`
      SCALE: W <- W * c / sigma: shrinks the whole spectrum
      MIYATO: spectral normalisation of the flattened kernel (arXiv 1802.05957): W c / sigma,
          upwards too. In training the true reparametrisation: the optimiser works on the raw
          weights, and the normalised ones are what the run leaves
      GOUK: W <- W / max(1, sigma / c), sigma by a few power iterations from a fresh start (arXiv
          1804.04368)
      SEDGHI: clamps the spectrum of the circular map (arXiv 1805.10408); stride 1
      SENDEROVICH: the same with strides (arXiv 2211.13771)
      DELATTRE_2023: a penalty on the Gram norm; in training only (arXiv 2305.16173)
      DELATTRE_2024: divides each output channel (arXiv 2402.00240)
    """
    BLOCK = 1
    LEGACY = 2
    SCALE = 3
    MIYATO = 4
    GOUK = 5
    SEDGHI = 6
    SENDEROVICH = 7
    DELATTRE_2023 = 8
    DELATTRE_2024 = 9


class ClipBatchnorm(enum.IntEnum):
    """What happens to batch norms. All use the running statistics and never change them.

    Members:
      LEAVE
      HARD: clamps each channel's scale to c * sqrt(var + eps)
      SOFT: 0.9 of the old scale + 0.1 of the clamped one, once per call or clip
      GOUK: all scales divided by max(1, largest factor / c)
      COMPOSITE: the convolution, and then convolution and batch norm as one map, by both weights
          and scales; batch norms that follow no convolution alone stay as they are. BLOCK, LEGACY
          (one step), SCALE (the scales alone)
    """
    LEAVE = 1
    HARD = 2
    SOFT = 3
    GOUK = 4
    COMPOSITE = 5


class Schedule(enum.IntEnum):
    """How the learning rate moves. With s the 0-based step of T in all and W = warmup * T,
    rounded: during the warm-up (s < W) COSINE and ONECYCLE use lr * (s + 1) / (W + 1), so that
    the peak is met at s = W; afterwards they fall and would meet lr * final_factor at s = T.

    Members:
      CONSTANT
      STEP: lr * gamma^floor(epoch / step_epochs), as PyTorch's StepLR
      COSINE: per step, half a cosine from lr to lr * final_factor
      ONECYCLE: per step, a straight line from lr to lr * final_factor
    """
    CONSTANT = 1
    STEP = 2
    COSINE = 3
    ONECYCLE = 4


class Optimiser(enum.IntEnum):
    """How a step moves the weights.

    Members:
      SGD: with momentum
      ADAM: Kingma & Ba, arXiv 1412.6980
    """
    SGD = 1
    ADAM = 2


class EnsembleMethod(enum.IntEnum):
    """What the members minimise together, in the notation of docs/ensembles.md.

    Members:
      PLAIN: each its own cross-entropy
      PGD_AT: cross-entropy on PGD examples of each member's own (arXiv 1706.06083)
      TRADES: and a KL term between clean and attacked (arXiv 1901.08573)
      ADP: diversity of the wrong classes' probabilities (1901.08846)
      GAL: cosines of the input gradients (arXiv 1901.09981)
      TRS: cosines, and smoothness (arXiv 2104.00671)
      DVERGE: distilled features of the others (arXiv 2009.14720)
    """
    PLAIN = 1
    PGD_AT = 2
    TRADES = 3
    ADP = 4
    GAL = 5
    TRS = 6
    DVERGE = 7


class LotosMatch(enum.IntEnum):
    """Which layers correspond.

    Members:
      BY_INDEX: l-th convolution with l-th convolution; all inputs agree
      FIRST_ONLY: the first convolutions: for different architectures
      BY_INPUT_SHAPE: n-th convolution with an input of that shape, for all of the member that has
          fewer convolutions
      PAIRS: `pairs`
    """
    BY_INDEX = 1
    FIRST_ONLY = 2
    BY_INPUT_SHAPE = 3
    PAIRS = 4


class Signal(enum.IntEnum):
    """What is read from the logits of a sample: formulas in docs/audits.md.

    Members:
      SOFTMAX
      TAYLOR
      SOFT_MARGIN
      TAYLOR_SOFT_MARGIN: the default of the AMUN paper
      LOG_LOGIT: LiRA's; not for ratios
    """
    SOFTMAX = 1
    TAYLOR = 2
    SOFT_MARGIN = 3
    TAYLOR_SOFT_MARGIN = 4
    LOG_LOGIT = 5


class RmiaMode(enum.IntEnum):
    """Mean over all reference models, or over those that did not see the sample.

    Members:
      ONLINE
      OFFLINE
    """
    ONLINE = 1
    OFFLINE = 2


class RmiaPopulation(enum.IntEnum):
    """Whom a sample is compared with: training and test set, or the test set alone.

    Members:
      POOL
      TEST_ONLY
    """
    POOL = 1
    TEST_ONLY = 2


class PrototypeScale(enum.IntEnum):
    """How long the new rows are.

    Members:
      MATCHED: row: the mean feature, as long as the retained rows are on average; bias: the mean
          of theirs
      RAW: row: the mean feature; bias: 0
    """
    MATCHED = 1
    RAW = 2


class TrwScore(enum.IntEnum):
    """How the similarity of two classes becomes a score.

    Members:
      SOFTMAX: softmax of the cosines over the retained classes
      COSINE: the cosines themselves
    """
    SOFTMAX = 1
    COSINE = 2


class TrwControl(enum.IntEnum):
    """What replaces the scores, to see whether they matter.

    Members:
      NONE
      PERMUTED: a random permutation over the retained classes
      REVERSED: the nearest class gets the lowest score
      UNIFORM: all alike: no tilt
      RANKS: by rank alone: 1 for the nearest down to 0, sum 1 for SOFTMAX
    """
    NONE = 1
    PERMUTED = 2
    REVERSED = 3
    UNIFORM = 4
    RANKS = 5


class UnlearnMethod(enum.IntEnum):
    """How to forget. D_F: the forget samples, D_R: the others, D_A: an adversarial example with
    its wrong label for each forget sample.

    Members:
      RETRAIN: fresh weights, training recipe, D_R only: the gold standard
      AMUN: fine-tune on D_R + D_F + D_A (arXiv 2503.00917, section 4)
      AMUN_ADVONLY: fine-tune on D_R + D_A, if D_F is about half of the data
      FINETUNE: FT: cross-entropy on D_R
      RANDOM_LABEL: RL: D_F with random labels, drawn anew every epoch
      GRADIENT_ASCENT: GA, NegGrad: up the loss of D_F, after a pass over D_R
      NEGGRAD_PLUS: down the loss of D_R and up that of D_F at once
      BOUNDARY_SHRINK: BS: D_F with the class beyond the nearest boundary
      BOUNDARY_EXPAND: BE: D_F into a class of its own, which is then dropped
      L1_SPARSE: FT with a falling l1 penalty
      SALUN: RL on the weights that matter most for D_F
      SCRUB: away from the original on D_F, towards it on D_R
      SSD: selective synaptic dampening, no training
      SVD: projection of the weights (Kodge et al.), no training
      BAD_TEACHER: random teacher on D_F, the original on D_R
      UNSIR: impair with error-maximising noise, repair on D_R
      EUK: the last layers anew, the others frozen
      CFK: FT of the last layers, the others frozen
      DELETE: TRW without tilt and without D_R
      TRW: tilted reweighting, whole classes (amun/trw.h)
    """
    RETRAIN = 1
    AMUN = 2
    AMUN_ADVONLY = 3
    FINETUNE = 4
    RANDOM_LABEL = 5
    GRADIENT_ASCENT = 6
    NEGGRAD_PLUS = 7
    BOUNDARY_SHRINK = 8
    BOUNDARY_EXPAND = 9
    L1_SPARSE = 10
    SALUN = 11
    SCRUB = 12
    SSD = 13
    SVD = 14
    BAD_TEACHER = 15
    UNSIR = 16
    EUK = 17
    CFK = 18
    DELETE = 19
    TRW = 20


class Verdict(enum.IntEnum):
    """Whether the forget samples look like samples that were never seen.

    Members:
      CONSISTENT: 50 lies inside the interval
      UNDER: forget samples still stand out as known: under-unlearned
      OVER: they stand out as unusually wrong: over-unlearned
    """
    CONSISTENT = 1
    UNDER = 2
    OVER = 3


class SelectRule(enum.IntEnum):
    """What a good rate does; neither rule looks at a retrained model.

    Members:
      SAMPLES: the check's AUC as near to 50 as possible
      CLASSES: accuracy on the forget samples as low as possible; of equals, the best held-out
          accuracy
    """
    SAMPLES = 1
    CLASSES = 2


class SpectrumMethod(enum.IntEnum):
    """How singular values are found.

    Members:
      POWERQR: block power iteration with QR (arXiv 2402.16017, algorithm 1), guard vectors, a
          stop test on the Ritz residual, and Ritz vectors from the Krylov space in runs of
          several iterations; SVD where the layer's windows share no pixel
      LEGACY: the authors' form: k vectors, shift mu = 1, sqrt(|R_ii| - mu), a fixed number of
          iterations and no stop test
      EXACT: all singular values, by LAPACK from the explicit matrix in double: layers of at most
          4096 inputs and outputs
    """
    POWERQR = 1
    LEGACY = 2
    EXACT = 3


class LayerKind(enum.IntEnum):
    """What kind of linear map a layer is. Biases, shifts and running means play no role. A batch
    norm by itself is diagonal: it shows its singular values, whatever the method.

    Members:
      CONV2D
      LINEAR
      BATCHNORM: diag(scale / sqrt(running_var + eps))
      CONV2D_BATCHNORM: both as one map (fold_batchnorm)
      LINEAR_BATCHNORM
      AVG_POOL: only pools with overlapping windows are listed; others have at most 1 /
          sqrt(window)
    """
    CONV2D = 1
    LINEAR = 2
    BATCHNORM = 3
    CONV2D_BATCHNORM = 4
    LINEAR_BATCHNORM = 5
    AVG_POOL = 6


class BoundKind(enum.IntEnum):
    """Where sigma_upper comes from.

    Members:
      NONE: not asked for
      EXACT: singular value of a matrix (dense, 1x1, kernel <= stride)
      DIAGONAL
      FFT: frequencies of a circular embedding
      GRID: fewer frequencies, and what may lie between them
      GRAM_KERNEL: Gram iteration on the kernel (arXiv 2402.00240)
      RESHAPED: flattened kernel times the root of the overlap
      PRODUCT
      SECTION: Cholesky factorisation of the map with the image's edges as they are: for small
          images
    """
    NONE = 0
    EXACT = 1
    DIAGONAL = 2
    FFT = 3
    GRID = 4
    GRAM_KERNEL = 5
    RESHAPED = 6
    PRODUCT = 7
    SECTION = 8


# enumeration of the library: its class
ENUM_CLASSES: Dict[str, Type[enum.IntEnum]] = {
    "amun_dtype": Dtype,
    "amun_conv_choice": ConvChoice,
    "amun_precision": Precision,
    "amun_log_level": LogLevel,
    "amun_padding": Padding,
    "amun_mode": Mode,
    "amun_norm": Norm,
    "amun_failure_policy": FailurePolicy,
    "amun_search_method": SearchMethod,
    "amun_attack_loss": AttackLoss,
    "amun_clamp": Clamp,
    "amun_attack_outcome": AttackOutcome,
    "amun_miann_features": MiannFeatures,
    "amun_miann_kernel": MiannKernel,
    "amun_ulira_variance": UliraVariance,
    "amun_ulira_centre": UliraCentre,
    "amun_ulira_holdout": UliraHoldout,
    "amun_ulira_score": UliraScore,
    "amun_clip_method": ClipMethod,
    "amun_clip_batchnorm": ClipBatchnorm,
    "amun_schedule": Schedule,
    "amun_optimiser": Optimiser,
    "amun_ensemble_method": EnsembleMethod,
    "amun_lotos_match": LotosMatch,
    "amun_signal": Signal,
    "amun_rmia_mode": RmiaMode,
    "amun_rmia_population": RmiaPopulation,
    "amun_prototype_scale": PrototypeScale,
    "amun_trw_score": TrwScore,
    "amun_trw_control": TrwControl,
    "amun_unlearn_method": UnlearnMethod,
    "amun_verdict": Verdict,
    "amun_select_rule": SelectRule,
    "amun_spectrum_method": SpectrumMethod,
    "amun_layer_kind": LayerKind,
    "amun_bound_kind": BoundKind,
}
