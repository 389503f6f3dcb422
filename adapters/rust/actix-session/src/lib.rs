#![doc = include_str!("../README.md")]

mod middleware;
mod principals;
mod scope;
mod store;

pub use middleware::{Scoped, ScopedMiddleware, Within};
pub use principals::{Principals, PrincipalsError};
pub use session_store_client::Device;
pub use store::PostgresSessionStore;
