//! Changing what is there.

use super::{NewTerms, Store, map_of, refuse_if_too_large};
use crate::codec::Map;
use crate::error::{Error, Result};
use crate::id::{SessionId, SessionKey};
use crate::lifetime::Terms;
use crate::pg::{self, Timestamp};
use crate::table::{Changes, Found, Look, Session};

/// What a write makes of a live session.
#[derive(Debug)]
pub struct Change {
    /// The new content, or `None` to leave it.
    pub data: Option<Vec<u8>>,
    /// The new terms.
    pub terms: Terms,
    /// Whether the row is to be locked even where nobody could notice that it is not.
    pub locks: bool,
}

impl Change {
    /// New terms alone.
    pub(super) fn of_terms(session: &Session, terms: NewTerms) -> Self {
        Self { data: None, terms: terms.over(session.terms()), locks: false }
    }
}

/// What a write makes of the row of a live session.
pub(super) struct Alteration {
    /// The columns that change.
    pub changes: Changes,
    /// As [`Change::locks`].
    pub locks: bool,
}

/// The version of a save that is to create the session.
const NEW: i64 = 0;

impl Store<'_> {
    /// Changes a live session as `decide` says after seeing it; `None` if there is none, or if
    /// `decide` declines, which keeps the session alive all the same. `decide` is asked again when
    /// another client was faster.
    pub fn change(
        &self,
        id: Option<SessionId<'_>>,
        decide: impl Fn(&Session) -> Result<Option<Change>>,
    ) -> Result<Option<Session>> {
        let Some(id) = id else { return Ok(None) };
        self.change_from(Look::AsOfStatement, &id.key(), decide)
    }

    pub(super) fn change_from(
        &self,
        first: Look,
        key: &SessionKey,
        decide: impl Fn(&Session) -> Result<Option<Change>>,
    ) -> Result<Option<Session>> {
        self.alter(first, key, |found| {
            let Some(change) = decide(found)? else { return Ok(None) };
            let locks = change.locks;
            Ok(Some(Alteration { changes: self.changes(found, change)?, locks }))
        })
    }

    /// Alters a live session as `decide` says after seeing it; else as [`Store::change`].
    pub(super) fn alter(
        &self,
        first: Look,
        key: &SessionKey,
        decide: impl Fn(&Found<'_>) -> Result<Option<Alteration>>,
    ) -> Result<Option<Session>> {
        for is_locked in [false, true] {
            let found = if is_locked { self.find_locked(key)? } else { self.find(key, first)? };
            let Some(mut found) = found else { return Ok(None) };
            // The row is waited for first, for meanwhile the grace may end.
            if found.is_in_grace() && !is_locked {
                continue;
            }
            let Some(Alteration { changes, locks }) = decide(&found)? else {
                self.table.slide(&mut found, self.now.get(), self.limits);
                return Ok(None);
            };
            let began = pg::clock();
            let written = match (changes.is_empty(), changes.key) {
                (true, _) if is_locked => pg::RowWrite::Done,
                (true, _) => self.table.hold(&found, locks),
                (false, None) => self.table.rows().update(&found, &changes),
                (false, Some(_)) => self.table.rename(&found, &changes)?,
            };
            if written.is_done() {
                let key = changes.key.unwrap_or(found.key);
                let outlived = self.end_if_outlived(key, &found, began)?;
                let mut changed = found.session;
                changes.apply_to(&mut changed);
                return Ok((!outlived).then_some(changed));
            }
        }
        Err(self.table.why_stale())
    }

    /// A write that `began` while the session was live may have waited for a lock until it was not.
    /// Then the session ends again with what was written, and leaves `key`, if it was moved there: true.
    pub(super) fn end_if_outlived(
        &self,
        key: SessionKey,
        before: &Session,
        began: Timestamp,
    ) -> Result<bool> {
        let outlived =
            before.is_live(began, self.limits) && !before.is_live(pg::clock(), self.limits);
        if outlived {
            self.now.set(pg::clock());
            if let Some(written) = self.table.find(&key, Look::Fresh)? {
                let ended = Changes { expiry: Some(before.expiry), ..Changes::default() };
                let ended = ended.from(&written);
                if key != before.key {
                    let _ = self.table.rows().delete(&written);
                } else if !ended.is_empty() {
                    let _ = self.table.rows().update(&written, &ended);
                }
            }
        }
        Ok(outlived)
    }

    /// What a change comes to for the row.
    fn changes(&self, found: &Found<'_>, change: Change) -> Result<Changes> {
        let Change { data, terms, .. } = change;
        let expiry = if terms == found.terms() {
            found.slid_expiry(self.now.get(), self.limits)
        } else {
            terms.expiry(self.now.get(), found.began(), self.limits)
        };
        let mut changes = Changes {
            expiry: Some(expiry),
            lifetime: Some(terms.lifetime),
            deadline: Some(terms.deadline),
            ..Changes::default()
        };
        if let Some(data) = data.filter(|data| *data != found.data) {
            refuse_if_too_large(data.len(), found.data.len())?;
            changes.data = Some(data);
            changes.version = Some(found.version + 1);
        }
        Ok(changes.from(found))
    }

    /// Changes keys of a live session: `edit` gets its map and returns the new content, `None` to leave
    /// it. The version, `None` if there is no session.
    pub fn edit(
        &self,
        id: Option<SessionId<'_>>,
        edit: impl Fn(Map<'_>) -> Result<Option<Vec<u8>>>,
    ) -> Result<Option<i64>> {
        self.edit_with(id, NewTerms::default(), false, edit)
    }

    /// The same with new terms; with `locks` the session is locked also where nothing changes.
    pub fn edit_with(
        &self,
        id: Option<SessionId<'_>>,
        terms: NewTerms,
        locks: bool,
        edit: impl Fn(Map<'_>) -> Result<Option<Vec<u8>>>,
    ) -> Result<Option<i64>> {
        let changed = self.change(id, |session| {
            let data = edit(map_of(session)?)?;
            Ok(Some(Change { data, terms: terms.over(session.terms()), locks }))
        })?;
        Ok(changed.map(|session| session.version))
    }

    /// Saves the whole content, at `version` if one is given; `None` if that session is no more, or if
    /// there is one although the version says that it is to be new.
    pub fn release(
        &self,
        id: Option<SessionId<'_>>,
        data: &[u8],
        version: Option<i64>,
        terms: NewTerms,
    ) -> Result<Option<i64>> {
        if version == Some(NEW) {
            let key = id.ok_or(Error::InvalidSid)?.key();
            let begun = self.insert_unseen(key, || self.begin(key, data, terms))?;
            if begun.is_none() {
                self.read_key(&key, Look::Fresh)?;
            }
            return Ok(begun.map(|session| session.version));
        }
        let saved = self.change(id, |session| {
            if version.is_some_and(|version| version != session.version) {
                return Ok(None);
            }
            let data = Some(pg::copy(data));
            Ok(Some(Change { data, ..Change::of_terms(session, terms) }))
        })?;
        Ok(saved.map(|session| session.version))
    }

    /// Keeps the session alive, or gives it new terms; the expiry, `None` if there is no session.
    pub fn touch(&self, id: Option<SessionId<'_>>, terms: NewTerms) -> Result<Option<Timestamp>> {
        if terms == NewTerms::default() {
            return Ok(self.read(id)?.map(|found| found.promised));
        }
        let touched = self.change(id, |session| Ok(Some(Change::of_terms(session, terms))))?;
        Ok(touched.map(|session| session.expiry))
    }
}
