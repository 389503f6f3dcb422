//! For the owner: counting, collecting, looking in.

use super::jsonb_if_any;
use crate::error::Error;
use crate::pg::{Call, JsonbBuf};
use crate::store::Store;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// How many sessions are live.
#[pg_extern]
fn session_all(call: Call) -> Result<i64, ErrorReport> {
    Ok(Store::open(&call)?.count())
}

/// Ends all sessions; how many.
#[pg_extern]
fn session_clear(call: Call) -> Result<i64, ErrorReport> {
    Ok(Store::open_for_writing(&call)?.clear())
}

/// Removes expired sessions, at most `max_rows`; how many.
#[pg_extern]
fn session_gc(max_rows: default!(Option<i64>, "NULL"), call: Call) -> Result<i64, ErrorReport> {
    if max_rows.is_some_and(|rows| rows < 0) {
        return Err(Error::NegativeRows.into());
    }
    Ok(Store::open_for_writing(&call)?.collect(max_rows))
}

/// What `session_data` holds, NULL if it is opaque, damaged or nothing that a jsonb can hold.
#[pg_extern(immutable, parallel_safe)]
fn session_decode(session_data: Option<&[u8]>) -> Result<Option<JsonbBuf>, ErrorReport> {
    Ok(session_data.map(jsonb_if_any).transpose()?.flatten())
}
