//! Moving in from tower-sessions-sqlx-store, whose own code fills the table.

use std::collections::HashMap;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use tower_sessions_0_14::{
    SessionStore,
    session::{Id, Record},
};
use tower_sessions_session_store::Imported;
use tower_sessions_sqlx_store::PostgresStore;

use crate::{
    database::{owner, revoke_all, stored},
    support::{Site, unique},
};

/// In a schema of its own.
async fn table(schema: &str) -> PostgresStore {
    let owner = owner().await;
    sqlx::raw_sql(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))
        .execute(&owner)
        .await
        .unwrap();
    let theirs = PostgresStore::new(owner.clone()).with_schema_name(schema).unwrap();
    theirs.migrate().await.unwrap();
    let grant = format!(
        "GRANT USAGE ON SCHEMA {schema} TO app; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO app"
    );
    sqlx::raw_sql(&grant).execute(&owner).await.unwrap();
    theirs
}

fn record(user: &str, lasts: Duration) -> Record {
    let data = HashMap::from([
        ("user_id".to_owned(), json!(user)),
        ("cart".to_owned(), json!({ "ü": [1, 2.5, null, "\u{0}"] })),
    ]);
    Record { id: Id::default(), data, expiry_date: OffsetDateTime::now_utc() + lasts }
}

#[tokio::test]
async fn nobody_is_logged_out_by_moving_in() {
    let (theirs, user) = (table("moving_in").await, unique());
    let mut records = [
        record(&user, Duration::minutes(30)),
        record(&user, Duration::days(3)),
        record(&user, -Duration::SECOND),
    ];
    for record in &mut records {
        theirs.create(record).await.unwrap();
    }
    sqlx::query("INSERT INTO moving_in.session VALUES ('damaged', '\\x00', now() + '1 day')")
        .execute(&owner().await)
        .await
        .unwrap();
    let [soon, later, over] = records;

    let site = Site::new().await;
    let done = site.store.import("moving_in.session", Some("user_id")).await.unwrap();
    assert_eq!(done, Imported { imported: 2, failed: 1 });
    let mut browser = site.browser();
    for (record, seconds) in [(&soon, 1800.0), (&later, 259_200.0)] {
        browser.cookie = Some(record.id.to_string());
        assert_eq!(browser.see("/get?key=cart").await, record.data["cart"]);
        let stored = stored(browser.sid()).await.unwrap();
        assert_eq!(stored.principal.as_deref(), Some(user.as_str()));
        assert!((stored.seconds_left - seconds).abs() < 10.0);
    }
    assert_eq!(stored(&over.id.to_string()).await, None);

    browser.get("/put?key=a&value=1").await;
    let again = site.store.import("moving_in.session", None).await.unwrap();
    assert_eq!(again, Imported { imported: 0, failed: 1 });
    assert_eq!(browser.has(&["a", "user_id"]).await, [json!("1"), json!(user)]);
    revoke_all(&user).await;
    assert_eq!(stored(browser.sid()).await, None);
}

#[tokio::test]
async fn who_is_nobody_is_imported_as_nobody() {
    let theirs = table("moving_in_nobody").await;
    let site = Site::new().await;
    let mut sids = Vec::new();
    for user in [json!(null), json!(""), json!(true), json!({}), json!("x".repeat(257))] {
        let mut record = record("", Duration::HOUR);
        record.data.insert("user_id".to_owned(), user);
        theirs.create(&mut record).await.unwrap();
        sids.push(record.id.to_string());
    }
    let done = site.store.import("moving_in_nobody.session", Some("user_id")).await.unwrap();
    assert_eq!(done, Imported { imported: 5, failed: 0 });
    for sid in &sids {
        assert_eq!(stored(sid).await.unwrap().principal, None);
    }
}

#[tokio::test]
async fn what_a_run_that_broke_off_left_unbound_is_bound_by_the_next() {
    let (theirs, user) = (table("moving_in_again").await, unique());
    let site = Site::new().await;
    let mut record = record(&user, Duration::HOUR);
    theirs.create(&mut record).await.unwrap();
    for principal in [None, Some("user_id")] {
        site.store.import("moving_in_again.session", principal).await.unwrap();
        let bound = stored(&record.id.to_string()).await.unwrap().principal;
        assert_eq!(bound.as_deref(), principal.map(|_| user.as_str()));
    }
    revoke_all(&user).await;
}

#[tokio::test]
async fn the_command_moves_in() {
    let theirs = table("by_command").await;
    for _ in 0..1001 {
        theirs.create(&mut record("nobody", Duration::HOUR)).await.unwrap();
    }
    let mut record = record(&unique(), Duration::HOUR);
    theirs.create(&mut record).await.unwrap();
    let command = env!("CARGO_BIN_EXE_import-tower-sessions");
    let output = std::process::Command::new(command)
        .args(["by_command.session", "user_id"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        "imported 1002 sessions, failed 0\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success());
    assert_eq!(
        stored(&record.id.to_string()).await.unwrap().principal.as_deref(),
        record.data["user_id"].as_str()
    );
    revoke_all("nobody").await;
}
