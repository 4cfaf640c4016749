//! Traces, sent to a collector by OTLP over HTTP.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use reqwest::{Client, redirect::Policy};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use super::VERSION;

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where a collector takes traces, below its base URL (OTLP 1.x, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The HTTP client cannot be set up.
    #[error("the HTTP client for traces cannot be set up")]
    Client(#[from] reqwest::Error),
    /// The exporter refuses its settings, which are also the variables `OTEL_EXPORTER_OTLP_*`.
    #[error("the exporter of traces cannot be set up")]
    Exporter(#[from] ExporterBuildError),
}

/// Sends spans to the collector at `endpoint`, sampled as `OTEL_TRACES_SAMPLER` says.
pub(super) fn provider(endpoint: &Url) -> Result<SdkTracerProvider, TracesError> {
    let builder = Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
    // Without TLS the system's certificates are not looked for, which would fail in an image that has none.
    let builder = match endpoint.scheme() {
        "https" => builder,
        _ => builder.tls_certs_only([]),
    };
    let collector = Collector {
        http: builder.build()?,
        runtime: Handle::current(),
        is_refused: AtomicBool::new(false),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}{PATH}", endpoint.as_str().trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder()
        .with_service_name("hydra-operator")
        .with_attribute(opentelemetry::KeyValue::new("service.version", VERSION))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The present span as the value of `traceparent` (W3C Trace Context, section 3.2). `None`: it is of no trace.
#[must_use]
pub fn trace_parent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let context = span.span_context();
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
    context.is_valid().then(|| format!("00-{trace}-{span}-{:02x}", flags.to_u8()))
}

/// The collector. The exporter asks on a thread of its own, and the runtime does the work.
struct Collector {
    http: Client,
    runtime: Handle,
    is_refused: AtomicBool,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl Collector {
    /// Tells that spans are lost, and when they are not any more: once each.
    fn tell(&self, problem: Option<&str>) {
        match (problem, self.is_refused.swap(problem.is_some(), Ordering::Relaxed)) {
            (Some(problem), false) => tracing::warn!("Traces are lost: {problem}"),
            (None, true) => tracing::info!("The collector takes traces again"),
            _ => {}
        }
    }
}

impl HttpClient for Collector {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let sent = self.runtime.spawn(send(self.http.clone(), request));
        Box::pin(async move {
            let result = match sent.await {
                Ok(result) => result,
                Err(ended) => Err(ended.into()),
            };
            match &result {
                Ok(answer) if answer.status().is_success() => self.tell(None),
                Ok(answer) => {
                    self.tell(Some(&format!("the collector answers {}", answer.status())));
                }
                Err(_) => self.tell(Some("the collector cannot be reached")),
            }
            result
        })
    }
}

async fn send(http: Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let answer = http.execute(request.try_into()?).await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        *headers = answer.headers().clone();
    }
    Ok(response.body(answer.bytes().await?)?)
}
