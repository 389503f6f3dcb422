//! CBOR to JSON text, for clients: character by character what PostgreSQL prints for the same jsonb.
//!
//! Building a jsonb only to have it printed takes four times as long, most of it in PostgreSQL's
//! output function.

use super::head::{self, Reader};
use super::{Damaged, MAX_DEPTH};
use std::io::Write;

/// One encoded value as JSON.
pub(super) fn to_text(cbor: &[u8]) -> Result<Vec<u8>, Damaged> {
    // What CBOR says in a byte, quotes, commas and spaces, JSON says in up to four.
    let mut printer =
        Printer { source: Reader::new(cbor), out: Vec::with_capacity(2 * cbor.len()) };
    printer.value(1)?;
    printer.source.end()?;
    Ok(printer.out)
}

struct Printer<'a> {
    source: Reader<'a>,
    out: Vec<u8>,
}

impl Printer<'_> {
    /// A container here would be the `depth`-th.
    fn value(&mut self, depth: usize) -> Result<(), Damaged> {
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
                self.out.extend_from_slice(itoa::Buffer::new().format(argument).as_bytes());
                Ok(())
            }
            _ => {
                let number = self.source.number(major, argument)?;
                self.print(number)
            }
        }
    }

    fn simple(&mut self, simple: u8) -> Result<(), Damaged> {
        self.out.extend_from_slice(match simple {
            head::FALSE => b"false",
            head::TRUE => b"true",
            head::NULL | head::UNDEFINED => b"null",
            _ => return Err(Damaged),
        });
        Ok(())
    }

    fn print(&mut self, number: impl std::fmt::Display) -> Result<(), Damaged> {
        write!(self.out, "{number}").map_err(|_| Damaged) // a vector takes all
    }

    fn array(&mut self, count: u64, depth: usize) -> Result<(), Damaged> {
        self.out.push(b'[');
        for index in 0..count {
            self.separate(index);
            self.value(depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, count: u64, depth: usize) -> Result<(), Damaged> {
        self.out.push(b'{');
        for index in 0..count {
            self.separate(index);
            let (head::TEXT, length) = self.source.head()? else { return Err(Damaged) };
            self.string(length)?;
            self.out.extend_from_slice(b": ");
            self.value(depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn separate(&mut self, index: u64) {
        if index > 0 {
            self.out.extend_from_slice(b", ");
        }
    }

    /// One look at each byte, for nearly all text needs neither an escape nor a second one.
    fn string(&mut self, length: u64) -> Result<(), Damaged> {
        let text = self.source.take(length)?;
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        if text.iter().all(|&byte| IS_PLAIN[usize::from(byte)]) {
            self.out.extend_from_slice(text);
        } else {
            self.escaped(text)?;
        }
        self.out.push(b'"');
        Ok(())
    }

    fn escaped(&mut self, text: &[u8]) -> Result<(), Damaged> {
        if !head::is_text(text) {
            return Err(Damaged);
        }
        let mut rest = text;
        while let Some(plain) = rest.iter().position(|&byte| must_be_escaped(byte)) {
            self.out.extend_from_slice(&rest[..plain]);
            self.escape(rest[plain])?;
            rest = &rest[plain + 1..];
        }
        self.out.extend_from_slice(rest);
        Ok(())
    }

    #[cold]
    fn escape(&mut self, byte: u8) -> Result<(), Damaged> {
        let short = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'"' | b'\\' => byte,
            _ => return self.print(format_args!("\\u{byte:04x}")),
        };
        self.out.extend_from_slice(&[b'\\', short]);
        Ok(())
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
