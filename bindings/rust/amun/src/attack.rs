//! Attacks and adversarial sets.
use crate::base::{c_path, check, create, expect_length, Kept};
use crate::tensor::output;
use crate::*;
use std::path::Path;
use std::ptr::null;

handle! {
    /// An attack with its options. One call at a time.
    pub Attack, amun_attack, amun_attack_unref
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident($options:ident) = $create:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(ctx: &Context, options: &$options) -> Result<Self> {
            let mut kept = Kept::new();
            let options = options.raw(&mut kept)?;
            // SAFETY: the options live in `kept`; the library copies them.
            create(|out| unsafe { sys::$create(out, ctx.ptr(), options) })
        }
    )*};
}

impl Attack {
    constructors! {
        /// One step (arXiv 1412.6572).
        fgsm(FgsmOptions) = amun_attack_create_fgsm;
        /// One step from a random start (arXiv 2001.03994).
        ffgsm(FfgsmOptions) = amun_attack_create_ffgsm;
        /// Projected gradient in the Linf ball (arXiv 1706.06083); [`PgdOptions::linf()`].
        pgd_linf(PgdOptions) = amun_attack_create_pgd_linf;
        /// The same in the L2 ball; [`PgdOptions::l2()`].
        pgd_l2(PgdOptions) = amun_attack_create_pgd_l2;
        /// The nearest adversarial example, for adversarial sets.
        search(SearchOptions) = amun_attack_create_search;
        /// Momentum (arXiv 1710.06081).
        mim(MimOptions) = amun_attack_create_mim;
        /// Auto-PGD (arXiv 2003.01690).
        apgd(ApgdOptions) = amun_attack_create_apgd;
        /// Without gradients (arXiv 1912.00049).
        square(SquareOptions) = amun_attack_create_square;
        /// The worst of several per sample.
        standard(StandardOptions) = amun_attack_create_standard;
    }

    /// Where it keeps its images.
    pub fn clamp(&self) -> Clamp {
        // SAFETY: a live handle.
        Clamp(unsafe { sys::amun_attack_clamp(self.ptr()) })
    }

    /// Attacks n images [n, C, H, W] with their n true `labels`. `ids` key random starts and name
    /// samples; None means 0..n. Returns the attacked images and a record for each.
    pub fn run(
        &mut self,
        model: &Model,
        images: &TensorView,
        labels: &TensorView,
        ids: Option<&[i64]>,
        call: Call,
    ) -> Result<(Vec<f32>, Vec<AttackRecord>)> {
        run_on(images, ids, |ids, out, records| {
            // SAFETY: the outputs have the input's shape and one record per image.
            call.with(|call| unsafe {
                let (attack, model) = (self.ptr(), model.ptr());
                sys::amun_attack_run(
                    attack,
                    model,
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
}

/// What an attack on a model and one on an ensemble share: outputs of the right size.
pub(crate) fn run_on(
    images: &TensorView,
    ids: Option<&[i64]>,
    run: impl FnOnce(
        *const i64,
        *const sys::amun_tensor_view,
        *mut sys::amun_attack_record,
    ) -> sys::amun_status,
) -> Result<(Vec<f32>, Vec<AttackRecord>)> {
    let n = images.rows();
    let ids = match ids {
        Some(ids) => {
            expect_length("ids", ids.len(), n)?;
            ids.as_ptr()
        }
        None => null(),
    };
    let shape: Vec<usize> = images.shape().iter().map(|extent| *extent as usize).collect();
    let mut adversarial = vec![0.0; images.elements()];
    let out = output(&mut adversarial, &shape)?;
    // SAFETY: zero is a value of every field.
    let mut records = vec![unsafe { std::mem::zeroed() }; n];
    check(run(ids, &out, records.as_mut_ptr()))?;
    Ok((adversarial, records.iter().map(AttackRecord::from_raw).collect()))
}

handle!(AdvSetHandle, amun_advset, amun_advset_unref);

// SAFETY: an adversarial set is immutable; the thread table allows any number of calls at once.
unsafe impl Sync for AdvSetHandle {}

/// For each forget sample its nearest adversarial example. Immutable.
#[derive(Debug)]
pub struct AdvSet {
    handle: AdvSetHandle,
    pixels: usize, // of an image
}

impl AdvSet {
    /// Runs `attack` (a search, normally) on `indices` of `data`.
    pub fn build(
        attack: &mut Attack,
        model: &Model,
        data: &Dataset,
        indices: &[i64],
        call: Call,
    ) -> Result<Self> {
        let pixels = data.pixels()?;
        // SAFETY: live handles and a list with its length, as everywhere below.
        let handle = create(|out| {
            call.with(|call| unsafe {
                let (list, count) = (indices.as_ptr(), indices.len());
                let (attack, model, data) = (attack.ptr(), model.ptr(), data.ptr());
                sys::amun_advset_build(out, attack, model, data, list, count, call)
            })
        })?;
        Ok(Self { handle, pixels })
    }

    /// Reads a set and verifies every record against `data`.
    pub fn load(ctx: &Context, data: &Dataset, path: impl AsRef<Path>) -> Result<Self> {
        let (path, pixels) = (c_path(path)?, data.pixels()?);
        let handle = create(|out| unsafe {
            sys::amun_advset_load(out, data.ptr(), path.as_ptr(), ctx.ptr())
        })?;
        Ok(Self { handle, pixels })
    }

    /// Writes the set, atomically.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path)?;
        check(unsafe { sys::amun_advset_save(self.ptr(), path.as_ptr()) })
    }

    pub(crate) fn ptr(&self) -> *mut sys::amun_advset {
        self.handle.ptr()
    }

    /// Number of records, failed ones included.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        unsafe { sys::amun_advset_count(self.ptr()) }
    }

    /// Number of samples for which an example was found.
    pub fn found(&self) -> usize {
        unsafe { sys::amun_advset_found(self.ptr()) }
    }

    /// In the order of the indices.
    pub fn records(&self) -> Vec<AttackRecord> {
        // SAFETY: a table of len() rows that lives as long as the set.
        let records =
            unsafe { std::slice::from_raw_parts(sys::amun_advset_records(self.ptr()), self.len()) };
        records.iter().map(AttackRecord::from_raw).collect()
    }

    /// The image of record `i`; [`Error::NotFound`] for a record without one.
    pub fn image(&self, i: usize) -> Result<Vec<f32>> {
        let mut image = vec![0.0; self.pixels];
        check(unsafe { sys::amun_advset_image(self.ptr(), i, image.as_mut_ptr()) })?;
        Ok(image)
    }
}
