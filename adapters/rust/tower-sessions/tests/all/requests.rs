//! What requests do to their session, alone and at the same time.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tower_sessions::{Expiry, session::Id};

use crate::{
    database::{early_in_a_minute, expire_in_a_minute, pool, revoke_all, stored},
    statements,
    support::{Browser, Site, manager, store, unique},
};

/// A request that takes longer looks again whether its session is there, before it sends a cookie.
const QUICK: Duration = Duration::from_millis(100);

/// Has a request load its session, waits until the others are answered, and lets it go on.
async fn late(
    site: &Site,
    browser: &Browser,
    path: &str,
    meanwhile: impl AsyncFnOnce(),
) -> crate::support::Answer {
    let (mut tab, path) = (browser.clone(), format!("{path}&hold=1"));
    let request = tokio::spawn(async move { tab.get(&path).await });
    site.gate.loaded.notified().await;
    meanwhile().await;
    site.gate.go.notify_one();
    request.await.unwrap()
}

#[tokio::test]
async fn a_request_makes_one_trip_to_load_and_one_to_save() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let user = unique();
    for (path, trips) in [
        ("/", 0),
        ("/get?key=a", 0),
        ("/put?key=a&value=1", 1),
        ("/", 0),
        ("/get?key=a", 1),
        ("/put?key=a&value=1", 1), // it is there already
        ("/put?key=a&value=2", 2),
        ("/remove?key=a", 2),
        ("/remove?key=a", 2), // the cookie is sent again, so the session lives longer
        ("/put?key=a&value=3", 2),
        ("/cycle?", 2),
        (&format!("/login?user={user}&bare=1"), 2),
        (&format!("/login?user={user}"), 3),
        ("/devices", 1),
        ("/flush", 1),
    ] {
        statements::take();
        let began = Instant::now();
        browser.get(path).await;
        let looks_again = usize::from(began.elapsed() > QUICK && trips > 1);
        let sent = statements::take();
        assert!((trips..=trips + looks_again).contains(&sent.len()), "{path}: {sent:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_only_looked_at_is_not_written() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let before = stored(browser.sid()).await;
    browser.get("/get?key=a").await;
    browser.get("/put?key=a&value=1").await;
    let after = stored(browser.sid()).await;
    assert_eq!(before.unwrap().written, after.unwrap().written);
}

#[tokio::test]
async fn with_always_save_sessions_live_on_and_are_looked_at_again() {
    early_in_a_minute().await;
    let store = store().await;
    let site = Site::with(store.clone(), manager(&store).with_always_save(true));
    let mut browser = site.visitor("a").await;
    let query = "SELECT session_touch($1, '10 min')";
    sqlx::query(query).bind(browser.sid()).execute(&pool().await).await.unwrap();
    assert!(browser.get("/").await.cookie.is_some());
    let once = stored(browser.sid()).await.unwrap();
    assert_eq!(once.lifetime, 3600);

    for path in ["/", "/get?key=a", "/remove?key=nothing"] {
        statements::take();
        assert!(browser.get(path).await.cookie.is_some());
        assert_eq!(statements::take().len(), 2, "{path}");
    }
    assert_eq!(stored(browser.sid()).await.unwrap().written, once.written);

    expire_in_a_minute(browser.sid()).await;
    browser.get("/").await;
    assert!(stored(browser.sid()).await.unwrap().seconds_left > 3590.0);
}

#[tokio::test]
async fn without_always_save_a_look_does_not_keep_a_session_alive() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    expire_in_a_minute(browser.sid()).await;
    browser.get("/get?key=a").await;
    browser.get("/").await;
    assert!(stored(browser.sid()).await.unwrap().seconds_left < 60.0);
    browser.get("/remove?key=nothing").await; // sends the cookie again
    assert!(stored(browser.sid()).await.unwrap().seconds_left > 3590.0);
}

