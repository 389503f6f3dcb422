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
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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
    fn printing_an_id_shows_none_of_it() {
        assert!(!format!("{:?}", SessionId::parse("secret")).contains("secret"));
    }
}
