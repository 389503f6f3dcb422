//! When which database has its turn. Knows no server.

use std::time::{Duration, Instant};

/// Databases without the extension are asked again after twice as many rounds each time, up to two to
/// the power of this.
const MOST_DOUBLINGS: u32 = 6;

/// The pause before a sweep that was left goes on: whoever waits for the database comes first, and so
/// do the other databases that are due.
const BREAK: Duration = Duration::from_millis(200);

/// The pause before a database that could not be swept is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The rounds, one every `session_store.gc_interval`. In one every database has its turn, or is left
/// out. Between two, sweeps that were left go on.
pub struct Rounds {
    number: u64,
    next: Instant,
}

impl Rounds {
    /// The first round is due.
    pub fn new(now: Instant) -> Self {
        Self { number: 0, next: now }
    }

    /// Begins the next round if it is due; whether it is.
    pub fn begin(&mut self, now: Instant, interval: Duration) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.number += 1;
            self.next = now + interval;
        }
        is_due
    }

    /// Has the next round begin at once.
    pub fn hurry(&mut self, now: Instant) {
        self.next = now;
    }

    /// When to look again: at the next round, or before it at the first of these turns.
    pub fn next_look<'a>(&self, turns: impl IntoIterator<Item = &'a Turn>) -> Instant {
        turns.into_iter().filter_map(|turn| turn.at).fold(self.next, Instant::min)
    }
}

/// When a database has its turn.
#[derive(Default)]
pub struct Turn {
    /// The first round in which it has one.
    round: u64,
    /// Turns without the extension, one after the other.
    misses: u32,
    /// At this time, whatever the round.
    at: Option<Instant>,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The extension is not there.
    NoExtension,
    /// All that had expired is removed.
    Finished,
    /// Some of it is left.
    Unfinished,
    /// It could not be swept: a command holds the database, or there is no place for a sweeper.
    NotNow,
}

impl Turn {
    /// Whether the database has its turn.
    pub fn has_come(&self, rounds: &Rounds, now: Instant) -> bool {
        self.at.map_or(self.round <= rounds.number, |at| now >= at)
    }

    /// Notes what came of a turn that has ended just now.
    pub fn note(&mut self, outcome: Outcome, rounds: &Rounds, now: Instant) {
        self.at = match outcome {
            Outcome::Unfinished => Some(now + BREAK),
            Outcome::NotNow => Some(now + RETRY_PAUSE),
            Outcome::NoExtension | Outcome::Finished => None,
        };
        match outcome {
            Outcome::NotNow => return,
            Outcome::NoExtension => self.misses += 1,
            Outcome::Finished | Outcome::Unfinished => self.misses = 0,
        }
        self.round = rounds.number + (1 << self.misses.saturating_sub(1).min(MOST_DOUBLINGS));
    }

    /// Has it come in the next round, unless it has a time of its own.
    pub fn hurry(&mut self) {
        self.round = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);
    const VISIT: Duration = Duration::from_secs(3);

    /// The launcher's loop for some time, with these outcomes; the second at which each turn began.
    fn turns<const N: usize>(
        seconds: u64,
        outcome: impl Fn(usize, usize) -> Outcome,
    ) -> [Vec<u64>; N] {
        let start = Instant::now();
        let (mut now, mut rounds) = (start, Rounds::new(start));
        let mut databases = [(); N].map(|()| Turn::default());
        let mut began = [(); N].map(|()| Vec::new());
        while now < start + Duration::from_secs(seconds) {
            rounds.begin(now, INTERVAL);
            for (index, turn) in databases.iter_mut().enumerate() {
                if turn.has_come(&rounds, now) {
                    let outcome = outcome(index, began[index].len());
                    began[index].push((now - start).as_secs());
                    let lasts = outcome == Outcome::Unfinished;
                    now += if lasts { VISIT } else { Duration::from_millis(20) };
                    turn.note(outcome, &rounds, now);
                }
            }
            now = now.max(rounds.next_look(&databases));
        }
        began
    }

    #[test]
    fn a_finished_sweep_comes_again_every_round() {
        assert_eq!(turns(290, |_, _| Outcome::Finished), [vec![0, 60, 120, 180, 240]]);
    }

    #[test]
    fn a_database_without_the_extension_comes_less_and_less_often() {
        let [began] = turns(60 * 200, |_, _| Outcome::NoExtension);
        let rounds: Vec<u64> = began.iter().map(|second| second / 60).collect();
        assert_eq!(rounds, [0, 1, 3, 7, 15, 31, 63, 127, 191]);
    }

    #[test]
    fn a_sweep_that_was_left_goes_on_after_a_break() {
        let left = |_, turn| if turn < 4 { Outcome::Unfinished } else { Outcome::Finished };
        assert_eq!(turns(100, left), [vec![0, 3, 6, 9, 12, 60]]);
    }

    #[test]
    fn sweeps_without_end_take_turns_and_let_others_have_theirs() {
        let outcome = |index, _| if index < 2 { Outcome::Unfinished } else { Outcome::Finished };
        let [first, second, third] = turns(600, outcome);
        assert!(first.len() >= 95 && second.len().abs_diff(first.len()) <= 1);
        let late: Vec<u64> = (0..10).zip(third).map(|(round, at)| at - round * 60).collect();
        assert!(late.iter().all(|late| *late <= 7), "a turn in every round: {late:?}");
    }

    #[test]
    fn many_sweeps_that_do_not_fit_into_a_round_starve_nobody() {
        let [began @ .., last] = turns::<40>(1_200, |index, _| match index {
            39 => Outcome::Finished,
            _ => Outcome::Unfinished,
        });
        assert!(began.iter().all(|began| began.len() >= 9));
        assert!(last.windows(2).all(|pair| pair[1] - pair[0] <= 2 * 39 * VISIT.as_secs()));
    }

    #[test]
    fn a_database_that_could_not_be_swept_is_tried_every_second_and_waits_for_no_round() {
        let outcome = |_, turn| if turn < 3 { Outcome::NotNow } else { Outcome::Finished };
        assert_eq!(turns(100, outcome), [vec![0, 1, 2, 3, 60]]);
    }

    #[test]
    fn a_reload_hurries_what_was_put_off_but_no_break() {
        let now = Instant::now();
        let mut rounds = Rounds::new(now);
        rounds.begin(now, INTERVAL);
        let [mut missing, mut left] = [Turn::default(), Turn::default()];
        missing.note(Outcome::NoExtension, &rounds, now);
        left.note(Outcome::Unfinished, &rounds, now);
        for turn in [&mut missing, &mut left] {
            turn.hurry();
        }
        rounds.hurry(now);
        assert!(rounds.begin(now, INTERVAL));
        assert!(missing.has_come(&rounds, now) && !left.has_come(&rounds, now));
        assert!(left.has_come(&rounds, now + BREAK));
    }
}
