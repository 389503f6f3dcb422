//! The head of a CBOR data item (RFC 8949 §3): major type and argument.
//!
//! `serde_cbor` reads and writes whole items; splicing a map needs its head alone.

/// Major types, RFC 8949 §3.1.
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;

/// Splits off the first head: major type, argument and what follows. `None` when the bytes end too
/// early, and for indefinite lengths, which this codec never writes.
pub(super) fn read(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&initial, rest) = bytes.split_first()?;
    let (major, low) = (initial >> 5, initial & 0x1f);
    let width = match low {
        0..=23 => return Some((major, low.into(), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (argument, rest) = rest.split_at_checked(width)?;
    let argument = argument.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
    Some((major, argument, rest))
}

/// Appends a head in its shortest form, as RFC 8949 §4.1 prefers.
pub(super) fn write(out: &mut Vec<u8>, major: u8, argument: u64) {
    let bytes = argument.to_be_bytes();
    let (low, width) = match argument {
        0..=23 => (bytes[7], 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push((major << 5) | low);
    out.extend_from_slice(&bytes[8 - width..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_shortest_and_read_back() {
        for (argument, length) in [
            (0, 1),
            (23, 1),
            (24, 2),
            (255, 2),
            (256, 3),
            (65_535, 3),
            (65_536, 5),
            (u64::from(u32::MAX), 5),
            (1 << 32, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Vec::new();
            write(&mut out, MAP, argument);
            assert_eq!(out.len(), length, "{argument}");
            assert_eq!(read(&out), Some((MAP, argument, &[][..])));
            assert_eq!(read(&out[..length - 1]), None);
        }
    }

    #[test]
    fn indefinite_and_reserved_lengths_are_no_heads() {
        for initial in [0xbf, 0x5f, 0xbc, 0xbd, 0xbe] {
            assert_eq!(read(&[initial, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        }
    }
}
