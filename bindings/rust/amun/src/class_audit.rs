//! Audits of a forgotten class, on saved logits: no context, no handle, any model.
use crate::base::{check, expect_length, Kept};
use crate::*;
use std::ptr::null;

/// Logits on the same images: of retrained models [models, n, classes], of the unlearned one
/// [n, classes]; their labels, and the classes that were forgotten.
#[derive(Clone, Copy, Debug)]
pub struct ClassLogits<'a> {
    pub retrained: TensorView<'a>,
    pub unlearned: TensorView<'a>,
    pub labels: TensorView<'a>,
    pub forget: &'a [i64],
}

/// MIA-NN: does the class's mass go where retraining sends it?
pub fn miann(logits: &ClassLogits, options: &MiannOptions) -> Result<Miann> {
    let (mut raw, mut kept) = (Miann::empty(), Kept::new());
    let options = options.raw(&mut kept)?;
    // SAFETY: views with their extents, lists with their lengths, options in `kept`; as everywhere
    // below.
    check(unsafe {
        let (accuracy, sanity) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (r, u, l) = (&logits.retrained.raw, &logits.unlearned.raw, &logits.labels.raw);
        let (f, n) = (logits.forget.as_ptr(), logits.forget.len());
        sys::amun_miann_compute(&mut raw, accuracy, sanity, r, u, l, f, n, options)
    })?;
    Ok(Miann::from_raw(&raw))
}

/// C2ST: can anything linear tell the unlearned model's outputs from a retrained one's?
pub fn c2st(logits: &ClassLogits, options: &C2stOptions) -> Result<C2st> {
    let (mut raw, mut kept) = (C2st::empty(), Kept::new());
    let options = options.raw(&mut kept)?;
    check(unsafe {
        let (r, u, l) = (&logits.retrained.raw, &logits.unlearned.raw, &logits.labels.raw);
        let (f, n) = (logits.forget.as_ptr(), logits.forget.len());
        sys::amun_c2st_compute(&mut raw, r, u, l, f, n, options)
    })?;
    Ok(C2st::from_raw(&raw))
}

/// The score of U-LiRA for each row of `logits`: log p_y - log(1 - p_y).
pub fn ulira_phi(logits: &TensorView, labels: &TensorView) -> Result<Vec<f64>> {
    let mut phi = vec![0.0; logits.rows()];
    check(unsafe { sys::amun_ulira_phi(phi.as_mut_ptr(), &logits.raw, &labels.raw) })?;
    Ok(phi)
}

/// U-LiRA of a class: likelihood ratios from shadow models of both sides, [models, n, classes]
/// each; `released` [n, classes] is the model under test.
pub fn ulira_class(
    unlearned: &TensorView,
    retrained: &TensorView,
    released: Option<&TensorView>,
    labels: &TensorView,
    forget: &[i64],
    options: &UliraOptions,
) -> Result<Ulira> {
    let (mut raw, mut kept) = (Ulira::empty(), Kept::new());
    let options = options.raw(&mut kept)?;
    let released = released.map_or(null(), |view| &view.raw as *const _);
    check(unsafe {
        let (u, r, l) = (&unlearned.raw, &retrained.raw, &labels.raw);
        let (f, n) = (forget.as_ptr(), forget.len());
        sys::amun_ulira_class(&mut raw, u, r, released, l, f, n, options)
    })?;
    Ok(Ulira::from_raw(&raw))
}

/// Rows of a data set that count: those of some classes. None: all rows.
pub type Chosen<'a> = Option<(&'a TensorView<'a>, &'a [i64])>;

fn chosen_raw(chosen: Chosen) -> (*const sys::amun_tensor_view, *const i64, usize) {
    chosen.map_or((null(), null(), 0), |(labels, classes)| {
        (&labels.raw as *const _, classes.as_ptr(), classes.len())
    })
}

/// How far the unlearned model's predictions [n, classes] are from those of retrained models
/// [models, n, classes]; and the total variation of each row, NaN where it was not chosen.
pub fn distance(
    retrained: &TensorView,
    unlearned: &TensorView,
    chosen: Chosen,
) -> Result<(Distance, Vec<f64>)> {
    let (mut raw, mut rows) = (Distance::empty(), vec![0.0; unlearned.rows()]);
    let (labels, classes, count) = chosen_raw(chosen);
    check(unsafe {
        let (out, r, u) = (rows.as_mut_ptr(), &retrained.raw, &unlearned.raw);
        sys::amun_distance_compute(&mut raw, out, r, u, labels, classes, count)
    })?;
    Ok((Distance::from_raw(&raw), rows))
}

/// Where the rows go: percent whose largest logit is that of each class, a row for each model; the
/// last row is the unlearned model's.
pub fn distance_routing(
    retrained: &TensorView,
    unlearned: &TensorView,
    chosen: Chosen,
) -> Result<Vec<f64>> {
    expect_length("extents of the retrained logits", retrained.shape().len(), 3)?;
    let (labels, list, count) = chosen_raw(chosen);
    let models = retrained.rows();
    let classes = if models == 0 { 0 } else { retrained.shape()[2] as usize };
    let mut shares = vec![0.0; (models + 1) * classes];
    check(unsafe {
        let (out, r, u) = (shares.as_mut_ptr(), &retrained.raw, &unlearned.raw);
        sys::amun_distance_routing(out, r, u, labels, list, count)
    })?;
    Ok(shares)
}

/// ZRF: 1 less the mean divergence from a freshly initialised network's predictions.
pub fn distance_zrf(unlearned: &TensorView, random: &TensorView) -> Result<f64> {
    let mut zrf = f64::NAN;
    check(unsafe { sys::amun_distance_zrf(&mut zrf, &unlearned.raw, &random.raw) })?;
    Ok(zrf)
}

/// Logits [n, classes] with their labels.
pub type Labelled<'a> = (&'a TensorView<'a>, &'a TensorView<'a>);

/// SVC-MIA in the protocol of SalUn: retained training rows against test rows, asked about
/// forgotten ones.
pub fn svcmia_salun(
    remain: Labelled,
    test: Labelled,
    forget: Labelled,
    options: &SvcmiaOptions,
) -> Result<Svcmia> {
    svcmia(sys::amun_svcmia_salun, [remain, test, forget], options)
}

/// SVC-MIA in the protocol of Kodge et al.: retained against forgotten training rows, asked about
/// test rows of the forgotten classes.
pub fn svcmia_kodge(
    remain: Labelled,
    forget: Labelled,
    forget_test: Labelled,
    options: &SvcmiaOptions,
) -> Result<Svcmia> {
    svcmia(sys::amun_svcmia_kodge, [remain, forget, forget_test], options)
}

type View = *const sys::amun_tensor_view;
type SvcmiaCall = unsafe extern "C" fn(
    *mut sys::amun_svcmia,
    View,
    View,
    View,
    View,
    View,
    View,
    *const sys::amun_svcmia_options,
) -> sys::amun_status;

fn svcmia(call: SvcmiaCall, parts: [Labelled; 3], options: &SvcmiaOptions) -> Result<Svcmia> {
    let (mut raw, mut kept) = (Svcmia::empty(), Kept::new());
    let options = options.raw(&mut kept)?;
    let [(a, a_labels), (b, b_labels), (c, c_labels)] = parts;
    check(unsafe {
        let (a_labels, b_labels, c_labels) = (&a_labels.raw, &b_labels.raw, &c_labels.raw);
        call(&mut raw, &a.raw, a_labels, &b.raw, b_labels, &c.raw, c_labels, options)
    })?;
    Ok(Svcmia::from_raw(&raw))
}
