use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::Life;

/// How many sessions are remembered.
const MOST: usize = 50_000;

/// Which life this process has given to sessions that each request keeps alive. To give it again would be a write, which
/// locks the session, though it changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Lives(Mutex<HashMap<String, Life>>);

impl Lives {
    pub(crate) fn has(&self, sid: &str, life: Life) -> bool {
        self.known().get(sid) == Some(&life)
    }

    pub(crate) fn given(&self, sid: &str, life: Life) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(sid.to_owned(), life);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Life>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
