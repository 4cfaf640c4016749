//! The labels of the metrics: each value is one of the program, the name of a Hydra or an HTTP status, but for the names of resources, which have to be asked for.
//!
//! The label of a Hydra is not `instance`: Prometheus gives that name to what it scrapes.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// A controller, named as controller-runtime does: the kind in lower case.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Controller {
    /// The one of `OAuth2Client`.
    OAuth2Client,
    /// The one of `JsonWebKeySet`.
    JsonWebKeySet,
}

impl Controller {
    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2Client => "oauth2client",
            Self::JsonWebKeySet => "jsonwebkeyset",
        }
    }
}

/// How a reconcile ended, in the words of controller-runtime.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReconcileResult {
    /// Done, nothing is to follow until something changes.
    Success,
    /// Failed, and tried again after a backoff.
    Error,
    /// Not failed, to be looked at again at a given time.
    RequeueAfter,
}

impl ReconcileResult {
    pub(super) const ALL: [Self; 3] = [Self::Success, Self::Error, Self::RequeueAfter];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::RequeueAfter => "requeue_after",
        }
    }
}

/// What came back for a request to Hydra.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ResponseCode {
    /// An HTTP status.
    Status(u16),
    /// Nothing: not connected, cut or timed out. The label is `<error>`, as in client-go's `rest_client_requests_total`.
    NoResponse,
}

/// How a sweep over all clients of a Hydra ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum SweepResult {
    Success,
    Error,
}

impl SweepResult {
    pub(super) const ALL: [Self; 2] = [Self::Success, Self::Error];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

/// Writes an enum by its `as_str`.
macro_rules! label_value {
    ($($label:ty),+) => {$(
        impl EncodeLabelValue for $label {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                self.as_str().encode(encoder)
            }
        }
    )+};
}

label_value!(Controller, ReconcileResult, SweepResult);

impl EncodeLabelValue for ResponseCode {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => code.encode(encoder),
            Self::NoResponse => "<error>".encode(encoder),
        }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ControllerLabels {
    pub(super) controller: Controller,
}

/// A queue of controller-runtime has the name of its controller.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct QueueLabels {
    name: Controller,
    controller: Controller,
}

impl QueueLabels {
    pub(super) const fn of(controller: Controller) -> Self {
        Self { name: controller, controller }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ReconcileLabels {
    pub(super) controller: Controller,
    pub(super) result: ReconcileResult,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct OutcomeLabels {
    pub(super) controller: Controller,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ActionLabels {
    pub(super) controller: Controller,
    pub(super) action: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct InstanceLabels {
    pub(super) hydra: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct LeaseLabels {
    pub(super) name: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct OperationLabels {
    pub(super) hydra: String,
    pub(super) operation: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RequestLabels {
    pub(super) hydra: String,
    pub(super) operation: &'static str,
    pub(super) code: ResponseCode,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct SweepLabels {
    pub(super) hydra: String,
    pub(super) result: SweepResult,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct KubernetesLabels {
    pub(super) code: ResponseCode,
    pub(super) method: String,
    pub(super) host: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct KindLabels {
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct ResourceLabels {
    pub(super) kind: &'static str,
    pub(super) ready: &'static str,
    pub(super) reason: &'static str,
}

impl ResourceLabels {
    /// Those of resources of which nothing has been told yet.
    pub(super) const fn untold(kind: &'static str) -> Self {
        Self { kind, ready: "Unknown", reason: "" }
    }
}

#[derive(Clone, Debug, EncodeLabelSet)]
pub(super) struct ConditionLabels {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) r#type: &'static str,
    pub(super) status: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
pub(super) struct RotationLabels {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) rotation: &'static str,
}
