//! The worker's own statements: on the catalog and on the table of its figures.
//!
//! Names and operators are schema-qualified, for a `search_path` may have been set for the database.
//! Each runs once in a sweep or less often, so no plan is kept.

use super::{CLASS, CLUSTER};
use crate::error::ORIGIN;
use crate::pg::{self, Access, AdvisoryLock, Call, Columns, TableName, Timestamp, Value};
use core::ffi::CStr;
use pgrx::PgLogLevel::ERROR;
use pgrx::PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pg_sys::{INT8OID, Oid, TEXTOID, TIMESTAMPTZOID};

const FIGURES: &CStr = c"session_sweep";

/// The figures of one visit.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Rows that it removed.
    pub rows: i64,
}

/// The schema of the extension, where no called function tells; `None` if it is not there.
pub fn extension_schema(call: &Call) -> Option<Oid> {
    let sql = "SELECT extnamespace FROM pg_catalog.pg_extension \
        WHERE extname OPERATOR(pg_catalog.=) 'session_store'";
    call.act_as_oneself()
        .connect(|spi| spi.execute(&spi.prepare(sql, &[]), [], Access::ReadWrite).first()?.oid(0))
}

/// Adds a visit to the figures, which are beside the table of the sessions.
pub fn record(call: &Call, sessions: Oid, visit: Visit) {
    let set = "sweeps = sweeps OPERATOR(pg_catalog.+) 1, \
        total_rows = total_rows OPERATOR(pg_catalog.+) $3, last_start = $1, \
        last_duration = $2 OPERATOR(pg_catalog.-) $1, last_rows = $3";
    let args = [Value::Time(visit.start), Value::Time(visit.end), Value::Int8(visit.rows)];
    write(call, sessions, set, &[TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID], args);
}

/// Keeps the message of a sweep that failed.
pub fn record_error(call: &Call, sessions: Oid, message: &str, at: Timestamp) {
    let args = [Value::Text(message), Value::Time(at)];
    let set = "last_error = $1, last_error_at = $2";
    write(call, sessions, set, &[TEXTOID, TIMESTAMPTZOID], args);
}

/// Changes the figures with the rights of their owner, who need not be that of the sessions.
fn write<const N: usize>(
    call: &Call,
    sessions: Oid,
    set: &str,
    types: &[Oid],
    args: [Value<'_>; N],
) {
    let Some(TableName { schema, owner, .. }) = figures_beside(sessions) else {
        let message = "the table \"session_sweep\" of extension session_store is missing";
        ErrorReport::new(ERRCODE_UNDEFINED_TABLE, message, ORIGIN).report(ERROR);
        return;
    };
    let sql = format!("UPDATE {schema}.session_sweep SET {set} WHERE singleton");
    call.act_as(owner).connect(|spi| {
        spi.execute(&spi.prepare(&sql, types), args, Access::ReadWrite);
    });
}

/// The process of the launcher. For the right to look at `pg_locks`, which may have been revoked from
/// the caller, a table's owner is asked.
pub fn launcher(call: &Call, sessions: Oid) -> Option<i32> {
    let owner = figures_beside(sessions)?.owner;
    let sql = format!(
        "SELECT pid FROM pg_catalog.pg_locks WHERE granted \
         AND locktype OPERATOR(pg_catalog.=) 'advisory' \
         AND database OPERATOR(pg_catalog.=) '0' \
         AND classid OPERATOR(pg_catalog.=) '{CLASS}' \
         AND objid OPERATOR(pg_catalog.=) '{}' \
         AND objsubid OPERATOR(pg_catalog.=) '{}' \
         AND mode OPERATOR(pg_catalog.=) 'ExclusiveLock'",
        CLUSTER.object,
        AdvisoryLock::KIND,
    );
    call.act_as(owner)
        .connect(|spi| spi.execute(&spi.prepare(&sql, &[]), [], Access::ReadWrite).first()?.int4(0))
}

fn figures_beside(sessions: Oid) -> Option<TableName> {
    pg::find_table(pg::schema_of_table(sessions), FIGURES)
}
