//! JSON text to CBOR, while it is still being parsed.
//!
//! CBOR says first how many items a container has, text only at its end. One byte is left for the
//! head, which is enough for up to 23; behind a longer one the items move.

use super::EncodeError::{self, NotJson, TooDeep, TooLarge};
use super::buffer::{Buffer, ensure};
use super::layout::sort_by_key;
use super::number::Number;
use super::{Bounded, MAX_DEPTH, MAX_SIZE, append, head};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;
use serde_cbor::ser::IoWrite;
use std::cell::Cell;
use std::fmt;

/// What becomes one byte takes six in an escape: a longer text is larger than any session, unless
/// most of it is white space, and is not worth the reading.
const MAX_TEXT: usize = 6 * MAX_SIZE;

/// For each byte of text, what the parser may take for unescaped text and for the digits of a number:
/// a vector that doubles, and the half as long one before.
const PARSING: usize = 3;

/// `serde_json` with its feature `arbitrary_precision` passes a number that is not a 64-bit integer
/// on as a map with this key, whose value is the text of the number.
const NUMBER: &str = "$serde_json::private::Number";

/// Any JSON value as a document would hold it.
pub(super) fn encode(text: &str) -> Result<Vec<u8>, EncodeError> {
    if text.len() > MAX_TEXT {
        return Err(TooLarge);
    }
    let mut encoder = Encoder {
        text,
        // Nearly all of JSON is longer than its CBOR.
        out: Buffer::with_capacity(text.len().min(MAX_SIZE))?,
        members: Buffer::with_capacity(32)?,
        taken: 0,
        failure: None,
    };
    let mut parser = serde_json::Deserializer::from_str(text);
    let root = Value { encoder: &mut encoder, depth: 1 };
    match root.deserialize(&mut parser).and_then(|()| parser.end()) {
        Ok(()) if encoder.out.len() <= MAX_SIZE => Ok(encoder.out.into_vec()),
        Ok(()) => Err(TooLarge),
        Err(_) => Err(encoder.failure.unwrap_or(NotJson)),
    }
}

/// A value to be read and written. As a container it would be the `depth`-th.
struct Value<'e, 'a> {
    encoder: &'e mut Encoder<'a>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.encoder.make_room()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.encoder.write(&[head::NULL])
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.encoder.write(&[if value { head::TRUE } else { head::FALSE }])
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let (head, length) = head::encode(head::UNSIGNED, value);
        self.encoder.write(&head[..length])
    }

    /// Of negative numbers only.
    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        let (head, length) = head::encode(head::NEGATIVE, !value as u64);
        self.encoder.write(&head[..length])
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let written = self.encoder.text(text);
        self.encoder.check(written)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Value { encoder, depth } = self;
        encoder.check_depth(depth)?;
        let start = encoder.begin()?;
        let mut count = 0;
        while items.next_element_seed(Value { encoder, depth: depth + 1 })?.is_some() {
            count += 1;
        }
        encoder.end(start, head::ARRAY, count)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Value { encoder, depth } = self;
        let first = encoder.members.len();
        let start = encoder.begin()?;
        let mut key = entries.next_key_seed(Key { encoder })?;
        if matches!(key, Some(Found::Number)) {
            encoder.out.truncate(start);
            return entries.next_value_seed(Digits { encoder });
        }
        encoder.check_depth(depth)?;
        while key.is_some() {
            entries.next_value_seed(Value { encoder, depth: depth + 1 })?;
            encoder.end_member();
            key = entries.next_key_seed(Key { encoder })?;
        }
        encoder.drop_duplicates(start, first);
        let count = encoder.members.len() - first;
        encoder.members.truncate(first);
        encoder.end(start, head::MAP, count)
    }
}

/// A key to be read and written.
struct Key<'e, 'a> {
    encoder: &'e mut Encoder<'a>,
}

enum Found {
    /// A key.
    Key,
    /// No object at all.
    Number,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        self.encoder.make_room()?;
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    /// A key of the text without escapes is lent from there; that of a number is not, and so the two
    /// cannot be confused.
    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Found, E> {
        let is_number = key == NUMBER && !self.encoder.is_from_text(key);
        if is_number { Ok(Found::Number) } else { self.visit_str(key) }
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Found, E> {
        let begun = self.encoder.begin_member(key);
        self.encoder.check(begun)?;
        Ok(Found::Key)
    }
}

/// The text of a number.
struct Digits<'e, 'a> {
    encoder: &'e mut Encoder<'a>,
}

impl<'de> DeserializeSeed<'de> for Digits<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Digits<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<(), E> {
        let written = self.encoder.number(digits);
        self.encoder.check(written)
    }
}

