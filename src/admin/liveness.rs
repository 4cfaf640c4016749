//! Whether the process does its work, or has to be started again to do so.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::metrics::Metrics;

/// What keeps the process alive: all controllers run, and every pass ends. Clones share their state.
///
/// Another server that is away is none of it, since a restart would not bring it back. Where the runtime itself is stuck
/// nobody is answered, which the kubelet takes for a failure too.
#[derive(Clone, Debug)]
pub struct Liveness {
    ended: Arc<Mutex<Vec<String>>>,
    metrics: Metrics,
    longest_pass: Duration,
}

impl Liveness {
    /// For passes that end within `longest_pass`, unless they are stuck.
    #[must_use]
    pub fn new(metrics: Metrics, longest_pass: Duration) -> Self {
        Self { ended: Arc::default(), metrics, longest_pass }
    }

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
        let ended = ended.iter().map(|what| format!("{what} has ended by itself"));
        let longest = self.metrics.longest_reconcile();
        let stuck = longest.filter(|(_, age)| *age > self.longest_pass).map(|(controller, age)| {
            let (kind, age) = (controller.as_str(), humantime::format_duration(seconds(age)));
            format!("a pass of the controller {kind} has not ended for {age}")
        });
        ended.chain(stuck).collect()
    }
}

fn seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Controller, ReconcileResult};

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_does_not_end_and_a_controller_that_does() {
        let metrics = Metrics::new();
        let liveness = Liveness::new(metrics.clone(), Duration::from_mins(2));
        let pass = metrics.reconcile_started(Controller::OAuth2Client);
        tokio::time::advance(Duration::from_mins(2)).await;
        let later = metrics.reconcile_started(Controller::JsonWebKeySet);
        assert!(liveness.troubles().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        let stuck = "a pass of the controller oauth2client has not ended for 2m 1s";
        assert_eq!(liveness.troubles(), [stuck]);
        pass.finish(ReconcileResult::Success);
        drop(later);
        assert!(liveness.troubles().is_empty());

        liveness.ended("the controller of OAuth2Clients");
        let ended = "the controller of OAuth2Clients has ended by itself";
        assert_eq!(liveness.troubles(), [ended]);
    }
}
