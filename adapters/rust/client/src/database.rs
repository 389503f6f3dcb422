//! Every statement that is sent. Each is one round trip, and needs nothing of the connection.

use std::sync::Arc;

use serde_json::Value;
use sqlx::{
    FromRow, PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::QueryAs,
};
use time::OffsetDateTime;

use crate::{Error, Life, content::Difference, lifetimes::Lifetimes};

type Query<'q, T> = QueryAs<'q, Postgres, T, PgArguments>;

/// The extension's functions, in the database of a pool.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
    persistent: bool,
    lifetimes: Arc<Lifetimes>,
}

/// Whom a login binds a session to.
#[derive(Clone, Debug)]
pub struct Login {
    principal: String,
    attributes: Option<String>,
}

impl Login {
    /// A user's key, say, and what a list of devices shows.
    pub fn new(principal: &str, attributes: Option<&Value>) -> Result<Self, Error> {
        if principal.is_empty() || principal.len() > 256 || principal.contains('\0') {
            return Err(Error::Principal);
        }
        Ok(Self { principal: principal.to_owned(), attributes: attributes.map(Value::to_string) })
    }

    /// Whom.
    pub fn principal(&self) -> &str {
        &self.principal
    }
}

/// One session of a user, as a list of devices shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Names the session for `revoke`. It is no session id.
    pub handle: String,
    /// Whether it is the session that asks.
    pub is_this: bool,
    /// What the login gave.
    pub attributes: Option<Value>,
    /// When the session began.
    pub created_at: OffsetDateTime,
    /// When the user logged in.
    pub authenticated_at: Option<OffsetDateTime>,
    /// When it was last kept alive; unknown of a session that ends at a date.
    pub last_seen: Option<OffsetDateTime>,
    /// When it ends, unless it is used before; never if there is no limit.
    pub expires_at: Option<OffsetDateTime>,
}

impl FromRow<'_, PgRow> for Device {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        type Columns = (
            String,
            bool,
            Option<String>,
            OffsetDateTime,
            Option<OffsetDateTime>,
            Option<OffsetDateTime>,
            Option<OffsetDateTime>,
        );
        let (handle, is_this, attributes, created_at, authenticated_at, last_seen, expires_at) =
            Columns::from_row(row)?;
        let attributes = attributes.map(|json| serde_json::from_str(&json)).transpose();
        let attributes = attributes.map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            handle,
            is_this,
            attributes,
            created_at,
            authenticated_at,
            last_seen,
            expires_at,
        })
    }
}

/// The arguments of a lifetime, in seconds. An interval cannot be infinite before PostgreSQL 17.
macro_rules! life {
    ($lifetime:literal, $remaining:literal) => {
        concat!(
            "make_interval(secs => $",
            $lifetime,
            "::float8), CASE WHEN $",
            $remaining,
            "::float8 = 'infinity' ",
            "THEN 'infinity' ELSE now() + make_interval(secs => $",
            $remaining,
            "::float8) END",
        )
    };
}

const FETCH: &str = "SELECT data::text FROM session_fetch($1::text, $2::boolean)";
const CREATE: &str =
    concat!("SELECT session_save($1::text, $2::text, 0, ", life!(3, 4), ") IS NOT NULL");
const REPLACE: &str =
    concat!("SELECT session_save($1::text, $2::text, NULL, ", life!(3, 4), ") IS NOT NULL");
const PATCH: &str =
    concat!("SELECT session_patch($1::text, $2::text, $3::text[], ", life!(4, 5), ") IS NOT NULL");
