//! The condition reasons of an `OAuth2Client`, and how errors become failures with a class.

pub use crate::controller::failures::LONGEST_MESSAGE;
use crate::{
    controller::{
        Class, Failure as GenericFailure,
        failures::{self, Reasons},
    },
    hydra::HydraError,
    kubernetes::{ApiError, events::truncated},
};

/// Why a pass over an `OAuth2Client` did not reach its goal.
pub type Failure = GenericFailure<Reason>;

/// Reasons of the conditions `Ready`, `Reconciling` and `Stalled`. Part of the API: people write
/// alerts on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Hydra holds the client as declared, and the Secret holds its credentials.
    Synced,
    /// `spec.suspend` or the annotation `hydra.ory.sh/suspend` is set.
    Suspended,
    /// Hydra gave no usable answer. Retried, and at once when it is back.
    HydraUnreachable,
    /// Hydra answered with an error of its own or asked to wait (HTTP 5xx, 429). Retried.
    HydraError,
    /// Hydra, or a proxy before it, refused the operator (HTTP 401 or 403). Retried.
    HydraForbidden,
    /// The public API of Hydra gave no discovery document, of which the Secret is to have values.
    /// Retried.
    DiscoveryUnavailable,
    /// Hydra refused the client as declared (HTTP 400).
    RejectedByHydra,
    /// This version of Hydra does not keep some of the fields that are set.
    UnsupportedByHydra,
    /// A client with that id exists in Hydra and belongs to somebody else.
    ClientIdTaken,
    /// Several clients in Hydra carry the owner mark of this resource, and nothing says which one
    /// is meant.
    AmbiguousClients,
    /// `spec.clientId`, or the id in the Secret, is not the id of the client that is held.
    ClientIdChanged,
    /// The Secret exists and is not the operator's to use or to change.
    SecretNotOwned,
    /// The Secret holds an id or a secret that cannot be used.
    InvalidSecret,
    /// The Secret is somebody else's to make, and is not there yet.
    WaitingForSecret,
    /// The `JsonWebKeySet` that `spec.jwksFrom` names is not there yet, or has no key.
    WaitingForKeySet,
    /// The Secret could not be stored: quota, admission policy, or missing rights. Retried.
    SecretRefused,
    /// The administrator does not let the operator use the Secrets of the namespace.
    SecretsNotAllowed,
    /// The spec contradicts itself.
    InvalidSpec,
    /// `spec.hydraAdmin` asks for a Hydra that the administrator does not allow.
    HydraAdminNotAllowed,
    /// The Kubernetes API failed. Retried.
    KubernetesError,
    /// The operator has a bug.
    InternalError,
    /// The resource does not decode as an `OAuth2Client`.
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
            Self::Suspended => "Suspended",
            Self::HydraUnreachable => "HydraUnreachable",
            Self::HydraError => "HydraError",
            Self::HydraForbidden => "HydraForbidden",
            Self::DiscoveryUnavailable => "DiscoveryUnavailable",
            Self::RejectedByHydra => "RejectedByHydra",
            Self::UnsupportedByHydra => "UnsupportedByHydra",
            Self::ClientIdTaken => "ClientIdTaken",
            Self::AmbiguousClients => "AmbiguousClients",
            Self::ClientIdChanged => "ClientIdChanged",
            Self::SecretNotOwned => "SecretNotOwned",
            Self::InvalidSecret => "InvalidSecret",
            Self::WaitingForSecret => "WaitingForSecret",
            Self::WaitingForKeySet => "WaitingForKeySet",
            Self::SecretRefused => "SecretRefused",
            Self::SecretsNotAllowed => "SecretsNotAllowed",
            Self::InvalidSpec => "InvalidSpec",
            Self::HydraAdminNotAllowed => "HydraAdminNotAllowed",
            Self::KubernetesError => "KubernetesError",
            Self::InternalError => "InternalError",
            Self::Undecodable => "Undecodable",
        }
    }

    /// `status.reconciliationError.statusCode`: the codes that users of hydra-maester alert on,
    /// and the reason itself where it had none. `registered`: whether Hydra holds the client.
    #[must_use]
    pub const fn status_code(self, registered: bool) -> &'static str {
        match self {
            Self::SecretRefused | Self::SecretsNotAllowed => "SECRET_CREATION_FAILED",
            Self::WaitingForSecret => "SECRET_NOT_FOUND",
            // The rule that lets `clientId` be added reads it.
            Self::AmbiguousClients => "AMBIGUOUS_CLIENTS",
            Self::InvalidSecret
            | Self::SecretNotOwned
            | Self::ClientIdTaken
            | Self::ClientIdChanged => "INVALID_SECRET",
            Self::HydraAdminNotAllowed => "INVALID_HYDRA_ADDRESS",
            _ if registered => "CLIENT_UPDATE_FAILED",
            _ => "CLIENT_REGISTRATION_FAILED",
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

/// Classifies an error of Hydra's public API, which says nothing about the admin API. `idle`:
/// whether nothing is known that a pass would have to do.
#[must_use]
pub fn discovery(error: &HydraError, idle: bool) -> Failure {
    let message = format!("could not read Hydra's discovery document: {error}");
    Failure {
        class: if idle { Class::Unobserved } else { Class::Transient },
        reason: Reason::DiscoveryUnavailable,
        message: truncated(message, LONGEST_MESSAGE),
        retry_after: error.retry_after(),
    }
}

/// Classifies an error of the Kubernetes API. `doing` completes "could not …".
#[must_use]
pub fn kubernetes(doing: &str, error: &ApiError) -> Failure {
    failures::kubernetes(doing, error)
}

/// The Secrets of `namespace` are not the operator's to use.
#[must_use]
pub fn secrets_not_allowed(namespace: &str) -> Failure {
    failures::not_allowed(&format!("Secrets of namespace {namespace}"), Reason::SecretsNotAllowed)
}

/// Classifies a refused look at the Secret `name`.
#[must_use]
pub fn secret_read(name: &str, error: &ApiError) -> Failure {
    failures::kubernetes_read(&format!("Secret {name}"), error, Reason::SecretsNotAllowed)
}

/// A pass ran into its limit: requests to the Kubernetes API are repeated by its client for longer
/// than one resource may occupy a place.
/// `at_rest`: whether nothing was known that had to be done.
#[must_use]
pub fn took_too_long(at_rest: bool) -> Failure {
    let message = "the Kubernetes API or Hydra took too long to answer; what was done is found by \
                   the next pass";
    let class = if at_rest { Class::Unobserved } else { Class::Transient };
    Failure { class, ..Failure::transient(Reason::KubernetesError, message) }
}

/// Classifies a refused write of the Secret.
#[must_use]
pub fn secret_write(name: &str, error: &ApiError) -> Failure {
    failures::kubernetes_write(&format!("Secret {name}"), error, Reason::SecretRefused)
}
