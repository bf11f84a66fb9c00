"""What calls return. Written by gen_cdef.py from include/amun/*.h; do not edit."""
from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np

from ._enums import (Clamp, Verdict, LayerKind, BoundKind)


__all__ = ["Progress", "MemoryStats", "Miann", "C2st", "Ulira", "UliraSamples", "Distance",
           "Svcmia", "ClipResult", "TrainResult", "TransferResult", "Certificate", "TransferGap",
           "Audit", "Gap", "Probe", "Prototype", "Lossmia", "Quality", "UnlearnResult",
           "UnlearnBound", "ForgetCheck", "SelectTrial", "Relearn", "LayerSpectrum", "Lipschitz"]


class Progress(NamedTuple):
    """What a progress callback sees.

    Fields:
      phase: "train", "references", "attack", ...; static text
      step: units done in this phase
      total: units in this phase, 0 if unknown
      loss: running mean loss, NaN where there is none
      metric: phase's own figure (accuracy, flipped share), NaN where there is none
      seconds: since the call began
    """
    phase: str
    step: int
    total: int
    loss: float
    metric: float
    seconds: float


class MemoryStats(NamedTuple):
    """Fields of amun_memory_stats.

    Fields:
      current: bytes allocated through the context now
      peak: the largest `current` so far
      blocks: live allocations
    """
    current: int
    peak: int
    blocks: int


class Miann(NamedTuple):
    """Acc_i of a model: share of the forget classes' rows that the discriminator of retained class
    i, fitted on the same model's outputs, accepts as class i.

    Fields:
      neighbour: rn: largest mean Acc over the retrained models; a tie goes to the larger mean
          probability
      models: retrained models
      score: Acc_rn of the unlearned model
      retrained: mean Acc_rn of the retrained models
      gap: |retrained - score|, percentage points; ideal: not above the null
      null_mean: the gap of each retrained model to the mean of the others: mean
      null_sd: and sample deviation; both NaN for one retrained model
      top_gap: sum of gaps over the top_m classes with the largest retrained Acc
      top_null_mean: null of top_gap: mean, sample deviation
      top_null_sd: null of top_gap: mean, sample deviation
      vote_share: of the retrained models whose own nearest class is rn; below 60 rn is ambiguous
      sanity: balanced accuracy of rn's discriminator on held-out retained rows, unlearned model;
          near 100 or the score means nothing
      sanity_retrained: the same, mean of the retrained models
      accuracy: [models + 1, classes], acceptance rates in percent; the last row is the unlearned
          model's; NaN at forget classes
      discriminators: [models + 1, classes], balanced accuracies in percent
    """
    neighbour: int
    models: int
    score: float
    retrained: float
    gap: float
    null_mean: float
    null_sd: float
    top_gap: float
    top_null_mean: float
    top_null_sd: float
    vote_share: float
    sanity: float
    sanity_retrained: float
    accuracy: np.ndarray
    discriminators: np.ndarray


class C2st(NamedTuple):
    """AUCs of a logistic regression that tells the unlearned model's log-probabilities on rows of
    the forget classes from a retrained model's. 50 is ideal; compare with the null.

    Fields:
      models: retrained models; rows of forget classes
      rows: retrained models; rows of forget classes
      all: of all classes, mean over the retrained models; easily won by the forget class alone
      retained: renormalised over the retained classes
      all_null_mean: a retrained model against another, over all pairs: mean
      all_null_sd: and sample deviation; NaN for fewer than two (three) models
      retained_null_mean: the same of `retained`
      retained_null_sd: the same of `retained`
    """
    models: int
    rows: int
    all: float
    retained: float
    all_null_mean: float
    all_null_sd: float
    retained_null_mean: float
    retained_null_sd: float


class Ulira(NamedTuple):
    """Class level.

    Fields:
      unlearned: models of each side, samples
      retrained: models of each side, samples
      rows: models of each side, samples
      auc: unlearned against retrained held-out models; ideal 50
      balanced_accuracy: at the threshold where |TPR + FPR - 1| is least; ideal 50
      flagged: share of samples of the released model called "unlearned" there; ideal
          flagged_retrained; NaN without one
      flagged_retrained: the same of a retrained model that is left out of fit and threshold,
          mean; NaN below 4 of them
      gap: |flagged - flagged_retrained|, percentage points
      null_mean: that gap of each retrained model to the mean of the others: mean
      null_sd: and sample deviation
    """
    unlearned: int
    retrained: int
    rows: int
    auc: float
    balanced_accuracy: float
    flagged: float
    flagged_retrained: float
    gap: float
    null_mean: float
    null_sd: float


