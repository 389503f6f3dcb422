//! Hearing of changes of the catalog.

use pgrx::{pg_guard, pg_sys};
use std::sync::OnceLock;

static CHANGED: OnceLock<fn(Option<pg_sys::Oid>)> = OnceLock::new();

/// Has `changed` called when a relation (named, or `None` for any) or a schema may have changed.
/// Called once, when the library is loaded.
pub fn on_catalog_change(changed: fn(Option<pg_sys::Oid>)) {
    if CHANGED.set(changed).is_err() {
        return;
    }
    let nothing = pg_sys::Datum::null();
    // SAFETY: the callbacks stay in place as long as the process lives, as a loaded library does.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), nothing);
        let schemas = pg_sys::SysCacheIdentifier::NAMESPACEOID as i32;
        pg_sys::CacheRegisterSyscacheCallback(schemas, Some(schema_changed), nothing);
    }
}

/// Takes note of catalog changes that other backends committed.
pub fn accept_invalidations() {
    // SAFETY: called inside a transaction, where the relation cache may be rebuilt.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

#[pg_guard]
extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    if let Some(changed) = CHANGED.get() {
        changed((relation != pg_sys::InvalidOid).then_some(relation));
    }
}

#[pg_guard]
extern "C-unwind" fn schema_changed(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    if let Some(changed) = CHANGED.get() {
        changed(None);
    }
}
