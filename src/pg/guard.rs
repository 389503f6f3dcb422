//! One guard around several calls of PostgreSQL.
//!
//! pgrx puts a guard around each function that it offers (`sigsetjmp`, and the exception stack saved),
//! which turns an error into a panic. Around each of the thirty small calls that read one row it takes
//! as long as the calls. The functions here are declared without it, for use within [`guarded`], or
//! because they never raise an error.

use pgrx::pg_sys::{
    self, Datum, IndexScanDesc, LOCKMODE, Oid, Relation, ScanDirection, ScanKey, Snapshot,
    TupleTableSlot,
};

macro_rules! unguarded {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        unsafe extern "C-unwind" {
            $(pub fn $name($($arg: $type),*) $(-> $result)?;)*
        }
        // The types of pgrx's own binding for the major version that is being built.
        $(const _: unsafe fn($($type),*) $(-> $result)? = pg_sys::$name;)*
    };
}

pub(super) use unguarded;

unguarded! {
    fn table_open(relation: Oid, lock: LOCKMODE) -> Relation;
    fn table_close(relation: Relation, lock: LOCKMODE);
    fn index_open(relation: Oid, lock: LOCKMODE) -> Relation;
    fn index_close(relation: Relation, lock: LOCKMODE);
    fn table_slot_create(relation: Relation, reglist: *mut *mut pg_sys::List) -> *mut TupleTableSlot;
    fn ExecDropSingleTupleTableSlot(slot: *mut TupleTableSlot);
    fn index_rescan(
        scan: IndexScanDesc, keys: ScanKey, nkeys: i32, orderbys: ScanKey, norderbys: i32
    );
    fn index_getnext_slot(
        scan: IndexScanDesc, direction: ScanDirection::Type, slot: *mut TupleTableSlot
    ) -> bool;
    fn index_endscan(scan: IndexScanDesc);
    fn slot_getsomeattrs_int(slot: *mut TupleTableSlot, attribute: i32);
    fn ActiveSnapshotSet() -> bool;
    fn GetTopTransactionIdIfAny() -> pg_sys::TransactionId;
    fn GetCurrentStatementStartTimestamp() -> pg_sys::TimestampTz;
    fn GetCurrentTimestamp() -> pg_sys::TimestampTz;
    fn CommandCounterIncrement();
    fn GetTransactionSnapshot() -> Snapshot;
    fn GetLatestSnapshot() -> Snapshot;
    fn PushActiveSnapshot(snapshot: Snapshot);
    fn PopActiveSnapshot();
    fn GetActiveSnapshot() -> Snapshot;
    fn ScanKeyInit(
        entry: ScanKey, attribute: i16, strategy: u16, procedure: pg_sys::RegProcedure, argument: Datum
    );
}

/// Runs `calls` under one guard.
///
/// # Safety
/// An error jumps over `calls`: it must own nothing that needs to be dropped, and neither panic nor
/// call what has a guard of its own.
pub unsafe fn guarded<R>(calls: impl FnOnce() -> R) -> R {
    // SAFETY: by this function's contract.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(calls) }
}
