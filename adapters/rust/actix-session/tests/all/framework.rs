//! The cases that actix-session tests its own stores with (src/lib.rs, `test_helpers`), as they are with this one.

use actix_session::{
    Session, SessionExt, SessionMiddleware,
    config::{CookieContentSecurity, PersistentSession, TtlExtensionPolicy},
};
use actix_web::{
    App, HttpResponse,
    body::MessageBody,
    cookie::{Cookie, Key, time::Duration},
    dev::{Service, ServiceResponse},
    guard,
    http::Method,
    middleware::Logger,
    test::{TestRequest, call_and_read_body, call_service, init_service, read_body_json},
    web::{self, Json, get, post},
};
use serde_json::{Value, json};

use crate::support::store;

const POLICIES: [CookieContentSecurity; 2] =
    [CookieContentSecurity::Signed, CookieContentSecurity::Private];

fn cookie<B>(response: &ServiceResponse<B>, name: &str) -> Option<Cookie<'static>> {
    response.response().cookies().find(|cookie| cookie.name() == name).map(Cookie::into_owned)
}

#[actix_web::test]
async fn basic_workflow() {
    for policy in POLICIES {
        let store = store().await;
        let sessions = SessionMiddleware::builder(store.clone(), Key::generate())
            .cookie_path("/test/".into())
            .cookie_name("actix-test".into())
            .cookie_domain(Some("localhost".into()))
            .cookie_content_security(policy)
            .session_lifecycle(PersistentSession::default().session_ttl(Duration::seconds(100)))
            .build();
        let app = App::new()
            .wrap(store.scope(sessions))
            .route(
                "/",
                get().to(async |session: Session| session.insert("counter", 100).map(|()| "test")),
            )
            .route(
                "/test/",
                get().to(async |session: Session| {
                    session
                        .get::<usize>("counter")
                        .map(|counter| format!("counter: {}", counter.unwrap()))
                }),
            );
        let app = init_service(app).await;

        let response = call_service(&app, TestRequest::get().to_request()).await;
        let cookie = cookie(&response, "actix-test").unwrap();
        assert_eq!((cookie.path(), cookie.domain()), (Some("/test/"), Some("localhost")));
        let request = TestRequest::with_uri("/test/").cookie(cookie).to_request();
        assert_eq!(call_and_read_body(&app, request).await, "counter: 100");
    }
}

#[actix_web::test]
async fn expiration_is_refreshed_on_changes_or_always() {
    let ttl = Duration::seconds(60);
    for policy in POLICIES {
        for always in [false, true] {
            let store = store().await;
            let lifecycle = PersistentSession::default()
                .session_ttl(ttl)
                .session_ttl_extension_policy(match always {
                    true => TtlExtensionPolicy::OnEveryRequest,
                    false => TtlExtensionPolicy::OnStateChanges,
                });
            let sessions = SessionMiddleware::builder(store.clone(), Key::generate())
                .cookie_content_security(policy)
                .session_lifecycle(lifecycle)
                .build();
            let app = App::new()
                .wrap(store.scope(sessions))
                .route(
                    "/",
                    get().to(async |session: Session| {
                        session.insert("counter", 100).map(|()| "test")
                    }),
                )
                .route("/test/", get().to(async || "no-changes-in-session"));
            let app = init_service(app).await;

            let response = call_service(&app, TestRequest::get().to_request()).await;
            let first = cookie(&response, "id").expect("a cookie");
            assert_eq!(first.max_age(), Some(ttl));

            let request = TestRequest::with_uri("/test/").cookie(first.clone()).to_request();
            let response = call_service(&app, request).await;
            assert_eq!(
                cookie(&response, "id").and_then(|cookie| cookie.max_age()),
                always.then_some(ttl)
            );

            let response = call_service(&app, TestRequest::get().cookie(first).to_request()).await;
            assert_eq!(cookie(&response, "id").expect("a cookie").max_age(), Some(ttl));
        }
    }
}

async fn index(session: Session) -> actix_web::Result<Json<Value>> {
    let counter = session.get::<i32>("counter")?.unwrap_or(0);
    Ok(Json(json!({ "user_id": session.get::<String>("user_id")?, "counter": counter })))
}

async fn do_something(session: Session) -> actix_web::Result<Json<Value>> {
    let counter = session.get::<i32>("counter")?.map_or(1, |counter| counter + 1);
    session.insert("counter", counter)?;
    index(session).await
}

async fn login(user: Json<Value>, session: Session) -> actix_web::Result<Json<Value>> {
    session.insert("user_id", &user["user_id"])?;
    session.renew();
    index(session).await
}

