//! What a session looks like in `session_data`: CBOR (RFC 8949), to and from PostgreSQL's binary
//! jsonb.
//!
//! A key-wise session is a map with text keys: in jsonb's order if it came as jsonb, so that equal
//! documents have equal bytes, and in the order of the text if it came as JSON text. An opaque session is a byte string. Numbers keep every digit: an integer is a CBOR
//! integer or, beyond 64 bits, a bignum; a numeric with digits after the point is a decimal
//! fraction, whose exponent keeps the trailing zeros (1.50 is `4([-2, 150])`).
//!
//! There is no tree in between: jsonb is read straight into `serde_cbor`'s serializer, JSON text
//! goes straight to CBOR, and CBOR straight into jsonb's layout or to text. Nothing here needs a server, and no bytes whatever make it panic or
//! reserve memory that the input does not justify. Memory that cannot be had is an error.

mod buffer;
mod build;
mod decimal;
mod decode;
mod head;
mod json;
mod jsonb;
mod layout;
mod map;
mod number;
mod numeric;
#[cfg(test)]
mod tests;
mod text;

pub use buffer::OutOfMemory;
pub use map::Map;

use buffer::Buffer;
use serde::ser::Serialize;
use serde_cbor::ser::IoWrite;
use std::cell::Cell;
use std::fmt;
use std::io;

/// The most nested containers, the document itself included.
///
/// Other readers of CBOR stop at some depth, too: `serde_cbor` reads 127 levels, and a decimal with
/// a bignum mantissa takes three: tag, array, tag.
pub const MAX_DEPTH: usize = 120;

/// The most bytes that are ever stored of a session, whatever the settings allow.
pub const MAX_SIZE: usize = 16 * 1024 * 1024;

/// Why stored bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They are not what this codec writes, or the document is too large for a jsonb (256 MB).
    Damaged,
    /// They hold U+0000, which is text to JSON and not to jsonb.
    Nul,
    /// As text they would be very much longer.
    TooLong,
    /// There is no memory for what comes of them.
    OutOfMemory,
}

impl From<OutOfMemory> for DecodeError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// Why a document cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The document is an array or a scalar.
    NotAnObject,
    /// More than [`MAX_DEPTH`] nested containers.
    TooDeep,
    /// More than [`MAX_SIZE`].
    TooLarge,
    /// Text in another server encoding.
    NotUtf8,
    /// Not a jsonb as PostgreSQL writes it.
    Malformed,
    /// Not JSON text, or an escape in it that stands for half a character.
    NotJson,
    /// A number that PostgreSQL's numeric cannot hold.
    NumberOutOfRange,
    /// There is no memory for what is to be stored.
    OutOfMemory,
}

impl From<OutOfMemory> for EncodeError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "not a JSON object",
            Self::TooDeep => "nested too deeply",
            Self::TooLarge => "too large",
            Self::NotUtf8 => "text is not UTF-8",
            Self::Malformed => "malformed jsonb",
            Self::NotJson => "not JSON",
            Self::NumberOutOfRange => "number out of range",
            Self::OutOfMemory => "out of memory",
        })
    }
}

impl std::error::Error for EncodeError {}

