//! Bytes that this codec did not write: foreign, damaged or mutated.

use super::*;

#[test]
fn what_the_codec_never_writes_is_damaged() {
    for (cbor, what) in [
        (&b"\xa0\x00"[..], "a trailing byte"),
        (b"\xa1", "a missing pair"),
        (b"\xa1\x61a", "a missing value"),
        (b"\xa1\x61a\xf9\x3c\x00", "a half float"),
        (b"\xa1\x61a\xfa\x3f\x80\0\0", "a float"),
        (b"\xa1\x61a\xfb\x3f\xf0\0\0\0\0\0\0", "a double"),
        (b"\xa1\x61a\x41x", "a byte string"),
        (b"\xa1\x41a\x01", "a key of bytes"),
        (b"\xa1\x01\x01", "a number for a key"),
        (b"\xa1\x61a\x62\xc3\x28", "text that is not UTF-8"),
        (b"\xa1\x61\xff\x01", "a key that is not UTF-8"),
        (b"\xa1\x61a\x7f\x61b\xff", "text of indefinite length"),
        (b"\xa1\x61a\x9f\xff", "an array of indefinite length"),
        (b"\xa1\x61a\xbf\xff", "a map of indefinite length"),
        (b"\xa1\x7f\x61a\xff\x01", "a key of indefinite length"),
        (b"\xa1\x61a\xc2\x01", "a bignum without bytes"),
        (b"\xa1\x61a\xc2\x5f\x41\x01\xff", "a bignum of indefinite length"),
        (b"\xa1\x61a\xc2\xc2\x41\x01", "a bignum of a bignum"),
        (b"\xa1\x61a\xc0\x61x", "a date"),
        (b"\xa1\x61a\xd9\xd9\xf7\x01", "another tag"),
        (b"\xa1\xc2\x41\x01\x01", "a bignum for a key"),
        (b"\xa1\x61a\xc4\x20", "a decimal without an array"),
        (b"\xa1\x61a\xc4\x81\x20", "a decimal without a mantissa"),
        (b"\xa1\x61a\xc4\x83\x20\x01\x01", "a decimal with too many parts"),
        (b"\xa1\x61a\xc4\x9f\x20\x01\xff", "a decimal of indefinite length"),
        (b"\xa1\x61a\xc4\x82\x00\x01", "a decimal with exponent 0"),
        (b"\xa1\x61a\xc4\x82\x01\x01", "a decimal with a positive exponent"),
        (b"\xa1\x61a\xc4\x82\x39\x3f\xff\x01", "a decimal with too many digits"),
        (b"\xa1\x61a\xc4\x82\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a huge exponent"),
        (
            b"\xa1\x61a\xc4\x82\x3b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
            "the least i64 for an exponent",
        ),
        (b"\xa1\x61a\xc4\x82\x20\x61x", "a decimal of text"),
        (b"\xa1\x61a\xc4\x82\x20\xc4\x82\x20\x01", "a decimal of a decimal"),
        (b"\xa1\x61a\x1c", "a reserved head"),
        (b"\xa1\x61a\xff", "a stray break"),
        (b"\xa1\x61a\xe0", "a simple value"),
        (b"\xa1\x61a\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "an array that lies about its length"),
        (b"\xa1\x61a\x9a\x0f\xff\xff\xff", "an array that lies within jsonb's limit"),
        (b"\xa1\x61a\xbb\xff\xff\xff\xff\xff\xff\xff\xff", "a map that lies about its length"),
        (b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", "a document that lies about its length"),
        (b"\xa1\x61a\x7b\xff\xff\xff\xff\xff\xff\xff\xff", "text that lies about its length"),
    ] {
        assert_eq!(decode(cbor), Err(Damaged), "{what}");
        assert_eq!(map(cbor).to_text(), Err(Damaged), "{what}");
    }
}

#[test]
fn foreign_but_sound_maps_read_as_jsonb_would_read_them() {
    for (foreign, ours) in [
        (&b"\xa2\x61b\x01\x61a\x02"[..], &b"\xa2\x61a\x02\x61b\x01"[..]),
        (b"\xa3\x61a\x01\x61b\x02\x61a\x03", b"\xa2\x61a\x03\x61b\x02"),
        (b"\xa1\x61k\xa3\x61b\x01\x60\x05\x61b\x02", b"\xa1\x61k\xa2\x60\x05\x61b\x02"),
        (b"\xb8\x01\x78\x01a\x19\x00\x01", b"\xa1\x61a\x01"),
        (b"\xa1\x61a\xc2\x42\x00\x05", b"\xa1\x61a\x05"),
        (b"\xa1\x61a\xf7", b"\xa1\x61a\xf6"),
    ] {
        assert_eq!(encode_document(&decode(foreign).unwrap()).as_deref(), Ok(ours));
    }
}

#[test]
fn of_many_equal_keys_the_last_one_counts() {
    let mut random = Random(3);
    let values = [&b"\xf4"[..], b"\xf5", b"\xf6", b"\x80", b"\x61x", b"\x18\x64"];
    let mut foreign = b"\xb9\x03\xe8".to_vec();
    let mut last = std::collections::BTreeMap::new();
    for _ in 0..1000 {
        let key = &b"kkkkkkkkkk"[..random.below(10)];
        let pair = [&[0x60 | key.len() as u8], key, values[random.below(values.len())]].concat();
        foreign.extend(&pair);
        last.insert(key, pair);
    }
    let mut ours = vec![0xa0 | last.len() as u8];
    last.values().for_each(|pair| ours.extend(pair));
    assert_eq!(encode_document(&decode(&foreign).unwrap()).as_ref(), Ok(&ours));
    assert_eq!(Map::empty().merge(&map(&foreign), &[]), Ok(ours));
}

#[test]
fn arrays_cannot_announce_more_items_than_there_are_bytes() {
    let mut builder = build::Builder::new(5).unwrap();
    assert!(builder.begin_array(6).is_err());
    assert!(builder.begin_array(3).is_ok());
    assert!(builder.begin_array(3).is_err());
    assert!(builder.begin_array(2).is_ok());
}

#[test]
fn malformed_jsonb_is_an_error() {
    for jsonb in lines(JSONB).map(|(jsonb, _)| jsonb).chain([vec![], vec![0xff; 64]]) {
        for end in 0..jsonb.len().min(300) {
            assert!(encode_document(&jsonb[..end]).is_err());
        }
    }
}

/// A linear congruential generator: the same cases every time.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    pub(super) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, self.below(256) as u8),
                _ => drop(bytes.splice(at..at, bytes[at..].to_vec()).take(0)),
            }
        }
    }
}

