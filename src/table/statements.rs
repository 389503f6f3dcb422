//! Every statement that touches the table.
//!
//! Names and operators are schema-qualified throughout: the statements run with the owner's rights
//! under whatever `search_path` the caller has. A `ctid` never stands alone, for in a partitioned
//! table it names a row of each partition.

use crate::pg::Beacon;
use pgrx::pg_sys::{self, BYTEAOID, INT4OID, INT8OID, TEXTOID, TIDARRAYOID, TIMESTAMPTZOID};

/// A statement, kept as a plan.
#[derive(Clone, Copy, Debug)]
pub enum Statement {
    /// Read a session.
    Find,
    /// Read a session and lock it.
    Lock,
    /// Replace content and expiry, if the row is as it was read.
    Save,
    /// Replace expiry and terms, if the row is as it was read.
    Extend,
    /// Replace the expiry, if the row is as it was read and nobody has it locked.
    Slide,
    /// Replace the key, if the row is as it was read.
    Rename,
    /// Add a session unless the key is taken. Locks nothing that is there already.
    Insert,
    /// Begin anew in an expired row, if it is as it was read.
    Replace,
    /// Remove a session.
    Delete,
    /// Remove a session if it has expired.
    DeleteExpired,
    /// Count live sessions.
    Count,
    /// Remove expired sessions that nobody has locked.
    Collect,
    /// Find the addresses of expired sessions.
    Expired,
    /// Remove those of the sessions at some addresses that are expired and that nobody has locked.
    CollectAt,
    /// Keep the figures of a sweep.
    Record,
    /// Keep the error of a sweep.
    RecordError,
    /// Find the launcher's process.
    Launcher,
}

/// How many statements there are.
pub const COUNT: usize = Statement::Launcher as usize + 1;

/// Finds the schema of the extension, where no called function tells.
pub const EXTENSION_SCHEMA: &str = "SELECT extnamespace FROM pg_catalog.pg_extension \
    WHERE extname OPERATOR(pg_catalog.=) 'session_store'";

/// The columns of `Find` and `Lock`, in the order in which `Session` reads them.
const COLUMNS: &str =
    "session_data, session_expiry, created_at, version, lifetime, deadline, principal";

/// True while the row is as it was read: $1 key, $2 version, $3 expiry, $4 lifetime, $5 deadline.
/// The version stands for the content; sliding and changed terms leave it alone.
const AS_READ: &str = "session_key OPERATOR(pg_catalog.=) $1 \
    AND version OPERATOR(pg_catalog.=) $2 \
    AND session_expiry OPERATOR(pg_catalog.=) $3 \
    AND lifetime OPERATOR(pg_catalog.=) $4 \
    AND (deadline OPERATOR(pg_catalog.=) $5 OR deadline IS NULL AND $5 IS NULL)";

const AS_READ_TYPES: [pg_sys::Oid; 5] =
    [BYTEAOID, INT8OID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID];

