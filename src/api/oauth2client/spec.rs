//! `spec` of an `OAuth2Client`, and with it the resource itself.

#![expect(clippy::struct_excessive_bools, reason = "the fields are those of the API")]
#![expect(
    clippy::box_collection,
    reason = "of what few resources set, each resource of the cluster keeps a pointer instead of three"
)]
#![allow(
    dead_code,
    reason = "KubeSchema derives Serialize for copies of the type, which `remote` makes functions that nobody calls"
)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::{
    DeletionPolicy, HydraAdmin, JsonWebKeySetDocument, KeySetReference, OAuth2ClientStatus,
    SecretKeyNames, SecretTemplate, TokenEndpointAuthMethod, TokenLifespans,
    schema::{
        CLIENT_ID, CLIENT_ID_ADDED, CLIENT_ID_KEPT, DURATION, GRANT_TYPES, HTTP_URL, NOT_DOTS,
        ONE_SOURCE_OF_KEYS, RESPONSE_TYPES, SCOPE, SECRET_NAME, URI, free_form, one_of,
    },
};

/// What the client is to be. Lists are without order, and an empty string is the same as no value.
#[skip_serializing_none]
#[derive(CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "hydra.ory.sh",
    version = "v1alpha1",
    kind = "OAuth2Client",
    plural = "oauth2clients",
    shortname = "oauth2",
    shortname = "hydraclient",
    category = "hydra",
    namespaced,
    status = "OAuth2ClientStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "An OAuth 2.0 client of Ory Hydra. The operator makes Hydra hold the client that `spec` describes, and puts \
        its credentials into the Secret `spec.secretName` of the same namespace.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether Hydra holds the client and the Secret its credentials",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why it is ready or not",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Client ID",
        type_ = "string",
        description = "The id of the client in Hydra",
        json_path = ".status.clientId"
    ),
    printcolumn(
        name = "Secret",
        type_ = "string",
        description = "The Secret that holds the credentials",
        json_path = ".spec.secretName"
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
    validation = Rule::new(CLIENT_ID_KEPT)
        .message("clientId cannot be changed or removed once it is set: write the former value, or create another \
            OAuth2Client with the new one")
        .field_path(".spec"),
    validation = Rule::new(CLIENT_ID_ADDED)
        .message("clientId can be added later only to name the id that the client already has: write the value of \
            status.clientId, or create another OAuth2Client with the new one")
        .field_path(".spec.clientId")
)]
#[x_kube(
    validation = Rule::new(ONE_SOURCE_OF_KEYS)
        .message("jwks, jwksUri and jwksFrom exclude each other: write the keys into jwks, or only their address into jwksUri, \
            or only the name of their JsonWebKeySet into jwksFrom")
        .field_path(".jwks")
)]
#[serde(rename_all = "camelCase", remote = "Self")]
#[schemars(!remote)]
pub struct OAuth2ClientSpec {
    /// How a client obtains access tokens: `authorization_code` (with `refresh_token`) for logins of users,
    /// `client_credentials` for machines, `implicit` for legacy browser applications,
    /// `urn:ietf:params:oauth:grant-type:device_code` for devices without a browser (Hydra 25.4 or later),
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer` for assertions of a trusted issuer (Hydra 1.11 or later).
    #[serde(default)]
    #[schemars(!default, length(min = 1, max = 6), extend("items" = one_of(&GRANT_TYPES)))]
    pub grant_types: Vec<String>,

    /// Name of the Secret, in the namespace of this resource, that holds the credentials in its keys `CLIENT_ID` and
    /// `CLIENT_SECRET`. If there is none, the operator makes it, with an id and a secret of its choice, and it goes when
    /// this resource goes. If you make it beforehand, the client gets the id and the secret that it holds, and the Secret
    /// stays yours. A client that authenticates with `none` or `private_key_jwt` has no `CLIENT_SECRET`.
    #[serde(default)]
    #[schemars(!default, length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub secret_name: String,

    /// The id of the client, for those who must know it beforehand: letters, digits and `.` `_` `~` `-`, as in
    /// `shop-frontend`. Unset: a random UUID, or the id in a Secret that you made. It cannot be changed, and can be added
    /// later only to name the id that the client already has. Hydra 2.0 and 2.1 refuse chosen ids.
    #[schemars(length(min = 1, max = 255), regex(pattern = CLIENT_ID))]
    #[x_kube(validation = Rule::new(NOT_DOTS)
        .message("write an id other than . and .., which cannot be part of a URL"))]
    pub client_id: Option<String>,

    /// Name of the client that users see on the consent screen. Unset: none.
    pub client_name: Option<String>,

    /// What the authorization endpoint may answer with, each item a combination such as `code` or `code id_token`. Unset:
    /// `code`.
    #[schemars(length(min = 1, max = 7), extend("items" = one_of(&RESPONSE_TYPES)))]
    pub response_types: Option<Vec<String>>,

    /// Where users may be sent back to after login, compared character by character, such as
    /// `https://app.example.com/callback` or `com.example.app:/callback`. Required by the grants `authorization_code` and
    /// `implicit`.
    #[schemars(inner(regex(pattern = URI)))]
    pub redirect_uris: Option<Vec<String>>,

