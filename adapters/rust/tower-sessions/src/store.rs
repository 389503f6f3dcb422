use async_trait::async_trait;
use serde_json::Value;
use session_store_client::{Database, Error, Json, Life, Row};
use sqlx::PgPool;
use time::PrimitiveDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store,
};

use crate::{layer::ScopedLayer, scope};

/// Keeps sessions in PostgreSQL.
///
/// Within a request a record that is loaded has the `expiry_date` that it would get if it were saved then.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pub(crate) database: Database,
}

impl PostgresStore {
    /// A store in the pool's database, which has the extension.
    pub fn new(pool: PgPool) -> Self {
        Self { database: Database::new(pool) }
    }

    /// With false no statement stays prepared. PgBouncer before 1.21 needs that in transaction mode; it makes four round
    /// trips of one.
    #[must_use]
    pub fn with_persistent(mut self, persistent: bool) -> Self {
        self.database.persistent(persistent);
        self
    }

    /// Wraps the layer that manages the sessions, and tells the store which request asks.
    pub fn scope<L>(&self, session_layer: L) -> ScopedLayer<L> {
        ScopedLayer::new(self.clone(), session_layer)
    }

    /// Outside of a request nobody says when the session would end if it were saved now.
    async fn load_alone(&self, id: &Id) -> Result<Option<Record>, Error> {
        let sid = id.to_string();
        let Some(json) = self.database.fetch(&sid, false).await?.flatten() else { return Ok(None) };
        let Some((ends, _)) = self.database.look(&sid).await? else { return Ok(None) };
        let expiry_date = ends.unwrap_or(PrimitiveDateTime::MAX.assume_utc());
        Ok(Some(Record { id: *id, data: Value::parse(&json)?, expiry_date }))
    }

    /// There is nothing to compare with.
    async fn save_alone(&self, record: &Record) -> Result<(), Error> {
        Row::unseen(record.id.to_string())
            .save(&self.database, &record.data, Life::Until(record.expiry_date))
            .await
    }

    pub(crate) async fn create_alone(
        &self,
        record: &mut Record,
        life: Life,
    ) -> Result<Row<Value>, Error> {
        loop {
            if let Some(row) =
                Row::create(&self.database, record.id.to_string(), &record.data, life).await?
            {
                return Ok(row);
            }
            record.id = Id::default();
        }
    }
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        if let Some(scope) = scope::current(self) {
            return scope.create(record).await.map_err(reported);
        }
        let life = Life::Until(record.expiry_date);
        if !life.is_over() {
            self.create_alone(record, life).await.map_err(reported)?;
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        match scope::current(self) {
            Some(scope) => scope.save(record).await,
            None => self.save_alone(record).await,
        }
        .map_err(reported)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        match scope::current(self) {
            Some(scope) => scope.load(id).await,
            None => self.load_alone(id).await,
        }
        .map_err(reported)
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        match scope::current(self) {
            Some(scope) => scope.delete(id).await,
            None => self.database.destroy(&id.to_string()).await.map(drop).map_err(Error::from),
        }
        .map_err(reported)
    }
}

pub(crate) fn reported(error: Error) -> session_store::Error {
    match error {
        Error::Content(error) => session_store::Error::Decode(error.to_string()),
        error => session_store::Error::Backend(error.to_string()),
    }
}
