//! A number on its way between PostgreSQL's numeric and CBOR, and its CBOR form: integers, bignums
//! and decimal fractions (RFC 8949 §3.4.3, §3.4.4). Nothing is ever a float.

use super::DecodeError::{self, Damaged};
use super::buffer::{Buffer, OutOfMemory, ensure};
use super::head::{self, Reader};
use super::numeric::MAX_SCALE;
use num_bigint::BigUint;
use serde::ser::{Serialize, Serializer};
use serde_cbor::tags::Tagged;

/// Tags of RFC 8949 §3.4.
const TAG_POSITIVE: u64 = 2;
const TAG_NEGATIVE: u64 = 3;
const TAG_DECIMAL: u64 = 4;

/// The bytes of 10^(131072 + 16383): no numeric has a larger mantissa, and none larger is worth
/// converting.
pub(super) const MAX_MAGNITUDE_BYTES: usize = 61_230;

/// `mantissa / 10^scale`, where the mantissa is a sign and a magnitude. Zero is never negative.
pub(super) struct Number {
    pub(super) negative: bool,
    pub(super) magnitude: Magnitude,
    pub(super) scale: u16,
}

pub(super) enum Magnitude {
    Small(u128),
    /// More than 64 bits.
    Big(BigUint),
}

impl Number {
    pub(super) fn unsigned(value: u64) -> Self {
        Number { negative: false, magnitude: Magnitude::Small(value.into()), scale: 0 }
    }

    pub(super) fn signed(value: i128) -> Self {
        Number { negative: value < 0, magnitude: Magnitude::Small(value.unsigned_abs()), scale: 0 }
    }

    /// The content of a bignum: `bytes` is n, and the value n for tag 2 or -1 - n for tag 3.
    pub(super) fn bignum(negative: bool, bytes: &[u8]) -> Result<Self, DecodeError> {
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let bytes = &bytes[zeros..];
        if bytes.len() > MAX_MAGNITUDE_BYTES {
            return Err(Damaged);
        }
        let magnitude = if bytes.len() < size_of::<u128>() {
            let n = bytes.iter().fold(0, |sum, &byte| (sum << 8) | u128::from(byte));
            Magnitude::Small(n + u128::from(negative))
        } else {
            ensure_for(bytes.len())?;
            Magnitude::Big(BigUint::from_bytes_be(bytes) + u32::from(negative))
        };
        Ok(Number { negative, magnitude, scale: 0 })
    }

    /// The same digits with the point moved `scale` places to the left.
    pub(super) fn with_scale(self, scale: u16) -> Self {
        Number { scale, ..self }
    }

    /// Appends the digits as PostgreSQL prints a numeric: all that there are after the point.
    pub(super) fn print(&self, out: &mut Buffer) -> Result<(), OutOfMemory> {
        let mut small = itoa::Buffer::new();
        let big;
        let digits = match &self.magnitude {
            Magnitude::Small(digits) => small.format(*digits).as_bytes(),
            Magnitude::Big(digits) => {
                ensure_for(digits.bits() as usize / 8)?;
                big = digits.to_str_radix(10);
                big.as_bytes()
            }
        };
        let scale = usize::from(self.scale);
        let (before, after) = digits.split_at(digits.len().saturating_sub(scale));
        if self.negative {
            out.push(b'-')?;
        }
        out.extend(if before.is_empty() { b"0" } else { before })?;
        if scale > 0 {
            out.push(b'.')?;
            out.fill(scale - after.len(), b'0')?;
            out.extend(after)?;
        }
        Ok(())
    }
}

/// Makes sure of the memory that `num_bigint` takes for one conversion of a number of so many bytes:
/// up to 15 times as much, in pieces, and 2 MB for the largest number.
pub(super) fn ensure_for(bytes: usize) -> Result<(), OutOfMemory> {
    ensure(32 * bytes)
}

impl Reader<'_> {
    /// The number whose head was read: an integer, or a tag before a bignum or a decimal fraction.
    pub(super) fn number(&mut self, major: u8, argument: u64) -> Result<Number, DecodeError> {
        match (major, argument) {
            (head::UNSIGNED, _) => Ok(Number::unsigned(argument)),
            (head::NEGATIVE, _) => Ok(Number::signed(-1 - i128::from(argument))),
            (head::TAG, TAG_DECIMAL) => self.decimal(),
            (head::TAG, tag) => self.bignum(tag),
            _ => Err(Damaged),
        }
    }

    /// What follows tag 4: an array of exponent and mantissa (RFC 8949 §3.4.4). Only digits after
    /// the point make a decimal fraction here, so the exponent is negative.
    fn decimal(&mut self) -> Result<Number, DecodeError> {
        let ((head::ARRAY, 2), (head::NEGATIVE, exponent)) = (self.head()?, self.head()?) else {
            return Err(Damaged);
        };
        let mantissa = match self.head()? {
            (head::TAG, TAG_DECIMAL) => return Err(Damaged),
            (major, argument) => self.number(major, argument)?,
        };
        // An exponent is stored as n for -1 - n.
        match u16::try_from(exponent) {
            Ok(below @ 0..MAX_SCALE) => Ok(mantissa.with_scale(below + 1)),
            _ => Err(Damaged),
        }
    }

    /// What follows a tag that should be 2 or 3: a byte string (RFC 8949 §3.4.3).
    fn bignum(&mut self, tag: u64) -> Result<Number, DecodeError> {
        let negative = match tag {
            TAG_POSITIVE => false,
            TAG_NEGATIVE => true,
            _ => return Err(Damaged),
        };
        match self.head()? {
            (head::BYTES, length) => Number::bignum(negative, self.take(length)?),
            _ => Err(Damaged),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Before anything is written: that may take the memory that the conversion was promised.
        let mantissa = Mantissa::of(self);
        if self.scale == 0 {
            return mantissa.serialize(serializer);
        }
        let exponent = -i32::from(self.scale);
        Tagged::new(Some(TAG_DECIMAL), (exponent, mantissa)).serialize(serializer)
    }
}

/// A mantissa as CBOR has it: a negative number as n for -1 - n, in bignums too.
enum Mantissa {
    Unsigned(u64),
    Negative(u64),
    Bignum(u64, Vec<u8>),
}

impl Mantissa {
    fn of(number: &Number) -> Self {
        let below = u32::from(number.negative);
        let tag = if number.negative { TAG_NEGATIVE } else { TAG_POSITIVE };
        match &number.magnitude {
            Magnitude::Small(small) => match u64::try_from(small - u128::from(below)) {
                Ok(n) if number.negative => Mantissa::Negative(n),
                Ok(n) => Mantissa::Unsigned(n),
                Err(_) => Mantissa::Bignum(tag, (small - u128::from(below)).to_be_bytes().to_vec()),
            },
            Magnitude::Big(big) => Mantissa::Bignum(tag, (big - below).to_bytes_be()),
        }
    }
}

impl Serialize for Mantissa {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Mantissa::Unsigned(n) => serializer.serialize_u64(*n),
            Mantissa::Negative(n) => serializer.serialize_i128(-1 - i128::from(*n)),
            Mantissa::Bignum(tag, bytes) => {
                let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
                Tagged::new(Some(*tag), Bytes(&bytes[zeros..])).serialize(serializer)
            }
        }
    }
}

/// Serde takes a `[u8]` for an array of numbers.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
