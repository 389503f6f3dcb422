//! The table: where it is, and every statement that reads or writes it.
//!
//! Statements run with the table owner's rights, so that an application role needs none. Plans are
//! kept for the life of the connection; they and what is known of the table are looked up again
//! only after PostgreSQL has said that something may have changed.

mod session;
mod slide;
mod statements;
mod sweep;

pub use session::{Session, is_live};
pub use slide::init as init_sliding;
pub use sweep::Sweep;

use crate::error::{Error, Result};
use crate::id::SessionKey;
use crate::lifetime::{Limits, Timestamp};
use crate::pg::{
    self, Access, Caller, Columns, Home, KeyLookup, LockMode, Plan, RowWriter, Rows, Value,
};
use core::ffi::CStr;
use pgrx::pg_sys::Oid;
use pgrx::{PgSqlErrorCode, PgTryBuilder};
use session::State;
use statements::Statement;
use std::cell::{Cell, OnceCell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

const NAME: &CStr = c"session";

thread_local! {
    static OPENED: RefCell<Option<Rc<Table>>> = const { RefCell::new(None) };
    /// Whether `OPENED` still describes the catalog.
    static IS_CURRENT: Cell<bool> = const { Cell::new(false) };
}

/// Has the table looked up again after a change of the catalog that concerns it.
pub fn init() {
    pg::on_catalog_change(|relation| {
        let concerns_us = OPENED.with(|opened| {
            // While it is borrowed or absent it is being looked up, so look again afterwards.
            let Ok(opened) = opened.try_borrow() else { return true };
            let Some(ours) = opened.as_ref() else { return true };
            relation.is_none_or(|relation| relation == ours.home.table)
        });
        if concerns_us {
            IS_CURRENT.set(false);
        }
    });
}

/// How to read a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As the calling statement sees it.
    AsOfStatement,
    /// As it is now (under `REPEATABLE READ`: with this transaction's own changes).
    Fresh,
    /// As it is when every other writer is done, and keep others from changing it.
    Locked,
}

/// The extension's table in the current database.
pub struct Table {
    home: Home,
    /// The short ways to read and to write a row, if the table is built as we made it.
    lookup: Option<KeyLookup>,
    /// Looked up by the first write: a connection opened for one read should not wait for that.
    writer: OnceCell<Option<RowWriter>>,
    plans: Rc<Plans>,
}

type Plans = [OnceCell<Plan>; statements::COUNT];

impl Table {
    /// The table in the schema of the function that was called, locked until the transaction ends;
    /// and whether that had to wait.
    pub fn open(caller: Caller, mode: LockMode) -> Result<(Rc<Table>, bool)> {
        pg::accept_invalidations();
        let mut waited = false;
        loop {
            if let Some(table) = OPENED.with_borrow(Clone::clone).filter(|_| IS_CURRENT.get()) {
                waited |= pg::lock(table.home.table, mode);
                // Until it was locked the table may have been changed, or be another one.
                if IS_CURRENT.get() {
                    return Ok((table, waited));
                }
            }
            // An error on the way must not leave behind what is out of date.
            let before = OPENED.take();
            // Set first: a change during the look-up must not go unnoticed.
            IS_CURRENT.set(true);
            let home = pg::home_of(caller, NAME).ok_or(Error::NoTable)?;
            waited |= pg::lock(home.table, mode);
            Table::at(home, before)?;
        }
    }

    /// The table that is there. What was kept of it `before` stays as long as it has not moved.
    fn at(home: Home, before: Option<Rc<Table>>) -> Result<Rc<Table>> {
        if !pg::has_types(home.table, &session::TYPES) {
            return Err(Error::AlteredTable);
        }
        // A statement checks the owner's rights; the short ways rely on them.
        let lookup = pg::owner_may_write(&home)
            .then(|| KeyLookup::new(home.table, session::KEY_COLUMN, &session::COLUMNS))
            .flatten();
        // PostgreSQL itself keeps plans in step with the table; only a new name makes them useless.
        let plans = match before.filter(|table| table.home == home) {
            Some(table) => table.plans.clone(),
            None => Rc::new([const { OnceCell::new() }; statements::COUNT]),
        };
        let table = Rc::new(Table { home, lookup, writer: OnceCell::new(), plans });
        OPENED.set(Some(table.clone()));
        Ok(table)
    }