class UliraSamples(NamedTuple):
    """Sample level.

    Fields:
      unlearned: samples by truth
      unseen: samples by truth
      auc: of p, and of p > 1/2; percent
      accuracy: of p, and of p > 1/2; percent
      tpr_1: true-positive rate at 1 % and 0.1 % false positives
      tpr_01: true-positive rate at 1 % and 0.1 % false positives
      p: [n], probability of having been unlearned
    """
    unlearned: int
    unseen: int
    auc: float
    accuracy: float
    tpr_1: float
    tpr_01: float
    p: np.ndarray


class Distance(NamedTuple):
    """Of the unlearned model's predictions p to those of retrained models, P their mean, over the
    rows chosen; each beside its null: a retrained model in the place of p, the others as P,
    mean and sample deviation over them (NaN below two). Ideal: not above the null.

    Fields:
      models: retrained models; rows chosen
      rows: retrained models; rows chosen
      tv: mean of 1/2 sum |p - P|, in [0, 1]
      tv_null: mean of 1/2 sum |p - P|, in [0, 1]
      tv_null_sd: mean of 1/2 sum |p - P|, in [0, 1]
      js: mean Jensen-Shannon divergence, natural logarithm, in [0, ln 2]
      js_null: mean Jensen-Shannon divergence, natural logarithm, in [0, ln 2]
      js_null_sd: mean Jensen-Shannon divergence, natural logarithm, in [0, ln 2]
      kl: mean KL(P || p), probabilities floored at 1e-12 in the logarithm
      kl_null: mean KL(P || p), probabilities floored at 1e-12 in the logarithm
      kl_null_sd: mean KL(P || p), probabilities floored at 1e-12 in the logarithm
      routing_tv: TV between the mean predictions
      routing_tv_null: TV between the mean predictions
      routing_tv_null_sd: TV between the mean predictions
      activation: mean |p - p_r| (l2) over retrained models r
      activation_null: mean |p - p_r| (l2) over retrained models r
      activation_null_sd: mean |p - p_r| (l2) over retrained models r
      tv_rows: [n], total variation of each row; NaN where a row does not count
    """
    models: int
    rows: int
    tv: float
    tv_null: float
    tv_null_sd: float
    js: float
    js_null: float
    js_null_sd: float
    kl: float
    kl_null: float
    kl_null_sd: float
    routing_tv: float
    routing_tv_null: float
    routing_tv_null_sd: float
    activation: float
    activation_null: float
    activation_null_sd: float
    tv_rows: np.ndarray


class Svcmia(NamedTuple):
    """Percent of the queried rows called non-members by SVC(C = 3, RBF, gamma = 1 / features) on
    each feature. A model retrained without a class scores 100; the number to meet is a
    retrained model's.

    Fields:
      members: rows that were used
      nonmembers: rows that were used
      queries: rows that were used
      limit: the options', for the record
      seed: the same
      confidence: by feature
      correctness: by feature
      entropy: by feature
      modified_entropy: by feature
      probabilities: by feature
    """
    members: int
    nonmembers: int
    queries: int
    limit: int
    seed: int
    confidence: float
    correctness: float
    entropy: float
    modified_entropy: float
    probabilities: float


class ClipResult(NamedTuple):
    """What a clipping call did.

    Fields:
      layers: that are held to a target
      changed: whose weights changed
      rounds: extractions, all layers together
      largest: largest sigma_lower / target afterwards; amun_clipper_step(): as its power
          iterations saw it, before the clip (0: nothing seen yet)
      upper: largest sigma_upper / target; infinity without final_scale
      moved: largest relative change of a layer's weights or scales (l2)
      seconds: of this call
    """
    layers: int
    changed: int
    rounds: int
    largest: float
    upper: float
    moved: float
    seconds: float


class TrainResult(NamedTuple):
    """What a run did.

    Fields:
      loss: mean over the last epoch, on augmented batches; NaN if epochs is 0
      accuracy: the same, in percent
      seconds: of this call
      epochs: done in all, including those before a resume
      samples: presented in this call
    """
    loss: float
    accuracy: float
    seconds: float
    epochs: int
    samples: int


