//! The log of the process.

use std::io;

use tracing::info;
use tracing_subscriber::{
    Layer, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt, util::TryInitError,
};

use crate::{
    cli::LogFormat,
    settings::{LogSettings, Settings},
};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Sends the events of the process to standard error.
///
/// Fails where a subscriber is installed already.
pub fn init(settings: &LogSettings) -> Result<(), TryInitError> {
    let layer = format_layer(settings.format).with_filter(settings.filter.clone());
    tracing_subscriber::registry().with(layer).try_init()
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
