//! Whom sessions belong to: login, devices, logging out everywhere.

use super::{
    creatable, interval, json_attributes, jsonb_if_any, new_terms, session_id, timestamptz,
};
use crate::codec::Content;
use crate::error::Error;
use crate::id::Handle;
use crate::pg::{self, Call, FixedText, FixedTexts, Jsonb, JsonbBuf, Many, Record, Timestamp};
use crate::settings;
use crate::store::{self, Binding, Device, Missing, Store};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Moves a session to a new id and binds it to a principal; the new id, NULL if there is none and one
/// `must_exist`.
#[pg_extern]
#[allow(clippy::too_many_arguments)]
fn session_login(
    oldsid: Option<&str>,
    principal: Option<&str>,
    attributes: default!(Option<Jsonb<'_>>, "NULL"),
    sid: default!(Option<&str>, "NULL"),
    max_sessions: default!(Option<i32>, "NULL"),
    must_exist: default!(Option<bool>, "false"),
    lifetime: default!(Option<Interval>, "NULL"),
    deadline: default!(Option<TimestampWithTimeZone>, "NULL"),
    call: Call,
) -> Result<Option<String>, ErrorReport> {
    let old = session_id(oldsid);
    let principal = super::principal(principal)?;
    let binding = Binding { principal, attributes: json_attributes(attributes)? };
    let most = max_sessions.map(at_least_one).transpose()?;
    let terms = new_terms(lifetime, deadline)?;
    let missing = match must_exist {
        Some(true) => Missing::Absent,
        // Without an id a login is there to begin a session.
        _ if oldsid.is_some() && settings::strict() => Missing::Refused,
        _ => Missing::Begins,
    };
    let store = Store::open_for_writing(&call)?;
    let new = match sid {
        // Nothing would begin under it.
        Some(_) if missing == Missing::Absent && store.peek(old)?.is_none() => return Ok(None),
        Some(sid) => sid.to_owned(),
        None => store::new_id()?.into_string(),
    };
    let id = creatable(Some(&new))?;
    if !store.login(old, id, sid.is_none(), &binding, missing, terms)? {
        return Ok(None);
    }
    if let Some(most) = most {
        store.end_beyond(principal, most, &id.key())?;
    }
    Ok(Some(new))
}

fn at_least_one(max_sessions: i32) -> Result<usize, Error> {
    usize::try_from(max_sessions).ok().filter(|most| *most > 0).ok_or(Error::NoSessions)
}

/// Binds a session to a principal without a new id, or with NULL to nobody; whether there is one.
#[pg_extern]
fn session_bind(
    sid: Option<&str>,
    principal: Option<&str>,
    attributes: default!(Option<Jsonb<'_>>, "NULL"),
    call: Call,
) -> Result<bool, ErrorReport> {
    let attributes = json_attributes(attributes)?;
    let principal = principal.map(|_| super::principal(principal)).transpose()?;
    let binding = principal.map(|principal| Binding { principal, attributes });
    Ok(Store::open_for_writing(&call)?.bind(session_id(sid), binding.as_ref())?)
}

/// What `session_devices` returns of each.
struct DeviceRow {
    device: Device,
    last_seen: Option<TimestampWithTimeZone>,
    expires_at: Timestamp,
}

impl DeviceRow {
    fn of(devices: Vec<Device>, store: &Store<'_>) -> Vec<Self> {
        let row = |device: Device| {
            let last_seen = store.last_seen(&device.session).and_then(timestamptz);
            let expires_at = store.expires_at(&device.session);
            Self { device, last_seen, expires_at }
        };
        devices.into_iter().map(row).collect()
    }
}

impl Record for DeviceRow {
    const SQL: &'static str = "TABLE (handle text, is_this boolean, attributes jsonb, \
         created_at timestamptz, authenticated_at timestamptz, last_seen timestamptz, expires_at timestamptz)";
    const IDENT: &'static str = "session_store::api::DeviceRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        let Device { session, is_this } = self.device;
        [
            session.handle.map(|handle| handle.to_string()).into_datum(),
            is_this.into_datum(),
            session.attributes.into_datum(),
            timestamptz(session.created_at).into_datum(),
            session.authenticated_at.and_then(timestamptz).into_datum(),
            self.last_seen.into_datum(),
            timestamptz(self.expires_at).into_datum(),
        ]
    }
}

/// The live sessions of the same principal, this one first.
#[pg_extern]
fn session_devices(sid: Option<&str>, call: Call) -> Result<Many<DeviceRow>, ErrorReport> {
    let store = Store::open(&call)?;
    let devices = store.devices(session_id(sid))?;
    Ok(Many(DeviceRow::of(devices, &store)))
}

/// What `session_find` returns of each.
struct FoundRow {
    device: DeviceRow,
    data: Option<JsonbBuf>,
    payload: Option<Datum>,
}

impl Record for FoundRow {
    const SQL: &'static str = "TABLE (handle text, is_this boolean, attributes jsonb, \
         created_at timestamptz, authenticated_at timestamptz, last_seen timestamptz, expires_at timestamptz, \
         data jsonb, payload bytea, version bigint, lifetime interval)";
    const IDENT: &'static str = "session_store::api::FoundRow";

    fn columns(self) -> impl IntoIterator<Item = Option<Datum>> {
        let session = &self.device.device.session;
        let more = [
            self.data.into_datum(),
            self.payload,
            session.version.into_datum(),
            interval(session.lifetime).into_datum(),
        ];
        self.device.columns().into_iter().chain(more)
    }
}

/// The live sessions of a principal with their content, the ones used last first.
#[pg_extern]
fn session_find(principal: Option<&str>, call: Call) -> Result<Many<FoundRow>, ErrorReport> {
    let principal = super::principal(principal)?;
    let store = Store::open(&call)?;
    let found = DeviceRow::of(store.sessions_of(principal)?, &store);
    let row = |device: DeviceRow| {
        let stored = &device.device.session.data;
        let data = jsonb_if_any(stored)?;
        let payload = match Content::parse(stored) {
            Ok(Content::Opaque(payload)) => payload.into_datum(),
            Ok(Content::Map(_)) | Err(_) => None,
        };
        Ok(FoundRow { device, data, payload })
    };
    Ok(Many(found.into_iter().map(row).collect::<Result<_, Error>>()?))
}

/// Ends one of the sessions of the same principal; whether it was one.
#[pg_extern]
fn session_revoke(
    sid: Option<&str>,
    handle: Option<&str>,
    call: Call,
) -> Result<bool, ErrorReport> {
    let handle = handle.and_then(Handle::parse);
    Ok(Store::open_for_writing(&call)?.revoke(session_id(sid), handle)?)
}

type Handles = FixedTexts<Handle, 36>;

impl FixedText<36> for Handle {
    fn text(&self) -> [u8; 36] {
        Handle::text(self)
    }
}

/// Ends the other sessions of the same principal; their handles.
#[pg_extern]
fn session_revoke_others(sid: Option<&str>, call: Call) -> Result<Handles, ErrorReport> {
    Ok(FixedTexts(Store::open_for_writing(&call)?.revoke_others(session_id(sid))?))
}

/// Ends the sessions of a principal, but maybe for one; their handles.
#[pg_extern]
fn session_revoke_all(
    principal: Option<&str>,
    keep: default!(Option<&str>, "NULL"),
    call: Call,
) -> Result<Handles, ErrorReport> {
    let principal = super::principal(principal)?;
    Ok(FixedTexts(Store::open_for_writing(&call)?.revoke_all(principal, session_id(keep))?))
}

/// Ends the session with this handle; whether there was one.
#[pg_extern]
fn session_revoke_handle(handle: Option<&str>, call: Call) -> Result<bool, ErrorReport> {
    Ok(Store::open_for_writing(&call)?.revoke_handle(handle.and_then(Handle::parse))?)
}

/// Has the transaction carry the session's principal and attributes, for policies; the principal, NULL if it
/// belongs to nobody or is not live.
#[pg_extern]
fn session_attach(sid: Option<&str>, call: Call) -> Result<Option<String>, ErrorReport> {
    if call.is_whole_transaction() {
        let code = PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION;
        ErrorReport::new(
            code,
            "session_attach can only be used in transaction blocks",
            "session_attach",
        )
        .set_hint("It lasts to the end of the transaction: call it after BEGIN.")
        .report(PgLogLevel::WARNING);
    }
    let session = Store::open(&call)?.read(session_id(sid))?.map(|found| found.session);
    let principal = session.as_ref().and_then(|session| session.principal.as_deref());
    let attributes = session.as_ref().and_then(|session| session.attributes.as_ref());
    settings::attach(principal, attributes.map(|jsonb| jsonb.0.as_slice()));
    Ok(principal.map(str::to_owned))
}

/// The principal that `session_attach` has the transaction carry, NULL without.
#[pg_extern(stable, parallel_safe)]
fn session_principal() -> Option<pg::KeptText> {
    pg::carried().map(|carried| pg::KeptText(carried.text))
}

/// The attributes beside it.
#[pg_extern(stable, parallel_safe)]
fn session_attributes() -> Option<pg::KeptJsonb> {
    pg::carried().and_then(|carried| carried.jsonb).map(pg::KeptJsonb)
}
