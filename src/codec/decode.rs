//! CBOR to jsonb: serde visitors that hand what they meet to the [`Builder`].
//!
//! Whatever a visitor does not expect (floats, byte strings, other tags) is serde's "invalid type"
//! error. Text and bytes are accepted only when borrowed from the input, which is never so for
//! indefinite lengths.

use super::build::{Builder, Slot, check_text};
use super::number::{Number, TAG_DECIMAL, TAG_NEGATIVE, TAG_POSITIVE};
use super::numeric::MAX_SCALE;
use super::{Damaged, head, layout};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_cbor::tags::current_cbor_tag;
use std::fmt;

/// One encoded value as a whole jsonb, without the varlena header.
pub(super) fn to_jsonb(cbor: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut source = serde_cbor::Deserializer::from_slice(cbor);
    let mut builder = Builder::new(cbor.len());
    let (major, ..) = head::read(cbor).ok_or(Damaged)?;
    if matches!(major, head::ARRAY | head::MAP) {
        Value(&mut builder).deserialize(&mut source)?;
    } else {
        let mut root = builder.begin_scalar()?;
        let mark = builder.mark();
        let slot = Value(&mut builder).deserialize(&mut source)?;
        builder.item(&mut root, mark, &slot)?;
    }
    source.end()?;
    Ok(builder.finish())
}

struct Value<'b, 'de>(&'b mut Builder<'de>);

impl<'de> DeserializeSeed<'de> for Value<'_, 'de> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Slot, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, 'de> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    /// Null, and CBOR's "undefined", which RFC 8949 §6.1 makes null in JSON.
    fn visit_unit<E>(self) -> Result<Slot, E> {
        Ok(self.0.bare(layout::NULL))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Slot, E> {
        let kind = if value { layout::TRUE } else { layout::FALSE };
        Ok(self.0.bare(kind))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Slot, E> {
        self.0.number(&Number::unsigned(value)).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Slot, E> {
        self.visit_i128(value.into())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Slot, E> {
        self.0.number(&Number::signed(value)).map_err(E::custom)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Slot, E> {
        self.0.text(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Slot, A::Error> {
        let claimed = items.size_hint().ok_or(Damaged).map_err(A::Error::custom)?;
        let mut array = self.0.begin_array(claimed).map_err(A::Error::custom)?;
        let mut mark = self.0.mark();
        while let Some(slot) = items.next_element_seed(Value(self.0))? {
            self.0.item(&mut array, mark, &slot).map_err(A::Error::custom)?;
            mark = self.0.mark();
        }
        self.0.end_array(&array).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Slot, A::Error> {
        members.size_hint().ok_or(Damaged).map_err(A::Error::custom)?;
        let mut object = self.0.begin_object().map_err(A::Error::custom)?;
        while let Some(key) = members.next_key_seed(Key)? {
            let slot = members.next_value_seed(Value(self.0))?;
            self.0.member(&mut object, key, &slot).map_err(A::Error::custom)?;
        }
        self.0.end_object(&object).map_err(A::Error::custom)
    }

    /// A tagged item: the only numbers beyond CBOR's own integers.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, source: D) -> Result<Slot, D::Error> {
        let number = match current_cbor_tag() {
            Some(TAG_DECIMAL) => source.deserialize_any(Decimal)?,
            tag => bignum(tag, source)?,
        };
        self.0.number(&number).map_err(D::Error::custom)
    }
}

/// A key of a map: text without NUL, borrowed.
pub(super) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = &'de str;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<&'de str, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = &'de str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<&'de str, E> {
        check_text(key).map(|()| key).map_err(E::custom)
    }
}

/// What follows a tag that should be 2 or 3: a byte string (RFC 8949 §3.4.3).
fn bignum<'de, D: Deserializer<'de>>(tag: Option<u64>, source: D) -> Result<Number, D::Error> {
    let negative = match tag {
        Some(TAG_POSITIVE) => false,
        Some(TAG_NEGATIVE) => true,
        _ => return Err(D::Error::custom(Damaged)),
    };
    source.deserialize_bytes(Bignum { negative })
}

struct Bignum {
    negative: bool,
}

impl<'de> Visitor<'de> for Bignum {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a bignum")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Number, E> {
        Number::bignum(self.negative, bytes).map_err(E::custom)
    }
}

/// What follows tag 4: an array of exponent and mantissa (RFC 8949 §3.4.4). Only digits after the
/// point make a decimal fraction here, so the exponent is negative.
struct Decimal;

impl<'de> Visitor<'de> for Decimal {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an exponent and a mantissa")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Number, A::Error> {
        let damaged = || A::Error::custom(Damaged);
        if parts.size_hint() != Some(2) {
            return Err(damaged());
        }
        let exponent: i64 = parts.next_element()?.ok_or_else(damaged)?;
        let mantissa = parts.next_element_seed(Mantissa)?.ok_or_else(damaged)?;
        match exponent.checked_neg().and_then(|scale| u16::try_from(scale).ok()) {
            Some(scale @ 1..=MAX_SCALE) => Ok(mantissa.with_scale(scale)),
            _ => Err(damaged()),
        }
    }
}

struct Mantissa;

impl<'de> DeserializeSeed<'de> for Mantissa {
    type Value = Number;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Number, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Mantissa {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number::unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number::signed(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Number, E> {
        Ok(Number::signed(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, source: D) -> Result<Number, D::Error> {
        bignum(current_cbor_tag(), source)
    }
}
