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
    /// [`DecodeError::Damaged`] when the bytes are no JSON value; [`DecodeError::Nul`];
    /// [`DecodeError::OutOfMemory`].
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
    /// Of an entry that is to go into another map: whether it has replaced one there.
    is_placed: bool,
}

impl<'a> Entry<'a> {
    /// Takes the place of the new value's key; only once, where a foreign map has the key twice.
    fn replace(&mut self, new: &mut Entry<'a>) -> bool {
        if self.value != new.value {
            *self = *new;
        }
        !std::mem::replace(&mut new.is_placed, true)
    }
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
    /// [`DecodeError::Damaged`] when anything in it is not as this codec writes it;
    /// [`DecodeError::Nul`]; [`DecodeError::OutOfMemory`].
    pub fn to_jsonb(self) -> Result<Vec<u8>, DecodeError> {
        decode::to_jsonb(self.stored)
    }

    /// The document as JSON text, as PostgreSQL prints the jsonb, with the keys in their order here.
    /// A key that comes twice in a foreign map is there twice.
    ///
    /// # Errors
    /// As [`Map::to_jsonb`], other than [`DecodeError::Nul`].
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

    /// The bytes of the map with `key` set to a value from [`super::encode_value`]. A map in jsonb's
    /// order stays in it; in another what is there keeps its place, and a new key comes last.
    ///
    /// # Errors
    /// As [`Map::get`], and [`DecodeError::OutOfMemory`].
    pub fn set(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut pair = Buffer::with_capacity(key.len() + 9 + value.len())?;
        head::write(&mut pair, head::TEXT, key.len() as u64)?;
        pair.extend(key.as_bytes())?;
        pair.extend(value)?;
        let mut patch = Buffer::with_capacity(1)?;
        patch.push(Entry { key: key.as_bytes(), pair: &pair, value, is_placed: false })?;
        self.edit(patch, &[], NewKeys::InOrder)
    }

    /// The bytes of the map without the keys in `remove`, and then with all of `patch`: a key in
    /// both is set. Keys are placed as by [`Map::set`].
    ///
    /// # Errors
    /// As [`Map::set`], for both maps.
    pub fn merge(&self, patch: &Map<'_>, remove: &[&str]) -> Result<Vec<u8>, DecodeError> {
        self.edit(patch.sorted_entries()?, remove, NewKeys::InOrder)
    }

    /// The same, but new keys always come last, in the order of the patch.
    ///
    /// # Errors
    /// As [`Map::merge`].
    pub fn patch(&self, patch: &Map<'_>, remove: &[&str]) -> Result<Vec<u8>, DecodeError> {
        self.edit(patch.sorted_entries()?, remove, NewKeys::Last)
    }

    /// The bytes of the map without `key`, `None` when it was not there.
    ///
    /// # Errors
    /// As [`Map::set`].
    pub fn remove(&self, key: &str) -> Result<Option<Vec<u8>>, DecodeError> {
        let mut entries = self.entries()?;
        let before = entries.len();
        entries.retain(|entry| entry.key != key.as_bytes());
        let is_changed = entries.len() < before;
        Ok(is_changed.then(|| write(&entries, &[], NewKeys::Last)).transpose()?)
    }

    /// `patch` is in jsonb's order, with each key once, and lies in one input. What changes nothing
    /// gives the stored bytes, also where this codec would have written others.
    fn edit<'e>(
        &'e self,
        mut patch: Buffer<Entry<'e>>,
        remove: &[&str],
        mut placing: NewKeys,
    ) -> Result<Vec<u8>, DecodeError> {
        let removed = sorted(remove)?;
        let mut entries: Buffer<Entry<'e>> = self.entries()?;
        if !is_in_order(&entries) {
            placing = NewKeys::Last;
        }
        let mut is_changed = false;
        entries.retain(|entry| {
            let was = entry.value;
            let stays = match patch.binary_search_by(|new| key_order(new.key, entry.key)) {
                Ok(at) => entry.replace(&mut patch[at]),
                Err(_) => removed.binary_search(&entry.key).is_err(),
            };
            is_changed |= !stays || entry.value != was;
            stays
        });
        patch.retain(|new| !new.is_placed);
        if !is_changed && patch.is_empty() {
            let mut same = Buffer::with_capacity(self.stored.len())?;
            same.extend(self.stored)?;
            return Ok(same.into_vec());
        }
        if placing == NewKeys::Last {
            // In one input the later one has the higher address.
            patch.sort_unstable_by_key(|new| new.pair.as_ptr());
        }
        Ok(write(&entries, &patch, placing)?)
    }

    /// The entries as they are stored.
    fn entries(&self) -> Result<Buffer<Entry<'a>>, DecodeError> {
        let mut entries = Buffer::with_capacity(self.count.min(64) as usize)?;
        self.walk(|entry| entries.push(entry))?;
        Ok(entries)
    }

    /// The entries in jsonb's key order, each key once: of equal keys the last one counts.
    fn sorted_entries(&self) -> Result<Buffer<Entry<'a>>, DecodeError> {
        let mut entries = self.entries()?;
        if !is_in_order(&entries) {
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
            let (pair, value) = (&self.body[start..end], &self.body[middle..end]);
            visit(Entry { key, pair, value, is_placed: false })?;
        }
        source.end()
    }
}

