//! What the adapters of session_store for Rust have in common: the calls of the extension over sqlx, and what a request
//! knows of its session. Applications use the crate of their framework.

mod content;
mod database;
mod life;
mod lifetimes;
mod row;

pub use content::{Content, Json};
pub use database::{Database, Device, Login};
pub use life::Life;
pub use row::Row;

/// Why a session was not loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session ended while the request was under way: a logout, a login that renewed its id, its lifetime.
    #[error("the session has ended")]
    Ended,
    /// Not 1 to 256 bytes of text.
    #[error("a principal is 1 to 256 bytes of text")]
    Principal,
    /// The framework does not tell a store which request asks.
    #[error("not within a request: wrap the session middleware by the store's method scope")]
    NoScope,
    /// The session holds something else than the framework's JSON.
    #[error("the session holds something else: {0}")]
    Content(#[from] serde_json::Error),
    /// The database, or the way to it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}
