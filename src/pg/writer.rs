//! Adds a row, or replaces columns of one that was found before, without the executor.
//!
//! An UPDATE looks the row up once more, and the start of its plan, like that of an INSERT, reads
//! the table's constraints from their text each time. Where a table has nothing but columns, indexes
//! and constraints that the caller keeps, a write is a row version and, unless it is HOT, entries in
//! the indexes.

use super::compat;
use super::spi::{Address, Value};
use super::unguarded::guarded;
use core::ffi::CStr;
use pgrx::pg_sys;
use std::ffi::CString;

/// What a table is like whose rows can be written this way.
pub struct Shape<'a> {
    /// The columns that are written.
    pub columns: &'a [&'a CStr],
    /// Those of them that may be given NULL.
    pub nullable: &'a [&'a CStr],
    /// The CHECK constraints that hold for whatever is written, in terms of these columns.
    pub checks: &'a [&'a CStr],
}

/// How to write a table's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWriter {
    table: pg_sys::Oid,
    attributes: Vec<i32>,
    /// Whether a row is complete with these columns.
    may_insert: bool,
}

impl RowWriter {
    /// Writes the columns of `shape` in `table`, an ordinary table. `None` where there is more to it:
    /// triggers (which foreign keys are, too), rules, generated columns, other constraints, partition
    /// bounds, another replica identity.
    pub fn new(table: pg_sys::Oid, shape: &Shape<'_>) -> Option<Self> {
        // SAFETY: the relation is closed again; what it points to is checked.
        unsafe {
            let lock = pg_sys::AccessShareLock as i32;
            let relation = pg_sys::try_relation_open(table, lock);
            if relation.is_null() {
                return None;
            }
            let form = &*(*relation).rd_rel;
            let is_plain = !form.relhastriggers
                && !form.relhasrules
                && !form.relispartition
                && form.relreplident == pg_sys::REPLICA_IDENTITY_DEFAULT as core::ffi::c_char;
            let columns = (1..=form.relnatts).filter_map(|number| Column::read(table, number));
            let columns: Vec<_> = columns.collect();
            let writer = is_plain.then(|| Self::with(table, shape, &columns)).flatten();
            let writer = writer.filter(|_| has_only_checks(relation, shape.checks));
            pg_sys::relation_close(relation, lock);
            writer
        }
    }

    fn with(table: pg_sys::Oid, shape: &Shape<'_>, columns: &[Column]) -> Option<Self> {
        let number = |name: &&CStr| Some(columns.iter().find(|c| c.name == *name)?.number);
        let attributes = shape.columns.iter().map(number).collect::<Option<Vec<_>>>()?;
        let is_odd = |column: &Column| {
            column.is_generated
                || column.has_modifier
                || column.is_not_null && shape.nullable.contains(&column.name.as_ref())
        };
        let may_insert =
            columns.len() == attributes.len() && !columns.iter().any(|column| column.has_default);
        (!columns.iter().any(is_odd)).then_some(Self { table, attributes, may_insert })
    }

    /// Adds a row whose other columns are NULL. Nothing is added where the table has columns that
    /// want more than that, or if another row has, or may be about to have, its primary key: false.
    ///
    /// The table must be locked for writing. `is_fresh` promises that no other row has that key.
    pub fn insert<'a>(
        &self,
        row: impl IntoIterator<Item = (usize, Value<'a>)>,
        is_fresh: bool,
    ) -> bool {
        if !self.may_insert {
            return false;
        }
        // SAFETY: the row is built with the table's own columns.
        unsafe {
            let relation = pg_sys::table_open(self.table, pg_sys::NoLock as i32);
            let row = self.form(relation, row);
            let is_added = if is_fresh {
                add(relation, row, 0, core::ptr::null_mut())
            } else {
                add_speculatively(relation, row)
            };
            pg_sys::heap_freetuple(row);
            pg_sys::table_close(relation, pg_sys::NoLock as i32);
            is_added
        }
    }

