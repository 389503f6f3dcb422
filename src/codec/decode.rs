//! CBOR to jsonb: item by item, straight into the [`Builder`].
//!
//! Reading is on the path of every request, and there it takes less than half of what a general
//! decoder does: `serde_cbor` writes what is stored, and this reads back just that. Whatever is
//! never written (floats, byte strings, other tags, indefinite lengths) is [`Damaged`].

use super::DecodeError::{self, Damaged};
use super::build::{Builder, Slot};
use super::head::{self, Reader};
use super::layout;

/// One encoded value as a whole jsonb, without the varlena header.
pub(super) fn to_jsonb(cbor: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder { source: Reader::new(cbor), builder: Builder::new(cbor.len())? };
    if matches!(head::major(cbor), Some(head::ARRAY | head::MAP)) {
        decoder.value()?;
    } else {
        let mut root = decoder.builder.begin_scalar()?;
        let mark = decoder.builder.mark();
        let slot = decoder.value()?;
        decoder.builder.item(&mut root, mark, &slot)?;
    }
    decoder.source.end()?;
    Ok(decoder.builder.finish())
}

struct Decoder<'a> {
    source: Reader<'a>,
    builder: Builder<'a>,
}

impl Decoder<'_> {
    /// Recurses as deep as the builder lets containers nest.
    fn value(&mut self) -> Result<Slot, DecodeError> {
        let (major, argument) = match self.source.simple() {
            Some(simple) => return self.simple(simple),
            None => self.source.head()?,
        };
        match major {
            head::TEXT => {
                let text = self.source.jsonb_text(argument)?;
                self.builder.text(text)
            }
            head::ARRAY => self.array(argument),
            head::MAP => self.object(argument),
            _ => {
                let number = self.source.number(major, argument)?;
                self.builder.number(&number)
            }
        }
    }

    fn simple(&self, simple: u8) -> Result<Slot, DecodeError> {
        match simple {
            head::FALSE => Ok(self.builder.bare(layout::FALSE)),
            head::TRUE => Ok(self.builder.bare(layout::TRUE)),
            head::NULL | head::UNDEFINED => Ok(self.builder.bare(layout::NULL)),
            _ => Err(Damaged),
        }
    }

    fn array(&mut self, count: u64) -> Result<Slot, DecodeError> {
        let mut array = self.builder.begin_array(usize::try_from(count).map_err(|_| Damaged)?)?;
        for _ in 0..count {
            let mark = self.builder.mark();
            let slot = self.value()?;
            self.builder.item(&mut array, mark, &slot)?;
        }
        self.builder.end_array(&array)
    }

    fn object(&mut self, count: u64) -> Result<Slot, DecodeError> {
        let mut object = self.builder.begin_object()?;
        for _ in 0..count {
            let length = self.source.key_head()?;
            let key = self.source.jsonb_text(length)?;
            let slot = self.value()?;
            self.builder.member(&mut object, key, &slot)?;
        }
        self.builder.end_object(&object)
    }
}
