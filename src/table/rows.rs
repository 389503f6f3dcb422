//! What can be done to the rows of the table, whichever way.

use super::columns::{Changes, Session};
use super::principal::Among;
use super::session::Found;
use crate::error::Result;
use crate::id::{Handle, SessionKey};
use crate::lifetime::Limits;
use crate::pg::{Access, RowWrite, Timestamp};

/// A way to the table's rows.
///
/// A write counts for the row as it was read: where it is not so any more, it is stale and changes
/// nothing. Writes wait for others who hold the row.
pub trait Rows<'call> {
    /// The row with this key, expired or not.
    fn find(&self, key: &SessionKey, access: Access) -> Option<Found<'call>>;

    /// Locks the row against other writers until the transaction ends.
    fn lock(&self, read: &Found<'call>) -> RowWrite;

    /// Adds a row. Stale if there is one with its key, as there never is with a fresh one.
    fn insert(&self, new: &Session, is_fresh: bool) -> RowWrite;

    /// Changes the row.
    fn update(&self, read: &Found<'call>, changes: &Changes) -> RowWrite;

    /// Has the expiry move to `expiry`, now or at commit, unless others hold the row; whether it does, as
    /// far as is known by now. Never an error.
    fn slide(&self, read: &Found<'call>, expiry: Timestamp) -> bool;

    /// Removes the row.
    fn delete(&self, read: &Found<'call>) -> RowWrite;

    /// Removes sessions of a principal, as they are by now, waiting for others who hold them; the handles of
    /// those that were live. An error if one cannot be removed.
    fn end_of_principal(
        &self,
        principal: &str,
        which: &Among,
        now: Timestamp,
        limits: Limits,
    ) -> Result<Vec<Handle>>;
}
