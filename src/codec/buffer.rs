//! Memory for what a session holds, where having none is an error.
//!
//! A `Vec` that cannot grow ends the process, and a backend that ends so takes every connection of
//! the server with it. What is as large as a session, or grows with it, is therefore a [`Buffer`].

use std::hint::black_box;
use std::ops::{Deref, DerefMut, Range};

/// Memory could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A `Vec` with only the ways to grow that say so when they cannot.
#[derive(Debug)]
pub(super) struct Buffer<T = u8>(Vec<T>);

impl<T: Copy> Buffer<T> {
    pub(super) fn with_capacity(capacity: usize) -> Result<Self, OutOfMemory> {
        let mut items = Vec::new();
        #[cfg(test)]
        scarcity::ask()?;
        items.try_reserve_exact(capacity).map_err(|_| OutOfMemory)?;
        Ok(Self(items))
    }

    /// Makes room for so many more.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) -> Result<(), OutOfMemory> {
        if more > self.0.capacity() - self.0.len() { self.grow(more) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) -> Result<(), OutOfMemory> {
        #[cfg(test)]
        scarcity::ask()?;
        self.0.try_reserve(more).map_err(|_| OutOfMemory)
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) -> Result<(), OutOfMemory> {
        self.reserve(1)?;
        self.0.push(item);
        Ok(())
    }

    #[inline]
    pub(super) fn extend(&mut self, items: &[T]) -> Result<(), OutOfMemory> {
        self.reserve(items.len())?;
        self.0.extend_from_slice(items);
        Ok(())
    }

    /// Appends items if there is room for them without growing: whether there was.
    #[inline]
    pub(super) fn extend_within_capacity(&mut self, items: &[T]) -> bool {
        let fits = items.len() <= self.0.capacity() - self.0.len();
        if fits {
            self.0.extend_from_slice(items);
        }
        fits
    }

    #[inline]
    pub(super) fn extend_from_within(&mut self, items: Range<usize>) -> Result<(), OutOfMemory> {
        self.reserve(items.len())?;
        self.0.extend_from_within(items);
        Ok(())
    }

    /// Appends an item `count` times.
    #[inline]
    pub(super) fn fill(&mut self, count: usize, item: T) -> Result<(), OutOfMemory> {
        self.reserve(count)?;
        self.0.resize(self.0.len() + count, item);
        Ok(())
    }

    #[inline]
    pub(super) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(keep);
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Makes sure of memory for others who would end the process without it: takes it and gives it back.
pub(super) fn ensure(bytes: usize) -> Result<(), OutOfMemory> {
    // Else the compiler sees that nobody uses it.
    black_box(Buffer::<u8>::with_capacity(bytes)?);
    Ok(())
}

/// Memory that ends when a test says so.
#[cfg(test)]
pub(super) mod scarcity {
    use super::OutOfMemory;
    use std::cell::Cell;

    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// Runs `work` where memory can be had so many times, and then no more.
    pub(in super::super) fn after<R>(times: usize, work: impl FnOnce() -> R) -> R {
        LEFT.set(times);
        let result = work();
        LEFT.set(usize::MAX);
        result
    }

    pub(super) fn ask() -> Result<(), OutOfMemory> {
        LEFT.set(LEFT.get().checked_sub(1).ok_or(OutOfMemory)?);
        Ok(())
    }
}
