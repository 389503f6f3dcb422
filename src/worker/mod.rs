//! Expiry with no cron.
//!
//! One launcher in the cluster, without a database, starts a short-lived sweeper in one database
//! after the other. It holds an advisory lock that everybody can see, and another one for each
//! database that it serves. A session that writes looks for them, and so a launcher is there after
//! the first call even where nothing is preloaded.

mod launcher;
mod pace;
mod report;
mod schedule;
mod statements;
mod sweeper;

use crate::pg::{self, AdvisoryLock, Call};
use crate::settings;
use crate::table::OpenTable;
use pgrx::pg_sys::Oid;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pg::background_worker! {
    const LAUNCHER = BackgroundWorker {
        name: "session_store launcher",
        library: "session_store",
        symbol: session_store_launcher,
        restart_after: Some(Duration::from_secs(5)),
        main: launcher::run,
    };
}

pg::background_worker! {
    const SWEEPER = BackgroundWorker {
        name: "session_store sweeper",
        library: "session_store",
        symbol: session_store_sweeper,
        restart_after: None,
        main: sweeper::run,
    };
}

/// The class of our advisory locks: "sess". `session_store_stats` looks for it, too.
pub const CLASS: u32 = 0x7365_7373;

/// Held by the launcher.
const CLUSTER: AdvisoryLock = AdvisoryLock { class: CLASS, object: 0 };

/// Held by a connection that starts a launcher, so that of many only one does. Its number is that of
/// a template, where nothing is ever served.
const START: AdvisoryLock = AdvisoryLock { class: CLASS, object: 1 };

/// Held by the launcher as long as it serves a database.
fn served(database: Oid) -> AdvisoryLock {
    AdvisoryLock { class: CLASS, object: database.to_u32() }
}

/// How long a connection that was not served waits before it looks again, in microseconds.
const PATIENCE: i64 = 10_000_000;

/// How long nobody repeats that there is no place for a launcher, in microseconds.
const COMPLAINT_PAUSE: i64 = 3_600_000_000;

/// Whether the postmaster itself starts the launcher.
static IS_PRELOADED: AtomicBool = AtomicBool::new(false);

fn is_preloaded() -> bool {
    IS_PRELOADED.load(Ordering::Relaxed)
}

/// Has the postmaster start the launcher if this is it, preloading.
pub fn init() {
    if !pg::is_binary_upgrade() {
        IS_PRELOADED.store(LAUNCHER.register(), Ordering::Relaxed);
    }
}

thread_local! {
    /// The table that was looked after last, and when to look again; `None` if it was served.
    static LOOKED: Cell<(Oid, Option<i64>)> = const { Cell::new((Oid::INVALID, None)) };
}

/// Sees to it that a launcher serves this database. Called where a session is written.
pub fn ensure_served(call: &Call, table: &OpenTable<'_>) {
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
    if served(pg::current_database()).is_held() {
        LOOKED.set((table.oid(), None));
    } else if CLUSTER.is_held() {
        // It does not know yet that the extension is here: have it look everywhere.
        statements::launcher(call, table.oid()).into_iter().for_each(pg::send_reload);
    } else if !is_preloaded() {
        start_launcher();
    }
}

/// Starts a launcher, and waits for an instant until others see it: where many connections begin at
/// once, each would else start one, and fill the table of workers.
fn start_launcher() {
    let Some(_lock) = START.try_acquire() else { return };
    if !LAUNCHER.start() {
        return complain();
    }
    for _ in 0..40 {
        if CLUSTER.is_held() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says once an hour, whatever the number of connections, that there is no place for a launcher.
fn complain() {
    let ([last], now) = (pg::shared_numbers(c"session_store"), pg::clock().0);
    let before = last.load(Ordering::Relaxed);
    let is_due = before == 0 || now - before >= COMPLAINT_PAUSE;
    if is_due && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        pgrx::log!(
            "session_store: no background worker slot is free; expired sessions stay until one is, \
             or until session_gc() is called. Consider raising max_worker_processes."
        );
    }
}
