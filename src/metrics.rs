//! The metrics of the operator, in the `OpenMetrics` text format.
//!
//! Names and labels of `controller_runtime_*` and `workqueue_*` are those of controller-runtime (its
//! `pkg/internal/controller/metrics` and `pkg/metrics/workqueue.go`), that of `rest_client_requests_total` is client-go's, so
//! that the dashboards which exist work here. Only what can be told truly is there: kube-runtime shows neither how long its
//! queue is nor what is added to it. Labels are bounded: values of the program itself, the names of the Hydra
//! instances (which administrators choose) and HTTP status codes; never the text of an error, and the name of a resource only
//! where the administrator asks for it.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

mod exposition;
mod in_progress;
mod labels;
mod page;
mod process;
mod registration;
mod resources;

pub use self::{
    exposition::Format,
    in_progress::ReconcileInProgress,
    labels::{Controller, ReconcileResult, ResponseCode},
    page::page,
    resources::{Resource, Resources},
};
use self::{
    in_progress::InProgress,
    labels::{
        ActionLabels, ControllerLabels, InstanceLabels, KubernetesLabels, LeaseLabels,
        OperationLabels, OutcomeLabels, QueueLabels, ReconcileLabels, RequestLabels, SweepLabels,
        SweepResult,
    },
    registration::Buckets,
    resources::AllResources,
};

