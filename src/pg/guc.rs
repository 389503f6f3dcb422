//! Settings ("GUC"), as far as pgrx's registry does not offer it.

use core::ffi::CStr;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};
use std::ffi::CString;

/// Rejects settings of this prefix that nobody defined, as a misspelt name would be.
pub fn reserve_prefix(prefix: &CStr) {
    // SAFETY: PostgreSQL copies the name.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// The value of `name` to which RESET returns in this connection, in `unit`, whether or not the
/// setting is defined yet. `None` if nobody has set it, or to no number.
pub fn reset_value(name: &CStr, unit: i32) -> Option<i32> {
    let mut number = 0;
    // SAFETY: the strings that PostgreSQL returns live until a setting changes.
    unsafe {
        if pg_sys::GetConfigOption(name.as_ptr(), true, false).is_null() {
            return None;
        }
        let value = pg_sys::GetConfigOptionResetString(name.as_ptr());
        let is_number =
            !value.is_null() && pg_sys::parse_int(value, &mut number, unit, core::ptr::null_mut());
        is_number.then_some(number)
    }
}

/// Ends the connection, as PostgreSQL does when its options set what only a superuser may. The error
/// says that it comes from `function`.
pub fn refuse_connection(name: &CStr, function: &'static str) {
    let message = format!("permission denied to set parameter \"{}\"", name.to_string_lossy());
    ErrorReport::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message, function)
        .set_hint("Leave it out of the options of the connection.")
        .report(PgLogLevel::FATAL);
}

/// `SET name = value`: for the rest of the connection, undone by a rollback.
pub fn set_for_session(name: &CStr, value: i32) {
    let value = CString::new(value.to_string()).expect("digits hold no NUL");
    set(name, &value, pg_sys::GucAction::GUC_ACTION_SET);
}

/// `SET LOCAL name = value`: to the end of the transaction.
pub fn set_local(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_LOCAL);
}

/// The same for a setting that is the superuser's.
pub(super) fn set_local_as_superuser(name: &CStr, value: &CStr) {
    set_as(pg_sys::GucContext::PGC_SUSET, name, value, pg_sys::GucAction::GUC_ACTION_LOCAL);
}

fn set(name: &CStr, value: &CStr, action: pg_sys::GucAction::Type) {
    set_as(pg_sys::GucContext::PGC_USERSET, name, value, action);
}

fn set_as(
    context: pg_sys::GucContext::Type,
    name: &CStr,
    value: &CStr,
    action: pg_sys::GucAction::Type,
) {
    // SAFETY: both strings live through the call. An error is raised as one of PostgreSQL's.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            context,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}

/// A nest level of settings, as that of a function with SET clauses: whatever is set while it lasts
/// is put back when it is dropped.
pub struct SettingsLevel(i32);

impl SettingsLevel {
    /// Begins a level.
    pub fn begin() -> Self {
        // SAFETY: Drop or, after an error, the abort of the (sub)transaction ends it.
        Self(unsafe { pg_sys::NewGUCNestLevel() })
    }

    /// Sets a setting for as long as the level lasts.
    pub fn set(&self, name: &CStr, value: &CStr) {
        set(name, value, pg_sys::GucAction::GUC_ACTION_SAVE);
    }
}

impl Drop for SettingsLevel {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the level came from NewGUCNestLevel.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) };
        }
    }
}
