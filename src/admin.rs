//! The admin port: probes and metrics.
//!
//! `/healthz` says that the controllers run and no pass is stuck. `/readyz` says that the kinds are served and the caches are
//! filled, and names what is missing. Neither asks Hydra: a Hydra that is away is a metric and a condition of the resources,
//! never a reason to restart the operator or to take it out of service.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

mod liveness;

pub use self::liveness::Liveness;
use crate::metrics::{Format, Metrics};

/// How long a connection that is open at shutdown may delay the end of the server.
const DRAIN: Duration = Duration::from_secs(2);

/// Why the admin port is not served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("failed to listen on {address}")]
    Bind {
        /// The address as it was given.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The listener broke.
    #[error("failed to serve probes and metrics")]
    Serve(#[source] io::Error),
}

/// What has to happen before the process is ready. Clones share their state.
///
/// A process without any gate is not ready: register all gates before anything opens the first. A replica that begins to
/// lead has more to wait for: gates that it adds then make it unready until they are open.
#[derive(Clone, Debug)]
pub struct Readiness {
    gates: Arc<watch::Sender<Vec<GateState>>>,
}

#[derive(Debug)]
struct GateState {
    name: String,
    open: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { gates: Arc::new(watch::Sender::new(Vec::new())) }
    }
}

impl Readiness {
    /// Adds a gate, closed. `name` completes the sentence "waiting for ...".
    #[must_use]
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let mut index = 0;
        self.gates.send_modify(|gates| {
            index = gates.len();
            gates.push(GateState { name: name.into(), open: false });
        });
        Gate { readiness: self.clone(), index }
    }

    /// Whether there are gates and all of them have been opened.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        all_open(&self.gates.borrow())
    }

    /// Waits until [`is_ready`](Self::is_ready).
    pub async fn wait_ready(&self) {
        let mut gates = self.gates.subscribe();
        // Fails only without a sender, and `self` is one.
        let _ = gates.wait_for(|gates| all_open(gates)).await;
    }

    /// The names of the gates that are closed, in the order of their making.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let gates = self.gates.borrow();
        gates.iter().filter(|gate| !gate.open).map(|gate| gate.name.clone()).collect()
    }
}

fn all_open(gates: &[GateState]) -> bool {
    !gates.is_empty() && gates.iter().all(|gate| gate.open)
}

/// One condition of readiness. Once opened it stays open: a watch that breaks later is retried, and the caches stay
/// usable meanwhile.
#[derive(Clone, Debug)]
pub struct Gate {
    readiness: Readiness,
    index: usize,
}

impl Gate {
    /// Opens the gate; any further call does nothing.
    pub fn open(&self) {
        self.readiness.gates.send_if_modified(|gates| match gates.get_mut(self.index) {
            Some(gate) if !gate.open => {
                gate.open = true;
                true
            }
            _ => false,
        });
    }
}

/// The admin port, bound and not yet served.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminServer {
    /// Takes the address, so that one that is in use is known before any work begins.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let refused = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// The address in use; its port is the one that the system chose where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is cancelled.
    ///
    /// Give it a token that is cancelled after the work has drained, so that probes are answered until then.
    pub async fn serve(
        self,
        metrics: Metrics,
        readiness: Readiness,
        liveness: Liveness,
        shutdown: CancellationToken,
    ) -> Result<(), AdminError> {
        info!(address = %self.address, "Serving probes and metrics");
        let server = axum::serve(self.listener, router(metrics, readiness, liveness))
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::select! {
            result = server => result.map_err(AdminError::Serve),
            () = drained(shutdown) => Ok(()),
        }
    }
}

/// A peer that keeps a request unfinished must not keep the process.
async fn drained(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

fn router(metrics: Metrics, readiness: Readiness, liveness: Liveness) -> Router {
    Router::new()
        .route("/healthz", get(alive).with_state(liveness))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(exposition).with_state(metrics))
}

async fn alive(State(liveness): State<Liveness>) -> Response {
    let troubles = liveness.troubles();
    if troubles.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", troubles.join("\n"))).into_response()
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    if readiness.is_ready() {
        return "ok\n".into_response();
    }
    let mut missing = readiness.missing();
    if missing.is_empty() {
        missing.push("the start".to_owned());
    }
    let body = format!("waiting for {}\n", missing.join("\nwaiting for "));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn exposition(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let format = Format::accepted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    match metrics.encode(format) {
        Ok(body) => ([(CONTENT_TYPE, format.media_type())], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "Failed to encode the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::FutureExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// The whole answer to a GET, head and body.
    async fn answer(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[test]
    fn ready_when_every_gate_was_opened() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready(), "nothing is known to be done");
        let first = readiness.gate("first");
        let second = readiness.gate("second");
        let same_name = readiness.gate("second");
        assert_eq!(readiness.missing(), ["first", "second", "second"]);

        second.open();
        second.open();
        assert_eq!(readiness.missing(), ["first", "second"]);
        first.open();
        assert!(readiness.wait_ready().now_or_never().is_none());
        same_name.open();
        assert!(readiness.is_ready());
        assert!(readiness.wait_ready().now_or_never().is_some());
        assert!(readiness.missing().is_empty());
    }

    #[tokio::test]
    async fn probes_and_metrics_are_served_until_shutdown() {
        let server = AdminServer::bind(LOOPBACK).await.unwrap();
        let address = server.address();
        let (metrics, readiness) = (Metrics::new(), Readiness::default());
        let liveness = Liveness::default();
        let shutdown = CancellationToken::new();
        let serving =
            server.serve(metrics.clone(), readiness.clone(), liveness.clone(), shutdown.clone());
        let serving = tokio::spawn(serving);

        assert!(answer(address, "/readyz").await.ends_with("waiting for the start\n"));
        let (kinds, caches) = (readiness.gate("the kinds"), readiness.gate("the caches"));
        kinds.open();
        let waiting = answer(address, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503 "), "{waiting}");
        assert!(waiting.ends_with("\r\n\r\nwaiting for the caches\n"), "{waiting}");
        assert!(answer(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        caches.open();
        let ready = answer(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 200 ") && ready.ends_with("\r\n\r\nok\n"), "{ready}");

        metrics.hydra_up("default", true);
        let exposition = answer(address, "/metrics").await;
        assert!(exposition.contains(Format::Classic.media_type()), "{exposition}");
        assert!(exposition.contains("\nhydra_operator_hydra_up{hydra=\"default\"} 1\n"));
        assert!(answer(address, "/other").await.starts_with("HTTP/1.1 404 "));

        liveness.ended("the controller");
        let ended = answer(address, "/healthz").await;
        assert!(ended.starts_with("HTTP/1.1 503 "), "{ended}");
        assert!(ended.ends_with("\r\n\r\nthe controller has ended by itself\n"), "{ended}");

        shutdown.cancel();
        serving.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_unfinished_request_does_not_keep_the_process() {
        let server = AdminServer::bind(LOOPBACK).await.unwrap();
        let address = server.address();
        let shutdown = CancellationToken::new();
        let liveness = Liveness::default();
        let serving =
            server.serve(Metrics::new(), Readiness::default(), liveness, shutdown.clone());
        let serving = tokio::spawn(serving);
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HT").await.unwrap();
        answer(address, "/healthz").await;
        shutdown.cancel();
        tokio::time::timeout(DRAIN * 2, serving).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = AdminServer::bind(LOOPBACK).await.unwrap();
        let error = AdminServer::bind(taken.address()).await.unwrap_err().to_string();
        assert!(error.contains(&taken.address().to_string()), "{error}");
    }
}
