//! The table, open for a call: what can be done with its rows, and by which way.

use super::columns::Changes;
use super::rows::Rows;
use super::session::Found;
use super::statements::{Columns as SetOfColumns, Statement};
use super::{SESSIONS, Table, Which, direct, sql};
use crate::error::{Error, Result};
use crate::id::SessionKey;
use crate::lifetime::Limits;
use crate::pg::{
    self, Access, Call, Columns, Lock, LockMode, PlainTable, RowWrite, Timestamp, Value,
};
use crate::settings;
use pgrx::pg_sys::Oid;
use pgrx::{PgSqlErrorCode, PgTryBuilder};
use std::cell::Cell;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

/// How to read a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As the calling statement sees it.
    AsOfStatement,
    /// As it is now (under `REPEATABLE READ`: with this transaction's own changes).
    Fresh,
    /// As it is now, whatever the isolation level.
    Latest,
}

/// The table, open and locked for a call.
pub struct OpenTable<'call> {
    pub(super) call: &'call Call,
    pub(super) lock: Lock<'call>,
    pub(super) table: Rc<Table>,
    waited: bool,
}

impl<'call> OpenTable<'call> {
    /// The table in the schema of the function that was called.
    pub fn open(call: &'call Call, mode: LockMode) -> Result<Self> {
        // An update of the extension replaces functions that are being called; the table stays.
        let known = Cell::new(Oid::INVALID);
        let schema = || match pg::schema_of_function(call.function()) {
            Oid::INVALID => {
                if known.get() == Oid::INVALID {
                    known.set(SESSIONS.last());
                }
                pg::schema_of_table(known.get())
            }
            schema => {
                known.set(SESSIONS.find(schema).map_or(Oid::INVALID, |name| name.table));
                schema
            }
        };
        let table = Self::open_in(SESSIONS, call, mode, schema)?;
        table.ok_or_else(|| Error::NoTable(SESSIONS.name()))
    }

    /// One of the tables, in a schema; `None` if it is not there.
    pub(super) fn open_in(
        which: Which,
        call: &'call Call,
        mode: LockMode,
        schema: impl Fn() -> Oid,
    ) -> Result<Option<Self>> {
        pg::accept_invalidations();
        let mut waited = false;
        if let Some(table) = which.current() {
            let lock = call.lock(table.name.table, mode);
            waited |= lock.waited();
            // Until it was locked the table may have been changed, or be another one.
            if which.is_current() {
                return Ok(Some(Self { call, lock, table, waited }));
            }
        }
        loop {
            let Some(name) = which.find(schema()) else { return Ok(None) };
            let lock = call.lock(name.table, mode);
            waited |= lock.waited();
            // Until it was locked it may have been dropped, renamed, or moved.
            let again = || which.find(schema()).filter(|again| *again == name);
            if let Some(table) = Table::describe(which, again, &lock)? {
                return Ok(Some(Self { call, lock, table, waited }));
            }
        }
    }

    /// Whether others had to be waited for.
    pub fn waited(&self) -> bool {
        self.waited
    }

    /// Which table it is.
    pub fn oid(&self) -> Oid {
        self.table.name.table
    }

    /// The way to the rows.
    ///
    /// A row can be read directly where nothing stands between it and its key; it is written directly,
    /// and slides at commit, only where nothing else happens with it.
    fn way(&self, purpose: LockMode) -> Way<'_, 'call> {
        let is_plain = |plain: &&PlainTable| purpose == LockMode::Read || plain.is_writable();
        match self.plain().filter(is_plain) {
            Some(table) => Way::Direct(direct::Direct { open: self, table }),
            None => Way::Sql(sql::Sql { open: self }),
        }
    }

    /// The table, if its rows can be read directly.
    pub(super) fn plain(&self) -> Option<&PlainTable> {
        self.table.plain.as_ref().filter(|_| settings::direct())
    }

    /// The ways to write rows.
    pub fn rows(&self) -> impl Deref<Target = dyn Rows<'call> + '_> {
        self.way(LockMode::Write)
    }

