//! How many rows a sweeper removes at once, and how long it rests then. Knows no server.

use std::time::Duration;

/// Rows removed without a pause, at most: as many as others can wait for where processors are few.
const MOST: usize = 100;

/// How long removing them should take, at most. Usually a hundred take a fraction of it; with a
/// trigger that asks another server, one row may take longer.
const LONGEST: Duration = Duration::from_millis(50);

/// The longest pause after it. A pause is as long as the work took, so that at least half of the time
/// is left to others.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Begins with one row, so that also where rows are slow a sweeper can leave in time.
pub struct Pace {
    rows: usize,
}

impl Pace {
    pub fn new() -> Self {
        Self { rows: 1 }
    }

    /// Rows to be removed at once.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Notes how long so many rows took; how long to rest.
    pub fn took(&mut self, rows: usize, time: Duration) -> Duration {
        self.rows = match time {
            _ if time > LONGEST => (rows / 2).max(1),
            // The last ones of a batch may be too few to tell.
            _ if time < LONGEST / 2 && rows == self.rows => (rows * 2).min(MOST),
            _ => self.rows,
        };
        time.min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes that come of rows which take so long each.
    fn sizes(times: &[Duration]) -> Vec<usize> {
        let mut pace = Pace::new();
        let mut size = |time: &Duration| {
            let rows = pace.rows();
            pace.took(rows, *time * rows as u32);
            rows
        };
        times.iter().map(&mut size).collect()
    }

    #[test]
    fn quick_rows_are_soon_removed_a_hundred_at_once() {
        let sizes = sizes(&[Duration::from_micros(10); 9]);
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
    }

    #[test]
    fn slow_rows_are_removed_one_at_a_time() {
        assert_eq!(sizes(&[Duration::from_millis(60); 4]), [1, 1, 1, 1]);
        assert_eq!(sizes(&[Duration::from_millis(10); 4]), [1, 2, 4, 4]);
    }

    #[test]
    fn rows_that_become_slow_are_fewer_from_then_on() {
        let mut times = [Duration::from_micros(10); 12];
        times[8..].fill(Duration::from_millis(5));
        assert_eq!(sizes(&times)[7..], [100, 100, 50, 25, 12]);
    }

    #[test]
    fn the_few_rows_at_the_end_of_a_batch_change_nothing() {
        let mut pace = Pace { rows: 64 };
        assert_eq!(pace.took(3, Duration::from_micros(30)), Duration::from_micros(30));
        assert_eq!(pace.rows(), 64);
    }

    #[test]
    fn a_rest_is_as_long_as_the_work_within_limits() {
        let mut pace = Pace::new();
        assert_eq!(pace.took(1, Duration::from_millis(70)), Duration::from_millis(70));
        assert_eq!(pace.took(1, Duration::from_secs(7)), LONGEST_PAUSE);
    }
}
