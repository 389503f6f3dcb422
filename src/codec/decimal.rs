//! Numbers of JSON text, as jsonb's input reads them: `numeric_in` (`src/backend/utils/adt/numeric.c`)
//! keeps every digit that is written, applies the exponent, and refuses what numeric cannot hold.

use super::EncodeError::{self, NumberOutOfRange};
use super::number::{Magnitude, Number, ensure_for};
use super::numeric::MAX_SCALE;
use num_bigint::BigUint;

/// The most digits before the point.
const MAX_WHOLE_DIGITS: i64 = 131_072;
/// `numeric_in` refuses exponents from here on whatever they are the exponent of.
const EXPONENT_END: i32 = i32::MAX / 2;
/// As many digits fit a `u128`.
const SMALL_DIGITS: usize = 38;

impl Number {
    /// A number that is well-formed JSON.
    pub(super) fn from_json(text: &str) -> Result<Self, EncodeError> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let behind_point = fraction.len() as i64 - i64::from(exponent);
        let scale = u16::try_from(behind_point.max(0))
            .ok()
            .filter(|scale| *scale <= MAX_SCALE)
            .ok_or(NumberOutOfRange)?;
        let magnitude = magnitude(significant(whole, fraction), behind_point)?;
        let is_zero = matches!(magnitude, Magnitude::Small(0));
        Ok(Number { negative: negative && !is_zero, magnitude, scale })
    }
}

fn parse_exponent(text: &str) -> Result<i32, EncodeError> {
    let exponent: i32 = text.parse().map_err(|_| NumberOutOfRange)?;
    if exponent.abs() < EXPONENT_END { Ok(exponent) } else { Err(NumberOutOfRange) }
}

/// Both without leading zeros.
fn significant<'a>(whole: &'a str, fraction: &'a str) -> (&'a str, &'a str) {
    match whole.trim_start_matches('0') {
        "" => ("", fraction.trim_start_matches('0')),
        whole => (whole, fraction),
    }
}

/// The digits as an integer. Of them and of zeros behind them, `behind_point` stand after the point;
/// if that is negative, so many zeros follow.
fn magnitude(digits: (&str, &str), behind_point: i64) -> Result<Magnitude, EncodeError> {
    let count = digits.0.len() + digits.1.len();
    if count == 0 {
        return Ok(Magnitude::Small(0));
    }
    if count as i64 - behind_point > MAX_WHOLE_DIGITS {
        return Err(NumberOutOfRange);
    }
    let zeros = (-behind_point).max(0) as usize;
    let digits = digits.0.bytes().chain(digits.1.bytes()).map(|digit| digit - b'0');
    if count + zeros <= SMALL_DIGITS {
        let value = digits.fold(0, |sum, digit| 10 * sum + u128::from(digit));
        return Ok(Magnitude::Small(value * 10u128.pow(zeros as u32)));
    }
    // Two digits are less than one byte.
    ensure_for((count + zeros) / 2)?;
    let digits: Vec<u8> = digits.collect();
    let value = BigUint::from_radix_be(&digits, 10).ok_or(EncodeError::NotJson)?;
    Ok(Magnitude::Big(value * BigUint::from(10u32).pow(zeros as u32)))
}
