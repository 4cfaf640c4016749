//! Tells of each request to the Kubernetes API how it ended: a layer of the client.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use http::{Method, Request, Response, StatusCode};
use tower::{Layer, Service};

/// Called once the head of an answer is there, or it is clear that none comes: then without a status.
pub type RequestHook = Arc<dyn Fn(&Method, Option<StatusCode>) + Send + Sync>;

/// Calls a hook for each request.
#[derive(Clone)]
pub struct TellRequests {
    hook: RequestHook,
}

impl TellRequests {
    /// Calls `hook`.
    #[must_use]
    pub fn to(hook: RequestHook) -> Self {
        Self { hook }
    }
}

impl<S> Layer<S> for TellRequests {
    type Service = Told<S>;

    fn layer(&self, inner: S) -> Told<S> {
        Told { inner, hook: self.hook.clone() }
    }
}

/// A service whose requests are told.
#[derive(Clone)]
pub struct Told<S> {
    inner: S,
    hook: RequestHook,
}

impl<S, B, A> Service<Request<B>> for Told<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (method, hook) = (request.method().clone(), self.hook.clone());
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            hook(&method, answer.as_ref().ok().map(Response::status));
            answer
        }
        .boxed()
    }
}
