//! Views of slices, for one call.
use crate::{sys, Dtype, Error, Result};
use std::marker::PhantomData;

mod sealed {
    pub trait Sealed {}
}

/// What arrays may consist of.
pub trait Element: sealed::Sealed + Copy + Send + Sync + 'static {
    /// The library's name for it.
    const DTYPE: Dtype;
}

macro_rules! elements {
    ($($kind:ident = $dtype:ident),*) => {$(
        impl sealed::Sealed for $kind {}
        impl Element for $kind {
            const DTYPE: Dtype = Dtype::$dtype;
        }
    )*};
}
elements!(f32 = F32, f64 = F64, u8 = U8, i32 = I32, i64 = I64);

/// A dense array, the last index running fastest, that the library reads.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    pub(crate) raw: sys::amun_tensor_view,
    borrowed: PhantomData<&'a [u8]>,
}

// SAFETY: it only reads what a shared slice of Sync elements shows.
unsafe impl Send for TensorView<'_> {}
unsafe impl Sync for TensorView<'_> {}

fn raw<T: Element>(data: *mut T, len: usize, shape: &[usize]) -> Result<sys::amun_tensor_view> {
    let count = shape.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent));
    if count != Some(len) {
        return Err(Error::Shape(format!("{len} elements do not have the shape {shape:?}")));
    }
    let extents: Vec<i64> = shape.iter().map(|extent| *extent as i64).collect();
    // SAFETY: a struct of numbers and a pointer; filled by the init function, which reads as many
    // extents as it is told, and only if they are at most eight.
    let (view, status) = unsafe {
        let mut view: sys::amun_tensor_view = std::mem::zeroed();
        let ndim = extents.len().try_into().unwrap_or(i32::MAX);
        let status =
            sys::amun_tensor_view_init(&mut view, data.cast(), T::DTYPE.0, ndim, extents.as_ptr());
        (view, status)
    };
    crate::base::check(status)?;
    Ok(view)
}

impl<'a> TensorView<'a> {
    /// [`Error::Shape`] unless `shape` has as many elements as `data`.
    pub fn new<T: Element>(data: &'a [T], shape: &[usize]) -> Result<Self> {
        let mut raw = raw(data.as_ptr().cast_mut(), data.len(), shape)?;
        raw.flags |= sys::AMUN_VIEW_READONLY;
        Ok(Self { raw, borrowed: PhantomData })
    }

    /// Extents, the first one first.
    pub fn shape(&self) -> &[i64] {
        &self.raw.shape[..self.raw.ndim as usize]
    }

    /// The first extent: the number of images or rows; 0 if there is nothing in them.
    pub(crate) fn rows(&self) -> usize {
        match self.elements() {
            0 => 0,
            _ => self.shape().first().map_or(0, |rows| *rows as usize),
        }
    }

    pub(crate) fn elements(&self) -> usize {
        self.shape().iter().map(|extent| *extent as usize).product()
    }
}

/// A view that the library writes through, of memory that is borrowed for the same call.
pub(crate) fn output(data: &mut [f32], shape: &[usize]) -> Result<sys::amun_tensor_view> {
    raw(data.as_mut_ptr(), data.len(), shape)
}
