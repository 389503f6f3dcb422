//! The two sides of the framework's own layer: outside of it a request gets its scope, within it the session is there.
//!
//! The framework answers 500 if a session cannot be saved, also if that is because it has ended meanwhile, and it takes a
//! cookie away whose session is unknown, although that may be since a login in another tab. So what it sees is a stand-in
//! for the answer.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode, header::SET_COOKIE};
use tower_layer::Layer;
use tower_service::Service;
use tower_sessions::Session;

use crate::{scope::Scope, store::PostgresStore};

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// A layer that manages sessions, beside a store that knows which request asks. See [`PostgresStore::scope`].
#[derive(Clone, Debug)]
pub struct ScopedLayer<L> {
    store: PostgresStore,
    session_layer: L,
}

impl<L> ScopedLayer<L> {
    pub(crate) fn new(store: PostgresStore, session_layer: L) -> Self {
        Self { store, session_layer }
    }
}

impl<S, L: Layer<Within<S>>> Layer<S> for ScopedLayer<L> {
    type Service = Scoped<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        Scoped { store: self.store.clone(), manager: self.session_layer.layer(Within(inner)) }
    }
}

/// Gives each request its scope.
#[derive(Clone, Debug)]
pub struct Scoped<M> {
    store: PostgresStore,
    manager: M,
}

/// The service that has the session.
#[derive(Clone, Debug)]
pub struct Within<S>(S);

/// The body of what stands in for an answer.
#[derive(Debug)]
pub struct StandIn<B>(PhantomData<fn() -> B>);

impl<B> Default for StandIn<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<M, ReqBody, ResBody> Service<Request<ReqBody>> for Scoped<M>
where
    M: Service<Request<ReqBody>, Response = Response<StandIn<ResBody>>>,
    M::Future: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = M::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.manager.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let scope = Scope::new(self.store.clone());
        request.extensions_mut().insert(scope.clone());
        let managed = self.manager.call(request);
        Box::pin(scope.clone().run(async move {
            let managed = managed.await?;
            let late = scope.finish().await;
            Ok(match (scope.answer(), late) {
                (Some((status, answer)), Ok(late)) if late || managed.status() == status => {
                    with_cookies(answer, &managed)
                }
                _ => failure(),
            })
        }))
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Within<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ReqBody: Send + 'static,
    ResBody: Send + 'static,
{
    type Response = Response<StandIn<ResBody>>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let scope = request.extensions().get::<Arc<Scope>>().cloned();
        if let (Some(scope), Some(session)) = (&scope, request.extensions().get::<Session>()) {
            scope.begin(session);
        }
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let mut stand_in = Response::default();
            if let Some(scope) = scope {
                *stand_in.status_mut() = scope.seen_status(answer.status()).await;
                scope.keep(stand_in.status(), answer);
            }
            Ok(stand_in)
        })
    }
}

fn with_cookies<A, B>(mut answer: Response<A>, managed: &Response<B>) -> Response<A> {
    for cookie in managed.headers().get_all(SET_COOKIE) {
        answer.headers_mut().append(SET_COOKIE, cookie.clone());
    }
    answer
}

fn failure<B: Default>() -> Response<B> {
    let mut failure = Response::default();
    *failure.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    failure
}
