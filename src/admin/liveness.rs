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

    #[test]
    fn a_pass_that_does_not_end_and_a_controller_that_does() {
        let metrics = Metrics::new();
        let patient = Liveness::new(metrics.clone(), Duration::from_hours(1));
        let impatient = Liveness::new(metrics.clone(), Duration::ZERO);
        assert!(impatient.troubles().is_empty(), "there is no pass");
        let pass = metrics.reconcile_started(Controller::OAuth2Client);
        let (_, age) = metrics.longest_reconcile().unwrap();
        assert!(!age.is_zero(), "the clock has moved since");
        let troubles = impatient.troubles();
        let stuck = "a pass of the controller oauth2client has not ended for ";
        assert!(troubles.len() == 1 && troubles[0].starts_with(stuck), "{troubles:?}");
        assert!(patient.troubles().is_empty());
        pass.finish(ReconcileResult::Success);
        assert!(impatient.troubles().is_empty());

        patient.ended("the controller of OAuth2Clients");
        let ended = "the controller of OAuth2Clients has ended by itself";
        assert_eq!(patient.clone().troubles(), [ended]);
    }
}
