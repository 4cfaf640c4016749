//! The model of an OAuth 2.0 client, one for all generations of Hydra.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Declares [`OAuth2Client`] from one list, so that a member cannot be forgotten where members are
/// enumerated.
macro_rules! oauth2_client {
    ($( $(#[$attribute:meta])* $member:ident: $kind:ty, )*) => {
        /// An OAuth 2.0 client as Hydra's admin API reads and writes it (`/clients` in 1.x,
        /// `/admin/clients` from 2.0), named as on the wire.
        ///
        /// `None` means: not managed by the desired side, or absent (or `null`) in an answer.
        /// `Some` of an empty text, an empty list or `false` means: managed, at Hydra's default.
        /// A generation that does not know a member drops it without an error.
        ///
        /// The client's secret is no member: it travels beside the client, as a
        /// [`ClientSecret`](super::ClientSecret). Credentials in an answer (`client_secret`,
        /// `registration_access_token`) are dropped while it is decoded.
        #[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct OAuth2Client {
            $(
                $(#[$attribute])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $member: Option<$kind>,
            )*
            /// Zero in every answer, whatever was sent. Never sent.
            #[serde(skip_serializing)]
            pub client_secret_expires_at: Option<i64>,
            /// RFC 3339, set by the server, never sent. The reply to a PUT shows a wrong one; only
            /// GET and LIST can be trusted.
            #[serde(skip_serializing)]
            pub created_at: Option<String>,
            /// RFC 3339, set by the server at every write, never sent.
            #[serde(skip_serializing)]
            pub updated_at: Option<String>,
            /// Members that this model does not name, kept so that they survive a PUT.
            #[serde(flatten, deserialize_with = "unknown_members")]
            pub unknown: Map<String, Value>,
        }

        impl OAuth2Client {
            /// The names of all members that can be written.
            pub const MEMBERS: &'static [&'static str] = &[$(stringify!($member)),*];

            /// The names of the members that are `Some`, without those that only the server sets.
            #[must_use]
            pub fn managed(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $( if self.$member.is_some() { names.push(stringify!($member)); } )*
                names
            }

            /// Takes over from `other` what is `None` here, and the unknown members missing here.
            pub(super) fn inherit(&mut self, other: &Self) {
                $( if self.$member.is_none() { self.$member.clone_from(&other.$member); } )*
                for (name, value) in &other.unknown {
                    self.unknown.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
    };
}

oauth2_client! {
    /// The identifier. On a PUT the one in the path counts. 2.0 and 2.1 refuse a chosen one.
    client_id: String,
    /// Human-readable name.
    client_name: String,
    /// Redirect URIs, compared exactly at the authorization endpoint.
    redirect_uris: Vec<String>,
    /// Empty means `authorization_code`, applied at use and not stored.
    grant_types: Vec<String>,
    /// Empty means `code`, applied at use and not stored. An element may combine several types.
    response_types: Vec<String>,
    /// Space-separated. From 1.0 an empty one becomes the server's default scope.
    scope: String,
    /// Audiences that the client may request.
    audience: Vec<String>,
    /// Free text; the list operation filters by it from 1.10.5.
    owner: String,
    /// URL of the privacy policy.
    policy_uri: String,
    /// URL of the terms of service.
    tos_uri: String,
    /// URL of the home page.
    client_uri: String,
    /// URL of the logo.
    logo_uri: String,
    /// Origins for CORS. Hydra removes a trailing slash.
    allowed_cors_origins: Vec<String>,
    /// People responsible, as a rule e-mail addresses.
    contacts: Vec<String>,
    /// `public` or `pairwise`; an empty one becomes the server's default.
    subject_type: String,
    /// `https` URL; Hydra fetches it during the write.
    sector_identifier_uri: String,
    /// URL of the client's JSON Web Key set. Excludes `jwks`.
    jwks_uri: String,
    /// The client's JSON Web Key set (RFC 7517, section 5). Excludes `jwks_uri`.
    jwks: Value,
    /// An empty one becomes `client_secret_basic`.
    token_endpoint_auth_method: String,
    /// Since 1.5. Empty means `RS256`, applied at use.
    token_endpoint_auth_signing_alg: String,
    /// Allowed `request_uri` values (OpenID Connect Core, section 6.2).
    request_uris: Vec<String>,
    /// Empty means any algorithm.
    request_object_signing_alg: String,
    /// `none` or `RS256`; an empty one becomes `none`.
    userinfo_signed_response_alg: String,
    /// URL for front-channel logout.
    frontchannel_logout_uri: String,
    /// Whether front-channel logout needs `iss` and `sid`.
    frontchannel_logout_session_required: bool,
    /// URL for back-channel logout.
    backchannel_logout_uri: String,
    /// Whether back-channel logout needs `sid`.
    backchannel_logout_session_required: bool,
    /// Each must share scheme, host and port with a redirect URI.
    post_logout_redirect_uris: Vec<String>,
    /// Any JSON; as a rule an object.
    metadata: Value,
    /// Since 2.1: `jwt` or `opaque`; stored in lower case. Empty means the server's strategy.
    access_token_strategy: String,
    /// Since 2.1.
    skip_consent: bool,
    /// Since 2.2. `null` and `false` mean the same.
    skip_logout_consent: bool,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    authorization_code_grant_access_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    authorization_code_grant_id_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    authorization_code_grant_refresh_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    client_credentials_grant_access_token_lifespan: String,
    /// Since 25.4, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    device_authorization_grant_access_token_lifespan: String,
    /// Since 25.4, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    device_authorization_grant_id_token_lifespan: String,
    /// Since 25.4, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    device_authorization_grant_refresh_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    implicit_grant_access_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    implicit_grant_id_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    jwt_bearer_grant_access_token_lifespan: String,
    /// 1.11.9 and 1.11.10 only, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    password_grant_access_token_lifespan: String,
    /// 1.11.9 and 1.11.10 only, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    password_grant_refresh_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    refresh_token_grant_access_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    refresh_token_grant_id_token_lifespan: String,
    /// Since 1.11.9, as a Go duration; an empty text means the server's lifespan.
    #[serde(serialize_with = "lifespan")]
    refresh_token_grant_refresh_token_lifespan: String,
}

impl OAuth2Client {
    /// The client as a POST or PUT may carry it: an empty key set is left out, because 1.x to 2.3
    /// count `jwks: {}` as set and refuse it beside `jwks_uri` (ory/hydra issue 3935).
    pub(super) fn into_writable(mut self) -> Self {
        if self.jwks.as_ref().is_some_and(is_empty_key_set) {
            self.jwks = None;
        }
        self.client_secret_expires_at = None;
        self.created_at = None;
        self.updated_at = None;
        self
    }
}

/// `null`, `{}` and `{"keys": []}` all hold no key.
pub(super) fn is_empty_key_set(jwks: &Value) -> bool {
    match jwks {
        Value::Null => true,
        Value::Object(members) => members.iter().all(|(name, value)| {
            name == "keys" && (value.is_null() || value.as_array().is_some_and(Vec::is_empty))
        }),
        _ => false,
    }
}

/// Hydra parses a lifespan as a duration or `null`; it refuses an empty text.
#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn lifespan<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_deref().filter(|text| !text.is_empty()).serialize(serializer)
}

/// Drops the credentials that an answer may carry, and what only the server may set.
fn unknown_members<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    const SERVER_ONLY: [&str; 3] =
        ["client_secret", "registration_access_token", "registration_client_uri"];
    let mut members = Map::deserialize(deserializer)?;
    members.retain(|name, _| !SERVER_ONLY.contains(&name.as_str()));
    Ok(members)
}

/// Shows identity and the names of the managed members: `metadata`, `jwks` and unknown members may
/// hold what must not be logged.
impl fmt::Debug for OAuth2Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2Client")
            .field("client_id", &self.client_id)
            .field("owner", &self.owner)
            .field("members", &self.managed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(value: Value) -> OAuth2Client {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn null_and_absent_members_are_none() {
        let client = decode(json!({
            "client_id": "a", "grant_types": null, "skip_logout_consent": null, "jwks": null,
            "refresh_token_grant_id_token_lifespan": null,
        }));
        assert_eq!(client, OAuth2Client { client_id: Some("a".into()), ..Default::default() });
    }

    #[test]
    fn unknown_members_survive_and_credentials_do_not() {
        let client = decode(json!({
            "client_id": "a", "client_secret": "s3cr3t-value", "registration_access_token": "t0k3n",
            "registration_client_uri": "http://x/", "require_pkce": true, "future": {"a": [1]},
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "client_secret_expires_at": 0,
        }));
        assert_eq!(client.created_at.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(
            serde_json::to_value(&client).unwrap(),
            json!({"client_id": "a", "require_pkce": true, "future": {"a": [1]}})
        );
    }

    #[test]
    fn debug_shows_names_only() {
        let client = decode(json!({
            "client_id": "a", "jwks": {"keys": [{"d": "private-part"}]},
            "metadata": {"token": "private-part"}, "later": "private-part",
        }));
        let shown = format!("{client:?}");
        assert!(!shown.contains("private-part"), "{shown}");
        assert!(shown.contains("metadata"), "{shown}");
    }

    #[test]
    fn members_are_sent_as_hydra_reads_them() {
        let client = OAuth2Client {
            owner: Some(String::new()),
            redirect_uris: Some(Vec::new()),
            jwt_bearer_grant_access_token_lifespan: Some(String::new()),
            implicit_grant_id_token_lifespan: Some("1h".into()),
            ..Default::default()
        };
        assert_eq!(
            serde_json::to_value(&client).unwrap(),
            json!({
                "owner": "", "redirect_uris": [], "implicit_grant_id_token_lifespan": "1h",
                "jwt_bearer_grant_access_token_lifespan": null,
            })
        );
    }

    #[test]
    fn empty_key_sets_are_not_sent() {
        for (jwks, sent) in [
            (json!({}), false),
            (json!(null), false),
            (json!({"keys": []}), false),
            (json!({"keys": null}), false),
            (json!({"keys": [{"kty": "RSA"}]}), true),
        ] {
            let client = OAuth2Client { jwks: Some(jwks.clone()), ..Default::default() };
            assert_eq!(client.into_writable().jwks.is_some(), sent, "{jwks}");
        }
    }

    #[test]
    fn every_member_is_named_as_on_the_wire() {
        for name in OAuth2Client::MEMBERS {
            let value = [json!("1h"), json!(["x"]), json!(true)].into_iter().find_map(|value| {
                let client = decode_one(name, &value)?;
                (client.managed() == [*name] && client.unknown.is_empty()).then_some(value)
            });
            assert!(value.is_some(), "{name}");
        }
    }

    fn decode_one(name: &str, value: &Value) -> Option<OAuth2Client> {
        serde_json::from_value(json!({ name: value })).ok()
    }
}
