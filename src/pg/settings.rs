//! What pgrx's settings registry does not offer.

use core::ffi::CStr;
use pgrx::pg_sys;
use std::ffi::CString;

/// Rejects settings of this prefix that nobody defined, as a misspelt name would be.
pub fn reserve_prefix(prefix: &CStr) {
    // SAFETY: PostgreSQL copies the name.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// `SET name = value`: for the rest of the connection, undone by a rollback.
pub fn set_for_session(name: &CStr, value: i32) {
    let value = CString::new(value.to_string()).expect("digits hold no NUL");
    // SAFETY: both strings live through the call.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
    }
}
