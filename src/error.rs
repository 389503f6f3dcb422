//! Everything that can go wrong, and how a client hears of it.
//!
//! No message holds a session id or a session value.

use crate::{codec, settings};
use core::ffi::CStr;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, PgSqlErrorCode::*};
use std::borrow::Cow;

/// The function that errors say they come from, by which the log hook knows them.
pub const ORIGIN: &str = "session_store";
/// The same for C.
pub const ORIGIN_NAME: &CStr = c"session_store";

/// A refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// An argument that may not be NULL is.
    Null(&'static str),
    /// An array holds a NULL.
    NullElement(&'static str),
    /// The text is not a session id.
    InvalidSid,
    /// The interval is negative or beyond 68 years.
    InvalidLifetime(&'static str),
    /// The interval is negative or beyond five minutes.
    InvalidGrace,
    /// The text is no principal.
    InvalidPrincipal,
    /// Attributes exceed 8 kB.
    AttributesTooLarge,
    /// A limit on sessions is below one.
    NoSessions,
    /// A limit on rows is negative.
    NegativeRows,
    /// Session data must be a JSON object.
    NotAnObject(&'static str),
    /// The document nests deeper than the codec writes.
    TooDeep,
    /// The `jsonb` is not in PostgreSQL's form.
    MalformedJsonb,
    /// The text is not JSON.
    NotJson,
    /// A number in JSON text is beyond what PostgreSQL's numeric holds.
    NumberOutOfRange,
    /// The stored form would exceed `session_store.max_size`.
    TooLarge {
        /// Bytes to be stored; beyond [`codec::MAX_SIZE`] perhaps more
        size: usize,
        /// Bytes allowed
        limit: usize,
    },
    /// The text of the document would be very much longer than its stored form.
    TooLong,
    /// There is no live session with this id.
    NoSession,
    /// The id is taken by a live session.
    SessionExists,
    /// A session cannot be regenerated to its own id.
    SameId,
    /// The session holds an opaque payload.
    Opaque,
    /// The session holds keys and values.
    KeyWise,
    /// The stored bytes cannot be read.
    Damaged,
    /// What is stored cannot become a `jsonb`, for it holds U+0000.
    NulInJsonb,
    /// Memory for the session's content could not be had.
    OutOfMemory,
    /// The transaction cannot write.
    ReadOnly,
    /// A table of the extension is not where its functions are.
    NoTable(&'static CStr),
    /// A column of the table has another type.
    AlteredTable(&'static CStr),
    /// The server's random source failed.
    NoEntropy,
    /// Others were faster, again and again or since this transaction's snapshot.
    Contention,
    /// The table's definition was changed since this transaction's snapshot, or during the call.
    TableChanged(&'static CStr),
    /// A trigger or rule of the owner's made nothing of the write.
    Suppressed(&'static CStr),
    /// With the table's owner, a superuser, code of another role would run.
    CodeOfOthers(&'static CStr),
}

impl Error {
    /// Raises it where no result can say so.
    pub fn raise(self) -> ! {
        ErrorReport::from(self).report(PgLogLevel::ERROR);
        unreachable!("an error does not return")
    }

    fn report(self) -> (PgSqlErrorCode, Cow<'static, str>, Cow<'static, str>) {
        use Error::*;
        let (code, message, hint): (_, Cow<'static, str>, Cow<'static, str>) = match self {
            Null(argument) => (
                ERRCODE_NULL_VALUE_NOT_ALLOWED,
                format!("{argument} must not be null").into(),
                "Pass a value; only arguments with a default accept NULL.".into(),
            ),
            NullElement(argument) => (
                ERRCODE_NULL_VALUE_NOT_ALLOWED,
                format!("{argument} must not contain nulls").into(),
                "Leave the NULLs out of the array.".into(),
            ),
            InvalidSid => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid session id".into(),
                "A session id is 1 to 256 bytes of printable ASCII. session_start() and session_new_id() make one.".into(),
            ),
            InvalidLifetime(argument) => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{argument} is out of range").into(),
                "Pass an interval from '0' (no idle limit) to '68 years'.".into(),
            ),
            InvalidGrace => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "grace is out of range".into(),
                "Pass an interval from '0' (the old id is dead at once) to '5 minutes'.".into(),
            ),
            InvalidPrincipal => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid principal".into(),
                "A principal is 1 to 256 bytes of text, such as the key of a row of your table of users.".into(),
            ),
            AttributesTooLarge => (
                ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                "attributes are too large".into(),
                "They may take 8 kB. They are for a list of devices; keep the rest in the session.".into(),
            ),
            NoSessions => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "max_sessions must be positive".into(),
                "Pass 1 to end all other sessions of the principal, NULL for no limit.".into(),
            ),
            NegativeRows => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "max_rows must not be negative".into(),
                "Pass NULL to collect every expired session.".into(),
            ),
            NotAnObject("attributes") => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "attributes must be a JSON object".into(),
                "Pass what a list of devices shows, such as {\"device\": \"laptop\"}.".into(),
            ),
            NotAnObject(argument) => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{argument} must be a JSON object").into(),
                "Session data maps keys to values, such as {\"cart\": []}. For the bytes of a serializer use the _raw functions.".into(),
            ),
            TooDeep => (
                ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                "session data is nested too deeply".into(),
                format!("Arrays and objects may nest {} levels deep.", codec::MAX_DEPTH).into(),
            ),
            MalformedJsonb => (
                ERRCODE_DATA_CORRUPTED,
                "the jsonb value is malformed".into(),
                "It was made by something other than PostgreSQL's jsonb functions.".into(),
            ),
            NotJson => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "session data is not valid JSON".into(),
                "Pass the text of a JSON object as RFC 8259 has it, with every surrogate escape (\\uD800 to \\uDFFF) in a pair.".into(),
            ),
            NumberOutOfRange => (
                ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                "a number in the session data is out of range".into(),
                "A number may have 131072 digits before the decimal point and 16383 after it. Pass other numbers as strings.".into(),
            ),
            TooLarge { size, limit } => (
                ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                "session data is too large".into(),
                format!("It would take {} bytes, and session_store.max_size is {limit}. Keep bulky data in a table of its own, with its key in the session.", bytes(size)).into(),
            ),
            TooLong => (
                ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                "session data is too long as text".into(),
                "It holds many numbers with thousands of digits. Read single keys with session_get(), or replace it with session_save().".into(),
            ),
            NoSession => (
                ERRCODE_NO_DATA_FOUND,
                "there is no live session with this id".into(),
                "It was destroyed, has expired or never was. Begin one with session_start().".into(),
            ),
            SessionExists => (
                ERRCODE_UNIQUE_VIOLATION,
                "a live session with this id exists".into(),
                "Let the server choose the id by leaving it out.".into(),
            ),
            SameId => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "the new session id is the old one".into(),
                "Leave the new id out to have one generated.".into(),
            ),
            Opaque => (
                ERRCODE_WRONG_OBJECT_TYPE,
                "the session holds an opaque payload, not keys and values".into(),
                "Read it with session_load() and save it with session_release_raw().".into(),
            ),
            KeyWise => (
                ERRCODE_WRONG_OBJECT_TYPE,
                "the session holds keys and values, not an opaque payload".into(),
                "Read it with session_fetch() or session_load().".into(),
            ),
            Damaged => (
                ERRCODE_DATA_CORRUPTED,
                "the stored data of this session cannot be read".into(),
                "It can still be replaced with session_release() or session_put(), or destroyed with session_destroy().".into(),
            ),
            NulInJsonb => (
                ERRCODE_UNTRANSLATABLE_CHARACTER,
                "unsupported Unicode escape sequence".into(),
                "The session holds \\u0000, which jsonb cannot. Read it as JSON text with session_fetch().".into(),
            ),
            OutOfMemory => (
                ERRCODE_OUT_OF_MEMORY,
                "out of memory".into(),
                "The server could not hold the session's data. Keep bulky data in a table of its own, with its key in the session.".into(),
            ),
            ReadOnly => (
                ERRCODE_READ_ONLY_SQL_TRANSACTION,
                "cannot change sessions in a read-only transaction".into(),
                "Reading works here. Run this call in a read-write transaction on the primary server.".into(),
            ),
            NoTable(table) => (
                ERRCODE_UNDEFINED_TABLE,
                format!("the table {table:?} of extension session_store is missing").into(),
                "Restore it, or run DROP EXTENSION session_store and CREATE EXTENSION session_store.".into(),
            ),
            AlteredTable(table) => (
                ERRCODE_DATATYPE_MISMATCH,
                format!("the columns of table {table:?} are not those of extension session_store").into(),
                "Give them back the types that the reference lists, or run DROP EXTENSION session_store and CREATE EXTENSION session_store.".into(),
            ),
            NoEntropy => (
                ERRCODE_INTERNAL_ERROR,
                "could not generate a random session id".into(),
                "The server's random source failed; see the server log.".into(),
            ),
            Contention => (
                ERRCODE_T_R_SERIALIZATION_FAILURE,
                "could not change the session because of concurrent changes".into(),
                "Retry the transaction.".into(),
            ),
            TableChanged(table) => (
                ERRCODE_T_R_SERIALIZATION_FAILURE,
                format!("the table {table:?} was changed meanwhile").into(),
                "Retry the transaction.".into(),
            ),
            Suppressed(table) => (
                ERRCODE_TRIGGERED_ACTION_EXCEPTION,
                format!("a trigger or rule on table {table:?} suppressed the write").into(),
                "Have a BEFORE trigger return its row or raise an error of its own; look for DO INSTEAD rules.".into(),
            ),
            CodeOfOthers(table) => (
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                format!("a function of a role that is not superuser would run with the rights of the owner of table {table:?}, who is").into(),
                format!("Hand the table over with ALTER TABLE {} OWNER TO that role, or have a superuser own the functions of its triggers, indexes, constraints, defaults and rules.", table.to_string_lossy()).into(),
            ),
        };
        (code, message, hint)
    }
}