async fn logout(session: Session) -> actix_web::Result<HttpResponse> {
    match session.get::<String>("user_id")? {
        Some(_) => session.purge(),
        None => panic!("nobody to log out"),
    }
    Ok(HttpResponse::Ok().finish())
}

/// A service of the pages above, behind this policy.
macro_rules! pages {
    ($policy:expr) => {{
        let store = store().await;
        let sessions = SessionMiddleware::builder(store.clone(), Key::generate())
            .cookie_name("test-session".into())
            .cookie_content_security($policy)
            .session_lifecycle(PersistentSession::default().session_ttl(Duration::days(7)))
            .build();
        let is_user =
            guard::fn_guard(|g| g.get_session().get::<String>("user_id").unwrap().is_some());
        let app = App::new()
            .wrap(store.scope(sessions))
            .wrap(Logger::default())
            .route("/", get().to(index))
            .route("/do_something", post().to(do_something))
            .route("/login", post().to(login))
            .route("/logout", post().to(logout))
            .service(web::scope("/protected").guard(is_user).route("/count", get().to(index)));
        init_service(app).await
    }};
}

/// The cookie that is set, and what is said.
async fn ask<S, B>(
    app: &S,
    method: Method,
    path: &str,
    with: Option<&Cookie<'static>>,
) -> (Option<Cookie<'static>>, Value)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    let mut request =
        TestRequest::with_uri(path).method(method).set_json(json!({ "user_id": "ferris" }));
    if let Some(cookie) = with {
        request = request.cookie(cookie.clone());
    }
    let response = call_service(app, request.to_request()).await;
    let (cookie, status) = (cookie(&response, "test-session"), response.status());
    let said = match path {
        "/logout" => Value::Null,
        _ if status.is_success() => read_body_json(response).await,
        _ => json!(status.as_u16()),
    };
    (cookie, said)
}

#[actix_web::test]
async fn complex_workflow() {
    for policy in POLICIES {
        let app = pages!(policy);
        let said =
            |user: Option<&str>, counter: i32| json!({ "user_id": user, "counter": counter });
        let (get, post) = (Method::GET, Method::POST);

        assert_eq!(ask(&app, get.clone(), "/", None).await, (None, said(None, 0)));
        let (first, answer) = ask(&app, post.clone(), "/do_something", None).await;
        assert_eq!(answer, said(None, 1));
        assert_eq!(first.as_ref().unwrap().max_age(), Some(Duration::days(7)));
        assert_eq!(ask(&app, get.clone(), "/", first.as_ref()).await, (None, said(None, 1)));

        let (second, answer) = ask(&app, post.clone(), "/do_something", first.as_ref()).await;
        assert_eq!(answer, said(None, 2));
        assert_eq!(second.as_ref().unwrap().max_age(), first.unwrap().max_age());

        let (third, answer) = ask(&app, post.clone(), "/login", second.as_ref()).await;
        assert_eq!(answer, said(Some("ferris"), 2));
        assert_ne!(third.as_ref().unwrap().value(), second.as_ref().unwrap().value());
        assert_eq!(
            ask(&app, get.clone(), "/", third.as_ref()).await,
            (None, said(Some("ferris"), 2))
        );
        let (_, answer) = ask(&app, post.clone(), "/do_something", third.as_ref()).await;
        assert_eq!(answer, said(Some("ferris"), 3));
        assert_eq!(ask(&app, get.clone(), "/", second.as_ref()).await, (None, said(None, 0)));

        let (removal, _) = ask(&app, post, "/logout", third.as_ref()).await;
        let removal = removal.unwrap();
        assert_eq!((removal.max_age(), removal.path()), (Some(Duration::ZERO), Some("/")));
        assert_eq!(ask(&app, get, "/", third.as_ref()).await, (None, said(None, 0)));
    }
}

#[actix_web::test]
async fn a_guard_sees_the_session() {
    for policy in POLICIES {
        let app = pages!(policy);
        assert_eq!(ask(&app, Method::GET, "/protected/count", None).await.1, json!(404));
        let (first, _) = ask(&app, Method::POST, "/login", None).await;
        let (second, answer) = ask(&app, Method::POST, "/do_something", first.as_ref()).await;
        assert_eq!(answer, json!({ "user_id": "ferris", "counter": 1 }));
        let (_, answer) = ask(&app, Method::GET, "/protected/count", second.as_ref()).await;
        assert_eq!(answer, json!({ "user_id": "ferris", "counter": 1 }));
    }
}
