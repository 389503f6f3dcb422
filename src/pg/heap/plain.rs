//! Whether a table is as simple as the direct way to its rows takes it to be.

use super::ColumnName;
use crate::pg::catalog::all_indexes;
use crate::pg::guard::guarded;
use crate::pg::version;
use core::ffi::{CStr, c_char};
use pgrx::pg_sys;

/// A column that is read and written.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: ColumnName,
    /// Its type.
    pub kind: pg_sys::Oid,
    /// Whether it may be given NULL.
    pub is_nullable: bool,
    /// Whether older tables lack it, where it is NULL.
    pub is_newer: bool,
}

/// The columns and constraints of a table as whoever writes to it knows them.
#[derive(Debug)]
pub struct Layout {
    /// The columns.
    pub columns: &'static [Column],
    /// Which of them is the primary key, a `bytea`.
    pub key: usize,
    /// The CHECK constraints that hold for whatever is written, in terms of these columns.
    pub checks: &'static [&'static CStr],
}

/// Where the layout's columns are in a table, 0 for one that it `lacks`; `None` if there is more to
/// it, or less.
///
/// # Safety
/// The relation must be open.
pub(super) unsafe fn match_columns(
    relation: pg_sys::Relation,
    layout: &Layout,
    lacks: impl Fn(usize) -> bool,
) -> Option<Vec<pg_sys::AttrNumber>> {
    // SAFETY: by this function's contract; the descriptor has as many columns as it says.
    unsafe {
        if !is_heap_alone(relation) {
            return None;
        }
        let descriptor = (*relation).rd_att;
        let constraints = (*descriptor).constr;
        if !constraints.is_null() && version::has_generated_columns(&*constraints) {
            return None;
        }
        let mut numbers = vec![0; layout.columns.len()];
        for number in 1..=(*descriptor).natts as pg_sys::AttrNumber {
            let attribute = version::attribute(descriptor, number);
            if attribute.attisdropped {
                continue;
            }
            let name = CStr::from_ptr(attribute.attname.data.as_ptr());
            let known = layout.columns.iter().position(|column| column.name == name);
            match known.filter(|index| !lacks(*index)) {
                Some(index) if is_as_declared(attribute, &layout.columns[index]) => {
                    numbers[index] = number;
                }
                None if is_null_by_itself(attribute) => {}
                _ => return None,
            }
        }
        let mut found = numbers.iter().enumerate();
        let is_complete = found.all(|(index, number)| *number != 0 || lacks(index));
        (is_complete && is_primary_key(relation, numbers[layout.key])).then_some(numbers)
    }
}

/// Whether a relation is an ordinary table to which nothing is attached. The flags in `pg_class` stay
/// after what they stand for was dropped; the relation cache knows.
unsafe fn is_heap_alone(relation: pg_sys::Relation) -> bool {
    // SAFETY: the relation is open.
    unsafe {
        let form = &*(*relation).rd_rel;
        let rules = (*relation).rd_rules;
        form.relkind == pg_sys::RELKIND_RELATION as c_char
            && form.relam == pg_sys::HEAP_TABLE_AM_OID
            && form.relreplident == pg_sys::REPLICA_IDENTITY_DEFAULT as c_char
            && !form.relispartition
            && !form.relrowsecurity
            && (*relation).trigdesc.is_null()
            && (rules.is_null() || (*rules).numLocks == 0)
            && !(form.relhassubclass && has_children((*relation).rd_id))
    }
}

unsafe extern "C-unwind" {
    /// `catalog/pg_inherits.c`; pgrx does not offer it.
    fn find_inheritance_children(parent: pg_sys::Oid, lock: i32) -> *mut pg_sys::List;
}

unsafe fn has_children(table: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in the catalog.
    unsafe { guarded(|| !find_inheritance_children(table, pg_sys::NoLock as i32).is_null()) }
}

fn is_as_declared(attribute: &pg_sys::FormData_pg_attribute, column: &Column) -> bool {
    attribute.atttypid == column.kind
        && attribute.atttypmod < 0 // a precision, to which values would be rounded
        && attribute.attidentity == 0
        && !(column.is_nullable && attribute.attnotnull)
}

/// Whether a new row may leave the column out.
fn is_null_by_itself(attribute: &pg_sys::FormData_pg_attribute) -> bool {
    !attribute.attnotnull && !attribute.atthasdef && attribute.attidentity == 0
}

/// Whether the column alone is the primary key.
unsafe fn is_primary_key(relation: pg_sys::Relation, number: pg_sys::AttrNumber) -> bool {
    // SAFETY: the relation is open; the index is closed again.
    unsafe {
        let index = guarded(|| version::primary_key(relation));
        if index == pg_sys::InvalidOid {
            return false;
        }
        let lock = pg_sys::AccessShareLock as i32;
        let index = pg_sys::index_open(index, lock);
        let form = &*(*index).rd_index;
        let is_it = form.indnkeyatts == 1
            && form.indkey.values.as_slice(1)[0] == number
            && (*(*index).rd_rel).relam == pg_sys::BTREE_AM_OID;
        pg_sys::index_close(index, lock);
        is_it
    }
}

/// Whether every index can be given its entries without running anybody's code, and without a value
/// of its own to keep unique, for which another transaction might have to be waited for.
///
/// The catalog is asked, for to open an index its lock might have to be waited for.
///
/// # Safety
/// The relation must be open.
pub(super) unsafe fn has_only_plain_indexes(relation: pg_sys::Relation) -> bool {
    // SAFETY: by this function's contract.
    unsafe { all_indexes(relation, |index| is_plain_index(index)) }
}

