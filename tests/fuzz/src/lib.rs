//! What holds for any bytes whatever that reach the codec, from the table, as a jsonb or as JSON text. A property
//! that does not hold panics, and so does the codec itself where it should not; the fuzzer looks
//! for bytes that do that.

#[path = "../../../src/codec/mod.rs"]
pub mod codec;

use codec::{
    Content, DecodeError, EncodeError, MAX_DEPTH, MAX_SIZE, Map, encode_document,
    encode_json_document, encode_opaque, encode_value,
};
use peak_alloc::PeakAlloc;
use serde_cbor::Value;
use serde_json::Value as Json;
use std::collections::BTreeSet;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A jsonb takes up to twelve times the bytes of its CBOR, and an object's list of members more
/// while it is read; a vector that grows exists twice, the new one twice as long as needed.
const DECODED: usize = 100;

/// Ten bytes of a number may become 54 kB, so what bounds this direction is the largest session.
const ENCODED: usize = 3 * MAX_SIZE;

/// Bytes as a stored session.
pub fn stored(bytes: &[u8]) {
    match within(DECODED * bytes.len(), || Content::parse(bytes)) {
        Err(_) => {}
        Ok(Content::Opaque(payload)) => {
            let again = encode_opaque(payload).unwrap();
            assert!(matches!(Content::parse(&again), Ok(Content::Opaque(same)) if same == payload));
        }
        Ok(Content::Map(map)) => {
            let keys = keys_in(bytes);
            let jsonb = within(DECODED * bytes.len(), || map.to_jsonb());
            let text = within(DECODED * bytes.len(), || map.to_text());
            if jsonb != Err(DecodeError::Nul) {
                assert_eq!(text.is_ok(), jsonb.is_ok());
            }
            match jsonb {
                Ok(jsonb) => sound_map(map, &jsonb, &keys),
                Err(_) => damaged_map(map, &keys),
            }
        }
    }
}

/// Bytes as a jsonb.
pub fn jsonb(bytes: &[u8]) {
    if let Ok(cbor) = within(ENCODED, || encode_value(bytes)) {
        let _ = Map::empty().set("k", &cbor).map(|stored| map(&stored).to_jsonb());
    }
    let Ok(stored) = within(ENCODED, || encode_document(bytes)) else { return };
    assert!(stored.len() <= MAX_SIZE);
    let tree = value(&stored);
    let back = match map(&stored).to_jsonb() {
        Ok(back) => back,
        // PostgreSQL never makes text with NUL; all else decodes.
        Err(error) => return assert_eq!(error, DecodeError::Nul),
    };
    let again = encode_document(&back).unwrap();
    assert_eq!(value(&again), tree);
    assert_eq!(map(&again).to_jsonb().as_ref(), Ok(&back));
}

/// Bytes as JSON text.
pub fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let stored = within(ENCODED, || encode_json_document(text));
    let judged = serde_json::from_str::<Json>(text);
    if matches!(stored, Ok(_) | Err(EncodeError::NotJson)) {
        assert_eq!(stored.is_ok(), is_json(text));
    }
    let stored = match stored {
        Ok(stored) => stored,
        Err(EncodeError::NotJson) => return assert!(judged.is_err()),
        Err(EncodeError::NotAnObject) => return assert!(!judged.unwrap().is_object()),
        // What it says of the depth it says before the end.
        Err(EncodeError::TooDeep) => {
            return assert!(judged.map_or(true, |json| depth(&json) > MAX_DEPTH));
        }
        Err(EncodeError::NumberOutOfRange | EncodeError::TooLarge) => return,
        Err(error) => panic!("{error:?}"),
    };
    let printed = within(DECODED * stored.len(), || map(&stored).to_text()).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    assert_eq!(encode_json_document(&printed).as_ref(), Ok(&stored));
    assert!(is_same(&judged.unwrap(), &serde_json::from_str(&printed).unwrap()));
    match map(&stored).to_jsonb() {
        Ok(jsonb) => check_order(&stored, &jsonb),
        Err(error) => assert!(error == DecodeError::Nul && printed.contains("\\u0000")),
    }
    check_patch(&stored);
}

/// By the judgement of another parser, which skips a byte order mark.
fn is_json(text: &str) -> bool {
    let mut parser = json_event_parser::SliceJsonParser::new(text.as_bytes());
    let ended = loop {
        match parser.parse_next() {
            Ok(json_event_parser::JsonEvent::Eof) => break true,
            Ok(_) => {}
            Err(_) => break false,
        }
    };
    ended && !text.starts_with('\u{feff}')
}

/// A document whose keys are in jsonb's order is the same as text and as jsonb.
fn check_order(stored: &[u8], jsonb: &[u8]) {
    let ours = encode_document(jsonb).unwrap();
    assert_eq!(value(&ours), value(stored));
    let printed = String::from_utf8(map(&ours).to_text().unwrap()).unwrap();
    assert_eq!(encode_json_document(&printed), Ok(ours));
}

