//! Giving sessions another id, and ending them.

use super::{NewTerms, Store};
use crate::codec::Map;
use crate::error::{Error, Result};
use crate::id::{SessionId, SessionKey};
use crate::lifetime::Grace;
use crate::pg;
use crate::settings;
use crate::table::{Changes, Look};

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// There is a session under the new id.
    Moved,
    /// Another request has renewed it just before: the old id keeps reaching it.
    InGrace,
    /// There is no session, and one must exist.
    Absent,
}

impl Store<'_> {
    /// Moves the session to a new id, which if it is not `fresh` may turn out to be that of a live one.
    /// Where there is none an empty one begins there, unless one `must_exist`.
    pub fn regenerate(
        &self,
        old: Option<SessionId<'_>>,
        new: SessionId<'_>,
        is_fresh: bool,
        grace: Grace,
        must_exist: bool,
    ) -> Result<Renewed> {
        let new = new.key();
        if !is_fresh {
            if old.is_some_and(|old| old.key() == new) {
                return Err(Error::SameId);
            }
            // What another request has renewed is not moved again, to whatever id.
            let is_moved =
                grace != Grace::NONE && self.peek(old)?.is_some_and(|found| found.is_in_grace());
            if !is_moved {
                self.free(&new)?;
            }
        }
        let moved = match old {
            Some(old) => self.move_to(new, is_fresh, &old.key(), grace)?,
            None => Renewed::Absent,
        };
        match moved {
            Renewed::Moved if !is_fresh && self.was_just_moved(&new)? => Err(Error::SessionExists),
            Renewed::Absent if !must_exist => {
                if settings::strict() {
                    return Err(Error::NoSession);
                }
                let (data, terms) = (Map::empty().stored(), NewTerms::default());
                match is_fresh {
                    true => self.add_fresh(new, data, terms)?,
                    false => self.create(new, data, terms)?,
                };
                Ok(Renewed::Moved)
            }
            moved => Ok(moved),
        }
    }

    /// Moves the session to the key `new`.
    fn move_to(
        &self,
        new: SessionKey,
        is_fresh: bool,
        old: &SessionKey,
        grace: Grace,
    ) -> Result<Renewed> {
        for is_locked in [false, true] {
            let found = match is_locked {
                true => self.find_locked(old)?,
                false => self.find(old, Look::AsOfStatement)?,
            };
            let Some(mut found) = found else { return Ok(Renewed::Absent) };
            // The row is waited for first, for meanwhile the grace may end.
            let stays = found.is_in_grace() && grace != Grace::NONE;
            let is_held = is_locked || stays && self.table.is_alone_with(&found);
            if found.is_in_grace() && !is_held {
                continue;
            }
            if stays {
                self.table.slide(&mut found, self.now.get(), self.limits);
                return Ok(Renewed::InGrace);
            }
            // Another request has moved it just there.
            if found.key == new {
                return Err(Error::SessionExists);
            }
            let began = pg::clock();
            let expiry = Some(found.slid_expiry(self.now.get(), self.limits));
            let changes = Changes { key: Some(new), expiry, ..Changes::default() };
            if self.table.rename(&found, &changes.from(&found))?.is_done() {
                if self.end_if_outlived(new, &found, began)? {
                    return Ok(Renewed::Absent);
                }
                if !is_fresh {
                    self.forget_ways_to(&new)?;
                }
                if grace != Grace::NONE {
                    self.leave_behind(&found, new, grace)?;
                }
                return Ok(Renewed::Moved);
            }
        }
        Err(self.table.why_stale())
    }

    /// Makes way for a session under `key`.
    fn free(&self, key: &SessionKey) -> Result<()> {
        match self.reach(key, Look::AsOfStatement)? {
            Some(found) if self.is_live(&found, self.now.get()) => Err(Error::SessionExists),
            Some(expired) if expired.key == *key => {
                // If it is not as it was any more, the key turns out to be taken or free.
                match self.table.rows().delete(&expired) {
                    pg::RowWrite::Stale if pg::keeps_snapshot() => Err(Error::Contention),
                    _ => Ok(()),
                }
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Ends the session; whether there was a live one.
    pub fn destroy(&self, id: Option<SessionId<'_>>) -> Result<bool> {
        let Some(id) = id else { return Ok(false) };
        let (key, began) = (id.key(), pg::clock());
        for is_locked in [false, true] {
            let found = match is_locked {
                true => self.reach_locked(&key)?,
                false => self.reach(&key, Look::AsOfStatement)?,
            };
            let Some(found) = found else { return Ok(false) };
            if found.is_in_grace() && !is_locked {
                continue;
            }
            if !found.is_reached(pg::clock()) {
                return Ok(false);
            }
            if self.table.rows().delete(&found).is_done() {
                let is_live = |now| self.is_live(&found, now);
                // If it ended while this call waited for its row, it was over before.
                let outlived = is_live(began) && !is_live(pg::clock());
                return Ok(is_live(self.now.get()) && !outlived);
            }
        }
        Err(self.table.why_stale())
    }
}
