//! Giving sessions another id, and ending them.

use super::{NewTerms, Store, new_id};
use crate::codec::Map;
use crate::error::{Error, Result};
use crate::id::{NewId, SessionId, SessionKey};
use crate::pg;
use crate::settings;
use crate::table::{Changes, Look};

impl Store<'_> {
    /// Moves the session to a fresh id.
    pub fn regenerate(&self, old: SessionId<'_>) -> Result<NewId> {
        let id = new_id()?;
        self.rename(&old.key(), id.key())?;
        Ok(id)
    }

    /// Moves the session to an id that the caller chose.
    pub fn regenerate_as(&self, old: SessionId<'_>, new: SessionId<'_>) -> Result<()> {
        let (old, new) = (old.key(), new.key());
        if old == new {
            return Err(Error::SameId);
        }
        self.free(&new)?;
        self.rename(&old, new)
    }

    /// Moves the session from `old` to `new`, or begins an empty one there.
    fn rename(&self, old: &SessionKey, new: SessionKey) -> Result<()> {
        for is_locked in [false, true] {
            let found = match is_locked {
                true => self.find_locked(old)?,
                false => self.find(old, Look::AsOfStatement)?,
            };
            let Some(found) = found else { return self.begin_instead(new) };
            let began = pg::clock();
            let expiry = Some(found.slid_expiry(self.now.get(), self.limits));
            let changes = Changes { key: Some(new), expiry, ..Changes::default() };
            if !self.table.rename(&found, &changes.from(&found))?.is_done() {
                continue;
            }
            if self.end_if_outlived(new, &found, began)? {
                return self.begin_instead(new);
            }
            return Ok(());
        }
        Err(self.table.why_stale())
    }

    /// What renaming a missing session comes to.
    fn begin_instead(&self, new: SessionKey) -> Result<()> {
        if settings::strict() {
            return Err(Error::NoSession);
        }
        self.create(new, Map::empty().stored(), NewTerms::default()).map(drop)
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
    pub fn destroy(&self, id: SessionId<'_>) -> Result<bool> {
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
