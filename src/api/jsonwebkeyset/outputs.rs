//! `spec.outputs`: where the keys are handed out.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::schema::{DATA_KEY, DISTINCT_DATA_KEYS, OBJECT_NAME};
use crate::api::oauth2client::SecretTemplate;

/// Where the keys are handed out, in the namespace of the resource.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// A ConfigMap with the public keys, for those who check signatures. Unset: none.
    pub public_config_map: Option<PublicConfigMap>,
    /// A Secret with the private key, for those who sign. Unset: none. Not allowed for sets named `hydra.…`.
    pub private_secret: Option<PrivateSecret>,
}

/// A ConfigMap with a JSON Web Key set (RFC 7517 section 5) of all public keys: those to come, the current one and those
/// that are retained. A symmetric key has no public half and is never in it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicConfigMap {
    /// Its name. If it exists and is not this resource's, it is left alone and the resource is Stalled.
    #[serde(default)]
    #[schemars(!default, length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// The key that holds the document. Unset: `jwks.json`.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub key: Option<String>,
    /// Labels. Those of Kubernetes, of tools that give objects a meaning of their own, and of the operator are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// Annotations. Those of Kubernetes, of tools that give objects a meaning of their own, and of the operator are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
}

/// A Secret with the private key that is to be signed with. A new key comes into it only after its public half has been
/// public for `rotation.publishBefore`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrivateSecret {
    /// Its name. If it exists and is not this resource's, it is left alone and the resource is Stalled.
    #[serde(default)]
    #[schemars(!default, length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// The forms in which it holds the key: `JWKS` (RFC 7517 section 5) and `PEM` (PKCS#8, RFC 7468 section 10, which a
    /// symmetric key has not). Unset: both.
    #[schemars(length(min = 1, max = 2), extend("items" = super::schema::formats()))]
    pub formats: Option<Vec<KeyFormat>>,
    /// Whether it holds the other private keys of the set as well, after the current one: those to come and those that are
    /// retained. For those who decrypt. Unset: false.
    pub all_keys: Option<bool>,
    /// Names of its keys.
    pub keys: Option<PrivateSecretKeys>,
    /// What it has besides: labels, annotations, type and further keys.
    pub template: Option<SecretTemplate>,
}

/// Names of the keys of the Secret.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(DISTINCT_DATA_KEYS)
    .message("two of jwks, pem and kid name the same key of the Secret: write different names"))]
pub struct PrivateSecretKeys {
    /// The JSON Web Key set. Unset: `jwks.json`.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub jwks: Option<String>,
    /// The PEM file. Unset: `private.pem`.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub pem: Option<String>,
    /// The `kid` of the current key, which the header of a signature names. Unset: `kid`.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub kid: Option<String>,
}

/// The form of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum KeyFormat {
    /// A JSON Web Key set (RFC 7517 section 5).
    #[serde(rename = "JWKS")]
    Jwks,
    /// PKCS#8 (RFC 5958) in PEM (RFC 7468).
    #[serde(rename = "PEM")]
    Pem,
    /// One that this version does not know.
    #[serde(untagged)]
    Unknown(String),
}

impl JsonSchema for KeyFormat {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyFormat".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
