//! Adds a row, or replaces columns of one that was found before, without the executor.
//!
//! An UPDATE looks the row up once more, and the start of its plan, like that of an INSERT, reads
//! the table's constraints from their text each time. Where a table has nothing but columns, indexes
//! and constraints that the caller keeps, a write is a row version and, unless it is HOT, entries in
//! the indexes.

use super::compat;
use super::shape::{Shape, WrittenColumns};
use super::spi::{Address, Value};
use super::unguarded::guarded;
use pgrx::pg_sys;

/// How to write a table's rows.
#[derive(Debug)]
pub struct RowWriter {
    table: pg_sys::Oid,
    columns: WrittenColumns,
}

impl RowWriter {
    /// Writes the columns of `shape` in `table`, an ordinary table. `None` where there is more to it.
    pub fn new(table: pg_sys::Oid, shape: &Shape<'_>) -> Option<Self> {
        shape.columns_of(table).map(|columns| Self { table, columns })
    }

    /// Adds a row whose other columns are NULL. Nothing is added where the table has columns that
    /// want more than that, or if another row has, or may be about to have, its primary key: false.
    ///
    /// The table must be locked for writing. `is_fresh` promises that no other row has that key.
    pub fn insert<'a>(
        &self,
        row: impl IntoIterator<Item = (usize, Value<'a>)>,
        is_fresh: bool,
    ) -> bool {
        if !self.columns.are_all {
            return false;
        }
        // SAFETY: the row is built with the table's own columns.
        unsafe {
            let relation = pg_sys::table_open(self.table, pg_sys::NoLock as i32);
            let row = self.form(relation, row);
            let is_added = if is_fresh {
                add(relation, row, 0, core::ptr::null_mut())
            } else {
                add_speculatively(relation, row)
            };
            pg_sys::heap_freetuple(row);
            pg_sys::table_close(relation, pg_sys::NoLock as i32);
            is_added
        }
    }

