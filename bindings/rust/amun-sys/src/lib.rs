//! Declarations of libamun's C interface, as they stand in its headers. The crate `amun` makes
//! safe types of them.
#![no_std]
#![allow(non_camel_case_types)]

#[rustfmt::skip]
mod bindings;
pub use bindings::*;
