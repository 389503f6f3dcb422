//! A small site on axum with tower-sessions, whose store STORE names; see bench/adapters.sh.

use std::{env, error::Error};

use axum::{Router, response::IntoResponse, routing::get};
use sqlx::{PgPool, postgres::PgPoolOptions};
use time::Duration;
use tokio::net::TcpListener;

const LIFETIME: Duration = Duration::hours(1);

/// The same site with either version of tower-sessions.
macro_rules! site {
    ($sessions:ident, $login:expr) => {
        use std::collections::HashMap;

        use axum::{
            Router,
            extract::Query,
            http::{HeaderMap, StatusCode},
            routing::{get, post},
        };
        use $sessions::{Expiry, Session, SessionManagerLayer, SessionStore};

        type Answer = Result<String, (StatusCode, String)>;
        type Parameters = Query<HashMap<String, String>>;

        pub fn sessions<S: SessionStore>(store: S, always_save: bool) -> SessionManagerLayer<S> {
            SessionManagerLayer::new(store)
                .with_secure(false)
                .with_expiry(Expiry::OnInactivity(super::LIFETIME))
                .with_always_save(always_save)
        }

        /// They answer with what the session holds then, so that the caller sees that the store has done its work.
        pub fn routes() -> Router {
            Router::new()
                .route("/read", get(async |session: Session| answer(&session).await))
                .route("/write", post(write))
                .route("/first", post(first))
                .route("/login", post(login))
                .route("/logout", post(logout))
        }

        async fn answer(session: &Session) -> Answer {
            let seen: Option<String> = session.get("seen").await.map_err(failed)?;
            Ok(seen.unwrap_or_else(|| "none".to_owned()))
        }

        fn failed(error: $sessions::session::Error) -> (StatusCode, String) {
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }

        async fn write(session: Session, Query(parameters): Parameters) -> Answer {
            session.insert("seen", &parameters["seen"]).await.map_err(failed)?;
            answer(&session).await
        }

        async fn first(session: Session, Query(parameters): Parameters) -> Answer {
            let seen = &parameters["seen"];
            for i in 0..10 {
                let value = format!("value {i} of {seen} ").repeat(3);
                session.insert(&format!("key{i}"), value).await.map_err(failed)?;
            }
            session.insert("seen", seen).await.map_err(failed)?;
            answer(&session).await
        }

        async fn login(
            session: Session,
            headers: HeaderMap,
            Query(parameters): Parameters,
        ) -> Answer {
            let user = &parameters["user"];
            session.insert("user", user).await.map_err(failed)?;
            $login(&session, user, &headers).await.map_err(failed)?;
            answer(&session).await
        }

        async fn logout(session: Session) -> Answer {
            session.flush().await.map_err(failed)?;
            answer(&session).await
        }
    };
}

mod ours {
    use axum::http::header::USER_AGENT;
    use serde_json::json;
    use tower_sessions_session_store::Principals;

    site!(tower_sessions, async |session: &Session, user: &str, headers: &HeaderMap| {
        let browser = headers.get(USER_AGENT).and_then(|name| name.to_str().ok());
        session.login(user, Some(json!({ "browser": browser }))).await
    });
}

mod theirs {
    site!(tower_sessions_0_14, async |session: &Session, _: &str, _: &HeaderMap| session
        .cycle_id()
        .await);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = PgPoolOptions::new().max_connections(20).connect(&env::var("DATABASE_URL")?).await?;
    let always_save = env::var("ALWAYS_SAVE").is_ok();
    let app = if env::var("STORE")? == "session_store" {
        let store = tower_sessions_session_store::PostgresStore::new(pool);
        ours::routes().layer(store.scope(ours::sessions(store.clone(), always_save)))
    } else {
        theirs::routes().layer(theirs::sessions(their_store(pool).await?, always_save))
    };
    let app = app.merge(Router::new().route("/untouched", get(async || "none".into_response())));
    let listener = TcpListener::bind(("127.0.0.1", env::var("PORT")?.parse()?)).await?;
    Ok(axum::serve(listener, app).await?)
}

/// Its `migrate` would need the right to create schemas.
async fn their_store(
    pool: PgPool,
) -> Result<tower_sessions_sqlx_store::PostgresStore, Box<dyn Error>> {
    let table = "CREATE TABLE session (id text PRIMARY KEY NOT NULL, data bytea NOT NULL, expiry_date timestamptz NOT NULL)";
    sqlx::query(table).execute(&pool).await?;
    Ok(tower_sessions_sqlx_store::PostgresStore::new(pool).with_schema_name("public")?)
}
