//! Rows by a column's value, straight through an index: one by its primary key, or several.

use super::PlainTable;
use crate::pg::guard::{self, guarded};
use crate::pg::{Access, Address, Call, Columns, Lock, version};
use core::marker::PhantomData;
use pgrx::pg_sys::F_BYTEAEQ;
use pgrx::{IntoDatum, pg_sys};

impl PlainTable {
    /// Reads the row with this key, if there is one.
    pub fn find<'call, R>(
        &self,
        lock: &Lock<'call>,
        key: &[u8],
        access: Access,
        read: impl FnOnce(&FoundRow<'_, 'call>) -> R,
    ) -> Option<R> {
        assert_eq!(lock.table(), self.table);
        let key = key.into_datum()?;
        // SAFETY: nothing in the closures needs to be dropped. An error on the way leaves what is
        // open to the transaction's abort. A lock borrows from a call, so that a snapshot is active.
        unsafe {
            let mut scan = Scan::none();
            let found = guarded(|| {
                scan = Scan::begin(
                    self.table,
                    |table| version::primary_key(table),
                    F_BYTEAEQ,
                    key,
                    access,
                );
                scan.fetch(self.last)
            });
            let result = found.then(|| read(&scan.row(&self.numbers)));
            guarded(|| scan.end(access));
            result
        }
    }
}

/// The steps of an index scan as the executor takes them (`nodeIndexscan.c`).
#[derive(Clone, Copy)]
pub(super) struct Scan {
    pub(super) relation: pg_sys::Relation,
    index: pg_sys::Relation,
    pub(super) scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Scan {
    pub(super) const fn none() -> Self {
        let none = core::ptr::null_mut();
        Self {
            relation: none,
            index: none,
            scan: core::ptr::null_mut(),
            slot: core::ptr::null_mut(),
        }
    }

    /// Begins to look for what is `equal` to a key in the first column of an index. The index stays locked
    /// until the transaction ends, as after any query.
    pub(super) unsafe fn begin(
        table: pg_sys::Oid,
        index_of: impl FnOnce(pg_sys::Relation) -> pg_sys::Oid,
        equal: u32,
        key: pg_sys::Datum,
        access: Access,
    ) -> Self {
        // SAFETY: the table is locked; the scan uses a key of the index's type.
        unsafe {
            let relation = guard::table_open(table, pg_sys::NoLock as i32);
            let index = index_of(relation);
            let index = guard::index_open(index, pg_sys::AccessShareLock as i32);
            if access != Access::ReadOnly {
                guard::CommandCounterIncrement();
                guard::PushActiveSnapshot(match access {
                    Access::Latest => guard::GetLatestSnapshot(),
                    _ => guard::GetTransactionSnapshot(),
                });
            }
            let slot = guard::table_slot_create(relation, core::ptr::null_mut());
            let scan = version::begin_index_scan(relation, index, guard::GetActiveSnapshot());
            let mut scan_key = pg_sys::ScanKeyData::default();
            guard::ScanKeyInit(
                &mut scan_key,
                1,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(equal),
                key,
            );
            guard::index_rescan(scan, &mut scan_key, 1, core::ptr::null_mut(), 0);
            Self { relation, index, scan, slot }
        }
    }

    /// Fetches the row, with its columns up to the attribute `last` at hand.
    pub(super) unsafe fn fetch(&self, last: pg_sys::AttrNumber) -> bool {
        // SAFETY: the scan has begun; a row is read as far as the table has columns.
        unsafe {
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            let found = guard::index_getnext_slot(self.scan, forward, self.slot);
            if found {
                let count = (*(*self.slot).tts_tupleDescriptor).natts;
                guard::slot_getsomeattrs_int(self.slot, i32::from(last).min(count));
            }
            found
        }
    }

    pub(super) unsafe fn end(&self, access: Access) {
        // SAFETY: ends what `begin` began, once.
        unsafe {
            guard::index_endscan(self.scan);
            guard::ExecDropSingleTupleTableSlot(self.slot);
            if access != Access::ReadOnly {
                guard::PopActiveSnapshot();
            }
            guard::index_close(self.index, pg_sys::NoLock as i32);
            guard::table_close(self.relation, pg_sys::NoLock as i32);
        }
    }
}

impl Scan {
    /// The row that was fetched.
    pub(super) unsafe fn row<'a, 'call>(
        &'a self,
        numbers: &'a [pg_sys::AttrNumber],
    ) -> FoundRow<'a, 'call> {
        // SAFETY: by this function's contract the slot holds one.
        FoundRow { slot: unsafe { &*self.slot }, numbers, call: PhantomData }
    }
}

/// A row in the table's buffer.
pub struct FoundRow<'a, 'call> {
    slot: &'a pg_sys::TupleTableSlot,
    numbers: &'a [pg_sys::AttrNumber],
    call: PhantomData<&'call Call>,
}

impl Columns for FoundRow<'_, '_> {
    fn datum(&self, column: usize) -> Option<(pg_sys::Datum, pg_sys::Oid)> {
        let slot = self.slot;
        // SAFETY: the slot holds a row, of which so many columns were fetched.
        unsafe {
            let count = slot.tts_nvalid as usize;
            let values = core::slice::from_raw_parts(slot.tts_values, count);
            let nulls = core::slice::from_raw_parts(slot.tts_isnull, count);
            column_of(slot.tts_tupleDescriptor, self.numbers[column], values, nulls)
        }
    }
}

/// A column of a row, by its number, 0 for one that the table lacks.
pub(super) unsafe fn column_of(
    descriptor: pg_sys::TupleDesc,
    number: pg_sys::AttrNumber,
    values: &[pg_sys::Datum],
    nulls: &[bool],
) -> Option<(pg_sys::Datum, pg_sys::Oid)> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    // SAFETY: the values are of a row of this kind.
    let kind = unsafe { version::attribute(descriptor, number) }.atttypid;
    (!nulls[index]).then(|| (values[index], kind))
}

