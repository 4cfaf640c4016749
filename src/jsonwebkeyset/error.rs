//! The condition reasons of a `JsonWebKeySet`, and how errors become failures with a class.

pub use crate::controller::failures::LONGEST_MESSAGE;
use crate::{
    controller::{
        Failure as GenericFailure,
        failures::{self, Reasons},
    },
    hydra::HydraError,
    kubernetes::ApiError,
};

/// Why a pass over a `JsonWebKeySet` did not reach its goal.
pub type Failure = GenericFailure<Reason>;

/// Reasons of the conditions `Ready`, `Reconciling` and `Stalled`. Part of the API: people write
/// alerts on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Hydra holds the keys, and the outputs say the same.
    Synced,
    /// The first key is being made or published.
    Progressing,
    /// The current key is not for what the spec says by now. Another one is on its way.
    ReplacingKey,
    /// A client that takes its keys from the set holds up a rotation that is overdue.
    WaitingForClient,
    /// Hydra signs with a key that is not the operator's.
    ForeignKeySigns,
    /// `spec.suspend` or the annotation `hydra.ory.sh/suspend` is set.
    Suspended,
    /// Hydra gave no usable answer. Retried.
    HydraUnreachable,
    /// Hydra answered with an error of its own or asked to wait (HTTP 5xx, 429). Retried.
    HydraError,
    /// Hydra, or a proxy before it, refused the operator (HTTP 401 or 403). Retried.
    HydraForbidden,
    /// Hydra refused the key as it was sent (HTTP 400).
    RejectedByHydra,
    /// This version of Hydra cannot make or use keys of this algorithm.
    UnsupportedAlgorithm,
    /// The algorithm or the use of a set that clients refer to was changed.
    KeySetInUse,
    /// The set holds keys that are not the operator's.
    KeySetNotOwned,
    /// Another resource has the set.
    KeySetTaken,
    /// The name of the set is not the resource's to choose.
    KeySetNameNotAllowed,
    /// The Secret with the keys that are to be imported is not there.
    WaitingForSecret,
    /// The keys that are to be imported cannot be used.
    InvalidImport,
    /// A Secret or ConfigMap of an output exists and is not the operator's to change.
    OutputNotOwned,
    /// A Secret or ConfigMap could not be stored: quota, admission policy, or missing rights. Retried.
    OutputRefused,
    /// The administrator does not let the operator use the Secrets of the namespace.
    SecretsNotAllowed,
    /// The spec contradicts itself.
    InvalidSpec,
    /// The Kubernetes API failed. Retried.
    KubernetesError,
    /// The operator has a bug.
    InternalError,
    /// The resource does not decode as a `JsonWebKeySet`.
    Undecodable,
}

impl Reason {
    /// Those that a Hydra which is there again, works again, or lets the operator in again may heal.
    pub const HYDRA_AWAY: [Self; 3] =
        [Self::HydraUnreachable, Self::HydraError, Self::HydraForbidden];

    /// The reason as it stands in conditions, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::Progressing => "Progressing",
            Self::ReplacingKey => "ReplacingKey",
            Self::WaitingForClient => "WaitingForClient",
            Self::ForeignKeySigns => "ForeignKeySigns",
            Self::Suspended => "Suspended",
            Self::HydraUnreachable => "HydraUnreachable",
            Self::HydraError => "HydraError",
            Self::HydraForbidden => "HydraForbidden",
            Self::RejectedByHydra => "RejectedByHydra",
            Self::UnsupportedAlgorithm => "UnsupportedAlgorithm",
            Self::KeySetInUse => "KeySetInUse",
            Self::KeySetNotOwned => "KeySetNotOwned",
            Self::KeySetTaken => "KeySetTaken",
            Self::KeySetNameNotAllowed => "KeySetNameNotAllowed",
            Self::WaitingForSecret => "WaitingForSecret",
            Self::InvalidImport => "InvalidImport",
            Self::OutputNotOwned => "OutputNotOwned",
            Self::OutputRefused => "OutputRefused",
            Self::SecretsNotAllowed => "SecretsNotAllowed",
            Self::InvalidSpec => "InvalidSpec",
            Self::KubernetesError => "KubernetesError",
            Self::InternalError => "InternalError",
            Self::Undecodable => "Undecodable",
        }
    }
}

impl Reasons for Reason {
    const HYDRA_UNREACHABLE: Self = Self::HydraUnreachable;
    const HYDRA_ERROR: Self = Self::HydraError;
    const HYDRA_FORBIDDEN: Self = Self::HydraForbidden;
    const REJECTED_BY_HYDRA: Self = Self::RejectedByHydra;
    const KUBERNETES_ERROR: Self = Self::KubernetesError;
    const INTERNAL_ERROR: Self = Self::InternalError;
}

/// Classifies an error of Hydra's admin API. `doing` completes "could not …".
#[must_use]
pub fn hydra(doing: &str, error: &HydraError) -> Failure {
    failures::hydra(doing, error)
}

/// Classifies an error of the Kubernetes API. `doing` completes "could not …".
#[must_use]
pub fn kubernetes(doing: &str, error: &ApiError) -> Failure {
    failures::kubernetes(doing, error)
}

/// `what`, of `namespace`, is not the operator's to use.
#[must_use]
pub fn not_allowed(what: &str, namespace: &str) -> Failure {
    let what = format!("{what}, nor any other Secret or ConfigMap of namespace {namespace}");
    failures::not_allowed(&what, Reason::SecretsNotAllowed)
}

/// Classifies a refused look at an output, or at keys to import.
#[must_use]
pub fn read(what: &str, error: &ApiError) -> Failure {
    failures::kubernetes_read(what, error, Reason::SecretsNotAllowed)
}

/// Classifies a refused write of an output.
#[must_use]
pub fn output_write(what: &str, error: &ApiError) -> Failure {
    failures::kubernetes_write(what, error, Reason::OutputRefused)
}

/// A pass ran into its limit: requests to the Kubernetes API are repeated by its client for longer than one resource may occupy
/// a place.
#[must_use]
pub fn took_too_long() -> Failure {
    let message = "the Kubernetes API or Hydra took too long to answer; what was done is found by the next pass";
    Failure::transient(Reason::KubernetesError, message)
}
