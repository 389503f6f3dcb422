//! The session provider: the calls of beego's provider interface, by its names.

use super::{lifetime_of, required, session_id};
use crate::pg::{Call, JsonbBuf};
use crate::settings;
use crate::store::{Store, map_of};
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Sets the idle lifetime of sessions that this connection begins from now on.
#[pg_extern]
fn session_init(max_lifetime: Option<Interval>) -> Result<(), ErrorReport> {
    let lifetime = lifetime_of(required(max_lifetime, "max_lifetime")?, "max_lifetime")?;
    settings::set_max_lifetime(lifetime);
    Ok(())
}

/// The values of a session, which is created if there is none.
#[pg_extern]
fn session_read(sid: Option<&str>, call: Call) -> Result<Option<JsonbBuf>, ErrorReport> {
    let id = session_id(sid)?;
    let store = Store::open(&call)?;
    let session = match settings::strict() {
        true => store.read(id)?.map(|found| found.session),
        false => Some(store.read_or_create(id)?),
    };
    let Some(session) = session else { return Ok(None) };
    let map = map_of(&session)?;
    Ok(Some(JsonbBuf(map.to_jsonb().map_err(crate::error::Error::from)?)))
}

/// Whether there is a live session. Does not keep it alive.
#[pg_extern]
fn session_exist(sid: Option<&str>, call: Call) -> Result<bool, ErrorReport> {
    let id = session_id(sid)?;
    Ok(Store::open(&call)?.peek(id)?.is_some())
}

/// Moves a session to a new id; the new id.
#[pg_extern]
fn session_regenerate(
    oldsid: Option<&str>,
    sid: default!(Option<&str>, "NULL"),
    call: Call,
) -> Result<String, ErrorReport> {
    let old = session_id(Some(required(oldsid, "oldsid")?))?;
    let store = Store::open_for_writing(&call)?;
    match sid {
        Some(new) => {
            store.regenerate_as(old, session_id(sid)?)?;
            Ok(new.to_owned())
        }
        None => Ok(store.regenerate(old)?.into_string()),
    }
}

/// Ends a session; whether there was one.
#[pg_extern]
fn session_destroy(sid: Option<&str>, call: Call) -> Result<bool, ErrorReport> {
    let id = session_id(sid)?;
    Ok(Store::open_for_writing(&call)?.destroy(id)?)
}
