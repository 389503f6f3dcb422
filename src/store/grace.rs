//! Ids in grace: those that a session had before renewals that left them reaching it for a while.

use super::Store;
use crate::error::{Error, Result};
use crate::id::SessionKey;
use crate::lifetime::Grace;
use crate::pg::{self, LockMode};
use crate::table::{Found, Look, MovedId, MovedIds, Session};

/// More renewals than a client makes of one session within the longest grace. Rows that were tampered with
/// may lead round in a circle.
const MOST_RENEWALS: usize = 1_000;

impl<'call> Store<'call> {
    /// The session that has the key, expired or not, or the one that an id in grace reaches.
    ///
    /// Where there is a session with the key no other is looked for: none can begin under an id in grace.
    pub(super) fn reach(&self, key: &SessionKey, look: Look) -> Result<Option<Found<'call>>> {
        match self.table.find(key, look)? {
            // With the same snapshot: a row that is missed as it is now was not moved before that.
            None => {
                self.follow(key, if self.table.is_as_of_statement() { look } else { Look::Fresh })
            }
            found => Ok(found),
        }
    }

    /// The session that was moved from this key, maybe on from there, if that leads to it still.
    ///
    /// Whoever has renewed it without a grace left nothing to follow; whoever has begun another one under
    /// the key began it at another time; and who knew an id before a login has nothing after it.
    fn follow(&self, key: &SessionKey, look: Look) -> Result<Option<Found<'call>>> {
        let moved = MovedIds::beside(&self.table, LockMode::Read)?;
        let Some(moved) = moved else { return Ok(None) };
        if moved.waited() {
            self.now.set(pg::clock());
        }
        let Some(mut way) = moved.find(key, look)? else { return Ok(None) };
        let (mut until, moved_at) = (way.until, way.moved_at);
        for _ in 0..MOST_RENEWALS {
            if until <= self.now.get() {
                break;
            }
            if let Some(mut found) = self.table.find(&way.to, look)? {
                found.reached_until = Some(until);
                let is_it = found.created_at == way.created_at
                    && found.authenticated_at.is_none_or(|at| at < moved_at);
                return Ok(is_it.then_some(found));
            }
            let on = moved.find(&way.to, look)?;
            let Some(on) = on.filter(|on| on.created_at == way.created_at) else { break };
            until = until.min(on.until);
            way = on;
        }
        Ok(None)
    }

    /// Lets the key that the session had before it was moved reach it for a while.
    pub(super) fn leave_behind(
        &self,
        from: SessionKey,
        moved_session: &Session,
        grace: Grace,
    ) -> Result<()> {
        let moved = MovedIds::beside(&self.table, LockMode::Write)?;
        let moved = moved.ok_or(Error::NoTable(c"session_moved"))?;
        let now = pg::clock();
        moved.add(&MovedId {
            from,
            to: moved_session.key,
            created_at: moved_session.created_at,
            moved_at: now,
            until: grace.end(now),
        })
    }

    /// Sees to it that ids which led to this key once do not do so again, now that a session has it that
    /// had it before.
    pub(super) fn forget_ways_to(&self, key: &SessionKey) -> Result<()> {
        if let Some(moved) = MovedIds::beside(&self.table, LockMode::Write)? {
            moved.forget_ways_to(key);
        }
        Ok(())
    }

    /// Whether an id is in grace.
    pub(super) fn is_in_grace(&self, key: &SessionKey, look: Look) -> Result<bool> {
        let reached = self.follow(key, look)?;
        Ok(reached.and_then(|found| self.if_live(found)).is_some())
    }

    /// Whether an id that a session was given just now is in grace, by a renewal that was waited for.
    pub(super) fn was_just_moved(&self, key: &SessionKey) -> Result<bool> {
        self.now.set(pg::clock());
        match self.is_in_grace(key, Look::Latest)? {
            true if pg::keeps_snapshot() => Err(Error::Contention),
            is_in_grace => Ok(is_in_grace),
        }
    }
}
