//! Replaces columns of one row that was found before, without the executor.
//!
//! An UPDATE looks the row up once more, and the start of its plan reads the table's constraints
//! from their text each time. Where a table has nothing but columns, indexes and constraints that
//! the caller keeps, an update is a new row version and, unless it is HOT, entries in the indexes.

use super::compat;
use super::spi::{Address, Value};
use core::ffi::CStr;
use pgrx::pg_sys;

/// How to update a table's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowUpdate {
    table: pg_sys::Oid,
    attributes: Vec<i32>,
}

impl RowUpdate {
    /// Updates `columns` of `table`, an ordinary table. `None` where there is more to it than `checks`, the
    /// names of CHECK constraints that hold for whatever the caller writes: triggers (which foreign
    /// keys are, too), rules, generated columns, partition bounds, another replica identity.
    pub fn new(table: pg_sys::Oid, columns: &[&CStr], checks: &[&CStr]) -> Option<Self> {
        // SAFETY: the relation is closed again; what it points to is checked.
        unsafe {
            let lock = pg_sys::AccessShareLock as i32;
            let relation = pg_sys::try_relation_open(table, lock);
            if relation.is_null() {
                return None;
            }
            let form = &*(*relation).rd_rel;
            let is_plain = !form.relhastriggers
                && !form.relhasrules
                && !form.relispartition
                && form.relreplident == pg_sys::REPLICA_IDENTITY_DEFAULT as core::ffi::c_char;
            let constraints = (*(*relation).rd_att).constr;
            let is_kept = constraints.is_null()
                || !(*constraints).has_generated_stored
                    && check_names(&*constraints).all(|name| checks.contains(&name));
            pg_sys::relation_close(relation, lock);
            let attribute = |name: &&CStr| i32::from(pg_sys::get_attnum(table, name.as_ptr()));
            let attributes: Vec<_> = columns.iter().map(attribute).collect();
            let fits = is_plain && is_kept && attributes.iter().all(|&attribute| attribute > 0);
            fits.then_some(Self { table, attributes })
        }
    }

    /// Gives columns of the row version at `address` new values, if it is still the latest one;
    /// else, or if others hold the row and `waits` is false, nothing changes: false.
    ///
    /// The table must be locked for writing, and a snapshot must be active that sees this version,
    /// so that the address is not used again.
    pub fn apply<'a>(
        &self,
        address: Address,
        changes: impl IntoIterator<Item = (usize, Value<'a>)>,
        waits: bool,
    ) -> bool {
        let (mut columns, mut values, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in changes {
            let datum = value.datum();
            columns.push(self.attributes[column]);
            nulls.push(datum.is_none());
            values.push(datum.unwrap_or(pg_sys::Datum::null()));
        }
        // SAFETY: the steps of `simple_heap_update`, but for what becomes of a row that others have
        // changed, and then those of the executor for its indexes.
        unsafe {
            let relation = pg_sys::table_open(self.table, pg_sys::NoLock as i32);
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
                    insert_index_entries(relation, new, indexes);
                }
                pg_sys::heap_freetuple(new);
            }
            pg_sys::table_close(relation, pg_sys::NoLock as i32);
            is_done
        }
    }
}

/// The names of a table's CHECK constraints.
unsafe fn check_names(constraints: &pg_sys::TupleConstr) -> impl Iterator<Item = &CStr> {
    // SAFETY: there are so many constraints, each with a name.
    (0..constraints.num_check.into())
        .map(|index: usize| unsafe { CStr::from_ptr((*constraints.check.add(index)).ccname) })
}

/// Enters a new row version into the indexes, as the executor does after an update.
unsafe fn insert_index_entries(
    relation: pg_sys::Relation,
    row: pg_sys::HeapTuple,
    indexes: compat::Indexes,
) {
    // SAFETY: everything that is made here is freed here; an error leaves it to the abort.
    unsafe {
        let state = pg_sys::CreateExecutorState();
        let mut table =
            pg_sys::ResultRelInfo { type_: pg_sys::NodeTag::T_ResultRelInfo, ..Default::default() };
        pg_sys::InitResultRelInfo(&mut table, relation, 0, core::ptr::null_mut(), 0);
        pg_sys::ExecOpenIndices(&mut table, false);
        let slot = pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &pg_sys::TTSOpsHeapTuple);
        pg_sys::ExecStoreHeapTuple(row, slot, false);
        compat::insert_index_entries(&mut table, slot, state, indexes);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::ExecCloseIndices(&mut table);
        pg_sys::FreeExecutorState(state);
    }
}
