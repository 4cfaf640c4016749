//! How the Secret with the credentials shall look: fields that hydra-maester does not have.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::schema::{
    DISTINCT_SECRET_KEYS, ONE_KIND_OF_VALUE, SECRET_KEY, SECRET_TYPES, WELL_KNOWN,
};

/// Names of the keys of the Secret that hold the credentials.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(DISTINCT_SECRET_KEYS)
    .message("clientId and clientSecret name the same key of the Secret: write two different names"))]
pub struct SecretKeyNames {
    /// Key of the client id. Unset: that of the operator, `CLIENT_ID` unless its administrator chose another.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_KEY))]
    pub client_id: Option<String>,
    /// Key of the client secret. Unset: that of the operator, `CLIENT_SECRET` unless its administrator chose another.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_KEY))]
    pub client_secret: Option<String>,
    /// Further keys that hold the client id too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253), regex(pattern = SECRET_KEY)))]
    pub client_id_aliases: Vec<String>,
    /// Further keys that hold the client secret too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253), regex(pattern = SECRET_KEY)))]
    pub client_secret_aliases: Vec<String>,
}

/// What a generated Secret has besides the credentials. A Secret that somebody else made is never modified, so it does not
/// apply there.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// Type of the Secret, `Opaque` when unset. The type of a Secret that exists cannot change: choose another `secretName`
    /// with it, and the credentials move.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = SECRET_TYPES))]
    pub secret_type: Option<String>,
    /// Labels. Those of Kubernetes, of tools that give Secrets a meaning of their own, and of the operator are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// Annotations. Those of Kubernetes, of tools that give Secrets a meaning of their own, and of the operator are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// Further keys, each with a fixed text or a value from Hydra's discovery document. Not a place for secrets: whoever
    /// may read the resource reads the texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub data: BTreeMap<String, SecretValue>,
}

/// The value of a further key: one of `value` and `wellKnown`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(ONE_KIND_OF_VALUE).message("write either value or wellKnown"))]
pub struct SecretValue {
    /// The text itself. Nothing in it is replaced.
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// The member of Hydra's discovery document (OpenID Connect Discovery 1.0, section 3) whose value the key gets, or
    /// `discovery_url` for the address of that document.
    #[schemars(extend("enum" = WELL_KNOWN))]
    pub well_known: Option<String>,
}
