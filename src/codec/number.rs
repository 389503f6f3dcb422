//! A number on its way between PostgreSQL's numeric and CBOR, and its CBOR form: integers, bignums
//! and decimal fractions (RFC 8949 §3.4.3, §3.4.4). Nothing is ever a float.

use super::Damaged;
use super::head::{self, Reader};
use super::numeric::MAX_SCALE;
use num_bigint::BigUint;
use serde::ser::{Serialize, Serializer};
use serde_cbor::tags::Tagged;
use std::fmt;

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
    pub(super) fn bignum(negative: bool, bytes: &[u8]) -> Result<Self, Damaged> {
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let bytes = &bytes[zeros..];
        if bytes.len() > MAX_MAGNITUDE_BYTES {
            return Err(Damaged);
        }
        let magnitude = if bytes.len() < size_of::<u128>() {
            let n = bytes.iter().fold(0, |sum, &byte| (sum << 8) | u128::from(byte));
            Magnitude::Small(n + u128::from(negative))
        } else {
            Magnitude::Big(BigUint::from_bytes_be(bytes) + u32::from(negative))
        };
        Ok(Number { negative, magnitude, scale: 0 })
    }

    /// The same digits with the point moved `scale` places to the left.
    pub(super) fn with_scale(self, scale: u16) -> Self {
        Number { scale, ..self }
    }
}

impl Reader<'_> {
    /// The number whose head was read: an integer, or a tag before a bignum or a decimal fraction.
    pub(super) fn number(&mut self, major: u8, argument: u64) -> Result<Number, Damaged> {
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
    fn decimal(&mut self) -> Result<Number, Damaged> {
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
    fn bignum(&mut self, tag: u64) -> Result<Number, Damaged> {
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

/// The digits as PostgreSQL prints a numeric: all that there are after the point.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let scale = usize::from(self.scale);
        if scale == 0 {
            return match &self.magnitude {
                Magnitude::Small(digits) => digits.fmt(f),
                Magnitude::Big(digits) => digits.fmt(f),
            };
        }
        let digits = match &self.magnitude {
            Magnitude::Small(digits) => format!("{digits:0>width$}", width = scale + 1),
            Magnitude::Big(digits) => format!("{:0>width$}", digits.to_string(), width = scale + 1),
        };
        let (before, after) = digits.split_at(digits.len() - scale);
        write!(f, "{before}.{after}")
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mantissa = Mantissa { negative: self.negative, magnitude: &self.magnitude };
        if self.scale == 0 {
            return mantissa.serialize(serializer);
        }
        let exponent = -i32::from(self.scale);
        Tagged::new(Some(TAG_DECIMAL), (exponent, mantissa)).serialize(serializer)
    }
}

struct Mantissa<'a> {
    negative: bool,
    magnitude: &'a Magnitude,
}

impl Serialize for Mantissa<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // CBOR writes a negative number as n for -1 - n, in bignums too.
        let below = u32::from(self.negative);
        let bytes = match self.magnitude {
            Magnitude::Small(small) => match u64::try_from(small - u128::from(below)) {
                Ok(n) if self.negative => return serializer.serialize_i128(-1 - i128::from(n)),
                Ok(n) => return serializer.serialize_u64(n),
                Err(_) => (small - u128::from(below)).to_be_bytes().to_vec(),
            },
            Magnitude::Big(big) => (big - below).to_bytes_be(),
        };
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let tag = if self.negative { TAG_NEGATIVE } else { TAG_POSITIVE };
        Tagged::new(Some(tag), Bytes(&bytes[zeros..])).serialize(serializer)
    }
}

/// Serde takes a `[u8]` for an array of numbers.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
