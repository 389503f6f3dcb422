//! Rows of a plain table, read and written without the executor.
//!
//! An SPI query that reads one row spends most of its time starting and ending the executor, and one
//! that writes a row looks it up once more and reads the table's constraints from their text. Where a
//! table has nothing but columns, indexes and constraints that the caller keeps anyway, a read is a
//! step through the primary key's index, and a write is a row version and entries in the indexes.
//!
//! Nothing of anybody else's runs here: no trigger, no function in an index, no operator of one's own.

mod plain;
mod remove;
mod scan;
mod steps;
mod write;

pub use plain::{Column, Layout};
pub use scan::{Holder, Place};
pub use write::RowWrite;

use super::Lock;
use core::ffi::CStr;
use pgrx::pg_sys;
use std::cell::OnceCell;

/// A table whose rows can be read directly, and written, too, if there is nothing more to it.
#[derive(Debug)]
pub struct PlainTable {
    table: pg_sys::Oid,
    layout: &'static Layout,
    /// The columns' numbers in the table, in the layout's order; 0 for one that it lacks.
    numbers: Vec<pg_sys::AttrNumber>,
    /// The last of them.
    last: pg_sys::AttrNumber,
    /// Looked up by the first write: a connection opened for one read should not wait for that.
    is_writable: OnceCell<bool>,
}

impl PlainTable {
    /// How to reach the rows of a table, if it is a heap of these columns, but for what it `lacks`, with this primary key,
    /// without triggers, rules, row security, partitions, child tables or generated columns.
    pub fn new(
        lock: &Lock<'_>,
        layout: &'static Layout,
        lacks: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        // SAFETY: the relation is closed again; an error leaves it to the abort.
        unsafe {
            // It may be gone since it was looked up.
            let relation = pg_sys::try_relation_open(lock.table(), pg_sys::NoLock as i32);
            if relation.is_null() {
                return None;
            }
            let numbers = plain::match_columns(relation, layout, lacks);
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            let numbers = numbers?;
            let last = numbers.iter().copied().max()?;
            let is_writable = OnceCell::new();
            Some(Self { table: lock.table(), layout, numbers, last, is_writable })
        }
    }

    /// Whether rows can be written, too: there are no other constraints than the layout's, no indexes
    /// that run functions or keep values unique, and no publication that refuses.
    pub fn is_writable(&self) -> bool {
        *self.is_writable.get_or_init(|| {
            // SAFETY: as in `new`.
            unsafe {
                let relation = pg_sys::try_relation_open(self.table, pg_sys::NoLock as i32);
                if relation.is_null() {
                    return false;
                }
                let is_writable = plain::has_only_plain_indexes(relation)
                    && plain::has_only_checks(relation, self.layout.checks)
                    && plain::is_published_without_conditions(relation);
                pg_sys::relation_close(relation, pg_sys::NoLock as i32);
                is_writable
            }
        })
    }
}

impl PlainTable {
    /// Whether the table has never had a row since it was emptied.
    pub fn has_no_pages(&self, lock: &Lock<'_>) -> bool {
        assert_eq!(lock.table(), self.table);
        // SAFETY: the table is locked; the relation is closed again.
        unsafe {
            let relation = pg_sys::table_open(self.table, pg_sys::NoLock as i32);
            let main = pg_sys::ForkNumber::MAIN_FORKNUM;
            let pages = pg_sys::RelationGetNumberOfBlocksInFork(relation, main);
            pg_sys::table_close(relation, pg_sys::NoLock as i32);
            pages == 0
        }
    }
}

/// The name of a column.
pub type ColumnName = &'static CStr;
