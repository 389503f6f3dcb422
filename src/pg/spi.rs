//! Kept plans, run one statement a call.
//!
//! pgrx's own SPI client assigns a transaction id even to a SELECT that follows no write, and
//! copies arguments and results through the heap; this one does neither.

use super::row::Columns;
use crate::lifetime::Timestamp;
use core::ffi::c_char;
use core::marker::PhantomData;
use core::ptr::NonNull;
use pgrx::{IntoDatum, pg_sys};
use std::ffi::CString;

/// More than any statement of ours takes.
const MAX_ARGS: usize = 16;

/// Whether a statement only looks, with the caller's snapshot, or sees and makes changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Sees what the calling statement sees; assigns no transaction id.
    ReadOnly,
    /// Takes a fresh snapshot, which includes what this transaction wrote before.
    ReadWrite,
}

/// Where a row version is in the table (`ctid`); ordered as on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(u64);

impl From<pg_sys::ItemPointerData> for Address {
    fn from(tid: pg_sys::ItemPointerData) -> Self {
        Self(pgrx::itemptr::item_pointer_to_u64(tid))
    }
}

impl From<Address> for pg_sys::ItemPointerData {
    fn from(address: Address) -> Self {
        let (block, offset) = pgrx::itemptr::u64_to_item_pointer_parts(address.0);
        let ip_blkid = pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 };
        Self { ip_blkid, ip_posid: offset }
    }
}

/// A statement's argument.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `bytea`
    Bytes(&'a [u8]),
    /// `bigint`
    Int8(i64),
    /// `integer`
    Int4(i32),
    /// `timestamptz`
    Time(Timestamp),
    /// `text`
    Text(&'a str),
    /// `tid[]`
    Addresses(&'a [Address]),
    /// NULL of whatever type
    Null,
}

impl Value<'_> {
    /// The datum; bytes are copied to the current memory context.
    pub(super) fn datum(self) -> Option<pg_sys::Datum> {
        match self {
            Value::Bytes(bytes) => bytes.into_datum(),
            Value::Int8(value) => value.into_datum(),
            Value::Int4(value) => value.into_datum(),
            Value::Time(Timestamp(value)) => value.into_datum(),
            Value::Text(text) => text.into_datum(),
            Value::Addresses(addresses) => {
                let tids = addresses.iter().copied().map(pg_sys::ItemPointerData::from);
                tids.collect::<Vec<_>>().into_datum()
            }
            Value::Null => None,
        }
    }
}

/// A plan that outlives the transaction; freed when dropped.
pub struct Plan(NonNull<pg_sys::_SPI_plan>);

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: the plan was kept by SPI_keepplan and is freed once.
        unsafe { pg_sys::SPI_freeplan(self.0.as_ptr()) };
    }
}

/// A connection to the SPI manager.
pub struct Connection(());

/// Connects, runs `work`, and disconnects.
pub fn connect<R>(work: impl FnOnce(&Connection) -> R) -> R {
    // SAFETY: paired with SPI_finish in Drop; an error in between is cleaned up by the abort.
    unsafe { pg_sys::SPI_connect() };
    let connection = Connection(());
    work(&connection)
}

