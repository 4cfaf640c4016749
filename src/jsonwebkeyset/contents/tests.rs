//! What is handed out, and what is not.

use secrecy::ExposeSecret;
use serde_json::Value;

use super::*;
use crate::{
    jose::import,
    jsonwebkeyset::testing::{key, private as new, public as half, symmetric},
};

use KeyState::{Active, Pending, Published, Retained};

/// A key in each state, the oldest first.
struct Keys {
    all: Vec<Key>,
    privates: BTreeMap<String, Jwk>,
    publics: BTreeMap<String, PublicJwk>,
}

fn keys() -> Keys {
    let states = [("old", Retained), ("now", Active), ("next", Published), ("coming", Pending)];
    let keys: Vec<Key> = states.iter().map(|(kid, state)| key(kid, *state)).collect();
    let privates: BTreeMap<_, _> =
        states.iter().map(|(kid, _)| ((*kid).to_owned(), new(kid))).collect();
    let publics = privates.iter().map(|(kid, jwk)| (kid.clone(), half(jwk))).collect();
    Keys { all: keys, privates, publics }
}

fn kids(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap();
    let keys = document["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn output(value: Value) -> PrivateSecret {
    serde_json::from_value(value).unwrap()
}

#[test]
fn the_public_document_holds_all_public_halves_and_nothing_else() {
    let Keys { all: keys, privates, mut publics } = keys();
    publics.remove("coming");
    let document = public(&keys, &publics, &BTreeMap::new());
    assert_eq!(kids(&document), ["old", "now", "next"], "the oldest first, those that are known");
    for jwk in privates.values() {
        assert!(!document.contains(jwk.expose("d").unwrap()));
    }
    let values: Value = serde_json::from_str(&document).unwrap();
    let members: Vec<_> = values["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
}

#[test]
fn each_key_has_the_id_under_which_hydra_publishes_it() {
    let Keys { all: keys, publics, .. } = keys();
    let published = BTreeMap::from([("old".to_owned(), "public:old".to_owned())]);
    let document = public(&keys, &publics, &published);
    assert_eq!(kids(&document), ["public:old", "now", "next", "coming"]);
}

#[test]
fn a_set_without_keys_is_an_empty_document() {
    assert!(kids(&public(&[], &BTreeMap::new(), &BTreeMap::new())).is_empty());
}

/// The spec, the keys of the Secret, and the keys in the document and in the PEM file.
#[test]
fn the_secret_has_the_forms_that_are_asked_for() {
    let Keys { all: keys, privates, .. } = keys();
    let all = ["now", "old", "next", "coming"];
    for (spec, names, handed_out) in [
        (json!({}), ["jwks.json", "kid", "private.pem"].as_slice(), &all[..1]),
        (json!({ "formats": ["JWKS", "PEM"] }), &["jwks.json", "kid", "private.pem"], &all[..1]),
        (json!({ "formats": ["JWKS"] }), &["jwks.json", "kid"], &all[..1]),
        (json!({ "formats": ["PEM"] }), &["kid", "private.pem"], &all[..1]),
        (json!({ "allKeys": false }), &["jwks.json", "kid", "private.pem"], &all[..1]),
        (json!({ "allKeys": true }), &["jwks.json", "kid", "private.pem"], &all),
        (
            json!({ "keys": { "jwks": "keys", "pem": "tls.key", "kid": "id" } }),
            &["id", "keys", "tls.key"],
            &all[..1],
        ),
    ] {
        let spec = output(spec);
        let [jwks, pem, kid] = private_keys(&spec);
        let data = private(&spec, &keys, &privates).unwrap().unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), names, "{spec:?}");
        assert_eq!(data[&kid].expose_secret(), "now");
        if let Some(document) = data.get(&jwks) {
            assert_eq!(kids(document.expose_secret()), handed_out, "the current one first");
            assert!(document.expose_secret().contains(privates["now"].expose("d").unwrap()));
        }
        if let Some(file) = data.get(&pem) {
            let read = import::read(&[("pem", file.expose_secret().as_bytes())]).unwrap();
            let found: Vec<_> = read.iter().map(|key| key.expose("d").unwrap()).collect();
            let expected: Vec<_> =
                handed_out.iter().map(|kid| privates[*kid].expose("d").unwrap()).collect();
            assert!(found == expected, "{spec:?}: another order, or other keys");
        }
    }
}

#[test]
fn a_symmetric_key_has_no_pem() {
    let keys = [key("now", Active)];
    let privates = BTreeMap::from([("now".to_owned(), symmetric("now"))]);
    let data = private(&PrivateSecret::default(), &keys, &privates).unwrap().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["jwks.json", "kid"]);
}

#[test]
fn without_a_current_key_there_is_nothing_to_hand_out() {
    let Keys { all: keys, mut privates, .. } = keys();
    let spec = output(json!({ "allKeys": true }));
    let none =
        |keys: &[Key], privates: &BTreeMap<_, _>| private(&spec, keys, privates).unwrap().is_none();
    assert!(none(&keys[2..], &privates), "no key is to be signed with yet");
    privates.remove("now");
    assert!(none(&keys, &privates), "its private half is nowhere");
}

#[test]
fn of_other_keys_those_are_handed_out_that_are_there() {
    let Keys { all: keys, mut privates, .. } = keys();
    privates.remove("old");
    let data = private(&output(json!({ "allKeys": true })), &keys, &privates).unwrap().unwrap();
    assert_eq!(kids(data["jwks.json"].expose_secret()), ["now", "next", "coming"]);
}
