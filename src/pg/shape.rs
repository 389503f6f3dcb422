//! Whether a table is as simple as its rows' writer takes it to be.

use core::ffi::CStr;
use pgrx::pg_sys;
use std::ffi::CString;

/// A table that has columns, indexes, some CHECK constraints, and nothing else.
pub struct Shape<'a> {
    /// The columns that are written.
    pub columns: &'a [&'a CStr],
    /// Those of them that may be given NULL.
    pub nullable: &'a [&'a CStr],
    /// The CHECK constraints that hold for whatever is written, in terms of these columns.
    pub checks: &'a [&'a CStr],
}

/// The columns of a shape in a table.
#[derive(Debug)]
pub(super) struct WrittenColumns {
    /// Their numbers, in the shape's order.
    pub numbers: Vec<i32>,
    /// Whether a row is complete with them.
    pub are_all: bool,
}

impl Shape<'_> {
    /// Where the columns are in `table`. `None` if there is more to the table: triggers (which foreign
    /// keys are, too), rules, generated columns, other constraints, partition bounds, another replica
    /// identity.
    pub(super) fn columns_of(&self, table: pg_sys::Oid) -> Option<WrittenColumns> {
        // SAFETY: the relation is closed again.
        unsafe {
            let lock = pg_sys::AccessShareLock as i32;
            let relation = pg_sys::try_relation_open(table, lock);
            if relation.is_null() {
                return None;
            }
            let columns = is_plain(relation).then(|| self.match_columns(&all_columns(relation)));
            let columns = columns.flatten().filter(|_| has_only_checks(relation, self.checks));
            pg_sys::relation_close(relation, lock);
            columns
        }
    }

    fn match_columns(&self, all: &[Column]) -> Option<WrittenColumns> {
        let number = |name: &&CStr| Some(all.iter().find(|column| column.name == *name)?.number);
        let numbers = self.columns.iter().map(number).collect::<Option<Vec<_>>>()?;
        let is_odd = |column: &Column| {
            column.is_generated
                || column.has_modifier
                || column.is_not_null && self.nullable.contains(&column.name.as_ref())
        };
        let are_all = all.len() == numbers.len() && !all.iter().any(|column| column.has_default);
        (!all.iter().any(is_odd)).then_some(WrittenColumns { numbers, are_all })
    }
}

unsafe fn is_plain(relation: pg_sys::Relation) -> bool {
    // SAFETY: the relation is open.
    let form = unsafe { &*(*relation).rd_rel };
    !form.relhastriggers
        && !form.relhasrules
        && !form.relispartition
        && form.relreplident == pg_sys::REPLICA_IDENTITY_DEFAULT as core::ffi::c_char
}

unsafe fn all_columns(relation: pg_sys::Relation) -> Vec<Column> {
    // SAFETY: the relation is open and has so many columns.
    unsafe {
        let numbers = 1..=(*(*relation).rd_rel).relnatts;
        numbers.filter_map(|number| Column::read((*relation).rd_id, number)).collect()
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
