//! Background workers: entry points, connections, waiting, and the locks by which they are known.

use super::compat::set_signal_handler;
use core::ffi::CStr;
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::{PgTryBuilder, pg_guard, pg_sys};
use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

/// What the two kinds of workers do.
#[derive(Clone, Copy)]
pub struct Workers {
    /// The launcher's life.
    pub launcher: fn(),
    /// A sweeper's life, connected to a database, with a place for what it found there.
    pub sweeper: fn(&Report),
}

static mut WORKERS: Option<Workers> = None;
static mut IS_PRELOADED: bool = false;

/// Says what workers do, and has the postmaster start the launcher if this is it, preloading.
pub fn define_workers(workers: Workers) {
    // SAFETY: _PG_init runs once in a process's only thread.
    unsafe {
        WORKERS = Some(workers);
        IS_PRELOADED = pg_sys::process_shared_preload_libraries_in_progress;
        if IS_PRELOADED && !pg_sys::IsBinaryUpgrade {
            launcher().load();
        }
    }
}

/// Whether the postmaster itself starts the launcher.
pub fn is_preloaded() -> bool {
    // SAFETY: written once, by `define_workers`.
    unsafe { IS_PRELOADED }
}

/// Whether this is the server of a `pg_upgrade`, in which nothing may move.
pub fn is_binary_upgrade() -> bool {
    // SAFETY: reads a variable of the process.
    unsafe { pg_sys::IsBinaryUpgrade }
}

fn launcher() -> BackgroundWorkerBuilder {
    BackgroundWorkerBuilder::new("session_store launcher")
        .set_library("session_store")
        .set_function("session_store_launcher")
        .enable_spi_access()
        // Not on a standby; there it starts with the promotion.
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(5)))
}

/// Starts a launcher. False if the table of workers is full.
pub fn start_launcher() -> bool {
    launcher().load_dynamic().is_ok()
}

