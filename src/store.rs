//! What can be done with sessions: the rules, on top of the table and below the SQL functions.
//!
//! Each call looks first. What is not live is absent, whether or not it was collected. A write goes
//! out only if it changes something, and only if the row is still as it was read; otherwise the row
//! is locked and the decision made again on what is there then. So no write is lost, nothing is
//! resurrected, and a call that meets no other costs one statement.

use crate::codec::{Content, Map};
use crate::error::{Error, Result};
use crate::id::{NewId, SessionId, SessionKey};
use crate::lifetime::{Limits, Terms, Timestamp, absolute_end};
use crate::pg::{self, Caller, LockMode};
use crate::settings;
use crate::table::{Look, Session, Table, is_live};
use crate::worker;
use std::cell::Cell;
use std::rc::Rc;

/// New terms for a session; what is `None` stays as it is, or as the settings say for a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewTerms {
    /// Idle lifetime.
    pub lifetime: Option<crate::lifetime::Lifetime>,
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

/// What a write makes of a live session.
pub struct Change {
    /// The new content, or `None` to leave it.
    pub data: Option<Vec<u8>>,
    /// The new terms.
    pub terms: Terms,
}

/// A session that `session_start` found or made.
pub struct Started {
    /// The id, if it is a new one.
    pub new_id: Option<NewId>,
    /// The session's content.
    pub data: Vec<u8>,
    /// Its version.
    pub version: i64,
}

/// How often to create a session that another client keeps creating and destroying meanwhile.
const ATTEMPTS: usize = 10;

/// The sessions of the current database.
pub struct Store {
    table: Rc<Table>,
    limits: Limits,
    /// The start of the client's statement, not of its transaction: a connection idle in one must
    /// not revive what expired meanwhile. After a wait for a lock, the time then.
    now: Cell<Timestamp>,
    _call: pg::Call,
}

impl Store {
    /// Opens the store to which the called function belongs.
    pub fn open(caller: Caller) -> Result<Self> {
        Self::open_with(caller, LockMode::Read)
    }

    /// Opens the store for a call that writes.
    pub fn open_for_writing(caller: Caller) -> Result<Self> {
        refuse_if_read_only()?;
        let store = Self::open_with(caller, LockMode::Write)?;
        worker::ensure_served(&store.table);
        Ok(store)
    }

    fn open_with(caller: Caller, mode: LockMode) -> Result<Self> {
        let call = pg::Call::begin();
        let (table, waited) = Table::open(caller, mode)?;
        let now = if waited { pg::clock() } else { pg::statement_start() };
        Ok(Self { table, limits: settings::limits(), now: Cell::new(now), _call: call })
    }

    fn find(&self, key: &SessionKey, look: Look) -> Option<Session> {
        let mut session = self.table.find(key, look)?;
        let end = absolute_end(session.created_at, self.limits.absolute_lifetime);
        session.expiry = session.expiry.min(end);
        if look == Look::Locked {
            // The lock may have been waited for, and meanwhile the session may have ended.
            self.now.set(pg::clock());
        }
        session.is_live(self.now.get(), self.limits).then_some(session)
    }

    /// The live session, without touching it.
    pub fn peek(&self, id: SessionId<'_>) -> Option<Session> {
        self.find(&id.key(), Look::AsOfStatement)
    }

    /// The live session, kept alive.
    pub fn read(&self, id: SessionId<'_>) -> Option<Session> {
        self.read_key(&id.key(), Look::AsOfStatement)
    }

    fn read_key(&self, key: &SessionKey, look: Look) -> Option<Session> {
        let mut session = self.find(key, look)?;
        self.table.slide(key, &mut session, self.now.get(), self.limits);
        Some(session)
    }

    /// The live session, kept alive, or a new empty one under this id.
    pub fn read_or_create(&self, id: SessionId<'_>) -> Result<Session> {
        let key = id.key();
        if let Some(session) = self.read_key(&key, Look::AsOfStatement) {
            return Ok(session);
        }
        for _ in 0..ATTEMPTS {
            self.insert(&key, Map::empty().stored(), NewTerms::default())?;
            // Either it is there now, or another client was faster.
            if let Some(session) = self.read_key(&key, Look::Fresh) {
                return Ok(session);
            }
        }
        Err(Error::Contention)
    }

    /// The presented session if it is live, else a new one under a fresh id.
    pub fn start(&self, presented: Option<SessionId<'_>>, terms: NewTerms) -> Result<Started> {
        if let Some(Session { data, version, .. }) = presented.and_then(|id| self.read(id)) {
            return Ok(Started { new_id: None, data, version });
        }
        let data = Map::empty().stored().to_vec();
        let (id, version) = self.create_fresh(&data, terms)?;
        Ok(Started { new_id: Some(id), data, version })
    }

