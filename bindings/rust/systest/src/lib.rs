//! Sizes, offsets and values as Rust sees them; the tests compare them with what a C compiler says.
#[rustfmt::skip]
#[allow(clippy::unnecessary_cast)]
mod table;
pub use table::{constants, functions, structs};

pub struct Field {
    pub name: &'static str,
    pub offset: usize,
    pub size: usize,
}

pub struct Struct {
    pub name: &'static str,
    pub size: usize,
    pub fields: Vec<Field>,
}

/// Size of the field that `_get` returns.
fn field_size<S, F>(_get: fn(&S) -> &F) -> usize {
    std::mem::size_of::<F>()
}
