//! What can be done with sessions: the rules, on top of the table and below the SQL functions.
//!
//! Each call looks first. What is not live is absent, whether or not it was collected. A write is for
//! the row as it was read; where it is not so any more, the row is locked and the decision made again
//! on what is there then. A write that changes nothing locks the row all the same, so that it stays
//! so. No write is lost and nothing is resurrected.
//!
//! An id reaches the session that has it, or for a while the one that had it before: see [`grace`].
//!
//! Where a call takes an optional id, `None` is one that no session can have.

mod change;
mod create;
mod grace;
mod principal;
mod renew;

use crate::codec::{Content, Map};
use crate::error::{Error, Result};
use crate::id::{NewId, SessionId, SessionKey};
use crate::lifetime::{Lifetime, Limits, Terms};
use crate::pg::{self, Call, LockMode, Timestamp};
use crate::settings;
use crate::table::{Found, Look, MovedIds, OpenTable, Session};
use crate::worker;
use std::cell::Cell;

pub use change::Change;
pub use create::Started;
pub use principal::{Binding, Device, Missing};
pub use renew::Renewed;

/// How often to make way for a session, or to begin one, where another client keeps creating and destroying
/// one meanwhile.
const ATTEMPTS: usize = 10;

/// New terms for a session; what is `None` stays as it is, or as the settings say for a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewTerms {
    /// Idle lifetime.
    pub lifetime: Option<Lifetime>,
    /// Absolute end; infinity takes one away.
    pub deadline: Option<Timestamp>,
}

impl NewTerms {
    fn over(self, terms: Terms) -> Terms {
        Terms {
            lifetime: self.lifetime.unwrap_or(terms.lifetime),
            deadline: match self.deadline {
                Some(Timestamp::INFINITY) => None,
                Some(deadline) => Some(deadline),
                None => terms.deadline,
            },
        }
    }

    fn for_new(self) -> Terms {
        self.over(settings::default_terms())
    }
}

/// The sessions of the current database, for one call.
pub struct Store<'call> {
    call: &'call Call,
    table: OpenTable<'call>,
    limits: Limits,
    /// The start of the client's statement, not of its transaction: a connection idle in one must
    /// not revive what expired meanwhile. After a wait for a lock, the time then.
    now: Cell<Timestamp>,
}

impl<'call> Store<'call> {
    /// Opens the store to which the called function belongs.
    pub fn open(call: &'call Call) -> Result<Self> {
        Self::open_with(call, LockMode::Read)
    }

    /// Opens the store for a call that writes.
    pub fn open_for_writing(call: &'call Call) -> Result<Self> {
        refuse_if_read_only()?;
        let store = Self::open_with(call, LockMode::Write)?;
        worker::ensure_served(call, &store.table);
        Ok(store)
    }

    fn open_with(call: &'call Call, mode: LockMode) -> Result<Self> {
        let table = OpenTable::open(call, mode)?;
        let now = if table.waited() { pg::clock() } else { pg::statement_start() };
        Ok(Self { call, table, limits: settings::limits(), now: Cell::new(now) })
    }

    /// The store that a call needs which set out to read and finds that it has to write.
    fn for_writing(&self) -> Result<Self> {
        let store = Self::open_for_writing(self.call)?;
        store.now.set(store.now.get().max(self.now.get()));
        Ok(store)
    }