#[tokio::test]
async fn an_answer_that_rolls_its_cookie_leaves_that_of_a_login_meanwhile() {
    let store = store().await;
    let site = Site::with(store.clone(), manager(&store).with_always_save(true));
    let mut browser = site.visitor("a").await;
    browser.get("/").await;
    let mut tab = browser.clone();
    let answer = late(&site, &browser, "/get?key=a", async || {
        tab.get(&format!("/login?user={}", unique())).await;
    })
    .await;
    assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None));
}

#[tokio::test]
async fn a_session_that_is_renewed_with_no_time_left_ends() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let before = browser.sid().to_owned();
    browser.get("/cycle?then=end").await;
    assert_eq!(stored(&before).await, None);
}

#[tokio::test]
async fn of_requests_that_renew_and_take_a_value_one_gets_it() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    browser.get("/put?key=flash&value=1").await;
    let mut tab = browser.clone();
    let answer = late(&site, &browser, "/cycle?then=pop", async || {
        assert_eq!(tab.see("/pop?key=flash").await, json!("1"));
    })
    .await;
    assert_eq!(answer.body, "null");
}

#[tokio::test]
async fn always_save_begins_no_session_for_an_unknown_cookie() {
    let store = store().await;
    let site = Site::with(store.clone(), manager(&store).with_always_save(true));
    let mut browser = Browser { cookie: Some(Id::default().to_string()), ..site.browser() };
    assert_eq!(browser.get("/").await.cookie, None);
    assert_eq!(browser.get("/get?key=a").await.cookie, None);
}

#[tokio::test]
async fn requests_at_the_same_time_keep_the_changes_of_all() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let mut tab = browser.clone();
    late(&site, &browser, "/put?key=b&value=1", async || {
        tab.get("/remove?key=a").await;
        tab.get("/put?key=c&value=1").await;
    })
    .await;
    assert_eq!(browser.has(&["a", "b", "c"]).await, [Value::Null, json!("1"), json!("1")]);
}

#[tokio::test]
async fn what_is_saved_twice_in_a_request_is_written_once() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let mut tab = browser.clone();
    late(&site, &browser, "/save?", async || {
        tab.get("/put?key=first&value=other").await;
    })
    .await;
    assert_eq!(browser.has(&["first", "second"]).await, [json!("other"), json!(2)]);
}

#[tokio::test]
async fn a_session_that_is_saved_within_a_request_has_its_id_there() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let id = browser.see("/save").await;
    assert_eq!(id, json!(browser.sid()));
    assert_eq!(browser.has(&["first", "second"]).await, [json!(1), json!(2)]);
}

#[tokio::test]
async fn a_logout_wins_over_a_late_save() {
    let site = Site::new().await;
    for path in ["/put?key=late&value=1", "/remove?key=a", "/cycle?", "/save?"] {
        let browser = site.visitor("a").await;
        let mut tab = browser.clone();
        let answer = late(&site, &browser, path, async || {
            tab.get("/flush").await;
        })
        .await;
        assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None), "{path}");
        assert_eq!(stored(browser.sid()).await, None, "{path}");
    }
}

#[tokio::test]
async fn a_late_answer_leaves_the_cookie_of_a_login_meanwhile() {
    let site = Site::new().await;
    for path in ["/put?key=late&value=1", "/remove?key=nothing", "/cycle?", "/get?key=a"] {
        let browser = site.visitor("a").await;
        let mut tab = browser.clone();
        let answer = late(&site, &browser, path, async || {
            tab.get(&format!("/login?user={}", unique())).await;
        })
        .await;
        assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None), "{path}");
        assert_eq!(tab.has(&["a", "late"]).await, [json!("1"), Value::Null], "{path}");
    }
}