    unsafe fn form<'a>(
        &self,
        relation: pg_sys::Relation,
        row: impl IntoIterator<Item = (usize, Value<'a>)>,
    ) -> pg_sys::HeapTuple {
        // SAFETY: there is a value for each of the relation's columns.
        unsafe {
            let columns = (*relation).rd_att;
            let count = (*columns).natts as usize;
            let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); count], vec![true; count]);
            for (column, value) in row {
                let index = self.columns.numbers[column] as usize - 1;
                let datum = value.datum();
                nulls[index] = datum.is_none();
                values[index] = datum.unwrap_or(pg_sys::Datum::null());
            }
            pg_sys::heap_form_tuple(columns, values.as_mut_ptr(), nulls.as_mut_ptr())
        }
    }

    /// Gives columns of the row version at `address` new values, if it is still the latest one;
    /// else, or if others hold the row and `waits` is false, nothing changes: false.
    ///
    /// The table must be locked for writing, and a snapshot must be active that sees this version,
    /// so that the address is not used again.
    pub fn update<'a>(
        &self,
        address: Address,
        changes: impl IntoIterator<Item = (usize, Value<'a>)>,
        waits: bool,
    ) -> bool {
        let (mut columns, mut values, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in changes {
            let datum = value.datum();
            columns.push(self.columns.numbers[column]);
            nulls.push(datum.is_none());
            values.push(datum.unwrap_or(pg_sys::Datum::null()));
        }
        // SAFETY: the steps of `simple_heap_update`, but for what becomes of a row that others have
        // changed, and then those of the executor for its indexes.
        unsafe {
            let relation = pg_sys::table_open(self.table, pg_sys::NoLock as i32);
            pg_sys::CheckCmdReplicaIdentity(relation, pg_sys::CmdType::CMD_UPDATE);
            let mut old = pg_sys::HeapTupleData { t_self: address.into(), ..Default::default() };
            let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
            let any = &raw mut pg_sys::SnapshotAnyData;
            let mut is_done = pg_sys::heap_fetch(relation, any, &mut old, &mut buffer, false);
            if is_done {
                let new = pg_sys::heap_modify_tuple_by_cols(
                    &mut old,
                    (*relation).rd_att,
                    columns.len() as i32,
                    columns.as_mut_ptr(),
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
                pg_sys::ReleaseBuffer(buffer);
                let updated = compat::update_row(relation, &mut old.t_self, new, waits);
                is_done = updated.is_some();
                if let Some(indexes) = updated.filter(|indexes| indexes.need_entries) {
                    insert_index_entries(relation, new, indexes, core::ptr::null_mut());
                }
                pg_sys::heap_freetuple(new);
            }
            pg_sys::table_close(relation, pg_sys::NoLock as i32);
            is_done
        }
    }
}

/// The steps of `simple_table_tuple_insert`, and then those of the executor for the indexes; false if
/// the row conflicts with another in one of `arbiters`.
unsafe fn add(
    relation: pg_sys::Relation,
    row: pg_sys::HeapTuple,
    options: u32,
    arbiters: *mut pg_sys::List,
) -> bool {
    // SAFETY: the relation is open and locked for writing, the row one of it.
    unsafe {
        let command = pg_sys::GetCurrentCommandId(true);
        pg_sys::heap_insert(relation, row, command, options as i32, core::ptr::null_mut());
        !insert_index_entries(relation, row, compat::Indexes::ALL, arbiters)
    }
}

/// The steps of `ExecInsert` for an INSERT with ON CONFLICT, but that a conflict is not looked at.
unsafe fn add_speculatively(relation: pg_sys::Relation, row: pg_sys::HeapTuple) -> bool {
    // SAFETY: as for `add`. After an error the abort releases the lock.
    unsafe {
        let transaction = pg_sys::GetCurrentTransactionId();
        let token = pg_sys::SpeculativeInsertionLockAcquire(transaction);
        // `HeapTupleHeaderSetSpeculativeToken`
        (*(*row).t_data).t_ctid = pg_sys::ItemPointerData {
            ip_blkid: pg_sys::BlockIdData { bi_hi: (token >> 16) as u16, bi_lo: token as u16 },
            ip_posid: pg_sys::SpecTokenOffsetNumber as u16,
        };
        let key = guarded(|| compat::primary_key(relation));
        let arbiters = pg_sys::lappend_oid(core::ptr::null_mut(), key);
        let is_added = add(relation, row, pg_sys::HEAP_INSERT_SPECULATIVE, arbiters);
        if is_added {
            pg_sys::heap_finish_speculative(relation, &mut (*row).t_self);
        } else {
            pg_sys::heap_abort_speculative(relation, &mut (*row).t_self);
        }
        pg_sys::SpeculativeInsertionLockRelease(transaction);
        is_added
    }
}

/// Enters a row version into the indexes, as the executor does after an INSERT or UPDATE; whether it
/// conflicts with another in one of `arbiters`.
unsafe fn insert_index_entries(
    relation: pg_sys::Relation,
    row: pg_sys::HeapTuple,
    indexes: compat::Indexes,
    arbiters: *mut pg_sys::List,
) -> bool {
    // SAFETY: everything that is made here is freed here; an error leaves it to the abort.
    unsafe {
        let state = pg_sys::CreateExecutorState();
        let mut table =
            pg_sys::ResultRelInfo { type_: pg_sys::NodeTag::T_ResultRelInfo, ..Default::default() };
        pg_sys::InitResultRelInfo(&mut table, relation, 0, core::ptr::null_mut(), 0);
        pg_sys::ExecOpenIndices(&mut table, !arbiters.is_null());
        let slot = pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &pg_sys::TTSOpsHeapTuple);
        pg_sys::ExecStoreHeapTuple(row, slot, false);
        let conflicts = compat::insert_index_entries(&mut table, slot, state, indexes, arbiters);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::ExecCloseIndices(&mut table);
        pg_sys::FreeExecutorState(state);
        conflicts
    }
}