    fn find(&self, key: &SessionKey, look: Look) -> Result<Option<Found<'call>>> {
        Ok(self.reach(key, look)?.and_then(|found| self.if_live(found)))
    }

    /// The session, expired or not, as it is when every other writer is done, locked.
    fn reach_locked(&self, key: &SessionKey) -> Result<Option<Found<'call>>> {
        loop {
            let Some(found) = self.reach(key, Look::Fresh)? else { return Ok(None) };
            if self.table.rows().lock(&found).is_done() && self.still_reaches(key, &found)? {
                return Ok(Some(found));
            }
            // It was changed or moved while it was waited for.
            if pg::keeps_snapshot() {
                return Err(Error::Contention);
            }
        }
    }

    /// Whether the id leads to the session that is locked by now: those whose writes were waited for may have
    /// left the row as it was, and not the way to it.
    fn still_reaches(&self, key: &SessionKey, locked: &Found<'_>) -> Result<bool> {
        let is_same = |found: Found<'_>| found.key == locked.key;
        Ok(!locked.is_in_grace() || self.reach(key, Look::Fresh)?.is_some_and(is_same))
    }

    /// The live session when every other writer is done, locked.
    fn find_locked(&self, key: &SessionKey) -> Result<Option<Found<'call>>> {
        let found = self.reach_locked(key)?;
        // The lock may have been waited for, and meanwhile the session may have ended.
        self.now.set(pg::clock());
        Ok(found.and_then(|found| self.if_live(found)))
    }

    /// Whether there is a session for whoever asked for it by that id and whose clock says `now`.
    fn is_live(&self, found: &Found<'_>, now: Timestamp) -> bool {
        found.is_reached(now) && found.is_live(now, self.limits)
    }

    fn if_live(&self, mut found: Found<'call>) -> Option<Found<'call>> {
        found.promised = found.promised.min(found.absolute_end(self.limits));
        self.is_live(&found, self.now.get()).then_some(found)
    }

    /// The live session, without touching it.
    pub fn peek(&self, id: Option<SessionId<'_>>) -> Result<Option<Found<'call>>> {
        let Some(id) = id else { return Ok(None) };
        self.find(&id.key(), Look::AsOfStatement)
    }

    /// The live session, kept alive.
    pub fn read(&self, id: Option<SessionId<'_>>) -> Result<Option<Found<'call>>> {
        let Some(id) = id else { return Ok(None) };
        self.read_key(&id.key(), Look::AsOfStatement)
    }

    /// The live session, kept alive or with new terms.
    pub fn keep(&self, id: Option<SessionId<'_>>, terms: NewTerms) -> Result<Option<Session>> {
        let Some(id) = id else { return Ok(None) };
        self.keep_key(&id.key(), Look::AsOfStatement, terms)
    }

    fn keep_key(&self, key: &SessionKey, look: Look, terms: NewTerms) -> Result<Option<Session>> {
        if terms == NewTerms::default() {
            return Ok(self.read_key(key, look)?.map(|found| found.session));
        }
        self.for_writing()?
            .change_from(look, key, |session| Ok(Some(Change::of_terms(session, terms))))
    }

    fn read_key(&self, key: &SessionKey, look: Look) -> Result<Option<Found<'call>>> {
        let mut found = self.find(key, look)?;
        if let Some(found) = &mut found {
            self.table.slide(found, self.now.get(), self.limits);
        }
        Ok(found)
    }

    /// How many sessions are live.
    pub fn count(&self) -> i64 {
        self.table.count(self.now.get(), self.limits)
    }

    /// Ends all live sessions; how many.
    pub fn clear(&self) -> i64 {
        self.table.clear(self.now.get(), self.limits) as i64
    }

    /// Removes up to `max_rows` expired sessions; how many. What reaches no session any more goes with
    /// them, uncounted.
    pub fn collect(&self, max_rows: Option<i64>) -> i64 {
        let now = self.now.get();
        let collected = self.table.collect(now, max_rows);
        // Whatever stands around that table is not to keep the sessions.
        let _ = pg::in_subtransaction(|| {
            let moved = MovedIds::beside(&self.table, LockMode::Write).ok().flatten();
            moved.map(|moved| moved.collect(Timestamp::NEG_INFINITY, now, max_rows));
        });
        collected as i64
    }
}

/// The keys and values of a session.
pub fn map_of(session: &Session) -> Result<Map<'_>> {
    match Content::parse(&session.data)? {
        Content::Map(map) => Ok(map),
        Content::Opaque(_) => Err(Error::Opaque),
    }
}

/// A fresh session id.
pub fn new_id() -> Result<NewId> {
    Ok(NewId::from_entropy(&entropy()?))
}

fn entropy() -> Result<[u8; 32]> {
    pg::random_bytes().ok_or(Error::NoEntropy)
}

fn refuse_if_read_only() -> Result<()> {
    if pg::is_read_only() { Err(Error::ReadOnly) } else { Ok(()) }
}

/// Shrinking is always allowed, so that a session above a lowered limit can be trimmed.
fn refuse_if_too_large(size: usize, before: usize) -> Result<()> {
    let limit = settings::max_size();
    if size > limit && size >= before { Err(Error::TooLarge { size, limit }) } else { Ok(()) }
}
