//! The database beside the applications: how it is reached, what it has of a session, and what tests do to one there.

use std::env;

use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::statements;

pub async fn pool() -> PgPool {
    connect("DATABASE_URL").await
}

/// For what a test looks up in the table.
pub async fn owner() -> PgPool {
    connect("OWNER_URL").await
}

async fn connect(variable: &str) -> PgPool {
    statements::listen();
    let url = env::var(variable).expect("adapters/test.sh sets it");
    PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap()
}

/// What the database has of a session.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub struct Stored {
    pub principal: Option<String>,
    pub lifetime: i32,
    pub seconds_left: f64,
    pub has_deadline: bool,
    pub written: String,
}

pub async fn stored(sid: &str) -> Option<Stored> {
    let query = "SELECT principal, lifetime,
            extract(epoch FROM session_expiry - clock_timestamp())::float8 AS seconds_left,
            coalesce(isfinite(deadline), false) AS has_deadline, ctid::text || xmin::text || xmax::text AS written
        FROM session WHERE session_key = sha256($1::bytea) AND session_expiry > clock_timestamp()";
    sqlx::query_as(query).bind(sid.as_bytes()).fetch_optional(&owner().await).await.unwrap()
}

/// Ends move by whole minutes, and the first use in the next one is written.
pub async fn early_in_a_minute() {
    let query = "SELECT pg_sleep(CASE WHEN now > 55 THEN 60 - now ELSE 0 END)
        FROM (SELECT extract(second FROM clock_timestamp())::float8 AS now) AS clock";
    sqlx::query(query).execute(&owner().await).await.unwrap();
}

/// Time passes without anybody sleeping.
pub async fn expire_in_a_minute(sid: &str) {
    let query = "UPDATE session SET session_expiry = clock_timestamp() + '59 s' WHERE session_key = sha256($1::bytea)";
    sqlx::query(query).bind(sid.as_bytes()).execute(&owner().await).await.unwrap();
}

pub async fn revoke_all(user: &str) {
    sqlx::query("SELECT session_revoke_all($1)").bind(user).execute(&pool().await).await.unwrap();
}
