use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use time::Duration;

/// How many sessions are remembered.
const MOST: usize = 50_000;

/// Which idle lifetime this process has given to sessions that each request keeps alive. To give it again would be a write,
/// which locks the session, though it changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Lifetimes(Mutex<HashMap<String, Duration>>);

impl Lifetimes {
    pub(crate) fn has(&self, sid: &str, lifetime: Duration) -> bool {
        self.known().get(sid) == Some(&lifetime)
    }

    pub(crate) fn given(&self, sid: &str, lifetime: Duration) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(sid.to_owned(), lifetime);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
