//! The SQL functions: parse the arguments, call the store, map the result.
//!
//! One file a family, as in the reference. No function is STRICT: a NULL that means nothing is an
//! error rather than a silent NULL.
//!
//! A function whose arguments or result have changed is named after the version with which they did:
//! the symbol of that name in the library is what a catalog asks for, and one that has not been updated
//! asks for those in [`released`].

mod admin;
mod manager;
mod principal;
mod provider;
mod raw;
mod released;
mod store;

use crate::codec::{self, Content};
use crate::error::{Error, Result};
use crate::id::{Principal, SessionId};
use crate::lifetime::Lifetime;
use crate::pg::{Json, Jsonb, JsonbBuf, Timestamp};
use crate::store::NewTerms;
use pgrx::datum::{Interval, TimestampWithTimeZone};

/// An argument that may not be NULL.
fn required<T>(argument: Option<T>, name: &'static str) -> Result<T> {
    argument.ok_or(Error::Null(name))
}

/// The id if a session can have it: any other belongs to no session.
fn session_id(sid: Option<&str>) -> Option<SessionId<'_>> {
    sid.and_then(SessionId::parse)
}

/// The id under which a session is to be created if there is none.
fn creatable(sid: Option<&str>) -> Result<SessionId<'_>> {
    session_id(sid).ok_or(Error::InvalidSid)
}

/// The stored form of a `jsonb` argument that must be an object.
fn document(jsonb: Option<Jsonb<'_>>, name: &'static str) -> Result<Vec<u8>> {
    codec::encode_document(required(jsonb, name)?.0).map_err(|error| for_argument(error, name))
}

/// The stored form of a `json` argument that must be an object.
fn json_document(json: Option<Json<'_>>, name: &'static str) -> Result<Vec<u8>> {
    codec::encode_json_document(required(json, name)?.0).map_err(|error| for_argument(error, name))
}

fn for_argument(error: codec::EncodeError, name: &'static str) -> Error {
    match error {
        codec::EncodeError::NotAnObject => Error::NotAnObject(name),
        other => other.into(),
    }
}

/// The most bytes that attributes take, as jsonb.
const MAX_ATTRIBUTES: usize = 8 * 1024;

/// Attributes, which must be an object and small: they are read with every list of devices.
fn json_attributes(attributes: Option<Jsonb<'_>>) -> Result<Option<JsonbBuf>> {
    let Some(attributes) = attributes else { return Ok(None) };
    if attributes.0.len() > MAX_ATTRIBUTES {
        return Err(Error::AttributesTooLarge);
    }
    if !codec::is_object(attributes.0) {
        return Err(Error::NotAnObject("attributes"));
    }
    Ok(Some(JsonbBuf(attributes.0.to_vec())))
}

/// A principal, which is never NULL.
fn principal(text: Option<&str>) -> Result<Principal<'_>> {
    text.and_then(Principal::parse).ok_or(Error::InvalidPrincipal)
}

fn interval(lifetime: Lifetime) -> Interval {
    Interval::from_micros(i64::from(lifetime.seconds()) * 1_000_000)
}

fn lifetime_of(interval: Interval, name: &'static str) -> Result<Lifetime> {
    Lifetime::from_interval(interval.months(), interval.days(), interval.micros())
        .ok_or(Error::InvalidLifetime(name))
}

fn new_terms(
    lifetime: Option<Interval>,
    deadline: Option<TimestampWithTimeZone>,
) -> Result<NewTerms> {
    Ok(NewTerms {
        lifetime: lifetime.map(|interval| lifetime_of(interval, "lifetime")).transpose()?,
        deadline: deadline.map(|time| Timestamp(time.into())),
    })
}

fn timestamptz(time: Timestamp) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(time.0).ok()
}

/// The content as `jsonb`, or `None` if it is opaque.
fn jsonb_of(stored: &[u8]) -> Result<Option<JsonbBuf>> {
    match Content::parse(stored)? {
        Content::Map(map) => Ok(Some(JsonbBuf(map.to_jsonb()?))),
        Content::Opaque(_) => Ok(None),
    }
}

/// The same where one session is not to fail a list: `None` also for what is damaged or holds what no jsonb can.
fn jsonb_if_any(stored: &[u8]) -> Result<Option<JsonbBuf>> {
    match jsonb_of(stored) {
        Err(Error::Damaged | Error::NulInJsonb) => Ok(None),
        decoded => decoded,
    }
}
