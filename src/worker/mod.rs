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
use pgrx::pg_sys::Oid;
use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

const CLUSTER: Beacon = Beacon { database: None };

/// Lit by a connection that starts a launcher, so that of many only one does. Its number is that of a
/// template, where nothing is ever served.
const START: Beacon = Beacon { database: Some(Oid::from_u32(1)) };

/// How long a connection that was not served waits before it looks again, in microseconds.
const PATIENCE: i64 = 10_000_000;

/// How long nobody repeats that there is no place for a launcher, in microseconds.
const COMPLAINT_PAUSE: i64 = 3_600_000_000;

/// Defines the workers, and starts the launcher if the library is being preloaded.
pub fn init() {
    pg::define_workers(pg::Workers { launcher: launcher::run, sweeper: sweeper::run });
}

thread_local! {
    /// The table that was looked after last, and when to look again; `None` if it was served.
    static LOOKED: Cell<(Oid, Option<i64>)> = const { Cell::new((Oid::INVALID, None)) };
}

/// Sees to it that a launcher serves this database. Called where a session is written.
pub fn ensure_served(table: &Table) {
    // Another table means that the extension was created anew, which no launcher may know.
    let due = match LOOKED.get() {
        (oid, due) if oid == table.oid() => due,
        _ => Some(i64::MIN),
    };
    let now = pg::statement_start().0;
    if due.is_none_or(|due| now < due)
        || settings::gc_interval().is_none()
        || pg::is_binary_upgrade()
    {
        return;
    }
    LOOKED.set((table.oid(), Some(now + PATIENCE)));
    let here = Beacon { database: Some(pg::current_database()) };
    if here.is_lit() {
        LOOKED.set((table.oid(), None));
    } else if CLUSTER.is_lit() {
        // It does not know yet that the extension is here: have it look everywhere.
        table.launcher().into_iter().for_each(pg::send_reload);
    } else if !pg::is_preloaded() {
        START.while_lit(start_launcher);
    }
}

/// Starts a launcher, and waits for an instant until others see it: where many connections begin at
/// once, each would else start one, and fill the table of workers.
fn start_launcher() {
    if !pg::start_launcher() {
        return complain();
    }
    for _ in 0..40 {
        if CLUSTER.is_lit() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says once an hour, whatever the number of connections, that there is no place for a launcher.
fn complain() {
    let (last, now) = (pg::shared_number(), pg::clock().0);
    let before = last.load(Ordering::Relaxed);
    let is_due = before == 0 || now - before >= COMPLAINT_PAUSE;
    if is_due && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        pgrx::log!(
            "session_store: no background worker slot is free; expired sessions stay until one is, \
             or until session_gc() is called. Consider raising max_worker_processes."
        );
    }
}
