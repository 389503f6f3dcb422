//! The table `session_moved`: ids that sessions had, and that keep reaching them for a while.
//!
//! A row is written only by a renewal that asks for it, so writes go by SQL. Looking one up is what every
//! request with an unknown id does, so that goes straight through the index where nothing stands between.

use super::MOVED;
use super::columns::ColumnType;
use super::open::{Look, OpenTable};
use super::statements::Statement;
use crate::error::{Error, Result};
use crate::id::SessionKey;
use crate::pg::{self, Access, Column, Columns, Layout, LockMode, Timestamp, Value};
use pgrx::{PgSqlErrorCode, PgTryBuilder};
use std::panic::AssertUnwindSafe;

/// An id that a session had.
pub struct MovedId {
    /// SHA-256 of that id.
    pub from: SessionKey,
    /// SHA-256 of the one that the session got instead.
    pub to: SessionKey,
    /// When the session was created, by which it is recognised.
    pub created_at: Timestamp,
    /// When it was moved.
    pub moved_at: Timestamp,
    /// Until when the old id reaches it.
    pub until: Timestamp,
}

/// The columns, in the order of [`MovedId::values`].
pub(super) const COLUMNS: &[Column] = &[
    column::<SessionKey>(c"moved_key"),
    column::<SessionKey>(c"session_key"),
    column::<Timestamp>(c"created_at"),
    column::<Timestamp>(c"moved_at"),
    column::<Timestamp>(c"valid_until"),
];

const fn column<T: ColumnType>(name: &'static core::ffi::CStr) -> Column {
    Column { name, kind: T::KIND, is_nullable: T::IS_NULLABLE, is_newer: false }
}

/// The table as reading it without the executor relies on it, and as nothing of anybody else's runs with it.
pub(super) static LAYOUT: Layout = Layout {
    columns: COLUMNS,
    key: 0,
    checks: &[
        c"pg_catalog.octet_length(moved_key) OPERATOR(pg_catalog.=) 32",
        c"pg_catalog.octet_length(session_key) OPERATOR(pg_catalog.=) 32",
    ],
};

impl MovedId {
    fn read(row: &impl Columns) -> Option<Self> {
        Some(Self {
            from: ColumnType::read(row, 0)?,
            to: ColumnType::read(row, 1)?,
            created_at: ColumnType::read(row, 2)?,
            moved_at: ColumnType::read(row, 3)?,
            until: ColumnType::read(row, 4)?,
        })
    }

    fn values(&self) -> [Value<'_>; COLUMNS.len()] {
        let Self { from, to, created_at, moved_at, until } = self;
        [from.value(), to.value(), created_at.value(), moved_at.value(), until.value()]
    }
}

/// Why a row could not be added.
fn why_stale() -> Error {
    if pg::keeps_snapshot() { Error::Contention } else { Error::Suppressed(MOVED.name()) }
}

/// The table, open for a call.
pub struct MovedIds<'call>(OpenTable<'call>);

impl<'call> MovedIds<'call> {
    /// The table beside that of the sessions; `None` if there is none, as before 0.3.0.
    pub fn beside(sessions: &OpenTable<'call>, mode: LockMode) -> Result<Option<Self>> {
        let schema = || pg::schema_of_table(sessions.oid());
        Ok(OpenTable::open_in(MOVED, sessions.call, mode, schema)?.map(Self))
    }

    /// Whether others had to be waited for.
    pub fn waited(&self) -> bool {
        self.0.waited()
    }

    /// What is known of an id that a session had.
    pub fn find(&self, key: &SessionKey, look: Look) -> Result<Option<MovedId>> {
        self.0.look(look, |access| match self.0.plain() {
            Some(plain) => {
                plain.find(&self.0.lock, key.as_bytes(), access, |row| MovedId::read(row))?
            }
            None => self.find_by_sql(key, access),
        })
    }

    fn find_by_sql(&self, key: &SessionKey, access: Access) -> Option<MovedId> {
        let read = |rows: pg::Rows<'_>| MovedId::read(&rows.first()?);
        self.0.run(Statement::FindMoved, [key.value()], access, read)
    }

    /// Adds an id, in place of what is left of an earlier one.
    pub fn add(&self, moved: &MovedId) -> Result<()> {
        self.0.change(Statement::ForgetMoved, [moved.from.value()]);
        let add = || Ok(self.0.write(Statement::AddMoved, moved.values()));
        let added = PgTryBuilder::new(AssertUnwindSafe(add))
            // The caller raises this as its own error. There is one that this transaction cannot see, or
            // that a trigger has kept.
            .catch_when(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, |_| Err(why_stale()))
            .execute()?;
        if added.is_done() { Ok(()) } else { Err(why_stale()) }
    }

    /// Removes the ids that led to a key, which a session has got that chose it: they are to stay dead.
    pub fn forget_ways_to(&self, key: &SessionKey) {
        // Where no renewal has a grace it costs nothing.
        if !self.0.plain().is_some_and(|plain| plain.has_no_pages(&self.0.lock)) {
            let nothing = |_: pg::Rows<'_>| ();
            let args = [key.value()];
            self.0.change_returning(Statement::ForgetWaysTo, args, Access::Latest, nothing);
        }
    }

    /// Removes up to `max_rows` ids that reach nothing any more since a time from `from` to `to` and that
    /// nobody has locked; since when the last of so many, or `None` if they were fewer.
    pub fn collect(
        &self,
        from: Timestamp,
        to: Timestamp,
        max_rows: Option<i64>,
    ) -> Option<Timestamp> {
        let limit = max_rows.map_or(Value::Null, Value::Int8);
        let args = [Value::Time(from), Value::Time(to), limit];
        self.0.change_returning(Statement::CollectMoved, args, Access::ReadWrite, |rows| {
            let is_full = max_rows.is_some_and(|most| rows.count() as i64 >= most);
            rows.iter().filter_map(|row| row.time(0)).max().filter(|_| is_full)
        })
    }
}
