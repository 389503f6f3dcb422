//! Key-wise work on a stored map. Values are skipped and copied as raw bytes, never decoded.

use super::DecodeError;
use super::buffer::{Buffer, OutOfMemory};
use super::head::{self, Reader};
use super::layout::{key_order, sort_by_key};
use super::{decode, text};

/// A stored key-wise session: a CBOR map.
///
/// Only [`Map::to_jsonb`] reads everything. The other calls notice damage between the values, not
/// inside those that they do not need.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    stored: &'a [u8],
    count: u64,
    body: &'a [u8],
}

/// One encoded value inside a stored map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawValue<'a>(&'a [u8]);

impl RawValue<'_> {
    /// The value as a whole jsonb, without the varlena header.
    ///
    /// # Errors
    /// [`DecodeError::Damaged`] when the bytes are no JSON value; [`DecodeError::OutOfMemory`].
    pub fn to_jsonb(self) -> Result<Vec<u8>, DecodeError> {
        decode::to_jsonb(self.0)
    }
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    key: &'a [u8],
    /// Key and value as they are stored.
    pair: &'a [u8],
    value: &'a [u8],
}

impl<'a> Map<'a> {
    /// A map without keys.
    pub const fn empty() -> Map<'static> {
        Map { stored: &[head::MAP << 5], count: 0, body: &[] }
    }

    pub(super) fn new(stored: &'a [u8], count: u64, body: &'a [u8]) -> Self {
        Map { stored, count, body }
    }

    /// Whether it has no keys.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes to store.
    pub fn stored(&self) -> &'a [u8] {
        self.stored
    }

    /// The document as jsonb, without the varlena header.
    ///
    /// # Errors
    /// [`DecodeError::Damaged`] when anything in it is not as [`super::encode_document`] writes it;
    /// [`DecodeError::OutOfMemory`].
    pub fn to_jsonb(self) -> Result<Vec<u8>, DecodeError> {
        decode::to_jsonb(self.stored)
    }

    /// The document as JSON text, as PostgreSQL prints the jsonb. In a foreign map the keys stay in
    /// their order, and a key that comes twice is there twice.
    ///
    /// # Errors
    /// As [`Map::to_jsonb`].
    pub fn to_text(self) -> Result<Vec<u8>, DecodeError> {
        text::to_text(self.stored)
    }

    /// The value of one key, `None` when it is absent. Decodes nothing, but walks the whole map: a
    /// key may come twice in a foreign one, and then the last counts, as for jsonb.
    ///
    /// # Errors
    /// [`DecodeError::Damaged`] when the keys and values cannot be told apart.
    pub fn get(&self, key: &str) -> Result<Option<RawValue<'a>>, DecodeError> {
        let mut found = None;
        self.walk(|entry| {
            if entry.key == key.as_bytes() {
                found = Some(RawValue(entry.value));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The bytes of the map with `key` set to a value from [`super::encode_value`].
    ///
    /// # Errors
    /// As [`Map::get`], and [`DecodeError::OutOfMemory`].
    pub fn set(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut pair = Buffer::with_capacity(key.len() + 9 + value.len())?;
        head::write(&mut pair, head::TEXT, key.len() as u64)?;
        pair.extend(key.as_bytes())?;
        pair.extend(value)?;
        let entry = Entry { key: key.as_bytes(), pair: &pair, value };
        Ok(join(&self.entries()?, &[entry])?)
    }

    /// The bytes of the map without the keys in `remove`, and then with all of `patch`: a key in
    /// both is set.
    ///
    /// # Errors
    /// As [`Map::set`], for both maps.
    pub fn merge(&self, patch: &Map<'_>, remove: &[&str]) -> Result<Vec<u8>, DecodeError> {
        let mut entries = self.entries()?;
        let mut removed = Buffer::with_capacity(remove.len())?;
        for key in remove {
            removed.push(key.as_bytes())?;
        }
        removed.sort_unstable();
        entries.retain(|entry| removed.binary_search(&entry.key).is_err());
        Ok(join(&entries, &patch.entries()?)?)
    }

    /// The bytes of the map without `key`, `None` when it was not there.
    ///
    /// # Errors
    /// As [`Map::set`].
    pub fn remove(&self, key: &str) -> Result<Option<Vec<u8>>, DecodeError> {
        let mut entries = self.entries()?;
        let before = entries.len();
        entries.retain(|entry| entry.key != key.as_bytes());
        Ok((entries.len() < before).then(|| join(&entries, &[])).transpose()?)
    }

    /// The entries in jsonb's key order, each key once: of equal keys the last one counts.
    fn entries(&self) -> Result<Buffer<Entry<'a>>, DecodeError> {
        let mut entries = Buffer::with_capacity(self.count.min(64) as usize)?;
        self.walk(|entry| entries.push(entry))?;
        if !entries.is_sorted_by(|a, b| key_order(a.key, b.key).is_lt()) {
            let kept = sort_by_key(&mut entries, |entry| entry.key);
            entries.truncate(kept);
        }
        Ok(entries)
    }

    fn walk(
        &self,
        mut visit: impl FnMut(Entry<'a>) -> Result<(), OutOfMemory>,
    ) -> Result<(), DecodeError> {
        let mut source = Reader::new(self.body);
        for _ in 0..self.count {
            let start = source.position();
            let key = source.key()?;
            let middle = source.position();
            source.skip()?;
            let end = source.position();
            visit(Entry { key, pair: &self.body[start..end], value: &self.body[middle..end] })?;
        }
        source.end()
    }
}

/// Merges two runs of entries, both sorted, into the bytes of one map; of equal keys that of
/// `patch` counts.
fn join(base: &[Entry<'_>], patch: &[Entry<'_>]) -> Result<Vec<u8>, OutOfMemory> {
    let mut count = 0;
    let mut pairs =
        Buffer::with_capacity(base.iter().chain(patch).map(|entry| entry.pair.len()).sum())?;
    let (mut base, mut patch) = (base.iter().peekable(), patch.iter().peekable());
    loop {
        let next = match (base.peek(), patch.peek()) {
            (Some(old), Some(new)) => match key_order(old.key, new.key) {
                std::cmp::Ordering::Less => base.next(),
                std::cmp::Ordering::Greater => patch.next(),
                std::cmp::Ordering::Equal => {
                    base.next();
                    patch.next()
                }
            },
            (Some(_), None) => base.next(),
            (None, _) => patch.next(),
        };
        let Some(entry) = next else { break };
        pairs.extend(entry.pair)?;
        count += 1;
    }
    let mut out = Buffer::with_capacity(pairs.len() + 9)?;
    head::write(&mut out, head::MAP, count)?;
    out.extend(&pairs)?;
    Ok(out.into_vec())
}

#[cfg(test)]
mod tests {
    use super::super::Content;
    use super::DecodeError::Damaged;
    use super::*;

    impl<'a> Map<'a> {
        /// The keys in jsonb's order.
        pub(in super::super) fn keys(&self) -> Result<Vec<&'a str>, DecodeError> {
            let text = |entry: &Entry<'a>| std::str::from_utf8(entry.key).unwrap();
            Ok(self.entries()?.iter().map(text).collect())
        }
    }

    fn map(stored: &[u8]) -> Map<'_> {
        match Content::parse(stored) {
            Ok(Content::Map(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    const ABC: &[u8] = b"\xa3\x61a\x01\x61c\x03\x62bb\x02";

    #[test]
    fn get_finds_a_key_and_the_last_of_equal_ones() {
        assert_eq!(map(ABC).get("bb"), Ok(Some(RawValue(b"\x02"))));
        assert_eq!(map(ABC).get("b"), Ok(None));
        assert_eq!(map(ABC).get(""), Ok(None));
        assert_eq!(map(b"\xa2\x61a\x01\x61a\x02").get("a"), Ok(Some(RawValue(b"\x02"))));
        assert_eq!(Map::empty().get("a"), Ok(None));
    }

    #[test]
    fn get_minds_no_damage_inside_other_values() {
        let float_inside = b"\xa2\x61a\xf9\x3c\x00\x61b\x02";
        assert_eq!(map(float_inside).get("b"), Ok(Some(RawValue(b"\x02"))));
        assert_eq!(map(float_inside).to_jsonb(), Err(Damaged));
        assert_eq!(map(b"\xa2\x61a\x1c\x61b\x02").get("b"), Err(Damaged));
        assert_eq!(map(b"\xa1\x61a\x01\x00").get("a"), Err(Damaged));
    }

    #[test]
    fn set_replaces_or_inserts_in_jsonbs_order() {
        for (key, expected) in [
            ("", &b"\xa4\x60\xf6\x61a\x01\x61c\x03\x62bb\x02"[..]),
            ("a", b"\xa3\x61a\xf6\x61c\x03\x62bb\x02"),
            ("b", b"\xa4\x61a\x01\x61b\xf6\x61c\x03\x62bb\x02"),
            ("bb", b"\xa3\x61a\x01\x61c\x03\x62bb\xf6"),
            ("zz", b"\xa4\x61a\x01\x61c\x03\x62bb\x02\x62zz\xf6"),
        ] {
            assert_eq!(map(ABC).set(key, b"\xf6").as_deref(), Ok(expected), "{key}");
        }
        assert_eq!(Map::empty().set("k", b"\x80").as_deref(), Ok(&b"\xa1\x61k\x80"[..]));
    }

    #[test]
    fn writing_puts_a_foreign_map_in_order() {
        let foreign = b"\xa3\x62bb\x02\x61a\x09\x61a\x01";
        assert_eq!(map(foreign).set("c", b"\x03").as_deref(), Ok(ABC));
    }

    #[test]
    fn merge_removes_first_and_then_patches() {
        let patch = b"\xa2\x61a\x07\x61d\x08";
        for (remove, expected) in [
            (&[][..], &b"\xa4\x61a\x07\x61c\x03\x61d\x08\x62bb\x02"[..]),
            (&["bb", "a", "nope", "bb"], b"\xa3\x61a\x07\x61c\x03\x61d\x08"),
            (&["c", "bb", "d"], b"\xa2\x61a\x07\x61d\x08"),
        ] {
            assert_eq!(map(ABC).merge(&map(patch), remove).as_deref(), Ok(expected));
        }
        assert_eq!(map(ABC).merge(&Map::empty(), &[]).as_deref(), Ok(ABC));
        assert_eq!(
            map(ABC).merge(&Map::empty(), &["a", "c", "bb"]).as_deref(),
            Ok(Map::empty().stored())
        );
    }

    #[test]
    fn remove_tells_whether_the_key_was_there() {
        assert_eq!(map(ABC).remove("c"), Ok(Some(b"\xa2\x61a\x01\x62bb\x02".to_vec())));
        assert_eq!(map(ABC).remove("b"), Ok(None));
        assert_eq!(map(b"\xa2\x61a\x01\x61a\x02").remove("a"), Ok(Some(vec![0xa0])));
    }

    #[test]
    fn a_map_grows_and_shrinks_across_the_sizes_of_its_head() {
        let mut stored = Map::empty().stored().to_vec();
        let keys: Vec<_> = (0..300).map(|n| format!("{n:03}")).collect();
        for (count, key) in keys.iter().enumerate() {
            stored = map(&stored).set(key, b"\x01").unwrap();
            assert_eq!(map(&stored).keys().unwrap().len(), count + 1);
        }
        for key in &keys {
            stored = map(&stored).remove(key).unwrap().unwrap();
        }
        assert_eq!(stored, Map::empty().stored());
    }
}
