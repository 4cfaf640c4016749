//! One listener for the signals that end the process.
//!
//! The first SIGTERM or SIGINT cancels a token, and everything that runs drains. A second one means that the sender does
//! not want to wait: the process exits at once. Nothing else in the program may install a handler for these signals.

use std::io;

use futures::{Stream, StreamExt, stream};
use tokio::signal::unix::{self, SignalKind};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// The status that a shell reports for a process ended by this signal: 128 and its number.
    const fn exit_status(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Listens for SIGTERM and SIGINT from now on; the first cancels the returned token, the second exits with 128 and the
/// number of the signal.
///
/// Must be called within a tokio runtime. Fails where the handlers cannot be installed.
pub fn listen() -> io::Result<CancellationToken> {
    let signals = stream::select(
        signals(SignalKind::terminate(), Signal::Terminate)?,
        signals(SignalKind::interrupt(), Signal::Interrupt)?,
    );
    let token = CancellationToken::new();
    let drain = token.clone();
    tokio::spawn(async move {
        if let Some(second) = drain_on_first(signals, drain).await {
            warn!(signal = ?second, "Second signal received, work in progress is abandoned");
            std::process::exit(second.exit_status());
        }
    });
    Ok(token)
}

fn signals(kind: SignalKind, signal: Signal) -> io::Result<impl Stream<Item = Signal> + Unpin> {
    let received = unix::signal(kind)?;
    let received = stream::unfold(received, |mut received| async move {
        received.recv().await.map(|()| ((), received))
    });
    Ok(received.map(move |()| signal).boxed())
}

/// Cancels `drain` on the first signal and returns the second.
async fn drain_on_first(
    mut signals: impl Stream<Item = Signal> + Unpin,
    drain: CancellationToken,
) -> Option<Signal> {
    let first = signals.next().await?;
    info!(signal = ?first, "Signal received, finishing work in progress");
    drain.cancel();
    signals.next().await
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, channel::mpsc};

    use super::*;

    #[test]
    fn the_first_signal_drains_and_the_second_is_returned() {
        for (first, second) in
            [(Signal::Terminate, Signal::Interrupt), (Signal::Interrupt, Signal::Terminate)]
        {
            let (sender, signals) = mpsc::unbounded();
            let token = CancellationToken::new();
            let mut task = Box::pin(drain_on_first(signals, token.clone()));
            assert_eq!(task.as_mut().now_or_never(), None);
            assert!(!token.is_cancelled());

            sender.unbounded_send(first).unwrap();
            assert_eq!(task.as_mut().now_or_never(), None);
            assert!(token.is_cancelled());

            sender.unbounded_send(second).unwrap();
            assert_eq!(task.as_mut().now_or_never(), Some(Some(second)));
        }
    }

    #[test]
    fn without_a_signal_nothing_is_cancelled() {
        let token = CancellationToken::new();
        assert_eq!(drain_on_first(stream::empty(), token.clone()).now_or_never(), Some(None));
        assert!(!token.is_cancelled());
    }

    #[test]
    fn exit_statuses_are_those_of_a_shell() {
        assert_eq!(Signal::Interrupt.exit_status(), 130);
        assert_eq!(Signal::Terminate.exit_status(), 143);
    }
}
