//! The fence before the Kubernetes API: a layer of its client.

use std::task::{Context, Poll};

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use http::{Method, Request};
use tower::{BoxError, Layer, Service};

use crate::fence::Fence;

/// Lets writes pass while a fence is open. Its place is around the retries, so that none is sent later either.
#[derive(Clone)]
pub(super) struct Fencing(Fence);

impl Fencing {
    pub(super) fn new(fence: Fence) -> Self {
        Self(fence)
    }
}

impl<S> Layer<S> for Fencing {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { inner, fence: self.0.clone() }
    }
}

/// A client with a fence before it.
pub(super) struct Fenced<S> {
    inner: S,
    fence: Fence,
}

impl<S, B> Service<Request<B>> for Fenced<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let response = self.inner.call(request).map_err(Into::into);
        if reads {
            return response.boxed();
        }
        let fence = self.fence.clone();
        async move { fence.guard(response).await? }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use tokio::time::Instant;

    use super::*;

    struct Server;

    impl Service<Request<()>> for Server {
        type Response = Method;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Method, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<()>) -> Self::Future {
            std::future::ready(Ok(request.method().clone())).boxed()
        }
    }

    #[tokio::test]
    async fn writes_pass_while_it_is_open_and_reads_always() {
        let fence = Fence::default();
        let mut client = Fencing::new(fence.clone()).layer(Server);
        let mut passes = async |method: &Method| {
            let request = Request::builder().method(method).body(()).unwrap();
            client.call(request).await.is_ok()
        };
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        for (is_open, is_closed) in [(false, false), (true, false), (false, true)] {
            if is_open {
                fence.open_until(Instant::now() + Duration::from_hours(1));
            }
            if is_closed {
                fence.close();
            }
            for method in &writes {
                assert_eq!(passes(method).await, is_open, "{method}");
            }
            assert!(passes(&Method::GET).await);
        }
    }
}
