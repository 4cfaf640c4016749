//! `make bench`: how close the operator comes to what the servers themselves can do.
//!
//! Everything is measured in one run on real servers, so that the ratios hold on any machine: the raw limit (a load
//! generator that makes the same writes itself), the operator, and hydra-maester where `MAESTER_BIN` names it. Each of
//! them gets servers of its own that hold nothing before.
//!
//! Progress goes to stderr, the report to stdout and to a file. A goal that is missed is a result and no failure: the
//! exit status tells only whether everything could be measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the harness, too, tells a failure by a panic: its hook keeps the logs"
)]

#[path = "../support/mod.rs"]
mod support;

mod figures;
mod generator;
mod load;
mod machine;
mod memory;
mod observer;
mod options;
mod postgres;
mod progress;
mod report;
mod requests;
mod restart;
mod subject;
mod usage;
mod world;

use self::{
    figures::{Figures, RawFigures},
    generator::Work,
    options::Options,
    report::{Context, Report},
    subject::{Kind, Subject},
    world::World,
};

#[tokio::main]
async fn main() {
    let options = Options::checked();
    let (context, raw) = raw(&options).await;
    let operator = figures(&options, &Kind::operator()).await;
    let maester = match &options.maester {
        Some(binary) => Some(figures(&options, &Kind::Maester(binary.clone())).await),
        None => None,
    };
    let report = Report { context, raw, operator, maester }.to_string();
    println!("{report}");
    if let Some(path) = &options.output {
        std::fs::write(path, &report).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

/// What the servers can do.
async fn raw(options: &Options) -> (Context, RawFigures) {
    progress::heading("Raw limit");
    let machine = machine::describe();
    let world = World::start().await;
    let context = Context {
        command: options.command(),
        date: options.date.clone(),
        machine,
        software: world.software().await,
    };
    let singles = load::singles(&world, Work::AllWrites, options.singles).await;
    let waves = load::waves(&world, Work::AllWrites, options, None).await;
    (context, RawFigures { singles, waves })
}

/// What a controller makes of it.
async fn figures(options: &Options, kind: &Kind) -> Figures {
    progress::heading(&format!("{}: new clients", kind.name()));
    let world = World::start().await;
    let subject = Subject::start(&world, kind).await;
    let singles = load::singles(&world, Work::Creation, options.singles).await;
    let waves = load::waves(&world, Work::Creation, options, Some(&subject)).await;
    drop(subject); // before the servers, of whose end it would complain
    drop(world);

    progress::heading(&format!("{}: restart with converged clients", kind.name()));
    let world = World::start().await;
    let mut subject = Subject::start(&world, kind).await;
    let (restarts, added) = restart::restarts(&world, &mut subject, options).await;
    Figures { singles, waves, restarts, added }
}