    /// Addresses of request objects that the client may refer to by `request_uri` (OpenID Connect Core, section 6.2).
    /// Unset: none.
    #[schemars(inner(regex(pattern = URI)))]
    pub request_uris: Option<Box<Vec<String>>>,

    /// Where users may be sent to after logout. Each must share scheme, host and port with one of `redirectUris`. Unset:
    /// none.
    #[schemars(inner(regex(pattern = URI)))]
    pub post_logout_redirect_uris: Option<Box<Vec<String>>>,

    /// Origins whose pages may call the endpoints of Hydra for this client, such as `https://app.example.com`. Unset: none
    /// beyond those that Hydra allows for all clients.
    #[schemars(inner(regex(pattern = URI)))]
    pub allowed_cors_origins: Option<Box<Vec<String>>>,

    /// The audiences that the client may ask for, such as `https://api.example.com`. Unset: none.
    pub audience: Option<Vec<String>>,

    /// The scopes that the client may ask for, separated by spaces, such as `openid offline_access read`. They are added to
    /// those of `scopeArray`, which is the better form. Where neither names a scope, Hydra gives the client its default
    /// scopes.
    #[schemars(regex(pattern = SCOPE))]
    pub scope: Option<String>,

    /// The scopes that the client may ask for, such as `openid`, `offline_access`, `read`. Where neither this nor `scope`
    /// names a scope, Hydra gives the client its default scopes.
    pub scope_array: Option<Vec<String>>,

    /// Whether the consent screen is skipped. For clients of your own that users need not agree to. Default: false. Needs
    /// Hydra 2.1 or later.
    #[serde(default)]
    pub skip_consent: bool,

    /// Whether users are logged out without being asked when the client starts the logout. Default: false. Needs Hydra
    /// 2.2 or later.
    #[serde(default)]
    pub skip_logout_consent: bool,

    /// Another Hydra than the operator's own. The administrator of the operator has to allow its address; otherwise the
    /// resource is Stalled. Without `url` the other fields have no effect. A change moves the client, with its id and secret:
    /// it is set up in the new Hydra and then revoked in the former one, if that is still allowed.
    pub hydra_admin: Option<Box<HydraAdmin>>,

    /// How the client authenticates at the token endpoint: with its secret in the header (`client_secret_basic`) or in the
    /// body (`client_secret_post`), with a signed assertion (`private_key_jwt`, which needs `jwks`, `jwksUri` or `jwksFrom`),
    /// or not at all (`none`, for public clients such as mobile and browser applications). Unset: `client_secret_basic`.
    #[schemars(with = "Option<String>", extend("enum" = TokenEndpointAuthMethod::KNOWN))]
    pub token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,

    /// How long tokens are valid, by the grant that they were obtained with. Unset lifespans are those of Hydra's
    /// configuration (for the device grant see there). Needs Hydra 1.11.9 or later.
    pub token_lifespans: Option<Box<TokenLifespans>>,

    /// Anything that you want to keep with the client, as an object. The login and consent application gets it with the
    /// rest of the client. Unset: nothing.
    #[serde(default)]
    #[schemars(schema_with = "free_form")]
    pub metadata: Option<Box<Value>>,

    /// The public keys of the client, with which Hydra checks what the client signs: assertions of `private_key_jwt` and
    /// request objects. Exclusive with `jwksUri` and `jwksFrom`. Never set: what Hydra holds stays; removed again: none.
    pub jwks: Option<Box<JsonWebKeySetDocument>>,

    /// The JsonWebKeySet whose public keys are those of the client: it follows each rotation. Hydra checks assertions with the
    /// algorithm of that set alone, which has to be RS, PS or ES with 256, 384 or 512, and its use `sig`. Until the set is there
    /// and has a key, nothing is done in Hydra. Exclusive with `jwks` and `jwksUri`. Removed again: no keys.
    pub jwks_from: Option<Box<KeySetReference>>,

    /// Where Hydra finds the public keys of the client, as a JSON Web Key set, such as
    /// `https://app.example.com/.well-known/jwks.json`. Exclusive with `jwks` and `jwksFrom`. Unset: none.
    #[schemars(regex(pattern = HTTP_URL))]
    pub jwks_uri: Option<Box<String>>,

    /// Whether the front-channel logout request carries the issuer and the session id. Default: false.
    #[serde(default)]
    pub front_channel_logout_session_required: bool,

    /// The page of the client that the browser of the user loads, in a frame, to log out (OpenID Connect Front-Channel
    /// Logout). Unset: none.
    #[serde(rename = "frontChannelLogoutURI")]
    #[schemars(regex(pattern = HTTP_URL))]
    pub front_channel_logout_uri: Option<Box<String>>,

