//! Logins, and lists of devices.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tower_sessions::Session;
use tower_sessions_session_store::Principals;

use crate::{
    database::{owner, pool, stored},
    support::{Browser, Site, store, unique},
};

#[tokio::test]
async fn a_login_renews_the_id_and_binds_the_session() {
    let site = Site::new().await;
    for before in ["/", "/put?key=a&value=1"] {
        for bare in ["", "&bare=1"] {
            let (mut browser, user) = (site.browser(), unique());
            browser.get(before).await;
            let old = browser.cookie.clone();
            let kept = browser.see(&format!("/login?user={user}{bare}")).await;
            assert_eq!(kept, if old.is_some() { json!(["a"]) } else { json!([]) });
            assert_ne!(browser.cookie, old);
            assert_eq!(stored(browser.sid()).await.unwrap().principal, Some(user));
            if let Some(old) = old {
                assert_eq!(stored(&old).await, None);
            }
        }
    }
}

#[tokio::test]
async fn a_login_as_somebody_else_takes_nothing_along() {
    let site = Site::new().await;
    let (mut browser, user) = (site.browser(), unique());
    browser.get(&format!("/login?user={}", unique())).await;
    browser.get("/put?key=a&value=1").await;
    assert_eq!(browser.see(&format!("/login?user={user}")).await, json!([]));
    assert_eq!(browser.has(&["a", "user"]).await, [Value::Null, json!(user)]);
    assert_eq!(stored(browser.sid()).await.unwrap().principal, Some(user));
}

#[tokio::test]
async fn a_login_keeps_what_was_set_meanwhile_and_shows_it() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let mut tab = browser.clone();
    let login = tokio::spawn(async move {
        let kept = browser.see(&format!("/login?user={}&hold=1", unique())).await;
        (browser, kept)
    });
    site.gate.loaded.notified().await;
    tab.get("/put?key=b&value=1").await;
    site.gate.go.notify_one();
    let (mut browser, kept) = login.await.unwrap();
    assert_eq!(kept, json!(["a", "b"]));
    assert_eq!(browser.has(&["a", "b"]).await, [json!("1"), json!("1")]);
}

#[tokio::test]
async fn a_late_login_brings_nothing_back() {
    let site = Site::new().await;
    let browser = site.visitor("a").await;
    let (mut tab, mut other) = (browser.clone(), browser.clone());
    let login = tokio::spawn(async move {
        let kept = tab.see(&format!("/login?user={}&hold=1", unique())).await;
        (tab, kept)
    });
    site.gate.loaded.notified().await;
    other.get("/flush").await;
    site.gate.go.notify_one();
    let (mut tab, kept) = login.await.unwrap();
    assert_eq!(kept, json!([]));
    assert_eq!(tab.has(&["a"]).await, [Value::Null]);
    assert_eq!(stored(browser.sid()).await, None);
}

#[tokio::test]
async fn who_logs_in_and_out_at_once_leaves_nothing() {
    let site = Site::new().await;
    for mut browser in [site.browser(), site.visitor("a").await] {
        let user = unique();
        browser.get(&format!("/login?user={user}&then=flush")).await;
        assert_eq!(browser.cookie, None);
        let query = "SELECT count(*) FROM session WHERE principal = $1";
        let left: i64 =
            sqlx::query_scalar(query).bind(user).fetch_one(&owner().await).await.unwrap();
        assert_eq!(left, 0);
    }
}

async fn devices(site: &Site, user: &str) -> [Browser; 3] {
    let mut browsers = [site.browser(), site.browser(), site.browser()];
    for browser in &mut browsers {
        browser.get(&format!("/login?user={user}")).await;
    }
    browsers
}

#[tokio::test]
async fn devices_are_listed_and_end_one_by_one_or_together() {
    let site = Site::new().await;
    let user = unique();
    let [mut one, mut two, mut three] = devices(&site, &user).await;
    let listed = one.see("/devices").await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(listed[0][1], json!(true));
    assert_eq!(listed[1][1], json!(false));
    assert_eq!(listed[0][2], json!({ "browser": "Firefox" }));

    let handle = listed[0][0].as_str().unwrap().to_owned();
    assert_eq!(two.see(&format!("/revoke?handle={handle}")).await, json!(true));
    assert_eq!(two.see(&format!("/revoke?handle={handle}")).await, json!(false));
    assert_eq!(one.has(&["user"]).await, [Value::Null]);
    assert_eq!(three.see("/revoke_others").await.as_array().unwrap().len(), 1);
    assert_eq!(two.has(&["user"]).await, [Value::Null]);
    assert_eq!(three.has(&["user"]).await, [json!(user)]);
}

#[tokio::test]
async fn nobody_has_no_devices() {
    let site = Site::new().await;
    let [mut user, ..] = devices(&site, &unique()).await;
    let handle = user.see("/devices").await[0][0].as_str().unwrap().to_owned();
    for mut browser in [site.browser(), site.visitor("a").await] {
        assert_eq!(browser.see("/devices").await, json!([]));
        assert_eq!(browser.see("/revoke_others").await, json!([]));
        for handle in [handle.as_str(), "", "%00", "made-up"] {
            assert_eq!(browser.see(&format!("/revoke?handle={handle}")).await, json!(false));
        }
    }
}

#[tokio::test]
async fn a_principal_is_text() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    for user in ["", "%00", &"a".repeat(257)] {
        let answer = browser.get(&format!("/login?user={user}")).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.body.contains("256 bytes"), "{}", answer.body);
        assert_eq!(browser.has(&["a"]).await, [json!("1")]);
    }
}

#[tokio::test]
async fn of_requests_that_pop_one_gets_the_value() {
    let site = Site::new().await;
    let mut browser = site.visitor("flash").await;
    let (mut tab, mut other) = (browser.clone(), browser.clone());
    let popped = tokio::spawn(async move { tab.see("/pop?key=flash&hold=1").await });
    site.gate.loaded.notified().await;
    assert_eq!(other.see("/pop?key=flash").await, json!("1"));
    site.gate.go.notify_one();
    assert_eq!(popped.await.unwrap(), Value::Null);
    assert_eq!(browser.has(&["flash"]).await, [Value::Null]);
}

#[tokio::test]
async fn a_login_without_the_stores_layer_is_an_error() {
    let session = Session::new(None, std::sync::Arc::new(store().await), None);
    let error = session.login("ada", None).await.unwrap_err();
    assert!(error.to_string().contains("scope"), "{error}");
}

#[tokio::test]
async fn the_password_is_changed_and_all_others_are_out_in_one_transaction() {
    let site = Site::new().await;
    let user = unique();
    let [one, two, three] = devices(&site, &user).await;
    let query = "SELECT count(*) FROM session_revoke_all($1, keep => $2)";
    let ended: i64 = sqlx::query_scalar(query)
        .bind(&user)
        .bind(one.sid())
        .fetch_one(&pool().await)
        .await
        .unwrap();
    assert_eq!(ended, 2);
    assert!(stored(one.sid()).await.is_some());
    assert_eq!((stored(two.sid()).await, stored(three.sid()).await), (None, None));
}
