//! The bounds of a pass: one resource neither keeps its place for as long as the other side likes, nor ends the process that
//! works for all.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;

/// Which bound a pass has gone beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It took longer than it may.
    Time,
    /// It panicked, which is a bug. Where, the log says.
    Panic,
}

/// `work`, or how it ended without a result. What all passes share stays usable: no lock is held across a step that can panic
/// half way, and those that are poisoned are taken all the same.
pub async fn bounded<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Breach> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Breach::Panic),
        Err(_) => Err(Breach::Time),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_pass_ends_within_its_bounds_and_the_next_one_is_not_harmed() {
        assert_eq!(bounded(LIMIT, async { 1 }).await, Ok(1));
        assert_eq!(bounded(Duration::ZERO, pending::<()>()).await, Err(Breach::Time));
        let at_once = async { panic!("a bug") };
        assert_eq!(bounded::<()>(LIMIT, at_once).await, Err(Breach::Panic));
        let after_a_while = async {
            tokio::task::yield_now().await;
            panic!("a bug")
        };
        assert_eq!(bounded::<()>(LIMIT, after_a_while).await, Err(Breach::Panic));
        assert_eq!(bounded(LIMIT, async { 2 }).await, Ok(2));
    }
}
