//! What the postmaster is told of a worker, and what it tells of one that runs.

use super::{Process, Starting, Woken};
use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::pg_sys;
use std::time::{Duration, Instant};

/// A kind of worker; [`background_worker!`](crate::pg::background_worker) defines one.
#[derive(Clone, Copy, Debug)]
pub struct BackgroundWorker {
    /// `backend_type` in `pg_stat_activity`.
    pub name: &'static str,
    /// The library that has the entry point.
    pub library: &'static str,
    /// The entry point.
    pub symbol: &'static str,
    /// The pause before one that has failed is started again; `None` if it is not.
    pub restart_after: Option<Duration>,
}

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// For good.
    Done,
    /// To be started again after [`BackgroundWorker::restart_after`], unless the server stops.
    Restart,
}

/// Defines a kind of worker, with the entry point by which PostgreSQL calls its `main`.
macro_rules! background_worker {
    (
        $(#[$attribute:meta])*
        const $kind:ident = BackgroundWorker {
            name: $name:expr,
            library: $library:expr,
            symbol: $symbol:ident,
            restart_after: $restart_after:expr,
            main: $main:path,
        };
    ) => {
        $(#[$attribute])*
        const $kind: $crate::pg::BackgroundWorker = $crate::pg::BackgroundWorker {
            name: $name,
            library: $library,
            symbol: stringify!($symbol),
            restart_after: $restart_after,
        };

        // Out of the reach of names, so that nobody but PostgreSQL calls it.
        const _: () = {
            #[pgrx::pg_guard]
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C-unwind" fn $symbol(argument: pgrx::pg_sys::Datum) {
                // SAFETY: PostgreSQL calls this once, first thing in a worker's process.
                unsafe { $crate::pg::enter(argument, $main) }
            }
        };
    };
}

pub(crate) use background_worker;

/// Runs a worker's `main`.
///
/// # Safety
/// To be called once, by PostgreSQL's call of a worker's entry point.
pub unsafe fn enter(argument: pg_sys::Datum, main: fn(Starting) -> Exit) {
    // SAFETY: by this function's contract.
    let starting = unsafe { Starting::new(argument.value() as u64) };
    if main(starting) == Exit::Restart {
        // SAFETY: `main` has returned, so nothing is left to be dropped. After status 0, which is
        // what returning comes to, the postmaster starts no worker again.
        unsafe { pg_sys::proc_exit(1) };
    }
}

impl BackgroundWorker {
    fn builder(&self) -> BackgroundWorkerBuilder {
        BackgroundWorkerBuilder::new(self.name)
            .set_library(self.library)
            .set_function(self.symbol)
            // With it comes that it starts with the end of recovery: not on a standby.
            .enable_spi_access()
            .set_restart_time(self.restart_after)
    }

    /// Has the postmaster start one with the server. False, and nothing happens, unless it is
    /// loading the libraries of `shared_preload_libraries`.
    pub fn register(&self) -> bool {
        // SAFETY: reads a variable of the process.
        let is_preloading = unsafe { pg_sys::process_shared_preload_libraries_in_progress };
        if is_preloading {
            self.builder().load();
        }
        is_preloading
    }

    /// Starts one that nobody waits for. False if the table of workers is full.
    pub fn start(&self) -> bool {
        let mut worker = pg_sys::BackgroundWorker::from(&self.builder());
        // SAFETY: the description is copied, and without a place for a handle none is made.
        unsafe { pg_sys::RegisterDynamicBackgroundWorker(&mut worker, core::ptr::null_mut()) }
    }
}

/// What became of a worker that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has ended.
    Yes,
    /// It had not when the time was over.
    NotInTime,
    /// It had not when this process was told to shut down.
    ShutdownRequested,
}

/// A worker that another one has started.
pub struct Child<'p> {
    handle: *mut pg_sys::BackgroundWorkerHandle,
    parent: &'p Process,
}

impl Process {
    /// Starts a worker and passes it a number. `None` if the table of workers is full.
    pub fn start(&self, worker: &BackgroundWorker, argument: u64) -> Option<Child<'_>> {
        // SAFETY: reads a variable of the process.
        let me = unsafe { pg_sys::MyProcPid };
        let builder =
            worker.builder().set_argument(Some(pg_sys::Datum::from(argument))).set_notify_pid(me);
        let mut description = pg_sys::BackgroundWorker::from(&builder);
        let mut handle = core::ptr::null_mut();
        // SAFETY: the description is copied; the handle is valid if the call succeeds.
        let started =
            unsafe { pg_sys::RegisterDynamicBackgroundWorker(&mut description, &mut handle) };
        started.then(|| Child { handle, parent: self })
    }
}

impl Child<'_> {
    /// Waits for its end, as `WaitForBackgroundWorkerShutdown` does, but not for ever, and not past
    /// a request to shut down.
    pub fn wait_for_end(&self, timeout: Duration) -> Ended {
        let deadline = Instant::now() + timeout;
        loop {
            let mut pid = 0;
            // SAFETY: the handle is valid until this is dropped.
            let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.handle, &mut pid) };
            let left = deadline.saturating_duration_since(Instant::now());
            if status == pg_sys::BgwHandleStatus::BGWH_STOPPED {
                return Ended::Yes;
            }
            if left.is_zero() {
                return Ended::NotInTime;
            }
            // The postmaster signals each change of the worker's state, which sets the latch.
            if self.parent.wait_for_signal(left) == Woken::ShutdownRequested {
                return Ended::ShutdownRequested;
            }
        }
    }

    /// Has the postmaster terminate it.
    pub fn terminate(&self) {
        // SAFETY: the handle is valid until this is dropped.
        unsafe { pg_sys::TerminateBackgroundWorker(self.handle) };
    }
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        // SAFETY: PostgreSQL allocated the handle for this process and keeps no other pointer to it.
        unsafe { pg_sys::pfree(self.handle.cast()) };
    }
}
