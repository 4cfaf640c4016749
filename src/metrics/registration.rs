//! What is registered: names, and the words of `# HELP`, of which `docs/metrics.md` is made.

use prometheus_client::{
    metrics::{family::MetricConstructor, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use super::{Metrics, process::Process};

/// Upper bounds in seconds, from a pass without any request to one that waited for time-outs.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Makes the histogram of a new series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

impl Metrics {
    /// The registry adds the suffixes: `_total` to counters, `_info`, and the unit.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        self.register_controller_runtime(registry.sub_registry_with_prefix("controller_runtime"));
        self.register_workqueue(registry.sub_registry_with_prefix("workqueue"));
        registry.register(
            "rest_client_requests",
            "Requests to the Kubernetes API by status code, method and host, each once however often it was tried; <error> without an answer",
            self.rest_client_requests.clone(),
        );
        registry.register(
            "leader_election_master_status",
            "Whether this replica holds the Lease",
            self.leader.clone(),
        );
        self.register_operator(registry.sub_registry_with_prefix("hydra_operator"));
        self.register_hydra(registry.sub_registry_with_prefix("hydra_operator"));
        registry.register_collector(Box::new(self.resources.clone()));
        registry.register_collector(Box::new(Process::started_now()));
        registry
    }

    fn register_controller_runtime(&self, registry: &mut Registry) {
        registry.register("reconcile", "Passes by result", self.reconciles.clone());
        registry.register("reconcile_errors", "Passes that failed", self.reconcile_errors.clone());
        registry.register(
            "reconcile_panics",
            "Passes that panicked",
            self.reconcile_panics.clone(),
        );
        registry.register_with_unit(
            "reconcile_time",
            "Duration of a pass",
            Unit::Seconds,
            self.reconcile_time.clone(),
        );
        registry.register("active_workers", "Passes in progress", self.active_workers.clone());
        registry.register(
            "max_concurrent_reconciles",
            "Bound on the passes in progress",
            self.max_concurrent.clone(),
        );
    }

    fn register_workqueue(&self, registry: &mut Registry) {
        registry.register(
            "retries",
            "Passes that are repeated after a failure",
            self.retries.clone(),
        );
        registry.register_with_unit(
            "work_duration",
            "Duration of a pass",
            Unit::Seconds,
            self.work_duration.clone(),
        );
        registry.register_collector(Box::new(self.in_progress.clone()));
    }

    fn register_operator(&self, registry: &mut Registry) {
        registry.register(
            "build",
            "The running program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "outcomes",
            "Passes by the reason of the condition that they ended with",
            self.outcomes.clone(),
        );
        registry.register(
            "observed_resources",
            "With --observe: resources by what would be done with them",
            self.observed.clone(),
        );
        registry.register(
            "events_waiting",
            "Kubernetes events that wait to be published",
            self.events_waiting.clone(),
        );
    }

    fn register_hydra(&self, registry: &mut Registry) {
        registry.register(
            "hydra_requests",
            "Requests to Hydra by operation and status code; <error> without an answer",
            self.hydra_requests.clone(),
        );
        registry.register_with_unit(
            "hydra_request_duration",
            "Duration of a request to Hydra",
            Unit::Seconds,
            self.hydra_request_duration.clone(),
        );
        registry.register(
            "hydra_up",
            "Whether Hydra answered when it was last asked",
            self.hydra_up.clone(),
        );
        registry.register(
            "sweeps",
            "Comparisons of all clients of a Hydra with the resources",
            self.sweeps.clone(),
        );
        registry.register(
            "drift_corrections",
            "Changes made outside the operator that it undid",
            self.drift_corrections.clone(),
        );
    }
}
