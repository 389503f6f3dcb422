//! PostgreSQL's binary jsonb, on disk since 9.4 (`src/include/utils/jsonb.h`).
//!
//! A container is a header word (count and kind), one `JEntry` word a child, then the children's
//! bytes. Objects put all keys first, sorted by length and then bytes, and the values after them in
//! the same order. A child's `JEntry` holds its kind and its length or, for every 32nd child, the
//! offset of its end. Numerics and containers start on a multiple of four, and the padding counts
//! as part of their length. Words are in the machine's byte order.

use std::cmp::Ordering;

/// `JB_CMASK`: the number of children, or of pairs.
pub(super) const COUNT: u32 = 0x0fff_ffff;
/// `JB_FSCALAR`: this array of one is a bare scalar at the root.
pub(super) const SCALAR: u32 = 0x1000_0000;
/// `JB_FOBJECT`.
pub(super) const OBJECT: u32 = 0x2000_0000;
/// `JB_FARRAY`.
pub(super) const ARRAY: u32 = 0x4000_0000;

/// `JENTRY_OFFLENMASK`, which also bounds the size of every container.
pub(super) const LENGTH: u32 = 0x0fff_ffff;
/// `JENTRY_TYPEMASK`.
pub(super) const KIND: u32 = 0x7000_0000;
/// `JENTRY_HAS_OFF`: the entry holds an end offset, not a length.
pub(super) const HAS_OFFSET: u32 = 0x8000_0000;
/// `JB_OFFSET_STRIDE`: PostgreSQL writes an offset every so many children.
pub(super) const OFFSET_STRIDE: usize = 32;

/// The kinds, as they stand in `KIND`.
pub(super) const STRING: u32 = 0x0000_0000;
pub(super) const NUMERIC: u32 = 0x1000_0000;
pub(super) const FALSE: u32 = 0x2000_0000;
pub(super) const TRUE: u32 = 0x3000_0000;
pub(super) const NULL: u32 = 0x4000_0000;
pub(super) const CONTAINER: u32 = 0x5000_0000;

/// Bytes of a header or a `JEntry`.
pub(super) const WORD: usize = 4;

/// Whether children of this kind start on a multiple of four.
pub(super) fn is_aligned(kind: u32) -> bool {
    matches!(kind, NUMERIC | CONTAINER)
}

/// The next multiple of four.
pub(super) fn align(offset: usize) -> usize {
    offset.next_multiple_of(WORD)
}

/// The order of keys in an object, `lengthCompareJsonbString` in `jsonb_util.c`.
pub(super) fn key_order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Sorts by keys and keeps the last of equal ones, as jsonb's input does; how many are kept, at the
/// front. The keys must lie in one input, where they come in the order of `items`.
#[cold]
pub(super) fn sort_by_key<'k, T: Copy>(items: &mut [T], key: impl Fn(&T) -> &'k [u8]) -> usize {
    // A stable sort would take memory; of equal keys the later one has the higher address.
    items.sort_unstable_by(|a, b| {
        let (a, b) = (key(a), key(b));
        key_order(a, b).then_with(|| a.as_ptr().cmp(&b.as_ptr()))
    });
    let mut last = 0;
    for next in 1..items.len() {
        if key(&items[next]) != key(&items[last]) {
            last += 1;
        }
        items[last] = items[next];
    }
    items.len().min(last + 1)
}
