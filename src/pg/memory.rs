//! Memory of Rust's own, taken as `palloc` takes PostgreSQL's.

use pgrx::{PgSqlErrorCode, ereport};

/// A copy of what may be large. Without memory for it: an error, where `to_vec` would end the process.
pub fn copy(bytes: &[u8]) -> Vec<u8> {
    let mut copy = Vec::new();
    if copy.try_reserve_exact(bytes.len()).is_err() {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
            "out of memory",
            format!("Failed on request of size {}.", bytes.len())
        );
    }
    copy.extend_from_slice(bytes);
    copy
}
