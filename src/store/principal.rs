//! Whom sessions belong to: login, devices, logging out everywhere.
//!
//! Whoever binds or ends sessions of a principal takes a lock on it first, and looks at the session
//! after that: of a login and a "log out everywhere" at the same time either the one ends the session
//! that the other has bound, or the login comes after it and has read the account as it is then.

use super::change::Alteration;
use super::{NewTerms, Store, entropy};
use crate::codec::{self, Content, Map};
use crate::error::{Error, Result};
use crate::id::{Handle, Principal, SessionId, SessionKey, slot};
use crate::lifetime::absolute_end;
use crate::pg::{self, AdvisoryLock, JsonbBuf, Timestamp};
use crate::table::{Among, Changes, Found, Look, Session};
use crate::worker::CLASS;
use std::cell::Cell;

/// To whom a session is to belong.
pub struct Binding<'a> {
    /// To whom.
    pub principal: Principal<'a>,
    /// What is kept of it beside the content; nothing is inherited.
    pub attributes: Option<JsonbBuf>,
}

/// What becomes of a login where there is no session to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// One begins.
    Begins,
    /// Nothing: it must have been there.
    Absent,
    /// An error: an id was presented that no session has, and the application is strict about those.
    Refused,
}

/// A session among those of its principal.
pub struct Device {
    /// As it is in the table, maybe without the content.
    pub session: Session,
    /// Whether it is the one that was asked from.
    pub is_this: bool,
}

