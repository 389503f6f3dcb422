use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;
use session_store_client::{Database, Error, Json, Life, Row};
use sqlx::PgPool;

use crate::{
    middleware::Scoped,
    scope::{self, Scope},
};

pub(crate) type State = HashMap<String, String>;

/// actix-session's own (config.rs, `default_ttl`).
const DEFAULT_TTL: Duration = Duration::days(1);

/// Keeps sessions in PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresSessionStore {
    pub(crate) database: Database,
    /// The time to live that the middleware last gave, in seconds. It is always the same, but only told in the end.
    ttl: Arc<AtomicI64>,
}

impl PostgresSessionStore {
    /// A store in the pool's database, which has the extension.
    pub fn new(pool: PgPool) -> Self {
        let ttl = AtomicI64::new(DEFAULT_TTL.whole_seconds());
        Self { database: Database::new(pool), ttl: Arc::new(ttl) }
    }

    /// With false no statement stays prepared. PgBouncer before 1.21 needs that in transaction mode; it makes four round
    /// trips of one.
    #[must_use]
    pub fn with_persistent(mut self, persistent: bool) -> Self {
        self.database.persistent(persistent);
        self
    }

    /// Wraps the middleware that manages the sessions, and tells the store which request asks.
    pub fn scope<M>(&self, session_middleware: M) -> Scoped<M> {
        Scoped::new(self.clone(), session_middleware)
    }

    pub(crate) fn last_ttl(&self) -> Duration {
        Duration::seconds(self.ttl.load(Ordering::Relaxed))
    }

    fn life(&self, ttl: &Duration) -> Life {
        self.ttl.store(ttl.whole_seconds(), Ordering::Relaxed);
        Life::Idle(*ttl)
    }

    fn scope_of_request(&self) -> Option<std::rc::Rc<Scope>> {
        scope::current().filter(|scope| scope.store().database.is_same(&self.database))
    }

    pub(crate) async fn create(&self, state: &State, life: Life) -> Result<Row<String>, Error> {
        if life.is_over() {
            return Ok(Row::unseen(new_sid()));
        }
        loop {
            if let Some(row) = Row::create(&self.database, new_sid(), state, life).await? {
                return Ok(row);
            }
        }
    }
}

impl SessionStore for PostgresSessionStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let sid = key.as_ref();
        if !is_possible(sid) {
            return Ok(None);
        }
        let found = self
            .database
            .fetch(sid, false)
            .await
            .map_err(|error| LoadError::Other(error.into()))?;
        let Some(json) = found else { return Ok(None) };
        let state = json.as_deref().map(String::parse).unwrap_or_else(|| String::parse("")); // opaque: no JSON
        if let Some(scope) = self.scope_of_request() {
            scope.loaded(sid, json).await;
        }
        state.map(Some).map_err(|error| LoadError::Deserialization(error.into()))
    }

    async fn save(&self, state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let life = self.life(ttl);
        let saved = match self.scope_of_request() {
            Some(scope) => scope.save(&state, life).await,
            None => self.create(&state, life).await.map(|row| row.sid().to_owned()),
        };
        saved.map_err(anyhow::Error::from).and_then(as_key).map_err(SaveError::Other)
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let life = self.life(ttl);
        let saved = match self.scope_of_request() {
            Some(scope) => scope.update(key.as_ref(), &state, life).await,
            None => Row::unseen(key.as_ref().to_owned()).save(&self.database, &state, life).await,
        };
        saved.map(|()| key).map_err(|error| UpdateError::Other(error.into()))
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let life = self.life(ttl);
        match self.scope_of_request() {
            Some(scope) => scope.touch(key.as_ref(), life).await?,
            None => {
                Row::<String>::unseen(key.as_ref().to_owned()).touch(&self.database, life).await?
            }
        }
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        match self.scope_of_request() {
            Some(scope) => scope.delete(key.as_ref()).await?,
            None if is_possible(key.as_ref()) => drop(self.database.destroy(key.as_ref()).await?),
            None => (),
        }
        Ok(())
    }
}

/// Drawn as actix-session does.
pub(crate) fn new_sid() -> String {
    generate_session_key().into()
}

fn as_key(sid: String) -> anyhow::Result<SessionKey> {
    Ok(SessionKey::try_from(sid)?)
}

/// An id that no session can have, and some that could not be sent.
fn is_possible(sid: &str) -> bool {
    (1..=256).contains(&sid.len()) && sid.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
