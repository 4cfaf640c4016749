//! Proxies between the operator and Hydra, on real sockets.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, Response, StatusCode, header},
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::support::{Generation, Hydra, hydra_api::http, pki::Authority};

/// Forwards requests to Hydra, and knows what it forwards. It ends when dropped.
pub struct Proxy {
    url: String,
    state: Arc<Shared>,
    _server: JoinSet<()>,
}

/// A request that arrived.
#[derive(Clone)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
}

struct Shared {
    hydra: String,
    /// The value of `Authorization` that it wants.
    authorization: Option<String>,
    /// All requests, refused ones included.
    seen: Mutex<Vec<Seen>>,
    out_of_service: watch::Sender<Option<Method>>,
    /// The seconds that it asks everybody to wait.
    asks_to_wait: watch::Sender<Option<u64>>,
    chooses_ids: watch::Sender<bool>,
    holding: watch::Sender<bool>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Proxy {
    /// Forwards everything.
    pub async fn start(hydra: &Hydra) -> Self {
        Self::wanting(hydra, None).await
    }

    /// Answers 401, and repeats what it was given as indiscreet servers do, unless the header
    /// `Authorization` has this value.
    pub async fn wanting(hydra: &Hydra, authorization: Option<&str>) -> Self {
        let state = Arc::new(Shared {
            hydra: hydra.admin_url().to_owned(),
            authorization: authorization.map(ToOwned::to_owned),
            seen: Mutex::default(),
            out_of_service: watch::Sender::new(None),
            asks_to_wait: watch::Sender::new(None),
            chooses_ids: watch::Sender::new(false),
            holding: watch::Sender::new(false),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        });
        let (listener, address) = listen().await;
        let router = Router::new().fallback(serve).with_state(state.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url: format!("http://{address}"), state, _server: server }
    }

    /// Where the operator finds it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Keeps requests waiting from now on, and counts anew how many are under way at once.
    pub fn hold(&self) {
        self.state.holding.send_replace(true);
        self.state.most_under_way.store(0, Ordering::SeqCst);
    }

    /// Lets all requests pass.
    pub fn release(&self) {
        self.state.holding.send_replace(false);
    }

    /// How many requests are under way.
    pub fn under_way(&self) -> usize {
        self.state.under_way.load(Ordering::SeqCst)
    }

    /// How many requests there were at once since [`Self::hold`].
    pub fn most_under_way(&self) -> usize {
        self.state.most_under_way.load(Ordering::SeqCst)
    }

    /// Answers 503 to requests of this method from now on, and passes on the others.
    pub fn take_out_of_service(&self, method: Method) {
        self.state.out_of_service.send_replace(Some(method));
    }

    /// Answers 429 and asks to wait for so many seconds, until it is told otherwise.
    pub fn ask_to_wait(&self, seconds: Option<u64>) {
        self.state.asks_to_wait.send_replace(seconds);
    }

    /// Refuses clients with an id from now on, as Hydra 2.0 and 2.1 do.
    pub fn choose_ids(&self) {
        self.state.chooses_ids.send_replace(true);
    }

    /// All requests so far, in the order of their arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }
}

async fn serve(State(state): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let path = request.uri().path().to_owned();
    let out_of_service = state.out_of_service.borrow().as_ref() == Some(&method);
    state.seen.lock().unwrap().push(Seen { method, path, headers });
    let under_way = state.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    state.most_under_way.fetch_max(under_way, Ordering::SeqCst);
    state.holding.subscribe().wait_for(|holding| !holding).await.unwrap();
    let asks_to_wait = *state.asks_to_wait.borrow();
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.map(|value| value.to_str().unwrap().to_owned());
    let response = if state.authorization.is_some() && state.authorization != given {
        refusal(&given.unwrap_or_default())
    } else if let Some(seconds) = asks_to_wait {
        let response = Response::builder().status(StatusCode::TOO_MANY_REQUESTS);
        response.header(header::RETRY_AFTER, seconds).body(Body::empty()).unwrap()
    } else if out_of_service {
        let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
        response.body(Body::empty()).unwrap()
    } else {
        let chooses_ids = *state.chooses_ids.borrow();
        forward(&state.hydra, chooses_ids, request).await
    };
    state.under_way.fetch_sub(1, Ordering::SeqCst);
    response
}

fn refusal(given: &str) -> Response<Body> {
    let body = serde_json::json!({
        "error": "request_unauthorized",
        "error_description": format!("I do not know {given}"),
    });
    let response = Response::builder().status(StatusCode::UNAUTHORIZED);
    response.header(header::CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap()
}

fn refuses_id(body: &[u8]) -> bool {
    serde_json::from_slice(body)
        .is_ok_and(|client: serde_json::Value| client.get("client_id").is_some())
}

/// What Hydra 2.0 says.
fn id_refusal() -> Response<Body> {
    let body = serde_json::json!({
        "error": "The request was malformed or contained invalid parameters",
        "error_description": "It is no longer possible to set an OAuth2 Client ID as a user. The \
                              system will generate a unique ID for you.",
    });
    let response = Response::builder().status(StatusCode::BAD_REQUEST);
    response.header(header::CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap()
}

async fn forward(hydra: &str, chooses_ids: bool, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    if chooses_ids && parts.method == Method::POST && refuses_id(&body) {
        return id_refusal();
    }
    let mut forwarded = http().request(parts.method, format!("{hydra}{}", parts.uri)).body(body);
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        forwarded = forwarded.header(header::CONTENT_TYPE, kind);
    }
    // Hydra may be down, or go down while it answers.
    let Ok(answer) = forwarded.send().await else { return bad_gateway() };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != header::TRANSFER_ENCODING && name != header::CONTENT_LENGTH {
            response = response.header(name, value);
        }
    }
    let Ok(body) = answer.bytes().await else { return bad_gateway() };
    response.body(body.into()).unwrap()
}

fn bad_gateway() -> Response<Body> {
    Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap()
}

/// Ends TLS before Hydra and wants a certificate of the client. It ends when dropped.
pub struct TlsProxy {
    url: String,
    _server: JoinSet<()>,
}

impl TlsProxy {
    /// With a certificate of `authority`, which has to have signed that of the client as well.
    pub async fn start(hydra: &Hydra, authority: &Authority) -> Self {
        Self::before(hydra.admin_url(), authority).await
    }

    /// Before what is at `url`, such as the public API of Hydra.
    pub async fn before(url: &str, authority: &Authority) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(authority)));
        let hydra = url.strip_prefix("http://").unwrap().to_owned();
        let (listener, address) = listen().await;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let (acceptor, hydra) = (acceptor.clone(), hydra.clone());
                connections.spawn(async move {
                    // A client that is refused, or goes away, is a client's business.
                    let mut client = acceptor.accept(connection).await?;
                    let mut server = TcpStream::connect(&hydra).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { url: format!("https://{address}"), _server: server }
    }

    /// Where the operator finds it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn server_config(authority: &Authority) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&authority.certificate())).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let identity = authority.server();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![certificate(&identity.certificate)], key)
        .unwrap()
}

#[tokio::test]
async fn a_proxy_outlives_its_hydra() {
    let hydra = Hydra::start(Generation::V2).await;
    let proxy = Proxy::start(&hydra).await;
    let get = async || http().get(format!("{}/admin/clients", proxy.url())).send().await.unwrap();
    assert_eq!(get().await.status(), StatusCode::OK);
    drop(hydra);
    assert_eq!(get().await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(proxy.under_way(), 0);
}

async fn listen() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
