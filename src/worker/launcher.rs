//! The launcher: one in the cluster, connected to no database.

use super::report::{Report, Rest};
use super::schedule::{Outcome, Rounds, Turn};
use super::{CLUSTER, SWEEPER, is_preloaded, served};
use crate::pg::{self, Ended, Exit, HeldLock, Process, Starting, Termination, Woken};
use crate::settings;
use pgrx::pg_sys::Oid;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Rounds without any database to serve after which a launcher that was not preloaded leaves. More
/// than one, for the first may come before the CREATE EXTENSION that led to it is committed.
const IDLE_ROUNDS: u32 = 2;

/// How long a sweeper may take. It leaves by itself long before, unless something hangs, such as a
/// trigger that somebody put on the table: then the other databases must not wait for it for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one that was terminated may take to be gone.
const PATIENCE_WITH_TERMINATED: Duration = Duration::from_secs(5);

/// The pause after the databases could not be listed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long it waits where there is nothing to wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// What the launcher knows of a database.
#[derive(Default)]
struct Database {
    turn: Turn,
    /// Whether it has the extension, as far as that is known.
    has_extension: Option<bool>,
    /// Held while it has the extension: by that sessions there see that it is served.
    lock: Option<HeldLock>,
    /// What the last sweeper has left.
    rest: Option<Rest>,
}

struct Launcher {
    process: Process,
    report: Report,
    rounds: Rounds,
    databases: HashMap<Oid, Database>,
    idle_rounds: u32,
    has_complained: bool,
}

/// Runs until the server stops, or until no database has the extension.
pub fn run(starting: Starting) -> Exit {
    let mut process = starting.connect(None, Termination::Requested);
    let Some(_lock) = acquire_cluster(&mut process) else {
        return exit(&process);
    };
    let mut launcher = Launcher {
        process,
        report: Report::create(),
        rounds: Rounds::new(Instant::now()),
        databases: HashMap::new(),
        idle_rounds: 0,
        has_complained: false,
    };
    launcher.run();
    exit(&launcher.process)
}

/// One that was told to leave is started again unless the server stops, as PostgreSQL's own launcher
/// of logical replication is.
fn exit(process: &Process) -> Exit {
    if process.is_shutdown_requested() { Exit::Restart } else { Exit::Done }
}

/// Acquires the lock by which a launcher is known; `None` if another one holds it. A client that just
/// looks at it is in the way for an instant only.
fn acquire_cluster(process: &mut Process) -> Option<HeldLock> {
    for _ in 0..10 {
        let acquired = process.in_transaction("looking for another launcher", |_| {
            let lock = CLUSTER.try_acquire();
            let is_taken = lock.is_none() && CLUSTER.is_held();
            (lock, is_taken)
        });
        match acquired {
            Ok((Some(lock), _)) => return Some(lock),
            Ok((None, true)) => return None,
            _ => {}
        }
        if process.wait(Duration::from_millis(100)) == Woken::ShutdownRequested {
            return None;
        }
    }
    None
}

impl Database {
    /// Has it swept in the next round, whatever was found there before.
    fn look_again(&mut self) {
        self.turn.hurry();
        self.has_extension = self.has_extension.filter(|has| *has);
    }
}

impl Launcher {
    fn run(&mut self) {
        while !self.process.is_shutdown_requested() {
            let Some(interval) = settings::gc_interval() else {
                // Off: until a reload says otherwise.
                self.wait_until(Instant::now() + LONGEST_WAIT);
                continue;
            };
            let is_round = self.rounds.begin(Instant::now(), interval);
            if !self.give_turns() {
                self.wait_until(Instant::now() + RETRY_PAUSE);
                continue;
            }
            if is_round {
                self.idle_rounds = if self.serves_none() { self.idle_rounds + 1 } else { 0 };
            }
            if self.idle_rounds >= IDLE_ROUNDS && !is_preloaded() {
                return;
            }
            let turns = self.databases.values().map(|database| &database.turn);
            self.wait_until(self.rounds.next_look(turns));
        }
    }