unsafe fn is_plain_index(index: pg_sys::Oid) -> bool {
    let own = |oid: pg_sys::Oid| oid.to_u32() >= pg_sys::FirstNormalObjectId;
    // SAFETY: an index by its oid.
    unsafe {
        is_index(index, |form, attribute| {
            let classes = classes(attribute);
            is_btree(index)
                && (!form.indisunique || form.indisprimary)
                && !form.indisexclusion
                && attribute(pg_sys::Anum_pg_index_indexprs).is_none()
                && classes.is_some_and(|classes| {
                    let classes = classes.values.as_slice(form.indnkeyatts as usize);
                    !classes.iter().any(|&class| own(class))
                })
                && attribute(pg_sys::Anum_pg_index_indpred)
                    .is_none_or(|predicate| tests_only_for_null(predicate, |_| true))
        })
    }
}

/// Whether an index that is plain begins with a column of text, as it is sorted by its bytes, and leaves out no
/// row that has one.
///
/// # Safety
/// It must be plain, see [`has_only_plain_indexes`].
pub(super) unsafe fn is_index_of_text(index: pg_sys::Oid, number: pg_sys::AttrNumber) -> bool {
    // SAFETY: an index by its oid; there is a value for each of its columns.
    unsafe {
        is_index(index, |form, attribute| {
            let collations = attribute(pg_sys::Anum_pg_index_indcollation)
                .map(|collations| &*collations.cast_mut_ptr::<pg_sys::oidvector>());
            let leaves_out_null_alone = |test: &pg_sys::NullTest| {
                test.nulltesttype == pg_sys::NullTestType::IS_NOT_NULL
                    && (*test.arg.cast::<pg_sys::Var>()).varattno == number
            };
            form.indisvalid
                && form.indkey.values.as_slice(1)[0] == number
                && classes(attribute)
                    .is_some_and(|all| all.values.as_slice(1)[0] == pg_sys::TEXT_BTREE_OPS_OID)
                && collations
                    .is_some_and(|all| all.values.as_slice(1)[0] == pg_sys::C_COLLATION_OID)
                && attribute(pg_sys::Anum_pg_index_indpred)
                    .is_none_or(|predicate| tests_only_for_null(predicate, leaves_out_null_alone))
        })
    }
}

type Attribute<'a> = &'a dyn Fn(u32) -> Option<pg_sys::Datum>;

/// Whether something holds of an index's description in the catalog: of the form, and of what comes after it.
unsafe fn is_index(
    index: pg_sys::Oid,
    holds: impl Fn(&pg_sys::FormData_pg_index, Attribute<'_>) -> bool,
) -> bool {
    // SAFETY: look-ups in the system cache; the tuple is released after it was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::INDEXRELID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(index));
        if tuple.is_null() {
            return false;
        }
        let attribute = |number: u32| {
            let mut is_null = false;
            let number = number as pg_sys::AttrNumber;
            let datum = pg_sys::SysCacheGetAttr(cache, tuple, number, &mut is_null);
            (!is_null).then_some(datum)
        };
        let is_it = holds(&*pg_sys::GETSTRUCT(tuple).cast(), &attribute);
        pg_sys::ReleaseSysCache(tuple);
        is_it
    }
}

/// The operator classes of an index's columns.
unsafe fn classes<'a>(attribute: Attribute<'a>) -> Option<&'a pg_sys::oidvector> {
    // SAFETY: the column is of this type.
    attribute(pg_sys::Anum_pg_index_indclass)
        .map(|classes| unsafe { &*classes.cast_mut_ptr::<pg_sys::oidvector>() })
}

/// Others have ways of their own: SP-GiST relies on interrupts, which are held while a slide is applied
/// at commit.
unsafe fn is_btree(index: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in the system cache; the tuple is released after it was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(index));
        if tuple.is_null() {
            return false;
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let is_btree = form.relam == pg_sys::BTREE_AM_OID;
        pg_sys::ReleaseSysCache(tuple);
        is_btree
    }
}

/// Whether a predicate is no more than tests of columns for NULL, of which something holds. It is read as it is
/// stored: what the relation cache offers has been simplified, by running functions.
unsafe fn tests_only_for_null(
    predicate: pg_sys::Datum,
    holds: impl Fn(&pg_sys::NullTest) -> bool,
) -> bool {
    // SAFETY: the text of a list of expressions, or of an expression, whose tags say what they are.
    unsafe {
        let text = pg_sys::text_to_cstring(predicate.cast_mut_ptr());
        let predicate: *mut pg_sys::List = pg_sys::stringToNode(text).cast();
        let is_list = (*predicate).type_ == pg_sys::NodeTag::T_List;
        let count = if is_list { (*predicate).length } else { 1 };
        (0..count).all(|index| {
            let test: *mut pg_sys::NullTest = match is_list {
                true => pg_sys::list_nth(predicate, index).cast(),
                false => predicate.cast(),
            };
            (*test).xpr.type_ == pg_sys::NodeTag::T_NullTest
                && (*(*test).arg).type_ == pg_sys::NodeTag::T_Var
                && holds(&*test)
        })
    }
}

/// Whether no publication refuses updates for want of columns in the replica identity.
///
/// # Safety
/// The relation must be open.
pub(super) unsafe fn is_published_without_conditions(relation: pg_sys::Relation) -> bool {
    let mut publication = pg_sys::PublicationDesc::default();
    // SAFETY: by this function's contract.
    unsafe { pg_sys::RelationBuildPublicationDesc(relation, &mut publication) };
    !version::refuses_updates(&publication)
}

/// Whether each CHECK constraint of a table says the same as one of `known`.
///
/// # Safety
/// The relation must be open.
pub(super) unsafe fn has_only_checks(relation: pg_sys::Relation, known: &[&CStr]) -> bool {
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