class TransferResult(NamedTuple):
    """What an attack on one model does to another. Rates are shares in [0, 1].

    Fields:
      transfer: mean rate over the ordered pairs of different models (black-box: over the
          surrogates) with an eligible sample; NaN if there is none
      success: mean over the attacked models of the share of their correctly classified samples
          that the attack flips; NaN as above
      robust: black-box: mean over surrogates of P[target right on the attacked image | target
          right on the clean one]; white-box: that share; NaN between models
      samples: attacked, per model
      terms: how many rates `transfer` is the mean of
      failed: attacks that failed (AMUN_ATTACK_FAILED_...), all models together: these samples
          count as not flipped
      target_right: clean samples that the target classifies rightly; between models 0
      clamp: of the attack; numbers of different modes do not compare
    """
    transfer: float
    success: float
    robust: float
    samples: int
    terms: int
    failed: int
    target_right: int
    clamp: Clamp


class Certificate(NamedTuple):
    """Rightly classified samples whose class no small change of the image can turn.

    Fields:
      samples: all that were looked at
      right: rightly classified
      certified: of these: the class stays wherever the image moves by at most eps
      accuracy: certified / samples, in percent: certified accuracy at eps
      radius: median certified radius of the right ones; NaN if there is none
    """
    samples: int
    right: int
    certified: int
    accuracy: float
    radius: float


class TransferGap(NamedTuple):
    """How far apart two models can be on attacked images. Risks are mean cross-entropies.

    Fields:
      clean: risk of the attacked model and of the judge on clean images
      attacked: on attacked ones; NaN without an attack
      moved: longest way of an attacked image, l2; NaN without an attack
      bound: |clean[0] - clean[1]| + 2 sqrt(2) max(L) eps, which |attacked[0] - attacked[1]|
          cannot exceed
      samples: all that were looked at
    """
    clean: Tuple[float, ...]
    attacked: Tuple[float, ...]
    moved: float
    bound: float
    samples: int


class Audit(NamedTuple):
    """Everything in percent, AUCs too: 50 = the attack learns nothing. What matters is the
    distance to a retrained model's figures, on either side: an FT AUC well below the retrained
    one means that the forget samples stand out as unusually wrong (over-unlearned), not that
    they are better hidden.

    Fields:
      ua: accuracy on the forget, remaining and test samples
      ra: accuracy on the forget, remaining and test samples
      ta: accuracy on the forget, remaining and test samples
      ft_auc: RMIA: forget/test, remain/forget, remain/test
      fr_auc: RMIA: forget/test, remain/forget, remain/test
      rt_auc: RMIA: forget/test, remain/forget, remain/test
      ft_auc_sd: sample deviation over the subsamples; NaN for one
      ft_tpr_1: true-positive rate at 1 % and 0.1 % false positives, forget/test
      ft_tpr_01: true-positive rate at 1 % and 0.1 % false positives, forget/test
      mis: NaN without libsvm
      seconds: of this call
      nonpositive: Taylor sums that were not positive, references included
      references: models used
    """
    ua: float
    ra: float
    ta: float
    ft_auc: float
    fr_auc: float
    rt_auc: float
    ft_auc_sd: float
    ft_tpr_1: float
    ft_tpr_01: float
    mis: float
    seconds: float
    nonpositive: int
    references: int


class Gap(NamedTuple):
    """Any number of the unlearned model beside the same number of retrained ones.

    Fields:
      models: retrained models
      unlearned: the unlearned model's number
      retrained: mean
      gap: |unlearned - retrained|; ideal: not above the null
      null_mean: the gap of each retrained model to the mean of the others: mean
      null_sd: and sample deviation; both NaN for one retrained model
    """
    models: int
    unlearned: float
    retrained: float
    gap: float
    null_mean: float
    null_sd: float


class Probe(NamedTuple):
    """A new head for all classes, on features that stay as they are.

    Fields:
      fitted: rows
      tested: rows
      forget_accuracy: on test rows of the forget classes
      remain_accuracy: on the others; NaN without any
      fit_accuracy: on the rows it was fitted on
      auc: test rows of the forget classes above the others, by the log-odds that the probe gives
          to the forget classes together; NaN without both kinds
      logits: [m, classes], the probe's on the test rows; None from a model
    """
    fitted: int
    tested: int
    forget_accuracy: float
    remain_accuracy: float
    fit_accuracy: float
    auc: float
    logits: Optional[np.ndarray]


