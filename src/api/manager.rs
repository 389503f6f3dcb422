//! The session manager: begin, look up, keep alive.

use super::{document, jsonb_of, new_terms, session_id, timestamptz};
use crate::codec::Content;
use crate::error::Error;
use crate::id::SessionId;
use crate::pg::{Caller, Jsonb, JsonbBuf};
use crate::store::{self, Started, Store};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// The presented session if it is live, else a new one under a fresh id.
#[pg_extern]
#[expect(clippy::type_complexity, reason = "pgrx reads the column names here")]
fn session_start(
    presented: default!(Option<&str>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    caller: Caller,
) -> Result<
    TableIterator<
        'static,
        (
            name!(sid, String),
            name!(data, Option<JsonbBuf>),
            name!(version, i64),
            name!(is_new, bool),
        ),
    >,
    ErrorReport,
> {
    // An id of the wrong form is one that this server never gave out: unknown.
    let known = presented.and_then(SessionId::parse);
    let terms = new_terms(lifetime, deadline)?;
    let Started { new_id, data, version } = Store::open(caller)?.start(known, terms)?;
    let is_new = new_id.is_some();
    let sid = new_id.map(|id| id.into_string()).or(presented.map(str::to_owned));
    let data = jsonb_of(&data)?;
    Ok(TableIterator::once((sid.unwrap_or_default(), data, version, is_new)))
}

/// A new session; its id.
#[pg_extern]
fn session_create(
    data: default!(Option<Jsonb<'_>>, "'{}'"),
    sid: default!(Option<&str>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    caller: Caller,
) -> Result<String, ErrorReport> {
    let data = document(data, "data")?;
    create(&data, sid, lifetime, deadline, caller)
}

/// Creates a session with this content; its id.
pub(super) fn create(
    data: &[u8],
    sid: Option<&str>,
    lifetime: Option<Interval>,
    deadline: Option<TimestampWithTimeZone>,
    caller: Caller,
) -> Result<String, ErrorReport> {
    let terms = new_terms(lifetime, deadline)?;
    let chosen = sid.map(|sid| session_id(Some(sid))).transpose()?;
    let store = Store::open_for_writing(caller)?;
    match chosen.zip(sid) {
        Some((id, sid)) => {
            store.create(&id.key(), data, terms)?;
            Ok(sid.to_owned())
        }
        None => {
            let id = store::new_id()?;
            store.create(&id.key(), data, terms)?;
            Ok(id.into_string())
        }
    }
}

/// All there is to know of a live session; no row when there is none.
#[pg_extern]
#[expect(clippy::type_complexity, reason = "pgrx reads the column names here")]
fn session_load(
    sid: Option<&str>,
    slide: default!(Option<bool>, "true"),
    caller: Caller,
) -> Result<
    TableIterator<
        'static,
        (
            name!(data, Option<JsonbBuf>),
            name!(payload, Option<Vec<u8>>),
            name!(version, i64),
            name!(principal, Option<String>),
            name!(created_at, Option<TimestampWithTimeZone>),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(lifetime, Interval),
            name!(deadline, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let id = session_id(sid)?;
    let store = Store::open(caller)?;
    let found = if slide.unwrap_or(true) { store.read(id) } else { store.peek(id) };
    let Some(session) = found else { return Ok(TableIterator::empty()) };
    let (data, payload) = match Content::parse(&session.data).map_err(Error::from)? {
        Content::Map(map) => (Some(JsonbBuf(map.to_jsonb().map_err(Error::from)?)), None),
        Content::Opaque(payload) => (None, Some(payload.to_vec())),
    };
    let seconds = i64::from(session.terms.lifetime.seconds());
    Ok(TableIterator::once((
        data,
        payload,
        session.version,
        session.principal,
        timestamptz(session.created_at),
        timestamptz(session.expiry),
        Interval::from_micros(seconds * 1_000_000),
        session.terms.deadline.and_then(timestamptz),
    )))
}

/// Keeps a session alive, or changes how long it lives; the expiry, NULL if there is no session.
#[pg_extern]
fn session_touch(
    sid: Option<&str>,
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    caller: Caller,
) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    let id = session_id(sid)?;
    let terms = new_terms(lifetime, deadline)?;
    let expiry = Store::open_for_writing(caller)?.touch(id, terms)?;
    Ok(expiry.and_then(timestamptz))
}

/// A fresh session id.
#[pg_extern(parallel_safe)]
fn session_new_id() -> Result<String, ErrorReport> {
    Ok(store::new_id()?.into_string())
}
