//! Counts what sqlx sends: it reports every statement, in the thread of the one test that runs there.
//!
//! One subscriber for all tests, and before any of them has a connection: `tracing` may miss one that comes while another
//! thread makes its first report, and remembers that nobody listens.

use std::{cell::RefCell, sync::Once};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::set_global_default,
};

thread_local! {
    static SENT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// To be called before the first statement.
pub fn listen() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| set_global_default(Listener).unwrap());
}

/// Those that this test has sent since the last time.
pub fn take() -> Vec<String> {
    SENT.take()
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Summary);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Summary;

impl Visit for Summary {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            SENT.with_borrow_mut(|sent| sent.push(value.to_owned()));
        }
    }
}
