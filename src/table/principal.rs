//! The sessions of a principal, by SQL: there is an index for it, and never one row alone.
//!
//! What ends sessions sees what is committed by now, at every isolation level: "log out everywhere" leaves
//! none that was there, or fails with 40001.

use super::columns::{AUTHENTICATED_AT, CREATED_AT, ColumnType, EXPIRY, Session};
use super::open::{Look, OpenTable};
use super::session;
use super::statements::{Part, Statement, Step};
use crate::error::Result;
use crate::id::{Handle, SessionKey};
use crate::lifetime::Limits;
use crate::pg::{self, Access, Columns, Timestamp, Value};

/// Which of the sessions of a principal.
pub enum Among {
    /// The one with this handle.
    One(Handle),
    /// All, but maybe for one.
    AllBut(Option<SessionKey>),
    /// Those without one of these handles.
    Without(Vec<[u8; 16]>),
}

impl Among {
    fn part(&self) -> Part {
        match self {
            Self::One(_) => Part::One,
            Self::AllBut(_) => Part::AllBut,
            Self::Without(_) => Part::Without,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::One(handle) => handle.value(),
            Self::AllBut(kept) => kept.as_ref().map_or(Value::Null, SessionKey::value),
            Self::Without(kept) => Value::Uuids(kept),
        }
    }

    /// Whether a session with this key and this handle is one of them.
    pub(super) fn has(
        &self,
        key: impl FnOnce() -> Option<SessionKey>,
        handle: impl FnOnce() -> Option<Handle>,
    ) -> bool {
        match self {
            Self::One(one) => handle() == Some(*one),
            Self::AllBut(None) => true,
            Self::AllBut(kept) => key() != *kept,
            Self::Without(kept) => handle().is_none_or(|handle| !kept.contains(handle.as_bytes())),
        }
    }
}

impl OpenTable<'_> {
    /// The live sessions of a principal, with or without their content.
    pub fn sessions_of(
        &self,
        principal: &str,
        with_content: bool,
        look: Look,
        now: Timestamp,
        limits: Limits,
    ) -> Result<Vec<Session>> {
        let [after, begun_after] = live_at(now, limits);
        let args = [Value::Text(principal), after, begun_after];
        let statement = Statement::OfPrincipal { with_content };
        let read = |rows: pg::Rows<'_>| {
            let sessions = rows.iter().filter_map(|row| Session::read(&row));
            Some(sessions.collect::<Vec<_>>()).filter(|sessions| !sessions.is_empty())
        };
        let sessions = self.look(look, |access| self.run(statement, args, access, read))?;
        Ok(sessions.unwrap_or_default())
    }

    /// Whom the session with this handle belongs to.
    pub fn principal_of(&self, handle: Handle) -> Option<String> {
        let read = |rows: pg::Rows<'_>| rows.first()?.text(0);
        self.run(Statement::PrincipalOf, [handle.value()], Access::Latest, read)
    }

    /// Removes sessions of a principal, or locks them first; the handles of those that are live.
    pub(super) fn end_or_lock(
        &self,
        step: Step,
        principal: &str,
        which: &Among,
        now: Timestamp,
        limits: Limits,
    ) -> Vec<Handle> {
        let statement = Statement::End(which.part(), step);
        let [after, begun_after] = live_at(now, limits);
        let args = [Value::Text(principal), which.value(), after, begun_after];
        match step {
            Step::Remove => {
                let args = args.into_iter().take(2);
                self.change_returning(statement, args, Access::Latest, |_| Vec::new())
            }
            _ => self.change_returning(statement, args, Access::Latest, handles_of_live),
        }
    }
}

/// Whether the session in a row is live.
pub(super) fn is_live(row: &impl Columns, now: Timestamp, limits: Limits) -> bool {
    let began = row.time(AUTHENTICATED_AT).or_else(|| row.time(CREATED_AT));
    let times = row.time(EXPIRY).zip(began);
    times.is_some_and(|(expiry, began)| session::is_live(expiry, began, now, limits))
}

fn handles_of_live(rows: pg::Rows<'_>) -> Vec<Handle> {
    let live = rows.iter().filter(|row| row.boolean(1).unwrap_or(false));
    live.filter_map(|row| row.uuid(0)).map(Handle::from_bytes).collect()
}

fn live_at(now: Timestamp, limits: Limits) -> [Value<'static>; 2] {
    [Value::Time(now), Value::Time(limits.ended_if_begun_by(now))]
}
