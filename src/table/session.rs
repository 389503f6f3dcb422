//! A session as the table holds it.

use crate::id::SessionKey;
use crate::lifetime::{Lifetime, Limits, Terms, Timestamp, absolute_end};
use crate::pg::{Address, Columns, Shape, Value};
use core::ffi::CStr;
use pgrx::pg_sys::{self, Oid};

/// The columns of a session, in the order in which it reads them, and the one that it is found by.
pub const COLUMNS: [&CStr; 8] = [
    c"session_data",
    c"session_expiry",
    c"created_at",
    c"version",
    c"lifetime",
    c"deadline",
    c"principal",
    KEY_COLUMN,
];

/// The primary key.
pub const KEY_COLUMN: &CStr = c"session_key";

/// What a write without the executor relies on.
pub const SHAPE: Shape<'_> = Shape {
    columns: &COLUMNS,
    nullable: &[c"deadline", c"principal"],
    checks: &[
        c"lifetime OPERATOR(pg_catalog.>=) 0 AND lifetime OPERATOR(pg_catalog.<=) 2145916800",
        c"pg_catalog.octet_length(session_key) OPERATOR(pg_catalog.=) 32",
    ],
};

// Where each stands in [`COLUMNS`].
const DATA: usize = 0;
const EXPIRY: usize = 1;
const CREATED_AT: usize = 2;
const VERSION: usize = 3;
const LIFETIME: usize = 4;
const DEADLINE: usize = 5;
const PRINCIPAL: usize = 6;
const KEY: usize = 7;

/// What has to be read as what. The owner can put another table or a view in place of ours, and
/// bytes of another type are an address that leads anywhere.
pub const TYPES: [(&CStr, Oid); 9] = [
    (c"ctid", pg_sys::TIDOID),
    (c"session_key", pg_sys::BYTEAOID),
    (c"session_data", pg_sys::BYTEAOID),
    (c"session_expiry", pg_sys::TIMESTAMPTZOID),
    (c"created_at", pg_sys::TIMESTAMPTZOID),
    (c"version", pg_sys::INT8OID),
    (c"lifetime", pg_sys::INT4OID),
    (c"deadline", pg_sys::TIMESTAMPTZOID),
    (c"principal", pg_sys::TEXTOID),
];

/// One row of the table, expired or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The content, as the codec writes it.
    pub data: Vec<u8>,
    /// When it expires, with what this transaction is about to add at commit.
    pub expiry: Timestamp,
    /// When it expires as far as the table says.
    pub stored_expiry: Timestamp,
    /// When it was created.
    pub created_at: Timestamp,
    /// Grows with every change of the content.
    pub version: i64,
    /// Idle lifetime and deadline.
    pub terms: Terms,
    /// Whom the session belongs to, if the application said so.
    pub principal: Option<String>,
    /// Where the row was found, if that can be relied on.
    pub address: Option<Address>,
}

impl Session {
    /// Reads the columns of [`COLUMNS`]. `None` if one that is never NULL is.
    pub fn read(row: &impl Columns) -> Option<Self> {
        let State { version, expiry, terms } = State::read(row)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Some(Self {
            data: row.bytes(DATA)?,
            expiry,
            stored_expiry: expiry,
            created_at: row.time(CREATED_AT)?,
            version,
            terms,
            principal: row.bytes(PRINCIPAL).map(text),
            address: row.row_address(),
        })
    }

    /// A session that begins at `now`.
    pub fn begin(data: Vec<u8>, terms: Terms, now: Timestamp, limits: Limits) -> Self {
        let expiry = terms.expiry(now, now, limits);
        Self {
            data,
            expiry,
            stored_expiry: expiry,
            created_at: now,
            // Microseconds, so that a session begun anew never repeats a version; below 2^53, so
            // that every client can hold it.
            version: now.unix_micros(),
            terms,
            principal: None,
            address: None,
        }
    }

    /// Whether the session is there for a client whose clock says `now`.
    pub fn is_live(&self, now: Timestamp, limits: Limits) -> bool {
        // What this transaction is about to add does not count: others do not see it yet.
        is_live(self.stored_expiry, self.created_at, now, limits)
    }