const RENEW: &str = concat!(
    "SELECT session_patch(session_regenerate($6::text, $1::text, must_exist => true), $2::text, $3::text[], ",
    life!(4, 5),
    ") IS NOT NULL",
);
/// A session that has ended is not brought back: another begins.
const LOGIN: &str = concat!(
    "WITH bound AS MATERIALIZED (SELECT coalesce(
         session_login($6::text, $7::text, $8::jsonb, $1::text, must_exist => true),
         session_login(NULL, $7::text, $8::jsonb, $1::text)) AS sid),
     changed AS MATERIALIZED (SELECT session_patch(sid, $2::text, $3::text[], ",
    life!(4, 5),
    ") AS version FROM bound)
     SELECT data::text FROM changed, LATERAL session_fetch($1::text, false) WHERE changed.version IS NOT NULL",
);
const TOUCH: &str = concat!("SELECT session_touch($1::text, ", life!(2, 3), ") IS NOT NULL");
const LOOK: &str =
    "SELECT nullif(ends, 'infinity'), extract(epoch FROM nullif(ends, 'infinity') - now())::float8
                    FROM session_touch($1::text) AS ends WHERE ends IS NOT NULL";
const POP: &str = "SELECT session_pop($1::text, $2::text) IS NOT NULL";
const DESTROY: &str = "SELECT session_destroy($1::text)";
const BIND: &str = "SELECT CASE WHEN EXISTS (SELECT FROM session_devices($1::text)) THEN false
                                ELSE session_bind($1::text, $2::text) END";
const DEVICES: &str =
    "SELECT handle, is_this, attributes::text, created_at, authenticated_at, last_seen,
                           nullif(expires_at, 'infinity')
                       FROM session_devices($1::text)";
const REVOKE: &str = "SELECT session_revoke($1::text, $2::text)";
const REVOKE_OTHERS: &str = "SELECT session_revoke_others($1::text)";

impl Database {
    /// Statements are prepared once per connection.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, persistent: true, lifetimes: Arc::default() }
    }

    /// Whether it is this one, or a clone of it.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.lifetimes, &other.lifetimes)
    }

    /// Whether statements stay prepared, which PgBouncer before 1.21 mixes up in transaction mode. Without, sqlx prepares
    /// and executes in two steps, which need a transaction to reach the same connection to the server.
    pub fn persistent(&mut self, persistent: bool) {
        self.persistent = persistent;
    }

    /// The content as JSON; None without such a session, and `Some(None)` for one that holds something else. May keep it
    /// alive.
    pub async fn fetch(&self, sid: &str, slide: bool) -> sqlx::Result<Option<Option<String>>> {
        Ok(self.rows(sqlx::query_as(FETCH).bind(sid).bind(slide)).await?.pop().map(|(json,)| json))
    }

    /// Begins a session; false where there is one with this id.
    pub async fn create(&self, sid: &str, data: &str, life: Life) -> sqlx::Result<bool> {
        self.is(with_life(sqlx::query_as(CREATE).bind(sid).bind(data), life)).await
    }

    /// Replaces the content of a session; false where it has ended, as in all that follow.
    pub async fn replace(&self, sid: &str, data: &str, life: Life) -> sqlx::Result<bool> {
        self.is(with_life(sqlx::query_as(REPLACE).bind(sid).bind(data), life)).await
    }

    pub(crate) async fn patch(
        &self,
        sid: &str,
        change: &Difference,
        life: Life,
    ) -> sqlx::Result<bool> {
        self.is(with_life(change_of(PATCH, sid, change), life)).await
    }

    /// Moves a session to another id, and changes it.
    pub(crate) async fn renew(
        &self,
        sid: &str,
        to: &str,
        change: &Difference,
        life: Life,
    ) -> sqlx::Result<bool> {
        self.is(with_life(change_of(RENEW, to, change), life).bind(sid)).await
    }

    /// Moves a session to another id, or begins one there, binds it, and changes it: the content that it has then.
    pub(crate) async fn login(
        &self,
        sid: Option<&str>,
        to: &str,
        login: &Login,
        change: &Difference,
        life: Life,
    ) -> sqlx::Result<String> {
        let query = with_life(change_of(LOGIN, to, change), life).bind(sid);
        self.value(query.bind(&login.principal).bind(&login.attributes)).await
    }

    /// Has a session live so long from now on. An end that is about the same is not written.
    pub async fn touch(&self, sid: &str, life: Life) -> sqlx::Result<bool> {
        match life {
            Life::Until(_) => match self.look(sid).await? {
                None => return Ok(false),
                Some((_, Some(left))) if !life.has_moved(left) => return Ok(true),
                Some(_) => (),
            },
            Life::Idle(lifetime) if self.lifetimes.has(sid, lifetime) => {
                return Ok(self.look(sid).await?.is_some());
            }
            Life::Idle(_) => (),
        }
        let touched = self.is(with_life(sqlx::query_as(TOUCH).bind(sid), life)).await?;
        if let Life::Idle(lifetime) = life
            && touched
        {
            self.lifetimes.given(sid, lifetime);
        }
        Ok(touched)
    }

    /// When a session ends, by the database's clock, and the seconds until then; both None if never. Keeps it alive.
    pub async fn look(
        &self,
        sid: &str,
    ) -> sqlx::Result<Option<(Option<OffsetDateTime>, Option<f64>)>> {
        Ok(self.rows(sqlx::query_as(LOOK).bind(sid)).await?.pop())
    }

    /// Takes a key out of a session; false where another was faster.
    pub(crate) async fn pop(&self, sid: &str, key: &str) -> sqlx::Result<bool> {
        self.is(sqlx::query_as(POP).bind(sid).bind(key)).await
    }

    /// Ends a session.
    pub async fn destroy(&self, sid: &str) -> sqlx::Result<bool> {
        self.is(sqlx::query_as(DESTROY).bind(sid)).await
    }

    /// Binds a session that is nobody's and stays where it is.
    pub async fn bind(&self, sid: &str, principal: &str) -> sqlx::Result<bool> {
        self.is(sqlx::query_as(BIND).bind(sid).bind(principal)).await
    }

    /// Some rows of another table, behind the last of those before.
    pub async fn page<T>(&self, query: &str, last: &str, rows: i64) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.rows(sqlx::query_as(query).bind(last).bind(rows)).await
    }

    /// The live sessions of the session's principal, this one first.
    pub async fn devices(&self, sid: &str) -> sqlx::Result<Vec<Device>> {
        self.rows(sqlx::query_as(DEVICES).bind(sid)).await
    }

    /// Ends the session of the same principal that has this handle.
    pub async fn revoke(&self, sid: &str, handle: &str) -> sqlx::Result<bool> {
        Ok(!handle.contains('\0') && self.is(sqlx::query_as(REVOKE).bind(sid).bind(handle)).await?)
    }

    /// Ends all others of the same principal; their handles.
    pub async fn revoke_others(&self, sid: &str) -> sqlx::Result<Vec<String>> {
        let handles = self.rows(sqlx::query_as(REVOKE_OTHERS).bind(sid)).await?;
        Ok(handles.into_iter().map(|(handle,)| handle).collect())
    }

    async fn is(&self, query: Query<'_, (bool,)>) -> sqlx::Result<bool> {
        self.value(query).await
    }

    async fn value<T: Send + Unpin>(&self, query: Query<'_, (T,)>) -> sqlx::Result<T>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        self.rows(query).await?.pop().map(|(value,)| value).ok_or(sqlx::Error::RowNotFound)
    }

    async fn rows<T>(&self, query: Query<'_, T>) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        if self.persistent {
            return query.fetch_all(&self.pool).await;
        }
        let mut transaction = self.pool.begin().await?;
        let rows = query.persistent(false).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

fn with_life<T>(query: Query<'_, T>, life: Life) -> Query<'_, T> {
    query.bind(life.lifetime()).bind(life.remaining())
}

fn change_of<'q, T>(text: &'q str, sid: &'q str, change: &'q Difference) -> Query<'q, T>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_as(text).bind(sid).bind(&change.patch).bind(&change.remove)
}
