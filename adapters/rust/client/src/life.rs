use time::{Duration, OffsetDateTime};

/// The database's limit, 68 years, in seconds.
const LONGEST: f64 = 68.0 * 365.25 * 86_400.0;

/// For how long a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// So long after the last call that kept it alive.
    Idle(Duration),
    /// Until then, used or not.
    Until(OffsetDateTime),
}

impl Life {
    /// Whether such a session has ended already: the database knows 0 as "no limit".
    pub fn is_over(self) -> bool {
        match self {
            Self::Idle(lifetime) => !lifetime.is_positive(),
            Self::Until(end) => end <= OffsetDateTime::now_utc(),
        }
    }

    /// The idle lifetime in seconds, which the database keeps whole; 0 is without, so that one is none.
    pub(crate) fn lifetime(self) -> f64 {
        match self {
            Self::Idle(lifetime) => lifetime.as_seconds_f64().ceil().clamp(1.0, LONGEST),
            Self::Until(_) => 0.0,
        }
    }

    /// The seconds that are left whether it is used or not. The end itself would be by this machine's clock.
    pub(crate) fn remaining(self) -> f64 {
        match self {
            Self::Idle(_) => f64::INFINITY,
            Self::Until(end) => (end - OffsetDateTime::now_utc()).as_seconds_f64().min(LONGEST),
        }
    }

    /// Whether an end is worth a write if the session has so many seconds left: it must have moved by more than a step of
    /// the database's grid.
    pub(crate) fn has_moved(self, left: f64) -> bool {
        let remaining = self.remaining();
        (remaining - left).abs() > (remaining / 16.0).min(60.0)
    }
}
