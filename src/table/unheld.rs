//! The session that a call left as it was without locking it, because the call was all of its
//! transaction as far as could be known.
//!
//! In a pipeline another call may follow before the transaction ends. That one locks it belatedly, or
//! fails if the session has changed in between.

use super::OpenTable;
use super::session::{Found, State};
use crate::error::{Error, Result};
use crate::id::SessionKey;
use crate::pg::LockMode;
use crate::table::Look;
use std::cell::Cell;

thread_local! {
    static UNHELD: Cell<Option<(SessionKey, State)>> = const { Cell::new(None) };
}

/// Remembers a session that was not locked.
pub fn remember(found: &Found<'_>) {
    UNHELD.set(Some((found.key, found.state())));
}

/// Forgets it: the transaction has ended.
pub fn forget() {
    UNHELD.set(None);
}

/// Locks what was not, for another call in the same transaction.
pub fn catch_up(open: &OpenTable<'_>) -> Result<()> {
    let Some((key, state)) = UNHELD.take() else { return Ok(()) };
    let schema = crate::pg::schema_of_table(open.oid());
    let open = OpenTable::open_in(open.call, LockMode::Write, || schema)?.ok_or(Error::NoTable)?;
    let found = open.find(&key, Look::Fresh)?.filter(|found| found.state() == state);
    match found {
        Some(found) if open.rows().lock(&found).is_done() => Ok(()),
        _ => Err(Error::Contention),
    }
}
