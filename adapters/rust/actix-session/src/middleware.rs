//! The two sides of the framework's own middleware: outside of it a request gets its scope, within it the session is there.
//!
//! The framework answers 500 if a session cannot be saved, also if that is because it has ended meanwhile. So what it sees
//! is a stand-in for the answer.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_session::SessionExt;
use actix_web::{
    Error, HttpMessage, HttpResponse,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    error::ErrorInternalServerError,
    http::header::SET_COOKIE,
};

use crate::{scope::Scope, store::PostgresSessionStore};

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>>>>;

/// A middleware that manages sessions, beside a store that knows which request asks. See
/// [`PostgresSessionStore::scope`].
#[derive(Clone, Debug)]
pub struct Scoped<M> {
    store: PostgresSessionStore,
    session_middleware: M,
}

impl<M> Scoped<M> {
    pub(crate) fn new(store: PostgresSessionStore, session_middleware: M) -> Self {
        Self { store, session_middleware }
    }
}

impl<S, B, M> Transform<S, ServiceRequest> for Scoped<M>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: 'static,
    M: Transform<Within<S>, ServiceRequest, Response = ServiceResponse<()>, Error = Error>,
    M::Transform: 'static,
    M::Future: 'static,
    <M::Transform as Service<ServiceRequest>>::Future: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = ScopedMiddleware<M::Transform, B>;
    type InitError = M::InitError;
    type Future = BoxFuture<Self::Transform, Self::InitError>;

    fn new_transform(&self, service: S) -> Self::Future {
        let store = self.store.clone();
        let manager = self.session_middleware.new_transform(Within(service));
        Box::pin(async move {
            Ok(ScopedMiddleware { store, manager: manager.await?, body: PhantomData })
        })
    }
}

/// Gives each request its scope.
#[derive(Debug)]
pub struct ScopedMiddleware<M, B> {
    store: PostgresSessionStore,
    manager: M,
    body: PhantomData<B>,
}

impl<M, B> Service<ServiceRequest> for ScopedMiddleware<M, B>
where
    M: Service<ServiceRequest, Response = ServiceResponse<()>, Error = Error>,
    M::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = BoxFuture<Self::Response, Error>;

    forward_ready!(manager);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let scope = Scope::new(self.store.clone());
        request.extensions_mut().insert(scope.clone());
        let managed = self.manager.call(request);
        Box::pin(scope.clone().run(async move {
            let managed = managed.await;
            let late = scope.finish().await.map_err(ErrorInternalServerError)?;
            match (scope.answer(), managed) {
                (Some(answer), Ok(managed)) => Ok(with_cookies(answer, &managed)),
                (Some(answer), Err(_)) if late => Ok(answer),
                (_, Err(error)) => Err(error),
                (None, Ok(_)) => Err(ErrorInternalServerError("not answered")),
            }
        }))
    }
}

/// The service that has the session.
#[derive(Debug)]
pub struct Within<S>(S);

impl<S, B> Service<ServiceRequest> for Within<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<()>;
    type Error = Error;
    type Future = BoxFuture<Self::Response, Error>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let scope = request.extensions().get::<Rc<Scope>>().cloned();
        if let Some(scope) = &scope {
            scope.begin(request.get_session());
        }
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let stand_in = HttpResponse::with_body(answer.status(), ());
            let stand_in = ServiceResponse::new(answer.request().clone(), stand_in);
            if let Some(scope) = scope {
                scope.keep(answer);
            }
            Ok(stand_in)
        })
    }
}

fn with_cookies<A, B>(
    mut answer: ServiceResponse<A>,
    managed: &ServiceResponse<B>,
) -> ServiceResponse<A> {
    for cookie in managed.headers().get_all(SET_COOKIE) {
        answer.headers_mut().append(SET_COOKIE, cookie.clone());
    }
    answer
}
