//! The session store: values by key, and the whole map.

use super::{creatable, document, json_document, new_terms, required, session_id};
use crate::codec::{self, Content, DecodeError, Map};
use crate::error::Error;
use crate::pg::{Call, Json, Jsonb, JsonbBuf};
use crate::store::{Change, NewTerms, Store, map_of};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::cell::Cell;

/// JSON's null, which a NULL value is stored as (RFC 8949, section 3.3).
const JSON_NULL: &[u8] = &[0xf6];

/// All values of a session, NULL if there is none.
#[pg_extern]
fn session_get(sid: Option<&str>, call: Call) -> Result<Option<JsonbBuf>, ErrorReport> {
    let Some(session) = Store::open(&call)?.read(session_id(sid))? else { return Ok(None) };
    Ok(Some(JsonbBuf(map_of(&session)?.to_jsonb().map_err(Error::from)?)))
}

/// One value of a session, NULL if the session or the key is absent.
#[pg_extern(name = "session_get")]
fn session_get_key(
    sid: Option<&str>,
    key: Option<&str>,
    call: Call,
) -> Result<Option<JsonbBuf>, ErrorReport> {
    let key = required(key, "key")?;
    let Some(session) = Store::open(&call)?.read(session_id(sid))? else { return Ok(None) };
    let value = map_of(&session)?.get(key).map_err(Error::from)?;
    Ok(value.map(|value| value.to_jsonb().map(JsonbBuf)).transpose().map_err(Error::from)?)
}

/// Sets one key; the session's version.
#[pg_extern]
fn session_set(
    sid: Option<&str>,
    key: Option<&str>,
    value: Option<Jsonb<'_>>,
    call: Call,
) -> Result<i64, ErrorReport> {
    let key = required(key, "key")?;
    let value = match value {
        Some(Jsonb(jsonb)) => codec::encode_value(jsonb).map_err(Error::from)?,
        None => JSON_NULL.to_vec(),
    };
    let store = Store::open_for_writing(&call)?;
    let set = store.edit(session_id(sid), |map| Ok(Some(map.set(key, &value)?)))?;
    Ok(set.ok_or(Error::NoSession)?)
}

