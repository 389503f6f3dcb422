//! Writes binary jsonb, byte for byte as PostgreSQL's `convertToJsonb` does, while its content is
//! still being read.
//!
//! An array's size is known beforehand, so that its items go right where they belong. CBOR
//! alternates an object's keys and values where jsonb wants all keys first: members are written one
//! after the other, and put in order when the object ends.

use super::DecodeError::{self, Damaged};
use super::buffer::Buffer;
use super::{MAX_DEPTH, layout, number::Number};

/// Enough for nearly every session at once; larger ones grow.
const RESERVED: usize = 1 << 16;

/// The jsonb under construction. Offsets are relative to the root container, as jsonb's alignment
/// is.
pub(super) struct Builder<'de> {
    out: Buffer,
    /// The members of all objects that have begun and not ended, innermost last.
    members: Buffer<Member<'de>>,
    depth: usize,
    /// How many items all arrays together may still announce: each takes a byte of the input, so
    /// more is a lie, and memory is never reserved for a lie.
    unclaimed: usize,
}

/// A value just written: it reaches from `start` to the end of the output.
pub(super) struct Slot {
    kind: u32,
    start: usize,
}

#[derive(Clone, Copy)]
struct Member<'de> {
    key: &'de [u8],
    kind: u32,
    start: usize,
    end: usize,
}

pub(super) struct Array {
    start: usize,
    claimed: usize,
    done: usize,
}

pub(super) struct Object {
    start: usize,
    first_member: usize,
    is_sorted: bool,
}

impl<'de> Builder<'de> {
    /// `input` is the length of the CBOR to come.
    pub(super) fn new(input: usize) -> Result<Self, DecodeError> {
        Ok(Builder {
            out: Buffer::with_capacity((4 * input).min(RESERVED))?,
            members: Buffer::with_capacity(32)?,
            depth: 0,
            unclaimed: input,
        })
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out.into_vec()
    }

    /// Null, true or false: their kind says it all.
    pub(super) fn bare(&self, kind: u32) -> Slot {
        Slot { kind, start: self.out.len() }
    }

    pub(super) fn text(&mut self, text: &[u8]) -> Result<Slot, DecodeError> {
        let start = self.out.len();
        self.out.extend(text)?;
        Ok(Slot { kind: layout::STRING, start })
    }

    pub(super) fn number(&mut self, number: &Number) -> Result<Slot, DecodeError> {
        let start = self.align()?;
        number.write_numeric(&mut self.out)?;
        Ok(Slot { kind: layout::NUMERIC, start })
    }

    /// Begins an array that says it has `claimed` items.
    pub(super) fn begin_array(&mut self, claimed: usize) -> Result<Array, DecodeError> {
        self.unclaimed = self.unclaimed.checked_sub(claimed).ok_or(Damaged)?;
        self.enter()?;
        let start = self.align()?;
        self.begin_container(layout::ARRAY, claimed, claimed)?;
        Ok(Array { start, claimed, done: 0 })
    }

    /// An array of one that stands for the scalar in it.
    pub(super) fn begin_scalar(&mut self) -> Result<Array, DecodeError> {
        let start = self.align()?;
        self.begin_container(layout::ARRAY | layout::SCALAR, 1, 1)?;
        Ok(Array { start, claimed: 1, done: 0 })
    }

    /// Where the next item's bytes will begin, padding included.
    pub(super) fn mark(&self) -> usize {
        self.out.len()
    }

    /// Adds the value in `slot`, which was written since `mark`.
    pub(super) fn item(
        &mut self,
        array: &mut Array,
        mark: usize,
        slot: &Slot,
    ) -> Result<(), DecodeError> {
        let data = array.start + (1 + array.claimed) * layout::WORD;
        let end = self.out.len();
        self.entry(array.start, array.done, slot.kind, end - mark, end - data)?;
        array.done += 1;
        Ok(())
    }

    pub(super) fn end_array(&mut self, array: &Array) -> Result<Slot, DecodeError> {
        self.depth -= 1;
        self.end_container(array.start)
    }

    pub(super) fn begin_object(&mut self) -> Result<Object, DecodeError> {
        self.enter()?;
        Ok(Object { start: self.align()?, first_member: self.members.len(), is_sorted: true })
    }

    pub(super) fn member(
        &mut self,
        object: &mut Object,
        key: &'de [u8],
        slot: &Slot,
    ) -> Result<(), DecodeError> {
        if let Some(last) = self.members[object.first_member..].last() {
            object.is_sorted &= layout::key_order(last.key, key).is_lt();
        }
        let end = self.out.len();
        check_size(end - object.start)?;
        self.members.push(Member { key, kind: slot.kind, start: slot.start, end })?;
        Ok(())
    }

    pub(super) fn end_object(&mut self, object: &Object) -> Result<Slot, DecodeError> {
        self.depth -= 1;
        let first = object.first_member;
        if !object.is_sorted {
            let kept = layout::sort_by_key(&mut self.members[first..], |member| member.key);
            self.members.truncate(first + kept);
        }
        let pairs = self.members.len() - first;
        let start = self.align()?;
        self.begin_container(layout::OBJECT, pairs, 2 * pairs)?;
        let data = self.out.len();
        for index in 0..pairs {
            let key = self.members[first + index].key;
            self.out.extend(key)?;
            self.entry(start, index, layout::STRING, key.len(), self.out.len() - data)?;
        }
        for index in 0..pairs {
            let mark = self.out.len();
            let Member { kind, start: from, end: to, .. } = self.members[first + index];
            if layout::is_aligned(kind) {
                self.align()?;
            }
            self.out.extend_from_within(from..to)?;
            let end = self.out.len();
            self.entry(start, pairs + index, kind, end - mark, end - data)?;
        }
        self.members.truncate(first);
        let length = self.out.len() - start;
        self.out.copy_within(start.., object.start);
        self.out.truncate(object.start + length);
        self.end_container(object.start)
    }

    fn enter(&mut self) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Damaged) } else { Ok(()) }
    }

    fn align(&mut self) -> Result<usize, DecodeError> {
        let start = layout::align(self.out.len());
        if start > self.out.len() {
            self.out.extend(&[0; layout::WORD])?; // a constant length is copied at once
            self.out.truncate(start);
        }
        Ok(start)
    }

    fn begin_container(
        &mut self,
        kind: u32,
        count: usize,
        entries: usize,
    ) -> Result<(), DecodeError> {
        check_size((1 + entries) * layout::WORD)?;
        self.out.extend(&(kind | count as u32).to_ne_bytes())?;
        self.out.fill(entries * layout::WORD, 0)?;
        Ok(())
    }

    fn end_container(&mut self, start: usize) -> Result<Slot, DecodeError> {
        check_size(self.out.len() - start)?;
        Ok(Slot { kind: layout::CONTAINER, start })
    }

    /// Fills in the `JEntry` of a child that is `length` bytes long and ends at `offset`.
    #[inline]
    fn entry(
        &mut self,
        container: usize,
        index: usize,
        kind: u32,
        length: usize,
        offset: usize,
    ) -> Result<(), DecodeError> {
        check_size(offset)?;
        let entry = if index.is_multiple_of(layout::OFFSET_STRIDE) {
            kind | layout::HAS_OFFSET | offset as u32
        } else {
            kind | length as u32
        };
        let at = container + (1 + index) * layout::WORD;
        self.out[at..at + layout::WORD].copy_from_slice(&entry.to_ne_bytes());
        Ok(())
    }
}

fn check_size(size: usize) -> Result<(), DecodeError> {
    if size > layout::LENGTH as usize { Err(Damaged) } else { Ok(()) }
}
