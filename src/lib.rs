//! `session_store`: web sessions in PostgreSQL.
//!
//! The SQL functions are in [`api`], one file a family. They call the [`store`], which knows the
//! rules; the store reads and writes through the [`table`], where every statement is; and only
//! [`pg`] touches PostgreSQL's C API. [`id`], [`lifetime`] and [`codec`] are pure and know no server.

#[cfg(not(panic = "unwind"))]
compile_error!("errors cross into PostgreSQL by unwinding: build with panic = \"unwind\"");

mod api;
mod codec;
mod error;
mod id;
mod lifetime;
mod pg;
mod settings;
mod store;
mod table;
mod worker;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

extension_sql_file!("../sql/table.sql", name = "table", bootstrap);
extension_sql_file!("../sql/view.sql", name = "view", requires = [api::admin::session_decode]);
extension_sql_file!(
    "../sql/grants.sql",
    name = "grants",
    requires = [api::admin::session_all, api::admin::session_gc, "view"]
);
extension_sql_file!("../sql/functions.sql", name = "functions", finalize);

/// Called by PostgreSQL when it loads the library.
#[pg_guard]
extern "C-unwind" fn _PG_init() {
    settings::define();
    table::init();
    table::init_sliding();
    pg::hide_statements_of_our_errors();
    worker::init();
}
