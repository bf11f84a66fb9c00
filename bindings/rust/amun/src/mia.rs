//! Audits with reference models, and reports.
use crate::base::{c_path, c_text, check, create, Kept};
use crate::*;
use std::path::Path;
use std::ptr::{null, null_mut};

handle!(MiaHandle, amun_mia, amun_mia_unref);

/// Reference models of one pool: the training set, then the test set. One call at a time.
#[derive(Debug)]
pub struct Mia {
    handle: MiaHandle,
    references: usize,
    pool: usize,
}

impl Mia {
    /// Both sets are labelled and of one image shape.
    pub fn new(
        ctx: &Context,
        train: &Dataset,
        test: &Dataset,
        options: &MiaOptions,
    ) -> Result<Self> {
        let mut kept = Kept::new();
        let raw = options.raw(&mut kept)?;
        // SAFETY: live handles, options in `kept`; as everywhere below.
        let handle = create(|out| unsafe {
            sys::amun_mia_create(out, ctx.ptr(), train.ptr(), test.ptr(), raw)
        })?;
        // the library has accepted the number, which is so in its range
        let references = options.references as usize;
        Ok(Self { handle, references, pool: train.len() + test.len() })
    }

    /// Trains the reference models that `dir` lacks (None: keeps nothing on disk), with the
    /// architecture of `like`.
    pub fn train_references(
        &mut self,
        like: &Model,
        options: &TrainOptions,
        dir: Option<&Path>,
        call: Call,
    ) -> Result<()> {
        let mut kept = Kept::new();
        let (options, dir) = (options.raw(&mut kept)?, dir.map(c_path).transpose()?);
        let dir = dir.as_ref().map_or(null(), |dir| dir.as_ptr());
        call.run(|call| unsafe {
            let (mia, like) = (self.handle.ptr(), like.ptr());
            sys::amun_mia_train_references(mia, like, options, dir, call)
        })
    }

    /// Takes the logits [train + test, classes] of a model that was trained on row `number` of
    /// [`Mia::inclusion`].
    pub fn set_reference(&mut self, number: i32, logits: &TensorView) -> Result<()> {
        check(unsafe { sys::amun_mia_set_reference(self.handle.ptr(), number, &logits.raw) })
    }

    /// Row by row, [references][train + test]: 1 where the reference model is trained on the image.
    pub fn inclusion(&self) -> &[u8] {
        // SAFETY: a matrix of that size, which lives as long as the handle.
        unsafe {
            let matrix = sys::amun_mia_inclusion(self.handle.ptr());
            std::slice::from_raw_parts(matrix, self.references * self.pool)
        }
    }

    /// Audits `model`; `forget` are indices into the training set.
    pub fn audit(&mut self, model: &Model, forget: &[i64], call: Call) -> Result<Audit> {
        let mut audit = Audit::empty();
        call.run(|call| unsafe {
            let (mia, model) = (self.handle.ptr(), model.ptr());
            sys::amun_mia_audit(&mut audit, mia, model, forget.as_ptr(), forget.len(), call)
        })?;
        Ok(Audit::from_raw(&audit))
    }
}

handle! {
    /// The report of runs and their audits, as text and as JSON. One call at a time.
    pub Report, amun_report, amun_report_unref
}

impl Report {
    /// `dataset` and `arch` are names for the reader.
    pub fn new(
        ctx: &Context,
        dataset: &str,
        arch: &str,
        forget_count: usize,
        references: i32,
    ) -> Result<Self> {
        let (dataset, arch) = (c_text(dataset)?, c_text(arch)?);
        create(|out| unsafe {
            let (dataset, arch) = (dataset.as_ptr(), arch.as_ptr());
            sys::amun_report_create(out, ctx.ptr(), dataset, arch, forget_count, references)
        })
    }

    /// One run of a method for forget set `seed`, which took `seconds`.
    pub fn add(&mut self, method: &str, seed: u64, audit: &Audit, seconds: f64) -> Result<()> {
        let (method, audit) = (c_text(method)?, audit.to_raw());
        check(unsafe { sys::amun_report_add(self.ptr(), method.as_ptr(), seed, &audit, seconds) })
    }

    /// Adds the text of a JSON object to the provenance.
    pub fn add_provenance(&mut self, key: &str, json: &str) -> Result<()> {
        let (key, json) = (c_text(key)?, c_text(json)?);
        check(unsafe { sys::amun_report_add_provenance(self.ptr(), key.as_ptr(), json.as_ptr()) })
    }

    /// Mean and sample deviation over a method's runs, and its own time.
    pub fn get(&self, method: &str) -> Result<(Audit, Audit, f64)> {
        let (method, mut seconds) = (c_text(method)?, 0.0);
        let (mut mean, mut sd) = (Audit::empty(), Audit::empty());
        check(unsafe {
            let (report, method) = (self.ptr(), method.as_ptr());
            sys::amun_report_get(report, method, &mut mean, &mut sd, &mut seconds)
        })?;
        Ok((Audit::from_raw(&mean), Audit::from_raw(&sd), seconds))
    }

    /// The text table.
    pub fn table(&self) -> Result<String> {
        let mut needed = 0;
        check(unsafe { sys::amun_report_table(self.ptr(), null_mut(), 0, &mut needed) })?;
        let mut buf = vec![0u8; needed];
        check(unsafe {
            sys::amun_report_table(self.ptr(), buf.as_mut_ptr().cast(), needed, &mut needed)
        })?;
        buf.truncate(buf.iter().position(|byte| *byte == 0).unwrap_or(buf.len()));
        Ok(String::from_utf8_lossy(&buf).into_owned())
    }

    /// Writes the report as JSON, atomically.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path)?;
        check(unsafe { sys::amun_report_write(self.ptr(), path.as_ptr()) })
    }
}
