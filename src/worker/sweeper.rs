//! A sweeper: connected to one database, gone when the expired sessions there are, and after three
//! seconds at the latest.

use super::pace::Pace;
use super::report::{Report, Rest};
use super::statements::{self, Visit};
use crate::pg::{
    self, Address, Call, Exit, LockMode, Process, Starting, Termination, Timestamp,
    WorkerTransaction,
};
use crate::settings;
use crate::table::{MovedIds, OpenTable};
use core::ffi::CStr;
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use std::time::{Duration, Instant};

/// How long a sweeper stays. DROP DATABASE and CREATE DATABASE … TEMPLATE wait five seconds for it to
/// be gone.
const STAY: Duration = Duration::from_secs(3);

/// How long it reads addresses, so that there is time to remove what is there.
const READING: Duration = Duration::from_secs(1);

/// Addresses kept at once, eight bytes each: about as many as can be removed before it leaves.
const MOST_ADDRESSES: usize = 100_000;

/// What a sweep needs whatever is set for the database.
const SETTINGS: [(&CStr, &CStr); 6] = [
    (c"application_name", c"session_store"),
    // A sweep that a crash undoes is done again, so it waits for no disk and no standby.
    (c"synchronous_commit", c"off"),
    // One locked table must not keep the other databases waiting.
    (c"lock_timeout", c"1s"),
    (c"statement_timeout", c"0"),
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_read_only", c"off"),
];

/// Stays and removes what has expired, and says in the statistics what that was.
pub fn run(starting: Starting) -> Exit {
    let argument = starting.argument();
    let database = Report::database(argument);
    let process = starting.connect(Some(database), Termination::Immediate);
    let Some(report) = Report::attach(argument) else { return Exit::Done };
    let timeouts = pg::NEWER_TIMEOUTS.iter().map(|name| (*name, c"0"));
    for (name, value) in SETTINGS.into_iter().chain(timeouts) {
        process.set(name, value);
    }
    let rest = report.take();
    if settings::gc_interval().is_some() {
        let start = pg::clock();
        let (from, to) = rest.map_or((Timestamp::NEG_INFINITY, start), |rest| (rest.from, rest.to));
        let leaves = Instant::now() + STAY;
        let mut sweeper = Sweeper { process, start, to, leaves, pace: Pace::new(), rows: 0 };
        sweeper.stay(from, &report);
    }
    Exit::Done
}

struct Sweeper {
    process: Process,
    start: Timestamp,
    /// What expired by then is removed.
    to: Timestamp,
    leaves: Instant,
    pace: Pace,
    /// Rows removed.
    rows: i64,
}

/// Addresses of expired sessions.
struct Expired {
    addresses: Vec<Address>,
    /// How far that went, if there may be more.
    reached: Option<Timestamp>,
}

/// Why no more is removed.
enum End {
    /// All of it is.
    Done,
    /// The extension was dropped, or sweeping was turned off.
    Stopped,
    /// It is time to leave.
    Left,
}

impl Sweeper {
    fn stay(&mut self, from: Timestamp, report: &Report) {
        let looking = "looking for the extension";
        match self
            .process
            .in_transaction(looking, |transaction| find_table(transaction.call()).is_some())
        {
            Ok(true) => report.found(),
            Ok(false) => return,
            Err(message) => return self.fail(&message),
        }
        let swept = self.sweep(from);
        if let Ok(rest) = swept {
            report.leave(rest);
        }
        if self.rows > 0 {
            pgrx::debug1!("session_store: removed {} expired sessions", self.rows);
        }
        // From now on it is late.
        self.process.set(c"lock_timeout", c"200ms");
        let forgot = self.forget_moved_ids();
        let visit = Visit { start: self.start, end: pg::clock(), rows: self.rows };
        let recorded = self.with_table("recording a sweep", |table, transaction| {
            statements::record(transaction.call(), table.oid(), visit);
        });
        if let Err(message) = swept.and(forgot).and(recorded) {
            self.fail(&message);
        }
    }

    /// Runs `work` on the table in a transaction of its own. The extension may be dropped between two
    /// of them: then there is nothing to do, and `None`.
    fn with_table<R>(
        &mut self,
        activity: &str,
        work: impl FnOnce(&OpenTable<'_>, &WorkerTransaction<'_>) -> R,
    ) -> Result<Option<R>, String> {
        self.process.in_transaction(activity, |transaction| {
            find_table(transaction.call()).map(|table| work(&table, transaction))
        })
    }

