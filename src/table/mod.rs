//! The table: where it is, and everything that reads or writes its rows.
//!
//! There are two ways to a row, the [`direct`] one and the one by [`sql`]; [`OpenTable::way`] chooses.
//! What is known of the table, and the plans of the statements, are kept for the life of the connection
//! and looked up again only after PostgreSQL has said that something may have changed.

mod columns;
mod direct;
mod open;
mod rows;
mod run;
mod session;
mod slide;
mod sql;
mod statements;
mod sweep;

pub use columns::{Changes, Session};
pub use open::{Look, OpenTable};
pub use session::Found;

use crate::error::{Error, Result};
use crate::pg::{self, Lock, PlainTable, Plan, TableName};
use core::ffi::CStr;
use pgrx::pg_sys::{self, Oid};
use statements::Statement;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

const NAME: &CStr = c"session";

thread_local! {
    static OPENED: RefCell<Option<Rc<Table>>> = const { RefCell::new(None) };
    /// Whether `OPENED` still describes the catalog.
    static IS_CURRENT: Cell<bool> = const { Cell::new(false) };
}

/// Has the table looked up again after a change of the catalog that concerns it, and follows
/// transactions. Called once, when the library is loaded.
pub fn init() {
    pg::on_transaction_event(slide::follow);
    pg::on_catalog_change(|relation| {
        let concerns_us = OPENED.with(|opened| {
            // While it is borrowed or absent it is being looked up, so look again afterwards.
            let Ok(opened) = opened.try_borrow() else { return true };
            let Some(ours) = opened.as_ref() else { return true };
            relation.is_none_or(|relation| relation == ours.name.table)
        });
        if concerns_us {
            IS_CURRENT.set(false);
        }
    });
}

/// What is known of the extension's table in the current database.
pub struct Table {
    name: TableName,
    /// The transaction that changed its definition last, maybe rewriting the rows.
    changed_by: pg_sys::TransactionId,
    /// The direct way, if the table is one for it.
    plain: Option<PlainTable>,
    /// The functions that people have attached to it, and whether a query may run them, too.
    functions: OnceCell<Vec<(Oid, bool)>>,
    plans: Rc<Plans>,
}

type Plans = RefCell<Vec<(Statement, Rc<Plan>)>>;

impl Table {
    /// The description of the table that is locked, if `find` still finds it. What was kept of it stays as
    /// long as it has not moved.
    fn describe(
        find: impl FnOnce() -> Option<TableName>,
        lock: &Lock<'_>,
    ) -> Result<Option<Rc<Table>>> {
        // An error on the way must not leave behind what is out of date.
        let before = OPENED.take();
        // Set first: a change during the look-up must not go unnoticed.
        IS_CURRENT.set(true);
        let Some(name) = find().filter(|name| name.table == lock.table()) else { return Ok(None) };
        let changed_by = pg::last_change_of_table(name.table).ok_or(Error::NoTable)?;
        // A statement checks the owner's rights; the direct way relies on them.
        let may_write = pg::owner_may_write(&name);
        let plain = PlainTable::new(lock, &columns::LAYOUT).filter(|_| may_write);
        // The owner can put another table or a view in place of ours.
        let columns = columns::COLUMNS.iter().map(|column| (column.name, column.kind));
        let system = [(c"ctid", pg_sys::TIDOID)];
        if plain.is_none() && !pg::has_types(name.table, columns.chain(system)) {
            return Err(Error::AlteredTable);
        }
        // PostgreSQL itself keeps plans in step with the table; only a new name makes them useless.
        let before = before.filter(|table| table.name == name);
        let table = Rc::new(Table {
            changed_by,
            plain,
            functions: OnceCell::new(),
            plans: before.map_or_else(Default::default, |table| table.plans.clone()),
            name,
        });
        OPENED.set(Some(table.clone()));
        Ok(Some(table))
    }

    /// The description as it is now of a table that was known as `self` and is locked; `None` if it is
    /// no longer ours.
    fn under(&self, lock: &Lock<'_>) -> Option<Rc<Table>> {
        let is_same = |name: &TableName| name.table == self.name.table;
        let ours = Table::current().filter(|table| is_same(&table.name));
        let find = || pg::find_table(pg::schema_of_table(self.name.table), NAME);
        ours.or_else(|| Table::describe(find, lock).ok()?)
    }

    /// The table that was last opened.
    fn known() -> Oid {
        OPENED.with_borrow(|opened| opened.as_ref().map_or(Oid::INVALID, |table| table.name.table))
    }

    fn current() -> Option<Rc<Table>> {
        OPENED.with_borrow(Clone::clone).filter(|_| IS_CURRENT.get())
    }
}
