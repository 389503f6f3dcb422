//! The transaction: its clock, its state, its events.

use super::{Timestamp, guard};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_guard, pg_sys};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

/// The start of the client's statement.
pub fn statement_start() -> Timestamp {
    // SAFETY: reads a variable of the backend.
    Timestamp(unsafe { guard::GetCurrentStatementStartTimestamp() })
}

/// The time of day now.
pub fn clock() -> Timestamp {
    // SAFETY: asks the operating system.
    Timestamp(unsafe { guard::GetCurrentTimestamp() })
}

/// Whether this transaction cannot write: it was declared so, or the server is a standby.
pub fn is_read_only() -> bool {
    // SAFETY: reads variables of the backend and of shared memory.
    unsafe { pg_sys::XactReadOnly || pg_sys::RecoveryInProgress() }
}

/// Whether this transaction may have written something.
pub fn has_written() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { guard::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// Whether each statement of this transaction sees what the first one saw (REPEATABLE READ and
/// SERIALIZABLE).
pub fn keeps_snapshot() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Whether the client has begun no transaction, and this is the first statement of the implicit one.
pub(super) fn is_single_statement() -> bool {
    // SAFETY: reads variables of the backend.
    unsafe {
        !pg_sys::IsTransactionBlock()
            && pg_sys::GetCurrentTransactionNestLevel() == 1
            && pg_sys::MyXactFlags & pg_sys::XACT_FLAGS_PIPELINING as i32 == 0
    }
}

/// Has the transaction that is about to commit do so without waiting for disk or standby.
pub fn commit_asynchronously() {
    // As SET LOCAL does, so that it ends with the transaction.
    super::guc::set_local(c"synchronous_commit", c"off");
}

/// The innermost subtransaction's number.
pub fn current_subtransaction() -> pg_sys::SubTransactionId {
    // SAFETY: called inside a transaction.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// Runs `work` in a subtransaction. An error undoes it and is returned, unless it is that the client
/// or a timeout cancels the statement.
pub fn in_subtransaction<R>(work: impl FnOnce() -> R) -> Result<R, UndoneError> {
    in_subtransaction_kept_if(|_| true, work)
}

/// The same, and what `work` did is undone, locks and all, unless its result `is_kept`.
pub fn in_subtransaction_kept_if<R>(
    is_kept: impl FnOnce(&R) -> bool,
    work: impl FnOnce() -> R,
) -> Result<R, UndoneError> {
    // SAFETY: PL/pgSQL's pattern for blocks with an exception clause (`exec_stmt_block`): begin,
    // release or roll back, then restore memory context and resource owner.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(core::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let result = PgTryBuilder::new(AssertUnwindSafe(|| {
            let result = work();
            match is_kept(&result) {
                true => pg_sys::ReleaseCurrentSubTransaction(),
                false => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
            }
            Ok(result)
        }))
        .catch_others(|error| {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            pg_sys::CurrentResourceOwner = owner;
            match UndoneError(error) {
                error if error.code() == PgSqlErrorCode::ERRCODE_QUERY_CANCELED => error.raise(),
                error => Err(error),
            }
        })
        .execute();
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}

/// An error whose subtransaction was rolled back.
pub struct UndoneError(CaughtError);

impl UndoneError {
    /// Its SQLSTATE.
    pub fn code(&self) -> PgSqlErrorCode {
        use CaughtError::*;
        let (PostgresError(report) | ErrorReport(report) | RustPanic { ereport: report, .. }) =
            &self.0;
        report.sql_error_code()
    }

    /// Raises it again.
    pub fn raise(self) -> ! {
        self.0.rethrow()
    }
}

/// Keeps requests to cancel the statement, and timeouts, waiting until it is dropped.
pub struct HeldInterrupts(());

impl HeldInterrupts {
    /// `HOLD_INTERRUPTS`
    pub fn begin() -> Self {
        // SAFETY: a counter of the backend's only thread. After an error PostgreSQL resets it.
        unsafe { pg_sys::InterruptHoldoffCount += 1 };
        Self(())
    }
}

impl Drop for HeldInterrupts {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: as above.
            unsafe { pg_sys::InterruptHoldoffCount -= 1 };
        }
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

static HANDLER: OnceLock<fn(XactEvent)> = OnceLock::new();

/// Has `handler` called for every event of every transaction of this backend. Called once, when the
/// library is loaded.
pub fn on_transaction_event(handler: fn(XactEvent)) {
    if HANDLER.set(handler).is_err() {
        return;
    }
    // SAFETY: the callbacks stay in place as long as the process lives, as a loaded library does.
    unsafe {
        pg_sys::RegisterXactCallback(Some(xact_event), core::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subxact_event), core::ptr::null_mut());
    }
}

fn handle(event: XactEvent) {
    if matches!(event, XactEvent::End | XactEvent::SubAbort { .. }) {
        super::log::show_statements_again();
    }
    if event == XactEvent::End {
        super::carried::transaction_ended();
    }
    if let Some(handler) = HANDLER.get() {
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