    /// Removes what has expired since `from`; what is left.
    fn sweep(&mut self, mut from: Timestamp) -> Result<Option<Rest>, String> {
        loop {
            let Some(Expired { mut addresses, reached }) = self.look(from)? else {
                return Ok(None);
            };
            // In the order of the pages, so that each is visited once.
            addresses.sort_unstable();
            let before = self.rows;
            let end = self.remove(&addresses)?;
            let to = self.to;
            // Where nothing could be removed all is locked, and waits for the next sweep.
            let has_progress = self.rows > before;
            let next = reached.filter(|reached| has_progress || *reached > from);
            match (end, next) {
                (End::Left, _) if has_progress => return Ok(Some(Rest { from, to })),
                (End::Left, next) => return Ok(next.map(|from| Rest { from, to })),
                (End::Done, Some(next)) => from = next,
                (End::Done, None) | (End::Stopped, _) => return Ok(None),
            }
        }
    }

    /// Reads addresses, once: behind an old snapshot elsewhere, each batch that searched the index for
    /// itself would step over all that the batches before it have left there.
    fn look(&mut self, from: Timestamp) -> Result<Option<Expired>, String> {
        let (to, began) = (self.to, Instant::now());
        let mut expired = Expired { addresses: Vec::new(), reached: None };
        let mut lack_of_memory = None;
        let looked = self.with_table("looking for expired sessions", |table, _| {
            table.for_each_expired(from, to, |address, expiry| {
                // Where memory cannot be had, a `Vec` that grows by itself ends the whole server.
                lack_of_memory = expired.addresses.try_reserve(1).err();
                if lack_of_memory.is_some() {
                    return false;
                }
                expired.addresses.push(address);
                let is_enough = expired.addresses.len() >= MOST_ADDRESSES;
                let wants_more = !is_enough && began.elapsed() < READING;
                expired.reached = (!wants_more).then_some(expiry);
                wants_more
            });
        })?;
        match lack_of_memory {
            Some(_) => Err("out of memory".to_owned()),
            None => Ok(looked.map(|()| expired)),
        }
    }

    /// Removes the ids that reach no session any more: a batch, and more while there is time.
    fn forget_moved_ids(&mut self) -> Result<(), String> {
        let (to, leaves, mut from) = (self.to, self.leaves, Timestamp::NEG_INFINITY);
        while settings::gc_interval().is_some() {
            let activity = "removing ids that sessions had";
            let reached = self.with_table(activity, |table, _| {
                let moved = MovedIds::beside(table, LockMode::Write).map_err(ErrorReport::from);
                let most = Some(settings::gc_batch_size() as i64);
                let reached = moved.unwrap_or_report()?.collect(from, to, most);
                reached.filter(|_| Instant::now() < leaves && !is_waited_for())
            })?;
            // What is removed stays in the index while an old snapshot sees it: not to be gone through again.
            let Some(reached) = reached.flatten() else { break };
            from = reached;
        }
        Ok(())
    }

    /// Removes the sessions at these addresses, batch by batch.
    fn remove(&mut self, addresses: &[Address]) -> Result<End, String> {
        let mut rest = addresses;
        while !rest.is_empty() {
            let batch = &rest[..settings::gc_batch_size().min(rest.len())];
            let Some((done, is_time)) = self.remove_batch(batch)? else { return Ok(End::Stopped) };
            rest = &rest[done..];
            if settings::gc_interval().is_none() {
                return Ok(End::Stopped);
            }
            if is_time {
                return Ok(End::Left);
            }
        }
        Ok(End::Done)
    }

    /// Removes a batch, or as much of it as there is time for, in one transaction, with rests; how many
    /// addresses that was, and whether it is time to leave.
    fn remove_batch(&mut self, batch: &[Address]) -> Result<Option<(usize, bool)>, String> {
        let Self { process, to, leaves, pace, rows, .. } = self;
        let activity = format!("removing expired sessions, {rows} so far");
        let removed = process.in_transaction(&activity, |transaction| {
            let table = find_table(transaction.call())?;
            let (mut rest, mut removed, mut is_time) = (batch, 0, false);
            while !rest.is_empty() && !is_time {
                let (slice, after) = rest.split_at(pace.rows().min(rest.len()));
                let began = Instant::now();
                removed += table.collect_at(slice, *to);
                transaction.wait(pace.took(slice.len(), began.elapsed()));
                rest = after;
                is_time = Instant::now() >= *leaves || is_waited_for();
            }
            Some((removed, batch.len() - rest.len(), is_time))
        })?;
        Ok(removed.map(|(removed, done, is_time)| {
            *rows += removed;
            (done, is_time)
        }))
    }

    /// Reports a failure to the log and, if that is possible, in the statistics.
    fn fail(&mut self, message: &str) {
        pgrx::warning!("session_store: sweeping failed: {message}");
        let _ = self.with_table("recording an error", |table, transaction| {
            statements::record_error(transaction.call(), table.oid(), message, pg::clock());
        });
    }
}

/// The extension's table, if it is there.
fn find_table(call: &Call) -> Option<OpenTable<'_>> {
    let table = OpenTable::in_schema(call, statements::extension_schema(call)?);
    table.map_err(ErrorReport::from).unwrap_or_report()
}

/// Whether a command waits for this process to leave its database.
fn is_waited_for() -> bool {
    pg::is_database_locked(pg::current_database())
}
