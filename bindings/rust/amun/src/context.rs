//! The context: threads, log, memory.
use crate::base::{check, create, guarded};
use crate::base::{Handle, Kept};
use crate::{sys, ContextOptions, Error, LogLevel, MemoryStats, Result};
use std::ffi::{c_char, c_void, CStr};
use std::ptr::null_mut;

handle! {
    /// Threads, log and memory of everything that is made with it. A clone is the same context.
    pub Context, amun_context, amun_context_unref
}

// SAFETY: the thread table allows any number of calls on a context at once.
unsafe impl Sync for Context {}

impl Context {
    /// A library older than the headers that this crate was made for is refused.
    pub fn new(options: &ContextOptions) -> Result<Self> {
        // SAFETY: takes nothing.
        let running = unsafe { sys::amun_abi_version() };
        let (major, minor) = (running >> 16, running & 0xffff);
        if major != sys::AMUN_ABI_MAJOR || minor < sys::AMUN_ABI_MINOR {
            let (need, at_least) = (sys::AMUN_ABI_MAJOR, sys::AMUN_ABI_MINOR);
            return Err(Error::Unsupported(format!(
                "the library has binary interface {major}.{minor}, but {need}.{at_least} is needed"
            )));
        }
        let mut kept = Kept::new();
        let options = options.raw(&mut kept)?;
        // SAFETY: the options live in `kept`.
        create(|out| unsafe { sys::amun_context_create(out, options) })
    }

    /// Threads that later calls use; 0 is the runtime's choice.
    pub fn set_threads(&self, threads: i32) -> Result<()> {
        // SAFETY: a live handle, as everywhere below.
        check(unsafe { sys::amun_context_set_threads(self.ptr(), threads) })
    }

    /// Threads that a call would use now.
    pub fn threads(&self) -> i32 {
        unsafe { sys::amun_context_get_threads(self.ptr()) }
    }

    /// Upper bound in bytes for what goes through the context; 0 removes it.
    pub fn set_memory_limit(&self, bytes: u64) -> Result<()> {
        check(unsafe { sys::amun_context_set_memory_limit(self.ptr(), bytes) })
    }

    /// What is allocated through the context.
    pub fn memory(&self) -> Result<MemoryStats> {
        let mut raw = MemoryStats::empty();
        check(unsafe { sys::amun_context_get_memory(self.ptr(), &mut raw) })?;
        Ok(MemoryStats::from_raw(&raw))
    }

    /// Sends messages up to `level` to `function`, on the thread whose call has something to say.
    /// It is a plain function since handles keep the context, and with it the log, alive. A panic
    /// in it goes on in the caller once the call has returned.
    pub fn set_log(&self, function: Option<fn(LogLevel, &str)>, level: LogLevel) -> Result<()> {
        let (callback, data): (sys::amun_log_fn, _) = match function {
            Some(function) => (Some(log), function as *mut c_void),
            None => (None, null_mut()),
        };
        check(unsafe { sys::amun_context_set_log(self.ptr(), callback, data, level.0) })
    }
}

unsafe extern "C" fn log(level: i32, message: *const c_char, user_data: *mut c_void) {
    guarded(|| {
        // SAFETY: set_log() passed the function; the message is a text.
        let (function, message) = unsafe {
            let function: fn(LogLevel, &str) = std::mem::transmute(user_data);
            (function, CStr::from_ptr(message))
        };
        function(LogLevel(level), &message.to_string_lossy())
    });
}

impl Clone for Context {
    fn clone(&self) -> Self {
        // SAFETY: a live handle stays what it is, with one more reference.
        unsafe { Self::own(sys::amun_context_ref(self.ptr())).expect("not NULL") }
    }
}
