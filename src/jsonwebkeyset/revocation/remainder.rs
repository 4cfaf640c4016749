//! What is left of an output without one key: pure.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{
    api::jsonwebkeyset::KeyStatus,
    jose::{Jwk, PublicJwk, import, same_key, to_pem},
    kubernetes::outputs::HeldOutput,
};

/// What is left of a value.
enum Rest {
    /// The key is not in it.
    All,
    /// This.
    Less(SecretString),
    /// There was nothing else.
    Nothing,
}

/// The values of `held` that have to do with `key`, as they are without it; none: nothing is left. How the values are called, and
/// what the spec says of them by now, does not matter.
#[must_use]
pub fn without(held: &HeldOutput, key: &KeyStatus) -> BTreeMap<String, Option<SecretString>> {
    let changed = |name: &str| {
        let text = std::str::from_utf8(held.value(name)?).ok()?;
        let rest = if text.trim() == key.kid {
            Rest::Nothing
        } else if text.starts_with("-----BEGIN") {
            pem_without(name, text, key)
        } else {
            document_without(text, key)
        };
        match rest {
            Rest::All => None,
            Rest::Less(text) => Some((name.to_owned(), Some(text))),
            Rest::Nothing => Some((name.to_owned(), None)),
        }
    };
    held.keys().filter_map(changed).collect()
}

fn document_without(text: &str, key: &KeyStatus) -> Rest {
    let Ok(mut document) = serde_json::from_str::<Value>(text) else { return Rest::All };
    let Some(keys) = document.get_mut("keys").and_then(Value::as_array_mut) else {
        return Rest::All;
    };
    let before = keys.len();
    keys.retain(|jwk| !is_of(jwk, key));
    if keys.len() == before { Rest::All } else { Rest::Less(format!("{document:#}\n").into()) }
}

/// Hydra publishes some keys under another id.
fn is_of(jwk: &Value, key: &KeyStatus) -> bool {
    jwk["kid"] == key.kid || jwk.as_object().is_some_and(|jwk| is_half_of(jwk, key))
}

fn is_half_of(public: &PublicJwk, key: &KeyStatus) -> bool {
    key.public_key.as_ref().is_some_and(|recorded| same_key(recorded, public))
}

fn pem_without(name: &str, text: &str, key: &KeyStatus) -> Rest {
    let is_it = |jwk: &Jwk| jwk.public().is_some_and(|public| is_half_of(public, key));
    let Ok(keys) = import::read(&[(name, text.as_bytes())]) else { return Rest::All };
    if !keys.iter().any(is_it) {
        return Rest::All;
    }
    // What cannot be written again is better lost than handed out with a compromised key.
    let rest = keys.iter().filter(|jwk| !is_it(jwk)).filter_map(|jwk| to_pem(jwk).ok());
    let file: String = rest.map(|pem| pem.expose_secret().to_owned()).collect();
    if file.is_empty() { Rest::Nothing } else { Rest::Less(file.into()) }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use serde_json::json;

    use super::*;
    use crate::{
        api::jsonwebkeyset::KeyState,
        jsonwebkeyset::testing::{private as new, public as half, recorded, symmetric},
    };

    fn status(jwk: &Jwk) -> KeyStatus {
        let public = (!jwk.is_symmetric()).then(|| half(jwk));
        recorded(jwk.kid().unwrap(), KeyState::Active, public)
    }

    fn jwks(keys: &[&Jwk]) -> String {
        json!({ "keys": keys.iter().map(|key| key.expose_value()).collect::<Vec<_>>() }).to_string()
    }

    fn pem(keys: &[&Jwk]) -> String {
        keys.iter().map(|key| to_pem(key).unwrap().expose_secret().to_owned()).collect()
    }

    /// Names of the values that change, each with the ids of the keys that are left in the document or the number of those in
    /// the PEM file; `-` for a value that goes.
    fn left(data: &Value, key: &Jwk) -> Vec<String> {
        let data = data.as_object().unwrap().iter().map(|(name, text)| {
            let text = text.as_str().unwrap().as_bytes().to_vec();
            (name.clone(), k8s_openapi::ByteString(text))
        });
        let secret = Secret { data: Some(data.collect()), ..Secret::default() };
        told(without(&HeldOutput::of(&secret), &status(key)))
    }

    fn told(changes: BTreeMap<String, Option<SecretString>>) -> Vec<String> {
        let one = |(name, text): (String, Option<SecretString>)| {
            let Some(text) = text else { return format!("{name}: -") };
            let text = text.expose_secret();
            let kids = match serde_json::from_str::<Value>(text) {
                Ok(document) => {
                    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
                    document["keys"].as_array().unwrap().iter().map(kid).collect()
                }
                Err(_) => vec![text.matches("BEGIN").count().to_string()],
            };
            format!("{name}: {}", kids.join(" "))
        };
        changes.into_iter().map(one).collect()
    }

    #[test]
    fn the_key_goes_from_every_value_whatever_that_is_called() {
        let (bad, good) = (new("bad"), new("good"));
        let all = json!({
            "a": jwks(&[&bad, &good]), "b": pem(&[&bad, &good]), "c": "bad", "d": jwks(&[&bad]),
            "e": pem(&[&bad]), "f": "bad idea", "g": jwks(&[&good]), "h": pem(&[&good]), "i": "good",
            "j": "{}", "k": "-----BEGIN NOTHING-----",
        });
        assert_eq!(left(&all, &bad), ["a: good", "b: 1", "c: -", "d: ", "e: -"]);
        assert!(left(&all, &new("other")).is_empty());
    }

    #[test]
    fn a_public_half_is_known_under_the_id_that_hydra_gives_it() {
        let (bad, good) = (new("bad"), new("good"));
        let mut shown = half(&bad);
        shown.insert("kid".to_owned(), "public:bad".into());
        let document = json!({ "keys": [shown, half(&good)] }).to_string();
        let map: ConfigMap =
            serde_json::from_value(json!({ "data": { "jwks.json": document } })).unwrap();
        let changes = without(&HeldOutput::of(&map), &status(&bad));
        assert_eq!(told(changes), ["jwks.json: good"]);
    }

    #[test]
    fn a_symmetric_key_is_known_by_its_id() {
        let (bad, good) = (symmetric("bad"), symmetric("good"));
        let data = json!({ "jwks.json": jwks(&[&bad, &good]) });
        assert_eq!(left(&data, &bad), ["jwks.json: good"]);
    }
}
