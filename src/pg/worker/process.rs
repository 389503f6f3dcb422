//! A worker's process: its signals, its waiting, its transactions.

use crate::pg::Call;
use crate::pg::version::set_signal_handler;
use core::ffi::CStr;
use core::marker::PhantomData;
use pgrx::{PgTryBuilder, pg_sys};
use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// A worker that is neither connected nor takes signals yet.
pub struct Starting {
    argument: u64,
}

/// How a worker takes the request to terminate: of `pg_terminate_backend`, or of a server that stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// It ends wherever it is, also within a statement, with a `FATAL` in the log.
    Immediate,
    /// It finds out when it waits ([`Woken::ShutdownRequested`]), and leaves in its own way.
    Requested,
}

/// A worker that is connected and takes signals.
///
/// Whoever has one is in the main loop of a worker's process, outside any transaction: it is made
/// once, and [`Self::in_transaction`] borrows it.
pub struct Process(PhantomData<*mut ()>);

/// A transaction of a worker.
pub struct WorkerTransaction<'p> {
    process: &'p Process,
    call: Call,
}

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The time was over, or a signal came that says nothing but to look again.
    Timeout,
    /// The configuration was read anew.
    Reloaded,
    /// The process is to leave.
    ShutdownRequested,
}

unsafe extern "C-unwind" {
    /// `tcop/postgres.c`; pgrx offers these only wrapped, which no signal handler may be.
    fn die(signal: i32);
    /// `postmaster/interrupt.c`
    fn SignalHandlerForShutdownRequest(signal: i32);
    /// `postmaster/interrupt.c`
    fn SignalHandlerForConfigReload(signal: i32);
}

impl Starting {
    /// # Safety
    /// To be called once in a worker's process, at its start.
    pub(super) unsafe fn new(argument: u64) -> Self {
        Self { argument }
    }

    /// What the one who started it has passed.
    pub fn argument(&self) -> u64 {
        self.argument
    }

    /// Connects to a database as the bootstrap superuser; to none, only the shared catalogs are there.
    pub fn connect(self, database: Option<pg_sys::Oid>, termination: Termination) -> Process {
        let on_terminate = match termination {
            Termination::Immediate => die,
            Termination::Requested => SignalHandlerForShutdownRequest,
        };
        // SAFETY: the handlers are PostgreSQL's own, for processes like this one, and pgrx's would
        // only set a flag. There is one `Starting` in a process, so it connects once.
        unsafe {
            set_signal_handler(libc::SIGTERM, on_terminate);
            set_signal_handler(libc::SIGHUP, SignalHandlerForConfigReload);
            pg_sys::BackgroundWorkerUnblockSignals();
            let (oid, nobody) = (database.unwrap_or_default(), pg_sys::InvalidOid);
            match database {
                Some(_) => pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, nobody, 0),
                None => {
                    let nothing = core::ptr::null();
                    pg_sys::BackgroundWorkerInitializeConnection(nothing, nothing, 0);
                }
            }
        }
        Process(PhantomData)
    }
}

impl Process {
    /// Whether the process is to leave; with [`Termination::Requested`].
    pub fn is_shutdown_requested(&self) -> bool {
        // SAFETY: reads a variable that a signal handler sets.
        unsafe { pg_sys::ShutdownRequestPending != 0 }
    }

    /// Waits, at most as long as told; a signal ends it early. A reload that is due is carried out.
    pub fn wait(&self, timeout: Duration) -> Woken {
        // SAFETY: reads a variable that a signal handler sets.
        let is_due = || unsafe { pg_sys::ConfigReloadPending != 0 };
        // A signal that came while a child was waited for has had its latch reset by that wait.
        let woken = self.wait_for_signal(if is_due() { Duration::ZERO } else { timeout });
        if woken != Woken::Timeout || !is_due() {
            return woken;
        }
        // SAFETY: as PostgreSQL's own workers do it.
        unsafe {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
        Woken::Reloaded
    }

    /// Waits, and leaves a reload that is due to [`Self::wait`].
    pub(super) fn wait_for_signal(&self, timeout: Duration) -> Woken {
        if self.is_shutdown_requested() {
            return Woken::ShutdownRequested;
        }
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        // Rounded up: a pause of less than a millisecond is still one.
        let millis = timeout.as_micros().div_ceil(1_000).try_into().unwrap_or(i32::MAX.into());
        // SAFETY: a worker's own latch; interrupts are served where no resource is held.
        unsafe {
            pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, millis, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
            pgrx::check_for_interrupts!();
        }
        match self.is_shutdown_requested() {
            true => Woken::ShutdownRequested,
            false => Woken::Timeout,
        }
    }

    /// Sets a setting of this process.
    pub fn set(&self, name: &CStr, value: &CStr) {
        // SAFETY: both strings live through the call.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }

    /// Runs `work` in a transaction, shown as `activity`. An error rolls it back: the message.
    pub fn in_transaction<R>(
        &mut self,
        activity: &str,
        work: impl FnOnce(&WorkerTransaction<'_>) -> R,
    ) -> Result<R, String> {
        let activity = CString::new(activity).unwrap_or_default();
        // SAFETY: a worker's main loop, outside any transaction, for the process is borrowed by the
        // one that there is; what is begun is ended either way.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr());
            let result = PgTryBuilder::new(AssertUnwindSafe(|| {
                pg_sys::StartTransactionCommand();
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
                let transaction = WorkerTransaction { process: self, call: Call::internal() };
                let result = work(&transaction);
                drop(transaction);
                pg_sys::PopActiveSnapshot();
                pg_sys::CommitTransactionCommand();
                Ok(result)
            }))
            .catch_others(|error| {
                pg_sys::AbortCurrentTransaction();
                Err(message_of(&error))
            })
            .execute();
            pg_sys::pgstat_report_stat(false);
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, core::ptr::null());
            result
        }
    }
}

impl WorkerTransaction<'_> {
    /// Waits as [`Process::wait`] does.
    pub fn wait(&self, timeout: Duration) -> Woken {
        self.process.wait(timeout)
    }

    /// What locks and statements borrow from.
    pub fn call(&self) -> &Call {
        &self.call
    }
}

fn message_of(error: &pg_sys::panic::CaughtError) -> String {
    use pg_sys::panic::CaughtError::*;
    let (PostgresError(report) | ErrorReport(report) | RustPanic { ereport: report, .. }) = error;
    report.message().to_owned()
}
