//! The metrics of the operator, in the `OpenMetrics` text format.
//!
//! Names and labels of `controller_runtime_*` are those of controller-runtime (its `pkg/internal/controller/metrics`), so
//! that the dashboards which exist work here. Labels are bounded: values of the program itself, the names of the Hydra
//! instances (which administrators choose) and HTTP status codes; never the name of a resource or the text of an error.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use tokio::time::Instant;

mod labels;

use self::labels::{
    ActionLabels, ControllerLabels, InstanceLabels, LeaseLabels, OperationLabels, OutcomeLabels,
    ReconcileLabels, RequestLabels, SweepLabels, SweepResult,
};
pub use self::labels::{Controller, ReconcileResult, ResponseCode};
use crate::telemetry::VERSION;

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds, from a pass without any request to one that waited for time-outs.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// All metrics of the process. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Family<ControllerLabels, Counter>,
    reconcile_time: Family<ControllerLabels, Histogram, Buckets>,
    active_workers: Family<ControllerLabels, Gauge>,
    max_concurrent: Family<ControllerLabels, Gauge>,
    outcomes: Family<OutcomeLabels, Counter>,
    hydra_requests: Family<RequestLabels, Counter>,
    hydra_request_duration: Family<OperationLabels, Histogram, Buckets>,
    hydra_up: Family<InstanceLabels, Gauge>,
    sweeps: Family<SweepLabels, Counter>,
    drift_corrections: Family<InstanceLabels, Counter>,
    observed: Family<ActionLabels, Gauge>,
    events_waiting: Gauge,
    leader: Family<LeaseLabels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers every metric.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_time: Family::new_with_constructor(Buckets),
            active_workers: Family::default(),
            max_concurrent: Family::default(),
            outcomes: Family::default(),
            hydra_requests: Family::default(),
            hydra_request_duration: Family::new_with_constructor(Buckets),
            hydra_up: Family::default(),
            sweeps: Family::default(),
            drift_corrections: Family::default(),
            observed: Family::default(),
            events_waiting: Gauge::default(),
            leader: Family::default(),
        };
        metrics.registry = Arc::new(metrics.registry());
        metrics
    }

    /// The registry adds the suffixes: `_total` to counters, `_info`, and the unit.
    fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        self.register_controller_runtime(registry.sub_registry_with_prefix("controller_runtime"));
        self.register_operator(registry.sub_registry_with_prefix("hydra_operator"));
        registry.register(
            "leader_election_master_status",
            "Whether this replica holds the Lease",
            self.leader.clone(),
        );
        registry
    }

    fn register_controller_runtime(&self, registry: &mut Registry) {
        registry.register("reconcile", "Reconciles by result", self.reconciles.clone());
        registry.register(
            "reconcile_errors",
            "Reconciles that failed",
            self.reconcile_errors.clone(),
        );
        registry.register_with_unit(
            "reconcile_time",
            "Duration of a reconcile",
            Unit::Seconds,
            self.reconcile_time.clone(),
        );
        registry.register("active_workers", "Reconciles in progress", self.active_workers.clone());
        registry.register(
            "max_concurrent_reconciles",
            "Bound on the reconciles in progress",
            self.max_concurrent.clone(),
        );
    }

    fn register_operator(&self, registry: &mut Registry) {
        registry.register("build", "The running program", Info::new([("version", VERSION)]));
        registry.register(
            "outcomes",
            "Reconciles by the reason of the condition that they ended with",
            self.outcomes.clone(),
        );
        registry.register(
            "hydra_requests",
            "Requests to the admin API of Hydra by status code",
            self.hydra_requests.clone(),
        );
        registry.register_with_unit(
            "hydra_request_duration",
            "Duration of a request to the admin API of Hydra",
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
        registry.register(
            "observed_resources",
            "Resources by what would be done with them without --observe",
            self.observed.clone(),
        );
        registry.register(
            "events_waiting",
            "Kubernetes events that wait to be published",
            self.events_waiting.clone(),
        );
    }

    /// Announces a controller and its bound, so that its series exist before its first reconcile.
    pub fn controller(&self, controller: Controller, max_concurrent_reconciles: u16) {
        let labels = ControllerLabels { controller };
        self.max_concurrent.get_or_create(&labels).set(max_concurrent_reconciles.into());
        self.active_workers.get_or_create_owned(&labels);
        self.reconcile_errors.get_or_create_owned(&labels);
        self.reconcile_time.get_or_create_owned(&labels);
        for result in ReconcileResult::ALL {
            self.reconciles.get_or_create_owned(&ReconcileLabels { controller, result });
        }
    }

    /// Says whether this replica holds the Lease `name`. The metric is that of client-go.
    pub fn leader(&self, name: &str, leads: bool) {
        let labels = LeaseLabels { name: name.to_owned() };
        self.leader.get_or_create(&labels).set(leads.into());
    }

    /// Announces a Hydra, so that its series exist before the first sweep and `rate()` sees the first event.
    pub fn instance(&self, instance: &str) {
        let labels = InstanceLabels { instance: instance.to_owned() };
        self.drift_corrections.get_or_create_owned(&labels);
        for result in SweepResult::ALL {
            let instance = instance.to_owned();
            self.sweeps.get_or_create_owned(&SweepLabels { instance, result });
        }
    }

    /// Counts a reconcile as in progress until the returned value is finished or dropped.
    pub fn reconcile_started(&self, controller: Controller) -> ReconcileInProgress {
        let labels = ControllerLabels { controller };
        self.active_workers.get_or_create(&labels).inc();
        ReconcileInProgress { metrics: self.clone(), labels, started: Instant::now() }
    }

    /// Counts a reconcile by the reason of the condition that it ended with.
    pub fn outcome(&self, controller: Controller, reason: &'static str) {
        self.outcomes.get_or_create(&OutcomeLabels { controller, reason }).inc();
    }

    /// Counts a request to Hydra.
    pub fn hydra_request(
        &self,
        instance: &str,
        operation: &'static str,
        code: ResponseCode,
        duration: Duration,
    ) {
        let instance = instance.to_owned();
        let labels = OperationLabels { instance: instance.clone(), operation };
        self.hydra_request_duration.get_or_create(&labels).observe(duration.as_secs_f64());
        self.hydra_requests.get_or_create(&RequestLabels { instance, operation, code }).inc();
    }

    /// Says whether Hydra answered when it was last asked.
    pub fn hydra_up(&self, instance: &str, up: bool) {
        let labels = InstanceLabels { instance: instance.to_owned() };
        self.hydra_up.get_or_create(&labels).set(up.into());
    }

    /// Counts a sweep; `complete` is whether it saw all clients.
    pub fn sweep(&self, instance: &str, complete: bool) {
        let result = if complete { SweepResult::Success } else { SweepResult::Error };
        self.sweeps.get_or_create(&SweepLabels { instance: instance.to_owned(), result }).inc();
    }

    /// Counts a change that was made outside the operator and that it undid.
    pub fn drift_correction(&self, instance: &str) {
        let labels = InstanceLabels { instance: instance.to_owned() };
        self.drift_corrections.get_or_create(&labels).inc();
    }

    /// Says with how many resources of `controller` `action` would be done.
    pub fn observed(&self, controller: Controller, action: &'static str, resources: i64) {
        let labels = ActionLabels { controller, action };
        self.observed.get_or_create(&labels).set(resources);
    }

    /// `change` more events wait to be published.
    pub fn events_waiting(&self, change: i64) {
        self.events_waiting.inc_by(change);
    }

    /// All metrics as text of the media type [`CONTENT_TYPE`].
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut exposition = String::new();
        text::encode(&mut exposition, &self.registry)?;
        Ok(exposition)
    }
}