class Prototype(NamedTuple):
    """A head whose rows of the forget classes are the mean features of a few samples: relearning
    in no steps.

    Fields:
      tested: rows
      forget_before: accuracies on test rows with the head as it is; NaN without such rows
      remain_before: accuracies on test rows with the head as it is; NaN without such rows
      forget_accuracy: with prototypes: mean over the draws, sample deviation (NaN for one draw)
      forget_sd: with prototypes: mean over the draws, sample deviation (NaN for one draw)
      remain_accuracy: what the new rows take from the others
      remain_sd: what the new rows take from the others
    """
    tested: int
    forget_before: float
    remain_before: float
    forget_accuracy: float
    forget_sd: float
    remain_accuracy: float
    remain_sd: float


class Lossmia(NamedTuple):
    """Logistic regression on one number per sample, its loss.

    Fields:
      rows: of each side: what the smaller one has
      accuracy: on the tested parts, mean over the splits; 50: nothing is told
      sd: sample deviation over the splits; NaN for one
      auc: forget samples below unseen ones, all of both; 50: nothing is told
    """
    rows: int
    accuracy: float
    sd: float
    auc: float


class Quality(NamedTuple):
    """How well two groups of models can be told apart, sample by sample.

    Fields:
      unlearned: models of each side, samples
      retrained: models of each side, samples
      rows: models of each side, samples
      score: mean points, in (0, 1]; 1: no sample tells the groups apart
      epsilon_mean: over the samples
      epsilon_median: over the samples
      capped: samples with epsilon `cap`
      epsilon: [n], of each sample
    """
    unlearned: int
    retrained: int
    rows: int
    score: float
    epsilon_mean: float
    epsilon_median: float
    capped: int
    epsilon: np.ndarray


class UnlearnResult(NamedTuple):
    """What a run did.

    Fields:
      remain: samples per epoch from D_R, D_F, D_A; SSD, SVD: in all; UNSIR: adversarial counts
          its noise images
      forget: samples per epoch from D_R, D_F, D_A; SSD, SVD: in all; UNSIR: adversarial counts
          its noise images
      adversarial: samples per epoch from D_R, D_F, D_A; SSD, SVD: in all; UNSIR: adversarial
          counts its noise images
      failed: forget samples without adversarial example; BOUNDARY_SHRINK: that the step leaves in
          their class
      loss: of the last epoch's mix, percent; NaN if nothing was trained
      accuracy: of the last epoch's mix, percent; NaN if nothing was trained
      seconds: of this call
    """
    remain: int
    forget: int
    adversarial: int
    failed: int
    loss: float
    accuracy: float
    seconds: float


class UnlearnBound(NamedTuple):
    """The terms of Theorem 4.1 of arXiv 2503.00917: after one gradient step of size 1 / beta from
    weights o, trained on all, to weights a on D and (x_a, y_a), the distance to weights u,
    trained without (x, y), obeys |a - u|^2 <= |o - u|^2 + (2 / beta) (L delta - C), delta = |x
    - x_a|, C = l(o; x_a, y) + l(a; x_a, y_a) - l(u; x, y) - l(u; x_a, y_a), if the loss is
    convex and beta-smooth in the weights and L-Lipschitz in x. Networks are not convex: a
    diagnosis, no certificate. Means over the forget samples with an example; losses are cross-
    entropies.

    Fields:
      samples: with an example
      delta: mean of delta, l2
      l_delta: mean of sqrt(2) L delta, with L of the logits
      original_adversarial: l(o; x_a, y)
      unlearned_adversarial: l(a; x_a, y_a)
      retrained_clean: l(u; x, y); NaN without a retrained model, as all below
      retrained_adversarial: l(u; x_a, y_a)
      c: C above
      before: |o - u|^2 over the trainable weights
      after: |a - u|^2
      bound: before + (2 / beta) (l_delta - c)
    """
    samples: int
    delta: float
    l_delta: float
    original_adversarial: float
    unlearned_adversarial: float
    retrained_clean: float
    retrained_adversarial: float
    c: float
    before: float
    after: float
    bound: float


