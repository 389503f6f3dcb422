//! The store by itself, outside of any request.

use std::collections::HashMap;

use actix_session::storage::{
    LoadError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;
use sqlx::postgres::PgPoolOptions;

use crate::{
    database::{owner, stored},
    support::{HOUR, store, unique},
};

fn state(key: &str) -> HashMap<String, String> {
    HashMap::from([(key.to_owned(), r#"{"b":[1,null]}"#.to_owned())])
}

fn key(sid: &str) -> SessionKey {
    sid.to_owned().try_into().unwrap()
}

#[actix_web::test]
async fn what_was_saved_is_loaded() {
    let store = store().await;
    let saved = store.save(state("a"), &HOUR).await.unwrap();
    let loaded = store.load(&saved).await.unwrap().unwrap();
    assert_eq!(loaded.keys().collect::<Vec<_>>(), ["a"]);
    let value: serde_json::Value = serde_json::from_str(&loaded["a"]).unwrap();
    assert_eq!(value.to_string(), state("a")["a"]);
    assert_eq!(stored(saved.as_ref()).await.unwrap().lifetime, 3600);
}

#[actix_web::test]
async fn a_missing_session_is_none() {
    let store = store().await;
    assert!(store.load(&generate_session_key()).await.unwrap().is_none());
    for impossible in ["", "a\0b", "\u{e9}", &"x".repeat(257)] {
        assert!(store.load(&key(impossible)).await.unwrap().is_none());
        store.delete(&key(impossible)).await.unwrap();
    }
}

#[actix_web::test]
async fn a_session_of_another_kind_cannot_be_read_but_replaced() {
    let (store, key) = (store().await, generate_session_key());
    let query = "SELECT session_create_raw('\\x00', $1)";
    sqlx::query(query).bind(key.as_ref()).execute(&owner().await).await.unwrap();
    assert!(matches!(store.load(&key).await.unwrap_err(), LoadError::Deserialization(_)));
    let key = store.update(key, state("a"), &HOUR).await.unwrap();
    assert!(store.load(&key).await.unwrap().is_some());
}

/// actix-session's own store begins another session.
#[actix_web::test]
async fn an_update_of_what_has_ended_is_an_error() {
    let store = store().await;
    let key = store.save(state("a"), &HOUR).await.unwrap();
    let sid = key.as_ref().to_owned();
    store.delete(&key).await.unwrap();
    let error = store.update(key, state("b"), &HOUR).await.unwrap_err();
    let UpdateError::Other(source) = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "the session has ended");
    assert_eq!(stored(&sid).await, None);
}

#[actix_web::test]
async fn an_update_keeps_the_key_and_replaces_the_state() {
    let store = store().await;
    let first = store.save(state("a"), &HOUR).await.unwrap();
    let sid = first.as_ref().to_owned();
    let key = store.update(first, state("b"), &Duration::hours(2)).await.unwrap();
    assert_eq!(key.as_ref(), sid);
    assert_eq!(store.load(&key).await.unwrap().unwrap().keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(stored(&sid).await.unwrap().lifetime, 7200);
}

#[actix_web::test]
async fn a_time_to_live_is_updated_and_none_ends_the_session() {
    let store = store().await;
    let key = store.save(state("a"), &HOUR).await.unwrap();
    store.update_ttl(&key, &Duration::hours(3)).await.unwrap();
    assert_eq!(stored(key.as_ref()).await.unwrap().lifetime, 10_800);
    store.update_ttl(&key, &Duration::ZERO).await.unwrap();
    assert_eq!(stored(key.as_ref()).await, None);
    assert!(store.update_ttl(&key, &HOUR).await.is_err());
}

#[actix_web::test]
async fn without_prepared_statements_nothing_is_left_on_a_connection() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = actix_session_store::PostgresSessionStore::new(pool.clone()).with_persistent(false);
    let key = store.save(state("a"), &HOUR).await.unwrap();
    assert!(store.load(&key).await.unwrap().is_some());
    let query = "SELECT count(*) FROM pg_prepared_statements";
    let left: i64 = sqlx::query_scalar(query).persistent(false).fetch_one(&pool).await.unwrap();
    assert_eq!(left, 0);
}

#[actix_web::test]
async fn a_session_without_time_is_saved_nowhere() {
    let store = store().await;
    let key = store.save(state("a"), &Duration::ZERO).await.unwrap();
    assert!(store.load(&key).await.unwrap().is_none());
}

#[actix_web::test]
async fn nobody_is_logged_out_by_moving_in() {
    let owner = owner().await;
    let sid = unique();
    let guide = include_str!("../../GUIDE.md");
    let statement = guide.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let mut connection = owner.acquire().await.unwrap();
    sqlx::raw_sql("CREATE TEMP TABLE sessions (id text, state text, expires timestamptz)")
        .execute(&mut *connection)
        .await
        .unwrap();
    let insert = "INSERT INTO sessions VALUES ($1, $2, now() + '10 min'), ('over', '{}', now())";
    let state = serde_json::to_string(&state("a")).unwrap();
    sqlx::query(insert).bind(&sid).bind(state).execute(&mut *connection).await.unwrap();
    let moved: i64 = sqlx::query_scalar(statement).fetch_one(&mut *connection).await.unwrap();
    assert_eq!(moved, 1);

    let store = store().await;
    let loaded = store.load(&key(&sid)).await.unwrap().unwrap();
    assert_eq!(loaded["a"].replace(' ', ""), state_text());
    assert!((stored(&sid).await.unwrap().seconds_left - 600.0).abs() < 10.0);
}

fn state_text() -> String {
    state("a").remove("a").unwrap()
}
