//! A session as the table holds it, and as it was found there.

use super::columns::{ColumnType, Index, Session};
use crate::id::SessionKey;
use crate::lifetime::{Lifetime, Limits, Terms, absolute_end};
use crate::pg::{Columns, Holder, Place, Timestamp};
use std::ops::Deref;

impl Session {
    /// A session that begins at `now`.
    pub fn begin(
        key: SessionKey,
        data: Vec<u8>,
        terms: Terms,
        now: Timestamp,
        limits: Limits,
    ) -> Self {
        Self {
            key,
            data,
            expiry: terms.expiry(now, now, limits),
            created_at: now,
            // Microseconds, so that a session begun anew never repeats a version; below 2^53, so
            // that every client can hold it.
            version: now.unix_micros(),
            lifetime: terms.lifetime,
            deadline: terms.deadline,
            principal: None,
            attributes: None,
            authenticated_at: None,
            handle: None,
        }
    }

    /// Idle lifetime and deadline.
    pub fn terms(&self) -> Terms {
        Terms { lifetime: self.lifetime, deadline: self.deadline }
    }

    /// Whether the session is there for a client whose clock says `now`.
    pub fn is_live(&self, now: Timestamp, limits: Limits) -> bool {
        is_live(self.expiry, self.began(), now, limits)
    }

    /// From when its absolute lifetime counts.
    pub fn began(&self) -> Timestamp {
        self.authenticated_at.unwrap_or(self.created_at)
    }

    /// When it ends however active it is.
    pub fn absolute_end(&self, limits: Limits) -> Timestamp {
        absolute_end(self.began(), limits.absolute_lifetime)
    }

    /// When it was used last, up to a step of the grid later; `None` where that does not move the expiry.
    pub fn last_used(&self, limits: Limits) -> Option<Timestamp> {
        let is_capped = self.deadline.is_some_and(|deadline| deadline <= self.expiry)
            || self.absolute_end(limits) <= self.expiry;
        (!is_capped).then(|| self.lifetime.before(self.expiry)).flatten()
    }

    /// What a slide depends on.
    pub(super) fn state(&self) -> State {
        State {
            version: self.version,
            expiry: self.expiry,
            lifetime: self.lifetime,
            deadline: self.deadline,
        }
    }
}

/// Whether a session with this expiry that began then is there for a client whose clock says `now`.
pub(super) fn is_live(expiry: Timestamp, began: Timestamp, now: Timestamp, limits: Limits) -> bool {
    expiry > now && absolute_end(began, limits.absolute_lifetime) > now
}

/// A session that was found in the table.
pub struct Found<'call> {
    /// As it is there.
    pub session: Session,
    /// When it expires, with what this transaction is about to add at commit.
    pub promised: Timestamp,
    /// Until when the id that was asked for reaches it, if it was moved to another one.
    pub reached_until: Option<Timestamp>,
    /// Where the row is, if that can be relied on.
    pub(super) place: Option<Place<'call>>,
    /// Who holds the row, if that is known.
    pub(super) holder: Option<Holder>,
}

impl Deref for Found<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl<'call> Found<'call> {
    /// A session as it was read.
    pub(super) fn new(
        session: Session,
        place: Option<Place<'call>>,
        holder: Option<Holder>,
    ) -> Self {
        Self { promised: session.expiry, session, reached_until: None, place, holder }
    }

    /// Whether the id that was asked for is one that it had before.
    pub fn is_in_grace(&self) -> bool {
        self.reached_until.is_some()
    }

    /// Whether that id reaches it for a client whose clock says `now`.
    pub fn is_reached(&self, now: Timestamp) -> bool {
        self.reached_until.is_none_or(|until| until > now)
    }

    /// The expiry after a use at `now`, which never shortens the promised one.
    pub fn slid_expiry(&self, now: Timestamp, limits: Limits) -> Timestamp {
        self.promised.max(self.terms().expiry(now, self.began(), limits))
    }
}

/// A state of a row: while it holds, a slide that was decided on is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    version: i64,
    expiry: Timestamp,
    lifetime: Lifetime,
    deadline: Option<Timestamp>,
}

impl State {
    /// Reads the columns that it has.
    pub fn read(row: &impl Columns) -> Option<Self> {
        Some(Self {
            version: ColumnType::read(row, Index::version as usize)?,
            expiry: ColumnType::read(row, Index::expiry as usize)?,
            lifetime: ColumnType::read(row, Index::lifetime as usize)?,
            deadline: ColumnType::read(row, Index::deadline as usize)?,
        })
    }

    /// Whether the session has expired by `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expiry <= now
    }
}
