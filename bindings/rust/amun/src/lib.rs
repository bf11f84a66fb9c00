//! Makes image classifiers forget chosen training samples, and checks whether they did: a safe
//! layer over the C library libamun. It computes nothing itself and has no defaults of its own.
//!
//! ```no_run
//! use amun::*;
//! # fn main() -> Result<()> {
//! let ctx = Context::new(&ContextOptions::default())?;
//! let digits = Dataset::open_idx(&ctx, "images.idx", Some("labels.idx"))?;
//! let shape = ModelOptions { channels: 1, height: 8, width: 8, ..Default::default() };
//! let mut model = Model::create(&ctx, "digits", &shape)?;
//! let how = TrainOptions { epochs: 20, augment_pad: 0, augment_flip: 0, ..Default::default() };
//! model.train(&digits, None, &how, Call::silent())?;
//!
//! let forget = forget_indices(90, digits.len(), 1)?;
//! let mut search = Attack::search(&ctx, &SearchOptions::default())?;
//! let nearest = AdvSet::build(&mut search, &model, &digits, &forget, Call::silent())?;
//! let request = UnlearnOptions::default();
//! model.unlearn(&digits, &forget, Some(&nearest), &request, Call::silent())?;
//! # Ok(())
//! # }
//! ```
//!
//! Flags in option structs are numbers, 0 or 1, as in C. What a call takes and returns is described
//! in full in the C headers.
#[macro_use]
mod base;
mod attack;
mod certify;
mod class_audit;
mod context;
mod data;
mod ensemble;
#[rustfmt::skip]
#[allow(non_upper_case_globals)]
mod enums;
mod error;
mod mia;
mod model;
mod scores;
mod select;
mod spectral;
#[rustfmt::skip]
mod structs;
mod tensor;

pub use amun_sys as sys;
pub use attack::{AdvSet, Attack};
pub use base::{Call, Progress};
pub use certify::{certify, transfer_bound, unlearn_diagnose};
pub use class_audit::*;
pub use context::Context;
pub use data::{forget_indices, write_npy, Dataset};
pub use ensemble::{
    transfer, transfer_black_box, transfer_white_box, Ensemble, LayerPair, Transfer,
};
pub use enums::*;
pub use error::{Error, Result};
pub use mia::{Mia, Report};
pub use model::{Graph, Model, Node};
pub use scores::*;
pub use select::*;
pub use spectral::{lipschitz_local, Clipper, Spectrum};
pub use structs::*;
pub use tensor::{Element, TensorView};

pub(crate) use base::{defaults, text_or_none, Kept};

/// Its program has to compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
