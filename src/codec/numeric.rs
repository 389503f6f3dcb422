//! PostgreSQL's binary numeric (`src/backend/utils/adt/numeric.c`), to and from [`Number`].
//!
//! A numeric is a varlena of base-10000 digits. `weight` is the power of 10000 of the first digit,
//! `scale` the number of decimal digits to show after the point; zeros at both ends are not stored.
//! Small weights and scales fit a 2-byte header, all others take 4 bytes.

use super::DecodeError::{self, Damaged};
use super::EncodeError::{self, Malformed};
use super::buffer::Buffer;
use super::number::{Magnitude, Number, ensure_for};
use num_bigint::BigUint;

/// The most digits after the point, `NUMERIC_DSCALE_MAX`.
pub(super) const MAX_SCALE: u16 = 0x3fff;

const VARLENA_HEADER: usize = 4;
const SPECIAL: u16 = 0xc000;
const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_SCALE_SHIFT: u16 = 7;
const SHORT_MAX_SCALE: u16 = 0x3f;
const SHORT_WEIGHT_SIGN: u16 = 0x0040;
const SHORT_WEIGHT: u16 = 0x003f;
const LONG_NEGATIVE: u16 = 0x4000;
/// Decimal digits in one base-10000 digit.
const GROUP: u16 = 4;

impl Number {
    /// Reads a numeric with its varlena header. [`Malformed`] are NaN and the infinities, which jsonb
    /// does not hold, and bytes that PostgreSQL would not have written.
    pub(super) fn from_numeric(bytes: &[u8]) -> Result<Self, EncodeError> {
        let (varlena, rest) = bytes.split_first_chunk::<VARLENA_HEADER>().ok_or(Malformed)?;
        if *varlena != varlena_header(bytes.len()) {
            return Err(Malformed);
        }
        let (words, _) = rest.as_chunks::<2>();
        let (&header, mut digits) = words.split_first().ok_or(Malformed)?;
        let header = u16::from_ne_bytes(header);
        let (negative, scale, weight) = match header & SPECIAL {
            SPECIAL => return Err(Malformed),
            SHORT => {
                let weight = (header & SHORT_WEIGHT) as i32;
                let below_one = header & SHORT_WEIGHT_SIGN != 0;
                (
                    header & SHORT_NEGATIVE != 0,
                    (header >> SHORT_SCALE_SHIFT) & SHORT_MAX_SCALE,
                    if below_one { weight - 64 } else { weight },
                )
            }
            sign => {
                let (&weight, rest) = digits.split_first().ok_or(Malformed)?;
                digits = rest;
                let weight = i16::from_ne_bytes(weight).into();
                (sign == LONG_NEGATIVE, header & MAX_SCALE, weight)
            }
        };
        // PostgreSQL stores no zeros at either end, so that only zero itself has no digits.
        if matches!(digits, [[0, 0], ..] | [.., [0, 0]]) {
            return Err(Malformed);
        }
        // The digits as one integer are off the mantissa by this power of ten.
        let after_point = digits.len() as i32 - 1 - weight;
        let shift = i32::from(scale) - after_point * i32::from(GROUP);
        let magnitude = match digits {
            // A last digit that is not zero and yet behind the scale: PostgreSQL never hides
            // digits.
            _ if shift <= -i32::from(GROUP) => return Err(Malformed),
            [] => Magnitude::Small(0),
            _ => match small_from_digits(digits, shift) {
                Some(small) => Magnitude::Small(small),
                None => {
                    // A digit of base 10000 is less than two bytes, two of base 10 less than one.
                    ensure_for(2 * digits.len() + shift.unsigned_abs() as usize / 2)?;
                    Magnitude::Big(big_from_digits(digits, shift).ok_or(Malformed)?)
                }
            },
        };
        Ok(Number { negative: negative && !digits.is_empty(), magnitude, scale })
    }

