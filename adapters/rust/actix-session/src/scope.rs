//! What is known of the request that asks. actix-session tells a store neither that nor why it deletes a session.

use std::{
    any::Any,
    cell::{OnceCell, RefCell},
    rc::Rc,
};

use actix_session::{Session, SessionStatus};
use serde_json::value::RawValue;
use session_store_client::{Database, Error, Life, Login, Row};
use tokio::sync::Mutex;

use crate::store::{PostgresSessionStore, State, new_sid};

tokio::task_local! {
    static SCOPE: Rc<Scope>;
}

pub(crate) fn current() -> Option<Rc<Scope>> {
    SCOPE.try_with(Rc::clone).ok()
}

pub(crate) struct Scope {
    store: PostgresSessionStore,
    session: OnceCell<Session>,
    known: Mutex<Known>,
    answer: RefCell<Option<Box<dyn Any>>>,
}

#[derive(Default)]
struct Known {
    row: Option<Row<String>>,
    /// A login has given it this id, or begun it, while actix-session knows another, or none.
    moved: bool,
    /// It had ended when it was to be saved.
    late: bool,
}

impl Scope {
    pub(crate) fn new(store: PostgresSessionStore) -> Rc<Self> {
        Rc::new(Self {
            store,
            session: OnceCell::new(),
            known: Mutex::default(),
            answer: RefCell::default(),
        })
    }

    pub(crate) async fn run<F: Future>(self: Rc<Self>, request: F) -> F::Output {
        SCOPE.scope(self, request).await
    }

    pub(crate) fn store(&self) -> &PostgresSessionStore {
        &self.store
    }

    pub(crate) fn database(&self) -> &Database {
        &self.store.database
    }

    /// actix-session has begun with the request.
    pub(crate) fn begin(&self, session: Session) {
        self.session.get_or_init(|| session);
    }

    pub(crate) fn keep<T: 'static>(&self, answer: T) {
        self.answer.replace(Some(Box::new(answer)));
    }

    pub(crate) fn answer<T: 'static>(&self) -> Option<T> {
        Some(*self.answer.take()?.downcast().ok()?)
    }

    fn is(&self, status: SessionStatus) -> bool {
        self.session.get().is_some_and(|session| session.status() == status)
    }

    /// The id by which the database knows the session.
    pub(crate) async fn sid(&self) -> Option<String> {
        self.known.lock().await.row.as_ref().map(|row| row.sid().to_owned())
    }

    pub(crate) async fn loaded(&self, sid: &str, json: Option<String>) {
        let sid = sid.to_owned();
        self.known.lock().await.row = Some(match json {
            Some(json) => Row::loaded(sid, json),
            None => Row::unseen(sid),
        });
    }

    /// A session that begins, or that gets another id: actix-session has it deleted before.
    pub(crate) async fn save(&self, state: &State, life: Life) -> Result<String, Error> {
        let mut known = self.known.lock().await;
        let Known { row, moved, .. } = &mut *known;
        let saved = match row {
            Some(row) if *moved => row.save(self.database(), state, life).await,
            Some(row) if self.is(SessionStatus::Renewed) => {
                row.renew(self.database(), new_sid(), state, life).await
            }
            _ => self.store.create(state, life).await.map(|begun| *row = Some(begun)),
        };
        let sid = row.as_ref().map_or_else(String::new, |row| row.sid().to_owned());
        known.note(saved).map(|()| sid)
    }

    pub(crate) async fn update(&self, sid: &str, state: &State, life: Life) -> Result<(), Error> {
        let mut known = self.known.lock().await;
        let saved = known.row(sid).save(self.database(), state, life).await;
        known.note(saved)
    }

    pub(crate) async fn touch(&self, sid: &str, life: Life) -> Result<(), Error> {
        let mut known = self.known.lock().await;
        let touched = known.row(sid).touch(self.database(), life).await;
        known.note(touched)
    }

    /// A session that is renewed is saved next.
    pub(crate) async fn delete(&self, sid: &str) -> Result<(), Error> {
        if self.is(SessionStatus::Renewed) {
            return Ok(());
        }
        self.known.lock().await.row(sid).destroy(self.database()).await
    }

    /// Moves the session to another id and binds it. It is saved and sent under that id later.
    pub(crate) async fn login(&self, session: &Session, login: &Login) -> Result<(), Error> {
        if session.status() == SessionStatus::Purged {
            return Err(Error::Ended);
        }
        let mut known = self.known.lock().await;
        let life = Life::Idle(self.store.last_ttl());
        if let Some(row) = &mut known.row {
            let state = session.entries().clone();
            let state = row.login(self.database(), new_sid(), login, &state, life).await?;
            replace(session, &state)?;
        } else {
            if session.entries().is_empty() {
                session.insert("principal", login.principal()).map_err(encoding)?; // what is empty gets no cookie
            }
            let state = session.entries().clone();
            known.row = Some(Row::begin(self.database(), new_sid(), login, &state, life).await?);
        }
        known.moved = true;
        session.renew();
        Ok(())
    }

    /// Takes a value out of the session; false where another request was faster.
    pub(crate) async fn pop(&self, key: &str, value: &String) -> Result<bool, Error> {
        match &mut self.known.lock().await.row {
            Some(row) => {
                row.pop(self.database(), key, value, Life::Idle(self.store.last_ttl())).await
            }
            None => Ok(true),
        }
    }

    /// Ends a session that a login has begun and that is purged: actix-session does not know of it. Whether a session had
    /// ended when it was to be saved.
    pub(crate) async fn finish(&self) -> Result<bool, Error> {
        let mut known = self.known.lock().await;
        let begun = known.moved && self.is(SessionStatus::Purged);
        if let Some(row) = known.row.as_mut().filter(|row| begun && !row.has_ended()) {
            row.destroy(self.database()).await?;
        }
        Ok(known.late)
    }
}

impl Known {
    /// The row of a session that actix-session knows by this id.
    fn row(&mut self, sid: &str) -> &mut Row<String> {
        if !self.moved && self.row.as_ref().is_none_or(|row| row.sid() != sid) {
            self.row = None;
        }
        self.row.get_or_insert_with(|| Row::unseen(sid.to_owned()))
    }

    fn note<T>(&mut self, saved: Result<T, Error>) -> Result<T, Error> {
        self.late |= matches!(saved, Err(Error::Ended));
        saved
    }
}

/// Has the session hold this, and nothing else.
fn replace(session: &Session, state: &State) -> Result<(), Error> {
    let before = session.entries().clone();
    for key in before.keys().filter(|key| !state.contains_key(*key)) {
        session.remove(key);
    }
    for (key, value) in state.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
        let value: &RawValue = serde_json::from_str(value)?;
        session.insert(key, value).map_err(encoding)?;
    }
    Ok(())
}

fn encoding(error: actix_session::SessionInsertError) -> Error {
    sqlx::Error::Encode(error.to_string().into()).into()
}
