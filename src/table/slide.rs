//! Sliding: keeping a session alive because it was read.
//!
//! A read must cost nobody anything, so it only remembers that the expiry should move. The row is
//! written just before commit, when its lock is held for an instant, and only if nobody else has
//! it: never waiting, never failing, at any isolation level. Rolling back forgets it.

use super::Table;
use super::session::State;
use crate::id::SessionKey;
use crate::lifetime::Timestamp;
use crate::pg::{self, LockMode, XactEvent};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// More sessions than one request uses, and as many subtransactions as PostgreSQL keeps track of
/// cheaply. A transaction that reads through all sessions slides the first ones only.
const MOST: usize = 64;

struct Slide {
    expiry: Timestamp,
    subtransaction: u32,
}

/// By session and by what was read of it: a state from before a savepoint stays for its rollback.
type Slides = HashMap<(SessionKey, State), Slide>;

struct Pending {
    table: Option<Rc<Table>>,
    slides: Option<Slides>,
}

thread_local! {
    static PENDING: RefCell<Pending> = const { RefCell::new(Pending { table: None, slides: None }) };
}

/// Follows transactions; called once, when the library is loaded.
pub fn init() {
    pg::on_transaction_event(|event| {
        if event == XactEvent::End {
            pg::commit_as_set();
        }
        if PENDING.with_borrow(|pending| pending.slides.is_none()) {
            return;
        }
        match event {
            XactEvent::PreCommit => apply(),
            XactEvent::End => drop(take()),
            XactEvent::SubCommit { sub, parent } => change(|slides| {
                let of_sub = slides.values_mut().filter(|slide| slide.subtransaction == sub);
                of_sub.for_each(|slide| slide.subtransaction = parent);
            }),
            XactEvent::SubAbort { sub } => {
                change(|slides| slides.retain(|_, slide| slide.subtransaction != sub));
            }
        }
    });
}

/// Remembers to move the expiry of a session from what was read to `expiry`.
pub fn remember(table: &Rc<Table>, key: &SessionKey, state: State, expiry: Timestamp) {
    let subtransaction = pg::current_subtransaction();
    PENDING.with_borrow_mut(|pending| {
        pending.table.get_or_insert_with(|| table.clone());
        let slides = pending.slides.get_or_insert_default();
        let is_full = slides.len() >= MOST;
        match slides.get_mut(&(*key, state)) {
            // What was remembered outside a subtransaction outlives its rollback.
            Some(slide) => slide.expiry = expiry,
            None if is_full => {}
            None => drop(slides.insert((*key, state), Slide { expiry, subtransaction })),
        }
    });
}

/// The expiry that this transaction will give at commit to a session in this state.
pub fn pending_expiry(key: &SessionKey, state: State) -> Option<Timestamp> {
    PENDING.with_borrow(|pending| {
        let slide = pending.slides.as_ref()?.get(&(*key, state))?;
        Some(slide.expiry)
    })
}

fn change(change: impl FnOnce(&mut Slides)) {
    PENDING.with_borrow_mut(|pending| pending.slides.as_mut().map(change));
}

fn take() -> Option<(Rc<Table>, Slides)> {
    PENDING.with_borrow_mut(|pending| pending.table.take().zip(pending.slides.take()))
}

fn apply() {
    let Some((table, slides)) = take() else { return };
    if pg::is_read_only() || slides.is_empty() {
        return;
    }
    // A trigger on the table may have something to say.
    let _call = pg::Call::begin();
    // The application does not wait for a disk or a standby because it has read a session.
    if !pg::has_written() {
        pg::commit_asynchronously();
    }
    // An error, were it only a full disk, must not take the application's transaction along. Nor
    // the other slides, so after one each gets a subtransaction of its own.
    let all_went_well =
        pg::in_subtransaction(|| slides.iter().for_each(|slide| write(&table, slide)));
    if !all_went_well && slides.len() > 1 {
        for slide in &slides {
            pg::in_subtransaction(|| write(&table, slide));
        }
    }
}

fn write(table: &Table, ((key, state), slide): (&(SessionKey, State), &Slide)) {
    // What ended since it was read stays ended; and who holds the table is not waited for.
    if state.has_expired(pg::clock()) || !table.try_lock(LockMode::Write) {
        return;
    }
    table.slide_now(key, *state, slide.expiry);
}
