//! JSON values and JSON Web Key sets compared by meaning.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Equal as JSON: `1` and `1.0` are one number, the order of members means nothing.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || ((x.is_f64() || y.is_f64()) && x.as_f64() == y.as_f64())
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_value(x, y))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same_value(x, y)))
        }
        _ => a == b,
    }
}

/// Metadata: `null`, absent and `{}` mean the same.
pub(super) fn same_metadata(a: &Value, b: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    (empty(a) && empty(b)) || same_value(a, b)
}

/// Key sets: the same keys in any order; see [`Key`] for what makes two keys the same.
pub(super) fn same_keys(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (keys(a), keys(b)) else {
        return same_value(a, b);
    };
    a.iter().all(|key| b.contains(key)) && b.iter().all(|key| a.contains(key))
}

fn keys(jwks: &Value) -> Option<Vec<Key<'_>>> {
    match jwks {
        Value::Null => Some(Vec::new()),
        Value::Object(members) => match members.get("keys") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(keys)) => Some(keys.iter().map(Key::of).collect()),
            Some(_) => None,
        },
        _ => None,
    }
}

/// What identifies a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037): its labels and the key
/// material. Hydra parses and writes keys anew, so members that it does not know are lost, numbers
/// are encoded again, and `x5c` may come and go. The private part counts too: one that should not
/// be there is a difference.
enum Key<'a> {
    Known { labels: [&'a str; 5], material: Vec<(&'static str, Vec<u8>)> },
    Opaque(&'a Value),
}

impl<'a> Key<'a> {
    fn of(jwk: &'a Value) -> Self {
        let text = |name| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        // An integer has no fixed length; the octets of an OKP or symmetric key do.
        let (integers, octets): (&[_], &[_]) = match text("kty") {
            "RSA" => (&["n", "e", "d"], &[]),
            "EC" => (&["x", "y", "d"], &[]),
            "OKP" => (&[], &["x", "d"]),
            "oct" => (&[], &["k"]),
            _ => return Self::Opaque(jwk),
        };
        let integers = integers.iter().map(|name| (*name, without_zeros(decoded(text(name)))));
        let octets = octets.iter().map(|name| (*name, decoded(text(name))));
        Self::Known {
            labels: ["kty", "kid", "use", "alg", "crv"].map(text),
            material: integers.chain(octets).collect(),
        }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Known { labels, material },
                Self::Known { labels: other_labels, material: other_material },
            ) => labels == other_labels && material == other_material,
            (Self::Opaque(key), Self::Opaque(other)) => same_value(key, other),
            _ => false,
        }
    }
}

/// The octets of a base64url text, with or without padding; the text itself if it is none.
fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).unwrap_or_else(|_| text.as_bytes().to_vec())
}

fn without_zeros(octets: Vec<u8>) -> Vec<u8> {
    octets.into_iter().skip_while(|octet| *octet == 0).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata() {
        for (a, b, same) in [
            (json!(null), json!({}), true),
            (json!({"a": null}), json!({}), false),
            (json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1.0}), true),
            (json!({"a": [1, 2]}), json!({"a": [2, 1]}), false),
            (json!("x"), json!("x"), true),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), false),
            (json!([]), json!({}), false),
        ] {
            assert_eq!(same_metadata(&a, &b), same, "{a} {b}");
            assert_eq!(same_metadata(&b, &a), same, "{b} {a}");
        }
    }

    #[test]
    fn key_sets() {
        let rsa = json!({"kty": "RSA", "kid": "1", "use": "sig", "n": "AQID", "e": "AQAB"});
        let set = |keys: &[&Value]| json!({ "keys": keys });
        let with = |change: Value| {
            let mut key = rsa.clone();
            key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            key
        };
        let ec = json!({"kty": "EC", "kid": "2", "crv": "P-256", "x": "AAEC", "y": "Aw"});
        for (a, b, same) in [
            (json!({}), json!({"keys": []}), true),
            (json!(null), json!({"keys": null}), true),
            (set(&[&rsa]), json!({}), false),
            (set(&[&rsa, &ec]), set(&[&ec, &rsa]), true),
            (set(&[&rsa, &ec]), set(&[&rsa]), false),
            // Leading zeros, padding, unknown and empty members.
            (set(&[&rsa]), set(&[&with(json!({"n": "AAECAw", "vendor": 1, "x5c": []}))]), true),
            (set(&[&rsa]), set(&[&with(json!({"e": "AAEAAQ==", "alg": ""}))]), true),
            (set(&[&rsa]), set(&[&with(json!({"e": "Aw"}))]), false),
            (set(&[&rsa]), set(&[&with(json!({"kid": "other"}))]), false),
            (set(&[&rsa]), set(&[&with(json!({"alg": "RS256"}))]), false),
            (set(&[&rsa]), set(&[&with(json!({"d": "AQ"}))]), false),
            (
                set(&[&json!({"kty": "OKP", "crv": "Ed25519", "x": "AAEC"})]),
                set(&[&json!({"kty": "OKP", "crv": "Ed25519", "x": "AQI"})]),
                false,
            ),
            (set(&[&json!({"kty": "new", "z": 1})]), set(&[&json!({"kty": "new", "z": 2})]), false),
            (json!({"keys": 3}), json!({"keys": 3}), true),
        ] {
            assert_eq!(same_keys(&a, &b), same, "{a} {b}");
            assert_eq!(same_keys(&b, &a), same, "{b} {a}");
        }
    }
}
