//! Settings and alarms that need no retrained model.
use crate::base::{check, indices, Handle, Kept};
use crate::*;
use std::ptr::{null, null_mut};

/// Whether forget samples look like samples that were never seen; higher scores mean more like a
/// member. `confidence` is usually 0.95.
pub fn forget_check_scores(forget: &[f64], unseen: &[f64], confidence: f64) -> Result<ForgetCheck> {
    let mut raw = ForgetCheck::empty();
    // SAFETY: live handles, lists with their lengths, options in `kept`; as everywhere below.
    check(unsafe {
        let ((f, n_f), (u, n_u)) =
            ((forget.as_ptr(), forget.len()), (unseen.as_ptr(), unseen.len()));
        sys::amun_forget_check_scores(&mut raw, f, n_f, u, n_u, confidence)
    })?;
    Ok(ForgetCheck::from_raw(&raw))
}

/// The same on a model; `list` are indices into `unseen`, None: all of it.
pub fn forget_check(
    model: &Model,
    train: &Dataset,
    forget: &[i64],
    unseen: &Dataset,
    list: Option<&[i64]>,
    confidence: f64,
    call: Call,
) -> Result<ForgetCheck> {
    let ((list, n), mut raw) = (indices(list), ForgetCheck::empty());
    call.run(|call| unsafe {
        let (model, train, unseen) = (model.ptr(), train.ptr(), unseen.ptr());
        let (f, n_f) = (forget.as_ptr(), forget.len());
        sys::amun_forget_check_model(
            &mut raw, model, train, f, n_f, unseen, list, n, confidence, call,
        )
    })?;
    Ok(ForgetCheck::from_raw(&raw))
}

/// What came of each rate, and the model of the best one.
#[derive(Debug)]
pub struct Selection {
    pub trials: Vec<SelectTrial>,
    pub best: usize,
    pub model: Model,
}

/// A request to forget, as [`Model::unlearn`] takes it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub train: &'a Dataset,
    pub forget: &'a [i64],
    pub set: Option<&'a AdvSet>,
    pub unlearn: &'a UnlearnOptions,
}

/// Runs a method with each rate on a copy of `model`, and says which one to take.
pub fn select_rate(
    model: &Model,
    request: &Request,
    heldout: &Dataset,
    rates: &[f64],
    options: &SelectOptions,
    call: Call,
) -> Result<Selection> {
    let (mut kept, mut best, mut unlearned) = (Kept::new(), 0, null_mut());
    let (options, unlearn) = (options.raw(&mut kept)?, request.unlearn.raw(&mut kept)?);
    let mut trials = vec![SelectTrial::empty(); rates.len()];
    let status = call.with(|call| unsafe {
        let (set, train) = (request.set.map_or(null(), |s| s.ptr().cast_const()), request.train);
        let (f, n_f, train) = (request.forget.as_ptr(), request.forget.len(), train.ptr());
        let (t, heldout, model) = (trials.as_mut_ptr(), heldout.ptr(), model.ptr());
        let (r, n) = (rates.as_ptr(), rates.len());
        sys::amun_select_rate(
            t,
            &mut best,
            &mut unlearned,
            model,
            train,
            f,
            n_f,
            set,
            heldout,
            r,
            n,
            unlearn,
            options,
            call,
        )
    });
    // SAFETY: the library gave NULL or a reference; owned before a panic goes on.
    let unlearned = unsafe { Model::own(unlearned) };
    check(status)?;
    let model = unlearned.ok_or_else(|| Error::Internal("no model, and no status".into()))?;
    Ok(Selection { trials: trials.iter().map(SelectTrial::from_raw).collect(), best, model })
}

/// How fast a model learns the forget samples again, up to an accuracy of `target` percent.
pub fn relearn_time(
    model: &Model,
    train: &Dataset,
    forget: &[i64],
    target: f64,
    options: &RelearnOptions,
    call: Call,
) -> Result<Relearn> {
    let (mut kept, mut raw) = (Kept::new(), Relearn::empty());
    let options = options.raw(&mut kept)?;
    call.run(|call| unsafe {
        let (model, train, f, n) = (model.ptr(), train.ptr(), forget.as_ptr(), forget.len());
        sys::amun_relearn_time(&mut raw, model, train, f, n, target, options, call)
    })?;
    Ok(Relearn::from_raw(&raw))
}

/// What came of each beta.
#[derive(Clone, Debug)]
pub struct TiltSelection {
    pub beta: f64,
    /// percent right on held-out samples for each candidate, NaN where none was run
    pub heldout: Vec<f64>,
    /// percent right of the original model
    pub original: f64,
}

/// The largest of `betas` for TRW that costs the retained classes no more than the tolerance.
pub fn trw_select_beta(
    model: &Model,
    request: &Request,
    betas: &[f64],
    options: &TrwSelectOptions,
    call: Call,
) -> Result<TiltSelection> {
    let (mut kept, mut beta, mut original) = (Kept::new(), f64::NAN, f64::NAN);
    let (options, unlearn) = (options.raw(&mut kept)?, request.unlearn.raw(&mut kept)?);
    let mut heldout = vec![f64::NAN; betas.len()];
    call.run(|call| unsafe {
        let (f, n_f, train) = (request.forget.as_ptr(), request.forget.len(), request.train.ptr());
        let (out, model, b, n) = (heldout.as_mut_ptr(), model.ptr(), betas.as_ptr(), betas.len());
        sys::amun_trw_select_beta(
            &mut beta,
            out,
            &mut original,
            model,
            train,
            f,
            n_f,
            b,
            n,
            options,
            unlearn,
            call,
        )
    })?;
    Ok(TiltSelection { beta, heldout, original })
}
