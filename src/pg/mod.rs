//! The boundary to PostgreSQL's C API, and the only place with `unsafe` code.
//!
//! Everything here is small, knows nothing of sessions, and gives the rest of the crate safe calls
//! whose resources (identity, SPI connection, plans) are released on every way out.

#![allow(unsafe_code)]

mod catalog;
mod compat;
mod identity;
mod log;
mod lookup;
mod memory;
mod row;
mod settings;
mod shape;
mod spi;
mod table_result;
mod types;
mod unguarded;
mod worker;
mod writer;
mod xact;

pub use catalog::{
    Home, accept_invalidations, current_database, databases, has_types, home_beside, home_in,
    home_of, on_catalog_change, owner_may_write,
};
pub use compat::NEWER_TIMEOUTS;
pub use identity::{restrict_operations, with_rights_of};
pub use log::{Call, FUNCTION_NAME, hide_statements_of_our_errors};
pub use lookup::KeyLookup;
pub use row::Columns;
pub use settings::{refuse_connection, reserve_prefix, reset_value, set_for_session};
pub use shape::Shape;
pub use spi::{Access, Address, Connection, Plan, Row, Rows, Value, connect};
pub use table_result::{AtMostOne, Record};
pub use types::{Caller, Jsonb, JsonbBuf, random_bytes};
pub use worker::{
    Beacon, Report, SharedReport, Workers, define_workers, in_transaction, is_binary_upgrade,
    is_preloaded, run_sweeper, send_reload, set_for_process, shared_number, start_launcher, wait,
};
pub use writer::RowWriter;
pub use xact::{
    LockMode, XactEvent, clock, commit_as_set, commit_asynchronously, current_subtransaction,
    has_written, in_subtransaction, is_read_only, lock, on_transaction_event, statement_start,
    try_lock,
};
