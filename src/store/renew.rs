//! Giving sessions another id, and ending them.

use super::{NewTerms, Store, new_id};
use crate::codec::Map;
use crate::error::{Error, Result};
use crate::id::{NewId, SessionId, SessionKey};
use crate::pg;
use crate::settings;
use crate::table::{Changes, Look};

impl Store<'_> {
    /// Moves the session to a fresh id; `None` if there is none and one `must_exist`.
    pub fn regenerate(
        &self,
        old: Option<SessionId<'_>>,
        must_exist: bool,
    ) -> Result<Option<NewId>> {
        let id = new_id()?;
        Ok(self.rename(old, id.key(), must_exist)?.then_some(id))
    }

    /// Moves the session to an id that the caller chose; false if there is none and one `must_exist`.
    pub fn regenerate_as(
        &self,
        old: Option<SessionId<'_>>,
        new: SessionId<'_>,
        must_exist: bool,
    ) -> Result<bool> {
        let key = new.key();
        if old.is_some_and(|old| old.key() == key) {
            return Err(Error::SameId);
        }
        self.free(&key)?;
        self.rename(old, key, must_exist)
    }

    /// Moves the session to the key `new`, or begins an empty one there unless one `must_exist`: whether
    /// there is one now.
    fn rename(
        &self,
        old: Option<SessionId<'_>>,
        new: SessionKey,
        must_exist: bool,
    ) -> Result<bool> {
        if let Some(old) = old
            && self.rename_key(&old.key(), new)?
        {
            return Ok(true);
        }
        if must_exist {
            return Ok(false);
        }
        if settings::strict() {
            return Err(Error::NoSession);
        }
        self.create(new, Map::empty().stored(), NewTerms::default())?;
        Ok(true)
    }

    /// Moves the session from one key to another; whether there was one.
    fn rename_key(&self, old: &SessionKey, new: SessionKey) -> Result<bool> {
        for is_locked in [false, true] {
            let found = match is_locked {
                true => self.find_locked(old)?,
                false => self.find(old, Look::AsOfStatement)?,
            };
            let Some(found) = found else { return Ok(false) };
            let began = pg::clock();
            let expiry = Some(found.slid_expiry(self.now.get(), self.limits));
            let changes = Changes { key: Some(new), expiry, ..Changes::default() };
            if self.table.rename(&found, &changes.from(&found))?.is_done() {
                return Ok(!self.end_if_outlived(new, &found, began)?);
            }
        }
        Err(self.table.why_stale())
    }

    /// Makes way for a session under `key`.
    fn free(&self, key: &SessionKey) -> Result<()> {
        match self.table.find(key, Look::AsOfStatement)? {
            Some(found) if found.is_live(self.now.get(), self.limits) => Err(Error::SessionExists),
            Some(expired) => {
                // If it is not as it was any more, the key turns out to be taken or free.
                match self.table.rows().delete(&expired) {
                    pg::RowWrite::Stale if pg::keeps_snapshot() => Err(Error::Contention),
                    _ => Ok(()),
                }
            }
            None => Ok(()),
        }
    }

    /// Ends the session; whether there was a live one.
    pub fn destroy(&self, id: Option<SessionId<'_>>) -> Result<bool> {
        let Some(id) = id else { return Ok(false) };
        let (key, began) = (id.key(), pg::clock());
        for is_locked in [false, true] {
            let found = match is_locked {
                true => self.table.find_locked(&key)?,
                false => self.table.find(&key, Look::AsOfStatement)?,
            };
            let Some(found) = found else { return Ok(false) };
            if self.table.rows().delete(&found).is_done() {
                let is_live = |now| found.is_live(now, self.limits);
                // If it ended while this call waited for its row, it was over before.
                let outlived = is_live(began) && !is_live(pg::clock());
                return Ok(is_live(self.now.get()) && !outlived);
            }
        }
        Err(self.table.why_stale())
    }
}
