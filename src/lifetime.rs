//! When a session ends: idle lifetime, absolute ends, and the grid that saves writes.
//!
//! A session expires when it was idle for its lifetime, at its deadline, or when it has reached the
//! configured absolute lifetime, whichever comes first (OWASP Session Management Cheat Sheet,
//! "Session Expiration"). The idle expiry is rounded up to a grid, so that the many requests within
//! one step leave the stored expiry, and with it the row and its index entries, untouched.

use crate::pg::Timestamp;

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400 * MICROS;

/// The longest idle lifetime, in seconds: 68 years of 365.25 days.
pub const MAX_SECONDS: i32 = 2_145_916_800;

/// An idle lifetime in whole seconds; zero is no idle limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lifetime(i32);

impl Lifetime {
    /// Accepts 0 to 68 years.
    pub fn from_seconds(seconds: i32) -> Option<Self> {
        (0..=MAX_SECONDS).contains(&seconds).then_some(Self(seconds))
    }

    /// Accepts an interval of 0 to 68 years; a fraction of a second counts as a whole one, so that it
    /// never becomes 0, which means no limit.
    pub fn from_interval(months: i32, days: i32, micros: i64) -> Option<Self> {
        let total = total_micros(months, days, micros);
        if total < 0 {
            return None;
        }
        let seconds = total.div_euclid(MICROS.into()) + i128::from(total % i128::from(MICROS) > 0);
        i32::try_from(seconds).ok().and_then(Self::from_seconds)
    }

    /// Whole seconds, 0 for no limit.
    pub fn seconds(self) -> i32 {
        self.0
    }

    /// The time of the use after which it ends then; `None` where no use has an end.
    pub fn before(self, end: Timestamp) -> Option<Timestamp> {
        self.micros().map(|lifetime| end.plus(-lifetime))
    }

    /// Microseconds, or `None` for no limit.
    fn micros(self) -> Option<i64> {
        (self.0 > 0).then_some(i64::from(self.0) * MICROS)
    }
}

/// The length of an interval. As in `extract(epoch from …)`, twelve months are 365.25 days, a single month
/// 30 and a day 24 hours.
fn total_micros(months: i32, days: i32, micros: i64) -> i128 {
    let days_in_hours = i128::from(months / 12) * (365 * 24 + 6)
        + i128::from(months % 12) * (30 * 24)
        + i128::from(days) * 24;
    days_in_hours * i128::from(DAY / 24) + i128::from(micros)
}

/// How long the old id of a renewed session keeps reaching it, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace(i64);

impl Grace {
    /// Not at all.
    pub const NONE: Self = Self(0);

    /// Accepts an interval of 0 to 5 minutes.
    pub fn from_interval(months: i32, days: i32, micros: i64) -> Option<Self> {
        let total = i64::try_from(total_micros(months, days, micros)).ok()?;
        (0..=300 * MICROS).contains(&total).then_some(Self(total))
    }

    /// When it is over that begins at `now`.
    pub fn end(self, now: Timestamp) -> Timestamp {
        now.plus(self.0)
    }
}

/// What a session was promised: how long it may idle, and an end that no activity moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The idle lifetime.
    pub lifetime: Lifetime,
    /// The absolute end, if there is one.
    pub deadline: Option<Timestamp>,
}

/// The server's settings that bear on every expiry.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Seconds after its authentication, or else its creation, at which any session ends; 0 for none.
    pub absolute_lifetime: i32,
    /// The grid in seconds; 0 for exact expiry.
    pub granularity: i32,
}

impl Limits {
    /// What began by then has reached the absolute lifetime by `now`.
    pub fn ended_if_begun_by(self, now: Timestamp) -> Timestamp {
        match self.absolute_lifetime {
            0 => Timestamp::NEG_INFINITY,
            seconds => now.plus(-i64::from(seconds) * MICROS),
        }
    }
}

impl Terms {
    /// The expiry of a session that is used at `now`.
    ///
    /// The idle end is rounded up to the grid, never down: late by less than a step, never early.
    /// Absolute ends are exact and cap it.
    pub fn expiry(&self, now: Timestamp, began: Timestamp, limits: Limits) -> Timestamp {
        let idle = match self.lifetime.micros() {
            Some(lifetime) => {
                // A sixteenth of the lifetime keeps short sessions from living twice as long.
                let step = (i64::from(limits.granularity) * MICROS).min(lifetime / 16);
                round_up(now.plus(lifetime), step)
            }
            None => Timestamp::INFINITY,
        };
        idle.min(self.deadline.unwrap_or(Timestamp::INFINITY))
            .min(absolute_end(began, limits.absolute_lifetime))
    }
}