/// A reconcile in progress. Dropped without [`finish`](Self::finish) (at shutdown), it leaves no trace.
#[derive(Debug)]
#[must_use = "the reconcile is in progress until this is finished"]
pub struct ReconcileInProgress {
    metrics: Metrics,
    labels: ControllerLabels,
    started: Instant,
}

impl ReconcileInProgress {
    /// Counts the reconcile and its duration.
    pub fn finish(self, result: ReconcileResult) {
        let Self { metrics, labels, started } = &self;
        let controller = labels.controller;
        metrics.reconcile_time.get_or_create(labels).observe(started.elapsed().as_secs_f64());
        metrics.reconciles.get_or_create(&ReconcileLabels { controller, result }).inc();
        if result == ReconcileResult::Error {
            metrics.reconcile_errors.get_or_create(labels).inc();
        }
    }
}

impl Drop for ReconcileInProgress {
    fn drop(&mut self) {
        self.metrics.active_workers.get_or_create(&self.labels).dec();
    }
}

/// Makes the histogram of a new series.
#[derive(Clone, Copy, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> Vec<String> {
        metrics.encode().unwrap().lines().map(str::to_owned).collect()
    }

    fn assert_has(metrics: &Metrics, line: &str) {
        let lines = lines(metrics);
        assert!(lines.iter().any(|have| have == line), "no {line} in {lines:#?}");
    }

    #[test]
    fn a_reconcile_is_active_until_it_is_finished() {
        let metrics = Metrics::new();
        metrics.controller(Controller::OAuth2Client, 16);
        let active = "controller_runtime_active_workers{controller=\"oauth2client\"}";
        let total = "controller_runtime_reconcile_total{controller=\"oauth2client\"";
        assert_has(&metrics, &format!("{active} 0"));
        assert_has(&metrics, &format!("{total},result=\"success\"}} 0"));
        assert_has(
            &metrics,
            "controller_runtime_max_concurrent_reconciles{controller=\"oauth2client\"} 16",
        );

        let first = metrics.reconcile_started(Controller::OAuth2Client);
        let second = metrics.reconcile_started(Controller::OAuth2Client);
        let third = metrics.reconcile_started(Controller::OAuth2Client);
        assert_has(&metrics, &format!("{active} 3"));
        first.finish(ReconcileResult::Error);
        second.finish(ReconcileResult::RequeueAfter);
        drop(third);
        assert_has(&metrics, &format!("{active} 0"));
        assert_has(&metrics, &format!("{total},result=\"error\"}} 1"));
        assert_has(&metrics, &format!("{total},result=\"requeue_after\"}} 1"));
        assert_has(&metrics, &format!("{total},result=\"success\"}} 0"));
        assert_has(
            &metrics,
            "controller_runtime_reconcile_errors_total{controller=\"oauth2client\"} 1",
        );
        assert_has(
            &metrics,
            "controller_runtime_reconcile_time_seconds_count{controller=\"oauth2client\"} 2",
        );
    }

    #[test]
    fn requests_to_hydra_are_counted_by_code() {
        let metrics = Metrics::new();
        let request = |code| {
            metrics.hydra_request("default", "get_client", code, Duration::from_millis(20));
        };
        request(ResponseCode::Status(404));
        request(ResponseCode::Status(404));
        request(ResponseCode::NoResponse);
        let name = "hydra_operator_hydra_request";
        let labels = "instance=\"default\",operation=\"get_client\"";
        assert_has(&metrics, &format!("{name}s_total{{{labels},code=\"404\"}} 2"));
        assert_has(&metrics, &format!("{name}s_total{{{labels},code=\"<error>\"}} 1"));
        assert_has(&metrics, &format!("{name}_duration_seconds_count{{{labels}}} 3"));
        assert_has(&metrics, &format!("{name}_duration_seconds_bucket{{le=\"0.025\",{labels}}} 3"));
        assert_has(&metrics, &format!("{name}_duration_seconds_bucket{{le=\"0.01\",{labels}}} 0"));
    }

    #[test]
    fn the_state_of_an_instance() {
        let metrics = Metrics::new();
        metrics.instance("default");
        assert_has(&metrics, "hydra_operator_drift_corrections_total{instance=\"default\"} 0");
        metrics.hydra_up("default", true);
        assert_has(&metrics, "hydra_operator_hydra_up{instance=\"default\"} 1");
        metrics.hydra_up("default", false);
        metrics.sweep("default", true);
        metrics.sweep("default", false);
        metrics.sweep("default", false);
        metrics.drift_correction("default");
        metrics.outcome(Controller::OAuth2Client, "Reconciled");
        for line in [
            "hydra_operator_hydra_up{instance=\"default\"} 0",
            "hydra_operator_sweeps_total{instance=\"default\",result=\"success\"} 1",
            "hydra_operator_sweeps_total{instance=\"default\",result=\"error\"} 2",
            "hydra_operator_drift_corrections_total{instance=\"default\"} 1",
            "hydra_operator_outcomes_total{controller=\"oauth2client\",reason=\"Reconciled\"} 1",
        ] {
            assert_has(&metrics, line);
        }
    }

    #[test]
    fn the_exposition_is_complete() {
        let metrics = Metrics::new();
        assert_has(&metrics, &format!("hydra_operator_build_info{{version=\"{VERSION}\"}} 1"));
        assert_eq!(lines(&metrics).last().map(String::as_str), Some("# EOF"));
    }
}
