//! Kept plans, run one statement a call.
//!
//! pgrx's own SPI client assigns a transaction id even to a SELECT that follows no write, and
//! copies arguments and results through the heap; this one does neither.

use super::guard;
use super::guc::SettingsLevel;
use super::{Columns, Rights, Value};
use core::ffi::c_char;
use core::marker::PhantomData;
use core::ptr::NonNull;
use pgrx::pg_sys;
use std::ffi::CString;

/// More than any statement takes.
const MAX_ARGS: usize = 32;
/// More than any statement returns.
const MAX_COLUMNS: usize = 16;

/// Whether a statement only looks, with the caller's snapshot, or sees and makes changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Sees what the calling statement sees; assigns no transaction id.
    ReadOnly,
    /// Takes a fresh snapshot, which includes what this transaction wrote before.
    ReadWrite,
    /// Takes one of what is committed by now, also where all statements of the transaction see what the
    /// first one saw.
    Latest,
}

/// A plan that outlives the transaction; freed when dropped.
pub struct Plan {
    plan: NonNull<pg_sys::_SPI_plan>,
    /// Those of its parameters.
    types: Box<[pg_sys::Oid]>,
}

impl Plan {
    /// Has it planned, if it is not or no longer, by the index: a plan made while the table was small
    /// would read all of it when it has grown.
    fn make(&self) {
        // SAFETY: the plan lives, and a connection to SPI is open.
        unsafe {
            if self.is_made() {
                return;
            }
            let settings = SettingsLevel::begin();
            settings.set(c"enable_seqscan", c"off");
            // Where there is no index, that looks so expensive as to be worth compiling.
            settings.set(c"jit", c"off");
            let made = pg_sys::SPI_plan_get_cached_plan(self.plan.as_ptr());
            if !made.is_null() {
                pg_sys::ReleaseCachedPlan(made, pg_sys::CurrentResourceOwner);
            }
        }
    }

    unsafe fn is_made(&self) -> bool {
        // SAFETY: a statement that was prepared has a source for each query.
        unsafe {
            let sources = pg_sys::SPI_plan_get_plan_sources(self.plan.as_ptr());
            let source = pg_sys::list_nth(sources, 0).cast::<pg_sys::CachedPlanSource>();
            let plan = (*source).gplan;
            (*source).is_valid && !plan.is_null() && (*plan).is_valid
        }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: the plan was kept by SPI_keepplan and is freed once.
        unsafe { pg_sys::SPI_freeplan(self.plan.as_ptr()) };
    }
}

/// A connection to the SPI manager.
pub struct Connection(());

