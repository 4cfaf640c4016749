//! Tells the outcome of a pass: status, events, metrics, log, and when to look again.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::{
    Resource, ResourceExt, core::error_boundary::InvalidObject, runtime::controller::Action,
};

use super::{
    CONTROLLER, Context,
    apply::Applied,
    error::{self, Failure, Reason},
    notices::notices,
    observe_only,
    rotation::{Key, Rules},
    status::{Outcome, standing, status},
};
use crate::{
    api::{JsonWebKeySet, JsonWebKeySetSpec},
    controller::{
        Class, Reported, ResourceKey,
        backoff::{self, chance, jittered},
        failures, resync,
    },
    kubernetes::{self, ApiError, status::Guard},
    metrics::ReconcileResult,
};

/// How often it is looked whether Hydra publishes a key that it has.
const PUBLICATION_DELAY: Duration = Duration::from_secs(5);

/// Nothing to tell, and nothing to do before something changes.
pub fn unchanged() -> Reported {
    (Action::await_change(), ReconcileResult::Success)
}

/// There was nothing to do for a pass over `resource`, so that it has made no request; `due` says when the clock changes something.
/// None: it is time for a look at Hydra.
pub fn at_rest(
    resource: &JsonWebKeySet,
    key: &ResourceKey,
    due: Option<Timestamp>,
    context: &Context,
) -> Option<Reported> {
    let (interval, now) = (interval(&resource.spec, context), Instant::now());
    let last = context.looks.last(key).unwrap_or_else(|| {
        // The first looks after a start are spread over an interval.
        let last = now.checked_sub(interval.mul_f64(chance())).unwrap_or(now);
        context.looks.looked(key.clone(), last);
        last
    });
    let left = interval.saturating_sub(now.saturating_duration_since(last));
    if left.is_zero() {
        return None;
    }
    context.metrics.outcome(CONTROLLER, Reason::Synced.as_str());
    let due = due.map_or(Duration::MAX, until);
    Some((Action::requeue(left.min(due)), ReconcileResult::Success))
}

fn until(time: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default()
}

fn interval(spec: &JsonWebKeySetSpec, context: &Context) -> Duration {
    resync::own_interval(spec.resync_interval.as_deref()).unwrap_or(context.resync_interval)
}

/// Tells how the pass over `resource` ended.
pub async fn report(resource: &JsonWebKeySet, outcome: Outcome, context: &Context) -> Reported {
    let key = (resource.namespace().unwrap_or_default(), resource.name_any());
    let mut failures = match &outcome {
        // What others have to heal is no failure to try, and leaves no backoff behind.
        Outcome::Failed(Failure { class: Class::Terminal | Class::Waiting, .. })
        | Outcome::Recorded { .. }
        | Outcome::Revoked { .. }
        | Outcome::Applied { .. }
        | Outcome::Suspended => 0,
        Outcome::Failed(_) => context.backoff.failed(key.clone()),
    };
    let mut outcome = patiently(outcome, failures);
    count(&outcome, context);
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
                failures = context.backoff.failed(key.clone());
            }
            outcome = patiently(Outcome::Failed(failure), failures);
        }
        Ok(()) if failures == 0 => context.backoff.reset(&key),
        Ok(()) => {}
    }
    if matches!(outcome, Outcome::Applied { .. }) {
        context.looks.looked(key, Instant::now());
    }
    next(&outcome, failures, interval(&resource.spec, context))
}

/// The end of the pass could not be told, because the Kubernetes API does not answer, or not in time.
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
    resource: &JsonWebKeySet,
    error: &kube::Error,
    context: &Context,
) -> Reported {
    let error = ApiError::from(error);
    let invalid_patch = matches!(error.code, Some(400 | 422));
    if error.is_absent() {
        let key = (resource.namespace().unwrap_or_default(), resource.name_any());
        forget(&key, context);
        return unchanged();
    }
    let failure = error::kubernetes("write the finalizer", &error);
    // Another writer was quicker and the list of finalizers is not what the patch expects.
    let class = if invalid_patch { Class::Conflict } else { failure.class };
    report(resource, Outcome::Failed(Failure { class, ..failure }), context).await
}

