//! One connection: takes a request, lets it meet its fault, and passes on the answer.

use std::{io, sync::Arc, time::Instant};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, Response, StatusCode, header, request::Parts, response},
};
use futures::stream;

use super::{
    fault::{Answer, Fault, Seen, Side},
    listener::Cut,
    wire::Control,
};
use crate::support::{ControlPlane, hydra_api::http};

/// One of the connections.
pub struct Line {
    side: Side,
    /// Where the API server is. Hydra's address can change.
    api_server: String,
    http: reqwest::Client,
    control: Arc<Control>,
}

/// Answers a request of the operator.
pub async fn serve(
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
    pub fn new(side: Side, cp: &ControlPlane, control: Arc<Control>) -> Self {
        let http = upstream(cp.ca_certificate());
        Self { side, api_server: cp.url().to_owned(), http, control }
    }

    async fn forward(&self, parts: Parts, body: Bytes) -> reqwest::Result<reqwest::Response> {
        let base = match self.side {
            Side::Hydra => self.control.hydra(),
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
    Body::from_stream(stream::unfold(Some(bytes), async |rest| {
        if let Some(bytes) = rest {
            return Some((Ok(bytes), None));
        }
        // What was given so far is sent before the connection breaks.
        tokio::task::yield_now().await;
        Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
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

fn head(answer: &reqwest::Response) -> response::Builder {
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
