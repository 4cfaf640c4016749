//! The proxies: one before Hydra, one before the API server, and what they have in common.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, Response, StatusCode, header, request::Parts},
};
use futures::stream;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

use super::{
    fault::{Answer, Fault, Rule, Seen, Side},
    listener::{Cut, Doorway},
};
use crate::support::{ControlPlane, Hydra, hydra_api::http, pki::Authority};

/// Both connections of one operator. It ends when dropped.
pub struct Wire {
    control: Arc<Control>,
    hydra_url: String,
    api_server_url: String,
    authority: Authority,
    _servers: JoinSet<()>,
}

/// What the connections have in common.
#[derive(Default)]
struct Control {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    /// The operator's process, to be killed at most once.
    operator: Mutex<Option<i32>>,
    hydra: Mutex<String>,
    hydra_load: Load,
    api_server_load: Load,
}

/// How many requests are under way.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A request that is under way until it is dropped, also by a client that gives up.
struct UnderWay(Arc<Control>, Side);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.load(self.1).now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One of the connections.
struct Line {
    side: Side,
    /// Where the API server is. Hydra's address can change.
    api_server: String,
    http: reqwest::Client,
    control: Arc<Control>,
}

impl Wire {
    /// Forwards everything to these two.
    pub async fn new(cp: &ControlPlane, hydra: &Hydra) -> Self {
        let control = Arc::new(Control::default());
        hydra.admin_url().clone_into(&mut control.hydra.lock().unwrap());
        let authority = Authority::new();
        let mut servers = JoinSet::new();
        let mut addresses = Vec::new();
        for side in [Side::Hydra, Side::Kubernetes] {
            let tls = (side == Side::Kubernetes).then_some(&authority);
            let (doorway, address) = Doorway::open(tls).await;
            let line = Line {
                side,
                api_server: cp.url().to_owned(),
                http: upstream(cp.ca_certificate()),
                control: control.clone(),
            };
            let router = Router::new().fallback(serve).with_state(Arc::new(line));
            let service = router.into_make_service_with_connect_info::<Cut>();
            servers.spawn(async move { axum::serve(doorway, service).await.unwrap() });
            addresses.push(address);
        }
        Self {
            control,
            hydra_url: format!("http://{}", addresses[0]),
            api_server_url: format!("https://{}", addresses[1]),
            authority,
            _servers: servers,
        }
    }

    /// Where the operator finds Hydra.
    pub fn hydra_url(&self) -> &str {
        &self.hydra_url
    }

    /// Where the operator finds the API server.
    pub fn api_server_url(&self) -> &str {
        &self.api_server_url
    }

    /// What the certificate at [`Self::api_server_url`] is checked with, PEM.
    pub fn ca_certificate(&self) -> String {
        self.authority.certificate()
    }

    /// Leads to this Hydra from now on.
    pub fn lead_to(&self, hydra: &Hydra) {
        hydra.admin_url().clone_into(&mut self.control.hydra.lock().unwrap());
    }

    /// Which process the faults that kill are about.
    pub fn set_operator(&self, pid: i32) {
        *self.control.operator.lock().unwrap() = Some(pid);
    }

    /// Adds a rule. Of several that fit a request, the one that was added first decides.
    pub fn inject(&self, rule: Rule) {
        self.control.rules.lock().unwrap().push(rule);
    }

    /// Everything is well from now on.
    pub fn heal(&self) {
        self.control.rules.lock().unwrap().clear();
    }

    /// All requests so far, in the order of their arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.control.seen.lock().unwrap().clone()
    }

    /// The number of requests so far: a point in time for [`Self::since`].
    pub fn now(&self) -> usize {
        self.control.seen.lock().unwrap().len()
    }

    /// How many requests to this side there were at once.
    pub fn most_under_way(&self, side: Side) -> usize {
        self.control.load(side).most.load(Ordering::SeqCst)
    }

    /// The requests since `then`.
    pub fn since(&self, then: usize) -> Vec<Seen> {
        self.control.seen.lock().unwrap()[then..].to_vec()
    }
}

impl Control {
    fn load(&self, side: Side) -> &Load {
        match side {
            Side::Hydra => &self.hydra_load,
            Side::Kubernetes => &self.api_server_load,
        }
    }

    fn begin(self: &Arc<Self>, side: Side) -> UnderWay {
        let load = self.load(side);
        let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(now, Ordering::SeqCst);
        UnderWay(self.clone(), side)
    }

    /// Notes a request, and says its number and what happens to it.
    fn arrive(&self, seen: Seen) -> (usize, Option<Fault>) {
        let fault = self.rules.lock().unwrap().iter_mut().find_map(|rule| rule.strike(&seen));
        let mut all = self.seen.lock().unwrap();
        all.push(seen);
        (all.len() - 1, fault)
    }

    fn answered(&self, number: usize, status: u16) {
        self.seen.lock().unwrap()[number].status = Some(status);
    }