    /// A new session under a fresh id; the id and its version.
    pub fn create_fresh(&self, data: &[u8], terms: NewTerms) -> Result<(NewId, i64)> {
        let new = self.begin(data, terms)?;
        let id = new_id()?;
        let is_new = self.table.insert(&id.key(), &new, true);
        if is_new { Ok((id, new.version)) } else { Err(Error::Contention) }
    }

    /// A new session, which must not exist yet; its version.
    pub fn create(&self, key: &SessionKey, data: &[u8], terms: NewTerms) -> Result<i64> {
        self.insert(key, data, terms)?.ok_or(Error::SessionExists)
    }

    /// A session that is yet to be added.
    fn begin(&self, data: &[u8], terms: NewTerms) -> Result<Session> {
        refuse_if_read_only()?;
        worker::ensure_served(&self.table);
        self.table.lock_for_writing();
        refuse_if_too_large(data.len(), 0)?;
        Ok(Session::begin(data.to_vec(), terms.for_new(), pg::clock(), self.limits))
    }

    /// Adds a session; its version, or `None` if a live one has the key.
    fn insert(&self, key: &SessionKey, data: &[u8], terms: NewTerms) -> Result<Option<i64>> {
        let mut new = self.begin(data, terms)?;
        for _ in 0..ATTEMPTS {
            if self.table.insert(key, &new, false) {
                return Ok(Some(new.version));
            }
            // Somebody has the key: a live session, or an expired one that awaits collection.
            let Some(other) = self.table.find(key, Look::Fresh) else { continue };
            if other.is_live(self.now.get(), self.limits) {
                return Ok(None);
            }
            new.version = new.version.max(other.version + 1);
            if self.table.replace(key, &other, &new) {
                return Ok(Some(new.version));
            }
        }
        Err(Error::Contention)
    }

    /// Changes a live session as `decide` says after seeing it; `None` if there is none, or if
    /// `decide` declines, which keeps the session alive all the same. `decide` is asked again when another client was faster.
    pub fn change(
        &self,
        id: SessionId<'_>,
        decide: impl Fn(&Session) -> Result<Option<Change>>,
    ) -> Result<Option<Session>> {
        self.change_from(Look::AsOfStatement, &id.key(), decide)
    }

    fn change_from(
        &self,
        first: Look,
        key: &SessionKey,
        decide: impl Fn(&Session) -> Result<Option<Change>>,
    ) -> Result<Option<Session>> {
        for look in [first, Look::Locked] {
            let Some(mut session) = self.find(key, look) else { return Ok(None) };
            let Some(change) = decide(&session)? else {
                self.table.slide(key, &mut session, self.now.get(), self.limits);
                return Ok(None);
            };
            let changed = self.apply(&session, change)?;
            let began = pg::clock();
            if changed == session || self.table.save(key, &session, &changed) {
                let outlived = self.end_if_outlived(key, &session, &changed, began);
                return Ok((!outlived).then_some(changed));
            }
        }
        Err(Error::Contention)
    }

    /// A write that `began` while the session was live may have waited for a lock until it was not.
    /// Then the session ends again with what was written: true.
    fn end_if_outlived(
        &self,
        key: &SessionKey,
        before: &Session,
        written: &Session,
        began: Timestamp,
    ) -> bool {
        let outlived =
            before.is_live(began, self.limits) && !before.is_live(pg::clock(), self.limits);
        if outlived {
            self.now.set(pg::clock());
            let ended = Session { expiry: before.stored_expiry, ..written.clone() };
            self.table.save(key, &written.as_written(), &ended);
        }
        outlived
    }

    fn apply(&self, session: &Session, change: Change) -> Result<Session> {
        let mut changed = session.clone();
        changed.terms = change.terms;
        changed.expiry = if change.terms == session.terms {
            session.slid_expiry(self.now.get(), self.limits)
        } else {
            change.terms.expiry(self.now.get(), session.created_at, self.limits)
        };
        if let Some(data) = change.data.filter(|data| *data != session.data) {
            refuse_if_too_large(data.len(), session.data.len())?;
            changed.data = data;
            changed.version = session.version + 1;
        }
        Ok(changed)
    }

