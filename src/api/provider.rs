//! The session provider: the calls of beego's provider interface, by its names.

use super::{creatable, lifetime_of, new_terms, required, session_id};
use crate::codec::Map;
use crate::error::Error;
use crate::id::NewId;
use crate::lifetime::Grace;
use crate::pg::{Call, JsonbBuf};
use crate::settings;
use crate::store::{self, NewTerms, Renewed, Store, map_of};
use crate::table::Session;
use pgrx::datum::{Interval, TimestampWithTimeZone};
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
#[pg_extern(name = "session_read")]
pub(super) fn session_read_0_3(
    sid: Option<&str>,
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<JsonbBuf>, ErrorReport> {
    let terms = new_terms(lifetime, deadline)?;
    let session = get_or_create(sid, Map::empty().stored(), terms, &call)?;
    let Some(session) = session else { return Ok(None) };
    Ok(Some(JsonbBuf(map_of(&session)?.to_jsonb().map_err(Error::from)?)))
}

/// The live session, or a new one under this id with this content; `None` if there is none and that is
/// not to adopt ids.
pub(super) fn get_or_create(
    sid: Option<&str>,
    data: &[u8],
    terms: NewTerms,
    call: &Call,
) -> crate::error::Result<Option<Session>> {
    let store = Store::open(call)?;
    if settings::strict() {
        return store.keep(session_id(sid), terms);
    }
    store.read_or_create(creatable(sid)?, data, terms).map(Some)
}

/// Whether there is a live session. Does not keep it alive.
#[pg_extern]
fn session_exist(sid: Option<&str>, call: Call) -> Result<bool, ErrorReport> {
    Ok(Store::open(&call)?.peek(session_id(sid))?.is_some())
}

/// Moves a session to a new id; the new id, NULL if there is none and one `must_exist`. With a `grace` the
/// old id reaches it that long, and renewing that one moves nothing and returns it as it came.
#[pg_extern(name = "session_regenerate")]
pub(super) fn session_regenerate_0_3(
    oldsid: Option<&str>,
    sid: default!(Option<&str>, "NULL"),
    grace: default!(Option<Interval>, "'0'"),
    must_exist: default!(Option<bool>, "false"),
    call: Call,
) -> Result<Option<String>, ErrorReport> {
    let old = session_id(oldsid);
    let grace = grace.map_or(Ok(Grace::NONE), grace_of)?;
    let must_exist = must_exist.unwrap_or(false);
    let store = Store::open_for_writing(&call)?;
    let generated = match sid {
        // Nothing would begin under it.
        Some(_) if must_exist && store.peek(old)?.is_none() => return Ok(None),
        Some(_) => None,
        None => Some(store::new_id()?),
    };
    let new = generated.as_ref().map(NewId::as_str).or(sid);
    let renewed = store.regenerate(old, creatable(new)?, sid.is_none(), grace, must_exist)?;
    let sid = match renewed {
        Renewed::Moved => new,
        Renewed::InGrace => oldsid,
        Renewed::Absent => None,
    };
    Ok(sid.map(str::to_owned))
}

fn grace_of(interval: Interval) -> crate::error::Result<Grace> {
    Grace::from_interval(interval.months(), interval.days(), interval.micros())
        .ok_or(Error::InvalidGrace)
}

/// Ends a session; whether there was one.
#[pg_extern]
fn session_destroy(sid: Option<&str>, call: Call) -> Result<bool, ErrorReport> {
    Ok(Store::open_for_writing(&call)?.destroy(session_id(sid))?)
}