impl Store<'_> {
    /// Waits for those who bind or end sessions of this principal, and has them wait to the end of the
    /// transaction.
    pub(super) fn serialize(&self, principal: &str) -> Result<()> {
        self.table.expect_all_columns()?;
        let lock = AdvisoryLock { class: CLASS, object: slot(principal).into() };
        pg::lock_in_database(lock);
        self.now.set(pg::clock());
        Ok(())
    }

    /// Moves the session to the id `new`, which if it is not `fresh` may turn out to be taken, and binds
    /// it; whether there is a session now.
    pub fn login(
        &self,
        old: Option<SessionId<'_>>,
        new: SessionId<'_>,
        is_fresh: bool,
        binding: &Binding<'_>,
        missing: Missing,
        terms: NewTerms,
    ) -> Result<bool> {
        self.serialize(binding.principal.as_str())?;
        let new = self.free_for(old, new, is_fresh, Look::Fresh)?;
        let moved = match old {
            Some(old) => self.alter(Look::Fresh, &old.key(), |found| {
                // Another request has moved it just there.
                if found.key == new {
                    return Err(Error::SessionExists);
                }
                let mut changes = self.binding(found, binding, true)?;
                self.extend(found, &mut changes, terms);
                changes.key = Some(new);
                Ok(Some(Alteration { changes: changes.from(found), locks: false }))
            })?,
            None => None,
        };
        match moved {
            Some(_) if !is_fresh && self.was_just_moved(&new)? => Err(Error::SessionExists),
            Some(_) => {
                if !is_fresh {
                    self.forget_ways_to(&new)?;
                }
                Ok(true)
            }
            None => {
                if let Some(old) = old {
                    self.refuse_if_unseen(&old.key())?;
                }
                match missing {
                    Missing::Begins => {}
                    Missing::Absent => return Ok(false),
                    Missing::Refused => return Err(Error::NoSession),
                }
                let begin = || self.begin_bound(new, binding, terms);
                self.add(new, is_fresh, begin)?;
                Ok(true)
            }
        }
    }

    /// A bound session that is yet to be added.
    fn begin_bound(
        &self,
        key: SessionKey,
        binding: &Binding<'_>,
        terms: NewTerms,
    ) -> Result<Session> {
        let mut session = self.begin(key, Map::empty().stored(), terms)?;
        session.principal = Some(binding.principal.as_str().to_owned());
        session.attributes = binding.attributes.clone();
        session.authenticated_at = Some(session.created_at);
        session.handle = Some(Handle::from_entropy(&entropy()?));
        Ok(session)
    }

    /// Binds the session, or with `None` takes it from whom it belongs to; whether there is one.
    pub fn bind(&self, id: Option<SessionId<'_>>, binding: Option<&Binding<'_>>) -> Result<bool> {
        let Some(id) = id else { return Ok(false) };
        if let Some(binding) = binding {
            self.serialize(binding.principal.as_str())?;
        }
        let is_new = Cell::new(false);
        let bound = self.alter(Look::Fresh, &id.key(), |found| {
            let mut changes = match binding {
                Some(binding) => {
                    let changes = self.binding(found, binding, false)?;
                    is_new.set(changes.principal.is_some());
                    changes
                }
                None => Changes {
                    principal: Some(None),
                    attributes: Some(None),
                    authenticated_at: Some(None),
                    handle: Some(None),
                    ..Changes::default()
                },
            };
            self.extend(found, &mut changes, NewTerms::default());
            Ok(Some(Alteration { changes: changes.from(found), locks: false }))
        })?;
        // Who knew an id before has nothing after it, also when the session is nobody's again.
        if let Some(session) = bound.as_ref().filter(|_| is_new.get()) {
            self.forget_ways_to(&session.key)?;
        }
        if bound.is_none() {
            self.refuse_if_unseen(&id.key())?;
        }
        Ok(bound.is_some_and(|session| session.is_live(self.now.get(), self.limits)))
    }

    /// Fails where the session is newer than what the transaction sees.
    fn refuse_if_unseen(&self, key: &SessionKey) -> Result<()> {
        match pg::keeps_snapshot() && self.find(key, Look::Latest)?.is_some() {
            true => Err(Error::Contention),
            false => Ok(()),
        }
    }

    /// What makes the session one of this principal. From another one it takes nothing along.
    fn binding(&self, found: &Session, binding: &Binding<'_>, is_login: bool) -> Result<Changes> {
        let principal = binding.principal.as_str();
        let mut changes =
            Changes { attributes: Some(binding.attributes.clone()), ..Changes::default() };
        let is_same = found.principal.as_deref() == Some(principal);
        if is_login || !is_same || found.authenticated_at.is_none() {
            changes.authenticated_at = Some(Some(pg::clock()));
        }
        if !is_same {
            changes.principal = Some(Some(principal.to_owned()));
        }
        if !is_same || found.handle.is_none() {
            changes.handle = Some(Some(Handle::from_entropy(&entropy()?)));
        }
        if !is_same && found.principal.is_some() {
            let emptied = emptied(found)?;
            if emptied != found.data {
                changes.data = Some(emptied);
                changes.version = Some(found.version + 1);
            }
        }
        Ok(changes)
    }

    /// Adds the expiry after this use, and new terms.
    fn extend(&self, found: &Found<'_>, changes: &mut Changes, terms: NewTerms) {
        let new = terms.over(found.terms());
        let began = match changes.authenticated_at {
            Some(authenticated_at) => authenticated_at.unwrap_or(found.created_at),
            None => found.began(),
        };
        let expiry = new.expiry(self.now.get(), began, self.limits);
        let kept = if new == found.terms() { found.promised.max(expiry) } else { expiry };
        changes.expiry = Some(kept.min(absolute_end(began, self.limits.absolute_lifetime)));
        changes.lifetime = Some(new.lifetime);
        changes.deadline = Some(new.deadline);
    }

    /// The live sessions of the one's principal, this one first, then the ones used last; none where it
    /// belongs to nobody.
    pub fn devices(&self, id: Option<SessionId<'_>>) -> Result<Vec<Device>> {
        let Some(this) = self.read(id)? else { return Ok(Vec::new()) };
        let Some(principal) = this.principal.as_deref() else { return Ok(Vec::new()) };
        let mut devices =
            self.of_principal(principal, false, Look::AsOfStatement, Some(this.key))?;
        devices.sort_by_key(|device| !device.is_this);
        // This call was a use of it.
        if let Some(own) = devices.first_mut().filter(|device| device.is_this) {
            own.session.expiry = this.promised;
        }
        Ok(devices)
    }

    /// The live sessions of a principal with their content, the ones used last first.
    pub fn sessions_of(&self, principal: Principal<'_>) -> Result<Vec<Device>> {
        self.of_principal(principal.as_str(), true, Look::AsOfStatement, None)
    }

    fn of_principal(
        &self,
        principal: &str,
        with_content: bool,
        look: Look,
        this: Option<SessionKey>,
    ) -> Result<Vec<Device>> {
        let now = self.now.get();
        let sessions = self.table.sessions_of(principal, with_content, look, now, self.limits)?;
        let mut devices: Vec<_> = sessions
            .into_iter()
            .map(|session| Device { is_this: this == Some(session.key), session })
            .collect();
        devices.sort_by_key(|Device { session, .. }| {
            std::cmp::Reverse((self.used_at(session), session.began()))
        });
        Ok(devices)
    }

    /// When a session was used last, as far as that can be told from its expiry; else when it was bound.
    fn used_at(&self, session: &Session) -> Timestamp {
        self.last_seen(session).unwrap_or(session.began())
    }

    /// When a session ends, if nobody uses it.
    pub fn expires_at(&self, session: &Session) -> Timestamp {
        session.expiry.min(session.absolute_end(self.limits))
    }

    /// When a session was used last: exact to the grid, never in the future. `None` where activity does
    /// not move the expiry.
    pub fn last_seen(&self, session: &Session) -> Option<Timestamp> {
        session.last_used(self.limits).map(|used| used.min(self.now.get()))
    }

    /// Ends the longest unused sessions of the principal so that `most` are left, of which this is one.
    pub fn end_beyond(
        &self,
        principal: Principal<'_>,
        most: usize,
        this: &SessionKey,
    ) -> Result<()> {
        let principal = principal.as_str();
        let mut devices = self.of_principal(principal, false, Look::Latest, Some(*this))?;
        if devices.len() > most {
            // By their handles, for others may be renewing them. Who has none ends first.
            let order = |device: &Device| (!device.is_this, device.session.handle.is_none());
            devices.sort_by_key(order);
            let kept = devices.iter().take(most).filter_map(|device| device.session.handle);
            let kept = kept.map(|handle| *handle.as_bytes()).collect();
            let which = Among::Without(kept);
            self.table.rows().end_of_principal(principal, &which, self.now.get(), self.limits)?;
        }
        Ok(())
    }

    /// Ends the session with this handle if it belongs to the same principal as that one; whether it
    /// did. Otherwise nothing is waited for.
    pub fn revoke(&self, id: Option<SessionId<'_>>, handle: Option<Handle>) -> Result<bool> {
        let (Some(id), Some(handle)) = (id, handle) else { return Ok(false) };
        let Some(this) = self.read_key(&id.key(), Look::Latest)? else { return Ok(false) };
        let Some(principal) = this.principal.as_deref() else { return Ok(false) };
        Ok(self.is_one_of(principal, handle)? && self.end_one(principal, handle)?)
    }

    /// Ends the session with this handle, whosever it is; whether there was one.
    pub fn revoke_handle(&self, handle: Option<Handle>) -> Result<bool> {
        let Some(handle) = handle else { return Ok(false) };
        match self.table.principal_of(handle) {
            Some(principal) => self.end_one(&principal, handle),
            None => Ok(false),
        }
    }

    /// Whether a live session of the principal has this handle.
    fn is_one_of(&self, principal: &str, handle: Handle) -> Result<bool> {
        let devices = self.of_principal(principal, false, Look::Latest, None)?;
        Ok(devices.iter().any(|device| device.session.handle == Some(handle)))
    }

    fn end_one(&self, principal: &str, handle: Handle) -> Result<bool> {
        let (now, limits) = (self.now.get(), self.limits);
        let ended =
            self.table.rows().end_of_principal(principal, &Among::One(handle), now, limits)?;
        Ok(!ended.is_empty())
    }

    /// Ends all sessions of a principal but the one that is kept; the handles of those that were live.
    pub fn revoke_all(
        &self,
        principal: Principal<'_>,
        kept: Option<SessionId<'_>>,
    ) -> Result<Vec<Handle>> {
        self.serialize(principal.as_str())?;
        // Locked, so that nobody moves it meanwhile.
        let kept = kept.map(|id| self.find_kept(&id.key())).transpose()?.flatten();
        self.end_all(principal.as_str(), kept)
    }

    /// Ends the other sessions of the one's principal; the handles of those that were live.
    pub fn revoke_others(&self, id: Option<SessionId<'_>>) -> Result<Vec<Handle>> {
        let Some(id) = id else { return Ok(Vec::new()) };
        loop {
            let this = self.find(&id.key(), Look::Latest)?;
            let principal = this.and_then(|found| found.session.principal);
            let Some(principal) = principal else { return Ok(Vec::new()) };
            self.serialize(&principal)?;
            // It may have been bound to another one until then.
            let Some(this) = self.find_kept(&id.key())? else { return Ok(Vec::new()) };
            if this.principal.as_ref() == Some(&principal) {
                return self.end_all(&principal, Some(this));
            }
        }
    }

    /// The live session, locked. Fails where it is newer than what the transaction sees: it would end with
    /// the others.
    fn find_kept(&self, key: &SessionKey) -> Result<Option<Found<'_>>> {
        let kept = self.find_locked(key)?;
        if kept.is_none() {
            self.refuse_if_unseen(key)?;
        }
        Ok(kept)
    }

    /// Whoever binds sessions of the principal waits, so that afterwards there is none but the one that is kept.
    fn end_all(&self, principal: &str, kept: Option<Found<'_>>) -> Result<Vec<Handle>> {
        let (now, limits) = (self.now.get(), self.limits);
        let kept = kept.map(|mut kept| {
            self.table.slide(&mut kept, now, limits);
            kept.session.key
        });
        self.table.rows().end_of_principal(principal, &Among::AllBut(kept), now, limits)
    }
}

/// Content of the same kind with nothing in it.
fn emptied(session: &Session) -> Result<Vec<u8>> {
    match Content::parse(&session.data) {
        Ok(Content::Opaque(_)) => Ok(codec::encode_opaque(&[])?),
        Ok(Content::Map(_)) | Err(_) => Ok(Map::empty().stored().to_vec()),
    }
}
