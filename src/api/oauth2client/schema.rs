//! What the derived schemas are put together from: patterns, enumerations, rules.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A URL of http or https, or nothing.
pub(super) const HTTP_URL: &str = "(^$|^https?://.*)";
/// A URI of any scheme.
pub(super) const URI: &str = r"\w+:/?/?[^\s]+";
/// A DNS subdomain, the form of a Secret's name.
pub(super) const SECRET_NAME: &str =
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
/// The same, as a whole.
pub(super) const OBJECT_NAME: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Any text: no string fails to match.
pub(super) const SCOPE: &str = r"([a-zA-Z0-9\.\*]+\s?)*";
/// What needs no escaping in a path: the unreserved characters of RFC 3986 section 2.3.
pub(super) const CLIENT_ID: &str = "^[A-Za-z0-9._~-]+$";

pub(super) const GRANT_TYPES: [&str; 6] = [
    "client_credentials",
    "authorization_code",
    "implicit",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
];
pub(super) const RESPONSE_TYPES: [&str; 7] = [
    "id_token",
    "code",
    "token",
    "code token",
    "code id_token",
    "id_token token",
    "code id_token token",
];

/// A key of a Secret, which is not a path of a volume either.
pub(super) const SECRET_KEY: &str = r"^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$";
/// Types that a generated Secret may have. Others give a Secret a meaning to Kubernetes or to other tools.
pub(super) const SECRET_TYPES: [&str; 2] = ["Opaque", "kubernetes.io/basic-auth"];
/// What a further key of a Secret can hold of the discovery document.
pub(super) const WELL_KNOWN: [&str; 9] = [
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "revocation_endpoint",
    "end_session_endpoint",
    "device_authorization_endpoint",
    "discovery_url",
];
/// A Go duration that is positive.
pub(super) const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// `clientId` stays as it is.
pub(super) const CLIENT_ID_KEPT: &str = "!has(oldSelf.spec) || !has(oldSelf.spec.clientId) || \
     (has(self.spec) && has(self.spec.clientId) && self.spec.clientId == oldSelf.spec.clientId)";
/// A `clientId` that comes later names the client that is there, or one of several that may be meant.
pub(super) const CLIENT_ID_ADDED: &str = "(has(oldSelf.spec) && has(oldSelf.spec.clientId)) || \
     !has(self.spec) || !has(self.spec.clientId) || \
     (has(self.status) && has(self.status.clientId) && self.spec.clientId == self.status.clientId) || \
     (has(self.status) && !has(self.status.clientId) && has(self.status.reconciliationError) && \
      has(self.status.reconciliationError.statusCode) && \
      self.status.reconciliationError.statusCode == 'AMBIGUOUS_CLIENTS')";
/// A path keeps the segment.
pub(super) const NOT_DOTS: &str = "self != '.' && self != '..'";
/// Two keys of one name could not hold two values.
pub(super) const DISTINCT_SECRET_KEYS: &str =
    "!has(self.clientId) || !has(self.clientSecret) || self.clientId != self.clientSecret";
/// A text, or the name of a value.
pub(super) const ONE_KIND_OF_VALUE: &str = "has(self.value) != has(self.wellKnown)";
/// RFC 7591 section 2: `jwks` and `jwks_uri` must not both be present. What `jwksFrom` names becomes the former.
pub(super) const ONE_SOURCE_OF_KEYS: &str = "(!has(self.jwks) || !has(self.jwksUri) || size(self.jwksUri) == 0) && \
     (!has(self.jwksFrom) || (!has(self.jwks) && (!has(self.jwksUri) || size(self.jwksUri) == 0)))";

/// The schema of a string that is one of `values`.
pub(super) fn one_of(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

/// The schema of an object with any members, or null.
pub(super) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true
    })
}
