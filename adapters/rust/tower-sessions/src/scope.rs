//! What is known of the request that asks. tower-sessions tells a store neither that nor why it deletes a session.

use std::{
    any::Any,
    collections::HashMap,
    sync::{self, Arc, OnceLock, PoisonError},
};

use http::StatusCode;
use serde_json::Value;
use session_store_client::{Database, Error, Json, Life, Login, Row};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;
use tower_sessions::{
    Expiry, Session,
    session::{Id, Record},
};

use crate::store::PostgresStore;

/// tower-sessions' own (tower-sessions-core, session.rs).
const UNTIL_SESSION_END: Duration = Duration::weeks(2);

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// The request's, unless it is another store's.
pub(crate) fn current(store: &PostgresStore) -> Option<Arc<Scope>> {
    any().filter(|scope| scope.store.database.is_same(&store.database))
}

pub(crate) fn any() -> Option<Arc<Scope>> {
    SCOPE.try_with(Arc::clone).ok()
}

#[derive(Debug)]
pub(crate) struct Scope {
    store: PostgresStore,
    session: OnceLock<Session>,
    state: Mutex<State>,
    answer: sync::Mutex<Option<(StatusCode, Box<dyn Any + Send>)>>,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<Id, Row<Value>>,
    /// The browser presented an id that no session has.
    unknown: bool,
    /// A session whose id is renewed: it moves when it is saved.
    renewing: Option<Id>,
    /// What it is to be bound to then.
    login: Option<Login>,
    /// It had ended when it was to be saved.
    late: bool,
}

impl Scope {
    pub(crate) fn new(store: PostgresStore) -> Arc<Self> {
        Arc::new(Self {
            store,
            session: OnceLock::new(),
            state: Mutex::default(),
            answer: sync::Mutex::default(),
        })
    }

