//! A small application, browsers that visit it, and what the database has of their sessions.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Query, State},
    http::{Request, Response, StatusCode, header},
    routing::get,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;
use tower::ServiceExt;
use tower_sessions::{
    Expiry, Session, SessionManagerLayer,
    session::{Error, Id},
};
use tower_sessions_session_store::{PostgresStore, Principals};

use crate::database::pool;

pub const HOUR: Duration = Duration::hours(1);

pub async fn store() -> PostgresStore {
    PostgresStore::new(pool().await)
}

pub fn manager(store: &PostgresStore) -> SessionManagerLayer<PostgresStore> {
    SessionManagerLayer::new(store.clone()).with_expiry(Expiry::OnInactivity(HOUR))
}

/// Holds a request that has loaded its session, until others are answered.
#[derive(Clone, Default)]
pub struct Gate {
    pub loaded: Arc<Notify>,
    pub go: Arc<Notify>,
}

pub struct Site {
    pub store: PostgresStore,
    pub app: Router,
    pub gate: Gate,
}

impl Site {
    pub async fn new() -> Self {
        let store = store().await;
        let manager = manager(&store);
        Self::with(store, manager)
    }

    pub fn with(store: PostgresStore, manager: SessionManagerLayer<PostgresStore>) -> Self {
        let gate = Gate::default();
        let app = routes().with_state(gate.clone()).layer(store.scope(manager));
        Self { store, app, gate }
    }

    pub fn browser(&self) -> Browser {
        Browser { app: self.app.clone(), cookie: None }
    }

    /// A browser with a session that has this key.
    pub async fn visitor(&self, key: &str) -> Browser {
        let mut browser = self.browser();
        browser.get(&format!("/put?key={key}&value=1")).await;
        browser
    }
}

#[derive(Clone)]
pub struct Browser {
    pub app: Router,
    pub cookie: Option<String>,
}

pub struct Answer {
    pub status: StatusCode,
    pub cookie: Option<String>,
    pub body: String,
}

impl Browser {
    pub async fn get(&mut self, path: &str) -> Answer {
        let mut request = Request::builder().uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, format!("id={cookie}"));
        }
        let response =
            self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let cookie = set_cookie(&response);
        if let Some(cookie) = &cookie {
            let value = cookie.split(['=', ';']).nth(1).unwrap();
            self.cookie = (!value.is_empty()).then(|| value.to_owned());
        }
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, cookie, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// What a page says that has to work.
    pub async fn see(&mut self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The values of keys.
    pub async fn has(&mut self, keys: &[&str]) -> Vec<Value> {
        let mut values = Vec::new();
        for key in keys {
            values.push(self.see(&format!("/get?key={key}")).await);
        }
        values
    }

    pub fn sid(&self) -> &str {
        self.cookie.as_deref().expect("a cookie")
    }
}

fn set_cookie(response: &Response<Body>) -> Option<String> {
    let mut cookies = response.headers().get_all(header::SET_COOKIE).iter();
    let cookie = cookies.next().map(|cookie| cookie.to_str().unwrap().to_owned());
    assert!(cookies.next().is_none(), "more than one cookie");
    cookie
}

pub type Parameters = Query<HashMap<String, String>>;
pub type Page = Result<Json<Value>, (StatusCode, String)>;

