//! Beginning sessions.

use super::{ATTEMPTS, Change, NewTerms, Store, new_id, refuse_if_too_large};
use crate::codec::Map;
use crate::error::{Error, Result};
use crate::id::{NewId, SessionId, SessionKey};
use crate::pg;
use crate::table::{Changes, Look, Session};

/// A session that `session_start` found or made.
pub struct Started {
    /// The id, if it is a new one.
    pub new_id: Option<NewId>,
    /// The session's content.
    pub data: Vec<u8>,
    /// Its version.
    pub version: i64,
}

impl Store<'_> {
    /// The live session, kept alive or with new terms, or a new one under this id with this content.
    pub fn read_or_create(
        &self,
        id: SessionId<'_>,
        data: &[u8],
        terms: NewTerms,
    ) -> Result<Session> {
        let key = id.key();
        if let Some(session) = self.keep_key(&key, Look::AsOfStatement, terms)? {
            return Ok(session);
        }
        let store = self.for_writing()?;
        for _ in 0..ATTEMPTS {
            if let Some(begun) = store.insert(key, data, terms)? {
                return Ok(begun);
            }
            // Another client was faster.
            if let Some(session) = store.keep_key(&key, Look::Fresh, terms)? {
                return Ok(session);
            }
        }
        Err(Error::Contention)
    }

    /// The presented session if it is live, else a new one under a fresh id.
    pub fn start(&self, presented: Option<SessionId<'_>>, terms: NewTerms) -> Result<Started> {
        if let Some(found) = self.read(presented)? {
            let Session { data, version, .. } = found.session;
            return Ok(Started { new_id: None, data, version });
        }
        let data = Map::empty().stored();
        let (id, version) = self.for_writing()?.create_fresh(data, terms)?;
        Ok(Started { new_id: Some(id), data: data.to_vec(), version })
    }

    /// Creates the session or replaces its content and terms; the version.
    pub fn put(&self, id: SessionId<'_>, data: &[u8], terms: NewTerms) -> Result<i64> {
        let key = id.key();
        let mut look = Look::AsOfStatement;
        for _ in 0..ATTEMPTS {
            let replaced = self.change_from(look, &key, |_| {
                Ok(Some(Change {
                    data: Some(pg::copy(data)),
                    terms: terms.for_new(),
                    locks: false,
                }))
            })?;
            if let Some(session) = replaced {
                return Ok(session.version);
            }
            if let Some(begun) = self.insert(key, data, terms)? {
                return Ok(begun.version);
            }
            // Another client has created it since.
            look = Look::Fresh;
        }
        Err(Error::Contention)
    }

    /// A new session under a fresh id; the id and its version.
    pub fn create_fresh(&self, data: &[u8], terms: NewTerms) -> Result<(NewId, i64)> {
        let id = new_id()?;
        let version = self.add(id.key(), true, || self.begin(id.key(), data, terms))?;
        Ok((id, version))
    }

    /// A new session, which must not exist yet; its version.
    pub fn create(&self, key: SessionKey, data: &[u8], terms: NewTerms) -> Result<i64> {
        self.add(key, false, || self.begin(key, data, terms))
    }

    /// Adds a session of which nobody has looked whether it is there.
    pub(super) fn insert_unseen(
        &self,
        key: SessionKey,
        begin: impl Fn() -> Result<Session>,
    ) -> Result<Option<Session>> {
        // What has the key turns out when it is added, but not what an id in grace reaches.
        match self.is_in_grace(&key, Look::Fresh)? {
            true => Ok(None),
            false => self.insert_with(key, begin),
        }
    }

    /// A session that is yet to be added.
    pub(super) fn begin(&self, key: SessionKey, data: &[u8], terms: NewTerms) -> Result<Session> {
        refuse_if_too_large(data.len(), 0)?;
        Ok(Session::begin(key, pg::copy(data), terms.for_new(), pg::clock(), self.limits))
    }

    /// Removes a session that was added just now.
    fn take_back(&self, key: &SessionKey) -> Result<()> {
        let added = self.table.find(key, Look::Fresh)?;
        match added.is_none_or(|added| self.table.rows().delete(&added).is_done()) {
            true => Ok(()),
            false => Err(self.table.why_stale()),
        }
    }

    /// Adds a session, or `None` if the key reaches a live one. Whoever looks for what was added may find
    /// something else, for an older snapshot still sees what has had the key before.
    pub(super) fn insert(
        &self,
        key: SessionKey,
        data: &[u8],
        terms: NewTerms,
    ) -> Result<Option<Session>> {
        self.insert_with(key, || self.begin(key, data, terms))
    }

    fn insert_with(
        &self,
        key: SessionKey,
        begin: impl Fn() -> Result<Session>,
    ) -> Result<Option<Session>> {
        let mut new = begin()?;
        for _ in 0..ATTEMPTS {
            if self.table.rows().insert(&new, false).is_done() {
                return match self.was_just_moved(&key)? {
                    false => Ok(Some(new)),
                    true => self.take_back(&key).map(|()| None),
                };
            }
            // That may have been waited for.
            self.now.set(pg::clock());
            // Somebody has the key: a live session, or an expired one that awaits collection.
            let Some(other) = self.table.find(&key, Look::Fresh)? else {
                if pg::keeps_snapshot() {
                    return Err(Error::Contention);
                }
                if self.table.may_suppress() {
                    return Err(self.table.why_stale());
                }
                continue;
            };
            if other.is_live(self.now.get(), self.limits) {
                return Ok(None);
            }
            new.version = new.version.max(other.version + 1);
            let changes = Changes::to(new).from(&other);
            if self.table.rows().update(&other, &changes).is_done() {
                let mut begun = other.session;
                changes.apply_to(&mut begun);
                return Ok(Some(begun));
            }
            new = begin()?;
        }
        Err(self.table.why_stale())
    }

    /// Adds a session under a key that is not to be that of a live one; its version.
    pub(super) fn add(
        &self,
        key: SessionKey,
        is_fresh: bool,
        begin: impl Fn() -> Result<Session>,
    ) -> Result<i64> {
        if !is_fresh {
            let begun = self.insert_unseen(key, begin)?;
            return begun.map(|session| session.version).ok_or(Error::SessionExists);
        }
        let new = begin()?;
        match self.table.rows().insert(&new, true) {
            pg::RowWrite::Done => Ok(new.version),
            pg::RowWrite::Stale => Err(self.table.why_stale()),
        }
    }
}
