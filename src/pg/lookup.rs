//! One row by its primary key, straight through the index.
//!
//! An SPI query that fetches one row spends most of its time starting and ending the executor, and
//! what the executor would check, privileges and row security, does not apply to our table.

use super::compat;
use super::row::Columns;
use super::spi::Access;
use core::ffi::CStr;
use pgrx::{IntoDatum, pg_sys};

/// How to read a table through its primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLookup {
    table: pg_sys::Oid,
    attributes: Vec<pg_sys::AttrNumber>,
}

impl KeyLookup {
    /// Reads `columns` of `table` by the primary key `key`, a single column. `None` where that is
    /// not how the table is built: partitioned, foreign, a view, under another access method.
    pub fn new(table: pg_sys::Oid, key: &CStr, columns: &[&CStr]) -> Option<Self> {
        // SAFETY: relations are closed again; catalog look-ups are checked.
        unsafe {
            let lock = pg_sys::AccessShareLock as i32;
            let attribute = |name: &CStr| pg_sys::get_attnum(table, name.as_ptr());
            let relation = pg_sys::try_relation_open(table, lock);
            if relation.is_null() {
                return None;
            }
            let form = &*(*relation).rd_rel;
            let is_heap = form.relkind == pg_sys::RELKIND_RELATION as core::ffi::c_char
                && form.relam == pg_sys::HEAP_TABLE_AM_OID;
            let index = if is_heap { compat::primary_key(relation) } else { pg_sys::InvalidOid };
            let fits = index != pg_sys::InvalidOid && {
                let index = pg_sys::index_open(index, lock);
                let form = &*(*index).rd_index;
                let first = form.indkey.values.as_slice(1)[0];
                let fits = form.indnkeyatts == 1 && first == attribute(key);
                pg_sys::index_close(index, lock);
                fits
            };
            pg_sys::relation_close(relation, lock);
            let attributes: Vec<_> = columns.iter().map(|name| attribute(name)).collect();
            let is_complete = attributes.iter().all(|&attribute| attribute > 0);
            (fits && is_complete).then_some(Self { table, attributes })
        }
    }

    /// Reads the row with this key, if there is one.
    pub fn find<R>(
        &self,
        key: &[u8],
        access: Access,
        read: impl FnOnce(&FoundRow<'_>) -> R,
    ) -> Option<R> {
        // SAFETY: the steps of an index scan as the executor takes them (`nodeIndexscan.c`). An
        // error on the way leaves scan, slot, snapshot and relations to the transaction's abort.
        // The table was locked when it was opened, and stays so until the transaction ends.
        unsafe {
            let relation = pg_sys::table_open(self.table, pg_sys::NoLock as i32);
            let index =
                pg_sys::index_open(compat::primary_key(relation), pg_sys::AccessShareLock as i32);
            let is_fresh = access == Access::ReadWrite;
            if is_fresh {
                pg_sys::CommandCounterIncrement();
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            }
            let slot = pg_sys::table_slot_create(relation, core::ptr::null_mut());
            let scan = compat::begin_index_scan(relation, index, pg_sys::GetActiveSnapshot());
            let mut scan_key = pg_sys::ScanKeyData::default();
            pg_sys::ScanKeyInit(
                &mut scan_key,
                1,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(pg_sys::F_BYTEAEQ).to_u32().into(),
                key.into_datum().unwrap_or(pg_sys::Datum::null()),
            );
            pg_sys::index_rescan(scan, &mut scan_key, 1, core::ptr::null_mut(), 0);
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            let found = pg_sys::index_getnext_slot(scan, forward, slot)
                .then(|| read(&FoundRow { slot, attributes: &self.attributes }));
            pg_sys::index_endscan(scan);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            if is_fresh {
                pg_sys::PopActiveSnapshot();
            }
            pg_sys::index_close(index, pg_sys::NoLock as i32);
            pg_sys::table_close(relation, pg_sys::NoLock as i32);
            found
        }
    }
}

/// A row in the table's buffer.
pub struct FoundRow<'a> {
    slot: *mut pg_sys::TupleTableSlot,
    attributes: &'a [pg_sys::AttrNumber],
}

impl Columns for FoundRow<'_> {
    fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        let attribute = i32::from(self.attributes[column]);
        // SAFETY: the slot holds a row of the table, whose attribute this is.
        let datum = unsafe { pg_sys::slot_getattr(self.slot, attribute, &mut is_null) };
        (!is_null).then_some(datum)
    }
}
