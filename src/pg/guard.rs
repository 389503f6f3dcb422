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
    fn index_getnext_tid(scan: IndexScanDesc, direction: ScanDirection::Type) -> pg_sys::ItemPointer;
    fn index_endscan(scan: IndexScanDesc);
    fn ReadBuffer(relation: Relation, block: pg_sys::BlockNumber) -> pg_sys::Buffer;
    fn LockBuffer(buffer: pg_sys::Buffer, mode: i32);
    fn ReleaseBuffer(buffer: pg_sys::Buffer);
    fn heap_hot_search_buffer(
        tid: pg_sys::ItemPointer, relation: Relation, buffer: pg_sys::Buffer, snapshot: Snapshot,
        tuple: pg_sys::HeapTuple, all_dead: *mut bool, first_call: bool
    ) -> bool;
    fn heap_delete(
        relation: Relation, tid: pg_sys::ItemPointer, command: pg_sys::CommandId, crosscheck: Snapshot,
        wait: bool, failure: *mut pg_sys::TM_FailureData, changing_partition: bool
    ) -> pg_sys::TM_Result::Type;
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
    fn SPI_gettypeid(descriptor: pg_sys::TupleDesc, column: i32) -> Oid;
    fn heap_deform_tuple(
        tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc, values: *mut Datum, nulls: *mut bool
    );
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
