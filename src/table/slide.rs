//! Sliding at commit: keeping a session alive because it was read, where the table is plain.
//!
//! A read must cost nobody anything, so it only remembers that the expiry should move. The row is
//! written just before commit, when its lock is held for an instant, and only if nobody else has it, nor
//! the table, nor an index: never waiting, at any isolation level. Rolling back forgets it.
//!
//! No code of others can run then: it could bring down the server. So where the table is not plain any
//! more the slide is dropped.

use super::Table;
use super::columns::Changes;
use super::session::State;
use crate::id::SessionKey;
use crate::pg::{self, Access, Call, Lock, LockMode, PlainTable, Timestamp, XactEvent};
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

/// Follows a transaction to its end.
pub fn follow(event: XactEvent) {
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
}

/// Remembers to move the expiry of a session from what was read to `expiry`, unless there are too many
/// already: whether it does.
pub fn remember(table: &Rc<Table>, key: &SessionKey, state: State, expiry: Timestamp) -> bool {
    let subtransaction = pg::current_subtransaction();
    PENDING.with_borrow_mut(|pending| {
        pending.table.get_or_insert_with(|| table.clone());
        let slides = pending.slides.get_or_insert_default();
        let is_full = slides.len() >= MOST;
        match slides.get_mut(&(*key, state)) {
            // What was remembered outside a subtransaction outlives its rollback.
            Some(slide) => slide.expiry = expiry,
            None if is_full => return false,
            None => drop(slides.insert((*key, state), Slide { expiry, subtransaction })),
        }
        true
    })
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
    let call = Call::internal();
    // The client has its answer by now, and what it or a timeout cancels is the commit.
    let _held = pg::HeldInterrupts::begin();
    // Who holds the table is not waited for.
    let Some(lock) = call.try_lock(table.name.table, LockMode::Write) else { return };
    let Some(table) = table.under(&lock) else { return };
    let Some(plain) = table.plain.as_ref().filter(|plain| plain.is_writable()) else {
        return;
    };
    let has_written = pg::has_written();
    let mut has_slid = false;
    for ((key, state), slide) in &slides {
        // What ended since it was read stays ended.
        if !state.has_expired(pg::clock()) {
            has_slid |= write(plain, &lock, key, *state, slide.expiry);
        }
    }
    // The application does not wait for a disk or a standby because it has read a session.
    if has_slid && !has_written {
        pg::commit_asynchronously();
    }
}

fn write(
    table: &PlainTable,
    lock: &Lock<'_>,
    key: &SessionKey,
    read: State,
    expiry: Timestamp,
) -> bool {
    let found = table.find(lock, key.as_bytes(), Access::ReadWrite, |row| {
        State::read(row).filter(|state| *state == read).map(|_| row.place())
    });
    let changes = Changes { expiry: Some(expiry), ..Changes::default() };
    found
        .flatten()
        .is_some_and(|place| table.update_without_waiting(lock, place, changes.values()).is_done())
}
