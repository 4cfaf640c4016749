//! `status` of a `JsonWebKeySet`.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{KeyOrigin, KeyState, schema::public_key};
use crate::api::{Condition, oauth2client::JsonWebKey};

/// What the operator found and did. There is no private material in it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonWebKeySetStatus {
    /// The metadata.generation that this status is about. -1: the operator has not seen the resource yet.
    pub observed_generation: Option<i64>,

    /// Ready: Hydra holds the keys below and the outputs say the same. Reconciling: the operator is at work, or will try
    /// again by itself. Stalled: nothing will change until a person changes something; the message says what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The name of the set in Hydra.
    pub set_name: Option<String>,

    /// The `kid` of the key that is to be signed with.
    pub current_key: Option<String>,

    /// When the next key is to take the place of the current one (RFC 3339). Unset: no rotation is scheduled.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_rotation: Option<Timestamp>,

    /// How many keys the set has that are the operator's.
    pub key_count: Option<i32>,

    /// The keys of the set that are the operator's, the oldest first. One is recorded before it is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kid".into()]))]
    pub keys: Vec<KeyStatus>,

    /// The `kid`s of keys in the set that are not the operator's, at most ten of them. They are left as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<String>,

    /// The `kid`s of keys that were revoked and that a Secret may bring back: they are never imported again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked_keys: Vec<String>,

    /// What was written to Kubernetes.
    pub outputs: Option<OutputStatuses>,

    /// The value of the annotation `hydra.ory.sh/reconcile-requested-at` that was last acted on.
    pub last_handled_reconcile_at: Option<String>,

    /// The value of the annotation `hydra.ory.sh/rotate-requested-at` that was last acted on.
    pub last_handled_rotate_at: Option<String>,

    /// The value of the annotation `hydra.ory.sh/revoke-key` that was last acted on.
    pub last_handled_revoke_key: Option<String>,
}

/// A key of the set.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyStatus {
    /// Its id (RFC 7517 section 4.5).
    pub kid: String,
    /// Its algorithm (RFC 7517 section 4.4).
    pub algorithm: String,
    /// What it is for (RFC 7517 section 4.2).
    pub r#use: String,
    /// `Pending`: it is being made, or not yet seen wherever its public half is to be. `Published`: its public half is
    /// there, and it does not sign yet. `Active`: it is to be signed with. `Retained`: it signs no more, and its public
    /// half stays for those who check older signatures.
    pub state: KeyState,
    /// Since when it is in this state (RFC 3339).
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// When it is to leave this state (RFC 3339). Unset: nobody knows yet, or never.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
    /// Where it comes from: made by `Hydra`, or by the `Operator` where this version of Hydra cannot; `Imported` from a
    /// Secret; `Adopted` with a set that was there.
    pub origin: KeyOrigin,
    /// Its public half (RFC 7517 section 4). Unset: not known yet, or the key is symmetric.
    #[serde(default)]
    #[schemars(schema_with = "public_key")]
    pub public_key: Option<JsonWebKey>,
}

/// The objects that hold the keys.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatuses {
    /// The ConfigMap with the public keys.
    pub public_config_map: Option<OutputStatus>,
    /// The Secret with the private key.
    pub private_secret: Option<OutputStatus>,
    /// The Secret in which the operator keeps keys that this version of Hydra cannot make.
    pub key_material: Option<OutputStatus>,
    /// The Secret that the keys come from, as it was when they were last read.
    pub import: Option<OutputStatus>,
}

/// A version of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// Its name.
    pub name: String,
    /// Its metadata.uid.
    pub uid: String,
    /// Its metadata.resourceVersion.
    pub resource_version: String,
}
