//! Spectra of layers, Lipschitz constants, and clipping.
use crate::base::{check, create, indices, Kept};
use crate::*;
use std::ptr::null_mut;

handle! {
    /// The layers of one model with their leading singular values. One call at a time.
    pub Spectrum, amun_spectrum, amun_spectrum_unref
}

impl Spectrum {
    /// Lists the layers; computes nothing yet. Keeps the model alive.
    pub fn new(model: &Model, options: &SpectrumOptions) -> Result<Self> {
        let mut kept = Kept::new();
        let options = options.raw(&mut kept)?;
        // SAFETY: live handles, options in `kept`, outputs with their lengths; as everywhere below.
        create(|out| unsafe { sys::amun_spectrum_create(out, model.ptr(), options) })
    }

    /// Measures all layers with the weights that the model has now. 0 iterations: as the options
    /// say.
    pub fn run(&mut self, max_iterations: i32, call: Call) -> Result<()> {
        call.run(|call| unsafe { sys::amun_spectrum_run(self.ptr(), max_iterations, call) })
    }

    /// Number of layers.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        unsafe { sys::amun_spectrum_count(self.ptr()) }
    }

    /// What is known of layer `i`.
    pub fn layer(&self, i: usize) -> Result<LayerSpectrum> {
        let mut raw = LayerSpectrum::empty();
        check(unsafe { sys::amun_spectrum_layer(self.ptr(), i, &mut raw) })?;
        Ok(LayerSpectrum::from_raw(&raw))
    }

    /// All singular values of layer `i` that there are, and their residuals.
    pub fn values(&self, i: usize) -> Result<(Vec<f64>, Vec<f64>)> {
        let count = self.layer(i)?.values as usize;
        let (mut sigma, mut residuals) = (vec![0.0; count], vec![0.0; count]);
        check(unsafe {
            let (sigma, residuals) = (sigma.as_mut_ptr(), residuals.as_mut_ptr());
            sys::amun_spectrum_values(self.ptr(), i, sigma, residuals, count)
        })?;
        Ok((sigma, residuals))
    }

    /// Right singular vector `j` of layer `i`, as an image of the layer's `in_shape`.
    pub fn vector(&self, i: usize, j: usize) -> Result<Vec<f32>> {
        let count = self.layer(i)?.in_shape.iter().product::<i64>() as usize;
        let mut vector = vec![0.0; count];
        check(unsafe { sys::amun_spectrum_vector(self.ptr(), i, j, vector.as_mut_ptr(), count) })?;
        Ok(vector)
    }

    /// Lipschitz bounds of the network, from a spectrum that was run.
    pub fn lipschitz(&self) -> Result<Lipschitz> {
        let mut raw = Lipschitz::empty();
        check(unsafe { sys::amun_lipschitz_bound(&mut raw, null_mut(), 0, self.ptr()) })?;
        Ok(Lipschitz::from_raw(&raw))
    }
}

/// The largest singular value of the Jacobian at any of the images: a lower bound.
pub fn lipschitz_local(
    model: &Model,
    data: &Dataset,
    list: Option<&[i64]>,
    call: Call,
) -> Result<f64> {
    let (mut largest, (list, n)) = (f64::NAN, indices(list));
    call.run(|call| unsafe {
        let (model, data) = (model.ptr(), data.ptr());
        sys::amun_lipschitz_local(&mut largest, null_mut(), model, data, list, n, call)
    })?;
    Ok(largest)
}

handle! {
    /// Holds the norms of one model's layers to a target. One call at a time; while it works on the
    /// model, other calls on that model give [`Error::Busy`].
    pub Clipper, amun_clipper, amun_clipper_unref
}

impl Clipper {
    /// Keeps the model alive.
    pub fn new(model: &mut Model, options: &ClipOptions) -> Result<Self> {
        let mut kept = Kept::new();
        let options = options.raw(&mut kept)?;
        create(|out| unsafe { sys::amun_clipper_create(out, model.ptr(), options) })
    }

    /// Clips all layers to their targets, now.
    pub fn run(&mut self, call: Call) -> Result<ClipResult> {
        let mut raw = ClipResult::empty();
        call.run(|call| unsafe { sys::amun_clipper_run(&mut raw, self.ptr(), call) })?;
        Ok(ClipResult::from_raw(&raw))
    }

    /// One step of the training schedule, for loops of one's own.
    pub fn step(&mut self) -> Result<ClipResult> {
        let mut raw = ClipResult::empty();
        check(unsafe { sys::amun_clipper_step(&mut raw, self.ptr()) })?;
        Ok(ClipResult::from_raw(&raw))
    }
}
