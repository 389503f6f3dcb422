//! Reads binary jsonb straight into a serde serializer, without a tree in between.

use super::{EncodeError, MAX_DEPTH, layout, number::Number};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use std::cell::Cell;

/// One JSON value inside a jsonb datum. Serializing it reads it.
pub(super) struct Value<'a> {
    kind: u32,
    bytes: &'a [u8],
    /// How many containers there are around this value, plus one.
    depth: usize,
    /// What went wrong: a serde error carries text only.
    failure: &'a Cell<Option<EncodeError>>,
}

impl<'a> Value<'a> {
    /// The value a whole jsonb datum stands for. `bytes` is the root container without the varlena
    /// header, `depth` what the value counts as if it is a container.
    pub(super) fn root(
        bytes: &'a [u8],
        depth: usize,
        failure: &'a Cell<Option<EncodeError>>,
    ) -> Result<Self, EncodeError> {
        let value = Value { kind: layout::CONTAINER, bytes, depth, failure };
        let (header, mut children) = value.split()?;
        if header & layout::SCALAR == 0 {
            return Ok(value);
        }
        let (kind, bytes) = children.next().ok_or(EncodeError::Malformed)?;
        Ok(Value { kind, bytes, depth, failure })
    }

    pub(super) fn is_object(&self) -> bool {
        self.kind == layout::CONTAINER
            && matches!(self.split(), Ok((header, ..)) if header & layout::OBJECT != 0)
    }

    /// A container's header and its children.
    #[inline]
    fn split(&self) -> Result<(u32, Children<'a>), EncodeError> {
        let (words, _) = self.bytes.as_chunks::<{ layout::WORD }>();
        let (&header, words) = words.split_first().ok_or(EncodeError::Malformed)?;
        let header = u32::from_ne_bytes(header);
        let per_count = if header & layout::OBJECT == 0 { 1 } else { 2 };
        let count = (header & layout::COUNT) as usize * per_count;
        let entries = words.get(..count).ok_or(EncodeError::Malformed)?;
        let children = Children {
            entries: entries.iter(),
            data: &self.bytes[(1 + count) * layout::WORD..],
            offset: 0,
        };
        Ok((header, children))
    }

    fn child(&self, child: Option<(u32, &'a [u8])>) -> Result<Self, EncodeError> {
        let (kind, bytes) = child.ok_or(EncodeError::Malformed)?;
        Ok(Value { kind, bytes, depth: self.depth + 1, failure: self.failure })
    }

    fn serialize_container<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.depth > MAX_DEPTH {
            return Err(self.fail(EncodeError::TooDeep));
        }
        let (header, mut children) = self.split().map_err(|e| self.fail(e))?;
        let count = children.entries.len();
        if header & layout::OBJECT == 0 {
            let mut seq = serializer.serialize_seq(Some(count))?;
            for _ in 0..count {
                let item = self.child(children.next());
                seq.serialize_element(&item.map_err(|e| self.fail(e))?)?;
            }
            return seq.end();
        }
        let pairs = count / 2;
        let mut values = children.skipped(pairs);
        let mut map = serializer.serialize_map(Some(pairs))?;
        for _ in 0..pairs {
            let key =
                self.child(children.next()).and_then(|key| key.text()).map_err(|e| self.fail(e))?;
            let value = self.child(values.next()).map_err(|e| self.fail(e))?;
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }

    #[inline]
    fn text(&self) -> Result<&'a str, EncodeError> {
        if self.kind != layout::STRING {
            return Err(EncodeError::Malformed);
        }
        std::str::from_utf8(self.bytes).map_err(|_| EncodeError::NotUtf8)
    }

    #[cold]
    fn fail<E: Error>(&self, error: EncodeError) -> E {
        self.failure.set(Some(error));
        E::custom(error)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind {
            layout::STRING => match self.text() {
                Ok(text) => serializer.serialize_str(text),
                Err(error) => Err(self.fail(error)),
            },
            layout::NUMERIC => match Number::from_numeric(self.bytes) {
                Ok(number) => number.serialize(serializer),
                Err(error) => Err(self.fail(error)),
            },
            layout::FALSE => serializer.serialize_bool(false),
            layout::TRUE => serializer.serialize_bool(true),
            layout::NULL => serializer.serialize_unit(),
            layout::CONTAINER => self.serialize_container(serializer),
            _ => Err(self.fail(EncodeError::Malformed)),
        }
    }
}

/// Walks a container's children: kind and bytes, without the padding.
#[derive(Clone)]
struct Children<'a> {
    entries: std::slice::Iter<'a, [u8; 4]>,
    data: &'a [u8],
    offset: usize,
}

impl<'a> Children<'a> {
    /// A second walk that starts `count` children further on.
    fn skipped(&self, count: usize) -> Self {
        let mut ahead = self.clone();
        for _ in 0..count {
            ahead.advance();
        }
        ahead
    }

    /// Steps over one child: its kind and where it begins.
    #[inline]
    fn advance(&mut self) -> Option<(u32, usize)> {
        let entry = u32::from_ne_bytes(*self.entries.next()?);
        let begin = self.offset;
        let length = (entry & layout::LENGTH) as usize;
        self.offset = if entry & layout::HAS_OFFSET == 0 { begin + length } else { length };
        Some((entry & layout::KIND, begin))
    }

    /// The next child. `None` when there is none, or its bytes are not all there.
    #[inline]
    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        let (kind, mut begin) = self.advance()?;
        if layout::is_aligned(kind) {
            begin = layout::align(begin);
        }
        Some((kind, self.data.get(begin..self.offset)?))
    }
}