pub fn failed(error: Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

pub fn routes() -> Router<Gate> {
    Router::new()
        .route("/", get(async || "untouched"))
        .route("/get", get(look))
        .route("/put", get(put))
        .route("/remove", get(remove))
        .route("/pop", get(pop))
        .route("/clear", get(async |session: Session| session.clear().await))
        .route("/save", get(save))
        .route("/cycle", get(cycle))
        .route("/flush", get(flush))
        .route("/delete", get(delete))
        .route("/login", get(login))
        .route("/devices", get(devices))
        .route("/revoke", get(revoke))
        .route("/revoke_others", get(revoke_others))
        .route("/expire", get(expire))
        .route("/error", get(error))
}

async fn hold(
    session: &Session,
    parameters: &Parameters,
    gate: &Gate,
) -> Result<(), (StatusCode, String)> {
    if parameters.contains_key("hold") {
        session.get_value("").await.map_err(failed)?;
        gate.loaded.notify_one();
        gate.go.notified().await;
    }
    Ok(())
}

async fn look(session: Session, parameters: Parameters, State(gate): State<Gate>) -> Page {
    hold(&session, &parameters, &gate).await?;
    Ok(Json(json!(session.get_value(&parameters["key"]).await.map_err(failed)?)))
}

async fn put(session: Session, parameters: Parameters, State(gate): State<Gate>) -> Page {
    hold(&session, &parameters, &gate).await?;
    session.insert(&parameters["key"], &parameters["value"]).await.map_err(failed)?;
    Ok(Json(json!(session.id().map(|id| id.to_string()))))
}

async fn remove(session: Session, parameters: Parameters, State(gate): State<Gate>) -> Page {
    hold(&session, &parameters, &gate).await?;
    Ok(Json(json!(session.remove_value(&parameters["key"]).await.map_err(failed)?)))
}

async fn pop(session: Session, parameters: Parameters, State(gate): State<Gate>) -> Page {
    hold(&session, &parameters, &gate).await?;
    Ok(Json(json!(session.pop::<Value>(&parameters["key"]).await.map_err(failed)?)))
}

/// Saves at once, changes again, and may be held between.
async fn save(session: Session, parameters: Parameters, State(gate): State<Gate>) -> Page {
    session.insert("first", 1).await.map_err(failed)?;
    session.save().await.map_err(failed)?;
    hold(&session, &parameters, &gate).await?;
    session.insert("second", 2).await.map_err(failed)?;
    Ok(Json(json!(session.id().map(|id| id.to_string()))))
}

/// Renews the id; then may empty the session, or fail.
async fn cycle(session: Session, parameters: Parameters, State(gate): State<Gate>) -> Page {
    hold(&session, &parameters, &gate).await?;
    session.cycle_id().await.map_err(failed)?;
    match parameters.get("then").map(String::as_str) {
        Some("flush") => session.flush().await.map_err(failed)?,
        Some("fail") => return Err((StatusCode::INTERNAL_SERVER_ERROR, "failed".to_owned())),
        Some("twice") => session.cycle_id().await.map_err(failed)?,
        Some("devices") => return devices(session).await,
        Some("pop") => {
            return Ok(Json(json!(session.pop::<Value>("flash").await.map_err(failed)?)));
        }
        Some("end") => {
            session.set_expiry(Some(Expiry::OnInactivity(Duration::ZERO)));
        }
        _ => (),
    }
    Ok(Json(json!({})))
}

/// Ends the session; then may begin another.
async fn flush(session: Session, parameters: Parameters) -> Page {
    session.flush().await.map_err(failed)?;
    if parameters.contains_key("then") {
        session.insert("new", 1).await.map_err(failed)?;
    }
    Ok(Json(json!({})))
}

async fn delete(session: Session) -> Page {
    session.insert("deleted", 1).await.map_err(failed)?;
    session.delete().await.map_err(failed)?;
    Ok(Json(json!({})))
}

/// Logs in, and says which keys the session has then.
async fn login(session: Session, parameters: Parameters, State(gate): State<Gate>) -> Page {
    hold(&session, &parameters, &gate).await?;
    session
        .login(&parameters["user"], Some(json!({ "browser": "Firefox" })))
        .await
        .map_err(failed)?;
    let mut seen = Vec::new();
    for key in ["a", "b", "user"] {
        if session.get_value(key).await.map_err(failed)?.is_some() {
            seen.push(key);
        }
    }
    if parameters.get("then").is_some_and(|then| then == "flush") {
        session.flush().await.map_err(failed)?;
    } else if !parameters.contains_key("bare") {
        session.insert("user", &parameters["user"]).await.map_err(failed)?;
    }
    Ok(Json(json!(seen)))
}

async fn devices(session: Session) -> Page {
    let devices = session.devices().await.map_err(failed)?;
    let shown =
        devices.iter().map(|device| json!([device.handle, device.is_this, device.attributes]));
    Ok(Json(shown.collect()))
}

async fn revoke(session: Session, parameters: Parameters) -> Page {
    Ok(Json(json!(session.revoke(&parameters["handle"]).await.map_err(failed)?)))
}

async fn revoke_others(session: Session) -> Page {
    Ok(Json(json!(session.revoke_others().await.map_err(failed)?)))
}

/// Has the session end in so many seconds, or after so many without a change.
async fn expire(session: Session, parameters: Parameters) -> Page {
    session.get_value("").await.map_err(failed)?;
    let seconds = Duration::seconds(parameters["seconds"].parse().unwrap());
    session.set_expiry(Some(match parameters.contains_key("at") {
        true => Expiry::AtDateTime(OffsetDateTime::now_utc() + seconds),
        false => Expiry::OnInactivity(seconds),
    }));
    Ok(Json(json!({})))
}

async fn error(session: Session) -> (StatusCode, String) {
    session.insert("error", 1).await.map_err(failed).unwrap();
    (StatusCode::BAD_GATEWAY, "the answer".to_owned())
}

/// A name that no other test has.
pub fn unique() -> String {
    Id::default().to_string()
}
