//! `session_store`: web sessions in PostgreSQL.
//!
//! The SQL functions are in [`api`], one file a family. They call the [`store`], which knows the
//! rules; the store reads and writes the rows of the [`table`]; and only [`pg`] touches PostgreSQL's C
//! API. The [`worker`] removes what has expired. [`id`], [`lifetime`] and [`codec`] call no server.

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

use error::ORIGIN_NAME;
use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

extension_sql_file!("../sql/table.sql", name = "table", bootstrap);
extension_sql_file!("../sql/view.sql", name = "view", requires = [api::admin::session_decode]);
extension_sql_file!(
    "../sql/grants.sql",
    name = "grants",
    requires = [
        api::admin::session_all,
        api::admin::session_clear,
        api::admin::session_gc,
        api::principal::session_login,
        api::principal::session_bind,
        api::principal::session_find,
        api::principal::session_revoke_all,
        api::principal::session_revoke_handle,
        "view"
    ]
);
extension_sql_file!("../sql/functions.sql", name = "functions", finalize);

/// Called by PostgreSQL when it loads the library.
#[pg_guard]
extern "C-unwind" fn _PG_init() {
    pg::report_panics_to_the_log();
    pg::hide_statements_of_errors(ORIGIN_NAME);
    settings::define();
    table::init();
    worker::init();
}
