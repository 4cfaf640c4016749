//! Waiting for a condition instead of sleeping.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How long [`eventually`] waits: far longer than anything takes, so that only a real failure reaches it.
pub const LIMIT: Duration = Duration::from_mins(1);
const INTERVAL: Duration = Duration::from_millis(50);

/// What a look at the state found: what was waited for, or a description of the state that is not it yet.
pub trait Look {
    /// What the condition yields.
    type Found;
    /// `Err` describes the state for the failure message.
    fn look(self) -> Result<Self::Found, String>;
}

impl<T> Look for Option<T> {
    type Found = T;
    fn look(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, E: Debug> Look for Result<T, E> {
    type Found = T;
    fn look(self) -> Result<T, String> {
        self.map_err(|state| format!("{state:?}"))
    }
}

impl Look for bool {
    type Found = ();
    fn look(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".to_owned())
    }
}

/// Looks until the condition holds, and panics with `what` and the state last seen after [`LIMIT`].
///
/// The closure returns an `Option`, a `Result` whose error describes the state, or a `bool`.
pub async fn eventually<L: Look>(what: &str, condition: impl AsyncFnMut() -> L) -> L::Found {
    match within(LIMIT, condition).await {
        Ok(found) => found,
        Err(state) => panic!("not within {LIMIT:?}: {what}; last seen: {state}"),
    }
}

/// As [`eventually`], with a limit of one's own and the state last seen as an error.
pub async fn within<L: Look>(
    limit: Duration,
    mut condition: impl AsyncFnMut() -> L,
) -> Result<L::Found, String> {
    let start = Instant::now();
    loop {
        // A request that hangs must not hang the test.
        let state = match tokio::time::timeout(limit, condition()).await {
            Ok(seen) => match seen.look() {
                Ok(found) => return Ok(found),
                Err(state) => state,
            },
            Err(_) => "the look at the state itself took too long".to_owned(),
        };
        if start.elapsed() >= limit {
            return Err(state);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
