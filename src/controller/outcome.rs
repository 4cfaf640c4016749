//! The classes of failure. The class alone decides whether and when a pass is repeated and which
//! condition the resource shows.

use std::{fmt, time::Duration};

use kube::runtime::controller::Action;

use crate::metrics::ReconcileResult;

/// What kube-runtime shall do next, and the result for the metrics.
pub type Reported = (Action, ReconcileResult);

/// What a failure means for the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Time may heal it: repeated with exponential backoff, shown as `Reconciling`.
    Transient,
    /// The state moved under the pass: looked at again at once, and not shown unless it persists.
    Conflict,
    /// The state could not be looked at, and nothing is known to be wrong with it: the status stays
    /// as it is, and the pass is repeated like after a transient failure.
    Unobserved,
    /// Something that others bring about is not there yet, and tells when it is: shown as
    /// `Reconciling`, looked at again then and once per resync interval.
    Waiting,
    /// Only a change by a person heals it: shown as `Stalled`, looked at again when something
    /// changes and once per resync interval.
    Terminal,
}

/// Why a pass did not reach its goal. Becomes the condition, the event and the metric label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<R> {
    /// Decides what happens next.
    pub class: Class,
    /// The condition reason.
    pub reason: R,
    /// One or two sentences for the person who looks at the resource; never a secret value.
    pub message: String,
    /// The shortest time to wait that the other side asked for (`Retry-After`, RFC 9110 10.2.3).
    pub retry_after: Option<Duration>,
}

impl<R> Failure<R> {
    /// A failure that only a person can heal.
    pub fn terminal(reason: R, message: impl Into<String>) -> Self {
        Self { class: Class::Terminal, reason, message: message.into(), retry_after: None }
    }

    /// A failure that time may heal.
    pub fn transient(reason: R, message: impl Into<String>) -> Self {
        Self { class: Class::Transient, reason, message: message.into(), retry_after: None }
    }

    /// Others have to bring something about first.
    pub fn waiting(reason: R, message: impl Into<String>) -> Self {
        Self { class: Class::Waiting, reason, message: message.into(), retry_after: None }
    }

    /// The state moved while the pass was under way.
    pub fn conflict(reason: R, message: impl Into<String>) -> Self {
        Self { class: Class::Conflict, reason, message: message.into(), retry_after: None }
    }
}

impl<R> fmt::Display for Failure<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<R: fmt::Debug> std::error::Error for Failure<R> {}
