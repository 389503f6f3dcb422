//! Memory that ends: whichever request for it is refused, the caller hears of just that.

use super::*;
use buffer::scarcity;
use std::fmt::Debug;

/// How many requests for memory `work` makes, after it has failed at each of them.
fn requests<T: Debug + PartialEq, E: Debug + PartialEq>(
    out_of_memory: E,
    work: impl Fn() -> Result<T, E>,
) -> usize {
    let done = work();
    assert!(done.is_ok(), "{done:?}");
    let fails = |granted: &usize| match scarcity::after(*granted, &work) {
        Err(error) => {
            assert_eq!(error, out_of_memory, "after {granted}");
            true
        }
        result => {
            assert_eq!(result, done);
            false
        }
    };
    (0..).take_while(fails).count()
}

/// A map out of order that outgrows what is reserved for it, with text and numbers that need more.
fn large() -> Vec<u8> {
    let mut stored = b"\xb8\x40".to_vec();
    for number in (0..64).rev() {
        stored.extend(format!("\x63{number:03}").bytes());
        stored.extend(b"\x84\x79\x04\x00");
        stored.extend(b"\"\n".repeat(512));
        stored.extend(b"\x20\xc4\x82\x20\xc3\x51");
        stored.extend([0x77; 17]);
        stored.extend(b"\xa2\x61b\x01\x61a\x02");
    }
    stored
}

#[test]
fn reading_fails_with_whichever_request_is_refused() {
    let stored = large();
    let document = map(&stored);
    let one = document.get("007").unwrap().unwrap();
    // What is reserved first, growth, two conversions a number.
    assert!(requests(DecodeError::OutOfMemory, || document.to_jsonb()) > 2 + 2 + 2 * 64);
    assert!(requests(DecodeError::OutOfMemory, || one.to_jsonb()) >= 2 + 2);
    assert!(requests(DecodeError::OutOfMemory, || document.to_text()) > 1 + 2 * 64);
}

#[test]
fn writing_fails_with_whichever_request_is_refused() {
    let jsonb = map(&large()).to_jsonb().unwrap();
    assert!(requests(EncodeError::OutOfMemory, || encode_document(&jsonb)) > 64);
    assert!(requests(EncodeError::OutOfMemory, || encode_value(&jsonb)) > 64);
    assert_eq!(requests(OutOfMemory, || encode_opaque(&jsonb)), 1);
    // Ten bytes that become thousands: what is reserved first, the conversion, growth.
    let power = num_bigint::BigUint::from(10_u32).pow(10_000).to_bytes_be();
    let head = [0xc2, 0x59, (power.len() >> 8) as u8, power.len() as u8];
    let short = decode::to_jsonb(&[&head[..], &power].concat()).unwrap();
    assert!(short.len() < 40);
    assert!(requests(EncodeError::OutOfMemory, || encode_value(&short)) >= 3);
}

#[test]
fn changing_keys_fails_with_whichever_request_is_refused() {
    let stored = large();
    let document = map(&stored);
    let patch = map(b"\xa2\x63001\x01\x63xyz\x02");
    // Pair and patch, or the patch's entries and what is removed, the entries, the map.
    let oom = DecodeError::OutOfMemory;
    assert!(requests(oom, || document.set("new", b"\x01")) >= 4);
    assert!(requests(oom, || document.merge(&patch, &["002", "nope"])) >= 4);
    assert!(requests(oom, || document.patch(&patch, &["002", "nope"])) >= 4);
    assert!(requests(oom, || document.remove("002")) >= 2);
}

#[test]
fn reading_json_fails_with_whichever_request_is_refused() {
    // More members than room is reserved for, an escape, a bignum, a few bytes that become many.
    let members: String = (0..64).map(|n| format!("\"{n}\": \"\\n\", ")).collect();
    let json = format!("{{{members}\"n\": [{}, 1e9999]}}", "7".repeat(40));
    // Output, members and the parser's; growth of members and of output, each with the parser's
    // again; two conversions.
    assert!(requests(EncodeError::OutOfMemory, || encode_json_document(&json)) >= 3 + 2 + 2 + 2);
}
