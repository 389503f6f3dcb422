//! A sweeper: connected to one database, gone when the expired sessions there are.

use crate::lifetime::Timestamp;
use crate::pg::{self, Address, Report};
use crate::settings;
use crate::table::{Sweep, Table};
use core::ffi::CStr;
use std::time::{Duration, Instant};

/// Addresses kept at once: eight bytes each.
const MOST_ADDRESSES: usize = 1_000_000;

/// Rows removed without a pause: as much as others can wait for where processors are few.
const SLICE: usize = 100;

/// The longest pause after a slice. A pause is as long as the slice took, at least a millisecond, so
/// that at least half of the time is left to others.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

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

/// Removes what has expired and says in the statistics what that was.
pub fn run(report: &Report) {
    let timeouts = pg::NEWER_TIMEOUTS.iter().map(|name| (*name, c"0"));
    for (name, value) in SETTINGS.into_iter().chain(timeouts) {
        pg::set_for_process(name, value);
    }
    pg::restrict_operations();
    if settings::gc_interval().is_none() {
        return;
    }
    let start = pg::clock();
    match find_table() {
        Ok(true) => report.found(),
        Ok(false) => return,
        Err(message) => return fail(&message),
    }
    let mut rows = 0;
    let swept = sweep(start, &mut rows);
    if rows > 0 {
        pgrx::debug1!("session_store: removed {rows} expired sessions");
    }
    let sweep = Sweep { start, end: pg::clock(), rows };
    let recorded = with_table("recording a sweep", |table| table.record(sweep));
    if let Err(message) = swept.and(recorded) {
        fail(&message);
    }
}

fn find_table() -> Result<bool, String> {
    pg::in_transaction("looking for the extension", || Table::of_database().is_some())
}

/// Runs `work` on the table in a transaction of its own. The extension may be dropped between two
/// of them: then there is nothing to do, and `None`.
fn with_table<R>(activity: &str, work: impl FnOnce(&Table) -> R) -> Result<Option<R>, String> {
    pg::in_transaction(activity, || Table::of_database().map(|table| work(&table)))
}

/// Removes what expired by `now`, counting into `rows`.
fn sweep(now: Timestamp, rows: &mut i64) -> Result<Option<()>, String> {
    let mut from = Timestamp::NEG_INFINITY;
    loop {
        // Read once: behind an old snapshot elsewhere, each batch that searched the index for
        // itself would step over all that the batches before it have left there.
        let found = with_table("looking for expired sessions", |table| {
            table.expired(from, now, MOST_ADDRESSES)
        })?;
        let Some((mut addresses, reached)) = found else { return Ok(None) };
        // In the order of the pages, so that each is visited once.
        addresses.sort_unstable();
        let before = *rows;
        if !remove(&addresses, now, rows)? {
            return Ok(None);
        }
        // Without progress what is left is locked, and waits for the next sweep.
        if addresses.len() < MOST_ADDRESSES || *rows == before {
            return Ok(Some(()));
        }
        from = reached;
    }
}

/// Removes the sessions at these addresses batch by batch; false if sweeping was told to stop.
fn remove(addresses: &[Address], now: Timestamp, rows: &mut i64) -> Result<bool, String> {
    let mut rest = addresses;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(settings::gc_batch_size().min(rest.len()));
        let activity = format!("removing expired sessions, {rows} so far");
        let removed = with_table(&activity, |table| {
            batch.chunks(SLICE).map(|slice| remove_slice(table, slice, now)).sum::<i64>()
        })?;
        let Some(removed) = removed else { return Ok(false) };
        *rows += removed;
        rest = after;
        if settings::gc_interval().is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the sessions at these addresses, and rests.
fn remove_slice(table: &Table, slice: &[Address], now: Timestamp) -> i64 {
    let began = Instant::now();
    let removed = table.collect_at(slice, now);
    pg::wait(began.elapsed().min(LONGEST_PAUSE));
    removed
}

/// Reports a failure to the log and, if that is possible, in the statistics.
fn fail(message: &str) {
    pgrx::warning!("session_store: sweeping failed: {message}");
    let _ = with_table("recording an error", |table| table.record_error(message, pg::clock()));
}
