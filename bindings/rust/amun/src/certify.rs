//! What Lipschitz constants promise, and the terms of AMUN's bound.
use crate::base::{expect_length, indices};
use crate::*;
use std::ptr::{null, null_mut};

/// Radii (l2) within which the class of an image certainly stays, 0 for wrong samples. `lipschitz`:
/// one bound per member, of its logits.
pub fn certify(
    target: &mut Ensemble,
    lipschitz: &[f64],
    eps: f64,
    data: &Dataset,
    list: Option<&[i64]>,
    call: Call,
) -> Result<(Certificate, Vec<f64>)> {
    expect_length("lipschitz", lipschitz.len(), target.len())?;
    let mut radii = vec![0.0; list.map_or(data.len(), <[i64]>::len)];
    let ((list, n), mut raw) = (indices(list), Certificate::empty());
    // SAFETY: live handles, lists with their lengths; as everywhere below.
    call.run(|call| unsafe {
        let (out, target, data) = (radii.as_mut_ptr(), target.ptr(), data.ptr());
        let lipschitz = lipschitz.as_ptr();
        sys::amun_transfer_certify(&mut raw, out, target, lipschitz, eps, data, list, n, call)
    })?;
    Ok((Certificate::from_raw(&raw), radii))
}

/// How far apart the risks of two models (the attacked one, the judge) can be on images that moved
/// by at most `eps` (l2), and, with an attack, how far apart they are.
pub fn transfer_bound(
    models: [&Model; 2],
    lipschitz: [f64; 2],
    eps: f64,
    attack: Option<&mut Attack>,
    data: &Dataset,
    list: Option<&[i64]>,
    call: Call,
) -> Result<TransferGap> {
    let ((list, n), mut raw) = (indices(list), TransferGap::empty());
    let attack = attack.map_or(null_mut(), |attack| attack.ptr());
    call.run(|call| unsafe {
        let ([attacked, judge], data) = (models.map(|model| model.ptr()), data.ptr());
        let lipschitz = lipschitz.as_ptr();
        sys::amun_transfer_bound(
            &mut raw, attacked, judge, lipschitz, eps, attack, data, list, n, call,
        )
    })?;
    Ok(TransferGap::from_raw(&raw))
}

/// The terms of Theorem 4.1 of arXiv 2503.00917 on real models: a diagnosis, no certificate.
/// `models`: the original, the unlearned and, if there is one, a retrained model.
pub fn unlearn_diagnose(
    models: (&Model, &Model, Option<&Model>),
    train: &Dataset,
    set: &AdvSet,
    lipschitz: f64,
    beta: f64,
    call: Call,
) -> Result<UnlearnBound> {
    let mut raw = UnlearnBound::empty();
    let (original, unlearned) = (models.0.ptr(), models.1.ptr());
    let retrained = models.2.map_or(null(), |model| model.ptr().cast_const());
    call.run(|call| unsafe {
        let (train, set) = (train.ptr(), set.ptr());
        sys::amun_unlearn_diagnose(
            &mut raw, original, unlearned, retrained, train, set, lipschitz, beta, call,
        )
    })?;
    Ok(UnlearnBound::from_raw(&raw))
}
