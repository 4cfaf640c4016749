//! `status` of an `OAuth2Client`.

#![expect(
    clippy::box_collection,
    reason = "of what few resources have, each resource of the cluster keeps a pointer instead of three"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::api::{Condition, condition::shared};

/// What the operator found and did.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2ClientStatus {
    /// The metadata.generation that this status is about. -1: the operator has not seen the resource yet.
    pub observed_generation: Option<i64>,

    /// Ready: Hydra holds the client and the Secret its credentials. Reconciling: the operator is at work, or will try again
    /// by itself. Stalled: nothing will change until a person changes something; the message says what.
    #[serde(default, deserialize_with = "shared", skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The id of the client in Hydra.
    pub client_id: Option<String>,

    /// The Hydra that holds the client. Unset: the operator's own.
    pub hydra_admin: Option<Box<HydraAdminStatus>>,

    /// The version of the Secret whose credentials Hydra was last given.
    pub secret: Option<PushedSecret>,

    /// Secrets that the operator made for this resource, whose credentials have moved to another name: they are about to be
    /// deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_secrets: Vec<String>,

    /// The `updated_at` of the client in Hydra, as the operator last read it (RFC 3339). Another one there means that somebody
    /// else has written the client, and maybe its secret, which Hydra does not show.
    pub revision: Option<String>,

    /// Ids of other clients in Hydra with the owner mark of this resource, at most ten of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duplicates: Vec<String>,

    /// Fields that the operator manages only while they are set, of those that are. One that is named here and not set any
    /// more is cleared in Hydra.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<String>,

    /// What Hydra holds of the JsonWebKeySet that `spec.jwksFrom` names. Unset: nothing, as far as the operator knows.
    pub jwks: Option<Box<LinkedKeys>>,

    /// What of the spec this Hydra does not keep. Unset: it keeps everything.
    pub unsupported: Option<Box<UnsupportedFields>>,

    /// The value of the annotation `hydra.ory.sh/reconcile-requested-at` that was last acted on.
    pub last_handled_reconcile_at: Option<Box<String>>,

    /// The last error, in the form that former consumers read. The conditions say more. Unset: there is none.
    pub reconciliation_error: Option<Box<ReconciliationError>>,
}

/// A Hydra other than the operator's own.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HydraAdminStatus {
    /// Where it is, without the paths of its API, such as `http://hydra-b:4445`.
    pub url: String,
    /// What `spec.hydraAdmin.forwardedProto` was when the client was last looked at.
    pub forwarded_proto: Option<String>,
}

/// A version of a Secret.
///
/// It is the one whose credentials Hydra was last given: while the Secret has this uid and resourceVersion, its credentials
/// need not be read again.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushedSecret {
    /// Its name.
    pub name: String,
    /// Its metadata.uid.
    pub uid: String,
    /// Its metadata.resourceVersion.
    pub resource_version: String,
    /// Whether somebody else made it. It is not replaced by a generated one when it goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub user_provided: bool,
    /// Its keys with the credentials.
    pub keys: Option<CredentialKeys>,
}

/// The keys of a Secret that hold the credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialKeys {
    /// Key of the client id.
    pub client_id: String,
    /// Key of the client secret.
    pub client_secret: String,
}

/// The keys of a JsonWebKeySet that Hydra was seen to hold for the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkedKeys {
    /// The name of the JsonWebKeySet.
    pub name: String,
    /// The `kid`s of the keys.
    #[serde(default)]
    #[schemars(!default)]
    pub keys: Vec<String>,
    /// What the keys are, and their algorithm, as a digest: another one there means that the client is to be given them anew.
    #[serde(default)]
    #[schemars(!default)]
    pub digest: String,
}

/// Members of the client that the present version of Hydra accepts and does not keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnsupportedFields {
    /// Their names in Hydra's API, such as `skip_consent`.
    pub fields: Vec<String>,
    /// The version of Hydra that this is true of. They are tried again when it changes.
    pub hydra_version: String,
}

/// An error as a code and a sentence. Both are missing where there is none.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconciliationError {
    /// One of `CLIENT_REGISTRATION_FAILED`, `CLIENT_UPDATE_FAILED`, `SECRET_CREATION_FAILED`, `SECRET_NOT_FOUND`,
    /// `INVALID_SECRET`, `INVALID_HYDRA_ADDRESS` and `AMBIGUOUS_CLIENTS`.
    pub status_code: Option<String>,
    /// What happened.
    pub description: Option<String>,
}