impl Drop for Connection {
    fn drop(&mut self) {
        // After an error a connection opened below ours may still stand above it on SPI's stack,
        // and SPI_finish would close that one: leave it all to the abort.
        if !std::thread::panicking() {
            // SAFETY: the matching SPI_connect is in `connect`.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}

impl Connection {
    /// Prepares `sql` for this and all later connections of the backend to SPI.
    pub fn prepare(&self, sql: &str, types: &[pg_sys::Oid]) -> Plan {
        let sql = CString::new(sql).expect("a statement has no NUL byte");
        let mut types = types.to_vec();
        // SAFETY: `types` lives through the call; SPI copies it and the text.
        let plan =
            unsafe { pg_sys::SPI_prepare(sql.as_ptr(), types.len() as i32, types.as_mut_ptr()) };
        let plan = NonNull::new(plan).expect("a statement of ours is valid");
        // SAFETY: `plan` was just made by SPI_prepare.
        let kept = unsafe { pg_sys::SPI_keepplan(plan.as_ptr()) };
        assert_eq!(kept, 0, "SPI_keepplan");
        Plan(plan)
    }

    /// Runs a plan to its end.
    pub fn execute<'a>(
        &self,
        plan: &Plan,
        args: impl IntoIterator<Item = Value<'a>>,
        access: Access,
    ) -> Rows<'_> {
        let mut parameters = Parameters::from(args);
        let _planner = PlannerSettings::begin();
        // SAFETY: there are at least as many parameters as the plan has.
        let status = unsafe {
            pg_sys::SPI_execute_plan(
                plan.0.as_ptr(),
                parameters.values.as_mut_ptr(),
                parameters.nulls.as_ptr(),
                access == Access::ReadOnly,
                0,
            )
        };
        assert!(status >= 0, "SPI_execute_plan returned {status}");
        Rows::current()
    }

    /// Runs a query row by row, in bounded memory, until `each` returns false.
    pub fn for_each<'a>(
        &self,
        plan: &Plan,
        args: impl IntoIterator<Item = Value<'a>>,
        mut each: impl FnMut(Row<'_>) -> bool,
    ) {
        const FETCH: core::ffi::c_long = 1_000;
        let mut parameters = Parameters::from(args);
        let _planner = PlannerSettings::begin();
        // SAFETY: as in `execute`; the portal is closed below, or with the transaction.
        let portal = unsafe {
            pg_sys::SPI_cursor_open(
                core::ptr::null(),
                plan.0.as_ptr(),
                parameters.values.as_mut_ptr(),
                parameters.nulls.as_ptr(),
                true,
            )
        };
        loop {
            // SAFETY: the portal is open; SPI puts the rows into a new table each time.
            unsafe { pg_sys::SPI_cursor_fetch(portal, true, FETCH) };
            let rows = Rows::current();
            let wants_more = rows.count() > 0 && rows.iter().all(&mut each);
            // SAFETY: no row of this table is used any more.
            unsafe { pg_sys::SPI_freetuptable(pg_sys::SPI_tuptable) };
            if !wants_more {
                break;
            }
        }
        // SAFETY: opened above.
        unsafe { pg_sys::SPI_cursor_close(portal) };
    }
}

/// Arguments in the form that SPI takes.
struct Parameters {
    values: [pg_sys::Datum; MAX_ARGS],
    nulls: [c_char; MAX_ARGS],
}

impl Parameters {
    fn from<'a>(args: impl IntoIterator<Item = Value<'a>>) -> Self {
        let mut parameters =
            Self { values: [pg_sys::Datum::null(); MAX_ARGS], nulls: [b' ' as c_char; MAX_ARGS] };
        for (index, arg) in args.into_iter().enumerate() {
            match arg.datum() {
                Some(datum) => parameters.values[index] = datum,
                None => parameters.nulls[index] = b'n' as c_char,
            }
        }
        parameters
    }
}

/// Has every plan made once, and by the index: a plan made while the table was small would read all
/// of it when it has grown. Set as variables, for `SET LOCAL` would cost as much as a look-up.
struct PlannerSettings {
    enable_seqscan: bool,
    plan_cache_mode: core::ffi::c_int,
}

impl PlannerSettings {
    fn begin() -> Self {
        // SAFETY: variables of the backend's only thread; Drop puts them back.
        unsafe {
            let before = Self {
                enable_seqscan: pg_sys::enable_seqscan,
                plan_cache_mode: pg_sys::plan_cache_mode,
            };
            pg_sys::enable_seqscan = false;
            pg_sys::plan_cache_mode =
                pg_sys::PlanCacheMode::PLAN_CACHE_MODE_FORCE_GENERIC_PLAN as core::ffi::c_int;
            before
        }
    }
}

impl Drop for PlannerSettings {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            pg_sys::enable_seqscan = self.enable_seqscan;
            pg_sys::plan_cache_mode = self.plan_cache_mode;
        }
    }
}

/// What a statement returned; valid while the connection is.
pub struct Rows<'c> {
    table: Option<NonNull<pg_sys::SPITupleTable>>,
    processed: u64,
    connection: PhantomData<&'c Connection>,
}

impl<'c> Rows<'c> {
    /// What the last statement of this connection returned.
    fn current() -> Self {
        // SAFETY: reads SPI's variables in the backend's only thread.
        let (table, processed) = unsafe { (pg_sys::SPI_tuptable, pg_sys::SPI_processed) };
        Rows { table: NonNull::new(table), processed, connection: PhantomData }
    }

    /// Rows returned or changed.
    pub fn count(&self) -> u64 {
        self.processed
    }

    /// The first row returned.
    pub fn first(&self) -> Option<Row<'c>> {
        self.iter().next()
    }

    fn iter(&self) -> impl Iterator<Item = Row<'c>> + use<'c> {
        let table = self.table;
        let count = table.map_or(0, |_| self.processed as usize);
        (0..count).filter_map(move |index| {
            // SAFETY: a tuple table holds as many tuples as were processed, alive until it is
            // freed or SPI finishes.
            let (tuple, descriptor) = unsafe {
                let table = table?.as_ref();
                (*table.vals.add(index), table.tupdesc)
            };
            Some(Row { tuple, descriptor, connection: PhantomData })
        })
    }
}

/// One row of a result.
#[derive(Clone, Copy)]
pub struct Row<'c> {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
    connection: PhantomData<&'c Connection>,
}

impl Columns for Row<'_> {
    fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: tuple and descriptor are of one result and alive while the connection is.
        let datum = unsafe {
            pg_sys::SPI_getbinval(self.tuple, self.descriptor, column as i32 + 1, &mut is_null)
        };
        (!is_null).then_some(datum)
    }
}