struct Encoder<'a> {
    text: &'a str,
    out: Buffer,
    /// The members of all objects that have begun and not ended, innermost last.
    members: Buffer<Member>,
    /// How much was taken for both when there was last enough for the parser.
    taken: usize,
    /// What went wrong: a serde error carries text only.
    failure: Option<EncodeError>,
}

/// A key and its value, by where they are in the output.
#[derive(Clone, Copy)]
struct Member {
    start: usize,
    key: usize,
    value: usize,
    end: usize,
}

impl Member {
    fn key<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        &out[self.key..self.value]
    }
}

/// So many keys are compared with each other in less time than it takes to sort them.
const FEW: usize = 16;

fn are_distinct(members: &[Member], out: &[u8]) -> bool {
    members.iter().enumerate().all(|(index, member)| {
        let key = member.key(out);
        members[..index].iter().all(|before| before.key(out) != key)
    })
}

impl Encoder<'_> {
    /// The parser ends the process where it gets no memory, so there has to be some, and again when
    /// what there was may have gone into the output.
    #[inline]
    fn make_room<E: Error>(&mut self) -> Result<(), E> {
        let taken = self.out.capacity() + self.members.capacity();
        if taken == self.taken {
            return Ok(());
        }
        self.taken = taken;
        let ensured = ensure(PARSING * self.text.len());
        self.check(ensured.map_err(EncodeError::from))
    }

    #[inline]
    fn check<T, E: Error>(&mut self, result: Result<T, EncodeError>) -> Result<T, E> {
        result.map_err(|error| {
            self.failure = Some(error);
            E::custom(error)
        })
    }

    fn check_depth<E: Error>(&mut self, depth: usize) -> Result<(), E> {
        self.check(if depth > MAX_DEPTH { Err(TooDeep) } else { Ok(()) })
    }

    fn is_from_text(&self, key: &str) -> bool {
        self.text.as_bytes().as_ptr_range().contains(&key.as_ptr())
    }

    #[inline]
    fn write<E: Error>(&mut self, bytes: &[u8]) -> Result<(), E> {
        let written = append(&mut self.out, bytes);
        self.check(written)
    }

    #[inline]
    fn text(&mut self, text: &str) -> Result<(), EncodeError> {
        let (head, length) = head::encode(head::TEXT, text.len() as u64);
        append(&mut self.out, &head[..length])?;
        append(&mut self.out, text.as_bytes())
    }

    fn number(&mut self, text: &str) -> Result<(), EncodeError> {
        let number = Number::from_json(text)?;
        let failure = Cell::new(None);
        let bounded = IoWrite::new(Bounded { out: &mut self.out, failure: &failure });
        let written = number.serialize(&mut serde_cbor::Serializer::new(bounded));
        written.map_err(|_| failure.get().unwrap_or(NotJson))
    }

    /// Begins a member of the innermost object.
    #[inline]
    fn begin_member(&mut self, key: &str) -> Result<(), EncodeError> {
        let start = self.out.len();
        self.text(key)?;
        let value = self.out.len();
        Ok(self.members.push(Member { start, key: value - key.len(), value, end: value })?)
    }

    fn end_member(&mut self) {
        if let Some(member) = self.members.last_mut() {
            member.end = self.out.len();
        }
    }

    /// Of equal keys in the object that began at `start` only the last one stays.
    fn drop_duplicates(&mut self, start: usize, first: usize) {
        let members = &mut self.members[first..];
        if members.len() <= FEW && are_distinct(members, &self.out) {
            return;
        }
        let kept = sort_by_key(members, |member| member.key(&self.out));
        if kept < members.len() {
            self.members.truncate(first + kept);
            self.close_gaps(start, first);
        }
    }

    #[cold]
    fn close_gaps(&mut self, start: usize, first: usize) {
        let members = &mut self.members[first..];
        members.sort_unstable_by_key(|member| member.start);
        let mut end = start + 1;
        for member in members {
            self.out.copy_within(member.start..member.end, end);
            end += member.end - member.start;
        }
        self.out.truncate(end);
    }

    /// Leaves a byte for the head of a container: where.
    fn begin<E: Error>(&mut self) -> Result<usize, E> {
        let start = self.out.len();
        self.write(&[0])?;
        Ok(start)
    }

    fn end<E: Error>(&mut self, start: usize, major: u8, count: usize) -> Result<(), E> {
        let (head, length) = head::encode(major, count as u64);
        if length > 1 {
            let items = start + 1..self.out.len();
            self.write(&head[1..length])?;
            self.out.copy_within(items, start + length);
        }
        self.out[start..start + length].copy_from_slice(&head[..length]);
        Ok(())
    }
}