/// What a stored session holds.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Keys and values.
    Map(Map<'a>),
    /// The client's own serialization.
    Opaque(&'a [u8]),
}

impl<'a> Content<'a> {
    /// Tells the two kinds apart by the first few bytes, in constant time.
    ///
    /// # Errors
    /// [`DecodeError::Damaged`] when it is neither, or when the length of an opaque payload is wrong.
    pub fn parse(stored: &'a [u8]) -> Result<Self, DecodeError> {
        match head::read(stored) {
            Some((head::MAP, count, body)) => Ok(Content::Map(Map::new(stored, count, body))),
            Some((head::BYTES, length, payload)) if length == payload.len() as u64 => {
                Ok(Content::Opaque(payload))
            }
            _ => Err(DecodeError::Damaged),
        }
    }
}

/// The bytes to store for a document. `jsonb` is its root container, without the varlena header.
///
/// # Errors
/// [`EncodeError::NotAnObject`], [`EncodeError::TooDeep`], [`EncodeError::TooLarge`],
/// [`EncodeError::OutOfMemory`] and, if PostgreSQL's bytes are not as expected, the others.
pub fn encode_document(jsonb: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let failure = Cell::new(None);
    let root = jsonb::Value::root(jsonb, 1, &failure)?;
    if !root.is_object() {
        return Err(EncodeError::NotAnObject);
    }
    encode(&root, jsonb.len(), &failure)
}

/// Whether a jsonb is an object. `bytes` is its root container.
pub fn is_object(bytes: &[u8]) -> bool {
    jsonb::Value::root(bytes, 1, &Cell::new(None)).is_ok_and(|root| root.is_object())
}

/// The bytes to store for a document that comes as JSON text, or a patch for [`Map::patch`]. What a
/// jsonb would lose is kept: the order of keys at every level, and U+0000; of equal keys the last one
/// counts, as for jsonb. A text whose keys are in jsonb's order gives the bytes that
/// [`encode_document`] gives for its jsonb.
///
/// # Errors
/// [`EncodeError::NotJson`], [`EncodeError::NotAnObject`], [`EncodeError::NumberOutOfRange`],
/// [`EncodeError::TooDeep`], [`EncodeError::TooLarge`] (duplicates included, and a text that is
/// several times as large whatever it holds), [`EncodeError::OutOfMemory`].
pub fn encode_json_document(text: &str) -> Result<Vec<u8>, EncodeError> {
    let value = json::encode(text)?;
    if head::major(&value) == Some(head::MAP) { Ok(value) } else { Err(EncodeError::NotAnObject) }
}

/// The bytes of any JSON value, to become one value of a map ([`Map::set`]): it may nest one level
/// less than a document.
///
/// # Errors
/// As [`encode_document`], other than [`EncodeError::NotAnObject`].
pub fn encode_value(jsonb: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let failure = Cell::new(None);
    let root = jsonb::Value::root(jsonb, 2, &failure)?;
    encode(&root, jsonb.len(), &failure)
}

/// The bytes to store for a client's own serialization.
///
/// # Errors
/// [`OutOfMemory`]
pub fn encode_opaque(payload: &[u8]) -> Result<Vec<u8>, OutOfMemory> {
    let mut out = Buffer::with_capacity(payload.len() + 9)?;
    head::write(&mut out, head::BYTES, payload.len() as u64)?;
    out.extend(payload)?;
    Ok(out.into_vec())
}

fn encode(
    value: &jsonb::Value<'_>,
    jsonb_length: usize,
    failure: &Cell<Option<EncodeError>>,
) -> Result<Vec<u8>, EncodeError> {
    // CBOR is the shorter of the two but for a few odd cases.
    let mut out = Buffer::with_capacity(jsonb_length.min(MAX_SIZE))?;
    let bounded = IoWrite::new(Bounded { out: &mut out, failure });
    match value.serialize(&mut serde_cbor::Serializer::new(bounded)) {
        Ok(()) if out.len() > MAX_SIZE => Err(EncodeError::TooLarge),
        Ok(()) => Ok(out.into_vec()),
        Err(_) => Err(failure.get().unwrap_or(EncodeError::Malformed)),
    }
}

/// Takes no memory for more than [`MAX_SIZE`] bytes. One of those odd cases is 1e131071: ten bytes of
/// jsonb and 54 kB of CBOR, so that a short document full of them would take all the memory there is.
struct Bounded<'a> {
    out: &'a mut Buffer,
    failure: &'a Cell<Option<EncodeError>>,
}

/// Appends bytes where that takes no memory, or where it stays within [`MAX_SIZE`].
#[inline]
fn append(out: &mut Buffer, bytes: &[u8]) -> Result<(), EncodeError> {
    if out.extend_within_capacity(bytes) { Ok(()) } else { append_growing(out, bytes) }
}

#[cold]
fn append_growing(out: &mut Buffer, bytes: &[u8]) -> Result<(), EncodeError> {
    match out.len() + bytes.len() {
        ..=MAX_SIZE => Ok(out.extend(bytes)?),
        _ => Err(EncodeError::TooLarge),
    }
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        append(self.out, bytes).map_err(|error| {
            self.failure.set(Some(error));
            io::ErrorKind::Other.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
