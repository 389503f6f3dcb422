//! Functions as earlier versions had them: a database whose catalog has not been updated calls these.

use super::{jsonb_of, manager, provider, store};
use crate::pg::{AtMostOne, Call, Jsonb, JsonbBuf, Record};
use crate::store::Started;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// What `session_start` returned before 0.3.0.
struct StartedRow {
    sid: String,
    data: Option<JsonbBuf>,
    version: i64,
    is_new: bool,
}

impl Record for StartedRow {
    const SQL: &'static str = "TABLE (sid text, data jsonb, version bigint, is_new boolean)";
    const IDENT: &'static str = "session_store::api::released::StartedRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        [
            self.sid.into_datum(),
            self.data.into_datum(),
            self.version.into_datum(),
            self.is_new.into_datum(),
        ]
    }
}

/// Before 0.3.0: data as jsonb, no payload.
#[pg_extern(sql = false)]
fn session_start(
    presented: Option<&str>,
    lifetime: Option<Interval>,
    deadline: Option<TimestampWithTimeZone>,
    call: Call,
) -> Result<AtMostOne<StartedRow>, ErrorReport> {
    let (sid, Started { new_id, data, version }) =
        manager::start(presented, lifetime, deadline, &call)?;
    let data = jsonb_of(&data)?;
    Ok(AtMostOne(Some(StartedRow { sid, data, version, is_new: new_id.is_some() })))
}

/// What `session_load` returned before 0.3.0: no attributes, time of authentication and handle.
struct LoadedRow(manager::LoadedRow);

impl Record for LoadedRow {
    const SQL: &'static str = "TABLE (data jsonb, payload bytea, version bigint, principal text, \
         created_at timestamptz, expires_at timestamptz, lifetime interval, deadline timestamptz)";
    const IDENT: &'static str = "session_store::api::released::LoadedRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        self.0.columns().into_iter().take(8)
    }
}

/// Before 0.3.0: fewer columns.
#[pg_extern(sql = false)]
fn session_load(
    sid: Option<&str>,
    slide: Option<bool>,
    call: Call,
) -> Result<AtMostOne<LoadedRow>, ErrorReport> {
    Ok(AtMostOne(manager::session_load_0_3(sid, slide, call)?.0.map(LoadedRow)))
}

/// Before 0.3.0: without lifetime and deadline.
#[pg_extern(sql = false)]
fn session_read(sid: Option<&str>, call: Call) -> Result<Option<JsonbBuf>, ErrorReport> {
    provider::session_read_0_3(sid, None, None, call)
}

/// Before 0.3.0: without `grace` and `must_exist`.
#[pg_extern(sql = false)]
fn session_regenerate(
    oldsid: Option<&str>,
    sid: Option<&str>,
    call: Call,
) -> Result<Option<String>, ErrorReport> {
    provider::session_regenerate_0_3(oldsid, sid, None, None, call)
}

/// Before 0.3.0: without lifetime and deadline.
#[pg_extern(sql = false)]
fn session_merge(
    sid: Option<&str>,
    patch: Option<Jsonb<'_>>,
    remove: Option<Array<'_, &str>>,
    call: Call,
) -> Result<i64, ErrorReport> {
    store::session_merge_0_3(sid, patch, remove, None, None, call)
}
