//! Giving sessions another id, and ending them.

use super::change::Alteration;
use super::{ATTEMPTS, NewTerms, Store};
use crate::codec::Map;
use crate::error::{Error, Result};
use crate::id::{SessionId, SessionKey};
use crate::lifetime::Grace;
use crate::pg;
use crate::settings;
use crate::table::{Changes, Look};
use std::cell::Cell;

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
        // What another request has renewed is not moved again, to whatever id.
        let is_moved = !is_fresh
            && grace != Grace::NONE
            && self.peek(old)?.is_some_and(|found| found.is_in_grace());
        let new = match is_moved {
            true => new.key(),
            false => self.free_for(old, new, is_fresh, Look::AsOfStatement)?,
        };
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
                self.add(new, is_fresh, || self.begin(new, data, terms))?;
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
        let stays = Cell::new(false);
        let look = self.look_before_moving(old)?;
        let moved = self.alter(look, old, |found| {
            stays.set(found.is_in_grace() && grace != Grace::NONE);
            // Another request has moved it just there.
            if found.key == new && !stays.get() {
                return Err(Error::SessionExists);
            }
            let expiry = Some(found.slid_expiry(self.now.get(), self.limits));
            let key = (!stays.get()).then_some(new);
            let changes = Changes { key, expiry, ..Changes::default() };
            Ok(Some(Alteration { changes: changes.from(found), locks: false }))
        })?;
        match moved {
            Some(_) if stays.get() => Ok(Renewed::InGrace),
            Some(session) => {
                if !is_fresh {
                    self.forget_ways_to(&new)?;
                }
                if grace != Grace::NONE {
                    self.leave_behind(*old, &session, grace)?;
                }
                Ok(Renewed::Moved)
            }
            None => Ok(Renewed::Absent),
        }
    }

    /// Where who ends the sessions of a principal would miss the one that is moved, they and this wait for
    /// each other.
    fn look_before_moving(&self, old: &SessionKey) -> Result<Look> {
        if self.table.moves_by_adding()
            && let Some(found) = self.find(old, Look::AsOfStatement)?
            && let Some(principal) = &found.principal
        {
            self.serialize(principal)?;
            return Ok(Look::Fresh);
        }
        Ok(Look::AsOfStatement)
    }

    /// The key under which the session that has the id `old` is to go on; if that is not fresh, way is
    /// made for it.
    pub(super) fn free_for(
        &self,
        old: Option<SessionId<'_>>,
        new: SessionId<'_>,
        is_fresh: bool,
        look: Look,
    ) -> Result<SessionKey> {
        let key = new.key();
        if !is_fresh {
            if old.is_some_and(|old| old.key() == key) {
                return Err(Error::SameId);
            }
            self.free(&key, look)?;
        }
        Ok(key)
    }

    /// Makes way for a session under `key`.
    fn free(&self, key: &SessionKey, first: Look) -> Result<()> {
        let mut look = first;
        for _ in 0..ATTEMPTS {
            let expired = match self.reach(key, look)? {
                Some(found) if self.is_live(&found, self.now.get()) => {
                    return Err(Error::SessionExists);
                }
                Some(found) if found.key == *key => found,
                Some(_) | None => return Ok(()),
            };
            match self.table.rows().delete(&expired) {
                pg::RowWrite::Done => return Ok(()),
                pg::RowWrite::Stale if pg::keeps_snapshot() => return Err(Error::Contention),
                // Whoever was waited for may have left it expired.
                pg::RowWrite::Stale => {
                    look = Look::Fresh;
                    self.now.set(pg::clock());
                }
            }
        }
        Err(self.table.why_stale())
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
