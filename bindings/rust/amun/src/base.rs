//! What all parts share: handles, the way of options and texts into C, enumerations, and callbacks,
//! which may panic but must not unwind through C.
use crate::{sys, Error, Result};
use std::any::Any;
use std::cell::Cell;
use std::ffi::{c_char, c_void, CStr, CString};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::Duration;

type Panic = Box<dyn Any + Send>;

thread_local! {
    /// Of a callback that C called on this thread and that no call has passed on yet.
    static PANIC: Cell<Option<Panic>> = const { Cell::new(None) };
}

/// Runs a callback. A panic waits until the call that C is in returns; then check() resumes it.
pub(crate) fn guarded<T>(callback: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(callback)).map_err(|panic| PANIC.set(Some(panic))).ok()
}

/// After every call: passes on the panic of a callback, then the status.
pub(crate) fn check(status: sys::amun_status) -> Result<()> {
    if let Some(panic) = PANIC.take() {
        resume_unwind(panic);
    }
    match status {
        sys::AMUN_OK => Ok(()),
        _ => Err(Error::last(status)),
    }
}

// ---- handles -----------------------------------------------------------------------------------

/// An owner of one reference.
pub(crate) trait Handle: Sized {
    type Raw;
    /// # Safety
    /// `raw` is NULL or comes with a reference, which moves into the result.
    unsafe fn own(raw: *mut Self::Raw) -> Option<Self>;
}

/// A type that owns a reference. It can move between threads; use from several at once (Sync) has to
/// be allowed by hand, where docs/threading.md allows it.
macro_rules! handle {
    ($(#[$doc:meta])* $visible:vis $name:ident, $raw:ident, $unref:ident) => {
        $(#[$doc])*
        $visible struct $name(std::ptr::NonNull<$crate::sys::$raw>);

        impl $name {
            pub(crate) fn ptr(&self) -> *mut $crate::sys::$raw {
                self.0.as_ptr()
            }
        }

        impl $crate::base::Handle for $name {
            type Raw = $crate::sys::$raw;
            unsafe fn own(raw: *mut Self::Raw) -> Option<Self> {
                std::ptr::NonNull::new(raw).map(Self)
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the reference is ours, and this is its last use.
                unsafe { $crate::sys::$unref(self.ptr()) }
            }
        }

        // SAFETY: references may be given back, and one call at a time made, on any thread.
        unsafe impl Send for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:p})", stringify!($name), self.0)
            }
        }
    };
}

/// Calls something that makes a handle. What was made is owned, and so dropped, before a panic or an
/// error goes on.
pub(crate) fn create<H: Handle>(
    call: impl FnOnce(*mut *mut H::Raw) -> sys::amun_status,
) -> Result<H> {
    let mut raw = null_mut();
    let status = call(&mut raw);
    // SAFETY: the library gave NULL or a reference.
    let made = unsafe { H::own(raw) };
    check(status)?;
    made.ok_or_else(|| Error::Internal("a handle without a status".into()))
}

// ---- options and texts --------------------------------------------------------------------------

/// The library's defaults. Panics if the library does not know the struct: Context::new() has
/// refused such a library.
pub(crate) fn defaults<T>(init: unsafe extern "C" fn(*mut T, usize) -> sys::amun_status) -> T {
    // SAFETY: option structs are numbers and nullable pointers, which zero is a value of; the
    // init functions write no more than the size that they are given.
    let (raw, status) = unsafe {
        let mut raw: T = std::mem::zeroed();
        let status = init(&mut raw, std::mem::size_of::<T>());
        (raw, status)
    };
    check(status).expect("the library knows its option structs");
    raw
}

/// Keeps alive what structs point to, for the time of a call.
#[derive(Default)]
pub(crate) struct Kept(Vec<Box<dyn Any>>);

impl Kept {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Valid as long as `self`.
    pub(crate) fn keep<T: 'static>(&mut self, value: T) -> *const T {
        let kept = Box::new(value);
        let address: *const T = &*kept;
        self.0.push(kept);
        address
    }

    pub(crate) fn text_or_null(&mut self, text: Option<&str>) -> Result<*const c_char> {
        let Some(text) = text else { return Ok(null()) };
        let text = c_text(text)?;
        let address = text.as_ptr(); // of the bytes, which stay where they are
        self.keep(text);
        Ok(address)
    }
}

