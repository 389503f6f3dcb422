//! Running statements on the table, with its owner's rights.

use super::statements::Statement;
use super::{OpenTable, Table};
use crate::error::Error;
use crate::pg::{self, Access, Columns, Plan, RowWrite, Value};
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::CaughtError::{self, ErrorReport, PostgresError, RustPanic};
use pgrx::{PgSqlErrorCode, PgTryBuilder};
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

thread_local! {
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

impl OpenTable<'_> {
    pub(super) fn write<'a>(
        &self,
        statement: Statement,
        args: impl IntoIterator<Item = Value<'a>>,
    ) -> RowWrite {
        RowWrite::of_count(self.change(statement, args))
    }

    /// Runs a statement that changes rows; how many it changed.
    pub(super) fn change<'a>(
        &self,
        statement: Statement,
        args: impl IntoIterator<Item = Value<'a>>,
    ) -> u64 {
        self.change_returning(statement, args, Access::ReadWrite, |rows| rows.count())
    }

    /// Runs a statement that changes rows and returns some.
    pub(super) fn change_returning<'a, R>(
        &self,
        statement: Statement,
        args: impl IntoIterator<Item = Value<'a>>,
        access: Access,
        read: impl FnOnce(pg::Rows<'_>) -> R,
    ) -> R {
        let _writing = Writing::begin();
        self.run(statement, args, access, read)
    }

    /// Code of a role that is no superuser must not run with the rights of an owner who is: a dump of a
    /// table that was handed over leaves such a role the right to put a trigger there. A query runs what
    /// the planner computes beforehand.
    fn refuse_code_of_others(&self, statement: Statement) {
        let is_plain = self.table.plain.as_ref().is_some_and(|plain| plain.is_writable())
            && !pg::has_statistics(&self.lock);
        if is_plain || statement.is_of_catalog() || !pg::is_superuser(self.table.name.owner) {
            return;
        }
        let functions = self.table.functions.get_or_init(|| self.functions());
        let is_theirs = |&&(function, in_queries): &&(Oid, bool)| {
            (in_queries || statement.is_a_change())
                && pg::owner_of_function(function).is_some_and(|owner| !pg::is_superuser(owner))
        };
        if functions.iter().any(|function| is_theirs(&function)) {
            Error::CodeOfOthers(self.table.which.name()).raise();
        }
    }

    fn functions(&self) -> Vec<(Oid, bool)> {
        let args = [Value::Oid(self.table.name.table)];
        self.run(Statement::Functions, args, Access::ReadWrite, |rows| {
            rows.iter().filter_map(|row| row.oid(0).zip(row.boolean(1))).collect()
        })
    }

    pub(super) fn run<'a, R>(
        &self,
        statement: Statement,
        args: impl IntoIterator<Item = Value<'a>>,
        access: Access,
        read: impl FnOnce(pg::Rows<'_>) -> R,
    ) -> R {
        self.with_plan(statement, |spi, plan| read(spi.execute(plan, args, access)))
    }

    /// Runs a query row by row until `each` returns false.
    pub(super) fn for_each<'a>(
        &self,
        statement: Statement,
        args: impl IntoIterator<Item = Value<'a>>,
        each: impl FnMut(pg::Row<'_>) -> bool,
    ) {
        self.with_plan(statement, |spi, plan| spi.for_each(plan, args, each));
    }

    fn with_plan<R>(
        &self,
        statement: Statement,
        work: impl FnOnce(&pg::Connection, &Plan) -> R,
    ) -> R {
        self.refuse_code_of_others(statement);
        let table = self.as_it_is();
        let rights = self.call.act_as(table.name.owner);
        let run = || {
            rights.connect(|spi| {
                let plan = plan(&table, spi, statement);
                work(spi, &plan)
            })
        };
        // A statement names the schema. Where it was renamed or dropped meanwhile, say so.
        let (schema, which) = (table.name.schema.trim_matches('"'), table.which);
        let say_so = |error: CaughtError| {
            let missing = format!("{schema}.{}\" does not exist", which.name().to_string_lossy());
            let (PostgresError(report) | ErrorReport(report) | RustPanic { ereport: report, .. }) =
                &error;
            match report.message().ends_with(&missing) || !which.is_current() {
                true => Error::TableChanged(which.name()).raise(),
                false => error.rethrow(),
            }
        };
        PgTryBuilder::new(AssertUnwindSafe(run))
            .catch_when(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, say_so)
            .catch_when(PgSqlErrorCode::ERRCODE_INVALID_SCHEMA_NAME, say_so)
            .execute()
    }

    /// The table under the name that it has by now.
    fn as_it_is(&self) -> Rc<Table> {
        pg::accept_invalidations();
        let changed =
            if self.table.which.is_current() { None } else { self.table.under(&self.lock) };
        changed.unwrap_or_else(|| self.table.clone())
    }
}

/// A statement that changes rows, under way until it is dropped.
struct Writing(bool);

impl Writing {
    fn begin() -> Self {
        Self(IS_WRITING.replace(true))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        IS_WRITING.set(self.0);
    }
}

/// Whether this call comes from a trigger or a function that runs with a write of ours. It must leave
/// the row alone that is being written.
pub(super) fn is_within_a_write() -> bool {
    IS_WRITING.get()
}

/// The plan of a statement, made by its first use.
fn plan(table: &Table, spi: &pg::Connection, statement: Statement) -> Rc<Plan> {
    let is_it = |(kept, _): &&(Statement, Rc<Plan>)| *kept == statement;
    if let Some((_, plan)) = table.plans.borrow().iter().find(is_it) {
        return plan.clone();
    }
    let plan = spi.prepare(&statement.text(&table.name.schema, table.lacks), &statement.types());
    let plan = Rc::new(plan);
    table.plans.borrow_mut().push((statement, plan.clone()));
    plan
}
