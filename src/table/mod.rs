//! The tables: where they are, and everything that reads or writes their rows.
//!
//! There are two ways to a session, the [`direct`] one and the one by [`sql`]; [`OpenTable::way`] chooses.
//! What is known of a table, and the plans of its statements, are kept for the life of the connection
//! and looked up again only after PostgreSQL has said that something may have changed.

mod columns;
mod direct;
mod moved;
mod open;
mod principal;
mod rows;
mod run;
mod session;
mod slide;
mod sql;
mod statements;
mod sweep;

pub use columns::{Changes, Session};
pub use moved::{MovedId, MovedIds};
pub use open::{Look, OpenTable};
pub use principal::Among;
pub use session::Found;

use crate::error::{Error, Result};
use crate::pg::{self, Column, Layout, Lock, PlainTable, Plan, TableName};
use core::ffi::CStr;
use pgrx::pg_sys::{self, Oid};
use statements::{Columns, Statement};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::thread::LocalKey;

/// One of the extension's tables.
#[derive(Clone, Copy)]
struct Which(&'static LocalKey<Known>);

/// What is known of it.
struct Known {
    name: &'static CStr,
    layout: &'static Layout,
    /// Whether there are versions without it.
    is_newer: bool,
    opened: RefCell<Option<Rc<Table>>>,
    /// Whether `opened` still describes the catalog.
    is_current: Cell<bool>,
}

impl Which {
    fn name(self) -> &'static CStr {
        self.0.with(|known| known.name)
    }

    /// The table in a schema.
    fn find(self, schema: Oid) -> Option<TableName> {
        let found = pg::find_table(schema, self.name())?;
        // Where the catalog is an older version's, anybody may have a table of a name that came later.
        let is_ours = !self.0.with(|known| known.is_newer) || pg::is_of_an_extension(found.table);
        is_ours.then_some(found)
    }

    /// The description that was last made, if it still holds.
    fn current(self) -> Option<Rc<Table>> {
        self.0.with(|known| known.opened.borrow().clone().filter(|_| known.is_current.get()))
    }

    fn is_current(self) -> bool {
        self.0.with(|known| known.is_current.get())
    }

    /// The table that was last opened.
    fn last(self) -> Oid {
        let of = |table: &Rc<Table>| table.name.table;
        self.0.with(|known| known.opened.borrow().as_ref().map_or(Oid::INVALID, of))
    }
}

impl Known {
    const fn new(name: &'static CStr, layout: &'static Layout, is_newer: bool) -> Self {
        Self { name, layout, is_newer, opened: RefCell::new(None), is_current: Cell::new(false) }
    }

    /// Takes note of a change of a relation, or of any.
    fn changed(&self, relation: Option<Oid>) {
        // While it is borrowed or absent it is being looked up, so look again afterwards.
        let concerns_us = self.opened.try_borrow().ok().is_none_or(|opened| {
            opened.as_ref().is_none_or(|ours| relation.is_none_or(|other| other == ours.name.table))
        });
        if concerns_us {
            self.is_current.set(false);
        }
    }
}

thread_local! {
    static KNOWN_SESSIONS: Known = const { Known::new(c"session", &columns::LAYOUT, false) };
    static KNOWN_MOVED: Known = const { Known::new(c"session_moved", &moved::LAYOUT, true) };
}

const SESSIONS: Which = Which(&KNOWN_SESSIONS);
const MOVED: Which = Which(&KNOWN_MOVED);

/// Has the tables looked up again after a change of the catalog that concerns them, and follows
/// transactions. Called once, when the library is loaded.
pub fn init() {
    pg::on_transaction_event(slide::follow);
    pg::on_catalog_change(|relation| {
        SESSIONS.0.with(|known| known.changed(relation));
        MOVED.0.with(|known| known.changed(relation));
    });
}

/// What is known of one of the extension's tables in the current database.
pub struct Table {
    which: Which,
    name: TableName,
    /// The transaction that changed its definition last, maybe rewriting the rows.
    changed_by: pg_sys::TransactionId,
    /// The columns of [`Layout`] that it lacks, being an older version's.
    lacks: Columns,
    /// Whether it has rules. Of one that did away with a statement nothing is left in its plan, not even that
    /// it has to be made anew when the rule is dropped.
    has_rules: bool,
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
        which: Which,
        find: impl FnOnce() -> Option<TableName>,
        lock: &Lock<'_>,
    ) -> Result<Option<Rc<Table>>> {
        // An error on the way must not leave behind what is out of date.
        let before = which.0.with(|known| known.opened.take());
        // Set first: a change during the look-up must not go unnoticed.
        which.0.with(|known| known.is_current.set(true));
        let Some(name) = find().filter(|name| name.table == lock.table()) else { return Ok(None) };
        let changed_by = pg::last_change_of_table(name.table);
        let changed_by = changed_by.ok_or_else(|| Error::NoTable(which.name()))?;
        // A statement checks the owner's rights; the direct way relies on them.
        let may_write = pg::owner_may_write(&name);
        let layout = which.0.with(|known| known.layout);
        let lacks = lacking(&name, layout);
        let plain = PlainTable::new(lock, layout, |column| lacks.has(column)).filter(|_| may_write);
        // The owner can put another table or a view in place of ours.
        let known = layout.columns.iter().enumerate().filter(|(at, _)| !lacks.has(*at));
        let columns = known.map(|(_, column)| (column.name, column.kind));
        let system = [(c"ctid", pg_sys::TIDOID)];
        if plain.is_none() && !pg::has_types(name.table, columns.chain(system)) {
            return Err(Error::AlteredTable(which.name()));
        }
        // PostgreSQL itself keeps plans in step with the table; only a new name makes them useless.
        let is_as_it_was =
            |before: &Rc<Table>| before.name == name && before.lacks == lacks && !before.has_rules;
        let before = before.filter(is_as_it_was);
        let table = Rc::new(Table {
            which,
            changed_by,
            lacks,
            has_rules: pg::has_rules(lock),
            plain,
            functions: OnceCell::new(),
            plans: before.map_or_else(Default::default, |table| table.plans.clone()),
            name,
        });
        which.0.with(|known| known.opened.replace(Some(table.clone())));
        Ok(Some(table))
    }

    /// The description as it is now of a table that was known as `self` and is locked; `None` if it is
    /// no longer ours.
    fn under(&self, lock: &Lock<'_>) -> Option<Rc<Table>> {
        let is_same = |name: &TableName| name.table == self.name.table;
        let ours = self.which.current().filter(|table| is_same(&table.name));
        let find = || self.which.find(pg::schema_of_table(self.name.table));
        ours.or_else(|| Table::describe(self.which, find, lock).ok()?)
    }
}

/// The newer columns, unless the table has them all: what people have added to an older one is not ours, whatever
/// its name.
fn lacking(table: &TableName, layout: &Layout) -> Columns {
    let newer = || layout.columns.iter().enumerate().filter(|(_, column)| column.is_newer);
    let is_there = |column: &Column| pg::column_type(table.table, column.name) == Some(column.kind);
    match newer().all(|(_, column)| is_there(column)) {
        true => Columns::default(),
        false => newer().map(|(at, _)| at).collect(),
    }
}
