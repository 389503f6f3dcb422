//! Numbers that processes share.

use core::ffi::CStr;
use core::ops::Deref;
use pgrx::pg_sys;
use std::sync::atomic::AtomicI64;

/// The smallest page of the machines that PostgreSQL runs on, in bytes.
const PAGE: usize = 4_096;

/// Numbers that all processes of the server share, found by name, all 0 when it starts. A library that
/// is not preloaded gets them from what the server keeps to spare.
pub fn shared_numbers<const N: usize>(name: &CStr) -> &'static [AtomicI64; N] {
    let mut is_there = false;
    // SAFETY: PostgreSQL hands the same memory, zeroed and aligned, to whoever asks for the name with
    // the same size, raises an error if the size is another, and never takes it back.
    unsafe {
        let size = size_of::<[AtomicI64; N]>();
        &*pg_sys::ShmemInitStruct(name.as_ptr(), size, &mut is_there).cast()
    }
}

/// Numbers that a process and those that it tells the handle share: a segment of dynamic shared memory,
/// mapped until this process ends.
pub struct SharedSegment<const N: usize> {
    handle: pg_sys::dsm_handle,
    numbers: &'static [AtomicI64; N],
}

impl<const N: usize> SharedSegment<N> {
    /// Takes a segment, all 0.
    pub fn create() -> Self {
        let size = size_of::<[AtomicI64; N]>();
        // SAFETY: a new segment is as large as told and aligned, and nobody else has it yet; without
        // a resource owner, or pinned, it stays mapped until the process ends.
        unsafe {
            let segment = pg_sys::dsm_create(size, 0);
            pg_sys::dsm_pin_mapping(segment);
            let numbers = pg_sys::dsm_segment_address(segment).cast::<[AtomicI64; N]>();
            numbers.write([const { AtomicI64::new(0) }; N]);
            Self { handle: pg_sys::dsm_segment_handle(segment), numbers: &*numbers }
        }
    }

    /// Maps the segment of another process; `None` if that is gone.
    pub fn attach(handle: pg_sys::dsm_handle) -> Option<Self> {
        // SAFETY: an unknown handle gives NULL. A segment fills whole pages, however little was
        // asked for; it is aligned, and stays mapped until the process ends.
        unsafe {
            let segment = pg_sys::dsm_attach(handle);
            if segment.is_null() {
                return None;
            }
            let length = pg_sys::dsm_segment_map_length(segment).next_multiple_of(PAGE);
            if length < size_of::<[AtomicI64; N]>() {
                pg_sys::dsm_detach(segment);
                return None;
            }
            pg_sys::dsm_pin_mapping(segment);
            Some(Self { handle, numbers: &*pg_sys::dsm_segment_address(segment).cast() })
        }
    }

    /// What other processes attach to it by.
    pub fn handle(&self) -> pg_sys::dsm_handle {
        self.handle
    }
}

impl<const N: usize> Deref for SharedSegment<N> {
    type Target = [AtomicI64; N];

    fn deref(&self) -> &Self::Target {
        self.numbers
    }
}
