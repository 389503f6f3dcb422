//! The boundary to PostgreSQL's C API, and the only place with `unsafe` code.
//!
//! One file a concept of PostgreSQL. Nothing here knows what the tables hold. What a function relies
//! on it asks for as a type: a [`Call`] keeps a snapshot active, a [`Lock`] is a locked table, [`Rights`]
//! are those of a table's owner. All of them borrow from the call and are given up on every way out.

#![allow(unsafe_code)]

mod call;
mod carried;
mod catalog;
mod client;
mod guard;
mod guc;
mod heap;
mod identity;
mod invalidation;
mod lock;
mod log;
mod memory;
mod panic;
mod plan;
mod reserve;
mod row;
mod spi;
mod table_result;
mod timestamp;
mod transaction;
mod types;
mod value;
mod version;
mod worker;

pub use call::{Call, Lock, LockMode};
pub use carried::{KeptJsonb, KeptText, carried, carry, define as define_carried};
pub use catalog::{
    TableName, column_type, current_database, databases, find_table, has_rules, has_statistics,
    has_types, is_of_an_extension, is_partitioned, is_superuser, last_change_of_table,
    may_suppress_inserts, owner_may_write, owner_of_function, schema_of_function, schema_of_table,
    takes_on_conflict,
};
pub use guc::{refuse_connection, reserve_prefix, reset_value, set_for_session};
pub use heap::{Column, Holder, Layout, Place, PlainTable, RowWrite};
pub use identity::Rights;
pub use invalidation::{accept_invalidations, on_catalog_change};
pub use lock::{AdvisoryLock, HeldLock, is_database_locked, lock_in_database};
pub use log::hide_statements_of_errors;
pub use memory::copy;
pub use panic::report_panics_to_the_log;
pub use row::Columns;
pub use spi::{Access, Connection, Plan, Row, Rows};
pub use table_result::{AtMostOne, FixedText, FixedTexts, Many, Record};
pub use timestamp::Timestamp;
pub use transaction::{
    HeldInterrupts, XactEvent, clock, commit_asynchronously, current_subtransaction, has_written,
    in_subtransaction, in_subtransaction_kept_if, is_read_only, keeps_snapshot,
    on_transaction_event, statement_start,
};
pub use types::{Json, Jsonb, JsonbBuf, random_bytes};
pub use value::{Address, Value};
pub use version::NEWER_TIMEOUTS;
pub(crate) use worker::background_worker;
pub use worker::{
    BackgroundWorker, Ended, Exit, Process, SharedSegment, Starting, Termination, Woken,
    WorkerTransaction, enter, is_binary_upgrade, send_reload, shared_numbers,
};