    /// Changes keys of a live session: `edit` gets its map and returns the new content. The version.
    pub fn edit(
        &self,
        id: SessionId<'_>,
        edit: impl Fn(Map<'_>) -> Result<Option<Vec<u8>>>,
    ) -> Result<i64> {
        let changed = self.change(id, |session| {
            let data = edit(map_of(session)?)?;
            Ok(Some(Change { data, terms: session.terms }))
        })?;
        changed.map(|session| session.version).ok_or(Error::NoSession)
    }

    /// Saves the whole content, at `version` if one is given; `None` if that session is no more.
    pub fn release(
        &self,
        id: SessionId<'_>,
        data: &[u8],
        version: Option<i64>,
        terms: NewTerms,
    ) -> Result<Option<i64>> {
        let saved = self.change(id, |session| {
            if version.is_some_and(|version| version != session.version) {
                return Ok(None);
            }
            Ok(Some(Change { data: Some(data.to_vec()), terms: terms.over(session.terms) }))
        })?;
        Ok(saved.map(|session| session.version))
    }

    /// Creates the session or replaces its content and terms; the version.
    pub fn put(&self, id: SessionId<'_>, data: &[u8], terms: NewTerms) -> Result<i64> {
        let key = id.key();
        let mut look = Look::AsOfStatement;
        for _ in 0..ATTEMPTS {
            let replaced = self.change_from(look, &key, |_| {
                Ok(Some(Change { data: Some(data.to_vec()), terms: terms.for_new() }))
            })?;
            if let Some(session) = replaced {
                return Ok(session.version);
            }
            if let Some(version) = self.insert(&key, data, terms)? {
                return Ok(version);
            }
            // Another client has created it since.
            look = Look::Fresh;
        }
        Err(Error::Contention)
    }

    /// Keeps the session alive, or gives it new terms; the expiry, `None` if there is no session.
    pub fn touch(&self, id: SessionId<'_>, terms: NewTerms) -> Result<Option<Timestamp>> {
        if terms == NewTerms::default() {
            return Ok(self.read(id).map(|session| session.expiry));
        }
        let touched = self.change(id, |session| {
            Ok(Some(Change { data: None, terms: terms.over(session.terms) }))
        })?;
        Ok(touched.map(|session| session.expiry))
    }

    /// Moves the session to a fresh id.
    pub fn regenerate(&self, old: SessionId<'_>) -> Result<NewId> {
        let id = new_id()?;
        self.rename(&old.key(), &id.key())?;
        Ok(id)
    }

    /// Moves the session to an id that the caller chose.
    pub fn regenerate_as(&self, old: SessionId<'_>, new: SessionId<'_>) -> Result<()> {
        let (old, new) = (old.key(), new.key());
        if old == new {
            return Err(Error::SameId);
        }
        self.free(&new)?;
        self.rename(&old, &new)
    }

    /// Moves the session from `old` to `new`, or begins an empty one there.
    fn rename(&self, old: &SessionKey, new: &SessionKey) -> Result<()> {
        for look in [Look::AsOfStatement, Look::Locked] {
            let Some(session) = self.find(old, look) else { return self.begin_instead(new) };
            let began = pg::clock();
            let mut renamed = session.clone();
            renamed.expiry = session.slid_expiry(self.now.get(), self.limits);
            if !self.table.rename(old, &session, new, renamed.expiry)? {
                continue;
            }
            if self.end_if_outlived(new, &session, &renamed, began) {
                return self.begin_instead(new);
            }
            return Ok(());
        }
        Err(Error::Contention)
    }

    /// What renaming a missing session comes to.
    fn begin_instead(&self, new: &SessionKey) -> Result<()> {
        if settings::strict() {
            return Err(Error::NoSession);
        }
        self.create(new, Map::empty().stored(), NewTerms::default()).map(drop)
    }

    /// Makes way for a session under `key`.
    fn free(&self, key: &SessionKey) -> Result<()> {
        match self.table.find(key, Look::AsOfStatement) {
            Some(session) if session.is_live(self.now.get(), self.limits) => {
                Err(Error::SessionExists)
            }
            Some(_) => {
                self.table.delete_expired(key, self.now.get(), self.limits);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ends the session; whether there was a live one.
    pub fn destroy(&self, id: SessionId<'_>) -> bool {
        let began = pg::clock();
        let deleted = self.table.delete(&id.key());
        deleted.is_some_and(|(expiry, created_at)| {
            let is_live = |now| is_live(expiry, created_at, now, self.limits);
            // If it ended while this call waited for its row, it was over before.
            let outlived = is_live(began) && !is_live(pg::clock());
            is_live(self.now.get()) && !outlived
        })
    }

    /// How many sessions are live.
    pub fn count(&self) -> i64 {
        self.table.count(self.now.get(), self.limits)
    }

    /// Removes up to `max_rows` expired sessions; how many.
    pub fn collect(&self, max_rows: Option<i64>) -> i64 {
        self.table.collect(self.now.get(), max_rows) as i64
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
    pg::random_bytes().as_ref().map(NewId::from_entropy).ok_or(Error::NoEntropy)
}

fn refuse_if_read_only() -> Result<()> {
    if pg::is_read_only() { Err(Error::ReadOnly) } else { Ok(()) }
}

/// Shrinking is always allowed, so that a session above a lowered limit can be trimmed.
fn refuse_if_too_large(size: usize, before: usize) -> Result<()> {
    let limit = settings::max_size();
    if size > limit && size >= before { Err(Error::TooLarge { size, limit }) } else { Ok(()) }
}
