//! What differs between PostgreSQL's major versions.
//!
//! Conditions name the older versions: a new one is as the newest until it turns out to differ.

use super::guard::unguarded;
use core::ffi::CStr;
use pgrx::pg_sys::{self, Datum, IndexScanDesc, Relation, Snapshot, TupleDesc, Tuplestorestate};

/// Timeouts, beyond those that every version has, that must not end a worker's transaction.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub const NEWER_TIMEOUTS: &[&CStr] = &[];
/// Timeouts, beyond those that every version has, that must not end a worker's transaction.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub const NEWER_TIMEOUTS: &[&CStr] = &[c"transaction_timeout"];

/// Keeps a setting from being RESET, where that can be had.
#[cfg(feature = "pg15")]
pub const GUC_NO_RESET: u32 = 0;
/// Keeps a setting from being RESET.
#[cfg(not(feature = "pg15"))]
pub const GUC_NO_RESET: u32 = pg_sys::GUC_NO_RESET;

// libpq.h is not among the headers that pgrx binds.
unsafe extern "C-unwind" {
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    fn pq_buffer_has_data() -> bool;
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    fn pq_buffer_remaining_data() -> isize;
}

/// Whether more of what the client sent has arrived than has been read.
pub fn has_received_more() -> bool {
    // SAFETY: compares two variables of the backend.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        return pq_buffer_has_data();
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        return pq_buffer_remaining_data() > 0;
    }
}

type Handler = unsafe extern "C-unwind" fn(i32);

/// Installs a handler for a signal.
///
/// # Safety
/// The handler must do only what a signal handler may.
pub unsafe fn set_signal_handler(signal: i32, handler: Handler) {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

#[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
unguarded! {
    fn RelationGetPrimaryKeyIndex(relation: Relation) -> pg_sys::Oid;
    fn index_beginscan(
        relation: Relation, index: Relation, snapshot: Snapshot, nkeys: i32, norderbys: i32
    ) -> IndexScanDesc;
}

#[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
unguarded! {
    fn RelationGetPrimaryKeyIndex(relation: Relation, deferrable_ok: bool) -> pg_sys::Oid;
    fn index_beginscan(
        relation: Relation, index: Relation, snapshot: Snapshot,
        instrument: *mut pg_sys::IndexScanInstrumentation, nkeys: i32, norderbys: i32
    ) -> IndexScanDesc;
}

#[cfg(any(feature = "pg15", feature = "pg16"))]
unguarded! {
    fn tuplestore_putvalues(
        store: *mut Tuplestorestate, descriptor: TupleDesc, values: *mut Datum, nulls: *mut bool
    );
}

#[cfg(not(any(feature = "pg15", feature = "pg16")))]
unguarded! {
    fn tuplestore_putvalues(
        store: *mut Tuplestorestate, descriptor: TupleDesc, values: *const Datum, nulls: *const bool
    );
}

/// A column of a row type, dropped or not.
///
/// # Safety
/// The descriptor must live, and have a column of this number (from 1).
pub unsafe fn attribute<'a>(
    descriptor: pg_sys::TupleDesc,
    number: pg_sys::AttrNumber,
) -> &'a pg_sys::FormData_pg_attribute {
    let index = number as usize - 1;
    // SAFETY: by this function's contract. In 18 the columns follow a shorter form of them.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
        let first: *const pg_sys::FormData_pg_attribute = (*descriptor).attrs.as_ptr();
        #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
        let first: *const pg_sys::FormData_pg_attribute =
            (*descriptor).compact_attrs.as_ptr().add((*descriptor).natts as usize).cast();
        &*first.add(index)
    }
}

/// The index of the primary key, InvalidOid if there is none.
///
/// # Safety
/// The relation must be open; to be called under a guard.
pub unsafe fn primary_key(relation: Relation) -> pg_sys::Oid {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
        return RelationGetPrimaryKeyIndex(relation);
        #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
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
        #[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
        return index_beginscan(relation, index, snapshot, 1, 0);
        #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
        return index_beginscan(relation, index, snapshot, core::ptr::null_mut(), 1, 0);
    }
}

