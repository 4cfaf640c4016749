//! What the derived schemas are put together from: patterns, enumerations, rules.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// What needs no escaping in a path: the unreserved characters of RFC 3986 section 2.3.
pub(super) const SET_NAME: &str = "^[A-Za-z0-9._~-]+$";
/// A DNS subdomain.
pub(super) const OBJECT_NAME: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A key of a Secret or ConfigMap.
pub(super) const DATA_KEY: &str = r"^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$";
/// A Go duration.
pub(super) const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// `setName` stays as it is.
pub(super) const SET_NAME_KEPT: &str = "has(oldSelf.spec) == has(self.spec) && \
     has(oldSelf.spec.setName) == has(self.spec.setName) && \
     (!has(self.spec.setName) || self.spec.setName == oldSelf.spec.setName)";
/// A path keeps the segment.
pub(super) const NOT_DOTS: &str = "self != '.' && self != '..'";
/// What the rules below can count with: a duration of CEL ends at 292 years, where an error takes the place of the message.
pub(super) const AT_MOST_TEN_YEARS: &str =
    "!self.matches('(^|[a-z])([0-9]{7}[0-9.]*h|[0-9]{9})') && duration(self) <= duration('87600h')";
/// A key has to be published before it signs, so the next one is due before the current one has ended. Keys of Hydra itself
/// sign at once.
pub(super) const PUBLISHED_IN_TIME: &str = "!has(self.rotation) || !has(self.rotation.interval) || \
     (has(self.setName) && self.setName.startsWith('hydra.')) || \
     duration(self.rotation.interval) > \
     duration(has(self.rotation.publishBefore) ? self.rotation.publishBefore : '1h')";
/// Each rotation leaves a key that is retained.
pub(super) const NOT_TOO_MANY: &str = "!has(self.interval) || \
     duration(has(self.retain) ? self.retain : '24h').getMilliseconds() <= \
     duration(self.interval).getMilliseconds() * 50";
/// Where the keys come from, new ones come from there.
pub(super) const ONE_SOURCE: &str =
    "!has(self.import) || !has(self.rotation) || !has(self.rotation.interval)";
/// Two keys of one name could not hold two values.
pub(super) const DISTINCT_DATA_KEYS: &str = "(has(self.jwks) ? self.jwks : 'jwks.json') != \
     (has(self.pem) ? self.pem : 'private.pem') && \
     (has(self.jwks) ? self.jwks : 'jwks.json') != (has(self.kid) ? self.kid : 'kid') && \
     (has(self.pem) ? self.pem : 'private.pem') != (has(self.kid) ? self.kid : 'kid')";
/// What has no public half is not published.
pub(super) const NO_PUBLIC_HALF: &str = "!(self.algorithm in ['HS256', 'HS512']) || \
     !has(self.outputs) || !has(self.outputs.publicConfigMap)";
/// Whoever had the keys of Hydra itself could make tokens.
pub(super) const KEPT_IN_HYDRA: &str = "!has(self.setName) || !self.setName.startsWith('hydra.') || \
     !has(self.outputs) || !has(self.outputs.privateSecret)";

/// Hydra signs with its own keys.
pub(super) const FOR_SIGNATURES: &str = "!has(self.setName) || !self.setName.startsWith('hydra.') || \
     !has(self.use) || self.use == 'sig'";

/// The schema of the items of `formats`.
pub(super) fn formats() -> Value {
    json!({ "type": "string", "enum": ["JWKS", "PEM"] })
}

/// A public key, with the members that it has.
pub(super) fn public_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true
    })
}