    /// The expiry after a use at `now`, which never shortens the promised one.
    pub fn slid_expiry(&self, now: Timestamp, limits: Limits) -> Timestamp {
        self.expiry.max(self.terms.expiry(now, self.created_at, limits))
    }

    /// The parameters that set expiry, lifetime and deadline.
    pub(super) fn expiry_and_terms(&self) -> [Value<'static>; 3] {
        let lifetime = Value::Int4(self.terms.lifetime.seconds());
        [Value::Time(self.expiry), lifetime, optional(self.terms.deadline)]
    }

    /// The parameters that set data and version.
    pub(super) fn content(&self) -> [Value<'_>; 2] {
        [Value::Bytes(&self.data), Value::Int8(self.version)]
    }

    /// The session as it is found after it was written.
    pub fn as_written(&self) -> Self {
        Self { stored_expiry: self.expiry, address: None, ..self.clone() }
    }

    /// The columns of a new row.
    pub(super) fn row<'a>(
        &'a self,
        key: &'a SessionKey,
    ) -> impl Iterator<Item = (usize, Value<'a>)> {
        let terms = [EXPIRY, LIFETIME, DEADLINE].into_iter().zip(self.expiry_and_terms());
        let content = [DATA, VERSION].into_iter().zip(self.content());
        let once =
            [(KEY, Value::Bytes(key.as_bytes())), (CREATED_AT, Value::Time(self.created_at))];
        terms.chain(content).chain(once)
    }

    /// What makes this state of a row that other one.
    pub(super) fn changes_to<'a>(
        &self,
        new: &'a Session,
    ) -> impl Iterator<Item = (usize, Value<'a>)> + use<'a> {
        let terms = [EXPIRY, LIFETIME, DEADLINE].into_iter().zip(new.expiry_and_terms());
        let content = [DATA, VERSION].into_iter().zip(new.content());
        let is_new_content = new.data != self.data;
        terms.chain(content.filter(move |_| is_new_content))
    }

    /// What identifies this state of the row.
    pub(super) fn state(&self) -> State {
        State { version: self.version, expiry: self.stored_expiry, terms: self.terms }
    }
}

/// A state of a row: while it holds, nothing that a write depends on has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    version: i64,
    expiry: Timestamp,
    terms: Terms,
}

impl State {
    /// Reads the columns of [`COLUMNS`] that it has.
    pub fn read(row: &impl Columns) -> Option<Self> {
        let lifetime = Lifetime::from_seconds(row.int4(LIFETIME)?)?;
        let terms = Terms { lifetime, deadline: row.time(DEADLINE) };
        Some(Self { version: row.int8(VERSION)?, expiry: row.time(EXPIRY)?, terms })
    }

    /// What makes this state of a row the same with another expiry.
    pub fn change_to_expiry(expiry: Timestamp) -> [(usize, Value<'static>); 1] {
        [(EXPIRY, Value::Time(expiry))]
    }

    /// What gives a row another key, and another expiry.
    pub fn change_to_key(key: &SessionKey, expiry: Timestamp) -> [(usize, Value<'_>); 2] {
        [(EXPIRY, Value::Time(expiry)), (KEY, Value::Bytes(key.as_bytes()))]
    }

    /// Whether the session has expired by `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expiry <= now
    }

    /// The first five parameters of the statements that insist on it.
    pub fn as_read<'a>(&self, key: &'a SessionKey) -> [Value<'a>; 5] {
        [
            Value::Bytes(key.as_bytes()),
            Value::Int8(self.version),
            Value::Time(self.expiry),
            Value::Int4(self.terms.lifetime.seconds()),
            optional(self.terms.deadline),
        ]
    }
}

/// Whether a session with these dates is there for a client whose clock says `now`.
pub fn is_live(expiry: Timestamp, created_at: Timestamp, now: Timestamp, limits: Limits) -> bool {
    expiry > now && absolute_end(created_at, limits.absolute_lifetime) > now
}

/// A nullable `timestamptz` parameter.
fn optional(time: Option<Timestamp>) -> Value<'static> {
    time.map_or(Value::Null, Value::Time)
}