/// Sets the keys of `patch` and drops those of `remove`, at once; the session's version.
#[pg_extern(name = "session_merge")]
pub(super) fn session_merge_0_3(
    sid: Option<&str>,
    patch: Option<Jsonb<'_>>,
    remove: default!(Option<Array<'_, &str>>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<i64, ErrorReport> {
    let patch = document(patch, "patch")?;
    let terms = new_terms(lifetime, deadline)?;
    let merged = edit_keys(sid, &patch, remove, terms, &call, |map, patch, removed| {
        map.merge(patch, removed)
    })?;
    Ok(merged.ok_or(Error::NoSession)?)
}

/// `session_merge` for a client that has JSON text, which keeps the order of its keys; NULL if there is
/// no session. As `text` it is parsed once, as a `json` before by PostgreSQL, whose errors quote it.
#[pg_extern(name = "session_patch")]
fn session_patch_text(
    sid: Option<&str>,
    patch: Option<&str>,
    remove: default!(Option<Array<'_, &str>>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<i64>, ErrorReport> {
    session_patch(sid, patch.map(Json), remove, lifetime, deadline, call)
}

/// The same for an argument that is a `json` already.
#[pg_extern]
fn session_patch(
    sid: Option<&str>,
    patch: Option<Json<'_>>,
    remove: default!(Option<Array<'_, &str>>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<i64>, ErrorReport> {
    let patch = json_document(patch, "patch")?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(edit_keys(sid, &patch, remove, terms, &call, |map, patch, removed| {
        map.patch(patch, removed)
    })?)
}

/// Edits the keys of a session by a stored patch; the version, `None` if there is no session.
fn edit_keys(
    sid: Option<&str>,
    patch: &[u8],
    remove: Option<Array<'_, &str>>,
    terms: NewTerms,
    call: &Call,
    edit: impl Fn(&Map<'_>, &Map<'_>, &[&str]) -> Result<Vec<u8>, DecodeError>,
) -> Result<Option<i64>, Error> {
    let Content::Map(patch) = Content::parse(patch)? else {
        return Err(Error::NotAnObject("patch"));
    };
    let removed = keys(remove.as_ref(), "remove")?;
    // The way to hold a session for the length of a request.
    let locks = patch.is_empty() && removed.is_empty();
    let store = Store::open_for_writing(call)?;
    store.edit_with(session_id(sid), terms, locks, |map| Ok(Some(edit(&map, &patch, &removed)?)))
}

/// The keys in an array without NULLs, of which a client may pass any number.
fn keys<'a>(array: Option<&'a Array<'_, &str>>, name: &'static str) -> Result<Vec<&'a str>, Error> {
    let mut keys = Vec::new();
    for key in array.into_iter().flat_map(|array| array.iter()) {
        keys.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        keys.push(key.ok_or(Error::NullElement(name))?);
    }
    Ok(keys)
}

/// Drops one key; whether it was there.
#[pg_extern]
fn session_delete(sid: Option<&str>, key: Option<&str>, call: Call) -> Result<bool, ErrorReport> {
    let key = required(key, "key")?;
    let store = Store::open_for_writing(&call)?;
    let was_there = Cell::new(false);
    let edited = store.edit(session_id(sid), |map| {
        let without = map.remove(key)?;
        was_there.set(without.is_some());
        Ok(without)
    })?;
    edited.ok_or(Error::NoSession)?;
    Ok(was_there.get())
}

/// Drops one key and returns its value, NULL if the session or the key is absent.
#[pg_extern]
fn session_pop(
    sid: Option<&str>,
    key: Option<&str>,
    call: Call,
) -> Result<Option<JsonbBuf>, ErrorReport> {
    let key = required(key, "key")?;
    let store = Store::open_for_writing(&call)?;
    let value = Cell::new(None);
    let edited = store.edit(session_id(sid), |map| {
        value.set(map.get(key)?.map(|value| value.to_jsonb()).transpose()?);
        Ok(map.remove(key)?)
    })?;
    Ok(edited.and(value.take()).map(JsonbBuf))
}

/// Drops all keys; the session's version.
#[pg_extern]
fn session_flush(sid: Option<&str>, call: Call) -> Result<i64, ErrorReport> {
    let store = Store::open_for_writing(&call)?;
    let flushed = store.change(session_id(sid), |session| {
        let data = Some(Map::empty().stored().to_vec());
        Ok(Some(Change { data, terms: session.terms(), locks: false }))
    })?;
    Ok(flushed.ok_or(Error::NoSession)?.version)
}

/// Saves the whole map; the version, NULL if the session is gone or no longer at `version`.
#[pg_extern]
fn session_release(
    sid: Option<&str>,
    data: Option<Jsonb<'_>>,
    version: default!(Option<i64>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<i64>, ErrorReport> {
    let data = document(data, "data")?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(Store::open_for_writing(&call)?.release(session_id(sid), &data, version, terms)?)
}

/// `session_release` for a client that has JSON text: order of keys and all digits stay. As `text` it is
/// parsed once, as a `json` before by PostgreSQL, whose errors quote it.
#[pg_extern(name = "session_save")]
fn session_save_text(
    sid: Option<&str>,
    data: Option<&str>,
    version: default!(Option<i64>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<i64>, ErrorReport> {
    session_save(sid, data.map(Json), version, lifetime, deadline, call)
}

/// The same for an argument that is a `json` already.
#[pg_extern]
fn session_save(
    sid: Option<&str>,
    data: Option<Json<'_>>,
    version: default!(Option<i64>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<i64>, ErrorReport> {
    let data = json_document(data, "data")?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(Store::open_for_writing(&call)?.release(session_id(sid), &data, version, terms)?)
}

/// Creates or replaces a session; the version.
#[pg_extern]
fn session_put(
    sid: Option<&str>,
    data: Option<Jsonb<'_>>,
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<i64, ErrorReport> {
    let id = creatable(sid)?;
    let data = document(data, "data")?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(Store::open_for_writing(&call)?.put(id, &data, terms)?)
}
