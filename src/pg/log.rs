//! Keeps session ids out of the server log.
//!
//! PostgreSQL logs the statement that caused an error. Drivers that interpolate parameters put the
//! session id into that statement, so it is left out for our own errors, and for those that
//! PostgreSQL raises within a statement of ours, such as a lock timeout.

use core::ffi::CStr;
use pgrx::{pg_guard, pg_sys};

/// The function name that marks an error as ours.
pub const FUNCTION_NAME: &str = "session_store";
const MARK: &CStr = c"session_store";

static mut NEXT: pg_sys::emit_log_hook_type = None;

/// Whether a statement of ours has failed and the transaction or savepoint is not rolled back yet.
static mut HAS_FAILED: bool = false;

/// Around a piece of work: an error on its way out of it comes from a statement of ours.
pub struct HideStatement;

impl Drop for HideStatement {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // SAFETY: a variable of the backend's only thread.
            unsafe { HAS_FAILED = true };
        }
    }
}

/// Says that errors from now on are others' again.
pub fn show_statements_again() {
    // SAFETY: as above.
    unsafe { HAS_FAILED = false };
}

/// Installs the log hook; called once, when the library is loaded.
pub fn hide_statements_of_our_errors() {
    // SAFETY: _PG_init runs once in a backend's only thread.
    unsafe {
        NEXT = pg_sys::emit_log_hook;
        pg_sys::emit_log_hook = Some(hide_statement);
    }
}

#[pg_guard]
extern "C-unwind" fn hide_statement(error: *mut pg_sys::ErrorData) {
    // SAFETY: PostgreSQL passes a valid report; its function name is NULL or a C string.
    unsafe {
        let report = &mut *error;
        let is_marked = !report.funcname.is_null() && CStr::from_ptr(report.funcname) == MARK;
        if is_marked || HAS_FAILED {
            report.hide_stmt = true;
            // The context of dynamic SQL quotes the statement too.
            report.hide_ctx = true;
        }
        if let Some(next) = NEXT {
            next(error);
        }
    }
}
