//! Writing rows: what the executor does for INSERT, UPDATE, DELETE and FOR NO KEY UPDATE where a table
//! has nothing but columns and indexes.

use super::PlainTable;
use super::scan::Place;
use super::steps::OpenTable;
use crate::pg::version;
use crate::pg::{Lock, Value};
use pgrx::pg_sys;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum RowWrite {
    /// It is done, or the row is locked.
    Done,
    /// Nothing happened: the row is not as it was read any more, or another one has the key.
    Stale,
}

impl RowWrite {
    /// Whether it is done.
    pub fn is_done(self) -> bool {
        self == Self::Done
    }

    /// Done, if any row was changed.
    pub fn of_count(count: u64) -> Self {
        if count > 0 { Self::Done } else { Self::Stale }
    }

    pub(super) fn of_result(result: pg_sys::TM_Result::Type) -> Self {
        if result == pg_sys::TM_Result::TM_Ok { Self::Done } else { Self::Stale }
    }
}

/// Columns by their place in the layout, and their values.
pub trait Row<'a>: IntoIterator<Item = (usize, Value<'a>)> {}
impl<'a, T: IntoIterator<Item = (usize, Value<'a>)>> Row<'a> for T {}

impl PlainTable {
    /// Adds a row, whose other columns are NULL, unless another one has its key. `is_fresh` promises
    /// that none has; otherwise those who are about to add it are waited for.
    pub fn insert<'a, R: Row<'a>>(
        &self,
        lock: &Lock<'_>,
        row: impl Fn() -> R,
        is_fresh: bool,
    ) -> RowWrite {
        let relation = self.open_for_writing(lock);
        // SAFETY: the row is built with the table's own columns.
        unsafe {
            let is_added = if is_fresh {
                let tuple = self.form(&relation, row());
                relation.add(tuple, 0, core::ptr::null_mut())
            } else {
                loop {
                    let tuple = self.form(&relation, row());
                    if relation.add_speculatively(tuple) {
                        break true;
                    }
                    let tuple = self.form(&relation, row());
                    if !relation.waits_until_free(tuple) {
                        break false;
                    }
                }
            };
            if is_added { RowWrite::Done } else { RowWrite::Stale }
        }
    }

    /// Gives columns of a row version new values, if it is still the latest one; waits for others who
    /// hold it.
    pub fn update<'a>(&self, lock: &Lock<'_>, place: Place<'_>, changes: impl Row<'a>) -> RowWrite {
        let relation = self.open_for_writing(lock);
        // SAFETY: the place is held by the call.
        unsafe { self.replace(&relation, place, changes) }
    }

    /// The same, unless others hold the row or one of the table's indexes. Waits for nobody.
    pub fn update_without_waiting<'a>(
        &self,
        lock: &Lock<'_>,
        place: Place<'_>,
        changes: impl Row<'a>,
    ) -> RowWrite {
        let relation = self.open_for_writing(lock);
        // SAFETY: as above.
        unsafe {
            let is_free = relation.try_lock_indexes()
                && relation.lock_row(place, pg_sys::LockWaitPolicy::LockWaitSkip).is_done();
            if is_free { self.replace(&relation, place, changes) } else { RowWrite::Stale }
        }
    }

    /// Locks a row version against other writers, to the end of the transaction, if it is still the
    /// latest one; waits for others who hold it.
    pub fn lock_row(&self, lock: &Lock<'_>, place: Place<'_>) -> RowWrite {
        let relation = self.open_for_writing(lock);
        // SAFETY: the place is held by the call.
        unsafe { relation.lock_row(place, pg_sys::LockWaitPolicy::LockWaitBlock) }
    }

    /// Removes a row version, if it is still the latest one; waits for others who hold it.
    pub fn delete(&self, lock: &Lock<'_>, place: Place<'_>) -> RowWrite {
        let relation = self.open_for_writing(lock);
        // SAFETY: the place is held by the call.
        RowWrite::of_result(unsafe { relation.delete(place, pg_sys::GetCurrentCommandId(true)) })
    }

    pub(super) fn open_for_writing(&self, lock: &Lock<'_>) -> OpenTable {
        assert_eq!(lock.table(), self.table);
        assert_eq!(self.is_writable.get(), Some(&true), "the table was not asked");
        lock.expect_writing();
        // SAFETY: the table is locked, and closed by Drop or the abort.
        OpenTable(unsafe { pg_sys::table_open(self.table, pg_sys::NoLock as i32) })
    }

    /// By the columns' numbers, without what the table lacks.
    fn numbered<'a>(
        &self,
        row: impl Row<'a>,
    ) -> impl Iterator<Item = (pg_sys::AttrNumber, Value<'a>)> {
        let numbered = row.into_iter().map(|(column, value)| (self.numbers[column], value));
        numbered.filter(|(number, _)| *number != 0)
    }

    unsafe fn form<'a>(&self, relation: &OpenTable, row: impl Row<'a>) -> pg_sys::HeapTuple {
        // SAFETY: there is a value for each of the relation's columns, of its type.
        unsafe {
            let columns = (*relation.0).rd_att;
            let count = (*columns).natts as usize;
            let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); count], vec![true; count]);
            for (number, value) in self.numbered(row) {
                let index = number as usize - 1;
                if let Some(datum) = relation.datum(number, value) {
                    (values[index], nulls[index]) = (datum, false);
                }
            }
            pg_sys::heap_form_tuple(columns, values.as_mut_ptr(), nulls.as_mut_ptr())
        }
    }

    /// The steps of `simple_heap_update`, but for what becomes of a row that others have changed, and
    /// then those of the executor for the indexes.
    unsafe fn replace<'a>(
        &self,
        relation: &OpenTable,
        place: Place<'_>,
        changes: impl Row<'a>,
    ) -> RowWrite {
        let (mut columns, mut values, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
        for (number, value) in self.numbered(changes) {
            // SAFETY: a column of the relation.
            let datum = unsafe { relation.datum(number, value) };
            columns.push(i32::from(number));
            nulls.push(datum.is_none());
            values.push(datum.unwrap_or(pg_sys::Datum::null()));
        }
        // SAFETY: the place is held by the caller's call; the tuple is read while its page is pinned.
        unsafe {
            let mut old =
                pg_sys::HeapTupleData { t_self: place.address.into(), ..Default::default() };
            let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
            let any = &raw mut pg_sys::SnapshotAnyData;
            if !pg_sys::heap_fetch(relation.0, any, &mut old, &mut buffer, false) {
                return RowWrite::Stale;
            }
            let new = pg_sys::heap_modify_tuple_by_cols(
                &mut old,
                (*relation.0).rd_att,
                columns.len() as i32,
                columns.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            pg_sys::ReleaseBuffer(buffer);
            let (result, needs) = version::update_row(relation.0, &mut old.t_self, new);
            let written = RowWrite::of_result(result);
            if written.is_done() && needs.need_entries {
                relation.enter_into_indexes(new, needs, core::ptr::null_mut());
            }
            pg_sys::heap_freetuple(new);
            written
        }
    }
}
