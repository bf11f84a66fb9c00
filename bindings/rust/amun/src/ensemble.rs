//! Ensembles, and how attacks transfer between models.
use crate::attack::run_on;
use crate::base::{c_path, create, indices, Kept};
use crate::model::predict_into;
use crate::*;
use std::ffi::c_char;
use std::path::Path;

handle! {
    /// Several models as one. Keeps them alive; their weights may change. One call at a time.
    pub Ensemble, amun_ensemble, amun_ensemble_unref
}

fn pointers(models: &[&Model]) -> Vec<*mut sys::amun_model> {
    models.iter().map(|model| model.ptr()).collect()
}

impl Ensemble {
    /// Models of one input shape and number of classes.
    pub fn new(ctx: &Context, models: &[&Model]) -> Result<Self> {
        let models = pointers(models);
        // SAFETY: live handles, lists with their lengths, options in `kept`; as everywhere below.
        create(|out| unsafe {
            sys::amun_ensemble_create(out, ctx.ptr(), models.as_ptr(), models.len())
        })
    }

    /// Reads what [`Ensemble::save`] wrote.
    pub fn load(ctx: &Context, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = c_path(folder)?;
        create(|out| unsafe { sys::amun_ensemble_load(out, ctx.ptr(), folder.as_ptr()) })
    }

    /// Writes the members and an index into `folder`.
    pub fn save(&mut self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = c_path(folder)?;
        base::check(unsafe { sys::amun_ensemble_save(self.ptr(), folder.as_ptr()) })
    }

    /// Number of members.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        unsafe { sys::amun_ensemble_count(self.ptr()) }
    }

    /// Member `i`: the same model, not a copy.
    pub fn model(&self, i: usize) -> Option<Model> {
        // SAFETY: a live handle, or NULL beyond the end.
        unsafe { Model::share(sys::amun_ensemble_model(self.ptr(), i)) }
    }

    /// Log of the mean probabilities [n, classes] for images [n, C, H, W].
    pub fn predict(&mut self, images: &TensorView, call: Call) -> Result<Vec<f32>> {
        let classes = self.model(0).map_or(0, |model| model.classes());
        predict_into(images, classes, |logits| {
            call.with(|call| unsafe {
                sys::amun_ensemble_predict(self.ptr(), &images.raw, logits, call)
            })
        })
    }

    /// Accuracy in percent and mean cross-entropy.
    pub fn evaluate(
        &mut self,
        data: &Dataset,
        list: Option<&[i64]>,
        call: Call,
    ) -> Result<(f64, f64)> {
        let (mut accuracy, mut loss, (list, count)) = (f64::NAN, f64::NAN, indices(list));
        call.run(|call| unsafe {
            let (this, data) = (self.ptr(), data.ptr());
            sys::amun_ensemble_evaluate(&mut accuracy, &mut loss, this, data, list, count, call)
        })?;
        Ok((accuracy, loss))
    }

    /// [`Attack::run`] on the output of the ensemble.
    pub fn attack(
        &mut self,
        attack: &mut Attack,
        images: &TensorView,
        labels: &TensorView,
        ids: Option<&[i64]>,
        call: Call,
    ) -> Result<(Vec<f32>, Vec<AttackRecord>)> {
        run_on(images, ids, |ids, out, records| {
            call.with(|call| unsafe {
                let (attack, this) = (attack.ptr(), self.ptr());
                sys::amun_ensemble_attack(
                    attack,
                    this,
                    &images.raw,
                    &labels.raw,
                    ids,
                    out,
                    records,
                    call,
                )
            })
        })
    }

    /// Trains all members together.
    pub fn train(
        &mut self,
        data: &Dataset,
        list: Option<&[i64]>,
        options: &EnsembleTrainOptions,
        call: Call,
    ) -> Result<TrainResult> {
        let ((list, count), mut kept) = (indices(list), Kept::new());
        let (options, mut result) = (options.raw(&mut kept)?, TrainResult::empty());
        call.run(|call| unsafe {
            let (this, data) = (self.ptr(), data.ptr());
            sys::amun_ensemble_train(&mut result, this, data, list, count, options, call)
        })?;
        Ok(TrainResult::from_raw(&result))
    }
}

