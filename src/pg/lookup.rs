//! One row by its primary key, straight through the index.
//!
//! An SPI query that fetches one row spends most of its time starting and ending the executor, and
//! what the executor would check, privileges and row security, does not apply to our table.

use super::compat;
use super::row::Columns;
use super::spi::{Access, Address};
use super::unguarded::{self, guarded};
use core::ffi::CStr;
use pgrx::{IntoDatum, pg_sys};

/// How to read a table through its primary key.
#[derive(Debug)]
pub struct KeyLookup {
    table: pg_sys::Oid,
    attributes: Vec<pg_sys::AttrNumber>,
    /// The last of them in the table.
    last: i32,
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
            let index = if is_heap {
                guarded(|| compat::primary_key(relation))
            } else {
                pg_sys::InvalidOid
            };
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
            let last = attributes.iter().copied().max().unwrap_or_default().into();
            (fits && is_complete).then_some(Self { table, attributes, last })
        }
    }

    /// Reads the row with this key, if there is one. The table must be locked.
    pub fn find<R>(
        &self,
        key: &[u8],
        access: Access,
        read: impl FnOnce(&FoundRow<'_>) -> R,
    ) -> Option<R> {
        let key = key.into_datum()?;
        // SAFETY: nothing in the closures needs to be dropped. An error on the way leaves what is
        // open to the transaction's abort.
        unsafe {
            let mut scan = Scan::none();
            let found = guarded(|| {
                scan = Scan::begin(self.table, key, access);
                scan.fetch(self.last)
            });
            let row = FoundRow { slot: &*scan.slot, attributes: &self.attributes };
            let result = found.then(|| read(&row));
            guarded(|| scan.end(access));
            result
        }
    }
}

/// The steps of an index scan as the executor takes them (`nodeIndexscan.c`).
#[derive(Clone, Copy)]
struct Scan {
    relation: pg_sys::Relation,
    index: pg_sys::Relation,
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Scan {
    const fn none() -> Self {
        let none = core::ptr::null_mut();
        Self {
            relation: none,
            index: none,
            scan: core::ptr::null_mut(),
            slot: core::ptr::null_mut(),
        }
    }

    /// The index stays locked until the transaction ends, as after any query.
    unsafe fn begin(table: pg_sys::Oid, key: pg_sys::Datum, access: Access) -> Self {
        // SAFETY: the table is locked; the scan uses a key of the index's type.
        unsafe {
            let relation = unguarded::table_open(table, pg_sys::NoLock as i32);
            let index = compat::primary_key(relation);
            let index = unguarded::index_open(index, pg_sys::AccessShareLock as i32);
            if access == Access::ReadWrite {
                unguarded::CommandCounterIncrement();
                unguarded::PushActiveSnapshot(unguarded::GetTransactionSnapshot());
            }
            let slot = unguarded::table_slot_create(relation, core::ptr::null_mut());
            let scan = compat::begin_index_scan(relation, index, unguarded::GetActiveSnapshot());
            let mut scan_key = pg_sys::ScanKeyData::default();
            unguarded::ScanKeyInit(
                &mut scan_key,
                1,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(pg_sys::F_BYTEAEQ),
                key,
            );
            unguarded::index_rescan(scan, &mut scan_key, 1, core::ptr::null_mut(), 0);
            Self { relation, index, scan, slot }
        }
    }

    /// Fetches the row, with its columns up to the attribute `last` at hand.
    unsafe fn fetch(&self, last: i32) -> bool {
        // SAFETY: the scan has begun; the table has this attribute.
        unsafe {
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            let found = unguarded::index_getnext_slot(self.scan, forward, self.slot);
            if found {
                unguarded::slot_getsomeattrs_int(self.slot, last);
            }
            found
        }
    }

    unsafe fn end(&self, access: Access) {
        // SAFETY: ends what `begin` began, once.
        unsafe {
            unguarded::index_endscan(self.scan);
            unguarded::ExecDropSingleTupleTableSlot(self.slot);
            if access == Access::ReadWrite {
                unguarded::PopActiveSnapshot();
            }
            unguarded::index_close(self.index, pg_sys::NoLock as i32);
            unguarded::table_close(self.relation, pg_sys::NoLock as i32);
        }
    }
}

/// A row in the table's buffer.
pub struct FoundRow<'a> {
    slot: &'a pg_sys::TupleTableSlot,
    attributes: &'a [pg_sys::AttrNumber],
}

impl Columns for FoundRow<'_> {
    fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        let index = self.attributes[column] as usize - 1;
        // SAFETY: the slot holds a row of the table, whose columns so far were fetched.
        unsafe {
            let is_null = *self.slot.tts_isnull.add(index);
            (!is_null).then(|| *self.slot.tts_values.add(index))
        }
    }

    fn row_address(&self) -> Option<Address> {
        Some(Address::from(self.slot.tts_tid))
    }
}
