//! What the catalog says of tables, roles and databases: look-ups in the system caches, by oid and
//! schema, never through `search_path`.

use super::Lock;
use core::ffi::CStr;
use pgrx::pg_sys;

/// A table, its place and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// Schema name, quoted where SQL needs it.
    pub schema: String,
    /// The table.
    pub table: pg_sys::Oid,
    /// The role that owns it.
    pub owner: pg_sys::Oid,
}

/// The schema of a function, InvalidOid if there is no such function.
pub fn schema_of_function(function: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a look-up in the system cache.
    unsafe { pg_sys::get_func_namespace(function) }
}

/// The schema of a table, InvalidOid if there is no such table.
pub fn schema_of_table(table: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a look-up in the system cache.
    unsafe { pg_sys::get_rel_namespace(table) }
}

/// Finds the table `name` in a schema.
pub fn find_table(schema: pg_sys::Oid, name: &CStr) -> Option<TableName> {
    // SAFETY: look-ups in the system caches; each result is checked before use.
    unsafe {
        let table = pg_sys::get_relname_relid(name.as_ptr(), schema);
        let schema = pg_sys::get_namespace_name(schema);
        if table == pg_sys::InvalidOid || schema.is_null() {
            return None;
        }
        // From the cache, for a lock might have to be waited for here.
        let owner = with_relation_tuple(table, |tuple| {
            (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner
        })?;
        let quoted = CStr::from_ptr(pg_sys::quote_identifier(schema));
        Some(TableName { schema: quoted.to_string_lossy().into_owned(), table, owner })
    }
}

/// Whether a table belongs to an extension.
pub fn is_of_an_extension(table: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in the catalog.
    let extension = unsafe { pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table) };
    extension != pg_sys::InvalidOid
}

/// The transaction that changed a table's definition last; `None` if the table is gone.
pub fn last_change_of_table(table: pg_sys::Oid) -> Option<pg_sys::TransactionId> {
    // SAFETY: the system cache keeps the tuple's header.
    unsafe {
        with_relation_tuple(table, |tuple| {
            let header = &*(*tuple).t_data;
            let is_frozen =
                u32::from(header.t_infomask) & pg_sys::HEAP_XMIN_FROZEN == pg_sys::HEAP_XMIN_FROZEN;
            if is_frozen { pg_sys::FrozenTransactionId } else { header.t_choice.t_heap.t_xmin }
        })
    }
}

/// Runs `read` on the table's tuple of `pg_class`, if there is one.
unsafe fn with_relation_tuple<R>(
    table: pg_sys::Oid,
    read: impl FnOnce(pg_sys::HeapTuple) -> R,
) -> Option<R> {
    // SAFETY: the tuple is released after it was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(table));
        if tuple.is_null() {
            return None;
        }
        let result = read(tuple);
        pg_sys::ReleaseSysCache(tuple);
        Some(result)
    }
}

/// Whether the owner of a table that exists may read and write its rows, as owners may unless that
/// was revoked.
pub fn owner_may_write(table: &TableName) -> bool {
    let rights = pg_sys::ACL_SELECT | pg_sys::ACL_INSERT | pg_sys::ACL_UPDATE | pg_sys::ACL_DELETE;
    let rights = rights as pg_sys::AclMode;
    let all = pg_sys::AclMaskHow::ACLMASK_ALL;
    // SAFETY: look-ups in the system caches.
    unsafe { pg_sys::pg_class_aclmask(table.table, table.owner, rights, all) == rights }
}

/// Whether a table takes `INSERT … ON CONFLICT`. One with rules does not, and while an index is rebuilt
/// concurrently the planner may find neither the old one nor the new one valid.
pub fn takes_on_conflict(lock: &Lock<'_>) -> bool {
    // Until the table is unlocked no rebuilding begins that has not by now.
    asks(lock, |relation| relation.rd_rules.is_null() && has_only_valid_indexes(relation))
}

/// Whether a table is partitioned: a row whose key changes is removed from one part and added to another.
pub fn is_partitioned(lock: &Lock<'_>) -> bool {
    asks(lock, |relation| {
        // SAFETY: the form lives as long as the relation is open.
        unsafe {
            (*relation.rd_rel).relkind == pg_sys::RELKIND_PARTITIONED_TABLE as core::ffi::c_char
        }
    })
}

/// Whether a table has rules.
pub fn has_rules(lock: &Lock<'_>) -> bool {
    asks(lock, |relation| !relation.rd_rules.is_null())
}

