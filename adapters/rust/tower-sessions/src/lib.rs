#![doc = include_str!("../README.md")]

#[cfg(feature = "import")]
mod import;
mod layer;
mod principals;
mod scope;
mod store;

#[cfg(feature = "import")]
pub use import::Imported;
pub use layer::{Scoped, ScopedLayer, StandIn, Within};
pub use principals::Principals;
pub use session_store_client::Device;
pub use store::PostgresStore;
