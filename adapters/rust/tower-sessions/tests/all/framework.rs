//! The cases that tower-sessions tests its own stores with (its tests/common, and those of src/service.rs that concern
//! the store), as they are with this one.

use axum::http::StatusCode;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tower_sessions::{Expiry, SessionManagerLayer, SessionStore, cookie::Cookie};
use tower_sessions_session_store::PostgresStore;

use crate::{
    database::stored,
    support::{Answer, Browser, HOUR, Site, store},
};

async fn site(max_age: Option<Duration>, domain: Option<&str>) -> Site {
    let store = store().await;
    let mut manager = SessionManagerLayer::new(store.clone());
    if let Some(max_age) = max_age {
        manager = manager.with_expiry(Expiry::OnInactivity(max_age));
    }
    if let Some(domain) = domain {
        manager = manager.with_domain(domain.to_owned());
    }
    Site::with(store, manager)
}

fn cookie(answer: &Answer) -> Cookie<'_> {
    Cookie::parse_encoded(answer.cookie.as_deref().expect("a cookie")).unwrap()
}

fn is_about(max_age: Option<Duration>, expected: Duration) -> bool {
    max_age.is_some_and(|age| (age - expected).abs() <= Duration::seconds(30))
}

#[tokio::test]
async fn an_untouched_session_sets_no_cookie() {
    assert_eq!(site(Some(HOUR), None).await.browser().get("/").await.cookie, None);
}

#[tokio::test]
async fn a_bogus_cookie_is_replaced_when_something_is_kept() {
    let bogus = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let mut browser =
        Browser { cookie: Some(bogus.clone()), ..site(Some(HOUR), None).await.browser() };
    let answer = browser.get("/put?key=foo&value=42").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_ne!(cookie(&answer).value(), bogus);
}

#[tokio::test]
async fn a_malformed_cookie_is_taken_away() {
    let mut browser =
        Browser { cookie: Some("malformed".to_owned()), ..site(Some(HOUR), None).await.browser() };
    let answer = browser.get("/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(cookie(&answer).value(), "");
}

#[tokio::test]
async fn a_session_that_begins_sets_a_cookie() {
    for max_age in [Some(HOUR), None] {
        let answer = site(max_age, None).await.browser().get("/put?key=foo&value=42").await;
        let cookie = cookie(&answer);
        assert_eq!(cookie.name(), "id");
        assert_eq!((cookie.http_only(), cookie.secure()), (Some(true), Some(true)));
        assert_eq!(cookie.same_site().unwrap().to_string(), "Strict");
        assert_eq!((cookie.max_age(), cookie.path()), (max_age, Some("/")));
    }
}

#[tokio::test]
async fn what_was_inserted_is_there_until_it_is_removed() {
    let mut browser = site(Some(HOUR), None).await.browser();
    assert_eq!(browser.has(&["foo"]).await, [Value::Null]);
    browser.get("/put?key=foo&value=42").await;
    assert_eq!(browser.has(&["foo"]).await, [json!("42")]);
    assert_eq!(browser.see("/remove?key=foo").await, json!("42"));
    assert_eq!(browser.has(&["foo"]).await, [Value::Null]);
}

#[tokio::test]
async fn cycling_the_id_keeps_the_values() {
    let mut browser = site(Some(HOUR), None).await.browser();
    browser.get("/put?key=foo&value=42").await;
    let first = browser.cookie.clone();
    browser.get("/cycle?").await;
    assert_ne!(browser.cookie, first);
    assert_eq!(browser.has(&["foo"]).await, [json!("42")]);
}

#[tokio::test]
async fn flushing_takes_the_cookie_away() {
    for domain in [None, Some("localhost")] {
        let mut browser = site(Some(HOUR), domain).await.browser();
        browser.get("/put?key=foo&value=42").await;
        let answer = browser.get("/flush").await;
        let cookie = cookie(&answer);
        assert_eq!((cookie.value(), cookie.max_age()), ("", Some(Duration::ZERO)));
        assert_eq!((cookie.domain(), cookie.path()), (domain, Some("/")));
    }
}

#[tokio::test]
async fn the_expiry_can_be_changed() {
    let day = Duration::days(1);
    for max_age in [Some(HOUR), None] {
        let mut browser = site(max_age, Some("localhost")).await.browser();
        let answer = browser.get("/put?key=foo&value=42").await;
        assert_eq!(cookie(&answer).max_age(), max_age);
        let answer = browser.get("/expire?seconds=86400&at=1").await;
        assert!(is_about(cookie(&answer).max_age(), day));
        assert!(
            (stored(browser.sid()).await.unwrap().seconds_left - day.as_seconds_f64()).abs() < 5.0
        );
    }
}

/// Here the end moves by whole steps, so in the end it may be the same.
#[tokio::test]
async fn always_save_moves_the_end_of_what_is_not_modified() {
    let date = OffsetDateTime::now_utc() + Duration::weeks(1);
    for expiry in
        [Expiry::OnSessionEnd, Expiry::OnInactivity(Duration::hours(2)), Expiry::AtDateTime(date)]
    {
        let store = store().await;
        let manager =
            SessionManagerLayer::new(store.clone()).with_expiry(expiry).with_always_save(true);
        let mut browser = Site::with(store.clone(), manager).browser();
        browser.get("/put?key=foo&value=42").await;
        let (first, before) = (browser.cookie.clone(), expiry_date(&store, browser.sid()).await);
        let answer = browser.get("/").await;
        let after = expiry_date(&store, browser.sid()).await;
        assert_eq!(browser.cookie, first);
        match expiry {
            Expiry::AtDateTime(_) => assert_eq!(before, after),
            _ => assert!(before <= after),
        }
        match expiry {
            Expiry::OnSessionEnd => assert_eq!(cookie(&answer).max_age(), None),
            Expiry::OnInactivity(age) => assert_eq!(cookie(&answer).max_age(), Some(age)),
            Expiry::AtDateTime(_) => {
                assert!(is_about(cookie(&answer).max_age(), Duration::weeks(1)))
            }
        }
    }
}

async fn expiry_date(store: &PostgresStore, sid: &str) -> OffsetDateTime {
    store.load(&sid.parse().unwrap()).await.unwrap().unwrap().expiry_date
}
