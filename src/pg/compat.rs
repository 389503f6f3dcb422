//! What differs between PostgreSQL's major versions.

use core::ffi::CStr;
use pgrx::pg_sys;

/// Timeouts, beyond those that every version has, that must not end a worker's transaction.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub const NEWER_TIMEOUTS: &[&CStr] = &[];
/// Timeouts, beyond those that every version has, that must not end a worker's transaction.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub const NEWER_TIMEOUTS: &[&CStr] = &[c"transaction_timeout"];

type Handler = unsafe extern "C-unwind" fn(i32);

/// Installs a handler for a signal.
///
/// # Safety
/// The handler must do only what a signal handler may.
pub unsafe fn set_signal_handler(signal: i32, handler: Handler) {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}