impl<'call> FoundRow<'_, 'call> {
    /// Where the row version is, for as long as the call lasts.
    pub fn place(&self) -> Place<'call> {
        Place { address: Address::from(self.slot.tts_tid), call: PhantomData }
    }

    /// Who has locked, changed or deleted the row since, or tried to.
    pub fn holder(&self) -> Holder {
        let slot: *const pg_sys::TupleTableSlot = self.slot;
        // SAFETY: the slot of a heap's scan is of this kind, and holds a tuple.
        unsafe {
            let tuple = (*slot.cast::<pg_sys::HeapTupleTableSlot>()).tuple;
            let header = &*(*tuple).t_data;
            Holder { mask: header.t_infomask, xmax: header.t_choice.t_heap.t_xmax }
        }
    }
}

/// The place of a row version that was seen in a call. It is not used again as long as that lasts,
/// for the call keeps a snapshot from before active.
#[derive(Clone, Copy)]
pub struct Place<'call> {
    pub(super) address: Address,
    call: PhantomData<&'call Call>,
}

/// What the header of a row says of those who hold it.
#[derive(Clone, Copy)]
pub struct Holder {
    mask: u16,
    xmax: pg_sys::TransactionId,
}

impl Holder {
    /// Whether a transaction that is still under way holds the row.
    pub fn is_active(self) -> bool {
        let has = |flags: u32| u32::from(self.mask) & flags != 0;
        if has(pg_sys::HEAP_XMAX_INVALID) {
            return false;
        }
        // SAFETY: an id from a row's header.
        unsafe {
            if has(pg_sys::HEAP_XMAX_IS_MULTI) {
                let is_lock_only = has(pg_sys::HEAP_XMAX_LOCK_ONLY);
                let id = pg_sys::MultiXactId::from(self.xmax.into_inner());
                pg_sys::MultiXactIdIsRunning(id, is_lock_only)
            } else {
                pg_sys::TransactionIdIsInProgress(self.xmax)
            }
        }
    }
}
