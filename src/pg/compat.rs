//! What differs between PostgreSQL's major versions.

use super::unguarded::unguarded;
use core::ffi::CStr;
use pgrx::pg_sys::{self, IndexScanDesc, Relation, Snapshot};

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

#[cfg(not(feature = "pg18"))]
unguarded! {
    fn RelationGetPrimaryKeyIndex(relation: Relation) -> pg_sys::Oid;
    fn index_beginscan(
        relation: Relation, index: Relation, snapshot: Snapshot, nkeys: i32, norderbys: i32
    ) -> IndexScanDesc;
}

#[cfg(feature = "pg18")]
unguarded! {
    fn RelationGetPrimaryKeyIndex(relation: Relation, deferrable_ok: bool) -> pg_sys::Oid;
    fn index_beginscan(
        relation: Relation, index: Relation, snapshot: Snapshot,
        instrument: *mut pg_sys::IndexScanInstrumentation, nkeys: i32, norderbys: i32
    ) -> IndexScanDesc;
}

/// The index of the primary key, InvalidOid if there is none.
///
/// # Safety
/// The relation must be open; to be called under a guard.
pub unsafe fn primary_key(relation: Relation) -> pg_sys::Oid {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return RelationGetPrimaryKeyIndex(relation);
        #[cfg(feature = "pg18")]
        return RelationGetPrimaryKeyIndex(relation, false);
    }
}

/// Begins a scan with one key.
///
/// # Safety
/// Both relations must be open and belong together; the snapshot must be active; to be called under
/// a guard.
pub unsafe fn begin_index_scan(
    relation: Relation,
    index: Relation,
    snapshot: Snapshot,
) -> IndexScanDesc {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return index_beginscan(relation, index, snapshot, 1, 0);
        #[cfg(feature = "pg18")]
        return index_beginscan(relation, index, snapshot, core::ptr::null_mut(), 1, 0);
    }
}

/// What a new row version asks of a table's indexes.
#[derive(Clone, Copy)]
pub struct Indexes {
    /// Whether it replaces another.
    is_update: bool,
    /// Whether it is not HOT.
    pub need_entries: bool,
    /// Whether only BRIN and its like need one.
    #[cfg(not(feature = "pg15"))]
    only_summarizing: bool,
}

impl Indexes {
    /// A row that was not there before is to be entered in all.
    pub const ALL: Self = Self {
        is_update: false,
        need_entries: true,
        #[cfg(not(feature = "pg15"))]
        only_summarizing: false,
    };
}

/// Replaces the row version at `address`; `None` if it is not the latest one, or if `waits` is false
/// and others have locked the row.
///
/// # Safety
/// The relation must be open and locked for writing, `new` a tuple of it.
pub unsafe fn update_row(
    relation: Relation,
    address: pg_sys::ItemPointer,
    new: pg_sys::HeapTuple,
    waits: bool,
) -> Option<Indexes> {
    let mut failure = pg_sys::TM_FailureData::default();
    let mut lock_mode = 0;
    // SAFETY: by this function's contract.
    unsafe {
        let command = pg_sys::GetCurrentCommandId(true);
        let crosscheck = core::ptr::null_mut();
        #[cfg(feature = "pg15")]
        let (result, indexes) = {
            let result = pg_sys::heap_update(
                relation,
                address,
                new,
                command,
                crosscheck,
                waits,
                &mut failure,
                &mut lock_mode,
            );
            let is_hot = (*(*new).t_data).t_infomask2 & pg_sys::HEAP_ONLY_TUPLE as u16 != 0;
            (result, Indexes { is_update: true, need_entries: !is_hot })
        };
        #[cfg(not(feature = "pg15"))]
        let (result, indexes) = {
            use pg_sys::TU_UpdateIndexes::{TU_None, TU_Summarizing};
            let mut update = TU_None;
            let result = pg_sys::heap_update(
                relation,
                address,
                new,
                command,
                crosscheck,
                waits,
                &mut failure,
                &mut lock_mode,
                &mut update,
            );
            let indexes = Indexes {
                is_update: true,
                need_entries: update != TU_None,
                only_summarizing: update == TU_Summarizing,
            };
            (result, indexes)
        };
        (result == pg_sys::TM_Result::TM_Ok).then_some(indexes)
    }
}

/// Enters the row in `slot` into a table's indexes; whether it conflicts with another in `arbiters`,
/// a list of unique indexes. A conflict in any other is an error.
///
/// # Safety
/// The table's indexes must be open in `table`; the slot must hold a stored row of it.
pub unsafe fn insert_index_entries(
    table: &mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    state: *mut pg_sys::EState,
    indexes: Indexes,
    arbiters: *mut pg_sys::List,
) -> bool {
    let is_update = indexes.is_update;
    let has_arbiters = !arbiters.is_null();
    let mut conflicts = false;
    // SAFETY: by this function's contract.
    unsafe {
        pg_sys::ExecInsertIndexTuples(
            table,
            slot,
            state,
            is_update,
            has_arbiters,
            &mut conflicts,
            arbiters,
            #[cfg(not(feature = "pg15"))]
            indexes.only_summarizing,
        );
    }
    conflicts
}
