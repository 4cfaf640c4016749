//! Thumbprints (RFC 7638).

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::{Jwk, PublicJwk, encoding::base64url};

/// The members that a key of a type consists of (RFC 7638 section 3.2, RFC 8037 section 2), in the order of the alphabet.
fn required(key: &PublicJwk) -> Option<&'static [&'static str]> {
    match key.get("kty").and_then(Value::as_str)? {
        "RSA" => Some(&["e", "kty", "n"]),
        "EC" => Some(&["crv", "kty", "x", "y"]),
        "OKP" => Some(&["crv", "kty", "x"]),
        _ => None,
    }
}

/// The members that a key consists of; none where one is missing.
fn members(key: &PublicJwk) -> Option<BTreeMap<&'static str, &str>> {
    let member = |name: &&'static str| Some((*name, key.get(*name)?.as_str()?));
    required(key)?.iter().map(member).collect()
}

/// The SHA-256 thumbprint of a public key, base64url. One of a type that is not known here, or that lacks a member, is none
/// that others would come to: then it is that of all members.
#[must_use]
pub fn thumbprint(key: &PublicJwk) -> String {
    let canonical = members(key).map_or_else(
        || serde_json::json!(key.iter().collect::<BTreeMap<_, _>>()),
        |members| serde_json::json!(members),
    );
    base64url(digest(&SHA256, canonical.to_string().as_bytes()).as_ref())
}

/// Whether two public keys are of the same material, whatever their names.
#[must_use]
pub fn same_key(one: &PublicJwk, other: &PublicJwk) -> bool {
    members(one).is_some_and(|one| members(other).is_some_and(|other| one == other))
}

/// Whether two keys are of the same material, whatever their names: by their public halves, or else by the secret.
#[must_use]
pub fn same_material(one: &Jwk, other: &Jwk) -> bool {
    match (one.public(), other.public()) {
        (Some(one), Some(other)) => same_key(one, other),
        (None, None) => one.same_secret(other),
        _ => false,
    }
}
