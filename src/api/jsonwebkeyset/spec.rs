//! `spec` of a `JsonWebKeySet`, and with it the resource itself.

#![allow(
    dead_code,
    reason = "KubeSchema derives Serialize for copies of the type, which `remote` makes functions that nobody calls"
)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_with::skip_serializing_none;

use super::{
    Algorithm, JsonWebKeySetStatus, KeyUse, Outputs,
    schema::{
        AT_MOST_TEN_YEARS, DATA_KEY, DURATION, FOR_SIGNATURES, KEPT_IN_HYDRA, NO_PUBLIC_HALF,
        NOT_DOTS, NOT_TOO_MANY, OBJECT_NAME, ONE_SOURCE, PUBLISHED_IN_TIME, SET_NAME,
        SET_NAME_KEPT,
    },
};
use crate::api::oauth2client::DeletionPolicy;

const TOO_LONG: &str = "write at most 87600h, which are ten years";

/// What the set is to be.
#[skip_serializing_none]
#[derive(
    CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize,
)]
#[kube(
    group = "hydra.ory.sh",
    version = "v1alpha1",
    kind = "JsonWebKeySet",
    plural = "jsonwebkeysets",
    shortname = "jwks",
    category = "hydra",
    namespaced,
    status = "JsonWebKeySetStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A JSON Web Key set of Ory Hydra (RFC 7517). The operator makes Hydra hold keys as `spec` describes them, \
        rotates them, and hands them out in a ConfigMap and a Secret of the same namespace.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether Hydra holds the keys and the outputs say the same",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why it is ready or not",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Set",
        type_ = "string",
        description = "The name of the set in Hydra",
        json_path = ".status.setName"
    ),
    printcolumn(
        name = "Algorithm",
        type_ = "string",
        description = "The algorithm of its keys",
        json_path = ".spec.algorithm"
    ),
    printcolumn(
        name = "Keys",
        type_ = "integer",
        description = "How many keys it has",
        json_path = ".status.keyCount"
    ),
    printcolumn(
        name = "Next rotation",
        type_ = "string",
        description = "When the next key takes the place of the current one",
        json_path = ".status.nextRotation"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "Time since the resource was created",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        description = "Why it is ready or not, and what to do about it",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    validation = Rule::new(SET_NAME_KEPT)
        .message("setName cannot be changed, added or removed: create another JsonWebKeySet with the new one")
        .field_path(".spec.setName")
)]
#[x_kube(
    validation = Rule::new(ONE_SOURCE)
        .message("remove rotation.interval: new keys of an imported set come from the Secret, where the first key is the \
            current one")
        .field_path(".rotation"),
    validation = Rule::new(PUBLISHED_IN_TIME)
        .message("interval has to be longer than publishBefore (1h when unset): the next key is public for that long \
            before it takes the place of the current one")
        .field_path(".rotation.interval"),
    validation = Rule::new(FOR_SIGNATURES)
        .message("remove use: Hydra signs with the keys of its own sets (named hydra.…), so they are for sig")
        .field_path(".use"),
    validation = Rule::new(NO_PUBLIC_HALF)
        .message("remove outputs.publicConfigMap: symmetric keys (HS256, HS512) have no public half")
        .field_path(".outputs"),
    validation = Rule::new(KEPT_IN_HYDRA)
        .message("remove outputs.privateSecret: the private keys of Hydra itself (sets named hydra.…) are not handed out")
        .field_path(".outputs")
)]
#[serde(rename_all = "camelCase", remote = "Self")]
#[schemars(!remote)]
pub struct JsonWebKeySetSpec {
    /// The name of the set in Hydra: letters, digits and `.` `_` `~` `-`. Unset: `k8s.<namespace>.<name>`. Names that begin
    /// with `k8s.<namespace>.` are free to choose; any other has to be allowed by the administrator of the operator. It
    /// cannot be changed. Sets named `hydra.…` hold the keys of Hydra itself.
    #[schemars(length(min = 1, max = 255), regex(pattern = SET_NAME))]
    #[x_kube(validation = Rule::new(NOT_DOTS)
        .message("write a name other than . and .., which cannot be part of a URL"))]
    pub set_name: Option<String>,

    /// What the keys are used with (RFC 7518 section 3.1, RFC 8037): `ES256` and the like for small and fast signatures,
    /// `RS256` where everything has to understand them. `HS256` and `HS512` are secrets without a public half, for Hydra 1,
    /// or to be imported. A change makes a new key, which takes the place of the current one as in any rotation; the
    /// algorithm of a set that an OAuth2Client refers to with `jwksFrom` cannot be changed.
    #[serde(default)]
    #[schemars(!default, with = "String", extend("enum" = Algorithm::KNOWN))]
    pub algorithm: Algorithm,

    /// What the keys are for: `sig` for signatures, `enc` for encryption. Unset: `sig`.
    #[schemars(with = "Option<String>", extend("enum" = KeyUse::KNOWN))]
    pub r#use: Option<KeyUse>,

    /// When keys are replaced. Unset: only on demand, by the annotation `hydra.ory.sh/rotate-requested-at`.
    pub rotation: Option<Rotation>,

    /// Keys that exist already. Unset: keys are generated.
    pub import: Option<Import>,

    /// Where the keys are handed out. Unset: nowhere but in Hydra.
    pub outputs: Option<Outputs>,

    /// What becomes of the keys in Hydra when this resource is deleted: `delete` removes those that are the operator's, and
    /// the outputs with them; `orphan` leaves everything as it is, as it is always with sets named `hydra.…`. Unset: `delete`.
    #[schemars(with = "Option<String>", extend("enum" = DeletionPolicy::KNOWN))]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Whether the operator leaves the set alone until this is false again. Deleting the resource works nevertheless.
    /// Unset: false. The annotation `hydra.ory.sh/suspend: "true"` does the same.
    pub suspend: Option<bool>,

    /// How often Hydra is compared with this resource, as a Go duration such as `30s` or `1h`; unset: as often as the
    /// operator is set to.
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub resync_interval: Option<String>,
}