/// The codec counts no further than it may write.
fn bytes(size: usize) -> String {
    match size {
        ..=codec::MAX_SIZE => size.to_string(),
        _ => format!("over {}", codec::MAX_SIZE),
    }
}

impl From<codec::EncodeError> for Error {
    fn from(error: codec::EncodeError) -> Self {
        match error {
            codec::EncodeError::NotAnObject => Error::NotAnObject("data"),
            codec::EncodeError::TooDeep => Error::TooDeep,
            codec::EncodeError::TooLarge => {
                Error::TooLarge { size: codec::MAX_SIZE + 1, limit: settings::max_size() }
            }
            codec::EncodeError::NotUtf8 | codec::EncodeError::Malformed => Error::MalformedJsonb,
            codec::EncodeError::NotJson => Error::NotJson,
            codec::EncodeError::NumberOutOfRange => Error::NumberOutOfRange,
            codec::EncodeError::OutOfMemory => Error::OutOfMemory,
        }
    }
}

impl From<codec::DecodeError> for Error {
    fn from(error: codec::DecodeError) -> Self {
        match error {
            codec::DecodeError::Damaged => Error::Damaged,
            codec::DecodeError::Nul => Error::NulInJsonb,
            codec::DecodeError::TooLong => Error::TooLong,
            codec::DecodeError::OutOfMemory => Error::OutOfMemory,
        }
    }
}

impl From<codec::OutOfMemory> for Error {
    fn from(_: codec::OutOfMemory) -> Self {
        Error::OutOfMemory
    }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        let (code, message, hint) = error.report();
        ErrorReport::new(code, message, ORIGIN).set_hint(hint)
    }
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;
