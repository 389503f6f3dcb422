//! The session manager: begin, look up, keep alive.

use super::{creatable, document, interval, new_terms, session_id, timestamptz};
use crate::codec::Content;
use crate::error::Error;
use crate::id::NewId;
use crate::pg::{AtMostOne, Call, Jsonb, JsonbBuf, Record, Timestamp};
use crate::store::{self, Started, Store};
use crate::table::{Found, Session};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// What `session_start` returns.
struct StartedRow {
    sid: String,
    content: Printed,
    version: i64,
    is_new: bool,
}

impl Record for StartedRow {
    const SQL: &'static str =
        "TABLE (sid text, data json, version bigint, is_new boolean, payload bytea)";
    const IDENT: &'static str = "session_store::api::StartedRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        [
            self.sid.into_datum(),
            self.content.data,
            self.version.into_datum(),
            self.is_new.into_datum(),
            self.content.payload,
        ]
    }
}

/// The content of a session as a client takes it: text, or its own serialization.
struct Printed {
    data: Option<Datum>,
    payload: Option<Datum>,
}

impl Printed {
    fn of(stored: &[u8]) -> Result<Self, Error> {
        Ok(match Content::parse(stored)? {
            // The text of a json has the form of a bytea.
            Content::Map(map) => Self { data: map.to_text()?.into_datum(), payload: None },
            Content::Opaque(payload) => Self { data: None, payload: payload.into_datum() },
        })
    }
}

/// The presented session if it is live, else a new one under a fresh id.
#[pg_extern(name = "session_start")]
fn session_start_0_3(
    presented: default!(Option<&str>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<AtMostOne<StartedRow>, ErrorReport> {
    let (sid, Started { new_id, data, version }) = start(presented, lifetime, deadline, &call)?;
    let content = Printed::of(&data)?;
    Ok(AtMostOne(Some(StartedRow { sid, content, version, is_new: new_id.is_some() })))
}

/// The presented session if it is live, else a new one, with the id that it has.
pub(super) fn start(
    presented: Option<&str>,
    lifetime: Option<Interval>,
    deadline: Option<TimestampWithTimeZone>,
    call: &Call,
) -> Result<(String, Started), ErrorReport> {
    let terms = new_terms(lifetime, deadline)?;
    let started = Store::open(call)?.start(session_id(presented), terms)?;
    let sid = started.new_id.as_ref().map_or(presented.unwrap_or_default(), NewId::as_str);
    Ok((sid.to_owned(), started))
}

/// A new session; its id.
#[pg_extern]
fn session_create(
    data: default!(Option<Jsonb<'_>>, "'{}'"),
    sid: default!(Option<&str>, "NULL"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<String, ErrorReport> {
    let data = document(data, "data")?;
    create(&data, sid, lifetime, deadline, &call)
}

/// Creates a session with this content; its id.
pub(super) fn create(
    data: &[u8],
    sid: Option<&str>,
    lifetime: Option<Interval>,
    deadline: Option<TimestampWithTimeZone>,
    call: &Call,
) -> Result<String, ErrorReport> {
    let terms = new_terms(lifetime, deadline)?;
    let chosen = sid.map(|_| creatable(sid)).transpose()?;
    let store = Store::open_for_writing(call)?;
    match chosen.zip(sid) {
        Some((id, sid)) => {
            store.create(id.key(), data, terms)?;
            Ok(sid.to_owned())
        }
        None => Ok(store.create_fresh(data, terms)?.0.into_string()),
    }
}

/// What `session_load` returns.
pub(super) struct LoadedRow {
    data: Option<Datum>,
    payload: Option<Datum>,
    session: Session,
    expires_at: Timestamp,
}

impl Record for LoadedRow {
    const SQL: &'static str = "TABLE (data jsonb, payload bytea, version bigint, principal text, \
         created_at timestamptz, expires_at timestamptz, lifetime interval, deadline timestamptz, \
         attributes jsonb, authenticated_at timestamptz, handle text)";
    const IDENT: &'static str = "session_store::api::LoadedRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        let session = self.session;
        [
            self.data,
            self.payload,
            session.version.into_datum(),
            session.principal.into_datum(),
            timestamptz(session.created_at).into_datum(),
            timestamptz(self.expires_at).into_datum(),
            interval(session.lifetime).into_datum(),
            session.deadline.and_then(timestamptz).into_datum(),
            session.attributes.into_datum(),
            session.authenticated_at.and_then(timestamptz).into_datum(),
            session.handle.map(|handle| handle.to_string()).into_datum(),
        ]
    }
}

/// All there is to know of a live session; no row when there is none.
#[pg_extern(name = "session_load")]
pub(super) fn session_load_0_3(
    sid: Option<&str>,
    slide: default!(Option<bool>, "true"),
    call: Call,
) -> Result<AtMostOne<LoadedRow>, ErrorReport> {
    let Some(found) = look_up(sid, slide, &call)? else { return Ok(AtMostOne(None)) };
    let (session, expires_at) = (found.session, found.promised);
    let (data, payload) = match Content::parse(&session.data).map_err(Error::from)? {
        Content::Map(map) => (JsonbBuf(map.to_jsonb().map_err(Error::from)?).into_datum(), None),
        Content::Opaque(payload) => (None, payload.into_datum()),
    };
    Ok(AtMostOne(Some(LoadedRow { data, payload, session, expires_at })))
}

/// What `session_fetch` returns.
struct FetchedRow {
    content: Printed,
    version: i64,
}

impl Record for FetchedRow {
    // A named type, for PostgreSQL would build an unnamed one for each call.
    const SQL: &'static str = "SETOF session_content";
    const IDENT: &'static str = "session_store::api::FetchedRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        [self.content.data, self.content.payload, self.version.into_datum()]
    }
}

/// What a request needs of a live session, as text for the client; no row when there is none.
#[pg_extern]
fn session_fetch(
    sid: Option<&str>,
    slide: default!(Option<bool>, "true"),
    call: Call,
) -> Result<AtMostOne<FetchedRow>, ErrorReport> {
    let Some(session) = look_up(sid, slide, &call)? else { return Ok(AtMostOne(None)) };
    let content = Printed::of(&session.data)?;
    Ok(AtMostOne(Some(FetchedRow { content, version: session.version })))
}

/// The live session, kept alive unless `slide` is false.
fn look_up<'call>(
    sid: Option<&str>,
    slide: Option<bool>,
    call: &'call Call,
) -> crate::error::Result<Option<Found<'call>>> {
    let (id, store) = (session_id(sid), Store::open(call)?);
    if slide.unwrap_or(true) { store.read(id) } else { store.peek(id) }
}

/// Keeps a session alive, or changes how long it lives; the expiry, NULL if there is no session.
#[pg_extern]
fn session_touch(
    sid: Option<&str>,
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    let terms = new_terms(lifetime, deadline)?;
    let expiry = Store::open_for_writing(&call)?.touch(session_id(sid), terms)?;
    Ok(expiry.and_then(timestamptz))
}

/// A fresh session id.
#[pg_extern(parallel_safe)]
fn session_new_id() -> Result<String, ErrorReport> {
    Ok(store::new_id()?.into_string())
}