impl Rights<'_> {
    /// Connects with these rights, runs `work`, and disconnects.
    pub fn connect<R>(&self, work: impl FnOnce(&Connection) -> R) -> R {
        // SAFETY: paired with SPI_finish in Drop; an error in between is cleaned up by the abort.
        // Rights borrow from a call, which keeps a snapshot active.
        unsafe { pg_sys::SPI_connect() };
        let connection = Connection(());
        work(&connection)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // After an error a connection opened below ours may still stand above it on SPI's stack,
        // and SPI_finish would close that one: leave it all to the abort.
        if !std::thread::panicking() {
            // SAFETY: the matching SPI_connect is in `Rights::connect`.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}

impl Connection {
    /// Prepares `sql` for this and all later connections of the backend to SPI. It is planned once,
    /// whatever the arguments.
    pub fn prepare(&self, sql: &str, types: &[pg_sys::Oid]) -> Plan {
        let sql = CString::new(sql).expect("a statement has no NUL byte");
        let mut types = types.to_vec();
        // SAFETY: `types` lives through the call; SPI copies it and the text.
        let plan = unsafe {
            pg_sys::SPI_prepare_cursor(
                sql.as_ptr(),
                types.len() as i32,
                types.as_mut_ptr(),
                pg_sys::CURSOR_OPT_GENERIC_PLAN as i32,
            )
        };
        let plan = NonNull::new(plan).expect("a statement of ours is valid");
        // SAFETY: `plan` was just made by SPI_prepare.
        let kept = unsafe { pg_sys::SPI_keepplan(plan.as_ptr()) };
        assert_eq!(kept, 0, "SPI_keepplan");
        Plan { plan, types: types.into() }
    }

    /// Runs a plan to its end.
    pub fn execute<'a>(
        &self,
        plan: &Plan,
        args: impl IntoIterator<Item = Value<'a>>,
        access: Access,
    ) -> Rows<'_> {
        let mut parameters = Parameters::of(plan, args);
        plan.make();
        // SAFETY: there are as many parameters as the plan has, each of its type or NULL.
        let status = unsafe {
            let snapshot = match access {
                Access::Latest => pg_sys::GetLatestSnapshot(),
                Access::ReadOnly | Access::ReadWrite => core::ptr::null_mut(), // by SPI itself
            };
            pg_sys::SPI_execute_snapshot(
                plan.plan.as_ptr(),
                parameters.values.as_mut_ptr(),
                parameters.nulls.as_ptr(),
                snapshot,
                core::ptr::null_mut(),
                access == Access::ReadOnly,
                true,
                0,
            )
        };
        assert!(status >= 0, "SPI_execute_snapshot returned {status}");
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
        let mut parameters = Parameters::of(plan, args);
        plan.make();
        // SAFETY: as in `execute`; the portal is closed below, or with the transaction.
        let portal = unsafe {
            pg_sys::SPI_cursor_open(
                core::ptr::null(),
                plan.plan.as_ptr(),
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
    /// Those that the plan takes; the ones that are left out are NULL.
    fn of<'a>(plan: &Plan, args: impl IntoIterator<Item = Value<'a>>) -> Self {
        let mut parameters =
            Self { values: [pg_sys::Datum::null(); MAX_ARGS], nulls: [b'n' as c_char; MAX_ARGS] };
        for (index, arg) in args.into_iter().enumerate() {
            if let Some(datum) = arg.datum_of(plan.types[index]) {
                parameters.values[index] = datum;
                parameters.nulls[index] = b' ' as c_char;
            }
        }
        parameters
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

    /// The rows returned.
    pub fn iter(&self) -> impl Iterator<Item = Row<'c>> + use<'c> {
        let table = self.table;
        let count = table.map_or(0, |_| self.processed as usize);
        (0..count).filter_map(move |index| {
            // SAFETY: a tuple table holds as many tuples as were processed, alive until it is
            // freed or SPI finishes.
            unsafe {
                let table = table?.as_ref();
                Some(Row::of(*table.vals.add(index), table.tupdesc))
            }
        })
    }
}

/// One row of a result.
#[derive(Clone, Copy)]
pub struct Row<'c> {
    values: [pg_sys::Datum; MAX_COLUMNS],
    nulls: [bool; MAX_COLUMNS],
    descriptor: pg_sys::TupleDesc,
    connection: PhantomData<&'c Connection>,
}

impl Row<'_> {
    /// Finds all columns at once: one by one each would be looked for from the first on.
    unsafe fn of(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Self {
        let (mut values, mut nulls) = ([pg_sys::Datum::null(); MAX_COLUMNS], [true; MAX_COLUMNS]);
        // SAFETY: tuple and descriptor are of one result, and alive.
        unsafe {
            assert!((*descriptor).natts as usize <= MAX_COLUMNS, "a row of more columns");
            guard::heap_deform_tuple(tuple, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
        }
        Self { values, nulls, descriptor, connection: PhantomData }
    }
}

impl Columns for Row<'_> {
    fn datum(&self, column: usize) -> Option<(pg_sys::Datum, pg_sys::Oid)> {
        if self.nulls[column] {
            return None;
        }
        // SAFETY: the descriptor is alive while the connection is.
        let kind = unsafe { guard::SPI_gettypeid(self.descriptor, column as i32 + 1) };
        Some((self.values[column], kind))
    }
}