/// When keys are replaced. All are Go durations such as `90m` or `720h`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(NOT_TOO_MANY)
        .message("retain (24h when unset) has to be at most 50 times the interval: each rotation leaves a key behind")
        .field_path(".retain")
)]
pub struct Rotation {
    /// How long a key is signed with. Unset: until a rotation is asked for.
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    #[x_kube(validation = Rule::new(AT_MOST_TEN_YEARS).message(TOO_LONG))]
    pub interval: Option<String>,
    /// How long the public half of a key is to be seen before the key signs, so that nobody meets a signature whose key they
    /// do not know: longer than those who check signatures keep a copy of the keys. Unset: `1h`.
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    #[x_kube(validation = Rule::new(AT_MOST_TEN_YEARS).message(TOO_LONG))]
    pub publish_before: Option<String>,
    /// How long the public half of a key stays after the key has signed for the last time: longer than what it has signed
    /// is valid. Unset: `24h`.
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    #[x_kube(validation = Rule::new(AT_MOST_TEN_YEARS).message(TOO_LONG))]
    pub retain: Option<String>,
}

/// Keys that exist already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The Secret that holds them, in the namespace of the resource. It is watched: when its first key changes, that is a
    /// rotation.
    #[serde(default)]
    #[schemars(!default)]
    pub secret_ref: ImportSource,
}

/// A Secret with private keys: a JSON Web Key set or a single key (RFC 7517), or PEM (PKCS#8, PKCS#1 or SEC1, not encrypted),
/// of which one file may hold several. The first key is the current one, the others are published beside it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSource {
    /// Its name.
    #[serde(default)]
    #[schemars(!default, length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// The keys of the Secret that are read, in this order. Unset: all, in the order of their names.
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 253), regex(pattern = DATA_KEY)))]
    pub keys: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for JsonWebKeySetSpec {
    /// A missing spec is an empty one: kube's derive makes `spec` a required member, and one object that does not decode
    /// would end the watch of all.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "JsonWebKeySetSpec")] JsonWebKeySetSpec);
        let spec = Option::<Present>::deserialize(deserializer)?;
        Ok(spec.map(|Present(spec)| spec).unwrap_or_default())
    }
}

impl Serialize for JsonWebKeySetSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}