#[tokio::test]
async fn an_unknown_cookie_stays_for_it_may_be_a_logins() {
    let site = Site::new().await;
    let mut browser = Browser { cookie: Some(Id::default().to_string()), ..site.browser() };
    for path in ["/", "/get?key=a", "/remove?key=a", "/pop?key=a", "/devices", "/clear"] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_cookie_is_not_adopted() {
    let site = Site::new().await;
    for path in ["/put?key=a&value=1", "/login?user=eve&bare=1", "/save", "/cycle?", "/clear"] {
        let unknown = Id::default().to_string();
        let mut browser = Browser { cookie: Some(unknown.clone()), ..site.browser() };
        browser.get(path).await;
        assert_eq!(stored(&unknown).await, None, "{path}");
    }
    revoke_all("eve").await;
}

#[tokio::test]
async fn a_renewed_session_stays_its_users() {
    let site = Site::new().await;
    for then in ["", "twice", "devices"] {
        let (mut browser, user) = (site.visitor("a").await, unique());
        browser.get(&format!("/login?user={user}")).await;
        let old = browser.sid().to_owned();
        browser.get(&format!("/cycle?then={then}")).await;
        assert_eq!(stored(&old).await, None);
        assert_eq!(stored(browser.sid()).await.unwrap().principal, Some(user.clone()));
        assert_eq!(browser.has(&["a", "user"]).await, [json!("1"), json!(user)]);
        revoke_all(&user).await;
        assert_eq!(stored(browser.sid()).await, None);
    }
}

#[tokio::test]
async fn a_renewal_keeps_what_was_set_meanwhile() {
    let site = Site::new().await;
    let browser = site.visitor("a").await;
    let (mut tab, mut renewed) = (browser.clone(), browser.clone());
    let answer = late(&site, &browser, "/cycle?", async || {
        tab.get("/put?key=b&value=1").await;
    })
    .await;
    renewed.cookie =
        answer.cookie.map(|cookie| cookie.split(['=', ';']).nth(1).unwrap().to_owned());
    assert_eq!(renewed.has(&["a", "b"]).await, [json!("1"), json!("1")]);
    assert_eq!(stored(browser.sid()).await, None);
}

#[tokio::test]
async fn a_session_that_is_renewed_and_then_ended_is_gone() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let old = browser.sid().to_owned();
    browser.get("/cycle?then=flush").await;
    assert_eq!(browser.cookie, None);
    assert_eq!(stored(&old).await, None);
}

#[tokio::test]
async fn a_renewal_whose_request_fails_changes_nothing() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let answer = browser.get("/cycle?then=fail").await;
    assert_eq!((answer.status, answer.cookie), (StatusCode::INTERNAL_SERVER_ERROR, None));
    assert_eq!(browser.has(&["a"]).await, [json!("1")]);
}

#[tokio::test]
async fn an_error_is_answered_and_nothing_saved() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let answer = browser.get("/error").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::BAD_GATEWAY, "the answer"));
    assert_eq!(browser.has(&["error"]).await, [Value::Null]);
}

#[tokio::test]
async fn what_begins_after_a_logout_has_another_id() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let old = browser.sid().to_owned();
    browser.get("/flush?then=insert").await;
    assert_ne!(browser.sid(), old);
    assert_eq!(stored(&old).await, None);
    assert_eq!(browser.has(&["a", "new"]).await, [Value::Null, json!(1)]);
}

#[tokio::test]
async fn a_deleted_session_is_not_brought_back_by_its_own_request() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let answer = browser.get("/delete").await;
    assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None));
    assert_eq!(stored(browser.sid()).await, None);
}

#[tokio::test]
async fn a_session_that_is_cleared_is_emptied_without_being_loaded() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    browser.get("/clear").await;
    assert_eq!(browser.has(&["a"]).await, [Value::Null]);
    assert!(stored(browser.sid()).await.is_some());
}

#[tokio::test]
async fn keys_and_values_are_whatever_json_can_hold() {
    let site = Site::new().await;
    let mut browser = site.browser();
    for key in ["", "%00", "%22%5C", "%F0%9F%98%80"] {
        browser.get(&format!("/put?key={key}&value=a%00b")).await;
        assert_eq!(browser.see(&format!("/get?key={key}")).await, json!("a\0b"));
        assert_eq!(browser.see(&format!("/pop?key={key}")).await, json!("a\0b"));
        assert_eq!(browser.see(&format!("/get?key={key}")).await, Value::Null, "{key}");
    }
}

