//! A call of one of the library's SQL functions: what holds while it lasts.
//!
//! Locks, rights and addresses of rows borrow from the call, so none of them outlives it: locks stay
//! to the end of the transaction, and a row version that was seen stays in place while a snapshot
//! from before is active.

use super::{client, guard, log, plan, transaction};
use core::marker::PhantomData;
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pg_sys;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};

/// A call, under way until it is dropped. As an argument of a function it is no argument in SQL.
///
/// While it lasts a snapshot is active, and the log hides the client's statement.
pub struct Call {
    function: pg_sys::Oid,
    /// The expression that is being evaluated, if the caller said.
    expression: *mut pg_sys::Node,
    has_pushed: bool,
    _hides: log::HiddenStatement,
}

impl Call {
    fn begin(function: pg_sys::Oid, expression: *mut pg_sys::Node) -> Self {
        let hides = log::HiddenStatement::begin();
        // A procedure that has committed calls without one, and so does the end of a transaction.
        // SAFETY: inside a transaction; Drop pops what is pushed here.
        let has_pushed = unsafe {
            let is_missing = !guard::ActiveSnapshotSet();
            if is_missing {
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            }
            is_missing
        };
        Self { function, expression, has_pushed, _hides: hides }
    }

    /// Work that no function was called for: that of a worker, or at the end of a transaction.
    pub fn internal() -> Self {
        Self::begin(pg_sys::InvalidOid, core::ptr::null_mut())
    }

    /// The called function.
    pub fn function(&self) -> pg_sys::Oid {
        self.function
    }

    /// Whether the active snapshot sees what this transaction did.
    pub fn sees(&self, transaction: pg_sys::TransactionId) -> bool {
        // SAFETY: a snapshot is active while the call lasts.
        unsafe {
            let snapshot = guard::GetActiveSnapshot();
            if transaction.into_inner() < pg_sys::FirstNormalTransactionId.into_inner()
                || precedes(transaction, (*snapshot).xmin)
            {
                return true;
            }
            pg_sys::TransactionIdIsCurrentTransactionId(transaction)
                || !pg_sys::XidInMVCCSnapshot(transaction, snapshot)
        }
    }

    /// Whether this call is all that a transaction does: the client's one statement, in which nothing
    /// else changes anything.
    pub fn is_whole_transaction(&self) -> bool {
        // SAFETY: the portal that is being run holds the plan whose expression is evaluated.
        unsafe {
            let portal = pg_sys::ActivePortal;
            !self.expression.is_null()
                && !portal.is_null()
                && transaction::is_single_statement()
                && client::runs_alone(&*portal)
                && plan::consists_of(portal, self.expression)
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // After an error the abort pops it.
        if self.has_pushed && !std::thread::panicking() {
            // SAFETY: pushed by `begin`; everything pushed since is popped by now.
            unsafe { pg_sys::PopActiveSnapshot() };
        }
    }
}

/// `TransactionIdPrecedes`, for two normal ones.
fn precedes(one: pg_sys::TransactionId, other: pg_sys::TransactionId) -> bool {
    (one.into_inner().wrapping_sub(other.into_inner()) as i32) < 0
}

// SAFETY: takes the call itself, no SQL argument.
unsafe impl<'fcx> ArgAbi<'fcx> for Call {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: PostgreSQL passes a valid call with look-up information to every SQL function.
        unsafe {
            let info = pg_sys::FunctionCallInfo::unbox_arg_unchecked(arg);
            let function = &*(*info).flinfo;
            Self::begin(function.fn_oid, function.fn_expr)
        }
    }

    fn is_virtual_arg() -> bool {
        true
    }
}

// SAFETY: has no form in SQL.
unsafe impl SqlTranslatable for Call {
    const TYPE_IDENT: &'static str = concat!(module_path!(), "::Call");
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::Skip);
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::Skip));
}

/// What a statement needs of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// To read rows.
    Read = pg_sys::AccessShareLock as isize,
    /// To write rows.
    Write = pg_sys::RowExclusiveLock as isize,
}

/// A table that is locked to the end of the transaction.
#[derive(Clone, Copy)]
pub struct Lock<'call> {
    table: pg_sys::Oid,
    mode: LockMode,
    waited: bool,
    call: PhantomData<&'call Call>,
}

impl Call {
    /// Locks a table. It may turn out to be gone when it is locked.
    pub fn lock(&self, table: pg_sys::Oid, mode: LockMode) -> Lock<'_> {
        self.try_lock(table, mode).unwrap_or_else(|| {
            // SAFETY: any oid may be locked.
            unsafe { pg_sys::LockRelationOid(table, mode as i32) };
            Lock { table, mode, waited: true, call: PhantomData }
        })
    }

    /// Locks a table unless that would have to wait.
    pub fn try_lock(&self, table: pg_sys::Oid, mode: LockMode) -> Option<Lock<'_>> {
        // SAFETY: any oid may be locked.
        let is_locked = unsafe { pg_sys::ConditionalLockRelationOid(table, mode as i32) };
        is_locked.then_some(Lock { table, mode, waited: false, call: PhantomData })
    }
}

impl Lock<'_> {
    /// The table.
    pub fn table(&self) -> pg_sys::Oid {
        self.table
    }

    /// Whether others had to be waited for.
    pub fn waited(&self) -> bool {
        self.waited
    }

    /// Makes sure that rows may be written.
    pub(super) fn expect_writing(&self) {
        assert_eq!(self.mode, LockMode::Write, "the table is locked for reading only");
    }
}
