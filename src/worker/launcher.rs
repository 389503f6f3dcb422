//! The launcher: one in the cluster, connected to no database.

use super::CLUSTER;
use crate::pg::{self, Beacon, SharedReport};
use crate::settings;
use pgrx::pg_sys::Oid;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Databases without the extension are asked again after twice as many intervals each time, up to
/// two to the power of this.
const MOST_DOUBLINGS: u32 = 6;

/// Rounds without any database to serve after which a launcher that was not preloaded leaves. More
/// than one, for the first may come before the CREATE EXTENSION that led to it is committed.
const IDLE_ROUNDS: u32 = 2;

/// What the launcher knows of a database.
struct Database {
    has_extension: bool,
    /// Whether the sessions there can see that it is served.
    is_lit: bool,
    misses: u32,
    due: Instant,
}

/// Runs until the server stops, or until no database has the extension.
pub fn run() {
    if !is_alone() {
        return;
    }
    let report = SharedReport::create();
    let mut launcher = Launcher { databases: HashMap::new(), report, has_complained: false };
    let mut idle_rounds = 0;
    loop {
        let Some(interval) = settings::gc_interval() else {
            // Off: until a reload says otherwise.
            pg::wait(Duration::from_secs(3_600));
            continue;
        };
        let next = Instant::now() + interval;
        let looked_everywhere = launcher.round(interval);
        let is_idle = looked_everywhere && !launcher.serves_any();
        idle_rounds = if is_idle { idle_rounds + 1 } else { 0 };
        if idle_rounds >= IDLE_ROUNDS && !pg::is_preloaded() {
            return;
        }
        launcher.wait_until(next);
    }
}

/// Lights the cluster's beacon; false if another launcher has. A client that just looks at it is in
/// the way for an instant only.
fn is_alone() -> bool {
    for _ in 0..10 {
        let (lit, taken) = pg::in_transaction("looking for another launcher", || {
            let lit = CLUSTER.light();
            (lit, !lit && CLUSTER.is_lit())
        })
        .unwrap_or_default();
        if lit || taken {
            return lit;
        }
        pg::wait(Duration::from_millis(100));
    }
    false
}

struct Launcher {
    databases: HashMap<Oid, Database>,
    report: SharedReport,
    has_complained: bool,
}

impl Launcher {
    fn serves_any(&self) -> bool {
        self.databases.values().any(|database| database.has_extension)
    }

    /// Waits for the next round. A reload, which also a session that is not served asks for, makes
    /// all databases due at once.
    fn wait_until(&mut self, next: Instant) {
        loop {
            // Also when the round took longer than the interval: a reload must not be missed.
            if pg::wait(next.saturating_duration_since(Instant::now())) {
                let now = Instant::now();
                self.databases.values_mut().for_each(|database| database.due = now);
                return;
            }
            // A signal that only says that a worker ended is no reason to begin early.
            if Instant::now() >= next {
                return;
            }
        }
    }

    /// Sweeps each database that is due, one after the other. False if that was not possible.
    fn round(&mut self, interval: Duration) -> bool {
        let Ok(existing) = pg::in_transaction("listing databases", pg::databases) else {
            return false;
        };
        self.forget_all_but(&existing);
        existing.into_iter().all(|oid| {
            let is_due = self.databases.get(&oid).is_none_or(|known| known.due <= Instant::now());
            !is_due || self.sweep(oid, interval)
        })
    }

    /// Starts a sweeper and waits for it. False if there is no place for one.
    fn sweep(&mut self, oid: Oid, interval: Duration) -> bool {
        let began = Instant::now();
        self.report.take();
        if !pg::run_sweeper(oid, &self.report) {
            if !std::mem::replace(&mut self.has_complained, true) {
                pgrx::log!(
                    "session_store: no background worker slot is free for a sweep; consider \
                     raising max_worker_processes"
                );
            }
            return false;
        }
        self.has_complained = false;
        let has_extension = self.report.take();
        let new = Database { has_extension: false, is_lit: false, misses: 0, due: began };
        let database = self.databases.entry(oid).or_insert(new);
        database.has_extension = has_extension;
        database.announce(oid);
        database.misses = if has_extension { 0 } else { database.misses + 1 };
        let rounds = 1 << database.misses.saturating_sub(1).min(MOST_DOUBLINGS);
        // A little early, so that it is due when its round begins.
        database.due = began + interval * rounds - interval / 2;
        true
    }

    fn forget_all_but(&mut self, existing: &[Oid]) {
        self.databases.retain(|oid, database| {
            let exists = existing.contains(oid);
            if !exists {
                database.has_extension = false;
                database.announce(*oid);
            }
            exists
        });
    }
}

impl Database {
    /// Tells the sessions of the database whether it is served. Where a client that looks is in the
    /// way, the next round tries again.
    fn announce(&mut self, oid: Oid) {
        if self.is_lit == self.has_extension {
            return;
        }
        let beacon = Beacon { database: Some(oid) };
        let lit = pg::in_transaction("announcing databases", || {
            if self.has_extension {
                beacon.light()
            } else {
                beacon.put_out();
                false
            }
        });
        self.is_lit = lit.unwrap_or(self.is_lit);
    }
}
