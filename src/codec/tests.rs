//! The codec against fixtures: `tests/golden/codec.txt` has the CBOR that Python's cbor2 writes for
//! a document, `tests/golden/jsonb.txt` the bytes of a little-endian PostgreSQL 15 for the same
//! document.

mod hostile;
mod json;
mod scarce;

use super::DecodeError::Damaged;
use super::*;

const CBOR: &str = include_str!("../../tests/golden/codec.txt");
const JSONB: &str = include_str!("../../tests/golden/jsonb.txt");

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn lines(file: &'static str) -> impl Iterator<Item = (Vec<u8>, &'static str)> {
    file.lines().map(|line| {
        let (hex, json) = line.split_once('\t').unwrap();
        (unhex(hex), json)
    })
}

/// CBOR, jsonb, JSON text.
fn fixtures() -> Vec<(Vec<u8>, Vec<u8>, &'static str)> {
    let pairs = lines(CBOR).zip(lines(JSONB));
    pairs
        .map(|((cbor, json), (jsonb, same))| {
            assert_eq!(json, same);
            (cbor, jsonb, json)
        })
        .collect()
}

fn map(stored: &[u8]) -> Map<'_> {
    match Content::parse(stored) {
        Ok(Content::Map(map)) => map,
        other => panic!("{other:?}"),
    }
}

fn decode(stored: &[u8]) -> Result<Vec<u8>, DecodeError> {
    match Content::parse(stored)? {
        Content::Map(map) => map.to_jsonb(),
        Content::Opaque(_) => Err(Damaged),
    }
}

#[test]
#[cfg(target_endian = "little")]
fn postgresqls_own_bytes_become_the_golden_cbor() {
    for (cbor, jsonb, json) in fixtures() {
        assert_eq!(encode_document(&jsonb), Ok(cbor), "{json}");
    }
}

#[test]
#[cfg(target_endian = "little")]
fn the_golden_cbor_becomes_postgresqls_own_bytes() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 40);
    for (cbor, jsonb, json) in fixtures {
        assert_eq!(decode(&cbor), Ok(jsonb), "{json}");
    }
}

#[test]
fn the_golden_cbor_is_printed_as_postgresql_prints_its_jsonb() {
    for (cbor, json) in lines(CBOR) {
        let text = map(&cbor).to_text().unwrap();
        assert_eq!(String::from_utf8(text).as_deref(), Ok(json));
    }
}

#[test]
#[cfg(target_endian = "little")]
fn every_value_is_found_alone_and_goes_back_in_unchanged() {
    for (cbor, _, json) in fixtures() {
        let document = map(&cbor);
        let keys = document.keys().unwrap();
        let mut rebuilt = Map::empty().stored().to_vec();
        for key in keys.iter().rev() {
            let jsonb = document.get(key).unwrap().unwrap().to_jsonb().unwrap();
            let value = encode_value(&jsonb).unwrap();
            rebuilt = map(&rebuilt).set(key, &value).unwrap();
        }
        assert_eq!(rebuilt, cbor, "{json}");
    }
}

#[test]
fn long_text_and_many_items_survive() {
    let mut cbor = vec![0xa1, 0x61, b'a', 0x82, 0x7a];
    cbor.extend(1_000_000u32.to_be_bytes());
    cbor.resize(cbor.len() + 1_000_000, b'x');
    cbor.extend([0x9a, 0, 1, 0, 0]);
    cbor.resize(cbor.len() + 0x1_0000, 0x20);
    let jsonb = decode(&cbor).unwrap();
    assert_eq!(encode_document(&jsonb), Ok(cbor));
}

#[test]
fn opaque_payloads_are_told_from_maps_by_their_head() {
    for payload in [&b""[..], b"\xa0", &[0x42; 23], &[0x42; 24], &[0x42; 70_000]] {
        let stored = encode_opaque(payload).unwrap();
        let Ok(Content::Opaque(back)) = Content::parse(&stored) else { panic!() };
        assert_eq!(back, payload);
        assert!(Content::parse(&stored[..stored.len() - 1]).is_err() || payload.is_empty());
        assert!(Content::parse(&[&stored[..], &[0]].concat()).is_err());
    }
    for neither in
        [&b""[..], b"\x80", b"\x60", b"\x00", b"\xf6", b"\xbf\xff", b"\x5f\xff", b"\xb8", b"\xff"]
    {
        assert!(Content::parse(neither).is_err(), "{neither:x?}");
    }
}

#[test]
fn documents_are_objects() {
    for (value, is_object) in
        [(&b"\xa0"[..], true), (b"\x80", false), (b"\x01", false), (b"\xf6", false)]
    {
        let jsonb = decode::to_jsonb(value).unwrap();
        assert_eq!(encode_value(&jsonb).as_deref(), Ok(value));
        let expected = if is_object { Ok(value.to_vec()) } else { Err(EncodeError::NotAnObject) };
        assert_eq!(encode_document(&jsonb), expected);
    }
}

/// `levels` containers, a map outermost, and in the innermost a decimal with a bignum mantissa.
fn nested(levels: usize) -> Vec<u8> {
    let mut cbor = b"\xa1\x61a".repeat(levels / 2);
    cbor.extend([0x81].repeat(levels - levels / 2));
    cbor.extend(b"\xc4\x82\x20\xc2\x49\x01\0\0\0\0\0\0\0\x05");
    cbor
}

#[test]
fn depth_is_limited_the_same_both_ways() {
    let deepest = nested(MAX_DEPTH);
    let jsonb = decode(&deepest).unwrap();
    assert_eq!(encode_document(&jsonb), Ok(deepest.clone()));
    assert_eq!(encode_value(&jsonb), Err(EncodeError::TooDeep));
    assert_eq!(map(&deepest).set("b", b"\xf6").map(|_| ()), Ok(()));
    assert!(map(&deepest).to_text().is_ok());
    for levels in [MAX_DEPTH + 1, 127, 128, 1000, 1_000_000] {
        assert_eq!(decode(&nested(levels)), Err(Damaged), "{levels}");
        assert_eq!(map(&nested(levels)).to_text(), Err(Damaged), "{levels}");
    }
    assert_eq!(decode(&[&b"\xa1\x61a"[..], &[0xc2; 1_000_000]].concat()), Err(Damaged));

    // A jsonb one level deeper: the deepest one as the only item of an array.
    let one = decode::to_jsonb(b"\x81\x80").unwrap();
    let mut deeper = one[..4].to_vec();
    let entry = layout::CONTAINER | layout::HAS_OFFSET | jsonb.len() as u32;
    deeper.extend(entry.to_ne_bytes());
    deeper.extend(&jsonb);
    assert_eq!(encode_value(&deeper), Err(EncodeError::TooDeep));
}
