//! What the background worker does with the table.

use super::statements::{EXTENSION_SCHEMA, Statement};
use super::{NAME, OPENED, Table};
use crate::lifetime::Timestamp;
use crate::pg::{self, Access, Address, Columns, LockMode, Value};
use core::ffi::CStr;
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use std::rc::Rc;

const FIGURES: &CStr = c"session_sweep";

/// The figures of one sweep.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Rows that it removed.
    pub rows: i64,
}

impl Table {
    /// The table of the connected database; `None` if the extension is not there.
    pub fn of_database() -> Option<Rc<Table>> {
        let schema = pg::connect(|spi| {
            let plan = spi.prepare(EXTENSION_SCHEMA, &[]);
            spi.execute(&plan, [], Access::ReadWrite).first()?.oid(0)
        })?;
        // It may be dropped until it is locked; then it is not found again.
        pg::lock(pg::home_in(schema, NAME)?.table, LockMode::Write);
        let table = Table::at(pg::home_in(schema, NAME)?, OPENED.take());
        Some(table.map_err(ErrorReport::from).unwrap_or_report())
    }

    /// Addresses of sessions that expired from `from` to `to`, the earliest first, at most `most`;
    /// and how far that reached.
    pub fn expired(
        &self,
        from: Timestamp,
        to: Timestamp,
        most: usize,
    ) -> (Vec<Address>, Timestamp) {
        let (mut addresses, mut reached) = (Vec::new(), from);
        let args = [Value::Time(from), Value::Time(to)];
        self.for_each(Statement::Expired, args, |row| {
            addresses.extend(row.address(0));
            reached = row.time(1).unwrap_or(reached);
            addresses.len() < most
        });
        (addresses, reached)
    }

    /// Removes what is at these addresses, expired by `now` and not locked; how many.
    pub fn collect_at(&self, addresses: &[Address], now: Timestamp) -> i64 {
        let args = [Value::Addresses(addresses), Value::Time(now)];
        self.write(Statement::CollectAt, args) as i64
    }

    /// Adds a sweep to the statistics.
    pub fn record(&self, sweep: Sweep) {
        let args = [Value::Time(sweep.start), Value::Time(sweep.end), Value::Int8(sweep.rows)];
        self.keep(Statement::Record, args);
    }

    /// Keeps the message of a sweep that failed.
    pub fn record_error(&self, message: &str, at: Timestamp) {
        self.keep(Statement::RecordError, [Value::Text(message), Value::Time(at)]);
    }

    /// Writes to the table of the figures, which need not belong to the owner of the sessions.
    fn keep<'a>(&self, statement: Statement, args: impl IntoIterator<Item = Value<'a>>) {
        let figures = pg::home_beside(self.home.table, FIGURES);
        let owner = figures.map_or(self.home.owner, |figures| figures.owner);
        self.with_plan(owner, statement, |spi, plan| {
            spi.execute(plan, args, Access::ReadWrite);
        });
    }

    /// The process of the launcher.
    pub fn launcher(&self) -> Option<i32> {
        self.run(Statement::Launcher, [], Access::ReadWrite, |rows| rows.first()?.int4(0))
    }
}