    fn kill_operator(&self) {
        if let Some(pid) = self.operator.lock().unwrap().take().and_then(Pid::from_raw) {
            kill_process(pid, Signal::KILL).unwrap();
        }
    }
}

async fn serve(
    ConnectInfo(cut): ConnectInfo<Cut>,
    State(line): State<Arc<Line>>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return sever(&cut) };
    let seen = Seen {
        side: line.side,
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        at: Instant::now(),
        status: None,
    };
    let is_watch = seen.is_watch();
    let _under_way = line.control.begin(line.side);
    let (number, fault) = line.control.arrive(seen);
    match &fault {
        Some(Fault::KillBeforeForward) => {
            line.control.kill_operator();
            return sever(&cut);
        }
        Some(Fault::LoseRequest) => return sever(&cut),
        Some(Fault::HoldRequest(gate)) => gate.pass().await,
        Some(Fault::Answer(answer)) => {
            line.control.answered(number, answer.status);
            return canned(answer);
        }
        _ => {}
    }
    let Ok(answer) = line.forward(parts, body).await else { return sever(&cut) };
    line.control.answered(number, answer.status().as_u16());
    if is_watch { streamed(answer, fault) } else { whole(answer, fault, &line, &cut).await }
}

impl Line {
    async fn forward(&self, parts: Parts, body: Bytes) -> reqwest::Result<reqwest::Response> {
        let base = match self.side {
            Side::Hydra => self.control.hydra.lock().unwrap().clone(),
            Side::Kubernetes => self.api_server.clone(),
        };
        let mut headers = parts.headers;
        for name in [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let request = self.http.request(parts.method, format!("{base}{}", parts.uri));
        request.headers(headers).body(body).send().await
    }
}

/// An answer that is complete before the operator gets any of it.
async fn whole(
    answer: reqwest::Response,
    fault: Option<Fault>,
    line: &Line,
    cut: &Cut,
) -> Response<Body> {
    let head = head(&answer);
    let Ok(body) = answer.bytes().await else { return sever(cut) };
    match fault {
        Some(Fault::KillBeforeAnswer) => {
            line.control.kill_operator();
            return sever(cut);
        }
        Some(Fault::LoseReply) => return sever(cut),
        Some(Fault::CutBody) => {
            let head = head.header(header::CONTENT_LENGTH, body.len());
            return head.body(half(body.slice(..body.len() / 2))).unwrap();
        }
        Some(Fault::HoldAnswer(gate)) => gate.pass().await,
        Some(Fault::WrongType(content_type)) => {
            let mut response = head.body(body.into()).unwrap();
            let value = content_type.parse().unwrap();
            response.headers_mut().insert(header::CONTENT_TYPE, value);
            return response;
        }
        _ => {}
    }
    head.body(body.into()).unwrap()
}

/// The first half of a body, and then no end.
fn half(bytes: Bytes) -> Body {
    Body::from_stream(stream::unfold(Some(bytes), async |rest| match rest {
        Some(bytes) => Some((Ok(bytes), None)),
        None => {
            // What was given so far is sent before the connection breaks.
            tokio::task::yield_now().await;
            Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
        }
    }))
}

/// An answer that the operator gets as it comes: a watch.
fn streamed(answer: reqwest::Response, fault: Option<Fault>) -> Response<Body> {
    let head = head(&answer);
    let end = match &fault {
        Some(Fault::CutAfter(limit)) => Some(tokio::time::Instant::now() + *limit),
        _ => None,
    };
    let body = stream::unfold(answer, move |mut answer| {
        let fault = fault.clone();
        async move {
            let chunk = match end {
                Some(end) => tokio::time::timeout_at(end, answer.chunk()).await,
                None => Ok(answer.chunk().await),
            };
            let chunk = match chunk {
                Ok(chunk) => chunk.transpose()?.map_err(io::Error::other),
                Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
            };
            if let Some(Fault::HoldAnswer(gate)) = &fault {
                gate.pass().await;
            }
            Some((chunk, answer))
        }
    });
    head.body(Body::from_stream(body)).unwrap()
}

fn head(answer: &reqwest::Response) -> axum::http::response::Builder {
    const PER_CONNECTION: [HeaderName; 3] =
        [header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::CONNECTION];
    let mut head = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if !PER_CONNECTION.contains(name) {
            head = head.header(name, value);
        }
    }
    head
}

fn canned(answer: &Answer) -> Response<Body> {
    let mut head = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap())
        .header(header::CONTENT_TYPE, answer.content_type);
    if let Some(seconds) = answer.retry_after {
        head = head.header(header::RETRY_AFTER, seconds);
    }
    head.body(answer.body.clone().into()).unwrap()
}

/// The operator gets nothing of this.
fn sever(cut: &Cut) -> Response<Body> {
    cut.now();
    Response::new(Body::empty())
}

fn upstream(ca_certificate: &str) -> reqwest::Client {
    // It sees to it that TLS has its cryptography.
    http();
    let authority = reqwest::Certificate::from_pem(ca_certificate.as_bytes()).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}
