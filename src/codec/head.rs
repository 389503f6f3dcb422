//! The head of a CBOR data item (RFC 8949 §3), major type and argument, and reading item by item.

use super::DecodeError::{self, Damaged};
use super::buffer::{Buffer, OutOfMemory};

/// Major types, RFC 8949 §3.1.
pub(super) const UNSIGNED: u8 = 0;
pub(super) const NEGATIVE: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;
pub(super) const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// Simple values as their one byte (RFC 8949 §3.3). In JSON "undefined" is null, too (§6.1).
pub(super) const FALSE: u8 = 0xf4;
pub(super) const TRUE: u8 = 0xf5;
pub(super) const NULL: u8 = 0xf6;
pub(super) const UNDEFINED: u8 = 0xf7;

/// The major type of the first item.
pub(super) fn major(bytes: &[u8]) -> Option<u8> {
    bytes.first().map(|initial| initial >> 5)
}

/// Splits off the first head: major type, argument and what follows. `None` when the bytes end too
/// early, and for indefinite lengths, which this codec never writes.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&initial, rest) = bytes.split_first()?;
    let (major, low) = (initial >> 5, initial & 0x1f);
    let width = match low {
        0..=23 => return Some((major, low.into(), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (argument, rest) = rest.split_at_checked(width)?;
    let argument = argument.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
    Some((major, argument, rest))
}

/// Reads one item after the other.
pub(super) struct Reader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { all: bytes, rest: bytes }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> usize {
        self.all.len() - self.rest.len()
    }

    /// The next head; its argument's bytes are read, its content is not.
    #[inline]
    pub(super) fn head(&mut self) -> Result<(u8, u64), DecodeError> {
        let (major, argument, rest) = read(self.rest).ok_or(Damaged)?;
        self.rest = rest;
        Ok((major, argument))
    }

    /// The next item if it is of major type 7, as its initial byte: the argument of a float would
    /// look like a simple value.
    #[inline]
    pub(super) fn simple(&mut self) -> Option<u8> {
        let (&initial, rest) =
            self.rest.split_first().filter(|(first, _)| *first >> 5 == SIMPLE)?;
        self.rest = rest;
        Some(initial)
    }

    /// The next bytes.
    #[inline]
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(length).map_err(|_| Damaged)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next item, which has to be a key: text.
    #[inline]
    pub(super) fn key(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.key_head()?;
        let key = self.take(length)?;
        if key.is_ascii() || is_text(key) { Ok(key) } else { Err(Damaged) }
    }

    /// The head of a key: the length of its text.
    #[inline]
    pub(super) fn key_head(&mut self) -> Result<u64, DecodeError> {
        match self.head()? {
            (TEXT, length) => Ok(length),
            _ => Err(Damaged),
        }
    }

    /// The next bytes as text for a jsonb, which cannot hold a NUL.
    #[inline]
    pub(super) fn jsonb_text(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let text = self.take(length)?;
        let is_plain = text.iter().all(|byte| (1..0x80).contains(byte));
        match is_plain || is_text(text) {
            true if is_plain || !text.contains(&0) => Ok(text),
            true => Err(DecodeError::Nul),
            false => Err(Damaged),
        }
    }

    /// Steps over the next item with all that is in it.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut pending: u64 = 1;
        while pending > 0 {
            let (major, argument) = self.head()?;
            let inside = match major {
                BYTES | TEXT => self.take(argument).map(|_| 0)?,
                ARRAY => argument,
                MAP => argument.checked_mul(2).ok_or(Damaged)?,
                TAG => 1,
                _ => 0,
            };
            pending = (pending - 1).checked_add(inside).ok_or(Damaged)?;
        }
        Ok(())
    }

    /// Insists that nothing is left.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(Damaged) }
    }
}

/// Whether bytes are UTF-8.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// Appends a head in its shortest form.
pub(super) fn write(out: &mut Buffer, major: u8, argument: u64) -> Result<(), OutOfMemory> {
    let (bytes, length) = encode(major, argument);
    out.extend(&bytes[..length])
}

/// A head in its shortest form, as RFC 8949 §4.1 prefers, and how many of the bytes it is.
#[inline]
pub(super) fn encode(major: u8, argument: u64) -> ([u8; 9], usize) {
    let bytes = argument.to_be_bytes();
    let (low, width) = match argument {
        0..=23 => (bytes[7], 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    let mut head = [(major << 5) | low; 9];
    head[1..=width].copy_from_slice(&bytes[8 - width..]);
    (head, 1 + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_shortest_and_read_back() {
        for (argument, length) in [
            (0, 1),
            (23, 1),
            (24, 2),
            (255, 2),
            (256, 3),
            (65_535, 3),
            (65_536, 5),
            (u64::from(u32::MAX), 5),
            (1 << 32, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Buffer::with_capacity(0).unwrap();
            write(&mut out, MAP, argument).unwrap();
            assert_eq!(out.len(), length, "{argument}");
            assert_eq!(read(&out), Some((MAP, argument, &[][..])));
            assert_eq!(read(&out[..length - 1]), None);
        }
    }

    #[test]
    fn indefinite_and_reserved_lengths_are_no_heads() {
        for initial in [0xbf, 0x5f, 0xbc, 0xbd, 0xbe] {
            assert_eq!(read(&[initial, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        }
    }
}
