//! The custom resources of group `hydra.ory.sh`, and their definitions.
//!
//! The definitions are generated from the types. Doc comments of fields are the text of `kubectl explain`, so they speak to
//! those who write manifests.

pub mod condition;
mod crd;
pub mod jsonwebkeyset;
pub mod oauth2client;

pub use self::{
    condition::{Condition, ConditionStatus, ConditionType},
    crd::{crd_yaml, crds},
    jsonwebkeyset::{JsonWebKeySet, JsonWebKeySetSpec, JsonWebKeySetStatus},
    oauth2client::{OAuth2Client, OAuth2ClientSpec, OAuth2ClientStatus},
};

/// The API group of all kinds.
pub const GROUP: &str = "hydra.ory.sh";
/// The version of all kinds, served and stored.
pub const VERSION: &str = "v1alpha1";
/// The finalizer that holds a resource until its counterpart in Hydra is dealt with.
pub const FINALIZER: &str = "finalizer.ory.hydra.sh";
/// Annotation that suspends a resource, like `spec.suspend`: see [`OAuth2Client::is_suspended`].
pub const SUSPEND_ANNOTATION: &str = "hydra.ory.sh/suspend";
/// Annotation that lets a resource which is being deleted go without Hydra: see [`OAuth2Client::is_released`].
pub const RELEASE_ANNOTATION: &str = "hydra.ory.sh/release";
/// Annotation whose new value asks for a reconcile now; it is echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_ANNOTATION: &str = "hydra.ory.sh/reconcile-requested-at";
/// Annotation whose new value asks for a new key of a [`JsonWebKeySet`] now; it is echoed in `status.lastHandledRotateAt`.
pub const ROTATE_REQUESTED_ANNOTATION: &str = "hydra.ory.sh/rotate-requested-at";
/// Annotation that names the `kid` of a compromised key of a [`JsonWebKeySet`], which is removed at once; it is echoed in
/// `status.lastHandledRevokeKey`.
pub const REVOKE_KEY_ANNOTATION: &str = "hydra.ory.sh/revoke-key";
/// Annotation by which a user agrees that the resource gives up its client for the one that the Secret names: its value is
/// the new client id.
pub const CHANGE_CLIENT_ID_ANNOTATION: &str = "hydra.ory.sh/change-client-id-to";
/// Label, with the value `true`, by which whoever may write a Secret lets resources name the keys of it that are credentials.
pub const CREDENTIALS_LABEL: &str = "hydra.ory.sh/credentials";
/// Label on every object that the operator makes.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "hydra-operator";
