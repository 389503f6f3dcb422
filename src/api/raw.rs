//! Opaque payloads, for clients with a serializer of their own.

use super::{manager, new_terms, required, session_id};
use crate::codec::encode_opaque;
use crate::error::Error;
use crate::pg::Call;
use crate::store::Store;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// A new session with this payload; its id.
#[pg_extern]
fn session_create_raw(
    payload: Option<&[u8]>,
    sid: default!(Option<&str>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<String, ErrorReport> {
    let data = encode_opaque(required(payload, "payload")?).map_err(Error::from)?;
    manager::create(&data, sid, lifetime, deadline, &call)
}

/// Saves the payload; the version, NULL if the session is gone or no longer at `version`.
#[pg_extern]
fn session_release_raw(
    sid: Option<&str>,
    payload: Option<&[u8]>,
    version: default!(Option<i64>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<i64>, ErrorReport> {
    let id = session_id(sid)?;
    let data = encode_opaque(required(payload, "payload")?).map_err(Error::from)?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(Store::open_for_writing(&call)?.release(id, &data, version, terms)?)
}

/// Creates or replaces a session; the version.
#[pg_extern]
fn session_put_raw(
    sid: Option<&str>,
    payload: Option<&[u8]>,
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<i64, ErrorReport> {
    let id = session_id(sid)?;
    let data = encode_opaque(required(payload, "payload")?).map_err(Error::from)?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(Store::open_for_writing(&call)?.put(id, &data, terms)?)
}
