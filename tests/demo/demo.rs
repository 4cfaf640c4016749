//! `make demo`: an `OAuth2Client` becomes a working client of Hydra, on real servers.
//!
//! Each step prints the command that a person would type. kubectl is run as printed; HTTP requests are made by this
//! program and printed as the curl that does the same. No secret, and no token, is ever printed.
//!
//! Everything that is started ends with this process, however it ends. A failure ends it with a status other than 0 and
//! says where the logs are.

#[path = "../support/mod.rs"]
mod support;

mod oauth;
mod screen;
mod servers;
mod tour;

use std::{env, process::ExitCode};

use self::{servers::Servers, tour::tour};

#[tokio::main]
async fn main() -> ExitCode {
    let keep = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [keep] if keep == "--keep" => true,
        _ => {
            screen::note("usage: demo [--keep]");
            return ExitCode::from(2);
        }
    };
    screen::explain_failures();
    demo(keep).await;
    ExitCode::SUCCESS
}

async fn demo(keep: bool) {
    screen::heading("Real servers, on the loopback interface only");
    let mut servers = Servers::start().await;
    tour(&servers).await.unwrap_or_else(|reason| fail(&reason));
    if keep {
        screen::heading("Everything stays up until Ctrl-C");
        servers.invite();
        until_interrupted().await;
        screen::done("Stopped; nothing is left running.");
    } else {
        screen::done("Done; nothing is left running. `make demo KEEP=1` keeps it up to play with.");
    }
}

/// Where the signal cannot be handled, it ends the process by itself.
async fn until_interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The harness, too, tells a failure by a panic: its hook keeps the logs and says where they are.
#[expect(clippy::panic, reason = "a panic is how the demo fails")]
fn fail(reason: &str) -> ! {
    panic!("{reason}")
}
