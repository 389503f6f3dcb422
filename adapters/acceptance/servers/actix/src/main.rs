//! A small application on actix-web with actix-session, for the acceptance tests.

use std::{collections::HashMap, env};

use actix_session::{
    Session, SessionMiddleware,
    config::{CookieContentSecurity, PersistentSession, TtlExtensionPolicy},
};
use actix_session_store::{Device, PostgresSessionStore, Principals};
use actix_web::{
    App, HttpRequest, HttpServer,
    cookie::Key,
    error::ErrorInternalServerError,
    http::header::USER_AGENT,
    rt::time::sleep,
    web::{Json, Query, get, post},
};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use time::{Duration, format_description::well_known::Rfc3339};

type Parameters = Query<HashMap<String, String>>;
type Answer = actix_web::Result<Json<Value>>;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // PgBouncer in transaction mode may be in between: it knows neither this parameter nor prepared statements.
    let options = env::var("DATABASE_URL")?.parse::<PgConnectOptions>()?.extra_float_digits(None);
    let pool = PgPoolOptions::new().max_connections(20).connect_lazy_with(options);
    let store = PostgresSessionStore::new(pool).with_persistent(false);
    let seconds = env::var("COOKIE_SECONDS").map_or(Ok(3600), |seconds| seconds.parse())?;
    let key = Key::from(&[7; 64]);
    let server = HttpServer::new(move || {
        let policy = match env::var("ROLLING").as_deref() {
            Ok("yes") => TtlExtensionPolicy::OnEveryRequest,
            _ => TtlExtensionPolicy::OnStateChanges,
        };
        let lifecycle = PersistentSession::default()
            .session_ttl(Duration::seconds(seconds))
            .session_ttl_extension_policy(policy);
        let sessions = SessionMiddleware::builder(store.clone(), key.clone())
            .cookie_secure(false)
            .cookie_content_security(CookieContentSecurity::Signed) // an encrypted one is another each time
            .session_lifecycle(lifecycle)
            .build();
        App::new()
            .wrap(store.scope(sessions))
            .route("/untouched", get().to(async || Json(json!({}))))
            .route("/session", get().to(session))
            .route("/set", post().to(set))
            .route("/unset", post().to(unset))
            .route("/login", post().to(login))
            .route("/whoami", get().to(whoami))
            .route("/logout", post().to(logout))
            .route("/flash", post().to(flash))
            .route("/flash", get().to(show))
            .route("/devices", get().to(devices))
            .route("/revoke", post().to(revoke))
            .route("/revoke_others", post().to(revoke_others))
    });
    let port = env::var("PORT")?.parse()?;
    Ok(server.workers(2).bind(("127.0.0.1", port))?.run().await?)
}

async fn session(session: Session) -> Answer {
    let mut data = HashMap::new();
    for (key, json) in session.entries().iter() {
        data.insert(key.clone(), serde_json::from_str::<Value>(json)?);
    }
    Ok(Json(json!({ "data": data })))
}

async fn set(session: Session, parameters: Parameters) -> Answer {
    wait(&parameters).await?;
    session.insert(parameters["key"].as_str(), &parameters["value"])?;
    Ok(Json(json!({})))
}

async fn unset(session: Session, parameters: Parameters) -> Answer {
    wait(&parameters).await?;
    session.remove(&parameters["key"]);
    Ok(Json(json!({})))
}

async fn login(session: Session, parameters: Parameters, request: HttpRequest) -> Answer {
    wait(&parameters).await?;
    let browser = request.headers().get(USER_AGENT).and_then(|name| name.to_str().ok());
    session.insert("user", &parameters["user"])?;
    session.login(&parameters["user"], Some(json!({ "browser": browser }))).await?;
    Ok(Json(json!({})))
}

async fn whoami(session: Session) -> Answer {
    Ok(Json(json!({ "user": session.get::<String>("user")? })))
}

async fn logout(session: Session) -> Answer {
    session.purge();
    Ok(Json(json!({})))
}

async fn flash(session: Session, parameters: Parameters) -> Answer {
    session.insert("flash", &parameters["message"])?;
    Ok(Json(json!({})))
}

async fn show(session: Session) -> Answer {
    Ok(Json(json!({ "message": session.pop::<String>("flash").await? })))
}

async fn devices(session: Session) -> Answer {
    let devices = session.devices().await?.iter().map(shown).collect::<Result<Vec<_>, _>>();
    Ok(Json(json!({ "devices": devices.map_err(ErrorInternalServerError)? })))
}

fn shown(device: &Device) -> Result<Value, time::error::Format> {
    let seen = device.last_seen.map(|seen| seen.format(&Rfc3339)).transpose()?;
    Ok(json!({
        "handle": device.handle, "is_this": device.is_this, "attributes": device.attributes, "last_seen": seen,
    }))
}

async fn revoke(session: Session, parameters: Parameters) -> Answer {
    Ok(Json(json!({ "revoked": session.revoke(&parameters["handle"]).await? })))
}

async fn revoke_others(session: Session) -> Answer {
    Ok(Json(json!({ "revoked": session.revoke_others().await?.len() })))
}

async fn wait(parameters: &HashMap<String, String>) -> actix_web::Result<()> {
    if let Some(milliseconds) = parameters.get("wait") {
        let milliseconds = milliseconds.parse().map_err(ErrorInternalServerError)?;
        sleep(Duration::milliseconds(milliseconds).unsigned_abs()).await;
    }
    Ok(())
}
