//! JSON text, and what only text can say.

use super::hostile::Random;
use super::*;
use EncodeError::{NotAnObject, NotJson, NumberOutOfRange, TooDeep, TooLarge};

/// What a value is stored as, printed again.
fn again(value: &str) -> Result<String, EncodeError> {
    let stored = encode_json_document(&format!("{{\"v\": {value}}}"))?;
    let text = String::from_utf8(map(&stored).to_text().unwrap()).unwrap();
    Ok(text[6..text.len() - 1].to_owned())
}

/// As PostgreSQL prints a jsonb, but for the order of keys, and for U+0000.
fn printed(stored: &[u8]) -> String {
    String::from_utf8(map(stored).to_text().unwrap()).unwrap()
}

#[test]
fn the_golden_text_becomes_the_golden_cbor() {
    for (cbor, json) in lines(CBOR) {
        assert_eq!(encode_json_document(json), Ok(cbor), "{json}");
    }
}

#[test]
fn keys_keep_their_order_at_every_level() {
    let json =
        r#"{"zebra": {"bb": 1, "a": [{"y": 1, "x": 2}], "": 3}, "b": {}, "aa": 1, "a": null}"#;
    assert_eq!(printed(&encode_json_document(json).unwrap()), json);
}

#[test]
fn white_space_means_nothing() {
    let json = "\r\n{\t\"a\" :\n[ ] ,\"b\":{ } } \n";
    assert_eq!(printed(&encode_json_document(json).unwrap()), r#"{"a": [], "b": {}}"#);
}

/// Each as PostgreSQL 15 answers.
#[test]
fn numbers_are_those_of_jsonb() {
    for (number, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("-0e5", "0"),
        ("0e-5", "0.00000"),
        ("0e131072000", "0"),
        ("0.0e200000", "0"),
        ("1e2", "100"),
        ("1E+2", "100"),
        ("1.5e-3", "0.0015"),
        ("1.50", "1.50"),
        ("-1.50e1", "-15.0"),
        ("1.50e2", "150"),
        ("1.5e0", "1.5"),
        ("1.50e3", "1500"),
        ("1e00000000000000000000002", "100"),
        ("1e-00000000000000000000002", "0.01"),
        ("-1", "-1"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("9999999999999999999", "9999999999999999999"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "18446744073709551616"),
        ("-18446744073709551616", "-18446744073709551616"),
        ("-18446744073709551617", "-18446744073709551617"),
        ("12345678901234567890123456789.5e-3", "12345678901234567890123456.7895"),
        ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ("999999999999999999999999999999999999990", "999999999999999999999999999999999999990"),
        ("9e38", "900000000000000000000000000000000000000"),
    ] {
        assert_eq!(again(number).as_deref(), Ok(expected), "{number}");
    }
}

/// Each as PostgreSQL 15 answers: nothing is rounded, what has too many digits is refused.
#[test]
fn the_ends_of_numeric_are_those_of_jsonb() {
    let nines = |count| "9".repeat(count);
    let zeros = |count| "0".repeat(count);
    for (number, fits) in [
        ("1e131071".to_owned(), true),
        ("1e131072".to_owned(), false),
        ("10e131070".to_owned(), true),
        ("10e131071".to_owned(), false),
        ("0.00001e131076".to_owned(), true),
        ("0.1e131073".to_owned(), false),
        ("1e-16383".to_owned(), true),
        ("1e-16384".to_owned(), false),
        ("-4e-16384".to_owned(), false),
        ("1e-20000".to_owned(), false),
        ("0e-131072".to_owned(), false),
        ("0e1073741822".to_owned(), true),
        ("0e1073741823".to_owned(), false),
        ("1e-1073741824".to_owned(), false),
        ("1e99999999999999999999999".to_owned(), false),
        ("0e-99999999999999999999999".to_owned(), false),
        (nines(131_072), true),
        (nines(131_073), false),
        (nines(131_072) + "." + &nines(16_383), true),
        (nines(131_072) + "." + &nines(16_384), false),
        ("0.".to_owned() + &zeros(16_382) + "4", true),
        ("0.".to_owned() + &zeros(16_383) + "4", false),
        ("1.".to_owned() + &zeros(16_384), false),
        ("1.".to_owned() + &zeros(20_000) + "e5000", true),
        ("1".to_owned() + &zeros(131_073) + "e-2", true),
        ("1".to_owned() + &zeros(140_000) + "e-30000", false),
        (nines(10_000_000), false),
    ] {
        let expected = if fits { Ok(()) } else { Err(NumberOutOfRange) };
        let short = &number[..number.len().min(40)];
        assert_eq!(again(&number).map(drop), expected, "{short}, {} bytes", number.len());
    }
}

#[test]
fn text_is_all_of_unicode() {
    for (text, expected) in [
        (r#""\u0000""#, r#""\u0000""#),
        (r#""a\u0000b\u0001""#, r#""a\u0000b\u0001""#),
        (r#""\"\\\/\b\f\n\r\t""#, r#""\"\\/\b\f\n\r\t""#),
        (r#""\u00e9\u00E9é""#, r#""ééé""#),
        (r#""\ud83d\ude00😀""#, r#""😀😀""#),
        (r#""\uffff\udbff\udfff""#, "\"\u{ffff}\u{10ffff}\""),
        ("\"\u{7f}\u{2028}\"", "\"\u{7f}\u{2028}\""),
    ] {
        assert_eq!(again(text).as_deref(), Ok(expected), "{text}");
    }
}

/// The parser has a key of its own for what is none.
#[test]
fn a_number_and_an_object_that_looks_like_the_parsers_number_are_told_apart() {
    for json in [
        r#"{"$serde_json::private::Number": "1.5"}"#,
        r#"{"$serde_json::private::Number": 1.5}"#,
        r#"{"$serde_json::private::Number": {"$serde_json::private::Number": "7"}}"#,
        r#"{"$serde_json::private::Number": "1", "a": 2}"#,
        r#"{"a": [1.5, {"$serde_json::private::Number": "x"}, {"$serde_json::private::RawValue": "1"}]}"#,
    ] {
        assert_eq!(printed(&encode_json_document(json).unwrap()), json);
        let escaped = json.replace('$', r"\u0024");
        assert_eq!(printed(&encode_json_document(&escaped).unwrap()), json);
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "{]",
        "{\"a\"}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "{a:1}",
        "{'a':1}",
        "{}{}",
        "{} x",
        "{}]",
        "[1",
        "[1,",
        "nul",
        "truex",
        "NaN",
        "Infinity",
        "\"a",
        "\u{feff}{}",
        "\u{a0}{}",
        "\u{b}{}",
        "{\"a\":1}\0",
        "//\n{}",
    ] {
        assert_eq!(encode_json_document(text), Err(NotJson), "{text}");
    }
    for value in [
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "tru",
        "True",
        "nullx",
        "01",
        "-",
        "-a",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1e5e5",
        "1.5.5",
        "0x1",
        "1_0",
        "-NaN",
        "'a'",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u12""#,
        "\"a\nb\"",
        "\"\0\"",
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800a""#,
        r#""\ud800\n12345""#,
        r#""\udc00\udc00""#,
        r#""\ud800\ud800""#,
        r#""\ude00\ud83d""#,
    ] {
        assert_eq!(again(value), Err(NotJson), "{value}");
    }
    let json = r#"{"a": [1.5e3, "\u00e9\ud83d\ude00é", true, null, {"b": -0}]}"#;
    for end in (0..json.len()).filter(|end| json.is_char_boundary(*end)) {
        assert_eq!(encode_json_document(&json[..end]), Err(NotJson), "{end}");
    }
}

#[test]
fn a_document_in_text_is_an_object() {
    for text in ["[]", " [{\"a\": 1}]", "1", "\"{}\"", "null", "true", "1e5"] {
        assert_eq!(encode_json_document(text), Err(NotAnObject), "{text}");
    }
}

#[test]
fn of_equal_keys_in_text_the_last_one_counts() {
    for (json, expected) in [
        (r#"{"a": 1, "a": 2}"#, r#"{"a": 2}"#),
        (
            r#"{"b": 1, "a": {"x": [1]}, "b": 2, "c": 3, "b": 4}"#,
            r#"{"a": {"x": [1]}, "c": 3, "b": 4}"#,
        ),
        (r#"{"a": {"y": 1, "\u0079": 2, "x": 3}, "z": 1}"#, r#"{"a": {"y": 2, "x": 3}, "z": 1}"#),
        (r#"{"": 1, "": [{"k": 1, "k": 1}]}"#, r#"{"": [{"k": 1}]}"#),
        (r#"{"é": 1, "e\u0301": 2}"#, "{\"é\": 1, \"e\u{301}\": 2}"),
    ] {
        assert_eq!(printed(&encode_json_document(json).unwrap()), expected);
    }
}

#[test]
fn containers_of_any_length_get_their_head() {
    for count in [0, 1, 15, 16, 23, 24, 255, 256, 65_535, 65_536] {
        let items = vec!["0"; count].join(", ");
        assert_eq!(again(&format!("[{items}]")), Ok(format!("[{items}]")));
        let members: Vec<_> = (0..count).rev().map(|n| format!("\"{n}\": [{n}, {{}}]")).collect();
        let json = format!("{{{}}}", members.join(", "));
        assert_eq!(printed(&encode_json_document(&json).unwrap()), json);
        let twice = format!("{{\"0\": 1, {}}}", members.join(", "));
        let expected = if count == 0 { Err(NotJson) } else { encode_json_document(&json) };
        assert_eq!(encode_json_document(&twice), expected);
    }
}

#[test]
fn text_nests_as_deep_as_jsonb() {
    let nested = |levels| "{\"a\":".repeat(levels / 2) + &"[".repeat(levels - levels / 2);
    let closed =
        |levels| nested(levels) + &"]".repeat(levels - levels / 2) + &"}".repeat(levels / 2);
    let deepest = encode_json_document(&closed(MAX_DEPTH)).unwrap();
    assert_eq!(encode_document(&map(&deepest).to_jsonb().unwrap()), Ok(deepest));
    for levels in [MAX_DEPTH + 1, 1000, 100_000, 1_000_000] {
        assert_eq!(encode_json_document(&closed(levels)), Err(TooDeep), "{levels}");
        assert_eq!(encode_json_document(&nested(levels)), Err(TooDeep), "{levels}");
    }
}

#[test]
fn text_is_refused_when_it_is_larger_than_any_session() {
    let with_text = |text: &str| encode_json_document(&format!("{{\"a\": \"{text}\"}}"));
    let longest = MAX_SIZE - 8;
    assert_eq!(with_text(&"x".repeat(longest)).map(|stored| stored.len()), Ok(MAX_SIZE));
    assert_eq!(with_text(&"x".repeat(longest + 1)), Err(TooLarge));
    assert_eq!(with_text(&"\\u0078".repeat(longest - 2)).map(drop), Ok(()));
    assert_eq!(with_text(&"\\u0078".repeat(longest + 1)), Err(TooLarge));
    assert_eq!(encode_json_document(&" ".repeat(6 * MAX_SIZE + 1)), Err(TooLarge));
    // Short numbers that are long to store.
    assert_eq!(again(&format!("[{}0]", "1e131071,".repeat(400))), Err(TooLarge));
}

#[test]
fn many_keys_take_no_quadratic_time() {
    let keys: Vec<_> = (0..200_000).map(|n| format!("\"{:x}\":0", n * 7919 % 200_003)).collect();
    let stored = encode_json_document(&format!("{{{}}}", keys.join(","))).unwrap();
    assert_eq!(map(&stored).keys().unwrap().len(), 200_000);
    let same = format!("{{{}\"k\":1}}", "\"k\":0,".repeat(400_000));
    assert_eq!(encode_json_document(&same).as_deref(), Ok(&b"\xa1\x61k\x01"[..]));
}

#[test]
fn a_value_with_u0000_can_be_had_as_text_only() {
    let stored = encode_json_document(r#"{"n": ["\u0000"], "a\u0000": 1, "ok": "x"}"#).unwrap();
    let document = map(&stored);
    assert_eq!(document.to_jsonb(), Err(DecodeError::Nul));
    assert_eq!(document.get("n").unwrap().unwrap().to_jsonb(), Err(DecodeError::Nul));
    assert!(document.get("ok").unwrap().unwrap().to_jsonb().is_ok());
    assert!(document.get("a\0").unwrap().unwrap().to_jsonb().is_ok());
    let changed = document.set("ok", b"\x61\x00").unwrap();
    assert_eq!(printed(&changed), r#"{"n": ["\u0000"], "a\u0000": 1, "ok": "\u0000"}"#);
    let rest = document.merge(&Map::empty(), &["a\0", "n"]).unwrap();
    assert!(map(&rest).to_jsonb().is_ok());
    assert_eq!(
        document.remove("a\0").unwrap().map(|rest| printed(&rest)).as_deref(),
        Some(r#"{"n": ["\u0000"], "ok": "x"}"#)
    );
}

#[test]
fn a_patch_in_text_keeps_the_order_of_what_is_there() {
    let stored = encode_json_document(r#"{"user": 7, "cart": [1], "a": "x"}"#).unwrap();
    let patch = encode_json_document(r#"{"z": 1, "cart": [], "b": 2}"#).unwrap();
    let patched = map(&stored).patch(&map(&patch), &["a", "z"]).unwrap();
    assert_eq!(printed(&patched), r#"{"user": 7, "cart": [], "z": 1, "b": 2}"#);
}

/// Mostly few, now and then more than a short head counts.
fn count(random: &mut Random) -> usize {
    let most = if random.below(20) == 0 { 30 } else { 6 };
    random.below(most)
}

/// Any value; `depth` more containers may be in it.
fn generate(random: &mut Random, depth: usize, out: &mut String) {
    const SCALARS: [&str; 12] = [
        "0",
        "-1.50",
        "1e3",
        "12345678901234567890123",
        "2.5E-7",
        "true",
        "false",
        "null",
        "\"\"",
        r#""\u0000\n""#,
        r#""\ud83d\ude00 é""#,
        "\"plain\"",
    ];
    match random.below(if depth == 0 { 2 } else { 4 }) {
        0 | 1 => out.push_str(SCALARS[random.below(SCALARS.len())]),
        2 => {
            out.push('[');
            for index in 0..count(random) {
                out.push_str(if index > 0 { " ," } else { "" });
                generate(random, depth - 1, out);
            }
            out.push(']');
        }
        _ => generate_object(random, depth - 1, out),
    }
}

fn generate_object(random: &mut Random, depth: usize, out: &mut String) {
    out.push('{');
    for index in 0..count(random) {
        out.push_str(if index > 0 { "," } else { "" });
        out.push_str(&format!("\"{}\" :", &"kkkkkkkkkkkkk"[..random.below(14)]));
        generate(random, depth, out);
    }
    out.push('}');
}

#[test]
fn what_is_stored_of_text_prints_as_text_that_is_stored_the_same() {
    let mut random = Random(4);
    for _ in 0..1000 {
        let mut text = String::new();
        generate_object(&mut random, 3, &mut text);
        let stored = encode_json_document(&text).unwrap();
        assert_eq!(encode_json_document(&printed(&stored)).as_ref(), Ok(&stored), "{text}");
        if let Ok(jsonb) = map(&stored).to_jsonb() {
            let ours = encode_document(&jsonb).unwrap();
            assert_eq!(encode_json_document(&printed(&ours)), Ok(ours), "{text}");
        }
    }
}

#[test]
fn mutated_text_never_panics_and_what_is_still_json_is_sound() {
    let mut random = Random(5);
    let corpus: Vec<_> =
        lines(CBOR).map(|(_, json)| json).filter(|json| json.len() < 500).collect();
    for _ in 0..100_000 {
        let mut text = corpus[random.below(corpus.len())].as_bytes().to_vec();
        random.mutate(&mut text);
        let Ok(text) = String::from_utf8(text) else { continue };
        if let Ok(stored) = encode_json_document(&text) {
            assert_eq!(encode_json_document(&printed(&stored)), Ok(stored), "{text}");
        }
    }
}
