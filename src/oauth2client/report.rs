//! Tells the outcome of a pass: status, events, metrics, log, and when to look again.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::{Resource, ResourceExt, runtime::controller::Action};

use super::{
    CONTROLLER, Context,
    claims::LOST,
    error::{self, Failure, Reason},
    notices::{corrects_drift, notices},
    observe_only,
    record::Record,
    relocation::recorded,
    status::{Outcome, status},
    survey::key_of,
};
use crate::{
    api::OAuth2Client,
    controller::{
        Class, Reported, ResourceKey,
        backoff::{self, chance},
        failures, resync,
    },
    kubernetes::{self, ApiError, status::Guard},
    metrics::ReconcileResult,
};

/// Nothing to tell, and nothing to do before something changes.
pub fn unchanged() -> Reported {
    (Action::await_change(), ReconcileResult::Success)
}

/// There was nothing to do for a pass over `resource`, so that it has made no request.
pub fn at_rest(resource: &OAuth2Client, now: Instant, context: &Context) -> Reported {
    context.metrics.outcome(CONTROLLER, settled_reason(&Record::of(resource)).as_str());
    let left = look_due_in(resource, now, context);
    (left.map_or_else(Action::await_change, Action::requeue), ReconcileResult::Success)
}

/// The time until `resource` is to be looked at by itself, where it asks for that.
pub fn look_due_in(resource: &OAuth2Client, now: Instant, context: &Context) -> Option<Duration> {
    let (own, key) = (
        resync::own_interval(resource.spec.resync_interval.as_deref().map(String::as_str)),
        key_of(resource),
    );
    let last = context.looks.last(&key);
    let left = resync::time_left(own, context.resync_interval, last, now);
    if left.is_some() && last.is_none() {
        // The sweep after the start of the process is a look at everything.
        context.looks.looked(key, now);
    }
    left
}

fn settled_reason(record: &Record) -> Reason {
    if record.unsupported.is_some() { Reason::UnsupportedByHydra } else { Reason::Synced }
}

/// Tells how the pass over `resource` ended.
pub async fn report(resource: &OAuth2Client, outcome: Outcome, context: &Context) -> Reported {
    let key = key_of(resource);
    let mut failures = match &outcome {
        // What others have to heal is no failure to try, and leaves no backoff behind.
        Outcome::Failed(Failure { class: Class::Terminal | Class::Waiting, .. })
        | Outcome::Applied { .. }
        | Outcome::Suspended => 0,
        Outcome::Failed(_) => context.backoff.failed(key.clone()),
    };
    if matches!(&outcome, Outcome::Failed(failure) if LOST.contains(&failure.reason)) {
        context.conflicts.refused(&key);
    }
    let mut outcome = patiently(outcome, failures);
    count(resource, &outcome, context);
    match show(resource, &outcome, context).await {
        Err(error) if error.is_absent() => {
            forget(&key, context);
            return unchanged();
        }
        // What was done and is not recorded will be done again: that must not be often.
        Err(error) => {
            let failure = error::kubernetes("write the status", &error);
            tracing::warn!(error = %failure, "Could not tell how a pass ended");
            if failures == 0 {
                failures = context.backoff.failed(key);
            }
            outcome = patiently(Outcome::Failed(failure), failures);
        }
        Ok(()) if failures == 0 => context.backoff.reset(&key),
        Ok(()) => {}
    }
    let (mut action, result) = next(&outcome, failures, context.resync_interval, chance());
    if matches!(outcome, Outcome::Applied { .. }) {
        let now = Instant::now();
        if resync::own_interval(resource.spec.resync_interval.as_deref().map(String::as_str))
            .is_some()
        {
            context.looks.looked(key_of(resource), now);
        }
        action = look_due_in(resource, now, context).map_or(action, Action::requeue);
    }
    (action, result)
}

/// The end of the pass could not be told, because the Kubernetes API does not answer, or not in
/// time.
pub fn given_up(key: ResourceKey, context: &Context) -> Reported {
    tracing::warn!("Could not tell how a pass ended: the Kubernetes API does not answer");
    again(key, context)
}

/// The pass is to be made again, after a time that grows with each failure.
pub fn again(key: ResourceKey, context: &Context) -> Reported {
    let failures = context.backoff.failed(key);
    (Action::requeue(backoff::delay(failures, chance())), ReconcileResult::Error)
}

