//! Removing all rows with a text in a column, by an index on it.
//!
//! Page by page, as a bitmap scan reads them: the rows of a principal lie side by side, and looking at each by
//! itself, with its page pinned and locked anew, takes a third longer.

use super::PlainTable;
use super::plain::is_index_of_text;
use super::scan::{Scan, column_of};
use super::steps::OpenTable;
use super::write::RowWrite;
use crate::pg::catalog::find_index;
use crate::pg::guard::{self, guarded};
use crate::pg::{Access, Columns, Lock};
use pgrx::pg_sys::{F_TEXTEQ, TM_Result};
use pgrx::{IntoDatum, check_for_interrupts, pg_sys};

/// How many rows of a page are looked at together at most.
const ROWS: usize = 256;

impl PlainTable {
    /// Removes those rows with this text in a column that `is_one` chooses, as they are now, and shows each
    /// to `removed`; waits for others who hold them. `Stale` if those have changed some, which are still
    /// there. `None` where there is no index for it.
    pub fn remove_all(
        &self,
        lock: &Lock<'_>,
        column: usize,
        text: &str,
        is_one: impl Fn(&PageRow<'_>) -> bool,
        mut removed: impl FnMut(&PageRow<'_>),
    ) -> Option<RowWrite> {
        let relation = self.open_for_writing(lock);
        let number = self.numbers[column];
        // SAFETY: as `find` reads a row, and the rows that are removed are of that table. An error leaves what
        // is open to the transaction's abort.
        unsafe {
            let index = find_index(relation.0, |index| is_index_of_text(index, number))?;
            let key = text.into_datum()?;
            let mut scan = Scan::none();
            guarded(|| scan = Scan::begin(self.table, |_| index, F_TEXTEQ, key, Access::Latest));
            let mut page = Page::new((*relation.0).rd_att, &self.numbers);
            let command = pg_sys::GetCurrentCommandId(true);
            let mut outcome = RowWrite::Done;
            while guarded(|| page.read(&scan)) {
                check_for_interrupts!();
                page.choose(&is_one);
                guarded(|| page.delete(&relation, command));
                for (row, result) in page.chosen() {
                    match result {
                        TM_Result::TM_Ok => removed(&row),
                        TM_Result::TM_Updated => outcome = RowWrite::Stale,
                        // Somebody else has removed it.
                        _ => {}
                    }
                }
                guarded(|| page.release());
            }
            guarded(|| scan.end(Access::Latest));
            Some(outcome)
        }
    }
}

/// Rows of one page that an index leads to, one after the other. Everything is allocated beforehand, for an
/// error jumps over the steps that fill it.
struct Page<'a> {
    descriptor: pg_sys::TupleDesc,
    numbers: &'a [pg_sys::AttrNumber],
    buffer: pg_sys::Buffer,
    /// Where the index leads on this page, and the first place on the next one.
    places: [pg_sys::ItemPointerData; ROWS],
    next: Option<pg_sys::ItemPointerData>,
    /// Whether the index has no more; asked again it would begin anew.
    is_last: bool,
    /// The rows that are there, with what became of those that were chosen.
    rows: [pg_sys::HeapTupleData; ROWS],
    fate: [Option<pg_sys::TM_Result::Type>; ROWS],
    count: usize,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl<'a> Page<'a> {
    unsafe fn new(descriptor: pg_sys::TupleDesc, numbers: &'a [pg_sys::AttrNumber]) -> Self {
        // SAFETY: the descriptor is of an open table.
        let width = unsafe { (*descriptor).natts } as usize;
        Self {
            descriptor,
            numbers,
            buffer: pg_sys::InvalidBuffer as pg_sys::Buffer,
            places: [pg_sys::ItemPointerData::default(); ROWS],
            next: None,
            is_last: false,
            rows: [pg_sys::HeapTupleData::default(); ROWS],
            fate: [None; ROWS],
            count: 0,
            values: vec![pg_sys::Datum::null(); ROWS * width],
            nulls: vec![true; ROWS * width],
        }
    }

    /// Reads the rows of the next page, which stays pinned; false at the end.
    unsafe fn read(&mut self, scan: &Scan) -> bool {
        // SAFETY: the scan has begun. What a row holds stays in place while its page is pinned.
        unsafe {
            let places = self.follow(scan);
            if places == 0 {
                return false;
            }
            self.buffer = guard::ReadBuffer(scan.relation, block_of(&self.places[0]));
            self.find_rows(scan, places);
            let width = self.width();
            for number in 0..self.count {
                guard::heap_deform_tuple(
                    &mut self.rows[number],
                    self.descriptor,
                    self.values[number * width..].as_mut_ptr(),
                    self.nulls[number * width..].as_mut_ptr(),
                );
            }
            true
        }
    }

    /// Asks the index for places, as long as they are on one page; how many there are.
    unsafe fn follow(&mut self, scan: &Scan) -> usize {
        let mut count = 0;
        while count < ROWS && !self.is_last {
            // SAFETY: the scan has begun; the index keeps the place until it is asked for the next one.
            let place = self.next.take().or_else(|| unsafe {
                let forward = pg_sys::ScanDirection::ForwardScanDirection;
                guard::index_getnext_tid(scan.scan, forward).as_ref().copied()
            });
            let Some(place) = place else {
                self.is_last = true;
                break;
            };
            if count > 0 && block_of(&place) != block_of(&self.places[0]) {
                self.next = Some(place);
                break;
            }
            self.places[count] = place;
            count += 1;
        }
        count
    }

    /// Keeps the row versions that the snapshot sees at those places.
    unsafe fn find_rows(&mut self, scan: &Scan, places: usize) {
        self.count = 0;
        // SAFETY: the page is pinned, and locked while it is searched.
        unsafe {
            guard::LockBuffer(self.buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
            let snapshot = guard::GetActiveSnapshot();
            for place in &mut self.places[..places] {
                let row = &mut self.rows[self.count];
                let none = core::ptr::null_mut();
                let buffer = self.buffer;
                if guard::heap_hot_search_buffer(
                    place,
                    scan.relation,
                    buffer,
                    snapshot,
                    row,
                    none,
                    true,
                ) {
                    self.count += 1;
                }
            }
            guard::LockBuffer(self.buffer, pg_sys::BUFFER_LOCK_UNLOCK as i32);
        }
    }

    fn choose(&mut self, is_one: impl Fn(&PageRow<'_>) -> bool) {
        for number in 0..self.count {
            let is_chosen = is_one(&self.row(number));
            self.fate[number] = is_chosen.then_some(TM_Result::TM_Invisible);
        }
    }

    unsafe fn delete(&mut self, relation: &OpenTable, command: pg_sys::CommandId) {
        for number in 0..self.count {
            if let Some(fate) = &mut self.fate[number] {
                // SAFETY: the row was seen, and its page is pinned.
                *fate = unsafe { relation.delete_at(&mut self.rows[number].t_self, command) };
            }
        }
    }

    /// The rows that were chosen, and what became of each.
    fn chosen(&self) -> impl Iterator<Item = (PageRow<'_>, pg_sys::TM_Result::Type)> {
        (0..self.count).filter_map(|number| Some((self.row(number), self.fate[number]?)))
    }

    unsafe fn release(&mut self) {
        // SAFETY: `read` has pinned it.
        unsafe { guard::ReleaseBuffer(self.buffer) }
    }

    fn row(&self, number: usize) -> PageRow<'_> {
        let columns = number * self.width()..(number + 1) * self.width();
        PageRow { page: self, values: &self.values[columns.clone()], nulls: &self.nulls[columns] }
    }

    fn width(&self) -> usize {
        self.values.len() / ROWS
    }
}

fn block_of(place: &pg_sys::ItemPointerData) -> pg_sys::BlockNumber {
    u32::from(place.ip_blkid.bi_hi) << 16 | u32::from(place.ip_blkid.bi_lo)
}

/// A row of a page that is pinned.
pub struct PageRow<'a> {
    page: &'a Page<'a>,
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl Columns for PageRow<'_> {
    fn datum(&self, column: usize) -> Option<(pg_sys::Datum, pg_sys::Oid)> {
        let number = self.page.numbers[column];
        // SAFETY: the row was read whole.
        unsafe { column_of(self.page.descriptor, number, self.values, self.nulls) }
    }
}
