//! Errors: the library's status and its message.
use crate::sys;
use std::ffi::CStr;
use std::fmt;

/// What every call that can fail returns.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $status:ident),* $(,)?) => {
        /// A call failed. The text is the library's message, which names the offending value.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $name(String),)*
            /// A status that this crate does not know.
            Other(i32, String),
        }

        impl Error {
            pub(crate) fn new(status: sys::amun_status, message: String) -> Self {
                match status {
                    $(sys::$status => Self::$name(message),)*
                    _ => Self::Other(status, message),
                }
            }

            /// The library's number.
            pub fn status(&self) -> i32 {
                match self {
                    $(Self::$name(_) => sys::$status,)*
                    Self::Other(status, _) => *status,
                }
            }

            /// What was wrong, in one line.
            pub fn message(&self) -> &str {
                match self {
                    $(Self::$name(message) => message,)*
                    Self::Other(_, message) => message,
                }
            }
        }
    };
}

errors! {
    /// A value outside its documented range, or a text that C cannot take.
    InvalidArgument = AMUN_ERROR_INVALID_ARGUMENT,
    /// The allocator or the context's memory limit said no.
    OutOfMemory = AMUN_ERROR_OUT_OF_MEMORY,
    /// The operating system refused to read or write.
    Io = AMUN_ERROR_IO,
    /// A file is malformed, truncated, or does not match.
    Format = AMUN_ERROR_FORMAT,
    /// Valid, but not in this build or version.
    Unsupported = AMUN_ERROR_UNSUPPORTED,
    /// Extents do not fit together.
    Shape = AMUN_ERROR_SHAPE,
    /// The handle is not in a state that allows the call.
    State = AMUN_ERROR_STATE,
    /// Another thread is using the handle in a conflicting way.
    Busy = AMUN_ERROR_BUSY,
    /// The progress function said so.
    Cancelled = AMUN_ERROR_CANCELLED,
    /// NaN, infinity, or no convergence.
    Numeric = AMUN_ERROR_NUMERIC,
    /// The compute library refused.
    Backend = AMUN_ERROR_BACKEND,
    /// No such name, or no such file.
    NotFound = AMUN_ERROR_NOT_FOUND,
    /// A bug in the library.
    Internal = AMUN_ERROR_INTERNAL,
}

impl Error {
    /// From a status that is not OK, on the thread that got it.
    pub(crate) fn last(status: sys::amun_status) -> Self {
        // SAFETY: both are texts that are never NULL; copied before the next call.
        let (message, name) = unsafe {
            (
                CStr::from_ptr(sys::amun_last_error_message()),
                CStr::from_ptr(sys::amun_status_string(status)),
            )
        };
        let text = if message.is_empty() { name } else { message };
        Self::new(status, text.to_string_lossy().into_owned())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}
