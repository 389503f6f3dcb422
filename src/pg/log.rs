//! Keeps the client's statements out of the server log.
//!
//! PostgreSQL logs the statement that caused an error, and with `log_lock_waits` one that waits.
//! Drivers that interpolate parameters put secrets into that statement, so it is left out of our own
//! messages, and of what PostgreSQL reports within a call of ours.

use super::reserve;
use core::ffi::CStr;
use pgrx::{PgSqlErrorCode, pg_guard, pg_sys};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The function name that marks an error as ours.
static MARK: OnceLock<&CStr> = OnceLock::new();

static NEXT: OnceLock<pg_sys::emit_log_hook_type> = OnceLock::new();

/// How many calls of ours are under way: a trigger may call us within one.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Whether a call of ours has failed and the transaction or savepoint is not rolled back yet.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Hides the client's statement from the log until it is dropped: also from what ends the connection,
/// and from what does not end the call.
pub struct HiddenStatement(());

impl HiddenStatement {
    pub fn begin() -> Self {
        if CALLS.fetch_add(1, Relaxed) == 0 {
            reserve::begin_call();
        }
        Self(())
    }
}

impl Drop for HiddenStatement {
    fn drop(&mut self) {
        if CALLS.fetch_sub(1, Relaxed) == 1 {
            reserve::end_call();
        }
        // An error is logged when it has left the call.
        if std::thread::panicking() {
            HAS_FAILED.store(true, Relaxed);
        }
    }
}

/// Says that errors from now on are others' again.
pub fn show_statements_again() {
    HAS_FAILED.store(false, Relaxed);
}

/// Installs the log hook; called once, when the library is loaded. Errors that say they come from a
/// function of the name `mark` are ours.
pub fn hide_statements_of_errors(mark: &'static CStr) {
    let _ = MARK.set(mark);
    // SAFETY: a hook is set in the process's only thread, and calls the one that was there before.
    unsafe {
        if NEXT.set(pg_sys::emit_log_hook).is_ok() {
            pg_sys::emit_log_hook = Some(hide_statement);
        }
    }
}

#[pg_guard]
extern "C-unwind" fn hide_statement(error: *mut pg_sys::ErrorData) {
    // SAFETY: PostgreSQL passes a valid report; its function name is NULL or a C string.
    unsafe {
        let report = &mut *error;
        let mark = MARK.get().copied();
        let is_marked = !report.funcname.is_null() && Some(CStr::from_ptr(report.funcname)) == mark;
        if is_marked || HAS_FAILED.load(Relaxed) || CALLS.load(Relaxed) > 0 {
            report.hide_stmt = true;
            // The context of dynamic SQL quotes the statement too.
            report.hide_ctx = true;
            // So does what only the log tells of a deadlock; the locks are in the detail for all.
            if report.sqlerrcode == PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED as i32 {
                report.detail_log = core::ptr::null_mut();
            }
        }
        if let Some(Some(next)) = NEXT.get() {
            next(error);
        }
    }
}
