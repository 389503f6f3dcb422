//! A small application on axum with tower-sessions, for the acceptance tests.

use std::{collections::HashMap, env, error::Error};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header::USER_AGENT},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Map, Value, json};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::net::TcpListener;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_session_store::{Device, PostgresStore, Principals};

type Parameters = Query<HashMap<String, String>>;
type Answer = Result<Json<Value>, Failure>;

struct Failure(Box<dyn Error>);

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // PgBouncer in transaction mode may be in between: it knows neither this parameter nor prepared statements.
    let options = env::var("DATABASE_URL")?.parse::<PgConnectOptions>()?.extra_float_digits(None);
    let pool = PgPoolOptions::new().max_connections(20).connect_lazy_with(options);
    let store = PostgresStore::new(pool.clone()).with_persistent(false);
    let seconds = env::var("COOKIE_SECONDS").map_or(Ok(3600), |seconds| seconds.parse())?;
    let sessions = SessionManagerLayer::new(store.clone())
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::seconds(seconds)))
        .with_always_save(env::var("ROLLING").is_ok_and(|rolling| rolling == "yes"));

    let app = Router::new()
        .route("/session", get(session))
        .route("/set", post(set))
        .route("/unset", post(unset))
        .route("/login", post(login))
        .route("/whoami", get(whoami))
        .route("/logout", post(logout))
        .route("/flash", post(flash).get(show))
        .route("/devices", get(devices))
        .route("/revoke", post(revoke))
        .route("/revoke_others", post(revoke_others))
        .layer(middleware::from_fn(remember))
        .route("/untouched", get(async || Json(json!({}))))
        .layer(store.scope(sessions))
        .with_state(pool);
    let listener = TcpListener::bind(("127.0.0.1", env::var("PORT")?.parse()?)).await?;
    Ok(axum::serve(listener, app).await?)
}

/// tower-sessions begins each request with the layer's expiry.
async fn remember(session: Session, request: Request, next: Next) -> Result<Response, Failure> {
    if session.get::<bool>("remember").await?.is_some() {
        session.set_expiry(Some(Expiry::OnInactivity(Duration::days(30))));
    }
    Ok(next.run(request).await)
}

/// tower-sessions does not list what is in a session.
async fn session(session: Session, State(pool): State<PgPool>) -> Answer {
    session.get_value("user").await?;
    let id = session.id().map(|id| id.to_string());
    let mut transaction = pool.begin().await?;
    let found = sqlx::query_scalar("SELECT data::text FROM session_fetch($1, false)")
        .persistent(false)
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let mut data: Map<String, Value> =
        found.map_or(Ok(Map::new()), |json: String| serde_json::from_str(&json))?;
    data.remove("remember");
    Ok(Json(json!({ "data": data })))
}

async fn set(session: Session, Query(parameters): Parameters) -> Answer {
    session.get_value("user").await?;
    wait(&parameters).await?;
    session.insert(&parameters["key"], &parameters["value"]).await?;
    Ok(Json(json!({})))
}

async fn unset(session: Session, Query(parameters): Parameters) -> Answer {
    session.get_value("user").await?;
    wait(&parameters).await?;
    session.remove_value(&parameters["key"]).await?;
    Ok(Json(json!({})))
}

async fn login(session: Session, Query(parameters): Parameters, headers: HeaderMap) -> Answer {
    session.get_value("user").await?;
    wait(&parameters).await?;
    session.insert("user", &parameters["user"]).await?;
    if parameters.contains_key("remember") {
        session.insert("remember", true).await?;
        session.set_expiry(Some(Expiry::OnInactivity(Duration::days(30))));
    }
    let browser = headers.get(USER_AGENT).and_then(|name| name.to_str().ok());
    session.login(&parameters["user"], Some(json!({ "browser": browser }))).await?;
    Ok(Json(json!({})))
}

async fn whoami(session: Session) -> Answer {
    Ok(Json(json!({ "user": session.get_value("user").await? })))
}

async fn logout(session: Session) -> Answer {
    session.flush().await?;
    Ok(Json(json!({})))
}

async fn flash(session: Session, Query(parameters): Parameters) -> Answer {
    session.insert("flash", &parameters["message"]).await?;
    Ok(Json(json!({})))
}

async fn show(session: Session) -> Answer {
    Ok(Json(json!({ "message": session.pop::<Value>("flash").await? })))
}

async fn devices(session: Session) -> Answer {
    let devices = session.devices().await?.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(json!({ "devices": devices })))
}

fn shown(device: &Device) -> Result<Value, time::error::Format> {
    let seen = device.last_seen.map(|seen: OffsetDateTime| seen.format(&Rfc3339)).transpose()?;
    Ok(json!({
        "handle": device.handle, "is_this": device.is_this, "attributes": device.attributes, "last_seen": seen,
    }))
}

async fn revoke(session: Session, Query(parameters): Parameters) -> Answer {
    Ok(Json(json!({ "revoked": session.revoke(&parameters["handle"]).await? })))
}

async fn revoke_others(session: Session) -> Answer {
    Ok(Json(json!({ "revoked": session.revoke_others().await?.len() })))
}

async fn wait(parameters: &HashMap<String, String>) -> Result<(), Failure> {
    if let Some(milliseconds) = parameters.get("wait") {
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds.parse()?)).await;
    }
    Ok(())
}