    /// Whether the back-channel logout token carries the session id. Default: false.
    #[serde(default)]
    pub back_channel_logout_session_required: bool,

    /// The endpoint of the client that Hydra calls when a user logs out (OpenID Connect Back-Channel Logout). Unset: none.
    #[serde(rename = "backChannelLogoutURI")]
    #[schemars(regex(pattern = HTTP_URL))]
    pub back_channel_logout_uri: Option<Box<String>>,

    /// What becomes of the client in Hydra when this resource is deleted: `delete` revokes it, `orphan` leaves it as it is.
    /// Unset: `delete`.
    #[schemars(with = "Option<String>", extend("enum" = DeletionPolicy::KNOWN))]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Whether the operator leaves the client alone until this is false again. Deleting the resource works nevertheless.
    /// Unset: false. The annotation `hydra.ory.sh/suspend: "true"` does the same.
    pub suspend: Option<bool>,

    /// How often Hydra is compared with this resource, as a Go duration such as `30s` or `1h`; unset: as often as the
    /// operator is set to. Shorter: it is looked at by itself. Longer: changes made in Hydra may stay for that long.
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub resync_interval: Option<Box<String>>,

    /// Whether to wait for a Secret that somebody else makes instead of generating one. Unset is the same as false.
    pub require_existing_secret: Option<bool>,

    /// Names of the keys of the Secret that hold the credentials. Unset: those of the operator. A Secret that is not this
    /// resource's, such as that of an orphaned one, needs the label `hydra.ory.sh/credentials: "true"` for others than these.
    pub secret_keys: Option<Box<SecretKeyNames>>,

    /// What a generated Secret has besides the credentials: labels, annotations, type and further keys.
    pub secret_template: Option<Box<SecretTemplate>>,

    /// The picture of the client for the consent screen. Unset: none.
    #[schemars(regex(pattern = HTTP_URL))]
    pub logo_uri: Option<Box<String>>,

    /// The page about the client, for the consent screen. Unset: none.
    #[schemars(regex(pattern = HTTP_URL))]
    pub client_uri: Option<Box<String>>,

    /// The page with the privacy policy of the client, for the consent screen. Unset: none.
    #[schemars(regex(pattern = HTTP_URL))]
    pub policy_uri: Option<Box<String>>,

    /// The page with the terms of service of the client, for the consent screen. Unset: none.
    #[schemars(regex(pattern = HTTP_URL))]
    pub tos_uri: Option<Box<String>>,

    /// For `subjectType: pairwise`: an https document, a JSON array of redirect URIs, that makes several clients see the
    /// same subjects. Hydra fetches it whenever the client is written, and it must name all `redirectUris`. Unset: none.
    #[schemars(regex(pattern = HTTP_URL))]
    pub sector_identifier_uri: Option<Box<String>>,

    /// The form of access tokens: `jwt` can be checked without asking Hydra, `opaque` can be revoked at once. Unset: what
    /// Hydra's configuration says. Needs Hydra 2.1 or later.
    #[schemars(extend("enum" = ["jwt", "opaque"]))]
    pub access_token_strategy: Option<Box<String>>,

    /// Kept for compatibility: Hydra never lets a secret expire and stores 0 for any value.
    #[schemars(range(min = 0))]
    pub client_secret_expires_at: Option<i64>,

    /// How to reach those who are responsible for the client, usually mail addresses. Unset: none.
    pub contacts: Option<Box<Vec<String>>>,

    /// The algorithm that request objects must be signed with: `none`, `RS256` or `ES256`. Unset: any that Hydra supports.
    pub request_object_signing_alg: Option<Box<String>>,

    /// The algorithm that assertions of `private_key_jwt` must be signed with: RS, PS or ES with 256, 384 or 512, such as
    /// `ES256`. Unset: that of `jwksFrom`, or `RS256`. Needs Hydra 1.5 or later.
    pub token_endpoint_auth_signing_alg: Option<Box<String>>,

    /// The algorithm that answers of the userinfo endpoint are signed with: `none` for plain JSON, or `RS256`. Unset:
    /// `none`.
    pub userinfo_signed_response_alg: Option<Box<String>>,

    /// Whether the client sees the same subject of a user as other clients (`public`) or one of its own (`pairwise`). Unset:
    /// `public`, unless Hydra's configuration supports only the other. Hydra refuses `pairwise` with access tokens of the
    /// form `jwt`.
    #[schemars(extend("enum" = ["public", "pairwise"]))]
    pub subject_type: Option<Box<String>>,
}

impl<'de> Deserialize<'de> for OAuth2ClientSpec {
    /// A missing spec is an empty one: kube's derive makes `spec` a required member, and the schema does not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "OAuth2ClientSpec")] OAuth2ClientSpec);
        let spec = Option::<Present>::deserialize(deserializer)?;
        Ok(spec.map(|Present(spec)| spec).unwrap_or_default())
    }
}

impl Serialize for OAuth2ClientSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}
