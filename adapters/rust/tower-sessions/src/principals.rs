use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use session_store_client::{Device, Error, Login};
use tower_sessions::{
    Session,
    session::{Error as SessionError, Id},
};

use crate::{
    scope::{self, Scope},
    store::reported,
};

type Result<T> = std::result::Result<T, SessionError>;

/// Sessions that belong to somebody, in requests that come through [`PostgresStore::scope`](crate::PostgresStore::scope).
pub trait Principals {
    /// Renews the id and binds the session to a principal, a user's key, say. What it held of another principal goes, what
    /// it held of nobody stays. The attributes are what a list of devices shows.
    fn login(
        &self,
        principal: &str,
        attributes: Option<Value>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The live sessions of the same principal, this one first; none where nobody is logged in.
    fn devices(&self) -> impl Future<Output = Result<Vec<Device>>> + Send;

    /// Ends the one of them with this handle; false if there is none.
    fn revoke(&self, handle: &str) -> impl Future<Output = Result<bool>> + Send;

    /// Ends all of them but this one, as a change of the password should: their handles.
    fn revoke_others(&self) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Takes a value out of the session. Of requests that do this at once only one gets it.
    fn pop<T: DeserializeOwned>(&self, key: &str)
    -> impl Future<Output = Result<Option<T>>> + Send;
}

impl Principals for Session {
    async fn login(&self, principal: &str, attributes: Option<Value>) -> Result<()> {
        let login = Login::new(principal, attributes.as_ref()).map_err(reported)?;
        let scope = scope()?;
        load(self).await?;
        scope.bind(Some(login)).await;
        let saved = renew(self).await;
        scope.bind(None).await;
        saved
    }

    async fn devices(&self) -> Result<Vec<Device>> {
        let scope = scope()?;
        match settled(self, &scope).await? {
            Some(id) => Ok(scope.database().devices(&id.to_string()).await.map_err(database)?),
            None => Ok(Vec::new()),
        }
    }

    async fn revoke(&self, handle: &str) -> Result<bool> {
        let scope = scope()?;
        match settled(self, &scope).await? {
            Some(id) => {
                Ok(scope.database().revoke(&id.to_string(), handle).await.map_err(database)?)
            }
            None => Ok(false),
        }
    }

    async fn revoke_others(&self) -> Result<Vec<String>> {
        let scope = scope()?;
        match settled(self, &scope).await? {
            Some(id) => {
                Ok(scope.database().revoke_others(&id.to_string()).await.map_err(database)?)
            }
            None => Ok(Vec::new()),
        }
    }

    async fn pop<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let scope = scope()?;
        let Some(value) = self.get_value(key).await? else { return Ok(None) };
        let taken = match settled(self, &scope).await? {
            Some(id) => scope.pop(id, key, &value).await.map_err(reported)?,
            None => true,
        };
        self.remove_value(key).await?;
        Ok(if taken { serde_json::from_value(value)? } else { None })
    }
}

fn scope() -> Result<Arc<Scope>> {
    Ok(scope::any().ok_or(Error::NoScope).map_err(reported)?)
}

/// Afterwards a session whose id is unknown has none.
async fn load(session: &Session) -> Result<()> {
    session.get_value("").await.map(drop)
}

/// Under another id, if there is one already.
async fn renew(session: &Session) -> Result<()> {
    match session.id() {
        Some(_) => session.cycle_id().await?,
        None => session.set_expiry(session.expiry()), // modified, so that the cookie is sent
    }
    session.save().await
}

/// The id by which the database knows the session.
async fn settled(session: &Session, scope: &Scope) -> Result<Option<Id>> {
    if scope.is_renewing().await {
        session.save().await?;
    }
    Ok(session.id())
}

fn database(error: sqlx::Error) -> tower_sessions::session_store::Error {
    reported(error.into())
}