/// Starts a sweeper for a database and waits for its end. False if the table of workers is full.
pub fn run_sweeper(database: pg_sys::Oid, report: &SharedReport) -> bool {
    // SAFETY: reads a variable of the process.
    let me = unsafe { pg_sys::MyProcPid };
    // Both are 32 bits wide and share the one argument that a worker gets.
    let argument = u64::from(report.handle) << 32 | u64::from(database.to_u32());
    let sweeper = BackgroundWorkerBuilder::new("session_store sweeper")
        .set_library("session_store")
        .set_function("session_store_sweeper")
        .enable_spi_access()
        .set_argument(Some(pg_sys::Datum::from(argument)))
        .set_notify_pid(me)
        .load_dynamic();
    match sweeper {
        Ok(sweeper) => {
            // Any other answer than "stopped" is the postmaster's death, which ends this process.
            let _ = sweeper.wait_for_shutdown();
            true
        }
        Err(_) => false,
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn session_store_launcher(_argument: pg_sys::Datum) {
    accept_signals();
    // SAFETY: called once at the start of a worker; no database: only shared catalogs are there.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnection(core::ptr::null(), core::ptr::null(), 0)
    };
    // SAFETY: written by _PG_init.
    if let Some(workers) = unsafe { WORKERS } {
        (workers.launcher)();
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn session_store_sweeper(argument: pg_sys::Datum) {
    accept_signals();
    let argument = argument.value() as u64;
    let database = pg_sys::Oid::from_u32(argument as u32);
    // SAFETY: called once at the start of a worker; without a user it is the bootstrap superuser.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, pg_sys::InvalidOid, 0);
    }
    // SAFETY: written by _PG_init.
    if let Some(workers) = unsafe { WORKERS } {
        Report::attach((argument >> 32) as u32, workers.sweeper);
    }
}

unsafe extern "C-unwind" {
    /// `tcop/postgres.c`; pgrx offers it only wrapped, which no signal handler may be.
    fn die(signal: i32);
    /// `postmaster/interrupt.c`
    fn SignalHandlerForConfigReload(signal: i32);
}

/// PostgreSQL's own handlers, so that `pg_terminate_backend` also ends a worker within a statement;
/// pgrx's only set a flag.
fn accept_signals() {
    // SAFETY: the handlers are PostgreSQL's, for processes like this one.
    unsafe {
        set_signal_handler(libc::SIGTERM, die);
        set_signal_handler(libc::SIGHUP, SignalHandlerForConfigReload);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// A number that all processes of the server share, 0 when it starts.
pub fn shared_number() -> &'static AtomicI64 {
    let mut is_there = false;
    // SAFETY: PostgreSQL hands the same memory, zeroed and aligned, to whoever asks for the name, and
    // never takes it back. A library that is not preloaded gets it from what is kept to spare.
    unsafe {
        let size = size_of::<AtomicI64>();
        &*pg_sys::ShmemInitStruct(c"session_store".as_ptr(), size, &mut is_there).cast()
    }
}

/// Whether a database was found to have the extension: a byte that launcher and sweeper share.
pub struct Report(*const AtomicU8);

/// The launcher's side of a [`Report`].
pub struct SharedReport {
    handle: pg_sys::dsm_handle,
    report: Report,
}

impl SharedReport {
    /// Takes a segment of shared memory, for the life of this process.
    pub fn create() -> Self {
        // SAFETY: without a resource owner the segment stays mapped until the process ends; new
        // segments are larger than a byte and aligned.
        unsafe {
            let segment = pg_sys::dsm_create(size_of::<AtomicU8>(), 0);
            pg_sys::dsm_pin_mapping(segment);
            let byte = pg_sys::dsm_segment_address(segment).cast::<AtomicU8>();
            byte.write(AtomicU8::new(0));
            Self { handle: pg_sys::dsm_segment_handle(segment), report: Report(byte) }
        }
    }

    /// What was reported since the last time.
    pub fn take(&self) -> bool {
        // SAFETY: the segment is mapped as long as this process lives.
        unsafe { &*self.report.0 }.swap(0, Ordering::Relaxed) != 0
    }
}

impl Report {
    fn attach(handle: pg_sys::dsm_handle, work: fn(&Report)) {
        // SAFETY: an unknown handle, of a launcher that is no more, gives NULL.
        unsafe {
            let segment = pg_sys::dsm_attach(handle);
            if !segment.is_null() {
                pg_sys::dsm_pin_mapping(segment);
                work(&Report(pg_sys::dsm_segment_address(segment).cast()));
            }
        }
    }

    /// Tells the launcher that this database has the extension.
    pub fn found(&self) {
        // SAFETY: the segment is mapped as long as this process lives.
        unsafe { &*self.0 }.store(1, Ordering::Relaxed);
    }
}

/// Waits, at most as long as told; a signal ends it early. Then a reload is carried out, if one is
/// due: true. A request to terminate ends the process.
pub fn wait(timeout: Duration) -> bool {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: reads a variable of the process.
    let is_due = unsafe { pg_sys::ConfigReloadPending != 0 };
    // A reload that came while a sweeper ran has had its latch reset by the wait for that one.
    let timeout = if is_due { Duration::ZERO } else { timeout };
    // Rounded up: a pause of less than a millisecond is still one.
    let millis = timeout.as_micros().div_ceil(1_000).try_into().unwrap_or(i32::MAX.into());
    // SAFETY: a worker's own latch; interrupts are served where no resource is held.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, millis, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        pgrx::check_for_interrupts!();
        let reload = pg_sys::ConfigReloadPending != 0;
        if reload {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
        reload
    }
}

/// Sends a process of this server the signal to reload.
pub fn send_reload(pid: i32) {
    // SAFETY: at worst the process is gone.
    unsafe { libc::kill(pid, libc::SIGHUP) };
}

/// Runs `work` in a transaction of this worker, shown as `activity`. An error rolls it back: the
/// message.
pub fn in_transaction<R>(activity: &str, work: impl FnOnce() -> R) -> Result<R, String> {
    let activity = CString::new(activity).unwrap_or_default();
    // SAFETY: a worker's main loop, outside any transaction; what is begun is ended either way.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr());
        let result = PgTryBuilder::new(AssertUnwindSafe(|| {
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let result = work();
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

fn message_of(error: &pg_sys::panic::CaughtError) -> String {
    use pg_sys::panic::CaughtError::*;
    let (PostgresError(report) | ErrorReport(report) | RustPanic { ereport: report, .. }) = error;
    report.message().to_owned()
}

/// A lock by which a worker makes itself known to the whole cluster. SQL's advisory locks cannot
/// take it, and `pg_locks` shows it.
#[derive(Clone, Copy)]
pub struct Beacon {
    /// What the worker is there for: a database, or the cluster.
    pub database: Option<pg_sys::Oid>,
}

impl Beacon {
    /// `objsubid` in `pg_locks`; 1 and 2 are SQL's advisory locks.
    pub const CLASS: u16 = 3;
    /// `classid` in `pg_locks`: "sess".
    pub const NAME: u32 = 0x7365_7373;

    fn tag(self) -> pg_sys::LOCKTAG {
        pg_sys::LOCKTAG {
            locktag_field1: 0,
            locktag_field2: Self::NAME,
            locktag_field3: self.database.map_or(0, |oid| oid.to_u32()),
            locktag_field4: Self::CLASS,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        }
    }

    /// Lights it until [`Self::put_out`] or the end of this process. False if another has.
    pub fn light(self) -> bool {
        self.acquire(pg_sys::ExclusiveLock, true)
    }

    /// Lights it while `work` runs, unless another has.
    pub fn while_lit(self, work: impl FnOnce()) {
        if self.acquire(pg_sys::ExclusiveLock, false) {
            work();
            // SAFETY: just acquired, for this transaction.
            unsafe { pg_sys::LockRelease(&self.tag(), pg_sys::ExclusiveLock as i32, false) };
        }
    }

    /// Puts out a beacon that this process has lit.
    pub fn put_out(self) {
        // SAFETY: the lock is held by this session.
        unsafe { pg_sys::LockRelease(&self.tag(), pg_sys::ExclusiveLock as i32, true) };
    }

    /// Whether any process has lit it.
    pub fn is_lit(self) -> bool {
        let free = self.acquire(pg_sys::ShareLock, false);
        if free {
            // SAFETY: just acquired, for this transaction.
            unsafe { pg_sys::LockRelease(&self.tag(), pg_sys::ShareLock as i32, false) };
        }
        !free
    }

    fn acquire(self, mode: u32, for_session: bool) -> bool {
        // SAFETY: a well-formed tag; never waits.
        let result = unsafe { pg_sys::LockAcquire(&self.tag(), mode as i32, for_session, true) };
        result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}

/// Sets a setting of this process.
pub fn set_for_process(name: &CStr, value: &CStr) {
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