    /// The short way to write a row. A rule that somebody added since the table was looked up, while
    /// a lock was waited for or before a slide is written, sends the write back to the plans.
    fn writer(&self) -> Option<&RowWriter> {
        let is_this = |opened: &Rc<Table>| std::ptr::eq(Rc::as_ptr(opened), self);
        let is_opened = OPENED.with_borrow(|opened| opened.as_ref().is_some_and(is_this));
        self.lookup.as_ref().filter(|_| is_opened && IS_CURRENT.get())?;
        let writer = self.writer.get_or_init(|| RowWriter::new(self.home.table, &session::SHAPE));
        writer.as_ref().filter(|_| IS_CURRENT.get())
    }

    /// Which table it is.
    pub fn oid(&self) -> Oid {
        self.home.table
    }

    fn run<'a, R>(
        &self,
        statement: Statement,
        args: impl IntoIterator<Item = Value<'a>>,
        access: Access,
        read: impl FnOnce(Rows<'_>) -> R,
    ) -> R {
        self.with_plan(self.home.owner, statement, |spi, plan| {
            read(spi.execute(plan, args, access))
        })
    }

    /// Runs a query row by row until `each` returns false.
    fn for_each<'a>(
        &self,
        statement: Statement,
        args: impl IntoIterator<Item = Value<'a>>,
        each: impl FnMut(pg::Row<'_>) -> bool,
    ) {
        self.with_plan(self.home.owner, statement, |spi, plan| spi.for_each(plan, args, each));
    }

    fn with_plan<R>(
        &self,
        owner: Oid,
        statement: Statement,
        work: impl FnOnce(&pg::Connection, &Plan) -> R,
    ) -> R {
        pg::with_rights_of(owner, || {
            pg::connect(|spi| {
                let plan = self.plans[statement as usize].get_or_init(|| {
                    spi.prepare(&statement.text(&self.home.schema), &statement.types())
                });
                work(spi, plan)
            })
        })
    }