    pub(crate) async fn run<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        SCOPE.scope(self, request).await
    }

    pub(crate) fn database(&self) -> &Database {
        &self.store.database
    }

    /// tower-sessions has begun with the request.
    pub(crate) fn begin(&self, session: &Session) {
        self.session.get_or_init(|| session.clone());
    }

    /// What is shown to tower-sessions of an answer: it leaves the cookie alone if the session is not empty and the answer
    /// is an error of the server. A cookie that is unknown may be so since a login of which this request does not know.
    pub(crate) async fn seen_status(&self, status: StatusCode) -> StatusCode {
        let unknown = {
            let state = self.state.lock().await;
            state.unknown && state.rows.is_empty()
        };
        match self.session.get() {
            Some(session) if unknown && session.is_empty().await => {
                // The session is not saved any more.
                session
                    .insert_value("", Value::Null)
                    .await
                    .map_or(status, |_| StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => status,
        }
    }

    /// The answer, and the status that tower-sessions sees.
    pub(crate) fn keep<T: Send + 'static>(&self, status: StatusCode, answer: T) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((status, Box::new(answer)));
    }

    pub(crate) fn answer<T: 'static>(&self) -> Option<(StatusCode, T)> {
        let (status, answer) = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((status, *answer.downcast().ok()?))
    }

    /// As tower-sessions has it for a record's `expiry_date`. What it calls inactivity is that nothing is saved.
    fn life(&self) -> Life {
        match self.session.get().and_then(Session::expiry) {
            Some(Expiry::AtDateTime(end)) => Life::Until(end),
            Some(Expiry::OnInactivity(lifetime)) => Life::Idle(lifetime),
            Some(Expiry::OnSessionEnd) | None => Life::Idle(UNTIL_SESSION_END),
        }
    }

    pub(crate) async fn load(&self, id: &Id) -> Result<Option<Record>, Error> {
        let mut state = self.state.lock().await;
        let sid = id.to_string();
        let json = self.database().fetch(&sid, false).await?.flatten();
        state.unknown = json.is_none();
        let Some(json) = json else { return Ok(None) };
        let data = Value::parse(&json)?;
        state.rows.insert(*id, Row::loaded(sid, json));
        let expiry_date =
            self.session.get().map_or_else(OffsetDateTime::now_utc, Session::expiry_date);
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    pub(crate) async fn save(&self, record: &Record) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let life = self.life();
        let row = state.rows.entry(record.id).or_insert_with(|| Row::unseen(record.id.to_string()));
        let saved = row.save(self.database(), &record.data, life).await;
        state.note(saved)
    }

    /// A session that begins, or that gets another id.
    pub(crate) async fn create(&self, record: &mut Record) -> Result<(), Error> {
        let life = self.life();
        let mut state = self.state.lock().await;
        if life.is_over() {
            let renewing = state.renewing.take();
            return match renewing.and_then(|id| state.rows.get_mut(&id)) {
                Some(row) => row.destroy(self.database()).await,
                None => Ok(()),
            };
        }
        if state.unknown && self.is_unused() {
            return state.note(Err(Error::Ended));
        }
        if state.rows.contains_key(&record.id) {
            record.id = Id::default(); // what begins after `Session::flush` still has the id that has ended
        }
        let created = self.create_row(&mut state, record, life).await;
        state.note(created)
    }

    /// Whether the request is answered and has left its session alone: it is the option `always_save` that saves it.
    fn is_unused(&self) -> bool {
        let answered = self.answer.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        answered && self.session.get().is_some_and(|session| !session.is_modified())
    }

    async fn create_row(
        &self,
        state: &mut State,
        record: &mut Record,
        life: Life,
    ) -> Result<(), Error> {
        let (database, sid) = (self.database(), record.id.to_string());
        let State { rows, renewing, login, .. } = state;
        let begun = match (renewing.and_then(|id| rows.get_mut(&id)), login) {
            (Some(row), Some(login)) => {
                record.data = row.login(database, sid, login, &record.data, life).await?;
                None
            }
            (Some(row), None) => {
                row.renew(database, sid, &record.data, life).await?;
                None
            }
            (None, Some(login)) => {
                Some(Row::begin(database, sid, login, &record.data, life).await?)
            }
            (None, None) => Some(self.store.create_alone(record, life).await?),
        };
        let moved = renewing.take().and_then(|id| rows.remove(&id));
        rows.extend(begun.or(moved).map(|row| (record.id, row)));
        Ok(())
    }

    /// `Session::cycle_id` lets go of the id before it has the store delete the session, `delete` and `flush` do not.
    pub(crate) async fn delete(&self, id: &Id) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let renewal = self.session.get().is_some_and(|session| session.id().is_none());
        if renewal && (state.rows.contains_key(id) || state.renewing.is_some()) {
            state.renewing.get_or_insert(*id);
            return Ok(());
        }
        state
            .rows
            .entry(*id)
            .or_insert_with(|| Row::unseen(id.to_string()))
            .destroy(self.database())
            .await
    }

    /// Has the session that is saved next belong to somebody.
    pub(crate) async fn bind(&self, login: Option<Login>) {
        self.state.lock().await.login = login;
    }

    /// Whether a session waits for being saved under another id.
    pub(crate) async fn is_renewing(&self) -> bool {
        self.state.lock().await.renewing.is_some()
    }

    /// Takes a value out of a session that was loaded; false where another request was faster.
    pub(crate) async fn pop(&self, id: Id, key: &str, value: &Value) -> Result<bool, Error> {
        let mut state = self.state.lock().await;
        match state.rows.get_mut(&id) {
            Some(row) => row.pop(&self.store.database, key, value, self.life()).await,
            None => Ok(true),
        }
    }

    /// Ends a session that was renewed and then emptied: tower-sessions has deleted it already, and saves no other. Whether
    /// a session had ended when it was to be saved.
    pub(crate) async fn finish(&self) -> Result<bool, Error> {
        let mut state = self.state.lock().await;
        let State { rows, renewing, .. } = &mut *state;
        let renewing = renewing.take().and_then(|id| rows.get_mut(&id));
        if let (Some(row), Some(session)) = (renewing, self.session.get())
            && session.is_empty().await
        {
            row.destroy(self.database()).await?;
        }
        Ok(state.late)
    }
}

impl State {
    fn note<T>(&mut self, saved: Result<T, Error>) -> Result<T, Error> {
        self.late |= matches!(saved, Err(Error::Ended));
        saved
    }
}