    unsafe fn form<'a>(
        &self,
        relation: pg_sys::Relation,
        row: impl IntoIterator<Item = (usize, Value<'a>)>,
    ) -> pg_sys::HeapTuple {
        // SAFETY: there is a value for each of the relation's columns.
        unsafe {
            let columns = (*relation).rd_att;
            let count = (*columns).natts as usize;
            let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); count], vec![true; count]);
            for (column, value) in row {
                let index = self.attributes[column] as usize - 1;
                let datum = value.datum();
                nulls[index] = datum.is_none();
                values[index] = datum.unwrap_or(pg_sys::Datum::null());
            }
            pg_sys::heap_form_tuple(columns, values.as_mut_ptr(), nulls.as_mut_ptr())
        }
    }

    /// Gives columns of the row version at `address` new values, if it is still the latest one;
    /// else, or if others hold the row and `waits` is false, nothing changes: false.
    ///
    /// The table must be locked for writing, and a snapshot must be active that sees this version,
    /// so that the address is not used again.
    pub fn update<'a>(
        &self,
        address: Address,
        changes: impl IntoIterator<Item = (usize, Value<'a>)>,
        waits: bool,
    ) -> bool {
        let (mut columns, mut values, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in changes {
            let datum = value.datum();
            columns.push(self.attributes[column]);
            nulls.push(datum.is_none());
            values.push(datum.unwrap_or(pg_sys::Datum::null()));
        }
        // SAFETY: the steps of `simple_heap_update`, but for what becomes of a row that others have
        // changed, and then those of the executor for its indexes.
        unsafe {
            let relation = pg_sys::table_open(self.table, pg_sys::NoLock as i32);
            pg_sys::CheckCmdReplicaIdentity(relation, pg_sys::CmdType::CMD_UPDATE);
            let mut old = pg_sys::HeapTupleData { t_self: address.into(), ..Default::default() };
            let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
            let any = &raw mut pg_sys::SnapshotAnyData;
            let mut is_done = pg_sys::heap_fetch(relation, any, &mut old, &mut buffer, false);
            if is_done {
                let new = pg_sys::heap_modify_tuple_by_cols(
                    &mut old,
                    (*relation).rd_att,
                    columns.len() as i32,
                    columns.as_mut_ptr(),
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
                pg_sys::ReleaseBuffer(buffer);
                let updated = compat::update_row(relation, &mut old.t_self, new, waits);
                is_done = updated.is_some();
                if let Some(indexes) = updated.filter(|indexes| indexes.need_entries) {
                    insert_index_entries(relation, new, indexes, core::ptr::null_mut());
                }
                pg_sys::heap_freetuple(new);
            }
            pg_sys::table_close(relation, pg_sys::NoLock as i32);
            is_done
        }
    }
}

/// The steps of `simple_table_tuple_insert`, and then those of the executor for the indexes; false if
/// the row conflicts with another in one of `arbiters`.
unsafe fn add(
    relation: pg_sys::Relation,
    row: pg_sys::HeapTuple,
    options: u32,
    arbiters: *mut pg_sys::List,
) -> bool {
    // SAFETY: the relation is open and locked for writing, the row one of it.
    unsafe {
        let command = pg_sys::GetCurrentCommandId(true);
        pg_sys::heap_insert(relation, row, command, options as i32, core::ptr::null_mut());
        !insert_index_entries(relation, row, compat::Indexes::ALL, arbiters)
    }
}

/// The steps of `ExecInsert` for an INSERT with ON CONFLICT, but that a conflict is not looked at.
unsafe fn add_speculatively(relation: pg_sys::Relation, row: pg_sys::HeapTuple) -> bool {
    // SAFETY: as for `add`. After an error the abort releases the lock.
    unsafe {
        let transaction = pg_sys::GetCurrentTransactionId();
        let token = pg_sys::SpeculativeInsertionLockAcquire(transaction);
        // `HeapTupleHeaderSetSpeculativeToken`
        (*(*row).t_data).t_ctid = pg_sys::ItemPointerData {
            ip_blkid: pg_sys::BlockIdData { bi_hi: (token >> 16) as u16, bi_lo: token as u16 },
            ip_posid: pg_sys::SpecTokenOffsetNumber as u16,
        };
        let key = guarded(|| compat::primary_key(relation));
        let arbiters = pg_sys::lappend_oid(core::ptr::null_mut(), key);
        let is_added = add(relation, row, pg_sys::HEAP_INSERT_SPECULATIVE, arbiters);
        if is_added {
            pg_sys::heap_finish_speculative(relation, &mut (*row).t_self);
        } else {
            pg_sys::heap_abort_speculative(relation, &mut (*row).t_self);
        }
        pg_sys::SpeculativeInsertionLockRelease(transaction);
        is_added
    }
}

/// A column as the catalog describes it.
struct Column {
    number: i32,
    name: CString,
    is_not_null: bool,
    is_generated: bool,
    /// A precision, to which values would be rounded.
    has_modifier: bool,
    /// A default expression, or an identity's sequence.
    has_default: bool,
}

impl Column {
    /// `None` if it was dropped.
    unsafe fn read(table: pg_sys::Oid, number: i16) -> Option<Self> {
        // SAFETY: a look-up in the system cache; the tuple is released after it was read.
        unsafe {
            let cache = pg_sys::SysCacheIdentifier::ATTNUM as i32;
            let tuple = pg_sys::SearchSysCache2(cache, table.into(), number.into());
            if tuple.is_null() {
                return None;
            }
            let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_attribute>();
            let column = (!form.attisdropped).then(|| Self {
                number: number.into(),
                name: CStr::from_ptr(form.attname.data.as_ptr()).to_owned(),
                is_not_null: form.attnotnull,
                is_generated: form.attgenerated != 0,
                has_modifier: form.atttypmod >= 0,
                has_default: form.atthasdef || form.attidentity != 0,
            });
            pg_sys::ReleaseSysCache(tuple);
            column
        }
    }
}

/// Whether each CHECK constraint of a table says the same as one of `known`.
unsafe fn has_only_checks(relation: pg_sys::Relation, known: &[&CStr]) -> bool {
    // SAFETY: the relation is open and has the columns that are named in `known`; there are so many
    // constraints, each with an expression.
    unsafe {
        let constraints = (*(*relation).rd_att).constr;
        if constraints.is_null() {
            return true;
        }
        let known: Vec<_> = known.iter().map(|check| parse_check(relation, check)).collect();
        (0..usize::from((*constraints).num_check)).all(|index| {
            let check = pg_sys::stringToNode((*(*constraints).check.add(index)).ccbin);
            known.iter().any(|&known| pg_sys::equal(check, known.cast()))
        })
    }
}

/// The steps of `cookConstraint`.
unsafe fn parse_check(relation: pg_sys::Relation, check: &CStr) -> *mut pg_sys::Node {
    // SAFETY: an expression is parsed into a statement with one target.
    unsafe {
        let none = core::ptr::null_mut();
        let state = pg_sys::make_parsestate(none);
        let lock = pg_sys::AccessShareLock as i32;
        let table = pg_sys::addRangeTableEntryForRelation(
            state,
            relation,
            lock,
            core::ptr::null_mut(),
            false,
            true,
        );
        pg_sys::addNSItemToQuery(state, table, true, true, true);
        let expression = pg_sys::RawParseMode::RAW_PARSE_PLPGSQL_EXPR;
        let parsed = pg_sys::raw_parser(check.as_ptr(), expression);
        let statement = (*pg_sys::list_nth(parsed, 0).cast::<pg_sys::RawStmt>()).stmt;
        let targets = (*statement.cast::<pg_sys::SelectStmt>()).targetList;
        let target = pg_sys::list_nth(targets, 0).cast::<pg_sys::ResTarget>();
        let kind = pg_sys::ParseExprKind::EXPR_KIND_CHECK_CONSTRAINT;
        let check = pg_sys::transformExpr(state, (*target).val, kind);
        pg_sys::assign_expr_collations(state, check);
        pg_sys::free_parsestate(state);
        check
    }
}

/// Enters a row version into the indexes, as the executor does after an INSERT or UPDATE; whether it
/// conflicts with another in one of `arbiters`.
unsafe fn insert_index_entries(
    relation: pg_sys::Relation,
    row: pg_sys::HeapTuple,
    indexes: compat::Indexes,
    arbiters: *mut pg_sys::List,
) -> bool {
    // SAFETY: everything that is made here is freed here; an error leaves it to the abort.
    unsafe {
        let state = pg_sys::CreateExecutorState();
        let mut table =
            pg_sys::ResultRelInfo { type_: pg_sys::NodeTag::T_ResultRelInfo, ..Default::default() };
        pg_sys::InitResultRelInfo(&mut table, relation, 0, core::ptr::null_mut(), 0);
        pg_sys::ExecOpenIndices(&mut table, !arbiters.is_null());
        let slot = pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &pg_sys::TTSOpsHeapTuple);
        pg_sys::ExecStoreHeapTuple(row, slot, false);
        let conflicts = compat::insert_index_entries(&mut table, slot, state, indexes, arbiters);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::ExecCloseIndices(&mut table);
        pg_sys::FreeExecutorState(state);
        conflicts
    }
}