impl Statement {
    /// The text, for a table in `schema` (quoted).
    pub fn text(self, schema: &str) -> String {
        let session = format!("{schema}.session");
        match self {
            Statement::Find => format!(
                "SELECT {COLUMNS} FROM {session} WHERE session_key OPERATOR(pg_catalog.=) $1"
            ),
            Statement::Lock => format!("{} FOR NO KEY UPDATE", Statement::Find.text(schema)),
            Statement::Save => format!(
                "UPDATE {session} SET session_expiry = $6, lifetime = $7, deadline = $8, \
                 session_data = $9, version = $10 WHERE {AS_READ}"
            ),
            Statement::Extend => format!(
                "UPDATE {session} SET session_expiry = $6, lifetime = $7, deadline = $8 \
                 WHERE {AS_READ}"
            ),
            Statement::Slide => format!(
                "UPDATE {session} SET session_expiry = $6 WHERE ctid OPERATOR(pg_catalog.=) \
                 (SELECT ctid FROM {session} WHERE {AS_READ} FOR NO KEY UPDATE SKIP LOCKED) \
                 AND session_key OPERATOR(pg_catalog.=) $1"
            ),
            Statement::Rename => format!(
                "UPDATE {session} SET session_expiry = $6, session_key = $7 WHERE {AS_READ}"
            ),
            Statement::Insert => format!(
                "INSERT INTO {session} (session_key, session_expiry, lifetime, deadline, \
                 session_data, version, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT ON CONSTRAINT session_key DO NOTHING"
            ),
            Statement::Replace => format!(
                "UPDATE {session} SET session_expiry = $6, lifetime = $7, deadline = $8, \
                 session_data = $9, version = $10, created_at = $11, principal = NULL \
                 WHERE {AS_READ}"
            ),
            Statement::Delete => format!(
                "DELETE FROM {session} WHERE session_key OPERATOR(pg_catalog.=) $1 \
                 RETURNING session_expiry, created_at"
            ),
            Statement::DeleteExpired => format!(
                "DELETE FROM {session} WHERE session_key OPERATOR(pg_catalog.=) $1 \
                 AND (session_expiry OPERATOR(pg_catalog.<=) $2 \
                 OR created_at OPERATOR(pg_catalog.<=) $3)"
            ),
            Statement::Count => format!(
                "SELECT pg_catalog.count(*) FROM {session} WHERE session_expiry \
                 OPERATOR(pg_catalog.>) $1 AND created_at OPERATOR(pg_catalog.>) $2"
            ),
            Statement::Collect => format!(
                "DELETE FROM {session} WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(\
                 SELECT ctid FROM {session} WHERE session_expiry OPERATOR(pg_catalog.<=) $1 \
                 ORDER BY session_expiry LIMIT $2 FOR UPDATE SKIP LOCKED)) \
                 AND session_expiry OPERATOR(pg_catalog.<=) $1"
            ),
            Statement::Expired => format!(
                "SELECT ctid, session_expiry FROM {session} \
                 WHERE session_expiry OPERATOR(pg_catalog.>=) $1 \
                 AND session_expiry OPERATOR(pg_catalog.<=) $2 ORDER BY session_expiry"
            ),
            Statement::CollectAt => format!(
                "DELETE FROM {session} WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(\
                 SELECT ctid FROM {session} WHERE ctid OPERATOR(pg_catalog.=) ANY ($1) \
                 AND session_expiry OPERATOR(pg_catalog.<=) $2 FOR UPDATE SKIP LOCKED)) \
                 AND session_expiry OPERATOR(pg_catalog.<=) $2"
            ),
            Statement::Record => format!(
                "UPDATE {schema}.session_sweep SET sweeps = sweeps OPERATOR(pg_catalog.+) 1, \
                 total_rows = total_rows OPERATOR(pg_catalog.+) $3, last_start = $1, \
                 last_duration = $2 OPERATOR(pg_catalog.-) $1, last_rows = $3 WHERE singleton"
            ),
            Statement::RecordError => {
                format!(
                    "UPDATE {schema}.session_sweep SET last_error = $1, last_error_at = $2 WHERE singleton"
                )
            }
            Statement::Launcher => format!(
                "SELECT pid FROM pg_catalog.pg_locks WHERE granted \
                 AND locktype OPERATOR(pg_catalog.=) 'advisory' \
                 AND database OPERATOR(pg_catalog.=) '0' \
                 AND classid OPERATOR(pg_catalog.=) '{}' \
                 AND objid OPERATOR(pg_catalog.=) '0' \
                 AND objsubid OPERATOR(pg_catalog.=) '{}' AND mode OPERATOR(pg_catalog.=) 'ExclusiveLock'",
                Beacon::NAME,
                Beacon::CLASS
            ),
        }
    }

    /// The types of the parameters.
    pub fn types(self) -> Vec<pg_sys::Oid> {
        const TIME: pg_sys::Oid = TIMESTAMPTZOID;
        let changes: &[pg_sys::Oid] = match self {
            Statement::Find | Statement::Lock | Statement::Delete => return vec![BYTEAOID],
            Statement::Insert => {
                return vec![BYTEAOID, TIME, INT4OID, TIME, BYTEAOID, INT8OID, TIME];
            }
            Statement::DeleteExpired => return vec![BYTEAOID, TIME, TIME],
            Statement::Count => return vec![TIME, TIME],
            Statement::Collect => return vec![TIME, INT8OID],
            Statement::Expired => return vec![TIME, TIME],
            Statement::CollectAt => return vec![TIDARRAYOID, TIME],
            Statement::Record => return vec![TIME, TIME, INT8OID],
            Statement::RecordError => return vec![TEXTOID, TIME],
            Statement::Launcher => return vec![],
            Statement::Save => &[TIME, INT4OID, TIME, BYTEAOID, INT8OID],
            Statement::Replace => &[TIME, INT4OID, TIME, BYTEAOID, INT8OID, TIME],
            Statement::Extend => &[TIME, INT4OID, TIME],
            Statement::Slide => &[TIME],
            Statement::Rename => &[TIME, BYTEAOID],
        };
        [&AS_READ_TYPES, changes].concat()
    }
}
