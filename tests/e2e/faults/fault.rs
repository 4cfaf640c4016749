//! What goes wrong, and with which requests.

use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What happens to a request.
#[derive(Clone)]
pub enum Fault {
    /// The operator is killed, and the request never arrives.
    KillBeforeForward,
    /// What the request asks for is done, and the operator is killed before it hears of it.
    KillBeforeAnswer,
    /// The connection is cut, and the request never arrives.
    LoseRequest,
    /// What the request asks for is done, and the connection is cut before the answer.
    LoseReply,
    /// The connection is cut in the middle of the body of the answer.
    CutBody,
    /// The request arrives once the gate is open.
    HoldRequest(Gate),
    /// The answer, also each event of a watch, goes on once the gate is open.
    HoldAnswer(Gate),
    /// The server is not asked.
    Answer(Answer),
    /// The answer says that it is of another type than it is.
    WrongType(&'static str),
    /// The connection of the answer is cut after this time: for a watch.
    CutAfter(Duration),
}

/// An answer in place of the server's.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub retry_after: Option<u32>,
    pub body: String,
}

impl Answer {
    /// As a load balancer or an ingress answers.
    pub fn html(status: u16) -> Self {
        let body = "<html><body><h1>internal-host-7 is not well</h1></body></html>".to_owned();
        Self { status, content_type: "text/html", retry_after: None, body }
    }

    /// As Hydra reports an error.
    pub fn hydra(status: u16) -> Self {
        let body = json!({ "error": "error", "error_description": "injected by the test" });
        Self::json(status, &body)
    }

    /// As the API server reports an error.
    pub fn kubernetes(status: u16, reason: &str) -> Self {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "injected by the test", "reason": reason, "code": status,
        });
        Self::json(status, &body)
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", retry_after: None, body: body.to_string() }
    }

    /// With `Retry-After`.
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

/// Closed until a test opens it, for all clones.
#[derive(Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub fn close(&self) {
        self.0.send_replace(false);
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        // Fails only without a sender, and this is one.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// Which connection of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Hydra,
    Kubernetes,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub side: Side,
    pub method: Method,
    pub path: String,
    pub query: String,
    pub at: Instant,
    /// The status of the answer, once there is one.
    pub status: Option<u16>,
}

impl Seen {
    /// Whether it writes what the operator's promises are about: events are hints for people.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && !self.path.starts_with("/apis/events.k8s.io/")
    }

    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1")
    }

    /// `POST hydra /clients`
    pub fn describe(&self) -> String {
        format!("{} {:?} {}", self.method, self.side, self.path)
    }
}

type Predicate = Box<dyn Fn(&Seen) -> bool + Send>;

/// Which requests a fault strikes: without limits all of them, as long as the rule stands.
pub struct Rule {
    fault: Fault,
    predicates: Vec<Predicate>,
    skip: usize,
    times: usize,
}

impl Rule {
    /// All requests to one side.
    pub fn on(side: Side, fault: Fault) -> Self {
        Self::new(fault).when(move |seen| seen.side == side)
    }

    /// All requests that write to either side.
    pub fn on_writes(fault: Fault) -> Self {
        Self::new(fault).when(Seen::is_write)
    }

    fn new(fault: Fault) -> Self {
        Self { fault, predicates: Vec::new(), skip: 0, times: usize::MAX }
    }

    /// Only those for which `predicate` holds as well.
    pub fn when(mut self, predicate: impl Fn(&Seen) -> bool + Send + 'static) -> Self {
        self.predicates.push(Box::new(predicate));
        self
    }

    /// Only those of this method.
    pub fn method(self, method: Method) -> Self {
        self.when(move |seen| seen.method == method)
    }

    /// Only those whose path ends with `end`.
    pub fn path(self, end: &str) -> Self {
        let end = end.to_owned();
        self.when(move |seen| seen.path.ends_with(&end))
    }

    /// Only the `n`th of them from now on, counted from 1.
    pub fn nth(mut self, n: usize) -> Self {
        self.skip = n - 1;
        self.times(1)
    }

    /// Only so many of them.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// What happens to `seen`, if this rule says it. Each call counts.
    pub fn strike(&mut self, seen: &Seen) -> Option<Fault> {
        if self.times == 0 || !self.predicates.iter().all(|holds| holds(seen)) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.fault.clone())
    }
}
