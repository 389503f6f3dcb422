//! Where the extension lives: found from the called function, never through `search_path`.

use super::Caller;
use core::ffi::CStr;
use pgrx::{pg_guard, pg_sys};

/// The place of a table: its quoted schema name, identity and owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Schema name, quoted where SQL needs it.
    pub schema: String,
    /// The table.
    pub table: pg_sys::Oid,
    /// Whose rights its users act with.
    pub owner: pg_sys::Oid,
}

/// Finds the table `name` in the schema of the function that was called.
pub fn home_of(caller: Caller, name: &CStr) -> Option<Home> {
    // SAFETY: a look-up in the system cache; InvalidOid if there is no such function.
    home_in(unsafe { pg_sys::get_func_namespace(caller.function()) }, name)
}

/// Finds the table `name` in the schema of another.
pub fn home_beside(table: pg_sys::Oid, name: &CStr) -> Option<Home> {
    // SAFETY: a look-up in the system cache; InvalidOid if there is no such table.
    home_in(unsafe { pg_sys::get_rel_namespace(table) }, name)
}

/// Finds the table `name` in a schema.
pub fn home_in(namespace: pg_sys::Oid, name: &CStr) -> Option<Home> {
    // SAFETY: look-ups in the system caches; each result is checked before use.
    unsafe {
        let table = pg_sys::get_relname_relid(name.as_ptr(), namespace);
        let schema = pg_sys::get_namespace_name(namespace);
        if table == pg_sys::InvalidOid || schema.is_null() {
            return None;
        }
        // From the cache, for a lock might have to be waited for here.
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(table));
        if tuple.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        let quoted = CStr::from_ptr(pg_sys::quote_identifier(schema));
        Some(Home { schema: quoted.to_string_lossy().into_owned(), table, owner })
    }
}

/// Whether a table's owner may read it and write to it, as an owner may unless that was revoked.
pub fn owner_may_write(home: &Home) -> bool {
    let rights = (pg_sys::ACL_SELECT | pg_sys::ACL_INSERT | pg_sys::ACL_UPDATE) as pg_sys::AclMode;
    let all = pg_sys::AclMaskHow::ACLMASK_ALL;
    // SAFETY: look-ups in the system caches.
    unsafe { pg_sys::pg_class_aclmask(home.table, home.owner, rights, all) == rights }
}

/// Whether those of these columns that the table has are of these types.
pub fn has_types(table: pg_sys::Oid, columns: &[(&CStr, pg_sys::Oid)]) -> bool {
    columns.iter().all(|&(name, wanted)| {
        // SAFETY: look-ups in the system caches; a column that is not there has number 0.
        unsafe {
            let column = pg_sys::get_attnum(table, name.as_ptr());
            column == 0 || pg_sys::get_atttype(table, column) == wanted
        }
    })
}

/// The connected database.
pub fn current_database() -> pg_sys::Oid {
    // SAFETY: reads a variable of the process.
    unsafe { pg_sys::MyDatabaseId }
}

/// The databases that sessions may live in: neither templates nor closed to connections.
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

/// Takes note of catalog changes that other backends committed.
pub fn accept_invalidations() {
    // SAFETY: called inside a transaction, where the relation cache may be rebuilt.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

static mut CHANGED: Option<fn(Option<pg_sys::Oid>)> = None;

/// Has `changed` called when a relation (named, or `None` for any) or a schema may have changed.
pub fn on_catalog_change(changed: fn(Option<pg_sys::Oid>)) {
    // SAFETY: _PG_init runs once in a backend's only thread.
    unsafe {
        CHANGED = Some(changed);
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null());
        pg_sys::CacheRegisterSyscacheCallback(
            pg_sys::SysCacheIdentifier::NAMESPACEOID as i32,
            Some(schema_changed),
            pg_sys::Datum::null(),
        );
    }
}

#[pg_guard]
extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    // SAFETY: CHANGED is written once, before this callback is registered.
    if let Some(changed) = unsafe { CHANGED } {
        changed((relation != pg_sys::InvalidOid).then_some(relation));
    }
}

#[pg_guard]
extern "C-unwind" fn schema_changed(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    // SAFETY: CHANGED is written once, before this callback is registered.
    if let Some(changed) = unsafe { CHANGED } {
        changed(None);
    }
}