#[test]
fn mutated_bytes_never_panic_and_what_still_decodes_is_sound() {
    let mut random = Random(1);
    let corpus: Vec<_> =
        lines(CBOR).map(|(cbor, _)| cbor).filter(|cbor| cbor.len() < 500).collect();
    for _ in 0..100_000 {
        let mut stored = corpus[random.below(corpus.len())].clone();
        random.mutate(&mut stored);
        if let Ok(Content::Map(map)) = Content::parse(&stored) {
            let _ = map.get("a");
            let _ = map.merge(&map, &["a", "n"]);
        }
        if let Ok(Content::Map(map)) = Content::parse(&stored) {
            let jsonb = map.to_jsonb();
            let says_the_same = map.to_text().is_ok() == jsonb.is_ok();
            assert!(says_the_same || jsonb == Err(DecodeError::Nul), "{stored:x?}");
        }
        if let Ok(jsonb) = decode(&stored) {
            let again = encode_document(&jsonb).unwrap();
            assert_eq!(decode(&again), Ok(jsonb), "{stored:x?}");
        }
    }
}

#[test]
fn mutated_jsonb_never_panics() {
    let mut random = Random(2);
    let corpus: Vec<_> =
        lines(JSONB).map(|(jsonb, _)| jsonb).filter(|jsonb| jsonb.len() < 500).collect();
    for _ in 0..100_000 {
        let mut jsonb = corpus[random.below(corpus.len())].clone();
        random.mutate(&mut jsonb);
        let _ = encode_document(&jsonb);
    }
}

#[test]
fn what_is_larger_than_any_session_is_refused_before_it_takes_memory() {
    for (length, fits) in [(MAX_SIZE - 5, true), (MAX_SIZE - 4, false)] {
        let mut text = [&[0x7a][..], &(length as u32).to_be_bytes()].concat();
        text.resize(5 + length, b'x');
        let encoded = encode_value(&decode::to_jsonb(&text).unwrap());
        assert_eq!(encoded, if fits { Ok(text) } else { Err(EncodeError::TooLarge) });
    }
}