class ForgetCheck(NamedTuple):
    """A model that never saw the forget samples treats them as it treats other unseen samples of
    the same distribution: AUC 50. Either side of it tells an observer something.

    Fields:
      auc: forget above unseen, percent
      error: standard error of auc (DeLong et al., Biometrics 44, 1988), percent
      low: auc -+ quantile * error, with the normal quantile of `confidence`
      high: auc -+ quantile * error, with the normal quantile of `confidence`
      p: two-sided, of auc = 50; 1 if both groups have the same scores
      verdict: by [low, high]
    """
    auc: float
    error: float
    low: float
    high: float
    p: float
    verdict: Verdict


class SelectTrial(NamedTuple):
    """One rate.

    Fields:
      lr: the rate
      forget_accuracy: percent
      heldout_accuracy: percent; SAMPLES: of all held-out samples, CLASSES: without the forget
          classes
      auc: of ForgetCheck; NaN if held-out data has fewer than two samples to compare with
      error: of ForgetCheck; NaN if held-out data has fewer than two samples to compare with
      seconds: of this trial
      admitted: 1: held-out accuracy within the tolerance
      failed: 1: training diverged; the figures are NaN
    """
    lr: float
    forget_accuracy: float
    heldout_accuracy: float
    auc: float
    error: float
    seconds: float
    admitted: bool
    failed: bool


class Relearn(NamedTuple):
    """How fast a model learns the forget samples again (after Golatkar et al., arXiv 1911.04933):
    what was only hidden comes back at once. Compare with a retrained model's.

    Fields:
      steps: until the target was met; -1: not within most_epochs
      before: accuracy on the forget samples before the first step, percent
      after: at the last look
      seconds: of this call
    """
    steps: int
    before: float
    after: float
    seconds: float


class LayerSpectrum(NamedTuple):
    """A layer as a linear map, and what is known of its norm.

    Fields:
      name: module path, "" for a pool; lives as long as the spectrum
      batchnorm: module path of the batch norm in it, or NULL; the same
      kind: what it is
      node: in the model's graph
      in_shape: channels, height, width
      out_shape: the same of the result
      sigma_lower: the norm is at least this (Ritz value), but for rounding in single precision;
          never above sigma_upper; NaN before a run
      sigma_upper: the norm is at most this, rounding included; infinity without certify; NaN
          before a run
      sigma_flat: norm of the weights (times the batch norm's factors, if it is in the layer) as a
          matrix [out][rest], which torch.nn.utils.spectral_norm divides by; NaN without weights
      residual: |M'M v - sigma^2 v| of the first value; NaN for LEGACY, EXACT
      bound: of sigma_upper
      values: how many singular values there are
      iterations: of the last run; 0: none were needed
      converged: 1: the stop test was met for all values, or nothing had to be iterated; 0 after
          LEGACY's iterations, which have no test
    """
    name: str
    batchnorm: Optional[str]
    kind: LayerKind
    node: int
    in_shape: Tuple[int, ...]
    out_shape: Tuple[int, ...]
    sigma_lower: float
    sigma_upper: float
    sigma_flat: float
    residual: float
    bound: BoundKind
    values: int
    iterations: int
    converged: bool


class Lipschitz(NamedTuple):
    """All in l2, from the model's input (pixels) to its logits in evaluation mode.

    Fields:
      upper: no two inputs are stretched by more than this: products along chains, sums where
          branches meet; infinity without certify
      estimate: the same with sigma_lower in place of sigma_upper: not a bound
    """
    upper: float
    estimate: float


# result struct of the library: its class
RESULT_CLASSES: Dict[str, Any] = {
    "amun_progress": Progress,
    "amun_memory_stats": MemoryStats,
    "amun_miann": Miann,
    "amun_c2st": C2st,
    "amun_ulira": Ulira,
    "amun_ulira_samples": UliraSamples,
    "amun_distance": Distance,
    "amun_svcmia": Svcmia,
    "amun_clip_result": ClipResult,
    "amun_train_result": TrainResult,
    "amun_transfer_result": TransferResult,
    "amun_certificate": Certificate,
    "amun_transfer_gap": TransferGap,
    "amun_audit": Audit,
    "amun_gap": Gap,
    "amun_probe": Probe,
    "amun_prototype": Prototype,
    "amun_lossmia": Lossmia,
    "amun_quality": Quality,
    "amun_unlearn_result": UnlearnResult,
    "amun_unlearn_bound": UnlearnBound,
    "amun_forget_check": ForgetCheck,
    "amun_select_trial": SelectTrial,
    "amun_relearn": Relearn,
    "amun_layer_spectrum": LayerSpectrum,
    "amun_lipschitz": Lipschitz,
}
