//! Logins, and lists of devices.

use actix_session::SessionExt;
use actix_session_store::Principals;
use actix_web::{http::StatusCode, rt::spawn, test::TestRequest};
use serde_json::{Value, json};

use crate::{
    database::{owner, stored},
    support::{Browser, Site, unique},
};

#[actix_web::test]
async fn a_login_renews_the_id_and_binds_the_session() {
    let site = Site::new().await;
    for before in ["/", "/put?key=a&value=1"] {
        for bare in ["", "&bare=1"] {
            let (mut browser, user) = (site.browser(), unique());
            browser.get(before).await;
            let old = browser.cookie.is_some().then(|| browser.sid());
            let kept = browser.see(&format!("/login?user={user}{bare}")).await;
            assert_eq!(
                kept,
                if old.is_some() { json!({ "a": "1" }) } else { json!({ "principal": user }) }
            );
            assert_ne!(Some(browser.sid()), old);
            assert_eq!(stored(&browser.sid()).await.unwrap().principal, Some(user));
            assert_eq!(stored(&browser.sid()).await.unwrap().lifetime, 3600);
            if let Some(old) = old {
                assert_eq!(stored(&old).await, None);
            }
        }
    }
}

#[actix_web::test]
async fn a_login_as_somebody_else_takes_nothing_along() {
    let site = Site::new().await;
    let (mut browser, user) = (site.visitor("a").await, unique());
    browser.get(&format!("/login?user={}", unique())).await;
    browser.get("/put?key=b&value=1").await;
    assert_eq!(browser.see(&format!("/login?user={user}")).await, json!({}));
    assert_eq!(browser.data().await, json!({ "user": user }));
    assert_eq!(stored(&browser.sid()).await.unwrap().principal, Some(user));
}

#[actix_web::test]
async fn a_login_keeps_what_was_set_meanwhile_and_shows_it() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    let mut tab = browser.clone();
    let login = spawn(async move {
        let kept = browser.see(&format!("/login?user={}&hold=1&bare=1", unique())).await;
        (browser, kept)
    });
    site.gate.loaded.notified().await;
    tab.get("/put?key=b&value=1").await;
    site.gate.go.notify_one();
    let (mut browser, kept) = login.await.unwrap();
    assert_eq!(kept, json!({ "a": "1", "b": "1" }));
    assert_eq!(browser.data().await, kept);
}

#[actix_web::test]
async fn a_late_login_brings_nothing_back() {
    let site = Site::new().await;
    let browser = site.visitor("a").await;
    let (mut tab, mut other, user) = (browser.clone(), browser.clone(), unique());
    let path = format!("/login?user={user}&hold=1");
    let login = spawn(async move {
        let kept = tab.see(&path).await;
        (tab, kept)
    });
    site.gate.loaded.notified().await;
    other.get("/purge").await;
    site.gate.go.notify_one();
    let (mut tab, kept) = login.await.unwrap();
    assert_eq!(kept, json!({}));
    assert_eq!(tab.data().await, json!({ "user": user }));
    assert_eq!(stored(&browser.sid()).await, None);
}

#[actix_web::test]
async fn who_logs_in_and_out_at_once_leaves_nothing() {
    let site = Site::new().await;
    for mut browser in [site.browser(), site.visitor("a").await] {
        let user = unique();
        browser.get(&format!("/login?user={user}&then=purge")).await;
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

#[actix_web::test]
async fn devices_are_listed_and_end_one_by_one_or_together() {
    let site = Site::new().await;
    let user = unique();
    let [mut one, mut two, mut three] = devices(&site, &user).await;
    let listed = one.see("/devices").await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!((&listed[0][1], &listed[1][1]), (&json!(true), &json!(false)));
    assert_eq!(listed[0][2], json!({ "browser": "Firefox" }));

    let handle = listed[0][0].as_str().unwrap().to_owned();
    assert_eq!(two.see(&format!("/revoke?handle={handle}")).await, json!(true));
    assert_eq!(two.see(&format!("/revoke?handle={handle}")).await, json!(false));
    assert_eq!(one.data().await, json!({}));
    assert_eq!(three.see("/revoke_others").await.as_array().unwrap().len(), 1);
    assert_eq!(two.data().await, json!({}));
    assert_eq!(three.data().await["user"], json!(user));
}

#[actix_web::test]
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

#[actix_web::test]
async fn a_principal_is_text() {
    let site = Site::new().await;
    let mut browser = site.visitor("a").await;
    for user in ["", "%00", &"a".repeat(257)] {
        let answer = browser.get(&format!("/login?user={user}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
        assert_eq!(browser.data().await, json!({ "a": "1" }));
    }
}

#[actix_web::test]
async fn of_requests_that_pop_one_gets_the_value() {
    let site = Site::new().await;
    let mut browser = site.visitor("flash").await;
    let (mut tab, mut other) = (browser.clone(), browser.clone());
    let popped = spawn(async move { tab.see("/pop?key=flash&hold=1").await });
    site.gate.loaded.notified().await;
    assert_eq!(other.see("/pop?key=flash").await, json!("1"));
    site.gate.go.notify_one();
    assert_eq!(popped.await.unwrap(), Value::Null);
    assert_eq!(browser.data().await, json!({}));
}

#[actix_web::test]
async fn a_login_without_the_stores_middleware_is_an_error() {
    let session = TestRequest::default().to_srv_request().get_session();
    let error = session.login("ada", None).await.unwrap_err();
    assert!(error.to_string().contains("scope"), "{error}");
}
