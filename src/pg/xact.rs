//! The transaction: its clock, its state, its events.

use crate::lifetime::Timestamp;
use pgrx::{PgTryBuilder, pg_guard, pg_sys};
use std::panic::AssertUnwindSafe;

/// The start of the client's statement.
pub fn statement_start() -> Timestamp {
    // SAFETY: reads a variable of the backend.
    Timestamp(unsafe { pg_sys::GetCurrentStatementStartTimestamp() })
}

/// The time of day now.
pub fn clock() -> Timestamp {
    // SAFETY: asks the operating system.
    Timestamp(unsafe { pg_sys::GetCurrentTimestamp() })
}

/// Whether this transaction cannot write: it was declared so, or the server is a standby.
pub fn is_read_only() -> bool {
    // SAFETY: reads variables of the backend and of shared memory.
    unsafe { pg_sys::XactReadOnly || pg_sys::RecoveryInProgress() }
}

/// Whether this transaction may have written something.
pub fn has_written() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

static mut SYNCHRONOUS_COMMIT: Option<i32> = None;

/// Has the transaction that is about to commit do so without waiting for disk or standby.
pub fn commit_asynchronously() {
    // SAFETY: variables of the backend's only thread; `commit_as_set` puts the setting back.
    unsafe {
        SYNCHRONOUS_COMMIT = Some(pg_sys::synchronous_commit);
        pg_sys::synchronous_commit =
            pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_OFF as core::ffi::c_int;
    }
}

/// Ends what [`commit_asynchronously`] began; called when a transaction has ended.
pub fn commit_as_set() {
    // SAFETY: as above.
    unsafe {
        if let Some(level) = SYNCHRONOUS_COMMIT {
            pg_sys::synchronous_commit = level;
            SYNCHRONOUS_COMMIT = None;
        }
    }
}

/// The innermost subtransaction's number.
pub fn current_subtransaction() -> pg_sys::SubTransactionId {
    // SAFETY: called inside a transaction.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// What a statement needs of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// To read rows.
    Read = pg_sys::AccessShareLock as isize,
    /// To write rows.
    Write = pg_sys::RowExclusiveLock as isize,
}

/// Locks a table, to the transaction's end, unless that would have to wait.
pub fn try_lock(table: pg_sys::Oid, mode: LockMode) -> bool {
    // SAFETY: any oid may be locked; a dropped table's is found to be gone later.
    unsafe { pg_sys::ConditionalLockRelationOid(table, mode as i32) }
}

/// Locks a table, to the transaction's end; whether that had to wait.
pub fn lock(table: pg_sys::Oid, mode: LockMode) -> bool {
    let waits = !try_lock(table, mode);
    if waits {
        // SAFETY: as above.
        unsafe { pg_sys::LockRelationOid(table, mode as i32) };
    }
    waits
}

/// Runs `work` in a subtransaction; an error undoes it and goes no further: false.
pub fn in_subtransaction(work: impl FnOnce()) -> bool {
    // SAFETY: PL/pgSQL's pattern for blocks with an exception clause (`exec_stmt_block`): begin,
    // release or roll back, then restore memory context and resource owner.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(core::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let went_well = PgTryBuilder::new(AssertUnwindSafe(|| {
            // At commit no statement is running any more, and SPI insists on an outer snapshot.
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            work();
            pg_sys::PopActiveSnapshot();
            pg_sys::ReleaseCurrentSubTransaction();
            true
        }))
        .catch_others(|_| {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            false
        })
        .execute();
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        went_well
    }
}

/// What happens to a transaction, as far as anyone here needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XactEvent {
    /// About to commit: writing is still possible.
    PreCommit,
    /// Prepared for two-phase commit, committed or rolled back.
    End,
    /// A subtransaction became part of its parent.
    SubCommit {
        /// The subtransaction
        sub: pg_sys::SubTransactionId,
        /// What it is now part of
        parent: pg_sys::SubTransactionId,
    },
    /// A subtransaction was rolled back.
    SubAbort {
        /// The subtransaction
        sub: pg_sys::SubTransactionId,
    },
}

static mut HANDLER: Option<fn(XactEvent)> = None;

/// Has `handler` called for every event of every transaction of this backend.
pub fn on_transaction_event(handler: fn(XactEvent)) {
    // SAFETY: _PG_init runs once in a backend's only thread.
    unsafe {
        HANDLER = Some(handler);
        pg_sys::RegisterXactCallback(Some(xact_event), core::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subxact_event), core::ptr::null_mut());
    }
}

fn handle(event: XactEvent) {
    if matches!(event, XactEvent::End | XactEvent::SubAbort { .. }) {
        super::log::show_statements_again();
    }
    // SAFETY: HANDLER is written once, before the callbacks are registered.
    if let Some(handler) = unsafe { HANDLER } {
        handler(event);
    }
}

#[pg_guard]
extern "C-unwind" fn xact_event(event: pg_sys::XactEvent::Type, _arg: *mut core::ffi::c_void) {
    use pg_sys::XactEvent::*;
    match event {
        XACT_EVENT_PRE_COMMIT => handle(XactEvent::PreCommit),
        XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE => handle(XactEvent::End),
        _ => {}
    }
}

#[pg_guard]
extern "C-unwind" fn subxact_event(
    event: pg_sys::SubXactEvent::Type,
    sub: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _arg: *mut core::ffi::c_void,
) {
    use pg_sys::SubXactEvent::*;
    match event {
        SUBXACT_EVENT_COMMIT_SUB => handle(XactEvent::SubCommit { sub, parent }),
        SUBXACT_EVENT_ABORT_SUB => handle(XactEvent::SubAbort { sub }),
        _ => {}
    }
}
