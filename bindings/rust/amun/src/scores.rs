//! Scores on saved outputs: no context, no handle, any model.
use crate::base::{check, expect_length, Kept};
use crate::{sys, Result, RmiaOptions, TensorView};
use std::ptr::null;

/// Signal of each row of `logits` (n x classes), and the number of rows where it is no probability.
pub fn signal(
    logits: &TensorView,
    labels: &TensorView,
    options: &RmiaOptions,
) -> Result<(Vec<f64>, usize)> {
    let (mut signal, mut nonpositive, mut kept) = (vec![0.0; logits.rows()], 0, Kept::new());
    let options = options.raw(&mut kept)?;
    // SAFETY: the output has one entry per row; options live in `kept`; as everywhere below.
    check(unsafe {
        let out = signal.as_mut_ptr();
        sys::amun_signal_compute(out, &mut nonpositive, &logits.raw, &labels.raw, options)
    })?;
    Ok((signal, nonpositive))
}

/// RMIA scores from the signals of the target (n) and of references (models x n, row by row).
/// `included` (the same) is for offline mode; `population` (n) marks the samples to compare with,
/// None: all.
pub fn rmia_scores(
    target: &[f64],
    references: &[f64],
    included: Option<&[u8]>,
    population: Option<&[u8]>,
    options: &RmiaOptions,
) -> Result<Vec<f64>> {
    let n = target.len();
    let models = references.len().checked_div(n).unwrap_or(0);
    expect_length("references", references.len(), models * n)?;
    expect_length("included", included.map_or(models * n, <[u8]>::len), models * n)?;
    expect_length("population", population.map_or(n, <[u8]>::len), n)?;
    let (mut scores, mut kept) = (vec![0.0; n], Kept::new());
    let options = options.raw(&mut kept)?;
    let included = included.map_or(null(), <[u8]>::as_ptr);
    let population = population.map_or(null(), <[u8]>::as_ptr);
    check(unsafe {
        let (out, target, references) = (scores.as_mut_ptr(), target.as_ptr(), references.as_ptr());
        sys::amun_rmia_scores(out, target, references, included, population, models, n, options)
    })?;
    Ok(scores)
}

/// Area under the ROC curve in [0, 1].
pub fn auc(positives: &[f64], negatives: &[f64]) -> Result<f64> {
    let (mut auc, p, n) = (f64::NAN, positives, negatives);
    check(unsafe { sys::amun_auc_compute(&mut auc, p.as_ptr(), p.len(), n.as_ptr(), n.len()) })?;
    Ok(auc)
}

/// The largest true-positive rate among ROC points with at most that false-positive rate.
pub fn tpr_at_fpr(positives: &[f64], negatives: &[f64], fpr: f64) -> Result<f64> {
    let (mut tpr, p, n) = (f64::NAN, positives, negatives);
    check(unsafe {
        sys::amun_tpr_at_fpr(&mut tpr, p.as_ptr(), p.len(), n.as_ptr(), n.len(), fpr)
    })?;
    Ok(tpr)
}

/// Percent of `forget` that a support-vector machine on confidences calls non-members; as many
/// members as non-members.
pub fn svc_mis(members: &[f64], nonmembers: &[f64], forget: &[f64]) -> Result<f64> {
    let (mut mis, n) = (f64::NAN, members.len());
    expect_length("nonmembers", nonmembers.len(), n)?;
    check(unsafe {
        let (members, nonmembers) = (members.as_ptr(), nonmembers.as_ptr());
        sys::amun_svc_mis(&mut mis, members, nonmembers, n, forget.as_ptr(), forget.len())
    })?;
    Ok(mis)
}
