//! The passes in progress: counted, timed, and known by their age.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, metrics::MetricType, registry::Unit,
};
use tokio::time::Instant;

use super::{
    Controller, Metrics, ReconcileResult,
    labels::{ControllerLabels, QueueLabels, ReconcileLabels},
};

/// When each pass in progress began. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct InProgress {
    passes: Arc<Mutex<Passes>>,
}

#[derive(Debug, Default)]
struct Passes {
    last: u64,
    began: BTreeMap<u64, (Controller, Instant)>,
    /// The controllers there are, each of which has series from the start.
    controllers: Vec<Controller>,
}

impl InProgress {
    pub(super) fn announce(&self, controller: Controller) {
        let mut passes = self.lock();
        if !passes.controllers.contains(&controller) {
            passes.controllers.push(controller);
        }
    }

    fn begin(&self, controller: Controller, now: Instant) -> u64 {
        let mut passes = self.lock();
        passes.last += 1;
        let id = passes.last;
        passes.began.insert(id, (controller, now));
        id
    }

    fn end(&self, id: u64) {
        self.lock().began.remove(&id);
    }

    /// The age of the oldest pass.
    pub(super) fn longest(&self) -> Option<(Controller, Duration)> {
        let passes = self.lock();
        let oldest = passes.began.values().min_by_key(|(_, began)| *began)?;
        Some((oldest.0, oldest.1.elapsed()))
    }

    /// For each controller the sum of the ages of its passes, and the largest.
    fn ages(&self) -> Vec<(Controller, f64, f64)> {
        let passes = self.lock();
        let now = Instant::now();
        let of = |controller| {
            let of_it = passes.began.values().filter(|(of, _)| *of == controller);
            let ages = of_it.map(|(_, began)| now.duration_since(*began).as_secs_f64());
            ages.fold((controller, 0.0, 0.0), |(of, sum, max), age| (of, sum + age, age.max(max)))
        };
        passes.controllers.iter().copied().map(of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Passes> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for InProgress {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ages = self.ages();
        let mut gauge = |name, help, value: fn(&(Controller, f64, f64)) -> f64| {
            let seconds = Some(&Unit::Seconds);
            let mut family = encoder.encode_descriptor(name, help, seconds, MetricType::Gauge)?;
            ages.iter().try_for_each(|of| {
                family.encode_family(&QueueLabels::of(of.0))?.encode_gauge(&value(of))
            })
        };
        gauge("unfinished_work", "Age of all passes in progress together.", |of| of.1)?;
        gauge("longest_running_processor", "Age of the oldest pass in progress.", |of| of.2)
    }
}

/// A reconcile in progress. Dropped without [`finish`](Self::finish) (at shutdown), it leaves no trace.
#[derive(Debug)]
#[must_use = "the reconcile is in progress until this is finished"]
pub struct ReconcileInProgress {
    metrics: Metrics,
    controller: Controller,
    id: u64,
    started: Instant,
}

impl ReconcileInProgress {
    pub(super) fn start(metrics: &Metrics, controller: Controller) -> Self {
        metrics.active_workers.get_or_create(&ControllerLabels { controller }).inc();
        let started = Instant::now();
        let id = metrics.in_progress.begin(controller, started);
        Self { metrics: metrics.clone(), controller, id, started }
    }

    /// Counts the reconcile and its duration.
    pub fn finish(self, result: ReconcileResult) {
        let Self { metrics, controller, started, .. } = &self;
        let (labels, queue) =
            (ControllerLabels { controller: *controller }, QueueLabels::of(*controller));
        let seconds = started.elapsed().as_secs_f64();
        metrics.reconcile_time.get_or_create(&labels).observe(seconds);
        metrics.work_duration.get_or_create(&queue).observe(seconds);
        metrics
            .reconciles
            .get_or_create(&ReconcileLabels { controller: *controller, result })
            .inc();
        if result == ReconcileResult::Error {
            metrics.reconcile_errors.get_or_create(&labels).inc();
            metrics.retries.get_or_create(&queue).inc();
        }
    }
}

impl Drop for ReconcileInProgress {
    fn drop(&mut self) {
        self.metrics.in_progress.end(self.id);
        let labels = ControllerLabels { controller: self.controller };
        self.metrics.active_workers.get_or_create(&labels).dec();
    }
}
