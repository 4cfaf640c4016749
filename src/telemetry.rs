//! What the process tells of its work as it goes: the log, and traces for those who ask for them.

mod level;
mod traces;

use std::{io, time::Duration};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{info, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::{SubscriberInitExt, TryInitError},
};

pub use self::traces::{TracesError, trace_parent};
use crate::{
    cli::LogFormat,
    settings::{LogSettings, Settings},
};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The target of all that this program logs itself.
const OURS: &str = "hydra_operator";
/// How long the end of the process may wait for traces to be sent.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A subscriber is installed already.
    #[error(transparent)]
    Installed(#[from] TryInitError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] TracesError),
}

/// What is told until it is dropped.
#[must_use = "dropped, it sends no traces"]
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces {
            // Whoever does not take them has been logged already.
            let _ = traces.shutdown_with_timeout(FLUSH_LIMIT);
        }
    }
}

/// Sends the events of the process to standard error, with the level that a file may change, and its spans to a collector
/// where one is named. It has to be called in the runtime.
pub fn init(settings: &LogSettings) -> Result<Telemetry, Error> {
    let (filter, handle) = reload::Layer::new(settings.filter.clone());
    let log = format_layer(settings.format).with_filter(filter);
    let traces = settings.otlp_endpoint.as_ref().map(traces::provider).transpose()?;
    let spans = traces.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(OURS));
        let layer = layer.with_location(false).with_threads(false);
        layer.with_filter(Targets::new().with_target(OURS, LevelFilter::DEBUG))
    });
    tracing_subscriber::registry().with(log).with(spans).try_init()?;
    if let Some(file) = settings.filter_file.clone() {
        tokio::spawn(level::follow(file, settings.filter.clone(), handle));
    }
    Ok(Telemetry { traces })
}

/// Logs where the process panics from now on, without the words of the panic: they may quote what was worked on.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "Panicked, which is a bug of hydra-operator");
    }));
}

/// Logs what runs, and with which settings.
pub fn log_start(settings: &Settings) {
    let namespaces = match settings.namespaces.as_slice() {
        [] => "all".to_owned(),
        names => names.join(","),
    };
    info!(
        version = VERSION,
        hydra.admin_url = %settings.hydra.admin_url,
        namespaces,
        resync_interval = %humantime::format_duration(settings.resync_interval),
        concurrency = settings.concurrency,
        observe = settings.observe,
        "Starting hydra-operator"
    );
}

fn format_layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}