    /// Runs a statement that changes rows; how many it changed.
    fn write<'a>(&self, statement: Statement, args: impl IntoIterator<Item = Value<'a>>) -> u64 {
        self.run(statement, args, Access::ReadWrite, |rows| rows.count())
    }

    /// Locks the table for writing, for the rest of the transaction.
    pub fn lock_for_writing(&self) {
        pg::lock(self.home.table, LockMode::Write);
    }

    /// Locks the table for the rest of the transaction if that need not wait.
    pub fn try_lock(&self, mode: LockMode) -> bool {
        pg::try_lock(self.home.table, mode)
    }

    /// Reads a session, expired or not.
    pub fn find(&self, key: &SessionKey, look: Look) -> Option<Session> {
        let access = match look {
            Look::AsOfStatement if !pg::has_written() => Access::ReadOnly,
            // What this transaction wrote is there for it at once, also within one statement.
            Look::AsOfStatement | Look::Fresh | Look::Locked => Access::ReadWrite,
        };
        let mut session = match &self.lookup {
            Some(lookup) if look != Look::Locked => {
                lookup.find(key.as_bytes(), access, |row| Session::read(row)).flatten()?
            }
            _ => {
                let locks = look == Look::Locked;
                let statement = if locks { Statement::Lock } else { Statement::Find };
                let args = [Value::Bytes(key.as_bytes())];
                self.run(statement, args, access, |rows| Session::read(&rows.first()?))?
            }
        };
        if let Some(expiry) = slide::pending_expiry(key, session.state()) {
            session.expiry = session.expiry.max(expiry);
        }
        Some(session)
    }

    /// Keeps a session that was used alive, at the transaction's commit.
    pub fn slide(
        self: &Rc<Self>,
        key: &SessionKey,
        session: &mut Session,
        now: Timestamp,
        limits: Limits,
    ) {
        let expiry = session.slid_expiry(now, limits);
        if expiry > session.expiry && !pg::is_read_only() {
            session.expiry = expiry;
            slide::remember(self, key, session.state(), expiry);
        }
    }

    /// Replaces content, expiry and terms. False if the row is no longer as it was read.
    pub fn save(&self, key: &SessionKey, read: &Session, new: &Session) -> bool {
        if let Some(saved) = self.update_as_read(read, || read.changes_to(new)) {
            return saved;
        }
        let args = read.state().as_read(key).into_iter().chain(new.expiry_and_terms());
        if new.data == read.data {
            return self.write(Statement::Extend, args) > 0;
        }
        self.write(Statement::Save, args.chain(new.content())) > 0
    }

    /// Changes the row version that was read, if there is a short way to that.
    fn update_as_read<'a, C: IntoIterator<Item = (usize, Value<'a>)>>(
        &self,
        read: &Session,
        changes: impl FnOnce() -> C,
    ) -> Option<bool> {
        let (writer, address) = self.writer().zip(read.address)?;
        Some(pg::with_rights_of(self.home.owner, || writer.update(address, changes(), true)))
    }

    /// Replaces the expiry, unless the row is no longer as it was read or others have it locked.
    fn slide_now(&self, key: &SessionKey, read: State, expiry: Timestamp) {
        let Some((lookup, writer)) = self.lookup.as_ref().zip(self.writer()) else {
            let args = read.as_read(key).into_iter().chain([Value::Time(expiry)]);
            self.write(Statement::Slide, args);
            return;
        };
        let found = lookup.find(key.as_bytes(), Access::ReadWrite, |row| {
            State::read(row).filter(|state| *state == read).and_then(|_| row.row_address())
        });
        if let Some(address) = found.flatten() {
            let change = State::change_to_expiry(expiry);
            pg::with_rights_of(self.home.owner, || writer.update(address, change, false));
        }
    }

    /// Gives the session another key. False if the row is no longer as it was read.
    ///
    /// Fails with [`Error::SessionExists`] if the new key is taken meanwhile.
    pub fn rename(
        &self,
        key: &SessionKey,
        read: &Session,
        new_key: &SessionKey,
        expiry: Timestamp,
    ) -> Result<bool> {
        let rename = || {
            if let Some(renamed) =
                self.update_as_read(read, || State::change_to_key(new_key, expiry))
            {
                return renamed;
            }
            let changes = [Value::Time(expiry), Value::Bytes(new_key.as_bytes())];
            let args = read.state().as_read(key).into_iter().chain(changes);
            self.write(Statement::Rename, args) > 0
        };
        PgTryBuilder::new(AssertUnwindSafe(|| Ok(rename())))
            // The caller raises this again as its own error, so nothing is swallowed.
            .catch_when(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, |_| Err(Error::SessionExists))
            .execute()
    }

    /// Adds a session. False if there is a row with this key, live or expired, as there never is
    /// with a fresh one.
    pub fn insert(&self, key: &SessionKey, new: &Session, is_fresh: bool) -> bool {
        let inserted = self.writer().is_some_and(|writer| {
            pg::with_rights_of(self.home.owner, || writer.insert(new.row(key), is_fresh))
        });
        let args = [Value::Bytes(key.as_bytes())].into_iter().chain(new.expiry_and_terms());
        let created_at = [Value::Time(new.created_at)];
        inserted || self.write(Statement::Insert, args.chain(new.content()).chain(created_at)) > 0
    }

    /// Puts a new session where an expired one was. False if the row is no longer as it was read.
    pub fn replace(&self, key: &SessionKey, expired: &Session, new: &Session) -> bool {
        let args = expired.state().as_read(key).into_iter().chain(new.expiry_and_terms());
        let created_at = [Value::Time(new.created_at)];
        self.write(Statement::Replace, args.chain(new.content()).chain(created_at)) > 0
    }

    /// Removes a session; its expiry and creation time, if there was a row.
    pub fn delete(&self, key: &SessionKey) -> Option<(Timestamp, Timestamp)> {
        let args = [Value::Bytes(key.as_bytes())];
        self.run(Statement::Delete, args, Access::ReadWrite, |rows| {
            let row = rows.first()?;
            Some((row.time(0)?, row.time(1)?))
        })
    }

    /// Removes what an expired session left under this key.
    pub fn delete_expired(&self, key: &SessionKey, now: Timestamp, limits: Limits) {
        let created_by = now.before(limits.absolute_lifetime);
        let args = [Value::Bytes(key.as_bytes()), Value::Time(now), Value::Time(created_by)];
        self.write(Statement::DeleteExpired, args);
    }

    /// Counts live sessions.
    pub fn count(&self, now: Timestamp, limits: Limits) -> i64 {
        let args = [Value::Time(now), Value::Time(now.before(limits.absolute_lifetime))];
        let count = |rows: Rows<'_>| rows.first()?.int8(0);
        self.run(Statement::Count, args, Access::ReadWrite, count).unwrap_or_default()
    }

    /// Removes up to `max_rows` sessions that expired by `now`; how many.
    pub fn collect(&self, now: Timestamp, max_rows: Option<i64>) -> u64 {
        let limit = max_rows.map_or(Value::Null, Value::Int8);
        self.write(Statement::Collect, [Value::Time(now), limit])
    }
}