    fn serves_none(&self) -> bool {
        self.databases.values().all(|database| database.has_extension == Some(false))
    }

    /// Waits. A reload, which also a session that is not served asks for, ends that and makes all
    /// databases due at once.
    fn wait_until(&mut self, next: Instant) {
        loop {
            // Also when the round took longer than the interval: a reload must not be missed.
            match self.process.wait(next.saturating_duration_since(Instant::now())) {
                Woken::Reloaded => {
                    self.rounds.hurry(Instant::now());
                    self.databases.values_mut().for_each(Database::look_again);
                    return;
                }
                // A signal that only says that a worker ended is no reason to begin early.
                Woken::Timeout if Instant::now() < next => {}
                Woken::Timeout | Woken::ShutdownRequested => return,
            }
        }
    }

    /// Gives each database whose turn has come its turn, one after the other. False if they could not
    /// be listed, or if the process is to leave.
    fn give_turns(&mut self) -> bool {
        let listed = self.process.in_transaction("listing databases", |_| pg::databases());
        let Ok(existing) = listed else { return false };
        // Dropping a database's lock releases it.
        self.databases.retain(|oid, _| existing.contains(oid));
        for oid in existing {
            let turn = &self.databases.entry(oid).or_default().turn;
            if !turn.has_come(&self.rounds, Instant::now()) {
                continue;
            }
            let outcome = self.visit(oid);
            if self.process.is_shutdown_requested() {
                return false;
            }
            let database = self.databases.entry(oid).or_default();
            database.turn.note(outcome, &self.rounds, Instant::now());
        }
        true
    }

    /// Has a database swept, as long as a sweeper stays.
    fn visit(&mut self, oid: Oid) -> Outcome {
        // A sweeper would wait, and with it every other database, for example for a copy to be made.
        let looking = "looking for commands on a database";
        if self.process.in_transaction(looking, |_| pg::is_database_locked(oid)) != Ok(false) {
            return Outcome::NotNow;
        }
        self.report.ask(self.databases.entry(oid).or_default().rest);
        if !self.run_sweeper(oid) {
            return Outcome::NotNow;
        }
        let (rest, has_extension) = (self.report.rest(), self.report.has_found());
        let database = self.databases.entry(oid).or_default();
        database.rest = rest.filter(|_| has_extension);
        database.has_extension = Some(has_extension);
        self.announce(oid);
        match (has_extension, rest) {
            (false, _) => Outcome::NoExtension,
            (true, None) => Outcome::Finished,
            (true, Some(_)) => Outcome::Unfinished,
        }
    }

    /// Starts a sweeper and waits for its end, or for the request to shut down. False if there is no
    /// place for one.
    fn run_sweeper(&mut self, oid: Oid) -> bool {
        let Some(sweeper) = self.process.start(&SWEEPER, self.report.argument(oid)) else {
            if !std::mem::replace(&mut self.has_complained, true) {
                pgrx::log!(
                    "session_store: no background worker slot is free for a sweep; consider \
                     raising max_worker_processes"
                );
            }
            return false;
        };
        self.has_complained = false;
        if sweeper.wait_for_end(PATIENCE) == Ended::NotInTime {
            pgrx::log!(
                "session_store: terminating the sweeper of database {}, which did not end within \
                 {} seconds",
                oid.to_u32(),
                PATIENCE.as_secs()
            );
            sweeper.terminate();
            sweeper.wait_for_end(PATIENCE_WITH_TERMINATED);
        }
        true
    }

    /// Tells the sessions of the database whether it is served. Where a client that looks is in the
    /// way, the next turn tries again.
    fn announce(&mut self, oid: Oid) {
        let database = self.databases.entry(oid).or_default();
        if database.has_extension != Some(true) {
            database.lock = None;
        } else if database.lock.is_none() {
            let acquired =
                self.process.in_transaction("announcing databases", |_| served(oid).try_acquire());
            database.lock = acquired.ok().flatten();
        }
    }
}
