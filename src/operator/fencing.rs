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
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use axum::Router;
    use http::StatusCode;
    use kube::{Client, Config};
    use tokio::time::Instant;

    use super::*;
    use crate::{metrics::Metrics, operator::connections};

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

    const HOUR: Duration = Duration::from_hours(1);

    /// The methods of the requests that have arrived.
    type Arrived = Arc<Mutex<Vec<Method>>>;

    /// The client that the operator has, behind `fence`, of a server that asks to repeat its first write, right after
    /// `first` was called.
    async fn connected(
        fence: &Fence,
        first: impl Fn() + Clone + Send + Sync + 'static,
    ) -> (Client, Arrived) {
        let arrived = Arrived::default();
        let seen = arrived.clone();
        let answer = async move |method: Method| {
            let mut seen = seen.lock().unwrap();
            let is_first = method != Method::GET && !seen.contains(&method);
            seen.push(method);
            if is_first {
                first();
                return (StatusCode::SERVICE_UNAVAILABLE, "{}");
            }
            (StatusCode::OK, "{}")
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await });
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::new(url.parse().unwrap());
        let client = connections::client(config, &Metrics::default(), Some(fence)).unwrap();
        (client, arrived)
    }

    async fn is_sent(client: &Client, method: &Method) -> bool {
        let request = Request::builder().method(method).uri("/api").body(b"{}".to_vec()).unwrap();
        client.request_text(request).await.is_ok()
    }

    #[tokio::test]
    async fn no_write_arrives_once_it_is_closed_and_no_repeated_one_either() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let count = |arrived: &Arrived, wanted: &Method| {
                arrived.lock().unwrap().iter().filter(|method| *method == wanted).count()
            };
            let fence = Fence::default();
            let (client, arrived) = connected(&fence, || {}).await;
            assert!(!is_sent(&client, &method).await, "nobody has won yet");
            assert!(is_sent(&client, &Method::GET).await);
            assert_eq!((count(&arrived, &method), count(&arrived, &Method::GET)), (0, 1));
            fence.open_until(Instant::now() + HOUR);
            assert!(is_sent(&client, &method).await);
            assert_eq!(
                count(&arrived, &method),
                2,
                "the client itself repeats what the server asks for"
            );
            fence.close();
            assert!(!is_sent(&client, &method).await);
            assert!(is_sent(&client, &Method::GET).await);
            assert_eq!((count(&arrived, &method), count(&arrived, &Method::GET)), (2, 2));

            let fence = Fence::default();
            fence.open_until(Instant::now() + HOUR);
            let closing = fence.clone();
            let (client, arrived) = connected(&fence, move || closing.close()).await;
            assert!(!is_sent(&client, &method).await);
            assert_eq!(count(&arrived, &method), 1, "{method} was repeated");
        }
    }
}