#[tokio::test]
async fn sessions_live_as_tower_sessions_has_it() {
    let store = store().await;
    let two_weeks = 14 * 24 * 3600;
    for (expiry, lifetime) in [
        (Some(Expiry::OnInactivity(time::Duration::hours(2))), 7200),
        (Some(Expiry::OnInactivity(time::Duration::milliseconds(1500))), 2),
        (Some(Expiry::OnInactivity(time::Duration::MAX)), 2_145_916_800),
        (Some(Expiry::OnSessionEnd), two_weeks),
        (None, two_weeks),
    ] {
        let mut manager = tower_sessions::SessionManagerLayer::new(store.clone());
        if let Some(expiry) = expiry {
            manager = manager.with_expiry(expiry);
        }
        let browser = Site::with(store.clone(), manager).visitor("a").await;
        let stored = stored(browser.sid()).await.unwrap();
        assert_eq!((stored.lifetime, stored.has_deadline), (lifetime, false));
    }
}

#[tokio::test]
async fn always_save_moves_back_the_date_at_which_a_session_ends() {
    let date = time::OffsetDateTime::now_utc() + time::Duration::weeks(1);
    let store = store().await;
    let manager = manager(&store).with_expiry(Expiry::AtDateTime(date)).with_always_save(true);
    let mut browser = Site::with(store, manager).visitor("a").await;
    for _ in 0..2 {
        let touch = "SELECT session_touch($1, '0', now() + interval '1 hour')";
        sqlx::query(touch).bind(browser.sid()).execute(&pool().await).await.unwrap();
        browser.get("/").await;
        let left = stored(browser.sid()).await.unwrap().seconds_left;
        assert!(left > 6.0 * 86_400.0, "{left}");
    }
}

#[tokio::test]
async fn a_session_that_ends_at_a_date_does_whatever_uses_it() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    browser.get("/expire?seconds=600&at=1").await;
    let once = stored(browser.sid()).await.unwrap();
    assert_eq!((once.lifetime, once.has_deadline), (0, true));
    assert!((595.0..=600.0).contains(&once.seconds_left));

    browser.get("/expire?seconds=610&at=1").await;
    assert_eq!(
        stored(browser.sid()).await.unwrap().written,
        once.written,
        "moved by less than a step"
    );
    browser.get("/expire?seconds=700&at=1").await;
    assert!(stored(browser.sid()).await.unwrap().seconds_left > 690.0);

    browser.get("/put?key=b&value=1").await;
    let inactive = stored(browser.sid()).await.unwrap();
    assert_eq!((inactive.lifetime, inactive.has_deadline), (3600, false));
}

#[tokio::test]
async fn no_time_left_ends_a_session() {
    let site = Site::new().await;
    for path in [
        "/expire?seconds=0",
        "/expire?seconds=-1",
        "/expire?seconds=0&at=1",
        "/expire?seconds=-5&at=1",
    ] {
        let mut browser = site.visitor("a").await;
        let sid = browser.sid().to_owned();
        assert_eq!(browser.get(path).await.status, StatusCode::OK);
        assert_eq!(stored(&sid).await, None, "{path}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_an_error() {
    let store = store().await;
    let site = Site::with(store.clone(), manager(&store));
    let mut browser = site.visitor("a").await;
    let unreachable = sqlx::postgres::PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy("postgresql://nobody@127.0.0.1:1/nothing")
        .unwrap();
    let store = tower_sessions_session_store::PostgresStore::new(unreachable);
    let elsewhere = Site::with(store.clone(), manager(&store));
    browser.app = elsewhere.app.clone();
    for path in ["/get?key=a", "/put?key=a&value=2", "/flush"] {
        let answer = browser.get(path).await;
        assert_eq!(
            (answer.status, answer.cookie),
            (StatusCode::INTERNAL_SERVER_ERROR, None),
            "{path}"
        );
    }
    let mut first = elsewhere.browser();
    first.app = elsewhere.app.clone();
    let answer = first.get("/put?key=a&value=1").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
}