    /// Reads a session, expired or not.
    pub fn find(&self, key: &SessionKey, look: Look) -> Result<Option<Found<'call>>> {
        self.look(look, |access| self.way(LockMode::Read).find(key, access))
    }

    /// Whether the rows are those that the calling statement sees: its snapshot may be from before they
    /// were rewritten.
    pub fn is_as_of_statement(&self) -> bool {
        self.call.sees(self.table.changed_by)
    }

    /// Looks for a row with `find`.
    pub(super) fn look<R>(
        &self,
        look: Look,
        find: impl FnOnce(Access) -> Option<R>,
    ) -> Result<Option<R>> {
        let is_seen = self.is_as_of_statement();
        // What this transaction wrote is there for it at once, also within one statement.
        let access = match look {
            Look::AsOfStatement if is_seen && !pg::has_written() => Access::ReadOnly,
            Look::AsOfStatement | Look::Fresh => Access::ReadWrite,
            Look::Latest => Access::Latest,
        };
        match find(access) {
            None if !is_seen && pg::keeps_snapshot() => {
                Err(Error::TableChanged(self.table.which.name()))
            }
            found => Ok(found),
        }
    }

    /// Holds a session that a write leaves as it is, so that it stays so. `Stale` if it is not.
    ///
    /// Unless that is to be so `always`: where the call is all of its transaction and nobody else holds
    /// the row, nobody could tell.
    pub fn hold(&self, read: &Found<'call>, always: bool) -> RowWrite {
        if !always && self.is_alone_with(read) {
            return RowWrite::Done;
        }
        self.rows().lock(read)
    }

    /// Whether nobody could tell if a session that stays as it is were locked.
    pub fn is_alone_with(&self, read: &Found<'call>) -> bool {
        let is_free = read.holder.is_some_and(|holder| !holder.is_active());
        is_free && self.call.is_whole_transaction()
    }

    /// Keeps a session that was used alive.
    pub fn slide(&self, found: &mut Found<'call>, now: Timestamp, limits: Limits) {
        let expiry = found.slid_expiry(now, limits);
        let is_due = expiry > found.promised && !pg::is_read_only();
        if is_due && self.rows().slide(found, expiry) {
            found.promised = expiry;
        }
    }

    /// Changes a session's key with other columns.
    ///
    /// Fails with [`Error::SessionExists`] if the new key is taken meanwhile.
    pub fn rename(&self, read: &Found<'call>, changes: &Changes) -> Result<RowWrite> {
        PgTryBuilder::new(AssertUnwindSafe(|| Ok(self.rows().update(read, changes))))
            // The caller raises this again as its own error, so nothing is swallowed.
            .catch_when(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, |_| Err(Error::SessionExists))
            .execute()
    }

    /// Fails where a column is missing that a binding is kept in.
    pub fn expect_all_columns(&self) -> Result<()> {
        match self.table.lacks == SetOfColumns::default() {
            true => Ok(()),
            false => Err(Error::AlteredTable(self.table.which.name())),
        }
    }

    /// Whether a session whose key changes is removed and added anew, so that who waits for the one does not
    /// find the other.
    pub fn moves_by_adding(&self) -> bool {
        matches!(self.way(LockMode::Write), Way::Sql(_)) && pg::is_partitioned(&self.lock)
    }

    /// Whether adding a row may come to nothing although there is none.
    pub fn may_suppress(&self) -> bool {
        matches!(self.way(LockMode::Write), Way::Sql(_)) && pg::may_suppress_inserts(&self.lock)
    }

    /// Why a write of a row that is locked, or of one that is not there, changes nothing.
    pub fn why_stale(&self) -> Error {
        match self.way(LockMode::Write) {
            Way::Direct(_) => Error::Contention,
            Way::Sql(_) => Error::Suppressed(SESSIONS.name()),
        }
    }

    /// Counts live sessions.
    pub fn count(&self, now: Timestamp, limits: Limits) -> i64 {
        let args = [Value::Time(now), Value::Time(limits.ended_if_begun_by(now))];
        let count = |rows: pg::Rows<'_>| rows.first()?.int8(0);
        self.run(Statement::Count, args, Access::ReadWrite, count).unwrap_or_default()
    }

    /// Removes all live sessions; how many.
    pub fn clear(&self, now: Timestamp, limits: Limits) -> u64 {
        let args = [Value::Time(now), Value::Time(limits.ended_if_begun_by(now))];
        self.change(Statement::Clear, args)
    }

    /// Removes up to `max_rows` sessions that expired by `now`; how many.
    pub fn collect(&self, now: Timestamp, max_rows: Option<i64>) -> u64 {
        let limit = max_rows.map_or(Value::Null, Value::Int8);
        self.change(Statement::Collect, [Value::Time(now), limit])
    }
}

/// One of the two ways.
enum Way<'t, 'call> {
    Direct(direct::Direct<'t, 'call>),
    Sql(sql::Sql<'t, 'call>),
}

impl<'t, 'call> Deref for Way<'t, 'call> {
    type Target = dyn Rows<'call> + 't;

    fn deref(&self) -> &Self::Target {
        match self {
            Way::Direct(direct) => direct,
            Way::Sql(sql) => sql,
        }
    }
}
