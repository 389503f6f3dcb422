//! What a Rust panic leaves behind.

use std::panic;

/// Keeps stack traces out of messages; called once, when the library is loaded.
///
/// pgrx notes one at each error where the server's environment has `RUST_BACKTRACE`, and puts it into
/// the DETAIL that goes to the client. Where a panic began, which is a fault of ours, is told to the
/// log's owner alone; its message may hold what a client sent, and so is not.
pub fn report_panics_to_the_log() {
    panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let is_panic = payload.is::<&str>() || payload.is::<String>();
        if let Some(place) = panic.location().filter(|_| is_panic) {
            eprintln!("{}: panicked at {place}", env!("CARGO_PKG_NAME"));
        }
    }));
}