fn has_only_valid_indexes(relation: &pg_sys::RelationData) -> bool {
    let relation: *const pg_sys::RelationData = relation;
    // SAFETY: the relation is open; each index is looked up in the system cache.
    unsafe { all_indexes(relation.cast_mut(), |index| pg_sys::get_index_isvalid(index)) }
}

/// Whether something holds for every index of a table.
///
/// # Safety
/// The relation must be open.
pub(super) unsafe fn all_indexes(
    relation: pg_sys::Relation,
    holds: impl Fn(pg_sys::Oid) -> bool,
) -> bool {
    // SAFETY: by this function's contract; a list of oids.
    unsafe {
        let list = pg_sys::RelationGetIndexList(relation);
        let count = if list.is_null() { 0 } else { (*list).length as usize };
        (0..count).all(|position| holds((*(*list).elements.add(position)).oid_value))
    }
}

/// The first index of a relation of which something holds.
///
/// # Safety
/// The relation must be open.
pub(super) unsafe fn find_index(
    relation: pg_sys::Relation,
    holds: impl Fn(pg_sys::Oid) -> bool,
) -> Option<pg_sys::Oid> {
    let found = std::cell::Cell::new(None);
    // SAFETY: by this function's contract.
    unsafe {
        all_indexes(relation, |index| {
            found.set(holds(index).then_some(index));
            found.get().is_none()
        })
    };
    found.get()
}

/// Whether a table has statistics objects, whose expressions the planner looks at.
pub fn has_statistics(lock: &Lock<'_>) -> bool {
    // SAFETY: the relation is open.
    asks(lock, |relation| unsafe {
        let relation: *const pg_sys::RelationData = relation;
        !pg_sys::RelationGetStatExtList(relation.cast_mut()).is_null()
    })
}

/// Whether a rule or a trigger of a table may make nothing of an INSERT.
pub fn may_suppress_inserts(lock: &Lock<'_>) -> bool {
    asks(lock, |relation| {
        // SAFETY: the description of the triggers lives as long as the relation is open.
        let triggers = unsafe { relation.trigdesc.as_ref() };
        let has_trigger =
            triggers.is_some_and(|all| all.trig_insert_before_row || all.trig_insert_instead_row);
        has_trigger || !relation.rd_rules.is_null()
    })
}

/// Asks a locked table; false if it is gone.
fn asks(lock: &Lock<'_>, question: impl FnOnce(&pg_sys::RelationData) -> bool) -> bool {
    // SAFETY: the relation is closed again.
    unsafe {
        let relation = pg_sys::try_relation_open(lock.table(), pg_sys::NoLock as i32);
        if relation.is_null() {
            return false;
        }
        let answer = question(&*relation);
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        answer
    }
}

/// Whether a role is superuser.
pub fn is_superuser(role: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in the system cache.
    unsafe { pg_sys::superuser_arg(role) }
}

/// The role that owns a function; `None` if there is no such function.
pub fn owner_of_function(function: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: the tuple is released after it was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(function));
        if tuple.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>()).proowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner)
    }
}

/// Whether those of these columns that the table has are of these types.
pub fn has_types<'a>(
    table: pg_sys::Oid,
    columns: impl IntoIterator<Item = (&'a CStr, pg_sys::Oid)>,
) -> bool {
    columns
        .into_iter()
        .all(|(name, wanted)| column_type(table, name).is_none_or(|found| found == wanted))
}

/// The type of a table's column, if there is one of this name.
pub fn column_type(table: pg_sys::Oid, name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: look-ups in the system caches; a column that is not there has number 0.
    unsafe {
        let column = pg_sys::get_attnum(table, name.as_ptr());
        (column != 0).then(|| pg_sys::get_atttype(table, column))
    }
}

/// The connected database.
pub fn current_database() -> pg_sys::Oid {
    // SAFETY: reads a variable of the process.
    unsafe { pg_sys::MyDatabaseId }
}

/// The databases that can be connected to and are no templates.
pub fn databases() -> Vec<pg_sys::Oid> {
    let mut databases = Vec::new();
    // SAFETY: a scan of a shared catalog, as autovacuum's launcher does it (`get_database_list`);
    // each tuple is read before the next one is fetched.
    unsafe {
        let lock = pg_sys::AccessShareLock as i32;
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, lock);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, core::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let database = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            // A negative limit other than -1, none, marks a database that is half dropped.
            if database.datallowconn && !database.datistemplate && database.datconnlimit >= -1 {
                databases.push(database.oid);
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, lock);
    }
    databases
}
