//! A small application, browsers that visit it, and what the database has of their sessions.

use std::{collections::HashMap, pin::Pin, rc::Rc};

use actix_http::Request;
use actix_session::{
    Session, SessionMiddleware,
    config::{PersistentSession, SessionMiddlewareBuilder, TtlExtensionPolicy},
    storage::generate_session_key,
};
use actix_session_store::{PostgresSessionStore, Principals};
use actix_web::{
    App, HttpResponse,
    body::{MessageBody, to_bytes},
    cookie::{Cookie, CookieJar, Key, time::Duration},
    dev::Service,
    http::StatusCode,
    test,
    web::{Data, Json, Query, ServiceConfig, get},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::database::pool;

pub const HOUR: Duration = Duration::hours(1);

pub async fn store() -> PostgresSessionStore {
    PostgresSessionStore::new(pool().await)
}

pub fn builder(store: &PostgresSessionStore) -> SessionMiddlewareBuilder<PostgresSessionStore> {
    SessionMiddleware::builder(store.clone(), key())
        .session_lifecycle(PersistentSession::default().session_ttl(HOUR))
}

/// With sessions that each request keeps alive.
pub fn rolling(store: &PostgresSessionStore) -> SessionMiddlewareBuilder<PostgresSessionStore> {
    let policy = TtlExtensionPolicy::OnEveryRequest;
    let lifecycle =
        PersistentSession::default().session_ttl(HOUR).session_ttl_extension_policy(policy);
    builder(store).session_lifecycle(lifecycle)
}

/// Holds a request that has loaded its session, until others are answered.
#[derive(Default)]
pub struct Gate {
    pub loaded: Notify,
    pub go: Notify,
}

pub type Call = dyn Fn(Request) -> Pin<Box<dyn Future<Output = Answer>>>;

pub struct Site {
    pub gate: Data<Gate>,
    call: Rc<Call>,
}

impl Site {
    pub async fn new() -> Self {
        let store = store().await;
        let builder = builder(&store);
        Self::with(&store, builder).await
    }

    pub async fn with(
        store: &PostgresSessionStore,
        builder: SessionMiddlewareBuilder<PostgresSessionStore>,
    ) -> Self {
        let gate = Data::new(Gate::default());
        let app =
            App::new().app_data(gate.clone()).wrap(store.scope(builder.build())).configure(routes);
        let app = Rc::new(test::init_service(app).await);
        let call = move |request: Request| {
            let app = Rc::clone(&app);
            let answer = async move {
                match app.call(request).await {
                    Ok(response) => Answer::of(response.into()).await,
                    Err(error) => Answer::of(error.error_response()).await,
                }
            };
            Box::pin(answer) as Pin<Box<dyn Future<Output = Answer>>>
        };
        Self { gate, call: Rc::new(call) }
    }

    pub fn browser(&self) -> Browser {
        Browser { call: Rc::clone(&self.call), cookie: None }
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
    pub call: Rc<Call>,
    pub cookie: Option<Cookie<'static>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub cookie: Option<Cookie<'static>>,
    pub body: String,
}

impl Answer {
    async fn of<B: MessageBody>(response: HttpResponse<B>) -> Self {
        let cookies: Vec<_> = response.cookies().map(Cookie::into_owned).collect();
        assert!(cookies.len() <= 1, "more than one cookie");
        let status = response.status();
        let body = to_bytes(response.into_body()).await.ok().expect("a body");
        let body = String::from_utf8(body.to_vec()).unwrap();
        Self { status, cookie: cookies.into_iter().next(), body }
    }
}

impl Browser {
    pub async fn get(&mut self, path: &str) -> Answer {
        let mut request = test::TestRequest::with_uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.cookie(cookie.clone());
        }
        let answer = (self.call)(request.to_request()).await;
        if let Some(cookie) = &answer.cookie {
            self.cookie = (!cookie.value().is_empty()).then(|| cookie.clone());
        }
        answer
    }

    /// What a page says that has to work.
    pub async fn see(&mut self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// All that the session holds.
    pub async fn data(&mut self) -> Value {
        self.see("/data").await
    }

    /// The session's id.
    pub fn sid(&self) -> String {
        let mut jar = CookieJar::new();
        jar.add_original(self.cookie.clone().expect("a cookie"));
        jar.private(&key()).get("id").expect("ours").value().to_owned()
    }
}

pub fn key() -> Key {
    Key::from(&[7; 64])
}

/// With this id, as if the server had set it.
pub fn cookie_of(sid: &str) -> Cookie<'static> {
    let mut jar = CookieJar::new();
    jar.private_mut(&key()).add(Cookie::new("id", sid.to_owned()));
    jar.get("id").unwrap().clone()
}

pub type Parameters = Query<HashMap<String, String>>;
pub type Page = actix_web::Result<Json<Value>>;

fn routes(app: &mut ServiceConfig) {
    app.route("/", get().to(async || "untouched"))
        .route("/data", get().to(data))
        .route("/put", get().to(put))
        .route("/remove", get().to(remove))
        .route("/clear", get().to(clear))
        .route("/pop", get().to(pop))
        .route("/renew", get().to(renew))
        .route("/purge", get().to(purge))
        .route("/login", get().to(login))
        .route("/devices", get().to(devices))
        .route("/revoke", get().to(revoke))
        .route("/revoke_others", get().to(revoke_others));
}

async fn hold(parameters: &Parameters, gate: &Gate) {
    if parameters.contains_key("hold") {
        gate.loaded.notify_one();
        gate.go.notified().await;
    }
}

async fn data(session: Session, parameters: Parameters, gate: Data<Gate>) -> Page {
    hold(&parameters, &gate).await;
    Ok(Json(shown(&session)))
}

fn shown(session: &Session) -> Value {
    session
        .entries()
        .iter()
        .map(|(key, json)| (key.clone(), serde_json::from_str::<Value>(json).unwrap()))
        .collect()
}

async fn put(session: Session, parameters: Parameters, gate: Data<Gate>) -> Page {
    hold(&parameters, &gate).await;
    session.insert(parameters["key"].as_str(), &parameters["value"])?;
    Ok(Json(json!({})))
}

async fn remove(session: Session, parameters: Parameters, gate: Data<Gate>) -> Page {
    hold(&parameters, &gate).await;
    Ok(Json(json!(session.remove(&parameters["key"]))))
}

async fn clear(session: Session) -> Page {
    session.clear();
    Ok(Json(json!({})))
}

async fn pop(session: Session, parameters: Parameters, gate: Data<Gate>) -> Page {
    hold(&parameters, &gate).await;
    Ok(Json(json!(session.pop::<Value>(&parameters["key"]).await?)))
}

async fn renew(session: Session, parameters: Parameters, gate: Data<Gate>) -> Page {
    hold(&parameters, &gate).await;
    session.renew();
    Ok(Json(json!({})))
}

async fn purge(session: Session) -> Page {
    session.purge();
    Ok(Json(json!({})))
}

/// Logs in, and says what the session has then.
async fn login(session: Session, parameters: Parameters, gate: Data<Gate>) -> Page {
    hold(&parameters, &gate).await;
    session.login(&parameters["user"], Some(json!({ "browser": "Firefox" }))).await?;
    let seen = shown(&session);
    if parameters.get("then").is_some_and(|then| then == "purge") {
        session.purge();
    } else if !parameters.contains_key("bare") {
        session.insert("user", &parameters["user"])?;
    }
    Ok(Json(seen))
}

async fn devices(session: Session) -> Page {
    let devices = session.devices().await?;
    let shown =
        devices.iter().map(|device| json!([device.handle, device.is_this, device.attributes]));
    Ok(Json(shown.collect()))
}

async fn revoke(session: Session, parameters: Parameters) -> Page {
    Ok(Json(json!(session.revoke(&parameters["handle"]).await?)))
}

async fn revoke_others(session: Session) -> Page {
    Ok(Json(json!(session.revoke_others().await?)))
}

/// A name that no other test has.
pub fn unique() -> String {
    generate_session_key().into()
}
