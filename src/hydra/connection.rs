//! HTTP to one Hydra: addresses, headers, bounds and the reading of answers.

mod answer;
mod client;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use tracing::Instrument;
use url::Url;
use uuid::Uuid;

pub(super) use self::answer::Answer;
use self::{
    answer::{Unread, read},
    client::http_client,
};
use super::config::{ConfigError, HydraConfig};
use super::error::{HydraError, Refusal};
use super::generation::Generation;
use super::headers::{self, HeadersFile};
use super::request::{Operation, Outcome, RequestHook, TraceParent};
use super::secret::ClientSecret;
use crate::fence::Fence;

/// For how long the reply to the making of a key is waited for at least. A Hydra whose caller has left does not store the key
/// that it has made, so that nothing would ever come of an RSA key that takes it longer than the caller waits.
const KEY_GENERATION: Duration = Duration::from_mins(1);

/// By this header Hydra knows a request; the log of both has its value.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Of the W3C Trace Context.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// One request, complete but for the address of Hydra.
pub(super) struct Request<'a> {
    pub(super) operation: Operation,
    /// For which generation the request is made, if for one.
    pub(super) generation: Option<Generation>,
    pub(super) method: Method,
    /// Below the base path, encoded, with a slash at its start.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) json: Option<Vec<u8>>,
    /// A secret in the body, which must not come back in an error text.
    pub(super) secret: Option<&'a ClientSecret>,
}

impl Request<'_> {
    pub(super) fn get(operation: Operation, path: impl Into<String>) -> Self {
        Self {
            operation,
            generation: None,
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            json: None,
            secret: None,
        }
    }

    /// How much of an answer is read at most, in MiB. Kubernetes stores objects of up to 1.5 MiB,
    /// and Hydra escapes and adds members: what can be written has to be readable again.
    fn limit(&self) -> usize {
        match self.operation {
            Operation::ListClients | Operation::Discover => 16,
            _ => 4,
        }
    }
}

/// The way to one Hydra.
pub(super) struct Connection {
    http: Client,
    base: Url,
    public: Option<Url>,
    headers: Option<HeadersFile>,
    forwarded_proto: Option<HeaderValue>,
    request_timeout: Duration,
    on_request: Option<RequestHook>,
    fence: Option<Fence>,
    trace_parent: Option<TraceParent>,
    /// Until when the server has asked to be left alone.
    paused_until: Mutex<Option<Instant>>,
}

impl Connection {
    pub(super) fn new(config: HydraConfig) -> Result<Self, ConfigError> {
        let base = config.base()?;
        let forwarded_proto = config.forwarded_proto_value()?;
        let public = config.public_url.clone();
        let tls =
            [Some(&base), public.as_ref()].iter().flatten().any(|url| url.scheme() == "https");
        let http = http_client(&config, tls)?;
        let headers = config.headers_file.map(|path| {
            HeadersFile::open(path.clone())
                .map_err(|problem| ConfigError::Headers { path, problem })
        });
        Ok(Self {
            http,
            base,
            public,
            headers: headers.transpose()?,
            forwarded_proto,
            request_timeout: config.request_timeout,
            on_request: config.on_request,
            fence: config.fence,
            trace_parent: config.trace_parent,
            paused_until: Mutex::new(None),
        })
    }

