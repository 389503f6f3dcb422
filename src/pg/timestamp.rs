//! `timestamptz`.

/// Microseconds since 2000-01-01 00:00 UTC, with PostgreSQL's two infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// `'infinity'`: never.
    pub const INFINITY: Self = Self(i64::MAX);
    /// `'-infinity'`
    pub const NEG_INFINITY: Self = Self(i64::MIN);

    /// Microseconds between the Unix epoch and PostgreSQL's.
    const UNIX_OFFSET: i64 = 946_684_800_000_000;

    /// Microseconds since 1970-01-01 00:00 UTC.
    pub fn unix_micros(self) -> i64 {
        self.0.saturating_add(Self::UNIX_OFFSET)
    }

    /// So many microseconds later. The infinities stay what they are.
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}
