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

/// The index of the primary key, InvalidOid if there is none.
///
/// # Safety
/// The relation must be open.
pub unsafe fn primary_key(relation: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return pg_sys::RelationGetPrimaryKeyIndex(relation);
        #[cfg(feature = "pg18")]
        return pg_sys::RelationGetPrimaryKeyIndex(relation, false);
    }
}

/// Begins a scan with one key.
///
/// # Safety
/// Both relations must be open and belong together; the snapshot must be active.
pub unsafe fn begin_index_scan(
    relation: pg_sys::Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
) -> pg_sys::IndexScanDesc {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return pg_sys::index_beginscan(relation, index, snapshot, 1, 0);
        #[cfg(feature = "pg18")]
        return pg_sys::index_beginscan(relation, index, snapshot, core::ptr::null_mut(), 1, 0);
    }
}
