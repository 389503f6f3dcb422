//! What the launcher and a sweeper tell each other.

use crate::pg::{SharedSegment, Timestamp};
use pgrx::pg_sys::Oid;
use std::sync::atomic::{AtomicI64, Ordering};

/// What is left of a sweep: sessions that expired in this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The earliest; what expired before is removed, or was locked and waits for the next sweep.
    pub from: Timestamp,
    /// When the sweep began, however often it was left since.
    pub to: Timestamp,
}

/// Numbers of shared memory, used by one sweeper after the other.
///
/// The first is all that there was up to 0.2.0, as one byte. An old launcher can meet a new sweeper
/// where the library is not preloaded and was replaced: then there is never a rest.
pub struct Report(SharedSegment<3>);

impl Report {
    /// The launcher's.
    pub fn create() -> Self {
        Self(SharedSegment::create())
    }

    /// The sweeper's, by its argument. `None` if the launcher is gone.
    pub fn attach(argument: u64) -> Option<Self> {
        SharedSegment::attach((argument >> 32) as u32).map(Self)
    }

    /// The database that a sweeper is to connect to, by its argument.
    pub fn database(argument: u64) -> Oid {
        Oid::from_u32(argument as u32)
    }

    /// The argument for a sweeper: both are 32 bits wide.
    pub fn argument(&self, database: Oid) -> u64 {
        u64::from(self.0.handle()) << 32 | u64::from(database.to_u32())
    }

    fn has_extension(&self) -> &AtomicI64 {
        &self.0[0]
    }

    /// The launcher says what is to be done: the rest of a sweep, or a new one.
    pub fn ask(&self, rest: Option<Rest>) {
        self.has_extension().store(0, Ordering::Relaxed);
        self.leave(rest);
    }

    /// What the sweeper is to do; until it says otherwise, nothing is left.
    pub fn take(&self) -> Option<Rest> {
        let rest = self.rest();
        self.leave(None);
        rest
    }

    /// The sweeper has found the extension.
    pub fn found(&self) {
        self.has_extension().store(1, Ordering::Relaxed);
    }

    /// The sweeper leaves before it is done.
    pub fn leave(&self, rest: Option<Rest>) {
        let (from, to) = rest.map_or((0, 0), |rest| (rest.from.0, rest.to.0));
        self.0[1].store(from, Ordering::Relaxed);
        self.0[2].store(to, Ordering::Relaxed);
    }

    /// Whether the extension was found.
    pub fn has_found(&self) -> bool {
        self.has_extension().load(Ordering::Relaxed) != 0
    }

    /// What is left.
    pub fn rest(&self) -> Option<Rest> {
        let [from, to] = [1, 2].map(|index| Timestamp(self.0[index].load(Ordering::Relaxed)));
        (to != Timestamp(0)).then_some(Rest { from, to })
    }
}
