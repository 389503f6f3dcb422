//! The session id and what is stored of it.
//!
//! The plain id is the client's secret: it is never stored and never printed. The table holds its
//! SHA-256 digest, so that a dump of the table yields no usable cookie. A plain digest is enough,
//! since a generated id carries 256 random bits and cannot be guessed from it (OWASP Session
//! Management Cheat Sheet, "Session ID Entropy").

use sha2::{Digest, Sha256};
use std::fmt;

/// The longest accepted id, in bytes.
pub const MAX_LENGTH: usize = 256;

/// A session id as the client presents it: 1 to 256 bytes of printable ASCII.
#[derive(Clone, Copy)]
pub struct SessionId<'a>(&'a str);

impl<'a> SessionId<'a> {
    /// Accepts `text` if it has the form of a session id.
    pub fn parse(text: &'a str) -> Option<Self> {
        let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(printable);
        valid.then_some(Self(text))
    }

    /// The digest under which the session is stored.
    pub fn key(self) -> SessionKey {
        SessionKey::digest(self.0)
    }
}

/// Shows no part of the id, whatever prints it.
impl fmt::Debug for SessionId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// An id that the server made, for the client to keep.
pub struct NewId(String);

impl NewId {
    /// Writes 32 random bytes as 64 lower-case hex digits.
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        Self(hex(entropy))
    }

    /// The digest under which the session is stored.
    pub fn key(&self) -> SessionKey {
        SessionKey::digest(&self.0)
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id itself, to hand to the client.
    pub fn into_string(self) -> String {
        self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits(*byte)).map(char::from).collect()
}

fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}

/// The SHA-256 digest of a session id: the table's primary key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    fn digest(id: &str) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }

    /// The key of these bytes, as they are stored.
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What tells the sessions of a principal apart: a random UUID (RFC 9562, version 4), of no use as an id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Handle([u8; 16]);

impl Handle {
    /// Makes one of random bytes.
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&entropy[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Accepts what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hyphen = |index: usize| matches!(index, 8 | 13 | 18 | 23);
        let is_uuid = text.len() == 36
            && text.bytes().enumerate().all(|(index, byte)| match byte {
                b'-' => is_hyphen(index),
                _ => !is_hyphen(index) && byte.is_ascii_hexdigit(),
            });
        if !is_uuid {
            return None;
        }
        let digits = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
        Some(Self(digits.to_be_bytes()))
    }

    /// The handle of these bytes, as they are stored.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Handle {
    /// As text, which is ASCII.
    pub fn text(&self) -> [u8; 36] {
        let mut text = [b'-'; 36];
        for (start, bytes) in [(0, 0..4), (9, 4..6), (14, 6..8), (19, 8..10), (24, 10..16)] {
            let (pairs, _) = text[start..].as_chunks_mut();
            for (pair, byte) in pairs.iter_mut().zip(&self.0[bytes]) {
                *pair = digits(*byte);
            }
        }
        text
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text()).expect("digits are ASCII"))
    }
}

/// The longest principal, in bytes.
pub const MAX_PRINCIPAL: usize = 256;

/// Whom sessions belong to: 1 to 256 bytes of text, whatever the application calls its users by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a>(&'a str);

impl<'a> Principal<'a> {
    /// Accepts a text that is not empty nor too long.
    pub fn parse(text: &'a str) -> Option<Self> {
        (1..=MAX_PRINCIPAL).contains(&text.len()).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// Locks on principals are on these, so that no transaction can fill the lock table.
const SLOTS: u16 = 1024;

/// The slot of a principal, or of whatever stands in its place.
pub fn slot(principal: &str) -> u16 {
    let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(principal.as_bytes()));
    u16::from_be_bytes([first, second]) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_printable_ascii_of_1_to_256_bytes_and_nothing_else() {
        let longest = "x".repeat(MAX_LENGTH);
        let too_long = "x".repeat(MAX_LENGTH + 1);
        for good in ["a", " ", "~", "with space", &longest] {
            assert!(SessionId::parse(good).is_some(), "{good:?}");
        }
        for bad in ["", "\u{7f}", "\n", "tab\t", "é", "nul\0", &too_long] {
            assert!(SessionId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_key_is_the_sha256_of_the_id() {
        // FIPS 180-2, appendix B.1
        let key = SessionId::parse("abc").unwrap().key();
        assert_eq!(
            hex(key.as_bytes()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_handle_reads_what_it_prints_and_nothing_else() {
        let handle = Handle::from_entropy(&[0xff; 32]);
        assert_eq!(handle.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert!(Handle::parse(&handle.to_string()) == Some(handle));
        assert!(Handle::parse("FFFFFFFF-ffff-4FFF-bfff-ffffffffffff") == Some(handle));
        for bad in [
            "",
            "ffffffffffff4fffbfffffffffffffff",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "+fffffff-ffff-4fff-bfff-ffffffffffff",
            "ffffffff-ffff-4fff-bfff-fffffffffffé",
            "{fffffff-ffff-4fff-bfff-ffffffffffff",
            "fffffffff-fff-4fff-bfff-ffffffffffff",
        ] {
            assert!(Handle::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_principal_is_1_to_256_bytes_and_has_one_slot_of_1024() {
        assert!(Principal::parse("").is_none());
        assert!(Principal::parse(&"x".repeat(MAX_PRINCIPAL + 1)).is_none());
        let longest = "é".repeat(MAX_PRINCIPAL / 2);
        let principal = Principal::parse(&longest).unwrap();
        assert!(slot(principal.as_str()) < SLOTS);
        // The first two bytes of FIPS 180-2, appendix B.1: 0xba78.
        assert_eq!(slot("abc"), 0xba78 % SLOTS);
    }

    #[test]
    fn printing_an_id_shows_none_of_it() {
        assert!(!format!("{:?}", SessionId::parse("secret")).contains("secret"));
    }
}