/// Tells that an object is no `JsonWebKeySet`. It is left as it is: nothing it says can be trusted.
pub async fn undecodable(
    invalid: &InvalidObject,
    key: &ResourceKey,
    context: &Context,
) -> Reported {
    let message = format!("the resource does not decode: {}", invalid.error);
    let failure = Failure::terminal(Reason::Undecodable, message);
    let mut resource = JsonWebKeySet::new(&key.1, JsonWebKeySetSpec::default());
    resource.metadata = invalid.metadata.clone();
    if let Some(observer) = &context.observer {
        return observe_only::report(observer, key, Err(failure), context);
    }
    count(&Outcome::Failed(failure.clone()), context);
    match show(&resource, &Outcome::Failed(failure), context).await {
        Ok(()) => (Action::await_change(), ReconcileResult::Error),
        Err(error) if error.is_absent() => unchanged(),
        Err(_) => given_up(key.clone(), context),
    }
}

/// The resource is gone.
pub fn forget(key: &ResourceKey, context: &Context) {
    use super::context::Role::{Import, Material, Output};
    context.backoff.reset(key);
    let none = [Import, Material, Output].map(|role| (role, None));
    context.secret_references.refer_to(key, none.clone());
    context.config_map_references.refer_to(key, none);
    context.statuses.forget(key);
    context.looks.forget(key);
}

/// A conflict shows only when it does not go away.
fn patiently(outcome: Outcome, failures: u32) -> Outcome {
    match outcome {
        Outcome::Failed(failure) => Outcome::Failed(failures::patiently(failure, failures)),
        other => other,
    }
}

/// When to look again.
fn next(outcome: &Outcome, failures: u32, resync: Duration) -> Reported {
    let failure = match outcome {
        // What is recorded can be made, what is revoked be replaced.
        Outcome::Recorded { .. } | Outcome::Revoked { .. } => {
            return (Action::requeue(Duration::ZERO), ReconcileResult::RequeueAfter);
        }
        Outcome::Applied { desired, applied } => return after(applied, &desired.rules, resync),
        Outcome::Suspended => return unchanged(),
        Outcome::Failed(failure) => failure,
    };
    failures::next(failure, failures, resync, chance())
}

fn after(applied: &Applied, rules: &Rules, resync: Duration) -> Reported {
    // What only time keeps back has its own moment.
    let now = Timestamp::now();
    let is_late = |key: &Key| rules.until(key, false).is_none_or(|until| until <= now);
    let coming = applied.keys.iter().any(|key| key.is_coming() && is_late(key));
    let delay = if applied.wrote() {
        // What was written has to be seen.
        Duration::ZERO
    } else if !applied.restored.is_empty() || (coming && applied.waiting.clients.is_empty()) {
        PUBLICATION_DELAY
    } else {
        jittered(resync, chance())
    };
    let due = applied.due.map_or(Duration::MAX, until);
    (Action::requeue(delay.min(due)), ReconcileResult::Success)
}

fn count(outcome: &Outcome, context: &Context) {
    let reason = match outcome {
        Outcome::Recorded { .. } | Outcome::Revoked { .. } => Reason::Progressing,
        Outcome::Applied { desired, applied } => {
            for _ in &applied.restored {
                context.metrics.drift_correction(context.instance.name());
            }
            standing(desired, applied, Timestamp::now()).reason()
        }
        Outcome::Suspended => Reason::Suspended,
        Outcome::Failed(failure) => {
            // What it changes is told as an event; without a change it is the same as in the last pass.
            tracing::debug!(reason = failure.reason.as_str(), "{failure}");
            failure.reason
        }
    };
    context.metrics.outcome(CONTROLLER, reason.as_str());
}

/// Writes the status, where it differs, and the events that go with the change. It has to follow from the status that was read:
/// what is recorded of keys must not be overwritten by what was decided without knowing it.
async fn show(
    resource: &JsonWebKeySet,
    outcome: &Outcome,
    context: &Context,
) -> Result<(), ApiError> {
    let new = status(resource, outcome, Timestamp::now());
    let notices = notices(resource, outcome, &new);
    let old = resource.status.clone().unwrap_or_default();
    if new != old {
        let namespace = resource.namespace().unwrap_or_default();
        let api = context.metadata(&namespace);
        let (name, uid) = (resource.name_any(), resource.uid());
        let resource_version = resource.metadata.resource_version.as_deref();
        let guard = Guard { uid: uid.as_deref(), resource_version };
        let version = kubernetes::status::patch(&api, &name, guard, &old, &new).await?;
        context.statuses.wrote((namespace, name), uid, version.as_deref(), new, Instant::now());
    }
    context.events.publish(&resource.object_ref(&()), notices);
    Ok(())
}
