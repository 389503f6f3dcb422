//! Opaque payloads, for clients with a serializer of their own.

use super::{creatable, manager, new_terms, provider, required, session_id};
use crate::codec::{Content, encode_opaque};
use crate::error::Error;
use crate::pg::{AtMostOne, Call, Record};
use crate::store::Store;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::Datum;
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

/// What `session_read_raw` returns.
struct ReadRow {
    payload: Option<Datum>,
    version: i64,
}

impl Record for ReadRow {
    const SQL: &'static str = "TABLE (payload bytea, version bigint)";
    const IDENT: &'static str = "session_store::api::ReadRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        [self.payload, self.version.into_datum()]
    }
}

/// The payload of a session, which is created with an empty one if there is none.
#[pg_extern]
fn session_read_raw(
    sid: Option<&str>,
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<AtMostOne<ReadRow>, ErrorReport> {
    let terms = new_terms(lifetime, deadline)?;
    let empty = encode_opaque(&[]).map_err(Error::from)?;
    let session = provider::get_or_create(sid, &empty, terms, &call)?;
    let Some(session) = session else { return Ok(AtMostOne(None)) };
    match Content::parse(&session.data).map_err(Error::from)? {
        Content::Opaque(payload) => {
            let (payload, version) = (payload.into_datum(), session.version);
            Ok(AtMostOne(Some(ReadRow { payload, version })))
        }
        Content::Map(_) => Err(Error::KeyWise.into()),
    }
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
    let data = encode_opaque(required(payload, "payload")?).map_err(Error::from)?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(Store::open_for_writing(&call)?.release(session_id(sid), &data, version, terms)?)
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
    let id = creatable(sid)?;
    let data = encode_opaque(required(payload, "payload")?).map_err(Error::from)?;
    let terms = new_terms(lifetime, deadline)?;
    Ok(Store::open_for_writing(&call)?.put(id, &data, terms)?)
}
