//! The binary: parse the command line and dispatch.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use hydra_operator::{
    admin::Readiness,
    api,
    cli::{Cli, Command},
    metrics::{self, Metrics},
    operator, reasons, reference,
    settings::Settings,
    shutdown, telemetry,
};

/// The status with which clap, too, ends on a wrong argument.
const WRONG_SETTING: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Crds => print_crds(),
        Command::Metrics => print(&metrics::page()),
        Command::Reasons => print(&reasons::page()),
        Command::Reference { page } => print(&reference::page(page)),
        Command::Run(args) => match Settings::try_from(*args) {
            Err(error) => return failure(&error, ExitCode::from(WRONG_SETTING)),
            Ok(settings) => run(settings),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(error.as_ref(), ExitCode::FAILURE),
    }
}

fn print_crds() -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(api::crd_yaml()?.as_bytes())?)
}

fn print(page: &str) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(page.as_bytes())?)
}

fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    // One thread: the work is to wait for servers, which are slower than it by far, and each further thread costs memory
    // and the time to wake it. What takes a processor for long, to make a key, has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(operate(settings))
}

async fn operate(settings: Settings) -> Result<(), Box<dyn Error>> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "another TLS provider is installed already")?;
    let telemetry = telemetry::init(&settings.log)?;
    telemetry::log_panics();
    telemetry::log_start(&settings);
    let result = match shutdown::listen() {
        Ok(shutdown) => operator::run(settings, Metrics::new(), Readiness::default(), shutdown)
            .await
            .map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    // What is left is sent by this thread, so another one has to wait for it.
    tokio::task::spawn_blocking(move || drop(telemetry)).await?;
    result
}

/// Writes `error` and its causes in one line to standard error.
fn failure(error: &(dyn Error + 'static), status: ExitCode) -> ExitCode {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let chain: Vec<String> = causes.map(ToString::to_string).collect();
    // Where standard error is closed, the status alone has to tell.
    let _ = writeln!(io::stderr(), "Error: {}", chain.join(": "));
    status
}
