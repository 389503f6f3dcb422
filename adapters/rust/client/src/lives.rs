use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::Life;

/// How many sessions are remembered.
const MOST: usize = 50_000;

/// Which life this process has given to sessions, for frameworks that keep them alive with every request. Of those the
/// look-up does it, in the same round trip.
#[derive(Debug, Default)]
pub struct Lives {
    rolling: AtomicBool,
    known: Mutex<HashMap<String, Life>>,
}

impl Lives {
    /// The framework keeps sessions alive that did not change. It tells a store only by doing it.
    pub fn roll(&self) {
        self.rolling.store(true, Ordering::Relaxed);
    }

    /// Whether the look-up is to keep a session alive, that is, if it has this life.
    pub fn is(&self, sid: &str, life: Life) -> bool {
        self.rolling.load(Ordering::Relaxed) && self.known().get(sid) == Some(&life)
    }

    /// A session has got this life.
    pub fn given(&self, sid: &str, life: Life) {
        if !self.rolling.load(Ordering::Relaxed) || self.is(sid, life) {
            return;
        }
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(sid.to_owned(), life);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Life>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
