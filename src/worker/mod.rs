//! Expiry with no cron.
//!
//! One launcher in the cluster, without a database, starts a short-lived sweeper in one database
//! after the other. A beacon, a lock that everybody can see, says that a launcher runs; another one
//! for each database that it serves. A session that writes looks for them, and so a launcher is
//! there after the first call even where nothing is preloaded.

mod launcher;
mod sweeper;

use crate::pg::{self, Beacon};
use crate::settings;
use crate::table::Table;
use std::cell::Cell;

const CLUSTER: Beacon = Beacon { database: None };

/// How long a connection that was not served waits before it looks again, in microseconds.
const PATIENCE: i64 = 10_000_000;

/// Defines the workers, and starts the launcher if the library is being preloaded.
pub fn init() {
    pg::define_workers(pg::Workers { launcher: launcher::run, sweeper: sweeper::run });
}

thread_local! {
    /// When to look next whether the database is served; `None` if it was seen to be.
    static LOOK_AT: Cell<Option<i64>> = const { Cell::new(Some(i64::MIN)) };
    static HAS_COMPLAINED: Cell<bool> = const { Cell::new(false) };
}

/// Sees to it that a launcher serves this database. Called where a session is written.
pub fn ensure_served(table: &Table) {
    let Some(due) = LOOK_AT.get() else { return };
    let now = pg::statement_start().0;
    if now < due || settings::gc_interval().is_none() || pg::is_binary_upgrade() {
        return;
    }
    LOOK_AT.set(Some(now + PATIENCE));
    let here = Beacon { database: Some(pg::current_database()) };
    if here.is_lit() {
        LOOK_AT.set(None);
    } else if CLUSTER.is_lit() {
        // It does not know yet that the extension is here: have it look everywhere.
        table.launcher().into_iter().for_each(pg::send_reload);
    } else if !pg::is_preloaded() && !pg::start_launcher() && !HAS_COMPLAINED.replace(true) {
        pgrx::log!(
            "session_store: no background worker slot is free; expired sessions stay until one is, \
             or until session_gc() is called. Consider raising max_worker_processes."
        );
    }
}