    /// Appends the numeric, varlena header included, exactly as `make_result` in `numeric.c` packs
    /// it. Fails when the number is beyond what numeric can hold.
    pub(super) fn write_numeric(&self, out: &mut Buffer) -> Result<(), DecodeError> {
        // Base-10000 digits are aligned at the point.
        let padding = POWERS_OF_TEN[usize::from((GROUP - self.scale % GROUP) % GROUP)];
        match &self.magnitude {
            Magnitude::Small(small) if *small < u128::MAX / 1000 => {
                let mut groups = [0; 10];
                let first = small_to_groups(small * u128::from(padding), &mut groups);
                self.write_groups(&groups[first..], out)
            }
            Magnitude::Small(small) => {
                self.write_groups(&big_to_groups(&(BigUint::from(*small) * padding)), out)
            }
            Magnitude::Big(big) => {
                ensure_for(big.bits() as usize / 8)?;
                self.write_groups(&big_to_groups(&(big * padding)), out)
            }
        }
    }

    /// `groups` are the base-10000 digits, most significant first, without leading zeros.
    fn write_groups(&self, groups: &[u16], out: &mut Buffer) -> Result<(), DecodeError> {
        let weight = match groups {
            [] => 0,
            _ => groups.len() as i32 - 1 - i32::from(self.scale.div_ceil(GROUP)),
        };
        let weight = i16::try_from(weight).map_err(|_| Damaged)?;
        let zeros = groups.iter().rev().take_while(|&&group| group == 0).count();
        let groups = &groups[..groups.len() - zeros];

        let is_short = self.scale <= SHORT_MAX_SCALE && (-64..=63).contains(&weight);
        let header = if is_short { 2 } else { 4 };
        let length = VARLENA_HEADER + header + 2 * groups.len();
        out.extend(&varlena_header(length))?;
        if is_short {
            let sign = if self.negative { SHORT_NEGATIVE } else { 0 };
            // Seven bits of two's complement: SHORT_WEIGHT_SIGN is the topmost.
            let weight = weight as u16 & (SHORT_WEIGHT_SIGN | SHORT_WEIGHT);
            let word = SHORT | sign | (self.scale << SHORT_SCALE_SHIFT) | weight;
            out.extend(&word.to_ne_bytes())?;
        } else {
            let sign = if self.negative { LONG_NEGATIVE } else { 0 };
            out.extend(&(sign | self.scale).to_ne_bytes())?;
            out.extend(&weight.to_ne_bytes())?;
        }
        for group in groups {
            out.extend(&group.to_ne_bytes())?;
        }
        Ok(())
    }
}

const POWERS_OF_TEN: [u32; GROUP as usize] = [1, 10, 100, 1000];

/// `SET_VARSIZE_4B` of `varatt.h`.
fn varlena_header(length: usize) -> [u8; VARLENA_HEADER] {
    let length = length as u32;
    let word = if cfg!(target_endian = "big") { length } else { length << 2 };
    word.to_ne_bytes()
}

/// The digits as an integer times 10^shift, when there are few and that fits.
fn small_from_digits(digits: &[[u8; 2]], shift: i32) -> Option<u128> {
    if digits.len() > 9 {
        return None;
    }
    let value = digits
        .iter()
        .try_fold(0, |sum, digit| Some(sum * 10_000 + u128::from(valid_digit(digit)?)))?;
    let power = 10u128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 {
        return value.checked_mul(power);
    }
    value.is_multiple_of(power).then(|| value / power)
}

/// The same for any size.
fn big_from_digits(digits: &[[u8; 2]], shift: i32) -> Option<BigUint> {
    let mut base_100 = Vec::with_capacity(2 * digits.len());
    for digit in digits {
        let digit = valid_digit(digit)?;
        base_100.extend([(digit / 100) as u8, (digit % 100) as u8]);
    }
    let value = BigUint::from_radix_be(&base_100, 100)?;
    let power = BigUint::from(10u32).pow(shift.unsigned_abs());
    if shift >= 0 {
        return Some(value * power);
    }
    (&value % &power == BigUint::ZERO).then(|| value / power)
}

fn valid_digit(bytes: &[u8; 2]) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes)).filter(|&digit| digit < 10_000)
}

/// Fills `groups` from the end and returns where they begin.
fn small_to_groups(mut value: u128, groups: &mut [u16; 10]) -> usize {
    let mut first = groups.len();
    while value > u128::from(u64::MAX) {
        first -= 1;
        groups[first] = (value % 10_000) as u16;
        value /= 10_000;
    }
    // 64-bit division is many times faster, and nearly every number ends up here at once.
    let mut value = value as u64;
    while value > 0 {
        first -= 1;
        groups[first] = (value % 10_000) as u16;
        value /= 10_000;
    }
    first
}

