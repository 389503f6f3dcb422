//! The way by SQL: for a table to which people have added what runs with its rows, or another one in
//! its place. Everything happens within the call, as triggers and constraints expect it.

use super::OpenTable;
use super::columns::{Changes, Session};
use super::open::Look;
use super::principal::Among;
use super::rows::Rows;
use super::run::is_within_a_write;
use super::session::Found;
use super::statements::{Columns, Statement, Step};
use crate::error::Result;
use crate::id::{Handle, SessionKey};
use crate::lifetime::Limits;
use crate::pg::{self, Access, LockMode, RowWrite, Timestamp, Value};
use pgrx::PgSqlErrorCode;

/// Any table.
pub struct Sql<'t, 'call> {
    pub open: &'t OpenTable<'call>,
}

/// The arguments of a statement that insists on the row as it was read.
fn as_read(read: &Session) -> impl Iterator<Item = Value<'_>> {
    let values = read.values();
    super::columns::compared().map(move |column| values[column])
}

impl<'call> Rows<'call> for Sql<'_, 'call> {
    fn find(&self, key: &SessionKey, access: Access) -> Option<Found<'call>> {
        let args = [Value::Bytes(key.as_bytes())];
        let read = |rows: pg::Rows<'_>| Session::read(&rows.first()?);
        let session = self.open.run(Statement::Find, args, access, read)?;
        Some(Found::new(session, None, None))
    }

    fn lock(&self, read: &Found<'call>) -> RowWrite {
        // The statement locks also what it has waited for and then finds changed, for example moved to another
        // id. Kept to the end of the transaction, that could be what somebody waits for who has what is locked next.
        pg::in_subtransaction_kept_if(
            |written: &RowWrite| written.is_done(),
            || self.open.write(Statement::Lock, as_read(read)),
        )
        .unwrap_or_else(|error| error.raise())
    }

    fn insert(&self, new: &Session, _is_fresh: bool) -> RowWrite {
        if pg::takes_on_conflict(&self.open.lock) {
            return self.open.write(Statement::Insert, new.values());
        }
        let inserted =
            pg::in_subtransaction(|| self.open.write(Statement::InsertPlainly, new.values()));
        match inserted {
            Ok(written) => written,
            Err(error) if error.code() == PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => {
                RowWrite::Stale
            }
            Err(error) => error.raise(),
        }
    }

    fn update(&self, read: &Found<'call>, changes: &Changes) -> RowWrite {
        let columns = changes.values().map(|(column, _)| column).collect::<Columns>();
        let values = changes.values().map(|(_, value)| value);
        self.open.write(Statement::Update(columns), as_read(read).chain(values))
    }

    fn slide(&self, read: &Found<'call>, expiry: Timestamp) -> bool {
        // Reading must not wait for a table that is being altered, nor change a row that is being written.
        if is_within_a_write()
            || self.open.call.try_lock(self.open.lock.table(), LockMode::Write).is_none()
        {
            return false;
        }
        let args = as_read(read).chain([Value::Time(expiry)]);
        let slid = pg::in_subtransaction(|| self.open.write(Statement::Slide, args));
        slid.is_ok_and(RowWrite::is_done)
    }

    fn end_of_principal(
        &self,
        principal: &str,
        which: &Among,
        now: Timestamp,
        limits: Limits,
    ) -> Result<Vec<Handle>> {
        // A rule may not allow RETURNING.
        let step = |step| self.open.end_or_lock(step, principal, which, now, limits);
        let ended = step(Step::Lock);
        step(Step::Remove);
        // A trigger or a rule may have kept them.
        let left = self.open.sessions_of(principal, false, Look::Latest, now, limits)?;
        let is_left = |left: &Session| which.has(|| Some(left.key), || left.handle);
        match left.iter().any(is_left) {
            true => Err(self.open.why_stale()),
            false => Ok(ended),
        }
    }

    fn delete(&self, read: &Found<'call>) -> RowWrite {
        self.open.write(Statement::Delete, as_read(read))
    }
}
