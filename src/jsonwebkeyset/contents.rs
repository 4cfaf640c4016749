//! What the outputs hold: pure.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::json;

use super::{
    error::{Failure, Reason},
    rotation::{Key, active},
};
use crate::{
    api::jsonwebkeyset::{KeyFormat, KeyState, PrivateSecret, PublicConfigMap},
    jose::{Jwk, PublicJwk, to_pem},
};

/// The key of the ConfigMap with the document, where none is named.
const PUBLIC_KEY: &str = "jwks.json";

/// The key of the Secret in which the operator keeps keys.
pub const MATERIAL_KEY: &str = "jwks.json";

/// The name of the Secret in which the operator keeps the keys of the resource `name`.
#[must_use]
pub fn material_name(name: &str) -> String {
    format!("{name}-key-material")
}

/// The key of the ConfigMap with the document.
#[must_use]
pub fn public_key(public: &PublicConfigMap) -> &str {
    public.key.as_deref().unwrap_or(PUBLIC_KEY)
}

/// Names of the keys of the Secret: the document, the PEM file, the id.
#[must_use]
pub fn private_keys(private: &PrivateSecret) -> [String; 3] {
    let names = private.keys.clone().unwrap_or_default();
    [
        names.jwks.unwrap_or_else(|| "jwks.json".to_owned()),
        names.pem.unwrap_or_else(|| "private.pem".to_owned()),
        names.kid.unwrap_or_else(|| "kid".to_owned()),
    ]
}

/// The JSON Web Key set (RFC 7517 section 5) of all public halves, the oldest first, each under the id by which Hydra
/// publishes it.
#[must_use]
pub fn public(
    keys: &[Key],
    publics: &BTreeMap<String, PublicJwk>,
    published_kids: &BTreeMap<String, String>,
) -> String {
    let shown = |key: &Key| {
        let mut public = publics.get(&key.kid)?.clone();
        if let Some(kid) = published_kids.get(&key.kid) {
            public.insert("kid".to_owned(), kid.clone().into());
        }
        Some(public)
    };
    let keys: Vec<PublicJwk> = keys.iter().filter_map(shown).collect();
    format!("{:#}\n", json!({ "keys": keys }))
}

/// What the Secret holds of the keys: the current one first. None: there is no current key that could be handed out.
pub fn private(
    private: &PrivateSecret,
    keys: &[Key],
    privates: &BTreeMap<String, Jwk>,
) -> Result<Option<BTreeMap<String, SecretString>>, Failure> {
    let Some(current) = active(keys) else { return Ok(None) };
    let Some(jwk) = privates.get(&current.kid) else { return Ok(None) };
    let all = private.all_keys == Some(true);
    let others = keys.iter().filter(|key| all && key.state != KeyState::Active);
    let others = others.filter_map(|key| privates.get(&key.kid));
    let handed_out: Vec<&Jwk> = std::iter::once(jwk).chain(others).collect();
    let wants = |format| private.formats.as_ref().is_none_or(|formats| formats.contains(&format));
    let [document, pem, kid] = private_keys(private);
    let mut data = BTreeMap::from([(kid, SecretString::from(current.kid.clone()))]);
    if wants(KeyFormat::Jwks) {
        let keys: Vec<_> = handed_out.iter().map(|jwk| jwk.expose_value()).collect();
        data.insert(document, format!("{:#}\n", json!({ "keys": keys })).into());
    }
    let asymmetric: Vec<&Jwk> = handed_out.into_iter().filter(|jwk| !jwk.is_symmetric()).collect();
    if wants(KeyFormat::Pem) && !asymmetric.is_empty() {
        data.insert(pem, pem_file(&asymmetric)?);
    }
    Ok(Some(data))
}

fn pem_file(keys: &[&Jwk]) -> Result<SecretString, Failure> {
    use secrecy::ExposeSecret;
    let mut file = String::new();
    for key in keys {
        let pem = to_pem(key).map_err(|error| {
            let kid = key.kid().unwrap_or_default();
            Failure::terminal(
                Reason::InvalidImport,
                format!("key {kid} cannot be written as PEM: {error}"),
            )
        })?;
        file.push_str(pem.expose_secret());
    }
    Ok(file.into())
}

#[cfg(test)]
mod tests;