/// Tells that the finalizer could not be added or removed. Without it no pass was made.
pub async fn finalizer_refused(
    resource: &OAuth2Client,
    error: &kube::Error,
    context: &Context,
) -> Reported {
    let error = ApiError::from(error);
    let invalid_patch = matches!(error.code, Some(400 | 422));
    if error.is_absent() {
        forget(&key_of(resource), context);
        return unchanged();
    }
    let failure = error::kubernetes("write the finalizer", &error);
    // Another writer was quicker and the list of finalizers is not what the patch expects.
    let class = if invalid_patch { Class::Conflict } else { failure.class };
    report(resource, Outcome::Failed(Failure { class, ..failure }), context).await
}

/// Tells that an object is no `OAuth2Client`, for this `error`; `resource` is what can be read of
/// it. It is left as it is: nothing it says can be trusted.
pub async fn undecodable(resource: &OAuth2Client, error: &str, context: &Context) -> Reported {
    let message = format!("the resource does not decode: {error}");
    let failure = Failure::terminal(Reason::Undecodable, message);
    if let Some(observer) = &context.observer {
        return observe_only::report(observer, &key_of(resource), Err(failure), context);
    }
    let outcome = Outcome::Failed(failure);
    count(resource, &outcome, context);
    match show(resource, &outcome, context).await {
        Ok(()) => (Action::await_change(), ReconcileResult::Error),
        Err(error) if error.is_absent() => unchanged(),
        Err(_) => given_up(key_of(resource), context),
    }
}

/// The resource is gone.
pub fn forget(key: &ResourceKey, context: &Context) {
    context.backoff.reset(key);
    context.referrers.forget(key);
    let _ = context.key_sets.forget(key);
    context.statuses.forget(key);
    context.sent.forget(key);
    context.looks.forget(key);
}

/// A conflict shows only when it does not go away.
fn patiently(outcome: Outcome, failures: u32) -> Outcome {
    match outcome {
        Outcome::Failed(failure) => Outcome::Failed(failures::patiently(failure, failures)),
        other => other,
    }
}

/// When to look again. Success has no timer: the sweep finds what changes in Hydra.
fn next(outcome: &Outcome, failures: u32, resync: Duration, chance: f64) -> Reported {
    let failure = match outcome {
        // Once the status is written, the former Secret can go.
        Outcome::Applied { applied, .. } if !applied.former_secrets.is_empty() => {
            return (Action::requeue(Duration::ZERO), ReconcileResult::RequeueAfter);
        }
        Outcome::Applied { .. } | Outcome::Suspended => return unchanged(),
        Outcome::Failed(failure) => failure,
    };
    failures::next(failure, failures, resync, chance)
}

fn count(resource: &OAuth2Client, outcome: &Outcome, context: &Context) {
    let reason = match outcome {
        Outcome::Applied { applied, .. } => {
            if corrects_drift(resource, applied) {
                context.metrics.drift_correction(context.instance_of(resource).name());
            }
            if applied.unsupported.is_empty() { Reason::Synced } else { Reason::UnsupportedByHydra }
        }
        Outcome::Suspended => Reason::Suspended,
        Outcome::Failed(failure) => {
            // What it changes is told as an event; without a change it is the same as in the last pass.
            tracing::debug!(reason = failure.reason.as_str(), "{failure}");
            let unwell = matches!(failure.class, Class::Transient | Class::Unobserved);
            if unwell && Reason::HYDRA_AWAY.contains(&failure.reason) {
                context.instance_of(resource).report_trouble();
            }
            failure.reason
        }
    };
    context.metrics.outcome(CONTROLLER, reason.as_str());
}

/// Writes the status, where it differs, and the events that go with the change.
async fn show(
    resource: &OAuth2Client,
    outcome: &Outcome,
    context: &Context,
) -> Result<(), ApiError> {
    let mut new = status(resource, outcome, Timestamp::now());
    if matches!(outcome, Outcome::Applied { .. }) {
        new.hydra_admin = recorded(&resource.spec, &context.rules).map(Box::new);
    }
    let notices = notices(resource, outcome, &new);
    let old = resource.status.clone().unwrap_or_default();
    if new != old {
        let namespace = resource.namespace().unwrap_or_default();
        let api = context.metadata(&namespace);
        let (name, uid) = (resource.name_any(), resource.uid());
        let guard = Guard { uid: uid.as_deref(), resource_version: None };
        let version = kubernetes::status::patch(&api, &name, guard, &old, &new).await?;
        context.statuses.wrote((namespace, name), uid, version.as_deref(), new, Instant::now());
    }
    context.events.publish(&resource.object_ref(&()), notices);
    Ok(())
}