/// The end that `absolute_lifetime` seconds set for a session that began then.
pub fn absolute_end(began: Timestamp, absolute_lifetime: i32) -> Timestamp {
    match absolute_lifetime {
        0 => Timestamp::INFINITY,
        seconds => began.plus(i64::from(seconds) * MICROS),
    }
}

fn round_up(at: Timestamp, step: i64) -> Timestamp {
    if step <= 0 {
        return at;
    }
    match at.0.rem_euclid(step) {
        0 => at,
        past => at.plus(step - past),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(800_000_000 * MICROS + 7);
    const LIMITS: Limits = Limits { absolute_lifetime: 0, granularity: 60 };

    fn terms(seconds: i32) -> Terms {
        Terms { lifetime: Lifetime::from_seconds(seconds).unwrap(), deadline: None }
    }

    #[test]
    fn intervals_become_seconds_as_postgresql_counts_them() {
        let cases = [
            ((0, 0, 0), Some(0)),
            ((0, 0, 1), Some(1)),
            ((0, 0, MICROS), Some(1)),
            ((0, 0, MICROS + 1), Some(2)),
            ((0, 1, 0), Some(86_400)),
            ((1, 0, 0), Some(30 * 86_400)),
            ((12, 0, 0), Some(31_557_600)),
            ((1, -30, 5 * MICROS), Some(5)),
            ((68 * 12, 0, 0), Some(MAX_SECONDS)),
            ((68 * 12, 0, 1), None),
            ((0, 0, -1), None),
            ((-1, 0, 0), None),
            ((i32::MAX, i32::MAX, i64::MAX), None),
            ((i32::MIN, i32::MIN, i64::MIN), None),
        ];
        for ((months, days, micros), expected) in cases {
            let lifetime = Lifetime::from_interval(months, days, micros);
            assert_eq!(lifetime.map(Lifetime::seconds), expected, "{months} {days} {micros}");
        }
    }

    #[test]
    fn expiry_is_late_by_less_than_a_step_and_never_early() {
        for seconds in [1, 2, 59, 60, 3_600, 86_400, MAX_SECONDS] {
            let exact = NOW.0 + i64::from(seconds) * MICROS;
            let step = (60 * MICROS).min(i64::from(seconds) * MICROS / 16);
            let expiry = terms(seconds).expiry(NOW, NOW, LIMITS).0;
            assert!((exact..exact + step).contains(&expiry), "{seconds}");
            assert_eq!(expiry % step, 0, "{seconds}");
        }
    }

    #[test]
    fn expiry_moves_once_a_step() {
        let first = terms(3_600).expiry(NOW, NOW, LIMITS);
        let at_step = Timestamp(first.0 - 3_600 * MICROS);
        assert_eq!(terms(3_600).expiry(at_step, NOW, LIMITS), first);
        let next = terms(3_600).expiry(at_step.plus(1), NOW, LIMITS);
        assert_eq!(next, first.plus(60 * MICROS));
    }

    #[test]
    fn granularity_zero_is_exact() {
        let limits = Limits { granularity: 0, ..LIMITS };
        assert_eq!(terms(3_600).expiry(NOW, NOW, limits), NOW.plus(3_600 * MICROS));
    }

    #[test]
    fn absolute_ends_are_exact_and_cap_the_idle_end() {
        let deadline = NOW.plus(12_345);
        let with_deadline = Terms { deadline: Some(deadline), ..terms(3_600) };
        assert_eq!(with_deadline.expiry(NOW, NOW, LIMITS), deadline);

        let limits = Limits { absolute_lifetime: 10, ..LIMITS };
        let created_at = NOW.plus(-4 * MICROS);
        assert_eq!(terms(3_600).expiry(NOW, created_at, limits), NOW.plus(6 * MICROS));
    }

    #[test]
    fn no_idle_limit_lasts_until_an_absolute_end() {
        assert_eq!(terms(0).expiry(NOW, NOW, LIMITS), Timestamp::INFINITY);
        let deadline = Terms { deadline: Some(NOW), ..terms(0) };
        assert_eq!(deadline.expiry(NOW, NOW, LIMITS), NOW);
    }

    #[test]
    fn the_far_ends_of_time_do_not_overflow() {
        let far = Timestamp(i64::MAX - 1);
        assert_eq!(terms(MAX_SECONDS).expiry(far, far, LIMITS), Timestamp::INFINITY);
        let limits = Limits { absolute_lifetime: 5, ..LIMITS };
        assert_eq!(limits.ended_if_begun_by(Timestamp::NEG_INFINITY), Timestamp::NEG_INFINITY);
    }
}
