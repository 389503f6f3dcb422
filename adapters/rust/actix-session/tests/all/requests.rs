//! What requests do to their session, alone and at the same time.

use std::time::{Duration, Instant};

use actix_web::{http::StatusCode, rt::spawn};
use serde_json::{Value, json};

use crate::{
    database::{early_in_a_minute, expire_in_a_minute, pool, revoke_all, stored},
    statements,
    support::{Answer, Browser, Site, cookie_of, rolling, store, unique},
};

/// A request that takes longer looks again whether its session is there, before it sends a cookie.
const QUICK: Duration = Duration::from_millis(100);

/// Has a request load its session, waits until the others are answered, and lets it go on.
async fn late(site: &Site, browser: &Browser, path: &str, meanwhile: impl AsyncFnOnce()) -> Answer {
    let (mut tab, path) = (browser.clone(), format!("{path}&hold=1"));
    let request = spawn(async move { tab.get(&path).await });
    site.gate.loaded.notified().await;
    meanwhile().await;
    site.gate.go.notify_one();
    request.await.unwrap()
}

#[actix_web::test]
async fn a_request_makes_one_trip_to_load_and_one_to_save() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let user = unique();
    for (path, trips) in [
        ("/", 0),
        ("/put?key=a&value=1", 1),
        ("/", 1), // actix-session loads it for every request that has a cookie
        ("/put?key=a&value=2", 2),
        ("/put?key=a&value=2", 2), // the cookie is sent again, so the session lives longer
        ("/renew?", 2),
        (&format!("/login?user={user}&bare=1"), 2),
        (&format!("/login?user={user}"), 3),
        (&format!("/login?user={user}x"), 3),
        ("/devices", 2),
        ("/purge", 2),
    ] {
        statements::take();
        let began = Instant::now();
        browser.get(path).await;
        let looks_again = usize::from(began.elapsed() > QUICK && trips > 1);
        let sent = statements::take();
        assert!((trips..=trips + looks_again).contains(&sent.len()), "{path}: {sent:?}");
    }
}

#[actix_web::test]
async fn a_session_that_is_only_looked_at_is_not_written() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let before = stored(&browser.sid()).await.unwrap();
    for path in ["/", "/data"] {
        assert_eq!(browser.get(path).await.cookie, None);
    }
    assert_eq!(stored(&browser.sid()).await.unwrap().written, before.written);
    expire_in_a_minute(&browser.sid()).await;
    browser.get("/data").await;
    assert!(stored(&browser.sid()).await.unwrap().seconds_left < 60.0);
    browser.get("/put?key=a&value=1").await;
    assert!(stored(&browser.sid()).await.unwrap().seconds_left > 3590.0);
}

#[actix_web::test]
async fn sessions_that_each_request_keeps_alive_are_looked_at_again() {
    early_in_a_minute().await;
    let store = store().await;
    let site = Site::with(&store, rolling(&store)).await;
    let mut browser = site.visitor("a").await;
    let query = "SELECT session_touch($1, '10 min')";
    sqlx::query(query).bind(browser.sid()).execute(&pool().await).await.unwrap();
    assert!(browser.get("/").await.cookie.is_some());
    let once = stored(&browser.sid()).await.unwrap();
    assert_eq!(once.lifetime, 3600);

    for path in ["/", "/data"] {
        statements::take();
        assert!(browser.get(path).await.cookie.is_some());
        assert_eq!(statements::take().len(), 2, "{path}");
    }
    assert_eq!(stored(&browser.sid()).await.unwrap().written, once.written);

    expire_in_a_minute(&browser.sid()).await;
    browser.get("/").await;
    assert!(stored(&browser.sid()).await.unwrap().seconds_left > 3590.0);
}

#[actix_web::test]
async fn an_answer_that_rolls_its_cookie_leaves_that_of_a_login_meanwhile() {
    let store = store().await;
    let site = Site::with(&store, rolling(&store)).await;
    let mut browser = site.visitor("a").await;
    browser.get("/").await;
    let mut tab = browser.clone();
    let answer = late(&site, &browser, "/data?", async || {
        tab.get(&format!("/login?user={}", unique())).await;
    })
    .await;
    assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None));
}

#[actix_web::test]
async fn requests_at_the_same_time_keep_the_changes_of_all() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let mut tab = browser.clone();
    late(&site, &browser, "/put?key=b&value=1", async || {
        tab.get("/remove?key=a").await;
        tab.get("/put?key=c&value=1").await;
    })
    .await;
    assert_eq!(browser.data().await, json!({ "b": "1", "c": "1" }));
}