    /// Sends a request and reads the answer. An answer that reports no success is an error.
    ///
    /// A server that asks to wait means everybody: until then nothing is sent to it.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Answer, HydraError> {
        let (operation, generation) = (request.operation, request.generation);
        if let Some(remaining) = self.pause(Instant::now()) {
            return Err(HydraError::paused(operation, remaining));
        }
        let secret = request.secret;
        let headers = self.headers();
        let answer = self.send(request, headers.clone()).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let secrets = headers::secrets(&headers).chain(secret.map(ClientSecret::expose));
        let error = HydraError::refused(&Refusal {
            operation,
            generation,
            status: answer.status,
            headers: &answer.headers,
            body: &answer.body,
            secrets: secrets.collect(),
        });
        if let Some(wait) = error.retry_after() {
            self.wait_until(Instant::now() + wait);
        }
        Err(error)
    }

    /// The time for which nothing is to be sent.
    fn pause(&self, now: Instant) -> Option<Duration> {
        let until = (*self.paused_until())?;
        let remaining = until.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    /// The later of two wishes counts: answers may overtake each other.
    fn wait_until(&self, until: Instant) {
        let mut paused = self.paused_until();
        *paused = (*paused).max(Some(until));
    }

    fn paused_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a document of the public API, without any header that is meant for the admin API.
    /// `None`: its address is not set.
    pub(super) async fn public(
        &self,
        operation: Operation,
        path: &str,
    ) -> Option<Result<Answer, HydraError>> {
        let mut url = self.public.clone()?;
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let request =
            self.http.get(url).header(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.exchange(operation, Request::get(operation, path).limit(), request).await;
        Some(answer.and_then(|answer| {
            if answer.status.is_success() {
                return Ok(answer);
            }
            Err(HydraError::refused(&Refusal {
                operation,
                generation: None,
                status: answer.status,
                headers: &answer.headers,
                body: &answer.body,
                secrets: Vec::new(),
            }))
        }))
    }

    /// Sends a request and reads the answer, whatever its status is.
    async fn send(&self, request: Request<'_>, headers: HeaderMap) -> Result<Answer, HydraError> {
        let (operation, limit) = (request.operation, request.limit());
        let fence = self.fence.as_ref().filter(|_| request.method != Method::GET);
        let exchange = self.exchange(operation, limit, self.prepare(request, headers));
        match fence {
            None => exchange.await,
            Some(fence) => fence
                .guard(exchange)
                .await
                .unwrap_or_else(|closed| Err(HydraError::fenced(operation, closed))),
        }
    }

    async fn exchange(
        &self,
        operation: Operation,
        limit: usize,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, HydraError> {
        let id = Uuid::new_v4();
        let span = tracing::debug_span!(
            "hydra",
            operation = operation.as_str(),
            request_id = %id,
            status = tracing::field::Empty,
        );
        let exchange = async {
            let request = self.identified(request, id);
            let started = Instant::now();
            let result = match request.send().await {
                Ok(response) => read(response, limit).await,
                Err(error) => Err(Unread::from(error)),
            };
            self.tell(operation, result.as_ref().ok().map(|answer| answer.status), started);
            result
        };
        exchange.instrument(span).await.map_err(|unread| match unread {
            Unread::TooLarge => HydraError::too_large(operation, limit),
            Unread::Failed(cause) => HydraError::unreachable(operation, &cause),
        })
    }

    /// Says who asks, so that Hydra's log and traces can be held against those of the operator.
    fn identified(&self, request: reqwest::RequestBuilder, id: Uuid) -> reqwest::RequestBuilder {
        // `headers` replaces what the administrator's file may have under these names; `header` would add a second one.
        let mut headers = HeaderMap::new();
        let trace_parent = self.trace_parent.as_ref().and_then(|trace_parent| trace_parent());
        let values = [(REQUEST_ID, Some(id.to_string())), (TRACE_PARENT, trace_parent)];
        for (name, value) in values {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
        request.headers(headers)
    }

    fn tell(&self, operation: Operation, status: Option<StatusCode>, started: Instant) {
        let (duration, code) = (started.elapsed(), status.map(|status| status.as_u16()));
        tracing::Span::current().record("status", code);
        tracing::debug!(?duration, "Asked Hydra");
        if let Some(on_request) = &self.on_request {
            on_request(operation, status.map_or(Outcome::Failed, Outcome::Answered), duration);
        }
    }

    fn prepare(&self, request: Request<'_>, headers: HeaderMap) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), request.path));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self.http.request(request.method, url).headers(headers);
        if request.operation == Operation::CreateKey {
            builder = builder.timeout(self.request_timeout.max(KEY_GENERATION));
        }
        match request.json {
            Some(json) => builder.header(CONTENT_TYPE, "application/json").body(json),
            None => builder,
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.as_ref().map(HeadersFile::current).unwrap_or_default();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = &self.forwarded_proto {
            headers.insert(HeaderName::from_static("x-forwarded-proto"), value.clone());
        }
        headers
    }
}
