//! Whether the process does its work, or has to be started again to do so.

use std::sync::{Arc, Mutex, PoisonError};

/// What keeps the process alive: all controllers run. Clones share their state.
///
/// A pass that hangs is given up by itself, and another server that is away is none of it, since a restart would not bring
/// it back. Where the runtime itself is stuck nobody is answered, which the kubelet takes for a failure too.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    ended: Arc<Mutex<Vec<String>>>,
}

impl Liveness {
    /// `what`, which was to run for as long as the process, has ended.
    pub fn ended(&self, what: impl Into<String>) {
        let what = what.into();
        tracing::error!("{what} has ended by itself: the process has to be started again");
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// What a restart is needed for, if anything.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().map(|what| format!("{what} has ended by itself")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_ends_is_trouble() {
        let liveness = Liveness::default();
        assert!(liveness.troubles().is_empty());
        liveness.ended("the controller of OAuth2Clients");
        let ended = "the controller of OAuth2Clients has ended by itself";
        assert_eq!(liveness.clone().troubles(), [ended]);
    }
}
