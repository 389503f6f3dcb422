//! Memory kept for the time when there is none.
//!
//! pgrx turns PostgreSQL's error into a panic and back, and copies it, once for each of its guards on the way.
//! Where a call runs out of memory to the last byte, those copies would be errors, too, which ends the server.

use core::ffi::c_void;
use pgrx::{pg_guard, pg_sys};
use std::cell::{Cell, RefCell};

/// What an error takes until it has left the call.
const SIZE: usize = 64 * 1024;

thread_local! {
    static RESERVE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static CALLBACK: Cell<pg_sys::ErrorContextCallback> = const {
        Cell::new(pg_sys::ErrorContextCallback {
            previous: core::ptr::null_mut(),
            callback: Some(give_back),
            arg: core::ptr::null_mut(),
        })
    };
}

/// Has the reserve given back as soon as an error is raised. Once for all calls within one.
pub fn begin_call() {
    RESERVE.with_borrow_mut(|reserve| {
        if reserve.capacity() == 0 {
            // Without it the call may still succeed.
            let _ = reserve.try_reserve_exact(SIZE);
        }
    });
    CALLBACK.with(|callback| {
        let callback = callback.as_ptr();
        // SAFETY: the callback lives as long as the process. PostgreSQL takes it off after an error.
        unsafe {
            (*callback).previous = pg_sys::error_context_stack;
            pg_sys::error_context_stack = callback;
        }
    });
}

/// The opposite of [`begin_call`].
pub fn end_call() {
    CALLBACK.with(|callback| {
        let callback = callback.as_ptr();
        // SAFETY: as above.
        unsafe {
            if pg_sys::error_context_stack == callback {
                pg_sys::error_context_stack = (*callback).previous;
            }
        }
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn give_back(_arg: *mut c_void) {
    RESERVE.with(|reserve| {
        if let Ok(mut reserve) = reserve.try_borrow_mut() {
            *reserve = Vec::new();
        }
    });
}
