//! Values of `OAuth2Client` that the operator itself decides by.
//!
//! They are open: a value that this version does not know (an object stored under another schema, before an upgrade or a
//! rollback) is kept as text, because one object that fails to decode would end the watch of all. Values that the operator
//! only hands to Hydra are plain strings for the same reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::schema::HTTP_URL;

/// How a client authenticates at the token endpoint (RFC 7591 section 2, OpenID Connect Core section 9).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenEndpointAuthMethod {
    /// The secret in the Authorization header.
    ClientSecretBasic,
    /// The secret in the body of the request.
    ClientSecretPost,
    /// An assertion signed with a key of the client; there is no secret.
    PrivateKeyJwt,
    /// None: a public client, which has no secret.
    None,
    /// One that this version does not know.
    #[serde(untagged)]
    Unknown(String),
}

impl TokenEndpointAuthMethod {
    /// What the schema allows.
    pub(super) const KNOWN: [&str; 4] =
        ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

    /// The value as Hydra and the manifest spell it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
            Self::Unknown(value) => value,
        }
    }
}

/// What becomes of the client in Hydra when its resource is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionPolicy {
    /// It is deleted.
    Delete,
    /// It stays.
    Orphan,
    /// One that this version does not know. It is no permission to delete.
    #[serde(untagged)]
    Unknown(String),
}

impl DeletionPolicy {
    /// What the schema allows.
    pub const KNOWN: [&str; 2] = ["delete", "orphan"];
}

/// The admin API of a Hydra other than the operator's own.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HydraAdmin {
    /// Scheme and host, such as `http://hydra-admin.team-a`, with a port and a base path where it has them. Not allowed
    /// unless the administrator of the operator permits it. Unset: the operator's own Hydra.
    #[schemars(length(max = 256), regex(pattern = HTTP_URL))]
    pub url: Option<String>,
    /// Port of `url`, such as 4445. Unset or 0: the one in `url`, else that of the operator's own Hydra.
    #[schemars(range(max = 65535))]
    pub port: Option<i64>,
    /// Path of the clients below `url`, such as `/admin/clients`. Unset: that of the operator's own Hydra.
    #[schemars(regex(pattern = r"(^$|^/.*)"))]
    pub endpoint: Option<String>,
    /// The X-Forwarded-Proto header that is sent to `url`: `http`, `https`, or `off` for none. Unset: the one that the
    /// operator's own Hydra is sent.
    #[schemars(regex(pattern = r"(^$|https?|off)"))]
    pub forwarded_proto: Option<String>,
}
