//! The store by itself, outside of any request.

use std::collections::HashMap;

use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    CachingSessionStore, MemoryStore, SessionStore,
    session::{Id, Record},
};
use tower_sessions_session_store::PostgresStore;

use crate::{
    database::{owner, stored},
    statements,
    support::{HOUR, Site, manager, store},
};

fn record() -> Record {
    record_until(OffsetDateTime::now_utc() + HOUR)
}

fn record_until(expiry_date: OffsetDateTime) -> Record {
    Record {
        id: Id::default(),
        data: HashMap::from([("a".to_owned(), json!({ "b": [1, null] }))]),
        expiry_date,
    }
}

#[tokio::test]
async fn what_was_created_is_loaded() {
    let (store, mut record) = (store().await, record());
    store.create(&mut record).await.unwrap();
    let loaded = store.load(&record.id).await.unwrap().unwrap();
    assert_eq!((loaded.id, loaded.data), (record.id, record.data));
    assert!((loaded.expiry_date - record.expiry_date).abs() < Duration::seconds(5));
}

#[tokio::test]
async fn an_id_that_is_taken_is_replaced_by_another() {
    let (store, mut first) = (store().await, record());
    store.create(&mut first).await.unwrap();
    let mut second = Record { data: HashMap::new(), ..first.clone() };
    store.create(&mut second).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(store.load(&first.id).await.unwrap().unwrap().data, first.data);
    assert!(store.load(&second.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_save_replaces_and_never_creates() {
    let (store, mut record) = (store().await, record());
    assert!(store.save(&record).await.is_err());
    assert_eq!(store.load(&record.id).await.unwrap(), None);
    store.create(&mut record).await.unwrap();
    record.data = HashMap::from([("c".to_owned(), json!(1))]);
    store.save(&record).await.unwrap();
    assert_eq!(store.load(&record.id).await.unwrap().unwrap().data, record.data);
    store.delete(&record.id).await.unwrap();
    let error = store.save(&record).await.unwrap_err();
    assert_eq!(error.to_string(), "the session has ended");
    assert_eq!(store.load(&record.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_record_that_has_expired_is_not_kept() {
    let store = store().await;
    for late in [Duration::ZERO, Duration::SECOND] {
        let mut over = record_until(OffsetDateTime::now_utc() - late);
        store.create(&mut over).await.unwrap();
        assert_eq!(store.load(&over.id).await.unwrap(), None);

        let mut live = record();
        store.create(&mut live).await.unwrap();
        live.expiry_date = OffsetDateTime::now_utc() - late;
        store.save(&live).await.unwrap();
        assert_eq!(store.load(&live.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_never_was_can_be_deleted() {
    store().await.delete(&Id::default()).await.unwrap();
}

#[tokio::test]
async fn a_session_of_another_kind_is_none() {
    let (store, id) = (store().await, Id::default());
    let query = "SELECT session_create_raw('\\x00', $1)";
    sqlx::query(query).bind(id.to_string()).execute(&owner().await).await.unwrap();
    assert_eq!(store.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn without_prepared_statements_nothing_is_left_on_a_connection() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    for (persistent, prepared) in [(false, 0), (true, 2)] {
        let store = PostgresStore::new(pool.clone()).with_persistent(persistent);
        let mut browser = Site::with(store.clone(), manager(&store)).visitor("a").await;
        assert_eq!(browser.has(&["a"]).await, [json!("1")]);
        let query = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%session_%'
            AND statement NOT LIKE '%pg_prepared_statements%'";
        let left: i64 = sqlx::query_scalar(query).persistent(false).fetch_one(&pool).await.unwrap();
        assert_eq!(left, prepared);
    }
}

#[tokio::test]
async fn without_prepared_statements_each_has_a_transaction() {
    let store = store().await.with_persistent(false);
    let id = Id::default();
    store.load(&id).await.unwrap();
    let sent = statements::take();
    assert_eq!(sent.len(), 2, "{sent:?}"); // sqlx does not report its BEGIN
    assert_eq!(sent[1], "COMMIT");
}

#[tokio::test]
async fn behind_a_cache_the_last_save_wins() {
    let store = store().await;
    let cached = CachingSessionStore::new(MemoryStore::default(), store.clone());
    let mut record = record();
    cached.create(&mut record).await.unwrap();
    record.data = HashMap::from([("c".to_owned(), json!(1))]);
    cached.save(&record).await.unwrap();
    assert_eq!(store.load(&record.id).await.unwrap().unwrap().data, record.data);
    cached.delete(&record.id).await.unwrap();
    assert_eq!(stored(&record.id.to_string()).await, None);
}