/// What a new row version asks of a table's indexes.
#[derive(Clone, Copy)]
pub struct IndexNeeds {
    /// Whether it replaces another.
    is_update: bool,
    /// Whether it is not HOT.
    pub need_entries: bool,
    /// Whether only BRIN and its like need one.
    #[cfg(not(feature = "pg15"))]
    only_summarizing: bool,
}

impl IndexNeeds {
    /// A row that was not there before is to be entered in all.
    pub const ALL: Self = Self {
        is_update: false,
        need_entries: true,
        #[cfg(not(feature = "pg15"))]
        only_summarizing: false,
    };
}

/// Replaces the row version at `address`, waiting for others who hold it.
///
/// # Safety
/// The relation must be open and locked for writing, `new` a tuple of it, and the row version at
/// `address` held in place by a pin or by a snapshot that sees it.
pub unsafe fn update_row(
    relation: Relation,
    address: pg_sys::ItemPointer,
    new: pg_sys::HeapTuple,
) -> (pg_sys::TM_Result::Type, IndexNeeds) {
    let mut failure = pg_sys::TM_FailureData::default();
    let mut lock_mode = 0;
    let crosscheck = core::ptr::null_mut();
    // SAFETY: by this function's contract.
    unsafe {
        let command = pg_sys::GetCurrentCommandId(true);
        #[cfg(feature = "pg15")]
        {
            let result = pg_sys::heap_update(
                relation,
                address,
                new,
                command,
                crosscheck,
                true,
                &mut failure,
                &mut lock_mode,
            );
            let is_hot = (*(*new).t_data).t_infomask2 & pg_sys::HEAP_ONLY_TUPLE as u16 != 0;
            (result, IndexNeeds { is_update: true, need_entries: !is_hot })
        }
        #[cfg(not(feature = "pg15"))]
        {
            use pg_sys::TU_UpdateIndexes::{TU_None, TU_Summarizing};
            let mut update = TU_None;
            let result = pg_sys::heap_update(
                relation,
                address,
                new,
                command,
                crosscheck,
                true,
                &mut failure,
                &mut lock_mode,
                &mut update,
            );
            let needs = IndexNeeds {
                is_update: true,
                need_entries: update != TU_None,
                only_summarizing: update == TU_Summarizing,
            };
            (result, needs)
        }
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
    needs: IndexNeeds,
    arbiters: *mut pg_sys::List,
) -> bool {
    let has_arbiters = !arbiters.is_null();
    let mut conflicts = false;
    // SAFETY: by this function's contract.
    unsafe {
        pg_sys::ExecInsertIndexTuples(
            table,
            slot,
            state,
            needs.is_update,
            has_arbiters,
            &mut conflicts,
            arbiters,
            #[cfg(not(feature = "pg15"))]
            needs.only_summarizing,
        );
    }
    conflicts
}

/// Waits for others who are about to add a row with the key of the one in `slot`; false if one has.
///
/// # Safety
/// As for [`insert_index_entries`]; the slot's row need not be stored.
pub unsafe fn check_arbiters(
    table: &mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    state: *mut pg_sys::EState,
    arbiters: *mut pg_sys::List,
) -> bool {
    let mut conflict = pg_sys::ItemPointerData::default();
    // An address that is not valid stands for a new row.
    #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
    let mut nowhere = pg_sys::ItemPointerData::default();
    // SAFETY: by this function's contract.
    unsafe {
        pg_sys::ExecCheckIndexConstraints(
            table,
            slot,
            state,
            &mut conflict,
            #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
            &mut nowhere,
            arbiters,
        )
    }
}

/// Whether a publication cannot follow updates or deletes by the table's replica identity.
pub fn refuses_updates(publication: &pg_sys::PublicationDesc) -> bool {
    let is_valid = publication.rf_valid_for_update
        && publication.rf_valid_for_delete
        && publication.cols_valid_for_update
        && publication.cols_valid_for_delete;
    #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
    let is_valid =
        is_valid && publication.gencols_valid_for_update && publication.gencols_valid_for_delete;
    !is_valid
}

/// Whether a table has generated columns, stored or virtual.
pub fn has_generated_columns(constraints: &pg_sys::TupleConstr) -> bool {
    #[cfg(not(any(feature = "pg15", feature = "pg16", feature = "pg17")))]
    let has_virtual = constraints.has_generated_virtual;
    #[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
    let has_virtual = false;
    constraints.has_generated_stored || has_virtual
}