#[actix_web::test]
async fn a_logout_wins_over_a_late_save() {
    let site = Site::new().await;
    for path in ["/put?key=late&value=1", "/remove?key=a", "/renew?"] {
        let browser = site.visitor("a").await;
        let mut tab = browser.clone();
        let answer = late(&site, &browser, path, async || {
            tab.get("/purge").await;
        })
        .await;
        assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None), "{path}");
        assert_ne!(answer.body, "", "{path}");
        assert_eq!(stored(&browser.sid()).await, None, "{path}");
    }
}

#[actix_web::test]
async fn a_late_answer_leaves_the_cookie_of_a_login_meanwhile() {
    let site = Site::new().await;
    for path in
        ["/put?key=late&value=1", "/put?key=a&value=1", "/remove?key=nothing", "/renew?", "/data?"]
    {
        let (browser, user) = (site.visitor("a").await, unique());
        let mut tab = browser.clone();
        let answer = late(&site, &browser, path, async || {
            tab.get(&format!("/login?user={user}")).await;
        })
        .await;
        assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None), "{path}");
        assert_eq!(tab.data().await, json!({ "a": "1", "user": user }), "{path}");
    }
}

#[actix_web::test]
async fn an_unknown_cookie_is_left_alone_and_not_adopted() {
    let site = Site::new().await;
    for path in ["/", "/data", "/remove?key=a", "/pop?key=a", "/devices", "/renew?", "/purge"] {
        let mut browser = Browser { cookie: Some(cookie_of(&unique())), ..site.browser() };
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None), "{path}");
    }
    for path in ["/put?key=a&value=1", "/login?user=eve&bare=1"] {
        for unknown in
            [unique(), String::new(), "a\0b".to_owned(), "\u{e9}".to_owned(), "x".repeat(300)]
        {
            let mut browser = Browser { cookie: Some(cookie_of(&unknown)), ..site.browser() };
            browser.get(path).await;
            assert_ne!(browser.sid(), unknown, "{path}");
            assert!(stored(&browser.sid()).await.is_some());
        }
    }
    revoke_all("eve").await;
}

#[actix_web::test]
async fn a_renewed_session_stays_its_users() {
    let site = Site::new().await;
    let (mut browser, user) = (site.visitor("a").await, unique());
    browser.get(&format!("/login?user={user}")).await;
    let old = browser.sid();
    browser.get("/renew?").await;
    assert_eq!(stored(&old).await, None);
    assert_eq!(stored(&browser.sid()).await.unwrap().principal, Some(user.clone()));
    assert_eq!(browser.data().await, json!({ "a": "1", "user": user }));
    revoke_all(&user).await;
    assert_eq!(stored(&browser.sid()).await, None);
}

#[actix_web::test]
async fn a_renewal_keeps_what_was_set_meanwhile() {
    let site = Site::new().await;
    let browser = site.visitor("a").await;
    let (mut tab, mut renewed) = (browser.clone(), browser.clone());
    let answer = late(&site, &browser, "/renew?", async || {
        tab.get("/put?key=b&value=1").await;
    })
    .await;
    renewed.cookie = answer.cookie;
    assert_eq!(renewed.data().await, json!({ "a": "1", "b": "1" }));
    assert_eq!(stored(&browser.sid()).await, None);
}

#[actix_web::test]
async fn a_session_can_be_emptied() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    browser.get("/clear").await;
    assert_eq!(browser.data().await, json!({}));
    assert!(stored(&browser.sid()).await.is_some());
}

#[actix_web::test]
async fn keys_and_values_are_whatever_json_can_hold() {
    let site = Site::new().await;
    let mut browser = site.browser();
    for key in ["", "%00", "%22%5C", "%F0%9F%98%80"] {
        browser.get(&format!("/put?key={key}&value=a%00b")).await;
        assert_eq!(
            browser.data().await.as_object().unwrap().values().collect::<Vec<_>>(),
            [&json!("a\0b")]
        );
        assert_eq!(browser.see(&format!("/pop?key={key}")).await, json!("a\0b"));
        assert_eq!(browser.data().await, json!({}), "{key}");
    }
}

#[actix_web::test]
async fn a_database_that_does_not_answer_is_an_error_that_says_nothing() {
    let site = Site::new().await;
    let browser = site.visitor("a").await;
    let unreachable = sqlx::postgres::PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy("postgresql://nobody@127.0.0.1:1/nothing")
        .unwrap();
    let store = actix_session_store::PostgresSessionStore::new(unreachable);
    let elsewhere = Site::with(&store, crate::support::builder(&store)).await;
    for cookie in [browser.cookie.clone(), None] {
        let mut tab = Browser { cookie, ..elsewhere.browser() };
        for path in ["/put?key=a&value=2", "/login?user=ada"] {
            let answer = tab.get(path).await;
            assert_eq!(
                (answer.status, answer.cookie),
                (StatusCode::INTERNAL_SERVER_ERROR, None),
                "{path}"
            );
            assert_eq!(answer.body, "", "{path}");
        }
    }
    let _: Value = site.browser().data().await;
}
