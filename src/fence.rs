//! Until when this process may write.
//!
//! A replica that leads may do so until a deadline, which it moves with each renewal of its Lease. Whoever sends a write
//! asks the fence right before: a process that was stopped for longer than its lease, and goes on, sends nothing more.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use tokio::time::Instant;

/// Until when writes may be sent. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    open_until: Option<Instant>,
    is_closed: bool,
}

/// A write was not sent, because this replica does not lead, or leads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sent: this replica does not hold the lease")]
pub struct Closed;

impl Fence {
    /// Lets writes pass until `deadline`, or as long as it did before.
    pub fn open_until(&self, deadline: Instant) {
        let mut state = self.state();
        state.open_until = state.open_until.max(Some(deadline));
    }

    /// Lets nothing pass any more, whatever comes.
    pub fn close(&self) {
        self.state().is_closed = true;
    }

    /// Whether a write may be sent now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let state = self.state();
        !state.is_closed && state.open_until.is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Runs `write` as long as the fence is open, and looks each time before it goes on: a request has steps, such as
    /// waiting for a connection or for its next attempt.
    pub async fn guard<T>(&self, write: impl Future<Output = T>) -> Result<T, Closed> {
        let mut write = pin!(write);
        poll_fn(|context| {
            if self.is_open() {
                write.as_mut().poll(context).map(Ok)
            } else {
                Poll::Ready(Err(Closed))
            }
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn it_is_open_until_the_latest_deadline() {
        let fence = Fence::default();
        assert!(!fence.is_open(), "nobody has won yet");
        let now = Instant::now();
        fence.open_until(now);
        assert!(!fence.is_open());
        fence.open_until(now + HOUR);
        fence.open_until(now);
        assert!(fence.clone().is_open());
        fence.clone().close();
        fence.open_until(now + 2 * HOUR);
        assert!(!fence.is_open());
    }

    #[tokio::test]
    async fn a_step_after_the_deadline_is_not_taken() {
        let fence = Fence::default();
        assert_eq!(fence.guard(async { panic!("it is closed") }).await, Err::<(), _>(Closed));
        fence.open_until(Instant::now() + HOUR);
        assert_eq!(fence.guard(async { 1 }).await, Ok(1));
        let two_steps = async {
            fence.close();
            tokio::task::yield_now().await;
            panic!("it was closed before this step");
        };
        assert_eq!(fence.guard(two_steps).await, Err::<(), _>(Closed));
    }
}