/// Two layers of two members that correspond, for [`LotosMatch::PAIRS`].
#[derive(Clone, Debug)]
pub struct LayerPair {
    pub layer_a: String,
    pub layer_b: String,
    pub model_a: i32,
    pub model_b: i32,
}

impl LayerPair {
    pub(crate) fn raw(
        pairs: &[Self],
        kept: &mut Kept,
    ) -> Result<(*const sys::amun_layer_pair, usize)> {
        let mut list: Vec<sys::amun_layer_pair> = Vec::new();
        for pair in pairs {
            let layer_a: *const c_char = kept.text_or_null(Some(&pair.layer_a))?;
            let layer_b = kept.text_or_null(Some(&pair.layer_b))?;
            let (model_a, model_b) = (pair.model_a, pair.model_b);
            list.push(sys::amun_layer_pair { layer_a, layer_b, model_a, model_b });
        }
        let (address, count) = (list.as_ptr(), list.len());
        kept.keep(list); // its elements stay where they are
        Ok((if count == 0 { std::ptr::null() } else { address }, count))
    }
}

/// Rates of transfer beside their summary.
#[derive(Clone, Debug)]
pub struct Transfer {
    pub summary: TransferResult,
    /// between models count * count, row: attacked, column: shown; else one per surrogate
    pub rates: Vec<f64>,
    /// the number of samples that each rate is over
    pub eligible: Vec<i64>,
}

/// For every ordered pair of models, how often an attack on one fools the other.
pub fn transfer(
    models: &[&Model],
    attack: &mut Attack,
    data: &Dataset,
    list: Option<&[i64]>,
    call: Call,
) -> Result<Transfer> {
    let (models, (list, n), count) = (pointers(models), indices(list), models.len());
    let (mut rates, mut eligible) = (vec![0.0; count * count], vec![0; count * count]);
    let mut raw = TransferResult::empty();
    call.run(|call| unsafe {
        let (rates, eligible) = (rates.as_mut_ptr(), eligible.as_mut_ptr());
        let (models, attack, data) = (models.as_ptr(), attack.ptr(), data.ptr());
        sys::amun_transfer_run(
            &mut raw, rates, eligible, models, count, attack, data, list, n, call,
        )
    })?;
    Ok(Transfer { summary: TransferResult::from_raw(&raw), rates, eligible })
}

/// Each surrogate is attacked on its own, and the images are shown to `target`.
pub fn transfer_black_box(
    surrogates: &[&Model],
    attack: &mut Attack,
    target: &mut Ensemble,
    data: &Dataset,
    list: Option<&[i64]>,
    call: Call,
) -> Result<Transfer> {
    let (models, (list, n), count) = (pointers(surrogates), indices(list), surrogates.len());
    let (mut rates, mut eligible) = (vec![0.0; count], vec![0; count]);
    let mut raw = TransferResult::empty();
    call.run(|call| unsafe {
        let (rates, eligible) = (rates.as_mut_ptr(), eligible.as_mut_ptr());
        let (models, attack, target) = (models.as_ptr(), attack.ptr(), target.ptr());
        let (robust, data) = (std::ptr::null_mut(), data.ptr());
        sys::amun_transfer_black_box(
            &mut raw, rates, eligible, robust, models, count, attack, target, data, list, n, call,
        )
    })?;
    Ok(Transfer { summary: TransferResult::from_raw(&raw), rates, eligible })
}

/// The attack on the output of `target` itself.
pub fn transfer_white_box(
    attack: &mut Attack,
    target: &mut Ensemble,
    data: &Dataset,
    list: Option<&[i64]>,
    call: Call,
) -> Result<TransferResult> {
    let ((list, n), mut raw) = (indices(list), TransferResult::empty());
    call.run(|call| unsafe {
        let (attack, target, data) = (attack.ptr(), target.ptr(), data.ptr());
        sys::amun_transfer_white_box(&mut raw, attack, target, data, list, n, call)
    })?;
    Ok(TransferResult::from_raw(&raw))
}
