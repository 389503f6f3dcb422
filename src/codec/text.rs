//! CBOR to JSON text, for clients: character by character what PostgreSQL prints for the same jsonb,
//! where a jsonb can hold it: the keys keep their order here, and U+0000 is text like any other.
//!
//! Building a jsonb only to have it printed takes four times as long, most of it in PostgreSQL's
//! output function.

use super::DecodeError::{self, Damaged, TooLong};
use super::MAX_DEPTH;
use super::buffer::{Buffer, OutOfMemory};
use super::head::{self, Reader};

/// One encoded value as JSON.
pub(super) fn to_text(cbor: &[u8]) -> Result<Vec<u8>, DecodeError> {
    // What CBOR says in a byte, quotes, commas and spaces, JSON says in up to four.
    let mut printer = Printer {
        source: Reader::new(cbor),
        out: Buffer::with_capacity(2 * cbor.len())?,
        limit: MAX_TEXT.max(8 * cbor.len()),
    };
    printer.value(1)?;
    printer.source.end()?;
    Ok(printer.out.into_vec())
}

struct Printer<'a> {
    source: Reader<'a>,
    out: Buffer,
    /// The most bytes of text.
    limit: usize,
}

/// Six bytes of CBOR can be a number of 16,385 digits: a session of them would be gigabytes of text.
/// Nothing else prints to more than eight times its size.
const MAX_TEXT: usize = 64 * 1024 * 1024;

impl Printer<'_> {
    /// A container here would be the `depth`-th.
    fn value(&mut self, depth: usize) -> Result<(), DecodeError> {
        let (major, argument) = match self.source.simple() {
            Some(simple) => return self.simple(simple),
            None => self.source.head()?,
        };
        match major {
            head::TEXT => self.string(argument),
            head::ARRAY | head::MAP if depth > MAX_DEPTH => Err(Damaged),
            head::ARRAY => self.array(argument, depth),
            head::MAP => self.object(argument, depth),
            head::UNSIGNED => {
                Ok(self.out.extend(itoa::Buffer::new().format(argument).as_bytes())?)
            }
            _ => {
                let number = self.source.number(major, argument)?;
                number.print(&mut self.out)?;
                if self.out.len() > self.limit { Err(TooLong) } else { Ok(()) }
            }
        }
    }

    fn simple(&mut self, simple: u8) -> Result<(), DecodeError> {
        Ok(self.out.extend(match simple {
            head::FALSE => b"false",
            head::TRUE => b"true",
            head::NULL | head::UNDEFINED => b"null",
            _ => return Err(Damaged),
        })?)
    }

    fn array(&mut self, count: u64, depth: usize) -> Result<(), DecodeError> {
        self.out.push(b'[')?;
        for index in 0..count {
            self.separate(index)?;
            self.value(depth + 1)?;
        }
        Ok(self.out.push(b']')?)
    }

    fn object(&mut self, count: u64, depth: usize) -> Result<(), DecodeError> {
        self.out.push(b'{')?;
        for index in 0..count {
            self.separate(index)?;
            let length = self.source.key_head()?;
            self.string(length)?;
            self.out.extend(b": ")?;
            self.value(depth + 1)?;
        }
        Ok(self.out.push(b'}')?)
    }

    fn separate(&mut self, index: u64) -> Result<(), OutOfMemory> {
        if index > 0 { self.out.extend(b", ") } else { Ok(()) }
    }

    /// One look at each byte, for nearly all text needs neither an escape nor a second one.
    fn string(&mut self, length: u64) -> Result<(), DecodeError> {
        let text = self.source.take(length)?;
        self.out.reserve(text.len() + 2)?;
        self.out.push(b'"')?;
        if text.iter().all(|&byte| IS_PLAIN[usize::from(byte)]) {
            self.out.extend(text)?;
        } else {
            self.escaped(text)?;
        }
        Ok(self.out.push(b'"')?)
    }

    fn escaped(&mut self, text: &[u8]) -> Result<(), DecodeError> {
        if !head::is_text(text) {
            return Err(Damaged);
        }
        let mut rest = text;
        while let Some(plain) = rest.iter().position(|&byte| must_be_escaped(byte)) {
            self.out.extend(&rest[..plain])?;
            self.escape(rest[plain])?;
            rest = &rest[plain + 1..];
        }
        Ok(self.out.extend(rest)?)
    }

    #[cold]
    fn escape(&mut self, byte: u8) -> Result<(), OutOfMemory> {
        let short = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'"' | b'\\' => byte,
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                self.out.extend(b"\\u00")?;
                return self
                    .out
                    .extend(&[byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]));
            }
        };
        self.out.extend(&[b'\\', short])
    }
}

/// Bytes that are text of their own and printed as they are.
static IS_PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 0x80 {
        plain[byte as usize] = !must_be_escaped(byte);
        byte += 1;
    }
    plain
};

const fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