pub(crate) fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::InvalidArgument(format!("a zero byte in {text:?}")))
}

pub(crate) fn c_path(path: impl AsRef<Path>) -> Result<CString> {
    let path = path.as_ref();
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::InvalidArgument(format!("a zero byte in {path:?}")))
}

/// A text of the library's, copied.
pub(crate) fn text_or_none(text: *const c_char) -> Option<String> {
    // SAFETY: NULL, or a text that lives at least until the next call on its handle.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// NULL and 0 for None.
pub(crate) fn indices(list: Option<&[i64]>) -> (*const i64, usize) {
    list.map_or((null(), 0), |list| (list.as_ptr(), list.len()))
}

/// A list has to have the length that the library will read or write.
pub(crate) fn expect_length(what: &str, got: usize, wanted: usize) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(Error::Shape(format!("{what}: expected {wanted} entries, got {got}")))
}

/// A C enumeration. Other numbers than those with a name are values, too: a newer library may have
/// more of them.
macro_rules! enumeration {
    ($name:ident, $($value:ident = $number:literal),*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name(pub i32);

        impl $name {
            $(pub const $value: Self = Self($number);)*
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match *self {
                    $(Self::$value => f.write_str(stringify!($value)),)*
                    Self(other) => write!(f, "{}({other})", stringify!($name)),
                }
            }
        }
    };
}

// ---- progress -----------------------------------------------------------------------------------

/// What a progress function sees.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// "train", "references", "attack", ...
    pub phase: &'a str,
    /// units done in this phase
    pub step: u64,
    /// units in this phase, 0 if unknown
    pub total: u64,
    /// running mean loss, NaN where there is none
    pub loss: f64,
    /// the phase's own figure (accuracy, flipped share), NaN where there is none
    pub metric: f64,
    /// since the call began
    pub seconds: f64,
}

type Function<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// How a long call reports, and can be stopped.
#[derive(Default)]
pub struct Call<'a> {
    progress: Option<Box<Function<'a>>>,
    interval: Option<Duration>,
}

impl<'a> Call<'a> {
    /// No reports.
    pub fn silent() -> Self {
        Self::default()
    }

    /// Calls `function` now and then, on the thread that makes the call. `ControlFlow::Break` stops
    /// the call at its next batch boundary with [`Error::Cancelled`]; so does a panic, which then
    /// goes on in the caller.
    pub fn progress(function: impl FnMut(&Progress) -> ControlFlow<()> + 'a) -> Self {
        Self { progress: Some(Box::new(function)), interval: None }
    }

    /// The shortest time between two reports; the library's default is 100 ms.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Makes a call with these options; its status is for check().
    pub(crate) fn with(
        mut self,
        call: impl FnOnce(*const sys::amun_call_options) -> sys::amun_status,
    ) -> sys::amun_status {
        let Some(function) = &mut self.progress else { return call(null()) };
        let mut raw = defaults(sys::amun_call_options_init);
        if let Some(interval) = self.interval {
            raw.min_interval_ms = interval.as_millis().try_into().unwrap_or(i32::MAX);
        }
        raw.progress = Some(report);
        raw.user_data = function as *mut Box<Function<'a>> as *mut c_void;
        call(&raw)
    }

    /// A call whose status is all that there is to say.
    pub(crate) fn run(
        self,
        call: impl FnOnce(*const sys::amun_call_options) -> sys::amun_status,
    ) -> Result<()> {
        check(self.with(call))
    }
}

unsafe extern "C" fn report(progress: *const sys::amun_progress, user_data: *mut c_void) -> i32 {
    let stop = guarded(|| {
        // SAFETY: with() passed the address of its function, which nobody else uses during the
        // call; the library's struct is at least as large as ours (Context::new() made sure).
        let (raw, function) = unsafe { (&*progress, &mut *(user_data as *mut Box<Function<'_>>)) };
        // SAFETY: static text, never NULL.
        let phase = unsafe { CStr::from_ptr(raw.phase) }.to_str().unwrap_or("");
        function(&Progress {
            phase,
            step: raw.step,
            total: raw.total,
            loss: raw.loss,
            metric: raw.metric,
            seconds: raw.seconds,
        })
        .is_break()
    });
    stop.unwrap_or(true).into()
}
