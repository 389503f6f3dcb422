//! Keeps session ids out of the server log.
//!
//! PostgreSQL logs the statement that caused an error, and with `log_lock_waits` one that waits.
//! Drivers that interpolate parameters put the session id into that statement, so it is left out of
//! our own messages, and of what PostgreSQL reports within a call of ours.

use core::ffi::CStr;
use pgrx::{PgSqlErrorCode, pg_guard, pg_sys};

/// The function name that marks an error as ours.
pub const FUNCTION_NAME: &str = "session_store";
const MARK: &CStr = c"session_store";

static mut NEXT: pg_sys::emit_log_hook_type = None;

/// How many calls of ours are under way: a trigger may call us within one.
static mut CALLS: u32 = 0;

/// Whether a call of ours has failed and the transaction or savepoint is not rolled back yet.
static mut HAS_FAILED: bool = false;

/// A call of ours, under way until it is dropped.
pub struct Call(());

impl Call {
    /// Hides the statement from now on: what ends the connection, and what does not end the call,
    /// is logged while it lasts.
    pub fn begin() -> Self {
        // SAFETY: a variable of the backend's only thread.
        unsafe { CALLS += 1 };
        Self(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // SAFETY: as above. An error is logged when it has left the call.
        unsafe {
            CALLS -= 1;
            HAS_FAILED |= std::thread::panicking();
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
        if is_marked || HAS_FAILED || CALLS > 0 {
            report.hide_stmt = true;
            // The context of dynamic SQL quotes the statement too.
            report.hide_ctx = true;
            // So does what only the log tells of a deadlock; the locks are in the detail for all.
            if report.sqlerrcode == PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED as i32 {
                report.detail_log = core::ptr::null_mut();
            }
        }
        if let Some(next) = NEXT {
            next(error);
        }
    }
}
