//! Data sets.
use crate::base::{c_path, c_text, check, create, guarded, Handle};
use crate::{sys, Context, Element, Error, Result, TensorView};
use std::ffi::c_void;
use std::path::Path;
use std::ptr::null;

handle! {
    /// Images with labels, immutable. A clone is the same data set.
    pub Dataset, amun_dataset, amun_dataset_unref
}

// SAFETY: the thread table allows any number of calls on a data set at once.
unsafe impl Sync for Dataset {}

/// The owner of images given to the library: gives it back.
unsafe extern "C" fn release<O>(user_data: *mut c_void) {
    // SAFETY: from_images() made it from a box, and the library calls once.
    guarded(|| drop(unsafe { Box::from_raw(user_data as *mut O) }));
}

impl Dataset {
    /// Keeps `images` (a `Vec`, an `Arc<[u8]>`, ...) without copying them: `u8`, read as value / 255,
    /// or `f32` in [0, 1], of shape [count, channels, height, width] or [count, height, width].
    /// `classes` 0 means largest label + 1.
    pub fn from_images<T, O>(
        ctx: &Context,
        images: O,
        shape: &[usize],
        labels: Option<&[i64]>,
        classes: i64,
    ) -> Result<Self>
    where
        T: Element,
        O: AsRef<[T]> + Send + Sync + 'static,
    {
        let labels = labels.map(|labels| TensorView::new(labels, &[labels.len()])).transpose()?;
        let owner = Box::into_raw(Box::new(images));
        // SAFETY: the owner is borrowed from here on until it is released, so that its slice stays.
        let images = match TensorView::new(unsafe { (*owner).as_ref() }, shape) {
            Ok(view) => view,
            Err(error) => {
                // SAFETY: the library has not seen it.
                drop(unsafe { Box::from_raw(owner) });
                return Err(error);
            }
        };
        let labels = labels.as_ref().map_or(null(), |view| &view.raw as *const _);
        // SAFETY: views are read during the call, labels copied; release is called exactly once,
        // also if the call fails.
        create(|out| unsafe {
            let (release, owner) = (Some(release::<O> as _), owner as *mut c_void);
            sys::amun_dataset_open_view(
                out,
                ctx.ptr(),
                &images.raw,
                labels,
                classes,
                release,
                owner,
            )
        })
    }

    /// CIFAR-10 in its binary format: a file, or a folder and "train" or "test".
    pub fn open_cifar10(ctx: &Context, path: impl AsRef<Path>, split: &str) -> Result<Self> {
        let (path, split) = (c_path(path)?, c_text(split)?);
        // SAFETY: texts outlive the call, as everywhere below.
        create(|out| unsafe {
            sys::amun_dataset_open_cifar10(out, ctx.ptr(), path.as_ptr(), split.as_ptr())
        })
    }

    /// CIFAR-100 likewise, with its fine labels.
    pub fn open_cifar100(ctx: &Context, path: impl AsRef<Path>, split: &str) -> Result<Self> {
        let (path, split) = (c_path(path)?, c_text(split)?);
        create(|out| unsafe {
            sys::amun_dataset_open_cifar100(out, ctx.ptr(), path.as_ptr(), split.as_ptr())
        })
    }

    /// IDX files, MNIST's layout.
    pub fn open_idx<P: AsRef<Path>>(ctx: &Context, images: P, labels: Option<P>) -> Result<Self> {
        let (images, labels) = (c_path(images)?, labels.map(c_path).transpose()?);
        let labels = labels.as_ref().map_or(null(), |labels| labels.as_ptr());
        create(|out| unsafe { sys::amun_dataset_open_idx(out, ctx.ptr(), images.as_ptr(), labels) })
    }

    /// NumPy files.
    pub fn open_npy<P: AsRef<Path>>(ctx: &Context, images: P, labels: Option<P>) -> Result<Self> {
        let (images, labels) = (c_path(images)?, labels.map(c_path).transpose()?);
        let labels = labels.as_ref().map_or(null(), |labels| labels.as_ptr());
        create(|out| unsafe { sys::amun_dataset_open_npy(out, ctx.ptr(), images.as_ptr(), labels) })
    }

    /// A part, in the order of `indices`, without a copy of the images.
    pub fn subset(&self, indices: &[i64]) -> Result<Self> {
        create(|out| unsafe {
            sys::amun_dataset_subset(out, self.ptr(), indices.as_ptr(), indices.len())
        })
    }

    /// Number of images, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        unsafe { sys::amun_dataset_count(self.ptr()) }
    }

    /// Number of classes; 0 if unlabelled.
    pub fn classes(&self) -> i64 {
        unsafe { sys::amun_dataset_classes(self.ptr()) }
    }

    /// Channels, height, width.
    pub fn shape(&self) -> Result<[i64; 3]> {
        let mut shape = [0; 3];
        check(unsafe { sys::amun_dataset_shape(self.ptr(), shape.as_mut_ptr()) })?;
        Ok(shape)
    }

    /// Number of pixel values of one image.
    pub(crate) fn pixels(&self) -> Result<usize> {
        Ok(self.shape()?.iter().product::<i64>() as usize)
    }

    fn inside(&self, first: usize, count: usize) -> Result<()> {
        match first.checked_add(count) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(Error::InvalidArgument(format!(
                "{count} images from {first} on: the data set has {}",
                self.len()
            ))),
        }
    }

    /// Labels of `count` images from `first` on.
    pub fn labels(&self, first: usize, count: usize) -> Result<Vec<i64>> {
        self.inside(first, count)?;
        let mut labels = vec![0; count];
        check(unsafe { sys::amun_dataset_labels(self.ptr(), first, count, labels.as_mut_ptr()) })?;
        Ok(labels)
    }

    /// Pixels in [0, 1] of `count` images from `first` on.
    pub fn read(&self, first: usize, count: usize) -> Result<Vec<f32>> {
        self.inside(first, count)?;
        let mut images = vec![0.0; count * self.pixels()?];
        check(unsafe { sys::amun_dataset_read(self.ptr(), first, count, images.as_mut_ptr()) })?;
        Ok(images)
    }
}

impl Clone for Dataset {
    fn clone(&self) -> Self {
        // SAFETY: a live handle stays what it is, with one more reference.
        unsafe { Self::own(sys::amun_dataset_ref(self.ptr())).expect("not NULL") }
    }
}

/// The published forget sets: the first `count` of a permutation of 0..population.
pub fn forget_indices(count: usize, population: usize, seed: u32) -> Result<Vec<i64>> {
    if count > population {
        return Err(Error::InvalidArgument(format!("count: {count} of {population}")));
    }
    let mut list = vec![0; count];
    check(unsafe { sys::amun_forget_indices(list.as_mut_ptr(), count, population, seed) })?;
    Ok(list)
}

/// Writes an array that NumPy reads; the file is replaced atomically.
pub fn write_npy(ctx: &Context, path: impl AsRef<Path>, array: &TensorView) -> Result<()> {
    let path = c_path(path)?;
    check(unsafe { sys::amun_npy_write(ctx.ptr(), path.as_ptr(), &array.raw) })
}
