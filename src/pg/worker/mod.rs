//! Background workers: how they are described and started, and what they do in their processes.

mod process;
mod registration;
mod shared_memory;

pub use process::{Process, Starting, Termination, Woken, WorkerTransaction};
pub(crate) use registration::background_worker;
pub use registration::{BackgroundWorker, Ended, Exit, enter};
pub use shared_memory::{SharedSegment, shared_numbers};

use pgrx::pg_sys;

/// Whether this is the server of a `pg_upgrade`, in which nothing may move.
pub fn is_binary_upgrade() -> bool {
    // SAFETY: reads a variable of the process.
    unsafe { pg_sys::IsBinaryUpgrade }
}

/// Sends a process of this server the signal to reload its configuration.
pub fn send_reload(pid: i32) {
    // SAFETY: at worst the process is gone.
    unsafe { libc::kill(pid, libc::SIGHUP) };
}