/// A document patched with itself, whole or what is left of it.
fn check_patch(stored: &[u8]) {
    let document = map(stored);
    assert_eq!(document.patch(&document, &["absent"]).as_deref(), Ok(stored));
    assert_eq!(document.merge(&document, &[]).as_deref(), Ok(stored));
    assert_eq!(Map::empty().patch(&document, &[]).as_deref(), Ok(stored));
    for key in keys_in(stored) {
        let Some(without) = document.remove(key).unwrap() else { continue };
        let back = map(&without).patch(&document, &[key]).unwrap();
        assert_eq!(map(&back).remove(key).unwrap().as_ref(), Some(&without));
        assert_eq!(value(&back), value(stored));
        assert_eq!(document.patch(&map(&without), &[key]), Ok(without));
    }
}

/// Numbers by value, as far as a float tells.
fn is_same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => float(a) == float(b),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        _ => a == b,
    }
}

fn float(number: &serde_json::Number) -> f64 {
    number.as_str().parse().unwrap()
}

fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A map that decodes: whatever is done to its keys does that and nothing else.
fn sound_map(foreign: Map<'_>, jsonb: &[u8], keys: &BTreeSet<&str>) {
    let stored = encode_document(jsonb).unwrap();
    let ours = map(&stored);
    assert_eq!(ours.to_jsonb().as_deref(), Ok(jsonb));
    let merged = foreign.merge(&Map::empty(), &[]).unwrap();
    assert_eq!(map(&merged).to_jsonb().as_deref(), Ok(jsonb));
    for key in keys {
        let found = foreign.get(key).unwrap().map(|raw| raw.to_jsonb().unwrap());
        assert_eq!(ours.get(key).unwrap().map(|raw| raw.to_jsonb().unwrap()), found);
        let without = ours.remove(key).unwrap();
        assert_eq!(without.is_some(), found.is_some());
        let without = without.unwrap_or_else(|| stored.clone());
        assert_eq!(map(&without).get(key), Ok(None));
        assert_eq!(ours.merge(&Map::empty(), &[key]).as_ref(), Ok(&without));
        let Some(jsonb) = found else { continue };
        let value = encode_value(&jsonb).unwrap();
        assert_eq!(map(&without).set(key, &value).as_ref(), Ok(&stored));
        assert_eq!(ours.set(key, &value).as_ref(), Ok(&stored));
        if let Ok(patch) = encode_document(&jsonb) {
            check_merge(ours, map(&patch), keys, key);
        }
    }
}

fn check_merge(base: Map<'_>, patch: Map<'_>, keys: &BTreeSet<&str>, removed: &str) {
    let merged = base.merge(&patch, &[removed]).unwrap();
    let merged = map(&merged);
    merged.to_jsonb().unwrap();
    for key in keys {
        let kept = if *key == removed { None } else { base.get(key).unwrap() };
        assert_eq!(merged.get(key).unwrap(), patch.get(key).unwrap().or(kept), "{key:?}");
    }
}

/// A map that does not decode may still have keys that do.
fn damaged_map(map: Map<'_>, keys: &BTreeSet<&str>) {
    let bound = DECODED * map.stored().len();
    for key in keys {
        within(bound, || {
            let _ = map.get(key).map(|raw| raw.map(|raw| raw.to_jsonb()));
            if let Ok(stored) = map.set(key, b"\x01") {
                let one = self::map(&stored).get(key).unwrap().unwrap();
                assert_eq!(encode_value(&one.to_jsonb().unwrap()), Ok(vec![1]));
            }
            if let Ok(Some(stored)) = map.remove(key) {
                assert_eq!(self::map(&stored).get(key), Ok(None));
            }
            let _ = map.merge(&map, &[key]);
        });
    }
}

fn map(stored: &[u8]) -> Map<'_> {
    match Content::parse(stored) {
        Ok(Content::Map(map)) => map,
        other => panic!("{other:?}"),
    }
}

/// What may be keys: short texts anywhere, and some that are probably none.
fn keys_in(bytes: &[u8]) -> BTreeSet<&str> {
    let texts = bytes.iter().enumerate().filter_map(|(at, head)| {
        let length = usize::from(head.checked_sub(0x60).filter(|length| *length < 24)?);
        std::str::from_utf8(bytes.get(at + 1..at + 1 + length)?).ok()
    });
    texts
        .filter(|text| !text.contains('\0'))
        .take(16)
        .chain(["", "absent", "a key that takes more than one byte of head"])
        .collect()
}

fn within<T>(bound: usize, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = work();
    let taken = MEMORY.peak_usage() - before;
    assert!(taken <= bound + (1 << 17), "{taken} bytes of memory");
    result
}

/// What serde_cbor makes of it by itself: keys are in order and once, as they need not be in the bytes.
fn value(cbor: &[u8]) -> Value {
    serde_cbor::from_slice(cbor).unwrap()
}
