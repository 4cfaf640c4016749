//! `make demo`: an `OAuth2Client` becomes a working client of Hydra, and a `JsonWebKeySet` its keys, on real servers.
//!
//! Each step prints the command that a person would type. kubectl is run as printed; HTTP requests are made by this
//! program and printed as the curl that does the same. No secret, and no token, is ever printed.
//!
//! `demo assert CLIENT_ID AUDIENCE` prints an assertion, signed with the first key of the JSON Web Key set on standard input: for
//! those who type the commands themselves.
//!
//! Everything that is started ends with this process, however it ends. A failure ends it with a status other than 0 and
//! says where the logs are.

#[path = "../support/mod.rs"]
mod support;

mod assertion;
mod keys;
mod oauth;
mod screen;
mod servers;
mod tour;

use std::{
    env,
    io::{self, Read, Write},
    process::ExitCode,
};

use secrecy::{ExposeSecret, SecretString};

use self::{servers::Servers, tour::tour};

#[tokio::main]
async fn main() -> ExitCode {
    let keep = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [keep] if keep == "--keep" => true,
        [assert, client, audience] if assert == "assert" => {
            return print_assertion(client, audience);
        }
        _ => {
            screen::note("usage: demo [--keep], or demo assert CLIENT_ID AUDIENCE");
            return ExitCode::from(2);
        }
    };
    screen::explain_failures();
    demo(keep).await;
    ExitCode::SUCCESS
}

fn print_assertion(client: &str, audience: &str) -> ExitCode {
    let mut keys = String::new();
    let read = io::stdin().read_to_string(&mut keys).map_err(|error| error.to_string());
    let keys = SecretString::from(keys);
    let signed = read.and_then(|_| assertion::assertion(&keys, client, audience));
    let written = signed.and_then(|signed| {
        let written = writeln!(io::stdout(), "{}", signed.expose_secret());
        written.map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(io::stderr(), "Error: {reason}");
            ExitCode::FAILURE
        }
    }
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