/// Where to put the keys that a map did not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NewKeys {
    /// Where jsonb's order wants them.
    InOrder,
    Last,
}

fn is_in_order(entries: &[Entry<'_>]) -> bool {
    entries.is_sorted_by(|a, b| key_order(a.key, b.key).is_lt())
}

fn sorted<'k>(keys: &[&'k str]) -> Result<Buffer<&'k [u8]>, OutOfMemory> {
    let mut sorted = Buffer::with_capacity(keys.len())?;
    for key in keys {
        sorted.push(key.as_bytes())?;
    }
    sorted.sort_unstable();
    Ok(sorted)
}

/// The bytes of one map of all these entries, of which no key is in both.
fn write(old: &[Entry<'_>], new: &[Entry<'_>], placing: NewKeys) -> Result<Vec<u8>, OutOfMemory> {
    let size: usize = old.iter().chain(new).map(|entry| entry.pair.len()).sum();
    let mut out = Buffer::with_capacity(size + 9)?;
    head::write(&mut out, head::MAP, (old.len() + new.len()) as u64)?;
    let mut new = new.iter().peekable();
    for entry in old {
        let is_before = |new: &&Entry<'_>| key_order(new.key, entry.key).is_lt();
        while placing == NewKeys::InOrder
            && let Some(new) = new.next_if(is_before)
        {
            out.extend(new.pair)?;
        }
        out.extend(entry.pair)?;
    }
    for entry in new {
        out.extend(entry.pair)?;
    }
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
            Ok(self.sorted_entries()?.iter().map(text).collect())
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

    /// bb, a, c: not jsonb's order.
    const UNORDERED: &[u8] = b"\xa3\x62bb\x02\x61a\x01\x61c\x03";

    #[test]
    fn a_map_in_another_order_keeps_it_and_new_keys_come_last() {
        let patch = b"\xa3\x61z\x08\x61b\x07\x61a\x09";
        let patched = b"\xa5\x62bb\x02\x61a\x09\x61c\x03\x61z\x08\x61b\x07";
        let (unordered, patch) = (map(UNORDERED), map(patch));
        assert_eq!(unordered.set("a", b"\x09").unwrap(), b"\xa3\x62bb\x02\x61a\x09\x61c\x03");
        assert_eq!(
            unordered.set("b", b"\x09").unwrap(),
            [b"\xa4", &UNORDERED[1..], b"\x61b\x09"].concat()
        );
        assert_eq!(unordered.merge(&patch, &[]).unwrap(), patched);
        assert_eq!(unordered.patch(&patch, &[]).unwrap(), patched);
        assert_eq!(
            unordered.patch(&patch, &["a", "z", "c"]).unwrap(),
            b"\xa4\x62bb\x02\x61a\x09\x61z\x08\x61b\x07"
        );
        assert_eq!(unordered.remove("a"), Ok(Some(b"\xa2\x62bb\x02\x61c\x03".to_vec())));
    }

    #[test]
    fn patch_puts_new_keys_last_whatever_the_order() {
        let patch = map(b"\xa4\x61z\x00\x61b\x07\x61c\x09\x61z\x08");
        let patched = b"\xa5\x61a\x01\x61c\x09\x62bb\x02\x61b\x07\x61z\x08";
        assert_eq!(map(ABC).patch(&patch, &[]).as_deref(), Ok(&patched[..]));
        assert_eq!(
            Map::empty().patch(&patch, &["z"]).as_deref(),
            Ok(&b"\xa3\x61b\x07\x61c\x09\x61z\x08"[..])
        );
    }

    #[test]
    fn what_changes_nothing_leaves_the_bytes_as_they_are() {
        for stored in [
            ABC,
            UNORDERED,
            b"\xb8\x03\x78\x01a\x01\x61c\x03\x62bb\x02", // longer heads than needed
            b"\xa4\x61c\x03\x61z\x00\x61z\x00\x62bb\x02", // a key twice
        ] {
            let document = map(stored);
            let patch = map(b"\xa2\x62bb\x02\x61c\x03");
            assert_eq!(document.set("c", b"\x03").as_deref(), Ok(stored));
            assert_eq!(document.merge(&patch, &["nope", "c"]).as_deref(), Ok(stored));
            assert_eq!(document.patch(&patch, &["bb", "nope"]).as_deref(), Ok(stored));
            assert_eq!(document.patch(&Map::empty(), &[]).as_deref(), Ok(stored));
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_there_once_after_it_is_set() {
        let twice = map(b"\xa3\x62bb\x02\x61a\x09\x61a\x01");
        for value in [b"\x01", b"\x05", b"\x09"] {
            let expected = [&b"\xa2\x62bb\x02\x61a"[..], value].concat();
            assert_eq!(twice.set("a", value), Ok(expected));
        }
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
