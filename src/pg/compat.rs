//! What differs between PostgreSQL's major versions.

use pgrx::pg_sys;

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
