//! The direct way: without the executor, for a table that is as it was made. Nothing of anybody else's
//! runs here, so a slide can wait for the commit, where it holds a lock for an instant only.

use super::columns::{Changes, HANDLE, KEY, PRINCIPAL, Session};
use super::principal::{Among, is_live};
use super::rows::Rows;
use super::session::Found;
use super::statements::Step;
use super::{OpenTable, slide};
use crate::error::{Error, Result};
use crate::id::{Handle, SessionKey};
use crate::lifetime::Limits;
use crate::pg::{self, Access, Columns, Place, PlainTable, RowWrite, Timestamp};

/// A plain table.
pub struct Direct<'t, 'call> {
    pub open: &'t OpenTable<'call>,
    pub table: &'t PlainTable,
}

impl<'call> Direct<'_, 'call> {
    fn place(read: &Found<'call>) -> Place<'call> {
        read.place.expect("what is written directly was found directly")
    }
}

impl<'call> Rows<'call> for Direct<'_, 'call> {
    fn find(&self, key: &SessionKey, access: Access) -> Option<Found<'call>> {
        let found = self.table.find(&self.open.lock, key.as_bytes(), access, |row| {
            Some(Found::new(Session::read(row)?, Some(row.place()), Some(row.holder())))
        });
        let mut found = found.flatten()?;
        if let Some(expiry) = slide::pending_expiry(key, found.state()) {
            found.promised = found.promised.max(expiry);
        }
        Some(found)
    }

    fn lock(&self, read: &Found<'call>) -> RowWrite {
        self.table.lock_row(&self.open.lock, Self::place(read))
    }

    fn insert(&self, new: &Session, is_fresh: bool) -> RowWrite {
        self.table.insert(&self.open.lock, || new.values().into_iter().enumerate(), is_fresh)
    }

    fn update(&self, read: &Found<'call>, changes: &Changes) -> RowWrite {
        self.table.update(&self.open.lock, Self::place(read), changes.values())
    }

    fn slide(&self, read: &Found<'call>, expiry: Timestamp) -> bool {
        slide::remember(&self.open.table, &read.key, read.state(), expiry)
    }

    fn end_of_principal(
        &self,
        principal: &str,
        which: &Among,
        now: Timestamp,
        limits: Limits,
    ) -> Result<Vec<Handle>> {
        let mut ended = Vec::new();
        let removal = self.table.remove_all(
            &self.open.lock,
            PRINCIPAL,
            principal,
            |row| {
                let key = || row.fixed_bytes(KEY).map(SessionKey::from_bytes);
                which.has(key, || row.uuid(HANDLE).map(Handle::from_bytes))
            },
            |row| {
                let handle = row.uuid(HANDLE).filter(|_| is_live(row, now, limits));
                ended.extend(handle.map(Handle::from_bytes));
            },
        );
        match removal {
            Some(RowWrite::Done) => {}
            Some(RowWrite::Stale) if pg::keeps_snapshot() => return Err(Error::Contention),
            // The owner has dropped the index, or others have written to one meanwhile.
            Some(RowWrite::Stale) | None => {
                ended.extend(self.open.end_or_lock(
                    Step::RemoveAndTell,
                    principal,
                    which,
                    now,
                    limits,
                ));
            }
        }
        Ok(ended)
    }

    fn delete(&self, read: &Found<'call>) -> RowWrite {
        self.table.delete(&self.open.lock, Self::place(read))
    }
}
