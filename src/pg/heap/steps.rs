//! The steps of writing a row, as the access method and the executor take them.

use super::scan::Place;
use super::write::RowWrite;
use crate::pg::Value;
use crate::pg::guard::{self, guarded};
use crate::pg::version::{self, IndexNeeds};
use pgrx::pg_sys;

/// A table that is open and locked for writing, until it is dropped.
pub(super) struct OpenTable(pub(super) pg_sys::Relation);

impl Drop for OpenTable {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by `open_for_writing`; the lock stays.
            unsafe { pg_sys::table_close(self.0, pg_sys::NoLock as i32) };
        }
    }
}

impl OpenTable {
    /// The value of a column.
    pub(super) unsafe fn datum(
        &self,
        number: pg_sys::AttrNumber,
        value: Value<'_>,
    ) -> Option<pg_sys::Datum> {
        // SAFETY: the relation has columns up to this one, for the description of the table is current.
        value.datum_of(unsafe { version::attribute((*self.0).rd_att, number) }.atttypid)
    }

    pub(super) unsafe fn lock_row(
        &self,
        place: Place<'_>,
        policy: pg_sys::LockWaitPolicy::Type,
    ) -> RowWrite {
        let mut tuple =
            pg_sys::HeapTupleData { t_self: place.address.into(), ..Default::default() };
        let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: the place is held by the caller's call; the page comes back pinned.
        unsafe {
            let result = pg_sys::heap_lock_tuple(
                self.0,
                &mut tuple,
                pg_sys::GetCurrentCommandId(true),
                pg_sys::LockTupleMode::LockTupleNoKeyExclusive,
                policy,
                // A later version is none of ours until it has been looked for: it may have another id by then.
                false,
                &mut buffer,
                &mut failure,
            );
            pg_sys::ReleaseBuffer(buffer);
            RowWrite::of_result(result)
        }
    }

    pub(super) unsafe fn delete(
        &self,
        place: Place<'_>,
        command: pg_sys::CommandId,
    ) -> pg_sys::TM_Result::Type {
        let mut address = place.address.into();
        // SAFETY: the place is held by the caller's call.
        unsafe { guarded(|| self.delete_at(&mut address, command)) }
    }

    /// The same for a row version that is held in place otherwise; to be called under a guard.
    pub(super) unsafe fn delete_at(
        &self,
        address: pg_sys::ItemPointer,
        command: pg_sys::CommandId,
    ) -> pg_sys::TM_Result::Type {
        let mut failure = pg_sys::TM_FailureData::default();
        let none = core::ptr::null_mut();
        // SAFETY: by this function's contract.
        unsafe { guard::heap_delete(self.0, address, command, none, true, &mut failure, false) }
    }

    /// Locks the table's indexes for writing, unless one would have to be waited for.
    pub(super) unsafe fn try_lock_indexes(&self) -> bool {
        // SAFETY: a list of oids.
        unsafe {
            let list = pg_sys::RelationGetIndexList(self.0);
            let count = if list.is_null() { 0 } else { (*list).length };
            (0..count as usize).all(|position| {
                let index = (*(*list).elements.add(position)).oid_value;
                pg_sys::ConditionalLockRelationOid(index, pg_sys::RowExclusiveLock as i32)
            })
        }
    }

    /// The steps of `simple_table_tuple_insert`, and then those of the executor for the indexes; false
    /// if the row conflicts with another in one of `arbiters`.
    pub(super) unsafe fn add(
        &self,
        row: pg_sys::HeapTuple,
        options: u32,
        arbiters: *mut pg_sys::List,
    ) -> bool {
        // SAFETY: the row is one of the relation's.
        unsafe {
            let command = pg_sys::GetCurrentCommandId(true);
            pg_sys::heap_insert(self.0, row, command, options as i32, core::ptr::null_mut());
            !self.enter_into_indexes(row, IndexNeeds::ALL, arbiters)
        }
    }

    /// The steps of `ExecInsert` for an INSERT with ON CONFLICT; false if there is one.
    pub(super) unsafe fn add_speculatively(&self, row: pg_sys::HeapTuple) -> bool {
        // SAFETY: as for `add`. After an error the abort releases the lock.
        unsafe {
            let transaction = pg_sys::GetCurrentTransactionId();
            let token = pg_sys::SpeculativeInsertionLockAcquire(transaction);
            // `HeapTupleHeaderSetSpeculativeToken`
            (*(*row).t_data).t_ctid = pg_sys::ItemPointerData {
                ip_blkid: pg_sys::BlockIdData { bi_hi: (token >> 16) as u16, bi_lo: token as u16 },
                ip_posid: pg_sys::SpecTokenOffsetNumber as u16,
            };
            let is_added = self.add(row, pg_sys::HEAP_INSERT_SPECULATIVE, self.arbiters());
            if is_added {
                pg_sys::heap_finish_speculative(self.0, &mut (*row).t_self);
            } else {
                pg_sys::heap_abort_speculative(self.0, &mut (*row).t_self);
            }
            pg_sys::SpeculativeInsertionLockRelease(transaction);
            is_added
        }
    }

    /// Waits for those who are about to add a row with this one's key; false if one has.
    pub(super) unsafe fn waits_until_free(&self, row: pg_sys::HeapTuple) -> bool {
        // SAFETY: the row is one of the relation's.
        unsafe {
            self.with_open_indexes(row, true, |table, slot, state| {
                version::check_arbiters(table, slot, state, self.arbiters())
            })
        }
    }

    /// The primary key's index, as a list.
    unsafe fn arbiters(&self) -> *mut pg_sys::List {
        // SAFETY: the relation is open.
        unsafe {
            let key = guarded(|| version::primary_key(self.0));
            pg_sys::lappend_oid(core::ptr::null_mut(), key)
        }
    }

    /// Enters a row version into the indexes, as the executor does after an INSERT or UPDATE; whether
    /// it conflicts with another in one of `arbiters`.
    pub(super) unsafe fn enter_into_indexes(
        &self,
        row: pg_sys::HeapTuple,
        needs: IndexNeeds,
        arbiters: *mut pg_sys::List,
    ) -> bool {
        // SAFETY: the row was stored just now.
        unsafe {
            self.with_open_indexes(row, !arbiters.is_null(), |table, slot, state| {
                version::insert_index_entries(table, slot, state, needs, arbiters)
            })
        }
    }

    unsafe fn with_open_indexes<R>(
        &self,
        row: pg_sys::HeapTuple,
        is_speculative: bool,
        work: impl FnOnce(
            &mut pg_sys::ResultRelInfo,
            *mut pg_sys::TupleTableSlot,
            *mut pg_sys::EState,
        ) -> R,
    ) -> R {
        // SAFETY: everything that is made here is freed here; an error leaves it to the abort.
        unsafe {
            let state = pg_sys::CreateExecutorState();
            let mut table = pg_sys::ResultRelInfo {
                type_: pg_sys::NodeTag::T_ResultRelInfo,
                ..Default::default()
            };
            pg_sys::InitResultRelInfo(&mut table, self.0, 0, core::ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(&mut table, is_speculative);
            let columns = (*self.0).rd_att;
            let slot = pg_sys::MakeSingleTupleTableSlot(columns, &pg_sys::TTSOpsHeapTuple);
            pg_sys::ExecStoreHeapTuple(row, slot, false);
            let result = work(&mut table, slot, state);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::ExecCloseIndices(&mut table);
            pg_sys::FreeExecutorState(state);
            result
        }
    }
}
