//! How errors of the two APIs become failures, whatever the kind of the resource, and what follows from a failure: pure.

use std::time::Duration;

use kube::runtime::controller::Action;

use super::{
    Class, Failure,
    backoff::{self, jittered},
};
use crate::{
    hydra::{ErrorKind, HydraError},
    kubernetes::{ApiError, events::truncated},
    metrics::ReconcileResult,
};

/// Longest condition message, in bytes: explanations are sentences, not documents.
pub const LONGEST_MESSAGE: usize = 1024;

/// After a conflict the state is read anew at once; a moment lets the other writer finish.
const CONFLICT_DELAY: Duration = Duration::from_millis(200);
/// Conflicts in a row that are nobody's business.
const QUIET_CONFLICTS: u32 = 3;

/// The reasons that every kind has for errors of the two APIs.
pub trait Reasons: Sized {
    /// Hydra gave no usable answer.
    const HYDRA_UNREACHABLE: Self;
    /// Hydra answered with an error of its own or asked to wait (HTTP 5xx, 429).
    const HYDRA_ERROR: Self;
    /// Hydra, or a proxy before it, refused the operator (HTTP 401 or 403).
    const HYDRA_FORBIDDEN: Self;
    /// Hydra refused what is declared (HTTP 400).
    const REJECTED_BY_HYDRA: Self;
    /// The Kubernetes API failed.
    const KUBERNETES_ERROR: Self;
    /// The operator has a bug.
    const INTERNAL_ERROR: Self;
}

/// Classifies an error of Hydra's admin API. `doing` completes "could not …".
#[must_use]
pub fn hydra<R: Reasons>(doing: &str, error: &HydraError) -> Failure<R> {
    let (class, reason) = match error.kind() {
        ErrorKind::Absent | ErrorKind::Conflict => (Class::Conflict, R::HYDRA_ERROR),
        ErrorKind::Invalid => (Class::Terminal, R::REJECTED_BY_HYDRA),
        ErrorKind::Transient => (Class::Transient, R::HYDRA_ERROR),
        ErrorKind::Unreachable => (Class::Transient, R::HYDRA_UNREACHABLE),
        ErrorKind::Forbidden => (Class::Transient, R::HYDRA_FORBIDDEN),
    };
    let message = truncated(format!("could not {doing}: {error}"), LONGEST_MESSAGE);
    Failure { class, reason, message, retry_after: error.retry_after() }
}

/// Classifies an error of the Kubernetes API. `doing` completes "could not …".
#[must_use]
pub fn kubernetes<R: Reasons>(doing: &str, error: &ApiError) -> Failure<R> {
    let message = truncated(format!("could not {doing}: {error}"), LONGEST_MESSAGE);
    if error.is_conflict() || error.is_absent() {
        Failure::conflict(R::KUBERNETES_ERROR, message)
    } else {
        Failure::transient(R::KUBERNETES_ERROR, message)
    }
}

/// A pass panicked. What it was at, the log says; its words could quote a secret.
#[must_use]
pub fn panicked<R: Reasons>() -> Failure<R> {
    let message = "a bug of the operator ended the pass; its log says where; it is tried again when the resource changes, and \
                   once per resync interval";
    Failure::terminal(R::INTERNAL_ERROR, message)
}

/// [`kubernetes`] for a refused write of what the operator hands out: quotas and policies, which get the reason `refused`, are
/// told apart from an API that fails, because a person looks for them in another place.
#[must_use]
pub fn kubernetes_write<R: Reasons>(what: &str, error: &ApiError, refused: R) -> Failure<R> {
    let failure = kubernetes(&format!("store {what}"), error);
    if error.is_forbidden() || matches!(error.code, Some(400 | 422)) {
        Failure { reason: refused, ..failure }
    } else {
        failure
    }
}

/// [`kubernetes`] for a look that was refused: the administrator has given no right to it, which is the reason `refused`.
#[must_use]
pub fn kubernetes_read<R: Reasons>(what: &str, error: &ApiError, refused: R) -> Failure<R> {
    let failure = kubernetes(&format!("read {what}"), error);
    if error.is_forbidden() { Failure { reason: refused, ..failure } } else { failure }
}

/// `what` is not the operator's to use, by its own settings: nothing was asked for.
#[must_use]
pub fn not_allowed<R>(what: &str, reason: R) -> Failure<R> {
    let message = format!(
        "the operator may not use {what}; ask its administrator to add the namespace to --secret-namespaces \
         (SECRET_NAMESPACES, or rbac.secretNamespaces of the Helm chart), or move the resource"
    );
    Failure::terminal(reason, message)
}

/// Other writers are part of normal work: a conflict shows only when it does not go away. `failures`: in a row.
#[must_use]
pub fn patiently<R>(failure: Failure<R>, failures: u32) -> Failure<R> {
    if failure.class == Class::Conflict && failures > QUIET_CONFLICTS {
        return Failure { class: Class::Transient, ..failure };
    }
    failure
}

/// When to look again after `failure`, the last of so many `failures` in a row. `chance`, from 0 to 1, spreads those that wait
/// for the same moment.
#[must_use]
pub fn next<R>(
    failure: &Failure<R>,
    failures: u32,
    resync: Duration,
    chance: f64,
) -> (Action, ReconcileResult) {
    match failure.class {
        Class::Terminal | Class::Waiting => {
            (Action::requeue(jittered(resync, chance)), ReconcileResult::Error)
        }
        Class::Conflict => (Action::requeue(CONFLICT_DELAY), ReconcileResult::RequeueAfter),
        Class::Transient | Class::Unobserved => {
            let backoff = backoff::delay(failures.max(1), chance);
            let asked = failure.retry_after.map(|asked| jittered(asked, chance));
            let delay = backoff.max(asked.unwrap_or_default());
            (Action::requeue(delay), ReconcileResult::Error)
        }
    }
}
