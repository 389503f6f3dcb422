//! CBOR to jsonb: item by item, straight into the [`Builder`].
//!
//! Reading is on the path of every request, and there it takes less than half of what a general
//! decoder does: `serde_cbor` writes what is stored, and this reads back just that. Whatever is
//! never written (floats, byte strings, other tags, indefinite lengths) is [`Damaged`].

use super::build::{Builder, Slot};
use super::head::{self, Reader};
use super::number::{Number, TAG_DECIMAL, TAG_NEGATIVE, TAG_POSITIVE};
use super::numeric::MAX_SCALE;
use super::{Damaged, layout};

/// The simple values, whole (RFC 8949 §3.3).
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const UNDEFINED: u8 = 0xf7;

/// One encoded value as a whole jsonb, without the varlena header.
pub(super) fn to_jsonb(cbor: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut decoder = Decoder { source: Reader::new(cbor), builder: Builder::new(cbor.len()) };
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
    fn value(&mut self) -> Result<Slot, Damaged> {
        let (major, argument) = match self.source.simple() {
            Some(simple) => return self.simple(simple),
            None => self.source.head()?,
        };
        match major {
            head::UNSIGNED | head::NEGATIVE => self.builder.number(&integer(major, argument)),
            head::TEXT => {
                let text = self.source.text(argument)?;
                Ok(self.builder.text(text))
            }
            head::ARRAY => self.array(argument),
            head::MAP => self.object(argument),
            head::TAG => {
                let number = self.tagged(argument)?;
                self.builder.number(&number)
            }
            _ => Err(Damaged),
        }
    }

    fn simple(&self, simple: u8) -> Result<Slot, Damaged> {
        match simple {
            FALSE => Ok(self.builder.bare(layout::FALSE)),
            TRUE => Ok(self.builder.bare(layout::TRUE)),
            // RFC 8949 §6.1 makes "undefined" null in JSON, too.
            NULL | UNDEFINED => Ok(self.builder.bare(layout::NULL)),
            _ => Err(Damaged),
        }
    }

    fn array(&mut self, count: u64) -> Result<Slot, Damaged> {
        let mut array = self.builder.begin_array(usize::try_from(count).map_err(|_| Damaged)?)?;
        for _ in 0..count {
            let mark = self.builder.mark();
            let slot = self.value()?;
            self.builder.item(&mut array, mark, &slot)?;
        }
        self.builder.end_array(&array)
    }

    fn object(&mut self, count: u64) -> Result<Slot, Damaged> {
        let mut object = self.builder.begin_object()?;
        for _ in 0..count {
            let key = self.source.key()?;
            let slot = self.value()?;
            self.builder.member(&mut object, key, &slot)?;
        }
        self.builder.end_object(&object)
    }

    /// The only numbers beyond CBOR's own integers.
    fn tagged(&mut self, tag: u64) -> Result<Number, Damaged> {
        if tag == TAG_DECIMAL { self.decimal() } else { self.bignum(tag) }
    }

    /// What follows tag 4: an array of exponent and mantissa (RFC 8949 §3.4.4). Only digits after
    /// the point make a decimal fraction here, so the exponent is negative.
    fn decimal(&mut self) -> Result<Number, Damaged> {
        let ((head::ARRAY, 2), (head::NEGATIVE, exponent)) =
            (self.source.head()?, self.source.head()?)
        else {
            return Err(Damaged);
        };
        let mantissa = match self.source.head()? {
            (major @ (head::UNSIGNED | head::NEGATIVE), argument) => integer(major, argument),
            (head::TAG, tag) => self.bignum(tag)?,
            _ => return Err(Damaged),
        };
        // An exponent is stored as n for -1 - n.
        match u16::try_from(exponent) {
            Ok(below @ 0..MAX_SCALE) => Ok(mantissa.with_scale(below + 1)),
            _ => Err(Damaged),
        }
    }

    /// What follows a tag that should be 2 or 3: a byte string (RFC 8949 §3.4.3).
    fn bignum(&mut self, tag: u64) -> Result<Number, Damaged> {
        let negative = match tag {
            TAG_POSITIVE => false,
            TAG_NEGATIVE => true,
            _ => return Err(Damaged),
        };
        match self.source.head()? {
            (head::BYTES, length) => Number::bignum(negative, self.source.take(length)?),
            _ => Err(Damaged),
        }
    }
}

fn integer(major: u8, argument: u64) -> Number {
    match major {
        head::UNSIGNED => Number::unsigned(argument),
        _ => Number::signed(-1 - i128::from(argument)),
    }
}
