use std::{fmt, future::Future, rc::Rc};

use actix_session::Session;
use actix_web::{HttpResponse, ResponseError, body::BoxBody};
use serde::de::DeserializeOwned;
use serde_json::Value;
use session_store_client::{Device, Error, Login};

use crate::scope::{self, Scope};

/// Why a call of [`Principals`] failed. Browsers are not told.
#[derive(Debug)]
pub struct PrincipalsError(Error);

impl fmt::Display for PrincipalsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for PrincipalsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl ResponseError for PrincipalsError {
    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
    }
}

impl<E: Into<Error>> From<E> for PrincipalsError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

type Result<T> = std::result::Result<T, PrincipalsError>;

/// Sessions that belong to somebody, in requests that come through
/// [`PostgresSessionStore::scope`](crate::PostgresSessionStore::scope).
pub trait Principals {
    /// Renews the key and binds the session to a principal, a user's key, say. What it held of another principal goes, what
    /// it held of nobody stays. The attributes are what a list of devices shows.
    ///
    /// actix-session sends no cookie for a session with nothing in it, so an empty one gets the entry `principal`.
    fn login(&self, principal: &str, attributes: Option<Value>)
    -> impl Future<Output = Result<()>>;

    /// The live sessions of the same principal, this one first; none where nobody is logged in.
    fn devices(&self) -> impl Future<Output = Result<Vec<Device>>>;

    /// Ends the one of them with this handle; false if there is none.
    fn revoke(&self, handle: &str) -> impl Future<Output = Result<bool>>;

    /// Ends all of them but this one, as a change of the password should: their handles.
    fn revoke_others(&self) -> impl Future<Output = Result<Vec<String>>>;

    /// Takes a value out of the session. Of requests that do this at once only one gets it.
    fn pop<T: DeserializeOwned>(&self, key: &str) -> impl Future<Output = Result<Option<T>>>;
}

impl Principals for Session {
    async fn login(&self, principal: &str, attributes: Option<Value>) -> Result<()> {
        let login = Login::new(principal, attributes.as_ref())?;
        Ok(scope()?.login(self, &login).await?)
    }

    async fn devices(&self) -> Result<Vec<Device>> {
        let scope = scope()?;
        Ok(match scope.sid().await {
            Some(sid) => scope.database().devices(&sid).await?,
            None => Vec::new(),
        })
    }

    async fn revoke(&self, handle: &str) -> Result<bool> {
        let scope = scope()?;
        Ok(match scope.sid().await {
            Some(sid) => scope.database().revoke(&sid, handle).await?,
            None => false,
        })
    }

    async fn revoke_others(&self) -> Result<Vec<String>> {
        let scope = scope()?;
        Ok(match scope.sid().await {
            Some(sid) => scope.database().revoke_others(&sid).await?,
            None => Vec::new(),
        })
    }

    async fn pop<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let scope = scope()?;
        let Some(value) = self.entries().get(key).cloned() else { return Ok(None) };
        let taken = scope.pop(key, &value).await?;
        self.remove(key);
        Ok(if taken { serde_json::from_str(&value)? } else { None })
    }
}

fn scope() -> Result<Rc<Scope>> {
    Ok(scope::current().ok_or(Error::NoScope)?)
}