/// All metrics of the process. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Family<ControllerLabels, Counter>,
    reconcile_panics: Family<ControllerLabels, Counter>,
    reconcile_time: Family<ControllerLabels, Histogram, Buckets>,
    active_workers: Family<ControllerLabels, Gauge>,
    max_concurrent: Family<ControllerLabels, Gauge>,
    retries: Family<QueueLabels, Counter>,
    work_duration: Family<QueueLabels, Histogram, Buckets>,
    in_progress: InProgress,
    rest_client_requests: Family<KubernetesLabels, Counter>,
    outcomes: Family<OutcomeLabels, Counter>,
    hydra_requests: Family<RequestLabels, Counter>,
    hydra_request_duration: Family<OperationLabels, Histogram, Buckets>,
    hydra_up: Family<InstanceLabels, Gauge>,
    sweeps: Family<SweepLabels, Counter>,
    drift_corrections: Family<InstanceLabels, Counter>,
    observed: Family<ActionLabels, Gauge>,
    events_waiting: Gauge,
    leader: Family<LeaseLabels, Gauge>,
    resources: AllResources,
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
            reconcile_panics: Family::default(),
            reconcile_time: Family::new_with_constructor(Buckets),
            active_workers: Family::default(),
            max_concurrent: Family::default(),
            retries: Family::default(),
            work_duration: Family::new_with_constructor(Buckets),
            in_progress: InProgress::default(),
            rest_client_requests: Family::default(),
            outcomes: Family::default(),
            hydra_requests: Family::default(),
            hydra_request_duration: Family::new_with_constructor(Buckets),
            hydra_up: Family::default(),
            sweeps: Family::default(),
            drift_corrections: Family::default(),
            observed: Family::default(),
            events_waiting: Gauge::default(),
            leader: Family::default(),
            resources: AllResources::default(),
        };
        metrics.registry = Arc::new(metrics.registry());
        metrics
    }

    /// Announces a controller and its bound, so that its series exist before its first reconcile.
    pub fn controller(&self, controller: Controller, max_concurrent_reconciles: u16) {
        let labels = ControllerLabels { controller };
        self.max_concurrent.get_or_create(&labels).set(max_concurrent_reconciles.into());
        self.active_workers.get_or_create_owned(&labels);
        self.reconcile_errors.get_or_create_owned(&labels);
        self.reconcile_panics.get_or_create_owned(&labels);
        self.reconcile_time.get_or_create_owned(&labels);
        self.retries.get_or_create_owned(&QueueLabels::of(controller));
        self.work_duration.get_or_create_owned(&QueueLabels::of(controller));
        self.in_progress.announce(controller);
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
        let labels = InstanceLabels { hydra: instance.to_owned() };
        self.drift_corrections.get_or_create_owned(&labels);
        for result in SweepResult::ALL {
            let hydra = instance.to_owned();
            self.sweeps.get_or_create_owned(&SweepLabels { hydra, result });
        }
    }

    /// Counts a reconcile as in progress until the returned value is finished or dropped.
    pub fn reconcile_started(&self, controller: Controller) -> ReconcileInProgress {
        ReconcileInProgress::start(self, controller)
    }

    /// Counts a pass that panicked.
    pub fn panicked(&self, controller: Controller) {
        self.reconcile_panics.get_or_create(&ControllerLabels { controller }).inc();
    }

    /// Counts a request to the Kubernetes API at `host`.
    pub fn kubernetes_request(&self, code: ResponseCode, method: &str, host: &str) {
        let labels = KubernetesLabels { code, method: method.to_owned(), host: host.to_owned() };
        self.rest_client_requests.get_or_create(&labels).inc();
    }

    /// Tells from now on what `resources` say of themselves.
    pub fn resources(&self, resources: Box<dyn Resources>) {
        self.resources.add(resources);
    }

    /// Tells what each resource says of itself, by its name.
    pub fn name_resources(&self) {
        self.resources.name_each();
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
        let hydra = instance.to_owned();
        let labels = OperationLabels { hydra: hydra.clone(), operation };
        self.hydra_request_duration.get_or_create(&labels).observe(duration.as_secs_f64());
        self.hydra_requests.get_or_create(&RequestLabels { hydra, operation, code }).inc();
    }

    /// Says whether Hydra answered when it was last asked.
    pub fn hydra_up(&self, instance: &str, up: bool) {
        let labels = InstanceLabels { hydra: instance.to_owned() };
        self.hydra_up.get_or_create(&labels).set(up.into());
    }

    /// Counts a sweep; `complete` is whether it saw all clients.
    pub fn sweep(&self, instance: &str, complete: bool) {
        let result = if complete { SweepResult::Success } else { SweepResult::Error };
        self.sweeps.get_or_create(&SweepLabels { hydra: instance.to_owned(), result }).inc();
    }

    /// Counts a change that was made outside the operator and that it undid.
    pub fn drift_correction(&self, instance: &str) {
        let labels = InstanceLabels { hydra: instance.to_owned() };
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

    /// All metrics as text of this format.
    pub fn encode(&self, format: Format) -> Result<String, fmt::Error> {
        let mut exposition = String::new();
        text::encode(&mut exposition, &self.registry)?;
        Ok(match format {
            Format::OpenMetrics => exposition,
            Format::Classic => exposition::classic(&exposition),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> Vec<String> {
        metrics.encode(Format::OpenMetrics).unwrap().lines().map(str::to_owned).collect()
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
        let labels = "hydra=\"default\",operation=\"get_client\"";
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
        assert_has(&metrics, "hydra_operator_drift_corrections_total{hydra=\"default\"} 0");
        metrics.hydra_up("default", true);
        assert_has(&metrics, "hydra_operator_hydra_up{hydra=\"default\"} 1");
        metrics.hydra_up("default", false);
        metrics.sweep("default", true);
        metrics.sweep("default", false);
        metrics.sweep("default", false);
        metrics.drift_correction("default");
        metrics.outcome(Controller::OAuth2Client, "Reconciled");
        for line in [
            "hydra_operator_hydra_up{hydra=\"default\"} 0",
            "hydra_operator_sweeps_total{hydra=\"default\",result=\"success\"} 1",
            "hydra_operator_sweeps_total{hydra=\"default\",result=\"error\"} 2",
            "hydra_operator_drift_corrections_total{hydra=\"default\"} 1",
            "hydra_operator_outcomes_total{controller=\"oauth2client\",reason=\"Reconciled\"} 1",
        ] {
            assert_has(&metrics, line);
        }
    }

    #[test]
    fn the_exposition_is_complete() {
        let metrics = Metrics::new();
        assert_has(
            &metrics,
            concat!("hydra_operator_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        );
        assert_eq!(lines(&metrics).last().map(String::as_str), Some("# EOF"));
    }
}