fn big_to_groups(value: &BigUint) -> Vec<u16> {
    let mut base_100 = value.to_radix_be(100);
    if base_100.len() % 2 == 1 {
        base_100.insert(0, 0);
    }
    let (pairs, _) = base_100.as_chunks::<2>();
    pairs.iter().map(|&[high, low]| u16::from(high) * 100 + u16::from(low)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::number::MAX_MAGNITUDE_BYTES;
    use super::*;

    fn numeric(number: &Number) -> Result<Vec<u8>, DecodeError> {
        let mut out = Buffer::with_capacity(0)?;
        number.write_numeric(&mut out)?;
        Ok(out.into_vec())
    }

    fn big(decimal: &str) -> Number {
        let value: BigUint = decimal.parse().unwrap();
        Number::bignum(false, &value.to_bytes_be()).unwrap()
    }

    #[test]
    fn a_number_reads_back_at_every_size_and_scale() {
        let digits = "9876543210".repeat(6);
        for length in 1..=digits.len() {
            for scale in 0..=80 {
                let bytes = numeric(&big(&digits[..length]).with_scale(scale)).unwrap();
                let back = Number::from_numeric(&bytes).unwrap();
                assert_eq!(back.scale, scale);
                let value = match &back.magnitude {
                    Magnitude::Small(small) => small.to_string(),
                    Magnitude::Big(big) => big.to_string(),
                };
                assert_eq!(value, digits[..length], "scale {scale}");
            }
        }
    }

    #[test]
    fn the_ends_of_numeric_are_reached_and_not_passed() {
        let nines = |count| "9".repeat(count);
        for (number, fits) in [
            (big(&nines(131_072)), true),
            (big(&nines(131_073)), false),
            (big(&nines(131_072 + 16_383)).with_scale(MAX_SCALE), true),
            (big(&(nines(131_073) + &nines(16_383))).with_scale(MAX_SCALE), false),
            (big("1").with_scale(MAX_SCALE), true),
            (big("0").with_scale(MAX_SCALE), true),
        ] {
            let bytes = numeric(&number);
            assert_eq!(bytes.is_ok(), fits);
            if let Ok(bytes) = bytes {
                let back = Number::from_numeric(&bytes).unwrap();
                assert_eq!(numeric(&back).unwrap(), bytes);
            }
        }
        assert!(Number::bignum(false, &[0xff; MAX_MAGNITUDE_BYTES + 1]).is_err());
    }

    #[test]
    fn leading_zeros_of_a_bignum_mean_nothing() {
        let short = numeric(&Number::bignum(true, &[7]).unwrap()).unwrap();
        let long = numeric(&Number::bignum(true, &[0; 99_999]).unwrap()).unwrap();
        assert_eq!(numeric(&Number::bignum(true, &[0, 0, 7]).unwrap()).unwrap(), short);
        assert_eq!(long, numeric(&Number::signed(-1)).unwrap());
    }

    #[test]
    fn what_is_no_finite_numeric_is_refused() {
        let with_words = |words: &[u16]| {
            let mut bytes = varlena_header(VARLENA_HEADER + 2 * words.len()).to_vec();
            words.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
            bytes
        };
        assert!(Number::from_numeric(&with_words(&[SHORT, 1])).is_ok());
        for words in [
            &[0xc000][..],      // NaN
            &[0xd000],          // Infinity
            &[0xf000],          // -Infinity
            &[],                // no header
            &[0],               // a long header cut short
            &[SHORT, 10_000],   // not a base-10000 digit
            &[SHORT | 0x7f, 1], // 0.0001 that shows no digit after the point
            &[SHORT, 1, 0],     // a zero at the end
            &[SHORT, 0, 1],     // a zero in front
        ] {
            assert!(Number::from_numeric(&with_words(words)).is_err(), "{words:x?}");
        }
        assert!(Number::from_numeric(&with_words(&[SHORT, 1])[..7]).is_err());
    }
}
